//! Expressions over native histograms, with values worked out by hand.

use super::*;
use crate::histogram::{BucketCounts, BucketSpan, NativeHistogram};
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries, HistogramSample, STALE_NAN_BITS, Sample};
use crate::series::{StorageConfig, Store};

const NOW: i64 = 1_699_999_200_000;

/// So many observations each in (0.5, 1] and (1, 2], and a sum of three for each two of them.
fn histogram(count: f64) -> NativeHistogram {
    NativeHistogram {
        count: 2.0 * count,
        sum: 3.0 * count,
        positive: BucketCounts {
            spans: vec![BucketSpan { offset: 0, length: 2 }],
            counts: vec![count, count],
        },
        ..NativeHistogram::default()
    }
}

fn series(name: &str, host: &str, floats: &[(i64, f64)], counts: &[(i64, f64)]) -> BatchSeries {
    let labels = Labels::from_pairs([("__name__", name), ("host", host)]).expect("two names");
    let at = |seconds_ago: i64| NOW - seconds_ago * 1_000;
    let histogram = |(ago, count): &(i64, f64)| HistogramSample::new(at(*ago), histogram(*count));
    let samples = floats.iter().map(|(ago, value)| Sample::new(at(*ago), *value)).collect();
    let histograms = counts.iter().map(histogram).collect();
    BatchSeries { histograms, ..BatchSeries::new(labels, samples) }
}

/// Latencies of two hosts, one of which has started again; one that has ended; one that was a float once; and
/// floats.
fn world() -> Batch {
    let growing = |step: f64| (0..=8).map(|i| (120 - 15 * i, step * i as f64)).collect::<Vec<_>>();
    let again = [(60, 40.0), (45, 50.0), (30, 5.0), (15, 6.0), (0, 7.0)];
    let ended = [(30, f64::from_bits(STALE_NAN_BITS))];
    Batch::of(vec![
        series("latency", "a", &[], &growing(10.0)),
        series("latency", "b", &[], &again),
        series("latency", "gone", &ended, &[(60, 1.0), (45, 2.0)]),
        series("once", "a", &[(60, 1.0), (45, 2.0)], &[(30, 3.0), (15, 4.0)]),
        series("load", "a", &[(0, 2.0)], &[]),
        series("load", "b", &[(0, 4.0)], &[]),
    ])
}

fn bind(text: &str) -> (Store, Plan) {
    let expr = Expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut store = Store::new(StorageConfig::default());
    let plan = Plan::bind_lenient(std::slice::from_ref(&expr), &mut store);
    assert_eq!(store.append(NOW, &world()).rejected(), 0);
    (store, plan)
}

/// What is there, sorted: a number, or a histogram as the observations of its buckets.
fn elements(value: Value) -> Vec<String> {
    let Value::Vector(vector) = value else { panic!("a vector") };
    let element = |i: usize| {
        let labels = &vector.layout.labels[i];
        let histogram = vector.histograms.get(i).and_then(Option::as_ref);
        match (vector.present[i], histogram) {
            (true, None) => Some(format!("{labels} {}", vector.values[i])),
            (false, Some(it)) => {
                let buckets: Vec<String> =
                    it.ascending().map(|bucket| bucket.count.to_string()).collect();
                Some(format!("{labels} {} {}: {}", it.count, it.sum, buckets.join(" ")))
            }
            (false, None) => None,
            (true, Some(_)) => panic!("{labels} is both"),
        }
    };
    let mut elements: Vec<String> = (0..vector.layout.len()).filter_map(element).collect();
    elements.sort();
    elements
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let (store, mut plan) = bind(text);
    plan.eval(&store, NOW);
    let got = elements(plan.output(0).unwrap_or_else(|error| panic!("{text}: {error}")));
    assert_eq!(got, expected, "{text}");
    // What was said at another instant is forgotten.
    plan.eval(&store, NOW + 3_600_000);
    let later = elements(plan.output(0).expect("nothing is wrong"));
    let lasts = text.starts_with("absent") || text.contains("vector(");
    assert_eq!(later.is_empty(), !lasts, "{text}: {later:?}");
}

