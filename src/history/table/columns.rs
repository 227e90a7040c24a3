//! The columns of a table: which holds the times, which are features, and which are left out.
//!
//! In: the header, the first line, and the features that are configured. Out: the place of the times, the
//! features with their places, and a sentence for each column of which the user may expect something else.
//!
//! Two columns that are named as date and time, and begin with a date alone and a time of day, are the
//! times together. Else the times are in the column that has a name for it ([`TIMES`]), or that begins with
//! a date; a number is a time without such a name only in the first column and if it is one of our years. A
//! column that is named as a configured feature is that feature, with its expression, so that history
//! exported from elsewhere trains a model for live samples. Any other name is taken as a selector of live
//! samples (`node_load1`, `node_load1{mode="idle"}`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use csv::StringRecord;

use super::times::Moment;
use crate::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK};
use crate::promql::parse_selector;

/// The names of columns of times, in lower case and of letters and digits alone (`Date/Time`, `@timestamp`).
const TIMES: [&str; 19] = [
    "time",
    "times",
    "timestamp",
    "timestamps",
    "date",
    "datetime",
    "ts",
    "ds",
    "t",
    "epoch",
    "unixtime",
    "unixtimestamp",
    "timems",
    "timestampms",
    "timens",
    "timestampns",
    "timeutc",
    "timestamputc",
    "datetimeutc",
];

/// The names of columns of dates beside which another one has the time of day, likewise.
const DATES: [&str; 2] = ["date", "day"];

/// The names of columns of times of day beside one of dates, likewise.
const CLOCKS: [&str; 2] = ["time", "clock"];

/// The names, in lower case, of columns that say what was anomalous.
pub(super) const LABELS: [&str; 6] =
    ["label", "labels", "anomaly", "anomalous", "is_anomaly", "is_anomalous"];

/// The numbers that spreadsheets have for the days from 1954 to 2119.
const SPREADSHEET_DAYS: std::ops::Range<f64> = 20_000.0..80_000.0;

/// What the columns are.
#[derive(Debug)]
pub(super) struct Columns {
    /// Where the times are.
    pub time: TimeColumn,
    /// The features.
    pub features: Vec<FeatureSpec>,
    /// For each feature the place of its column.
    pub places: Vec<usize>,
    /// What the user is told.
    pub notes: Vec<String>,
}

/// Where the times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeColumn {
    /// The place of the times, or of the dates.
    pub place: usize,
    /// The place of the times of day, where these are in a column of their own.
    pub clock: Option<usize>,
    /// Whether the column is named as one of times.
    pub is_named: bool,
}

impl TimeColumn {
    /// The time of a line, as it is written there.
    pub fn text<'a>(&self, record: &'a StringRecord) -> Cow<'a, str> {
        match self.clock {
            None => Cow::Borrowed(&record[self.place]),
            Some(clock) => {
                Cow::Owned(format!("{} {}", &record[self.place], &record[clock]).trim().to_owned())
            }
        }
    }

    fn has(&self, place: usize) -> bool {
        self.place == place || self.clock == Some(place)
    }
}

impl Columns {
    /// Takes a header apart; `first` is the line below it.
    pub fn new(
        header: &StringRecord,
        first: Option<&StringRecord>,
        decimal_commas: bool,
        configured: &[FeatureSpec],
    ) -> Result<Self, String> {
        let too_few = || {
            "expected a column of times and then one for each feature, separated by commas, semicolons or tabs".to_owned()
        };
        if header.len() < 2 {
            return Err(too_few());
        }
        // A file without a header would lose its first line in silence.
        if Moment::parse(&header[0], decimal_commas).is_ok() {
            return Err("expected the names of the columns, found a time".to_owned());
        }
        let time = time_column(header, first, decimal_commas)?;
        let (features, places) = (Vec::new(), Vec::new());
        let mut columns = Self { time, features, places, notes: Vec::new() };
        columns.add_features(header, configured)?;
        match columns.features.is_empty() {
            true => Err(too_few()),
            false => Ok(columns),
        }
    }

