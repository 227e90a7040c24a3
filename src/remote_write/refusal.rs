//! Refusal: why a request, or a part of it, was not taken in, and what the sender is told.
//!
//! The one place where an outcome becomes a status. A sender drops its data for good on any 4xx
//! (but 429), so those are only for what will never succeed; what may succeed later is 503.
//! Source of the statuses: remote-write specification 2.0 "Response", and for what that leaves open
//! the behaviour of Prometheus's own receiver.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::clip::clip;
use super::decode::Invalid;
use super::in_flight::Exhausted;
use super::wire::WireError;
use crate::bytesize::ByteSize;
use crate::response::text;
use crate::series::{Outcome, Rejected};

/// Why a request did not fully succeed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Another method than POST.
    #[error("remote-write requests must use POST")]
    Method,
    /// A type or message that is not known.
    #[error(
        "content type {:?} is not accepted; send application/x-protobuf with \
         proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request",
        clip(.0)
    )]
    ContentType(String),
    /// A compression that is not known.
    #[error("content encoding {:?} is not accepted; send snappy (block format)", clip(.0))]
    ContentEncoding(String),
    /// The body is longer than allowed.
    #[error("the body is larger than {0} (remote_write.max_body_bytes)")]
    BodyTooLarge(ByteSize),
    /// The body would be longer than allowed when decompressed.
    #[error(
        "the body decompresses to {declared} bytes, more than {limit} (remote_write.max_decoded_bytes)"
    )]
    DecodedTooLarge {
        /// What the body says.
        declared: usize,
        /// What is allowed.
        limit: ByteSize,
    },
    /// The body was decompressed up to what is allowed, and that is not all.
    #[error("the body decompresses to more than {0} (remote_write.max_decoded_bytes)")]
    DecodedBeyond(ByteSize),
    /// More series, samples, symbols or bytes of labels than one request may have.
    #[error(
        "the request has more than {limit} {} (remote_write.max_{what}_per_request)",
        what.replace('_', " ")
    )]
    TooMany {
        /// Of what.
        what: &'static str,
        /// What is allowed.
        limit: usize,
    },
    /// Not a byte.
    #[error("the body is empty")]
    EmptyBody,
    /// Says that it expands more than snappy can.
    #[error(
        "the body is not snappy (block format): {compressed} bytes cannot decompress to {declared}"
    )]
    ImpossibleExpansion {
        /// What the body says.
        declared: usize,
        /// Its length.
        compressed: usize,
    },
    /// Not a snappy block.
    #[error("the body is not snappy (block format): {0}")]
    Snappy(#[source] snap::Error),
    /// Begins as zstd and is none.
    #[error("the body is not zstd: {0}")]
    Zstd(String),
    /// Not a protobuf message.
    #[error("the body is not a protobuf message: {0}")]
    Wire(#[source] WireError),
    /// The connection broke or the body was framed wrongly.
    #[error("the body could not be read: {0}")]
    BodyBroken(String),
    /// The symbols of remote-write 2.0 are not as they must be.
    #[error("the request has no symbols, or the first one is not the empty text")]
    Symbols,
    /// Some samples or series were not taken in, the rest was.
    #[error("{0}")]
    Partial(Box<Partial>),
    /// The body came too slowly.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The body came at less than the slowest pace.
    #[error("{0}; try again")]
    BodySlow(String),
    /// Too many requests are in memory.
    #[error("too much is being received at once (remote_write.max_in_flight_bytes); try again")]
    OutOfMemoryBudget,
    /// Too many requests of the same peer are in memory.
    #[error(
        "too much is being received from this address at once \
         (remote_write.max_in_flight_bytes_per_peer); try again"
    )]
    OutOfPeerBudget,
    /// Nobody takes samples at the moment.
    #[error("{0}; try again")]
    Unavailable(Unavailable),
}

/// Why nobody takes samples at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Models are being loaded.
    #[error("portent is starting")]
    Starting,
    /// The queue to the rings is full, or the answer did not come in time.
    #[error("portent is overloaded")]
    Overloaded,
    /// The program ends.
    #[error("portent is shutting down")]
    ShuttingDown,
}

/// The parts of a request that were not taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// Samples in the request.
    pub total: u64,
    /// What became of those that were good.
    pub outcome: Outcome,
    /// What was not.
    pub invalid: Invalid,
}

