//! Silences over HTTP, as Alertmanager's API v2 has them, so that `amtool silence` works.
//!
//! In: requests to `/api/v2/silences` and `/api/v2/silence/ID`. Out: what is asked for, and its answer once
//! the owner of the silences has decided. Answers are JSON; what is refused is told as a JSON string, as
//! Alertmanager does. A request must say that it is JSON: no page in a browser can send that to another
//! site unasked.
//!
//! | status | when |
//! |---|---|
//! | 200 | done |
//! | 400 | it is no silence, or one that cannot be meant |
//! | 404 | there is no silence of this id |
//! | 413, 415 | the body is too large, or does not say that it is JSON |
//! | 503 | there are `alerting.max_silences` already, or the program is starting or ending: it passes |
//!
//! Source: Alertmanager `api/v2/openapi.yaml`, `api/v2/api.go` (`postSilencesHandler`, `getSilencesHandler`).

use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use super::body::{BodyError, read};
use super::form::Form;
use super::{ApiResponse, BoxError, JSON};
use crate::bytesize::ByteSize;
use crate::maintenance::{
    Silence, SilenceError, SilenceRecord, SilenceState, Silences, parse_matcher,
};
use crate::matcher::Matcher;
use crate::response::response;

/// The largest silence: a comment of some pages and more matchers than an alert has labels.
const MAX_SILENCE_BYTES: ByteSize = ByteSize::from_bytes(16 << 10);

/// What is asked for.
#[derive(Debug)]
pub enum SilenceCall {
    /// Those whose own matchers satisfy all of these.
    List(Vec<Matcher>),
    /// One of them.
    Get(String),
    /// To set one; with an id, in the place of another.
    Set(Box<Silence>),
    /// To end one.
    Expire(String),
}

impl SilenceCall {
    /// Reads a request, whose method the path allows, about the silence of this id or about all.
    ///
    /// # Errors
    /// The answer to a request that cannot be understood.
    pub async fn read(
        id: Option<String>,
        request: Request<impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin>,
        timeout: Duration,
    ) -> Result<Self, ApiResponse> {
        match (id, request.method()) {
            (None, &Method::POST) => {
                let silence = posted(request, timeout).await;
                silence
                    .map(|it| Self::Set(Box::new(it)))
                    .map_err(|(status, reason)| refused(status, &reason))
            }
            (None, _) => {
                let filters = filters(request.uri().query().unwrap_or(""));
                filters.map(Self::List).map_err(|it| refused(StatusCode::BAD_REQUEST, &it))
            }
            (Some(id), &Method::DELETE) => Ok(Self::Expire(id)),
            (Some(id), _) => Ok(Self::Get(id)),
        }
    }
}

/// The answer of silences that satisfy the filters: those that end first are first, those that are over last.
#[must_use]
pub fn silence_list(silences: &Silences, filters: &[Matcher], now_ms: i64) -> ApiResponse {
    // As in Alertmanager: what a silence's matchers are compared with counts as labels, whatever their operator.
    let value = |it: &Silence, name: &str| {
        let own = it.selector.matchers().iter().find(|own| own.name() == name);
        own.map_or(String::new(), |own| own.value().to_owned())
    };
    let satisfies =
        |it: &&Silence| filters.iter().all(|filter| filter.matches(&value(it, filter.name())));
    let mut found: Vec<&Silence> = silences.iter().filter(satisfies).collect();
    found.sort_by_key(|it| match it.state(now_ms) {
        state @ SilenceState::Active => (state, it.ends_at_ms),
        state @ SilenceState::Pending => (state, it.starts_at_ms),
        state @ SilenceState::Expired => (state, -it.ends_at_ms),
    });
    let records: Vec<SilenceRecord> =
        found.into_iter().map(|it| SilenceRecord::of(it, now_ms)).collect();
    json(StatusCode::OK, &records)
}

