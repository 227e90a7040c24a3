//! A reconstruction as an error: for graphs that give nothing else.

use ndarray::{Array1, Array2, Array3, ArrayView3, Axis};

use super::Scores;

/// The error of a graph that only reconstructs: the mean squared difference over all steps and
/// features of the window that are there; a feature's contribution is its part of the sum.
pub(super) fn from_reconstruction(
    reconstruction: &Array3<f32>,
    features: ArrayView3<'_, f32>,
) -> Scores {
    let mut squared = (&features - reconstruction).mapv(|residual| f64::from(residual).powi(2));
    squared.zip_mut_with(&features, |squared, value| {
        if value.is_nan() {
            *squared = 0.0;
        }
    });
    let by_feature: Array2<f64> = squared.sum_axis(Axis(1));
    let total: Array1<f64> = by_feature.sum_axis(Axis(1));
    let there = |row: usize| {
        features.index_axis(Axis(0), row).iter().filter(|value| !value.is_nan()).count() as f64
    };
    let share = |row: usize, value: f64| match total[row] {
        0.0 => 0.0,
        total => (value / total) as f32,
    };
    Scores {
        error: total.iter().enumerate().map(|(i, total)| (total / there(i)) as f32).collect(),
        contribution: Some(Array2::from_shape_fn(by_feature.dim(), |(row, feature)| {
            share(row, by_feature[[row, feature]])
        })),
        reconstruction: Some(reconstruction.index_axis(Axis(1), features.dim().1 - 1).to_owned()),
    }
}
