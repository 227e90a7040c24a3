//! A detector: one model that judges the feature matrices of one step after the other.
//!
//! In: at each step the matrix of all entities, live or recorded. Out: the entities' scores. Between
//! steps it remembers, for each entity, what its model's file asks for: the window, the level, the
//! smoothed error, the recent scores, how long values have stood still. All of it is kept by slot, and a
//! slot belongs to its entity for as long as [`crate::features`] remember it: an entity that was away for a
//! while has only been silent. Serving, training's look back and evaluation differ only in where matrices come from.
//!
//! ```text
//! matrix ─▶ window ─▶ graph ─▶ error ─▶ smoothing ─▶ ÷ trained threshold ─▶ score
//!                     ▲ level                          hours ─▶ score above which it is anomalous
//!                                                      stands still ─▶ raises the score
//! ```
//!
//! The inputs of a graph (`inputs`) do not depend on its outputs, so several steps of a recording are scored
//! at once (`together`).
//!
//! Invariants: an entity that is not complete, whose window is not full or whose smoothing has not
//! seen a few errors has no score; what is judged enters level and hours only afterwards.

mod inputs;
mod still;
mod together;
mod warm;

use std::ops::Range;

use ndarray::ArrayView1;

use self::inputs::{Inputs, Ready};
use self::still::Stillness;
use super::DetectConfig;
use super::absence::{Absences, LastScores};
use super::hours::{AnomalyState, Hours};
use super::known::KnownEntities;
use super::level::Levels;
use super::memory::EntityMemory;
use super::power_mean::PowerMean;
use super::snapshot::{EntityScore, FeatureScore};
use crate::features::{FeatureMatrix, Provenance};
use crate::labels::Labels;
use crate::model::{Metadata, Scorer, ScorerError, Scores};

pub use self::still::Runs;
pub use self::together::Together;

/// One model that judges the matrices of one step after the other.
#[derive(Debug)]
pub struct Detector {
    scorer: Scorer,
    threshold: f64,
    /// Whom the file names.
    known: KnownEntities,
    inputs: Inputs,
    mean: PowerMean,
    hours: Option<Hours>,
    /// Whether hours raise the score above which an entity is anomalous. They are kept even if not.
    is_adaptive: bool,
    still: Option<Stillness>,
    last_scores: LastScores,
}

/// What a detector says of one step.
#[derive(Debug, Default)]
pub struct Detection {
    /// The entities that have a score, in the order of slots, each with its slot.
    pub scores: Vec<(usize, EntityScore)>,
    /// Entities that have not been complete for long enough.
    pub warming: usize,
    /// Entities for which a graph that takes a mask gave no number, as nothing that counts was there.
    pub incomplete: usize,
    /// Entities for which another graph gave no number.
    pub not_finite: usize,
    /// The slots of both, ascending.
    pub numberless: Vec<usize>,
    /// Why the graph could not be run, if it could not.
    pub error: Option<ScorerError>,
}