#[test]
fn a_selector_gives_the_newest() {
    check("latency", &[r#"latency{host="a"} 160 240: 80 80"#, r#"latency{host="b"} 14 21: 7 7"#]);
    check("once", &[r#"once{host="a"} 8 12: 4 4"#]);
    check("once offset 40s", &[r#"once{host="a"} 2"#]);
    check("timestamp(once)", &[r#"{host="a"} 1699999185"#]);
}

#[test]
fn figures_of_histograms() {
    check("histogram_count(latency)", &[r#"{host="a"} 160"#, r#"{host="b"} 14"#]);
    check("histogram_sum(latency)", &[r#"{host="a"} 240"#, r#"{host="b"} 21"#]);
    check("histogram_avg(latency)", &[r#"{host="a"} 1.5"#, r#"{host="b"} 1.5"#]);
    check("histogram_quantile(0.5, latency)", &[r#"{host="a"} 1"#, r#"{host="b"} 1"#]);
    check("histogram_fraction(0, 1, latency)", &[r#"{host="a"} 0.5"#, r#"{host="b"} 0.5"#]);
    check("histogram_count(load)", &[]);
    check("histogram_stddev(load) or histogram_stdvar(load)", &[]);
    check("abs(latency)", &[]);
}

#[test]
fn functions_of_ranges() {
    check(
        "increase(latency[1m])",
        &[
            r#"{host="a"} 80 120: 40 40"#,
            r#"{host="b"} 18.666666666666664 28: 9.333333333333332 9.333333333333332"#,
        ],
    );
    check(
        "rate(latency{host=\"a\"}[1m])",
        &[
            r#"{host="a"} 1.3333333333333333 1.9999999999999998: 0.6666666666666666 0.6666666666666666"#,
        ],
    );
    check("rate(once[2m])", &[]);
    check("count_over_time(once[2m])", &[r#"{host="a"} 4"#]);
    check("last_over_time(once[2m])", &[r#"once{host="a"} 8 12: 4 4"#]);
    check("sum_over_time(latency{host=\"b\"}[40s])", &[r#"{host="b"} 36 54: 18 18"#]);
    check("resets(latency[2m])", &[r#"{host="a"} 0"#, r#"{host="b"} 1"#, r#"{host="gone"} 0"#]);
    check("max_over_time(once[2m])", &[r#"{host="a"} 2"#]);
    check("absent_over_time(latency[2m])", &[]);
    check("sum_over_time(latency{host=\"b\"}[1m:15s])", &[r#"{host="b"} 136 204: 68 68"#]);
    check("max_over_time(histogram_count(latency{host=\"b\"})[1m:15s])", &[r#"{host="b"} 100"#]);
}

#[test]
fn aggregations() {
    check("sum(latency)", &["{} 174 261: 87 87"]);
    check("avg(latency)", &["{} 87 130.5: 43.5 43.5"]);
    check("count(latency)", &["{} 2"]);
    check("group(latency)", &["{} 1"]);
    check("max(latency)", &[]);
    check(r#"sum({__name__=~"latency|load"})"#, &[]);
    check(r#"max({__name__=~"latency|load"})"#, &["{} 4"]);
    check(
        r#"count by (host) ({__name__=~"latency|load"})"#,
        &[r#"{host="a"} 2"#, r#"{host="b"} 2"#],
    );
    check("topk(1, latency)", &[]);
}

#[test]
fn operators() {
    check("-latency", &[r#"{host="a"} -160 -240: -80 -80"#, r#"{host="b"} -14 -21: -7 -7"#]);
    check("latency * 2", &[r#"{host="a"} 320 480: 160 160"#, r#"{host="b"} 28 42: 14 14"#]);
    check("2 * latency{host=\"b\"}", &[r#"{host="b"} 28 42: 14 14"#]);
    check("latency{host=\"b\"} / 7", &[r#"{host="b"} 2 3: 1 1"#]);
    for nothing in ["latency + 1", "1 / latency", "latency > 1", "latency == bool 1", "latency ^ 2"]
    {
        check(nothing, &[]);
    }
    check("latency + on (host) once", &[r#"{host="a"} 168 252: 84 84"#]);
    check("latency - on (host) once", &[r#"{host="a"} 152 228: 76 76"#]);
    check(
        "latency * on (host) load",
        &[r#"{host="a"} 320 480: 160 160"#, r#"{host="b"} 56 84: 28 28"#],
    );
    check("load / on (host) latency", &[]);
    check(
        "latency == latency",
        &[r#"latency{host="a"} 160 240: 80 80"#, r#"latency{host="b"} 14 21: 7 7"#],
    );
    check("latency != bool on (host) once", &[r#"{host="a"} 1"#]);
    check("latency < latency", &[]);
}

#[test]
fn sets_and_what_is_absent() {
    check("latency and on (host) once", &[r#"latency{host="a"} 160 240: 80 80"#]);
    check("latency unless on (host) once", &[r#"latency{host="b"} 14 21: 7 7"#]);
    check("load and on (host) once", &[r#"load{host="a"} 2"#]);
    check("once or on (host) load", &[r#"load{host="b"} 4"#, r#"once{host="a"} 8 12: 4 4"#]);
    check("load or on (host) latency", &[r#"load{host="a"} 2"#, r#"load{host="b"} 4"#]);
    check("absent(latency)", &[]);
    check("label_replace(once, \"x\", \"y\", \"\", \"\")", &[r#"once{host="a", x="y"} 8 12: 4 4"#]);
    check("vector(scalar(once))", &["{} NaN"]);
}

/// Elements that become one label set are left out, whichever kind they are.
#[test]
fn label_sets_that_are_there_twice() {
    let (store, mut plan) = bind(r#"-{__name__=~"latency|load"}"#);
    plan.eval(&store, NOW);
    assert_eq!(elements(plan.output(0).expect("it is lenient")), Vec::<String>::new());
    assert!(!plan.faults(0).is_empty());
}

/// Early refusal knows nothing of them, so that nothing is refused that would be answered.
#[test]
fn how_many_points_there_will_be_is_not_told() {
    let (store, plan) = bind("latency");
    let expr = Expr::parse("latency").expect("good");
    let steps = Steps { first_ms: NOW, step_ms: 1, count: 100 };
    assert!(!plan.gives_more_than(1, (&expr, steps), &store, &|| true));
}

#[test]
fn a_count_of_values_has_the_texts_of_histograms() {
    check(
        r#"count_values("v", {__name__=~"latency|once|load"})"#,
        &[
            r#"{v="2"} 1"#,
            r#"{v="4"} 1"#,
            r#"{v="{count:14, sum:21, (0.5,1]:7, (1,2]:7}"} 1"#,
            r#"{v="{count:160, sum:240, (0.5,1]:80, (1,2]:80}"} 1"#,
            r#"{v="{count:8, sum:12, (0.5,1]:4, (1,2]:4}"} 1"#,
        ],
    );
    check(
        r#"count_values by (host) ("host", latency + 0 * latency)"#,
        &[
            r#"{host="{count:14, sum:21, (0.5,1]:7, (1,2]:7}"} 1"#,
            r#"{host="{count:160, sum:240, (0.5,1]:80, (1,2]:80}"} 1"#,
        ],
    );
}

/// What is longer than a label's value may be is none: texts of many buckets take far more than their histograms.
#[test]
fn a_count_of_values_has_texts_of_bounded_length() {
    let expr = Expr::parse(r#"count_values("v", latency)"#).expect("good");
    let (mut good, mut refused) = (0, 0);
    for buckets in 1..=120_u32 {
        let wide = NativeHistogram {
            count: f64::from(buckets),
            schema: 8,
            positive: BucketCounts {
                spans: vec![BucketSpan { offset: 0, length: buckets }],
                counts: vec![1.0; buckets as usize],
            },
            ..NativeHistogram::default()
        };
        let bytes = super::operators::go_format::histogram(&wide).len();
        let mut store = Store::new(StorageConfig::default());
        let mut plan = Plan::bind(std::slice::from_ref(&expr), &mut store);
        let histograms = vec![HistogramSample::new(NOW, wide)];
        let of = series("latency", "a", &[], &[]);
        store.append(NOW, &Batch::of(vec![BatchSeries { histograms, ..of }]));
        plan.eval(&store, NOW);
        match plan.output(0) {
            Ok(_) if bytes <= 4_096 => good += 1,
            Err(EvalError::TextTooLong { limit: 4_096, bytes: told, buckets: all }) => {
                assert_eq!((*told, *all, bytes > 4_096), (bytes, buckets as usize, true));
                refused += 1;
            }
            other => panic!("{buckets} buckets, {bytes} bytes: {other:?}"),
        }
    }
    assert!(good > 50 && refused > 10, "{good} {refused}");
}

/// Warnings and infos of a query.
#[track_caller]
fn check_said(text: &str, expected: &[&str]) {
    let query = Query::parse(text, NOW, NOW).unwrap_or_else(|error| panic!("{text}: {error}"));
    let Query::Instant(expr) = query else { panic!("{text} is an instant vector") };
    let mut store = Store::new(StorageConfig::default());
    let mut plan = Plan::bind(std::slice::from_ref(&expr), &mut store);
    store.append(NOW, &world());
    for seconds in [0, 1] {
        plan.eval(&store, NOW + 1_000 * seconds);
    }
    let said = plan.annotations();
    let got = [said.warnings.texts, said.infos.texts].concat();
    assert_eq!(got, expected, "{text}");
    // A feature has nothing to say.
    let (store, mut plan) = bind(text);
    plan.eval(&store, NOW);
    assert_eq!(plan.annotations(), Annotations::default(), "{text}");
}

#[test]
fn what_is_left_out_is_said() {
    let mixed = "PromQL warning: encountered a mix of histograms and floats for aggregation";
    check_said("sum by (host) (({__name__=~'latency|load'}))", &[&format!("{mixed} (1:16)")]);
    check_said("sum(latency) or sum(load) or count({host=~'.+'})", &[]);
    check_said("avg({host='a'}) + avg({host='b'})", &[&format!("{mixed} (1:23)")]);
    let ignored = |name: &str, place: &str| {
        format!("PromQL info: ignored histogram in {name} aggregation ({place})")
    };
    check_said("min(load) + max(latency)", &[&ignored("max", "1:17")]);
    check_said("quantile(0.5, (latency))", &[&ignored("quantile", "1:15")]);
    check_said("-topk(1, latency)", &[&ignored("topk", "1:2")]);
    check_said("bottomk(0, latency)", &[]);
    let types = "PromQL info: incompatible sample types encountered for binary operator";
    check_said("(latency) + load", &[&format!("{types} \"+\": histogram + float (1:1)")]);
    check_said("1 - (latency >= 1)", &[&format!("{types} \">=\": histogram >= float (1:6)")]);
    check_said("2 < bool latency", &[&format!("{types} \"<\": float < histogram (1:1)")]);
    check_said("latency % latency", &[&format!("{types} \"%\": histogram % histogram (1:1)")]);
    check_said("latency * load + 2 * latency / 3 - latency", &[]);
}
