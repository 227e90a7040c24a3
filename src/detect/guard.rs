//! A guard against drift: how far an entity's own recent past raises the threshold for it.
//!
//! In: smoothed scores divided by the trained threshold, one a tick and entity. Out: for each entity
//! the factor of its threshold, from 1 to a bound: the quantile of its ratios over a window that
//! ended a while ago. A machine that has changed for good then stops alarming within a day or so,
//! while what happens now is still judged by what was before.
//!
//! Ratios are counted by the hour of the clock in bins of 5 %; those below 1 would change nothing
//! and are counted in total only. When an hour has ended its bucket is closed and the factor is
//! computed anew, from the buckets that lie wholly in the window.
//!
//! Invariants: a score never enters the factor it is judged by (its bucket is not closed); missing
//! scores count for nothing; the factor is at least the exact quantile and at most one bin above; a
//! slot that was out of sight for longer than window and delay begins anew.
//!
//! Memory: `2 (bins + 1)` bytes a bucket, 2.6 kB an entity with the defaults. Cost: one counter a
//! tick and entity; at the first tick of an hour the sum over the window's buckets.

use crate::duration::Duration;
use crate::model::GuardSpec;

/// One bucket: fine enough for a window of hours, coarse enough for ten thousand entities.
const BUCKET_MS: i64 = 3_600_000;

/// The ratio of a bin's edges: a threshold is not known to 5 %.
const BIN_RATIO: f64 = 1.05;

/// The share of the window's steps that must have a score. What was seen for less has not shown
/// what is normal for it: an hour of trouble on a machine that has just started must not become
/// its standard. A restless machine alarms for so long after its start.
const MIN_SHARE: f64 = 0.25;

/// The guards of all entities, by slot.
#[derive(Debug, Clone)]
pub struct Guard {
    quantile: f64,
    bound: f64,
    /// Buckets in the window, in the delay, and the open one.
    window: usize,
    buckets: usize,
    /// Bins between 1 and the bound, and one for what lies beyond.
    bins: usize,
    min_count: u64,
    slots: Vec<Slot>,
    /// Scores by slot and bucket.
    totals: Vec<u16>,
    /// Scores above 1 by slot, bucket and bin.
    counts: Vec<u16>,
    /// Those of a window by bin, while its quantile is looked for.
    sums: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The hour of the open bucket. `None` before the first score.
    hour: Option<i64>,
    factor: f64,
}

const FRESH: Slot = Slot { hour: None, factor: 1.0 };

impl Guard {
    /// A guard without slots, for scores every `step_ms`.
    #[must_use]
    pub fn new(config: &GuardSpec, step_ms: i64) -> Self {
        let hours = |span: Duration| (span.as_ms() as u64).div_ceil(BUCKET_MS as u64) as usize;
        let (window, delay) = (hours(config.window), hours(config.delay));
        let steps = window as f64 * BUCKET_MS as f64 / step_ms.max(1) as f64;
        let bins = (config.bound.ln() / BIN_RATIO.ln()).ceil() as usize + 1;
        Self {
            quantile: config.quantile,
            bound: config.bound,
            window,
            buckets: window + delay + 1,
            bins,
            min_count: (MIN_SHARE * steps).ceil() as u64,
            slots: Vec::new(),
            totals: Vec::new(),
            counts: Vec::new(),
            sums: vec![0; bins],
        }
    }

    /// Makes room for so many slots. New ones are fresh.
    pub fn resize(&mut self, slots: usize) {
        self.slots.resize(slots, FRESH);
        self.totals.resize(slots * self.buckets, 0);
        self.counts.resize(slots * self.buckets * self.bins, 0);
    }

