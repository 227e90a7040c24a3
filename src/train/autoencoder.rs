//! An autoencoder: a network that restores the newest step of a window from the whole window, through
//! a bottleneck too narrow for anything but what usually goes together.
//!
//! In: windows in deviations from the mean, clipped; 0 where a value is missing. Out: the newest step
//! as it should be. In training, features go missing at random, with all their steps, so that the
//! network has seen absence; what is missing is not asked of it.
//!
//! A value far out says all it can at the clip: farther out a network answers nonsense for all other
//! features as well.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::branch::{Base, INPUT_CLIP, Prepared};
use super::config::TrainConfig;
use super::fit::FitError;
use super::network::{Network, Output, Places};
use super::optimizer::Adam;
use super::scaler::{Kind, Scaler, Scaling};

/// How often a feature is missing in training. Often enough to be learnt, seldom enough that most
/// windows are whole.
pub(super) const MISSING: f64 = 0.05;

/// What the network is fed with at most, scaled to 0..1: half a range outside of what it has seen.
const RANGE_CLIP: (f32, f32) = (-0.5, 1.5);

/// What a feature counts for at most then: four ranges outside of its own.
const RANGE_RESIDUAL_CLIP: (f32, f32) = (-4.0, 5.0);

/// Less than this relative gain is none to wait for: the best weights are kept even so.
const GAIN: f64 = 1e-3;

/// Updates between two looks at the loss, at least: a pass over little data changes next to nothing.
const LEAST_UPDATES: usize = 100;

/// A feature's variance counts as at least this in its loss.
const LEAST_VARIANCE: f64 = 0.01;

/// Rows that are evaluated at once, so that memory does not grow with the recording.
const CHUNK: usize = 4_096;

/// A network that restores the newest step of a window from the whole window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Autoencoder {
    /// Steps that it looks at.
    pub steps: usize,
    /// What becomes of deviations first, by feature: `factor * deviation + offset`.
    pub factor: Vec<f32>,
    /// See `factor`: where the mean comes to lie, and what stands for a missing value.
    pub offset: Vec<f32>,
    /// What the network is fed with at most.
    pub input_clip: (f32, f32),
    /// What a value is held against its expectation as, at most.
    pub residual_clip: (f32, f32),
    /// From `[steps * features]`, oldest first, to `[features]`.
    pub network: Network,
}

/// How a fit went. Losses are shares of the features' variance that the network does not restore, so
/// that they compare between scalings and windows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Course {
    /// Looks at the loss: one after each pass, or after as many passes as make a hundred updates.
    pub epochs: usize,
    /// The one that gave the weights, counted from 1.
    pub best_epoch: usize,
    /// The loss in training at each.
    pub training: Vec<f64>,
    /// The loss on the part that decides when to stop at each.
    pub stopping: Vec<f64>,
}

/// Rows as the network sees them.
pub(super) struct Rows {
    /// `[rows, steps * features]`, features that enter only.
    inputs: Array2<f32>,
    /// `[rows, features]`, features that enter only.
    targets: Array2<f32>,
    /// 1 for a target that is there and counts.
    there: Array2<f32>,
}

impl Autoencoder {
    /// What everything but the network is for these settings.
    pub fn blank(base: &Base, range: &Scaler, config: &TrainConfig) -> Self {
        let features = base.scaler.kinds.len();
        let (factor, offset, input_clip, residual_clip) = match config.scaling {
            Scaling::Standard => {
                let clip = (-INPUT_CLIP, INPUT_CLIP);
                (vec![1.0; features], vec![0.0; features], clip, clip)
            }
            Scaling::MinMax => {
                let size = |i: usize| f64::from(base.scaler.size(i));
                let inverse = |i: usize| f64::from(range.inverse[i]);
                let from = |i: usize| f64::from(base.scaler.offset[i]) - f64::from(range.offset[i]);
                // What does not count passes as it is, which is nothing.
                let factor = |i: usize| match size(i) * inverse(i) {
                    0.0 => 1.0,
                    factor => factor as f32,
                };
                let factor = (0..features).map(factor).collect();
                let offset = (0..features).map(|i| (from(i) * inverse(i)) as f32).collect();
                (factor, offset, RANGE_CLIP, RANGE_RESIDUAL_CLIP)
            }
        };
        let output = output(config.scaling);
        let network = Network { layers: Vec::new(), output };
        let steps = config.window;
        Self { steps, factor, offset, input_clip, residual_clip, network }
    }

    /// The steps that the network looks at, one row each.
    fn inputs(&self, batch: &Prepared) -> Array2<f64> {
        let (rows, window, features) = batch.windows.dim();
        let steps = batch.windows.slice(s![.., window - self.steps.., ..]);
        let mut inputs = Array2::zeros((rows, self.steps * features));
        for ((row, step, feature), value) in steps.indexed_iter() {
            inputs[[row, step * features + feature]] = self.line(feature, *value, self.input_clip);
        }
        inputs
    }

