//! Hosts that the shipped model has never seen, made by other arithmetic than the fleet that it is
//! fitted on: what node_exporter says of them at each scrape, in calm and in trouble.

use std::collections::HashMap;
use std::f64::consts::TAU;

use portent::labels::Labels;
use portent::sample::{Batch, BatchSeries, Sample};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a host is like in calm.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub cores: usize,
    pub memory_gib: f64,
    /// The usual share of CPU time that is busy.
    pub busy: f64,
    /// The kernel's part of that.
    pub system: f64,
    pub memory_used: f64,
    /// Bytes a second, each way.
    pub traffic: f64,
    /// Bytes a second, most of them written; none without a disk.
    pub disk: f64,
    pub disk_used: f64,
    pub swap_gib: f64,
    pub sockets: f64,
    /// Of contexts, a second.
    pub switches: f64,
}

/// Large and small, idle and busy, with and without disks and swap.
#[rustfmt::skip]
pub const KINDS: [Kind; 7] = [
    Kind { name: "board", cores: 4, memory_gib: 1.0, busy: 0.03, system: 0.4, memory_used: 0.35, traffic: 2e3,
        disk: 2e4, disk_used: 0.4, swap_gib: 0.1, sockets: 6.0, switches: 600.0 },
    Kind { name: "small", cores: 1, memory_gib: 2.0, busy: 0.2, system: 0.3, memory_used: 0.55, traffic: 1e5,
        disk: 3e5, disk_used: 0.62, swap_gib: 0.0, sockets: 40.0, switches: 2e3 },
    Kind { name: "front", cores: 8, memory_gib: 16.0, busy: 0.35, system: 0.25, memory_used: 0.4, traffic: 6e6,
        disk: 4e5, disk_used: 0.3, swap_gib: 0.0, sockets: 900.0, switches: 4e4 },
    Kind { name: "store", cores: 16, memory_gib: 128.0, busy: 0.25, system: 0.2, memory_used: 0.8, traffic: 3e6,
        disk: 2e7, disk_used: 0.7, swap_gib: 4.0, sockets: 300.0, switches: 5e4 },
    Kind { name: "large", cores: 32, memory_gib: 512.0, busy: 0.5, system: 0.15, memory_used: 0.6, traffic: 1e7,
        disk: 5e6, disk_used: 0.5, swap_gib: 8.0, sockets: 500.0, switches: 1e5 },
    Kind { name: "cell", cores: 2, memory_gib: 4.0, busy: 0.1, system: 0.3, memory_used: 0.5, traffic: 3e5,
        disk: 0.0, disk_used: 0.0, swap_gib: 0.0, sockets: 30.0, switches: 3e3 },
    Kind { name: "gate", cores: 2, memory_gib: 4.0, busy: 0.08, system: 0.75, memory_used: 0.12, traffic: 1.5e7,
        disk: 1e4, disk_used: 0.2, swap_gib: 0.0, sockets: 10.0, switches: 8e3 },
];

/// What may be wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    CpuHog,
    MemoryLeak,
    SwapStorm,
    DiskSaturation,
    DiskFull,
    NetworkFlood,
    NetworkErrors,
    SwitchStorm,
    Retransmits,
}

/// How a host is at a moment.
struct Now {
    busy: f64,
    system: f64,
    iowait: f64,
    softirq: f64,
    memory_used: f64,
    swap_used: f64,
    paging: f64,
    faults: f64,
    running: f64,
    blocked: f64,
    switches: f64,
    read: f64,
    written: f64,
    disk_busy: f64,
    disk_used: f64,
    traffic: f64,
    errors: f64,
    drops: f64,
    sockets: f64,
    retransmits: f64,
}

/// A host and its counters.
pub struct Host {
    pub name: String,
    kind: Kind,
    rng: ChaCha8Rng,
    counters: HashMap<String, f64>,
    /// A noise that is slow to change, about -1 to 1.
    mood: f64,
    load: f64,
    phase: f64,
    last_ms: Option<i64>,
}

impl Host {
    pub fn new(name: String, kind: Kind, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let phase = rng.random_range(0.0..TAU);
        let load = kind.busy * kind.cores as f64;
        let counters = HashMap::new();
        Self { name, kind, rng, counters, mood: 0.0, load, phase, last_ms: None }
    }

    /// As after booting: counters begin at zero.
    pub fn restart(&mut self) {
        self.counters.clear();
        self.load = 0.0;
    }

