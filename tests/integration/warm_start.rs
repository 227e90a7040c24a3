//! A process that remembers nothing and begins with a server's history: scores at once, and what becomes of a
//! server that does not help.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::support::range_server::{self, Asked, RangeServer};
use crate::support::{Portent, run_portent};
use portent::model::Dim;
use portent::model::graph::{Attribute, Graph};
use tempfile::TempDir;

/// How long anything that takes a few ticks may take here: far less than the window.
const SOON: Duration = Duration::from_secs(60);

/// The sum of all values of a window of five minutes of one feature.
fn write_model(path: &Path) {
    let rows = Dim::Dynamic("N".to_owned());
    let mut graph = Graph::new("sum");
    let drop = [Attribute::Int("keepdims", 0)];
    graph
        .input("features", &[rows.clone(), Dim::Fixed(300), Dim::Fixed(1)])
        .integers("axes", &[1, 2]);
    graph.node_with("ReduceSum", &["features", "axes"], "score", &drop).output("score", &[rows]);
    fs::write(path, graph.encode(Vec::new())).expect("a fresh folder takes a file");
}

fn config(dir: &TempDir) -> String {
    let model = dir.path().join("model.onnx");
    write_model(&model);
    format!(
        "global:\n  evaluation_delay: 0s\n  stale_after: 2m\nmodels:\n{}",
        item("sum", &model.display().to_string())
    )
}

fn item(name: &str, file: &str) -> String {
    format!(
        "- name: {name}\n  file: {file}\n  entity: [instance]\n  step: 1s\n  window: 300\n  \
         threshold: 1\n  features:\n  - name: a\n    expr: m_a\n"
    )
}

