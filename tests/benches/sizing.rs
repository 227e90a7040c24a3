//! What a running Portent takes of memory and processor for a number of hosts: the table of the README.
//!
//! `make bench ARGS="--bench sizing"`, for some numbers of hosts `ARGS="--bench sizing -- 100 1000"`; three
//! minutes for each. The whole program with its built-in configuration and model, which is sent what the
//! built-in features read, every 15 s as Prometheus would: twelve minutes at once, and then a minute that
//! is measured. Samples that no feature reads are not sent.

#[allow(dead_code)]
mod fleet;
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet::Fleet;
use process::{cpu_seconds, sent};
use support::{Portent, RemoteWriter, get, wait_until};

const INTERVAL_MS: i64 = 15_000;

/// What the built-in features look back, and a little more, so that scores are there at once.
const HISTORY_MS: i64 = 13 * 60_000;

/// Scrapes that are measured: a minute.
const MEASURED: i64 = 4;

/// Series of one request: so many that the whole is not a matter of requests.
const SERIES: usize = 5_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wanted: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let wanted = if wanted.is_empty() { vec![100, 1_000, 10_000] } else { wanted };
    println!("hosts   series   memory    processor");
    for hosts in wanted {
        measure(hosts).await;
    }
}

async fn measure(hosts: usize) {
    let config = "storage: {max_series: 2000000, max_new_series_per_second: 2000000}\n";
    // As by default, what it learns is written every minute.
    let folder = tempfile::tempdir().expect("a folder");
    let data = format!("--storage.path={}", folder.path().display());
    let portent = Portent::start(config, &[&data]).await;
    portent.ready().await;
    let writer = RemoteWriter::new(portent.url("/api/v1/write"));
    let fleet = Fleet::new(hosts);
    let start_ms = now_ms() - HISTORY_MS;
    let mut n = 0;
    let mut series = 0;
    while start_ms + n * INTERVAL_MS <= now_ms() {
        series = send(&writer, &fleet, start_ms, n).await;
        n += 1;
    }
    let url = portent.url("/metrics");
    let wanted = format!("{hosts} scored hosts");
    wait_until(Duration::from_secs(300), &wanted, async || {
        let page = get(&url).await?.body;
        let scored = page.lines().filter(|it| it.starts_with("anomaly_score{")).count();
        if scored == hosts { Ok(()) } else { Err(format!("{scored} are scored")) }
    })
    .await;
    let id = portent.server.id();
    let before = cpu_seconds(id);
    let began_ms = now_ms();
    for _ in 0..MEASURED {
        let due_ms = start_ms + n * INTERVAL_MS;
        tokio::time::sleep(Duration::from_millis((due_ms - now_ms()).max(0) as u64)).await;
        send(&writer, &fleet, start_ms, n).await;
        n += 1;
    }
    tokio::time::sleep(Duration::from_millis(INTERVAL_MS as u64)).await;
    let share = (cpu_seconds(id) - before) / (now_ms() - began_ms) as f64 * 1e3;
    println!(
        "{hosts:>6} {series:>8} {:>5} MiB  {:.1} % of a core",
        resident_kib(id) / 1_024,
        share * 100.0
    );
}

/// Sends a scrape of all hosts; gives its series.
async fn send(writer: &RemoteWriter, fleet: &Fleet, start_ms: i64, n: i64) -> usize {
    let batch = fleet.scrape(start_ms, n);
    for part in batch.series.chunks(SERIES) {
        let reply = writer.send(&part.iter().map(sent).collect::<Vec<_>>()).await;
        // Of the twelve minutes some are older than what features of short ranges look back.
        assert!(reply.status == 204 || reply.body.contains("too old"), "{}", reply.body);
    }
    batch.series.len()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("a time in i64")
}

/// Memory that is in RAM.
fn resident_kib(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:")).expect("in RAM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
