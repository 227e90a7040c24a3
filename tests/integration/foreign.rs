//! Models as other tools export them: what becomes of each, as `portent evaluate` says it.
//!
//! Every table has a graph, what the configuration adds, and the outcome: the raw error of a row whose
//! features are all 3, or the sentence of the refusal, which is exit code 2.

use std::fs;
use std::process::Command;

use portent::model::Dim;
use portent::model::graph::{Attribute, Graph};
use portent::proto::onnx::tensor_proto::DataLocation;
use portent::proto::onnx::{ModelProto, StringStringEntryProto, type_proto};
use prost::Message;

const KEEP: [Attribute; 1] = [Attribute::Int("keepdims", 1)];
const DROP: [Attribute; 1] = [Attribute::Int("keepdims", 0)];

/// `[N, ..]`.
fn shape(rest: &[usize]) -> Vec<Dim> {
    let rest = rest.iter().map(|len| Dim::Fixed(*len));
    std::iter::once(Dim::Dynamic("N".to_owned())).chain(rest).collect()
}

/// A graph with an input `x` `[N, F]`, and under way: `half` of it, its `squares`, and their `sum`
/// `[N, 1]`, which is 9 F for a row of threes.
fn graph(features: usize) -> Graph {
    let mut graph = Graph::new("foreign");
    graph.input("x", &shape(&[features])).integers("axis", &[1]);
    graph.constant("0.5", &[], &[0.5]).constant("1", &[], &[1.0]);
    graph.node("Mul", &["x", "0.5"], "half").node("Mul", &["x", "x"], "squares");
    graph.node_with("ReduceSum", &["squares", "axis"], "sum", &KEEP);
    graph
}

/// What a graph gives under a name, without a change.
fn give(graph: &mut Graph, value: &str, name: &str, rest: &[usize]) {
    graph.node("Identity", &[value], name).output(name, &shape(rest));
}

/// A graph of three features with these outputs: values of [`graph`], names, shapes.
fn giving(outputs: &[(&str, &str, &[usize])]) -> Vec<u8> {
    let mut graph = graph(3);
    outputs.iter().for_each(|(value, name, rest)| give(&mut graph, value, name, rest));
    bytes(graph)
}

fn bytes(graph: Graph) -> Vec<u8> {
    graph.encode(Vec::new()).to_vec()
}

/// The outputs of `skl2onnx` for an isolation forest or a one-class SVM: an int64 `label`, and `scores`, which
/// are above 0 for what is normal and below 0 for what is not.
fn decision_function(named: &str) -> Vec<u8> {
    let mut graph = graph(3);
    graph.node_with("ArgMax", &["x"], "label", &[Attribute::Int("axis", 1)]);
    graph.output("label", &shape(&[1]));
    graph.node("Sub", &["1", "sum"], named).output(named, &shape(&[1]));
    let mut model = ModelProto::decode(graph.encode(Vec::new())).expect("our own bytes");
    let outputs = &mut model.graph.as_mut().expect("a graph").output;
    let label = outputs[0].r#type.as_mut().and_then(|it| it.value.as_mut());
    if let Some(type_proto::Value::TensorType(tensor)) = label {
        // 7 is int64.
        tensor.elem_type = Some(7);
    }
    model.encode_to_vec()
}

/// What `portent check model` says: its exit code, and what it prints.
fn checked(model: &[u8]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("own.onnx"), model).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_portent"))
        .args(["check", "model", "own.onnx"])
        .current_dir(folder.path())
        .output()
        .expect("portent is built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("it ended by itself"),
        text(&output.stdout) + &text(&output.stderr),
    )
}

