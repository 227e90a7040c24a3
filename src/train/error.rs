//! Why there is no model.

use std::path::PathBuf;

use super::config::{ModelKind, TrainConfigError};
use super::data::DatasetError;
use super::fit::FitError;
use super::threshold::ThresholdError;
use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::features::FeatureError;
use crate::history::HistoryError;
use crate::model::{ArtifactError, RuntimeError, ScorerError};

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting that nothing can be trained with.
    #[error(transparent)]
    Config(#[from] TrainConfigError),
    /// A feature that serving could not compute.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// No ONNX Runtime to measure with and to load the file in.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// No history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A table has another step than is asked for.
    #[error(
        "the table has steps of {found}, and a step of {asked} is asked for (--step, or step of the model): \
         leave it out, or bring the table to steps of {asked} first"
    )]
    Step {
        /// What is asked for.
        asked: Duration,
        /// The table's.
        found: Duration,
    },
    /// Too much of it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Too little of it.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// No network to search for.
    #[error(
        "there is nothing to tune: trials are of the network, and `train.model: {}` has none; leave out \
         --tune, or use `train.model: ensemble` or `train.model: autoencoder`",
        .0.name()
    )]
    Tune(ModelKind),
    /// Nothing learnt.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// No threshold.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    /// The file does not read back: a mistake in this program.
    #[error("the written model cannot be read")]
    Artifact(#[from] ArtifactError),
    /// ONNX Runtime refuses the file: a mistake in this program.
    #[error("the written model cannot be run")]
    Scorer(#[from] ScorerError),
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
}

/// More than fits, of a source that is read whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entities} entities, {steps} steps and {features} features take some {bytes} to train on, more than \
     train.max_memory, which is {most}: raise it, or use fewer steps"
)]
pub struct MemoryError {
    pub(super) entities: usize,
    pub(super) steps: usize,
    pub(super) features: usize,
    pub(super) bytes: ByteSize,
    pub(super) most: ByteSize,
}
