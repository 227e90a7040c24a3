//! Progress on the terminal: which part of the work is under way, and how far.
//!
//! It goes to standard error, and nowhere at all when that is not a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for one part of the work.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// `what` is done in so many steps.
    pub fn start(what: &'static str, steps: usize) -> Self {
        // `stderr` draws nothing when standard error is not a terminal.
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}");
        bar.set_style(style.expect("a template that the unit test reads"));
        bar.set_prefix(what);
        Self(bar)
    }

    /// So many steps are done.
    pub fn done(&self, steps: usize, message: impl Into<String>) {
        self.0.set_position(steps as u64);
        self.0.set_message(message.into());
    }

    /// So many steps are done, of a number that is only known now.
    pub fn done_of(&self, steps: usize, all: usize) {
        self.0.set_length(all as u64);
        self.0.set_position(steps as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_counts() {
        let progress = Progress::start("fit", 3);
        progress.done(2, "loss 0.1");
        assert_eq!(progress.0.position(), 2);
    }
}
