//! The `train` section of the configuration.

use serde::{Deserialize, Serialize};

use super::branches::BranchKind;
use super::data::Scaling;
use super::threshold::ThresholdConfig;
use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::model::{LEAST_SPAN, MAX_SPAN_MS, MAX_SPANS, MAX_WINDOW};

/// The `train` section: how a model is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// What is fitted.
    pub model: ModelKind,
    /// For whom.
    pub fit: FitKind,
    /// Steps that the autoencoder looks at; 1 for the newest alone.
    pub window: usize,
    /// How values enter the autoencoder.
    pub scaling: Scaling,
    /// Widths of the autoencoder's layers between input and output.
    pub layers: Vec<usize>,
    /// Passes over the training part at most; little data is passed several times in one.
    pub epochs: usize,
    /// Rows between two updates of the weights.
    pub batch_size: usize,
    /// The step size of Adam.
    pub learning_rate: f64,
    /// Passes after which training ends, without a better loss on the latest tenth.
    pub patience: usize,
    /// Spans of the exponentially weighted means that smooth an entity's errors; of several, their
    /// mean counts. None is shorter than four steps. Without one, errors are left as they are.
    pub smoothing: Vec<Duration>,
    /// What training may take of memory. Of a server's entities a sample is trained on where there are
    /// more than fit.
    pub max_memory: ByteSize,
    /// How the threshold is found.
    pub threshold: ThresholdConfig,
    /// Decides initial weights, the order of rows, and which entities are sampled. The same seed gives
    /// the same file.
    pub seed: u64,
}

/// For whom a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitKind {
    /// One for all entities.
    #[default]
    Pooled,
    /// One for each entity with enough data of its own, and one of all for the others.
    PerEntity,
}

/// What is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// All of the others, each in units of its own usual value.
    #[default]
    Ensemble,
    /// What a bottleneck restores.
    Autoencoder,
    /// What follows from the last steps.
    Forecast,
    /// The time of day's and week's usual value.
    Season,
    /// The entity's own long-running level.
    Level,
}

/// The branches of a draft, which tells what stands out: all but the network, whatever the model is.
pub(super) const DRAFT: &[(BranchKind, f64)] =
    &[(BranchKind::Season, 0.25), (BranchKind::Level, 1.0), (BranchKind::Forecast, 1.25)];

impl ModelKind {
    /// Its name in a configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ensemble => "ensemble",
            Self::Autoencoder => BranchKind::Autoencoder.name(),
            Self::Forecast => BranchKind::Forecast.name(),
            Self::Season => BranchKind::Season.name(),
            Self::Level => BranchKind::Level.name(),
        }
    }

    /// Whether a network is among its branches.
    pub(super) fn has_network(self) -> bool {
        self.weights().iter().any(|(kind, _)| *kind == BranchKind::Autoencoder)
    }

    /// The branches and what each counts for.
    ///
    /// Those of the ensemble lie on a plateau: halving or doubling any changes the quality on the
    /// data sets of its measurement by little. The forecast sees sudden trouble, the level what
    /// lasts, the network what no longer goes together. The season alone stays wrong about a host that
    /// has changed for good, and gets the smallest weight.
    pub(super) fn weights(self) -> &'static [(BranchKind, f64)] {
        match self {
            Self::Ensemble => &[
                (BranchKind::Season, 0.25),
                (BranchKind::Level, 1.0),
                (BranchKind::Forecast, 1.25),
                (BranchKind::Autoencoder, 0.25),
            ],
            Self::Autoencoder => &[(BranchKind::Autoencoder, 1.0)],
            Self::Forecast => &[(BranchKind::Forecast, 1.0)],
            Self::Season => &[(BranchKind::Season, 1.0)],
            Self::Level => &[(BranchKind::Level, 1.0)],
        }
    }
}

/// A value that nothing can be trained with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("train.{key} is {value}: {expected}")]
pub struct TrainConfigError {
    key: &'static str,
    value: String,
    expected: &'static str,
}

/// More layers or wider ones make files that this program itself would not read.
const MAX_LAYERS: usize = 16;
const MAX_WIDTH: usize = 4_096;

