//! Asking: every expression at every step, several queries at a time.
//!
//! In: a server, expressions, a grid. Out: every answer, handed to the collection one by one and
//! dropped. A query that is too much for the server is asked in halves, down to one step; the same
//! expression is then not asked for that many steps again. A server that is busy or away for a
//! while is waited for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::answer::{self, Answer};
use super::client::{Ask, Server};
use super::collect::Collected;
use super::error::HistoryError;
use super::grid::{Grid, Piece};
use super::progress::Progress;
use super::reason::{Reason, Remedy};
use super::resume::{Store, Stored};

/// How long a server is waited for: 1 + 2 + 4 + 8 + 16 + 32 s, as long as a restart takes.
pub(super) const PATIENCE: Patience = Patience { first: Duration::from_secs(1), waits: 6 };

/// Different warnings of a server that are logged, at most.
const MAX_WARNINGS: usize = 10;

/// The first wait for a server, twice as long each time, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub first: Duration,
    pub waits: u32,
}

/// An expression, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// For messages.
    pub what: String,
    pub expr: Arc<str>,
    /// The feature whose values it gives; without one it excludes steps.
    pub feature: Option<usize>,
    /// Steps that were not too much, as far as is known.
    pub max_steps: usize,
}

/// One expression at some steps.
type Work = (usize, Piece);

/// A run over all queries.
pub(super) struct Fetch<'a> {
    pub server: Arc<Server>,
    pub queries: Vec<Query>,
    pub grid: &'a Grid,
    pub store: Option<Store>,
    pub max_concurrency: usize,
    pub patience: Patience,
    pub progress: &'a Progress,
    /// Pieces that are known, and how many of them were on disk.
    pub done: usize,
    pub found: usize,
    pub warnings: HashSet<String>,
}

