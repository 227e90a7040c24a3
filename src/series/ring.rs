//! A ring: the recent samples of one series in time order, of floats or of native histograms.
//!
//! In: samples in almost any order. Out: slices of a time range. Invariants: times strictly
//! increase, the bits of every value are kept, the visible samples are one contiguous slice (so
//! that range functions need no seam). Old samples are passed over by moving the head and given
//! back when at least a quarter of the buffer is behind it, so an append is amortised O(1).

use crate::capacity;
use crate::sample::{HistogramSample, Sample};

/// Room for the first samples of a series: at 15 s scrapes, two minutes.
const FIRST_CAPACITY: usize = 8;

/// A line of the processor's cache has 64 bytes, a sample of either kind 16.
const SAMPLES_PER_LINE: usize = 4;

/// What a ring keeps: a value at a time.
pub(super) trait Timed: Clone {
    /// Milliseconds since the epoch.
    fn time_ms(&self) -> i64;

    /// Whether a sample of the same time is the same.
    fn is_same(&self, other: &Self) -> bool;

    /// Heap bytes.
    fn heap_bytes(&self) -> usize;
}

impl Timed for Sample {
    fn time_ms(&self) -> i64 {
        self.timestamp_ms
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Timed for HistogramSample {
    fn time_ms(&self) -> i64 {
        self.timestamp_ms
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes()
    }
}

/// What became of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is in the ring now; so many samples had to go because the ring was full.
    Stored {
        /// Samples that were still within the retention.
        truncated: u64,
    },
    /// It was there already, bit for bit.
    Duplicate,
    /// Another value has its time.
    Conflict,
    /// It is older than what the ring keeps.
    TooOld,
    /// The ring is full of samples that go before it.
    NoRoom,
}

/// So many lines are fetched for many series at once: two minutes of 15 s scrapes and what lies around.
const NEWEST_LINES: usize = 3;

/// Recent samples of one series.
#[derive(Debug)]
pub(super) struct Ring<T = Sample> {
    buffer: Vec<T>,
    head: usize,
    /// Heap bytes of what is in the buffer.
    inside_bytes: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T> Ring<T> {
    /// A ring of nothing.
    pub(super) const EMPTY: Self = Self { buffer: Vec::new(), head: 0, inside_bytes: 0 };
}

impl<T: Timed> Ring<T> {
    /// A ring of samples in order of time, no two of the same.
    pub(super) fn of(samples: Vec<T>) -> Self {
        debug_assert!(samples.is_sorted_by(|a, b| a.time_ms() < b.time_ms()));
        let inside_bytes = samples.iter().map(T::heap_bytes).sum();
        Self { buffer: samples, head: 0, inside_bytes }
    }

    /// The samples that are kept, oldest first.
    pub(super) fn samples(&self) -> &[T] {
        &self.buffer[self.head..]
    }

    /// The newest sample, which may be a stale marker.
    pub(super) fn last(&self) -> Option<&T> {
        self.buffer.last()
    }

    /// Samples in `(start_ms, end_ms]`.
    pub(super) fn window(&self, start_ms: i64, end_ms: i64) -> &[T] {
        let samples = self.samples();
        let to = match samples.last() {
            Some(last) if last.time_ms() > end_ms => first_after(samples, end_ms),
            _ => samples.len(),
        };
        &samples[first_after(&samples[..to], start_ms)..to]
    }

    /// Reads something of each of the newest lines of memory.
    pub(super) fn touch(&self) -> i64 {
        let newest = self.buffer.iter().rev().step_by(SAMPLES_PER_LINE).take(NEWEST_LINES);
        newest.fold(0, |seen, sample| seen ^ sample.time_ms())
    }

    /// Reads something of each line of memory with samples after a time, the newest first.
    pub(super) fn touch_after(&self, start_ms: i64) -> i64 {
        let lines = self.samples().iter().rev().step_by(SAMPLES_PER_LINE);
        let times = lines.map(|sample| sample.time_ms());
        times.take_while(|time_ms| *time_ms > start_ms).fold(0, |seen, time_ms| seen ^ time_ms)
    }

