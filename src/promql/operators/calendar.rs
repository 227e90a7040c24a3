//! A calendar field: minute, hour, day, month or year of a time in UTC.
//!
//! Times are whole seconds since the epoch in the proleptic Gregorian calendar.
//! Source: Prometheus `promql/functions.go`, `dateWrapper`.

use crate::promql::syntax::function::CalendarField;
use crate::timestamp::Civil;

/// The field of a time; Sunday is day 0 of the week, everything else counts as people do.
pub(crate) fn field(field: CalendarField, seconds: i64) -> f64 {
    let Civil { year, in_cycle: at } = Civil::of_seconds(seconds);
    match field {
        CalendarField::Minute => at.minute().into(),
        CalendarField::Hour => at.hour().into(),
        CalendarField::DayOfWeek => at.weekday().to_sunday_zero_offset().into(),
        CalendarField::DayOfMonth => at.day().into(),
        CalendarField::DayOfYear => at.day_of_year().into(),
        CalendarField::DaysInMonth => at.days_in_month().into(),
        CalendarField::Month => at.month().into(),
        CalendarField::Year => year as f64,
    }
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
    fn times_beyond_what_people_write() {
        check(253_402_300_800, [10_000, 1, 1, 6, 1, 31, 0, 0]);
        check(-377_705_116_801, [-10_000, 12, 31, 0, 366, 31, 23, 59]);
        check(1_000_000_000_000_000, [31_690_708, 7, 5, 0, 187, 31, 1, 46]);
        check(-1_000_000_000_000_000, [-31_686_769, 6, 29, 0, 180, 30, 22, 13]);
        check(i64::MAX, [292_277_026_596, 12, 4, 0, 339, 31, 15, 30]);
        check(i64::MIN, [-292_277_022_657, 1, 27, 0, 27, 31, 8, 29]);
    }

    #[test]
    fn days_follow_one_another() {
        let of = |day: i64| {
            let fields = [
                CalendarField::DayOfMonth,
                CalendarField::DaysInMonth,
                CalendarField::DayOfYear,
                CalendarField::DayOfWeek,
            ];
            fields.map(|it| field(it, day * 86_400) as i64)
        };
        let mut last = of(-200_000);
        for day in -199_999..200_000 {
            let next = of(day);
            let new_month = last[0] == last[1];
            assert_eq!(next[0], if new_month { 1 } else { last[0] + 1 });
            assert!(next[2] == last[2] + 1 || (next[2] == 1 && new_month && last[2] >= 365));
            assert_eq!(next[3], (last[3] + 1) % 7);
            last = next;
        }
    }
}
