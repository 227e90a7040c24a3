//! What becomes of answers.

use crate::history::tests::*;

mod excluded;
mod fetch;
mod kept;
mod partial;
mod sample;

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
