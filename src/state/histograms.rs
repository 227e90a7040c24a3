//! A state file's messages of native histograms.
//!
//! Invariant: what is turned back is valid; bits are kept.

use super::unfit::Unfit;
use crate::histogram::{BucketCounts, BucketSpan, CounterResetHint, NativeHistogram};
use crate::proto::state as proto;
use crate::sample::HistogramSample;

/// The message of a histogram.
pub(super) fn histogram(of: &HistogramSample) -> proto::Histogram {
    let it = &*of.histogram;
    proto::Histogram {
        time_ms: of.timestamp_ms,
        schema: it.schema,
        zero_threshold: it.zero_threshold.to_bits(),
        zero_count: it.zero_count.to_bits(),
        count: it.count.to_bits(),
        sum: it.sum.to_bits(),
        positive: buckets(&it.positive),
        negative: buckets(&it.negative),
        custom_values: it.custom_values.iter().map(|it| it.to_bits()).collect(),
        reset_hint: match it.reset_hint {
            CounterResetHint::Unknown => 0,
            CounterResetHint::Yes => 1,
            CounterResetHint::No => 2,
            CounterResetHint::Gauge => 3,
        },
    }
}

fn buckets(of: &BucketCounts) -> Option<proto::Buckets> {
    let is_empty = of.spans.is_empty() && of.counts.is_empty();
    (!is_empty).then(|| proto::Buckets {
        offsets: of.spans.iter().map(|it| it.offset).collect(),
        lengths: of.spans.iter().map(|it| it.length).collect(),
        counts: of.counts.iter().map(|it| it.to_bits()).collect(),
    })
}

/// The histogram of a message.
pub(super) fn histogram_sample(of: proto::Histogram) -> Result<HistogramSample, Unfit> {
    let histogram = NativeHistogram {
        schema: of.schema,
        zero_threshold: f64::from_bits(of.zero_threshold),
        zero_count: f64::from_bits(of.zero_count),
        count: f64::from_bits(of.count),
        sum: f64::from_bits(of.sum),
        positive: bucket_counts(of.positive.unwrap_or_default())?,
        negative: bucket_counts(of.negative.unwrap_or_default())?,
        custom_values: of.custom_values.into_iter().map(f64::from_bits).collect(),
        reset_hint: match of.reset_hint {
            1 => CounterResetHint::Yes,
            2 => CounterResetHint::No,
            3 => CounterResetHint::Gauge,
            _ => CounterResetHint::Unknown,
        },
    };
    histogram.validate().map_err(|error| Unfit::Histogram(error.to_string()))?;
    Ok(HistogramSample::new(of.time_ms, histogram))
}

fn bucket_counts(of: proto::Buckets) -> Result<BucketCounts, Unfit> {
    if of.offsets.len() != of.lengths.len() {
        return Err(Unfit::Histogram("a span has no length".to_owned()));
    }
    let spans = of.offsets.iter().zip(of.lengths);
    Ok(BucketCounts {
        spans: spans.map(|(&offset, length)| BucketSpan { offset, length }).collect(),
        counts: of.counts.into_iter().map(f64::from_bits).collect(),
    })
}
