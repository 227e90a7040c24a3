//! Actions over HTTP: what is done about alerts, and a switch.
//!
//! In: requests to `/api/v1/actions`, `/api/v1/actions/disable` and `/api/v1/actions/enable`. Out:
//! answers in Prometheus's envelope around what is shown. No page in a browser may switch: a request that
//! comes from one says so (`Origin`).
//!
//! | status | when |
//! |---|---|
//! | 200 | done, and in force; a warning says what a restart would not know |
//! | 403 | without `--web.enable-admin-api`, or from a page |
//! | 500 | switching on could not be kept on the disk, and was not done |
//! | 503 | the program is starting or ending: it passes |

use hyper::StatusCode;
use hyper::header::{HeaderMap, ORIGIN};

use super::json::{quoted, refused};
use super::{ApiResponse, JSON};
use crate::response::response;

/// Whether a request comes from a page in a browser.
#[must_use]
pub fn is_from_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
}

/// The answer with what is shown, as JSON.
#[must_use]
pub fn actions_answer(shown: &str, warning: Option<&str>) -> ApiResponse {
    let warnings = warning.map_or(String::new(), |it| format!(r#","warnings":[{}]"#, quoted(it)));
    response(StatusCode::OK, JSON, format!(r#"{{"status":"success","data":{shown}{warnings}}}"#))
}

/// The answer to a switch that was not done.
#[must_use]
pub fn actions_not_switched(reason: &str) -> ApiResponse {
    refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", reason)
}

/// The answer when nobody may switch.
#[must_use]
pub fn actions_forbidden() -> ApiResponse {
    let reason = "Admin API is not enabled; start Portent with --web.enable-admin-api.";
    refused(StatusCode::FORBIDDEN, "forbidden", reason)
}

/// The answer to a page.
#[must_use]
pub fn actions_not_for_pages() -> ApiResponse {
    refused(StatusCode::FORBIDDEN, "forbidden", "no page in a browser may switch actions")
}

/// The answer when nobody drives actions, at the start and at the end.
#[must_use]
pub fn actions_unavailable() -> ApiResponse {
    let reason = "Portent is starting or shutting down; try again";
    refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", reason)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn answers_are_prometheus_envelopes() {
        let text = async |answer: ApiResponse| {
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.expect("no failure").to_bytes();
            (status, String::from_utf8(body.to_vec()).expect("text"))
        };
        let found = text(actions_answer("{}", None)).await;
        assert_eq!(found, (200, r#"{"status":"success","data":{}}"#.to_owned()));
        let (_, found) = text(actions_answer("{}", Some("a \"b\""))).await;
        assert_eq!(found, r#"{"status":"success","data":{},"warnings":["a \"b\""]}"#);
        let (status, found) = text(actions_not_switched("no room")).await;
        let expected = r#"{"status":"error","errorType":"internal","error":"no room"}"#;
        assert_eq!((status, &*found), (500, expected));
        assert_eq!(actions_forbidden().status(), 403);
        assert_eq!(actions_unavailable().status(), 503);
    }
}
