//! The autoencoder: a network that reconstructs a window through a bottleneck, which is so narrow that it only
//! keeps what usually goes together.
//!
//! In: windows in deviations from the mean, clipped; the mean where a value is missing. Out: the
//! newest step as it should be. It learns to reconstruct whole windows, although only the newest step is
//! used in the end: otherwise the network would simply copy that step.
//! In training, features are removed at random, with all their steps, so that the network has seen
//! missing features; it does not have to reconstruct these.
//!
//! Values are clipped: beyond the clip a network gives nonsense for all other features as well.

mod network;
mod optimizer;
mod values;

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut1, Axis, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Base, BranchKind, CHUNK, INPUT_CLIP, Model};
use crate::train::config::TrainConfig;
use crate::train::data::{Dataset, Rows, Scaler, Scaling, Split, Training, WindowPosition};
use crate::train::fit::{Course, Fit, FitError, OnEpoch};
use crate::train::graph::{END, With, Writer, rounded};
use network::{Network, Output, Places};
use optimizer::Adam;
use values::{TrainingBatch, Values, drop_some};

/// What the network is fed with at most, scaled to 0..1: half a range outside of what it has seen.
const RANGE_CLIP: (f32, f32) = (-0.5, 1.5);

/// What a feature counts for at most then: four ranges outside of its own.
const RANGE_RESIDUAL_CLIP: (f32, f32) = (-4.0, 5.0);

/// Less than this relative gain is none to wait for: the best weights are kept even so.
const GAIN: f64 = 1e-3;

/// Updates between two looks at the loss, at least: a pass over little data changes next to nothing.
const LEAST_UPDATES: usize = 100;

/// Residuals, in deviations or in ranges, that count as usual at least: see the forecast's.
const LEAST_RESIDUAL: [f64; 2] = [0.1, 0.01];

/// A network that restores the newest step of a window from the whole window.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoencoder {
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
    /// From `[steps * features]`, oldest first and without their offsets, to `[features]`.
    pub network: Network,
}

impl Autoencoder {
    /// What everything but the network is for these settings.
    fn untrained(base: &Base, range: &Scaler, config: &TrainConfig) -> Self {
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
        let output = match config.scaling {
            Scaling::Standard => Output::Linear,
            Scaling::MinMax => Output::Sigmoid,
        };
        let network = Network { layers: Vec::new(), output };
        let steps = config.window;
        Self { steps, factor, offset, input_clip, residual_clip, network }
    }

    /// Whether the network sees deviations as they are, and is held against them.
    pub fn is_plain(&self) -> bool {
        let clip = (-INPUT_CLIP, INPUT_CLIP);
        let alike = |values: &[f32], it: f32| values.iter().all(|value| *value == it);
        let clips = self.input_clip == clip && self.residual_clip == clip;
        clips && alike(&self.factor, 1.0) && alike(&self.offset, 0.0)
    }

    /// The residual that counts as usual at least.
    pub fn least_residual(&self) -> f64 {
        LEAST_RESIDUAL[usize::from(!self.is_plain())]
    }

    /// A deviation as the network sees it; what stands for a missing one.
    pub fn line(&self, feature: usize, deviation: f64, (low, high): (f32, f32)) -> f64 {
        let offset = f64::from(self.offset[feature]);
        let value = deviation * f64::from(self.factor[feature]) + offset;
        if value.is_nan() { offset } else { value.clamp(f64::from(low), f64::from(high)) }
    }

    /// What the network is fed with at least and at most without the offset, by feature.
    fn bounds(&self) -> [Vec<f32>; 2] {
        let (low, high) = self.input_clip;
        [low, high].map(|bound| self.offset.iter().map(|offset| bound - offset).collect())
    }

    /// What the network is fed with for a deviation; 0 for a missing one.
    #[cfg(test)]
    pub fn fed(&self, feature: usize, deviation: f64) -> f64 {
        let [low, high] = self.bounds().map(|bounds| f64::from(bounds[feature]));
        let value = deviation * f64::from(self.factor[feature]);
        if value.is_nan() { 0.0 } else { value.clamp(low, high) }
    }

    /// The same with a network that was trained on windows of the features that enter: of its outputs
    /// those of the newest step alone are kept. The first layer's bias takes in the offsets: beside
    /// them float32 would round away a feature that moves by little of its range.
    fn with(mut self, base: &Base, trained: &Network) -> Self {
        let places = entering(&base.scaler);
        let features = base.scaler.kinds.len();
        let columns: Vec<usize> = (0..self.steps)
            .flat_map(|step| places.iter().map(move |place| step * features + place))
            .collect();
        let mut newest = trained.clone();
        let offsets = columns.iter().map(|column| f64::from(self.offset[column % features]));
        let offsets: Array1<f64> = offsets.collect();
        if let Some(first) = newest.layers.first_mut() {
            first.bias += &offsets.dot(&first.weights);
        }
        if let Some(last) = newest.layers.last_mut() {
            let from = last.bias.len() - places.len();
            last.weights = last.weights.slice(s![.., from..]).to_owned();
            last.bias = last.bias.slice(s![from..]).to_owned();
        }
        let inputs = Places { width: self.steps * features, places: &columns };
        let outputs = Places { width: features, places: &places };
        self.network = newest.expanded(inputs, outputs, 0.0).rounded();
        self
    }

