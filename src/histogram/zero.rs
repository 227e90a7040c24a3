//! Zero buckets of different widths, made one.
//!
//! In: two histograms. Out: one threshold that holds both zero buckets and cuts no bucket with observations in
//! two, and what is in a zero bucket of that width.
//!
//! Source: Prometheus 3.5 `float_histogram.go` (`zeroCountForLargerThreshold`, `reconcileZeroBuckets`,
//! `trimBucketsInZeroBucket`).

use super::{BucketCounts, NativeHistogram, bounds};

impl NativeHistogram {
    /// Widens the own zero bucket until it holds that of the other and no bucket with observations of either
    /// is cut in two. Says what the other would have in a zero bucket of this width.
    ///
    /// # NaN
    /// A threshold that is NaN is as it is: nothing is widened. (Prometheus 3.5 does not end.)
    pub(super) fn reconcile_zero_buckets(&mut self, other: &Self) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        // Each step widens one of them to a bound of the other's buckets, of which there are so many.
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (count, threshold) = other.zero_bucket_within(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                let widened = self.zero_bucket_within(threshold);
                (self.zero_count, self.zero_threshold) = widened;
                self.drop_buckets_within_zero();
            } else if threshold != self.zero_threshold {
                break;
            }
        }
        count
    }

    /// The observations in a zero bucket of a larger threshold, and that threshold: larger still if the one
    /// that is given is within a bucket with observations.
    pub(super) fn zero_bucket_within(&self, mut threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        let mut count = self.zero_count;
        // Bounds are the same on both sides: a threshold that one side has moved to the end of a bucket cuts
        // none of the other.
        for side in [&self.positive, &self.negative] {
            for (index, more) in side.indexed() {
                if bounds::exponential(index - 1, self.schema) >= threshold {
                    break;
                }
                count += more;
                let upper = bounds::exponential(index, self.schema);
                if upper > threshold {
                    if more != 0.0 {
                        threshold = upper;
                    }
                    break;
                }
            }
        }
        (count, threshold)
    }

    /// Removes buckets within the zero bucket, which has their observations already, and with them all that
    /// have none.
    fn drop_buckets_within_zero(&mut self) {
        let (schema, threshold) = (self.schema, self.zero_threshold);
        for side in [&mut self.positive, &mut self.negative] {
            let outside = side.indexed().filter(|(index, count)| {
                *count != 0.0 && bounds::exponential(index - 1, schema) >= threshold
            });
            *side = BucketCounts::from_indexed(outside);
        }
    }
}
