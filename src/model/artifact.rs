//! An artifact: the bytes of an ONNX file with what they declare about themselves.
//!
//! In: bytes from anywhere. Out: inputs and outputs with their shapes, and metadata once the
//! configuration has completed it. The graph itself is judged by the runtime when a scorer is made
//! from the artifact.

use std::fmt;

use bytes::Bytes;
use prost::Message;
use ring::digest::{SHA256, digest};

use super::config::ModelConfig;
use super::contract::features_of;
use super::external;
use super::metadata::{Metadata, Recorded};
use crate::proto::onnx::{ModelProto, ValueInfoProto, tensor_shape_proto, type_proto};

/// The file size that is still read. A dense autoencoder of a thousand features has some megabytes;
/// this leaves room for large models from elsewhere and keeps a wrong path from filling memory.
pub const MAX_FILE_BYTES: usize = 256 << 20;

/// The bytes of an ONNX file with what they declare about themselves.
#[derive(Debug, Clone)]
pub struct Artifact {
    bytes: Bytes,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    recorded: Recorded,
    ir_version: i64,
    opset: i64,
}

/// What tells the bytes of one file from those of another: their SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest(pub [u8; 32]);

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

/// Why bytes are not a usable model.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Larger than anything sensible.
    #[error("the model has {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not the ONNX format.
    #[error("the model is not an ONNX file")]
    NotOnnx(#[source] prost::DecodeError),
    /// An ONNX file or something that looks like one, without a graph.
    #[error("the model holds no graph: it is empty or not an ONNX file")]
    NoGraph,
    /// Weights in another file.
    #[error(
        "the model's weights are in another file ({location}), and one file is read: save it as one, \
         by `external_data=False` in torch.onnx.export or `onnx.save(onnx.load(FILE), ONE_FILE)`"
    )]
    External {
        /// The other file.
        location: String,
    },
    /// Written by a later version.
    #[error(
        "the model's metadata has schema {found}, this version reads schema {expected}; use a \
         newer Portent or train again"
    )]
    Schema {
        /// What the file says.
        found: u32,
        /// What this version reads.
        expected: u32,
    },
    /// An entry that the schema does not have.
    #[error("{key} is unknown to schema {schema}: correct its name, or leave it out")]
    Unknown {
        /// The entry.
        key: String,
        /// What this version reads.
        schema: u32,
    },
    /// An entry that cannot be read.
    #[error("{key} is {value:?}: {reason}")]
    Malformed {
        /// The entry.
        key: String,
        /// How it starts.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// File and configuration disagree.
    #[error(
        "{key}: the file says {file}, the configuration says {config}; leave it out of the \
         configuration or use another file"
    )]
    Contradiction {
        /// What they disagree about.
        key: String,
        /// The file's value.
        file: String,
        /// The configuration's value.
        config: String,
    },
    /// What is to be trained first.
    #[error(
        "it has features or entity labels of its own and no model file yet, which is the step before the \
         first training: `portent train --config.file FILE --model {model} --prometheus.url URL --start -14d \
         --output {model}.onnx`; then write `file: {model}.onnx` in its item of `models`"
    )]
    Untrained {
        /// Its name.
        model: String,
    },
    /// Neither file nor configuration tells.
    #[error(
        "neither the file nor the configuration tells the model's {keys}; a file that Portent did \
         not write needs them in its item of `models`"
    )]
    Missing {
        /// What is missing.
        keys: String,
    },
    /// A value that no graph can be used with.
    #[error("{what}: {reason}")]
    Invalid {
        /// The key.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Artifact {
    /// Reads what the bytes of a file declare.
    ///
    /// # Errors
    /// For too many bytes, for anything but ONNX, and for `portent.*` entries that cannot be read.
    pub fn read(bytes: Bytes) -> Result<Self, ArtifactError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(ArtifactError::TooLarge { bytes: bytes.len(), limit: MAX_FILE_BYTES });
        }
        // Weights are slices of `bytes`: decoding copies names and shapes only.
        let model = ModelProto::decode(bytes.clone()).map_err(ArtifactError::NotOnnx)?;
        let graph = model.graph.ok_or(ArtifactError::NoGraph)?;
        if let Some(location) = external::location(&graph) {
            return Err(ArtifactError::External { location });
        }
        let entries = model.metadata_props.iter().map(|entry| (entry.key(), entry.value()));
        let recorded = Recorded::of(entries)?;
        // The operators of ONNX itself have no domain, or this one.
        let opset = model.opset_import.iter().find(|it| matches!(it.domain(), "" | "ai.onnx"));
        // Old exporters list the weights among the inputs as well.
        let is_weight = |name: &str| graph.initializer.iter().any(|it| it.name() == name);
        let inputs = graph.input.iter().filter(|it| !is_weight(it.name()));
        Ok(Self {
            inputs: inputs.map(Port::read).collect(),
            outputs: graph.output.iter().map(Port::read).collect(),
            bytes,
            recorded,
            ir_version: model.ir_version.unwrap_or_default(),
            opset: opset.and_then(|it| it.version).unwrap_or_default(),
        })
    }

    /// Complete metadata: the file's own, completed by the configuration.
    ///
    /// # Errors
    /// When both give a value and the values differ, when neither gives a value that is needed, and
    /// for values that no graph can be used with.
    pub fn resolve(&self, config: &ModelConfig) -> Result<Metadata, ArtifactError> {
        let graph_window = match features_of(&self.inputs).and_then(|it| it.shape.as_deref()) {
            Some([_, Dim::Fixed(window), _]) => Some(*window),
            _ => None,
        };
        self.recorded.resolve(config, graph_window)
    }

    /// How many features the graph's input declares, and steps of a window; `None` where it does not.
    #[must_use]
    pub fn dimensions(&self) -> Option<(usize, usize)> {
        match features_of(&self.inputs)?.shape.as_deref()? {
            [_, Dim::Fixed(features)] => Some((*features, 1)),
            [_, Dim::Fixed(window), Dim::Fixed(features)] => Some((*features, *window)),
            _ => None,
        }
    }

    /// The version of the file's layout, and that of its operators.
    #[must_use]
    pub fn versions(&self) -> (i64, i64) {
        (self.ir_version, self.opset)
    }

    /// What tells this file from every other.
    #[must_use]
    pub fn digest(&self) -> FileDigest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.bytes).as_ref());
        FileDigest(bytes)
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the graph has to be fed with.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What the graph gives.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }
}

