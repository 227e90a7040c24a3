//! The forecast: what the newest step should be, by a linear map of the steps before it.
//!
//! In: scaled windows, clipped, 0 where a value is missing, and the time as sines and cosines. Out:
//! the expected newest step, scaled. All features of all earlier steps predict each feature. The
//! residual is in units of all residuals of the training range.
//!
//! A feature that was missing and is there now (its ranges are covered again after a pause of scrapes) counts
//! as unchanged before. If the mean stood in for it, it would seem to jump by the host's distance from the
//! mean, and so would all features that depend on it.
//!
//! Any feature may be missing when serving. So the map is the one that is best on average if every feature is
//! missing from a window, with all its steps, with a small probability: the expectation over missing features
//! has a closed form, in which products of different features count less.
//!
//! Source: ridge regression as in [`super::linear`]; the expectation over dropped inputs: Bishop
//! 1995; Wager, Wang, Liang 2013.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, s};

use super::linear::{Normal, round};
use super::{Base, BranchKind, CHUNK, Model};
use crate::model::graph::Attribute;
use crate::train::data::{Dataset, WindowPosition};
use crate::train::fit::{Fit, FitError};
use crate::train::graph::{Writer, rounded};

/// Steps that it looks at.
pub const LAGS: usize = 5;

/// The penalty in rows: a few rows of nothing before the first real one.
const PENALTY: f64 = 10.0;

/// How often a feature is taken to be missing: as seldom as that is. The network, which is told apart
/// from the forecast by what it sees, learns absence from more of it; a linear map that expects much of
/// it no longer trusts what features say of one another.
const MISSING: f64 = 0.005;

/// Residuals, in deviations, that count as usual at least: a feature that was foretold to a tenth is
/// not ten times as telling.
pub const LEAST_RESIDUAL: f64 = 0.1;

/// How many inputs there may be: their products take 0.8 GB then.
pub const MAX_INPUTS: usize = 10_000;

/// What the newest step should be, by a linear map of the steps before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// `[(window - 1) * features + waves, features]`, oldest step first.
    pub weights: Array2<f64>,
    /// One for each feature.
    pub bias: Vec<f64>,
}

/// What a map is solved from.
struct Sums {
    normal: Normal,
    features: usize,
    lagged: usize,
}

impl Sums {
    /// For windows of this length, and so many sines and cosines.
    fn new(window: usize, features: usize, waves: usize) -> Self {
        let lagged = (window - 1) * features;
        Self { normal: Normal::new(lagged + waves + 1, features), features, lagged }
    }

