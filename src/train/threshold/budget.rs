//! A budget: the lowest threshold at which an entity has at most a given number of alert episodes a week.
//!
//! With enough history the episodes are counted: the threshold is the smallest score at and above which there
//! are no more than the budget. Eight days of one machine allow one episode; then the threshold would depend
//! on the second largest peak alone, and with a few days, which allow none, on the largest, which may be an
//! incident that nobody has excluded. So with little history it is extrapolated from the bulk of the
//! episodes' peaks: with `k` peaks above a level `u` in `t`
//! entity-weeks, half of them less than `m` above it, and a budget of `n` an entity and week,
//!
//! ```text
//! threshold = u + m / ln 2 · ln(k / (n t))
//! ```
//!
//! is exceeded by `n` peaks per entity and week if their excesses are exponential. The median, unlike
//! the mean and unlike a fitted shape, does not move for a few incidents, which must alarm again.
//! The threshold is at most twice the largest score: farther out a tail cannot be trusted.
//!
//! No arithmetic can learn a week from an hour: a machine that does something else on the
//! next day alarms, whatever the budget.
//!
//! Source: Coles 2001, "An introduction to statistical modeling of extreme values", 4.3.3 (return
//! level) and 5.3 (declustered peaks); Hampel 1974 (why the median).

use super::ThresholdError;
use super::steps::Steps;
use crate::statistics::robust_exponential_scale;

/// A threshold that is exceeded all the time has one episode, too: it is never below this percentile.
const USUAL_PERCENT: f64 = 98.0;

/// Where the tail of peaks begins: at the first of these with enough peaks. Higher than the first the
/// few peaks of some days leave the scale to chance, but scores that hop up and down all the time are
/// one long episode there; below the median there are no peaks but the usual.
const LEVEL_PERCENTS: [f64; 6] = [95.0, 98.0, 99.0, 90.0, 80.0, 50.0];

/// The scale's standard error is then below a third of it (1 / sqrt(n)).
const MIN_PEAKS: usize = 10;

/// So many episodes within the budget are counted rather than inferred: their number is known to a
/// third (1 / sqrt(n)), no worse than the tail would know it.
const COUNTABLE: usize = 10;

/// The threshold is at most this multiple of the largest score.
const MAX_RATIO: f64 = 2.0;

/// The threshold for `budget` episodes an entity and week.
pub(super) fn threshold(steps: &Steps<'_>, budget: f64) -> (Result<f64, ThresholdError>, String) {
    let weeks = steps.entity_weeks();
    // As far as f64 counts: more than there are steps is as good as all of them.
    let allowed = (budget * weeks).min(steps.sorted().len() as f64) as usize;
    let usual = steps.percentile(USUAL_PERCENT);
    let counted = steps.lowest_within(allowed, usual);
    let span = format!("{weeks:.3} entity-weeks allow {allowed} episodes");
    if allowed >= COUNTABLE {
        return (Ok(counted), format!("counted: {span}"));
    }
    let (level, peaks) = peaks(steps);
    let excesses: Vec<f64> = peaks.iter().map(|peak| peak - level).collect();
    let Some(scale) = robust_exponential_scale(excesses) else {
        return (Ok(counted), format!("the largest score: {span}, and there is no peak"));
    };
    let rate = peaks.len() as f64 / (budget * weeks);
    let inferred = level + scale * rate.ln().max(0.0);
    let bounded = inferred.min(MAX_RATIO * steps.max());
    let which = if bounded < inferred {
        "twice the largest score, as the tail goes farther"
    } else {
        "extrapolated from the tail, so that the history itself may hold more"
    };
    let note = format!(
        "{which}: {span}; {} peaks above {level:.4}, half of them by less than {:.4}",
        peaks.len(),
        scale * std::f64::consts::LN_2
    );
    (Ok(bounded.max(usual)), note)
}

/// The first level with enough peaks above it, else the one with most, and the peaks. Of levels
/// with equally few peaks the lowest: when one episode lasts as long as the data, its height above
/// the usual says more than that above its own shoulder.
fn peaks(steps: &Steps<'_>) -> (f64, Vec<f64>) {
    let mut best: (f64, Vec<f64>) = (steps.max(), Vec::new());
    for percent in LEVEL_PERCENTS {
        let level = steps.percentile(percent);
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
