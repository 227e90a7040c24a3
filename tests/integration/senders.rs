//! Real senders: a Prometheus that speaks 1.0, and one that speaks 2.0 with native histograms, exemplars and
//! metadata; and both as agents, which keep nothing. Portent is killed and started again beneath them: nothing that
//! was scraped is lost to the sender, and what is in the rings is what Prometheus has.

use std::time::Duration;

use prost::Message;

use super::support::{
    NodeExporter, Portent, Prometheus, RemoteWriter, Series, wait_until, write_request,
};

/// How long each thing may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

/// A Prometheus that scrapes itself every second and sends what it has in one of the versions.
async fn prometheus(portent: &Portent, message: &str) -> Prometheus {
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n- job_name: prometheus\n  static_configs: [{{targets: ['127.0.0.1:1']}}]\n\
         remote_write:\n- url: '{}'\n  protobuf_message: {message}\n  send_exemplars: true\n  \
         send_native_histograms: true\n  queue_config: {{batch_send_deadline: 1s}}\n",
        portent.url("/api/v1/write")
    );
    let flags = ["--enable-feature=native-histograms,exemplar-storage,metadata-wal-records"];
    let prometheus = Prometheus::start(&config, &flags).await;
    // Its own port is known only now.
    let itself = config.replace("127.0.0.1:1'", &format!("{}'", prometheus.server().address()));
    std::fs::write(prometheus.server().dir().join("prometheus.yml"), itself).expect("its file");
    let reloaded = super::support::post(&prometheus.url("/-/reload")).await.expect("an answer");
    assert_eq!(reloaded.status, 200, "{}", reloaded.body);
    prometheus
}

/// The sum of the samples of a metric on a page.
fn sum(page: &str, metric: &str) -> f64 {
    let lines = page
        .lines()
        .filter(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' '])));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// `up{job="prometheus"}` in a URL.
const UP: &str = "up%7Bjob%3D%22prometheus%22%7D";

/// A native histogram of each scrape: `prometheus_http_request_duration_seconds{handler="/metrics"}`.
const LATENCY: &str = "prometheus_http_request_duration_seconds%7Bhandler%3D%22%2Fmetrics%22%7D";

/// Samples of a series between two times, as a range selector gives them.
async fn samples(
    get: impl AsyncFn(&str) -> String,
    selector: &str,
    (start_ms, end_ms): (i64, i64),
) -> Vec<(i64, String)> {
    let seconds = (end_ms - start_ms) / 1_000;
    let query =
        format!("/api/v1/query?query={selector}%5B{seconds}s%5D&time={}", end_ms as f64 / 1_000.0);
    let answer: serde_json::Value = serde_json::from_str(&get(&query).await).expect("JSON");
    let series = &answer["data"]["result"][0];
    let kind = if series["values"].is_null() { "histograms" } else { "values" };
    let values = series[kind].as_array().cloned().unwrap_or_default();
    let sample = |it: &serde_json::Value| {
        let seconds = it[0].as_f64().expect("a time");
        let value = it[1].as_str().map_or_else(|| it[1].to_string(), str::to_owned);
        ((seconds * 1_000.0).round() as i64, value)
    };
    values.iter().map(sample).collect()
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("a time in i64")
}

async fn check(message: &str, protocol: &str) {
    let config =
        "models: [{name: node}]\nstorage: {retention: 10m, keep: ['{job=\"prometheus\"}']}\n";
    let mut portent = Portent::start(config, &[]).await;
    let prometheus = prometheus(&portent, message).await;
    let sent = async |least: f64| {
        wait_until(LIMIT, "samples to be sent", async || {
            let page = prometheus.get("/metrics").await?.body;
            let samples = sum(&page, "prometheus_remote_storage_samples_total");
            let pending = sum(&page, "prometheus_remote_storage_samples_pending");
            if samples >= least {
                Ok(samples)
            } else {
                Err(format!("{samples}, {pending} pending"))
            }
        })
        .await
    };
    sent(3_000.0).await;
    let line = format!("protocol=\"{protocol}\"");
    wait_until(LIMIT, "the sender to be named", async || {
        let log = portent.server.log();
        if log.contains(&line) { Ok(()) } else { Err(log) }
    })
    .await;
    portent.restart(&["--storage.path="]).await;
    // Whatever was sent before is gone with the process; what is scraped from here on is all there.
    let from_ms = now_ms();
    let before = sent(0.0).await;
    sent(before + 5_000.0).await;
    let to_ms = now_ms() - 3_000;
    for (series, mark) in [(UP, ""), (LATENCY, "buckets")] {
        let theirs = samples(
            async |query| prometheus.get(query).await.expect("an answer").body,
            series,
            (from_ms, to_ms),
        )
        .await;
        assert!(theirs.len() >= 3 && theirs[0].1.contains(mark), "{theirs:?}");
        wait_until(LIMIT, "the same samples", async || {
            let ours = samples(
                async |query| portent.get(query).await.expect("an answer").body,
                series,
                (from_ms, to_ms),
            )
            .await;
            if ours == theirs { Ok(()) } else { Err(format!("{ours:?} and not {theirs:?}")) }
        })
        .await;
    }
    let page = prometheus.get("/metrics").await.expect("its own metrics").body;
    for what in ["samples", "histograms", "exemplars", "metadata"] {
        for fate in ["failed", "dropped"] {
            let metric = format!("prometheus_remote_storage_{what}_{fate}_total");
            assert_eq!(sum(&page, &metric), 0.0, "{metric}");
        }
    }
}

