//! `examples/systemd/portent.service`.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{accepted, check_flags, example, say};

/// How exposed the unit may be, in tenths of what `systemd-analyze security` counts from 0 to 10. systemd
/// 252 counts 1.2; others may know of further restrictions.
pub(crate) const EXPOSURE: &str = "20";

/// What the unit gives to a key.
pub(crate) fn values(key: &str) -> Vec<String> {
    let unit = example("systemd/portent.service");
    let lines = unit.lines().filter_map(|it| it.split_once('=')).filter(|it| it.0 == key);
    lines.map(|it| it.1.to_owned()).collect()
}

/// The unit with the program that this build made in the place of the installed one.
fn as_built() -> (TempDir, PathBuf) {
    let dir = TempDir::with_prefix("portent-unit-").expect("a temporary folder");
    let unit = example("systemd/portent.service");
    assert!(unit.contains("ExecStart=/usr/bin/portent "));
    let file = dir.path().join("portent.service");
    let text = unit.replace(
        "ExecStart=/usr/bin/portent ",
        concat!("ExecStart=", env!("CARGO_BIN_EXE_portent"), " "),
    );
    fs::write(&file, text).expect("a fresh folder takes a file");
    (dir, file)
}

#[test]
fn systemd_accepts_it_where_there_is_one() {
    let (_dir, file) = as_built();
    let file = file.to_str().expect("a path of a test");
    let Some(said) = accepted("systemd-analyze", &["verify", "--man=no", file]) else {
        say("no systemd-analyze here: examples/systemd/portent.service is not checked by it");
        return;
    };
    // Of other units, which are this system's, it may say what it likes.
    assert!(!said.contains("portent.service"), "{said}");
    let threshold = format!("--threshold={EXPOSURE}");
    accepted("systemd-analyze", &["security", "--offline=true", &threshold, file]);
}

/// With what actions need that restart units.
#[test]
fn systemd_accepts_it_with_actions() {
    let (_dir, file) = as_built();
    let drop_in = example("systemd/portent.service.d/actions.conf");
    let unit = fs::read_to_string(&file).expect("the unit");
    fs::write(&file, format!("{unit}\n{drop_in}")).expect("a file of a test");
    let file = file.to_str().expect("a path of a test");
    let Some(said) = accepted("systemd-analyze", &["verify", "--man=no", file]) else {
        say("no systemd-analyze here: examples/systemd/portent.service.d is not checked by it");
        return;
    };
    assert!(!said.contains("portent.service"), "{said}");
    let threshold = format!("--threshold={EXPOSURE}");
    accepted("systemd-analyze", &["security", "--offline=true", &threshold, file]);
}

/// The action that is shown beside it is a good one, and restarts what the rule allows.
#[test]
fn the_action_of_the_drop_in_is_real() {
    let drop_in = example("systemd/portent.service.d/actions.conf");
    let lines: Vec<&str> = drop_in.lines().filter_map(|it| it.strip_prefix("#   ")).collect();
    let begin = lines.iter().position(|it| *it == "actions:").expect("the section");
    let rules = "alerting: {rules: [{alert: HostAnomalous}]}";
    let config = format!("{rules}\n{}\n", lines[begin..].join("\n"));
    let config = portent::config::Config::parse("example", &config);
    let action = config.unwrap_or_else(|error| panic!("{error}")).actions.list.remove(0);
    let command = action.command.expect("a command");
    assert_eq!(command[2..], ["restart", "worker@{name}.service"]);
    let rule = example("systemd/50-portent.rules");
    assert!(rule.contains(r"/^worker@[A-Za-z0-9_.:-]+\.service$/"), "{rule}");
}

#[test]
fn it_starts_and_reloads_what_there_is() {
    let start = values("ExecStart").concat();
    let words: Vec<&str> = start.split(' ').collect();
    let [program, arguments @ .., "$ARGS"] = words.as_slice() else { panic!("{words:?}") };
    assert_eq!(*program, "/usr/bin/portent");
    check_flags(arguments);
    assert_eq!(values("ExecReload"), ["/bin/kill -HUP $MAINPID"]);
    // Where the header puts the library, the program looks for it.
    let unit = example("systemd/portent.service");
    assert!(unit.contains("-t /usr/lib/portent "));
    let source = include_str!("../../../src/model/runtime.rs");
    assert!(source.contains("\"/usr/lib/portent\""));
}

#[test]
fn it_may_little() {
    for (key, value) in [
        ("Environment", "ORT_DISABLE_TELEMETRY=1"),
        ("DynamicUser", "yes"),
        ("User", "portent"),
        ("StateDirectory", "portent"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6"),
    ] {
        assert_eq!(values(key), [value], "{key}");
    }
    assert_eq!(
        values("SystemCallFilter"),
        ["@system-service", "~@privileged @resources", "prlimit64"]
    );
    // Without /proc/cpuinfo ONNX Runtime does not know the processor.
    assert!(values("ProcSubset").is_empty());
}
