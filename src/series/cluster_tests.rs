//! Pairs of replicas by cluster, in virtual time.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::bytesize::ByteSize;
use crate::matcher::{MatchOp, Matcher};
use crate::sample::{Batch, BatchSeries, Sample};

const NOW: i64 = 1_000_000_000;
const SCRAPE: i64 = 15_000;
const TIMEOUT: i64 = 30_000;

fn store(config: StorageConfig, labels: &[&str], max: usize) -> (Store, SelectorId) {
    let mut store = Store::new(config);
    let labels: Vec<String> = labels.iter().map(|it| (*it).to_owned()).collect();
    store.set_clusters(&labels, max);
    let name = Matcher::new("__name__", MatchOp::Equal, "up").expect("no pattern to compile");
    let up = store.register(&Selector::new(vec![name]), 100 * SCRAPE);
    (store, up)
}

fn usual() -> (Store, SelectorId) {
    store(StorageConfig::default(), &["cluster"], 10)
}

/// Samples of one series of a cluster; a text without a character is no label.
fn of((cluster, replica): (&str, &str), instance: &str, samples: &[(i64, f64)]) -> Batch {
    let pairs = [("__name__", "up"), ("instance", instance), ("cluster", cluster)];
    let labels = Labels::from_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
    let samples = samples.iter().map(|(time, value)| Sample::new(*time, *value)).collect();
    let series = BatchSeries {
        replica: (!replica.is_empty()).then(|| Arc::from(replica)),
        ..BatchSeries::new(labels.expect("distinct names"), samples)
    };
    Batch::of(vec![series])
}

/// A good sample of a replica of the cluster `c`; says whether it was taken. Nothing is ever an error.
#[track_caller]
fn takes(store: &mut Store, replica: &str, instance: &str, at: i64) -> bool {
    let outcome = store.append(at, &of(("c", replica), instance, &[(at, 1.0)]));
    assert_eq!((outcome.stored + outcome.deduplicated, outcome.rejected()), (1, 0), "{outcome:?}");
    outcome.stored == 1
}

/// The times in the rings of all series, each with its instance.
fn times(store: &Store, up: SelectorId) -> Vec<(String, Vec<i64>)> {
    let of = |id: &SeriesId| {
        let window = store.window(*id, i64::MIN, i64::MAX);
        let times = window.iter().map(|it| it.timestamp_ms).collect();
        (store.labels(*id).get("instance").to_owned(), times)
    };
    store.members(up).iter().map(of).collect()
}

