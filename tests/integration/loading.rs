//! Whatever the file of a model is, it does not end the service: at the start there is a sentence and an
//! exit code, at a reload a sentence and the model of before. Each case is a row.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::hostile::{endless, endless_above, large, model};
use crate::support::{Portent, RemoteWriter, Series, post, repository, run_portent, wait_until};
use portent::model::graph::Graph;
use portent::model::{Dim, MAX_FILE_BYTES, shipped};
use tempfile::TempDir;

/// How long anything may take here that has no deadline of its own.
const SOON: Duration = Duration::from_secs(20);

/// How a file that is none comes to be.
enum Made {
    Bytes(Vec<u8>),
    /// Nothing but a size.
    Hole(u64),
    Pipe,
    Folder,
    /// A link to something.
    Link(&'static str),
}

impl Made {
    fn at(&self, path: &Path) {
        match self {
            Self::Bytes(bytes) => std::fs::write(path, bytes).expect("written"),
            Self::Hole(bytes) => File::create(path).and_then(|it| it.set_len(*bytes)).expect("one"),
            Self::Pipe => {
                let made = Command::new("mkfifo").arg(path).status();
                assert!(made.expect("mkfifo is on every Unix").success());
            }
            Self::Folder => std::fs::create_dir(path).expect("a folder"),
            Self::Link(to) => std::os::unix::fs::symlink(to, path).expect("a link"),
        }
    }
}

fn with(key: &str, value: &str) -> Made {
    Made::Bytes(model(|_| {}, &[(&format!("portent.{key}"), value)]))
}

/// The exit code for a file that is wrong as it is, and for one that lacks time or memory.
const WRONG: i32 = 2;
const LACKS: i32 = 1;

/// File, what is said of it, and the exit code at the start.
fn faults() -> Vec<(Made, &'static str, i32)> {
    let spans = "smoothing: 5 spans are more than 4";
    let unread = "bytes that are read";
    vec![
        // What it says of itself.
        (with("window", "100000000000"), "window: 100000000000 steps are more than 1000", WRONG),
        (with("window", "0"), "window: it must be at least 1", WRONG),
        (with("smoothing", "[5,5,5,5,5]"), spans, WRONG),
        (with("smoothing", "[1e300]"), "steps of 1s are more than a week", WRONG),
        (with("level", r#"{"half_life": 1e999}"#), "portent.level is", WRONG),
        // What it is.
        (Made::Hole(6 << 30), unread, WRONG),
        (Made::Pipe, "it is a pipe, and only a regular file is read", WRONG),
        (Made::Folder, "it is a folder, and only a regular file is read", WRONG),
        (Made::Link("/dev/zero"), "it is a device, and only a regular file is read", WRONG),
        (Made::Link("/nowhere"), "No such file or directory", WRONG),
        (Made::Bytes(Vec::new()), "the model holds no graph", WRONG),
        (Made::Bytes(b"<!doctype html>".to_vec()), "the model is not an ONNX file", WRONG),
        // Two bytes for each node, of which each is hundreds in memory.
        (Made::Bytes(nodes(16 << 20)), "of memory", LACKS),
        // What it does.
        (Made::Bytes(large(1 << 30)), "of memory", LACKS),
        (Made::Bytes(large(1 << 40)), "of memory", LACKS),
    ]
}

/// As many empty nodes.
fn nodes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0x3a];
    prost::encode_length_delimiter(2 * count, &mut bytes).expect("a vector grows");
    bytes.extend([0x0a, 0].repeat(count));
    bytes
}

fn config(file: &Path, threshold: f64) -> String {
    format!(
        "models:\n- name: m\n  file: {}\n  step: 1s\n  threshold: {threshold}\n  features:\n  \
         - {{name: a, expr: a}}\n  - {{name: b, expr: b}}\n",
        file.display()
    )
}

/// Where the files of a test are.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary folder") }
    }

    fn file(&self, name: &str, made: &Made) -> PathBuf {
        let path = self.dir.path().join(name);
        made.at(&path);
        path
    }

    /// `portent serve` with a model to its end, which it reaches without ever being ready.
    fn serve(&self, model: &Path) -> Output {
        let file = self.dir.path().join("portent.yml");
        std::fs::write(&file, config(model, 1.0)).expect("written");
        let config = format!("--config.file={}", file.display());
        run_portent(&["serve", &config, "--web.listen-address=127.0.0.1:0"])
    }
}

