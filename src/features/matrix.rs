//! A feature matrix: the values of all features of all entities at one time.

use crate::labels::Labels;

/// Where the value of a cell comes from, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// Measured: the expression has an element with the entity's labels.
    Own,
    /// The same for every entity, as the expression can never carry labels.
    Common,
    /// The entity's own, of a moment ago, by the feature's policy.
    Held,
    /// A constant, by the feature's policy, for what the entity has never had.
    Filled,
    /// No value: two elements claim the cell, and neither is right.
    Ambiguous,
    /// No value.
    Absent,
}

impl Provenance {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Own, Self::Common, Self::Held, Self::Filled, Self::Ambiguous, Self::Absent];

    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Common => "common",
            Self::Held => "held",
            Self::Filled => "filled",
            Self::Ambiguous => "ambiguous",
            Self::Absent => "absent",
        }
    }

    /// Whether there is a value.
    #[must_use]
    pub const fn has_value(self) -> bool {
        !matches!(self, Self::Ambiguous | Self::Absent)
    }
}

/// Entities by the provenance of their cell, in the order of [`Provenance::ALL`].
pub type ProvenanceCounts = [u32; Provenance::ALL.len()];

/// The values of all features of all entities at one time.
///
/// # Shapes
/// Row-major `[slots, features]`; a slot without an entity, or with one that is away, has no
/// present cell and is not fresh.
#[derive(Debug, Default, Clone)]
pub struct FeatureMatrix {
    pub(super) features: usize,
    pub(super) labels: Vec<Labels>,
    pub(super) values: Vec<f64>,
    pub(super) cells: Vec<Provenance>,
    pub(super) newest_ms: Vec<Option<i64>>,
    pub(super) states: Vec<EntityState>,
    pub(super) counts: Vec<ProvenanceCounts>,
    pub(super) unplaced: Vec<u32>,
    pub(super) errors: Vec<(usize, String)>,
    pub(super) missing: Vec<(usize, usize)>,
    pub(super) born: Vec<usize>,
    pub(super) freed: Vec<usize>,
    pub(super) away: usize,
    pub(super) forgotten: usize,
    pub(super) refused: usize,
}

/// Whether an entity can be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityState {
    /// The slot has no entity, or one that is away: its series are gone and it is remembered.
    Unknown,
    /// Its series ended, or their newest sample is late.
    Stale,
    /// It has not been seen for as long as the longest range looks back.
    Warming,
    /// A feature that may not be missing is, or too few are its own.
    Incomplete,
    /// Every feature has a value, or may do without one.
    Complete,
}

impl FeatureMatrix {
    /// Slots, free ones and those of entities that are away included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.states.len()
    }

    /// Memory, estimated.
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f64>()
            + self.cells.capacity()
            + self.slots() * size_of::<(Labels, Option<i64>, EntityState)>()
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

    /// Where the values of a slot come from, in the features' order.
    #[must_use]
    pub fn provenance(&self, slot: usize) -> &[Provenance] {
        &self.cells[slot * self.features..][..self.features]
    }

    /// The feature values of a slot in the features' order. NaN where a value is missing.
    #[must_use]
    pub fn row(&self, slot: usize) -> &[f64] {
        &self.values[slot * self.features..][..self.features]
    }

    /// When the newest sample of the entity's series was taken; `None` when that is late, or a stale
    /// marker.
    #[must_use]
    pub fn newest_ms(&self, slot: usize) -> Option<i64> {
        self.newest_ms[slot]
    }

    /// For each feature, the fresh entities by the provenance of their value.
    #[must_use]
    pub fn counts(&self) -> &[ProvenanceCounts] {
        &self.counts
    }

    /// The slots of fresh entities that two sources claim: some cell is ambiguous.
    #[must_use]
    pub fn doubled(&self) -> Vec<usize> {
        let ambiguous = Provenance::Ambiguous;
        if self.counts.iter().all(|counts| counts[ambiguous as usize] == 0) {
            return Vec::new();
        }
        let is_doubled = |slot: &usize| {
            self.newest_ms[*slot].is_some() && self.provenance(*slot).contains(&ambiguous)
        };
        (0..self.slots()).filter(is_doubled).collect()
    }

    /// For each feature, elements of its result that belong to nobody, as they lack an entity label.
    #[must_use]
    pub fn unplaced(&self) -> &[u32] {
        &self.unplaced
    }

    /// Features whose expression failed at this time, for everyone or for some, with the reason.
    #[must_use]
    pub fn errors(&self) -> &[(usize, String)] {
        &self.errors
    }

    /// What fresh entities used to have and have not, by the features' policies, as `(slot, feature)` in
    /// the order of slots and features.
    #[must_use]
    pub fn missing(&self) -> &[(usize, usize)] {
        &self.missing
    }

    /// Slots whose entity was forgotten at this evaluation, in no order.
    #[must_use]
    pub fn freed(&self) -> &[usize] {
        &self.freed
    }

    /// Slots that were given to a new entity at this evaluation; one that returns is not new.
    #[must_use]
    pub fn born(&self) -> &[usize] {
        &self.born
    }

    /// Entities whose series are gone and whose slots are kept for them.
    #[must_use]
    pub fn away(&self) -> usize {
        self.away
    }

    /// Entities that were forgotten at this evaluation before their time, as too many were away.
    #[must_use]
    pub fn forgotten(&self) -> usize {
        self.forgotten
    }

    /// Entities that there was no room for, as far as the feature that most of them have tells.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// An empty one, for so many features.
    pub(super) fn of(features: usize) -> Self {
        Self {
            features,
            counts: vec![ProvenanceCounts::default(); features],
            unplaced: vec![0; features],
            ..Self::default()
        }
    }

    /// Makes it so tall; new slots are empty.
    pub(super) fn resize(&mut self, slots: usize) {
        let cells = slots * self.features;
        self.values.resize(cells, f64::NAN);
        self.cells.resize(cells, Provenance::Absent);
        self.labels.resize(slots, Labels::empty());
        self.newest_ms.resize(slots, None);
        self.states.resize(slots, EntityState::Unknown);
    }

    /// Forgets the last evaluation.
    pub(super) fn clear(&mut self) {
        self.values.fill(f64::NAN);
        self.cells.fill(Provenance::Absent);
        self.newest_ms.fill(None);
        self.states.fill(EntityState::Unknown);
        self.counts.fill(ProvenanceCounts::default());
        self.unplaced.fill(0);
        self.errors.clear();
        self.refused = 0;
        self.missing.clear();
        self.born.clear();
        self.freed.clear();
    }

    /// Puts a result into a cell; a second result for the same cell spoils it. What a model's float32
    /// cannot hold is no value.
    pub(super) fn put(&mut self, slot: usize, feature: usize, value: f64, from: Provenance) {
        if !(value as f32).is_finite() {
            return;
        }
        let cell = slot * self.features + feature;
        if self.cells[cell] == Provenance::Absent {
            self.cells[cell] = from;
            self.values[cell] = value;
        } else {
            self.spoil(slot, feature);
        }
    }

    /// Takes a cell's value away: there is no telling what it is.
    pub(super) fn spoil(&mut self, slot: usize, feature: usize) {
        let cell = slot * self.features + feature;
        self.cells[cell] = Provenance::Ambiguous;
        self.values[cell] = f64::NAN;
    }
}
