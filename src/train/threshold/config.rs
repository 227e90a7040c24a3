//! The `train.threshold` section of the configuration.

use serde::{Deserialize, Serialize};

use super::super::config::TrainConfigError;
use crate::model::AdaptiveThreshold;

/// Sigmas above the mean: of normally distributed scores one in 741 lies farther out.
pub(super) const MEAN_STD_SIGMAS: f64 = 3.0;

/// How a threshold is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMethod {
    /// Half as much again as the largest score of six hours usually is.
    Base,
    /// So many episodes an entity and week.
    Budget,
    /// The score that a percentage of the scores does not exceed.
    Percentile,
    /// Mean + 3 sigma where the scores are normally distributed, else as `base`.
    MeanStd,
}

/// The `train.threshold` section: how the threshold is found. Every method gives a candidate; this
/// says which one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThresholdConfig {
    /// The method that counts.
    pub method: ThresholdMethod,
    /// For `base`: so many times the largest score that six hours usually have.
    pub base: f64,
    /// For `percentile`: the percentage of the scores that do not exceed it.
    pub percentile: f64,
    /// For `budget`: alert episodes of an entity in a week.
    pub budget: f64,
    /// How many hours of a week an entity may be in alarm: what more of them reach is how it is, and the
    /// threshold in force rises to it. Less than 168.
    pub hours_per_week: u32,
    /// Whether what an entity does at the same hour on five of seven days is no news. Not for faults that
    /// come back every day at one hour.
    pub same_hour: bool,
}

impl Default for ThresholdConfig {
    fn default() -> Self {
        Self {
            method: ThresholdMethod::Base,
            // 1.6 calls less and finds less: 76.7 % of events at .50 false alarms a day where 1.5 finds
            // 78 % at .58.
            base: 1.5,
            // One step in 200 was above.
            percentile: 99.5,
            // An operator of ten machines is called twice a day for nothing at more than this.
            budget: 1.0,
            hours_per_week: AdaptiveThreshold::default().hours_per_week,
            same_hour: AdaptiveThreshold::default().same_hour,
        }
    }
}

/// The name of the candidate of a percentage.
pub(super) fn percentile(percent: f64) -> String {
    format!("percentile {percent}")
}

impl ThresholdConfig {
    /// The name of a method's candidate.
    pub(super) fn name(&self, method: ThresholdMethod) -> String {
        match method {
            ThresholdMethod::Base => format!("base {}", self.base),
            ThresholdMethod::Budget => format!("budget {} per week", self.budget),
            ThresholdMethod::Percentile => percentile(self.percentile),
            ThresholdMethod::MeanStd => format!("mean_std {MEAN_STD_SIGMAS}"),
        }
    }

    /// How the threshold in force follows an entity's own hours.
    #[must_use]
    pub fn adaptive(&self) -> AdaptiveThreshold {
        let Self { hours_per_week, same_hour, .. } = *self;
        AdaptiveThreshold { hours_per_week, same_hour }
    }

    /// Refuses what gives no threshold.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn validate(&self) -> Result<(), TrainConfigError> {
        let percent = self.percentile;
        TrainConfigError::check(
            percent > 0.0 && percent <= 100.0,
            "threshold.percentile",
            &percent,
            "write a number above 0 and at most 100",
        )?;
        TrainConfigError::check(
            self.budget > 0.0 && self.budget.is_finite(),
            "threshold.budget",
            &self.budget,
            "write how many alert episodes an entity may have in a week, such as 1 or 0.5",
        )?;
        TrainConfigError::check(
            self.base >= 1.0 && self.base.is_finite(),
            "threshold.base",
            &self.base,
            "write how many times the usual, at least 1, such as 1.5",
        )?;
        TrainConfigError::check(
            self.adaptive().is_good(),
            "threshold.hours_per_week",
            &self.hours_per_week,
            "write a number of hours below 168, such as 11",
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
        check("base: 0.9", Some("train.threshold.base is 0.9"));
        check("base: .nan", Some("train.threshold.base is NaN"));
        check("hours_per_week: 168", Some("train.threshold.hours_per_week is 168"));
        check("{hours_per_week: 0, same_hour: false}", None);
    }

    #[test]
    fn unknown_keys_and_methods_are_refused() {
        assert!(serde_yaml::from_str::<ThresholdConfig>("percent: 1").is_err());
        assert!(serde_yaml::from_str::<ThresholdConfig>("method: median").is_err());
    }
}
