//! A window: the last feature vectors of an entity, one a step, oldest first.
//!
//! In: a feature matrix at every tick. Out: `[entities, window, features]` for the entities that are
//! complete now and were at each of the last steps, or nearly. Steps at which an entity had no
//! complete vector (a failed scrape, a missed tick) are bridged in a straight line from the vector
//! before them to the one after them, as long as that before is not older than the limit; a longer gap,
//! and a tick that is not a whole number of steps after the one before, begin the window anew: a model
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
        let size = self.length * self.features;
        self.rows.resize(matrix.slots() * size, 0.0);
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
            let missing = self.missing(slot, now_ms);
            let rows = &mut self.rows[slot * size..][..size];
            self.before.clear();
            self.before.extend_from_slice(&rows[size - self.features..]);
            // What is farther back than the window does not matter.
            let steps = (missing + 1).min(self.length);
            rows.copy_within(steps * self.features.., 0);
            let newest = &mut rows[size - self.features..];
            for (to, from) in newest.iter_mut().zip(matrix.row(slot)) {
                *to = *from as f32;
            }
            bridge(rows, &self.before, missing);
            self.last_ms[slot] = now_ms;
            self.filled[slot] = self.length.min(self.filled[slot] + missing + 1);
            if self.filled[slot] == self.length {
                self.ready.push(slot);
            }
        }
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

    /// The steps that are missing since a slot's newest row; the window begins anew after too many.
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
