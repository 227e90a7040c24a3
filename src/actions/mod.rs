//! Actions: commands that are run and webhooks that are called when alerts fire, with guard rails.
//!
//! In: the configuration's `actions`, and what fires. Out: commands and calls, at most once for each firing,
//! few at a time and in an hour, and a line about each attempt. Off unless it is switched on, and told instead
//! of done (`dry_run`) unless that is switched off.
//!
//! Parts that do not know one another: [`Guard`] decides in virtual time and runs nothing;
//! [`Argument`] puts the labels of an entity into a command, or refuses them; [`run`] runs one command to its
//! very end; `hook` calls one webhook once. [`ActionDriver`] is the task that uses them by an [`ActionPlan`], with
//! a clock and a folder; an [`ActionDesk`] is how others see what it does, and switch it off.
//!
//! It deliberately knows no shell, searches for no program, and makes up no command: only what stands in the
//! configuration is run.

mod action_counters;
mod action_files;
mod archive;
mod argument;
mod attempt;
mod config;
mod decision;
mod desk;
mod driver;
mod guard;
#[cfg(test)]
mod guard_tests;
mod hook;
mod job;
mod memory;
mod plan;
mod record;
mod run;
mod sight;

pub use action_counters::describe_metrics;
pub use action_files::ACTION_FILES;
pub use argument::{Argument, ArgumentError};
pub use attempt::{AttemptKey, AttemptProgress};
pub use config::{ActionConfig, ActionHookConfig, ActionsConfig};
pub use decision::{FiringAlert, GuardDecision, GuardInput, HeldBack};
pub use desk::{ActionDesk, ActionsStatus, DeskBack, Driverless, SwitchReply, desk};
pub use driver::ActionDriver;
pub use guard::{Guard, MOST_REMEMBERED};
pub use hook::ActionHookError;
pub use memory::{GuardMemory, KeptAttempt};
pub use plan::ActionPlan;
pub use record::{ActionOutcome, ActionRecord};
pub use run::{CommandEnding, CommandLine, CommandOutput, CommandResult, run};
