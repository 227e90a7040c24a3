//! A record: what became of one attempt, as a line of `actions.log` and an element of `/api/v1/actions`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempt::AttemptKey;
use super::hook::{HookEnding, HookResult};
use super::run::{CommandEnding, CommandOutput, CommandResult};
use crate::timestamp::format_ms;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionOutcome {
    /// It is only told what would have been run.
    DryRun,
    /// The command ended with code 0, the webhook answered with 2xx.
    Succeeded,
    /// It ended otherwise.
    Failed,
    /// It took too long and was ended, or was not waited for any longer.
    TimedOut,
    /// It did not begin, or the webhook could not be reached.
    NotStarted,
    /// A label's value cannot be put into the command, or the alert is not there any more.
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
    /// The address that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the call named this attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// The status of the answer to the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The command's code, if it ended with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// From its beginning until nothing of it was left, or until it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// The beginning of what it wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// The beginning of what it said of errors.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// The beginning of what the webhook answered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// Why it did not begin, or was not known to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of a job.
#[derive(Debug)]
pub(super) enum JobResult {
    Command(CommandResult),
    Hook(HookResult),
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
            url: None,
            attempt: None,
            http_status: None,
            exit_code: None,
            signal: None,
            duration_seconds: None,
            stdout: String::new(),
            stderr: String::new(),
            answer: String::new(),
            error: None,
        }
    }

    /// It has ended.
    pub(super) fn end(&mut self, at_ms: i64, result: JobResult) {
        self.at = format_ms(at_ms);
        match result {
            JobResult::Command(result) => self.end_command(result),
            JobResult::Hook(result) => self.end_call(result),
        }
    }

    /// It is not known how it ended.
    pub(super) fn fail(&mut self, at_ms: i64, reason: String) {
        self.at = format_ms(at_ms);
        (self.outcome, self.error) = (ActionOutcome::Failed, Some(reason));
    }

    fn end_command(&mut self, result: CommandResult) {
        self.outcome = match result.ending {
            CommandEnding::Exited(0) => ActionOutcome::Succeeded,
            CommandEnding::Exited(_) | CommandEnding::Killed(_) => ActionOutcome::Failed,
            CommandEnding::TimedOut => ActionOutcome::TimedOut,
            CommandEnding::Interrupted => ActionOutcome::Interrupted,
            CommandEnding::NotStarted(_) => ActionOutcome::NotStarted,
        };
        match result.ending {
            CommandEnding::Exited(code) => self.exit_code = Some(code),
            CommandEnding::Killed(signal) => self.signal = Some(signal),
            CommandEnding::NotStarted(reason) => self.error = Some(reason),
            CommandEnding::TimedOut | CommandEnding::Interrupted => {}
        }
        self.duration_seconds = Some(result.took.as_secs_f64());
        (self.stdout, self.stderr) = (text(result.stdout), text(result.stderr));
    }

    fn end_call(&mut self, result: HookResult) {
        self.outcome = match result.ending {
            HookEnding::Answered(200..300) => ActionOutcome::Succeeded,
            HookEnding::Answered(_) | HookEnding::Broken(_) => ActionOutcome::Failed,
            HookEnding::TimedOut => ActionOutcome::TimedOut,
            HookEnding::Interrupted => ActionOutcome::Interrupted,
            HookEnding::NotSent(_) => ActionOutcome::NotStarted,
        };
        match result.ending {
            HookEnding::Answered(status) => self.http_status = Some(status),
            HookEnding::NotSent(reason) | HookEnding::Broken(reason) => self.error = Some(reason),
            HookEnding::TimedOut | HookEnding::Interrupted => {}
        }
        self.duration_seconds = Some(result.took.as_secs_f64());
        self.answer = result.answer;
        if result.is_cut {
            self.answer.push_str("\n[more]");
        }
    }

    /// Says it in the log.
    pub(super) fn tell(&self) {
        let entity: Vec<String> = self.entity.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        let entity = entity.join(",");
        let command = (!self.command.is_empty()).then(|| format!("{:?}", self.command));
        let Self { action, alert, model, url, attempt, http_status, .. } = self;
        let Self { exit_code, signal, duration_seconds, .. } = self;
        let (error, outcome) = (&self.error, self.outcome.name());
        let shown = |text: &'_ str| {
            Some(text.trim().to_owned()).filter(|it| !it.is_empty() && self.outcome.is_bad())
        };
        let (stderr, answer) = (shown(&self.stderr), shown(&self.answer));
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    action,
                    alert,
                    model,
                    entity,
                    outcome,
                    command,
                    url,
                    attempt,
                    http_status,
                    exit_code,
                    signal,
                    duration_seconds,
                    error,
                    stderr,
                    answer,
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
