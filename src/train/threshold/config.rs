//! The `train.threshold` section of the configuration.

use serde::{Deserialize, Serialize};

use super::super::config::ConfigError;

/// Sigmas above the mean: of normally distributed scores one in 741 lies farther out.
pub(super) const MEAN_STD_SIGMAS: f64 = 3.0;

/// How a threshold is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMethod {
    /// So many episodes an entity and week.
    Budget,
    /// The score that a percentage of the validation scores does not exceed.
    Percentile,
    /// Mean + 3 sigma where the scores are normally distributed, else as `budget`.
    MeanStd,
}

/// The `train.threshold` section: how the threshold is found. Every method gives a candidate; this
/// says which one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThresholdConfig {
    /// The method that counts.
    pub method: ThresholdMethod,
    /// For `percentile`: the percentage of the validation scores that do not exceed it.
    pub percentile: f64,
    /// For `budget`: alert episodes of an entity in a week.
    pub budget: f64,
}

impl Default for ThresholdConfig {
    fn default() -> Self {
        Self {
            method: ThresholdMethod::Budget,
            // One step in 200 of validation was above.
            percentile: 99.5,
            // An operator of ten machines is called twice a day for nothing at more than this.
            budget: 1.0,
        }
    }
}

impl ThresholdConfig {
    /// Refuses what gives no threshold.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let percent = self.percentile;
        ConfigError::check(
            percent > 0.0 && percent <= 100.0,
            "threshold.percentile",
            &percent,
            "write a number above 0 and at most 100",
        )?;
        ConfigError::check(
            self.budget > 0.0 && self.budget.is_finite(),
            "threshold.budget",
            &self.budget,
            "write how many alert episodes an entity may have in a week, such as 1 or 0.5",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, expected: Option<&str>) {
        let config: ThresholdConfig = serde_yaml::from_str(yaml).expect("a section");
        let found = config.validate().err().map(|it| it.to_string());
        match (&found, expected) {
            (Some(found), Some(expected)) => assert!(found.starts_with(expected), "{found}"),
            _ => assert_eq!(found.as_deref(), expected),
        }
    }

    #[test]
    fn what_gives_no_threshold_is_named() {
        check("{}", None);
        check("{method: mean_std}", None);
        check("{method: percentile, percentile: 100}", None);
        check("percentile: 0", Some("train.threshold.percentile is 0.0"));
        check("percentile: 100.1", Some("train.threshold.percentile is 100.1"));
        check("budget: 0", Some("train.threshold.budget is 0.0"));
        check("budget: .inf", Some("train.threshold.budget is inf"));
    }

    #[test]
    fn unknown_keys_and_methods_are_refused() {
        assert!(serde_yaml::from_str::<ThresholdConfig>("percent: 1").is_err());
        assert!(serde_yaml::from_str::<ThresholdConfig>("method: median").is_err());
    }
}
