//! Features that tell the time and nothing else, and how long a recording must be to learn them.
//!
//! Such a feature is context: it tells the network when it is, and no moment is an anomaly by
//! itself, so that it never counts in the error. Trained on half an hour at noon, a network would
//! even so give nonsense at midnight, having never seen such an input: then the feature is left out
//! of the network altogether.

use crate::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK};
use crate::promql::Expr;

/// A day.
const DAY_MS: i64 = 86_400_000;

/// Functions by the time they take to come around, and how much of that is enough: two rounds
/// tell what recurs from what happened once.
const PERIODS: [(&[&str], i64); 4] = [
    (&["year", "month", "day_of_year"], 2 * 366 * DAY_MS),
    (&["day_of_month", "days_in_month"], 62 * DAY_MS),
    (&["day_of_week"], 14 * DAY_MS),
    (&["hour", "minute", "time", "timestamp"], 2 * DAY_MS),
];

/// What a feature is for a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Its deviations are anomalies.
    Observed,
    /// It tells the time: an input that never counts in the error.
    Context,
    /// It tells the time, but the recording is too short to learn from it: left out.
    LeftOut,
}

/// The role of a feature in a fit on `span_ms` of data.
pub(super) fn role(feature: &FeatureSpec, span_ms: i64) -> Role {
    if [TIME_OF_DAY, TIME_OF_WEEK].iter().any(|clock| clock.is(feature)) {
        // The season's own input: as a line from 0 to 1 it would tear midnight apart.
        Role::LeftOut
    } else if !is_calendar(feature) {
        Role::Observed
    } else if span_ms < needed_ms(&feature.expr) {
        Role::LeftOut
    } else {
        Role::Context
    }
}

/// The recording that the slowest function in an expression needs.
fn needed_ms(expr: &str) -> i64 {
    let words = || expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let uses = |names: &[&str]| words().any(|word| names.contains(&word));
    let found = PERIODS.iter().find(|(names, _)| uses(names));
    // Nothing of the list: a constant such as `vector(1)`, which the scaler deals with.
    found.map_or(0, |(_, ms)| *ms)
}

/// Whether a feature depends on the time alone. A text that is not PromQL is a column of a file.
pub(super) fn is_calendar(feature: &FeatureSpec) -> bool {
    Expr::parse(&feature.expr).is_ok_and(|expr| expr.is_calendar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expr: &str, days: f64, expected: Role) {
        let feature = FeatureSpec::new("f", expr);
        let span_ms = (days * DAY_MS as f64) as i64;
        let found = role(&feature, span_ms);
        assert_eq!(found, expected, "{expr} over {days} days");
    }

    #[test]
    fn a_clock_is_context_once_the_recording_covers_it() {
        check("hour()", 0.5, Role::LeftOut);
        check("hour()", 2.0, Role::Context);
        check("sin(2 * pi() * (hour() + minute() / 60) / 24)", 2.0, Role::Context);
        check("(hour() + day_of_week() * 24) / 168", 13.0, Role::LeftOut);
        check("day_of_week()", 14.0, Role::Context);
        check("day_of_month()", 30.0, Role::LeftOut);
        check("month()", 400.0, Role::LeftOut);
        check("vector(1)", 0.0, Role::Context);
    }

    #[test]
    fn whatever_reads_series_is_observed() {
        check("node_load1", 0.0, Role::Observed);
        check("rate(node_time_total[5m])", 0.0, Role::Observed);
        check("hour(node_boot_time_seconds)", 0.0, Role::Observed);
        check("{__name__=\"a b\"}", 0.0, Role::Observed);
        check("time() - node_boot_time_seconds", 0.0, Role::Observed);
    }
}