impl Fetch<'_> {
    /// Asks for everything and hands it over.
    pub async fn run(&mut self, collected: &mut Collected<'_>) -> Result<(), HistoryError> {
        let max_steps: Vec<usize> = self.queries.iter().map(|it| it.max_steps).collect();
        let grid = self.grid.clone();
        let pieces = max_steps.iter().map(|max| grid.pieces(*max));
        let mut all: usize = pieces.clone().map(Iterator::count).sum();
        let mut fresh = pieces.enumerate().flat_map(|(i, it)| it.map(move |piece| (i, piece)));
        let mut halves: Vec<Work> = Vec::new();
        let mut asked: JoinSet<(Work, Result<Vec<u8>, Reason>)> = JoinSet::new();
        loop {
            while asked.len() < self.max_concurrency
                && let Some(work) = halves.pop().or_else(|| fresh.next())
            {
                let (query, piece) = work;
                let is_large = piece.count > self.queries[query].max_steps;
                match self.store.as_ref().and_then(|store| store.find(self.ask(work))) {
                    Some(Stored::Answer(body)) => match answer::parse(&body) {
                        Ok(answer) => {
                            self.take(work, answer, collected)?;
                            self.found += 1;
                        }
                        Err(_) => self.start(work, &mut asked),
                    },
                    Some(Stored::Split) if piece.count > 1 => {
                        all += self.split(work, &mut halves);
                    }
                    _ if is_large => {
                        self.keep_split(work)?;
                        all += self.split(work, &mut halves);
                    }
                    _ => self.start(work, &mut asked),
                }
                self.progress.done_of(self.done, all);
            }
            let Some(joined) = asked.join_next().await else { return Ok(()) };
            let (work, outcome) = joined.expect("a query neither panics nor is it ended");
            match outcome {
                Ok(body) => {
                    let answer = answer::parse(&body).map_err(|it| self.about(work, it))?;
                    self.take(work, answer, collected)?;
                    if let Some(store) = &self.store {
                        store.keep(self.ask(work), &body)?;
                    }
                }
                Err(reason) => all += self.mend(work, reason, &mut halves)?,
            }
            self.progress.done_of(self.done, all);
        }
    }

    fn ask(&self, (query, piece): Work) -> Ask<'_> {
        let Piece { start_ms, count, .. } = piece;
        Ask { expr: &self.queries[query].expr, start_ms, step_ms: self.grid.step_ms(), count }
    }

    fn about(&self, work: Work, reason: Reason) -> HistoryError {
        let Query { what, expr, .. } = &self.queries[work.0];
        reason.about(what, expr, &self.server.shown)
    }

    fn start(&self, work: Work, asked: &mut JoinSet<(Work, Result<Vec<u8>, Reason>)>) {
        let server = Arc::clone(&self.server);
        let expr = Arc::clone(&self.queries[work.0].expr);
        let Ask { start_ms, step_ms, count, .. } = self.ask(work);
        let patience = self.patience;
        asked.spawn(async move {
            let ask = Ask { expr: &expr, start_ms, step_ms, count };
            (work, ask_patiently(&server, ask, patience).await)
        });
    }

    /// Hands an answer over.
    fn take(
        &mut self,
        (query, piece): Work,
        answer: Answer<'_>,
        collected: &mut Collected<'_>,
    ) -> Result<(), HistoryError> {
        let Query { what, feature, .. } = &self.queries[query];
        for element in &answer.elements {
            match feature {
                Some(feature) => collected.add(*feature, piece, element)?,
                None => collected.exclude(piece, element)?,
            }
        }
        for warning in answer.warnings {
            if self.warnings.len() < MAX_WARNINGS && self.warnings.insert(warning.clone()) {
                tracing::warn!(query = what, warning, "the server warns about its answer");
            }
        }
        self.done += 1;
        Ok(())
    }

    /// Asks in halves where that may help. Gives by how many pieces there are more.
    fn mend(
        &mut self,
        work: Work,
        reason: Reason,
        halves: &mut Vec<Work>,
    ) -> Result<usize, HistoryError> {
        let (query, piece) = work;
        let is_smaller_possible = piece.count > 1 && reason.remedy(true) == Remedy::Halve;
        if !is_smaller_possible {
            return Err(self.about(work, reason));
        }
        tracing::info!(
            query = self.queries[query].what,
            steps = piece.count,
            %reason,
            "too much for one query: asking for half as many steps"
        );
        self.keep_split(work)?;
        Ok(self.split(work, halves))
    }

    fn keep_split(&self, work: Work) -> Result<(), HistoryError> {
        self.store.as_ref().map_or(Ok(()), |store| store.keep_split(self.ask(work)))
    }

    /// Puts both halves in the place of a piece that is too much. Gives by how many pieces there
    /// are more.
    fn split(&mut self, (query, piece): Work, halves: &mut Vec<Work>) -> usize {
        let known = &mut self.queries[query].max_steps;
        // The larger half of an odd number is asked for as well.
        *known = (*known).min(piece.count.div_ceil(2));
        // The earlier half is asked first.
        let both = piece.halves(self.grid.step_ms()).into_iter().flatten().rev();
        let before = halves.len();
        halves.extend(both.map(|half| (query, half)));
        // Two in the place of one.
        halves.len() - before - 1
    }
}

/// Asks until there is an answer, or a reason that waiting does not mend.
async fn ask_patiently(
    server: &Server,
    ask: Ask<'_>,
    patience: Patience,
) -> Result<Vec<u8>, Reason> {
    let mut waits = 0;
    loop {
        let reason = match server.ask(ask).await {
            Ok(body) => return Ok(body),
            Err(reason) => reason,
        };
        let wait = match reason.remedy(server.is_known()) {
            Remedy::Wait(wait) if waits < patience.waits => wait,
            _ => return Err(reason),
        };
        let wait = wait.unwrap_or(patience.first * 2_u32.pow(waits));
        waits += 1;
        tracing::warn!(%reason, ?wait, "the server does not answer: asking again");
        tokio::time::sleep(wait).await;
    }
}
