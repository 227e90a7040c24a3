//! A match: which elements of two vectors belong together, by the labels they agree in.
//!
//! Elements with the same signature (the labels of `on`, or all but those of `ignoring` and the
//! metric name) form a match group. Groups are worked out once a layout; what is an error depends
//! on which elements are present, so that is looked at at every instant.
//! Source: Prometheus `promql/engine.go`, `VectorBinop`, `resultMetric`.

use std::sync::Arc;

use crate::histogram::NativeHistogram;
use crate::labels::Labels;
use crate::promql::operators::histogram_binary::{Combined, Incombinable, Operand, combine};
use crate::promql::syntax::clause::{Cardinality, Matching};
use crate::promql::syntax::operator::BinaryOp;

use super::conflict::{Conflict, Conflicts, OnConflict};
use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::groups::{Groups, NONE};
use super::layout::{Layout, Versions, without_metadata};

/// In place of the chosen element: more than one claims to be it, the group is left out.
const CROWDED: u32 = NONE - 1;

/// The labels of what an operator, perhaps with `bool`, makes of an element of `many` and its match.
pub(super) fn result_labels(
    (op, return_bool, matching): (BinaryOp, bool, &Matching),
    many: &Labels,
    one: Option<&Labels>,
) -> Labels {
    let mut labels = if op.is_comparison() { many.clone() } else { without_metadata(many) };
    if matching.cardinality == Cardinality::OneToOne {
        labels = labels.filtered(|name| matching.lists(name) == matching.on);
    }
    if let Some(one) = one {
        for name in matching.included() {
            labels = labels.with(name, one.get(name));
        }
    }
    if return_bool { without_metadata(&labels) } else { labels }
}

/// An element that an operator makes of a pair.
enum Made {
    Float(f64),
    Histogram(Arc<NativeHistogram>),
}

/// The node of an operator between two vectors. `many` is the left side, unless `group_right`
/// swaps them; `one` is the other.
#[derive(Debug)]
pub(super) struct VectorBinary {
    op: BinaryOp,
    return_bool: bool,
    matching: Matching,
    many: NodeId,
    one: NodeId,
    /// Those of `one`, which `many` asks for.
    groups: Groups,
    /// The present element of `one` in each group; [`NONE`] and [`CROWDED`] are no elements.
    chosen: Vec<u32>,
    /// The element of `one` whose labels the layout took over in each group.
    included_from: Vec<u32>,
    /// One-to-one: groups that have a result.
    matched: Vec<bool>,
    /// Why pairs were left out at the latest instant, and for which element of `many`: of several the last one
    /// by its labels. Prometheus says no more.
    left_out: Option<(Incombinable, usize)>,
}

impl VectorBinary {
    pub(super) fn new(
        op: BinaryOp,
        return_bool: bool,
        matching: Matching,
        left: NodeId,
        right: NodeId,
    ) -> Self {
        let (many, one) = if matching.swaps() { (right, left) } else { (left, right) };
        Self {
            op,
            return_bool,
            matching,
            many,
            one,
            groups: Groups::default(),
            chosen: Vec::new(),
            included_from: Vec::new(),
            matched: Vec::new(),
            left_out: None,
        }
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let (many, one) = (inputs.vector(self.many)?, inputs.vector(self.one)?);
        self.left_out = None;
        if !self.groups.are_of(&one.layout, &many.layout) {
            self.regroup(&many.layout, &one.layout);
            out.follow(&self.layout(&many.layout, &one.layout, &out.layout, cx.versions));
            self.groups.settle(&one.layout, &many.layout);
        }
        if many.is_empty() || one.is_empty() {
            out.present.fill(false);
            return Ok(());
        }
        self.choose(one, cx.on_conflict, &mut out.conflicts)?;
        if self.takes_over_other_labels() {
            out.follow(&self.layout(&many.layout, &one.layout, &out.layout, cx.versions));
        }
        self.combine(many, one, cx.on_conflict, out)?;
        match self.matching.cardinality {
            Cardinality::OneToOne => out.check_labels(cx),
            _ => out.check_matches(cx, |_| EvalError::GroupingNotUnique),
        }
    }

    /// Follows the layouts.
    fn regroup(&mut self, many: &Layout, one: &Layout) {
        if self.groups.follow(&self.matching, one, many) {
            (self.chosen, self.matched) = (Vec::new(), Vec::new());
        }
        let before = std::mem::take(&mut self.included_from);
        self.included_from.resize(self.groups.len(), NONE);
        let places = one.places_in(self.groups.made_from().0);
        for (i, (group, place)) in self.groups.deciding.iter().zip(places).enumerate() {
            let from = &mut self.included_from[*group as usize];
            // The one whose labels were taken over before, else any.
            let same = place.is_some_and(|p| before.get(*group as usize) == Some(&(p as u32)));
            if *from == NONE || same {
                *from = i as u32;
            }
        }
        self.chosen.resize(self.groups.len(), NONE);
        self.matched.resize(self.groups.len(), false);
    }

