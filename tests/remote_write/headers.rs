//! Headers: which message they say a body is, and who is told that another one is wanted.

use super::message::{BOTH, Expected, Sent, Version, check_message, snappy};
use super::second::written;
use super::{Reply, Server, good_body, head, judge};

/// What a request of these headers is: the body is one of either version.
async fn row(headers: &str, version: Version) {
    let server = Server::usual().await;
    let reply = server.post(headers, &version.body(&[Sent::up()])).await;
    assert_eq!(reply.status, 204, "{headers:?}: {reply:?}");
    let counts = (version == Version::Second).then_some([1, 0, 0]);
    assert_eq!(written(&reply), counts, "{headers:?}: {reply:?}");
    assert_eq!(server.stored().await.len(), 1, "{headers:?}");
}

/// The answer to a body that is fine, under headers that are not. No version was agreed on, so nothing is counted.
async fn refused(headers: &str, sentence: &str) {
    let server = Server::usual().await;
    for version in BOTH {
        let reply = server.post(headers, &version.body(&[Sent::up()])).await;
        assert_eq!(reply.status, 415, "{headers:?}: {reply:?}");
        judge(&reply, 415, sentence);
        assert_eq!(written(&reply), None, "{headers:?}");
    }
    assert!(server.stored().await.is_empty());
}

#[tokio::test]
async fn the_type_says_which_message_it_is() {
    let first = Version::First;
    row("", first).await;
    row("Content-Type: application/x-protobuf\r\n", first).await;
    row("Content-Type: application/x-protobuf;proto=prometheus.WriteRequest\r\n", first).await;
    let second = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";
    row(second, Version::Second).await;
    // As RFC 9110 has media types: case, blanks, quotes and other parameters make no difference.
    for type_of in [
        "Application/X-Protobuf;proto=NAME",
        "application/x-protobuf; proto=NAME",
        "application/x-protobuf \t; \tPROTO=NAME",
        "application/x-protobuf;proto=\"NAME\"",
        "application/x-protobuf; proto = \"NAME\"",
        "application/x-protobuf;charset=utf-8;proto=NAME",
        "application/x-protobuf;proto=NAME;q=1",
        "application/x-protobuf;proto=NAME;",
    ] {
        for (version, name) in [
            (first, "prometheus.WriteRequest"),
            (Version::Second, "io.prometheus.write.v2.Request"),
        ] {
            row(&format!("Content-Type: {}\r\n", type_of.replace("NAME", name)), version).await;
        }
    }
    row("Content-Type: application/x-protobuf;charset=utf-8\r\n", first).await;
}

#[tokio::test]
async fn other_types_are_told_which_ones_there_are() {
    for type_of in [
        "yolo",
        "application/json",
        "text/plain; proto=prometheus.WriteRequest",
        "application/x-protobuf;proto=yolo",
        "application/x-protobuf;proto=",
        "application/x-protobuf;proto",
        "application/x-protobuf;yolo",
        // Case matters to the name of a message.
        "application/x-protobuf;proto=prometheus.writerequest",
        "application/x-protobuf;proto=io.prometheus.write.v1.Request",
        "application/x-protobuf,application/x-protobuf;proto=prometheus.WriteRequest",
        "",
    ] {
        let sentence = format!(
            "content type {type_of:?} is not accepted; send application/x-protobuf with \
             proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request"
        );
        refused(&format!("Content-Type: {type_of}\r\n"), &sentence).await;
    }
}

#[tokio::test]
async fn the_encoding_is_snappy() {
    let second = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";
    // What vmagent calls zstd may be snappy, and what it calls snappy may be zstd.
    for encoding in ["snappy", "Snappy", "SNAPPY", " snappy ", "zstd"] {
        row(&format!("Content-Encoding: {encoding}\r\n"), Version::First).await;
        row(&format!("{second}Content-Encoding: {encoding}\r\n"), Version::Second).await;
    }
    for encoding in [
        "gzip",
        "deflate",
        "identity",
        "x-snappy-framed",
        "snappy, gzip",
        "snappy,snappy",
        "yolo",
        "",
    ] {
        let sentence =
            format!("content encoding {encoding:?} is not accepted; send snappy (block format)");
        refused(&format!("Content-Encoding: {encoding}\r\n"), &sentence).await;
        refused(&format!("{second}Content-Encoding: {encoding}\r\n"), &sentence).await;
    }
}

