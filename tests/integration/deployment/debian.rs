//! The Debian package, by what it is made of: Cargo.toml's list, `examples/debian`, the manual and the
//! completions. `make deb-test` shows its life, from apt to a score and a purge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::systemd::{EXPOSURE, values};
use super::{accepted, check_config, example, say};
use crate::support::{repository, run_portent};

/// What `make deb` generates, beneath the folder that cargo-deb takes for the target folder's.
const MADE: &str = "target/release/package/";

/// The package's description in Cargo.toml, as cargo reads it.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    all["packages"][0]["metadata"]["deb"].clone()
}

/// Each asset: where it comes from, where it goes, its mode.
fn assets() -> Vec<[String; 3]> {
    serde_json::from_value(metadata()["assets"].clone()).expect("a list of three words each")
}

/// Where a file of the repository goes.
#[track_caller]
fn installed(source: &str) -> String {
    let found = assets().into_iter().find(|it| it[0] == source);
    let [_, target, _] = found.unwrap_or_else(|| panic!("{source} is not in the package"));
    match target.strip_suffix('/') {
        Some(folder) => {
            let name = Path::new(source).file_name().and_then(|it| it.to_str()).expect("a name");
            format!("/{folder}/{name}")
        }
        None => format!("/{target}"),
    }
}

/// The commands that `--help` names, those of `check` too, but not the one that says the same as `--help`.
fn commands() -> Vec<Vec<String>> {
    let below = |command: &[&str]| -> Vec<String> {
        let help = run_portent(&[command, &["--help"]].concat());
        let help = String::from_utf8(help.stdout).expect("UTF-8");
        let lines = help.lines().skip_while(|it| *it != "Commands:").skip(1);
        let lines = lines.take_while(|it| it.starts_with("  "));
        let names = lines.map(|it| it.split_whitespace().next().expect("a name").to_owned());
        names.filter(|it| it != "help").collect()
    };
    let mut commands = Vec::new();
    for name in below(&[]) {
        commands.extend(below(&[&name]).into_iter().map(|it| vec![name.clone(), it]));
        commands.push(vec![name]);
    }
    assert!(commands.len() >= 7, "{commands:?}");
    commands
}