    fn add_features(
        &mut self,
        header: &StringRecord,
        configured: &[FeatureSpec],
    ) -> Result<(), String> {
        let known: HashMap<&str, &FeatureSpec> =
            configured.iter().rev().map(|it| (it.name.as_str(), it)).collect();
        let (time, mut names) = (self.time, HashSet::new());
        let mut nameless = Vec::new();
        for (place, name) in header.iter().enumerate().filter(|(place, _)| !time.has(*place)) {
            if name.is_empty() && place == 0 {
                let note = "the first column has no name and is not the times: it is left out";
                self.notes.push(note.to_owned());
                continue;
            }
            if name.is_empty() {
                return Err(format!("column {} has no name", place + 1));
            }
            if !names.insert(name) {
                return Err(format!("two columns are named {name:?}"));
            }
            let known = known.get(name).copied();
            let is_clock = [TIME_OF_DAY, TIME_OF_WEEK]
                .iter()
                .any(|clock| name == clock.name && known.is_none_or(|known| clock.is(known)));
            if is_clock {
                self.notes.push(format!(
                    "column {name:?} is left out: every model computes it from the times"
                ));
                continue;
            }
            if let Some(known) = known {
                self.features.push(known.clone());
            } else if LABELS.contains(&name.to_ascii_lowercase().as_str()) {
                self.notes
                    .push(format!("column {name:?} holds labels, not a feature: it is left out"));
                continue;
            } else {
                let (expr, is_live) = selector(name);
                if !is_live {
                    nameless.push(name);
                }
                self.features.push(FeatureSpec::new(name, expr));
            }
            self.places.push(place);
        }
        self.notes.extend(nothing_live(&nameless));
        Ok(())
    }
}

/// Where the times are.
pub(super) fn time_column(
    header: &StringRecord,
    first: Option<&StringRecord>,
    decimal_commas: bool,
) -> Result<TimeColumn, String> {
    if let Some(both) = date_and_clock(header, first, decimal_commas) {
        return Ok(both);
    }
    let alone = |place, is_named| TimeColumn { place, clock: None, is_named };
    let named: Vec<usize> =
        (0..header.len()).filter(|place| is_of_times(&header[*place])).collect();
    let moment = |place: usize| first.map(|it| Moment::parse(&it[place], decimal_commas));
    let is_plausible = |place: usize| matches!(moment(place), Some(Ok(it)) if it.is_plausible());
    let is_date = |place: usize| matches!(moment(place), Some(Ok(it)) if !it.is_number);
    if let Some(place) = named.iter().find(|place| is_plausible(**place)) {
        return Ok(alone(*place, true));
    }
    if let Some(place) = (0..header.len()).find(|place| is_date(*place)) {
        return Ok(alone(place, false));
    }
    if let Some(place) = named.first() {
        return Ok(alone(*place, true));
    }
    match first {
        Some(first) if !is_plausible(0) => Err(format!(
            "no column is named as one of times or begins with a date, and {}",
            no_time(&header[0], &first[0])
        )),
        _ => Ok(alone(0, false)),
    }
}

/// A column of dates and one of times of day, which are the times together.
fn date_and_clock(
    header: &StringRecord,
    first: Option<&StringRecord>,
    decimal_commas: bool,
) -> Option<TimeColumn> {
    let one_of = |names: &[&str]| {
        (0..header.len()).find(|place| names.contains(&letters(&header[*place]).as_str()))
    };
    let (first, place, clock) = (first?, one_of(&DATES)?, one_of(&CLOCKS)?);
    let both = TimeColumn { place, clock: Some(clock), is_named: true };
    let is_day = |text: &str| Moment::parse(text, decimal_commas).ok().map(|it| it.is_day);
    let are_both = is_day(&first[place]) == Some(true) && is_day(&both.text(first)) == Some(false);
    are_both.then_some(both)
}

