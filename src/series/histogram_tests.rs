//! Native histograms in the rings.

use super::{
    Excerpt, ExcerptError, ExcerptLimits, ExcerptRequest, Outcome, SelectorId, StorageConfig, Store,
};
use crate::bytesize::ByteSize;
use crate::histogram::{BucketCounts, BucketSpan, NativeHistogram};
use crate::labels::Labels;
use crate::matcher::{MatchOp, Matcher, Selector};
use crate::sample::{Batch, BatchSeries, HistogramSample, STALE_NAN_BITS, Sample};

const NOW: i64 = 1_000_000_000;
const LOOKBACK: i64 = 300_000;

/// So many observations in each of two buckets.
fn histogram(count: f64) -> NativeHistogram {
    let positive = BucketCounts {
        spans: vec![BucketSpan { offset: 0, length: 2 }],
        counts: vec![count, count],
    };
    NativeHistogram { count: 2.0 * count, sum: 3.0 * count, positive, ..NativeHistogram::default() }
}

/// What says that a series of histograms has ended.
fn stale() -> NativeHistogram {
    NativeHistogram { sum: f64::from_bits(STALE_NAN_BITS), ..NativeHistogram::default() }
}

fn batch(floats: &[(i64, f64)], histograms: &[(i64, NativeHistogram)]) -> Batch {
    let labels = Labels::from_pairs([("__name__", "latency"), ("instance", "x")]);
    let histogram = |(at, it): &(i64, NativeHistogram)| HistogramSample::new(*at, it.clone());
    let samples = floats.iter().map(|(at, value)| Sample::new(*at, *value)).collect();
    Batch::of(vec![BatchSeries {
        histograms: histograms.iter().map(histogram).collect(),
        ..BatchSeries::new(labels.expect("distinct names"), samples)
    }])
}

fn selector() -> Selector {
    Selector::new(vec![Matcher::new("__name__", MatchOp::Equal, "latency").expect("no pattern")])
}

fn store(config: StorageConfig) -> (Store, SelectorId) {
    let mut store = Store::new(config);
    let id = store.register(&selector(), LOOKBACK);
    (store, id)
}

/// When the histograms that are kept were taken.
fn times(store: &Store, id: SelectorId) -> Vec<i64> {
    let [series] = store.members(id) else { panic!("one series") };
    let window = store.histogram_window(*series, i64::MIN, i64::MAX);
    window.iter().map(|it| it.timestamp_ms - NOW).collect()
}

#[test]
fn they_find_their_places_once() {
    let (mut store, id) = store(StorageConfig::default());
    let both = [(NOW - 10, histogram(2.0)), (NOW - 30, histogram(1.0))];
    let outcome = store.append(NOW, &batch(&[], &both));
    assert_eq!(outcome, Outcome { stored: 2, series_created: 1, ..Outcome::default() });
    let late = store.append(NOW, &batch(&[], &[(NOW - 20, histogram(1.5))]));
    assert_eq!(late, Outcome { stored: 1, ..Outcome::default() });
    assert_eq!(times(&store, id), [-30, -20, -10]);
    let again = store.append(NOW, &batch(&[], &both));
    assert_eq!(again, Outcome { duplicate: 2, ..Outcome::default() });
    let other = store.append(NOW, &batch(&[], &[(NOW - 10, histogram(7.0))]));
    assert_eq!((other.conflicting, other.histograms_rejected, other.rejected()), (1, 1, 1));
    let ahead = (NOW + 3_600_000, histogram(1.0));
    let old = (NOW - 3_600_000, histogram(1.0));
    let outcome = store.append(NOW, &batch(&[(NOW + 3_600_000, 1.0)], &[ahead, old]));
    assert_eq!((outcome.too_new, outcome.too_old, outcome.histograms_rejected), (2, 1, 2));
    assert_eq!(times(&store, id), [-30, -20, -10]);
}

#[test]
fn a_float_and_a_histogram_cannot_have_one_time() {
    let (mut store, id) = store(StorageConfig::default());
    store.append(NOW, &batch(&[(NOW - 20, 1.0)], &[(NOW - 10, histogram(1.0))]));
    let float = store.append(NOW, &batch(&[(NOW - 10, 1.0)], &[]));
    assert_eq!((float.conflicting, float.histograms_rejected), (1, 0));
    let histogram = store.append(NOW, &batch(&[], &[(NOW - 20, histogram(1.0))]));
    assert_eq!((histogram.conflicting, histogram.histograms_rejected), (1, 1));
    assert_eq!(times(&store, id), [-10]);
}

