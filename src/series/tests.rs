use super::*;
use crate::bytesize::ByteSize;
use crate::matcher::{MatchOp, Matcher};
use crate::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};

const NOW: i64 = 1_000_000_000;
const LOOKBACK: i64 = 300_000;

fn selector(name: &str) -> Selector {
    Selector::new(vec![
        Matcher::new("__name__", MatchOp::Equal, name).expect("no pattern to compile"),
    ])
}

fn labels(name: &str, instance: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("instance", instance)]).expect("distinct names")
}

fn batch(name: &str, instance: &str, samples: &[(i64, f64)]) -> Batch {
    let samples = samples.iter().map(|(t, v)| Sample::new(*t, *v)).collect();
    Batch::of(vec![BatchSeries::new(labels(name, instance), samples)])
}

fn store(config: StorageConfig) -> (Store, SelectorId) {
    let mut store = Store::new(config);
    let id = store.register(&selector("up"), LOOKBACK);
    (store, id)
}

#[test]
fn keeps_only_what_a_selector_wants() {
    let (mut store, up) = store(StorageConfig::default());
    let kept = store.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    assert_eq!((kept.stored, kept.series_created, kept.unneeded), (1, 1, 0));
    let other = store.append(NOW, &batch("down", "a", &[(NOW, 1.0), (NOW + 1, 2.0)]));
    assert_eq!((other.stored, other.unneeded, other.rejected()), (0, 2, 0));
    assert_eq!(store.stats().series, 1);
    assert_eq!(store.labels(store.members(up)[0]), &labels("up", "a"));
}

#[test]
fn a_repeated_batch_changes_nothing() {
    let (mut store, up) = store(StorageConfig::default());
    let stale = f64::from_bits(STALE_NAN_BITS);
    let batch = batch("up", "a", &[(NOW - 2, 1.0), (NOW - 1, f64::NAN), (NOW, stale)]);
    assert_eq!(store.append(NOW, &batch).stored, 3);
    let before = store.stats();
    let again = store.append(NOW, &batch);
    assert_eq!((again.stored, again.duplicate, again.rejected()), (0, 3, 0));
    assert_eq!(store.stats(), before);
    let window = store.window(store.members(up)[0], NOW - 10, NOW);
    assert_eq!(window, &batch.series[0].samples, "the bits of a stale marker are kept");
}

#[test]
fn an_instant_value_respects_lookback_and_stale_markers() {
    let (mut store, up) = store(StorageConfig::default());
    store.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    let id = store.members(up)[0];
    assert_eq!(store.latest(id, NOW, LOOKBACK), Some(Sample::new(NOW, 1.0)));
    assert_eq!(store.latest(id, NOW - 1, LOOKBACK), None);
    assert!(store.latest(id, NOW + LOOKBACK - 1, LOOKBACK).is_some());
    assert_eq!(store.latest(id, NOW + LOOKBACK, LOOKBACK), None, "ranges are open on the left");
    store.append(NOW, &batch("up", "a", &[(NOW + 5, f64::from_bits(STALE_NAN_BITS))]));
    assert_eq!(store.latest(id, NOW + 5, LOOKBACK), None);
    assert_eq!(store.latest(id, NOW + 4, LOOKBACK), Some(Sample::new(NOW, 1.0)));
}

#[test]
fn each_refusal_is_counted_and_explained() {
    let (mut store, _) = store(StorageConfig::default());
    store.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    let old = NOW - LOOKBACK - RETENTION_SLACK_MS - 1;
    let new = NOW + 600_001;
    let outcome = store.append(NOW, &batch("up", "a", &[(old, 1.0), (new, 1.0), (NOW, 2.0)]));
    assert_eq!((outcome.too_old, outcome.too_new, outcome.conflicting), (1, 1, 1));
    assert_eq!(outcome.rejected(), 3);
    let reason = Rejection::TooOld;
    let example = Rejected { labels: labels("up", "a"), timestamp_ms: old, reason };
    assert_eq!(outcome.example, Some(example));
    assert_eq!(reason.to_string(), "is older than what is kept");
}

