//! A run: from options to a file that has been proven.
//!
//! This is the only place that knows all the others; it computes nothing itself. The file is
//! written beside its destination, loaded in ONNX Runtime, held against the trainer's own
//! arithmetic, and only then given its name.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::calendar::{self, Role};
use super::config::{ConfigError, TrainConfig};
use super::dataset::{Dataset, DatasetError, Split};
use super::export::export;
use super::fit::{self, FitError, Fitted};
use super::report::Summary;
use super::threshold::{self, ThresholdError, Thresholds, ValidationScores};
use super::tune::{self, Tuning};
use super::validate::{self, Validated};
use super::write;
use crate::duration::Duration;
use crate::features::{Clock, FeatureError, FeatureSpec, Features, TIME_OF_DAY, TIME_OF_WEEK};
use crate::history::{self, History, HistoryError, Progress, Query, Recording, Source};
use crate::model::{
    ArtifactError, GuardSpec, Metadata, ModelConfig, Runtime, RuntimeError, ScorerError, Validation,
};

/// What to train, on what, and where to put it.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to fit.
    pub config: TrainConfig,
    /// The model's section: the step, if it is not told otherwise.
    pub model: ModelConfig,
    /// What to learn from.
    pub history: Query,
    /// How many parameters to try, if any.
    pub tune: Option<tune::Budget>,
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
        "the model gives window {row} the error {graph}, training gives it {trainer}: the file \
         would be wrong and was not written"
    )]
    Parity {
        /// A validation window.
        row: usize,
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
    let (dataset, features) = read(options)?;
    let window = fit::window(&options.config);
    let split = dataset.split(options.config.validation_share, window)?;
    let learnt = Learning::new(&dataset, &split, &features, &options.config).run(options.tune)?;
    let draft = metadata(options, &dataset, features, &learnt.fitted);
    let validated = validate::play(&runtime, &dataset, &split, &draft, &learnt.fitted)?;
    let thresholds = threshold::find(&validated.scores, &options.config.threshold)?;
    let metadata = Metadata {
        threshold: thresholds.threshold,
        threshold_method: thresholds.method.clone(),
        validation: Some(judged(&validated.scores, thresholds.threshold)),
        ..draft
    };
    let bytes = export(&learnt.fitted, &metadata);
    write::write(&options.output, &bytes, |bytes| {
        write::prove(&runtime, bytes, &metadata, &learnt.fitted, (&dataset, &split))
    })?;
    Ok(summary(options, &dataset, &split, learnt, (metadata, thresholds, validated), bytes.len()))
}

/// History, cleaned, with the clocks that every model of ours reads.
fn read(options: &Options) -> Result<(Dataset, Vec<FeatureSpec>), TrainError> {
    // What serving could not compute is not worth asking for.
    if matches!(options.history.source, Source::Server(_)) {
        Features::parse(&options.history.features, &options.history.entity)?;
    }
    let History { mut recording, mut features } = history::read(&options.history)?;
    for clock in [TIME_OF_DAY, TIME_OF_WEEK] {
        if !features.iter().any(|it| clock.is(it)) {
            add_clock(&mut recording, clock);
            features.push(clock.spec());
        }
    }
    Features::parse(&features, &options.history.entity)?;
    Ok((Dataset::clean(recording, &features)?, features))
}

/// Adds a column that no source has.
fn add_clock(recording: &mut Recording, clock: Clock) {
    let column: Vec<f32> = recording.times_ms.iter().map(|it| clock.value(*it)).collect();
    for entity in &mut recording.entities {
        let column = ndarray::ArrayView1::from(&column);
        entity.values.push_column(column).expect("a value for each step");
        // Pushing may leave columns first; rows are what everything reads.
        entity.values = entity.values.as_standard_layout().into_owned();
    }
    recording.own.push(false);
    recording.counts.infinite.push(0);
}

/// A fit, and what was tried for it.
pub(super) struct Learnt {
    /// The fit.
    pub fitted: Fitted,
    /// The settings that it was made with: those of the best trial, where there were trials.
    pub config: TrainConfig,
    /// Every trial.
    pub tuning: Option<Tuning>,
}

/// Fitting in the making.
struct Learning<'a> {
    dataset: &'a Dataset,
    split: &'a Split,
    roles: Vec<Role>,
    clocks: [usize; 2],
    config: &'a TrainConfig,
}

impl<'a> Learning<'a> {
    fn new(
        dataset: &'a Dataset,
        split: &'a Split,
        features: &[FeatureSpec],
        config: &'a TrainConfig,
    ) -> Self {
        // Only what the fit sees tells whether it has seen every hour.
        let times = || split.fit.iter().map(|place| dataset.times_ms[place.step as usize]);
        let span_ms = times().max().unwrap_or(0) - times().min().unwrap_or(0);
        let roles = features.iter().map(|feature| calendar::role(feature, span_ms)).collect();
        let place = |clock: Clock| {
            let found = features.iter().position(|it| clock.is(it));
            found.expect("they were added")
        };
        let clocks = [place(TIME_OF_DAY), place(TIME_OF_WEEK)];
        Self { dataset, split, roles, clocks, config }
    }