/// Why a column is not the times, and what is expected.
pub(super) fn no_time(name: &str, text: &str) -> String {
    let looks = match text.replace(',', ".").parse::<f64>() {
        Ok(days) if SPREADSHEET_DAYS.contains(&days) => "a spreadsheet's number of days",
        Ok(number) if number.fract() == 0.0 => "the number of a row",
        _ => "no time",
    };
    format!(
        "column {name:?} holds {text:?}, which looks like {looks}: write times as \
         2026-11-23T10:15:00Z or in seconds since 1970 (of the years 2000 to 2100) into a column named \
         \"timestamp\"; seconds from 0 may stand there, too, where their steps are of 2s and more"
    )
}

fn is_of_times(name: &str) -> bool {
    TIMES.contains(&letters(name).as_str())
}

/// The letters and digits of a name, in lower case.
fn letters(name: &str) -> String {
    name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// PromQL for what has this name, and whether live samples can have it.
fn selector(name: &str) -> (String, bool) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let metric = name.split_once('{').map_or(name, |(metric, _)| metric.trim_end());
    let starts_well = metric.starts_with(|c: char| is_word(c) && !c.is_ascii_digit());
    let is_live = starts_well && metric.chars().all(is_word) && parse_selector(name).is_ok();
    match is_live {
        true => (name.to_owned(), true),
        false => (format!("{{__name__={name:?}}}"), false),
    }
}

