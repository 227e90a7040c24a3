//! Smoothing: the exponentially weighted mean of an entity's recent rows of values.
//!
//! In: a row a tick and slot, such as the score and each feature's part of it. Out: the row
//! smoothed. Its weights fall by `1 - alpha` a step, `alpha = 2 / (span + 1)`, and sum to 1 from
//! the first row on: the first is given as it is, and has no influence for longer than others.
//! Smoothing is linear: if a row's parts sum to its score, the smoothed ones do as well.
//!
//! Invariants: a gap longer than the configured one restarts the mean, as rows before it say nothing about
//! now; a row that is not finite is ignored.
//!
//! Memory: `4 width + 16` bytes a slot.
//!
//! Source: pandas' `ewm(span, adjust=True)` defines the same mean.

use super::memory::MeanMemory;

/// Smoothed rows of all entities, by slot.
#[derive(Debug, Clone)]
pub struct Smoothing {
    alpha: f32,
    width: usize,
    gap_ms: i64,
    states: Vec<State>,
    /// Means by slot and column.
    means: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    last_ms: i64,
    /// The sum of the weights if the newest one is alpha: 0 before the first row, 1 after many.
    weight: f32,
}

const FRESH: State = State { last_ms: i64::MIN, weight: 0.0 };

impl Smoothing {
    /// Smoothing over `span` steps, 1 for none, of rows of `width` values. Rows that are farther
    /// apart than `gap_ms` have nothing to do with one another.
    ///
    /// A span below 1, or NaN, counts as 1.
    #[must_use]
    pub fn new(span: f64, width: usize, gap_ms: i64) -> Self {
        let alpha = (2.0 / (span.max(1.0) + 1.0)) as f32;
        Self { alpha, width, gap_ms, states: Vec::new(), means: Vec::new() }
    }

