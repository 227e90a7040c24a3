//! Coverage: the hours that windows lie in, and whether they are enough to learn what recurs.
//!
//! In: windows of a dataset. Out: whether every part of a day, a week, a month or a year was seen
//! twice. The length of the data does not show this: eight days of mornings only say nothing about
//! midnight, but sines that were fitted to mornings have values there all the same.

use std::collections::BTreeSet;

use super::{Dataset, WindowPosition};
use crate::duration::HOUR_MS;

/// A window stands for the time until the next step, but for no more hours than this: half a turn of
/// the fastest wave of a season.
const MOST_HOURS: i64 = 3;

/// How often a part of a period has to be seen: twice tells what recurs from what happened once.
const TIMES: usize = 2;

/// What comes around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// How long it takes.
    ///
    /// # Units
    /// Hours.
    hours: i64,
    /// The length of its parts, each of which has to be seen.
    ///
    /// # Units
    /// Hours.
    part: i64,
}

impl Period {
    /// In hours.
    pub const DAY: Self = Self { hours: 24, part: 1 };
    /// In quarters of days, so that an hour's outage is no matter: the fastest weekly wave takes 56
    /// hours.
    pub const WEEK: Self = Self { hours: 7 * 24, part: 6 };
    /// In days, 31 of them.
    pub const MONTH: Self = Self { hours: 31 * 24, part: 24 };
    /// In twelfths, of 366 days.
    pub const YEAR: Self = Self { hours: 366 * 24, part: 732 };
}

/// The hours that windows lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Hours since 1970.
    hours: BTreeSet<i64>,
}

impl Coverage {
    /// Of the newest steps of windows, of all entities together.
    pub fn of(dataset: &Dataset, places: &[WindowPosition]) -> Self {
        let mut seen = vec![false; dataset.times_ms.len()];
        places.iter().for_each(|place| seen[place.step as usize] = true);
        let times = dataset.times_ms.iter().zip(seen).filter(|(_, seen)| *seen);
        Self::of_times(times.map(|(time_ms, _)| *time_ms), dataset.step_ms)
    }

    /// Of moments, each of which stands for a step.
    pub fn of_times(times_ms: impl Iterator<Item = i64>, step_ms: i64) -> Self {
        let mut hours = BTreeSet::new();
        let lasts_ms = step_ms.clamp(1, MOST_HOURS * HOUR_MS);
        let mut newest = None;
        for time_ms in times_ms {
            let first = time_ms.div_euclid(HOUR_MS);
            let last = (time_ms + lasts_ms - 1).div_euclid(HOUR_MS);
            // A day of seconds has 24 hours.
            if newest != Some(last) {
                hours.extend(first..=last);
                newest = Some(last);
            }
        }
        Self { hours }
    }

    /// Whether every part of a period was seen in two of them.
    pub fn recurs(&self, period: Period) -> bool {
        let parts = period.hours / period.part;
        let seen: BTreeSet<i64> =
            self.hours.iter().map(|hour| hour.div_euclid(period.part)).collect();
        let mut times = vec![0; parts as usize];
        seen.iter().for_each(|part| times[part.rem_euclid(parts) as usize] += 1);
        times.iter().all(|times| *times >= TIMES)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Of these hours of the day on so many days from the first of 1970, a Thursday.
    pub fn hours(of_day: std::ops::Range<i64>, days: i64) -> Coverage {
        let times = (0..days).flat_map(|day| of_day.clone().map(move |hour| 24 * day + hour));
        Coverage::of_times(times.map(|hour| hour * HOUR_MS), HOUR_MS)
    }

    #[test]
    fn a_day_is_known_when_each_of_its_hours_was_seen_twice() {
        assert!(hours(0..24, 2).recurs(Period::DAY));
        assert!(!hours(0..24, 1).recurs(Period::DAY));
        // However many mornings, and all day but for one hour.
        assert!(!hours(9..12, 800).recurs(Period::DAY));
        assert!(!hours(0..23, 800).recurs(Period::DAY));
        // A day and its second half are less than two days.
        let mut one_and_a_half = hours(0..24, 1);
        one_and_a_half.hours.extend(36..48);
        assert!(!one_and_a_half.recurs(Period::DAY));
    }

    #[test]
    fn a_week_is_known_when_each_of_its_days_was_seen_twice() {
        assert!(hours(0..24, 14).recurs(Period::WEEK));
        assert!(!hours(0..24, 13).recurs(Period::WEEK));
        assert!(!hours(9..12, 800).recurs(Period::WEEK));
        // An hour's outage is no matter.
        let mut outage = hours(0..24, 14);
        outage.hours.remove(&100);
        assert!(outage.recurs(Period::WEEK) && outage.recurs(Period::DAY));
        // Work days alone never tell of a weekend.
        let mut work = hours(0..24, 70);
        work.hours.retain(|hour| !matches!(hour.div_euclid(24).rem_euclid(7), 2 | 3));
        assert!(!work.recurs(Period::WEEK) && work.recurs(Period::DAY));
    }

    #[test]
    fn months_and_years_take_two_of_them() {
        assert!(hours(0..24, 62).recurs(Period::MONTH));
        assert!(!hours(0..24, 61).recurs(Period::MONTH));
        assert!(hours(0..24, 732).recurs(Period::YEAR));
        assert!(!hours(0..24, 690).recurs(Period::YEAR));
    }

    #[test]
    fn steps_longer_than_an_hour_stand_for_the_hours_between() {
        let every = |step_hours: i64| {
            let times = (0..10 * 24).step_by(step_hours as usize).map(|hour| hour * HOUR_MS);
            Coverage::of_times(times, step_hours * HOUR_MS)
        };
        assert!(every(2).recurs(Period::DAY) && every(3).recurs(Period::DAY));
        // Four values a day cannot tell four waves of it.
        assert!(!every(6).recurs(Period::DAY));
    }

    #[test]
    fn a_gap_is_not_covered_by_what_is_around_it() {
        let minutes = (0..3 * 1_440).filter(|minute| (minute / 60) % 24 != 5);
        let coverage = Coverage::of_times(minutes.map(|minute| minute * 60_000), 60_000);
        assert!(!coverage.recurs(Period::DAY));
        assert_eq!(coverage.hours.len(), 3 * 23);
        assert!(!Coverage::of_times(std::iter::empty(), 60_000).recurs(Period::DAY));
    }
}
