//! `portent completion` and `portent man`: the command line told to a shell and to `man`.
//!
//! In: the definition of the command line, of which `--help` is made too. Out: a script on standard
//! output; pages of roff in a folder. `make deb` puts both into the package.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, ExitResult, Failure, say};

/// What the program is called by who types it.
const NAME: &str = "portent";

/// Flags of `completion`.
#[derive(Debug, Args)]
pub(super) struct CompletionArgs {
    /// The shell; for bash: source <(portent completion bash).
    shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where the pages go; made if it is not there.
    folder: PathBuf,
}

/// The command line under the program's own name and version. In `--version` it speaks as Prometheus's
/// programs do.
fn command() -> clap::Command {
    Cli::command().name(NAME).version(env!("CARGO_PKG_VERSION"))
}

pub(super) fn completion(args: &CompletionArgs) -> ExitResult {
    // Not at once to standard output: the generator panics where nobody reads on.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), NAME, &mut script);
    say(String::from_utf8_lossy(&script)).map_err(Failure::Failed)
}

pub(super) fn man(args: &ManArgs) -> ExitResult {
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| {
            clap_mangen::generate_to(command().disable_help_subcommand(true), &args.folder)
        })
        .with_context(|| format!("cannot write the manual into {}", args.folder.display()))
        .map_err(Failure::Failed)
}