/// Beyond the limit a refusal says how far ahead of the clock the sample is.
#[track_caller]
fn check_ahead(ahead_ms: i64, expected: Option<&str>) {
    let (mut store, _) = store(StorageConfig::default());
    let ahead = batch("up", "a", &[(NOW.saturating_add(ahead_ms), 1.0)]);
    for known in [false, true] {
        let outcome = store.append(NOW, &ahead);
        let reason = outcome.example.map(|example| example.reason.to_string());
        assert_eq!(reason.as_deref(), expected, "known: {known}");
        assert_eq!(outcome.too_new, u64::from(expected.is_some()));
        store.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    }
}

#[test]
fn a_refusal_says_how_far_ahead_a_sample_is() {
    check_ahead(600_000, None);
    check_ahead(
        750_000,
        Some("is 12m30s ahead of this machine's clock, more than storage.max_future (10m) allows"),
    );
    check_ahead(
        600_001,
        Some("is 10m1ms ahead of this machine's clock, more than storage.max_future (10m) allows"),
    );
}

const SCRAPE: i64 = 15_000;
const AHEAD: i64 = 300_000;

#[test]
fn a_sender_ahead_of_the_clock_is_seen_when_its_time_has_come() {
    let (mut store, up) = store(StorageConfig::default());
    let mut most = 0;
    for n in 0..=100 {
        let now = NOW + n * SCRAPE;
        let outcome = store.append(now, &batch("up", "a", &[(now + AHEAD, n as f64)]));
        assert_eq!((outcome.stored, outcome.truncated), (1, 0));
        let id = store.members(up)[0];
        most = most.max(store.window(id, i64::MIN, i64::MAX).len() as i64);
        if now < NOW + AHEAD + 120_000 {
            continue;
        }
        assert_eq!(store.window(id, now - 120_000, now).len(), 8);
        assert_eq!(store.latest(id, now, LOOKBACK), Some(Sample::new(now, (n - 20) as f64)));
        assert_eq!(store.latest_ms(id, now, LOOKBACK), Some(now));
    }
    let kept = LOOKBACK + RETENTION_SLACK_MS + AHEAD;
    assert_eq!(most, kept / SCRAPE + 1, "no longer than the others");
    let last = NOW + 100 * SCRAPE + AHEAD;
    assert_eq!(store.evict(last + LOOKBACK + RETENTION_SLACK_MS), 0);
    assert_eq!(store.evict(last + LOOKBACK + RETENTION_SLACK_MS + 1), 1);
}

/// One sample, or a stale marker, ahead of the clock between right ones.
#[track_caller]
fn check_one_ahead(value: f64, max_samples_per_series: usize) {
    let (mut store, up) =
        store(StorageConfig { max_samples_per_series, ..StorageConfig::default() });
    for n in 0..60 {
        let now = NOW + n * SCRAPE;
        if n == 30 {
            let outcome = store.append(now, &batch("up", "a", &[(now + AHEAD + 1, value)]));
            assert_eq!(outcome.stored, 1);
        }
        let outcome = store.append(now, &batch("up", "a", &[(now, n as f64)]));
        assert_eq!((outcome.stored, outcome.rejected()), (1, 0), "push {n}");
        let id = store.members(up)[0];
        let seen = store.window(id, now - LOOKBACK, now);
        // The one that was ahead is among them when its time has come.
        let right = seen.iter().filter(|sample| sample.timestamp_ms % SCRAPE == NOW % SCRAPE);
        assert_eq!(right.count() as i64, (n + 1).min(LOOKBACK / SCRAPE), "push {n}");
        assert_eq!(store.latest(id, now, LOOKBACK), Some(Sample::new(now, n as f64)));
        assert_eq!(store.latest_ms(id, now, LOOKBACK), Some(now), "push {n}");
    }
}

#[test]
fn one_sample_ahead_of_the_clock_stands_in_nobodys_way() {
    check_one_ahead(7.0, 10_800);
    check_one_ahead(f64::from_bits(STALE_NAN_BITS), 10_800);
    // A limit that has just room for what a window needs.
    check_one_ahead(7.0, 20);
}

