//! A reason: why one query has no answer, and what to do about it.
//!
//! Some reasons are mended by waiting, some by asking for fewer steps (a server that says nothing in time
//! must answer for one step first). Some are about single steps, which can be left out. The others end the
//! run with a sentence, which says whose query it was.
//!
//! Sources: Prometheus `web/api/v1/api.go` (400, 422 and 503 for its own limits) and
//! `promql/engine.go` (label sets that clash, 422), Mimir's "runbooks" (`err-mimir-max-*`, status
//! 422), VictoriaMetrics `app/vmselect` (422, 429, 503; its `promql/binary_op.go` and `exec.go` for
//! label sets that clash), RFC 9110 section 10.2.3 (Retry-After).

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};

use super::server_words;
use crate::history::error::HistoryError;

/// The longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// What servers say when a query is too much for them: its steps, its samples, its time.
const TOO_MUCH_WORDS: [&str; 7] =
    ["exceed", "too many", "too long", "too large", "limit", "timed out", "not enough memory"];

/// What Thanos says, with status 422, when a store is away and a partial answer will not do: gRPC's word.
const AWAY_WORDS: &str = "code = unavailable";

/// What servers say when label sets clash at a step: of a match or of a result, two are the same.
/// That depends on which series there are, so that an expression may be refused at one step and
/// not at the next. The status is 422 with all of them. In VictoriaMetrics the query stands before
/// these words; no name of a metric or label has blanks in it.
const CLASH_WORDS: [&str; 6] = [
    // Prometheus, and with the same words Mimir and Thanos.
    "duplicate series for the match group",
    "many-to-many matching not allowed",
    "multiple matches for labels",
    "metrics with the same labelset",
    // VictoriaMetrics.
    "duplicate time series on the",
    "duplicate output timeseries",
];

/// What is said where a second run would not start from nothing.
const RESUME: &str = " (with --resume DIR it goes on where it stopped)";

/// Why one query has no answer.
#[derive(Debug)]
pub(crate) enum Reason {
    Unreachable(String),
    Tls {
        reason: String,
        advice: &'static str,
    },
    Lost(String),
    Timeout,
    Credentials(u16),
    Busy {
        status: u16,
        words: String,
        wait: Option<Duration>,
    },
    TooMuch {
        status: u16,
        words: String,
    },
    /// Label sets that are the same at some step.
    Clash {
        status: u16,
        words: String,
    },
    Moved {
        status: u16,
        location: String,
    },
    Refused {
        status: u16,
        words: String,
    },
    NotPrometheus(String),
    /// An answer without what some stores have, in the server's words.
    Partial(String),
    TooLarge,
}

/// What to do about a reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Ask again, after this time if the server said one.
    Wait(Option<Duration>),
    /// Ask for fewer steps.
    Halve,
    /// Ask for one step, to learn whether there is an answer to anything; then for fewer.
    Probe,
    /// Find the steps that it is about, and leave them out.
    LeaveOut,
    /// Nothing helps.
    None,
}

