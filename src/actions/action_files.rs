//! What actions keep in a folder: what the guard remembers, a line for each attempt, and the switch.
//!
//! `actions.json` appears whole or not at all, and is its owner's alone. `actions.log` has a JSON object in each
//! line; where it would have more than [`MAX_LOG_BYTES`], it becomes `actions.log.1`. `actions.disabled` is there
//! as long as actions are switched off. Without a folder nothing is kept.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::memory::GuardMemory;
use super::record::ActionRecord;
use crate::files::{Draft, ReadError, read_whole};
use crate::timestamp::format_ms;

const MEMORY: &str = "actions.json";
const UNREADABLE: &str = "actions.json.unreadable";
const LOG: &str = "actions.log";
const OLD_LOG: &str = "actions.log.1";
const SWITCH: &str = "actions.disabled";

/// What the names of all of them begin with.
pub const ACTION_FILES: &str = "actions.";

/// Ten thousand attempts with long labels take a tenth.
const MAX_MEMORY_BYTES: u64 = 64 << 20;

/// Twice as much is on the disk at most: some ten thousand attempts.
const MAX_LOG_BYTES: u64 = 10 << 20;

const VERSION: u32 = 1;

#[derive(Serialize)]
struct Contents<'a> {
    version: u32,
    memory: &'a GuardMemory,
}

#[derive(Deserialize)]
struct ReadContents {
    version: u32,
    memory: GuardMemory,
}

/// The files.
#[derive(Debug, Clone)]
pub(super) struct ActionFiles {
    folder: Option<PathBuf>,
    max_log_bytes: u64,
}

impl ActionFiles {
    /// Those in a folder.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, max_log_bytes: MAX_LOG_BYTES }
    }

    /// Whether anything outlives the process.
    pub fn are_kept(&self) -> bool {
        self.folder.is_some()
    }

    /// What was remembered.
    ///
    /// # Errors
    /// When it cannot be read; then it is put aside.
    pub fn read_memory(&self) -> anyhow::Result<GuardMemory> {
        let Some(folder) = &self.folder else { return Ok(GuardMemory::default()) };
        let path = folder.join(MEMORY);
        let read = || -> anyhow::Result<GuardMemory> {
            let bytes = match read_whole(&path, MAX_MEMORY_BYTES) {
                Err(ReadError::Io(error)) if error.kind() == ErrorKind::NotFound => {
                    return Ok(GuardMemory::default());
                }
                bytes => bytes?,
            };
            let contents: ReadContents = serde_json::from_slice(&bytes)?;
            ensure!(contents.version == VERSION, "it is of version {}", contents.version);
            Ok(contents.memory)
        };
        read().with_context(|| {
            let aside = folder.join(UNREADABLE);
            match fs::rename(&path, &aside) {
                Ok(()) => format!("cannot read {}, put aside as {UNREADABLE}", path.display()),
                Err(_) => format!("cannot read {}", path.display()),
            }
        })
    }

    /// Writes what is remembered; it is on the disk then.
    ///
    /// # Errors
    /// When it is not.
    pub fn write_memory(&self, memory: &GuardMemory) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let json = serde_json::to_vec(&Contents { version: VERSION, memory })?;
        publish(&folder.join(MEMORY), &json)
    }

    /// Whether actions were switched off. What cannot be known counts as yes.
    pub fn is_switched_off(&self) -> bool {
        let there = self.folder.as_ref().map(|it| it.join(SWITCH).try_exists());
        there.is_some_and(|it| it.unwrap_or(true))
    }

    /// Has the next process find them switched off, or on.
    ///
    /// # Errors
    /// When it would not.
    pub fn switch(&self, now_ms: i64, is_off: bool) -> anyhow::Result<()> {
        let folder = self.folder.as_ref().context("there is no --storage.path")?;
        let path = folder.join(SWITCH);
        if is_off {
            let text = format!(
                "Actions are switched off since {}; POST /api/v1/actions/enable switches them on.\n",
                format_ms(now_ms)
            );
            return publish(&path, text.as_bytes());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The last of what was done, in that order. What cannot be read is left out.
    pub fn read_log(&self, most: usize) -> Vec<ActionRecord> {
        let Some(folder) = &self.folder else { return Vec::new() };
        // It may be longer than the limit by its last lines.
        let bytes = read_whole(&folder.join(LOG), 2 * MAX_LOG_BYTES).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let records = text.lines().rev().filter_map(|it| serde_json::from_str(it).ok());
        let mut records: Vec<ActionRecord> = records.take(most).collect();
        records.reverse();
        records
    }

    /// Adds what was done.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append_log(&self, records: &[ActionRecord]) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(LOG);
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        let before = fs::metadata(&path).map_or(0, |it| it.len());
        if before > 0 && before + lines.len() as u64 > self.max_log_bytes {
            fs::rename(&path, folder.join(OLD_LOG))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).with_context(|| format!("{}", path.display()))?;
        file.write_all(&lines).with_context(|| format!("{}", path.display()))
    }
}

