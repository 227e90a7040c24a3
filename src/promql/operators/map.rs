//! A function of each element of a vector by itself.
//!
//! Source: Prometheus `promql/functions.go`; Go's `math` for the special cases.

use crate::promql::syntax::function::MapFunction;

use super::calendar::field;

/// The function of each value, at an instant. Absent elements get a value too, which nobody reads: no
/// branch in the loop.
pub(crate) fn apply(
    function: MapFunction,
    input: &[f64],
    (out, present): (&mut [f64], &mut [bool]),
    parameters: &[f64],
    time_ms: i64,
) {
    match function {
        MapFunction::Negate => each(input, out, |v| -v),
        MapFunction::Abs => each(input, out, f64::abs),
        MapFunction::Ceil => each(input, out, f64::ceil),
        MapFunction::Floor => each(input, out, f64::floor),
        MapFunction::Round => {
            // Multiplying by the inverse, as Prometheus does.
            let inverse = 1.0 / parameters.first().copied().unwrap_or(1.0);
            each(input, out, |v| (v * inverse + 0.5).floor() / inverse);
        }
        MapFunction::Sgn => each(input, out, sgn),
        MapFunction::Sqrt => each(input, out, f64::sqrt),
        MapFunction::Exp => each(input, out, f64::exp),
        MapFunction::Ln => each(input, out, f64::ln),
        MapFunction::Log2 => each(input, out, f64::log2),
        MapFunction::Log10 => each(input, out, f64::log10),
        MapFunction::Sin => each(input, out, f64::sin),
        MapFunction::Cos => each(input, out, f64::cos),
        MapFunction::Tan => each(input, out, f64::tan),
        MapFunction::Asin => each(input, out, f64::asin),
        MapFunction::Acos => each(input, out, f64::acos),
        MapFunction::Atan => each(input, out, f64::atan),
        MapFunction::Sinh => each(input, out, f64::sinh),
        MapFunction::Cosh => each(input, out, f64::cosh),
        MapFunction::Tanh => each(input, out, f64::tanh),
        MapFunction::Asinh => each(input, out, libm::asinh),
        MapFunction::Acosh => each(input, out, acosh),
        MapFunction::Atanh => each(input, out, f64::atanh),
        MapFunction::Deg => each(input, out, |v| v * 180.0 / std::f64::consts::PI),
        MapFunction::Rad => each(input, out, |v| v * std::f64::consts::PI / 180.0),
        MapFunction::Clamp => clamp(input, (out, present), parameters[0], parameters[1]),
        MapFunction::ClampMin => clamp(input, (out, present), parameters[0], f64::INFINITY),
        MapFunction::ClampMax => clamp(input, (out, present), f64::NEG_INFINITY, parameters[0]),
        MapFunction::EvalTime => each(input, out, |_| time_ms as f64 / 1000.0),
        // A number is no histogram; what histograms give is put by who has them.
        MapFunction::OfHistogram(_) => present.fill(false),
        MapFunction::Calendar(which) => each(input, out, |v| field(which, whole_seconds(v))),
    }
}

/// A time as Go converts it on amd64, where Prometheus mostly runs.
///
/// # NaN
/// NaN and what does not fit, on either side, is the last second of all.
fn whole_seconds(value: f64) -> i64 {
    if value.is_nan() || value < i64::MIN as f64 { i64::MAX } else { value as i64 }
}

fn each(input: &[f64], out: &mut [f64], function: impl Fn(f64) -> f64) {
    for (to, from) in out.iter_mut().zip(input) {
        *to = function(*from);
    }
}

/// Right where the square of the value is too large for a number, and close to one.
///
/// # NaN
/// Of anything below one.
fn acosh(value: f64) -> f64 {
    if value < 1.0 { f64::NAN } else { libm::acosh(value) }
}

/// # NaN
/// A NaN has no sign: it stays.
fn sgn(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

fn clamp(input: &[f64], (out, present): (&mut [f64], &mut [bool]), min: f64, max: f64) {
    if max < min {
        present.fill(false);
        return;
    }
    each(input, out, |v| go_max(min, go_min(max, v)));
}

/// Go's `math.Max`: +Inf beats NaN, NaN beats everything else.
fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`: -Inf beats NaN, NaN beats everything else.
fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::operators::any_sample::is_same_value;
    use crate::promql::syntax::function::CalendarField;

    #[track_caller]
    fn check(function: MapFunction, parameters: &[f64], value: f64, expected: f64) {
        let mut out = [0.0];
        apply(function, &[value], (&mut out, &mut [true]), parameters, 5_500);
        let [got] = out;
        assert!(
            is_same_value(got, expected),
            "{function:?}({value}, {parameters:?}) is {got} and not {expected}"
        );
    }

    #[test]
    fn rounding() {
        check(MapFunction::Round, &[], 2.5, 3.0);
        check(MapFunction::Round, &[], -2.5, -2.0);
        check(MapFunction::Round, &[0.5], 1.3, 1.5);
        check(MapFunction::Round, &[], f64::NAN, f64::NAN);
        check(MapFunction::Sgn, &[], -3.0, -1.0);
        check(MapFunction::Sgn, &[], f64::NAN, f64::NAN);
        check(MapFunction::Ceil, &[], -0.5, -0.0);
    }

    #[test]
    fn clamping() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        check(MapFunction::Clamp, &[1.0, 3.0], 5.0, 3.0);
        check(MapFunction::Clamp, &[1.0, 3.0], nan, nan);
        check(MapFunction::ClampMin, &[1.0], -inf, 1.0);
        check(MapFunction::ClampMax, &[1.0], inf, 1.0);
        check(MapFunction::ClampMax, &[nan], 1.0, nan);
        check(MapFunction::ClampMin, &[inf], nan, inf);
        check(MapFunction::ClampMax, &[-inf], nan, -inf);
    }

    /// What Prometheus 3.5 answers.
    #[test]
    fn inverse_hyperbolic_functions_of_large_and_close_values() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        check(MapFunction::Acosh, &[], 1e308, 709.889_355_822_726);
        check(MapFunction::Asinh, &[], 1e308, 709.889_355_822_726);
        check(MapFunction::Asinh, &[], -1e308, -709.889_355_822_726);
        check(MapFunction::Acosh, &[], 1.000_000_000_000_000_2, 2.107_342_425_544_701_7e-8);
        check(MapFunction::Acosh, &[], 1.0, 0.0);
        check(MapFunction::Acosh, &[], inf, inf);
        for value in [nan, 0.999, 0.0, -1.0, -1e7, -1e300, -inf] {
            check(MapFunction::Acosh, &[], value, nan);
        }
    }

    #[test]
    fn time_and_angles() {
        check(MapFunction::EvalTime, &[], 1.0, 5.5);
        check(MapFunction::Deg, &[], std::f64::consts::PI, 180.0);
        check(MapFunction::Rad, &[], 180.0, std::f64::consts::PI);
        check(MapFunction::Calendar(CalendarField::Hour), &[], 7_200.9, 2.0);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let year = MapFunction::Calendar(CalendarField::Year);
            check(year, &[], value, 292_277_026_596.0);
        }
    }
}
