//! Asking: every expression at every step, several queries at a time.
//!
//! In: a server, questions, their grids. Out: every answer, handed to the collection one by one and dropped.
//! A query that is too much for the server is asked in halves, down to one step, and no query of that
//! expression is so long again. After a time-out the server must answer for a single step, or the run ends:
//! it hangs. A query that is refused because label sets clash is asked by a text without the groups that do,
//! as serving leaves them out. If there is none, or it is refused as well, it is asked in halves until the
//! steps that clash are alone; those are left out. A server that is busy or away for a while is waited for.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::collect::Collected;
use super::progress::Progress;
use super::resume::{self, AnswerStore, Stored};
use crate::history::error::HistoryError;
use crate::history::question::grid::Piece;
use crate::history::question::{Purpose, Question};
use crate::history::server::answer::{self, RangeAnswer};
use crate::history::server::client::{Ask, Server};
use crate::history::server::patience::{Patience, ask_patiently};
use crate::history::server::reason::{Reason, Remedy};

/// Steps, spread over all, at which an expression without any result so far is tried before the
/// steps are looked for at which its label sets clash: that takes up to two questions a step, and
/// one that can never be evaluated is not worth them. What has a result at a thirtieth of the range
/// in one stretch is not missed, and so few single steps are asked in no time. Likewise the steps at which
/// it is asked who is there: a host that is at none of them has little to teach.
const TRIED_STEPS: usize = 32;

/// Different warnings of a server that are logged, at most.
const MAX_WARNINGS: usize = 10;

/// A piece that was not answered in time is asked for in such parts. A server takes minutes to say nothing,
/// so that halves, down to one step, would take an hour.
const PARTS: usize = 8;

/// One expression at some steps.
#[derive(Debug, Clone, Copy)]
struct Work {
    query: usize,
    piece: Piece,
    /// By the text without the groups that clash.
    is_lenient: bool,
}

/// A run over all queries.
pub(super) struct Fetch<'a> {
    pub server: Arc<Server>,
    pub queries: Vec<Question>,
    pub store: Option<AnswerStore>,
    pub max_concurrency: usize,
    pub patience: Patience,
    pub progress: &'a Progress,
    /// Pieces that are known, and how many of them were on disk.
    pub done: usize,
    pub found: usize,
    pub warnings: HashSet<String>,
}

