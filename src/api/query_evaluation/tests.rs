use super::*;
use crate::sample::{STALE_NAN_BITS, Sample};
use crate::series::{Excerpt, ExcerptLimits};

/// `up` of two hosts every 15 s for five minutes; b ends with a stale marker at 150 s.
fn store() -> Store {
    let limits = ExcerptLimits { max_series: 10, max_samples: 1_000 };
    let mut excerpt = Excerpt::new(Vec::new(), limits);
    for (host, ends) in [("b", Some(10)), ("a", None)] {
        let labels = Labels::from_pairs([("__name__", "up"), ("host", host)]).expect("distinct");
        let sample = |i: i64| match ends {
            Some(end) if i == end => Sample::new(i * 15_000, f64::from_bits(STALE_NAN_BITS)),
            _ => Sample::new(i * 15_000, i as f64),
        };
        let samples: Vec<Sample> =
            (0..=20).filter(|i| ends.is_none_or(|end| *i <= end)).map(sample).collect();
        excerpt.add(&labels, &samples).expect("within the limits");
    }
    excerpt.into_store()
}

fn evaluation(text: &str, instants: Instants) -> QueryEvaluation {
    let (start, end) = instants.ends();
    QueryEvaluation {
        query: Query::parse(text, start, end).expect("a good query"),
        instants,
        limit: None,
        max_samples: 1_000,
        max_bytes: ByteSize::from_mib(1),
    }
}

