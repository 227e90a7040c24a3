use proptest::prelude::*;
use prost::Message;

use super::histogram;
use crate::histogram::{CounterResetHint, NativeHistogram};
use crate::proto::prometheus_v2::histogram::{Count, ZeroCount};
use crate::proto::prometheus_v2::{BucketSpan, Histogram};
use crate::sample::STALE_NAN_BITS;

const MOST: usize = 8;

/// When all of them were.
const TIME_MS: i64 = 1_700_000_000_000;

#[track_caller]
fn read_bytes(message: &[u8]) -> Result<NativeHistogram, String> {
    let read = histogram(message, MOST).expect("a message")?;
    assert_eq!(read.timestamp_ms, TIME_MS);
    Ok(NativeHistogram::clone(&read.histogram))
}

#[track_caller]
fn good(message: Histogram) -> NativeHistogram {
    read_bytes(&message.encode_to_vec()).expect("a good one")
}

#[track_caller]
fn bad(message: Histogram, sentence: &str) {
    assert_eq!(read_bytes(&message.encode_to_vec()), Err(sentence.to_owned()));
}

fn span(offset: i32, length: u32) -> BucketSpan {
    BucketSpan { offset, length }
}

/// Two observations in the zero bucket, and buckets of 1, 3 and 2.
fn integers() -> Histogram {
    Histogram {
        count: Some(Count::CountInt(8)),
        sum: 18.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::ZeroCountInt(2)),
        positive_spans: vec![span(-1, 1), span(2, 1)],
        positive_deltas: vec![1, 2],
        negative_spans: vec![span(0, 1)],
        negative_deltas: vec![2],
        timestamp: TIME_MS,
        ..Histogram::default()
    }
}

/// The same with counts that need not be whole.
fn floats() -> Histogram {
    Histogram {
        count: Some(Count::CountFloat(8.0)),
        zero_count: Some(ZeroCount::ZeroCountFloat(2.0)),
        positive_deltas: vec![],
        positive_counts: vec![1.0, 3.0],
        negative_deltas: vec![],
        negative_counts: vec![2.0],
        ..integers()
    }
}

/// Buckets up to 0.5, 1 and +Inf.
fn custom() -> Histogram {
    Histogram {
        count: Some(Count::CountInt(6)),
        sum: 4.0,
        schema: -53,
        positive_spans: vec![span(0, 3)],
        positive_deltas: vec![1, 1, 1],
        custom_values: vec![0.5, 1.0],
        timestamp: TIME_MS,
        ..Histogram::default()
    }
}

#[test]
fn integers_and_floats_of_both_sides() {
    let read = good(integers());
    assert_eq!(good(floats()), read);
    assert_eq!((read.count, read.sum, read.zero_count, read.schema), (8.0, 18.5, 2.0, 1));
    assert_eq!(read.zero_threshold, 0.001);
    assert_eq!(read.positive.indexed().collect::<Vec<_>>(), [(-1, 1.0), (2, 3.0)]);
    assert_eq!(read.negative.indexed().collect::<Vec<_>>(), [(0, 2.0)]);
    let nothing = Histogram { timestamp: TIME_MS, ..Histogram::default() };
    assert_eq!(good(nothing), NativeHistogram::default());
}

#[test]
fn custom_buckets() {
    let read = good(custom());
    assert!(read.has_custom_buckets());
    assert_eq!(read.custom_values, [0.5, 1.0]);
    let float_counts = Histogram {
        count: Some(Count::CountFloat(6.0)),
        positive_deltas: vec![],
        positive_counts: vec![1.0, 2.0, 3.0],
        ..custom()
    };
    assert_eq!(good(float_counts), read);
}

/// Finer resolutions than there are become the finest of these.
#[test]
fn the_schema_exists() {
    for schema in [-4, 0, 8, 9, 52] {
        let read = good(Histogram { schema, ..integers() });
        assert_eq!((read.schema, read.count), (schema.min(8), 8.0));
        assert_eq!(good(Histogram { schema, ..floats() }), read);
    }
    for schema in [-5, -52, -54, 53, 60, i32::MIN, i32::MAX] {
        let sentence = format!(
            "histogram schema {schema} is neither exponential (-4 to 52) nor custom buckets (-53)"
        );
        bad(Histogram { schema, ..integers() }, &sentence);
        bad(Histogram { schema, ..floats() }, &sentence);
    }
}

