//! A budget: the memory that series, feature values and what is remembered of entities may take together.
//!
//! In: how much is for others, told by the owner once in a while. Out: whether a new series is admitted,
//! and which are dropped. Rings grow after their series is admitted, until they are as long as their
//! selectors look back, so that series which fitted when they came may not later. Then the youngest are
//! dropped: who was there before goes on as if they had never come, and an entity that loses series has
//! features that are absent, never ones computed from less than a window.
//!
//! Invariant: after each append, either the budget holds or no series is left. After series were dropped
//! none is admitted before the rings of the others have had time to grow, and then only where there is
//! room left, so that the same ones do not come and go.

use std::collections::HashMap;

use super::{SeriesId, Store, index_bytes};
use crate::labels::Labels;

/// Series are dropped until so much of the budget is used, in hundredths: not with every batch again.
const AFTER_DROP: u64 = 95;

/// Once some were dropped, new ones are admitted below so much of it.
const ROOM_AGAIN: u64 = 85;

/// What is not for series, and whether there is room.
#[derive(Debug, Default)]
pub(super) struct Budget {
    reserved: u64,
    /// After series were dropped, until there is room again: by when those that stayed have grown.
    grown_ms: Option<i64>,
}

impl Store {
    /// So many bytes of [`StorageConfig::max_bytes`](super::StorageConfig::max_bytes) are for others.
    pub fn set_reserved_bytes(&mut self, bytes: u64) {
        self.budget.reserved = bytes;
    }

    /// All bytes of the budget.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.config.max_bytes.as_bytes()
    }

    fn used(&self) -> u64 {
        (self.stats().bytes as u64).saturating_add(self.budget.reserved)
    }

    /// Whether there is room for one more series.
    pub(super) fn admits(&mut self, now_ms: i64) -> bool {
        let (used, max) = (self.used(), self.config.max_bytes.as_bytes());
        let still = |grown_ms: &i64| now_ms < *grown_ms || used >= share(max, ROOM_AGAIN);
        self.budget.grown_ms = self.budget.grown_ms.filter(still);
        // Tables that are full grow by much for one series more: none is dropped for that.
        let grown = self.slots.next_bytes() + index_growth(&self.index);
        used.saturating_add(grown as u64) < max && self.budget.grown_ms.is_none()
    }

    /// Whether there is room for what is said of series: where they need it themselves it is theirs.
    pub(super) fn has_room_beside_series(&self, bytes: usize) -> bool {
        let max = self.config.max_bytes.as_bytes();
        self.used().saturating_add(bytes as u64) < share(max, ROOM_AGAIN)
    }

    /// Whether there is room for what is no series.
    pub(super) fn has_spare_room(&self) -> bool {
        self.used() < share(self.config.max_bytes.as_bytes(), ROOM_AGAIN)
    }

    /// Drops exemplars, then the youngest series where all together are too large; says how many.
    pub(super) fn fit(&mut self, now_ms: i64) -> usize {
        let max = self.config.max_bytes.as_bytes();
        let mut dropped = 0;
        if self.used() > max {
            // Room to grow into is no reason to drop anybody.
            self.give_all_back();
        }
        if self.used() > max {
            self.trim_exemplars(0);
        }
        // Once, unless what they leave in tables is still too much.
        while self.used() > max && self.slots.taken() > 0 {
            let retentions = self.slots.iter().map(|(_, it)| it.retention_ms);
            self.budget.grown_ms = Some(now_ms.saturating_add(retentions.max().unwrap_or(0)));
            dropped += self.drop_youngest(self.used() - share(max, AFTER_DROP));
            self.give_all_back();
        }
        dropped
    }

    /// Drops the youngest series until so many bytes are free, or all; says how many.
    fn drop_youngest(&mut self, mut excess: u64) -> usize {
        let of = |(id, series): (SeriesId, &super::Series)| {
            let heard = self.replicas.bytes_of(id);
            (series.birth, id, (series.bytes() + heard) as u64)
        };
        let mut youngest: Vec<(u64, SeriesId, u64)> = self.slots.iter().map(of).collect();
        youngest.sort_unstable_by(|a, b| b.cmp(a));
        let mut gone = vec![false; self.slots.len()];
        let mut dropped = 0;
        for (_, id, bytes) in youngest {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(bytes);
            gone[id.index()] = true;
            dropped += 1;
        }
        self.interest.leave(|id: SeriesId| gone[id.index()]);
        self.drop_series(&gone);
        dropped
    }

    /// Keeps no room in tables but for the series there are.
    fn give_all_back(&mut self) {
        self.slots.give_all_back();
        self.index.shrink_to_fit();
    }
}

