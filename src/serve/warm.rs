//! Warm starts: entities of which nothing is remembered get their past from a server's history.
//!
//! In: the models, the snapshots of the ticks, `history.prometheus_url`. Out: for the entities that are new to
//! a model, all at its first start or some later, the memory that it would have if they had always pushed
//! here ([`crate::detect::rehearse`]), handed to the pipeline in small pieces. Each entity is asked for once (see
//! [`crate::detect::Newcomers`]), in bunches (see [`Bunches`]). Pushes, ticks, reloads and the end of the program
//! never wait for it; a server that does not answer is asked again a few times, and then no more.
//!
//! ```text
//! entities ──── longest range ────┬─ query_range ─▶ replay ─▶ memories ─▶ pipeline ─▶ scores
//! are here      is covered        └─ rows here go on, and follow those of the past
//! ```
//!
//! The server is asked only then, since a new entity is not complete before the longest range of a feature is
//! covered, and a past that ended long before that could not be continued. The time while the server answers
//! is no gap: rows that are taken in here meanwhile follow those of the past.
//!
//! If only few of many entities are new, only they are asked for, as far as the texts of the features
//! allow it. Entities that the server does not know either are counted, and learnt from pushed samples.
//!
//! Rings are not filled from history: pushed series have the labels of `external_labels` and of relabelling, so
//! raw series of the server would be different series and count twice. Rings fill within the ranges of
//! the features.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::bunch::Bunches;
use super::clock::now_ms;
use super::load::load_again;
use super::pipeline::Command;
use crate::config::Config;
use crate::detect::{
    DetectConfig, LoadedModel, ModelKey, Newcomers, PastEntity, Snapshot, WarmNeeds, Warmed,
    rehearse,
};
use crate::duration;
use crate::exporter::{self, WarmStart};
use crate::history::{
    self, Exclusions, HistoryConfig, HistoryError, HistoryQuery, Range, RangeQuery, Source,
};
use crate::labels::Labels;

/// Until a server is asked again that did not answer, or not as it should: after a restart of it, and after
/// somebody has looked.
const WAITS: [Duration; 3] =
    [Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600)];

/// Values of a recording, at most: 256 MiB. A thousand hosts of forty features have seven hours of steps of
/// 15 s in it, ten times as much as windows and smoothing look back.
const MOST_VALUES: usize = 64 << 20;

/// A server may know so many times as many entities as push here.
const OTHERS: usize = 2;

/// Those who have come are asked for alone where so many times as many are here: of a part of the fleet that is
/// not small the whole is the shorter question.
const FEW: usize = 2;

/// Where others are here, a server that knows nobody who came may know them; where so many times as many came
/// as were here, it has other labels.
const MOST: usize = 9;

/// Entities that are handed over at a time: well below a millisecond.
const PIECE_ENTITIES: usize = 64;

/// What models want of history; nothing of one that could not be served either.
pub(super) fn needs(models: &[LoadedModel], global: &DetectConfig) -> Vec<WarmNeeds> {
    models.iter().filter_map(|it| WarmNeeds::of(it, global).ok()).collect()
}

/// The warm starts of a process. They end when this is dropped.
pub(super) struct WarmStarts {
    /// Weak, as the pipeline ends when nobody can send commands any more.
    commands: mpsc::WeakSender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// One recording is held at a time.
    recordings: Arc<Semaphore>,
    tasks: JoinSet<()>,
    under_way: HashMap<ModelKey, AbortHandle>,
    /// Those that had their turn in this process, or have it.
    begun: HashSet<ModelKey>,
    /// That in force.
    config: watch::Sender<Arc<Config>>,
    /// From here on time is counted.
    start: Instant,
}

impl WarmStarts {
    /// None yet.
    pub(super) fn new(
        commands: &mpsc::Sender<Command>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        config: &Arc<Config>,
    ) -> Self {
        Self {
            commands: commands.downgrade(),
            snapshots,
            recordings: Arc::new(Semaphore::new(1)),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            begun: HashSet::new(),
            config: watch::Sender::new(Arc::clone(config)),
            start: Instant::now(),
        }
    }

