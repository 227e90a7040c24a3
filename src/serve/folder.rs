//! A folder that a process has for itself: where what it knows outlives it (`--storage.path`).

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::actions::ACTION_FILES;

/// What the pipeline remembers.
pub(super) const STATE_FILE: &str = "state";

/// Silences.
pub(super) const SILENCES_FILE: &str = "silences.json";

/// The file that says whose the folder is.
const LOCK: &str = "lock";

/// A folder that this process has for itself.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held for as long as the process may write.
    _lock: File,
}

impl Folder {
    /// Takes a folder, which is made where it is not there. Nothing where it cannot be written.
    ///
    /// # Errors
    /// When another process has it.
    pub(super) fn take(path: &Path) -> anyhow::Result<Option<Self>> {
        let lock = fs::create_dir_all(path).and_then(|()| File::create(path.join(LOCK)));
        let lock = match lock {
            Ok(lock) => lock,
            Err(error) => {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "cannot write to --storage.path: what is learnt of hosts, and silences, will be lost at a restart"
                );
                return Ok(None);
            }
        };
        match lock.try_lock() {
            Ok(()) => {
                remove_drafts(path);
                Ok(Some(Self { path: path.to_owned(), _lock: lock }))
            }
            Err(TryLockError::WouldBlock) => bail!(
                "{} is in use by another portent; give --storage.path another folder, or \"\" to keep \
                 nothing",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.join(LOCK).display()))
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes what a killed process has left behind; what cannot be removed does no harm.
fn remove_drafts(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_draft = |name: &str| {
        let of = |file: &str| name.strip_prefix('.').is_some_and(|it| it.starts_with(file));
        ["state.", SILENCES_FILE, ACTION_FILES].into_iter().any(of) && name.ends_with(".tmp")
    };
    for entry in entries.filter(|it| it.file_name().to_str().is_some_and(is_draft)) {
        let _ = fs::remove_file(entry.path());
    }
}
