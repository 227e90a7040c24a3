//! A moment as people write it: RFC 3339 (`2026-11-23T10:15:00Z`) or seconds since 1970; and where it
//! is in the calendar.
//!
//! In: text, or a number. Out: milliseconds since 1970-01-01T00:00:00Z, and back; year, month, day and
//! time of day. It knows no clock, and no time zone but the offset in the text and those of [`Zone`].
//!
//! The calendar is jiff's, which no other room names. Two things are done here. jiff's years end at
//! 9999, while PromQL asks for the year of any number: as the calendar repeats after 400 years, every
//! moment is moved into the first 400 from 1970 on, and the years that this took are added again. And
//! jiff reads more than RFC 3339 (`2026-11-23T10Z`, a zone's name in brackets), so that the form is
//! looked at before.
//!
//! Source: RFC 3339 section 5.6.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

mod zone;

pub use zone::{Moments, WallClock, Zone, ZoneError};

/// The last moment of year 9999: as far as RFC 3339 can write.
pub const LAST_MS: i64 = 253_402_300_799_999;
/// Years after which the calendar repeats, as they are whole weeks, too.
const CYCLE_YEARS: i64 = 400;
const CYCLE_SECONDS: i64 = 146_097 * 86_400;
/// Where time is counted from.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// The least numbers that are nanoseconds, microseconds and milliseconds since 1970 (all are three years
/// later), and how many of them are a millisecond.
const UNITS: [(f64, f64); 3] = [(1e17, 1e6), (1e14, 1e3), (1e11, 1.0)];
/// Dates and times with whole seconds, in which `0` is any digit.
const FORMS: [&str; 2] = ["0000-00-00T00:00:00", "0000-00-00 00:00:00"];
/// Digits of a fraction of a second that are read. There may be more.
const FRACTION_DIGITS: usize = 9;

/// Why a text is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time; write RFC 3339 (\"2026-11-23T10:15:00Z\") or seconds since 1970 (\"1795428900.5\")"
)]
pub struct TimestampError(String);

/// A moment in the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year. The one before year 1 is 0.
    pub year: i64,
    /// Month, day, day of the week and time, in a year from 1970 to 2369 in which they are the same.
    pub in_cycle: DateTime,
}

impl Civil {
    /// So many seconds after 1970 began.
    #[must_use]
    pub fn of_seconds(seconds: i64) -> Self {
        let moment = Timestamp::from_second(seconds.rem_euclid(CYCLE_SECONDS));
        let in_cycle = Offset::UTC.to_datetime(moment.expect("jiff knows the years up to 9999"));
        let cycles = seconds.div_euclid(CYCLE_SECONDS);
        Self { year: CYCLE_YEARS * cycles + i64::from(in_cycle.year()), in_cycle }
    }
}

/// Reads RFC 3339 or seconds since 1970, possibly with a fraction, which is rounded to milliseconds.
///
/// # Errors
/// For anything else, and for moments outside of the years 1970 to 9999.
pub fn parse_ms(text: &str) -> Result<i64, TimestampError> {
    parse(text, rfc3339_ms)
}

/// As [`parse_ms`], and also what tables hold: times without seconds (`2026-11-23 10:15`), with ` UTC` or
/// `+0000` for a zone, or without one (see [`has_zone`]), which are taken for UTC; and milliseconds,
/// microseconds and nanoseconds since 1970, which no table of seconds gets to before the year 5138.
///
/// # Errors
/// As [`parse_ms`].
pub fn parse_table_ms(text: &str) -> Result<i64, TimestampError> {
    let number = text.trim().parse::<f64>().ok().filter(|it| it.is_finite());
    let unit = number.and_then(|it| UNITS.iter().find(|(least, _)| it >= *least));
    match (number, unit) {
        (Some(number), Some((_, per_ms))) => in_range(text, Some((number / per_ms).round() as i64)),
        _ => parse(text, |text| rfc3339_ms(text).or_else(|| rfc3339_ms(&completed(text)?))),
    }
}

/// As [`parse_ms`], and also what people type: a date, which is its midnight, and a time without seconds or
/// without a zone, both in UTC.
///
/// # Errors
/// As [`parse_ms`].
pub fn parse_typed_ms(text: &str) -> Result<i64, TimestampError> {
    let form = |text: &str| rfc3339_ms(text).or_else(|| rfc3339_ms(&completed(text)?));
    let midnight = |text: &str| form(&format!("{text} 00:00"));
    parse(text, |text| form(text).or_else(|| midnight(text).filter(|_| text.len() == 10)))
}

