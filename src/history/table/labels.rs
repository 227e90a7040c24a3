//! Labels: what people have marked as anomalous, in a table.
//!
//! In: a table ([`super`]) whose header says what its lines are. With a column of starts and one of ends
//! each line is an incident ([`super::incidents`]). With a column of times and one named as labels are
//! ([`LABELS`]) each is a step, and its label is 0 or 1, `false` or `true`; lines may be in any order. Columns
//! may stand in any place and among others; those that are named as an entity label say whose a line is, and
//! an empty cell says nothing. Out: incidents; or times and labels by whose they are, in order of time, every
//! time once. A time that comes again with the same label counts once; with another one it is an error.
//!
//! Memory: some 40 bytes a line, of which there are at most [`MAX_LINES`].

use std::collections::HashMap;
use std::path::Path;

use csv::StringRecord;

use super::columns::{LABELS, TimeColumn, time_column};
use super::incidents::{self, Ends};
use super::marked_lines::{BEGIN, Owners, Taken, line, too_long};
use super::numbers::number;
use super::text::Text;
use super::times::{Moment, Times};
use crate::history::error::HistoryError;
use crate::history::marks::{LabelledSteps, Marks};
use crate::labels::Labels;
use crate::timestamp::{self, Zone};

/// Lines of a file, at most: 19 years of minutes. A small compressed file may be endless.
const MAX_LINES: usize = 10_000_000;

/// A file of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelTable {
    /// What it marks.
    pub marks: Marks,
    /// Sentences: what the file was taken for, and which of its columns are not looked at.
    pub notes: Vec<String>,
}

/// Reads a file of labels. `zone` is that of times that do not say theirs, `entity` are the labels that
/// may say whose a line is.
///
/// # Errors
/// When the file cannot be read, has more than ten million lines, no column of times or of labels, or a line
/// that is neither a label nor an incident; and when it is one of steps and has none.
pub fn read_labels(
    path: &Path,
    zone: Option<&Zone>,
    entity: &[String],
) -> Result<LabelTable, HistoryError> {
    read(path, zone, entity, MAX_LINES)
}

fn read(
    path: &Path,
    zone: Option<&Zone>,
    entity: &[String],
    max_lines: usize,
) -> Result<LabelTable, HistoryError> {
    let text = Text::open(path)?;
    let owners = Owners::new(&text.header, entity);
    let ends = Ends::of(&text.header).map_err(|it| text.wrong_header(it))?;
    let (marks, mut notes, are_utc) = match ends {
        Some(ends) => incidents::read(text, ends, &owners, zone, max_lines)?,
        None => steps(text, &owners, zone, max_lines)?,
    };
    if are_utc {
        notes.push("the times have no zone: they are taken as UTC".to_owned());
    }
    Ok(LabelTable { marks, notes })
}

/// A line: what, and where in the file.
type Label = (bool, u32);

fn steps(
    mut text: Text,
    owners: &Owners,
    zone: Option<&Zone>,
    max_lines: usize,
) -> Result<Taken, HistoryError> {
    let mut record = StringRecord::new();
    let mut goes_on = text.next(&mut record)?;
    let first = goes_on.then_some(&record);
    let at = places(&text, first).map_err(|it| text.wrong_header(it))?;
    let mut of_owner: HashMap<Labels, usize> = HashMap::new();
    let mut all: Vec<(Labels, Times, Vec<Label>)> = Vec::new();
    let mut lines = 0;
    while goes_on {
        if lines == max_lines {
            return Err(too_long(&text, max_lines));
        }
        let owner = owners.labels(&record);
        let place = *of_owner.entry(owner).or_insert_with_key(|owner| {
            all.push((owner.clone(), Times::new(zone), Vec::new()));
            all.len() - 1
        });
        let (_, times, labels) = &mut all[place];
        let is_anomalous =
            label(times, &record, at, text.has_decimal_commas()).map_err(|it| text.wrong(it))?;
        labels.push((is_anomalous, line(&text)));
        lines += 1;
        goes_on = text.next(&mut record)?;
    }
    if lines == 0 {
        return Err(text.wrong("no labels; write a line for each step below the header".to_owned()));
    }
    let are_utc = all.iter().any(|(_, times, _)| times.are_taken_as_utc());
    let columns = owners.names(&text.header, &[at.0.place, at.1]);
    let note = format!("the file has a label for each of {lines} steps, by its columns {columns}");
    let sorted = all.into_iter().map(|(owner, times, labels)| {
        let steps = in_order(times, &labels);
        let steps = steps.map_err(|(line, reason)| text.wrong_at(line.into(), reason))?;
        Ok(LabelledSteps { owner, steps })
    });
    Ok((Marks::Steps(sorted.collect::<Result<_, HistoryError>>()?), vec![note], are_utc))
}

