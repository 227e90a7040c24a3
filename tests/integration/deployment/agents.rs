//! `examples/vmagent.yml` in a real vmagent, and `examples/alloy/config.alloy` by what it names.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use regex::Regex;

use super::{PORT, example, header};
use crate::support::{NodeExporter, Peers, Portent, Prometheus, Vmagent, repository, wait_until};

/// How long a world of a second's scrapes may take, on a machine that is busy with compilers.
const SOON: Duration = Duration::from_secs(60);

/// The flags that the example's header says, with addresses of a test.
fn flags(replacements: &[(&str, &str)]) -> Vec<String> {
    let text = example("vmagent.yml");
    let header = header(&text).replace("\\\n", " ");
    let line = header.lines().find_map(|it| it.strip_prefix("vmagent "));
    let flags = line.expect("the command").split_whitespace();
    let flags: Vec<String> = flags
        .map(|flag| {
            replacements.iter().fold(flag.to_owned(), |it, (from, to)| it.replace(from, to))
        })
        .collect();
    assert_eq!(flags.len(), 3, "{flags:?}");
    flags
}

/// Runs the example: its command, and its file with scrapes of a second.
fn start(node_exporter: &str, portent: &str, storage: &str) -> Vmagent {
    let config = example("vmagent.yml")
        .replace("localhost:9100", node_exporter)
        .replace("localhost:9847", portent)
        .replace("scrape_interval: 15s", "scrape_interval: 1s");
    Vmagent::start(&config, |path| {
        flags(&[
            ("examples/vmagent.yml", path),
            ("localhost:9847", portent),
            ("localhost:8428", storage),
        ])
    })
}

#[test]
fn vmagent_accepts_its_file() {
    let output = Command::new(Peers::vmagent())
        .args(flags(&[]))
        .args(["-dryRun", "-promscrape.config.strictParse=true"])
        .current_dir(repository())
        .output()
        .expect("vmagent runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("\twarn\t") && !said.contains("\terror\t"), "{said}");
}

#[test]
fn vmagent_keeps_the_labels_of_the_scores() {
    let config: serde_yaml::Value =
        serde_yaml::from_str(&example("vmagent.yml")).expect("it is YAML");
    let jobs = config["scrape_configs"].as_sequence().expect("a list");
    let portent = jobs.iter().find(|job| job["job_name"] == "portent");
    assert_eq!(portent.expect("a job")["honor_labels"], true);
}

/// What vmagent scrapes from node_exporter is a host of Portent's, without a request that is refused; and
/// what it scrapes from Portent is in the storage, beside the host's own samples.
#[tokio::test]
async fn vmagent_pushes_and_stores_what_portent_says() {
    let node_exporter = NodeExporter::start().await;
    let portent = Portent::start("{}", &[]).await;
    portent.ready().await;
    let storage = Prometheus::start("global: {}\n", &[]).await;
    let address = storage.url("").replace("http://", "");
    let vmagent = start(node_exporter.address(), portent.address(), &address);
    wait_until(SOON, "Portent to know a host", async || {
        let page = portent.get("/metrics").await?.body;
        let is_known = page.contains("anomaly_entities{model=\"node\",state=\"warming\"} 1\n");
        if is_known { Ok(()) } else { Err(vmagent.log()) }
    })
    .await;
    wait_until(SOON, "the storage to know Portent and the host", async || {
        let host = format!("node_load1{{job='node',instance='{}'}}", node_exporter.address());
        let hosts = storage.vector(&host, None).await?;
        let said =
            storage.vector("anomaly_entities{job='portent',state='warming'} == 1", None).await?;
        let is_there = hosts.len() == 1 && said.len() == 1;
        if is_there { Ok(()) } else { Err(vmagent.log()) }
    })
    .await;
    let page = portent.get("/metrics").await.expect("a page").body;
    let requests: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("portent_remote_write_requests_total{"))
        .filter(|line| !line.ends_with(" 0"))
        .collect();
    assert!(matches!(requests[..], [ok] if ok.contains("outcome=\"ok\"")), "{requests:?}");
}

/// Blocks as `kind "label" {`, and what refers to them as `kind.label.receiver`.
#[test]
fn alloy_names_what_there_is() {
    let config = example("alloy/config.alloy");
    let code: String = config
        .lines()
        .filter(|it| !it.trim().starts_with("//"))
        .map(|it| it.to_owned() + "\n")
        .collect();
    for (open, close) in [('{', '}'), ('[', ']'), ('(', ')')] {
        assert_eq!(code.matches(open).count(), code.matches(close).count(), "{open}");
    }
    let block = Regex::new(r#"(?m)^([a-z_.]+) "([a-z_]+)" \{$"#).expect("a regex of this file");
    let blocks: BTreeSet<String> =
        block.captures_iter(&code).map(|it| format!("{}.{}", &it[1], &it[2])).collect();
    let used = Regex::new(r"prometheus\.remote_write\.[a-z]+").expect("a regex of this file");
    let used: BTreeSet<String> = used.find_iter(&code).map(|it| it.as_str().to_owned()).collect();
    let written = blocks.iter().filter(|it| it.contains("remote_write")).cloned().collect();
    assert_eq!(used, written);
    assert_eq!(blocks.len(), 4, "{blocks:?}");
    assert!(code.contains(&format!("\"http://localhost:{PORT}/api/v1/write\"")));
    assert!(code.contains("honor_labels    = true"));
}

/// `tests/integration/examples.rs` holds that list against the built-in profile.
#[test]
fn alloy_sends_what_prometheus_sends() {
    let prometheus: serde_yaml::Value =
        serde_yaml::from_str(&example("prometheus.yml")).expect("it is YAML");
    let list = &prometheus["remote_write"][0]["write_relabel_configs"][0]["regex"];
    let list = list.as_str().expect("a regex");
    assert!(example("alloy/config.alloy").contains(&format!("regex         = \"{list}\"\n")));
}
