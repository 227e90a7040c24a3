//! Arrivals: since when entities have been here, and for which of them history has not been read yet.
//!
//! In: the matrices of a model's evaluations, one after the other; which slots are given to entities that
//! are remembered from elsewhere. Out: the newcomers, each once: entities that appeared and of which nothing
//! was remembered. An entity that was away and returns is not a newcomer, nor is one whose memory outlived a
//! process.
//!
//! All of it is kept by slot, and so is forgotten with the entity.

use crate::features::{EntityState, FeatureMatrix};

/// Since before this process.
const ALWAYS: i64 = i64::MIN;

/// Entities that are here, of which nothing was remembered, and whose past has not been asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Newcomers {
    /// The longest range of a feature is covered for these, or has had the time to be.
    pub covered: usize,
    /// Not for these: their past would have ended too long ago to continue from it.
    pub waiting: usize,
}

/// How an entity came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Milliseconds since the epoch.
    since_ms: i64,
    is_new: bool,
}

/// The arrivals of a model's entities, by slot.
#[derive(Debug)]
pub(super) struct Arrivals {
    slots: Vec<Arrival>,
    range_ms: i64,
    /// Of the last evaluation.
    at_ms: i64,
}

impl Arrivals {
    /// Nobody yet, where the longest range of a feature is this.
    pub fn new(range_ms: i64) -> Self {
        Self { slots: Vec::new(), range_ms, at_ms: ALWAYS }
    }

    /// Takes note of who came by this evaluation.
    pub fn follow(&mut self, matrix: &FeatureMatrix, at_ms: i64) {
        self.at_ms = at_ms;
        let arrival = Arrival { since_ms: at_ms, is_new: true };
        self.slots.resize(matrix.slots(), arrival);
        matrix.born().iter().for_each(|slot| self.slots[*slot] = arrival);
    }

    /// How many newcomers there are.
    pub fn newcomers(&self, matrix: &FeatureMatrix) -> Newcomers {
        let mut newcomers = Newcomers::default();
        for slot in 0..self.slots.len() {
            match self.is_covered(slot, matrix) {
                Some(true) => newcomers.covered += 1,
                Some(false) => newcomers.waiting += 1,
                None => {}
            }
        }
        newcomers
    }

    /// The slots of newcomers that are covered, who are none any more.
    pub fn take(&mut self, matrix: &FeatureMatrix) -> Vec<usize> {
        let is_covered = |slot: &usize| self.is_covered(*slot, matrix) == Some(true);
        let slots: Vec<usize> = (0..self.slots.len()).filter(is_covered).collect();
        slots.iter().for_each(|slot| self.slots[*slot].is_new = false);
        slots
    }

    /// Of a newcomer.
    fn is_covered(&self, slot: usize, matrix: &FeatureMatrix) -> Option<bool> {
        let Arrival { since_ms, is_new } = self.slots[slot];
        // An evaluation that is still to come has no slot for it.
        if !is_new || slot >= matrix.slots() {
            return None;
        }
        match matrix.state(slot) {
            EntityState::Unknown | EntityState::Stale => None,
            EntityState::Warming => Some(self.at_ms.saturating_sub(since_ms) >= self.range_ms),
            EntityState::Incomplete | EntityState::Complete => Some(true),
        }
    }

    /// Since when the entity in a slot has been here, in milliseconds since the epoch.
    pub fn since_ms(&self, slot: usize) -> i64 {
        self.slots[slot].since_ms
    }

    /// The entity in a slot has been there for longer than was known.
    pub fn set_since_ms(&mut self, slot: usize, since_ms: i64) {
        self.slots[slot].since_ms = since_ms;
    }

    /// How the entity in a slot came here.
    pub fn of(&self, slot: usize) -> Arrival {
        self.slots[slot]
    }

    /// Gives a slot, which may be the next one, to an entity that came here like that.
    pub fn set(&mut self, slot: usize, arrival: Arrival) {
        self.slots.resize(self.slots.len().max(slot + 1), Arrival::REMEMBERED);
        self.slots[slot] = arrival;
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        self.slots = Vec::new();
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Arrival>()
    }
}

impl Arrival {
    /// Remembered from elsewhere.
    pub const REMEMBERED: Self = Self { since_ms: ALWAYS, is_new: false };
}
