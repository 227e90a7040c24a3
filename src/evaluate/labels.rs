//! A label: whether a step of an entity was anomalous, as people have marked it, in a CSV file.
//!
//! In: a header with the columns `timestamp` (RFC 3339, or seconds since 1970, possibly with a
//! fraction) and `label` (0 or 1), in any order and among others, then a line for each step in order
//! of time; compressed by gzip or not. Out: times and labels, in order of time, every
//! time once. A time that comes again with the same label counts once; with another one it is an
//! error.

use std::io::{Read, Take};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::files::open_table;
use crate::timestamp;

/// Bytes of a file after decompression, at most: some ten million lines, 19 years of minutes. A
/// small compressed file may be endless.
const MAX_BYTES: u64 = 256 << 20;

/// Why labels cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The file cannot be read.
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
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// It is longer than any labels are.
    #[error("{path} holds more than {max_bytes} bytes of labels; split it into shorter times")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit, after decompression.
        max_bytes: u64,
    },
    /// It holds a header and nothing else.
    #[error("{path} holds no labels; write a line for each step below the header")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file of labels: times in milliseconds since 1970, strictly ascending, and whether the
/// step was anomalous.
///
/// # Errors
/// When the file cannot be read, is longer than 256 MiB, has no labels, or a line is none.
pub fn read_labels(path: &Path) -> Result<Vec<(i64, bool)>, LabelsError> {
    let unreadable = |error: std::io::Error| LabelsError::Read {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    parse(path, open_table(path).map_err(unreadable)?, MAX_BYTES)
}

fn parse(path: &Path, input: impl Read, max_bytes: u64) -> Result<Vec<(i64, bool)>, LabelsError> {
    let wrong =
        |line: u64, reason: String| LabelsError::Line { path: path.to_path_buf(), line, reason };
    let failed = |error: csv::Error| match (error.position().map(csv::Position::line), error.kind())
    {
        (Some(line), csv::ErrorKind::UnequalLengths { expected_len, len, .. }) => {
            wrong(line, format!("{len} columns, the header has {expected_len}"))
        }
        (Some(line), csv::ErrorKind::Utf8 { err, .. }) => wrong(line, format!("no text: {err}")),
        _ => LabelsError::Read { path: path.to_path_buf(), reason: error.to_string() },
    };
    // One byte more than allowed tells a file that is too long from one that just fits.
    let limited: Take<_> = input.take(max_bytes.saturating_add(1));
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(limited);
    let too_long = || LabelsError::TooLong { path: path.to_path_buf(), max_bytes };
    let header = reader.headers().map_err(failed)?.clone();
    if reader.get_ref().limit() == 0 {
        return Err(too_long());
    }
    let columns = ["timestamp", "label"].map(|name| column(&header, name));
    let [time_at, label_at] = match columns {
        [Ok(time_at), Ok(label_at)] => [time_at, label_at],
        [Err(reason), _] | [_, Err(reason)] => return Err(wrong(1, reason)),
    };
    let mut labels: Vec<(i64, bool)> = Vec::new();
    let mut record = StringRecord::new();
    // A cut last line is no line: the limit is asked before an error of the line is told.
    loop {
        let read = reader.read_record(&mut record);
        if reader.get_ref().limit() == 0 {
            return Err(too_long());
        }
        if !read.map_err(failed)? {
            break;
        }
        let line = record.position().map_or(0, csv::Position::line);
        push(&mut labels, &record[time_at], &record[label_at])
            .map_err(|reason| wrong(line, reason))?;
    }
    match labels.is_empty() {
        true => Err(LabelsError::Empty { path: path.to_path_buf() }),
        false => Ok(labels),
    }
}

/// Where the column of this name is.
fn column(header: &StringRecord, name: &str) -> Result<usize, String> {
    let mut found = (0..header.len()).filter(|i| header[*i].eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (Some(_), Some(_)) => Err(format!("two columns are named {name:?}")),
        (None, _) => Err(format!(
            "no column is named {name:?}; begin the file with the line \"timestamp,label\""
        )),
    }
}

fn push(labels: &mut Vec<(i64, bool)>, time: &str, label: &str) -> Result<(), String> {
    let time_ms = timestamp::parse_table_ms(time).map_err(|error| error.to_string())?;
    let is_anomalous = match label.parse::<f64>() {
        Ok(0.0) => false,
        Ok(1.0) => true,
        _ => return Err(format!("the label {label:?} is neither 0 (normal) nor 1 (anomalous)")),
    };
    let last = labels.last().copied();
    let now = || timestamp::format_ms(time_ms);
    match last {
        Some((last_ms, _)) if time_ms < last_ms => {
            let last = timestamp::format_ms(last_ms);
            Err(format!(
                "the time {} is before {last}, that of the line before; sort the lines by time",
                now()
            ))
        }
        Some((last_ms, is_same)) if time_ms == last_ms => match is_same == is_anomalous {
            true => Ok(()),
            false => Err(format!("the time {} has both labels; keep one of the lines", now())),
        },
        _ => {
            labels.push((time_ms, is_anomalous));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const GOOD: &str =
        "Timestamp,who,label\n0,a, 0\n1970-01-01T00:01:00Z,b,1\n60,b,1.0\n\n120.5,,0\n";

    fn read_text(text: &[u8]) -> Result<Vec<(i64, bool)>, LabelsError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("written");
        read_labels(file.path())
    }

    #[track_caller]
    fn check_good(text: &[u8]) {
        let labels = read_text(text).expect("a good file");
        assert_eq!(labels, [(0, false), (60_000, true), (120_500, false)]);
    }

    #[track_caller]
    fn check_error(text: &[u8], expected: &str) {
        let error = read_text(text).expect_err("a refusal").to_string();
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn plain_and_compressed_files_are_read() {
        check_good(GOOD.as_bytes());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(GOOD.as_bytes()).expect("written");
        let bytes = gzip.finish().expect("compressed");
        check_good(&bytes);
        let truncated = read_text(&bytes[..bytes.len() / 2]).expect_err("half a file").to_string();
        assert!(truncated.starts_with("cannot read "), "{truncated}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let no_time = ", line 1: no column is named \"timestamp\"; begin the file with the line \"timestamp,label\"";
        check_error(b"", no_time);
        check_error(b"0,1\n60,1\n", no_time);
        check_error(b"timestamp,label,label\n", ", line 1: two columns are named \"label\"");
        check_error(
            b"timestamp,label\n",
            " holds no labels; write a line for each step below the header",
        );
        check_error(b"timestamp,label\n0,0\n60\n", ", line 3: 1 columns, the header has 2");
        for label in ["", "2", "yes", "NaN", "-1"] {
            let text = format!("timestamp,label\n0,1\n60,{label}\n");
            let expected =
                format!(", line 3: the label {label:?} is neither 0 (normal) nor 1 (anomalous)");
            check_error(text.as_bytes(), &expected);
        }
        check_error(
            b"timestamp,label\n60,1\n0,1\n",
            ", line 3: the time 1970-01-01T00:00:00Z is before 1970-01-01T00:01:00Z, that of the line before; sort the lines by time",
        );
        check_error(
            b"timestamp,label\n60,1\n60,0\n",
            ", line 3: the time 1970-01-01T00:01:00Z has both labels; keep one of the lines",
        );
        let error = read_text(b"timestamp,label\nsoon,1\n").expect_err("no time").to_string();
        assert!(error.contains(", line 2: \"soon\" is not a time"), "{error}");
        let error = read_text(b"timestamp,label\n\xff,1\n").expect_err("no text").to_string();
        assert!(error.contains(", line 2: no text: "), "{error}");
        let absent = read_labels(Path::new("/nowhere.csv")).expect_err("no file").to_string();
        assert!(absent.starts_with("cannot read /nowhere.csv: "), "{absent}");
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let text = "timestamp,label\n0,0\n60,1\n";
        let path = Path::new("labels.csv");
        let fits = parse(path, text.as_bytes(), text.len() as u64).expect("a file that just fits");
        assert_eq!(fits.len(), 2);
        let error = parse(path, text.as_bytes(), text.len() as u64 - 1).expect_err("too long");
        assert_eq!(
            error.to_string(),
            "labels.csv holds more than 24 bytes of labels; split it into shorter times"
        );
        let endless = parse(path, std::io::repeat(b'1'), 1_000).expect_err("an endless line");
        assert!(endless.to_string().contains("more than 1000 bytes"), "{endless}");
    }
}
