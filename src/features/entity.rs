//! An entity: what gets one score, told apart by the values of the entity labels.
//!
//! In: label sets of series and of expression results. Out: a dense slot for each entity that
//! something refers to. Slots are stable while referred to and used again afterwards.

use std::collections::HashMap;

use crate::labels::Labels;

/// Where an element of a vector belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// To the entity in this slot.
    Entity(usize),
    /// It lacks one of the entity labels: to nobody.
    Nobody,
}

/// The entities that some layout or series refers to.
#[derive(Debug, Default)]
pub(super) struct EntityTable {
    names: Vec<String>,
    /// A free slot has no references and keeps the labels of its last entity.
    slots: Vec<(Labels, usize)>,
    index: HashMap<Labels, usize>,
    free: Vec<usize>,
    /// Slots that were given to an entity since the last [`EntityTable::take_born`].
    born: Vec<usize>,
}

impl EntityTable {
    /// A table of entities told apart by these labels.
    pub(super) fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), ..Self::default() }
    }

    /// How many slots there are, free ones included.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether the slot has an entity at the moment.
    pub(super) fn occupied(&self, slot: usize) -> bool {
        self.slots[slot].1 > 0
    }

    /// The entity's labels.
    pub(super) fn labels(&self, slot: usize) -> &Labels {
        &self.slots[slot].0
    }

    /// Places a label set and, when it belongs to an entity, adds a reference to that.
    pub(super) fn acquire(&mut self, labels: &Labels) -> Place {
        let key = labels.filtered(|name| self.names.iter().any(|n| n == name));
        if key.len() != self.names.len() {
            return Place::Nobody;
        }
        let slot = match self.index.get(&key) {
            Some(slot) => *slot,
            None => self.create(key),
        };
        self.slots[slot].1 += 1;
        Place::Entity(slot)
    }

    /// Gives one reference back; the slot is free after the last.
    pub(super) fn release(&mut self, place: Place) {
        let Place::Entity(slot) = place else { return };
        let (labels, references) = &mut self.slots[slot];
        *references -= 1;
        if *references == 0 {
            self.index.remove(labels);
            self.free.push(slot);
        }
    }

    /// The slots of all entities whose labels agree with these, as far as these have them; none
    /// without any of the entity labels.
    pub(super) fn slots_of(&self, labels: &Labels) -> Vec<usize> {
        let key = labels.filtered(|name| self.names.iter().any(|n| n == name));
        if key.len() == self.names.len() {
            return self.index.get(&key).copied().into_iter().collect();
        }
        let agrees = |entity: &Labels| key.iter().all(|(name, value)| entity.get(name) == value);
        let slots = (0..self.slots.len()).filter(|slot| !key.is_empty() && self.occupied(*slot));
        slots.filter(|slot| agrees(self.labels(*slot))).collect()
    }

    /// The slots that have a new entity since the last call, for state kept beside the table.
    pub(super) fn take_born(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.born)
    }

    fn create(&mut self, key: Labels) -> usize {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = (key.clone(), 0);
                slot
            }
            None => {
                self.slots.push((key.clone(), 0));
                self.slots.len() - 1
            }
        };
        self.index.insert(key, slot);
        self.born.push(slot);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
    }

    #[test]
    fn places_by_the_entity_labels_alone() {
        let mut table = EntityTable::new(&["job".to_owned(), "instance".to_owned()]);
        let a = table.acquire(&labels(&[("job", "n"), ("instance", "a"), ("cpu", "0")]));
        let again = table.acquire(&labels(&[("job", "n"), ("instance", "a"), ("cpu", "1")]));
        assert_eq!((a, again), (Place::Entity(0), Place::Entity(0)));
        assert_eq!(table.acquire(&Labels::empty()), Place::Nobody);
        assert_eq!(table.acquire(&labels(&[("instance", "a")])), Place::Nobody);
        assert_eq!(table.labels(0), &labels(&[("job", "n"), ("instance", "a")]));
        for (pairs, slots) in [
            (&[("job", "n"), ("instance", "a"), ("pod", "p")][..], &[0][..]),
            (&[("instance", "a")], &[0]),
            (&[("instance", "b")], &[]),
            (&[("pod", "p")], &[]),
        ] {
            assert_eq!(table.slots_of(&labels(pairs)), slots, "{pairs:?}");
        }
        assert_eq!(table.take_born(), [0]);
    }

    #[test]
    fn a_slot_is_free_after_its_last_reference() {
        let mut table = EntityTable::new(&["instance".to_owned()]);
        let a = table.acquire(&labels(&[("instance", "a")]));
        table.acquire(&labels(&[("instance", "a")]));
        table.release(a);
        assert_eq!(table.acquire(&labels(&[("instance", "b")])), Place::Entity(1));
        table.release(a);
        assert_eq!(table.acquire(&labels(&[("instance", "c")])), Place::Entity(0));
        assert_eq!(table.take_born(), [0, 1, 0]);
    }
}
