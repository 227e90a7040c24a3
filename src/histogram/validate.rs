//! Validation: whether what a sender wrote is a histogram.
//!
//! In: a histogram with counts. Out: nothing, or the first rule that it breaks. Takes time by the number of
//! spans, counts and bounds that there are, never by a number that is claimed, and allocates nothing.
//!
//! Source: Prometheus 3.5 `FloatHistogram.Validate`; that a custom bound is a number, its later versions.

use super::{
    BucketSpan, NativeHistogram, SCHEMA_CUSTOM, SCHEMA_MAX, SCHEMA_MAX_RESERVED, SCHEMA_MIN,
};

/// A side of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistogramSide {
    /// Observations above zero, and custom buckets.
    Positive,
    /// Observations below zero.
    Negative,
}

impl std::fmt::Display for HistogramSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
        })
    }
}

/// Why something is not a histogram. Spans, buckets and bounds are numbered from 1.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidHistogram {
    /// A schema that does not exist.
    #[error("histogram schema {0} is neither exponential (-4 to 52) nor custom buckets (-53)")]
    Schema(i32),
    /// A span that begins before the end of the one before it; with custom buckets, before the first bucket.
    #[error("{side} span {number} of a histogram has the negative offset {offset}")]
    SpanOffset {
        /// Whose span.
        side: HistogramSide,
        /// Which one.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// Spans of more or fewer buckets than were sent.
    #[error("{side} spans of a histogram are of {claimed} buckets, and {present} were sent")]
    SpanLength {
        /// Whose spans.
        side: HistogramSide,
        /// The sum of their lengths.
        claimed: u64,
        /// The counts that there are.
        present: usize,
    },
    /// Fewer than no observations in a bucket.
    #[error("{side} bucket {number} of a histogram has {count} observations")]
    NegativeCount {
        /// Whose bucket.
        side: HistogramSide,
        /// Which one.
        number: usize,
        /// Its count.
        count: f64,
    },
    /// A sum of deltas that no integer of 64 bits holds.
    #[error("{side} bucket {number} of a histogram has a count beyond 64 bits")]
    CountOverflow {
        /// Whose bucket.
        side: HistogramSide,
        /// Which one.
        number: usize,
    },
    /// Integers: other observations in the buckets than in total, though none is NaN.
    #[error("{buckets} observations are in a histogram's buckets, and its count is {count}")]
    CountMismatch {
        /// In all buckets, the zero bucket included.
        buckets: u128,
        /// In total, as sent.
        count: u64,
    },
    /// Integers, some observations are NaN: more in the buckets than in total.
    #[error("{buckets} observations are in a histogram's buckets, more than its count of {count}")]
    CountTooSmall {
        /// In all buckets, the zero bucket included.
        buckets: u128,
        /// In total, as sent.
        count: u64,
    },
    /// A custom bound that is not above the one before it, or is -∞ or NaN.
    #[error("custom bound {number} of a histogram is {bound}, after {previous}")]
    CustomBoundOrder {
        /// Which bound.
        number: usize,
        /// The one before it; -∞ before the first.
        previous: f64,
        /// What it is.
        bound: f64,
    },
    /// The last bucket ends at +∞ without being told.
    #[error("the last custom bound of a histogram is +Inf, which must not be sent")]
    CustomBoundInfinite,
    /// Spans that reach beyond the last custom bucket.
    #[error("{bounds} custom bounds of a histogram do not reach as far as its spans, {reach}")]
    CustomBoundsTooFew {
        /// The bounds that there are; buckets are one more.
        bounds: usize,
        /// Buckets up to the end of the last span.
        reach: u64,
    },
    /// Custom buckets with observations in a zero bucket.
    #[error("a histogram with custom buckets has a zero count")]
    CustomZeroCount,
    /// Custom buckets with the width of a zero bucket.
    #[error("a histogram with custom buckets has a zero threshold")]
    CustomZeroThreshold,
    /// Custom buckets with a negative side.
    #[error("a histogram with custom buckets has negative spans or buckets")]
    CustomNegative,
    /// Exponential buckets with custom bounds.
    #[error("a histogram with exponential buckets has custom bounds")]
    UnexpectedCustomBounds,
}

