//! A native histogram: how many observations fell into each bucket of a whole family, as one sample.
//!
//! In: what a sender wrote, with counts ([`NativeHistogram`]) or with deltas of counts
//! ([`IntegerHistogram`]), checked by `validate`. Out: sums and differences of histograms, whether a
//! counter was reset, quantiles, fractions and the spread of what was observed.
//!
//! There is one form for all that is computed: counts are f64. A histogram of integers is checked as
//! integers and then converted, which is exact up to 2^53 observations.
//!
//! Bounds of exponential buckets are powers of two in steps of 2^(2^-schema); bucket `i` of the positive
//! side holds `(bound(i-1), bound(i)]`, the negative side is its mirror image, and the zero bucket what is
//! within the zero threshold. With custom buckets (schema -53) bucket `i` ends at `custom_values[i]`, and
//! there are neither zero nor negative buckets. A span says how many buckets without a count lie before it
//! (the first: at which index it begins) and how many it has.
//!
//! # Invariants
//! The arithmetic is for histograms that `validate` accepts, and its results may be put into it again. It
//! does not panic and ends for any other, too, but says nothing sensible of it. No allocation is sized by
//! what a span claims.
//!
//! # NaN
//! The sum is NaN once a NaN was observed (or infinities of both signs); such an observation is in `count`
//! but in no bucket. One particular NaN as sum is the stale marker.
//!
//! Knows no time, no labels and no series. Source: Prometheus 3.5 `model/histogram` (`float_histogram.go`,
//! `generic.go`), `promql/quantile.go` and `promql/functions.go`, whose results these are; "Native
//! Histograms" of its specifications. Written here; bounds are the same to the bit.

mod arithmetic;
mod bounds;
mod buckets;
mod estimate;
mod integer;
#[cfg(test)]
pub(crate) mod notation;
#[cfg(test)]
mod reference_tests;
mod reset;
mod spans;
#[cfg(test)]
mod tests;
mod validate;
mod zero;

use crate::capacity;

pub use arithmetic::IncompatibleHistograms;
pub use buckets::HistogramBucket;
pub use estimate::{Estimate, NanEffect};
pub use integer::{DeltaBuckets, IntegerHistogram};
pub use spans::{BucketCounts, BucketSpan};
pub use validate::{HistogramSide, InvalidHistogram};

/// The coarsest schema: each bound is 2^16 times the one before it.
pub const SCHEMA_MIN: i32 = -4;

/// The finest schema that is kept: 256 buckets to each doubling.
pub const SCHEMA_MAX: i32 = 8;

/// The finest schema that may be sent. What is above [`SCHEMA_MAX`] is reserved: it is valid and is brought
/// down to [`SCHEMA_MAX`].
///
/// # Source
/// Prometheus `model/histogram/generic.go`, `ExponentialSchemaMaxReserved`.
pub const SCHEMA_MAX_RESERVED: i32 = 52;

/// The schema whose bounds are [`NativeHistogram::custom_values`].
pub const SCHEMA_CUSTOM: i32 = -53;

/// What the sender says about a counter's start between the previous histogram and this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Nothing; [`NativeHistogram::detect_reset`] looks for itself.
    #[default]
    Unknown,
    /// It began anew.
    Yes,
    /// It did not.
    No,
    /// It is not a counter.
    Gauge,
}

/// One value of a series of native histograms.
///
/// # NaN
/// Any f64 may be any NaN and keeps its bits.
#[derive(Debug, Clone, Default)]
pub struct NativeHistogram {
    /// The resolution, -4 to 8, or -53 for custom buckets.
    pub schema: i32,
    /// Observations within `[-zero_threshold, zero_threshold]` are in the zero bucket; 0 with custom buckets.
    pub zero_threshold: f64,
    /// Observations in the zero bucket; 0 with custom buckets.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of all observations, or the stale marker.
    pub sum: f64,
    /// Buckets of observations above zero; with custom buckets all of them.
    pub positive: BucketCounts,
    /// Buckets of observations below zero, from zero down.
    pub negative: BucketCounts,
    /// The upper bounds of custom buckets, ascending, without the infinite last one; otherwise empty.
    pub custom_values: Vec<f64>,
    /// What the sender says about a reset.
    pub reset_hint: CounterResetHint,
}

impl NativeHistogram {
    /// Whether bounds are [`custom_values`](Self::custom_values).
    #[must_use]
    pub const fn has_custom_buckets(&self) -> bool {
        self.schema == SCHEMA_CUSTOM
    }

    /// Heap bytes, as the allocator rounds them.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let custom = capacity::allocated(self.custom_values.capacity() * size_of::<f64>());
        self.positive.heap_bytes() + self.negative.heap_bytes() + custom
    }

    /// Whether both say the same of the same buckets: what `==` means in PromQL, and whether one that was
    /// sent twice is the same. How buckets are cut into spans does not matter, nor does the reset hint;
    /// buckets of zero observations do. Counts and the sum are equal when their bits are; the zero
    /// threshold, when the numbers are.
    ///
    /// # Source
    /// Prometheus `FloatHistogram.Equals`; there spans that touch differ from one span, which they do not
    /// after its `Compact`.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && same_bits(&self.figures(), &other.figures())
            && self.positive.has_same_buckets(&other.positive)
            && self.negative.has_same_buckets(&other.negative)
            && (!self.has_custom_buckets() || same_bits(&self.custom_values, &other.custom_values))
    }

    const fn figures(&self) -> [f64; 3] {
        [self.count, self.sum, self.zero_count]
    }
}

impl PartialEq for NativeHistogram {
    /// Equal in every field, with equal bits, so that a stale marker equals itself.
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.reset_hint == other.reset_hint
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && same_bits(&self.figures(), &other.figures())
            && same_bits(&self.custom_values, &other.custom_values)
            && self.positive == other.positive
            && self.negative == other.negative
    }
}

/// Whether two rows of values have the same bits.
fn same_bits(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
}
