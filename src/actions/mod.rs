//! Actions: commands that are run when alerts fire, with guard rails.
//!
//! In: the configuration's `actions`, and what fires. Out: commands that are run, at most once for each firing,
//! few at a time and in an hour, and a line about each attempt. Off unless it is switched on, and told instead
//! of done (`dry_run`) unless that is switched off.
//!
//! Three parts that do not know one another: [`Guard`] decides in virtual time and runs nothing;
//! [`Argument`] puts the labels of an entity into a command, or refuses them; [`run`] runs one command to its
//! very end.
//!
//! It deliberately knows no shell, searches for no program, and makes up no command: only what stands in the
//! configuration is run.

mod argument;
mod attempt;
mod config;
mod decision;
mod guard;
#[cfg(test)]
mod guard_tests;
mod memory;
mod run;

pub use argument::{Argument, ArgumentError};
pub use attempt::{AttemptKey, AttemptProgress};
pub use config::{ActionConfig, ActionsConfig, ActionsError};
pub use decision::{FiringAlert, GuardDecision, GuardInput, HeldBack};
pub use guard::{Guard, MOST_REMEMBERED};
pub use memory::{GuardMemory, KeptAttempt};
pub use run::{CommandEnding, CommandLine, CommandOutput, CommandResult, run};