#[test]
fn of_the_hints_of_a_reset_that_of_a_gauge_is_kept() {
    for (reset_hint, expected) in [
        (0, CounterResetHint::Unknown),
        (1, CounterResetHint::Unknown),
        (2, CounterResetHint::Unknown),
        (3, CounterResetHint::Gauge),
        (99, CounterResetHint::Unknown),
    ] {
        assert_eq!(good(Histogram { reset_hint, ..integers() }).reset_hint, expected);
        assert_eq!(good(Histogram { reset_hint, ..floats() }).reset_hint, expected);
    }
}

#[test]
fn observations_that_are_no_numbers_are_in_no_bucket() {
    let of = |sum, count| Histogram { sum, count: Some(Count::CountInt(count)), ..integers() };
    assert_eq!(good(of(f64::NAN, 9)).count, 9.0);
    assert_eq!(good(of(f64::INFINITY, 8)).sum, f64::INFINITY);
    let more = "8 observations are in a histogram's buckets, more than its count of 7";
    bad(of(f64::NAN, 7), more);
    // The stale marker of a histogram.
    let sum = f64::from_bits(STALE_NAN_BITS);
    assert!(good(Histogram { sum, timestamp: TIME_MS, ..Histogram::default() }).is_stale());
}

#[test]
fn buckets_add_up_to_the_count() {
    let of = |count| Histogram { count, ..integers() };
    let differ =
        |count| format!("8 observations are in a histogram's buckets, and its count is {count}");
    bad(of(Some(Count::CountInt(7))), &differ(7));
    bad(of(Some(Count::CountInt(9))), &differ(9));
    bad(of(None), &differ(0));
    // Sums of floats differ in their last digits: they are not compared.
    good(Histogram { count: Some(Count::CountFloat(8.000001)), ..floats() });
    // Counts of the other kind are none.
    let zero_count = Some(ZeroCount::ZeroCountFloat(2.0));
    let six = "6 observations are in a histogram's buckets, and its count is 8";
    bad(Histogram { zero_count, ..integers() }, six);
    let zero_count = Some(ZeroCount::ZeroCountInt(2));
    assert_eq!(good(Histogram { zero_count, ..floats() }).zero_count, 0.0);
}

#[test]
fn no_bucket_has_less_than_nothing() {
    let negative = Histogram { positive_deltas: vec![1, -2], ..integers() };
    bad(negative, "positive bucket 2 of a histogram has -1 observations");
    let negative = Histogram { negative_deltas: vec![-1], ..integers() };
    bad(negative, "negative bucket 1 of a histogram has -1 observations");
    let negative = Histogram { positive_counts: vec![1.0, -0.5], ..floats() };
    bad(negative, "positive bucket 2 of a histogram has -0.5 observations");
    let beyond = Histogram { positive_deltas: vec![i64::MAX, 1], ..integers() };
    bad(beyond, "positive bucket 2 of a histogram has a count beyond 64 bits");
}

#[test]
fn spans_ascend_and_are_as_long_as_there_are_buckets() {
    let of = |positive_spans| Histogram { positive_spans, ..integers() };
    let back = "positive span 2 of a histogram has the negative offset -1";
    bad(of(vec![span(-1, 1), span(-1, 1)]), back);
    let fewer = "positive spans of a histogram are of 1 buckets, and 2 were sent";
    bad(of(vec![span(0, 1)]), fewer);
    let more = "positive spans of a histogram are of 3 buckets, and 2 were sent";
    bad(of(vec![span(0, 3)]), more);
    // What is only claimed costs nothing.
    let claims = "positive spans of a histogram are of 12884901885 buckets, and 2 were sent";
    bad(of(vec![span(0, u32::MAX); 3]), claims);
    let none = "negative spans of a histogram are of 0 buckets, and 1 were sent";
    bad(Histogram { negative_spans: vec![], ..integers() }, none);
    good(of(vec![span(i32::MIN, 1), span(0, 0), span(7, 1)]));
}

