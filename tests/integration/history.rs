//! History asked of real servers: what is asked beside the query does no harm, and answers are whole.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Peers, Prometheus, RemoteWriter, Series, get, wait_until};
use portent::features::{FeatureSpec, Recording};
use portent::history::{
    Exclusions, History, HistoryConfig, HistoryError, HistoryQuery, Range, RangeQuery, Source, read,
};
use tempfile::TempDir;

const STEP_MS: i64 = 15_000;
const STEPS: i64 = 40;
const LIMIT: Duration = Duration::from_secs(30);

/// A VictoriaMetrics with an empty database of its own.
struct VictoriaMetrics {
    child: Child,
    url: String,
    _dir: TempDir,
}

impl VictoriaMetrics {
    async fn start() -> Self {
        let dir = TempDir::with_prefix("portent-victoria-").expect("a temporary folder");
        let path = dir.path().join("log");
        let child = Command::new(Peers::victoria_metrics())
            .args(["-httpListenAddr=127.0.0.1:0", "-retentionPeriod=1d", "-storageDataPath"])
            .arg(dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&path).expect("a log"))
            .spawn()
            .expect("victoria-metrics runs");
        let mut server = Self { child, url: String::new(), _dir: dir };
        server.url = wait_until(LIMIT, "VictoriaMetrics to say where it is", async || {
            let log = fs::read_to_string(&path).unwrap_or_default();
            let line = log.lines().find_map(|it| it.split_once("started server at "));
            line.map(|(_, url)| url.trim_end_matches('/').to_owned()).ok_or(log)
        })
        .await;
        server
    }
}

impl Drop for VictoriaMetrics {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first step: long enough ago that all samples lie before now.
fn start_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    (now.as_millis() as i64 / STEP_MS - STEPS - 4) * STEP_MS
}

/// Two hosts with a gauge.
async fn fill(url: &str, start_ms: i64) {
    let series = |instance: &str, factor: f64| {
        let samples: Vec<(i64, f64)> =
            (0..STEPS).map(|step| (start_ms + step * STEP_MS, factor * step as f64)).collect();
        let labels = [("__name__", "disk_used"), ("job", "node"), ("instance", instance)];
        Series::new(&labels, &samples)
    };
    let writer = RemoteWriter::new(format!("{url}/api/v1/write"));
    let reply = writer.send(&[series("a", 1.0), series("b", -1.0)]).await;
    assert!(reply.status < 300, "{reply:?}");
}

/// What is there, as training reads it.
async fn history(url: &str, start_ms: i64, exprs: &[&str]) -> Result<History, HistoryError> {
    let query = HistoryQuery {
        source: Source::Server(RangeQuery {
            url: url.to_owned(),
            ranges: vec![Range { start_ms, end_ms: start_ms + (STEPS - 1) * STEP_MS }],
            step: portent::duration::Duration::from_ms(STEP_MS),
            delay: portent::duration::Duration::from_ms(0),
            resume: None,
        }),
        features: exprs.iter().map(|it| FeatureSpec::new(*it, *it)).collect(),
        entity: vec!["job".to_owned(), "instance".to_owned()],
        exclude: Exclusions::default(),
        config: HistoryConfig::default(),
        zone: None,
    };
    tokio::task::spawn_blocking(move || read(&query)).await.expect("no panic")
}

#[track_caller]
fn check(recording: &Recording) {
    let names: Vec<String> = recording.entities.iter().map(|it| it.labels.to_string()).collect();
    assert_eq!(names, [r#"{instance="a", job="node"}"#, r#"{instance="b", job="node"}"#]);
    for (entity, factor) in recording.entities.iter().zip([1.0, -1.0]) {
        let expected: Vec<f32> = (0..STEPS).map(|step| factor * step as f32).collect();
        assert_eq!(entity.values.column(0).to_vec(), expected, "{}", entity.labels);
    }
}

#[tokio::test]
async fn prometheus_answers_and_what_it_notes_is_no_partial_answer() {
    let prometheus = Prometheus::start("global: {}\n", &["--storage.tsdb.retention.time=1d"]).await;
    let (url, start_ms) = (prometheus.url(""), start_ms());
    fill(&url, start_ms).await;
    // A note on a gauge that is taken for a counter, and a warning of a quantile that is none.
    let [info, warning] =
        ["rate(disk_used[1m])", "quantile_over_time(2, disk_used[1m]) * 0 + disk_used"];
    let said = async |expr: &str| {
        let end = start_ms / 1_000 + 300;
        let expr = expr.replace('+', "%2B").replace(' ', "%20");
        let reply = get(&format!("{url}/api/v1/query?query={expr}&time={end}")).await;
        reply.expect("an answer").body
    };
    assert!(said(info).await.contains("PromQL info: metric might not be a counter"));
    assert!(said(warning).await.contains("PromQL warning: quantile value"));
    let history = history(&url, start_ms, &["disk_used", info, warning]).await;
    check(&history.expect("a history").recording);
}

/// A remote read that fails is a part that is missing, which Prometheus says in a warning alone.
#[tokio::test]
async fn prometheus_without_what_it_reads_elsewhere_is_partial() {
    let config = "global: {}\nremote_read: [{url: 'http://127.0.0.1:1/read', read_recent: true}]\n";
    let prometheus = Prometheus::start(config, &[]).await;
    let (url, start_ms) = (prometheus.url(""), start_ms());
    fill(&url, start_ms).await;
    let text = history(&url, start_ms, &["disk_used"]).await.expect_err("a part").to_string();
    assert!(text.contains("lacks what some stores have"), "{text}");
    assert!(text.contains("127.0.0.1:1"), "{text}");
}

#[tokio::test]
async fn victoria_metrics_answers_whole() {
    let server = VictoriaMetrics::start().await;
    let start_ms = start_ms();
    fill(&server.url, start_ms).await;
    // What is written can be read a little later.
    let found = wait_until(LIMIT, "VictoriaMetrics to have the samples", async || {
        let found = history(&server.url, start_ms, &["disk_used"]).await;
        let found = found.map_err(|error| error.to_string())?.recording;
        let is_there = found.entities.iter().all(|it| it.values.iter().all(|it| it.is_finite()));
        let count = found.entities.len();
        (is_there && count == 2).then_some(found).ok_or(format!("{count} entities"))
    })
    .await;
    check(&found);
}
