//! `portent check alerts`: who is told of alerts, and whether that works.

use std::path::Path;

use anyhow::{Context, anyhow};

use super::source::now_ms;
use super::{ExitResult, Failure, say};
use crate::config::Config;
use crate::notify::{Target, TargetAnswer, send_test};

/// Checks the receivers of a configuration, and tells them of a test where that is asked for.
pub(super) fn run(file: &Path, sends_test: bool) -> ExitResult {
    let wrong = |error: anyhow::Error| Failure::Wrong(error);
    let config = Config::load(Some(file)).map_err(|error| wrong(error.into()))?;
    let targets = Target::all(&config.notify).map_err(|error| wrong(error.into()))?;
    let rules = config.alerting.rules.len();
    let text = format!(
        "{}: {rules} rule(s), {} receiver(s) with {} target(s)\n",
        file.display(),
        config.notify.receivers.len(),
        targets.len()
    );
    say(text).map_err(Failure::Failed)?;
    if !sends_test {
        return Ok(());
    }
    if targets.is_empty() {
        return Err(wrong(anyhow!(
            "{}: notify.receivers names nobody to send a test to",
            file.display()
        )));
    }
    let answers = answers(targets).map_err(Failure::Failed)?;
    for (target, answer) in &answers {
        let line = match answer {
            Ok(()) => format!("  {target}: accepted\n"),
            Err(failure) => format!("  {target}: {}\n", failure.reason),
        };
        say(line).map_err(Failure::Failed)?;
    }
    match answers.iter().filter(|it| it.1.is_err()).count() {
        0 => Ok(()),
        failed => {
            let text =
                format!("{failed} of {} targets did not accept the test alert", answers.len());
            Err(Failure::Failed(anyhow!(text)))
        }
    }
}

fn answers(targets: Vec<Target>) -> anyhow::Result<Vec<TargetAnswer>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start to send the test alerts")?;
    Ok(runtime.block_on(send_test(now_ms(), targets)))
}
