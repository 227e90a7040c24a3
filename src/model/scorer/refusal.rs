//! A refusal: why ONNX Runtime does not accept a file, in words that say what to do.
//!
//! In: ONNX Runtime's own words. Out: an error. Only for files newer than the library are there better
//! words; all others are passed on.
//!
//! Source: the messages of ONNX Runtime 1.20 to 1.32, core/graph/model.cc.

use super::ScorerError;
use crate::model::artifact::Artifact;

/// What stands before the newest version of the layout, and of the operators, that the library reads.
const LIMITS: [(&str, &str, &str); 2] = [
    ("max supported IR version: ", "IR version", "`onnx_model.ir_version`"),
    ("for domain ai.onnx is till opset ", "opset", "`opset_version`"),
];

/// Why the library does not accept the file.
pub(super) fn refusal(artifact: &Artifact, reason: String) -> ScorerError {
    let (ir_version, opset) = artifact.versions();
    for (words, what, key) in LIMITS {
        let Some((_, rest)) = reason.split_once(words) else { continue };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(newest) = digits.parse() {
            return ScorerError::TooNew { ir_version, opset, what, newest, key };
        }
    }
    ScorerError::Load(reason)
}
