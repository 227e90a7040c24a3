//! Parameters: times, durations and limits as Prometheus takes them.
//!
//! Source: `parseTime`, `parseDuration`, `parseLimitParam` in Prometheus's `web/api/v1/api.go`.

use crate::duration::Duration;
use crate::timestamp;

/// The furthest time in either direction, in milliseconds: beyond it a float has no milliseconds
/// any more, and nothing that is added to it here can overflow.
pub(super) const FAR_MS: i64 = 1 << 53;

/// The times that Prometheus takes for the beginning and the end of all time; clients that know
/// them send them.
const BEGINNING: &str = "-292273086-05-16T16:47:06Z";
const END: &str = "292277025-08-18T07:12:54.999999999Z";

const NANOSECONDS: f64 = 1e9;

/// Reads Unix seconds, with a fraction of whole milliseconds, or RFC 3339.
pub(super) fn time_ms(text: &str) -> Result<i64, String> {
    let ms = match text.parse::<f64>() {
        Ok(seconds) => seconds_ms(seconds),
        // It takes the number of before as well, and a space for the T.
        Err(_) if text.as_bytes().get(10) == Some(&b'T') => timestamp::parse_ms(text).ok(),
        Err(_) => match text {
            BEGINNING => Some(-FAR_MS),
            END => Some(FAR_MS),
            _ => None,
        },
    };
    ms.ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp"))
}

/// Rounds to milliseconds in Prometheus's steps: the fraction to thousandths, then down.
fn seconds_ms(seconds: f64) -> Option<i64> {
    if seconds.is_nan() || seconds.abs() > FAR_MS as f64 / 1_000.0 {
        return None;
    }
    let fraction = (seconds.fract() * 1_000.0).round() / 1_000.0;
    let nanoseconds = (fraction * NANOSECONDS) as i64;
    Some(seconds.trunc() as i64 * 1_000 + nanoseconds.div_euclid(1_000_000))
}

/// A time that may be left out; the reason names the parameter a second time, as Prometheus does.
pub(super) fn optional_time_ms(name: &str, text: &str, default_ms: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(default_ms);
    }
    time_ms(text).map_err(|reason| format!("invalid time value for '{name}': {reason}"))
}

/// Reads float seconds or a duration such as `5m`, in nanoseconds; possibly negative.
pub(super) fn duration_ns(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ns = seconds * NANOSECONDS;
        if ns.is_nan() || ns.abs() > i64::MAX as f64 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok(ns as i64);
    }
    let duration = text.parse::<Duration>().ok();
    duration
        .and_then(|duration| duration.as_ms().checked_mul(1_000_000))
        .ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

/// Reads a count; none and 0 mean that there is no limit.
pub(super) fn limit(text: &str) -> Result<Option<usize>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<i64>() {
        Ok(0) => Ok(None),
        Ok(limit) if limit > 0 => Ok(Some(usize::try_from(limit).unwrap_or(usize::MAX))),
        Ok(_) => Err("limit must be non-negative".to_owned()),
        Err(_) => Err(format!("{text:?} is not a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_time(text: &str, expected: Option<i64>) {
        assert_eq!(time_ms(text).ok(), expected, "{text:?}");
    }

    #[test]
    fn times() {
        check_time("0", Some(0));
        check_time("1435781451.781", Some(1_435_781_451_781));
        check_time("1435781451.7815", Some(1_435_781_451_782));
        check_time("1e3", Some(1_000_000));
        check_time("-1.5", Some(-1_500));
        check_time("-0.0004", Some(0));
        check_time("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781));
        check_time("2015-07-01T22:10:51+02:00", Some(1_435_781_451_000));
        check_time(BEGINNING, Some(-FAR_MS));
        check_time(END, Some(FAR_MS));
        for text in ["", "now", "NaN", "Inf", "1e30", "2015-07-01", "2015-07-01 20:10:51Z", "5m"] {
            check_time(text, None);
        }
    }

    #[track_caller]
    fn check_duration(text: &str, expected: Option<i64>) {
        assert_eq!(duration_ns(text).ok(), expected, "{text:?}");
    }

    #[test]
    fn durations() {
        check_duration("15", Some(15_000_000_000));
        check_duration("0.5", Some(500_000_000));
        check_duration("-1", Some(-1_000_000_000));
        check_duration("1h30m", Some(5_400_000_000_000));
        check_duration("0", Some(0));
        for text in ["", "x", "-5m", "NaN", "Inf", "1e300", "1000y"] {
            check_duration(text, None);
        }
    }

    #[test]
    fn limits() {
        assert_eq!(limit(""), Ok(None));
        assert_eq!(limit("0"), Ok(None));
        assert_eq!(limit("7"), Ok(Some(7)));
        assert!(limit("-1").is_err() && limit("x").is_err() && limit("1.5").is_err());
    }
}