impl std::fmt::Display for Partial {
    /// Totals first, because a sender logs only the beginning; then at most a few examples.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Invalid { series, histograms, exemplars, .. } = self.invalid;
        let refused = self.outcome.rejected() + self.invalid.samples;
        let mut begin = "";
        if refused > 0 {
            write!(f, "{refused} of {} samples were not taken in", self.total)?;
            begin = "; ";
        }
        let counts = [
            (self.outcome.too_old, "too old"),
            (self.outcome.too_new, "too far in the future"),
            (self.outcome.conflicting, "with another value than before"),
            (self.outcome.over_limit, "beyond a limit"),
            (self.outcome.deferred, "of new series beyond those of a second, to come again"),
            (self.invalid.samples, "of invalid series"),
        ];
        let mut separator = ": ";
        for (count, reason) in counts.iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {reason}")?;
            separator = ", ";
        }
        for (count, what) in [
            (series, "series are invalid"),
            (histograms, "histograms are invalid"),
            (exemplars, "exemplars are invalid"),
            (self.outcome.exemplars_out_of_order, "exemplars are out of order"),
        ] {
            if count > 0 {
                write!(f, "{begin}{count} {what}")?;
                begin = "; ";
            }
        }
        let invalid = self.invalid.examples.iter().map(|example| clip(example));
        let rejected = self.outcome.example.iter().map(|example| {
            let Rejected { labels, timestamp_ms, reason } = example;
            // Only the labels are the sender's text; however long they are, the reason is told.
            format!("the sample of {} at {timestamp_ms} ms {reason}", clip(&labels.to_string()))
        });
        let late = self.outcome.late_exemplar.iter().map(|(labels, timestamp_ms)| {
            format!(
                "the exemplar of {} at {timestamp_ms} ms is older than the newest one by more than is kept",
                clip(&labels.to_string())
            )
        });
        for (i, example) in invalid.chain(rejected).chain(late).enumerate() {
            write!(f, "{}{example}", if i == 0 { "; for example: " } else { "; " })?;
        }
        Ok(())
    }
}

impl From<Exhausted> for Refusal {
    fn from(limit: Exhausted) -> Self {
        match limit {
            Exhausted::All => Self::OutOfMemoryBudget,
            Exhausted::Peer => Self::OutOfPeerBudget,
        }
    }
}

impl Refusal {
    /// Whether a part of the request is for later. The whole comes again then: what was taken in the first time
    /// is there already, and what is refused for good is refused once more.
    fn is_deferred(&self) -> bool {
        matches!(self, Self::Partial(partial) if partial.outcome.deferred > 0)
    }

    /// The status by which the sender knows whether to try again.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Partial(_) if self.is_deferred() => StatusCode::SERVICE_UNAVAILABLE,
            // RFC 9110 section 15.5.6.
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            // 2.0 "Content-Type", "Content-Encoding": unsupported MUST be 415.
            Self::ContentType(_) | Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            // RFC 9110 section 15.5.14; Prometheus answers so for the compressed size. The same
            // request will always be too large, so dropping it is right.
            Self::BodyTooLarge(_)
            | Self::DecodedTooLarge { .. }
            | Self::DecodedBeyond(_)
            | Self::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            // 2.0 "Invalid Samples": part or all, 400. vmagent sends such a body again in snappy.
            Self::EmptyBody
            | Self::ImpossibleExpansion { .. }
            | Self::Snappy(_)
            | Self::Zstd(_)
            | Self::Wire(_)
            | Self::Symbols
            | Self::Partial(_) => StatusCode::BAD_REQUEST,
            // 2.0 "Retries & Backoff": 5xx is tried again. A body that broke off or came slowly may
            // come whole the next time, so these are not 400 and 408.
            Self::BodyBroken(_)
            | Self::BodyTimeout
            | Self::BodySlow(_)
            | Self::OutOfMemoryBudget
            | Self::OutOfPeerBudget
            | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Every reason that [`Refusal::reason`] gives.
    pub const REASONS: [&str; 20] = [
        "method",
        "content_type",
        "content_encoding",
        "max_body_bytes",
        "max_decoded_bytes",
        "max_per_request",
        "empty",
        "snappy",
        "zstd",
        "protobuf",
        "partial",
        "max_new_series_per_second",
        "body_broken",
        "body_timeout",
        "body_slow",
        "max_in_flight_bytes",
        "max_in_flight_bytes_per_peer",
        "starting",
        "overloaded",
        "shutting_down",
    ];