fn publish(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let publish = || -> std::io::Result<()> {
        let mut draft = Draft::private(path)?;
        draft.write_all(bytes)?;
        draft.publish()
    };
    publish().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::attempt::AttemptKey;
    use super::super::record::ActionOutcome;
    use super::*;
    use crate::labels::Labels;

    fn record(action: &str) -> ActionRecord {
        let key = AttemptKey {
            action: Arc::from(action),
            rule: Arc::from("A"),
            model: Arc::from("m"),
            entity: Labels::from_pairs([("instance", "a")]).expect("one name"),
        };
        ActionRecord::new(0, &key, ActionOutcome::DryRun)
    }

    #[test]
    fn the_log_is_bounded_and_read_from_its_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let length = serde_json::to_string(&record("0")).expect("JSON").len() as u64 + 1;
        let mut files = ActionFiles::new(Some(dir.path().to_owned()));
        files.max_log_bytes = 3 * length;
        for i in 0..8 {
            files.append_log(&[record(&i.to_string())]).expect("written");
        }
        let size = |name| fs::metadata(dir.path().join(name)).expect("a file").len();
        assert_eq!((size(LOG), size(OLD_LOG)), (2 * length, 3 * length));
        fs::write(dir.path().join(LOG), "half a li\n").expect("written");
        files.append_log(&[record("x"), record("y")]).expect("written");
        assert_eq!(files.read_log(10), [record("x"), record("y")]);
        assert_eq!(files.read_log(1), [record("y")]);
    }

    #[test]
    fn what_cannot_be_read_is_put_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = ActionFiles::new(Some(dir.path().to_owned()));
        let memory = GuardMemory { at_ms: 7, ..GuardMemory::default() };
        assert_eq!(files.read_memory().expect("there is none"), GuardMemory::default());
        files.write_memory(&memory).expect("written");
        assert_eq!(files.read_memory().expect("it is there"), memory);
        for text in ["no JSON", r#"{"version": 2, "memory": {}}"#] {
            fs::write(dir.path().join(MEMORY), text).expect("written");
            let error = files.read_memory().expect_err("it is not ours").to_string();
            assert!(error.contains("put aside as actions.json.unreadable"), "{error}");
            assert_eq!(fs::read_to_string(dir.path().join(UNREADABLE)).expect("a file"), text);
        }
        let nowhere = ActionFiles::new(Some(dir.path().join("gone")));
        nowhere.write_memory(&memory).expect_err("there is no folder");
        nowhere.append_log(&[record("a")]).expect_err("there is no folder");
    }

    #[test]
    fn the_switch_stays_where_it_was_put() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = ActionFiles::new(Some(dir.path().to_owned()));
        assert!(!files.is_switched_off());
        files.switch(0, false).expect("it is on already");
        for _ in 0..2 {
            files.switch(0, true).expect("written");
            assert!(files.is_switched_off());
        }
        files.switch(0, false).expect("removed");
        assert!(!files.is_switched_off());
        ActionFiles::new(None).switch(0, true).expect_err("nothing is kept");
    }
}
