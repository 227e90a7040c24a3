//! A size in bytes as an operator writes it: `32MiB`, `512KiB`, `100B`.
//!
//! Units are powers of 1024, with or without the `i`, as Prometheus reads them.
//! Source: Prometheus `storage.tsdb.retention.size` and `units.Base2Bytes`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units from the largest to the smallest with their two spellings.
const UNITS: [(&str, &str, u64); 5] = [
    ("TiB", "TB", 1 << 40),
    ("GiB", "GB", 1 << 30),
    ("MiB", "MB", 1 << 20),
    ("KiB", "KB", 1 << 10),
    ("B", "B", 1),
];

/// A whole number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size; write it as in \"512KiB\", \"32MiB\" or \"4GiB\"")]
pub struct ByteSizeError(String);

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1,048,576 bytes.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// Bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// Bytes as a length of something in memory; what no memory can hold is the largest length.
    #[must_use]
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let error = || ByteSizeError(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let (_, _, factor) = UNITS
            .iter()
            .find(|(long, short, _)| *long == unit || *short == unit)
            .ok_or_else(error)?;
        let number: u64 = number.parse().map_err(|_| error())?;
        number.checked_mul(*factor).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |factor: u64| self.0 >= factor && self.0.is_multiple_of(factor);
        let (unit, factor) = UNITS
            .iter()
            .find(|(_, _, factor)| whole(*factor))
            .map_or(("B", 1), |(long, _, factor)| (*long, *factor));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes: u64, printed: &str) {
        let size: ByteSize = text.parse().expect("a size");
        assert_eq!(size.as_bytes(), bytes, "{text}");
        assert_eq!(size.to_string(), printed, "{text}");
        assert_eq!(printed.parse(), Ok(size), "{printed}");
    }

    #[test]
    fn reads_both_spellings_and_prints_one() {
        check("0B", 0, "0B");
        check("1000B", 1000, "1000B");
        check("1024B", 1024, "1KiB");
        check("32MB", 32 << 20, "32MiB");
        check("32MiB", 32 << 20, "32MiB");
        check("1536MiB", 1536 << 20, "1536MiB");
        check("4096MiB", 4 << 30, "4GiB");
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "1", "MiB", "1.5MiB", "-1B", "1 MiB", "1mib", "18446744073709551615KiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
