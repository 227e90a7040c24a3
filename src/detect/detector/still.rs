//! Standing still: entities of which nearly all features have not changed for longer than is usual.
//!
//! Nothing is wrong with such values, and they cause no error: a dead exporter behind a living collector,
//! or a cache, sends its last values with fresh timestamps. It shows only in that nothing moves.
//!
//! In: a row of features for each step and slot; the usual times of the model's file. Out: for an entity that
//! stands still, how many times as long as usual, from [`ENOUGH`] on, and the features that do. The usual time
//! of an entity is the longest that training saw of it, or of any entity if the file does not remember this
//! one, and at least [`LEAST_MS`].
//!
//! ```text
//! value ─▶ run: steps without a move ─▶ common run: what nearly all reach ─▶ ÷ usual ─▶ score, if enough
//! ```
//!
//! A value that was not measured (missing, held, filled in, ambiguous) neither counts as still nor ends a run:
//! a failed scrape does not show whether values move, and a held value never does. Values are compared
//! exactly, as float32 like graphs see them: even small noise is movement.
//!
//! Invariants: below [`ENOUGH`] scores are what they would be without this; the findings never enter the
//! remembered hours of an entity, where a long one would hide everything for a week; an entity whose memory
//! was reset has not stood still.
//!
//! Memory: 12 bytes an entity and feature that takes part.

use crate::detect::memory::RunMemory;
use crate::detect::{AnomalyState, EntityScore};
use crate::features::{FeatureMatrix, Provenance};
use crate::model::{Metadata, StillSpec};

/// Standing still so many times as long as usual is a finding.
const ENOUGH: f64 = 3.0;

/// Shorter than this is usual of anyone: with [`ENOUGH`], half an hour is the least that is found.
const LEAST_MS: i64 = 10 * 60_000;

/// The same in steps, where these are long.
const LEAST_STEPS: u32 = 3;

/// Nearly all: one in so many features may move. The uptime of a machine moves while all else stands.
const MOVING: usize = 5;

/// How long each of some features of one entity has stood still.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    cells: Vec<FeatureRun>,
}

/// One feature.
#[derive(Debug, Clone, Copy)]
struct FeatureRun {
    /// The latest value that was measured; NaN before the first.
    last: f32,
    /// Steps at which it was what it had been.
    run: u32,
    /// Whether it was measured at the newest step.
    is_here: bool,
}

impl Runs {
    /// Of so many features of which nothing was seen.
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self { cells: vec![FeatureRun { last: f32::NAN, run: 0, is_here: false }; features] }
    }

    /// Takes a step: `measured` gives what was measured of a feature.
    pub fn push(&mut self, measured: impl Fn(usize) -> Option<f32>) {
        for (feature, cell) in self.cells.iter_mut().enumerate() {
            let value = measured(feature).filter(|it| it.is_finite());
            cell.is_here = value.is_some();
            if let Some(value) = value {
                cell.run = if value == cell.last { cell.run.saturating_add(1) } else { 0 };
                cell.last = value;
            }
        }
    }

    /// The steps for which a feature that was measured at the newest step has stood still.
    #[must_use]
    pub fn run(&self, feature: usize) -> Option<u32> {
        let cell = self.cells.get(feature)?;
        cell.is_here.then_some(cell.run)
    }

    /// The steps for which nearly all features have stood still; nothing where too few were measured at the
    /// newest step.
    #[must_use]
    pub fn common(&self) -> Option<u32> {
        let mut runs: Vec<u32> =
            self.cells.iter().filter(|it| it.is_here).map(|it| it.run).collect();
        if runs.len() < StillSpec::LEAST_FEATURES || 2 * runs.len() < self.cells.len() {
            return None;
        }
        let at = runs.len() / MOVING;
        Some(*runs.select_nth_unstable(at).1)
    }
}

/// Which entities of a model stand still.
#[derive(Debug)]
pub(super) struct Stillness {
    /// The features that take part, by their places among the model's.
    features: Vec<usize>,
    /// What is usual, in steps, by the entity's place; the first is for those that are not remembered.
    usual: Vec<u32>,
    /// Of each slot.
    places: Vec<usize>,
    runs: Vec<Runs>,
}

