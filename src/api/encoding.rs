//! The encoding of an answer: compressed for those who take it.
//!
//! Invariant: an answer counts as one that is held until the compressed one does.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};

use super::ApiResponse;
use super::capacity::SHORT_BYTES;
use crate::accept;

/// A shorter answer goes into a packet as it is.
const WORTHWHILE_BYTES: usize = 1_400;

/// Whether a request takes an answer that is compressed.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).into_iter();
    accept::takes_gzip(values.filter_map(|it| it.to_str().ok()))
}

/// The answer compressed, if that is taken and worthwhile and `hold` has room for it.
pub(super) async fn encoded(
    mut answer: ApiResponse,
    takes_gzip: bool,
    hold: impl FnOnce(Vec<u8>) -> Option<Bytes>,
) -> ApiResponse {
    answer.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    if !takes_gzip {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let Ok(plain) = body.collect().await.map(http_body_util::Collected::to_bytes);
    let compressed = match plain.len() {
        0..WORTHWHILE_BYTES => None,
        // Not worth another thread.
        WORTHWHILE_BYTES..SHORT_BYTES => compressed(&plain).ok(),
        _ => {
            let plain = plain.clone();
            let task = tokio::task::spawn_blocking(move || compressed(&plain));
            task.await.ok().and_then(io::Result::ok)
        }
    };
    let body = match compressed.and_then(hold) {
        Some(compressed) => {
            parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed
        }
        None => plain,
    };
    Response::from_parts(parts, Full::new(body))
}

fn compressed(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use hyper::StatusCode;

    use super::*;

    async fn check(length: usize, takes_gzip: bool, has_room: bool, is_gzip: bool) {
        let plain = "0123456789".repeat(length / 10);
        let answer = crate::response::response(StatusCode::OK, "application/json", plain.clone());
        let hold = |bytes: Vec<u8>| has_room.then(|| bytes.into());
        let answer = encoded(answer, takes_gzip, hold).await;
        assert_eq!(answer.headers()[VARY], "Accept-Encoding");
        assert_eq!(answer.headers().get(CONTENT_ENCODING).is_some(), is_gzip, "{length}");
        let Ok(body) = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let mut text = String::new();
        if is_gzip {
            assert!(body.len() < length / 5);
            flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).expect("gzip");
        } else {
            text = String::from_utf8(body.to_vec()).expect("text");
        }
        assert_eq!(text, plain);
    }

    #[tokio::test]
    async fn long_answers_are_compressed_for_who_takes_it() {
        check(1_000, true, true, false).await;
        check(10_000, true, true, true).await;
        check(10_000, false, true, false).await;
        check(1_000_000, true, true, true).await;
        check(1_000_000, true, false, false).await;
    }
}