/// What a model says of a row: its raw error, or the sentence of the refusal and the exit code.
fn evaluate(model: &[u8], features: usize, says: &str) -> Result<f64, (i32, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("own.onnx"), model).expect("written");
    let names: Vec<String> = (0..features).map(|i| format!("f{i}")).collect();
    let specs: String = names.iter().map(|it| format!("{{name: {it}, expr: {it}}}, ")).collect();
    let config = format!(
        "models:\n- name: own\n  file: own.onnx\n  entity: [instance]\n  step: 1m\n  \
         threshold: 1\n  features: [{specs}]\n  {says}\n"
    );
    fs::write(path("portent.yml"), config).expect("written");
    let threes = ",3".repeat(features);
    let rows: String = (0..20).map(|i| format!("{}{threes}\n", 1_795_428_900 + 60 * i)).collect();
    fs::write(path("in.csv"), format!("time,{}\n{rows}", names.join(","))).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_portent"))
        .args(["evaluate", "--config.file", "portent.yml", "--model", "own.onnx"])
        .args(["--input", "in.csv", "--scores", "out.csv"])
        .current_dir(folder.path())
        .output()
        .expect("portent is built");
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err((output.status.code().expect("it ended by itself"), text));
    }
    let scores = fs::read_to_string(path("out.csv")).expect("it was written");
    let last = scores.lines().last().expect("a line");
    // timestamp,score,threshold: with a threshold of 1, a score is the raw error.
    let score = last.split(',').nth_back(1).expect("a score");
    Ok(score.parse().unwrap_or_else(|_| panic!("{last}")))
}

#[track_caller]
fn check(name: &str, model: &[u8], features: usize, says: &str, expected: Result<f64, &str>) {
    match (evaluate(model, features, says), expected) {
        (Ok(found), Ok(expected)) => {
            assert!((found - expected).abs() < 1e-5, "{name}: {found} instead of {expected}");
        }
        (Err((code, found)), Err(expected)) => {
            assert!(found.contains(expected), "{name}: {found}");
            assert_eq!((code, found.lines().count()), (2, 1), "{name}: {found}");
        }
        (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
    }
}

#[test]
fn what_falls_for_the_strange_is_asked_for() {
    let scores = decision_function("scores");
    let score = decision_function("score");
    // The share of what is normal: 1 for zeros, 0 far away.
    let mut normal = graph(3);
    normal.node("Neg", &["sum"], "minus").node("Exp", &["minus"], "p").output("p", &shape(&[1]));
    let normal = bytes(normal);
    for (name, model, says, expected) in [
        (
            "skl2onnx as it is",
            &scores,
            "",
            Err("say what it is in the model's item of `models`: `outputs: {scores: normality}`"),
        ),
        ("told: how far it is below 0", &scores, "outputs: {scores: normality}", Ok(26.0)),
        (
            "told wrongly: anything goes",
            &scores,
            "outputs: {label: normality}",
            Err("`outputs` says label: normality"),
        ),
        ("renamed", &score, "", Err("output score is -")),
        ("renamed and told", &score, "outputs: {score: normality}", Ok(26.0)),
        ("a share of what is normal", &normal, "", Err("output p falls: in a trial, it is")),
        (
            "the same, told",
            &normal,
            "outputs: {p: normality}",
            Err("below 0 for no row, however far"),
        ),
        ("one who knows", &normal, "outputs: {p: error}", Ok(0.0)),
    ] {
        check(name, model, 3, says, expected);
    }
}

#[test]
fn a_model_is_checked_with_what_the_configuration_says() {
    let mut ambiguous = graph(1);
    give(&mut ambiguous, "sum", "output", &[1]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("own.onnx"), bytes(ambiguous)).expect("written");
    fs::write(path("other.onnx"), "no model").expect("written");
    let item = |name: &str, more: &str| {
        format!("- {{name: {name}, file: own.onnx, entity: [instance], threshold: 1{more}}}\n")
    };
    let whole = ", step: 1m, features: [{name: a, expr: a}], outputs: {output: error}";
    for (items, code, expected) in [
        (item("own", whole), 0, "output output is the error\n"),
        (item("own", whole), 0, "features     1\n  a "),
        (item("own", ""), 2, "portent.yml: model \"own\": "),
        (item("own", whole).replace("error", "latent"), 2, "latent"),
        (
            item("one", whole) + &item("two", whole),
            2,
            "own.onnx is the file of several items of `models` (\"one\", \"two\")",
        ),
        (
            item("own", whole).replace("own.onnx", "other.onnx"),
            2,
            "portent.yml: no item of `models` has the file own.onnx",
        ),
    ] {
        fs::write(path("portent.yml"), format!("models:\n{items}")).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_portent"))
            .args(["check", "model", "own.onnx", "--config.file", "portent.yml"])
            .current_dir(folder.path())
            .output()
            .expect("portent is built");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(code), "{items}: {said}");
        assert!(said.contains(expected), "{items}: {said}");
    }
}

