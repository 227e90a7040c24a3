//! The rules of the house as a test: who may use whom, how long things may be, and what must not
//! be written at all. The code map in `src/lib.rs` says what the rooms are.
//!
//! A binary of its own, which reads files and needs nothing of what the other tests are built of.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor. A room may use those on lower floors only.
const FLOORS: [&[&str]; 11] = [
    &[
        "accept",
        "duration",
        "labels",
        "matcher",
        "sample",
        "statistics",
        "timestamp",
        "bytesize",
        "capacity",
        "proto",
    ],
    &["series", "maintenance"],
    &["promql"],
    &["features"],
    &["model"],
    &["detect", "episodes"],
    &["files"],
    &["http_client"],
    &[
        "actions",
        "admission",
        "remote_write",
        "api",
        "exporter",
        "http",
        "history",
        "notify",
        "state",
        "report",
    ],
    &["serve", "train", "evaluate", "doctor"],
    &["config", "cli", "logging", "main"],
];

/// Rooms inside of a room, each with those beside it that it may use. What stands beside them is the
/// room's `mod.rs` and its tests.
const INSIDE: [(&str, &str, &[&str]); 3] = [
    ("promql", "syntax", &[]),
    ("promql", "operators", &["syntax"]),
    ("promql", "engine", &["syntax", "operators"]),
];

/// The last floor of the core: synchronous, no clock, no file, no socket.
const CORE: usize = 5;

/// What the core does not know. `model/runtime.rs` looks for a shared library on disk.
const SHELL_ONLY: [&str; 12] = [
    "tokio::",
    "hyper::",
    "reqwest::",
    "clap::",
    "serde_yaml::",
    "metrics::",
    "tempfile::",
    "tracing::",
    "std::net",
    "std::fs",
    "SystemTime::now",
    "Instant::now",
];

/// What is not written anywhere in `src`.
const NEVER: [&str; 8] = [
    "Arc<Mutex",
    "Arc<RwLock",
    "static mut",
    "todo!(",
    "unimplemented!(",
    "TODO",
    "FIXME",
    "#[allow(dead_code)]",
];

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

/// Binaries of tests; each but the first says why it is one.
const TEST_BINARIES: [&str; 6] =
    ["integration", "e2e", "overload", "parity_live", "remote_write", "tidy"];

/// What stands at the top: what the project is made of, and what tools demand beside it.
const TOP_LEVEL: [&str; 19] = [
    "Cargo.toml",
    "build.rs",
    "proto",
    "src",
    "models",
    "examples",
    "tests",
    "README.md",
    "Cargo.lock",
    "Makefile",
    "LICENSE",
    "rustfmt.toml",
    ".cargo",
    ".ci",
    ".git",
    ".gitignore",
    ".onnxruntime",
    ".peers",
    "target",
];

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

impl Source {
    /// The text without its unit tests.
    fn production(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        if self.path.ends_with("tests.rs") { "" } else { &self.text[..end] }
    }

    /// Production lines of code and documentation, comments that are not documentation excluded
    /// from searches.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.production().lines().enumerate().map(|(i, line)| (i + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be listed") {
            let path = entry.expect("an entry of src").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let inside = path.strip_prefix(root().join("src")).expect("below src");
            let first = inside.iter().next().expect("a file name").to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a source file is text");
            sources.push(Source { path, room, text });
        }
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[track_caller]
fn none_of(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn rooms_use_only_lower_floors() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.room != "lib") {
        let Some(own) = floor(&source.room) else {
            found.push(format!("{} is in no floor of tests/tidy.rs", source.path.display()));
            continue;
        };
        for (line, text) in source.code() {
            for (at, word) in ["crate::", "portent::"].iter().flat_map(|w| text.match_indices(w)) {
                let rest = &text[at + word.len()..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let room = &rest[..end.unwrap_or(rest.len())];
                let below = floor(room).is_some_and(|other| other < own);
                // The nouns of the ground floor and the doors of the top floor know one another.
                let shared = [0, FLOORS.len() - 1].contains(&own) && floor(room) == Some(own);
                if room != source.room && !below && !shared && !room.is_empty() {
                    found.push(format!("{}:{line}: uses {room}", source.path.display()));
                }
            }
        }
    }
    none_of("a room uses one that is not below it", found);
}

