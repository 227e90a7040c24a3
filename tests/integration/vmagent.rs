//! A real vmagent in its own protocol: what it sends arrives, whatever becomes of Portent meanwhile.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{NodeExporter, Portent, Prometheus, Vmagent, get, wait_until};

/// How long some scrapes of a second may take, on a machine that is busy with compilers.
const SOON: Duration = Duration::from_secs(60);

/// A series whose every sample has another value, as Portent keeps it although no feature needs it.
const SERIES: &str = "node_time_seconds";

/// The samples of the series, as the server writes them: seconds and value.
async fn samples(server: &str) -> Result<Vec<(f64, String)>, String> {
    let reply = get(&format!("{server}/api/v1/query?query={SERIES}%5B1h%5D")).await?;
    let answer: Value = serde_json::from_str(&reply.body).map_err(|_| format!("{reply:?}"))?;
    let series = answer["data"]["result"].as_array().ok_or_else(|| format!("{reply:?}"))?;
    match &series[..] {
        [] => Ok(Vec::new()),
        [one] => serde_json::from_value(one["values"].clone()).map_err(|error| error.to_string()),
        _ => Err(format!("more than one series: {answer}")),
    }
}

async fn at_least(server: &str, count: usize) -> usize {
    wait_until(SOON, &format!("{server} to have {count} samples"), async || {
        let count_now = samples(server).await?.len();
        if count_now >= count { Ok(count_now) } else { Err(count_now.to_string()) }
    })
    .await
}

/// vmagent asks for the version of its protocol with GET or with POST, and compares the body.
#[tokio::test]
async fn its_handshake_is_answered() {
    let portent = Portent::start("{}", &[]).await;
    let reply = portent.get("/api/v1/write?get_vm_proto_version=1").await.expect("an answer");
    assert_eq!((reply.status, reply.body.as_str()), (200, "1"));
    let posted = reqwest::Client::new().post(portent.url("/api/v1/write?get_vm_proto_version=1"));
    let posted = posted.send().await.expect("an answer");
    assert_eq!(posted.status(), 200);
    assert_eq!(posted.text().await.expect("a body"), "1");
    let reply = portent.get("/api/v1/write").await.expect("an answer");
    assert_eq!(reply.status, 405, "{reply:?}");
}

/// The same samples go to a Prometheus, which is there all the time and so knows what was sent.
#[tokio::test]
async fn every_sample_arrives_once_though_portent_was_away() {
    let dir = TempDir::new().expect("a temporary folder");
    let data = format!("--storage.path={}", dir.path().join("data").display());
    let keep = format!("storage: {{retention: 1h, keep: [{SERIES}]}}\n");
    let node_exporter = NodeExporter::start().await;
    let mut portent = Portent::start(&keep, &[&data]).await;
    portent.ready().await;
    let storage = Prometheus::start("global: {}\n", &[]).await;
    let scrapes = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: node\n  static_configs:\n  - targets: [{}]\n",
        node_exporter.address()
    );
    let vmagent = Vmagent::start(&scrapes, |file| {
        vec![
            format!("-promscrape.config={file}"),
            // A block that was refused comes again at once, not after a minute.
            "-remoteWrite.retryMaxInterval=1s".to_owned(),
            format!("-remoteWrite.url={}", portent.url("/api/v1/write")),
            "-remoteWrite.forcePromProto=false".to_owned(),
            format!("-remoteWrite.url={}", storage.url("/api/v1/write")),
            "-remoteWrite.forcePromProto=true".to_owned(),
        ]
    });
    let (own, other) = (portent.url(""), storage.url(""));
    at_least(&own, 3).await;

    portent.server.signal("TERM");
    assert!(portent.server.wait_for_end(SOON).await.success());
    let sent = samples(&other).await.expect("samples").len();
    let sent = at_least(&other, sent + 3).await;
    portent.restart(&[&data]).await;
    assert_eq!(portent.url(""), own, "it is where it was");

    wait_until(SOON, "Portent to have what was sent, before and after", async || {
        let (own, other) = (samples(&own).await?, samples(&other).await?);
        let last = |of: &[(f64, String)]| of.last().map_or(0.0, |(seconds, _)| *seconds);
        let until = last(&own).min(last(&other));
        let till = |of: &[(f64, String)]| of.partition_point(|(seconds, _)| *seconds <= until);
        let (own, other) = (&own[..till(&own)], &other[..till(&other)]);
        let is_all = own == other && own.len() >= sent + 3;
        if is_all { Ok(()) } else { Err(format!("{own:?} {other:?}\n{}", vmagent.log())) }
    })
    .await;
    let log = vmagent.log();
    for bad in ["Downgrading protocol", "Re-packing", "dropping", "was rejected"] {
        assert!(!log.contains(bad), "{log}");
    }
}
