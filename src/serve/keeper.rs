//! A keeper: writes what the pipeline remembers to disk, and reads it back at the next start.
//!
//! In: the pipeline, piece by piece between its other work; a folder that this process has for itself. Out:
//! the state file in it (see [`crate::state`]), written again every minute and at the end. A separate thread
//! writes, so that the pipeline's thread never waits for a disk: if the writer has not caught up, the next
//! piece is handed out later.
//!
//! The service starts even if this fails: if the folder cannot be written, that is logged and nothing is kept;
//! if the file cannot be read, that is logged and the file is moved aside. Only a folder that another process
//! uses is refused, as both would overwrite each other's file.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::clock::now_ms;
use super::folder::{Folder, STATE_FILE};
use crate::detect::{MemoryCursor, MemoryPage, Pipeline, Restored};
use crate::exporter::{self, Save};
use crate::notify::believed;
use crate::state::{Header, Reader, StateError, Writer};

/// From the end of one writing to the beginning of the next.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Pieces that may wait for the disk: some megabytes.
const WAITING_PAGES: usize = 8;

/// What a state file is called that could not be read.
const UNREADABLE: &str = "state.unreadable";

/// Goes on with what is in the folder, of at most so many bytes. The pipeline has not ticked yet.
pub(super) fn restore(folder: &Folder, pipeline: &mut Pipeline, limit: u64) {
    let path = folder.path().join(STATE_FILE);
    match read(&path, pipeline, limit) {
        Ok(None) => tracing::info!(path = %path.display(), "nothing is remembered yet"),
        Ok(Some((header, Restored { entities, foreign, samples, alerts }))) => {
            exporter::count_restored(entities, foreign);
            let age = Duration::from_millis(
                now_ms().saturating_sub(header.written_ms).max(0).unsigned_abs(),
            );
            tracing::info!(
                path = %path.display(),
                entities,
                samples,
                alerts,
                of_other_models = foreign,
                written_seconds_ago = age.as_secs(),
                "the remembered state was restored"
            );
        }
        Err(error) => {
            let aside = folder.path().join(UNREADABLE);
            let moved = fs::rename(&path, &aside).is_ok();
            let error = anyhow::Error::from(error);
            tracing::warn!(
                error = format!("{error:#}"),
                put_aside = moved.then(|| aside.display().to_string()),
                "cannot read the remembered state: hosts are learnt from scratch"
            );
        }
    }
}

/// Goes on with alerts that others know of and the state file does not: after a crash it is up to a minute
/// older than what was told.
pub(super) fn believe(folder: &Folder, pipeline: &mut Pipeline) {
    for memory in believed(folder.path()) {
        pipeline.restore(now_ms(), &MemoryPage::Alerts(memory));
    }
}

/// Reads a state file into a pipeline. An error in its midst leaves what was taken before.
fn read(
    path: &Path,
    pipeline: &mut Pipeline,
    limit: u64,
) -> Result<Option<(Header, Restored)>, StateError> {
    let Some(reader) = Reader::open(path, limit)? else { return Ok(None) };
    let header = reader.header().clone();
    let mut restored = Restored::default();
    for page in reader {
        restored += pipeline.restore(now_ms(), &page?);
    }
    Ok(Some((header, restored)))
}

/// What the writing thread is told.
#[derive(Debug)]
enum Order {
    /// A new file begins; one that is under way is dropped.
    Begin,
    Page(MemoryPage),
    /// The file is whole.
    Finish,
}

/// How far the writing is.
#[derive(Debug)]
enum Progress {
    /// A file begins at this time.
    Waiting(Instant),
    /// The next piece begins here.
    At(MemoryCursor),
    /// All pieces are handed out.
    Ending,
}

/// Hands out what a pipeline remembers, in the pipeline's thread.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: SyncSender<Order>,
    thread: JoinHandle<()>,
    progress: Progress,
    /// The pipeline's when the file was begun.
    layout: u64,
    interval: Duration,
    /// What the writing thread had no room for.
    held: Option<Order>,
    /// This process's until the last byte is written.
    _folder: Folder,
}

