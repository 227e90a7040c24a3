//! The command line: what the user typed, as a command that runs.
//!
//! Flags are written as Prometheus writes them (`--config.file`). Exit codes: 0 done; 2 for a command
//! line, a configuration or a model file that cannot work as it is written, be it to check it, to evaluate
//! or to serve; 1 for all that failed otherwise, such as a server, a disk, a library that is not there, or a
//! model that lacks time or memory.

mod alerts;
mod check;
mod evaluate;
mod features;
mod item;
mod manual;
mod model_file;
mod next;
mod outputs;
mod reproduce;
mod source;
mod train;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::admission;
use crate::config::Config;
use crate::files::Draft;
use crate::history::{self, HistoryError};
use crate::http::CorsOrigin;
use crate::logging::{self, LogFormat, LogLevel};
use crate::serve::{self, ServeError};

/// The command failed.
const FAILED: u8 = 1;
/// The command line, the configuration or a model file is wrong.
const WRONG: u8 = 2;

/// What `--version` prints after the name, in the words of Prometheus's programs.
const VERSION: &str = concat!(
    "version ",
    env!("CARGO_PKG_VERSION"),
    " (revision: ",
    env!("PORTENT_REVISION"),
    ")\n  build date:       ",
    env!("PORTENT_BUILD_DATE"),
    "\n  rustc version:    ",
    env!("PORTENT_RUSTC"),
    "\n  platform:         ",
    env!("PORTENT_PLATFORM"),
);

/// Scores every host that Prometheus watches with an autoencoder.
#[derive(Debug, Parser)]
#[command(name = "portent,", bin_name = "portent", version = VERSION, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Only log messages with the given severity or above.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", global = true)]
    log_level: LogLevel,
    /// Output format of log messages.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt", global = true)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive samples, score hosts, export the scores.
    Serve(ServeArgs),
    /// Train a model from Prometheus's history or from a CSV file.
    Train(Box<train::TrainArgs>),
    /// Run a model over history and report how it would have done.
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Check a configuration, a model, what Prometheus has for its features, or who is told of alerts.
    #[command(subcommand)]
    Check(check::Check),
    /// Print what a shell needs to complete commands and flags.
    Completion(manual::CompletionArgs),
    /// Write the manual, a page for each command.
    #[command(hide = true)]
    Man(manual::ManArgs),
    /// Load and try the model on standard input, for a process that wants it tried before loading it.
    #[command(name = admission::COMMAND, hide = true)]
    TryModel,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
struct ServeArgs {
    /// Portent configuration file; the built-in configuration without one.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Address to listen on for remote-write, /metrics and the rest.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9847",
        value_parser = listen_address)]
    listen_address: String,
    /// The URL under which Portent is reached from outside, for example through a reverse proxy. Its path is
    /// put before all paths that Portent serves.
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// What is put before all paths that Portent serves, if that is not the path of --web.external-url.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// The origins whose pages may read answers of the query API: a regular expression that the whole origin must
    /// match, as 'https?://(a|b)\.example' or '.*' (web.cors_origin of the configuration file without it).
    #[arg(long = "web.cors.origin", value_name = "REGEX", value_parser = cors_origin)]
    cors_origin: Option<CorsOrigin>,
    /// Folder in which what is learnt of hosts, and silences, outlive a restart; "" to keep nothing.
    #[arg(long = "storage.path", value_name = "PATH", default_value = "data/")]
    storage_path: OsString,
    /// Prometheus, or anything that answers its query_range: models that remember nothing yet begin with its
    /// recent history. Without it: history.prometheus_url of the configuration file.
    #[arg(long = "prometheus.url", value_name = "URL")]
    prometheus_url: Option<String>,
    /// Enable reload by POST /-/reload.
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
    /// Enable the API that changes things: silences by POST and DELETE under /api/v2.
    #[arg(long = "web.enable-admin-api")]
    enable_admin_api: bool,
}

/// What a command ends with.
type ExitResult = Result<(), Failure>;

/// Why a command did not succeed.
enum Failure {
    /// Exit code 1.
    Failed(anyhow::Error),
    /// Exit code 2.
    Wrong(anyhow::Error),
}

impl Failure {
    /// That a model cannot be loaded.
    fn of_model(error: anyhow::Error) -> Self {
        match admission::may_pass(&error) {
            true => Self::Failed(error),
            false => Self::Wrong(error),
        }
    }

    /// That there is no history: for what was typed, or for what a server or a file is.
    fn of_history(error: HistoryError) -> Self {
        match error.is_typed_wrong() {
            true => Self::Wrong(error.into()),
            false => Self::Failed(error.into()),
        }
    }
}

