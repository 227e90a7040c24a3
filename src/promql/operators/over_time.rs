//! Aggregations over time: the samples of one range as one number. All need at least one sample.
//!
//! Source: Prometheus `promql/functions.go`, `funcAvgOverTime` and those beside it.

use crate::sample::Sample;

use super::summation::{Mean, Sum};

pub(crate) fn avg(samples: &[Sample]) -> f64 {
    let mut mean = Mean::new(samples[0].value);
    for sample in &samples[1..] {
        mean.push(sample.value);
    }
    mean.get()
}

pub(crate) fn sum(samples: &[Sample]) -> f64 {
    let sum = samples.iter().fold(Sum::default(), |sum, sample| sum.plus(sample.value));
    if sum.sum.is_infinite() { sum.sum } else { sum.total() }
}

/// # NaN
/// NaN only when all are.
pub(crate) fn min(samples: &[Sample]) -> f64 {
    best(samples, |value, least| value < least)
}

/// # NaN
/// NaN only when all are.
pub(crate) fn max(samples: &[Sample]) -> f64 {
    best(samples, |value, most| value > most)
}

fn best(samples: &[Sample], better: impl Fn(f64, f64) -> bool) -> f64 {
    let first = samples[0].value;
    samples.iter().fold(first, |best, sample| {
        if better(sample.value, best) || best.is_nan() { sample.value } else { best }
    })
}

/// The population variance, by Welford's method with compensated sums.
pub(crate) fn variance(samples: &[Sample]) -> f64 {
    let mut count = 0.0;
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for sample in samples {
        count += 1.0;
        let delta = sample.value - mean.total();
        mean = mean.plus(delta / count);
        squares = squares.plus(delta * (sample.value - mean.total()));
    }
    squares.total() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::operators::any_sample::is_same_value;

    #[track_caller]
    fn check(function: fn(&[Sample]) -> f64, values: &[f64], expected: f64) {
        let samples: Vec<Sample> = values.iter().map(|v| Sample::new(0, *v)).collect();
        let got = function(&samples);
        assert!(is_same_value(got, expected), "{got} and not {expected} of {values:?}");
    }

    #[test]
    fn of_plain_numbers() {
        let values = [4.0, 1.0, 7.0];
        check(avg, &values, 4.0);
        check(sum, &values, 12.0);
        check(min, &values, 1.0);
        check(max, &values, 7.0);
        check(variance, &values, 6.0);
        check(variance, &[3.0], 0.0);
    }

    #[test]
    fn extremes_pass_over_nan_but_sums_do_not() {
        let values = [f64::NAN, 2.0, f64::NAN, 1.0];
        check(min, &values, 1.0);
        check(max, &values, 2.0);
        check(sum, &values, f64::NAN);
        check(avg, &values, f64::NAN);
        check(max, &[f64::NAN], f64::NAN);
    }

    #[test]
    fn infinities() {
        check(sum, &[f64::INFINITY, 1.0], f64::INFINITY);
        check(avg, &[f64::NEG_INFINITY, 1.0], f64::NEG_INFINITY);
        check(sum, &[f64::INFINITY, f64::NEG_INFINITY], f64::NAN);
    }
}
