//! The profile's plan over a fleet in which hosts come and go: what follows births and evictions says
//! the same, to the bit, as what is made anew.

use proptest::prelude::*;

use super::profile;
use crate::labels::Labels;
use crate::promql::{Expr, Plan, Value};
use crate::sample::{Batch, BatchSeries, Sample};
use crate::series::{StorageConfig, Store};

/// What a host exports, as the profile has fallbacks for it.
const KINDS: [&[(&str, &str, &str)]; 3] = [
    &[
        ("node_memory_MemAvailable_bytes", "", ""),
        ("node_memory_MemTotal_bytes", "", ""),
        ("node_memory_SwapFree_bytes", "", ""),
        ("node_memory_SwapTotal_bytes", "", ""),
        ("node_filesystem_avail_bytes", "mountpoint", "/"),
        ("node_filesystem_size_bytes", "mountpoint", "/"),
        ("node_filesystem_avail_bytes", "mountpoint", "/cd"),
        ("node_filesystem_size_bytes", "mountpoint", "/cd"),
        ("node_filesystem_readonly", "mountpoint", "/cd"),
        ("node_disk_read_bytes_total", "device", "sda"),
        ("node_disk_io_time_seconds_total", "device", "sda"),
        ("node_context_switches_total", "", ""),
    ],
    &[
        ("node_memory_free_bytes", "", ""),
        ("node_memory_inactive_bytes", "", ""),
        ("node_memory_size_bytes", "", ""),
        ("node_memory_swap_used_bytes", "", ""),
        ("node_memory_swap_size_bytes", "", ""),
        ("node_devstat_bytes_total", "type", "read"),
        ("node_devstat_busy_time_seconds_total", "device", "ada0"),
        ("node_exec_context_switches_total", "", ""),
    ],
    &[
        ("node_memory_MemFree_bytes", "", ""),
        ("node_memory_Buffers_bytes", "", ""),
        ("node_memory_Cached_bytes", "", ""),
        ("node_memory_MemTotal_bytes", "", ""),
        ("node_network_receive_bytes_total", "device", "eth0"),
        ("node_network_receive_errs_total", "device", "eth0"),
        ("node_network_transmit_errs_total", "device", "eth0"),
    ],
];

/// One scrape of a host; counters and gauges rise alike, each at a pace of its own.
fn scrape(host: usize, time_ms: i64, batch: &mut Batch) {
    let instance = format!("host-{host}");
    let mut push = |name: &str, extra: &[(&str, &str)], pace: f64| {
        let mut pairs = vec![("__name__", name), ("job", "node"), ("instance", &instance)];
        pairs.extend(extra.iter().filter(|(name, _)| !name.is_empty()));
        let value = match name {
            "node_filesystem_size_bytes" | "node_memory_MemTotal_bytes" => 1e12,
            "node_filesystem_readonly" => 1.0,
            _ => pace * time_ms as f64 / 1e3,
        };
        batch.series.push(BatchSeries::new(
            Labels::from_pairs(pairs).expect("distinct names"),
            vec![Sample::new(time_ms, value)],
        ));
    };
    for cpu in ["0", "1"] {
        for (mode, share) in [("idle", 0.7), ("user", 0.2), ("system", 0.1)] {
            let pace = share * (1.0 - host as f64 / 100.0);
            push("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], pace);
        }
    }
    push("node_load1", &[], 0.1);
    for (i, (name, label, value)) in KINDS[host % KINDS.len()].iter().enumerate() {
        push(name, &[(*label, *value)], 0.3 + i as f64 / 17.0 + host as f64 / 7.0);
    }
}

type Answer = Result<Vec<(Labels, u64)>, String>;

fn answer(plan: &Plan, i: usize) -> Answer {
    match plan.output(i).map_err(ToString::to_string)? {
        Value::Scalar(value) => Ok(vec![(Labels::empty(), value.to_bits())]),
        Value::Vector(vector) => {
            let elements = vector.layout.labels.iter().zip(vector.values).zip(vector.present);
            let there = elements.filter(|(_, present)| **present);
            let mut all: Vec<_> = there.map(|((l, v), _)| (l.clone(), v.to_bits())).collect();
            all.sort();
            Ok(all)
        }
    }
}

/// Which of the hosts are scraped, and for how many rounds.
fn phases() -> impl Strategy<Value = Vec<(u16, usize)>> {
    // The longest is more than anything is kept for: who is silent is evicted.
    let rounds = prop_oneof![6 => 1usize..4, 1 => Just(60)];
    proptest::collection::vec((0u16..1 << 9, rounds), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn births_and_evictions_change_no_value(phases in phases()) {
        let specs = profile();
        let parse = |text: &str| Expr::parse(text).expect("a good expression");
        let exprs: Vec<Expr> = specs.iter().map(|spec| parse(&spec.expr)).collect();
        let mut store = Store::new(StorageConfig::default());
        let mut plan = Plan::bind_lenient(&exprs, &mut store);
        let mut now_ms = 1_000_005_000;
        for (hosts, rounds) in phases {
            for _ in 0..rounds {
                now_ms += 15_000;
                let mut batch = Batch::default();
                let there = (0..9).filter(|host| hosts >> host & 1 == 1);
                there.for_each(|host| scrape(host, now_ms, &mut batch));
                store.append(now_ms, &batch);
                store.evict(now_ms);
                plan.eval(&store, now_ms);
            }
            let mut fresh = Plan::bind_lenient(&exprs, &mut store);
            fresh.eval(&store, now_ms);
            for (i, spec) in specs.iter().enumerate() {
                prop_assert_eq!(answer(&plan, i), answer(&fresh, i), "{}", spec.name);
                let faults = (plan.faults(i).to_string(), fresh.faults(i).to_string());
                prop_assert_eq!(faults.0, faults.1, "{}", spec.name);
            }
            fresh.release(&mut store);
        }
    }
}
