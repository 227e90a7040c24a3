//! A run: from options to a model file that was read back and run.
//!
//! This is the only place that knows all the others; it computes nothing itself. The file is
//! written beside its destination, read back, loaded in ONNX Runtime, and only then given its name.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::branches::{Base, BranchKind};
use super::config::{DRAFT, FitKind, ModelKind, TrainConfig};
use super::data::scaler::FeatureUse;
use super::data::{Cleaning, Dataset, Training, medians, range, roles};
use super::ensemble;
use super::error::TrainError;
use super::fit::{Fit, FitError, Fits};
use super::graph::export;
use super::hindsight::{self, Hindsight};
use super::left_out::{self, LeftOut};
use super::memory;
use super::report::Summary;
use super::threshold::{self, TrainingScores};
use super::tune::faults::{self, Faults};
use super::tune::{Execution, Space, TrialBudget};
use super::{tune, write};
use crate::detect::DetectConfig;
use crate::duration::Duration;
use crate::features::{Clock, FeatureSpec, Features, Recording, TIME_OF_DAY, TIME_OF_WEEK};
use crate::history::{History, HistoryQuery, Progress, Range, Source};
use crate::model::{Metadata, ModelConfig, Runtime, ScoreSummary};

/// The exponent of the means that smooth: the root of squares, so that a peak is not forgotten in a plain
/// mean.
const POWER: f64 = 2.0;

/// What to train, on what, and where to put it.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to fit.
    pub config: TrainConfig,
    /// How serving will hold values and bridge gaps.
    pub global: DetectConfig,
    /// The model's section: the step. That of a table must be the same.
    pub model: ModelConfig,
    /// What to learn from.
    pub history: HistoryQuery,
    /// What is to be learnt from though it stands out.
    pub keep: Vec<Range>,
    /// How many parameters to try, if any.
    pub tune: Option<TrialBudget>,
    /// The file to write.
    pub output: PathBuf,
    /// The configured ONNX Runtime library.
    pub onnxruntime: Option<PathBuf>,
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
    if options.tune.is_some() && !options.config.model.has_network() {
        return Err(TrainError::Tune(options.config.model));
    }
    // Before the long work, so that a missing library is not found out after it.
    let runtime = Runtime::load(options.onnxruntime.as_deref())?;
    let (mut dataset, features) = read(options)?;
    let left_out = leave_out(options, &runtime, &mut dataset, &features)?;
    let parts = |config: &TrainConfig| dataset.split(ensemble::window(config));
    let split = parts(&options.config)?;
    let roles = roles(&features, &dataset, &split.training());
    let training = Training {
        runtime: &runtime,
        dataset: &dataset,
        split: &split,
        roles: &roles,
        clocks: clocks(&features),
    };
    // What will have no threshold is not worth fitting.
    let step = step(options, &dataset, ensemble::window(&options.config));
    let most = hindsight::most_scores(&dataset, &options.config.spans(step.as_ms()));
    threshold::is_enough(most, &options.config.threshold)?;
    let tuning = options.tune.map(|budget| trials(&training, &options.config, budget));
    let config = match tuning.as_ref().and_then(tune::Tuning::best) {
        Some(best) => best.trial.settings(&options.config, options.config.seed),
        None => options.config.clone(),
    };
    // A longer window needs steps that were a shorter one's own.
    let split = parts(&config)?;
    let training = Training { split: &split, ..training };
    let (fits, draft) = fit(options, &training, &config, features)?;
    let hindsight = hindsight::play(&training, &draft, &fits)?;
    let usual = hindsight.usual(&dataset);
    let thresholds = threshold::find(&usual, &options.config.threshold)?;
    let metadata = Metadata {
        threshold: thresholds.threshold,
        threshold_method: thresholds.method.clone(),
        training_scores: Some(summed_up(&usual, thresholds.threshold)),
        ranges: range::ranges(&dataset, &split.training()),
        ..Fits::remember(&dataset, &hindsight.scores, thresholds.threshold, draft)
    };
    let adaptive = options.config.threshold.adaptive();
    let bytes = export(&fits, &metadata);
    write::write(&options.output, &bytes, |bytes| write::prove(&runtime, bytes, &metadata))?;
    let [constant, context, neutral] = names(&fits.shared.base, &metadata);
    let without_window = dataset.without_window(metadata.window);
    Ok(Summary {
        ranges: options.history.ranges(),
        cleaning: Cleaning { without_window, ..dataset.cleaning.clone() },
        windows: [split.fit.len(), split.stopping.len()],
        left_out,
        constant,
        context,
        neutral,
        branches: fits.shared.shares(),
        own: fits.own.len(),
        sharing: fits.sharing,
        config,
        course: fits.shared.course,
        tuning,
        called: hindsight.called(&dataset, (thresholds.threshold, adaptive)),
        thresholds,
        hindsight,
        metadata,
        output: options.output.clone(),
        bytes: bytes.len(),
    })
}

