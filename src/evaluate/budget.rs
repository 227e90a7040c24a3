//! A budget: the number of false alarms per day that an operator accepts, and the events found within it.
//!
//! In: finite scores and the truth. Out: for each budget the largest share of events that any
//! threshold finds without more false alarms than that. The thresholds tried are quantiles of the
//! scores, dense among the highest; one that has more than half of the normal time in alarm is no
//! detector and is passed over.

use super::Settings;
use super::operator::{Seen, Truth};
use crate::statistics;

/// False alarms a day: one a week, one in two days, one, two and five a day. Beyond five, people
/// stop reading.
const BUDGETS: [f64; 5] = [1.0 / 7.0, 0.5, 1.0, 2.0, 5.0];

/// What a figure of false alarms a day may lose in its division.
const ROUNDING: f64 = 1e-9;

/// The share of normal time in alarm from which on an alarm says nothing.
const MAX_TIME_IN_ALARM: f64 = 0.5;

/// Quantiles of the different scores: from all of them to one in a hundred thousand, which is
/// finer than two months of minutes.
const OF_DIFFERENT: (f64, f64, usize) = (1e-5, 1.0, 300);

/// Quantiles of all scores: from half of them to a single one (the first number depends on how
/// many there are).
const OF_ALL: (f64, usize) = (0.5, 200);

/// Events found within a budget.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct BudgetRecall {
    /// The budget.
    pub false_alarms_per_day: f64,
    /// The share of the events found, with the best threshold within it; 0 when there is none.
    pub event_recall: f64,
}

/// Recall for each of the usual budgets, in ascending order, and for one more.
pub(super) fn recalls(
    scores: &[f64],
    truth: &Truth<'_>,
    settings: &Settings,
    own: f64,
) -> (Vec<BudgetRecall>, BudgetRecall) {
    let nothing = |false_alarms_per_day| BudgetRecall { false_alarms_per_day, event_recall: 0.0 };
    let mut recalls: Vec<BudgetRecall> = BUDGETS.into_iter().chain([own]).map(nothing).collect();
    for threshold in candidates(scores) {
        let above = truth.line.runs(|i| scores[i] > threshold);
        let seen = Seen::new(truth, &above, settings);
        let in_alarm = seen.normal_in_alarm as f64 / truth.normal().max(1) as f64;
        if above.is_empty() || in_alarm > MAX_TIME_IN_ALARM {
            continue;
        }
        let false_alarms_per_day = seen.false_alarms_per_day(truth);
        let kept =
            |it: &&mut BudgetRecall| false_alarms_per_day <= it.false_alarms_per_day + ROUNDING;
        for budget in recalls.iter_mut().filter(kept) {
            budget.event_recall = budget.event_recall.max(seen.event_recall(truth));
        }
    }
    let own = recalls.remove(BUDGETS.len());
    (recalls, own)
}

/// Thresholds to try, ascending and different.
fn candidates(scores: &[f64]) -> Vec<f64> {
    let mut sorted = scores.to_vec();
    // Finite scores compare; 0 and -0 are equal, as `total_cmp` would not have them.
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let mut different = sorted.clone();
    different.dedup();
    let exceeded_by = |values: &[f64], share: f64| statistics::interpolated(values, 1.0 - share);
    let (from, to, count) = OF_DIFFERENT;
    let shares = geometric(from, to, count);
    let mut candidates: Vec<f64> =
        shares.filter_map(|share| exceeded_by(&different, share)).collect();
    let (to, count) = OF_ALL;
    let shares = geometric(1.0 / sorted.len() as f64, to, count);
    candidates.extend(shares.filter_map(|share| exceeded_by(&sorted, share)));
    candidates.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    candidates.dedup();
    candidates
}

/// Numbers from one to the other whose logarithms are evenly spaced.
fn geometric(from: f64, to: f64, count: usize) -> impl Iterator<Item = f64> {
    let (low, high) = (from.log10(), to.log10());
    let spacing = (high - low) / (count - 1) as f64;
    (0..count).map(move |i| match i {
        0 => from,
        i if i + 1 == count => to,
        i => 10.0_f64.powf(i as f64 * spacing + low),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometric_row_ends_where_it_should() {
        let row: Vec<f64> = geometric(0.01, 1.0, 3).collect();
        assert_eq!((row[0], row[2]), (0.01, 1.0));
        assert!((row[1] - 0.1).abs() < 1e-15, "{row:?}");
    }

    #[test]
    fn a_rare_score_among_common_ones_is_tried() {
        let mut scores = vec![0.0; 700];
        scores.push(1.0);
        scores.resize(2_000, 2.0);
        let found = candidates(&scores);
        assert!(found.iter().any(|it| (0.0..1.0).contains(it)), "below the rare one");
        assert!(found.iter().any(|it| (1.0..2.0).contains(it)), "above it");
        assert!(found.is_sorted_by(|a, b| a < b), "ascending and different");
    }
}
