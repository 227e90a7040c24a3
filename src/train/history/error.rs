//! Why there is no history, each with the next step to take.

use crate::features::FeatureSpec;

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Not an address.
    #[error(
        "{url:?} is not the address of a server ({reason}); write it as in http://localhost:9090"
    )]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Start, end and step make no range.
    #[error("the range is empty: its start must not be after its end, and its step above 0")]
    Range,
    /// No connection.
    #[error("cannot reach {url}: {reason}; is the server running, and is this its address?")]
    Unreachable {
        /// The server.
        url: String,
        /// The system's own words.
        reason: String,
    },
    /// The connection was lost.
    #[error("lost {url} while it answered for feature {feature:?}: {reason}; try again")]
    Lost {
        /// The server.
        url: String,
        /// The feature.
        feature: String,
        /// The system's own words.
        reason: String,
    },
    /// It took too long.
    #[error(
        "{url} did not answer for feature {feature:?} in time; use a shorter range, a longer step \
         or a simpler expression"
    )]
    Timeout {
        /// The server.
        url: String,
        /// The feature.
        feature: String,
    },
    /// 401 or 403.
    #[error(
        "{url} demands credentials or refuses those it got (status {status}); put them into the \
         address: http://USER:PASSWORD@HOST"
    )]
    Credentials {
        /// The server.
        url: String,
        /// The status.
        status: u16,
    },
    /// The server says what is wrong with a query.
    #[error("feature {feature:?}: the server says {words:?} (status {status}) about {expr}")]
    Refused {
        /// The feature.
        feature: String,
        /// Its expression.
        expr: String,
        /// The status.
        status: u16,
        /// The server's own words.
        words: String,
    },
    /// Something else answers.
    #[error(
        "{url} does not answer as Prometheus does ({reason}); is the address complete, with the \
         path before /api/v1 if it has one?"
    )]
    NotPrometheus {
        /// The server.
        url: String,
        /// What it said.
        reason: String,
    },
    /// More bytes than are kept.
    #[error(
        "the answer for feature {feature:?} is larger than 512 MiB; use a longer step or fewer \
         entities"
    )]
    TooLarge {
        /// The feature.
        feature: String,
    },
    /// More values than fit.
    #[error(
        "{entities} entities, {steps} steps and {features} features are too many values; use a \
         longer step, a shorter range or fewer entities"
    )]
    TooMuch {
        /// Entities so far.
        entities: usize,
        /// Steps.
        steps: usize,
        /// Features.
        features: usize,
    },
    /// A feature without a value.
    #[error(
        "the server has no value for {features} at any of {steps} steps of {step} from {from} on; \
         look at the expressions in the server's own page, and at the range"
    )]
    NoData {
        /// The features.
        features: String,
        /// The first step.
        from: String,
        /// How many steps.
        steps: usize,
        /// Their distance.
        step: String,
    },
    /// A feature has two values for one entity.
    #[error(
        "feature {feature:?} has two series for the entity {entity}: aggregate them, as in \
         `sum by (...) (...)`; the expression is {expr}"
    )]
    Twice {
        /// The feature.
        feature: String,
        /// The entity.
        entity: String,
        /// Its expression.
        expr: String,
    },
    /// A result cannot be told an entity's.
    #[error(
        "feature {feature:?} has a series {labels} without the label {lacking}: keep the entity \
         labels ({entity}) in its expression, or choose others"
    )]
    NoEntity {
        /// The feature.
        feature: String,
        /// The result's labels.
        labels: String,
        /// Entity labels that it does not have.
        lacking: String,
        /// The entity labels.
        entity: String,
    },
}

/// Why a query has no answer, before it is known whose query it was.
pub(super) enum Reason {
    Unreachable(String),
    Lost(String),
    Timeout,
    Credentials(u16),
    Refused { status: u16, words: String },
    NotPrometheus(String),
    TooLarge,
}

impl Reason {
    pub fn from_transport(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::Timeout;
        }
        let is_connect = error.is_connect();
        // The innermost cause is what the system said; the address may hold a password.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        match is_connect {
            true => Self::Unreachable(cause.to_string()),
            false => Self::Lost(cause.to_string()),
        }
    }

    pub fn for_feature(self, feature: &FeatureSpec, url: &str) -> HistoryError {
        let (url, expr, feature) = (url.to_owned(), &feature.expr, feature.name.clone());
        match self {
            Self::Unreachable(reason) => HistoryError::Unreachable { url, reason },
            Self::Lost(reason) => HistoryError::Lost { url, feature, reason },
            Self::Timeout => HistoryError::Timeout { url, feature },
            Self::Credentials(status) => HistoryError::Credentials { url, status },
            Self::Refused { status, words } => {
                HistoryError::Refused { feature, expr: expr.clone(), status, words }
            }
            Self::NotPrometheus(reason) => HistoryError::NotPrometheus { url, reason },
            Self::TooLarge => HistoryError::TooLarge { feature },
        }
    }
}
