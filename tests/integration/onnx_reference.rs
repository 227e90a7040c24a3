//! A committed model of our own gives what ONNX Runtime's Python package gives, see
//! `tests/reference/onnx_reference.py`.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis};
use portent::model::{Artifact, ModelConfig, Runtime, Scorer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    features: Vec<Vec<f32>>,
    score: Vec<f32>,
    contribution: Vec<Vec<f32>>,
    reconstruction: Vec<Vec<f32>>,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

fn matrix(rows: &[Vec<f32>]) -> Array2<f32> {
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).expect("rows of one length")
}

/// Float32 has seven digits, and another version may sum in another order.
#[track_caller]
fn check<'a>(
    found: impl IntoIterator<Item = &'a f32>,
    expected: impl IntoIterator<Item = &'a f32>,
) {
    let (mut found, mut count) = (found.into_iter(), 0);
    for expected in expected {
        let found = found.next().expect("as many values");
        let near = (found - expected).abs() <= 1e-6 * expected.abs().max(1.0);
        assert!(near, "{found} instead of {expected}");
        count += 1;
    }
    assert!(count > 0 && found.next().is_none());
}

#[test]
fn scores_are_those_of_the_python_package() {
    let text = std::fs::read_to_string(file("small.json")).expect("the reference");
    let reference: Reference = serde_json::from_str(&text).expect("its layout");
    let bytes = std::fs::read(file("small.onnx")).expect("the model");
    let artifact = Artifact::read(bytes.into()).expect("an artifact");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("complete metadata");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let mut scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a scorer");
    let features = matrix(&reference.features);
    let scores = scorer.score(features.view().insert_axis(Axis(1))).expect("scores");
    check(&scores.error, &reference.score);
    check(&scores.contribution.expect("our models have it"), &matrix(&reference.contribution));
    check(&scores.reconstruction.expect("our models have it"), &matrix(&reference.reconstruction));
    // The rows were chosen to lie on both sides.
    let above = |error: &f32| f64::from(*error) > metadata.threshold;
    let verdicts: Vec<bool> = reference.score.iter().map(above).collect();
    assert_eq!(verdicts, [false, false, false, true, true, true]);
}
