//! A scaler: the line that maps each feature's training range to 0..1.
//!
//! In: rows of the training part. Out: for each feature `(value - min) * inverse`, computed in
//! float32 with these two operations, as the graph does, so that both agree to the last bit.
//!
//! A feature that never moved in training has no range. Giving it none (an inverse of 0) would hide
//! that disk errors, always 0 before, are 10 now; dividing by next to nothing would make an anomaly
//! of every trifle. Such a feature is measured in units of itself, but at least in units of 1: its
//! value lies in the middle, at 0.5, and doubling it is a residual of 1. It does not enter the
//! network, which could learn nothing from it: its reconstruction is always 0.5.

use ndarray::{Array2, ArrayView2, Axis};

use super::calendar::Role;

/// A range counts as at least this part of the values. What stood at 0.776 to 0.777 while it was
/// watched, as the use of a disk does, is not a hundred times out of its range at 0.8; a departure
/// of less than a tenth of the level is no news by itself.
const LEAST_RANGE: f64 = 0.1;

/// A range of less than this part of the values is noise of float32, whose step is 6e-8 of them.
const RELATIVE_RANGE: f32 = 1e-6;

/// A range of less than this is noise of float64 sums that ought to be zero.
const ABSOLUTE_RANGE: f32 = 1e-9;

/// The line that maps each feature to about 0..1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaler {
    /// What is mapped to 0.
    pub min: Vec<f32>,
    /// One over the distance of what is mapped to 1.
    pub inverse: Vec<f32>,
    /// What becomes of each feature.
    pub kinds: Vec<Kind>,
}

/// What becomes of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Enters the network and counts in the error.
    Learnt,
    /// Never moved in training: counts in the error when it departs from its value.
    Constant,
    /// Enters the network and does not count: it tells the time.
    Context,
    /// Neither: it tells the time, or nothing at all.
    Neutral,
}

impl Kind {
    /// Whether the network sees it.
    pub fn enters(self) -> bool {
        matches!(self, Self::Learnt | Self::Context)
    }

    /// Whether its residual is part of the error.
    pub fn counts(self) -> bool {
        matches!(self, Self::Learnt | Self::Constant)
    }
}

impl Scaler {
    /// Fits to rows by features, all of them finite.
    pub fn fit(rows: ArrayView2<'_, f32>, roles: &[Role]) -> Self {
        let mut scaler = Self { min: Vec::new(), inverse: Vec::new(), kinds: Vec::new() };
        for (column, role) in rows.axis_iter(Axis(1)).zip(roles) {
            let min = column.iter().copied().fold(f32::INFINITY, f32::min);
            let max = column.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scaler.push(min, max, *role);
        }
        scaler
    }

    fn push(&mut self, min: f32, max: f32, role: Role) {
        // In float64: the difference of two huge float32 may be none.
        let range = f64::from(max) - f64::from(min);
        let largest = min.abs().max(max.abs());
        let noise = f64::from(ABSOLUTE_RANGE.max(RELATIVE_RANGE * largest));
        let moves = range > noise;
        let wide = range.max(LEAST_RANGE * f64::from(largest));
        let wide_min = (f64::from(min) - (wide - range) / 2.0) as f32;
        let (min, inverse, kind) = match role {
            Role::Observed if moves => (wide_min, (1.0 / wide) as f32, Kind::Learnt),
            Role::Observed => {
                let middle = (f64::from(min) + f64::from(max)) / 2.0;
                let unit = middle.abs().max(1.0);
                ((middle - unit / 2.0) as f32, (1.0 / unit) as f32, Kind::Constant)
            }
            Role::Context if moves => (min, (1.0 / range) as f32, Kind::Context),
            Role::Context | Role::LeftOut => (min, 0.0, Kind::Neutral),
        };
        self.min.push(min);
        self.inverse.push(inverse);
        self.kinds.push(kind);
    }