/// Learns, and says what the file will say but for the threshold.
fn fit(
    options: &Options,
    training: &Training<'_>,
    config: &TrainConfig,
    features: Vec<FeatureSpec>,
) -> Result<(Fits, Metadata), TrainError> {
    let progress = Progress::start("learning", config.epochs);
    let shared = Fit::learn(training, config, &mut |epoch, loss| {
        progress.done(epoch, format!("loss {loss:.3e}"));
        ControlFlow::Continue(())
    })?;
    let draft = metadata(options, training.dataset, features, &shared);
    let fits = match config.fit {
        FitKind::Pooled => Fits::one(shared),
        FitKind::PerEntity => Fits::learn(training, config, shared, &draft)?,
    };
    let draft = fits.describe(training.dataset, draft);
    Ok((fits, draft))
}

/// Marks what stands out, which is not learnt from, and says what it is. Nothing stands out of a history
/// that no draft can be learnt from, or that is too short to say what is usual.
fn leave_out(
    options: &Options,
    runtime: &Runtime,
    dataset: &mut Dataset,
    features: &[FeatureSpec],
) -> Result<Vec<LeftOut>, TrainError> {
    let config = &options.config;
    let draft = |weights: &[(BranchKind, f64)]| -> Result<Option<Hindsight>, TrainError> {
        let Ok(split) = dataset.split(ensemble::window_of(weights, config)) else {
            return Ok(None);
        };
        let roles = roles(features, dataset, &split.training());
        let (roles, clocks) = (&roles, clocks(features));
        let training = Training { runtime, dataset, split: &split, roles, clocks };
        let learn = &mut |_, _| ControlFlow::Continue(());
        let fit = match Fit::learn_branches(&training, weights, config, learn) {
            Ok(fit) => fit,
            Err(TrainError::Fit(FitError::NothingMoves { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = metadata(options, dataset, features.to_vec(), &fit);
        // What is sudden is seen by the short mean.
        let shortest = metadata.smoothing.iter().copied().reduce(f64::min);
        let metadata = Metadata { smoothing: shortest.into_iter().collect(), ..metadata };
        Ok(Some(hindsight::play(&training, &metadata, &Fits::one(fit))?))
    };
    if !left_out::can_tell(dataset) {
        return Ok(Vec::new());
    }
    let found = match draft(DRAFT) {
        // Too many features for a forecast: the others tell as well as they can.
        Err(TrainError::Fit(FitError::TooWide { .. })) => draft(&DRAFT[..2]),
        found => found,
    };
    let found = found?.map_or_else(Vec::new, |hindsight| left_out::find(&hindsight, &options.keep));
    for moment in &found {
        let rows = &mut dataset.entities[moment.entity];
        rows.left_out.resize(rows.usable.len(), false);
        moment.mark(&mut rows.left_out);
    }
    Ok(found)
}

/// A search for better settings of the network: of all branches it alone has parameters to try.
fn trials(training: &Training<'_>, config: &TrainConfig, budget: TrialBudget) -> tune::Tuning {
    let progress = Progress::start("trials", budget.trials * budget.executions);
    let mut done = 0;
    let alone = TrainConfig { model: ModelKind::Autoencoder, ..config.clone() };
    let Training { runtime, dataset, split, roles, .. } = *training;
    let features = faults::learnt(dataset, split, roles);
    let space = Space::around(&alone, features.len());
    let faults = Faults::lay(dataset, &features, &alone, &space);
    tune::search(&space, budget, config.seed, &mut |trial, seed| {
        let config = trial.settings(&alone, seed);
        let split = dataset.split(ensemble::window(&config))?;
        let training = Training { split: &split, ..training.clone() };
        let network = Fit::learn(&training, &config, &mut |_, _| ControlFlow::Continue(()))?;
        let figure = faults.judge(runtime, dataset, &network)?;
        done += 1;
        progress.done(done, format!("faults told {:.3}", figure.mean()));
        Ok::<_, TrainError>(Execution { figure, passes: network.course.epochs })
    })
}

/// Columns of the time of day and of the week.
fn clocks(features: &[FeatureSpec]) -> [usize; 2] {
    [TIME_OF_DAY, TIME_OF_WEEK]
        .map(|clock| features.iter().position(|it| clock.is(it)).expect("they were added"))
}

/// History, cleaned, with the clocks that every model of ours reads.
fn read(options: &Options) -> Result<(Dataset, Vec<FeatureSpec>), TrainError> {
    // What serving could not compute is not worth asking for.
    if matches!(options.history.source, Source::Server(_)) {
        Features::parse(&options.history.features, &options.history.entity)?;
    }
    let History { mut recording, mut features } = memory::read(&options.history, &options.config)?;
    let found = Duration::from_ms(recording.step_ms);
    let asked = options.model.step.filter(|_| matches!(options.history.source, Source::Csv(_)));
    if let Some(asked) = asked.filter(|asked| *asked != found) {
        return Err(TrainError::Step { asked, found });
    }
    for clock in [TIME_OF_DAY, TIME_OF_WEEK] {
        if !features.iter().any(|it| clock.is(it)) {
            add_clock(&mut recording, clock);
            features.push(clock.spec());
        }
    }
    Features::parse(&features, &options.history.entity)?;
    let (entity, global) = (&options.history.entity, &options.global);
    medians::fill_in(&recording, &mut features, entity, global)?;
    let mut dataset = Dataset::clean(recording, &features, entity, global)?;
    dataset.drop_far_out();
    Ok((dataset, features))
}

/// Adds a column that no source has.
fn add_clock(recording: &mut Recording, clock: Clock) {
    let column: Vec<f32> = (recording.times_ms.iter())
        .map(|time_ms| clock.value(time_ms - recording.delay_ms))
        .collect();
    for entity in &mut recording.entities {
        let column = ndarray::ArrayView1::from(&column);
        entity.values.push_column(column).expect("a value for each step");
        // Pushing may leave columns first; rows are what everything reads.
        entity.values = entity.values.as_standard_layout().into_owned();
    }
    recording.own.push(false);
    recording.counts.add_feature();
}

/// The step of the model that will be.
fn step(options: &Options, dataset: &Dataset, window: usize) -> Duration {
    // A model that looks at one step alone serves at any distance between steps.
    let free = window == 1 && options.config.smoothing.is_empty();
    let configured = options.model.step.filter(|_| free);
    configured.unwrap_or(Duration::from_ms(dataset.step_ms))
}

fn metadata(
    options: &Options,
    dataset: &Dataset,
    features: Vec<FeatureSpec>,
    fit: &Fit,
) -> Metadata {
    let step = step(options, dataset, fit.base.window);
    Metadata {
        window: fit.base.window,
        smoothing: options.config.spans(step.as_ms()),
        smoothing_power: if options.config.smoothing.is_empty() { 1.0 } else { POWER },
        level: fit.uses_level().then(|| fit.level.clone()),
        adaptive_threshold: Some(options.config.threshold.adaptive()),
        weightless: fit.weightless(&features),
        trained_from_ms: dataset.times_ms.first().copied(),
        trained_to_ms: dataset.times_ms.last().copied(),
        ..Metadata::new(features, options.history.entity.clone(), step)
    }
}

fn summed_up(scores: &TrainingScores, threshold: f64) -> ScoreSummary {
    let all: Vec<f64> =
        scores.entities.iter().flatten().copied().filter(|it| it.is_finite()).collect();
    let above = all.iter().filter(|error| **error > threshold).count();
    let count = all.len().max(1) as f64;
    ScoreSummary {
        rows: all.len(),
        mean_error: all.iter().sum::<f64>() / count,
        max_error: all.iter().copied().fold(0.0, f64::max),
        above_threshold: above as f64 / count,
    }
}

/// The features that never moved, those that only tell the time, and those that are not learnt from.
fn names(base: &Base, metadata: &Metadata) -> [Vec<String>; 3] {
    // The season and what reads it look at the clocks, which no branch takes for a feature.
    let is_read = |i: usize| base.season.harmonics.count() > 0 && base.clocks.contains(&i);
    let kind = |i: usize| if is_read(i) { FeatureUse::Context } else { base.scaler.kinds[i] };
    [FeatureUse::Constant, FeatureUse::Context, FeatureUse::Neutral].map(|wanted| {
        let features = metadata.features.iter().enumerate();
        features.filter(|(i, _)| kind(*i) == wanted).map(|(_, it)| it.name.clone()).collect()
    })
}
