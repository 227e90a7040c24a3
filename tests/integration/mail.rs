//! Alerts by e-mail: told to a server that speaks SMTP, once; while it is away, hangs or refuses, with TLS and
//! without; and receivers that want some of the alerts only.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::support::{Portent, Webhook, alerting_on_squares, post, run_portent, wait_until};
use portent::notify::{NotifyConfig, Target, TargetAnswer, send_test};
use tempfile::TempDir;

/// How long anything that is waited for may take on a machine that has other work.
const SOON: Duration = Duration::from_secs(60);

/// Another answer than yes: to what begins so and holds that, so many times.
struct Refusal {
    to: &'static str,
    holding: &'static str,
    answer: &'static str,
    times: usize,
}

/// What a [`MailServer`] has got and what it answers.
#[derive(Default)]
struct State {
    taken: Vec<String>,
    /// All that it was told, with a sign of what came encrypted.
    heard: Vec<String>,
    refusals: Vec<Refusal>,
    hangs: bool,
}

/// When a server speaks TLS.
#[derive(Clone)]
enum Tls {
    Never,
    Offered(Arc<rustls::ServerConfig>),
    AtOnce(Arc<rustls::ServerConfig>),
}

/// A server that takes mail.
struct MailServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl MailServer {
    fn start(tls: Tls) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), tls)
    }

    fn start_at(address: SocketAddr, tls: Tls) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                // A peer that leaves is none of our business.
                std::thread::spawn(move || session(stream, &shared, &tls).ok());
            }
        });
        Self { address, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, to: &'static str, holding: &'static str, answer: &'static str, times: usize) {
        self.state().refusals.push(Refusal { to, holding, answer, times });
    }

    /// The subjects of what was taken.
    fn subjects(&self) -> Vec<String> {
        let subject = |it: &String| {
            let line = it.lines().find_map(|it| it.strip_prefix("Subject: "));
            line.unwrap_or_default().to_owned()
        };
        self.state().taken.iter().map(subject).collect()
    }

    async fn is_told(&self, expected: &[&str]) {
        wait_until(SOON, "the server has the mail", async || {
            let found = self.subjects();
            if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
        })
        .await;
    }

    /// The rest of an `email_configs` item: this server, without TLS.
    fn plain(&self) -> String {
        format!("to: a@b.org, from: p@b.org, smarthost: '{}', require_tls: false", self.address)
    }
}

fn session(mut stream: TcpStream, state: &Mutex<State>, tls: &Tls) -> io::Result<()> {
    if state.lock().unwrap_or_else(PoisonError::into_inner).hangs {
        return io::copy(&mut stream, &mut io::sink()).map(drop);
    }
    let encrypted = |config: &Arc<rustls::ServerConfig>, stream: TcpStream| {
        let session = rustls::ServerConnection::new(Arc::clone(config)).expect("a session");
        rustls::StreamOwned::new(session, stream)
    };
    match tls {
        Tls::AtOnce(config) => {
            let mut stream = encrypted(config, stream);
            stream.write_all(b"220 here\r\n")?;
            converse(&mut stream, state, "tls ", "250 AUTH PLAIN").map(drop)
        }
        Tls::Never => {
            stream.write_all(b"220 here\r\n")?;
            converse(&mut stream, state, "", "250 AUTH PLAIN LOGIN").map(drop)
        }
        Tls::Offered(config) => {
            stream.write_all(b"220-here\r\n220 as ever\r\n")?;
            if converse(&mut stream, state, "", "250 STARTTLS")? {
                let mut stream = encrypted(config, stream);
                converse(&mut stream, state, "tls ", "250 AUTH PLAIN")?;
            }
            Ok(())
        }
    }
}

