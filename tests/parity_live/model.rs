//! The models: a graph whose score changes with every value, every step of the window and every
//! value that is missing, so that no difference of the inputs can hide.

use std::path::Path;

use portent::duration::Duration;
use portent::features::{FeatureSpec, Missing};
use portent::model::graph::{Attribute, Graph};
use portent::model::{Dim, Metadata};

/// The longest range of the features, in seconds.
pub const LONGEST_RANGE_S: i64 = 8;

/// Steps of the window.
pub const WINDOW: usize = 3;

/// The parts that the steps of the window have in the score, the newest last.
const STEP_WEIGHTS: [f32; WINDOW] = [0.2, 0.3, 0.5];

/// Where a scaled value adds nothing: in the middle, so that a 0 adds something and what is missing
/// does not.
const CENTRE: f32 = 0.5;

/// Name, expression, policy, and about how large it is. `load_per_cpu` is one that a server refuses
/// for all hosts while two pods claim one of them.
fn features() -> Vec<(FeatureSpec, f32)> {
    let feature = |name: &str, expr: &str| FeatureSpec::new(name, expr);
    vec![
        (
            feature(
                "cpu_idle",
                r#"sum by (job, instance) (rate(node_cpu_seconds_total{mode="idle"}[5s]))"#,
            ),
            4.0,
        ),
        (
            feature(
                "cpu_busy",
                r#"sum by (job, instance) (rate(node_cpu_seconds_total{mode!="idle"}[8s])) / sum by (job, instance) (rate(node_cpu_seconds_total[8s]))"#,
            ),
            1.0,
        ),
        (
            feature(
                "memory_used",
                "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
            ),
            1.0,
        ),
        (feature("load", "node_load1"), 8.0),
        (
            feature(
                "load_per_cpu",
                r#"node_load1 / on (job, instance) count by (job, instance) (node_cpu_seconds_total{mode="idle"})"#,
            ),
            4.0,
        ),
        (feature("sockets", "node_sockstat_sockets_used"), 500.0),
        (feature("switches", "rate(node_context_switches_total[5s])"), 20_000.0),
        (feature("memory_peak", "max_over_time(node_memory_MemFree_bytes[8s])"), 3e10),
        (
            feature(
                "received",
                "sum by (job, instance) (rate(node_network_receive_bytes_total[5s]))",
            )
            .or(Missing::Hold),
            1e6,
        ),
        // One of the hosts never has it.
        (feature("sometimes", "node_load15").or(Missing::Fill(0.0)), 8.0),
    ]
}

/// Writes a model whose scores are smoothed over these spans.
pub fn write(path: &Path, smoothing: &[f64]) {
    let (specs, scales): (Vec<FeatureSpec>, Vec<f32>) = features().into_iter().unzip();
    let shape = [Dim::Dynamic("n".to_owned()), Dim::Fixed(WINDOW), Dim::Fixed(specs.len())];
    let mut graph = Graph::new("distance");
    graph.input("features", &shape).input("mask", &shape).integers("axes", &[1, 2]);
    let count = specs.len() as f32;
    let weights: Vec<f32> =
        STEP_WEIGHTS.iter().flat_map(|weight| scales.iter().map(move |_| weight / count)).collect();
    graph.constant("scales", &[scales.len()], &scales).constant("centre", &[], &[CENTRE]);
    graph.constant("weights", &[WINDOW, scales.len()], &weights);
    graph.node("Div", &["features", "scales"], "scaled");
    graph.node("Sub", &["scaled", "centre"], "from").node("Mul", &["from", "mask"], "there");
    graph.node("Mul", &["there", "there"], "square").node("Mul", &["square", "weights"], "parts");
    let drop = [Attribute::Int("keepdims", 0)];
    graph.node_with("ReduceSum", &["parts", "axes"], "score", &drop);
    graph.output("score", &shape[..1]);
    let entity = ["job", "instance"].map(str::to_owned).to_vec();
    let mut metadata = Metadata::new(specs, entity, Duration::from_seconds(1));
    metadata.window = WINDOW;
    metadata.smoothing = smoothing.to_vec();
    std::fs::write(path, graph.encode(metadata.properties())).expect("a folder of the test");
}
