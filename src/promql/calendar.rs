//! A calendar field: minute, hour, day, month or year of a time in UTC.
//!
//! Times are whole seconds since the epoch in the proleptic Gregorian calendar.
//! Source: Prometheus `promql/functions.go`, `dateWrapper`; the algorithm counts days in eras of
//! 400 years that begin in March (Hinnant, "chrono-compatible low-level date algorithms").

const SECONDS_PER_DAY: i64 = 86_400;

/// The days of 400 Gregorian years.
const DAYS_PER_ERA: i64 = 146_097;

/// From 0000-03-01, where eras begin, to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;

/// What is asked of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(super) enum CalendarField {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

/// What the functions are called.
const FIELDS: [(&str, CalendarField); 8] = [
    ("minute", CalendarField::Minute),
    ("hour", CalendarField::Hour),
    ("day_of_week", CalendarField::DayOfWeek),
    ("day_of_month", CalendarField::DayOfMonth),
    ("day_of_year", CalendarField::DayOfYear),
    ("days_in_month", CalendarField::DaysInMonth),
    ("month", CalendarField::Month),
    ("year", CalendarField::Year),
];

impl CalendarField {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// What its function is called.
    pub(super) fn name(self) -> &'static str {
        let found = FIELDS.iter().find(|(_, field)| *field == self);
        found.map(|(name, _)| *name).expect("all are in the table")
    }
}

struct Date {
    year: i64,
    /// From 1.
    month: i64,
    /// From 1.
    day: i64,
}

/// The field of a time; Sunday is day 0 of the week, everything else counts as people do.
pub(super) fn field(field: CalendarField, seconds: i64) -> f64 {
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let value = match field {
        CalendarField::Minute => second / 60 % 60,
        CalendarField::Hour => second / 3_600,
        // The epoch was a Thursday.
        CalendarField::DayOfWeek => (days + 4).rem_euclid(7),
        CalendarField::DayOfMonth => date(days).day,
        CalendarField::DayOfYear => days - first_day(date(days).year) + 1,
        CalendarField::DaysInMonth => {
            let date = date(days);
            days_in_month(date.year, date.month)
        }
        CalendarField::Month => date(days).month,
        CalendarField::Year => date(days).year,
    };
    value as f64
}

fn date(days: i64) -> Date {
    let shifted = days + EPOCH_DAY;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    // From 1 March.
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date { year, month, day }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day number of 1 January.
fn first_day(year: i64) -> i64 {
    let before = year - 1;
    365 * before + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400)
        // From 0001-01-01 to the epoch.
        - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    /// year, month, day, day of week, day of year, days in month, hour, minute
    #[track_caller]
    fn check(seconds: i64, expected: [i64; 8]) {
        let got = [
            CalendarField::Year,
            CalendarField::Month,
            CalendarField::DayOfMonth,
            CalendarField::DayOfWeek,
            CalendarField::DayOfYear,
            CalendarField::DaysInMonth,
            CalendarField::Hour,
            CalendarField::Minute,
        ]
        .map(|f| field(f, seconds) as i64);
        assert_eq!(got, expected, "{seconds}");
    }

    #[test]
    fn known_days() {
        check(0, [1970, 1, 1, 4, 1, 31, 0, 0]);
        check(-1, [1969, 12, 31, 3, 365, 31, 23, 59]);
        // 2024-02-29 12:34:56, a leap day.
        check(1_709_210_096, [2024, 2, 29, 4, 60, 29, 12, 34]);
        // 2000-12-31 and 1900-03-01: both sides of the century rules.
        check(978_220_800, [2000, 12, 31, 0, 366, 31, 0, 0]);
        check(-2_203_891_200, [1900, 3, 1, 4, 60, 31, 0, 0]);
        // 2026-06-15 23:59:59
        check(1_781_567_999, [2026, 6, 15, 1, 166, 30, 23, 59]);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for seconds in [i64::MIN, i64::MAX] {
            for f in [CalendarField::Year, CalendarField::DayOfYear] {
                assert!(field(f, seconds).is_finite());
            }
        }
    }

    #[test]
    fn days_follow_one_another() {
        let mut last = date(-200_000);
        for days in -199_999..200_000 {
            let next = date(days);
            let new_month = last.day == days_in_month(last.year, last.month);
            assert_eq!(next.day, if new_month { 1 } else { last.day + 1 });
            assert!(first_day(next.year) <= days);
            last = next;
        }
    }
}
