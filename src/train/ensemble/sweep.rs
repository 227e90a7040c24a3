//! Every good data set trains, and what its graph says is the arithmetic: data of many kinds and sizes
//! through fits of every kind, each held against float64.

use std::ops::ControlFlow;

use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::duration::Duration;
use crate::features::{TIME_OF_DAY, TIME_OF_WEEK};
use crate::labels::Labels;
use crate::model::{Artifact, Context, Runtime, Scorer};
use crate::train::config::ModelKind;
use crate::train::data::range::OwnCells;
use crate::train::data::{Cleaning, Dataset, Role, Rows, Split};
use crate::train::graph::measuring;

/// How far the graph may be from float64, in parts of the error or of the usual one.
const TOLERANCE: f64 = 1e-4;

/// What people train on, good and dull.
#[derive(Debug, Clone, Copy)]
enum Data {
    /// Independent noise.
    Noise,
    /// The same every day, but for this part of it.
    Daily(f64),
    /// All features follow one another exactly.
    Copies,
    /// Stands still.
    Constant,
    /// Stands still but for little more than the rounding of float32.
    NearConstant,
    /// Stands still and jumps for a step now and then.
    Spikes,
    /// Rises all the time.
    Ramp,
}

const DATA: [Data; 7] = [
    Data::Noise,
    Data::Daily(0.01),
    Data::Daily(1e-6),
    Data::Copies,
    Data::NearConstant,
    Data::Spikes,
    Data::Ramp,
];

