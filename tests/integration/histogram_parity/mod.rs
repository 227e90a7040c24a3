//! Native histograms against a real Prometheus: the same requests of remote-write 2.0 into both servers, then every
//! expression at several instants and over ranges, by the same API. Numbers must be the same, but for rounding
//! within the bounds below, or both NaN; buckets the same ones; warnings and infos the same texts at the same places.

mod expressions;
mod world;

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Value as Json;

use crate::support::{Portent, Prometheus, RemoteWriter, get};
use world::{INTERVAL_MS, LENGTH};

const CONFIG: &str = "models: [{name: node}]\n\
    storage: {retention: 2h, keep: ['{instance!=\"\"}']}\n\
    query: {max_samples: 5000000}\n";

/// Steps that are sent in one request.
const SLICE: usize = 20;

/// Rounding of sums in another order, relative to the larger one.
const TOLERANCE: f64 = 1e-11;

/// The same of a histogram's sum, which may be the small rest of large ones; not relative, therefore.
const SUM_TOLERANCE: f64 = 1e-9;

/// The same of a bucket, which may be the small rest of large ones, relative to all observations.
const BUCKET_TOLERANCE: f64 = 1e-10;

/// Relative to all observations: a bucket with less is what rounding left of an empty one.
const EMPTY: f64 = 1e-9;

/// Instants, in steps after the first one, some of them beside a sample.
const INSTANTS: [(i64, i64); 7] =
    [(12, 0), (51, 0), (66, 4_000), (71, 0), (83, 1), (121, 7_000), (158, 0)];

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("a time in i64")
}

/// Sends all streams to a server.
async fn send(url: String, first_ms: i64) {
    let (writer, streams) = (RemoteWriter::new(url), world::streams());
    let headers = [
        ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "2.0.0"),
    ];
    for from in (0..LENGTH).step_by(SLICE) {
        let message = world::request(&streams, first_ms, from..from + SLICE).encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&message).expect("it is short");
        let reply = writer.send_raw(&headers, body).await.expect("an answer");
        assert_eq!(reply.status, 204, "{}", reply.body);
    }
}

/// A series of an answer: values by time.
type Points = BTreeMap<String, Point>;

/// What is at a time.
#[derive(Debug, Clone)]
enum Point {
    Float(f64),
    /// Count, sum, and buckets: how bounds are, lower, upper, count.
    Histogram(f64, f64, Vec<(i64, f64, f64, f64)>),
}

fn number(text: &Json) -> f64 {
    match text.as_str().expect("a number as a string") {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().expect("a number"),
    }
}

fn histogram(of: &Json) -> Point {
    let bucket = |it: &Json| {
        (it[0].as_i64().expect("0 to 3"), number(&it[1]), number(&it[2]), number(&it[3]))
    };
    let buckets = of["buckets"].as_array().map(|all| all.iter().map(bucket).collect());
    Point::Histogram(number(&of["count"]), number(&of["sum"]), buckets.unwrap_or_default())
}

/// What a server answers.
#[derive(Debug, Default)]
struct Answer {
    /// By label set.
    series: BTreeMap<String, Points>,
    /// Warnings and infos, in order.
    said: [Vec<String>; 2],
}

fn texts(of: &Json) -> Vec<String> {
    let all = of.as_array().into_iter().flatten();
    let mut all: Vec<String> = all.filter_map(|it| it.as_str()).map(str::to_owned).collect();
    all.sort_unstable();
    all
}

/// What a server answers; the error is its own.
async fn ask(url: &str) -> Result<Answer, String> {
    let reply = get(url).await.expect("an answer");
    let answer: Json = serde_json::from_str(&reply.body).expect("JSON");
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or_default().to_owned());
    }
    let data = &answer["data"];
    let said = [texts(&answer["warnings"]), texts(&answer["infos"])];
    let mut found = BTreeMap::new();
    if data["resultType"] == "scalar" {
        let point = Point::Float(number(&data["result"][1]));
        found.insert(String::new(), Points::from([(String::new(), point)]));
        return Ok(Answer { series: found, said });
    }
    for series in data["result"].as_array().expect("a list") {
        let mut points = Points::new();
        let mut put = |pair: &Json, point: Point| {
            assert!(points.insert(pair[0].to_string(), point).is_none(), "once a time");
        };
        for (one, many, read) in [
            ("value", "values", (|it| Point::Float(number(it))) as fn(&Json) -> Point),
            ("histogram", "histograms", histogram),
        ] {
            if !series[one].is_null() {
                put(&series[one], read(&series[one][1]));
            }
            for pair in series[many].as_array().into_iter().flatten() {
                put(pair, read(&pair[1]));
            }
        }
        let labels: BTreeMap<String, String> =
            serde_json::from_value(series["metric"].clone()).expect("labels");
        found.insert(format!("{labels:?}"), points);
    }
    Ok(Answer { series: found, said })
}

fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

/// The rule of its bounds, the bounds and the count.
type Bucket = (i64, f64, f64, f64);

fn same(a: &Point, b: &Point) -> bool {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => close(*a, *b),
        (Point::Histogram(count_a, sum_a, a), Point::Histogram(count_b, sum_b, b)) => {
            // What rounding leaves of a bucket that should be empty is one of them in one server only.
            let large = |all: &[(i64, f64, f64, f64)], count: f64| {
                all.iter()
                    .filter(|it| it.3.abs() > EMPTY * count.abs())
                    .copied()
                    .collect::<Vec<_>>()
            };
            let (a, b) = (large(a, *count_a), large(b, *count_b));
            let bucket = |(a, b): (&Bucket, &Bucket)| {
                a.0 == b.0
                    && close(a.1, b.1)
                    && close(a.2, b.2)
                    && (a.3 - b.3).abs() <= BUCKET_TOLERANCE * count_a.abs().max(a.3.abs())
            };
            close(*count_a, *count_b)
                && (close(*sum_a, *sum_b) || (sum_a - sum_b).abs() < SUM_TOLERANCE)
                && a.len() == b.len()
                && a.iter().zip(&b).all(bucket)
        }
        _ => false,
    }
}

/// In what two answers differ.
fn difference(ours: &Result<Answer, String>, theirs: &Result<Answer, String>) -> Option<String> {
    let (ours, theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return None,
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (ours, theirs) => return Some(format!("portent {ours:?}, prometheus {theirs:?}")),
    };
    if ours.said != theirs.said {
        return Some(format!("portent says {:?}, prometheus {:?}", ours.said, theirs.said));
    }
    let (ours, theirs) = (&ours.series, &theirs.series);
    let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (Some(a), Some(b)) = (ours.get(key), theirs.get(key)) else {
            return Some(format!(
                "{key}: portent {:?}, prometheus {:?}",
                ours.get(key),
                theirs.get(key)
            ));
        };
        let mut times: Vec<&String> = a.keys().chain(b.keys()).collect();
        times.sort_unstable();
        times.dedup();
        for time in times {
            match (a.get(time), b.get(time)) {
                (Some(a), Some(b)) if same(a, b) => {}
                (a, b) => return Some(format!("{key} at {time}: portent {a:?}, prometheus {b:?}")),
            }
        }
    }
    None
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[tokio::test]
async fn native_histograms_give_the_same_answers() {
    let flags = ["--enable-feature=native-histograms"];
    let prometheus = Prometheus::start("global: {}\n", &flags).await;
    let portent = Portent::start(CONFIG, &[]).await;
    let first_ms = (now_ms() - LENGTH as i64 * INTERVAL_MS) / 60_000 * 60_000;
    send(prometheus.url("/api/v1/write"), first_ms).await;
    send(portent.url("/api/v1/write"), first_ms).await;

    let expressions = expressions::all();
    let (mut compared, mut elements, mut errors, mut annotations) = (0, 0, 0, 0);
    let mut mismatches = Vec::new();
    for (n, text) in expressions.iter().enumerate() {
        let mut queries: Vec<String> = INSTANTS
            .iter()
            .map(|(step, more_ms)| {
                let at = seconds(first_ms + step * INTERVAL_MS + more_ms);
                format!("/api/v1/query?time={at}&query={}", encoded(text))
            })
            .collect();
        let start_ms = first_ms + (n as i64 * 7_919) % 600_000;
        queries.push(format!(
            "/api/v1/query_range?start={}&end={}&step={}&query={}",
            seconds(start_ms),
            seconds(start_ms + 1_500_000),
            [15, 37, 60, 100][n % 4],
            encoded(text)
        ));
        for query in &queries {
            let ours = ask(&portent.url(query)).await;
            let theirs = ask(&prometheus.url(query)).await;
            compared += 1;
            match &theirs {
                Ok(answer) => {
                    elements += answer.series.values().map(BTreeMap::len).sum::<usize>();
                    annotations += answer.said.iter().map(Vec::len).sum::<usize>();
                }
                Err(_) => errors += 1,
            }
            if let Some(difference) = difference(&ours, &theirs) {
                let at = query.split('&').next().unwrap_or_default();
                mismatches.push(format!("{text}\n  {at}: {difference}"));
            }
        }
    }
    println!(
        "{} expressions, {compared} comparisons, {elements} elements, {annotations} annotations, \
         {errors} errors on both sides",
        expressions.len()
    );
    mismatches.sort_by_key(String::len);
    let shown = mismatches[..mismatches.len().min(40)].join("\n");
    assert!(mismatches.is_empty(), "{} of {compared} differ:\n{shown}", mismatches.len());
    assert!(
        expressions.len() >= 200 && elements > 20 * expressions.len() && errors < compared / 10
    );
}