    /// Forgets a slot's past: another entity has it now.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn reset(&mut self, slot: usize) {
        self.slots[slot] = FRESH;
        self.totals[slot * self.buckets..][..self.buckets].fill(0);
        self.counts[slot * self.buckets * self.bins..][..self.buckets * self.bins].fill(0);
    }

    /// What the trained threshold is multiplied by, from 1 to the bound: as of the last
    /// [`push`](Self::push), whose score did not enter it.
    ///
    /// # Panics
    /// Beyond the slots there are.
    #[must_use]
    pub fn factor(&self, slot: usize) -> f64 {
        self.slots[slot].factor
    }

    /// Takes the score of a tick, divided by the trained threshold. To be called before the factor
    /// of that tick is asked for, so that the hours that have passed are known.
    ///
    /// A clock that was set back by more than an hour begins the slot anew.
    ///
    /// # NaN
    /// There is no score: time passes and nothing is counted.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn push(&mut self, slot: usize, now_ms: i64, ratio: f64) {
        let now = now_ms.div_euclid(BUCKET_MS);
        let hour = match self.slots[slot].hour {
            Some(hour) if now > hour => {
                self.pass(slot, hour, now);
                now
            }
            // The correction of a clock, by a second at a full hour, costs no day of memory.
            Some(hour) if now + 1 >= hour => hour,
            None => now,
            Some(_) => {
                self.reset(slot);
                now
            }
        };
        self.slots[slot].hour = Some(hour);
        if ratio.is_nan() {
            return;
        }
        let bucket = self.bucket(slot, hour);
        // Full at 65,535 scores an hour, a step of 55 ms.
        self.totals[bucket] = self.totals[bucket].saturating_add(1);
        if ratio > 1.0 {
            let count = &mut self.counts[bucket * self.bins + bin(ratio, self.bins)];
            *count = count.saturating_add(1);
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + (self.totals.capacity() + self.counts.capacity()) * size_of::<u16>()
    }

    /// The place of an hour's bucket among all.
    fn bucket(&self, slot: usize, hour: i64) -> usize {
        slot * self.buckets + hour.rem_euclid(self.buckets as i64) as usize
    }

    /// Closes the bucket of `hour`, clears those of the hours until `now`, and computes the factor.
    fn pass(&mut self, slot: usize, hour: i64, now: i64) {
        let passed = (now - hour).min(self.buckets as i64);
        for hour in now - passed + 1..=now {
            let bucket = self.bucket(slot, hour);
            self.totals[bucket] = 0;
            self.counts[bucket * self.bins..][..self.bins].fill(0);
        }
        self.slots[slot].factor = self.quantile(slot, now);
    }

    fn quantile(&mut self, slot: usize, now: i64) -> f64 {
        let delay = (self.buckets - 1 - self.window) as i64;
        let mut total: u64 = 0;
        self.sums.fill(0);
        for hour in now - delay - self.window as i64..now - delay {
            let bucket = self.bucket(slot, hour);
            total += u64::from(self.totals[bucket]);
            let counts = &self.counts[bucket * self.bins..][..self.bins];
            for (sum, count) in self.sums.iter_mut().zip(counts) {
                *sum += u32::from(*count);
            }
        }
        if total < self.min_count.max(1) {
            return 1.0;
        }
        let allowed = (1.0 - self.quantile) * total as f64;
        let mut above = 0_u64;
        for (bin, sum) in self.sums.iter().enumerate().rev() {
            above += u64::from(*sum);
            if above as f64 > allowed {
                return BIN_RATIO.powi(bin as i32 + 1).min(self.bound);
            }
        }
        1.0
    }
}

