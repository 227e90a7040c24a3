//! An archive: the files of actions and the records that are shown, and whether the disk takes them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::action_counters::{Unkept, count_outcome, count_unkept};
use super::action_files::ActionFiles;
use super::memory::GuardMemory;
use super::record::ActionRecord;

/// Records that are shown.
const MOST_RECENT: usize = 200;

/// The archive of one driver.
#[derive(Debug)]
pub(super) struct Archive {
    files: ActionFiles,
    recent: VecDeque<Arc<ActionRecord>>,
    /// Whether the disk took what it was given last, memory and log: what fails is said once, until it goes
    /// well again.
    was_well: [bool; 2],
}

impl Archive {
    /// One in a folder; what is remembered there, and whether actions were switched off.
    pub async fn open(folder: Option<PathBuf>) -> (Self, anyhow::Result<GuardMemory>, bool) {
        let files = ActionFiles::new(folder);
        let reader = files.clone();
        let read = tokio::task::spawn_blocking(move || {
            (reader.read_memory(), reader.is_switched_off(), reader.read_log(MOST_RECENT))
        });
        let (memory, is_switched_off, recent) = match read.await {
            Ok(read) => read,
            Err(error) => (Err(error.into()), true, Vec::new()),
        };
        let recent = recent.into_iter().map(Arc::new).collect();
        (Self { files, recent, was_well: [true; 2] }, memory, is_switched_off)
    }

    /// Whether anything outlives the process.
    pub fn is_kept(&self) -> bool {
        self.files.are_kept()
    }

    /// What was done last, the newest last.
    pub fn recent(&self) -> VecDeque<Arc<ActionRecord>> {
        self.recent.clone()
    }

    /// Says records, counts them, and keeps them.
    pub async fn note(&mut self, records: Vec<ActionRecord>) {
        if records.is_empty() {
            return;
        }
        for record in &records {
            record.tell();
            count_outcome(&record.action, record.outcome, 1);
            self.recent.push_back(Arc::new(record.clone()));
        }
        let surplus = self.recent.len().saturating_sub(MOST_RECENT);
        self.recent.drain(..surplus);
        let files = self.files.clone();
        let written = tokio::task::spawn_blocking(move || files.append_log(&records)).await;
        self.wrote(Unkept::Log, written.map_err(Into::into).flatten());
    }

    /// Has the disk what is remembered; says whether it has.
    pub async fn keep(&mut self, memory: GuardMemory) -> bool {
        let files = self.files.clone();
        let written = tokio::task::spawn_blocking(move || files.write_memory(&memory)).await;
        self.wrote(Unkept::Memory, written.map_err(Into::into).flatten())
    }

    /// Has the next process find actions switched off, or on.
    ///
    /// # Errors
    /// When it would not.
    pub async fn keep_switch(&self, now_ms: i64, is_off: bool) -> anyhow::Result<()> {
        let files = self.files.clone();
        let written = tokio::task::spawn_blocking(move || files.switch(now_ms, is_off)).await;
        let written = written.map_err(anyhow::Error::from).flatten();
        if written.is_err() && self.files.are_kept() {
            count_unkept(Unkept::Switch);
        }
        written
    }

    fn wrote(&mut self, what: Unkept, written: anyhow::Result<()>) -> bool {
        let was_well = &mut self.was_well[usize::from(what == Unkept::Log)];
        let was_well = std::mem::replace(was_well, written.is_ok());
        let Err(error) = written else { return true };
        count_unkept(what);
        if was_well {
            let error = format!("{error:#}");
            match what {
                Unkept::Log => tracing::warn!(error, "cannot write which actions were run"),
                _ => tracing::error!(
                    error,
                    "cannot record which actions run: none starts until that works"
                ),
            }
        }
        false
    }
}