/// The answer of one silence.
#[must_use]
pub fn silence_answer(silences: &Silences, id: &str, now_ms: i64) -> ApiResponse {
    match silences.get(id) {
        Some(silence) => json(StatusCode::OK, &SilenceRecord::of(silence, now_ms)),
        None => silence_refused(&SilenceError::Unknown(id.to_owned())),
    }
}

/// The answer to one that was set, with its id.
#[must_use]
pub fn silence_set(id: &str) -> ApiResponse {
    json(StatusCode::OK, &serde_json::json!({ "silenceID": id }))
}

/// The answer to one that was ended.
#[must_use]
pub fn silence_expired() -> ApiResponse {
    response(StatusCode::OK, JSON, "")
}

/// The answer to what the silences do not allow.
#[must_use]
pub fn silence_refused(error: &SilenceError) -> ApiResponse {
    let status = match error {
        SilenceError::Unknown(_) => StatusCode::NOT_FOUND,
        SilenceError::Wrong(_) => StatusCode::BAD_REQUEST,
        // Some end by themselves.
        SilenceError::TooMany(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refused(status, &error.to_string())
}

/// The answer when nobody may change anything.
#[must_use]
pub fn admin_api_disabled() -> ApiResponse {
    let reason = "Admin API is not enabled; start Portent with --web.enable-admin-api.";
    refused(StatusCode::FORBIDDEN, reason)
}

/// The answer when silences have no owner, at the start and at the end.
#[must_use]
pub fn silences_unavailable() -> ApiResponse {
    refused(StatusCode::SERVICE_UNAVAILABLE, "Portent is starting or shutting down; try again")
}

fn refused(status: StatusCode, reason: &str) -> ApiResponse {
    json(status, &reason)
}

fn json(status: StatusCode, value: &impl Serialize) -> ApiResponse {
    let text = serde_json::to_string(value).expect("plain data");
    response(status, JSON, text)
}

/// The silence in the body of a request.
async fn posted(
    request: Request<impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin>,
    timeout: Duration,
) -> Result<Silence, (StatusCode, String)> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let media_type = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case(JSON) {
        let reason = format!("a silence comes with Content-Type: {JSON}, not {media_type:?}");
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let bad = |reason: String| (StatusCode::BAD_REQUEST, reason);
    let body = read(request.into_body(), MAX_SILENCE_BYTES, timeout).await;
    let body = body.map_err(|error| match error {
        BodyError::Slow => (StatusCode::REQUEST_TIMEOUT, error.to_string()),
        BodyError::TooLarge => {
            let reason = format!("a silence has no more than {MAX_SILENCE_BYTES}");
            (StatusCode::PAYLOAD_TOO_LARGE, reason)
        }
        BodyError::Broken(error) => bad(error.to_string()),
    })?;
    let record: SilenceRecord = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("this is not a silence: {error}")))?;
    record.silence().map_err(|error| bad(error.to_string()))
}

