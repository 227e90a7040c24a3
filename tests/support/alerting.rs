//! Alerts as a user of the examples gets them: their rules and routes, in a hurry, and a webhook in
//! the place of people.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::alertmanager::Alertmanager;
use super::server::repository;
use super::webhook::Webhook;

/// An Alertmanager with the example's routes, and the example's rules for a Prometheus.
#[derive(Debug)]
pub struct Alerting {
    /// All of its receivers notify the webhook, a second after an alert.
    pub alertmanager: Alertmanager,
    /// What people would have been told.
    pub webhook: Webhook,
    rules: PathBuf,
    /// Of the rules and the routes.
    _dir: TempDir,
}

impl Alerting {
    /// Starts it. Rules wait so long where those of the example wait for minutes, before they fire and
    /// before they stop.
    pub async fn start(patience: &str) -> Self {
        let dir = TempDir::with_prefix("portent-alerting-").expect("a temporary folder");
        let rules = dir.path().join("rules.yml");
        fs::write(&rules, impatient_rules(patience)).expect("a fresh folder takes a file");
        let webhook = Webhook::start().await;
        let routes = dir.path().join("alertmanager.yml");
        fs::write(&routes, alertmanager_yml(webhook.url())).expect("a fresh folder takes a file");
        let alertmanager = Alertmanager::start(&routes).await;
        Self { alertmanager, webhook, rules, _dir: dir }
    }

    /// The lines of a Prometheus's configuration that make it use both.
    pub fn section(&self) -> String {
        format!(
            "rule_files: ['{}']\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\n",
            self.rules.display(),
            self.alertmanager.address()
        )
    }
}

/// An alert that always fires, by which people see that alerts arrive: so what it takes to tell them is there
/// from the start.
const WATCHDOG: &str = "
  - name: watchdog
    rules:
      - {alert: Watchdog, expr: vector(1), labels: {severity: ticket}}
";

fn impatient_rules(patience: &str) -> String {
    let rules = repository().join("examples/rules/portent.yml");
    let rules = fs::read_to_string(rules).expect("the example rules");
    let line = |line: &str| match line.split_once("for: ") {
        Some((key, _)) if ["", "keep_firing_"].contains(&key.trim()) => {
            format!("{key}for: {patience}")
        }
        _ => line.to_owned(),
    };
    rules.lines().map(|it| line(it) + "\n").collect::<String>() + WATCHDOG
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
