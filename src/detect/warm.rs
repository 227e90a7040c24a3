//! A warm start: what a model would remember of entities now if it had watched them before.
//!
//! In: a recording of the recent past, a second copy of the loaded model. Out: the memory of each entity at
//! the end of the recording, for the model that serves, which gives it to the entities that it has seen
//! since ([`super::Pipeline::warm`]). They continue as if they had been silent between the end
//! of the recording and their first rows here.
//!
//! Invariants: an entity that is not there now gets nothing, as it would be reported as absent; an entity that
//! has been here for longer than the recording covers it keeps what it has; a row that was taken in here stays.
//!
//! Hours of the past count like those of training: nobody was told of them, so what has gone on since then
//! is new.

use super::bound::{ModelIdentity, interval};
use super::memory::{ModelKey, PastEntity};
use super::replay::{Played, Replay};
use super::{DetectConfig, DetectError, Detector, LoadedModel, errors_needed};
use crate::features::{FeatureSpec, Features, Freshness, Recording};
use crate::model::{AdaptiveThreshold, ScorerError};

/// Smoothing has forgotten all but a fortieth of a per cent of what is so many spans old: `exp(-2)` is left
/// after each.
const SPANS: f64 = 4.0;

/// A level has forgotten all but an eighth of what is so many half-lives old.
const HALF_LIVES: f64 = 3.0;

/// Standing still is found at three times what is usual (see `still`).
const USUAL_RUNS: usize = 3;

/// What a model asks of history for a warm start.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmNeeds {
    /// The model's name in the configuration.
    pub model: String,
    /// What tells it from every other.
    pub key: ModelKey,
    /// What to ask for.
    pub features: Vec<FeatureSpec>,
    /// The labels that name an entity.
    pub entity: Vec<String>,
    /// The distance between two steps.
    pub interval_ms: i64,
    /// How far back the longest range of a feature looks. An entity that is new here is not complete
    /// before it has been seen for as long, whatever is remembered of it.
    pub range_ms: i64,
    /// So many steps are of use, at most; 0 for a model that remembers nothing.
    pub steps: usize,
}

impl WarmNeeds {
    /// Of a model that is evaluated as the configuration says.
    ///
    /// # Errors
    /// When the model could not be served either.
    pub fn of(model: &LoadedModel, config: &DetectConfig) -> Result<Self, DetectError> {
        let metadata = &model.metadata;
        let features = Features::parse(&metadata.features, &metadata.entity)
            .map_err(|source| DetectError::Features { model: model.name.clone(), source })?;
        let interval_ms = interval(config, model)?.as_ms();
        let spans = metadata.smoothing.iter().copied().fold(0.0, f64::max);
        let mut steps = metadata.window + (SPANS * spans).ceil() as usize;
        steps = steps.max(errors_needed(&metadata.smoothing) + metadata.window);
        if let Some(level) = &metadata.level {
            steps = steps.max((HALF_LIVES * level.half_life).ceil() as usize);
        }
        if metadata.adaptive_threshold.is_some() {
            steps = steps.max((AdaptiveThreshold::REACH_MS / interval_ms) as usize);
        }
        if let Some(still) = &metadata.still {
            steps = steps.max(USUAL_RUNS * still.usual as usize);
        }
        let remembers = metadata.is_stepwise() || metadata.adaptive_threshold.is_some();
        Ok(Self {
            model: model.name.clone(),
            key: ModelIdentity::new(model, interval_ms).key(),
            features: metadata.features.clone(),
            entity: metadata.entity.clone(),
            interval_ms,
            range_ms: features.longest_range_ms(),
            steps: if remembers { steps } else { 0 },
        })
    }

    /// Values that a recording of so many entities holds a step, the times of samples included.
    #[must_use]
    pub fn values_per_step(&self, entities: usize) -> usize {
        let instants = self.interval_ms / Freshness::resolution_ms(self.interval_ms).max(1);
        // A time is as large as two values.
        entities.max(1).saturating_mul(self.features.len() + 2 * instants as usize)
    }
}

/// Plays a recording of these features, in the model's order, through the model, and gives what it remembers
/// of all entities at the end.
///
/// # Errors
/// When the graph cannot be run.
pub fn rehearse(
    model: LoadedModel,
    recording: &Recording,
    config: &DetectConfig,
) -> Result<Vec<PastEntity>, ScorerError> {
    let LoadedModel { metadata, scorer, .. } = model;
    let mut detector = Detector::new(&metadata, scorer, recording.step_ms, config);
    let played = Played {
        features: &metadata.features,
        entity: &metadata.entity,
        can_mask: detector.takes_mask(),
        weightless: &metadata.weightless,
    };
    let columns = (0..metadata.features.len()).map(Some).collect();
    let replay = Replay::new(recording, played, columns, config);
    let mut past = replay.remember(&mut detector)?;
    for hours in past.iter_mut().filter_map(|it| it.memory.hours.as_mut()) {
        hours.since = hours.hour;
    }
    Ok(past)
}