#[test]
fn the_first_replica_is_heard_for_all_series_of_its_cluster() {
    let (mut store, up) = usual();
    assert!(takes(&mut store, "a", "1", NOW));
    for instance in ["1", "2"] {
        assert!(!takes(&mut store, "b", instance, NOW + 1), "not even a series of its own begins");
    }
    assert!(takes(&mut store, "a", "2", NOW + 2));
    assert_eq!(store.members(up).len(), 2);
    // Other clusters elect their own, be their replicas called the same.
    assert_eq!(store.append(NOW, &of(("d", "b"), "3", &[(NOW, 1.0)])).stored, 1);
    assert_eq!(store.append(NOW, &of(("d", "a"), "3", &[(NOW + 1, 1.0)])).deduplicated, 1);
    let labels = store.labels(store.members(up)[0]).to_string();
    assert!(labels.contains(r#"cluster="c""#), "the cluster stays a label: {labels}");
}

/// Both send each scrape, the second one later by its offset.
#[track_caller]
fn check_offset(offset: i64, scrape: i64) {
    let (mut store, up) = usual();
    for i in 0..40 {
        let at = NOW + i * scrape;
        assert!(takes(&mut store, "a", "1", at), "{i}");
        assert!(!takes(&mut store, "b", "1", at + offset), "{i}");
    }
    assert_eq!(times(&store, up).len(), 1);
}

#[test]
fn two_that_both_send_do_not_take_turns() {
    for offset in [0, 1, 700, 7_500, SCRAPE - 1] {
        check_offset(offset, SCRAPE);
    }
    check_offset(29_999, TIMEOUT);
}

#[test]
fn rare_scrapes_do_not_go_to_and_fro() {
    let (mut store, _) = usual();
    let mut changes = 0;
    for i in 0..20 {
        for (replica, shift) in [("a", 0), ("b", 30_000)] {
            let at = NOW + i * 60_000 + shift;
            changes += store.append(at, &of(("c", replica), "1", &[(at, 1.0)])).cluster_changes;
        }
    }
    assert_eq!(changes, 1, "once, when the interval is not known yet");
}

#[test]
fn all_series_fail_over_after_the_timeout_and_at_once() {
    let (mut store, up) = usual();
    for at in [NOW - SCRAPE, NOW] {
        for instance in ["1", "2"] {
            assert!(takes(&mut store, "a", instance, at));
        }
    }
    assert!(!takes(&mut store, "b", "1", NOW + TIMEOUT - 1));
    let at = NOW + TIMEOUT;
    let outcome = store.append(at, &of(("c", "b"), "1", &[(at, 2.0)]));
    let change = ReplicaChange { from: "a".into(), to: "b".into(), cluster: Some("c".into()) };
    let expected = Outcome {
        stored: 1,
        cluster_changes: 1,
        replica_changes: 1,
        replica_change: Some(change),
        ..Outcome::default()
    };
    assert_eq!(outcome, expected);
    // The first one is back, and too late.
    assert!(!takes(&mut store, "a", "2", at));
    let outcome = store.append(at, &of(("c", "b"), "2", &[(at, 2.0)]));
    assert_eq!((outcome.stored, outcome.cluster_changes, outcome.replica_changes), (1, 0, 1));
    assert_eq!(outcome.replica_change, None, "it was said of the cluster");
    assert!(takes(&mut store, "b", "3", at), "and new ones begin");
    // And back, when the second one ends.
    assert!(takes(&mut store, "b", "1", at + SCRAPE));
    let back = at + SCRAPE + TIMEOUT;
    assert!(!takes(&mut store, "a", "1", back - 1));
    assert!(takes(&mut store, "a", "1", back) && takes(&mut store, "a", "2", back));
    assert!(!takes(&mut store, "b", "1", back));
    let lengths: Vec<usize> = times(&store, up).iter().map(|(_, times)| times.len()).collect();
    assert_eq!(lengths, [5, 4, 1]);
}

#[test]
fn what_comes_late_after_a_failover_is_no_error() {
    let (mut store, up) = usual();
    for instance in ["1", "2"] {
        store.append(NOW, &of(("c", "a"), instance, &[(NOW - SCRAPE, 1.0), (NOW, 1.0)]));
    }
    let at = NOW + TIMEOUT;
    // It lags behind: what it sends is not newer than what the other one has sent.
    let late = store.append(at, &of(("c", "b"), "3", &[(NOW - 1, 2.0), (NOW, 2.0)]));
    assert_eq!(late, Outcome { deduplicated: 2, ..Outcome::default() });
    let mixed = [(NOW - SCRAPE, 2.0), (NOW, 2.0), (NOW + 1, 2.0)];
    let outcome = store.append(at, &of(("c", "b"), "1", &mixed));
    assert_eq!((outcome.stored, outcome.deduplicated, outcome.rejected()), (1, 2, 0));
    for instance in ["1", "2"] {
        // Other values at the times of samples that are there, others between, and some much older.
        let late = [(NOW - 1_000_000, 3.0), (NOW - SCRAPE, 3.0), (NOW - 1, 3.0), (NOW, 3.0)];
        let outcome = store.append(at, &of(("c", "b"), instance, &late));
        assert_eq!(outcome, Outcome { deduplicated: 4, ..Outcome::default() }, "{instance}");
    }
    let outcome = store.append(at, &of(("c", "b"), "1", &[(NOW + 1, 3.0)]));
    assert_eq!(outcome.conflicting, 1, "its own it must not contradict");
    assert_eq!(times(&store, up)[0].1, [NOW - SCRAPE, NOW, NOW + 1]);
}

#[test]
fn only_what_is_taken_speaks_for_a_replica() {
    let (mut store, up) = usual();
    let far = NOW + 3_600_000;
    assert_eq!(store.append(NOW, &of(("c", "b"), "1", &[(far, 1.0)])).too_new, 1);
    let mut unwanted = of(("c", "b"), "1", &[(NOW, 1.0)]);
    unwanted.series[0].labels =
        Labels::from_pairs([("__name__", "other"), ("cluster", "c")]).expect("two names");
    assert_eq!(store.append(NOW, &unwanted).unneeded, 1);
    assert!(takes(&mut store, "a", "1", NOW), "so nobody was elected");
    let later = NOW + TIMEOUT;
    // Of the elected one something comes that is not taken: it does not count as heard.
    assert_eq!(store.append(later - 1, &of(("c", "a"), "1", &[(far, 1.0)])).too_new, 1);
    assert_eq!(store.append(later, &of(("c", "b"), "9", &[(far, 1.0)])).deduplicated, 1);
    assert_eq!(store.members(up).len(), 1);
    assert!(takes(&mut store, "b", "1", later));
}

#[test]
fn a_clock_that_was_set_back_does_not_silence() {
    let (mut store, _) = usual();
    assert!(takes(&mut store, "a", "1", NOW));
    let back = NOW - 3_600_000;
    let outcome = store.append(back, &of(("c", "b"), "2", &[(back, 1.0)]));
    assert_eq!((outcome.stored, outcome.cluster_changes), (1, 1));
    // And the one that is heard now is left in peace.
    assert!(!takes(&mut store, "a", "2", back + TIMEOUT - 1));
    assert!(takes(&mut store, "b", "2", back + TIMEOUT - 1));
    // Set back by less than the timeout, the cluster waits for no more than that longer.
    let back = back + TIMEOUT - 20_000;
    assert!(!takes(&mut store, "a", "3", back));
    assert!(takes(&mut store, "a", "3", back + 20_000 + TIMEOUT));
}

#[test]
fn series_without_a_cluster_hear_their_own_replica() {
    let (mut store, _) = store(StorageConfig::default(), &["cluster", "region"], 10);
    // Of two labels one is lacking.
    assert!(takes(&mut store, "a", "1", NOW) && takes(&mut store, "a", "1", NOW + 1));
    assert!(takes(&mut store, "b", "2", NOW));
    assert!(!takes(&mut store, "b", "1", NOW + 2));
    // And without a replica everything is taken.
    store.set_clusters(&["cluster".to_owned()], 10);
    for (replica, at, stored) in [("a", NOW, 1), ("", NOW + 1, 1), ("b", NOW + 2, 0)] {
        let outcome = store.append(at, &of(("c", replica), "3", &[(at, 1.0)]));
        assert_eq!(outcome.stored, stored, "{replica}");
    }
}

#[test]
fn clusters_are_told_apart_by_all_their_labels() {
    let (mut store, _) = store(StorageConfig::default(), &["cluster", "region"], 10);
    let mut send = |cluster: &str, region: &str, replica: &str| {
        let mut batch = of((cluster, replica), &format!("{cluster} {region}"), &[(NOW, 1.0)]);
        let labels = &mut batch.series[0].labels;
        let pairs: Vec<_> = labels.iter().chain([("region", region)]).collect();
        *labels = Labels::from_pairs(pairs).expect("distinct names");
        store.append(NOW, &batch).stored
    };
    assert_eq!((send("x", "y", "a"), send("x", "y", "b")), (1, 0));
    assert_eq!((send("x", "z", "b"), send("x", "z", "a")), (1, 0));
    // However their values would read one after the other.
    assert_eq!((send("x1:y", "z", "a"), send("x", "y1:z", "b")), (1, 1));
}

#[test]
fn beyond_the_limit_each_series_decides() {
    let (mut store, _) = store(StorageConfig::default(), &["cluster"], 2);
    for cluster in ["1", "2"] {
        assert_eq!(store.append(NOW, &of((cluster, "a"), "x", &[(NOW, 1.0)])).over_clusters, 0);
    }
    for (replica, instance) in [("a", "x"), ("b", "y")] {
        let outcome = store.append(NOW, &of(("3", replica), instance, &[(NOW, 1.0)]));
        assert_eq!((outcome.stored, outcome.over_clusters), (1, 1), "{replica}");
    }
    let outcome = store.append(NOW, &of(("3", "b"), "x", &[(NOW, 1.0)]));
    assert_eq!((outcome.deduplicated, outcome.over_clusters), (1, 1));
    assert_eq!(store.append(NOW, &of(("1", "b"), "z", &[(NOW, 1.0)])).deduplicated, 1);
    // Those that were silent for long make room, and are forgotten at the latest when nobody looks for them.
    let later = NOW + 30 * 60_000;
    store.evict(later - 1);
    assert_eq!(store.append(later, &of(("3", "c"), "x", &[(later, 1.0)])).over_clusters, 1);
    store.evict(later);
    assert_eq!(store.append(later, &of(("3", "c"), "x", &[(later, 1.0)])).over_clusters, 0);
    store.evict(later + 30 * 60_000);
    assert_eq!(store.clusters.bytes(), 0);
}

#[test]
fn clusters_count_in_the_memory() {
    let max_bytes = ByteSize::from_bytes(100_000);
    let config = StorageConfig { max_bytes, ..StorageConfig::default() };
    let (mut store, up) = store(config, &["cluster"], 1_000);
    let long = "x".repeat(4_000);
    let mut over = 0;
    for i in 0..50 {
        let cluster = format!("{i}{long}");
        let outcome = store.append(NOW, &of((&cluster, "a"), "x", &[(NOW, 1.0)]));
        over += outcome.over_clusters;
        assert!(store.stats().bytes < 105_000, "{:?}", store.stats());
    }
    assert!(over > 20, "{over}");
    store.release(up);
    let left = store.clusters.bytes() + store.replicas.bytes();
    assert_eq!(store.stats(), Stats { series: 0, bytes: left });
    assert!(left > 20_000);
}

/// What another store goes on with.
fn restored(of: &Store, now_ms: i64) -> (Store, SelectorId) {
    let (mut other, up) = usual();
    let mut from = Some(0);
    while let Some(at) = from {
        let (page, next) = of.page(at, 1);
        let outcome = other.restore(now_ms, &page);
        assert_eq!((outcome.deduplicated, outcome.cluster_changes), (0, 0));
        from = next;
    }
    (other, up)
}

#[test]
fn who_was_elected_is_after_a_restart() {
    let (mut store, up) = usual();
    for instance in ["1", "2", "3"] {
        assert!(takes(&mut store, "a", instance, NOW));
    }
    let later = NOW + TIMEOUT;
    // One of them has not gone over yet.
    assert!(takes(&mut store, "b", "2", later));
    let (mut other, again) = restored(&store, later + 20_000);
    assert_eq!(times(&other, again), times(&store, up));
    // The one of the newest sample, though others are heard by more series; for as long as is waited for anybody.
    assert!(!takes(&mut other, "a", "1", later + 20_000));
    assert!(takes(&mut other, "b", "1", later + 20_000));
    let (mut other, _) = restored(&store, later + 20_000);
    assert!(!takes(&mut other, "a", "1", later + 20_000 + TIMEOUT - 1));
    assert!(takes(&mut other, "a", "1", later + 20_000 + TIMEOUT));
}

#[test]
fn other_labels_begin_anew_and_another_limit_does_not() {
    let (mut store, _) = usual();
    assert!(takes(&mut store, "a", "1", NOW) && takes(&mut store, "a", "1", NOW + 1));
    store.set_clusters(&["cluster".to_owned()], 1);
    assert!(!takes(&mut store, "b", "2", NOW));
    store.set_clusters(&[], 1);
    assert_eq!(store.clusters.bytes(), 0);
    assert!(takes(&mut store, "b", "2", NOW), "each series decides");
    assert!(!takes(&mut store, "b", "1", NOW + 2), "and this one heard another replica");
}

proptest! {
    /// However three replicas come and go and lag behind, only samples of the elected one are taken; another is
    /// elected only after none of it was for the timeout, and that is counted; nothing is an error, and in each
    /// ring samples of one replica follow those of another only once they are newer than all of them.
    #[test]
    fn two_replicas_of_a_cluster_are_never_heard_at_a_time(
        steps in proptest::collection::vec(
            (0usize..3, 0usize..3, 0i64..25_000, -40_000i64..3_000), 1..400)
    ) {
        let (mut store, up) = usual();
        let retention = Some(Duration::from_seconds(1_000_000));
        store.set_config(StorageConfig { retention, ..StorageConfig::default() });
        let (mut now, mut elected, mut heard_ms, mut changes) = (NOW, None, NOW, 0);
        let mut sent = [[i64::MIN; 3]; 3];
        for (who, instance, wait, ahead) in steps {
            now += wait;
            let time = (now + ahead).max(sent[who][instance] + 1);
            sent[who][instance] = time;
            let name = ["a", "b", "c"][who];
            let batch = of(("c", name), &instance.to_string(), &[(time, who as f64)]);
            let outcome = store.append(now, &batch);
            prop_assert_eq!(outcome.rejected(), 0);
            changes += outcome.replica_changes;
            prop_assert_eq!(outcome.stored + outcome.deduplicated, 1);
            let is_other = elected.is_some_and(|it| it != who);
            if outcome.stored == 1 {
                prop_assert_eq!(outcome.cluster_changes, u64::from(is_other));
                prop_assert!(!is_other || now - heard_ms >= TIMEOUT);
                (elected, heard_ms) = (Some(who), now);
            } else {
                prop_assert_eq!(outcome.cluster_changes, 0);
            }
        }
        let mut seen = 0;
        for id in store.members(up) {
            let window = store.window(*id, i64::MIN, i64::MAX);
            prop_assert!(!window.is_empty());
            seen += window.windows(2).filter(|pair| pair[0].value != pair[1].value).count() as u64;
        }
        prop_assert_eq!(seen, changes);
    }
}
