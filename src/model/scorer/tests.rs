//! Models as other tools export them, in every accepted shape and in refused ones.

use super::*;
use crate::duration::Duration;
use crate::features::FeatureSpec;
use crate::model::Dim;
use crate::model::graph::{Attribute, Graph};
use ndarray::{arr1, arr2, arr3};

fn runtime() -> Runtime {
    Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it")
}

/// `[N, ..]`.
fn shape(rest: &[usize]) -> Vec<Dim> {
    let rest = rest.iter().map(|len| Dim::Fixed(*len));
    std::iter::once(Dim::Dynamic("N".to_owned())).chain(rest).collect()
}

fn scorer(graph: Graph, features: usize, window: usize) -> Result<Scorer, ScorerError> {
    let artifact = Artifact::read(graph.encode(Vec::new())).expect("a file");
    let features = (0..features).map(|i| FeatureSpec::new(format!("f{i}"), "up")).collect();
    let entity = vec!["instance".to_owned()];
    let metadata =
        Metadata { window, ..Metadata::new(features, entity, Duration::from_seconds(15)) };
    Scorer::new(&runtime(), &artifact, &metadata)
}

/// Two features; the reconstruction is half of the input.
fn halving(window: Option<usize>) -> Graph {
    let dims = match window {
        None => shape(&[2]),
        Some(window) => shape(&[window, 2]),
    };
    let mut graph = Graph::new("halving");
    graph.input("x", &dims).constant("half", &[], &[0.5]);
    graph.node("Mul", &["x", "half"], "y").output("y", &dims);
    graph
}

#[test]
fn a_reconstruction_is_held_against_the_input() {
    let mut scorer = scorer(halving(None), 2, 1).expect("accepted");
    let batch = arr3(&[[[2.0, 4.0]], [[0.0, 0.0]], [[f32::NAN, 1.0]]]);
    let scores = scorer.score(batch.view()).expect("scores");
    // (1² + 2²) / 2, shared 1 to 4.
    assert_eq!(scores.error[..2], [2.5, 0.0]);
    assert!(scores.error[2].is_nan());
    let contribution = scores.contribution.expect("it follows from the reconstruction");
    assert_eq!(contribution.row(0), arr1(&[0.2, 0.8]));
    assert_eq!(contribution.row(1), arr1(&[0.0, 0.0]));
    let reconstruction = scores.reconstruction.expect("it is the output");
    assert_eq!(reconstruction.row(0), arr1(&[1.0, 2.0]));
}

#[test]
fn a_windowed_reconstruction_counts_every_step() {
    let mut scorer = scorer(halving(Some(3)), 2, 3).expect("accepted");
    let batch = arr3(&[[[2.0, 0.0], [2.0, 0.0], [0.0, 4.0]]]);
    let scores = scorer.score(batch.view()).expect("scores");
    // (1 + 1 + 4) / 6; the newest step is expected to be (0, 2).
    assert_eq!(scores.error, [1.0]);
    let third = 1.0 / 3.0;
    let contribution = scores.contribution.expect("it follows from the reconstruction");
    assert!((&contribution - arr2(&[[third, 2.0 * third]])).iter().all(|it| it.abs() < 1e-6));
    assert_eq!(scores.reconstruction, Some(arr2(&[[0.0, 2.0]])));
}

/// The mean of the squares, `[N]` or `[N, 1]`, under any name.
fn mean_square(name: &str, keepdims: bool) -> Graph {
    let mut graph = Graph::new("mean square");
    graph.input("x", &shape(&[2])).node("Mul", &["x", "x"], "squares").integers("axis", &[1]);
    let keepdims_value = [Attribute::Int("keepdims", i64::from(keepdims))];
    graph.node_with("ReduceSum", &["squares", "axis"], name, &keepdims_value);
    graph.output(name, &shape(if keepdims { &[1] } else { &[] }));
    graph
}

