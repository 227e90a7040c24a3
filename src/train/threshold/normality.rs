//! Normality: whether scores look like draws from a normal distribution.
//!
//! There are two tests, because each alone has blind spots: Shapiro-Wilk looks at the tails, Kolmogorov-Smirnov
//! at the largest distance anywhere. Mean and sigma are estimated from the same scores, for which the
//! classic critical values of Kolmogorov-Smirnov are far too lenient; those of Lilliefors are
//! made for this case. Both tests assume independent scores. Smoothed scores are not independent and are
//! rejected too often, which is the safe side: the budget method does not assume a distribution.
//!
//! Sources: Royston 1995, "Remark AS R94"; Lilliefors 1967; Dallal and Wilkinson 1986.

use super::ThresholdError;
use super::config::MEAN_STD_SIGMAS;
use crate::statistics::{mean_and_sigma, normal_above, normal_quantile};

/// A test at this level rejects one normal sample in twenty: custom.
const SIGNIFICANCE: f64 = 0.05;

/// Shapiro-Wilk is calibrated for so many; of more, evenly spaced ones are taken.
const MAX_SAMPLE: usize = 5_000;

/// With fewer, neither test can reject much: silence would be taken for consent.
const MIN_SAMPLE: usize = 20;

/// The formula of Dallal and Wilkinson is meant for smaller probabilities.
const MAX_LILLIEFORS_P: f64 = 0.1;

/// Mean + 3 sigma, if nothing speaks against a normal distribution; and what the tests say.
///
/// Takes ascending scores; evenly spaced ones among them are evenly spaced quantiles.
pub(super) fn mean_std(sorted: &[f64]) -> (Result<f64, ThresholdError>, String) {
    if sorted.len() < MIN_SAMPLE {
        let what = "to test for normality";
        let error = ThresholdError::TooFew { what, found: sorted.len(), needed: MIN_SAMPLE };
        return (Err(error), String::new());
    }
    let sample = evenly_spaced(sorted);
    let (Some((w, w_p)), Some((d, d_p))) = (shapiro_wilk(&sample), lilliefors(&sample)) else {
        return (Err(ThresholdError::NotNormal), "all scores are the same".to_owned());
    };
    let shapiro = w_p < SIGNIFICANCE;
    let smirnov = d_p < SIGNIFICANCE;
    let verdict = match (shapiro, smirnov) {
        (false, false) => "neither test rejects a normal distribution",
        (true, false) => "Shapiro-Wilk rejects a normal distribution",
        (false, true) => "Kolmogorov-Smirnov rejects a normal distribution",
        (true, true) => "both tests reject a normal distribution",
    };
    let d_p = if d_p < MAX_LILLIEFORS_P { shown(d_p) } else { "above 0.1".to_owned() };
    let w_p = shown(w_p);
    let note = format!(
        "{verdict} at 5 %: Shapiro-Wilk W {w:.4}, p {w_p}; Kolmogorov-Smirnov D {d:.4}, p {d_p} \
         (Lilliefors); {} of {} scores",
        sample.len(),
        sorted.len()
    );
    if shapiro || smirnov {
        return (Err(ThresholdError::NotNormal), note);
    }
    let (mean, sigma) = mean_and_sigma(sorted);
    (Ok(mean + MEAN_STD_SIGMAS * sigma), note)
}

/// A p-value, which approximations do not give exactly when it is tiny.
fn shown(p: f64) -> String {
    if p < 1e-6 { "below 1e-6".to_owned() } else { format!("{p:.2e}") }
}

fn evenly_spaced(sorted: &[f64]) -> Vec<f64> {
    if sorted.len() <= MAX_SAMPLE {
        return sorted.to_vec();
    }
    // In the middle of each of equal stretches.
    let stretch = sorted.len() as f64 / MAX_SAMPLE as f64;
    let place = |i: usize| ((i as f64 + 0.5) * stretch) as usize;
    (0..MAX_SAMPLE).map(|i| sorted[place(i)]).collect()
}

