//! A scaler: the line that brings each feature to a common size.
//!
//! In: the windows to fit on. Out: for each feature `(value - offset) * inverse`, computed in
//! float32 with these two operations, as the graph does, so that both agree to the last bit. Either
//! the training range becomes 0..1, or mean and deviation become 0 and 1.
//!
//! A feature that never moved in training has no size. Giving it none (an inverse of 0) would hide
//! that disk errors, always 0 before, are 10 now; dividing by next to nothing would make an anomaly
//! of every trifle. Such a feature is measured in units of itself, but at least in units of 1.

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::{Dataset, Role, WindowPosition};

/// A range counts as at least this part of the values. What stood at 0.776 to 0.777 while it was
/// watched, as the use of a disk does, is not a hundred times out of its range at 0.8; a departure
/// of less than a tenth of the level is no news by itself.
const LEAST_RANGE: f64 = 0.1;

/// A deviation counts as at least this part of the range that it was seen in: a feature that stands
/// still but for some spikes is not at the end of its tether by half a spike.
const LEAST_DEVIATION: f64 = 0.01;

/// A range of less than this part of the values is noise of float32, whose step is 6e-8 of them.
const RELATIVE_RANGE: f32 = 1e-6;

/// A range of less than this is noise of float64 sums that ought to be zero.
const ABSOLUTE_RANGE: f32 = 1e-9;

/// What becomes 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// The least and the largest training value.
    MinMax,
    /// Mean and mean plus deviation.
    Standard,
}

/// The line that brings each feature to a common size.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    /// What becomes 0.
    pub offset: Vec<f32>,
    /// One over the distance of what becomes 1; 0 for a neutral feature.
    pub inverse: Vec<f32>,
    /// The least that counts as a usual departure, in units of what becomes 1.
    pub least: Vec<f32>,
    /// What becomes of each feature.
    pub kinds: Vec<FeatureUse>,
}

/// What becomes of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureUse {
    /// Is learnt from and counts in the error.
    Learnt,
    /// Never moved in training: counts in the error when it departs from its value.
    Constant,
    /// Is learnt from and does not count: it tells the time.
    Context,
    /// Neither: it tells the time without being learnt from, or was never there.
    Neutral,
}

impl FeatureUse {
    /// Whether models see it.
    pub fn enters(self) -> bool {
        matches!(self, Self::Learnt | Self::Context)
    }

    /// Whether its residual is part of the error.
    pub fn counts(self) -> bool {
        matches!(self, Self::Learnt | Self::Constant)
    }
}

/// What is known of one feature's values.
#[derive(Debug, Clone, Copy)]
struct Seen {
    count: f64,
    mean: f64,
    /// Sum of squared differences from the mean (Welford 1962).
    squares: f64,
    min: f32,
    max: f32,
}

impl Seen {
    fn new() -> Self {
        Self { count: 0.0, mean: 0.0, squares: 0.0, min: f32::INFINITY, max: f32::NEG_INFINITY }
    }

