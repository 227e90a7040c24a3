//! Freshness: whether an entity's samples are there at an instant, and how far back they cover.
//!
//! In: the times of an entity's samples, an instant. Out: whether its newest is recent, and over
//! which ranges. It knows neither rings nor servers: serving hands in the times in a ring, history
//! the times that a server gave for `timestamp()`, and both get the same answer.
//!
//! ```text
//!        range                                    instant
//!   ┌──────┴───────────────────────────────────────┐
//!   x   x   x   x   x   x   x   x   x   x   x   x   │   fresh, and the range is covered
//!   x   x   x   x   x   x   x                       │   late: no score
//!                           x   x   x   x   x   x   │   a birth: no window yet
//!     x   x   x   x               x   x   x   x   x   │   covered from its first sample on
//!   x   x   x   x   x   x   x   x   ╎               │   ended (a stale marker): no score
//! ```
//!
//! The measure is the entity's own scrape interval: what comes every 15 s is late after 30 s. A range
//! is covered when its first sample lies within an interval of its beginning: then Prometheus's `rate`
//! extrapolates to there, and an average is over the whole of it. A scrape that failed in the middle
//! changes neither.
//!
//! History sees at each of its instants when the newest sample was taken, and no more: of two samples
//! between two instants the first is unknown to it. So serving, whose rings have both, counts the later
//! one alone. A Prometheus that was paused for nine seconds and scrapes twice in the next one would
//! else cover a range live that it does not cover in history.

/// The age of the newest sample up to which it counts, in scrape intervals: one scrape may be under
/// way and one may have failed.
const LATE_INTERVALS: f64 = 2.0;

/// How much later than the beginning of a range its first sample may be, in scrape intervals: a little
/// more than one, as scrapes jitter. Prometheus's `rate` takes the same factor for the gap up to which
/// it extrapolates fully; a range of eight samples that lacks its first one would be an eighth short.
/// Source: Prometheus `promql/functions.go`, `extrapolatedRate`.
const FIRST_INTERVALS: f64 = 1.1;

/// The part of a range that its first sample may be late by whatever the interval: what is said over
/// ten minutes is hardly another thing without the first half minute.
const FIRST_PART: i64 = 20;

/// Intervals of which the median is the scrape interval: few, so that a new interval is soon known;
/// several, so that failed scrapes do not count as one.
const INTERVALS: usize = 5;

/// The usual scrape interval: history is asked for the times of samples as often.
const FINE_MS: i64 = 15_000;

/// Instants in a step, at most: as many again as the features of a small model.
const MOST_INSTANTS: i64 = 20;

/// How far back an instant selector looks for its sample, and so how old a sample may be to tell
/// of the interval.
const LOOKBACK_MS: i64 = crate::promql::LOOKBACK_MS;

/// The ranges that some features look over, and how old a sample may be at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// Distinct, ascending; without 0.
    ranges_ms: Vec<i64>,
    pub(super) stale_after_ms: i64,
    resolution_ms: i64,
}

/// What is known of an entity at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// When its newest sample was taken.
    pub newest_ms: i64,
    /// Whether the longest range is not covered because the entity has not been seen for as long.
    pub is_warming: bool,
    /// Bits of the ranges that are covered, by their place.
    pub(super) covered: u64,
}

impl Liveness {
    /// An entity of which nothing is known but that it is there: a row of a table.
    #[must_use]
    pub fn row(now_ms: i64) -> Self {
        Self { newest_ms: now_ms, is_warming: false, covered: u64::MAX }
    }

    /// Whether the range with this place is covered.
    pub(super) fn covers(self, range: Option<usize>) -> bool {
        range.is_none_or(|range| self.covered >> range & 1 == 1)
    }
}

impl Freshness {
    /// More ranges than this are taken as the longest of them.
    const MOST_RANGES: usize = 64;

