use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration as StdDuration;

use super::*;
use crate::bytesize::ByteSize;
use crate::features::Counts;
use crate::http_client::{HttpHeader, Secret};

mod compressed;
mod excluded;
mod kept;
mod partial;

/// What a test's server was asked.
#[derive(Debug, Clone)]
struct Asked {
    /// Request line and headers, in small letters.
    head: String,
    form: BTreeMap<String, String>,
}

impl Asked {
    fn seconds(&self, key: &str) -> f64 {
        self.form[key].parse().expect("a number")
    }

    fn steps(&self) -> usize {
        ((self.seconds("end") - self.seconds("start")) / self.seconds("step")).round() as usize + 1
    }

    fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&prefix))
    }
}

/// What it answers.
struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    /// Only half of the body is sent.
    is_cut: bool,
}

fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, headers: String::new(), body: body.into(), is_cut: false }
}

fn matrix(results: &str) -> Reply {
    reply(
        200,
        format!(
            r#"{{"status":"success","warnings":["PromQL warning: w"],"data":{{"resultType":"matrix","result":[{results}]}}}}"#
        ),
    )
}

/// Every step for two entities: its time in minutes, negative for the second one.
fn two_entities(asked: &Asked) -> Reply {
    let (start, step) = (asked.seconds("start"), asked.seconds("step"));
    let values = |factor: f64| {
        let times = (0..asked.steps()).map(|i| start + i as f64 * step);
        let pairs = times.map(|time| format!(r#"[{time},"{}"]"#, factor * time / 60.0));
        pairs.collect::<Vec<_>>().join(",")
    };
    let (a, b) = (values(1.0), values(-1.0));
    matrix(&format!(
        r#"{{"metric":{{"instance":"a","job":"j"}},"values":[{a}]}},
           {{"metric":{{"instance":"b","job":"j"}},"values":[{b}]}}"#
    ))
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

struct TestServer {
    address: String,
    shared: Arc<Shared>,
}

/// What the threads of a test's server have in common.
struct Shared {
    /// Whether it answers when samples were taken.
    knows_times: bool,
    asked: Mutex<Vec<Asked>>,
}

impl TestServer {
    /// A server that answers by a function of the request and of how many there were before.
    fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, false, answer)
    }

    fn start_with(
        tls: Option<Arc<rustls::ServerConfig>>,
        knows_times: bool,
        answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let all = Arc::new(Shared { knows_times, asked: Mutex::default() });
        let (shared, answer) = (Arc::clone(&all), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let (shared, answer, tls) = (Arc::clone(&shared), Arc::clone(&answer), tls.clone());
                std::thread::spawn(move || match tls {
                    None => exchange(stream, &shared, &*answer),
                    Some(config) => {
                        let session = rustls::ServerConnection::new(config).expect("a session");
                        exchange(rustls::StreamOwned::new(session, stream), &shared, &*answer)
                    }
                });
            }
        });
        Self { address, shared: all }
    }

    fn url(&self) -> String {
        format!("http://{}/prefix/", self.address)
    }

    /// What it was asked since the last look.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().expect("no panic"))
    }
}

/// One request and its answer; none where the client goes away.
fn exchange(
    mut stream: impl Read + Write,
    shared: &Shared,
    answer: &dyn Fn(&Asked, usize) -> Reply,
) -> Option<()> {
    let asked = request(&mut stream)?;
    if asked.form["query"].contains("timestamp(") && !shared.knows_times {
        // What is tested are features: of the times of samples the server knows nothing.
        return write(&mut stream, &matrix(""));
    }
    // Before the answer: the test looks at it once it has the last one.
    let before = {
        let mut all = shared.asked.lock().expect("no panic");
        all.push(asked.clone());
        all.len() - 1
    };
    write(&mut stream, &answer(&asked, before))
}

fn write(stream: &mut impl Write, reply: &Reply) -> Option<()> {
    let Reply { status, headers, body, is_cut } = reply;
    let body = body.as_slice();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n",
        body.len()
    );
    let sent = if *is_cut { body.len() / 2 } else { body.len() };
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body[..sent]).ok()?;
    stream.flush().ok()
}

fn request(stream: &mut impl Read) -> Option<Asked> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let len = stream.read(&mut buffer).ok().filter(|len| *len > 0)?;
        text.extend_from_slice(&buffer[..len]);
        let seen = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = seen.split_once("\r\n\r\n") else { continue };
        let head = head.to_owned();
        let length = head.split("content-length: ").nth(1).expect("a form");
        let length: usize = length.lines().next().expect("a line").parse().expect("a number");
        if body.len() >= length {
            let url = reqwest::Url::parse(&format!("http://x/?{body}")).expect("a form");
            return Some(Asked { head, form: url.query_pairs().into_owned().collect() });
        }
    }
}

/// Ranges in seconds.
fn query(url: &str, ranges: &[(i64, i64)], step: i64, features: &[(&str, &str)]) -> HistoryQuery {
    let range = |&(start, end): &(i64, i64)| Range { start_ms: start * 1_000, end_ms: end * 1_000 };
    HistoryQuery {
        source: Source::Server(RangeQuery {
            url: url.to_owned(),
            ranges: ranges.iter().map(range).collect(),
            step: Duration::from_seconds(step),
            delay: Duration::from_ms(0),
            resume: None,
        }),
        features: features.iter().map(|(name, expr)| FeatureSpec::new(*name, *expr)).collect(),
        entity: vec!["job".to_owned(), "instance".to_owned()],
        exclude: Exclusions::default(),
        config: HistoryConfig::default(),
        zone: None,
    }
}

/// As [`read`] does, but in less time when the server is to be waited for.
fn fetched(query: &HistoryQuery) -> Result<Recording, HistoryError> {
    let patience = Patience { first: StdDuration::from_millis(1), waits: 3 };
    let Source::Server(source) = &query.source else { panic!("a server") };
    from_server(query, source, Who::All, patience)
}

fn resuming(mut query: HistoryQuery, folder: &Path) -> HistoryQuery {
    let Source::Server(source) = &mut query.source else { panic!("a server") };
    source.resume = Some(folder.to_path_buf());
    query
}

/// Values with -1 for a missing one, which compares.
fn filled(recording: &Recording, entity: usize) -> ndarray::Array2<f32> {
    recording.entities[entity].values.mapv(|it| if it.is_nan() { -1.0 } else { it })
}

/// The same with -1e9 for every missing value.
fn comparable(mut recording: Recording) -> Recording {
    for entity in &mut recording.entities {
        entity.values.mapv_inplace(|it| if it.is_nan() { -1e9 } else { it });
    }
    recording
}

