//! A body: what a request sends along, read within limits.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};

use super::BoxError;
use super::error::ApiError;
use super::form::Form;
use crate::bytesize::ByteSize;

/// The largest form: many times the longest expression that is accepted.
const MAX_FORM_BYTES: ByteSize = ByteSize::from_mib(1);

/// Reads the parameters of a request; the body only of a POST that says it is a form.
pub(super) async fn form(
    request: Request<impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin>,
    timeout: Duration,
) -> Result<Form, ApiError> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let body = if head.method == Method::POST && is_form {
        read(body, MAX_FORM_BYTES, timeout).await.map_err(|error| match error {
            BodyError::TooLarge => ApiError::FormTooLarge(MAX_FORM_BYTES),
            error => ApiError::Body(error.to_string()),
        })?
    } else {
        Bytes::new()
    };
    Ok(Form::parse(&body, head.uri.query().unwrap_or(""))?)
}

/// Why a body is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body took too long")]
    Slow,
    #[error("the body is too large")]
    TooLarge,
    #[error("{0}")]
    Broken(BoxError),
}

/// Reads a body of so many bytes at most, within this time.
pub(super) async fn read(
    body: impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    limit: ByteSize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    let limited = Limited::new(body, limit.as_len());
    match tokio::time::timeout(timeout, limited.collect()).await {
        Err(_) => Err(BodyError::Slow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(error)) => Err(BodyError::Broken(error)),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    async fn check(method: Method, content_type: &str, body: Vec<u8>) -> Result<String, String> {
        let request = Request::builder()
            .method(method)
            .uri("/api/v1/query?query=url")
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let form = form(request, Duration::from_secs(1)).await;
        form.map(|form| form.get("query").to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_form_comes_with_a_post() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let body = || b"query=body".to_vec();
        assert_eq!(check(Method::POST, form, body()).await.as_deref(), Ok("body"));
        assert_eq!(check(Method::GET, form, body()).await.as_deref(), Ok("url"));
        assert_eq!(check(Method::POST, "text/plain", body()).await.as_deref(), Ok("url"));
        let large = check(Method::POST, form, vec![b'x'; (1 << 20) + 1]).await;
        let said = "error parsing form values: the body has more than 1MiB";
        assert_eq!(large, Err(said.to_owned()));
    }
}
