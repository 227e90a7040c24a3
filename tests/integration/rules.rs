//! The example rules and the example Alertmanager hold: the real programs accept them, every alert
//! is tested, finds its receiver and says what it is about.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Alertmanager, Peers, repository, wait_until};
use serde_json::json;
use serde_yaml::Value;

/// Rules, and their tests.
const RULES: [[&str; 2]; 2] = [
    ["examples/rules/portent.yml", "examples/rules/portent_test.yml"],
    ["examples/rules/portent_alerting.yml", "examples/rules/portent_alerting_test.yml"],
];
const ALERTMANAGER: &str = "examples/alertmanager.yml";

/// Runs a program in the repository's root and gives what it printed.
#[track_caller]
fn accepted(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(repository())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(repository().join(file)).expect("a file of the repository");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_sequence().map_or(&[], Vec::as_slice)
}

fn alerts() -> Vec<Value> {
    let mut alerts = Vec::new();
    for [file, _] in RULES {
        let rules = yaml(file);
        let rules = list(&rules, "groups").iter().flat_map(|group| list(group, "rules"));
        let before = alerts.len();
        alerts.extend(rules.filter(|rule| !rule["alert"].is_null()).cloned());
        assert!(alerts.len() >= before + 5, "{file}: {alerts:?}");
    }
    alerts
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value:?}"))
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    let promtool = Peers::find().promtool;
    for [rules, tests] in RULES {
        accepted(&promtool, &["check", "rules", "--lint=all", "--lint-fatal", rules]);
        accepted(&promtool, &["test", "rules", tests]);
    }
}

#[test]
fn every_alert_is_tested_to_fire_and_not_to_fire() {
    let tests = RULES.map(|[_, tests]| yaml(tests));
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    let tests = tests.iter().flat_map(|it| list(it, "tests"));
    for test in tests.flat_map(|test| list(test, "alert_rule_test")) {
        let set = if list(test, "exp_alerts").is_empty() { &mut silent } else { &mut fires };
        set.insert(text(test, "alertname").to_owned());
    }
    let all: BTreeSet<String> = alerts().iter().map(|it| text(it, "alert").to_owned()).collect();
    assert_eq!(fires, all);
    assert_eq!(silent, all);
}

#[test]
fn every_alert_says_what_it_is_about() {
    for alert in alerts() {
        for annotation in ["summary", "description"] {
            assert!(!text(&alert["annotations"], annotation).is_empty());
        }
        assert!(alert["for"].is_string(), "{alert:?} fires at once");
    }
}

/// dashboards.rs looks at a page for those of the other file; these are there only where receivers and
/// actions are.
#[test]
fn what_the_rules_about_alerting_look_at_has_a_description() {
    let sources = ["notify/mod.rs", "actions/action_counters.rs"]
        .map(|it| fs::read_to_string(repository().join("src").join(it)).expect("a source"));
    let rules = fs::read_to_string(repository().join(RULES[1][0])).expect("a file");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names: BTreeSet<&str> = rules
        .split(|c| !is_name(c))
        .filter(|it| ["portent_notify_", "portent_actions_"].iter().any(|of| it.starts_with(of)))
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let described = format!("\"{name}\",\n");
        assert!(sources.iter().any(|it| it.contains(&described)), "{name}");
    }
}

#[test]
fn amtool_accepts_the_configuration_and_every_alert_finds_its_receiver() {
    let amtool = Peers::find().amtool;
    accepted(&amtool, &["check-config", ALERTMANAGER]);
    for alert in alerts() {
        let severity = text(&alert["labels"], "severity");
        let receiver = match severity {
            "page" => "pages",
            "ticket" => "tickets",
            _ => panic!("{severity} has no route of its own: {alert:?}"),
        };
        let name = format!("alertname={}", text(&alert, "alert"));
        accepted(
            &amtool,
            &[
                "config",
                "routes",
                "test",
                &format!("--config.file={ALERTMANAGER}"),
                &format!("--verify.receivers={receiver}"),
                &name,
                "job=node",
                "instance=db-1:9100",
                &format!("severity={severity}"),
            ],
        );
    }
}

/// The alert's name and its host, and whether another one holds it back.
type Held = (String, String, bool);

/// What a real Alertmanager makes of alerts, given as `(name, job, instance, severity)`.
async fn held_back(alerts: &[[&str; 4]]) -> Vec<Held> {
    let alertmanager = Alertmanager::start(&repository().join(ALERTMANAGER)).await;
    let alert = |[name, job, instance, severity]: &[&str; 4]| {
        json!({"labels": {"alertname": name, "job": job, "instance": instance, "model": "node",
            "severity": severity}})
    };
    let sent: serde_json::Value = alerts.iter().map(alert).collect();
    alertmanager.send(&sent).await;
    wait_until(Duration::from_secs(30), "all alerts to be known", async || {
        let known = alertmanager.alerts().await?;
        if known.len() < alerts.len() {
            return Err(format!("{known:?}"));
        }
        let label =
            |it: &serde_json::Value, name| it["labels"][name].as_str().unwrap_or("").to_owned();
        let is_held = |it: &serde_json::Value| it["status"]["inhibitedBy"] != json!([]);
        let mut held: Vec<Held> = known
            .iter()
            .map(|it| (label(it, "alertname"), label(it, "instance"), is_held(it)))
            .collect();
        held.sort();
        // It looks at what holds back what when it groups, a moment after an alert came in.
        if held.iter().any(|(_, _, held)| *held) { Ok(held) } else { Err(format!("{held:?}")) }
    })
    .await
}

fn held(name: &str, instance: &str, held: bool) -> Held {
    (name.to_owned(), instance.to_owned(), held)
}

#[tokio::test]
async fn an_anomalous_fleet_holds_back_its_hosts_and_no_others() {
    let found = held_back(&[
        ["FleetAnomalous", "node", "", "page"],
        ["HostAnomalous", "node", "db-1", "ticket"],
        ["HostAnomalous", "other", "web-1", "ticket"],
        ["HostUnlikePeers", "node", "db-1", "ticket"],
        ["HostScoreAbsent", "node", "db-2", "ticket"],
    ])
    .await;
    assert_eq!(
        found,
        [
            held("FleetAnomalous", "", false),
            held("HostAnomalous", "db-1", true),
            held("HostAnomalous", "web-1", false),
            held("HostScoreAbsent", "db-2", false),
            held("HostUnlikePeers", "db-1", false),
        ]
    );
}

#[tokio::test]
async fn a_portent_that_is_down_holds_back_the_scores_that_are_absent() {
    let found = held_back(&[
        ["PortentDown", "portent", "portent:9847", "page"],
        ["HostScoreAbsent", "node", "db-1", "ticket"],
        ["PortentReloadFailed", "portent", "portent:9847", "ticket"],
    ])
    .await;
    assert_eq!(
        found,
        [
            held("HostScoreAbsent", "db-1", true),
            held("PortentDown", "portent:9847", false),
            held("PortentReloadFailed", "portent:9847", false),
        ]
    );
}
