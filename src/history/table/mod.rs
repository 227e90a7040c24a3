//! A table: a CSV file, as people export them, as a recording of one entity.
//!
//! ```text
//! text ─────▶ columns ─────▶ lines ─────▶ times ─────▶ steps ─────▶ recording
//! encoding,   which is the   numbers,     in order     on a grid    steps×values
//! separator   time, which    or nothing
//!             are features
//! ```
//!
//! In: a header with a name for each column, then lines: a time ([`crate::timestamp::parse_table_ms`] and
//! [`dates`] have the forms; one without a zone is of the zone that is told, or UTC, and that is said) and a
//! number for each feature ([`numbers`]). A cell that is empty, `NaN`, infinite or a word for nothing is a
//! missing value; infinite ones are counted. Lines may be in any order. Of lines that are one step the first
//! one counts, and every line knows its step. Out: a recording, and the features; a sentence is logged for
//! whatever was taken for something else than it says.
//!
//! Memory: that of the values, of which there are at most [`MAX_VALUES`]; twice that for lines out of order.

use std::path::Path;

use csv::StringRecord;
use ndarray::Array2;

use crate::duration::Duration;
use crate::features::{Counts, EntityRecording, FeatureSpec, Recording};
use crate::history::error::HistoryError;
use crate::labels::Labels;
use crate::timestamp::Zone;

mod columns;
mod dates;
mod folds;
mod incidents;
mod labels;
mod marked_lines;
mod numbers;
mod steps;
mod text;
mod times;

use columns::{Columns, TimeColumn};
pub use labels::{LabelTable, read_labels};
use numbers::Numbers;
use steps::Steps;
use text::Text;
use times::{Moment, Times};

/// Values of a file, at most: what 4 GiB hold as float32. A small compressed file may be endless.
const MAX_VALUES: usize = 1 << 30;

/// Steps of numbers that are no times of our years: longer ones may be seconds from any beginning, shorter
/// ones are numbers of rows or days.
const LEAST_STEP_MS: i64 = 2_000;

/// Reads a file, and logs what it was taken for. `zone` is that of times that do not say theirs.
pub(super) fn read(
    path: &Path,
    configured: &[FeatureSpec],
    zone: Option<&Zone>,
) -> Result<(Recording, Vec<FeatureSpec>), HistoryError> {
    let table = parse(path, configured, zone)?;
    for note in &table.notes {
        tracing::warn!("{}: {note}", path.display());
    }
    Ok((table.recording, table.features))
}

/// Calls back with the time of each line after the header, as it is written there.
///
/// # Errors
/// When the file can no longer be read.
pub fn each_time(path: &Path, each: &mut dyn FnMut(&str)) -> Result<(), HistoryError> {
    let mut text = Text::open(path)?;
    let mut record = StringRecord::new();
    let mut time = None;
    while text.next(&mut record)? {
        let column = match time {
            Some(column) => column,
            None => columns(&text, Some(&record), &[])?.time,
        };
        time = Some(column);
        each(&column.text(&record));
    }
    Ok(())
}

/// A file, and what it was taken for.
#[derive(Debug)]
struct Table {
    recording: Recording,
    features: Vec<FeatureSpec>,
    notes: Vec<String>,
}

fn parse(
    path: &Path,
    configured: &[FeatureSpec],
    zone: Option<&Zone>,
) -> Result<Table, HistoryError> {
    let mut text = Text::open(path)?;
    let mut record = StringRecord::new();
    let is_empty = !text.next(&mut record)?;
    let first = Some(&record).filter(|_| !is_empty);
    let columns = columns(&text, first, configured)?;
    let mut lines = Lines::new(&columns, text.has_decimal_commas(), zone);
    let Columns { features, mut notes, .. } = columns;
    let mut goes_on = !is_empty;
    while goes_on {
        lines.push(&text, &record).map_err(|it| text.wrong(it))?;
        goes_on = text.next(&mut record)?;
    }
    if !text.is_unicode {
        notes.push("the text is not UTF-8: it is taken as Windows-1252 (Latin-1)".to_owned());
    }
    let recording = lines.finish(&text, &mut notes)?;
    Ok(Table { recording, features, notes })
}

/// What the columns are, given the line below the header.
fn columns(
    text: &Text,
    first: Option<&StringRecord>,
    configured: &[FeatureSpec],
) -> Result<Columns, HistoryError> {
    Columns::new(&text.header, first, text.has_decimal_commas(), configured)
        .map_err(|it| text.wrong_header(it))
}

/// The lines so far, in the order of the file.
struct Lines {
    time: TimeColumn,
    /// The places of the columns that are features.
    places: Vec<usize>,
    decimal_commas: bool,
    times: Times,
    numbers: Numbers,
    /// Infinite ones, too.
    values: Vec<f32>,
    /// Of the first line and those that do not follow at the next one, where each is in the file.
    jumps: Vec<(usize, u64)>,
    /// The first time that is a number and none of our years.
    early: Option<(u64, String)>,
}

impl Lines {
    fn new(columns: &Columns, decimal_commas: bool, zone: Option<&Zone>) -> Self {
        Self {
            time: columns.time,
            places: columns.places.clone(),
            decimal_commas,
            times: Times::new(zone),
            numbers: Numbers::new(columns.places.len(), decimal_commas),
            values: Vec::new(),
            jumps: Vec::new(),
            early: None,
        }
    }

