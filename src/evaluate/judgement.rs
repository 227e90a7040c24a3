//! A judgement: every figure of one detector on one entity.
//!
//! In: scores, labels and thresholds in order of time. Out: a [`Judgement`], which is data for a
//! report and, displayed, a table.

use std::fmt;

use super::Settings;
use super::budget::{BudgetRecall, recalls};
use super::operator::{Alarms, Truth, alarms};
use super::ranking::{Areas, areas, descending};
use crate::duration::Duration;

/// Why scores cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// There is nothing to judge.
    #[error("there are no samples to judge; give a range of time with scores and labels")]
    Empty,
    /// A score has no label, or a label no score.
    #[error("{scores} scores but {labels} labels; give one label for each score")]
    Labels {
        /// Scores.
        scores: usize,
        /// Labels.
        labels: usize,
    },
    /// A score has no time, or a time no score.
    #[error("{scores} scores but {times} times; give one time for each score")]
    Times {
        /// Scores.
        scores: usize,
        /// Times.
        times: usize,
    },
    /// A time is not after the one before.
    #[error("the times are not in order; give the samples in order of time, each once")]
    Order,
    /// Thresholds are neither one nor one for each sample.
    #[error(
        "{scores} scores but {thresholds} thresholds; give one for all scores, or one for each"
    )]
    Thresholds {
        /// Scores.
        scores: usize,
        /// Thresholds.
        thresholds: usize,
    },
    /// Samples have no distance.
    #[error(
        "a step of {0} ms is not possible; give the distance between two scores in milliseconds"
    )]
    Step(i64),
}

/// Figures that need no threshold: how well the scores tell anomalous samples from normal ones.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Ranking {
    /// Average precision, each sample by itself. A random score gets the share of anomalous
    /// samples.
    pub auc_pr: f64,
    /// The probability that an anomalous sample scores higher than a normal one; 0.5 is random.
    pub auc_roc: f64,
    /// The F1 of the best of all thresholds, sample by sample, without point adjustment.
    pub best_f1: f64,
    /// Events found with the best threshold within a budget of false alarms, by budget.
    pub event_recall_at_fa_per_day: Vec<BudgetRecall>,
    /// The same with no more false alarms than at the threshold judged: what the best constant one
    /// finds for their price. Above the share found there, a constant one would have been better.
    pub best_constant: BudgetRecall,
}

/// Every figure of one detector on one entity.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Judgement {
    /// Samples.
    pub samples: usize,
    /// Samples without a finite score: they rank as the lowest score and never alarm.
    pub missing_scores: usize,
    /// The time of all samples, in days.
    pub days: f64,
    /// The share of anomalous samples.
    pub anomalous_share: f64,
    /// Figures without a threshold; absent unless there are anomalous and normal samples.
    pub ranking: Option<Ranking>,
    /// Figures at the threshold.
    pub at_threshold: Alarms,
}

/// Holds scores against labels.
///
/// # Shapes
/// One time in milliseconds, one score and one label for each sample, in order of time and, where none
/// is missing, `settings.step_ms` apart; one threshold for all of them, or one for each. A sample is
/// above when its score is larger than its threshold.
///
/// # NaN
/// A score that is not finite ranks as the lowest finite one and never alarms; it is counted. With
/// a threshold of NaN nothing is above.
///
/// # Errors
/// When lengths differ, nothing is there, times are not ascending, or the step is not positive.
///
/// # Source
/// `tests/reference/judge.py`, which gets the same figures from Python.
pub fn judge(
    times_ms: &[i64],
    scores: &[f64],
    labels: &[bool],
    thresholds: &[f64],
    settings: &Settings,
) -> Result<Judgement, JudgeError> {
    if scores.len() != labels.len() {
        return Err(JudgeError::Labels { scores: scores.len(), labels: labels.len() });
    }
    if scores.is_empty() {
        return Err(JudgeError::Empty);
    }
    if times_ms.len() != scores.len() {
        return Err(JudgeError::Times { scores: scores.len(), times: times_ms.len() });
    }
    if !times_ms.is_sorted_by(|a, b| a < b) {
        return Err(JudgeError::Order);
    }
    if thresholds.len() != scores.len() && thresholds.len() != 1 {
        return Err(JudgeError::Thresholds { scores: scores.len(), thresholds: thresholds.len() });
    }
    if settings.step_ms <= 0 {
        return Err(JudgeError::Step(settings.step_ms));
    }
    let truth = Truth::new(times_ms, labels, settings);
    let both_kinds = truth.anomalous() > 0 && truth.normal() > 0;
    let at_threshold = alarms(scores, thresholds, &truth, settings);
    let own = at_threshold.false_alarms_per_day;
    Ok(Judgement {
        samples: scores.len(),
        missing_scores: scores.iter().filter(|score| !score.is_finite()).count(),
        days: truth.days,
        anomalous_share: truth.anomalous() as f64 / scores.len() as f64,
        ranking: both_kinds.then(|| ranking(scores, labels, &truth, settings, own)),
        at_threshold,
    })
}

