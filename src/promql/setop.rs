//! A set operator: elements of one vector chosen by what is in another.
//!
//! `and` keeps what has a match on the right, `unless` what has none; `or` adds to the left what
//! has no match there. Labels and values stay as they are, metric name included.
//! Source: Prometheus `promql/engine.go`, `VectorAnd`, `VectorOr`, `VectorUnless`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::layout::{Layout, Versions};
use super::matching::Matching;

/// Which set operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(super) enum SetOp {
    And,
    Or,
    Unless,
}

/// The node of a set operator.
#[derive(Debug)]
pub(super) struct Set {
    op: SetOp,
    matching: Matching,
    left: NodeId,
    right: NodeId,
    /// Versions of the layouts that the groups were made from.
    made_from: (u64, u64),
    left_group: Vec<u32>,
    right_group: Vec<u32>,
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
            made_from: (0, 0),
            left_group: Vec::new(),
            right_group: Vec::new(),
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
        let versions = (left.layout.version, right.layout.version);
        if self.made_from != versions {
            self.regroup(&left.layout, &right.layout);
            self.made_from = versions;
            out.follow(&self.layout(&left.layout, &right.layout, cx.versions));
        }
        self.seen.fill(false);
        match self.op {
            SetOp::And | SetOp::Unless => {
                for (i, _) in right.elements() {
                    self.seen[self.right_group[i] as usize] = true;
                }
                out.copy(left);
                let wanted = self.op == SetOp::And;
                for (present, group) in out.present.iter_mut().zip(&self.left_group) {
                    *present &= self.seen[*group as usize] == wanted;
                }
            }
            SetOp::Or => {
                let split = left.layout.len();
                out.values[..split].copy_from_slice(&left.values);
                out.values[split..].copy_from_slice(&right.values);
                out.present[..split].copy_from_slice(&left.present);
                for (i, _) in left.elements() {
                    self.seen[self.left_group[i] as usize] = true;
                }
                for (i, group) in self.right_group.iter().enumerate() {
                    out.present[split + i] = right.present[i] && !self.seen[*group as usize];
                }
            }
        }
        out.check_labels(cx)
    }

    fn regroup(&mut self, left: &Layout, right: &Layout) {
        let mut groups: HashMap<Labels, u32> = HashMap::new();
        let mut number = |layout: &Layout, into: &mut Vec<u32>| {
            into.clear();
            into.extend(layout.labels.iter().map(|labels| {
                let next = groups.len() as u32;
                *groups.entry(self.matching.signature(labels)).or_insert(next)
            }));
        };
        number(left, &mut self.left_group);
        number(right, &mut self.right_group);
        self.seen.resize(groups.len(), false);
    }

    fn layout(&self, left: &Arc<Layout>, right: &Layout, versions: &mut Versions) -> Arc<Layout> {
        if self.op != SetOp::Or {
            return Arc::clone(left);
        }
        let labels = left.labels.iter().chain(&right.labels).cloned().collect();
        Arc::new(Layout::new(versions.next(), labels))
    }
}
