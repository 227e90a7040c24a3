//! A role: what a feature is for a fit, and what a recording must cover to learn features that only tell the
//! time.
//!
//! Such a feature is context: it tells the network what time it is, and never counts in the error, as no
//! time is an anomaly by itself. A network trained on half an hour at noon, or on every morning of a month,
//! has never seen midnight and would give nonsense there: then the feature is left out of the network.

use super::{Coverage, Dataset, Period, WindowPosition};
use crate::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK};
use crate::promql::Expr;

/// Functions by the time they take to come around, of which everything has to be seen twice.
const PERIODS: [(&[&str], Period); 4] = [
    (&["year", "month", "day_of_year"], Period::YEAR),
    (&["day_of_month", "days_in_month"], Period::MONTH),
    (&["day_of_week"], Period::WEEK),
    (&["hour", "minute", "time", "timestamp"], Period::DAY),
];

/// What a feature is for a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its deviations are anomalies.
    Observed,
    /// It tells the time: an input that never counts in the error.
    Context,
    /// It tells the time, but the recording covers too little of it: left out.
    LeftOut,
}

/// The roles of features in a fit on these windows: only what it sees tells whether it has seen every
/// hour.
pub fn roles(features: &[FeatureSpec], dataset: &Dataset, places: &[WindowPosition]) -> Vec<Role> {
    let coverage = Coverage::of(dataset, places);
    features.iter().map(|feature| role(feature, &coverage)).collect()
}

fn role(feature: &FeatureSpec, coverage: &Coverage) -> Role {
    if [TIME_OF_DAY, TIME_OF_WEEK].iter().any(|clock| clock.is(feature)) {
        // The season's own input. As a line from 0 to 1 it would jump from 1 to 0 at midnight.
        Role::LeftOut
    } else if !is_calendar(feature) {
        Role::Observed
    } else if is_covered(&feature.expr, coverage) {
        Role::Context
    } else {
        Role::LeftOut
    }
}

/// Whether all that the functions in an expression tell was seen. Of nothing of the list, as in the
/// constant `vector(1)`, it was; the scaler deals with that.
fn is_covered(expr: &str, coverage: &Coverage) -> bool {
    let words = || expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let uses = |names: &[&str]| words().any(|word| names.contains(&word));
    let mut used = PERIODS.iter().filter(|(names, _)| uses(names));
    used.all(|(_, period)| coverage.recurs(*period))
}

/// Whether a feature depends on the time alone. A text that is not PromQL is a column of a file.
pub fn is_calendar(feature: &FeatureSpec) -> bool {
    Expr::parse(&feature.expr).is_ok_and(|expr| expr.is_calendar())
}

#[cfg(test)]
mod tests {
    use super::super::coverage::tests::hours;
    use super::*;

    #[track_caller]
    fn check(expr: &str, days: i64, expected: Role) {
        let feature = FeatureSpec::new("f", expr);
        let found = role(&feature, &hours(0..24, days));
        assert_eq!(found, expected, "{expr} over {days} days");
    }

    #[test]
    fn a_clock_is_context_once_the_recording_covers_it() {
        check("hour()", 1, Role::LeftOut);
        check("hour()", 2, Role::Context);
        check("sin(2 * pi() * (hour() + minute() / 60) / 24)", 2, Role::Context);
        check("(hour() + day_of_week() * 24) / 168", 13, Role::LeftOut);
        check("day_of_week()", 14, Role::Context);
        check("day_of_month()", 30, Role::LeftOut);
        check("month()", 400, Role::LeftOut);
        check("vector(1)", 0, Role::Context);
    }

    #[test]
    fn mornings_alone_teach_no_clock() {
        let of = |expr: &str| role(&FeatureSpec::new("f", expr), &hours(9..12, 800));
        assert_eq!(of("hour()"), Role::LeftOut);
        assert_eq!(of("day_of_week()"), Role::LeftOut);
        // Every day was seen, and not every hour of it.
        assert_eq!(of("day_of_month()"), Role::Context);
        assert_eq!(of("day_of_month() + hour() / 24"), Role::LeftOut);
    }

    #[test]
    fn whatever_reads_series_is_observed() {
        check("node_load1", 0, Role::Observed);
        check("rate(node_time_total[5m])", 0, Role::Observed);
        check("hour(node_boot_time_seconds)", 0, Role::Observed);
        check("{__name__=\"a b\"}", 0, Role::Observed);
        check("time() - node_boot_time_seconds", 0, Role::Observed);
    }
}