impl Detector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(
        metadata: &Metadata,
        scorer: Scorer,
        interval_ms: i64,
        config: &DetectConfig,
    ) -> Self {
        let (known, memories) = KnownEntities::new(metadata);
        let level = metadata.level.as_ref().filter(|_| scorer.takes_level());
        let levels = level.map(|spec| Levels::new(spec, memories.levels));
        Self {
            threshold: metadata.threshold,
            known,
            inputs: Inputs::new(metadata, (interval_ms, config.stale_after.as_ms()), levels),
            mean: PowerMean::new(metadata, interval_ms),
            hours: metadata.adaptive_threshold.map(|spec| Hours::new(spec, memories.hours)),
            is_adaptive: config.adaptive_threshold,
            still: Stillness::new(metadata, interval_ms, &memories.still),
            last_scores: LastScores::default(),
            scorer,
        }
    }

    /// Other settings from now on; what is remembered of entities stays.
    pub fn set_config(&mut self, config: &DetectConfig) {
        self.inputs.set_bridge(config.stale_after.as_ms());
        self.is_adaptive = config.adaptive_threshold;
    }

    /// The trained threshold.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Whether entities may lack features.
    #[must_use]
    pub fn takes_mask(&self) -> bool {
        self.scorer.takes_mask()
    }

    /// Memory for what is remembered of entities, by the file and since.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.known.bytes()
            + self.inputs.bytes()
            + self.hours.as_ref().map_or(0, Hours::bytes)
            + self.still.as_ref().map_or(0, Stillness::bytes)
            + self.mean.bytes()
            + self.last_scores.bytes()
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        self.inputs.clear();
        self.mean.clear();
        self.hours.iter_mut().for_each(Hours::clear);
        self.still.iter_mut().for_each(Stillness::clear);
        self.last_scores.clear();
    }

    /// Until when none is said to be absent: see [`Self::restore`].
    #[must_use]
    pub fn silent_until_ms(&self) -> i64 {
        self.last_scores.silent_until_ms()
    }

    /// What is remembered of the entity in a slot, beside what its features remember.
    ///
    /// # Panics
    /// Beyond the slots that were judged.
    #[must_use]
    pub fn memory(&self, slot: usize, entity: Labels, left_ms: i64) -> EntityMemory {
        let (window, level) = self.inputs.memory(slot);
        let (smoothing, errors) = self.mean.memory(slot);
        EntityMemory {
            entity,
            left_ms,
            is_away: false,
            cells: Vec::new(),
            window,
            level,
            smoothing,
            errors,
            hours: self.hours.as_ref().and_then(|it| it.memory(slot)),
            still: self.still.as_ref().map_or_else(Vec::new, |it| it.memory(slot)),
            scored_ms: self.last_scores.memory(slot),
        }
    }

    /// Gives a slot, which may be the next one, what was remembered of its entity elsewhere. Until that
    /// time none is said to be absent.
    pub fn restore(&mut self, slot: usize, memory: &EntityMemory, silent_until_ms: i64) {
        let slots = self.mean.slots().max(slot + 1);
        let known = self.known.of(&memory.entity);
        self.inputs.restore(slot, known, memory);
        self.mean.resize(slots);
        self.mean.restore(slot, &memory.smoothing, memory.errors);
        if let Some(hours) = &mut self.hours {
            hours.resize(slots);
            hours.reset(slot, known.memory);
            memory.hours.iter().for_each(|it| hours.restore(slot, it));
        }
        if let Some(still) = &mut self.still {
            still.resize(slots);
            still.reset(slot, known.memory);
            still.restore(slot, &memory.still);
        }
        self.last_scores.restore(slot, memory.scored_ms, silent_until_ms);
    }

    /// Judges a step.
    pub fn judge(&mut self, matrix: &FeatureMatrix, now_ms: i64) -> Detection {
        let ready = self.take_in(matrix, now_ms);
        self.follow(matrix);
        match self.run() {
            Ok(scores) => {
                let rows = 0..ready.slots.len();
                self.read((matrix, now_ms), &ready, (&scores, rows))
            }
            Err(error) => {
                let warming = ready.warming;
                Detection { warming, error: Some(error), ..Detection::default() }
            }
        }
    }

    /// Takes in a step, to be run with others that are taken in.
    fn take_in(&mut self, matrix: &FeatureMatrix, now_ms: i64) -> Ready {
        self.inputs.take_in(matrix, now_ms, &self.known)
    }

    /// Runs the graph once over all that was taken in.
    fn run(&mut self) -> Result<Scores, ScorerError> {
        self.inputs.run(&mut self.scorer)
    }

    /// What used to be there and is not at a step that was judged.
    #[must_use]
    pub fn absences(&self, matrix: &FeatureMatrix, now_ms: i64) -> Absences {
        self.last_scores.absences(matrix, now_ms)
    }

    /// Makes room for new entities.
    fn follow(&mut self, matrix: &FeatureMatrix) {
        let slots = matrix.slots();
        self.last_scores.follow(matrix);
        let before = self.mean.slots();
        self.mean.resize(slots);
        self.hours.iter_mut().for_each(|it| it.resize(slots));
        self.still.iter_mut().for_each(|it| it.resize(slots));
        for slot in newcomers(matrix, before) {
            self.mean.reset(slot);
            let known = self.known.of(matrix.labels(slot));
            self.hours.iter_mut().for_each(|it| it.reset(slot, known.memory));
            self.still.iter_mut().for_each(|it| it.reset(slot, known.memory));
        }
        self.still.iter_mut().for_each(|it| it.follow(matrix));
    }

    /// Makes scores of what the graph gave for the entities of a step, which is in some of its rows. To be
    /// called for one step after the other, each followed before.
    fn read(
        &mut self,
        (matrix, now_ms): (&FeatureMatrix, i64),
        ready: &Ready,
        (scores, rows): (&Scores, Range<usize>),
    ) -> Detection {
        let mut detection = Detection { warming: ready.warming, ..Detection::default() };
        for (i, &slot) in rows.zip(&ready.slots) {
            if !scores.error[i].is_finite() {
                let lacks = self.scorer.takes_mask();
                detection.incomplete += usize::from(lacks);
                detection.not_finite += usize::from(!lacks);
                detection.numberless.push(slot);
                continue;
            }
            let mut parts = vec![scores.error[i]];
            if let Some(shares) = &scores.contribution {
                // A share that is no number is none: the error is one all the same.
                let parts_of = shares.row(i).mapv(|share| share * scores.error[i]);
                parts.extend(parts_of.iter().map(|it| if it.is_finite() { *it } else { 0.0 }));
            }
            let Some(parts) = self.mean.push(slot, now_ms, parts) else {
                detection.warming += 1;
                continue;
            };
            let error = f64::from(parts[0]);
            let score = error / self.threshold;
            let adapted = self.hours.as_mut().map(|it| it.judge(slot, now_ms, score));
            let (threshold, state) = match adapted.filter(|_| self.is_adaptive) {
                Some(adapted) => adapted,
                None if score > 1.0 => (1.0, AnomalyState::New),
                None => (1.0, AnomalyState::Normal),
            };
            let expected = scores.reconstruction.as_ref().map(|it| it.row(i));
            let mut score = EntityScore {
                entity: matrix.labels(slot).clone(),
                score,
                threshold,
                state,
                error,
                features: explain(matrix, slot, &parts, expected),
                newest_ms: matrix.newest_ms(slot).unwrap_or(i64::MIN),
            };
            self.still.iter().for_each(|it| it.tell(slot, &mut score));
            self.last_scores.push(slot, now_ms);
            detection.scores.push((slot, score));
        }
        detection
    }
}

