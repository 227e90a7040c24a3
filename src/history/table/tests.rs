//! Tables as people export them: what each becomes, or the sentence that refuses it.

use std::io::Write;
use std::path::Path;

use super::*;
use crate::features::Missing;
use crate::timestamp;

fn parsed(bytes: &[u8]) -> Result<Table, HistoryError> {
    parsed_in(bytes, None)
}

fn parsed_in(bytes: &[u8], zone: Option<&str>) -> Result<Table, HistoryError> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    let configured = [FeatureSpec::new("cpu", "rate(cpu[5m])").or(Missing::Hold)];
    let zone: Option<Zone> = zone.map(|it| it.parse().expect(it));
    parse(file.path(), &configured, zone.as_ref())
}

/// A column `a` with the numbers of the lines from 0 on, and these times.
fn lines(times: &[&str]) -> String {
    let lines = times.iter().enumerate().map(|(i, time)| format!("{time},{i}\n"));
    format!("time,a\n{}", lines.collect::<String>())
}

/// The steps in seconds since `FIRST_S`, the value of `a` at each, and the step of each line.
type Outcome<'a> = (&'a [f64], &'a [f32], &'a [usize]);

const FIRST_S: i64 = 1_795_428_900;

#[track_caller]
fn check_times(times: &[&str], (seconds, values, rows): Outcome<'_>, notes: &[&str]) {
    let table = parsed(lines(times).as_bytes()).expect("a good file");
    let found = table.recording.times_ms.iter().map(|it| (it - 1_000 * FIRST_S) as f64 / 1_000.0);
    assert_eq!(found.collect::<Vec<_>>(), seconds, "{times:?}");
    assert_eq!(table.recording.entities[0].values.column(0).to_vec(), values, "{times:?}");
    assert_eq!(table.recording.rows, rows, "{times:?}");
    assert_eq!(table.recording.counts.duplicated, times.len() - seconds.len());
    assert_eq!(table.notes.len(), notes.len(), "{times:?}: {:?}", table.notes);
    for (found, expected) in table.notes.iter().zip(notes) {
        assert!(found.contains(expected), "{found}");
    }
}

#[track_caller]
fn check_error(bytes: impl AsRef<[u8]>, expected: &str) {
    let parsed = parsed(bytes.as_ref()).map(|table| table.notes);
    let error = parsed.expect_err("a refusal").to_string();
    assert!(error.contains(expected), "{error}");
}

const UTC: &str = "the times have no zone: they are taken as UTC";
const SORTED: &str = "the lines are not in order of time: they are sorted";

#[test]
fn times_become_steps() {
    let three: Outcome<'_> = (&[0.0, 60.0, 120.0], &[0.0, 1.0, 2.0], &[0, 1, 2]);
    let reversed: Outcome<'_> = (&[0.0, 60.0, 120.0], &[2.0, 1.0, 0.0], &[2, 1, 0]);
    for (times, outcome, notes) in [
        // As they are written.
        (&["1795428900", "1795428960", "1795429020"][..], three, &[][..]),
        (&["1795428900000", "1795428960000", "1795429020000"], three, &[]),
        (&["1795428900000000", "1795428960000000", "1795429020000000"], three, &[]),
        (&["2026-11-23 10:15", "2026-11-23 10:16", "2026-11-23 10:17"], three, &[UTC]),
        (&["2026-11-23 10:15", "23.11.2026 10:16", "2026/11/23 10:17:00"], three, &[UTC]),
        (&["23/11/2026 10:15", "23/11/2026 10:16", "23-11-2026 10:17"], three, &[UTC]),
        (&["11/23/2026 10:15 AM", "11/23/2026 10:16 AM", "11/23/2026 10:17 AM"], three, &[UTC]),
        (&["2026-11-23T10:15:00Z", "2026-11-23T11:16:00+01:00", "1795429020"], three, &[]),
        // Newest first, and out of order.
        (&["1795429020", "1795428960", "1795428900"], reversed, &[SORTED]),
        (
            &["1795428900", "1795429020", "1795428960", "1795429080"],
            (&[0.0, 60.0, 120.0, 180.0], &[0.0, 2.0, 1.0, 3.0], &[0, 2, 1, 3]),
            &[SORTED],
        ),
        (
            &["1795429020", "1795428900", "1795428900", "1795428960"],
            (&[0.0, 60.0, 120.0], &[1.0, 3.0, 0.0], &[2, 0, 0, 1]),
            &[SORTED],
        ),
        // Of lines with the same time the first counts.
        (
            &["1795428900", "1795428900", "1795428960", "1795429020", "1795429020"],
            (&[0.0, 60.0, 120.0], &[0.0, 2.0, 3.0], &[0, 0, 1, 2, 2]),
            &[],
        ),
        // Stamps of scrapes.
        (
            &["1795428900.703", "1795428960.702", "1795429020.703", "1795429080.704"],
            (&[0.703, 60.703, 120.703, 180.703], &[0.0, 1.0, 2.0, 3.0], &[0, 1, 2, 3]),
            &["2 of 4 lines are up to 1ms off the steps of 1m: they are taken as the nearest"],
        ),
        (
            &["1795428900", "1795428960", "1795428970", "1795429021", "1795429080", "1795429140"],
            (&[0.0, 60.0, 120.0, 180.0, 240.0], &[0.0, 1.0, 3.0, 4.0, 5.0], &[0, 1, 1, 2, 3, 4]),
            &["1 of 6 lines are up to 1s off", "1 lines are the same step of 1m as a line"],
        ),
        // Beyond what is mended.
        (
            &["1795428900", "1795428960", "1795429260", "1795429320", "1795430000", "1795431000"],
            (
                &[0.0, 60.0, 360.0, 420.0, 1100.0, 2100.0],
                &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
                &[0, 1, 2, 3, 4, 5],
            ),
            &["only 2 of 5 steps are 1m, the most common distance"],
        ),
    ] {
        check_times(times, outcome, notes);
    }
}