/// What training takes of memory whatever it is of: the program, ONNX Runtime, and everything that works on some thousand windows at a time.
pub(super) const FIXED: ByteSize = ByteSize::from_mib(128);

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            model: ModelKind::Ensemble,
            // Hosts of one kind teach each other, and a new one has a model from the start.
            fit: FitKind::Pooled,
            // Long enough to see a course, short enough for ten thousand entities.
            window: 10,
            scaling: Scaling::Standard,
            // Ten numbers have to say how a host has been doing: narrow enough that a feature that
            // no longer goes with the others cannot be copied through.
            layers: vec![10],
            // Early stopping decides, this only bounds it.
            epochs: 100,
            // Large enough for matrix products to pay.
            batch_size: 128,
            // Twice Adam's customary step: the same loss in two thirds of the time.
            learning_rate: 2e-3,
            // The loss wavers for some passes before it falls on.
            patience: 6,
            // The short one sees an event that ends after minutes, the long one holds on to one that
            // flickers.
            smoothing: vec![Duration::from_seconds(300), Duration::from_seconds(3_600)],
            // What a machine that also runs a Prometheus has to spare: two weeks of minutes of three hundred
            // hosts, and more of the same teach little that is new.
            max_memory: ByteSize::from_mib(2_048),
            threshold: ThresholdConfig::default(),
            seed: 0,
        }
    }
}

impl TrainConfigError {
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
    /// The spans of the means in steps of this length.
    pub(super) fn spans(&self, step_ms: i64) -> Vec<f64> {
        let steps = |span: &Duration| span.as_ms() as f64 / step_ms as f64;
        self.smoothing.iter().map(|span| steps(span).max(LEAST_SPAN)).collect()
    }

    /// Refuses what nothing can be trained with.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn validate(&self) -> Result<(), TrainConfigError> {
        let check = TrainConfigError::check;
        let widths = self.layers.iter().all(|it| (1..=MAX_WIDTH).contains(it));
        let layers = (1..=MAX_LAYERS).contains(&self.layers.len()) && widths;
        let expected = "write 1 to 16 widths from 1 to 4096, such as [8, 4, 8]";
        check(layers, "layers", &self.layers, expected)?;
        let expected = "write a number of steps from 1 to 1000";
        check((1..=MAX_WINDOW).contains(&self.window), "window", &self.window, expected)?;
        let spans = self.smoothing.iter().all(|it| (1..=MAX_SPAN_MS).contains(&it.as_ms()));
        let expected = "write up to 4 durations of at most a week, such as [5m, 1h]";
        check(spans && self.smoothing.len() <= MAX_SPANS, "smoothing", &self.smoothing, expected)?;
        let count = "write a number of at least 1";
        check(self.epochs > 0, "epochs", &self.epochs, count)?;
        check(self.batch_size > 0, "batch_size", &self.batch_size, count)?;
        check(self.patience > 0, "patience", &self.patience, count)?;
        let rate = self.learning_rate;
        let expected = "write a number above 0 and at most 1";
        check(rate > 0.0 && rate <= 1.0, "learning_rate", &rate, expected)?;
        let expected = "write a size above 128MiB, such as 2GiB";
        check(self.max_memory > FIXED, "max_memory", &self.max_memory.to_string(), expected)?;
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
        check("smoothing: [1m, 8d]", Some("train.smoothing is"));
        check("smoothing: []", None);
        check(
            "max_memory: 128MiB",
            Some("train.max_memory is \"128MiB\": write a size above 128MiB"),
        );
        check("max_memory: 512MiB", None);
        check("threshold: {percentile: 0}", Some("train.threshold.percentile"));
        assert!(serde_yaml::from_str::<TrainConfig>("epoch: 1").is_err());
    }

    #[test]
    fn spans_are_minutes_and_at_least_four_steps() {
        let spans = |step_s: i64| TrainConfig::default().spans(1_000 * step_s);
        assert_eq!(spans(15), [20.0, 240.0]);
        assert_eq!(spans(60), [5.0, 60.0]);
        assert_eq!(spans(300), [4.0, 12.0]);
        assert_eq!(spans(3_600), [4.0, 4.0]);
    }
}
