//! A range: the samples of each series in `(end - range, end]`, and the functions that make one
//! value of them.
//!
//! Stale markers are no samples here. A series without a sample in the range has no value; some
//! functions want two.

use std::sync::Arc;

use crate::sample::Sample;

use super::context::{Context, Inputs, Membership, NodeId, Output};
use super::error::EvalError;
use super::layout::Layout;
use super::over_time;
use super::rate;
use super::summation::{linear_regression, quantile};
use super::when::When;

/// A function of the samples in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(super) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Changes,
    Resets,
    AvgOverTime,
    MinOverTime,
    MaxOverTime,
    SumOverTime,
    CountOverTime,
    StddevOverTime,
    StdvarOverTime,
    LastOverTime,
    PresentOverTime,
    QuantileOverTime,
}

/// What the functions are called.
const RANGE_FUNCTIONS: [(&str, RangeFunction); 19] = [
    ("rate", RangeFunction::Rate),
    ("increase", RangeFunction::Increase),
    ("delta", RangeFunction::Delta),
    ("irate", RangeFunction::Irate),
    ("idelta", RangeFunction::Idelta),
    ("deriv", RangeFunction::Deriv),
    ("predict_linear", RangeFunction::PredictLinear),
    ("changes", RangeFunction::Changes),
    ("resets", RangeFunction::Resets),
    ("avg_over_time", RangeFunction::AvgOverTime),
    ("min_over_time", RangeFunction::MinOverTime),
    ("max_over_time", RangeFunction::MaxOverTime),
    ("sum_over_time", RangeFunction::SumOverTime),
    ("count_over_time", RangeFunction::CountOverTime),
    ("stddev_over_time", RangeFunction::StddevOverTime),
    ("stdvar_over_time", RangeFunction::StdvarOverTime),
    ("last_over_time", RangeFunction::LastOverTime),
    ("present_over_time", RangeFunction::PresentOverTime),
    ("quantile_over_time", RangeFunction::QuantileOverTime),
];

impl RangeFunction {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        RANGE_FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        let found = RANGE_FUNCTIONS.iter().find(|(_, function)| *function == self);
        found.map(|(name, _)| *name).expect("all are in the table")
    }

    /// `last_over_time` is a selection; the others change what the value means.
    fn keeps_name(self) -> bool {
        self == Self::LastOverTime
    }
}

/// Series whose samples are fetched at a time: many enough to wait for memory together, few enough
/// to stay in the smallest cache.
pub(super) const TOUCHED: usize = 64;

/// The bounds of a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Exclusive.
    pub(super) start_ms: i64,
    /// Inclusive; differs from the instant of evaluation by `@` and `offset`.
    pub(super) end_ms: i64,
    pub(super) range_ms: i64,
    /// The instant of evaluation.
    pub(super) at_ms: i64,
}

impl Window {
    pub(super) fn new(at_ms: i64, range_ms: i64, when: When) -> Self {
        let end_ms = when.instant(at_ms);
        Self { start_ms: end_ms.saturating_sub(range_ms), end_ms, range_ms, at_ms }
    }
}

/// Where the samples come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// A membership of the plan.
    Series(usize),
    /// A subquery of the same frame.
    Subquery(NodeId),
}

/// The node of a range function.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) function: RangeFunction,
    pub(super) samples: Samples,
    pub(super) parameter: Option<NodeId>,
    scratch: Vec<f64>,
}

/// The ranges of all series of an origin.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) origin: Origin,
    pub(super) range_ms: i64,
    pub(super) when: When,
    /// For ranges with a stale marker inside: the samples without it.
    fresh: Vec<Sample>,
}

impl Samples {
    pub(super) fn new(origin: Origin, range_ms: i64, when: When) -> Self {
        Self { origin, range_ms, when, fresh: Vec::new() }
    }

    pub(super) fn window(&self, time_ms: i64) -> Window {
        Window::new(time_ms, self.range_ms, self.when)
    }

    /// The label sets of the series.
    pub(super) fn layout<'a>(
        &self,
        cx: &'a Context,
        inputs: Inputs<'a>,
    ) -> Result<&'a Arc<Layout>, EvalError> {
        Ok(match self.origin {
            Origin::Series(membership) => &cx.memberships[membership].layout,
            Origin::Subquery(id) => &inputs.vector(id)?.layout,
        })
    }

    /// Calls back with the place and the samples of each series, none left out.
    pub(super) fn each(
        &mut self,
        cx: &Context,
        inputs: Inputs,
        window: &Window,
        mut visit: impl FnMut(usize, &[Sample]),
    ) -> Result<(), EvalError> {
        match self.origin {
            Origin::Series(membership) => {
                let members = cx.store.members(cx.memberships[membership].id);
                for (i, id) in members.iter().enumerate() {
                    if i % TOUCHED == 0 {
                        cx.store.touch(&members[i..members.len().min(i + TOUCHED)]);
                    }
                    let samples = cx.store.window(*id, window.start_ms, window.end_ms);
                    if samples.iter().any(Sample::is_stale) {
                        self.fresh.clear();
                        self.fresh.extend(samples.iter().filter(|sample| !sample.is_stale()));
                        visit(i, &self.fresh);
                    } else {
                        visit(i, samples);
                    }
                }
            }
            Origin::Subquery(id) => {
                for (i, row) in inputs.rows(id)?.rows().iter().enumerate() {
                    visit(i, row);
                }
            }
        }
        Ok(())
    }
}

impl Range {
    pub(super) fn new(
        function: RangeFunction,
        samples: Samples,
        parameter: Option<NodeId>,
    ) -> Self {
        Self { function, samples, parameter, scratch: Vec::new() }
    }

    /// Gives an output the label sets that the function makes of a membership's.
    pub(super) fn follow(&self, membership: &Membership, out: &mut Output) {
        let keeps_name = self.function.keeps_name();
        out.follow(if keeps_name { &membership.layout } else { &membership.nameless });
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        match self.samples.origin {
            Origin::Series(membership) => self.follow(&cx.memberships[membership], out),
            Origin::Subquery(id) => {
                let rows = &inputs.vector(id)?.layout;
                if self.function.keeps_name() {
                    out.follow(rows);
                } else {
                    out.derive_nameless(rows, cx.versions);
                }
            }
        }
        let parameter = match self.parameter {
            Some(id) => inputs.scalar(id)?,
            None => 0.0,
        };
        let window = self.samples.window(cx.time_ms);
        let (function, scratch) = (self.function, &mut self.scratch);
        self.samples.each(cx, inputs, &window, |i, samples| {
            out.put(i, apply(function, samples, &window, parameter, scratch));
        })?;
        out.check_run(cx, None)
    }
}

fn apply(
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

/// The node of `absent_over_time`.
#[derive(Debug)]
pub(super) struct AbsentOverTime {
    pub(super) samples: Samples,
}

impl AbsentOverTime {
    /// The layout is the one element with the labels that were asked for, set when bound.
    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let window = self.samples.window(cx.time_ms);
        let mut absent = true;
        self.samples.each(cx, inputs, &window, |_, samples| {
            absent &= samples.is_empty();
        })?;
        out.put(0, absent.then_some(1.0));
        Ok(())
    }
}