/// The bin of a ratio above 1: bin `i` holds `(1.05^i, 1.05^(i + 1)]`, the last one all the rest.
fn bin(ratio: f64, bins: usize) -> usize {
    let place = (ratio.ln() / BIN_RATIO.ln()).ceil() - 1.0;
    // A cast of what lies beyond saturates.
    (place.max(0.0) as usize).min(bins - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = BUCKET_MS;
    const STEP: i64 = 300_000;

    fn usual() -> GuardSpec {
        GuardSpec { quantile: 0.995, ..GuardSpec::default() }
    }

    fn guard(config: &GuardSpec) -> Guard {
        let mut guard = Guard::new(config, STEP);
        guard.resize(2);
        guard
    }

    /// The same, from all that was ever pushed.
    struct Naive {
        config: GuardSpec,
        pushed: Vec<(i64, f64)>,
    }

    impl Naive {
        fn factor(&self, now_ms: i64) -> f64 {
            let end = now_ms.div_euclid(HOUR) * HOUR - self.config.delay.as_ms();
            let start = end - self.config.window.as_ms();
            let mut ratios: Vec<f64> = (self.pushed.iter())
                .filter(|(time_ms, ratio)| (start..end).contains(time_ms) && !ratio.is_nan())
                .map(|(_, ratio)| *ratio)
                .collect();
            let steps = self.config.window.as_ms() as f64 / STEP as f64;
            if (ratios.len() as f64) < MIN_SHARE * steps {
                return 1.0;
            }
            ratios.sort_unstable_by(|a, b| b.total_cmp(a));
            // The smallest of them that is exceeded by no more than is allowed.
            let allowed = (1.0 - self.config.quantile) * ratios.len() as f64;
            ratios[allowed as usize].clamp(1.0, self.config.bound)
        }
    }

    #[track_caller]
    fn check(config: &GuardSpec, pushes: &[(i64, f64)]) {
        let mut guard = guard(config);
        let mut naive = Naive { config: *config, pushed: Vec::new() };
        for &(now_ms, ratio) in pushes {
            guard.push(1, now_ms, ratio);
            let (found, exact) = (guard.factor(1), naive.factor(now_ms));
            let highest = (exact * BIN_RATIO * (1.0 + 1e-12)).min(config.bound);
            // Rounding of a logarithm may put a ratio at an edge into the lower bin.
            let fits = exact * (1.0 - 1e-12) <= found && (found <= highest || exact == 1.0);
            assert!(fits && (exact > 1.0 || found == 1.0), "{now_ms}: {found}, exactly {exact}");
            naive.pushed.push((now_ms, ratio));
        }
        assert_eq!(guard.factor(0), 1.0);
    }

    fn hours(hours: i64) -> Duration {
        Duration::from_ms(hours * HOUR)
    }

    proptest! {
        #[test]
        fn the_factor_is_the_exact_quantile_within_a_bin(
            window in 1_i64..6,
            delay in 0_i64..3,
            quantile in prop::sample::select(vec![0.5, 0.9, 0.99]),
            bound in prop::sample::select(vec![1.0, 3.0, 10.0]),
            // Steps until the next score, and the score: about one hour of twelve is missing.
            steps in prop::collection::vec((
                prop_oneof![20 => 1_i64..3, 1 => 3_i64..100],
                prop_oneof![5 => 0.1_f64..2.0, 3 => 2.0_f64..12.0, 1 => Just(f64::NAN)],
            ), 1..400),
        ) {
            let config = GuardSpec { quantile, window: hours(window), delay: hours(delay), bound };
            let mut now_ms = -7 * HOUR;
            let pushes: Vec<_> = steps
                .into_iter()
                .map(|(gap, ratio)| {
                    now_ms += gap * STEP;
                    (now_ms, ratio)
                })
                .collect();
            check(&config, &pushes);
        }
    }

    /// Pushes a ratio at every step of some hours, and gives the time after them.
    fn run(guard: &mut Guard, from_ms: i64, hours: i64, ratio: f64) -> i64 {
        for step in 0..hours * HOUR / STEP {
            guard.push(0, from_ms + step * STEP, ratio);
        }
        from_ms + hours * HOUR
    }

    #[test]
    fn a_change_for_good_counts_after_the_delay() {
        let mut guard = guard(&usual());
        let now = run(&mut guard, 0, 48, 0.5);
        assert_eq!(guard.factor(0), 1.0);
        // The bucket of the first hour closes, and an hour later it counts.
        let now = run(&mut guard, now, 2, 3.0);
        assert_eq!(guard.factor(0), 1.0);
        guard.push(0, now, 3.0);
        let factor = guard.factor(0);
        assert!((3.0..3.0 * BIN_RATIO).contains(&factor), "{factor}");
        // When it has gone from the window it is forgotten.
        let now = run(&mut guard, now, 26, 0.5);
        guard.push(0, now, 0.5);
        assert_eq!(guard.factor(0), 1.0);
    }

    #[test]
    fn who_is_new_has_no_past_to_excuse_it() {
        let mut guard = guard(&usual());
        // A quarter of the window, the delay, and not a step more.
        let now = run(&mut guard, 0, 7, 3.0);
        assert_eq!(guard.factor(0), 1.0);
        guard.push(0, now, 3.0);
        assert!(guard.factor(0) > 3.0);
    }

    #[test]
    fn nothing_is_beyond_the_bound() {
        let mut guard = guard(&usual());
        let now = run(&mut guard, 0, 30, f64::INFINITY);
        guard.push(0, now, -1.0);
        assert_eq!(guard.factor(0), 10.0);
        guard.reset(0);
        assert_eq!(guard.factor(0), 1.0);
        run(&mut guard, now, 7, 1.0);
        assert_eq!(guard.factor(0), 1.0);
    }

    #[test]
    fn a_clock_set_back_does_not_corrupt() {
        let mut guard = guard(&usual());
        let now = run(&mut guard, 0, 30, 3.0);
        guard.push(0, now, 3.0);
        assert!(guard.factor(0) > 3.0);
        // By a step at a full hour: nothing is lost.
        guard.push(0, now - STEP, 3.0);
        assert!(guard.factor(0) > 3.0);
        // By a day, by all there is, and forward again.
        guard.push(0, now - 24 * HOUR, 3.0);
        assert_eq!(guard.factor(0), 1.0);
        for time_ms in [i64::MIN, i64::MAX, i64::MIN, 0] {
            guard.push(0, time_ms, 1.5);
            assert_eq!(guard.factor(0), 1.0);
        }
        let now = run(&mut guard, 0, 8, 2.0);
        guard.push(0, now, 2.0);
        assert!((2.0..2.0 * BIN_RATIO).contains(&guard.factor(0)));
    }

    #[test]
    fn ten_thousand_entities_are_small() {
        let mut guard = Guard::new(&usual(), 15_000);
        guard.resize(10_000);
        assert!(guard.bytes() < 30_000_000, "{}", guard.bytes());
    }
}
