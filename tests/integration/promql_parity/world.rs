//! The samples that both evaluators see: hosts under node_exporter's names, and odd series.
//!
//! Three scrape intervals, samples that come a little early or late, gaps, resets, stale markers,
//! series that are born, die and return under other labels, NaN, infinities, numbers of all sizes
//! and labels with odd characters.

use portent::sample::STALE_NAN_BITS;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::Series;

/// How long the recording is.
pub const LENGTH_MS: i64 = 100 * 60_000;

/// Samples are sent in slices of so many milliseconds, in order of time as a sender does it.
pub const SLICE_MS: i64 = 300_000;

/// When a series is there, in shares of the recording.
type Life = &'static [(f64, f64)];

const ALWAYS: Life = &[(0.0, 1.0)];

/// One host as scraped.
struct Host {
    instance: &'static str,
    interval_ms: i64,
    /// Scrapes come up to this much late.
    jitter_ms: i64,
    life: Life,
}

const HOSTS: [Host; 3] = [
    Host { instance: "h1:9100", interval_ms: 15_000, jitter_ms: 0, life: ALWAYS },
    // A gap of seven minutes, longer than the lookback of a selector.
    Host {
        instance: "h2:9100",
        interval_ms: 30_000,
        jitter_ms: 900,
        life: &[(0.0, 0.5), (0.57, 1.0)],
    },
    Host {
        instance: "h3:9100",
        interval_ms: 60_000,
        jitter_ms: 40,
        life: &[(0.1, 0.62), (0.8, 0.9)],
    },
];

/// How a value moves from scrape to scrape.
#[derive(Clone, Copy)]
enum Motion {
    /// Grows by up to so much a scrape; falls to zero with this probability.
    Counter { growth: f64, reset: f64 },
    /// Walks inside `(0, size)`.
    Gauge { size: f64 },
    /// Stays.
    Constant(f64),
    /// Small whole numbers, equal often.
    Small,
    /// NaN, infinities, zeros, very large and very small numbers.
    Wild,
}

/// Makes the series; the same for the same seed and start.
pub struct Recorder {
    random: ChaCha8Rng,
    start_ms: i64,
    series: Vec<Series>,
}

/// All series, each with its samples in order of time.
pub fn record(seed: u64, start_ms: i64) -> Vec<Series> {
    let mut recorder =
        Recorder { random: ChaCha8Rng::seed_from_u64(seed), start_ms, series: Vec::new() };
    for host in &HOSTS {
        recorder.host(host);
    }
    recorder.odd();
    recorder.series
}

