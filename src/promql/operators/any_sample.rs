//! A sample of either kind, float or native histogram, where a function looks at both as they came.

use crate::sample::{HistogramSample, Sample};

/// A sample of either kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnySample<'a> {
    Float(&'a Sample),
    Histogram(&'a HistogramSample),
}

impl AnySample<'_> {
    pub(super) const fn timestamp_ms(self) -> i64 {
        match self {
            Self::Float(sample) => sample.timestamp_ms,
            Self::Histogram(sample) => sample.timestamp_ms,
        }
    }
}

/// The samples of both kinds, oldest first; of two at the same time the float.
pub(super) fn in_order_of_time<'a>(
    mut floats: &'a [Sample],
    mut histograms: &'a [HistogramSample],
) -> impl Iterator<Item = AnySample<'a>> {
    std::iter::from_fn(move || {
        let is_float = match (floats.first(), histograms.first()) {
            (Some(float), Some(histogram)) => float.timestamp_ms <= histogram.timestamp_ms,
            (float, _) => float.is_some(),
        };
        if is_float {
            floats.split_off_first().map(AnySample::Float)
        } else {
            histograms.split_off_first().map(AnySample::Histogram)
        }
    })
}

/// Whether two values are equal, or both NaN: then the second is no change.
pub(super) fn is_same_value(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}
