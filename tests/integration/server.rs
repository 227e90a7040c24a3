//! The running server: its endpoints, the metrics page, reload, signals, and the limits on
//! connections.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::{
    Peers, Portent, Prometheus, RemoteWriter, Series, post, run_portent, wait_until,
    write_sum_of_squares,
};
use portent::duration::Duration as Span;
use portent::http::{self, WebConfig};
use portent::response::text;
use portent::sample::STALE_NAN_BITS;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How long anything that takes a tick may take here.
const SOON: Duration = Duration::from_secs(20);

fn config(model: &str, threshold: f64) -> String {
    format!(
        "global:\n  evaluation_interval: 1s\n  stale_after: 30s\n\
         models:\n- name: squares\n  file: {model}\n  entity: [instance]\n  step: 1s\n  \
         threshold: {threshold}\n  features:\n  - name: a\n    expr: m_a\n  - name: b\n    \
         expr: m_b\n"
    )
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the far future")
}

/// One sample of both metrics of an instance.
fn samples(instance: &str, a: f64, b: f64) -> Vec<Series> {
    let at = now_ms();
    let one =
        |name, value| Series::new(&[("__name__", name), ("instance", instance)], &[(at, value)]);
    vec![one("m_a", a), one("m_b", b)]
}

async fn send(portent: &Portent, series: &[Series]) {
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(series).await;
    assert_eq!(reply.status, 204, "{reply:?}");
}

/// Waits until a line of the metrics page is as wanted.
async fn page_with(portent: &Portent, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let url = portent.url("/metrics");
    wait_until(SOON, what, async || {
        let page = crate::support::get(&url).await?.body;
        if wanted(&page) { Ok(page) } else { Err(page) }
    })
    .await
}

async fn ready(portent: &Portent) {
    let url = portent.url("/-/ready");
    wait_until(SOON, "portent is ready", async || {
        let reply = crate::support::get(&url).await?;
        if reply.status == 200 { Ok(()) } else { Err(reply.body) }
    })
    .await;
}