impl Recorder {
    fn host(&mut self, host: &Host) {
        let counter = Motion::Counter { growth: 12.0, reset: 0.02 };
        let busy = Motion::Counter { growth: 1e6, reset: 0.01 };
        let bytes = Motion::Gauge { size: 16e9 };
        for cpu in ["0", "1"] {
            for mode in ["idle", "user", "system", "iowait", "steal", "softirq"] {
                self.scrape(
                    host,
                    "node_cpu_seconds_total",
                    &[("cpu", cpu), ("mode", mode)],
                    counter,
                );
            }
        }
        for name in [
            "node_context_switches_total",
            "node_vmstat_pswpin",
            "node_vmstat_pswpout",
            "node_vmstat_pgmajfault",
            "node_netstat_Tcp_RetransSegs",
        ] {
            self.scrape(host, name, &[], busy);
        }
        for name in
            ["node_load1", "node_procs_running", "node_procs_blocked", "node_sockstat_TCP_inuse"]
        {
            self.scrape(host, name, &[], Motion::Small);
        }
        self.scrape(host, "node_memory_MemTotal_bytes", &[], Motion::Constant(16e9));
        for name in ["node_memory_MemAvailable_bytes", "node_memory_SwapFree_bytes"] {
            self.scrape(host, name, &[], bytes);
        }
        let swap = if host.instance == "h1:9100" { 0.0 } else { 20e9 };
        self.scrape(host, "node_memory_SwapTotal_bytes", &[], Motion::Constant(swap));
        for device in ["sda", "sdb"] {
            for name in [
                "node_disk_read_bytes_total",
                "node_disk_written_bytes_total",
                "node_disk_io_time_seconds_total",
            ] {
                self.scrape(host, name, &[("device", device)], busy);
            }
        }
        for device in ["eth0", "lo"] {
            for direction in ["receive", "transmit"] {
                for what in ["bytes", "errs", "drop"] {
                    let name = format!("node_network_{direction}_{what}_total");
                    self.scrape(host, &name, &[("device", device)], busy);
                }
            }
        }
        for (mountpoint, fstype) in [("/", "ext4"), ("/run", "tmpfs"), ("/home", "xfs")] {
            let labels = [("device", "d"), ("mountpoint", mountpoint), ("fstype", fstype)];
            self.scrape(host, "node_filesystem_size_bytes", &labels, Motion::Constant(100e9));
            self.scrape(
                host,
                "node_filesystem_avail_bytes",
                &labels,
                Motion::Gauge { size: 100e9 },
            );
        }
        for (le, share) in [("0.1", 0.2), ("0.5", 0.5), ("1", 0.8), ("2.5", 0.9), ("+Inf", 1.0)] {
            let motion = Motion::Counter { growth: 10.0 * share, reset: 0.0 };
            self.scrape(host, "request_seconds_bucket", &[("le", le)], motion);
        }
        self.scrape(
            host,
            "node_uname_info",
            &[("release", "6.1"), ("kind", "a")],
            Motion::Constant(1.0),
        );
    }

    fn scrape(&mut self, host: &Host, name: &str, labels: &[(&str, &str)], motion: Motion) {
        let mut all = vec![("__name__", name), ("instance", host.instance), ("job", "node")];
        all.extend_from_slice(labels);
        self.push(&all, host.interval_ms, host.jitter_ms, host.life, motion);
    }

    fn odd(&mut self) {
        let plain = |name, rest: &[(&'static str, &'static str)]| {
            let mut labels: Vec<(&str, &str)> = vec![("__name__", name)];
            labels.extend_from_slice(rest);
            labels
        };
        for (i, n) in ["1", "2", "3", "4", "5"].into_iter().enumerate() {
            let group = if i % 2 == 0 { "even" } else { "odd" };
            self.push(
                &plain("wild", &[("n", n), ("group", group)]),
                15_000,
                700,
                ALWAYS,
                Motion::Wild,
            );
            self.push(
                &plain("small", &[("n", n), ("group", group)]),
                15_000,
                0,
                ALWAYS,
                Motion::Small,
            );
            let gauge = Motion::Gauge { size: 10f64.powi(4 * i as i32 - 8) };
            self.push(&plain("gauge", &[("n", n), ("group", group)]), 20_000, 500, ALWAYS, gauge);
        }
        // The same labels under two names, at the same time and one after the other.
        let counter = Motion::Counter { growth: 3.0, reset: 0.1 };
        self.push(&plain("both_a_total", &[("x", "1")]), 15_000, 0, ALWAYS, counter);
        self.push(&plain("both_b_total", &[("x", "1")]), 15_000, 0, ALWAYS, counter);
        self.push(&plain("turns_a", &[("x", "1")]), 15_000, 0, &[(0.0, 0.45)], Motion::Small);
        self.push(&plain("turns_b", &[("x", "1")]), 15_000, 0, &[(0.55, 1.0)], Motion::Small);
        // What a one-sided match takes labels from changes its labels.
        for (version, life) in
            [("v1", &[(0.0, 0.4)][..]), ("v2", &[(0.4, 0.7)]), ("v3", &[(0.75, 1.0)])]
        {
            let labels = [("instance", "h1:9100"), ("job", "node"), ("version", version)];
            self.push(&plain("build_info", &labels), 15_000, 0, life, Motion::Constant(1.0));
        }
        for value in ["a\"b", "back\\slash", "new\nline", "ünï ☃", " ", "$1"] {
            self.push(
                &[("__name__", "odd"), ("label", value), ("same", "s")],
                15_000,
                0,
                ALWAYS,
                Motion::Small,
            );
        }
        self.push(
            &plain("dotted.metric", &[("a.b", "1"), ("ünï", "2")]),
            15_000,
            0,
            ALWAYS,
            Motion::Small,
        );
        self.push(
            &plain("typed_total", &[("__type__", "counter"), ("__unit__", "s")]),
            15_000,
            0,
            ALWAYS,
            counter,
        );
        self.push(
            &plain("falling", &[]),
            15_000,
            0,
            ALWAYS,
            Motion::Counter { growth: -4.0, reset: 0.0 },
        );
        self.push(&plain("rare", &[]), 400_000, 0, ALWAYS, Motion::Small);
        for (le, n) in [
            ("1", "x"),
            ("1.0", "x"),
            ("2", "x"),
            ("+Inf", "x"),
            ("0.5", "y"),
            ("-1", "z"),
            ("+Inf", "z"),
            ("nonsense", "z"),
        ] {
            self.push(
                &plain("odd_bucket", &[("le", le), ("n", n)]),
                15_000,
                0,
                ALWAYS,
                Motion::Small,
            );
        }
    }

