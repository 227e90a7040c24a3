//! The examples that say where Portent runs hold: each is accepted by its own tool where that can run
//! here, and names what the repository and the program really have.
//!
//! nginx and vmagent are required (`make peers` gets them). Docker, systemd, zsh, fish and Grafana Alloy
//! are not everywhere: what their absence leaves unchecked is said on stderr.

mod agents;
mod compose;
mod debian;
mod dockerfile;
mod kubernetes;
mod nginx;
mod systemd;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::{repository, run_portent};

/// Where Portent listens unless it is told otherwise.
const PORT: u16 = 9847;

/// A file beneath `examples`.
#[track_caller]
fn example(name: &str) -> String {
    let file = repository().join("examples").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The lines of a file's first comment, without its marks.
fn header(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with('#'));
    lines.map(|line| line.trim_start_matches('#').trim_start().to_owned() + "\n").collect()
}

/// Says what cannot be checked here. Not by a macro: the test harness keeps to itself what those print
/// in a test that passes.
fn say(text: &str) {
    // Where nobody listens, nothing is lost.
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

/// Runs a program in the repository's root, and gives what it printed, or nothing when there is no such
/// program.
#[track_caller]
fn accepted(program: &str, arguments: &[&str]) -> Option<String> {
    let found = Command::new(program).args(arguments).current_dir(repository()).output();
    let output = match found {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{program}: {error}"),
    };
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    Some(said)
}

/// The program has each flag that is given to `serve`, and takes its configuration from a file.
#[track_caller]
fn check_flags(arguments: &[&str]) {
    let [command, flags @ ..] = arguments else { panic!("no command") };
    assert_eq!(*command, "serve");
    let help = run_portent(&["serve", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    for flag in flags {
        let name = flag.split('=').next().expect("a first part");
        assert!(help.contains(&format!("{name} <")), "serve has no {name}");
    }
}

/// Portent accepts a configuration.
#[track_caller]
fn check_config(file: &Path) {
    let output = run_portent(&["check", "config", file.to_str().expect("a path of a test")]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_port_is_the_default() {
    let help = run_portent(&["serve", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains(&format!("[default: :{PORT}]")));
}

#[test]
fn the_readme_names_every_file() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    for file in [
        "examples/debian",
        "examples/compose.yml",
        "examples/Dockerfile",
        "examples/systemd/portent.service",
        "examples/nginx.conf",
        "examples/kubernetes",
        "examples/vmagent.yml",
        "examples/alloy/config.alloy",
    ] {
        assert!(repository().join(file).exists(), "{file}");
        assert!(readme.contains(&format!("({file})")), "README.md does not name {file}");
    }
}
