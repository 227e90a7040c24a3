//! `examples/Dockerfile` and what it may see of the repository.

use std::fs;
use std::path::Path;

use super::{PORT, check_flags, example};
use crate::support::repository;

/// Instructions with continued lines joined, without comments.
fn instructions() -> Vec<Vec<String>> {
    let text = example("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn all(name: &str) -> Vec<Vec<String>> {
    instructions().into_iter().filter(|it| it[0] == name).map(|it| it[1..].to_vec()).collect()
}

#[track_caller]
fn only(name: &str) -> String {
    let found = all(name);
    let [one] = found.as_slice() else { panic!("{name}: {found:?}") };
    one.join(" ")
}

/// What `.dockerignore` lets through, which is all that begins with `!`.
fn let_through() -> Vec<String> {
    let ignored = example("Dockerfile.dockerignore");
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "nothing else comes through");
    lines[1..].iter().map(|it| it.strip_prefix('!').expect("an exception").to_owned()).collect()
}

fn comes_through(file: &str) -> bool {
    let_through().iter().any(|it| Path::new(file).starts_with(it))
}

#[test]
fn it_runs_as_nobody_in_particular() {
    let user = only("USER");
    let (user, group) = user.split_once(':').expect("a user and a group");
    // Numbers: Kubernetes cannot tell of a name whether it is root's.
    assert!(
        user.parse::<u32>().expect("a number") > 0 && group.parse::<u32>().is_ok_and(|it| it > 0)
    );
    assert_eq!(only("EXPOSE"), PORT.to_string());
    assert_eq!(only("ENV"), "ORT_DISABLE_TELEMETRY=1");
    let command: Vec<String> = serde_json::from_str(&only("CMD")).expect("a list");
    check_flags(&command.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn its_bases_are_pinned_and_fit_one_another() {
    let bases = all("FROM");
    assert_eq!(bases.len(), 3, "two to build in, one to run in");
    // The C library that the program is linked to is the one that it finds.
    assert!(bases.iter().all(|it| it[0].contains("bookworm")), "{bases:?}");
    assert!(bases.iter().all(|it| !it[0].ends_with(":latest")));
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("the manifest");
    let oldest = manifest.lines().find_map(|it| it.strip_prefix("rust-version = \"1."));
    let oldest: u32 = oldest.and_then(|it| it.trim_end_matches('"').parse().ok()).expect("it");
    let minor = bases[0][0].strip_prefix("rust:1.").and_then(|it| it.split('.').next());
    assert!(minor.and_then(|it| it.parse::<u32>().ok()).is_some_and(|it| it >= oldest));
}

#[test]
fn what_is_copied_is_there() {
    for copy in all("COPY") {
        let (target, sources) = copy.split_last().expect("a target");
        if let Some(stage) = sources[0].strip_prefix("--from=") {
            assert!(all("FROM").iter().any(|it| it.last().is_some_and(|name| name == stage)));
            continue;
        }
        for source in sources {
            assert!(repository().join(source).exists(), "{source}");
            assert!(source == "." || comes_through(source), "{source} to {target} is ignored");
        }
    }
    // ONNX Runtime's library lies beside the program, where it is looked for first.
    let entry: Vec<String> = serde_json::from_str(&only("ENTRYPOINT")).expect("a list");
    let folder = Path::new(&entry[0]).parent().and_then(Path::to_str).expect("a folder");
    let into = |from: &str| {
        let copies = all("COPY");
        let copy = copies.into_iter().find(|it| it[1..].iter().any(|part| part.contains(from)));
        copy.and_then(|it| it.last().cloned())
    };
    assert_eq!(into("release/portent"), Some(format!("{folder}/")));
    assert_eq!(into("onnxruntime/capi"), Some(format!("{folder}/")));
}

#[test]
fn what_the_program_is_built_from_comes_through() {
    for name in let_through() {
        assert!(repository().join(&name).exists(), "{name} is not there");
    }
    for file in
        ["Cargo.toml", "Cargo.lock", "build.rs", "LICENSE", "proto/onnx/onnx.proto", "src/main.rs"]
    {
        assert!(comes_through(file), "{file}");
    }
    // Whatever the program includes as it is built.
    let mut folders = vec![repository().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                check_included(&path);
            }
        }
    }
    for heavy in [".git/config", "target/release/portent", ".peers/usr/bin/prometheus", "README.md"]
    {
        assert!(!comes_through(heavy), "{heavy}");
    }
}

fn check_included(source: &Path) {
    let text = fs::read_to_string(source).expect("a source");
    for part in text.split("include_bytes!(\"").skip(1).chain(text.split("include_str!(\"").skip(1))
    {
        let name = part.split('"').next().expect("a first part");
        let folder = source.parent().expect("a folder").join(name);
        let file = folder.canonicalize().unwrap_or_else(|error| panic!("{name}: {error}"));
        let root = repository().canonicalize().expect("the repository");
        let file = file.strip_prefix(root).expect("beneath it").to_str().expect("a path");
        assert!(comes_through(file), "{} needs {file}", source.display());
    }
}