    /// The models are these from now on. Warm starts of others end.
    pub(super) fn begin(&mut self, config: &Arc<Config>, needs: Vec<WarmNeeds>) {
        while self.tasks.try_join_next().is_some() {}
        let HistoryConfig { prometheus_url, warm_start, .. } = &config.history;
        let is_wanted = prometheus_url.is_some() && warm_start.as_ms() > 0;
        self.config.send_replace(Arc::clone(config));
        self.under_way.retain(|key, task| {
            let goes_on = is_wanted && needs.iter().any(|it| it.key == *key);
            if !goes_on {
                task.abort();
            }
            goes_on && !task.is_finished()
        });
        for needs in needs.into_iter().filter(|it| is_wanted && it.steps > 0) {
            let key = needs.key;
            if self.under_way.contains_key(&key) {
                continue;
            }
            let range = Duration::from_millis(needs.range_ms.max(0).unsigned_abs());
            let bunches = match self.begun.insert(key) {
                true => Bunches::new(range),
                false => Bunches::again(range, self.start.elapsed()),
            };
            let arrivals = ModelArrivals {
                needs,
                config: self.config.subscribe(),
                commands: self.commands.clone(),
                snapshots: self.snapshots.clone(),
                bunches,
                start: self.start,
                has_known: false,
            };
            let task = self.tasks.spawn(arrivals.run(Arc::clone(&self.recordings)));
            self.under_way.insert(key, task);
        }
    }
}

/// The warm starts of the entities of one model.
struct ModelArrivals {
    needs: WarmNeeds,
    config: watch::Receiver<Arc<Config>>,
    commands: mpsc::WeakSender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    bunches: Bunches,
    start: Instant,
    /// Whether the server has known any entity that pushes here.
    has_known: bool,
}

/// Entities that are asked for together.
struct Bunch {
    entities: Vec<Labels>,
    /// How many are here, those included.
    here: usize,
}

impl Bunch {
    /// Whether others are not asked for.
    fn is_few(&self) -> bool {
        self.entities.len().saturating_mul(FEW) < self.here
    }

    /// Whether hardly anybody else is here.
    fn is_most(&self) -> bool {
        self.entities.len().saturating_mul(MOST + 1) >= self.here.saturating_mul(MOST)
    }
}

/// What came of asking for a bunch.
#[derive(Debug, Default)]
struct Found {
    warmed: Warmed,
    /// The server knows nothing of them.
    unknown: u64,
}

impl ModelArrivals {
    async fn run(mut self, recordings: Arc<Semaphore>) {
        while let Some(bunch) = self.next_bunch().await {
            let Some(took) = self.warm(&bunch, &recordings).await else { return };
            self.bunches.asked(self.start.elapsed(), took);
        }
    }

    /// Waits until somebody is to be asked for. Nothing when the program ends.
    async fn next_bunch(&mut self) -> Option<Bunch> {
        loop {
            let (newcomers, here) = self.seen();
            if self.bunches.is_due(self.start.elapsed(), newcomers) {
                let (reply, entities) = oneshot::channel();
                let command = Command::Newcomers { key: self.needs.key, reply };
                self.commands.upgrade()?.send(command).await.ok()?;
                let entities = entities.await.ok()?;
                if !entities.is_empty() {
                    return Some(Bunch { here: here.max(entities.len()), entities });
                }
            }
            self.snapshots.changed().await.ok()?;
        }
    }

    /// Who has come, by the last evaluation, and how many are here.
    fn seen(&mut self) -> (Newcomers, usize) {
        let snapshot = self.snapshots.borrow_and_update();
        let model = snapshot.models.iter().find(|it| it.model == self.needs.model);
        model.map_or_else(Default::default, |it| {
            let it = &it.evaluation;
            (it.newcomers, it.scored + it.warming + it.incomplete + it.not_finite)
        })
    }

