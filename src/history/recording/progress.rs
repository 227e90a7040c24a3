//! Progress: which part of the work is under way, how far, and how long it will take.
//!
//! A bar on standard error where that is a terminal, otherwise a log line now and then.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines of the log: often enough to see that it goes on.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A bar for one part of the work.
pub(crate) struct Progress {
    what: &'static str,
    bar: ProgressBar,
    started: Instant,
    logged: Cell<Instant>,
}

impl Progress {
    /// `what` is done in so many steps.
    pub fn start(what: &'static str, steps: usize) -> Self {
        // `stderr` draws nothing when standard error is not a terminal.
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}");
        bar.set_style(style.expect("a template that the unit test reads"));
        bar.set_prefix(what);
        let now = Instant::now();
        Self { what, bar, started: now, logged: Cell::new(now) }
    }

    /// So many steps are done.
    pub fn done(&self, steps: usize, message: impl Into<String>) {
        self.bar.set_position(steps as u64);
        self.bar.set_message(message.into());
        self.log();
    }

    /// So many steps are done, of a number that is only known now.
    pub fn done_of(&self, steps: usize, all: usize) {
        self.bar.set_length(all as u64);
        self.bar.set_position(steps as u64);
        self.log();
    }

    fn log(&self) {
        if !self.bar.is_hidden() || self.logged.get().elapsed() < LOG_INTERVAL {
            return;
        }
        self.logged.set(Instant::now());
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let remaining = remaining(self.started.elapsed(), done, all);
        let remaining = remaining.map_or("unknown".to_owned(), |it| format!("{}s", it.as_secs()));
        let detail = Some(self.bar.message()).filter(|it| !it.is_empty());
        tracing::info!(part = self.what, done, all, remaining, detail, "progress");
    }
}

/// The time that is left if it goes on as before; none before anything is done.
fn remaining(elapsed: Duration, done: u64, all: u64) -> Option<Duration> {
    let share = all.saturating_sub(done) as f64 / done as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * share).ok().filter(|_| done > 0)
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_counts() {
        let progress = Progress::start("fit", 3);
        progress.done(2, "loss 0.1");
        assert_eq!(progress.bar.position(), 2);
        progress.done_of(3, 7);
        assert_eq!((progress.bar.position(), progress.bar.length()), (3, Some(7)));
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done() {
        let seconds = Duration::from_secs;
        assert_eq!(remaining(seconds(10), 2, 6), Some(seconds(20)));
        assert_eq!(remaining(seconds(10), 6, 6), Some(seconds(0)));
        assert_eq!(remaining(seconds(10), 0, 6), None);
        assert_eq!(remaining(seconds(10), 0, 0), None);
    }
}
