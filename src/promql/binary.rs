//! A binary operator: arithmetic and comparison between scalars, and of a vector with a scalar.
//!
//! A comparison without `bool` filters: what fails it is absent, what stays keeps its value. With
//! `bool` it gives 0 or 1. Arithmetic and `bool` drop the metric name.
//! Source: Prometheus `promql/engine.go`, `scalarBinop`, `VectorscalarBinop`.

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;

/// An operator on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(super) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
}

impl BinaryOp {
    pub(super) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterEqual
                | Self::LessEqual
        )
    }

    /// The result of arithmetic; of a comparison 0 or 1.
    pub(super) fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            // The sign of the dividend, as C's fmod.
            Self::Mod => a % b,
            Self::Pow => a.powf(b),
            Self::Atan2 => a.atan2(b),
            _ => f64::from(u8::from(self.holds(a, b))),
        }
    }

    /// Whether a comparison holds; arithmetic always does.
    pub(super) fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Greater => a > b,
            Self::Less => a < b,
            Self::GreaterEqual => a >= b,
            Self::LessEqual => a <= b,
            _ => true,
        }
    }
}

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
}

impl VectorScalar {
    pub(super) fn eval(
        &self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        let scalar = inputs.scalar(self.scalar)?;
        let sides = |value| {
            if self.swapped { (scalar, value) } else { (value, scalar) }
        };
        if self.op.is_comparison() && !self.return_bool {
            out.follow(&input.layout);
            out.copy(input);
            for (present, value) in out.present.iter_mut().zip(&input.values) {
                let (a, b) = sides(*value);
                *present &= self.op.holds(a, b);
            }
            return Ok(());
        }
        out.derive_nameless(&input.layout, cx.versions);
        out.present.copy_from_slice(&input.present);
        for (to, value) in out.values.iter_mut().zip(&input.values) {
            let (a, b) = sides(*value);
            *to = self.op.apply(a, b);
        }
        out.check_labels(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(op: BinaryOp, a: f64, b: f64, expected: f64) {
        let got = op.apply(a, b);
        assert!(
            got == expected || got.is_nan() && expected.is_nan(),
            "{a} {op:?} {b} is {got} and not {expected}"
        );
    }

    #[test]
    fn arithmetic_as_go_has_it() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        check(BinaryOp::Mod, -7.0, 3.0, -1.0);
        check(BinaryOp::Mod, 7.5, -2.0, 1.5);
        check(BinaryOp::Mod, 1.0, 0.0, nan);
        check(BinaryOp::Mod, 1.0, inf, 1.0);
        check(BinaryOp::Pow, nan, 0.0, 1.0);
        check(BinaryOp::Pow, -1.0, inf, 1.0);
        check(BinaryOp::Pow, -8.0, 1.0 / 3.0, nan);
        check(BinaryOp::Div, 1.0, 0.0, inf);
        check(BinaryOp::Atan2, 1.0, 1.0, std::f64::consts::FRAC_PI_4);
    }

    #[test]
    fn comparisons_with_nan() {
        let nan = f64::NAN;
        check(BinaryOp::Equal, nan, nan, 0.0);
        check(BinaryOp::NotEqual, nan, nan, 1.0);
        check(BinaryOp::GreaterEqual, nan, 0.0, 0.0);
        check(BinaryOp::LessEqual, 2.0, 2.0, 1.0);
    }
}