    /// A scrape; the trouble has lasted for so many seconds.
    pub fn scrape(&mut self, now_ms: i64, trouble: Option<(Trouble, f64)>) -> Batch {
        let seconds = self.last_ms.map_or(15.0, |last| (now_ms - last) as f64 / 1e3).min(60.0);
        self.last_ms = Some(now_ms);
        let mut now = self.calm(now_ms as f64 / 1e3);
        if let Some((trouble, lasts)) = trouble {
            self.kind.suffer(&mut now, trouble, lasts);
        }
        self.load += (now.running + now.blocked - self.load) * (1.0 - (-seconds / 60.0).exp());
        let mut scrape = Scrape { host: self, now_ms, seconds, batch: Batch::of(Vec::new()) };
        scrape.processors(&now);
        scrape.memory(&now);
        scrape.disk(&now);
        scrape.network(&now);
        scrape.batch
    }

    fn near(&mut self, value: f64, share: f64) -> f64 {
        value * (1.0 + share * self.rng.random_range(-1.0..1.0))
    }

    fn calm(&mut self, seconds: f64) -> Now {
        let kind = self.kind;
        self.mood = 0.97 * self.mood + 0.12 * self.rng.random_range(-1.0..1.0);
        // A day of six hours, so that a test sees its slopes.
        let day = 1.0 + 0.3 * (TAU * seconds / 21_600.0 + self.phase).sin();
        let busy = (self.near(kind.busy * day, 0.15) * (1.0 + 0.4 * self.mood)).min(0.9);
        let disk = self.near(kind.disk * day, 0.5) * (1.0 + 0.3 * self.mood);
        let disk_busy = (disk / 4e8 + 0.02).min(0.6) * f64::from(kind.disk > 0.0);
        let working = busy * kind.cores as f64;
        Now {
            busy,
            system: kind.system,
            iowait: 0.05 * disk_busy,
            softirq: 0.04,
            memory_used: kind.memory_used + 0.01 * self.mood,
            swap_used: if kind.swap_gib > 0.0 { 0.1 } else { 0.0 },
            paging: 0.0,
            faults: self.near(0.1, 0.9),
            running: (self.near(working, 0.5) + 1.0).round(),
            blocked: f64::from(self.rng.random_bool(0.8 * disk_busy)),
            switches: self.near(kind.switches * day, 0.1),
            read: 0.3 * disk,
            written: 0.7 * disk,
            disk_busy,
            disk_used: kind.disk_used,
            traffic: self.near(kind.traffic * day, 0.2),
            errors: 0.0,
            drops: f64::from(self.rng.random_bool(0.02)) * 0.1,
            sockets: self.near(kind.sockets * day, 0.05).round(),
            retransmits: self.near(0.02 + kind.traffic * 3e-8, 0.6),
        }
    }
}

impl Kind {
    fn suffer(&self, now: &mut Now, trouble: Trouble, lasts: f64) {
        let cores = self.cores as f64;
        match trouble {
            Trouble::CpuHog => {
                (now.busy, now.system) = (1.0, 0.04);
                now.running += 3.0 * cores;
            }
            Trouble::MemoryLeak => {
                now.memory_used += (0.98 - now.memory_used) * (lasts / 480.0).min(1.0);
            }
            Trouble::SwapStorm => {
                (now.memory_used, now.swap_used) = (0.97, (0.1 + lasts / 600.0).min(0.95));
                (now.paging, now.faults, now.blocked) = (4e3, 700.0, 4.0);
                (now.disk_busy, now.iowait) = (0.9, (0.9 / cores).min(0.5));
                (now.read, now.written) = (now.read + 8e6, now.written + 8e6);
            }
            Trouble::DiskSaturation => {
                (now.disk_busy, now.blocked, now.iowait) = (1.0, 6.0, (2.0 / cores).min(0.5));
                now.written += 2e8;
            }
            Trouble::DiskFull => {
                now.disk_used += (1.0 - now.disk_used) * (lasts / 300.0).min(1.0);
                now.written += if lasts < 300.0 { 5e7 } else { 0.0 };
            }
            Trouble::NetworkFlood => {
                (now.traffic, now.softirq, now.drops) = (now.traffic + 1.1e8, 0.3, 300.0);
                now.busy = (now.busy + 0.15).min(1.0);
            }
            Trouble::NetworkErrors => (now.errors, now.drops) = (30.0, now.drops + 10.0),
            Trouble::SwitchStorm => {
                now.switches += 2e5 * cores.max(2.0);
                (now.busy, now.system) = (now.busy.max(0.6), 0.8);
                now.running += cores;
            }
            Trouble::Retransmits => {
                now.retransmits += 250.0;
                now.sockets *= 3.0;
            }
        }
    }

