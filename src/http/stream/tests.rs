use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

#[track_caller]
fn check_line(bytes: &str, expected: Option<&str>) {
    let mut held = BytesMut::from(bytes);
    let is_whole = hold_line(&mut held);
    assert_eq!(is_whole, expected.is_some(), "{bytes:?}");
    assert_eq!(held, expected.unwrap_or(bytes), "{bytes:?}");
}

#[test]
fn the_address_of_a_whole_line_is_escaped_and_nothing_else() {
    check_line("", None);
    check_line("\r\n\r\n", None);
    check_line("GET /a\"", None);
    for same in ["GET / HTTP/1.1\r\n", "\r\nGET /%22?a=b&c=%7B HTTP/1.1\n", "nothing\n", "\"a\" \n"]
    {
        check_line(same, Some(same));
    }
    check_line(
        "\nGET /q?query=a{b=\"c\"}|<>^`\\#d HTTP/1.1\r\nX: \"{}\"\r\n\r\n\"{}",
        Some(
            "\nGET /q?query=a%7Bb=%22c%22%7D%7C%3C%3E%5E%60%5C%23d HTTP/1.1\r\nX: \"{}\"\r\n\r\n\"{}",
        ),
    );
    check_line("GET /ä HTTP/1.1\n", Some("GET /%C3%A4 HTTP/1.1\n"));
    // A line without a version is for hyper to refuse.
    check_line("GET /\"\n", Some("GET /%22\n"));
}

/// The length of the head, however it is cut.
#[track_caller]
fn check_head(bytes: &str, length: Option<usize>) {
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.as_bytes().split_at(cut);
        let found = match head_in(first, Ending::Nothing) {
            (length, None) => Some(length),
            (_, Some(ending)) => match head_in(second, ending) {
                (length, None) => Some(cut + length),
                (_, Some(_)) => None,
            },
        };
        assert_eq!(found, length, "{bytes:?} cut at {cut}");
    }
}

#[test]
fn a_head_ends_with_the_first_empty_line() {
    check_head("a: b\r\n\r\nbody\r\n\r\n", Some(8));
    check_head("a: b\n\nbody", Some(6));
    check_head("a: b\n\r\n\n", Some(7));
    check_head("a: b\r\nc: d\r\n\r\n", Some(14));
    check_head("a: b\r\n\rc\r\n", None);
    check_head("a: b\r\n", None);
}

fn pair() -> (DuplexStream, Stream<DuplexStream>, Arc<Activity>) {
    let (peer, own) = tokio::io::duplex(1 << 16);
    let activity = Activity::new();
    (peer, Stream::new(own, Arc::clone(&activity)), activity)
}

async fn read(stream: &mut Stream<DuplexStream>) -> String {
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).await.expect("no error");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// Whether nothing is handed on for now.
async fn is_silent(stream: &mut Stream<DuplexStream>) -> bool {
    let mut bytes = [0; 1];
    let waited = std::time::Duration::from_millis(10);
    tokio::time::timeout(waited, stream.read(&mut bytes)).await.is_err()
}

const FIRST: &str = "POST /\"a HTTP/1.1\r\n\r\n";
const ESCAPED: &str = "POST /%22a HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn heads_are_told_from_bodies_by_what_the_handler_side_says() {
    let (mut peer, mut stream, activity) = pair();
    // A body that looks like a head, then a head.
    let body = "GET /\" HTTP/1.1\r\n\r\n";
    peer.write_all(format!("{FIRST}{body}{FIRST}").as_bytes()).await.expect("room");
    assert_eq!(read(&mut stream).await, ESCAPED);
    activity.begin(Some(body.len() as u64));
    assert_eq!(read(&mut stream).await, body);
    assert!(is_silent(&mut stream).await, "the next waits for the answer");
    activity.end();
    activity.handed_over();
    stream.flush().await.expect("no error");
    assert_eq!(read(&mut stream).await, ESCAPED);
    // Of unknown length: from here on all is handed on as it comes.
    activity.begin(None);
    peer.write_all(FIRST.as_bytes()).await.expect("room");
    assert_eq!(read(&mut stream).await, FIRST);
    activity.end();
    activity.handed_over();
    stream.flush().await.expect("no error");
    peer.write_all(FIRST.as_bytes()).await.expect("room");
    assert_eq!(read(&mut stream).await, FIRST);
}

#[tokio::test]
async fn the_end_is_handed_on_when_the_answer_is_out() {
    for length in [Some(0), None] {
        let (mut peer, mut stream, activity) = pair();
        peer.write_all(FIRST.as_bytes()).await.expect("room");
        assert_eq!(read(&mut stream).await, ESCAPED);
        activity.begin(length);
        activity.body_done();
        drop(peer.shutdown().await);
        assert!(is_silent(&mut stream).await, "{length:?}");
        activity.until_closed().await;
        activity.end();
        activity.handed_over();
        stream.flush().await.expect("no error");
        assert_eq!(read(&mut stream).await, "", "{length:?}");
    }
}

#[tokio::test]
async fn an_end_within_a_body_is_handed_on_at_once() {
    for length in [Some(5), None] {
        let (mut peer, mut stream, activity) = pair();
        peer.write_all(FIRST.as_bytes()).await.expect("room");
        assert_eq!(read(&mut stream).await, ESCAPED);
        activity.begin(length);
        peer.write_all(b"1").await.expect("room");
        assert_eq!(read(&mut stream).await, "1");
        drop(peer.shutdown().await);
        assert_eq!(read(&mut stream).await, "", "{length:?}");
    }
}

#[tokio::test]
async fn what_nobody_has_asked_for_is_not_written() {
    let (mut peer, mut stream, activity) = pair();
    peer.write_all(FIRST.as_bytes()).await.expect("room");
    assert_eq!(read(&mut stream).await, ESCAPED);
    activity.begin(Some(0));
    activity.end();
    activity.handed_over();
    stream.write_all(b"answer").await.expect("no error");
    stream.flush().await.expect("no error");
    stream.write_all(b"refusal").await.expect("no error");
    stream.flush().await.expect("no error");
    let (own, is_refused) = stream.into_parts();
    drop(own);
    let mut written = String::new();
    peer.read_to_string(&mut written).await.expect("text");
    assert_eq!((written.as_str(), is_refused), ("answer", true));
}
