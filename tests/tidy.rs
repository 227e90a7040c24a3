//! The rules of the house as a test: who may use whom, how long things may be, and what must not
//! be written at all. The code map in `src/lib.rs` says what the rooms are.
//!
//! A binary of its own, which reads files and needs nothing of what the other tests are built of.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor. A room may use those on lower floors only.
const FLOORS: [&[&str]; 13] = [
    &[
        "accept",
        "duration",
        "histogram",
        "labels",
        "matcher",
        "sample",
        "statistics",
        "timestamp",
        "bytesize",
        "capacity",
        "proto",
        "setting",
    ],
    &["series", "maintenance"],
    &["promql"],
    &["features"],
    &["model"],
    &["detect", "episodes"],
    &["files", "response", "retry"],
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
    &["train", "evaluate", "doctor"],
    &["config"],
    &["serve"],
    &["cli", "logging", "main"],
];

/// Rooms inside of a room, folders or files, each with those beside it that it may use. What stands beside
/// them is the room's `mod.rs` and its tests.
const INSIDE: [(&str, &str, &[&str]); 9] = [
    ("promql", "syntax", &[]),
    ("promql", "operators", &["syntax"]),
    ("promql", "engine", &["syntax", "operators"]),
    ("history", "error", &[]),
    ("history", "marks", &[]),
    ("history", "table", &["error", "marks"]),
    ("history", "server", &["error"]),
    ("history", "question", &["error", "server"]),
    ("history", "recording", &["error", "marks", "question", "server"]),
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
const TOP_LEVEL: [&str; 20] = [
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
    ".clippy.toml",
    ".git",
    ".gitignore",
    ".onnxruntime",
    ".peers",
    "target",
];

/// Circles of imports that are still there: the room, and of how many files the largest is. None may come or grow;
/// one that has become smaller is written down as such. In promql a subquery is a step that holds a frame.
const CIRCLES: [(&str, usize); 1] = [("promql", 4)];

/// Where a lock may be for the whole process: there can be one ONNX Runtime in it.
const STATIC_LOCK: &str = "model/scorer/environment.rs";

struct Source {
    path: PathBuf,
    room: String,
    text: String,
    is_test: bool,
}

/// A path that a source names, `crate::detect::Level` as `["crate", "detect", "Level"]`.
struct Named {
    line: usize,
    path: Vec<String>,
}

impl Source {
    /// Its lines with their numbers, without modules of tests.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut in_tests = self.is_test;
        let mut lines = self.text.lines().enumerate().peekable();
        std::iter::from_fn(move || {
            loop {
                let (line, text) = lines.next()?;
                let next = lines.peek().map_or("", |(_, next)| next);
                if text == "#[cfg(test)]" && next.contains("mod ") {
                    in_tests = next.ends_with('{');
                    // The line of the module.
                    lines.next();
                } else if !in_tests {
                    return Some((line + 1, text));
                } else if text == "}" {
                    in_tests = self.is_test;
                }
            }
        })
    }

    /// Production lines of code; comments and documentation are excluded from searches.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.production().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The modules' names from the crate down to this one.
    fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix(root().join("src")).expect("below src");
        let inside = inside.with_extension("");
        let names = inside.iter().map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name != "mod").collect()
    }

    /// The paths within this crate that its code names, those in braces one by one.
    fn named(&self) -> Vec<Named> {
        let mut all = Vec::new();
        let mut text = String::new();
        let mut starts = Vec::new();
        for (line, code) in self.code() {
            starts.push((text.len(), line));
            text.push_str(code);
            text.push('\n');
        }
        for root in ["crate", "portent", "super", "self"] {
            for (at, _) in text.match_indices(&format!("{root}::")) {
                let before = text[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                    continue;
                }
                let line = starts[starts.partition_point(|(start, _)| *start <= at) - 1].1;
                let mut paths = Vec::new();
                tree(&text[at..], &mut Vec::new(), &mut paths);
                all.extend(paths.into_iter().map(|path| Named { line, path }));
            }
        }
        all
    }
}

