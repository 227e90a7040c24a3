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
use crate::features::profile;
use crate::files::{ReadError, read_whole};
use crate::history::HistoryConfig;
use crate::http::WebConfig;
use crate::model::{ModelConfig, OnnxRuntimeConfig};
use crate::notify::NotifyConfig;
use crate::promql::parse_selector;
use crate::remote_write::RemoteWriteConfig;
use crate::series::StorageConfig;
use crate::train::TrainConfig;

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
    /// Not text, not YAML, not of the right shape, or a value that cannot work.
    #[error("{file}: {reason}")]
    Wrong {
        /// The file.
        file: String,
        /// Key or line, and what is wrong there.
        reason: String,
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
        let file = path.display().to_string();
        let bytes = read_whole(path, MAX_FILE_BYTES)
            .map_err(|source| ConfigError::Read { file: file.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            let reason = format!("line {line} is not UTF-8 text; save the file as UTF-8");
            ConfigError::Wrong { file: file.clone(), reason }
        })?;
        let mut config = Self::parse(&file, &text)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads and checks a text. An empty one is the built-in configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with `name` in it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = |reason| ConfigError::Wrong { file: name.to_owned(), reason };
        let empty = text.lines().all(|line| matches!(line.trim().chars().next(), None | Some('#')));
        let config = if empty {
            Self::default()
        } else {
            serde_yaml::from_str::<Self>(text).map_err(|error| wrong(words::plain(&error)))?
        };
        config.validate().map_err(wrong)?;
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
            model.entity = Some(model.entity_or_profile());
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

    /// What cannot work in it, section by section.
    fn validate(&self) -> Result<(), String> {
        fn said(found: Result<(), impl ToString>) -> Result<(), String> {
            found.map_err(|error| error.to_string())
        }
        let models: Vec<&str> = self.models.iter().map(|model| &*model.name).collect();
        said(self.global.validate())?;
        said(self.storage.validate(parse_selector))?;
        said(self.remote_write.validate())?;
        said(self.query.validate())?;
        said(self.web.validate())?;
        said(self.history.validate())?;
        said(self.alerting.validate(&models))?;
        said(self.notify.validate())?;
        said(self.actions.validate(&self.alerting))?;
        said(self.train.validate())?;
        said(ModelConfig::validate_all(&self.models))
    }
}
