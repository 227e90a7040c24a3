//! A base: what all branches of a model know of the features, from the training part.
//!
//! In: windows to learn from, scaled. Out: the season, how far features usually stray from it, and
//! how much of their movement it makes.

use ndarray::{Array1, Array2};

use super::branch::Base;
use super::coverage::Coverage;
use super::dataset::{Dataset, Place};
use super::scaler::Scaler;
use super::season::{self, Harmonics};

/// Windows that are looked at at once, so that memory does not grow with the recording.
const CHUNK: usize = 4_096;

/// What the branches share, from the training part.
pub(super) fn fit(
    dataset: &Dataset,
    training: &[Place],
    scaler: Scaler,
    clocks: [usize; 2],
    window: usize,
) -> Base {
    let harmonics = Harmonics::known_from(&Coverage::of(dataset, training));
    let features = scaler.kinds.len();
    let mut learning = season::Learning::new(harmonics, features);
    for places in training.chunks(CHUNK) {
        let rows = dataset.newest(places);
        let [day, week] = clocks.map(|column| rows.column(column).mapv(f64::from));
        let scaled = scaler.scale(rows.view()).mapv(f64::from);
        learning.add(scaled.view(), day.view(), week.view());
    }
    let season = learning.finish().rounded();
    let mut spread = Spread::new(features);
    for of_entity in training.chunk_by(|a, b| a.entity == b.entity) {
        let mut own = Spread::new(features);
        for places in of_entity.chunks(CHUNK) {
            let rows = dataset.newest(places);
            let [day, week] = clocks.map(|column| rows.column(column).mapv(f64::from));
            let course = season.harmonics.of(day.view(), week.view()).dot(&season.weights);
            own.add(&(scaler.scale(rows.view()).mapv(f64::from) - &course), &course);
        }
        spread.merge(&own);
    }
    let season_scale = (0..features)
        .map(|i| (spread.squares[i] / spread.counts[i].max(1.0)).sqrt() as f32)
        .zip(&scaler.least)
        .map(|(scale, least)| scale.max(*least))
        .collect();
    let wave_square =
        (0..features).map(|i| (spread.waves[i] / spread.counts[i].max(1.0)) as f32).collect();
    Base { scaler, season, season_scale, wave_square, clocks, window }
}

/// How far features stray from their season, by feature.
struct Spread {
    counts: Array1<f64>,
    sums: Array1<f64>,
    squares: Array1<f64>,
    waves: Array1<f64>,
}

impl Spread {
    fn new(features: usize) -> Self {
        let zeros = || Array1::zeros(features);
        Self { counts: zeros(), sums: zeros(), squares: zeros(), waves: zeros() }
    }

    /// Adds residuals from the season, and the season's course.
    fn add(&mut self, residuals: &Array2<f64>, course: &Array2<f64>) {
        for (row, course) in residuals.outer_iter().zip(course.outer_iter()) {
            for (i, value) in row.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                self.counts[i] += 1.0;
                self.sums[i] += value;
                self.squares[i] += value * value;
                self.waves[i] += course[i] * course[i];
            }
        }
    }

    /// Adds one entity's, around its own mean: how much one differs from another is not how much it
    /// moves.
    fn merge(&mut self, own: &Self) {
        for i in 0..own.counts.len() {
            if own.counts[i] > 0.0 {
                let around = own.squares[i] - own.sums[i] * own.sums[i] / own.counts[i];
                self.squares[i] += around.max(0.0);
                self.counts[i] += own.counts[i];
                self.waves[i] += own.waves[i];
            }
        }
    }
}