/// The times of a table of these lines.
fn times_ms(header: &str, lines: &[&str]) -> Vec<i64> {
    let text = format!("{header}\n{}\n", lines.join("\n"));
    let table = parsed(text.as_bytes()).expect(&text);
    let names: Vec<&str> = table.features.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a"], "{text}");
    table.recording.times_ms
}

fn moments(texts: &[&str]) -> Vec<i64> {
    texts.iter().map(|it| timestamp::parse_table_ms(it).expect("a time")).collect()
}

#[test]
fn dates_are_told_by_the_whole_table() {
    for (header, lines, expected) in [
        // A date and a time of day in columns of their own.
        (
            "Date,Time,a",
            &["2026-11-23,10:15,1", "2026-11-23,10:16,2"][..],
            &["2026-11-23 10:15", "2026-11-23 10:16"][..],
        ),
        (
            "time;a;day",
            &["9:05;1;05.11.2026", "9:06;2;05.11.2026"],
            &["2026-11-05 09:05", "2026-11-05 09:06"],
        ),
        // Days alone begin at midnight.
        ("date,a", &["2026-11-25,1", "2026-11-26,2"], &["2026-11-25 00:00", "2026-11-26 00:00"]),
        ("date,a", &["30.11.2026,1", "01.12.2026,2"], &["2026-11-30 00:00", "2026-12-01 00:00"]),
        // What is first in 01/12 is told by a line further down, or before.
        (
            "date,a",
            &["11/12/2026,1", "12/12/2026,2", "13/12/2026,3"],
            &["2026-12-11 00:00", "2026-12-12 00:00", "2026-12-13 00:00"],
        ),
        (
            "t,a",
            &["12/12/2026 23:00,1", "12/13/2026 0:00,2", "12/13/2026 1:00,3"],
            &["2026-12-12 23:00", "2026-12-13 00:00", "2026-12-13 01:00"],
        ),
        (
            "date,a",
            &["11/30/2026,1", "12/01/2026,2", "12/02/2026,3"],
            &["2026-11-30 00:00", "2026-12-01 00:00", "2026-12-02 00:00"],
        ),
        // The same day either way.
        ("t,a", &["5/5/2026 9:05,1", "5/5/2026 9:06,2"], &["2026-05-05 09:05", "2026-05-05 09:06"]),
    ] {
        assert_eq!(times_ms(header, lines), moments(expected), "{header} {lines:?}");
    }
}

