//! A job: what one attempt does, a command or a call of a webhook.
//!
//! In: an action, the alert that fires. Out: what is to be done, which can be told without doing it; done, how
//! it ended.

use std::path::PathBuf;
use std::sync::Arc;

use super::argument::Argument;
use super::attempt::AttemptKey;
use super::config::ActionConfig;
use super::hook::{ActionHook, HookCall};
use super::plan::ActionPlan;
use super::record::{ActionRecord, JobResult};
use super::run::{CommandLine, run};
use crate::detect::Snapshot;
use crate::detect::alert::ActiveAlert;
use crate::labels::Labels;

/// What one attempt does.
#[derive(Debug)]
pub(super) enum Job {
    Command(CommandLine),
    Hook(Arc<ActionHook>, HookCall),
}

impl Job {
    /// What an action does about an alert that fires in a snapshot.
    ///
    /// # Errors
    /// Why it cannot be done for this entity.
    pub fn new(
        plan: &ActionPlan,
        action: &ActionConfig,
        key: &AttemptKey,
        fired_ms: i64,
        snapshot: &Snapshot,
    ) -> Result<Self, String> {
        let Some(hook) = plan.hook(&action.name) else {
            return Ok(Self::Command(command(action, &key.entity)?));
        };
        let is_it = |it: &&ActiveAlert| {
            (&it.rule, &it.model) == (&key.rule, &key.model)
                && it.entity.as_ref() == Some(&key.entity)
        };
        let alert = snapshot.alerts.active().find(is_it);
        let alert = alert.ok_or("its alert is not there any more")?;
        Ok(Self::Hook(Arc::clone(hook), HookCall::new(key, fired_ms, alert)))
    }

    /// Has a record say what it is.
    pub fn describe(&self, record: &mut ActionRecord) {
        match self {
            Self::Command(line) => {
                let program = line.program.display().to_string();
                record.command = [program].into_iter().chain(line.arguments.clone()).collect();
            }
            Self::Hook(hook, call) => {
                record.url = Some(hook.url());
                record.attempt = Some(call.attempt.clone());
            }
        }
    }

    /// Does it; when `stop` is, it is ended.
    pub async fn run(self, now_ms: i64, stop: impl Future<Output = ()>) -> JobResult {
        match self {
            Self::Command(line) => JobResult::Command(run(&line, stop).await),
            Self::Hook(hook, call) => JobResult::Hook(hook.call(now_ms, &call, stop).await),
        }
    }
}

/// The command of an action for an entity.
fn command(action: &ActionConfig, entity: &Labels) -> Result<CommandLine, String> {
    let fill = |text: &String| {
        let argument = Argument::parse(text)?;
        argument.fill(|label| entity.get(label)).map_err(|error| error.to_string())
    };
    let words: Result<Vec<String>, String> = action.command.iter().flatten().map(fill).collect();
    let mut words = words?.into_iter();
    Ok(CommandLine {
        program: PathBuf::from(words.next().ok_or("it has no command")?),
        arguments: words.collect(),
        working_directory: action.working_directory.clone(),
        environment: action.environment.clone(),
        timeout: action.timeout.to_std(),
        max_output_bytes: action.max_output_bytes.as_len(),
    })
}
