//! A clock: a feature that tells the time of the day or of the week, and is in no series.
//!
//! Models that Portent trains know a daily and a weekly course. They read the time like any other
//! feature, so that their file says how it is computed. Training from a file, in which there is no
//! such column, computes it here.

use super::spec::FeatureSpec;
use crate::duration::DAY_MS;

/// The time of the day in UTC as a share of it, from midnight on.
pub const TIME_OF_DAY: Clock =
    Clock { name: "time_of_day", expr: "time() % 86400 / 86400", period_ms: DAY_MS, offset_ms: 0 };

/// The time of the week in UTC as a share of it, from Monday on; 1970 began on a Thursday.
pub const TIME_OF_WEEK: Clock = Clock {
    name: "time_of_week",
    expr: "(time() + 259200) % 604800 / 604800",
    period_ms: 7 * DAY_MS,
    offset_ms: 3 * DAY_MS,
};

/// A feature that every model of ours has: it tells the time and is in no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The feature's name.
    pub name: &'static str,
    expr: &'static str,
    period_ms: i64,
    offset_ms: i64,
}

impl Clock {
    /// The feature as serving evaluates it.
    #[must_use]
    pub fn spec(self) -> FeatureSpec {
        FeatureSpec::new(self.name, self.expr)
    }

    /// Whether a feature is this one.
    #[must_use]
    pub fn is(self, feature: &FeatureSpec) -> bool {
        feature.name == self.name && feature.expr == self.expr
    }

    /// Its value, as the expression gives it.
    #[must_use]
    pub fn value(self, time_ms: i64) -> f32 {
        let seconds = (time_ms + self.offset_ms) as f64 / 1_000.0;
        let period = self.period_ms as f64 / 1_000.0;
        (seconds % period / period) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::{Expr, Plan, Value};
    use crate::series::{StorageConfig, Store};

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
}
