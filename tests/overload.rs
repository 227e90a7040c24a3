//! Overload: ticks that take longer than their interval, readers that do not read, and a reload meanwhile.
//! What is asked for is answered or refused, and memory stays within its budgets.
//!
//! A binary of its own, as it loads the machine on purpose: other tests would be late beside it.

mod support;

use std::io::ErrorKind::WouldBlock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use support::{
    Portent, RemoteWriter, Series, encode, get, post, wait_until, write_request,
    write_sum_of_squares,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long anything may take on a machine that has other work.
const SOON: Duration = Duration::from_secs(60);

fn models(file: &str, interval: &str) -> String {
    format!(
        "global:\n  evaluation_interval: {interval}\n  evaluation_delay: 0s\n  stale_after: 5m\nmodels:\n- name: square\n  file: {file}\n  \
         entity: [instance]\n  step: {interval}\n  threshold: 1\n  features:\n  - name: a\n    \
         expr: avg by (instance) (m_a)\n"
    )
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the far future")
}

/// One sample of each of so many series of so many hosts, whose names are long, so that answers are.
async fn push(portent: &Portent, count: usize, hosts: usize) {
    let at = now_ms();
    let one = |i: usize| {
        let (host, part) =
            (format!("{:06}{}", i % hosts, "h".repeat(300)), (i / hosts).to_string());
        let labels = [("__name__", "m_a"), ("instance", host.as_str()), ("part", part.as_str())];
        Series::new(&labels, &[(at, 0.5)])
    };
    let series: Vec<Series> = (0..count).map(one).collect();
    for part in series.chunks(5_000) {
        let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(part).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }
}

/// Sum of the samples of a metric on the page whose labels contain this.
fn sum(page: &str, name: &str, labels: &str) -> f64 {
    let of_it = page.lines().filter(|line| line.starts_with(name) && line.contains(labels));
    of_it.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn page(portent: &Portent) -> String {
    portent.get("/metrics").await.expect("a page").body
}

/// Resident memory of a process, in MiB.
fn memory_mib(portent: &Portent) -> u64 {
    status_mib(portent, "VmRSS:")
}

/// The most that it ever was.
fn peak_mib(portent: &Portent) -> u64 {
    status_mib(portent, "VmHWM:")
}

fn status_mib(portent: &Portent, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", portent.server.id()));
    let status = status.expect("Linux has /proc");
    let line = status.lines().find(|line| line.starts_with(key)).expect("the key is there");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number") >> 10
}

/// A connection that asks and does not read the answer.
async fn ask(portent: &Portent, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(portent.address()).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

#[tokio::test]
async fn ticks_that_do_not_keep_up_leave_room_for_everything_else() {
    let dir = TempDir::new().expect("a temporary folder");
    let config = models(&write_sum_of_squares(&dir, 1), "1ms");
    let portent = Portent::start(&config, &["--web.enable-lifecycle"]).await;
    portent.ready().await;
    push(&portent, 20_000, 200).await;
    let missed = |page: &str| sum(page, "portent_detect_ticks_missed_total", "");
    wait_until(SOON, "ticks are left out", async || {
        let page = page(&portent).await;
        if missed(&page) > 100.0 { Ok(()) } else { Err(format!("{} so far", missed(&page))) }
    })
    .await;
    for round in 0..5 {
        push(&portent, 5_000, 200).await;
        let asked = get(&portent.url("/api/v1/query?query=count(m_a)")).await.expect("an answer");
        assert!(asked.status == 200 && asked.body.contains("\"20000\""), "{round}: {asked:?}");
        let reloaded = post(&portent.url("/-/reload")).await.expect("an answer");
        assert_eq!(reloaded.status, 200, "{round}: {reloaded:?}");
    }
    let page = page(&portent).await;
    assert!(sum(&page, "portent_detect_scores_total", "") > 0.0, "ticks go on: {page}");
    let log = portent.server.log();
    assert_eq!(log.matches("ticks are left out").count(), 1, "said once: {log}");
    assert!(log.contains("raise global.evaluation_interval"), "with what to do: {log}");
}

#[tokio::test]
async fn answers_that_nobody_reads_are_within_their_budget() {
    let config =
        "storage:\n  keep: [m_a]\nquery:\n  max_in_flight_bytes: 32MiB\n  max_concurrency: 2\n";
    let portent = Portent::start(config, &["--web.enable-lifecycle"]).await;
    portent.ready().await;
    push(&portent, 20_000, 20_000).await;
    // 8 MB each.
    let query = "/api/v1/query?query=m_a";
    let before = memory_mib(&portent);
    let mut asked = Vec::new();
    for _ in 0..40 {
        asked.push(ask(&portent, query).await);
    }
    let refused = "portent_api_queries_refused_total";
    let reason = "reason=\"max_in_flight_bytes\"";
    wait_until(SOON, "answers are refused, and all are worked on", async || {
        let page = page(&portent).await;
        let done = sum(&page, "portent_api_requests_total", "endpoint=\"query\"");
        if done >= 40.0 && sum(&page, refused, reason) > 0.0 { Ok(()) } else { Err(page) }
    })
    .await;
    let held = sum(&page(&portent).await, "portent_api_in_flight_bytes", "");
    assert!(held > 16e6 && held <= f64::from(32 << 20), "{held} bytes are held");
    // Beside the answers there are two queries at work, with copies of what they read.
    let grown = memory_mib(&portent).saturating_sub(before);
    assert!(grown < 32 + 160, "memory has grown by {grown} MiB");
    // What is short is answered all the same, and after a reload as well.
    let short = portent.get("/api/v1/query?query=count(m_a)").await.expect("an answer");
    assert_eq!(short.status, 200, "{short:?}");
    assert_eq!(post(&portent.url("/-/reload")).await.expect("an answer").status, 200);
    let long = portent.get(query).await.expect("an answer");
    assert!(
        long.status == 503 && long.body.contains("query.max_in_flight_bytes"),
        "{}",
        long.status
    );
    drop(asked);
    wait_until(SOON, "who is gone holds nothing", async || {
        let reply = portent.get(query).await?;
        if reply.status == 200 { Ok(()) } else { Err(reply.body) }
    })
    .await;
}

#[tokio::test]
async fn who_reads_a_page_shares_it() {
    let dir = TempDir::new().expect("a temporary folder");
    let config = models(&write_sum_of_squares(&dir, 1), "1s");
    let portent = Portent::start(&config, &[]).await;
    portent.ready().await;
    push(&portent, 10_000, 10_000).await;
    wait_until(SOON, "all are scored", async || {
        let page = page(&portent).await;
        let scores = page.lines().filter(|it| it.starts_with("anomaly_score{")).count();
        if scores == 10_000 { Ok(()) } else { Err(format!("{scores} scores")) }
    })
    .await;
    let length = page(&portent).await.len() as u64 >> 20;
    assert!(length >= 10, "a page of {length} MiB");
    let before = memory_mib(&portent);
    let mut asked = Vec::new();
    for _ in 0..60 {
        asked.push(ask(&portent, "/metrics").await);
    }
    wait_until(SOON, "all were answered", async || {
        let scrapes = sum(&page(&portent).await, "portent_exporter_scrapes_total", "");
        if scrapes >= 60.0 { Ok(()) } else { Err(format!("{scrapes}")) }
    })
    .await;
    let grown = memory_mib(&portent).saturating_sub(before);
    assert!(grown < 30 * length, "60 readers of {length} MiB take {grown} MiB");
}

/// What a request holds counts for the next one, also when there was a reload in between.
#[tokio::test]
async fn what_is_in_flight_counts_over_a_reload() {
    let config = "remote_write:\n  max_body_bytes: 4KiB\n  max_decoded_bytes: 4KiB\n  \
                  max_in_flight_bytes: 8KiB\n";
    let portent = Portent::start(config, &["--web.enable-lifecycle"]).await;
    portent.ready().await;
    let mut slow = TcpStream::connect(portent.address()).await.expect("it listens");
    let head = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
                Content-Encoding: snappy\r\nContent-Length: 2000\r\n\r\n";
    slow.write_all(&[head.as_bytes(), &[0; 400]].concat()).await.expect("sent");
    let held = async || sum(&page(&portent).await, "portent_remote_write_in_flight_bytes", "");
    wait_until(SOON, "the bytes are there", async || {
        let bytes = held().await;
        if bytes == 400.0 { Ok(()) } else { Err(format!("{bytes}")) }
    })
    .await;
    assert_eq!(post(&portent.url("/-/reload")).await.expect("an answer").status, 200);
    assert_eq!(held().await, 400.0);
    drop(slow);
    wait_until(SOON, "they come back", async || {
        let bytes = held().await;
        if bytes == 0.0 { Ok(()) } else { Err(format!("{bytes}")) }
    })
    .await;
}

/// Three times as much as there is room for, and rings that grow: what is beyond the budget is refused or makes way,
/// and the process takes hardly more memory than what is counted.
#[tokio::test]
async fn series_beyond_the_budget_do_not_take_memory() {
    let config = "global:\n  evaluation_interval: 1s\nstorage:\n  keep: [m_a]\n  retention: 1h\n  max_bytes: 96MiB\nremote_write:\n  \
                  max_body_bytes: 4MiB\n  max_decoded_bytes: 8MiB\n  max_in_flight_bytes: 16MiB\n  \
                  max_in_flight_bytes_per_peer: 16MiB\n";
    let portent = Portent::start(config, &[]).await;
    portent.ready().await;
    let before = memory_mib(&portent);
    let writer = RemoteWriter::new(portent.url("/api/v1/write"));
    let at = now_ms() - 1_200_000;
    let (mut refused, mut taken) = (0, 0);
    for round in 0..40 {
        for part in 0..10 {
            let one = |i: usize| {
                let host = format!("{:06}{}", part * 4_000 + i, "h".repeat(200));
                let samples: Vec<(i64, f64)> =
                    (0..10).map(|i| (at + round * 20_000 + i * 2_000, 0.5)).collect();
                Series::new(&[("__name__", "m_a"), ("instance", host.as_str())], &samples)
            };
            let reply = writer.send(&(0..4_000).map(one).collect::<Vec<_>>()).await;
            match reply.status {
                204 => taken += 1,
                400 => refused += usize::from(reply.body.contains("limit")),
                _ => panic!("{reply:?}"),
            }
        }
    }
    let grown = peak_mib(&portent).saturating_sub(before);
    let counted = wait_until(SOON, "what is counted is told", async || {
        let page = page(&portent).await;
        let bytes = sum(&page, "portent_series_bytes", "");
        if bytes > f64::from(48 << 20) { Ok(bytes) } else { Err(format!("{bytes}")) }
    })
    .await;
    let page = page(&portent).await;
    let dropped = sum(&page, "portent_series_dropped_total", "reason=\"memory\"");
    println!(
        "{grown} MiB more with {counted} counted, {taken} taken, {refused} refused, {dropped} dropped"
    );
    assert!(taken > 0 && refused > 0 && dropped > 0.0, "{taken} {refused} {dropped}");
    assert!(grown < 96 + 16 + 64, "memory has grown by {grown} MiB");
}

/// A thread goes on decoding when the sender has left; what it works on is within the budget for as long.
#[tokio::test]
async fn what_is_decoded_for_nobody_is_within_the_budget() {
    let config = "remote_write:\n  max_body_bytes: 1MiB\n  max_decoded_bytes: 8MiB\n  \
                  max_in_flight_bytes: 16MiB\n  max_in_flight_bytes_per_peer: 16MiB\n";
    let portent = Portent::start(config, &[]).await;
    portent.ready().await;
    // Nobody wants these series: none of this memory is that of rings.
    let one = |i: usize| {
        let (host, part) = ("h".repeat(60), format!("{i:06}"));
        let labels = [("__name__", "m_a"), ("instance", host.as_str()), ("part", part.as_str())];
        Series::new(&labels, &[(now_ms(), 0.5)])
    };
    let message = write_request(&(0..60_000).map(one).collect::<Vec<_>>());
    let body = encode(&message);
    let decoded = message.encoded_len();
    assert!((6 << 20..8 << 20).contains(&decoded), "{decoded}");
    assert!((64 << 10..1 << 20).contains(&body.len()), "{}", body.len());
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Content-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let before = memory_mib(&portent);
    let leave = async || {
        let mut left = 0;
        while left < 60 {
            left += leave_early(&portent, &head, &body, 10).await;
        }
    };
    tokio::time::timeout(SOON, leave())
        .await
        .expect("what was left is decoded, and others come in");
    // Labels are up to three times as large when decoded, and an allocator holds some of what it was given.
    let grown = peak_mib(&portent).saturating_sub(before);
    assert!(grown < 16 + 3 * 16 + 64, "memory has grown by {grown} MiB");
    wait_until(SOON, "nothing is held any more", async || {
        let held = sum(&page(&portent).await, "portent_remote_write_in_flight_bytes", "");
        if held == 0.0 { Ok(()) } else { Err(format!("{held}")) }
    })
    .await;
    let page = page(&portent).await;
    assert_eq!(sum(&page, "portent_remote_write_samples_total", ""), 0.0, "nobody waited: {page}");
    push(&portent, 10, 10).await;
}

/// So many senders send a request and reset their connections as soon as it was read. Returns how many of them
/// had no answer yet, so that theirs is being decoded.
async fn leave_early(portent: &Portent, head: &str, body: &[u8], senders: usize) -> usize {
    let (request, name) =
        ([head.as_bytes(), body].concat(), "portent_remote_write_received_bytes_total");
    let read = async || sum(&page(portent).await, name, "");
    let before = read().await;
    let mut streams = Vec::new();
    for _ in 0..senders {
        let mut stream = TcpStream::connect(portent.address()).await.expect("it listens");
        stream.set_zero_linger().expect("TCP can reset");
        // It may be refused before all of it is sent.
        let _ = stream.write_all(&request).await;
        streams.push(stream);
    }
    let waits = |it: &TcpStream| it.try_read(&mut [0]).is_err_and(|e| e.kind() == WouldBlock);
    loop {
        streams.retain(waits);
        let bytes = (streams.len() * body.len()) as f64;
        if read().await >= before + bytes {
            streams.retain(waits);
            return streams.len();
        }
    }
}
