//! A calendar: ticks of a time axis at moments that people name, in UTC.
//!
//! In: a range of milliseconds since 1970. Out: places from 0 to 1 with labels: `14:30` within a
//! day, `23 Nov` at midnight, `Nov` at the first of a month, `2026` at new year.

use super::scale::{Scale, Tick};
use crate::timestamp::{self, Civil, LAST_MS};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// 1970 began on a Thursday: the first Monday is four days later.
const FIRST_MONDAY: i64 = 4 * DAY;
/// Steps that divide the next larger unit evenly; a week begins on Monday.
const STEPS: [(i64, [i64; 6]); 4] = [
    (SECOND, [1, 2, 5, 10, 15, 30]),
    (MINUTE, [1, 2, 5, 10, 15, 30]),
    (HOUR, [1, 2, 3, 4, 6, 12]),
    (DAY, [1, 2, 4, 7, 14, 28]),
];
/// Steps in months, for ranges of more than the longest of `STEPS` shows; the last are two
/// thousand years, of which there are five in all that can be asked.
const MONTH_STEPS: [i64; 12] = [1, 2, 3, 6, 12, 24, 60, 120, 240, 1_200, 6_000, 24_000];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn civil(ms: i64) -> Civil {
    Civil::of_seconds(ms.clamp(0, LAST_MS).div_euclid(SECOND))
}

/// A moment for a sentence: `2026-11-23 14:30`, with seconds where there are any.
pub(super) fn date_and_time(ms: i64) -> String {
    let Civil { year, in_cycle } = civil(ms);
    let form = if in_cycle.second() == 0 { "%m-%d %H:%M" } else { "%m-%d %H:%M:%S" };
    format!("{year:04}-{}", in_cycle.strftime(form))
}

/// At most so many ticks, in a scale of milliseconds since 1970.
pub(super) fn ticks(scale: &Scale, most: usize) -> Vec<Tick> {
    let from = (scale.lo().ceil() as i64).clamp(0, LAST_MS);
    let to = (scale.hi().floor() as i64).clamp(0, LAST_MS);
    let most = most.max(2) as i64;
    let mut steps = STEPS.iter().flat_map(|(unit, counts)| counts.map(|count| count * unit));
    let moments = match steps.find(|step| (to - from) / step < most) {
        Some(step) => regular(from, to, step),
        None => months(from, to, most),
    };
    moments.into_iter().map(|(ms, label)| (scale.place(ms as f64), label)).collect()
}

fn regular(from: i64, to: i64, step: i64) -> Vec<(i64, String)> {
    let origin = if step % (7 * DAY) == 0 { FIRST_MONDAY } else { 0 };
    let first = (from - origin).div_euclid(step) * step + origin;
    let first = if first < from { first + step } else { first };
    let moments = (0..).map(|i| first + i * step).take_while(|ms| *ms <= to);
    moments.map(|ms| (ms, label(ms, step))).collect()
}

fn label(ms: i64, step: i64) -> String {
    let form = match () {
        () if ms % DAY == 0 => "%-d %b",
        () if step % MINUTE == 0 => "%H:%M",
        () => "%H:%M:%S",
    };
    civil(ms).in_cycle.strftime(form).to_string()
}

fn months(from: i64, to: i64, most: i64) -> Vec<(i64, String)> {
    let count = |ms: i64| {
        let Civil { year, in_cycle } = civil(ms);
        year * 12 + i64::from(in_cycle.month()) - 1
    };
    let span = count(to) - count(from);
    let step = MONTH_STEPS.into_iter().find(|step| span / step < most).unwrap_or(24_000);
    let first = count(from).div_euclid(step) * step;
    let all = (0..).map(|i| first + i * step).take_while(|month| *month <= count(to));
    let at = |month: i64| {
        let text = format!("{:04}-{:02}-01T00:00:00Z", month / 12, month % 12 + 1);
        timestamp::parse_ms(&text).ok()
    };
    let label = |month: i64| match month % 12 {
        0 => (month / 12).to_string(),
        other => MONTHS[other as usize].to_owned(),
    };
    let placed = all.filter_map(|month| Some((at(month)?, label(month))));
    placed.filter(|(ms, _)| (from..=to).contains(ms)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, expected: &[&str]) {
        let ms = |text| timestamp::parse_ms(text).expect("a time") as f64;
        let scale = Scale::linear(ms(from), ms(to));
        let labels: Vec<String> = ticks(&scale, 6).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, expected, "{from} {to}");
    }

    #[test]
    fn ticks_are_moments_people_name() {
        check(
            "2026-11-23T13:58:30Z",
            "2026-11-23T14:01:00Z",
            &["13:58:30", "13:59:00", "13:59:30", "14:00:00", "14:00:30", "14:01:00"],
        );
        check(
            "2026-11-22T20:30:00Z",
            "2026-11-23T01:00:00Z",
            &["21:00", "22:00", "23:00", "23 Nov", "01:00"],
        );
        check(
            "2026-11-20T01:00:00Z",
            "2026-11-24T23:00:00Z",
            &["21 Nov", "22 Nov", "23 Nov", "24 Nov"],
        );
        // Mondays.
        check(
            "2026-11-01T00:00:00Z",
            "2026-11-30T00:00:00Z",
            &["2 Nov", "9 Nov", "16 Nov", "23 Nov", "30 Nov"],
        );
        check("2025-10-15T00:00:00Z", "2026-06-10T00:00:00Z", &["Nov", "2026", "Mar", "May"]);
        check("1970-01-01T00:00:00Z", "9999-12-31T00:00:00Z", &["2000", "4000", "6000", "8000"]);
    }

    #[test]
    fn any_range_has_bounded_ticks() {
        for (lo, hi) in [(-1e300, 1e300), (0.0, 1.0), (1e12, 1e12), (0.0, 9e15)] {
            assert!(ticks(&Scale::linear(lo, hi), 8).len() <= 9, "{lo} {hi}");
        }
        assert_eq!(date_and_time(0), "1970-01-01 00:00");
        assert_eq!(date_and_time(1_795_428_905_000), "2026-11-23 10:15:05");
    }
}
