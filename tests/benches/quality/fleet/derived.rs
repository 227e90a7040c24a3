//! What is measured in a minute, and the columns that follow from that as the profile says.
//!
//! In: minutes, of which some are missing. Out: a column of the profile by its name. A column that looks
//! back looks at the last ten minutes that are there among ten, this one included; in a minute that is
//! missing there is none.

use std::f64::consts::TAU;

use portent::features::{TIME_OF_DAY, TIME_OF_WEEK};

use super::{DAY, time_ms};

/// Minutes that count as lately.
const LATELY: usize = 10;

/// What is measured of a host in a minute. Units are those of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Minute {
    pub cpu_user: f64,
    pub cpu_system: f64,
    pub cpu_iowait: f64,
    pub cpu_steal: f64,
    /// Interrupts and the like, which are no column.
    pub cpu_other: f64,
    pub load_per_core: f64,
    pub procs_running_per_core: f64,
    pub procs_blocked: f64,
    pub context_switches_per_core: f64,
    pub memory_used: f64,
    pub swap_used: f64,
    pub paging: f64,
    pub major_faults: f64,
    pub disk_read_bytes: f64,
    pub disk_written_bytes: f64,
    pub disk_busy: f64,
    pub filesystem_used: f64,
    pub network_receive_bytes: f64,
    pub network_transmit_bytes: f64,
    pub network_errors: f64,
    pub network_drops: f64,
    pub tcp_sockets: f64,
    pub tcp_retransmits: f64,
}

impl Minute {
    /// The share of CPU time that was not idle.
    pub fn cpu_busy(&self) -> f64 {
        let busy = self.cpu_user + self.cpu_system + self.cpu_iowait;
        (busy + self.cpu_steal + self.cpu_other).clamp(0.0, 1.0)
    }
}

/// A number of a minute.
type Measured = fn(&Minute) -> f64;

/// The columns that are measured, by their names.
pub const BASE: [(&str, Measured); 22] = [
    ("cpu_user", |it| it.cpu_user),
    ("cpu_system", |it| it.cpu_system),
    ("cpu_iowait", |it| it.cpu_iowait),
    ("cpu_steal", |it| it.cpu_steal),
    ("load_per_core", |it| it.load_per_core),
    ("procs_running_per_core", |it| it.procs_running_per_core),
    ("procs_blocked", |it| it.procs_blocked),
    ("context_switches_per_core", |it| it.context_switches_per_core),
    ("memory_used", |it| it.memory_used),
    ("swap_used", |it| it.swap_used),
    ("paging", |it| it.paging),
    ("major_faults", |it| it.major_faults),
    ("disk_read_bytes", |it| it.disk_read_bytes),
    ("disk_written_bytes", |it| it.disk_written_bytes),
    ("disk_busy", |it| it.disk_busy),
    ("filesystem_used", |it| it.filesystem_used),
    ("network_receive_bytes", |it| it.network_receive_bytes),
    ("network_transmit_bytes", |it| it.network_transmit_bytes),
    ("network_errors", |it| it.network_errors),
    ("network_drops", |it| it.network_drops),
    ("tcp_sockets", |it| it.tcp_sockets),
    ("tcp_retransmits", |it| it.tcp_retransmits),
];

/// A column of the profile.
///
/// # Panics
/// For a name that the profile does not have.
pub fn column(name: &str, minutes: &[Option<Minute>]) -> Vec<f64> {
    let plain = |of: Measured| -> Vec<f64> {
        minutes.iter().map(|it| it.as_ref().map_or(f64::NAN, of)).collect()
    };
    let lately = |of: Measured, over: fn(&[(f64, f64)]) -> f64| lately(&plain(of), over);
    let memory: Measured = |it| it.memory_used;
    match name {
        "cpu_busy_mean" => lately(Minute::cpu_busy, mean),
        "cpu_busy_stddev" => lately(Minute::cpu_busy, deviation),
        "cpu_busy_change" => lately(Minute::cpu_busy, change),
        "memory_used_mean" => lately(memory, mean),
        "memory_used_stddev" => lately(memory, deviation),
        "memory_used_change" => lately(memory, change),
        "filesystem_used_change" => lately(|it| it.filesystem_used, change),
        "cpu_per_memory" => plain(|it| it.cpu_busy() / it.memory_used.max(0.05)),
        "disk_per_cpu" => plain(|it| it.disk_busy / it.cpu_busy().max(0.05)),
        _ => match BASE.iter().find(|(base, _)| *base == name) {
            Some((_, of)) => plain(*of),
            None => (0..minutes.len())
                .map(|minute| calendar(name, minute).expect("a column of the profile"))
                .collect(),
        },
    }
}

/// What every host has the same of; nothing for other columns.
pub fn calendar(name: &str, minute: usize) -> Option<f64> {
    let day = TAU * (minute % DAY) as f64 / DAY as f64;
    // Sunday is 0, and the first day is a Monday.
    let week = TAU * ((minute / DAY + 1) % 7) as f64 / 7.0;
    Some(match name {
        "hour_sin" => day.sin(),
        "hour_cos" => day.cos(),
        "weekday_sin" => week.sin(),
        "weekday_cos" => week.cos(),
        _ => {
            let clock = [TIME_OF_DAY, TIME_OF_WEEK].into_iter().find(|it| it.name == name)?;
            f64::from(clock.value(time_ms(minute)))
        }
    })
}

/// What is made of the last ten minutes: pairs of their distance from now and their value.
fn lately(values: &[f64], over: fn(&[(f64, f64)]) -> f64) -> Vec<f64> {
    let at = |minute: usize| {
        let known = (0..LATELY.min(minute + 1)).map(|ago| (-(ago as f64), values[minute - ago]));
        let known: Vec<(f64, f64)> = known.filter(|(_, value)| !value.is_nan()).collect();
        if values[minute].is_nan() { f64::NAN } else { over(&known) }
    };
    (0..values.len()).map(at).collect()
}

fn mean(known: &[(f64, f64)]) -> f64 {
    known.iter().map(|(_, value)| value).sum::<f64>() / known.len() as f64
}

fn deviation(known: &[(f64, f64)]) -> f64 {
    let middle = mean(known);
    let squares = known.iter().map(|(_, value)| (value - middle).powi(2));
    (squares.sum::<f64>() / known.len() as f64).sqrt()
}

/// The slope of the line of least squares, over ten minutes.
fn change(known: &[(f64, f64)]) -> f64 {
    let count = known.len() as f64;
    let middle = known.iter().map(|(at, _)| at).sum::<f64>() / count;
    let spread: f64 = known.iter().map(|(at, _)| (at - middle).powi(2)).sum();
    let together: f64 = known.iter().map(|(at, value)| (at - middle) * value).sum();
    if known.len() < 2 { f64::NAN } else { LATELY as f64 * together / spread }
}
