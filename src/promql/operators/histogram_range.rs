//! The functions that make one value of a range in which there are native histograms.
//!
//! In: the floats and the histograms of a range, each oldest first and none a stale marker; at least one
//! histogram. Out: a float, a histogram or nothing, and what is to be said about the samples. A range of
//! floats alone is [`super::range`]'s.
//!
//! Source: Prometheus 3.5 `promql/functions.go`.

use std::sync::Arc;

use crate::histogram::{IncompatibleHistograms, NativeHistogram};
use crate::promql::syntax::function::RangeFunction;
use crate::sample::{HistogramSample, Sample};

use super::any_sample::{AnySample, in_order_of_time, is_same_value};
use super::histogram_fold::{uncompacted_mean, uncompacted_sum};
use super::histogram_rate::{self, Per};
use super::range;
use super::range_outcome::{RangeNote, RangeOutcome};
use super::window::Window;

/// The value of a range that has a histogram, and floats or none.
pub(crate) fn apply(
    function: RangeFunction,
    (floats, histograms): (&[Sample], &[HistogramSample]),
    window: &Window,
    parameter: f64,
    scratch: &mut Vec<f64>,
) -> RangeOutcome {
    let extrapolated = |is_counter: bool, per: Per| {
        histogram_rate::extrapolated(floats, histograms, window, is_counter, per)
    };
    match function {
        RangeFunction::Rate => extrapolated(true, Per::Second),
        RangeFunction::Increase => extrapolated(true, Per::Range),
        RangeFunction::Delta => extrapolated(false, Per::Range),
        RangeFunction::Irate => histogram_rate::instant(floats, histograms, true),
        RangeFunction::Idelta => histogram_rate::instant(floats, histograms, false),
        RangeFunction::Changes => RangeOutcome::of(Some(changes(floats, histograms))),
        RangeFunction::Resets => RangeOutcome::of(Some(resets(floats, histograms))),
        RangeFunction::AvgOverTime => of_histograms(floats, histograms, |first, others| {
            uncompacted_mean(first, others.iter().map(|it| &*it.histogram))
        }),
        RangeFunction::SumOverTime => of_histograms(floats, histograms, |first, others| {
            uncompacted_sum(first, others.iter().map(|it| &*it.histogram))
        }),
        RangeFunction::CountOverTime => {
            RangeOutcome::of(Some((floats.len() + histograms.len()) as f64))
        }
        RangeFunction::PresentOverTime => RangeOutcome::of(Some(1.0)),
        RangeFunction::LastOverTime => last(floats, histograms),
        RangeFunction::Deriv
        | RangeFunction::PredictLinear
        | RangeFunction::MinOverTime
        | RangeFunction::MaxOverTime
        | RangeFunction::StddevOverTime
        | RangeFunction::StdvarOverTime
        | RangeFunction::QuantileOverTime => {
            // Of the floats, as if there were no histograms.
            let value = range::apply(function, floats, window, parameter, scratch);
            let has_both = !(floats.is_empty() || histograms.is_empty());
            let notes = if has_both { vec![RangeNote::HistogramsIgnored] } else { Vec::new() };
            RangeOutcome { notes, ..RangeOutcome::of(value) }
        }
    }
}

/// A histogram of histograms alone.
fn of_histograms(
    floats: &[Sample],
    histograms: &[HistogramSample],
    function: impl FnOnce(
        &NativeHistogram,
        &[HistogramSample],
    ) -> Result<NativeHistogram, IncompatibleHistograms>,
) -> RangeOutcome {
    if !floats.is_empty() {
        return RangeOutcome::none(vec![RangeNote::MixedKinds]);
    }
    let Some((first, others)) = histograms.split_first() else {
        return RangeOutcome::none(Vec::new());
    };
    match function(&first.histogram, others) {
        Ok(histogram) => RangeOutcome::histogram(&Arc::new(histogram)),
        Err(error) => RangeOutcome::none(vec![error.into()]),
    }
}

/// The newest of both kinds.
fn last(floats: &[Sample], histograms: &[HistogramSample]) -> RangeOutcome {
    match (floats.last(), histograms.last()) {
        (Some(float), Some(histogram)) if histogram.timestamp_ms < float.timestamp_ms => {
            RangeOutcome::of(Some(float.value))
        }
        (_, Some(histogram)) => RangeOutcome::histogram(&histogram.histogram),
        (float, None) => RangeOutcome::of(float.map(|sample| sample.value)),
    }
}

/// How often a sample differs from the one before; one of the other kind always does.
///
/// # NaN
/// A NaN after a NaN is no change. Histograms differ when their bits do.
fn changes(floats: &[Sample], histograms: &[HistogramSample]) -> f64 {
    pairs(floats, histograms, |before, now| match (before, now) {
        (AnySample::Float(a), AnySample::Float(b)) => !is_same_value(a.value, b.value),
        (AnySample::Histogram(a), AnySample::Histogram(b)) => !b.histogram.equals(&a.histogram),
        _ => true,
    })
}

/// How often a counter began anew; with a sample of the other kind it always does.
fn resets(floats: &[Sample], histograms: &[HistogramSample]) -> f64 {
    pairs(floats, histograms, |before, now| match (before, now) {
        (AnySample::Float(a), AnySample::Float(b)) => b.value < a.value,
        (AnySample::Histogram(a), AnySample::Histogram(b)) => {
            b.histogram.detect_reset(&a.histogram)
        }
        _ => true,
    })
}

/// How many samples are such, after the one before them.
fn pairs(
    floats: &[Sample],
    histograms: &[HistogramSample],
    is_such: impl Fn(AnySample<'_>, AnySample<'_>) -> bool,
) -> f64 {
    let mut count = 0.0;
    let mut before = None;
    for now in in_order_of_time(floats, histograms) {
        if before.is_some_and(|before| is_such(before, now)) {
            count += 1.0;
        }
        before = Some(now);
    }
    count
}
