//! Presence: at which instants of a range query the elements of its value are there, without the values.
//!
//! In: a tree, the series it reads, and the instants. Out: the label sets of the value, each with the spans
//! of instants at which it has an element; or nothing where that depends on values (a comparison that
//! filters, `topk`, `count_values`), or where the evaluation might fail (label sets that are not distinct,
//! elements of which two could be matched with the same one). What comes out
//! is exact: an evaluation gives as many points, and does not fail. A sample is looked at once, not at every
//! instant that it is seen from.

use std::collections::{HashMap, HashSet};

use crate::labels::Labels;
use crate::matcher::Selector;
use crate::promql::operators::histogram::{BOUND, bound};
use crate::promql::syntax::clause::{Cardinality, Matching};
use crate::promql::syntax::expr::Expr;
use crate::promql::syntax::function::{MapFunction, RangeFunction};
use crate::promql::syntax::operator::SetOp;
use crate::promql::syntax::tree::{Binary, LOOKBACK_MS, Node, Source, ValueType};
use crate::promql::syntax::when::When;
use crate::sample::Sample;
use crate::series::Store;

use super::context::Membership;
use super::layout::without_metadata;
use super::matching::result_labels;
use super::plan::Plan;
use super::spans::{Span, common, extend, without};
use super::subquery::{first_step, last_step};

/// The instants of a range query: the first, and each after a step more, as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The first.
    pub first_ms: i64,
    /// At least 1.
    pub step_ms: i64,
    /// The first included.
    pub count: u64,
}

impl Plan {
    /// Whether a range query gives more than so many points for certain. No also means that this cannot be
    /// known without evaluating it. `expr` is the one the plan was bound for.
    #[must_use]
    pub fn gives_more_than(
        &self,
        points: u64,
        (expr, steps): (&Expr, Steps),
        store: &Store,
        go_on: &dyn Fn() -> bool,
    ) -> bool {
        let memberships = self.memberships();
        // Of what is looked at here no series gives more than one element.
        let series = memberships.iter().map(|it| store.members(it.id).len() as u64).sum::<u64>();
        if series.max(1).saturating_mul(steps.count) <= points {
            return false;
        }
        let rows = Presence { store, memberships, go_on }.rows(expr.root(), steps);
        rows.is_some_and(|rows| rows.iter().map(Row::points).sum::<u64>() > points)
    }
}

/// An element of the value and where it is there: spans in order, none touching another.
#[derive(Debug)]
struct Row {
    labels: Labels,
    spans: Vec<Span>,
}

impl Row {
    fn points(&self) -> u64 {
        self.spans.iter().map(|(first, last)| last - first + 1).sum()
    }
}

impl Steps {
    fn all(self) -> Vec<Span> {
        self.count.checked_sub(1).map(|last| (0, last)).into_iter().collect()
    }

    /// Those from which a time in `[from_ms, to_ms]` is looked at.
    fn seeing(self, when: When, from_ms: i64, to_ms: i64) -> Option<Span> {
        let last = self.count.checked_sub(1)?;
        if when.at_ms.is_some() {
            let seen = (from_ms..=to_ms).contains(&when.instant(self.first_ms));
            return seen.then_some((0, last));
        }
        let since_first = |ms: i64| ms.saturating_add(when.offset_ms).saturating_sub(self.first_ms);
        let (from_ms, to_ms) = (since_first(from_ms), since_first(to_ms));
        if to_ms < 0 || from_ms > to_ms {
            return None;
        }
        let first = from_ms.max(0).unsigned_abs().div_ceil(self.step_ms.unsigned_abs());
        let last = last.min(to_ms.unsigned_abs() / self.step_ms.unsigned_abs());
        (first <= last).then_some((first, last))
    }

    fn at(self, place: u64) -> i64 {
        let since_first = i64::try_from(place).unwrap_or(i64::MAX).saturating_mul(self.step_ms);
        self.first_ms.saturating_add(since_first)
    }
}

