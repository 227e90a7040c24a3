//! Answers that are kept on disk, and who asked for them.

use super::super::resume::AnswerStore;
use super::*;

/// Reads with these credentials; gives how often the server was asked.
fn asked_by(server: &TestServer, folder: &Path, yaml: &str) -> usize {
    let url = match yaml.strip_prefix("user ") {
        Some(user) => server.url().replace("//", &format!("//{user}@")),
        None => server.url(),
    };
    let mut query = resuming(query(&url, &[(0, 60)], 60, &[("a", "x")]), folder);
    if !yaml.starts_with("user ") {
        query.config.http_config = serde_yaml::from_str(yaml).expect("a section");
    }
    query.config.validate().expect("a good section");
    fetched(&query).expect("a recording");
    server.asked().len()
}

#[test]
fn what_is_kept_is_given_to_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = dir.path().join("answers");
    let file = dir.path().join("token");
    let server = TestServer::start(|asked, _| two_entities(asked));
    let from_file = format!("authorization: {{credentials_file: {}}}", file.display());
    std::fs::write(&file, "hunter2").expect("written");
    // All whom one server may tell another history.
    let all = [
        "{}",
        "authorization: {credentials: hunter1}",
        &from_file,
        "authorization: {type: Token, credentials: hunter2}",
        "basic_auth: {username: u, password: hunter2}",
        "basic_auth: {username: u, password: hunter3}",
        "basic_auth: {username: v, password: hunter2}",
        "basic_auth: {username: u}",
        "http_headers: {X-Scope-OrgID: {values: [team-a]}}",
        "http_headers: {X-Scope-OrgID: {values: [team-b]}}",
        "http_headers: {X-Scope-OrgID: {secrets: [hunter2]}}",
        "http_headers: {X-Scope-OrgID: {secrets: [hunter3]}}",
        "http_headers: {X-Other: {secrets: [hunter3]}}",
        "http_headers: {X-Scope-OrgID: {secrets: [hunter2, hunter3]}}",
    ];
    for yaml in all {
        assert_eq!(asked_by(&server, &folder, yaml), 1, "{yaml}");
    }
    for yaml in all {
        assert_eq!(asked_by(&server, &folder, yaml), 0, "again, {yaml}");
    }
    // It is the token that counts, not where it is written down.
    assert_eq!(asked_by(&server, &folder, "authorization: {credentials: hunter2}"), 0);
    std::fs::write(&file, "hunter4").expect("written");
    assert_eq!(asked_by(&server, &folder, &from_file), 1);
    // Nor does it matter whether they stand in the address.
    assert_eq!(asked_by(&server, &folder, "user u:hunter2"), 0);
    assert_eq!(asked_by(&server, &folder, "user u:hunter4"), 1);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let bytes = std::fs::read(&path).expect("a file");
        for secret in [&b"hunter"[..], b"team-", b"aHVudGVy", b"dTpodW50"] {
            let is_there = bytes.windows(secret.len()).any(|it| it == secret);
            assert!(!is_there, "{}", path.display());
        }
        files += 1;
    }
    // The feature and two pieces of the times of samples for each, and the salt.
    assert_eq!(files, 3 * (all.len() + 2) + 1);
}

#[test]
fn without_the_salt_what_is_kept_is_nobodys() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|asked, _| two_entities(asked));
    let yaml = "authorization: {credentials: hunter2}";
    assert_eq!(asked_by(&server, dir.path(), yaml), 1);
    assert_eq!(asked_by(&server, dir.path(), yaml), 0);
    std::fs::remove_file(dir.path().join("salt")).expect("a salt");
    assert_eq!(asked_by(&server, dir.path(), yaml), 1);
}

#[test]
fn a_certificate_is_an_identity_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let server = authority.serve("localhost", true);
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("written");
    for name in ["a", "b"] {
        let (certificate, key) = authority.sign(name);
        let write = |file: String, text: String| std::fs::write(dir.path().join(file), text);
        write(format!("{name}.pem"), certificate.pem()).expect("written");
        write(format!("{name}.key"), key.serialize_pem()).expect("written");
    }
    let asked = |name: &str| {
        let url = format!("https://{}", server.address);
        let query = query(&url, &[(0, 60)], 60, &[("a", "x")]);
        let mut query = resuming(query, &dir.path().join("answers"));
        let yaml = format!("{{ca_file: ca.pem, cert_file: {name}.pem, key_file: {name}.key}}");
        query.config.http_config.tls_config = serde_yaml::from_str(&yaml).expect("a section");
        query.config.resolve_paths(dir.path());
        fetched(&query).expect("a recording");
        server.asked().len()
    };
    assert_eq!(["a", "b", "a", "b"].map(asked), [1, 1, 0, 0]);
}

#[test]
fn what_is_too_near_to_now_is_asked_for_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|asked, _| two_entities(asked));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let minute = now.expect("after 1970").as_secs() as i64 / 120 * 2;
    // Pieces of two minutes: the last one before the ten minutes ends a whole minute before them.
    let range = ((minute - 20) * 60, (minute - 1) * 60);
    let mut query = resuming(query(&server.url(), &[range], 60, &[("a", "x")]), dir.path());
    query.config.max_steps_per_query = 2;
    let first = fetched(&query).expect("a recording");
    let starts = || -> Vec<i64> {
        let mut all: Vec<i64> =
            server.asked().iter().map(|it| it.seconds("start") as i64 / 60 - minute).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(starts().len(), 10);
    assert_eq!(fetched(&query).expect("a recording"), first);
    let again = starts();
    // A minute may pass between the two.
    assert!([-10, -8].contains(&again[0]) && again.ends_with(&[-6, -4, -2]), "{again:?}");
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
    let ask = Ask { expr: "x", start_ms: 0, step_ms: 60_000, count: 2 };
    assert!(store.find(ask).is_some());
    store.keep(ask, b"{\"status\":\"suc").expect("kept");
    assert_eq!(fetched(&query).expect("a recording"), first);
    assert_eq!(server.asked().len(), 1);
}
