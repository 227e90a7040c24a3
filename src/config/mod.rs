//! The configuration: what the user wrote, as the validated sections of the rooms.
//!
//! In: YAML text. Out: a [`Config`] in which every key has a value. Strict: an unknown key, a value
//! of the wrong kind or one that cannot work is an error that says where. Each section is the
//! struct of the room that uses it; this floor alone knows YAML.
//! Source: the manners of Prometheus's `config/config.go`.

mod words;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::actions::ActionsConfig;
use crate::api::QueryConfig;
use crate::detect::{AlertingConfig, DetectConfig};
use crate::exporter::ExporterConfig;
use crate::features::{FeatureError, Features, PROFILE_ENTITY, profile};
use crate::files::{ReadError, read_whole};
use crate::history::HistoryConfig;
use crate::http::WebConfig;
use crate::labels::METRIC_NAME;
use crate::model::{ModelConfig, OnnxRuntimeConfig, repeated};
use crate::notify::NotifyConfig;
use crate::promql::parse_selector;
use crate::remote_write::RemoteWriteConfig;
use crate::series::StorageConfig;
use crate::train::{self, TrainConfig};

/// Bytes of a configuration file, at most: ten thousand features fit.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// When models are evaluated, and on what.
    pub global: DetectConfig,
    /// Which alerts there are.
    pub alerting: AlertingConfig,
    /// Who is told of them.
    pub notify: NotifyConfig,
    /// What is done about them.
    pub actions: ActionsConfig,
    /// The models that score.
    pub models: Vec<ModelConfig>,
    /// Limits of the rings.
    pub storage: StorageConfig,
    /// Limits on what may be pushed.
    pub remote_write: RemoteWriteConfig,
    /// Limits on queries.
    pub query: QueryConfig,
    /// Limits on connections.
    pub web: WebConfig,
    /// What is exported.
    pub exporter: ExporterConfig,
    /// Where ONNX Runtime is.
    pub onnxruntime: OnnxRuntimeConfig,
    /// How a server is asked for history.
    pub history: HistoryConfig,
    /// How models are trained.
    pub train: TrainConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            global: DetectConfig::default(),
            alerting: AlertingConfig::default(),
            notify: NotifyConfig::default(),
            actions: ActionsConfig::default(),
            models: vec![ModelConfig::default()],
            storage: StorageConfig::default(),
            remote_write: RemoteWriteConfig::default(),
            query: QueryConfig::default(),
            web: WebConfig::default(),
            exporter: ExporterConfig::default(),
            onnxruntime: OnnxRuntimeConfig::default(),
            history: HistoryConfig::default(),
            train: TrainConfig::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// What it is instead, or what the system says.
        #[source]
        source: ReadError,
    },
    /// Not YAML, or not of the right shape.
    #[error("{file}: {reason}")]
    Yaml {
        /// The file.
        file: String,
        /// Key, reason, line and column.
        reason: String,
    },
    /// Not text as YAML wants it.
    #[error("{file}: line {line} is not UTF-8 text; save the file as UTF-8")]
    Text {
        /// The file.
        file: String,
        /// The first such line.
        line: usize,
    },
    /// A value that cannot work.
    #[error("{file}: {key}: {reason}")]
    Value {
        /// The file.
        file: String,
        /// The key's path.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What nothing can be trained with.
    #[error("{file}: {source}")]
    Train {
        /// The file.
        file: String,
        /// Which key, and why.
        #[source]
        source: train::TrainConfigError,
    },
    /// A feature that cannot be computed.
    #[error("{file}: model {model:?}: {source}")]
    Feature {
        /// The file.
        file: String,
        /// The model.
        model: String,
        /// Which feature, and why.
        #[source]
        source: FeatureError,
    },
}