/// The Shapiro-Wilk statistic of at least 12 and at most 5000 ascending values and its p-value.
/// `None` if they are all the same.
///
/// # Source
/// Royston 1995, AS R94: approximate weights and the normalising transform for more than 11 values.
pub(super) fn shapiro_wilk(sorted: &[f64]) -> Option<(f64, f64)> {
    const FIRST: [f64; 6] = [0.0, 0.221_157, -0.147_981, -2.071_19, 4.434_685, -2.706_056];
    const SECOND: [f64; 6] = [0.0, 0.042_981, -0.293_762, -1.752_461, 5.682_633, -3.582_633];
    const MEAN: [f64; 4] = [-1.586_1, -0.310_82, -0.083_751, 0.003_891_5];
    const LOG_SIGMA: [f64; 3] = [-0.480_3, -0.082_676, 0.003_030_2];
    let n = sorted.len();
    let count = n as f64;
    // Expected order statistics of a normal sample, the larger half, largest first.
    let expected = |i: usize| -normal_quantile((i as f64 + 1.0 - 0.375) / (count + 0.25));
    let mut weights: Vec<f64> = (0..n / 2).map(expected).collect();
    let squares = 2.0 * weights.iter().map(|m| m * m).sum::<f64>();
    let norm = squares.sqrt();
    let root = 1.0 / count.sqrt();
    let outermost = polynomial(&FIRST, root) + weights[0] / norm;
    let next = polynomial(&SECOND, root) + weights[1] / norm;
    let rest = squares - 2.0 * (weights[0].powi(2) + weights[1].powi(2));
    let scale = (rest / (1.0 - 2.0 * (outermost.powi(2) + next.powi(2)))).sqrt();
    for weight in &mut weights {
        *weight /= scale;
    }
    (weights[0], weights[1]) = (outermost, next);

    let mean = sorted.iter().sum::<f64>() / count;
    let spread: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
    // Anything less is rounding.
    if spread <= count * (f64::EPSILON * mean).powi(2) {
        return None;
    }
    let pairs = sorted.iter().zip(sorted.iter().rev());
    let linear: f64 = weights.iter().zip(pairs).map(|(w, (low, high))| w * (high - low)).sum();
    // The weights have the norm 1.
    let missing = (1.0 - linear * linear / spread).max(f64::MIN_POSITIVE);
    let log_count = count.ln();
    let sigma = polynomial(&LOG_SIGMA, log_count).exp();
    let standard = (missing.ln() - polynomial(&MEAN, log_count)) / sigma;
    Some((1.0 - missing, normal_above(standard)))
}

/// The Kolmogorov-Smirnov distance of ascending values to the normal distribution with their own
/// mean and sigma, and its p-value, which is 0.1 for all that is larger. `None` if they are all the
/// same.
///
/// # Source
/// Lilliefors 1967; Dallal and Wilkinson 1986 (p-values, with their correction for more than 100).
pub(super) fn lilliefors(sorted: &[f64]) -> Option<(f64, f64)> {
    let (mean, sigma) = mean_and_sigma(sorted);
    if sigma <= f64::EPSILON * mean.abs() {
        return None;
    }
    let count = sorted.len() as f64;
    let mut distance: f64 = 0.0;
    for (i, value) in sorted.iter().enumerate() {
        let below = 1.0 - normal_above((value - mean) / sigma);
        let (before, after) = (i as f64 / count, (i as f64 + 1.0) / count);
        distance = distance.max(after - below).max(below - before);
    }
    let (mut d, mut n) = (distance, count);
    if n > 100.0 {
        d *= (n / 100.0).powf(0.49);
        n = 100.0;
    }
    let m = n + 2.780_19;
    let exponent = -7.012_56 * d * d * m + 2.995_87 * d * m.sqrt() - 0.122_119
        + 0.974_598 / n.sqrt()
        + 1.679_97 / n;
    Some((distance, exponent.exp().min(MAX_LILLIEFORS_P)))
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}