/// What `filter=` says in the query of a URL, each a matcher.
fn filters(query: &str) -> Result<Vec<Matcher>, String> {
    let form = Form::parse(b"", query).map_err(|error| error.to_string())?;
    let filters = form.all("filter").map(|text| parse_matcher(text).map_err(|it| it.to_string()));
    filters.collect()
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;
    use crate::timestamp::parse_ms;

    const NOW: &str = "2026-11-23T10:15:00Z";

    async fn status_and_text(answer: ApiResponse) -> (u16, String) {
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("no failure").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    async fn call(
        method: Method,
        url: &str,
        content_type: &str,
        body: &str,
    ) -> Result<SilenceCall, (u16, String)> {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a request");
        match SilenceCall::read(None, request, Duration::from_secs(1)).await {
            Ok(call) => Ok(call),
            Err(answer) => Err(status_and_text(answer).await),
        }
    }

    fn body(instance: &str) -> String {
        format!(
            r#"{{"matchers": [{{"name": "instance", "value": "{instance}", "isRegex": false}}],
            "startsAt": "{NOW}", "endsAt": "2026-11-23T12:00:00Z", "createdBy": "me", "comment": "x"}}"#
        )
    }

    #[tokio::test]
    async fn what_cannot_be_a_silence_is_refused_with_a_sentence() {
        let post = |content_type: &'static str, body: String| async move {
            call(Method::POST, "/api/v2/silences", content_type, &body).await.map(|_| ())
        };
        assert_eq!(post("application/json; charset=utf-8", body("a")).await, Ok(()));
        let (status, said) = post("text/plain", body("a")).await.expect_err("no JSON");
        assert_eq!(status, 415, "{said}");
        assert!(
            said.starts_with("\"a silence comes with Content-Type: application/json"),
            "{said}"
        );
        let (status, said) = post(JSON, "{}".to_owned()).await.expect_err("nothing in it");
        assert_eq!(status, 400);
        assert!(said.starts_with("\"this is not a silence: missing field `comment`"), "{said}");
        let (status, said) = post(JSON, body("a").replace(NOW, "now")).await.expect_err("no time");
        assert_eq!(status, 400);
        assert!(said.starts_with(r#""startsAt: \"now\" is not a time"#), "{said}");
        let (status, said) = post(JSON, body(&"a".repeat(16 << 10))).await.expect_err("too large");
        assert_eq!((status, &*said), (413, "\"a silence has no more than 16KiB\""));
        let url = "/api/v2/silences?filter=instance%3D~(";
        let (status, said) =
            call(Method::GET, url, "", "").await.map(|_| ()).expect_err("no pattern");
        assert_eq!(status, 400);
        assert!(said.starts_with("\"error parsing regexp"), "{said}");
    }

    #[tokio::test]
    async fn silences_are_listed_by_what_they_are_about() {
        let now_ms = parse_ms(NOW).expect("a moment");
        let mut silences = Silences::default();
        for instance in ["a", "b"] {
            let Ok(SilenceCall::Set(it)) =
                call(Method::POST, "/api/v2/silences", JSON, &body(instance)).await
            else {
                panic!("it is a silence");
            };
            silences.set(*it, format!("of-{instance}"), now_ms, 10).expect("set");
        }
        silences.expire("of-a", now_ms + 1).expect("it is there");
        let list = async |query: &str| {
            let url = format!("/api/v2/silences?{query}");
            let Ok(SilenceCall::List(filters)) = call(Method::GET, &url, "", "").await else {
                panic!("a list");
            };
            let (status, text) =
                status_and_text(silence_list(&silences, &filters, now_ms + 1)).await;
            assert_eq!(status, 200);
            let list: Vec<SilenceRecord> = serde_json::from_str(&text).expect("a list");
            let short = |it: SilenceRecord| {
                format!("{} {}", it.id.expect("an id"), it.status.expect("a state").state)
            };
            list.into_iter().map(short).collect::<Vec<_>>()
        };
        assert_eq!(list("").await, ["of-b active", "of-a expired"]);
        assert_eq!(list("filter=instance%3D%22a%22").await, ["of-a expired"]);
        assert_eq!(list("filter=instance=~a|b&filter=instance!=a").await, ["of-b active"]);
        assert_eq!(list("filter=job=node").await, Vec::<String>::new());
        let (status, text) = status_and_text(silence_answer(&silences, "of-b", now_ms)).await;
        assert!(status == 200 && text.contains("\"id\":\"of-b\""), "{text}");
        let (status, text) = status_and_text(silence_answer(&silences, "x", now_ms)).await;
        assert_eq!((status, &*text), (404, r#""there is no silence \"x\"""#));
        let (status, _) = status_and_text(silence_refused(&SilenceError::TooMany(1))).await;
        assert_eq!(status, 503);
        let (_, text) = status_and_text(silence_set("7")).await;
        assert_eq!(text, r#"{"silenceID":"7"}"#);
    }
}
