//! Exemplars beside the rings.

use super::*;
use crate::bytesize::ByteSize;
use crate::matcher::{MatchOp, Matcher};
use crate::sample::{Batch, BatchSeries, Sample};

const NOW: i64 = 1_000_000_000;
const LOOKBACK: i64 = 300_000;

fn selector(name: &str) -> Selector {
    Selector::new(vec![Matcher::new("__name__", MatchOp::Equal, name).expect("no pattern")])
}

fn store(most: usize) -> (Store, SelectorId) {
    let config = StorageConfig { max_exemplars_per_series: most, ..StorageConfig::default() };
    let mut store = Store::new(config);
    let id = store.register(&selector("up"), LOOKBACK);
    (store, id)
}

fn exemplar(trace: &str, after_ms: i64) -> Exemplar {
    let labels = Labels::from_pairs([("trace_id", trace)]).expect("one name");
    Exemplar { labels, value: 1.0, timestamp_ms: NOW + after_ms }
}

/// A series of an instance with samples and exemplars at these times after `NOW`, each with its name.
fn series(instance: &str, samples: &[i64], exemplars: &[(&str, i64)]) -> BatchSeries {
    let labels = Labels::from_pairs([("__name__", "up"), ("instance", instance)]);
    let samples = samples.iter().map(|after_ms| Sample::new(NOW + after_ms, 1.0)).collect();
    BatchSeries {
        exemplars: exemplars.iter().map(|(trace, after_ms)| exemplar(trace, *after_ms)).collect(),
        ..BatchSeries::new(labels.expect("distinct names"), samples)
    }
}

fn of(instance: &str, samples: &[i64], exemplars: &[(&str, i64)]) -> Batch {
    Batch::of(vec![series(instance, samples, exemplars)])
}

fn by(replica: &str, samples: &[i64], exemplars: &[(&str, i64)]) -> Batch {
    let one = series("a", samples, exemplars);
    Batch::of(vec![BatchSeries { replica: Some(replica.into()), ..one }])
}

/// Sends exemplars to a series that is there, and says how many are not kept.
fn ignored(store: &mut Store, exemplars: &[(&str, i64)]) -> u64 {
    store.append(NOW, &of("a", &[], exemplars)).exemplars_ignored
}