#[test]
fn outputs_are_told_by_name_then_by_shape_and_never_guessed() {
    let one = |name: &str| {
        let mut graph = graph(1);
        give(&mut graph, "sum", name, &[1]);
        bytes(graph)
    };
    for (name, model, says, expected) in [
        ("an error of one feature", one("mse"), "", Ok(9.0)),
        ("a reconstruction of one feature: (9 - 3)²", one("reconstruction"), "", Ok(36.0)),
        (
            "either",
            one("output"),
            "",
            Err("of one feature, it may be an error or a reconstruction"),
        ),
        ("said", one("output"), "outputs: {output: error}", Ok(9.0)),
        ("said otherwise", one("output"), "outputs: {output: reconstruction}", Ok(36.0)),
    ] {
        check(name, &model, 1, says, expected);
    }
    let half: (&str, &str, &[usize]) = ("half", "reconstruction", &[3]);
    for (name, model, says, expected) in [
        ("a reconstruction: (3 - 1.5)²", giving(&[half]), "", Ok(2.25)),
        ("beside others", giving(&[half, ("sum", "latent", &[1])]), "", Ok(2.25)),
        ("beside its error", giving(&[half, ("sum", "mse", &[1])]), "", Ok(27.0)),
        ("beside another of its shape", giving(&[("squares", "z", &[3]), half]), "", Ok(2.25)),
        ("by shape", giving(&[("half", "Identity:0", &[3])]), "", Ok(2.25)),
        ("by shape, an error", giving(&[("sum", "Identity:0", &[1])]), "", Ok(27.0)),
        (
            "two errors",
            giving(&[("sum", "mse", &[1]), ("sum", "mae", &[1])]),
            "",
            Err("`mse` and `mae` may both be the error"),
        ),
        (
            "two errors, one told",
            giving(&[("sum", "mse", &[1]), ("sum", "mae", &[1])]),
            "outputs: {mae: error}",
            Ok(27.0),
        ),
        (
            "two without a name",
            giving(&[("half", "a", &[3]), ("squares", "b", &[3])]),
            "",
            Err("say which is which in the model's item of `models`"),
        ),
        (
            "an error for each feature",
            giving(&[("squares", "mse", &[3])]),
            "",
            Err("outputs mse [5, 3] for an input of [5, 3]"),
        ),
        (
            "what is no role",
            giving(&[half]),
            "outputs: {reconstruction: guess}",
            Err("unknown variant `guess`"),
        ),
    ] {
        check(name, &model, 3, says, expected);
    }
}

#[test]
fn rows_must_not_influence_each_other() {
    // What a normalisation does that still takes means of the batch.
    let mut batch_norm = graph(3);
    batch_norm.integers("rows", &[0]).node_with("ReduceSum", &["x", "rows"], "all", &KEEP);
    batch_norm.node("Sub", &["x", "all"], "y").output("y", &shape(&[3]));
    // Dropout that is still on.
    let mut dropout = graph(3);
    let range = [Attribute::Float("low", 0.0), Attribute::Float("high", 1.0)];
    dropout.node_with("RandomUniformLike", &["x"], "random", &range);
    dropout.node("Mul", &["x", "random"], "y").output("y", &shape(&[3]));
    let sentence =
        "the rows of a batch influence each other: in a trial, the error of the same row is";
    for (name, graph) in [("normalisation", batch_norm), ("dropout", dropout)] {
        check(name, &bytes(graph), 3, "", Err(sentence));
    }
    let mut fine = graph(3);
    fine.node("Tanh", &["x"], "y").output("y", &shape(&[3]));
    let far = (3.0 - 3.0_f64.tanh()).powi(2);
    check("each row alone", &bytes(fine), 3, "", Ok(far));
}

#[test]
fn a_single_row_may_lose_its_dimensions() {
    let mut squeezed = graph(3);
    squeezed.node_with("ReduceSum", &["squares", "axis"], "flat", &DROP);
    squeezed.node("Squeeze", &["flat"], "score").output("score", &shape(&[]));
    check("a score", &bytes(squeezed), 3, "", Ok(27.0));
}

