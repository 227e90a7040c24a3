//! Estimates from a histogram: quantiles, fractions, the mean, the spread.
//!
//! In: a histogram. Out: a value, and what observations that are NaN did to it. Within a bucket observations
//! are taken to be spread evenly over the logarithm; in the zero bucket and in custom buckets, evenly. A
//! histogram without buckets below zero is taken to have none there in its zero bucket, and the other way
//! round.
//!
//! Source: Prometheus 3.5 `promql/quantile.go` (`HistogramQuantile`, `HistogramFraction`) and
//! `promql/functions.go` (`histogramVariance`), operation for operation.

use super::{HistogramBucket, NativeHistogram};

/// What observations that are NaN, which are in no bucket, did to an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanEffect {
    /// The quantile is above all buckets, among them: it is NaN.
    Decided,
    /// The value is skewed: a quantile to higher values, a fraction to less.
    Skewed,
}

/// An estimate.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    /// What is estimated.
    pub value: f64,
    /// What PromQL's answer says in an info annotation, if anything.
    pub nan: Option<NanEffect>,
}

impl Estimate {
    const fn of(value: f64) -> Self {
        Self { value, nan: None }
    }
}

impl NativeHistogram {
    /// The value that this share of the observations does not exceed.
    ///
    /// # NaN
    /// NaN without observations and for a `share` that is NaN; below 0 it is -∞, above 1 +∞. Observations
    /// that are NaN count as above all buckets; with such, or infinite ones of both signs, the value is
    /// interpolated within the last bucket, whichever it falls into, as in Prometheus 3.5.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Estimate {
        if share < 0.0 {
            return Estimate::of(f64::NEG_INFINITY);
        }
        if share > 1.0 {
            return Estimate::of(f64::INFINITY);
        }
        if self.count == 0.0 || share.is_nan() {
            return Estimate::of(f64::NAN);
        }
        // From the nearer end, so that fewer counts are summed up. What is NaN lies beyond the upper one.
        if self.sum.is_nan() || share < 0.5 {
            self.quantile_along(self.ascending(), share * self.count, true)
        } else {
            self.quantile_along(self.descending(), (1.0 - share) * self.count, false)
        }
    }

    /// The quantile with so many observations before it in the order of the buckets.
    fn quantile_along(
        &self,
        mut buckets: impl Iterator<Item = HistogramBucket>,
        rank: f64,
        is_ascending: bool,
    ) -> Estimate {
        let mut bucket = HistogramBucket::default();
        let mut count = 0.0;
        for next in buckets.by_ref() {
            bucket = next;
            if bucket.count == 0.0 {
                continue;
            }
            count += bucket.count;
            if count >= rank {
                break;
            }
        }
        if self.has_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return Estimate::of(bucket.upper);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return Estimate::of(bucket.lower);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            bucket = self.one_sided(bucket);
        }
        // The sum of the counts may be above their total in its last bits.
        if count > self.count {
            count = self.count;
        }
        if count < rank {
            return match self.sum.is_nan() {
                true => Estimate { value: f64::NAN, nan: Some(NanEffect::Decided) },
                false => Estimate::of(bucket.upper),
            };
        }
        let rank = if is_ascending { rank - (count - bucket.count) } else { count - rank };
        let mut nan = None;
        if self.sum.is_nan() {
            for next in buckets {
                // Prometheus 3.5 goes on with the last bucket, too, and interpolates within that one.
                bucket = next;
                count += bucket.count;
            }
            nan = (count < self.count).then_some(NanEffect::Skewed);
        }
        let fraction = rank / bucket.count;
        let value = match self.has_custom_buckets() || bucket.holds_zero() {
            true => bucket.lower + (bucket.upper - bucket.lower) * fraction,
            false => within_exponential(&bucket, fraction),
        };
        Estimate { value, nan }
    }

    /// The fraction of the observations between two bounds, which may be infinite; 0 if `lower` is not below
    /// `upper`.
    ///
    /// # NaN
    /// NaN without observations and if a bound is NaN. Observations that are NaN are in no fraction, so that
    /// one of all numbers may be below 1.
    #[must_use]
    pub fn fraction(&self, lower: f64, upper: f64) -> Estimate {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return Estimate::of(f64::NAN);
        }
        if lower >= upper {
            return Estimate::of(0.0);
        }
        let (mut lower_rank, mut upper_rank) = (None, None);
        let (mut rank, mut count) = (0.0, 0.0);
        let mut buckets = self.ascending();
        for mut bucket in buckets.by_ref() {
            count += bucket.count;
            let is_linear = self.has_custom_buckets() || bucket.holds_zero();
            if bucket.holds_zero() {
                bucket = self.one_sided(bucket);
            }
            // Observations below a bound, if it is not beyond this bucket.
            let below = |bound: f64| {
                if bucket.lower >= bound {
                    return Some(rank);
                }
                let is_within = bucket.upper > bound;
                is_within.then(|| rank_within(&bucket, bound, rank, is_linear))
            };
            lower_rank = lower_rank.or_else(|| below(lower));
            upper_rank = upper_rank.or_else(|| below(upper));
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += bucket.count;
        }
        let mut nan = None;
        if self.sum.is_nan() {
            count = buckets.fold(count, |count, bucket| count + bucket.count);
            nan = (count < self.count).then_some(NanEffect::Skewed);
        } else {
            count = self.count;
        }
        let of = |rank: Option<f64>| match rank {
            Some(rank) if rank > count => count,
            None => count,
            Some(rank) => rank,
        };
        Estimate { value: (of(upper_rank) - of(lower_rank)) / self.count, nan }
    }

    /// The mean of the observations.
    ///
    /// # NaN
    /// NaN without observations, and if one of them is.
    #[must_use]
    pub fn avg(&self) -> f64 {
        self.sum / self.count
    }

    /// The variance of the observations, each taken to be in the middle of its bucket: the geometric one, in
    /// the zero bucket zero, in custom buckets the arithmetic one.
    ///
    /// # NaN
    /// NaN without observations and if one of them is; with custom buckets also if there are observations in
    /// the first or the last bucket, which have no middle.
    #[must_use]
    pub fn stdvar(&self) -> f64 {
        let mean = self.avg();
        let (mut sum, mut compensation) = (0.0, 0.0);
        for bucket in self.ascending().filter(|bucket| bucket.count != 0.0) {
            let delta = self.middle(&bucket) - mean;
            let more: f64 = bucket.count * delta * delta;
            // Neumaier's sum.
            let next: f64 = sum + more;
            if next.is_infinite() {
                compensation = 0.0;
            } else if f64::abs(sum) >= more.abs() {
                compensation += (sum - next) + more;
            } else {
                compensation += (more - next) + sum;
            }
            sum = next;
        }
        (sum + compensation) / self.count
    }

    /// The standard deviation of the observations: the root of [`stdvar`](Self::stdvar).
    #[must_use]
    pub fn stddev(&self) -> f64 {
        self.stdvar().sqrt()
    }

    fn middle(&self, bucket: &HistogramBucket) -> f64 {
        match self.has_custom_buckets() {
            // Halves of a sum, as Prometheus has it: it may overflow.
            #[allow(clippy::manual_midpoint)]
            true => (bucket.upper + bucket.lower) / 2.0,
            false if bucket.holds_zero() => 0.0,
            false => {
                let middle = (bucket.upper * bucket.lower).sqrt();
                if bucket.upper < 0.0 { -middle } else { middle }
            }
        }
    }

    /// The bucket around zero, cut at zero if the other side has no buckets, not even empty ones.
    fn one_sided(&self, mut bucket: HistogramBucket) -> HistogramBucket {
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
        bucket
    }
}

/// The value that has this fraction of an exponential bucket's observations below it.
fn within_exponential(bucket: &HistogramBucket, fraction: f64) -> f64 {
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        return (lower + (upper - lower) * fraction).exp2();
    }
    -(upper + (lower - upper) * (1.0 - fraction)).exp2()
}

/// The observations below a value within a bucket, with so many below the bucket.
fn rank_within(bucket: &HistogramBucket, value: f64, rank: f64, is_linear: bool) -> f64 {
    if is_linear {
        return rank + bucket.count * (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    let log = value.abs().log2();
    let fraction = match value > 0.0 {
        true => (log - lower) / (upper - lower),
        false => 1.0 - (log - upper) / (lower - upper),
    };
    rank + bucket.count * fraction
}
