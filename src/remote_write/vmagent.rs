//! vmagent: what it says beside the requests that all senders make.
//!
//! Its own protocol is remote-write 1.0 in zstd. It names the version in `X-VictoriaMetrics-Remote-Write-Version`,
//! which is 1 and tells nothing that the body does not. Older releases ask first whether a receiver understands
//! it; newer ones begin with it, and go over to snappy for good when they are answered with 400 or 415.
//! Source: VictoriaMetrics, `HandleVMProtoServerHandshake` and pull request 8462.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode};

use crate::response::text;

/// The question, in the query of the address that is written to.
const QUESTION: &str = "get_vm_proto_version";

/// The version of the protocol that is understood.
const VERSION: &str = "1";

/// The answer to a vmagent that asks which version of its protocol is understood; nothing for other requests.
#[must_use]
pub fn handshake<B>(request: &Request<B>) -> Option<Response<Full<Bytes>>> {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return None;
    }
    let mut parameters = request.uri().query().unwrap_or_default().split('&');
    let asks = |parameter: &str| parameter.split('=').next() == Some(QUESTION);
    parameters.any(asks).then(|| exactly(VERSION))
}

/// It compares the body, so that not even a line's end may follow.
fn exactly(version: &'static str) -> Response<Full<Bytes>> {
    let mut answer = text(StatusCode::OK, version);
    *answer.body_mut() = Full::new(Bytes::from_static(version.as_bytes()));
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn check(method: Method, address: &str, expected: Option<&str>) {
        let request = Request::builder().method(method).uri(address).body(()).expect("a request");
        let answer = handshake(&request);
        let body = match answer {
            None => None,
            Some(answer) => {
                assert_eq!(answer.status(), 200);
                let body = answer.into_body().collect().await.expect("it is there").to_bytes();
                Some(String::from_utf8(body.to_vec()).expect("text"))
            }
        };
        assert_eq!(body.as_deref(), expected, "{address}");
    }

    #[tokio::test]
    async fn it_answers_who_asks() {
        check(Method::GET, "/api/v1/write?get_vm_proto_version=1", Some("1")).await;
        check(Method::POST, "/api/v1/write?get_vm_proto_version=1", Some("1")).await;
        check(Method::POST, "/api/v1/write?extra_label=a%3Db&get_vm_proto_version=1", Some("1"))
            .await;
        check(Method::PUT, "/api/v1/write?get_vm_proto_version=1", None).await;
        check(Method::POST, "/api/v1/write", None).await;
        check(Method::GET, "/api/v1/write?get_vm_proto=1", None).await;
    }
}
