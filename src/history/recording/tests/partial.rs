//! Answers that lack what some stores of the server have.

use super::super::resume::AnswerStore;
use super::*;

const LACKING: &str = "fetch series for {} Addr: 10.0.0.2:10901: rpc error: code = Unavailable";

/// The answer for two entities with other warnings, or with more beside them.
fn warned(asked: &Asked, warnings: &str) -> Reply {
    reply(200, two_entities(asked).text().replace(r#""warnings":["PromQL warning: w"]"#, warnings))
}

#[test]
fn whole_answers_are_asked_for() {
    let server = TestServer::start(|asked, _| two_entities(asked));
    fetched(&query(&server.url(), &[(0, 60)], 60, &[("a", "x")])).expect("a recording");
    let form = &server.asked()[0].form;
    assert_eq!(form["partial_response"], "false");
    assert_eq!(form["deny_partial_response"], "1");
}

#[test]
fn a_partial_answer_ends_the_run_and_is_never_kept() {
    for partial in [format!(r#""warnings":["{LACKING}"]"#), r#""isPartial":true"#.to_owned()] {
        let dir = tempfile::tempdir().expect("a directory");
        let is_away = Arc::new(AtomicUsize::new(1));
        let shared = Arc::clone(&is_away);
        let server = TestServer::start(move |asked, _| {
            let is_away = shared.load(Ordering::SeqCst) == 1 && covers(asked, 300.0);
            let beside = if is_away { partial.as_str() } else { r#""warnings":[]"# };
            warned(asked, beside)
        });
        let mut query = resuming(query(&server.url(), &[(0, 420)], 60, &[("a", "x")]), dir.path());
        query.config.max_steps_per_query = 2;
        query.config.max_concurrency = 1;
        let text = fetched(&query).expect_err("a refusal").to_string();
        assert!(text.contains("for feature \"a\" lacks what some stores have"), "{text}");
        assert!(text.contains(LACKING) || text.contains("isPartial: true"), "{text}");
        assert!(text.contains("try again when all of them answer (with --resume DIR"), "{text}");
        assert_eq!(server.asked().len(), 3);
        // Once all stores are there, what was whole is not asked again, and all the rest is.
        is_away.store(0, Ordering::SeqCst);
        let recording = fetched(&query).expect("a recording");
        assert!(recording.entities.iter().all(|it| it.values.iter().all(|it| it.is_finite())));
        assert_eq!(server.asked().len(), 2);
    }
}

#[test]
fn a_partial_answer_that_was_kept_by_an_older_run_is_asked_for_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|asked, _| warned(asked, r#""warnings":[]"#));
    let query = resuming(query(&server.url(), &[(0, 60)], 60, &[("a", "x")]), dir.path());
    let server_of = Server::new(&server.url(), &query.config).expect("a server");
    let store =
        AnswerStore::open(dir.path(), &server_of.identity, 1_000, i64::MAX).expect("a folder");
    let ask = Ask { expr: "x", start_ms: 0, step_ms: 60_000, count: 2 };
    let partial =
        r#"{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}"#;
    store.keep(ask, partial.as_bytes()).expect("kept");
    assert_eq!(fetched(&query).expect("a recording").entities.len(), 2);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn where_no_store_goes_back_so_far_the_run_goes_on_and_asks_again_the_next_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|asked, _| match asked.seconds("end") < 120.0 {
        true => reply(
            200,
            r#"{"status":"success","warnings":["No StoreAPIs matched for this query"],"data":{"resultType":"matrix","result":[]}}"#,
        ),
        false => two_entities(asked),
    });
    let mut query = resuming(query(&server.url(), &[(0, 180)], 60, &[("a", "x")]), dir.path());
    query.config.max_steps_per_query = 2;
    let first = fetched(&query).expect("a recording");
    assert_eq!(filled(&first, 0).column(0).to_vec(), [-1.0, -1.0, 2.0, 3.0]);
    assert_eq!(server.asked().len(), 2);
    fetched(&query).expect("a recording");
    let starts: Vec<f64> = server.asked().iter().map(|it| it.seconds("start")).collect();
    assert_eq!(starts, [0.0]);
}

#[test]
fn a_store_that_is_away_for_a_while_is_waited_for() {
    // What Thanos says where it may not answer in part.
    let server = TestServer::start(|asked, before| match before {
        0 | 1 => refusal(422, LACKING),
        _ => two_entities(asked),
    });
    let query = query(&server.url(), &[(0, 60)], 60, &[("a", "x")]);
    assert!(fetched(&query).is_ok());
    assert_eq!(server.asked().len(), 3);
}
