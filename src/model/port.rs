//! A port: an input or output of a graph, as the graph declares it.

use std::fmt;

use crate::proto::onnx::{ValueInfoProto, tensor_shape_proto, type_proto};

/// An input or output as the graph declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub element: Element,
    /// Its dimensions, where declared.
    pub shape: Option<Vec<Dim>>,
}

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Always this long.
    Fixed(usize),
    /// As long as the data; the name is for people and may be empty.
    Dynamic(String),
}

/// What a tensor is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// The only kind that Portent feeds and reads.
    Float32,
    /// Another kind, by its number in ONNX.
    Other(i32),
    /// No tensor at all: a sequence or a map.
    NoTensor,
}

impl Port {
    pub(super) fn read(info: &ValueInfoProto) -> Self {
        use tensor_shape_proto::dimension::Value;
        let tensor = info.r#type.as_ref().and_then(|it| it.value.as_ref());
        let dim = |dim: &tensor_shape_proto::Dimension| match &dim.value {
            // Some exporters write -1 or 0 for "any".
            Some(Value::DimValue(len)) if *len > 0 => Dim::Fixed(*len as usize),
            Some(Value::DimValue(_)) | None => Dim::Dynamic(String::new()),
            Some(Value::DimParam(name)) => Dim::Dynamic(name.clone()),
        };
        let (element, shape) = match tensor {
            Some(type_proto::Value::TensorType(tensor)) => (
                match tensor.elem_type() {
                    1 => Element::Float32,
                    other => Element::Other(other),
                },
                (tensor.shape.as_ref()).map(|it| it.dim.iter().map(dim).collect()),
            ),
            None => (Element::NoTensor, None),
        };
        Self { name: info.name().to_owned(), element, shape }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.element)?;
        match &self.shape {
            Some(shape) => {
                let dims = shape.iter().map(ToString::to_string);
                write!(f, " [{}]", dims.collect::<Vec<_>>().join(", "))
            }
            None => f.write_str(" of unknown shape"),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(len) => write!(f, "{len}"),
            Self::Dynamic(name) if name.is_empty() => f.write_str("any"),
            Self::Dynamic(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Float32 => "float32",
            Self::NoTensor => "no tensor",
            // Numbers from onnx.proto, TensorProto.DataType.
            Self::Other(number) => match number {
                2 => "uint8",
                3 => "int8",
                6 => "int32",
                7 => "int64",
                8 => "string",
                9 => "bool",
                10 => "float16",
                11 => "float64",
                16 => "bfloat16",
                _ => return write!(f, "type {number}"),
            },
        };
        f.write_str(name)
    }
}