#[test]
fn dates_that_may_be_two_days_or_a_mixture_are_refused() {
    for (times, expected) in [
        (
            &["05/11/2026 10:15", "05/11/2026 10:16"][..],
            ", line 2: the time \"05/11/2026 10:15\" may have the day or the month first, and no line has a \
             part above 12, which would tell: write dates as 2026-11-23",
        ),
        (
            &["5/5/2026", "6/5/2026"],
            ", line 3: the time \"6/5/2026\" may have the day or the month first",
        ),
        (
            &["25/11/2026", "11/26/2026"],
            ", line 3: the time \"11/26/2026\" has the month first, and a line before has the day first",
        ),
        (
            &["2026-11-25", "2026-11-26 10:15"],
            ", line 3: the time \"2026-11-26 10:15\" is more than a date, and those before are dates alone",
        ),
        (
            &["2026-11-25 10:15", "2026-11-26"],
            ", line 3: the time \"2026-11-26\" is a date alone, and those before have a time of day: write",
        ),
        (&["2026-11-25", "31.11.2026"], ", line 3: \"31.11.2026\" is not a time"),
    ] {
        check_error(lines(times), expected);
    }
    // Where a line leaves out the time of day.
    let text = "Date,Time,a\n2026-11-25,10:15,1\n2026-11-25,,2\n";
    check_error(
        text,
        ", line 3: the time \"2026-11-25\" is a date alone, and those before have a time",
    );
}

#[test]
fn what_is_no_time_is_named() {
    let expected = "write times as 2026-11-23T10:15:00Z or in seconds since 1970";
    for (text, sentence) in [
        (",a\n0,1\n1,2\n", ", line 1: no column is named as one of times"),
        (",a\n0,1\n1,2\n", expected),
        (
            &lines(&["0", "1", "2"]),
            ", line 2: column \"time\" holds \"0\", which looks like the number of a row",
        ),
        (
            &lines(&["45000.5", "45000.50069", "45000.50139"]),
            "looks like a spreadsheet's number of days",
        ),
        (&lines(&["1795428900", "5795428960"]), ", line 3: column \"time\" holds \"5795428960\""),
        (&lines(&["1795428900", "soon"]), ", line 3: \"soon\" is not a time"),
        ("when,a\n2026-11-23 10:15,1\n7,2\n", ", line 3: column \"when\" holds \"7\""),
    ] {
        check_error(text, sentence);
    }
    // Seconds from any beginning, where the column says that they are times.
    let table = parsed(lines(&["0", "60", "120"]).as_bytes()).expect("a good file");
    assert_eq!((table.recording.times_ms[2], table.recording.step_ms), (120_000, 60_000));
}

#[test]
fn an_hour_that_comes_again_is_named() {
    let time = |minute: i64| {
        timestamp::format_ms(1_000 * FIRST_S + 60_000 * minute).trim_end_matches('Z').to_owned()
    };
    let text = |minutes: &mut dyn Iterator<Item = i64>, zone: &str| {
        let lines = minutes.map(|minute| format!("{}{zone},{minute}\n", time(minute)));
        format!("time,a\n{}", lines.collect::<String>())
    };
    let expected = ", line 182: the time goes back to 2026-11-23T12:15:00 and an hour comes again";
    check_error(text(&mut (0..180).chain(120..300), ""), expected);
    let newest_first = text(&mut (120..300).rev().chain((0..180).rev()), "");
    check_error(newest_first, ", line 181: the time goes back to 2026-11-23T12:15:00 and");
    // With a zone they are two files of which one ends later than the other one begins.
    let table = parsed(text(&mut (0..180).chain(120..300), "Z").as_bytes()).expect("a good file");
    assert_eq!((table.recording.times_ms.len(), table.recording.counts.duplicated), (300, 60));
}

