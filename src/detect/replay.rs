//! A replay: a recording through the code that serves, one step after the other.
//!
//! In: a recording, the features of a model and their columns in it. Out: at each step the matrix
//! that serving would have had at that tick, with the same freshness, holding and filling, for a
//! detector or for training. This is the only loop over a recording: live and history differ only in who
//! supplies the time and the samples.
//!
//! Invariant: a step's matrix depends on nothing that was measured after it.

use super::DetectConfig;
use super::detector::{Detection, Detector, Together};
use super::memory::{EntityMemory, PastEntity};
use crate::features::{
    EntityRecording, EntityState, FeatureMatrix, FeatureSpec, Features, Freshness, Liveness,
    Observed, Playback, Recording, Sightings, TIME_OF_DAY, TIME_OF_WEEK, Trail,
};
use crate::labels::Labels;
use crate::model::ScorerError;

/// A recording that is played.
#[derive(Debug)]
pub struct Replay<'a> {
    recording: &'a Recording,
    specs: &'a [FeatureSpec],
    /// The place of each feature among the recording's; nothing for a clock, which is computed.
    columns: Vec<Option<usize>>,
    playback: Playback,
    /// What sample times mean, and those of each entity; nothing where they are not told.
    freshness: Option<(Freshness, &'a Sightings)>,
    trails: Vec<Trail>,
    hold_ms: i64,
    rows: Vec<f32>,
}

/// What a replay is of, beside the recording.
#[derive(Debug, Clone, Copy)]
pub struct Played<'a> {
    /// The features in the model's order.
    pub features: &'a [FeatureSpec],
    /// The labels that name an entity.
    pub entity: &'a [String],
    /// Whether the model can do without some features.
    pub can_mask: bool,
    /// The features that its error does not depend on.
    pub weightless: &'a [String],
}

/// One step of a replay.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Its place in the recording.
    pub step: usize,
    /// The instant it looks at: the step's time less the recording's delay.
    pub at_ms: i64,
    /// What is known then.
    pub matrix: &'a FeatureMatrix,
}

impl<'a> Replay<'a> {
    /// A replay of all entities of a recording from its beginning on.
    ///
    /// # Shapes
    /// A column for each feature.
    #[must_use]
    pub fn new(
        recording: &'a Recording,
        played: Played<'a>,
        columns: Vec<Option<usize>>,
        config: &DetectConfig,
    ) -> Self {
        let labels: Vec<Labels> = recording.entities.iter().map(|it| it.labels.clone()).collect();
        let stale_after_ms = config.stale_after.as_ms();
        let Played { features: specs, entity, can_mask, weightless } = played;
        // What a server knows and we do not is taken as it comes, as a table's columns are.
        let parsed = Features::parse(specs, entity).ok();
        let parsed = parsed.zip(recording.sightings.as_ref()).map(|(features, sightings)| {
            let features = features.maskable(can_mask).weightless(weightless);
            (features.at_steps_of(recording.step_ms), sightings)
        });
        let playback = match &parsed {
            Some((features, _)) => Playback::new(features, &labels),
            None => {
                let any_own = recording.own.contains(&true);
                let is_own = |place: &Option<usize>| place.is_some_and(|it| recording.own[it]);
                let is_common: Vec<bool> =
                    columns.iter().map(|place| any_own && !is_own(place)).collect();
                Playback::of_columns(specs, &labels, can_mask, &is_common, weightless)
            }
        };
        Self {
            recording,
            specs,
            playback,
            freshness: parsed.map(|(features, it)| (features.freshness(stale_after_ms), it)),
            trails: vec![Trail::default(); labels.len()],
            hold_ms: stale_after_ms.max(2 * recording.step_ms),
            rows: vec![f32::NAN; labels.len() * columns.len()],
            columns,
        }
    }

