//! Absences: what was there at earlier evaluations and is missing at this one.
//!
//! In: the matrix of a step, and which entities had a score. Out: the features that fresh entities
//! lack, and the entities that had a score and are gone. An entity is absent while it is stale or
//! away, for at most [`ABSENCE_MEMORY_MS`] after its last score, or until it is forgotten if that is earlier
//! (see [`crate::features`]; a model without an adaptive threshold remembers an hour). An entity that is
//! there without a score, because it warms up or lacks something, is not absent, and neither is one that
//! never had a score. Slots are those of the matrix.

use crate::features::{ABSENCE_MEMORY_MS, EntityState, FeatureMatrix};
use crate::labels::Labels;

/// A slot's entity has had no score.
const NEVER: i64 = i64::MIN;

/// What used to be there and is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absences {
    /// Fresh entities that miss features, sorted by their labels.
    pub lacking: Vec<LackingEntity>,
    /// Entities that had a score and are not there, sorted by their labels.
    pub entities: Vec<AbsentEntity>,
}

/// An entity that is there and misses features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LackingEntity {
    /// The entity labels.
    pub entity: Labels,
    /// The places of the features among the model's, ascending; at least one.
    pub features: Vec<u32>,
}

/// An entity that had a score and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentEntity {
    /// The entity labels.
    pub entity: Labels,
    /// What its last score is about: milliseconds since the epoch.
    pub scored_ms: i64,
}

impl Absences {
    /// The features that an entity misses.
    #[must_use]
    pub fn of(&self, entity: &Labels) -> &[u32] {
        let place = self.lacking.binary_search_by(|it| it.entity.cmp(entity));
        place.map_or(&[], |place| &self.lacking[place].features)
    }

    /// For each of so many features, the entities that miss it.
    #[must_use]
    pub fn by_feature(&self, features: usize) -> Vec<u32> {
        let mut counts = vec![0; features];
        for feature in self.lacking.iter().flat_map(|it| &it.features) {
            if let Some(count) = counts.get_mut(*feature as usize) {
                *count += 1;
            }
        }
        counts
    }
}

/// When the entities had their last scores.
#[derive(Debug, Default)]
pub(super) struct LastScores {
    /// By slot.
    scored_ms: Vec<i64>,
    /// Before this time nobody is absent: what is remembered from elsewhere has to be seen here first.
    silent_until_ms: i64,
}

impl LastScores {
    /// Makes room for new entities and forgets those that the matrix has forgotten.
    pub fn follow(&mut self, matrix: &FeatureMatrix) {
        self.scored_ms.resize(matrix.slots(), NEVER);
        let others = matrix.freed().iter().chain(matrix.born());
        others.for_each(|slot| self.scored_ms[*slot] = NEVER);
    }

    /// The entity in a slot has a score.
    pub fn push(&mut self, slot: usize, now_ms: i64) {
        self.scored_ms[slot] = now_ms;
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        self.scored_ms = Vec::new();
    }

    /// See `restore`.
    pub fn silent_until_ms(&self) -> i64 {
        self.silent_until_ms
    }

    /// When the entity in a slot had its last score.
    pub fn memory(&self, slot: usize) -> Option<i64> {
        self.scored_ms.get(slot).copied().filter(|it| *it != NEVER)
    }

    /// The entity in a slot had its last score at another's hands.
    pub fn restore(&mut self, slot: usize, scored_ms: Option<i64>, silent_until_ms: i64) {
        self.scored_ms.resize(self.scored_ms.len().max(slot + 1), NEVER);
        self.scored_ms[slot] = scored_ms.unwrap_or(NEVER);
        self.silent_until_ms = silent_until_ms;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.scored_ms.capacity() * size_of::<i64>()
    }

    /// What is not there at a step that was judged.
    pub fn absences(&self, matrix: &FeatureMatrix, now_ms: i64) -> Absences {
        let of_entity = |cells: &[(usize, usize)]| LackingEntity {
            entity: matrix.labels(cells[0].0).clone(),
            features: cells.iter().map(|(_, feature)| *feature as u32).collect(),
        };
        let cells = matrix.missing().chunk_by(|a, b| a.0 == b.0);
        let mut lacking: Vec<LackingEntity> = cells.map(of_entity).collect();
        let is_absent = |slot: usize, scored_ms: i64| {
            if now_ms < self.silent_until_ms {
                return false;
            }
            let is_there = !matches!(matrix.state(slot), EntityState::Stale | EntityState::Unknown);
            !is_there && now_ms.saturating_sub(scored_ms) < ABSENCE_MEMORY_MS
        };
        let scored = self.scored_ms.iter().copied().enumerate();
        let mut entities: Vec<AbsentEntity> = scored
            .filter(|(slot, scored_ms)| *scored_ms != NEVER && is_absent(*slot, *scored_ms))
            .map(|(slot, scored_ms)| AbsentEntity {
                entity: matrix.labels(slot).clone(),
                scored_ms,
            })
            .collect();
        lacking.sort_by(|a, b| a.entity.cmp(&b.entity));
        entities.sort_by(|a, b| a.entity.cmp(&b.entity));
        Absences { lacking, entities }
    }
}
