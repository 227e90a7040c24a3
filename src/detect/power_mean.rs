//! A power mean: the errors of an entity, and each feature's part of them, smoothed over time.
//!
//! In: at each step the error of an entity and the parts that sum to it. Out: the generalised mean of the
//! recent errors, `(mean of x^p)^(1/p)`, over all smoothings together, and its parts; nothing before a few
//! errors have been seen. At a power of 1 it is the arithmetic mean; without smoothing the error itself.
//!
//! Invariant: the parts sum to the mean, as they are raised and lowered by the same factor as the error.
//!
//! Source: Hardy, Littlewood and Polya, "Inequalities" (1934), chapter II.

use super::memory::MeanMemory;
use super::smoothing::Smoothing;
use crate::model::Metadata;

/// Errors are taken as belonging together over gaps of so many steps at least: a scrape or two may fail,
/// and the window takes some steps to fill again.
const GAP_STEPS: f64 = 30.0;

/// Errors beyond this count as this: their powers still have to fit float32.
const LARGEST_ERROR: f32 = 1e12;

/// More errors than this are not waited for before there is a score, however long the spans are.
const NEEDED: usize = 10;

/// The means of all entities, by slot.
#[derive(Debug)]
pub(super) struct PowerMean {
    power: f32,
    /// One for each span; they all begin at the same moments.
    smoothings: Vec<Smoothing>,
    /// Errors that were seen, by slot, as long as they are few.
    seen: Vec<usize>,
    /// How many have to be seen before there is a mean.
    needed: usize,
}

impl PowerMean {
    pub fn new(metadata: &Metadata, interval_ms: i64) -> Self {
        let spans = &metadata.smoothing;
        // A mistake here makes scores that nobody can explain; spans are at least 1.
        let gap_ms = gap_steps(spans).saturating_mul(interval_ms);
        let width = metadata.features.len() + 1;
        Self {
            power: metadata.smoothing_power as f32,
            smoothings: spans.iter().map(|span| Smoothing::new(*span, width, gap_ms)).collect(),
            seen: Vec::new(),
            needed: errors_needed(spans),
        }
    }

    /// Memory for the means.
    pub fn bytes(&self) -> usize {
        self.smoothings.iter().map(Smoothing::bytes).sum()
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        self.smoothings.iter_mut().for_each(Smoothing::clear);
        self.seen = Vec::new();
    }

    pub fn slots(&self) -> usize {
        self.seen.len()
    }

    /// Makes room for so many slots. New ones are fresh.
    pub fn resize(&mut self, slots: usize) {
        self.seen.resize(slots, 0);
        self.smoothings.iter_mut().for_each(|it| it.resize(slots));
    }

    /// Forgets a slot's past: another entity has it now.
    pub fn reset(&mut self, slot: usize) {
        self.seen[slot] = 0;
        self.smoothings.iter_mut().for_each(|it| it.reset(slot));
    }

    /// What is remembered of a slot, and how many errors it has seen.
    pub fn memory(&self, slot: usize) -> (Vec<MeanMemory>, u32) {
        let means = self.smoothings.iter().map(|it| it.memory(slot)).collect();
        (means, self.seen[slot] as u32)
    }

    /// Gives a slot what was remembered of its entity elsewhere, instead of what it has.
    pub fn restore(&mut self, slot: usize, means: &[MeanMemory], errors: u32) {
        self.reset(slot);
        self.seen[slot] = self.needed.min(errors as usize);
        self.smoothings.iter_mut().zip(means).for_each(|(it, mean)| it.restore(slot, mean));
    }

    /// Puts what was remembered elsewhere before what a slot has, unless there is too much time between.
    pub fn precede(&mut self, slot: usize, means: &[MeanMemory], errors: u32) {
        if self.smoothings.iter().zip(means).any(|(it, past)| it.is_apart(slot, past)) {
            return;
        }
        // Before the first error there is nothing to go on with.
        let pairs = self.smoothings.iter_mut().zip(means).filter(|(_, past)| past.weight > 0.0);
        pairs.for_each(|(smoothing, past)| smoothing.restore(slot, past));
        self.seen[slot] = self.seen[slot].max(self.needed.min(errors as usize));
    }

    /// Takes the error and its parts, and gives the mean and its parts; `None` while too few were seen.
    ///
    /// # Panics
    /// Without an error, or beyond the slots there are.
    pub fn push(&mut self, slot: usize, now_ms: i64, parts: Vec<f32>) -> Option<Vec<f32>> {
        let begins = self.smoothings.first().is_some_and(|it| it.begins(slot, now_ms));
        let before = if begins { 0 } else { self.seen[slot] };
        self.seen[slot] = self.needed.min(before + 1);
        let mean = self.mean(slot, now_ms, parts);
        (self.seen[slot] >= self.needed).then_some(mean)
    }

    fn mean(&mut self, slot: usize, now_ms: i64, mut parts: Vec<f32>) -> Vec<f32> {
        if self.smoothings.is_empty() {
            return parts;
        }
        let width = parts.len();
        let raised = parts[0].min(LARGEST_ERROR).powf(self.power);
        scale(&mut parts, raised);
        // Graphs without contributions have no parts to smooth.
        parts.resize(self.smoothings[0].width(), 0.0);
        let mut sums = vec![0.0; width];
        let count = self.smoothings.len() as f32;
        for smoothing in &mut self.smoothings {
            let smoothed = smoothing.push(slot, now_ms, &parts).unwrap_or(&[]);
            sums.iter_mut().zip(smoothed).for_each(|(sum, value)| *sum += value / count);
        }
        let lowered = sums[0].powf(1.0 / self.power);
        scale(&mut sums, lowered);
        sums
    }
}

/// Scales a total and its parts so that the total is as given; nothing has no parts.
fn scale(parts: &mut [f32], total: f32) {
    if parts[0] > 0.0 {
        let factor = total / parts[0];
        parts.iter_mut().for_each(|part| *part *= factor);
    }
}

/// Errors of an entity that make its first score, where they are smoothed over these spans.
#[must_use]
pub fn errors_needed(smoothing: &[f64]) -> usize {
    let shortest = smoothing.iter().copied().fold(f64::INFINITY, f64::min);
    if smoothing.is_empty() { 1 } else { NEEDED.min(shortest.ceil() as usize) }
}

/// Over how many steps without an error smoothing over these spans goes on: as many as its longest mean
/// looks back, as the first errors alone after a shorter gap would say more than usual ones ever do.
fn gap_steps(smoothing: &[f64]) -> i64 {
    smoothing.iter().copied().fold(GAP_STEPS, f64::max) as i64
}
