//! A bound model: one that is ready to score, with its features bound to a store and all that it
//! remembers.
//!
//! In: the store, `now`. Out: the scores and states of all entities. Two models are the same one if their
//! [`ModelIdentity`] is equal: a model that is the same after a reload continues as if there had been none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ring::digest::{self, SHA256};

use super::arrivals::{Arrival, Arrivals};
use super::feature_values::FeatureValues;
use super::memory::{EntityMemory, ModelKey, PastEntity, Warmed};
use super::range;
use super::unscored;
use super::{
    DetectConfig, DetectError, Detector, EntityScore, Evaluation, LoadedModel, ModelSnapshot,
    errors_needed,
};
use crate::duration::Duration;
use crate::features::{
    EntityState, FeatureMemory, FeatureSet, FeatureSpec, Features, LEAST_MEMORY_MS,
};
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::model::{AdaptiveThreshold, FeatureRange, FileDigest, Metadata, OutputRole};
use crate::promql::Expr;
use crate::series::Store;

/// How many evaluations of a model are remembered before the last one: at 15 s what went on for the
/// last minutes, at a thousand explained entities of 40 features 7 MB.
const EARLIER_EVALUATIONS: usize = 9;

/// What is kept of each feature of an entity beside its window, estimated: the latest value 18, the matrix
/// 9, the level 32, standing still 12, the score 24.
const CELL_BYTES: usize = 95;

/// The hours of an entity.
const HOURS_BYTES: usize = 720;

/// What an entity costs beside that, estimated: its labels, slots and index entries, the rest of its score.
const ENTITY_OVERHEAD_BYTES: usize = 768;

/// Slots without an entity that are no matter: some megabytes.
const MOST_FREE: usize = 1_000;

/// What makes a model another one: its name, its file, what the configuration says of that, and how often
/// it is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelIdentity {
    name: String,
    digest: FileDigest,
    features: Vec<FeatureSpec>,
    entity: Vec<String>,
    step: Duration,
    window: usize,
    threshold: f64,
    outputs: BTreeMap<String, OutputRole>,
    interval_ms: i64,
}

impl ModelIdentity {
    /// Of a model that is evaluated so often.
    pub fn new(model: &LoadedModel, interval_ms: i64) -> Self {
        // Everything that a configuration may say; the rest is in the file.
        let Metadata { features, entity, step, window, threshold, outputs, .. } = &model.metadata;
        Self {
            name: model.name.clone(),
            digest: model.digest,
            features: features.clone(),
            entity: entity.clone(),
            step: *step,
            window: *window,
            threshold: *threshold,
            outputs: outputs.clone(),
            interval_ms,
        }
    }
}

impl ModelIdentity {
    /// The same in a few bytes, for what is kept elsewhere.
    pub(super) fn key(&self) -> ModelKey {
        let Self { name, digest, features, entity, step, window, threshold, outputs, interval_ms } =
            self;
        let said = (name, digest.0, features, entity, step);
        let said = (said, window, threshold.to_bits(), outputs, interval_ms);
        let text = serde_json::to_vec(&said).expect("names and numbers");
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&SHA256, &text).as_ref());
        ModelKey(bytes)
    }
}

/// What the storage's settings say of a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For how long feature values are kept.
    pub retention_ms: i64,
    /// Entities at most.
    pub max_entities: usize,
    /// For how long an entity is remembered; as long as the model can make use of it without this.
    pub entity_retention: Option<Duration>,
}