    /// Asks for a bunch, a few times if need be, and says how long the server took in all. Nothing when the
    /// program ends.
    async fn warm(&mut self, bunch: &Bunch, recordings: &Semaphore) -> Option<Duration> {
        let model = self.needs.model.clone();
        let recorded = if bunch.is_few() { bunch.entities.len() } else { bunch.here };
        let mut steps = steps(&self.needs, &self.config().history, recorded);
        let mut waits = WAITS.iter();
        let mut took = Duration::ZERO;
        loop {
            let (begun, result) = {
                let _permit = recordings.acquire().await.ok()?;
                (Instant::now(), self.attempt(bunch, steps).await)
            };
            took += begun.elapsed();
            let error = match result {
                Ok(found) => {
                    self.has_known |= found.warmed.entities + found.warmed.older > 0;
                    let history =
                        duration::Duration::from_ms(steps as i64 * self.needs.interval_ms);
                    report(&model, &found, history, begun.elapsed());
                    return Some(took);
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
                entities = bunch.entities.len(),
                error = format!("{error:#}"),
                again_in = wait.map_or_else(|| "never".to_owned(), |it| shown_wait(*it)),
                "history.prometheus_url did not give the past of entities: they are learnt from \
                 pushed samples"
            );
            match wait {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Some(took),
            }
        }
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    async fn attempt(&self, bunch: &Bunch, steps: usize) -> anyhow::Result<Found> {
        let needs = self.needs.clone();
        let config = self.config();
        let url = config.history.prometheus_url.clone().context("there is no server")?;
        let server = shown(&url).to_owned();
        let must_know = !self.has_known && bunch.is_most();
        let few = bunch.is_few().then(|| bunch.entities.clone());
        let ask = move || remember(&needs, url, &config, steps, few.as_deref());
        let past = tokio::task::spawn_blocking(ask).await.context("asking ended early")?;
        let past = match past {
            // Those who are new here are new there as well.
            Err(error) if !must_know && is_nothing(&error) => Vec::new(),
            past => past?,
        };
        let known = past.len();
        let asked: HashSet<&Labels> = bunch.entities.iter().collect();
        let (mut past, others): (Vec<PastEntity>, Vec<PastEntity>) =
            past.into_iter().partition(|it| asked.contains(&it.memory.entity));
        drop(others);
        let unknown = (bunch.entities.len() - past.len()) as u64;
        let mut warmed = Warmed { elsewhere: (known - past.len()) as u64, ..Warmed::default() };
        while !past.is_empty() {
            let piece = past.split_off(past.len().saturating_sub(PIECE_ENTITIES));
            let (reply, done) = oneshot::channel();
            let command = Command::Warm { key: self.needs.key, past: piece, reply };
            let commands = self.commands.upgrade().context("the program ends")?;
            commands.send(command).await.ok().context("the pipeline has ended")?;
            drop(commands);
            warmed += done.await.context("the pipeline has ended")?;
        }
        if must_know && warmed.entities + warmed.older == 0 {
            return Err(anyhow!(
                "{server} has {known} entities, and none of them pushes here; compare their labels {:?} with \
                 what is pushed: write_relabel_configs may have changed them",
                self.needs.entity,
            ));
        }
        Ok(Found { warmed, unknown })
    }
}

/// Whether a server has answered that it knows nothing.
fn is_nothing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(HistoryError::NoData { .. }))
}

/// Counts and logs what came of asking for a bunch.
fn report(model: &str, found: &Found, history: duration::Duration, took: Duration) {
    let Found { warmed: Warmed { entities, elsewhere, .. }, unknown } = *found;
    exporter::count_warm_start(WarmStart::Done { entities, unknown });
    if entities == 0 {
        tracing::info!(model, unknown, ?took, "the server has no history of some new entities");
        return;
    }
    tracing::info!(
        model,
        entities,
        unknown,
        others = elsewhere,
        %history,
        ?took,
        "entities continue from their history"
    );
}

/// As in the configuration: 2m.
fn shown_wait(wait: Duration) -> String {
    duration::Duration::from_ms(wait.as_millis() as i64).to_string()
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

/// Asks the server, of a few entities or of all, and plays what it says through the model.
fn remember(
    needs: &WarmNeeds,
    url: String,
    config: &Config,
    steps: usize,
    few: Option<&[Labels]>,
) -> anyhow::Result<Vec<PastEntity>> {
    let model = load_again(config, &needs.model)?;
    if WarmNeeds::of(&model, &config.global)?.key != needs.key {
        bail!("the model's file has changed since it was loaded; reload");
    }
    let now_ms = now_ms();
    let end_ms = now_ms - now_ms.rem_euclid(needs.interval_ms);
    let start_ms = end_ms - (steps as i64 - 1) * needs.interval_ms;
    let mut history = config.history.clone();
    history.max_values = history.max_values.min(OTHERS * MOST_VALUES);
    let query = HistoryQuery {
        source: Source::Server(RangeQuery {
            url,
            ranges: vec![Range { start_ms, end_ms }],
            step: duration::Duration::from_ms(needs.interval_ms),
            delay: config.global.evaluation_delay,
            resume: None,
        }),
        features: needs.features.clone(),
        entity: needs.entity.clone(),
        exclude: Exclusions::default(),
        config: history,
        zone: None,
    };
    let history = match few {
        Some(entities) => history::read_of(&query, entities)?,
        None => history::read(&query)?,
    };
    Ok(rehearse(model, &history.recording, &config.global)?)
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