/// Answers until the peer leaves, or TLS begins, which is the answer.
fn converse(
    stream: &mut (impl Read + Write),
    state: &Mutex<State>,
    sign: &str,
    offer: &str,
) -> io::Result<bool> {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let line = read_until(stream, "\r\n")?;
        lock().heard.push(format!("{sign}{}", line.trim_end()));
        let yes = match line.split([' ', '\r']).next().unwrap_or_default() {
            "EHLO" => format!("250-here\r\n{offer}"),
            "AUTH" => "235 welcome".to_owned(),
            "DATA" => "354 go on".to_owned(),
            "STARTTLS" => "220 go on".to_owned(),
            "QUIT" => "221 bye".to_owned(),
            _ => "250 yes".to_owned(),
        };
        let answer = lock().answer(&line, yes);
        write!(stream, "{answer}\r\n")?;
        stream.flush()?;
        match &*line {
            "STARTTLS\r\n" if answer.starts_with("220") => return Ok(true),
            "DATA\r\n" if answer.starts_with("354") => {
                let letter = read_until(stream, "\r\n.\r\n")?;
                let answer = lock().answer(&format!("message {letter}"), "250 taken".to_owned());
                if answer.starts_with("250") {
                    lock().taken.push(letter);
                }
                write!(stream, "{answer}\r\n")?;
                stream.flush()?;
            }
            "QUIT\r\n" => return Ok(false),
            _ => {}
        }
    }
}

impl State {
    fn answer(&mut self, to: &str, yes: String) -> String {
        let is_this =
            |it: &&mut Refusal| it.times > 0 && to.starts_with(it.to) && to.contains(it.holding);
        let Some(refusal) = self.refusals.iter_mut().find(is_this) else { return yes };
        refusal.times -= 1;
        refusal.answer.to_owned()
    }
}

fn read_until(stream: &mut impl Read, end: &str) -> io::Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        text.extend(byte);
    }
    Ok(String::from_utf8(text).expect("ASCII"))
}

/// An authority's certificate in a folder, and a server with one of it for `localhost`.
fn authority(dir: &Path) -> Arc<rustls::ServerConfig> {
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let issuer = rcgen::CertifiedIssuer::self_signed(params, key).expect("an authority");
    fs::write(dir.join("ca.pem"), issuer.pem()).expect("a fresh folder takes a file");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let config =
        builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key.into());
    Arc::new(config.expect("a certificate and its key"))
}

/// What the only target of a receiver answers to a test.
async fn tried(item: &str) -> TargetAnswer {
    let yaml = format!("{{timeout: 2s, receivers: [{{name: team, email_configs: [{{{item}}}]}}]}}");
    let config: NotifyConfig = serde_yaml::from_str(&yaml).expect("a section");
    config.validate().expect("a good one");
    let targets = Target::all(&config).expect("they can be told");
    send_test(1_700_000_000_000, targets).await.pop().expect("one")
}

#[track_caller]
fn check_failure((target, answer): &TargetAnswer, reason: &str, is_refusal: bool) {
    let failure = answer.as_ref().expect_err("a failure");
    assert_eq!(target, "team/email[0]");
    assert!(failure.reason.contains(reason), "{failure:?}");
    assert!(!failure.reason.contains("hunter2"), "{failure:?}");
    assert_eq!(failure.is_refusal, is_refusal, "{failure:?}");
}