/// Neither version of the header is needed, and none is believed: the type alone decides.
#[tokio::test]
async fn the_version_header_says_nothing() {
    for version in BOTH {
        for number in ["0.1.0", "2.0.0", "2.0.0-rc.3", "9", "yolo", ""] {
            let number = format!("X-Prometheus-Remote-Write-Version: {number}\r\n");
            row(&format!("{}{number}User-Agent: x\r\n", version.headers()), version).await;
        }
    }
}

/// A frame of the format that begins with its name, as `framed` programs write it.
fn framed(message: &[u8]) -> Vec<u8> {
    let block = snappy(message);
    let length = (block.len() as u32 + 4).to_le_bytes();
    [&b"\xff\x06\x00\x00sNaPpY\x00"[..], &length[..3], &[0; 4], &block].concat()
}

#[tokio::test]
async fn other_forms_of_snappy_and_no_snappy_at_all_are_refused() {
    let server = Server::usual().await;
    for version in BOTH {
        let message = version.message(&[Sent::up()]);
        let long = version.message(&vec![Sent::up(); 100]);
        let whole = snappy(&message);
        let behind = [&whole[..], b"x"].concat();
        for body in [
            framed(&message),
            framed(&long),
            message.clone(),
            whole[..whole.len() - 1].to_vec(),
            behind,
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec(),
            b"up 1\n".to_vec(),
        ] {
            let reply = server.post(version.headers(), &body).await;
            assert_eq!(reply.status, 400, "{reply:?}");
            assert!(reply.body.starts_with("the body is not snappy (block format): "), "{reply:?}");
            let counts = (version == Version::Second).then_some([0, 0, 0]);
            assert_eq!(written(&reply), counts, "{reply:?}");
        }
    }
    assert!(server.stored().await.is_empty());
}

/// Both versions, with and without a length, and with none of both: then there is no body.
#[tokio::test]
async fn bodies_come_as_http_has_them() {
    for version in BOTH {
        let server = Server::usual().await;
        let body = version.body(&[Sent::up()]);
        let headers = version.headers();
        let chunked = super::chunked_head(headers);
        // Byte by byte, as no sender does.
        let chunks: Vec<u8> = body
            .iter()
            .flat_map(|it| [&b"1;name=value\r\n"[..], &[*it], b"\r\n"].concat())
            .collect();
        let reply = server.exchange(&[chunked.as_bytes(), &chunks, b"0\r\nX-Sum: 1\r\n\r\n"]).await;
        is_written(&reply, version);
        let expecting = format!("{headers}Expect: 100-continue\r\n");
        is_written(&server.post(&expecting, &body).await, version);
        let http_1_0 =
            format!("POST / HTTP/1.0\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        is_written(&server.exchange(&[http_1_0.as_bytes(), &body]).await, version);
        let none = format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        judge(&server.exchange(&[none.as_bytes()]).await, 400, "the body is empty");
    }
}

#[track_caller]
fn is_written(reply: &Reply, version: Version) {
    judge(reply, 204, "");
    assert_eq!(written(reply), (version == Version::Second).then_some([1, 0, 0]), "{reply:?}");
}

/// Headers that name both versions agree on none.
#[tokio::test]
async fn two_types_are_none() {
    let types = BOTH.map(Version::headers).concat().replace("Content-Encoding: snappy\r\n", "");
    let sentence = "content type \"application/x-protobuf, \
                    application/x-protobuf;proto=io.prometheus.write.v2.Request\" is not accepted; send \
                    application/x-protobuf with proto=prometheus.WriteRequest or \
                    proto=io.prometheus.write.v2.Request";
    refused(&types, sentence).await;
}

/// Another method is told which one to use, whatever else it says.
#[tokio::test]
async fn other_methods_are_refused_before_their_headers() {
    let server = Server::usual().await;
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for headers in ["", "Content-Type: yolo\r\n", BOTH[1].headers()] {
            let body = good_body();
            let head = head(method, headers, body.len());
            let reply = server.exchange(&[head.as_bytes(), &body]).await;
            judge(&reply, 405, "remote-write requests must use POST");
            assert_eq!((reply.header("allow"), written(&reply)), (Some("POST"), None));
        }
    }
}

/// After a refusal a request of the same version is a success: nothing is remembered.
#[tokio::test]
async fn a_refusal_leaves_nothing_behind() {
    let server = Server::usual().await;
    for version in BOTH {
        let stored: &[(&str, &[(i64, f64)])] = &[("up", &[(0, 1.0)])];
        let expected = Expected { status: 204, counts: [1, 0, 0], sentence: "", stored };
        server.post("Content-Type: yolo\r\n", b"x").await;
        server.post(version.headers(), b"x").await;
        let message = version.message(&[Sent::up()]);
        check_message(&server, version, &message, &expected).await;
    }
}
