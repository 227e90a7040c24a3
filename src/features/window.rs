//! A window: the last feature vectors of an entity, one a step, oldest first.
//!
//! In: a feature matrix at every tick. Out: `[entities, window, features]` for the entities that are
//! complete now and were at each of the last steps, or nearly. Steps at which an entity had no
//! complete vector (a failed scrape, a missed tick) are bridged by the vector before them, as long as
//! that is not older than the limit; a longer gap, and a tick that is not a whole number of steps
//! after the one before, begin the window anew: a model that has learnt evenly spaced steps must not
//! be shown others.

use ndarray::ArrayView3;

use super::matrix::{EntityState, FeatureMatrix};

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
    ready: Vec<usize>,
    gathered: Vec<f32>,
}

impl Windows {
    /// Windows of so many steps of so many features. A row may stand for the steps after it until it
    /// is `bridge_ms` old; one step is always bridged.
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
            ready: Vec::new(),
            gathered: Vec::new(),
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.rows.capacity() + self.gathered.capacity()) * size_of::<f32>()
            + (self.filled.capacity() + self.ready.capacity()) * size_of::<usize>()
            + self.last_ms.capacity() * size_of::<i64>()
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
            self.bridge(slot, now_ms);
            self.shift(slot);
            let newest = &mut self.rows[slot * size..][size - self.features..size];
            for (to, from) in newest.iter_mut().zip(matrix.row(slot)) {
                *to = *from as f32;
            }
            self.last_ms[slot] = now_ms;
            self.filled[slot] = self.length.min(self.filled[slot] + 1);
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

    /// The full windows in the order of [`Windows::ready`]: `[entities, window, features]`.
    pub fn gather(&mut self) -> ArrayView3<'_, f32> {
        let size = self.length * self.features;
        self.gathered.clear();
        for slot in &self.ready {
            self.gathered.extend_from_slice(&self.rows[slot * size..][..size]);
        }
        let shape = (self.ready.len(), self.length, self.features);
        ArrayView3::from_shape(shape, &self.gathered).expect("one window for each ready slot")
    }

    /// Repeats the newest row for the steps since, or begins anew.
    fn bridge(&mut self, slot: usize, now_ms: i64) {
        if self.filled[slot] == 0 {
            return;
        }
        let elapsed_ms = now_ms.saturating_sub(self.last_ms[slot]);
        if elapsed_ms <= 0 || elapsed_ms > self.bridge_ms || elapsed_ms % self.step_ms != 0 {
            self.filled[slot] = 0;
            return;
        }
        let missing = (elapsed_ms / self.step_ms - 1) as usize;
        for _ in 0..missing.min(self.length) {
            // The newest row stays where it is and moves one step back as well.
            self.shift(slot);
        }
        self.filled[slot] = self.length.min(self.filled[slot] + missing);
    }

    /// Moves a slot's rows one step back; the newest stands twice then.
    fn shift(&mut self, slot: usize) {
        let size = self.length * self.features;
        self.rows[slot * size..][..size].copy_within(self.features.., 0);
    }
}
