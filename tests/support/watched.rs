//! A small world: node_exporter, Portent, Prometheus and Alertmanager wired together as in
//! `examples/prometheus.yml`, with the example rules, a second between ticks and a model for which
//! this machine is anomalous.

use std::fs;
use std::path::Path;

use portent::model::Dim;
use portent::model::graph::Graph;
use tempfile::TempDir;

use super::alerting::Alerting;
use super::node_exporter::NodeExporter;
use super::portent::Portent;
use super::prometheus::Prometheus;

/// All four, and the folder of the model and the rules.
#[derive(Debug)]
pub struct Watched {
    /// Scraped as the job `node`.
    pub node_exporter: NodeExporter,
    /// Scraped as the job `portent`.
    pub portent: Portent,
    /// Scrapes the two and pushes to Portent.
    pub prometheus: Prometheus,
    /// With the rules of the example, which wait for a second where they wait for minutes there.
    pub alerting: Alerting,
    dir: TempDir,
}

impl Watched {
    /// Starts them.
    pub async fn start() -> Self {
        let dir = TempDir::with_prefix("portent-watched-").expect("a temporary folder");
        let model = dir.path().join("half.onnx");
        fs::write(&model, half_of_it()).expect("a fresh folder takes a file");
        let node_exporter = NodeExporter::start().await;
        let portent = Portent::start(&portent_yml(&model), &[]).await;
        let alerting = Alerting::start("1s").await;
        let config = prometheus_yml(&alerting, node_exporter.address(), portent.address());
        // By default it waits a minute at its end for a receiver that is gone as well.
        let flags = ["--storage.remote.flush-deadline=1s"];
        let prometheus = Prometheus::start(&config, &flags).await;
        Self { node_exporter, portent, prometheus, alerting, dir }
    }
}

/// A model of three features that expects half of each.
fn half_of_it() -> bytes::Bytes {
    let rows = [Dim::Dynamic("N".to_owned()), Dim::Fixed(3)];
    let mut graph = Graph::new("half");
    graph.input("features", &rows);
    graph.constant("half", &[], &[0.5]);
    graph.node("Mul", &["features", "half"], "reconstruction");
    graph.output("reconstruction", &rows);
    graph.encode(Vec::new())
}

/// The third feature fails at every tick, though not for the host: many outcomes match one Portent.
fn portent_yml(model: &Path) -> String {
    format!(
        "global: {{evaluation_interval: 1s}}
models:
- name: half
  file: {}
  entity: [job, instance]
  step: 1s
  threshold: 0.001
  features:
  - name: memory
    expr: node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes
  - name: running
    expr: node_procs_running + 1
  - name: blocked
    expr: |
      node_procs_blocked + 1
        or portent_build_info * on (job, instance) portent_remote_write_samples_total
",
        model.display()
    )
}

fn prometheus_yml(alerting: &Alerting, node: &str, portent: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}
{}scrape_configs:
- job_name: node
  static_configs: [{{targets: ['{node}']}}]
- job_name: portent
  honor_labels: true
  static_configs: [{{targets: ['{portent}']}}]
remote_write:
- url: http://{portent}/api/v1/write
  metadata_config: {{send: false}}
  queue_config: {{batch_send_deadline: 1s}}
",
        alerting.section()
    )
}
