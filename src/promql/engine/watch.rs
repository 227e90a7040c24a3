//! A watch: what is looked at after a step for the annotations of a query.
//!
//! Source: where Prometheus's `promql/engine.go` and `promql/functions.go` add annotations.

use crate::histogram::NanEffect;
use crate::labels::METRIC_NAME;
use crate::promql::operators::histogram::{BOUND, bound};
use crate::promql::operators::histogram_binary::Incombinable;
use crate::promql::operators::range_outcome::RangeNote;
use crate::promql::syntax::function::{HistogramFunction, RangeFunction};
use crate::promql::syntax::site::{Site, counts};
use crate::promql::syntax::tree::Node;

use super::aggregate::Aggregate;
use super::annotation::{Notes, Severity};
use super::context::{Context, Inputs, Output};
use super::histogram::Histogram;
use super::layout::Layout;
use super::range::Origin;
use super::step::Step;

/// The ends of the names of counters.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// What a cell with a site has still to look at, so that a step costs little.
#[derive(Debug)]
pub(super) struct Watch {
    /// Of the site.
    number: usize,
    /// What an aggregation or operator is called.
    name: &'static str,
    /// Of the layout whose elements are left to look at.
    version: Option<u64>,
    left: Vec<u32>,
    /// The quantile that was last said to be none, by its bits.
    last: Option<u64>,
}

/// Looks at what a step has just given.
pub(super) fn look(watch: &mut Watch, step: &Step, out: &Output, cx: &mut Context, inputs: Inputs) {
    let memberships = cx.memberships;
    let Some(notes) = cx.notes.as_deref_mut() else {
        return;
    };
    match step {
        Step::Range(range) => {
            let layout = match range.samples.origin {
                Origin::Series(membership) => &memberships[membership].layout,
                Origin::Subquery(id) => match inputs.vector(id) {
                    Ok(rows) => &rows.layout,
                    Err(_) => return,
                },
            };
            for (i, note) in &range.notes {
                let text = note.text(layout.labels[*i].get(METRIC_NAME));
                notes.say(severity(note.is_info()), (watch.number, 0), text);
            }
            if counts(range.function) {
                look_at_names(watch, layout, out, notes);
            }
            let is_quantile = range.function == RangeFunction::QuantileOverTime;
            if is_quantile && !out.is_empty() {
                let quantile = range.parameter.map(|id| inputs.scalar(id));
                watch.quantile(notes, quantile.and_then(Result::ok));
            }
        }
        Step::Aggregate(node) => {
            if let Some(quantile) = node.parameter().and_then(|id| inputs.scalar(id).ok()) {
                let nothing = (f64::INFINITY, f64::NEG_INFINITY, false);
                let (least, most, is_nan) = notes.quantiles.entry(watch.number).or_insert(nothing);
                (*least, *most) = (least.min(quantile), most.max(quantile));
                *is_nan |= quantile.is_nan();
            }
            look_at_groups(watch, node, notes, inputs);
        }
        Step::Top(node) if node.passes_over(inputs) => watch.passed_over(notes),
        Step::VectorScalar(node) => watch.left_out(notes, node.left_out),
        Step::VectorBinary(node) => watch.left_out(notes, node.left_out()),
        Step::Histogram(node) => look_at_histograms(watch, node, notes, inputs),
        _ => {}
    }
}

fn severity(is_info: bool) -> Severity {
    if is_info { Severity::Info } else { Severity::Warning }
}

/// Looks at the native histograms of an aggregation.
fn look_at_groups(watch: &Watch, node: &Aggregate, notes: &mut Notes, inputs: Inputs) {
    let Ok(input) = inputs.vector(node.vector()) else {
        return;
    };
    if input.histograms().next().is_none() {
        return;
    }
    if !node.adds_up() {
        watch.passed_over(notes);
        return;
    }
    let mut is_mixed = false;
    for group in node.left_out(input) {
        is_mixed |= group.is_mixed;
        if let Some((i, error)) = group.incompatible {
            let note = RangeNote::from(error);
            let text = note.text(input.layout.labels[i].get(METRIC_NAME));
            notes.say(severity(note.is_info()), (watch.number, 1), text);
        }
    }
    if is_mixed {
        let text = "PromQL warning: encountered a mix of histograms and floats for aggregation";
        notes.say(Severity::Warning, (watch.number, 1), text.to_owned());
    }
}

