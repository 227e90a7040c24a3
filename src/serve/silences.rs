//! The silences' owner: the one task that changes them and writes them to disk.
//!
//! In: commands of the API and of a reload. Out: the windows and silences in force, as one immutable value
//! that notifications and actions read; and `silences.json` in the folder of `--storage.path`, a list as
//! `/api/v2/silences` gives it, written at each change before the request is answered. If the disk fails, no
//! silence ends: the failure is logged and counted, and writing is tried again every minute.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::ServeError;
use super::clock::now_ms;
use super::folder::{Folder, SILENCES_FILE};
use crate::exporter;
use crate::files::{Draft, ReadError, read_whole};
use crate::maintenance::{
    Maintenance, MaintenanceWindows, Silence, SilenceError, SilenceRecord, Silences, random_id,
};

/// What a file is called that could not be read.
const UNREADABLE: &str = "silences.json.unreadable";

/// A file that is larger is none of ours: a thousand of the largest silences take a quarter.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// How often those that are over for long are forgotten, and a disk that failed is tried again.
const UPKEEP: Duration = Duration::from_secs(60);

/// Commands that may wait for the one under way.
const MAX_WAITING: usize = 16;

/// What the owner is told.
#[derive(Debug)]
enum SilenceCommand {
    Set(Box<Silence>, oneshot::Sender<Result<String, SilenceError>>),
    Expire(String, oneshot::Sender<Result<(), SilenceError>>),
    Reconfigure(MaintenanceWindows, usize),
}

/// The owner has not begun or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ownerless;

/// A way to the owner, and to what it has published.
#[derive(Debug, Clone)]
pub(super) struct SilenceDesk {
    commands: mpsc::Sender<SilenceCommand>,
    /// What is in force, for whoever calls people or does something: a clone asks it at each look.
    pub(super) published: watch::Receiver<Arc<Maintenance>>,
}

/// The owner before its work begins.
#[derive(Debug)]
pub(super) struct IdleOwner {
    queue: mpsc::Receiver<SilenceCommand>,
    published: watch::Sender<Arc<Maintenance>>,
}

/// An owner who has not begun, and a way to it.
pub(super) fn owner() -> (IdleOwner, SilenceDesk) {
    let (commands, queue) = mpsc::channel(MAX_WAITING);
    let (sender, published) = watch::channel(Arc::default());
    (IdleOwner { queue, published: sender }, SilenceDesk { commands, published })
}

impl SilenceDesk {
    /// What is in force, for one look.
    pub(super) fn maintenance(&self) -> Arc<Maintenance> {
        Arc::clone(&self.published.borrow())
    }

    /// Sets a silence; returns its id once it is in force and on the disk, if that works.
    pub(super) async fn set(
        &self,
        silence: Box<Silence>,
    ) -> Result<Result<String, SilenceError>, Ownerless> {
        self.ask(|reply| SilenceCommand::Set(silence, reply)).await
    }

    /// Ends a silence.
    pub(super) async fn expire(&self, id: String) -> Result<Result<(), SilenceError>, Ownerless> {
        self.ask(|reply| SilenceCommand::Expire(id, reply)).await
    }

    /// Exchanges the windows and the limit; silences stay.
    pub(super) async fn reconfigure(&self, windows: MaintenanceWindows, most: usize) {
        // Without an owner the program ends.
        let _ = self.commands.send(SilenceCommand::Reconfigure(windows, most)).await;
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> SilenceCommand,
    ) -> Result<T, Ownerless> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Ownerless)?;
        answer.await.map_err(|_| Ownerless)
    }
}

impl IdleOwner {
    /// Begins with what is in a folder, if there is one, until nobody can send commands any more.
    ///
    /// # Errors
    /// When reading it has died.
    pub(super) async fn start(
        self,
        windows: MaintenanceWindows,
        most: usize,
        folder: Option<&Folder>,
    ) -> Result<JoinHandle<()>, ServeError> {
        let file = folder.map(|it| it.path().join(SILENCES_FILE));
        let silences = match file.clone() {
            Some(file) => tokio::task::spawn_blocking(move || restore(&file)).await,
            None => Ok(Silences::default()),
        };
        let maintenance =
            Maintenance { windows, silences: silences.context("reading silences ended early")? };
        let mut owner = SilenceOwner {
            maintenance,
            most,
            published: self.published,
            file,
            is_kept: true,
            was_well: true,
        };
        owner.publish();
        Ok(tokio::spawn(owner.work(self.queue)))
    }
}

