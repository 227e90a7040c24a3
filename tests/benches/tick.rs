//! What a tick costs: the built-in profile over fleets of made-up hosts.
//!
//! `cargo bench --bench tick`. One thread; the store holds twelve minutes at 15 s scrapes.

mod fleet;

use std::cell::Cell;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleet::Fleet;
use portent::features::{Features, PROFILE_ENTITY, profile};
use portent::series::{StorageConfig, Store};

const START_MS: i64 = 1_700_000_000_000;
const SCRAPES: i64 = 48;

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for hosts in [100, 1_000] {
        let fleet = Fleet::new(hosts);
        let features = Features::parse(&profile(), &PROFILE_ENTITY.map(str::to_owned));
        let mut store = Store::new(StorageConfig::default());
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

criterion_group!(benches, append, evaluate);
criterion_main!(benches);