/// A running Portent that has a good model.
async fn running(place: &Place) -> (Portent, PathBuf) {
    let good = place.file("good.onnx", &Made::Bytes(model(|_| {}, &[])));
    let portent = Portent::start(&config(&good, 7.0), &["--web.enable-lifecycle"]).await;
    portent.ready().await;
    (portent, good)
}

/// A reload with another model is refused with a sentence, and what was there is there.
async fn check_reload(portent: &Portent, file: &Path, sentence: &str) {
    std::fs::write(portent.config_file(), config(file, 1.0)).expect("writable");
    let reply = post(&portent.url("/-/reload")).await.expect("an answer");
    assert_eq!(reply.status, 500, "{sentence}: {reply:?}");
    assert!(reply.body.contains(sentence), "{sentence}: {reply:?}");
    assert!(reply.body.contains("model \"m\""), "{sentence}: {reply:?}");
    wait_until(SOON, "the failure on the page", async || {
        let page = portent.get("/metrics").await?.body;
        let has = |line: &str| page.lines().any(|it| it == line);
        let wanted = has("portent_config_last_reload_successful 0")
            && has("anomaly_threshold{model=\"m\"} 7");
        if wanted { Ok(()) } else { Err(page) }
    })
    .await;
}

#[track_caller]
fn check_start(output: &Output, sentence: &str, code: i32) {
    // The last line of a log, in which quotation marks are escaped.
    let said = String::from_utf8_lossy(&output.stderr).replace("\\\"", "\"");
    assert_eq!(output.status.code(), Some(code), "{sentence}: {said}");
    let last = said.lines().last().unwrap_or_default();
    let begins = "level=error msg=\"cannot serve\" error=\"model \"m\": ";
    assert!(last.contains(begins), "{sentence}: {said}");
    assert!(!said.contains("Listening on"), "{sentence}: {said}");
    assert!(last.contains(sentence), "{sentence}: {said}");
}

#[test]
fn at_the_start_a_fault_is_the_end_with_a_sentence() {
    let place = Place::new();
    for (i, (made, sentence, code)) in faults().iter().enumerate() {
        let file = place.file(&format!("{i}.onnx"), made);
        check_start(&place.serve(&file), sentence, *code);
    }
}

#[tokio::test]
async fn at_a_reload_a_fault_changes_nothing() {
    let place = Place::new();
    let (portent, good) = running(&place).await;
    for (i, (made, sentence, _)) in faults().iter().enumerate() {
        let file = place.file(&format!("{i}.onnx"), made);
        check_reload(&portent, &file, sentence).await;
    }
    std::fs::write(portent.config_file(), config(&good, 8.0)).expect("writable");
    let reply = post(&portent.url("/-/reload")).await.expect("an answer");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(children(portent.server.id()), 0, "all are reaped");
}