/// By how much an index grows for one entry more: when full it doubles.
fn index_growth(index: &HashMap<Labels, SeriesId>) -> usize {
    if index.len() < index.capacity() { 0 } else { index_bytes(index.capacity()) }
}

/// So many hundredths.
fn share(max: u64, hundredths: u64) -> u64 {
    max / 100 * hundredths
}

#[cfg(test)]
mod tests {
    use crate::bytesize::ByteSize;
    use crate::labels::Labels;
    use crate::matcher::Selector;
    use crate::sample::{Batch, BatchSeries, Sample};
    use crate::series::{Listing, Outcome, StorageConfig, Store};

    const NOW: i64 = 1_700_000_000_000;

    /// A store that wants everything for an hour.
    fn store(max_bytes: u64) -> Store {
        let max_bytes = ByteSize::from_bytes(max_bytes);
        let mut store = Store::new(StorageConfig { max_bytes, ..StorageConfig::default() });
        store.register(&Selector::new(Vec::new()), 3_600_000);
        store
    }

    fn push(store: &mut Store, series: std::ops::Range<usize>, second: i64) -> Outcome {
        let at_ms = NOW + second * 1_000;
        let one = |i: usize| {
            let name = format!("m_{i:04}");
            let labels = Labels::from_pairs([("__name__", name.as_str())]).expect("one name");
            BatchSeries::new(labels, vec![Sample::new(at_ms, 1.0)])
        };
        store.append(at_ms, &Batch::of(series.map(one).collect()))
    }

    fn names(store: &Store) -> Vec<String> {
        let all = Listing::new(Vec::new(), i64::MIN, i64::MAX).whole(store);
        let mut names: Vec<String> = all.iter().map(|it| it.get("__name__").to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_for_others_leaves_less_for_series() {
        let mut store = store(1 << 20);
        assert_eq!(push(&mut store, 0..10, 0).over_limit, 0);
        store.set_reserved_bytes(1 << 20);
        let outcome = push(&mut store, 10..11, 1);
        assert_eq!((outcome.over_limit, outcome.series_dropped > 0), (1, true));
        store.set_reserved_bytes(0);
        assert_eq!(push(&mut store, 10..11, 2).over_limit, 1, "those that stayed may grow");
        assert_eq!(push(&mut store, 10..11, 3_700).over_limit, 0);
    }

    /// A hundred series fit as long as they are short.
    #[test]
    fn series_that_outgrow_memory_cost_the_youngest() {
        let max = 64 << 10;
        let mut store = store(max);
        push(&mut store, 0..20, 0);
        let mut dropped = 0;
        for second in 1..400 {
            let outcome = push(&mut store, 0..100, second);
            dropped += outcome.series_dropped;
            assert!(store.stats().bytes as u64 <= max, "{} at {second}", store.stats().bytes);
            assert_eq!(outcome.stored + outcome.over_limit, 100);
        }
        let kept = names(&store);
        assert!(dropped > 0 && !kept.is_empty());
        let expected: Vec<String> = (0..kept.len()).map(|i| format!("m_{i:04}")).collect();
        assert_eq!(kept, expected, "the oldest stay");
        let all = Listing::new(Vec::new(), NOW, NOW).whole(&store);
        assert_eq!(all.len(), kept.len().min(20), "with every sample");
    }

    #[test]
    fn dropped_series_do_not_come_and_go() {
        let mut store = store(64 << 10);
        let mut began = 0;
        for second in 0..3_600 {
            began += push(&mut store, 0..100, second).series_created;
        }
        assert_eq!(began, 100);
        // When others leave there is room again.
        let last = NOW + 3_600_000 * 3;
        store.evict(last);
        assert_eq!(push(&mut store, 500..510, 3 * 3_600).series_created, 10);
    }
}