/// The rows, if their label sets differ: equal ones are perhaps an error.
fn distinct(rows: Vec<Row>) -> Option<Vec<Row>> {
    let mut seen = HashSet::with_capacity(rows.len());
    rows.iter().all(|row| seen.insert(&row.labels)).then_some(())?;
    Some(rows)
}

fn nameless(mut rows: Vec<Row>) -> Option<Vec<Row>> {
    rows.iter_mut().for_each(|row| row.labels = without_metadata(&row.labels));
    distinct(rows)
}

/// What is read.
struct Presence<'a> {
    store: &'a Store,
    memberships: &'a [Membership],
    go_on: &'a dyn Fn() -> bool,
}

impl Presence<'_> {
    /// The elements of a vector; of a scalar one that is always there.
    fn rows(&self, node: &Node, steps: Steps) -> Option<Vec<Row>> {
        let one = || Some(vec![Row { labels: Labels::empty(), spans: steps.all() }]);
        match node {
            Node::Number(_) | Node::Time => one(),
            Node::Vector(inner) | Node::Scalar(inner) => {
                self.rows(inner, steps)?;
                one()
            }
            Node::Select { selector, when } => self.series(selector, |samples, spans| {
                newest(samples, spans, LOOKBACK_MS, |from, to| steps.seeing(*when, from, to));
            }),
            Node::SampleTime { selector, when, lookback_ms } => {
                nameless(self.series(selector, |samples, spans| {
                    newest(samples, spans, *lookback_ms, |from, to| steps.seeing(*when, from, to));
                })?)
            }
            Node::Range { function, source, parameter } => {
                if let Some(parameter) = parameter {
                    self.rows(parameter, steps)?;
                }
                let rows = self.ranges(!function.compares(), source, steps)?;
                if *function == RangeFunction::LastOverTime { Some(rows) } else { nameless(rows) }
            }
            Node::Map { function, vector, parameters } => {
                let gives_all = match (function, &parameters[..]) {
                    // Where its bounds are crossed there is nothing.
                    (MapFunction::Clamp, [Node::Number(min), Node::Number(max)]) => min.0 <= max.0,
                    (MapFunction::Clamp | MapFunction::OfHistogram(_), _) => false,
                    _ => true,
                };
                if !gives_all {
                    return None;
                }
                for parameter in parameters {
                    self.rows(parameter, steps)?;
                }
                nameless(self.rows(vector, steps)?)
            }
            Node::Sort { vector, .. } => self.rows(vector, steps),
            Node::Aggregate { grouping, parameter, vector, .. } => {
                if let Some(parameter) = parameter {
                    self.rows(parameter, steps)?;
                }
                Some(grouped(self.rows(vector, steps)?, |labels| grouping.group_of(labels)))
            }
            Node::Relabel { relabel, vector } => {
                let mut rows = self.rows(vector, steps)?;
                rows.iter_mut().for_each(|row| row.labels = relabel.apply(&row.labels));
                distinct(rows)
            }
            Node::Histogram { parameters, vector, .. } => {
                for parameter in parameters {
                    self.rows(parameter, steps)?;
                }
                let mut rows = self.rows(vector, steps)?;
                rows.retain(|row| bound(&row.labels).is_some());
                nameless(grouped(rows, |labels| labels.filtered(|name| name != BOUND)))
            }
            Node::Binary(binary) => self.binary(binary, steps),
            Node::Set { op, matching, left, right } => {
                let (left, right) = (self.rows(left, steps)?, self.rows(right, steps)?);
                Some(chosen(*op, matching, left, right))
            }
            Node::AbsentOverTime { .. }
            | Node::Absent { .. }
            | Node::CountValues { .. }
            | Node::Top { .. } => None,
        }
    }

    fn binary(&self, binary: &Binary, steps: Steps) -> Option<Vec<Row>> {
        let Binary { op, return_bool, matching, left, right } = binary;
        if op.is_comparison() && !return_bool {
            return None;
        }
        let types = (left.value_type(), right.value_type());
        let (left, right) = (self.rows(left, steps)?, self.rows(right, steps)?);
        match types {
            (ValueType::Scalar, ValueType::Scalar) => Some(left),
            (ValueType::Vector, ValueType::Scalar) => nameless(left),
            (ValueType::Scalar, ValueType::Vector) => nameless(right),
            (ValueType::Vector, ValueType::Vector) => {
                let (many, one) = if matching.swaps() { (right, left) } else { (left, right) };
                let labels = |many: &Labels, one: &Labels| {
                    result_labels((*op, *return_bool, matching), many, Some(one))
                };
                matched(matching, many, one, labels)
            }
        }
    }

    fn series(
        &self,
        selector: &Selector,
        mut spans_of: impl FnMut(&[Sample], &mut Vec<Span>),
    ) -> Option<Vec<Row>> {
        let mut memberships = self.memberships.iter();
        let membership = memberships.find(|it| self.store.selector(it.id) == selector)?;
        let mut rows = Vec::new();
        for id in self.store.members(membership.id) {
            if !(self.go_on)() {
                return None;
            }
            // What becomes of native histograms depends on what they are.
            if self.store.has_histograms(*id) {
                return None;
            }
            let mut spans = Vec::new();
            spans_of(self.store.window(*id, i64::MIN, i64::MAX), &mut spans);
            if !spans.is_empty() {
                rows.push(Row { labels: self.store.labels(*id).clone(), spans });
            }
        }
        Some(rows)
    }

    /// The series whose ranges hold a sample, or two.
    fn ranges(&self, one: bool, source: &Source, steps: Steps) -> Option<Vec<Row>> {
        match source {
            Source::Series { selector, range_ms, when } => {
                self.series(selector, |samples, spans| {
                    let times =
                        samples.iter().filter(|it| !it.is_stale()).map(|it| it.timestamp_ms);
                    let mut before = None;
                    for time_ms in times {
                        let first_ms = if one { Some(time_ms) } else { before };
                        before = Some(time_ms);
                        let to = |first_ms: i64| first_ms.saturating_add(range_ms - 1);
                        let span = first_ms.and_then(|it| steps.seeing(*when, time_ms, to(it)));
                        span.into_iter().for_each(|span| extend(spans, span));
                    }
                })
            }
            Source::Subquery { inner, range_ms, step_ms, when } => {
                // So that a span of steps is seen as a whole.
                if *range_ms < if one { *step_ms } else { step_ms.checked_mul(2)? } {
                    return None;
                }
                let last = steps.at(steps.count.checked_sub(1)?);
                let start_ms = when.instant(steps.first_ms).saturating_sub(*range_ms);
                let first_ms = first_step(start_ms, *step_ms);
                let last_ms = last_step(when.instant(last), *step_ms);
                let within = u64::try_from(last_ms.saturating_sub(first_ms)).ok()?;
                let count = within / step_ms.unsigned_abs() + 1;
                let inside = Steps { first_ms, step_ms: *step_ms, count };
                let mut rows = self.rows(inner, inside)?;
                for row in &mut rows {
                    let inner = std::mem::take(&mut row.spans);
                    row.spans = spans_seen(one, &inner, inside, |from_ms, to_ms| {
                        steps.seeing(*when, from_ms, to_ms.saturating_add(range_ms - 1))
                    });
                }
                rows.retain(|row| !row.spans.is_empty());
                distinct(rows)
            }
        }
    }
}

