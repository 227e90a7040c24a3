//! A set operator: elements of one vector chosen by what is in another.
//!
//! `and` keeps what has a match on the right, `unless` what has none; `or` adds to the left what
//! has no match there. Labels and values stay as they are, metric name included.
//! Source: Prometheus `promql/engine.go`, `VectorAnd`, `VectorOr`, `VectorUnless`.

use std::sync::Arc;

use crate::promql::syntax::clause::Matching;
use crate::promql::syntax::operator::SetOp;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::groups::{Groups, NONE};
use super::layout::{Layout, Versions};

/// The node of a set operator. `decides` is the side that says of a group whether the elements of the
/// other one, `asks`, are wanted: of `or` the left one, else the right one.
#[derive(Debug)]
pub(super) struct Set {
    op: SetOp,
    matching: Matching,
    left: NodeId,
    right: NodeId,
    groups: Groups,
    /// Groups with a present element on the side that decides.
    seen: Vec<bool>,
}

impl Set {
    pub(super) fn new(op: SetOp, matching: Matching, left: NodeId, right: NodeId) -> Self {
        Self { op, matching, left, right, groups: Groups::default(), seen: Vec::new() }
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let (left, right) = (inputs.vector(self.left)?, inputs.vector(self.right)?);
        let (decides, asks) = if self.op == SetOp::Or { (left, right) } else { (right, left) };
        if !self.groups.are_of(&decides.layout, &asks.layout) {
            self.groups.follow(&self.matching, &decides.layout, &asks.layout);
            self.groups.settle(&decides.layout, &asks.layout);
            self.seen.resize(self.groups.len(), false);
            out.follow(&self.layout(&left.layout, &right.layout, cx.versions));
        }
        self.seen.fill(false);
        for i in decides.places() {
            self.seen[self.groups.deciding[i] as usize] = true;
        }
        // Where the elements of `asks` begin in the result.
        let split = out.layout.len() - asks.layout.len();
        out.values[..split].copy_from_slice(&decides.values[..split]);
        out.present[..split].copy_from_slice(&decides.present[..split]);
        out.values[split..].copy_from_slice(&asks.values);
        let wanted = self.op == SetOp::And;
        let elements = out.present[split..].iter_mut().zip(&asks.present).zip(&self.groups.asking);
        for ((present, there), group) in elements {
            let agrees = *group != NONE && self.seen[*group as usize];
            *present = *there && agrees == wanted;
        }
        for (i, histogram) in decides.histograms().filter(|(i, _)| *i < split) {
            out.put_histogram(i, Arc::clone(histogram));
        }
        for (i, histogram) in asks.histograms() {
            let group = self.groups.asking[i];
            let agrees = group != NONE && self.seen[group as usize];
            if agrees == wanted {
                out.put_histogram(split + i, Arc::clone(histogram));
            }
        }
        out.check_labels(cx)
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
