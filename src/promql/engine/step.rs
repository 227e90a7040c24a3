//! A step: what a node does at an instant, by its kind.

use super::aggregate::Aggregate;
use super::binary::{ScalarBinary, VectorScalar};
use super::context::{Context, Inputs, NodeId, Output};
use super::count_values::CountValues;
use super::error::EvalError;
use super::histogram::Histogram;
use super::map::Map;
use super::matching::VectorBinary;
use super::narrowed::Narrowed;
use super::range::{AbsentOverTime, Range};
use super::reduce::{Absent, ScalarOf};
use super::relabel::Relabelled;
use super::select::Select;
use super::setop::Set;
use super::subquery::Subquery;
use super::topk::Top;

/// What a node does.
#[derive(Debug)]
pub(super) enum Step {
    /// A scalar, or a vector of one element, that never changes: set when bound.
    Constant,
    Time,
    Select(Select),
    Range(Range),
    Narrowed(Narrowed),
    Subquery(Box<Subquery>),
    AbsentOverTime(AbsentOverTime),
    Map(Map),
    Relabelled(Relabelled),
    VectorOf(NodeId),
    ScalarOf(ScalarOf),
    Absent(Absent),
    Histogram(Histogram),
    CountValues(CountValues),
    Aggregate(Aggregate),
    Top(Top),
    ScalarBinary(ScalarBinary),
    VectorScalar(VectorScalar),
    VectorBinary(VectorBinary),
    Set(Set),
}

impl Step {
    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        match self {
            Self::Constant => Ok(()),
            Self::Time => {
                out.scalar = cx.time_ms as f64 / 1000.0;
                Ok(())
            }
            Self::Select(select) => select.eval(cx, out),
            Self::VectorOf(scalar) => {
                out.put(0, Some(inputs.scalar(*scalar)?));
                Ok(())
            }
            Self::Range(node) => node.eval(cx, inputs, out),
            Self::Narrowed(node) => node.eval(cx, inputs, out),
            Self::Subquery(node) => node.eval(cx, out),
            Self::AbsentOverTime(node) => node.eval(cx, inputs, out),
            Self::Map(node) => node.eval(cx, inputs, out),
            Self::Relabelled(node) => node.eval(cx, inputs, out),
            Self::ScalarOf(node) => node.eval(inputs, out),
            Self::Absent(node) => node.eval(inputs, out),
            Self::Histogram(node) => node.eval(cx, inputs, out),
            Self::CountValues(node) => node.eval(cx, inputs, out),
            Self::Aggregate(node) => node.eval(cx, inputs, out),
            Self::Top(node) => node.eval(cx, inputs, out),
            Self::ScalarBinary(node) => node.eval(inputs, out),
            Self::VectorScalar(node) => node.eval(cx, inputs, out),
            Self::VectorBinary(node) => node.eval(cx, inputs, out),
            Self::Set(node) => node.eval(cx, inputs, out),
        }
    }
}
