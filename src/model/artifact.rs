//! An artifact: the bytes of an ONNX file with what they declare about themselves.
//!
//! In: bytes from anywhere. Out: inputs and outputs with their shapes, and metadata once the
//! configuration has completed it. The graph itself is judged by the runtime when a scorer is made
//! from the artifact.

use bytes::Bytes;
use prost::Message;
use ring::digest::{SHA256, digest};

use super::config::ModelConfig;
use super::contract::features_of;
use super::error::ArtifactError;
use super::external;
use super::metadata::{Metadata, Recorded};
use super::port::{Dim, Port};
use crate::proto::onnx::ModelProto;

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