#[test]
fn one_column_is_the_error() {
    for (name, keepdims) in [("anything", true), ("anything", false), ("score", true)] {
        let mut scorer = scorer(mean_square(name, keepdims), 2, 1).expect("accepted");
        let scores = scorer.score(arr3(&[[[1.0, 2.0]], [[0.0, 3.0]]]).view()).expect("scores");
        let expected = Scores { error: vec![5.0, 9.0], contribution: None, reconstruction: None };
        assert_eq!(scores, expected);
    }
}

#[test]
fn a_mask_is_fed_with_ones() {
    let mut graph = Graph::new("masked");
    graph.input("x", &shape(&[2])).input("mask", &shape(&[2])).integers("axis", &[1]);
    let keepdims = [Attribute::Int("keepdims", 0)];
    graph.node("Mul", &["x", "mask"], "there");
    graph.node_with("ReduceSum", &["there", "axis"], "score", &keepdims);
    graph.output("score", &shape(&[]));
    let mut scorer = scorer(graph, 2, 1).expect("accepted");
    let scores = scorer.score(arr3(&[[[1.0, 2.0]]]).view()).expect("scores");
    assert_eq!(scores.error, [3.0]);
}

#[test]
fn what_is_not_finite_is_nan() {
    let mut graph = Graph::new("logarithm");
    graph.input("x", &shape(&[1])).node("Log", &["x"], "log").integers("axis", &[1]);
    let keepdims = [Attribute::Int("keepdims", 0)];
    graph.node("Abs", &["log"], "y");
    graph.node_with("ReduceSum", &["y", "axis"], "score", &keepdims);
    graph.output("score", &shape(&[]));
    let mut scorer = scorer(graph, 1, 1).expect("accepted");
    let batch = arr3(&[[[1.0]], [[0.0]], [[-1.0]]]);
    let scores = scorer.score(batch.view()).expect("scores");
    assert_eq!(scores.error[0], 0.0);
    assert!(scores.error[1].is_nan() && scores.error[2].is_nan());
}