/// Two hosts, of which one pushes here, with 1 at each step.
fn answer(asked: &Asked) -> anyhow::Result<Vec<range_server::Series>> {
    let is_time = asked.query.contains("timestamp(");
    let value = |at_ms: &i64| if is_time { *at_ms as f64 / 1_000.0 } else { 1.0 };
    let host = |name: &str| range_server::Series {
        labels: format!(r#""instance":"{name}""#),
        points: asked.times_ms.iter().map(|at_ms| (*at_ms, value(at_ms))).collect(),
    };
    Ok(vec![host("h"), host("elsewhere")])
}

/// A server of its own thread: it waits for its port.
fn serve<F>(answer: F) -> RangeServer
where
    F: Fn(&Asked) -> anyhow::Result<Vec<range_server::Series>> + Send + Sync + 'static,
{
    let server = std::thread::spawn(|| RangeServer::start(answer));
    server.join().expect("no panic").expect("a port")
}

const SCORE: &str = "anomaly_score{instance=\"h\",model=\"sum\"} ";
const WARMING: &str = "anomaly_entities{model=\"sum\",state=\"warming\"} 1";

#[tokio::test]
async fn scores_begin_at_once() {
    let dir = TempDir::new().expect("a temporary folder");
    let server = serve(answer);
    let text = format!("{}history:\n  prometheus_url: {}\n", config(&dir), server.url());
    let portent = Portent::start(&text, &[]).await;
    portent.ready().await;
    portent.push("m_a", &["h"]).await;
    let page = portent.page_with(SCORE, SOON).await;
    assert!(page.contains(&format!("{SCORE}300\n")) && !page.contains("elsewhere"), "{page}");
    for line in [
        "portent_warm_start_attempts_total{outcome=\"done\"} 1",
        "portent_warm_start_attempts_total{outcome=\"failed\"} 0",
        "portent_warm_start_entities_total 1",
    ] {
        portent.page_with(line, SOON).await;
    }
    let log = portent.server.log();
    assert!(log.contains("entities continue from their history"), "{log}");
    assert!(log.contains("entities=1") && log.contains("others=1"), "{log}");
    drop(portent);

    // Without it a window fills for five minutes.
    for more in ["", "history:\n  warm_start: 0s\n"] {
        let url = format!("--prometheus.url={}", server.url());
        let flags: &[&str] = if more.is_empty() { &[] } else { &[&url] };
        let portent = Portent::start(&format!("{}{more}", config(&dir)), flags).await;
        portent.ready().await;
        portent.push("m_a", &["h"]).await;
        let page = portent.page_with(WARMING, SOON).await;
        assert!(!page.contains(SCORE), "{page}");
    }
}

/// How many ticks there were, by the metrics page.
fn ticks(page: &str) -> u64 {
    let mut lines = page.lines();
    let count = lines.find_map(|it| it.strip_prefix("portent_detect_tick_duration_seconds_count "));
    count.expect("a histogram").parse().expect("a count")
}

/// A fleet that has scores, and hosts that come to it later: one that the server has known for long, and one
/// that is new there as well.
#[tokio::test]
async fn who_comes_later_begins_with_history_too() {
    let dir = TempDir::new().expect("a temporary folder");
    let (queries, asked) = mpsc::channel();
    let queries = Mutex::new(queries);
    let server = serve(move |asked| {
        queries.lock().expect("no panic").send(asked.query.clone()).expect("somebody listens");
        let mut all = answer(asked)?;
        for name in ["fleet-1", "fleet-2", "late"] {
            let host = answer(asked)?.swap_remove(0);
            let labels = format!(r#""instance":"{name}""#);
            all.push(range_server::Series { labels, ..host });
        }
        Ok(all)
    });
    let text = format!("{}history:\n  prometheus_url: {}\n", config(&dir), server.url());
    let portent = Portent::start(&text, &[]).await;
    portent.ready().await;
    let fleet = ["h", "fleet-1", "fleet-2"];
    portent.push("m_a", &fleet).await;
    portent.page_with(SCORE, SOON).await;
    portent.page_with("portent_warm_start_entities_total 3", SOON).await;
    assert!(asked.try_iter().all(|it| !it.contains("=~")), "of the whole fleet");

    portent.push("m_a", &["late"]).await;
    let before = ticks(&portent.get("/metrics").await.expect("a page").body);
    let page =
        portent.page_with("anomaly_score{instance=\"late\",model=\"sum\"} 300\n", SOON).await;
    assert!(page.contains(&format!("{SCORE}300\n")), "the others are what they were: {page}");
    let passed = ticks(&page) - before;
    assert!(passed < 60, "{passed} ticks, of which a window has 300");
    portent.page_with("portent_warm_start_entities_total 4", SOON).await;
    let late: Vec<String> = asked.try_iter().collect();
    assert!(late.iter().all(|it| it.contains("instance=~\"late\"")), "{late:?}");
    assert!(!late.is_empty());

    portent.push("m_a", &["brand-new"]).await;
    portent.page_with("portent_warm_start_unknown_entities_total 1", SOON).await;
    let page = portent.page_with(WARMING, SOON).await;
    for line in ["{outcome=\"done\"} 3", "{outcome=\"failed\"} 0"] {
        assert!(page.contains(&format!("portent_warm_start_attempts_total{line}")), "{page}");
    }
    let log = portent.server.log();
    assert!(
        log.contains("the server has no history of some new entities") && !log.contains("WARN"),
        "{log}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_help_does_no_harm() {
    let dir = TempDir::new().expect("a temporary folder");
    let server = serve(|_| anyhow::bail!("a matter of taste"));
    // The flag wins.
    let text = format!("{}history:\n  prometheus_url: http://127.0.0.1:1\n", config(&dir));
    let mut portent = Portent::start(&text, &[&format!("--prometheus.url={}", server.url())]).await;
    portent.ready().await;
    portent.push("m_a", &["h"]).await;
    portent.page_with("portent_warm_start_attempts_total{outcome=\"failed\"} 1", SOON).await;
    portent.page_with(WARMING, SOON).await;
    let log = portent.server.log();
    let expected =
        ["history.prometheus_url did not give the past", "a matter of taste", "again_in=30s"];
    assert!(expected.iter().all(|it| log.contains(it)), "{log}");
    portent.push("m_a", &["h"]).await;
    portent.server.signal("TERM");
    assert!(portent.server.wait_for_end(SOON).await.success());
    let output = run_portent(&["serve", "--prometheus.url=localhost:9090"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--prometheus.url") && said.contains("not the address"), "{said}");
}

/// A model that a reload brings begins with history as well; one that stays, or that a state file remembers, is
/// not asked for again.
#[tokio::test]
async fn a_model_begins_once() {
    let dir = TempDir::new().expect("a temporary folder");
    let server = serve(answer);
    let flags = [
        format!("--prometheus.url={}", server.url()),
        format!("--storage.path={}", dir.path().join("data").display()),
    ];
    let flags = flags.each_ref().map(String::as_str);
    let mut text = config(&dir);
    let mut portent = Portent::start(&text, &flags).await;
    portent.ready().await;
    portent.push("m_a", &["h"]).await;
    portent.page_with(SCORE, SOON).await;
    text.push_str(&item("other", &dir.path().join("model.onnx").display().to_string()));
    fs::write(portent.config_file(), &text).expect("written");
    portent.server.signal("HUP");
    portent.push("m_a", &["h"]).await;
    portent.page_with("anomaly_score{instance=\"h\",model=\"other\"} 300\n", SOON).await;
    let page = portent.page_with("attempts_total{outcome=\"done\"} 2", SOON).await;
    assert!(page.contains(SCORE), "{page}");
    portent.server.signal("TERM");
    assert!(portent.server.wait_for_end(SOON).await.success());

    let portent = Portent::start(&text, &flags).await;
    portent.ready().await;
    portent.push("m_a", &["h"]).await;
    let page = portent.page_with(SCORE, SOON).await;
    assert!(page.contains("attempts_total{outcome=\"done\"} 0"), "{page}");
}