#[test]
fn a_zone_that_is_named_is_that_of_times_without_one() {
    let berlin = Some("Europe/Berlin");
    for (zone, times, expected) in [
        (
            berlin,
            &["2026-07-01 10:15", "2026-07-01 10:16"][..],
            &["2026-07-01 08:15", "2026-07-01 08:16"][..],
        ),
        (
            Some("UTC"),
            &["2026-07-01 10:15", "2026-07-01 10:16"],
            &["2026-07-01 10:15", "2026-07-01 10:16"],
        ),
        (
            Some("Asia/Kolkata"),
            &["1/7/2026 10:15", "13/7/2026 10:15"],
            &["2026-07-01 04:45", "2026-07-13 04:45"],
        ),
        // Those that have a zone ignore it.
        (berlin, &["1795428900", "1795428960"], &["2026-11-23 10:15", "2026-11-23 10:16"]),
        (
            berlin,
            &["2026-07-01T10:15Z", "2026-07-01T12:16:00+02:00", "2026-07-01 12:17"],
            &["2026-07-01 10:15", "2026-07-01 10:16", "2026-07-01 10:17"],
        ),
        // An hour that comes twice, and one that is left out.
        (
            berlin,
            &["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 03:00"],
            &["2026-10-24 23:00", "2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00"],
        ),
        (
            berlin,
            &["2026-03-29 01:00", "2026-03-29 03:00", "2026-03-29 04:00"],
            &["2026-03-29 00:00", "2026-03-29 01:00", "2026-03-29 02:00"],
        ),
    ] {
        let table = parsed_in(lines(times).as_bytes(), zone).expect("a good file");
        assert_eq!(table.recording.times_ms, moments(expected), "{times:?}");
        assert!(!table.notes.iter().any(|it| it.contains("zone")), "{:?}", table.notes);
    }
}

