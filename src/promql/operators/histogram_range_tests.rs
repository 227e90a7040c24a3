//! Functions of ranges with native histograms against Prometheus: what `promtool test rules` of Prometheus 3.5.3
//! printed for these series, and which annotations its query API gave for the same samples. The API's values
//! are the same, except where promtool misplaces buckets when it prints several gaps: those are the API's.

use std::sync::Arc;

use proptest::prelude::*;

use super::histogram_range::apply;
use super::range;
use super::range_outcome::{RangeNote, RangeOutcome, RangeValue};
use super::window::Window;
use crate::histogram::notation::{self, assert_printed, histogram, number, row, rows};
use crate::histogram::{
    BucketCounts, BucketSpan, CounterResetHint, NativeHistogram, SCHEMA_CUSTOM,
};
use crate::promql::syntax::function::RangeFunction;
use crate::promql::syntax::when::When;
use crate::sample::{HistogramSample, Sample};

/// The samples of a series are so far apart, and the first is at 0.
const INTERVAL_MS: i64 = 15_000;

/// At which second an expression is evaluated that does not say so.
const AT_SECONDS: f64 = 47.0;

/// The floats and the histograms of a series in the notation of Prometheus's unit tests.
fn samples(series: &str) -> (Vec<Sample>, Vec<HistogramSample>) {
    let (mut floats, mut histograms) = (Vec::new(), Vec::new());
    for (sample, at) in notation::samples(series).zip(0..) {
        let timestamp_ms = at * INTERVAL_MS;
        if sample.starts_with("{{") {
            histograms.push(HistogramSample::new(timestamp_ms, histogram(sample)));
        } else if sample != "_" {
            floats.push(Sample::new(timestamp_ms, number(sample)));
        }
    }
    (floats, histograms)
}

/// The value of an expression such as `rate(steady[50s]) at 100`.
fn evaluate(expression: &str) -> (RangeFunction, RangeOutcome) {
    let (call, at) = expression.split_once(" at ").unwrap_or((expression, ""));
    let at = if at.is_empty() { AT_SECONDS } else { number(at) };
    let (name, arguments) = call.trim_end_matches(')').split_once('(').expect("a call");
    let function = RangeFunction::from_name(name).expect("a function");
    let of_range = |it: &&str| it.ends_with(']');
    let (selector, parameters): (Vec<&str>, Vec<&str>) =
        arguments.split(", ").partition(|it| of_range(it));
    let (series, range) = selector[0].trim_end_matches("]").split_once('[').expect("a range");
    let range = match range.strip_suffix('s') {
        Some(seconds) => number(seconds),
        None => number(range.trim_end_matches('m')) * 60.0,
    };
    let window = Window::new((at * 1000.0) as i64, (range * 1000.0) as i64, When::default());
    let (mut floats, mut histograms) = samples(row(SERIES, series));
    let is_inside = |at: i64| window.start_ms < at && at <= window.end_ms;
    floats.retain(|it| is_inside(it.timestamp_ms));
    histograms.retain(|it| is_inside(it.timestamp_ms));
    for sample in &mut histograms {
        // Prometheus's storage hands no other hint of a reset over than what it found itself.
        let histogram = Arc::make_mut(&mut sample.histogram);
        if histogram.reset_hint == CounterResetHint::Yes {
            histogram.reset_hint = CounterResetHint::Unknown;
        }
    }
    assert!(!histograms.is_empty(), "{expression} has no histogram");
    let parameter = parameters.first().map_or(0.0, |it| number(it));
    (function, apply(function, (&floats, &histograms), &window, parameter, &mut Vec::new()))
}

#[test]
fn values_and_notes_are_those_of_prometheus() {
    for (expression, expected) in rows(EXPECTED) {
        let (expected, notes) = expected.split_once(" # ").unwrap_or((expected, ""));
        let (function, found) = evaluate(expression);
        let mut said: Vec<String> = found.notes.iter().map(|it| format!("{it:?}")).collect();
        said.sort();
        assert_eq!(said.join(" "), notes, "{expression}");
        match found.value {
            RangeValue::Nothing => assert_eq!(expected, "nil", "{expression}"),
            RangeValue::Float(found) => assert_eq!(found, number(expected), "{expression}"),
            RangeValue::Histogram(found) => same(expression, function, &found, expected),
        }
    }
}

#[track_caller]
fn same(expression: &str, function: RangeFunction, found: &NativeHistogram, expected: &str) {
    let expected = histogram(expected);
    assert_printed(found, &expected, expression);
    // Prometheus has looked for resets when it stored the samples, and writes what it found as a hint.
    let is_gauge = |it: &NativeHistogram| it.reset_hint == CounterResetHint::Gauge;
    assert_eq!(is_gauge(found), is_gauge(&expected), "{expression}");
    let mut compact = found.clone();
    compact.compact();
    let is_change = function.compares();
    assert!(!is_change || compact.positive == found.positive, "{expression} is not compact");
    assert!(!is_change || is_gauge(found), "{expression} is no gauge");
}

#[test]
fn notes_have_the_words_of_prometheus() {
    for (note, expected) in [
        (
            RangeNote::MixedKinds,
            r#"PromQL warning: encountered a mix of histograms and floats for metric name "m""#,
        ),
        (
            RangeNote::MixedSchemas,
            r#"PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name "m""#,
        ),
        (
            RangeNote::IncompatibleBounds,
            r#"PromQL warning: vector contains histograms with incompatible custom buckets for metric name "m""#,
        ),
        (
            RangeNote::NotCounter,
            r#"PromQL warning: this native histogram metric is not a counter: "m""#,
        ),
        (
            RangeNote::NotGauge,
            r#"PromQL warning: this native histogram metric is not a gauge: "m""#,
        ),
        (
            RangeNote::HistogramsIgnored,
            r#"PromQL info: ignored histograms in a range containing both floats and histograms for metric name "m""#,
        ),
    ] {
        assert_eq!(note.text("m"), expected);
        assert_eq!(note.is_info(), expected.starts_with("PromQL info"));
    }
}

/// Over a range from the first sample to the last, so that nothing is extrapolated.
#[test]
fn a_hint_of_a_reset_is_believed() {
    let count = |hint: &str, function| {
        let (_, histograms) =
            samples(&format!("{{{{count:3 buckets:[3]}}}} {{{{count:5 {hint} buckets:[5]}}}}"));
        let window = Window::new(INTERVAL_MS, INTERVAL_MS, When::default());
        let found = apply(function, (&[], &histograms), &window, 0.0, &mut Vec::new());
        match found.value {
            RangeValue::Histogram(it) => it.count,
            value => panic!("{value:?}"),
        }
    };
    for (hint, increase) in
        [("", 2.0), ("counter_reset_hint:not_reset", 2.0), ("counter_reset_hint:reset", 5.0)]
    {
        assert_eq!(count(hint, RangeFunction::Increase), increase, "{hint}");
        assert_eq!(count(hint, RangeFunction::Irate), increase / 15.0, "{hint}");
        assert_eq!(count(hint, RangeFunction::Delta), 2.0, "{hint}");
    }
}

#[test]
fn the_newest_histogram_is_not_copied() {
    let (floats, histograms) = samples("3 {{sum:5 count:10 buckets:[1 2 3 4]}}");
    let window = Window::new(47_000, 50_000, When::default());
    let both = (floats.as_slice(), histograms.as_slice());
    let found = apply(RangeFunction::LastOverTime, both, &window, 0.0, &mut Vec::new());
    let RangeValue::Histogram(found) = found.value else { panic!("{found:?}") };
    assert!(Arc::ptr_eq(&found, &histograms[0].histogram));
}

#[test]
fn samples_at_one_time_are_no_two_instants() {
    let (_, histograms) = samples("{{sum:5 count:10 buckets:[1 2 3 4]}}");
    let floats = [Sample::new(0, 1.0)];
    let window = Window::new(47_000, 50_000, When::default());
    for function in [RangeFunction::Irate, RangeFunction::Idelta] {
        let found = apply(function, (&floats, &histograms), &window, 0.0, &mut Vec::new());
        assert_eq!(found, RangeOutcome::none(Vec::new()));
    }
}

