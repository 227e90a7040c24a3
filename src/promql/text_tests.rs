//! Expressions that are written back: that they stay the same, and that a strict answer to the
//! lenient text is the lenient answer to the expression.

use super::conflict_tests::{Answer, answer, append, evaluated, labels};
use super::*;

fn parse(text: &str) -> Expr {
    Expr::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// One for each kind of node, and what is special about texts.
const EXPRESSIONS: [&str; 62] = [
    "up",
    r#"up{job="a",mode!~"b|c\\.d",x!="",y=~"(e|f).*"} offset 5m"#,
    r#"{__name__=~"a|b"} offset -90s"#,
    "1",
    "-5",
    "-0",
    "1e300 * 1e-7",
    "0.1 + 0x1F",
    "Inf - -Inf",
    "NaN",
    "-NaN",
    "pi()",
    "5m",
    "time()",
    "-time()",
    "-x",
    "-(x + 1) ^ 2",
    "timestamp(x)",
    "timestamp(x offset 1m)",
    "timestamp(x + 1)",
    "rate(x[2m])",
    "increase(x[90s] offset 10m)",
    "irate(x[1500ms])",
    "last_over_time(x[1d])",
    "quantile_over_time(0.9, x[5m])",
    "predict_linear(x[1h], 3600 * 4)",
    "stddev_over_time((1 - avg by (job) (rate(x[2m])))[10m:30s])",
    "deriv(x[10m:]) + max_over_time(rate(x[1m])[5m:15s] offset 1m)",
    "absent(x{a=\"b\",c=~\"d\"})",
    "absent(x + y)",
    "absent_over_time(x{a=\"b\"}[5m])",
    "absent_over_time((x > 1)[5m:1m])",
    "abs(x)",
    "clamp(x, -1, 1)",
    "clamp_min(x, 0.01)",
    "round(x)",
    "round(x, 0.5)",
    "hour()",
    "day_of_week(x)",
    "sin(2 * pi() * (hour() + minute() / 60) / 24)",
    "vector(1)",
    "scalar(x)",
    "sort_desc(sort(x))",
    "histogram_quantile(0.9, sum by (le) (rate(x[5m])))",
    "histogram_fraction(0, 1, x)",
    r#"label_replace(x, "host", "$1-\"\n", "instance", "(.*):\\d+")"#,
    r#"label_join(x, "c", "-", "a", "b")"#,
    r#"label_join(x, "c", "")"#,
    "sum(x)",
    "avg by (b, a) (x)",
    "count without (b, a) (x)",
    r#"group by ("a.b", c) (x)"#,
    "quantile by (a) (0.5, x)",
    "topk by (a) (2 + 1, x)",
    "bottomk(1, x)",
    r#"count_values without (a) ("v", x)"#,
    "a and b or c unless on (x) d",
    "a and ignoring (x) b",
    "a > 1 < bool 2 - 3 % b ^ c ^ d",
    "2 == bool 3 * atan2_of + (a atan2 b)",
    "a / on (x, y) group_left (z) b * ignoring (x) group_right () c",
    "a != on () b >= bool on (x) group_left c",
];

#[test]
fn what_is_written_back_is_the_same_tree() {
    for text in EXPRESSIONS {
        let expr = parse(text);
        let back = expr.text_of_tree().expect(text);
        assert_eq!(parse(&back).root(), expr.root(), "{text} became {back}");
        if let Some(lenient) = expr.lenient_text() {
            assert!(lenient.len() > back.len(), "{text} became {lenient}");
        }
    }
}

#[test]
fn operands_that_may_have_two_elements_a_group_are_restrained() {
    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(parse(text).lenient_text().as_deref(), expected, "{text}");
    }
    check(
        "sum by (a) (x) / on (a) y",
        Some(
            r#"(sum by (a) ({__name__="x"})) / on (a) (({__name__="y"}) and on (a) (count by (a) ({__name__="y"}) == 1))"#,
        ),
    );
    check(
        "{a='1'} * ignoring (b) group_right () y",
        Some(
            r#"(({a="1"}) and ignoring (b) (count without (b) ({a="1"}) == 1)) * ignoring (b) group_right () ({__name__="y"})"#,
        ),
    );
    check(
        "x > on (a) sum by (a) (y)",
        Some(concat!(
            r#"(({__name__="x"}) and on (a) (count by (a) "#,
            r#"(({__name__="x"}) > on (a) group_left () (sum by (a) ({__name__="y"}))) == 1)) "#,
            r#"> on (a) (sum by (a) ({__name__="y"}))"#,
        )),
    );
    // No two elements of these can be in a group.
    check("x / y", None);
    check("1 - (a / (b > 0)) * rate(c[2m])", None);
    check("x * on (a) group_left sum by (a) (y)", None);
    check("sum by (a) (x) / sum by (a) (y)", None);
    check("sum by (a) (x) / on (a, b) max by (b) (y)", None);
    assert!(parse("sum by (a, b) (x) / on (a) max by (a) (y)").lenient_text().is_some());
    assert!(parse("sum by (a, b) (x) / ignoring (b) max by (a) (y)").lenient_text().is_some());
    assert!(parse("{a='1'} / y").lenient_text().is_some());
    let chain = parse("x / ignoring (a) y + ignoring (a) z").lenient_text().expect("a text");
    assert_eq!(chain.matches("count without").count(), 3, "{chain}");
    // There is no operator between vectors.
    check("x and y or z", None);
    check("2 * x > 1", None);
}