/// That nothing live can feed these columns.
fn nothing_live(names: &[&str]) -> Option<String> {
    let [first, others @ ..] = names else { return None };
    let more = match others.len() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!(
        "nothing live can feed column {first:?}{more}: its name is neither a metric's nor a selector; \
         the model will score tables, and for live samples name it as a feature of the configuration"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str, first: &str, configured: &[FeatureSpec]) -> Result<Columns, String> {
        let record = |text: &str| -> StringRecord { text.split('|').collect() };
        let first = Some(record(first)).filter(|it| it.len() > 1);
        Columns::new(&record(header), first.as_ref(), false, configured)
    }

    /// Where the times and the features are.
    #[track_caller]
    fn check(header: &str, first: &str, time: usize, places: &[usize], note: &str) {
        let columns = columns(header, first, &[]).expect(header);
        assert_eq!((columns.time.place, columns.places.as_slice()), (time, places), "{header}");
        let notes = columns.notes.join("\n");
        assert!(notes.contains(note) && (note.is_empty() == notes.is_empty()), "{header}: {notes}");
    }

    #[test]
    fn the_times_are_found_by_name_or_by_their_looks() {
        for name in
            ["time", "Time", "timestamp", "Date/Time", "date", "ts", "ds", "@timestamp", "_time"]
        {
            check(&format!("{name}|a"), "1795428900|1", 0, &[1], "");
            check(&format!("a|{name}"), "1|2026-11-23 10:15|", 1, &[0], "");
        }
        let left_out = "the first column has no name and is not the times: it is left out";
        check("|timestamp|a", "0|1795428900|1", 1, &[2], left_out);
        check("|when|a", "0|2026-11-23 10:15:00|1", 1, &[2], left_out);
        check("|a", "1795428900|1", 0, &[1], "");
        check("Day|a", "25.11.2026|1", 0, &[1], "");
        check("when|a", "2026-11-23 10:15:00|1", 0, &[1], "");
        // Where one that is named so begins with no time, and another one with a date.
        check("when|t|a", "2026-11-23 10:15:00|21.5|1", 0, &[1, 2], "");
        // Seconds from 0: of these the steps decide.
        check("time|a", "0|1", 0, &[1], "");
        check("a|node_boot_time_seconds", "", 0, &[1], "");
    }

    #[test]
    fn a_date_and_a_time_of_day_are_the_times_together() {
        for (header, first, expected) in [
            ("Date|Time|a", "2026-11-23|10:15|1", (0, Some(1))),
            ("a|DAY|time", "1|23.11.2026|10:15:00", (1, Some(2))),
            ("time|a|date", "9:15 AM|1|11/23/2026", (2, Some(0))),
            // One has both; the other one is a feature.
            ("date|time|a", "2026-11-23 10:15|17|1", (0, None)),
            ("date|time|a", "2026-11-23|17|1", (0, None)),
            ("day|time|a", "3|2026-11-23 10:15|1", (1, None)),
            ("date|hour|a", "2026-11-23|10|1", (0, None)),
        ] {
            let found = columns(header, first, &[]).expect(header);
            assert_eq!((found.time.place, found.time.clock), expected, "{header}");
            let width = header.split('|').count();
            let others: Vec<usize> = (0..width).filter(|it| !found.time.has(*it)).collect();
            assert_eq!(found.places, others, "{header}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_column_and_value() {
        for (header, first, expected) in [
            ("|a", "0|1", "column \"\" holds \"0\", which looks like the number of a row: write"),
            (
                "day|a",
                "45000.5|1",
                "column \"day\" holds \"45000.5\", which looks like a spreadsheet's",
            ),
            (
                "a|boot",
                "0.5|1795428900",
                "column \"a\" holds \"0.5\", which looks like no time: write",
            ),
            ("who|a", "me|1", "column \"who\" holds \"me\", which looks like no time: write"),
        ] {
            let error = columns(header, first, &[]).expect_err(header);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn some_columns_are_no_features() {
        check(
            "t|a|Is_Anomaly|b|label",
            "1795428900|1|x|1|0",
            0,
            &[1, 3],
            "holds labels, not a feature",
        );
        let clock = "column \"time_of_day\" is left out: every model computes it from the times";
        check("t|a|time_of_day", "1795428900|1|0", 0, &[1], clock);
        let known = [FeatureSpec::new("label", "x"), TIME_OF_DAY.spec()];
        let columns = columns("t|label|time_of_day", "1795428900|1|0", &known).expect("a feature");
        assert_eq!(
            (columns.features.as_slice(), columns.places.as_slice()),
            (&known[..1], &[1][..])
        );
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        let too_few = "expected a column of times and then one for each feature";
        for (header, expected) in [
            ("", too_few),
            ("t", too_few),
            ("t|label", too_few),
            ("0|1", "expected the names of the columns, found a time"),
            ("t|a|a", "two columns are named \"a\""),
            ("t|a||b", "column 3 has no name"),
        ] {
            let error = columns(header, "", &[]).expect_err(header);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_name_is_a_selector_that_promql_reads() {
        for (name, is_live) in [
            ("cpu_r", true),
            ("a:b", true),
            ("node_load1{mode=\"idle\"}", true),
            ("node_load1{mode=~\"idle|user\", cpu!=\"0\"}", true),
            ("node_load1{mode=idle}", false),
            ("node_load1{mode=\"idle\"}[5m]", false),
            ("node_load1{} offset 5m", false),
            ("{mode=\"idle\"}", false),
            ("cpu-idle", false),
            ("9lives", false),
            ("a b", false),
            ("ü", false),
            ("q\"uote\\", false),
        ] {
            let (expr, found) = selector(name);
            assert_eq!((found, expr == name), (is_live, is_live), "{name}");
            assert!(crate::promql::Expr::parse(&expr).is_ok(), "{expr}");
        }
        let note = "nothing live can feed column \"a b\" (and 1 more)";
        check("t|a b|c|cpu %", "1795428900|1|2|3", 0, &[1, 2, 3], note);
    }

    #[test]
    fn a_hundred_thousand_columns_are_no_work() {
        let names: Vec<String> = (0..100_000).map(|i| format!("a{i}")).collect();
        let header: StringRecord =
            ["t"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let known: Vec<FeatureSpec> = names.iter().map(|it| FeatureSpec::new(it, "x")).collect();
        let columns = Columns::new(&header, None, false, &known).expect("many");
        assert_eq!(columns.features.len(), 100_000);
        assert_eq!(columns.features[99_999].expr, "x");
    }
}
