//! The `train` section of the configuration.

use serde::{Deserialize, Serialize};

use super::threshold::ThresholdConfig;

/// The `train` section: how a model is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Widths of the layers between input and output, which are as wide as there are features.
    pub layers: Vec<usize>,
    /// Passes over the training part at most.
    pub epochs: usize,
    /// Rows between two updates of the weights.
    pub batch_size: usize,
    /// The step size of Adam.
    pub learning_rate: f64,
    /// Passes without a better validation loss after which training ends.
    pub patience: usize,
    /// The share of the steps, the latest ones, that the fit does not see, above 0 and below 1.
    pub validation_share: f64,
    /// How the threshold is found.
    pub threshold: ThresholdConfig,
    /// Decides initial weights and the order of rows. The same seed gives the same file.
    pub seed: u64,
}

/// A value that nothing can be trained with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("train.{key} is {value}: {expected}")]
pub struct ConfigError {
    key: &'static str,
    value: String,
    expected: &'static str,
}

/// More layers or wider ones make files that this program itself would not read.
const MAX_LAYERS: usize = 16;
const MAX_WIDTH: usize = 4_096;

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            // The classic bottleneck for a host: four numbers have to say how it is doing. Narrow
            // enough that a feature that stops moving with the others cannot be copied through.
            layers: vec![8, 4, 8],
            // An hour at 15 s is 6 updates a pass: early stopping decides, this only bounds it.
            epochs: 500,
            // Small enough for a few minutes of data, large enough for matrix products to pay.
            batch_size: 32,
            // Adam's customary step.
            learning_rate: 1e-3,
            // The validation loss of small data wavers for some passes before it falls on.
            patience: 30,
            // The usual fifth.
            validation_share: 0.2,
            threshold: ThresholdConfig::default(),
            seed: 0,
        }
    }
}

impl ConfigError {
    /// Names the key below `train` unless its value is good.
    pub(super) fn check(
        ok: bool,
        key: &'static str,
        value: &dyn std::fmt::Debug,
        expected: &'static str,
    ) -> Result<(), Self> {
        match ok {
            true => Ok(()),
            false => Err(Self { key, value: format!("{value:?}"), expected }),
        }
    }
}

impl TrainConfig {
    /// Refuses what nothing can be trained with.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = ConfigError::check;
        let widths = self.layers.iter().all(|it| (1..=MAX_WIDTH).contains(it));
        let layers = (1..=MAX_LAYERS).contains(&self.layers.len()) && widths;
        let expected = "write 1 to 16 widths from 1 to 4096, such as [8, 4, 8]";
        check(layers, "layers", &self.layers, expected)?;
        let count = "write a number of at least 1";
        check(self.epochs > 0, "epochs", &self.epochs, count)?;
        check(self.batch_size > 0, "batch_size", &self.batch_size, count)?;
        check(self.patience > 0, "patience", &self.patience, count)?;
        let rate = self.learning_rate;
        let expected = "write a number above 0 and at most 1";
        check(rate > 0.0 && rate <= 1.0, "learning_rate", &rate, expected)?;
        let share = self.validation_share;
        let expected = "write a number above 0 and below 1";
        check(share > 0.0 && share < 1.0, "validation_share", &share, expected)?;
        self.threshold.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, expected: Option<&str>) {
        let config: TrainConfig = serde_yaml::from_str(yaml).expect("a section");
        let found = config.validate().err().map(|it| it.to_string());
        match (&found, expected) {
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
            _ => assert_eq!(found.as_deref(), expected),
        }
    }

    #[test]
    fn what_nothing_can_be_trained_with_is_named() {
        check("{}", None);
        check("{layers: [64], seed: 7}", None);
        check("layers: []", Some("train.layers is []"));
        check("layers: [8, 0]", Some("train.layers is [8, 0]"));
        check("epochs: 0", Some("train.epochs is 0"));
        check("batch_size: 0", Some("train.batch_size"));
        check("patience: 0", Some("train.patience"));
        check("learning_rate: .nan", Some("train.learning_rate is NaN"));
        check("validation_share: 1", Some("train.validation_share is 1.0"));
        check("threshold: {percentile: 0}", Some("train.threshold.percentile"));
        assert!(serde_yaml::from_str::<TrainConfig>("epoch: 1").is_err());
    }
}
