//! Features that tell the time and nothing else, and how long a recording must be to learn them.
//!
//! Such a feature is context: it tells the network when it is, and no moment is an anomaly by
//! itself, so that it never counts in the error. Trained on half an hour at noon, a network would
//! even so give nonsense at midnight, having never seen such an input: then the feature is left out
//! of the network altogether.

use crate::features::FeatureSpec;
use crate::promql::Expr;

/// A day.
const DAY_MS: i64 = 86_400_000;

/// The time of the day in UTC as a share of it, from midnight on.
pub(super) const TIME_OF_DAY: Clock =
    Clock { name: "time_of_day", expr: "time() % 86400 / 86400", period_ms: DAY_MS, offset_ms: 0 };

/// The time of the week in UTC as a share of it, from Monday on; 1970 began on a Thursday.
pub(super) const TIME_OF_WEEK: Clock = Clock {
    name: "time_of_week",
    expr: "(time() + 259200) % 604800 / 604800",
    period_ms: 7 * DAY_MS,
    offset_ms: 3 * DAY_MS,
};

/// A feature that every model of ours has: it tells the time and is in no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// The feature's name.
    pub name: &'static str,
    expr: &'static str,
    period_ms: i64,
    offset_ms: i64,
}

impl Clock {
    /// The feature as serving evaluates it.
    pub fn spec(self) -> FeatureSpec {
        FeatureSpec::new(self.name, self.expr)
    }

    /// Its value, as the expression gives it.
    pub fn value(self, time_ms: i64) -> f32 {
        let seconds = (time_ms + self.offset_ms) as f64 / 1_000.0;
        let period = self.period_ms as f64 / 1_000.0;
        (seconds % period / period) as f32
    }
}

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
    if [TIME_OF_DAY, TIME_OF_WEEK].iter().any(|clock| clock.name == feature.name) {
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
    use crate::promql::{Plan, Value};
    use crate::series::{StorageConfig, Store};

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

    /// A file has no such column: what fills it must be what serving computes.
    #[test]
    fn clocks_tell_what_their_expressions_tell() {
        for clock in [TIME_OF_DAY, TIME_OF_WEEK] {
            let mut store = Store::new(StorageConfig::default());
            let expr = Expr::parse(&clock.spec().expr).expect("PromQL");
            let mut plan = Plan::bind(std::slice::from_ref(&expr), &mut store);
            for time_ms in [0, 86_399_999, 1_704_067_200_000, 1_795_428_912_345] {
                plan.eval(&store, time_ms);
                let Ok(Value::Scalar(expected)) = plan.output(0) else {
                    panic!("a scalar");
                };
                assert_eq!(clock.value(time_ms), expected as f32, "{} at {time_ms}", clock.name);
                assert!((0.0..1.0).contains(&expected));
            }
        }
        // 2024-01-01 was a Monday.
        assert_eq!(TIME_OF_WEEK.value(1_704_067_200_000), 0.0);
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
