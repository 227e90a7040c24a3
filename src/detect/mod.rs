//! Detection: from samples to the scores of all entities.
//!
//! In: batches of samples and ticks, both with their time. Out: an outcome for each batch and a
//! [`Snapshot`] for each tick. [`Pipeline`] has one owner and calls the rooms below in turn; it
//! holds no mathematics of its own, no clock (time spent is measured with the stopwatch it is
//! handed) and no socket. What serves, replays or tests it differs only in who supplies the time.
//!
//! Invariant: a score is from this tick's samples or it is not in the snapshot.
//!
//! What models remember of an entity (window, level, smoothing, adaptive threshold, which features it
//! once had) outlives its series: for as long as the threshold can make use of it, which is a week for a
//! model with an `adaptive_threshold`, and at least an hour. It begins with what the model's file remembers.

mod absence;
pub mod alert;
mod arrivals;
mod bound;
mod config;
mod detector;
mod feature_values;
mod hours;
mod known;
pub mod level;
mod memory;
mod memory_page;
mod power_mean;
mod range;
mod replay;
mod smoothing;
mod snapshot;
mod unscored;
mod warm;

use std::sync::Arc;

use crate::duration::Duration;
use crate::features::{FeatureError, Features};
use crate::matcher::Selector;
use crate::model::{FileDigest, Metadata, Scorer};
use crate::promql::{LOOKBACK_MS, SelectorError, parse_selector};
use crate::sample::Batch;
use crate::series::{Outcome, SelectorId, StorageConfig, Store};
use alert::Alerting;
use bound::{Limits, Model, ModelIdentity, interval};

pub use absence::{Absences, AbsentEntity, LackingEntity};
pub use alert::{AlertSnapshot, AlertingConfig, AlertsMemory};
pub use arrivals::Newcomers;
pub use config::DetectConfig;
pub use detector::{Detection, Detector, Runs, Together};
pub use feature_values::{FEATURE_METRIC, FeatureValues};
pub use hours::{AnomalyState, LEAST_HOURS, states};
pub use memory::{
    EntityMemory, HoursMemory, LevelMemory, MeanMemory, ModelKey, PastEntity, RunMemory, Warmed,
};
pub use memory_page::{MemoryCursor, MemoryPage, Restored};
pub use power_mean::errors_needed;
pub use range::RangeCount;
pub use replay::{Played, Replay, Step};
pub use snapshot::{
    EntityScore, Evaluation, FeatureScore, ModelSnapshot, Snapshot, Unscored, UnscoredEntity,
};
pub use warm::{WarmNeeds, rehearse};

/// How often dead series are looked for. What they cost until then is bounded by the limits; what
/// they mean is decided by staleness, not by eviction.
const EVICTION_INTERVAL_MS: i64 = 60_000;

/// How long feature values are kept to be queried, unless `storage.retention` is longer: so long
/// that an instant query finds the latest.
const FEATURE_RETENTION_MS: i64 = 300_000;

/// Of the budget one part in so many is kept from series, so that what they are about can be scored: a host
/// has a hundred series of a kilobyte and takes ten itself, one of few series takes more than they do.
const MODELS_SHARE: u64 = 4;

/// Why a pipeline cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// A feature of a model cannot be computed.
    #[error("model {model:?}: {source}")]
    Features {
        /// The model.
        model: String,
        /// Which feature, and why.
        #[source]
        source: FeatureError,
    },
    /// A model that looks back at earlier steps is to be evaluated at another interval.
    #[error(
        "model {model:?} looks back at steps of {step}, so it cannot be evaluated every {interval}; \
         set global.evaluation_interval to null or to {step}"
    )]
    Interval {
        /// The model.
        model: String,
        /// The step it was trained with.
        step: Duration,
        /// The configured interval.
        interval: Duration,
    },
    /// An entry of `storage.keep` is not a selector.
    #[error("storage.keep: {0}")]
    Keep(#[from] SelectorError),
    /// The interval is zero.
    #[error("model {0:?} has an evaluation interval of zero")]
    NoInterval(String),
}

/// A model that is ready to score.
#[derive(Debug)]
pub struct LoadedModel {
    /// Its name in the configuration and in the `model` label.
    pub name: String,
    /// Features, entity labels, step, window and threshold.
    pub metadata: Metadata,
    /// The model itself.
    pub scorer: Scorer,
    /// What tells its file from every other.
    pub digest: FileDigest,
}

