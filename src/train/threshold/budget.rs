//! A budget: the lowest threshold at which an entity has so many alert episodes a week.
//!
//! With enough validation the episodes are counted: the smallest score at and above which there
//! are not more than the budget. A week and a day of one machine allow one episode; then the
//! threshold would hang on the second largest peak of that week, and with a few days, which allow
//! none, on the largest. So it is also followed from the tail of the episodes' peaks: with `k`
//! peaks above a level `u` in `t` entity-weeks, a tail of their excesses with shape `c` and scale
//! `s`, and a budget of `n` an entity and week,
//!
//! ```text
//! threshold = u + s / c ((k / (n t))^c - 1)          u + s ln(k / (n t)) for c = 0
//! ```
//!
//! is exceeded by `n` peaks an entity and week. The larger of both counts, as erring upwards costs a
//! late alert and erring downwards a false one every other day, but no more than twice the largest
//! score: farther a tail is not to be trusted.
//!
//! How well a budget of 1 holds was measured on 14 machines of three public data sets, by a
//! forecast's error on the unlabelled steps after validation. Three to six days of validation: 0.5
//! episodes a week on the median machine, 1.25 on average. A day: 1.7 and 10, as some machines do
//! something else on the next one. An hour: 12 and 19, where the 99.5th percentile of that hour gives
//! 37 and 51. No arithmetic makes an hour tell what a week holds.
//!
//! Source: Coles 2001, "An introduction to statistical modeling of extreme values", 4.3.3 (return
//! level) and 5.3 (declustered peaks).

use std::ops::RangeInclusive;

use super::ThresholdError;
use super::episodes::Steps;
use super::percentile::percentile;
use super::pot::MIN_EXCESSES;
use super::tail::Tail;

/// Where the tail of peaks begins: at the first of these with enough peaks. Below the median there
/// are no peaks but the usual.
const LEVEL_PERCENTS: [f64; 5] = [98.0, 95.0, 90.0, 80.0, 50.0];

/// The scale's standard error is then below a third of it (1 / sqrt(n)).
const MIN_PEAKS: usize = 10;

/// So many episodes within the budget are counted rather than inferred: their number is known to a
/// third (1 / sqrt(n)), no worse than the tail would know it.
const COUNTABLE: usize = 10;

/// A tail is never taken for one that ends: what ends it would be the few days that were looked at.
/// Nor for one of infinite variance, which begins at 1/2.
const PEAK_SHAPES: RangeInclusive<f64> = 0.0..=0.5;

/// The threshold is at most this multiple of the largest score.
const MAX_RATIO: f64 = 2.0;

/// The threshold for `budget` episodes an entity and week.
pub(super) fn threshold(steps: &Steps, budget: f64) -> (Result<f64, ThresholdError>, String) {
    let weeks = steps.entity_weeks();
    // As far as f64 counts: more than there are steps is as good as all of them.
    let allowed = (budget * weeks).min(steps.sorted().len() as f64) as usize;
    // A threshold that is exceeded all the time has one episode, too.
    let usual = percentile(steps.sorted(), LEVEL_PERCENTS[0]);
    let counted = steps.lowest_within(allowed, usual);
    let span = format!("{weeks:.3} entity-weeks allow {allowed} episodes");
    if allowed >= COUNTABLE {
        return (Ok(counted), format!("counted: {span}"));
    }
    let (level, peaks) = peaks(steps);
    let excesses: Vec<f64> = peaks.iter().map(|peak| peak - level).collect();
    if excesses.is_empty() {
        return (Ok(counted), format!("the largest score: {span}, and there is no peak"));
    }
    let tail = if excesses.len() < MIN_EXCESSES {
        Tail::exponential(&excesses)
    } else {
        Tail::fit(&excesses, &PEAK_SHAPES)
    };
    let inferred = level + tail.exceeded_once_in(excesses.len() as f64 / (budget * weeks));
    let bounded = inferred.min(MAX_RATIO * steps.max());
    let which = match (bounded > counted, bounded < inferred) {
        (false, _) => "counted, as the tail lies lower",
        (true, false) => "by the tail",
        (true, true) => "twice the largest score, as the tail goes farther",
    };
    let note = format!(
        "{which}: {span}; {} peaks above {level:.4}, mean excess {:.4}, shape {:.3}",
        excesses.len(),
        Tail::exponential(&excesses).scale,
        tail.shape
    );
    (Ok(counted.max(bounded)), note)
}

/// The highest level with enough peaks above it, else the one with most, and the peaks. Of levels
/// with equally few peaks the lowest: when one episode lasts as long as the data, its height above
/// the usual says more than that above its own shoulder.
fn peaks(steps: &Steps) -> (f64, Vec<f64>) {
    let mut best: (f64, Vec<f64>) = (steps.max(), Vec::new());
    for percent in LEVEL_PERCENTS {
        let level = percentile(steps.sorted(), percent);
        let peaks = steps.peaks(level);
        if !peaks.is_empty() && peaks.len() >= best.1.len() {
            best = (level, peaks);
        }
        if best.1.len() >= MIN_PEAKS {
            break;
        }
    }
    best
}
