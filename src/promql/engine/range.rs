//! A range: the samples of each series in `(end - range, end]`, and the functions that make one
//! value of them.
//!
//! Stale markers are no samples here. A series without a sample in the range has no value; some
//! functions want two.

use std::sync::Arc;

use crate::promql::operators::histogram_range;
use crate::promql::operators::range::apply;
use crate::promql::operators::range_outcome::{RangeNote, RangeValue};
use crate::promql::operators::window::Window;
use crate::promql::syntax::function::RangeFunction;
use crate::promql::syntax::when::When;
use crate::sample::{HistogramSample, Sample};

use super::context::{Context, Inputs, Membership, NodeId, Output};
use super::error::EvalError;
use super::layout::Layout;

/// Series whose samples are fetched at a time: many enough to wait for memory together, few enough
/// to stay in the smallest cache.
pub(super) const TOUCHED: usize = 64;

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
    /// Of the latest instant: what is odd about the samples of which series.
    pub(super) notes: Vec<(usize, RangeNote)>,
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

    /// Calls back with the place and the samples of each series, floats and native histograms, none left
    /// out.
    pub(super) fn each(
        &mut self,
        cx: &Context,
        inputs: Inputs,
        window: &Window,
        mut visit: impl FnMut(usize, &[Sample], &[HistogramSample]),
    ) -> Result<(), EvalError> {
        match self.origin {
            Origin::Series(membership) => {
                let members = cx.store.members(cx.memberships[membership].id);
                for (i, id) in members.iter().enumerate() {
                    if i % TOUCHED == 0 {
                        cx.store.touch(&members[i..members.len().min(i + TOUCHED)]);
                    }
                    let samples = cx.store.window(*id, window.start_ms, window.end_ms);
                    let histograms = cx.store.histogram_window(*id, window.start_ms, window.end_ms);
                    if samples.iter().any(Sample::is_stale) {
                        self.fresh.clear();
                        self.fresh.extend(samples.iter().filter(|sample| !sample.is_stale()));
                        visit(i, &self.fresh, histograms);
                    } else {
                        visit(i, samples, histograms);
                    }
                }
            }
            Origin::Subquery(id) => {
                let rows = inputs.rows(id)?;
                for (i, row) in rows.samples.iter().enumerate() {
                    visit(i, row, rows.histograms(i));
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
        Self { function, samples, parameter, notes: Vec::new(), scratch: Vec::new() }
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
        let (function, scratch, notes) = (self.function, &mut self.scratch, &mut self.notes);
        notes.clear();
        self.samples.each(cx, inputs, &window, |i, samples, histograms| {
            if histograms.is_empty() {
                out.put(i, apply(function, samples, &window, parameter, scratch));
                return;
            }
            let both = (samples, histograms);
            let outcome = histogram_range::apply(function, both, &window, parameter, scratch);
            notes.extend(outcome.notes.into_iter().map(|note| (i, note)));
            match outcome.value {
                RangeValue::Nothing => out.put(i, None),
                RangeValue::Float(value) => out.put(i, Some(value)),
                RangeValue::Histogram(histogram) => out.put_histogram(i, histogram),
            }
        })?;
        out.check_run(cx, None)
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
        self.samples.each(cx, inputs, &window, |_, samples, histograms| {
            absent &= samples.is_empty() && histograms.is_empty();
        })?;
        out.put(0, absent.then_some(1.0));
        Ok(())
    }
}
