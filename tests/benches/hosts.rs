//! The built-in profile over thousands of hosts, in CPU time of one thread, and beside it what a real
//! Prometheus spends on the same expressions over the same samples.
//!
//! `make bench ARGS="--bench hosts"`. Wants some gigabytes of memory and a real Prometheus (`make peers`).
//! Every tick sees a scrape of all hosts that the one before did not, as a running Portent does.

#[allow(dead_code)]
mod fleet;
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::time::Duration;

use fleet::{Fleet, shipped_model};
use ndarray::Array2;
use portent::detect::{DetectConfig, Detector, Pipeline, Played, Replay};
use portent::features::{
    EntityRecording, EntityState, FeatureSet, Features, PROFILE_ENTITY, Recording, profile,
};
use portent::labels::Labels;
use portent::model::ScorerError;
use portent::series::{StorageConfig, Store};
use process::{cpu_seconds, sent};
use rustix::time::{ClockId, clock_gettime};
use support::{Prometheus, RemoteWriter};

/// A whole number of intervals: the grid that ticks are on.
const START_MS: i64 = 1_699_999_995_000;
const INTERVAL_MS: i64 = 15_000;

/// Twelve minutes: the profile's longest lookback is whole.
const SCRAPES: i64 = 48;

/// Ticks that are measured after the first, which builds everything that lasts.
const TICKS: i64 = 19;

/// Twice the largest cache of most machines.
const ELSEWHERE_BYTES: usize = 64 << 20;

/// The hosts that Prometheus is asked about.
const COMPARED_HOSTS: usize = 1_000;

/// Evaluations of each expression by Prometheus.
const QUERIES: i64 = 5;

fn main() {
    println!("CPU time of one thread; a median of {TICKS} ticks; 15 s scrapes");
    replayed();
    let small = tick(1_000);
    let large = tick(10_000);
    println!("10 times the hosts cost {:.1} times the CPU time", large / small);
    let (small, large) = (whole_tick(1_000), whole_tick(10_000));
    println!("with scores 10 times the hosts cost {:.1} times the CPU time", large / small);
    let theirs = prometheus();
    println!(
        "prometheus: {:.0} ms for the same expressions over {COMPARED_HOSTS} hosts by its API, {:.1} times as much",
        theirs * 1e3,
        theirs / small
    );
}

/// Seconds of a tick.
fn tick(hosts: usize) -> f64 {
    let mut fleet = Fleet::new(hosts);
    let mut store = Store::new(StorageConfig {
        max_series: usize::MAX,
        max_new_series_per_second: usize::MAX,
        ..Default::default()
    });
    let features = Features::parse(&profile(), &PROFILE_ENTITY.map(str::to_owned));
    let mut set = features.expect("the profile").maskable(true).bind(&mut store);
    for n in 0..SCRAPES {
        append(&mut store, &fleet, n);
    }
    let stats = store.stats();
    let before = resident_bytes();
    let first = timed(|| evaluate(&mut set, &store, SCRAPES - 1, hosts));
    let plan = resident_bytes().saturating_sub(before);
    let mut elsewhere = vec![0u64; ELSEWHERE_BYTES / size_of::<u64>()];
    let ticks = sorted((SCRAPES..SCRAPES + TICKS).map(|n| {
        append(&mut store, &fleet, n);
        empty_caches(&mut elsewhere);
        timed(|| evaluate(&mut set, &store, n, hosts))
    }));
    let median = ticks[ticks.len() / 2];
    println!(
        "{hosts} hosts, {} series kept at {} B each: a tick {:.1} ms [{:.1}..{:.1}], the first {:.0} ms; \
         the plan and its results {} B a series",
        stats.series,
        stats.bytes / stats.series,
        median * 1e3,
        ticks[0] * 1e3,
        ticks[ticks.len() - 1] * 1e3,
        first * 1e3,
        plan / stats.series,
    );
    let renewed = sorted((0..TICKS).map(|host| {
        let n = SCRAPES + TICKS + host;
        fleet.renew(host as usize);
        append(&mut store, &fleet, n);
        empty_caches(&mut elsewhere);
        timed(|| evaluate(&mut set, &store, n, hosts + host as usize + 1))
    }));
    let renewed = renewed[renewed.len() / 2];
    println!("  with a new host in each: {:.1} ms", renewed * 1e3);
    median
}

/// Seconds of a tick of the pipeline: features, scores of the shipped model, and what is remembered of hosts.
fn whole_tick(hosts: usize) -> f64 {
    let fleet = Fleet::new(hosts);
    let config = DetectConfig {
        evaluation_interval: Some(portent::duration::Duration::from_ms(INTERVAL_MS)),
        stale_after: portent::duration::Duration::from_seconds(120),
        ..DetectConfig::default()
    };
    let storage = StorageConfig {
        max_series: usize::MAX,
        max_new_series_per_second: usize::MAX,
        ..Default::default()
    };
    let mut pipeline = Pipeline::new(config, storage, vec![shipped_model()]).expect("valid");
    let mut elsewhere = vec![0u64; ELSEWHERE_BYTES / size_of::<u64>()];
    let mut tick = |n: i64| {
        let now = START_MS + n * INTERVAL_MS;
        pipeline.append(now, &fleet.scrape(START_MS, n));
        empty_caches(&mut elsewhere);
        let mut scored = 0;
        let seconds = timed(|| {
            let snapshot = pipeline.tick(now, &|| Duration::ZERO);
            scored = snapshot.models.first().map_or(0, |model| model.entities.len());
        });
        (seconds, scored)
    };
    for n in 0..SCRAPES {
        tick(n);
    }
    let ticks = sorted((SCRAPES..SCRAPES + TICKS).map(|n| {
        let (seconds, scored) = tick(n);
        assert_eq!(scored, hosts);
        seconds
    }));
    let median = ticks[ticks.len() / 2];
    println!(
        "{hosts} hosts with scores: a tick {:.1} ms [{:.1}..{:.1}]",
        median * 1e3,
        ticks[0] * 1e3,
        ticks[ticks.len() - 1] * 1e3,
    );
    median
}