    /// Puts a sample in its place and forgets what is older than `retention_ms` before the newest
    /// or, when that is ahead of the clock, before `now_ms`: what a window at `now_ms` needs is not
    /// forgotten for a later sample. Beyond `max_samples` those ahead of the clock, which no window
    /// needs yet, make way first, the newest of them before the others, and then the oldest. A late
    /// sample that would be the first to make way is not taken in.
    pub(super) fn append(
        &mut self,
        sample: T,
        now_ms: i64,
        retention_ms: i64,
        max_samples: usize,
    ) -> Appended {
        let time_ms = sample.time_ms();
        let newest_ms = self.last().map_or(time_ms, |last| last.time_ms().max(time_ms));
        let oldest_ms = newest_ms.min(now_ms).saturating_sub(retention_ms);
        if time_ms < oldest_ms {
            return Appended::TooOld;
        }
        self.head += self.samples().partition_point(|s| s.time_ms() < oldest_ms);
        if self.is_first_to_go(time_ms, now_ms, max_samples) {
            return self.known(&sample).unwrap_or(Appended::NoRoom);
        }
        match self.last() {
            Some(last) if time_ms <= last.time_ms() => {
                if let Some(known) = self.known(&sample) {
                    return known;
                }
                self.make_room();
                self.inside_bytes += sample.heap_bytes();
                let at = self.samples().partition_point(|s| s.time_ms() < time_ms);
                self.buffer.insert(self.head + at, sample);
            }
            _ => {
                self.make_room();
                self.inside_bytes += sample.heap_bytes();
                self.buffer.push(sample);
            }
        }
        Appended::Stored { truncated: self.truncate(now_ms, max_samples) as u64 }
    }

    /// Whether there is a sample of this time.
    pub(super) fn has(&self, time_ms: i64) -> bool {
        let samples = self.samples();
        samples.last().is_some_and(|it| it.time_ms() >= time_ms)
            && samples.binary_search_by_key(&time_ms, T::time_ms).is_ok()
    }

    /// What is to be said of a sample whose time is taken.
    fn known(&self, sample: &T) -> Option<Appended> {
        let samples = self.samples();
        let at = samples.partition_point(|s| s.time_ms() < sample.time_ms());
        let there = samples.get(at).filter(|it| it.time_ms() == sample.time_ms())?;
        Some(if there.is_same(sample) { Appended::Duplicate } else { Appended::Conflict })
    }

    /// Whether a sample of this time would be the oldest of a full ring, of which none is ahead.
    fn is_first_to_go(&self, time_ms: i64, now_ms: i64, max_samples: usize) -> bool {
        let samples = self.samples();
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return false };
        let none_is_ahead = last.time_ms() <= now_ms;
        samples.len() >= max_samples && none_is_ahead && time_ms <= first.time_ms()
    }

    /// Lets go what is beyond `max_samples`; says how many.
    fn truncate(&mut self, now_ms: i64, max_samples: usize) -> usize {
        let over = self.samples().len().saturating_sub(max_samples);
        if over > 0 {
            let kept = self.samples();
            let ahead = kept.len() - kept.partition_point(|s| s.time_ms() <= now_ms);
            let newest = over.min(ahead);
            let gone = self.buffer.drain(self.buffer.len() - newest..);
            self.inside_bytes -= gone.map(|it| it.heap_bytes()).sum::<usize>();
            self.head += over - newest;
        }
        over
    }