/// A number between -1 and 1 that belongs to these two.
fn noise(a: usize, b: usize) -> f64 {
    let mixed = (a as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (b as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

impl Data {
    fn value(self, step: usize, feature: usize, day: f64) -> f64 {
        let turn = std::f64::consts::TAU * (day + feature as f64 / 7.0);
        match self {
            Self::Noise => noise(step, feature),
            Self::Daily(rest) => 2.0 + turn.sin() + rest * noise(step, feature),
            Self::Copies => (1 + feature) as f64 * noise(step, 0),
            Self::Constant => 3.0,
            Self::NearConstant => 3.0 + 1e-5 * noise(step, feature),
            Self::Spikes => 1.0 + if (step + 5 * feature).is_multiple_of(31) { 4.0 } else { 0.0 },
            Self::Ramp => step as f64 * (1 + feature) as f64,
        }
    }
}

/// Days in steps of half an hour, and the clocks.
fn dataset(columns: &[Data], scale: f64, days: usize) -> Dataset {
    let step_ms = 1_800_000;
    let times_ms: Vec<i64> = (0..48 * days as i64).map(|i| i * step_ms).collect();
    let features = columns.len() + 2;
    let values = Array2::from_shape_fn((times_ms.len(), features), |(step, feature)| {
        let clock = TIME_OF_DAY.value(times_ms[step]);
        match feature {
            it if it < columns.len() => {
                (scale * columns[it].value(step, it, f64::from(clock))) as f32
            }
            it if it == columns.len() => clock,
            _ => TIME_OF_WEEK.value(times_ms[step]),
        }
    });
    let usable = vec![true; times_ms.len()];
    let (left_out, own) = (Vec::new(), OwnCells::default());
    let entities = vec![Rows { labels: Labels::empty(), values, usable, left_out, own }];
    let stale_after = Duration::from_seconds(3_600);
    Dataset { times_ms, step_ms, stale_after, entities, cleaning: Cleaning::default() }
}

fn learnt(dataset: &Dataset, config: &TrainConfig) -> Result<(Fit, Split), TrainError> {
    let columns = dataset.entities[0].values.ncols() - 2;
    let mut roles = vec![Role::Observed; columns];
    roles.extend([Role::LeftOut; 2]);
    let split = dataset.split(window(config))?;
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let clocks = [columns, columns + 1];
    let training = Training { runtime: &runtime, dataset, split: &split, roles: &roles, clocks };
    Ok((Fit::learn(&training, config, &mut |_, _| ControlFlow::Continue(()))?, split))
}

/// The largest difference between the graph's errors and those of float64, in parts of the error or of
/// the usual one, whichever is larger; and the largest error.
fn difference(dataset: &Dataset, (fitted, split): &(Fit, Split)) -> (f64, f64) {
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let artifact = Artifact::read(measuring(fitted)).expect("our own file");
    let base = &fitted.base;
    let features = base.scaler.kinds.len();
    let mut scorer = Scorer::of(&runtime, &artifact, features, base.window).expect("our graph");
    let (mut most, mut largest) = (0.0_f64, 0.0_f64);
    level::walk(dataset, &fitted.level, &split.stopping, &mut |batch| {
        let raw = dataset.gather(batch.places, base.window);
        let level = (batch.mean.view(), batch.scale.view());
        let context = Context { level: Some(level), entity: None };
        let found = scorer.score_in(raw.view(), &context).expect("scores");
        let expected = fitted.evaluate(raw.view(), level);
        for (found, expected) in found.error.iter().zip(&expected.error) {
            let difference = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
            assert!(difference.is_finite(), "{found} for {expected}");
            most = most.max(difference);
            largest = largest.max(*expected);
        }
    });
    (most, largest)
}

fn config(model: ModelKind, steps: usize) -> TrainConfig {
    let (layers, epochs, learning_rate) = (vec![3], 3, 0.01);
    TrainConfig { model, window: steps, layers, epochs, learning_rate, ..TrainConfig::default() }
}

#[track_caller]
fn check(columns: &[Data], scale: f64, days: usize, config: &TrainConfig) {
    let data = dataset(columns, scale, days);
    let learnt = learnt(&data, config).unwrap_or_else(|error| panic!("{columns:?}: {error}"));
    let (difference, largest) = difference(&data, &learnt);
    let what = format!("{columns:?} times {scale:e}, {days} days, {:?}", config.model);
    println!("{what}: {difference:e} of errors up to {largest:.3}");
    assert!(difference < TOLERANCE, "{what}: {difference:e} of errors up to {largest}");
}

/// Seven kinds of data, one to three features, windows of 1 and 10: these were refused once, 13 of 42.
#[test]
fn every_good_data_set_trains() {
    for data in DATA {
        for features in 1..=3 {
            for steps in [1, 10] {
                check(&vec![data; features], 1.0, 5, &config(ModelKind::Ensemble, steps));
            }
        }
    }
}

#[test]
fn constants_beside_what_moves_are_no_matter() {
    for model in [ModelKind::Ensemble, ModelKind::Season, ModelKind::Level] {
        check(&[Data::Constant, Data::Noise, Data::Constant], 1.0, 3, &config(model, 1));
    }
}

/// What moves by a hundred-thousandth of the range that the network sees it in is not rounded away.
#[test]
fn what_moves_by_little_of_its_range_is_computed_as_exactly() {
    for (model, layers, seed) in
        [(ModelKind::Autoencoder, vec![4, 3], 278), (ModelKind::Ensemble, vec![4, 3], 278)]
    {
        let scaling = Scaling::MinMax;
        let config = TrainConfig { layers, scaling, seed, ..config(model, 3) };
        check(&[Data::NearConstant], 0.1, 2, &config);
    }
}

const MODELS: [ModelKind; 5] = [
    ModelKind::Ensemble,
    ModelKind::Autoencoder,
    ModelKind::Forecast,
    ModelKind::Season,
    ModelKind::Level,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of any number of features, window, branch, layers, scaling, seed and size.
    #[test]
    fn the_graph_is_the_arithmetic(
        columns in prop::collection::vec(prop::sample::select(DATA.to_vec()), 1..=40),
        steps in 1_usize..=20,
        model in prop::sample::select(MODELS.to_vec()),
        layers in prop::collection::vec(1_usize..8, 1..=3),
        is_range in any::<bool>(),
        seed in 0_u64..1_000,
        exponent in -9_i32..=12,
        days in 2_usize..=4,
    ) {
        let scaling = if is_range { Scaling::MinMax } else { Scaling::Standard };
        let config = TrainConfig { layers, scaling, seed, ..config(model, steps) };
        let data = dataset(&columns, 10_f64.powi(exponent), days);
        match learnt(&data, &config) {
            Ok(learnt) => {
                let (difference, largest) = difference(&data, &learnt);
                prop_assert!(difference < TOLERANCE, "{difference:e} of errors up to {largest}");
            }
            // So small that nothing moves for this program.
            Err(TrainError::Fit(FitError::NothingMoves { .. })) => prop_assume!(false),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
