//! A watched run: somebody knows when a graph begins to run and can end it.
//!
//! A graph may loop for longer than anybody waits, or for ever, for a batch that no trial foresaw. Whoever
//! knows the time ends such a run from another thread; it then fails like any other that fails.

use std::fmt;
use std::sync::Arc;

use ort::session::{NoSelectedOutputs, RunOptions, Session, SessionInputValue};

use super::outputs::{Outputs, copied};
use super::{Scorer, ScorerError};

/// Is told of runs, one after the other.
pub trait Watch: fmt::Debug + Send {
    /// A run begins.
    fn begins(&mut self, run: Run);
    /// The last one has ended.
    fn ends(&mut self);
}

/// A run under way.
pub struct Run(Arc<RunOptions<NoSelectedOutputs>>);

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl Run {
    /// Has it fail before its next operation. Nothing happens to one that has ended, nor to others.
    pub fn end(&self) {
        // There is nothing to be done about a failure.
        let _ = self.0.terminate();
    }
}

impl Scorer {
    /// Has its runs watched.
    pub fn set_watch(&mut self, watch: Box<dyn Watch>) {
        self.watch = Some(watch);
    }
}

/// Runs a graph, watched if somebody is there.
pub(super) fn run(
    session: &mut Session,
    watch: &mut Option<Box<dyn Watch>>,
    inputs: Vec<(&str, SessionInputValue<'_>)>,
    failed: impl Fn(ort::Error) -> ScorerError,
) -> Result<Outputs, ScorerError> {
    let Some(watch) = watch else {
        return Ok(copied(&session.run(inputs).map_err(failed)?));
    };
    let options = Arc::new(RunOptions::new().map_err(&failed)?);
    watch.begins(Run(Arc::clone(&options)));
    let outputs = session.run_with_options(inputs, &options).map(|it| copied(&it));
    watch.ends();
    outputs.map_err(failed)
}
