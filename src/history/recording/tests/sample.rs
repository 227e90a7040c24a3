//! Some entities of many.

use super::*;

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