/// A series may fall behind, and is kept for as long before its newest sample. One of which all is older
/// than that does not begin: known or not, what is too old is refused and counted as that.
#[test]
fn what_is_too_old_is_refused_of_new_series_as_of_known_ones() {
    let (mut store, up) = store(StorageConfig::default());
    let start = NOW - LOOKBACK - RETENTION_SLACK_MS;
    let old = store.append(NOW, &batch("up", "a", &[(start - 2, 1.0), (start - 1, 1.0)]));
    assert_eq!((old.too_old, old.stored, old.series_created), (2, 0, 0));
    for n in 0..=100 {
        let late = NOW + n * SCRAPE;
        let outcome = store.append(late, &batch("up", "a", &[(start + n * SCRAPE, 1.0)]));
        assert_eq!((outcome.stored, outcome.rejected()), (1, 0));
    }
    // In whatever order they come.
    let both = [(NOW, 1.0), (start - 1, 1.0)];
    let outcome = store.append(NOW, &batch("up", "b", &both));
    assert_eq!((outcome.too_old, outcome.stored, outcome.series_created), (1, 1, 1));
    // One that falls behind catches up, with more than is kept in one batch.
    let late = NOW + 400 * SCRAPE;
    let caught_up: Vec<(i64, f64)> = (101..=400).map(|n| (start + n * SCRAPE, 1.0)).collect();
    assert_eq!(store.append(late, &batch("up", "a", &caught_up)).stored, 300);
    let old = store.append(late, &batch("up", "a", &[(start, 1.0)]));
    assert_eq!((old.too_old, old.stored), (1, 0));
    let kept = store.window(store.members(up)[0], i64::MIN, i64::MAX).len() as i64;
    assert_eq!(kept, (LOOKBACK + RETENTION_SLACK_MS) / SCRAPE + 1);
}

#[test]
fn a_sample_from_the_future_starts_no_series() {
    let (mut store, _) = store(StorageConfig::default());
    let outcome = store.append(NOW, &batch("up", "a", &[(i64::MAX, 1.0)]));
    assert_eq!((outcome.too_new, outcome.series_created), (1, 0));
    assert_eq!(store.stats(), Stats::default());
}

#[track_caller]
fn check_limit(config: StorageConfig) {
    let (mut store, up) = store(config);
    assert_eq!(store.append(NOW, &batch("up", "a", &[(NOW, 1.0)])).stored, 1);
    let refused = store.append(NOW, &batch("up", "b", &[(NOW, 1.0), (NOW + 1, 1.0)]));
    assert_eq!((refused.over_limit, refused.series_created), (2, 0));
    let known = store.append(NOW, &batch("up", "a", &[(NOW + 1, 1.0)]));
    assert_eq!(known.stored, 1, "a known series goes on");
    assert_eq!(store.members(up).len(), 1);
}

#[test]
fn limits_refuse_new_series_only() {
    check_limit(StorageConfig { max_series: 1, ..StorageConfig::default() });
    let (mut one, _) = store(StorageConfig::default());
    one.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    let max_bytes = ByteSize::from_bytes(one.stats().bytes as u64);
    check_limit(StorageConfig { max_bytes, ..StorageConfig::default() });
}

#[test]
fn new_series_beyond_those_of_a_second_are_for_later() {
    let config = StorageConfig { max_new_series_per_second: 2, ..StorageConfig::default() };
    let (mut store, up) = store(config.clone());
    let instances = ["a", "b", "c", "d", "e"];
    let series = instances.map(|it| batch("up", it, &[(NOW, 1.0), (NOW + 1, 2.0)]).series);
    let whole = Batch::of(series.into_iter().flatten().collect());
    let first = store.append(NOW, &whole);
    assert_eq!((first.stored, first.deferred, first.rejected()), (4, 6, 6));
    let told = first.example.expect("an example");
    assert_eq!(told.labels, labels("up", "c"));
    let expected = "would start a series beyond storage.max_new_series_per_second";
    assert_eq!(told.reason.to_string(), expected);
    // In the same second no more, but who is known goes on; what would be refused anyway is refused.
    let known = store.append(NOW + 900, &batch("up", "b", &[(NOW + 900, 1.0)]));
    assert_eq!((known.stored, known.deferred), (1, 0));
    let old = store.append(NOW + 900, &batch("up", "x", &[(NOW - 3_600_000, 1.0)]));
    assert_eq!((old.too_old, old.deferred), (1, 0));
    // The same request comes again until all of it is there.
    let second = store.append(NOW + 1_000, &whole);
    assert_eq!((second.stored, second.duplicate, second.deferred), (4, 4, 2));
    let third = store.append(NOW + 2_000, &whole);
    assert_eq!((third.stored, third.duplicate, third.rejected()), (2, 8, 0));
    assert_eq!(store.members(up).len(), 5);
    // Who takes over from a store is not held up.
    let mut other = Store::new(config);
    other.register(&selector("up"), LOOKBACK);
    assert_eq!(other.restore(NOW, &store.page(0, usize::MAX).0).series_created, 5);
}

