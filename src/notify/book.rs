//! A book: what targets have been told, on disk, so that the next process tells nobody twice.
//!
//! In: what each target has been told. Out: one file, written whenever that changes and read at the next start.
//! A folder that cannot be written costs only that a restart may tell again.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ledger::Told;
use crate::files::{Draft, read_whole};

/// The file's name in its folder.
const FILE: &str = "notified.json";

/// What it is called when it could not be read.
const UNREADABLE: &str = "notified.json.unreadable";

/// Bytes of the file, at most: some hundred thousand alerts.
const MAX_BYTES: u64 = 64 << 20;

/// What targets have been told, by their keys.
pub(super) type Pages = BTreeMap<String, Vec<Told>>;

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    version: u32,
    targets: Pages,
}

const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Book {
    folder: Option<PathBuf>,
}

impl Book {
    /// In this folder; without one nothing is kept.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// What was told before. A file that cannot be read is said and put aside.
    pub fn read(&self) -> Pages {
        let Some(folder) = &self.folder else { return Pages::new() };
        let path = folder.join(FILE);
        if !path.exists() {
            return Pages::new();
        }
        let read = || -> anyhow::Result<Pages> {
            let contents: Contents = serde_json::from_slice(&read_whole(&path, MAX_BYTES)?)?;
            anyhow::ensure!(contents.version == VERSION, "it is of version {}", contents.version);
            Ok(contents.targets)
        };
        read().unwrap_or_else(|error| {
            let aside = folder.join(UNREADABLE);
            let moved = std::fs::rename(&path, &aside).is_ok();
            tracing::warn!(
                error = format!("{error:#}"),
                put_aside = moved.then(|| aside.display().to_string()),
                "cannot read what receivers have been told: they may be told of alerts again"
            );
            Pages::new()
        })
    }

    /// Writes all of it again.
    pub fn write(&self, targets: Pages) {
        let Some(folder) = &self.folder else { return };
        let write = || -> anyhow::Result<()> {
            let json = serde_json::to_vec(&Contents { version: VERSION, targets })?;
            let mut draft = Draft::private(&folder.join(FILE))?;
            draft.write_all(&json)?;
            draft.publish()?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::warn!(
                error = format!("{error:#}"),
                "cannot write what receivers have been told: after a restart they may be told again"
            );
        }
    }
}
