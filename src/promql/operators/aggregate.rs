//! The aggregations that take the elements of a group one after the other.
//!
//! Source: Prometheus `promql/engine.go`, `aggregation`.

use crate::promql::syntax::operator::Fold;

use super::summation::{Mean, Sum};

impl Fold {
    /// One value of a group's first element and the others.
    ///
    /// # NaN
    /// `min` and `max` are NaN only when all are; sums, means and deviations when one is; a deviation
    /// also when one is infinite.
    pub(crate) fn apply(self, first: f64, rest: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Sum => rest.fold(Sum::new(first), Sum::plus).total(),
            Self::Avg => {
                let mut mean = Mean::new(first);
                rest.for_each(|value| mean.push(value));
                mean.get()
            }
            Self::Min => {
                rest.fold(first, |min, value| if min > value || min.is_nan() { value } else { min })
            }
            Self::Max => {
                rest.fold(first, |max, value| if max < value || max.is_nan() { value } else { max })
            }
            Self::Count => 1.0 + rest.count() as f64,
            Self::Group => 1.0,
            Self::Stdvar => variance(first, rest),
            Self::Stddev => variance(first, rest).sqrt(),
        }
    }
}

/// The population variance by Welford's method, without compensation as Prometheus has it here.
fn variance(first: f64, rest: impl Iterator<Item = f64>) -> f64 {
    let mut squares = if first.is_finite() { 0.0 } else { f64::NAN };
    let (mut mean, mut count) = (first, 1.0);
    for value in rest {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::operators::any_sample::is_same_value;

    #[track_caller]
    fn check(op: Fold, values: &[f64], expected: f64) {
        let got = op.apply(values[0], values[1..].iter().copied());
        assert!(is_same_value(got, expected), "{op:?} of {values:?} is {got} and not {expected}");
    }

    #[test]
    fn of_plain_numbers() {
        let values = [4.0, 1.0, 7.0];
        check(Fold::Sum, &values, 12.0);
        check(Fold::Avg, &values, 4.0);
        check(Fold::Min, &values, 1.0);
        check(Fold::Max, &values, 7.0);
        check(Fold::Count, &values, 3.0);
        check(Fold::Group, &values, 1.0);
        check(Fold::Stdvar, &values, 6.0);
        check(Fold::Stddev, &[1.0, 3.0], 1.0);
        check(Fold::Sum, &[1.0, 1e100, 1.0, -1e100], 2.0);
    }

    #[test]
    fn of_nan_and_infinity() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        check(Fold::Min, &[nan, 2.0, 1.0], 1.0);
        check(Fold::Max, &[nan, nan], nan);
        check(Fold::Sum, &[nan, 1.0], nan);
        check(Fold::Stddev, &[inf], nan);
        check(Fold::Stddev, &[3.0], 0.0);
        check(Fold::Avg, &[inf, 1.0], inf);
        check(Fold::Avg, &[1.5e308, 1.5e308], 1.5e308);
        check(Fold::Count, &[nan, inf], 2.0);
    }
}
