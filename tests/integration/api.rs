//! The query API beside a real Prometheus: the same samples into both, the same requests to both,
//! and the answers compared as JSON; then promtool; then what Portent alone has: its limits, its
//! features, its readiness.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{
    Peers, Portent, Prometheus, RemoteWriter, Reply, Series, http_client, wait_until,
    write_sum_of_squares,
};
use portent::sample::STALE_NAN_BITS;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything that takes a tick may take here.
const SOON: Duration = Duration::from_secs(20);

/// Keeps everything for an hour.
const KEEP: &str = "storage:\n  retention: 1h\n  keep: ['{__name__=~\".+\"}']\n";

/// The interval of the samples.
const STEP_MS: i64 = 15_000;

/// How many samples a series has.
const SAMPLES: i64 = 40;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the far future")
}

/// The last ten minutes, up to `end_ms`: gauges, counters, odd values, names and labels, and a
/// series that has ended.
fn world(end_ms: i64) -> Vec<Series> {
    let series = |labels: &[(&str, &str)], value: &dyn Fn(i64) -> f64| {
        let at = |i: i64| (end_ms - (SAMPLES - 1 - i) * STEP_MS, value(i));
        Series::new(labels, &(0..SAMPLES).map(at).collect::<Vec<_>>())
    };
    let up = |instance, value: &dyn Fn(i64) -> f64| {
        series(&[("__name__", "up"), ("instance", instance), ("job", "t")], value)
    };
    let odd = |kind, value: f64| {
        series(&[("__name__", "odd_value"), ("kind", kind), ("job", "t")], &move |_| value)
    };
    let mut world = vec![
        up("c", &|i| i as f64),
        up("a", &|i| (i % 7) as f64),
        up("b", &|_| 1.0),
        odd("nan", f64::NAN),
        odd("inf", f64::INFINITY),
        odd("neg_inf", f64::NEG_INFINITY),
        odd("large", 1e21),
        odd("small", -1.5e-7),
        odd("third", 1.0 / 3.0),
        odd("zero", -0.0),
        series(&[("__name__", "odd.name"), ("job", "t"), ("http.status", "200")], &|i| i as f64),
        series(
            &[("__name__", "odd_label"), ("job", "t"), ("text", "\"\\\n\té<&>\u{2028}😀")],
            &|i| i as f64,
        ),
    ];
    let mut ended = up("ended", &|i| if i < 30 { 2.0 } else { f64::from_bits(STALE_NAN_BITS) });
    // One marker, as Prometheus writes it.
    ended.samples.truncate(31);
    world.push(ended);
    for (job, factor) in [("t", 2.0), ("u", 3.0)] {
        let labels = [("__name__", "requests_total"), ("job", job), ("zone", "z")];
        world.push(series(&labels, &move |i| i as f64 * factor));
    }
    world
}

/// Portent and a Prometheus with the same samples, and the time of the last ones.
struct Pair {
    portent: Portent,
    prometheus: Prometheus,
    end_ms: i64,
}

impl Pair {
    async fn start() -> Self {
        // No evaluation meanwhile, whose scores would be in the catalogue.
        let config = format!("{KEEP}global:\n  evaluation_interval: 1d\n");
        let portent = Portent::start(&config, &[]).await;
        portent.ready().await;
        let prometheus = Prometheus::start("global: {}\n", &[]).await;
        // On a whole quarter of a minute, so that steps can meet samples.
        let end_ms = now_ms() / STEP_MS * STEP_MS;
        for url in [portent.url("/api/v1/write"), prometheus.url("/api/v1/write")] {
            let reply = RemoteWriter::new(url).send(&world(end_ms)).await;
            assert_eq!(reply.status, 204, "{reply:?}");
        }
        Self { portent, prometheus, end_ms }
    }

    /// The answers of both: first as the question came in a URL, then as a form, where there is.
    async fn ask(&self, path: &str, form: &[(&str, String)]) -> [(u16, Value); 2] {
        let ours = ask(&self.portent.url(path), form).await;
        let theirs = ask(&self.prometheus.url(path), form).await;
        [ours, theirs]
    }

    /// The same by the URL alone, for answers of which a Prometheus gives another part each time.
    async fn ask_once(&self, path: &str, form: &[(&str, String)]) -> [(u16, Value); 2] {
        let ours = read(http_client().get(with(&self.portent.url(path), form))).await;
        [ours, read(http_client().get(with(&self.prometheus.url(path), form))).await]
    }

    async fn check(&self, path: &str, form: &[(&str, String)]) {
        let [mut ours, mut theirs] = self.ask(path, form).await;
        normalise(&mut ours.1);
        normalise(&mut theirs.1);
        assert_eq!(theirs.0, 200, "{path} {form:?}: {theirs:?}");
        assert_eq!(ours, theirs, "{path} {form:?}");
    }

    /// The same status and `errorType`, and the same sentence if asked for.
    async fn check_error(&self, path: &str, form: &[(&str, String)], same_words: bool) {
        let [ours, theirs] = self.ask(path, form).await;
        assert_eq!(ours.0, theirs.0, "{path} {form:?}: {ours:?} {theirs:?}");
        let keys: &[&str] =
            if same_words { &["status", "errorType", "error"] } else { &["status", "errorType"] };
        for key in keys {
            assert_eq!(ours.1[key], theirs.1[key], "{path} {form:?}: {ours:?} {theirs:?}");
        }
        assert_eq!(ours.1["status"], "error", "{path} {form:?}");
        assert!(ours.1["error"].as_str().is_some_and(|error| !error.is_empty()), "{ours:?}");
    }
}

/// GET and, where it is allowed, POST; both must say the same.
async fn ask(url: &str, form: &[(&str, String)]) -> (u16, Value) {
    let got = read(http_client().get(with(url, form))).await;
    let path = url.split('?').next().unwrap_or(url);
    let read_only = ["/values", "/metadata", "/buildinfo", "/rules", "/alerts"];
    if !read_only.iter().any(|end| path.ends_with(end)) {
        let posted = read(http_client().post(url).form(form)).await;
        // Without a time the two are at different ones.
        if form.iter().any(|(name, _)| *name == "time") || !path.ends_with("/query") {
            // A Prometheus gives the elements of a subquery in another order each time.
            let [mut got, mut posted] = [got.clone(), posted];
            normalise(&mut got.1);
            normalise(&mut posted.1);
            assert_eq!(got, posted, "{url} {form:?}");
        }
    }
    got
}