    fn push(
        &mut self,
        labels: &[(&str, &str)],
        interval_ms: i64,
        jitter_ms: i64,
        life: &[(f64, f64)],
        motion: Motion,
    ) {
        let mut samples = Vec::new();
        // Scrapes of different series do not fall on the same millisecond.
        let phase_ms = self.random.random_range(0..interval_ms) / 50 * 50;
        let mut value = match motion {
            Motion::Constant(value) => value,
            _ => self.random.random_range(0.0..100.0),
        };
        let mut alive = false;
        let mut at_ms = phase_ms;
        while at_ms < LENGTH_MS {
            let share = at_ms as f64 / LENGTH_MS as f64;
            let was = std::mem::replace(
                &mut alive,
                life.iter().any(|(from, to)| (*from..*to).contains(&share)),
            );
            let time_ms = self.start_ms
                + at_ms
                + if jitter_ms > 0 { self.random.random_range(0..jitter_ms) } else { 0 };
            value = self.next(value, motion);
            if alive {
                samples.push((time_ms, value));
            } else if was && self.random.random_bool(0.5) {
                samples.push((time_ms, f64::from_bits(STALE_NAN_BITS)));
            }
            at_ms += interval_ms;
            // A failed scrape now and then.
            if self.random.random_bool(0.02) {
                at_ms += interval_ms;
            }
        }
        self.series.push(Series::new(labels, &samples));
    }

    fn next(&mut self, value: f64, motion: Motion) -> f64 {
        match motion {
            Motion::Constant(value) => value,
            Motion::Counter { growth, reset } => {
                if self.random.random_bool(reset) {
                    self.random.random_range(0.0..1.0)
                } else {
                    value + self.random.random_range(0.0..1.0) * growth
                }
            }
            Motion::Gauge { size } => size * self.random.random_range(0.0..1.0),
            Motion::Small => f64::from(self.random.random_range(0..4_u8)),
            Motion::Wild => {
                // Nothing smaller: Go's logarithm on amd64 takes subnormal numbers for 2^-1023.
                // No zero with a sign: remote write does not send zeros, and what is not sent is +0.
                const WILD: [f64; 9] = [
                    f64::NAN,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    0.0,
                    1.7e308,
                    -1.7e308,
                    2.5e-308,
                    1e-7,
                    -3.25,
                ];
                if self.random.random_bool(0.3) {
                    WILD[self.random.random_range(0..WILD.len())]
                } else {
                    self.random.random_range(-1e3..1e3)
                }
            }
        }
    }
}
