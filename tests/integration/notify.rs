//! Alerts that arrive: Portent's own rules, told to a real Alertmanager, to webhooks and to chats, once; over
//! restarts, while a receiver is away, and under silences.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::support::{
    Alertmanager, Portent, Webhook, alerting_on_squares, http_client, post, run_portent, wait_until,
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// How long anything that is waited for may take on a machine that has other work.
const SOON: Duration = Duration::from_secs(60);

/// What a [`Receiver`] has got and what it answers.
#[derive(Default)]
struct State {
    /// Bodies by path, as they came.
    received: BTreeMap<String, Vec<Value>>,
    /// The status of further answers; 200 where there is none.
    status: Option<u16>,
    /// Whether further requests are never answered.
    hangs: bool,
    /// Whoever is told of this host is refused (400).
    refused: Option<&'static str>,
    /// Requests that came, whatever became of them.
    asked: usize,
}

/// A receiver of requests that keeps what it accepted.
struct Receiver {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    fn answer_with(&self, status: u16) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).status = Some(status);
    }

    /// From now on nobody is answered, or everybody.
    fn hang(&self, hangs: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).hangs = hangs;
    }

    /// From now on whatever is about a host is refused, or nothing.
    fn refuse(&self, host: Option<&'static str>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).refused = host;
    }

    /// How many requests came.
    fn asked(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked
    }

    /// Waits until so many requests came.
    async fn is_asked(&self, times: usize) {
        wait_until(SOON, "requests come", async || {
            let asked = self.asked();
            if asked >= times { Ok(()) } else { Err(format!("{asked}, not {times}")) }
        })
        .await;
    }

    /// What was accepted under a path.
    fn received(&self, path: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.get(path).cloned().unwrap_or_default()
    }

    /// Status and host of all alerts that were told under a path, in the order in which they came.
    fn told(&self, path: &str) -> Vec<(String, String)> {
        let alerts = self.received(path).into_iter();
        let alerts = alerts.flat_map(|it| it["alerts"].as_array().cloned().unwrap_or_default());
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        alerts.map(|it| (text(&it["status"]), text(&it["labels"]["instance"]))).collect()
    }

    async fn is_told(&self, path: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        wait_until(SOON, "the webhook is told", async || {
            let told = self.told(path);
            if told == expected { Ok(()) } else { Err(format!("{told:?}, not {expected:?}")) }
        })
        .await;
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.expect("a whole request").to_bytes();
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let status = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.asked += 1;
                let is_refused = state.refused.is_some_and(|host| {
                    let alerts = body["alerts"].as_array();
                    alerts.is_some_and(|all| all.iter().any(|it| it["labels"]["instance"] == host))
                });
                let status = if is_refused { 400 } else { state.status.unwrap_or(200) };
                let status = (!state.hangs).then_some(status);
                if status == Some(200) {
                    state.received.entry(path).or_default().push(body);
                }
                status
            };
            let Some(status) = status else { std::future::pending().await };
            let answer = Response::builder().status(status).body(Full::new(Bytes::from("{}")));
            Ok::<_, Infallible>(answer.expect("a status"))
        }
    });
    // A peer that leaves is none of our business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn page_has(portent: &Portent, what: &str, wanted: impl Fn(&str) -> bool) {
    wait_until(SOON, what, async || {
        let page = portent.get("/metrics").await?.body;
        if page.lines().any(&wanted) { Ok(()) } else { Err(page) }
    })
    .await;
}

/// The alerts of hosts that an Alertmanager knows to be active.
async fn active(alertmanager: &Alertmanager) -> Result<Vec<Value>, String> {
    let alerts = alertmanager.alerts().await?;
    Ok(alerts.into_iter().filter(|it| it["labels"]["alertname"] == "Busy").collect())
}

fn busy(portent_yaml: &TempDir, webhook: &Webhook) -> std::path::PathBuf {
    let path = portent_yaml.path().join("alertmanager.yml");
    let text = json!({
        "route": {"receiver": "all", "group_by": ["..."], "group_wait": "1s", "group_interval": "1s"},
        "receivers": [{"name": "all", "webhook_configs": [{"url": webhook.url(), "send_resolved": true}]}],
    });
    fs::write(&path, text.to_string()).expect("a fresh folder takes a file");
    path
}