impl Reason {
    /// Why there is no answer at all, or not all of it.
    pub fn from_transport(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::Timeout;
        }
        let is_connect = error.is_connect();
        // The innermost cause is what the system said; the address may hold a password.
        let error = error.without_url();
        let mut cause: &dyn Error = &error;
        let mut tls = None;
        loop {
            tls = tls.or_else(|| tls_error(cause));
            match cause.source() {
                Some(source) => cause = source,
                None => break,
            }
        }
        if let Some(tls) = tls {
            return Self::Tls { reason: tls.to_string(), advice: advice(tls) };
        }
        match is_connect {
            true => Self::Unreachable(cause.to_string()),
            false => Self::Lost(cause.to_string()),
        }
    }

    /// Why an answer is no success. 200 is one with an error inside.
    pub fn from_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let code = status.as_u16();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let (true, Some(location)) = (status.is_redirection(), text(LOCATION)) {
            return Self::Moved { status: code, location: location.to_owned() };
        }
        let said = server_words::refusal(body);
        // First: the labels in these words may be any.
        if let (422, Some((said, at))) = (code, said.as_ref().zip(said.as_deref().and_then(clash)))
        {
            return Self::Clash { status: code, words: server_words::readable(said, at) };
        }
        let said = said.map(|it| server_words::readable(&it, 0));
        let words = said.clone().unwrap_or_else(|| server_words::words(body));
        let lower = words.to_lowercase();
        // A mistake in an expression is repeated in the words, whatever words are in it.
        let is_too_much =
            !lower.contains("parse error") && TOO_MUCH_WORDS.iter().any(|it| lower.contains(it));
        match code {
            401 | 403 => Self::Credentials(code),
            429 => Self::Busy { status: code, words, wait: wait(text(RETRY_AFTER)) },
            422 if lower.contains(AWAY_WORDS) => Self::Busy { status: code, words, wait: None },
            413 | 504 => Self::TooMuch { status: code, words },
            400 | 422 | 500..600 if is_too_much && said.is_some() => {
                Self::TooMuch { status: code, words }
            }
            500 | 502..600 => Self::Busy { status: code, words, wait: wait(text(RETRY_AFTER)) },
            _ if said.is_some() => Self::Refused { status: code, words },
            _ => Self::NotPrometheus(format!("status {code}: {words}")),
        }
    }

    /// What to do. `is_known` is whether the server has ever answered: one that never has is more
    /// likely a wrong address than one that is restarting.
    pub fn remedy(&self, is_known: bool) -> Remedy {
        match self {
            Self::Busy { wait, .. } => Remedy::Wait(*wait),
            Self::Unreachable(_) | Self::Lost(_) if is_known => Remedy::Wait(None),
            Self::Timeout => Remedy::Probe,
            Self::TooMuch { .. } | Self::TooLarge => Remedy::Halve,
            Self::Clash { .. } => Remedy::LeaveOut,
            _ => Remedy::None,
        }
    }

    /// The sentence that ends the run. `what` says whose query it was.
    pub fn about(self, what: &str, expr: &str, url: &str) -> HistoryError {
        HistoryError::NoAnswer(match self {
            Self::Unreachable(reason) => format!(
                "cannot reach {url}: {reason}; is the server running, and is this its address?"
            ),
            Self::Tls { reason, advice } => {
                format!("no safe connection to {url}: {reason}; {advice}")
            }
            Self::Lost(reason) => {
                format!("lost {url} while it answered for {what}: {reason}; try again{RESUME}")
            }
            Self::Timeout => format!(
                "{url} did not answer for {what} in time, not even for one step; use a simpler expression, \
                 or a longer history.timeout"
            ),
            Self::Credentials(status) => format!(
                "{url} demands credentials or refuses those it got (status {status}); put them into \
                 history.http_config of the configuration (basic_auth or authorization)"
            ),
            Self::Busy { status, words, .. } => format!(
                "{url} would not answer for {what}, however often it was asked (status {status}: {words}); \
                 try again later{RESUME}, or with a lower history.max_concurrency"
            ),
            Self::Moved { status, location } => {
                format!("{url} sends to {location} (status {status}); use that address")
            }
            Self::TooMuch { status, words }
            | Self::Clash { status, words }
            | Self::Refused { status, words } => {
                format!("{what}: the server says {words:?} (status {status}) about {expr}")
            }
            Self::NotPrometheus(reason) => format!(
                "{url} does not answer as Prometheus does ({reason}); is the address complete, with the \
                 path before /api/v1 if it has one?"
            ),
            Self::Partial(words) => format!(
                "{url} says that its answer for {what} lacks what some stores have ({words:?}): their hosts \
                 would be learnt as if they had not been there; try again when all of them answer{RESUME}"
            ),
            Self::TooLarge => format!(
                "the answer for {what} is larger than history.max_response_bytes even for one step; use \
                 fewer entities, or raise the limit (in training an answer is at most a twentieth or so of \
                 train.max_memory, too)"
            ),
        })
    }
}

impl fmt::Display for Reason {
    /// For a line of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason)
            | Self::Lost(reason)
            | Self::NotPrometheus(reason)
            | Self::Partial(reason) => f.write_str(reason),
            Self::Tls { reason, .. } => f.write_str(reason),
            Self::Timeout => f.write_str("no answer in time"),
            Self::TooLarge => f.write_str("a very large answer"),
            Self::Credentials(status) => write!(f, "status {status}"),
            Self::Moved { status, location } => write!(f, "status {status}: {location}"),
            Self::Busy { status, words, .. }
            | Self::TooMuch { status, words }
            | Self::Clash { status, words }
            | Self::Refused { status, words } => write!(f, "status {status}: {words}"),
        }
    }
}

/// Where a text says that label sets clash, in bytes; nothing when it does not.
fn clash(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    CLASH_WORDS.iter().filter_map(|it| lower.find(it)).min()
}

