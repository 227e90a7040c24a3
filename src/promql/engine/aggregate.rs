//! An aggregation: one element for each group of a vector's elements.
//!
//! Which element belongs to which group is worked out once a layout, as dense numbers; at an
//! instant only numbers are read.
//! Source: Prometheus `promql/engine.go`, `aggregation`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::capacity;
use crate::histogram::IncompatibleHistograms;
use crate::labels::Labels;
use crate::promql::operators::histogram_fold::{mean, sum};
use crate::promql::operators::summation::quantile;
use crate::promql::syntax::clause::Grouping;
use crate::promql::syntax::operator::{AggregateOp, Fold};

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::labelsets::LabelSets;
use super::layout::{Layout, is_metadata};

/// The groups of a layout's elements.
#[derive(Debug, Default)]
pub(super) struct Groups {
    made_from: Arc<Layout>,
    numbers: HashMap<Labels, u32>,
    labels: LabelSets,
    /// The group of each element.
    pub(super) of: Vec<u32>,
    /// Elements ordered by group, and where in that order each group begins.
    members: Vec<u32>,
    starts: Vec<u32>,
}

impl Groups {
    /// Follows a layout, by its elements that are new; the labels of the groups when they are others.
    pub(super) fn refresh(
        &mut self,
        layout: &Arc<Layout>,
        grouping: &Grouping,
    ) -> Option<&LabelSets> {
        if self.made_from.version == layout.version {
            return None;
        }
        let (groups, elements) = (self.labels.len(), self.of.len());
        let mut born = Vec::new();
        let mut number = |labels: &Labels| {
            let next = (groups + born.len()) as u32;
            *self.numbers.entry(grouping.group_of(labels)).or_insert_with_key(|group| {
                born.push(group.clone());
                next
            })
        };
        let has_grown = if let Some(more) = layout.grown_from(&self.made_from) {
            self.of.extend(more.map(number));
            true
        } else {
            let before = std::mem::take(&mut self.of);
            let elements = layout.labels.iter().zip(layout.places_in(&self.made_from));
            self.of.reserve(layout.len());
            self.of.extend(elements.map(|(labels, place)| match place {
                Some(place) => before[place],
                None => number(labels),
            }));
            false
        };
        self.made_from = Arc::clone(layout);
        self.labels = self.labels.grown(born);
        if has_grown && self.append(groups as u32, elements) {
            return (self.labels.len() != groups).then_some(&self.labels);
        }
        self.order(self.labels.len());
        let dropped = self.drop_empty();
        (dropped || self.labels.len() != groups).then_some(&self.labels)
    }

    /// Adds the members of groups that are new, if the elements from a place on are of no other ones
    /// and in the order of the groups.
    fn append(&mut self, groups: u32, first: usize) -> bool {
        let new = &self.of[first..];
        if self.starts.is_empty() || !new.is_sorted() || new.first().is_some_and(|it| *it < groups)
        {
            return false;
        }
        for (i, group) in (first as u32..).zip(new) {
            self.members.push(i);
            // Groups are numbered as their first elements come, so that none is left out.
            self.starts.resize(*group as usize + 2, i);
            self.starts[*group as usize + 1] = i + 1;
        }
        true
    }

    /// Lets groups go of which no element is left; says whether there were any.
    fn drop_empty(&mut self) -> bool {
        let is_empty = |group: usize| self.members(group).is_empty();
        let kept: Vec<u32> = (0..self.len()).filter(|g| !is_empty(*g)).map(|g| g as u32).collect();
        if kept.len() == self.labels.len() {
            return false;
        }
        let mut new_number = vec![None; self.labels.len()];
        for (new, old) in kept.iter().enumerate() {
            new_number[*old as usize] = Some(new as u32);
        }
        self.labels = self.labels.followed(kept.len(), |new| &self.labels[kept[new] as usize]);
        self.numbers.retain(|_, number| {
            let new = new_number[*number as usize];
            *number = new.unwrap_or(*number);
            new.is_some()
        });
        self.numbers.shrink_to(capacity::kept(kept.len(), self.numbers.capacity()));
        self.of.iter_mut().for_each(|group| *group = new_number[*group as usize].unwrap_or(*group));
        self.order(kept.len());
        true
    }

