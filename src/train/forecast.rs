//! A forecast: what the newest step should be, by a linear map of the steps before it.
//!
//! In: scaled windows, clipped, 0 where a value is missing, and the time as sines and cosines. Out:
//! the expected newest step, scaled. All features of all earlier steps predict each feature.
//!
//! Serving may lack any feature. So the map is the one that is best on average when every feature is
//! missing from a window, with all its steps, with a small probability: the expectation over what is
//! missing has a closed form, in which products of different features count less.
//!
//! Source: ridge regression as in [`super::linear`]; the expectation over dropped inputs: Bishop
//! 1995; Wager, Wang, Liang 2013.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, s};

use super::linear::{Normal, round};

/// How many inputs there may be: their products take 0.8 GB then.
pub(super) const MAX_INPUTS: usize = 10_000;

/// What the newest step should be, by a linear map of the steps before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Forecast {
    /// `[(window - 1) * features + waves, features]`, oldest step first.
    pub weights: Array2<f64>,
    /// One for each feature.
    pub bias: Vec<f64>,
}

/// A forecast in the making.
pub(super) struct Learning {
    normal: Normal,
    features: usize,
    lagged: usize,
}

impl Learning {
    /// For windows of this length, and so many sines and cosines.
    pub fn new(window: usize, features: usize, waves: usize) -> Self {
        let lagged = (window - 1) * features;
        Self { normal: Normal::new(lagged + waves + 1, features), features, lagged }
    }

    /// Learns from scaled windows `[rows, window, features]`, NaN is missing, and the waves of their
    /// newest steps.
    pub fn add(&mut self, windows: ArrayView3<'_, f64>, waves: ArrayView2<'_, f64>) {
        let (rows, window, features) = windows.dim();
        let inputs = inputs(windows, waves);
        let with_one = ndarray::concatenate![Axis(1), inputs, Array2::ones((rows, 1))];
        // What is missing counts as unchanged: it must teach nothing.
        let outputs = Array2::from_shape_fn((rows, features), |(row, feature)| {
            let column = windows.slice(s![row, ..window, feature]);
            column.iter().rev().copied().find(|it| it.is_finite()).unwrap_or(0.0)
        });
        self.normal.add(with_one.view(), outputs.view());
    }

    /// The map for features that are missing with probability `missing`.
    pub fn finish(mut self, penalty: f64, missing: f64) -> Forecast {
        let last = self.normal.gram.nrows() - 1;
        let there = 1.0 - missing;
        // How often an input is there: always, if it is of the time or the constant 1.
        let (lagged, features) = (self.lagged, self.features);
        let is_there = |i: usize| if i < lagged { there } else { 1.0 };
        for ((i, j), product) in self.normal.gram.indexed_iter_mut() {
            let same = i < lagged && j < lagged && i % features == j % features;
            *product *= if same { there } else { is_there(i) * is_there(j) };
        }
        for (i, mut row) in self.normal.cross.outer_iter_mut().enumerate() {
            row *= is_there(i);
        }
        let solution = self.normal.solve(penalty);
        let weights = solution.slice(s![..last, ..]).to_owned();
        Forecast { weights, bias: solution.row(last).to_vec() }
    }
}

/// The steps before the newest as one row each, 0 where a value is missing, and the waves.
fn inputs(windows: ArrayView3<'_, f64>, waves: ArrayView2<'_, f64>) -> Array2<f64> {
    let (rows, window, features) = windows.dim();
    let earlier = windows.slice(s![.., ..window - 1, ..]);
    let there = earlier.mapv(|it| if it.is_finite() { it } else { 0.0 });
    let flat = there.into_shape_with_order((rows, (window - 1) * features));
    ndarray::concatenate![Axis(1), flat.expect("the same values"), waves]
}

impl Forecast {
    /// The same map with every number rounded to float32, as a graph holds it.
    pub fn rounded(mut self) -> Self {
        round(&mut self.weights, &mut self.bias);
        self
    }
}

#[cfg(test)]
impl Forecast {
    /// The newest step of scaled windows as it should be, `[rows, features]`.
    pub fn expect(&self, windows: ArrayView3<'_, f64>, waves: ArrayView2<'_, f64>) -> Array2<f64> {
        let bias = ndarray::ArrayView1::from(self.bias.as_slice());
        inputs(windows, waves).dot(&self.weights) + bias
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    /// Two features that turn around each other: the next step follows from the one before.
    fn windows(rows: usize) -> Array3<f64> {
        Array3::from_shape_fn((rows, 3, 2), |(row, step, feature)| {
            let t = 0.3 * (row + step) as f64;
            if feature == 0 { t.sin() } else { t.cos() }
        })
    }

    fn none(rows: usize) -> Array2<f64> {
        Array2::zeros((rows, 0))
    }

    fn learnt(windows: &Array3<f64>, missing: f64) -> Forecast {
        let mut learning = Learning::new(3, 2, 0);
        for chunk in windows.axis_chunks_iter(Axis(0), 16) {
            learning.add(chunk, none(chunk.dim().0).view());
        }
        learning.finish(1e-6, missing)
    }

    fn error(forecast: &Forecast, windows: &Array3<f64>) -> f64 {
        let residual = forecast.expect(windows.view(), none(windows.dim().0).view())
            - windows.slice(s![.., 2, ..]);
        residual.mapv(|it| it * it).mean().expect("some rows")
    }

    #[test]
    fn what_follows_a_rule_is_foretold() {
        let windows = windows(100);
        assert!(error(&learnt(&windows, 0.0), &windows) < 1e-9);
    }

    /// The closed form is the best on average: better than the plain map when features are missing.
    #[test]
    fn a_map_that_knows_absence_bears_it_better() {
        let whole = windows(200);
        let mut gaps = whole.clone();
        for row in 0..200 {
            if row % 5 < 2 {
                gaps.slice_mut(s![row, ..2, row % 5]).fill(f64::NAN);
            }
        }
        let (plain, aware) = (learnt(&whole, 0.0), learnt(&whole, 0.2));
        assert!(error(&aware, &gaps) < 0.8 * error(&plain, &gaps));
        assert!(error(&aware, &whole) > error(&plain, &whole));
    }

    #[test]
    fn a_missing_target_teaches_nothing() {
        let mut windows = windows(60);
        windows.slice_mut(s![.., 2, 1]).fill(f64::NAN);
        let forecast = learnt(&windows, 0.0);
        let found = forecast.expect(windows.view(), none(60).view());
        for (found, before) in found.column(1).iter().zip(windows.slice(s![.., 1, 1])) {
            assert!((found - before).abs() < 1e-5, "{found} {before}");
        }
    }
}
