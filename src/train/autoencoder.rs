//! An autoencoder: dense layers that squeeze a row through a bottleneck and restore it.
//!
//! In: scaled rows. Out: rows of the same width, and, for training, the gradient of the weighted
//! squared error by every weight. Hidden layers are `max(0, x W + b)`, the last one is a sigmoid,
//! whose range is that of the scaled features. Arithmetic is float64; a graph's float32 then
//! differs by its own rounding only.
//!
//! Source: Rumelhart, Hinton, Williams 1986 (back-propagation); Glorot, Bengio 2010 (the size of
//! initial weights); Mishkin, Matas 2016 (fitting them to data).

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A sum that varies less than this over the rows is not stretched further.
const MIN_SPREAD: f64 = 1e-3;

/// Dense layers from a row to a row of the same width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Autoencoder {
    /// In the order of computation; the last one is the sigmoid.
    pub layers: Vec<Dense>,
}

/// `activation(x W + b)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    /// Inputs by outputs.
    pub weights: Array2<f64>,
    /// One for each output.
    pub bias: Array1<f64>,
}

/// The weighted squared error of some rows and its gradient by every weight, both means over the
/// rows.
pub(super) struct Gradient {
    /// The error.
    pub loss: f64,
    /// Shaped as the layers.
    pub layers: Vec<Dense>,
}

impl Autoencoder {
    /// Random initial weights, fitted to some of the rows to be learnt.
    ///
    /// A ReLU that is zero on every row has no gradient and stays dead; a bottleneck with too few
    /// living units restores nothing but the mean. So every hidden unit starts with a spread of 1
    /// over the rows and a mean of 1 above zero: it passes about five rows of six, and the network
    /// starts out as a nearly linear one. The last layer starts from the mean of the rows.
    pub fn new(rows: ArrayView2<'_, f64>, hidden: &[usize], rng: &mut ChaCha8Rng) -> Self {
        let width = rows.ncols();
        let mut layers = Vec::with_capacity(hidden.len() + 1);
        let mut values = rows.to_owned();
        for &outputs in hidden {
            let mut weights = random(values.ncols(), outputs, rng);
            let sums = values.dot(&weights);
            let spread = sums.std_axis(Axis(0), 0.0).mapv(|it| it.max(MIN_SPREAD));
            weights /= &spread;
            let mean = sums.mean_axis(Axis(0)).expect("there are rows") / &spread;
            let layer = Dense { weights, bias: 1.0 - mean };
            values = layer.forward(values.view(), false);
            layers.push(layer);
        }
        let weights = random(values.ncols(), width, rng);
        let sums = values.dot(&weights).mean_axis(Axis(0)).expect("there are rows");
        let mean = rows.mean_axis(Axis(0)).expect("there are rows");
        let logit = |mean: f64| {
            let mean = mean.clamp(0.01, 0.99);
            (mean / (1.0 - mean)).ln()
        };
        layers.push(Dense { weights, bias: mean.mapv(logit) - sums });
        Self { layers }
    }

    /// Restores rows.
    pub fn reconstruct(&self, rows: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut values = rows.to_owned();
        for (i, layer) in self.layers.iter().enumerate() {
            values = layer.forward(values.view(), i + 1 == self.layers.len());
        }
        values
    }

