//! The pipeline's thread: the one owner of rings and models.
//!
//! In: commands over a bounded queue. Out: an answer to each, and a snapshot after each tick. It
//! ends when nobody can send commands any more.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout_at;

use super::agenda::{Agenda, Step};
use super::alerts;
use super::clock::now_ms;
use super::keeper::Keeper;
use super::rate_limited_log::RateLimitedLog;
use super::tick_lag::TickLag;
use super::troubles::Troubles;
use crate::api::Look;
use crate::config::Config;
use crate::detect::{DetectError, LoadedModel, ModelKey, PastEntity, Pipeline, Snapshot, Warmed};
use crate::exporter;
use crate::labels::Labels;
use crate::remote_write::{self, Permit, RemoteWriteConfig, Unavailable, clip};
use crate::sample::Batch;
use crate::series::{Demand, Outcome, StorageConfig};

/// The longest sleep: a clock that is set is noticed after this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The kind of log line that a sender with many names for its replicas could repeat.
const REPLICA_CHANGE: &str = "replica change";

/// The kind of log line that says that memory is full.
const DROPPED: &str = "series dropped";

/// What the owner is asked to do.
pub(super) enum Command {
    /// Put samples into the rings.
    Append {
        /// The samples.
        batch: Batch,
        /// For the memory that they take.
        permit: Permit,
        /// Where the outcome goes.
        reply: oneshot::Sender<Outcome>,
    },
    /// Read something for a query.
    Look(Look),
    /// Go on with another configuration.
    Reconfigure {
        /// All of it.
        config: Arc<Config>,
        /// Its limits of the rings, within what the process may use.
        storage: StorageConfig,
        /// Its models.
        models: Vec<LoadedModel>,
        /// The series that are wanted then, if it worked.
        reply: oneshot::Sender<Result<Arc<Demand>, DetectError>>,
    },
    /// Say who has come to a model and is to be given a past; each is said once.
    Newcomers {
        /// The model.
        key: ModelKey,
        /// Where their labels go.
        reply: oneshot::Sender<Vec<Labels>>,
    },
    /// Put a past before what a model remembers of a few entities.
    Warm {
        /// The model.
        key: ModelKey,
        /// The past of each.
        past: Vec<PastEntity>,
        /// What became of them.
        reply: oneshot::Sender<Warmed>,
    },
}

/// Hands a batch to the pipeline and waits for the outcome. A request that waited until the
/// deadline is told to come again, and what is still in the queue then is dropped unread.
pub(super) async fn append(
    commands: &mpsc::Sender<Command>,
    (batch, permit): (Batch, Permit),
    deadline: tokio::time::Instant,
) -> Result<Outcome, Unavailable> {
    let (reply, outcome) = oneshot::channel();
    let sent = timeout_at(deadline, commands.send(Command::Append { batch, permit, reply }));
    match sent.await {
        Err(_) => return Err(Unavailable::Overloaded),
        Ok(Err(_)) => return Err(Unavailable::ShuttingDown),
        Ok(Ok(())) => {}
    }
    match timeout_at(deadline, outcome).await {
        Err(_) => Err(Unavailable::Overloaded),
        Ok(Err(_)) => Err(Unavailable::ShuttingDown),
        Ok(Ok(outcome)) => Ok(outcome),
    }
}

/// While what is remembered is written, no longer than this passes between two pieces.
const PIECE_WAIT: Duration = Duration::from_millis(2);

/// Starts the thread. The receiver is told when it has ended, by whatever cause.
pub(super) fn start(
    pipeline: Pipeline,
    keeper: Option<Keeper>,
    commands: mpsc::Receiver<Command>,
    snapshots: watch::Sender<Arc<Snapshot>>,
) -> std::io::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let runtime = Handle::current();
    thread::Builder::new().name("portent-pipeline".to_owned()).spawn(move || {
        // Dropped at a panic as well, which the other side notices.
        let _ended = ended;
        run((pipeline, keeper), commands, &snapshots, &runtime);
    })?;
    Ok(end)
}

