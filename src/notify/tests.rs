//! Tests of what targets are told, and of what they answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::detect::alert::{Details, Feature};
use crate::labels::Labels;

/// A request as it came.
struct Seen {
    head: String,
    body: String,
}

/// A server that gives one answer after another, the last one for ever; what it was asked comes out.
async fn server(answers: Vec<&'static str>) -> (String, mpsc::UnboundedReceiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
    let (sender, seen) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            loop {
                let mut buffer = [0; 8192];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                text += &String::from_utf8_lossy(&buffer[..read]);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.to_ascii_lowercase();
                let length = length.split("content-length: ").nth(1).expect("a length");
                let length: usize =
                    length.lines().next().expect("a line").parse().expect("a number");
                if body.len() >= length || read == 0 {
                    let _ = sender.send(Seen { head: head.to_owned(), body: body.to_owned() });
                    break;
                }
            }
            let i = count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let _ = stream.write_all(answers[i].as_bytes()).await;
        }
    });
    (url, seen)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn notice(resolved_ms: Option<i64>) -> Notice {
    let labels = [("alertname", "HostAnomalous"), ("instance", "web-1"), ("model", "node")];
    let feature = Feature { name: "cpu_busy".to_owned(), actual: 0.9, expected: 0.2, share: 0.75 };
    Notice {
        labels: Labels::from_pairs(labels).expect("names"),
        entity: Some(Labels::from_pairs([("instance", "web-1")]).expect("a name")),
        annotations: [("summary", "web-1 is anomalous"), ("description", "<cpu> & busy")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
        fired_ms: 1_700_000_000_000,
        resolved_ms,
        details: resolved_ms.is_none().then(|| Details {
            score: 2.5,
            threshold: 1.0,
            features: vec![feature],
            active_entities: None,
        }),
    }
}

/// The only target of a receiver.
fn target(yaml: &str) -> Target {
    let config = format!("receivers: [{{name: team, {yaml}}}]");
    let config: NotifyConfig = serde_yaml::from_str(&config).expect("a section");
    config.validate().expect("a good one");
    Target::all(&config).expect("it can be told").pop().expect("one")
}

async fn told(yaml: &str, notices: &[Notice]) -> (Seen, Value) {
    let (url, mut seen) = server(vec![OK]).await;
    let target = target(&yaml.replace("URL", &url));
    target.tell(1_700_000_001_000, 1_700_000_241_000, notices).await.expect("it is taken");
    let seen = seen.recv().await.expect("a request");
    let body = serde_json::from_str(&seen.body).expect("JSON");
    (seen, body)
}

#[tokio::test]
async fn an_alertmanager_is_told_as_by_prometheus() {
    let yaml = "alertmanager_configs: [{url: 'URL/am/', http_config: {basic_auth: {username: u, password: p}}}]";
    let ended = notice(Some(1_700_000_000_500));
    let (seen, body) = told(yaml, &[notice(None), ended]).await;
    assert!(seen.head.starts_with("POST /am/api/v2/alerts HTTP/1.1"), "{}", seen.head);
    assert!(seen.head.to_lowercase().contains("authorization: basic dtpw"), "{}", seen.head);
    let alert = |ends: &str| {
        json!({
            "labels": {"alertname": "HostAnomalous", "instance": "web-1", "model": "node"},
            "annotations": {"description": "<cpu> & busy", "summary": "web-1 is anomalous"},
            "startsAt": "2023-11-14T22:13:20Z",
            "endsAt": ends,
        })
    };
    assert_eq!(body, json!([alert("2023-11-14T22:17:21Z"), alert("2023-11-14T22:13:20.500Z")]));
}

#[tokio::test]
async fn a_webhook_gets_what_an_alertmanager_posts_and_what_is_behind_it_signed() {
    let secret = STANDARD.encode(b"hunter2");
    let yaml = format!("webhook_configs: [{{url: 'URL/hook?a=b', secret: whsec_{secret}}}]");
    let (seen, body) = told(&yaml, &[notice(None)]).await;
    assert!(seen.head.starts_with("POST /hook?a=b HTTP/1.1"), "{}", seen.head);
    assert_eq!(body["version"], "4");
    assert_eq!(body["status"], "firing");
    assert_eq!(body["receiver"], "team");
    assert_eq!(body["commonLabels"]["instance"], "web-1");
    let alert = &body["alerts"][0];
    assert_eq!(alert["status"], "firing");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["portent"]["score"], 2.5);
    let feature = json!({"name": "cpu_busy", "actual": 0.9, "expected": 0.2, "share": 0.75});
    assert_eq!(alert["portent"]["features"][0], feature);
    let header = |name: &str| {
        let mut lines = seen.head.lines().filter_map(|it| it.split_once(": "));
        let found = lines.find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1.to_owned());
        found.unwrap_or_else(|| panic!("{name}: {}", seen.head))
    };
    assert_eq!(header("webhook-timestamp"), "1700000001");
    let signed = format!("{}.1700000001.{}", header("webhook-id"), seen.body);
    let tag =
        STANDARD.decode(header("webhook-signature").trim_start_matches("v1,")).expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"hunter2");
    hmac::verify(&key, signed.as_bytes(), &tag).expect("the signature of the body");

    // The same told again has the same id; its end has another.
    let yaml = "webhook_configs: [{url: 'URL'}]";
    let (again, _) = told(yaml, &[notice(None)]).await;
    assert!(
        again.head.contains(&header("webhook-id")) && !again.head.contains("webhook-signature")
    );
    let (end, body) = told(yaml, &[notice(Some(1_700_000_002_000))]).await;
    assert!(!end.head.contains(&header("webhook-id")));
    assert_eq!(
        (&body["status"], &body["alerts"][0]["portent"]),
        (&json!("resolved"), &Value::Null)
    );
}

