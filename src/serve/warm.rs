//! Warm starts: a model that remembers nothing gets the past of its entities from a server's history.
//!
//! In: the models that know nobody, the snapshots of the ticks, `history.prometheus_url`. Out: for each such
//! model, once in a process, the memory that it would have of the entities that push here
//! ([`crate::detect::rehearse`]), handed to the pipeline in small pieces. Pushes, ticks, reloads and the end of
//! the program never wait for it; a server that is away is asked again a few times, and then no more.
//!
//! ```text
//! first entity ──── longest range ────┬─ query_range ─▶ replay ─▶ memories ─▶ pipeline ─▶ scores
//!   is here          is covered       └─ rows here go on, and follow those of the past
//! ```
//!
//! It is asked as late as that, since an entity that is new here is not complete before the longest range of
//! a feature is covered, and a past that ended long before then would be one to begin anew after. What
//! passes while the server answers is no gap: rows that are taken in here meanwhile follow those of the past.
//!
//! Rings are left as they are: what is pushed has the labels of `external_labels` and of relabelling, so
//! that raw series of the server would be other series, and count twice. Rings fill within the ranges of
//! the features.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::Settings;
use super::clock::now_ms;
use super::load::load_again;
use super::pipeline::{Command, PipelineSettings};
use crate::detect::{ModelKey, PastEntity, Snapshot, WarmNeeds, Warmed, rehearse};
use crate::duration;
use crate::exporter::{self, WarmStart};
use crate::history::{
    self, Exclusions, HistoryConfig, HistoryError, Query, Range, RangeQuery, Source,
};

/// Until a server is asked again that did not answer, or not as it should: after a restart of it, and after
/// somebody has looked.
const WAITS: [Duration; 3] =
    [Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600)];

/// Values of a recording, at most: 256 MiB. A thousand hosts of forty features have seven hours of steps of
/// 15 s in it, ten times as much as windows and smoothing look back.
const MOST_VALUES: usize = 64 << 20;

/// A server may know so many times as many entities as push here.
const OTHERS: usize = 2;

/// Entities that are handed over at a time: well below a millisecond.
const PIECE_ENTITIES: usize = 64;

/// What models want of history; nothing of one that could not be served either.
pub(super) fn needs(settings: &PipelineSettings) -> Vec<WarmNeeds> {
    let needs = settings.models.iter().map(|it| WarmNeeds::of(it, &settings.global));
    needs.filter_map(Result::ok).collect()
}

/// The warm starts of a process. They end when this is dropped.
pub(super) struct WarmStarts {
    /// Weak, as the pipeline ends when nobody can send commands any more.
    commands: mpsc::WeakSender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// One recording is held at a time.
    turn: Arc<Semaphore>,
    tasks: JoinSet<()>,
    under_way: HashMap<ModelKey, AbortHandle>,
    /// Those that had their turn in this process, or have it.
    begun: HashSet<ModelKey>,
}

impl WarmStarts {
    /// None yet.
    pub(super) fn new(
        commands: &mpsc::Sender<Command>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        Self {
            commands: commands.downgrade(),
            snapshots,
            turn: Arc::new(Semaphore::new(1)),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            begun: HashSet::new(),
        }
    }

    /// The models are these from now on, and some of them know nobody. Warm starts of others end.
    pub(super) fn begin(
        &mut self,
        settings: &Settings,
        needs: Vec<WarmNeeds>,
        strangers: &[ModelKey],
    ) {
        while self.tasks.try_join_next().is_some() {}
        let HistoryConfig { prometheus_url, warm_start, .. } = &settings.history;
        let url = prometheus_url.as_ref().filter(|_| warm_start.as_ms() > 0);
        self.under_way.retain(|key, task| {
            let goes_on = url.is_some() && needs.iter().any(|it| it.key == *key);
            if !goes_on {
                task.abort();
            }
            goes_on && !task.is_finished()
        });
        let Some(url) = url else { return };
        for needs in needs {
            let key = needs.key;
            if needs.steps == 0 || !strangers.contains(&key) || !self.begun.insert(key) {
                continue;
            }
            let start = ModelStart {
                needs,
                url: url.clone(),
                settings: settings.clone(),
                commands: self.commands.clone(),
                snapshots: self.snapshots.clone(),
            };
            let task = self.tasks.spawn(start.run(Arc::clone(&self.turn)));
            self.under_way.insert(key, task);
        }
    }
}

