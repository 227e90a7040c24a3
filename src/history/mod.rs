//! History: what was measured, as one recording, from a server or from a file.
//!
//! In: a Prometheus-compatible server (Prometheus, Mimir, Thanos, VictoriaMetrics) with ranges of
//! time and PromQL texts, or a CSV file; and what is to be left out. Out: a [`Recording`].
//!
//! ```text
//! question ─▶ server ─▶ recording ─▶ Recording
//! texts,      JSON      entities,    steps×values
//! steps                 sample
//! table ───────────────────────────▶ Recording
//! ```
//!
//! Rooms, and the arrows between them, which `tests/tidy.rs` keeps: `error` and `marks` (nouns; use
//! nothing), `table` (a CSV file), `server` (how one query is asked), `question` (what is asked, and at
//! which steps; uses `server` for its settings alone), `recording` (asks everything and puts the answers
//! together; uses `question` and `server`). Tables and servers know nothing of each other.
//!
//! The server evaluates the very texts that serving evaluates, so that there is no second way to
//! compute a feature. A range is asked for in pieces, since servers refuse too many steps at once;
//! pieces are asked for in parallel, again when the server is busy, and smaller when it says they
//! are too much. Where it refuses a feature, since label sets clash, it is asked by a text that
//! leaves out the groups that do, as serving does; a step that is refused all the same is left out
//! and counted. The result depends neither on the order of answers nor on the size of pieces.
//! Gaps stay gaps, and an incomplete answer ends the run. If there is room for some entities only, the server is
//! first asked which there are; a sample of them is drawn, and the others are left out of the queries if their
//! text allows it. VictoriaMetrics computes `rate` and `increase` in its own way, without
//! extrapolation: its values are near those of serving, not the same.
//!
//! Only `server` and `recording::fetch` are asynchronous. Credentials appear in no message, log line or file.
//!
//! Source: Prometheus documentation "HTTP API", range queries; its `web/api/v1/api.go`.

use crate::features::{FeatureSpec, Recording};
use crate::labels::Labels;

mod error;
mod marks;
mod question;
mod recording;
mod server;
mod table;

pub use error::HistoryError;
pub use marks::{Incident, LabelledSteps, Marks};
pub use question::query::{Exclusions, HistoryQuery, Range, RangeQuery, Source};
pub(crate) use recording::progress::Progress;
pub use recording::read_incidents;
pub use recording::sample::{Extent, Sampling};
pub use server::config::{HistoryConfig, HistoryConfigError};
pub use server::inquiry::{Inquiry, Instant};
pub use table::{LabelTable, each_time, read_labels};

use recording::Who;
use server::patience::PATIENCE;

/// A recording, and what its columns are.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// What was measured.
    pub recording: Recording,
    /// The features in the order of the columns. For a server: those that were asked for.
    pub features: Vec<FeatureSpec>,
}

/// Refuses what is not the address of a server.
///
/// # Errors
/// [`HistoryError::Url`], without credentials.
pub fn check_address(url: &str) -> Result<(), HistoryError> {
    server::config::address(url).map(drop)
}

/// Reads history. Shows progress where standard error is a terminal, and logs it elsewhere.
///
/// # Errors
/// Each with the next step to take; see [`HistoryError`].
///
/// # Panics
/// Within an asynchronous task, as it waits for answers of a server.
pub fn read(query: &HistoryQuery) -> Result<History, HistoryError> {
    recorded(query, Who::All)
}

/// Reads the history of these entities alone, which are some of many: a server is asked for no other where
/// the text of a question allows it. A file is read whole.
///
/// # Errors
/// As [`read`]; [`HistoryError::NoData`] where nothing is known of any of them.
///
/// # Panics
/// As [`read`].
pub fn read_of(query: &HistoryQuery, entities: &[Labels]) -> Result<History, HistoryError> {
    recorded(query, Who::These(entities))
}

/// Reads history, of a sample of a server's entities where there are more than there is room for. A file
/// is read whole.
///
/// # Errors
/// As [`read`], and when there is no room for a single entity.
///
/// # Panics
/// As [`read`].
pub fn read_sample(query: &HistoryQuery, sampling: &Sampling<'_>) -> Result<History, HistoryError> {
    recorded(query, Who::Sample(sampling))
}

fn recorded(query: &HistoryQuery, who: Who<'_>) -> Result<History, HistoryError> {
    let mut history = match &query.source {
        Source::Csv(_) if !query.exclude.queries.is_empty() => {
            return Err(HistoryError::ExcludeFromCsv);
        }
        Source::Csv(path) => {
            let (recording, features) = table::read(path, &query.features, query.zone.as_ref())?;
            History { recording, features }
        }
        Source::Server(source) => {
            let recording = recording::from_server(query, source, who, PATIENCE)?;
            History { recording, features: query.features.clone() }
        }
    };
    recording::exclude::mark_ranges(&mut history.recording, &query.exclude.ranges);
    match history.recording.is_all_excluded() {
        true => Err(HistoryError::AllExcluded),
        false => Ok(history),
    }
}

#[cfg(test)]
mod tests;
