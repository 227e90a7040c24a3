//! A moment as people write it: RFC 3339 (`2026-11-23T10:15:00Z`) or seconds since 1970.
//!
//! In: text. Out: milliseconds since 1970-01-01T00:00:00Z, and back. It knows no clock and no time
//! zone but the offset in the text.
//!
//! Source: RFC 3339 section 5.6; the civil calendar by counting days from 1 March of year 0, which
//! puts the leap day at the end of the year.

/// Days from 1 March of year 0 to 1 January 1970.
const EPOCH_DAYS: i64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// The last moment of year 9999: as far as RFC 3339 can write.
const MAX_MS: i64 = 253_402_300_799_999;

/// Why a text is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time; write RFC 3339 (\"2026-11-23T10:15:00Z\") or seconds since 1970 (\"1795428900.5\")"
)]
pub struct TimestampError(String);

/// Reads RFC 3339 or seconds since 1970, possibly with a fraction, which is rounded to milliseconds.
///
/// # Errors
/// For anything else, and for moments outside of the years 1970 to 9999.
pub fn parse_ms(text: &str) -> Result<i64, TimestampError> {
    parse(text, rfc3339_ms)
}

/// As [`parse_ms`], and also times without a zone, as tables hold them (`2026-11-23 10:15:00`): those
/// are taken for UTC.
///
/// # Errors
/// As [`parse_ms`].
pub fn parse_table_ms(text: &str) -> Result<i64, TimestampError> {
    parse(text, |text| rfc3339_ms(text).or_else(|| rfc3339_ms(&format!("{text}Z"))))
}

fn parse(text: &str, other: impl Fn(&str) -> Option<i64>) -> Result<i64, TimestampError> {
    let text = text.trim();
    let ms = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Some((seconds * 1_000.0).round() as i64),
        Ok(_) => None,
        Err(_) => other(text),
    };
    ms.filter(|ms| (0..=MAX_MS).contains(ms)).ok_or_else(|| TimestampError(text.to_owned()))
}

/// RFC 3339 in UTC; with milliseconds only where there are any.
#[must_use]
pub fn format_ms(ms: i64) -> String {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let rest = ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if rest % 1_000 != 0 {
        text.push_str(&format!(".{:03}", rest % 1_000));
    }
    text.push('Z');
    text
}

fn rfc3339_ms(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        (digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
    };
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let separators = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    let separated = separators.iter().all(|(at, sign)| byte(*at) == Some(sign[0]));
    if !separated || !matches!(byte(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let days = days_from_civil(year, month, day);
    // Counting back finds 30 February and the like.
    if civil(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ms, zone) = fraction(text.get(19..)?)?;
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(days * DAY_MS + seconds * 1_000 + fraction_ms - offset_ms(zone)?)
}

/// `.25Z` is 250 ms and the zone `Z`.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let value: f64 = format!("0.{}", &digits[..len]).parse().ok()?;
    (len > 0).then(|| ((value * 1_000.0).round() as i64, &digits[len..]))
}

fn offset_ms(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let ms = (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?) * 60_000;
    match zone.as_bytes().first() {
        Some(b'+') => Some(ms),
        Some(b'-') => Some(-ms),
        _ => None,
    }
}

/// Days since 1970-01-01. The day may lie outside of the month.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    // 153 days in each run of five months from March on: 31, 30, 31, 30, 31.
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

/// Year, month and day of so many days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_ms(text).ok(), expected, "{text:?}");
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
            "２026-11-23T10:15:00Z",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn tables_may_leave_out_the_zone() {
        let check =
            |text: &str, expected| assert_eq!(parse_table_ms(text).ok(), expected, "{text}");
        check("2026-11-23 10:15:00", Some(1_795_428_900_000));
        check("2026-11-23T10:15:00.250000", Some(1_795_428_900_250));
        check("2026-11-23 11:15:00+01:00", Some(1_795_428_900_000));
        check("1795428900", Some(1_795_428_900_000));
        check("2026-11-23", None);
        check("2026-02-29 00:00:00", None);
        check("soon", None);
    }

    #[test]
    fn what_is_written_reads_back() {
        for ms in [0, 951_782_399_999, 951_782_400_000, 1_795_428_900_250, MAX_MS] {
            check(&format_ms(ms), Some(ms));
        }
        assert_eq!(format_ms(1_795_428_900_000), "2026-11-23T10:15:00Z");
        assert_eq!(format_ms(951_782_400_000), "2000-02-29T00:00:00Z");
    }
}