/// The slots that have another entity than at the step before, of which there were so many.
fn newcomers(matrix: &FeatureMatrix, before: usize) -> impl Iterator<Item = usize> + '_ {
    let born = matrix.born().iter().copied();
    (before..matrix.slots()).chain(born.filter(move |it| *it < before))
}

/// What an entity's features say of its error: `parts` are the error and, where the model tells, the
/// features' parts of it; `expected` is what it expected of them.
fn explain(
    matrix: &FeatureMatrix,
    slot: usize,
    parts: &[f32],
    expected: Option<ArrayView1<'_, f32>>,
) -> Vec<FeatureScore> {
    let (error, parts) = (parts[0], &parts[1..]);
    let share = |part: &f32| if error > 0.0 { part / error } else { 0.0 };
    let cells = matrix.row(slot).iter().zip(matrix.provenance(slot)).enumerate();
    let of_feature = |(feature, (value, provenance)): (usize, (&f64, &Provenance))| FeatureScore {
        feature: feature as u32,
        contribution: parts.get(feature).map_or(f32::NAN, share),
        actual: *value as f32,
        expected: expected.map_or(f32::NAN, |it| it[feature]),
        provenance: *provenance,
    };
    let says = |it: &FeatureScore| it.contribution > 0.0 || it.actual.is_finite();
    let mut features: Vec<FeatureScore> = cells.map(of_feature).filter(says).collect();
    // Among equals the order of the features stays.
    features.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    features
}

#[cfg(test)]
mod tests;
