//! A run: from options to a file that has been proven.
//!
//! This is the only place that knows all the others; it computes nothing itself. The file is
//! written beside its destination, loaded in ONNX Runtime, held against the trainer's own
//! arithmetic, and only then given its name.

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ndarray::{Array2, ArrayView2, Axis};

use super::calendar;
use super::config::{ConfigError, TrainConfig};
use super::dataset::{Dataset, DatasetError, Split};
use super::export::export;
use super::fit::{FitError, Fitted, fit};
use super::report::Summary;
use super::scaler::Kind;
use crate::duration::Duration;
use crate::features::{FeatureError, FeatureSpec, Features};
use crate::history::{self, Counts, History, HistoryError, Progress, Query, Source};
use crate::model::{
    Artifact, ArtifactError, Metadata, ModelConfig, Runtime, RuntimeError, Scorer, ScorerError,
    ThresholdError, ThresholdMethod, Validation,
};

/// How far the graph's errors may be from the trainer's, absolutely below 1 and relatively above:
/// float32 has seven digits.
const TOLERANCE: f64 = 1e-6;

/// Rows that the comparison takes, at most: one batch.
const COMPARED_ROWS: usize = 10_000;

/// What to train, on what, and where to put it.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to fit.
    pub config: TrainConfig,
    /// The model's section: the step, if it is not told otherwise.
    pub model: ModelConfig,
    /// What to learn from.
    pub history: Query,
    /// The file to write.
    pub output: PathBuf,
    /// The configured ONNX Runtime library.
    pub onnxruntime: Option<PathBuf>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting that nothing can be trained with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A feature that serving could not compute.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// No ONNX Runtime to prove the file with.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// No history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Too little of it.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Nothing learnt.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// No threshold.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    /// The file does not read back: a mistake in this program.
    #[error("the model does not read back")]
    Artifact(#[from] ArtifactError),
    /// ONNX Runtime refuses the file: a mistake in this program.
    #[error("the model does not run")]
    Scorer(#[from] ScorerError),
    /// The graph computes something else: a mistake in this program or in ONNX Runtime.
    #[error(
        "the model gives row {row} the {what} {graph}, training gives it {trainer}: the file would \
         be wrong and was not written"
    )]
    Parity {
        /// A validation row.
        row: usize,
        /// What differs.
        what: &'static str,
        /// ONNX Runtime's value.
        graph: f64,
        /// Ours.
        trainer: f64,
    },
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

/// Trains a model and writes it. Shows progress where standard error is a terminal.
///
/// # Errors
/// See [`TrainError`]; then no file was written or changed.
///
/// # Panics
/// Within an asynchronous task, as it waits for answers of a server.
pub fn run(options: &Options) -> Result<Summary, TrainError> {
    options.config.validate()?;
    // Before the long work, so that a missing library is not found out after it.
    let runtime = Runtime::load(options.onnxruntime.as_deref())?;
    let History { recording, features } = read(&options.history)?;
    let dataset = Dataset::clean(&recording, &features)?;
    let split = dataset.split(options.config.validation_share)?;
    let fitted = learn(&dataset, &split, &features, &options.config)?;

    let validation = dataset.view().select(Axis(0), &split.validation);
    let errors = fitted.errors(validation.view());
    let method = ThresholdMethod::Percentile(options.config.threshold_percentile);
    let threshold = method.threshold(&errors)?;
    let step = options.model.step.filter(|_| matches!(options.history.source, Source::Csv(_)));
    let metadata = Metadata {
        threshold,
        threshold_method: method.to_string(),
        trained_from_ms: dataset.times_ms.iter().min().copied(),
        trained_to_ms: dataset.times_ms.iter().max().copied(),
        validation: Some(judged(&errors, threshold)),
        ..Metadata::new(
            features,
            options.history.entity.clone(),
            step.unwrap_or(Duration::from_ms(recording.step_ms)),
        )
    };
    let bytes = export(&fitted, &metadata);
    write(&options.output, &bytes, |bytes| {
        prove(&runtime, bytes, &metadata, &fitted, &validation)
    })?;
    let written = Written { counts: recording.counts, bytes: bytes.len() };
    Ok(summary(&dataset, &split, fitted, metadata, options, written))
}