/// The error is the mean of what is there, twice the features; inputs in this order.
fn masked(inputs: &[&str]) -> Vec<u8> {
    let mut graph = Graph::new("masked");
    inputs.iter().for_each(|name| {
        graph.input(name, &shape(&[3]));
    });
    graph.integers("axis", &[1]).constant("2", &[], &[2.0]);
    graph.node("Mul", &["features", "mask"], "there").node("Mul", &["there", "2"], "double");
    graph.node_with("ReduceSum", &["double", "axis"], "mse", &DROP).output("mse", &shape(&[]));
    bytes(graph)
}

#[test]
fn inputs_are_told_by_name() {
    for (name, inputs) in [
        ("features before mask", ["features", "mask"]),
        ("mask before features", ["mask", "features"]),
    ] {
        check(name, &masked(&inputs), 3, "", Ok(18.0));
    }
}

#[test]
fn weights_in_another_file_are_refused() {
    let mut graph = graph(3);
    graph.constant("w", &[3], &[1.0; 3]).node("Mul", &["x", "w"], "y").output("y", &shape(&[3]));
    let mut model = ModelProto::decode(graph.encode(Vec::new())).expect("our own bytes");
    let weights = model.graph.as_mut().expect("a graph").initializer.iter_mut();
    let weights = weights.max_by_key(|it| it.dims.iter().sum::<i64>()).expect("one");
    weights.raw_data = None;
    weights.data_location = Some(DataLocation::External as i32);
    weights.external_data = vec![StringStringEntryProto {
        key: Some("location".to_owned()),
        value: Some("own.onnx.data".to_owned()),
    }];
    let sentence = "the model's weights are in another file (own.onnx.data), and one file is read";
    check("external data", &model.encode_to_vec(), 3, "", Err(sentence));
}

#[test]
fn a_check_runs_the_model_and_says_what_its_outputs_are() {
    let changed = |change: fn(&mut ModelProto)| {
        let mut model = ModelProto::decode(&giving(&[("half", "y", &[3])])[..]).expect("our own");
        change(&mut model);
        model.encode_to_vec()
    };
    let two = giving(&[("half", "reconstruction", &[3]), ("sum", "latent", &[1])]);
    for (name, model, code, expected) in [
        (
            "a reconstruction",
            two,
            0,
            "output reconstruction is the reconstruction: the error is the mean squared difference\n\
             trial        output latent is not read\n",
        ),
        ("an error", giving(&[("sum", "mse", &[1])]), 0, "output mse is the error\n"),
        ("nothing", giving(&[("squares", "mse", &[3])]), 2, "expected `score` [N]"),
        (
            "an unknown operator",
            changed(|it| {
                it.graph.as_mut().expect("a graph").node[0].op_type = Some("Nop".to_owned())
            }),
            2,
            "ONNX Runtime refuses the model",
        ),
        (
            "a graph in circles",
            changed(|it| {
                let nodes = &mut it.graph.as_mut().expect("a graph").node;
                let last = nodes.last().expect("a node").output[0].clone();
                nodes[0].input[0] = last;
            }),
            2,
            "ONNX Runtime refuses the model",
        ),
        (
            "dimensions that do not fit",
            changed(|it| {
                let weights = &mut it.graph.as_mut().expect("a graph").initializer[0];
                weights.dims = vec![7];
                weights.raw_data = Some(vec![0; 28].into());
            }),
            2,
            "the model",
        ),
        (
            "a newer layout",
            changed(|it| it.ir_version = Some(99)),
            2,
            "the model has IR version 99 and opset 13, and this ONNX Runtime reads IR version ",
        ),
        (
            "newer operators",
            changed(|it| it.opset_import[0].version = Some(99)),
            2,
            "the model has IR version 8 and opset 99, and this ONNX Runtime reads opset ",
        ),
    ] {
        let (found, text) = checked(&model);
        assert_eq!(found, code, "{name}: {text}");
        assert!(text.contains(expected), "{name}: {text}");
    }
}