    /// Learns from scaled windows `[rows, window, features]`, NaN is missing, and the waves of their
    /// newest steps.
    fn add(&mut self, windows: ArrayView3<'_, f64>, waves: ArrayView2<'_, f64>) {
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
    fn solve(mut self, penalty: f64, missing: f64) -> Forecast {
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

/// The steps before the newest as one row each, and the waves. A value that is missing is the newest one of
/// its feature, and 0 where that is missing as well.
fn inputs(windows: ArrayView3<'_, f64>, waves: ArrayView2<'_, f64>) -> Array2<f64> {
    let (rows, window, features) = windows.dim();
    let or = |value: f64, other: f64| if value.is_finite() { value } else { other };
    let flat = Array2::from_shape_fn((rows, (window - 1) * features), |(row, at)| {
        let feature = at % features;
        or(windows[[row, at / features, feature]], or(windows[[row, window - 1, feature]], 0.0))
    });
    ndarray::concatenate![Axis(1), flat, waves]
}

impl Forecast {
    /// Learns from windows; every number is rounded to float32, as a graph holds it.
    ///
    /// # Errors
    /// With too many features.
    pub fn learn(
        dataset: &Dataset,
        places: &[WindowPosition],
        base: &Base,
    ) -> Result<Self, FitError> {
        let features = base.scaler.kinds.len();
        if LAGS * features > MAX_INPUTS {
            return Err(FitError::TooWide { features, most: MAX_INPUTS / LAGS });
        }
        let mut sums = Sums::new(LAGS + 1, features, base.season.harmonics.count());
        for places in places.chunks(CHUNK) {
            let raw = dataset.gather(places, base.window);
            let (clipped, waves) = base.inputs(raw.view());
            sums.add(clipped.slice(s![.., base.window - 1 - LAGS.., ..]), waves.view());
        }
        let mut map = sums.solve(PENALTY, MISSING);
        round(&mut map.weights, &mut map.bias);
        Ok(map)
    }
}

impl Writer<'_> {
    /// How far the newest step is from what the map foretells, in deviations.
    pub(in crate::train) fn forecast(&mut self, (inputs, width): (usize, usize)) {
        let earlier = (-1 - LAGS as i64, -1);
        self.flattened("clipped", earlier, "forecast_seen");
        self.flattened("present", earlier, "forecast_present");
        self.newest("clipped", "clipped_newest");
        let again = ["clipped_newest"; LAGS];
        self.graph
            .node("Sub", &["one", "forecast_present"], "forecast_missing")
            .node_with("Concat", &again, "forecast_unchanged", &[Attribute::Int("axis", 1)])
            .node("Mul", &["forecast_unchanged", "forecast_missing"], "forecast_filled")
            .node("Add", &["forecast_seen", "forecast_filled"], "forecast_earlier");
        let input = if self.first().base.season.harmonics.count() > 0 {
            let names = ["forecast_earlier", "waves"];
            self.graph.node_with("Concat", &names, "forecast_input", &[Attribute::Int("axis", 1)]);
            "forecast_input"
        } else {
            "forecast_earlier"
        };
        let map = |it: &Fit| {
            let map = map_of(it);
            (rounded(&map.weights), rounded(&map.bias))
        };
        let weights = ("forecast_weights", [inputs, width]);
        self.linear(input, weights, "forecast_bias", &map, "forecast_expected");
        self.graph.node("Sub", &["clipped_newest", "forecast_expected"], "forecast_distance");
    }
}

/// The map of a fit that has one.
fn map_of(fit: &Fit) -> &Forecast {
    match &fit.branch(BranchKind::Forecast).model {
        Model::Forecast(map) => map,
        other => unreachable!("{other:?} is no forecast"),
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
        let mut sums = Sums::new(3, 2, 0);
        for chunk in windows.axis_chunks_iter(Axis(0), 16) {
            sums.add(chunk, none(chunk.dim().0).view());
        }
        sums.solve(1e-6, missing)
    }

    /// Of what is foretold from some windows for the newest steps of others.
    fn error(forecast: &Forecast, windows: &Array3<f64>, truth: &Array3<f64>) -> f64 {
        let found = forecast.expect(windows.view(), none(windows.dim().0).view());
        let residual = found - truth.slice(s![.., 2, ..]);
        residual.mapv(|it| it * it).mean().expect("some rows")
    }

    #[test]
    fn what_follows_a_rule_is_foretold() {
        let windows = windows(100);
        assert!(error(&learnt(&windows, 0.0), &windows, &windows) < 1e-9);
    }

    /// The closed form is the best on average: better than the plain map when features are missing.
    #[test]
    fn a_map_that_knows_absence_bears_it_better() {
        let whole = windows(200);
        let mut gaps = whole.clone();
        for row in 0..200 {
            if row % 5 < 2 {
                gaps.slice_mut(s![row, .., row % 5]).fill(f64::NAN);
            }
        }
        let (plain, aware) = (learnt(&whole, 0.0), learnt(&whole, 0.2));
        assert!(error(&aware, &gaps, &whole) < 0.8 * error(&plain, &gaps, &whole));
        assert!(error(&aware, &whole, &whole) > error(&plain, &whole, &whole));
    }

    #[test]
    fn what_begins_begins_where_it_is() {
        // Both stand still, far from the mean: a feature that was missing has not jumped.
        let still = Array3::from_elem((50, 3, 2), 4.0);
        let forecast = learnt(&still, 0.005);
        let mut begun = still.clone();
        begun.slice_mut(s![.., ..2, 0]).fill(f64::NAN);
        let found = forecast.expect(begun.view(), none(50).view());
        assert_eq!(found, forecast.expect(still.view(), none(50).view()));
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
