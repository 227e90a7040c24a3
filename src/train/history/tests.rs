use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use super::*;

/// A server that answers each connection with the next of `answers` (status and body), and sends
/// what it was asked.
fn server(answers: Vec<(u16, String)>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            // Before the answer: the test looks at it once it has the last one.
            sender.send(request(&mut stream)).expect("the test is there");
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).expect("written");
            stream.write_all(body.as_bytes()).expect("written");
        }
    });
    (format!("http://user:secret@{address}/prefix/"), asked)
}

fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let len = stream.read(&mut buffer).expect("readable");
        text.extend_from_slice(&buffer[..len]);
        let seen = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = seen.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).expect("a form");
            let length: usize = length.lines().next().expect("a line").parse().expect("a number");
            if body.len() >= length {
                return seen;
            }
        }
    }
}

fn matrix(results: &str) -> (u16, String) {
    let body = format!(
        r#"{{"status":"success","warnings":["w"],"data":{{"resultType":"matrix","result":[{results}]}}}}"#
    );
    (200, body)
}

fn fetched(
    answers: Vec<(u16, String)>,
    features: &[FeatureSpec],
    range: &Range,
) -> (Result<Recording, HistoryError>, Vec<String>) {
    let (url, asked) = server(answers);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let entity = ["job".to_owned(), "instance".to_owned()];
    let recording = runtime.block_on(fetch(&url, range, features, &entity, &mut |_, _| {}));
    (recording, asked.try_iter().collect())
}

const RANGE: Range = Range { start_ms: 1_000_500, end_ms: 1_031_000, step_ms: 15_000 };

#[test]
fn an_answer_becomes_a_recording() {
    let a = r#"{"metric":{"__name__":"x","instance":"b","job":"j","cpu":"0"},"values":[[1000.5,"1.5"],[1030.5,"NaN"]]},
               {"metric":{"instance":"a","job":"j"},"values":[[1015.5,"+Inf"],[1030.5,"-2e3"]]},
               {"metric":{"instance":"a","job":"j"},"values":[[1000.5,"4"]]}"#;
    let b = r#"{"metric":{},"values":[[1000.5,"7"],[1015.5,"8"],[1030.5,"9"]]}"#;
    let features = [FeatureSpec::new("a", "x > 1"), FeatureSpec::new("b", "hour()")];
    let (recording, asked) = fetched(vec![matrix(a), matrix(b)], &features, &RANGE);
    let recording = recording.expect("a recording");
    assert_eq!(recording.times_ms, [1_000_500, 1_015_500, 1_030_500]);
    assert_eq!(recording.own, [true, false]);
    let names: Vec<_> = recording.entities.iter().map(|it| it.labels.to_string()).collect();
    assert_eq!(names, [r#"{instance="a", job="j"}"#, r#"{instance="b", job="j"}"#]);
    let bits = |values: &Array2<f32>| values.mapv(|it| if it.is_nan() { -1.0 } else { it });
    // Two series that never meet are one entity's history.
    assert_eq!(
        bits(&recording.entities[0].values),
        ndarray::arr2(&[[4.0, 7.0], [-1.0, 8.0], [-2000.0, 9.0]])
    );
    assert_eq!(
        bits(&recording.entities[1].values),
        ndarray::arr2(&[[1.5, 7.0], [-1.0, 8.0], [-1.0, 9.0]])
    );
    assert!(asked[0].starts_with("POST /prefix/api/v1/query_range HTTP/1.1\r\n"));
    assert!(asked[0].to_lowercase().contains("authorization: basic "));
    let form = asked[0].split("\r\n\r\n").nth(1).expect("a body");
    assert_eq!(form, "query=x+%3E+1&start=1000.500&end=1030.500&step=15");
}

#[test]
fn a_long_range_is_asked_for_in_pieces() {
    let range = Range { start_ms: 0, end_ms: 22_000_500, step_ms: 1_000 };
    let element = |seconds: u32| {
        matrix(&format!(
            r#"{{"metric":{{"instance":"a","job":"j"}},"values":[[{seconds},"{seconds}"]]}}"#
        ))
    };
    let answers = vec![element(10_999), element(11_000), element(22_000)];
    let (recording, asked) = fetched(answers, &[FeatureSpec::new("a", "x")], &range);
    let recording = recording.expect("a recording");
    let pieces: Vec<_> =
        asked.iter().map(|request| request.split("\r\n\r\n").nth(1).expect("a body")).collect();
    assert_eq!(
        pieces,
        [
            "query=x&start=0.000&end=10999.000&step=1",
            "query=x&start=11000.000&end=21999.000&step=1",
            "query=x&start=22000.000&end=22000.000&step=1",
        ]
    );
    let values = &recording.entities[0].values;
    assert_eq!(values.dim(), (22_001, 1));
    let known: Vec<_> = values.iter().filter(|it| !it.is_nan()).collect();
    assert_eq!(known, [&10_999.0, &11_000.0, &22_000.0]);
    assert_eq!(values[[11_000, 0]], 11_000.0);
}

#[track_caller]
fn check_error(answer: (u16, String), expected: &str) {
    let (recording, _) = fetched(vec![answer], &[FeatureSpec::new("a", "x{")], &RANGE);
    let text = recording.expect_err("a refusal").to_string();
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn what_goes_wrong_says_what_to_do() {
    let words = r#"{"status":"error","errorType":"bad_data","error":"parse error: \"{\""}"#;
    check_error(
        (400, words.to_owned()),
        r#"feature "a": the server says "bad_data: parse error: \"{\"" (status 400) about x{"#,
    );
    check_error((200, words.to_owned()), "the server says");
    check_error((401, String::new()), "put them into the address");
    check_error((403, String::new()), "(status 403)");
    check_error((404, "<p>404\n page".to_owned()), "(status 404: <p>404 page); is the address");
    check_error((200, "pong".to_owned()), "does not answer as Prometheus does");
    check_error(
        matrix(""),
        "has no value for a at any of 3 steps of 15s from 1970-01-01T00:16:40.500Z",
    );
    check_error(
        matrix(r#"{"metric":{"instance":"a"},"values":[[1000.5,"1"]]}"#),
        r#"has a series {instance="a"} without the label job: keep the entity labels (job, instance)"#,
    );
    check_error(
        matrix(
            r#"{"metric":{"instance":"a","job":"j","cpu":"0"},"values":[[1000.5,"1"]]},
               {"metric":{"instance":"a","job":"j","cpu":"1"},"values":[[1000.5,"1"]]}"#,
        ),
        r#"two series for the entity {instance="a", job="j"}"#,
    );
    check_error(
        matrix(r#"{"metric":{},"values":[[1000.5,"1"]]}"#),
        "has no value for every feature that tells entities apart",
    );
}

#[test]
fn an_address_that_leads_nowhere_is_named() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ask = |url: &str, range: &Range| {
        let features = [FeatureSpec::new("a", "x")];
        let entity = ["job".to_owned()];
        let recording = runtime.block_on(fetch(url, range, &features, &entity, &mut |_, _| {}));
        recording.expect_err("a refusal").to_string()
    };
    // Bound and closed again: nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let text = ask(&format!("http://u:secret@{address}"), &RANGE);
    assert!(text.starts_with(&format!("cannot reach http://{address}: ")), "{text}");
    assert!(text.contains("refused") && !text.contains("secret"), "{text}");
    assert!(ask("localhost:9090", &RANGE).contains("is not the address of a server"));
    let backwards = Range { end_ms: 0, ..RANGE };
    assert!(ask("http://localhost", &backwards).contains("the range is empty"));
}