/// The warm start of one model.
struct ModelStart {
    needs: WarmNeeds,
    url: String,
    settings: Settings,
    commands: mpsc::WeakSender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl ModelStart {
    async fn run(mut self, turn: Arc<Semaphore>) {
        let Some(entities) = self.first_entities().await else { return };
        let model = self.needs.model.clone();
        let mut steps = steps(&self.needs, &self.settings.history, entities);
        let mut waits = WAITS.iter();
        loop {
            let begun = Instant::now();
            let result = {
                let Ok(_turn) = turn.acquire().await else { return };
                self.attempt(steps).await
            };
            let error = match result {
                Ok(warmed) => {
                    exporter::count_warm_start(WarmStart::Done(warmed.entities));
                    let interval_ms = self.needs.interval_ms;
                    let history = duration::Duration::from_ms(steps as i64 * interval_ms);
                    tracing::info!(
                        model,
                        entities = warmed.entities,
                        not_here = warmed.elsewhere,
                        %history,
                        took = ?begun.elapsed(),
                        "entities go on with their history"
                    );
                    return;
                }
                Err(error) => error,
            };
            // More entities than was thought: less of each.
            let is_too_much = matches!(error.downcast_ref(), Some(HistoryError::TooMuch { .. }));
            if is_too_much && steps > 1 {
                steps /= 2;
                continue;
            }
            exporter::count_warm_start(WarmStart::Failed);
            let wait = waits.next();
            tracing::warn!(
                model,
                error = format!("{error:#}"),
                again_in = wait.map(|it| format!("{it:?}")),
                "no history to begin with: entities are learnt from what is pushed"
            );
            match wait {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return,
            }
        }
    }

    /// Waits until somebody is here and the longest range is covered, by what a sender had kept or by what has
    /// come since. Says how many are here; nothing when the program ends.
    async fn first_entities(&mut self) -> Option<usize> {
        let needs = &self.needs;
        let of_model = |snapshot: &Snapshot| {
            snapshot.models.iter().find(|it| it.model == needs.model).map(Arc::clone)
        };
        let count = |snapshot: &Snapshot| {
            let model = of_model(snapshot);
            model.map_or(0, |it| {
                let it = &it.evaluation;
                it.scored + it.warming + it.incomplete
            })
        };
        self.snapshots.wait_for(|it| count(it) > 0).await.ok()?;
        let is_covered = |snapshot: &Snapshot| {
            of_model(snapshot).is_some_and(|it| needs.is_covered(&it.evaluation))
        };
        // Where nobody has such a feature, nothing tells.
        let longest = Duration::from_millis(needs.range_ms.max(0).unsigned_abs());
        let covered = self.snapshots.wait_for(|it| is_covered(it));
        if let Ok(Err(_)) = tokio::time::timeout(longest, covered).await {
            return None;
        }
        let snapshot = Arc::clone(&self.snapshots.borrow());
        Some(count(&snapshot))
    }

    async fn attempt(&self, steps: usize) -> anyhow::Result<Warmed> {
        let (needs, url, settings) = (self.needs.clone(), self.url.clone(), self.settings.clone());
        let ask = move || remember(&needs, url, &settings, steps);
        let past = tokio::task::spawn_blocking(ask).await.context("asking ended early")??;
        let known = past.len();
        let mut warmed = Warmed::default();
        let mut past = past.into_iter();
        loop {
            let past: Vec<PastEntity> = past.by_ref().take(PIECE_ENTITIES).collect();
            if past.is_empty() {
                break;
            }
            let (reply, done) = oneshot::channel();
            let command = Command::Warm { key: self.needs.key, past, reply };
            let commands = self.commands.upgrade().context("the program ends")?;
            commands.send(command).await.ok().context("the pipeline has ended")?;
            drop(commands);
            warmed += done.await.context("the pipeline has ended")?;
        }
        if warmed.entities + warmed.older == 0 {
            return Err(anyhow!(
                "{} has {known} entities, and none of them pushes here; compare their labels {:?} with \
                 what is pushed: write_relabel_configs may have changed them",
                self.settings.history.prometheus_url.as_deref().map_or("the server", shown),
                self.needs.entity,
            ));
        }
        Ok(warmed)
    }
}

/// An address without credentials.
fn shown(url: &str) -> &str {
    url.rsplit('@').next().unwrap_or(url)
}

/// How many steps are asked for, of so many entities.
fn steps(needs: &WarmNeeds, config: &HistoryConfig, entities: usize) -> usize {
    let configured = (config.warm_start.as_ms() / needs.interval_ms).max(1) as usize;
    let room = MOST_VALUES.min(config.max_values) / needs.values_per_step(entities);
    needs.steps.min(configured).min(room).max(1)
}

/// Asks the server, and plays what it says through the model.
fn remember(
    needs: &WarmNeeds,
    url: String,
    settings: &Settings,
    steps: usize,
) -> anyhow::Result<Vec<PastEntity>> {
    let model = load_again(settings, &needs.model)?;
    if WarmNeeds::of(&model, &settings.global)?.key != needs.key {
        bail!("the model's file is another one than when it was loaded; reload");
    }
    let now_ms = now_ms();
    let end_ms = now_ms - now_ms.rem_euclid(needs.interval_ms);
    let start_ms = end_ms - (steps as i64 - 1) * needs.interval_ms;
    let mut config = settings.history.clone();
    config.max_values = config.max_values.min(OTHERS * MOST_VALUES);
    let history = history::read(&Query {
        source: Source::Server(RangeQuery {
            url,
            ranges: vec![Range { start_ms, end_ms }],
            step: duration::Duration::from_ms(needs.interval_ms),
            delay: settings.global.evaluation_delay,
            resume: None,
        }),
        features: needs.features.clone(),
        entity: needs.entity.clone(),
        exclude: Exclusions::default(),
        config,
        zone: None,
    })?;
    Ok(rehearse(model, &history.recording, &settings.global)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeatureSpec;

    #[test]
    fn it_asks_for_what_is_of_use_and_no_more_than_there_is_room_for() {
        let needs = WarmNeeds {
            model: "m".to_owned(),
            key: ModelKey([0; 32]),
            features: vec![FeatureSpec::new("f", "f"); 38],
            entity: vec!["instance".to_owned()],
            interval_ms: 15_000,
            range_ms: 0,
            ranged: vec![0],
            steps: 1_000,
        };
        let config = HistoryConfig::default();
        assert_eq!(steps(&needs, &config, 1), 1_000);
        let needs = WarmNeeds { steps: 100_000, ..needs };
        assert_eq!(steps(&needs, &config, 1), 5_760, "a day");
        // Seven hours of a thousand.
        assert_eq!(steps(&needs, &config, 1_000), 1_677);
        assert_eq!(steps(&needs, &config, 100_000_000), 1);
        let small = HistoryConfig { max_values: 4_000, ..config };
        assert_eq!(steps(&needs, &small, 10), 10);
    }
}
