//! Residuals: how far each feature is from what was expected, and what that says of the whole.
//!
//! In: for each row and feature a residual in units of its own usual size, and which of them are
//! there. Out: one number for each row, and each feature's share of it. What is missing neither
//! counts nor makes the rest count for less.

use ndarray::{Array2, ArrayView2};

/// How the residuals of a row become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    /// The root of their mean square: many small departures matter.
    RootMeanSquare,
    /// The mean of so many of the largest: one large departure matters.
    Largest(usize),
}

/// What residuals say of each row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Aggregated {
    /// One number for each row, at least 0.
    pub value: Vec<f64>,
    /// Each feature's share, `[rows, features]`; a row sums to 1, or to 0 where the value is 0.
    pub share: Array2<f64>,
}

impl Aggregate {
    /// Aggregates residuals.
    ///
    /// # NaN
    /// A residual that does not count, or is missing.
    pub fn of(self, residuals: ArrayView2<'_, f64>) -> Aggregated {
        let mut value = Vec::with_capacity(residuals.nrows());
        let mut share = Array2::zeros(residuals.dim());
        for (row, mut share) in residuals.outer_iter().zip(share.outer_iter_mut()) {
            let there = row.iter().filter(|it| !it.is_nan()).count();
            let size = |it: f64| match self {
                _ if it.is_nan() => 0.0,
                Self::RootMeanSquare => it * it,
                Self::Largest(_) => it.abs(),
            };
            let mut parts: Vec<f64> = row.iter().map(|it| size(*it)).collect();
            value.push(match self {
                Self::RootMeanSquare => (parts.iter().sum::<f64>() / there.max(1) as f64).sqrt(),
                Self::Largest(count) => {
                    let sum = keep_largest(&mut parts, count);
                    sum / there.clamp(1, count) as f64
                }
            });
            let sum: f64 = parts.iter().sum();
            if sum > 0.0 {
                share.iter_mut().zip(&parts).for_each(|(share, part)| *share = part / sum);
            }
        }
        Aggregated { value, share }
    }
}

/// Makes 0 of all but the largest and gives the sum of those. Equal ones at the border all stay, as
/// they do in the graph, where comparison alone tells them apart; the sum has so many terms even so.
fn keep_largest(parts: &mut [f64], count: usize) -> f64 {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    sorted.truncate(count);
    if let Some(least) = sorted.last() {
        parts.iter_mut().filter(|it| **it < *least).for_each(|it| *it = 0.0);
    }
    sorted.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(aggregate: Aggregate, row: &[f64], value: f64, share: &[f64]) {
        let rows = Array2::from_shape_vec((1, row.len()), row.to_vec()).expect("a row");
        let found = aggregate.of(rows.view());
        assert!((found.value[0] - value).abs() < 1e-12, "{found:?}");
        for (found, expected) in found.share.iter().zip(share) {
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        }
    }

    const NAN: f64 = f64::NAN;

    #[test]
    fn many_small_departures_or_one_large() {
        let rms = Aggregate::RootMeanSquare;
        check(rms, &[3.0, -4.0], 12.5_f64.sqrt(), &[0.36, 0.64]);
        check(rms, &[0.0, 0.0], 0.0, &[0.0, 0.0]);
        let largest = Aggregate::Largest(2);
        check(largest, &[1.0, -5.0, 3.0], 4.0, &[0.0, 0.625, 0.375]);
        check(largest, &[2.0], 2.0, &[1.0]);
        // Three share a place for two.
        check(largest, &[3.0, 3.0, -3.0], 3.0, &[1.0 / 3.0; 3]);
    }

    #[test]
    fn what_is_missing_makes_nothing_smaller() {
        check(Aggregate::RootMeanSquare, &[3.0, NAN, NAN], 3.0, &[1.0, 0.0, 0.0]);
        check(Aggregate::Largest(2), &[NAN, 3.0, NAN], 3.0, &[0.0, 1.0, 0.0]);
        check(Aggregate::Largest(2), &[NAN, NAN], 0.0, &[0.0, 0.0]);
    }
}
