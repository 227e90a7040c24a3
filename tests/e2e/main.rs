//! The whole path with real programs: a real Prometheus scrapes a real node_exporter, Portent is
//! trained on that history, scores the host from what Prometheus pushes, and Prometheus has the
//! score back. Under real pressure the score tells, names the cause, and people are told once; without
//! samples there is no score.
//!
//! One test of five minutes and alone in its binary: other tests of the same binary would be part
//! of the load. Whatever else runs on the machine meanwhile is in the training data too; what begins
//! later makes the host busier than Portent knows it, and it is right to say so: then nobody can ask for
//! calm, and the alert has to end with the host.

#[path = "../support/mod.rs"]
mod support;

mod load;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use load::Load;
use support::{
    Alerting, Element, NodeExporter, Portent, Prometheus, Webhook, post, repository, run_portent,
    wait_until,
};

/// How long everyday work is recorded for training.
const RECORDING: Duration = Duration::from_secs(120);

/// The longest range of the features: at the start of the recording they are not whole.
const WARM_UP_MS: i64 = 16_000;

/// As in features.yml.
const STALE_AFTER: Duration = Duration::from_secs(20);

/// As in features.yml: batches leave every second.
const EVALUATION_DELAY: Duration = Duration::from_secs(2);

/// The delay of evaluation, and a tick, a scrape and two batches on their way, each a second, on a
/// machine that is busy.
const SLACK: Duration = EVALUATION_DELAY.saturating_add(Duration::from_secs(12));

/// How long the score has to be too high before an alert, and how long it is one after that: on a busy
/// machine one trouble shall be one.
const PATIENCE: &str = "20s";

/// How long it may take for the score to be what it should be, on a machine that is busy with other
/// things, too: then what is everyday work comes and goes.
const LIMIT: Duration = Duration::from_secs(180);

/// The median score of the last ten seconds, as Prometheus has scraped it.
const SCORE: &str = r#"quantile_over_time(0.5, anomaly_score{job="node", model="e2e"}[10s])"#;

/// The share of the host's CPUs that is taken.
const TAKEN: &str = r#"1 - avg(rate(node_cpu_seconds_total{job="node", mode="idle"}[15s]))"#;

/// The example's alert on a host.
const ALERT: &str = "HostAnomalous";

/// Portent's own alert on a host, which tells the same Alertmanager and a webhook without Prometheus.
const OWN_ALERT: &str = "PortentHostAnomalous";

#[tokio::test]
async fn pressure_on_a_host_is_scored_and_scraped_back() {
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk");
    let node_exporter = NodeExporter::start().await;
    // Portent is there from the start: what pushing and scoring cost the host is normal, too.
    let portent = Portent::start(&serve_config("node", None), &["--web.enable-lifecycle"]).await;
    let (alerting, direct) = (Alerting::start(PATIENCE).await, Webhook::start().await);
    let config = scrape_config(&node_exporter, &portent, &alerting);
    let prometheus = Prometheus::start(&config, &[]).await;
    let mut everyday = Load::everyday(disk.path());

    let model = disk.path().join("model.onnx");
    let Usual { taken: usual, score: largest } = record_and_train(&prometheus, &model).await;
    let mark = disk.path().join("mark");
    let config =
        serve_config("e2e", Some(&model)) + &own_alerts(&alerting, &direct) + &own_actions(&mark);
    std::fs::write(portent.config_file(), config).expect("its file");
    let reloaded = post(&portent.url("/-/reload")).await.expect("portent answers");
    assert_eq!(reloaded.status, 200, "{}", reloaded.body);

    let quiet = score_becomes(&prometheus, "quiet", |score| score < 1.0).await;
    // What training and the reload cost this machine may have been an alert, which has to end by itself.
    let told = wait_until(LIMIT, "earlier alerts to be taken back", async || {
        let told = alerting.webhook.notified(ALERT, "firing").len();
        own_alert_is_over([&alerting.webhook, &direct])?;
        taken_back(&alerting, told).map(|()| told)
    })
    .await;
    let own = [&alerting.webhook, &direct].map(|it| it.notified(OWN_ALERT, "firing").len());
    let pressure_since = Instant::now();
    let mut pressure = Load::pressure(disk.path());
    // Beside what everyday work gave all along: the first quiet moment may be on the way to a quieter one.
    let is_loud = |score| score > 1.0 && score > 3.0 * largest;
    let loud = score_becomes(&prometheus, "well above what it was in training", is_loud).await;
    println!(
        "score up to {largest:.2} in training, {quiet:.2} quiet, {loud:.2} after {:?} of pressure",
        pressure_since.elapsed()
    );
    names_cpu_or_disk(&prometheus).await;
    let told = people_are_told(&alerting, told).await;
    portent_tells_itself([&alerting.webhook, &direct], own).await;
    portent_acts(&portent, &mark).await;
    pressure.must_run();
    drop(pressure);

    calm_ends_the_alert(&prometheus, &alerting, told, usual).await;
    everyday.must_run();

    every_sample_arrived(&prometheus).await;
    score_ends_with_the_host(node_exporter, &portent, &prometheus).await;
    wait_until(LIMIT, "the alert to end with the host", async || taken_back(&alerting, told)).await;
    wait_until(LIMIT, "Portent's own alert to end", async || {
        own_alert_is_over([&alerting.webhook, &direct])
    })
    .await;
    assert_eq!(std::fs::read_to_string(&mark).expect("it is marked"), "done\n", "once");
}