async fn requests(portent: &Portent, outcome: &str) {
    wait_until(SOON, "the server counts", async || {
        let page = portent.get("/metrics").await?.body;
        let is_it = |line: &&str| {
            line.starts_with("portent_notify_requests_total{")
                && line.contains(r#"integration="email""#)
                && line.contains(&format!("outcome=\"{outcome}\""))
                && !line.ends_with(" 0")
        };
        page.lines().find(is_it).map(drop).ok_or(page.clone())
    })
    .await;
}

async fn is_told(webhook: &Webhook, firing: usize) {
    wait_until(SOON, "the webhook is told", async || {
        let told = webhook.notified("Busy", "firing");
        if told.len() == firing { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}

/// One alert is one e-mail, with what is behind it, and one more at its end; one that was put off comes once.
#[tokio::test]
async fn an_alert_is_one_mail_and_so_is_its_end() {
    let dir = TempDir::new().expect("a folder");
    let server = MailServer::start(Tls::Never);
    server.refuse("message", "", "451 greylisted, come again", 1);
    let notify = format!(
        "  receivers: [{{name: team, email_configs: [{{{}, auth_username: u, auth_password: hunter2}}]}}]\n",
        server.plain()
    );
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("web-1", 2.0), ("b", 0.5), ("c", 0.5)]).await;
    server.is_told(&["[FIRING:1] Busy: web-1"]).await;
    let letter = server.state().taken[0].clone();
    for part in [
        "To: a@b.org\r\n",
        "From: p@b.org\r\n",
        "Busy: web-1 is anomalous: score 4\r\n",
        "Unusual are load (2",
    ] {
        assert!(letter.contains(part), "{part}: {letter}");
    }
    portent.push_values("m_a", &[("web-1", 0.1)]).await;
    server.is_told(&["[FIRING:1] Busy: web-1", "[RESOLVED:1] Busy: web-1"]).await;
    let log = portent.server.log();
    assert!(log.contains("status 451 to the message: greylisted, come again"), "{log}");
    assert!(log.contains("alerts arrive again") && !log.contains("hunter2"), "{log}");
}

/// What a server will never take does not keep the rest from it.
#[tokio::test]
async fn a_mail_that_is_refused_keeps_no_other_back() {
    let dir = TempDir::new().expect("a folder");
    let server = MailServer::start(Tls::Never);
    server.refuse("message", "Busy: b is anomalous", "550 that looks like spam", usize::MAX);
    let notify =
        format!("  receivers: [{{name: team, email_configs: [{{{}}}]}}]\n", server.plain());
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 2.0), ("c", 2.0), ("d", 0.5)]).await;
    wait_until(SOON, "the others arrive", async || {
        let mut found = server.subjects();
        found.sort();
        let expected = ["[FIRING:1] Busy: a", "[FIRING:1] Busy: c"];
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    requests(&portent, "refused").await;
}

/// A server that says nothing is left after `notify.timeout`, and delays nobody but itself.
#[tokio::test]
async fn a_server_that_hangs_delays_nobody_else() {
    let dir = TempDir::new().expect("a folder");
    let (server, webhook) = (MailServer::start(Tls::Never), Webhook::start().await);
    server.state().hangs = true;
    let notify = format!(
        "  timeout: 1s\n  receivers:\n  - name: team\n    email_configs: [{{{}}}]\n    \
         webhook_configs: [{{url: '{}'}}]\n",
        server.plain(),
        webhook.url()
    );
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 0.5), ("c", 0.5)]).await;
    is_told(&webhook, 1).await;
    requests(&portent, "failed").await;
    portent.push_values("m_a", &[("b", 2.0)]).await;
    is_told(&webhook, 2).await;
    assert!(portent.server.log().contains("no answer in 1 s"), "{}", portent.server.log());
    assert!(server.subjects().is_empty());
    server.state().hangs = false;
    server.is_told(&["[FIRING:2] Busy: a, b"]).await;
}

/// A server that is away is told once it is back, of what is so then.
#[tokio::test]
async fn a_server_that_is_away_is_told_when_it_is_back() {
    let dir = TempDir::new().expect("a folder");
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("a bound socket")
    };
    let item = format!("to: a@b.org, from: p@b.org, smarthost: '{address}', require_tls: false");
    let notify = format!("  receivers: [{{name: team, email_configs: [{{{item}}}]}}]\n");
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 2.0), ("c", 0.5)]).await;
    requests(&portent, "failed").await;
    portent.push_values("m_a", &[("b", 0.1)]).await;
    wait_until(SOON, "b is over", async || {
        let page = portent.get("/metrics").await?.body;
        let waits =
            |it: &str| it.starts_with("portent_notify_waiting_alerts{") && it.ends_with(" 1");
        if page.lines().any(waits) { Ok(()) } else { Err(page) }
    })
    .await;
    let server = MailServer::start_at(address, Tls::Never);
    server.is_told(&["[FIRING:1] Busy: a"]).await;
}

