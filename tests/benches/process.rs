//! Programs that a bench watches from outside: what they are sent, and what they take.

use std::fs;

use portent::sample::BatchSeries;

use crate::support::Series;

/// A series as a sender has it.
pub fn sent(series: &BatchSeries) -> Series {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Series {
        labels: series.labels.iter().map(own).collect(),
        samples: series.samples.iter().map(|s| (s.timestamp_ms, s.value)).collect(),
    }
}

/// User and system time of a process.
pub fn cpu_seconds(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let fields = text.rsplit(") ").next().expect("a name in parentheses").split(' ');
    let ticks: f64 = fields.skip(11).take(2).map(|n| n.parse::<f64>().expect("a number")).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}
