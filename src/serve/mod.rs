//! Serving: the running program.
//!
//! It only wires, and computes nothing: a listener to a router, the router to the pipeline's thread, the
//! thread's snapshots to the metrics page, signals to reload and end. It is given its configuration and does
//! not know YAML or flags.
//!
//! Life: listen, load, be ready, and at SIGTERM or SIGINT stop accepting, finish running requests
//! and end. A reload that fails changes nothing.

mod agenda;
mod alerts;
mod bunch;
mod clock;
mod folder;
mod followers;
mod keeper;
mod landing;
mod listen;
mod live;
mod load;
mod narrator;
mod patience;
mod pipeline;
mod rate_limited_log;
mod router;
mod routes;
mod schedule;
mod senders;
mod signals;
mod silences;
mod story;
mod tick_lag;
mod troubles;
mod usable;
mod warm;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::actions;
use crate::admission::may_pass;
use crate::api::{self, Build};
use crate::config::Config;
use crate::detect::{LoadedModel, Pipeline, Snapshot};
use crate::exporter::{self, Exporter, Reload, SharedScores};
use crate::http;
use crate::notify;
use crate::remote_write::{self, RemoteWriteConfig};
use crate::series::StorageConfig;
use clock::now_ms;
use folder::Folder;
use followers::{Followers, Plan};
use keeper::Keeper;
use listen::{answer_requests, listen};
use live::{Budgets, Live};
use narrator::narrator;
use pipeline::Command;
use rate_limited_log::RateLimitedLog;
use router::{Phase, ReloadRequest, Router};
use signals::{SignalAction, Signals};
use warm::WarmStarts;

pub use routes::{Routes, RoutesError};

/// Reloads that may wait for the one under way.
const MAX_WAITING_RELOADS: usize = 4;

/// How long a load that is under way may take to end once all requests have.
const LAST_GRACE: Duration = Duration::from_millis(500);

/// How long the pipeline may take to end then: it writes what it remembers. Half of what Kubernetes allows.
const LAST_WRITING: Duration = Duration::from_secs(15);

/// A state file may be so many times as large as the memory for series.
const STATE_FILE_SHARE: u64 = 2;

