//! An error of the API: what is wrong with a request, as Prometheus says it.
//!
//! Source: Prometheus documentation "HTTP API", "Format overview"; `respondError` in its
//! `web/api/v1/api.go`.

use hyper::StatusCode;

use super::ApiResponse;
use super::form::FormError;
use super::json::{self, TooLong};
use crate::bytesize::ByteSize;
use crate::promql::EvalError;
use crate::response::text;
use crate::series::ExcerptError;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The body or the URL is not a form.
    #[error("error parsing form values: {0}")]
    Form(#[from] FormError),
    /// The body is larger than any form should be.
    #[error("error parsing form values: the body has more than {0}")]
    FormTooLarge(ByteSize),
    /// The body broke off or took too long.
    #[error("error parsing form values: {0}")]
    Body(String),
    /// A parameter that cannot be used.
    #[error("invalid parameter {name:?}: {reason}")]
    Parameter {
        /// Which one.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The request makes no sense as a whole.
    #[error("{0}")]
    BadData(String),
    /// The label sets do not allow what the query does.
    #[error("{0}")]
    Evaluation(EvalError),
    /// The query needs more than is allowed.
    #[error("{0}")]
    Limit(#[from] Limit),
    /// Time is up.
    #[error("query timed out in {0}")]
    Timeout(Stage),
    /// The client has gone, as far as can be seen.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// Answers that others read take all the memory there is for them.
    #[error(
        "answers that clients have not read yet use all of {0} (query.max_in_flight_bytes); try again"
    )]
    AnswersHeld(ByteSize),
    /// Portent is starting or ending.
    #[error("Service Unavailable")]
    Unavailable,
    /// An evaluation has ended in a way that it should not.
    #[error("the evaluation has failed")]
    Internal,
}

/// A limit that a query has met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Limit {
    /// It selects too many series.
    #[error(
        "query processing would load too many series into memory in query execution: more than \
         {0} (query.max_series)"
    )]
    Series(usize),
    /// It selects or gives too many samples.
    #[error(
        "query processing would load too many samples into memory in query execution: more than \
         {0} (query.max_samples)"
    )]
    Samples(usize),
    /// The answer would be too long.
    #[error("the answer has more than {0} (query.max_response_bytes)")]
    ResponseBytes(ByteSize),
    /// It looks back further than series are kept.
    #[error("{0}")]
    Retention(ExcerptError),
}

/// Where a query was when its time was up, in Prometheus's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting for others.
    Queue,
    /// At work.
    Evaluation,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queue => "query queue",
            Self::Evaluation => "expression evaluation",
        })
    }
}

impl From<ExcerptError> for ApiError {
    fn from(error: ExcerptError) -> Self {
        Self::Limit(match error {
            ExcerptError::TooManySeries { limit } => Limit::Series(limit),
            ExcerptError::TooManySamples { limit } => Limit::Samples(limit),
            ExcerptError::Retention { .. } => Limit::Retention(error),
        })
    }
}

impl From<EvalError> for ApiError {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Interrupted => Self::Timeout(Stage::Evaluation),
            error => Self::Evaluation(error),
        }
    }
}

impl Limit {
    /// Every reason for which a query is refused: those of [`Limit::reason`], and of a time-out in
    /// the queue and at work, and of answers that others do not read.
    pub(super) const REASONS: [&str; 7] = [
        "max_series",
        "max_samples",
        "max_response_bytes",
        "retention",
        "max_concurrency",
        "timeout",
        "max_in_flight_bytes",
    ];

    /// The reason as a label value: the last part of the key.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Series(_) => "max_series",
            Self::Samples(_) => "max_samples",
            Self::ResponseBytes(_) => "max_response_bytes",
            Self::Retention(_) => "retention",
        }
    }

    /// The error of an answer that became longer than this.
    pub(super) fn response(limit: ByteSize) -> impl Fn(TooLong) -> ApiError {
        move |TooLong| ApiError::Limit(Self::ResponseBytes(limit))
    }
}

/// The status for a client that has closed the connection: nginx's own, which Prometheus gives as well.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

impl ApiError {
    /// A reason for a parameter.
    pub(super) fn parameter(name: &'static str) -> impl Fn(String) -> Self {
        move |reason| Self::Parameter { name, reason }
    }

    /// The status, and Prometheus's `errorType`, which is the outcome in the metrics as well.
    pub(super) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::FormTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
            Self::Form(_) | Self::Body(_) | Self::Parameter { .. } | Self::BadData(_) => {
                (StatusCode::BAD_REQUEST, "bad_data")
            }
            Self::Evaluation(_) | Self::Limit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            Self::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Self::Canceled => (client_closed_request(), "canceled"),
            Self::Unavailable | Self::AnswersHeld(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// The whole answer.
    pub(super) fn response(&self) -> ApiResponse {
        let (status, error_type) = self.status();
        if matches!(self, Self::Unavailable) {
            // Prometheus says this before its API is there, so it is not JSON.
            return text(status, self.to_string());
        }
        json::refused(status, error_type, &self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &ApiError, status: u16, error_type: &str, said: &str) {
        assert_eq!(error.status(), (StatusCode::from_u16(status).expect("a status"), error_type));
        assert_eq!(error.to_string(), said);
        assert_eq!(error.response().status(), status);
    }

    #[test]
    fn errors_have_the_status_that_prometheus_gives_them() {
        let parameter = ApiError::parameter("step")("too short".to_owned());
        check(&parameter, 400, "bad_data", "invalid parameter \"step\": too short");
        let escape = ApiError::Form(FormError::Escape("%zz".to_owned()));
        let said = "error parsing form values: invalid URL escape \"%zz\"";
        check(&escape, 400, "bad_data", said);
        let count = ApiError::from(EvalError::ManyToOne);
        check(&count, 422, "execution", &EvalError::ManyToOne.to_string());
        let late = ApiError::from(EvalError::Interrupted);
        check(&late, 503, "timeout", "query timed out in expression evaluation");
        check(&ApiError::Timeout(Stage::Queue), 503, "timeout", "query timed out in query queue");
        let said = "query was canceled in expression evaluation";
        check(&ApiError::Canceled, 499, "canceled", said);
        check(&ApiError::Unavailable, 503, "unavailable", "Service Unavailable");
        let many = ApiError::from(ExcerptError::TooManySeries { limit: 7 });
        let said = "query processing would load too many series into memory in query execution: \
                    more than 7 (query.max_series)";
        check(&many, 422, "execution", said);
    }
}
