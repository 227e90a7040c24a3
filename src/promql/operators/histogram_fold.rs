//! A figure of one native histogram, and several as one: their sum, their mean.
//!
//! Source: Prometheus 3.5 `promql/engine.go`, `aggregation`, and `promql/functions.go`. Neither is compensated for
//! rounding there, as sums of floats are.

use crate::histogram::{IncompatibleHistograms, NativeHistogram};
use crate::promql::syntax::function::HistogramFigure;

impl HistogramFigure {
    /// The figure of a histogram.
    pub(crate) fn of(self, histogram: &NativeHistogram) -> f64 {
        match self {
            Self::Count => histogram.count,
            Self::Sum => histogram.sum,
            Self::Avg => histogram.avg(),
            Self::Stddev => histogram.stddev(),
            Self::Stdvar => histogram.stdvar(),
        }
    }
}

/// The sum, without empty buckets.
///
/// # Errors
/// They are not compatible.
pub(crate) fn sum<'a>(
    first: &NativeHistogram,
    others: impl IntoIterator<Item = &'a NativeHistogram>,
) -> Result<NativeHistogram, IncompatibleHistograms> {
    let mut sum = uncompacted_sum(first, others)?;
    sum.compact();
    Ok(sum)
}

/// The sum with the buckets that come of adding, empty ones too.
///
/// # Errors
/// They are not compatible.
pub(super) fn uncompacted_sum<'a>(
    first: &NativeHistogram,
    others: impl IntoIterator<Item = &'a NativeHistogram>,
) -> Result<NativeHistogram, IncompatibleHistograms> {
    let mut sum = first.clone();
    for histogram in others {
        sum.add(histogram)?;
    }
    Ok(sum)
}

/// The mean, without empty buckets.
///
/// # Errors
/// They are not compatible.
pub(crate) fn mean<'a>(
    first: &NativeHistogram,
    others: impl IntoIterator<Item = &'a NativeHistogram>,
) -> Result<NativeHistogram, IncompatibleHistograms> {
    let mut mean = uncompacted_mean(first, others)?;
    mean.compact();
    Ok(mean)
}

/// The mean, made one after the other, with the buckets that come of it, empty ones too.
///
/// # Errors
/// They are not compatible.
pub(super) fn uncompacted_mean<'a>(
    first: &NativeHistogram,
    others: impl IntoIterator<Item = &'a NativeHistogram>,
) -> Result<NativeHistogram, IncompatibleHistograms> {
    let (mut mean, mut count) = (first.clone(), 1.0);
    for histogram in others {
        count += 1.0;
        let mut more = histogram.clone();
        more.divide(count);
        let mut part = mean.clone();
        part.divide(count);
        more.sub(&part)?;
        mean.add(&more)?;
    }
    Ok(mean)
}
