//! A network: dense layers that pass a row through a bottleneck and reconstruct it.
//!
//! In: scaled rows and what they should become. Out: what they become, and, for training, the
//! gradient of the weighted squared error by every weight. Hidden layers are `max(0, x W + b)`; the
//! last one is a sigmoid, whose range is that of features scaled to 0..1, or nothing but the sum.
//! Arithmetic is float64; a graph's float32 then differs by its own rounding only.
//!
//! Source: Rumelhart, Hinton, Williams 1986 (back-propagation); Glorot, Bengio 2010 (the size of
//! initial weights); Mishkin, Matas 2016 (fitting them to data).

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A sum that varies less than this over the rows is not stretched further.
const MIN_SPREAD: f64 = 1e-3;

/// Dense layers from a row to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// In the order of computation.
    pub layers: Vec<Dense>,
    /// What the last one does with its sums.
    pub output: Output,
}

/// What the last layer does with its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// 0 to 1.
    Sigmoid,
    /// Nothing.
    Linear,
}

/// `activation(x W + b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Inputs by outputs.
    pub weights: Array2<f64>,
    /// One for each output.
    pub bias: Array1<f64>,
}

/// The weighted squared error of some rows and its gradient by every weight, both means over the
/// rows.
pub struct Gradient {
    /// The error.
    pub loss: f64,
    /// Shaped as the layers.
    pub layers: Vec<Dense>,
}

impl Network {
    /// Random initial weights, fitted to some of the rows to be learnt.
    ///
    /// A ReLU that is zero on every row has no gradient and stays dead; a bottleneck with too few
    /// living units restores nothing but the mean. So every hidden unit starts with a spread of 1
    /// over the rows and a mean of 1 above zero: it passes about five rows of six, and the network
    /// starts out as a nearly linear one. The last layer starts from the mean of the targets.
    pub fn new(
        rows: ArrayView2<'_, f64>,
        targets: ArrayView2<'_, f64>,
        hidden: &[usize],
        output: Output,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut layers = Vec::with_capacity(hidden.len() + 1);
        let mut values = rows.to_owned();
        for &outputs in hidden {
            let mut weights = random(values.ncols(), outputs, rng);
            let sums = values.dot(&weights);
            let spread = sums.std_axis(Axis(0), 0.0).mapv(|it| it.max(MIN_SPREAD));
            weights /= &spread;
            let mean = sums.mean_axis(Axis(0)).expect("there are rows") / &spread;
            let layer = Dense { weights, bias: 1.0 - mean };
            values = layer.forward(values.view(), None);
            layers.push(layer);
        }
        let weights = random(values.ncols(), targets.ncols(), rng);
        let sums = values.dot(&weights).mean_axis(Axis(0)).expect("there are rows");
        let mean = targets.mean_axis(Axis(0)).expect("there are rows");
        let start = |mean: f64| match output {
            Output::Linear => mean,
            Output::Sigmoid => {
                let mean = mean.clamp(0.01, 0.99);
                (mean / (1.0 - mean)).ln()
            }
        };
        layers.push(Dense { weights, bias: mean.mapv(start) - sums });
        Self { layers, output }
    }

    /// What rows become.
    pub fn run(&self, rows: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut values = rows.to_owned();
        for (i, layer) in self.layers.iter().enumerate() {
            values = layer.forward(values.view(), self.output_of(i));
        }
        values
    }

    /// The mean over the rows of the sum of `weights * (target - outcome)²`, and its gradient.
    ///
    /// # Shapes
    /// Targets and weights are `[rows, outputs]`.
    pub fn gradient(
        &self,
        rows: ArrayView2<'_, f64>,
        targets: ArrayView2<'_, f64>,
        weights: ArrayView2<'_, f64>,
    ) -> Gradient {
        let mut outputs: Vec<Array2<f64>> = vec![rows.to_owned()];
        for (i, layer) in self.layers.iter().enumerate() {
            outputs.push(layer.forward(outputs[i].view(), self.output_of(i)));
        }
        let output = &outputs[self.layers.len()];
        let residual = output - &targets;
        let count = rows.nrows() as f64;
        let loss = (&residual * &residual * weights).sum() / count;
        let mut delta = &residual * &weights * 2.0 / count;
        if self.output == Output::Sigmoid {
            // Its derivative is y (1 - y).
            delta = delta * output * (1.0 - output);
        }
        let mut layers = Vec::with_capacity(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let input = &outputs[i];
            layers.push(Dense { weights: input.t().dot(&delta), bias: delta.sum_axis(Axis(0)) });
            if i > 0 {
                delta = delta.dot(&layer.weights.t());
                // Through the ReLU before, which passed what is above zero.
                delta.zip_mut_with(input, |delta, &output| {
                    if output <= 0.0 {
                        *delta = 0.0;
                    }
                });
            }
        }
        layers.reverse();
        Gradient { loss, layers }
    }

    /// The last layer's way, for the last layer.
    fn output_of(&self, layer: usize) -> Option<Output> {
        (layer + 1 == self.layers.len()).then_some(self.output)
    }