/// The core of the program: store, features, models.
#[derive(Debug)]
pub struct Pipeline {
    config: DetectConfig,
    store: Store,
    models: Vec<Model>,
    /// What is kept though no feature wants it.
    kept: Vec<SelectorId>,
    /// The multiple of [`EVICTION_INTERVAL_MS`] at which series were evicted last.
    last_eviction: Option<i64>,
    /// See [`Pipeline::layout`].
    layout: u64,
    alerting: Alerting,
}

impl Pipeline {
    /// A pipeline with an empty store.
    ///
    /// # Errors
    /// When the features of a model cannot be computed or its interval does not suit it.
    pub fn new(
        config: DetectConfig,
        storage: StorageConfig,
        models: Vec<LoadedModel>,
    ) -> Result<Self, DetectError> {
        let mut pipeline = Self {
            config: config.clone(),
            store: Store::new(storage.clone()),
            models: Vec::new(),
            kept: Vec::new(),
            last_eviction: None,
            layout: 0,
            alerting: Alerting::default(),
        };
        pipeline.reconfigure(config, storage, models)?;
        Ok(pipeline)
    }

    /// Other settings and models between two ticks. A model that is what it was goes on with all that
    /// it remembers; series that features of new models want as well keep their samples.
    /// Gives the number of series that are kept no longer, because nothing wants them any more.
    ///
    /// # Errors
    /// As [`Pipeline::new`]; then nothing has changed.
    pub fn reconfigure(
        &mut self,
        config: DetectConfig,
        storage: StorageConfig,
        models: Vec<LoadedModel>,
    ) -> Result<usize, DetectError> {
        let mut checked = Vec::with_capacity(models.len());
        for model in models {
            let features = Features::parse(&model.metadata.features, &model.metadata.entity)
                .map_err(|source| DetectError::Features { model: model.name.clone(), source })?;
            let interval = interval(&config, &model)?;
            checked.push((model, features, interval));
        }
        let keep: Vec<Selector> =
            storage.keep.iter().map(|text| parse_selector(text)).collect::<Result<_, _>>()?;
        let limits = Limits {
            retention_ms: storage.retention.map_or(0, Duration::as_ms).max(FEATURE_RETENTION_MS),
            max_entities: storage.max_entities,
            entity_retention: storage.entity_retention,
        };
        let kept_before = self.store.stats().series;
        // New registrations come before the old ones go, so that shared series stay.
        let mut bound = Vec::with_capacity(checked.len());
        for (model, features, interval) in checked {
            let identity = ModelIdentity::new(&model, interval.as_ms());
            let same = self.models.iter().position(|old| old.identity == identity);
            bound.push(match same.map(|place| self.models.swap_remove(place)) {
                Some(mut same) => {
                    same.set_config(&config, limits);
                    same
                }
                None => Model::bind(&mut self.store, (model, identity), features, &config, limits),
            });
        }
        let kept = keep.iter().map(|selector| self.store.register(selector, LOOKBACK_MS)).collect();
        for old in std::mem::replace(&mut self.kept, kept) {
            self.store.release(old);
        }
        for old in std::mem::replace(&mut self.models, bound) {
            old.features.release(&mut self.store);
        }
        self.alerting.set_limit(storage.max_entities);
        self.store.set_config(storage);
        self.reserve();
        self.config = config;
        self.layout += 1;
        Ok(kept_before - self.store.stats().series)
    }

    /// How long a replica must have been silent before another one is heard, from now on.
    pub fn set_replica_timeout(&mut self, timeout: Duration) {
        self.store.set_replica_timeout(timeout);
    }

    /// Which labels name a cluster of replicas that elects one for all its series, and how many clusters there
    /// may be, from now on. Without labels each series elects its own.
    pub fn set_clusters(&mut self, labels: &[String], max: usize) {
        self.store.set_clusters(labels, max);
    }

    /// Other rules for alerts from the next tick on; none at the beginning.
    pub fn set_alerting(&mut self, config: AlertingConfig) {
        self.alerting.set_config(config);
    }

    /// Puts samples into the rings.
    pub fn append(&mut self, now_ms: i64, batch: &Batch) -> Outcome {
        self.store.append(now_ms, batch)
    }

    /// The feature values of each model. Those of the last tick are in its snapshot as well.
    pub fn feature_values(&self) -> impl Iterator<Item = &FeatureValues> {
        self.models.iter().map(|model| &model.feature_values)
    }