fn promtool_accepts(page: &str) {
    use std::io::Write;
    let mut promtool = Command::new(Peers::find().promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut stdin = promtool.stdin.take().expect("a piped input");
    stdin.write_all(page.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "promtool: {said}\n{page}");
}

#[tokio::test]
async fn a_score_goes_in_and_comes_out() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
    ready(&portent).await;
    send(&portent, &samples("h\"1\n", 1.0, 3.0)).await;
    let line = r#"anomaly_score{instance="h\"1\n",model="squares"} 5"#;
    let page = page_with(&portent, line, |page| page.lines().any(|l| l == line)).await;
    for line in [
        r#"anomaly_reconstruction_error{instance="h\"1\n",model="squares"} 10"#,
        r#"anomaly_feature_contribution{instance="h\"1\n",model="squares",feature="b"} 9"#,
        r#"anomaly_threshold{model="squares"} 2"#,
        r#"anomaly_entities{model="squares",state="anomalous"} 1"#,
        r#"anomaly_score_median{model="squares"} 5"#,
        r#"anomaly_entities_anomalous_ratio{model="squares"} 1"#,
        r#"portent_remote_write_samples_total{outcome="stored"} 2"#,
        "portent_series_kept 2",
        "portent_config_last_reload_successful 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
    promtool_accepts(&page);
    // The same in full.
    let url = portent.url("/api/v1/anomalies?match[]={model=%22squares%22}&min_score=5");
    let reply = crate::support::get(&url).await.expect("an answer");
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    let entities = &answer["data"]["entities"];
    assert_eq!((&answer["data"]["total"], &entities[0]["score"]), (&1.into(), &5.0.into()));
    let b = serde_json::json!({
        "feature": "b", "contribution": 9.0, "actual": 3.0, "expected": null, "provenance": "own"
    });
    assert_eq!(entities[0]["features"][0], b);

    // An entity that ended is gone from the page.
    let at = now_ms();
    let ended = |name| {
        let labels = [("__name__", name), ("instance", "h\"1\n")];
        Series::new(&labels, &[(at, f64::from_bits(STALE_NAN_BITS))])
    };
    send(&portent, &[ended("m_a"), ended("m_b")]).await;
    page_with(&portent, "no score", |page| !page.contains("anomaly_score{")).await;
}

/// The metrics page as it is sent: its headers and its bytes.
async fn raw_page(
    portent: &Portent,
    headers: &[(&str, &str)],
) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let client = reqwest::Client::builder().no_gzip().build().expect("a client");
    let mut request = client.get(portent.url("/metrics"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = request.send().await.expect("an answer");
    assert_eq!(reply.status(), 200);
    (reply.headers().clone(), reply.bytes().await.expect("all of it").to_vec())
}

#[tokio::test]
async fn the_metrics_page_is_in_the_form_that_is_wanted() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
    ready(&portent).await;
    send(&portent, &samples("h", 1.0, 3.0)).await;
    page_with(&portent, "a score", |page| page.contains("anomaly_score{")).await;
    let families = |text: &str| -> Vec<String> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|it| it.split(' ').next().unwrap_or_default().to_owned()).collect()
    };

    let (headers, plain) = raw_page(&portent, &[]).await;
    let plain = String::from_utf8(plain).expect("text");
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(!headers.contains_key("content-encoding"), "{headers:?}");
    promtool_accepts(&plain);
    let names = families(&plain);
    assert!(names.is_sorted() && names.len() > 50, "{names:?}");
    for line in ["# TYPE process_cpu_seconds_total counter", "# TYPE process_open_fds gauge"] {
        assert!(plain.lines().any(|it| it == line), "{line}\n{plain}");
    }
    let cpu = plain.lines().find_map(|it| it.strip_prefix("process_cpu_seconds_total "));
    assert!(cpu.is_some_and(|it| it.parse::<f64>().is_ok_and(|it| it > 0.0)), "{cpu:?}");

    let openmetrics = ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    let (headers, gzip) = raw_page(&portent, &[openmetrics, ("Accept-Encoding", "gzip")]).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(headers["content-type"], kind);
    assert_eq!(headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut text).expect("one gzip member");
    assert!(gzip.len() < text.len() / 3, "{} of {}", gzip.len(), text.len());
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(text.contains(
        "\n# TYPE portent_remote_write_samples counter\nportent_remote_write_samples_total{"
    ));
    assert!(text.contains("\nanomaly_score{instance=\"h\",model=\"squares\"} 5\n"), "{text}");
    assert_eq!(families(&text).len(), names.len());
}