#[test]
fn an_answer_becomes_a_recording() {
    let server = TestServer::start(|asked, _| match asked.form["query"].as_str() {
        "x > 1" => matrix(
            r#"{"metric":{"__name__":"x","instance":"b","job":"j","cpu":"0"},"values":[[1000,"1.5"],[1030,"NaN"]]},
               {"metric":{"instance":"a","job":"j"},"values":[[1015,"+Inf"],[1030,"-2e3"]]},
               {"metric":{"instance":"a","job":"j"},"values":[[1000,"4"]]}"#,
        ),
        _ => matrix(r#"{"metric":{},"values":[[1000,"7"],[1015,"8"],[1030,"9"]]}"#),
    });
    let url = server.url().replace("//", "//user:secret@");
    let query = query(&url, &[(1_000, 1_031)], 15, &[("a", "x > 1"), ("b", "hour()")]);
    let recording = fetched(&query).expect("a recording");
    assert_eq!(recording.times_ms, [1_000_000, 1_015_000, 1_030_000]);
    assert_eq!(recording.own, [true, false]);
    assert_eq!(recording.counts, Counts { infinite: vec![1, 0], ..Counts::none(2) });
    assert!(recording.rows.is_empty());
    let names: Vec<_> = recording.entities.iter().map(|it| it.labels.to_string()).collect();
    assert_eq!(names, [r#"{instance="a", job="j"}"#, r#"{instance="b", job="j"}"#]);
    // Two series that never meet are one entity's history.
    let a = ndarray::arr2(&[[4.0, 7.0], [-1.0, 8.0], [-2000.0, 9.0]]);
    let b = ndarray::arr2(&[[1.5, 7.0], [-1.0, 8.0], [-1.0, 9.0]]);
    assert_eq!((filled(&recording, 0), filled(&recording, 1)), (a, b));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].head.starts_with("POST /prefix/api/v1/query_range HTTP/1.1\r\n"));
    assert_eq!(asked[0].header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    let form = &asked.iter().find(|it| it.form["query"] == "x > 1").expect("asked").form;
    assert_eq!((form["start"].as_str(), form["end"].as_str()), ("1000.000", "1030.000"));
    assert_eq!((form["step"].as_str(), form["nocache"].as_str()), ("15.000", "1"));
}

#[test]
fn ranges_are_asked_for_in_pieces() {
    let server = TestServer::start(|asked, _| two_entities(asked));
    let query = query(&server.url(), &[(600, 1_200), (0, 300)], 60, &[("a", "x")]);
    let config = HistoryConfig { max_steps_per_query: 4, ..HistoryConfig::default() };
    let recording = fetched(&HistoryQuery { config, ..query }).expect("a recording");
    let minutes: Vec<i64> = (0..=5).chain(10..=20).collect();
    assert_eq!(recording.times_ms, minutes.iter().map(|it| it * 60_000).collect::<Vec<_>>());
    let expected: Vec<f32> = minutes.iter().map(|it| *it as f32).collect();
    assert_eq!(recording.entities[0].values.column(0).to_vec(), expected);
    let negative: Vec<f32> = expected.iter().map(|it| -it).collect();
    assert_eq!(recording.entities[1].values.column(0).to_vec(), negative);
    let mut pieces: Vec<_> =
        server.asked().iter().map(|it| (it.seconds("start") / 60.0, it.steps())).collect();
    pieces.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(pieces, [(0.0, 4), (4.0, 2), (10.0, 2), (12.0, 4), (16.0, 4), (20.0, 1)]);
}

#[test]
fn queries_run_side_by_side_in_any_order_with_one_result() {
    let active = Arc::new(AtomicUsize::new(0));
    let largest = Arc::new(AtomicUsize::new(0));
    let (now, most) = (Arc::clone(&active), Arc::clone(&largest));
    let server = TestServer::start(move |asked, before| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // The first ones last.
        std::thread::sleep(StdDuration::from_millis(60_u64.saturating_sub(5 * before as u64)));
        now.fetch_sub(1, Ordering::SeqCst);
        two_entities(asked)
    });
    let read = |max_concurrency| {
        let query = query(&server.url(), &[(0, 1_200)], 60, &[("a", "x"), ("b", "y")]);
        let config =
            HistoryConfig { max_steps_per_query: 4, max_concurrency, ..query.config.clone() };
        fetched(&HistoryQuery { config, ..query }).expect("a recording")
    };
    let parallel = read(3);
    assert_eq!(largest.swap(0, Ordering::SeqCst), 3);
    assert_eq!(server.asked().len(), 12);
    let serial = read(1);
    assert_eq!(largest.load(Ordering::SeqCst), 1);
    assert_eq!(parallel, serial);
}

/// What Prometheus says.
fn refusal(status: u16, words: &str) -> Reply {
    reply(status, format!(r#"{{"status":"error","errorType":"x","error":"{words}"}}"#))
}

#[test]
fn what_is_too_much_is_asked_for_in_halves() {
    let server = TestServer::start(|asked, _| match asked.steps() > 30 {
        true => refusal(422, "query processing would load too many samples into memory"),
        false => two_entities(asked),
    });
    let query = query(&server.url(), &[(0, 999)], 1, &[("a", "x")]);
    let config =
        HistoryConfig { max_steps_per_query: 250, max_concurrency: 1, ..HistoryConfig::default() };
    let query = HistoryQuery { config, ..query };
    let recording = fetched(&query).expect("a recording");
    let first = recording.entities[0].values.column(0);
    assert!(first.iter().enumerate().all(|(i, it)| (it - i as f32 / 60.0).abs() < 1e-4));
    let asked = server.asked();
    let refused: Vec<usize> = asked.iter().map(Asked::steps).filter(|it| *it > 30).collect();
    // 250, then its half and so on; never again once it is known.
    assert_eq!(refused, [250, 125, 62, 31]);
    let answered: usize = asked.iter().map(Asked::steps).filter(|it| *it <= 30).sum();
    assert_eq!(answered, 1_000);
    // An answer that is too large, which only our side knows.
    let small = ByteSize::from_bytes(2_000);
    let config = HistoryConfig { max_response_bytes: small, ..query.config.clone() };
    let halved = fetched(&HistoryQuery { config, ..query.clone() }).expect("a recording");
    assert_eq!(halved, recording);
    let config = HistoryConfig { max_response_bytes: ByteSize::from_bytes(9), ..config_of(&query) };
    let error = fetched(&HistoryQuery { config, ..query }).expect_err("less than a step");
    assert!(error.to_string().contains("history.max_response_bytes even for one step"), "{error}");
}

fn config_of(query: &HistoryQuery) -> HistoryConfig {
    query.config.clone()
}

#[test]
fn what_takes_too_long_is_asked_for_in_halves() {
    let server = TestServer::start(|asked, _| {
        // Far longer than it is waited for, or not at all.
        std::thread::sleep(StdDuration::from_secs(if asked.steps() > 5 { 30 } else { 0 }));
        two_entities(asked)
    });
    let mut query = query(&server.url(), &[(0, 15)], 1, &[("a", "x")]);
    query.config.timeout = Duration::from_ms(500);
    query.config.max_concurrency = 1;
    assert_eq!(fetched(&query).expect("a recording").times_ms.len(), 16);
    let asked = server.asked();
    let steps: Vec<usize> = asked.iter().map(Asked::steps).filter(|it| *it > 5).collect();
    assert_eq!(steps, [16], "then an eighth of it");
    let mute = TestServer::start(|_, _| {
        std::thread::sleep(StdDuration::from_secs(30));
        reply(200, "")
    });
    let query = HistoryQuery { source: from(&mute), ..query };
    let error = fetched(&query).expect_err("it never answers").to_string();
    assert!(error.contains("in time, not even for one step"), "{error}");
    let steps: Vec<usize> = mute.asked().iter().map(Asked::steps).collect();
    assert_eq!(steps, [2, 1], "it is not waited for any longer");
}

#[test]
fn what_is_too_much_for_one_step_ends_the_run() {
    let server = TestServer::start(|_, _| refusal(422, "exceeded the limit of series"));
    let query = query(&server.url(), &[(0, 7)], 1, &[("a", "x")]);
    let error = fetched(&query).expect_err("a refusal").to_string();
    assert!(error.contains(r#"feature "a": the server says "x: exceeded the limit"#), "{error}");
    let steps: Vec<usize> = server.asked().iter().map(Asked::steps).collect();
    assert!(steps.starts_with(&[8, 4]) && steps.contains(&1), "{steps:?}");
}

/// What Prometheus says where two series match one.
fn clash() -> Reply {
    let words = r#"found duplicate series for the match group {a=\"1\"} on the right hand-side of the operation: [{}, {}];many-to-many matching not allowed"#;
    reply(422, format!(r#"{{"status":"error","errorType":"execution","error":"{words}"}}"#))
}

/// Whether a query covers a time in seconds.
fn covers(asked: &Asked, seconds: f64) -> bool {
    (asked.seconds("start")..=asked.seconds("end")).contains(&seconds)
}

#[test]
fn a_step_that_the_server_refuses_is_left_out_and_counted() {
    let server = TestServer::start(|asked, _| {
        let refuses = asked.form["query"] == "x" && (covers(asked, 70.0) || covers(asked, 333.0));
        if refuses { clash() } else { two_entities(asked) }
    });
    let query = query(&server.url(), &[(0, 99), (300, 399)], 1, &[("a", "x"), ("b", "y")]);
    let recording = fetched(&query).expect("a recording");
    assert_eq!(recording.counts, Counts { failed: vec![2, 0], ..Counts::none(2) });
    for entity in &recording.entities {
        let missing = |feature: usize| -> Vec<i64> {
            let cells = entity.values.column(feature);
            let steps = recording.times_ms.iter().zip(cells).filter(|(_, cell)| cell.is_nan());
            steps.map(|(time_ms, _)| time_ms / 1_000).collect()
        };
        assert_eq!((missing(0), missing(1)), (vec![70, 333], vec![]));
    }
    let asked = server.asked();
    assert!(asked.len() < 2 + 2 * (2 * 7 + 1) + 2, "{} questions", asked.len());
    // Neither the size of the pieces nor their order matters.
    let config = HistoryConfig { max_steps_per_query: 30, max_concurrency: 1, ..config_of(&query) };
    let other = fetched(&HistoryQuery { config, ..query }).expect("a recording");
    assert_eq!(comparable(other), comparable(recording));
    // What does not clash is asked in whole pieces all the same.
    let asked = server.asked();
    let whole = asked.iter().filter(|it| it.form["query"] == "x" && it.steps() == 30);
    assert_eq!(whole.count(), 6);
}

/// Two features, of which only the first can meet groups that clash; see [`is_lenient`].
const RESTRAINED: [(&str, &str); 2] = [("a", "x / on (job) sum by (job) (y)"), ("b", "y")];

/// Whether that is asked by the text without them.
fn is_lenient(asked: &Asked) -> bool {
    asked.form["query"].contains("count by (job)")
}

#[test]
fn where_label_sets_clash_the_other_entities_keep_their_values() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|asked, _| {
        let refuses = asked.form["query"] == RESTRAINED[0].1 && covers(asked, 70.0);
        if refuses { clash() } else { two_entities(asked) }
    });
    let query = query(&server.url(), &[(0, 99), (300, 399)], 1, &RESTRAINED);
    let config = HistoryConfig { max_steps_per_query: 50, max_concurrency: 1, ..config_of(&query) };
    let query = resuming(HistoryQuery { config, ..query }, dir.path());
    let recording = fetched(&query).expect("a recording");
    assert_eq!(recording.counts, Counts::none(2));
    assert!(recording.entities.iter().all(|it| it.values.iter().all(|cell| !cell.is_nan())));
    assert!((0..recording.times_ms.len()).all(|step| !recording.is_refused(step, 0)));
    let asked = server.asked();
    assert_eq!(asked.len(), 2 * 4 + 1);
    let lenient: Vec<&Asked> = asked.iter().filter(|it| is_lenient(it)).collect();
    assert_eq!(lenient.len(), 1);
    assert!(lenient[0].steps() == 50 && covers(lenient[0], 70.0), "the whole piece");
    // Both texts are known from then on.
    let again = fetched(&query).expect("a recording");
    assert_eq!(comparable(again), comparable(recording));
    assert!(server.asked().is_empty());
}

#[test]
fn what_is_refused_by_either_text_is_left_out() {
    fn unknown() -> Reply {
        refusal(400, "unknown function")
    }
    fn too_much() -> Reply {
        refusal(422, "too many samples")
    }
    // The longer text clashes at the step as well, means nothing to the server, or is too much.
    for refused in [clash as fn() -> Reply, unknown, too_much] {
        let dir = tempfile::tempdir().expect("a directory");
        let server = TestServer::start(move |asked, _| {
            let always = refused().status == 400;
            match (is_lenient(asked), covers(asked, 70.0)) {
                (true, clashes) if clashes || always => refused(),
                (false, true) if asked.form["query"] == RESTRAINED[0].1 => clash(),
                _ => two_entities(asked),
            }
        });
        let query = resuming(query(&server.url(), &[(0, 99)], 1, &RESTRAINED), dir.path());
        let recording = fetched(&query).expect("a recording");
        assert_eq!(recording.counts.failed, [1, 0]);
        let refused: Vec<usize> = (0..100).filter(|step| recording.is_refused(*step, 0)).collect();
        assert_eq!(refused, [70]);
        // Both texts, the halves of what was refused, a step that was tried, and the other feature.
        let count = server.asked().len();
        assert!(count <= 2 + 2 * 7 + 1 + 1, "{count} questions");
        let again = fetched(&query).expect("a recording");
        assert_eq!(comparable(again), comparable(recording));
    }
}

#[test]
fn an_expression_that_is_always_refused_is_given_up_soon() {
    // Without a result before its series begin, which proves nothing.
    let start = || {
        TestServer::start(|asked, _| match asked.seconds("end") < 10_000.0 {
            true => matrix(""),
            false => clash(),
        })
    };
    let server = start();
    let query = query(&server.url(), &[(0, 39_999)], 1, &[("a", "x")]);
    let error = fetched(&query).expect_err("no result").to_string();
    assert!(error.contains(r#"feature "a": the server says "execution: found dup"#), "{error}");
    assert!(error.contains("(status 422) about x"), "{error}");
    let count = server.asked().len();
    assert!((33..=40).contains(&count), "{count} questions");
    // A few steps are all tried. Not by the same server, which may still hear what was under way when it was given up.
    let server = start();
    let short = HistoryQuery { source: from(&server), ..query };
    let Source::Server(mut source) = short.source.clone() else { panic!("a server") };
    source.ranges = vec![Range { start_ms: 20_000_000, end_ms: 20_120_000 }];
    let short = HistoryQuery { source: Source::Server(source), ..short };
    assert!(matches!(fetched(&short), Err(HistoryError::Refused { status: 422, .. })));
    assert_eq!(server.asked().len(), 1 + 3);
}

#[test]
fn an_exclusion_that_is_refused_ends_the_run() {
    let server = TestServer::start(|asked, _| match asked.form["query"].as_str() {
        "x" => two_entities(asked),
        _ if covers(asked, 30.0) => clash(),
        _ => two_entities(asked),
    });
    let mut query = query(&server.url(), &[(0, 99)], 1, &[("a", "x")]);
    query.exclude.queries = vec!["y".to_owned()];
    let error = fetched(&query).expect_err("a refusal").to_string();
    assert!(error.starts_with("an exclusion: the server says"), "{error}");
}

#[test]
fn what_was_left_out_is_not_asked_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let fails = Arc::new(AtomicUsize::new(1));
    let shared = Arc::clone(&fails);
    let server = TestServer::start(move |asked, _| {
        if covers(asked, 42.0) {
            return clash();
        }
        // As if the machine went down near the end.
        match asked.seconds("end") > 98.0 && shared.load(Ordering::SeqCst) > 0 {
            true => refusal(400, "out of order"),
            false => two_entities(asked),
        }
    });
    let query = resuming(query(&server.url(), &[(0, 99)], 1, &[("a", "x")]), dir.path());
    let config = HistoryConfig { max_steps_per_query: 50, max_concurrency: 1, ..config_of(&query) };
    let query = HistoryQuery { config, ..query };
    assert!(fetched(&query).is_err());
    assert!(server.asked().iter().any(|it| it.steps() == 1 && covers(it, 42.0)));
    fails.store(0, Ordering::SeqCst);
    let recording = fetched(&query).expect("a recording");
    assert_eq!(recording.counts.failed, [1]);
    let asked: Vec<usize> = server.asked().iter().map(Asked::steps).collect();
    assert_eq!(asked, [50], "only what was not answered, in one piece");
    let again = fetched(&query).expect("a recording");
    assert_eq!(comparable(again), comparable(recording));
    assert!(server.asked().is_empty(), "everything is there");
}

#[test]
fn a_busy_server_is_asked_again() {
    let server = TestServer::start(|asked, before| match before {
        0 => {
            Reply { headers: "retry-after: 0\r\n".to_owned(), ..refusal(429, "too many requests") }
        }
        1 => reply(502, "<p>bad gateway"),
        2 => Reply { is_cut: true, ..two_entities(asked) },
        _ => two_entities(asked),
    });
    let query = query(&server.url(), &[(0, 60)], 60, &[("a", "x")]);
    assert_eq!(fetched(&query).expect("a recording").times_ms, [0, 60_000]);
    assert_eq!(server.asked().len(), 4);
    let busy = TestServer::start(|_, _| reply(503, "closed for today"));
    let query = HistoryQuery { source: from(&busy), ..query };
    let error = fetched(&query).expect_err("it never answers").to_string();
    assert!(error.contains("(status 503: closed for today); try again later"), "{error}");
    assert_eq!(busy.asked().len(), 4, "once, and three times more");
}

fn from(server: &TestServer) -> Source {
    query(&server.url(), &[(0, 60)], 60, &[]).source
}

#[test]
fn a_run_goes_on_where_it_was_interrupted() {
    let dir = tempfile::tempdir().expect("a directory");
    let fails = Arc::new(AtomicUsize::new(3));
    let left = Arc::clone(&fails);
    let server = TestServer::start(move |asked, _| {
        let steps = asked.steps();
        if steps > 60 {
            return refusal(422, "exceeded maximum resolution");
        }
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1)) {
            Err(_) => refusal(400, "out of order"),
            Ok(_) => two_entities(asked),
        }
    });
    let query = resuming(query(&server.url(), &[(0, 499)], 1, &[("a", "x")]), dir.path());
    let config =
        HistoryConfig { max_steps_per_query: 100, max_concurrency: 1, ..config_of(&query) };
    let query = HistoryQuery { config, ..query };
    assert!(fetched(&query).is_err());
    assert_eq!(server.asked().len(), 5, "one too large, three good ones, one bad one");
    fails.store(usize::MAX, Ordering::SeqCst);
    let recording = fetched(&query).expect("a recording");
    assert_eq!(recording.times_ms.len(), 500);
    let asked: usize = server.asked().iter().map(Asked::steps).sum();
    assert_eq!(asked, 350, "what was answered is not asked again");
    assert_eq!(fetched(&query).expect("a recording"), recording);
    assert!(server.asked().is_empty(), "everything is there");
    // A later start finds all pieces but the first.
    let mut later = query;
    let Source::Server(source) = &mut later.source else { panic!("a server") };
    source.ranges[0] = Range { start_ms: 120_000, end_ms: 519_000 };
    assert_eq!(fetched(&later).expect("a recording").times_ms.len(), 400);
    let asked: usize = server.asked().iter().map(Asked::steps).filter(|it| *it <= 60).sum();
    assert_eq!(asked, 80 + 20);
}

#[test]
fn a_kept_answer_that_is_no_answer_is_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|asked, _| two_entities(asked));
    let query = resuming(query(&server.url(), &[(0, 60)], 60, &[("a", "x")]), dir.path());
    let first = fetched(&query).expect("a recording");
    server.asked();
    let store = Server::new(&server.url(), &query.config).expect("a server");
    let store = AnswerStore::open(dir.path(), &store.identity, 1_000, i64::MAX).expect("a folder");
    let ask = client::Ask { expr: "x", start_ms: 0, step_ms: 60_000, count: 2 };
    assert!(store.find(ask).is_some());
    store.keep(ask, b"{\"status\":\"suc").expect("kept");
    assert_eq!(fetched(&query).expect("a recording"), first);
    assert_eq!(server.asked().len(), 1);
}

/// Reads with an `http_config`; gives the only request.
fn asked_with(server: &TestServer, yaml: &str) -> Asked {
    let mut query = query(&server.url(), &[(0, 60)], 60, &[("a", "x")]);
    query.config.http_config = serde_yaml::from_str(yaml).expect("a section");
    query.config.validate().expect("a good section");
    fetched(&query).expect("a recording");
    server.asked().remove(0)
}

#[test]
fn credentials_of_each_kind_are_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secret");
    std::fs::write(&file, "secret\n").expect("written");
    let file = file.display();
    let server = TestServer::start(|asked, _| two_entities(asked));
    let check = |yaml: &str, name: &str, expected: Option<&str>| {
        assert_eq!(asked_with(&server, yaml).header(name), expected, "{yaml}");
    };
    let basic = Some("Basic dXNlcjpzZWNyZXQ=");
    check("{}", "authorization", None);
    check("basic_auth: {username: user, password: secret}", "authorization", basic);
    let yaml = format!("basic_auth: {{username: user, password_file: {file}}}");
    check(&yaml, "authorization", basic);
    let yaml = format!("basic_auth: {{username_file: {file}, password: user}}");
    check(&yaml, "authorization", Some("Basic c2VjcmV0OnVzZXI="));
    check("authorization: {credentials: secret}", "authorization", Some("Bearer secret"));
    let yaml = format!("authorization: {{type: Token, credentials_file: {file}}}");
    check(&yaml, "authorization", Some("Token secret"));
    let yaml = "http_headers: {X-Scope-OrgID: {values: [team-a]}}";
    check(yaml, "x-scope-orgid", Some("team-a"));
    check("http_headers: {X-Key: {secrets: [secret]}}", "x-key", Some("secret"));
    check(&format!("http_headers: {{X-Key: {{files: [{file}]}}}}"), "x-key", Some("secret"));
}

#[test]
fn credentials_that_cannot_be_used_are_named_and_not_shown() {
    let check = |url: &str, yaml: &str, expected: &str| {
        let mut query = query(url, &[(0, 60)], 60, &[("a", "x")]);
        query.config.http_config = serde_yaml::from_str(yaml).expect("a section");
        let text = fetched(&query).expect_err("a refusal").to_string();
        assert!(text.contains(expected) && !text.contains("secret"), "{text}");
    };
    let url = "http://localhost:1";
    let yaml = "basic_auth: {username: u, password: secret}";
    check("http://u:secret@localhost", yaml, "both the address and history.http_config");
    let yaml = "basic_auth: {username: u, password_file: /nowhere}";
    check(url, yaml, "cannot use /nowhere (history.http_config.basic_auth.password_file): ");
    // Without an end, and larger than any.
    let device = "it is a device, and only a regular file is read";
    check(url, "authorization: {credentials_file: /dev/zero}", device);
    check(url, "http_headers: {X-Scope: {files: [/dev/zero]}}", device);
    check(url, "tls_config: {ca_file: /dev/zero}", device);
    let large = tempfile::NamedTempFile::new().expect("a file");
    large.as_file().set_len(6 << 30).expect("a hole");
    let yaml = format!("basic_auth: {{username: u, password_file: {}}}", large.path().display());
    check(url, &yaml, "more than the 65536 bytes that are read");
    let yaml = "authorization: {credentials: \"a\\nsecret\"}";
    check(url, yaml, "such as a line break");
    check(url, "tls_config: {ca_file: /nowhere}", "tls_config.ca_file");
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    check(url, &format!("tls_config: {{ca_file: {here}}}"), "it holds no certificate");
    let yaml = format!("tls_config: {{cert_file: {here}, key_file: {here}}}");
    check(url, &yaml, "do not hold a certificate and its key in PEM");
    check("http://u:secret@[", "{}", "\"[\" is not the address of a server");
}

#[test]
fn a_proxy_is_used_except_where_it_is_not() {
    let proxy = TestServer::start(|asked, _| two_entities(asked));
    let server = TestServer::start(|asked, _| two_entities(asked));
    let yaml = format!("{{proxy_url: 'http://u:p@{}', no_proxy: 127.0.0.1}}", proxy.address);
    let mut query = query("http://portent.invalid", &[(0, 60)], 60, &[("a", "x")]);
    query.config.http_config = serde_yaml::from_str(&yaml).expect("a section");
    assert!(fetched(&query).is_ok());
    let asked = proxy.asked().remove(0);
    assert!(asked.head.starts_with("POST http://portent.invalid/api/v1/query_range "), "{asked:?}");
    assert_eq!(asked.header("proxy-authorization"), Some("Basic dTpw"));
    assert!(fetched(&HistoryQuery { source: from(&server), ..query }).is_ok());
    assert_eq!((proxy.asked().len(), server.asked().len()), (0, 1));
}

#[test]
fn a_redirect_is_followed_where_the_query_goes_along() {
    let server = TestServer::start(|asked, _| match asked.head.contains("/prefix/") {
        false => two_entities(asked),
        true => Reply {
            headers: "location: /elsewhere/api/v1/query_range\r\n".to_owned(),
            ..reply(if asked.form["query"] == "x" { 307 } else { 302 }, "")
        },
    });
    let source = from(&server);
    let query = HistoryQuery { source, ..query("", &[], 1, &[("a", "x")]) };
    assert!(fetched(&query).is_ok());
    let loses = HistoryQuery { features: vec![FeatureSpec::new("a", "y")], ..query.clone() };
    let text = fetched(&loses).expect_err("it is sent away").to_string();
    assert!(text.contains("sends to /elsewhere/api/v1/query_range (status 302); use"), "{text}");
    let mut stays = query;
    stays.config.http_config.follow_redirects = false;
    assert!(fetched(&stays).expect_err("it is sent away").to_string().contains("(status 307)"));
}

#[test]
fn a_secret_header_does_not_go_to_another_host() {
    let other = TestServer::start(|asked, _| two_entities(asked));
    let location = format!("location: {}api/v1/query_range\r\n", other.url());
    let server =
        TestServer::start(move |_, _| Reply { headers: location.clone(), ..reply(308, "") });
    let mut query = HistoryQuery { source: from(&server), ..query("", &[], 1, &[("a", "x")]) };
    assert!(fetched(&query).is_ok());
    assert_eq!(other.asked().len(), 1);
    let header = HttpHeader { secrets: vec![Secret::new("secret")], ..HttpHeader::default() };
    query.config.http_config.http_headers.insert("X-Key".to_owned(), header);
    assert!(fetched(&query).expect_err("it is sent away").to_string().contains("status 308"));
    assert!(other.asked().is_empty());
}

#[test]
fn steps_with_a_result_are_excluded() {
    let server = TestServer::start(|asked, _| match asked.form["query"].as_str() {
        "x" => two_entities(asked),
        "all" => matrix(r#"{"metric":{"alertname":"A"},"values":[[0,"1"]]}"#),
        _ => matrix(
            r#"{"metric":{"__name__":"ALERTS","instance":"b"},"values":[[60,"0"],[240,"NaN"]]},
               {"metric":{"instance":"c"},"values":[[180,"1"]]}"#,
        ),
    });
    let mut query = query(&server.url(), &[(0, 120), (180, 240)], 60, &[("a", "x")]);
    let excluded = |query: &HistoryQuery| -> Vec<Vec<bool>> {
        let recording = read(query).expect("a recording").recording;
        recording.entities.into_iter().map(|it| it.excluded).collect()
    };
    assert_eq!(excluded(&query), [[false; 0], [false; 0]]);
    query.exclude.queries = vec!["ALERTS".to_owned()];
    assert_eq!(excluded(&query), [vec![], vec![false, true, false, false, true]]);
    query.exclude.queries.push("all".to_owned());
    query.exclude.ranges = vec![Range { start_ms: 120_000, end_ms: 170_000 }];
    let expected = [[true, false, true, false, false], [true, true, true, false, true]];
    assert_eq!(excluded(&query), expected);
    query.exclude.ranges = vec![Range { start_ms: 0, end_ms: 240_000 }];
    assert!(matches!(read(&query), Err(HistoryError::AllExcluded)));
}

#[track_caller]
fn check_error(answer: impl Fn() -> Reply + Send + Sync + 'static, expected: &str) {
    let server = TestServer::start(move |_, _| answer());
    let url = server.url().replace("//", "//user:secret@");
    let query = query(&url, &[(1_000, 1_031)], 15, &[("a", "x{")]);
    let text = fetched(&query).expect_err("a refusal").to_string();
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn what_goes_wrong_says_what_to_do() {
    let words = r#"{"status":"error","errorType":"bad_data","error":"parse error: \"{\""}"#;
    check_error(
        move || reply(400, words),
        r#"feature "a": the server says "bad_data: parse error: \"{\"" (status 400) about x{"#,
    );
    check_error(move || reply(200, words), "the server says");
    check_error(|| reply(401, ""), "put them into history.http_config");
    check_error(|| reply(403, ""), "(status 403)");
    check_error(
        || reply(404, "<p>404\n page"),
        "(status 404: <p>404 page); is the address complete",
    );
    check_error(|| reply(200, "pong"), "does not answer as Prometheus does");
    check_error(
        || reply(200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
        "the result is a vector, not a matrix",
    );
    check_error(
        || matrix(""),
        "has no value for a at any of 3 steps of 15s from 1970-01-01T00:16:40Z to 1970-01-01T00:17:10Z",
    );
    check_error(
        || matrix(r#"{"metric":{"instance":"a"},"values":[[1000,"1"]]}"#),
        r#"has no series with the entity labels: {instance="a"} is without job; keep them in its expression, as in `sum by (job, instance) (...)`"#,
    );
    check_error(
        || {
            matrix(
                r#"{"metric":{"instance":"a","job":"j","cpu":"0"},"values":[[1000,"1"]]},
                   {"metric":{"instance":"a","job":"j","cpu":"1"},"values":[[1000,"1"]]}"#,
            )
        },
        r#"two series for the entity {instance="a", job="j"}"#,
    );
    // Not even labels make a series everyone's, or their lack: the expression does.
    check_error(
        || matrix(r#"{"metric":{},"values":[[1000,"1"]]}"#),
        "has no series with the entity labels: {} is without job, instance",
    );
}

/// The answers of a server by their expressions; none for any other.
fn answering(answers: &'static [(&'static str, &'static str)]) -> TestServer {
    TestServer::start(move |asked, _| {
        let known = answers.iter().find(|(expr, _)| *expr == asked.form["query"]);
        matrix(known.map_or("", |(_, results)| *results))
    })
}

#[test]
fn two_series_for_one_entity_spoil_the_steps_they_share() {
    const SERIES: [&str; 3] = [
        r#"{"metric":{"instance":"a","job":"j","pod":"1"},"values":[[0,"1"],[60,"2"],[120,"3"]]}"#,
        r#"{"metric":{"instance":"a","job":"j","pod":"2"},"values":[[60,"2"],[120,"+Inf"],[180,"4"]]}"#,
        r#"{"metric":{"instance":"a","job":"j","pod":"3"},"values":[[60,"7"]]}"#,
    ];
    let other = r#"{"metric":{"instance":"b","job":"j"},"values":[[60,"9"]]}"#;
    let mut found = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let series = order.map(|i| SERIES[i]).join(",");
        let server = TestServer::start(move |asked, _| match asked.form["query"].as_str() {
            "x" => matrix(&format!("{series},{other}")),
            _ => two_entities(asked),
        });
        let query = query(&server.url(), &[(0, 180)], 60, &[("a", "y"), ("b", "x")]);
        found.push(fetched(&query).expect("a recording"));
    }
    let recording = &found[0];
    let same = |it: &Recording| comparable(it.clone()) == comparable(recording.clone());
    assert!(found.iter().all(same));
    assert_eq!(recording.counts.ambiguous, [0, 1], "three series spoil it once");
    assert_eq!(recording.counts.infinite, [0, 1]);
    // An infinite value claims nothing.
    assert_eq!(filled(recording, 0).column(1).to_vec(), [1.0, -1.0, 3.0, 4.0]);
    assert_eq!(filled(recording, 1).column(1).to_vec(), [-1.0, 9.0, -1.0, -1.0]);
    let ambiguous = |entity: usize| -> Vec<(usize, usize)> {
        let cells = (0..4).flat_map(|step| [(step, 0), (step, 1)]);
        cells.filter(|(step, it)| recording.entities[entity].is_ambiguous(*step, *it)).collect()
    };
    assert_eq!((ambiguous(0), ambiguous(1)), (vec![(1, 1)], vec![]));
}

#[test]
fn what_the_server_refuses_is_not_what_an_entity_never_had() {
    let server = TestServer::start(|asked, _| match covers(asked, 60.0) {
        true => clash(),
        false => two_entities(asked),
    });
    let query = query(&server.url(), &[(0, 180)], 60, &[("a", "x")]);
    let recording = fetched(&query).expect("a recording");
    let refused: Vec<bool> = (0..4).map(|step| recording.is_refused(step, 0)).collect();
    assert_eq!(refused, [false, true, false, false]);
}

#[test]
fn a_server_is_asked_when_samples_were_taken_and_for_ticks_before_their_time() {
    let server =
        TestServer::start_with(None, true, |asked, _| match asked.seconds("step") as i64 {
            // Every 15 s, from as far back as the range and an instant selector look.
            15 => matrix(
                r#"{"metric":{"instance":"b","job":"j"},"values":[[593,"590.5"],[608,"590.5"]]},
               {"metric":{"instance":"b"},"values":[[593,"1"]]}"#,
            ),
            _ => two_entities(asked),
        });
    let mut query = query(&server.url(), &[(600, 660)], 60, &[("a", "rate(x[2m])")]);
    let Source::Server(source) = &mut query.source else { panic!("a server") };
    source.delay = Duration::from_seconds(7);
    let recording = fetched(&query).expect("a recording");
    assert_eq!((&recording.times_ms[..], recording.delay_ms), (&[600_000, 660_000][..], 7_000));
    // The value is the minute that was asked for.
    assert_eq!(filled(&recording, 0).column(0).to_vec(), [593.0 / 60.0, 653.0 / 60.0]);
    let sightings = recording.sightings.expect("they were told");
    let (first, last) = (sightings.instants_ms[0], *sightings.instants_ms.last().expect("some"));
    assert_eq!((sightings.resolution_ms, last), (15_000, 653_000));
    assert!(first <= 593_000 - 420_000, "{first}");
    let seen: Vec<(i64, i64)> = (sightings.instants_ms.iter().copied())
        .zip(recording.entities[1].newest_ms.iter().copied())
        .filter(|(_, newest)| *newest != i64::MIN)
        .collect();
    assert_eq!(seen, [(593_000, 590_500), (608_000, 590_500)]);
    assert!(recording.entities[0].newest_ms.is_empty());
    let asked = server.asked();
    let texts: Vec<&str> = asked.iter().map(|it| it.form["query"].as_str()).collect();
    let expected = r#"max by (job, instance) (timestamp({__name__="x"}))"#;
    assert!(texts.contains(&expected), "{texts:?}");
    let guarded = "(rate(x[2m])\n) and on (job, instance) {__name__=\"x\"}";
    assert!(texts.contains(&guarded), "{texts:?}");
}

#[test]
fn the_expression_decides_whose_values_they_are() {
    const ENTITY: &str = r#"{"metric":{"instance":"a","job":"j"},"values":[[0,"1"],[60,"1"]]}"#;
    const NOBODY: &str = r#"{"metric":{"instance":"a"},"values":[[0,"1"]]},{"metric":{},"values":[[0,"5"],[60,"5"]]},{"metric":{"instance":"a","job":"j"},"values":[[60,"2"]]}"#;
    const EVERYONE: &str = r#"{"metric":{},"values":[[0,"7"],[60,"8"]]}"#;
    let server = answering(&[
        ("x", ENTITY),
        ("y", NOBODY),
        ("sum(x)", EVERYONE),
        ("time()", EVERYONE),
        ("sum(x) by (job, instance)", ENTITY),
    ]);
    let features = [
        ("a", "x"),
        ("b", "y"),
        ("c", "sum(x)"),
        ("d", "time()"),
        ("e", "sum(x) by (job, instance)"),
        ("f", "nothing"),
        ("g", "sum(nothing)"),
    ];
    let query = query(&server.url(), &[(0, 60)], 60, &features);
    let recording = fetched(&query).expect("a recording");
    assert_eq!(recording.own, [true, true, false, false, true, true, false]);
    assert_eq!(recording.entities.len(), 1);
    let rows = [[1.0, -1.0, 7.0, 7.0, 1.0, -1.0, -1.0], [1.0, 2.0, 8.0, 8.0, 1.0, -1.0, -1.0]];
    assert_eq!(filled(&recording, 0), ndarray::arr2(&rows));
    assert_eq!(recording.counts.unplaced, [0, 3, 0, 0, 0, 0, 0]);
}

#[test]
fn without_any_value_of_an_entitys_own_there_is_no_history() {
    let error = |server: &TestServer, features: &[(&str, &str)]| {
        let query = query(&server.url(), &[(0, 60)], 60, features);
        fetched(&query).expect_err("no history").to_string()
    };
    let server = answering(&[
        ("time()", r#"{"metric":{},"values":[[0,"7"],[60,"8"]]}"#),
        ("x", r#"{"metric":{"instance":"a","job":"j"},"values":[[0,"NaN"]]}"#),
    ]);
    let text = error(&server, &[("a", "x"), ("b", "time()"), ("c", "y")]);
    assert!(text.contains("has no value for a, c at any of 2 steps"), "{text}");
    let text = error(&server, &[("b", "time()")]);
    assert!(text.contains("has no value for every feature that tells entities apart"), "{text}");
}

#[test]
fn more_values_than_are_kept_are_refused() {
    let server = TestServer::start(|asked, _| two_entities(asked));
    let mut query = query(&server.url(), &[(0, 600)], 60, &[("a", "x")]);
    // Eleven values, and the times of samples at 62 instants, for each of two entities.
    query.config.max_values = 2 * (11 + 2 * 62) - 1;
    let error = fetched(&query).expect_err("one too many");
    assert!(matches!(error, HistoryError::TooMuch { entities: 2, steps: 11, features: 1 }));
    assert!(error.to_string().contains("raise history.max_values"), "{error}");
    query.config.max_values += 1;
    assert!(fetched(&query).is_ok());
    // Found out before anything is asked.
    server.asked();
    query.config.max_values = 10;
    assert!(fetched(&query).is_err() && server.asked().is_empty());
}

#[test]
fn an_address_that_leads_nowhere_is_named() {
    let ask = |url: &str, range| {
        let query = query(url, &[range], 15, &[("a", "x")]);
        fetched(&query).expect_err("a refusal").to_string()
    };
    // Bound and closed again: nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let text = ask(&format!("http://u:secret@{address}"), (0, 60));
    assert!(text.starts_with(&format!("cannot reach http://{address}: ")), "{text}");
    assert!(text.contains("refused") && !text.contains("secret"), "{text}");
    assert!(ask("localhost:9090", (0, 60)).contains("is not the address of a server"));
    assert!(ask("http://localhost", (60, 0)).contains("the range is empty"));
}

/// An authority, and PEM of its certificate.
struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let issuer = rcgen::CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { issuer }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = rcgen::KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("signed"), key)
    }

    /// A server with a certificate for a name, which demands one of ours where it is told to.
    fn serve(&self, name: &str, demands: bool) -> TestServer {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let builder = match demands {
            false => builder.with_no_client_auth(),
            true => builder.with_client_cert_verifier(
                rustls::server::WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    provider,
                )
                .build()
                .expect("a verifier"),
            ),
        };
        let (certificate, key) = self.sign(name);
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = builder.with_single_cert(vec![certificate.der().clone()], key.into());
        let config = Arc::new(config.expect("a certificate and its key"));
        let server = TestServer::start_with(Some(config), false, |asked, _| two_entities(asked));
        let address = server.address.replace("127.0.0.1", "localhost");
        TestServer { address, ..server }
    }
}

#[test]
fn tls_trusts_whom_it_is_told_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let (certificate, key) = authority.sign("portent");
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("other.pem", Authority::new().pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let read = |server: &TestServer, yaml: &str| {
        let url = format!("https://{}", server.address);
        let mut query = query(&url, &[(0, 60)], 60, &[("a", "x")]);
        query.config.http_config.tls_config = serde_yaml::from_str(yaml).expect("a section");
        query.config.resolve_paths(dir.path());
        fetched(&query).map(|it| it.times_ms).map_err(|error| error.to_string())
    };
    let server = authority.serve("localhost", false);
    let both = Ok(vec![0, 60_000]);
    assert_eq!(read(&server, "ca_file: ca.pem"), both);
    assert_eq!(read(&server, "insecure_skip_verify: true"), both);
    let check = |server: &TestServer, yaml: &str, expected: &str| {
        let text = read(server, yaml).expect_err("a refusal");
        assert!(text.starts_with("no safe connection to https://localhost:"), "{text}");
        assert!(text.contains(expected), "{text}");
    };
    check(&server, "ca_file: other.pem", "history.http_config.tls_config.ca_file");
    let elsewhere = authority.serve("elsewhere", false);
    check(&elsewhere, "ca_file: ca.pem", "a name that the certificate holds");
    let strict = authority.serve("localhost", true);
    check(&strict, "ca_file: ca.pem", "set cert_file and key_file in tls_config");
    assert_eq!(read(&strict, "{ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}"), both);
    // What a server without TLS says to a greeting that it does not understand.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("written");
        // Until the client has gone away.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let plain = TestServer { address: format!("localhost:{port}"), ..server };
    check(&plain, "ca_file: ca.pem", "if not, write http://");
}

/// What is read where there is room for so many entities.
fn sampled(query: &HistoryQuery, most: usize) -> Result<Recording, HistoryError> {
    let patience = Patience { first: StdDuration::from_millis(1), waits: 3 };
    let Source::Server(source) = &query.source else { panic!("a server") };
    let sampling = Sampling { most: &|_| most, max_answer_bytes: 1 << 20, seed: 3 };
    from_server(query, source, Who::Sample(&sampling), patience)
}

#[test]
fn a_sample_is_drawn_before_anything_large_is_asked() {
    // It knows nothing of matchers: what it sends too much is dropped.
    let server = TestServer::start_with(None, true, |asked, _| two_entities(asked));
    let query = query(&server.url(), &[(0, 600)], 60, &[("a", "x")]);
    let all = sampled(&query, 2).expect("a recording");
    assert_eq!((all.entities.len(), all.counts.others), (2, 0));
    assert!(server.asked().iter().all(|it| !it.form["query"].contains("=~")), "there is room");
    let one = sampled(&query, 1).expect("a recording");
    assert_eq!((one.entities.len(), one.counts.others), (1, 1));
    assert!(all.entities.contains(&one.entities[0]));
    let asked = server.asked();
    let host = one.entities[0].labels.get("instance");
    let matcher = format!("instance=~{host:?}");
    let (about_it, looks): (Vec<_>, Vec<_>) =
        asked.iter().partition(|it| it.form["query"].contains(&matcher));
    assert!(looks.iter().all(|it| it.steps() == 1 && it.form["query"].contains("timestamp(")));
    assert_eq!(about_it.len(), 3, "the feature, and the times of samples before and after 0");
    assert!(matches!(sampled(&query, 0), Err(HistoryError::NoRoom { steps: 11, features: 1 })));
}

#[test]
fn some_are_asked_for_by_name() {
    let labels =
        |host: &str| Labels::from_pairs([("instance", host), ("job", "j")]).expect("two names");
    // It knows nothing of matchers: what it sends too much is dropped.
    let server = TestServer::start_with(None, true, |asked, _| two_entities(asked));
    let query = query(&server.url(), &[(0, 600)], 60, &[("a", "x")]);
    let recording = read_of(&query, &[labels("b"), labels("c")]).expect("b is known").recording;
    let all = sampled(&query, 2).expect("a recording");
    assert_eq!((&recording.entities[..], recording.counts.others), (&all.entities[1..], 1));
    let narrowed = |it: &Asked| it.form["query"].contains("instance=~\"b|c\"");
    assert!(server.asked()[..3].iter().all(narrowed), "{:?}", server.asked()[0].form);
    let nobody = read_of(&query, &[labels("c")]);
    assert!(matches!(nobody, Err(HistoryError::NoData { .. })), "{nobody:?}");
}

#[test]
fn where_the_server_does_not_say_who_is_there_the_sample_is_drawn_on_the_way() {
    let swapped = |asked: &Asked| {
        let body = two_entities(asked).text().replace("\"a\"", "\"c\"").replace("\"b\"", "\"a\"");
        reply(200, body.replace("\"c\"", "\"b\""))
    };
    let [forward, backward] = [false, true].map(|is_swapped| {
        // The second entity's values are those of the first, and the other way round.
        let server = TestServer::start(move |asked, _| match is_swapped {
            true => swapped(asked),
            false => two_entities(asked),
        });
        let mut query = query(&server.url(), &[(0, 600)], 60, &[("a", "x"), ("b", "y")]);
        query.config.max_steps_per_query = 2;
        sampled(&query, 1).expect("a recording")
    });
    for recording in [&forward, &backward] {
        assert_eq!((recording.entities.len(), recording.counts.others), (1, 1));
        let values = &recording.entities[0].values;
        assert!(values.iter().all(|it| it.is_finite()), "from the beginning: {values}");
    }
    assert_eq!(forward.entities[0].labels, backward.entities[0].labels);
    assert_eq!(forward.entities[0].values, -&backward.entities[0].values);
}