/// What everyday work was in the recording.
struct Usual {
    /// The largest share of the CPUs that it took.
    taken: f64,
    /// The largest score.
    score: f64,
}

/// Gathers everyday work at one scrape a second and trains on it.
async fn record_and_train(prometheus: &Prometheus, model: &Path) -> Usual {
    prometheus.wait_for_vector(Duration::from_secs(30), "node_load1").await;
    let start_ms = now_ms() + WARM_UP_MS;
    // Being watched is part of the host's normal, too: queries cost CPU time, switches and traffic.
    let recording = Instant::now();
    while recording.elapsed() < RECORDING {
        let _ = watch(prometheus).await;
    }
    let largest = format!("max_over_time(({TAKEN})[{}s:1s])", RECORDING.as_secs() - 20);
    let taken = prometheus.vector(&largest, None).await.expect("an answer")[0].value;
    let features = repository().join("tests/e2e/features.yml");
    let output = run_portent(&[
        "train",
        &format!("--config.file={}", features.display()),
        &format!("--prometheus.url={}", prometheus.url("")),
        &format!("--start={}", start_ms / 1000),
        &format!("--end={}", now_ms() / 1000),
        "--step=1s",
        &format!("--output={}", model.display()),
    ]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "train: {}\n{stdout}\n{stderr}", output.status);
    assert!(model.is_file(), "train wrote no model\n{stdout}\n{stderr}");
    println!("{stdout}");
    // As in "scores  0.00 % of 92 scores above the threshold, largest 0.500".
    let scores = stdout.lines().find(|line| line.starts_with("scores "));
    let largest = scores.and_then(|line| line.rsplit_once("largest ")).map(|(_, value)| value);
    let score = largest.and_then(|it| it.parse().ok()).expect("train says the largest score");
    Usual { taken, score }
}

/// The model file holds everything else; without one it is the shipped model.
fn serve_config(name: &str, model: Option<&Path>) -> String {
    let file = model.map_or(String::new(), |path| format!(", file: '{}'", path.display()));
    format!(
        "global: {{evaluation_interval: 1s, evaluation_delay: {}s, stale_after: {}s}}\n\
         models: [{{name: {name}{file}}}]\n",
        EVALUATION_DELAY.as_secs(),
        STALE_AFTER.as_secs(),
    )
}

/// A rule of Portent's own, and who is told. By its job it is a group of its own to the example's Alertmanager,
/// which sends all of a group again when one more joins it.
fn own_alerts(alerting: &Alerting, direct: &Webhook) -> String {
    format!(
        "alerting:\n  gone_after: 5s\n  rules: [{{alert: {OWN_ALERT}, for: {PATIENCE}, keep_firing_for: \
         {PATIENCE}, labels: {{severity: ticket, job: own}}}}]\n\
         notify:\n  resend_delay: 2s\n  receivers: [{{name: team, alertmanager_configs: [{{url: 'http://{}'}}], \
         webhook_configs: [{{url: '{}'}}]}}]\n",
        alerting.alertmanager.address(),
        direct.url()
    )
}

/// What is done when Portent's own alert fires: something that is only told, and a line in a file, once. While
/// that is looked at nothing else is done about the host, so it comes last.
fn own_actions(mark: &Path) -> String {
    let mark = mark.display();
    format!(
        "actions:\n  enabled: true\n  list:\n  \
         - {{name: restart, alerts: [{OWN_ALERT}], command: [/usr/bin/systemctl, restart, node_exporter.service]}}\n  \
         - {{name: mark, alerts: [{OWN_ALERT}], dry_run: false, per_entity_interval: 1h, environment: {{MARK: \
         '{mark}'}}, command: [/bin/sh, -c, 'echo done >> \"$MARK\"']}}\n"
    )
}