#[test]
fn times_that_a_zone_does_not_have_are_named() {
    for (zone, times, expected) in [
        (
            Some("Europe/Berlin"),
            &["2026-03-29 01:30", "2026-03-29 02:30"][..],
            ", line 3: 2026-03-29T02:30:00 does not exist in Europe/Berlin, as clocks are set forward there",
        ),
        (
            Some("Europe/Berlin"),
            &[
                "2026-10-25 02:00",
                "2026-10-25 02:00",
                "2026-10-25 02:00",
                "2026-10-25 03:00",
                "2026-10-25 04:00",
            ],
            ", line 4: 2026-10-25T02:00:00 comes twice in Europe/Berlin, as clocks are set back, and the lines",
        ),
        (
            Some("Europe/Berlin"),
            &["1970-01-01 00:30", "1970-01-01 00:31"],
            ", line 2: the time is before 1970",
        ),
        (
            Some("America/New_York"),
            &[
                "2026-10-25 02:00",
                "2026-10-25 02:30",
                "2026-10-25 02:00",
                "2026-10-25 02:30",
                "2026-10-25 03:00",
            ],
            ", line 4: the time goes back to 2026-10-25T06:00:00Z and an hour comes again, when clocks of \
             America/New_York are not set back",
        ),
        (
            None,
            &["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 03:00"],
            ", line 4: the hour 2026-10-25T02:00:00 comes again, as where a clock is set back at the end of \
             summer time: export the times in UTC or with their zone (2026-10-25T02:00:00+01:00), or name it \
             (--timezone Europe/Berlin)",
        ),
    ] {
        let error = parsed_in(lines(times).as_bytes(), zone).map(|table| table.notes);
        let error = error.expect_err("a refusal").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

const GOOD: &str =
    "timestamp,cpu,a b\n0,1,2.5\n15.0,NaN,\n1970-01-01T00:00:30Z, -1e3 ,+Inf\n61,4,5\n";

#[track_caller]
fn check_good(bytes: &[u8]) {
    let Table { recording, features, .. } = parsed(bytes).expect("a good file");
    assert_eq!(recording.times_ms, [0, 15_000, 30_000, 60_000]);
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
    let commas = GOOD.replace(',', ";").replace("2.5", "2,5").replace("15.0", "15,0");
    check_good(format!("sep=;\n{commas}").as_bytes());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(GOOD.as_bytes()).expect("written");
    let bytes = gzip.finish().expect("compressed");
    check_good(&bytes);
    let truncated = parsed(&bytes[..bytes.len() / 2]).expect_err("half a file");
    assert!(truncated.to_string().starts_with("cannot read "), "{truncated}");
}

#[test]
fn words_for_nothing_are_missing_values() {
    for word in ["", "NaN", "null", "NULL", "None", "N/A", "na", "-", "\\N", "undefined"] {
        let text = format!("t,cpu,b\n0,1,2\n60,{word},3\n");
        let values = &parsed(text.as_bytes()).expect("a good file").recording.entities[0].values;
        assert!(values[[1, 0]].is_nan() && values[[1, 1]] == 3.0, "{word}");
    }
}

#[test]
fn what_is_no_number_is_named() {
    for (text, expected) in [
        ("t,a\n0,1\n60,x\n", ", line 3: column \"a\" holds \"x\", which is not a number"),
        ("t,a\n60,1\n60,x\n", ", line 3: column \"a\" holds \"x\", which is not a number"),
        ("t,a\n60,\"1,5\"\n", ", line 2: column \"a\" holds \"1,5\", which is not a number"),
        (
            "t,a\n60,\"1.234,5\"\n",
            ", line 2: column \"a\" holds \"1.234,5\", which is not a number",
        ),
        ("t;a\n60;1.23,5\n", ", line 2: column \"a\" holds \"1.23,5\", which is not a number"),
        ("sep=;\nt;a\n60;1,2,3\n", ", line 3: column \"a\" holds \"1,2,3\", which is not a number"),
        ("t,a\n60,1\n", ", line 3: the file ends before there were two lines"),
        ("t,a\n", ", line 2: the file ends before there were two lines"),
        ("", ", line 1: expected a column of times and then one for each feature"),
    ] {
        check_error(text, expected);
    }
    let absent = read(Path::new("/nowhere.csv"), &[], None).expect_err("no file");
    assert!(absent.to_string().starts_with("cannot read /nowhere.csv: "), "{absent}");
}

/// A table with a column for each of these, of so many cells, and another comma or semicolon.
fn of_columns(separator: &str, columns: &[&[&str]]) -> String {
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let mut text = format!("time{separator}{}\n", names.join(separator));
    for (line, _) in columns[0].iter().enumerate() {
        let cells = columns.iter().map(|column| match column[line].contains(separator) {
            true => format!("\"{}\"", column[line]),
            false => column[line].to_owned(),
        });
        let cells: Vec<String> = cells.collect();
        text.push_str(&format!("{}{separator}{}\n", 60 * line, cells.join(separator)));
    }
    text
}

#[test]
fn marks_between_thousands_are_told_from_decimal_ones() {
    const AS_DECIMALS: &str = "column \"c0\" has three decimals throughout, as in";
    let thousands = [1_234.0, 999.0, 12_345.0];
    let decimals = [1.234, 999.0, 12.345];
    for (separator, columns, expected, note) in [
        // A cell of the column has both marks, or two of one.
        (";", &[&["1.234", "999", "12.345,0"][..]][..], thousands, ""),
        ("\t", &[&["1.234", "999,00", "12.345"]], thousands, ""),
        (";", &[&["1.234", "999", "12.345"], &["1", "2", "1.234.567"]], thousands, ""),
        (",", &[&["1,234", "999", "12,345.00"]], thousands, ""),
        (";", &[&["1,234", "999", "12,345.0"]], thousands, ""),
        (",", &[&["1,234", "999", "12,345"], &["1", "1,234,567", "2"]], thousands, ""),
        // Another column has decimals.
        (";", &[&["1.234", "999", "12.345"], &["1", "0,5", "2"]], thousands, ""),
        (",", &[&["1,234", "999", "12,345"], &["1", "0.5", "2"]], thousands, ""),
        (";", &[&["1.234", "999", "12.345"], &["1", "0.5", "2"]], decimals, ""),
        (";", &[&["1,234", "999", "12,345"], &["1", "0,5", "2"]], decimals, ""),
        // The column has decimals of another kind than other columns.
        (";", &[&["1.234", "999.0", "12.345"], &["1", "0,5", "2"]], decimals, ""),
        (";", &[&["1,234", "999,0", "12,345"], &["1", "0.5", "2"]], decimals, ""),
        // Where a comma separates cells, a point is decimal.
        (",", &[&["1.234", "999", "12.345"]], decimals, ""),
        // Nothing has another number of decimals.
        (";", &[&["1.234", "999.000", "12.345"]], decimals, AS_DECIMALS),
        (";", &[&["1,234", "999,000", "12,345"]], decimals, AS_DECIMALS),
        // A thousand without a mark.
        (";", &[&["1.234", "1999", "12.345"]], [1.234, 1_999.0, 12.345], ""),
    ] {
        let text = of_columns(separator, columns);
        let table = parsed(text.as_bytes()).expect(&text);
        let found = table.recording.entities[0].values.column(0).to_vec();
        assert_eq!(found, expected, "{text}");
        let notes: Vec<&String> = table.notes.iter().filter(|it| it.contains("decimal")).collect();
        assert_eq!(notes.len(), usize::from(!note.is_empty()), "{text}: {notes:?}");
        assert!(notes.iter().all(|it| it.starts_with(note)), "{text}: {notes:?}");
    }
}

#[test]
fn times_that_are_numbers_tell_what_is_decimal() {
    let text = "time;a\n1795428900,5;1.234\n1795428960,5;999\n";
    let values = &parsed(text.as_bytes()).expect("a good file").recording.entities[0].values;
    assert_eq!(values.column(0).to_vec(), [1_234.0, 999.0]);
}

#[test]
fn a_number_that_may_be_two_is_refused() {
    for (separator, columns, line, cell) in [
        // Nothing tells.
        (";", &[&["999", "1.234", "12.345"][..]][..], 3, "1.234"),
        (";", &[&["999", "1,234", "12,345"]], 3, "1,234"),
        (",", &[&["999", "12,345", "1,234"]], 3, "12,345"),
        (",", &[&["1,234", "2,345", "3,456"]], 2, "1,234"),
        // The column tells both, or the other columns do.
        (";", &[&["0,5", "0.5", "1.234"]], 4, "1.234"),
        (";", &[&["1.234", "0,5", "0.5"]], 2, "1.234"),
        (";", &[&["1.234", "1", "1"], &["0,5", "1", "1"], &["0.5", "1", "1"]], 2, "1.234"),
        // Commas are decimal elsewhere, but here is a thousand without a mark.
        (";", &[&["1999", "1.234", "1"], &["0,5", "1", "1"]], 3, "1.234"),
    ] {
        let whole = cell.replace(['.', ','], "");
        let expected = format!(
            ", line {line}: column \"c0\" holds \"{cell}\", which may be {whole} or a number with three \
             decimals, and the other cells do not tell: write {whole}, without a mark between thousands"
        );
        check_error(of_columns(separator, columns), &expected);
    }
}

#[test]
fn what_was_left_out_or_taken_for_something_else_is_told() {
    for (bytes, note) in [
        (&b"t,a,label\n0,1,x\n60,2,y\n"[..], "column \"label\" holds labels, not a feature"),
        (b"t,a,time_of_day\n0,1,0\n60,2,0\n", "column \"time_of_day\" is left out"),
        (b"t,a b\n0,1\n60,2\n", "nothing live can feed column \"a b\""),
        (b"t,a,Ger\xe4t\n0,1,2\n60,2,3\n", "it is taken as Windows-1252 (Latin-1)"),
    ] {
        let table = parsed(bytes).expect("a good file");
        assert!(table.notes.iter().any(|it| it.contains(note)), "{:?}", table.notes);
        assert_eq!(table.recording.own, vec![true; table.features.len()]);
    }
}

#[test]
fn infinite_values_are_counted_where_they_count() {
    let text = "t,a\n10,1\n10,inf\n20,2\n30,1e300\n30,4\n30,5\n40,-inf\n";
    let recording = parsed(text.as_bytes()).expect("a good file").recording;
    assert_eq!(recording.rows, [0, 0, 1, 2, 2, 2, 3]);
    assert_eq!(recording.counts, Counts { duplicated: 3, infinite: vec![2], ..Counts::none(1) });
    let values = recording.entities[0].values.column(0).to_vec();
    assert_eq!(values[..2], [1.0, 2.0]);
    assert!(values[2].is_nan() && values[3].is_nan());
}

#[test]
fn scores_name_the_times_as_the_file_does() {
    for (text, expected) in [
        ("a,time\n1,1795428900\n2,1795428960\n", ["1795428900", "1795428960"]),
        (
            "date;a;time\n23.11.2026;1;9:15\n23.11.2026;2;9:16\n",
            ["23.11.2026 9:15", "23.11.2026 9:16"],
        ),
        ("sep=;\ntime;a\n1795428900,5;1\n1795428960,5;2\n", ["1795428900,5", "1795428960,5"]),
    ] {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let mut found = Vec::new();
        each_time(file.path(), &mut |time| found.push(time.to_owned())).expect("readable");
        assert_eq!(found, expected);
    }
}