/// A counter's histograms at growing times: what comes to three buckets at each, or the start anew.
fn counter() -> impl Strategy<Value = Vec<HistogramSample>> {
    let step = (1..40_000_i64, prop::array::uniform3(0..1_000_u32), prop::bool::weighted(0.1));
    prop::collection::vec(step, 2..20).prop_map(|steps| {
        let (mut timestamp_ms, mut counts) = (0, [1_000.0; 3]);
        let mut all = Vec::new();
        for (later_ms, more, is_reset) in steps {
            timestamp_ms += later_ms;
            if is_reset {
                counts = [0.0, 1.0, 0.0];
            } else {
                counts = std::array::from_fn(|i| counts[i] + f64::from(more[i]));
            }
            let count = counts.iter().sum();
            let spans = vec![BucketSpan { offset: 1, length: 3 }];
            let positive = BucketCounts { spans, counts: counts.to_vec() };
            let histogram = Arc::new(NativeHistogram {
                count,
                sum: 2.0 * count,
                positive,
                ..Default::default()
            });
            all.push(HistogramSample { timestamp_ms, histogram });
        }
        all
    })
}

/// Histograms of both families, gauges among them, and floats between them.
fn anything() -> impl Strategy<Value = (Vec<Sample>, Vec<HistogramSample>)> {
    let hint = prop::sample::select(vec![
        CounterResetHint::Unknown,
        CounterResetHint::Yes,
        CounterResetHint::No,
        CounterResetHint::Gauge,
    ]);
    let spans = prop::collection::vec((-2..3_i32, 0..3_u32), 0..3);
    let counts = prop::collection::vec(prop::num::f64::ANY, 0..6);
    let schema = prop::sample::select(vec![-4, 0, 1, 8, SCHEMA_CUSTOM]);
    let threshold = prop::sample::select(vec![0.0, 0.5, 0.75, 3.0]);
    let custom = prop::sample::select(vec![vec![], vec![1.0, 2.0], vec![1.0, 3.0]]);
    let one = (schema, threshold, hint, custom, spans, counts, any::<(f64, f64, f64)>()).prop_map(
        |(schema, zero_threshold, reset_hint, custom_values, spans, counts, figures)| {
            let spans = spans.into_iter().map(|(offset, length)| BucketSpan { offset, length });
            let positive = BucketCounts { spans: spans.collect(), counts };
            let (zero_count, count, sum) = figures;
            let negative = positive.clone();
            NativeHistogram {
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive,
                negative,
                custom_values,
                reset_hint,
            }
        },
    );
    let histograms = prop::collection::vec((one, 0..100_i64), 1..6);
    let floats = prop::collection::vec((any::<f64>(), 0..100_i64), 0..3);
    (floats, histograms).prop_map(|(floats, histograms)| {
        let mut floats: Vec<Sample> =
            floats.into_iter().map(|(value, at)| Sample::new(at * 2, value)).collect();
        let mut histograms: Vec<HistogramSample> = histograms
            .into_iter()
            .map(|(it, at)| HistogramSample { timestamp_ms: at * 2 + 1, histogram: Arc::new(it) })
            .collect();
        floats.sort_by_key(|it| it.timestamp_ms);
        floats.dedup_by_key(|it| it.timestamp_ms);
        histograms.sort_by_key(|it| it.timestamp_ms);
        histograms.dedup_by_key(|it| it.timestamp_ms);
        (floats, histograms)
    })
}

proptest! {
    /// The first sample is at the start of the range, so that no float is extrapolated to its zero.
    #[test]
    fn the_count_grows_as_a_counter_of_its_own(histograms in counter(), later_ms in 0..60_000_i64) {
        let end_ms = histograms[histograms.len() - 1].timestamp_ms + later_ms;
        let range_ms = end_ms - histograms[0].timestamp_ms + 1;
        let window = Window::new(end_ms, range_ms, When::default());
        let counts: Vec<Sample> =
            histograms.iter().map(|it| Sample::new(it.timestamp_ms, it.histogram.count)).collect();
        for function in [
            RangeFunction::Rate,
            RangeFunction::Increase,
            RangeFunction::Delta,
            RangeFunction::Irate,
            RangeFunction::Idelta,
            RangeFunction::SumOverTime,
            RangeFunction::LastOverTime,
        ] {
            let found = apply(function, (&[], &histograms), &window, 0.0, &mut Vec::new());
            let RangeValue::Histogram(found) = found.value else { panic!("{found:?}") };
            let expected = range::apply(function, &counts, &window, 0.0, &mut Vec::new());
            prop_assert_eq!(Some(found.count), expected, "{:?}", function);
        }
        for function in [RangeFunction::Resets, RangeFunction::CountOverTime] {
            let found = apply(function, (&[], &histograms), &window, 0.0, &mut Vec::new());
            let expected = range::apply(function, &counts, &window, 0.0, &mut Vec::new());
            prop_assert_eq!(found.value, RangeValue::Float(expected.expect("samples")));
        }
    }

    /// Whatever the samples are, there is an answer; changes are gauges; a note is said once; and what says
    /// that nothing can be made of the samples comes with no value.
    #[test]
    fn any_samples_have_an_answer(samples in anything(), parameter in any::<f64>()) {
        let (floats, histograms) = samples;
        let window = Window::new(200, 201, When::default());
        for function in [
            RangeFunction::Rate,
            RangeFunction::Increase,
            RangeFunction::Delta,
            RangeFunction::Irate,
            RangeFunction::Idelta,
            RangeFunction::Changes,
            RangeFunction::Resets,
            RangeFunction::AvgOverTime,
            RangeFunction::SumOverTime,
            RangeFunction::LastOverTime,
            RangeFunction::QuantileOverTime,
            RangeFunction::Deriv,
        ] {
            let both = (floats.as_slice(), histograms.as_slice());
            let found = apply(function, both, &window, parameter, &mut Vec::new());
            let fatal = [RangeNote::MixedKinds, RangeNote::MixedSchemas, RangeNote::IncompatibleBounds];
            let is_fatal = found.notes.iter().any(|it| fatal.contains(it));
            prop_assert!(!is_fatal || found.value == RangeValue::Nothing);
            let mut notes = found.notes.clone();
            notes.dedup();
            prop_assert_eq!(&notes, &found.notes);
            if let (true, RangeValue::Histogram(it)) = (function.compares(), &found.value) {
                prop_assert_eq!(it.reset_hint, CounterResetHint::Gauge);
            }
        }
    }
}

