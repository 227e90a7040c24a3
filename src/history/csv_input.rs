//! A CSV file as a recording of one entity.
//!
//! In: a header with a name for each column, then lines: a time ([`timestamp::parse_table_ms`] has the
//! forms; one without a zone is UTC, and that is said) and a number for each feature. A cell that is empty,
//! `NaN`, infinite or one of the words for nothing ([`NOTHING`]) is a missing value; infinite ones are
//! counted. A column of labels ([`LABELS`]) is no feature: it is left out, and that is said. Of lines with the same time the first one counts,
//! and every line knows its step. A time that goes back is an error. The file may be compressed
//! by gzip. Out: a recording, and the features. The step is the most common distance.
//!
//! A column that is named as a configured feature is that feature, with its expression: history
//! exported from elsewhere trains a model that serves on live samples. Any other column becomes
//! the selector of a metric of that name. All columns are the entity's own but those of clocks.

use std::io::Read;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use ndarray::Array2;

use crate::features::{Counts, EntityRecording, Recording};
use crate::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK};
use crate::files::open_table;
use crate::labels::Labels;
use crate::timestamp;

/// Values of a file, at most: what 4 GiB hold as float32. A small compressed file may be endless.
const MAX_VALUES: usize = 1 << 30;

/// Bytes of one line, at most, taken as a mistake: a thousand features have some ten thousand.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// What tables write where there is no value, in lower case; `nan` is a number to begin with.
const NOTHING: [&str; 8] = ["", "null", "none", "n/a", "na", "-", r"\n", "undefined"];

/// The names, in lower case, of columns that say what was anomalous.
const LABELS: [&str; 6] = ["label", "labels", "anomaly", "anomalous", "is_anomaly", "is_anomalous"];

/// Why a file cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// It cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
    /// Something is wrong with a line.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

/// Reads a file.
pub(super) fn read(
    path: &Path,
    configured: &[FeatureSpec],
) -> Result<(Recording, Vec<FeatureSpec>), CsvError> {
    parse(path, open(path)?, configured)
}

/// Calls back with the time of each line after the header, as it is written there.
///
/// # Errors
/// When the file can no longer be read.
pub fn each_time(path: &Path, each: &mut dyn FnMut(&str)) -> Result<(), CsvError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path)?);
    let failed =
        |error: csv::Error| CsvError::Read { path: path.to_path_buf(), reason: error.to_string() };
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        each(&record[0]);
    }
    Ok(())
}

/// The text of a file, compressed by gzip or not.
fn open(path: &Path) -> Result<ShortLines<Box<dyn Read>>, CsvError> {
    let unreadable = |error: std::io::Error| CsvError::Read {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let input = open_table(path).map_err(unreadable)?;
    Ok(ShortLines { input, left: MAX_LINE_BYTES })
}

fn parse(
    path: &Path,
    input: impl Read,
    configured: &[FeatureSpec],
) -> Result<(Recording, Vec<FeatureSpec>), CsvError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let failed = |error: csv::Error| {
        let position = error.position().map(csv::Position::line);
        match (position, error.kind()) {
            (Some(line), csv::ErrorKind::UnequalLengths { expected_len, len, .. }) => {
                CsvError::Line {
                    path: path.to_path_buf(),
                    line,
                    reason: format!("{len} columns, the header has {expected_len}"),
                }
            }
            _ => CsvError::Read { path: path.to_path_buf(), reason: error.to_string() },
        }
    };
    let wrong =
        |line: u64, reason: String| CsvError::Line { path: path.to_path_buf(), line, reason };
    let header = reader.headers().map_err(failed)?.clone();
    let features = columns(&header, configured).map_err(|reason| wrong(1, reason))?;
    let taken: Vec<usize> =
        (1..header.len()).filter(|i| !is_label(&header[*i], configured)).collect();
    for label in (1..header.len()).filter(|i| !taken.contains(i)) {
        tracing::warn!(column = &header[label], "a column of labels is no feature: it is left out");
    }
    let mut lines = Lines::new(taken);
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        lines.push(&header, &record).map_err(|reason| wrong(line, reason))?;
    }
    let line = record.position().map_or(1, csv::Position::line);
    if lines.lacks_zone {
        tracing::info!("the times of the table have no zone: they are taken as UTC");
    }
    let mut recording = lines.finish().map_err(|reason| wrong(line, reason))?;
    let is_clock = |feature| TIME_OF_DAY.is(feature) || TIME_OF_WEEK.is(feature);
    recording.own = features.iter().map(|it| !is_clock(it)).collect();
    Ok((recording, features))
}

