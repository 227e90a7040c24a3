//! A histogram of integers, as instrumented programs send it: each count is the difference to the bucket
//! before it.
//!
//! In: what was sent. Out: a [`NativeHistogram`] with the same observations, or the rule that is broken. The
//! check is exact, with integers; the conversion rounds once, above 2^53 observations in a bucket.
//!
//! Source: Prometheus 3.5 `Histogram.Validate`, `Histogram.ToFloat` (which adds deltas up as f64); the
//! remote-write specification, `Histogram`.

use super::validate::{self, Shape};
use super::{
    BucketCounts, BucketSpan, CounterResetHint, HistogramSide, InvalidHistogram, NativeHistogram,
    SCHEMA_MAX, SCHEMA_MAX_RESERVED,
};

/// Counts of integers, from zero outward.
///
/// # Shapes
/// `deltas` has an entry for each bucket of `spans`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeltaBuckets {
    /// Which buckets they are.
    pub spans: Vec<BucketSpan>,
    /// Each count less the one before it, in whichever span that is; the first less 0.
    pub deltas: Vec<i64>,
}

/// A histogram whose observations are counted with integers. The fields are those of [`NativeHistogram`].
#[derive(Debug, Clone, Default)]
pub struct IntegerHistogram {
    /// The resolution, -4 to 8 (up to 52 is accepted), or -53 for custom buckets.
    pub schema: i32,
    /// The width of the zero bucket to either side.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// The sum of all observations, or the stale marker.
    pub sum: f64,
    /// Observations above zero.
    pub positive: DeltaBuckets,
    /// Observations below zero.
    pub negative: DeltaBuckets,
    /// Upper bounds of custom buckets.
    pub custom_values: Vec<f64>,
    /// What the sender says about a reset.
    pub reset_hint: CounterResetHint,
}

impl IntegerHistogram {
    /// The same with counts as f64, valid; if its schema is one of the reserved ones (9 to 52), in the buckets
    /// of schema 8.
    ///
    /// # NaN
    /// If `sum` is NaN, the stale marker included, `count` may be larger than what is in the buckets; else it
    /// is the same.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validated(self) -> Result<NativeHistogram, InvalidHistogram> {
        validate::schema(self.schema, SCHEMA_MAX_RESERVED)?;
        let (positive, negative) = (&self.positive, &self.negative);
        let shape = Shape {
            schema: self.schema,
            positive: (&positive.spans, positive.deltas.len()),
            negative: (&negative.spans, negative.deltas.len()),
            custom_values: &self.custom_values,
            has_zero_count: self.zero_count != 0,
            zero_threshold: self.zero_threshold,
        };
        shape.check()?;
        let (negative, below) = absolute(HistogramSide::Negative, self.negative)?;
        let (positive, above) = absolute(HistogramSide::Positive, self.positive)?;
        // Each is less than 2^63 times the length of a vector.
        let (buckets, count) = (below + above + u128::from(self.zero_count), self.count);
        if self.sum.is_nan() {
            if buckets > u128::from(count) {
                return Err(InvalidHistogram::CountTooSmall { buckets, count });
            }
        } else if buckets != u128::from(count) {
            return Err(InvalidHistogram::CountMismatch { buckets, count });
        }
        let mut histogram = NativeHistogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: count as f64,
            sum: self.sum,
            positive,
            negative,
            custom_values: self.custom_values,
            reset_hint: self.reset_hint,
        };
        histogram.reduce_resolution(SCHEMA_MAX);
        Ok(histogram)
    }
}

/// Counts of deltas, and their sum.
fn absolute(
    side: HistogramSide,
    buckets: DeltaBuckets,
) -> Result<(BucketCounts, u128), InvalidHistogram> {
    let (mut count, mut total) = (0_i64, 0_u128);
    let mut counts = Vec::with_capacity(buckets.deltas.len());
    for (at, delta) in buckets.deltas.iter().enumerate() {
        let number = at + 1;
        count =
            count.checked_add(*delta).ok_or(InvalidHistogram::CountOverflow { side, number })?;
        let float = count as f64;
        let Ok(positive) = u64::try_from(count) else {
            return Err(InvalidHistogram::NegativeCount { side, number, count: float });
        };
        total += u128::from(positive);
        counts.push(float);
    }
    Ok((BucketCounts { spans: buckets.spans, counts }, total))
}
