//! Adam: every weight moves by its own recent gradients, divided by their recent size.
//!
//! In: gradients. Out: changed weights. Source: Kingma, Ba 2015, algorithm 1 and its constants.

use ndarray::{Array, Dimension, Zip};

use super::network::{Dense, Gradient, Network};

/// How slowly the mean of the gradients forgets.
const BETA1: f64 = 0.9;
/// How slowly the mean of their squares forgets.
const BETA2: f64 = 0.999;
/// Keeps a weight that has had no gradient where it is.
const EPSILON: f64 = 1e-8;

/// The state of the optimiser of one network.
#[derive(Debug)]
pub struct Adam {
    learning_rate: f64,
    steps: i32,
    mean: Vec<Dense>,
    square: Vec<Dense>,
}

impl Adam {
    /// Has seen nothing yet.
    pub fn new(network: &Network, learning_rate: f64) -> Self {
        let zeros = |layer: &Dense| Dense {
            weights: Array::zeros(layer.weights.dim()),
            bias: Array::zeros(layer.bias.dim()),
        };
        Self {
            learning_rate,
            steps: 0,
            mean: network.layers.iter().map(zeros).collect(),
            square: network.layers.iter().map(zeros).collect(),
        }
    }

    /// Moves the weights against the gradient.
    pub fn step(&mut self, network: &mut Network, gradient: &Gradient) {
        self.steps = self.steps.saturating_add(1);
        // Both means start at zero, which these make up for.
        let unbias1 = 1.0 - BETA1.powi(self.steps);
        let unbias2 = 1.0 - BETA2.powi(self.steps);
        let rates = Rates { step: self.learning_rate / unbias1, unbias2 };
        for (i, layer) in network.layers.iter_mut().enumerate() {
            let (mean, square) = (&mut self.mean[i], &mut self.square[i]);
            let by = &gradient.layers[i];
            rates.update(&mut layer.weights, &by.weights, &mut mean.weights, &mut square.weights);
            rates.update(&mut layer.bias, &by.bias, &mut mean.bias, &mut square.bias);
        }
    }
}

struct Rates {
    step: f64,
    unbias2: f64,
}

impl Rates {
    fn update<D: Dimension>(
        &self,
        values: &mut Array<f64, D>,
        gradient: &Array<f64, D>,
        mean: &mut Array<f64, D>,
        square: &mut Array<f64, D>,
    ) {
        Zip::from(values).and(gradient).and(mean).and(square).for_each(
            |value, &gradient, mean, square| {
                *mean = BETA1 * *mean + (1.0 - BETA1) * gradient;
                *square = BETA2 * *square + (1.0 - BETA2) * gradient * gradient;
                *value -= self.step * *mean / ((*square / self.unbias2).sqrt() + EPSILON);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::Output;
    use super::*;

    /// The first two steps for one weight, worked out by hand from the paper's formulas.
    #[test]
    fn steps_are_those_of_the_paper() {
        let dense =
            |value: f64| Dense { weights: ndarray::arr2(&[[value]]), bias: ndarray::arr1(&[0.0]) };
        let mut network = Network { layers: vec![dense(1.0)], output: Output::Linear };
        let mut adam = Adam::new(&network, 0.1);
        let gradient = |value| Gradient { loss: 0.0, layers: vec![dense(value)] };
        adam.step(&mut network, &gradient(2.0));
        // The first step is the learning rate whatever the gradient.
        assert!((network.layers[0].weights[[0, 0]] - 0.9).abs() < 1e-8);
        adam.step(&mut network, &gradient(-1.0));
        // mean (0.9·0.2 − 0.1)/0.19, square (0.999·0.004 + 0.001)/0.001999.
        let (mean, square): (f64, f64) = (0.08 / 0.19, 0.004_996 / 0.001_999);
        let expected = 0.9 - 0.1 * mean / square.sqrt();
        assert!((network.layers[0].weights[[0, 0]] - expected).abs() < 1e-7);
        assert_eq!(network.layers[0].bias[0], 0.0);
    }
}
