//! A native histogram as the bytes of a request tell it, checked.
//!
//! Both versions write it alike. Counts are integers, each as the difference to the one before it, or floats;
//! which, the field of the total count says.
//! Sources: `prometheus.Histogram` and `io.prometheus.write.v2.Histogram` of the specifications.

use super::wire::{Fields, Value, WireError, zigzag};
use crate::histogram::{
    BucketCounts, BucketSpan, CounterResetHint, DeltaBuckets, IntegerHistogram, NativeHistogram,
};
use crate::sample::HistogramSample;

/// A count of one kind or the other.
#[derive(Debug, Clone, Copy)]
enum Count {
    Integer(u64),
    Float(f64),
}

/// A side of a histogram with counts of both kinds, of which one is used.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<BucketSpan>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// Reads a histogram of at most so many buckets, spans and bounds, with its time, and judges it: a sentence
/// says which rule it breaks.
///
/// # Errors
/// When it is no such message.
pub(super) fn histogram(
    message: &[u8],
    most: usize,
) -> Result<Result<HistogramSample, String>, WireError> {
    let mut parts = Parts::default();
    for field in Fields::new(message) {
        parts.take(field?, most)?;
    }
    let Parts {
        schema,
        sum,
        zero_threshold,
        positive,
        negative,
        custom_values,
        reset_hint,
        timestamp_ms,
        ..
    } = parts;
    if parts.is_too_long {
        return Ok(Err(format!(
            "it has more than {most} buckets (remote_write.max_buckets_per_histogram)"
        )));
    }
    let valid = match parts.count.unwrap_or(Count::Integer(0)) {
        Count::Integer(count) => IntegerHistogram {
            schema,
            zero_threshold,
            zero_count: parts.zero_count.map_or(0, |it| match it {
                Count::Integer(count) => count,
                Count::Float(_) => 0,
            }),
            count,
            sum,
            positive: DeltaBuckets { spans: positive.spans, deltas: positive.deltas },
            negative: DeltaBuckets { spans: negative.spans, deltas: negative.deltas },
            custom_values,
            reset_hint,
        }
        .validated(),
        Count::Float(count) => NativeHistogram {
            schema,
            zero_threshold,
            zero_count: parts.zero_count.map_or(0.0, |it| match it {
                Count::Integer(_) => 0.0,
                Count::Float(count) => count,
            }),
            count,
            sum,
            positive: BucketCounts { spans: positive.spans, counts: positive.counts },
            negative: BucketCounts { spans: negative.spans, counts: negative.counts },
            custom_values,
            reset_hint,
        }
        .validated(),
    };
    Ok(valid
        .map(|histogram| HistogramSample::new(timestamp_ms, histogram))
        .map_err(|error| error.to_string()))
}

/// The fields of a histogram.
#[derive(Debug, Default)]
struct Parts {
    count: Option<Count>,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count: Option<Count>,
    positive: Side,
    negative: Side,
    custom_values: Vec<f64>,
    reset_hint: CounterResetHint,
    timestamp_ms: i64,
    /// There were more numbers than are kept.
    is_too_long: bool,
}

impl Parts {
    fn take(&mut self, (number, value): (u32, Value<'_>), most: usize) -> Result<(), WireError> {
        match number {
            1 => self.count = Some(Count::Integer(value.int64()?.cast_unsigned())),
            2 => self.count = Some(Count::Float(value.double()?)),
            3 => self.sum = value.double()?,
            4 => self.schema = value.sint32()?,
            5 => self.zero_threshold = value.double()?,
            6 => self.zero_count = Some(Count::Integer(value.int64()?.cast_unsigned())),
            7 => self.zero_count = Some(Count::Float(value.double()?)),
            8 => push(&mut self.negative.spans, span(value.bytes()?)?, most, &mut self.is_too_long),
            9 => deltas(value, &mut self.negative.deltas, most, &mut self.is_too_long)?,
            10 => doubles(value, &mut self.negative.counts, most, &mut self.is_too_long)?,
            11 => {
                push(&mut self.positive.spans, span(value.bytes()?)?, most, &mut self.is_too_long)
            }
            12 => deltas(value, &mut self.positive.deltas, most, &mut self.is_too_long)?,
            13 => doubles(value, &mut self.positive.counts, most, &mut self.is_too_long)?,
            14 => {
                // Of a counter Prometheus's storage finds out for itself whether it began anew.
                self.reset_hint = match value.int64()? {
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                }
            }
            15 => self.timestamp_ms = value.int64()?,
            16 => doubles(value, &mut self.custom_values, most, &mut self.is_too_long)?,
            // Its time of start.
            _ => {}
        }
        Ok(())
    }
}

fn push<T>(all: &mut Vec<T>, one: T, most: usize, is_too_long: &mut bool) {
    if all.len() < most { all.push(one) } else { *is_too_long = true }
}

fn deltas(
    value: Value<'_>,
    all: &mut Vec<i64>,
    most: usize,
    is_too_long: &mut bool,
) -> Result<(), WireError> {
    value.each_varint(|it| push(all, zigzag(it), most, is_too_long))
}

fn doubles(
    value: Value<'_>,
    all: &mut Vec<f64>,
    most: usize,
    is_too_long: &mut bool,
) -> Result<(), WireError> {
    value.each_double(|it| push(all, it, most, is_too_long))
}

/// A `BucketSpan`.
fn span(message: &[u8]) -> Result<BucketSpan, WireError> {
    let mut span = BucketSpan::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => span.offset = value.sint32()?,
            (2, value) => span.length = value.int64()? as u32,
            _ => {}
        }
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
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
}