    /// Freshness of entities whose features look over these ranges, in any order; what looks at an
    /// instant has the range 0. Intervals shorter than the resolution count as that.
    #[must_use]
    pub fn new(ranges_ms: &[i64], stale_after_ms: i64, resolution_ms: i64) -> Self {
        let mut ranges_ms: Vec<i64> = ranges_ms.iter().copied().filter(|it| *it > 0).collect();
        ranges_ms.sort_unstable();
        ranges_ms.dedup();
        let few = ranges_ms.len().saturating_sub(Self::MOST_RANGES);
        ranges_ms.drain(..few);
        Self { ranges_ms, stale_after_ms, resolution_ms }
    }

    /// How far apart the instants are at which history is asked for the times of samples, for steps of
    /// this length: a fraction of them, fine enough for common scrape intervals and not so fine that
    /// long steps ask for much more than the features do.
    #[must_use]
    pub fn resolution_ms(step_ms: i64) -> i64 {
        let wanted_ms = FINE_MS.max(step_ms / MOST_INSTANTS);
        let least = (step_ms + wanted_ms - 1) / wanted_ms.max(1);
        let parts = (least.max(1)..=step_ms.max(1)).find(|parts| step_ms % parts == 0);
        step_ms / parts.unwrap_or(1)
    }

    /// The place of the shortest range that reaches as far; none for what looks at an instant.
    pub(super) fn place(&self, range_ms: i64) -> Option<usize> {
        let place = self.ranges_ms.partition_point(|it| *it < range_ms);
        (range_ms > 0).then_some(place.min(self.ranges_ms.len().saturating_sub(1)))
    }

    /// How far back the times have to reach that [`Freshness::judge`] is given.
    #[must_use]
    pub fn reach_ms(&self) -> i64 {
        let longest = self.ranges_ms.last().copied().unwrap_or(0);
        longest.saturating_add(2 * self.stale_after_ms).max(LOOKBACK_MS)
    }

    /// The same with another limit and resolution.
    #[must_use]
    pub(super) fn with(self, stale_after_ms: i64, resolution_ms: i64) -> Self {
        Self { stale_after_ms, resolution_ms, ..self }
    }

    /// Judges an entity by the times of its samples up to an instant, strictly ascending. `None` when
    /// there is none, and when the newest is late. Whether the entity has ended (its newest sample is
    /// a stale marker) is for the caller to know. Times are known for `known_ms` back: of longer
    /// ranges, which the entity has no series for, nothing is said but what the shorter ones say.
    #[must_use]
    pub fn judge(&self, times_ms: &[i64], now_ms: i64, known_ms: i64) -> Option<Liveness> {
        let newest_ms = *times_ms.last()?;
        let times = Times { times_ms, now_ms, resolution_ms: self.resolution_ms.max(1) };
        let interval_ms = times.interval_ms().map(|it| it.max(self.resolution_ms));
        let within = |intervals: f64| {
            let interval_ms = interval_ms.unwrap_or(self.stale_after_ms) as f64;
            ((intervals * interval_ms) as i64).min(self.stale_after_ms.saturating_sub(1))
        };
        let late_ms = within(LATE_INTERVALS);
        if now_ms.saturating_sub(newest_ms) > late_ms {
            return None;
        }
        let first_ms = interval_ms.map(|_| within(FIRST_INTERVALS));
        let mut covered = 0;
        let mut is_warming = false;
        let known = self.ranges_ms.partition_point(|it| *it <= known_ms);
        for (i, range_ms) in self.ranges_ms[..known].iter().enumerate() {
            let edge_ms = now_ms.saturating_sub(*range_ms);
            let (has_before, first) = times.around(edge_ms);
            // A single sample tells no interval, and so covers nothing.
            let late_ms = first_ms.map(|it| it.max(range_ms / FIRST_PART));
            let begins = first.zip(late_ms).is_some_and(|(it, late_ms)| it - edge_ms <= late_ms);
            covered |= u64::from(begins) << i;
            is_warming = !has_before && !begins;
        }
        if known < self.ranges_ms.len() && !is_warming {
            covered |= u64::MAX << known;
        }
        Some(Liveness { newest_ms, is_warming, covered })
    }
}

/// The samples of one entity, as they are seen at instants one after the other.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    /// The next instant that has not been looked at.
    next: usize,
    times_ms: Vec<i64>,
    has_ended: bool,
}

