//! Exemplars against a real Prometheus: the same requests of remote-write 2.0 into both servers, then the same
//! questions; and what Portent does by itself: how many it keeps, and what it says of the others.

use std::time::Duration;

use portent::proto::prometheus_v2::{Exemplar, Request, Sample, TimeSeries};
use prost::Message;
use serde_json::Value;

use super::support::{
    Portent, Prometheus, RemoteWriter, Reply, get, http_client, wait_until, write_sum_of_squares,
};

const CONFIG: &str = "models: [{name: node}]\nstorage: {retention: 2h, keep: ['{job!=\"\"}']}\n";

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("a time in i64")
}

/// A request while it is made.
#[derive(Default)]
struct Requests {
    symbols: Vec<String>,
    timeseries: Vec<TimeSeries>,
}

/// Names and values.
type Pairs<'a> = &'a [(&'a str, &'a str)];

impl Requests {
    fn refs(&mut self, pairs: Pairs<'_>) -> Vec<u32> {
        let mut of = |text: &str| {
            if self.symbols.is_empty() {
                self.symbols.push(String::new());
            }
            let found = self.symbols.iter().position(|it| it == text);
            found.unwrap_or_else(|| {
                self.symbols.push(text.to_owned());
                self.symbols.len() - 1
            }) as u32
        };
        pairs.iter().flat_map(|(name, value)| [*name, *value]).map(&mut of).collect()
    }

    /// A series with a sample of this time, and exemplars: labels, value and time.
    fn add(&mut self, labels: Pairs<'_>, timestamp: i64, exemplars: &[(Pairs<'_>, f64, i64)]) {
        let labels_refs = self.refs(labels);
        let samples = vec![Sample { value: 1.0, timestamp, start_timestamp: 0 }];
        let exemplar = |(pairs, value, timestamp): &(Pairs<'_>, f64, i64)| Exemplar {
            labels_refs: self.refs(pairs),
            value: *value,
            timestamp: *timestamp,
        };
        let exemplars = exemplars.iter().map(exemplar).collect();
        let series = TimeSeries { labels_refs, samples, exemplars, ..TimeSeries::default() };
        self.timeseries.push(series);
    }

    /// Sends what was added to a server, which takes it.
    async fn send(&self, url: String) {
        let reply = self.post(url).await;
        assert_eq!(reply.status, 204, "{}", reply.body);
    }

    async fn post(&self, url: String) -> Reply {
        let Self { symbols, timeseries } = self;
        let request = Request { symbols: symbols.clone(), timeseries: timeseries.clone() };
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec());
        let headers = [
            ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "2.0.0"),
        ];
        let reply = RemoteWriter::new(url).send_raw(&headers, body.expect("it is short")).await;
        reply.expect("an answer")
    }
}

