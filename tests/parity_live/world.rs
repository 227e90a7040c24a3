//! The programs: three node_exporters, one Prometheus that scrapes them every second, one Portent
//! with two models that it writes to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::live;
use crate::model;
use crate::support::{NodeExporter, Portent, Prometheus, wait_until};

/// How long before its own time a tick looks. A sample has so long to be in Portent: at most 0.5 s
/// for a scrape that times out and 0.2 s for its batch; the rest is for a busy machine.
pub const DELAY_MS: i64 = 2_000;

/// To a scrape every second what the default is to one every 10 s.
pub const STALE_AFTER_MS: i64 = 12_000;

/// The models: one whose errors are taken as they are, and one that smooths.
pub const MODELS: [&str; 2] = ["plain", "smooth"];

/// What is scraped is what features want: all of it would take a busy machine more than a second.
const COLLECTORS: [&str; 7] = [
    "--collector.disable-defaults",
    "--collector.cpu",
    "--collector.meminfo",
    "--collector.loadavg",
    "--collector.sockstat",
    "--collector.netdev",
    "--collector.stat",
];

/// Discovery reads files at once, but hands them on at most every 5 s, and scraping takes them over
/// at most every 5 s.
const DISCOVERY: Duration = Duration::from_secs(30);

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: &'static str,
    pub at_ms: i64,
}

/// A target: the place of its exporter, and its labels.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub exporter: usize,
    pub instance: &'static str,
    pub pod: &'static str,
}

/// What runs.
pub struct World {
    pub exporters: Vec<NodeExporter>,
    pub portent: Portent,
    pub prometheus: Prometheus,
    pub events: Vec<Event>,
    files: TempDir,
}

impl World {
    /// Starts all of it, with Portent there before the first sample is.
    pub async fn start(targets: &[Target]) -> Self {
        let files = TempDir::with_prefix("portent-parity-").expect("a temporary folder");
        model::write(&model_file(files.path(), MODELS[0]), &[]);
        model::write(&model_file(files.path(), MODELS[1]), &[3.0]);
        let mut exporters = Vec::new();
        for _ in 0..3 {
            exporters.push(NodeExporter::start_with(&COLLECTORS).await);
        }
        write_targets(files.path(), &exporters, targets);
        let portent = Portent::start(&serve_config(files.path()), &[]).await;
        let began = Event { name: "start", at_ms: now_ms() };
        let prometheus = Prometheus::start(&scrape_config(files.path(), &portent), &[]).await;
        Self { exporters, portent, prometheus, events: vec![began], files }
    }

    /// Notes what happens now.
    pub fn event(&mut self, name: &'static str) {
        self.events.push(Event { name, at_ms: now_ms() });
    }

    /// Other targets, for discovery to find.
    pub fn set_targets(&self, targets: &[Target]) {
        write_targets(self.files.path(), &self.exporters, targets);
    }

    /// Waits until Prometheus scrapes, or no longer scrapes, a target.
    pub async fn until_scraped(&self, instance: &str, pod: &str, expected: bool) {
        let expr = format!(r#"up{{instance="{instance}", pod="{pod}"}} == 1"#);
        wait_until(DISCOVERY, &format!("{expr} to be {expected}"), async || {
            let found = self.prometheus.vector(&expr, None).await?;
            if found.is_empty() == expected { Err(format!("{found:?}")) } else { Ok(()) }
        })
        .await;
    }

    /// Waits until each of these has a score of each model, or none has.
    pub async fn until_scored(&self, instances: &[&str], expected: bool) {
        let limit = Duration::from_secs(30);
        wait_until(limit, &format!("scores of {instances:?} to be {expected}"), async || {
            let page = live::parse(&self.portent.get("/metrics").await?.body);
            let is = |model: &&str, instance: &&str| {
                page.get(*model).is_some_and(|(_, scores)| scores.contains_key(*instance))
            };
            let all = MODELS.iter().all(|m| instances.iter().all(|it| is(m, it) == expected));
            if all { Ok(()) } else { Err(format!("{page:?}")) }
        })
        .await;
    }

    /// Waits for a moment at which all that was scraped has been sent, and the next scrape is near.
    /// What Prometheus still has when it is paused comes too late to be scored live, and history
    /// has it all the same: no program can know better, so the test does not ask for it.
    pub async fn until_all_is_sent(&self) {
        let scraped = self.prometheus.wait_for_vector(DISCOVERY, "timestamp(node_load1)").await;
        let ms = |element: &crate::support::Element| (element.value * 1000.0).round() as i64;
        let mut phases: Vec<i64> = scraped.iter().map(|it| ms(it).rem_euclid(1000)).collect();
        phases.sort_unstable();
        phases.push(phases[0] + 1000);
        let gaps = phases.windows(2).map(|pair| (pair[1] - pair[0], pair[1]));
        let (_, next) = gaps.max().expect("a scrape");
        // What it takes to send the signal, and a little more.
        let wait_ms = (next - 60 - now_ms()).rem_euclid(1000);
        tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
    }

    /// A model's file.
    pub fn model_file(&self, model: &str) -> PathBuf {
        model_file(self.files.path(), model)
    }

    /// Where a model's scores of history go.
    pub fn scores_file(&self, model: &str) -> PathBuf {
        self.files.path().join(format!("{model}.csv"))
    }
}

fn model_file(folder: &Path, model: &str) -> PathBuf {
    folder.join(format!("{model}.onnx"))
}

/// Written beside and renamed, as discovery may read at any time.
fn write_targets(folder: &Path, exporters: &[NodeExporter], targets: &[Target]) {
    let groups: Vec<serde_json::Value> = (targets.iter())
        .map(|target| {
            let address = exporters[target.exporter].address();
            let labels = serde_json::json!({"instance": target.instance, "pod": target.pod});
            serde_json::json!({"targets": [address], "labels": labels})
        })
        .collect();
    let new = folder.join("new");
    fs::write(&new, serde_json::Value::from(groups).to_string()).expect("a folder of the test");
    fs::rename(new, folder.join("targets.json")).expect("a folder of the test");
}

fn serve_config(folder: &Path) -> String {
    let models = MODELS.map(|name| {
        format!("- {{name: {name}, file: '{}'}}\n", model_file(folder, name).display())
    });
    format!(
        "global: {{evaluation_delay: {DELAY_MS}ms, stale_after: {STALE_AFTER_MS}ms}}\nmodels:\n{}",
        models.concat()
    )
}

/// A host whose name begins with b lacks what is filled for those that lack it.
fn scrape_config(folder: &Path, portent: &Portent) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 500ms}}\n\
         scrape_configs:\n\
         - job_name: node\n\
         \x20 file_sd_configs: [{{files: ['{}']}}]\n\
         \x20 metric_relabel_configs:\n\
         \x20 - {{source_labels: [__name__, instance], regex: 'node_load15;b.*', action: drop}}\n\
         remote_write:\n\
         - url: '{}'\n  queue_config: {{batch_send_deadline: 200ms}}\n",
        folder.join("targets.json").display(),
        portent.url("/api/v1/write")
    )
}

pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("a time in i64")
}
