//! Replicas: several senders that send the same series, of which each series hears one.
//!
//! In: a series, the name of the replica that sends a sample of it, and the time. Out: whether the
//! sample goes into the ring. A Prometheus that is run twice sends everything twice, told apart by
//! one label; both samples of a counter in one ring would make it fall and rise, because the two
//! scrape at other moments.
//!
//! What is elected is the replica of *one series*. Mimir and Cortex elect one for each value of a
//! cluster label, and so does `clusters` where the configuration names one. By default nobody says which
//! label that is, and a wrong guess would silence senders that have nothing to do with each other: the
//! replicas of every cluster may have the same names, and hosts the same addresses. The whole label set without the replica's label never errs: only
//! what would be in one ring is ever weighed against each other. Three rules keep series together
//! and with their replica:
//! * Of the replicas that are heard, the one that has been for longest is the *senior*: it takes a
//!   series that has a single sample of another one, and that sample goes. So at a start, when
//!   replicas come in turns, all series of a host go to the same one within a scrape interval.
//! * A series goes over when its replica has been silent *about it* for the timeout, or for two of
//!   its own scrape intervals where that is longer: with 1m scrapes it would else go to and fro.
//! * It goes over with a sample newer than all it has, and not back until the same happens again. Older
//!   ones that come afterwards are let go: they would lie among those of the replica before.
//!
//! Invariants: a series that no replica was told of costs nothing here; a name is known only while
//! a series hears it, so there are never more names than series, and their bytes count in
//! `storage.max_bytes`. Samples that name no replica are no concern of this: they always go in.
//! Source: Mimir, "Configure high-availability deduplication"; Cortex `pkg/ha/ha_tracker.go`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use super::SeriesId;
use super::outcome::ReplicaChange;
use super::ring::{Ring, Timed};
use crate::capacity;
use crate::duration::Duration;

/// How long a replica is waited for: Mimir's and Cortex's failover timeout, two usual scrapes.
pub const REPLICA_TIMEOUT: Duration = Duration::from_seconds(30);

/// A replica is waited for during so many intervals of the series.
const INTERVALS: u64 = 2;

/// And no longer than this for their sake: where PromQL no longer sees a series, and a gap need not
/// be waited for again.
const LONGEST_WAIT_MS: u64 = 300_000;

/// What a replica costs beside its name, which the map shares, estimated.
const REPLICA_OVERHEAD_BYTES: usize = size_of::<Option<Replica>>() + 64;

/// The number of no replica.
const NOBODY: u32 = u32::MAX;

/// What a sample of a replica is to a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The series hears this replica.
    Heard,
    /// It hears another one.
    Unheard,
    /// It hears another one that has been silent for too long, or nobody.
    Free,
    /// It has a single sample, of another one that is not as senior.
    Senior,
}

/// What one series hears.
#[derive(Debug, Clone, Copy)]
struct Hearing {
    replica: u32,
    /// When it last had a sample of it, by this machine's clock.
    heard_ms: i64,
    /// The time of the newest sample of the one before: what is not newer comes too late.
    after_ms: i64,
}

/// A replica that some series hears.
#[derive(Debug)]
struct Replica {
    name: Arc<str>,
    /// The smaller, the more senior.
    since: u64,
    /// How many series hear it.
    series: usize,
    /// Whether it was said that it is silent, since a series last began to hear it.
    reported: bool,
}

/// The replicas that are heard, and by which series.
#[derive(Debug)]
pub(super) struct Replicas {
    timeout_ms: u64,
    /// By [`SeriesId`], as far as any series hears a replica.
    hearings: Vec<Hearing>,
    /// Slots are used again, the lowest first; a `None` is free.
    replicas: Vec<Option<Replica>>,
    free: BinaryHeap<Reverse<u32>>,
    by_name: HashMap<Arc<str>, u32>,
    /// How many were ever heard.
    count: u64,
    bytes: usize,
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            timeout_ms: REPLICA_TIMEOUT.as_ms().unsigned_abs(),
            hearings: Vec::new(),
            replicas: Vec::new(),
            free: BinaryHeap::new(),
            by_name: HashMap::new(),
            count: 0,
            bytes: 0,
        }
    }
}