/// Where the times and the labels are.
fn places(text: &Text, first: Option<&StringRecord>) -> Result<(TimeColumn, usize), String> {
    let header = &text.header;
    let is_label = |i: &usize| LABELS.contains(&header[*i].to_ascii_lowercase().as_str());
    let mut found = (0..header.len()).filter(is_label);
    let label_at = match (found.next(), found.next()) {
        (Some(at), None) => at,
        (Some(one), Some(other)) => {
            return Err(format!(
                "columns {:?} and {:?} are both of labels: leave one out",
                &header[one], &header[other]
            ));
        }
        (None, _) => return Err(format!("no column is named \"label\"; {BEGIN}")),
    };
    match time_column(header, first, text.has_decimal_commas())? {
        time if time.place == label_at => Err(format!("no column is of times; {BEGIN}")),
        time => Ok((time, label_at)),
    }
}

/// Takes the time of a line, and reads its label.
fn label(
    times: &mut Times,
    record: &StringRecord,
    (time, label_at): (TimeColumn, usize),
    decimal_commas: bool,
) -> Result<bool, String> {
    let time = time.text(record);
    times.push(Moment::parse(&time, decimal_commas)?, &time)?;
    let text = &record[label_at];
    match number(text, decimal_commas) {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        None if text.eq_ignore_ascii_case("false") => Ok(false),
        None if text.eq_ignore_ascii_case("true") => Ok(true),
        _ => Err(format!("the label {text:?} is neither 0 (normal) nor 1 (anomalous)")),
    }
}

