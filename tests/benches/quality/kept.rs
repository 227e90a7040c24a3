//! What is kept of a fleet for other judges: its tables and what befell it.
//!
//! In: a fleet, a place. Out: `PLACE-HOST.csv.gz` for each host, as `portent train --input` reads it, and
//! `PLACE.json` with its incidents and nightly jobs in seconds since 1970.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use portent::features::profile;
use serde_json::{Value, json};

use crate::fleet::incidents::Incident;
use crate::fleet::{Fleet, Host, Span, time_ms};

/// Writes a fleet beside a model's file.
pub fn fleet(fleet: &Fleet, beside: &Path) -> anyhow::Result<()> {
    let seconds = |it: Span| it.times_ms().map(|it| it / 1_000);
    let host = |host: &Host| {
        let incident = |it: &Incident| {
            let [from, to] = seconds(it.span);
            json!({"from": from, "to": to, "fault": format!("{:?}", it.fault), "severity": it.severity})
        };
        let incidents: Vec<Value> = host.incidents.iter().map(incident).collect();
        let jobs: Vec<[i64; 2]> = host.jobs.iter().map(|it| seconds(*it)).collect();
        json!({"instance": host.labels.get("instance"), "incidents": incidents, "jobs": jobs})
    };
    let all: Vec<Value> = fleet.hosts.iter().map(host).collect();
    fs::write(beside.with_extension("json"), serde_json::to_string_pretty(&all)?)?;
    let stem = beside.file_stem().unwrap_or_default().to_string_lossy();
    for host in &fleet.hosts {
        let name = host.labels.get("instance").split(':').next().unwrap_or_default();
        let file = File::create(beside.with_file_name(format!("{stem}-{name}.csv.gz")))?;
        let file = BufWriter::new(file);
        table(host, GzEncoder::new(file, Compression::fast()))?;
    }
    Ok(())
}

/// A line for each minute that is there.
fn table(host: &Host, mut file: impl Write) -> std::io::Result<()> {
    let names: Vec<String> = profile().into_iter().map(|it| it.name).collect();
    writeln!(file, "timestamp,{}", names.join(","))?;
    let rows = host.values.rows().into_iter().enumerate();
    for (minute, row) in rows.filter(|(minute, _)| host.sampled(*minute) == Some(*minute)) {
        let values: Vec<String> = row.iter().map(ToString::to_string).collect();
        writeln!(file, "{},{}", time_ms(minute) / 1_000, values.join(","))?;
    }
    file.flush()
}
