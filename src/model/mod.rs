//! A model: a graph that gives every entity an error, and what has to be known to use it.
//!
//! In: the bytes of an ONNX file, the configuration of one model, batches of feature vectors.
//! Out: metadata, and for each entity its error, each feature's share of it and, where the graph
//! tells, the values that the model expected.
//!
//! Invariants: the file is the whole truth about a model of ours; a contradiction with the
//! configuration is refused and never resolved in silence; a graph that does not keep the contract
//! is refused when it is loaded and never fails later for that reason; a row with a value that is
//! not finite has the error NaN.
//!
//! It does not know where features come from, what an alert is, or how a model is trained.
//!
//! Source: ONNX IR specification (ModelProto, version 8) and operators of opset 13.

mod artifact;
mod config;
mod contract;
mod error;
mod external;
pub mod graph;
mod limits;
mod metadata;
mod port;
mod property;
mod range;
mod remembered;
mod role;
mod runtime;
mod scorer;
mod state;
mod still;

pub use artifact::{Artifact, FileDigest, MAX_FILE_BYTES};
pub use config::{ModelConfig, OnnxRuntimeConfig};
pub use contract::{ContractError, ENTITY, LEVEL, MASK};
pub use error::ArtifactError;
pub use limits::{LEAST_SPAN, MAX_SPAN_MS, MAX_SPANS, MAX_WINDOW, repeated};
pub use metadata::{Metadata, ScoreSummary};
pub use port::{Dim, Element, Port};
pub use range::FeatureRange;
pub use remembered::{HourlyMaxima, REMEMBERED_HOURS, Remembered};
pub use role::OutputRole;
pub use runtime::RuntimeError;
pub use scorer::{Context, Run, Runtime, Scorer, ScorerError, Scores, TrialError, Watch};
pub use state::{AdaptiveThreshold, LevelSpec, LevelStart};
pub use still::StillSpec;

/// The model that Portent ships with: hosts as node_exporter sees them, by the features of
/// [`crate::features::profile`]. `models/README.md` says how it was made.
#[must_use]
pub fn shipped() -> bytes::Bytes {
    bytes::Bytes::from_static(include_bytes!("../../models/node.onnx"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{PROFILE_ENTITY, TIME_OF_DAY, TIME_OF_WEEK, profile};

    #[test]
    fn the_shipped_model_knows_the_profile() {
        let artifact = Artifact::read(shipped()).expect("a model file");
        let metadata = artifact.resolve(&ModelConfig::default()).expect("a model of ours");
        let mut features = profile();
        features.extend([TIME_OF_DAY.spec(), TIME_OF_WEEK.spec()]);
        assert_eq!(metadata.features, features, "`make model` trains it again");
        assert_eq!(metadata.entity, PROFILE_ENTITY);
    }
}