/// A model bound to the store.
#[derive(Debug)]
pub(super) struct Model {
    pub name: String,
    pub identity: ModelIdentity,
    /// See [`ModelIdentity::key`].
    pub key: ModelKey,
    feature_names: Arc<[String]>,
    feature_selectors: Arc<[Vec<Selector>]>,
    pub features: FeatureSet,
    ranges: Vec<Option<FeatureRange>>,
    detector: Detector,
    arrivals: Arrivals,
    pub interval_ms: i64,
    limits: Limits,
    /// For how long the model can make use of what it knew of an entity.
    useful: Duration,
    /// See [`Evaluation::warm_up_ms`].
    warm_up_ms: i64,
    /// Estimated memory for one entity without its feature values.
    entity_bytes: usize,
    /// Whether memory lets fewer entities in than their limit.
    lacks_memory: bool,
    /// The tick that was evaluated last.
    pub last_tick_ms: Option<i64>,
    pub snapshot: Option<Arc<ModelSnapshot>>,
    /// Who was explained at the evaluations before, the newest first.
    pub earlier: VecDeque<Arc<ModelSnapshot>>,
    pub feature_values: FeatureValues,
}

/// How often a model is evaluated.
pub(super) fn interval(
    config: &DetectConfig,
    model: &LoadedModel,
) -> Result<Duration, DetectError> {
    let step = model.metadata.step;
    let interval = config.evaluation_interval.unwrap_or(step);
    if interval.as_ms() == 0 {
        return Err(DetectError::NoInterval(model.name.clone()));
    }
    if model.metadata.is_stepwise() && interval != step {
        return Err(DetectError::Interval { model: model.name.clone(), step, interval });
    }
    Ok(interval)
}

/// What one entity takes of memory, estimated before there is any.
fn entity_bytes(metadata: &Metadata) -> usize {
    let features = metadata.features.len();
    // Its window and the copy that is run; the latest value; the matrix; level, stillness and score.
    let cell = 2 * size_of::<f32>() * metadata.window.max(1) + CELL_BYTES;
    features * cell
        + metadata.smoothing.len() * (features + 1) * size_of::<f32>()
        + metadata.adaptive_threshold.map_or(0, |_| HOURS_BYTES)
        + ENTITY_OVERHEAD_BYTES
}

impl Model {
    /// Binds a model that has seen nothing.
    pub fn bind(
        store: &mut Store,
        (model, identity): (LoadedModel, ModelIdentity),
        features: Features,
        config: &DetectConfig,
        limits: Limits,
    ) -> Self {
        let interval_ms = identity.interval_ms;
        let reach_ms = model.metadata.adaptive_threshold.map_or(0, |_| AdaptiveThreshold::REACH_MS);
        let useful = Duration::from_ms(reach_ms.max(LEAST_MEMORY_MS));
        let features = features
            .maskable(model.scorer.takes_mask())
            .weightless(&model.metadata.weightless)
            .at_steps_of(interval_ms);
        let names: Arc<[String]> = features.specs().iter().map(|spec| spec.name.clone()).collect();
        let read =
            |expr: &Expr| expr.selectors().into_iter().map(|(selector, _)| selector).collect();
        let selectors = features.exprs().iter().map(read).collect();
        // The first step of both is the one at which the range is covered.
        let steps = model.metadata.window.max(1) + errors_needed(&model.metadata.smoothing) - 2;
        let steps_ms = interval_ms.saturating_mul(steps as i64);
        Self {
            key: identity.key(),
            identity,
            feature_values: FeatureValues::new(&model.name, &names, limits.retention_ms),
            name: model.name,
            ranges: model.metadata.ranges.clone(),
            entity_bytes: entity_bytes(&model.metadata),
            detector: Detector::new(&model.metadata, model.scorer, interval_ms, config),
            feature_names: names,
            feature_selectors: selectors,
            arrivals: Arrivals::new(features.longest_range_ms()),
            warm_up_ms: features.longest_range_ms().saturating_add(steps_ms),
            features: {
                let mut features = features.bind(store);
                features.set_max_entities(limits.max_entities);
                features.set_retention(limits.entity_retention.unwrap_or(useful).as_ms());
                features
            },
            interval_ms,
            limits,
            useful,
            lacks_memory: false,
            last_tick_ms: None,
            snapshot: None,
            earlier: VecDeque::new(),
        }
    }
    /// Other settings from now on. Nothing that it remembers is lost.
    pub fn set_config(&mut self, config: &DetectConfig, limits: Limits) {
        self.detector.set_config(config);
        self.feature_values.set_span(limits.retention_ms);
        self.features.set_retention(limits.entity_retention.unwrap_or(self.useful).as_ms());
        self.limits = limits;
    }

