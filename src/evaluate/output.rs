//! Output: the scores of a backtest as CSV.
//!
//! For a CSV input there is a line for each of its lines, with the time as it is written there; for
//! a server there is a line for each entity and step. The score of a step without one is empty. The file
//! appears only when it is complete.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::backtest::{Backtest, Scored};
use crate::files::Draft;
use crate::history::{HistoryError, each_time};

/// Why scores are not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The destination.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// The input, of which the times are.
    #[error(transparent)]
    Input(#[from] HistoryError),
}

/// Writes scores. For a CSV input, `input` is the file and `rows` has the step of each of its lines.
///
/// # Errors
/// When the input cannot be read again, or the file cannot be written.
pub fn write(
    path: &Path,
    backtest: &Backtest,
    entity_names: &[String],
    input: Option<(&Path, &[usize])>,
) -> Result<(), OutputError> {
    let failed = |source| OutputError::Write { path: path.to_path_buf(), source };
    let mut file = BufWriter::new(Draft::of(path).map_err(failed)?);
    match input {
        Some((input, rows)) => lines(&mut file, backtest, input, rows, &failed)?,
        None => steps(&mut file, backtest, entity_names).map_err(failed)?,
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?.publish().map_err(failed)
}

fn lines(
    file: &mut impl Write,
    backtest: &Backtest,
    input: &Path,
    rows: &[usize],
    failed: &dyn Fn(std::io::Error) -> OutputError,
) -> Result<(), OutputError> {
    writeln!(file, "timestamp,score,threshold").map_err(failed)?;
    let mut steps = rows.iter();
    let mut outcome = Ok(());
    each_time(input, &mut |time| {
        if let (Ok(()), Some(step)) = (&outcome, steps.next()) {
            let (score, threshold) = texts(&backtest.entities[0], *step);
            outcome = writeln!(file, "{},{score},{threshold}", quoted(time));
        }
    })?;
    outcome.map_err(failed)
}

fn steps(file: &mut impl Write, backtest: &Backtest, names: &[String]) -> std::io::Result<()> {
    writeln!(file, "timestamp,{},score,threshold", names.join(","))?;
    for entity in &backtest.entities {
        let values: Vec<String> =
            names.iter().map(|name| quoted(entity.labels.get(name))).collect();
        let labels = values.join(",");
        for (step, time_ms) in backtest.times_ms.iter().enumerate() {
            let (score, threshold) = texts(entity, step);
            let seconds = *time_ms as f64 / 1_000.0;
            writeln!(file, "{seconds},{labels},{score},{threshold}")?;
        }
    }
    Ok(())
}

fn texts(entity: &Scored, step: usize) -> (String, String) {
    match entity.scores[step] {
        score if score.is_nan() => (String::new(), String::new()),
        score => (score.to_string(), entity.thresholds[step].to_string()),
    }
}

/// A label value as a CSV cell.
fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
