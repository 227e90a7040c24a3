//! Whether ranges hold enough scrapes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Examination, Said, Subject, some};
use crate::duration::Duration;
use crate::labels::Labels;

/// Scrapes in a range without which `rate` and its kin have no value.
const LEAST: i64 = 2;

/// Scrapes in a range with which one may be late or lost: what Prometheus's documentation advises.
const GOOD: i64 = 4;

/// Judges the ranges of a subject's features by how often their series are scraped.
pub(super) fn judge(subject: &Subject, said: &Said, found: &mut Examination) {
    let mut short: BTreeMap<(&str, i64, i64), BTreeSet<&str>> = BTreeMap::new();
    for need in &subject.features {
        for (selector, range_ms) in &need.differences {
            for labels in said.series.get(selector).into_iter().flatten() {
                let Some(interval_ms) = interval_ms(labels, said) else { continue };
                if range_ms / interval_ms < GOOD {
                    let features = short.entry((labels.get("job"), interval_ms, *range_ms));
                    features.or_default().insert(&need.name);
                }
            }
        }
    }
    for ((job, interval_ms, range_ms), features) in short {
        let [interval, range] = [interval_ms, range_ms].map(Duration::from_ms);
        let better = Duration::from_ms((range_ms / GOOD).max(1));
        let wider = Duration::from_ms(interval_ms.saturating_mul(GOOD));
        let (scrapes, features) = (range_ms / interval_ms, some(features));
        let is_too_long = scrapes < LEAST;
        let what = match is_too_long {
            true => "which needs two, so that there is no value",
            false => "so that a late or lost one leaves no value",
        };
        let text = format!(
            "job {job:?} is scraped every {interval}, and a range of {range}, which {features} of model \
             {:?} reads, is sure of {scrapes} of its scrapes, {what}: set its scrape_interval to {better} \
             or less, or train with features of your own that read {wider}",
            subject.name
        );
        match is_too_long {
            true => found.faults.push(text),
            false => found.hints.push(text),
        }
    }
}

/// How often a series is scraped, where that is known.
fn interval_ms(labels: &Labels, said: &Said) -> Option<i64> {
    let targets = said.targets.iter().flatten();
    let of_target = targets
        .filter(|target| {
            let is_same =
                |name: &str| target.labels.get(name).map(String::as_str) == Some(labels.get(name));
            is_same("job") && is_same("instance")
        })
        .filter_map(|it| it.scrape_interval.parse::<Duration>().ok())
        .max();
    let of_job = || {
        let config = said.config.as_ref()?;
        config.job(labels.get("job")).map(|job| config.interval(job))
    };
    of_target.or_else(of_job).map(Duration::as_ms).filter(|ms| *ms > 0)
}