/// Reads `a::b::{c, d::e}` into its paths; gives what is behind it.
fn tree<'a>(text: &'a str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let depth = prefix.len();
    let mut rest = text.trim_start();
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end > 0 {
            prefix.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
        let Some(further) = rest.strip_prefix("::") else { break };
        rest = further.trim_start();
        let Some(mut inside) = rest.strip_prefix('{') else { continue };
        while !inside.trim_start().starts_with('}') && !inside.trim().is_empty() {
            inside = tree(inside, prefix, paths);
            inside = &inside[inside.find([',', '}']).unwrap_or(inside.len())..];
            inside = inside.strip_prefix(',').unwrap_or(inside);
        }
        prefix.truncate(depth);
        return inside.trim_start().strip_prefix('}').unwrap_or("");
    }
    paths.push(prefix.clone());
    prefix.truncate(depth);
    rest
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
            let mut names = inside.iter().map(|name| name.to_string_lossy());
            let is_test = names.any(|name| name == "tests" || name.ends_with("tests.rs"));
            sources.push(Source { path, room, text, is_test });
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
        for Named { line, path } in source.named() {
            if !["crate", "portent"].contains(&path[0].as_str()) || path.len() < 2 {
                continue;
            }
            let room = path[1].as_str();
            let below = floor(room).is_some_and(|other| other < own);
            // The nouns of the ground floor and the doors of the top floor know one another.
            let shared = [0, FLOORS.len() - 1].contains(&own) && floor(room) == Some(own);
            if room != source.room && !below && !shared {
                found.push(format!("{}:{line}: uses {room}", source.path.display()));
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
        let shown = source.path.display();
        let inside = source.path.strip_prefix(root().join("src").join(outer));
        let first = inside.expect("below the room").iter().next().expect("a file name");
        let own = first.to_string_lossy().trim_end_matches(".rs").to_owned();
        let Some(at) = INSIDE.iter().position(|(room, it, _)| room == outer && *it == own) else {
            if own != "mod" && !own.ends_with("tests") {
                found.push(format!("{shown}: in none of the rooms"));
            }
            continue;
        };
        looked_at[at] += 1;
        for Named { line, path } in source.named() {
            let is_inside = path[0] == "crate" && path[1] == *outer;
            let room = path.get(2).filter(|room| is_inside && **room != own);
            if let Some(room) = room.filter(|room| !INSIDE[at].2.contains(&room.as_str())) {
                found.push(format!("{shown}:{line}: uses {room:?}"));
            }
            // Two steps up from a file of a room is the room outside, by another way.
            if path.iter().take(2).all(|it| it == "super") {
                found.push(format!("{shown}:{line}: say `crate::{outer}::`"));
            }
        }
    }
    assert!(looked_at.iter().all(|files| *files > 0), "a room has no file: {looked_at:?}");
    none_of("a room inside of a room uses one that it may not", found);
}

#[test]
fn files_of_a_room_import_each_other_in_no_circle() {
    let sources: Vec<Source> = sources().into_iter().filter(|it| !it.is_test).collect();
    let modules: Vec<Vec<String>> = sources.iter().map(Source::module).collect();
    let arrows: Vec<Vec<usize>> = (0..sources.len())
        .map(|from| {
            let own = &modules[from];
            let targets = sources[from].named().into_iter().filter_map(|Named { path, .. }| {
                let ups = path.iter().take_while(|it| *it == "super").count();
                let mut at = match path[0].as_str() {
                    "crate" => Vec::new(),
                    _ => own[..own.len().checked_sub(ups)?].to_vec(),
                };
                let mut target = None;
                for name in path.iter().skip(ups.max(1)) {
                    at.push(name.clone());
                    match modules.iter().position(|module| *module == at) {
                        None => break,
                        module => target = module,
                    }
                }
                target
            });
            // A module knows those below it; that they know what it defines is no circle.
            targets.filter(|to| modules[*to] != *own && !modules[*to].starts_with(own)).collect()
        })
        .collect();
    let reach = |from: usize| {
        let (mut seen, mut next) = (vec![false; arrows.len()], arrows[from].clone());
        while let Some(at) = next.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                next.extend(&arrows[at]);
            }
        }
        seen
    };
    let reached: Vec<Vec<bool>> = (0..arrows.len()).map(reach).collect();
    let mut largest: Vec<(&str, usize)> = Vec::new();
    let mut found = Vec::new();
    for from in (0..arrows.len()).filter(|it| reached[*it][*it]) {
        let circle: Vec<usize> =
            (0..arrows.len()).filter(|to| reached[from][*to] && reached[*to][from]).collect();
        let room = sources[from].room.as_str();
        if circle[0] == from {
            largest.push((room, circle.len()));
            let names = circle.iter().map(|it| modules[*it].join("/"));
            found.push(format!("{room}: {}", names.collect::<Vec<_>>().join(", ")));
        }
    }
    largest.sort_unstable();
    assert_eq!(largest, CIRCLES, "circles of imports:\n{}", found.join("\n"));
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
        let lines = source.production().count();
        if lines > FILE_LINES && !source.text.contains("// Long on purpose: ") {
            found.push(format!("{path}: {lines} lines"));
        }
        let mut open: Option<(usize, usize, &str)> = None;
        for (line, text) in source.production() {
            let indent = text.len() - text.trim_start().len();
            match open {
                Some((start, depth, name)) if indent == depth && text.trim_start() == "}" => {
                    if line - start + 1 > FUNCTION_LINES {
                        found.push(format!("{path}:{start}: {} lines: {name}", line - start + 1));
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
        for (line, text) in source.production() {
            for word in NEVER.iter().filter(|word| text.contains(**word)) {
                found.push(format!("{}:{line}: {word}", source.path.display()));
            }
            let is_static = text.split_whitespace().any(|word| word == "static");
            let is_lock = ["Mutex<", "RwLock<", "OnceLock<", "LazyLock<"];
            let is_lock = is_lock.iter().any(|lock| text.contains(lock));
            if is_static && is_lock && !source.path.ends_with(STATIC_LOCK) {
                found.push(format!("{}:{line}: a lock for the process", source.path.display()));
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