impl Trail {
    /// Goes on to an instant, which is later than the one before, and judges the entity there.
    /// `newest_ms` has its newest sample at each of the instants; `i64::MIN` where there is none.
    pub fn judge(
        &mut self,
        freshness: &Freshness,
        (instants_ms, newest_ms): (&[i64], &[i64]),
        now_ms: i64,
    ) -> Option<Liveness> {
        let seen = instants_ms[self.next..].iter().take_while(|it| **it <= now_ms).count();
        for newest_ms in newest_ms.iter().skip(self.next).take(seen) {
            self.has_ended = *newest_ms == i64::MIN;
            if self.times_ms.last().is_none_or(|last| newest_ms > last) && !self.has_ended {
                self.times_ms.push(*newest_ms);
            }
        }
        self.next += seen;
        // An entity that was never seen has no list of its own.
        if self.has_ended || newest_ms.is_empty() {
            return None;
        }
        let oldest_ms = now_ms.saturating_sub(freshness.reach_ms());
        let old = self.times_ms.partition_point(|it| *it <= oldest_ms);
        let liveness = freshness.judge(&self.times_ms[old..], now_ms, i64::MAX);
        if old > self.times_ms.len() / 2 {
            self.times_ms.drain(..old);
        }
        liveness
    }
}

/// The times of samples as history sees them: of several between two instants only the latest.
#[derive(Debug, Clone, Copy)]
struct Times<'a> {
    /// Strictly ascending, none later than now.
    times_ms: &'a [i64],
    /// The latest of the instants.
    now_ms: i64,
    /// How far apart they are; positive.
    resolution_ms: i64,
}