/// Two requests whose exemplars both servers keep, or not.
fn world(at_ms: i64) -> [Requests; 2] {
    let bucket = |le| [("__name__", "http_seconds_bucket"), ("job", "web"), ("le", le)];
    let mut first = Requests::default();
    let one: &[(Pairs<'_>, f64, i64)] = &[
        (&[("trace_id", "EpTxMJ40fUus7aGY"), ("span_id", "1")], 0.06, at_ms - 9_521),
        (&[("trace_id", "Olp9XHlq763ccsfa")], 1e-7, at_ms - 4_000),
        (&[], f64::INFINITY, at_ms - 3_999),
        (&[("odd", "\"\\\n\té<&>")], -1.5, at_ms - 2_000),
    ];
    first.add(&bucket("0.1"), at_ms, one);
    first.add(&bucket("+Inf"), at_ms, &[(&[("trace_id", "z")], 12.0, at_ms - 5_000)]);
    let none = [("__name__", "none_total"), ("job", "web")];
    first.add(&none, at_ms, &[]);
    let (fits, longer) = ("é".repeat(120), "é".repeat(121));
    let requests = [("__name__", "requests_total"), ("job", "db"), ("zone", "z")];
    let long: &[(Pairs<'_>, f64, i64)] = &[
        (&[("trace_id", &fits)], 1e21, at_ms - 8_000),
        (&[("trace_id", &longer)], 1.0, at_ms - 7_000),
        (&[("b", "2"), ("a", "1"), ("empty", "")], 0.0, at_ms - 6_000),
    ];
    first.add(&requests, at_ms, long);
    let mut second = Requests::default();
    // The newest once more, and newer ones.
    second.add(&bucket("0.1"), at_ms + 1, &[one[3], (&[("trace_id", "n")], 3.0, at_ms)]);
    second.add(&requests, at_ms + 1, &[(&[("trace_id", "m")], 4.0, at_ms - 1)]);
    [first, second]
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The answer to a question in a URL, and to the same as a form.
async fn ask(url: String, asked: &str) -> [Reply; 2] {
    let form = http_client()
        .post(&url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(asked.to_owned());
    let answer = form.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.text().await.expect("text");
    [get(&format!("{url}?{asked}")).await.expect("an answer"), Reply { status, body }]
}

fn json(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body))
}

#[tokio::test]
async fn exemplars_give_the_same_answers() {
    let flags = ["--enable-feature=exemplar-storage,native-histograms"];
    let prometheus = Prometheus::start("global: {}\n", &flags).await;
    let portent = Portent::start(CONFIG, &[]).await;
    let at_ms = now_ms();
    for request in world(at_ms) {
        request.send(prometheus.url("/api/v1/write")).await;
        request.send(portent.url("/api/v1/write")).await;
    }
    let path = "/api/v1/query_exemplars";
    let mut found = 0;
    for (query, range) in [
        ("http_seconds_bucket", None),
        ("{job!=\"\"}", None),
        ("requests_total", None),
        ("none_total", None),
        ("nosuch", None),
        ("requests_total{zone=\"y\"}", None),
        (
            "histogram_quantile(0.9, sum(rate(http_seconds_bucket[5m])) by (le)) / on() requests_total",
            None,
        ),
        ("max_over_time(rate(requests_total[5m])[1h:1m]) > 5", None),
        ("requests_total offset 1h or http_seconds_bucket @ 5", None),
        ("http_seconds_bucket{le=\"0.1\"}[5m]", None),
        ("{job=~\"w.*\"}", Some((9_521, 3_999))),
        ("{job=~\"w.*\"}", Some((9_520, 4_000))),
        ("{job=~\".+\"}", Some((2_000, 0))),
        ("{job=~\".+\"}", Some((-1, -10_000))),
    ] {
        let mut asked = format!("query={}", encoded(query));
        if let Some((from, to)) = range {
            asked += &format!("&start={}&end={}", seconds(at_ms - from), seconds(at_ms - to));
        }
        let ours = ask(portent.url(path), &asked).await;
        let theirs = ask(prometheus.url(path), &asked).await;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(theirs.status, 200, "{query}: {theirs:?}");
            assert_eq!((ours.status, json(ours)), (200, json(theirs)), "{query} {range:?}");
            found += json(ours)["data"].as_array().map_or(0, Vec::len);
        }
    }
    assert!(found >= 20, "{found}");
    // What selects nothing has no answer.
    for asked in ["query=1", "query='text'", "query=vector(1)"] {
        let ours = ask(portent.url(path), asked).await;
        let theirs = ask(prometheus.url(path), asked).await;
        for reply in ours.iter().chain(&theirs) {
            assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{asked}");
        }
    }
    for (asked, same) in [
        ("", false),
        ("query=", false),
        ("query=up%7B", false),
        ("query=up&start=x", true),
        ("query=up&end=x", true),
        ("query=up&start=2&end=1", true),
    ] {
        let ours = ask(portent.url(path), asked).await;
        let theirs = ask(prometheus.url(path), asked).await;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let told = |reply: &Reply| {
                let mut answer = json(reply);
                if !same {
                    answer["error"] = Value::Null;
                }
                (reply.status, answer)
            };
            assert_eq!(told(ours), told(theirs), "{asked}");
            assert_eq!(ours.status, 400, "{asked}");
        }
    }
}