/// The series, by the names that the table below has for them; `_` is no sample.
const SERIES: &str = "
steady = {{schema:1 sum:1.5 count:9 z_bucket:1 z_bucket_w:0.001 buckets:[1 3 1] n_buckets:[3]}} {{schema:1 sum:4.25 count:13 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 2] n_buckets:[4]}} {{schema:1 sum:6.1 count:19 z_bucket:2 z_bucket_w:0.001 buckets:[2 7 3] n_buckets:[5]}} {{schema:1 sum:7.3 count:24 z_bucket:2 z_bucket_w:0.001 buckets:[3 8 4] n_buckets:[5 2]}}
reset = {{schema:1 sum:1.5 count:6 z_bucket:1 z_bucket_w:0.001 buckets:[1 3 1]}} {{schema:1 sum:4.25 count:9 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 2]}} {{schema:1 sum:6.1 count:14 z_bucket:2 z_bucket_w:0.001 buckets:[2 7 3]}} {{schema:1 sum:0.3 count:3 z_bucket:1 z_bucket_w:0.001 buckets:[1 0 1]}}
resets = {{sum:1.5 count:6 buckets:[1 4 1]}} {{sum:0.1 count:1 buckets:[1] offset:-2}} {{sum:6.1 count:14 buckets:[4 7 3] offset:-2}} {{sum:7 count:15 buckets:[0 15 0] offset:-2}}
coarser = {{schema:3 sum:5 count:10 buckets:[1 2 3 4] offset:2}} {{schema:2 sum:8 count:16 buckets:[4 5 7] offset:1}} {{schema:2 sum:9 count:17 buckets:[4 5 8] offset:1}} {{schema:0 sum:12 count:21 buckets:[1 20] offset:0}}
finer = {{schema:0 sum:5 count:10 buckets:[4 6]}} {{schema:0 sum:6 count:12 buckets:[5 7]}} {{schema:2 sum:7 count:14 buckets:[1 2 3 4 4]}} {{schema:2 sum:8 count:17 buckets:[2 3 4 4 4]}}
between = {{schema:2 sum:5 count:10 buckets:[1 2 3 4] offset:1}} {{schema:0 sum:6 count:12 buckets:[12] offset:1}} {{schema:2 sum:7 count:14 buckets:[1 2 3 4 4] offset:1}} {{schema:2 sum:8 count:17 buckets:[2 3 4 4 4] offset:1}}
wider = {{schema:0 sum:5 count:12 z_bucket:2 z_bucket_w:0.001 buckets:[1 2 3 4] offset:-2}} {{schema:0 sum:6 count:14 z_bucket:3 z_bucket_w:0.001 buckets:[1 2 4 4] offset:-2}} {{schema:0 sum:7 count:18 z_bucket:8 z_bucket_w:0.5 buckets:[5 5] offset:0}} {{schema:0 sum:8 count:20 z_bucket:8 z_bucket_w:0.5 buckets:[5 7] offset:0}}
cut = {{schema:0 sum:5 count:12 z_bucket:2 z_bucket_w:0.001 buckets:[1 2 3 4] offset:-2}} {{schema:0 sum:6 count:14 z_bucket:3 z_bucket_w:0.001 buckets:[1 2 4 4] offset:-2}} {{schema:0 sum:7 count:18 z_bucket:8 z_bucket_w:0.3 buckets:[5 5] offset:0}} {{schema:0 sum:8 count:20 z_bucket:8 z_bucket_w:0.3 buckets:[5 7] offset:0 n_buckets:[0]}}
narrower = {{schema:0 sum:7 count:18 z_bucket:8 z_bucket_w:0.5 buckets:[5 5] offset:0}} {{schema:0 sum:8 count:20 z_bucket:8 z_bucket_w:0.5 buckets:[5 7] offset:0}} {{schema:0 sum:9 count:24 z_bucket:9 z_bucket_w:0.1 buckets:[8 7] offset:0}} {{schema:0 sum:9 count:26 z_bucket:9 z_bucket_w:0.1 buckets:[8 9] offset:0}}
lost = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}} {{sum:7 count:14 buckets:[0 4 5 5]}} {{sum:8 count:15 buckets:[0 4 5 6]}}
moved = {{sum:5 count:10 buckets:[1 2 3 4] offset:3}} {{sum:6 count:14 buckets:[1 2 3 4 4] offset:3}} {{sum:7 count:18 buckets:[2 1 3 2 3 4 3] offset:1}} {{sum:8 count:20 buckets:[2 0 1 2 3 4 4 0 4] offset:0}}
custom = {{schema:-53 sum:5 count:10 custom_values:[1 2.5 5] buckets:[1 2 3 4]}} {{schema:-53 sum:7 count:12 custom_values:[1 2.5 5] buckets:[2 3 3 4]}} {{schema:-53 sum:11 count:13 custom_values:[1 2.5 5] buckets:[2 3 3 5]}} {{schema:-53 sum:19 count:19 custom_values:[1 2.5 5] buckets:[2 3 7 7]}}
customreset = {{schema:-53 sum:5 count:10 custom_values:[1 2.5 5] buckets:[1 2 3 4]}} {{schema:-53 sum:7 count:12 custom_values:[1 2.5 5] buckets:[2 3 3 4]}} {{schema:-53 sum:1 count:3 custom_values:[1 2.5 5] buckets:[3] offset:1}} {{schema:-53 sum:19 count:7 custom_values:[1 2.5 5] buckets:[3 4] offset:1}}
bounds = {{schema:-53 sum:5 count:10 custom_values:[1 2.5 5] buckets:[1 2 3 4]}} {{schema:-53 sum:7 count:12 custom_values:[1 2.5 5] buckets:[2 3 3 4]}} {{schema:-53 sum:11 count:13 custom_values:[1 2 5] buckets:[2 3 3 5]}} {{schema:-53 sum:19 count:19 custom_values:[1 2 5] buckets:[2 3 7 7]}}
boundsfirst = {{schema:-53 sum:5 count:10 custom_values:[1 2.5 5] buckets:[1 2 3 4]}} {{schema:-53 sum:11 count:13 custom_values:[1 2 5] buckets:[2 3 3 5]}} {{schema:-53 sum:19 count:19 custom_values:[1 2 5] buckets:[2 3 7 7]}} {{schema:-53 sum:20 count:20 custom_values:[1 2 5] buckets:[3 3 7 7]}}
boundsmid = {{schema:-53 sum:5 count:10 custom_values:[1 2.5 5] buckets:[1 2 3 4]}} {{schema:-53 sum:7 count:12 custom_values:[1 2.5 5] buckets:[2 3 3 4]}} {{schema:-53 sum:11 count:13 custom_values:[1 2 5] buckets:[2 3 3 5]}} {{schema:-53 sum:19 count:19 custom_values:[1 2.5 5] buckets:[2 3 7 7]}}
tocustom = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}} {{schema:-53 sum:11 count:13 custom_values:[1 2 5] buckets:[2 3 3 5]}} {{schema:-53 sum:19 count:19 custom_values:[1 2 5] buckets:[2 3 7 7]}}
fromcustom = {{schema:-53 sum:5 count:10 custom_values:[1 2.5 5] buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}} {{sum:7 count:14 buckets:[1 2 5 6]}} {{sum:8 count:15 buckets:[1 2 5 7]}}
viacustom = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}} {{schema:-53 sum:11 count:13 custom_values:[1 2 5] buckets:[2 3 3 5]}} {{sum:8 count:15 buckets:[1 2 5 7]}}
tohistograms = 1 2 {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}}
tofloats = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}} 4 3
alternating = {{sum:5 count:10 buckets:[1 2 3 4]}} 7 {{sum:6 count:12 buckets:[1 2 4 5]}} 5
gauge = {{sum:5 count:10 counter_reset_hint:gauge buckets:[1 2 3 4]}} {{sum:4 count:8 counter_reset_hint:gauge buckets:[1 2 3 2]}} {{sum:3 count:6 counter_reset_hint:gauge buckets:[1 2 3]}} {{sum:7 count:11 counter_reset_hint:gauge buckets:[2 2 3 4]}}
gaugemid = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 counter_reset_hint:gauge buckets:[1 2 4 5]}} {{sum:7 count:13 buckets:[1 2 5 5]}} {{sum:8 count:14 buckets:[1 2 5 6]}}
gaugelast = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}} {{sum:7 count:13 buckets:[1 2 5 5]}} {{sum:8 count:14 counter_reset_hint:gauge buckets:[1 2 5 6]}}
gaugecustom = {{sum:5 count:10 counter_reset_hint:gauge buckets:[1 2 3 4]}} {{sum:6 count:12 buckets:[1 2 4 5]}} {{sum:7 count:13 buckets:[1 2 5 5]}} {{schema:-53 sum:11 count:13 custom_values:[1 2 5] buckets:[2 3 3 5]}}
saysreset = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:6 count:12 counter_reset_hint:reset buckets:[1 2 4 5]}} {{sum:7 count:13 buckets:[1 2 5 5]}} {{sum:8 count:14 counter_reset_hint:reset buckets:[1 2 5 6]}}
nansum = {{sum:NaN count:10 buckets:[1 2 3 4]}} {{sum:NaN count:12 buckets:[1 2 4 5]}} {{sum:NaN count:13 buckets:[1 2 5 5]}} {{sum:NaN count:14 buckets:[1 2 5 6]}}
same = {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:5 count:10 buckets:[1 2 3 4]}} {{sum:5 count:10 buckets:[1 2 3 4]}}
fractions = {{schema:2 sum:0.1 count:1.1 buckets:[0.1 0.3 0.7] offset:-1}} {{schema:2 sum:0.3 count:1.9 buckets:[0.3 0.7 0.9] offset:-1}} {{schema:2 sum:0.7 count:2.3 buckets:[0.5 0.8 1] offset:-1}} {{schema:2 sum:1.9 count:4.6 buckets:[1.3 1.9 1.4] offset:-1}}
huge = {{sum:1e308 count:1.5e308 buckets:[1.5e308]}} {{sum:1.5e308 count:1.7e308 buckets:[1.7e308]}} {{sum:1.7e308 count:1.7e308 buckets:[1.7e308]}} {{sum:1.7e308 count:1.7e308 buckets:[1.7e308]}}
gap = {{sum:5 count:10 buckets:[1 2 3 4]}} _ {{sum:6 count:12 buckets:[1 2 4 5]}} {{sum:9 count:19 buckets:[2 2 7 8]}}
none = {{}} {{sum:1 count:2 buckets:[2]}} {{sum:2 count:2 buckets:[2]}} {{}}
one = _ _ _ {{sum:5 count:10 buckets:[1 2 3 4]}}
floatthen = _ _ 3 {{sum:5 count:10 buckets:[1 2 3 4]}}
";