impl Fetch<'_> {
    /// Asks who is there, by a question about all entities, at some steps of all.
    pub async fn look(
        &mut self,
        question: Question,
        collected: &mut Collected<'_>,
    ) -> Result<(), HistoryError> {
        let tried = question.grid.spread(TRIED_STEPS);
        self.queries = vec![question];
        for piece in tried {
            let work = Work { query: 0, piece, is_lenient: false };
            let Some(body) = self.ask_alone(work).await? else { continue };
            let answer = answer::parse(&body).map_err(|it| self.about(work, it))?;
            answer.elements.iter().for_each(|it| collected.meet(it));
            if !answer.may_grow {
                self.keep(work, &body)?;
            }
        }
        Ok(())
    }

    /// Asks for everything and hands it over.
    pub async fn run(&mut self, collected: &mut Collected<'_>) -> Result<(), HistoryError> {
        let pieces: Vec<_> = self.queries.iter().map(|it| it.grid.pieces(it.max_steps)).collect();
        let pieces = pieces.into_iter();
        let mut all: usize = pieces.clone().map(Iterator::count).sum();
        let work = |query| move |piece| Work { query, piece, is_lenient: false };
        let mut fresh = pieces.enumerate().flat_map(|(query, it)| it.map(work(query)));
        let mut halves: Vec<Work> = Vec::new();
        let mut asked: JoinSet<(Work, Result<Vec<u8>, Reason>)> = JoinSet::new();
        loop {
            while asked.len() < self.max_concurrency
                && let Some(work) = halves.pop().or_else(|| fresh.next())
            {
                let Work { query, piece, .. } = work;
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
                    Some(Stored::Clash(words)) if self.queries[query].may_lack_steps() => {
                        all += self.part(work, words, &mut halves, collected);
                    }
                    _ if is_large => {
                        self.keep(work, resume::SPLIT)?;
                        all += self.split(work, &mut halves);
                    }
                    _ => self.start(work, &mut asked),
                }
                self.progress.done_of(self.done, all);
            }
            let Some(joined) = asked.join_next().await else { break };
            let (work, outcome) = joined.expect("a query neither panics nor is it ended");
            match outcome {
                Ok(body) => {
                    let answer = answer::parse(&body).map_err(|it| self.about(work, it))?;
                    if !answer.may_grow {
                        self.keep(work, &body)?;
                    }
                    self.take(work, answer, collected)?;
                }
                Err(reason) => all += self.mend(work, reason, &mut halves, collected).await?,
            }
            self.progress.done_of(self.done, all);
        }
        self.queries.iter().for_each(Question::tell);
        Ok(())
    }

    fn ask(&self, work: Work) -> Ask<'_> {
        let Piece { start_ms, count, .. } = work.piece;
        let question = &self.queries[work.query];
        let step_ms = question.grid.step_ms();
        Ask { expr: question.text(work.is_lenient), start_ms, step_ms, count }
    }

    fn about(&self, work: Work, reason: Reason) -> HistoryError {
        let Question { what, expr, .. } = &self.queries[work.query];
        reason.about(what, expr, &self.server.shown)
    }

    fn start(&self, work: Work, asked: &mut JoinSet<(Work, Result<Vec<u8>, Reason>)>) {
        let server = Arc::clone(&self.server);
        let expr = Arc::clone(self.queries[work.query].text(work.is_lenient));
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
        work: Work,
        answer: RangeAnswer<'_>,
        collected: &mut Collected<'_>,
    ) -> Result<(), HistoryError> {
        let Work { query, piece, is_lenient } = work;
        let Question { what, purpose, expr, .. } = &self.queries[query];
        for element in &answer.elements {
            match *purpose {
                Purpose::Feature(feature) => collected.add(feature, piece, element)?,
                Purpose::Exclusion | Purpose::Label => collected.exclude(expr, piece, element)?,
                Purpose::Sighting => collected.see(piece, element)?,
            }
        }
        for warning in answer.warnings {
            if self.warnings.len() < MAX_WARNINGS && self.warnings.insert(warning.clone()) {
                tracing::warn!(query = what, warning, "the server warns about its answer");
            }
        }
        self.queries[query].answered(piece.count, is_lenient, !answer.elements.is_empty());
        self.done += 1;
        Ok(())
    }

    /// Asks in halves where that may help. Gives by how many pieces there are more.
    async fn mend(
        &mut self,
        work: Work,
        reason: Reason,
        halves: &mut Vec<Work>,
        collected: &mut Collected<'_>,
    ) -> Result<usize, HistoryError> {
        let Work { query, piece, is_lenient } = work;
        let may_lack_steps = self.queries[query].may_lack_steps();
        match reason.remedy(true) {
            Remedy::Halve if piece.count > 1 => {
                tracing::info!(
                    query = self.queries[query].what,
                    steps = piece.count,
                    %reason,
                    "too much for one query: asking for half as many steps"
                );
                self.keep(work, resume::SPLIT)?;
                Ok(self.split(work, halves))
            }
            Remedy::Probe if piece.count > 1 => {
                let one = Work { piece: Piece { count: 1, ..piece }, ..work };
                // Says so when it does not.
                self.ask_alone(one).await?;
                let steps = piece.count.div_ceil(PARTS);
                tracing::info!(
                    query = self.queries[query].what,
                    steps = piece.count,
                    %reason,
                    "answered for one step: asking for {steps} at a time"
                );
                let known = &mut self.queries[query].max_steps;
                *known = (*known).min(steps);
                self.keep(work, resume::SPLIT)?;
                Ok(self.halve(work, halves))
            }
            Remedy::LeaveOut
                if may_lack_steps
                    && (self.has_other_text(work) || self.has_result(query).await?) =>
            {
                let words = reason.to_string();
                self.keep(work, &resume::clash(&words))?;
                Ok(self.part(work, words, halves, collected))
            }
            // One step is too much for the longer text, and clashes without.
            Remedy::Halve if is_lenient && self.has_result(query).await? => {
                Ok(self.part(work, reason.to_string(), halves, collected))
            }
            // The server does not know what the longer text is made of.
            _ if is_lenient && matches!(reason, Reason::Refused { .. }) => {
                let words = self.queries[query].give_up_lenient();
                match self.has_result(query).await? {
                    true => {
                        let plain = Work { is_lenient: false, ..work };
                        Ok(self.part(plain, words, halves, collected))
                    }
                    false => Err(self.about(work, reason)),
                }
            }
            _ => Err(self.about(work, reason)),
        }
    }

    /// Whether an expression has a result at any step that it was or is now asked at.
    async fn has_result(&mut self, query: usize) -> Result<bool, HistoryError> {
        if self.queries[query].has_result {
            return Ok(true);
        }
        let tried = self.queries[query].grid.spread(TRIED_STEPS);
        for piece in tried {
            let work = Work { query, piece, is_lenient: self.queries[query].has_lenient() };
            let Some(body) = self.ask_alone(work).await? else { continue };
            let answer = answer::parse(&body).map_err(|it| self.about(work, it))?;
            if !answer.elements.is_empty() {
                self.queries[query].has_result = true;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The answer for a single step, with nothing else asked meanwhile; none where label sets clash.
    async fn ask_alone(&self, work: Work) -> Result<Option<Vec<u8>>, HistoryError> {
        match self.store.as_ref().and_then(|store| store.find(self.ask(work))) {
            Some(Stored::Clash(_)) => return Ok(None),
            Some(Stored::Answer(body)) if answer::parse(&body).is_ok() => return Ok(Some(body)),
            _ => {}
        }
        match ask_patiently(&self.server, self.ask(work), self.patience).await {
            Ok(body) => Ok(Some(body)),
            Err(reason) if reason.remedy(true) == Remedy::LeaveOut => {
                self.keep(work, &resume::clash(&reason.to_string()))?;
                Ok(None)
            }
            Err(reason) => Err(self.about(work, reason)),
        }
    }

    fn has_other_text(&self, work: Work) -> bool {
        !work.is_lenient && self.queries[work.query].has_lenient()
    }

    /// Asks for a piece in which label sets clash by the other text. If there is none, puts both
    /// halves in its place; a single step is left out. Gives by how many pieces there are more.
    fn part(
        &mut self,
        work: Work,
        words: String,
        halves: &mut Vec<Work>,
        collected: &mut Collected<'_>,
    ) -> usize {
        if self.has_other_text(work) {
            self.queries[work.query].clashes(words);
            halves.push(Work { is_lenient: true, ..work });
            return 0;
        }
        if work.piece.count > 1 {
            return self.halve(work, halves);
        }
        let question = &mut self.queries[work.query];
        if let Purpose::Feature(feature) = question.purpose {
            collected.leave_out(feature, work.piece.first);
        }
        question.leave_out(words);
        self.done += 1;
        0
    }

    /// Keeps an answer, or what stands in its place, where there is a folder for it.
    fn keep(&self, work: Work, content: &[u8]) -> Result<(), HistoryError> {
        self.store.as_ref().map_or(Ok(()), |store| store.keep(self.ask(work), content))
    }

    /// Puts both halves in the place of a piece that is too much, as are all of its length. Gives by
    /// how many pieces there are more.
    fn split(&mut self, work: Work, halves: &mut Vec<Work>) -> usize {
        // What is too much for the longer text may do for the other.
        if !work.is_lenient {
            let known = &mut self.queries[work.query].max_steps;
            // The larger half of an odd number is asked for as well.
            *known = (*known).min(work.piece.count.div_ceil(2));
        }
        self.halve(work, halves)
    }

    fn halve(&self, work: Work, halves: &mut Vec<Work>) -> usize {
        // The earlier half is asked first.
        let step_ms = self.queries[work.query].grid.step_ms();
        let both = work.piece.halves(step_ms).into_iter().flatten().rev();
        let before = halves.len();
        halves.extend(both.map(|piece| Work { piece, ..work }));
        // Two in the place of one.
        halves.len() - before - 1
    }
}
