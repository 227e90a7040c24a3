//! Ridge regression: the linear map that explains outputs by inputs with the least squared error,
//! kept small.
//!
//! In: batches of input and output rows. Out: weights, inputs by outputs. Only sums of products are
//! kept, so that memory does not grow with the rows: `inputs²` numbers.
//!
//! Source: Hoerl, Kennard 1970; solved by Cholesky's factorisation (Golub, Van Loan 2013, 4.2).

use ndarray::{Array2, ArrayView2, s};

/// Sums of products of inputs and outputs.
#[derive(Debug, Clone)]
pub(super) struct Normal {
    /// Inputs by inputs.
    pub gram: Array2<f64>,
    /// Inputs by outputs.
    pub cross: Array2<f64>,
    /// Rows that were added.
    pub rows: f64,
}

impl Normal {
    /// No rows yet.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            gram: Array2::zeros((inputs, inputs)),
            cross: Array2::zeros((inputs, outputs)),
            rows: 0.0,
        }
    }

    /// Adds rows of inputs and of outputs.
    pub fn add(&mut self, inputs: ArrayView2<'_, f64>, outputs: ArrayView2<'_, f64>) {
        self.gram += &inputs.t().dot(&inputs);
        self.cross += &inputs.t().dot(&outputs);
        self.rows += inputs.nrows() as f64;
    }

    /// The weights with the least squared error plus `penalty` times their own squares. A larger
    /// penalty is taken where the inputs determine nothing.
    pub fn solve(&self, penalty: f64) -> Array2<f64> {
        let inputs = self.gram.nrows();
        let mut penalty = penalty.max(f64::MIN_POSITIVE);
        loop {
            let mut gram = self.gram.clone();
            gram.diag_mut().map_inplace(|it| *it += penalty);
            if let Some(factor) = cholesky(gram) {
                return substitute(&factor, &self.cross);
            }
            let largest = self.gram.diag().iter().copied().fold(1e-300, f64::max);
            penalty = (10.0 * penalty).max(1e-12 * largest * inputs as f64);
        }
    }
}

/// The lower triangle L with L Lᵀ = A; nothing when A is not positive definite.
fn cholesky(mut a: Array2<f64>) -> Option<Array2<f64>> {
    let n = a.nrows();
    for j in 0..n {
        let row = a.slice(s![j, ..j]).to_owned();
        let pivot = a[[j, j]] - row.dot(&row);
        // Written so that NaN is none.
        let sound = pivot > 1e-14 * a[[j, j]].abs();
        if !sound {
            return None;
        }
        let root = pivot.sqrt();
        a[[j, j]] = root;
        for i in j + 1..n {
            let sum = a.slice(s![i, ..j]).dot(&row);
            a[[i, j]] = (a[[i, j]] - sum) / root;
        }
    }
    Some(a)
}

/// Solves L Lᵀ X = B.
fn substitute(l: &Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
    let n = l.nrows();
    let mut x = b.clone();
    for i in 0..n {
        let known = l.slice(s![i, ..i]).dot(&x.slice(s![..i, ..]));
        let row = (&x.row(i) - &known) / l[[i, i]];
        x.row_mut(i).assign(&row);
    }
    for i in (0..n).rev() {
        let known = l.slice(s![i + 1.., i]).dot(&x.slice(s![i + 1.., ..]));
        let row = (&x.row(i) - &known) / l[[i, i]];
        x.row_mut(i).assign(&row);
    }
    x
}

/// Rounds a map to float32, as a graph holds it.
pub(super) fn round(weights: &mut Array2<f64>, bias: &mut [f64]) {
    let round = |value: f64| f64::from(value as f32);
    weights.mapv_inplace(round);
    bias.iter_mut().for_each(|it| *it = round(*it));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Array2<f64> {
        Array2::from_shape_fn((40, 3), |(i, j)| ((i * (j + 2)) as f64 * 0.37).sin() + j as f64)
    }

    #[test]
    fn a_line_is_found() {
        let inputs = inputs();
        let truth = ndarray::arr2(&[[1.0, -2.0], [0.5, 0.0], [3.0, 4.0]]);
        let mut normal = Normal::new(3, 2);
        let outputs = inputs.dot(&truth);
        for (inputs, outputs) in inputs
            .axis_chunks_iter(ndarray::Axis(0), 7)
            .zip(outputs.axis_chunks_iter(ndarray::Axis(0), 7))
        {
            normal.add(inputs, outputs);
        }
        let found = normal.solve(1e-9);
        assert!((&found - &truth).iter().all(|it| it.abs() < 1e-6), "{found}");
        assert_eq!(normal.rows, 40.0);
    }

    /// The gradient of the penalised error is zero at the solution.
    #[test]
    fn a_penalty_keeps_weights_small_and_optimal() {
        let inputs = inputs();
        let outputs = inputs.mapv(|it| (3.0 * it).cos());
        let mut normal = Normal::new(3, 3);
        normal.add(inputs.view(), outputs.view());
        let found = normal.solve(10.0);
        let gradient = inputs.t().dot(&(inputs.dot(&found) - &outputs)) + 10.0 * &found;
        assert!(gradient.iter().all(|it| it.abs() < 1e-9), "{gradient}");
        let free = normal.solve(0.0);
        assert!(found.mapv(|it| it * it).sum() < free.mapv(|it| it * it).sum());
    }

    #[test]
    fn inputs_that_say_the_same_are_no_failure() {
        let column = inputs().slice(s![.., ..1]).to_owned();
        let twice = ndarray::concatenate![ndarray::Axis(1), column, column, Array2::zeros((40, 1))];
        let mut normal = Normal::new(3, 1);
        normal.add(twice.view(), column.view());
        let found = normal.solve(0.0);
        let restored = twice.dot(&found);
        assert!((&restored - &column).iter().all(|it| it.abs() < 1e-4), "{found}");
    }
}