/// The files that generating fills: the manual, and the scripts by the names that the build gives them.
fn generated() -> TempDir {
    let dir = TempDir::with_prefix("portent-deb-").expect("a temporary folder");
    let man = dir.path().join("man");
    let output = run_portent(&["man", man.to_str().expect("a path of a test")]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    fs::create_dir(dir.path().join("completion")).expect("a fresh folder");
    for shell in ["bash", "zsh", "fish"] {
        let output = run_portent(&["completion", shell]);
        assert!(output.status.success(), "{output:?}");
        fs::write(dir.path().join("completion").join(shell), output.stdout).expect("a file");
    }
    dir
}

#[test]
fn everything_that_it_holds_is_there() {
    let build = example("debian/build.sh");
    assert!(build.contains("made=$target/release/package\n"));
    let generated = generated();
    for [source, target, mode] in assets() {
        assert!(mode == "644" || (mode == "755" && target == "usr/bin/"), "{source}: {mode}");
        if source == "target/release/portent" {
            assert_eq!(installed(&source), "/usr/bin/portent");
        } else if let Some(name) = source.strip_prefix(MADE) {
            let name = name.trim_end_matches("*.gz");
            let is_notices = name == "ThirdPartyNotices.txt.gz" && build.contains(name);
            assert!(is_notices || generated.path().join(name).exists(), "nothing makes {source}");
        } else if let Some(name) = source.strip_prefix(".onnxruntime/") {
            // Of the folder, which need not be there: what fills it, and what asks it to.
            assert_eq!(name, "onnxruntime/capi/libonnxruntime.so.*");
            let script = fs::read_to_string(repository().join("tests/onnxruntime.sh"));
            assert!(script.expect("a script").contains("mv \"$fetched\" $into/onnxruntime/capi/"));
            assert!(build.contains("\ntests/onnxruntime.sh --inside\n"));
        } else {
            assert!(repository().join(&source).is_file(), "{source}");
        }
    }
}

#[test]
fn the_service_finds_what_the_package_installs() {
    let start = values("ExecStart").concat();
    let config = installed("examples/portent.yml");
    assert!(start.starts_with(&format!("{} serve", installed("target/release/portent"))));
    assert!(start.contains(&format!("--config.file={config} ")), "{start}");
    check_config(&repository().join("examples/portent.yml"));
    let flags = installed("examples/debian/default");
    assert_eq!(values("EnvironmentFile"), [format!("-{flags}")]);
    let text = example("debian/default");
    let settings: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
    assert_eq!(settings, ["ARGS=\"\""], "nothing is set that is not asked for");
    // The package's own library goes before any that the system may have.
    let library = installed(".onnxruntime/onnxruntime/capi/libonnxruntime.so.*");
    let folder = Path::new(&library).parent().and_then(Path::to_str).expect("a folder");
    let source = include_str!("../../../src/model/runtime.rs");
    let first = source.split_once("SYSTEM_DIRS: [&str; 8] = [").expect("a list").1.trim_start();
    assert!(first.starts_with(&format!("\"{folder}\",")), "{first:.40}");
}

#[test]
fn user_and_folder_are_the_service_s() {
    let user = values("User").concat();
    let folder = values("WorkingDirectory").concat();
    let line = |name: &str| -> Vec<String> {
        let text = example(name);
        let lines: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(line("debian/portent.sysusers"), ["u", &user, "-", "\"Portent\"", &folder]);
    let mode = values("StateDirectoryMode").concat();
    assert_eq!(line("debian/portent.tmpfile"), ["d", &folder, &mode, &user, &user]);
    // cargo-deb finds them by their names.
    assert_eq!(metadata()["maintainer-scripts"], "examples/debian");
    assert!(metadata()["systemd-units"].is_object());
}

#[test]
fn systemd_accepts_user_and_service_where_there_is_one() {
    let dir = TempDir::with_prefix("portent-deb-").expect("a temporary folder");
    let path = |file: PathBuf| file.to_str().expect("a path of a test").to_owned();
    let folder = path(dir.path().to_owned());
    let users = path(repository().join("examples/debian/portent.sysusers"));
    fs::create_dir(dir.path().join("etc")).expect("a fresh folder");
    if accepted("systemd-sysusers", &[&format!("--root={folder}"), &users]).is_none() {
        say("no systemd-sysusers here: examples/debian/portent.sysusers is not checked by it");
    } else {
        let users = fs::read_to_string(dir.path().join("etc/passwd")).expect("users");
        assert!(users.lines().any(|it| it.starts_with("portent:")), "{users}");
    }
    let unit = dir.path().join("portent.service");
    let text = example("systemd/portent.service")
        .replace("/usr/bin/portent ", concat!(env!("CARGO_BIN_EXE_portent"), " "));
    fs::write(&unit, text).expect("a fresh folder takes a file");
    let name = installed("examples/debian/package.conf");
    let name = name.strip_prefix("/usr/lib/systemd/system/").expect("a drop-in");
    let drop_in = dir.path().join(name);
    fs::create_dir(drop_in.parent().expect("a folder")).expect("a fresh folder takes another");
    fs::write(&drop_in, example("debian/package.conf")).expect("a fresh folder takes a file");
    let unit = path(unit);
    let Some(said) = accepted("systemd-analyze", &["verify", "--man=no", &unit]) else {
        say("no systemd-analyze here: examples/debian/package.conf is not checked by it");
        return;
    };
    assert!(!said.contains("portent"), "{said}");
    // Without DynamicUser it is no more exposed.
    let threshold = format!("--threshold={EXPOSURE}");
    accepted("systemd-analyze", &["security", "--offline=true", &threshold, &unit]);
}

#[test]
fn a_shell_accepts_the_scripts() {
    let scripts = ["examples/debian/postrm", "examples/debian/build.sh", "tests/deb.sh"];
    for script in scripts {
        accepted("sh", &["-n", script]).expect("sh is on every Unix");
    }
    // Where cargo-deb puts what it writes itself; without it the service is not stopped.
    assert!(example("debian/postrm").ends_with("\n#DEBHELPER#\n"));
}

#[test]
fn the_changelog_begins_with_this_version() {
    let text = example("debian/changelog");
    let start = format!("portent ({}-", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&start), "{text:.40}");
    let maintainer = metadata()["maintainer"].as_str().expect("a text").to_owned();
    assert!(text.contains(&format!("\n -- {maintainer}  ")), "{text}");
}

/// The manual has a page for each command, which has its flags; the first names them all.
#[test]
fn the_manual_has_every_command() {
    let generated = generated();
    let page = |name: &str| {
        let file = generated.path().join("man").join(name);
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Roff's own way to write what may not be broken.
        text.replace("\\-", "-")
    };
    let commands = commands();
    let pages = fs::read_dir(generated.path().join("man")).expect("a folder").count();
    assert_eq!(pages, commands.len() + 1, "and one of them all");
    let first = page("portent.1");
    assert!(first.contains(".TH portent 1") && first.contains(env!("CARGO_PKG_VERSION")));
    assert!(!first.contains("revision"), "a manual of a version says nothing of a commit");
    for command in commands {
        let name = format!("portent-{}", command.join("-"));
        let text = page(&format!("{name}.1"));
        assert!(command.len() > 1 || first.contains(&format!("{name}(1)")), "{name}");
        let help =
            run_portent(&command.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>());
        let help = String::from_utf8(help.stdout).expect("UTF-8");
        let words = help.split_whitespace().filter(|it| it.starts_with("--"));
        for flag in words.map(|it| it.trim_matches([',', '.', ')', ']', '`'])) {
            assert!(text.contains(flag), "{name} has no {flag}");
        }
    }
}

#[test]
fn the_completions_have_every_command() {
    let generated = generated();
    let folder = generated.path().join("completion");
    for shell in ["bash", "zsh", "fish"] {
        let file = folder.join(shell);
        let text = fs::read_to_string(&file).expect("UTF-8");
        for command in commands() {
            let last = command.last().expect("a name");
            assert!(text.contains(last), "{shell} has no {last}");
        }
        for flag in ["config.file", "web.listen-address", "log.level"] {
            assert!(text.contains(flag), "{shell} has no {flag}");
        }
        if accepted(shell, &["-n", file.to_str().expect("a path of a test")]).is_none() {
            say(&format!("no {shell} here: its completions are not parsed"));
        }
    }
}

/// What bash offers is what is there.
#[test]
fn bash_completes_a_command_and_a_flag() {
    let complete = "eval \"$(\"$0\" completion bash)\"\n\
                    COMP_WORDS=(portent \"$@\")\n\
                    COMP_CWORD=$#\n\
                    COMPREPLY=()\n\
                    _portent portent \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"\n\
                    echo \"${COMPREPLY[@]}\"";
    for (typed, offered) in [
        (vec!["ser"], "serve"),
        (vec!["check", "mod"], "model"),
        (vec!["serve", "--web.l"], "--web.listen-address"),
    ] {
        let arguments = [vec!["-c", complete, env!("CARGO_BIN_EXE_portent")], typed.clone()];
        let Some(said) = accepted("bash", &arguments.concat()) else {
            say("no bash here: its completions are not tried");
            return;
        };
        assert_eq!(said.trim(), offered, "{typed:?}");
    }
}

/// A package that somebody else is given says whose the library in it is, in its owner's words.
#[test]
fn onnx_runtime_s_licence_is_in_it() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let copyright = example("debian/copyright");
    let text = copyright.split_once("\nLicense: MIT\n Permission").expect("the licence's text").1;
    let text: String =
        text.lines().filter(|it| *it != " .").map(|it| it.to_owned() + "\n").collect();
    assert!(words(&text).len() > 100 && copyright.contains("Microsoft Corporation"));
    let library = installed(".onnxruntime/onnxruntime/capi/libonnxruntime.so.*");
    let folder = Path::new(&library).parent().and_then(Path::to_str).expect("a folder");
    assert!(copyright.contains(&format!("\nFiles: {}/*\n", &folder[1..])));
    let Ok(licence) = fs::read_to_string(repository().join(".onnxruntime/onnxruntime/LICENSE"))
    else {
        say("ONNX Runtime is not in .onnxruntime: its licence is not compared");
        return;
    };
    let original = licence.split_once("\nPermission").expect("the licence's text").1;
    assert_eq!(words(&text), words(original));
}

