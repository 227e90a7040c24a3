//! Remote-write as a sender meets it: raw requests to a real server, each with the status and
//! the sentence it gets, and after every one of them a good request that succeeds.
//!
//! A binary of its own, as it measures the memory of its own process.

#[path = "../support/mod.rs"]
mod support;

mod exemplars;
mod headers;
mod histograms;
mod labels;
mod limits;
mod message;
mod samples;
mod second;
mod senders;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use portent::bytesize::ByteSize;
use portent::http::{self, WebConfig};
use portent::matcher::{MatchOp, Matcher, Selector};
use portent::remote_write::{Permit, Receiver, ReceiverBudget, RemoteWriteConfig, Unavailable};
use portent::sample::{Batch, Sample};
use portent::series::{Outcome, StorageConfig, Store};
use prost::Message;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use support::{Series, encode, write_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// The clock of the rings: samples of these tests are near it.
const NOW_MS: i64 = 1_700_000_000_000;

type Append = (Batch, oneshot::Sender<Outcome>);

/// A receiver behind a real server, with rings that keep `up` and what begins with `kept` behind it.
struct Server {
    address: std::net::SocketAddr,
    reads: mpsc::Sender<oneshot::Sender<Batch>>,
}

impl Server {
    async fn start(config: RemoteWriteConfig, body_timeout: Duration) -> Self {
        let storage = StorageConfig { max_series: 10, ..StorageConfig::default() };
        Self::with_rings(config, body_timeout, storage, 0).await
    }

    /// With a clock of the rings that goes on by so much with each batch.
    async fn with_rings(
        config: RemoteWriteConfig,
        body_timeout: Duration,
        storage: StorageConfig,
        step_ms: i64,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (appends, mut queue) = mpsc::channel::<Append>(4);
        let mut store = Store::new(storage);
        let name = Matcher::new("__name__", MatchOp::Regex, "up|kept.*").expect("a matcher");
        store.register(&Selector::new(vec![name]), 60_000);
        let demand = Arc::new(store.demand());
        let (reads, mut questions) = mpsc::channel::<oneshot::Sender<Batch>>(1);
        tokio::spawn(async move {
            let mut now_ms = NOW_MS;
            loop {
                tokio::select! {
                    Some((batch, reply)) = queue.recv() => {
                        let _ = reply.send(store.append(now_ms, &batch));
                        now_ms += step_ms;
                    }
                    Some(reply) = questions.recv() => {
                        let _ = reply.send(store.page(0, usize::MAX).0);
                    }
                    else => break,
                }
            }
        });
        let receiver = Arc::new(
            Receiver::new(config, body_timeout, ReceiverBudget::default()).for_demand(demand),
        );
        let handler = move |request| {
            let (receiver, appends) = (Arc::clone(&receiver), appends.clone());
            Box::pin(async move {
                let append = async |batch: Batch, _permit: Permit| {
                    let (reply, outcome) = oneshot::channel();
                    let sent = appends.try_send((batch, reply));
                    sent.map_err(|_| Unavailable::Overloaded)?;
                    outcome.await.map_err(|_| Unavailable::ShuttingDown)
                };
                receiver.receive(request, append).await.0
            })
        };
        tokio::spawn(async move {
            let (config, vital): (_, http::Vital) = (WebConfig::default(), Arc::new(|_, _| false));
            http::serve(listener, &config, handler, vital, std::future::pending()).await
        });
        Self { address, reads }
    }

    /// What the rings hold: label sets as text, in their order, and their samples.
    async fn stored(&self) -> Vec<(String, Vec<Sample>)> {
        let (reply, batch) = oneshot::channel();
        self.reads.send(reply).await.expect("the rings are there");
        let series = batch.await.expect("the rings answer").series;
        let mut all: Vec<_> =
            series.into_iter().map(|it| (it.labels.to_string(), it.samples)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    async fn usual() -> Self {
        Self::configured(RemoteWriteConfig::default()).await
    }

    /// With more time for a body than any test takes.
    async fn configured(config: RemoteWriteConfig) -> Self {
        Self::start(config, Duration::from_secs(10)).await
    }

    /// With so many bytes for what is being received at once.
    async fn with_budget(bytes: u64) -> Self {
        let max_in_flight_bytes = ByteSize::from_bytes(bytes);
        Self::configured(RemoteWriteConfig { max_in_flight_bytes, ..Default::default() }).await
    }

    /// Sends parts one after the other, reads the answer to its end. A server may refuse before it
    /// has read everything.
    async fn exchange(&self, parts: &[&[u8]]) -> Reply {
        let stream = TcpStream::connect(self.address).await.expect("the server listens");
        let (mut reader, mut writer) = stream.into_split();
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
        let write = tokio::spawn(async move {
            for part in parts {
                if writer.write_all(&part).await.is_err() {
                    break;
                }
            }
            writer
        });
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).await.expect("an answer that is not cut off");
        write.abort();
        Reply::parse(&answer)
    }

    async fn post(&self, headers: &str, body: &[u8]) -> Reply {
        let head = head("POST", headers, body.len());
        self.exchange(&[head.as_bytes(), body]).await
    }
}

fn head(method: &str, headers: &str, length: usize) -> String {
    head_of(method, headers, &format!("Content-Length: {length}"))
}

/// Of a body that does not say its length.
fn chunked_head(headers: &str) -> String {
    head_of("POST", headers, "Transfer-Encoding: chunked")
}

fn head_of(method: &str, headers: &str, last: &str) -> String {
    let to = "/api/v1/write HTTP/1.1\r\nHost: x\r\nConnection: close";
    format!("{method} {to}\r\n{headers}{last}\r\n\r\n")
}

#[derive(Debug, PartialEq)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    /// The last answer, so that `100 Continue` is passed over.
    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("answers are text");
        let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(text);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.and_then(|s| s.parse().ok()).expect("a status line"),
            headers: headers.map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect(),
            body: body.to_owned(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

const V1: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";

fn good_body() -> Vec<u8> {
    body(&[Series::new(&[("__name__", "up"), ("job", "a")], &[(NOW_MS, 1.0)])])
}

fn body(series: &[Series]) -> Vec<u8> {
    encode(&write_request(series))
}

fn up(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
    let mut all = vec![("__name__", "up")];
    all.extend_from_slice(labels);
    Series::new(&all, samples)
}

/// The request gets this answer, and the next good one is a success.
#[track_caller]
fn judge(reply: &Reply, status: u16, sentence: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    if status == 204 {
        assert_eq!(reply.body, "", "{reply:?}");
    } else {
        assert_eq!(reply.body.trim_end(), sentence);
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(reply.header("retry-after").is_some(), status == 503, "{reply:?}");
}

async fn check(server: &Server, headers: &str, body: &[u8], status: u16, sentence: &str) {
    judge(&server.post(headers, body).await, status, sentence);
    judge(&server.post(V1, &good_body()).await, 204, "");
}

#[tokio::test]
async fn headers_decide_before_the_body() {
    let server = Server::usual().await;
    let good = good_body();
    check(&server, "", &good, 204, "").await;
    check(
        &server,
        "Content-Type: application/x-protobuf;proto=prometheus.WriteRequest\r\n",
        &good,
        204,
        "",
    )
    .await;
    let advice = "send application/x-protobuf with proto=prometheus.WriteRequest or \
                  proto=io.prometheus.write.v2.Request";
    let refused = format!("content type \"text/plain\" is not accepted; {advice}");
    check(&server, "Content-Type: text/plain\r\n", b"\xff", 415, &refused).await;
    check(
        &server,
        "Content-Encoding: gzip\r\n",
        &good,
        415,
        "content encoding \"gzip\" is not accepted; send snappy (block format)",
    )
    .await;
}

const VMAGENT: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: zstd\r\n\
                       X-VictoriaMetrics-Remote-Write-Version: 1\r\nUser-Agent: vmagent\r\n";

fn zstd(series: &[Series]) -> Vec<u8> {
    zstd_frame(&write_request(series).encode_to_vec())
}

fn zstd_frame(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

#[tokio::test]
async fn vmagent_sends_zstd_whatever_it_calls_it() {
    let server = Server::usual().await;
    let series = [up(&[("job", "vmagent")], &[(NOW_MS, 1.0)])];
    for headers in
        [VMAGENT, V1, "Content-Encoding: zstd\r\n", "Content-Type: application/x-protobuf\r\n", ""]
    {
        check(&server, headers, &zstd(&series), 204, "").await;
    }
    // And the other way round.
    check(&server, VMAGENT, &body(&series), 204, "").await;
    check(&server, VMAGENT, &zstd(&[]), 204, "").await;
    check(
        &server,
        "Content-Encoding: gzip\r\n",
        &zstd(&series),
        415,
        "content encoding \"gzip\" is not accepted; send snappy (block format)",
    )
    .await;
    // It was stored: another value for its time is refused.
    let other = server.post(VMAGENT, &zstd(&[up(&[("job", "vmagent")], &[(NOW_MS, 2.0)])])).await;
    assert_eq!(other.status, 400);
    assert!(other.body.contains("1 with another value than before"), "{other:?}");
}

#[tokio::test]
async fn zstd_that_is_none_is_refused() {
    let server = Server::usual().await;
    let good = zstd(&[up(&[("job", "vmagent")], &[(NOW_MS, 1.0)])]);
    let trailing = [&good[..], b"up 1"].concat();
    let wide: &[u8] = b"\x28\xb5\x2f\xfd\x00\xa8\x09\x00\x00x";
    for (what, body) in [
        ("truncated", &good[..good.len() - 1]),
        ("trailing", &trailing[..]),
        ("wide", wide),
        ("magic", &good[..4]),
    ] {
        let reply = server.post(VMAGENT, body).await;
        assert_eq!(reply.status, 400, "{what}: {reply:?}");
        assert!(reply.body.starts_with("the body is not zstd: "), "{what}: {reply:?}");
        judge(&server.post(VMAGENT, &good).await, 204, "");
    }
    let sentence = "the body is not a protobuf message: it ends inside a field";
    check(&server, VMAGENT, &zstd_frame(b"\x0a\x7fhello"), 400, sentence).await;
}

#[tokio::test]
async fn new_series_beyond_those_of_a_second_come_again() {
    let storage = StorageConfig { max_new_series_per_second: 2, ..StorageConfig::default() };
    // Each batch a second later than the one before.
    let server =
        Server::with_rings(RemoteWriteConfig::default(), Duration::from_secs(10), storage, 1_000)
            .await;
    let names = ["a", "b", "c", "d", "e"];
    let all: Vec<Series> = names.iter().map(|n| up(&[("n", n)], &[(NOW_MS, 1.0)])).collect();
    let nameless = Series::new(&[("job", "x")], &[(NOW_MS, 1.0)]);
    let with_bad = body(&[&all[..], &[nameless]].concat());
    for left in [3, 1] {
        let reply = server.post(V1, &with_bad).await;
        let told = format!(
            "{} of 6 samples were not taken in: {left} of new series beyond those of a second, to come again, \
             1 of invalid series; ",
            left + 1
        );
        assert!(reply.body.starts_with(&told), "{reply:?}");
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
    // All good ones are there then, and the bad one is refused for good.
    let reply = server.post(V1, &with_bad).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert!(
        reply.body.starts_with("1 of 6 samples were not taken in: 1 of invalid series"),
        "{reply:?}"
    );
    judge(&server.post(V1, &body(&all)).await, 204, "");
}

/// As behind a proxy that adds what the sender has said already.
#[tokio::test]
async fn headers_that_are_there_twice_are_one_if_they_say_the_same() {
    let server = Server::usual().await;
    let good = good_body();
    check(&server, &V1.repeat(2), &good, 204, "").await;
    check(
        &server,
        &format!("{V1}Content-Encoding: gzip\r\n"),
        &good,
        415,
        "content encoding \"snappy, gzip\" is not accepted; send snappy (block format)",
    )
    .await;
}

#[tokio::test]
async fn other_methods_are_told_which_one_to_use() {
    let server = Server::usual().await;
    for method in ["GET", "PUT", "DELETE"] {
        let reply = server.exchange(&[head(method, V1, 0).as_bytes()]).await;
        judge(&reply, 405, "remote-write requests must use POST");
        assert_eq!(reply.header("allow"), Some("POST"));
    }
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused() {
    let server = Server::usual().await;
    let good = good_body();
    check(&server, V1, b"", 400, "the body is empty").await;
    let snappy = "the body is not snappy (block format): ";
    for (what, body) in [
        ("truncated", &good[..good.len() - 4]),
        ("framed", b"\xff\x06\x00\x00sNaPpY"),
        ("text", b"up 1\n"),
    ] {
        let reply = server.post(V1, body).await;
        assert_eq!(reply.status, 400, "{what}: {reply:?}");
        assert!(reply.body.starts_with(snappy), "{what}: {reply:?}");
    }
    let mut corrupt = good.clone();
    let last = corrupt.len() - 1;
    corrupt[1..last].fill(0xfe);
    assert_eq!(server.post(V1, &corrupt).await.status, 400);
    let not_protobuf = snap::raw::Encoder::new().compress_vec(b"\x0a\x7fhello").expect("small");
    let sentence = "the body is not a protobuf message: it ends inside a field";
    check(&server, V1, &not_protobuf, 400, sentence).await;
}

#[tokio::test]
async fn bad_series_are_refused_and_the_others_stored() {
    let server = Server::usual().await;
    let ok = up(&[("job", "ok")], &[(NOW_MS, 1.0)]);
    let nameless = Series::new(&[("job", "x")], &[(NOW_MS, 1.0), (NOW_MS + 1, 1.0)]);
    check(
        &server,
        V1,
        &body(&[nameless, ok.clone()]),
        400,
        "2 of 3 samples were not taken in: 2 of invalid series; 1 series are invalid; for example: \
         a series has no metric name: {job=\"x\"}",
    )
    .await;
    check(
        &server,
        V1,
        &body(&[up(&[("a", "1"), ("a", "2")], &[(NOW_MS, 1.0)])]),
        400,
        "1 of 1 samples were not taken in: 1 of invalid series; 1 series are invalid; for example: \
         a series of \"up\": label name \"a\" occurs more than once",
    )
    .await;
    // It was stored the first time: the same value is a success, another one a conflict.
    check(&server, V1, &body(&[ok]), 204, "").await;
    check(
        &server,
        V1,
        &body(&[up(&[("job", "ok")], &[(NOW_MS, 2.0)])]),
        400,
        &format!(
            "1 of 1 samples were not taken in: 1 with another value than before; for example: the \
             sample of up{{job=\"ok\"}} at {NOW_MS} ms has another value than the sample already there"
        ),
    )
    .await;
}

#[tokio::test]
async fn what_the_rings_refuse_is_counted_in_the_answer() {
    let server = Server::usual().await;
    let old = up(&[("job", "a")], &[(NOW_MS, 1.0), (NOW_MS - 3_600_000, 1.0)]);
    let reply = server.post(V1, &body(&[old])).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.starts_with("1 of 2 samples were not taken in: 1 too old; "), "{reply:?}");
    let new = up(&[("job", "a")], &[(NOW_MS + 3_600_000, 1.0)]);
    let reply = server.post(V1, &body(&[new])).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("1 too far in the future"), "{reply:?}");
    let how_far = "is 1h ahead of this machine's clock, more than storage.max_future (10m) allows";
    assert!(reply.body.contains(how_far), "{reply:?}");
    let names: Vec<String> = (0..12).map(|i| i.to_string()).collect();
    let many: Vec<Series> = names.iter().map(|n| up(&[("n", n)], &[(NOW_MS, 1.0)])).collect();
    let reply = server.post(V1, &body(&many)).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("3 beyond a limit"), "{reply:?}");
}

#[tokio::test]
async fn what_nobody_wants_is_a_success() {
    let server = Server::usual().await;
    let unwanted = Series::new(&[("__name__", "other")], &[(NOW_MS, 1.0)]);
    check(&server, V1, &body(&[unwanted]), 204, "").await;
    check(&server, V1, &body(&[]), 204, "").await;
}

/// Such as `kube_pod_labels` of a pod with eighty labels: nothing is lost by passing them over.
#[tokio::test]
async fn what_nobody_wants_may_break_limits() {
    let server = Server::usual().await;
    let names: Vec<String> = (0..80).map(|i| format!("label_{i}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let long = "y".repeat(5_000);
    let ok = up(&[("job", "ok")], &[(NOW_MS, 1.0)]);
    let pods = [&[("__name__", "kube_pod_labels")], &many[..]].concat();
    let pods = Series::new(&pods, &[(NOW_MS, 1.0)]);
    let info = Series::new(&[("__name__", "x_info"), ("cmdline", &long)], &[(NOW_MS, 1.0)]);
    check(&server, V1, &body(&[pods, ok.clone(), info]), 204, "").await;
    for (wanted, reason) in [
        (up(&many, &[(NOW_MS, 1.0)]), "a series has 81 labels, more than 64".to_owned()),
        (
            up(&[("cmdline", &long)], &[(NOW_MS, 1.0)]),
            "a series of \"up\" has a value of 5000 bytes, more than 4KiB, in label \"cmdline\""
                .to_owned(),
        ),
    ] {
        let said = format!(
            "1 of 2 samples were not taken in: 1 of invalid series; 1 series are invalid; for \
             example: {reason}"
        );
        check(&server, V1, &body(&[wanted, ok.clone()]), 400, &said).await;
    }
}

#[tokio::test]
async fn a_pair_of_replicas_is_heard_as_one() {
    let server = Server::usual().await;
    // The rings keep ten series: what both send takes one place each.
    let names: Vec<String> = (0..8).map(|i| i.to_string()).collect();
    for (replica, shift) in [("prometheus-k8s-0", 0), ("prometheus-k8s-1", 1_000)] {
        let of = |n: &String| {
            up(&[("n", n), ("prometheus_replica", replica)], &[(NOW_MS + shift, shift as f64)])
        };
        let series: Vec<Series> = names.iter().map(of).collect();
        check(&server, V1, &body(&series), 204, "").await;
        // The same time with another value is an error of the replica that is heard alone.
        let other = up(&[("n", "0"), ("prometheus_replica", replica)], &[(NOW_MS, 7.0)]);
        let reply = server.post(V1, &body(&[other])).await;
        assert_eq!(reply.status, if shift == 0 { 400 } else { 204 }, "{reply:?}");
        assert!(!reply.body.contains("replica"), "{reply:?}");
    }
}

#[tokio::test]
async fn chunked_bodies_and_expectations_are_understood() {
    let server = Server::usual().await;
    let good = good_body();
    let (first, second) = good.split_at(good.len() / 2);
    let head = chunked_head(V1);
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let reply =
        server.exchange(&[head.as_bytes(), &chunk(first), &chunk(second), b"0\r\n\r\n"]).await;
    judge(&reply, 204, "");
    let expecting = format!("{V1}Expect: 100-continue\r\n");
    judge(&server.post(&expecting, &good).await, 204, "");
}

/// Kilobytes of this process, which is server and client in one.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find(|line| line.starts_with(key)).expect("the key is there");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[tokio::test]
async fn bodies_that_are_too_large_cost_no_memory() {
    let server = Server::usual().await;
    judge(&server.post(V1, &good_body()).await, 204, "");
    let before = memory("VmHWM");

    // Bombs: a few bytes that claim gigabytes, and claims that could just be allowed.
    let declared = "the body decompresses to 2704094487 bytes, more than 32MiB \
                    (remote_write.max_decoded_bytes)";
    for _ in 0..50 {
        check(&server, V1, b"\x97\xea\xb4\x89\x0a\x17\x0a\x08", 413, declared).await;
        let lie = "the body is not snappy (block format): 6 bytes cannot decompress to 33554432";
        check(&server, V1, b"\x80\x80\x80\x10\x00\x00", 400, lie).await;
    }

    // A zstd bomb: a million blocks of four bytes, each 128 KiB of zeros, in the widest window.
    let mut bomb = b"\x28\xb5\x2f\xfd\x00\x68".to_vec();
    bomb.extend(b"\x02\x00\x10\x00".repeat(1_000_000));
    let beyond = "the body decompresses to more than 32MiB (remote_write.max_decoded_bytes)";
    check(&server, VMAGENT, &bomb, 413, beyond).await;

    // 33 MiB: refused by its length, and refused on the way when it does not say its length.
    let too_large = "the body is larger than 32MiB (remote_write.max_body_bytes)";
    let mebibyte = vec![0; 1 << 20];
    let head = head("POST", V1, 33 << 20);
    let mut parts: Vec<&[u8]> = vec![head.as_bytes()];
    parts.extend(std::iter::repeat_n(&mebibyte[..], 33));
    judge(&server.exchange(&parts).await, 413, too_large);
    let head = chunked_head(V1);
    let chunk = [b"100000\r\n", &mebibyte[..], b"\r\n"].concat();
    let mut parts: Vec<&[u8]> = vec![head.as_bytes()];
    parts.extend(std::iter::repeat_n(&chunk[..], 33));
    judge(&server.exchange(&parts).await, 413, too_large);
    check(&server, V1, &good_body(), 204, "").await;

    // Sixteen million empty series in two megabytes of snappy.
    let empty =
        snap::raw::Encoder::new().compress_vec(&b"\x0a\x00".repeat(16 << 20)).expect("small");
    let many = "the request has more than 100000 series (remote_write.max_series_per_request)";
    check(&server, V1, &empty, 413, many).await;

    // The client's copies of 33 MiB, the 32 MiB that were read in a buffer that doubles, the 32 MiB
    // that two megabytes decompressed to; nothing by what a sender only claimed.
    let grown = memory("VmHWM") - before;
    assert!(grown < 220 << 10, "the peak grew by {grown} kB");
}

#[tokio::test]
async fn requests_in_flight_share_one_budget() {
    let server = Server::with_budget(1000).await;
    let good = good_body();
    judge(&server.post(V1, &good).await, 204, "");
    let mut slow = TcpStream::connect(server.address).await.expect("the server listens");
    slow.write_all(head("POST", V1, 990).as_bytes()).await.expect("sent");
    slow.write_all(&[0; 980]).await.expect("sent");
    let full = "too much is being received at once (remote_write.max_in_flight_bytes); try again";
    // The slow one's bytes must have arrived.
    let mut reply = server.post(V1, &good).await;
    for _ in 0..100 {
        if reply.status == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        reply = server.post(V1, &good).await;
    }
    judge(&reply, 503, full);
    drop(slow);
    for _ in 0..100 {
        if server.post(V1, &good).await.status == 204 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the budget of a request that is gone did not come back");
}

/// What a head claims takes nothing of the budget, but what could not fit is refused before it is sent.
#[tokio::test]
async fn a_claim_that_is_beyond_the_budget_is_answered_before_its_body() {
    let server = Server::with_budget(1000).await;
    let mut claims = TcpStream::connect(server.address).await.expect("the server listens");
    claims.write_all(head("POST", V1, 1001).as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    claims.read_to_end(&mut answer).await.expect("an answer");
    let full = "too much is being received at once (remote_write.max_in_flight_bytes); try again";
    judge(&Reply::parse(&answer), 503, full);
    let mut waits = TcpStream::connect(server.address).await.expect("the server listens");
    waits.write_all(head("POST", V1, 1000).as_bytes()).await.expect("sent");
    judge(&server.post(V1, &good_body()).await, 204, "");
}

/// Sends all of it and closes its side before the answer is there.
async fn half_closed(server: &Server, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
    stream.write_all(request).await.expect("sent");
    stream.shutdown().await.expect("a side to close");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer that is not cut off");
    Reply::parse(&answer)
}

/// As `nc -N` and some proxies do; a kept connection makes no difference.
#[tokio::test]
async fn a_sender_that_closes_its_side_is_answered_every_time() {
    let server = Server::usual().await;
    let good = good_body();
    let kept = head("POST", V1, good.len()).replace("Connection: close\r\n", "");
    let chunked = chunked_head(V1).replace("Connection: close\r\n", "");
    let length = format!("{:x}\r\n", good.len());
    for _ in 0..50 {
        judge(&half_closed(&server, &[kept.as_bytes(), &good].concat()).await, 204, "");
        let parts = [chunked.as_bytes(), length.as_bytes(), &good, b"\r\n0\r\n\r\n"];
        judge(&half_closed(&server, &parts.concat()).await, 204, "");
    }
    let reply = half_closed(&server, &[kept.as_bytes(), &good[1..]].concat()).await;
    assert_eq!(reply.status, 503, "a body that breaks off may come whole another time: {reply:?}");
    let unread = kept.replace("snappy", "gzip");
    assert_eq!(half_closed(&server, &[unread.as_bytes(), &good].concat()).await.status, 415);
    // Two requests at once, as one piece.
    let twice = [kept.as_bytes(), &good, kept.as_bytes(), &good].concat();
    let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
    stream.write_all(&twice).await.expect("sent");
    stream.shutdown().await.expect("a side to close");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("answers");
    assert_eq!(answers.matches("HTTP/1.1 204").count(), 2, "{answers}");
}

#[tokio::test]
async fn heads_are_limited_and_what_is_wrong_with_one_is_said() {
    let server = Server::usual().await;
    let good = good_body();
    let headers = |count: usize| (0..count).map(|i| format!("x-{i}: v\r\n")).collect::<String>();
    check(&server, &format!("{V1}{}", headers(500)), &good, 204, "").await;
    let too_large = "the head of the request has more than 65536 bytes or 512 headers";
    check(&server, &format!("{V1}{}", headers(513)), &good, 431, too_large).await;
    check(&server, &format!("x: {}\r\n", "x".repeat(70_000)), &good, 431, too_large).await;
    let cannot = "the head of the request cannot be read: ";
    for (request, reason) in [
        ("GET / HTTP/9.9\r\n\r\n", "invalid HTTP version parsed"),
        ("G\"T / HTTP/1.1\r\n\r\n", "invalid HTTP method parsed"),
        ("GET /a b HTTP/1.1\r\n\r\n", "invalid HTTP version parsed"),
        ("GET / HTTP/1.1\r\na b: c\r\n\r\n", "invalid HTTP header parsed"),
        ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "invalid content-length parsed"),
    ] {
        let reply = server.exchange(&[request.as_bytes()]).await;
        judge(&reply, 400, &format!("{cannot}{reason}"));
    }
    judge(&server.post(V1, &good).await, 204, "");
}

#[tokio::test]
async fn a_slow_body_is_told_to_come_again() {
    let server = Server::start(RemoteWriteConfig::default(), Duration::from_millis(200)).await;
    // The first attempt, and one of many: it has waited longer, and waits longer again.
    for (attempt, waits) in [("", 1..=2), ("Retry-Attempt: 9\r\n", 3..=8)] {
        let head = head("POST", &format!("{V1}{attempt}"), 100);
        let reply = server.exchange(&[head.as_bytes(), b"slow"]).await;
        judge(&reply, 503, "the body did not arrive in time");
        let seconds = reply.header("retry-after").and_then(|it| it.parse::<u32>().ok());
        assert!(seconds.is_some_and(|it| waits.contains(&it)), "{reply:?}");
    }
    judge(&server.post(V1, &good_body()).await, 204, "");
}
