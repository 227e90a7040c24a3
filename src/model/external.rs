//! External data: weights that a graph keeps in another file.
//!
//! In: a graph. Out: the first other file that it names. Where that file is looked for depends on the
//! folder that a process works in, so that such a model is refused rather than read half of the time.
//!
//! Source: ONNX IR specification, "External Tensor Data".

use crate::proto::onnx::{GraphProto, TensorProto, tensor_proto};

/// The key of an entry that names the file.
const LOCATION: &str = "location";

/// The first other file that holds weights of a graph.
pub(super) fn location(graph: &GraphProto) -> Option<String> {
    let attributes = || graph.node.iter().flat_map(|node| &node.attribute);
    let constants = attributes().flat_map(|it| it.t.iter().chain(&it.tensors));
    let own = graph.initializer.iter().chain(constants).find_map(of_tensor);
    own.or_else(|| attributes().flat_map(|it| it.g.iter().chain(&it.graphs)).find_map(location))
}

fn of_tensor(tensor: &TensorProto) -> Option<String> {
    let is_external = tensor.data_location() == tensor_proto::DataLocation::External;
    let entry = tensor.external_data.iter().find(|it| it.key() == LOCATION);
    let name = entry.map_or("without a name", |it| it.value());
    is_external.then(|| name.to_owned())
}