/// The limits leave room for what is honest.
#[tokio::test]
async fn a_file_nearly_as_large_as_any_is_served() {
    let place = Place::new();
    let (portent, _) = running(&place).await;
    let file = place.file("large.onnx", &Made::Bytes(weights(8_100)));
    let bytes = std::fs::metadata(&file).expect("a file").len() as usize;
    assert!((250 << 20..MAX_FILE_BYTES).contains(&bytes), "{bytes}");
    std::fs::write(portent.config_file(), config(&file, 8.0)).expect("writable");
    let reply = post(&portent.url("/-/reload")).await.expect("an answer");
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// A layer of so many numbers, each of which depends on all of them.
fn weights(width: usize) -> Vec<u8> {
    let rows = Dim::Dynamic("N".to_owned());
    let mut graph = Graph::new("weights");
    graph
        .input("features", &[rows.clone(), Dim::Fixed(2)])
        .constant("wider", &[2, width], &vec![1e-3; 2 * width])
        .constant("weights", &[width, width], &vec![1e-3; width * width])
        .node("MatMul", &["features", "wider"], "wide")
        .node("MatMul", &["wide", "weights"], "weighed")
        .integers("axes", &[1])
        .node("ReduceSum", &["weighed", "axes"], "sums")
        .node("Squeeze", &["sums", "axes"], "score")
        .output("score", &[rows]);
    graph.encode(Vec::new()).to_vec()
}

#[test]
fn at_the_start_a_model_without_an_end_has_one() {
    let place = Place::new();
    let file = place.file("endless.onnx", &Made::Bytes(endless()));
    check_start(&place.serve(&file), "it has an endless loop, or is too large", LACKS);
}

#[tokio::test]
async fn at_a_reload_a_model_without_an_end_changes_nothing() {
    let place = Place::new();
    let (portent, _) = running(&place).await;
    let file = place.file("endless.onnx", &Made::Bytes(endless()));
    check_reload(&portent, &file, "it has an endless loop, or is too large").await;
    assert_eq!(children(portent.server.id()), 0, "it is reaped");
}

/// Whoever ends the service does not wait for a model.
#[tokio::test]
async fn an_end_does_not_wait_for_a_model() {
    let place = Place::new();
    let (mut portent, _) = running(&place).await;
    let file = place.file("endless.onnx", &Made::Bytes(endless()));
    std::fs::write(portent.config_file(), config(&file, 1.0)).expect("writable");
    portent.server.signal("HUP");
    let id = portent.server.id();
    wait_until(SOON, "a child", async || match children(id) {
        1 => Ok(()),
        count => Err(format!("{count} children")),
    })
    .await;
    portent.server.signal("TERM");
    let before = Instant::now();
    let status = portent.server.wait_for_end(SOON).await;
    assert!(status.success(), "{status}");
    assert!(before.elapsed() < SOON, "{:?}", before.elapsed());
}

/// No trial foresees every batch: a tick that meets a loop without an end is a failed one, and the next is
/// a tick like any other.
#[tokio::test]
async fn a_tick_without_an_end_has_one() {
    let place = Place::new();
    let file = place.file("sometimes.onnx", &Made::Bytes(endless_above(1e12)));
    let interval = "global:\n  evaluation_interval: 1s\n";
    let portent = Portent::start(&format!("{interval}{}", config(&file, 1.0)), &[]).await;
    portent.ready().await;
    let writer = RemoteWriter::new(portent.url("/api/v1/write"));
    let page_with = async |what: &str, wanted: &dyn Fn(&str) -> bool| {
        wait_until(Duration::from_secs(60), what, async || {
            let page = portent.get("/metrics").await?.body;
            if page.lines().any(wanted) { Ok(()) } else { Err(page) }
        })
        .await
    };
    let send = async |a: f64| {
        let one = |name: &str, value: f64| {
            let labels = [("__name__", name), ("job", "j"), ("instance", "h")];
            Series::new(&labels, &[(now_ms(), value)])
        };
        // What comes in while a graph runs waits, or is told to come again.
        wait_until(Duration::from_secs(60), "a place", async || {
            match writer.send(&[one("a", a), one("b", 0.25)]).await {
                reply if reply.status == 204 => Ok(()),
                reply => Err(format!("{reply:?}")),
            }
        })
        .await;
    };
    // Farther than any trial goes.
    send(1e13).await;
    let failed = |line: &str| {
        let count = line.strip_prefix("portent_model_errors_total{model=\"m\"} ");
        count.is_some_and(|it| it != "0")
    };
    page_with("a failed tick", &failed).await;
    send(0.5).await;
    page_with("a score", &|line| line.starts_with("anomaly_score{") && line.ends_with(" 0.75"))
        .await;
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the far future")
}

/// Children of a process, those that have ended and were not waited for included.
fn children(of: u32) -> usize {
    let parent = of.to_string();
    let entries = std::fs::read_dir("/proc").expect("Linux");
    let stats = entries
        .filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            // PID (NAME) STATE PARENT ...
            let rest = stat.rsplit_once(')').map(|(_, rest)| rest);
            rest.and_then(|it| it.split_whitespace().nth(1)) == Some(&parent)
        });
    stats.count()
}