    /// The reason as a label value.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Partial(_) if self.is_deferred() => "max_new_series_per_second",
            Self::Method => "method",
            Self::ContentType(_) => "content_type",
            Self::ContentEncoding(_) => "content_encoding",
            Self::BodyTooLarge(_) => "max_body_bytes",
            Self::DecodedTooLarge { .. } | Self::DecodedBeyond(_) => "max_decoded_bytes",
            Self::TooMany { .. } => "max_per_request",
            Self::EmptyBody => "empty",
            Self::ImpossibleExpansion { .. } | Self::Snappy(_) => "snappy",
            Self::Zstd(_) => "zstd",
            Self::Wire(_) | Self::Symbols => "protobuf",
            Self::Partial(_) => "partial",
            Self::BodyBroken(_) => "body_broken",
            Self::BodyTimeout => "body_timeout",
            Self::BodySlow(_) => "body_slow",
            Self::OutOfMemoryBudget => "max_in_flight_bytes",
            Self::OutOfPeerBudget => "max_in_flight_bytes_per_peer",
            Self::Unavailable(Unavailable::Starting) => "starting",
            Self::Unavailable(Unavailable::Overloaded) => "overloaded",
            Self::Unavailable(Unavailable::ShuttingDown) => "shutting_down",
        }
    }

    /// The whole answer. What may pass is to be tried again after so many seconds.
    #[must_use]
    pub fn response(&self, retry_after: u32) -> Response<Full<Bytes>> {
        let status = self.status();
        let mut response = text(status, self.to_string());
        let headers = response.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::Duration;
    use crate::labels::Labels;
    use crate::series::Rejection;

    const AHEAD: Rejection = Rejection::TooNew {
        ahead: Duration::from_seconds(750),
        limit: Duration::from_seconds(600),
    };

    fn rejected(metric: &str, reason: Rejection) -> Rejected {
        let labels = Labels::from_pairs([("__name__", metric)]).expect("one name");
        Rejected { labels, timestamp_ms: 1, reason }
    }

    #[test]
    fn a_clock_that_is_ahead_is_told_by_how_much() {
        let example = Some(rejected("up", AHEAD));
        let outcome = Outcome { too_new: 1, example, ..Outcome::default() };
        let partial = Partial { total: 1, outcome, ..Partial::default() };
        assert_eq!(
            Refusal::Partial(Box::new(partial)).to_string(),
            "1 of 1 samples were not taken in: 1 too far in the future; for example: the sample of \
             up at 1 ms is 12m30s ahead of this machine's clock, more than storage.max_future \
             (10m) allows"
        );
    }

    #[test]
    fn a_partial_failure_says_totals_first() {
        let partial = Partial {
            total: 100,
            outcome: Outcome {
                stored: 90,
                too_old: 3,
                conflicting: 1,
                example: Some(rejected("up", Rejection::TooOld)),
                ..Outcome::default()
            },
            invalid: Invalid {
                series: 2,
                samples: 6,
                examples: vec!["a series has no metric name: {a=\"b\"}".to_owned()],
                ..Invalid::default()
            },
        };
        assert_eq!(
            partial.to_string(),
            "10 of 100 samples were not taken in: 3 too old, 1 with another value than before, \
             6 of invalid series; 2 series are invalid; for example: a series has no metric name: \
             {a=\"b\"}; the sample of up at 1 ms is older than what is kept"
        );
    }

    #[test]
    fn what_has_no_samples_says_what_it_has() {
        let invalid = Invalid { series: 2, histograms: 3, exemplars: 1, ..Invalid::default() };
        let partial = Partial { invalid, ..Partial::default() };
        let text = "2 series are invalid; 3 histograms are invalid; 1 exemplars are invalid";
        assert_eq!(partial.to_string(), text);
    }

    #[test]
    fn an_answer_stays_short_whatever_the_sender_wrote() {
        let long = "ä".repeat(10_000);
        let answer = Refusal::ContentType(long.clone()).to_string();
        assert!(answer.len() < 400, "{}", answer.len());
        let partial = Partial {
            outcome: Outcome {
                too_new: 1,
                example: Some(rejected(&long, AHEAD)),
                ..Outcome::default()
            },
            invalid: Invalid {
                series: 3,
                samples: 3,
                examples: vec![long; 3],
                ..Invalid::default()
            },
            total: 4,
        };
        let answer = partial.to_string();
        assert!(answer.len() < 1024, "{}", answer.len());
        assert!(
            answer.ends_with("storage.max_future (10m) allows"),
            "the reason is told: {answer}"
        );
    }

    /// Whatever else is wrong with it.
    fn deferred() -> Refusal {
        let outcome = Outcome { stored: 5, too_old: 1, deferred: 2, ..Outcome::default() };
        let partial = Partial { total: 8, outcome, ..Partial::default() };
        Refusal::Partial(Box::new(partial))
    }

    #[test]
    fn what_is_deferred_is_told_beside_what_is_refused() {
        let expected = "3 of 8 samples were not taken in: 1 too old, 2 of new series beyond those of a second, to \
                        come again";
        assert_eq!(deferred().to_string(), expected);
        assert_eq!(deferred().reason(), "max_new_series_per_second");
    }

    #[test]
    fn what_may_pass_is_never_a_client_error() {
        for refusal in [
            deferred(),
            Refusal::BodyTimeout,
            Refusal::BodyBroken("reset".to_owned()),
            Refusal::BodySlow("slow".to_owned()),
            Refusal::OutOfMemoryBudget,
            Refusal::OutOfPeerBudget,
            Refusal::Unavailable(Unavailable::Overloaded),
            Refusal::Unavailable(Unavailable::ShuttingDown),
            Refusal::Unavailable(Unavailable::Starting),
        ] {
            let response = refusal.response(7);
            assert_eq!(response.status(), 503, "{refusal}");
            assert_eq!(response.headers()[RETRY_AFTER], "7", "{refusal}");
        }
        let forever = Refusal::EmptyBody.response(7);
        assert!(!forever.headers().contains_key(RETRY_AFTER));
    }
}