/// Seconds of a Retry-After; the form with a date counts as none.
fn wait(text: Option<&str>) -> Option<Duration> {
    let seconds: u64 = text?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

/// The TLS error that a cause is or carries: an I/O error is silent about what it wraps.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref().or_else(|| {
        let wrapped: &'a (dyn Error + 'static) =
            cause.downcast_ref::<std::io::Error>()?.get_ref()?;
        tls_error(wrapped)
    })
}

fn advice(error: &rustls::Error) -> &'static str {
    use rustls::{AlertDescription, CertificateError, Error};
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "put the certificate of its authority into history.http_config.tls_config.ca_file",
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "use an address with a name that the certificate holds",
        Error::InvalidCertificate(_) => "the server needs another certificate",
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => "the server wants to see a certificate: set cert_file and key_file in tls_config",
        Error::InvalidMessage(_) => "does it speak TLS at this port? if not, write http://",
        _ => "see tls_config in history.http_config",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: Remedy) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        let reason = Reason::from_answer(status, &headers, body.as_bytes());
        assert_eq!(reason.remedy(true), expected, "{reason:?}");
    }

    fn said(error: &str) -> String {
        format!(r#"{{"status":"error","errorType":"x","error":"{error}"}}"#)
    }

    #[test]
    fn what_servers_say_has_a_remedy() {
        let seven = || Remedy::Wait(Some(Duration::from_secs(7)));
        let resolution = "exceeded maximum resolution of 11,000 points per timeseries";
        check(400, &said(resolution), Remedy::Halve);
        check(422, &said("query processing would load too many samples"), Remedy::Halve);
        check(422, &said("the query exceeded the limit (err-mimir-max-chunks)"), Remedy::Halve);
        check(503, &said("query timed out in expression evaluation"), Remedy::Halve);
        check(413, "", Remedy::Halve);
        check(504, "<p>gateway</p>", Remedy::Halve);
        check(429, &said("too many outstanding requests"), seven());
        check(500, "", seven());
        check(502, "<p>bad gateway: limit</p>", seven());
        check(503, "", seven());
        let away = "proxy Series(): rpc error: code = Aborted desc = fetch series for {} Addr: a:1: rpc \
                    error: code = Unavailable desc = connect: connection refused";
        check(422, &said(away), Remedy::Wait(None));
        check(400, &said("1:7: parse error: unexpected rate_limit{"), Remedy::None);
        check(422, &said("label_replace: invalid regular expression"), Remedy::None);
        check(401, "", Remedy::None);
        check(404, "", Remedy::None);
        check(501, "", Remedy::None);
    }

    #[test]
    fn label_sets_that_clash_are_told_by_the_words() {
        let group = r#"found duplicate series for the match group {quota=\"rate limit exceeded\"} on the right hand-side of the operation: [{a=\"1\"}, {a=\"2\"}];many-to-many matching not allowed: matching labels must be unique on one side"#;
        check(422, &said(group), Remedy::LeaveOut);
        let one = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
        check(422, &said(one), Remedy::LeaveOut);
        check(422, &said("vector cannot contain metrics with the same labelset"), Remedy::LeaveOut);
        check(422, &said("duplicate output timeseries: a{}"), Remedy::LeaveOut);
        check(400, &said("1:7: parse error: multiple matches for labels"), Remedy::None);
        check(500, &said("vector cannot contain metrics with the same labelset"), {
            Remedy::Wait(Some(Duration::from_secs(7)))
        });
        // The query stands before the words, however long it is.
        let long = format!("error when executing query={}: ", "x".repeat(400));
        let body = said(&format!("{long}duplicate time series on the left side of / on(a)"));
        check(422, &body, Remedy::LeaveOut);
        let reason = Reason::from_answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            &HeaderMap::new(),
            body.as_bytes(),
        );
        let text = "status 422: duplicate time series on the left side of / on(a)";
        assert_eq!(reason.to_string(), text);
    }

    #[test]
    fn a_server_that_never_answered_is_not_waited_for() {
        let reason = Reason::Unreachable(String::new());
        assert_eq!(reason.remedy(false), Remedy::None);
        assert_eq!(reason.remedy(true), Remedy::Wait(None));
    }

    #[test]
    fn a_wait_is_bounded() {
        assert_eq!(wait(Some("3")), Some(Duration::from_secs(3)));
        assert_eq!(wait(Some("999999")), Some(MAX_WAIT));
        assert_eq!(wait(Some("Fri, 31 Dec 1999 23:59:59 GMT")), None);
    }
}
