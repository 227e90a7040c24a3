//! An entity: what gets one score, told apart by the values of the entity labels.
//!
//! In: label sets of series and of expression results. Out: a dense slot for each entity that
//! something refers to. An entity that nothing refers to any more, as its series have been evicted, is
//! away: its slot stays reserved for it, so that all that is remembered by slot goes on where it was
//! when it returns. Only a slot whose entity is forgotten goes to another.
//!
//! Invariants: a slot has one entity until that is forgotten; an entity is forgotten when it has been
//! away for as long as the limit, or when too many are away and it is the one that has been for the
//! longest.

use std::collections::{BTreeSet, HashMap};

use crate::duration::HOUR_MS;
use crate::labels::Labels;

/// Entities are remembered for so long at the least: a reboot, an upgrade or a broken network takes
/// minutes, and seldom an hour.
pub const LEAST_MEMORY_MS: i64 = HOUR_MS;

/// So many entities may be away at any time, beside as many as have ever been there at once. Few
/// enough to cost little, more than a fleet of pods replaces in a roll-out.
const ALWAYS_AWAY: usize = 1_000;

/// Where an element of a vector belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assignment {
    /// To the entity in this slot.
    Entity(u32),
    /// It lacks one of the entity labels: to nobody.
    Nobody,
    /// To an entity that there is no room for.
    Refused,
}

/// A slot and its entity, or its last one when it is free.
#[derive(Debug)]
struct Slot {
    labels: Labels,
    references: usize,
    /// When the last reference was given back; of no meaning while there are any.
    left_ms: i64,
}

/// The entities that some layout or series refers to or lately has.
#[derive(Debug, Default)]
pub(super) struct EntityTable {
    names: Vec<String>,
    slots: Vec<Slot>,
    /// Entities that are there or away.
    index: HashMap<Labels, usize>,
    /// Entities that are away, as `(left_ms, slot)`: who has been for the longest comes first.
    away: BTreeSet<(i64, usize)>,
    free: Vec<usize>,
    /// Slots that were given to an entity since the last [`EntityTable::take_born`].
    born: Vec<usize>,
    /// Slots whose entity was forgotten since the last [`EntityTable::take_freed`].
    freed: Vec<usize>,
    remember_ms: i64,
    /// Entities that may be there and away at any time.
    most: usize,
    /// Whether some were refused since there was room.
    refuses: bool,
    now_ms: i64,
    /// How many entities were there at a time, at most. Room for as many has been made anyway.
    most_present: usize,
}

impl EntityTable {
    /// A table of entities told apart by these labels, and remembered for so long.
    pub(super) fn new(names: &[String], remember_ms: i64) -> Self {
        Self { names: names.to_vec(), remember_ms, most: usize::MAX, ..Self::default() }
    }

    /// The labels that entities are told apart by.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many slots there are, free ones and those of entities that are away included.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether the slot has an entity that is not away.
    pub(super) fn occupied(&self, slot: usize) -> bool {
        self.slots[slot].references > 0
    }

    /// The entity's labels.
    pub(super) fn labels(&self, slot: usize) -> &Labels {
        &self.slots[slot].labels
    }

    /// So many entities at most from now on; those that are there stay.
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Entities are remembered for so long from now on.
    pub(super) fn set_retention(&mut self, remember_ms: i64) {
        self.remember_ms = remember_ms;
    }

    /// Entities that are there or away.
    pub(super) fn known(&self) -> usize {
        self.index.len()
    }

    /// Whether somebody who was refused may try again. To be asked once before all of them do.
    pub(super) fn has_room_again(&mut self) -> bool {
        // Who is away makes way.
        self.index.len() - self.away.len() < self.most && std::mem::take(&mut self.refuses)
    }

    /// Whether some were refused since there was room.
    pub(super) fn refuses(&self) -> bool {
        self.refuses
    }

    /// Slots without an entity.
    pub(super) fn free_slots(&self) -> usize {
        self.free.len()
    }

    /// Forgets all entities and what refers to them.
    pub(super) fn clear(&mut self) {
        let (names, now_ms) = (std::mem::take(&mut self.names), self.now_ms);
        let (remember_ms, most) = (self.remember_ms, self.most);
        *self = Self { names, remember_ms, most, now_ms, ..Self::default() };
    }