/// The spans of a subquery's steps as spans of times at which the last sample of a range, or its last two,
/// may be, and until when such a range may end: `seeing` is asked for both.
fn spans_seen(
    one: bool,
    inner: &[Span],
    steps: Steps,
    seeing: impl Fn(i64, i64) -> Option<Span>,
) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut see = |from: u64, to: u64| {
        let seen = seeing(steps.at(from), steps.at(to));
        seen.into_iter().for_each(|span| extend(&mut spans, span));
    };
    let mut before = None;
    for (first, last) in inner {
        if one {
            see(*first, *last);
        } else {
            before.into_iter().for_each(|before| see(*first, before));
            if last > first {
                see(first + 1, last - 1);
            }
            before = Some(*last);
        }
    }
    spans
}

/// Where the newest of the samples is none of a series that has ended, nor too old.
fn newest(
    samples: &[Sample],
    spans: &mut Vec<Span>,
    lookback_ms: i64,
    seeing: impl Fn(i64, i64) -> Option<Span>,
) {
    for (i, sample) in samples.iter().enumerate().filter(|(_, it)| !it.is_stale()) {
        let next_ms = samples.get(i + 1).map_or(i64::MAX, |next| next.timestamp_ms);
        let to_ms = sample.timestamp_ms.saturating_add(lookback_ms).min(next_ms) - 1;
        seeing(sample.timestamp_ms, to_ms).into_iter().for_each(|span| extend(spans, span));
    }
}