    /// All its memory that grows with entities, the last scores included.
    pub fn bytes(&self) -> usize {
        let scores = self.snapshot.iter().chain(&self.earlier).map(|it| it.bytes()).sum::<usize>();
        self.feature_values.bytes() + self.state_bytes() + scores
    }

    /// Lets as many entities in as their limit allows and so many bytes, in which those that are known are
    /// included; these stay.
    pub fn make_room(&mut self, bytes: u64) {
        let values = self.limits.retention_ms / self.interval_ms.max(1);
        let values = (values as usize).saturating_mul(self.feature_names.len() * size_of::<f64>());
        let each = self.entity_bytes.saturating_add(values) as u64;
        // Those that are known may take more than is estimated.
        let more = bytes.saturating_sub(self.bytes() as u64) / each;
        let known = self.features.known_entities();
        let fit = usize::try_from(bytes / each).unwrap_or(usize::MAX);
        let fit = fit.min(known.saturating_add(usize::try_from(more).unwrap_or(usize::MAX)));
        self.lacks_memory = fit < self.limits.max_entities;
        self.features.set_max_entities(fit.min(self.limits.max_entities));
    }

    /// Moves the evaluation that was the last on to the earlier ones.
    pub fn remember(&mut self) {
        let Some(last) = &self.snapshot else { return };
        self.earlier.push_front(Arc::new(last.remembered()));
        self.earlier.truncate(EARLIER_EVALUATIONS);
    }

    /// What is remembered of the entities in some slots. Gives the slot after them, or nothing at the end.
    pub fn memory(&self, from: usize, count: usize) -> (Vec<EntityMemory>, Option<usize>) {
        let (end, slots) = (from.saturating_add(count), self.features.slots());
        let memory = |slot: usize| {
            let FeatureMemory { entity, left_ms, is_away, cells } = self.features.memory(slot)?;
            let memory = self.detector.memory(slot, entity, left_ms);
            Some(EntityMemory { is_away, cells, ..memory })
        };
        let entities = (from..end.min(slots)).filter_map(memory).collect();
        (entities, (end < slots).then_some(end))
    }

    /// Remembers an entity as it was remembered elsewhere; says whether it could be. Nobody is said to be
    /// absent until `silent_until_ms`.
    pub fn restore(&mut self, memory: &EntityMemory, silent_until_ms: i64) -> bool {
        self.put(memory, silent_until_ms, Arrival::REMEMBERED)
    }

    fn put(&mut self, memory: &EntityMemory, silent_until_ms: i64, arrival: Arrival) -> bool {
        let EntityMemory { entity, left_ms, is_away, cells, .. } = memory;
        let slot = self.features.restore(entity, (*left_ms, *is_away), cells);
        let Some(slot) = slot else { return false };
        self.detector.restore(slot, memory, silent_until_ms);
        self.arrivals.set(slot, arrival);
        true
    }

    /// The entities that are here, of which nothing was remembered, and for which the longest range is
    /// covered; each once.
    pub fn take_newcomers(&mut self) -> Vec<Labels> {
        let matrix = self.features.matrix();
        let slots = self.arrivals.take(matrix);
        slots.into_iter().map(|slot| matrix.labels(slot).clone()).collect()
    }

    /// Puts a past before what is remembered of an entity, if it is here and has not been for longer.
    pub fn warm(&mut self, past: &PastEntity) -> Warmed {
        let Some(slot) = self.features.present(&past.memory.entity) else {
            return Warmed::ELSEWHERE;
        };
        if self.arrivals.since_ms(slot) <= past.since_ms {
            return Warmed::OLDER;
        }
        self.features.precede(slot, &past.memory.cells);
        self.detector.precede(slot, &past.memory);
        self.arrivals.set_since_ms(slot, past.since_ms);
        Warmed::DONE
    }