    fn order(&mut self, groups: usize) {
        self.starts.clear();
        self.starts.shrink_to(capacity::kept(groups + 1, self.starts.capacity()));
        self.starts.resize(groups + 1, 0);
        for group in &self.of {
            self.starts[*group as usize + 1] += 1;
        }
        for i in 0..groups {
            self.starts[i + 1] += self.starts[i];
        }
        let mut next = self.starts.clone();
        self.members.clear();
        self.members.shrink_to(capacity::kept(self.of.len(), self.members.capacity()));
        self.members.resize(self.of.len(), 0);
        for (i, group) in self.of.iter().enumerate() {
            let place = &mut next[*group as usize];
            self.members[*place as usize] = i as u32;
            *place += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The elements of a group in the order of the layout.
    pub(super) fn members(&self, group: usize) -> &[u32] {
        &self.members[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}

/// Why a group has no value.
#[derive(Debug)]
pub(super) struct LeftOutGroup {
    /// There are floats and histograms in it.
    pub(super) is_mixed: bool,
    /// The first element that could not be added to those before it.
    pub(super) incompatible: Option<(usize, IncompatibleHistograms)>,
}

/// The node of an aggregation.
#[derive(Debug)]
pub(super) struct Aggregate {
    op: AggregateOp,
    grouping: Grouping,
    parameter: Option<NodeId>,
    vector: NodeId,
    groups: Groups,
    scratch: Vec<f64>,
}

impl Aggregate {
    pub(super) fn new(
        op: AggregateOp,
        grouping: Grouping,
        parameter: Option<NodeId>,
        vector: NodeId,
    ) -> Self {
        Self { op, grouping, parameter, vector, groups: Groups::default(), scratch: Vec::new() }
    }

    /// The quantile.
    pub(super) fn parameter(&self) -> Option<NodeId> {
        self.parameter
    }

    pub(super) fn vector(&self) -> NodeId {
        self.vector
    }

    /// Whether elements are added up, so that those of a group must be of one kind.
    pub(super) fn adds_up(&self) -> bool {
        matches!(self.op, AggregateOp::Fold(Fold::Sum | Fold::Avg))
    }

    /// Of what is added up: the groups that have no value because of what is in them.
    pub(super) fn left_out<'a>(
        &'a self,
        input: &'a Output,
    ) -> impl Iterator<Item = LeftOutGroup> + 'a {
        (0..self.groups.len()).filter_map(|group| {
            let members = self.groups.members(group).iter().map(|i| *i as usize);
            left_out(members.clone(), input)?;
            // Which one is odd depends on the order. Prometheus has series as they began or, where it merges
            // several blocks, in the order of their labels, which is the one that can be known here.
            let mut members: Vec<usize> = members.collect();
            members.sort_by(|a, b| input.layout.labels[*a].cmp(&input.layout.labels[*b]));
            left_out(members, input)
        })
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        let parameter = match self.parameter {
            Some(id) => inputs.scalar(id)?,
            None => 0.0,
        };
        if let Some(labels) = self.groups.refresh(&input.layout, &self.grouping) {
            let may_have_name = self.grouping.without
                || self.grouping.labels.iter().any(|label| is_metadata(label));
            let make = if may_have_name { Layout::distinct } else { Layout::apart };
            out.follow(&Arc::new(make(cx.versions.next(), labels.clone())));
        }
        for group in 0..self.groups.len() {
            if !input.histograms.is_empty() && self.has_histograms(group, input) {
                self.of_histograms(group, input, out);
                continue;
            }
            let mut values = self
                .groups
                .members(group)
                .iter()
                .map(|i| *i as usize)
                .filter(|i| input.present[*i])
                .map(|i| input.values[i]);
            let value = match (self.op, values.next()) {
                (_, None) => None,
                (AggregateOp::Quantile, Some(first)) => {
                    self.scratch.clear();
                    self.scratch.push(first);
                    self.scratch.extend(values);
                    Some(quantile(parameter, &mut self.scratch))
                }
                (AggregateOp::Fold(fold), Some(first)) => Some(fold.apply(first, values)),
            };
            out.put(group, value);
        }
        Ok(())
    }

    /// Whether a group has elements that are native histograms, and they matter.
    fn has_histograms(&self, group: usize, input: &Output) -> bool {
        let matters =
            matches!(self.op, AggregateOp::Fold(Fold::Sum | Fold::Avg | Fold::Count | Fold::Group));
        matters && self.groups.members(group).iter().any(|i| input.histogram(*i as usize).is_some())
    }

    /// Puts what becomes of a group with native histograms: nothing, where there are numbers among what is to
    /// be added up.
    fn of_histograms(&self, group: usize, input: &Output, out: &mut Output) {
        let members = || self.groups.members(group).iter().map(|i| *i as usize);
        let has_floats = members().any(|i| input.present[i]);
        let mut histograms = members().filter_map(|i| input.histogram(i)).map(|it| &**it);
        let made = match (self.op, histograms.next()) {
            (AggregateOp::Fold(Fold::Count), _) => {
                out.put(group, Some(members().filter(|i| input.has(*i)).count() as f64));
                return;
            }
            (AggregateOp::Fold(Fold::Group), _) => {
                out.put(group, Some(1.0));
                return;
            }
            (AggregateOp::Fold(Fold::Sum), Some(first)) if !has_floats => {
                sum(first, histograms).ok()
            }
            (AggregateOp::Fold(Fold::Avg), Some(first)) if !has_floats => {
                mean(first, histograms).ok()
            }
            _ => None,
        };
        out.put(group, None);
        if let Some(made) = made {
            out.put_histogram(group, Arc::new(made));
        }
    }
}

/// Looks at the members of a group until two histograms are not compatible, as Prometheus does.
fn left_out(members: impl IntoIterator<Item = usize>, input: &Output) -> Option<LeftOutGroup> {
    let mut members = members.into_iter().filter(|i| input.has(*i));
    let sum = input.histogram(members.next()?);
    let (mut has_floats, mut has_histograms) = (sum.is_none(), sum.is_some());
    let mut incompatible = None;
    for i in members {
        let Some(histogram) = input.histogram(i) else {
            has_floats = true;
            continue;
        };
        has_histograms = true;
        if let Some(Err(error)) = sum.map(|sum| sum.compatible_with(histogram)) {
            incompatible = Some((i, error));
            break;
        }
    }
    let is_mixed = has_floats && has_histograms;
    (is_mixed || incompatible.is_some()).then_some(LeftOutGroup { is_mixed, incompatible })
}