#[track_caller]
fn check_refused(graph: Graph, features: usize, window: usize, parts: &[&str]) {
    let error = scorer(graph, features, window).expect_err("a refusal").to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn what_does_not_keep_the_contract_is_refused_with_shapes() {
    check_refused(halving(None), 3, 1, &["x float32 [N, 2]", "[N, 3]"]);
    check_refused(halving(None), 2, 4, &["x float32 [N, 2]", "[N, 4, 2]"]);
    check_refused(halving(Some(3)), 2, 4, &["x float32 [N, 3, 2]", "[N, 4, 2]"]);

    let mut fixed = Graph::new("one row only");
    fixed.input("x", &[Dim::Fixed(1), Dim::Fixed(2)]).node("Relu", &["x"], "y");
    fixed.output("y", &[Dim::Fixed(1), Dim::Fixed(2)]);
    check_refused(fixed, 2, 1, &["x float32 [1, 2]", "expected float32 [N, 2]"]);

    let mut level = Graph::new("level");
    level.input("x", &shape(&[2])).input("level_mean", &shape(&[2]));
    level.node("Sub", &["x", "level_mean"], "y").output("y", &shape(&[2]));
    check_refused(level, 2, 1, &["input level_mean", "none named level_scale"]);

    let mut clock = Graph::new("clock");
    clock.input("x", &shape(&[2])).input("clock", &shape(&[2]));
    clock.node("Sub", &["x", "clock"], "y").output("y", &shape(&[2]));
    check_refused(clock, 2, 1, &["clock float32 [N, 2]", "only `mask`"]);

    let mut latent = Graph::new("encoder without decoder");
    latent.input("x", &shape(&[2])).constant("w", &[2, 3], &[1.0; 6]);
    latent.node("MatMul", &["x", "w"], "latent").output("latent", &shape(&[3]));
    check_refused(latent, 2, 1, &["latent [5, 3]", "an input of [5, 2]", "`score` [N]"]);

    let mut two = halving(None);
    two.node("Relu", &["y"], "z").output("z", &shape(&[2]));
    check_refused(two, 2, 1, &["y [5, 2], z [5, 2]"]);

    let mut labels = Graph::new("label");
    labels.input("x", &shape(&[2]));
    labels.node_with("ArgMax", &["x"], "label", &[Attribute::Int("axis", 1)]);
    labels.output("label", &shape(&[1]));
    // Declared as float32, but it gives whole numbers.
    check_refused(labels, 2, 1, &["ONNX Runtime refuses the model"]);

    let mut unknown = Graph::new("unknown operator");
    unknown.input("x", &shape(&[2])).node("Frobnicate", &["x"], "y").output("y", &shape(&[2]));
    check_refused(unknown, 2, 1, &["ONNX Runtime refuses the model", "Frobnicate"]);
}

#[test]
fn a_graph_that_drops_a_single_row_is_taken_as_it_is() {
    let mut squeezed = Graph::new("squeeze");
    squeezed.input("x", &shape(&[2])).node("Mul", &["x", "x"], "squares").integers("axis", &[1]);
    squeezed.node_with("ReduceSum", &["squares", "axis"], "s", &[Attribute::Int("keepdims", 0)]);
    squeezed.node("Squeeze", &["s"], "y").output("y", &shape(&[]));
    let mut scorer = scorer(squeezed, 2, 1).expect("accepted");
    let one = scorer.score(arr3(&[[[1.0, 2.0]]]).view()).expect("scores");
    assert_eq!(one.error, [5.0]);
}

/// The error is the mean of what is there, `level_mean` subtracted, times the entity's number plus 1.
fn asking() -> Graph {
    let mut graph = Graph::new("asking");
    graph.input("x", &shape(&[2])).input("mask", &shape(&[2]));
    graph.input("level_mean", &shape(&[2])).input("level_scale", &shape(&[2]));
    graph.input("entity", &shape(&[])).integers("axis", &[1]);
    graph.constant("one", &[], &[1.0]);
    graph.node("Sub", &["x", "level_mean"], "from").node("Div", &["from", "level_scale"], "ratio");
    graph.node("Mul", &["ratio", "mask"], "there");
    let drop = [Attribute::Int("keepdims", 0)];
    graph.node_with("ReduceSum", &["there", "axis"], "sum", &drop);
    graph.node_with("ReduceSum", &["mask", "axis"], "count", &drop);
    graph.node("Div", &["sum", "count"], "mean").node("Add", &["entity", "one"], "factor");
    graph.node("Mul", &["mean", "factor"], "score").output("score", &shape(&[]));
    graph
}

#[test]
fn mask_level_and_entity_are_fed() {
    let mut scorer = scorer(asking(), 2, 1).expect("accepted");
    assert!(scorer.takes_mask() && scorer.takes_level() && scorer.takes_entity());
    let batch =
        arr3(&[[[3.0, 5.0]], [[3.0, f32::NAN]], [[f32::NAN, f32::NAN]], [[1.0, f32::INFINITY]]]);
    let (mean, scale) = (Array2::ones((4, 2)), Array2::from_elem((4, 2), 2.0));
    let entity = arr1(&[0.0, 1.0, 0.0, 0.0]);
    let level = Some((mean.view(), scale.view()));
    let context = Context { level, entity: Some(entity.view()) };
    let scores = scorer.score_in(batch.view(), &context).expect("scores");
    // ((3 - 1) / 2 + (5 - 1) / 2) / 2, and (3 - 1) / 2 for the second entity, twice.
    assert_eq!(scores.error[..2], [1.5, 2.0]);
    assert!(scores.error[2].is_nan(), "nothing is there");
    assert!(scores.error[3].is_nan(), "infinity is no absence");
    let error = scorer.score(batch.view()).expect_err("no level").to_string();
    assert!(error.contains("needs the level of 4 entities"), "{error}");
}