/// What it costs to learn hosts' past from a Prometheus, beside what the server spends on it: `history.warm_start`.
fn replayed() {
    const HOSTS: usize = 100;
    const STEPS: usize = 960;
    let (model, config) = (shipped_model(), DetectConfig::default());
    let features = model.metadata.features.len();
    let value = |host: usize, step: usize, feature: usize| {
        ((host * 31 + step * 7 + feature * 13) % 101) as f32 / 101.0
    };
    let entity = |host: usize| {
        let instance = format!("host-{host:05}:9100");
        let labels = Labels::from_pairs([("job", "node"), ("instance", &instance)]);
        let values = Array2::from_shape_fn((STEPS, features), |(step, it)| value(host, step, it));
        EntityRecording::new(labels.expect("two names"), values)
    };
    let times_ms = (0..STEPS as i64).map(|step| START_MS + step * INTERVAL_MS).collect();
    let entities = (0..HOSTS).map(entity).collect();
    let recording = Recording::new(times_ms, INTERVAL_MS, vec![true; features], entities);
    let metadata = &model.metadata;
    let mut detector = Detector::new(metadata, model.scorer, INTERVAL_MS, &config);
    let played = Played {
        features: &metadata.features,
        entity: &metadata.entity,
        can_mask: detector.takes_mask(),
        weightless: &metadata.weightless,
    };
    let columns = (0..features).map(Some).collect();
    let (mut scores, before) = (0, cpu_seconds(std::process::id()));
    let replay = Replay::new(&recording, played, columns, &config);
    let played = replay.judge(&mut detector, |_, detection| {
        scores += detection?.scores.len();
        Ok::<(), ScorerError>(())
    });
    played.expect("a graph that runs");
    let seconds = cpu_seconds(std::process::id()) - before;
    assert!(scores > HOSTS * STEPS / 2, "{scores} scores");
    println!(
        "replayed: {:.0} us for a step of a host, {:.2} s for four hours of {HOSTS} hosts",
        seconds * 1e6 / (HOSTS * STEPS) as f64,
        seconds
    );
}

/// A tick comes 15 s after the one before; what a few hosts have left in the processor's caches is
/// gone by then, as what many hosts leave is anyway.
fn empty_caches(elsewhere: &mut [u64]) {
    elsewhere.iter_mut().for_each(|word| *word += 1);
    std::hint::black_box(elsewhere);
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times
}

fn append(store: &mut Store, fleet: &Fleet, n: i64) {
    let outcome = store.append(START_MS + n * INTERVAL_MS, &fleet.scrape(START_MS, n));
    assert_eq!(outcome.rejected(), 0, "{outcome:?}");
}

fn evaluate(set: &mut FeatureSet, store: &Store, n: i64, slots: usize) {
    let matrix = set.eval(store, START_MS + n * INTERVAL_MS, 120_000);
    assert_eq!(matrix.slots(), slots);
    let complete = (0..slots).filter(|slot| matrix.state(*slot) == EntityState::Complete).count();
    assert!(complete > slots / 2, "{complete} of {slots} hosts are complete");
}

fn timed(run: impl FnOnce()) -> f64 {
    let before = clock_gettime(ClockId::ThreadCPUTime);
    run();
    let after = clock_gettime(ClockId::ThreadCPUTime);
    (after.tv_sec - before.tv_sec) as f64 + (after.tv_nsec - before.tv_nsec) as f64 / 1e9
}

fn resident_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * rustix::param::page_size()
}

/// Seconds that Prometheus spends on one evaluation of every expression of the profile.
fn prometheus() -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let prometheus = Prometheus::start("global: {}\n", &[]).await;
        let writer = RemoteWriter::new(prometheus.url("/api/v1/write"));
        let fleet = Fleet::new(COMPARED_HOSTS);
        for n in 0..SCRAPES {
            for part in fleet.scrape(START_MS, n).series.chunks(10_000) {
                let reply = writer.send(&part.iter().map(sent).collect::<Vec<_>>()).await;
                assert_eq!(reply.status, 204, "{}", reply.body);
            }
        }
        // What came with ingestion shall be over.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = cpu_seconds(prometheus.server().id());
        for n in 0..QUERIES {
            let time_ms = START_MS + (SCRAPES - 1) * INTERVAL_MS - n;
            for spec in profile() {
                let answer = prometheus.query(&spec.expr, Some(time_ms)).await;
                answer.unwrap_or_else(|error| panic!("{}: {error}", spec.expr));
            }
        }
        (cpu_seconds(prometheus.server().id()) - before) / QUERIES as f64
    })
}
