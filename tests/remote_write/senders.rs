//! Senders that are not Prometheus, as their requests look.

use std::time::Duration;

use portent::remote_write::RemoteWriteConfig;
use portent::series::StorageConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::message::{Sent, Version};
use super::{NOW_MS, Reply, Server, V1, head, judge};

/// With room for what a collector sends.
async fn roomy() -> Server {
    let config = RemoteWriteConfig::default();
    Server::with_rings(config, Duration::from_secs(30), StorageConfig::default(), 0).await
}

/// Turns a list so that each request and each series has its own order, as of a map in Go.
fn turned<T>(mut list: Vec<T>, by: usize) -> Vec<T> {
    let length = list.len();
    list.rotate_left(by % length);
    if by % 2 == 1 {
        list.swap(0, length - 1);
    }
    list
}

/// OpenTelemetry's collector: large batches of several samples a series, labels and series in the order of a map,
/// names that only UTF-8 allows, and series that say where the others come from.
#[tokio::test]
async fn a_collector_sends_ten_thousand_series_at_once() {
    const SERIES: usize = 10_000;
    let server = roomy().await;
    let instances: Vec<String> = (0..SERIES).map(|it| format!("host-{it}:4317")).collect();
    for request in 0..2 {
        let from = NOW_MS + request as i64 * 3_000;
        let samples: Vec<(i64, f64)> = (0..3).map(|it| (from + it * 1_000, it as f64)).collect();
        let mut all: Vec<Sent<'_>> = Vec::with_capacity(SERIES + 2);
        for (i, instance) in instances.iter().enumerate() {
            let labels = vec![
                ("__name__", "kept.http.server.duration"),
                ("instance", instance),
                ("job", "shop/checkout"),
                ("http.method", "GET"),
                ("server.address", ""),
            ];
            all.push(Sent::new(&turned(labels, i + request), &samples));
        }
        let target = vec![("job", "shop/checkout"), ("__name__", "target_info"), ("cloud", "x")];
        all.push(Sent::new(&turned(target, request), &samples[..1]));
        let scope = vec![("otel_scope_name", "x"), ("__name__", "kept_otel_scope_info")];
        all.push(Sent::new(&turned(scope, request), &samples[..1]));
        let body = Version::First.body(&turned(all, 4_321 * request));
        judge(&server.post(V1, &body).await, 204, "");
        // It tries again, as the answer may not have come in time.
        judge(&server.post(V1, &body).await, 204, "");
    }
    let stored = server.stored().await;
    assert_eq!(stored.len(), SERIES + 1, "each is one series, and `target_info` is not wanted");
    let times: Vec<i64> = (0..6).map(|it| NOW_MS + it * 1_000).collect();
    for (labels, samples) in stored.iter().filter(|it| it.0.contains("duration")) {
        let found: Vec<i64> = samples.iter().map(|it| it.timestamp_ms).collect();
        assert_eq!(found, times, "{labels}");
    }
}

/// Telegraf: the name comes last, labels are in no order, and there are no headers but those of HTTP.
#[tokio::test]
async fn telegraf_says_nothing_of_what_it_sends() {
    let server = Server::usual().await;
    let labels = [("host", "a"), ("cpu", "cpu0"), ("__name__", "kept_cpu_usage_idle")];
    let body = Version::First.body(&[Sent::new(&labels, &[(NOW_MS, 97.5)])]);
    let request = super::chunked_head("User-Agent: Telegraf\r\n");
    let length = format!("{:x}\r\n", body.len());
    let parts = [request.as_bytes(), length.as_bytes(), &body, b"\r\n0\r\n\r\n"];
    judge(&server.exchange(&parts).await, 204, "");
    let stored = server.stored().await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].0, r#"kept_cpu_usage_idle{cpu="cpu0", host="a"}"#);
    assert_eq!(stored[0].1[0].value, 97.5);
}

/// Sends a head that asks for leave, and gives what is said to it.
async fn asks(server: &Server, headers: &str, length: usize) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
    let head = head("POST", &format!("{headers}Expect: 100-continue\r\n"), length);
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.expect("an answer"));
    }
    (stream, String::from_utf8(said).expect("text"))
}

/// curl and Java's clients wait with a large body until they are told to go on.
#[tokio::test]
async fn a_sender_that_waits_for_leave_is_told_to_go_on() {
    let server = Server::usual().await;
    for version in super::message::BOTH {
        let body = version.body(&[Sent::up()]);
        let (mut stream, said) = asks(&server, version.headers(), body.len()).await;
        assert_eq!(said, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(&body).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        judge(&Reply::parse(&answer), 204, "");
    }
    // What will not be taken is refused without its body.
    let (_, said) = asks(&server, "Content-Type: yolo\r\n", 1_000).await;
    assert!(said.starts_with("HTTP/1.1 415 "), "{said}");
    let (_, said) = asks(&server, V1, 33 << 20).await;
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

/// A sender that keeps its connection goes on after a refusal.
#[tokio::test]
async fn a_kept_connection_outlives_a_refusal() {
    let server = Server::usual().await;
    let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
    let good = Version::First.body(&[Sent::up()]);
    for (body, status) in [(&b"up 1\n"[..], 400), (&good, 204), (b"", 400), (&good, 204)] {
        let head = head("POST", V1, body.len()).replace("Connection: close\r\n", "");
        stream.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            said.push(stream.read_u8().await.expect("an answer"));
        }
        let reply = Reply::parse(&said);
        assert_eq!(reply.status, status, "{reply:?}");
        let length = reply.header("content-length").map_or(0, |it| it.parse().expect("a number"));
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await.expect("the rest of the answer");
    }
}
