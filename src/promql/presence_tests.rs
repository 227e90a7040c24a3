//! What is told of a range query before it is evaluated is what its evaluation gives.

use proptest::prelude::*;

use super::*;
use crate::labels::Labels;
use crate::sample::{STALE_NAN_BITS, Sample};
use crate::series::{Excerpt, ExcerptLimits, Store};

/// Those of which it is known beforehand how many points they give.
const KNOWN: [&str; 37] = [
    "time() + 1",
    "vector(scalar(a)) + 1",
    "a",
    r#"{__name__=~"a|b"}"#,
    "a offset 20",
    "a offset -20",
    "a @ 1100",
    "timestamp(a)",
    "timestamp(-b)",
    "rate(a[40])",
    "last_over_time(b[3] offset 7)",
    "deriv(a[1m] @ end())",
    "quantile_over_time(scalar(b), a[30])",
    "-abs(a) > bool 2",
    "2 - clamp_min(b, 1)",
    "sum(rate(a[1m]))",
    "max by (x) ({__name__=~\"a|b\"})",
    "quantile without (y) (0.5, a)",
    "sort(irate(a[50])) / b",
    "sum by (x) (a) * on (x) sum by (x) (b)",
    "avg_over_time(a[35:20])",
    "rate(a[90:20] offset 10)",
    "max_over_time(sum by (x) (rate(a[30]))[100:30])",
    "increase(b[60:30] @ 1200)",
    "clamp(a, 0, 1)",
    "a or b",
    r#"{__name__=~"a|b"} and on (x) b"#,
    "a unless on (x) last_over_time(b[40])",
    "a offset 60 or a",
    "sum by (x) (a or on (y) b)",
    "rate(a[40]) * on (x) group_left () sum by (x) (b)",
    "b > bool on (x) group_right () max by (x) (a)",
    "a * on (x) group_left (z) label_replace(b, 'z', '$1', 'x', '(.+)')",
    "label_replace(a, 'x', '$1-$1', 'x', '(.*)')",
    "label_join(a, '__name__', '-', 'x', 'y')",
    "histogram_quantile(0.5, label_replace(a, 'le', '$1', 'y', '(.*)'))",
    "histogram_quantile(0.5, label_replace(a, 'le', '$1', 'x', '1'))",
];

/// Those of which it is not always, or that may fail.
const UNKNOWN: [&str; 12] = [
    "a > 50",
    "topk(1, a)",
    "count_values('v', a)",
    "absent(a)",
    "clamp(a, 1, 0)",
    "clamp(a, 0, scalar(b))",
    "label_replace(a, 'x', '1', '', '')",
    r#"-{__name__=~"a|b"}"#,
    "a * on (x) sum by (x) (b)",
    "a * on (x) group_left () b",
    "rate(a[25:20])",
    "histogram_count(a)",
];

/// Times in seconds, with what ends a series now and then.
fn series() -> impl Strategy<Value = Vec<(i64, bool)>> {
    let gap = prop_oneof![8 => 1i64..30, 1 => 200i64..400];
    proptest::collection::vec((gap, proptest::bool::weighted(0.15)), 0..20)
}

fn store(of: &[Vec<(i64, bool)>]) -> Store {
    let limits = ExcerptLimits { max_series: 10, max_samples: 1_000 };
    let mut excerpt = Excerpt::new(Vec::new(), limits);
    let names =
        [("a", "1", "1"), ("a", "2", "1"), ("a", "2", "2"), ("b", "1", "1"), ("b", "2", "1")];
    for ((name, x, y), gaps) in names.into_iter().zip(of) {
        let pairs = [("__name__", name), ("x", x), ("y", y)];
        let labels = Labels::from_pairs(pairs).expect("distinct names");
        let mut time_ms = 1_000_000;
        let samples = gaps.iter().map(|(gap_s, ends)| {
            time_ms += gap_s * 1_000;
            let value = if *ends { f64::from_bits(STALE_NAN_BITS) } else { time_ms as f64 };
            Sample::new(time_ms, value)
        });
        let samples: Vec<Sample> = samples.collect();
        excerpt.add(&labels, &samples).expect("within the limits");
    }
    excerpt.into_store()
}

/// The points of an evaluation, and how many more than it are said to be given.
fn points(
    text: &str,
    store: &mut Store,
    steps: Steps,
) -> (Result<u64, String>, impl Fn(u64) -> bool + use<>) {
    let end_ms = steps.first_ms + steps.step_ms * (steps.count as i64 - 1);
    let Ok(Query::Instant(expr)) = Query::parse(text, steps.first_ms, end_ms) else {
        panic!("{text} is a good query");
    };
    let mut plan = Plan::bind(std::slice::from_ref(&expr), store);
    let told: Vec<bool> =
        (0..400).map(|n| plan.gives_more_than(n, (&expr, steps), &*store, &|| true)).collect();
    let mut given = Ok(0);
    for i in 0..steps.count {
        let time_ms = steps.first_ms + steps.step_ms * i as i64;
        plan.eval_step(store, time_ms, i == 0, &|| true).expect("there is time");
        let here = match plan.output(0) {
            Ok(Value::Scalar(_)) => Ok(1),
            Ok(Value::Vector(vector)) => Ok(vector.present.iter().filter(|it| **it).count() as u64),
            Err(error) => Err(error.to_string()),
        };
        given = given.and_then(|sum| Ok(sum + here?));
    }
    plan.release(store);
    (given, move |n| told[n as usize])
}

proptest! {
    #[test]
    fn what_is_told_beforehand_is_what_comes(
        of in proptest::collection::vec(series(), 5),
        (first_s, step_ms, count) in (900i64..1_500, 1i64..70_000, 1u64..60),
    ) {
        let steps = Steps { first_ms: first_s * 1_000, step_ms, count };
        for text in KNOWN {
            let (given, more_than) = points(text, &mut store(&of), steps);
            let given = given.unwrap_or_else(|error| panic!("{text}: {error}"));
            prop_assert!(!more_than(given), "{}: {} points", text, given);
            if given > 0 {
                prop_assert!(more_than(given - 1), "{}: {} points", text, given);
            }
        }
        for text in UNKNOWN {
            let (given, more_than) = points(text, &mut store(&of), steps);
            prop_assert!(!more_than(given.unwrap_or(0)), "{}", text);
        }
    }
}

/// Nothing is told of what is not looked at to the end.
#[test]
fn it_ends_when_told() {
    let mut store = store(&vec![vec![(1, false); 10]; 5]);
    let expr = Expr::parse("rate(a[5m])").expect("a good expression");
    let plan = Plan::bind(std::slice::from_ref(&expr), &mut store);
    let steps = Steps { first_ms: 1_000_000, step_ms: 1_000, count: 100 };
    let more_than = |points, go_on: &dyn Fn() -> bool| {
        plan.gives_more_than(points, (&expr, steps), &store, go_on)
    };
    assert!(more_than(100, &|| true));
    assert!(!more_than(100, &|| false));
}
