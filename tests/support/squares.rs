//! A model whose scores are known without it: the sum of the squares of its features.

use std::fs;

use portent::model::Dim;
use portent::model::graph::{Attribute, Graph};
use tempfile::TempDir;

/// Writes it into a folder, and gives the file. The squares are the features' contributions.
pub fn write_sum_of_squares(dir: &TempDir, features: usize) -> String {
    let (rows, features) = (Dim::Dynamic("N".to_owned()), Dim::Fixed(features));
    let mut graph = Graph::new("sum_of_squares");
    let drop = [Attribute::Int("keepdims", 0)];
    graph
        .input("features", &[rows.clone(), features.clone()])
        .node("Mul", &["features", "features"], "contribution")
        .integers("axes", &[1])
        .node_with("ReduceSum", &["contribution", "axes"], "score", &drop)
        .output("score", std::slice::from_ref(&rows))
        .output("contribution", &[rows, features]);
    let path = dir.path().join("model.onnx");
    fs::write(&path, graph.encode(Vec::new())).expect("a fresh folder takes a file");
    path.display().to_string()
}

/// A configuration with such a model of one feature, the square of `m_a` of an instance, and a rule that waits
/// for nothing; `notify` are the lines of that section.
pub fn alerting_on_squares(dir: &TempDir, notify: &str) -> String {
    let file = write_sum_of_squares(dir, 1);
    format!(
        "global: {{evaluation_interval: 200ms, evaluation_delay: 0s, stale_after: 1h}}\n\
         models:\n- name: square\n  file: {file}\n  entity: [instance]\n  step: 200ms\n  threshold: 1\n  \
         features:\n  - name: load\n    expr: avg by (instance) (m_a)\n\
         alerting:\n  fleet_ratio: 1\n  rules:\n  - {{alert: Busy, for: 0s, keep_firing_for: 0s, labels: {{severity: page}}}}\n\
         notify:\n  max_backoff: 1s\n{notify}"
    )
}
