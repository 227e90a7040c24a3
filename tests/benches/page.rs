//! The first scrape after a tick of the metrics page of ten thousand hosts (others have its scores for nothing), in CPU time of one thread: when a few are
//! explained, as on most days, and when all are, as when a fleet is in trouble.
//!
//! `make bench ARGS="--bench page"`.

use std::sync::Arc;

use portent::detect::{
    AnomalyState, EntityScore, Evaluation, FeatureScore, ModelSnapshot, Snapshot,
};
use portent::exporter::{Exporter, ExporterConfig, Format, render_scores};
use portent::features::{Provenance, profile};
use portent::labels::Labels;
use rustix::time::{ClockId, clock_gettime};

const NOW_MS: i64 = 1_700_000_000_000;
const HOSTS: usize = 10_000;
const SCRAPES: usize = 21;

fn main() {
    let exporter = Exporter::install().expect("the first one");
    println!("CPU time of one thread; a median of {SCRAPES} scrapes");
    // Warms up: the first page of a process finds memory that is not there yet.
    measure(&exporter, 100, 100);
    let few = measure(&exporter, HOSTS, 100);
    let all = measure(&exporter, HOSTS, 1);
    println!("a page that explains all of them costs {:.1} times as much", all / few);
}

/// Seconds of a page of so many hosts, of which each `nth` is explained.
fn measure(exporter: &Exporter, hosts: usize, nth: usize) -> f64 {
    let snapshot = snapshot(hosts, nth);
    let config = ExporterConfig::default();
    let mut bytes = 0;
    let mut seconds: Vec<f64> = (0..SCRAPES)
        .map(|_| {
            let before = clock_gettime(ClockId::ThreadCPUTime);
            let (scores, own) = render_scores(&snapshot, &[], &config, NOW_MS);
            bytes = scores.len() + exporter.own(&own, &[], Format::Text).len();
            let after = clock_gettime(ClockId::ThreadCPUTime);
            (after.tv_sec - before.tv_sec) as f64 + (after.tv_nsec - before.tv_nsec) as f64 / 1e9
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[SCRAPES / 2];
    println!(
        "{hosts} hosts, {} explained: {:.1} ms, {:.1} MB",
        hosts.div_ceil(nth),
        median * 1e3,
        bytes as f64 / 1e6,
    );
    median
}

fn snapshot(hosts: usize, nth: usize) -> Snapshot {
    let names: Arc<[String]> = profile().into_iter().map(|it| it.name).collect();
    let count = names.len() as u32;
    let feature = |host: usize, feature: u32| FeatureScore {
        feature,
        contribution: 1.0 / count as f32,
        actual: (host as f32 * 0.731 + feature as f32).sin(),
        expected: (host as f32 * 0.417 - feature as f32).cos(),
        provenance: Provenance::Own,
    };
    let entity = |host: usize| {
        let labels = [("job", "node".to_owned()), ("instance", format!("host-{host:05}:9100"))];
        EntityScore {
            entity: Labels::from_pairs(labels).expect("distinct names"),
            score: if host.is_multiple_of(nth) { 1.5 } else { 0.3 } + host as f64 * 1e-7,
            threshold: 1.0,
            state: AnomalyState::Normal,
            error: 0.7 + host as f64 * 1e-7,
            features: (0..count).map(|it| feature(host, it)).collect(),
            newest_ms: NOW_MS - host as i64 % 15_000,
        }
    };
    let model = ModelSnapshot {
        model: "node".to_owned(),
        time_ms: NOW_MS,
        interval_ms: 15_000,
        threshold: 1.8,
        feature_names: names,
        feature_selectors: Default::default(),
        explain_above: 0.8,
        entities: (0..hosts).map(entity).collect(),
        evaluation: Evaluation { scored: hosts, ..Evaluation::default() },
    };
    Snapshot { time_ms: NOW_MS, models: vec![Arc::new(model)], ..Snapshot::default() }
}
