//! What is asked in smaller parts, by another text, or not again.

use super::*;

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
    let error = fetched(&short).expect_err("no result").to_string();
    assert!(error.contains("the server says") && error.contains("(status 422)"), "{error}");
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
