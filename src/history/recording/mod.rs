//! A recording: what a server's answers become, whatever the order they come in.
//!
//! In: what is to be read, and whose. Out: a recording, or the incidents of one expression.
//!
//! ```text
//! fetch ─▶ collect ─▶ recording        sample: who is kept
//! pieces   entities   steps×values     exclude: which steps are left out
//!   ▲▼ resume: answers on disk
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use crate::bytesize::ByteSize;
use crate::features::{Freshness, Recording};
use crate::history::error::HistoryError;
use crate::history::marks::Incident;
use crate::history::question::grid::Grid;
use crate::history::question::groups::WantedEntities;
use crate::history::question::query::{Exclusions, HistoryQuery, RangeQuery};
use crate::history::question::query_texts::QueryTexts;
use crate::history::question::{self, Grids, Purpose, Question};
use crate::history::server::client::Server;
use crate::history::server::inquiry::runtime;
use crate::history::server::patience::{PATIENCE, Patience};
use crate::labels::Labels;

mod collect;
pub(super) mod exclude;
mod fetch;
pub(super) mod progress;
mod resume;
pub(super) mod sample;

use collect::Collected;
use fetch::Fetch;
use progress::Progress;
use resume::AnswerStore;
use sample::{Extent, Sample, Sampling};

/// Whose history is read.
#[derive(Clone, Copy)]
pub(super) enum Who<'a> {
    All,
    /// All, or as many of them as there is room for.
    Sample(&'a Sampling<'a>),
    These(&'a [Labels]),
}

impl Who<'_> {
    /// Those that are asked for alone, once it is known who is there.
    fn wanted(self, entity: &[String], collected: &mut Collected<'_>) -> Option<WantedEntities> {
        match self {
            Self::All => None,
            Self::Sample(_) => WantedEntities::new(entity, collected.close()?.kept(), true),
            // It is asked again and again.
            Self::These(entities) => WantedEntities::new(entity, entities.iter(), false),
        }
    }
}

/// The incidents of an expression: asks a server for it at the steps of the history, as for an exclusion.
/// Samples that are at most two steps apart are one incident of the hosts that have the entity labels that
/// the series has, whatever their values are.
///
/// # Errors
/// As [`crate::history::read`].
///
/// # Panics
/// As [`crate::history::read`].
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
        vec![Question::new(what, expr, Purpose::Label, grid, max_steps)]
    };
    fetched(&query, source, Who::All, PATIENCE, &ask, |collected| Ok(collected.incidents()))
}

pub(super) fn from_server(
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
    let mut most_bytes = config.max_response_bytes.as_len();
    if let Who::Sample(sampling) = who {
        most_bytes = most_bytes.min(sampling.max_answer_bytes);
    }
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
    let grids = (&grid, instants.as_ref());
    let outcome = runtime()?.block_on(async {
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
