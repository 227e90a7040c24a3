//! An annotation: what an evaluation has to say of a query besides its value. A warning is of what is
//! likely wrong, an info of what may be.
//!
//! A parser remembers the calls of a query that may have one, with their places in the text; a feature has
//! none, so that at a tick nothing is looked at. A text is said once for a query, at the place of the call
//! that was evaluated last of those that say it, as in Prometheus.
//! Source: Prometheus `util/annotations/annotations.go` and where `promql/engine.go` and
//! `promql/functions.go` add some.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::labels::METRIC_NAME;

use super::aggregate::AggregateOp;
use super::context::{Context, Inputs, Output};
use super::error::place;
use super::expr::{Node, Source};
use super::histogram::{self, HistogramFunction};
use super::plan::Step;
use super::range::{Origin, Range, RangeFunction};

/// Texts of one kind that are kept for an answer; the others are counted. As many as Prometheus shows.
const MAX_SHOWN: usize = 10;

/// The ends of the names of counters.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// What was said of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// What is likely wrong.
    pub warnings: Said,
    /// What may be.
    pub infos: Said,
}

/// The annotations of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The first ones, each with its place: `PromQL warning: … (1:10)`.
    pub texts: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// A call that may have annotations.
#[derive(Debug, Clone)]
pub(super) struct Site {
    node: Node,
    /// Where its first and last argument begin.
    arguments: [usize; 2],
}

impl Site {
    /// If a node may have some.
    pub(super) fn of(node: &Node, mut arguments: [usize; 2]) -> Option<Self> {
        match node {
            Node::Range { function, source, .. } if counts(*function) => {
                // Prometheus has forgotten the place of a subquery when it gets there.
                if matches!(source, Source::Subquery { .. }) {
                    arguments = [0, 0];
                }
            }
            Node::Range { function: RangeFunction::QuantileOverTime, .. }
            | Node::Aggregate { op: AggregateOp::Quantile, .. }
            | Node::Histogram { .. } => {}
            _ => return None,
        }
        Some(Self { node: node.clone(), arguments })
    }

    /// The one that is evaluated last of those with this node, by its place in the list.
    pub(super) fn find(sites: &[Self], node: &Node) -> Option<Watch> {
        let number = sites.iter().rposition(|site| site.node == *node)?;
        Some(Watch { number, version: None, left: Vec::new(), last: None })
    }
}

fn counts(function: RangeFunction) -> bool {
    matches!(function, RangeFunction::Rate | RangeFunction::Increase)
}

/// What a cell with a site has still to look at, so that a step costs little.
#[derive(Debug)]
pub(super) struct Watch {
    /// Of the site.
    number: usize,
    /// Of the layout whose elements are left to look at.
    version: Option<u64>,
    left: Vec<u32>,
    /// The quantile that was last said to be none, by its bits.
    last: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Warning,
    Info,
}

/// The annotations of a run.
#[derive(Debug)]
pub(super) struct Notes {
    text: Arc<str>,
    sites: Arc<[Site]>,
    /// By kind and text, of which many need not be kept: where it is said, and by which site.
    said: HashMap<(Kind, u64), (usize, usize)>,
    warnings: Vec<String>,
    infos: Vec<String>,
    /// Of aggregations the smallest and largest quantile, and whether one was NaN: Prometheus looks at all
    /// instants together there.
    quantiles: HashMap<usize, (f64, f64, bool)>,
}

impl Notes {
    pub(super) fn new(text: Arc<str>, sites: Arc<[Site]>) -> Self {
        let (said, quantiles) = (HashMap::new(), HashMap::new());
        Self { text, sites, said, warnings: Vec::new(), infos: Vec::new(), quantiles }
    }

    /// Says a text of the first or last argument of a site.
    fn say(&mut self, kind: Kind, (site, argument): (usize, usize), text: String) {
        let at = self.sites[site].arguments[argument];
        let shown = match kind {
            Kind::Warning => &mut self.warnings,
            Kind::Info => &mut self.infos,
        };
        let known = self.said.entry((kind, hash(&text))).or_insert_with(|| {
            if shown.len() < MAX_SHOWN {
                shown.push(text);
            }
            (site, at)
        });
        if site >= known.0 {
            *known = (site, at);
        }
    }

    fn say_quantile(&mut self, site: usize, quantile: f64) {
        let text = format!(
            "PromQL warning: quantile value should be between 0 and 1, got {}",
            general(quantile)
        );
        self.say(Kind::Warning, (site, 0), text);
    }