/// The shipped model as a file, which is what most people begin with.
#[test]
fn what_is_evaluated_is_tried_as_well() {
    let place = Place::new();
    let table = place.file("table.csv", &Made::Bytes(b"time,up\n".to_vec()));
    let evaluate = |model: &Path| {
        let [model, table] = [model, &table].map(|it| it.display().to_string());
        run_portent(&["evaluate", "--model", &model, "--input", &table])
    };
    for (name, made, code, sentence) in [
        ("pipe.onnx", Made::Pipe, 2, "it is a pipe"),
        ("large.onnx", Made::Bytes(large(1 << 30)), 2, "neither the file nor the configuration"),
        ("good.onnx", Made::Bytes(shipped().to_vec()), 1, "table.csv"),
    ] {
        let output = evaluate(&place.file(name, &made));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
}

/// The configuration is looked at before it is read, as a model is.
#[test]
fn a_configuration_is_a_file() {
    let place = Place::new();
    for (name, made, sentence) in [
        ("pipe.yml", Made::Pipe, "it is a pipe, and only a regular file is read"),
        ("folder.yml", Made::Folder, "it is a folder, and only a regular file is read"),
        ("zero.yml", Made::Link("/dev/zero"), "it is a device, and only a regular file is read"),
        ("hole.yml", Made::Hole(6 << 30), "more than the 4194304 bytes that are read"),
        ("latin.yml", Made::Bytes(b"# \xe4\n".to_vec()), "not UTF-8 text"),
    ] {
        let file = place.file(name, &made);
        let output = run_portent(&["serve", &format!("--config.file={}", file.display())]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(sentence) && said.contains(name), "{said}");
    }
}

/// What is no table ends when a line is longer than any.
#[test]
fn a_table_without_an_end_is_refused() {
    let place = Place::new();
    let bad = [
        ("zero.csv", Made::Link("/dev/zero"), "a line has more than 16777216 bytes"),
        ("hole.csv", Made::Hole(6 << 30), "a line has more than 16777216 bytes"),
        ("empty.csv", Made::Bytes(vec![b'\n'; 17 << 20]), "empty lines have more than 16777216"),
        ("folder.csv", Made::Folder, "Is a directory"),
    ];
    for (name, made, sentence) in bad {
        let table = place.file(name, &made).display().to_string();
        let output = place.dir.path().join("out.onnx").display().to_string();
        let output = run_portent(&["train", "--input", &table, "--output", &output]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(sentence) && said.contains(name), "{said}");
    }
}

/// A shell's `<(zcat table.csv.gz)` is a pipe.
#[test]
fn a_table_may_come_by_a_pipe() {
    let place = Place::new();
    let pipe = place.file("table.csv", &Made::Pipe);
    let to = pipe.clone();
    let writer = std::thread::spawn(move || {
        let mut file = std::fs::OpenOptions::new().write(true).open(to).expect("a reader");
        file.write_all(b"time,a\nsoon,1\n").expect("read");
    });
    let output = place.dir.path().join("model.onnx");
    let [pipe, output] = [&pipe, &output].map(|it| it.display().to_string());
    let output = run_portent(&["train", "--input", &pipe, "--output", &output]);
    writer.join().expect("written");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("soon"), "what came by the pipe is read: {said}");
}

/// Builds of ONNX Runtime keep telemetry below the user's folder and send it from there, unless they are told
/// not to before they are loaded.
#[test]
fn nothing_is_kept_or_sent_for_telemetry() {
    let home = TempDir::new().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_portent"))
        .args(["check", "model"])
        .arg(repository().join("models/node.onnx"))
        .env_remove("ORT_DISABLE_TELEMETRY")
        .env_remove("XDG_CACHE_HOME")
        .env("HOME", home.path())
        .output()
        .expect("cargo has built portent");
    assert!(output.status.success(), "{output:?}");
    let left: Vec<_> = std::fs::read_dir(home.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}