/// Labels by time, each time once; or the line that is wrong, and why.
fn in_order(mut times: Times, labels: &[Label]) -> Result<Vec<(i64, bool)>, (u32, String)> {
    times.finish().map_err(|(index, reason)| (labels[index].1, reason))?;
    let times_ms = &times.ms;
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|index| times_ms[*index]);
    let mut sorted: Vec<(i64, bool)> = Vec::with_capacity(order.len());
    for index in order {
        let ((is_anomalous, line), time_ms) = (labels[index], times_ms[index]);
        match sorted.last() {
            Some((last_ms, _)) if *last_ms != time_ms => sorted.push((time_ms, is_anomalous)),
            None => sorted.push((time_ms, is_anomalous)),
            Some((_, other)) if *other == is_anomalous => {}
            Some(_) => {
                let time = timestamp::format_ms(time_ms);
                let reason = format!("the time {time} has both labels; keep one of the lines");
                return Err((line, reason));
            }
        }
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read_text(text: &[u8], max_lines: usize) -> Result<Vec<(i64, bool)>, HistoryError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("written");
        read(file.path(), None, &[], max_lines).map(of_everyone)
    }

    /// The steps of a table that says of none whose they are.
    fn of_everyone(table: LabelTable) -> Vec<(i64, bool)> {
        match table.marks {
            Marks::Steps(mut all) if all.len() == 1 && all[0].owner.is_empty() => {
                all.remove(0).steps
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[(i64, bool)]) {
        assert_eq!(read_text(text.as_bytes(), 10).expect("a good file"), expected, "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = read_text(text.as_bytes(), 10).expect_err("a refusal").to_string();
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn labels_are_read_from_any_table() {
        let expected = [(0, false), (60_000, true), (120_500, false)];
        check(
            "Timestamp,who,label\n0,a, 0\n1970-01-01T00:01:00Z,b,1\n60,b,1.0\n\n120.5,,0\n",
            &expected,
        );
        // As pandas writes them, and a spreadsheet; newest first.
        check("time,is_anomaly\n0,False\n60,True\n120.5,False\n", &expected);
        check("sep=;\ntime;label\n120,5;0,0\n60;1,0\n0;0\n", &expected);
        check("label\tts\n0\t120.5\n1\t60\n0\t0\n", &expected);
        // A date and a time of day, with the month first, which the last line tells.
        let days = [(86_400_000, false), (1_122_540_000, true)];
        check("label,Date,Time\n0,1/2/1970,0:00\n1,1/13/1970,23:49\n", &days);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let begin = "begin the file with the line \"timestamp,label\", or with \"start,end\" where each line \
                     is an incident";
        check_error("", &format!(", line 1: no column is named \"label\"; {begin}"));
        check_error("0,1\n60,1\n", &format!(", line 1: no column is named \"label\"; {begin}"));
        check_error(
            "label\n1\n",
            "seconds from 0 may stand there, too, where their steps are of 2s and more",
        );
        check_error(
            "timestamp,label,Anomaly\n",
            ", line 1: columns \"label\" and \"Anomaly\" are both of labels: leave one out",
        );
        check_error(
            "timestamp,label\n",
            ": no labels; write a line for each step below the header",
        );
        check_error("timestamp,label\n0,0\n60\n", ", line 3: 1 columns, the header has 2");
        for label in ["", "2", "yes", "NaN", "-1"] {
            let expected =
                format!(", line 3: the label {label:?} is neither 0 (normal) nor 1 (anomalous)");
            check_error(&format!("timestamp,label\n0,1\n60,{label}\n"), &expected);
        }
        check_error(
            "timestamp,label\n60,1\n0,0\n60,0\n",
            ", line 4: the time 1970-01-01T00:01:00Z has both labels; keep one of the lines",
        );
        let error = read_text(b"timestamp,label\nsoon,1\n", 10).expect_err("no time").to_string();
        assert!(error.contains(", line 2: \"soon\" is not a time"), "{error}");
        let absent =
            read_labels(Path::new("/nowhere.csv"), None, &[]).expect_err("no file").to_string();
        assert!(absent.starts_with("cannot read /nowhere.csv: "), "{absent}");
    }

    #[test]
    fn columns_that_are_named_as_entity_labels_say_whose_a_line_is() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let text = "time,Instance,note,label\n0,b,x,1\n60,a,,0\n0,a,,1\n0,,,0\n60,b,,0\n";
        file.write_all(text.as_bytes()).expect("written");
        let entity = ["job", "instance"].map(str::to_owned);
        let table = read(file.path(), None, &entity, 10).expect("labels");
        let of = |name: &str, steps: &[(i64, bool)]| LabelledSteps {
            owner: Labels::from_pairs([("instance", name)]).expect("one name"),
            steps: steps.to_vec(),
        };
        let expected = [
            of("b", &[(0, true), (60_000, false)]),
            of("a", &[(0, true), (60_000, false)]),
            of("", &[(0, false)]),
        ];
        assert_eq!(table.marks, Marks::Steps(expected.to_vec()));
        let note = "the file has a label for each of 5 steps, by its columns time, Instance, label";
        assert_eq!(table.notes, [note]);
    }

    #[test]
    fn an_hour_that_comes_again_is_named() {
        let minutes = (0..180).chain(120..300);
        let lines: String =
            minutes.map(|it| format!("2026-10-25 {:02}:{:02},0\n", it / 60, it % 60)).collect();
        let error = read_text(format!("time,label\n{lines}").as_bytes(), 1_000)
            .expect_err("which of two hours")
            .to_string();
        assert!(
            error.contains(", line 182: the time goes back to 2026-10-25T02:00:00 "),
            "{error}"
        );
    }

    #[test]
    fn a_zone_that_is_named_tells_both_hours() {
        let zone: Zone = "Europe/Berlin".parse().expect("a zone");
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let text = "time,label\n2026-10-25 01:00,0\n2026-10-25 02:00,1\n2026-10-25 02:00,0\n2026-10-25 03:00,0\n";
        file.write_all(text.as_bytes()).expect("written");
        let labels = of_everyone(read(file.path(), Some(&zone), &[], 10).expect("labels"));
        let first_ms = timestamp::parse_ms("2026-10-24T23:00:00Z").expect("a time");
        let expected = [false, true, false, false].into_iter().enumerate();
        let expected = expected.map(|(hour, is)| (first_ms + 3_600_000 * hour as i64, is));
        assert_eq!(labels, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let text = b"timestamp,label\n0,0\n60,1\n";
        assert_eq!(read_text(text, 2).expect("a file that just fits").len(), 2);
        let error = read_text(text, 1).expect_err("too long").to_string();
        let expected = ", line 3: more than 1 lines of labels; split the file into shorter times";
        assert!(error.ends_with(expected), "{error}");
    }
}
