//! The peers start, take samples and answer: what the larger tests stand on.

use std::time::{Duration, SystemTime};

use crate::support::{Answer, NodeExporter, Prometheus, RemoteWriter, Series};

#[tokio::test]
async fn prometheus_takes_samples_and_returns_them() {
    let prometheus = Prometheus::start("global: {}\n", &[]).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now_ms = i64::try_from(now.as_millis()).expect("a time in i64");
    let writer = RemoteWriter::new(prometheus.url("/api/v1/write"));
    let series =
        Series::new(&[("__name__", "m"), ("a", "1")], &[(now_ms - 1000, 0.1), (now_ms, 0.2)]);
    assert_eq!(writer.send(&[series]).await.status, 204);

    let vector = prometheus.vector("m", Some(now_ms)).await.expect("a vector");
    assert_eq!(vector.len(), 1);
    assert_eq!(vector[0].labels["a"], "1");
    assert_eq!(vector[0].value.to_bits(), 0.2_f64.to_bits());
    let range = prometheus.query_range("m", now_ms - 1000, now_ms, 1000).await.expect("a matrix");
    assert_eq!(range[0].samples, [(now_ms - 1000, 0.1), (now_ms, 0.2)]);
    assert_eq!(prometheus.query("1 + 1", None).await, Ok(Answer::Scalar(2.0)));
    let error = prometheus.query("sum(", None).await.expect_err("a parse error");
    assert!(error.contains("parse error"), "{error}");
}

#[tokio::test]
async fn prometheus_scrapes_node_exporter() {
    let node_exporter = NodeExporter::start().await;
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: node, static_configs: [{{targets: ['{}']}}]}}]\n",
        node_exporter.address()
    );
    let prometheus = Prometheus::start(&config, &[]).await;
    let load = prometheus.wait_for_vector(Duration::from_secs(30), "node_load1").await;
    assert_eq!(load[0].labels["job"], "node");
}
