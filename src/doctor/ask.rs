//! The questions to a server.

use std::collections::BTreeSet;

use super::server_config::ServerConfig;
use super::{Said, SaidOfFeature, Subject, Target, Valued, named};
use crate::history::{HistoryError, Inquiry, Instant};
use crate::matcher::Selector;

/// The last day, looked at every hour: as often as a server of any size can be asked for every feature of
/// every host at once.
const LAST_DAY: &str = "[1d:1h]";

/// What every Portent tells of itself where it is scraped.
const PORTENT: &str = "count by (job, instance) (portent_build_info)";

/// Scores that came back under the labels of the Portent that was scraped.
const EXPORTED: &str = r#"count by (job) (anomaly_score{exported_instance!=""})"#;

/// Asks a server all that is needed to judge whether it has what these subjects need.
///
/// # Errors
/// When there is no server, or none that wants to answer; see [`HistoryError`].
pub fn ask(inquiry: &Inquiry, subjects: &[Subject], now_ms: i64) -> Result<Said, HistoryError> {
    let mut said = Said::default();
    for subject in subjects {
        said.features.push(features(inquiry, subject, now_ms)?);
    }
    series(inquiry, subjects, now_ms, &mut said)?;
    let mut extra = inquiry.instants(&[PORTENT.to_owned(), EXPORTED.to_owned()], now_ms)?;
    let mut next = || extra.remove(0).unwrap_or_default().into_iter();
    said.portents = next().map(|it| it.0).collect();
    said.exported = next().map(|(labels, _)| labels.get("job").to_owned()).collect();
    read_config(inquiry, &mut said);
    match inquiry.look("targets?state=active") {
        Ok(mut data) => {
            let targets = serde_json::from_value::<Vec<Target>>(data["activeTargets"].take());
            said.targets = targets.ok();
        }
        Err(words) => said.open.push(format!("the targets that are scraped ({words})")),
    }
    Ok(said)
}

/// What each feature has now, and had over the last day.
fn features(
    inquiry: &Inquiry,
    subject: &Subject,
    now_ms: i64,
) -> Result<Vec<SaidOfFeature>, HistoryError> {
    let strict = subject.features.iter().map(|it| it.text.clone());
    let lenient = |refused: &[usize]| -> Vec<String> {
        let texts = refused.iter().filter_map(|i| subject.features[*i].lenient.clone());
        texts.collect()
    };
    let mut texts: Vec<String> = strict.collect();
    let mut now = inquiry.instants(&texts, now_ms)?;
    // Where label sets clash, serving leaves out the groups that do.
    let refused = (0..now.len()).filter(|i| now[*i].is_err());
    let refused: Vec<usize> = refused.filter(|i| subject.features[*i].lenient.is_some()).collect();
    let others = lenient(&refused);
    let again = inquiry.instants(&others, now_ms)?;
    for ((i, text), answer) in refused.into_iter().zip(others).zip(again) {
        if answer.is_ok() {
            (texts[i], now[i]) = (text, answer);
        }
    }
    let days = texts.iter().map(|it| format!("last_over_time(({it}\n){LAST_DAY})"));
    let days = inquiry.instants(&days.collect::<Vec<_>>(), now_ms)?;
    let both = now.into_iter().zip(days);
    Ok(both.map(|(now, day)| SaidOfFeature { now: finite(now), last_day: finite(day) }).collect())
}

/// Who has a value that a model can be fed.
fn finite(answer: Instant) -> Valued {
    let finite = |value: f64| (value as f32).is_finite();
    Ok(answer?.into_iter().filter(|it| finite(it.1)).map(|it| it.0).collect())
}

/// Which series there are, and of metrics without any whether there were some.
fn series(
    inquiry: &Inquiry,
    subjects: &[Subject],
    now_ms: i64,
    said: &mut Said,
) -> Result<(), HistoryError> {
    let mut selectors: Vec<Selector> = Vec::new();
    for selector in subjects.iter().flat_map(|it| it.selectors()) {
        let whole = selector.metric_name().map(named);
        for it in std::iter::once(selector.clone()).chain(whole) {
            if !selectors.contains(&it) {
                selectors.push(it);
            }
        }
    }
    let entity = subjects.iter().flat_map(|it| it.entity.iter().map(String::as_str));
    let labels: BTreeSet<&str> = entity.chain(["job", "instance"]).collect();
    let by = labels.into_iter().collect::<Vec<_>>().join(", ");
    let texts = selectors.iter().map(|it| format!("count by ({by}) ({it})"));
    let answers = inquiry.instants(&texts.collect::<Vec<_>>(), now_ms)?;
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for (selector, answer) in selectors.into_iter().zip(answers) {
        match answer {
            Ok(elements) => {
                if elements.is_empty() {
                    gone.extend(selector.metric_name().map(str::to_owned));
                }
                said.series.insert(selector, elements.into_iter().map(|it| it.0).collect());
            }
            Err(words) => said.open.push(format!("which series of {selector} there are ({words})")),
        }
    }
    gone.retain(|name| said.series.get(&named(name)).is_some_and(Vec::is_empty));
    let texts = gone.iter().map(|it| format!("count(last_over_time({}[1d]))", named(it)));
    let answers = inquiry.instants(&texts.collect::<Vec<_>>(), now_ms)?;
    let known = gone.into_iter().zip(answers);
    said.last_day = known.filter_map(|(name, it)| Some((name, !it.ok()?.is_empty()))).collect();
    Ok(())
}

fn read_config(inquiry: &Inquiry, said: &mut Said) {
    let config = inquiry.look("status/config").and_then(|data| {
        let yaml = data["yaml"].as_str().ok_or_else(|| "there is none in the answer".to_owned());
        ServerConfig::parse(yaml?)
    });
    match config {
        Ok(config) => said.config = Some(config),
        Err(words) => said.open.push(format!("the server's configuration ({words})")),
    }
}
