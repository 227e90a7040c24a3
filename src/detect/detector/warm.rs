//! A warm detector: gives a detector the past of an entity that it has seen only for a short time.
//!
//! In: what another detector remembers of the entity after a replay of its history (see [`crate::detect`]'s
//! `warm`). Out: memory as if the entity had been seen all along and had been silent between the end of the
//! history and its first rows here. Nothing is lost: rows that were taken in here follow those of the past,
//! and if there is too much time between, the new memory stays as it is.

use super::Detector;
use crate::detect::memory::EntityMemory;

impl Detector {
    /// Puts what was remembered elsewhere of the entity in a slot before what is remembered of it here.
    ///
    /// # Panics
    /// Beyond the slots that were judged.
    pub fn precede(&mut self, slot: usize, past: &EntityMemory) {
        let known = self.known.of(&past.entity);
        self.inputs.precede(slot, known, past);
        self.mean.precede(slot, &past.smoothing, past.errors);
        if let (Some(hours), Some(past)) = (&mut self.hours, &past.hours) {
            let mut past = past.clone();
            if let Some(here) = hours.memory(slot).filter(|it| it.hour == past.hour)
                && let (Some(largest), Some(last)) = (past.largest.last_mut(), here.largest.last())
            {
                *largest = largest.max(*last);
            }
            hours.restore(slot, &past);
        }
        self.still.iter_mut().for_each(|it| it.precede(slot, &past.still));
        let scored_ms = self.last_scores.memory(slot).max(past.scored_ms);
        let silent_until_ms = self.last_scores.silent_until_ms();
        self.last_scores.restore(slot, scored_ms, silent_until_ms);
    }
}
