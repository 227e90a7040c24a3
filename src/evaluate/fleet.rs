//! A fleet's judgement: the figures of all entities, counted as if they were one.
//!
//! In: a backtest and its labels. Out: one [`Judgement`] of all steps that have a label and are not
//! excluded. The entities' times are put one after another, too far apart for an episode or an event to span
//! two of them. So days are the sum over all entities, and one false alarm a day means one per entity and day.

use super::Settings;
use super::backtest::Backtest;
use super::judgement::{JudgeError, Judgement, judge};
use super::marked::Marked;

/// Why there is no judgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// Nothing is left.
    #[error("every step with a label is excluded")]
    AllExcluded,
    /// The figures.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// Holds the scores of all entities against labels.
///
/// # Errors
/// When no step with a label is left, and as [`judge`].
pub fn judge_fleet(backtest: &Backtest, marked: &Marked) -> Result<Judgement, FleetError> {
    let settings = Settings::for_step(backtest.step_ms);
    let (mut times_ms, mut labels) = (Vec::new(), Vec::new());
    let (mut scores, mut thresholds) = (Vec::new(), Vec::new());
    let mut from_ms = 0_i64;
    for (entity, by_step) in backtest.entities.iter().zip(&marked.by_entity) {
        let begin_ms = backtest.times_ms.first().copied().unwrap_or(0);
        let known = by_step.iter().enumerate().filter(|(at, _)| !entity.is_excluded(*at));
        for (at, label) in known.filter_map(|(at, label)| Some((at, (*label)?))) {
            times_ms.push(from_ms + (backtest.times_ms[at] - begin_ms));
            labels.push(label);
            scores.push(entity.scores[at]);
            thresholds.push(entity.thresholds[at]);
        }
        let end_ms = backtest.times_ms.last().copied().unwrap_or(0);
        from_ms += (end_ms - begin_ms) + settings.reach_ms.saturating_add(1);
    }
    if times_ms.is_empty() {
        return Err(FleetError::AllExcluded);
    }
    Ok(judge(&times_ms, &scores, &labels, &thresholds, &settings)?)
}