impl Keeper {
    /// Starts the writing thread, to begin a file so long after the one before.
    pub(super) fn start(folder: Folder, interval: Duration) -> std::io::Result<Self> {
        let (orders, queue) = sync_channel(WAITING_PAGES);
        let path = folder.path().join(STATE_FILE);
        let thread = thread::Builder::new()
            .name("portent-state".to_owned())
            .spawn(move || write_all(&path, &queue))?;
        let progress = Progress::Waiting(Instant::now() + interval);
        Ok(Self { orders, thread, progress, layout: 0, interval, held: None, _folder: folder })
    }

    /// Hands out a piece, if it is time and there is room for it. Says whether there is more to do soon.
    pub(super) fn turn(&mut self, pipeline: &Pipeline) -> bool {
        let order = self.held.take().or_else(|| self.next(pipeline));
        if let Some(order) = order
            && let Err(TrySendError::Full(order)) = self.orders.try_send(order)
        {
            self.held = Some(order);
        }
        self.held.is_some() || !matches!(self.progress, Progress::Waiting(_))
    }

    /// Writes everything once more, and waits until that is done.
    pub(super) fn end(mut self, pipeline: &Pipeline) {
        self.progress = Progress::Waiting(Instant::now());
        while let Some(order) = self.next(pipeline) {
            let is_last = matches!(order, Order::Finish);
            if self.orders.send(order).is_err() || is_last {
                break;
            }
        }
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes the remembered state has died");
        }
    }

    /// What is to be ordered next, if it is time.
    fn next(&mut self, pipeline: &Pipeline) -> Option<Order> {
        let begins = match self.progress {
            Progress::Waiting(due) => Instant::now() >= due,
            // Models or entities have other places: what was handed out is not of one whole with the rest.
            Progress::At(_) => self.layout != pipeline.layout(),
            Progress::Ending => false,
        };
        if begins {
            self.layout = pipeline.layout();
            self.progress = Progress::At(MemoryCursor::default());
            return Some(Order::Begin);
        }
        let (order, progress) = match self.progress {
            Progress::Waiting(_) => return None,
            Progress::At(at) => {
                let (page, next) = pipeline.memory_page(at);
                (Order::Page(page), next.map_or(Progress::Ending, Progress::At))
            }
            Progress::Ending => (Order::Finish, Progress::Waiting(Instant::now() + self.interval)),
        };
        self.progress = progress;
        Some(order)
    }
}

/// Writes what is ordered until nobody can order any more.
fn write_all(path: &Path, queue: &Receiver<Order>) {
    let mut writer: Option<(Writer, Instant)> = None;
    let mut was_well = true;
    while let Ok(order) = queue.recv() {
        let result = match (order, writer.take()) {
            (Order::Begin, _) => begin(path).map(|it| writer = Some((it, Instant::now()))),
            // What cannot be written is not begun again before its time.
            (_, None) => Ok(()),
            (Order::Page(page), Some((mut it, begun))) => {
                it.write(&page).map(|()| writer = Some((it, begun)))
            }
            (Order::Finish, Some((it, begun))) => it.finish().map(|counts| {
                let bytes = fs::metadata(path).map_or(0, |it| it.len());
                exporter::count_save(Save::Done { at_ms: now_ms(), bytes, took: begun.elapsed() });
                tracing::debug!(
                    entities = counts.entities,
                    samples = counts.samples,
                    bytes,
                    "kept"
                );
                was_well = true;
            }),
        };
        if let Err(error) = result {
            exporter::count_save(Save::Failed);
            // Once, until it goes well again: it is tried every minute.
            if std::mem::replace(&mut was_well, false) {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(
                    error,
                    "cannot write the remembered state; trying again every minute"
                );
            }
        }
    }
}

