//! A body: what a request sends along, read within limits.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};

use super::error::ApiError;
use super::form::Form;
use crate::bytesize::ByteSize;

/// The largest form: many times the longest expression that is accepted.
const MAX_FORM_BYTES: ByteSize = ByteSize::from_mib(1);

/// Reads the parameters of a request; the body only of a POST that says it is a form.
pub(super) async fn form<B>(request: Request<B>, timeout: Duration) -> Result<Form, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let body = if head.method == Method::POST && is_form {
        read(body, timeout).await?
    } else {
        Bytes::new()
    };
    Ok(Form::parse(&body, head.uri.query().unwrap_or(""))?)
}

async fn read<B>(body: B, timeout: Duration) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limited = Limited::new(body, MAX_FORM_BYTES.as_len());
    match tokio::time::timeout(timeout, limited.collect()).await {
        Err(_) => Err(ApiError::Body("the body took too long".to_owned())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(ApiError::FormTooLarge(MAX_FORM_BYTES))
        }
        Ok(Err(error)) => Err(ApiError::Body(error.to_string())),
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