    /// Finds the one present element of each group.
    fn choose(
        &mut self,
        one: &Output,
        on_conflict: OnConflict,
        conflicts: &mut Conflicts,
    ) -> Result<(), EvalError> {
        self.chosen.fill(NONE);
        for i in one.places() {
            let chosen = &mut self.chosen[self.groups.deciding[i] as usize];
            if *chosen == NONE {
                *chosen = i as u32;
                continue;
            }
            let other = std::mem::replace(chosen, CROWDED);
            if other == CROWDED {
                continue;
            }
            on_conflict.meet(conflicts, || {
                let labels = &one.layout.labels;
                let group = self.matching.signature(&labels[i]);
                let error = EvalError::DuplicateMatch {
                    side: if self.matching.swaps() { "left" } else { "right" },
                    group: group.clone(),
                    first: labels[i].clone(),
                    second: labels[other as usize].clone(),
                };
                Conflict { labels: group, error }
            })?;
        }
        Ok(())
    }

    /// Follows a group that has another present element than the one the layout was made with.
    fn takes_over_other_labels(&mut self) -> bool {
        if self.matching.included().is_empty() {
            return false;
        }
        let mut other = false;
        for (from, chosen) in self.included_from.iter_mut().zip(&self.chosen) {
            if *chosen < CROWDED && *from != *chosen {
                *from = *chosen;
                other = true;
            }
        }
        other
    }

    /// The layout of the result; `made` is the one before.
    fn layout(
        &self,
        many: &Arc<Layout>,
        one: &Layout,
        made: &Layout,
        versions: &mut Versions,
    ) -> Arc<Layout> {
        if self.matching.included().is_empty() {
            let before = (self.groups.made_from().1, made);
            let drops = self.matching.cardinality == Cardinality::OneToOne
                && (self.matching.on || !self.matching.labels.is_empty());
            return many
                .mapped(versions, before, !drops, |it| result_labels(self.what(), it, None));
        }
        let labels = many
            .labels
            .iter()
            .zip(&self.groups.asking)
            .map(|(labels, group)| {
                let from = match *group {
                    NONE => None,
                    group => one.labels.get(self.included_from[group as usize] as usize),
                };
                result_labels(self.what(), labels, from)
            })
            .collect::<Vec<_>>();
        Arc::new(Layout::new(versions.next(), labels))
    }

    fn what(&self) -> (BinaryOp, bool, &Matching) {
        (self.op, self.return_bool, &self.matching)
    }

    fn combine(
        &mut self,
        many: &Output,
        one: &Output,
        on_conflict: OnConflict,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let swaps = self.matching.swaps();
        self.matched.fill(false);
        out.present.fill(false);
        let mut crowded = false;
        for i in many.places() {
            let group = self.groups.asking[i];
            if group == NONE || self.chosen[group as usize] >= CROWDED {
                continue;
            }
            let (own, other) = (many.operand(i), one.operand(self.chosen[group as usize] as usize));
            let (a, b) = if swaps { (other, own) } else { (own, other) };
            let made = match self.made(a, b) {
                Ok(Some(made)) => made,
                Ok(None) => continue,
                Err(why) => {
                    let labels = &many.layout.labels;
                    if self.left_out.is_none_or(|(_, last)| labels[last] < labels[i]) {
                        self.left_out = Some((why, i));
                    }
                    continue;
                }
            };
            if one_to_one && std::mem::replace(&mut self.matched[group as usize], true) {
                on_conflict.meet(&mut out.conflicts, || Conflict {
                    labels: self.matching.signature(&many.layout.labels[i]),
                    error: EvalError::ManyToOne,
                })?;
                self.chosen[group as usize] = CROWDED;
                crowded = true;
                continue;
            }
            match made {
                Made::Float(value) => out.put(i, Some(value)),
                Made::Histogram(histogram) => out.put_histogram(i, histogram),
            }
        }
        if crowded {
            self.take_back(&mut out.present);
            for (i, histogram) in out.histograms.iter_mut().enumerate() {
                let group = self.groups.asking[i];
                if group != NONE && self.chosen[group as usize] == CROWDED {
                    *histogram = None;
                }
            }
        }
        Ok(())
    }

    /// Why pairs were left out at the latest instant.
    pub(super) fn left_out(&self) -> Option<Incombinable> {
        self.left_out.map(|(why, _)| why)
    }

    /// What becomes of a pair; nothing, if a comparison does not hold.
    fn made(&self, a: Operand<'_>, b: Operand<'_>) -> Result<Option<Made>, Incombinable> {
        let filters = self.op.is_comparison() && !self.return_bool;
        if let (Operand::Float(a), Operand::Float(b)) = (a, b) {
            if !filters {
                return Ok(Some(Made::Float(self.op.apply(a, b))));
            }
            return Ok(self.op.holds(a, b).then_some(Made::Float(a)));
        }
        Ok(match (combine(self.op, a, b), a) {
            (Combined::Nothing(why), _) => return Err(why),
            (Combined::Histogram(histogram), _) => Some(Made::Histogram(Arc::new(histogram))),
            (Combined::Holds(holds), _) if self.return_bool => {
                Some(Made::Float(f64::from(u8::from(holds))))
            }
            (Combined::Holds(true), Operand::Histogram(left)) => {
                Some(Made::Histogram(Arc::clone(left)))
            }
            (Combined::Holds(_), _) => None,
        })
    }

    /// Makes absent what was there before the group turned out to be crowded.
    fn take_back(&self, present: &mut [bool]) {
        for (present, group) in present.iter_mut().zip(&self.groups.asking) {
            *present &= *group == NONE || self.chosen[*group as usize] != CROWDED;
        }
    }
}
