//! A window: the last feature vectors of an entity, one a step, oldest first.
//!
//! In: a feature matrix at every tick. Out: `[entities, window, features]` for the entities that are
//! complete now and were at each of the last steps, or nearly. Steps at which an entity had no
//! complete vector (a failed scrape, a missed tick) are bridged in a straight line from the vector
//! before them to the one after them, as long as that before is not older than the limit; a longer gap,
//! and a tick that is not a whole number of steps after the one before, restart the window: a model
//! that has learnt evenly spaced steps must not be shown others. The newest vector is always measured.

use super::matrix::{EntityState, FeatureMatrix};
use super::memory::WindowMemory;

/// The windows of all entities of one model.
#[derive(Debug)]
pub struct Windows {
    features: usize,
    length: usize,
    step_ms: i64,
    bridge_ms: i64,
    /// `[slot, length, features]`.
    rows: Vec<f32>,
    /// How many of a slot's rows, counted from its newest, are filled.
    filled: Vec<usize>,
    /// When the newest row of a slot was taken in; of no meaning while none is filled.
    last_ms: Vec<i64>,
    /// The newest row before the one that is taken in.
    before: Vec<f32>,
    ready: Vec<usize>,
}

impl Windows {
    /// Windows of so many steps of so many features. Missing steps are bridged between rows that are
    /// at most `bridge_ms` apart; a single one always is.
    #[must_use]
    pub fn new(length: usize, features: usize, step_ms: i64, bridge_ms: i64) -> Self {
        Self {
            features,
            length,
            step_ms,
            bridge_ms: bridge_ms.max(2 * step_ms),
            rows: Vec::new(),
            filled: Vec::new(),
            last_ms: Vec::new(),
            before: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// See [`Windows::new`]; from now on.
    pub fn set_bridge(&mut self, bridge_ms: i64) {
        self.bridge_ms = bridge_ms.max(2 * self.step_ms);
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<f32>()
            + (self.filled.capacity() + self.ready.capacity()) * size_of::<usize>()
            + self.last_ms.capacity() * size_of::<i64>()
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        (self.rows, self.filled, self.last_ms) = (Vec::new(), Vec::new(), Vec::new());
        self.ready = Vec::new();
    }

    /// The rows of a slot that are filled, for another that goes on with them.
    ///
    /// # Panics
    /// Beyond the slots there are.
    #[must_use]
    pub fn memory(&self, slot: usize) -> WindowMemory {
        let size = self.length * self.features;
        let filled = self.filled[slot] * self.features;
        let rows = self.rows[(slot + 1) * size - filled..(slot + 1) * size].to_vec();
        WindowMemory { last_ms: self.last_ms[slot], rows }
    }

    /// Fills the window of a slot, room for which is made, with what another had. What is not of such
    /// windows leaves it empty.
    pub fn restore(&mut self, slot: usize, memory: &WindowMemory) {
        let size = self.length * self.features;
        let slots = self.filled.len().max(slot + 1);
        self.rows.resize(slots * size, 0.0);
        self.filled.resize(slots, 0);
        self.last_ms.resize(slots, 0);
        let rows = &memory.rows;
        let fits = rows.len() <= size && rows.len().is_multiple_of(self.features);
        let filled = if fits { rows.len() } else { 0 };
        let end = (slot + 1) * size;
        self.rows[end - filled..end].copy_from_slice(&rows[..filled]);
        (self.filled[slot], self.last_ms[slot]) = (filled / self.features, memory.last_ms);
    }

    /// Takes in the matrix of one tick.
    pub fn push(&mut self, matrix: &FeatureMatrix, now_ms: i64) {
        self.rows.resize(matrix.slots() * self.length * self.features, 0.0);
        self.filled.resize(matrix.slots(), 0);
        self.last_ms.resize(matrix.slots(), now_ms);
        for slot in matrix.born() {
            self.filled[*slot] = 0;
        }
        self.ready.clear();
        for slot in 0..matrix.slots() {
            if matrix.state(slot) != EntityState::Complete {
                continue;
            }
            self.take(slot, matrix.row(slot).iter().map(|it| *it as f32), now_ms);
            if self.filled[slot] == self.length {
                self.ready.push(slot);
            }
        }
    }

    /// Takes a row of a slot, and bridges what is missing before it.
    fn take(&mut self, slot: usize, row: impl Iterator<Item = f32>, now_ms: i64) {
        let size = self.length * self.features;
        let missing = self.missing(slot, now_ms);
        let rows = &mut self.rows[slot * size..][..size];
        self.before.clear();
        self.before.extend_from_slice(&rows[size - self.features..]);
        // What is farther back than the window does not matter.
        let steps = (missing + 1).min(self.length);
        rows.copy_within(steps * self.features.., 0);
        let newest = &mut rows[size - self.features..];
        newest.iter_mut().zip(row).for_each(|(to, from)| *to = from);
        bridge(rows, &self.before, missing);
        self.last_ms[slot] = now_ms;
        self.filled[slot] = self.length.min(self.filled[slot] + missing + 1);
    }

    /// Puts what another had before what a slot has, whose rows follow as if they came now; where they do
    /// not follow they stay as they are. Gives the rows that came after the other's, with their times.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn precede(&mut self, slot: usize, past: &WindowMemory) -> Vec<(i64, Vec<f32>)> {
        let WindowMemory { last_ms, rows } = self.memory(slot);
        self.restore(slot, past);
        let after_ms = if self.filled[slot] > 0 { past.last_ms } else { i64::MIN };
        let rows = rows.chunks_exact(self.features);
        let first_ms = last_ms.saturating_sub((rows.len() as i64 - 1).saturating_mul(self.step_ms));
        let rows = (0..).zip(rows).map(|(i, row)| (first_ms + i * self.step_ms, row.to_vec()));
        let later: Vec<(i64, Vec<f32>)> = rows.filter(|(at_ms, _)| *at_ms > after_ms).collect();
        for (at_ms, row) in &later {
            self.take(slot, row.iter().copied(), *at_ms);
        }
        later
    }

    /// The slots with a full window, in order.
    #[must_use]
    pub fn ready(&self) -> &[usize] {
        &self.ready
    }

    /// Appends the full windows, in the order of [`Windows::ready`]: `[entities, window, features]`.
    pub fn gather_into(&self, gathered: &mut Vec<f32>) {
        let size = self.length * self.features;
        for slot in &self.ready {
            gathered.extend_from_slice(&self.rows[slot * size..][..size]);
        }
    }

    /// The steps that are missing since a slot's newest row; the window restarts after too many.
    fn missing(&mut self, slot: usize, now_ms: i64) -> usize {
        let elapsed_ms = now_ms.saturating_sub(self.last_ms[slot]);
        let follows = elapsed_ms > 0 && elapsed_ms % self.step_ms == 0;
        if self.filled[slot] == 0 || !follows || elapsed_ms > self.bridge_ms {
            self.filled[slot] = 0;
            return 0;
        }
        (elapsed_ms / self.step_ms - 1) as usize
    }
}

/// Fills the rows for the steps that are missing between a row and the newest one, in a straight line.
///
/// # NaN
/// Where a feature is missing at either end.
fn bridge(rows: &mut [f32], before: &[f32], missing: usize) {
    let features = before.len();
    let (earlier, newest) = rows.split_at_mut(rows.len() - features);
    for (i, row) in earlier.rchunks_exact_mut(features).take(missing).enumerate() {
        let share = (i + 1) as f32 / (missing + 1) as f32;
        for ((cell, before), now) in row.iter_mut().zip(before).zip(&*newest) {
            *cell = now + (before - now) * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of four steps of one second of one feature that bridges two steps, with one row at each of
    /// these times that holds it, and what it holds after a past was put before it.
    #[track_caller]
    fn check(now: &[i64], past: &[i64], expected: &[f32], later: usize) {
        let window = |times: &[i64]| {
            let mut windows = Windows::new(4, 1, 1_000, 3_000);
            windows.restore(0, &WindowMemory::default());
            times.iter().for_each(|at| windows.take(0, [*at as f32].into_iter(), at * 1_000));
            windows
        };
        let mut windows = window(now);
        let rows = windows.precede(0, &window(past).memory(0));
        assert_eq!(windows.memory(0).rows, expected, "{now:?} after {past:?}");
        assert_eq!(rows.len(), later, "{now:?} after {past:?}");
    }

    #[test]
    fn rows_follow_those_of_the_past() {
        check(&[5, 6], &[1, 2, 3, 4], &[3.0, 4.0, 5.0, 6.0], 2);
        // Both saw some of them.
        check(&[3, 4, 5, 6], &[1, 2, 3, 4], &[3.0, 4.0, 5.0, 6.0], 2);
        check(&[3, 4], &[1, 2, 3, 4], &[1.0, 2.0, 3.0, 4.0], 0);
        // A gap that is bridged, and one that is not.
        check(&[6, 7], &[1, 2, 3], &[4.0, 5.0, 6.0, 7.0], 2);
        check(&[7, 8], &[1, 2, 3], &[7.0, 8.0], 2);
        // Nothing on either side.
        check(&[], &[1, 2, 3], &[1.0, 2.0, 3.0], 0);
        check(&[7, 8], &[], &[7.0, 8.0], 2);
    }

    #[test]
    fn rows_that_lie_between_steps_begin_anew() {
        let mut windows = Windows::new(4, 1, 1_000, 3_000);
        windows.restore(0, &WindowMemory { last_ms: 5_500, rows: vec![5.5] });
        windows.precede(0, &WindowMemory { last_ms: 5_000, rows: vec![3.0, 4.0, 5.0] });
        assert_eq!(windows.memory(0), WindowMemory { last_ms: 5_500, rows: vec![5.5] });
    }
}
