//! What all parts of the bench share: the default settings, a runtime, and the way from history to a
//! model and from a model to scores, as `portent train` and `portent evaluate` go.

use std::path::{Path, PathBuf};
use std::{env, fs};

use portent::config::Config;
use portent::detect::DetectConfig;
use portent::evaluate::{self, Backtest};
use portent::features::{FeatureSpec, PROFILE_ENTITY, profile};
use portent::history::{Exclusions, History, HistoryQuery, Source};
use portent::model::{Artifact, Metadata, ModelConfig, Runtime, Scorer};
use portent::train::{self, Options};
use rustix::time::{ClockId, clock_gettime};

/// What is shared.
pub struct Bench {
    config: Config,
    runtime: Runtime,
    output: PathBuf,
    /// Removes what was written, unless it is to be kept.
    temporary: Option<tempfile::TempDir>,
}

/// A model's file, read back.
pub struct Model {
    /// Its graph.
    pub artifact: Artifact,
    /// What it says of itself.
    pub metadata: Metadata,
}

impl Bench {
    /// With the default settings. What is written stays in `PORTENT_SCORES`.
    pub fn new() -> anyhow::Result<Self> {
        let config = Config::load(None)?;
        let runtime = Runtime::load(config.onnxruntime.library.as_deref())?;
        let (output, temporary) = match env::var_os("PORTENT_SCORES") {
            Some(folder) => (PathBuf::from(folder), None),
            None => {
                let temporary = tempfile::tempdir()?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        fs::create_dir_all(&output)?;
        Ok(Self { config, runtime, output, temporary })
    }

    /// Where models, scores and figures are written.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Whether what is written stays.
    pub fn keeps(&self) -> bool {
        self.temporary.is_none()
    }

    /// The section that says how values are held and thresholds follow.
    pub fn global(&self) -> &DetectConfig {
        &self.config.global
    }

    /// Trains a model of this history less what is excluded, and gives the CPU seconds that it took.
    pub fn train(&self, source: Source, exclude: Exclusions, file: &Path) -> anyhow::Result<f64> {
        let before = cpu_seconds();
        let entity = PROFILE_ENTITY.map(str::to_owned).to_vec();
        train::run(&Options {
            config: self.config.train.clone(),
            global: self.config.global.clone(),
            model: self.config.models[0].clone(),
            history: HistoryQuery { exclude, ..self.asked(source, profile(), entity) },
            keep: Vec::new(),
            tune: None,
            output: file.to_path_buf(),
            onnxruntime: self.config.onnxruntime.library.clone(),
        })?;
        Ok(cpu_seconds() - before)
    }

    /// Reads a model back.
    pub fn model(&self, file: &Path) -> anyhow::Result<Model> {
        let artifact = Artifact::read(fs::read(file)?.into())?;
        let metadata = artifact.resolve(&ModelConfig::default())?;
        Ok(Model { artifact, metadata })
    }

    /// What a model has to be shown of a history.
    pub fn query(&self, source: Source, metadata: &Metadata) -> HistoryQuery {
        self.asked(source, metadata.features.clone(), metadata.entity.clone())
    }

    /// Scores of a history, by a graph with this said of it.
    pub fn score(
        &self,
        artifact: &Artifact,
        metadata: &Metadata,
        history: &History,
        global: &DetectConfig,
    ) -> anyhow::Result<Backtest> {
        let scorer = Scorer::new(&self.runtime, artifact, metadata)?;
        let (recording, features) = (&history.recording, &history.features);
        Ok(evaluate::backtest(metadata, scorer, recording, features, global)?)
    }

    fn asked(
        &self,
        source: Source,
        features: Vec<FeatureSpec>,
        entity: Vec<String>,
    ) -> HistoryQuery {
        let config = self.config.history.clone();
        HistoryQuery {
            source,
            features,
            entity,
            exclude: Exclusions::default(),
            config,
            zone: None,
        }
    }
}

/// Of all threads of the program.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