/// 4xx and what is wrong with the connection or with us is tried again; 5xx of the message is a refusal.
#[tokio::test]
async fn what_a_server_says_decides_what_comes_next() {
    for (to, answer, reason, is_refusal) in [
        ("EHLO", "421 too busy", "status 421 to the connection: too busy", false),
        ("EHLO", "554 no", "status 554 to the connection: no", false),
        ("AUTH", "535 5.7.8 not hunter2", "status 535 to AUTH: 5.7.8 not <secret>", false),
        ("AUTH", "454 later", "status 454 to AUTH: later", false),
        ("MAIL", "530 first log in", "status 530 to MAIL: first log in", false),
        ("MAIL", "550 not you", "status 550 to MAIL: not you", true),
        ("RCPT", "450 full", "status 450 to RCPT a@b.org: full", false),
        ("RCPT", "550-no\r\n550 such user", "status 550 to RCPT a@b.org: no such user", true),
        ("DATA", "451 later", "status 451 to DATA: later", false),
        ("message", "552 too long", "status 552 to the message: too long", true),
        ("message", "what?", "to the message: ", false),
    ] {
        let server = MailServer::start(Tls::Never);
        server.refuse(to, "", answer, usize::MAX);
        let item = format!("{}, auth_username: u, auth_password: hunter2", server.plain());
        check_failure(&tried(&item).await, reason, is_refusal);
        assert!(server.subjects().is_empty());
    }
    let server = MailServer::start(Tls::Never);
    assert_eq!(tried(&server.plain()).await.1, Ok(()));
    // What was taken was taken, whatever comes after it.
    server.refuse("QUIT", "", "not SMTP", usize::MAX);
    assert_eq!(tried(&server.plain()).await.1, Ok(()));
    let expected = "[FIRING:1] PortentTest: model none";
    assert_eq!(server.subjects(), [expected, expected]);
    let sent =
        |it: &State| it.taken.iter().map(|it| it.contains("\r\nDate: Tue, 14 Nov 2023")).collect();
    let sent: Vec<bool> = sent(&server.state());
    assert_eq!(sent, [true, true]);
}

/// With TLS, by command or at once, the password is never in clear; whom nobody trusts gets nothing.
#[tokio::test]
async fn tls_hides_the_password_or_nothing_is_sent() {
    let dir = TempDir::new().expect("a folder");
    let config = authority(dir.path());
    let ca = dir.path().join("ca.pem");
    fs::write(dir.path().join("password"), "hunter2\n").expect("a fresh folder takes a file");
    let item = |server: &MailServer, host: &str, tls: &str| {
        format!(
            "to: 'a@b.org, C <c@d.org>', from: p@b.org, smarthost: '{host}:{}', hello: portent, \
             auth_username: u, auth_password_file: '{}', {tls}",
            server.address.port(),
            dir.path().join("password").display()
        )
    };
    let trusts = format!("tls_config: {{ca_file: '{}'}}", ca.display());
    for (tls, more) in [
        (Tls::Offered(Arc::clone(&config)), ""),
        (Tls::AtOnce(Arc::clone(&config)), ", force_implicit_tls: true"),
    ] {
        let server = MailServer::start(tls);
        let good = item(&server, "localhost", &format!("{trusts}{more}"));
        assert_eq!(tried(&good).await.1, Ok(()));
        let heard = std::mem::take(&mut server.state().heard);
        let is_clear = |it: &&String| !it.starts_with("tls ");
        let clear: Vec<&String> = heard.iter().filter(is_clear).collect();
        let expected: &[&str] = if more.is_empty() { &["EHLO portent", "STARTTLS"] } else { &[] };
        assert_eq!(clear, expected);
        // The user and the password, each after a zero byte.
        let mut told = String::new();
        for line in heard.iter().filter(|it| it.starts_with("tls ")) {
            let _ = write!(told, "{}; ", &line[4..]);
        }
        let expected = "EHLO portent; AUTH PLAIN AHUAaHVudGVyMg==; MAIL FROM:<p@b.org>; \
                        RCPT TO:<a@b.org>; RCPT TO:<c@d.org>; DATA; QUIT; ";
        assert_eq!(told, expected);

        let wrong_name = item(&server, "127.0.0.1", &format!("{trusts}{more}"));
        check_failure(&tried(&wrong_name).await, "certificate", false);
        let other = dir.path().join("other");
        fs::create_dir_all(&other).expect("a folder in a fresh one");
        authority(&other);
        let trusts = format!("tls_config: {{ca_file: '{}'}}", other.join("ca.pem").display());
        let untrusted = item(&server, "localhost", &format!("{trusts}{more}"));
        check_failure(&tried(&untrusted).await, "certificate", false);
        assert!(!server.state().heard.iter().any(|it| it.contains("AUTH")));
        let any = format!("tls_config: {{insecure_skip_verify: true}}{more}");
        assert_eq!(tried(&item(&server, "127.0.0.1", &any)).await.1, Ok(()));
    }
    let server = MailServer::start(Tls::Never);
    check_failure(&tried(&item(&server, "localhost", &trusts)).await, "no STARTTLS", false);
    assert!(!server.state().heard.iter().any(|it| it.contains("AUTH") || it.contains("MAIL")));
}

