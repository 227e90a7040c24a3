//! A time zone by the name that it has in the IANA database, which is inside the program.
//!
//! In: a name; wall clocks of the zone, or moments. Out: moments, or what a wall clock shows then. Where
//! clocks are set forward, some wall clocks are no moment; where they are set back, some are two.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::EPOCH;

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// That there is no zone of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time zone; write its name in the IANA database, such as Europe/Berlin, \
     America/New_York or UTC"
)]
pub struct ZoneError(String);

/// The moments at which clocks show a time.
///
/// # Units
/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    /// One.
    Once(i64),
    /// Before and after clocks are set back.
    Twice(i64, i64),
    /// None, as clocks are set forward. A clock that was not yet would show it at this moment.
    Never(i64),
}

/// What a wall clock with the day of the week on it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// 0 on Monday, 6 on Sunday.
    pub weekday: u8,
    /// Hours and minutes as minutes since 0:00.
    pub minute: u16,
}

impl Zone {
    /// What a wall clock shows at a moment; beyond the years that jiff knows, what it shows at the last or
    /// first moment of these.
    #[must_use]
    pub fn wall_clock(&self, at_ms: i64) -> WallClock {
        let beyond = if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let shown = self.0.to_datetime(Timestamp::from_millisecond(at_ms).unwrap_or(beyond));
        let number = |of: i8| u8::try_from(of).expect("jiff counts days, hours and minutes from 0");
        WallClock {
            weekday: number(shown.weekday().to_monday_zero_offset()),
            minute: 60 * u16::from(number(shown.hour())) + u16::from(number(shown.minute())),
        }
    }

    /// The moments of a wall clock, which is told by the moment at which a clock of UTC shows the same.
    #[must_use]
    pub fn moments(&self, clock_ms: i64) -> Moments {
        let since = SignedDuration::from_millis(clock_ms);
        let clock = EPOCH.checked_add(since).unwrap_or(DateTime::MAX);
        let at = |offset: Offset| clock_ms - 1_000 * i64::from(offset.seconds());
        match self.0.to_ambiguous_timestamp(clock).offset() {
            AmbiguousOffset::Unambiguous { offset } => Moments::Once(at(offset)),
            AmbiguousOffset::Fold { before, after } => Moments::Twice(at(before), at(after)),
            AmbiguousOffset::Gap { before, .. } => Moments::Never(at(before)),
        }
    }

    /// The name in the database.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let found = TimeZoneDatabase::bundled().get(name).ok().filter(|it| !it.is_unknown());
        found.map(Self).ok_or_else(|| ZoneError(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::parse_table_ms;

    #[test]
    fn clocks_are_set_forward_and_back() {
        let ms = |text: &str| parse_table_ms(text).expect(text);
        for (zone, clock, expected) in [
            ("UTC", "2026-10-25 02:30", Moments::Once(ms("2026-10-25T02:30Z"))),
            ("Europe/Berlin", "2026-01-25 02:30", Moments::Once(ms("2026-01-25T02:30+01:00"))),
            ("europe/berlin", "2026-07-25 02:30", Moments::Once(ms("2026-07-25T02:30+02:00"))),
            (
                "Europe/Berlin",
                "2026-10-25 02:30",
                Moments::Twice(ms("2026-10-25T02:30+02:00"), ms("2026-10-25T02:30+01:00")),
            ),
            ("Europe/Berlin", "2026-10-25 03:00", Moments::Once(ms("2026-10-25T03:00+01:00"))),
            ("Europe/Berlin", "2026-03-29 02:30", Moments::Never(ms("2026-03-29T03:30+02:00"))),
            ("Asia/Kolkata", "2026-03-29 02:30", Moments::Once(ms("2026-03-28T21:00Z"))),
            // By half an hour.
            (
                "Australia/Lord_Howe",
                "2026-04-05 01:45",
                Moments::Twice(ms("2026-04-05T01:45+11:00"), ms("2026-04-05T01:45+10:30")),
            ),
            // By the rule of which the zone's table ends.
            ("Europe/Berlin", "2099-07-01 00:00", Moments::Once(ms("2099-06-30T22:00Z"))),
        ] {
            let found = zone.parse::<Zone>().expect(zone).moments(ms(clock));
            assert_eq!(found, expected, "{zone} {clock}");
        }
    }

    #[test]
    fn a_wall_clock_shows_the_day_and_the_minute() {
        let check = |zone: &str, at_ms: i64, weekday, minute| {
            let shown = zone.parse::<Zone>().expect(zone).wall_clock(at_ms);
            assert_eq!(shown, WallClock { weekday, minute }, "{zone} {at_ms}");
        };
        let ms = |text: &str| parse_table_ms(text).expect(text);
        check("UTC", 0, 3, 0);
        check("UTC", -1, 2, 24 * 60 - 1);
        check("Europe/Vienna", ms("2026-11-29T22:59:59.999Z"), 6, 24 * 60 - 1);
        check("Europe/Vienna", ms("2026-11-29T23:00Z"), 0, 0);
        // Clocks are set forward at 2:00 and back at 3:00.
        check("Europe/Vienna", ms("2026-03-29T00:59Z"), 6, 60 + 59);
        check("Europe/Vienna", ms("2026-03-29T01:00Z"), 6, 3 * 60);
        check("Europe/Vienna", ms("2026-10-25T00:30Z"), 6, 2 * 60 + 30);
        check("Europe/Vienna", ms("2026-10-25T01:30Z"), 6, 2 * 60 + 30);
        for beyond_ms in [i64::MIN, i64::MAX] {
            let shown = "Asia/Tokyo".parse::<Zone>().expect("a zone").wall_clock(beyond_ms);
            assert!(shown.weekday < 7 && shown.minute < 24 * 60);
        }
    }

    #[test]
    fn a_zone_has_the_name_of_the_database() {
        for name in ["UTC", "Europe/Berlin", "America/New_York"] {
            let zone: Zone = name.to_lowercase().parse().expect(name);
            assert_eq!(zone.name(), name);
        }
        for name in ["", "Mars/Base", "+01:00", "CEST", "../etc/localtime", "Etc/Unknown"] {
            let error = name.parse::<Zone>().expect_err(name).to_string();
            assert!(error.starts_with(&format!("{name:?} is not a time zone; write")), "{error}");
        }
        // No day before the last of year 9999 and none of 1970 is too much.
        let zone: Zone = "Europe/Berlin".parse().expect("a zone");
        for clock_ms in [0, crate::timestamp::LAST_MS] {
            assert_eq!(zone.moments(clock_ms), Moments::Once(clock_ms - 3_600_000));
        }
    }
}
