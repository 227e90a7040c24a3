//! What a tick costs: the built-in profile over fleets of made-up hosts.
//!
//! `cargo bench --bench tick`. One thread; the store holds twelve minutes at 15 s scrapes.

#[allow(dead_code)]
mod fleet;

use std::cell::Cell;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleet::{Fleet, shipped_model};
use portent::detect::{DetectConfig, MemoryCursor, Pipeline};
use portent::duration::Duration;
use portent::features::{Features, PROFILE_ENTITY, profile};
use portent::series::{StorageConfig, Store};

const START_MS: i64 = 1_700_000_000_000;
const SCRAPES: i64 = 48;

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for hosts in [100, 1_000] {
        let fleet = Fleet::new(hosts);
        let features = Features::parse(&profile(), &PROFILE_ENTITY.map(str::to_owned));
        // The whole fleet begins at once.
        let max_new_series_per_second = usize::MAX;
        let storage = StorageConfig { max_new_series_per_second, ..StorageConfig::default() };
        let mut store = Store::new(storage);
        let _set = features.expect("the profile").bind(&mut store);
        group.throughput(Throughput::Elements(fleet.series() as u64));
        // Beside the closure, which runs more than once: time does not go back.
        let round = Cell::new(0);
        group.bench_function(BenchmarkId::new("known_series", fleet.series()), |bencher| {
            bencher.iter_batched(
                || {
                    round.set(round.get() + 1);
                    fleet.scrape(START_MS, round.get())
                },
                |batch| {
                    let outcome = store.append(START_MS + round.get() * 15_000, &batch);
                    assert_eq!(outcome.rejected(), 0, "{outcome:?}");
                },
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn evaluate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("features");
    group.sample_size(10);
    for hosts in [100, 1_000] {
        let fleet = Fleet::new(hosts);
        let features = Features::parse(&profile(), &PROFILE_ENTITY.map(str::to_owned));
        let mut store = Store::new(StorageConfig::default());
        let mut set = features.expect("the profile").bind(&mut store);
        for n in 0..SCRAPES {
            store.append(START_MS + n * 15_000, &fleet.scrape(START_MS, n));
        }
        let now = START_MS + (SCRAPES - 1) * 15_000;
        group.throughput(Throughput::Elements(fleet.hosts() as u64));
        group.bench_function(BenchmarkId::new("profile", hosts), |bencher| {
            bencher.iter(|| {
                let matrix = set.eval(&store, now, 120_000);
                assert_eq!(matrix.slots(), hosts);
            });
        });
    }
    group.finish();
}

/// Features, scores and contributions with the shipped model, as `serve` does at every tick.
fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick");
    group.sample_size(10);
    for hosts in [100, 1_000] {
        let fleet = Fleet::new(hosts);
        // A tick each millisecond, so that every round has its own over the same samples.
        let config = DetectConfig {
            evaluation_interval: Some(Duration::from_ms(1)),
            stale_after: Duration::from_seconds(240),
            ..DetectConfig::default()
        };
        let mut pipeline =
            Pipeline::new(config, StorageConfig::default(), vec![shipped_model()]).expect("valid");
        for n in 0..SCRAPES {
            pipeline.append(START_MS + n * 15_000, &fleet.scrape(START_MS, n));
        }
        let start = Instant::now();
        let mut now = START_MS + (SCRAPES - 1) * 15_000;
        group.throughput(Throughput::Elements(fleet.hosts() as u64));
        group.bench_function(BenchmarkId::new("shipped_model", hosts), |bencher| {
            bencher.iter(|| {
                now += 1;
                let snapshot = pipeline.tick(now, &|| start.elapsed());
                assert_eq!(snapshot.models[0].entities.len(), hosts);
            });
        });
    }
    group.finish();
}

/// What it costs the pipeline's thread to hand out what it remembers, and what one that begins takes to go
/// on with it. A tick or a push waits for one piece at most.
fn remember(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("remember");
    group.sample_size(10);
    for hosts in [100, 1_000] {
        let fleet = Fleet::new(hosts);
        let new = || {
            let config = DetectConfig::default();
            Pipeline::new(config, StorageConfig::default(), vec![shipped_model()]).expect("valid")
        };
        let mut pipeline = new();
        for n in 0..SCRAPES {
            let now = START_MS - START_MS.rem_euclid(15_000) + n * 15_000;
            pipeline.append(now, &fleet.scrape(START_MS, n));
            pipeline.tick(now, &|| std::time::Duration::ZERO);
        }
        let mut longest = std::time::Duration::ZERO;
        let mut pages = || {
            let (mut pages, mut next) = (Vec::new(), Some(MemoryCursor::default()));
            while let Some(at) = next {
                let begun = Instant::now();
                let (page, after) = pipeline.memory_page(at);
                longest = longest.max(begun.elapsed());
                pages.push(page);
                next = after;
            }
            pages
        };
        group.throughput(Throughput::Elements(fleet.hosts() as u64));
        group.bench_function(BenchmarkId::new("hand_out", hosts), |bencher| {
            bencher.iter(&mut pages)
        });
        let all = pages();
        println!("{hosts} hosts: {} pieces, the longest took {longest:?}", all.len());
        group.bench_function(BenchmarkId::new("go_on", hosts), |bencher| {
            bencher.iter_batched(
                new,
                |mut pipeline| {
                    let restored = |page| pipeline.restore(START_MS + SCRAPES * 15_000, page);
                    let entities: u64 = all.iter().map(restored).map(|it| it.entities).sum();
                    assert_eq!(entities, hosts as u64);
                    pipeline
                },
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, append, evaluate, whole, remember);
criterion_main!(benches);
