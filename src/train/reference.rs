//! The arithmetic of a model once more, in float64: what the graph is compared with in tests.
//!
//! Only tests use it. The graph computes everything that training says of a model; this checks that the
//! graph computes what it should.

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Axis, Zip, s};

use super::branches::autoencoder::Autoencoder;
use super::branches::forecast::LAGS;
use super::branches::{Aggregate, Base, Branch, Model};
use super::fit::Fit;

/// What a model says about windows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReferenceOutput {
    /// The error of each window.
    pub error: Vec<f64>,
    /// Each feature's share, `[rows, features]`.
    pub contribution: Array2<f64>,
    /// What was expected of the newest step, in the features' own units.
    pub reconstruction: Array2<f64>,
}

/// A batch as every branch needs it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Scaled windows `[rows, window, features]`; NaN is missing.
    pub windows: ndarray::Array3<f64>,
    /// The same, clipped.
    pub clipped: ndarray::Array3<f64>,
    /// Sines and cosines of the newest step.
    pub waves: Array2<f64>,
    /// The season's course at the newest step without its mean, `[rows, features]`.
    pub course: Array2<f64>,
    /// How far the newest step is from the entity's level, and the level's scale, in deviations.
    pub from_level: Array2<f64>,
    /// The level's scale in deviations.
    pub level_scale: Array2<f64>,
}

impl Base {
    /// The first float32 operations are the graph's own, so that huge values round alike.
    pub fn prepare(
        &self,
        raw: ArrayView3<'_, f32>,
        level: (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
    ) -> Prepared {
        let (rows, window, features) = raw.dim();
        let flat = raw.to_shape((rows * window, features)).expect("the same values");
        let scaled = self.scaler.scale(flat.view());
        let windows = scaled
            .mapv(f64::from)
            .into_shape_with_order((rows, window, features))
            .expect("as many");
        let (clipped, waves) = self.inputs(raw);
        let newest = raw.slice(s![.., window - 1, ..]);
        let course = waves.dot(&self.season.weights);
        let inverse = Array1::from(self.scaler.inverse.clone());
        let from_level = ((&newest - &level.0) * &inverse).mapv(f64::from);
        let level_scale = (&level.1 * &inverse).mapv(f64::from);
        Prepared { windows, clipped, waves, course, from_level, level_scale }
    }

    /// Features that count and are there: others have no residual.
    fn counted(&self, mut residual: Array2<f64>) -> Array2<f64> {
        for (kind, mut column) in self.scaler.kinds.iter().zip(residual.axis_iter_mut(Axis(1))) {
            if !kind.counts() {
                column.fill(f64::NAN);
            }
        }
        residual
    }
}

impl Autoencoder {
    /// The steps that the network looks at, one row each.
    fn inputs(&self, batch: &Prepared) -> Array2<f64> {
        let (rows, window, features) = batch.windows.dim();
        let steps = batch.windows.slice(s![.., window - self.steps.., ..]);
        let mut inputs = Array2::zeros((rows, self.steps * features));
        for ((row, step, feature), value) in steps.indexed_iter() {
            inputs[[row, step * features + feature]] = self.fed(feature, *value);
        }
        inputs
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
}

impl Branch {
    /// The newest step as it should be, in deviations, `[rows, features]`.
    pub fn expect(&self, base: &Base, batch: &Prepared) -> Array2<f64> {
        match &self.model {
            Model::Season => &batch.course + &Array1::from(base.season.bias.clone()),
            Model::Level => {
                let newest = batch.windows.slice(s![.., base.window - 1, ..]);
                &newest - &batch.from_level + &batch.course
            }
            Model::Forecast(map) => {
                let earlier = batch.clipped.slice(s![.., base.window - 1 - LAGS.., ..]);
                map.expect(earlier, batch.waves.view())
            }
            Model::Autoencoder(autoencoder) => {
                let mut expected = autoencoder.expect(batch);
                for (feature, mut column) in expected.axis_iter_mut(Axis(1)).enumerate() {
                    let offset = f64::from(autoencoder.offset[feature]);
                    let factor = f64::from(autoencoder.factor[feature]);
                    column.mapv_inplace(|it| (it - offset) / factor);
                }
                expected
            }
        }
    }

