//! The configuration: what is accepted, what is refused and with which words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portent::config::Config;
use portent::duration::Duration;
use portent::features::profile;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).expect("the fixtures");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn portent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portent")).args(arguments).output().expect("portent is built")
}

#[test]
fn good_files_are_accepted() {
    for file in files("good") {
        Config::load(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn bad_files_are_refused_with_their_reason() {
    let mut wrong = Vec::new();
    for file in files("bad") {
        let expected = fs::read_to_string(file.with_extension("expected")).expect("what to say");
        let Err(error) = Config::load(Some(&file)) else {
            wrong.push(format!("{} is accepted", file.display()));
            continue;
        };
        let said = error.to_string();
        let names_file = said.starts_with(&file.display().to_string());
        if !names_file || !said.contains(expected.trim()) {
            wrong.push(format!("{said:?} lacks the file or {:?}", expected.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = "global:\n  stale_after: 1m\n\nfeatures:\n  - a\n";
    let error = Config::parse("portent.yml", text).expect_err("no such section").to_string();
    assert!(error.contains("unknown field `features`") && error.contains("line 4"), "{error}");
}

#[test]
fn the_example_is_the_default_written_out() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/portent.yml");
    let example = Config::load(Some(&file)).expect("a good example");
    assert_eq!(example, Config::default());
    let text = fs::read_to_string(file).expect("text");
    let printed = serde_yaml::to_value(Config::default()).expect("plain data");
    for (section, keys) in printed.as_mapping().expect("sections") {
        let keys = keys.as_mapping().into_iter().flatten().map(|(key, _)| key);
        for key in keys.chain([section]).filter_map(|key| key.as_str()) {
            assert!(text.contains(&format!("{key}:")), "the example does not mention {key}");
        }
    }
}

#[test]
fn the_commented_keys_of_the_example_are_real() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/portent.yml");
    let text = fs::read_to_string(file).expect("text");
    // What is commented out is indented under its dash; sentences end in a full stop or a bracket.
    let start = text.find("    # file:").expect("the commented part");
    let end = text.find("\nstorage:").expect("the next section");
    let keys = [
        "file:",
        "entity:",
        "features:",
        "  - name:",
        "    expr:",
        "    missing:",
        "    absence:",
        "step:",
        "window:",
        "threshold:",
        "outputs:",
    ];
    let lines: String = text[start..end]
        .lines()
        .filter_map(|line| line.strip_prefix("    # "))
        .filter(|line| keys.iter().any(|key| line.trim_start().starts_with(key.trim_start())))
        .map(|line| format!("    {line}\n"))
        .collect();
    let config = Config::parse("example", &format!("models:\n  - name: x\n{lines}"));
    let model = config.unwrap_or_else(|error| panic!("{error}\n{lines}")).models.remove(0);
    assert_eq!(model.features.expect("features").len(), 2);
    assert!(model.file.is_some() && model.entity.is_some() && model.threshold.is_some());
    assert!(model.step.is_some() && model.window.is_some() && model.outputs.is_some());
}

#[test]
fn the_commented_actions_of_the_example_are_real() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/portent.yml");
    let text = fs::read_to_string(file).expect("text");
    let start = text.find("\nactions:\n").expect("the section");
    let section = text[start..].split_once("  # list:\n").expect("the commented part").1;
    let section = section.split_once("  list: []").expect("its end").0;
    // A comment in it is commented twice.
    let lines: String = section
        .lines()
        .filter_map(|line| line.strip_prefix("  # "))
        .map(|line| format!("  {line}\n"))
        .collect();
    let rules = "alerting: {rules: [{alert: HostAnomalous}]}";
    let config = Config::parse("example", &format!("{rules}\nactions:\n  list:\n{lines}"));
    let actions = config.unwrap_or_else(|error| panic!("{error}\n{lines}")).actions.list;
    assert_eq!(actions.len(), 4);
    let hook = actions[3].webhook.as_ref().expect("a webhook");
    assert!(hook.secret_file.is_some() && hook.http_config.authorization.is_some());
    // What the first one says are the defaults.
    let first = serde_yaml::to_value(&actions[0]).expect("plain data");
    for key in first.as_mapping().expect("keys").keys().filter_map(|key| key.as_str()) {
        assert!(lines.contains(&format!("{key}:")), "the example does not mention {key}");
    }
    let plain = "{name: restart unit, alerts: [HostAnomalous], command: [/usr/bin/systemctl, restart, \
                 'worker@{instance}.service']}";
    assert_eq!(actions[0], serde_yaml::from_str(plain).expect("an action"));
}

#[test]
fn what_is_printed_can_be_read_and_shows_the_profile() {
    let printed = Config::default().to_yaml();
    let read = Config::parse("printed", &printed).expect("our own words");
    assert_eq!(read.models[0].features.as_deref(), Some(&profile()[..]));
    assert_eq!(read.storage, Config::default().storage);
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = Config::load(Some(&folder("good/foreign_model.yml"))).expect("a good file");
    assert_eq!(config.models[0].file, Some(folder("good/keras.onnx")));
    assert_eq!(config.models[0].step, Some(Duration::from_seconds(30)));
    assert_eq!(config.global.evaluation_interval, None);
}

#[test]
fn secrets_are_used_and_not_printed() {
    let file = folder("good/history.yml");
    let config = Config::load(Some(&file)).expect("a good file");
    let tls = &config.history.http_config.tls_config;
    assert_eq!(tls.ca_file, Some(folder("good/ca.pem")));
    assert_eq!(tls.cert_file, Some(PathBuf::from("/etc/portent/cert.pem")));
    let output = portent(&["check", "config", file.to_str().expect("text"), "--print"]);
    let printed = String::from_utf8(output.stdout).expect("text");
    for text in [printed, format!("{config:?}")] {
        assert!(text.contains("<secret>") && text.contains("team-a"), "{text}");
        assert!(text.contains("user:xxxxx@proxy") && !text.contains("hunter2"), "{text}");
    }
}

#[track_caller]
fn check_exit(arguments: &[&str], code: i32, stdout: &str, stderr: &str) {
    let output = portent(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
    assert!(out.contains(stdout), "{arguments:?}: {out}");
    assert!(err.contains(stderr), "{arguments:?}: {err}");
}

#[test]
fn exit_codes_tell_wrong_usage_from_failure() {
    let bad = folder("bad/no_models.yml");
    let bad = bad.to_str().expect("text");
    check_exit(&["check", "config"], 0, "is valid", "");
    check_exit(&["check", "config", "--print"], 0, "stale_after: 2m", "");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/portent.yml");
    check_exit(&["check", "config", example], 0, "examples/portent.yml is valid", "");
    check_exit(&["check", "config", bad], 2, "", "there must be at least one");
    check_exit(&["check", "config", "nowhere.yml"], 2, "", "cannot read nowhere.yml");
    check_exit(&["serve", &format!("--config.file={bad}")], 2, "", "there must be at least one");
    check_exit(&["serve", "--no.such.flag"], 2, "", "--no.such.flag");
    let query = ["train", "--input=a.csv", "--output=b.onnx", "--exclude-query=ALERTS"];
    check_exit(&query, 2, "", "use --exclude START..END");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/models/node.onnx");
    let model = format!("--model={shipped}");
    // The same fault in the same words, whatever the command.
    for command in [&["train", "--output=b.onnx"][..], &["evaluate", &model]] {
        let check = |arguments: &[&str], sentence: &str| {
            check_exit(&[command, arguments].concat(), 2, "", sentence);
        };
        check(&["--prometheus.url=http://localhost", "--end=now"], "--start is needed");
        check(&[], "say where history comes from: --prometheus.url URL or --input FILE");
        let url = "--prometheus.url: \"localhost:9090\" is not the address of a server";
        check(&["--prometheus.url=localhost:9090", "--start=-1h"], url);
        check(&["--prometheus.url=http://a", "--start=14d"], "write -14d");
        check(&["--input=a.csv", "--exclude=5"], "--exclude 5: write it as START..END");
        let two = ["--start=-3h", "--end=-1h", "--start=-2h", "--end=now"];
        check(&[&["--prometheus.url=http://a"][..], &two].concat(), "the ranges overlap");
    }
    check_exit(
        &["train", "--input=a.csv", "--output=b.onnx", "--seed=x"],
        2,
        "",
        "whole number of 0",
    );
    check_exit(&["nonsense"], 2, "", "nonsense");
    check_exit(&["--version"], 0, "portent, version 0.1.0 (revision: ", "");
    check_exit(&["--version"], 0, "\n  platform:         linux/", "");
    check_exit(&["help"], 0, "Usage: portent ", "");
    check_exit(&["help", "train"], 0, "Usage: portent train ", "");
    check_exit(&["help", "check", "features"], 0, "Usage: portent check features ", "");
    check_exit(&["help", "nonsense"], 2, "", "nonsense");
    // A model that is still to be trained.
    let foreign = folder("good/foreign_model.yml");
    let foreign = foreign.to_str().expect("text");
    check_exit(&["check", "config", foreign], 0, "keras.onnx is not there yet: `portent train", "");
    let own = folder("good/own_features.yml");
    let own = own.to_str().expect("text");
    let command = format!("`portent train --config.file {own} --model web --prometheus.url URL");
    check_exit(&["check", "config", own], 0, &command, "");
    let history = folder("good/history.yml");
    let history = history.to_str().expect("text");
    check_exit(&["check", "config", history], 2, "", "history.http_config: ");
    let library = folder("good/no_library.yml");
    let library = library.to_str().expect("text");
    check_exit(&["check", "config", library], 2, "", "onnxruntime.library names ");
    let train = folder("bad/train_layers.yml");
    let train = train.to_str().expect("text");
    for command in [
        &["check", "config", train][..],
        &["serve", "--config.file", train],
        &["train", "--config.file", train, "--input=a.csv", "--output=b.onnx"],
        &["evaluate", "--config.file", train, "--input=a.csv", "--model=b.onnx"],
    ] {
        check_exit(command, 2, "", "train.layers is [0]: write 1 to 16 widths");
    }
    check_exit(&["evaluate", "--input=a.csv", "--model=nowhere.onnx"], 2, "", "nowhere.onnx");
    check_exit(&["check", "model"], 0, "output score is the error", "");
    check_exit(&["check", "model", bad], 2, "", "no_models.yml");
    let address = "--web.listen-address=256.0.0.1:1";
    check_exit(&["serve", address], 1, "", "256.0.0.1:1");
    for address in ["9847", "localhost:http", "::1:9847"] {
        let argument = format!("--web.listen-address={address}");
        check_exit(&["serve", &argument], 2, "", "expected HOST:PORT, as 0.0.0.0:9847");
    }
}