    fn has_disk(&self) -> bool {
        self.disk > 0.0
    }
}

/// One scrape in the making.
struct Scrape<'a> {
    host: &'a mut Host,
    now_ms: i64,
    seconds: f64,
    batch: Batch,
}

impl Scrape<'_> {
    fn gauge(&mut self, name: &str, extra: &[(&str, &str)], value: f64) {
        let mut pairs = vec![("__name__", name), ("job", "node"), ("instance", &self.host.name)];
        pairs.extend(extra);
        let labels = Labels::from_pairs(pairs).expect("distinct names");
        let samples = vec![Sample::new(self.now_ms, value)];
        self.batch.series.push(BatchSeries::new(labels, samples));
    }

    fn counter(&mut self, name: &str, extra: &[(&str, &str)], rate: f64) {
        let counter = self.host.counters.entry(format!("{name}{extra:?}")).or_insert(0.0);
        *counter += rate.max(0.0) * self.seconds;
        let value = *counter;
        self.gauge(name, extra, value);
    }

    fn processors(&mut self, now: &Now) {
        let (system, softirq) = (now.busy * now.system, now.busy * now.softirq);
        let iowait = now.iowait.min(1.0 - now.busy);
        let shares = [
            ("user", now.busy - system - softirq),
            ("system", system),
            ("softirq", softirq),
            ("iowait", iowait),
            ("idle", 1.0 - now.busy - iowait),
            ("nice", 0.0),
            ("irq", 0.0),
            ("steal", 0.0),
        ];
        for cpu in 0..self.host.kind.cores {
            for (mode, share) in shares {
                let labels = [("cpu", &*cpu.to_string()), ("mode", mode)];
                self.counter("node_cpu_seconds_total", &labels, share);
            }
        }
        self.gauge("node_load1", &[], self.host.load);
        self.gauge("node_procs_running", &[], now.running);
        self.gauge("node_procs_blocked", &[], now.blocked);
        self.counter("node_context_switches_total", &[], now.switches);
    }

    fn memory(&mut self, now: &Now) {
        let gib = 1_073_741_824.0;
        let (total, swap) = (self.host.kind.memory_gib * gib, self.host.kind.swap_gib * gib);
        let available = total * (1.0 - now.memory_used);
        self.gauge("node_memory_MemTotal_bytes", &[], total);
        self.gauge("node_memory_MemAvailable_bytes", &[], available);
        self.gauge("node_memory_SwapTotal_bytes", &[], swap);
        self.gauge("node_memory_SwapFree_bytes", &[], swap * (1.0 - now.swap_used));
        let paging = if swap > 0.0 { now.paging } else { 0.0 };
        self.counter("node_vmstat_pswpin", &[], paging / 2.0);
        self.counter("node_vmstat_pswpout", &[], paging / 2.0);
        self.counter("node_vmstat_pgmajfault", &[], now.faults);
    }

    fn disk(&mut self, now: &Now) {
        if !self.host.kind.has_disk() {
            return;
        }
        let disk = [("device", "sda")];
        self.counter("node_disk_read_bytes_total", &disk, now.read);
        self.counter("node_disk_written_bytes_total", &disk, now.written);
        self.counter("node_disk_io_time_seconds_total", &disk, now.disk_busy);
        let root = [("device", "/dev/sda1"), ("fstype", "ext4"), ("mountpoint", "/")];
        self.gauge("node_filesystem_size_bytes", &root, 1e11);
        self.gauge("node_filesystem_avail_bytes", &root, 1e11 * (1.0 - now.disk_used));
        self.gauge("node_filesystem_readonly", &root, 0.0);
    }

    fn network(&mut self, now: &Now) {
        let card = [("device", "eth0")];
        let ways = [("receive", 1.0), ("transmit", 0.7)];
        for (way, share) in ways {
            let name = |what: &str| format!("node_network_{way}_{what}_total");
            self.counter(&name("bytes"), &card, now.traffic * share);
            let received = if way == "receive" { 1.0 } else { 0.0 };
            self.counter(&name("errs"), &card, now.errors * received);
            self.counter(&name("drop"), &card, now.drops * received);
        }
        self.gauge("node_sockstat_TCP_inuse", &[], now.sockets);
        self.counter("node_netstat_Tcp_RetransSegs", &[], now.retransmits);
    }
}