/// Which Portent this is.
const BUILD: Build =
    Build { version: env!("CARGO_PKG_VERSION"), revision: env!("PORTENT_REVISION") };

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` or `:port`.
    pub listen_address: String,
    /// Where requests come in.
    pub routes: Routes,
    /// Whether `/-/reload` may be called.
    pub enable_lifecycle: bool,
    /// Whether silences may be set, and actions switched off and on, by the API.
    pub enable_admin_api: bool,
    /// The folder in which what is learnt outlives the process; nothing is kept without one.
    pub storage_path: Option<PathBuf>,
}

/// Reads and checks the configuration, at the start and at each reload.
pub type Load = Box<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

/// Why it does not serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What is configured cannot work as it is, files of models included: it would be the same again.
    #[error(transparent)]
    Wrong(anyhow::Error),
    /// What may be otherwise another time, such as an address that is taken.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Serves until a signal ends it.
///
/// # Errors
/// When it cannot start, or when the pipeline's thread has died.
pub fn run(options: Options, load: Load) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("portent-http")
        .build()
        .context("cannot start the threads that serve requests")?;
    let result = runtime.block_on(serve(options, load));
    // A load that hangs must not keep the process.
    runtime.shutdown_timeout(LAST_GRACE);
    result
}

async fn serve(options: Options, load: Load) -> Result<(), ServeError> {
    tracing::info!(version = BUILD.version, revision = BUILD.revision, "Starting Portent");
    let config = Arc::new(load().map_err(ServeError::Wrong)?);
    let plan = Plan::read(&config).map_err(ServeError::Wrong)?;
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let exporter = Exporter::install().map_err(anyhow::Error::from)?;
    describe_metrics();
    let listener = listen(&options.listen_address).await?;
    let address = listener.local_addr().context("the listener has no address")?;

    let (phase, phase_seen) = watch::channel(Phase::Starting);
    let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
    let (live, live_seen) =
        watch::channel(Arc::new(Live::new(Arc::clone(&config), Vec::new(), &Budgets::default())));
    let (commands, queue) =
        mpsc::channel(config.remote_write.max_queued_requests.clamp(1, Semaphore::MAX_PERMITS));
    let (idle, desks) = followers::idle();
    let (narrator, witness) = narrator();
    tokio::spawn(narrator.run(snapshot.clone(), live_seen.clone()));
    let (reloads, reload_requests) = mpsc::channel(MAX_WAITING_RELOADS);
    let router = Arc::new(Router {
        phase: phase_seen,
        live: live_seen,
        snapshot: snapshot.clone(),
        commands: commands.clone(),
        reloads,
        exporter: exporter.clone(),
        scores: SharedScores::default(),
        options: options.clone(),
        cors_origin: config.web.cors_origin.clone(),
        desks: desks.clone(),
        witness,
        refusals: RateLimitedLog::new(&remote_write::Refusal::REASONS),
    });
    let (stop, server) = answer_requests(listener, config.web.clone(), router);
    let mut warm = WarmStarts::new(&commands, snapshot.clone(), &config);
    let (pipeline, folder) = tokio::select! {
        begun = begin(&config, options.storage_path.as_deref(), &live, &mut warm) => begun?,
        () = signals.end() => return Ok(()),
    };
    let (followers, followers_end) = idle.start(plan, desks, snapshot, folder.as_ref()).await?;
    let keeper = folder.map(|it| Keeper::start(it, keeper::INTERVAL)).transpose();
    let keeper = keeper.context("cannot start the thread that writes the remembered state")?;
    let mut ended = pipeline::start(pipeline, keeper, queue, snapshots)
        .context("cannot start the pipeline's thread")?;
    exporter::count_reload(Reload::Successful { at_ms: now_ms() });
    phase.send_replace(Phase::Ready);
    // Nothing can keep it from serving any more.
    tracing::info!(%address, "Listening on");

    let program = Program { load, config, commands, live, followers, exporter, warm };
    let died = program.attend(&mut signals, reload_requests, &mut ended).await;
    phase.send_replace(Phase::Stopping);
    tracing::info!("shutting down");
    // The listener closes and the connections drain; then nobody can send commands any more.
    drop(stop);
    let cut_off = server.await.unwrap_or_default();
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "connections were cut off");
    }
    if died {
        return Err(anyhow!("the pipeline's thread has died").into());
    }
    finish(async { tokio::join!(ended, followers_end) }).await;
    Ok(())
}

/// Gives those who write their time, at the end.
async fn finish(written: impl Future) {
    if tokio::time::timeout(LAST_WRITING, written).await.is_err() {
        tracing::warn!(
            "the remembered state was not written in time: the file of the last time stays"
        );
    }
    tracing::info!("ended");
}

/// Loads the first models and makes the pipeline, which goes on with what is in the folder.
async fn begin(
    config: &Arc<Config>,
    storage_path: Option<&Path>,
    live: &watch::Sender<Arc<Live>>,
    warm: &mut WarmStarts,
) -> Result<(Pipeline, Option<Folder>), ServeError> {
    let (models, storage) = load_models(config).await.map_err(|error| match may_pass(&error) {
        true => ServeError::Failed(error),
        false => ServeError::Wrong(error),
    })?;
    let infos = load::infos(&models);
    let needs = warm::needs(&models, &config.global);
    let pipeline = Pipeline::new(config.global.clone(), storage, models);
    let mut pipeline = pipeline.map_err(|error| ServeError::Wrong(error.into()))?;
    pipeline.set_replica_timeout(config.remote_write.replica_timeout);
    let RemoteWriteConfig { cluster_labels, max_clusters, .. } = &config.remote_write;
    pipeline.set_clusters(cluster_labels, *max_clusters);
    pipeline.set_alerting(config.alerting.clone());
    let demand = Arc::new(pipeline.store().demand());
    let budgets = Budgets::of(&live.borrow());
    live.send_replace(Arc::new(Live::new(Arc::clone(config), infos, &budgets).for_demand(demand)));
    let folder = storage_path.map(Folder::take).transpose()?.flatten();
    let limit = config.storage.max_bytes.as_bytes().saturating_mul(STATE_FILE_SHARE);
    let restore = move || {
        folder.iter().for_each(|it| {
            keeper::restore(it, &mut pipeline, limit);
            keeper::believe(it, &mut pipeline);
        });
        (pipeline, folder)
    };
    let restored = tokio::task::spawn_blocking(restore).await;
    let restored = restored.context("reading the remembered state ended early")?;
    warm.begin(config, needs);
    Ok(restored)
}

async fn load_models(config: &Arc<Config>) -> anyhow::Result<(Vec<LoadedModel>, StorageConfig)> {
    let config = Arc::clone(config);
    tokio::task::spawn_blocking(move || load::load(&config)).await.context("loading ended early")?
}

fn describe_metrics() {
    exporter::describe_metrics(BUILD.version, BUILD.revision);
    api::describe_metrics();
    remote_write::describe_metrics();
    http::describe_metrics();
    notify::describe_metrics();
    actions::describe_metrics();
}

/// The program while it is ready.
struct Program {
    load: Load,
    config: Arc<Config>,
    commands: mpsc::Sender<Command>,
    live: watch::Sender<Arc<Live>>,
    followers: Followers,
    exporter: Exporter,
    warm: WarmStarts,
}

impl Program {
    /// Reloads when asked until it is time to end; says whether the pipeline has died.
    async fn attend(
        mut self,
        signals: &mut Signals,
        mut requests: mpsc::Receiver<ReloadRequest>,
        ended: &mut oneshot::Receiver<()>,
    ) -> bool {
        let mut upkeep = tokio::time::interval(Exporter::UPKEEP_INTERVAL);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let request = tokio::select! {
                action = signals.next() => match action {
                    SignalAction::End => return false,
                    SignalAction::Reload => None,
                },
                _ = &mut *ended => return true,
                _ = upkeep.tick() => {
                    self.exporter.upkeep();
                    continue;
                }
                Some(request) = requests.recv() => Some(request),
            };
            let result = tokio::select! {
                result = self.reload() => result,
                () = signals.end() => return false,
            };
            let reason = result.map_err(|error| format!("{error:#}"));
            match &reason {
                Ok(()) => {
                    exporter::count_reload(Reload::Successful { at_ms: now_ms() });
                    tracing::info!("configuration reloaded");
                }
                Err(reason) => {
                    exporter::count_reload(Reload::Failed);
                    tracing::error!(
                        error = reason,
                        "reloading failed: the configuration in use stays"
                    );
                }
            }
            if let Some(request) = request {
                let _ = request.send(reason);
            }
        }
    }

    /// Reads everything again, and replaces something only when all of it is valid.
    async fn reload(&mut self) -> anyhow::Result<()> {
        let config = Arc::new((self.load)()?);
        let plan = Plan::read(&config)?;
        let (models, storage) = load_models(&config).await?;
        // What is under way goes on, and counts.
        let budgets = Budgets::of(&self.live.borrow());
        let live = Live::new(Arc::clone(&config), load::infos(&models), &budgets);
        let needs = warm::needs(&models, &config.global);
        let (reply, done) = oneshot::channel();
        let command = Command::Reconfigure { config: Arc::clone(&config), storage, models, reply };
        self.commands.send(command).await.ok().context("the pipeline has ended")?;
        let demand = done.await.context("the pipeline has ended")??;
        self.warm.begin(&config, needs);
        self.live.send_replace(Arc::new(live.for_demand(demand)));
        self.followers.follow(plan).await?;
        let queue = |config: &Config| config.remote_write.max_queued_requests;
        if config.web != self.config.web || queue(&config) != queue(&self.config) {
            tracing::warn!(
                "web and remote_write.max_queued_requests are read at the start; restart to change them"
            );
        }
        self.config = config;
        Ok(())
    }
}