impl Stillness {
    /// Without slots; nothing for a model whose file does not tell. What is usual of entities that it
    /// remembers is in their order.
    pub fn new(metadata: &Metadata, interval_ms: i64, remembered: &[Option<u32>]) -> Option<Self> {
        let StillSpec { features, usual } = metadata.still.as_ref()?;
        let place = |name: &String| metadata.features.iter().position(|it| it.name == *name);
        let least = LEAST_MS.unsigned_abs().div_ceil(interval_ms.max(1).unsigned_abs());
        let least = u32::try_from(least).unwrap_or(u32::MAX).max(LEAST_STEPS);
        let own = remembered.iter().map(|own| own.unwrap_or(*usual));
        Some(Self {
            features: features.iter().filter_map(place).collect(),
            usual: [*usual].into_iter().chain(own).map(|it| it.max(least)).collect(),
            places: Vec::new(),
            runs: Vec::new(),
        })
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        (self.places, self.runs) = (Vec::new(), Vec::new());
    }

    /// Makes room for so many slots.
    pub fn resize(&mut self, slots: usize) {
        self.places.resize(slots, 0);
        self.runs.resize(slots, Runs::new(self.features.len()));
    }

    /// Gives a slot to an entity of which nothing was seen, by its place among those that are remembered.
    pub fn reset(&mut self, slot: usize, place: usize) {
        self.places[slot] = if place < self.usual.len() { place } else { 0 };
        self.runs[slot] = Runs::new(self.features.len());
    }

    /// For how long the features of a slot have stood still, for another that goes on with it.
    pub fn memory(&self, slot: usize) -> Vec<RunMemory> {
        let cells = self.runs[slot].cells.iter();
        cells.map(|cell| RunMemory { last: cell.last, run: cell.run }).collect()
    }

    /// Gives a slot what another had; what is of other features leaves it as it is.
    pub fn restore(&mut self, slot: usize, memory: &[RunMemory]) {
        if memory.len() == self.features.len() {
            let cell = |it: &RunMemory| FeatureRun { last: it.last, run: it.run, is_here: false };
            self.runs[slot].cells = memory.iter().map(cell).collect();
        }
    }

    /// Puts what another had before what a slot has: who is where it was then has stood still since.
    pub fn precede(&mut self, slot: usize, past: &[RunMemory]) {
        let cells = &mut self.runs[slot].cells;
        if past.len() == cells.len() {
            for (cell, past) in cells.iter_mut().zip(past) {
                if cell.last.is_nan() || cell.last == past.last {
                    (cell.last, cell.run) = (past.last, cell.run.max(past.run));
                }
            }
        }
    }

    /// Takes a step of all entities.
    pub fn follow(&mut self, matrix: &FeatureMatrix) {
        for (slot, runs) in self.runs.iter_mut().enumerate() {
            let (row, provenance) = (matrix.row(slot), matrix.provenance(slot));
            let features = &self.features;
            runs.push(|i| {
                let feature = features[i];
                (provenance[feature] == Provenance::Own).then_some(row[feature] as f32)
            });
        }
    }

    /// Makes a finding of a score of an entity that stands still, unless its errors say more: so many times
    /// the threshold in force as it stands longer than usual, by the features that do, all alike.
    pub fn tell(&self, slot: usize, score: &mut EntityScore) {
        let runs = &self.runs[slot];
        let Some(common) = runs.common() else { return };
        let times = f64::from(common) / f64::from(self.usual[self.places[slot]]);
        let found = score.threshold * times;
        if times < ENOUGH || score.score >= found {
            return;
        }
        (score.score, score.state) = (found, AnomalyState::New);
        let is_still = |i: &usize| runs.run(*i).is_some_and(|run| run >= common);
        let still: Vec<u32> =
            (0..self.features.len()).filter(is_still).map(|i| self.features[i] as u32).collect();
        let share = 1.0 / still.len() as f32;
        for it in &mut score.features {
            it.contribution = if still.contains(&it.feature) { share } else { 0.0 };
        }
        // Among equals the order of the features: those before did not sort by it.
        score.features.sort_by(|a, b| {
            b.contribution.total_cmp(&a.contribution).then(a.feature.cmp(&b.feature))
        });
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.usual.capacity() * size_of::<u32>()
            + self.places.capacity() * size_of::<usize>()
            + self.runs.capacity() * size_of::<Runs>()
            + self
                .runs
                .iter()
                .map(|it| it.cells.capacity() * size_of::<FeatureRun>())
                .sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
