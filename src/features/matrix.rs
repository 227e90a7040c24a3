//! A feature matrix: the values of all features of all entities at one time.

use crate::labels::Labels;

/// What a cell of the matrix holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Absent,
    Present,
    /// Two elements claim it: neither is right.
    Ambiguous,
}

/// The values of all features of all entities at one time.
///
/// # Shapes
/// Row-major `[slots, features]`; a slot without an entity has no present cell and is not fresh.
#[derive(Debug, Default)]
pub struct FeatureMatrix {
    pub(super) features: usize,
    pub(super) labels: Vec<Labels>,
    pub(super) values: Vec<f64>,
    pub(super) cells: Vec<Cell>,
    pub(super) newest_ms: Vec<Option<i64>>,
    pub(super) states: Vec<EntityState>,
    pub(super) missing: Vec<u32>,
    pub(super) errors: Vec<(usize, String)>,
    pub(super) born: Vec<usize>,
}

/// Whether an entity can be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityState {
    /// The slot has no entity.
    Unknown,
    /// Its series ended or are older than the staleness limit.
    Stale,
    /// A feature that may not be missing is, or too many are.
    Incomplete,
    /// Every feature has a value, or may do without one.
    Complete,
}

impl FeatureMatrix {
    /// Slots, free ones included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.states.len()
    }

    /// Whether the entity in a slot can be scored.
    #[must_use]
    pub fn state(&self, slot: usize) -> EntityState {
        self.states[slot]
    }

    /// The labels of the entity in a slot.
    #[must_use]
    pub fn labels(&self, slot: usize) -> &Labels {
        &self.labels[slot]
    }

    /// The feature values of a slot in the features' order. NaN where a value is missing.
    #[must_use]
    pub fn row(&self, slot: usize) -> &[f64] {
        &self.values[slot * self.features..][..self.features]
    }

    /// When the newest sample of the entity's series was taken; `None` when none is within the
    /// staleness limit.
    #[must_use]
    pub fn newest_ms(&self, slot: usize) -> Option<i64> {
        self.newest_ms[slot]
    }

    /// For each feature, how many fresh entities lack it (policies notwithstanding).
    #[must_use]
    pub fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// Features whose expression failed at this time, with the reason.
    #[must_use]
    pub fn errors(&self) -> &[(usize, String)] {
        &self.errors
    }

    /// Slots that were given to a new entity at this evaluation.
    #[must_use]
    pub fn born(&self) -> &[usize] {
        &self.born
    }

    /// An empty one, for so many features.
    pub(super) fn of(features: usize) -> Self {
        Self { features, missing: vec![0; features], ..Self::default() }
    }

    /// Makes it so tall; new slots are empty.
    pub(super) fn resize(&mut self, slots: usize) {
        let cells = slots * self.features;
        self.values.resize(cells, f64::NAN);
        self.cells.resize(cells, Cell::Absent);
        self.labels.resize(slots, Labels::empty());
        self.newest_ms.resize(slots, None);
        self.states.resize(slots, EntityState::Unknown);
    }

    /// Forgets the last evaluation.
    pub(super) fn clear(&mut self) {
        self.values.fill(f64::NAN);
        self.cells.fill(Cell::Absent);
        self.newest_ms.fill(None);
        self.states.fill(EntityState::Unknown);
        self.missing.fill(0);
        self.errors.clear();
        self.born.clear();
    }

    /// Puts a result into a cell; a second result for the same cell spoils it.
    pub(super) fn put(&mut self, slot: usize, feature: usize, value: f64) {
        if !value.is_finite() {
            return;
        }
        let cell = slot * self.features + feature;
        if self.cells[cell] == Cell::Absent {
            self.cells[cell] = Cell::Present;
            self.values[cell] = value;
        } else {
            self.cells[cell] = Cell::Ambiguous;
            self.values[cell] = f64::NAN;
        }
    }
}