fn run(
    (mut pipeline, mut keeper): (Pipeline, Option<Keeper>),
    mut commands: mpsc::Receiver<Command>,
    snapshots: &watch::Sender<Arc<Snapshot>>,
    runtime: &Handle,
) {
    let (mut agenda, mut lag) = (Agenda::default(), TickLag::default());
    let mut troubles = Troubles::default();
    let log = RateLimitedLog::new(&[REPLICA_CHANGE, DROPPED]);
    loop {
        let is_writing = keeper.as_mut().is_some_and(|it| it.turn(&pipeline));
        let longest = if is_writing { PIECE_WAIT } else { LONGEST_WAIT };
        let now = now_ms();
        match agenda.next(now, !commands.is_empty(), |time| pipeline.next_tick_ms(time)) {
            Step::Tick(due) => {
                let before = Instant::now();
                // The queue and what was done before make a tick late.
                let late = Duration::from_millis(now.abs_diff(due.tick_ms));
                let snapshot = pipeline.tick(due.tick_ms, &|| late + before.elapsed());
                exporter::count_tick(&snapshot, before.elapsed());
                exporter::count_missed_ticks(due.missed);
                report(&snapshot);
                troubles.log(&snapshot);
                alerts::log(&snapshot.alerts);
                snapshots.send_replace(snapshot);
                agenda.ticked(before.elapsed());
                lag.log(due.tick_ms, due.missed, before.elapsed());
                // Ticks without a pause must not keep it from the end.
                if commands.is_closed() && commands.is_empty() {
                    break;
                }
            }
            Step::Serve => {
                if let Ok(command) = commands.try_recv() {
                    let before = Instant::now();
                    obey(&mut pipeline, command, (&log, snapshots));
                    agenda.served(before.elapsed());
                }
            }
            Step::Wait(wait) => {
                let wait = wait.unwrap_or(longest).min(longest);
                let before = Instant::now();
                let received = async { tokio::time::timeout(wait, commands.recv()).await };
                let received = runtime.block_on(received);
                agenda.waited(before.elapsed());
                match received {
                    Err(_) => {}
                    Ok(None) => break,
                    Ok(Some(command)) => {
                        let before = Instant::now();
                        obey(&mut pipeline, command, (&log, snapshots));
                        agenda.served(before.elapsed());
                    }
                }
            }
        }
    }
    if let Some(keeper) = keeper {
        keeper.end(&pipeline);
    }
}

/// Does what the owner is asked to do.
fn obey(
    pipeline: &mut Pipeline,
    command: Command,
    (log, snapshots): (&RateLimitedLog, &watch::Sender<Arc<Snapshot>>),
) {
    match command {
        // Nobody waits for it any more: it comes again.
        Command::Append { reply, .. } if reply.is_closed() => remote_write::count_abandoned(),
        Command::Append { batch, permit, reply } => {
            let outcome = pipeline.append(now_ms(), &batch);
            exporter::count_append(&outcome);
            report_replicas(&outcome, log);
            report_dropped(&outcome, log);
            drop((batch, permit));
            // A sender that is gone comes again; what it sent is then there already.
            let _ = reply.send(outcome);
        }
        Command::Look(look) => look.take(pipeline.store()),
        Command::Reconfigure { config, storage, models, reply } => {
            let result = pipeline.reconfigure(config.global.clone(), storage, models);
            if let Ok(dropped) = &result {
                pipeline.set_replica_timeout(config.remote_write.replica_timeout);
                let RemoteWriteConfig { cluster_labels, max_clusters, .. } = &config.remote_write;
                pipeline.set_clusters(cluster_labels, *max_clusters);
                pipeline.set_alerting(config.alerting.clone());
                exporter::count_dropped(*dropped);
                // What is shown until the next tick, of which there may be none.
                snapshots.send_modify(|it| *it = Arc::new(pipeline.without_former(it)));
            }
            let _ = reply.send(result.map(|_| Arc::new(pipeline.store().demand())));
        }
        // Who is said to nobody could be asked for by nobody.
        Command::Newcomers { reply, .. } if reply.is_closed() => {}
        Command::Newcomers { key, reply } => {
            let _ = reply.send(pipeline.take_newcomers(key));
        }
        Command::Warm { key, past, reply } => {
            let _ = reply.send(pipeline.warm(key, &past));
        }
    }
}

/// Logs that series, or a whole cluster, hear another replica now, once for the one that is silent.
fn report_replicas(outcome: &Outcome, log: &RateLimitedLog) {
    let Some(change) = &outcome.replica_change else { return };
    let Some(suppressed) = log.pass(REPLICA_CHANGE, now_ms()) else { return };
    let (from, to) = (clip(&change.from), clip(&change.to));
    match change.cluster.as_deref().map(clip) {
        None => {
            tracing::info!(
                from,
                to,
                suppressed,
                "a replica is silent: its series now use another one"
            );
        }
        Some(cluster) => tracing::info!(
            cluster,
            from,
            to,
            suppressed,
            "a replica is silent: its cluster now uses another one"
        ),
    }
}

/// Logs that series were dropped, not with every batch.
fn report_dropped(outcome: &Outcome, log: &RateLimitedLog) {
    if outcome.series_dropped == 0 {
        return;
    }
    let Some(suppressed) = log.pass(DROPPED, now_ms()) else { return };
    tracing::warn!(
        series = outcome.series_dropped,
        suppressed,
        "storage.max_bytes is reached: the youngest series are dropped, and no new one is \
         admitted until others end; raise it, or send fewer"
    );
}

