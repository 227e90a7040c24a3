//! An outcome: what a function makes of a range, and what it has to say of the samples besides.
//!
//! The engine says it at the place of the call's first argument, as Prometheus does.
//! Source: Prometheus 3.5 `util/annotations/annotations.go`.

use std::sync::Arc;

use crate::histogram::{IncompatibleHistograms, NativeHistogram};

/// What a function makes of a range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RangeValue {
    /// The element is absent.
    Nothing,
    Float(f64),
    Histogram(Arc<NativeHistogram>),
}

/// A value, and what is to be said besides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RangeOutcome {
    pub(crate) value: RangeValue,
    /// Each at most once.
    pub(crate) notes: Vec<RangeNote>,
}

impl RangeOutcome {
    pub(super) const fn none(notes: Vec<RangeNote>) -> Self {
        Self { value: RangeValue::Nothing, notes }
    }

    /// A float or nothing, of which nothing is to be said.
    pub(super) fn of(value: Option<f64>) -> Self {
        Self { value: value.map_or(RangeValue::Nothing, RangeValue::Float), notes: Vec::new() }
    }

    pub(super) fn histogram(histogram: &Arc<NativeHistogram>) -> Self {
        Self { value: RangeValue::Histogram(Arc::clone(histogram)), notes: Vec::new() }
    }
}

/// What is odd about the samples of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RangeNote {
    /// Floats and histograms, which the function cannot bring together: there is no value.
    MixedKinds,
    /// Histograms with exponential buckets and some with custom ones: there is no value.
    MixedSchemas,
    /// Histograms with different custom bounds: there is no value.
    IncompatibleBounds,
    /// A function of counters, and histograms that are gauges.
    NotCounter,
    /// A function of gauges, and histograms that are counters.
    NotGauge,
    /// A function of floats, which passed over the histograms among them.
    HistogramsIgnored,
}

impl From<IncompatibleHistograms> for RangeNote {
    fn from(error: IncompatibleHistograms) -> Self {
        match error {
            IncompatibleHistograms::Schemas => Self::MixedSchemas,
            IncompatibleHistograms::Bounds => Self::IncompatibleBounds,
        }
    }
}

impl RangeNote {
    /// Whether it is an info, of what may be wrong; the others are warnings.
    pub(crate) const fn is_info(self) -> bool {
        matches!(self, Self::HistogramsIgnored)
    }

    /// Its text, of a series with this metric name (empty if it has none), without the place.
    pub(crate) fn text(self, metric_name: &str) -> String {
        let text = match self {
            Self::MixedKinds => {
                "PromQL warning: encountered a mix of histograms and floats for metric name"
            }
            Self::MixedSchemas => {
                "PromQL warning: vector contains a mix of histograms with exponential and custom \
                 buckets schemas for metric name"
            }
            Self::IncompatibleBounds => {
                "PromQL warning: vector contains histograms with incompatible custom buckets for \
                 metric name"
            }
            Self::NotCounter => "PromQL warning: this native histogram metric is not a counter:",
            Self::NotGauge => "PromQL warning: this native histogram metric is not a gauge:",
            Self::HistogramsIgnored => {
                "PromQL info: ignored histograms in a range containing both floats and histograms \
                 for metric name"
            }
        };
        format!("{text} {metric_name:?}")
    }
}