/// Looks at the names of what should be counters.
fn look_at_names(watch: &mut Watch, layout: &Layout, out: &Output, notes: &mut Notes) {
    watch.each(
        layout.version,
        &out.present,
        || {
            let names = layout.labels.iter().map(|labels| labels.get(METRIC_NAME));
            let is_odd = |name: &str| {
                !name.is_empty() && !COUNTER_SUFFIXES.iter().any(|it| name.ends_with(it))
            };
            places(names.map(is_odd))
        },
        |site, i| {
            let name = layout.labels[i].get(METRIC_NAME);
            let text = format!(
                "PromQL info: metric might not be a counter, name does not end in \
                 _total/_sum/_count/_bucket: {name:?}"
            );
            notes.say(Severity::Info, (site, 0), text);
        },
    );
}

fn look_at_histograms(watch: &mut Watch, node: &Histogram, notes: &mut Notes, inputs: Inputs) {
    let Ok(input) = inputs.vector(node.vector()) else {
        return;
    };
    if let Some(id) = node.parameter_of(HistogramFunction::Quantile) {
        watch.quantile(notes, inputs.scalar(id).ok());
    }
    let labels = &input.layout.labels;
    for i in node.forced() {
        let name = labels[i].get(METRIC_NAME);
        let text = format!(
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) \
             for metric name {name:?}"
        );
        notes.say(Severity::Info, (watch.number, 1), text);
    }
    for i in node.mixed() {
        let name = labels[i].get(METRIC_NAME);
        let text = format!(
            "PromQL warning: vector contains a mix of classic and native histograms for metric name \
             {name:?}"
        );
        notes.say(Severity::Warning, (watch.number, 1), text);
    }
    for effect in node.nan_effects() {
        let what = match (node.function(), effect) {
            (HistogramFunction::Quantile, NanEffect::Decided) => {
                "histogram_quantile has NaN observations, result is NaN"
            }
            (HistogramFunction::Quantile, NanEffect::Skewed) => {
                "histogram_quantile has NaN observations, result is skewed higher"
            }
            (HistogramFunction::Fraction, _) => {
                "histogram_fraction has NaN observations, which are excluded from all fractions"
            }
        };
        // The name is gone when Prometheus gets there.
        let text = format!("PromQL info: input to {what} for metric name \"\"");
        notes.say(Severity::Info, (watch.number, 0), text);
    }
    watch.each(
        input.layout.version,
        &input.present,
        || places(labels.iter().map(|labels| bound(labels).is_none())),
        |site, i| {
            let (value, name) = (labels[i].get(BOUND), labels[i].get(METRIC_NAME));
            let text = format!(
                "PromQL warning: bucket label \"le\" is missing or has a malformed value of \
                 {value:?} for metric name {name:?}"
            );
            notes.say(Severity::Warning, (site, 1), text);
        },
    );
}

fn places(are_odd: impl Iterator<Item = bool>) -> Vec<u32> {
    (0..).zip(are_odd).filter(|(_, is_odd)| *is_odd).map(|(i, _)| i).collect()
}

impl Watch {
    /// The one that is evaluated last of those with this node, by its place in the list.
    pub(super) fn of(sites: &[Site], node: &Node) -> Option<Self> {
        let number = Site::last(sites, node)?;
        let name = sites[number].name;
        Some(Self { number, name, version: None, left: Vec::new(), last: None })
    }

    /// Says that an aggregation of numbers passed native histograms over.
    fn passed_over(&self, notes: &mut Notes) {
        let text = format!("PromQL info: ignored histogram in {} aggregation", self.name);
        notes.say(Severity::Info, (self.number, 1), text);
    }

    /// Says why an operator left something out.
    fn left_out(&self, notes: &mut Notes, why: Option<Incombinable>) {
        if let Some(why) = why {
            notes.say(severity(why.is_info()), (self.number, 0), why.text(self.name));
        }
    }

    /// Visits those of a layout's elements that are odd and present, each once.
    fn each(
        &mut self,
        version: u64,
        present: &[bool],
        odd: impl FnOnce() -> Vec<u32>,
        mut visit: impl FnMut(usize, usize),
    ) {
        if self.version != Some(version) {
            (self.version, self.left) = (Some(version), odd());
        }
        self.left.retain(|i| {
            let is_there = present[*i as usize];
            if is_there {
                visit(self.number, *i as usize);
            }
            !is_there
        });
    }

    fn quantile(&mut self, notes: &mut Notes, quantile: Option<f64>) {
        let wrong = quantile.filter(|it| !(0.0..=1.0).contains(it));
        let bits = wrong.map(f64::to_bits);
        if let Some(quantile) = wrong.filter(|_| self.last != bits) {
            notes.say_quantile(self.number, quantile);
            self.last = bits;
        }
    }
}