#[derive(Debug)]
struct SilenceOwner {
    maintenance: Maintenance,
    most: usize,
    published: watch::Sender<Arc<Maintenance>>,
    file: Option<PathBuf>,
    /// Whether the disk has what is in force.
    is_kept: bool,
    was_well: bool,
}

impl SilenceOwner {
    async fn work(mut self, mut queue: mpsc::Receiver<SilenceCommand>) {
        let mut upkeep = tokio::time::interval(UPKEEP);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                _ = upkeep.tick() => {
                    if self.maintenance.silences.forget_ended(now_ms()) {
                        self.publish();
                        self.is_kept = false;
                    }
                    self.keep().await;
                }
            }
        }
        self.keep().await;
    }

    async fn obey(&mut self, command: SilenceCommand) {
        let now_ms = now_ms();
        let silences = &mut self.maintenance.silences;
        match command {
            SilenceCommand::Set(silence, reply) => {
                let result = silences.set(*silence, new_id(), now_ms, self.most);
                if let Ok(id) = &result {
                    self.changed().await;
                    let it = self.maintenance.silences.get(id);
                    let (created_by, matchers) =
                        it.map(|it| (&*it.created_by, it.selector.to_string())).unzip();
                    tracing::info!(id, created_by, matchers, "a silence is set");
                }
                // Who has left is not told.
                let _ = reply.send(result);
            }
            SilenceCommand::Expire(id, reply) => {
                let result = silences.expire(&id, now_ms);
                if result.is_ok() {
                    self.changed().await;
                    tracing::info!(id, "a silence is ended");
                }
                let _ = reply.send(result);
            }
            SilenceCommand::Reconfigure(windows, most) => {
                (self.maintenance.windows, self.most) = (windows, most);
                self.publish();
            }
        }
    }

    async fn changed(&mut self) {
        self.publish();
        self.is_kept = false;
        self.keep().await;
    }

    fn publish(&mut self) {
        self.published.send_replace(Arc::new(self.maintenance.clone()));
    }

    /// Has the disk what it has not.
    async fn keep(&mut self) {
        let Some(file) = self.file.clone().filter(|_| !self.is_kept) else { return };
        let silences = self.maintenance.silences.clone();
        let written = tokio::task::spawn_blocking(move || write(&file, &silences)).await;
        match written.map_err(anyhow::Error::from).flatten() {
            Ok(()) => (self.is_kept, self.was_well) = (true, true),
            Err(error) => {
                exporter::count_silences_not_kept();
                // Once, until it goes well again.
                if std::mem::replace(&mut self.was_well, false) {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "silences are in force, but cannot be written for the next start; trying \
                         again every minute"
                    );
                }
            }
        }
    }
}

/// An id that nobody can guess.
fn new_id() -> String {
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).expect("the system gives random bytes");
    random_id(random)
}