impl NativeHistogram {
    /// Whether this is a histogram as it may be kept: its schema is -4 to 8 or -53, and all rules hold.
    ///
    /// That `count` equals what is in the buckets is not asked, as sums of f64 differ in their last bits, nor
    /// is anything of the zero threshold.
    ///
    /// # NaN
    /// A count that is NaN is accepted; a custom bound is not.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        schema(self.schema, SCHEMA_MAX)?;
        self.check()
    }

    /// The histogram that was sent, as it may be kept: valid, and if its schema is one of the reserved ones
    /// (9 to 52), in the buckets of schema 8.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validated(mut self) -> Result<Self, InvalidHistogram> {
        schema(self.schema, SCHEMA_MAX_RESERVED)?;
        self.check()?;
        self.reduce_resolution(SCHEMA_MAX);
        Ok(self)
    }

    fn check(&self) -> Result<(), InvalidHistogram> {
        let (positive, negative) = (&self.positive, &self.negative);
        let shape = Shape {
            schema: self.schema,
            positive: (&positive.spans, positive.counts.len()),
            negative: (&negative.spans, negative.counts.len()),
            custom_values: &self.custom_values,
            has_zero_count: self.zero_count != 0.0,
            zero_threshold: self.zero_threshold,
        };
        shape.check()?;
        counts(HistogramSide::Negative, &negative.counts)?;
        counts(HistogramSide::Positive, &positive.counts)
    }
}

/// Whether a schema exists, up to a finest one.
pub(super) fn schema(schema: i32, finest: i32) -> Result<(), InvalidHistogram> {
    let exists = schema == SCHEMA_CUSTOM || (SCHEMA_MIN..=finest).contains(&schema);
    exists.then_some(()).ok_or(InvalidHistogram::Schema(schema))
}

fn counts(side: HistogramSide, counts: &[f64]) -> Result<(), InvalidHistogram> {
    match counts.iter().enumerate().find(|(_, count)| **count < 0.0) {
        None => Ok(()),
        Some((at, &count)) => Err(InvalidHistogram::NegativeCount { side, number: at + 1, count }),
    }
}

/// What histograms of integers and of floats have in common: all but the counts.
pub(super) struct Shape<'a> {
    pub(super) schema: i32,
    /// Spans, and how many counts there are.
    pub(super) positive: (&'a [BucketSpan], usize),
    pub(super) negative: (&'a [BucketSpan], usize),
    pub(super) custom_values: &'a [f64],
    pub(super) has_zero_count: bool,
    pub(super) zero_threshold: f64,
}

impl Shape<'_> {
    pub(super) fn check(&self) -> Result<(), InvalidHistogram> {
        let is_custom = self.schema == SCHEMA_CUSTOM;
        let broken = match is_custom {
            true if self.has_zero_count => Some(InvalidHistogram::CustomZeroCount),
            true if self.zero_threshold != 0.0 => Some(InvalidHistogram::CustomZeroThreshold),
            true if !self.negative.0.is_empty() || self.negative.1 > 0 => {
                Some(InvalidHistogram::CustomNegative)
            }
            false if !self.custom_values.is_empty() => {
                Some(InvalidHistogram::UnexpectedCustomBounds)
            }
            _ => None,
        };
        if let Some(broken) = broken {
            return Err(broken);
        }
        spans(HistogramSide::Positive, self.positive, !is_custom)?;
        spans(HistogramSide::Negative, self.negative, !is_custom)?;
        if is_custom { self.custom() } else { Ok(()) }
    }

    fn custom(&self) -> Result<(), InvalidHistogram> {
        let mut previous = f64::NEG_INFINITY;
        for (at, &bound) in self.custom_values.iter().enumerate() {
            // Also when one of them is NaN.
            if bound.partial_cmp(&previous) != Some(std::cmp::Ordering::Greater) {
                let number = at + 1;
                return Err(InvalidHistogram::CustomBoundOrder { number, previous, bound });
            }
            previous = bound;
        }
        if previous == f64::INFINITY {
            return Err(InvalidHistogram::CustomBoundInfinite);
        }
        // No offset is negative here.
        let width =
            |span: &BucketSpan| u64::from(span.offset.unsigned_abs()) + u64::from(span.length);
        let reach: u64 = self.positive.0.iter().map(width).sum();
        let bounds = self.custom_values.len();
        if reach > bounds as u64 + 1 {
            return Err(InvalidHistogram::CustomBoundsTooFew { bounds, reach });
        }
        Ok(())
    }
}

/// Spans that ascend, and of as many buckets as there are counts.
fn spans(
    side: HistogramSide,
    (spans, present): (&[BucketSpan], usize),
    may_begin_below_zero: bool,
) -> Result<(), InvalidHistogram> {
    let mut claimed = 0_u64;
    for (at, span) in spans.iter().enumerate() {
        let may_be_negative = at == 0 && may_begin_below_zero;
        if span.offset < 0 && !may_be_negative {
            let (number, offset) = (at + 1, span.offset);
            return Err(InvalidHistogram::SpanOffset { side, number, offset });
        }
        claimed += u64::from(span.length);
    }
    if claimed != present as u64 {
        return Err(InvalidHistogram::SpanLength { side, claimed, present });
    }
    Ok(())
}
