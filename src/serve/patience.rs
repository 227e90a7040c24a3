//! Patience: how long a graph may run on a batch before it is ended.
//!
//! In: the begin and end of each run. Out: a run that neither fails nor finishes is ended, so that its tick
//! fails and the samples that wait behind it are taken in.

use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use crate::model::{Run, Watch};

/// How long a graph may run on a batch, which is a thousand entities at most: Portent's own take
/// milliseconds. Less than `remote_write.queue_timeout`, so that who pushes samples meanwhile waits.
const LONGEST_RUN: Duration = Duration::from_secs(5);

/// The watch of one scorer, with a thread that ends when the watch is dropped.
#[derive(Debug)]
pub(super) struct Patience {
    /// A run that begins, or nothing for one that has ended.
    runs: SyncSender<Option<Run>>,
}

impl Patience {
    /// # Errors
    /// When there is no further thread.
    pub fn new() -> std::io::Result<Self> {
        let (runs, events) = mpsc::sync_channel::<Option<Run>>(2);
        thread::Builder::new().name("portent-patience".to_owned()).spawn(move || {
            while let Ok(event) = events.recv() {
                let Some(run) = event else { continue };
                if matches!(events.recv_timeout(LONGEST_RUN), Err(RecvTimeoutError::Timeout)) {
                    run.end();
                }
            }
        })?;
        Ok(Self { runs })
    }
}

impl Watch for Patience {
    fn begins(&mut self, run: Run) {
        // The thread is there as long as this is.
        let _ = self.runs.send(Some(run));
    }

    fn ends(&mut self) {
        let _ = self.runs.send(None);
    }
}