    /// Gives back the memory of slots whose entities are forgotten, once these are most: who is remembered
    /// moves into slots without gaps, as over the end of a process. Says whether it came to that.
    pub fn compact(&mut self) -> bool {
        let (slots, free) = (self.features.slots(), self.features.free_slots());
        if free < MOST_FREE || 2 * free < slots {
            return false;
        }
        let silent_until_ms = self.detector.silent_until_ms();
        let (entities, _) = self.memory(0, slots);
        let has_entity = |slot: &usize| self.features.memory(*slot).is_some();
        let arrivals = (0..slots).filter(has_entity).map(|slot| self.arrivals.of(slot));
        let arrivals: Vec<Arrival> = arrivals.collect();
        self.features.clear();
        self.detector.clear();
        self.arrivals.clear();
        for (memory, arrival) in entities.iter().zip(arrivals) {
            self.put(memory, silent_until_ms, arrival);
        }
        true
    }

    /// Memory for what is remembered of entities.
    pub fn state_bytes(&self) -> usize {
        self.detector.bytes() + self.features.state_bytes() + self.arrivals.bytes()
    }

    /// Evaluates at a time.
    pub fn evaluate(
        &mut self,
        store: &Store,
        now_ms: i64,
        config: &DetectConfig,
        stopwatch: &dyn Fn() -> std::time::Duration,
    ) -> ModelSnapshot {
        let begun = stopwatch();
        let at_ms = now_ms.saturating_sub(config.evaluation_delay.as_ms());
        let matrix = self.features.eval(store, at_ms, config.stale_after.as_ms());
        self.arrivals.follow(matrix, at_ms);
        self.feature_values.push(matrix, at_ms);
        let computed = stopwatch();
        let detection = self.detector.judge(matrix, at_ms);
        let count = |state| (0..matrix.slots()).filter(|s| matrix.state(*s) == state).count();
        let doubled = matrix.doubled();
        let mut evaluation = Evaluation {
            scored: detection.scores.len(),
            stale: count(EntityState::Stale),
            incomplete: count(EntityState::Incomplete) + detection.incomplete,
            warming: count(EntityState::Warming) + detection.warming,
            not_finite: detection.not_finite,
            unscored: unscored::list(matrix, &detection, self.detector.takes_mask()),
            warm_up_ms: self.warm_up_ms,
            away: matrix.away(),
            forgotten: matrix.forgotten(),
            refused: matrix.refused(),
            newcomers: self.arrivals.newcomers(matrix),
            lacks_memory: self.lacks_memory,
            provenance: matrix.counts().to_vec(),
            doubled: doubled.len(),
            doubled_example: doubled.first().map(|slot| matrix.labels(*slot).clone()),
            unplaced: matrix.unplaced().to_vec(),
            ranges: range::count(matrix, &self.ranges),
            absences: self.detector.absences(matrix, at_ms),
            feature_errors: matrix.errors().to_vec(),
            model_error: detection.error.map(|error| error.to_string()),
            features_duration: computed.saturating_sub(begun),
            ..Evaluation::default()
        };
        let mut entities: Vec<EntityScore> =
            detection.scores.into_iter().map(|(_, score)| score).collect();
        entities.sort_by(|a, b| a.entity.cmp(&b.entity));
        evaluation.inference_duration = stopwatch().saturating_sub(computed);
        ModelSnapshot {
            model: self.name.clone(),
            time_ms: now_ms,
            interval_ms: self.interval_ms,
            threshold: self.detector.threshold(),
            feature_names: Arc::clone(&self.feature_names),
            feature_selectors: Arc::clone(&self.feature_selectors),
            explain_above: config.explain_above,
            entities,
            evaluation,
        }
    }
}
