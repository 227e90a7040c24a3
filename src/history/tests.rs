//! A server for tests, what it is asked, and what it says; the tests are in the rooms.

use std::collections::BTreeMap;
pub(super) use std::io::{Read, Write};
pub(super) use std::net::TcpListener;
pub(super) use std::path::Path;
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex};
pub(super) use std::time::Duration as StdDuration;

pub(super) use super::recording::{Who, from_server};
pub(super) use super::server::client::{Ask, Server};
pub(super) use super::server::patience::Patience;
pub(super) use super::*;
pub(super) use crate::bytesize::ByteSize;
pub(super) use crate::duration::Duration;
pub(super) use crate::features::Counts;
pub(super) use crate::http_client::{HttpHeader, Secret};

/// What a test's server was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Request line and headers, in small letters.
    pub(super) head: String,
    pub(super) form: BTreeMap<String, String>,
}

impl Asked {
    pub(super) fn seconds(&self, key: &str) -> f64 {
        self.form[key].parse().expect("a number")
    }

    pub(super) fn steps(&self) -> usize {
        ((self.seconds("end") - self.seconds("start")) / self.seconds("step")).round() as usize + 1
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&prefix))
    }
}

/// What it answers.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
    /// Only half of the body is sent.
    pub(super) is_cut: bool,
}

pub(super) fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, headers: String::new(), body: body.into(), is_cut: false }
}

pub(super) fn matrix(results: &str) -> Reply {
    reply(
        200,
        format!(
            r#"{{"status":"success","warnings":["PromQL warning: w"],"data":{{"resultType":"matrix","result":[{results}]}}}}"#
        ),
    )
}

/// Every step for two entities: its time in minutes, negative for the second one.
pub(super) fn two_entities(asked: &Asked) -> Reply {
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
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

pub(super) struct TestServer {
    pub(super) address: String,
    pub(super) shared: Arc<Shared>,
}

/// What the threads of a test's server have in common.
pub(super) struct Shared {
    /// Whether it answers when samples were taken.
    knows_times: bool,
    asked: Mutex<Vec<Asked>>,
}

impl TestServer {
    /// A server that answers by a function of the request and of how many there were before.
    pub(super) fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, false, answer)
    }

    pub(super) fn start_with(
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

    pub(super) fn url(&self) -> String {
        format!("http://{}/prefix/", self.address)
    }

    /// What it was asked since the last look.
    pub(super) fn asked(&self) -> Vec<Asked> {
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
pub(super) fn query(
    url: &str,
    ranges: &[(i64, i64)],
    step: i64,
    features: &[(&str, &str)],
) -> HistoryQuery {
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
pub(super) fn fetched(query: &HistoryQuery) -> Result<Recording, HistoryError> {
    let patience = Patience { first: StdDuration::from_millis(1), waits: 3 };
    let Source::Server(source) = &query.source else { panic!("a server") };
    from_server(query, source, Who::All, patience)
}

pub(super) fn resuming(mut query: HistoryQuery, folder: &Path) -> HistoryQuery {
    let Source::Server(source) = &mut query.source else { panic!("a server") };
    source.resume = Some(folder.to_path_buf());
    query
}

/// Values with -1 for a missing one, which compares.
pub(super) fn filled(recording: &Recording, entity: usize) -> ndarray::Array2<f32> {
    recording.entities[entity].values.mapv(|it| if it.is_nan() { -1.0 } else { it })
}

/// The same with -1e9 for every missing value.
pub(super) fn comparable(mut recording: Recording) -> Recording {
    for entity in &mut recording.entities {
        entity.values.mapv_inplace(|it| if it.is_nan() { -1e9 } else { it });
    }
    recording
}

/// What Prometheus says.
pub(super) fn refusal(status: u16, words: &str) -> Reply {
    reply(status, format!(r#"{{"status":"error","errorType":"x","error":"{words}"}}"#))
}

pub(super) fn config_of(query: &HistoryQuery) -> HistoryConfig {
    query.config.clone()
}

/// What Prometheus says where two series match one.
pub(super) fn clash() -> Reply {
    let words = r#"found duplicate series for the match group {a=\"1\"} on the right hand-side of the operation: [{}, {}];many-to-many matching not allowed"#;
    reply(422, format!(r#"{{"status":"error","errorType":"execution","error":"{words}"}}"#))
}

/// Whether a query covers a time in seconds.
pub(super) fn covers(asked: &Asked, seconds: f64) -> bool {
    (asked.seconds("start")..=asked.seconds("end")).contains(&seconds)
}

pub(super) fn from(server: &TestServer) -> Source {
    query(&server.url(), &[(0, 60)], 60, &[]).source
}

/// An authority, and PEM of its certificate.
pub(super) struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let issuer = rcgen::CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { issuer }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a name, and its key.
    pub(super) fn sign(&self, name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = rcgen::KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("signed"), key)
    }

    /// A server with a certificate for a name, which demands one of ours where it is told to.
    pub(super) fn serve(&self, name: &str, demands: bool) -> TestServer {
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