    /// Scales rows, without any clipping.
    pub fn scale(&self, rows: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut scaled = rows.to_owned();
        for (i, mut column) in scaled.axis_iter_mut(Axis(1)).enumerate() {
            let (min, inverse) = (self.min[i], self.inverse[i]);
            column.mapv_inplace(|value| (value - min) * inverse);
        }
        scaled
    }

    /// The distance between what is mapped to 0 and to 1; 0 for a neutral feature.
    pub fn range(&self, feature: usize) -> f32 {
        match self.inverse[feature] {
            0.0 => 0.0,
            inverse => 1.0 / inverse,
        }
    }

    /// Each feature's part of the error: the same for all that count, and 1 in sum.
    pub fn weights(&self) -> Vec<f32> {
        let count = self.kinds.iter().filter(|kind| kind.counts()).count();
        let weight = 1.0 / count.max(1) as f32;
        let weight = |kind: &Kind| if kind.counts() { weight } else { 0.0 };
        self.kinds.iter().map(weight).collect()
    }

    /// The features that the network sees.
    pub fn network_features(&self) -> Vec<usize> {
        let features = 0..self.kinds.len();
        features.filter(|&i| self.kinds[i].enters()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(role: Role, column: &[f32], kind: Kind, pairs: &[(f32, f32)]) {
        let rows = Array2::from_shape_vec((column.len(), 1), column.to_vec()).expect("a column");
        let scaler = Scaler::fit(rows.view(), &[role]);
        assert_eq!(scaler.kinds, [kind], "{column:?}");
        for (value, expected) in pairs {
            let found = scaler.scale(ndarray::arr2(&[[*value]]).view())[[0, 0]];
            assert!((found - expected).abs() < 1e-6, "{value} became {found}");
        }
    }

    #[test]
    fn the_training_range_becomes_0_to_1() {
        let pairs = [(-2.0, 0.0), (6.0, 1.0), (2.0, 0.5), (14.0, 2.0), (-10.0, -1.0)];
        check(Role::Observed, &[2.0, -2.0, 6.0], Kind::Learnt, &pairs);
        check(Role::Context, &[0.0, 23.0], Kind::Context, &[(23.0, 1.0)]);
        check(Role::LeftOut, &[0.0, 23.0], Kind::Neutral, &[(5.0, 0.0)]);
        check(Role::Context, &[3.0, 3.0], Kind::Neutral, &[(5.0, 0.0)]);
    }

    #[test]
    fn a_constant_is_measured_in_units_of_itself() {
        let errors = [(0.0, 0.5), (10.0, 10.5)];
        check(Role::Observed, &[0.0, 0.0], Kind::Constant, &errors);
        let bytes = [(16e9, 0.5), (32e9, 1.5), (0.0, -0.5)];
        check(Role::Observed, &[16e9, 16e9], Kind::Constant, &bytes);
        // Rounding is no movement.
        check(Role::Observed, &[0.0, 1e-17], Kind::Constant, &[]);
        check(Role::Observed, &[1e9, 1e9 + 64.0], Kind::Constant, &[]);
        check(Role::Observed, &[1e9, 1e9 + 6400.0], Kind::Learnt, &[]);
        // Hardly any movement is taken for a tenth of the level, with the values in the middle.
        let creeping = [(0.78, 0.5), (0.819_05, 1.0), (0.740_95, 0.0)];
        check(Role::Observed, &[0.779, 0.78, 0.781], Kind::Learnt, &creeping);
    }

    #[test]
    fn weights_sum_to_one_over_what_counts() {
        let rows = ndarray::arr2(&[[0.0, 5.0, 1.0], [1.0, 5.0, 2.0]]);
        let roles = [Role::Observed, Role::Observed, Role::Context];
        let scaler = Scaler::fit(rows.view(), &roles);
        assert_eq!(scaler.weights(), [0.5, 0.5, 0.0]);
        assert_eq!(scaler.network_features(), [0, 2]);
        assert_eq!(scaler.range(0), 1.0);
    }
}