/// The lines so far.
struct Lines {
    /// The places of the columns that are features.
    taken: Vec<usize>,
    /// Whether a time does not say in which zone it is.
    lacks_zone: bool,
    times_ms: Vec<i64>,
    values: Vec<f32>,
    rows: Vec<usize>,
    counts: Counts,
}

impl Lines {
    fn new(taken: Vec<usize>) -> Self {
        let counts = Counts::none(taken.len());
        let (times_ms, values, rows) = (Vec::new(), Vec::new(), Vec::new());
        Self { taken, lacks_zone: false, times_ms, values, rows, counts }
    }

    /// Takes a line, which is as long as the header.
    fn push(&mut self, header: &StringRecord, record: &StringRecord) -> Result<(), String> {
        if self.values.len() + record.len() > MAX_VALUES || self.rows.len() >= MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        let time_ms = timestamp::parse_table_ms(&record[0]).map_err(|error| error.to_string())?;
        self.lacks_zone |= !timestamp::has_zone(&record[0]);
        let last_ms = self.times_ms.last().copied();
        if let Some(last_ms) = last_ms.filter(|last_ms| time_ms < *last_ms) {
            let (now, last) = (timestamp::format_ms(time_ms), timestamp::format_ms(last_ms));
            return Err(format!("the time {now} is before {last}, that of the line before"));
        }
        let is_duplicate = last_ms == Some(time_ms);
        for (feature, column) in self.taken.iter().enumerate() {
            let text = &record[*column];
            let value = number(text).ok_or_else(|| {
                format!("column {:?} holds {text:?}, which is no number", &header[*column])
            })?;
            if !is_duplicate {
                self.counts.infinite[feature] += usize::from(value.is_infinite());
                self.values.push(if value.is_finite() { value } else { f32::NAN });
            }
        }
        match is_duplicate {
            true => self.counts.duplicated += 1,
            false => self.times_ms.push(time_ms),
        }
        self.rows.push(self.times_ms.len() - 1);
        Ok(())
    }

    fn finish(self) -> Result<Recording, String> {
        let Some(step_ms) = most_common_step(&self.times_ms) else {
            return Err("the file ends before there were two lines with values, and training needs some hundred".to_owned());
        };
        let features = self.counts.infinite.len();
        let values = Array2::from_shape_vec((self.times_ms.len(), features), self.values);
        let values = values.expect("every line has every column");
        let entities = vec![EntityRecording::new(Labels::empty(), values)];
        let recording = Recording::new(self.times_ms, step_ms, vec![true; features], entities);
        Ok(Recording { counts: self.counts, rows: self.rows, ..recording })
    }
}

fn columns(header: &StringRecord, configured: &[FeatureSpec]) -> Result<Vec<FeatureSpec>, String> {
    if header.len() < 2 {
        return Err("expected a column of times and then one for each feature".to_owned());
    }
    // A file without a header would lose its first line in silence.
    if timestamp::parse_table_ms(&header[0]).is_ok() {
        return Err("expected the names of the columns, found a time".to_owned());
    }
    let mut features: Vec<FeatureSpec> = Vec::with_capacity(header.len() - 1);
    for (i, name) in header.iter().enumerate().skip(1) {
        if name.is_empty() {
            return Err(format!("column {} has no name", i + 1));
        }
        if is_label(name, configured) {
            continue;
        }
        if features.iter().any(|it| it.name == name) {
            return Err(format!("two columns are named {name:?}"));
        }
        let known = configured.iter().find(|it| it.name == name);
        features.push(known.cloned().unwrap_or_else(|| FeatureSpec::new(name, selector(name))));
    }
    match features.is_empty() {
        true => Err("expected a column of times and then one for each feature".to_owned()),
        false => Ok(features),
    }
}

/// Whether a column says what was anomalous, unless a feature has its name.
fn is_label(name: &str, configured: &[FeatureSpec]) -> bool {
    let is_known = configured.iter().any(|it| it.name == name);
    !is_known && LABELS.contains(&name.to_ascii_lowercase().as_str())
}