    /// The mean over the rows of the sum of `weights * (row - reconstruction)²`, and its gradient.
    pub fn gradient(&self, rows: ArrayView2<'_, f64>, weights: ArrayView1<'_, f64>) -> Gradient {
        let mut outputs: Vec<Array2<f64>> = vec![rows.to_owned()];
        for (i, layer) in self.layers.iter().enumerate() {
            let is_last = i + 1 == self.layers.len();
            outputs.push(layer.forward(outputs[i].view(), is_last));
        }
        let output = &outputs[self.layers.len()];
        let residual = output - &rows;
        let count = rows.nrows() as f64;
        let loss = (&residual * &residual * weights).sum() / count;
        // Through the sigmoid, whose derivative is y (1 - y).
        let mut delta = &residual * &weights * 2.0 / count * output * (1.0 - output);
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

    /// The same network for rows of `width`, in which its own inputs are at `places`. What it does
    /// not know it restores as 0.5: a weight of zero and the sigmoid's middle.
    pub fn expanded(&self, width: usize, places: &[usize]) -> Self {
        let mut layers = self.layers.clone();
        let last = layers.len() - 1;
        let first = &mut layers[0];
        let mut weights = Array2::zeros((width, first.weights.ncols()));
        for (from, to) in places.iter().enumerate() {
            weights.row_mut(*to).assign(&first.weights.row(from));
        }
        first.weights = weights;
        let layer = &mut layers[last];
        let mut weights = Array2::zeros((layer.weights.nrows(), width));
        let mut bias = Array1::zeros(width);
        for (from, to) in places.iter().enumerate() {
            weights.column_mut(*to).assign(&layer.weights.column(from));
            bias[*to] = layer.bias[from];
        }
        layer.weights = weights;
        layer.bias = bias;
        Self { layers }
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

/// Uniform weights with the variance that keeps signals at their size both ways.
fn random(inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    let limit = (6.0 / (inputs + outputs) as f64).sqrt();
    Array2::from_shape_simple_fn((inputs, outputs), || (2.0 * rng.random::<f64>() - 1.0) * limit)
}

impl Dense {
    fn forward(&self, rows: ArrayView2<'_, f64>, is_last: bool) -> Array2<f64> {
        let mut values = rows.dot(&self.weights) + &self.bias;
        if is_last {
            values.mapv_inplace(|x| 1.0 / (1.0 + (-x).exp()));
        } else {
            values.mapv_inplace(|x| x.max(0.0));
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

    fn loss_of(
        network: &Autoencoder,
        rows: ArrayView2<'_, f64>,
        weights: ArrayView1<'_, f64>,
    ) -> f64 {
        let residual = &rows - &network.reconstruct(rows);
        (&residual * &residual * weights).sum() / rows.nrows() as f64
    }

    /// Compares the gradient by one parameter with the difference of two losses.
    #[track_caller]
    fn check(
        network: &Autoencoder,
        weights: ArrayView1<'_, f64>,
        gradient: f64,
        parameter: impl Fn(&mut Autoencoder) -> &mut f64,
    ) {
        // Small against the weights, large against float64's rounding of the loss.
        let step = 1e-5;
        let rows = rows(9, network.layers[0].weights.nrows());
        let loss = |by: f64| {
            let mut moved = network.clone();
            *parameter(&mut moved) += by;
            loss_of(&moved, rows.view(), weights)
        };
        let expected = (loss(step) - loss(-step)) / (2.0 * step);
        let tolerance = 1e-7 * expected.abs().max(1e-2);
        assert!(
            (gradient - expected).abs() < tolerance,
            "back-propagation says {gradient}, the difference {expected}"
        );
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_by_every_parameter() {
        let width = 5;
        let mut network = Autoencoder::new(rows(9, width).view(), &[4, 2, 3], &mut rng());
        for (i, layer) in network.layers.iter_mut().enumerate() {
            layer.bias.fill(0.05 * (i + 1) as f64);
        }
        // Unequal, and one feature does not count.
        let weights = ndarray::arr1(&[0.1, 0.4, 0.0, 0.3, 0.2]);
        let gradient = network.gradient(rows(9, width).view(), weights.view());
        let loss = loss_of(&network, rows(9, width).view(), weights.view());
        assert!((gradient.loss - loss).abs() < 1e-15);
        let mut largest: f64 = 0.0;
        for (i, layer) in gradient.layers.iter().enumerate() {
            for ((row, column), &value) in layer.weights.indexed_iter() {
                check(&network, weights.view(), value, |it| {
                    &mut it.layers[i].weights[[row, column]]
                });
                largest = largest.max(value.abs());
            }
            for (column, &value) in layer.bias.indexed_iter() {
                check(&network, weights.view(), value, |it| &mut it.layers[i].bias[column]);
            }
        }
        assert!(largest > 1e-3, "gradients of nothing prove nothing");
    }

    #[test]
    fn an_expanded_network_says_the_same_and_one_half_elsewhere() {
        let network = Autoencoder::new(rows(6, 2).view(), &[3], &mut rng());
        let wide = network.expanded(4, &[1, 3]);
        let small = rows(6, 2);
        let mut large = Array2::from_elem((6, 4), 9.0);
        large.column_mut(1).assign(&small.column(0));
        large.column_mut(3).assign(&small.column(1));
        let (expected, found) = (network.reconstruct(small.view()), wide.reconstruct(large.view()));
        for row in 0..6 {
            assert_eq!(found[[row, 0]], 0.5);
            assert_eq!(found[[row, 2]], 0.5);
            assert!((found[[row, 1]] - expected[[row, 0]]).abs() < 1e-15);
            assert!((found[[row, 3]] - expected[[row, 1]]).abs() < 1e-15);
        }
    }

    #[test]
    fn initial_weights_follow_the_seed() {
        let rows = rows(5, 3);
        let network =
            |seed| Autoencoder::new(rows.view(), &[2], &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(network(1), network(1));
        assert_ne!(network(1), network(2));
    }
}
