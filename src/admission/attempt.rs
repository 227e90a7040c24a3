//! The child's side of an admission: limits, then the model.

use std::io::{self, BufRead};
use std::process::ExitCode;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{DEADLINE, Order, memory};
use crate::model::{Artifact, Runtime, Scorer};

/// The exit code for a model that cannot be used; the reason is on the standard output. Neither that of a
/// panic nor one of wrong usage.
pub(super) const UNUSABLE: i32 = 3;

/// The exit code for a model that had too little memory, likewise.
pub(super) const SHORT: i32 = 4;

/// Whoever waits for this process may be gone; it ends all the same.
const CPU_SECONDS: u64 = DEADLINE.as_secs() + 5;

/// Loads and tries the model on the standard input, in a process that is there for nothing else.
#[must_use]
pub fn attempt() -> ExitCode {
    let mut input = io::stdin().lock();
    match read(&mut input) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, error }) => {
            // ONNX Runtime's words end their lines.
            let words = format!("{error:#}");
            print!("{}", words.split_whitespace().collect::<Vec<_>>().join(" "));
            ExitCode::from(code as u8)
        }
    }
}

/// How this process ends, and the reason.
struct Failure {
    code: i32,
    error: anyhow::Error,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: UNUSABLE, error }
    }
}

fn read(input: &mut dyn BufRead) -> Result<(), Failure> {
    let mut line = String::new();
    input.read_line(&mut line).context("cannot read the model to try")?;
    let order: Order = serde_json::from_str(&line).context("cannot read the model to try")?;
    limit(order.memory_bytes);
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).context("cannot read the model to try")?;
    load(&order, bytes).map_err(|error| {
        // ONNX Runtime's words for it are several.
        if !format!("{error:#}").to_lowercase().contains("alloc") {
            return error.into();
        }
        let most = memory(order.memory_bytes);
        let words = format!("loading and trying it takes more than {most} of memory");
        Failure { code: SHORT, error: error.context(words) }
    })
}

fn load(order: &Order, bytes: Vec<u8>) -> anyhow::Result<()> {
    let artifact = Artifact::read(bytes.into())?;
    let metadata = artifact.resolve(&order.config)?;
    let runtime = Runtime::load(order.library.as_deref())?;
    Scorer::new(&runtime, &artifact, &metadata)?;
    Ok(())
}

/// Bounds this process for ever. Where the system does not let it, the parent is told: the deadline is
/// left, and a model is none the worse for it.
fn limit(memory_bytes: u64) {
    let limits = [
        // Writable memory of its own; of addresses ONNX Runtime reserves more than it uses.
        (Resource::Data, memory_bytes),
        (Resource::Cpu, CPU_SECONDS),
        // An end by a signal is foreseen and leaves no image on disk.
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let now = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = Some(most.min(now));
        if let Err(error) = setrlimit(resource, Rlimit { current: most, maximum: most }) {
            print!("cannot limit {resource:?}: {error}. ");
        }
    }
    // Where memory is short nevertheless, this process goes first, and not the one that serves.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}