#[test]
fn rooms_inside_of_a_room_keep_their_arrows() {
    let mut found = Vec::new();
    let mut looked_at = [0; INSIDE.len()];
    for source in sources() {
        let outer = &source.room;
        if INSIDE.iter().all(|(room, ..)| room != outer) {
            continue;
        }
        let (shown, path_of) = (source.path.display(), format!("crate::{outer}::"));
        let inside = source.path.strip_prefix(root().join("src").join(outer));
        let first = inside.expect("below the room").iter().next().expect("a file name");
        let own = first.to_string_lossy();
        let Some(at) = INSIDE.iter().position(|(room, it, _)| room == outer && *it == own) else {
            if own != "mod.rs" && !own.ends_with("tests.rs") {
                found.push(format!("{shown}: in none of the rooms"));
            }
            continue;
        };
        looked_at[at] += 1;
        for (line, text) in source.code() {
            for (start, word) in text.match_indices(&path_of) {
                let rest = &text[start + word.len()..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let room = &rest[..end.unwrap_or(rest.len())];
                if room != own && !INSIDE[at].2.contains(&room) {
                    found.push(format!("{shown}:{line}: uses {room:?}"));
                }
            }
            // Two steps up from a file of a room is the room outside, by another way.
            if text.contains("super::super::") {
                found.push(format!("{shown}:{line}: say `{path_of}`"));
            }
        }
    }
    assert!(looked_at.iter().all(|files| *files > 0), "a room has no file: {looked_at:?}");
    none_of("a room inside of a room uses one that it may not", found);
}

#[test]
fn the_core_knows_no_shell() {
    let mut found = Vec::new();
    for source in sources() {
        if floor(&source.room).is_none_or(|floor| floor > CORE) {
            continue;
        }
        for (line, text) in source.code() {
            for word in SHELL_ONLY {
                let excused = source.path.ends_with("model/runtime.rs") && word == "std::fs";
                if text.contains(word) && !excused {
                    found.push(format!("{}:{line}: {word}", source.path.display()));
                }
            }
        }
    }
    none_of("the core does what only the shell may", found);
}

#[test]
fn some_libraries_have_one_place() {
    let mut found = Vec::new();
    for source in sources() {
        for (line, text) in source.code() {
            let whole_word = |at: usize| {
                let before = text[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            };
            // ONNX Runtime, and the calendar.
            for (library, place) in [("ort::", "/src/model/scorer/"), ("jiff::", "/src/timestamp")]
            {
                let uses = text.match_indices(library).any(|(at, _)| whole_word(at));
                if uses && !source.path.to_string_lossy().contains(place) {
                    found.push(format!("{}:{line}: {library}", source.path.display()));
                }
            }
        }
    }
    none_of("a library is used outside of its place", found);
}

#[test]
fn files_and_functions_are_short() {
    let mut found = Vec::new();
    for source in sources() {
        let path = source.path.display();
        let lines = source.production().lines().count();
        if lines > FILE_LINES && !source.text.contains("// Long on purpose: ") {
            found.push(format!("{path}: {lines} lines"));
        }
        let mut open: Option<(usize, usize, &str)> = None;
        for (line, text) in source.production().lines().enumerate() {
            let indent = text.len() - text.trim_start().len();
            match open {
                Some((start, depth, name)) if indent == depth && text.trim_start() == "}" => {
                    if line - start + 1 > FUNCTION_LINES {
                        found.push(format!(
                            "{path}:{}: {} lines: {name}",
                            start + 1,
                            line - start + 1
                        ));
                    }
                    open = None;
                }
                None => {
                    let words = text.trim_start();
                    let begins = words.starts_with("fn ") || words.contains(" fn ");
                    if begins
                        && !words.starts_with("//")
                        && !words.ends_with(';')
                        && !words.ends_with('}')
                    {
                        open = Some((line, indent, words));
                    }
                }
                Some(_) => {}
            }
        }
    }
    none_of("too long (a file may say `// Long on purpose: ` and why)", found);
}

#[test]
fn nothing_is_written_that_must_not_be() {
    let mut found = Vec::new();
    for source in sources() {
        for (line, text) in source.production().lines().enumerate() {
            for word in NEVER.iter().filter(|word| text.contains(**word)) {
                found.push(format!("{}:{}: {word}", source.path.display(), line + 1));
            }
        }
        if ["utils", "util", "common", "helpers", "misc"].contains(&source.room.as_str()) {
            found.push(format!("{}: a name that says nothing", source.path.display()));
        }
    }
    none_of("not in this house", found);
}

#[test]
fn every_module_defines_its_noun() {
    let mut found = Vec::new();
    for source in sources() {
        if !source.path.ends_with("tests.rs") && !source.text.starts_with("//! ") {
            found.push(source.path.display().to_string());
        }
    }
    none_of("a module does not begin by saying what it is", found);
}

#[test]
fn no_test_is_switched_off() {
    let mut found = Vec::new();
    let mut folders = vec![root().join("tests"), root().join("src")];
    // Put together here so that this file does not find itself.
    let ignore = ["#[", "ignore"].concat();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.contains(&ignore)) {
                found.push(path.display().to_string());
            }
        }
    }
    none_of("a test is switched off", found);
}

/// A file that no binary names would never run, and each binary more links the whole library once more.
#[test]
fn every_test_is_in_one_of_few_binaries() {
    let names = |folder: &str, inside: &str| -> Vec<String> {
        let entries = fs::read_dir(root().join(folder)).expect("a folder of tests");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let tests = paths.filter(|path| {
            path.extension().is_some_and(|it| it == "rs") || path.join(inside).is_file()
        });
        tests.map(|path| path.file_stem().expect("a name").to_string_lossy().into()).collect()
    };
    let found = names("tests", "main.rs").into_iter();
    let found = found.filter(|name| !TEST_BINARIES.contains(&name.as_str()));
    none_of("to be a module of tests/integration", found.collect());
    let main = fs::read_to_string(root().join("tests/integration/main.rs")).expect("its main.rs");
    let found = names("tests/integration", "mod.rs").into_iter();
    let found = found.filter(|name| name != "main" && !main.contains(&format!("\nmod {name};\n")));
    none_of("no `mod` in tests/integration/main.rs", found.collect());
}

#[test]
fn the_top_level_is_as_it_was_fixed() {
    let mut found = Vec::new();
    for entry in fs::read_dir(root()).expect("the root can be listed") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if !TOP_LEVEL.contains(&name.as_str()) {
            found.push(name);
        }
    }
    none_of("not at the top level", found);
}

#[test]
fn the_code_map_names_every_room() {
    let map = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let map: String = map.lines().take_while(|line| line.starts_with("//!")).collect();
    let rooms = FLOORS.iter().flat_map(|rooms| rooms.iter());
    let missing = rooms
        .filter(|room| !map.contains(&format!("`{room}`")))
        .map(|room| (*room).to_owned())
        .collect();
    none_of("src/lib.rs does not say what these rooms are", missing);
}