#[tokio::test]
async fn the_newest_are_kept_and_the_others_counted() {
    let portent = Portent::start(CONFIG, &[]).await;
    let at_ms = now_ms();
    let mut request = Requests::default();
    let kept = [("__name__", "requests_total"), ("job", "web")];
    let many: Vec<(Pairs<'_>, f64, i64)> =
        (0..12).map(|i| (&[][..], i as f64, at_ms - 12 + i)).collect();
    request.add(&kept, at_ms, &many);
    // Nobody wants this one.
    request.add(&[("__name__", "requests_total")], at_ms, &many[..3]);
    request.send(portent.url("/api/v1/write")).await;
    let url = portent.url("/api/v1/query_exemplars");
    for answer in ask(url, "query=requests_total").await {
        let answer = json(&answer);
        let series = answer["data"].as_array().expect("a list");
        assert_eq!(series.len(), 1, "{answer}");
        let values = series[0]["exemplars"].as_array().expect("a list").iter();
        let values: Vec<&str> = values.map(|it| it["value"].as_str().expect("a text")).collect();
        assert_eq!(values, ["2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]);
    }
    // Three hours late, of which two are kept.
    let mut late = Requests::default();
    late.add(&kept, at_ms, &[(&[], 1.0, at_ms - 10_800_000)]);
    let reply = late.post(portent.url("/api/v1/write")).await;
    let begin = "1 exemplars are out of order; for example: the exemplar of requests_total{job=\"web\"} at ";
    assert!(reply.status == 400 && reply.body.starts_with(begin), "{reply:?}");
    let page = portent.get("/metrics").await.expect("an answer").body;
    for line in [
        "portent_remote_write_ignored_total{kind=\"exemplar\"} 3",
        "portent_remote_write_invalid_total{kind=\"exemplar\"} 1",
    ] {
        assert!(page.contains(line), "{page}");
    }
}

/// The trace ids in an answer, each behind the name and instance of its series.
fn traces(answer: &Reply) -> Vec<String> {
    let answer = json(answer);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |series: &Value| {
        let labels = &series["seriesLabels"];
        let of = format!("{} {}", text(&labels["__name__"]), text(&labels["instance"]));
        let exemplars = series["exemplars"].as_array().expect("a list").clone();
        exemplars.into_iter().map(move |it| format!("{of} {}", text(&it["labels"]["trace_id"])))
    };
    answer["data"].as_array().expect("a list").iter().flat_map(of).collect()
}

/// Behind a feature's part in a score stand the exemplars of what the feature reads of that host.
#[tokio::test]
async fn a_score_leads_to_the_traces_behind_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = write_sum_of_squares(&dir, 2);
    let config = format!(
        "global: {{evaluation_interval: 200ms, evaluation_delay: 0s, stale_after: 1h}}\n\
         storage: {{keep: [m_c]}}\n\
         models:\n- name: square\n  file: {file}\n  entity: [instance]\n  step: 200ms\n  threshold: 1\n  \
         features:\n  - name: load\n    expr: avg by (instance) (m_a)\n  \
         - name: wait\n    expr: avg by (instance) (m_b)\n"
    );
    let portent = Portent::start(&config, &[]).await;
    let at_ms = now_ms();
    let mut request = Requests::default();
    for (name, instance, trace) in [
        ("m_a", "one", "1a"),
        ("m_b", "one", "1b"),
        ("m_c", "one", "1c"),
        ("m_a", "two", "2a"),
        ("m_b", "two", "2b"),
    ] {
        let exemplar: Pairs<'_> = &[("trace_id", trace)];
        let labels = [("__name__", name), ("instance", instance)];
        request.add(&labels, at_ms, &[(exemplar, 3.0, at_ms - 1)]);
    }
    request.send(portent.url("/api/v1/write")).await;
    let score = "anomaly_score{instance=\"two\",model=\"square\"} ";
    wait_until(Duration::from_secs(30), "a score", async || {
        let page = portent.get("/metrics").await.expect("an answer").body;
        if page.contains(score) { Ok(()) } else { Err(page) }
    })
    .await;
    let part = "anomaly_feature_contribution";
    for (query, expected) in [
        (format!("{part}{{instance=\"one\"}}"), &["m_a one 1a", "m_b one 1b"][..]),
        (format!("{part}{{instance=\"two\",feature=\"wait\"}}"), &["m_b two 2b"]),
        (format!("topk(1, {part}{{feature=\"load\"}}) > 0"), &["m_a one 1a", "m_a two 2a"]),
        (format!("{part}{{instance=\"three\"}}"), &[]),
        ("m_c".to_owned(), &["m_c one 1c"]),
    ] {
        let asked = format!("query={}", encoded(&query));
        for answer in ask(portent.url("/api/v1/query_exemplars"), &asked).await {
            assert_eq!(traces(&answer), expected, "{query}");
        }
    }
}