    fn run(&self, budget: Option<tune::Budget>) -> Result<Learnt, FitError> {
        let Some(budget) = budget else {
            let config = self.config.clone();
            let progress = Progress::start("fit", config.epochs);
            let fitted = self.fit(self.split, &config, &mut |epoch, loss| {
                progress.done(epoch, format!("loss {loss:.3e}"));
                ControlFlow::Continue(())
            })?;
            return Ok(Learnt { fitted, config, tuning: None });
        };
        let progress = Progress::start("trials", budget.trials * budget.executions);
        let mut done = 0;
        let space = self.config.space();
        let tuning = tune::search(&space, budget, self.config.seed, &mut |trial, seed, tell| {
            let config = self.config.with(trial, seed);
            let mut least = f64::INFINITY;
            // A longer window needs steps that were a shorter one's own.
            let split = self.dataset.split(config.validation_share, fit::window(&config));
            let split = split.map_err(|error| error.to_string())?;
            let course = self.network_only(&split, &config, &mut |epoch, loss| {
                least = least.min(loss);
                tell(epoch, loss)
            });
            course.map_err(|error| error.to_string())?;
            done += 1;
            progress.done(done, format!("loss {least:.3e}"));
            Ok::<f64, String>(least)
        });
        let best = tuning.best().map(|outcome| outcome.trial.clone());
        let config = best.map_or_else(
            || self.config.clone(),
            |trial| self.config.with(&trial, self.config.seed),
        );
        let split = self.dataset.split(config.validation_share, fit::window(&config));
        let split = split.unwrap_or_else(|_| self.split.clone());
        let fitted = self.fit(&split, &config, &mut |_, _| ControlFlow::Continue(()))?;
        Ok(Learnt { fitted, config, tuning: Some(tuning) })
    }

    fn fit(
        &self,
        split: &Split,
        config: &TrainConfig,
        on_epoch: fit::OnEpoch<'_>,
    ) -> Result<Fitted, FitError> {
        fit::fit(self.dataset, split, &self.roles, self.clocks, config, on_epoch)
    }

    /// A trial: of all branches only the network has parameters to try.
    fn network_only(
        &self,
        split: &Split,
        config: &TrainConfig,
        on_epoch: fit::OnEpoch<'_>,
    ) -> Result<(), FitError> {
        fit::network(self.dataset, split, &self.roles, self.clocks, config, on_epoch)
    }
}

fn metadata(
    options: &Options,
    dataset: &Dataset,
    features: Vec<FeatureSpec>,
    fitted: &Fitted,
) -> Metadata {
    let recorded = Duration::from_ms(dataset.step_ms);
    // A model that looks at one step alone serves at any distance between steps.
    let free = fitted.base.window == 1 && options.config.smoothing.is_empty();
    let is_csv = matches!(options.history.source, Source::Csv(_));
    let step = options.model.step.filter(|_| is_csv || free).unwrap_or(recorded);
    Metadata {
        window: fitted.base.window,
        smoothing: options.config.smoothing.clone(),
        level: fitted.uses_level().then(|| fitted.level.clone()),
        adaptive_threshold: Some(GuardSpec::default()),
        trained_from_ms: dataset.times_ms.first().copied(),
        trained_to_ms: dataset.times_ms.last().copied(),
        ..Metadata::new(features, options.history.entity.clone(), step)
    }
}

fn judged(scores: &ValidationScores, threshold: f64) -> Validation {
    let all: Vec<f64> =
        scores.entities.iter().flatten().copied().filter(|it| it.is_finite()).collect();
    let above = all.iter().filter(|error| **error > threshold).count();
    let count = all.len().max(1) as f64;
    Validation {
        rows: all.len(),
        mean_error: all.iter().sum::<f64>() / count,
        max_error: all.iter().copied().fold(0.0, f64::max),
        above_threshold: above as f64 / count,
    }
}

fn summary(
    options: &Options,
    dataset: &Dataset,
    split: &Split,
    learnt: Learnt,
    (metadata, thresholds, validated): (Metadata, Thresholds, Validated),
    bytes: usize,
) -> Summary {
    let kinds = &learnt.fitted.base.scaler.kinds;
    let names = |kind: super::scaler::Kind| {
        let kinds = kinds.iter().zip(&metadata.features);
        kinds.filter(|(it, _)| **it == kind).map(|(_, feature)| feature.name.clone()).collect()
    };
    Summary {
        cleaning: dataset.cleaning.clone(),
        windows: [split.fit.len(), split.stopping.len(), split.validation.len()],
        constant: names(super::scaler::Kind::Constant),
        context: names(super::scaler::Kind::Context),
        neutral: names(super::scaler::Kind::Neutral),
        branches: learnt.fitted.shares(),
        config: learnt.config,
        course: learnt.fitted.course,
        tuning: learnt.tuning,
        thresholds,
        validated,
        metadata,
        output: options.output.clone(),
        bytes,
    }
}
