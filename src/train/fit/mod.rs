//! A fit: scaler and network that were learnt from the training part of a dataset.
//!
//! In: a dataset in two parts, the features' roles, the configuration. Out: everything that gives a
//! row its error, and how the fit went. The arithmetic of [`Fitted::evaluate`] is the reference for
//! the graph that `export` writes: scaling in float32 as the graph does it, the rest in float64.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::autoencoder::Autoencoder;
use super::calendar::Role;
use super::config::TrainConfig;
use super::dataset::{Dataset, Split};
use super::optimizer::Adam;
use super::scaler::Scaler;

/// What the network is fed with at most: a value that is half a range outside of what it has seen
/// says all it can; farther out a network answers nonsense for all the other features as well.
pub(super) const NETWORK_CLIP: (f32, f32) = (-0.5, 1.5);

/// What a feature counts for at most: four ranges outside of its own. An outlier must show beyond
/// doubt, but one wild value must not drown everything for as long as a mean remembers it.
pub(super) const RESIDUAL_CLIP: (f32, f32) = (-4.0, 5.0);

/// Less than this relative gain is none to wait for: the best weights are kept even so.
const GAIN: f64 = 1e-3;

/// Rows that are evaluated at once, so that memory does not grow with the recording.
const CHUNK: usize = 4_096;

/// Everything that gives a row its error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    /// Raw values to about 0..1.
    pub scaler: Scaler,
    /// As wide as there are features, with weights that float32 holds exactly.
    pub network: Autoencoder,
    /// How the fit went.
    pub course: Course,
}

/// How a fit went. Losses are mean errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Passes over the training part.
    pub epochs: usize,
    /// The pass that gave the weights.
    pub best_epoch: usize,
    /// The loss on the training part in that pass.
    pub training_loss: f64,
    /// The loss on the validation part after that pass.
    pub validation_loss: f64,
}

/// What a model says about rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evaluation {
    /// The error of each row.
    pub error: Vec<f64>,
    /// Each feature's share.
    pub contribution: Array2<f64>,
    /// What was expected, in the features' own units.
    pub reconstruction: Array2<f64>,
}

/// Why a fit has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Nothing to learn.
    #[error(
        "no feature moves in the {rows} training rows: nothing can be learnt; use a longer range, \
         or a machine that does something"
    )]
    NothingMoves {
        /// Rows of the training part.
        rows: usize,
    },
    /// Weights ran away.
    #[error("the loss is no longer a number in pass {epoch}: lower train.learning_rate")]
    Diverged {
        /// The pass.
        epoch: usize,
    },
}

/// Learns. `on_epoch` is told the number of each pass and its validation loss.
pub(super) fn fit(
    dataset: &Dataset,
    split: &Split,
    roles: &[Role],
    config: &TrainConfig,
    on_epoch: &mut dyn FnMut(usize, f64),
) -> Result<Fitted, FitError> {
    let training = dataset.view().select(Axis(0), &split.training);
    let scaler = Scaler::fit(training.view(), roles);
    let places = scaler.network_features();
    if !places.iter().any(|&it| scaler.kinds[it].counts()) {
        let rows = split.training.len();
        return Err(FitError::NothingMoves { rows });
    }
    let training = scaler.scale(training.view()).select(Axis(1), &places);
    let validation = dataset.view().select(Axis(0), &split.validation);
    let validation = scaler.scale(validation.view()).select(Axis(1), &places);
    let weights = scaler.weights();
    let weights: Array1<f64> = places.iter().map(|&it| f64::from(weights[it])).collect();

    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let some: Vec<usize> =
        (0..training.nrows()).step_by(training.nrows().div_ceil(CHUNK)).collect();
    let sample = training.select(Axis(0), &some).mapv(f64::from);
    let mut network = Autoencoder::new(sample.view(), &config.layers, &mut rng);
    let mut pass = Pass {
        rows: training,
        order: (0..split.training.len()).collect(),
        adam: Adam::new(&network, config.learning_rate),
        batch_size: config.batch_size,
    };
    let mut best = network.clone();
    let mut course = Course {
        epochs: 0,
        best_epoch: 0,
        training_loss: f64::INFINITY,
        validation_loss: f64::INFINITY,
    };
    let (mut waited, mut to_beat) = (0, f64::INFINITY);
    while course.epochs < config.epochs && waited < config.patience {
        course.epochs += 1;
        let training_loss = pass.run(&mut network, &weights, &mut rng);
        let validation_loss = loss(&network, validation.view(), &weights);
        if !(training_loss.is_finite() && validation_loss.is_finite()) {
            let epoch = course.epochs;
            return Err(FitError::Diverged { epoch });
        }
        on_epoch(course.epochs, validation_loss);
        if validation_loss < course.validation_loss {
            best.clone_from(&network);
            course.best_epoch = course.epochs;
            course.training_loss = training_loss;
            course.validation_loss = validation_loss;
        }
        waited += 1;
        if validation_loss < to_beat * (1.0 - GAIN) {
            (waited, to_beat) = (0, validation_loss);
        }
    }
    Ok(Fitted { network: best.expanded(roles.len(), &places).rounded(), scaler, course })
}

