//! A feature set: the features of one model, bound to a store, and their values at a tick.
//!
//! In: a store and `now`. Out: a [`FeatureMatrix`]. Cells are f64 until the model asks for them, results that are
//! not finite as float32 count as missing, and each feature's policy decides what is missing (see
//! [`super::policy`]), never a silent zero. An entity whose newest sample is late or a stale marker is not fresh.
//! A range that its samples do not cover has no value, whatever range functions return (see [`super::freshness`]),
//! nor has a feature whose series have all ended in stale markers while others of the entity go on.

use super::entity::{Assignment, EntityTable, LEAST_MEMORY_MS};
use super::entity_mapping::EntityMapping;
use super::freshness::Freshness;
use super::matrix::{EntityState, FeatureMatrix, Provenance};
use super::memory::{CellMemory, FeatureMemory};
use super::parsed::Features;
use super::policy::Policies;
use super::watch::Watch;
use crate::labels::Labels;
use crate::promql::{Plan, Value};
use crate::series::Store;

impl Features {
    /// Registers the selectors with a store, which keeps the samples they need from now on.
    #[must_use]
    pub fn bind(self, store: &mut Store) -> FeatureSet {
        let plan = Plan::bind_lenient(&self.exprs, store);
        let rules = self.rules();
        FeatureSet {
            watch: Watch::new(
                &self.exprs,
                &plan,
                store,
                &rules,
                Freshness::resolution_ms(self.step_ms),
            ),
            entities: EntityTable::new(&self.entity, LEAST_MEMORY_MS),
            mappings: self.specs.iter().map(|_| EntityMapping::default()).collect(),
            is_common: rules.is_common,
            policies: Policies::new(rules.list, self.can_mask),
            matrix: FeatureMatrix::of(self.specs.len()),
            plan,
        }
    }
}

/// The features of one model, bound to a store.
#[derive(Debug)]
pub struct FeatureSet {
    plan: Plan,
    entities: EntityTable,
    /// What the features read.
    watch: Watch,
    /// Of each expression's elements.
    mappings: Vec<EntityMapping>,
    /// For each expression, whether it can never carry labels.
    is_common: Vec<bool>,
    policies: Policies,
    matrix: FeatureMatrix,
}

impl FeatureSet {
    /// Gives the selectors back to the store.
    pub fn release(self, store: &mut Store) {
        self.plan.release(store);
    }

    /// The matrix of the last evaluation.
    #[must_use]
    pub fn matrix(&self) -> &FeatureMatrix {
        &self.matrix
    }