    /// Values of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.states.capacity() * size_of::<State>() + self.means.capacity() * size_of::<f32>()
    }

    /// Forgets all slots.
    pub(super) fn clear(&mut self) {
        (self.states, self.means) = (Vec::new(), Vec::new());
    }

    /// Makes room for so many slots. New ones are fresh.
    pub fn resize(&mut self, slots: usize) {
        self.states.resize(slots, FRESH);
        self.means.resize(slots * self.width, 0.0);
    }

    /// Forgets a slot's past: another entity has it now.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn reset(&mut self, slot: usize) {
        self.states[slot] = FRESH;
    }

    /// The mean of a slot, for another that goes on with it.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub(super) fn memory(&self, slot: usize) -> MeanMemory {
        let State { last_ms, weight } = self.states[slot];
        let means = &self.means[slot * self.width..][..self.width];
        // Before the first row there is nothing.
        let means = if weight > 0.0 { means.to_vec() } else { Vec::new() };
        MeanMemory { last_ms, weight, means }
    }

    /// Gives a slot the mean that another had; one of other rows leaves it fresh.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub(super) fn restore(&mut self, slot: usize, memory: &MeanMemory) {
        let MeanMemory { last_ms, weight, means } = memory;
        let is_sound = means.iter().all(|it| it.is_finite()) && (0.0..=1.0).contains(weight);
        if means.len() == self.width && is_sound {
            self.states[slot] = State { last_ms: *last_ms, weight: *weight };
            self.means[slot * self.width..][..self.width].copy_from_slice(means);
        }
    }

    /// Whether what a slot has has nothing to do with what another had before; both have something.
    ///
    /// # Panics
    /// Beyond the slots there are.
    #[must_use]
    pub(super) fn is_apart(&self, slot: usize, past: &MeanMemory) -> bool {
        let State { last_ms, weight } = self.states[slot];
        let has_both = weight > 0.0 && past.weight > 0.0;
        has_both && last_ms.saturating_sub(past.last_ms) > self.gap_ms
    }

    /// Whether a row at this time would have nothing to do with those before it, or be the first.
    ///
    /// # Panics
    /// Beyond the slots there are.
    #[must_use]
    pub fn begins(&self, slot: usize, now_ms: i64) -> bool {
        let State { last_ms, weight } = self.states[slot];
        let elapsed_ms = now_ms.saturating_sub(last_ms);
        // A clock that was set back is a gap as well.
        weight == 0.0 || !(0..=self.gap_ms).contains(&elapsed_ms)
    }

    /// Takes a row and gives it smoothed; `None` for a row that is not finite, which leaves the
    /// slot as it was.
    ///
    /// # Panics
    /// With a row of another width, or beyond the slots there are.
    pub fn push(&mut self, slot: usize, now_ms: i64, row: &[f32]) -> Option<&[f32]> {
        assert_eq!(row.len(), self.width, "a row is as wide as was said");
        if row.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let begins = self.begins(slot, now_ms);
        let state = &mut self.states[slot];
        if begins {
            state.weight = 0.0;
        }
        state.last_ms = now_ms;
        state.weight += self.alpha * (1.0 - state.weight);
        // 1 for the first row, whatever was there.
        let gain = self.alpha / state.weight;
        let means = &mut self.means[slot * self.width..][..self.width];
        for (mean, value) in means.iter_mut().zip(row) {
            *mean = gain * value + (1.0 - gain) * *mean;
        }
        Some(means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 15_000;

    /// `sum w_i x_i / sum w_i` with `w_i = (1 - alpha)^(age)`.
    fn weighted(values: &[f64], span: f64) -> f64 {
        let keep = 1.0 - 2.0 / (span + 1.0);
        let ages = (0..values.len()).rev();
        let weights: Vec<f64> = ages.map(|age| keep.powi(age as i32)).collect();
        let sum: f64 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
        sum / weights.iter().sum::<f64>()
    }

    #[track_caller]
    fn check(span: f64, values: &[f64]) {
        let mut smoothing = Smoothing::new(span, 2, 2 * STEP);
        smoothing.resize(2);
        for i in 0..values.len() {
            let row = [values[i] as f32, -values[i] as f32];
            let found = smoothing.push(1, i as i64 * STEP, &row).expect("a row").to_vec();
            let expected = weighted(&values[..=i], span);
            assert!((f64::from(found[0]) - expected).abs() < 1e-5 * expected.abs().max(1.0));
            assert_eq!(found[0], -found[1]);
        }
    }

    #[test]
    fn weights_sum_to_one_from_the_first_row_on() {
        let values: Vec<f64> = (0..500).map(|i| 1.0 + f64::from(i * 7919 % 101)).collect();
        check(10.0, &values);
        check(3.0, &values);
        check(1_000.0, &values);
        // No smoothing at all.
        check(1.0, &values);
        check(10.0, &[7.25]);
    }

    #[test]
    fn a_gap_begins_anew() {
        let mut smoothing = Smoothing::new(10.0, 1, 2 * STEP);
        smoothing.resize(1);
        assert!(smoothing.begins(0, 0));
        assert_eq!(smoothing.push(0, 0, &[4.0]), Some([4.0].as_slice()));
        assert!(!smoothing.begins(0, 2 * STEP));
        assert!(smoothing.begins(0, 2 * STEP + 1) && smoothing.begins(0, -1));
        let mut push = |now_ms, value: f32| smoothing.push(0, now_ms, &[value]).map(|row| row[0]);
        assert_ne!(push(2 * STEP, 8.0), Some(8.0));
        assert_eq!(push(4 * STEP + 1, 8.0), Some(8.0));
        assert_eq!(push(0, 2.0), Some(2.0));
        assert_eq!(push(i64::MAX, 3.0), Some(3.0));
        assert_eq!(push(i64::MIN, 5.0), Some(5.0));
        // What is not finite changes nothing, not even the time.
        assert_eq!(push(i64::MIN + STEP, f32::NAN), None);
        let after = push(i64::MIN + 2 * STEP, 6.0).expect("a row");
        assert!(after > 5.0 && after < 6.0, "{after}");
    }

    #[test]
    fn a_reset_slot_and_a_new_one_know_nothing() {
        let mut smoothing = Smoothing::new(10.0, 1, STEP);
        smoothing.resize(2);
        smoothing.push(0, 0, &[1.0]);
        smoothing.reset(0);
        assert_eq!(smoothing.push(0, STEP, &[9.0]), Some([9.0].as_slice()));
        smoothing.resize(1);
        smoothing.resize(2);
        assert_eq!(smoothing.push(1, STEP, &[9.0]), Some([9.0].as_slice()));
        assert_eq!(smoothing.push(0, 2 * STEP, &[9.0]), Some([9.0].as_slice()));
    }
}