#[test]
fn custom_buckets_have_one_side_and_bounds_that_ascend() {
    let of = |custom_values| Histogram { custom_values, ..custom() };
    bad(of(vec![1.0, 0.5]), "custom bound 2 of a histogram is 0.5, after 1");
    bad(of(vec![1.0, 1.0]), "custom bound 2 of a histogram is 1, after 1");
    bad(of(vec![f64::NAN, 1.0]), "custom bound 1 of a histogram is NaN, after -inf");
    bad(of(vec![f64::NEG_INFINITY, 1.0]), "custom bound 1 of a histogram is -inf, after -inf");
    let infinite = "the last custom bound of a histogram is +Inf, which must not be sent";
    bad(of(vec![1.0, f64::INFINITY]), infinite);
    let few = "1 custom bounds of a histogram do not reach as far as its spans, 3";
    bad(of(vec![1.0]), few);
    let zero = Histogram { zero_count: Some(ZeroCount::ZeroCountInt(1)), ..custom() };
    bad(zero, "a histogram with custom buckets has a zero count");
    let threshold = Histogram { zero_threshold: 0.1, ..custom() };
    bad(threshold, "a histogram with custom buckets has a zero threshold");
    let sided =
        Histogram { negative_spans: vec![span(0, 1)], negative_deltas: vec![1], ..custom() };
    bad(sided, "a histogram with custom buckets has negative spans or buckets");
    let below = Histogram { positive_spans: vec![span(-1, 3)], ..custom() };
    bad(below, "positive span 1 of a histogram has the negative offset -1");
    let exponential = Histogram { custom_values: vec![1.0], ..integers() };
    bad(exponential, "a histogram with exponential buckets has custom bounds");
}

#[test]
fn no_field_is_longer_than_a_limit() {
    let sentence = "it has more than 8 buckets (remote_write.max_buckets_per_histogram)";
    bad(Histogram { positive_spans: vec![span(0, 0); MOST + 1], ..integers() }, sentence);
    bad(Histogram { negative_spans: vec![span(0, 0); MOST + 1], ..integers() }, sentence);
    bad(Histogram { positive_deltas: vec![1; MOST + 1], ..integers() }, sentence);
    bad(Histogram { negative_deltas: vec![1; MOST + 1], ..integers() }, sentence);
    bad(Histogram { positive_counts: vec![1.0; MOST + 1], ..floats() }, sentence);
    bad(Histogram { negative_counts: vec![1.0; MOST + 1], ..floats() }, sentence);
    bad(Histogram { custom_values: vec![1.0; MOST + 1], ..integers() }, sentence);
    let most = Histogram {
        count: Some(Count::CountInt(MOST as u64)),
        positive_spans: vec![span(0, 1); MOST],
        positive_deltas: [&[1][..], &[0; MOST - 1]].concat(),
        timestamp: TIME_MS,
        ..Histogram::default()
    };
    assert_eq!(good(most).positive.counts, [1.0; MOST]);
}

/// Of the two kinds of counts the last one holds, as in every decoder of a `oneof`; deltas may be packed or
/// not.
#[test]
fn it_is_the_same_however_it_is_written() {
    let plain = Histogram { positive_deltas: vec![], ..integers() }.encode_to_vec();
    let count = Some(Count::CountFloat(3.0));
    let zero_count = Some(ZeroCount::ZeroCountFloat(1.0));
    let wrong_first = Histogram { count, zero_count, ..Histogram::default() }.encode_to_vec();
    // 1 and 2 as differences, in three ways.
    for deltas in [&b"\x62\x02\x02\x04"[..], b"\x60\x02\x60\x04", b"\x62\x01\x02\x62\x00\x60\x04"] {
        let message = [&wrong_first[..], deltas, &plain].concat();
        assert_eq!(read_bytes(&message), Ok(good(integers())));
    }
}

#[test]
fn what_is_no_message_is_an_error() {
    for broken in
        [&b"\x08"[..], b"\x0a\x00", b"\x62\x01\xff", b"\x6a\x07\0\0\0\0\0\0\0", b"\x5a\x02\x08"]
    {
        assert!(histogram(broken, MOST).is_err(), "{broken:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let read = histogram(&bytes, MOST);
        if Histogram::decode(&bytes[..]).is_err() {
            prop_assert!(read.is_err());
        }
    }
}
