//! A relabelling: the same values under other labels.

use crate::promql::syntax::relabel::Relabel;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;

/// The node of a relabelling.
#[derive(Debug)]
pub(super) struct Relabelled {
    pub(super) relabel: Relabel,
    pub(super) vector: NodeId,
}

impl Relabelled {
    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        out.derive(&input.layout, cx.versions, false, |labels| self.relabel.apply(labels));
        out.copy(input);
        out.check_run(cx, Some(&input.layout))
    }
}
