//! Why nobody can be told, and why somebody was not.

use std::time::Duration;

use crate::http_client::HttpClientError;

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Credentials, certificates or headers.
    #[error("notify: {target}: {source}")]
    Client {
        /// The receiver and what of it.
        target: String,
        /// Why.
        #[source]
        source: HttpClientError,
    },
    /// A file with a secret.
    #[error("notify: {target}: cannot use {path}: {reason}")]
    File {
        /// The receiver and what of it.
        target: String,
        /// The file.
        path: String,
        /// What is wrong with it; never what is in it.
        reason: String,
    },
    /// Matchers, a server of e-mail, or how to speak to it.
    #[error("notify: {target}: {reason}")]
    Unusable {
        /// The receiver and what of it.
        target: String,
        /// What is wrong; never a secret.
        reason: String,
    },
    /// A secret that cannot be used.
    #[error("notify: {target}: {reason}")]
    Secret {
        /// The receiver and what of it.
        target: String,
        /// What is wrong with it; never what it is.
        reason: &'static str,
    },
}

/// Why a receiver was not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In its own words, or the system's.
    pub reason: String,
    /// It did not understand: the same request would fail again.
    pub is_refusal: bool,
    /// How long it wants to be left alone.
    pub wait: Option<Duration>,
}
