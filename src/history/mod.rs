//! History: what was measured, as one recording, from a server or from a file.
//!
//! In: a Prometheus-compatible server (Prometheus, Mimir, Thanos, VictoriaMetrics) with ranges of
//! time and PromQL texts, or a CSV file; and what is to be left out. Out: a [`Recording`].
//!
//! ```text
//! client ─▶ fetch ─▶ answer ─▶ collect ─▶ recording
//! address   pieces   JSON      entities    steps×values
//!              ▲▼ resume: answers on disk
//! table ──────────────────────────────────▶ recording
//! ```
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
//! Only `client`, `fetch` and `inquiry` are asynchronous. Credentials appear in no message, log line or file.
//!
//! Source: Prometheus documentation "HTTP API", range queries; its `web/api/v1/api.go`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::features::{FeatureSpec, Freshness, Recording};
use crate::labels::Labels;
use crate::timestamp::Zone;

mod answer;
mod client;
mod collect;
mod config;
mod error;
mod exclude;
mod fetch;
mod grid;
mod groups;
mod identity;
mod inquiry;
mod marks;
mod patience;
mod progress;
mod query_texts;
mod question;
mod reason;
mod resume;
mod sample;
mod server_words;
mod table;

pub use config::{HistoryConfig, HistoryConfigError};
pub use error::HistoryError;
pub use exclude::Exclusions;
pub use inquiry::{Inquiry, Instant};
pub use marks::{Incident, LabelledSteps, Marks};
pub(crate) use progress::Progress;
pub use sample::{Extent, Sampling};
pub use table::{CsvError, LabelTable, each_time, read_labels};

use client::Server;
use collect::Collected;
use fetch::Fetch;
use grid::Grid;
use groups::WantedEntities;
use patience::{PATIENCE, Patience};
use query_texts::QueryTexts;
use question::{Grids, Question};
use resume::AnswerStore;
use sample::Sample;

/// What to read.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Where it comes from.
    pub source: Source,
    /// What to ask for. For a CSV file: what its columns may refer to by name.
    pub features: Vec<FeatureSpec>,
    /// The labels that name an entity.
    pub entity: Vec<String>,
    /// What to leave out.
    pub exclude: Exclusions,
    /// How to ask, and how much to take.
    pub config: HistoryConfig,
    /// For a CSV file: the zone of times that do not say theirs; UTC without one.
    pub zone: Option<Zone>,
}

impl HistoryQuery {
    /// The ranges of time that a server is asked for, in order of time; none of a file, which has its own.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range> {
        let mut ranges = match &self.source {
            Source::Server(source) => source.ranges.clone(),
            Source::Csv(_) => Vec::new(),
        };
        ranges.sort_by_key(|it| it.start_ms);
        ranges
    }
}

/// Where history comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A server that answers range queries as Prometheus does.
    Server(RangeQuery),
    /// A CSV file, possibly compressed by gzip.
    Csv(PathBuf),
}

/// Which server to ask, and for which steps.
#[derive(Debug, Clone)]
pub struct RangeQuery {
    /// Its address, possibly with user and password.
    pub url: String,
    /// Ranges that do not overlap, in any order.
    pub ranges: Vec<Range>,
    /// The distance between steps.
    pub step: Duration,
    /// How long before its time a step is asked for, as a tick looks back so far
    /// (`global.evaluation_delay`).
    pub delay: Duration,
    /// A folder that keeps each answer, for a run that goes on where this one is interrupted.
    pub resume: Option<PathBuf>,
}

/// From one moment to another.
///
/// # Units
/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first step.
    pub start_ms: i64,
    /// No step is later.
    pub end_ms: i64,
}

impl Range {
    fn contains(&self, time_ms: i64) -> bool {
        (self.start_ms..=self.end_ms).contains(&time_ms)
    }
}

/// Whose history is read.
#[derive(Clone, Copy)]
enum Who<'a> {
    All,
    /// All, or as many of them as there is room for.
    Sample(&'a Sampling<'a>),
    These(&'a [Labels]),
}

impl<'a> Who<'a> {
    fn sampling(self) -> Option<&'a Sampling<'a>> {
        match self {
            Self::Sample(sampling) => Some(sampling),
            Self::All | Self::These(_) => None,
        }
    }

    /// Those that are asked for alone, once it is known who is there.
    fn wanted(self, entity: &[String], collected: &mut Collected<'_>) -> Option<WantedEntities> {
        match self {
            Self::All => None,
            Self::Sample(_) => WantedEntities::new(entity, collected.close()?.kept()),
            Self::These(entities) => {
                WantedEntities::new(entity, entities.iter()).map(WantedEntities::quietly)
            }
        }
    }
}

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
    config::address(url).map(drop)
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
            let recording = from_server(query, source, who, PATIENCE)?;
            History { recording, features: query.features.clone() }
        }
    };
    exclude::mark_ranges(&mut history.recording, &query.exclude.ranges);
    match history.recording.is_all_excluded() {
        true => Err(HistoryError::AllExcluded),
        false => Ok(history),
    }
}

