//! A binary operator: arithmetic and comparison between scalars, and of a vector with a scalar.
//!
//! A comparison without `bool` filters: what fails it is absent, what stays keeps its value. With
//! `bool` it gives 0 or 1. Arithmetic and `bool` drop the metric name. What an operator is not for (a
//! histogram compared with a number, say) is absent.
//! Source: Prometheus `promql/engine.go`, `scalarBinop`, `VectorscalarBinop`.

use std::sync::Arc;

use crate::promql::operators::histogram_binary::{Combined, Incombinable, Operand, combine};
use crate::promql::syntax::operator::BinaryOp;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;

/// The node of an operator between two scalars.
#[derive(Debug)]
pub(super) struct ScalarBinary {
    pub(super) op: BinaryOp,
    pub(super) left: NodeId,
    pub(super) right: NodeId,
}

impl ScalarBinary {
    pub(super) fn eval(&self, inputs: Inputs, out: &mut Output) -> Result<(), EvalError> {
        out.scalar = self.op.apply(inputs.scalar(self.left)?, inputs.scalar(self.right)?);
        Ok(())
    }
}

/// The node of an operator between a vector and a scalar.
#[derive(Debug)]
pub(super) struct VectorScalar {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    pub(super) vector: NodeId,
    pub(super) scalar: NodeId,
    /// The scalar stands on the left.
    pub(super) swapped: bool,
    /// Why histograms were left out at the latest instant.
    pub(super) left_out: Option<Incombinable>,
}

impl VectorScalar {
    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        let scalar = inputs.scalar(self.scalar)?;
        let swapped = self.swapped;
        let sides = |value| {
            if swapped { (scalar, value) } else { (value, scalar) }
        };
        self.left_out = None;
        if self.op.is_comparison() && !self.return_bool {
            out.follow(&input.layout);
            out.values.copy_from_slice(&input.values);
            // A histogram compares with no number.
            for (i, value) in input.values.iter().enumerate() {
                let (a, b) = sides(*value);
                out.present[i] = input.present[i] && self.op.holds(a, b);
            }
            self.left_out = input.histograms().next().map(|_| Incombinable::Kinds {
                left_is_histogram: !swapped,
                right_is_histogram: swapped,
            });
            return Ok(());
        }
        out.derive_nameless(&input.layout, cx.versions);
        out.present.copy_from_slice(&input.present);
        for (to, value) in out.values.iter_mut().zip(&input.values) {
            let (a, b) = sides(*value);
            *to = self.op.apply(a, b);
        }
        for (i, histogram) in input.histograms() {
            let (own, number) = (Operand::Histogram(histogram), Operand::Float(scalar));
            let (a, b) = if swapped { (number, own) } else { (own, number) };
            match combine(self.op, a, b) {
                Combined::Histogram(made) => out.put_histogram(i, Arc::new(made)),
                Combined::Nothing(why) => self.left_out = Some(why),
                Combined::Holds(_) => {}
            }
        }
        out.check_labels(cx)
    }
}