#[tokio::test]
async fn prometheus_speaks_the_first_version() {
    check(V1, "remote write 1.0").await;
}

#[tokio::test]
async fn prometheus_speaks_the_second_version() {
    check(V2, "remote write 2.0").await;
}

/// An agent sends the same to Portent and to a Prometheus, which is there all the time. From the moment that
/// Portent was killed on, whatever was scraped while it was away is in its rings as well.
async fn check_agent(message: &str, protocol: &str) {
    // A clock in seconds: every sample has another value.
    const SERIES: &str = "node_time_seconds";
    let keep = format!("storage: {{retention: 1h, keep: [{SERIES}]}}\n");
    let mut portent = Portent::start(&keep, &[]).await;
    portent.ready().await;
    let storage = Prometheus::start("global: {}\n", &[]).await;
    let node_exporter = NodeExporter::start().await;
    let to = |url: String, message: &str| {
        format!(
            "- url: '{url}'\n  protobuf_message: {message}\n  queue_config: {{batch_send_deadline: 1s, \
             max_backoff: 1s}}\n"
        )
    };
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n- job_name: node\n  static_configs: [{{targets: ['{}']}}]\nremote_write:\n{}{}",
        node_exporter.address(),
        to(portent.url("/api/v1/write"), message),
        to(storage.url("/api/v1/write"), V1),
    );
    let agent = Prometheus::start(&config, &["--agent"]).await;
    let theirs = async |range| {
        let get = async |query: &str| storage.get(query).await.expect("an answer").body;
        samples(get, SERIES, range).await
    };
    let at_least = async |from_ms: i64, count: usize| {
        wait_until(LIMIT, "samples to reach the storage", async || {
            let found = theirs((from_ms, now_ms())).await;
            if found.len() >= count { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    };
    let begin_ms = now_ms() - 60_000;
    at_least(begin_ms, 3).await;
    let line = format!("protocol=\"{protocol}\"");
    wait_until(LIMIT, "the sender to be named", async || {
        let log = portent.server.log();
        if log.contains(&line) { Ok(()) } else { Err(log) }
    })
    .await;

    portent.server.signal("KILL");
    portent.server.wait_for_end(LIMIT).await;
    let from_ms = now_ms();
    at_least(from_ms, 4).await;
    portent.restart(&["--storage.path="]).await;
    let back_ms = now_ms();
    at_least(back_ms, 3).await;
    let to_ms = back_ms + 2_000;
    wait_until(LIMIT, "Portent to have what the storage has", async || {
        let get = async |query: &str| portent.get(query).await.expect("an answer").body;
        let (ours, theirs) =
            (samples(get, SERIES, (from_ms, to_ms)).await, theirs((from_ms, to_ms)).await);
        let is_all = ours == theirs && ours.len() >= 5;
        if is_all { Ok(()) } else { Err(format!("{ours:?} and not {theirs:?}")) }
    })
    .await;
    let page = agent.get("/metrics").await.expect("its own metrics").body;
    for fate in ["failed", "dropped"] {
        let metric = format!("prometheus_remote_storage_samples_{fate}_total");
        assert_eq!(sum(&page, &metric), 0.0, "{metric}\n{}", agent.server().log_tail());
    }
}

#[tokio::test]
async fn an_agent_speaks_the_first_version() {
    check_agent(V1, "remote write 1.0").await;
}

#[tokio::test]
async fn an_agent_speaks_the_second_version() {
    check_agent(V2, "remote write 2.0").await;
}

/// A histogram of a schema that does not exist is counted, and the series beside it is taken in.
#[tokio::test]
async fn a_bad_histogram_is_counted() {
    let portent = Portent::start("models: [{name: node}]\n", &[]).await;
    portent.ready().await;
    let good = Series::new(&[("__name__", "node_load1")], &[(now_ms(), 1.0)]);
    let mut message = write_request(&[good]).encode_to_vec();
    let series = write_request(&[Series::new(&[("__name__", "up")], &[])]).timeseries.remove(0);
    // Field 4, and of it the field 4: schema 60, as 120.
    let series = [&series.encode_to_vec()[..], b"\x22\x02\x20\x78"].concat();
    message.extend([0x0a, series.len() as u8]);
    message.extend(series);
    let body = snap::raw::Encoder::new().compress_vec(&message).expect("it is short");
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send_body(body).await;
    let expected = "1 histograms are invalid; for example: a histogram of up: histogram schema 60";
    assert!(reply.status == 400 && reply.body.starts_with(expected), "{reply:?}");
    portent.page_with("portent_remote_write_invalid_total{kind=\"histogram\"} 1\n", LIMIT).await;
}