    fn add(&mut self, value: f32) {
        self.count += 1.0;
        let difference = f64::from(value) - self.mean;
        self.mean += difference / self.count;
        self.squares += difference * (f64::from(value) - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

impl Scaler {
    /// Fits to the newest steps of windows.
    pub fn of(
        dataset: &Dataset,
        places: &[WindowPosition],
        roles: &[Role],
        scaling: Scaling,
    ) -> Self {
        let mut seen = vec![Seen::new(); roles.len()];
        for place in places {
            let row = dataset.entities[place.entity as usize].values.row(place.step as usize);
            for (seen, value) in seen.iter_mut().zip(row).filter(|(_, value)| value.is_finite()) {
                seen.add(*value);
            }
        }
        let mut scaler = Self { offset: vec![], inverse: vec![], least: vec![], kinds: Vec::new() };
        for (seen, role) in seen.iter().zip(roles) {
            scaler.push(seen, *role, scaling);
        }
        scaler
    }

    fn push(&mut self, seen: &Seen, role: Role, scaling: Scaling) {
        let (offset, size, kind) = line(seen, role, scaling);
        let range = f64::from(seen.max) - f64::from(seen.min);
        let least = if kind == FeatureUse::Learnt { LEAST_DEVIATION * range / size } else { 1.0 };
        self.least.push(least as f32);
        self.offset.push(offset as f32);
        self.inverse.push(if size > 0.0 { (1.0 / size) as f32 } else { 0.0 });
        self.kinds.push(kind);
    }

    /// Scales rows, without any clipping. NaN stays NaN.
    pub fn scale(&self, rows: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut scaled = rows.to_owned();
        for (i, mut column) in scaled.axis_iter_mut(Axis(1)).enumerate() {
            let (offset, inverse) = (self.offset[i], self.inverse[i]);
            column.mapv_inplace(|value| (value - offset) * inverse);
        }
        scaled
    }

    /// The distance between what becomes 0 and 1; 0 for a neutral feature.
    pub fn size(&self, feature: usize) -> f32 {
        match self.inverse[feature] {
            0.0 => 0.0,
            inverse => 1.0 / inverse,
        }
    }

    /// Whether anything moves that counts.
    pub fn is_learnt(&self) -> bool {
        self.kinds.contains(&FeatureUse::Learnt)
    }

    /// 1 for the features that count in the error, otherwise 0.
    pub fn counting(&self) -> Vec<f32> {
        self.kinds.iter().map(|kind| f32::from(u8::from(kind.counts()))).collect()
    }
}

/// What becomes 0, the distance to what becomes 1 (0: everything becomes 0), and the kind.
fn line(seen: &Seen, role: Role, scaling: Scaling) -> (f64, f64, FeatureUse) {
    if seen.count == 0.0 {
        return (0.0, 0.0, FeatureUse::Neutral);
    }
    let (min, max) = (f64::from(seen.min), f64::from(seen.max));
    // In float64: the difference of two huge float32 may be none.
    let range = max - min;
    let largest = seen.min.abs().max(seen.max.abs());
    let moves = range > f64::from(ABSOLUTE_RANGE.max(RELATIVE_RANGE * largest));
    let deviation = (seen.squares / seen.count).sqrt();
    match (role, scaling) {
        (Role::LeftOut, _) => (min, 0.0, FeatureUse::Neutral),
        (Role::Context, _) if !moves => (min, 0.0, FeatureUse::Neutral),
        (Role::Context, Scaling::MinMax) => (min, range, FeatureUse::Context),
        (Role::Context, Scaling::Standard) => (seen.mean, deviation, FeatureUse::Context),
        (Role::Observed, Scaling::MinMax) if moves => {
            let wide = range.max(LEAST_RANGE * f64::from(largest));
            (min - (wide - range) / 2.0, wide, FeatureUse::Learnt)
        }
        (Role::Observed, Scaling::Standard) if moves => {
            (seen.mean, deviation.max(LEAST_DEVIATION * range), FeatureUse::Learnt)
        }
        (Role::Observed, _) => {
            let middle = (min + max) / 2.0;
            let unit = middle.abs().max(1.0);
            match scaling {
                // Its value lies in the middle, and doubling it is a residual of 1.
                Scaling::MinMax => (middle - unit / 2.0, unit, FeatureUse::Constant),
                Scaling::Standard => (middle, LEAST_DEVIATION * unit, FeatureUse::Constant),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::tests::dataset;

    #[track_caller]
    fn check(scaling: Scaling, role: Role, column: &[f32], kind: FeatureUse, pairs: &[(f32, f32)]) {
        let rows: Vec<Vec<f32>> = column.iter().map(|value| vec![*value]).collect();
        let dataset = dataset(&[&rows]);
        let places = dataset.windows(0, column.len(), 1);
        let scaler = Scaler::of(&dataset, &places, &[role], scaling);
        assert_eq!(scaler.kinds, [kind], "{column:?}");
        for (value, expected) in pairs {
            let found = scaler.scale(ndarray::arr2(&[[*value]]).view())[[0, 0]];
            assert!((found - expected).abs() < 1e-5, "{value} became {found}");
        }
    }

    #[test]
    fn the_training_range_becomes_0_to_1() {
        let check = |role, column: &[f32], kind, pairs: &[(f32, f32)]| {
            check(Scaling::MinMax, role, column, kind, pairs);
        };
        let pairs = [(-2.0, 0.0), (6.0, 1.0), (2.0, 0.5), (14.0, 2.0), (-10.0, -1.0)];
        check(Role::Observed, &[2.0, -2.0, 6.0], FeatureUse::Learnt, &pairs);
        check(Role::Context, &[0.0, 23.0], FeatureUse::Context, &[(23.0, 1.0)]);
        check(Role::LeftOut, &[0.0, 23.0], FeatureUse::Neutral, &[(5.0, 0.0)]);
        check(Role::Context, &[3.0, 3.0], FeatureUse::Neutral, &[(5.0, 0.0)]);
        // Hardly any movement is taken for a tenth of the level, with the values in the middle.
        let creeping = [(0.78, 0.5), (0.819_05, 1.0), (0.740_95, 0.0)];
        check(Role::Observed, &[0.779, 0.78, 0.781], FeatureUse::Learnt, &creeping);
    }

    #[test]
    fn mean_and_deviation_become_0_and_1() {
        let check = |role, column: &[f32], kind, pairs: &[(f32, f32)]| {
            check(Scaling::Standard, role, column, kind, pairs);
        };
        check(
            Role::Observed,
            &[1.0, 3.0],
            FeatureUse::Learnt,
            &[(2.0, 0.0), (3.0, 1.0), (-1.0, -3.0)],
        );
        check(Role::Observed, &[5.0, 5.0], FeatureUse::Constant, &[(5.0, 0.0), (5.1, 2.0)]);
        check(Role::Observed, &[0.0, 0.0], FeatureUse::Constant, &[(0.1, 10.0)]);
    }

    #[test]
    fn a_constant_is_measured_in_units_of_itself() {
        let check = |column: &[f32], kind, pairs: &[(f32, f32)]| {
            check(Scaling::MinMax, Role::Observed, column, kind, pairs);
        };
        check(&[0.0, 0.0], FeatureUse::Constant, &[(0.0, 0.5), (10.0, 10.5)]);
        check(&[16e9, 16e9], FeatureUse::Constant, &[(16e9, 0.5), (32e9, 1.5), (0.0, -0.5)]);
        // Rounding is no movement.
        check(&[0.0, 1e-17], FeatureUse::Constant, &[]);
        check(&[1e9, 1e9 + 64.0], FeatureUse::Constant, &[]);
        check(&[1e9, 1e9 + 6400.0], FeatureUse::Learnt, &[]);
    }

    #[test]
    fn what_was_never_there_does_not_count() {
        check(
            Scaling::Standard,
            Role::Observed,
            &[f32::NAN; 3],
            FeatureUse::Neutral,
            &[(5.0, 0.0)],
        );
        let gaps = [1.0, f32::NAN, 3.0];
        check(Scaling::Standard, Role::Observed, &gaps, FeatureUse::Learnt, &[(3.0, 1.0)]);
    }

    /// A scaled value times the size, plus the offset, is the value again.
    #[test]
    fn what_was_scaled_comes_back() {
        let columns: [&[f32]; 5] =
            [&[-2.0, 6.0], &[1e9, 3e9], &[1e-6, 2e-6], &[7.0, 7.0], &[0.779, 0.781]];
        for scaling in [Scaling::MinMax, Scaling::Standard] {
            for column in columns {
                let rows: Vec<Vec<f32>> = column.iter().map(|value| vec![*value]).collect();
                let dataset = dataset(&[&rows]);
                let places = dataset.windows(0, column.len(), 1);
                let scaler = Scaler::of(&dataset, &places, &[Role::Observed], scaling);
                let spread = column[0].abs() + column[1].abs();
                for value in [column[0], column[1], 0.0, -spread, 30.0 * spread] {
                    let scaled = scaler.scale(ndarray::arr2(&[[value]]).view())[[0, 0]];
                    let back = scaled * scaler.size(0) + scaler.offset[0];
                    let tolerance = 1e-6 * value.abs().max(spread).max(scaler.size(0));
                    assert!((back - value).abs() <= tolerance, "{value} came back as {back}");
                }
            }
        }
        // What is always missing has no size to come back by.
        let dataset = dataset(&[&vec![vec![f32::NAN]; 2]]);
        let places = dataset.windows(0, 2, 1);
        let scaler = Scaler::of(&dataset, &places, &[Role::Observed], Scaling::Standard);
        assert_eq!(scaler.size(0), 0.0);
    }
}