    /// How many entities are away.
    pub(super) fn away(&self) -> usize {
        self.away.len()
    }

    /// It is so late now. Forgets who has been away for too long, then who is one too many; says how
    /// many the latter were.
    pub(super) fn pass(&mut self, now_ms: i64) -> usize {
        self.now_ms = now_ms;
        // A clock that was set back: who went in its future went now.
        for (left_ms, slot) in self.away.split_off(&(now_ms.saturating_add(1), 0)) {
            self.slots[slot].left_ms = left_ms.min(now_ms);
            self.away.insert((self.slots[slot].left_ms, slot));
        }
        let oldest_ms = now_ms.saturating_sub(self.remember_ms);
        while self.away.first().is_some_and(|(left_ms, _)| *left_ms <= oldest_ms) {
            self.forget_first();
        }
        let present = self.slots.len() - self.free.len() - self.away.len();
        self.most_present = self.most_present.max(present);
        let too_many = self.away.len().saturating_sub(self.most_present + ALWAYS_AWAY);
        (0..too_many).for_each(|_| self.forget_first());
        too_many
    }

    /// The entity of a slot, unless it is free, when it was there last, and whether it is away.
    pub(super) fn remembered(&self, slot: usize) -> Option<(&Labels, i64, bool)> {
        let Slot { labels, references, left_ms } = self.slots.get(slot)?;
        let is_there = *references > 0;
        let last_ms = if is_there { self.now_ms } else { *left_ms };
        // A free slot has the labels of its last entity.
        (is_there || self.index.get(labels) == Some(&slot)).then_some((labels, last_ms, !is_there))
    }

    /// The slot of an entity that is there.
    pub(super) fn present(&self, labels: &Labels) -> Option<usize> {
        self.index.get(labels).copied().filter(|slot| self.occupied(*slot))
    }

    /// An entity that went at this time and is remembered from elsewhere: it is away, and none that is
    /// born. Who was not away there makes room for as many to be away here. Gives its slot; nothing for
    /// labels that make no entity or have one already.
    pub(super) fn restore(
        &mut self,
        labels: &Labels,
        left_ms: i64,
        was_away: bool,
    ) -> Option<usize> {
        let is_entity = labels.len() == self.names.len()
            && self.names.iter().all(|name| !labels.get(name).is_empty());
        if !is_entity || self.index.contains_key(labels) || self.index.len() >= self.most {
            return None;
        }
        let slot = self.create(labels.clone());
        self.born.retain(|it| *it != slot);
        self.slots[slot].left_ms = left_ms;
        self.away.insert((left_ms, slot));
        self.most_present += usize::from(!was_away);
        Some(slot)
    }

    /// Places a label set and, when it belongs to an entity, adds a reference to that.
    pub(super) fn acquire(&mut self, labels: &Labels) -> Assignment {
        let key = labels.filtered(|name| self.names.iter().any(|n| n == name));
        if key.len() != self.names.len() {
            return Assignment::Nobody;
        }
        let slot = match self.index.get(&key) {
            Some(slot) => *slot,
            None => match self.makes_room() {
                true => self.create(key),
                false => {
                    self.refuses = true;
                    return Assignment::Refused;
                }
            },
        };
        let entity = &mut self.slots[slot];
        if entity.references == 0 {
            self.away.remove(&(entity.left_ms, slot));
        }
        entity.references += 1;
        Assignment::Entity(slot as u32)
    }

    /// Gives one reference back; the entity is away after the last.
    pub(super) fn release(&mut self, place: Assignment) {
        let Assignment::Entity(slot) = place else { return };
        let slot = slot as usize;
        let entity = &mut self.slots[slot];
        entity.references -= 1;
        if entity.references == 0 {
            entity.left_ms = self.now_ms;
            self.away.insert((self.now_ms, slot));
        }
    }

