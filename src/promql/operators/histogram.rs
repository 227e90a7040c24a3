//! A classic histogram as buckets: counts of what is at most a bound.
//!
//! Source: Prometheus `promql/quantile.go`, `BucketQuantile`.

use crate::labels::Labels;

/// The label with a bucket's upper bound.
pub(crate) const BOUND: &str = "le";

/// Counts that differ by less than this share are equal but for rounding.
const SMALL_DELTA: f64 = 1e-12;

/// A bound and how many observations are at most that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// The bound of a bucket, if its label is one.
pub(crate) fn bound(labels: &Labels) -> Option<f64> {
    labels.get(BOUND).parse().ok()
}

/// The quantile, and whether counts fell that should have risen; changes the buckets.
///
/// # NaN
/// NaN without observations, without a bucket up to +Inf, or with that bucket alone.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (f64::NAN, false);
    }
    coalesce(buckets);
    let is_forced = make_monotonic(buckets);
    (interpolated(q, buckets), is_forced)
}

/// Linear interpolation inside the bucket where the quantile falls.
fn interpolated(q: f64, buckets: &[Bucket]) -> f64 {
    let [.., below_last, last] = buckets else {
        return f64::NAN;
    };
    let observations = last.count;
    if observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let finite = &buckets[..buckets.len() - 1];
    // A NaN count reaches no rank.
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    let b = finite.partition_point(|bucket| !(bucket.count >= rank));
    if b == finite.len() {
        return below_last.upper;
    }
    if b == 0 && buckets[0].upper <= 0.0 {
        return buckets[0].upper;
    }
    let (end, mut count) = (buckets[b].upper, buckets[b].count);
    let mut start = 0.0;
    if b > 0 {
        start = buckets[b - 1].upper;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    start + (end - start) * (rank / count)
}

/// The share of observations between two values, by linear interpolation inside of buckets.
///
/// # NaN
/// As the quantile, and for a NaN on either side.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value| match rank(value, buckets) {
        Some(rank) if rank <= count || rank.is_nan() => rank,
        _ => count,
    };
    (rank(upper) - rank(lower)) / count
}

/// How many observations are below a value; `None` when that is above all bounds.
fn rank(value: f64, buckets: &[Bucket]) -> Option<f64> {
    let (mut start, mut rank) = (f64::NEG_INFINITY, 0.0);
    for bucket in buckets {
        if start >= value {
            return Some(rank);
        }
        if bucket.upper > value {
            return Some(rank + (bucket.count - rank) * (value - start) / (bucket.upper - start));
        }
        (start, rank) = (bucket.upper, bucket.count);
    }
    None
}

/// Makes one of buckets with the same bound: `1` and `1.0` are.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Counts that fall, by rounding or because buckets were scraped apart, stay level. Says whether some fell
/// by more than rounding.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut is_forced = false;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == previous {
            continue;
        }
        let is_equal = nearly_equal(previous, count);
        if is_equal || count < previous {
            bucket.count = previous;
            is_forced |= !is_equal;
            continue;
        }
        previous = count;
    }
    is_forced
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::operators::any_sample::is_same_value;

    /// Buckets of upper bounds and counts.
    fn of(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[track_caller]
    fn check(q: f64, buckets: &[(f64, f64)], expected: f64) {
        let got = quantile(q, &mut of(buckets)).0;
        assert!(is_same_value(got, expected), "{got} and not {expected}");
    }

    #[test]
    fn interpolates_inside_a_bucket() {
        let inf = f64::INFINITY;
        let buckets = [(1.0, 10.0), (2.0, 30.0), (inf, 40.0)];
        check(0.5, &buckets, 1.5);
        check(0.125, &buckets, 0.5);
        check(0.9, &buckets, 2.0);
        check(2.0, &buckets, inf);
        check(f64::NAN, &buckets, f64::NAN);
        check(0.1, &[(-1.0, 10.0), (inf, 40.0)], -1.0);
    }

    #[track_caller]
    fn check_fraction(lower: f64, upper: f64, buckets: &[(f64, f64)], expected: f64) {
        let got = fraction(lower, upper, &mut of(buckets));
        assert!(is_same_value(got, expected), "{got} and not {expected}");
    }

    #[test]
    fn fractions_between_values() {
        let inf = f64::INFINITY;
        let buckets = [(0.0, 0.0), (1.0, 10.0), (2.0, 30.0), (inf, 40.0)];
        check_fraction(1.0, 2.0, &buckets, 0.5);
        check_fraction(0.5, 1.5, &buckets, 0.375);
        check_fraction(-inf, inf, &buckets, 1.0);
        check_fraction(2.0, 1.0, &buckets, 0.0);
        check_fraction(f64::NAN, 1.0, &buckets, f64::NAN);
        check_fraction(0.0, 1.0, &buckets[..3], f64::NAN);
    }

    #[test]
    fn odd_histograms() {
        let inf = f64::INFINITY;
        check(0.5, &[(1.0, 10.0)], f64::NAN);
        check(0.5, &[(inf, 10.0)], f64::NAN);
        check(0.5, &[(1.0, 0.0), (inf, 0.0)], f64::NAN);
        // The same bound twice, and a count that falls.
        check(0.5, &[(1.0, 5.0), (1.0, 5.0), (2.0, 8.0), (inf, 20.0)], 1.0);
    }
}