/// `check alerts --send-test` sends by e-mail, too.
#[test]
fn a_test_is_sent_by_mail() {
    let dir = TempDir::new().expect("a folder");
    let server = MailServer::start(Tls::Never);
    let path = dir.path().join("portent.yml");
    let notify = format!(
        "notify: {{receivers: [{{name: team, email_configs: [{{{}}}]}}]}}\n",
        server.plain()
    );
    fs::write(&path, notify).expect("a fresh folder takes a file");
    let output = run_portent(&["check", "alerts", &path.display().to_string(), "--send-test"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("  team/email[0]: accepted\n"), "{said}");
    assert_eq!(server.subjects(), ["[FIRING:1] PortentTest: model none"]);
}

/// A receiver with matchers is told of what they match. After a reload with others it is told of the end of what
/// it knows, and of nothing else.
#[tokio::test]
async fn a_receiver_is_told_of_what_its_matchers_match() {
    let dir = TempDir::new().expect("a folder");
    let (some, all) = (MailServer::start(Tls::Never), MailServer::start(Tls::Never));
    let notify = |matchers: &str| {
        format!(
            "  receivers:\n  - name: some\n    matchers: [{matchers}]\n    email_configs: [{{{}}}]\n  \
             - {{name: all, email_configs: [{{{}}}]}}\n",
            some.plain(),
            all.plain()
        )
    };
    let first = alerting_on_squares(&dir, &notify("severity=page, 'instance=~\"web-.*\"'"));
    let portent = Portent::start(&first, &["--web.enable-lifecycle"]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("db-1", 2.0), ("web-1", 0.5), ("web-2", 0.5)]).await;
    all.is_told(&["[FIRING:1] Busy: db-1"]).await;
    portent.push_values("m_a", &[("web-1", 2.0)]).await;
    some.is_told(&["[FIRING:1] Busy: web-1"]).await;
    all.is_told(&["[FIRING:1] Busy: db-1", "[FIRING:1] Busy: web-1"]).await;

    let other = alerting_on_squares(&dir, &notify("severity=page, 'instance=~\"db-.*\"'"));
    fs::write(portent.config_file(), other).expect("a file");
    assert_eq!(post(&portent.url("/-/reload")).await.expect("an answer").status, 200);
    let known = ["[FIRING:1] Busy: web-1", "[FIRING:1] Busy: db-1"];
    some.is_told(&known).await;
    portent.push_values("m_a", &[("web-1", 0.1)]).await;
    some.is_told(&[known[0], known[1], "[RESOLVED:1] Busy: web-1"]).await;
    portent.push_values("m_a", &[("web-2", 2.0)]).await;
    wait_until(SOON, "the other hears of it", async || {
        let found = all.subjects();
        found
            .contains(&"[FIRING:1] Busy: web-2".to_owned())
            .then_some(())
            .ok_or(format!("{found:?}"))
    })
    .await;
    assert_eq!(some.subjects().len(), 3);
}