fn write(file: &Path, silences: &Silences) -> anyhow::Result<()> {
    let now_ms = now_ms();
    let records: Vec<SilenceRecord> =
        silences.iter().map(|it| SilenceRecord::of(it, now_ms)).collect();
    let text = serde_json::to_string_pretty(&records).context("silences as JSON")?;
    let write = || -> std::io::Result<()> {
        let mut draft = Draft::private(file)?;
        draft.write_all(text.as_bytes())?;
        draft.write_all(b"\n")?;
        draft.publish()
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// What is in a file. One that cannot be read is said, and put aside.
fn restore(file: &Path) -> Silences {
    match read(file) {
        Ok(silences) => silences,
        Err(error) => {
            let aside = file.with_file_name(UNREADABLE);
            let moved = std::fs::rename(file, &aside).is_ok();
            tracing::warn!(
                path = %file.display(),
                error = format!("{error:#}"),
                put_aside = moved.then(|| aside.display().to_string()),
                "cannot read the silences: starting without any"
            );
            Silences::default()
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Silences> {
    let bytes = match read_whole(file, MAX_FILE_BYTES) {
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Silences::default());
        }
        bytes => bytes?,
    };
    let records: Vec<SilenceRecord> = serde_json::from_slice(&bytes)?;
    let mut silences = Vec::with_capacity(records.len());
    for (i, record) in records.iter().enumerate() {
        let silence = record.silence().with_context(|| format!("silence {i}"))?;
        anyhow::ensure!(!silence.id.is_empty(), "silence {i} has no id");
        silences.push(silence);
    }
    Ok(Silences::of(silences))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    fn silence(instance: &str) -> Box<Silence> {
        let text = format!(
            r#"{{"matchers": [{{"name": "instance", "value": "{instance}", "isRegex": false}}],
            "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me",
            "comment": "x"}}"#
        );
        let record: SilenceRecord = serde_json::from_str(&text).expect("a record");
        Box::new(record.silence().expect("a silence"))
    }

    async fn start(path: &Path) -> (SilenceDesk, JoinHandle<()>) {
        let folder = Folder::take(path).expect("nobody else has it").expect("it can be written");
        let (idle, desk) = owner();
        let windows = MaintenanceWindows::default();
        (desk, idle.start(windows, 2, Some(&folder)).await.expect("nothing wrong"))
    }

    fn is_muted(desk: &SilenceDesk, instance: &str) -> bool {
        let labels = Labels::from_pairs([("instance", instance)]).expect("one name");
        desk.maintenance().muted_by(&labels, now_ms()).is_some()
    }

    #[tokio::test]
    async fn silences_are_published_kept_and_found_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let (desk, task) = start(dir.path()).await;
        let a = desk.set(silence("a")).await.expect("an owner").expect("room");
        let b = desk.set(silence("b")).await.expect("an owner").expect("room");
        assert!(a != b && is_muted(&desk, "a") && is_muted(&desk, "b"));
        let third = desk.set(silence("c")).await.expect("an owner");
        assert_eq!(third, Err(SilenceError::TooMany(2)));
        desk.expire(b.clone()).await.expect("an owner").expect("it is there");
        assert!(!is_muted(&desk, "b"));
        drop(desk);
        task.await.expect("it ends");

        let (desk, _task) = start(dir.path()).await;
        assert!(is_muted(&desk, "a") && !is_muted(&desk, "b"));
        assert!(desk.maintenance().silences.get(&b).is_some(), "what is over is remembered");
        // A reload exchanges windows and the limit, and ends no silence.
        let windows = "[{name: all, weekly: {weekdays: ['monday:sunday']}}]";
        let windows: Vec<_> = serde_yaml::from_str(windows).expect("YAML");
        desk.reconfigure(MaintenanceWindows::read(&windows).expect("good"), 1).await;
        let full = desk.set(silence("c")).await.expect("an owner");
        assert_eq!(full, Err(SilenceError::TooMany(1)));
        assert!(is_muted(&desk, "z") && desk.maintenance().silences.get(&a).is_some());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_put_aside_and_what_cannot_be_kept_is_in_force() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join(SILENCES_FILE);
        for text in ["no JSON", r#"[{"id": "7"}]"#] {
            std::fs::write(&file, text).expect("written");
            let (desk, _task) = start(dir.path()).await;
            assert!(desk.maintenance().silences.iter().next().is_none());
            let aside = std::fs::read_to_string(dir.path().join(UNREADABLE));
            assert_eq!(aside.expect("put aside"), text);
            assert!(!file.exists());
        }
        let gone = dir.path().join("gone");
        let (desk, _task) = start(&gone).await;
        std::fs::remove_dir_all(&gone).expect("removed");
        desk.set(silence("a")).await.expect("an owner").expect("room");
        assert!(is_muted(&desk, "a"));
    }

    #[tokio::test]
    async fn without_an_owner_nothing_is_set() {
        let (idle, desk) = owner();
        drop(idle);
        assert_eq!(desk.set(silence("a")).await, Err(Ownerless));
    }
}