/// Whether a time of a table says in which zone it is. Numbers do.
#[must_use]
pub fn has_zone(text: &str) -> bool {
    let after_minutes = text.trim().get(16..).unwrap_or("Z");
    text.trim().parse::<f64>().is_ok()
        || after_minutes.contains(|c: char| c.is_ascii_alphabetic() || c == '+' || c == '-')
}

/// A time of a table in the form of RFC 3339, with what it leaves unsaid.
fn completed(text: &str) -> Option<String> {
    let (minutes, rest) = (text.get(..16)?, text.get(16..)?);
    let at = if rest.starts_with(':') {
        rest.find([' ', 'Z', 'z', '+', '-', 'U', 'G'])
    } else {
        Some(0)
    };
    let (seconds, zone) = rest.split_at(at.unwrap_or(rest.len()));
    let seconds = if seconds.is_empty() { ":00" } else { seconds };
    let zone = match zone.trim() {
        "" | "UTC" | "GMT" => "Z".to_owned(),
        short if short.len() == 5 && short.is_ascii() && !short.contains(':') => {
            format!("{}:{}", &short[..3], &short[3..])
        }
        zone => zone.to_owned(),
    };
    Some(format!("{minutes}{seconds}{zone}"))
}

fn parse(text: &str, other: impl Fn(&str) -> Option<i64>) -> Result<i64, TimestampError> {
    let text = text.trim();
    let ms = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Some((seconds * 1_000.0).round() as i64),
        Ok(_) => None,
        Err(_) => other(text),
    };
    in_range(text, ms)
}

/// A moment of the years that can be written.
fn in_range(text: &str, ms: Option<i64>) -> Result<i64, TimestampError> {
    ms.filter(|ms| (0..=LAST_MS).contains(ms)).ok_or_else(|| TimestampError(text.to_owned()))
}

/// From when to when, for people: each of several ranges by itself, else the whole.
#[must_use]
pub fn format_ranges(
    ranges: impl Iterator<Item = (i64, i64)>,
    whole: Option<(i64, i64)>,
) -> Vec<String> {
    let mut ranges: Vec<(i64, i64)> = ranges.collect();
    if ranges.len() < 2 {
        ranges = whole.into_iter().collect();
    }
    let text = |(from, to): (i64, i64)| format!("{} to {}", format_ms(from), format_ms(to));
    ranges.into_iter().map(text).collect()
}

/// RFC 3339 in UTC; with milliseconds only where there are any.
#[must_use]
pub fn format_ms(ms: i64) -> String {
    let Civil { year, in_cycle } = Civil::of_seconds(ms.div_euclid(1_000));
    let rest = in_cycle.strftime("%m-%dT%H:%M:%S");
    match ms.rem_euclid(1_000) {
        0 => format!("{year:04}-{rest}Z"),
        fraction => format!("{year:04}-{rest}.{fraction:03}Z"),
    }
}

fn rfc3339_ms(text: &str) -> Option<i64> {
    let zone = zone_at(text)?;
    let read = zone.min(FORMS[0].len() + 1 + FRACTION_DIGITS);
    let text = format!("{}{}", &text[..read], &text[zone..]);
    let pieces = Pieces::parse(&text).ok()?;
    // Not a `Timestamp`, which ends a day before the year 9999 does.
    let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH).as_nanos();
    let offset = i128::from(pieces.to_numeric_offset()?.seconds()) * 1_000_000_000;
    i64::try_from((local - offset + 500_000).div_euclid(1_000_000)).ok()
}

