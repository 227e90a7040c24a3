//! A record: what became of one attempt, as a line of `actions.log` and an element of `/api/v1/actions`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempt::AttemptKey;
use super::run::{CommandEnding, CommandOutput, CommandResult};
use crate::timestamp::format_ms;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionOutcome {
    /// It is only told what would have been run.
    DryRun,
    /// The command ended with code 0.
    Succeeded,
    /// It ended otherwise.
    Failed,
    /// It took too long and was ended.
    TimedOut,
    /// It did not begin.
    NotStarted,
    /// A label's value cannot be put into the command.
    Refused,
    /// Portent ended meanwhile.
    Interrupted,
    /// A verdict: the score was below the threshold when it was verified.
    Helped,
    /// A verdict: it was not.
    DidNotHelp,
}

impl ActionOutcome {
    /// Those that an attempt ends with.
    pub const ENDINGS: [Self; 7] = [
        Self::DryRun,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::NotStarted,
        Self::Refused,
        Self::Interrupted,
    ];

    /// Those that come later.
    pub const VERDICTS: [Self; 2] = [Self::Helped, Self::DidNotHelp];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotStarted => "not_started",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
            Self::Helped => "helped",
            Self::DidNotHelp => "did_not_help",
        }
    }

    fn is_bad(self) -> bool {
        !matches!(self, Self::DryRun | Self::Succeeded | Self::Helped)
    }
}

/// What became of one attempt. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// When that was known.
    pub at: String,
    /// The action.
    pub action: String,
    /// The alert's rule.
    pub alert: String,
    /// The model.
    pub model: String,
    /// The entity labels.
    pub entity: BTreeMap<String, String>,
    /// When the alert fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<String>,
    /// What became of it.
    pub outcome: ActionOutcome,
    /// Program and arguments; none of a verdict, and where an argument was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The command's code, if it ended with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// From its beginning until nothing of it was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// The beginning of what it wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// The beginning of what it said of errors.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Why it did not begin, or was not known to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl ActionRecord {
    /// One of which no more is known.
    #[must_use]
    pub fn new(at_ms: i64, key: &AttemptKey, outcome: ActionOutcome) -> Self {
        Self {
            at: format_ms(at_ms),
            action: key.action.to_string(),
            alert: key.rule.to_string(),
            model: key.model.to_string(),
            entity: key.entity.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            fired_at: None,
            outcome,
            command: Vec::new(),
            exit_code: None,
            signal: None,
            duration_seconds: None,
            stdout: String::new(),
            stderr: String::new(),
            error: None,
        }
    }

    /// Of a command that has ended.
    #[must_use]
    pub fn ended(at_ms: i64, key: &AttemptKey, result: CommandResult) -> Self {
        let outcome = match result.ending {
            CommandEnding::Exited(0) => ActionOutcome::Succeeded,
            CommandEnding::Exited(_) | CommandEnding::Killed(_) => ActionOutcome::Failed,
            CommandEnding::TimedOut => ActionOutcome::TimedOut,
            CommandEnding::Interrupted => ActionOutcome::Interrupted,
            CommandEnding::NotStarted(_) => ActionOutcome::NotStarted,
        };
        let mut record = Self::new(at_ms, key, outcome);
        match result.ending {
            CommandEnding::Exited(code) => record.exit_code = Some(code),
            CommandEnding::Killed(signal) => record.signal = Some(signal),
            CommandEnding::NotStarted(reason) => record.error = Some(reason),
            CommandEnding::TimedOut | CommandEnding::Interrupted => {}
        }
        record.duration_seconds = Some(result.took.as_secs_f64());
        (record.stdout, record.stderr) = (text(result.stdout), text(result.stderr));
        record
    }

    /// Says it in the log.
    pub(super) fn tell(&self) {
        let entity: Vec<String> = self.entity.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        let entity = entity.join(",");
        let command = (!self.command.is_empty()).then(|| format!("{:?}", self.command));
        let Self { action, alert, model, exit_code, signal, duration_seconds, .. } = self;
        let (error, outcome) = (&self.error, self.outcome.name());
        let stderr = Some(self.stderr.trim()).filter(|it| !it.is_empty() && self.outcome.is_bad());
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    action,
                    alert,
                    model,
                    entity,
                    outcome,
                    command,
                    exit_code,
                    signal,
                    duration_seconds,
                    error,
                    stderr,
                    "an action"
                )
            };
        }
        if self.outcome.is_bad() { say!(warn) } else { say!(info) }
    }
}

/// What is kept of an output, and how much is not.
fn text(output: CommandOutput) -> String {
    match output.dropped_bytes {
        0 => output.text,
        bytes => format!("{}\n[{bytes} more bytes]", output.text),
    }
}
