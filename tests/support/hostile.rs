//! Models that do harm to whoever loads them.

use portent::model::Dim;
use portent::model::graph::Graph;
use portent::proto::onnx::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};
use prost::Message;

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// A graph of two features that gives each entity the sum of its values, and what else `with` adds to
/// it under the name `more`.
pub fn model(with: impl FnOnce(&mut Graph), properties: &[(&str, &str)]) -> Vec<u8> {
    let rows = Dim::Dynamic("N".to_owned());
    let mut graph = Graph::new("sum");
    graph.input("features", &[rows.clone(), Dim::Fixed(2)]).constant("none", &[], &[0.0]);
    graph.node("Identity", &["none"], "more");
    with(&mut graph);
    graph
        .node("Add", &["features", "more"], "values")
        .integers("axes", &[1])
        .node("ReduceSum", &["values", "axes"], "sums")
        .node("Squeeze", &["sums", "axes"], "score")
        .output("score", &[rows]);
    let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    graph.encode(properties.collect()).to_vec()
}

/// A graph that has to sum up so many constants, which it makes first.
pub fn large(constants: i64) -> Vec<u8> {
    let rows = Dim::Dynamic("N".to_owned());
    let mut graph = Graph::new("large");
    graph
        .input("features", &[rows.clone(), Dim::Fixed(2)])
        .integers("count", &[constants])
        .node("ConstantOfShape", &["count"], "constants")
        .node("ReduceSum", &["constants"], "none")
        .node("Add", &["features", "none"], "values")
        .integers("axes", &[1])
        .node("ReduceSum", &["values", "axes"], "sums")
        .node("Squeeze", &["sums", "axes"], "score")
        .output("score", &[rows]);
    graph.encode(Vec::new()).to_vec()
}

/// A graph with a loop that goes on while true is true.
pub fn endless() -> Vec<u8> {
    repeating(Vec::new(), true)
}

/// A graph that gives each entity the sum of its two values, unless one of them is above `most`: then it
/// goes on for ever.
pub fn endless_above(most: f32) -> Vec<u8> {
    let keep = AttributeProto {
        name: Some("keepdims".to_owned()),
        r#type: Some(portent::proto::onnx::attribute_proto::AttributeType::Int as i32),
        i: Some(0),
        ..AttributeProto::default()
    };
    let largest =
        NodeProto { attribute: vec![keep], ..node("ReduceMax", &["features"], &["largest"]) };
    let nodes = vec![largest, node("Greater", &["largest", "most"], &["go"])];
    let most = constant("most", FLOAT, &[], &most.to_le_bytes());
    repeating(
        vec![GraphProto { node: nodes, initializer: vec![most], ..GraphProto::default() }],
        false,
    )
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        name: Some(outputs[0].to_owned()),
        input: inputs.iter().map(|it| (*it).to_owned()).collect(),
        output: outputs.iter().map(|it| (*it).to_owned()).collect(),
        ..NodeProto::default()
    }
}

fn constant(name: &str, data_type: i32, dims: &[i64], raw: &[u8]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: dims.to_vec(),
        data_type: Some(data_type),
        raw_data: Some(raw.to_vec().into()),
        ..TensorProto::default()
    }
}

/// A graph with a loop that goes on while `go` is true, which some part of the graph computes before or
/// which is always so.
fn repeating(parts: Vec<GraphProto>, always: bool) -> Vec<u8> {
    let info = |name: &str, elem_type: i32, shape: &[&str]| {
        let dim = |name: &&str| portent::proto::onnx::tensor_shape_proto::Dimension {
            value: Some(match name.parse() {
                Ok(fixed) => {
                    portent::proto::onnx::tensor_shape_proto::dimension::Value::DimValue(fixed)
                }
                Err(_) => portent::proto::onnx::tensor_shape_proto::dimension::Value::DimParam(
                    (*name).to_owned(),
                ),
            }),
        };
        let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
        let tensor = type_proto::Tensor { elem_type: Some(elem_type), shape: Some(shape) };
        ValueInfoProto {
            name: Some(name.to_owned()),
            r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }),
            doc_string: None,
        }
    };
    let body = GraphProto {
        name: Some("body".to_owned()),
        node: vec![node("Identity", &["go_in"], &["go_out"]), node("Relu", &["in"], &["out"])],
        input: vec![
            info("i", INT64, &[]),
            info("go_in", BOOL, &[]),
            info("in", FLOAT, &["N", "2"]),
        ],
        output: vec![info("go_out", BOOL, &[]), info("out", FLOAT, &["N", "2"])],
        ..GraphProto::default()
    };
    // Graphs within graphs are not among what Portent writes: field 6 of an attribute, which is field 5
    // of a node, which is field 1 of a graph. A message goes on with whatever is written after it.
    let name = AttributeProto {
        name: Some("body".to_owned()),
        r#type: Some(portent::proto::onnx::attribute_proto::AttributeType::Graph as i32),
        ..AttributeProto::default()
    };
    let attribute = [name.encode_to_vec(), field(6, &body.encode_to_vec())].concat();
    let repeat = node("Loop", &["", "go", "features"], &["score_of"]);
    let repeat = [repeat.encode_to_vec(), field(5, &attribute)].concat();
    let before = GraphProto {
        name: Some("endless".to_owned()),
        initializer: [
            always.then(|| constant("go", BOOL, &[], &[1])),
            Some(constant("axes", INT64, &[1], &1_i64.to_le_bytes())),
        ]
        .into_iter()
        .flatten()
        .collect(),
        input: vec![info("features", FLOAT, &["N", "2"])],
        output: vec![info("score", FLOAT, &["N", "1"])],
        ..GraphProto::default()
    };
    let after = GraphProto {
        node: vec![node("ReduceSum", &["score_of", "axes"], &["score"])],
        ..GraphProto::default()
    };
    let parts: Vec<u8> = parts.iter().flat_map(Message::encode_to_vec).collect();
    let graph = [before.encode_to_vec(), parts, field(1, &repeat), after.encode_to_vec()].concat();
    // IR version 8, and opset 13 of the domain that has no name.
    [vec![0x08, 8], field(7, &graph), field(8, &[0x0a, 0, 0x10, 13])].concat()
}

/// A field of a message that is made of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encode_length_delimiter(bytes.len(), &mut field).expect("a vector grows");
    field.extend_from_slice(bytes);
    field
}