/// Logs what an operator would act on. A failure that repeats is said at each tick, which is as
/// often as it hurts.
fn report(snapshot: &Snapshot) {
    for model in snapshot.models.iter().filter(|model| model.time_ms == snapshot.time_ms) {
        if let Some(error) = &model.evaluation.model_error {
            tracing::error!(model = model.model, %error, "the model could not be run");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::DetectConfig;
    use crate::remote_write::InFlight;
    use crate::sample::{BatchSeries, Sample};

    /// Short, because the tests below wait until it.
    fn soon() -> tokio::time::Instant {
        tokio::time::Instant::now() + Duration::from_millis(20)
    }

    /// Far, so that a test that reaches it is one that failed.
    fn later() -> tokio::time::Instant {
        tokio::time::Instant::now() + Duration::from_secs(60)
    }

    fn batch() -> (Batch, Permit) {
        (Batch::default(), InFlight::default().reserve(0, 0).expect("nothing"))
    }

    #[tokio::test]
    async fn a_batch_that_finds_the_queue_full_is_to_come_again() {
        let (commands, mut queue) = mpsc::channel(1);
        let first = append(&commands, batch(), soon()).await;
        assert_eq!(first, Err(Unavailable::Overloaded), "queued, and nobody answers");
        let second = append(&commands, batch(), soon()).await;
        assert_eq!(second, Err(Unavailable::Overloaded), "there is no place in the queue");
        assert!(queue.try_recv().is_ok(), "the first is in the queue");
        assert!(queue.try_recv().is_err(), "the second never was");
    }

    /// What a sender was told to send again is in the queue until its turn comes, and counts until then.
    #[tokio::test]
    async fn a_batch_that_nobody_waits_for_is_dropped_unread() {
        let keep = vec!["up".to_owned()];
        let storage = StorageConfig { keep, ..StorageConfig::default() };
        let pipeline = Pipeline::new(DetectConfig::default(), storage, Vec::new());
        let mut pipeline = pipeline.expect("nothing to refuse");
        let labels = Labels::from_pairs([("__name__", "up")]).expect("one name");
        let samples = vec![Sample::new(now_ms(), 1.0)];
        let batch = Batch::of(vec![BatchSeries::new(labels, samples)]);
        let in_flight = InFlight::default();
        let reserve = || in_flight.reserve(100, 1_000).expect("there is room");
        let log = RateLimitedLog::new(&[REPLICA_CHANGE, DROPPED]);
        let (snapshots, _) = watch::channel(Arc::default());

        let (commands, mut queue) = mpsc::channel(2);
        let told = append(&commands, (batch.clone(), reserve()), soon()).await;
        assert_eq!((told, in_flight.bytes()), (Err(Unavailable::Overloaded), 100));
        obey(&mut pipeline, queue.recv().await.expect("it is in the queue"), (&log, &snapshots));
        assert_eq!((pipeline.store().stats().series, in_flight.bytes()), (0, 0));

        let owner = async {
            obey(
                &mut pipeline,
                queue.recv().await.expect("it is in the queue"),
                (&log, &snapshots),
            );
        };
        let (outcome, ()) = tokio::join!(append(&commands, (batch, reserve()), later()), owner);
        assert_eq!((outcome.map(|it| it.stored), in_flight.bytes()), (Ok(1), 0));
        assert_eq!(pipeline.store().stats().series, 1);
    }

    #[tokio::test]
    async fn a_batch_waits_for_a_place_and_gets_its_outcome() {
        let (commands, mut queue) = mpsc::channel(1);
        let (reply, _outcome) = oneshot::channel();
        let (first, permit) = batch();
        let first = Command::Append { batch: first, permit, reply };
        commands.try_send(first).map_err(|_| ()).expect("a place");
        let expected = Outcome { stored: 7, ..Outcome::default() };
        let owner = async {
            assert!(matches!(queue.recv().await, Some(Command::Append { .. })));
            let Some(Command::Append { reply, .. }) = queue.recv().await else {
                panic!("the batch comes after what was there");
            };
            reply.send(expected.clone()).expect("somebody waits");
        };
        let (outcome, ()) = tokio::join!(append(&commands, batch(), later()), owner);
        assert_eq!(outcome, Ok(expected));
    }

    #[tokio::test]
    async fn a_batch_after_the_end_is_to_come_again() {
        let (commands, queue) = mpsc::channel(1);
        drop(queue);
        let refused = append(&commands, batch(), later()).await;
        assert_eq!(refused, Err(Unavailable::ShuttingDown));

        let (commands, mut queue) = mpsc::channel(1);
        let dies = async { drop(queue.recv().await) };
        let (refused, ()) = tokio::join!(append(&commands, batch(), later()), dies);
        assert_eq!(refused, Err(Unavailable::ShuttingDown), "it died with the batch in hand");
    }
}
