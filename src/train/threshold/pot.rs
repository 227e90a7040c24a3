//! Peaks over threshold: the score that a step exceeds at a given risk, by the tail of the scores.
//!
//! Every step counts as a draw of its own, as its authors have it; of smoothed scores, which stay up
//! once they are, the risk of a step is right and alerts are fewer than steps.
//!
//! Source: Siffer, Fouque, Termier, Largouet 2017, "Anomaly detection in streams with extreme value
//! theory", equation 1.

use super::ThresholdError;
use super::steps::Steps;
use super::tail::{SHAPES, Tail};

/// Where the tail begins: the authors' level.
const TAIL_PERCENT: f64 = 98.0;

/// The share of the scores in the tail: a larger risk is no matter of tails.
pub(super) const TAIL_SHARE: f64 = 0.02;

/// With fewer the shape is off by more than 0.18, its standard error for an exponential tail
/// (Smith 1985: (1 + shape) / sqrt(n)): a light tail and a heavy one cannot be told apart.
pub(super) const MIN_EXCESSES: usize = 30;

/// The score that a step exceeds with a probability of `risk`.
pub(super) fn threshold(steps: &Steps<'_>, risk: f64) -> (Result<f64, ThresholdError>, String) {
    let sorted = steps.sorted();
    let level = steps.percentile(TAIL_PERCENT);
    let first = sorted.partition_point(|score| *score <= level);
    let excesses: Vec<f64> = sorted[first..].iter().map(|score| score - level).collect();
    if excesses.len() < MIN_EXCESSES {
        let what = "above the 98th percentile, where the tail begins";
        let found = excesses.len();
        return (Err(ThresholdError::TooFew { what, found, needed: MIN_EXCESSES }), String::new());
    }
    let tail = Tail::fit(&excesses, &SHAPES);
    let share = excesses.len() as f64 / sorted.len() as f64;
    let note = format!(
        "generalised Pareto tail of {} scores above {level:.4}: shape {:.3}, scale {:.4}",
        excesses.len(),
        tail.shape,
        tail.scale
    );
    (Ok(level + tail.exceeded_once_in(share / risk)), note)
}