    /// Residuals before they are divided by their usual size, `[rows, features]`; NaN where a
    /// feature does not count or is missing.
    pub fn raw_residual(&self, base: &Base, batch: &Prepared) -> Array2<f64> {
        let last = base.window - 1;
        let residual = match &self.model {
            Model::Season => &batch.windows.slice(s![.., last, ..]) - &self.expect(base, batch),
            Model::Level => (&batch.from_level - &batch.course) / own_scale(base, batch),
            Model::Forecast(_) => {
                &batch.clipped.slice(s![.., last, ..]) - &self.expect(base, batch)
            }
            Model::Autoencoder(autoencoder) => {
                autoencoder.observed(batch) - autoencoder.expect(batch)
            }
        };
        base.counted(residual)
    }

    /// What residuals say of each row, in the branch's own measure.
    pub fn aggregate(&self, base: &Base, batch: &Prepared) -> Aggregated {
        let mut residual = self.raw_residual(base, batch);
        for (inverse, mut column) in self.inverse.iter().zip(residual.axis_iter_mut(Axis(1))) {
            column.mapv_inplace(|it| it * f64::from(*inverse));
        }
        self.model.kind().aggregate().of(residual.view())
    }

    /// The branch's part of the whole for a value of its own measure.
    pub fn part(&self, value: f64) -> f64 {
        let ratio = value / f64::from(self.quantile);
        f64::from(self.weight) * self.cap.map_or(ratio, |cap| ratio.min(f64::from(cap)))
    }
}

/// The scale of each feature's departure from its level: that of training, or the entity's own
/// without the season's part where that is larger.
fn own_scale(base: &Base, batch: &Prepared) -> Array2<f64> {
    let mut scale = batch.level_scale.clone();
    let (wave, least) = (
        Array1::from(base.season.wave_square.clone()).mapv(f64::from),
        Array1::from(base.season.scale.clone()).mapv(f64::from),
    );
    Zip::from(scale.rows_mut()).for_each(|mut row| {
        Zip::from(&mut row).and(&wave).and(&least).for_each(|scale, wave, least| {
            *scale = (*scale * *scale - wave).max(0.0).sqrt().max(*least);
        });
    });
    scale
}

/// What residuals say of each row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Aggregated {
    /// One number for each row, at least 0.
    pub value: Vec<f64>,
    /// Each feature's share, `[rows, features]`; a row sums to 1, or to 0 where the value is 0.
    pub share: Array2<f64>,
}

impl Aggregate {
    /// Aggregates residuals.
    ///
    /// # NaN
    /// A residual that does not count, or is missing.
    pub fn of(self, residuals: ArrayView2<'_, f64>) -> Aggregated {
        let mut value = Vec::with_capacity(residuals.nrows());
        let mut share = Array2::zeros(residuals.dim());
        for (row, mut share) in residuals.outer_iter().zip(share.outer_iter_mut()) {
            let there = row.iter().filter(|it| !it.is_nan()).count();
            let size = |it: f64| match self {
                _ if it.is_nan() => 0.0,
                Self::RootMeanSquare => it * it,
                Self::Largest(_) => it.abs(),
            };
            let mut parts: Vec<f64> = row.iter().map(|it| size(*it)).collect();
            value.push(match self {
                Self::RootMeanSquare => (parts.iter().sum::<f64>() / there.max(1) as f64).sqrt(),
                Self::Largest(count) => {
                    let sum = keep_largest(&mut parts, count);
                    sum / there.clamp(1, count) as f64
                }
            });
            let sum: f64 = parts.iter().sum();
            if sum > 0.0 {
                share.iter_mut().zip(&parts).for_each(|(share, part)| *share = part / sum);
            }
        }
        Aggregated { value, share }
    }
}

/// Makes 0 of all but the largest and gives the sum of those. Equal ones at the border all stay, as
/// they do in the graph, where comparison alone tells them apart; the sum has so many terms even so.
fn keep_largest(parts: &mut [f64], count: usize) -> f64 {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    sorted.truncate(count);
    if let Some(least) = sorted.last() {
        parts.iter_mut().filter(|it| **it < *least).for_each(|it| *it = 0.0);
    }
    sorted.iter().sum()
}

impl Fit {
    /// Everything about raw windows `[rows, window, features]` and the levels at them.
    pub fn evaluate(
        &self,
        raw: ArrayView3<'_, f32>,
        level: (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
    ) -> ReferenceOutput {
        let batch = self.base.prepare(raw, level);
        let (rows, window, features) = raw.dim();
        let mut error = Array1::<f64>::zeros(rows);
        let mut contribution = Array2::<f64>::zeros((rows, features));
        for branch in &self.branches {
            let aggregated = branch.aggregate(&self.base, &batch);
            for (row, value) in aggregated.value.iter().enumerate() {
                let part = branch.part(*value);
                error[row] += part;
                contribution.row_mut(row).scaled_add(part, &aggregated.share.row(row));
            }
        }
        for (mut row, error) in contribution.axis_iter_mut(Axis(0)).zip(&error) {
            row.mapv_inplace(|part| if *error > 0.0 { part / error } else { 0.0 });
        }
        let expected = self.heaviest_branch().expect(&self.base, &batch);
        let scaler = &self.base.scaler;
        let reconstruction = Array2::from_shape_fn((rows, features), |(row, feature)| {
            if scaler.kinds[feature].counts() {
                let size = f64::from(scaler.size(feature));
                expected[[row, feature]] * size + f64::from(scaler.offset[feature])
            } else {
                // What does not count is expected to be whatever it is.
                f64::from(raw[[row, window - 1, feature]])
            }
        });
        error *= f64::from(self.gain);
        let newest = raw.index_axis(Axis(1), window - 1);
        for (error, row) in error.iter_mut().zip(newest.outer_iter()) {
            let counts = |(value, kind): (&f32, &super::data::scaler::FeatureUse)| {
                kind.counts() && value.is_finite()
            };
            // Of what nothing is known there is no error.
            if !row.iter().zip(&scaler.kinds).any(counts) {
                *error = f64::NAN;
            }
        }
        ReferenceOutput { error: error.to_vec(), contribution, reconstruction }
    }
}

#[track_caller]
fn check(aggregate: Aggregate, row: &[f64], value: f64, share: &[f64]) {
    let rows = Array2::from_shape_vec((1, row.len()), row.to_vec()).expect("a row");
    let found = aggregate.of(rows.view());
    assert!((found.value[0] - value).abs() < 1e-12, "{found:?}");
    for (found, expected) in found.share.iter().zip(share) {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }
}

const NAN: f64 = f64::NAN;

#[test]
fn many_small_departures_or_one_large() {
    let rms = Aggregate::RootMeanSquare;
    check(rms, &[3.0, -4.0], 12.5_f64.sqrt(), &[0.36, 0.64]);
    check(rms, &[0.0, 0.0], 0.0, &[0.0, 0.0]);
    let largest = Aggregate::Largest(2);
    check(largest, &[1.0, -5.0, 3.0], 4.0, &[0.0, 0.625, 0.375]);
    check(largest, &[2.0], 2.0, &[1.0]);
    // Three share a place for two.
    check(largest, &[3.0, 3.0, -3.0], 3.0, &[1.0 / 3.0; 3]);
}

#[test]
fn what_is_missing_makes_nothing_smaller() {
    check(Aggregate::RootMeanSquare, &[3.0, NAN, NAN], 3.0, &[1.0, 0.0, 0.0]);
    check(Aggregate::Largest(2), &[NAN, 3.0, NAN], 3.0, &[0.0, 1.0, 0.0]);
    check(Aggregate::Largest(2), &[NAN, NAN], 0.0, &[0.0, 0.0]);
}