/// One pass after another over the training part.
struct Pass {
    rows: Array2<f32>,
    order: Vec<usize>,
    adam: Adam,
    batch_size: usize,
}

impl Pass {
    /// Gives the mean loss of the batches, each before its own update.
    fn run(
        &mut self,
        network: &mut Autoencoder,
        weights: &Array1<f64>,
        rng: &mut ChaCha8Rng,
    ) -> f64 {
        self.order.shuffle(rng);
        let mut sum = 0.0;
        for batch in self.order.chunks(self.batch_size) {
            let rows = self.rows.select(Axis(0), batch).mapv(f64::from);
            let gradient = network.gradient(rows.view(), weights.view());
            self.adam.step(network, &gradient);
            sum += gradient.loss * batch.len() as f64;
        }
        sum / self.order.len() as f64
    }
}

/// The loss on scaled rows, which may lie outside of the training range.
fn loss(network: &Autoencoder, rows: ArrayView2<'_, f32>, weights: &Array1<f64>) -> f64 {
    let mut sum = 0.0;
    for chunk in rows.axis_chunks_iter(Axis(0), CHUNK) {
        sum += squared_residuals(network, chunk).dot(weights).sum();
    }
    sum / rows.nrows() as f64
}

fn squared_residuals(network: &Autoencoder, scaled: ArrayView2<'_, f32>) -> Array2<f64> {
    let residual =
        clipped(scaled, RESIDUAL_CLIP) - network.reconstruct(clipped(scaled, NETWORK_CLIP).view());
    &residual * &residual
}

fn clipped(scaled: ArrayView2<'_, f32>, (low, high): (f32, f32)) -> Array2<f64> {
    scaled.mapv(|value| f64::from(value.clamp(low, high)))
}

impl Fitted {
    /// The errors of raw rows.
    pub fn errors(&self, rows: ArrayView2<'_, f32>) -> Vec<f64> {
        let chunks = rows.axis_chunks_iter(Axis(0), CHUNK);
        chunks.flat_map(|chunk| self.evaluate(chunk).error).collect()
    }

    /// Everything about raw rows.
    pub fn evaluate(&self, rows: ArrayView2<'_, f32>) -> Evaluation {
        let scaled = self.scaler.scale(rows);
        let weights: Array1<f64> = self.scaler.weights().iter().map(|&it| it.into()).collect();
        let parts = squared_residuals(&self.network, scaled.view()) * &weights;
        let error = parts.sum_axis(Axis(1));
        let contribution = Array2::from_shape_fn(parts.dim(), |(row, feature)| match error[row] {
            0.0 => 0.0,
            error => parts[[row, feature]] / error,
        });
        let expected = self.network.reconstruct(clipped(scaled.view(), NETWORK_CLIP).view());
        let reconstruction = Array2::from_shape_fn(expected.dim(), |(row, feature)| {
            if self.scaler.kinds[feature].counts() {
                let range = f64::from(self.scaler.range(feature));
                expected[[row, feature]] * range + f64::from(self.scaler.min[feature])
            } else {
                // What does not count is expected to be whatever it is.
                f64::from(rows[[row, feature]])
            }
        });
        Evaluation { error: error.to_vec(), contribution, reconstruction }
    }
}

#[cfg(test)]
mod tests;
