//! Hours of the week, ready to be asked whether they are now.
//!
//! Clocks of the place decide, whatever they are set to: `02:00` to `03:00` is two hours long in the night in
//! which clocks are set back from 3:00, and does not come in the one in which they are set forward from 2:00.

use super::config::{ClockTimes, WeeklyHours};
use crate::timestamp::{WallClock, Zone};

const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

const DAY_MINUTES: u16 = 24 * 60;

/// Days, times on them, and whose clocks.
#[derive(Debug, Clone)]
pub(super) struct WeeklySchedule {
    days: [bool; 7],
    /// From and until which minute of the day. One that ends before it starts ends on the next day.
    times: Vec<(u16, u16)>,
    zone: Zone,
}

impl WeeklySchedule {
    /// # Errors
    /// The key below `weekly` that cannot work, and why.
    pub(super) fn read(hours: &WeeklyHours) -> Result<Self, (String, String)> {
        if hours.weekdays.is_empty() && hours.times.is_empty() {
            let reason = "needs weekdays, times or both; without them it would never end";
            return Err((String::new(), reason.to_owned()));
        }
        let mut days = [hours.weekdays.is_empty(); 7];
        for (i, text) in hours.weekdays.iter().enumerate() {
            let wrong = |reason| (format!("weekdays[{i}]"), reason);
            let (first, last) = day_range(text).map_err(wrong)?;
            (0..=(last + 7 - first) % 7).for_each(|step| days[(first + step) % 7] = true);
        }
        let mut times = Vec::with_capacity(hours.times.len().max(1));
        for (i, ClockTimes { start_time, end_time }) in hours.times.iter().enumerate() {
            let wrong = |key: &str, reason| (format!("times[{i}].{key}"), reason);
            let start = minute_of_day(start_time).map_err(|it| wrong("start_time", it))?;
            let end = minute_of_day(end_time).map_err(|it| wrong("end_time", it))?;
            if start == DAY_MINUTES {
                return Err(wrong("start_time", "no day begins at 24:00; write 00:00".to_owned()));
            }
            if start == end {
                let reason = "must not be start_time; all day is 00:00 to 24:00";
                return Err(wrong("end_time", reason.to_owned()));
            }
            times.push((start, end));
        }
        if times.is_empty() {
            times.push((0, DAY_MINUTES));
        }
        let zone = hours.location.parse::<Zone>();
        let zone = zone.map_err(|error| ("location".to_owned(), error.to_string()))?;
        Ok(Self { days, times, zone })
    }

    /// Whether it is one of its hours.
    pub(super) fn is_open(&self, now_ms: i64) -> bool {
        let WallClock { weekday, minute } = self.zone.wall_clock(now_ms);
        let today = usize::from(weekday);
        let yesterday = (today + 6) % 7;
        self.times.iter().any(|(start, end)| match start < end {
            true => self.days[today] && (*start..*end).contains(&minute),
            false => {
                (self.days[today] && minute >= *start) || (self.days[yesterday] && minute < *end)
            }
        })
    }
}

/// The first and the last day of `monday` or `monday:friday`.
fn day_range(text: &str) -> Result<(usize, usize), String> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let day = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        WEEKDAYS.iter().position(|it| *it == name).ok_or_else(|| {
            format!(
                "{text:?} is neither a day of the week nor a range of days; write monday or \
                 monday:friday"
            )
        })
    };
    Ok((day(first)?, day(last)?))
}

