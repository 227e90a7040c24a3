//! A made-up fleet of hosts that run node_exporter: the series that the built-in profile wants.

use portent::detect::LoadedModel;
use portent::labels::Labels;
use portent::model::{self, Artifact, ModelConfig, Runtime, Scorer};
use portent::sample::{Batch, BatchSeries, Sample};

/// CPUs of a host, such that the profile keeps about a hundred and fifty of its series.
const CPUS: usize = 14;
const MODES: [&str; 8] = ["idle", "user", "system", "iowait", "irq", "nice", "softirq", "steal"];
const PLAIN: [&str; 14] = [
    "node_load1",
    "node_procs_running",
    "node_procs_blocked",
    "node_context_switches_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_memory_SwapFree_bytes",
    "node_memory_SwapTotal_bytes",
    "node_vmstat_pswpin",
    "node_vmstat_pswpout",
    "node_vmstat_pgmajfault",
    "node_sockstat_TCP_inuse",
    "node_netstat_Tcp_RetransSegs",
    "node_boot_time_seconds",
];

/// The hosts' series; every scrape brings one sample of each.
pub struct Fleet {
    series: Vec<Labels>,
    hosts: usize,
}

impl Fleet {
    /// So many hosts with 14 CPUs, 2 disks, 3 file systems and 2 network cards.
    pub fn new(hosts: usize) -> Self {
        let mut series = Vec::new();
        for host in 0..hosts {
            let instance = format!("host-{host:05}:9100");
            let mut push = |name: &str, extra: &[(&str, &str)]| {
                let mut pairs = vec![("__name__", name), ("job", "node"), ("instance", &instance)];
                pairs.extend(extra);
                series.push(Labels::from_pairs(pairs).expect("distinct names"));
            };
            for cpu in 0..CPUS {
                for mode in MODES {
                    push("node_cpu_seconds_total", &[("cpu", &cpu.to_string()), ("mode", mode)]);
                }
            }
            for name in PLAIN {
                push(name, &[]);
            }
            for device in ["sda", "sdb"] {
                for what in ["read_bytes", "written_bytes", "io_time_seconds"] {
                    push(&format!("node_disk_{what}_total"), &[("device", device)]);
                }
            }
            for mount in ["/", "/var", "/home"] {
                for what in ["avail", "size"] {
                    let labels = [("device", mount), ("fstype", "ext4"), ("mountpoint", mount)];
                    push(&format!("node_filesystem_{what}_bytes"), &labels);
                }
            }
            for device in ["lo", "eth0"] {
                for direction in ["receive", "transmit"] {
                    for what in ["bytes", "errs", "drop"] {
                        let name = format!("node_network_{direction}_{what}_total");
                        push(&name, &[("device", device)]);
                    }
                }
            }
        }
        Self { series, hosts }
    }

    /// Replaces a host by one of another name.
    pub fn renew(&mut self, host: usize) {
        let width = self.series.len() / self.hosts;
        for labels in &mut self.series[host * width..][..width] {
            let name = format!("{}-again", labels.get("instance"));
            *labels = labels.with("instance", &name);
        }
    }

    /// Series of the whole fleet.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// Hosts of the fleet.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// One scrape of everything; the n-th is 15 s after the one before.
    pub fn scrape(&self, start_ms: i64, n: i64) -> Batch {
        let series = self.series.iter().enumerate().map(|(i, labels)| {
            let wave = (n as f64 / 7.0 + i as f64).sin() * 0.1;
            let value = match whole(labels.metric_name()) {
                Some(size) => size * (1.0 + wave / 10.0),
                None => slope(i, labels.metric_name()) * (n as f64 + 2.0) + wave,
            };
            BatchSeries::new(labels.clone(), vec![Sample::new(start_ms + n * 15_000, value)])
        });
        Batch::of(series.collect())
    }
}

/// What is no counter and has to be in proportion, in bytes.
fn whole(name: &str) -> Option<f64> {
    Some(match name {
        "node_memory_MemTotal_bytes" | "node_filesystem_size_bytes" => 16e9,
        "node_memory_SwapTotal_bytes" => 4e9,
        "node_memory_MemAvailable_bytes" | "node_filesystem_avail_bytes" => 8e9,
        "node_memory_SwapFree_bytes" => 2e9,
        _ => return None,
    })
}

/// What comes to a counter at a scrape: of its own, but for a CPU, which has a second a second for all
/// its modes. Gauges rise alike.
fn slope(i: usize, name: &str) -> f64 {
    match name {
        "node_cpu_seconds_total" => 15.0 / MODES.len() as f64,
        _ => 1.0 + (i % 97) as f64 / 10.0,
    }
}

/// The model that Portent is shipped with.
pub fn shipped_model() -> LoadedModel {
    let artifact = Artifact::read(model::shipped()).expect("a model file");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("a model of ours");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` gets it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a model of the contract");
    LoadedModel { name: "node".to_owned(), metadata, scorer, digest: artifact.digest() }
}