/// One scrape a second of the host and of Portent, pushes to it, and the example's alerts.
fn scrape_config(node_exporter: &NodeExporter, portent: &Portent, alerting: &Alerting) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         {}\
         scrape_configs:\n\
         - {{job_name: node, static_configs: [{{targets: ['{}']}}]}}\n\
         - {{job_name: portent, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}\n\
         remote_write:\n\
         - url: '{}'\n  queue_config: {{batch_send_deadline: 1s}}\n",
        alerting.section(),
        node_exporter.address(),
        portent.address(),
        portent.url("/api/v1/write")
    )
}

/// Waits until the host's median score is as it should be, and returns it.
async fn score_becomes(prometheus: &Prometheus, what: &str, is_so: impl Fn(f64) -> bool) -> f64 {
    wait_until(LIMIT, &format!("the score to be {what}"), async || {
        let seen = watch(prometheus).await?;
        match (&seen.scores[..], &seen.counts[..]) {
            // Five of ten: a median of one sample says nothing, and scrapes of a busy machine fail.
            ([score], [count]) if count.value >= 5.0 && is_so(score.value) => Ok(score.value),
            _ => Err(format!("{seen:?}")),
        }
    })
    .await
}

/// What Prometheus knows of the host's score.
#[derive(Debug)]
struct Seen {
    scores: Vec<Element>,
    /// How many samples the median is of.
    counts: Vec<Element>,
    /// The largest contributions now, by feature.
    causes: Vec<(String, f64)>,
    /// The least share of the CPUs that was taken in the last minute.
    taken: Vec<Element>,
}

/// Looks at the score about once a second, and always at the same: one more question is more work than Portent
/// knows of this host.
async fn watch(prometheus: &Prometheus) -> Result<Seen, String> {
    tokio::time::sleep(Duration::from_millis(900)).await;
    let count = SCORE.replace("quantile_over_time(0.5, ", "count_over_time(");
    let largest = r#"topk(3, anomaly_feature_contribution{job="node", model="e2e"})"#;
    let causes = prometheus.vector(largest, None).await?;
    let least = format!("min_over_time(({TAKEN})[60s:1s])");
    Ok(Seen {
        taken: prometheus.vector(&least, None).await?,
        scores: prometheus.vector(SCORE, None).await?,
        counts: prometheus.vector(&count, None).await?,
        causes: causes.iter().map(|e| (e.labels["feature"].clone(), e.value)).collect(),
    })
}

/// Among the three largest shares of the error is one of a CPU's or a disk's features.
async fn names_cpu_or_disk(prometheus: &Prometheus) {
    let causes = watch(prometheus).await.expect("an answer").causes;
    println!("largest contributions: {causes:?}");
    let names = |what: &str| causes.iter().any(|(feature, _)| feature.starts_with(what));
    assert!(names("cpu_") || names("disk_"), "{causes:?}");
}

/// The example's alert on the host reaches people, with the features behind the score; gives how many
/// messages they have by then.
async fn people_are_told(alerting: &Alerting, before: usize) -> usize {
    let told = wait_until(LIMIT, "people to be told of the host", async || {
        let told = alerting.webhook.notified(ALERT, "firing");
        if told.len() > before { Ok(told) } else { Err(format!("{told:?}")) }
    })
    .await;
    let last = &told[told.len() - 1]["annotations"];
    println!("people are told: {:#}", last);
    let text = last["description"].as_str().expect("a description");
    assert!(text.contains(" of the error, measured ") && text.contains(", expected "), "{text}");
    assert_eq!(told.len(), before + 1, "one trouble is one message: {told:#?}");
    told.len()
}

/// Portent's own alert reaches people by way of Alertmanager and directly, once each, with the same words.
async fn portent_tells_itself(webhooks: [&Webhook; 2], before: [usize; 2]) {
    let told = wait_until(LIMIT, "Portent to tell people itself", async || {
        let told = webhooks.map(|it| it.notified(OWN_ALERT, "firing"));
        let is_told = told.iter().zip(before).all(|(told, before)| told.len() > before);
        if is_told { Ok(told) } else { Err(format!("{told:#?}")) }
    })
    .await;
    let [by_alertmanager, directly] = &told;
    let description =
        |it: &Vec<serde_json::Value>| it[it.len() - 1]["annotations"]["description"].clone();
    let text = description(directly);
    println!("Portent says: {text}");
    let text = text.as_str().expect("a description");
    assert!(text.starts_with("Unusual are ") && text.contains("% of the error"), "{text}");
    assert!(text.contains("cpu_") || text.contains("disk_"), "{text}");
    let words = description(by_alertmanager);
    assert!(words.as_str().is_some_and(|it| it.starts_with("Unusual are ")), "{words}");
    let counts = told.map(|it| it.len());
    assert_eq!(counts, before.map(|it| it + 1), "one trouble is one message to each");
}

