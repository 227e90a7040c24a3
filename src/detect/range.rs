//! Ranges: how many of a model's input values lie outside the range that it was trained on.
//!
//! In: the feature matrix of a step and the ranges of the model's file. Out: for each feature the number of
//! values and the number of them that lie outside. As in training, only values that complete entities measured
//! themselves count: held, filled in and common ones are left out.

use crate::features::{EntityState, FeatureMatrix, Provenance};
use crate::model::FeatureRange;

/// The values of one feature at one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RangeCount {
    /// Entities that have measured it; 0 for a feature without a range.
    pub own: u32,
    /// Those of them whose value lies outside of the range.
    pub outside: u32,
}

/// Counts a step. Nothing without ranges, otherwise a count for each feature.
pub(super) fn count(matrix: &FeatureMatrix, ranges: &[Option<FeatureRange>]) -> Vec<RangeCount> {
    let mut counts = vec![RangeCount::default(); ranges.len()];
    if ranges.is_empty() {
        return counts;
    }
    for slot in (0..matrix.slots()).filter(|it| matrix.state(*it) == EntityState::Complete) {
        let cells = matrix.row(slot).iter().zip(matrix.provenance(slot));
        for ((count, range), (value, provenance)) in counts.iter_mut().zip(ranges).zip(cells) {
            if let Some(range) = range.filter(|_| *provenance == Provenance::Own) {
                count.own += 1;
                // As the model sees it, and as its range was taken.
                count.outside += u32::from(!range.contains(*value as f32));
            }
        }
    }
    counts
}
