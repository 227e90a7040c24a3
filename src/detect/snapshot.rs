//! A snapshot: what one tick found, immutable, for the metrics page, the API and the log.

use std::sync::Arc;
use std::time::Duration;

use super::absence::Absences;
use super::alert::AlertSnapshot;
use super::arrivals::Newcomers;
use super::feature_values::FeatureValues;
use super::hours::AnomalyState;
use super::range::RangeCount;
use crate::features::{Provenance, ProvenanceCounts};
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::series::Stats;

/// A model that has not been evaluated for so many of its intervals says nothing any more: one
/// tick may be late and one may fail.
const MAX_AGE_INTERVALS: i64 = 3;

/// With very short intervals, a pause of the machine must not make scores flicker.
const MIN_MAX_AGE_MS: i64 = 10_000;

/// What is known after a tick. Publishing it replaces the one before.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The time the tick was for, milliseconds since the epoch.
    pub time_ms: i64,
    /// One for each model, in the configuration's order.
    pub models: Vec<Arc<ModelSnapshot>>,
    /// Evaluations before those, the newest first, of the entities alone that were explained then.
    pub earlier: Vec<Arc<ModelSnapshot>>,
    /// Feature values of the last ticks, of each model.
    pub feature_values: Vec<FeatureValues>,
    /// What is pending and firing.
    pub alerts: AlertSnapshot,
    /// What the store holds.
    pub store: Stats,
    /// Memory for the feature values that can be queried.
    pub feature_bytes: usize,
    /// Memory for what models remember of entities.
    pub state_bytes: usize,
    /// What these and the store may take together.
    pub max_bytes: u64,
    /// Series that were evicted at this tick.
    pub evicted: usize,
}

/// What one model says at its last evaluation.
#[derive(Debug, Clone)]
pub struct ModelSnapshot {
    /// The model's name in the configuration.
    pub model: String,
    /// The tick of the evaluation, which looked at what was measured up to `global.evaluation_delay`
    /// before; older than the snapshot's when the model was not due.
    pub time_ms: i64,
    /// How often the model is evaluated.
    pub interval_ms: i64,
    /// The trained threshold: the error above which an entity is anomalous.
    pub threshold: f64,
    /// The features' names, by which those of entities are numbered.
    pub feature_names: Arc<[String]>,
    /// Of each feature what its expression reads.
    pub feature_selectors: Arc<[Vec<Selector>]>,
    /// Entities with this score or more are explained on the metrics page, and remembered for a few
    /// evaluations.
    pub explain_above: f64,
    /// The entities that have a score, sorted by their labels. Empty when the evaluation failed.
    pub entities: Vec<EntityScore>,
    /// How the evaluation went.
    pub evaluation: Evaluation,
}

/// The score of one entity.
#[derive(Debug, Clone)]
pub struct EntityScore {
    /// The entity labels.
    pub entity: Labels,
    /// Error divided by the trained threshold: 0 to 1 is normal, above 1 is anomalous unless the
    /// threshold in force is higher. Of an entity that stands still it is more than its error says.
    pub score: f64,
    /// The score above which the entity is anomalous: 1, or more where its own recent hours were
    /// restless.
    pub threshold: f64,
    /// What that makes of it.
    pub state: AnomalyState,
    /// The model's error, smoothed where the model asks for it.
    pub error: f64,
    /// What the features say of it, the one with the largest share of the error first. Those are left
    /// out that have no value and no share.
    pub features: Vec<FeatureScore>,
    /// When the newest sample behind the score was taken.
    pub newest_ms: i64,
}

impl EntityScore {
    /// Whether the score is above the threshold that is in force.
    #[must_use]
    pub fn is_anomalous(&self) -> bool {
        self.score > self.threshold
    }

    /// The features that have a share of the error, the largest first.
    pub fn contributions(&self) -> impl Iterator<Item = &FeatureScore> {
        self.features.iter().filter(|it| it.contribution > 0.0)
    }
}

/// One feature's part in the score of one entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureScore {
    /// Its place among the names.
    pub feature: u32,
    /// Its share of the error, smoothed as that is; all of an entity sum to 1, or to 0 where the error
    /// is 0.
    ///
    /// # NaN
    /// The model does not tell.
    pub contribution: f32,
    /// What was measured, in the feature's own unit.
    ///
    /// # NaN
    /// The value is missing.
    pub actual: f32,
    /// What the model expected in its place.
    ///
    /// # NaN
    /// The model does not tell, or expects nothing of this feature.
    pub expected: f32,
    /// Where the value comes from.
    pub provenance: Provenance,
}

/// An entity that is known and has no score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnscoredEntity {
    /// The entity labels.
    pub entity: Labels,
    /// Why it has none.
    pub reason: Unscored,
}

/// Why an entity has no score; the counts of [`Evaluation`] say what each means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unscored {
    /// Its samples have ended or are late.
    Stale,
    /// It has not been seen for long enough.
    Warming,
    /// It lacks what the model needs.
    Incomplete {
        /// The places of the features that have no value, ascending.
        features: Vec<u32>,
    },
    /// The model's error was not a number.
    NotFinite,
}

