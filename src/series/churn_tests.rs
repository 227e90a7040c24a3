//! What is left of many series that came and went.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::matcher::{MatchOp, Matcher};
use crate::sample::{Batch, BatchSeries, Sample};

const NOW: i64 = 1_000_000_000;
const LOOKBACK: i64 = 300_000;
const KEPT: i64 = LOOKBACK + RETENTION_SLACK_MS;

fn store() -> (Store, SelectorId) {
    let mut store = Store::new(StorageConfig::default());
    let name = Matcher::new("__name__", MatchOp::Equal, "up").expect("no pattern to compile");
    let up = store.register(&Selector::new(vec![name]), LOOKBACK);
    (store, up)
}

fn labels(instance: usize) -> Labels {
    let instance = instance.to_string();
    Labels::from_pairs([("__name__", "up"), ("instance", &instance)]).expect("distinct names")
}

/// A sample of each of some instances, from a replica each.
fn push(store: &mut Store, instances: impl Iterator<Item = usize>, at_ms: i64) {
    let one = |instance| BatchSeries {
        replica: Some(format!("r{instance}").into()),
        ..BatchSeries::new(labels(instance), vec![Sample::new(at_ms, 1.0)])
    };
    store.append(at_ms, &Batch::of(instances.map(one).collect()));
}

/// A store through which so many generations of a thousand series went, of which ten are left.
fn after(generations: usize) -> Store {
    let (mut store, up) = store();
    let mut at_ms = NOW;
    for generation in 0..generations {
        push(&mut store, (0..10).chain((0..1_000).map(|i| 1_000 * (generation + 1) + i)), at_ms);
        // The next one comes before the last one is gone.
        at_ms += KEPT / 2 + 1;
        store.evict(at_ms);
        assert!(store.slots.len() <= 3_010, "{} slots", store.slots.len());
    }
    push(&mut store, 0..10, at_ms);
    store.evict(at_ms + KEPT);
    assert_eq!((store.members(up).len(), store.stats().series), (10, 10));
    store
}

#[test]
fn tables_are_as_large_as_what_is_left() {
    let (mut fresh, _) = store();
    push(&mut fresh, 0..10, NOW);
    let fresh = fresh.stats().bytes;
    let mut store = after(50);
    let bytes = store.stats().bytes;
    assert!(bytes <= 2 * fresh, "{bytes} after, {fresh} of ten series alone");
    assert!(store.slots.bytes() <= 40 * 100, "{} for ten slots", store.slots.bytes());
    assert!(store.index.capacity() <= 40 && store.names.capacity() <= 40);
    assert_eq!(store.evict(i64::MAX), 10);
    assert_eq!(store.stats(), Stats::default());
}

#[test]
fn the_lowest_number_is_given_first() {
    let (mut store, up) = store();
    push(&mut store, 0..9, NOW);
    push(&mut store, [1, 4, 7].into_iter(), NOW + KEPT);
    assert_eq!(store.evict(NOW + KEPT + 1), 6);
    assert_eq!(store.slots.len(), 8, "what is free at the end is no slot");
    push(&mut store, 10..15, NOW + KEPT);
    let ids: Vec<usize> = store.members(up).iter().map(|id| id.index()).collect();
    assert_eq!(ids, [1, 4, 7, 0, 2, 3, 5, 6], "in the order of birth");
}

proptest! {
    /// Whoever comes and goes: the store has what a map has, and nobody moves.
    #[test]
    fn it_is_a_map_whose_places_stay(
        steps in proptest::collection::vec(
            (proptest::collection::vec(0usize..40, 0..20), 1i64..KEPT), 1..60)
    ) {
        let (mut store, up) = store();
        let mut expected: BTreeMap<usize, (i64, SeriesId)> = BTreeMap::new();
        let mut at_ms = NOW;
        for (instances, pause_ms) in steps {
            push(&mut store, instances.iter().copied(), at_ms);
            for instance in instances {
                let id = *store.index.get(&labels(instance)).expect("it is kept");
                let before = expected.insert(instance, (at_ms, id));
                prop_assert!(before.is_none_or(|(_, before)| before == id), "it moved");
            }
            at_ms += pause_ms;
            store.evict(at_ms);
            expected.retain(|_, (newest_ms, _)| *newest_ms >= at_ms - KEPT);
            prop_assert_eq!(store.stats().series, expected.len());
            prop_assert_eq!(store.members(up).len(), expected.len());
            let last = expected.values().map(|(_, id)| id.index() + 1).max();
            prop_assert_eq!(store.slots.len(), last.unwrap_or(0));
            for (instance, (newest_ms, id)) in &expected {
                prop_assert_eq!(store.labels(*id), &labels(*instance));
                prop_assert_eq!(store.latest_ms(*id, *newest_ms, 1), Some(*newest_ms));
                let replica = store.replicas.heard_by(*id);
                prop_assert_eq!(replica, Some(format!("r{instance}").into()));
            }
        }
    }
}