/// Rows by what is made of their labels, each where one of its members is.
fn grouped(rows: Vec<Row>, group_of: impl Fn(&Labels) -> Labels) -> Vec<Row> {
    let mut groups: HashMap<Labels, Vec<Span>> = HashMap::new();
    for row in rows {
        groups.entry(group_of(&row.labels)).or_default().extend(row.spans);
    }
    let merged = |(labels, mut members): (Labels, Vec<Span>)| {
        members.sort_unstable();
        let mut spans = Vec::new();
        members.into_iter().for_each(|span| extend(&mut spans, span));
        Row { labels, spans }
    };
    groups.into_iter().map(merged).collect()
}

/// Pairs of elements, where no two of `one` can be matched with the same one; nor of `many`, unless that is
/// asked for.
fn matched(
    matching: &Matching,
    many: Vec<Row>,
    one: Vec<Row>,
    labels: impl Fn(&Labels, &Labels) -> Labels,
) -> Option<Vec<Row>> {
    let mut by_signature = HashMap::with_capacity(one.len());
    for row in one {
        if by_signature.insert(matching.signature(&row.labels), row).is_some() {
            return None;
        }
    }
    let mut taken = HashSet::new();
    let mut rows = Vec::new();
    for row in many {
        let signature = matching.signature(&row.labels);
        let Some(other) = by_signature.get(&signature) else { continue };
        if matching.cardinality == Cardinality::OneToOne && !taken.insert(signature) {
            return None;
        }
        let spans = common(&row.spans, &other.spans);
        if !spans.is_empty() {
            rows.push(Row { labels: labels(&row.labels, &other.labels), spans });
        }
    }
    distinct(rows)
}

/// What a set operator leaves of two vectors.
fn chosen(op: SetOp, matching: &Matching, left: Vec<Row>, right: Vec<Row>) -> Vec<Row> {
    let signed = |rows: &[Row]| {
        let rows = rows.iter().map(|it| Row { labels: it.labels.clone(), spans: it.spans.clone() });
        let groups = grouped(rows.collect(), |labels| matching.signature(labels));
        groups.into_iter().map(|it| (it.labels, it.spans)).collect::<HashMap<_, _>>()
    };
    let keep = |mut rows: Vec<Row>, other: &HashMap<Labels, Vec<Span>>, wanted: bool| {
        for row in &mut rows {
            let there = other.get(&matching.signature(&row.labels)).map_or(&[][..], |it| it);
            row.spans = if wanted { common(&row.spans, there) } else { without(&row.spans, there) };
        }
        rows.retain(|row| !row.spans.is_empty());
        rows
    };
    match op {
        SetOp::And => keep(left, &signed(&right), true),
        SetOp::Unless => keep(left, &signed(&right), false),
        SetOp::Or => {
            let added = keep(right, &signed(&left), false);
            // The same label set may come from either side, at different instants.
            grouped(left.into_iter().chain(added).collect(), Labels::clone)
        }
    }
}
