use std::ops::ControlFlow;

use ndarray::{Array2, Array3, s};

use super::*;
use crate::duration::Duration;
use crate::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK};
use crate::labels::Labels;
use crate::model::{Artifact, Context, Metadata, Runtime, Scorer};
use crate::train::config::ModelKind;
use crate::train::data::range::OwnCells;
use crate::train::data::{Cleaning, Dataset, Role, Rows, Split};
use crate::train::fit::Fits;
use crate::train::graph::export;
use crate::train::reference::ReferenceOutput;

/// Three features that follow one load, one that never moves, one that tells the hour, the clocks.
const FEATURES: usize = 7;
/// Those that count in the error.
const COUNTING: usize = 4;
const CONSTANT: usize = 3;
const CONTEXT: usize = 4;
const CLOCKS: [usize; 2] = [5, 6];
const ROLES: [Role; FEATURES] = [
    Role::Observed,
    Role::Observed,
    Role::Observed,
    Role::Observed,
    Role::Context,
    Role::LeftOut,
    Role::LeftOut,
];

const NAN: f32 = f32::NAN;

/// A share of the day that the load follows, and faster waves with noise, all deterministic.
fn row(entity: usize, step: usize, time_ms: i64) -> [f32; FEATURES] {
    let t = step as f64;
    let day = std::f64::consts::TAU * f64::from(TIME_OF_DAY.value(time_ms));
    let load = 0.5 + 0.2 * day.sin() + 0.3 * (t / 17.0).sin() + 0.1 * (t / 5.0).sin();
    let noise = |i: f64| 0.05 * ((t * 78.233 + i * 12.9898).sin() * 43_758.545).fract();
    let own = 1.0 + entity as f64;
    [
        (own * (load + noise(1.0))) as f32,
        (100.0 * load + 100.0 * noise(2.0)) as f32,
        (5.0 - 4.0 * load + noise(3.0)) as f32,
        7.0,
        (TIME_OF_DAY.value(time_ms) * 24.0).floor(),
        TIME_OF_DAY.value(time_ms),
        TIME_OF_WEEK.value(time_ms),
    ]
}

fn dataset(entities: usize, steps: usize, step_ms: i64) -> Dataset {
    let times_ms: Vec<i64> = (0..steps as i64).map(|i| i * step_ms).collect();
    let entity = |entity: usize| {
        let values: Vec<f32> = (times_ms.iter().enumerate())
            .flat_map(|(step, time_ms)| row(entity, step, *time_ms))
            .collect();
        Rows {
            labels: Labels::from_pairs([("instance", entity.to_string())]).expect("one name"),
            values: Array2::from_shape_vec((steps, FEATURES), values).expect("rows"),
            usable: vec![true; steps],
            left_out: Vec::new(),
            own: OwnCells::default(),
        }
    };
    let entities = (0..entities).map(entity).collect();
    let stale_after = crate::duration::Duration::from_seconds(120);
    Dataset { times_ms, step_ms, stale_after, entities, cleaning: Cleaning::default() }
}

/// Five days in steps of ten minutes: long enough for a daily season.
fn days() -> Dataset {
    dataset(1, 720, 600_000)
}

fn config(model: ModelKind) -> TrainConfig {
    TrainConfig { model, layers: vec![4], epochs: 4, learning_rate: 0.01, ..TrainConfig::default() }
}

#[track_caller]
fn parts(dataset: &Dataset, config: &TrainConfig) -> Split {
    dataset.split(window(config)).expect("two parts")
}

fn runtime() -> Runtime {
    Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it")
}

/// A fit, with someone who watches.
fn watched(
    dataset: &Dataset,
    config: &TrainConfig,
    on_epoch: OnEpoch<'_>,
) -> Result<Fit, TrainError> {
    let split = parts(dataset, config);
    let (runtime, roles, clocks) = (&runtime(), &ROLES, CLOCKS);
    Fit::learn(&Training { runtime, dataset, split: &split, roles, clocks }, config, on_epoch)
}

fn try_fit(dataset: &Dataset, config: &TrainConfig) -> Result<Fit, TrainError> {
    watched(dataset, config, &mut |_, _| ControlFlow::Continue(()))
}

