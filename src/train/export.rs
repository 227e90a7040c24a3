//! Export: a fit as an ONNX graph that computes error, contributions and reconstruction by itself.
//!
//! ```text
//! features ─▶ (x - min)·inverse ─┬─ clip ─▶ layers ─▶ expected ─┬─▶ ·range + min ─▶ reconstruction
//!                                └─ clip ─▶ observed ─ minus ───┘
//!                                                        └─▶ squared·weight ─┬─ sum ─▶ score
//!                                                                            └─ share ─▶ contribution
//! ```
//!
//! The graph has everything that happens between a feature vector and its error, so that serving
//! adds nothing and cannot differ. The network and the residual are clipped differently, see
//! [`super::fit`]. What does not count has weight 0 and is its own reconstruction.

use bytes::Bytes;

use super::fit::{Fitted, NETWORK_CLIP, RESIDUAL_CLIP};
use crate::model::graph::{Attribute, Graph};
use crate::model::{Dim, Metadata};

/// Divides where the error is zero: shares are then 0. Far below any error that float32 can sum
/// from its own rounding, far above where division overflows.
const TINY: f32 = 1e-30;

/// The bytes of the model file.
pub(super) fn export(fitted: &Fitted, metadata: &Metadata) -> Bytes {
    let features = fitted.scaler.kinds.len();
    let row = [Dim::Dynamic("N".to_owned()), Dim::Fixed(features)];
    let mut graph = Graph::new("autoencoder");
    graph.input("features", &row);
    scale(&mut graph, fitted);
    let expected = network(&mut graph, fitted);
    error(&mut graph, fitted, &expected);
    reconstruction(&mut graph, fitted, &expected);
    graph.output("score", &row[..1]).output("contribution", &row).output("reconstruction", &row);
    graph.encode(metadata.properties())
}

fn scale(graph: &mut Graph, fitted: &Fitted) {
    let scaler = &fitted.scaler;
    let width = [scaler.min.len()];
    graph
        .constant("scale_min", &width, &scaler.min)
        .constant("scale_inverse", &width, &scaler.inverse)
        .constant("network_low", &[], &[NETWORK_CLIP.0])
        .constant("network_high", &[], &[NETWORK_CLIP.1])
        .constant("residual_low", &[], &[RESIDUAL_CLIP.0])
        .constant("residual_high", &[], &[RESIDUAL_CLIP.1])
        .node("Sub", &["features", "scale_min"], "shifted")
        .node("Mul", &["shifted", "scale_inverse"], "scaled")
        .node("Clip", &["scaled", "network_low", "network_high"], "layer_0")
        .node("Clip", &["scaled", "residual_low", "residual_high"], "observed");
}

/// Gives the name of the scaled reconstruction.
fn network(graph: &mut Graph, fitted: &Fitted) -> String {
    let layers = &fitted.network.layers;
    for (i, layer) in layers.iter().enumerate() {
        let (rows, columns) = layer.weights.dim();
        // Weights were rounded to float32 before: these casts are exact.
        let weights: Vec<f32> = layer.weights.iter().map(|&it| it as f32).collect();
        let bias: Vec<f32> = layer.bias.iter().map(|&it| it as f32).collect();
        let (input, sum, output) =
            (format!("layer_{i}"), format!("sum_{}", i + 1), format!("layer_{}", i + 1));
        let (weights_name, bias_name) = (format!("weights_{}", i + 1), format!("bias_{}", i + 1));
        let activation = if i + 1 == layers.len() { "Sigmoid" } else { "Relu" };
        graph
            .constant(&weights_name, &[rows, columns], &weights)
            .constant(&bias_name, &[columns], &bias)
            .node("Gemm", &[&input, &weights_name, &bias_name], &sum)
            .node(activation, &[&sum], &output);
    }
    format!("layer_{}", layers.len())
}

fn error(graph: &mut Graph, fitted: &Fitted, expected: &str) {
    let weights = fitted.scaler.weights();
    graph
        .constant("error_weight", &[weights.len()], &weights)
        .integers("feature_axis", &[1])
        .constant("tiny", &[], &[TINY])
        .node("Sub", &["observed", expected], "residual")
        .node("Mul", &["residual", "residual"], "squared")
        .node("Mul", &["squared", "error_weight"], "weighted")
        .node_with(
            "ReduceSum",
            &["weighted", "feature_axis"],
            "score",
            &[Attribute::Int("keepdims", 0)],
        )
        .node_with(
            "ReduceSum",
            &["weighted", "feature_axis"],
            "total",
            &[Attribute::Int("keepdims", 1)],
        )
        .node("Clip", &["total", "tiny"], "divisor")
        .node("Div", &["weighted", "divisor"], "contribution");
}

fn reconstruction(graph: &mut Graph, fitted: &Fitted, expected: &str) {
    let scaler = &fitted.scaler;
    let width = [scaler.min.len()];
    // One of two numbers for each feature, by whether it counts.
    let choose = |counting: &dyn Fn(usize) -> f32, other: f32| -> Vec<f32> {
        let kinds = scaler.kinds.iter().enumerate();
        kinds.map(|(i, kind)| if kind.counts() { counting(i) } else { other }).collect()
    };
    let output = "reconstruction";
    let range = choose(&|i| scaler.range(i), 0.0);
    let min = choose(&|i| scaler.min[i], 0.0);
    let all_count = scaler.kinds.iter().all(|kind| kind.counts());
    let restored = if all_count { output } else { "restored" };
    graph
        .constant("unscale_range", &width, &range)
        .constant("unscale_min", &width, &min)
        .node("Mul", &[expected, "unscale_range"], "ranged")
        .node("Add", &["ranged", "unscale_min"], restored);
    if !all_count {
        graph
            .constant("passed", &width, &choose(&|_| 0.0, 1.0))
            .node("Mul", &["features", "passed"], "passing")
            .node("Add", &[restored, "passing"], output);
    }
}