fn read(query: &Query) -> Result<History, TrainError> {
    if let Source::Server(_) = query.source {
        // What serving could not compute is not worth asking for.
        Features::parse(&query.features, &query.entity)?;
    }
    let history = history::read(query)?;
    Features::parse(&history.features, &query.entity)?;
    Ok(history)
}

fn learn(
    dataset: &Dataset,
    split: &Split,
    features: &[FeatureSpec],
    config: &TrainConfig,
) -> Result<Fitted, FitError> {
    // Only what the fit sees tells whether it has seen every hour.
    let times = || split.training.iter().map(|&row| dataset.times_ms[row]);
    let span_ms = times().max().unwrap_or(0) - times().min().unwrap_or(0);
    let roles: Vec<_> = features.iter().map(|feature| calendar::role(feature, span_ms)).collect();
    let progress = Progress::start("fit", config.epochs);
    fit(dataset, split, &roles, config, &mut |epoch, loss| {
        progress.done(epoch, format!("loss {loss:.3e}"));
    })
}

fn judged(errors: &[f64], threshold: f64) -> Validation {
    let above = errors.iter().filter(|error| **error > threshold).count();
    Validation {
        rows: errors.len(),
        mean_error: errors.iter().sum::<f64>() / errors.len() as f64,
        max_error: errors.iter().copied().fold(0.0, f64::max),
        above_threshold: above as f64 / errors.len() as f64,
    }
}

/// Writes beside the destination, proves what was written, and renames.
fn write(
    path: &Path,
    bytes: &Bytes,
    prove: impl FnOnce(Bytes) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let failed = |source| TrainError::Write { path: path.to_path_buf(), source };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // Another run for the same file has another process number.
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = || -> Result<(), TrainError> {
        let mut file = std::fs::File::create(&temporary).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        // The name must not outlive a crash that the bytes do not.
        file.sync_all().map_err(failed)?;
        prove(std::fs::read(&temporary).map_err(failed)?.into())?;
        std::fs::rename(&temporary, path).map_err(failed)
    };
    written().inspect_err(|_| {
        // It may never have been made; the error to report is the first one.
        let _ = std::fs::remove_file(&temporary);
    })
}

/// Loads a file as serving does and compares it with the trainer's arithmetic on validation rows.
fn prove(
    runtime: &Runtime,
    bytes: Bytes,
    metadata: &Metadata,
    fitted: &Fitted,
    validation: &Array2<f32>,
) -> Result<(), TrainError> {
    let artifact = Artifact::read(bytes)?;
    let read_back = artifact.resolve(&ModelConfig::default())?;
    if read_back != *metadata {
        return Err(TrainError::Artifact(ArtifactError::Invalid {
            what: "metadata",
            reason: "it reads back differently".to_owned(),
        }));
    }
    let mut scorer = Scorer::new(runtime, &artifact, &read_back)?;
    let rows = validation.nrows().min(COMPARED_ROWS);
    let validation: ArrayView2<'_, f32> = validation.slice(ndarray::s![..rows, ..]);
    let scores = scorer.score(validation.insert_axis(Axis(1)))?;
    let expected = fitted.evaluate(validation);
    for (row, trainer) in expected.error.iter().copied().enumerate() {
        let graph = f64::from(scores.error[row]);
        let what = "error";
        // Written so that NaN is a difference.
        let near = (graph - trainer).abs() <= TOLERANCE * trainer.abs().max(1.0);
        if !near {
            return Err(TrainError::Parity { row, what, graph, trainer });
        }
    }
    Ok(())
}

/// What only the end of a run knows.
struct Written {
    counts: Counts,
    bytes: usize,
}

fn summary(
    dataset: &Dataset,
    split: &Split,
    fitted: Fitted,
    metadata: Metadata,
    options: &Options,
    written: Written,
) -> Summary {
    let names = |kind: Kind| {
        let kinds = fitted.scaler.kinds.iter().zip(&metadata.features);
        kinds.filter(|(it, _)| **it == kind).map(|(_, feature)| feature.name.clone()).collect()
    };
    Summary {
        cleaning: dataset.cleaning.clone(),
        training_rows: split.training.len(),
        constant: names(Kind::Constant),
        context: names(Kind::Context),
        neutral: names(Kind::Neutral),
        course: fitted.course,
        metadata,
        counts: written.counts,
        output: options.output.clone(),
        bytes: written.bytes,
    }
}
