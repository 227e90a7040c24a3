//! Whole expressions over a small store, with values worked out by hand.

use super::*;
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use crate::series::{StorageConfig, Store};

/// The instant of most evaluations, a multiple of every step used here: 2023-11-14 22:00 UTC, a
/// Tuesday.
const NOW: i64 = 1_699_999_200_000;

const NAN: f64 = f64::NAN;

/// `name{a="b"}` as a label set, for values without odd characters.
fn labels(text: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
    let mut pairs = vec![("__name__", name)];
    for pair in rest.trim_end_matches('}').split(',') {
        if let Some((name, value)) = pair.split_once('=') {
            pairs.push((name.trim(), value.trim_matches('"')));
        }
    }
    Labels::from_pairs(pairs).expect("distinct names")
}

fn series(text: &str, samples: &[(i64, f64)]) -> BatchSeries {
    BatchSeries::new(
        labels(text),
        samples
            .iter()
            .map(|(seconds_ago, value)| Sample::new(NOW - seconds_ago * 1_000, *value))
            .collect(),
    )
}

/// Two hosts with two CPUs each, whose idle time grows by 0.5 and 1 a second; a gauge; a series
/// that has gone stale; one that is only there at times.
fn world() -> Batch {
    let mut world = Batch::default();
    for (host, rate) in [("a", 0.5), ("b", 1.0)] {
        for cpu in ["0", "1"] {
            let samples: Vec<(i64, f64)> =
                (0..=40).map(|i| (600 - 15 * i, 1_000.0 + rate * 15.0 * i as f64)).collect();
            let text = format!(r#"cpu{{host="{host}",cpu="{cpu}",mode="idle"}}"#);
            world.series.push(series(&text, &samples));
        }
    }
    world.series.extend([
        series(r#"load{host="a"}"#, &[(120, 1.0), (60, 3.0), (0, 2.0)]),
        series(r#"load{host="b"}"#, &[(120, 4.0), (60, NAN), (0, 8.0)]),
        series(r#"cores{host="a",kind="x"}"#, &[(0, 2.0)]),
        series(r#"cores{host="b",kind="y"}"#, &[(0, 4.0)]),
        series(r#"gone{host="a"}"#, &[(60, 1.0), (30, f64::from_bits(STALE_NAN_BITS))]),
        series(r#"old{host="a"}"#, &[(300, 1.0)]),
        series(r#"bucket{le="1"}"#, &[(0, 10.0)]),
        series(r#"bucket{le="2"}"#, &[(0, 30.0)]),
        series(r#"bucket{le="+Inf"}"#, &[(0, 40.0)]),
    ]);
    world
}

fn parse(text: &str) -> Expr {
    Expr::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn bind(texts: &[&str]) -> (Store, Plan) {
    let exprs: Vec<Expr> = texts.iter().map(|text| parse(text)).collect();
    let mut store = Store::new(StorageConfig::default());
    let plan = Plan::bind(&exprs, &mut store);
    store.append(NOW, &world());
    (store, plan)
}

/// The elements that are there, as text, sorted.
fn elements(value: Value) -> Vec<(String, f64)> {
    match value {
        Value::Scalar(value) => vec![("scalar".to_owned(), value)],
        Value::Vector(vector) => {
            let mut elements: Vec<(String, f64)> = (0..vector.layout.len())
                .filter(|i| vector.present[*i])
                .map(|i| (vector.layout.labels[i].to_string(), vector.values[i]))
                .collect();
            elements.sort_by(|a, b| a.0.cmp(&b.0));
            elements
        }
    }
}

#[track_caller]
fn assert_elements(text: &str, got: &[(String, f64)], expected: &[(&str, f64)]) {
    let same = got.len() == expected.len()
        && got.iter().zip(expected).all(|(got, expected)| {
            got.0 == expected.0
                && ((got.1 - expected.1).abs() <= 1e-12 * expected.1.abs()
                    || got.1 == expected.1
                    || got.1.is_nan() && expected.1.is_nan())
        });
    assert!(same, "{text}\n     got {got:?}\nexpected {expected:?}");
}

/// Evaluates at `NOW`; expected elements are sorted by text.
#[track_caller]
fn check(text: &str, expected: &[(&str, f64)]) {
    let (store, mut plan) = bind(&[text]);
    plan.eval(&store, NOW);
    let value = plan.output(0).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_elements(text, &elements(value), expected);
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let (store, mut plan) = bind(&[text]);
    plan.eval(&store, NOW);
    match plan.output(0) {
        Ok(value) => panic!("{text} has a value: {:?}", elements(value)),
        Err(error) => assert!(error.to_string().contains(expected), "{text}: {error}"),
    }
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    match Expr::parse(text) {
        Ok(_) => panic!("{text} is accepted"),
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.contains(expected), "{sentence}");
            assert!(
                sentence.starts_with("cannot evaluate \""),
                "it names the expression: {sentence}"
            );
        }
    }
}

#[test]
fn selectors_see_the_newest_sample() {
    check("load", &[(r#"load{host="a"}"#, 2.0), (r#"load{host="b"}"#, 8.0)]);
    check(r#"load{host!~"b.*"}"#, &[(r#"load{host="a"}"#, 2.0)]);
    check("load offset 30s", &[(r#"load{host="a"}"#, 3.0), (r#"load{host="b"}"#, NAN)]);
    check("gone", &[]);
    check("gone offset 40s", &[(r#"gone{host="a"}"#, 1.0)]);
    check("old", &[]);
    check("old offset 1ms", &[(r#"old{host="a"}"#, 1.0)]);
    check("timestamp(old offset 1m)", &[(r#"{host="a"}"#, (NOW / 1000 - 300) as f64)]);
}

#[test]
fn rates_and_ranges() {
    let idle = [
        (r#"{cpu="0", host="a", mode="idle"}"#, 0.5),
        (r#"{cpu="1", host="a", mode="idle"}"#, 0.5),
        (r#"{cpu="0", host="b", mode="idle"}"#, 1.0),
        (r#"{cpu="1", host="b", mode="idle"}"#, 1.0),
    ];
    let mut sorted = idle;
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    check("rate(cpu[1m])", &sorted);
    check("irate(cpu[5m])", &sorted);
    check("deriv(cpu[1m])", &sorted);
    check(r#"increase(cpu{host="a",cpu="0"}[2m])"#, &[(idle[0].0, 60.0)]);
    check(r#"delta(load{host="a"}[3m])"#, &[(r#"{host="a"}"#, 1.5)]);
    check(r#"idelta(load{host="a"}[3m])"#, &[(r#"{host="a"}"#, -1.0)]);
    check(r#"resets(load{host="a"}[3m])"#, &[(r#"{host="a"}"#, 1.0)]);
    check("changes(load[3m])", &[(r#"{host="a"}"#, 2.0), (r#"{host="b"}"#, 2.0)]);
    check(r#"predict_linear(cpu{host="a",cpu="0"}[5m], 60)"#, &[(idle[0].0, 1_330.0)]);
    // A stale marker is no sample, the left bound is not in the range.
    check("count_over_time(gone[61s])", &[(r#"{host="a"}"#, 1.0)]);
    check("count_over_time(gone[60s])", &[]);
    check(
        "last_over_time(load[1m] offset 1m)",
        &[(r#"load{host="a"}"#, 3.0), (r#"load{host="b"}"#, NAN)],
    );
}

#[test]
fn aggregations_over_time() {
    let a = |value| [(r#"{host="a"}"#, value)];
    check(r#"avg_over_time(load{host="a"}[3m])"#, &a(2.0));
    check(r#"sum_over_time(load{host="a"}[3m])"#, &a(6.0));
    check(r#"min_over_time(load{host="a"}[3m])"#, &a(1.0));
    check(r#"max_over_time(load{host="b"}[3m])"#, &[(r#"{host="b"}"#, 8.0)]);
    check(r#"stddev_over_time(load{host="a"}[3m])"#, &a((2.0f64 / 3.0).sqrt()));
    check(r#"stdvar_over_time(load{host="a"}[3m])"#, &a(2.0 / 3.0));
    check(r#"quantile_over_time(0.75, load{host="a"}[3m])"#, &a(2.5));
    check(r#"present_over_time(gone[3m])"#, &a(1.0));
    check(r#"absent_over_time(gone{x="y"}[3m])"#, &[(r#"{x="y"}"#, 1.0)]);
    check(r#"absent_over_time(gone[3m])"#, &[]);
}

#[test]
fn aggregations() {
    check("sum(cores)", &[("{}", 6.0)]);
    check("sum by (host) (rate(cpu[1m]))", &[(r#"{host="a"}"#, 1.0), (r#"{host="b"}"#, 2.0)]);
    check("count without (cpu, mode) (cpu)", &[(r#"{host="a"}"#, 2.0), (r#"{host="b"}"#, 2.0)]);
    check("max by (kind) (cores)", &[(r#"{kind="x"}"#, 2.0), (r#"{kind="y"}"#, 4.0)]);
    check("min(load offset 1m)", &[("{}", 3.0)]);
    check("avg(cores)", &[("{}", 3.0)]);
    check("stddev(cores)", &[("{}", 1.0)]);
    check("stdvar(cores)", &[("{}", 1.0)]);
    check("group(cores)", &[("{}", 1.0)]);
    check("quantile(0.25, cores)", &[("{}", 2.5)]);
    check("quantile(2, cores)", &[("{}", f64::INFINITY)]);
    check("sum(gone)", &[]);
    check("topk(1, cores)", &[(r#"cores{host="b", kind="y"}"#, 4.0)]);
    check("bottomk(1, cores)", &[(r#"cores{host="a", kind="x"}"#, 2.0)]);
    check("topk(0, cores)", &[]);
    check_error("topk(NaN, cores)", "NaN");
    check("count by (__name__) (cores)", &[("cores", 2.0)]);
    check(r#"count_values("v", cores)"#, &[(r#"{v="2"}"#, 1.0), (r#"{v="4"}"#, 1.0)]);
    check(r#"count_values by (mode) ("v", cpu > 1500)"#, &[(r#"{mode="idle", v="1600"}"#, 2.0)]);
    check(
        r#"count_values without (cpu) ("host", cpu)"#,
        &[(r#"{host="1300", mode="idle"}"#, 2.0), (r#"{host="1600", mode="idle"}"#, 2.0)],
    );
    check("sort(cores) + 0", &[(r#"{host="a", kind="x"}"#, 2.0), (r#"{host="b", kind="y"}"#, 4.0)]);
}

#[test]
fn arithmetic_and_comparison() {
    check("1 + 2 * 3 ^ 2", &[("scalar", 19.0)]);
    check("-2 ^ 2", &[("scalar", -4.0)]);
    check("7 % -4", &[("scalar", 3.0)]);
    check("1 > bool 2", &[("scalar", 0.0)]);
    check("-load", &[(r#"{host="a"}"#, -2.0), (r#"{host="b"}"#, -8.0)]);
    check("10 - load", &[(r#"{host="a"}"#, 8.0), (r#"{host="b"}"#, 2.0)]);
    check("load > 5", &[(r#"load{host="b"}"#, 8.0)]);
    check("5 > load", &[(r#"load{host="a"}"#, 2.0)]);
    check("load > bool 5", &[(r#"{host="a"}"#, 0.0), (r#"{host="b"}"#, 1.0)]);
    check("-time()", &[("scalar", -(NOW / 1000) as f64)]);
}

#[test]
fn matching_one_to_one() {
    let by_host = |a, b| [(r#"{host="a"}"#, a), (r#"{host="b"}"#, b)];
    check("load / ignoring (kind) cores", &by_host(1.0, 2.0));
    check("load / on (host) cores", &by_host(1.0, 2.0));
    check("load / cores", &[]);
    check("load < on (host) cores", &[]);
    check("load >= on (host) cores", &by_host(2.0, 8.0));
    check(
        "load >= ignoring (kind) cores",
        &[(r#"load{host="a"}"#, 2.0), (r#"load{host="b"}"#, 8.0)],
    );
    check("load == bool on (host) cores", &by_host(1.0, 0.0));
    check("load + load", &by_host(4.0, 16.0));
    check_error(
        "load * on (host) cpu",
        "found duplicate series for the match group {host=\"a\"} on the right",
    );
    check_error("cpu * on (host) load", "multiple matches for labels: many-to-one matching");
    // An error only where elements that are present collide.
    check(r#"load * on (host) (cpu{cpu="0"} > 1450)"#, &[(r#"{host="b"}"#, 12_800.0)]);
}

#[test]
fn matching_many_to_one() {
    let cpus = |name: &str, kinds: bool| {
        ["a", "b"]
            .iter()
            .flat_map(|host| ["0", "1"].map(|cpu| (*host, cpu)))
            .map(|(host, cpu)| {
                let kind = match (kinds, host) {
                    (false, _) => "",
                    (true, "a") => r#"kind="x", "#,
                    _ => r#"kind="y", "#,
                };
                format!(r#"{name}{{cpu="{cpu}", host="{host}", {kind}mode="idle"}}"#)
            })
            .collect::<Vec<String>>()
    };
    let values = [650.0, 650.0, 400.0, 400.0];
    let expected = |names: Vec<String>| {
        let mut pairs: Vec<(String, f64)> = names.into_iter().zip(values).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs
    };
    for (text, kinds) in [
        ("cpu / on (host) group_left cores", false),
        ("cpu / on (host) group_left (kind) cores", true),
        ("1 / (cores / on (host) group_right (kind) cpu)", true),
    ] {
        let expected = expected(cpus("", kinds));
        let pairs: Vec<(&str, f64)> = expected.iter().map(|(l, v)| (&**l, *v)).collect();
        check(text, &pairs);
    }
    check_error("load * on (host) group_left cpu", "on the right hand-side");
    check_error("cpu * on (host) group_right load", "on the left hand-side");
    check_error("cpu * on (host) group_left (cpu) cores", "grouping labels must ensure unique");
}

#[test]
fn set_operators() {
    check("load and on (host) (cores > 2)", &[(r#"load{host="b"}"#, 8.0)]);
    check("load unless on (host) (cores > 2)", &[(r#"load{host="a"}"#, 2.0)]);
    check("load > 5 or load", &[(r#"load{host="a"}"#, 2.0), (r#"load{host="b"}"#, 8.0)]);
    check("gone or load < 5", &[(r#"load{host="a"}"#, 2.0)]);
    check(
        "vector(1) or load",
        &[(r#"load{host="a"}"#, 2.0), (r#"load{host="b"}"#, 8.0), ("{}", 1.0)],
    );
    check("vector(1) or on () load", &[("{}", 1.0)]);
}

#[test]
fn repeated_label_sets_are_errors_only_when_present() {
    let both = r#"{__name__=~"load|old"}"#;
    check(&format!("abs({both})"), &[(r#"{host="a"}"#, 2.0), (r#"{host="b"}"#, 8.0)]);
    for text in [
        format!("abs({both} offset 1m)"),
        format!("-({both} offset 1m)"),
        format!("{both} offset 1m + 1"),
        format!("rate({}[10m])", r#"{__name__=~"cpu|cpu2|load"}"#).replace("load", "old")
            + " + rate(x[1m])",
    ]
    .iter()
    .take(3)
    {
        check_error(text, "vector cannot contain metrics with the same labelset: {host=\"a\"}");
    }
}

#[test]
fn functions_of_elements() {
    let a = |value| [(r#"{host="a"}"#, value)];
    check(r#"clamp_max(load{host="a"}, 1)"#, &a(1.0));
    check(r#"clamp(load{host="a"}, 3, 1)"#, &[]);
    check(r#"clamp_min(load{host="a"}, scalar(sum(cores)))"#, &a(6.0));
    check(r#"round(load{host="a"} / 3, 0.5)"#, &a(0.5));
    check(r#"exp(ln(load{host="a"}))"#, &a(2.0));
    check("scalar(load)", &[("scalar", NAN)]);
    check("vector(3)", &[("{}", 3.0)]);
    check(r#"absent(gone{host="a",x=~".+"})"#, &a(1.0));
    check("absent(load)", &[]);
    check("absent(sum(gone))", &[("{}", 1.0)]);
    check("histogram_quantile(0.5, bucket)", &[("{}", 1.5)]);
    check("histogram_fraction(1, 2, bucket)", &[("{}", 0.5)]);
    check(
        r#"label_replace(load, "h", "x$1", "host", "(a)")"#,
        &[(r#"load{h="xa", host="a"}"#, 2.0), (r#"load{host="b"}"#, 8.0)],
    );
    check(
        r#"label_join(cores, "host", "-", "host", "kind")"#,
        &[(r#"cores{host="a-x", kind="x"}"#, 2.0), (r#"cores{host="b-y", kind="y"}"#, 4.0)],
    );
    check_error(r#"label_replace(load, "host", "", "host", ".*")"#, "same labelset");
}

#[test]
fn the_calendar() {
    check("hour()", &[("{}", 22.0)]);
    check("minute(vector(time() + 90))", &[("{}", 1.0)]);
    check("day_of_week()", &[("{}", 2.0)]);
    check(
        "days_in_month() + day_of_month() + month() + year() + day_of_year()",
        &[("{}", 30.0 + 14.0 + 11.0 + 2023.0 + 318.0)],
    );
    check("time()", &[("scalar", (NOW / 1000) as f64)]);
    assert!(parse("sin(2 * pi() * hour() / 24)").is_calendar());
    assert!(!parse("hour(load)").is_calendar());
}

#[test]
fn subqueries_take_aligned_steps() {
    let a = |value| [(r#"{host="a"}"#, value)];
    // At NOW - 60 s and NOW: 3 and 2.
    check(r#"avg_over_time(load{host="a"}[2m:1m])"#, &a(2.5));
    check(r#"count_over_time(load{host="a"}[2m:])"#, &a(2.0));
    check(r#"count_over_time(load{host="a"}[2m:7s])"#, &a(17.0));
    check(r#"sum_over_time(load{host="a"}[2m:1m] offset 1m)"#, &a(4.0));
    check(
        r#"max_over_time(rate(cpu{host="a",cpu="0"}[1m])[5m:30s])"#,
        &[(r#"{cpu="0", host="a", mode="idle"}"#, 0.5)],
    );
    check(r#"max_over_time(sum_over_time(load{host="a"}[2m:1m])[1m:1m])"#, &a(5.0));
    // Rows that come and go, and label sets that meet in one row at different times.
    check(
        r#"count_over_time((load > 2)[3m:1m])"#,
        &[(r#"{host="a"}"#, 1.0), (r#"{host="b"}"#, 2.0)],
    );
    check(r#"count_over_time(abs({__name__=~"load|old",host="a"} < 3)[2m:1m])"#, &a(2.0));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    check_refused("", "1:1: parse error: no expression found in input");
    check_refused("(load", "1:6: parse error: unclosed left parenthesis");
    check_refused("load)", "1:5: parse error: unexpected right parenthesis ')'");
    check_refused("sum(\n  load,)", "2:7: parse error: trailing commas not allowed");
    check_refused("load load", r#"1:6: parse error: unexpected identifier "load""#);
    check_refused("1 +\n+", "2:2: parse error: unexpected end of input");
    check_refused(
        "sum by load",
        r#"1:8: parse error: unexpected identifier "load" in grouping opts"#,
    );
    check_refused("sum by (a", "1:10: parse error: unclosed left parenthesis");
    check_refused("sum by (a b) (x)", r#"in grouping opts, expected "," or ")""#);
    check_refused(
        "sum by (5) (x)",
        r#"1:9: parse error: unexpected number "5" in grouping opts, expected label"#,
    );
    check_refused(
        "load{a}",
        r#"1:7: parse error: unexpected "}" in label matching, expected label matching operator"#,
    );
    check_refused(
        "load{a=~\"(\"}",
        r#"1:6: parse error: error parsing regexp: missing closing ): `(`"#,
    );
    check_refused("load[5m", "1:8: parse error: unclosed left bracket");
    check_refused("load[]", "in subquery selector, expected number or duration");
    check_refused(
        "load[5m 5m]",
        r#"1:9: parse error: unexpected duration "5m" in subquery or range, expected ":" or "]""#,
    );
    check_refused("load[0s]", "1:6: parse error: duration must be greater than 0");
    check_refused("load offset foo", r#"in offset, expected number or duration"#);
    check_refused(
        "rate(load)",
        r#"1:6: parse error: expected type range vector in call to function "rate", got instant vector"#,
    );
    check_refused("abs()", r#"1:1: parse error: expected 1 argument(s) in call to "abs", got 0"#);
    check_refused(
        "round(load, 1, 2)",
        r#"expected at most 2 argument(s) in call to "round", got 3"#,
    );
    check_refused(
        "label_join(load)",
        r#"expected at least 3 argument(s) in call to "label_join", got 1"#,
    );
    check_refused("1 + nosuch(load)", r#"1:5: parse error: unknown function with name "nosuch""#);
    check_refused(
        "topk(load)",
        "1:1: parse error: wrong number of arguments for aggregate expression",
    );
    check_refused(
        "sum(1)",
        "1:5: parse error: expected type instant vector in aggregation expression, got scalar",
    );
    check_refused("1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    check_refused(
        "load + bool 2",
        "1:6: parse error: bool modifier can only be used on comparison",
    );
    check_refused(
        "1 and load",
        "1:1: parse error: set operator \"and\" not allowed in binary scalar",
    );
    check_refused("load or on (a) group_left load", "no grouping allowed for \"or\" operation");
    check_refused(
        "load + on (a) group_left (a) load",
        "1:6: parse error: label \"a\" must not occur in ON and GROUP",
    );
    check_refused("1 + on (a) load", "vector matching only allowed between instant vectors");
    check_refused(
        "load[5m] + 1",
        "1:1: parse error: binary expression must contain only scalar and instant",
    );
    check_refused(
        "-\"a\"",
        "1:1: parse error: unary expression only allowed on expressions of type",
    );
    check_refused("(load)[5m]", "1:7: parse error: ranges only allowed for vector selectors");
    check_refused(
        "load offset 1m [5m]",
        "1:16: parse error: no offset modifiers allowed before range",
    );
    check_refused(
        "load offset 1m offset 1m",
        "1:1: parse error: offset may not be set multiple times",
    );
    check_refused("sum(load) offset 1m", "1:1: parse error: offset modifier must be preceded by");
    check_refused(
        "1[5m:1m]",
        "1:1: parse error: subquery is only allowed on instant vector, got scalar",
    );
    check_refused("sum(load", "1:9: parse error: unclosed left parenthesis");
    check_refused(r#"load{__name__="x"}"#, "metric name must not be set twice: \"load\" or \"x\"");
    check_refused(
        r#"1 + {host=~".*"}"#,
        "1:5: parse error: vector selector must contain at least one",
    );
    check_refused(
        r#"label_replace(load, "a", "", "b", "(")"#,
        "1:35: parse error: invalid regular",
    );
    check_refused("load[5m]", "1:1: parse error: a range vector has no value at an instant");
    check_refused("load[5m:1m]", "a range vector has no value at an instant");
    check_refused(r#""text""#, "1:1: parse error: a string has no value at an instant");
}

#[test]
fn what_is_not_evaluated_is_refused_by_name() {
    check_refused(
        "holt_winters(load[5m], 0.5, 0.5)",
        "unknown function with name \"holt_winters\"",
    );
    check_refused(
        "mad_over_time(load[5m])",
        "1:1: mad_over_time(), experimental in Prometheus, is not supported",
    );
    check_refused(
        "limitk(1, load)",
        "1:1: the aggregation limitk(), experimental in Prometheus, is",
    );
    check_refused("load[5m * 2]", "1:9: arithmetic with durations, experimental in Prometheus, is");
    check_refused("load[(5m)]", "1:6: arithmetic with durations");
    check_refused("load @ 100", "1:6: `@` fixes a time, which a feature, evaluated at every tick");
    check_refused(
        "max_over_time(load[1y:1ms])",
        "1:19: a subquery with a number of steps of 31536000000 is more than the limit of 11000",
    );
    check_refused("max_over_time(max_over_time(load[100m:1m])[200m:1m])", "1:43: a subquery");
}

#[test]
fn hostile_texts_are_refused_without_harm() {
    check_refused("rate(load[1e30])", "1:11: range of 18446744073709551615 is more than the limit");
    for text in ["(", "-", "1^", "a+", "sum(", "a or ", "a[", "!", "\u{0}", "é"] {
        for times in [490, 60_000] {
            let _ = Expr::parse(&text.repeat(times));
            let _ = Expr::parse(&format!("{}1", text.repeat(times)));
        }
    }
    let deep = format!("{}load{}", "abs(".repeat(490), ")".repeat(490));
    check(&deep, &[(r#"{host="a"}"#, 2.0), (r#"{host="b"}"#, 8.0)]);
    let long = format!("load{}", " + load".repeat(490));
    check(&long, &[(r#"{host="a"}"#, 982.0), (r#"{host="b"}"#, 3_928.0)]);
}

#[test]
fn lookbacks_follow_from_the_expression() {
    #[track_caller]
    fn check(text: &str, seconds: &[i64]) {
        let got: Vec<i64> =
            parse(text).selectors().iter().map(|(_, ms)| (ms + 999) / 1_000).collect();
        assert_eq!(got, seconds, "{text}");
    }
    check("a", &[300]);
    check("a offset 1m", &[360]);
    check("rate(a[2m])", &[120]);
    check("rate(a[2m]) + a", &[300]);
    check("rate(a[2m] offset 5m) + b", &[420, 300]);
    check("max_over_time(rate(a[2m])[10m:1m] offset 1h)", &[120 + 600 + 3_600]);
    check("time()", &[]);
}

#[test]
fn labels_that_the_expression_itself_decides() {
    #[track_caller]
    fn check(text: &str, expected: Option<&[&str]>) {
        let expected = expected.map(|l| l.iter().map(|l| (*l).to_owned()).collect());
        assert_eq!(parse(text).output_labels(), expected, "{text}");
    }
    check("1", Some(&[]));
    check("hour()", Some(&[]));
    check("load", None);
    check("sum(load)", Some(&[]));
    check("1 - avg by (b, a) (rate(cpu[1m]))", Some(&["a", "b"]));
    check("sum without (a) (sum by (a, b) (x))", Some(&["b"]));
    check("x / on (a) sum by (a, b) (y)", Some(&["a"]));
    check("sum by (a) (x) / on (a) group_left (c) y", Some(&["a", "c"]));
    check("max_over_time(sum by (a) (x)[5m:])", Some(&["a"]));
    check("sum by (a) (x) or sum by (b) (x)", Some(&["a", "b"]));
    check(r#"label_replace(sum(x), "z", "1", "", "")"#, Some(&["z"]));
    check("histogram_quantile(0.9, sum by (le, a) (x))", Some(&["a"]));
}

#[test]
fn a_plan_shares_what_expressions_have_in_common() {
    let (store, mut plan) = bind(&[
        "sum by (host) (rate(cpu[1m]))",
        "1 - sum by (host) ((rate(cpu[1m])))",
        "max_over_time(sum by (host) (rate(cpu[1m]))[2m:1m])",
        "min_over_time(sum by (host) (rate(cpu[1m]))[2m:1m])",
        "load + on (host) cpu",
        "load * 2",
    ]);
    // rate, sum | 1, - | subquery, max, min | load, cpu, + | 2, *
    assert_eq!(plan.nodes(), 12);
    assert_eq!(plan.series().count(), 2, "cpu and load");
    plan.eval(&store, NOW);
    for (i, a, b) in [(0, 1.0, 2.0), (1, 0.0, -1.0), (2, 1.0, 2.0), (5, 4.0, 16.0)] {
        let mut got = elements(plan.output(i).expect("a value"));
        // Rates of 0.5 a second come out within an ulp of it.
        got.iter_mut().for_each(|(_, v)| *v = (*v * 1e9).round() / 1e9);
        let expected = [(r#"{host="a"}"#, a), (r#"{host="b"}"#, b)];
        assert_elements(&format!("expression {i}"), &got, &expected);
    }
    assert!(plan.output(4).is_err(), "and the others have values all the same");
}

/// A range that the plan has for more series is a part of that: whatever is born, dies or goes
/// stale, it is what it would be alone.
#[test]
fn a_part_of_a_wider_range_is_what_it_would_be_alone() {
    let parts = [
        r#"rate(cpu{mode="user"}[2m])"#,
        r#"sum by (host) (rate(cpu{mode="idle",host="a"}[2m]))"#,
        r#"max_over_time(sum by (host) (rate(cpu{mode="user"}[2m]) + rate(cpu[2m]))[3m:30s])"#,
        r#"last_over_time(cpu{mode!="idle"}[2m])"#,
        r#"rate(cpu{mode="user"}[1m])"#,
    ];
    let mut together = parts.to_vec();
    together.extend(["rate(cpu[2m])", "last_over_time(cpu[2m])"]);
    let together: Vec<Expr> = together.into_iter().map(parse).collect();
    let mut store = Store::new(StorageConfig::default());
    let mut plan = Plan::bind(&together, &mut store);
    let mut alone: Vec<Plan> =
        parts.iter().map(|part| Plan::bind(&[parse(part)], &mut store)).collect();
    assert_eq!(plan.narrowed(), 3);
    let mut compared = 0;
    for tick in 0..120_i64 {
        let time_ms = NOW + 15_000 * tick;
        let mut push = |host: &str, mode: &str, value: f64| {
            let labels = labels(&format!(r#"cpu{{host="{host}",mode="{mode}"}}"#));
            let samples = vec![Sample::new(time_ms, value)];
            let series = vec![BatchSeries::new(labels, samples)];
            store.append(time_ms, &Batch::of(series));
        };
        // Hosts come and go, each at times of its own, and one of them in turns.
        for (h, host) in ["c", "a", "b"].into_iter().enumerate() {
            for (m, mode) in ["idle", "user", "nice"].into_iter().enumerate() {
                let turn = tick + 7 * h as i64 + 3 * m as i64;
                match turn % 40 {
                    0..25 => push(host, mode, (turn * (3 + m as i64)) as f64),
                    25 => push(host, mode, f64::from_bits(STALE_NAN_BITS)),
                    _ => {}
                }
            }
        }
        if tick % 10 == 9 {
            store.evict(time_ms + 1_000_000 * i64::from(tick == 99));
        }
        plan.eval(&store, time_ms);
        for (i, alone) in alone.iter_mut().enumerate() {
            alone.eval(&store, time_ms);
            let expected = elements(alone.output(0).expect("a value"));
            assert_eq!(
                elements(plan.output(i).expect("a value")),
                expected,
                "{} at {tick}",
                parts[i]
            );
            compared += expected.len();
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn layouts_keep_their_version_until_series_are_born_or_die() {
    let (mut store, mut plan) = bind(&["sum by (host) (load) / on (host) load", "-load"]);
    let versions = |plan: &Plan| {
        [0, 1].map(|i| match plan.output(i) {
            Ok(Value::Vector(vector)) => vector.layout.version,
            other => panic!("{other:?}"),
        })
    };
    plan.eval(&store, NOW);
    let before = versions(&plan);
    store.append(NOW, &Batch::of(vec![series(r#"load{host="a"}"#, &[(-15, 9.0)])]));
    plan.eval(&store, NOW + 15_000);
    assert_eq!(versions(&plan), before, "other values, same layouts");
    store.append(NOW, &Batch::of(vec![series(r#"load{host="c"}"#, &[(-15, 5.0)])]));
    plan.eval(&store, NOW + 15_000);
    let after = versions(&plan);
    assert!(before.iter().zip(&after).all(|(a, b)| a != b));
    let expected = [(r#"{host="a"}"#, -9.0), (r#"{host="b"}"#, -8.0), (r#"{host="c"}"#, -5.0)];
    assert_elements("-load", &elements(plan.output(1).expect("a value")), &expected);
    plan.eval(&store, NOW + 600_000);
    assert_elements("-load", &elements(plan.output(1).expect("a value")), &[]);
    plan.release(&mut store);
    assert_eq!(store.stats().series, 0, "nobody wants them any more");
}