/// What scrapes by default asks for OpenMetrics, compressed; what it stores says whether it has read that.
#[tokio::test]
async fn prometheus_reads_the_metrics_page_as_it_asks_for_it() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
    ready(&portent).await;
    send(&portent, &samples("h", 1.0, 3.0)).await;
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: portent, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}]\n",
        portent.address()
    );
    let prometheus = Prometheus::start(&config, &[]).await;
    for query in [
        "up{job=\"portent\"} == 1",
        "anomaly_score{instance=\"h\"}",
        "portent_remote_write_samples_total",
        "process_cpu_seconds_total",
        "portent_detect_tick_duration_seconds_bucket{le=\"1.0\"}",
    ] {
        wait_until(SOON, query, async || {
            send(&portent, &samples("h", 1.0, 3.0)).await;
            match prometheus.vector(query, None).await {
                Ok(elements) if !elements.is_empty() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_alert_fires_and_is_resolved() {
    let dir = TempDir::new().expect("a temporary folder");
    let rule = "alerting:\n  rules:\n  - alert: HostAnomalous\n    for: 1s\n    keep_firing_for: 1s\n    \
                labels: {severity: ticket}\n";
    let portent = Portent::start(&(config(&write_sum_of_squares(&dir, 2), 2.0) + rule), &[]).await;
    ready(&portent).await;
    let alert = |state| {
        format!(
            r#"anomaly_alerts{{alertname="HostAnomalous",instance="h",model="squares",severity="ticket",alertstate="{state}"}} 1"#
        )
    };
    send(&portent, &samples("h", 1.0, 3.0)).await;
    let page = page_with(&portent, "firing", |page| page.contains(&alert("firing"))).await;
    promtool_accepts(&page);
    send(&portent, &samples("h", 0.0, 0.0)).await;
    let resolved = r#"portent_alerts_changes_total{alertname="HostAnomalous",change="calm"} 1"#;
    let page = page_with(&portent, "resolved", |page| page.contains(resolved)).await;
    assert!(!page.contains("anomaly_alerts{"), "{page}");
    let fired = r#"portent_alerts_changes_total{alertname="HostAnomalous",change="fired"} 1"#;
    assert!(page.contains(fired), "{page}");
    let log = portent.server.log();
    for line in ["an alert fires", "an alert is resolved"] {
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
}

#[tokio::test]
async fn paths_and_methods() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
    ready(&portent).await;
    let reply = portent.get("/-/healthy").await.expect("an answer");
    assert_eq!((reply.status, reply.body.as_str()), (200, "Portent is Healthy.\n"));
    let reply = portent.get("/-/ready").await.expect("an answer");
    assert_eq!((reply.status, reply.body.as_str()), (200, "Portent is Ready.\n"));
    assert_eq!(portent.get("/nothing").await.expect("an answer").status, 404);
    assert_eq!(portent.get("/api/v1/write").await.expect("an answer").status, 405);
    assert_eq!(portent.get("/-/reload").await.expect("an answer").status, 405);
    assert_eq!(post(&portent.url("/metrics")).await.expect("an answer").status, 405);
    // Not enabled.
    assert_eq!(post(&portent.url("/-/reload")).await.expect("an answer").status, 403);
    let head = crate::support::http_client().head(portent.url("/metrics")).send().await;
    assert_eq!(head.expect("an answer").status(), 200);
}

/// Go's `net/http`, and so Prometheus, looks at a path when its escapes are gone.
#[tokio::test]
async fn a_path_may_be_escaped() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
    ready(&portent).await;
    let batch = samples("host", 1.0, 2.0);
    let reply = RemoteWriter::new(portent.url("/api/v1/%77rite")).send(&batch).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    for (path, status) in [
        ("/%6detrics", 200),
        ("/api%2Fv1%2fquery?query=1", 404),
        ("/api/v1/label/inst%61nce/values", 200),
        ("/%256detrics", 404),
        ("/api/v1/label/a%2Fb/values", 404),
        ("/%6/", 400),
        ("/%ff", 404),
    ] {
        assert_eq!(raw(&portent, path).await.0, status, "{path}");
    }
}

/// Status and text of the answer to an address that no client library would send as it is.
async fn raw(portent: &Portent, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(portent.address()).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), text)
}

/// As with `curl -g`, and as Prometheus does.
#[tokio::test]
async fn an_address_may_be_typed_by_hand() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
    ready(&portent).await;
    send(&portent, &samples("ä", 1.0, 2.0)).await;
    for query in ["m_a{instance=\"ä\"}", "m_a{instance!=\"^|<`\"}>0", "m_a{instance=~\"..?\"}#x"] {
        let (status, text) = raw(&portent, &format!("/api/v1/query?query={query}")).await;
        assert_eq!(status, 200, "{query}: {text}");
        assert!(text.contains("\"instance\":\"ä\""), "{query}: {text}");
    }
}

