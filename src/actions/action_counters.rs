//! Counters of what is done and what is held back.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::config::ActionsConfig;
use super::record::ActionOutcome;

/// What could not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unkept {
    Memory,
    Log,
    Switch,
}

impl Unkept {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Log => "log",
            Self::Switch => "switch",
        }
    }
}

/// Counts that a file could not be written.
pub(super) fn count_unkept(what: Unkept) {
    counter!("portent_actions_saves_failed_total", "file" => what.name()).increment(1);
}

/// Counts what became of an attempt.
pub(super) fn count_outcome(action: &str, outcome: ActionOutcome, by: u64) {
    let (action, name) = (action.to_owned(), outcome.name());
    match ActionOutcome::VERDICTS.contains(&outcome) {
        true => counter!("portent_actions_verdicts_total", "action" => action, "verdict" => name),
        false => counter!("portent_actions_total", "action" => action, "outcome" => name),
    }
    .increment(by);
}

/// Counts that an action was held back.
pub(super) fn count_held_back(action: &str, reason: &'static str) {
    let action = action.to_owned();
    counter!("portent_actions_held_back_total", "action" => action, "reason" => reason)
        .increment(1);
}

/// Shows what runs and whether anything may.
pub(super) fn show(running: usize, is_enabled: bool) {
    gauge!("portent_actions_running").set(running as f64);
    gauge!("portent_actions_enabled").set(f64::from(u8::from(is_enabled)));
}

/// What has not happened yet is 0: a counter that begins with 1 has no increase.
pub(super) fn begin(config: &ActionsConfig) {
    for action in &config.list {
        for outcome in ActionOutcome::ENDINGS.into_iter().chain(ActionOutcome::VERDICTS) {
            count_outcome(&action.name, outcome, 0);
        }
    }
}

/// Says what this room's metrics mean.
pub fn describe_metrics() {
    describe_counter!(
        "portent_actions_total",
        "Attempts of actions, by outcome: dry_run (only told), succeeded, failed, timed_out, not_started (or the webhook could not be reached), \
         refused (a label's value cannot be put into the command), interrupted (Portent ended meanwhile)."
    );
    describe_counter!(
        "portent_actions_verdicts_total",
        "The verdict on actions, verify_within after their end: helped or did_not_help."
    );
    describe_counter!(
        "portent_actions_held_back_total",
        "Times an action was due and held back, by reason; again only when the reason changes."
    );
    describe_gauge!(
        "portent_actions_running",
        "Commands of actions that run now, and webhooks that have not answered yet."
    );
    describe_gauge!(
        "portent_actions_enabled",
        "Whether actions are configured, enabled and not switched off by /api/v1/actions/disable."
    );
    describe_counter!(
        "portent_actions_saves_failed_total",
        "Times a file of actions could not be written to --storage.path, by file: memory (then nothing \
         begins), log, switch."
    );
    for what in [Unkept::Memory, Unkept::Log, Unkept::Switch] {
        counter!("portent_actions_saves_failed_total", "file" => what.name()).increment(0);
    }
}
