//! A role: what an output of a graph is taken for.
//!
//! In: an output's name, as other tools write it (`mse`, `decoder/Sigmoid:0`, `anomaly_score`), or what
//! the user says of it. Out: the role that the name tells, if it tells one. Shapes are the contract's part.
//!
//! Source: what torch.onnx, tf2onnx, skl2onnx and PyOD call their outputs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an output of a graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputRole {
    /// The larger, the stranger; 0 or more.
    Error,
    /// The smaller, the stranger; below 0 for what is strange, as decision functions are. The error is
    /// how far it is below 0.
    Normality,
    /// What the features should be.
    Reconstruction,
    /// Each feature's share of the error.
    Contribution,
}

impl fmt::Display for OutputRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Normality => "normality",
            Self::Reconstruction => "reconstruction",
            Self::Contribution => "contribution",
        })
    }
}

/// Words of names that mean an error, whatever else is in the name: `reconstruction_error` is one.
const ERROR: [&str; 9] =
    ["score", "error", "errors", "mse", "mae", "rmse", "loss", "anomaly", "outlier"];

/// Words that mean the opposite.
const NORMALITY: [&str; 9] = [
    "scores",
    "decision",
    "samples",
    "normality",
    "inlier",
    "likelihood",
    "density",
    "probability",
    "probabilities",
];

/// Words that mean what the features should be.
const RECONSTRUCTION: [&str; 6] =
    ["reconstruction", "reconstructed", "recon", "decoded", "decoder", "hat"];

impl OutputRole {
    /// What a name tells; `None` for one that says nothing, such as `output`, `y` or `Identity:0`.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphabetic()).collect();
        let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
        // `anomaly_scores` rise, `score_samples` of scikit-learn fall.
        let rises = has(&["error", "errors", "anomaly", "outlier"]);
        if name == "contribution" {
            Some(Self::Contribution)
        } else if !rises && has(&NORMALITY) && !has(&["negative", "neg"]) {
            Some(Self::Normality)
        } else if has(&ERROR) {
            Some(Self::Error)
        } else if has(&RECONSTRUCTION) {
            Some(Self::Reconstruction)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_roles() {
        for (names, expected) in [
            (
                &["score", "mse", "Error", "anomaly_score", "anomaly_scores", "outlier.scores"][..],
                Some(OutputRole::Error),
            ),
            (&["reconstruction_error", "mse:0", "model/loss"], Some(OutputRole::Error)),
            (
                &["scores", "score_samples", "decision_function", "log_likelihood"],
                Some(OutputRole::Normality),
            ),
            (
                &["reconstruction", "x_hat", "decoder/Sigmoid:0", "recon"],
                Some(OutputRole::Reconstruction),
            ),
            (&["contribution"], Some(OutputRole::Contribution)),
            (
                &["output", "y", "Identity:0", "17", "label", "latent", "negative_log_likelihood"],
                None,
            ),
            (&["level_residual", "season_value", "", "scoreboard"], None),
        ] {
            for name in names {
                assert_eq!(OutputRole::of(name), expected, "{name}");
            }
        }
    }
}
