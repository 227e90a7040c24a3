//! Usable: whether any feature needs the samples that are pushed.
//!
//! In: the outcome of each batch, from all request handlers. Out: from time to time, that no pushed sample was
//! needed, with what came instead; and once, that needed samples arrive again. It does not know the clock.
//!
//! The number of series is estimated, as none of them is kept: each sets a bit of a map by its hash, and the
//! number of bits that are not set gives the estimate.
//!
//! Source: linear counting; Whang, Vander-Zanden, Taylor, "A linear-time probabilistic counting algorithm for
//! database applications", 1990.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::duration::Duration;
use crate::remote_write::clip;
use crate::sample::Batch;
use crate::series::Outcome;

/// So long without anything of use is said: two scrapes at the longest usual interval.
const DRY_MS: i64 = 120_000;

/// And after that this often: often enough for someone who looks at the last hour.
const AGAIN_MS: i64 = 1_800_000;

/// What comes is counted when nothing has been of use for so long; before that it would be for nothing.
const COUNTED_AFTER_MS: i64 = 30_000;

/// Words of the map: with 64 bits each, a hundred thousand series are told apart from two hundred thousand.
const WORDS: usize = 1_024;

/// Names of wanted metrics in a line.
const MOST_NAMED: usize = 10;

/// What was of use, and what came instead.
#[derive(Debug)]
pub(super) struct Usable {
    /// When something was of use last, or when it was begun to wait for it.
    used_ms: AtomicI64,
    /// When it was said that nothing is, the last time; 0 while it was not.
    told_ms: AtomicI64,
    unneeded: AtomicU64,
    rejected: AtomicU64,
    /// Series that came, by their hash.
    map: [AtomicU64; WORDS],
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing has been of use for a while.
    Nothing {
        /// For how long.
        lasts_ms: i64,
        /// Samples of series that nothing wants.
        unneeded: u64,
        /// Samples that were refused.
        rejected: u64,
        /// Series of all of them.
        series: u64,
    },
    /// Something is again.
    Again,
}

impl Usable {
    /// Begins to wait for something of use.
    pub(super) fn new(now_ms: i64) -> Self {
        Self {
            used_ms: AtomicI64::new(now_ms),
            told_ms: AtomicI64::new(0),
            unneeded: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            map: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// Starts to wait again.
    pub(super) fn begin(&self, now_ms: i64) {
        self.used_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Counts the series of a batch, if nothing has been of use for a while.
    pub(super) fn came(&self, batch: &Batch, now_ms: i64) {
        if !self.is_counting(now_ms) {
            return;
        }
        for series in &batch.series {
            let mut hasher = DefaultHasher::new();
            series.labels.hash(&mut hasher);
            let bit = hasher.finish() as usize % (64 * WORDS);
            self.map[bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
        }
    }

    /// Takes note of what became of a batch.
    pub(super) fn became(&self, outcome: &Outcome, now_ms: i64) {
        if outcome.stored + outcome.duplicate + outcome.deduplicated > 0 {
            self.used_ms.store(now_ms, Ordering::Relaxed);
        } else if self.is_counting(now_ms) {
            self.unneeded.fetch_add(outcome.unneeded, Ordering::Relaxed);
            self.rejected.fetch_add(outcome.rejected(), Ordering::Relaxed);
        }
    }

    /// What there is to say now; to be asked by one task.
    pub(super) fn look(&self, now_ms: i64) -> Option<Word> {
        let lasts_ms = now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed));
        let told_ms = self.told_ms.load(Ordering::Relaxed);
        if lasts_ms < 0 {
            // The clock was set back.
            self.used_ms.store(now_ms, Ordering::Relaxed);
        }
        if lasts_ms < COUNTED_AFTER_MS {
            self.forget();
        }
        if lasts_ms < DRY_MS {
            self.told_ms.store(0, Ordering::Relaxed);
            return (told_ms != 0).then_some(Word::Again);
        }
        let waits = told_ms != 0 && (0..AGAIN_MS).contains(&now_ms.saturating_sub(told_ms));
        if waits {
            return None;
        }
        self.told_ms.store(now_ms, Ordering::Relaxed);
        let word = Word::Nothing {
            lasts_ms,
            unneeded: self.unneeded.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            series: self.series(),
        };
        self.forget();
        Some(word)
    }

    fn is_counting(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed)) >= COUNTED_AFTER_MS
    }