    /// All values as the network is trained on them.
    fn values(&self, base: &Base, dataset: &Dataset) -> Values {
        let places = entering(&base.scaler);
        let of_entity = |rows: &Rows| {
            let mut values = Array2::zeros((rows.values.nrows(), places.len()));
            for (to, from) in values.axis_iter_mut(Axis(1)).zip(&places) {
                let column = rows.values.slice(s![.., *from..*from + 1]);
                self.line_up(base, *from, column, to);
            }
            values
        };
        Values {
            entities: dataset.entities.iter().map(of_entity).collect(),
            counts: places.iter().map(|i| base.scaler.kinds[*i].counts()).collect(),
            offsets: places.iter().map(|i| f64::from(self.offset[*i])).collect(),
            steps: self.steps,
        }
    }

    /// One feature's raw values as the network sees them.
    fn line_up(
        &self,
        base: &Base,
        feature: usize,
        column: ArrayView2<'_, f32>,
        mut to: ArrayViewMut1<'_, f32>,
    ) {
        let (offset, inverse) = (base.scaler.offset[feature], base.scaler.inverse[feature]);
        for (to, raw) in to.iter_mut().zip(&column) {
            let deviation = f64::from((raw - offset) * inverse);
            *to = match deviation {
                it if it.is_nan() => f32::NAN,
                it => self.line(feature, it, self.input_clip) as f32,
            };
        }
    }
}

/// The features that the network sees.
fn entering(scaler: &Scaler) -> Vec<usize> {
    let kinds = scaler.kinds.iter().enumerate();
    kinds.filter(|(_, kind)| kind.enters()).map(|(i, _)| i).collect()
}

impl Autoencoder {
    /// Learns on some windows, and stops when others say so. `on_epoch` is told the number of each look
    /// at the loss and the loss, and may end it all.
    ///
    /// # Errors
    /// When nothing moves, and when the loss is no longer a number.
    pub fn learn(
        training: &Training<'_>,
        base: &Base,
        config: &TrainConfig,
        on_epoch: OnEpoch<'_>,
    ) -> Result<(Self, Course), FitError> {
        let Training { dataset, split: Split { fit, stopping, .. }, .. } = training;
        if !base.scaler.is_learnt() {
            return Err(FitError::NothingMoves { rows: fit.len() });
        }
        let range = Scaler::of(dataset, fit, training.roles, Scaling::MinMax);
        let untrained = Self::untrained(base, &range, config);
        let values = untrained.values(base, dataset);
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let some: Vec<WindowPosition> =
            fit.iter().step_by(fit.len().div_ceil(CHUNK)).copied().collect();
        let TrainingBatch { inputs, targets, .. } = values.batch(&some);
        let (output, layers) = (untrained.network.output, &config.layers);
        let network = Network::new(inputs.view(), targets.view(), layers, output, &mut rng);
        let units = values.units(fit);
        let pass = Pass {
            values: &values,
            units: &units,
            order: fit.clone(),
            adam: Adam::new(&network, config.learning_rate),
            batch_size: config.batch_size,
        };
        let (best, course) = pass.repeat(network, stopping, config, rng, on_epoch)?;
        Ok((untrained.with(base, &best), course))
    }
}

/// One pass after another over the training part.
struct Pass<'a> {
    values: &'a Values,
    /// See [`Values::units`].
    units: &'a Array1<f64>,
    order: Vec<WindowPosition>,
    adam: Adam,
    batch_size: usize,
}

