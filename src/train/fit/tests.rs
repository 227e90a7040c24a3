use super::*;
use crate::duration::Duration;
use crate::features::FeatureSpec;
use crate::history::{EntityRecording, Recording};
use crate::labels::Labels;
use crate::model::{Artifact, Metadata, Runtime, Scorer};
use crate::train::export::export;

/// Three features that follow one hidden load, one that never moves and one that is left out.
fn dataset(steps: usize) -> Dataset {
    let load = |t: f64| 0.5 + 0.3 * (t / 17.0).sin() + 0.2 * (t / 5.0).sin();
    let values = Array2::from_shape_fn((steps, 5), |(row, feature)| {
        let t = row as f64;
        let wobble = 0.02 * ((t * 1.7 + feature as f64) * 12.9).sin();
        let value = match feature {
            0 => load(t) + wobble,
            1 => 100.0 * load(t) + 2.0 * wobble,
            2 => 5.0 - 4.0 * load(t) + wobble,
            3 => 7.0,
            _ => 12.0 + t / 3_600.0,
        };
        value as f32
    });
    let times_ms = (0..steps as i64).map(|i| i * 1_000).collect();
    let entities = vec![EntityRecording::new(Labels::empty(), values)];
    let recording = Recording::new(times_ms, 1_000, vec![true; 5], entities);
    let features: Vec<_> = (0..5).map(|i| FeatureSpec::new(i.to_string(), "x")).collect();
    Dataset::clean(&recording, &features).expect("complete rows")
}

const ROLES: [Role; 5] =
    [Role::Observed, Role::Observed, Role::Observed, Role::Observed, Role::LeftOut];

fn config() -> TrainConfig {
    TrainConfig { layers: vec![4, 1, 4], epochs: 60, learning_rate: 0.01, ..TrainConfig::default() }
}

#[track_caller]
fn fitted(dataset: &Dataset, config: &TrainConfig) -> Fitted {
    let split = dataset.split(0.2).expect("two parts");
    fit(dataset, &split, &ROLES, config, &mut |_, _| {}).expect("a fit")
}

#[test]
fn what_moves_together_is_learnt_and_a_departure_stands_out() {
    let dataset = dataset(800);
    let fitted = fitted(&dataset, &config());
    let normal = dataset.view();
    let errors = fitted.errors(normal);
    let largest = errors.iter().copied().fold(0.0, f64::max);
    // Feature 1 stays within its own range but no longer follows the others.
    let mut odd = normal.slice(ndarray::s![..1, ..]).to_owned();
    odd[[0, 1]] = if odd[[0, 1]] > 50.0 { 5.0 } else { 95.0 };
    let evaluation = fitted.evaluate(odd.view());
    assert!(evaluation.error[0] > 3.0 * largest, "{evaluation:?} {largest}");
    let share: f64 = evaluation.contribution.row(0).sum();
    assert!((share - 1.0).abs() < 1e-12);
    // The constant one departs from its value: its own residual, nobody else's.
    let mut odd = normal.slice(ndarray::s![..1, ..]).to_owned();
    odd[[0, 3]] = 14.0;
    let evaluation = fitted.evaluate(odd.view());
    assert!(evaluation.error[0] > 0.2, "{evaluation:?}");
    assert!(evaluation.contribution[[0, 3]] > 0.9, "{evaluation:?}");
    assert!((evaluation.reconstruction[[0, 3]] - 7.0).abs() < 1e-5);
    // The one that was left out says nothing, whatever it is.
    let mut odd = normal.slice(ndarray::s![..1, ..]).to_owned();
    odd[[0, 4]] = 1e6;
    let evaluation = fitted.evaluate(odd.view());
    assert_eq!(evaluation.error[0], errors[0]);
    assert_eq!(evaluation.contribution[[0, 4]], 0.0);
    assert_eq!(evaluation.reconstruction[[0, 4]], 1e6);
}