    /// Takes a line, which is as long as the header.
    fn push(&mut self, file: &Text, record: &StringRecord) -> Result<(), String> {
        let (header, line) = (&file.header, file.line);
        if self.values.len() + record.len() > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        let text = self.time.text(record);
        let moment = Moment::parse(&text, self.decimal_commas)?;
        if !moment.is_plausible() {
            if !(self.time.is_named && moment.is_early()) {
                return Err(columns::no_time(&header[self.time.place], &text));
            }
            self.early.get_or_insert_with(|| (line, text.to_string()));
        }
        if moment.is_number {
            self.numbers.see_time(&text);
        }
        let index = self.times.ms.len();
        self.times.push(moment, &text)?;
        let expected = self.jumps.last().map(|(at, first)| first + (index - at) as u64);
        if expected != Some(line) {
            self.jumps.push((index, line));
        }
        for (column, place) in self.places.iter().enumerate() {
            let text = &record[*place];
            let value = self.numbers.read(column, text, index, line).ok_or_else(|| {
                format!("column {:?} holds {text:?}, which is not a number", &header[*place])
            })?;
            self.values.push(value);
        }
        Ok(())
    }

    /// Where the line with this index is in the file.
    fn line(&self, index: usize) -> u64 {
        let (at, first) = self.jumps[self.jumps.partition_point(|(at, _)| *at <= index) - 1];
        first + (index - at) as u64
    }

    fn finish(mut self, text: &Text, notes: &mut Vec<String>) -> Result<Recording, HistoryError> {
        let header = &text.header;
        self.times.finish().map_err(|(index, it)| text.wrong_at(self.line(index), it))?;
        let order = times::ascending(&self.times.ms);
        let sorted: Option<Vec<i64>> =
            order.as_ref().map(|order| order.iter().map(|line| self.times.ms[*line]).collect());
        let times_ms = sorted.as_ref().unwrap_or(&self.times.ms);
        let Some(step_ms) = steps::common(times_ms) else {
            let few = "the file ends before there were two lines with values, and training needs some hundred";
            return Err(text.wrong(few.to_owned()));
        };
        let is_early = step_ms < LEAST_STEP_MS || step_ms % 1_000 != 0;
        if let Some((line, time)) = self.early.take().filter(|_| is_early) {
            let reason = columns::no_time(&header[self.time.place], &time);
            return Err(text.wrong_at(line, reason));
        }
        let steps = Steps::new(times_ms, step_ms);
        if order.is_some() {
            notes.push("the lines are not in order of time: they are sorted".to_owned());
        }
        self.describe(&steps, step_ms, notes);
        let names: Vec<&str> = self.places.iter().map(|place| &header[*place]).collect();
        let decided = self.numbers.decide(&names, &mut self.values, notes);
        decided.map_err(|(line, reason)| text.wrong_at(line, reason))?;
        Ok(self.recording(steps, step_ms, order.as_deref()))
    }

    /// Says what the times were taken for.
    fn describe(&self, steps: &Steps, step_ms: i64, notes: &mut Vec<String>) {
        let (step, most) = (Duration::from_ms(step_ms), Duration::from_ms(steps.most_ms));
        if self.times.are_taken_as_utc() {
            notes.push("the times have no zone: they are taken as UTC".to_owned());
        }
        if steps.moved > 0 {
            notes.push(format!(
                "{} of {} lines are up to {most} off the steps of {step}: they are taken as the \
                 nearest step",
                steps.moved,
                steps.of_line.len()
            ));
        }
        if steps.merged > 0 {
            notes.push(format!(
                "{} lines are the same step of {step} as a line before: they are left out",
                steps.merged
            ));
        }
        let pairs = steps.times_ms.len() - 1;
        if 2 * steps.follow < pairs {
            notes.push(format!(
                "the times are uneven: only {} of {pairs} steps are {step}, the most common distance, after the one \
                 before, and each other one is a gap: bring the lines to even steps first",
                steps.follow
            ));
        }
    }

    /// The steps, each with the values of its first line. `order` is that of the lines, if they had another.
    fn recording(self, steps: Steps, step_ms: i64, order: Option<&[usize]>) -> Recording {
        let Steps { times_ms, of_line, .. } = steps;
        let width = self.places.len();
        let mut values = match order {
            Some(_) => vec![0.0; times_ms.len() * width],
            None => Vec::new(),
        };
        let mut counts = Counts::none(width);
        counts.duplicated = of_line.len() - times_ms.len();
        let mut rows = vec![0; of_line.len()];
        let mut all = self.values;
        for (i, step) in of_line.iter().enumerate() {
            let line = order.map_or(i, |order| order[i]);
            rows[line] = *step;
            let is_first = i == 0 || of_line[i - 1] != *step;
            if !is_first {
                continue;
            }
            for (feature, value) in all[line * width..][..width].iter_mut().enumerate() {
                counts.infinite[feature] += usize::from(value.is_infinite());
                *value = if value.is_finite() { *value } else { f32::NAN };
            }
            match order {
                Some(_) => {
                    values[step * width..][..width].copy_from_slice(&all[line * width..][..width])
                }
                // No step is after its line.
                None => all.copy_within(line * width..(line + 1) * width, step * width),
            }
        }
        if order.is_none() {
            all.truncate(times_ms.len() * width);
            values = all;
        }
        let values = Array2::from_shape_vec((times_ms.len(), width), values);
        let values = values.expect("every line has every column");
        let entities = vec![EntityRecording::new(Labels::empty(), values)];
        let recording = Recording::new(times_ms, step_ms, vec![true; width], entities);
        Recording { counts, rows, ..recording }
    }
}

#[cfg(test)]
mod tests;