/// With the false alarms a day of the threshold judged.
fn ranking(
    scores: &[f64],
    labels: &[bool],
    truth: &Truth<'_>,
    settings: &Settings,
    own: f64,
) -> Ranking {
    let finite = || scores.iter().copied().filter(|score| score.is_finite());
    let lowest = finite().reduce(f64::min).unwrap_or(0.0);
    let known = scores.iter().map(|score| if score.is_finite() { *score } else { lowest });
    let scores: Vec<f64> = known.collect();
    let order = descending(&scores);
    let Areas { auc_pr, auc_roc, best_f1 } = areas(&scores, labels, &order);
    let (event_recall_at_fa_per_day, best_constant) = recalls(&scores, truth, settings, own);
    Ranking { auc_pr, auc_roc, best_f1, event_recall_at_fa_per_day, best_constant }
}

impl Judgement {
    /// Names and texts, in order.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            (
                "time",
                format!(
                    "{:.1} days, {} samples, {} without a score",
                    self.days, self.samples, self.missing_scores
                ),
            ),
            (
                "events",
                format!(
                    "{}, in {} of the samples",
                    self.at_threshold.events,
                    percent(Some(self.anomalous_share))
                ),
            ),
        ];
        lines.extend(alarm_lines(&self.at_threshold));
        lines.extend(self.ranking.iter().flat_map(ranking_lines));
        lines
    }
}

fn alarm_lines(seen: &Alarms) -> Vec<(&'static str, String)> {
    let threshold = match seen.threshold_range {
        Some([low, high]) if low == high => format!("{low:.6}"),
        Some([low, high]) => format!("{low:.6} to {high:.6}"),
        None => "none".to_owned(),
    };
    let detected = percent(Some(seen.event_recall));
    let delays = [seen.delay_mean_seconds, seen.delay_median_seconds, seen.delay_max_seconds];
    let [mean, median, longest] = delays.map(time);
    let (touching, in_alarm) = (percent(seen.alarm_precision), percent(seen.normal_time_in_alarm));
    let above = percent(seen.false_positive_rate);
    let (precision, recall, f1) = (seen.precision, seen.recall, seen.f1);
    vec![
        ("threshold", threshold),
        (
            "detection rate",
            format!("{detected}, {} of {} events", seen.events_detected, seen.events),
        ),
        ("time to detect", format!("mean {mean}, median {median}, longest {longest}")),
        ("alarms", format!("{}, {touching} of them touch an event", seen.alarm_episodes)),
        ("false alarms", format!("{}, {:.2} a day", seen.false_alarms, seen.false_alarms_per_day)),
        (
            "normal time",
            format!("{in_alarm} in alarm, {above} above the threshold (false positive rate)"),
        ),
        ("by sample", format!("precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}")),
    ]
}

fn ranking_lines(ranking: &Ranking) -> Vec<(&'static str, String)> {
    let Ranking { auc_pr, auc_roc, best_f1, best_constant, .. } = ranking;
    let budget = |it: &BudgetRecall| {
        format!("{:.2}: {}", it.false_alarms_per_day, percent(Some(it.event_recall)))
    };
    let budgets: Vec<String> = ranking.event_recall_at_fa_per_day.iter().map(budget).collect();
    vec![
        (
            "any threshold",
            format!("average precision {auc_pr:.3}, ROC AUC {auc_roc:.3}, best F1 {best_f1:.3}"),
        ),
        (
            "best threshold",
            format!("share of events by false alarms a day: {}", budgets.join(", ")),
        ),
        (
            "best constant",
            format!(
                "{} of the events with no more false alarms than above",
                percent(Some(best_constant.event_recall))
            ),
        ),
    ]
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "none".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

/// Whole seconds as Prometheus writes them.
fn time(seconds: Option<f64>) -> String {
    let text = |seconds: f64| Duration::from_seconds(seconds.round() as i64).to_string();
    seconds.map_or_else(|| "none".to_owned(), text)
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in self.lines() {
            writeln!(f, "{name:<14} {text}")?;
        }
        Ok(())
    }
}