    /// A snapshot without what it has of models that are no more.
    #[must_use]
    pub fn without_former(&self, snapshot: &Snapshot) -> Snapshot {
        let is_here = |name: &str| self.models.iter().any(|model| model.name == name);
        let mut snapshot = snapshot.clone();
        snapshot.models.retain(|it| is_here(&it.model));
        snapshot.earlier.retain(|it| is_here(&it.model));
        snapshot.feature_values.retain(|it| is_here(it.model()));
        snapshot.alerts.models.retain(|it| is_here(&it.model));
        snapshot
    }

    /// The store, for those who look and do not touch.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// When the next tick is due: the first time after `now_ms` that is a multiple of some model's
    /// interval. `None` without models.
    #[must_use]
    pub fn next_tick_ms(&self, now_ms: i64) -> Option<i64> {
        let next = |m: &Model| (now_ms.div_euclid(m.interval_ms) + 1).saturating_mul(m.interval_ms);
        self.models.iter().map(next).min()
    }

    /// Evaluates the models that are due at `now_ms` and says what is known then.
    ///
    /// `stopwatch` returns how long ago `now_ms` was: more at each call, by as much as has passed.
    pub fn tick(
        &mut self,
        now_ms: i64,
        stopwatch: &dyn Fn() -> std::time::Duration,
    ) -> Arc<Snapshot> {
        let evicted = self.evict(now_ms);
        self.reserve();
        let max_bytes = self.store.max_bytes();
        let count = self.models.len() as u64;
        let mut used = (self.model_bytes() + self.store.stats().bytes) as u64;
        let mut evaluated: Vec<(&mut Model, ModelSnapshot)> = Vec::new();
        for model in &mut self.models {
            // At multiples of its own interval alone, whatever other models are due: what it has
            // learnt are even steps.
            let is_due = now_ms.rem_euclid(model.interval_ms) == 0;
            if is_due && model.last_tick_ms != Some(now_ms) {
                model.last_tick_ms = Some(now_ms);
                used -= model.bytes() as u64;
                model.remember();
                self.layout += u64::from(model.compact());
                // Of what is free each takes its part: the first must not leave the others without.
                let own = model.bytes() as u64;
                model.make_room(own + max_bytes.saturating_sub(used + own) / count);
                let snapshot = model.evaluate(&self.store, now_ms, &self.config, stopwatch);
                used += model.bytes() as u64;
                evaluated.push((model, snapshot));
            }
        }
        // They are published together.
        let lag = stopwatch();
        let mut fresh = Vec::with_capacity(evaluated.len());
        for (model, mut snapshot) in evaluated {
            snapshot.evaluation.lag = lag;
            let snapshot = Arc::new(snapshot);
            fresh.push(Arc::clone(&snapshot));
            model.snapshot = Some(snapshot);
        }
        let names: Vec<&str> = self.models.iter().map(|model| &*model.name).collect();
        let alerts = self.alerting.tick(now_ms, &names, &fresh);
        Arc::new(Snapshot {
            time_ms: now_ms,
            alerts,
            models: self.models.iter().filter_map(|model| model.snapshot.clone()).collect(),
            earlier: self.models.iter().flat_map(|model| model.earlier.iter().cloned()).collect(),
            feature_values: self.feature_values().cloned().collect(),
            store: self.store.stats(),
            feature_bytes: self.feature_bytes(),
            state_bytes: self.state_bytes(),
            max_bytes: self.store.max_bytes(),
            evicted,
        })
    }
}

impl Pipeline {
    /// Leaves of the budget what models take, or else their share, to the store.
    fn reserve(&mut self) {
        let share = self.store.max_bytes() / MODELS_SHARE;
        let taken = self.model_bytes() as u64;
        self.store.set_reserved_bytes(taken.max(share));
    }

    fn model_bytes(&self) -> usize {
        self.models.iter().map(Model::bytes).sum::<usize>() + self.alerting.bytes()
    }

    fn feature_bytes(&self) -> usize {
        self.models.iter().map(|model| model.feature_values.bytes()).sum()
    }

    fn state_bytes(&self) -> usize {
        self.models.iter().map(Model::state_bytes).sum::<usize>() + self.alerting.bytes()
    }

    /// Evicts dead series, once in a while: it looks at every series.
    fn evict(&mut self, now_ms: i64) -> usize {
        let slot = now_ms.div_euclid(EVICTION_INTERVAL_MS);
        if self.last_eviction == Some(slot) {
            return 0;
        }
        self.last_eviction = Some(slot);
        self.store.evict(now_ms)
    }
}