/// One alert of a host is one message to everybody, and one more at its end, though Portent is restarted in
/// its midst.
#[tokio::test]
async fn an_alert_arrives_once_everywhere_and_so_does_its_end() {
    let (dir, people, direct) =
        (TempDir::new().expect("a folder"), Webhook::start().await, Receiver::start().await);
    let alertmanager = Alertmanager::start(&busy(&dir, &people)).await;
    let notify = format!(
        "  resend_delay: 1s\n  receivers:\n  - name: team\n    \
         alertmanager_configs: [{{url: 'http://{}'}}]\n    \
         webhook_configs: [{{url: '{url}/hook', secret: hunter2}}]\n    \
         telegram_configs: [{{api_url: '{url}', bot_token: '1:a', chat_id: 5}}]\n    \
         slack_configs: [{{api_url: '{url}/slack'}}]\n",
        alertmanager.address(),
        url = direct.url
    );
    let data = format!("--storage.path={}", dir.path().join("data").display());
    let config = alerting_on_squares(&dir, &notify);
    let mut portent = Portent::start(&config, &[&data]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 0.5), ("c", 0.5)]).await;
    direct.is_told("/hook", &[("firing", "a")]).await;

    let alert = &direct.received("/hook")[0]["alerts"][0];
    assert_eq!(alert["labels"]["severity"], "page", "{alert:#}");
    assert_eq!(alert["annotations"]["summary"], "a is anomalous: score 4", "{alert:#}");
    assert_eq!(alert["portent"]["features"][0]["name"], "load", "{alert:#}");
    assert_eq!(alert["portent"]["features"][0]["actual"], 2.0, "{alert:#}");
    let arrived = wait_until(SOON, "Alertmanager has it", async || {
        let all = active(&alertmanager).await?;
        all.first().cloned().ok_or_else(|| format!("{all:?}"))
    })
    .await;
    assert_eq!(arrived["annotations"], alert["annotations"]);
    assert_eq!(arrived["labels"], alert["labels"]);
    assert_eq!(arrived["startsAt"].as_str().map(|it| it.len() > 20), Some(true), "{arrived:#}");

    let people_are_told = async |expected: [usize; 2]| {
        wait_until(SOON, "people are told by Alertmanager", async || {
            let told = ["firing", "resolved"].map(|it| people.notified("Busy", it).len());
            if told == expected { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
    };
    people_are_told([1, 0]).await;

    // Another process goes on: what it tells next is what is new.
    let log = portent.server.log();
    assert!(!log.contains("do not arrive"), "{log}");
    portent.server.signal("TERM");
    assert!(portent.server.wait_for_end(SOON).await.success());
    let portent = Portent::start(&config, &[&data]).await;
    portent.ready().await;
    page_has(&portent, "the alert goes on", |line| {
        line.starts_with("anomaly_alerts{") && line.contains(r#"instance="a""#)
    })
    .await;
    portent.push_values("m_a", &[("b", 3.0)]).await;
    direct.is_told("/hook", &[("firing", "a"), ("firing", "b")]).await;
    people_are_told([2, 0]).await;
    portent.push_values("m_a", &[("a", 0.1), ("b", 0.1)]).await;
    wait_until(SOON, "both are over", async || {
        let told = direct.told("/hook");
        if told.len() == 4 { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    let mut ended = direct.told("/hook").split_off(2);
    ended.sort();
    let expected = ["a", "b"].map(|it| ("resolved".to_owned(), it.to_owned()));
    assert_eq!(ended, expected);
    people_are_told([2, 2]).await;
    for (path, what) in [("/bot1:a/sendMessage", "text"), ("/slack", "text")] {
        wait_until(SOON, "the chat is told", async || {
            let all = direct.received(path);
            let texts: Vec<&str> = all.iter().filter_map(|it| it[what].as_str()).collect();
            let count = |word: &str| texts.iter().filter(|it| it.contains(word)).count();
            let is_all = texts.iter().any(|it| it.contains("a is anomalous: score 4"))
                && count("[FIRING:1]") == 2
                && count("[RESOLVED:") >= 1;
            if is_all { Ok(()) } else { Err(format!("{path}: {texts:?}")) }
        })
        .await;
    }
}

/// A process that is killed has not written down its alerts, but what it has told: that is not told again.
#[tokio::test]
async fn a_crash_neither_doubles_an_alert_nor_loses_its_end() {
    let (dir, receiver) = (TempDir::new().expect("a folder"), Receiver::start().await);
    let notify = format!(
        "  receivers: [{{name: team, webhook_configs: [{{url: '{}/hook'}}]}}]\n",
        receiver.url
    );
    let data = dir.path().join("data");
    let flag = format!("--storage.path={}", data.display());
    let config = alerting_on_squares(&dir, &notify);
    let mut portent = Portent::start(&config, &[&flag]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 0.5), ("c", 0.5)]).await;
    receiver.is_told("/hook", &[("firing", "a")]).await;
    wait_until(SOON, "it is written down", async || {
        let book = fs::read_to_string(data.join("notified.json")).map_err(|it| it.to_string())?;
        if book.contains("\"a\"") { Ok(()) } else { Err(book) }
    })
    .await;
    portent.server.signal("KILL");
    assert!(!portent.server.wait_for_end(SOON).await.success());
    let portent = Portent::start(&config, &[&flag]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 3.0), ("c", 0.5)]).await;
    receiver.is_told("/hook", &[("firing", "a"), ("firing", "b")]).await;
    portent.push_values("m_a", &[("a", 0.1)]).await;
    receiver.is_told("/hook", &[("firing", "a"), ("firing", "b"), ("resolved", "a")]).await;
}

/// A receiver that is away, or refuses, hears of what is so once it is back; others are told meanwhile.
#[tokio::test]
async fn who_is_away_is_told_when_it_is_back() {
    let dir = TempDir::new().expect("a folder");
    let (well, ill) = (Receiver::start().await, Receiver::start().await);
    ill.answer_with(503);
    // Nobody listens at the first.
    let notify = format!(
        "  receivers:\n  - name: gone\n    alertmanager_configs: [{{url: 'http://127.0.0.1:9'}}]\n  \
         - name: team\n    webhook_configs: [{{url: '{}/hook'}}, {{url: '{}/hook'}}]\n",
        well.url, ill.url
    );
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 2.0), ("c", 0.5)]).await;
    well.is_told("/hook", &[("firing", "a"), ("firing", "b")]).await;
    let failed = |receiver: &'static str, integration: &'static str, outcome: &'static str| {
        move |line: &str| {
            line.starts_with("portent_notify_requests_total{")
                && !line.ends_with(" 0")
                && [receiver, integration, outcome]
                    .iter()
                    .all(|it| line.contains(&format!("\"{it}\"")))
        }
    };
    page_has(&portent, "the one that is gone counts", failed("gone", "alertmanager", "failed"))
        .await;
    page_has(&portent, "the one that is ill counts", failed("team", "webhook", "failed")).await;
    page_has(&portent, "two alerts wait", |line| {
        line.starts_with("portent_notify_waiting_alerts{")
            && line.contains(r#"receiver="team""#)
            && line.ends_with(" 2")
    })
    .await;
    // What ends before it was told of is nothing to tell.
    portent.push_values("m_a", &[("b", 0.1)]).await;
    well.is_told("/hook", &[("firing", "a"), ("firing", "b"), ("resolved", "b")]).await;
    ill.answer_with(400);
    page_has(&portent, "a refusal counts", failed("team", "webhook", "refused")).await;
    ill.answer_with(200);
    ill.is_told("/hook", &[("firing", "a")]).await;
    page_has(&portent, "the other still is gone", |line| {
        line.starts_with("portent_notify_waiting_alerts{")
            && line.contains(r#"receiver="gone""#)
            && line.ends_with(" 1")
    })
    .await;
    let log = portent.server.log();
    assert!(log.contains("alerts do not arrive") && log.contains("alerts arrive again"), "{log}");
}

/// What is silenced is scored and shown, and told once the silence is over; a reload tells others.
#[tokio::test]
async fn what_is_silenced_is_told_once_that_is_over() {
    let dir = TempDir::new().expect("a folder");
    let receiver = Receiver::start().await;
    let notify = |path: &str| {
        format!(
            "  receivers:\n  - name: team\n    webhook_configs: [{{url: '{}{path}'}}]\n",
            receiver.url
        )
    };
    let flags = ["--web.enable-admin-api", "--web.enable-lifecycle"];
    let portent = Portent::start(&alerting_on_squares(&dir, &notify("/hook")), &flags).await;
    portent.ready().await;
    let silence = json!({
        "matchers": [{"name": "instance", "value": "a", "isRegex": false, "isEqual": true}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "ops", "comment": "known",
    });
    let request = http_client().post(portent.url("/api/v2/silences")).json(&silence);
    let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    let id = answer["silenceID"].as_str().expect("an id").to_owned();
    portent.push_values("m_a", &[("a", 2.0), ("b", 2.0), ("c", 0.5)]).await;
    receiver.is_told("/hook", &[("firing", "b")]).await;
    page_has(&portent, "it is shown", |line| {
        line.starts_with("anomaly_alerts{") && line.contains(r#"instance="a""#)
    })
    .await;
    let request = http_client().delete(portent.url(&format!("/api/v2/silence/{id}")));
    assert_eq!(request.send().await.expect("an answer").status().as_u16(), 200);
    receiver.is_told("/hook", &[("firing", "b"), ("firing", "a")]).await;

    // The same receiver at another place knows what it knew.
    fs::write(portent.config_file(), alerting_on_squares(&dir, &notify("/moved"))).expect("a file");
    assert_eq!(post(&portent.url("/-/reload")).await.expect("an answer").status, 200);
    portent.push_values("m_a", &[("c", 2.0), ("a", 0.1)]).await;
    wait_until(SOON, "the new place is told", async || {
        let mut told = receiver.told("/moved");
        told.sort();
        let expected =
            [("firing", "c"), ("resolved", "a")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        if told == expected { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    assert_eq!(receiver.told("/hook").len(), 2);
}

/// `check alerts` says who is told, and with `--send-test` whether that works.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_sent_to_everybody_and_what_they_answer_is_said() {
    let dir = TempDir::new().expect("a folder");
    let (well, ill) = (Receiver::start().await, Receiver::start().await);
    ill.answer_with(403);
    let notify = format!(
        "notify:\n  receivers:\n  - name: team\n    webhook_configs: [{{url: '{}/hook'}}]\n    \
         telegram_configs: [{{api_url: '{}', bot_token: hunter2, chat_id: 1}}]\n",
        well.url, ill.url
    );
    let path = dir.path().join("portent.yml");
    fs::write(&path, notify).expect("a fresh folder takes a file");
    let path = path.display().to_string();
    let run = async |arguments: Vec<String>| {
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            run_portent(&arguments)
        };
        let output = tokio::task::spawn_blocking(run).await.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let words = |more: &[&str]| {
        let all = ["check", "alerts", path.as_str()].into_iter().chain(more.iter().copied());
        all.map(str::to_owned).collect::<Vec<String>>()
    };
    let (code, said, _) = run(words(&[])).await;
    assert_eq!(code, Some(0));
    assert!(said.ends_with(": 0 rule(s), 1 receiver(s) with 2 target(s)\n"), "{said}");
    assert!(well.received("/hook").is_empty());
    let (code, said, error) = run(words(&["--send-test"])).await;
    assert_eq!(code, Some(1), "{said}{error}");
    let lines = "  team/webhook[0]: accepted\n  team/telegram[0]: status 403: {}\n";
    assert!(said.ends_with(lines), "{said}");
    assert!(error.contains("1 of 2 targets did not accept the test alert"), "{error}");
    assert!(!format!("{said}{error}").contains("hunter2"));
    let alert = &well.received("/hook")[0]["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "PortentTest", "{alert:#}");
    ill.answer_with(200);
    let (code, said, error) = run(words(&["--send-test"])).await;
    assert_eq!(code, Some(0), "{said}{error}");
    assert!(ill.received("/bothunter2/sendMessage")[0]["text"].as_str().is_some());
}

/// One who does not answer keeps nobody else waiting, however long he may take.
#[tokio::test]
async fn who_hangs_keeps_nobody_else_waiting() {
    let dir = TempDir::new().expect("a folder");
    let (well, webhook, alertmanager) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    webhook.hang(true);
    alertmanager.hang(true);
    // Those who hang are listed first, and are waited for longer than the test may take.
    let notify = format!(
        "  timeout: 1h\n  receivers:\n  - name: team\n    alertmanager_configs: [{{url: '{}'}}]\n    \
         webhook_configs: [{{url: '{}/hook'}}, {{url: '{}/hook'}}]\n",
        alertmanager.url, webhook.url, well.url
    );
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 0.5), ("c", 0.5)]).await;
    webhook.is_asked(1).await;
    alertmanager.is_asked(1).await;
    well.is_told("/hook", &[("firing", "a")]).await;
    portent.push_values("m_a", &[("b", 2.0)]).await;
    well.is_told("/hook", &[("firing", "a"), ("firing", "b")]).await;
    portent.push_values("m_a", &[("a", 0.1)]).await;
    well.is_told("/hook", &[("firing", "a"), ("firing", "b"), ("resolved", "a")]).await;
    assert_eq!((webhook.asked(), alertmanager.asked()), (1, 1), "one request at a time");
}

/// One who does not answer within `notify.timeout` has not been told, and is told once he answers.
#[tokio::test]
async fn a_request_that_hangs_is_ended_and_tried_again() {
    let dir = TempDir::new().expect("a folder");
    let (webhook, alertmanager) = (Receiver::start().await, Receiver::start().await);
    webhook.hang(true);
    alertmanager.hang(true);
    let notify = format!(
        "  timeout: 500ms\n  receivers:\n  - name: team\n    alertmanager_configs: [{{url: '{}'}}]\n    \
         webhook_configs: [{{url: '{}/hook'}}]\n",
        alertmanager.url, webhook.url
    );
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 0.5), ("c", 0.5)]).await;
    for integration in ["webhook", "alertmanager"] {
        page_has(&portent, "it counts", |line| {
            line.starts_with("portent_notify_requests_total{")
                && line.contains(&format!("\"{integration}\""))
                && line.contains(r#"outcome="failed""#)
                && !line.ends_with(" 0")
        })
        .await;
    }
    webhook.is_asked(2).await;
    alertmanager.is_asked(2).await;
    let log = portent.server.log();
    assert!(log.contains("no answer within notify.timeout"), "{log}");
    webhook.hang(false);
    alertmanager.hang(false);
    webhook.is_told("/hook", &[("firing", "a")]).await;
    wait_until(SOON, "the Alertmanager is told", async || {
        let told = alertmanager.received("/api/v2/alerts");
        let is_a = |it: &Value| it[0]["labels"]["instance"] == "a";
        if told.iter().any(is_a) { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}

/// One alert that a receiver does not take, with all that are sent with it, keeps no other from it.
#[tokio::test]
async fn an_alert_that_is_refused_keeps_no_other_back() {
    let (dir, receiver) = (TempDir::new().expect("a folder"), Receiver::start().await);
    receiver.refuse(Some("b"));
    let notify = format!(
        "  receivers: [{{name: team, webhook_configs: [{{url: '{}/hook'}}]}}]\n",
        receiver.url
    );
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 2.0), ("c", 2.0), ("d", 0.1), ("e", 0.1)]).await;
    let others_are_told = async |expected: &[&str]| {
        wait_until(SOON, "the others are told", async || {
            let mut told: Vec<String> = receiver.told("/hook").into_iter().map(|it| it.1).collect();
            told.sort();
            if told == expected { Ok(()) } else { Err(format!("{told:?}, not {expected:?}")) }
        })
        .await;
    };
    others_are_told(&["a", "c"]).await;
    page_has(&portent, "a refusal counts", |line| {
        line.starts_with("portent_notify_requests_total{")
            && line.contains(r#"outcome="refused""#)
            && !line.ends_with(" 0")
    })
    .await;
    page_has(&portent, "the one waits", |line| {
        line.starts_with("portent_notify_waiting_alerts{") && line.ends_with(" 1")
    })
    .await;
    // Nor does it keep back what fires later.
    portent.push_values("m_a", &[("d", 2.0)]).await;
    others_are_told(&["a", "c", "d"]).await;
    receiver.refuse(None);
    others_are_told(&["a", "b", "c", "d"]).await;
}

/// Ends of alerts that a receiver does not hear of are given up beyond `max_resolved`, those first that ended first.
#[tokio::test]
async fn ends_that_are_given_up_are_counted() {
    let (dir, receiver) = (TempDir::new().expect("a folder"), Receiver::start().await);
    let notify = format!(
        "  max_resolved: 1\n  receivers: [{{name: team, webhook_configs: [{{url: '{}/hook'}}]}}]\n",
        receiver.url
    );
    let portent = Portent::start(&alerting_on_squares(&dir, &notify), &[]).await;
    portent.ready().await;
    portent.push_values("m_a", &[("a", 2.0), ("b", 2.0), ("c", 2.0), ("d", 0.1), ("e", 0.1)]).await;
    wait_until(SOON, "all are told", async || {
        let told = receiver.told("/hook");
        if told.len() == 3 { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    let given_up = async |count: usize| {
        let line = format!(
            r#"portent_notify_given_up_total{{receiver="team",integration="webhook"}} {count}"#
        );
        page_has(&portent, &line, |it| it == line).await;
    };
    // There before anything is given up, so that the first is an increase.
    given_up(0).await;
    receiver.answer_with(503);
    portent.push_values("m_a", &[("a", 0.1), ("b", 0.1)]).await;
    given_up(1).await;
    portent.push_values("m_a", &[("c", 0.1)]).await;
    given_up(2).await;
    receiver.answer_with(200);
    wait_until(SOON, "the last end is told", async || {
        let told = receiver.told("/hook").split_off(3);
        let last = [("resolved".to_owned(), "c".to_owned())];
        if told == last { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    assert!(portent.server.log().contains("notify.max_resolved"));
}