    /// Plays all steps.
    pub fn run(mut self, mut visit: impl FnMut(Step<'_>)) {
        for step in 0..self.recording.times_ms.len() {
            visit(self.step(step));
        }
    }

    /// Plays all steps through a detector, until `visit` fails: it gets the place of each step and its
    /// detection, or why there is none.
    ///
    /// # Errors
    /// What `visit` fails with.
    pub fn judge<E>(
        mut self,
        detector: &mut Detector,
        visit: impl FnMut(usize, Result<Detection, ScorerError>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.play(detector, |_| (), visit)
    }

    /// Plays all steps through a detector, and gives what is remembered of each entity then that was ever
    /// there.
    ///
    /// # Errors
    /// When the graph cannot be run.
    pub fn remember(mut self, detector: &mut Detector) -> Result<Vec<PastEntity>, ScorerError> {
        // When each was there first, and last.
        let mut seen: Vec<Option<(i64, i64)>> = vec![None; self.recording.entities.len()];
        let look = |step: Step<'_>| {
            let Step { at_ms, matrix, .. } = step;
            for (slot, seen) in seen.iter_mut().enumerate() {
                if !matches!(matrix.state(slot), EntityState::Stale | EntityState::Unknown) {
                    *seen = Some((seen.map_or(at_ms, |(first_ms, _)| first_ms), at_ms));
                }
            }
        };
        self.play(detector, look, |_, detection| detection.map(drop))?;
        let past = |slot: usize| {
            let (since_ms, left_ms) = seen[slot]?;
            let entity = self.recording.entities[slot].labels.clone();
            let cells = self.playback.memory(slot);
            let memory = EntityMemory { cells, ..detector.memory(slot, entity, left_ms) };
            Some(PastEntity { since_ms, memory })
        };
        Ok((0..seen.len()).filter_map(past).collect())
    }

    fn play<E>(
        &mut self,
        detector: &mut Detector,
        mut look: impl FnMut(Step<'_>),
        mut visit: impl FnMut(usize, Result<Detection, ScorerError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut together = Together::new(detector);
        for step in 0..self.recording.times_ms.len() {
            let step = self.step(step);
            look(step);
            together.judge((step.step, step.at_ms), step.matrix, &mut visit)?;
        }
        together.finish(&mut visit)
    }

    fn step(&mut self, step: usize) -> Step<'_> {
        let recording = self.recording;
        let at_ms = recording.times_ms[step] - recording.delay_ms;
        let width = self.columns.len();
        let mut liveness: Vec<Option<Liveness>> = Vec::with_capacity(self.trails.len());
        let rows = self.rows.chunks_exact_mut(width.max(1));
        for ((entity, row), trail) in recording.entities.iter().zip(rows).zip(&mut self.trails) {
            for ((cell, column), spec) in row.iter_mut().zip(&self.columns).zip(self.specs) {
                *cell = match column {
                    Some(column) => entity.values[[step, *column]],
                    None => clock(spec, at_ms),
                };
            }
            liveness.push(match &self.freshness {
                Some((freshness, sightings)) => {
                    let seen = (&sightings.instants_ms[..], &entity.newest_ms[..]);
                    trail.judge(freshness, seen, at_ms)
                }
                None => has_own(recording, entity, step).then(|| Liveness::row(at_ms)),
            });
        }
        let marked = |is_marked: &dyn Fn(usize) -> bool| -> Vec<usize> {
            let is_marked = |(_, column): &(usize, &Option<usize>)| column.is_some_and(is_marked);
            self.columns.iter().enumerate().filter(is_marked).map(|(i, _)| i).collect()
        };
        let unknown = match recording.refused.is_empty() {
            true => Vec::new(),
            false => marked(&|column| recording.is_refused(step, column)),
        };
        let ambiguous: Vec<Vec<usize>> = (recording.entities.iter())
            .map(|entity| match entity.ambiguous.is_empty() {
                true => Vec::new(),
                false => marked(&|column| entity.is_ambiguous(step, column)),
            })
            .collect();
        let observed = |slot: usize| {
            liveness[slot].map(|liveness| Observed {
                values: &self.rows[slot * width..][..width],
                ambiguous: &ambiguous[slot],
                unknown: &unknown,
                liveness,
            })
        };
        Step { step, at_ms, matrix: self.playback.step(at_ms, self.hold_ms, observed) }
    }
}

/// A value that is the entity's own tells that it was there; where all are everyone's, any does.
fn has_own(recording: &Recording, entity: &EntityRecording, step: usize) -> bool {
    let any_own = recording.own.contains(&true);
    let row = entity.values.row(step);
    row.iter().zip(&recording.own).any(|(value, own)| (*own || !any_own) && value.is_finite())
}

/// The value of a clock.
///
/// # NaN
/// Of a feature that is none.
fn clock(feature: &FeatureSpec, at_ms: i64) -> f32 {
    let clock = [TIME_OF_DAY, TIME_OF_WEEK].into_iter().find(|clock| clock.is(feature));
    clock.map_or(f32::NAN, |clock| clock.value(at_ms))
}
