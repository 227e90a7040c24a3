//! Halves of a table, for what is trained on the one and judged by the other.
//!
//! In: a table, compressed or not. Out: two tables that are not. Which is earlier in the file is first.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use portent::files::open_table;

/// The lines of a table as two tables with its header. Of an odd number the second has one more.
pub fn split(table: &Path, halves: &[PathBuf; 2]) -> anyhow::Result<()> {
    let lines = BufReader::new(open_table(table)?).lines().collect::<Result<Vec<String>, _>>()?;
    let (header, rows) = lines.split_first().context("an empty table")?;
    let (first, second) = rows.split_at(rows.len() / 2);
    for (half, rows) in halves.iter().zip([first, second]) {
        let mut file = BufWriter::new(File::create(half)?);
        writeln!(file, "{header}")?;
        rows.iter().try_for_each(|row| writeln!(file, "{row}"))?;
        file.flush()?;
    }
    Ok(())
}