#[test]
fn completion_and_manual_fail_with_a_reason() {
    let file = TempDir::with_prefix("portent-deb-").expect("a temporary folder");
    let taken = file.path().join("taken");
    fs::write(&taken, "").expect("a file");
    let output = run_portent(&["man", taken.to_str().expect("a path of a test")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the manual into"));
    let output = run_portent(&["completion", "cmd"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Commands that write to standard output.
const PRINTING: [&[&str]; 4] = [
    &["completion", "bash"],
    &["check", "config"],
    &["check", "config", "--print"],
    &["check", "model"],
];

/// What a command ends with whose standard output is this.
fn printed_into(arguments: &[&str], output: impl Into<Stdio>) -> (Option<i32>, String) {
    let found = Command::new(env!("CARGO_BIN_EXE_portent"))
        .args(arguments)
        .stdout(output)
        .output()
        .expect("cargo has built portent");
    (found.status.code(), String::from_utf8_lossy(&found.stderr).into_owned())
}

/// As behind `| head`.
#[test]
fn that_nobody_reads_on_is_no_failure() {
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(printed_into(arguments, writer), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_told_in_a_sentence() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full");
    if full().is_err() {
        say("no /dev/full here: output that cannot be written is not tried");
        return;
    }
    for arguments in PRINTING {
        let (code, words) = printed_into(arguments, full().expect("it was there"));
        assert_eq!(code, Some(1), "{arguments:?}");
        let expected = "portent: cannot write to standard output: No space left on device";
        assert!(
            words.starts_with(expected) && words.lines().count() == 1,
            "{arguments:?}: {words}"
        );
    }
}
