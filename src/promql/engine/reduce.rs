//! A reduction: what is asked of a vector as a whole; its only value, or that it has none.

use super::context::{Inputs, NodeId, Output};
use super::error::EvalError;

/// The node of `scalar`.
#[derive(Debug)]
pub(super) struct ScalarOf {
    pub(super) vector: NodeId,
}

impl ScalarOf {
    /// # NaN
    /// NaN unless the vector has exactly one element.
    pub(super) fn eval(&self, inputs: Inputs, out: &mut Output) -> Result<(), EvalError> {
        let mut elements = inputs.vector(self.vector)?.elements();
        out.scalar = match (elements.next(), elements.next()) {
            (Some((_, value)), None) => value,
            _ => f64::NAN,
        };
        Ok(())
    }
}

/// The node of `absent`. Its layout is the one element with the labels that were asked for, set
/// when bound.
#[derive(Debug)]
pub(super) struct Absent {
    pub(super) vector: NodeId,
}

impl Absent {
    pub(super) fn eval(&self, inputs: Inputs, out: &mut Output) -> Result<(), EvalError> {
        let absent = inputs.vector(self.vector)?.is_empty();
        out.put(0, absent.then_some(1.0));
        Ok(())
    }
}