#[test]
fn the_newest_of_both_kinds_is_the_value() {
    let (mut store, id) = store(StorageConfig::default());
    let floats = [(NOW - 40, 4.0), (NOW - 20, 2.0)];
    store.append(NOW, &batch(&floats, &[(NOW - 30, histogram(3.0)), (NOW - 10, stale())]));
    let [series] = store.members(id) else { panic!("one series") };
    let found = |at: i64| {
        let at_ms = NOW + at;
        let histogram = store.latest_histogram(*series, at_ms, LOOKBACK).map(|it| it.timestamp_ms);
        let float = store.latest(*series, at_ms, LOOKBACK).map(|it| it.timestamp_ms);
        let newest = store.latest_ms(*series, at_ms, LOOKBACK);
        assert_eq!(newest, histogram.or(float), "at {at}");
        (float.map(|it| it - NOW), histogram.map(|it| it - NOW))
    };
    assert_eq!(found(-35), (Some(-40), None));
    assert_eq!(found(-25), (Some(-40), Some(-30)));
    assert_eq!(found(-15), (Some(-20), None));
    assert_eq!(found(0), (None, None), "a stale histogram ends the series");
    assert_eq!(store.latest_histogram(*series, NOW - 25, 3), None, "too long ago");
    let mut times = Vec::new();
    store.add_times(*series, i64::MIN, i64::MAX, &mut times);
    assert_eq!(times, [-40, -30, -20].map(|it| NOW + it));
    assert!(store.has_sample(*series, NOW - 31, NOW - 30));
    assert!(!store.has_sample(*series, NOW - 10, NOW));
}

#[test]
fn they_are_forgotten_and_evicted_as_floats_are() {
    let config = StorageConfig { max_samples_per_series: 3, ..StorageConfig::default() };
    let (mut store, id) = store(config);
    for at in 0..5 {
        store.append(NOW + at, &batch(&[], &[(NOW + at, histogram(at as f64))]));
    }
    assert_eq!(times(&store, id), [2, 3, 4]);
    let later = NOW + LOOKBACK + 61_000;
    let outcome = store.append(later, &batch(&[], &[(later, histogram(9.0))]));
    assert_eq!(outcome.stored, 1);
    assert_eq!(times(&store, id), [LOOKBACK + 61_000]);
    assert_eq!(store.evict(later), 0);
    assert_eq!(store.evict(later + LOOKBACK + 61_000), 1);
    assert_eq!(store.stats().series, 0);
}

#[test]
fn their_memory_counts_as_long_as_they_are_there() {
    let (mut store, _) = store(StorageConfig::default());
    store.append(NOW, &batch(&[(NOW - 1_000, 1.0)], &[]));
    let before = store.stats().bytes;
    let some: Vec<_> = (0..100).map(|i| (NOW - i, histogram(i as f64))).collect();
    store.append(NOW, &batch(&[], &some));
    let inside = HistogramSample::new(NOW, histogram(1.0)).heap_bytes();
    let grown = store.stats().bytes - before;
    assert!((100 * inside..200 * inside).contains(&grown), "{grown} of {inside} each");
    let later = NOW + LOOKBACK + 120_000;
    store.append(later, &batch(&[(later, 1.0)], &[]));
    assert_eq!(store.evict(later + LOOKBACK + 120_000), 1);
    let (none, _) = self::store(StorageConfig::default());
    assert!(store.stats().bytes < before.max(none.stats().bytes + 1_000));
}

#[test]
fn the_budget_holds_with_them() {
    let max_bytes = ByteSize::from_mib(1);
    let (mut store, _) = store(StorageConfig { max_bytes, ..StorageConfig::default() });
    let mut dropped = 0;
    for at in 0..10_000 {
        let outcome = store.append(NOW + at, &batch(&[], &[(NOW + at, histogram(1.0))]));
        dropped += outcome.series_dropped;
        assert!(store.stats().bytes as u64 <= max_bytes.as_bytes());
    }
    assert!(dropped > 0);
}

#[test]
fn an_excerpt_and_a_page_have_them_too() {
    let (mut store, _) = store(StorageConfig::default());
    let some = [(NOW - 20, histogram(1.0)), (NOW - 10, histogram(2.0))];
    store.append(NOW, &batch(&[(NOW - 30, 1.0)], &some));
    let (page, next) = store.page(0, 1_000);
    assert_eq!((page.samples(), page.histograms(), next), (1, 2, None));
    let (mut other, id) = self::store(StorageConfig::default());
    assert_eq!(other.restore(NOW, &page).stored, 3);
    assert_eq!(times(&other, id), [-20, -10]);
    let wanted = || {
        vec![ExcerptRequest { selector: selector(), from_ms: NOW - 25, to_ms: NOW, lookback_ms: 0 }]
    };
    let limits = |max_samples| ExcerptLimits { max_series: 10, max_samples };
    let each = HistogramSample::new(NOW, histogram(1.0)).in_samples();
    let mut excerpt = Excerpt::new(wanted(), limits(2 * each));
    assert_eq!(excerpt.copy_some(&store), Ok(true));
    let mut copy = excerpt.into_store();
    let id = copy.register(&selector(), 0);
    assert_eq!(times(&copy, id), [-20, -10]);
    let mut excerpt = Excerpt::new(wanted(), limits(2 * each - 1));
    let error = excerpt.copy_some(&store).expect_err("too many");
    assert_eq!(error, ExcerptError::TooManySamples { limit: 2 * each - 1 });
}
