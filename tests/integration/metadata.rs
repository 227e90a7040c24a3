//! Metadata that a real Prometheus sends, in both versions: Portent answers as Prometheus does.

use std::time::Duration;

use serde_json::Value;

use super::support::{Portent, Prometheus, post, wait_until};

/// How long it may take to arrive on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// A gauge, a counter, a summary, a histogram, and what is no family.
const NAMES: [&str; 5] = [
    "go_goroutines",
    "prometheus_http_requests_total",
    "go_gc_duration_seconds",
    "prometheus_http_request_duration_seconds",
    "nosuch",
];

/// A Prometheus that scrapes itself and sends, also in version 2.0, what it knows of metrics.
async fn check(message: &str) {
    let portent =
        Portent::start("storage: {retention: 10m, keep: ['{job=\"prometheus\"}']}\n", &[]).await;
    portent.ready().await;
    // In the text format a counter has one name for both, the family and the series.
    let config = |target: &str| {
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, scrape_protocols: [PrometheusText0.0.4]}}\n\
             scrape_configs:\n- job_name: prometheus\n  static_configs: [{{targets: ['{target}']}}]\n\
             remote_write:\n- url: '{}'\n  protobuf_message: {message}\n  \
             metadata_config: {{send_interval: 1s}}\n  queue_config: {{batch_send_deadline: 1s}}\n",
            portent.url("/api/v1/write")
        )
    };
    let flags = ["--enable-feature=metadata-wal-records"];
    let prometheus = Prometheus::start(&config("127.0.0.1:1"), &flags).await;
    // Its own port is known only now.
    let file = prometheus.server().dir().join("prometheus.yml");
    std::fs::write(file, config(prometheus.server().address())).expect("its file");
    let reloaded = post(&prometheus.url("/-/reload")).await.expect("an answer");
    assert_eq!(reloaded.status, 200, "{}", reloaded.body);
    let json = |body: &str| serde_json::from_str::<Value>(body).map_err(|it| it.to_string());
    for name in NAMES {
        let path = format!("/api/v1/metadata?metric={name}&limit=5&limit_per_metric=1");
        wait_until(LIMIT, &format!("the metadata of {name}"), async || {
            let theirs = json(&prometheus.get(&path).await?.body)?;
            let ours = json(&portent.get(&path).await?.body)?;
            let is_there = theirs["data"].get(name).is_some() || name == "nosuch";
            if is_there && ours == theirs { Ok(()) } else { Err(format!("{ours} not {theirs}")) }
        })
        .await;
    }
    let all = json(&portent.get("/api/v1/metadata").await.expect("an answer").body);
    let all = all.expect("JSON");
    assert_eq!(all["data"]["portent:feature"][0]["type"], "gauge", "{all}");
    assert_eq!(all["data"]["go_goroutines"][0]["type"], "gauge", "{all}");
}

#[tokio::test]
async fn prometheus_sends_metadata_in_the_first_version() {
    check("prometheus.WriteRequest").await;
}

#[tokio::test]
async fn prometheus_sends_metadata_in_the_second_version() {
    check("io.prometheus.write.v2.Request").await;
}
