//! The examples hold: real programs accept them, and they name what the profile reads.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::support::{Peers, repository};
use portent::config::Config;
use portent::features::profile;
use portent::model::{Artifact, Runtime, Scorer};
use portent::proto::onnx::attribute_proto::AttributeType;
use portent::proto::onnx::tensor_shape_proto::Dimension;
use portent::proto::onnx::tensor_shape_proto::dimension::Value;
use portent::proto::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto, type_proto,
};
use prost::Message;
use regex::Regex;

fn example(name: &str) -> String {
    let file = repository().join("examples").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every metric of node_exporter that an expression of the profile names.
fn metrics_of_the_profile() -> BTreeSet<String> {
    let metric = Regex::new(r"\bnode_\w+").expect("a regex of this file");
    let in_expression = |expr: &str| -> Vec<String> {
        let found = metric.find_iter(expr);
        found.map(|name| name.as_str().to_owned()).collect()
    };
    profile().iter().flat_map(|spec| in_expression(&spec.expr)).collect()
}

#[test]
fn promtool_accepts_prometheus_yml() {
    let output = Command::new(Peers::find().promtool)
        .args(["check", "config", "examples/prometheus.yml"])
        .current_dir(repository())
        .output()
        .expect("promtool runs");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    assert!(!said.to_lowercase().contains("warning"), "{said}");
}

#[test]
fn prometheus_yml_sends_exactly_what_the_profile_reads() {
    let config: serde_yaml::Value =
        serde_yaml::from_str(&example("prometheus.yml")).expect("it is YAML");
    let rule = &config["remote_write"][0]["write_relabel_configs"][0];
    assert_eq!(rule["action"], "keep");
    assert_eq!(rule["source_labels"][0], "__name__");
    let list = rule["regex"].as_str().expect("a regex");
    let sent: BTreeSet<String> = list.split('|').map(str::to_owned).collect();
    assert_eq!(sent, metrics_of_the_profile());
    assert!(list.split('|').is_sorted(), "sorted, so that a reader finds a name");
}

#[test]
fn prometheus_yml_keeps_the_labels_of_the_scores() {
    let config: serde_yaml::Value =
        serde_yaml::from_str(&example("prometheus.yml")).expect("it is YAML");
    let jobs = config["scrape_configs"].as_sequence().expect("a list");
    let portent = jobs.iter().find(|job| job["job_name"] == "portent");
    assert_eq!(portent.expect("a job")["honor_labels"], true);
}

/// Set to write what the example's files should be instead of comparing.
const REGENERATE: &str = "PORTENT_REGENERATE";

fn own_model(file: &str) -> PathBuf {
    repository().join("examples/bring-your-own-model").join(file)
}

/// What `torch.onnx.export` with `dynamo=False` makes of
/// `nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4))`: its names, its attributes.
///
/// The weights are what anybody can check by hand: one hidden value is the mean of CPU and disk, the
/// other that of memory and swap, and each feature is expected to be its group's.
fn as_pytorch_exports() -> Vec<u8> {
    let linear = |index: usize, weight: [usize; 2], values: [f32; 8]| {
        let bias = vec![0.0; weight[0]];
        [
            tensor(&format!("{index}.weight"), &weight, &values),
            tensor(&format!("{index}.bias"), &weight[..1], &bias),
        ]
    };
    let encode = [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5];
    let decode = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    let gemm = |index: usize, input: &str, output: &str| NodeProto {
        input: [input, &format!("{index}.weight"), &format!("{index}.bias")]
            .map(str::to_owned)
            .to_vec(),
        output: vec![output.to_owned()],
        name: Some(format!("/{index}/Gemm")),
        op_type: Some("Gemm".to_owned()),
        attribute: vec![float("alpha", 1.0), float("beta", 1.0), integer("transB", 1)],
        ..NodeProto::default()
    };
    let relu = NodeProto {
        input: vec!["/0/Gemm_output_0".to_owned()],
        output: vec!["/1/Relu_output_0".to_owned()],
        name: Some("/1/Relu".to_owned()),
        op_type: Some("Relu".to_owned()),
        ..NodeProto::default()
    };
    let graph = GraphProto {
        node: vec![
            gemm(0, "features", "/0/Gemm_output_0"),
            relu,
            gemm(2, "/1/Relu_output_0", "reconstruction"),
        ],
        name: Some("main_graph".to_owned()),
        initializer: [linear(0, [2, 4], encode), linear(2, [4, 2], decode)].concat(),
        input: vec![rows_of_four("features")],
        output: vec![rows_of_four("reconstruction")],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: Some(8),
        producer_name: Some("pytorch".to_owned()),
        producer_version: Some("2.5.1".to_owned()),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(17) }],
        ..ModelProto::default()
    }
    .encode_to_vec()
}