#[test]
fn a_full_series_counts_what_it_lets_go() {
    let (mut store, up) =
        store(StorageConfig { max_samples_per_series: 2, ..StorageConfig::default() });
    let outcome =
        store.append(NOW, &batch("up", "a", &[(NOW - 3, 1.0), (NOW - 2, 2.0), (NOW - 1, 3.0)]));
    assert_eq!((outcome.stored, outcome.truncated), (3, 1));
    assert_eq!(store.window(store.members(up)[0], 0, NOW).len(), 2);
    // The one that made way is not taken in again and again.
    let again = store.append(NOW, &batch("up", "a", &[(NOW - 3, 1.0), (NOW - 2, 2.0)]));
    assert_eq!((again.stored, again.over_limit, again.duplicate), (0, 1, 1));
    let told = again.example.expect("an example").reason.to_string();
    assert!(told.contains("storage.max_samples_per_series"), "{told}");
}

#[test]
fn dead_series_are_evicted_and_their_memory_given_back() {
    let (mut store, up) = store(StorageConfig::default());
    store.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    store.append(NOW, &batch("up", "b", &[(NOW + 100_000, 1.0)]));
    let version = store.version(up);
    let end = NOW + LOOKBACK + RETENTION_SLACK_MS;
    assert_eq!(store.evict(end), 0);
    assert_eq!(store.version(up), version, "nothing died, nothing changed");
    assert_eq!(store.evict(end + 1), 1);
    assert_ne!(store.version(up), version);
    assert_eq!(store.members(up).len(), 1);
    assert_eq!(store.labels(store.members(up)[0]), &labels("up", "b"));
    // The slot is used again and belongs to the new series alone.
    store.append(end, &batch("up", "c", &[(end, 1.0)]));
    assert_eq!(store.members(up).len(), 2);
    assert_eq!(store.evict(end + 10 * LOOKBACK), 2);
    assert_eq!(store.stats(), Stats::default());
}

#[test]
fn registrations_are_shared_and_counted() {
    let (mut store, up) = store(StorageConfig::default());
    assert_eq!(store.register(&selector("up"), LOOKBACK), up);
    let longer = store.register(&selector("up"), 2 * LOOKBACK);
    assert_ne!(longer, up);
    store.append(NOW, &batch("up", "a", &[(NOW - LOOKBACK - 100_000, 1.0), (NOW, 1.0)]));
    let id = store.members(up)[0];
    assert_eq!(store.window(id, 0, NOW).len(), 2, "the longer lookback decides");
    store.release(longer);
    store.append(NOW, &batch("up", "a", &[(NOW + 1, 1.0)]));
    assert_eq!(store.window(id, 0, NOW + 1).len(), 2);
    store.release(up);
    assert_eq!(store.stats().series, 1, "one registration is left");
    store.release(up);
    assert_eq!(store.stats(), Stats::default());
}

#[test]
fn a_later_registration_finds_series_that_are_kept_already() {
    let (mut store, _) = store(StorageConfig::default());
    store.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    let a = Matcher::new("instance", MatchOp::Regex, "a|b").expect("a good pattern");
    let nameless = store.register(&Selector::new(vec![a]), LOOKBACK);
    assert_eq!(store.members(nameless).len(), 1);
    store.append(NOW, &batch("other", "b", &[(NOW, 1.0)]));
    assert_eq!(store.members(nameless).len(), 2);
}

