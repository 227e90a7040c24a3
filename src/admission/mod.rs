//! Admission: a model's file is tried by a process of its own before this one loads it.
//!
//! In: the bytes of a file and the configuration that completes them. Out: nothing, once another process
//! of this program has loaded the model and run it as a scorer does; otherwise a sentence.
//!
//! A graph is a program. It may loop without an end or ask for more memory than there is, while it is
//! loaded as well, since ONNX Runtime computes in advance what it can. Neither can be taken back within a
//! process: a run can be told to end, a load cannot, and an allocation that fails in the wrong place ends
//! all. So a child does it first, with limits that the system keeps, and what happens to it happens to
//! nobody else. What this program ships with needs none of that.
//!
//! Where the process itself is under a limit, the child may take what is left of it (`room`).
//!
//! Invariants: at the end of [`admit`] the child has ended and is reaped, whatever it did. Nothing of it
//! is left on disk. The bytes that were tried are those that were given, not what the file holds by now.
//!
//! Source: getrlimit(2), proc_pid_oom_score_adj(5).

mod attempt;
mod room;

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bytesize::ByteSize;
use crate::model::{ModelConfig, RuntimeError};

pub use attempt::attempt;
pub use room::memory_limit;

/// The name of the command that this program tries a model by. It is for nobody else.
pub const COMMAND: &str = "try-model";

/// How long a model may take to be loaded and tried: the largest file that is read takes a few seconds on
/// a slow machine, and who calls `/-/reload` gives up after half a minute.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a model of no size may take of memory: this program and ONNX Runtime, which take 40 MiB, and room
/// to compute.
const MEMORY: u64 = 512 << 20;

/// How often its file a model may take beside that: as read, as taken apart, and as ONNX Runtime keeps it
/// before and after it rearranges weights; 3.2 were measured.
const TIMES_FILE: u64 = 4;

/// What a model may take at least, however little a limit on this process leaves.
const LEAST_MEMORY: u64 = 128 << 20;

/// The variable by which a child's allocator, jemalloc, is told to give back what is freed, at once and with
/// its addresses. By default it keeps them, and the limit counts them although nothing is there.
///
/// Source: jemalloc(3), "TUNING", `opt.retain` and `opt.dirty_decay_ms`.
const ALLOCATOR: (&str, &str) =
    ("_RJEM_MALLOC_CONF", "retain:false,dirty_decay_ms:0,muzzy_decay_ms:0");

/// What is kept of a child's words.
const MAX_WORDS: u64 = 16 << 10;

/// What a child is told, as one line of JSON before the file's bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    config: ModelConfig,
    library: Option<PathBuf>,
    memory_bytes: u64,
}

/// Why a model is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no process to try it.
    #[error("cannot start the process that tries a model before it is loaded: {0}")]
    Start(#[source] io::Error),
    /// It cannot be used, for the reason that the child gives.
    #[error("{0}")]
    Unusable(String),
    /// It takes more memory than it may, in the child's words.
    #[error("{0}")]
    Short(String),
    /// It has no end.
    #[error(
        "the model could not be loaded and tried within {} s: it has an endless loop, or is too \
         large",
        DEADLINE.as_secs()
    )]
    Endless,
    /// It ended the child.
    #[error("the model ended the process that tried it ({how}), which may take {memory} of memory")]
    Fatal {
        /// How it ended, with its last words.
        how: String,
        /// What it may take.
        memory: ByteSize,
    },
}

/// Whether what kept a model from being loaded may pass, so that the same files are loaded at another try:
/// a lack of time, of memory or of a process. Any other reason lies in a file that is missing or bad.
#[must_use]
pub fn may_pass(error: &anyhow::Error) -> bool {
    match (error.downcast_ref::<Refused>(), error.downcast_ref::<RuntimeError>()) {
        (Some(refused), _) => !matches!(refused, Refused::Unusable(_)),
        (_, Some(runtime)) => !matches!(runtime, RuntimeError::NotThere { .. }),
        // A thread that does not start.
        _ => error.is::<io::Error>(),
    }
}

/// Has a child load and try a model. `library` is where ONNX Runtime is, if not in a usual place.
///
/// # Errors
/// When the model cannot be used, takes too long or too much memory, and when there is no child.
pub fn admit(bytes: &[u8], config: &ModelConfig, library: Option<&Path>) -> Result<(), Refused> {
    let memory_bytes = most(bytes.len() as u64, room::room());
    let library = library.map(Path::to_path_buf);
    let order = Order { config: config.clone(), library, memory_bytes };
    let mut order = serde_json::to_vec(&order).map_err(|error| Refused::Start(error.into()))?;
    order.push(b'\n');
    let child = start().map_err(Refused::Start)?;
    let ended = follow(child, &[&order, bytes], DEADLINE).map_err(Refused::Start)?;
    match ended {
        None => Err(Refused::Endless),
        Some(Ended { status, words, .. }) if status.success() => {
            if !words.is_empty() {
                tracing::warn!(reason = words, "a model was tried without some of the limits");
            }
            Ok(())
        }
        Some(Ended { status, words, .. }) if status.code() == Some(attempt::UNUSABLE) => {
            Err(Refused::Unusable(words.trim().to_owned()))
        }
        Some(Ended { status, words, .. }) if status.code() == Some(attempt::SHORT) => {
            Err(Refused::Short(words.trim().to_owned()))
        }
        Some(ended) => Err(Refused::Fatal { how: ended.how(), memory: memory(memory_bytes) }),
    }
}