impl Config {
    /// Reads and checks a file; the built-in configuration without one. Relative paths in it are
    /// taken from the folder that the file is in.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = file else {
            return Ok(Self::default());
        };
        let name = path.display().to_string();
        let read = |source| ConfigError::Read { file: name.clone(), source };
        let bytes = read_whole(path, MAX_FILE_BYTES).map_err(read)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            ConfigError::Text { file: name.clone(), line }
        })?;
        let mut config = Self::parse(&name, &text)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads and checks a text. An empty one is the built-in configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with `name` in it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let file = name.to_owned();
        let empty = text.lines().all(|line| matches!(line.trim().chars().next(), None | Some('#')));
        let config = if empty {
            Self::default()
        } else {
            serde_yaml::from_str::<Self>(text)
                .map_err(|error| ConfigError::Yaml { file, reason: words::plain(&error) })?
        };
        config.validate(name)?;
        Ok(config)
    }

    /// The configuration as YAML with every default, and the features of the built-in profile
    /// where a model uses that.
    ///
    /// # Panics
    /// Never: every section can be written as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut full = self.clone();
        for model in full.models.iter_mut().filter(|model| model.file.is_none()) {
            model.features.get_or_insert_with(profile);
            model.entity.get_or_insert_with(|| PROFILE_ENTITY.map(str::to_owned).to_vec());
        }
        serde_yaml::to_string(&full).expect("plain data")
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        self.models.iter_mut().filter_map(|model| model.file.as_mut()).for_each(resolve);
        self.onnxruntime.library.iter_mut().for_each(resolve);
        self.history.resolve_paths(folder);
        self.notify.resolve_paths(folder);
        self.actions.resolve_paths(folder);
    }

    fn validate(&self, file: &str) -> Result<(), ConfigError> {
        let wrong = |key: &str, reason: String| {
            Err(ConfigError::Value { file: file.to_owned(), key: key.to_owned(), reason })
        };
        if let Some((key, reason)) = self.zeros().into_iter().next() {
            return wrong(key, reason);
        }
        if let Err(error) = self.history.validate() {
            return wrong(&error.key, error.reason);
        }
        let models: Vec<&str> = self.models.iter().map(|model| &*model.name).collect();
        if let Err(error) = self.alerting.validate(&models) {
            return wrong(&error.key, error.reason);
        }
        if let Some((key, reason)) = self.wrong_consequences() {
            return wrong(&key, reason);
        }
        if let Some((key, reason)) = self.wrong_remote_write() {
            return wrong(&key, reason);
        }
        let train = |source| ConfigError::Train { file: file.to_owned(), source };
        self.train.validate().map_err(train)?;
        for (i, text) in self.storage.keep.iter().enumerate() {
            if let Err(error) = parse_selector(text) {
                return wrong(&format!("storage.keep[{i}]"), error.to_string());
            }
        }
        if self.global.explain_above.is_nan() || self.global.explain_above < 0.0 {
            return wrong("global.explain_above", "must be a number, 0 or above".to_owned());
        }
        if self.models.is_empty() {
            return wrong("models", "there must be at least one".to_owned());
        }
        for (i, model) in self.models.iter().enumerate() {
            let key = format!("models[{i}]");
            if model.name.is_empty() {
                return wrong(&key, "name must not be empty".to_owned());
            }
            if self.models[..i].iter().any(|other| other.name == model.name) {
                return wrong(&key, format!("name {:?} is used twice", model.name));
            }
            if model.threshold.is_some_and(|threshold| !(threshold.is_finite() && threshold > 0.0))
            {
                return wrong(&key, "threshold must be a number above 0".to_owned());
            }
            for (name, zero) in [
                ("step", model.step.is_some_and(|step| step.as_ms() == 0)),
                ("window", model.window == Some(0)),
            ] {
                if zero {
                    return wrong(&key, format!("{name} must be above 0"));
                }
            }
            if let Some(twice) = model.entity.as_deref().and_then(repeated) {
                return wrong(&key, format!("entity: label {twice:?} is there twice"));
            }
            if let Some(specs) = &model.features {
                let entity = model.entity.clone();
                let entity = entity.unwrap_or_else(|| PROFILE_ENTITY.map(str::to_owned).to_vec());
                Features::parse(specs, &entity).map_err(|source| ConfigError::Feature {
                    file: file.to_owned(),
                    model: model.name.clone(),
                    source,
                })?;
            }
        }
        Ok(())
    }

    /// What cannot work of what alerts lead to, and why.
    fn wrong_consequences(&self) -> Option<(String, String)> {
        let notify = self.notify.validate().map_err(|error| (error.key, error.reason));
        let actions = || {
            let actions = self.actions.validate(&self.alerting);
            actions.map_err(|error| (error.key, error.reason))
        };
        notify.and_then(|()| actions()).err()
    }

    /// What cannot work of the limits on what is pushed, and why.
    fn wrong_remote_write(&self) -> Option<(String, String)> {
        let wrong =
            |key: &str, reason: &str| Some((format!("remote_write.{key}"), reason.to_owned()));
        let write = &self.remote_write;
        let largest = write.largest_request_bytes();
        for (key, limit) in [
            ("max_in_flight_bytes", Some(write.max_in_flight_bytes)),
            ("max_in_flight_bytes_per_peer", write.max_in_flight_bytes_per_peer),
        ] {
            if limit.is_some_and(|limit| limit.as_bytes() < largest) {
                return wrong(
                    key,
                    "must be at least max_body_bytes + max_decoded_bytes, or the largest requests would never be taken",
                );
            }
        }
        if largest > u64::from(u32::MAX) {
            return wrong("max_body_bytes", "must be below 4GiB together with max_decoded_bytes");
        }
        let no_name = |label: &String| label.is_empty() || label == METRIC_NAME;
        let i = write.replica_labels.iter().position(no_name)?;
        let key = format!("replica_labels[{i}]");
        wrong(&key, "must be the name of a label, and not __name__")
    }

    /// Limits and durations that are zero and must not be.
    fn zeros(&self) -> Vec<(&'static str, String)> {
        let write = &self.remote_write;
        let values = [
            (
                "global.evaluation_interval",
                self.global.evaluation_interval.map_or(1, |interval| interval.as_ms() as u64),
            ),
            ("global.stale_after", self.global.stale_after.as_ms() as u64),
            (
                "storage.retention",
                self.storage.retention.map_or(1, |retention| retention.as_ms() as u64),
            ),
            ("storage.max_series", self.storage.max_series as u64),
            ("storage.max_bytes", self.storage.max_bytes.as_bytes()),
            ("storage.max_entities", self.storage.max_entities as u64),
            ("storage.max_samples_per_series", self.storage.max_samples_per_series as u64),
            ("remote_write.max_body_bytes", write.max_body_bytes.as_bytes()),
            ("remote_write.max_decoded_bytes", write.max_decoded_bytes.as_bytes()),
            ("remote_write.max_in_flight_bytes", write.max_in_flight_bytes.as_bytes()),
            ("remote_write.max_series_per_request", write.max_series_per_request as u64),
            ("remote_write.max_samples_per_request", write.max_samples_per_request as u64),
            ("remote_write.max_labels_per_series", write.max_labels_per_series as u64),
            ("remote_write.max_label_name_bytes", write.max_label_name_bytes.as_bytes()),
            ("remote_write.max_label_value_bytes", write.max_label_value_bytes.as_bytes()),
            ("remote_write.max_queued_requests", write.max_queued_requests as u64),
            ("query.max_series", self.query.max_series as u64),
            ("query.max_samples", self.query.max_samples as u64),
            ("query.max_response_bytes", self.query.max_response_bytes.as_bytes()),
            ("query.timeout", self.query.timeout.as_ms() as u64),
            ("query.max_concurrency", self.query.max_concurrency as u64),
            ("web.max_connections", self.web.max_connections as u64),
            (
                "web.max_connections_per_peer",
                self.web.max_connections_per_peer.map_or(1, |most| most as u64),
            ),
            ("web.reserved_timeout", self.web.reserved_timeout.as_ms() as u64),
            ("web.answer_timeout", self.web.answer_timeout.as_ms() as u64),
            ("web.header_timeout", self.web.header_timeout.as_ms() as u64),
            ("web.body_timeout", self.web.body_timeout.as_ms() as u64),
            ("web.idle_timeout", self.web.idle_timeout.as_ms() as u64),
            ("remote_write.queue_timeout", write.queue_timeout.as_ms() as u64),
            ("remote_write.replica_timeout", write.replica_timeout.as_ms() as u64),
        ];
        let zero = values.into_iter().filter(|(_, value)| *value == 0);
        zero.map(|(key, _)| (key, "must be above 0".to_owned())).collect()
    }
}
