//! A server: one address, how to speak to it, and one query at a time.
//!
//! In: an address, the `history` section. Out: the body of each successful answer, or the reason
//! why there is none. Nothing that it says holds a secret.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use reqwest::{RequestBuilder, StatusCode, Url};

use super::config::{HistoryConfig, address};
use super::identity::Identity;
use super::reason::Reason;
use crate::history::error::HistoryError;
use crate::http_client::{self, HttpClient, HttpClientError, HttpTimeouts};

/// Rather an error than an answer without the series of a store that is away: the words for that of Thanos
/// and of VictoriaMetrics.
const WHOLE: [(&str, &str); 2] = [("partial_response", "false"), ("deny_partial_response", "1")];

/// What one query asks: an expression at `count` steps from a start on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub expr: &'a str,
    pub start_ms: i64,
    pub step_ms: i64,
    pub count: usize,
}

impl Ask<'_> {
    /// The last of its steps.
    pub fn last_ms(&self) -> i64 {
        self.start_ms + (self.count as i64 - 1) * self.step_ms
    }
}

/// One address and how to speak to it.
pub(crate) struct Server {
    client: HttpClient,
    /// That of the API, with a slash at its end.
    url: Url,
    max_response_bytes: usize,
    /// The address without credentials, for messages.
    pub shown: String,
    /// What decides an answer besides the query.
    pub identity: Identity,
    is_known: AtomicBool,
    /// Waits for it in a row that the log has a line of.
    pub waits_told: AtomicU32,
}

impl Server {
    /// Reads the files that the configuration names; asks nothing yet.
    pub fn new(text: &str, config: &HistoryConfig) -> Result<Self, HistoryError> {
        let mut url = address(text)?;
        let shown = http_client::shown(&url);
        let timeouts = HttpTimeouts {
            connect: config.connect_timeout.to_std(),
            whole: config.timeout.to_std(),
        };
        let client = HttpClient::new(&url, &config.http_config, timeouts).map_err(unusable)?;
        // With other credentials a server may tell another tenant's history.
        let mut identity = Identity::new(&shown);
        let tell = |name: &str, value: &[u8]| identity.add(name, value);
        client.identify(&url, &config.http_config, tell).map_err(unusable)?;
        url.set_path(&format!("{}/api/v1/", url.path().trim_end_matches('/')));
        Ok(Self {
            client,
            url,
            max_response_bytes: config.max_response_bytes.as_len(),
            shown,
            identity,
            is_known: AtomicBool::new(false),
            waits_told: AtomicU32::new(0),
        })
    }

    /// Whether it has ever answered, whatever it said.
    pub fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// One query. Gives the body of a successful answer. It may travel compressed, and is looked at piece
    /// by piece as it unfolds, so that a small one that unfolds to a very large one ends at the limit.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Vec<u8>, Reason> {
        let form = [
            ("query", ask.expr),
            ("start", &seconds(ask.start_ms)),
            ("end", &seconds(ask.last_ms())),
            ("step", &seconds(ask.step_ms)),
            // VictoriaMetrics moves start and end to where its cache has them, unless it may not
            // use it. The others do not know this one.
            ("nocache", "1"),
        ];
        self.answer(self.post("query_range", &form)).await
    }

    /// The value of an expression at one time. Gives the body of a successful answer.
    pub async fn ask_at(&self, expr: &str, time_ms: i64) -> Result<Vec<u8>, Reason> {
        self.answer(self.post("query", &[("query", expr), ("time", &seconds(time_ms))])).await
    }

    /// What it says of itself at a path of the API. Gives the body of a successful answer.
    pub async fn look(&self, path: &str) -> Result<Vec<u8>, Reason> {
        self.answer(self.client.get(self.at(path))).await
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Vec<u8>, Reason> {
        let mut response = request.send().await.map_err(Reason::from_transport)?;
        self.is_known.store(true, Ordering::Relaxed);
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(Reason::from_transport)? {
            if body.len() + piece.len() > self.max_response_bytes {
                return Err(Reason::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        match status {
            StatusCode::OK => Ok(body),
            status => Err(Reason::from_answer(status, response.headers(), &body)),
        }
    }

    /// As a form: long expressions do not fit into an address.
    fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(self.at(path)).form(&[form, &WHOLE].concat())
    }

    fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap_or_else(|_| self.url.clone())
    }
}

fn unusable(error: HttpClientError) -> HistoryError {
    match error {
        HttpClientError::TwoCredentials => HistoryError::TwoCredentials,
        HttpClientError::File { key, path, reason } => {
            HistoryError::File { key: format!("history.http_config.{key}"), path, reason }
        }
        HttpClientError::Unusable { reason } => HistoryError::Client { reason },
    }
}

/// Milliseconds as servers take them.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
}