/// PromQL for the metric of this name.
fn selector(name: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let starts_well = name.starts_with(|c: char| is_word(c) && !c.is_ascii_digit());
    if starts_well && name.chars().all(is_word) {
        name.to_owned()
    } else {
        format!("{{__name__={name:?}}}")
    }
}

/// NaN for a missing value, nothing for what is no number.
fn number(text: &str) -> Option<f32> {
    match text.parse::<f64>() {
        Ok(value) => Some(value as f32),
        Err(_) => NOTHING.contains(&text.to_ascii_lowercase().as_str()).then_some(f32::NAN),
    }
}

fn most_common_step(times_ms: &[i64]) -> Option<i64> {
    let mut steps: Vec<i64> = times_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    let runs = steps.chunk_by(|a, b| a == b);
    // The shortest of equally common ones.
    runs.rev().max_by_key(|run| run.len()).map(|run| run[0])
}

/// Input that ends in an error when a line is too long to be one.
struct ShortLines<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.input.read(buffer)?;
        match buffer[..len].iter().rposition(|byte| *byte == b'\n') {
            Some(end) => self.left = MAX_LINE_BYTES - (len - end) as u64,
            None => self.left = self.left.saturating_sub(len as u64),
        }
        if self.left == 0 {
            let reason = format!("a line has more than {MAX_LINE_BYTES} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Missing;
    use std::io::Write;

    fn read_text(text: &[u8]) -> Result<(Recording, Vec<FeatureSpec>), CsvError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("written");
        let configured = [FeatureSpec::new("cpu", "rate(cpu[5m])").or(Missing::Hold)];
        read(file.path(), &configured)
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = read_text(text.as_bytes()).expect_err("a refusal").to_string();
        assert!(error.ends_with(expected), "{error}");
    }

    const GOOD: &str =
        "timestamp,cpu,a b\n0,1,2.5\n15.0,NaN,\n1970-01-01T00:00:30Z, -1e3 ,+Inf\n61,4,5\n";

    #[track_caller]
    fn check_good(text: &[u8]) {
        let (recording, features) = read_text(text).expect("a good file");
        assert_eq!(recording.times_ms, [0, 15_000, 30_000, 61_000]);
        assert_eq!(recording.step_ms, 15_000);
        assert_eq!(recording.counts, Counts { infinite: vec![0, 1], ..Counts::none(2) });
        assert_eq!(recording.rows, [0, 1, 2, 3]);
        let values = &recording.entities[0].values;
        assert_eq!((values[[0, 1]], values[[2, 0]], values[[3, 1]]), (2.5, -1000.0, 5.0));
        assert!(values[[1, 0]].is_nan() && values[[1, 1]].is_nan() && values[[2, 1]].is_nan());
        assert_eq!(features[0].expr, "rate(cpu[5m])");
        assert_eq!(features[0].missing, Missing::Hold);
        assert_eq!(features[1], FeatureSpec::new("a b", r#"{__name__="a b"}"#));
    }

    #[test]
    fn plain_and_compressed_files_are_read() {
        check_good(GOOD.as_bytes());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(GOOD.as_bytes()).expect("written");
        let bytes = gzip.finish().expect("compressed");
        check_good(&bytes);
        let truncated = read_text(&bytes[..bytes.len() / 2]).expect_err("half a file");
        assert!(truncated.to_string().starts_with("cannot read "), "{truncated}");
    }

    #[test]
    fn words_for_nothing_are_missing_values() {
        for word in ["", "NaN", "null", "NULL", "None", "N/A", "na", "-", "\\N", "undefined"] {
            let text = format!("t,cpu,b\n0,1,2\n60,{word},3\n");
            let values = &read_text(text.as_bytes()).expect("a good file").0.entities[0].values;
            assert!(values[[1, 0]].is_nan() && values[[1, 1]] == 3.0, "{word}");
        }
        check_error(
            "t,cpu\n0,1\n60,no\n",
            ", line 3: column \"cpu\" holds \"no\", which is no number",
        );
    }

    #[test]
    fn labels_are_no_features() {
        let text = b"Time,cpu,Is_Anomaly,b,label\n0,1,false,2,x\n60,3,true,4,y\n";
        let (recording, features) = read_text(text).expect("a good file");
        let names: Vec<&str> = features.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["cpu", "b"]);
        assert_eq!(recording.entities[0].values, ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(recording.counts, Counts::none(2));
        check_error(
            "t,label\n0,1\n",
            ", line 1: expected a column of times and then one for each feature",
        );
        // A feature of that name is one.
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"t,label\n0,1\n60,2\n").expect("written");
        let (_, features) = read(file.path(), &[FeatureSpec::new("label", "x")]).expect("good");
        assert_eq!(features[0].expr, "x");
    }

    #[test]
    fn times_are_taken_in_any_unit_and_without_a_zone() {
        for times in [
            ["1795428900", "1795428960"],
            ["1795428900000", "1795428960000"],
            ["2026-11-23 10:15", "2026-11-23 10:16"],
            ["2026-11-23 10:15:00 UTC", "2026-11-23T11:16:00+0100"],
        ] {
            let text = format!("t,cpu\n{},1\n{},2\n", times[0], times[1]);
            let recording = read_text(text.as_bytes()).expect("a good file").0;
            assert_eq!(recording.times_ms, [1_795_428_900_000, 1_795_428_960_000], "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        check_error("", ", line 1: expected a column of times and then one for each feature");
        check_error("t\n1\n", ", line 1: expected a column of times and then one for each feature");
        check_error("0,1\n1,2\n", ", line 1: expected the names of the columns, found a time");
        check_error("t,a,a\n", ", line 1: two columns are named \"a\"");
        check_error("t,a,\n", ", line 1: column 3 has no name");
        check_error("t,a\n0,1\n1,x\n", ", line 3: column \"a\" holds \"x\", which is no number");
        check_error("t,a\n0,1\n1,1,1\n", ", line 3: 3 columns, the header has 2");
        check_error(
            "t,a\n5,1\n4,1\n",
            ", line 3: the time 1970-01-01T00:00:04Z is before 1970-01-01T00:00:05Z, that of the line before",
        );
        check_error("t,a\n5,1\n5,x\n", ", line 3: column \"a\" holds \"x\", which is no number");
        let error = read_text(b"t,a\nsoon,1\n").expect_err("no time").to_string();
        assert!(error.contains(", line 2: \"soon\" is not a time"), "{error}");
        let error = read_text(b"t,a\n5,1\n").expect_err("one line").to_string();
        assert!(error.contains("before there were two lines"), "{error}");
        let absent = read(Path::new("/nowhere.csv"), &[]).expect_err("no file");
        assert!(absent.to_string().starts_with("cannot read /nowhere.csv: "), "{absent}");
    }

    #[test]
    fn a_clock_is_not_the_entitys_own() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"t,a,time_of_day\n0,1,0\n60,2,0\n").expect("written");
        let own =
            |configured: &[FeatureSpec]| read(file.path(), configured).expect("a good file").0.own;
        assert_eq!(own(&[TIME_OF_DAY.spec()]), [true, false]);
        assert_eq!(own(&[]), [true, true], "a metric of that name");
    }

    #[test]
    fn of_lines_with_the_same_time_the_first_counts() {
        let text = "t,a\n10,1\n10,inf\n20,2\n30,1e300\n30,4\n30,5\n40,-inf\n";
        let (recording, _) = read_text(text.as_bytes()).expect("a good file");
        assert_eq!(recording.times_ms, [10_000, 20_000, 30_000, 40_000]);
        assert_eq!(recording.rows, [0, 0, 1, 2, 2, 2, 3]);
        assert_eq!(
            recording.counts,
            Counts { duplicated: 3, infinite: vec![2], ..Counts::none(1) }
        );
        let values = recording.entities[0].values.column(0).to_vec();
        assert_eq!(values[..2], [1.0, 2.0]);
        assert!(values[2].is_nan() && values[3].is_nan());
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut text = b"t,a\n0,".to_vec();
        text.resize(MAX_LINE_BYTES as usize + 100, b'1');
        let error = read_text(&text).expect_err("an endless line").to_string();
        assert!(error.contains("a line has more than"), "{error}");
    }

    #[test]
    fn a_column_becomes_a_selector_that_promql_reads() {
        for name in ["cpu_r", "a:b", "9lives", "a b", "ü", "q\"uote\\"] {
            let text = selector(name);
            assert!(crate::promql::Expr::parse(&text).is_ok(), "{text}");
        }
        assert_eq!(selector("cpu_r"), "cpu_r");
    }
}