/// Where the zone, `Z` or an offset, begins in a text of the form of RFC 3339.
fn zone_at(text: &str) -> Option<usize> {
    let any_digit = |c: char| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() };
    let form: String = text.chars().map(any_digit).collect();
    let rest = FORMS.iter().find_map(|it| form.strip_prefix(it))?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => Some(fraction.trim_start_matches('0')).filter(|it| *it != fraction)?,
        None => rest,
    };
    matches!(zone, "Z" | "+00:00" | "-00:00").then(|| form.len() - zone.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        check_each(parse_ms, &[(text, expected)]);
    }

    #[track_caller]
    fn check_each(read: fn(&str) -> Result<i64, TimestampError>, expected: &[(&str, Option<i64>)]) {
        for (text, expected) in expected {
            assert_eq!(read(text).ok(), *expected, "{text:?}");
        }
    }

    #[track_caller]
    fn check_table(text: &str, expected: Option<i64>, zone: bool) {
        check_each(parse_table_ms, &[(text, expected)]);
        assert_eq!(has_zone(text), zone, "{text:?}");
    }

    #[test]
    fn tables_say_less_and_mean_the_same() {
        let (at, minute) = (Some(1_795_428_912_000), Some(1_795_428_900_000));
        check_table("1795428912", at, true);
        check_table("1795428912000", at, true);
        check_table("1795428912000000", at, true);
        check_table("1795428912000000000", at, true);
        check_table("1795428912000.4", at, true);
        check_table("2026-11-23T10:15:12Z", at, true);
        check_table("2026-11-23 10:15:12", at, false);
        check_table("2026-11-23 10:15:12.0000", at, false);
        check_table("2026-11-23 10:15:12 UTC", at, true);
        check_table("2026-11-23 10:15:12 +0000", at, true);
        check_table("2026-11-23T11:15:12+0100", at, true);
        check_table("2026-11-23 11:15:12 +01:00", at, true);
        check_table("2026-11-23 10:15", minute, false);
        check_table("2026-11-23T11:15+01:00", minute, true);
        check_table("2026-11-23 10:15 UTC", minute, true);
        check_table("2026-11-23", None, true);
        check_table("23.11.2026 10:15:12", None, false);
        check_table("2026-11-23 10:15:", None, false);
        check_table("2026-11-23 10:15:12 CET", None, true);
        check_table("2026-11-23 10:1\u{e9}:00", None, true);
        check_table("1e30", None, true);
    }

    #[test]
    fn people_type_dates_and_minutes() {
        let minute = Some(1_795_428_900_000);
        check_each(
            parse_typed_ms,
            &[
                ("2026-11-23", Some(1_795_392_000_000)),
                ("2026-11-23 10:15", minute),
                ("2026-11-23T10:15", minute),
                ("2026-11-23 10:15:00", minute),
                ("2026-11-23T11:15:00+01:00", minute),
                ("1795428900.5", Some(1_795_428_900_500)),
            ],
        );
        let bad =
            ["2026-11", "2026-02-30", "2026-11-23 10", "23.11.2026", "14d", "", "2026-11-23 UTC"];
        check_each(parse_typed_ms, &bad.map(|it| (it, None)));
    }

    #[test]
    fn reads_both_forms() {
        check("0", Some(0));
        check("1795428900", Some(1_795_428_900_000));
        check("1795428900.25", Some(1_795_428_900_250));
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-11-23T10:15:00Z", Some(1_795_428_900_000));
        check("2026-11-23T11:15:00+01:00", Some(1_795_428_900_000));
        check("2026-11-23 04:45:00.25-05:30", Some(1_795_428_900_250));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000));
        check("2026-11-23t10:15:00z", Some(1_795_428_900_000));
        check("2026-11-23T10:15:00-00:00", Some(1_795_428_900_000));
        check("2026-11-23T10:15:00.2505Z", Some(1_795_428_900_251));
        check("2026-11-23T10:15:00.25049999999999999999Z", Some(1_795_428_900_250));
        check("9999-12-31T23:59:59.999Z", Some(LAST_MS));
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            "now",
            "NaN",
            "-5",
            "1e300",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-23",
            "2026-11-23T10:15:00",
            "2026-11-23T24:00:00Z",
            "2026-11-23T10:15:00+1:00",
            "2026-11-23T10:15:00.Z",
            "2026-11-23T10:15:00,5Z",
            "2026-11-23T10:15Z",
            "20261123T101500Z",
            "2026-11-23T10:15:00+0100",
            "2026-11-23T10:15:00+01",
            "2026-11-23T10:15:00+01:00[Europe/Berlin]",
            "2026-11-23T10:15:61Z",
            "+002026-11-23T10:15:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "２026-11-23T10:15:00Z",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn tables_may_leave_out_the_zone() {
        for (text, expected) in [
            ("2026-11-23 10:15:00", 0),
            ("2026-11-23T10:15:00.250000", 250),
            ("2026-11-23 11:15:00+01:00", 0),
            ("1795428900", 0),
        ] {
            check_each(parse_table_ms, &[(text, Some(1_795_428_900_000 + expected))]);
        }
        check_each(
            parse_table_ms,
            &["2026-11-23", "2026-02-29 00:00:00", "soon"].map(|it| (it, None)),
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        for ms in [0, 951_782_399_999, 951_782_400_000, 1_795_428_900_250, LAST_MS] {
            check(&format_ms(ms), Some(ms));
        }
        assert_eq!(format_ms(1_795_428_900_000), "2026-11-23T10:15:00Z");
        assert_eq!(format_ms(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(format_ms(1_795_428_900_050), "2026-11-23T10:15:00.050Z");
    }

    #[test]
    fn any_number_is_written_somehow() {
        assert_eq!(format_ms(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_ms(LAST_MS + 1), "10000-01-01T00:00:00Z");
        assert_eq!(format_ms(i64::MIN), "-292275055-05-16T16:47:04.192Z");
        assert_eq!(format_ms(i64::MAX), "292278994-08-17T07:12:55.807Z");
    }
}