/// An address to listen on, as far as its form goes.
fn listen_address(text: &str) -> Result<String, &'static str> {
    let is_host = |host: &str| match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.contains(['[', ']', ':', '/', ' ']),
    };
    let parts = text.rsplit_once(':');
    match parts.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok()) {
        true => Ok(text.to_owned()),
        false => Err("expected HOST:PORT, as 0.0.0.0:9847 or [::1]:9847 or :9847"),
    }
}

/// A whole number, such as a seed.
fn whole_number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "expected a whole number of 0 or more")
}

/// Writes a text, whole or not at all.
fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut draft = Draft::of(path)?;
        draft.write_all(text.as_bytes())?;
        draft.publish()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Writes to standard output. That nobody reads on, as behind `| head`, is no failure.
fn say(text: impl Display) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    // Ends the process with 2 when the command line is wrong, with 0 after --help and --version.
    let cli = Cli::parse();
    logging::start(cli.log_level, cli.log_format);
    let is_server = matches!(cli.command, Command::Serve(_));
    let outcome = match cli.command {
        Command::Serve(args) => serve(args),
        Command::Train(args) => train::run(*args),
        Command::Evaluate(args) => evaluate::run(*args),
        Command::Check(check) => check::run(check),
        Command::Completion(args) => manual::completion(&args),
        Command::Man(args) => manual::man(&args),
        Command::TryModel => return admission::attempt(),
    };
    let (code, error) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => (FAILED, error),
        Err(Failure::Wrong(error)) => (WRONG, error),
    };
    // Causes on the same line, each once: some messages already hold their cause.
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    if is_server {
        // Whoever collects the log of a server reads all of it in one format.
        tracing::error!(error = text, "cannot serve");
        return ExitCode::from(code);
    }
    // The exit code tells it where nobody reads.
    let _ = writeln!(std::io::stderr(), "portent: {text}");
    ExitCode::from(code)
}

fn cors_origin(text: &str) -> Result<CorsOrigin, String> {
    text.to_owned().try_into()
}

fn serve(args: ServeArgs) -> ExitResult {
    let routes = serve::Routes::new(args.external_url.as_deref(), args.route_prefix.as_deref())
        .map_err(|error| Failure::Wrong(error.into()))?;
    let ServeArgs { config_file, prometheus_url, cors_origin, .. } = args;
    if let Some(url) = &prometheus_url {
        history::check_address(url).map_err(|error| {
            Failure::Wrong(anyhow::Error::from(error).context("--prometheus.url"))
        })?;
    }
    let load = move || {
        let mut config = Config::load(config_file.as_deref())?;
        let url = prometheus_url.clone().or(config.history.prometheus_url);
        config.history.prometheus_url = url;
        config.web.cors_origin = cors_origin.clone().or(config.web.cors_origin);
        Ok(config)
    };
    let options = serve::Options {
        listen_address: args.listen_address,
        routes,
        enable_lifecycle: args.enable_lifecycle,
        enable_admin_api: args.enable_admin_api,
        storage_path: Some(PathBuf::from(args.storage_path)).filter(|it| it != Path::new("")),
    };
    // A wrong file at the start is wrong usage; at a reload the old one stays in force.
    serve::run(options, Box::new(load)).map_err(|error| match error {
        ServeError::Wrong(error) => Failure::Wrong(error),
        ServeError::Failed(error) => Failure::Failed(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_has_a_host_and_a_port() {
        for good in [":9847", "0.0.0.0:0", "[::1]:9847", "[::]:80", "localhost:9847", "256.0.0.1:1"]
        {
            assert_eq!(listen_address(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "9847",
            "localhost",
            ":",
            ":x",
            ":65536",
            ":-1",
            "::1:80",
            "[::1]",
            "[x]:1",
            "http://a:1",
        ] {
            let error = listen_address(bad).expect_err(bad);
            assert_eq!(error, "expected HOST:PORT, as 0.0.0.0:9847 or [::1]:9847 or :9847");
        }
        assert_eq!(whole_number("7"), Ok(7));
        assert_eq!(whole_number("-5"), Err("expected a whole number of 0 or more"));
    }

    /// What `serve` takes of a flag.
    fn cors_origin_of(flags: &[&str]) -> Result<Option<CorsOrigin>, String> {
        let words = ["portent", "serve"].iter().chain(flags);
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Serve(args) => Ok(args.cors_origin),
            _ => panic!("serve is another command"),
        }
    }

    #[test]
    fn an_origin_is_a_pattern_and_none_unless_asked_for() {
        assert!(cors_origin_of(&[]).expect("no flag").is_none());
        let any = cors_origin_of(&["--web.cors.origin=.*"]).expect("a pattern");
        assert_eq!(any.map(String::from).as_deref(), Some(".*"));
        let error = cors_origin_of(&["--web.cors.origin=("]).expect_err("no pattern");
        assert!(error.contains("invalid regular expression \"(\""), "{error}");
    }
}
