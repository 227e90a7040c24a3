//! Values: what the network is trained on, put together into windows as they are needed.
//!
//! In: all entities' values as the network sees them, and windows. Out: batches of inputs, targets
//! and which of these are there; in training with features missing at random.

use ndarray::{Array1, Array2, s};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::train::data::WindowPosition;

/// How often a feature is missing in training. Often enough to be learnt, seldom enough that most
/// windows are whole.
const MISSING: f64 = 0.05;

/// A feature's variance counts as at least this in its loss.
const LEAST_VARIANCE: f64 = 0.01;

/// Values as the network sees them, of all entities and steps. Windows are put together when they
/// are needed: all at once would take as many times the memory as a window has steps.
pub struct Values {
    /// By entity `[steps, features]`, features that enter only; NaN is missing.
    pub entities: Vec<Array2<f32>>,
    /// For each of these features whether it counts.
    pub counts: Vec<bool>,
    /// For each what stands for a missing value.
    pub offsets: Vec<f64>,
    /// Steps of a window.
    pub steps: usize,
}

/// Some windows, as the network is trained on them.
pub struct TrainingBatch {
    /// `[windows, steps * features]`.
    pub inputs: Array2<f64>,
    /// Likewise.
    pub targets: Array2<f64>,
    /// 1 for a target that is there and counts, otherwise 0.
    pub there: Array2<f64>,
}

impl Values {
    fn features(&self) -> usize {
        self.counts.len()
    }

    /// Windows put together.
    pub fn batch(&self, places: &[WindowPosition]) -> TrainingBatch {
        let features = self.features();
        let width = self.steps * features;
        let mut inputs = Array2::zeros((places.len(), width));
        let mut targets = Array2::zeros((places.len(), width));
        let mut there = Array2::zeros((places.len(), width));
        for (row, place) in places.iter().enumerate() {
            let first = place.step as usize + 1 - self.steps;
            let values = self.entities[place.entity as usize].slice(s![first.., ..]);
            for (column, value) in values.iter().take(width).enumerate() {
                let feature = column % features;
                if value.is_nan() {
                    inputs[[row, column]] = self.offsets[feature];
                } else {
                    inputs[[row, column]] = f64::from(*value);
                    targets[[row, column]] = f64::from(*value);
                    there[[row, column]] = f64::from(u8::from(self.counts[feature]));
                }
            }
        }
        TrainingBatch { inputs, targets, there }
    }

    /// One over the variance of each target, but no more than a hundred times the usual one of
    /// standardised features: what hardly moves is not all there is to learn.
    pub fn units(&self, places: &[WindowPosition]) -> Array1<f64> {
        let features = self.features();
        let (mut count, mut sum, mut square) = (
            Array1::<f64>::zeros(features),
            Array1::<f64>::zeros(features),
            Array1::<f64>::zeros(features),
        );
        for place in places {
            let row = self.entities[place.entity as usize].row(place.step as usize).mapv(f64::from);
            for (i, value) in row.iter().enumerate().filter(|(_, it)| it.is_finite()) {
                count[i] += 1.0;
                sum[i] += value;
                square[i] += value * value;
            }
        }
        let unit = |i: usize| {
            let count = count[i].max(1.0);
            let variance = square[i] / count - (sum[i] / count).powi(2);
            1.0 / variance.max(LEAST_VARIANCE)
        };
        (0..self.steps * features).map(|column| unit(column % features)).collect()
    }
}

/// Takes random features out of each window, with all their steps.
pub fn drop_some(batch: &mut TrainingBatch, offsets: &[f64], rng: &mut ChaCha8Rng) {
    let features = offsets.len();
    let rows = batch.inputs.outer_iter_mut().zip(batch.there.outer_iter_mut());
    for (mut inputs, mut there) in rows {
        for (feature, offset) in offsets.iter().enumerate() {
            if rng.random::<f64>() < MISSING {
                inputs.iter_mut().skip(feature).step_by(features).for_each(|it| *it = *offset);
                there.iter_mut().skip(feature).step_by(features).for_each(|it| *it = 0.0);
            }
        }
    }
}
