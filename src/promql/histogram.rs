//! A classic histogram: series that differ in `le` alone, each counting what is at most that.
//!
//! Source: Prometheus `promql/quantile.go`, `BucketQuantile`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::layout::{Layout, without_metadata};

/// The label with a bucket's upper bound.
pub(super) const BOUND: &str = "le";

/// Counts that differ by less than this share are equal but for rounding.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// What is asked of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum HistogramFunction {
    /// `histogram_quantile`
    Quantile,
    /// `histogram_fraction`: the share between two values.
    Fraction,
}

/// The node of a function of histograms.
#[derive(Debug)]
pub(super) struct Histogram {
    function: HistogramFunction,
    parameters: Vec<NodeId>,
    vector: NodeId,
    made_from: u64,
    /// Of each histogram: bounds, ascending, and the element with the count.
    histograms: Vec<Vec<(f64, u32)>>,
    buckets: Vec<Bucket>,
    /// The histograms whose counts fell at the latest instant.
    forced: Vec<u32>,
}

impl Histogram {
    pub(super) fn new(
        function: HistogramFunction,
        parameters: Vec<NodeId>,
        vector: NodeId,
    ) -> Self {
        let (histograms, buckets, forced) = (Vec::new(), Vec::new(), Vec::new());
        Self { function, parameters, vector, made_from: 0, histograms, buckets, forced }
    }

    pub(super) fn vector(&self) -> NodeId {
        self.vector
    }

    /// The first parameter of a function, if it is this one.
    pub(super) fn parameter_of(&self, function: HistogramFunction) -> Option<NodeId> {
        self.parameters.first().copied().filter(|_| self.function == function)
    }

    /// An element of each histogram whose counts were made to rise at the latest instant.
    pub(super) fn forced(&self) -> impl Iterator<Item = usize> {
        let element = |i: &u32| self.histograms[*i as usize].first();
        self.forced.iter().filter_map(element).map(|(_, element)| *element as usize)
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        let mut parameters = [0.0; 2];
        for (parameter, id) in parameters.iter_mut().zip(&self.parameters) {
            *parameter = inputs.scalar(*id)?;
        }
        if self.made_from != input.layout.version {
            self.made_from = input.layout.version;
            let labels = self.collect(&input.layout);
            out.follow(&Arc::new(Layout::new(cx.versions.next(), labels)));
        }
        self.forced.clear();
        for (i, bounds) in self.histograms.iter().enumerate() {
            self.buckets.clear();
            self.buckets.extend(
                bounds.iter().filter(|(_, element)| input.present[*element as usize]).map(
                    |(upper, element)| Bucket {
                        upper: *upper,
                        count: input.values[*element as usize],
                    },
                ),
            );
            let present = !self.buckets.is_empty();
            let (buckets, forced) = (&mut self.buckets, &mut self.forced);
            out.put(
                i,
                present.then(|| match self.function {
                    HistogramFunction::Quantile => {
                        let (value, is_forced) = quantile(parameters[0], buckets);
                        forced.extend(is_forced.then_some(i as u32));
                        value
                    }
                    HistogramFunction::Fraction => fraction(parameters[0], parameters[1], buckets),
                }),
            );
        }
        out.check_labels(cx)
    }

    /// Puts the elements together; returns the labels of the histograms.
    fn collect(&mut self, layout: &Layout) -> Vec<Labels> {
        let mut numbers: HashMap<Labels, usize> = HashMap::new();
        let mut labels = Vec::new();
        self.histograms.clear();
        for (i, element) in layout.labels.iter().enumerate() {
            let Some(upper) = bound(element) else {
                continue;
            };
            let histogram = element.filtered(|name| name != BOUND);
            let number = *numbers.entry(histogram).or_insert_with_key(|histogram| {
                labels.push(without_metadata(histogram));
                self.histograms.push(Vec::new());
                labels.len() - 1
            });
            self.histograms[number].push((upper, i as u32));
        }
        for histogram in &mut self.histograms {
            histogram.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        labels
    }
}

/// The bound of a bucket, if its label is one.
pub(super) fn bound(labels: &Labels) -> Option<f64> {
    labels.get(BOUND).parse().ok()
}

/// The quantile, and whether counts fell that should have risen; changes the buckets.
///
/// # NaN
/// NaN without observations, without a bucket up to +Inf, or with that bucket alone.
fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
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
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
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

    #[track_caller]
    fn check(q: f64, buckets: &[(f64, f64)], expected: f64) {
        let mut buckets: Vec<Bucket> =
            buckets.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect();
        let got = quantile(q, &mut buckets).0;
        assert!(got == expected || got.is_nan() && expected.is_nan(), "{got} and not {expected}");
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
        let mut buckets: Vec<Bucket> =
            buckets.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect();
        let got = fraction(lower, upper, &mut buckets);
        assert!(got == expected || got.is_nan() && expected.is_nan(), "{got} and not {expected}");
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
