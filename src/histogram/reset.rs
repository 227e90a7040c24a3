//! Counter resets: whether a counter began anew between two histograms.
//!
//! Source: Prometheus 3.5 `float_histogram.go` (`DetectReset`).

use super::{BucketCounts, CounterResetHint, NativeHistogram, bounds};

impl NativeHistogram {
    /// Whether this one began anew after `previous`: something that was counted is missing. The hint decides
    /// if it says yes or no. Otherwise it is a reset when the count, the zero bucket or any bucket has
    /// decreased; when the buckets became finer, custom bounds differ or the zero bucket became narrower; and
    /// when the zero bucket became wider so that it cuts a bucket that had observations in two.
    ///
    /// A gauge is looked at as if it were a counter, which PromQL does, too, with a warning.
    ///
    /// # NaN
    /// A count that is NaN, in either, is no decrease.
    #[must_use]
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.reset_hint {
            CounterResetHint::Yes => return true,
            CounterResetHint::No => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count
            || self.compatible_with(previous).is_err()
            || self.schema > previous.schema
            || self.zero_threshold < previous.zero_threshold
        {
            return true;
        }
        let (zero_count, threshold) = previous.zero_bucket_within(self.zero_threshold);
        threshold != self.zero_threshold
            || self.zero_count < zero_count
            || self.lacks(previous, |it| &it.positive)
            || self.lacks(previous, |it| &it.negative)
    }

    /// Whether a bucket outside of the zero bucket has fewer observations than it had.
    fn lacks(&self, previous: &Self, side: impl Fn(&Self) -> &BucketCounts) -> bool {
        let is_outside = |index: i64| {
            self.has_custom_buckets()
                || self.zero_threshold == 0.0
                || bounds::exponential(index, self.schema) > self.zero_threshold
        };
        let mut own = side(self).indexed().peekable();
        let mut before = side(previous)
            .merged(previous.schema, self.schema)
            .skip_while(|(index, _)| !is_outside(*index));
        before.any(|(index, count)| {
            while own.next_if(|(own, _)| *own < index).is_some() {}
            match own.peek() {
                Some((own, now)) if *own == index => *now < count,
                // A bucket that is no longer there.
                _ => count != 0.0,
            }
        })
    }
}
