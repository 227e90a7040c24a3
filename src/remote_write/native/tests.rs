use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::proto::prometheus_v2::histogram::{Count as WireCount, ZeroCount};
use crate::proto::prometheus_v2::{BucketSpan as WireSpan, Histogram};

const MOST: usize = 8;

fn read(message: &Histogram) -> Result<NativeHistogram, String> {
    let read = histogram(&message.encode_to_vec(), MOST).expect("a message")?;
    assert_eq!(read.timestamp_ms, message.timestamp);
    Ok(NativeHistogram::clone(&read.histogram))
}

fn span(offset: i32, length: u32) -> WireSpan {
    WireSpan { offset, length }
}

/// Two observations in the zero bucket and buckets of 1, 3 and 2.
fn integers() -> Histogram {
    Histogram {
        count: Some(WireCount::CountInt(8)),
        sum: 18.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::ZeroCountInt(2)),
        positive_spans: vec![span(-1, 1), span(2, 1)],
        positive_deltas: vec![1, 2],
        negative_spans: vec![span(0, 1)],
        negative_deltas: vec![2],
        reset_hint: 3,
        ..Histogram::default()
    }
}

#[test]
fn integers_and_floats_of_both_sides() {
    let read = self::read(&integers()).expect("a good one");
    let floats = Histogram {
        count: Some(WireCount::CountFloat(8.0)),
        zero_count: Some(ZeroCount::ZeroCountFloat(2.0)),
        positive_deltas: Vec::new(),
        positive_counts: vec![1.0, 3.0],
        negative_deltas: Vec::new(),
        negative_counts: vec![2.0],
        ..integers()
    };
    assert_eq!(self::read(&floats), Ok(read.clone()));
    assert_eq!((read.count, read.sum, read.zero_count, read.schema), (8.0, 18.5, 2.0, 1));
    assert_eq!(read.positive.indexed().collect::<Vec<_>>(), [(-1, 1.0), (2, 3.0)]);
    assert_eq!(read.negative.indexed().collect::<Vec<_>>(), [(0, 2.0)]);
    assert_eq!(read.reset_hint, CounterResetHint::Gauge);
}

#[test]
fn custom_buckets() {
    let custom = Histogram {
        count: Some(WireCount::CountInt(3)),
        sum: 4.0,
        schema: -53,
        positive_spans: vec![span(0, 2)],
        positive_deltas: vec![1, 1],
        custom_values: vec![0.5, 1.0],
        ..Histogram::default()
    };
    let read = self::read(&custom).expect("a good one");
    assert!(read.has_custom_buckets());
    assert_eq!(read.custom_values, [0.5, 1.0]);
}

#[track_caller]
fn check(message: Histogram, begin: &str) {
    let reason = read(&message).expect_err("a bad one");
    assert!(reason.starts_with(begin), "{reason}");
}

#[test]
fn what_is_wrong_is_said() {
    let of = integers;
    let count = Some(WireCount::CountInt(9));
    check(Histogram { count, ..of() }, "8 observations are in a histogram's buckets, and its");
    let zero_count = Some(ZeroCount::ZeroCountFloat(2.0));
    check(Histogram { zero_count, ..of() }, "6 observations are in a histogram's buckets");
    check(Histogram { schema: 53, ..of() }, "histogram schema 53 is neither exponential");
    let positive_spans = vec![span(-1, 1), span(-2, 1)];
    check(Histogram { positive_spans, ..of() }, "positive span 2 of a histogram has the neg");
    let positive_spans = vec![span(0, u32::MAX); 3];
    check(Histogram { positive_spans, ..of() }, "positive spans of a histogram are of 12884");
    let positive_deltas = vec![1; MOST + 1];
    check(Histogram { positive_deltas, ..of() }, "it has more than 8 buckets (remote_write.");
    let custom_values = vec![1.0; MOST + 1];
    check(Histogram { custom_values, ..of() }, "it has more than 8 buckets (remote_write.");
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
