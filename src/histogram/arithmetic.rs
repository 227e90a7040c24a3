//! Arithmetic: sums, differences and multiples of histograms.
//!
//! In: histograms whose zero thresholds and schemas may differ. Out: the histogram with the coarser schema and
//! a zero bucket that holds both. Results may have buckets of zero observations until `compact`; PromQL
//! compacts what it returns.
//!
//! Source: Prometheus 3.5 `model/histogram/float_histogram.go` (`Add`, `Sub`, `Mul`, `Div`, `Compact`,
//! `ReduceResolution`).

use super::{BucketCounts, CounterResetHint, NativeHistogram, SCHEMA_MIN, bounds, same_bits};

/// Why two histograms cannot be computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IncompatibleHistograms {
    /// One has exponential buckets, the other custom ones.
    #[error("one histogram has exponential buckets, the other custom buckets")]
    Schemas,
    /// Both have custom buckets, with other bounds.
    #[error("two histograms have different custom bounds")]
    Bounds,
}

impl NativeHistogram {
    /// Whether buckets of both can be brought to one layout: both have exponential buckets, or both the same
    /// custom bounds, bit for bit.
    ///
    /// # Errors
    /// What they differ in.
    pub fn compatible_with(&self, other: &Self) -> Result<(), IncompatibleHistograms> {
        if self.has_custom_buckets() != other.has_custom_buckets() {
            return Err(IncompatibleHistograms::Schemas);
        }
        if self.has_custom_buckets() && !same_bits(&self.custom_values, &other.custom_values) {
            return Err(IncompatibleHistograms::Bounds);
        }
        Ok(())
    }

    /// Adds the observations of another. A gauge and something else are a gauge; any other two reset hints
    /// that differ are unknown.
    ///
    /// As in Prometheus 3.5, a bucket of the other one is left out when it ends within the zero bucket, in the
    /// schema of the result. Where that schema is coarser and the own zero bucket wider, observations may be
    /// both in the zero bucket and in the bucket around its threshold then; `count` and `sum` are right.
    ///
    /// # NaN
    /// As in any sum of f64: NaN in a count or sum stays.
    ///
    /// # Errors
    /// They are not compatible; nothing has changed then.
    pub fn add(&mut self, other: &Self) -> Result<(), IncompatibleHistograms> {
        self.compatible_with(other)?;
        if self.reset_hint != other.reset_hint {
            let is_gauge = [self.reset_hint, other.reset_hint].contains(&CounterResetHint::Gauge);
            self.reset_hint =
                if is_gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
        }
        self.combine(other, 1.0);
        Ok(())
    }

    /// Takes the observations of another away. Counts may become negative. The reset hint stays.
    ///
    /// # NaN
    /// As [`add`](Self::add).
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn sub(&mut self, other: &Self) -> Result<(), IncompatibleHistograms> {
        self.compatible_with(other)?;
        self.combine(other, -1.0);
        Ok(())
    }

    /// Adds a compatible one times 1 or -1.
    fn combine(&mut self, other: &Self, sign: f64) {
        if !self.has_custom_buckets() {
            let zero_count = self.reconcile_zero_buckets(other);
            self.zero_count += sign * zero_count;
        }
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        self.reduce_resolution(other.schema);
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let is_custom = self.has_custom_buckets();
        let combine = |own: &mut BucketCounts, other: &BucketCounts, other_schema: i32| {
            // Buckets that the zero bucket holds are counted there. They come first, as bounds ascend.
            let is_outside =
                |index: i64| is_custom || bounds::exponential(index, schema) > threshold;
            let same_layout = other_schema == schema && own.spans == other.spans;
            if same_layout && other.indexed().next().is_none_or(|(first, _)| is_outside(first)) {
                for (own, other) in own.counts.iter_mut().zip(&other.counts) {
                    *own += sign * other;
                }
                return;
            }
            let outside =
                other.merged(other_schema, schema).skip_while(|(index, _)| !is_outside(*index));
            own.add(outside.map(|(index, count)| (index, sign * count)));
        };
        combine(&mut self.positive, &other.positive, other.schema);
        combine(&mut self.negative, &other.negative, other.schema);
    }

    /// Multiplies every count and the sum; bounds stay.
    pub fn multiply(&mut self, factor: f64) {
        self.each_figure(|value| value * factor);
    }

    /// Divides every count and the sum; bounds stay. Division by zero leaves no buckets, and a count and a sum
    /// that are infinite or NaN.
    pub fn divide(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive = BucketCounts::default();
            self.negative = BucketCounts::default();
        }
        self.each_figure(|value| value / divisor);
    }

    fn each_figure(&mut self, of: impl Fn(f64) -> f64) {
        if !self.has_custom_buckets() {
            self.zero_count = of(self.zero_count);
        }
        let counts = self.positive.counts.iter_mut().chain(&mut self.negative.counts);
        for figure in [&mut self.count, &mut self.sum].into_iter().chain(counts) {
            *figure = of(*figure);
        }
    }

    /// Removes buckets of zero observations, and joins spans that touch. A count that is NaN stays.
    ///
    /// # Source
    /// Prometheus `Compact(0)`, which is all that PromQL uses.
    pub fn compact(&mut self) {
        self.positive.compact();
        self.negative.compact();
    }

    /// Merges buckets so that they are those of a coarser schema; at least -4 of those that are wished for.
    /// Count, sum and the zero bucket stay. A histogram that is as coarse already, or has custom buckets,
    /// stays as it is.
    pub fn reduce_resolution(&mut self, schema: i32) {
        let schema = schema.max(SCHEMA_MIN);
        if self.has_custom_buckets() || schema >= self.schema {
            return;
        }
        self.positive = self.positive.reduced(self.schema, schema);
        self.negative = self.negative.reduced(self.schema, schema);
        self.schema = schema;
    }
}
