//! What goes to a server and comes back, and what is said when it does not.

use crate::history::tests::*;

mod compressed;

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
