//! Fairness at the door: whoever is slow or has much takes nothing from the others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::support::{Portent, Series, encode, wait_until, write_request};
use hyper::StatusCode;
use portent::duration::Duration as Span;
use portent::http::{self, Peer, WebConfig};
use portent::response::text;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// Two peers, both of this machine.
const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How long what others bring about may take here.
const SOON: Duration = Duration::from_secs(20);

/// Below every time-out that someone might wait for who is not answered at once.
const AT_ONCE: Duration = Duration::from_secs(4);

async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0)).expect("an address of this machine");
    socket.connect(to).await.expect("it listens")
}

/// What is read until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    // A reset is an end as well.
    let _ = read.expect("an end in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The whole answer to a request on a connection of its own.
async fn exchange(from: Ipv4Addr, to: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(from, to).await;
    stream.write_all(request).await.expect("sent");
    rest(&mut stream).await
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

fn head(length: usize, more: &str) -> String {
    format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Content-Encoding: snappy\r\n{more}Content-Length: {length}\r\n\r\n"
    )
}

fn good() -> Vec<u8> {
    let series = Series::new(&[("__name__", "nobody_wants_it")], &[(1_700_000_000_000, 1.0)]);
    let body = encode(&write_request(&[series]));
    [head(body.len(), "Connection: close\r\n").as_bytes(), &body].concat()
}

/// A push whose body does not come to its end: what it is answered before that, if not with an invitation
/// to send its body.
async fn slow(from: Ipv4Addr, to: SocketAddr, length: usize) -> Result<TcpStream, String> {
    let mut stream = connect(from, to).await;
    let head = head(length, "Expect: 100-continue\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(SOON, stream.read(&mut answer)).await;
    let count = read.expect("an answer in time").unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    if answer.starts_with("HTTP/1.1 100") { Ok(stream) } else { Err(answer) }
}

/// So many of them, once those who asked before have given their places back.
async fn slow_ones(count: usize, to: SocketAddr, length: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    while open.len() < count {
        let stream = wait_until(SOON, "a place", async || slow(ONE, to, length).await).await;
        open.push(stream);
    }
    open
}

async fn portent(config: &str) -> (Portent, SocketAddr) {
    let portent = Portent::start(config, &[]).await;
    portent.ready().await;
    let address = portent.address().parse().expect("an address");
    (portent, address)
}

#[track_caller]
fn check_refused(answer: &str, key: &str) {
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let head = answer.to_lowercase();
    // They are all first attempts.
    let waits = ["retry-after: 1\r\n", "retry-after: 2\r\n"];
    assert!(waits.iter().any(|it| head.contains(it)), "{answer}");
    assert!(head.contains("connection: close\r\n"), "{answer}");
    assert!(answer.contains(&format!("({key}); try again")), "{answer}");
}

/// The value of one series on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
    line.and_then(|value| value.parse().ok())
}

#[tokio::test]
async fn slow_pushes_on_all_places_leave_the_program_answering() {
    let config = "web:\n  max_connections: 4\n  max_connections_per_peer: 4\n  \
                  min_body_bytes_per_second: 0B\n";
    let (_portent, address) = portent(config).await;
    let slow = slow_ones(4, address, 100_000).await;
    for path in ["/-/healthy", "/-/ready", "/metrics"] {
        let start = Instant::now();
        let answer = exchange(OTHER, address, &get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close\r\n"), "{path}: {answer}");
        assert!(start.elapsed() < AT_ONCE, "{path}: {:?}", start.elapsed());
    }
    let start = Instant::now();
    for request in [good(), get("/api/v1/query?query=1"), get("/")] {
        check_refused(&exchange(OTHER, address, &request).await, "web.max_connections");
    }
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    let page = exchange(OTHER, address, &get("/metrics")).await;
    let refused = value(&page, "portent_http_connections_refused_total{reason=\"full\"}");
    assert!(refused.is_some_and(|refused| refused >= 3.0), "{refused:?}");
    drop(slow);
    wait_until(SOON, "a place for a push", async || {
        let answer = exchange(ONE, address, &good()).await;
        if answer.starts_with("HTTP/1.1 204") { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn a_peer_with_its_share_of_connections_leaves_the_rest() {
    let config = "web:\n  max_connections: 4\n  min_body_bytes_per_second: 0B\n";
    let (_portent, address) = portent(config).await;
    let slow = slow_ones(2, address, 100_000).await;
    check_refused(&exchange(ONE, address, &good()).await, "web.max_connections_per_peer");
    let answer = exchange(ONE, address, &get("/-/healthy")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = exchange(OTHER, address, &good()).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let page = exchange(OTHER, address, &get("/metrics")).await;
    let refused = value(&page, "portent_http_connections_refused_total{reason=\"peer\"}");
    assert!(refused.is_some_and(|refused| refused >= 1.0), "{refused:?}");
    drop(slow);
    wait_until(SOON, "the share to come back", async || {
        let answer = exchange(ONE, address, &good()).await;
        if answer.starts_with("HTTP/1.1 204") { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn stalled_bodies_are_given_up_and_their_memory_comes_back() {
    let config = "remote_write:\n  max_body_bytes: 40KiB\n  max_decoded_bytes: 40KiB\n  \
                  max_in_flight_bytes: 160KiB\n";
    let (_portent, address) = portent(config).await;
    let mut stalled = slow_ones(2, address, 40_960).await;
    for stream in &mut stalled {
        stream.write_all(&[0; 40_950]).await.expect("sent");
    }
    // They must have arrived. A push meanwhile could take the last of the share from them.
    wait_until(SOON, "the share of memory to be used up", async || {
        let page = exchange(ONE, address, &get("/metrics")).await;
        let held = value(&page, "portent_remote_write_in_flight_bytes");
        if held == Some(2.0 * 40_950.0) { Ok(()) } else { Err(format!("{held:?}")) }
    })
    .await;
    let answer = exchange(ONE, address, &good()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let key = "(remote_write.max_in_flight_bytes_per_peer); try again";
    assert!(answer.contains(key), "{answer}");
    let answer = exchange(OTHER, address, &good()).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    // By default this is long before `web.body_timeout`.
    for stream in &mut stalled {
        let answer = rest(stream).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("(web.min_body_bytes_per_second); try again"), "{answer}");
        assert!(answer.to_lowercase().contains("connection: close\r\n"), "{answer}");
    }
    let answer = exchange(ONE, address, &good()).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let page = exchange(ONE, address, &get("/metrics")).await;
    assert_eq!(value(&page, "portent_remote_write_in_flight_bytes"), Some(0.0));
    let cut_off = "portent_http_connections_timed_out_total{reason=\"body\"}";
    assert_eq!(value(&page, cut_off), Some(2.0));
    let outcome = "portent_remote_write_requests_total{outcome=\"body_slow\"}";
    assert_eq!(value(&page, outcome), Some(2.0));
}

/// A server of this process: it answers with so many bytes, tells what holds each connection, and knows one
/// vital path.
async fn serve(config: WebConfig, bytes: usize) -> (SocketAddr, mpsc::Receiver<Arc<AtomicUsize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let (heard, connections) = mpsc::channel(16);
    tokio::spawn(async move {
        let handler = move |request: hyper::Request<http::RequestBody>| {
            let peer = request.extensions().get::<Peer>().expect("each request has one");
            let told = heard.try_send(peer.bytes_in_flight());
            Box::pin(async move {
                told.expect("few requests");
                text(StatusCode::OK, "x".repeat(bytes))
            })
        };
        let vital: http::Vital = Arc::new(|_, uri| uri.path() == "/vital");
        http::serve(listener, &config, handler, vital, std::future::pending()).await
    });
    (address, connections)
}

#[tokio::test]
async fn a_silent_connection_holds_the_reserve_for_a_moment() {
    let config = WebConfig {
        max_connections: 1,
        reserved_connections: 1,
        reserved_timeout: Span::from_ms(600),
        ..WebConfig::default()
    };
    let (address, _connections) = serve(config, 1).await;
    let mut served = connect(ONE, address).await;
    served.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut byte = [0];
    served.read_exact(&mut byte).await.expect("an answer");
    let mut silent = connect(ONE, address).await;
    // The reserve is full, so it waits until the silent one is cut off.
    let answer = exchange(OTHER, address, &get("/vital")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(rest(&mut silent).await, "");
    check_refused(&exchange(OTHER, address, &get("/")).await, "web.max_connections");
}

#[tokio::test]
async fn a_slow_reader_goes_on_and_one_that_does_not_read_is_cut_off() {
    const LENGTH: usize = 16 << 20;
    let config = WebConfig {
        answer_timeout: Span::from_ms(1_000),
        idle_timeout: Span::from_ms(1_000),
        ..WebConfig::default()
    };
    let (address, mut connections) = serve(config, LENGTH).await;
    let mut stalled = connect(OTHER, address).await;
    stalled.write_all(&get("/")).await.expect("sent");
    let held = connections.recv().await.expect("a request");
    let start = Instant::now();
    let mut steady = connect(ONE, address).await;
    steady.write_all(&get("/")).await.expect("sent");
    let (mut buffer, mut count) = (vec![0; 64 << 10], 0);
    loop {
        match steady.read(&mut buffer).await.expect("it is not cut off") {
            0 => break,
            more => count += more,
        }
        // Slower than both times allow for all of it, and often enough for either.
        if start.elapsed() < Duration::from_secs(4) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert!(count > LENGTH, "{count}");
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    wait_until(SOON, "the connection that does not read to be cut off", async || {
        let holders = Arc::strong_count(&held);
        if holders == 1 { Ok(()) } else { Err(format!("{holders} hold it")) }
    })
    .await;
    assert!(rest(&mut stalled).await.len() < LENGTH);
}
