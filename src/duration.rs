//! A duration as Prometheus writes it: `15s`, `1h30m`, `500ms`.
//!
//! Source: Prometheus documentation "Float literals and time durations", `model.ParseDuration`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// A day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * DAY_MS),
    ("w", 7 * DAY_MS),
    ("d", DAY_MS),
    ("h", HOUR_MS),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A duration of whole milliseconds, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text has another shape.
    #[error("{0:?} is not a duration; write it as in \"15s\", \"1h30m\" or \"500ms\"")]
    Syntax(String),
    /// More milliseconds than a timestamp can hold.
    #[error("duration {0:?} is too long")]
    TooLong(String),
}

impl Duration {
    /// A duration of so many milliseconds; negative ones become zero.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(if ms < 0 { 0 } else { ms })
    }

    /// A duration of so many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_ms(seconds.saturating_mul(1_000))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// Seconds.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// The standard library's type, for timers.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0 as u64)
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let syntax = || DurationError::Syntax(text.to_owned());
        let too_long = || DurationError::TooLong(text.to_owned());
        if text == "0" {
            return Ok(Self(0));
        }
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_lowercase).count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            // Each unit at most once and only after larger ones, as Prometheus demands.
            let (_, ms) = units.find(|(name, _)| *name == unit).ok_or_else(syntax)?;
            if number.is_empty() {
                return Err(syntax());
            }
            let number: i64 = number.parse().map_err(|_| too_long())?;
            total =
                number.checked_mul(*ms).and_then(|n| total.checked_add(n)).ok_or_else(too_long)?;
            rest = &rest[digits + letters..];
        }
        if text.is_empty() { Err(syntax()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Duration {
    /// As Prometheus prints it: years and weeks only where they come out even.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, ms) in UNITS {
            let even_only = matches!(name, "y" | "w");
            if rest < ms || (even_only && rest % ms != 0) {
                continue;
            }
            write!(f, "{}{name}", rest / ms)?;
            rest %= ms;
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ms: i64, printed: &str) {
        let duration: Duration = text.parse().expect("a duration");
        assert_eq!(duration.as_ms(), ms, "{text}");
        assert_eq!(duration.to_string(), printed, "{text}");
        assert_eq!(printed.parse(), Ok(duration), "{printed}");
    }

    #[test]
    fn reads_and_prints_as_prometheus_does() {
        check("0", 0, "0s");
        check("0s", 0, "0s");
        check("15s", 15_000, "15s");
        check("1500ms", 1_500, "1s500ms");
        check("1h30m", 5_400_000, "1h30m");
        check("90m", 5_400_000, "1h30m");
        check("14d", 14 * 86_400_000, "2w");
        check("10d", 10 * 86_400_000, "10d");
        check("1y", 365 * 86_400_000, "1y");
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "1", "s", "1x", "-1s", "1s1h", "1s1s", "1.5s", "1 s", "99999999999y"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