impl ModelSnapshot {
    /// Whether it was evaluated recently: nothing frozen is shown. A clock that was set back makes a
    /// snapshot of the future, which is as old.
    #[must_use]
    pub fn is_current(&self, now_ms: i64) -> bool {
        let max_age_ms = self.interval_ms.saturating_mul(MAX_AGE_INTERVALS).max(MIN_MAX_AGE_MS);
        now_ms.abs_diff(self.time_ms) <= max_age_ms.unsigned_abs()
    }

    /// Why nobody has a score, if the evaluation failed for all, so that it says nothing of anybody.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        let errors = if self.entities.is_empty() { &*self.evaluation.feature_errors } else { &[] };
        let of_features = errors.first().map(|(_, reason)| reason.as_str());
        self.evaluation.model_error.as_deref().or(of_features)
    }

    /// Memory, estimated.
    pub(super) fn bytes(&self) -> usize {
        let score = |it: &EntityScore| {
            size_of::<EntityScore>() + it.features.capacity() * size_of::<FeatureScore>()
        };
        let unscored = |it: &UnscoredEntity| match &it.reason {
            Unscored::Incomplete { features } => features.capacity() * size_of::<u32>(),
            _ => 0,
        };
        let others = &self.evaluation.unscored;
        self.entities.iter().map(score).sum::<usize>()
            + others.capacity() * size_of::<UnscoredEntity>()
            + others.iter().map(unscored).sum::<usize>()
    }

    /// The entities that are explained.
    pub fn explained(&self) -> impl Iterator<Item = &EntityScore> {
        self.entities.iter().filter(|it| it.score >= self.explain_above)
    }

    /// Why the entities that are explained have their scores: at most so many features of each, those with the
    /// largest shares, by name.
    pub fn explanations(
        &self,
        most: usize,
    ) -> impl Iterator<Item = (&EntityScore, &str, &FeatureScore)> {
        self.explained().flat_map(move |entity| {
            entity.contributions().take(most).filter_map(move |it| {
                let name = self.feature_names.get(it.feature as usize)?;
                Some((entity, name.as_str(), it))
            })
        })
    }

    /// What is remembered of an evaluation: who was explained, and no counts.
    pub(super) fn remembered(&self) -> Self {
        Self {
            model: self.model.clone(),
            time_ms: self.time_ms,
            interval_ms: self.interval_ms,
            threshold: self.threshold,
            feature_names: Arc::clone(&self.feature_names),
            feature_selectors: Arc::clone(&self.feature_selectors),
            explain_above: self.explain_above,
            entities: self.explained().cloned().collect(),
            evaluation: Evaluation::default(),
        }
    }
}

/// Counts of one evaluation, in entities unless they say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// Got a score.
    pub scored: usize,
    /// Their series ended, or their newest sample is late.
    pub stale: usize,
    /// Lack a feature that may not be missing, or half of those that weigh.
    pub incomplete: usize,
    /// Have not been seen for as long as the longest range looks back, or not been complete for as
    /// many steps as the model's window and smoothing need.
    pub warming: usize,
    /// The model's error was not a number.
    pub not_finite: usize,
    /// Each of those four, in no particular order.
    pub unscored: Vec<UnscoredEntity>,
    /// How long an entity that is new to the model takes to its first score, milliseconds: the longest
    /// range, the window and the first smoothed errors.
    pub warm_up_ms: i64,
    /// Their series are gone; they are remembered and go on where they were when they return.
    pub away: usize,
    /// Were away and are forgotten before their time, as too many were.
    pub forgotten: usize,
    /// Are not known, as there is no room for them (`storage.max_entities`, `storage.max_bytes`).
    pub refused: usize,
    /// Came here, and nothing was remembered of them; until their past is asked for.
    pub newcomers: Newcomers,
    /// Whether memory leaves less room than the limit of entities.
    pub lacks_memory: bool,
    /// For each feature, the fresh entities by the provenance of their value.
    pub provenance: Vec<ProvenanceCounts>,
    /// For each feature, elements of its result that belong to nobody, as they lack an entity label.
    pub unplaced: Vec<u32>,
    /// For each feature, how many measured values lie outside of the range of training; empty where
    /// the model's file does not tell that.
    pub ranges: Vec<RangeCount>,
    /// Entities that two sources claim: some feature has two values for them.
    pub doubled: usize,
    /// One of them.
    pub doubled_example: Option<Labels>,
    /// What used to be there and is not.
    pub absences: Absences,
    /// Features whose expression failed, for everyone or for some groups of labels, each once: as
    /// `(index, reason)`.
    pub feature_errors: Vec<(usize, String)>,
    /// Why the model could not be run, if it could not.
    pub model_error: Option<String>,
    /// Time spent on evaluating features.
    pub features_duration: Duration,
    /// Time spent in the model.
    pub inference_duration: Duration,
    /// How long after the time of the tick all of its models were evaluated: the wait for what was
    /// done before, and the tick itself. Without `global.evaluation_delay`, which comes on top.
    pub lag: Duration,
}