#[test]
fn the_seed_decides() {
    let dataset = dataset(200);
    let config = TrainConfig { epochs: 3, ..config() };
    assert_eq!(fitted(&dataset, &config), fitted(&dataset, &config));
    let other = TrainConfig { seed: 1, ..config.clone() };
    assert_ne!(fitted(&dataset, &config).network, fitted(&dataset, &other).network);
}

#[test]
fn patience_ends_a_fit_with_the_best_weights() {
    let dataset = dataset(300);
    let split = dataset.split(0.2).expect("two parts");
    // Steps so large that the loss wanders.
    let config = TrainConfig { epochs: 1_000, patience: 4, learning_rate: 0.3, ..config() };
    let mut losses = Vec::new();
    let fitted =
        fit(&dataset, &split, &ROLES, &config, &mut |_, loss| losses.push(loss)).expect("a fit");
    let course = &fitted.course;
    assert!(course.epochs < 1_000);
    assert_eq!(losses.len(), course.epochs);
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(course.validation_loss, best);
    assert_eq!(losses[course.best_epoch - 1], best);
    // The kept weights have that loss, up to rounding them to float32.
    let rows = dataset.view().select(Axis(0), &split.validation);
    let errors = fitted.errors(rows.view());
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!((mean - best).abs() < 1e-6 * best.max(1e-3), "{mean} {best}");
}

#[test]
fn nothing_that_moves_is_an_error() {
    let mut dataset = dataset(100);
    dataset.values.fill(3.0);
    let split = dataset.split(0.2).expect("two parts");
    let error = fit(&dataset, &split, &ROLES, &config(), &mut |_, _| {});
    assert_eq!(error, Err(FitError::NothingMoves { rows: 80 }));
}

#[test]
fn the_validation_part_does_not_enter_the_scaler() {
    let mut dataset = dataset(200);
    let before = fitted(&dataset, &TrainConfig { epochs: 1, ..config() });
    dataset.values.row_mut(199).fill(1e5);
    let after = fitted(&dataset, &TrainConfig { epochs: 1, ..config() });
    assert_eq!(before.scaler, after.scaler);
    assert_eq!(before.network, after.network);
}

/// Everything that the graph gives, against the trainer's arithmetic, on rows inside and far outside
/// of what was learnt.
#[test]
fn the_graph_says_what_the_trainer_says() {
    let dataset = dataset(300);
    let fitted = fitted(&dataset, &config());
    let features = (0..5).map(|i| FeatureSpec::new(i.to_string(), "x")).collect();
    let entity = vec!["instance".to_owned()];
    let metadata = Metadata::new(features, entity, Duration::from_seconds(1));
    let artifact = Artifact::read(export(&fitted, &metadata)).expect("our own file");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let mut scorer = Scorer::new(&runtime, &artifact, &metadata).expect("our own graph");
    let mut rows = dataset.values.clone();
    for (i, mut row) in rows.outer_iter_mut().enumerate() {
        row[i % 5] *= [1.0, -3.0, 40.0, 1e9][i % 4];
    }
    let scores = scorer.score(rows.view().insert_axis(Axis(1))).expect("scores");
    let expected = fitted.evaluate(rows.view());
    let near = |found: f32, expected: f64, tolerance: f64| {
        let difference = (f64::from(found) - expected).abs();
        assert!(difference <= tolerance * expected.abs().max(1.0), "{found} {expected}");
    };
    for (found, expected) in scores.error.iter().zip(&expected.error) {
        near(*found, *expected, 1e-6);
    }
    // A share of next to nothing is mostly rounding; the part of the error is not.
    let contribution = scores.contribution.expect("our graphs have it");
    for ((row, feature), share) in contribution.indexed_iter() {
        let error = expected.error[row];
        let part = expected.contribution[[row, feature]] * error;
        near((f64::from(*share) * error) as f32, part, 1e-6);
        near(*share, expected.contribution[[row, feature]], 1e-3);
    }
    // Sums before the sigmoid grow far outside of what was learnt, and their rounding with them.
    let reconstruction = scores.reconstruction.expect("our graphs have it");
    for (found, expected) in reconstruction.iter().zip(&expected.reconstruction) {
        near(*found, *expected, 1e-5);
    }
}
