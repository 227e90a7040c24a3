//! A graph under construction: tensors and nodes that become the bytes of an ONNX file.
//!
//! In: named inputs, constants, nodes and outputs in the order of computation. Out: a ModelProto of
//! IR version 8 and opset 13, which every ONNX Runtime since 1.9 accepts. It checks nothing: the
//! runtime does when it loads the file, and whoever writes a file loads it before trusting it.
//!
//! Source: ONNX IR specification; operator documentation at opset 13.

use std::collections::HashSet;

use bytes::Bytes;
use prost::Message;

use super::port::Dim;
use crate::proto::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto, tensor_proto,
    tensor_shape_proto, type_proto,
};

/// The newest IR that ONNX Runtime 1.20, the oldest accepted here, shares with all its successors
/// and that older converters and viewers read as well.
const IR_VERSION: i64 = 8;
/// Newer opsets add nothing that is used here; from 18 on ReduceMean takes its axes differently.
const OPSET: i64 = 13;

/// A graph under construction.
#[derive(Debug, Default)]
pub struct Graph {
    proto: GraphProto,
}

/// An attribute of a node.
#[derive(Debug, Clone, Copy)]
pub enum Attribute {
    /// A whole number, such as `axis` or `keepdims`.
    Int(&'static str, i64),
    /// A number, such as `alpha`.
    Float(&'static str, f32),
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { proto: GraphProto { name: Some(name.to_owned()), ..GraphProto::default() } }
    }

    /// A float32 input.
    pub fn input(&mut self, name: &str, shape: &[Dim]) -> &mut Self {
        self.proto.input.push(value_info(name, shape));
        self
    }

    /// A float32 output; some node must have computed it.
    pub fn output(&mut self, name: &str, shape: &[Dim]) -> &mut Self {
        self.proto.output.push(value_info(name, shape));
        self
    }

    /// A float32 constant. No dimensions make a scalar.
    ///
    /// # Panics
    /// When the dimensions do not multiply to the number of values: a mistake of the caller.
    pub fn constant(&mut self, name: &str, dims: &[usize], values: &[f32]) -> &mut Self {
        assert_eq!(dims.iter().product::<usize>(), values.len(), "{name}");
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, dims, tensor_proto::DataType::Float, data)
    }

    /// An int64 constant of one dimension, such as the axes of a reduction.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> &mut Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, &[values.len()], tensor_proto::DataType::Int64, data)
    }

    fn tensor(
        &mut self,
        name: &str,
        dims: &[usize],
        kind: tensor_proto::DataType,
        data: Vec<u8>,
    ) -> &mut Self {
        self.proto.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type: Some(kind as i32),
            raw_data: Some(data.into()),
            ..Default::default()
        });
        self
    }

    /// A node with one output.
    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str) -> &mut Self {
        self.node_with(op, inputs, output, &[])
    }

    /// A node with several outputs.
    pub fn node_many(&mut self, op: &str, inputs: &[&str], outputs: &[&str]) -> &mut Self {
        self.node_with(op, inputs, outputs[0], &[]);
        if let Some(node) = self.proto.node.last_mut() {
            node.output = outputs.iter().map(|&output| output.to_owned()).collect();
        }
        self
    }

    /// A node with one output and attributes.
    pub fn node_with(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[Attribute],
    ) -> &mut Self {
        self.proto.node.push(NodeProto {
            op_type: Some(op.to_owned()),
            name: Some(output.to_owned()),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute: attributes.iter().map(attribute).collect(),
            ..Default::default()
        });
        self
    }

    /// Leaves out nodes that no output depends on. Nodes stand in the order in which they run.
    fn drop_unread(&mut self) {
        let outputs = self.proto.output.iter().filter_map(|output| output.name.clone());
        let mut read: HashSet<String> = outputs.collect();
        let mut kept = Vec::with_capacity(self.proto.node.len());
        for node in std::mem::take(&mut self.proto.node).into_iter().rev() {
            if node.output.iter().any(|output| read.contains(output)) {
                read.extend(node.input.iter().cloned());
                kept.push(node);
            }
        }
        kept.reverse();
        self.proto.node = kept;
    }

    /// The bytes of the file, with `properties` as its metadata. Nodes and constants that no output
    /// depends on are left out: ONNX Runtime would run the former and warn of the latter.
    #[must_use]
    pub fn encode(mut self, properties: Vec<(String, String)>) -> Bytes {
        self.drop_unread();
        let read: HashSet<&String> = self.proto.node.iter().flat_map(|node| &node.input).collect();
        self.proto
            .initializer
            .retain(|constant| constant.name.as_ref().is_some_and(|name| read.contains(name)));
        let entry = |(key, value)| StringStringEntryProto { key: Some(key), value: Some(value) };
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some(env!("CARGO_PKG_NAME").to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(self.proto),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            metadata_props: properties.into_iter().map(entry).collect(),
            ..Default::default()
        }
        .encode_to_vec()
        .into()
    }
}

fn attribute(attribute: &Attribute) -> AttributeProto {
    use attribute_proto::AttributeType;
    let mut proto = AttributeProto::default();
    let (name, kind) = match *attribute {
        Attribute::Int(name, value) => {
            proto.i = Some(value);
            (name, AttributeType::Int)
        }
        Attribute::Float(name, value) => {
            proto.f = Some(value);
            (name, AttributeType::Float)
        }
    };
    proto.name = Some(name.to_owned());
    proto.r#type = Some(kind as i32);
    proto
}

fn value_info(name: &str, shape: &[Dim]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |dim: &Dim| Dimension {
        value: match dim {
            Dim::Fixed(len) => Some(Value::DimValue(*len as i64)),
            Dim::Dynamic(name) => Some(Value::DimParam(name.clone())),
        },
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(tensor_proto::DataType::Float as i32),
        shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }),
        doc_string: None,
    }
}