/// What promtool evaluated, and after `#` what the query API said besides.
const EXPECTED: &str = "
rate(steady[50s]) = {{schema:1 count:0.33333333333333337 sum:0.1288888888888889 z_bucket:0.022222222222222223 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[0.044444444444444446 0.11111111111111112 0.06666666666666667] n_buckets:[0.044444444444444446 0.044444444444444446]}}
increase(steady[50s]) = {{schema:1 count:16.666666666666668 sum:6.444444444444445 z_bucket:1.1111111111111112 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[2.2222222222222223 5.555555555555555 3.3333333333333335] n_buckets:[2.2222222222222223 2.2222222222222223]}}
delta(steady[50s]) = {{schema:1 count:16.666666666666668 sum:6.444444444444445 z_bucket:1.1111111111111112 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[2.2222222222222223 5.555555555555555 3.3333333333333335] n_buckets:[2.2222222222222223 2.2222222222222223]}} # NotGauge
irate(steady[50s]) = {{schema:1 count:0.3333333333333333 sum:0.08000000000000002 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[0.06666666666666667 0.06666666666666667 0.06666666666666667] n_offset:1 n_buckets:[0.13333333333333333]}}
idelta(steady[50s]) = {{schema:1 count:5 sum:1.2000000000000002 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[1 1 1] n_offset:1 n_buckets:[2]}} # NotGauge
sum_over_time(steady[50s]) = {{schema:1 count:65 sum:19.15 z_bucket:6 z_bucket_w:0.001 buckets:[8 22 10] n_buckets:[17 2]}}
avg_over_time(steady[50s]) = {{schema:1 count:16.25 sum:4.7875 z_bucket:1.5 z_bucket_w:0.001 buckets:[2 5.5 2.5] n_buckets:[4.25 0.5]}}
changes(steady[50s]) = 3E+00
resets(steady[50s]) = 0E+00
rate(reset[50s]) = {{schema:1 count:0.24444444444444446 sum:0.10888888888888888 z_bucket:0.044444444444444446 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[0.044444444444444446 0.08888888888888889 0.06666666666666667]}}
increase(reset[50s]) = {{schema:1 count:12.222222222222223 sum:5.444444444444444 z_bucket:2.2222222222222223 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[2.2222222222222223 4.444444444444445 3.3333333333333335]}}
delta(reset[50s]) = {{schema:1 count:-3.3333333333333335 sum:-1.3333333333333333 z_bucket_w:0.001 counter_reset_hint:gauge offset:1 buckets:[-3.3333333333333335]}} # NotGauge
irate(reset[50s]) = {{schema:1 count:0.2 sum:0.02 z_bucket:0.06666666666666667 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[0.06666666666666667 0 0.06666666666666667]}}
idelta(reset[50s]) = {{schema:1 count:-11 sum:-5.8 z_bucket:-1 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[-1 -7 -2]}} # NotGauge
sum_over_time(reset[50s]) = {{schema:1 count:32 sum:12.15 z_bucket:5 z_bucket_w:0.001 buckets:[6 14 7]}}
avg_over_time(reset[50s]) = {{schema:1 count:8 sum:3.0374999999999996 z_bucket:1.25 z_bucket_w:0.001 buckets:[1.5 3.5 1.75]}}
changes(reset[50s]) = 3E+00
resets(reset[50s]) = 1E+00
rate(resets[50s]) = {{count:0.6444444444444445 sum:0.2911111111111111 counter_reset_hint:gauge offset:-2 buckets:[0.08888888888888889 0.48888888888888893 0.06666666666666667]}}
delta(resets[50s]) = {{count:10 sum:6.111111111111112 counter_reset_hint:gauge offset:-1 buckets:[16.666666666666668 -1.1111111111111112 -4.444444444444445 -1.1111111111111112]}} # NotGauge
irate(resets[50s]) = {{count:1 sum:0.4666666666666667 counter_reset_hint:gauge offset:-1 buckets:[1]}}
idelta(resets[50s]) = {{count:1 sum:0.9000000000000004 counter_reset_hint:gauge offset:-2 buckets:[-4 8 -3]}} # NotGauge
sum_over_time(resets[50s]) = {{count:36 sum:14.7 offset:-2 buckets:[5 22 4 4 1]}}
avg_over_time(resets[50s]) = {{count:9 sum:3.675 offset:-2 buckets:[1.25 5.5 1 1 0.25]}}
changes(resets[50s]) = 3E+00
resets(resets[50s]) = 2E+00
rate(coarser[50s]) = {{count:0.24444444444444446 sum:0.15555555555555556 counter_reset_hint:gauge buckets:[0.022222222222222223 0.22222222222222224]}}
increase(coarser[50s]) = {{count:12.222222222222223 sum:7.777777777777779 counter_reset_hint:gauge buckets:[1.1111111111111112 11.11111111111111]}}
delta(coarser[50s]) = {{count:12.222222222222223 sum:7.777777777777779 counter_reset_hint:gauge buckets:[1.1111111111111112 11.11111111111111]}} # NotGauge
irate(coarser[50s]) = {{count:0.26666666666666666 sum:0.2 counter_reset_hint:gauge buckets:[0.06666666666666667 0.2]}}
idelta(coarser[50s]) = {{count:4 sum:3 counter_reset_hint:gauge buckets:[1 3]}} # NotGauge
sum_over_time(coarser[50s]) = {{count:64 sum:34 buckets:[1 63]}}
avg_over_time(coarser[50s]) = {{count:16 sum:8.5 buckets:[0.25 15.75]}}
changes(coarser[50s]) = 3E+00
resets(coarser[50s]) = 0E+00
rate(finer[50s]) = {{count:0.4222222222222222 sum:0.2 counter_reset_hint:gauge buckets:[0.06666666666666667 0.35555555555555557]}}
delta(finer[50s]) = {{count:7.777777777777779 sum:3.3333333333333335 counter_reset_hint:gauge buckets:[-2.2222222222222223 10]}} # NotGauge
irate(finer[50s]) = {{schema:2 count:0.2 sum:0.06666666666666667 counter_reset_hint:gauge buckets:[0.06666666666666667 0.06666666666666667 0.06666666666666667]}}
idelta(finer[50s]) = {{schema:2 count:3 sum:1 counter_reset_hint:gauge buckets:[1 1 1]}} # NotGauge
sum_over_time(finer[50s]) = {{count:53 sum:26 buckets:[12 41]}}
avg_over_time(finer[50s]) = {{count:13.25 sum:6.5 buckets:[3 10.25]}}
changes(finer[50s]) = 3E+00
resets(finer[50s]) = 1E+00
rate(between[50s]) = {{count:0.4222222222222222 sum:0.2 counter_reset_hint:gauge offset:1 buckets:[0.33333333333333337 0.08888888888888889]}}
delta(between[50s]) = {{schema:2 count:7.777777777777779 sum:3.3333333333333335 counter_reset_hint:gauge offset:1 buckets:[1.1111111111111112 1.1111111111111112 1.1111111111111112 0 4.444444444444445]}} # NotGauge
irate(between[50s]) = {{schema:2 count:0.2 sum:0.06666666666666667 counter_reset_hint:gauge offset:1 buckets:[0.06666666666666667 0.06666666666666667 0.06666666666666667]}}
idelta(between[50s]) = {{schema:2 count:3 sum:1 counter_reset_hint:gauge offset:1 buckets:[1 1 1]}} # NotGauge
sum_over_time(between[50s]) = {{count:53 sum:26 offset:1 buckets:[45 8]}}
avg_over_time(between[50s]) = {{count:13.25 sum:6.5 offset:1 buckets:[11.25 2]}}
changes(between[50s]) = 3E+00
resets(between[50s]) = 1E+00
rate(wider[50s]) = {{count:0.17777777777777778 sum:0.06666666666666667 z_bucket:0.06666666666666667 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[0.044444444444444446 0.06666666666666667]}}
delta(wider[50s]) = {{count:8.88888888888889 sum:3.3333333333333335 z_bucket:3.3333333333333335 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[2.2222222222222223 3.3333333333333335]}} # NotGauge
irate(wider[50s]) = {{count:0.13333333333333333 sum:0.06666666666666667 z_bucket_w:0.5 counter_reset_hint:gauge offset:1 buckets:[0.13333333333333333]}}
idelta(wider[50s]) = {{count:2 sum:1 z_bucket_w:0.5 counter_reset_hint:gauge offset:1 buckets:[2]}} # NotGauge
sum_over_time(wider[50s]) = {{count:64 sum:26 z_bucket:27 z_bucket_w:0.5 buckets:[17 20]}}
avg_over_time(wider[50s]) = {{count:16 sum:6.5 z_bucket:6.75 z_bucket_w:0.5 buckets:[4.25 5]}}
changes(wider[50s]) = 3E+00
resets(wider[50s]) = 0E+00
rate(cut[50s]) = {{count:0.48888888888888893 sum:0.2 z_bucket:0.2 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[0.13333333333333333 0.15555555555555556]}}
delta(cut[50s]) = {{count:8.88888888888889 sum:3.3333333333333335 z_bucket:3.3333333333333335 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[2.2222222222222223 3.3333333333333335]}} # NotGauge
irate(cut[50s]) = {{count:0.13333333333333333 sum:0.06666666666666667 z_bucket_w:0.3 counter_reset_hint:gauge offset:1 buckets:[0.13333333333333333]}}
idelta(cut[50s]) = {{count:2 sum:1 z_bucket_w:0.3 counter_reset_hint:gauge offset:1 buckets:[2]}} # NotGauge
sum_over_time(cut[50s]) = {{count:64 sum:26 z_bucket:27 z_bucket_w:0.5 buckets:[17 20]}}
avg_over_time(cut[50s]) = {{count:16 sum:6.5 z_bucket:6.75 z_bucket_w:0.5 buckets:[4.25 5]}}
changes(cut[50s]) = 3E+00
resets(cut[50s]) = 1E+00
rate(narrower[50s]) = {{count:0.6222222222222222 sum:0.22222222222222224 z_bucket:0.2 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[0.17777777777777778 0.24444444444444446]}}
delta(narrower[50s]) = {{count:8.88888888888889 sum:2.2222222222222223 z_bucket:1.1111111111111112 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[3.3333333333333335 4.444444444444445]}} # NotGauge
irate(narrower[50s]) = {{count:0.13333333333333333 z_bucket_w:0.1 counter_reset_hint:gauge offset:1 buckets:[0.13333333333333333]}}
idelta(narrower[50s]) = {{count:2 z_bucket_w:0.1 counter_reset_hint:gauge offset:1 buckets:[2]}} # NotGauge
sum_over_time(narrower[50s]) = {{count:88 sum:33 z_bucket:34 z_bucket_w:0.5 buckets:[26 28]}}
avg_over_time(narrower[50s]) = {{count:22 sum:8.25 z_bucket:8.5 z_bucket_w:0.5 buckets:[6.5 7]}}
changes(narrower[50s]) = 3E+00
resets(narrower[50s]) = 1E+00
rate(lost[50s]) = {{count:0.37777777777777777 sum:0.2 counter_reset_hint:gauge offset:1 buckets:[0.08888888888888889 0.13333333333333333 0.15555555555555556]}}
delta(lost[50s]) = {{count:5.555555555555555 sum:3.3333333333333335 counter_reset_hint:gauge buckets:[-1.1111111111111112 2.2222222222222223 2.2222222222222223 2.2222222222222223]}} # NotGauge
irate(lost[50s]) = {{count:0.06666666666666667 sum:0.06666666666666667 counter_reset_hint:gauge offset:3 buckets:[0.06666666666666667]}}
idelta(lost[50s]) = {{count:1 sum:1 counter_reset_hint:gauge offset:3 buckets:[1]}} # NotGauge
sum_over_time(lost[50s]) = {{count:51 sum:26 buckets:[2 12 17 20]}}
avg_over_time(lost[50s]) = {{count:12.75 sum:6.5 buckets:[0.5 3 4.25 5]}}
changes(lost[50s]) = 3E+00
resets(lost[50s]) = 1E+00
rate(moved[50s]) = {{count:0.9333333333333333 sum:0.35555555555555557 counter_reset_hint:gauge buckets:[0.044444444444444446 0.044444444444444446 0.044444444444444446 0.11111111111111112 0.11111111111111112 0.15555555555555556 0.17777777777777778 0.15555555555555556 0.08888888888888889]}}
delta(moved[50s]) = {{count:11.11111111111111 sum:3.3333333333333335 counter_reset_hint:gauge buckets:[2.2222222222222223 0 1.1111111111111112 1.1111111111111112 1.1111111111111112 1.1111111111111112 0 0 4.444444444444445]}} # NotGauge
irate(moved[50s]) = {{count:1.3333333333333333 sum:0.5333333333333333 counter_reset_hint:gauge buckets:[0.13333333333333333 0 0.06666666666666667 0.13333333333333333 0.2 0.26666666666666666 0.26666666666666666 0 0.26666666666666666]}}
idelta(moved[50s]) = {{count:2 sum:1 counter_reset_hint:gauge buckets:[2 -2 0 -1 1 1 0 -3 4]}} # NotGauge
sum_over_time(moved[50s]) = {{count:62 sum:26 buckets:[2 2 2 7 9 13 16 7 4]}}
avg_over_time(moved[50s]) = {{count:15.5 sum:6.5 buckets:[0.5 0.5 0.5 1.75 2.25 3.25 4 1.75 1]}}
changes(moved[50s]) = 3E+00
resets(moved[50s]) = 2E+00
rate(custom[50s]) = {{schema:-53 count:0.2 sum:0.3111111111111111 custom_values:[1 2.5 5] counter_reset_hint:gauge buckets:[0.022222222222222223 0.022222222222222223 0.08888888888888889 0.06666666666666667]}}
increase(custom[50s]) = {{schema:-53 count:10 sum:15.555555555555557 custom_values:[1 2.5 5] counter_reset_hint:gauge buckets:[1.1111111111111112 1.1111111111111112 4.444444444444445 3.3333333333333335]}}
delta(custom[50s]) = {{schema:-53 count:10 sum:15.555555555555557 custom_values:[1 2.5 5] counter_reset_hint:gauge buckets:[1.1111111111111112 1.1111111111111112 4.444444444444445 3.3333333333333335]}} # NotGauge
irate(custom[50s]) = {{schema:-53 count:0.4 sum:0.5333333333333333 custom_values:[1 2.5 5] counter_reset_hint:gauge offset:2 buckets:[0.26666666666666666 0.13333333333333333]}}
idelta(custom[50s]) = {{schema:-53 count:6 sum:8 custom_values:[1 2.5 5] counter_reset_hint:gauge offset:2 buckets:[4 2]}} # NotGauge
sum_over_time(custom[50s]) = {{schema:-53 count:54 sum:42 custom_values:[1 2.5 5] buckets:[7 11 16 20]}}
avg_over_time(custom[50s]) = {{schema:-53 count:13.5 sum:10.5 custom_values:[1 2.5 5] buckets:[1.75 2.75 4 5]}}
changes(custom[50s]) = 3E+00
resets(custom[50s]) = 0E+00
rate(customreset[50s]) = {{schema:-53 count:0.2 sum:0.4666666666666667 custom_values:[1 2.5 5] counter_reset_hint:gauge buckets:[0.022222222222222223 0.08888888888888889 0.08888888888888889]}}
delta(customreset[50s]) = {{schema:-53 count:-3.3333333333333335 sum:15.555555555555557 custom_values:[1 2.5 5] counter_reset_hint:gauge buckets:[-1.1111111111111112 1.1111111111111112 1.1111111111111112 -4.444444444444445]}} # NotGauge
irate(customreset[50s]) = {{schema:-53 count:0.26666666666666666 sum:1.2 custom_values:[1 2.5 5] counter_reset_hint:gauge offset:2 buckets:[0.26666666666666666]}}
idelta(customreset[50s]) = {{schema:-53 count:4 sum:18 custom_values:[1 2.5 5] counter_reset_hint:gauge offset:2 buckets:[4]}} # NotGauge
sum_over_time(customreset[50s]) = {{schema:-53 count:32 sum:32 custom_values:[1 2.5 5] buckets:[3 11 10 8]}}
avg_over_time(customreset[50s]) = {{schema:-53 count:8 sum:8 custom_values:[1 2.5 5] buckets:[0.75 2.75 2.5 2]}}
changes(customreset[50s]) = 3E+00
resets(customreset[50s]) = 1E+00
rate(bounds[50s]) = nil # IncompatibleBounds
delta(bounds[50s]) = nil # IncompatibleBounds
irate(bounds[50s]) = {{schema:-53 count:0.4 sum:0.5333333333333333 custom_values:[1 2 5] counter_reset_hint:gauge offset:2 buckets:[0.26666666666666666 0.13333333333333333]}}
idelta(bounds[50s]) = {{schema:-53 count:6 sum:8 custom_values:[1 2 5] counter_reset_hint:gauge offset:2 buckets:[4 2]}} # NotGauge
sum_over_time(bounds[50s]) = nil # IncompatibleBounds
avg_over_time(bounds[50s]) = nil # IncompatibleBounds
changes(bounds[50s]) = 3E+00
resets(bounds[50s]) = 1E+00
rate(boundsfirst[50s]) = {{schema:-53 count:0.4444444444444445 sum:0.4444444444444445 custom_values:[1 2 5] counter_reset_hint:gauge buckets:[0.06666666666666667 0.06666666666666667 0.15555555555555556 0.15555555555555556]}}
delta(boundsfirst[50s]) = nil # IncompatibleBounds
irate(boundsfirst[50s]) = {{schema:-53 count:0.06666666666666667 sum:0.06666666666666667 custom_values:[1 2 5] counter_reset_hint:gauge buckets:[0.06666666666666667]}}
idelta(boundsfirst[50s]) = {{schema:-53 count:1 sum:1 custom_values:[1 2 5] counter_reset_hint:gauge buckets:[1]}} # NotGauge
sum_over_time(boundsfirst[50s]) = nil # IncompatibleBounds
avg_over_time(boundsfirst[50s]) = nil # IncompatibleBounds
changes(boundsfirst[50s]) = 3E+00
resets(boundsfirst[50s]) = 1E+00
rate(boundsmid[50s]) = nil # IncompatibleBounds
delta(boundsmid[50s]) = {{schema:-53 count:10 sum:15.555555555555557 custom_values:[1 2.5 5] counter_reset_hint:gauge buckets:[1.1111111111111112 1.1111111111111112 4.444444444444445 3.3333333333333335]}} # NotGauge
irate(boundsmid[50s]) = {{schema:-53 count:1.2666666666666666 sum:1.2666666666666666 custom_values:[1 2.5 5] counter_reset_hint:gauge buckets:[0.13333333333333333 0.2 0.4666666666666667 0.4666666666666667]}}
idelta(boundsmid[50s]) = nil # IncompatibleBounds NotGauge
sum_over_time(boundsmid[50s]) = nil # IncompatibleBounds
avg_over_time(boundsmid[50s]) = nil # IncompatibleBounds
changes(boundsmid[50s]) = 3E+00
resets(boundsmid[50s]) = 2E+00
rate(tocustom[50s]) = nil # MixedSchemas
delta(tocustom[50s]) = nil # MixedSchemas
irate(tocustom[50s]) = {{schema:-53 count:0.4 sum:0.5333333333333333 custom_values:[1 2 5] counter_reset_hint:gauge offset:2 buckets:[0.26666666666666666 0.13333333333333333]}}
idelta(tocustom[50s]) = {{schema:-53 count:6 sum:8 custom_values:[1 2 5] counter_reset_hint:gauge offset:2 buckets:[4 2]}} # NotGauge
sum_over_time(tocustom[50s]) = nil # MixedSchemas
avg_over_time(tocustom[50s]) = nil # MixedSchemas
changes(tocustom[50s]) = 3E+00
resets(tocustom[50s]) = 1E+00
rate(fromcustom[50s]) = {{count:0.33333333333333337 sum:0.17777777777777778 counter_reset_hint:gauge buckets:[0.022222222222222223 0.044444444444444446 0.11111111111111112 0.15555555555555556]}}
delta(fromcustom[50s]) = nil # MixedSchemas
irate(fromcustom[50s]) = {{count:0.06666666666666667 sum:0.06666666666666667 counter_reset_hint:gauge offset:3 buckets:[0.06666666666666667]}}
idelta(fromcustom[50s]) = {{count:1 sum:1 counter_reset_hint:gauge offset:3 buckets:[1]}} # NotGauge
sum_over_time(fromcustom[50s]) = nil # MixedSchemas
avg_over_time(fromcustom[50s]) = nil # MixedSchemas
changes(fromcustom[50s]) = 3E+00
resets(fromcustom[50s]) = 1E+00
rate(viacustom[50s]) = nil # MixedSchemas
delta(viacustom[50s]) = {{count:5.555555555555555 sum:3.3333333333333335 counter_reset_hint:gauge offset:2 buckets:[2.2222222222222223 3.3333333333333335]}} # NotGauge
irate(viacustom[50s]) = {{count:1 sum:0.5333333333333333 counter_reset_hint:gauge buckets:[0.06666666666666667 0.13333333333333333 0.3333333333333333 0.4666666666666667]}}
idelta(viacustom[50s]) = nil # MixedSchemas NotGauge
sum_over_time(viacustom[50s]) = nil # MixedSchemas
avg_over_time(viacustom[50s]) = nil # MixedSchemas
changes(viacustom[50s]) = 3E+00
resets(viacustom[50s]) = 2E+00
rate(tohistograms[50s]) = nil # MixedKinds
delta(tohistograms[50s]) = nil # MixedKinds
irate(tohistograms[50s]) = {{count:0.13333333333333333 sum:0.06666666666666667 counter_reset_hint:gauge offset:2 buckets:[0.06666666666666667 0.06666666666666667]}}
idelta(tohistograms[50s]) = {{count:2 sum:1 counter_reset_hint:gauge offset:2 buckets:[1 1]}} # NotGauge
sum_over_time(tohistograms[50s]) = nil # MixedKinds
avg_over_time(tohistograms[50s]) = nil # MixedKinds
changes(tohistograms[50s]) = 3E+00
resets(tohistograms[50s]) = 1E+00
rate(tofloats[50s]) = nil # MixedKinds
delta(tofloats[50s]) = nil # MixedKinds
irate(tofloats[50s]) = 2E-01
idelta(tofloats[50s]) = -1E+00
sum_over_time(tofloats[50s]) = nil # MixedKinds
avg_over_time(tofloats[50s]) = nil # MixedKinds
changes(tofloats[50s]) = 3E+00
resets(tofloats[50s]) = 2E+00
rate(alternating[50s]) = nil # MixedKinds
increase(alternating[50s]) = nil # MixedKinds
delta(alternating[50s]) = nil # MixedKinds
irate(alternating[50s]) = nil # MixedKinds
idelta(alternating[50s]) = nil # MixedKinds
sum_over_time(alternating[50s]) = nil # MixedKinds
avg_over_time(alternating[50s]) = nil # MixedKinds
changes(alternating[50s]) = 3E+00
resets(alternating[50s]) = 3E+00
rate(gauge[50s]) = {{count:0.4222222222222222 sum:0.24444444444444446 counter_reset_hint:gauge buckets:[0.06666666666666667 0.08888888888888889 0.13333333333333333 0.13333333333333333]}} # NotCounter
delta(gauge[50s]) = {{count:1.1111111111111112 sum:2.2222222222222223 counter_reset_hint:gauge buckets:[1.1111111111111112]}}
irate(gauge[50s]) = {{count:0.3333333333333333 sum:0.26666666666666666 counter_reset_hint:gauge buckets:[0.06666666666666667 0 0 0.26666666666666666]}} # NotCounter
idelta(gauge[50s]) = {{count:5 sum:4 counter_reset_hint:gauge buckets:[1 0 0 4]}}
sum_over_time(gauge[50s]) = {{count:35 sum:19 counter_reset_hint:gauge buckets:[5 8 12 10]}}
avg_over_time(gauge[50s]) = {{count:8.75 sum:4.75 counter_reset_hint:gauge buckets:[1.25 2 3 2.5]}}
changes(gauge[50s]) = 3E+00
resets(gauge[50s]) = 2E+00
rate(gaugemid[50s]) = {{count:0.08888888888888889 sum:0.06666666666666667 counter_reset_hint:gauge offset:2 buckets:[0.044444444444444446 0.044444444444444446]}} # NotCounter
delta(gaugemid[50s]) = {{count:4.444444444444445 sum:3.3333333333333335 counter_reset_hint:gauge offset:2 buckets:[2.2222222222222223 2.2222222222222223]}} # NotGauge
irate(gaugemid[50s]) = {{count:0.06666666666666667 sum:0.06666666666666667 counter_reset_hint:gauge offset:3 buckets:[0.06666666666666667]}}
idelta(gaugemid[50s]) = {{count:1 sum:1 counter_reset_hint:gauge offset:3 buckets:[1]}} # NotGauge
sum_over_time(gaugemid[50s]) = {{count:49 sum:26 counter_reset_hint:gauge buckets:[4 8 17 20]}}
avg_over_time(gaugemid[50s]) = {{count:12.25 sum:6.5 counter_reset_hint:gauge buckets:[1 2 4.25 5]}}
changes(gaugemid[50s]) = 3E+00
resets(gaugemid[50s]) = 0E+00
rate(gaugelast[50s]) = {{count:0.08888888888888889 sum:0.06666666666666667 counter_reset_hint:gauge offset:2 buckets:[0.044444444444444446 0.044444444444444446]}} # NotCounter
delta(gaugelast[50s]) = {{count:4.444444444444445 sum:3.3333333333333335 counter_reset_hint:gauge offset:2 buckets:[2.2222222222222223 2.2222222222222223]}} # NotGauge
irate(gaugelast[50s]) = {{count:0.06666666666666667 sum:0.06666666666666667 counter_reset_hint:gauge offset:3 buckets:[0.06666666666666667]}} # NotCounter
idelta(gaugelast[50s]) = {{count:1 sum:1 counter_reset_hint:gauge offset:3 buckets:[1]}} # NotGauge
sum_over_time(gaugelast[50s]) = {{count:49 sum:26 counter_reset_hint:gauge buckets:[4 8 17 20]}}
avg_over_time(gaugelast[50s]) = {{count:12.25 sum:6.5 counter_reset_hint:gauge buckets:[1 2 4.25 5]}}
changes(gaugelast[50s]) = 3E+00
resets(gaugelast[50s]) = 0E+00
rate(gaugecustom[50s]) = nil # MixedSchemas NotCounter
delta(gaugecustom[50s]) = nil # MixedSchemas
irate(gaugecustom[50s]) = {{schema:-53 count:0.8666666666666667 sum:0.7333333333333333 custom_values:[1 2 5] counter_reset_hint:gauge buckets:[0.13333333333333333 0.2 0.2 0.3333333333333333]}}
idelta(gaugecustom[50s]) = nil # MixedSchemas NotGauge
sum_over_time(gaugecustom[50s]) = nil # MixedSchemas
avg_over_time(gaugecustom[50s]) = nil # MixedSchemas
changes(gaugecustom[50s]) = 3E+00
resets(gaugecustom[50s]) = 1E+00
rate(saysreset[50s]) = {{count:0.08888888888888889 sum:0.06666666666666667 counter_reset_hint:gauge offset:2 buckets:[0.044444444444444446 0.044444444444444446]}}
delta(saysreset[50s]) = {{count:4.444444444444445 sum:3.3333333333333335 counter_reset_hint:gauge offset:2 buckets:[2.2222222222222223 2.2222222222222223]}} # NotGauge
irate(saysreset[50s]) = {{count:0.06666666666666667 sum:0.06666666666666667 counter_reset_hint:gauge offset:3 buckets:[0.06666666666666667]}}
idelta(saysreset[50s]) = {{count:1 sum:1 counter_reset_hint:gauge offset:3 buckets:[1]}} # NotGauge
sum_over_time(saysreset[50s]) = {{count:49 sum:26 buckets:[4 8 17 20]}}
avg_over_time(saysreset[50s]) = {{count:12.25 sum:6.5 buckets:[1 2 4.25 5]}}
changes(saysreset[50s]) = 3E+00
resets(saysreset[50s]) = 0E+00
rate(nansum[50s]) = {{count:0.08888888888888889 sum:NaN counter_reset_hint:gauge offset:2 buckets:[0.044444444444444446 0.044444444444444446]}}
delta(nansum[50s]) = {{count:4.444444444444445 sum:NaN counter_reset_hint:gauge offset:2 buckets:[2.2222222222222223 2.2222222222222223]}} # NotGauge
irate(nansum[50s]) = {{count:0.06666666666666667 sum:NaN counter_reset_hint:gauge offset:3 buckets:[0.06666666666666667]}}
idelta(nansum[50s]) = {{count:1 sum:NaN counter_reset_hint:gauge offset:3 buckets:[1]}} # NotGauge
sum_over_time(nansum[50s]) = {{count:49 sum:NaN buckets:[4 8 17 20]}}
avg_over_time(nansum[50s]) = {{count:12.25 sum:NaN buckets:[1 2 4.25 5]}}
changes(nansum[50s]) = 3E+00
resets(nansum[50s]) = 0E+00
rate(same[50s]) = {{counter_reset_hint:gauge}}
delta(same[50s]) = {{counter_reset_hint:gauge}} # NotGauge
irate(same[50s]) = {{counter_reset_hint:gauge}}
idelta(same[50s]) = {{counter_reset_hint:gauge}} # NotGauge
sum_over_time(same[50s]) = {{count:40 sum:20 buckets:[4 8 12 16]}}
avg_over_time(same[50s]) = {{count:10 sum:5 buckets:[1 2 3 4]}}
changes(same[50s]) = 0E+00
resets(same[50s]) = 0E+00
rate(fractions[50s]) = {{schema:2 count:0.07777777777777777 sum:0.04 counter_reset_hint:gauge offset:-1 buckets:[0.02666666666666667 0.035555555555555556 0.015555555555555555]}}
delta(fractions[50s]) = {{schema:2 count:3.8888888888888884 sum:2 counter_reset_hint:gauge offset:-1 buckets:[1.3333333333333333 1.7777777777777777 0.7777777777777778]}} # NotGauge
irate(fractions[50s]) = {{schema:2 count:0.15333333333333332 sum:0.08 counter_reset_hint:gauge offset:-1 buckets:[0.05333333333333334 0.07333333333333332 0.02666666666666666]}}
idelta(fractions[50s]) = {{schema:2 count:2.3 sum:1.2 counter_reset_hint:gauge offset:-1 buckets:[0.8 1.0999999999999999 0.3999999999999999]}} # NotGauge
sum_over_time(fractions[50s]) = {{schema:2 count:9.899999999999999 sum:3 offset:-1 buckets:[2.2 3.7 4]}}
avg_over_time(fractions[50s]) = {{schema:2 count:2.4749999999999996 sum:0.75 offset:-1 buckets:[0.55 0.9249999999999999 1]}}
changes(fractions[50s]) = 3E+00
resets(fractions[50s]) = 0E+00
rate(huge[50s]) = {{count:4.444444444444443e+305 sum:1.5555555555555556e+306 counter_reset_hint:gauge buckets:[4.444444444444443e+305]}}
delta(huge[50s]) = {{count:2.2222222222222214e+307 sum:7.777777777777777e+307 counter_reset_hint:gauge buckets:[2.2222222222222214e+307]}} # NotGauge
irate(huge[50s]) = {{counter_reset_hint:gauge}}
idelta(huge[50s]) = {{counter_reset_hint:gauge}} # NotGauge
sum_over_time(huge[50s]) = {{count:+Inf sum:+Inf buckets:[+Inf]}}
avg_over_time(huge[50s]) = {{count:1.65e+308 sum:1.475e+308 buckets:[1.65e+308]}}
changes(huge[50s]) = 2E+00
resets(huge[50s]) = 0E+00
rate(gap[50s]) = {{count:0.2 sum:0.08888888888888889 counter_reset_hint:gauge buckets:[0.022222222222222223 0 0.08888888888888889 0.08888888888888889]}}
delta(gap[50s]) = {{count:10 sum:4.444444444444445 counter_reset_hint:gauge buckets:[1.1111111111111112 0 4.444444444444445 4.444444444444445]}} # NotGauge
irate(gap[50s]) = {{count:0.4666666666666667 sum:0.2 counter_reset_hint:gauge buckets:[0.06666666666666667 0 0.2 0.2]}}
idelta(gap[50s]) = {{count:7 sum:3 counter_reset_hint:gauge buckets:[1 0 3 3]}} # NotGauge
sum_over_time(gap[50s]) = {{count:41 sum:20 buckets:[4 6 14 17]}}
avg_over_time(gap[50s]) = {{count:13.666666666666666 sum:6.666666666666667 buckets:[1.3333333333333333 2 4.666666666666667 5.666666666666666]}}
changes(gap[50s]) = 2E+00
resets(gap[50s]) = 0E+00
rate(none[50s]) = {{count:0.044444444444444446 sum:0.044444444444444446 counter_reset_hint:gauge buckets:[0.044444444444444446]}}
delta(none[50s]) = {{counter_reset_hint:gauge}} # NotGauge
irate(none[50s]) = {{counter_reset_hint:gauge}}
idelta(none[50s]) = {{count:-2 sum:-2 counter_reset_hint:gauge buckets:[-2]}} # NotGauge
sum_over_time(none[50s]) = {{count:4 sum:3 buckets:[4]}}
avg_over_time(none[50s]) = {{count:1 sum:0.75 buckets:[1]}}
changes(none[50s]) = 3E+00
resets(none[50s]) = 1E+00
rate(one[50s]) = nil
delta(one[50s]) = nil
irate(one[50s]) = nil
idelta(one[50s]) = nil
sum_over_time(one[50s]) = {{count:10 sum:5 buckets:[1 2 3 4]}}
avg_over_time(one[50s]) = {{count:10 sum:5 buckets:[1 2 3 4]}}
changes(one[50s]) = 0E+00
resets(one[50s]) = 0E+00
rate(floatthen[50s]) = nil # MixedKinds
delta(floatthen[50s]) = nil # MixedKinds
irate(floatthen[50s]) = nil # MixedKinds
idelta(floatthen[50s]) = nil # MixedKinds
sum_over_time(floatthen[50s]) = nil # MixedKinds
avg_over_time(floatthen[50s]) = nil # MixedKinds
changes(floatthen[50s]) = 1E+00
resets(floatthen[50s]) = 1E+00
rate(steady[2m]) at 100 = {{schema:1 count:0.16666666666666666 sum:0.06444444444444443 z_bucket:0.01111111111111111 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[0.02222222222222222 0.05555555555555555 0.033333333333333326] n_buckets:[0.02222222222222222 0.02222222222222222]}}
increase(steady[2m]) at 100 = {{schema:1 count:20 sum:7.7333333333333325 z_bucket:1.3333333333333333 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[2.6666666666666665 6.666666666666666 4] n_buckets:[2.6666666666666665 2.6666666666666665]}}
delta(steady[2m]) at 100 = {{schema:1 count:20 sum:7.7333333333333325 z_bucket:1.3333333333333333 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[2.6666666666666665 6.666666666666666 4] n_buckets:[2.6666666666666665 2.6666666666666665]}} # NotGauge
rate(steady[32s]) = {{schema:1 count:0.3333333333333333 sum:0.08000000000000002 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[0.06666666666666667 0.06666666666666667 0.06666666666666667] n_offset:1 n_buckets:[0.13333333333333333]}}
rate(steady[12s]) = nil
irate(steady[12s]) = nil
increase(reset[20s]) = {{schema:1 count:4 sum:0.39999999999999997 z_bucket:1.3333333333333333 z_bucket_w:0.001 counter_reset_hint:gauge buckets:[1.3333333333333333 0 1.3333333333333333]}}
irate(tofloats[50s]) = 2E-01
last_over_time(tohistograms[50s]) = {{count:12 sum:6 counter_reset_hint:not_reset buckets:[1 2 4 5]}}
count_over_time(tohistograms[50s]) = 4E+00
present_over_time(tohistograms[50s]) = 1E+00
min_over_time(tohistograms[50s]) = 1E+00 # HistogramsIgnored
max_over_time(tohistograms[50s]) = 2E+00 # HistogramsIgnored
stddev_over_time(tohistograms[50s]) = 5E-01 # HistogramsIgnored
stdvar_over_time(tohistograms[50s]) = 2.5E-01 # HistogramsIgnored
deriv(tohistograms[50s]) = 6.666666666666667E-02 # HistogramsIgnored
quantile_over_time(0.3, tohistograms[50s]) = 1.2999999999999998E+00 # HistogramsIgnored
predict_linear(tohistograms[50s], 10) = 4.8E+00 # HistogramsIgnored
last_over_time(tofloats[50s]) = 3E+00
count_over_time(tofloats[50s]) = 4E+00
present_over_time(tofloats[50s]) = 1E+00
min_over_time(tofloats[50s]) = 3E+00 # HistogramsIgnored
max_over_time(tofloats[50s]) = 4E+00 # HistogramsIgnored
stddev_over_time(tofloats[50s]) = 5E-01 # HistogramsIgnored
stdvar_over_time(tofloats[50s]) = 2.5E-01 # HistogramsIgnored
deriv(tofloats[50s]) = -6.666666666666667E-02 # HistogramsIgnored
quantile_over_time(0.3, tofloats[50s]) = 3.3E+00 # HistogramsIgnored
predict_linear(tofloats[50s], 10) = 2.2E+00 # HistogramsIgnored
last_over_time(alternating[50s]) = 5E+00
count_over_time(alternating[50s]) = 4E+00
present_over_time(alternating[50s]) = 1E+00
min_over_time(alternating[50s]) = 5E+00 # HistogramsIgnored
max_over_time(alternating[50s]) = 7E+00 # HistogramsIgnored
stddev_over_time(alternating[50s]) = 1E+00 # HistogramsIgnored
stdvar_over_time(alternating[50s]) = 1E+00 # HistogramsIgnored
deriv(alternating[50s]) = -6.666666666666667E-02 # HistogramsIgnored
quantile_over_time(0.3, alternating[50s]) = 5.6E+00 # HistogramsIgnored
predict_linear(alternating[50s], 10) = 4.2E+00 # HistogramsIgnored
last_over_time(steady[50s]) = {{schema:1 count:24 sum:7.3 z_bucket:2 z_bucket_w:0.001 counter_reset_hint:not_reset buckets:[3 8 4] n_buckets:[5 2]}}
count_over_time(steady[50s]) = 4E+00
present_over_time(steady[50s]) = 1E+00
min_over_time(steady[50s]) = nil
max_over_time(steady[50s]) = nil
stddev_over_time(steady[50s]) = nil
stdvar_over_time(steady[50s]) = nil
deriv(steady[50s]) = nil
quantile_over_time(0.3, steady[50s]) = nil
predict_linear(steady[50s], 10) = nil
last_over_time(floatthen[50s]) = {{count:10 sum:5 buckets:[1 2 3 4]}}
count_over_time(floatthen[50s]) = 2E+00
present_over_time(floatthen[50s]) = 1E+00
min_over_time(floatthen[50s]) = 3E+00 # HistogramsIgnored
max_over_time(floatthen[50s]) = 3E+00 # HistogramsIgnored
stddev_over_time(floatthen[50s]) = 0E+00 # HistogramsIgnored
stdvar_over_time(floatthen[50s]) = 0E+00 # HistogramsIgnored
deriv(floatthen[50s]) = nil # HistogramsIgnored
quantile_over_time(0.3, floatthen[50s]) = 3E+00 # HistogramsIgnored
predict_linear(floatthen[50s], 10) = nil # HistogramsIgnored
";