/// The memory that a child may take for a file of so many bytes, where so much is left, if there is a limit.
fn most(file_bytes: u64, room: Option<u64>) -> u64 {
    let usual = MEMORY + TIMES_FILE * file_bytes;
    room.map_or(usual, |room| room.clamp(LEAST_MEMORY, usual))
}

/// In the unit that people read.
fn memory(bytes: u64) -> ByteSize {
    ByteSize::from_mib(bytes.div_ceil(1 << 20))
}

fn start() -> io::Result<Child> {
    // On Linux the program that runs, even after another one took the name of its file.
    let program = match cfg!(target_os = "linux") {
        true => PathBuf::from("/proc/self/exe"),
        false => std::env::current_exe()?,
    };
    Command::new(program)
        .arg0("portent")
        .arg(COMMAND)
        .env(ALLOCATOR.0, ALLOCATOR.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// How a child ended.
struct Ended {
    status: ExitStatus,
    words: String,
    cries: String,
}

impl Ended {
    fn how(&self) -> String {
        let status = match self.status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("exit code {}", self.status.code().unwrap_or_default()),
        };
        match self.cries.lines().rfind(|line| !line.trim().is_empty()) {
            Some(last) => format!("{status}: {}", last.trim()),
            None => status,
        }
    }
}

/// Hands a child its input and waits for its end; `None` if it had to be killed at the deadline.
fn follow(mut child: Child, input: &[&[u8]], deadline: Duration) -> io::Result<Option<Ended>> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("it has no pipes"));
    };
    let (over, is_over) = mpsc::sync_channel(1);
    let (in_time, words, cries) = thread::scope(|threads| {
        threads.spawn(move || {
            // A child that does not read on has ended, or is about to.
            let _ = input.iter().try_for_each(|part| stdin.write_all(part));
        });
        let cries = threads.spawn(move || heard(stderr));
        let words = threads.spawn(move || {
            let words = heard(stdout);
            let _ = over.send(());
            words
        });
        // Its words end with it.
        let in_time = is_over.recv_timeout(deadline).is_ok();
        if !in_time {
            // It may have ended this moment, and is no other process before it is reaped.
            let _ = child.kill();
        }
        (in_time, words.join().unwrap_or_default(), cries.join().unwrap_or_default())
    });
    let status = child.wait()?;
    Ok(in_time.then_some(Ended { status, words, cries }))
}

/// The beginning of what comes, all of which is waited for.
fn heard(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = (&mut from).take(MAX_WORDS).read_to_end(&mut bytes);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_is_wrong() {
        let of = |error: anyhow::Error| may_pass(&error.context("m.onnx").context("model \"m\""));
        assert!(of(Refused::Endless.into()));
        assert!(of(Refused::Short("it takes more".to_owned()).into()));
        assert!(of(Refused::Start(io::ErrorKind::OutOfMemory.into()).into()));
        let fatal = Refused::Fatal { how: "signal 9".to_owned(), memory: memory(MEMORY) };
        assert!(of(fatal.into()));
        assert!(!of(Refused::Unusable("no graph".to_owned()).into()));
        let thread: io::Result<()> = Err(io::ErrorKind::WouldBlock.into());
        assert!(of(thread.context("cannot start a thread").expect_err("none")));
        let library = |error: RuntimeError| of(error.into());
        assert!(library(RuntimeError::Start("no".to_owned())));
        let path = PathBuf::from("lib.so");
        assert!(!library(RuntimeError::NotThere { source_of_path: "onnxruntime.library", path }));
        assert!(!of(anyhow!("a file that is no model")));
        let unread = crate::files::read_whole(Path::new("/nowhere.onnx"), 1);
        assert!(!of(unread.expect_err("it is not there").into()));
    }

    #[test]
    fn a_child_may_take_what_is_left_and_not_too_little() {
        assert_eq!(most(0, None), MEMORY);
        assert_eq!(most(1 << 20, None), MEMORY + (4 << 20));
        assert_eq!(most(1 << 20, Some(u64::MAX)), MEMORY + (4 << 20));
        assert_eq!(most(1 << 20, Some(200 << 20)), 200 << 20);
        assert_eq!(most(1 << 20, Some(0)), LEAST_MEMORY);
    }

    /// A shell in the place of a child: what happens, and the words that are left of it.
    #[track_caller]
    fn check(script: &str, input: &[u8], deadline: Duration, expected: Option<(&str, &str)>) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("a shell is on every Unix");
        let found = follow(child, &[input], deadline).expect("it can be waited for");
        let found = found.map(|it| (it.words.trim().to_owned(), it.how()));
        let expected = expected.map(|(words, how)| (words.to_owned(), how.to_owned()));
        assert_eq!(found, expected, "{script}");
    }

    #[test]
    fn a_child_is_followed_to_its_end() {
        let long = Duration::from_secs(60);
        check("cat", b"words", long, Some(("words", "exit code 0")));
        check("echo no; echo why >&2; exit 3", b"", long, Some(("no", "exit code 3: why")));
        check("kill -KILL $$", b"", long, Some(("", "signal 9")));
        // More than a pipe holds, both ways.
        let much = vec![b'x'; 1 << 20];
        check("exit 0", &much, long, Some(("", "exit code 0")));
        check("wc -c", &much, long, Some(("1048576", "exit code 0")));
        check(
            "head -c 1000000 /dev/zero >&2; echo done",
            b"",
            long,
            Some(("done", &format!("exit code 0: {}", "\0".repeat(MAX_WORDS as usize)))),
        );
        check("exec sleep 1000", b"", Duration::from_millis(1), None);
        check("exec sleep 1000", &much, Duration::from_millis(1), None);
    }
}