impl Times<'_> {
    /// The instant that first sees a sample, counted back from now.
    fn instant(&self, at: usize) -> i64 {
        self.now_ms.saturating_sub(self.times_ms[at]) / self.resolution_ms
    }

    /// Whether an instant sees this sample as its newest.
    fn is_seen(&self, at: usize) -> bool {
        at + 1 == self.times_ms.len() || self.instant(at) != self.instant(at + 1)
    }

    /// The usual distance of the newest samples; `None` of a single one.
    fn interval_ms(&self) -> Option<i64> {
        let mut room = [0; INTERVALS];
        let mut gaps = 0;
        let mut later_ms = None;
        for at in (0..self.times_ms.len()).rev().filter(|at| self.is_seen(*at)) {
            if let Some(later_ms) = later_ms.replace(self.times_ms[at]) {
                room[gaps] = later_ms - self.times_ms[at];
                gaps += 1;
            }
            if gaps == INTERVALS {
                break;
            }
        }
        let gaps = &mut room[..gaps];
        gaps.sort_unstable();
        // The lower of the two in the middle: a gap is a failed scrape rather than an interval.
        (!gaps.is_empty()).then(|| gaps[(gaps.len() - 1) / 2])
    }

    /// Whether there is a sample up to an edge, and the first one after it.
    fn around(&self, edge_ms: i64) -> (bool, Option<i64>) {
        let after = self.times_ms.partition_point(|it| *it <= edge_ms);
        let first = (after..self.times_ms.len()).find(|at| self.is_seen(*at));
        // What lies before is unseen only if the same instant sees something later, which is then all.
        let has_before = after > 0 && first.is_none_or(|it| self.instant(0) != self.instant(it));
        (has_before, first.map(|it| self.times_ms[it]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Just;

    use super::*;

    const SECOND: i64 = 1_000;
    const MINUTE: i64 = 60 * SECOND;
    const NOW: i64 = 1_000 * MINUTE;

    fn freshness() -> Freshness {
        Freshness::new(&[10 * MINUTE, 0, 2 * MINUTE, 2 * MINUTE], 2 * MINUTE, SECOND)
    }

    /// Every 15 s from one age to another, both in seconds.
    fn every_15s(from: i64, to: i64) -> Vec<i64> {
        (to / 15..=from / 15).rev().map(|i| NOW - 15 * i * SECOND).collect()
    }

    /// The ranges that are covered, in minutes; none for an entity that is not fresh.
    #[track_caller]
    fn check(times_ms: &[i64], expected: Option<(&[i64], bool)>) {
        let freshness = freshness();
        let found = freshness.judge(times_ms, NOW, i64::MAX);
        let minutes = [2, 10].into_iter();
        let covered = |it: Liveness| -> Vec<i64> {
            minutes.filter(|m| it.covers(freshness.place(m * MINUTE))).collect()
        };
        let found = found.map(|it| (covered(it), it.is_warming));
        assert_eq!(found, expected.map(|(ranges, warming)| (ranges.to_vec(), warming)));
    }

    #[test]
    fn samples_as_old_as_the_longest_range_cover_all() {
        check(&every_15s(900, 0), Some((&[2, 10], false)));
        check(&every_15s(585, 15), Some((&[2, 10], false)));
    }

    #[test]
    fn late_is_what_is_older_than_two_intervals() {
        check(&every_15s(900, 30), Some((&[2, 10], false)));
        check(&every_15s(900, 45), None);
        // Every five seconds: after fifteen.
        let fast: Vec<i64> = (3..200).rev().map(|i| NOW - 5 * i * SECOND).collect();
        check(&fast, None);
        // Every minute, and the limit is two.
        let slow = |newest: i64| -> Vec<i64> {
            (0..20).rev().map(|i| NOW - newest * SECOND - i * MINUTE).collect()
        };
        check(&slow(119), Some((&[2, 10], false)));
        check(&slow(120), None);
        check(&[], None);
    }

    #[test]
    fn a_birth_covers_nothing_until_its_first_sample_is_old_enough() {
        check(&every_15s(0, 0), Some((&[], true)));
        check(&every_15s(90, 0), Some((&[], true)));
        check(&every_15s(105, 0), Some((&[2], true)));
        check(&every_15s(555, 0), Some((&[2], true)));
        check(&every_15s(570, 0), Some((&[2, 10], false)));
    }

    #[test]
    fn a_gap_harms_a_range_only_while_its_beginning_lies_in_it() {
        let gap = |from, to| [every_15s(900, from), every_15s(to, 0)].concat();
        // So does a single failed scrape, for one step, where it is more than a twentieth.
        for at in (15..870).step_by(15) {
            let covered: &[i64] = match at {
                105 => &[10],
                _ => &[2, 10],
            };
            check(&gap(at + 15, at - 15), Some((covered, false)));
        }
        // A pause of 90 s in the middle of the two minutes, then at their beginning.
        check(&gap(105, 15), Some((&[2, 10], false)));
        check(&gap(165, 75), Some((&[10], false)));
        check(&gap(210, 105), Some((&[2, 10], false)));
        check(&gap(660, 540), Some((&[2], false)));
    }

    #[test]
    fn the_interval_is_that_of_now() {
        // Every minute before, every 15 s for the last minute: late after 30 s.
        let mut times: Vec<i64> = (2..20).rev().map(|i| NOW - i * MINUTE).collect();
        times.extend(every_15s(105, 45));
        check(&times, None);
        // A pause is no interval.
        check(&[every_15s(900, 300), every_15s(30, 0)].concat(), Some((&[10], false)));
    }

    #[test]
    fn the_resolution_goes_into_the_step() {
        let resolutions = [1, 5, 15, 40, 60, 70, 300, 900]
            .map(|step| Freshness::resolution_ms(step * SECOND) / SECOND);
        assert_eq!(resolutions, [1, 5, 15, 10, 15, 14, 15, 45]);
        assert_eq!(Freshness::resolution_ms(17_001), 5_667);
    }

    #[test]
    fn what_is_seen_at_instants_is_judged_as_what_is_in_a_ring() {
        let freshness = freshness();
        // Scrapes every 15 s, of which the 70th to the 75th failed, seen 7 s later.
        let scrapes: Vec<i64> =
            (0..120).filter(|i| !(70..76).contains(i)).map(|i| i * 15 * SECOND).collect();
        let instants: Vec<i64> = (0..120).map(|i| (15 * i + 7) * SECOND).collect();
        let seen = |now: &i64| match scrapes.partition_point(|it| it <= now) {
            0 => i64::MIN,
            count => scrapes[count - 1],
        };
        let newest: Vec<i64> = instants.iter().map(seen).collect();
        let mut trail = Trail::default();
        for now in &instants {
            let found = trail.judge(&freshness, (&instants, &newest), *now);
            let ring: Vec<i64> = scrapes.iter().copied().filter(|it| it <= now).collect();
            assert_eq!(found, freshness.judge(&ring, *now, i64::MAX), "{now}");
        }
    }

    #[test]
    fn a_stale_marker_ends_it_at_once() {
        let freshness = freshness();
        let mut trail = Trail::default();
        let ended = [0, 15_000, i64::MIN];
        let mut at = |now| trail.judge(&freshness, (&[0, 15_000, 30_000], &ended), now).is_some();
        assert_eq!([at(0), at(15_000), at(29_999), at(30_000)], [true, true, true, false]);
    }

    #[test]
    fn two_scrapes_in_one_second_after_a_pause_cover_as_in_history() {
        let freshness = Freshness::new(&[5_000], 12_000, 1_000);
        let paused = [1, 2, 3, 4, 5].map(|it| it * 1_000 - 50);
        // Up again with a scrape that was due, and one in time soon after.
        let resumed: Vec<i64> = (14..20).map(|it| it * 1_000 - 50).collect();
        let mut times = [&paused[..], &[13_060][..], &resumed[..]].concat();
        times.retain(|it| *it <= 18_000);
        let covers = |times: &[i64]| freshness.judge(times, 17_000, i64::MAX).expect("fresh");
        times.retain(|it| *it <= 17_000);
        // The first sample after 12 s is at 13.06 s, but at 14 s history sees the one of 13.95 s.
        assert!(!covers(&times).covers(Some(0)));
        times.retain(|it| *it != 13_950);
        assert!(covers(&times).covers(Some(0)));
    }

    proptest::proptest! {
        /// Whatever the distances of samples are, also several between two instants.
        #[test]
        fn rings_and_instants_agree(
            gaps in proptest::collection::vec(
                proptest::prop_oneof![Just(15_000), Just(5_000), 1..3_000_i64, 10_000..200_000_i64],
                1..80,
            ),
            resolution_ms in proptest::prop_oneof![Just(15_000), Just(1_000), Just(60_000)],
            begins_before_ms in 0..60_000_i64,
        ) {
            let freshness = Freshness::new(&[45_000, 2 * MINUTE, 10 * MINUTE], 2 * MINUTE, resolution_ms);
            let scrapes: Vec<i64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let end = scrapes[scrapes.len() - 1] + 3 * MINUTE;
            let instants: Vec<i64> =
                (0..).map(|i| i * resolution_ms - begins_before_ms).take_while(|it| *it < end).collect();
            let before = |now: i64| &scrapes[..scrapes.partition_point(|it| *it <= now)];
            let seen = |now: &i64| before(*now).last().copied().unwrap_or(i64::MIN);
            let newest: Vec<i64> = instants.iter().map(seen).collect();
            let mut trail = Trail::default();
            for now in &instants {
                let found = trail.judge(&freshness, (&instants, &newest), *now);
                let from = *now - freshness.reach_ms();
                let ring: Vec<i64> = before(*now).iter().copied().filter(|it| *it > from).collect();
                proptest::prop_assert_eq!(found, freshness.judge(&ring, *now, i64::MAX), "{}", now);
            }
        }
    }

    #[test]
    fn without_ranges_a_single_sample_will_do() {
        let freshness = Freshness::new(&[0], 2 * MINUTE, SECOND);
        let found = freshness.judge(&[NOW - 2 * MINUTE + 1], NOW, 0).expect("fresh");
        assert!(!found.is_warming && found.covers(freshness.place(0)));
        assert_eq!(freshness.judge(&[NOW - 2 * MINUTE], NOW, 0), None);
    }
}