    /// The same network for wider rows and targets, in which its own inputs and outputs are at
    /// these places. Other inputs count for nothing; other outputs are `fill`.
    pub fn expanded(&self, inputs: Places<'_>, outputs: Places<'_>, fill: f64) -> Self {
        let mut layers = self.layers.clone();
        let last = layers.len() - 1;
        let first = &mut layers[0];
        let mut weights = Array2::zeros((inputs.width, first.weights.ncols()));
        for (from, to) in inputs.places.iter().enumerate() {
            weights.row_mut(*to).assign(&first.weights.row(from));
        }
        first.weights = weights;
        let layer = &mut layers[last];
        let mut weights = Array2::zeros((layer.weights.nrows(), outputs.width));
        let mut bias = Array1::from_elem(outputs.width, fill);
        for (from, to) in outputs.places.iter().enumerate() {
            weights.column_mut(*to).assign(&layer.weights.column(from));
            bias[*to] = layer.bias[from];
        }
        layer.weights = weights;
        layer.bias = bias;
        Self { layers, output: self.output }
    }

    /// The same network with every weight rounded to float32, as a graph holds it.
    pub fn rounded(mut self) -> Self {
        let round = |value: f64| f64::from(value as f32);
        for layer in &mut self.layers {
            layer.weights.mapv_inplace(round);
            layer.bias.mapv_inplace(round);
        }
        self
    }
}

/// Where the columns of a network are among those of wider rows.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Columns of the wider rows.
    pub width: usize,
    /// The column of each of the network's own.
    pub places: &'a [usize],
}

/// Uniform weights with the variance that keeps signals at their size both ways.
fn random(inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    let limit = (6.0 / (inputs + outputs) as f64).sqrt();
    Array2::from_shape_simple_fn((inputs, outputs), || (2.0 * rng.random::<f64>() - 1.0) * limit)
}

impl Dense {
    /// As a hidden layer, or as the last one.
    fn forward(&self, rows: ArrayView2<'_, f64>, last: Option<Output>) -> Array2<f64> {
        let mut values = rows.dot(&self.weights) + &self.bias;
        match last {
            Some(Output::Linear) => {}
            Some(Output::Sigmoid) => values.mapv_inplace(|x| 1.0 / (1.0 + (-x).exp())),
            None => values.mapv_inplace(|x| x.max(0.0)),
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    fn rows(count: usize, width: usize) -> Array2<f64> {
        let mut rng = rng();
        Array2::from_shape_simple_fn((count, width), || rng.random::<f64>())
    }

    /// A network from five columns to three of them, and cell weights, some of them zero.
    fn network(output: Output) -> (Network, Array2<f64>, Array2<f64>, Array2<f64>) {
        let inputs = rows(9, 5);
        let targets = inputs.slice(ndarray::s![.., 1..4]).to_owned();
        let mut network =
            Network::new(inputs.view(), targets.view(), &[4, 2, 3], output, &mut rng());
        for (i, layer) in network.layers.iter_mut().enumerate() {
            layer.bias += 0.05 * (i + 1) as f64;
        }
        let weights = Array2::from_shape_fn((9, 3), |(row, column)| ((row + column) % 4) as f64);
        (network, inputs, targets, weights)
    }

    /// Back-propagation against the difference of two losses, for every parameter.
    #[track_caller]
    fn check_gradient(output: Output) {
        let (network, inputs, targets, weights) = network(output);
        let loss_of = |network: &Network| {
            let residual = &targets - &network.run(inputs.view());
            (&residual * &residual * &weights).sum() / inputs.nrows() as f64
        };
        let gradient = network.gradient(inputs.view(), targets.view(), weights.view());
        assert!((gradient.loss - loss_of(&network)).abs() < 1e-14);
        // Small against the weights, large against float64's rounding of the loss.
        let step = 1e-5;
        let slope = |parameter: &dyn Fn(&mut Network) -> &mut f64| {
            let moved = |by: f64| {
                let mut moved = network.clone();
                *parameter(&mut moved) += by;
                loss_of(&moved)
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        };
        let near = |found: f64, expected: f64| {
            let tolerance = 1e-7 * expected.abs().max(1e-2);
            assert!((found - expected).abs() < tolerance, "{found} instead of {expected}");
        };
        let mut largest: f64 = 0.0;
        for (i, layer) in gradient.layers.iter().enumerate() {
            for ((row, column), &value) in layer.weights.indexed_iter() {
                near(value, slope(&|it| &mut it.layers[i].weights[[row, column]]));
                largest = largest.max(value.abs());
            }
            for (column, &value) in layer.bias.indexed_iter() {
                near(value, slope(&|it| &mut it.layers[i].bias[column]));
            }
        }
        assert!(largest > 1e-3, "gradients of nothing prove nothing");
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_by_every_parameter() {
        check_gradient(Output::Sigmoid);
        check_gradient(Output::Linear);
    }

    #[test]
    fn an_expanded_network_says_the_same_and_nothing_elsewhere() {
        let small = rows(6, 2);
        let target = small.slice(ndarray::s![.., ..1]);
        let network = Network::new(small.view(), target, &[3], Output::Sigmoid, &mut rng());
        let wide = network.expanded(
            Places { width: 4, places: &[1, 3] },
            Places { width: 3, places: &[2] },
            0.0,
        );
        let mut large = Array2::from_elem((6, 4), 9.0);
        large.column_mut(1).assign(&small.column(0));
        large.column_mut(3).assign(&small.column(1));
        let (expected, found) = (network.run(small.view()), wide.run(large.view()));
        for row in 0..6 {
            assert_eq!((found[[row, 0]], found[[row, 1]]), (0.5, 0.5));
            assert!((found[[row, 2]] - expected[[row, 0]]).abs() < 1e-15);
        }
    }

    #[test]
    fn initial_weights_follow_the_seed() {
        let rows = rows(5, 3);
        let network = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            Network::new(rows.view(), rows.view(), &[2], Output::Linear, &mut rng)
        };
        assert_eq!(network(1), network(1));
        assert_ne!(network(1), network(2));
    }
}