#[test]
fn several_samples_and_repeated_label_sets_in_one_batch() {
    let (mut store, up) = store(StorageConfig::default());
    let mut twice = batch("up", "a", &[(NOW + 2, 3.0), (NOW, 1.0)]);
    twice.series.extend(batch("up", "a", &[(NOW + 1, 2.0)]).series);
    assert_eq!(store.append(NOW, &twice).stored, 3);
    let values: Vec<f64> =
        store.window(store.members(up)[0], 0, NOW + 9).iter().map(|s| s.value).collect();
    assert_eq!(values, [1.0, 2.0, 3.0]);
}

/// Three series in rings: `up` of a and b, each with a stale marker last, and `load` of a.
fn recorded() -> Store {
    let (mut store, _) = store(StorageConfig::default());
    store.register(&selector("load"), 2 * LOOKBACK);
    for instance in ["b", "a"] {
        let samples = [(NOW - 20, 1.0), (NOW - 10, 2.0), (NOW, f64::from_bits(STALE_NAN_BITS))];
        store.append(NOW, &batch("up", instance, &samples));
    }
    store.append(NOW, &batch("load", "a", &[(NOW - 10, 5.0), (NOW, 6.0)]));
    store
}

const ENOUGH: ExcerptLimits = ExcerptLimits { max_series: 3, max_samples: 8 };

fn wanted(name: &str, from_ms: i64, to_ms: i64) -> ExcerptRequest {
    ExcerptRequest { selector: selector(name), from_ms, to_ms, lookback_ms: 0 }
}

fn excerpt(
    store: &Store,
    wanted: &[ExcerptRequest],
    limits: ExcerptLimits,
) -> Result<Store, ExcerptError> {
    let mut excerpt = Excerpt::new(wanted.to_vec(), limits);
    while !excerpt.copy_some(store)? {}
    Ok(excerpt.into_store())
}

#[test]
fn an_excerpt_has_what_is_wanted_and_leads_a_life_of_its_own() {
    let mut store = recorded();
    let any = MatchOp::Regex;
    let names = Matcher::new("__name__", any, "up|none").expect("a good pattern");
    let pattern =
        ExcerptRequest { selector: Selector::new(vec![names]), ..wanted("", NOW - 5, NOW) };
    let wanted = [wanted("up", NOW - 11, NOW - 10), wanted("load", NOW, NOW + 9), pattern];
    let mut copy = excerpt(&store, &wanted, ENOUGH).expect("within the limits");
    store.evict(i64::MAX);
    assert_eq!(store.stats().series, 0);
    let up = copy.register(&selector("up"), 1);
    let windows: Vec<_> = copy.members(up).iter().map(|id| copy.window(*id, 0, NOW)).collect();
    assert_eq!(windows.len(), 2);
    let times: Vec<i64> = windows[0].iter().map(|sample| sample.timestamp_ms).collect();
    assert_eq!(times, [NOW - 10, NOW], "one range spans those it is wanted for");
    assert_eq!(copy.latest_ms(copy.members(up)[0], NOW, LOOKBACK), None, "stale");
    assert_eq!(copy.stats().series, 2, "load has no sample in its range");
}

#[test]
fn excerpts_have_limits() {
    let store = recorded();
    let all = [wanted("up", 0, NOW), wanted("load", 0, NOW)];
    assert!(excerpt(&store, &all, ENOUGH).is_ok());
    let few = excerpt(&store, &all, ExcerptLimits { max_series: 2, ..ENOUGH });
    assert_eq!(few.err(), Some(ExcerptError::TooManySeries { limit: 2 }));
    let few = excerpt(&store, &all, ExcerptLimits { max_samples: 7, ..ENOUGH });
    assert_eq!(few.err(), Some(ExcerptError::TooManySamples { limit: 7 }));
    let far = ExcerptRequest { lookback_ms: LOOKBACK + 1, ..wanted("up", 0, NOW) };
    let error = excerpt(&store, &[far], ENOUGH).expect_err("a range longer than what is kept");
    assert_eq!(
        error.to_string(),
        r#"the query looks back 5m1ms, but up{instance="b"} is kept for 5m; storage.retention says how long series are kept at least"#
    );
}