    fn line(&self, feature: usize, deviation: f64, (low, high): (f32, f32)) -> f64 {
        let offset = f64::from(self.offset[feature]);
        let value = deviation * f64::from(self.factor[feature]) + offset;
        if value.is_nan() { offset } else { value.clamp(f64::from(low), f64::from(high)) }
    }

    /// The newest step as it is held against the expectation; NaN where a value is missing.
    pub fn observed(&self, batch: &Prepared) -> Array2<f64> {
        let newest = batch.windows.slice(s![.., batch.windows.dim().1 - 1, ..]);
        Array2::from_shape_fn(newest.dim(), |(row, feature)| match newest[[row, feature]] {
            value if value.is_nan() => f64::NAN,
            value => self.line(feature, value, self.residual_clip),
        })
    }

    /// The newest step as it should be.
    pub fn expect(&self, batch: &Prepared) -> Array2<f64> {
        self.network.run(self.inputs(batch).view())
    }

    /// A batch as the network is trained on it.
    pub fn rows(&self, base: &Base, batch: &Prepared) -> Rows {
        let places = entering(&base.scaler);
        let features = base.scaler.kinds.len();
        let columns: Vec<usize> = (0..self.steps)
            .flat_map(|step| places.iter().map(move |place| step * features + place))
            .collect();
        let observed = self.observed(batch).select(Axis(1), &places);
        let counts: Vec<bool> = places.iter().map(|i| base.scaler.kinds[*i].counts()).collect();
        let there = Array2::from_shape_fn(observed.dim(), |(row, column)| {
            let is = counts[column] && !observed[[row, column]].is_nan();
            f32::from(u8::from(is))
        });
        Rows {
            inputs: self.inputs(batch).select(Axis(1), &columns).mapv(|it| it as f32),
            targets: observed.mapv(|it| if it.is_nan() { 0.0 } else { it as f32 }),
            there,
        }
    }
}

impl Rows {
    /// Several batches as one.
    pub fn concatenate(parts: &[Self]) -> Self {
        let join = |part: fn(&Self) -> ArrayView2<'_, f32>| {
            let views: Vec<_> = parts.iter().map(part).collect();
            ndarray::concatenate(Axis(0), &views).expect("batches of one width")
        };
        Self {
            inputs: join(|it| it.inputs.view()),
            targets: join(|it| it.targets.view()),
            there: join(|it| it.there.view()),
        }
    }

    /// One over the variance of each target, but no more than a hundred times the usual one of
    /// standardised features: what hardly moves is not all there is to learn.
    fn units(&self) -> Array1<f64> {
        let columns = self.targets.axis_iter(Axis(1)).zip(self.there.axis_iter(Axis(1)));
        let variance = |(targets, there): (ArrayView1<'_, f32>, ArrayView1<'_, f32>)| {
            let count = f64::from(there.sum()).max(1.0);
            let pairs = || targets.iter().zip(&there).map(|(x, w)| (f64::from(*x), f64::from(*w)));
            let mean = pairs().map(|(x, w)| x * w).sum::<f64>() / count;
            pairs().map(|(x, w)| w * (x - mean).powi(2)).sum::<f64>() / count
        };
        columns.map(|it| 1.0 / variance(it).max(LEAST_VARIANCE)).collect()
    }

    fn select(&self, rows: &[usize]) -> [Array2<f64>; 3] {
        [&self.inputs, &self.targets, &self.there]
            .map(|it| it.select(Axis(0), rows).mapv(f64::from))
    }
}

fn output(scaling: Scaling) -> Output {
    match scaling {
        Scaling::Standard => Output::Linear,
        Scaling::MinMax => Output::Sigmoid,
    }
}

/// The features that the network sees.
fn entering(scaler: &Scaler) -> Vec<usize> {
    let kinds = scaler.kinds.iter().enumerate();
    kinds.filter(|(_, kind)| kind.enters()).map(|(i, _)| i).collect()
}