/// Why there is no fit.
#[track_caller]
fn refusal(result: Result<Fit, TrainError>) -> FitError {
    match result {
        Err(TrainError::Fit(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn fitted(dataset: &Dataset, config: &TrainConfig) -> Fit {
    try_fit(dataset, config).expect("a fit")
}

/// The latest windows, and the level that training left behind for each.
fn latest(dataset: &Dataset, fitted: &Fit, config: &TrainConfig) -> Batch {
    let places = parts(dataset, config).stopping;
    let raw = dataset.gather(&places, fitted.base.window);
    let rows = |values: &[f32]| {
        Array2::from_shape_fn((places.len(), FEATURES), |(_, feature)| values[feature])
    };
    let (mean, scale) = (rows(&fitted.level.mean), rows(&fitted.level.scale));
    Batch { raw, mean, scale }
}

#[derive(Debug, Clone)]
struct Batch {
    raw: Array3<f32>,
    mean: Array2<f32>,
    scale: Array2<f32>,
}

impl Batch {
    fn evaluate(&self, fitted: &Fit) -> ReferenceOutput {
        fitted.evaluate(self.raw.view(), (self.mean.view(), self.scale.view()))
    }

    /// The newest value of a feature in every window.
    fn newest(&mut self, feature: usize) -> ndarray::ArrayViewMut1<'_, f32> {
        let last = self.raw.dim().1 - 1;
        self.raw.slice_mut(s![.., last, feature])
    }
}

/// Mornings of eight days say nothing of midnight: sines that were fitted to them would.
#[test]
fn an_hour_that_was_never_seen_is_expected_at_the_mean() {
    let mut data = dataset(1, 8 * 144, 600_000);
    for (step, usable) in data.entities[0].usable.iter_mut().enumerate() {
        // 09:00 to 12:00.
        *usable = (54..72).contains(&(step % 144));
    }
    let config = config(ModelKind::Season);
    let fitted = fitted(&data, &config);
    assert_eq!(fitted.base.season.harmonics.count(), 0);
    let training = data.newest(&parts(&data, &config).training());
    let mean = training.mapv(f64::from).mean_axis(ndarray::Axis(0)).expect("rows");
    let midnight = row(0, 0, 9 * 86_400_000);
    let raw = Array3::from_shape_fn((1, 1, FEATURES), |(_, _, feature)| midnight[feature]);
    let level = Array2::from_shape_fn((1, FEATURES), |(_, feature)| mean[feature] as f32);
    let found = fitted.evaluate(raw.view(), (level.view(), level.view()));
    for feature in 0..CONSTANT {
        let (found, mean) = (found.reconstruction[[0, feature]], mean[feature]);
        assert!((found - mean).abs() < 1e-3 * mean.abs(), "{feature}: {found} {mean}");
    }
}

const KINDS: [ModelKind; 5] = [
    ModelKind::Ensemble,
    ModelKind::Autoencoder,
    ModelKind::Forecast,
    ModelKind::Season,
    ModelKind::Level,
];

fn scorer(fitted: &Fit) -> Scorer {
    let mut features: Vec<_> =
        (0..CLOCKS[0]).map(|i| FeatureSpec::new(format!("f{i}"), "x")).collect();
    features.extend([TIME_OF_DAY.spec(), TIME_OF_WEEK.spec()]);
    let entity = vec!["instance".to_owned()];
    let metadata = Metadata {
        window: fitted.base.window,
        level: fitted.uses_level().then(|| fitted.level.clone()),
        ..Metadata::new(features, entity, Duration::from_seconds(600))
    };
    let artifact =
        Artifact::read(export(&Fits::one(fitted.clone()), &metadata)).expect("our own file");
    let scorer = Scorer::new(&runtime(), &artifact, &metadata).expect("our own graph");
    assert_eq!(scorer.takes_level(), fitted.uses_level());
    assert!(scorer.takes_mask());
    scorer
}

/// Windows inside and far outside of what was learnt, with values missing, with levels of all kinds.
fn strange(dataset: &Dataset, fitted: &Fit) -> Batch {
    let places = dataset.windows(0, dataset.times_ms.len(), fitted.base.window);
    let mut raw = dataset.gather(&places, fitted.base.window);
    let factors = [1.0, -3.0, 40.0, 1e6, 1e20];
    for ((row, step, feature), value) in raw.indexed_iter_mut() {
        if feature < CLOCKS[0] && row % 3 > 0 && (row + feature) % 4 == 0 {
            *value *= factors[row / 3 % factors.len()];
        }
        // For a while, for ever, at the end only; in every eleventh window all that counts.
        let is_missing = match row % 11 {
            1 => feature == row % 5 && step % 3 == 0,
            4 | 5 => feature == row % 5 || feature == 2,
            7 => feature == row % 5 && step + 1 == fitted.base.window,
            9 => feature < COUNTING,
            _ => false,
        };
        if is_missing {
            *value = NAN;
        }
    }
    let level = |values: &[f32], factors: [f32; 3]| {
        Array2::from_shape_fn((places.len(), FEATURES), |(row, feature)| {
            values[feature] * factors[(row + feature) % 3]
        })
    };
    let mean = level(&fitted.level.mean, [1.0, 1.3, -20.0]);
    let scale = level(&fitted.level.scale, [1.0, 0.01, 30.0]);
    Batch { raw, mean, scale }
}

/// The error that a fit divides by: one in a hundred windows exceeds it. Errors below it
/// are differences of values about as large as 1, and rounded as those are.
const USUAL: f64 = 1.0;

/// Relative to the larger of the value and `least`.
#[track_caller]
fn near(what: &str, found: f32, expected: f64, least: f64) {
    let tolerance = 1e-5 * expected.abs().max(least);
    let difference = (f64::from(found) - expected).abs();
    assert!(difference <= tolerance, "{what}: {found} instead of {expected}");
}

/// Everything that the graph gives, against the trainer's arithmetic.
#[track_caller]
fn check_parity(dataset: &Dataset, config: &TrainConfig) {
    let fitted = fitted(dataset, config);
    let batch = strange(dataset, &fitted);
    let level = (batch.mean.view(), batch.scale.view());
    let context = Context { level: Some(level), entity: None };
    let scores = scorer(&fitted).score_in(batch.raw.view(), &context).expect("scores");
    let contribution = scores.contribution.expect("our graphs have it");
    let reconstruction = scores.reconstruction.expect("our graphs have it");
    let expected = batch.evaluate(&fitted);
    let last = fitted.base.window - 1;
    for (row, error) in expected.error.iter().copied().enumerate() {
        if error.is_nan() {
            // Nothing that counts is there.
            assert!(scores.error[row].is_nan(), "{row}");
            continue;
        }
        near("error", scores.error[row], error, USUAL);
        let shares = contribution.row(row);
        let sum = if error > 0.0 { 1.0 } else { 0.0 };
        near("the sum of shares", shares.sum(), sum, 1.0);
        for feature in 0..FEATURES {
            // A share of next to nothing is mostly rounding; the part of the error is not.
            let part = (f64::from(shares[feature]) * error) as f32;
            let at = expected.contribution[[row, feature]] * error;
            near(&format!("part of {feature} in {row}"), part, at, error.max(USUAL));
            let at = expected.reconstruction[[row, feature]];
            // There is none of what does not count and is not there.
            if at.is_finite() {
                let scaler = &fitted.base.scaler;
                let unit = scaler.size(feature).max(scaler.offset[feature].abs());
                let name = format!("reconstruction of {feature} in {row}");
                // Its terms may be larger than what they sum to.
                let least = f64::from(unit).max(f64::from(batch.raw[[row, last, feature]].abs()));
                near(&name, reconstruction[[row, feature]], at, least);
            }
        }
    }
    let whole = expected.error.iter().filter(|it| **it > 0.0).count();
    assert!(whole > batch.raw.dim().0 / 2, "errors of nothing prove nothing");
}

#[test]
fn the_graph_says_what_the_trainer_says() {
    for model in KINDS {
        check_parity(&days(), &config(model));
    }
}

#[test]
fn so_it_does_for_every_kind_of_network() {
    let windowed = config(ModelKind::Autoencoder);
    let dense = TrainConfig { window: 1, ..windowed.clone() };
    for config in [windowed, dense] {
        let deep = TrainConfig { layers: vec![6, 2, 6], ..config.clone() };
        let sigmoid = TrainConfig { scaling: Scaling::MinMax, ..config.clone() };
        let deep_sigmoid = TrainConfig { scaling: Scaling::MinMax, ..deep.clone() };
        for config in [config, deep, sigmoid, deep_sigmoid] {
            check_parity(&days(), &config);
        }
    }
    let ensemble = TrainConfig { scaling: Scaling::MinMax, ..config(ModelKind::Ensemble) };
    check_parity(&days(), &ensemble);
}

/// Without a season, with that of a week, with several entities.
#[test]
fn so_it_does_for_every_length_of_history() {
    let short = dataset(2, 300, 15_000);
    let weeks = dataset(1, 20 * 24, 3_600_000);
    for (dataset, waves) in [(short, 0), (weeks, 38)] {
        let config = config(ModelKind::Ensemble);
        assert_eq!(fitted(&dataset, &config).base.season.harmonics.count(), waves);
        check_parity(&dataset, &config);
    }
}

/// What these branches expect does not depend on the newest value, nor on whether there is one.
#[test]
fn what_is_missing_is_expected_all_the_same() {
    let dataset = days();
    for model in [ModelKind::Season, ModelKind::Level, ModelKind::Forecast] {
        let config = config(model);
        let fitted = fitted(&dataset, &config);
        let mut batch = latest(&dataset, &fitted, &config);
        let mut scorer = scorer(&fitted);
        let mut expected = |batch: &Batch| {
            let level = Some((batch.mean.view(), batch.scale.view()));
            let context = Context { level, entity: None };
            let scores = scorer.score_in(batch.raw.view(), &context).expect("scores");
            scores.reconstruction.expect("our graphs have it")
        };
        let whole = expected(&batch);
        batch.newest(1).fill(NAN);
        batch.newest(CONSTANT).fill(NAN);
        for (found, whole) in expected(&batch).iter().zip(&whole) {
            let near = (found - whole).abs() <= 1e-5 * whole.abs().max(100.0);
            assert!(near, "{model:?}: {found} instead of {whole}");
        }
    }
}

#[test]
fn the_seed_decides() {
    let dataset = dataset(1, 200, 15_000);
    for model in [ModelKind::Ensemble, ModelKind::Autoencoder] {
        let config = config(model);
        assert_eq!(fitted(&dataset, &config), fitted(&dataset, &config));
        let other = TrainConfig { seed: 1, ..config.clone() };
        assert_ne!(fitted(&dataset, &config).branches, fitted(&dataset, &other).branches);
    }
}

#[test]
fn patience_ends_a_fit_with_the_best_weights() {
    let dataset = dataset(1, 300, 15_000);
    // Steps so large that the loss wanders.
    let config = TrainConfig {
        epochs: 500,
        patience: 4,
        learning_rate: 0.1,
        ..config(ModelKind::Autoencoder)
    };
    let mut losses = Vec::new();
    let fitted = watched(&dataset, &config, &mut |epoch, loss| {
        losses.push(loss);
        assert_eq!(epoch, losses.len());
        ControlFlow::Continue(())
    })
    .expect("a fit");
    let course = &fitted.course;
    assert_eq!(course.stopping, losses);
    assert_eq!((course.epochs, course.training.len()), (losses.len(), losses.len()));
    assert!(course.best_epoch < course.epochs && course.epochs < 500, "{course:?}");
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[course.best_epoch - 1], best);
    // The weights are those of a fit that goes no farther than the best look.
    let short = TrainConfig { epochs: course.best_epoch, ..config.clone() };
    let shorter = self::fitted(&dataset, &short);
    assert_eq!(shorter.branches, fitted.branches);
    assert_eq!(shorter.course.best_epoch, shorter.course.epochs);
}

#[test]
fn whoever_watches_may_end_a_fit() {
    let dataset = dataset(1, 200, 15_000);
    let config = TrainConfig { epochs: 50, ..config(ModelKind::Ensemble) };
    let fitted = watched(&dataset, &config, &mut |epoch, _| match epoch {
        2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(fitted.expect("a fit").course.epochs, 2);
}

#[test]
fn nothing_that_moves_is_an_error() {
    let mut dataset = dataset(1, 100, 15_000);
    // The clocks and the hour still move.
    dataset.entities[0].values.slice_mut(s![.., ..COUNTING]).fill(3.0);
    for model in KINDS {
        let config = config(model);
        let rows = parts(&dataset, &config).training().len();
        let found = refusal(try_fit(&dataset, &config));
        assert_eq!(found, FitError::NothingMoves { rows }, "{model:?}");
    }
}

#[test]
fn weights_that_run_away_are_an_error() {
    let config = TrainConfig { learning_rate: 1e200, ..config(ModelKind::Ensemble) };
    let error = refusal(try_fit(&dataset(1, 100, 15_000), &config));
    assert_eq!(error, FitError::Diverged { epoch: 1 });
}

#[test]
fn more_features_than_a_forecast_takes_are_an_error() {
    let features = crate::train::branches::forecast::MAX_INPUTS / LAGS + 1;
    let mut dataset = dataset(1, 60, 15_000);
    let values = Array2::from_shape_fn((60, features), |(row, feature)| (row + feature) as f32);
    dataset.entities[0].values = values;
    let config = config(ModelKind::Forecast);
    let split = parts(&dataset, &config);
    let roles = vec![Role::Observed; features];
    let (runtime, dataset, split, roles) = (&runtime(), &dataset, &split, &roles);
    let training = Training { runtime, dataset, split, roles, clocks: CLOCKS };
    let found = Fit::learn(&training, &config, &mut |_, _| ControlFlow::Break(()));
    assert_eq!(refusal(found), FitError::TooWide { features, most: features - 1 });
}

#[test]
fn what_is_usual_is_so_for_the_entity_in_the_middle() {
    let calm = dataset(3, 720, 600_000);
    let config = config(ModelKind::Level);
    let scaler = fitted(&calm, &config).base.scaler;
    let mut restless = calm.clone();
    // One host of three jumps now and then, all else being equal.
    for (step, mut row) in restless.entities[2].values.outer_iter_mut().enumerate() {
        let far = if step % 33 == 3 { 9.0 } else { 0.0 };
        (0..3).for_each(|feature| row[feature] += far * scaler.size(feature));
    }
    let usual = |dataset: &Dataset| fitted(dataset, &config).branches[0].quantile;
    let alone = usual(&restless.only(2));
    let (calm, restless) = (usual(&calm), usual(&restless));
    assert!(restless < 1.2 * calm && alone > 1.5 * calm, "{calm} {restless} {alone}");
}

#[test]
fn shares_sum_to_one_and_what_stands_out_has_the_largest() {
    let dataset = days();
    for model in KINDS {
        let config = TrainConfig { epochs: 30, ..config(model) };
        let fitted = fitted(&dataset, &config);
        let normal = latest(&dataset, &fitted, &config);
        let usual = normal.evaluate(&fitted);
        let largest = usual.error.iter().copied().fold(0.0, f64::max);
        for feature in 0..3 {
            let mut odd = normal.clone();
            let far = 20.0 * fitted.base.scaler.size(feature);
            odd.newest(feature).mapv_inplace(|it| it + far);
            let evaluation = odd.evaluate(&fitted);
            for (row, error) in evaluation.error.iter().enumerate() {
                let shares = evaluation.contribution.row(row);
                assert!((shares.sum() - 1.0).abs() < 1e-9, "{model:?} {shares}");
                // In a window whose network is fed with the odd value, others suffer as well.
                let most = shares.iter().all(|it| shares[feature] >= *it);
                assert!(*error > largest && most, "{model:?} {feature}: {error} {shares}");
            }
        }
    }
}

#[test]
fn a_constant_that_departs_counts_and_what_tells_the_time_never_does() {
    let dataset = days();
    for model in KINDS {
        let config = config(model);
        let fitted = fitted(&dataset, &config);
        let normal = latest(&dataset, &fitted, &config);
        let usual = normal.evaluate(&fitted);
        let largest = usual.error.iter().copied().fold(0.0, f64::max);
        let mut odd = normal.clone();
        odd.newest(CONSTANT).fill(14.0);
        let evaluation = odd.evaluate(&fitted);
        for (row, error) in evaluation.error.iter().enumerate() {
            let shares = evaluation.contribution.row(row);
            assert!(*error > largest, "{model:?}: {error} {largest}");
            assert!(shares.iter().all(|it| shares[CONSTANT] >= *it), "{model:?}: {shares}");
        }
        // A constant is no input: others are judged as before, and it is expected to be itself.
        let expected = evaluation.reconstruction.column(CONSTANT);
        assert!(expected.iter().all(|it| (it - 7.0).abs() < 1e-3), "{model:?} {expected}");
        // An hour that there is not.
        let mut odd = normal.clone();
        odd.raw.slice_mut(s![.., .., CONTEXT]).fill(1e6);
        let evaluation = odd.evaluate(&fitted);
        for feature in [&[CONTEXT], CLOCKS.as_slice()].concat() {
            assert!(evaluation.contribution.column(feature).iter().all(|it| *it == 0.0));
            let passed = odd.newest(feature).mapv(f64::from);
            assert_eq!(evaluation.reconstruction.column(feature), passed);
        }
    }
}

/// An entity that lacks a feature is no better for it.
#[test]
fn what_is_missing_leaves_the_rest_as_telling() {
    let dataset = days();
    for model in KINDS {
        let config = TrainConfig { epochs: 30, ..config(model) };
        let fitted = fitted(&dataset, &config);
        let mut odd = latest(&dataset, &fitted, &config);
        let far = 20.0 * fitted.base.scaler.size(1);
        odd.newest(1).mapv_inplace(|it| it + far);
        let whole = odd.evaluate(&fitted);
        for missing in [0, 2, CONSTANT] {
            let mut lacking = odd.clone();
            lacking.raw.slice_mut(s![.., .., missing]).fill(NAN);
            let rest = lacking.evaluate(&fitted);
            assert!(rest.contribution.column(missing).iter().all(|it| *it == 0.0));
            for (row, (rest, whole)) in rest.error.iter().zip(&whole.error).enumerate() {
                assert!(*rest > 0.9 * whole, "{model:?} {row}: {rest} without {missing}, {whole}");
            }
        }
        let mut alone = odd.clone();
        for missing in [0, 2, CONSTANT] {
            alone.raw.slice_mut(s![.., .., missing]).fill(NAN);
        }
        let alone = alone.evaluate(&fitted);
        assert!(alone.contribution.column(1).iter().all(|it| (it - 1.0).abs() < 1e-9));
        for (alone, whole) in alone.error.iter().zip(&whole.error) {
            assert!(alone > whole, "{model:?}: {alone} {whole}");
        }
    }
}

/// What the forecast expects does not depend on the newest step: what is left is known exactly.
#[test]
fn the_rest_is_rescaled() {
    let dataset = days();
    let config = config(ModelKind::Forecast);
    let fitted = fitted(&dataset, &config);
    let mut batch = latest(&dataset, &fitted, &config);
    let whole = batch.evaluate(&fitted);
    batch.newest(2).fill(NAN);
    let rest = batch.evaluate(&fitted);
    let count = COUNTING as f64;
    for (row, (rest, whole_error)) in rest.error.iter().zip(&whole.error).enumerate() {
        let left = 1.0 - whole.contribution[[row, 2]];
        let expected = whole_error * (count * left / (count - 1.0)).sqrt();
        assert!((rest - expected).abs() < 1e-9, "{rest} {expected}");
    }
}

#[test]
fn an_entity_at_its_own_level_is_as_it_should_be() {
    let dataset = days();
    let config = config(ModelKind::Level);
    let fitted = fitted(&dataset, &config);
    let mut batch = latest(&dataset, &fitted, &config);
    let usual = batch.evaluate(&fitted);
    // Ten times the traffic of training, for good.
    batch.newest(1).mapv_inplace(|it| it + 1e3);
    let moved = batch.evaluate(&fitted);
    batch.mean.column_mut(1).mapv_inplace(|it| it + 1e3);
    let settled = batch.evaluate(&fitted);
    for row in 0..usual.error.len() {
        assert!(moved.error[row] > 5.0 * usual.error[row].max(0.1));
        let difference = (settled.error[row] - usual.error[row]).abs();
        assert!(difference < 1e-3, "{} {}", settled.error[row], usual.error[row]);
    }
    // An entity that has always been restless strays less for the same departure.
    batch.scale.column_mut(1).mapv_inplace(|it| it * 10.0);
    batch.mean.column_mut(1).mapv_inplace(|it| it - 1e3);
    let restless = batch.evaluate(&fitted);
    for (restless, moved) in restless.error.iter().zip(&moved.error) {
        assert!(*restless < 0.5 * moved, "{restless} {moved}");
    }
}

#[test]
fn windows_are_as_long_as_the_branches_need() {
    let length = |model, steps| window(&TrainConfig { window: steps, ..config(model) });
    assert_eq!(length(ModelKind::Autoencoder, 1), 1);
    assert_eq!(length(ModelKind::Autoencoder, 10), 10);
    assert_eq!(length(ModelKind::Forecast, 10), LAGS + 1);
    assert_eq!(length(ModelKind::Season, 10), 1);
    assert_eq!(length(ModelKind::Level, 10), 1);
    assert_eq!(length(ModelKind::Ensemble, 1), LAGS + 1);
    assert_eq!(length(ModelKind::Ensemble, 10), 10);
}