/// What was to be done is done, and what was to be told is told.
async fn portent_acts(portent: &Portent, mark: &Path) {
    wait_until(LIMIT, "the actions", async || {
        let body = portent.get("/api/v1/actions").await?.body;
        let answer: serde_json::Value = serde_json::from_str(&body).map_err(|e| e.to_string())?;
        let recent = answer["data"]["recent"].as_array().cloned().unwrap_or_default();
        let has = |action: &str, outcome: &str| {
            recent.iter().any(|it| it["action"] == action && it["outcome"] == outcome)
        };
        let all = has("mark", "succeeded") && has("restart", "dry_run");
        if all { Ok(()) } else { Err(body) }
    })
    .await;
    assert_eq!(std::fs::read_to_string(mark).expect("it is marked"), "done\n");
}

/// When the host is calm again, so is its score, and the alert is taken back; there was no second message in
/// between. Unless all the time something else takes more of the CPUs than was usual in the recording: then
/// the host is not calm.
async fn calm_ends_the_alert(
    prometheus: &Prometheus,
    alerting: &Alerting,
    told: usize,
    usual: f64,
) {
    let since = Instant::now();
    let is_calm = wait_until(2 * LIMIT, "the score and the alert to be calm", async || {
        let seen = watch(prometheus).await?;
        let is_quiet = seen.scores.first().is_some_and(|score| score.value < 1.0);
        if is_quiet && taken_back(alerting, told).is_ok() {
            return Ok(true);
        }
        match &seen.taken[..] {
            [taken] if since.elapsed() > LIMIT && taken.value > usual => Ok(false),
            _ => Err(format!("{seen:?}, of the CPUs usually up to {usual} is taken")),
        }
    })
    .await;
    println!("calm again: {is_calm}");
    if is_calm {
        let firing = alerting.webhook.notified(ALERT, "firing");
        assert_eq!(firing.len(), told, "one trouble is one message: {firing:#?}");
    }
}

/// Whether the alert has been taken back as often as it was sent.
fn taken_back(alerting: &Alerting, told: usize) -> Result<(), String> {
    let resolved = alerting.webhook.notified(ALERT, "resolved");
    if resolved.len() >= told { Ok(()) } else { Err(format!("{resolved:?}")) }
}

/// Prometheus itself counts what Portent refused: nothing.
async fn every_sample_arrived(prometheus: &Prometheus) {
    let text = prometheus.get("/metrics").await.expect("its own metrics").body;
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        let values = lines.filter_map(|line| line.split_whitespace().last());
        values.map(|value| value.parse::<f64>().expect("a number")).sum()
    };
    assert!(sum("prometheus_remote_storage_samples_total") > 10_000.0);
    assert_eq!(sum("prometheus_remote_storage_samples_failed_total"), 0.0);
    assert_eq!(sum("prometheus_remote_storage_samples_dropped_total"), 0.0);
}

/// Without samples there is no score: neither in Portent nor, from its next scrape on, in Prometheus.
async fn score_ends_with_the_host(
    node_exporter: NodeExporter,
    portent: &Portent,
    prometheus: &Prometheus,
) {
    let is_scored = async || {
        let page = portent.get("/metrics").await.expect("portent answers").body;
        page.lines().any(|line| line.starts_with("anomaly_score{"))
    };
    assert!(is_scored().await, "there is a score as long as there are samples");
    drop(node_exporter);
    // The stale markers of the failed scrape end it, well before the limit on age would.
    assert!(SLACK < STALE_AFTER);
    wait_until(SLACK, "portent to end the score", async || {
        if is_scored().await { Err("it is still there".to_owned()) } else { Ok(()) }
    })
    .await;
    wait_until(SLACK, "prometheus to see the end of the score", async || {
        match &prometheus.vector("anomaly_score", None).await?[..] {
            [] => Ok(()),
            scores => Err(format!("{scores:?}")),
        }
    })
    .await;
    let ready = prometheus.vector(r#"up{job="portent"}"#, None).await.expect("up");
    assert_eq!(ready[0].value, 1.0, "portent itself is well");
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("a time in i64")
}

/// Whether Portent's own alert has ended for everybody as often as it began.
fn own_alert_is_over(webhooks: [&Webhook; 2]) -> Result<(), String> {
    let counts = webhooks
        .map(|it| ["firing", "resolved"].map(|status| it.notified(OWN_ALERT, status).len()));
    let is_over = counts.iter().all(|[firing, resolved]| firing == resolved);
    if is_over { Ok(()) } else { Err(format!("{counts:?}")) }
}
