//! Arithmetic and comparison where an operand is a native histogram.
//!
//! In: operands, of which one at least is a histogram. Out: a histogram, whether they are equal, or nothing
//! where an operator is not for them: `+`, `-`, `==` and `!=` are for two histograms, `*` for a histogram and a
//! number in any order, `/` for a histogram by a number.
//!
//! Source: Prometheus 3.5 `promql/engine.go`, `vectorElemBinop`.

use std::sync::Arc;

use crate::histogram::NativeHistogram;
use crate::promql::syntax::operator::BinaryOp;

/// An operand of either kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operand<'a> {
    Float(f64),
    Histogram(&'a Arc<NativeHistogram>),
}

/// What an operator gives.
#[derive(Debug, Clone)]
pub(crate) enum Combined {
    /// It is not for these operands.
    Nothing,
    /// A comparison.
    Holds(bool),
    Histogram(NativeHistogram),
}

/// The result of an operator.
pub(crate) fn combine(op: BinaryOp, left: Operand<'_>, right: Operand<'_>) -> Combined {
    match (op, left, right) {
        (BinaryOp::Equal, Operand::Histogram(a), Operand::Histogram(b)) => {
            Combined::Holds(a.equals(b))
        }
        (BinaryOp::NotEqual, Operand::Histogram(a), Operand::Histogram(b)) => {
            Combined::Holds(!a.equals(b))
        }
        (BinaryOp::Add, Operand::Histogram(a), Operand::Histogram(b)) => {
            changed(a, |it| it.add(b).is_ok())
        }
        (BinaryOp::Sub, Operand::Histogram(a), Operand::Histogram(b)) => {
            changed(a, |it| it.sub(b).is_ok())
        }
        (BinaryOp::Mul, Operand::Histogram(it), Operand::Float(factor))
        | (BinaryOp::Mul, Operand::Float(factor), Operand::Histogram(it)) => changed(it, |it| {
            it.multiply(factor);
            true
        }),
        (BinaryOp::Div, Operand::Histogram(it), Operand::Float(divisor)) => changed(it, |it| {
            it.divide(divisor);
            true
        }),
        _ => Combined::Nothing,
    }
}

fn changed(
    histogram: &NativeHistogram,
    change: impl FnOnce(&mut NativeHistogram) -> bool,
) -> Combined {
    let mut histogram = histogram.clone();
    if !change(&mut histogram) {
        return Combined::Nothing;
    }
    histogram.compact();
    Combined::Histogram(histogram)
}
