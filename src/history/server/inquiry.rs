//! An inquiry: single questions to a server, about now and about the server itself.
//!
//! In: an address, the `history` section, expressions. Out: label sets and values, or the server's words for
//! why there are none. A server that cannot be reached, or is none, ends the inquiry; a refusal is of one
//! question. Nothing is asked again on its own.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::answer;
use super::client::Server;
use super::config::HistoryConfig;
use super::reason::Reason;
use crate::history::error::HistoryError;
use crate::labels::Labels;

/// Label sets and values, or why there is no answer.
pub type Instant = Result<Vec<(Labels, f64)>, String>;

/// A server that can be asked.
pub struct Inquiry {
    server: Arc<Server>,
    runtime: Runtime,
    max_concurrency: usize,
}

impl Inquiry {
    /// Reads the files that the section names; asks nothing yet.
    ///
    /// # Errors
    /// What is wrong with the address or the section.
    pub fn new(url: &str, config: &HistoryConfig) -> Result<Self, HistoryError> {
        let server = Arc::new(Server::new(url, config)?);
        Ok(Self { server, runtime: runtime()?, max_concurrency: config.max_concurrency })
    }

    /// The address without credentials.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.server.shown
    }

    /// The value of each expression at one time, several at a time.
    ///
    /// # Errors
    /// When there is no server, or none that wants to answer; see [`HistoryError`].
    ///
    /// # Panics
    /// Within an asynchronous task.
    pub fn instants(&self, exprs: &[String], time_ms: i64) -> Result<Vec<Instant>, HistoryError> {
        let mut answers: Vec<Instant> = exprs.iter().map(|_| Ok(Vec::new())).collect();
        self.runtime.block_on(async {
            let mut asked = JoinSet::new();
            let mut left = exprs.iter().cloned().enumerate();
            loop {
                while asked.len() < self.max_concurrency
                    && let Some((i, expr)) = left.next()
                {
                    let server = Arc::clone(&self.server);
                    asked.spawn(async move {
                        let answer = server.ask_at(&expr, time_ms).await;
                        (i, answer.and_then(|body| answer::parse_instant(&body)), expr)
                    });
                }
                let Some(done) = asked.join_next().await else { return Ok(answers) };
                let (i, answer, expr) = done.expect("an answer is read without a panic");
                answers[i] = match answer {
                    Err(reason) if ends(&reason) => {
                        return Err(reason.about("a question", &expr, self.shown()));
                    }
                    answer => answer.map_err(|reason| reason.to_string()),
                };
            }
        })
    }

    /// What the server says of itself at a path below `/api/v1/`, or why it does not.
    ///
    /// # Panics
    /// As [`Inquiry::instants`].
    pub fn look(&self, path: &str) -> Result<serde_json::Value, String> {
        let answer = self.runtime.block_on(self.server.look(path));
        answer.and_then(|body| answer::data(&body)).map_err(|reason| reason.to_string())
    }
}

/// What waits for answers.
pub(crate) fn runtime() -> Result<Runtime, HistoryError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(HistoryError::Start)
}

/// Whether there is no use in further questions.
fn ends(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::Unreachable(_)
            | Reason::Tls { .. }
            | Reason::Credentials(_)
            | Reason::Moved { .. }
            | Reason::NotPrometheus(_)
    )
}
