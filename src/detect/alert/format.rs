//! Formats: numbers as Prometheus's templates write them.
//!
//! Source: Prometheus, `template/template.go` (`humanize`, `humanize1024`, `humanizePercentage`) and
//! `common/helpers/templates/time.go` (`humanizeDuration`); Go's `%.4g`.

/// Digits that are written.
const DIGITS: i32 = 4;

/// With a metric prefix: 1234567 is 1.235M.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value);
    }
    let (prefixes, factor) = match value.abs() >= 1.0 {
        true => (["k", "M", "G", "T", "P", "E", "Z", "Y"], 1e-3),
        false => (["m", "u", "n", "p", "f", "a", "z", "y"], 1e3),
    };
    scaled(value, &prefixes, factor, |it| match factor < 1.0 {
        true => it.abs() < 1000.0,
        false => it.abs() >= 1.0,
    })
}

/// With a binary prefix: 2048 is 2ki.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value);
    }
    let prefixes = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    scaled(value, &prefixes, 1.0 / 1024.0, |it| it.abs() < 1024.0)
}

/// A share: 0.1234 is 12.34%.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", general(value * 100.0))
}

/// Seconds: 3725 is 1h 2m 5s.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        return scaled(value, &["ms", "us", "ns", "ps", "fs", "as", "zs", "ys"], 1e3, |it| {
            it.abs() >= 1.0
        });
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs().floor();
    let part = |unit: f64, of: f64| (whole / unit).floor() % of;
    let (days, hours) = ((whole / 86_400.0).floor(), part(3_600.0, 24.0));
    let (minutes, seconds) = (part(60.0, 60.0), part(1.0, 60.0));
    if days > 0.0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0.0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0.0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", general(value.abs()))
    }
}

/// Times the factor, until it is small or large enough or there are no more prefixes.
fn scaled(
    mut value: f64,
    prefixes: &[&str],
    factor: f64,
    is_enough: impl Fn(f64) -> bool,
) -> String {
    let mut prefix = "";
    for next in prefixes {
        if is_enough(value) {
            break;
        }
        prefix = next;
        value *= factor;
    }
    format!("{}{prefix}", general(value))
}

/// Go's `%.4g`: four digits without zeros at their end, with an exponent where they are far from 1.
fn general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let places = usize::try_from(DIGITS - 1).unwrap_or(0);
    let written = format!("{value:.places$e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..DIGITS).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(digits), exponent.abs());
    }
    let places = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.places$}")).to_owned()
}

fn trimmed(digits: &str) -> &str {
    match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: fn(f64) -> String, cases: &[(f64, &str)]) {
        for (value, expected) in cases {
            assert_eq!(format(*value), *expected, "{value}");
        }
    }

    // The expected texts are those of Prometheus's own tests, `template/template_test.go`.
    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        check(
            humanize,
            &[
                (0.0, "0"),
                (1.0, "1"),
                (1_234_567.0, "1.235M"),
                (0.12, "120m"),
                (-0.12, "-120m"),
                (999.9, "999.9"),
                (1e30, "1e+06Y"),
                (1e-30, "1e-06y"),
                (f64::INFINITY, "+Inf"),
                (f64::NEG_INFINITY, "-Inf"),
                (f64::NAN, "NaN"),
            ],
        );
        check(
            humanize_1024,
            &[(0.0, "0"), (1.0, "1"), (1_048_576.0, "1Mi"), (0.12, "0.12"), (2048.0, "2ki")],
        );
        check(
            humanize_percentage,
            &[(-0.22222, "-22.22%"), (0.0, "0%"), (0.1234567, "12.35%"), (1.23456, "123.5%")],
        );
        check(
            humanize_duration,
            &[
                (0.0, "0s"),
                (1.0, "1s"),
                (60.0, "1m 0s"),
                (3600.0, "1h 0m 0s"),
                (86_400.0, "1d 0h 0m 0s"),
                (86_400.0 + 3600.0, "1d 1h 0m 0s"),
                (-(86_400.0 * 2.0 + 3600.0 * 3.0 + 60.0 * 4.0 + 5.0), "-2d 3h 4m 5s"),
                (0.1, "100ms"),
                (0.0001, "100us"),
                (1234.0, "20m 34s"),
                (12.345, "12.35s"),
                (f64::NAN, "NaN"),
            ],
        );
    }
}
