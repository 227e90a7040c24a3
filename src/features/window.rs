//! A window: the last feature vectors of an entity, one a tick, oldest first.
//!
//! In: a feature matrix at every tick. Out: `[entities, window, features]` for the entities that
//! were complete at each of the last ticks. A tick at which an entity is not complete, and a tick
//! that is not exactly one step after the one before, begin its window anew: a model that has
//! learnt evenly spaced steps must not be shown others.

use ndarray::ArrayView3;

use super::matrix::{EntityState, FeatureMatrix};

/// The windows of all entities of one model.
#[derive(Debug)]
pub struct Windows {
    features: usize,
    length: usize,
    step_ms: i64,
    last_ms: Option<i64>,
    /// `[slot, length, features]`.
    rows: Vec<f32>,
    /// How many of a slot's rows, counted from its newest, are filled.
    filled: Vec<usize>,
    ready: Vec<usize>,
    gathered: Vec<f32>,
}

impl Windows {
    /// Windows of so many steps of so many features.
    #[must_use]
    pub fn new(length: usize, features: usize, step_ms: i64) -> Self {
        Self {
            features,
            length,
            step_ms,
            last_ms: None,
            rows: Vec::new(),
            filled: Vec::new(),
            ready: Vec::new(),
            gathered: Vec::new(),
        }
    }

    /// Takes in the matrix of one tick.
    pub fn push(&mut self, matrix: &FeatureMatrix, now_ms: i64) {
        let size = self.length * self.features;
        self.rows.resize(matrix.slots() * size, 0.0);
        self.filled.resize(matrix.slots(), 0);
        let in_step = self.last_ms.is_some_and(|last| now_ms.wrapping_sub(last) == self.step_ms);
        if !in_step {
            self.filled.fill(0);
        }
        self.last_ms = Some(now_ms);
        for slot in matrix.born() {
            self.filled[*slot] = 0;
        }
        self.ready.clear();
        for slot in 0..matrix.slots() {
            if matrix.state(slot) != EntityState::Complete {
                self.filled[slot] = 0;
                continue;
            }
            let rows = &mut self.rows[slot * size..][..size];
            rows.copy_within(self.features.., 0);
            let newest = &mut rows[size - self.features..];
            for (to, from) in newest.iter_mut().zip(matrix.row(slot)) {
                *to = *from as f32;
            }
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
}
