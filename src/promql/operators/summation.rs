//! Sums that lose little: compensated summation, means, quantiles and regression, step by step as
//! Prometheus does them, so that the last bits agree.
//!
//! Source: Prometheus `promql/functions.go`, `promql/quantile.go`; Neumaier 1974.

use crate::sample::Sample;

/// A sum with the error that rounding has made so far (Kahan, improved by Neumaier).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl Sum {
    pub(crate) fn new(first: f64) -> Self {
        Self { sum: first, compensation: 0.0 }
    }

    #[must_use]
    pub(crate) fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let compensation = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - sum) + value)
        } else {
            self.compensation + ((value - sum) + self.sum)
        };
        Self { sum, compensation }
    }

    pub(crate) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// A mean: the sum divided by the count, until the sum would overflow; incremental from then on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    sum: Sum,
    mean: Option<f64>,
    count: f64,
}

impl Mean {
    pub(crate) fn new(first: f64) -> Self {
        Self { sum: Sum::new(first), mean: None, count: 1.0 }
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1.0;
        let mean = match self.mean {
            Some(mean) => mean,
            None => {
                let next = self.sum.plus(value);
                if !next.sum.is_infinite() {
                    self.sum = next;
                    return;
                }
                self.sum.compensation /= self.count - 1.0;
                self.sum.sum / (self.count - 1.0)
            }
        };
        let q = (self.count - 1.0) / self.count;
        let next =
            Sum { sum: q * mean, compensation: q * self.sum.compensation }.plus(value / self.count);
        self.mean = Some(next.sum);
        self.sum.compensation = next.compensation;
    }

    pub(crate) fn get(&self) -> f64 {
        match self.mean {
            Some(mean) => mean + self.sum.compensation,
            None => self.sum.sum / self.count + self.sum.compensation / self.count,
        }
    }
}

/// The q-quantile by linear interpolation; sorts the values, NaN first.
///
/// # NaN
/// NaN without values or for a NaN q; -Inf below q = 0, +Inf above q = 1.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (a, b) => b.cmp(&a),
    });
    let last = (values.len() - 1) as f64;
    let rank = q * last;
    let lower = rank.floor().max(0.0);
    let upper = last.min(lower + 1.0);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// Slope (per second) and value at `intercept_ms` of the least-squares line; needs a sample.
pub(crate) fn linear_regression(samples: &[Sample], intercept_ms: i64) -> (f64, f64) {
    let first = samples[0].value;
    if samples.iter().all(|s| s.value == first) || samples.len() == 1 {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x_sum, mut y_sum) = (Sum::default(), Sum::default());
    let (mut xy_sum, mut xx_sum) = (Sum::default(), Sum::default());
    for sample in samples {
        let x = sample.timestamp_ms.saturating_sub(intercept_ms) as f64 / 1e3;
        x_sum = x_sum.plus(x);
        y_sum = y_sum.plus(sample.value);
        xy_sum = xy_sum.plus(x * sample.value);
        xx_sum = xx_sum.plus(x * x);
    }
    let n = samples.len() as f64;
    let (x, y, xy, xx) = (x_sum.total(), y_sum.total(), xy_sum.total(), xx_sum.total());
    let covariance = xy - x * y / n;
    let variance = xx - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::operators::any_sample::is_same_value;

    #[test]
    fn compensation_keeps_what_plain_addition_loses() {
        let sum = [1.0, 1e100, 1.0, -1e100].into_iter().fold(Sum::default(), Sum::plus);
        assert_eq!(sum.total(), 2.0);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::new(1.5e308);
        mean.push(1.5e308);
        assert_eq!(mean.get(), 1.5e308);
        let mut mean = Mean::new(f64::INFINITY);
        mean.push(1.0);
        assert_eq!(mean.get(), f64::INFINITY);
    }

    #[track_caller]
    fn check_quantile(q: f64, values: &[f64], expected: f64) {
        let got = quantile(q, &mut values.to_vec());
        assert!(is_same_value(got, expected), "{q} of {values:?}: {got}");
    }

    #[test]
    fn quantiles_interpolate() {
        check_quantile(0.5, &[3.0, 1.0, 2.0], 2.0);
        check_quantile(0.75, &[1.0, 2.0], 1.75);
        check_quantile(1.0, &[1.0, 2.0], 2.0);
        check_quantile(0.0, &[2.0, f64::NAN], f64::NAN);
        check_quantile(1.0, &[2.0, f64::NAN], 2.0);
        check_quantile(-0.1, &[1.0], f64::NEG_INFINITY);
        check_quantile(1.1, &[1.0], f64::INFINITY);
        check_quantile(f64::NAN, &[1.0], f64::NAN);
        check_quantile(0.5, &[], f64::NAN);
    }

    #[test]
    fn regression_finds_the_line() {
        let samples: Vec<Sample> =
            (0..5).map(|i| Sample::new(i * 10_000, 3.0 + 2.0 * i as f64)).collect();
        let (slope, value) = linear_regression(&samples, 0);
        assert!((slope - 0.2).abs() < 1e-15 && (value - 3.0).abs() < 1e-12);
        let flat = [Sample::new(0, 7.0), Sample::new(1, 7.0)];
        assert_eq!(linear_regression(&flat, 9), (0.0, 7.0));
        let infinite = [Sample::new(0, f64::INFINITY); 2];
        assert!(linear_regression(&infinite, 0).0.is_nan());
    }
}
