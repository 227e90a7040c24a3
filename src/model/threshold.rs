//! A threshold: the error above which an entity is anomalous, taken from errors of normal times.
//!
//! In: errors of validation rows, which the fit has not seen. Out: one positive number. Errors of
//! neighbouring steps are much alike, so that a short validation part holds few independent ones;
//! then the number says more about that hour than about the percentile. Nothing is added in secret
//! to make up for that: validate on a longer range, or choose a higher percentile.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a threshold is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMethod {
    /// The error that this percentage of the validation rows does not exceed.
    Percentile(f64),
}

/// Why there is no threshold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ThresholdError {
    /// Nothing to take it from.
    #[error("no validation errors to take a threshold from")]
    Empty,
    /// Not a percentage.
    #[error("percentile {0} is not above 0 and at most 100")]
    Percentile(f64),
    /// An error that is not a number: scoring went wrong before.
    #[error("validation errors hold {0}, which is no number to compare with")]
    NotFinite(f64),
    /// A threshold of zero would make every error anomalous.
    #[error("the threshold would be {0}: the validation rows never differ from what was learnt")]
    NotPositive(f64),
}

impl ThresholdMethod {
    /// The threshold for these errors.
    ///
    /// # Errors
    /// Without errors, with one that is not finite, for an impossible percentile, and when the
    /// result would not be above zero.
    pub fn threshold(self, errors: &[f64]) -> Result<f64, ThresholdError> {
        let threshold = match self {
            Self::Percentile(percent) => percentile(errors, percent)?,
        };
        if threshold > 0.0 { Ok(threshold) } else { Err(ThresholdError::NotPositive(threshold)) }
    }
}

impl fmt::Display for ThresholdMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "percentile {percent}"),
        }
    }
}

/// The value at `percent` of the sorted errors, on the line between the two neighbours where it
/// falls between them.
///
/// # Source
/// Hyndman and Fan 1996, definition 7; numpy's default.
fn percentile(errors: &[f64], percent: f64) -> Result<f64, ThresholdError> {
    if !(percent > 0.0 && percent <= 100.0) {
        return Err(ThresholdError::Percentile(percent));
    }
    if let Some(bad) = errors.iter().find(|error| !error.is_finite()) {
        return Err(ThresholdError::NotFinite(*bad));
    }
    let last = errors.len().checked_sub(1).ok_or(ThresholdError::Empty)?;
    let mut sorted = errors.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let position = percent / 100.0 * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = position - below as f64;
    Ok(sorted[below] + (sorted[above] - sorted[below]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(percent: f64, errors: &[f64], expected: Result<f64, ThresholdError>) {
        let found = ThresholdMethod::Percentile(percent).threshold(errors);
        match (&found, &expected) {
            (Ok(found), Ok(expected)) => assert!((found - expected).abs() < 1e-12, "{found}"),
            (Err(ThresholdError::NotFinite(_)), Err(ThresholdError::NotFinite(_))) => {}
            _ => assert_eq!(found, expected),
        }
    }

    #[test]
    fn a_percentile_is_numpys() {
        // numpy.percentile([4, 1, 3, 2], 99.5) and so on.
        check(99.5, &[4.0, 1.0, 3.0, 2.0], Ok(3.985));
        check(50.0, &[4.0, 1.0, 3.0, 2.0], Ok(2.5));
        check(100.0, &[4.0, 1.0, 3.0, 2.0], Ok(4.0));
        check(10.0, &[4.0, 1.0, 3.0, 2.0], Ok(1.3));
        check(99.5, &[0.25], Ok(0.25));
    }

    #[test]
    fn what_gives_no_threshold_says_why() {
        check(99.5, &[], Err(ThresholdError::Empty));
        check(0.0, &[1.0], Err(ThresholdError::Percentile(0.0)));
        check(100.1, &[1.0], Err(ThresholdError::Percentile(100.1)));
        check(99.5, &[0.0, 0.0], Err(ThresholdError::NotPositive(0.0)));
        check(99.5, &[1.0, f64::NAN], Err(ThresholdError::NotFinite(f64::NAN)));
    }
}
