//! A native histogram as the bytes of a request tell it, checked.
//!
//! Both versions write it alike. Counts are integers, each as the difference to the one before it, or floats;
//! which, the field of the total count says.
//! Sources: `prometheus.Histogram` and `io.prometheus.write.v2.Histogram` of the specifications.

use super::wire::{Fields, Value, WireError, zigzag};
use crate::histogram::{
    BucketCounts, BucketSpan, CounterResetHint, DeltaBuckets, IntegerHistogram, InvalidHistogram,
    NativeHistogram,
};
use crate::sample::HistogramSample;

/// A count of one kind; of the other kind it is 0.
#[derive(Debug, Clone, Copy)]
enum Count {
    Integer(u64),
    Float(f64),
}

impl Default for Count {
    fn default() -> Self {
        Self::Integer(0)
    }
}

impl Count {
    const fn integer(self) -> u64 {
        match self {
            Self::Integer(count) => count,
            Self::Float(_) => 0,
        }
    }

    const fn float(self) -> f64 {
        match self {
            Self::Integer(_) => 0.0,
            Self::Float(count) => count,
        }
    }
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
    let mut parts = Parts { limit: FieldLimit { most, is_exceeded: false }, ..Parts::default() };
    for field in Fields::new(message) {
        parts.take(field?)?;
    }
    if parts.limit.is_exceeded {
        return Ok(Err(format!(
            "it has more than {most} buckets (remote_write.max_buckets_per_histogram)"
        )));
    }
    let timestamp_ms = parts.timestamp_ms;
    Ok(parts
        .validated()
        .map(|histogram| HistogramSample::new(timestamp_ms, histogram))
        .map_err(|error| error.to_string()))
}

/// The fields of a histogram.
#[derive(Debug, Default)]
struct Parts {
    /// All but the total, the count of the zero bucket and the counts that are integers.
    histogram: NativeHistogram,
    count: Count,
    zero_count: Count,
    positive_deltas: Vec<i64>,
    negative_deltas: Vec<i64>,
    timestamp_ms: i64,
    limit: FieldLimit,
}

impl Parts {
    fn take(&mut self, (number, value): (u32, Value<'_>)) -> Result<(), WireError> {
        let (limit, it) = (&mut self.limit, &mut self.histogram);
        match number {
            1 => self.count = Count::Integer(value.int64()?.cast_unsigned()),
            2 => self.count = Count::Float(value.double()?),
            3 => it.sum = value.double()?,
            4 => it.schema = value.sint32()?,
            5 => it.zero_threshold = value.double()?,
            6 => self.zero_count = Count::Integer(value.int64()?.cast_unsigned()),
            7 => self.zero_count = Count::Float(value.double()?),
            8 => limit.push(&mut it.negative.spans, span(value.bytes()?)?),
            9 => limit.deltas(&mut self.negative_deltas, value)?,
            10 => limit.doubles(&mut it.negative.counts, value)?,
            11 => limit.push(&mut it.positive.spans, span(value.bytes()?)?),
            12 => limit.deltas(&mut self.positive_deltas, value)?,
            13 => limit.doubles(&mut it.positive.counts, value)?,
            14 => {
                // Of a counter Prometheus's storage finds out for itself whether it began anew.
                it.reset_hint = match value.int64()? {
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                }
            }
            15 => self.timestamp_ms = value.int64()?,
            16 => limit.doubles(&mut it.custom_values, value)?,
            // Its time of start.
            _ => {}
        }
        Ok(())
    }

    /// The histogram with the counts of the kind of its total.
    fn validated(self) -> Result<NativeHistogram, InvalidHistogram> {
        let of = self.histogram;
        let side = |BucketCounts { spans, .. }, deltas| DeltaBuckets { spans, deltas };
        match self.count {
            Count::Float(count) => {
                NativeHistogram { count, zero_count: self.zero_count.float(), ..of }.validated()
            }
            Count::Integer(count) => IntegerHistogram {
                schema: of.schema,
                zero_threshold: of.zero_threshold,
                zero_count: self.zero_count.integer(),
                count,
                sum: of.sum,
                positive: side(of.positive, self.positive_deltas),
                negative: side(of.negative, self.negative_deltas),
                custom_values: of.custom_values,
                reset_hint: of.reset_hint,
            }
            .validated(),
        }
    }
}

/// How many numbers of each field are kept, and whether one has more.
#[derive(Debug, Default)]
struct FieldLimit {
    most: usize,
    is_exceeded: bool,
}

impl FieldLimit {
    fn push<T>(&mut self, all: &mut Vec<T>, one: T) {
        if all.len() < self.most { all.push(one) } else { self.is_exceeded = true }
    }

    fn deltas(&mut self, all: &mut Vec<i64>, value: Value<'_>) -> Result<(), WireError> {
        value.each_varint(|it| self.push(all, zigzag(it)))
    }

    fn doubles(&mut self, all: &mut Vec<f64>, value: Value<'_>) -> Result<(), WireError> {
        value.each_double(|it| self.push(all, it))
    }
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
mod tests;