fn series_in(store: &Store, selectors: &[Selector], from_ms: i64, to_ms: i64) -> Vec<Labels> {
    let mut found = Listing::new(selectors.to_vec(), from_ms, to_ms).whole(store);
    found.sort_unstable();
    found
}

/// What is wanted of very many is read in slices, and what comes and goes between two is no matter.
#[test]
fn an_excerpt_of_many_series_is_cut_in_slices() {
    let (mut store, _) = store(StorageConfig::default());
    let one = |i: usize| batch("up", &format!("h{i:05}"), &[(NOW, i as f64)]);
    for i in 0..20_000 {
        store.append(NOW, &one(i));
    }
    let limits = ExcerptLimits { max_series: 30_000, max_samples: 30_000 };
    let mut excerpt = Excerpt::new(vec![wanted("up", 0, NOW)], limits);
    let mut listing = Listing::new(Vec::new(), 0, NOW);
    assert_eq!((excerpt.copy_some(&store), listing.list_some(&store)), (Ok(false), false));
    let old = batch("up", "h19999", &[(NOW + 1, f64::from_bits(STALE_NAN_BITS))]);
    store.append(NOW, &old);
    store.append(NOW, &one(20_000));
    assert_eq!((excerpt.copy_some(&store), listing.list_some(&store)), (Ok(true), true));
    assert!(listing.into_labels().len() >= 20_000, "with those that came meanwhile, or without");
    assert_eq!(excerpt.into_store().stats().series, 20_000);
    // Everything goes meanwhile.
    let mut excerpt = Excerpt::new(vec![wanted("up", 0, NOW)], limits);
    assert_eq!(excerpt.copy_some(&store), Ok(false));
    store.evict(i64::MAX);
    assert_eq!(excerpt.copy_some(&store), Ok(true));
    assert!(excerpt.into_store().stats().series < 20_000);
}

#[test]
fn series_are_found_by_selector_and_time() {
    let store = recorded();
    let (a, b) = (labels("up", "a"), labels("up", "b"));
    assert_eq!(series_in(&store, &[], 0, NOW), [labels("load", "a"), a.clone(), b.clone()]);
    assert_eq!(
        series_in(&store, &[selector("up"), selector("up")], 0, NOW),
        [a.clone(), b.clone()]
    );
    assert_eq!(series_in(&store, &[selector("up")], NOW - 10, NOW - 10), [a, b]);
    assert_eq!(
        series_in(&store, &[selector("up")], NOW - 9, NOW),
        [],
        "a stale marker is no sample"
    );
    assert_eq!(series_in(&store, &[selector("none")], 0, NOW), []);
}

#[test]
fn a_retention_keeps_more_than_the_selectors_need() {
    let retention = |ms| StorageConfig {
        retention: Some(crate::duration::Duration::from_ms(ms)),
        ..StorageConfig::default()
    };
    let (mut store, up) = store(retention(2 * LOOKBACK));
    let old = NOW - 2 * LOOKBACK - RETENTION_SLACK_MS;
    store.append(NOW, &batch("up", "a", &[(NOW, 1.0)]));
    let outcome =
        store.append(NOW, &batch("up", "a", &[(old, 0.0), (old - 1, 0.0), (old + 1, 0.0)]));
    assert_eq!((outcome.stored, outcome.too_old), (2, 1), "in whatever order they come");
    let far = ExcerptRequest { lookback_ms: 2 * LOOKBACK, ..wanted("up", 0, NOW) };
    assert!(excerpt(&store, std::slice::from_ref(&far), ENOUGH).is_ok());
    store.set_config(retention(LOOKBACK));
    assert!(
        excerpt(&store, &[far], ENOUGH).is_err(),
        "a reload is in force for what is kept already"
    );
    store.append(NOW, &batch("up", "a", &[(NOW + 1, 1.0)]));
    assert_eq!(store.window(store.members(up)[0], 0, NOW + 1).len(), 2);
}