impl Port {
    fn read(info: &ValueInfoProto) -> Self {
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

#[cfg(test)]
mod tests {
    use super::super::graph::Graph;
    use super::*;
    use crate::duration::Duration;
    use crate::features::FeatureSpec;

    fn batch() -> Dim {
        Dim::Dynamic("batch".to_owned())
    }

    #[test]
    fn a_file_tells_its_ports_and_metadata() {
        let metadata = Metadata::new(
            vec![FeatureSpec::new("a", "up")],
            vec!["instance".to_owned()],
            Duration::from_seconds(15),
        );
        let mut graph = Graph::new("test");
        graph
            .input("features", &[batch(), Dim::Fixed(3), Dim::Fixed(1)])
            .node("Relu", &["features"], "y")
            .output("y", &[batch(), Dim::Dynamic(String::new())]);
        let artifact = Artifact::read(graph.encode(metadata.properties())).expect("our own file");
        let texts = |ports: &[Port]| ports.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(artifact.inputs()), ["features float32 [batch, 3, 1]"]);
        assert_eq!(texts(artifact.outputs()), ["y float32 [batch, any]"]);
        let resolved = artifact.resolve(&ModelConfig::default());
        assert_eq!(resolved.expect("complete"), metadata);
    }

    #[test]
    fn weights_among_the_inputs_are_no_inputs() {
        let mut graph = Graph::new("test");
        graph
            .input("x", &[batch(), Dim::Fixed(2)])
            .input("w", &[Dim::Fixed(2), Dim::Fixed(2)])
            .constant("w", &[2, 2], &[1.0; 4])
            .node("MatMul", &["x", "w"], "y")
            .output("y", &[batch(), Dim::Fixed(2)]);
        let artifact = Artifact::read(graph.encode(Vec::new())).expect("a file");
        assert_eq!(artifact.inputs().len(), 1);
    }

    #[test]
    fn other_bytes_are_refused() {
        let read = |bytes: &'static [u8]| Artifact::read(Bytes::from_static(bytes));
        assert!(matches!(read(b""), Err(ArtifactError::NoGraph)));
        assert!(matches!(read(b"<!doctype html>"), Err(ArtifactError::NotOnnx(_))));
        // A graph that claims a gigabyte and ends after two bytes.
        let truncated = read(b"\x3a\x80\x80\x80\x80\x04\x0a\x00");
        assert!(matches!(truncated, Err(ArtifactError::NotOnnx(_))));
        let large = Artifact::read(vec![0; MAX_FILE_BYTES + 1].into());
        assert!(matches!(large, Err(ArtifactError::TooLarge { .. })));
    }
}