#[track_caller]
fn check(text: &str, instants: Instants, expected: &str) {
    let got = evaluation(text, instants).run(&mut store(), &|| true).expect("an answer");
    assert_eq!(got, format!(r#"{{"status":"success","data":{expected}}}"#), "{text}");
}

const EARLY: Instants = Instants::At(60_500);
const STEPS: Instants = Instants::Steps { start_ms: 120_000, end_ms: 180_000, step_ms: 30_000 };

#[test]
fn each_type_of_value() {
    check("'a\"b'", EARLY, r#"{"resultType":"string","result":[60.500,"a\"b"]}"#);
    check("1e21", EARLY, r#"{"resultType":"scalar","result":[60.500,"1000000000000000000000"]}"#);
    check(
        "up",
        EARLY,
        r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","host":"b"},"value":[60.500,"4"]},{"metric":{"__name__":"up","host":"a"},"value":[60.500,"4"]}]}"#,
    );
    check("up > 5", EARLY, r#"{"resultType":"vector","result":[]}"#);
    check(
        "up[20s]",
        EARLY,
        r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","host":"a"},"values":[[45,"3"],[60,"4"]]},{"metric":{"__name__":"up","host":"b"},"values":[[45,"3"],[60,"4"]]}]}"#,
    );
}

#[test]
fn what_is_said_of_a_query_is_in_its_answer() {
    let info = r#""infos":["PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (1:6)"]"#;
    for instants in [EARLY, STEPS] {
        let got = evaluation("rate(up[1m])", instants).run(&mut store(), &|| true);
        let got = got.expect("an answer");
        assert!(got.ends_with(&format!(",{info}}}")), "{got}");
    }
    let got = evaluation("quantile(1.5, up)", EARLY).run(&mut store(), &|| true);
    let warning = "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)";
    assert!(got.expect("an answer").ends_with(&format!(r#","warnings":["{warning}"]}}"#)));
}

#[test]
fn steps_give_a_matrix() {
    check(
        "up",
        STEPS,
        r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","host":"a"},"values":[[120,"8"],[150,"10"],[180,"12"]]},{"metric":{"__name__":"up","host":"b"},"values":[[120,"8"]]}]}"#,
    );
    check(
        "time()",
        STEPS,
        r#"{"resultType":"matrix","result":[{"metric":{},"values":[[120,"120"],[150,"150"],[180,"180"]]}]}"#,
    );
    check("up > 100", STEPS, r#"{"resultType":"matrix","result":[]}"#);
    // Which elements there are changes from step to step.
    check(
        "topk(1, up)",
        STEPS,
        r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","host":"a"},"values":[[150,"10"],[180,"12"]]},{"metric":{"__name__":"up","host":"b"},"values":[[120,"8"]]}]}"#,
    );
}

#[test]
fn an_order_is_kept() {
    let a_is_first = |text| {
        let got = evaluation(text, EARLY).run(&mut store(), &|| true).expect("an answer");
        got.find("\"a\"") < got.find("\"b\"")
    };
    assert!(a_is_first(r#"topk(2, up{host="b"} or up{host="a"} + 1)"#));
    assert!(!a_is_first(r#"topk(2, up{host="a"} or up{host="b"} + 1)"#));
    assert!(a_is_first(r#"bottomk(2, up{host="a"} or up{host="b"} + 1)"#));
}

#[test]
fn a_limit_leaves_out_and_says_so() {
    let mut limited = evaluation("up", EARLY);
    limited.limit = Some(1);
    let got = limited.run(&mut store(), &|| true).expect("an answer");
    assert!(got.ends_with(r#"]},"warnings":["results truncated due to limit"]}"#), "{got}");
    assert_eq!(got.matches("metric").count(), 1);
    limited.limit = Some(2);
    let got = limited.run(&mut store(), &|| true).expect("an answer");
    assert!(!got.contains("warnings"), "{got}");
}

#[test]
fn bounds_of_the_answer() {
    for (text, instants) in [("up", EARLY), ("up", STEPS), ("up[1m]", EARLY)] {
        let mut small = evaluation(text, instants);
        small.max_samples = 1;
        let error = small.run(&mut store(), &|| true).expect_err("two points");
        assert!(matches!(error, ApiError::Limit(Limit::Samples(1))), "{error}");
        let mut small = evaluation(text, instants);
        small.max_bytes = ByteSize::from_bytes(100);
        let error = small.run(&mut store(), &|| true).expect_err("more than 100 bytes");
        assert!(matches!(error, ApiError::Limit(Limit::ResponseBytes(_))), "{error}");
    }
}

/// A query with as many points as are allowed is answered; with one more it is refused, those whose points are
/// known beforehand before the first step is evaluated, and in the same words.
#[test]
fn points_at_the_limit() {
    let long = Instants::Steps { start_ms: 0, end_ms: 280_000, step_ms: 1_000 };
    let known = [
        "up",
        "time()",
        "sum(rate(up[1m]))",
        "-up / up",
        "max_over_time(up[1m:30s])",
        "up or up",
        "label_replace(up, 'x', 'y', '', '')",
    ];
    let unknown = ["count_values('v', up)", "topk(9, up)", "up >= 0"];
    for (texts, is_known) in [(&known[..], true), (&unknown[..], false)] {
        for text in texts {
            let mut query = evaluation(text, long);
            let answer = query.run(&mut store(), &|| true).expect("an answer");
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
            let rows = answer["data"]["result"].as_array().expect("a matrix");
            let values = |row: &serde_json::Value| row["values"].as_array().map_or(0, Vec::len);
            let points: usize = rows.iter().map(values).sum();
            query.max_samples = points;
            query.run(&mut store(), &|| true).expect("as many as are allowed");
            query.max_samples = points - 1;
            let asked = std::cell::Cell::new(0);
            let go_on = || {
                asked.set(asked.get() + 1);
                true
            };
            let error = query.run(&mut store(), &go_on).expect_err("one too many");
            let expected = ApiError::Limit(Limit::Samples(points - 1));
            assert_eq!(
                (error.status(), error.to_string()),
                (expected.status(), expected.to_string())
            );
            assert_eq!(asked.get() < 10, is_known, "{text}: asked {} times", asked.get());
        }
    }
}

#[test]
fn it_ends_when_told() {
    for (text, instants) in [("up", EARLY), ("up", STEPS), ("up[1m]", EARLY)] {
        let error = evaluation(text, instants).run(&mut store(), &|| false).expect_err("no time");
        assert!(matches!(error, ApiError::Timeout(Stage::Evaluation)), "{error}");
    }
    // In the middle of a long one.
    let asked = std::cell::Cell::new(0);
    let go_on = || {
        asked.set(asked.get() + 1);
        asked.get() < 50
    };
    let long = Instants::Steps { start_ms: 0, end_ms: 10_000_000, step_ms: 1_000 };
    for text in ["up + up", "up @ 100", "1"] {
        asked.set(0);
        let mut query = evaluation(text, long);
        query.max_samples = 100_000;
        let error = query.run(&mut store(), &go_on).expect_err("no time");
        assert!(matches!(error, ApiError::Timeout(Stage::Evaluation)), "{error}");
        assert_eq!(asked.get(), 50);
    }
}

#[test]
fn what_is_read() {
    let read = |text, instants| {
        let (start, end) = (Instants::ends(instants).0, Instants::ends(instants).1);
        let query = Query::parse(text, start, end).expect("a good query");
        let wanted = wanted(&query, instants).into_iter();
        wanted.map(|w| (w.from_ms, w.to_ms, w.lookback_ms)).collect::<Vec<_>>()
    };
    assert_eq!(read("up", EARLY), [(60_500 - 300_000, 60_500, 0)]);
    assert_eq!(read("up[1m] offset 1m", STEPS), [(0, 120_000, 120_000)]);
    assert_eq!(read("rate(up[1m] @ end())", STEPS), [(120_000, 180_000, 0)]);
    assert_eq!(read("1", STEPS), []);
}