fn with(url: &str, form: &[(&str, impl AsRef<str>)]) -> reqwest::Url {
    reqwest::Url::parse_with_params(url, form.iter()).expect("a URL")
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let json = response.headers().get("content-type").is_some_and(|t| t == "application/json");
    let body = response.text().await.expect("a whole answer");
    if json {
        let mut answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        // Prometheus gives them in any order.
        for said in ["warnings", "infos"] {
            if let Some(said) = answer.get_mut(said).and_then(Value::as_array_mut) {
                said.sort_by_key(Value::to_string);
            }
        }
        (status, answer)
    } else {
        (status, json!({ "body": body.trim_end() }))
    }
}

/// Removes what may differ by right: the order of a vector that no function gave one.
fn normalise(answer: &mut Value) {
    let data = &mut answer["data"];
    if data["resultType"] == "vector"
        && let Some(elements) = data["result"].as_array_mut()
    {
        elements.sort_by_key(|element| element["metric"].to_string());
    }
}

fn seconds(ms: i64) -> String {
    format!("{}", ms as f64 / 1_000.0)
}

fn form(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// Queries whose values are exact on both sides.
const QUERIES: [&str; 24] = [
    "up",
    r#"up{instance=~"a|b"} * 2"#,
    "odd_value",
    "odd_label",
    r#"{"odd.name"}"#,
    r#"{"odd.name", "http.status"="200"}"#,
    "sum by (job) (requests_total)",
    "rate(requests_total[1m])",
    "count without (instance) (up)",
    "up[1m]",
    r#"{job="t"}[30s] offset 1m"#,
    "max_over_time(up[5m:30s])[2m:1m]",
    "up offset 10m",
    "up @ end()",
    "nosuch",
    "absent(nosuch{a='b'})",
    "1e21",
    "-1.5e-7",
    "NaN",
    "+Inf",
    "1 / 3",
    "time()",
    r#"'a "string" and ä'"#,
    "vector(1e21)",
];

#[tokio::test]
async fn queries_are_answered_as_prometheus_answers_them() {
    let pair = Pair::start().await;
    let end = seconds(pair.end_ms);
    for query in QUERIES {
        for time in [pair.end_ms, pair.end_ms - 61_001, pair.end_ms + 240_500] {
            let time = seconds(time);
            pair.check("/api/v1/query", &form(&[("query", query), ("time", &time)])).await;
        }
    }
    let ranges = [
        (seconds(pair.end_ms - 300_000), end.clone(), "15"),
        (seconds(pair.end_ms - 301_001), end.clone(), "7.5"),
        (seconds(pair.end_ms - 900_000), seconds(pair.end_ms + 400_000), "1m"),
        (end.clone(), end.clone(), "1h"),
    ];
    for query in QUERIES
        .into_iter()
        .filter(|q| !q.ends_with(']') && !q.ends_with('\'') && !q.ends_with("offset 1m"))
    {
        for (start, end, step) in &ranges {
            let asked = form(&[("query", query), ("start", start), ("end", end), ("step", step)]);
            pair.check("/api/v1/query_range", &asked).await;
        }
    }
    // Times as text, and parameters that change nothing or leave out.
    let rfc = portent::timestamp::format_ms(pair.end_ms);
    for more in [("time", rfc.as_str()), ("timeout", "10s"), ("timeout", "1.5"), ("stats", "")] {
        let asked = form(&[("query", "up"), more, ("time", &end)]);
        pair.check("/api/v1/query", &asked).await;
    }
    for lookback in ["5m", "300", "0"] {
        let asked = form(&[("query", "up"), ("time", &end), ("lookback_delta", lookback)]);
        pair.check("/api/v1/query", &asked).await;
    }
    for limit in ["0", "1", "3", "100"] {
        // One element of many that are not sorted may be another one.
        let query = if limit == "1" { "topk(3, up)" } else { "sum by (job) (up)" };
        let asked = form(&[("query", query), ("time", &end), ("limit", limit)]);
        pair.check("/api/v1/query", &asked).await;
        let (start, step) = (seconds(pair.end_ms - 60_000), "15s");
        let asked = [("query", "up"), ("start", &start), ("end", &end), ("step", step)];
        let asked = form(&[&asked[..], &[("limit", limit)]].concat());
        pair.check("/api/v1/query_range", &asked).await;
    }
    // Without a time it is now.
    for (status, answer) in pair.ask("/api/v1/query", &form(&[("query", "1")])).await {
        let time = answer["data"]["result"][0].as_f64().expect("a time");
        let past = now_ms() as f64 / 1_000.0 - time;
        assert!(status == 200 && (0.0..10.0).contains(&past), "{answer}");
    }
}

/// Queries that something is to be said of, besides their values.
const ANNOTATED: [&str; 36] = [
    "rate(up[1m])",
    "increase(up[1m]) + rate(up[1m])",
    "rate(up[1m]) + ignoring () increase(up[1m])",
    "rate(requests_total[1m])",
    "irate(up[1m]) + delta(up[1m]) + resets(up[1m])",
    "rate(up[1ms])",
    "rate((up[1m]))",
    "rate((up[1m] @ end()))",
    "histogram_quantile((scalar(up{instance='b'}) + 1), (up))",
    "rate(up[2m:30s])",
    "rate((up + 1)[2m:30s])",
    "max_over_time(rate(up[1m])[2m:30s])",
    "rate(up[1m] @ end())",
    "# a remark\nrate(\nup[1m])",
    r#"sum(rate({__name__=~"up|requests_total", job="t"}[1m]))"#,
    "quantile(2, up)",
    "quantile by (job) ((-0.5), nosuch)",
    "quantile(NaN, up)",
    "quantile(scalar(up{instance='b'}), up)",
    "quantile(2, quantile(2, up))",
    "quantile(1e6, up) + quantile(-0.00001, up) + quantile(+Inf, up)",
    "count_over_time(quantile(2, up)[1m:30s])",
    "quantile(time() - 1e9, up)",
    "quantile_over_time(2, up[1m])",
    "quantile_over_time(2, nosuch[1m])",
    "quantile_over_time((1.5), up[2m:30s])",
    "histogram_quantile(2, nosuch)",
    "histogram_quantile(0.5, up)",
    "histogram_quantile(-1, (rate(requests_total[1m])))",
    "histogram_quantile(0.5, label_replace(up, 'le', 'x \"y', '', ''))",
    "histogram_fraction(0, 1, up)",
    "histogram_fraction(0, 1, nosuch)",
    "histogram_quantile(0.5, label_replace(vector(10), 'le', '1', '', '') or \
     label_replace(vector(5), 'le', '2', '', '') or label_replace(vector(20), 'le', '+Inf', '', ''))",
    "histogram_quantile(0.5, label_replace(label_replace(vector(10), 'le', '1', '', '') or \
     label_replace(vector(5), 'le', '2', '', '') or label_replace(vector(20), 'le', '+Inf', '', ''), \
     '__name__', 'a_bucket', '', ''))",
    "histogram_quantile(3, label_replace(vector(10), 'le', '1', '', ''))",
    "topk(2, quantile by (instance) (7, up)) > 1e9",
];

#[tokio::test]
async fn annotations_are_those_of_prometheus() {
    let pair = Pair::start().await;
    let (start, end) = (seconds(pair.end_ms - 120_000), seconds(pair.end_ms));
    let mut said = 0;
    for query in ANNOTATED {
        let asked = form(&[("query", query), ("time", &end)]);
        let [ours, theirs] = pair.ask("/api/v1/query", &asked).await;
        said += ["warnings", "infos"].iter().filter(|it| !theirs.1[**it].is_null()).count();
        for kind in ["warnings", "infos"] {
            assert_eq!(ours.1[kind], theirs.1[kind], "{query}");
        }
        let range = form(&[("query", query), ("start", &start), ("end", &end), ("step", "30")]);
        pair.check("/api/v1/query_range", &range).await;
    }
    assert!(said > 20, "{said} had something said of them");
    pair.check("/api/v1/query", &form(&[("query", "rate(up[1m])[2m:30s]"), ("time", &end)])).await;
    // Ten of each kind, and how many more there are.
    let many: Vec<String> = (2..15).map(|q| format!("quantile({q}, up)")).collect();
    let many = form(&[("query", &many.join(" + ")), ("time", &end)]);
    let [ours, theirs] = pair.ask_once("/api/v1/query", &many).await;
    let told = |answer: &Value| {
        let said = answer["warnings"].as_array().expect("warnings").clone();
        let more = said.iter().find(|it| it.as_str().is_some_and(|it| it.contains("more")));
        (said.len(), more.cloned())
    };
    assert_eq!(told(&ours.1), (11, Some(json!("3 more warning annotations omitted"))));
    assert_eq!(told(&ours.1), told(&theirs.1));
    // What is left out because of a limit is one of them.
    let limited =
        form(&[("query", "quantile by (instance) (2, up)"), ("time", &end), ("limit", "1")]);
    let [ours, theirs] = pair.ask_once("/api/v1/query", &limited).await;
    assert_eq!((told(&ours.1).0, told(&theirs.1).0), (2, 2));
}

#[tokio::test]
async fn an_order_is_that_of_prometheus() {
    let pair = Pair::start().await;
    for query in
        ["sort(up)", "sort_desc(up)", "topk(3, up)", "bottomk(2, up)", "topk by (job) (1, up)"]
    {
        let asked = form(&[("query", query), ("time", &seconds(pair.end_ms))]);
        let [ours, theirs] = pair.ask("/api/v1/query", &asked).await;
        let order = |answer: &Value| {
            let elements = answer["data"]["result"].as_array().expect("a vector").clone();
            elements.into_iter().map(|element| element["metric"].clone()).collect::<Vec<_>>()
        };
        assert!(!order(&theirs.1).is_empty());
        assert_eq!(order(&ours.1), order(&theirs.1), "{query}");
    }
}

#[tokio::test]
async fn the_catalogue_is_that_of_prometheus() {
    let pair = Pair::start().await;
    let (start, end) = (seconds(pair.end_ms - 60_000), seconds(pair.end_ms));
    let early = seconds(pair.end_ms - 3_600_000);
    let selected: [&[(&str, &str)]; 9] = [
        &[("match[]", "up")],
        &[("match[]", "up"), ("match[]", r#"{job="u"}"#), ("match[]", "up{instance='a'}")],
        &[("match[]", r#"{__name__=~"odd.*"}"#)],
        &[("match[]", r#"{"odd.name"}"#)],
        &[("match[]", "nosuch")],
        &[("match[]", "up"), ("start", &start), ("end", &end)],
        &[("match[]", "up"), ("end", &early)],
        &[("match[]", "up"), ("limit", "100")],
        &[
            ("match[]", "up"),
            ("start", "-292273086-05-16T16:47:06Z"),
            ("end", "292277025-08-18T07:12:54.999999999Z"),
        ],
    ];
    for asked in selected {
        let asked = form(asked);
        let [mut ours, mut theirs] = pair.ask("/api/v1/series", &asked).await;
        for answer in [&mut ours.1, &mut theirs.1] {
            let series = answer["data"].as_array_mut().expect("a list");
            series.sort_by_key(Value::to_string);
        }
        assert_eq!(ours, theirs, "{asked:?}");
        // Prometheus finds labels in its index, whatever the time of their samples.
        if asked.contains(&("start", start.clone())) {
            continue;
        }
        pair.check("/api/v1/labels", &asked).await;
        for name in ["job", "instance", "__name__", "U__http_2e_status", "http.status", "text", "x"]
        {
            pair.check(&format!("/api/v1/label/{name}/values"), &asked).await;
        }
    }
    // Everything, and a part of it.
    pair.check("/api/v1/labels", &[]).await;
    pair.check("/api/v1/label/__name__/values", &[]).await;
    pair.check("/api/v1/label/U____name____/values", &[]).await;
    for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/label/__name__/values"] {
        // Which ones are left out may differ.
        let told = |(status, answer): &(u16, Value)| {
            (*status, answer["data"].as_array().map(Vec::len), answer["warnings"].clone())
        };
        let [ours, theirs] =
            pair.ask(path, &form(&[("match[]", r#"{job="t"}"#), ("limit", "2")])).await;
        assert_eq!(told(&ours), (200, Some(2), json!(["results truncated due to limit"])));
        assert_eq!(told(&ours), told(&theirs));
    }
    // Neither has rules or exemplars.
    pair.check("/api/v1/rules", &[]).await;
    pair.check("/api/v1/rules", &form(&[("type", "record"), ("group_limit", "1")])).await;
    pair.check("/api/v1/alerts", &[]).await;
    pair.check("/api/v1/query_exemplars", &form(&[("query", "up"), ("start", "1"), ("end", "2")]))
        .await;
    let [ours, theirs] = pair.ask("/api/v1/status/buildinfo", &[]).await;
    let keys = theirs.1["data"].as_object().expect("an object").keys();
    assert!(keys.into_iter().all(|key| ours.1["data"][key].is_string()), "{ours:?}");
    let minor = |answer: &Value| {
        let version = answer["data"]["version"].as_str().expect("a version").to_owned();
        version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
    };
    assert_eq!(minor(&ours.1), minor(&theirs.1));
}

#[tokio::test]
async fn errors_are_those_of_prometheus() {
    let pair = Pair::start().await;
    let [query, range] = ["/api/v1/query", "/api/v1/query_range"];
    let [series, labels] = ["/api/v1/series", "/api/v1/labels"];
    let values = "/api/v1/label/job/values";
    let rules = "/api/v1/rules";
    // The whole sentence is the same.
    let same: [(&str, &str); 40] = [
        (rules, "type=x"),
        (rules, "exclude_alerts=x"),
        (rules, "group_limit=0"),
        (rules, "group_limit=-1"),
        (rules, "group_limit=1.5"),
        (rules, "group_limit=99999999999999999999"),
        (rules, "group_next_token=abc"),
        (rules, "group_limit=1&group_next_token=abc"),
        (rules, "match[]={"),
        (rules, "type=x&group_limit=x&exclude_alerts=x"),
        (query, "query="),
        (query, "query=%20"),
        (query, "query=up&time=x"),
        (query, "query=up&timeout=x"),
        (query, "query=up&limit=-1"),
        (query, "query=up&lookback_delta=x"),
        (query, "query=up%20%2B"),
        (range, "query=up"),
        (range, "query=up&start=0"),
        (range, "query=up&start=0&end=1"),
        (range, "query=up&start=0&end=1&step=x"),
        (range, "query=up&start=2&end=1&step=1"),
        (range, "query=up&start=1&end=2&step=0"),
        (range, "query=up&start=1&end=2&step=-5"),
        (range, "query=up&start=0&end=11001&step=1"),
        (range, "query=up[1m]&start=0&end=1&step=1"),
        (range, "query='x'&start=0&end=1&step=1"),
        (series, ""),
        (series, "match[]=up&start=x"),
        (labels, "match[]=up&end=x"),
        (values, "start=x"),
        ("/api/v1/query_exemplars", "query=up&start=2&end=1"),
        (query, "query=up{"),
        (query, "query=nosuch_function(up)"),
        (query, "query=rate(up)"),
        (range, "query=up&start=0&end=1&step=1e300"),
        ("/api/v1/metadata", "limit=x"),
        (values, "match[]=up{"),
        (series, "match[]=up{"),
        ("/api/v1/label/U__/values", ""),
    ];
    for (path, asked) in same {
        pair.check_error(&format!("{path}?{asked}"), &[], true).await;
    }
    let kind: [(&str, &str); 10] = [
        (rules, "match[]={}"),
        (rules, "match[]=sum(up)"),
        (query, "query=sum(up"),
        (query, "query=up&limit=x"),
        (query, "query=up%20%2B%20on()%20up"),
        (range, "query=up%20%2B%20on()%20up&start=START&end=END&step=15"),
        (series, "match[]={}"),
        (series, "match[]={job=~'.*'}"),
        (series, "match[]=sum(up)"),
        (labels, "match[]={}"),
    ];
    for (path, asked) in kind {
        let asked = asked.replace("START", &seconds(pair.end_ms - 60_000));
        let asked = asked.replace("END", &seconds(pair.end_ms));
        pair.check_error(&format!("{path}?{asked}"), &[], false).await;
    }
    // The sides of a match that is not unique, told at a time when there are some.
    let time = seconds(pair.end_ms);
    pair.check_error(query, &form(&[("query", "up + on () up"), ("time", &time)]), false).await;
    let same_labels = "label_replace(up, 'instance', '', '', '')";
    pair.check_error(query, &form(&[("query", same_labels), ("time", &time)]), false).await;
    // Arguments with which nothing can be evaluated, whether there is something or not.
    for text in [
        "label_replace(up, 'a', 'b', 'c', '(')",
        "label_replace(nosuch, 'a', 'b', 'c', '(') or vector(1)",
        "label_replace(up, '', 'b', 'c', '(')",
        "label_replace(nosuch, '', 'b', 'c', 'x')",
        "max_over_time(label_replace(up, '', 'b', 'c', 'x')[5m:1m])",
        "label_join(up, '', 'b', 'c')",
        "label_join(nosuch, 'x', 'b', '')",
        "count_values('', up)",
        "count_values('', nosuch)",
    ] {
        pair.check_error(query, &form(&[("query", text), ("time", &time)]), true).await;
        let steps = [("query", text), ("start", &time), ("end", &time), ("step", "1")];
        pair.check_error(range, &form(&steps), true).await;
    }
    for text in ["label_replace(up, '', 'b', 'c', 'x') +", "count_values('', up)[5m:1m]"] {
        let steps = [("query", text), ("start", &time), ("end", &time), ("step", "1")];
        pair.check_error(range, &form(&steps), true).await;
    }
    // What Portent refuses where Prometheus would look past it.
    let ours = ask(&pair.portent.url("/api/v1/query?query=%zz"), &[]).await;
    assert_eq!((ours.0, &ours.1["errorType"]), (400, &json!("bad_data")));
    let (status, other) =
        ask(&pair.portent.url("/api/v1/query?query=up&lookback_delta=1m"), &[]).await;
    assert_eq!(status, 400);
    assert!(other["error"].as_str().expect("a sentence").contains("1m"), "{other}");
}

#[tokio::test]
async fn methods_and_unknown_paths() {
    let portent = Portent::start(KEEP, &[]).await;
    portent.ready().await;
    let client = http_client();
    let read_only = [
        "/api/v1/metadata",
        "/api/v1/label/job/values",
        "/api/v1/status/buildinfo",
        "/api/v1/rules",
        "/api/v1/alerts",
    ];
    for path in read_only {
        assert_eq!(client.post(portent.url(path)).send().await.expect("an answer").status(), 405);
    }
    let refused = client.delete(portent.url("/api/v1/series")).send().await.expect("an answer");
    assert_eq!(refused.status(), 405);
    assert_eq!(refused.headers()["allow"], "GET, POST");
    for path in ["/api/v1/status/flags", "/api/v1/parse_query", "/api/v1/nothing"] {
        assert_eq!(portent.get(path).await.expect("an answer").status, 404);
    }
    let large = format!("query={}", "x".repeat(2 << 20));
    let large = client
        .post(portent.url("/api/v1/query"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(large);
    assert_eq!(large.send().await.expect("an answer").status(), 413);
}

fn promtool(arguments: &[&str], url: &str) -> (Option<i32>, Vec<String>) {
    let at = arguments.iter().position(|argument| *argument == "URL").expect("a place");
    let arguments: Vec<&str> =
        arguments.iter().enumerate().map(|(i, a)| if i == at { url } else { *a }).collect();
    let output = Command::new(Peers::find().promtool)
        .args(["query"])
        .args(&arguments)
        .output()
        .expect("promtool runs");
    let mut said = output.stdout;
    said.extend(output.stderr);
    let said = String::from_utf8_lossy(&said).replace(url, "URL");
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    (output.status.code(), lines)
}

#[tokio::test]
async fn promtool_sees_no_difference() {
    let pair = Pair::start().await;
    let (start, end) = (seconds(pair.end_ms - 120_000), seconds(pair.end_ms));
    let time = format!("--time={end}");
    let (start, end) = (format!("--start={start}"), format!("--end={end}"));
    let commands: [(&[&str], i32); 10] = [
        (&["instant", &time, "URL", "up"], 0),
        (&["instant", "-o", "json", &time, "URL", "odd_value"], 0),
        (&["instant", &time, "URL", "1 + 1"], 0),
        (&["instant", &time, "URL", "up[1m]"], 0),
        (&["range", &start, &end, "--step=15s", "URL", "rate(requests_total[1m])"], 0),
        (&["series", "--match=up", "--match=odd_label", "URL"], 0),
        (&["series", "--match=up", &start, &end, "URL"], 0),
        (&["labels", "URL", "instance"], 0),
        (&["labels", "--match=up", "URL", "job"], 0),
        (&["instant", &time, "URL", "up +"], 1),
    ];
    for (command, code) in commands {
        let ours = promtool(command, &pair.portent.url(""));
        let theirs = promtool(command, &pair.prometheus.url(""));
        assert_eq!(theirs.0, Some(code), "{command:?}: {theirs:?}");
        assert_eq!(ours, theirs, "{command:?}");
    }
}

/// The value of a line of the metrics page.
async fn metric(portent: &Portent, line: &str) -> Option<f64> {
    let page = portent.get("/metrics").await.expect("an answer").body;
    page.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
}

/// Parameters of a request.
type Asked<'a> = &'a [(&'a str, &'a str)];

async fn query(portent: &Portent, asked: &[(&str, &str)]) -> (u16, Value) {
    let path = if asked.iter().any(|(name, _)| *name == "step") { "query_range" } else { "query" };
    let url = portent.url(&format!("/api/v1/{path}"));
    read(http_client().get(with(&url, asked))).await
}

#[tokio::test]
async fn every_limit_is_said_and_counted() {
    let config =
        format!("{KEEP}query:\n  max_series: 5\n  max_samples: 100\n  max_response_bytes: 1KiB\n");
    let portent = Portent::start(&config, &[]).await;
    portent.ready().await;
    let end_ms = now_ms();
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(&world(end_ms)).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let end = seconds(end_ms);
    let steps = [("start", "1700000000"), ("end", "1700000059"), ("step", "1")];
    let too_many = [("start", "0"), ("end", "200"), ("step", "1")];
    let limits: [(&str, Asked, &str, &str); 5] = [
        ("odd_value", &[("time", &end)], "max_series", "more than 5 (query.max_series)"),
        ("up[10m]", &[("time", &end)], "max_samples", "more than 100 (query.max_samples)"),
        ("time()", &too_many, "max_samples", "more than 100 (query.max_samples)"),
        ("time()", &steps, "max_response_bytes", "more than 1KiB (query.max_response_bytes)"),
        ("rate(up[2h])", &[("time", &end)], "retention", "storage.retention"),
    ];
    for (text, more, reason, said) in limits {
        let asked = [&[("query", text)], more].concat();
        let line = format!("portent_api_queries_refused_total{{reason=\"{reason}\"}}");
        let before = metric(&portent, &line).await.expect("a counter");
        let (status, answer) = query(&portent, &asked).await;
        assert_eq!((status, &answer["errorType"]), (422, &json!("execution")), "{text}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|e| e.contains(said)), "{answer}");
        assert_eq!(metric(&portent, &line).await, Some(before + 1.0), "{line}");
    }
    // What is within them is answered.
    let (status, answer) = query(&portent, &[("query", "up"), ("time", &end)]).await;
    assert_eq!(status, 200, "{answer}");
    // Longer than what is kept, but a step of the range is not.
    let start = seconds(end_ms - 86_400_000);
    let asked = [("query", "up{instance='a'}"), ("start", &start), ("end", &end), ("step", "2h")];
    let (status, answer) = query(&portent, &asked).await;
    let rows = answer["data"]["result"].as_array().expect("a matrix");
    assert!(status == 200 && rows.iter().all(|row| row["values"].as_array().expect("").len() == 1));
    let listed = portent.get("/api/v1/series?match[]={job=\"t\"}").await.expect("an answer");
    assert_eq!(listed.status, 200, "{listed:?}");
}

/// Eleven thousand steps, each a subquery of ten thousand whose values want sorting: far longer than
/// the timeout, even in an optimised build.
const LONG: [(&str, &str); 4] = [
    ("query", "quantile_over_time(0.5, sin(exp(sin(vector(time())))* 1000)[10000s:1s])"),
    ("start", "0"),
    ("end", "110000000"),
    ("step", "10000"),
];

#[tokio::test]
async fn time_and_places_are_bounded() {
    let config = "query:\n  timeout: 2s\n  max_concurrency: 1\n";
    let portent = Portent::start(config, &[]).await;
    portent.ready().await;
    let begun = std::time::Instant::now();
    let long = query(&portent, &LONG);
    let waiting = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let range = [("query", "1"), ("start", "0"), ("end", "0"), ("step", "1")];
        query(&portent, &[&range[..], &[("timeout", "300ms")]].concat()).await
    };
    let (long, waiting) = tokio::join!(long, waiting);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let error = |said: &str| json!({"status": "error", "errorType": "timeout", "error": said});
    assert_eq!(long, (503, error("query timed out in expression evaluation")));
    assert_eq!(waiting, (503, error("query timed out in query queue")));
    for reason in ["timeout", "max_concurrency"] {
        let line = format!("portent_api_queries_refused_total{{reason=\"{reason}\"}}");
        assert_eq!(metric(&portent, &line).await, Some(1.0), "{line}");
    }
    assert_eq!(query(&portent, &[("query", "1")]).await.0, 200);
}

/// As many long queries as may be worked on, and others that wait: what is quick to answer is answered.
#[tokio::test]
async fn long_queries_do_not_make_quick_ones_wait() {
    let portent = Portent::start(KEEP, &[]).await;
    portent.ready().await;
    let end_ms = now_ms();
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(&world(end_ms)).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let long = with(&portent.url("/api/v1/query_range"), &LONG);
    let long: Vec<_> = (0..6)
        .map(|_| {
            tokio::spawn(http_client().get(long.clone()).timeout(Duration::from_secs(120)).send())
        })
        .collect();
    wait_until(SOON, "four queries that are worked on", async || {
        match metric(&portent, "portent_api_queries_running").await {
            Some(4.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let end = seconds(end_ms);
    for text in ["1", "up", "sum(rate(up[5m]))"] {
        let (status, answer) = query(&portent, &[("query", text), ("time", &end)]).await;
        assert_eq!(status, 200, "{text}: {answer}");
    }
    for path in ["labels", "label/job/values", "series?match[]=up", "rules", "alerts", "anomalies"]
    {
        let answer = portent.get(&format!("/api/v1/{path}")).await.expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let waiting = [("query", "up[1h]"), ("time", &end), ("timeout", "100ms")];
    let (status, answer) = query(&portent, &waiting).await;
    assert_eq!((status, &answer["error"]), (503, &json!("query timed out in query queue")));
    assert!(long.iter().all(|it| !it.is_finished()), "the long ones are worked on still");
    long.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_query() {
    let config = "query:\n  max_concurrency: 1\n";
    let portent = Portent::start(config, &[]).await;
    portent.ready().await;
    let url = portent.url("/api/v1/query_range");
    let gone = http_client().get(with(&url, &LONG)).timeout(Duration::from_secs(1)).send().await;
    assert!(gone.is_err(), "{gone:?}");
    wait_until(SOON, "the query to end", async || {
        let running = metric(&portent, "portent_api_queries_running").await;
        let canceled = r#"portent_api_requests_total{endpoint="query_range",outcome="canceled"}"#;
        match (running, metric(&portent, canceled).await) {
            (Some(0.0), Some(1.0)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let next = [("query", "1"), ("start", "0"), ("end", "0"), ("step", "1"), ("timeout", "5s")];
    assert_eq!(query(&portent, &next).await.0, 200);
}

/// One that closes only its side waits for its answer: a query that does not take long has one, and a long one
/// is told why it has none.
#[tokio::test]
async fn a_client_that_closes_its_side_is_answered() {
    let portent = Portent::start("query:\n  max_concurrency: 1\n", &[]).await;
    portent.ready().await;
    let url = with(&portent.url("/api/v1/query_range"), &LONG);
    let long = format!("{}?{}", url.path(), url.query().unwrap_or(""));
    for (path, status) in [("/api/v1/query?query=1", 200), (long.as_str(), 499)] {
        let mut stream = TcpStream::connect(portent.address()).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream.shutdown().await.expect("a side to close");
        let mut answer = String::new();
        let read = tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await;
        read.expect("an answer in time").expect("text");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let portent = Portent::start("web:\n  body_timeout: 300ms\n", &[]).await;
    portent.ready().await;
    let mut stream = TcpStream::connect(portent.address()).await.expect("it listens");
    let head = "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\nquery";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(SOON, stream.read(&mut answer)).await;
    let length = read.expect("an answer in time").expect("an open connection");
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("the body took too long"), "{answer}");
}

#[tokio::test]
async fn before_the_models_are_loaded_it_is_unavailable() {
    let dir = TempDir::new().expect("a temporary folder");
    // It has no end, of which loading is sure after a while.
    let model = dir.path().join("model.onnx");
    std::fs::write(&model, crate::support::hostile::endless())
        .expect("a fresh folder takes a file");
    let config = format!(
        "models:\n- name: node\n  file: {}\n  step: 1s\n  threshold: 1\n  features:\n  \
         - {{name: a, expr: a}}\n  - {{name: b, expr: b}}\n",
        model.display()
    );
    // Where it listens is said when it is ready, and before that to who looks closely.
    let portent = Portent::start(&config, &["--log.level=debug"]).await;
    for path in ["/api/v1/query?query=1", "/api/v1/query?query=", "/api/v1/status/buildinfo"] {
        let Reply { status, body } = portent.get(path).await.expect("an answer");
        assert_eq!((status, body.as_str()), (503, "Service Unavailable\n"), "{path}");
    }
}

#[tokio::test]
async fn a_feature_is_a_series() {
    let portent =
        Portent::start("global:\n  evaluation_interval: 1s\nstorage:\n  keep: [extra]\n", &[])
            .await;
    portent.ready().await;
    let at = now_ms();
    let host = [("instance", "h"), ("job", "node")];
    let one =
        |name, value| Series::new(&[&[("__name__", name)], &host[..]].concat(), &[(at, value)]);
    let sent = [
        one("extra", 7.0),
        one("node_memory_MemAvailable_bytes", 1.0),
        one("node_memory_MemTotal_bytes", 4.0),
    ];
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(&sent).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let feature = r#"portent:feature{feature="memory_used"}"#;
    let answer = wait_until(SOON, "the feature", async || {
        let (_, answer) = query(&portent, &[("query", feature)]).await;
        match answer["data"]["result"].as_array().map(Vec::len) {
            Some(1) => Ok(answer),
            _ => Err(answer.to_string()),
        }
    })
    .await;
    let labels = json!({"__name__": "portent:feature", "feature": "memory_used", "instance": "h",
        "job": "node", "model": "node"});
    assert_eq!(answer["data"]["result"][0]["metric"], labels);
    assert_eq!(answer["data"]["result"][0]["value"][1], "0.75");
    // Kept on request, though for no time at all.
    let (_, extra) = query(&portent, &[("query", "extra")]).await;
    assert_eq!(extra["data"]["result"][0]["value"][1], "7", "{extra}");
    let url = portent.url("/api/v1/metadata?metric=portent:feature");
    let (_, metadata) = ask(&url, &[]).await;
    assert_eq!(metadata["data"]["portent:feature"][0]["type"], "gauge", "{metadata}");
    let url = portent.url("/api/v1/label/__name__/values");
    let (_, names) = ask(&url, &[]).await;
    let names = names["data"].as_array().expect("a list").clone();
    assert!(names.contains(&json!("portent:feature")), "{names:?}");
}

#[tokio::test]
async fn scores_are_answered_as_the_metrics_page_shows_them() {
    let dir = TempDir::new().expect("a folder");
    let model = write_sum_of_squares(&dir, 2);
    let config = format!(
        "global: {{evaluation_interval: 1s, stale_after: 1h}}\nmodels:\n- name: m\n  file: {model}\n  \
         entity: [instance]\n  step: 1s\n  threshold: 2\n  features:\n  \
         - {{name: a, expr: load}}\n  - {{name: b, expr: load}}\n"
    );
    let portent = Portent::start(&config, &[]).await;
    portent.ready().await;
    let at = now_ms();
    let loads = ["a", "b"]
        .map(|host| Series::new(&[("__name__", "load"), ("instance", host)], &[(at, 2.0)]));
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(&loads).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    for name in ["anomaly_score", "anomaly_score_threshold", "anomaly_reconstruction_error"] {
        wait_until(SOON, name, async || {
            let (_, answer) = query(&portent, &[("query", name)]).await;
            let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
            let mut shown = 0;
            for one in &found {
                let labels = &one["metric"];
                let (instance, model) = (labels["instance"].as_str(), labels["model"].as_str());
                let (Some(instance), Some(model)) = (instance, model) else {
                    return Err(answer.to_string());
                };
                let line = format!("{name}{{instance={instance:?},model={model:?}}}");
                let value = one["value"][1].as_str().and_then(|it| it.parse::<f64>().ok());
                shown += usize::from(value.is_some() && metric(&portent, &line).await == value);
            }
            if shown == 2 && found.len() == 2 { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }
    // Those of the features have the same values and labels as on the page, and are in the catalogue.
    for (name, wanted) in [("anomaly_feature_contribution", 4), ("anomaly_feature_actual", 4)] {
        wait_until(SOON, name, async || {
            let (_, answer) = query(&portent, &[("query", name)]).await;
            let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
            let mut shown = 0;
            for one in &found {
                let label = |name: &str| one["metric"][name].as_str().unwrap_or("").to_owned();
                let line = format!(
                    "{name}{{instance={:?},model={:?},feature={:?}}}",
                    label("instance"),
                    label("model"),
                    label("feature")
                );
                let value = one["value"][1].as_str().and_then(|it| it.parse::<f64>().ok());
                shown += usize::from(value.is_some() && metric(&portent, &line).await == value);
            }
            if (shown, found.len()) == (wanted, wanted) { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }
    for (path, value) in [
        ("labels", "feature"),
        ("label/feature/values", "a"),
        ("label/__name__/values", "anomaly_feature_contribution"),
    ] {
        let (_, listed) = ask(&portent.url(&format!("/api/v1/{path}")), &[]).await;
        let listed = listed["data"].as_array().cloned().unwrap_or_default();
        assert!(listed.contains(&json!(value)), "{path}: {listed:?}");
    }
    let series = portent.url("/api/v1/series?match[]=anomaly_state");
    let (_, states) = ask(&series, &[]).await;
    assert_eq!(states["data"].as_array().map(Vec::len), Some(2), "{states}");
}

#[tokio::test]
async fn the_flag_for_pages_of_others_wins_over_the_key() {
    let config = format!("{KEEP}web:\n  cors_origin: 'http://key\\.example'\n");
    let portent = Portent::start(&config, &["--web.cors.origin=http://(flag|x)\\.example"]).await;
    portent.ready().await;
    for (origin, may_read) in [("http://flag.example", true), ("http://key.example", false)] {
        let url = portent.url("/api/v1/query?query=1");
        let answer = http_client().get(url).header("origin", origin).send().await;
        let answer = answer.expect("an answer");
        let allowed = answer.headers().get("access-control-allow-origin");
        assert_eq!(allowed.is_some(), may_read, "{origin}: {answer:?}");
    }
}

#[tokio::test]
async fn answers_are_compressed_and_read_by_pages_of_others_where_that_is_wanted() {
    let config = format!("{KEEP}web:\n  cors_origin: 'https?://(a|b)\\.example'\n");
    let portent = Portent::start(&config, &[]).await;
    portent.ready().await;
    let at = now_ms();
    let many: Vec<Series> = (0..50)
        .map(|i| {
            let i = format!("a-host-with-a-long-name-{i}");
            Series::new(&[("__name__", "up"), ("instance", i.as_str())], &[(at, 1.0)])
        })
        .collect();
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(&many).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    // As it is, not as the client would have it.
    let raw = reqwest::Client::builder().no_gzip().no_proxy().build().expect("a client");
    let url = portent.url(&format!("/api/v1/query?query=up&time={}", seconds(at)));
    let get = async |headers: &[(&str, &str)], method: reqwest::Method| {
        let mut request = raw.request(method, &url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    };
    let header = |response: &reqwest::Response, name: &str| {
        response.headers().get(name).map(|it| it.to_str().expect("text").to_owned())
    };
    let plain = get(&[("accept-encoding", "identity")], reqwest::Method::GET).await;
    assert_eq!(header(&plain, "content-encoding"), None);
    assert_eq!(header(&plain, "access-control-allow-origin"), None);
    let plain = plain.bytes().await.expect("a whole answer");
    let zipped = get(&[("accept-encoding", "gzip")], reqwest::Method::GET).await;
    assert_eq!(header(&zipped, "content-encoding").as_deref(), Some("gzip"));
    let zipped = zipped.bytes().await.expect("a whole answer");
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&zipped[..]), &mut text)
        .expect("gzip");
    assert!(text == plain, "the same text");
    assert!(zipped.len() < plain.len() / 2);
    for (origin, is_allowed) in [("https://a.example", true), ("https://a.example.org", false)] {
        for method in [reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::OPTIONS] {
            let answer = get(&[("origin", origin)], method.clone()).await;
            let status = if method == reqwest::Method::OPTIONS { 204 } else { 200 };
            assert_eq!(answer.status(), status, "{method} {origin}");
            let allowed = header(&answer, "access-control-allow-origin");
            assert_eq!(allowed.as_deref(), is_allowed.then_some(origin), "{method}");
        }
    }
    // It is off unless configured.
    let portent = Portent::start(KEEP, &[]).await;
    portent.ready().await;
    let url = portent.url("/api/v1/query?query=1");
    let asked = http_client().get(&url).header("origin", "https://a.example");
    let answer = asked.send().await.expect("an answer");
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
    let asked = http_client().request(reqwest::Method::OPTIONS, &url).send().await;
    assert_eq!(asked.expect("an answer").status(), 405);
}

/// A rule that fires, and goes on for a host that is calm again; one that is pending, one that is inactive and one
/// that cannot be evaluated.
fn rules_of_portent(dir: &TempDir) -> String {
    let model = write_sum_of_squares(dir, 2);
    let model = |name: &str, threshold: u32, feature: &str| {
        format!(
            "- name: {name}\n  file: {model}\n  entity: [instance]\n  step: 1s\n  threshold: \
             {threshold}\n  features:\n  - {{name: a, expr: '{feature}'}}\n  - {{name: b, expr: '{feature}'}}\n"
        )
    };
    let models =
        [model("m", 1, "probe"), model("calm", 9, "probe"), model("bad", 1, "probe + on () probe")];
    format!(
        "global: {{evaluation_interval: 1s, stale_after: 1h}}\nmodels:\n{}alerting:\n  rules:\n  \
         - {{alert: Fires, models: [m], for: 0s, keep_firing_for: 1h, labels: {{severity: page}}}}\n  \
         - {{alert: Pends, models: [m], for: 1h}}\n  \
         - {{alert: Calm, models: [calm]}}\n  \
         - {{alert: Bad, models: [bad]}}\n",
        models.concat()
    )
}

/// The same for Prometheus.
const RULES_OF_PROMETHEUS: &str = "groups:\n- name: g\n  rules:\n  \
    - {alert: Fires, expr: probe == 1, keep_firing_for: 1h, labels: {severity: page}, annotations: {summary: s}}\n  \
    - {alert: Pends, expr: probe == 1, for: 1h}\n  \
    - {alert: Calm, expr: probe == 9}\n  \
    - {alert: Bad, expr: probe + on () probe}\n";

/// What JSON is without what it says: a list is what its elements are, each once; of labels and annotations only
/// the values count.
fn shape(of: &Value) -> Value {
    match of {
        Value::Object(fields) => {
            let shape_of = |(key, value): (&String, &Value)| match key.as_str() {
                "labels" | "annotations" => {
                    let texts = value.as_object().expect("an object");
                    assert!(texts.values().all(Value::is_string), "{value}");
                    (key.clone(), json!("texts"))
                }
                _ => (key.clone(), shape(value)),
            };
            Value::Object(fields.iter().map(shape_of).collect())
        }
        Value::Array(items) => {
            let mut shapes: Vec<Value> = items.iter().map(shape).collect();
            shapes.sort_by_key(Value::to_string);
            shapes.dedup();
            json!(shapes)
        }
        Value::Number(_) => json!("number"),
        Value::String(text)
            if portent::timestamp::parse_ms(text).is_ok() && text.ends_with('Z') =>
        {
            json!("time")
        }
        Value::String(text) if text == "1e+00" || text == "2e+00" || text == "0e+00" => {
            json!("value")
        }
        Value::String(_) => json!("text"),
        Value::Bool(_) | Value::Null => of.clone(),
    }
}

/// What Grafana asks for its list of alerts, as it asks: without parameters.
async fn rules_and_alerts(server: &str) -> (Value, Value) {
    let rules = ask(&format!("{server}/api/v1/rules"), &[]).await;
    let alerts = ask(&format!("{server}/api/v1/alerts"), &[]).await;
    assert_eq!((rules.0, alerts.0), (200, 200), "{rules:?} {alerts:?}");
    (rules.1, alerts.1)
}

/// Waits until the rules are so: state, health, how many alerts, and how many of those are only kept firing.
async fn rules_are(server: &str, expected: [(&str, &str, usize, usize); 4]) -> (Value, Value) {
    wait_until(SOON, "rules in these states", async || {
        let (rules, alerts) = rules_and_alerts(server).await;
        let none = Vec::new();
        let told = rules["data"]["groups"][0]["rules"].as_array().unwrap_or(&none);
        let is_so = told.iter().zip(expected).all(|(rule, (state, health, count, kept))| {
            let alerts = rule["alerts"].as_array().expect("a list");
            let found = alerts.iter().filter(|it| it["keepFiringSince"].is_string()).count();
            rule["state"] == state
                && rule["health"] == health
                && (alerts.len(), found) == (count, kept)
        });
        let count = alerts["data"]["alerts"].as_array().map(Vec::len);
        let counts = expected.iter().map(|it| it.2).sum();
        match told.len() == expected.len() && is_so && count == Some(counts) {
            true => Ok((rules, alerts)),
            false => Err(format!("{rules:#}")),
        }
    })
    .await
}

#[tokio::test]
async fn rules_and_alerts_look_as_those_of_prometheus() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&rules_of_portent(&dir), &[]).await;
    portent.ready().await;
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, RULES_OF_PROMETHEUS).expect("a fresh folder takes a file");
    let config =
        format!("global: {{evaluation_interval: 1s}}\nrule_files: ['{}']\n", file.display());
    let prometheus = Prometheus::start(&config, &[]).await;
    let servers = [portent.url(""), prometheus.url("")];
    let send = async |values: [f64; 2]| {
        let at = now_ms();
        let of =
            |host, value| Series::new(&[("__name__", "probe"), ("instance", host)], &[(at, value)]);
        let series = [of("a", values[0]), of("b", values[1])];
        for server in &servers {
            let writer = RemoteWriter::new(format!("{server}/api/v1/write"));
            let reply = writer.send(&series).await;
            assert_eq!(reply.status, 204, "{reply:?}");
        }
    };
    let (calm, bad) = (("inactive", "ok", 0, 0), ("inactive", "err", 0, 0));
    send([1.0, 1.0]).await;
    for server in &servers {
        rules_are(server, [("firing", "ok", 2, 0), ("pending", "ok", 2, 0), calm, bad]).await;
    }
    send([1.0, 0.0]).await;
    let kept = [("firing", "ok", 2, 1), ("pending", "ok", 1, 0), calm, bad];
    let (our_rules, our_alerts) = rules_are(&servers[0], kept).await;
    let (their_rules, their_alerts) = rules_are(&servers[1], kept).await;
    assert_eq!(shape(&our_rules), shape(&their_rules), "{our_rules:#} {their_rules:#}");
    assert_eq!(shape(&our_alerts), shape(&their_alerts), "{our_alerts:#} {their_alerts:#}");
    // Rules that fire come first, and without their alerts rules are what they are.
    assert_eq!(our_alerts["data"]["alerts"][2]["labels"]["alertname"], "Pends");
    let asked = form(&[("exclude_alerts", "true"), ("match[]", "{severity=\"page\"}")]);
    let [ours, theirs] = servers.each_ref().map(|server| format!("{server}/api/v1/rules"));
    let (ours, theirs) = (ask(&ours, &asked).await, ask(&theirs, &asked).await);
    assert_eq!(shape(&ours.1), shape(&theirs.1), "{ours:?} {theirs:?}");
    assert_eq!(ours.1["data"]["groups"][0]["rules"][0]["name"], "Fires");
}