/// The incidents of an expression: asks a server for it at the steps of the history, as for an exclusion.
/// Samples that are at most two steps apart are one incident of the hosts that have the entity labels that
/// the series has, whatever their values are.
///
/// # Errors
/// As [`read`].
///
/// # Panics
/// As [`read`].
pub fn read_incidents(
    query: &HistoryQuery,
    source: &RangeQuery,
    expr: &str,
) -> Result<Vec<Incident>, HistoryError> {
    let query =
        HistoryQuery { features: Vec::new(), exclude: Exclusions::default(), ..query.clone() };
    let max_steps = query.config.max_steps_per_query;
    let ask = |_: &QueryTexts, (grid, _): Grids<'_>, _: Option<&WantedEntities>| {
        let what = "--labels-query".to_owned();
        vec![Question::new(what, expr, question::Purpose::Label, grid, max_steps)]
    };
    fetched(&query, source, Who::All, PATIENCE, &ask, |collected| Ok(collected.incidents()))
}

fn from_server(
    query: &HistoryQuery,
    source: &RangeQuery,
    who: Who<'_>,
    patience: Patience,
) -> Result<Recording, HistoryError> {
    let ask = |asked: &QueryTexts, grids: Grids<'_>, wanted: Option<&WantedEntities>| {
        question::all(query, asked, grids, wanted)
    };
    fetched(query, source, who, patience, &ask, |collected| collected.finish())
}

/// What is to be asked, given the texts, the grids, and those who are asked for alone.
type ToAsk<'a> = &'a dyn Fn(&QueryTexts, Grids<'_>, Option<&WantedEntities>) -> Vec<Question>;

fn fetched<T>(
    query: &HistoryQuery,
    source: &RangeQuery,
    who: Who<'_>,
    patience: Patience,
    ask: ToAsk<'_>,
    finish: impl FnOnce(Collected<'_>) -> Result<T, HistoryError>,
) -> Result<T, HistoryError> {
    let RangeQuery { url, ranges, step, delay, resume } = source;
    let mut config = query.config.clone();
    let most_bytes = who.sampling().map_or(usize::MAX, |it| it.max_answer_bytes);
    let most_bytes = most_bytes.min(config.max_response_bytes.as_len());
    config.max_response_bytes = ByteSize::from_bytes(most_bytes as u64);
    let server = Server::new(url, &config)?;
    let grid = Arc::new(Grid::new(ranges, step.as_ms(), delay.as_ms())?);
    let asked = QueryTexts::new(query);
    let instants = asked.sightings.as_ref().map(|_| {
        let resolution_ms = Freshness::resolution_ms(step.as_ms());
        Arc::new(grid.finer(resolution_ms, asked.reach_ms))
    });
    let extent = Extent {
        steps: grid.len(),
        features: query.features.len(),
        instants: instants.as_ref().map_or(0, |it| it.len()),
    };
    let sample = match who {
        Who::All => None,
        Who::Sample(sampling) => Some(Sample::new(sampling, extent)?),
        Who::These(entities) => Some(Sample::of(entities)),
    };
    let grids = (&*grid, instants.as_deref());
    let (features, entity) = (&query.features, &query.entity);
    let mut collected = Collected::new(features, entity, grids, config.max_values, sample)?;
    let settled_ms = resume::settled_ms(std::time::SystemTime::now());
    let open =
        |folder: &PathBuf| AnswerStore::open(folder, &server.identity, most_bytes, settled_ms);
    let store = resume.as_ref().map(open).transpose()?;
    let progress = Progress::start("history", 0);
    let mut fetch = Fetch {
        server: Arc::new(server),
        queries: Vec::new(),
        store,
        max_concurrency: query.config.max_concurrency,
        patience,
        progress: &progress,
        done: 0,
        found: 0,
        warnings: std::collections::HashSet::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(HistoryError::Start)?;
    let grids = (&grid, instants.as_ref());
    let outcome = runtime.block_on(async {
        if let (Who::Sample(_), Some(question)) = (who, question::who(&asked, grids)) {
            fetch.look(question, &mut collected).await?;
        }
        let wanted = who.wanted(&query.entity, &mut collected);
        fetch.queries = ask(&asked, grids, wanted.as_ref());
        fetch.run(&mut collected).await
    });
    if let Some(folder) = resume {
        let (found, pieces) = (fetch.found, fetch.done);
        tracing::info!(folder = %folder.display(), found, pieces, "answers found in the folder");
    }
    outcome?;
    finish(collected)
}

#[cfg(test)]
mod tests;