    fn forget(&self) {
        self.unneeded.store(0, Ordering::Relaxed);
        self.rejected.store(0, Ordering::Relaxed);
        self.map.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    fn series(&self) -> u64 {
        let all = (64 * WORDS) as f64;
        let free: u32 =
            self.map.iter().map(|word| word.load(Ordering::Relaxed).count_zeros()).sum();
        (all * (all / f64::from(free.max(1))).ln()).round() as u64
    }
}

impl Word {
    /// As an operator reads it, where this is wanted.
    pub(super) fn text(&self, wanted: &[String]) -> String {
        let Self::Nothing { lasts_ms, unneeded, rejected, series } = *self else {
            return "samples that features need arrive again".to_owned();
        };
        let lasts = Duration::from_ms(lasts_ms / 60_000 * 60_000);
        let came = match (unneeded, rejected) {
            (0, 0) => "nothing is pushed to /api/v1/write".to_owned(),
            (_, 0) => format!("{unneeded} samples of {series} series were not needed"),
            (0, _) => format!("{rejected} samples were refused"),
            _ => format!(
                "{unneeded} samples of {series} series were not needed, {rejected} were refused"
            ),
        };
        let mut names = wanted.iter().take(MOST_NAMED).map(|it| clip(it)).collect::<Vec<_>>();
        match wanted.len().saturating_sub(MOST_NAMED) {
            0 => {}
            more => names.push(format!("and {more} more")),
        }
        format!("no sample that a feature needs for {lasts}; {came}; wanted: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;
    use crate::sample::{BatchSeries, Sample};

    fn batch(series: std::ops::Range<usize>) -> Batch {
        let one = |i: usize| {
            let labels = [("__name__", "up".to_owned()), ("instance", format!("h-{i}"))];
            let labels = Labels::from_pairs(labels).expect("distinct names");
            BatchSeries::new(labels, vec![Sample::new(0, 1.0)])
        };
        Batch::of(series.map(one).collect())
    }

    fn push(usable: &Usable, batch: &Batch, now_ms: i64, outcome: &Outcome) {
        usable.came(batch, now_ms);
        usable.became(outcome, now_ms);
    }

    #[test]
    fn nothing_of_use_is_said_after_two_minutes_and_seldom_again() {
        let usable = Usable::new(1);
        let batch = batch(0..212);
        let unneeded = Outcome { unneeded: 212, ..Outcome::default() };
        let mut words = Vec::new();
        for now_ms in (1..7_200_000).step_by(5_000) {
            push(&usable, &batch, now_ms, &unneeded);
            words.extend(usable.look(now_ms).map(|word| (now_ms, word)));
        }
        let times: Vec<i64> = words.iter().map(|(now_ms, _)| now_ms - 1).collect();
        assert_eq!(
            times,
            [DRY_MS, DRY_MS + AGAIN_MS, DRY_MS + 2 * AGAIN_MS, DRY_MS + 3 * AGAIN_MS]
        );
        let wanted = ["node_cpu_seconds_total".to_owned(), "node_load1".to_owned()];
        let text = words[0].1.text(&wanted);
        // From 30 s to 120 s, every 5 s.
        let expected = "no sample that a feature needs for 2m; 4028 samples of 212 series were not needed; \
                        wanted: node_cpu_seconds_total, node_load1";
        assert_eq!(text, expected);

        push(&usable, &batch, 7_200_000, &Outcome { stored: 1, ..Outcome::default() });
        assert_eq!(usable.look(7_205_000), Some(Word::Again));
        assert_eq!(usable.look(7_210_000), None);
    }

    #[test]
    fn what_is_of_use_now_and_then_is_of_use() {
        let usable = Usable::new(0);
        for now_ms in (0..7_200_000).step_by(60_000) {
            usable.became(&Outcome { duplicate: 1, ..Outcome::default() }, now_ms);
            assert_eq!(usable.look(now_ms + 59_999), None);
        }
    }

    #[test]
    fn nothing_at_all_and_refusals_have_their_words() {
        let names: Vec<String> = (0..12).map(|i| format!("m{i}")).collect();
        let nothing = |unneeded, rejected| {
            Word::Nothing { lasts_ms: 150_000, unneeded, rejected, series: 3 }.text(&names)
        };
        let text = nothing(0, 0);
        assert!(text.contains("needs for 2m; nothing is pushed to /api/v1/write;"), "{text}");
        assert!(text.ends_with("m8, m9, and 2 more"), "{text}");
        assert!(nothing(0, 5).contains("; 5 samples were refused;"));
        assert!(nothing(4, 5).contains("; 4 samples of 3 series were not needed, 5 were refused;"));
    }

    #[test]
    fn series_are_counted_well_enough() {
        for count in [0, 1, 212, 10_000, 200_000] {
            let usable = Usable::new(0);
            usable.came(&batch(0..count), COUNTED_AFTER_MS);
            usable.came(&batch(0..count), COUNTED_AFTER_MS);
            let series = usable.series() as f64;
            assert!((series - count as f64).abs() <= 0.03 * count as f64, "{series} of {count}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence() {
        let usable = Usable::new(1_000_000);
        assert_eq!(usable.look(0), None);
        assert!(usable.look(DRY_MS).is_some());
    }
}