#[tokio::test]
async fn chats_are_told_in_words() {
    let yaml = "telegram_configs: [{api_url: 'URL', bot_token: '1:hunter2', chat_id: -5}]";
    let (seen, body) = told(yaml, &[notice(Some(1)), notice(None)]).await;
    assert!(seen.head.starts_with("POST /bot1:hunter2/sendMessage HTTP/1.1"), "{}", seen.head);
    assert_eq!(body["chat_id"], -5);
    let text = "[FIRING:1]\nHostAnomalous: web-1 is anomalous\n<cpu> & busy\n\n[RESOLVED:1]\nHostAnomalous: web-1 is anomalous";
    assert_eq!(body["text"], text);
    let (_, body) = told("slack_configs: [{api_url: 'URL/T0'}]", &vec![notice(None); 12]).await;
    let text = body["text"].as_str().expect("a text");
    assert!(text.starts_with("[FIRING:12]") && text.ends_with("and 2 more"), "{text}");
    assert!(text.contains("\n&lt;cpu&gt; &amp; busy\n"), "{text}");
}

#[track_caller]
fn check_failure(failure: &Failure, reason: &str, is_refusal: bool) {
    assert!(failure.reason.contains(reason), "{failure:?}");
    assert!(!failure.reason.contains("hunter2"), "{failure:?}");
    assert_eq!(failure.is_refusal, is_refusal, "{failure:?}");
}

#[tokio::test]
async fn what_is_answered_decides_what_comes_next() {
    let close = "connection: close\r\n\r\n";
    let answers = [
        format!("HTTP/1.1 500 Oh\r\ncontent-length: 5\r\n{close}wrong"),
        format!("HTTP/1.1 429 Slow\r\nretry-after: 30\r\ncontent-length: 0\r\n{close}"),
        format!(
            "HTTP/1.1 400 Bad\r\ncontent-length: 32\r\n{close}no such   chat, hunter2-hunter2!"
        ),
        "not HTTP".to_owned(),
    ];
    let answers = answers.map(|it| &*String::leak(it)).to_vec();
    let (url, _seen) = server(answers).await;
    let yaml = format!(
        "telegram_configs: [{{api_url: '{url}', bot_token: hunter2, chat_id: 1, http_config: \
         {{authorization: {{credentials: hunter2-hunter2}}}}}}]"
    );
    let target = target(&yaml);
    let mut failures = Vec::new();
    for _ in 0..4 {
        failures.push(target.tell(0, 0, &[notice(None)]).await.expect_err("a failure"));
    }
    check_failure(&failures[0], "status 500: wrong", false);
    check_failure(&failures[1], "status 429", false);
    assert_eq!(failures[1].wait, Some(std::time::Duration::from_secs(30)));
    check_failure(&failures[2], "status 400: no such chat, <secret>!", true);
    check_failure(&failures[3], "", false);
}

#[test]
fn a_receiver_wants_what_all_of_its_matchers_match() {
    let wants = |matchers: &str| {
        let target = target(&format!("{matchers} webhook_configs: [{{url: 'http://h'}}]"));
        target.wants(&notice(None).labels)
    };
    assert!(wants(""));
    assert!(wants(
        "matchers: ['alertname=HostAnomalous', 'instance=~\"web-.+\"', severity!=page],"
    ));
    assert!(!wants("matchers: ['alertname=HostAnomalous', 'instance!~\"web-.+\"'],"));
    assert!(!wants("matchers: [severity=page],"));
}

#[test]
fn a_secret_that_is_none_is_refused_and_not_repeated() {
    let all = |yaml: &str| {
        let config: NotifyConfig = serde_yaml::from_str(yaml).expect("a section");
        Target::all(&config).expect_err("nobody can be told").to_string()
    };
    let error = all(
        "receivers: [{name: a, webhook_configs: [{url: 'http://h', secret: 'whsec_hunter2'}]}]",
    );
    assert!(error.contains("a/webhook[0]: secret begins with whsec_"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = all("receivers: [{name: a, slack_configs: [{api_url_file: /nowhere}]}]");
    assert!(error.contains("a/slack[0]: cannot use /nowhere"), "{error}");
}
