//! The doctor, asked of a real Prometheus that is wired wrongly, and of one that is wired well.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::{NodeExporter, Peers, Portent, Prometheus, run_portent, wait_until};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// Features of node_exporter that every Linux has.
const FEATURES: &str = r#"
models:
  - name: own
    entity: [job, instance]
    features:
      - name: cpu
        expr: sum by (job, instance) (rate(node_cpu_seconds_total{mode!="idle"}[2m]))
      - name: load
        expr: node_load1
      - name: memory
        expr: 1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes
      - name: hour
        expr: hour()
"#;

/// A folder with the features' configuration, and the path of that.
fn configuration() -> (TempDir, String) {
    let dir = TempDir::with_prefix("portent-doctor-").expect("a temporary folder");
    let path = dir.path().join("portent.yml");
    fs::write(&path, FEATURES).expect("a fresh folder takes a file");
    let path = path.display().to_string();
    (dir, path)
}

/// The doctor's answer about a server.
fn examine(url: &str, more: &[&str]) -> (Option<i32>, String) {
    let url = format!("--prometheus.url={url}");
    let output = run_portent(&[&["check", "features", &url], more].concat());
    (output.status.code(), text(&output))
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    format!("{out}{err}")
}

/// A Prometheus that scrapes node_exporter and Portent every second.
async fn prometheus(
    node: &NodeExporter,
    portent: &Portent,
    [of_node, of_portent, of_write]: [&str; 3],
) -> Prometheus {
    let yaml = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - job_name: node\n  static_configs: [{{targets: ['{}']}}]\n{of_node}\n\
         - job_name: scores\n  static_configs: [{{targets: ['{}']}}]\n{of_portent}\n\
         remote_write:\n- url: {}\n{of_write}\n",
        node.address(),
        portent.address(),
        portent.url("/api/v1/write"),
    );
    let server = Prometheus::start(&yaml, &[]).await;
    server.wait_for_vector(LIMIT, "rate(node_cpu_seconds_total[2m])").await;
    server.wait_for_vector(LIMIT, "portent_build_info").await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wired_wrongly_is_named() {
    let (_dir, config) = configuration();
    let node = NodeExporter::start().await;
    let portent = Portent::start("", &[]).await;
    let drop = "  metric_relabel_configs:\n  - {target_label: site, replacement: here}\n  \
                - {source_labels: [__name__], regex: node_load.*, action: drop}";
    let write = "  write_relabel_configs:\n  \
                 - {source_labels: [__name__], regex: 'node_(cpu|load).*', action: keep}";
    let server = prometheus(&node, &portent, [drop, "", write]).await;
    let (code, text) = examine(&server.url(""), &["--config.file", &config]);
    assert_eq!(code, Some(1), "{text}");
    for expected in [
        "model \"own\": 4 features, 1 host",
        "  cpu     now 1, last day ",
        &format!("  load    now 0, last day 0  lacking: node/{}", node.address()),
        "  hour    now 1, last day ",
        "fault: metric_relabel_configs[1] of scrape job \"node\" (action: drop, source_labels: \
         [__name__], regex: \"node_load.*\") drops node_load1, which load of model \"own\" needs",
        "fault: scrape job \"scores\", which is Portent's, lacks honor_labels",
        "fault: write_relabel_configs[0] of remote_write[0] to http://",
        "drops node_memory_MemAvailable_bytes, node_memory_MemTotal_bytes, which memory of model",
        "portent: 1 of 4 features have no value for any host; 3 faults",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("not known"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wired_well_is_well_and_the_printed_rule_is_enough() {
    let (dir, config) = configuration();
    let rule = run_portent(&["check", "config", &config, "--print-relabel"]);
    assert!(rule.status.success(), "{}", text(&rule));
    let rule = String::from_utf8(rule.stdout).expect("text");
    let inserted: String = rule.lines().map(|it| format!("  {it}\n")).collect();
    let node = NodeExporter::start().await;
    let portent = Portent::start("", &[]).await;
    let server = prometheus(&node, &portent, ["", "  honor_labels: true", &inserted]).await;
    let arguments = ["--config.file", config.as_str(), "--model", "own"];
    wait_until(LIMIT, "all features to have values", async || {
        match examine(&server.url(""), &arguments) {
            (Some(0), text) if !text.contains("fault") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // It sends what is needed, and that alone.
    wait_until(LIMIT, "samples to be stored", async || {
        let page = portent.get("/metrics").await?.body;
        let of = |outcome: &str| -> f64 {
            let begin = format!("portent_remote_write_samples_total{{outcome=\"{outcome}\"}} ");
            let value = page.lines().find_map(|it| it.strip_prefix(&begin));
            value.map_or(0.0, |it| it.parse().expect("a number"))
        };
        assert!(of("unneeded") == 0.0, "{page}");
        if of("stored") > 0.0 { Ok(()) } else { Err(page) }
    })
    .await;
    drop(dir);
}

#[test]
fn promtool_accepts_the_printed_rules() {
    let dir = TempDir::with_prefix("portent-doctor-").expect("a temporary folder");
    let shipped = run_portent(&["check", "config", "--print-relabel"]);
    let odd = dir.path().join("odd.yml");
    let features = r#"
models:
  - name: odd
    features:
      - {name: a, expr: '{__name__=~"a_.+|b"}'}
      - {name: b, expr: '{"dotted.name"} + node_load1'}
"#;
    let open = features.replace("node_load1", "{job=\"x\"}");
    for (i, yaml) in [features, &open].iter().enumerate() {
        fs::write(odd.with_extension(i.to_string()), yaml).expect("a fresh folder takes a file");
    }
    let [some, all] = ["0", "1"].map(|it| odd.with_extension(it).display().to_string());
    let some = run_portent(&["check", "config", &some, "--print-relabel"]);
    let all = run_portent(&["check", "config", &all, "--print-relabel"]);
    for output in [&shipped, &some, &all] {
        assert!(output.status.success(), "{}", text(output));
        let rule = String::from_utf8_lossy(&output.stdout);
        let inserted: String = rule.lines().map(|it| format!("    {it}\n")).collect();
        let file = dir.path().join("prometheus.yml");
        let yaml =
            format!("remote_write:\n  - url: http://localhost:9847/api/v1/write\n{inserted}");
        fs::write(&file, &yaml).expect("a fresh folder takes a file");
        let mut checked = Command::new(Peers::find().promtool);
        let checked = checked.args(["check", "config"]).arg(&file).output().expect("promtool runs");
        assert!(checked.status.success(), "{}\n{yaml}", text(&checked));
    }
    let [shipped, some, all] = [shipped, some, all].map(|it| text(&it));
    assert!(shipped.contains("      node_cpu_seconds_total|\\\n"), "{shipped}");
    assert!(some.contains("# (?:a_.+|b) is a pattern of names"), "{some}");
    assert!(all.contains("# {job=\"x\"} has no metric name"), "{all}");
}

#[test]
fn wrong_use_is_2_and_no_server_is_1() {
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = run_portent(&[&["check", "features"], arguments].concat());
        let text = text(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
    };
    check(&[], 2, "--prometheus.url URL, or history.prometheus_url");
    check(&["--prometheus.url", "localhost"], 2, "is not the address of a server");
    check(&["--prometheus.url", "http://127.0.0.1:1"], 1, "cannot reach http://127.0.0.1:1");
    let none = ["--prometheus.url", "http://127.0.0.1:1", "--model", "none"];
    check(&none, 2, "there is no model \"none\" in the configuration, only [\"node\"]");
    let missing = ["/nowhere/model.onnx", "--prometheus.url", "http://127.0.0.1:1"];
    check(&missing, 2, "cannot read model /nowhere/model.onnx");
}
