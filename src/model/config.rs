//! One item of the configuration's `models`: which file, and what a file does not say itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::limits::repeated;
use super::role::OutputRole;
use crate::duration::Duration;
use crate::features::{FeatureError, FeatureSpec, Features, PROFILE_ENTITY};
use crate::setting::SettingError;

/// One item of the configuration's `models`.
///
/// A model trained by Portent carries all of this in its file: whatever is repeated here must be
/// equal. A model from elsewhere (PyTorch, Keras, scikit-learn) takes it from here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The value of the `model` label.
    pub name: String,
    /// The `.onnx` file. Without it, the model that Portent ships with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The labels whose values name an entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<Vec<String>>,
    /// The inputs in the graph's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<FeatureSpec>>,
    /// The distance between two steps of a window, and between two ticks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Duration>,
    /// Steps that the graph looks at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// The error above which an entity is anomalous.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// What the graph's outputs are, by name, where names and shapes do not tell. Others are not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<BTreeMap<String, OutputRole>>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            // The shipped model knows hosts by what node_exporter tells of them.
            name: "node".to_owned(),
            file: None,
            entity: None,
            features: None,
            step: None,
            window: None,
            threshold: None,
            outputs: None,
        }
    }
}

impl ModelConfig {
    /// Checks the list of models; says the first thing in it that cannot work.
    pub fn validate_all(models: &[Self]) -> Result<(), SettingError> {
        if models.is_empty() {
            return Err(SettingError::new("models", "there must be at least one"));
        }
        for (i, model) in models.iter().enumerate() {
            let wrong = |reason: &str| SettingError::new(format!("models[{i}]"), reason);
            if models[..i].iter().any(|other| other.name == model.name) {
                return Err(wrong(&format!("name {:?} is used twice", model.name)));
            }
            if let Some(reason) = model.fault() {
                return Err(wrong(&reason));
            }
            if let Some(specs) = &model.features {
                let parsed = Features::parse(specs, &model.entity_or_profile());
                let wrong = |it: FeatureError| {
                    SettingError::new(format!("model {:?}", model.name), it.to_string())
                };
                parsed.map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn fault(&self) -> Option<String> {
        if self.name.is_empty() {
            return Some("name must not be empty".to_owned());
        }
        if self.threshold.is_some_and(|it| !(it.is_finite() && it > 0.0)) {
            return Some("threshold must be a number above 0".to_owned());
        }
        if self.step.is_some_and(|step| step.as_ms() == 0) {
            return Some("step must be above 0".to_owned());
        }
        if self.window == Some(0) {
            return Some("window must be above 0".to_owned());
        }
        let twice = self.entity.as_deref().and_then(repeated)?;
        Some(format!("entity: label {twice:?} is there twice"))
    }

    /// Its entity labels; without any, those of the built-in profile.
    #[must_use]
    pub fn entity_or_profile(&self) -> Vec<String> {
        self.entity.clone().unwrap_or_else(|| PROFILE_ENTITY.map(str::to_owned).to_vec())
    }
}

/// The `onnxruntime` section of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnnxRuntimeConfig {
    /// The shared library. Without it, the usual places are searched.
    pub library: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_strict_and_every_key_optional() {
        let config: ModelConfig =
            serde_yaml::from_str("file: m.onnx\nstep: 15s\nthreshold: 0.5").expect("a section");
        assert_eq!(config.name, "node");
        assert_eq!(config.step, Some(Duration::from_seconds(15)));
        assert_eq!(config.threshold, Some(0.5));
        let error = serde_yaml::from_str::<ModelConfig>("file: m.onnx\ntreshold: 1")
            .expect_err("a mistyped key");
        assert!(error.to_string().contains("treshold"), "{error}");
    }
}
