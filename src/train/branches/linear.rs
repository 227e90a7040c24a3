//! Ridge regression: the linear map that explains outputs by inputs with the least squared error,
//! kept small.
//!
//! In: batches of input and output rows. Out: weights, inputs by outputs. Only sums of products are
//! kept, so that memory does not grow with the rows: `inputs²` numbers.
//!
//! The arithmetic is faer's, on one thread: the same rows give the same numbers on one machine. A machine with
//! longer vector registers rounds sums differently.
//!
//! Source: Hoerl, Kennard 1970; solved by Cholesky's factorisation (Golub, Van Loan 2013, 4.2).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2};

/// A pivot that is a smaller part than this of what it was is nothing but rounding.
const LEAST_PIVOT: f64 = 1e-14;

/// Sums of products of inputs and outputs.
#[derive(Debug, Clone)]
pub struct Normal {
    /// Inputs by inputs, of which the upper triangle counts; the rest is 0.
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
        use triangular::BlockStructure::{Rectangular, TriangularLower};
        let (rows, count) = inputs.dim();
        self.rows += rows as f64;
        let (inputs, outputs) = (inputs.as_standard_layout(), outputs.as_standard_layout());
        // By columns what ndarray has by rows, which turns the matrix over.
        let turned = MatRef::from_column_major_slice(slice(&inputs), count, rows);
        let gram = by_columns(&mut self.gram);
        triangular::matmul(
            gram,
            TriangularLower,
            Accum::Add,
            turned,
            Rectangular,
            turned.transpose(),
            Rectangular,
            1.0,
            Par::Seq,
        );
        let outputs = MatRef::from_row_major_slice(slice(&outputs), rows, self.cross.ncols());
        matmul(by_rows(&mut self.cross), Accum::Add, turned, outputs, 1.0, Par::Seq);
    }

    /// The weights with the least squared error plus `penalty` times their own squares. A larger
    /// penalty is taken where the inputs determine nothing.
    ///
    /// # NaN
    /// Where a sum is no number the weights are 0.
    pub fn solve(&self, penalty: f64) -> Array2<f64> {
        let inputs = self.gram.nrows();
        let mut penalty = penalty.max(f64::MIN_POSITIVE);
        while penalty.is_finite() {
            let mut gram = self.gram.clone();
            gram.diag_mut().map_inplace(|it| *it += penalty);
            if let Some(factor) = cholesky(gram) {
                return substitute(factor, &self.cross);
            }
            let largest = self.gram.diag().iter().copied().fold(1e-300, f64::max);
            penalty = (10.0 * penalty).max(1e-12 * largest * inputs as f64);
        }
        Array2::zeros(self.cross.dim())
    }
}

/// The triangle L with L Lᵀ = A by columns, where A counts in its upper triangle by rows; nothing
/// when A is not positive definite.
fn cholesky(mut a: Array2<f64>) -> Option<Array2<f64>> {
    let n = a.nrows();
    let diagonal = a.diag().to_owned();
    let scratch = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
    let mut buffer = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut buffer);
    let matrix = by_columns(&mut a);
    let none = Default::default();
    llt::factor::cholesky_in_place(matrix, none, Par::Seq, stack, Default::default()).ok()?;
    // Written so that NaN is none.
    let sound = |(root, whole): (&f64, &f64)| root * root > LEAST_PIVOT * whole.abs();
    a.diag().iter().zip(&diagonal).all(sound).then_some(a)
}

/// Solves L Lᵀ X = B, L by columns.
fn substitute(mut l: Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
    let (n, outputs) = b.dim();
    let mut x = b.clone();
    let scratch = llt::solve::solve_in_place_scratch::<f64>(n, outputs, Par::Seq);
    let mut buffer = MemBuffer::new(scratch);
    let (l, stack) = (by_columns(&mut l), MemStack::new(&mut buffer));
    llt::solve::solve_in_place(l.as_ref(), by_rows(&mut x), Par::Seq, stack);
    x
}