    /// The slots of all entities that are there and whose labels agree with these, as far as these
    /// have them; none without any of the entity labels.
    pub(super) fn slots_of(&self, labels: &Labels) -> Vec<usize> {
        let key = labels.filtered(|name| self.names.iter().any(|n| n == name));
        if key.len() == self.names.len() {
            let slot = self.index.get(&key).copied();
            return slot.filter(|slot| self.occupied(*slot)).into_iter().collect();
        }
        let agrees = |entity: &Labels| key.iter().all(|(name, value)| entity.get(name) == value);
        let slots = (0..self.slots.len()).filter(|slot| !key.is_empty() && self.occupied(*slot));
        slots.filter(|slot| agrees(self.labels(*slot))).collect()
    }

    /// The slots that have a new entity since the last call, for state kept beside the table.
    pub(super) fn take_born(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.born)
    }

    /// The slots whose entity was forgotten since the last call.
    pub(super) fn take_freed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.freed)
    }

    /// Whether there is room for one more, if need be after whoever has been away for the longest is
    /// forgotten.
    fn makes_room(&mut self) -> bool {
        if self.index.len() >= self.most {
            self.forget_first();
        }
        self.index.len() < self.most
    }

    /// Forgets who has been away for the longest.
    fn forget_first(&mut self) {
        if let Some((_, slot)) = self.away.pop_first() {
            self.index.remove(&self.slots[slot].labels);
            self.free.push(slot);
            self.freed.push(slot);
        }
    }

    fn create(&mut self, key: Labels) -> usize {
        let entity = Slot { labels: key.clone(), references: 0, left_ms: self.now_ms };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = entity;
                slot
            }
            None => {
                self.slots.push(entity);
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
        let mut table = EntityTable::new(&["job".to_owned(), "instance".to_owned()], HOUR);
        let a = table.acquire(&labels(&[("job", "n"), ("instance", "a"), ("cpu", "0")]));
        let again = table.acquire(&labels(&[("job", "n"), ("instance", "a"), ("cpu", "1")]));
        assert_eq!((a, again), (Assignment::Entity(0), Assignment::Entity(0)));
        assert_eq!(table.acquire(&Labels::empty()), Assignment::Nobody);
        assert_eq!(table.acquire(&labels(&[("instance", "a")])), Assignment::Nobody);
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

    const HOUR: i64 = LEAST_MEMORY_MS;

    fn table() -> EntityTable {
        EntityTable::new(&["instance".to_owned()], HOUR)
    }

    fn acquire(table: &mut EntityTable, instance: &str) -> usize {
        match table.acquire(&labels(&[("instance", instance)])) {
            Assignment::Entity(slot) => slot as usize,
            other => panic!("{instance} is {other:?}"),
        }
    }

    #[test]
    fn a_slot_is_reserved_after_its_last_reference_until_the_limit() {
        let mut table = table();
        table.pass(0);
        assert_eq!((acquire(&mut table, "a"), acquire(&mut table, "a")), (0, 0));
        table.release(Assignment::Entity(0));
        assert!(table.occupied(0));
        table.release(Assignment::Entity(0));
        assert_eq!((table.occupied(0), table.away()), (false, 1));
        assert!(table.slots_of(&labels(&[("instance", "a")])).is_empty());
        assert_eq!(acquire(&mut table, "b"), 1);
        assert_eq!(table.take_born(), [0, 1]);
        // The same entity returns, and goes again.
        assert_eq!(table.pass(HOUR - 1), 0);
        assert_eq!(acquire(&mut table, "a"), 0);
        assert_eq!((table.occupied(0), table.away()), (true, 0));
        assert!(table.take_born().is_empty());
        table.release(Assignment::Entity(0));
        table.pass(2 * HOUR - 2);
        assert!(table.take_freed().is_empty());
        assert_eq!(acquire(&mut table, "c"), 2);
        table.pass(2 * HOUR - 1);
        assert_eq!((table.away(), table.take_freed()), (0, vec![0]));
        assert_eq!((acquire(&mut table, "d"), acquire(&mut table, "a")), (0, 3));
        assert_eq!(table.take_born(), [2, 0, 3]);
    }

    #[test]
    fn beyond_the_limit_who_is_away_makes_way_and_others_wait() {
        let mut table = table();
        table.pass(0);
        table.set_most(2);
        assert_eq!((acquire(&mut table, "a"), acquire(&mut table, "b")), (0, 1));
        let c = labels(&[("instance", "c")]);
        assert!(!table.has_room_again());
        assert_eq!(table.acquire(&c), Assignment::Refused);
        table.release(Assignment::Refused);
        assert!(!table.has_room_again(), "both are there");
        assert_eq!(table.restore(&c, 0, false), None);
        table.release(Assignment::Entity(0));
        assert!(table.has_room_again() && !table.has_room_again());
        assert_eq!(acquire(&mut table, "c"), 0);
        assert_eq!(
            (table.away(), table.take_freed(), table.take_born()),
            (0, vec![0], vec![0, 1, 0])
        );
        // What is there stays when the limit falls.
        table.set_most(1);
        assert_eq!((acquire(&mut table, "b"), table.slots()), (1, 2));
    }

    #[test]
    fn who_went_in_the_future_of_a_clock_is_forgotten_in_time() {
        let mut table = table();
        table.pass(1_000 * HOUR);
        acquire(&mut table, "a");
        table.release(Assignment::Entity(0));
        table.pass(0);
        assert_eq!(acquire(&mut table, "a"), 0);
        table.release(Assignment::Entity(0));
        table.pass(-HOUR);
        table.pass(-1);
        assert_eq!(table.away(), 1);
        table.pass(0);
        assert_eq!((table.away(), acquire(&mut table, "b")), (0, 0));
        table.release(Assignment::Entity(0));
        for now_ms in [i64::MAX, i64::MIN, i64::MAX] {
            table.pass(now_ms);
        }
        assert_eq!(table.away(), 0);
    }

    #[test]
    fn who_has_been_away_for_the_longest_makes_room() {
        let mut table = table();
        table.pass(0);
        for host in 0..10 {
            acquire(&mut table, &format!("host {host}"));
        }
        let most = 10 + ALWAYS_AWAY;
        let mut forgotten = 0;
        for pod in 0..5_000 {
            forgotten += table.pass(pod);
            assert!(table.away() <= most);
            let slot = acquire(&mut table, &format!("pod {pod}"));
            table.release(Assignment::Entity(slot as u32));
        }
        assert_eq!(forgotten, 5_000 - 1 - most);
        assert_eq!(table.slots(), 10 + most + 1);
        table.take_born();
        acquire(&mut table, "pod 4999");
        assert!(table.take_born().is_empty());
        acquire(&mut table, "pod 1");
        assert_eq!(table.take_born().len(), 1);
    }

    #[test]
    fn a_fleet_that_is_away_as_a_whole_is_remembered() {
        let mut table = table();
        let fleet: Vec<String> = (0..3_000).map(|host| format!("host {host}")).collect();
        let come = |table: &mut EntityTable| -> Vec<usize> {
            fleet.iter().map(|host| acquire(table, host)).collect()
        };
        table.pass(0);
        let slots = come(&mut table);
        assert_eq!((table.pass(1), table.take_born().len()), (0, 3_000));
        slots.iter().for_each(|slot| table.release(Assignment::Entity(*slot as u32)));
        assert_eq!((table.pass(2), table.away()), (0, 3_000));
        assert_eq!(come(&mut table), slots);
        assert!(table.take_born().is_empty());
    }
    /// A roll-out of pods day by day, over as many restarts: room is made for who was there, not for who was
    /// away already.
    #[test]
    fn restarts_make_no_room_for_ever_more() {
        let mut table = table();
        let pod = |day: i64, pod: usize| labels(&[("instance", &format!("{day} {pod}"))]);
        for day in 0..20 {
            table.pass(day);
            let slots: Vec<Assignment> = (0..500).map(|i| table.acquire(&pod(day, i))).collect();
            table.pass(day);
            // Everything is taken to the next start, at which nobody is there.
            let mut next = self::table();
            for slot in 0..table.slots() {
                if let Some((entity, left_ms, is_away)) = table.remembered(slot) {
                    assert!(next.restore(entity, left_ms, is_away).is_some());
                }
            }
            slots.into_iter().for_each(|slot| table.release(slot));
            next.pass(day);
            table = next;
        }
        assert_eq!(table.away(), 500 + ALWAYS_AWAY);
    }
}