/// Learns. `on_epoch` is told the number of each look at the loss and the loss, and may end it all.
///
/// # Errors
/// When nothing moves, and when the loss is no longer a number.
pub(super) fn fit(
    mut blank: Autoencoder,
    base: &Base,
    (training, stopping): (&Rows, &Rows),
    config: &TrainConfig,
    on_epoch: &mut dyn FnMut(usize, f64) -> std::ops::ControlFlow<()>,
) -> Result<(Autoencoder, Course), FitError> {
    let count = training.inputs.nrows();
    if !base.scaler.kinds.contains(&Kind::Learnt) {
        return Err(FitError::NothingMoves { rows: count });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let some: Vec<usize> = (0..count).step_by(count.div_ceil(CHUNK)).collect();
    let [inputs, targets, _] = training.select(&some);
    let output = output(config.scaling);
    let mut network = Network::new(inputs.view(), targets.view(), &config.layers, output, &mut rng);
    let units = training.units();
    let places = entering(&base.scaler);
    let offsets: Vec<f64> = places.iter().map(|i| f64::from(blank.offset[*i])).collect();
    let mut pass = Pass {
        rows: training,
        offsets: &offsets,
        units: &units,
        order: (0..count).collect(),
        adam: Adam::new(&network, config.learning_rate),
        batch_size: config.batch_size,
    };
    let mut best = network.clone();
    let mut course = Course::default();
    let (mut waited, mut to_beat, mut least) = (0, f64::INFINITY, f64::INFINITY);
    while course.epochs < config.epochs && waited < config.patience {
        course.epochs += 1;
        let training_loss = pass.run(&mut network, &mut rng);
        let stopping_loss = loss(&network, stopping, &units);
        if !(training_loss.is_finite() && stopping_loss.is_finite()) {
            return Err(FitError::Diverged { epoch: course.epochs });
        }
        course.training.push(training_loss);
        course.stopping.push(stopping_loss);
        if stopping_loss < least {
            least = stopping_loss;
            best.clone_from(&network);
            course.best_epoch = course.epochs;
        }
        waited += 1;
        if stopping_loss < to_beat * (1.0 - GAIN) {
            (waited, to_beat) = (0, stopping_loss);
        }
        if on_epoch(course.epochs, stopping_loss).is_break() {
            break;
        }
    }
    let features = base.scaler.kinds.len();
    let columns: Vec<usize> = (0..blank.steps)
        .flat_map(|step| places.iter().map(move |place| step * features + place))
        .collect();
    let inputs = Places { width: blank.steps * features, places: &columns };
    blank.network =
        best.expanded(inputs, Places { width: features, places: &places }, 0.0).rounded();
    Ok((blank, course))
}

/// One pass after another over the training part.
struct Pass<'a> {
    rows: &'a Rows,
    /// What stands for a missing value of each feature that enters.
    offsets: &'a [f64],
    /// See [`Rows::units`].
    units: &'a Array1<f64>,
    order: Vec<usize>,
    adam: Adam,
    batch_size: usize,
}

impl Pass<'_> {
    /// Gives the mean loss of the batches, each before its own update.
    fn run(&mut self, network: &mut Network, rng: &mut ChaCha8Rng) -> f64 {
        let updates = self.order.len().div_ceil(self.batch_size);
        let (mut sum, mut seen) = (0.0, 0.0);
        for _ in 0..LEAST_UPDATES.div_ceil(updates) {
            self.order.shuffle(rng);
            for batch in self.order.chunks(self.batch_size) {
                let [mut inputs, targets, mut there] = self.rows.select(batch);
                drop_some(&mut inputs, &mut there, self.offsets, rng);
                let weights = weights(there, self.units);
                let gradient = network.gradient(inputs.view(), targets.view(), weights.view());
                self.adam.step(network, &gradient);
                sum += gradient.loss * batch.len() as f64;
                seen += batch.len() as f64;
            }
        }
        sum / seen
    }
}

/// Takes random features out of each row, with all their steps.
fn drop_some(
    inputs: &mut Array2<f64>,
    there: &mut Array2<f64>,
    offsets: &[f64],
    rng: &mut ChaCha8Rng,
) {
    let features = offsets.len();
    for (mut inputs, mut there) in inputs.outer_iter_mut().zip(there.outer_iter_mut()) {
        for (feature, offset) in offsets.iter().enumerate() {
            if rng.random::<f64>() < MISSING {
                inputs.iter_mut().skip(feature).step_by(features).for_each(|it| *it = *offset);
                there[feature] = 0.0;
            }
        }
    }
}

/// The same weight, in units of its own variance, for every target of a row that is there.
fn weights(mut there: Array2<f64>, units: &Array1<f64>) -> Array2<f64> {
    let counts: Array1<f64> = there.sum_axis(Axis(1)).mapv(|it| it.max(1.0));
    there /= &counts.insert_axis(Axis(1));
    there * units
}

/// The mean loss on rows as they are.
fn loss(network: &Network, rows: &Rows, units: &Array1<f64>) -> f64 {
    let count = rows.inputs.nrows();
    let mut sum = 0.0;
    for first in (0..count).step_by(CHUNK) {
        let chunk: Vec<usize> = (first..count.min(first + CHUNK)).collect();
        let [inputs, targets, there] = rows.select(&chunk);
        let residual = network.run(inputs.view()) - &targets;
        sum += (&residual * &residual * &weights(there, units)).sum();
    }
    sum / count as f64
}