/// What a reload drops is counted, and what was counted of a model that is gone is not shown.
#[tokio::test]
async fn a_model_that_is_renamed_leaves_nothing_behind() {
    let dir = TempDir::new().expect("a temporary folder");
    let own = config(&write_sum_of_squares(&dir, 2), 2.0);
    let keep = format!("{own}storage:\n  keep: [m_c]\n");
    let portent = Portent::start(&keep, &["--web.enable-lifecycle"]).await;
    ready(&portent).await;
    let labels = [("__name__", "m_c"), ("instance", "h")];
    send(&portent, &[Series::new(&labels, &[(now_ms(), 1.0)])]).await;
    send(&portent, &samples("h", 1.0, 1.0)).await;
    let scores = "portent_detect_scores_total{model=\"squares\"}";
    page_with(&portent, "a score", |page| page.contains(scores) && page.contains("h\",model"))
        .await;
    std::fs::write(portent.config_file(), own.replace("squares", "other")).expect("writable");
    assert_eq!(post(&portent.url("/-/reload")).await.expect("an answer").status, 200);
    let page = page_with(&portent, "nothing of the old name", |page| {
        page.contains("portent_detect_scores_total{model=\"other\"}") && !page.contains("squares")
    })
    .await;
    let dropped = "portent_series_dropped_total{reason=\"reload\"} 1";
    assert!(page.lines().any(|line| line == dropped), "{page}");
    promtool_accepts(&page);
}

#[tokio::test]
async fn open_connections_are_counted_as_they_come_and_go() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
    ready(&portent).await;
    let open = async |least: f64, most: f64| {
        page_with(&portent, "connections", |page| {
            let line = page.lines().find_map(|line| line.strip_prefix("portent_http_connections "));
            line.and_then(|count| count.parse().ok())
                .is_some_and(|count: f64| (least..=most).contains(&count))
        })
        .await
    };
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(TcpStream::connect(portent.address()).await.expect("it listens"));
    }
    open(51.0, 60.0).await;
    drop(streams);
    // Those who ask for the page keep theirs for a while.
    open(1.0, 10.0).await;
}