    /// All that was said.
    pub(super) fn annotations(&mut self) -> Annotations {
        let quantiles: Vec<_> = self.quantiles.drain().collect();
        for (site, (least, most, is_nan)) in quantiles {
            let wrong = [(f64::NAN, is_nan), (most, most > 1.0), (least, least < 0.0)];
            let wrong = wrong.into_iter().filter(|(_, is_wrong)| *is_wrong);
            wrong.for_each(|(quantile, _)| self.say_quantile(site, quantile));
        }
        let all = |kind: Kind, texts: &[String]| {
            let texts: Vec<String> = texts
                .iter()
                .map(|text| {
                    let (line, column) = place(&self.text, self.said[&(kind, hash(text))].1);
                    format!("{text} ({line}:{column})")
                })
                .collect();
            let of_kind = self.said.keys().filter(|(other, _)| *other == kind).count();
            Said { more: of_kind - texts.len(), texts }
        };
        Annotations {
            warnings: all(Kind::Warning, &self.warnings),
            infos: all(Kind::Info, &self.infos),
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Looks at what a step has just given.
pub(super) fn look(watch: &mut Watch, step: &Step, out: &Output, cx: &mut Context, inputs: Inputs) {
    let memberships = cx.memberships;
    let Some(notes) = cx.notes.as_deref_mut() else {
        return;
    };
    match step {
        Step::Range(Range { function, samples, .. }) if counts(*function) => {
            let layout = match samples.origin {
                Origin::Series(membership) => &memberships[membership].layout,
                Origin::Subquery(id) => match inputs.vector(id) {
                    Ok(rows) => &rows.layout,
                    Err(_) => return,
                },
            };
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
                    notes.say(Kind::Info, (site, 0), text);
                },
            );
        }
        Step::Range(Range { function: RangeFunction::QuantileOverTime, parameter, .. })
            if !out.is_empty() =>
        {
            let quantile = parameter.map(|id| inputs.scalar(id));
            watch.quantile(notes, quantile.and_then(Result::ok));
        }
        Step::Aggregate(node) => {
            if let Some(quantile) = node.parameter().and_then(|id| inputs.scalar(id).ok()) {
                let nothing = (f64::INFINITY, f64::NEG_INFINITY, false);
                let (least, most, is_nan) = notes.quantiles.entry(watch.number).or_insert(nothing);
                (*least, *most) = (least.min(quantile), most.max(quantile));
                *is_nan |= quantile.is_nan();
            }
        }
        Step::Histogram(node) => look_at_histograms(watch, node, notes, inputs),
        _ => {}
    }
}

fn look_at_histograms(
    watch: &mut Watch,
    node: &histogram::Histogram,
    notes: &mut Notes,
    inputs: Inputs,
) {
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
        notes.say(Kind::Info, (watch.number, 1), text);
    }
    watch.each(
        input.layout.version,
        &input.present,
        || places(labels.iter().map(|labels| histogram::bound(labels).is_none())),
        |site, i| {
            let (value, name) = (labels[i].get(histogram::BOUND), labels[i].get(METRIC_NAME));
            let text = format!(
                "PromQL warning: bucket label \"le\" is missing or has a malformed value of \
                 {value:?} for metric name {name:?}"
            );
            notes.say(Kind::Warning, (site, 1), text);
        },
    );
}

fn places(are_odd: impl Iterator<Item = bool>) -> Vec<u32> {
    (0..).zip(are_odd).filter(|(_, is_odd)| *is_odd).map(|(i, _)| i).collect()
}

impl Watch {
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

/// A number as Go writes it with `%g`: the fewest digits, and an exponent where it is large or small.
fn general(value: f64) -> String {
    match value {
        f64::INFINITY => return "+Inf".to_owned(),
        f64::NEG_INFINITY => return "-Inf".to_owned(),
        value if value == 0.0 || value.is_nan() => return value.to_string(),
        _ => {}
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        // Go's bounds where the fewest digits are asked for.
        -4..6 => value.to_string(),
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, expected) in [
            (2.0, "2"),
            (1.3, "1.3"),
            (-0.999_999_9, "-0.9999999"),
            (123_456.5, "123456.5"),
            (1e6, "1e+06"),
            (1.795_786_138e9, "1.795786138e+09"),
            (-1e-5, "-1e-05"),
            (-1e-4, "-0.0001"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(general(value), expected);
        }
    }
}