/// The names of those that are kept of the only series.
fn kept(store: &Store, up: SelectorId) -> String {
    let [id] = store.members(up) else { panic!("one series") };
    store.exemplars(*id).iter().map(|it| it.labels.get("trace_id")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_newest_are_kept_in_order_of_time() {
    let (mut store, up) = store(3);
    store.append(NOW, &of("a", &[0], &[("c", -10), ("a", -30)]));
    assert_eq!(kept(&store, up), "a c");
    assert_eq!(ignored(&mut store, &[("b", -20)]), 0);
    assert_eq!(kept(&store, up), "a b c");
    // The oldest makes way; one that is older than all finds no place.
    assert_eq!(ignored(&mut store, &[("d", -5), ("x", -25)]), 1);
    assert_eq!(kept(&store, up), "b c d");
    assert_eq!(ignored(&mut store, &[("e", -5), ("f", -5)]), 0);
    assert_eq!(kept(&store, up), "d e f");
}

#[test]
fn what_is_there_already_changes_nothing() {
    let (mut store, up) = store(10);
    let all = [("a", -30), ("b", -20), ("c", -20), ("d", -10)];
    store.append(NOW, &of("a", &[0], &all));
    let before = store.stats();
    assert_eq!(ignored(&mut store, &all), 0);
    assert_eq!((kept(&store, up).as_str(), store.stats()), ("a b c d", before));
    // At the same time, or of the same trace, but another.
    assert_eq!(ignored(&mut store, &[("e", -10), ("d", -9)]), 0);
    assert_eq!(kept(&store, up), "a b c d e d");
}

#[test]
fn they_take_memory_and_give_it_back() {
    let (mut store, up) = store(10);
    store.append(NOW, &of("a", &[0], &[]));
    let without = store.stats().bytes;
    ignored(&mut store, &[("a", -3), ("b", -2), ("c", -1)]);
    let labels = 3 * exemplar("a", 0).labels.heap_bytes();
    // Of the list, and room for at least three.
    let least = labels + size_of::<Exemplars>() + 3 * size_of::<Exemplar>();
    let bytes = store.stats().bytes - without;
    assert!((least..least + 4 * size_of::<Exemplar>()).contains(&bytes), "{bytes} and not {least}");
    store.set_config(StorageConfig { max_exemplars_per_series: 1, ..StorageConfig::default() });
    assert_eq!(kept(&store, up), "c");
    assert!(store.stats().bytes < without + bytes);
    store.set_config(StorageConfig { max_exemplars_per_series: 0, ..StorageConfig::default() });
    assert_eq!((kept(&store, up).as_str(), store.stats().bytes), ("", without));
    assert_eq!(ignored(&mut store, &[("d", 0)]), 1);
    assert_eq!(store.stats().bytes, without);
}

#[test]
fn a_series_neither_begins_nor_lives_longer_for_them() {
    let (mut store, up) = store(10);
    assert_eq!(ignored(&mut store, &[("a", 0), ("b", 0)]), 2);
    assert_eq!(store.stats(), Store::new(StorageConfig::default()).stats());
    let outcome = store.append(NOW, &of("a", &[0], &[("a", 0)]));
    assert_eq!((outcome.series_created, outcome.exemplars_ignored), (1, 0));
    let [id] = store.members(up) else { panic!("one series") };
    let id = *id;
    let later = LOOKBACK + RETENTION_SLACK_MS + 1;
    let outcome = store.append(NOW + later, &of("a", &[], &[("b", later)]));
    assert_eq!((outcome.exemplars_ignored, kept(&store, up).as_str()), (0, "a b"));
    assert_eq!(store.latest_ms(id, NOW + later, LOOKBACK), None);
    assert_eq!(store.evict(NOW + later), 1);
    // What comes then has a number of before, and not its exemplars.
    store.append(NOW + later, &of("a", &[later], &[]));
    assert_eq!(kept(&store, up), "");
    // Nobody wants this one.
    let labels = Labels::from_pairs([("__name__", "down")]).expect("one name");
    let unwanted = BatchSeries { labels, ..series("a", &[0], &[("a", 0)]) };
    assert_eq!(store.append(NOW, &Batch::of(vec![unwanted])).exemplars_ignored, 1);
}

/// A late one is put in its place, if it is not older than the newest by more than the series keeps.
#[test]
fn what_is_far_behind_the_newest_is_out_of_order() {
    const KEPT: i64 = LOOKBACK + RETENTION_SLACK_MS;
    let (mut store, up) = store(10);
    store.append(NOW, &of("a", &[0], &[("a", -1)]));
    let sent = [("b", -KEPT - 1), ("c", -KEPT - 2), ("d", i64::MIN)];
    let outcome = store.append(NOW, &of("a", &[], &sent));
    assert_eq!((outcome.exemplars_ignored, outcome.exemplars_out_of_order), (2, 2));
    assert_eq!((outcome.exemplars_too_new, outcome.rejected()), (0, 0));
    assert_eq!(kept(&store, up), "b a");
    // What is there already is no error.
    assert_eq!(ignored(&mut store, &[("e", 0), ("b", -KEPT - 1)]), 0);
}

#[test]
fn what_is_too_far_ahead_is_not_kept() {
    let (mut store, up) = store(10);
    store.append(NOW, &of("a", &[0], &[]));
    let sent = [("c", -NOW), ("a", 600_000), ("b", 600_001)];
    let outcome = store.append(NOW, &of("a", &[], &sent));
    assert_eq!((outcome.exemplars_ignored, outcome.exemplars_too_new), (1, 1));
    let far = Exemplar { timestamp_ms: i64::MAX, ..exemplar("d", 0) };
    let far = BatchSeries { exemplars: vec![far], ..series("a", &[], &[]) };
    assert_eq!(store.append(NOW, &Batch::of(vec![far])).exemplars_ignored, 1);
    assert_eq!(kept(&store, up), "c a");
}

#[test]
fn of_replicas_the_one_that_is_heard_has_its_exemplars_kept() {
    let (mut store, up) = store(10);
    store.append(NOW, &by("r1", &[-20, -10], &[("a", -10)]));
    let outcome = store.append(NOW, &by("r2", &[-9], &[("x", -9)]));
    assert_eq!((outcome.deduplicated, outcome.exemplars_ignored), (1, 1));
    // An exemplar alone does not make a replica heard.
    let later = 100_000;
    assert_eq!(store.append(NOW + later, &by("r2", &[], &[("y", later)])).exemplars_ignored, 1);
    assert_eq!(store.append(NOW + later, &by("r1", &[], &[("b", 1)])).exemplars_ignored, 0);
    assert_eq!(kept(&store, up), "a b");
    // It does when the other is silent, and then from its first sample on.
    let outcome = store.append(NOW + later, &by("r2", &[later], &[("z", later)]));
    assert_eq!((outcome.replica_changes, outcome.exemplars_ignored), (1, 0));
    assert_eq!(kept(&store, up), "a b z");
    assert_eq!(store.append(NOW + later, &by("r1", &[], &[("c", 2)])).exemplars_ignored, 1);
}

#[test]
fn a_senior_replica_takes_the_place_of_the_exemplars_too() {
    let (mut store, up) = store(10);
    // It is senior by another series.
    let other = BatchSeries { replica: Some("senior".into()), ..series("b", &[0, 1], &[]) };
    store.append(NOW, &Batch::of(vec![other]));
    store.append(NOW, &by("junior", &[0], &[("a", 0)]));
    let outcome = store.append(NOW, &by("senior", &[1], &[("b", 1)]));
    assert_eq!((outcome.stored, outcome.deduplicated, outcome.exemplars_ignored), (1, 1, 0));
    let traces = |id: &SeriesId| {
        store.exemplars(*id).iter().map(|it| it.labels.get("trace_id").to_owned()).collect()
    };
    let all: Vec<Vec<String>> = store.members(up).iter().map(traces).collect();
    assert_eq!(all, [vec![], vec!["b".to_owned()]]);
}

/// Where memory is short exemplars go, and no series does for them.
#[test]
fn they_make_way_for_series() {
    let (mut plain, up) = store(0);
    let many: Vec<BatchSeries> = (0..50).map(|i| series(&format!("{i:02}"), &[0], &[])).collect();
    plain.append(NOW, &Batch::of(many.clone()));
    let needed = plain.stats().bytes as u64;
    let config = |max_bytes| StorageConfig {
        max_bytes: ByteSize::from_bytes(max_bytes),
        ..StorageConfig::default()
    };
    plain.set_config(config(needed * 2));
    let exemplars: Vec<(String, i64)> = (-10..0).map(|it| (format!("{it:064}"), it)).collect();
    let exemplars: Vec<(&str, i64)> = exemplars.iter().map(|(it, at)| (it.as_str(), *at)).collect();
    let with: Vec<BatchSeries> =
        (0..50).map(|i| series(&format!("{i:02}"), &[], &exemplars)).collect();
    let outcome = plain.append(NOW, &Batch::of(with.clone()));
    assert_eq!((outcome.series_dropped, plain.members(up).len()), (0, 50));
    assert!((1..500).contains(&outcome.exemplars_ignored), "{outcome:?}");
    assert!(plain.stats().bytes as u64 <= needed * 2, "{:?}", plain.stats());
    plain.set_config(config(needed * 11 / 10));
    let ignored = outcome.exemplars_ignored;
    let outcome = plain.append(NOW, &Batch::of(with));
    assert_eq!((outcome.series_dropped, plain.members(up).len()), (0, 50));
    // Those that were there came again; then none could stay.
    assert_eq!(outcome.exemplars_ignored, ignored);
    assert!(plain.members(up).iter().all(|id| plain.exemplars(*id).is_empty()));
    assert!(plain.stats().bytes as u64 <= needed, "{:?}", plain.stats());
}

#[test]
fn another_store_goes_on_with_them() {
    let (mut store, up) = store(10);
    store.append(NOW, &by("r", &[-1, 0], &[("a", -1), ("b", 0)]));
    let page = store.page(0, usize::MAX).0;
    let (mut other, other_up) = self::store(10);
    assert_eq!(other.restore(NOW, &page).exemplars_ignored, 0);
    assert_eq!(kept(&other, other_up), kept(&store, up));
}

fn listed(
    store: &Store,
    names: &[&str],
    range: (i64, i64),
    limits: (usize, usize),
) -> Result<Vec<String>, ExcerptError> {
    let (max_series, max_samples) = limits;
    let selectors = names.iter().map(|name| selector(name)).collect();
    let range = (NOW + range.0, NOW + range.1);
    let limits = ExcerptLimits { max_series, max_samples };
    let mut listing = ExemplarListing::new(selectors, range, limits);
    while !listing.list_some(store)? {}
    let of = |(labels, exemplars): SeriesExemplars| {
        let traces: Vec<&str> = exemplars.iter().map(|it| it.labels.get("trace_id")).collect();
        format!("{}: {}", labels.get("instance"), traces.join(" "))
    };
    let mut found: Vec<String> = listing.into_found().into_iter().map(of).collect();
    found.sort();
    Ok(found)
}

#[test]
fn they_are_listed_by_selector_and_time() {
    let (mut store, _) = store(10);
    store.append(NOW, &of("a", &[0], &[("a", -30), ("b", -20), ("c", -10)]));
    store.append(NOW, &of("b", &[0], &[("d", -20)]));
    store.append(NOW, &of("c", &[0], &[]));
    let many = (100, 1_000);
    let check = |names: &[&str], range, expected: &[&str]| {
        let found = listed(&store, names, range, many).expect("few");
        assert_eq!(found, expected, "{names:?} {range:?}");
    };
    check(&["up"], (-100, 0), &["a: a b c", "b: d"]);
    check(&["down", "up"], (-30, -20), &["a: a b", "b: d"]);
    check(&["up", "up"], (-19, -10), &["a: c"]);
    check(&["up"], (-9, 100), &[]);
    check(&["up"], (-29, -21), &[]);
    check(&["down"], (-100, 0), &[]);
    let limit = |max_series, max_samples| {
        listed(&store, &["up"], (-100, 0), (max_series, max_samples)).expect_err("a limit")
    };
    assert_eq!(limit(1, 1_000), ExcerptError::TooManySeries { limit: 1 });
    assert_eq!(limit(100, 7), ExcerptError::TooManySamples { limit: 7 });
}