fn tensor(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    TensorProto {
        dims: dims.iter().map(|&it| it as i64).collect(),
        data_type: Some(tensor_proto::DataType::Float as i32),
        name: Some(name.to_owned()),
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        f: Some(value),
        r#type: Some(AttributeType::Float as i32),
        ..AttributeProto::default()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value),
        r#type: Some(AttributeType::Int as i32),
        ..AttributeProto::default()
    }
}

/// A float32 tensor `[batch, 4]`.
fn rows_of_four(name: &str) -> ValueInfoProto {
    let dims = [Value::DimParam("batch".to_owned()), Value::DimValue(4)];
    let tensor = type_proto::Tensor {
        elem_type: Some(tensor_proto::DataType::Float as i32),
        shape: Some(TensorShapeProto {
            dim: dims.into_iter().map(|it| Dimension { value: Some(it) }).collect(),
        }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }),
        doc_string: None,
    }
}

/// The committed file is what this repository says that it is.
#[test]
fn the_foreign_model_is_as_pytorch_exports_it() {
    let file = own_model("autoencoder.onnx");
    let bytes = as_pytorch_exports();
    if env::var_os(REGENERATE).is_some() {
        fs::write(&file, &bytes).expect("written");
    }
    let found = fs::read(&file).expect("the model");
    assert!(found == bytes, "{} is another; {REGENERATE}=1 writes it", file.display());
    let model = ModelProto::decode(found.as_slice()).expect("a model");
    assert!(model.metadata_props.is_empty(), "a foreign model says nothing of itself");
}

#[test]
fn the_foreign_model_scores_with_its_configuration() {
    let config = Config::load(Some(&own_model("portent.yml"))).expect("a good example");
    let [model] = config.models.as_slice() else { panic!("{:?}", config.models) };
    let bytes = fs::read(model.file.as_ref().expect("a file")).expect("the model");
    let artifact = Artifact::read(bytes.into()).expect("an artifact");
    let metadata = artifact.resolve(model).expect("complete with the configuration");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let mut scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a scorer");
    // Expected are [0.3, 0.3, 0.5, 0.5] and [0.5, 0.5, 0.5, 0.5].
    let rows = [[0.25, 0.35, 0.5, 0.5], [1.0, 0.0, 0.5, 0.5]];
    let rows = ndarray::Array3::from_shape_fn((2, 1, 4), |(row, _, i)| rows[row][i]);
    let scores = scorer.score(rows.view()).expect("scores");
    let near = |found: f32, expected: f32| (found - expected).abs() < 1e-6;
    assert!(near(scores.error[0], 0.00125) && near(scores.error[1], 0.125), "{scores:?}");
    let above: Vec<bool> =
        scores.error.iter().map(|it| f64::from(*it) > metadata.threshold).collect();
    assert_eq!(above, [false, true]);
    let shares = scores.contribution.expect("of a reconstruction");
    assert_eq!(shares.row(1).to_vec(), [0.5, 0.5, 0.0, 0.0]);
}

/// A command of the README and the lines below it, up to the end of its block.
#[track_caller]
fn check_said(command: &str) {
    let readme = fs::read_to_string(own_model("README.md")).expect("the README");
    let prompt = format!("$ {command}\n");
    let (_, rest) = readme.split_once(&prompt).unwrap_or_else(|| panic!("no {prompt:?}"));
    let (expected, _) = rest.split_once("```").expect("the end of the block");
    let arguments = command.split(' ').skip(1);
    let output = Command::new(env!("CARGO_BIN_EXE_portent"))
        .args(arguments)
        .current_dir(repository().join("examples/bring-your-own-model"))
        .output()
        .expect("portent is built");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn the_readme_says_what_the_program_says() {
    check_said("portent check model autoencoder.onnx");
    check_said("portent check config portent.yml");
}