    /// Memory for what policies remember of entities, and for the matrix.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.policies.bytes() + self.matrix.bytes()
    }

    /// What is remembered of the entity in a slot; nothing for a free slot and beyond those there are.
    #[must_use]
    pub fn memory(&self, slot: usize) -> Option<FeatureMemory> {
        if slot >= self.matrix.slots() {
            return None;
        }
        let (labels, left_ms, is_away) = self.entities.remembered(slot)?;
        let cells = self.policies.memory(slot);
        Some(FeatureMemory { entity: labels.clone(), left_ms, is_away, cells })
    }

    /// So many entities at most from now on; those that are there stay.
    pub fn set_max_entities(&mut self, most: usize) {
        self.entities.set_most(most);
    }

    /// Entities are remembered for so long after their series are gone, from now on; an hour before.
    pub fn set_retention(&mut self, remember_ms: i64) {
        self.entities.set_retention(remember_ms);
    }

    /// Entities that are there or away.
    #[must_use]
    pub fn known_entities(&self) -> usize {
        self.entities.known()
    }

    /// Slots without an entity.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.entities.free_slots()
    }

    /// Forgets all entities. Those that are there are new at the next evaluation, or restored before.
    pub fn clear(&mut self) {
        self.entities.clear();
        self.mappings.iter_mut().for_each(|it| *it = EntityMapping::default());
        self.watch.clear();
        self.policies.clear();
        self.matrix = FeatureMatrix::of(self.is_common.len());
    }

    /// Slots, free ones and those of entities that are away included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.matrix.slots()
    }

    /// Remembers an entity that was there until `left_ms`, as if it were away since, or as one that was away
    /// by then. Gives its slot; nothing where it is there already, or this is not of these features.
    pub fn restore(
        &mut self,
        entity: &Labels,
        (left_ms, was_away): (i64, bool),
        cells: &[CellMemory],
    ) -> Option<usize> {
        if cells.len() != self.is_common.len() {
            return None;
        }
        let slot = self.entities.restore(entity, left_ms, was_away)?;
        self.resize();
        self.matrix.labels[slot] = entity.clone();
        self.policies.restore(slot, cells);
        Some(slot)
    }

    /// The slot of an entity that is there, and has been at an evaluation; nothing for one that is away.
    #[must_use]
    pub fn present(&self, entity: &Labels) -> Option<usize> {
        self.entities.present(entity).filter(|slot| *slot < self.matrix.slots())
    }

    /// Puts what was remembered elsewhere of the entity in a slot before what is remembered of it here. What
    /// is not of these features changes nothing.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn precede(&mut self, slot: usize, past: &[CellMemory]) {
        if past.len() == self.is_common.len() {
            let cells = self.policies.memory(slot).into_iter().zip(past);
            let cells: Vec<CellMemory> = cells.map(|(now, past)| now.after(*past)).collect();
            self.policies.restore(slot, &cells);
        }
    }

    /// Computes every feature of every entity at one time. No sample is older than `stale_after_ms`
    /// and counts as fresh, and no held value is.
    pub fn eval(&mut self, store: &Store, now_ms: i64, stale_after_ms: i64) -> &FeatureMatrix {
        self.plan.eval(store, now_ms);
        self.matrix.clear();
        self.matrix.forgotten = self.entities.pass(now_ms);
        if self.entities.has_room_again() {
            self.mappings.iter_mut().for_each(|it| it.retry(&mut self.entities));
            self.watch.retry(&mut self.entities);
        }
        self.place();
        if self.entities.refuses() {
            self.matrix.refused = self.watch.refused(self.entities.names());
        }
        self.matrix.away = self.entities.away();
        self.matrix.born = self.entities.take_born();
        self.matrix.freed = self.entities.take_freed();
        self.resize();
        for slot in self.matrix.born.clone() {
            self.policies.forget(slot);
            self.matrix.labels[slot] = self.entities.labels(slot).clone();
        }
        self.fill_values();
        self.watch.look(store, &self.plan, self.matrix.slots(), now_ms, stale_after_ms);
        for slot in 0..self.matrix.slots() {
            if let Some(liveness) = self.watch.liveness(store, slot, now_ms) {
                self.watch.leave_out_ended(&mut self.matrix, slot);
                let has_begun = |feature| self.watch.has_begun(feature, slot);
                let is_unknown = |feature| self.plan.output(feature).is_err();
                let (matrix, times) = (&mut self.matrix, (now_ms, stale_after_ms));
                self.policies.settle(matrix, slot, times, liveness, has_begun, is_unknown);
            } else if self.entities.occupied(slot) {
                self.matrix.states[slot] = EntityState::Stale;
            }
        }
        &self.matrix
    }

    /// Brings the places of results and series up to date with what changed since the last time.
    fn place(&mut self) {
        for (i, mapping) in self.mappings.iter_mut().enumerate() {
            if let Ok(Value::Vector(vector)) = self.plan.output(i) {
                mapping.follow(vector.layout, &mut self.entities);
            }
        }
        self.watch.follow(&self.plan, &mut self.entities);
    }

    /// Makes the matrix as tall as the entity table.
    fn resize(&mut self) {
        let slots = self.entities.slots();
        self.policies.resize(slots);
        self.matrix.resize(slots);
    }

    fn fill_values(&mut self) {
        let (matrix, entities) = (&mut self.matrix, &self.entities);
        for (feature, mapped) in self.mappings.iter().enumerate() {
            let is_common = self.is_common[feature];
            let put_common = |matrix: &mut FeatureMatrix, value| {
                for slot in (0..matrix.slots()).filter(|slot| entities.occupied(*slot)) {
                    matrix.put(slot, feature, value, Provenance::Common);
                }
            };
            let (output, faults) = (self.plan.output(feature), self.plan.faults(feature));
            if output.is_ok() && !faults.is_empty() {
                matrix.errors.push((feature, faults.to_string()));
                for conflict in faults.list() {
                    for slot in entities.slots_of(&conflict.labels) {
                        matrix.spoil(slot, feature);
                    }
                }
            }
            match output {
                Err(error) => matrix.errors.push((feature, error.to_string())),
                Ok(Value::Scalar(value)) => put_common(matrix, value),
                Ok(Value::Vector(vector)) => {
                    let mut refused = 0;
                    let present = vector.values.iter().zip(vector.present).zip(&mapped.places);
                    for ((&value, _), place) in present.filter(|((_, present), _)| **present) {
                        match *place {
                            Assignment::Entity(slot) => {
                                matrix.put(slot as usize, feature, value, Provenance::Own);
                            }
                            Assignment::Nobody if is_common => put_common(matrix, value),
                            Assignment::Nobody => matrix.unplaced[feature] += 1,
                            Assignment::Refused => refused += 1,
                        }
                    }
                    // The feature that most have tells best how many they are.
                    matrix.refused = matrix.refused.max(refused);
                }
            }
        }
    }
}
