//! Evaluation: a model over history, and its scores held against labels.
//!
//! In: a model and a recording. Out: the score of every step, by the code that serves
//! ([`backtest`]), and an [`Account`]: when an operator would have been called, for whom and why. With what
//! was marked as anomalous ([`Marked`]) it says which incidents were found and which calls were false; and
//! from a score, a label and a threshold for each step comes a
//! [`Judgement`], with figures that need no threshold (how well the scores rank) and figures at the
//! threshold (what an operator would have seen: events found, false alarms, delay).
//!
//! ```text
//! backtest ─┬─────────────▶ account   calls, incidents found and missed
//! marks ────┴─▶ marked ─┘
//!
//! scores ─┬─▶ ranking   each sample by itself       ─┐
//!         ├─▶ budget    events against false alarms  ├─▶ judgement
//! labels ─┴─▶ operator  events and alarm episodes   ─┘
//! ```
//!
//! Invariants: arithmetic is 64-bit; samples are in order of time; a sample stands for a step
//! of time, and an alarm or an event does not continue over a gap in them (`crate::episodes`); a
//! score that is missing or infinite ranks lowest of all and never alarms; nothing is
//! adjusted in the detector's favour (no point adjustment: an event that is touched once does not
//! count as found sample by sample).
//!
//! Everything is pure except for `output` and `backfill`, which write files, and the progress that `backtest`
//! shows. Marks are read by `crate::history`.
//! `tests/reference/judge.py` computes the same figures in Python.

mod account;
mod backfill;
mod backtest;
mod budget;
mod calls;
mod evaluation_page;
mod fleet;
mod judgement;
mod marked;
mod operator;
mod output;
mod ranking;
#[cfg(test)]
mod tests;

pub use account::overview;
pub use backfill::write as write_backfill;
pub use backtest::{Backtest, BacktestError, Scored, Tally, run as backtest};
pub use budget::BudgetRecall;
pub use calls::{Account, Call, CallVerdict, Finding};
pub use evaluation_page::page;
pub use fleet::{FleetError, judge_fleet};
pub use judgement::{JudgeError, Judgement, Ranking, judge};
pub use marked::{MarkError, Marked, MarkedIncident, mark};
pub use operator::Alarms;
pub use output::{OutputError, write as write_scores};

use crate::episodes;

/// What the figures depend on besides the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Settings {
    /// Distance of two samples.
    pub step_ms: i64,
    /// Samples in a row above the threshold until there is an alarm; 0 counts as 1.
    pub for_steps: usize,
    /// Alarms that are at most so far apart are one episode, in milliseconds. Where time leaps
    /// farther, a run of samples ends.
    pub reach_ms: i64,
    /// Steps before and after an event in which an alarm is not false, and after it in which the
    /// event still counts as found.
    pub tolerance: usize,
}

impl Settings {
    /// What fits samples of this distance: the same minutes for every step.
    #[must_use]
    pub fn for_step(step_ms: i64) -> Self {
        let reach_ms = episodes::reach_ms(step_ms.max(1));
        Self { step_ms, for_steps: 1, reach_ms, tolerance: 0 }
    }
}