#[test]
fn what_cannot_be_written_back_has_no_text() {
    assert!(parse(r#"{"a.b"} / on (x) y"#).lenient_text().is_some());
    assert_eq!(parse(r#"{"a.b"="c"} / on (x) y"#).lenient_text(), None);
    assert_eq!(parse("x{a=\"\u{7}\"} / on (x) y").lenient_text(), None);
    let Ok(Query::Instant(fixed)) = Query::parse("x @ 5 / on (a) y", 0, 0) else { panic!() };
    assert_eq!(fixed.lenient_text(), None);
    // Nested so deeply that it would never end, and as deeply as can be read at all.
    for (level, levels) in
        [(" * ignoring (b) x * ignoring (c) x", 20), (" / on (a) x", 499), (" + 1", 499)]
    {
        assert_eq!(parse(&format!("x{}", level.repeat(levels))).lenient_text(), None);
    }
    let deep = format!("{}x{} / on (a) y", "abs(".repeat(490), ")".repeat(490));
    assert_eq!(parse(&deep).lenient_text(), None);
}

fn answers(
    bind: fn(&[Expr], &mut crate::series::Store) -> Plan,
    text: &str,
) -> [Result<Answer, EvalError>; 2] {
    [false, true].map(|doubled| answer(&evaluated(bind, &[text], doubled).1, 0))
}

/// The strict answers to the lenient text are the lenient answers to the expression, whether a host
/// is doubled or not.
#[track_caller]
fn check_same(text: &str) {
    let lenient_text = parse(text).lenient_text().expect(text);
    let expected = answers(Plan::bind_lenient, text);
    assert!(expected[1].as_ref().is_ok_and(|it| !it.is_empty()), "{text}");
    assert_eq!(answers(Plan::bind, &lenient_text), expected, "{text} became {lenient_text}");
    assert_eq!(answers(Plan::bind, text)[0], expected[0], "{text}");
}

/// As before, of what a strict plan fails for when a host is doubled.
#[track_caller]
fn check(text: &str) {
    assert!(answers(Plan::bind, text)[1].is_err(), "{text}");
    check_same(text);
}

#[test]
fn a_strict_answer_to_the_lenient_text_is_the_lenient_answer() {
    check("cores / on (host) load");
    check("load / on (host) cores");
    check("cores - ignoring (pod) load");
    check("load >= bool ignoring (pod) cores");
    check(r#"load / {__name__=~"seconds|seconds_old"}"#);
    check(r#"{__name__=~"seconds|seconds_old"} != bool cores"#);
    check("cpu * on (host) group_left load");
    check("cpu * on (host) group_left (pod) load");
    check("cpu > ignoring (cpu, pod) group_left load - 10");
    check("load * on (host) group_right cpu");
    check("cores > on (host) load - 100");
    check("load > on (host) cores - 100");
    check("load < on (host) group_right (pod) cpu * 100");
    // Nested, and below what reads what is left.
    check("1 - (cores / on (host) load) * on (host) (load + on (host) cores)");
    check("(cpu * on (host) group_left load) / on (host) group_left () (cores / on (host) load)");
    check("sum(cores / on (host) load) + count(load / on (host) cores)");
    check("(load / on (host) cores) or on (host) cores * 0");
    check("cores unless on (host) (load / on (host) cores)");
    check("topk(2, -(load / on (host) cores))");
    // Over time.
    check("sum_over_time((load / on (host) cores)[2m:1m])");
    check("max_over_time((cores - on (host) load)[2m:1m]) / on (host) rate(seconds[1m])");
    check("avg_over_time(load[2m]) / on (host) count by (host) (cpu)");
}

/// Elements that fail a comparison are not in each other's way, and no group is where a side is
/// empty.
#[test]
fn what_is_no_conflict_stays() {
    check_same("load > on (host) cores");
    check_same("load == on (host) cores - (cores - 1) or load");
    let kept = answers(Plan::bind_lenient, "load > on (host) cores")[1].clone().expect("a value");
    assert_eq!(kept, [(labels(&[("host", "b")]), 9.0f64.to_bits())]);
}

#[test]
fn a_group_of_three_is_left_out_as_well() {
    let text = "cpu * on (host) group_left load / on (host) group_left cores";
    let lenient_text = parse(text).lenient_text().expect(text);
    let mut found = Vec::new();
    let third = [("__name__", "load"), ("host", "b"), ("pod", "third")];
    for (bind, text) in
        [(Plan::bind_lenient as fn(&[Expr], &mut _) -> Plan, text), (Plan::bind, &lenient_text)]
    {
        let (mut store, mut plan) = evaluated(bind, &[text], true);
        append(&mut store, &third, &[(0, 1.0)]);
        plan.eval(&store, 1_699_999_200_000);
        found.push(answer(&plan, 0).expect("a value"));
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0].len(), 4, "two CPUs of two hosts");
}