/// The numbers of a matrix in the standard layout.
fn slice<'a>(matrix: &'a ndarray::CowArray<'_, f64, ndarray::Ix2>) -> &'a [f64] {
    matrix.as_slice().expect("the standard layout is a slice")
}

/// A square matrix turned over.
fn by_columns(matrix: &mut Array2<f64>) -> MatMut<'_, f64> {
    let n = matrix.nrows();
    let values = matrix.as_slice_mut().expect("the standard layout is a slice");
    MatMut::from_column_major_slice_mut(values, n, n)
}

/// A matrix as it is.
fn by_rows(matrix: &mut Array2<f64>) -> MatMut<'_, f64> {
    let (rows, columns) = matrix.dim();
    let values = matrix.as_slice_mut().expect("the standard layout is a slice");
    MatMut::from_row_major_slice_mut(values, rows, columns)
}

/// Rounds a map to float32, as a graph holds it.
pub fn round(weights: &mut Array2<f64>, bias: &mut [f64]) {
    let round = |value: f64| f64::from(value as f32);
    weights.mapv_inplace(round);
    bias.iter_mut().for_each(|it| *it = round(*it));
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, s};
    use proptest::prelude::*;

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
    /// L Lᵀ X = B by the textbook's loops, of a whole symmetric matrix.
    fn by_loops(mut a: Array2<f64>, mut x: Array2<f64>) -> Array2<f64> {
        let n = a.nrows();
        for j in 0..n {
            a[[j, j]] = (a[[j, j]] - a.slice(s![j, ..j]).mapv(|it| it * it).sum()).sqrt();
            for i in j + 1..n {
                let sum = a.slice(s![i, ..j]).dot(&a.slice(s![j, ..j]));
                a[[i, j]] = (a[[i, j]] - sum) / a[[j, j]];
            }
        }
        for i in 0..n {
            let known = a.slice(s![i, ..i]).dot(&x.slice(s![..i, ..]));
            let row = (&x.row(i) - &known) / a[[i, i]];
            x.row_mut(i).assign(&row);
        }
        for i in (0..n).rev() {
            let known = a.slice(s![i + 1.., i]).dot(&x.slice(s![i + 1.., ..]));
            let row = (&x.row(i) - &known) / a[[i, i]];
            x.row_mut(i).assign(&row);
        }
        x
    }

    /// Numbers between -1 and 1 without a pattern.
    fn scattered(rows: usize, columns: usize, seed: f64) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            let at = 78.233 * i as f64 + 12.9898 * j as f64 + seed;
            2.0 * (at.sin() * 43_758.545).rem_euclid(1.0) - 1.0
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// The blocks of faer give what the plain loops give, and the same bits each time.
        #[test]
        fn weights_are_those_of_the_plain_loops(
            inputs in 1_usize..80, outputs in 1_usize..9, seed in 0.0..99.0,
        ) {
            let (x, y) = (scattered(4 * inputs, inputs, seed), scattered(4 * inputs, outputs, -seed));
            let learnt = || {
                let mut normal = Normal::new(inputs, outputs);
                let chunks = x.axis_chunks_iter(Axis(0), 33).zip(y.axis_chunks_iter(Axis(0), 33));
                chunks.for_each(|(x, y)| normal.add(x, y));
                normal.solve(1.0)
            };
            let found = learnt();
            let gram = x.t().dot(&x) + Array2::<f64>::eye(inputs);
            let expected = by_loops(gram, x.t().dot(&y));
            let largest = expected.iter().fold(0.0_f64, |most, it| most.max(it.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() <= 1e-9 * largest, "{found} {expected}");
            }
            let bits = |it: &Array2<f64>| it.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found), bits(&learnt()));
        }
    }

    #[test]
    fn what_is_no_number_has_no_weight() {
        let mut normal = Normal::new(2, 1);
        normal.add(ndarray::arr2(&[[f64::NAN, 1.0]]).view(), ndarray::arr2(&[[1.0]]).view());
        assert_eq!(normal.solve(1.0), Array2::<f64>::zeros((2, 1)));
    }
}
