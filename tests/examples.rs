//! The examples hold: real programs accept them, and they name what the profile reads.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use portent::features::profile;
use regex::Regex;
use support::{Peers, repository};

fn example(name: &str) -> String {
    let file = repository().join("examples").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every metric of node_exporter that an expression of the profile names.
fn metrics_of_the_profile() -> BTreeSet<String> {
    let metric = Regex::new(r"\bnode_\w+").expect("a regex of this file");
    let in_expression = |expr: &str| -> Vec<String> {
        let found = metric.find_iter(expr);
        found.map(|name| name.as_str().to_owned()).collect()
    };
    profile().iter().flat_map(|spec| in_expression(&spec.expr)).collect()
}

#[test]
fn promtool_accepts_prometheus_yml() {
    let output = Command::new(Peers::find().promtool)
        .args(["check", "config", "examples/prometheus.yml"])
        .current_dir(repository())
        .output()
        .expect("promtool runs");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    assert!(!said.to_lowercase().contains("warning"), "{said}");
}

#[test]
fn prometheus_yml_sends_exactly_what_the_profile_reads() {
    let config: serde_yaml::Value =
        serde_yaml::from_str(&example("prometheus.yml")).expect("it is YAML");
    let rule = &config["remote_write"][0]["write_relabel_configs"][0];
    assert_eq!(rule["action"], "keep");
    assert_eq!(rule["source_labels"][0], "__name__");
    let list = rule["regex"].as_str().expect("a regex");
    let sent: BTreeSet<String> = list.split('|').map(str::to_owned).collect();
    assert_eq!(sent, metrics_of_the_profile());
    assert!(list.split('|').is_sorted(), "sorted, so that a reader finds a name");
}

#[test]
fn prometheus_yml_keeps_the_labels_of_the_scores() {
    let config: serde_yaml::Value =
        serde_yaml::from_str(&example("prometheus.yml")).expect("it is YAML");
    let jobs = config["scrape_configs"].as_sequence().expect("a list");
    let portent = jobs.iter().find(|job| job["job_name"] == "portent");
    assert_eq!(portent.expect("a job")["honor_labels"], true);
}