    /// Makes sure that one more sample fits: by giving back what is behind the head, else by
    /// growing by half, to all that such an allocation takes.
    fn make_room(&mut self) {
        if self.buffer.len() < self.buffer.capacity() {
            return;
        }
        if self.head > 0 && self.head >= self.buffer.len() / 4 {
            let gone = self.buffer.drain(..self.head);
            self.inside_bytes -= gone.map(|it| it.heap_bytes()).sum::<usize>();
            self.head = 0;
        } else {
            let capacity = self.buffer.len() + FIRST_CAPACITY.max(self.buffer.len() / 2);
            let capacity = capacity::allocated(capacity * size_of::<T>()) / size_of::<T>();
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        capacity::allocated(self.buffer.capacity() * size_of::<T>()) + self.inside_bytes
    }
}

/// The place of the first sample after a time. It looks from the newest on, because that is where
/// windows are and what is still in the processor's cache.
fn first_after<T: Timed>(samples: &[T], time_ms: i64) -> usize {
    let (mut end, mut step) = (samples.len(), NEWEST_LINES * SAMPLES_PER_LINE);
    loop {
        let start = end.saturating_sub(step);
        if start == 0 || samples[start].time_ms() <= time_ms {
            let part = &samples[start..end];
            return start + part.partition_point(|sample| sample.time_ms() <= time_ms);
        }
        (end, step) = (start, 2 * step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const STORED: Appended = Appended::Stored { truncated: 0 };

    /// A clock that no sample is ahead of.
    const PUNCTUAL: i64 = i64::MAX;

    fn ring(times: &[i64]) -> Ring {
        let mut ring = Ring::<Sample>::default();
        for &t in times {
            assert_eq!(ring.append(Sample::new(t, t as f64), PUNCTUAL, 1_000, 100), STORED);
        }
        ring
    }

    #[track_caller]
    fn check_window(times: &[i64], start: i64, end: i64, expected: &[i64]) {
        let ring = ring(times);
        let got: Vec<i64> = ring.window(start, end).iter().map(|s| s.timestamp_ms).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn windows_are_open_on_the_left_and_closed_on_the_right() {
        check_window(&[10, 20, 30], 10, 30, &[20, 30]);
        check_window(&[10, 20, 30], 9, 29, &[10, 20]);
        check_window(&[10, 20, 30], 30, 40, &[]);
        check_window(&[10, 20, 30], -5, 5, &[]);
        check_window(&[10, 20, 30], 20, 10, &[]);
        check_window(&[], 0, 100, &[]);
    }

    #[test]
    fn a_window_may_start_anywhere_in_a_long_ring() {
        let times: Vec<i64> = (0..100).map(|n| 10 * n).collect();
        for start in -5..1_000 {
            let expected: Vec<i64> = times.iter().copied().filter(|t| *t > start).collect();
            check_window(&times, start, 2_000, &expected);
        }
    }

    #[test]
    fn late_samples_find_their_place() {
        check_window(&[30, 10, 20], i64::MIN, i64::MAX, &[10, 20, 30]);
    }

    #[test]
    fn repeats_are_told_from_contradictions() {
        let mut ring = ring(&[10, 20]);
        assert_eq!(ring.append(Sample::new(10, 10.0), PUNCTUAL, 1_000, 100), Appended::Duplicate);
        assert_eq!(ring.append(Sample::new(10, 11.0), PUNCTUAL, 1_000, 100), Appended::Conflict);
        assert_eq!(ring.append(Sample::new(20, 20.0), PUNCTUAL, 1_000, 100), Appended::Duplicate);
        assert_eq!(ring.samples().len(), 2);
    }

    #[test]
    fn old_samples_go_and_stay_away() {
        let mut ring = ring(&[0, 500, 1_000, 2_000]);
        assert_eq!(ring.samples()[0].timestamp_ms, 1_000);
        assert_eq!(ring.append(Sample::new(999, 0.0), PUNCTUAL, 1_000, 100), Appended::TooOld);
        assert_eq!(
            ring.append(Sample::new(1_000, 1_000.0), PUNCTUAL, 1_000, 100),
            Appended::Duplicate
        );
    }

    #[test]
    fn a_full_ring_drops_the_oldest_and_says_so() {
        let mut ring = ring(&[1, 2, 3]);
        let stored = ring.append(Sample::new(4, 0.0), PUNCTUAL, 1_000, 3);
        assert_eq!(stored, Appended::Stored { truncated: 1 });
        assert_eq!(ring.samples()[0].timestamp_ms, 2);
    }

    #[test]
    fn a_late_sample_is_not_taken_in_to_be_dropped() {
        let mut ring = ring(&[5, 6, 7]);
        for _ in 0..2 {
            assert_eq!(ring.append(Sample::new(4, 0.0), PUNCTUAL, 1_000, 3), Appended::NoRoom);
        }
        assert_eq!(ring.append(Sample::new(5, 5.0), PUNCTUAL, 1_000, 3), Appended::Duplicate);
        assert_eq!(ring.append(Sample::new(5, 0.0), PUNCTUAL, 1_000, 3), Appended::Conflict);
        assert_eq!(times(&ring), [5, 6, 7]);
    }

    fn times(ring: &Ring) -> Vec<i64> {
        ring.samples().iter().map(|sample| sample.timestamp_ms).collect()
    }

    #[test]
    fn a_sample_ahead_of_the_clock_pushes_nothing_out() {
        let mut ring = ring(&[1_000, 1_500]);
        assert_eq!(ring.append(Sample::new(9_000, 0.0), 2_000, 1_000, 100), STORED);
        assert_eq!(times(&ring), [1_000, 1_500, 9_000]);
        assert_eq!(ring.append(Sample::new(999, 0.0), 2_000, 1_000, 100), Appended::TooOld);
        assert_eq!(ring.append(Sample::new(2_000, 0.0), 2_000, 1_000, 100), STORED);
        assert_eq!(times(&ring), [1_000, 1_500, 2_000, 9_000]);
        // Time goes on; samples of now forget what is old though a later one is there.
        assert_eq!(ring.append(Sample::new(2_600, 0.0), 2_600, 1_000, 100), STORED);
        assert_eq!(times(&ring), [2_000, 2_600, 9_000]);
        assert_eq!(ring.append(Sample::new(9_500, 0.0), 9_500, 1_000, 100), STORED);
        assert_eq!(times(&ring), [9_000, 9_500]);
    }

    #[test]
    fn in_a_full_ring_what_is_ahead_makes_way_first() {
        let full = |truncated| Appended::Stored { truncated };
        let mut ring = ring(&[1, 2, 13, 14, 15]);
        assert_eq!(ring.append(Sample::new(3, 0.0), 10, 1_000, 5), full(1));
        assert_eq!(times(&ring), [1, 2, 3, 13, 14]);
        assert_eq!(ring.append(Sample::new(16, 0.0), 10, 1_000, 5), full(1));
        assert_eq!(times(&ring), [1, 2, 3, 13, 14], "itself, if it is the furthest ahead");
        assert_eq!(ring.append(Sample::new(4, 0.0), 10, 1_000, 3), full(3), "a smaller limit");
        assert_eq!(times(&ring), [2, 3, 4], "after what is ahead, the oldest");
    }

    #[test]
    fn extreme_timestamps_do_not_overflow() {
        let mut ring = Ring::<Sample>::default();
        assert_eq!(ring.append(Sample::new(i64::MIN, 0.0), PUNCTUAL, 1_000, 9), STORED);
        assert_eq!(ring.append(Sample::new(i64::MAX, 0.0), PUNCTUAL, 1_000, 9), STORED);
        assert_eq!(ring.append(Sample::new(i64::MIN, 0.0), PUNCTUAL, 1_000, 9), Appended::TooOld);
    }

    /// With samples so far ahead of the clock, so many are kept.
    #[track_caller]
    fn check_memory(ahead: i64, expected: usize) {
        let mut ring = Ring::<Sample>::default();
        for now in 0..10_000 {
            ring.append(Sample::new(now + ahead, 0.0), now, 63, 1_000);
        }
        assert_eq!(ring.samples().len(), expected);
        assert!(ring.bytes() <= 2 * expected * size_of::<Sample>(), "{} bytes", ring.bytes());
    }

    #[test]
    fn memory_stays_near_what_is_kept() {
        check_memory(0, 64);
        check_memory(-500, 64);
        check_memory(50, 114);
    }

    #[test]
    fn one_sample_ahead_costs_no_more_than_itself() {
        let mut ring = ring(&[9_999]);
        for now in 0..5_000 {
            assert_eq!(ring.append(Sample::new(now, 0.0), now, 63, 1_000), STORED);
        }
        assert_eq!(ring.samples().len(), 65);
        assert!(ring.bytes() <= 2 * 65 * size_of::<Sample>(), "{} bytes", ring.bytes());
    }

    proptest! {
        /// Against a sorted map that is told the same.
        #[test]
        fn behaves_like_a_map(
            times in proptest::collection::vec(0i64..200, 1..200), retention in 1i64..100
        ) {
            let mut ring = Ring::<Sample>::default();
            let mut map = BTreeMap::new();
            for t in times {
                let newest = map.keys().next_back().copied().unwrap_or(t).max(t);
                let expected = if t < newest - retention {
                    Appended::TooOld
                } else if map.insert(t, t).is_some() {
                    Appended::Duplicate
                } else {
                    STORED
                };
                prop_assert_eq!(ring.append(Sample::new(t, t as f64), PUNCTUAL, retention, 1_000), expected);
                map = map.split_off(&(newest - retention));
                // Late appends do not move the old end; look only at what is promised.
                let got: Vec<i64> = ring
                    .window(newest - retention - 1, newest)
                    .iter()
                    .map(|s| s.timestamp_ms)
                    .collect();
                prop_assert_eq!(got, map.keys().copied().collect::<Vec<_>>());
            }
        }

        /// A window at any `now` of a clock that never goes back holds all samples that came until
        /// then, however far ahead others were, and the ring no more than it must.
        #[test]
        fn no_window_lacks_a_sample(
            steps in proptest::collection::vec((0i64..20, -30i64..60), 1..200),
            retention in 1i64..50
        ) {
            let (mut ring, mut all, mut now) = (Ring::<Sample>::default(), BTreeMap::new(), 1_000);
            for (passed, ahead) in steps {
                now += passed;
                let t = now + ahead;
                let newest = all.keys().next_back().copied().unwrap_or(t).max(t);
                let oldest = newest.min(now) - retention;
                let expected = if t < oldest {
                    Appended::TooOld
                } else if all.insert(t, ()).is_some() {
                    Appended::Duplicate
                } else {
                    STORED
                };
                prop_assert_eq!(ring.append(Sample::new(t, 0.0), now, retention, 1_000), expected);
                let got: Vec<i64> =
                    ring.window(now - retention - 1, now).iter().map(|s| s.timestamp_ms).collect();
                let promised: Vec<i64> =
                    all.range(now - retention..=now).map(|(t, ())| *t).collect();
                prop_assert_eq!(got, promised);
                if expected == STORED {
                    prop_assert_eq!(times(&ring), all.range(oldest..).map(|(t, ())| *t).collect::<Vec<_>>());
                }
            }
        }
    }
}
