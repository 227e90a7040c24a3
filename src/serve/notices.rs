//! Notices: wires alerts that fire to the receivers.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::clock::now_ms;
use super::folder::Folder;
use super::silences::SilenceDesk;
use crate::config::Config;
use crate::detect::{MemoryPage, Pipeline, Snapshot};
use crate::notify::{Audience, Notifier, NotifyError, Target, believed};

/// Reloads that may wait for deliveries to finish what is under way.
const MAX_WAITING: usize = 4;

/// Who is to be told by this configuration.
///
/// # Errors
/// When a file that it names cannot be used.
pub(super) fn audience(config: &Config) -> Result<Audience, NotifyError> {
    Ok(Audience {
        config: config.notify.clone(),
        targets: Target::all(&config.notify)?,
        rules: Arc::from(&*config.alerting.rules),
        models: config.models.iter().map(|it| it.name.clone()).collect(),
    })
}

/// Begins to tell; others are told once they are sent. It ends when nobody can send them any more.
pub(super) fn start(
    first: Audience,
    silences: &SilenceDesk,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    folder: Option<&Folder>,
) -> (mpsc::Sender<Audience>, JoinHandle<()>) {
    let (audiences, queue) = mpsc::channel(MAX_WAITING);
    // There is room for one.
    let _ = audiences.try_send(first);
    let notifier = Notifier { now_ms, maintenance: silences.published.clone(), snapshots };
    let folder = folder.map(|it| it.path().to_owned());
    (audiences, tokio::spawn(notifier.run(folder, queue)))
}

/// Goes on with alerts that others know of and the state file does not: after a crash it is up to a minute
/// older than what was told.
pub(super) fn restore(folder: &Folder, pipeline: &mut Pipeline) {
    for memory in believed(folder.path()) {
        pipeline.restore(now_ms(), &MemoryPage::Alerts(memory));
    }
}
