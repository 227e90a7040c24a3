//! Buckets with their bounds, in order.
//!
//! In: a histogram. Out: each bucket that it has, empty ones too, with bounds and count.
//!
//! Source: Prometheus 3.5 `model/histogram/float_histogram.go` (`AllBucketIterator`,
//! `AllReverseBucketIterator`), `generic.go` (`baseBucketIterator.at`).

use super::NativeHistogram;

/// A bucket: observations between two bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HistogramBucket {
    /// The lower bound; -∞ of the first custom bucket.
    pub lower: f64,
    /// The upper bound; +∞ of the last custom bucket and of the bucket of infinite observations.
    pub upper: f64,
    /// Whether an observation equal to `lower` is in it.
    pub has_lower: bool,
    /// Whether an observation equal to `upper` is in it.
    pub has_upper: bool,
    /// Observations in it.
    pub count: f64,
}

impl HistogramBucket {
    /// Whether zero is in it or at its bound: it is the zero bucket, or a custom one.
    #[must_use]
    pub(super) fn holds_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0
    }
}

impl NativeHistogram {
    /// All buckets, from the lowest to the highest. The zero bucket is among them if it has observations. A
    /// bucket that the zero bucket reaches into begins, or ends, at the zero threshold.
    pub fn ascending(&self) -> impl Iterator<Item = HistogramBucket> + '_ {
        let negative = self.negative.indexed_back().map(|it| self.negative_bucket(it));
        let positive = self.positive.indexed().map(|it| self.positive_bucket(it));
        negative
            .map(|it| self.outside_of_zero(it))
            .chain(self.zero_bucket())
            .chain(positive.map(|it| self.outside_of_zero(it)))
    }

    /// As [`ascending`](Self::ascending), from the highest to the lowest.
    pub fn descending(&self) -> impl Iterator<Item = HistogramBucket> + '_ {
        let positive = self.positive.indexed_back().map(|it| self.positive_bucket(it));
        let negative = self.negative.indexed().map(|it| self.negative_bucket(it));
        positive
            .map(|it| self.outside_of_zero(it))
            .chain(self.zero_bucket())
            .chain(negative.map(|it| self.outside_of_zero(it)))
    }

    /// Buckets of observations above zero, from zero up; with custom buckets all. What the zero bucket
    /// reaches into is not cut.
    pub fn positive_buckets(&self) -> impl Iterator<Item = HistogramBucket> + '_ {
        self.positive.indexed().map(|it| self.positive_bucket(it))
    }

    /// Buckets of observations below zero, from zero down. What the zero bucket reaches into is not cut.
    pub fn negative_buckets(&self) -> impl Iterator<Item = HistogramBucket> + '_ {
        self.negative.indexed().map(|it| self.negative_bucket(it))
    }

    fn positive_bucket(&self, (index, count): (i64, f64)) -> HistogramBucket {
        self.bucket(self.bound(index - 1), self.bound(index), index, count)
    }

    fn negative_bucket(&self, (index, count): (i64, f64)) -> HistogramBucket {
        self.bucket(-self.bound(index), -self.bound(index - 1), index, count)
    }

    fn bucket(&self, lower: f64, upper: f64, index: i64, count: f64) -> HistogramBucket {
        let (has_lower, has_upper) = match self.has_custom_buckets() {
            true => (index == 0, true),
            false => (lower < 0.0, upper > 0.0),
        };
        HistogramBucket { lower, upper, has_lower, has_upper, count }
    }

    fn zero_bucket(&self) -> Option<HistogramBucket> {
        (self.zero_count > 0.0).then_some(HistogramBucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            has_lower: true,
            has_upper: true,
            count: self.zero_count,
        })
    }

    fn outside_of_zero(&self, mut bucket: HistogramBucket) -> HistogramBucket {
        if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
            bucket.upper = -self.zero_threshold;
        } else if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
            bucket.lower = self.zero_threshold;
        }
        bucket
    }
}
