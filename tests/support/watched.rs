//! A small world: node_exporter, Portent, Prometheus and Alertmanager wired together as in
//! `examples/prometheus.yml`, with the example rules, a second between ticks and a model for which
//! this machine is anomalous.

use std::fs;
use std::path::Path;

use portent::model::Dim;
use portent::model::graph::Graph;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::alertmanager::Alertmanager;
use super::node_exporter::NodeExporter;
use super::portent::Portent;
use super::prometheus::Prometheus;
use super::server::repository;
use super::webhook::Webhook;

/// All four, and the folder of the model and the rules.
#[derive(Debug)]
pub struct Watched {
    /// Scraped as the job `node`.
    pub node_exporter: NodeExporter,
    /// Scraped as the job `portent`.
    pub portent: Portent,
    /// With the rules of the example, which wait for a second where they wait for minutes there.
    pub prometheus: Prometheus,
    /// With the example's routes; all of its receivers notify the webhook, a second after an alert.
    pub alertmanager: Alertmanager,
    /// What people would have been told.
    pub webhook: Webhook,
    dir: TempDir,
}

impl Watched {
    /// Starts them.
    pub async fn start() -> Self {
        let dir = TempDir::with_prefix("portent-watched-").expect("a temporary folder");
        let model = dir.path().join("half.onnx");
        fs::write(&model, half_of_it()).expect("a fresh folder takes a file");
        let rules = dir.path().join("rules.yml");
        fs::write(&rules, impatient_rules()).expect("a fresh folder takes a file");
        let node_exporter = NodeExporter::start().await;
        let portent = Portent::start(&portent_yml(&model), &[]).await;
        let webhook = Webhook::start().await;
        let routes = dir.path().join("alertmanager.yml");
        fs::write(&routes, alertmanager_yml(webhook.url())).expect("a fresh folder takes a file");
        let alertmanager = Alertmanager::start(&routes).await;
        let config = prometheus_yml(
            &rules,
            node_exporter.address(),
            portent.address(),
            alertmanager.address(),
        );
        // By default it waits a minute at its end for a receiver that is gone as well.
        let flags = ["--storage.remote.flush-deadline=1s"];
        let prometheus = Prometheus::start(&config, &flags).await;
        Self { node_exporter, portent, prometheus, alertmanager, webhook, dir }
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

fn impatient_rules() -> String {
    let rules = repository().join("examples/rules/portent.yml");
    let rules = fs::read_to_string(rules).expect("the example rules");
    let line = |line: &str| match line.split_once("for: ") {
        Some((key, _)) if ["", "keep_firing_"].contains(&key.trim()) => format!("{key}for: 1s"),
        _ => line.to_owned(),
    };
    rules.lines().map(|it| line(it) + "\n").collect()
}

/// The example's configuration with another way to people.
fn alertmanager_yml(webhook: &str) -> String {
    let example = repository().join("examples/alertmanager.yml");
    let example = fs::read_to_string(example).expect("the example configuration");
    let mut config: Value = serde_yaml::from_str(&example).expect("YAML");
    config["global"] = json!({});
    for wait in ["group_wait", "group_interval"] {
        assert!(config["route"][wait].is_string(), "{config:#}");
        config["route"][wait] = json!("1s");
    }
    for receiver in config["receivers"].as_array_mut().expect("receivers") {
        let webhooks = [json!({"url": webhook, "send_resolved": true})];
        *receiver = json!({"name": receiver["name"], "webhook_configs": webhooks});
    }
    serde_yaml::to_string(&config).expect("JSON is YAML")
}

fn prometheus_yml(rules: &Path, node: &str, portent: &str, alertmanager: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ['{}']
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}
scrape_configs:
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
        rules.display()
    )
}
