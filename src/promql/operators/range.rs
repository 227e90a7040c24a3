//! The functions that make one value of the samples in a range.
//!
//! Source: Prometheus `promql/functions.go`.

use crate::promql::syntax::function::RangeFunction;
use crate::sample::Sample;

use super::over_time;
use super::rate;
use super::summation::{linear_regression, quantile};
use super::window::Window;

/// The value, if there are samples enough for one. Stale markers are no samples.
pub(crate) fn apply(
    function: RangeFunction,
    samples: &[Sample],
    window: &Window,
    parameter: f64,
    scratch: &mut Vec<f64>,
) -> Option<f64> {
    let last = samples.last()?;
    let two = samples.len() >= 2;
    match function {
        RangeFunction::Rate => rate::extrapolated(samples, window, true)
            .map(|(value, factor)| value * (factor / (window.range_ms as f64 / 1000.0))),
        RangeFunction::Increase => {
            rate::extrapolated(samples, window, true).map(|(value, factor)| value * factor)
        }
        RangeFunction::Delta => {
            rate::extrapolated(samples, window, false).map(|(value, factor)| value * factor)
        }
        RangeFunction::Irate => rate::instant(samples, true),
        RangeFunction::Idelta => rate::instant(samples, false),
        RangeFunction::Deriv => two.then(|| linear_regression(samples, samples[0].timestamp_ms).0),
        RangeFunction::PredictLinear => two.then(|| {
            let (slope, intercept) = linear_regression(samples, window.at_ms);
            slope * parameter + intercept
        }),
        RangeFunction::Changes => Some(rate::changes(samples)),
        RangeFunction::Resets => Some(rate::resets(samples)),
        RangeFunction::AvgOverTime => Some(over_time::avg(samples)),
        RangeFunction::MinOverTime => Some(over_time::min(samples)),
        RangeFunction::MaxOverTime => Some(over_time::max(samples)),
        RangeFunction::SumOverTime => Some(over_time::sum(samples)),
        RangeFunction::CountOverTime => Some(samples.len() as f64),
        RangeFunction::StddevOverTime => Some(over_time::variance(samples).sqrt()),
        RangeFunction::StdvarOverTime => Some(over_time::variance(samples)),
        RangeFunction::LastOverTime => Some(last.value),
        RangeFunction::PresentOverTime => Some(1.0),
        RangeFunction::QuantileOverTime => {
            scratch.clear();
            scratch.extend(samples.iter().map(|sample| sample.value));
            Some(quantile(parameter, scratch))
        }
    }
}
