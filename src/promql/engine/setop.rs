//! A set operator: elements of one vector chosen by what is in another.
//!
//! `and` keeps what has a match on the right, `unless` what has none; `or` adds to the left what
//! has no match there. Labels and values stay as they are, metric name included.
//! Source: Prometheus `promql/engine.go`, `VectorAnd`, `VectorOr`, `VectorUnless`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;
use crate::promql::syntax::clause::Matching;
use crate::promql::syntax::operator::SetOp;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::layout::{Layout, Versions};

/// No group: nothing on the side that decides agrees.
const NONE: u32 = u32::MAX;

/// The node of a set operator. `decides` is the side that says of a group whether the elements of the
/// other one, `asks`, are wanted: of `or` the left one, else the right one.
#[derive(Debug)]
pub(super) struct Set {
    op: SetOp,
    matching: Matching,
    left: NodeId,
    right: NodeId,
    /// The layouts that the groups were made from: of `decides` and of `asks`.
    made_from: (Arc<Layout>, Arc<Layout>),
    /// Of `decides`, by the labels that must agree; a group of which no element is left does no harm.
    groups: HashMap<Labels, u32>,
    decides_group: Vec<u32>,
    asks_group: Vec<u32>,
    /// Groups with a present element on the side that decides.
    seen: Vec<bool>,
}

impl Set {
    pub(super) fn new(op: SetOp, matching: Matching, left: NodeId, right: NodeId) -> Self {
        Self {
            op,
            matching,
            left,
            right,
            made_from: Default::default(),
            groups: HashMap::new(),
            decides_group: Vec::new(),
            asks_group: Vec::new(),
            seen: Vec::new(),
        }
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let (left, right) = (inputs.vector(self.left)?, inputs.vector(self.right)?);
        let (decides, asks) = if self.op == SetOp::Or { (left, right) } else { (right, left) };
        let versions = (decides.layout.version, asks.layout.version);
        if (self.made_from.0.version, self.made_from.1.version) != versions {
            self.regroup(&decides.layout, &asks.layout);
            out.follow(&self.layout(&left.layout, &right.layout, cx.versions));
        }
        self.seen.fill(false);
        for (i, _) in decides.elements() {
            self.seen[self.decides_group[i] as usize] = true;
        }
        // Where the elements of `asks` begin in the result.
        let split = out.layout.len() - asks.layout.len();
        out.values[..split].copy_from_slice(&decides.values[..split]);
        out.present[..split].copy_from_slice(&decides.present[..split]);
        out.values[split..].copy_from_slice(&asks.values);
        let wanted = self.op == SetOp::And;
        let elements = out.present[split..].iter_mut().zip(&asks.present).zip(&self.asks_group);
        for ((present, there), group) in elements {
            let agrees = *group != NONE && self.seen[*group as usize];
            *present = *there && agrees == wanted;
        }
        out.check_labels(cx)
    }

    /// Follows the layouts, by their elements that are new.
    fn regroup(&mut self, decides: &Arc<Layout>, asks: &Arc<Layout>) {
        if self.groups.len() > 2 * decides.len() {
            // Most groups are of elements that are gone, and so is what is kept by group.
            self.groups = HashMap::new();
            self.seen = Vec::new();
            self.made_from = Default::default();
        }
        let known = self.groups.len() as u32;
        let elements = decides.labels.iter().zip(decides.places_in(&self.made_from.0));
        self.decides_group = elements
            .map(|(labels, before)| match before {
                Some(place) => self.decides_group[place],
                None => {
                    let next = self.groups.len() as u32;
                    *self.groups.entry(self.matching.signature(labels)).or_insert(next)
                }
            })
            .collect();
        let none_is_new = self.groups.len() as u32 == known;
        let find = |labels| match self.groups.is_empty() {
            true => NONE,
            false => self.groups.get(&self.matching.signature(labels)).copied().unwrap_or(NONE),
        };
        let elements = asks.labels.iter().zip(asks.places_in(&self.made_from.1));
        self.asks_group = elements
            .map(|(labels, before)| match before.map(|place| self.asks_group[place]) {
                Some(group) if group != NONE || none_is_new => group,
                _ => find(labels),
            })
            .collect();
        self.seen.resize(self.groups.len(), false);
        self.made_from = (Arc::clone(decides), Arc::clone(asks));
    }

    fn layout(
        &self,
        left: &Arc<Layout>,
        right: &Arc<Layout>,
        versions: &mut Versions,
    ) -> Arc<Layout> {
        if self.op != SetOp::Or || right.is_empty() {
            return Arc::clone(left);
        }
        if left.is_empty() {
            return Arc::clone(right);
        }
        Arc::new(Layout::new(versions.next(), left.labels.then(&right.labels)))
    }
}