/// The minutes since 0:00 of `HH:MM`, 24:00 included.
fn minute_of_day(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is not a time of day; write HH:MM, from 00:00 to 24:00");
    let two_digits = |part: &str| match part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())
    {
        true => part.parse::<u16>().ok(),
        false => None,
    };
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let hours = two_digits(hours).ok_or_else(wrong)?;
    let minutes = two_digits(minutes).filter(|it| *it < 60).ok_or_else(wrong)?;
    Some(60 * hours + minutes).filter(|it| *it <= DAY_MINUTES).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::parse_ms;

    fn hours(weekdays: &[&str], times: &[(&str, &str)], location: &str) -> WeeklyHours {
        let times = times.iter().map(|(start, end)| ClockTimes {
            start_time: (*start).to_owned(),
            end_time: (*end).to_owned(),
        });
        WeeklyHours {
            weekdays: weekdays.iter().map(|it| (*it).to_owned()).collect(),
            times: times.collect(),
            location: location.to_owned(),
        }
    }

    #[track_caller]
    fn check(hours: &WeeklyHours, moments: &[(&str, bool)]) {
        let schedule = WeeklySchedule::read(hours).expect("good hours");
        for (at, expected) in moments {
            let now_ms = parse_ms(at).expect("a moment");
            assert_eq!(schedule.is_open(now_ms), *expected, "{hours:?} at {at}");
        }
    }

    // 2026-11-23 is a Monday.
    #[test]
    fn days_and_times_of_a_place() {
        check(
            &hours(&["monday:friday"], &[("22:00", "24:00"), ("06:30", "07:00")], "Europe/Vienna"),
            &[
                ("2026-11-23T20:59:59.999Z", false),
                ("2026-11-23T21:00:00Z", true),
                ("2026-11-23T22:59:59.999Z", true),
                ("2026-11-23T23:00:00Z", false),
                ("2026-11-24T05:30:00Z", true),
                ("2026-11-24T06:00:00Z", false),
                ("2026-11-27T22:30:00Z", true),
                ("2026-11-28T22:30:00Z", false),
                // In summer clocks are ahead.
                ("2026-07-01T20:00:00Z", true),
                ("2026-07-01T22:00:00Z", false),
            ],
        );
        check(
            &hours(&["Sunday"], &[], "UTC"),
            &[
                ("2026-11-28T23:59:59Z", false),
                ("2026-11-29T00:00:00Z", true),
                ("2026-11-29T23:59:59Z", true),
                ("2026-11-30T00:00:00Z", false),
            ],
        );
        check(
            &hours(&[], &[("00:00", "01:00")], "UTC"),
            &[("2026-11-25T00:30:00Z", true), ("2026-11-25T01:00:00Z", false)],
        );
    }

    #[test]
    fn a_range_of_days_may_go_over_the_end_of_the_week() {
        check(
            &hours(&["saturday:monday", "wednesday"], &[], "UTC"),
            &[
                ("2026-11-23T12:00:00Z", true),
                ("2026-11-24T12:00:00Z", false),
                ("2026-11-25T12:00:00Z", true),
                ("2026-11-26T12:00:00Z", false),
                ("2026-11-27T12:00:00Z", false),
                ("2026-11-28T12:00:00Z", true),
                ("2026-11-29T12:00:00Z", true),
            ],
        );
    }

    #[test]
    fn over_midnight_it_is_the_day_on_which_it_starts() {
        check(
            &hours(&["friday"], &[("22:00", "06:00")], "UTC"),
            &[
                ("2026-11-27T05:00:00Z", false),
                ("2026-11-27T22:00:00Z", true),
                ("2026-11-28T05:59:59Z", true),
                ("2026-11-28T06:00:00Z", false),
                ("2026-11-28T22:00:00Z", false),
            ],
        );
        // From Sunday into the next week.
        check(
            &hours(&["sunday"], &[("23:00", "01:00")], "UTC"),
            &[("2026-11-29T23:30:00Z", true), ("2026-11-30T00:30:00Z", true)],
        );
    }

    #[test]
    fn clocks_that_are_set_decide() {
        let night = hours(&["sunday"], &[("02:00", "03:00")], "Europe/Vienna");
        check(
            &night,
            &[
                // Forward: 2:00 is 3:00.
                ("2026-03-29T00:59:59Z", false),
                ("2026-03-29T01:00:00Z", false),
                ("2026-03-29T01:59:59Z", false),
                // Back: 2:00 to 3:00 comes twice.
                ("2026-10-24T23:59:59Z", false),
                ("2026-10-25T00:00:00Z", true),
                ("2026-10-25T00:59:59Z", true),
                ("2026-10-25T01:00:00Z", true),
                ("2026-10-25T01:59:59Z", true),
                ("2026-10-25T02:00:00Z", false),
            ],
        );
        // Hours around it are there from one clock time to the other: seven or nine hours long.
        let over = hours(&["saturday"], &[("22:00", "06:00")], "Europe/Vienna");
        check(
            &over,
            &[
                ("2026-03-28T20:59:59Z", false),
                ("2026-03-28T21:00:00Z", true),
                ("2026-03-29T03:59:59Z", true),
                ("2026-03-29T04:00:00Z", false),
                ("2026-10-24T20:00:00Z", true),
                ("2026-10-25T04:59:59Z", true),
                ("2026-10-25T05:00:00Z", false),
            ],
        );
    }

    #[test]
    fn what_cannot_work_is_named() {
        let day = "is neither a day of the week nor a range of days; write monday or monday:friday";
        let time = "is not a time of day; write HH:MM, from 00:00 to 24:00";
        for (hours, key, reason) in [
            (hours(&[], &[], "UTC"), "", "needs weekdays, times or both".to_owned()),
            (hours(&["sunday", "mon"], &[], "UTC"), "weekdays[1]", format!("\"mon\" {day}")),
            (hours(&["monday:"], &[], "UTC"), "weekdays[0]", format!("\"monday:\" {day}")),
            (hours(&["a:b:c"], &[], "UTC"), "weekdays[0]", format!("\"a:b:c\" {day}")),
            (
                hours(&[], &[("9:00", "10:00")], "UTC"),
                "times[0].start_time",
                format!("\"9:00\" {time}"),
            ),
            (
                hours(&[], &[("09:00", "24:01")], "UTC"),
                "times[0].end_time",
                format!("\"24:01\" {time}"),
            ),
            (
                hours(&[], &[("09:00", "10:60")], "UTC"),
                "times[0].end_time",
                format!("\"10:60\" {time}"),
            ),
            (hours(&[], &[("09:00", "10")], "UTC"), "times[0].end_time", format!("\"10\" {time}")),
            (
                hours(&[], &[("24:00", "01:00")], "UTC"),
                "times[0].start_time",
                "no day begins".to_owned(),
            ),
            (
                hours(&[], &[("01:00", "01:00")], "UTC"),
                "times[0].end_time",
                "must not be start_time".to_owned(),
            ),
            (
                hours(&["monday"], &[], "Local"),
                "location",
                "\"Local\" is not a time zone".to_owned(),
            ),
        ] {
            let (found, said) = WeeklySchedule::read(&hours).expect_err(key);
            assert_eq!(found, key, "{said}");
            assert!(said.starts_with(&reason), "{said}");
        }
    }
}