fn begin(path: &Path) -> Result<Writer, StateError> {
    let program = env!("CARGO_PKG_VERSION").to_owned();
    Writer::create(path, &Header { written_ms: now_ms(), program })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::DetectConfig;
    use crate::labels::Labels;
    use crate::sample::{Batch, BatchSeries, Sample};
    use crate::series::StorageConfig;

    const LIMIT: u64 = 1 << 20;

    /// Without models; it keeps all series of a job.
    fn pipeline() -> Pipeline {
        let keep = vec![r#"{job="x"}"#.to_owned()];
        let storage = StorageConfig { keep, ..StorageConfig::default() };
        Pipeline::new(DetectConfig::default(), storage, Vec::new()).expect("nothing to refuse")
    }

    fn push(pipeline: &mut Pipeline, series: usize) {
        let at_ms = now_ms();
        let one = |i: usize| {
            let name = format!("m_{i}");
            let labels = Labels::from_pairs([("__name__", name.as_str()), ("job", "x")]);
            let samples = vec![Sample::new(at_ms, 1.0)];
            BatchSeries::new(labels.expect("two names"), samples)
        };
        let batch = Batch::of((0..series).map(one).collect());
        assert_eq!(pipeline.append(at_ms, &batch).stored, series as u64);
    }

    fn restored(folder: &Folder) -> usize {
        let mut pipeline = pipeline();
        restore(folder, &mut pipeline, LIMIT);
        pipeline.store().stats().series
    }

    fn take(path: &Path) -> Folder {
        Folder::take(path).expect("nobody else has it").expect("a folder that can be written")
    }

    /// Two files, one after the other, in pieces; what is there at the end is in the last.
    #[test]
    fn it_writes_again_and_again_and_once_more_at_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b");
        fs::create_dir_all(&path).expect("a folder");
        for draft in [".state.x1.tmp", ".silences.json.x1.tmp"] {
            fs::write(path.join(draft), "half a file").expect("written");
        }
        let mut pipeline = pipeline();
        push(&mut pipeline, 3);
        let mut keeper = Keeper::start(take(&path), Duration::ZERO).expect("a thread");
        let file = path.join(STATE_FILE);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !file.exists() {
            keeper.turn(&pipeline);
            assert!(Instant::now() < deadline, "nothing is written");
        }
        push(&mut pipeline, 5);
        keeper.end(&pipeline);
        assert_eq!(restored(&take(&path)), 5);
        let mut left: Vec<_> = (fs::read_dir(&path).expect("a folder"))
            .map(|it| it.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        left.sort();
        assert_eq!(left, ["lock", STATE_FILE]);
    }

    /// Pieces with other places between them would miss what moved to where the writing was already.
    #[test]
    fn a_file_is_begun_again_when_places_are_other_ones() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut pipeline = pipeline();
        push(&mut pipeline, 3);
        let mut keeper = Keeper::start(take(dir.path()), Duration::ZERO).expect("a thread");
        assert!(matches!(keeper.next(&pipeline), Some(Order::Begin)));
        let storage = StorageConfig { keep: vec![r#"{job="x"}"#.to_owned()], ..Default::default() };
        let changed = pipeline.reconfigure(DetectConfig::default(), storage, Vec::new());
        changed.expect("nothing to refuse");
        assert!(matches!(keeper.next(&pipeline), Some(Order::Begin)));
        assert!(matches!(keeper.next(&pipeline), Some(Order::Page(_))));
        assert!(matches!(keeper.next(&pipeline), Some(Order::Finish)));
        keeper.end(&pipeline);
    }

    #[test]
    fn a_folder_is_one_process_s() {
        let dir = tempfile::tempdir().expect("a folder");
        // One that is not there yet.
        let path = dir.path().join("a/b");
        let folder = take(&path);
        let error = Folder::take(&path).expect_err("in use").to_string();
        assert!(error.contains("is in use by another portent"), "{error}");
        drop(folder);
        assert_eq!(restored(&take(&path)), 0);
    }

    #[test]
    fn what_cannot_be_a_folder_keeps_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(Folder::take(&file).expect("no reason not to start").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_put_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = take(dir.path());
        fs::write(dir.path().join(STATE_FILE), "from another world").expect("written");
        assert_eq!(restored(&folder), 0);
        let aside = fs::read_to_string(dir.path().join(UNREADABLE)).expect("put aside");
        assert_eq!(aside, "from another world");
        assert!(!dir.path().join(STATE_FILE).exists());
    }
}
