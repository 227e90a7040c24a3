//! Arithmetic and comparison where an operand is a native histogram.
//!
//! In: operands, of which one at least is a histogram. Out: a histogram, whether they are equal, or why there is
//! nothing, where an operator is not for them: `+`, `-`, `==` and `!=` are for two histograms, `*` for a histogram and a
//! number in any order, `/` for a histogram by a number.
//!
//! Source: Prometheus 3.5 `promql/engine.go`, `vectorElemBinop`.

use std::sync::Arc;

use crate::histogram::{IncompatibleHistograms, NativeHistogram};
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
    Nothing(Incombinable),
    /// A comparison.
    Holds(bool),
    Histogram(NativeHistogram),
}

/// Why an operator gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incombinable {
    /// It is not for operands of these kinds.
    Kinds { left_is_histogram: bool, right_is_histogram: bool },
    /// It is for histograms, but the buckets of these two cannot be brought together.
    Buckets,
}

impl Incombinable {
    /// Whether it is an info, of what may be wrong; the other is a warning.
    pub(crate) const fn is_info(self) -> bool {
        matches!(self, Self::Kinds { .. })
    }

    /// Its text, of the operator with this name, without the place.
    pub(crate) fn text(self, operator: &str) -> String {
        let kind = |is_histogram| if is_histogram { "histogram" } else { "float" };
        match self {
            Self::Kinds { left_is_histogram, right_is_histogram } => format!(
                "PromQL info: incompatible sample types encountered for binary operator \
                 {operator:?}: {} {operator} {}",
                kind(left_is_histogram),
                kind(right_is_histogram)
            ),
            Self::Buckets => format!(
                "PromQL warning: incompatible bucket layout encountered for binary operator {operator}"
            ),
        }
    }
}

impl From<IncompatibleHistograms> for Incombinable {
    fn from(_: IncompatibleHistograms) -> Self {
        Self::Buckets
    }
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
        (BinaryOp::Add, Operand::Histogram(a), Operand::Histogram(b)) => changed(a, |it| it.add(b)),
        (BinaryOp::Sub, Operand::Histogram(a), Operand::Histogram(b)) => changed(a, |it| it.sub(b)),
        (BinaryOp::Mul, Operand::Histogram(it), Operand::Float(factor))
        | (BinaryOp::Mul, Operand::Float(factor), Operand::Histogram(it)) => changed(it, |it| {
            it.multiply(factor);
            Ok(())
        }),
        (BinaryOp::Div, Operand::Histogram(it), Operand::Float(divisor)) => changed(it, |it| {
            it.divide(divisor);
            Ok(())
        }),
        _ => Combined::Nothing(Incombinable::Kinds {
            left_is_histogram: matches!(left, Operand::Histogram(_)),
            right_is_histogram: matches!(right, Operand::Histogram(_)),
        }),
    }
}

fn changed(
    histogram: &NativeHistogram,
    change: impl FnOnce(&mut NativeHistogram) -> Result<(), IncompatibleHistograms>,
) -> Combined {
    let mut histogram = histogram.clone();
    if let Err(error) = change(&mut histogram) {
        return Combined::Nothing(error.into());
    }
    histogram.compact();
    Combined::Histogram(histogram)
}
