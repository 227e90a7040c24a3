//! Why a graph cannot be used, or a batch has no scores, in words that say what to do.

use super::trial::TrialError;
use crate::model::contract::ContractError;

/// Why a batch has no scores, or a model no scorer.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The graph does not keep the contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The graph gives numbers that cannot be errors of rows.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// What the graph asks for besides features makes it fail.
    #[error("in a trial with {with}: {source}")]
    With {
        /// What it was given.
        with: &'static str,
        /// What became of it.
        source: Box<ScorerError>,
    },
    /// ONNX Runtime does not accept the file.
    #[error("ONNX Runtime refuses the model: {0}")]
    Load(String),
    /// The file is newer than ONNX Runtime.
    #[error(
        "the model has IR version {ir_version} and opset {opset}, and this ONNX Runtime reads {what} \
         {newest} at most: export it with {key} {newest}, or install a newer ONNX Runtime"
    )]
    TooNew {
        /// The file's layout.
        ir_version: i64,
        /// The file's operators.
        opset: i64,
        /// Which of both is too new.
        what: &'static str,
        /// The newest that is read.
        newest: i64,
        /// What exporters call it.
        key: &'static str,
    },
    /// The graph failed on a batch.
    #[error("the model fails on an input of shape {shape:?}: {reason}")]
    Run {
        /// The shape of the batch.
        shape: Vec<usize>,
        /// ONNX Runtime's own words.
        reason: String,
    },
    /// The graph asks for the entities' levels and got none: a mistake of the caller.
    #[error(
        "the model needs the level of {rows} entities, [{rows}, {features}], and was given none"
    )]
    NoLevel {
        /// Rows of the batch.
        rows: usize,
        /// The model's features.
        features: usize,
    },
    /// A batch of other dimensions than the model's: a mistake of the caller.
    #[error(
        "a batch of windows [{window}, {features}] for a model of [{model_window}, {model_features}]"
    )]
    Batch {
        /// The batch's steps.
        window: usize,
        /// The batch's features.
        features: usize,
        /// The model's steps.
        model_window: usize,
        /// The model's features.
        model_features: usize,
    },
    /// An output changed its shape between batches.
    #[error("output {name} has the shape {found:?}, expected {expected:?}")]
    Output {
        /// The output.
        name: String,
        /// Its shape now.
        found: Vec<usize>,
        /// Its shape as of the trial.
        expected: Vec<usize>,
    },
}
