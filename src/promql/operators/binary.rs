//! Arithmetic and comparison of two numbers.
//!
//! Source: Prometheus `promql/engine.go`, `scalarBinop`.

use crate::promql::syntax::operator::BinaryOp;

impl BinaryOp {
    /// The result of arithmetic; of a comparison 0 or 1.
    pub(crate) fn apply(self, a: f64, b: f64) -> f64 {
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
    pub(crate) fn holds(self, a: f64, b: f64) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::operators::any_sample::is_same_value;

    #[track_caller]
    fn check(op: BinaryOp, a: f64, b: f64, expected: f64) {
        let got = op.apply(a, b);
        assert!(is_same_value(got, expected), "{a} {op:?} {b} is {got} and not {expected}");
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