impl Pass<'_> {
    /// Passes until the loss on other windows falls no more; gives the best weights.
    fn repeat(
        mut self,
        mut network: Network,
        stopping: &[WindowPosition],
        config: &TrainConfig,
        mut rng: ChaCha8Rng,
        on_epoch: OnEpoch<'_>,
    ) -> Result<(Network, Course), FitError> {
        let mut best = network.clone();
        let mut course = Course::default();
        let (mut waited, mut to_beat, mut least) = (0, f64::INFINITY, f64::INFINITY);
        while course.epochs < config.epochs && waited < config.patience {
            course.epochs += 1;
            let training_loss = self.run(&mut network, &mut rng);
            let stopping_loss = loss(&network, self.values, stopping, self.units);
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
        Ok((best, course))
    }

    /// Gives the mean loss of the batches, each before its own update.
    fn run(&mut self, network: &mut Network, rng: &mut ChaCha8Rng) -> f64 {
        let updates = self.order.len().div_ceil(self.batch_size);
        let (mut sum, mut seen) = (0.0, 0.0);
        for _ in 0..LEAST_UPDATES.div_ceil(updates) {
            self.order.shuffle(rng);
            for places in self.order.chunks(self.batch_size) {
                let mut batch = self.values.batch(places);
                drop_some(&mut batch, &self.values.offsets, rng);
                let weights = weights(batch.there, self.units);
                let gradient =
                    network.gradient(batch.inputs.view(), batch.targets.view(), weights.view());
                self.adam.step(network, &gradient);
                sum += gradient.loss * places.len() as f64;
                seen += places.len() as f64;
            }
        }
        sum / seen
    }
}

/// The same weight, in units of its own variance, for every target of a row that is there.
fn weights(mut there: Array2<f64>, units: &Array1<f64>) -> Array2<f64> {
    let counts: Array1<f64> = there.sum_axis(Axis(1)).mapv(|it| it.max(1.0));
    there /= &counts.insert_axis(Axis(1));
    there * units
}

/// The mean loss on windows as they are.
fn loss(network: &Network, values: &Values, places: &[WindowPosition], units: &Array1<f64>) -> f64 {
    let mut sum = 0.0;
    for places in places.chunks(CHUNK) {
        let TrainingBatch { inputs, targets, there } = values.batch(places);
        let residual = network.run(inputs.view()) - &targets;
        sum += (&residual * &residual * &weights(there, units)).sum();
    }
    sum / places.len() as f64
}

impl Writer<'_> {
    /// How far the newest step is from what the network restores.
    pub(in crate::train) fn autoencoder(&mut self, autoencoder: &Autoencoder) {
        if autoencoder.is_plain() {
            self.flattened("clipped", (-(autoencoder.steps as i64), END), "layer_0");
            self.newest("clipped", "network_observed");
        } else {
            self.network_values(autoencoder);
        }
        let layers = &autoencoder.network.layers;
        for (i, layer) in layers.iter().enumerate() {
            let (rows, columns) = layer.weights.dim();
            let [input, output] = [i, i + 1].map(|i| format!("layer_{i}"));
            let [weights_name, bias_name, sum] =
                ["weights", "bias", "sum"].map(|part| format!("{part}_{}", i + 1));
            let activation = match (i + 1 == layers.len(), autoencoder.network.output) {
                (true, Output::Linear) => "Identity",
                (true, Output::Sigmoid) => "Sigmoid",
                (false, _) => "Relu",
            };
            let layer = |it: &Fit| {
                let layer = &network_of(it).network.layers[i];
                (rounded(&layer.weights), rounded(&layer.bias))
            };
            let weights = (weights_name.as_str(), [rows, columns]);
            self.linear(&input, weights, &bias_name, &layer, &sum);
            self.graph.node(activation, &[&sum], &output);
        }
        let expected = format!("layer_{}", layers.len());
        self.graph.node("Sub", &["network_observed", &expected], "autoencoder_distance");
    }

    /// What the network is fed with, and what its answer is held against, where these are not simply
    /// the deviations.
    fn network_values(&mut self, autoencoder: &Autoencoder) {
        let (least, most) = autoencoder.residual_clip;
        self.parameter("network_factor", With::Windows, &|it| network_of(it).factor.clone());
        for (i, name) in ["network_low", "network_high"].into_iter().enumerate() {
            self.parameter(name, With::Windows, &|it| network_of(it).bounds()[i].clone());
        }
        self.parameter("network_offset", With::Rows, &|it| network_of(it).offset.clone());
        self.graph
            .constant("network_least", &[], &[least])
            .constant("network_most", &[], &[most])
            .node("Mul", &["scaled", "network_factor"], "network_scaled")
            .node("Max", &["network_scaled", "network_low"], "network_raised")
            .node("Min", &["network_raised", "network_high"], "network_clipped");
        self.flattened("network_clipped", (-(autoencoder.steps as i64), END), "layer_0");
        self.newest("network_scaled", "network_newest");
        self.graph.node("Add", &["network_newest", "network_offset"], "network_values");
        let clip = ["network_values", "network_least", "network_most"];
        self.graph.node("Clip", &clip, "network_observed");
    }
}

/// The autoencoder of a fit that has one.
pub fn network_of(fit: &Fit) -> &Autoencoder {
    match &fit.branch(BranchKind::Autoencoder).model {
        Model::Autoencoder(autoencoder) => autoencoder,
        other => unreachable!("{other:?} is no autoencoder"),
    }
}