impl Replicas {
    /// Another timeout from now on.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout_ms = timeout.as_ms().unsigned_abs();
    }

    /// How long any replica is waited for.
    pub(super) fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    /// Memory, estimated.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.hearings.capacity() * size_of::<Hearing>()
    }

    /// What a sample of this time, now, is to a series with this ring. If the replica is elected for a whole
    /// cluster, no other one is waited for.
    pub(super) fn claim<T: Timed>(
        &self,
        id: SeriesId,
        name: &Arc<str>,
        ring: &Ring<T>,
        (time_ms, now_ms): (i64, i64),
        is_elected: bool,
    ) -> Claim {
        let Some((hearing, heard)) = self.heard(id) else {
            return Claim::Free;
        };
        if Arc::ptr_eq(&heard.name, name) || heard.name == *name {
            return if time_ms > hearing.after_ms { Claim::Heard } else { Claim::Unheard };
        }
        let Some(last_ms) = ring.last().map(T::time_ms) else {
            return Claim::Free;
        };
        if is_elected {
            return if time_ms > last_ms { Claim::Free } else { Claim::Unheard };
        }
        // Either way: after a clock was set back nobody waits for it to come round again.
        let silent_ms = now_ms.abs_diff(hearing.heard_ms);
        if time_ms > last_ms && silent_ms >= self.patience_ms(ring) {
            return Claim::Free;
        }
        // One that lags behind is not waited for.
        let lags = time_ms < last_ms && last_ms.abs_diff(time_ms) > self.timeout_ms;
        let senior = || self.known(name).is_some_and(|replica| replica.since < heard.since);
        if ring.samples().len() == 1 && !lags && senior() { Claim::Senior } else { Claim::Unheard }
    }

    /// The replica that a series hears.
    pub(super) fn heard_by(&self, id: SeriesId) -> Option<Arc<str>> {
        self.heard(id).map(|(_, replica)| Arc::clone(&replica.name))
    }

    /// The series hears this replica from now on, if it heard another one with what is newer than `last_ms`. Gives what has changed if it heard another one:
    /// with the names unless that was said before.
    pub(super) fn hear(
        &mut self,
        id: SeriesId,
        name: &Arc<str>,
        now_ms: i64,
        last_ms: i64,
    ) -> Option<Option<ReplicaChange>> {
        let change = self.heard(id).map(|(hearing, heard)| {
            let from = Arc::clone(&heard.name);
            let change = ReplicaChange { from, to: Arc::clone(name), cluster: None };
            (hearing.replica, (!heard.reported).then_some(change))
        });
        self.leave(id);
        let replica = self.intern(name);
        if self.hearings.len() <= id.index() {
            let nobody = Hearing { replica: NOBODY, heard_ms: 0, after_ms: i64::MIN };
            self.hearings.resize(id.index() + 1, nobody);
        }
        let after_ms = if change.is_some() { last_ms } else { i64::MIN };
        self.hearings[id.index()] = Hearing { replica, heard_ms: now_ms, after_ms };
        let (from, change) = change?;
        if let Some(Some(from)) = self.replicas.get_mut(from as usize) {
            from.reported = true;
        }
        Some(change)
    }

    /// The series had a sample of the replica that it hears.
    pub(super) fn renew(&mut self, id: SeriesId, now_ms: i64) {
        if let Some(hearing) = self.hearings.get_mut(id.index()) {
            hearing.heard_ms = now_ms;
        }
    }

    /// Memory that is given back when the series hears nobody any more.
    pub(super) fn bytes_of(&self, id: SeriesId) -> usize {
        let last = self.heard(id).map(|(_, replica)| replica).filter(|it| it.series == 1);
        last.map_or(0, |it| REPLICA_OVERHEAD_BYTES + it.name.len())
    }

    /// The series hears nobody any more.
    pub(super) fn leave(&mut self, id: SeriesId) {
        let Some(hearing) = self.hearings.get_mut(id.index()) else { return };
        let slot = std::mem::replace(&mut hearing.replica, NOBODY);
        let Some(place) = self.replicas.get_mut(slot as usize) else { return };
        let Some(replica) = place else { return };
        replica.series -= 1;
        if replica.series == 0 {
            self.bytes -= REPLICA_OVERHEAD_BYTES + replica.name.len();
            self.by_name.remove(&replica.name);
            *place = None;
            self.free.push(Reverse(slot));
        }
    }

    /// Gives back what is free at the ends of tables, and room where most of it is unused.
    pub(super) fn give_back(&mut self) {
        let hears = |it: &Hearing| it.replica != NOBODY;
        let len = self.hearings.iter().rposition(hears).map_or(0, |last| last + 1);
        self.hearings.truncate(len);
        self.hearings.shrink_to(capacity::kept(len, self.hearings.capacity()));
        let len = self.replicas.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        if len < self.replicas.len() {
            self.replicas.truncate(len);
            self.free.retain(|Reverse(slot)| (*slot as usize) < len);
        }
        self.replicas.shrink_to(capacity::kept(len, self.replicas.capacity()));
        self.free.shrink_to(capacity::kept(self.free.len(), self.free.capacity()));
        self.by_name.shrink_to(capacity::kept(self.by_name.len(), self.by_name.capacity()));
    }

    /// How long the replica that a series hears may be silent.
    pub(super) fn patience_ms<T: Timed>(&self, ring: &Ring<T>) -> u64 {
        let interval_ms = match ring.samples() {
            [.., before, last] => last.time_ms().abs_diff(before.time_ms()),
            _ => 0,
        };
        let intervals_ms = interval_ms.saturating_mul(INTERVALS);
        self.timeout_ms.max(intervals_ms.min(LONGEST_WAIT_MS))
    }

    fn heard(&self, id: SeriesId) -> Option<(Hearing, &Replica)> {
        let hearing = *self.hearings.get(id.index())?;
        let replica = self.replicas.get(hearing.replica as usize)?.as_ref()?;
        Some((hearing, replica))
    }

    fn known(&self, name: &Arc<str>) -> Option<&Replica> {
        self.replicas[*self.by_name.get(name)? as usize].as_ref()
    }

    /// The number of a name that one more series hears.
    fn intern(&mut self, name: &Arc<str>) -> u32 {
        if let Some(slot) = self.by_name.get(name) {
            if let Some(replica) = &mut self.replicas[*slot as usize] {
                replica.series += 1;
                replica.reported = false;
            }
            return *slot;
        }
        self.bytes += REPLICA_OVERHEAD_BYTES + name.len();
        self.count += 1;
        let replica =
            Replica { name: Arc::clone(name), since: self.count, series: 1, reported: false };
        let slot = self.free.pop().map_or(self.replicas.len() as u32, |Reverse(slot)| slot);
        if slot as usize == self.replicas.len() {
            self.replicas.push(None);
        }
        self.replicas[slot as usize] = Some(replica);
        self.by_name.insert(Arc::clone(name), slot);
        slot
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Mark, Outcome, SelectorId, Stats, StorageConfig, Store};
    use super::*;
    use crate::bytesize::ByteSize;
    use crate::labels::Labels;
    use crate::matcher::{MatchOp, Matcher, Selector};
    use crate::sample::{Batch, BatchSeries, Sample};

    const NOW: i64 = 1_000_000_000;
    const SCRAPE: i64 = 15_000;

    fn store(config: StorageConfig) -> (Store, SelectorId) {
        let mut store = Store::new(config);
        let name = Matcher::new("__name__", MatchOp::Equal, "up").expect("no pattern to compile");
        let up = store.register(&Selector::new(vec![name]), 100 * SCRAPE);
        (store, up)
    }

    /// Samples of one series; a replica without a name is none.
    fn of(replica: &str, instance: &str, samples: &[(i64, f64)]) -> Batch {
        let labels = Labels::from_pairs([("__name__", "up"), ("instance", instance)]);
        let series = BatchSeries {
            replica: (!replica.is_empty()).then(|| Arc::from(replica)),
            ..BatchSeries::new(
                labels.expect("distinct names"),
                samples.iter().map(|(time, value)| Sample::new(*time, *value)).collect(),
            )
        };
        Batch::of(vec![series])
    }

    /// The values in the ring of the only series.
    fn values(store: &Store, up: SelectorId) -> Vec<f64> {
        let [id] = store.members(up) else { panic!("one series") };
        store.window(*id, i64::MIN, i64::MAX).iter().map(|sample| sample.value).collect()
    }

    /// Replica a sends n samples, the last of them now, and b the same ones `shift_ms` later.
    fn pair(store: &mut Store, n: i64, shift_ms: i64, step: f64) -> Outcome {
        let mut last = Outcome::default();
        for i in (0..n).rev() {
            let time = NOW - i * SCRAPE;
            let value = (100 - i) as f64;
            let heard = store.append(time, &of("a", "x", &[(time, value)]));
            assert_eq!((heard.stored, heard.deduplicated), (1, 0));
            let later = time + shift_ms;
            last = store.append(later, &of("b", "x", &[(later, value + step)]));
        }
        last
    }

    #[track_caller]
    fn check_pair(shift_ms: i64, step: f64) {
        let (mut store, up) = store(StorageConfig::default());
        let unheard = pair(&mut store, 4, shift_ms, step);
        assert_eq!(unheard, Outcome { deduplicated: 1, ..Outcome::default() });
        assert_eq!(unheard.rejected(), 0, "it is a success");
        assert_eq!(values(&store, up), [97.0, 98.0, 99.0, 100.0], "of the first one alone");
        assert_eq!(store.stats().series, 1);
    }

    #[test]
    fn the_rings_have_the_samples_of_one_replica() {
        check_pair(0, 0.0);
        check_pair(0, 1.0);
        check_pair(1_000, 0.0);
        check_pair(1_000, -0.5);
        check_pair(SCRAPE - 1, 0.5);
    }

    /// The first replica was heard last at `NOW`, each `interval_ms`; the second sends then.
    #[track_caller]
    fn check_failover(interval_ms: i64, at_ms: i64, heard: bool) {
        let (mut store, up) = store(StorageConfig::default());
        for time in [NOW - interval_ms, NOW] {
            store.append(time, &of("a", "x", &[(time, 1.0)]));
        }
        let at = NOW + at_ms;
        let outcome = store.append(at, &of("b", "x", &[(NOW - 1, 9.0), (NOW, 9.0), (at, 2.0)]));
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let expected = if heard {
            Outcome {
                stored: 1,
                deduplicated: 2,
                replica_changes: 1,
                replica_change: Some(ReplicaChange { from: a, to: b, cluster: None }),
                ..Outcome::default()
            }
        } else {
            Outcome { deduplicated: 3, ..Outcome::default() }
        };
        assert_eq!(outcome, expected, "{at_ms} ms after");
        assert_eq!(values(&store, up).len(), if heard { 3 } else { 2 });
    }

    #[test]
    fn another_replica_is_heard_after_the_timeout_and_not_before() {
        check_failover(SCRAPE, 29_999, false);
        check_failover(SCRAPE, 30_000, true);
        check_failover(1_000, 29_999, false);
        check_failover(1_000, 30_000, true);
        // Where scrapes are rarer, two of them; but a long gap is not waited for twice.
        check_failover(60_000, 119_999, false);
        check_failover(60_000, 120_000, true);
        check_failover(400_000, 299_999, false);
        check_failover(400_000, 300_000, true);
    }

    #[test]
    fn the_timeout_is_what_was_set() {
        let (mut store, up) = store(StorageConfig::default());
        store.set_replica_timeout(Duration::from_seconds(60));
        pair(&mut store, 2, 0, 0.0);
        let at = NOW + 59_999;
        assert_eq!(store.append(at, &of("b", "x", &[(at, 1.0)])).deduplicated, 1);
        store.set_replica_timeout(Duration::from_seconds(45));
        assert_eq!(store.append(at, &of("b", "x", &[(at, 1.0)])).stored, 1);
        assert_eq!(values(&store, up).len(), 3);
    }

    #[test]
    fn the_first_one_is_not_heard_again_when_it_comes_back() {
        let (mut store, up) = store(StorageConfig::default());
        pair(&mut store, 4, 1_000, 0.5);
        let mut changes = 0;
        for i in 1..20 {
            let time = NOW + i * SCRAPE;
            if i > 4 {
                let first = store.append(time, &of("a", "x", &[(time, 1.0)]));
                assert_eq!((first.stored, first.deduplicated), (0, 1), "it is back at {i}");
            }
            let second = store.append(time + 1_000, &of("b", "x", &[(time + 1_000, 200.0)]));
            assert_eq!(second.stored, u64::from(i >= 2), "30 s after the last of a, at {i}");
            changes += second.replica_changes;
        }
        assert_eq!(changes, 1);
        let kept = values(&store, up);
        assert_eq!(kept.iter().filter(|value| **value == 200.0).count(), 18);
        assert!(kept.is_sorted(), "{kept:?}");
    }

    #[test]
    fn rare_scrapes_do_not_go_to_and_fro() {
        let (mut store, up) = store(StorageConfig::default());
        let mut changes = 0;
        for i in 0..10 {
            for (replica, shift) in [("a", 0), ("b", 31_000)] {
                let time = NOW + i * 60_000 + shift;
                changes += store.append(time, &of(replica, "x", &[(time, 1.0)])).replica_changes;
            }
        }
        assert_eq!(changes, 1, "once, when the interval is not known yet");
        assert_eq!(values(&store, up).len(), 11);
    }

    #[test]
    fn at_a_start_all_series_go_to_the_senior() {
        let (mut store, _) = store(StorageConfig::default());
        let mut dropped = 0;
        for i in 0..4 {
            // The first scrape comes in parts, each replica having its own order.
            let time = NOW + i * SCRAPE;
            for (replica, instance) in
                [("a", "1"), ("b", "2"), ("b", "1"), ("a", "2"), ("b", "3"), ("a", "3")]
            {
                let shift = if replica == "a" { 0 } else { 700 };
                let outcome = store.append(time, &of(replica, instance, &[(time + shift, 0.0)]));
                dropped += outcome.deduplicated;
                assert_eq!(outcome.replica_changes, 0, "nobody is silent");
            }
        }
        let names: Vec<&str> = (0..3)
            .map(|slot| &*store.replicas.heard(SeriesId(slot)).expect("heard").1.name)
            .collect();
        assert_eq!(names, ["a", "a", "a"]);
        assert_eq!(dropped, 12, "all of b, two of them after they were kept for a moment");
        assert_eq!(store.changed_from(Mark::default()), NOW);
    }

    #[test]
    fn a_senior_that_lags_behind_is_not_waited_for() {
        let (mut store, up) = store(StorageConfig::default());
        store.append(NOW, &of("a", "other", &[(NOW, 1.0)]));
        store.append(NOW, &of("b", "x", &[(NOW, 2.0)]));
        let late = store.append(NOW, &of("a", "x", &[(NOW - 30_001, 1.0)]));
        assert_eq!((late.stored, late.deduplicated), (0, 1));
        let late = store.append(NOW, &of("a", "x", &[(NOW - 30_000, 1.0)]));
        assert_eq!((late.stored, late.deduplicated), (1, 1));
        assert_eq!(store.members(up).len(), 2);
    }

    #[test]
    fn series_without_the_label_are_as_they_were() {
        let (mut store, up) = store(StorageConfig::default());
        for i in 0..4 {
            let outcome = store.append(NOW, &of("", "x", &[(NOW + i, i as f64)]));
            assert_eq!((outcome.stored, outcome.deduplicated), (1, 0));
        }
        assert_eq!(values(&store, up), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(store.replicas.bytes(), 0, "they cost nothing");
        // Somebody who gives the label to a Prometheus that had none goes on with its series.
        assert_eq!(store.append(NOW, &of("a", "x", &[(NOW + 4, 4.0)])).stored, 1);
        assert_eq!(store.append(NOW, &of("", "x", &[(NOW + 5, 5.0)])).stored, 1);
        assert_eq!(values(&store, up).len(), 6);
    }

    #[test]
    fn what_is_wrong_with_an_unheard_sample_is_no_error() {
        let (mut store, up) = store(StorageConfig::default());
        pair(&mut store, 2, 0, 0.0);
        let (far, old) = (NOW + 3_600_000, NOW - 3_600_000);
        let wrong = [(NOW, 9.0), (old, 9.0), (far, 9.0)];
        let outcome = store.append(NOW, &of("b", "x", &wrong));
        assert_eq!(outcome, Outcome { deduplicated: 3, ..Outcome::default() });
        let later = NOW + 40_000;
        let outcome = store.append(later, &of("b", "x", &[(far, 9.0)]));
        assert_eq!(outcome.deduplicated, 1, "a bad sample does not make its replica heard");
        assert_eq!(store.append(NOW, &of("a", "x", &wrong)).rejected(), 3, "of a heard one it is");
        let again = store.append(later, &of("b", "x", &[(later, 9.0)]));
        assert_eq!(again.stored, 1, "and what is refused does not count as heard");
        assert_eq!(values(&store, up), [99.0, 100.0, 9.0]);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_silence() {
        let (mut store, _) = store(StorageConfig::default());
        pair(&mut store, 2, 0, 0.0);
        let back = NOW - 300_000;
        assert_eq!(store.append(back, &of("b", "x", &[(NOW + 1, 1.0)])).stored, 1);
    }

    #[test]
    fn a_silent_replica_is_reported_once() {
        let (mut store, _) = store(StorageConfig::default());
        for instance in ["1", "2", "3"] {
            store.append(NOW, &of("a", instance, &[(NOW, 1.0)]));
        }
        let later = NOW + 60_000;
        let mut said = |replica: &str, instance: &str, at: i64| {
            let outcome = store.append(at, &of(replica, instance, &[(at, 1.0)]));
            assert_eq!(outcome.replica_changes, 1);
            outcome.replica_change.is_some()
        };
        assert_eq!(["1", "2", "3"].map(|i| said("b", i, later)), [true, false, false]);
        let later = later + 120_000;
        assert_eq!(["1", "2", "3"].map(|i| said("a", i, later)), [true, false, false]);
        let later = later + 240_000;
        assert!(said("c", "1", later), "another time");
    }

    #[test]
    fn there_are_no_more_names_than_series() {
        let (mut store, up) = store(StorageConfig { max_series: 3, ..StorageConfig::default() });
        for i in 0..100 {
            let name = format!("replica {i}");
            store.append(NOW, &of(&name, "x", &[(NOW, 1.0)]));
            store.append(NOW, &of(&name, &name, &[(NOW, 1.0)]));
            // Silent each time.
            let later = NOW + 60_000 * (i + 1);
            store.append(later, &of(&name, "x", &[(later, 1.0)]));
            assert!(store.replicas.by_name.len() <= 3 && store.replicas.replicas.len() <= 4);
        }
        assert_eq!(store.evict(i64::MAX), 3);
        assert!(store.replicas.by_name.is_empty());
        assert_eq!(store.replicas.bytes, 0);
        store.append(NOW, &of("b", "x", &[(NOW, 1.0)]));
        assert_eq!(store.members(up).len(), 1, "a slot that is used again hears anew");
        assert_eq!(store.append(NOW, &of("b", "x", &[(NOW + 1, 1.0)])).stored, 1);
    }

    #[test]
    fn names_count_in_the_memory() {
        let limit = ByteSize::from_bytes(100_000);
        let (mut store, up) = store(StorageConfig { max_bytes: limit, ..StorageConfig::default() });
        let mut refused = 0;
        for i in 0..100 {
            let name = format!("{i:04000}");
            refused += store.append(NOW, &of(&name, &i.to_string(), &[(NOW, 1.0)])).over_limit;
        }
        assert!((70..90).contains(&refused), "{refused}");
        assert!(store.stats().bytes < 105_000, "{:?}", store.stats());
        store.release(up);
        let Stats { series, bytes } = store.stats();
        assert_eq!((series, bytes), (0, store.replicas.bytes()));
        assert_eq!(store.replicas.bytes, 0);
    }

    proptest! {
        /// However three replicas come and go, a ring changes from one to another only where that
        /// was counted, and what went in is in the order of time.
        #[test]
        fn samples_of_replicas_are_never_mixed(
            steps in proptest::collection::vec((0usize..3, 0i64..40_000, 0i64..3_000), 1..300)
        ) {
            let (mut store, up) = store(StorageConfig::default());
            store.set_config(StorageConfig {
                retention: Some(Duration::from_seconds(1_000_000)),
                ..StorageConfig::default()
            });
            let (mut now, mut changes, mut sent) = (NOW, 0, [i64::MIN; 3]);
            for (who, wait, ahead) in steps {
                now += wait;
                let time = (now + ahead).max(sent[who] + 1);
                sent[who] = time;
                let batch = of(["a", "b", "c"][who], "x", &[(time, who as f64)]);
                let outcome = store.append(now, &batch);
                prop_assert_eq!(outcome.rejected(), 0);
                changes += outcome.replica_changes;
            }
            let heard = values(&store, up);
            let seen = heard.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64;
            prop_assert_eq!(seen, changes);
        }
    }
}