#[tokio::test]
async fn behind_a_proxy_all_paths_have_its_prefix() {
    let dir = TempDir::new().expect("a temporary folder");
    let config = config(&write_sum_of_squares(&dir, 2), 2.0);
    let flags = ["--web.external-url=https://example.org/portent/"];
    let portent = Portent::start_under("/portent", &config, &flags).await;
    wait_until(SOON, "portent is ready", async || {
        let reply = portent.get("/portent/-/ready").await?;
        if reply.status == 200 { Ok(()) } else { Err(reply.body) }
    })
    .await;
    for path in ["/portent/metrics", "/portent/api/v1/anomalies", "/portent/api/v1/labels"] {
        assert_eq!(portent.get(path).await.expect("an answer").status, 200, "{path}");
    }
    for path in ["/metrics", "/-/ready", "/api/v1/write", "/portents/metrics"] {
        assert_eq!(portent.get(path).await.expect("an answer").status, 404, "{path}");
    }
    let batch = samples("host", 1.0, 2.0);
    let reply = RemoteWriter::new(portent.url("/portent/api/v1/write")).send(&batch).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    // Both lead to the page whose links stay below it.
    for path in ["/", "/portent"] {
        let page = portent.get(path).await.expect("an answer");
        assert_eq!(page.status, 200);
        assert!(page.body.contains("<a href=\"metrics\">"), "{}", page.body);
    }

    // A proxy that cuts it off.
    let flags = ["--web.external-url=https://example.org/portent/", "--web.route-prefix=/"];
    let portent = Portent::start(&config, &flags).await;
    assert_eq!(portent.get("/").await.expect("an answer").status, 200);
    assert_eq!(portent.get("/portent/").await.expect("an answer").status, 404);

    let output = run_portent(&["serve", "--web.external-url=example.org/portent"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--web.external-url must be an address"), "{said}");
}

#[tokio::test]
async fn a_bad_reload_changes_nothing_and_a_good_one_everything() {
    let dir = TempDir::new().expect("a temporary folder");
    let model = write_sum_of_squares(&dir, 2);
    let portent = Portent::start(&config(&model, 2.0), &["--web.enable-lifecycle"]).await;
    ready(&portent).await;
    send(&portent, &samples("h", 1.0, 1.0)).await;
    let reload = portent.url("/-/reload");
    for (broken, reason) in [
        (config(&model, 2.0).replace("threshold", "treshold"), "treshold"),
        (config("/nowhere.onnx", 2.0), "/nowhere.onnx"),
        (config(&model, 2.0).replace("expr: m_b", "expr: rate(m_b)"), "rate"),
    ] {
        std::fs::write(portent.config_file(), &broken).expect("writable");
        let reply = post(&reload).await.expect("an answer");
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(reply.body.starts_with("failed to reload config: "), "{reply:?}");
        assert!(reply.body.contains(reason), "{reply:?}");
        page_with(&portent, "the failure in the metrics", |page| {
            page.contains("portent_config_last_reload_successful 0")
                && page.contains("anomaly_threshold{model=\"squares\"} 2\n")
        })
        .await;
    }
    std::fs::write(portent.config_file(), config(&model, 4.0)).expect("writable");
    assert_eq!(post(&reload).await.expect("an answer").status, 200);
    // The samples of before are still there, so the entity is scored at once.
    let line = r#"anomaly_score{instance="h",model="squares"} 0.5"#;
    page_with(&portent, line, |page| page.lines().any(|l| l == line)).await;

    std::fs::write(portent.config_file(), config(&model, 8.0)).expect("writable");
    portent.server.signal("HUP");
    page_with(&portent, "the reload by signal", |page| {
        page.contains("anomaly_threshold{model=\"squares\"} 8\n")
    })
    .await;
}

/// One of a pair is heard, whatever the label is called that a reload says tells the two apart.
#[tokio::test]
async fn of_a_pair_one_is_heard_and_a_reload_can_say_by_which_label() {
    let dir = TempDir::new().expect("a temporary folder");
    let own = config(&write_sum_of_squares(&dir, 2), 2.0);
    let portent = Portent::start(&own, &["--web.enable-lifecycle"]).await;
    ready(&portent).await;
    let pair = |label: &str, first: i64| -> Vec<Series> {
        let sender = |(replica, at): (&str, i64)| {
            let one = |name| {
                let labels = [("__name__", name), ("instance", "h"), (label, replica)];
                Series::new(&labels, &[(at, 1.0)])
            };
            [one("m_a"), one("m_b")]
        };
        [("one", first), ("other", first + 1)].into_iter().flat_map(sender).collect()
    };
    let deduplicated = |count: u32| {
        format!("portent_remote_write_samples_total{{outcome=\"deduplicated\"}} {count}")
    };
    let is_scored = |page: &str| page.contains(r#"anomaly_score{instance="h",model="squares"} 1"#);
    send(&portent, &pair("prometheus_replica", now_ms() - 10)).await;
    page_with(&portent, "a score and what was left out", |page| {
        page.lines().any(|line| line == deduplicated(2)) && is_scored(page)
    })
    .await;
    let renamed = format!("{own}remote_write:\n  replica_labels: [source]\n");
    std::fs::write(portent.config_file(), renamed).expect("writable");
    assert_eq!(post(&portent.url("/-/reload")).await.expect("an answer").status, 200);
    send(&portent, &pair("source", now_ms())).await;
    page_with(&portent, "twice as much left out", |page| {
        page.lines().any(|line| line == deduplicated(4)) && is_scored(page)
    })
    .await;
}

/// Another replica is heard when the first has been silent for the timeout, and the log names both.
#[tokio::test]
async fn a_replica_that_takes_over_is_counted_and_named() {
    let dir = TempDir::new().expect("a temporary folder");
    let timeout = "remote_write:\n  replica_timeout: 100ms\n";
    let own = format!("{}{timeout}", config(&write_sum_of_squares(&dir, 2), 2.0));
    let portent = Portent::start(&own, &[]).await;
    ready(&portent).await;
    let heard = |replica| {
        let labels = [("__name__", "m_a"), ("instance", "h"), ("prometheus_replica", replica)];
        vec![Series::new(&labels, &[(now_ms(), 1.0)])]
    };
    // Two of the first: a single sample would go to whoever has been heard for longer.
    send(&portent, &heard("prometheus-a")).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    send(&portent, &heard("prometheus-a")).await;
    wait_until(SOON, "the other one to take over", async || {
        send(&portent, &heard("prometheus-b")).await;
        let page = crate::support::get(&portent.url("/metrics")).await?.body;
        let changes = "portent_series_replica_changes_total 1";
        if page.lines().any(|line| line == changes) { Ok(()) } else { Err(page) }
    })
    .await;
    let log = portent.server.log();
    let line = log.lines().find(|line| line.contains("a replica is silent")).expect("it is said");
    assert!(line.contains("prometheus-a") && line.contains("prometheus-b"), "{line}");
}

/// Of a pair that is known by a cluster's label one is heard for all series, also for those that only the other
/// one has, until it stops; then the other one is heard at once for all.
#[tokio::test]
async fn a_cluster_hears_the_replica_that_is_elected_and_the_other_when_it_stops() {
    let dir = TempDir::new().expect("a temporary folder");
    // Long enough for what is sent before it stops, of which the other one must not be heard.
    let section = "remote_write:\n  replica_timeout: 3s\n  cluster_labels: [cluster]\n";
    let own = format!("{}{section}", config(&write_sum_of_squares(&dir, 2), 2.0));
    let portent = Portent::start(&own, &[]).await;
    ready(&portent).await;
    let of = |replica: &str, value: f64, hosts: &[&str]| -> Vec<Series> {
        let one = |(host, name): (&&str, &str)| {
            let host = ("instance", *host);
            let pair = [("cluster", "c1"), ("prometheus_replica", replica)];
            Series::new(&[("__name__", name), host, pair[0], pair[1]], &[(now_ms(), value)])
        };
        hosts.iter().flat_map(|host| [(host, "m_a"), (host, "m_b")]).map(one).collect()
    };
    let has = |page: &str, line: &str| page.lines().any(|it| it == line);
    for _ in 0..3 {
        send(&portent, &of("prometheus-a", 1.0, &["h"])).await;
        send(&portent, &of("prometheus-b", 2.0, &["h", "other"])).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let unheard = "portent_remote_write_samples_total{outcome=\"deduplicated\"} 12";
    let page = page_with(&portent, "what was left out", |page| has(page, unheard)).await;
    assert!(has(&page, "portent_series_created_total 2"), "{page}");
    let change = "portent_series_cluster_changes_total";
    assert!(has(&page, &format!("{change} 0")), "{page}");
    wait_until(SOON, "the other one to be elected", async || {
        send(&portent, &of("prometheus-b", 2.0, &["h", "other"])).await;
        let page = crate::support::get(&portent.url("/metrics")).await?.body;
        if has(&page, &format!("{change} 1")) { Ok(()) } else { Err(page) }
    })
    .await;
    // The first one is back: too late.
    send(&portent, &of("prometheus-a", 1.0, &["h"])).await;
    let of_both =
        [r#"anomaly_score{instance="h",model="squares"}"#, r#"anomaly_score{instance="other""#];
    let page = page_with(&portent, "scores of both hosts", |page| {
        of_both.iter().all(|score| page.contains(score))
    })
    .await;
    assert!(has(&page, &format!("{change} 1")), "{page}");
    assert!(has(&page, "portent_series_created_total 4"), "{page}");
    assert!(has(&page, "portent_series_replica_changes_total 2"), "of h alone: {page}");
    let log = portent.server.log();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("a replica is silent")).collect();
    let [line] = lines[..] else { panic!("it is said once: {log}") };
    for name in ["cluster=c1", "from=prometheus-a", "to=prometheus-b"] {
        assert!(line.contains(name), "{line}");
    }
}

#[tokio::test]
async fn it_ends_within_its_time_whatever_clients_do() {
    for signal in ["TERM", "INT"] {
        let dir = TempDir::new().expect("a temporary folder");
        let mut portent = Portent::start(&config(&write_sum_of_squares(&dir, 2), 2.0), &[]).await;
        ready(&portent).await;
        let _idle = TcpStream::connect(portent.address()).await.expect("it listens");
        let mut half = TcpStream::connect(portent.address()).await.expect("it listens");
        half.write_all(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
            .await
            .expect("sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        portent.server.signal(signal);
        let status = portent.server.wait_for_end(Duration::from_secs(7)).await;
        assert_eq!(status.code(), Some(0), "{}", portent.server.log_tail());
    }
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("a bound address").to_string();
    let output = run_portent(&["serve", "--web.listen-address", &address]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");

    let dir = TempDir::new().expect("a temporary folder");
    let file = dir.path().join("portent.yml");
    std::fs::write(&file, config("/nowhere.onnx", 2.0)).expect("writable");
    let output = run_portent(&[
        "serve",
        "--web.listen-address=127.0.0.1:0",
        &format!("--config.file={}", file.display()),
    ]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nowhere.onnx"), "{said}");
    assert!(!said.contains("Listening on"), "{said}");
    assert!(!Path::new("/nowhere.onnx").exists());
}

/// A server of this process that answers every request after a while.
struct Slow {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<usize>,
}

impl Slow {
    async fn start(config: WebConfig, answer_after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            let handler = move |_| {
                Box::pin(async move {
                    tokio::time::sleep(answer_after).await;
                    text(hyper::StatusCode::OK, "done")
                })
            };
            let vital: http::Vital = Arc::new(|_, _| false);
            http::serve(listener, &config, handler, vital, async { drop(stopped.await) }).await
        });
        Self { address, stop, ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server listens")
    }
}

/// Short times and few connections.
fn tight() -> WebConfig {
    WebConfig {
        max_connections: 2,
        max_connections_per_peer: Some(2),
        reserved_connections: 0,
        header_timeout: Span::from_ms(200),
        idle_timeout: Span::from_ms(800),
        shutdown_timeout: Span::from_ms(1_000),
        ..WebConfig::default()
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// How long until the server closes the connection.
async fn closed_after(mut stream: TcpStream) -> Duration {
    let start = Instant::now();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
    // A reset is an end as well.
    assert!(read.is_ok(), "the connection stays open");
    start.elapsed()
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 4096];
    let read = tokio::time::timeout(SOON, stream.read(&mut buffer)).await;
    let length = read.expect("an answer in time").expect("an open connection");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_slow_head_is_cut_off_before_an_idle_connection() {
    let server = Slow::start(tight(), Duration::ZERO).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HT").await.expect("sent");
    let mut idle = server.connect().await;
    idle.write_all(GET).await.expect("sent");
    assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200"));
    let (slow, idle) = tokio::join!(closed_after(slow), closed_after(idle));
    assert!(slow < Duration::from_millis(750), "{slow:?}");
    assert!(idle >= Duration::from_millis(750), "{idle:?}");
}

#[tokio::test]
async fn a_kept_connection_serves_again() {
    let server = Slow::start(tight(), Duration::ZERO).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(GET).await.expect("sent");
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        // Longer than a head may take: the connection is idle, not slow.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let config = WebConfig { idle_timeout: Span::from_seconds(60), ..tight() };
    let server = Slow::start(config, Duration::ZERO).await;
    let (first, _second) = (server.connect().await, server.connect().await);
    let mut third = server.connect().await;
    third.write_all(GET).await.expect("sent");
    let mut byte = [0];
    let waited = tokio::time::timeout(Duration::from_millis(300), third.peek(&mut byte)).await;
    assert!(waited.is_err(), "the third connection was served");
    drop(first);
    assert!(answer(&mut third).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_end_waits_for_answers_and_not_for_idle_clients() {
    let server = Slow::start(tight(), Duration::from_millis(400)).await;
    let _idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(GET).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (address, start) = (server.address, Instant::now());
    drop(server.stop);
    assert!(answer(&mut busy).await.starts_with("HTTP/1.1 200"), "a request was cut off");
    let cut_off = server.ended.await.expect("the server ends");
    assert_eq!(cut_off, 0);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
}

#[tokio::test]
async fn an_end_cuts_off_what_takes_too_long() {
    let server = Slow::start(tight(), Duration::from_secs(60)).await;
    let mut busy = server.connect().await;
    busy.write_all(GET).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(server.stop);
    let cut_off = tokio::time::timeout(SOON, server.ended).await.expect("the server ends");
    assert_eq!(cut_off.expect("no panic"), 1);
}
