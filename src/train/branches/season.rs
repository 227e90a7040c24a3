//! The season: what each feature should be at this time of day, and of the week.
//!
//! In: windows to learn from, scaled. Out: a baseline for each feature, a sum of sines and cosines of
//! the first harmonics, and of products of a day's with a week's, since a Sunday's noon is not a
//! Tuesday's; how far features usually are from it, and how much of their movement it
//! explains. Its residual is in units of the usual distance in training.
//!
//! A day's baseline needs every hour of the day on two days, to distinguish what recurs from what
//! happened once; a week's baseline needs every part of the week in two weeks: see [`Coverage`]. Sines also
//! have values at hours that were never seen, and these are nonsense. Without enough history the baseline
//! is the mean.
//!
//! Source: harmonic regression (Bloomfield 2000, ch. 4), kept small as in [`super::linear`].

use std::f64::consts::TAU;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::CHUNK;
use super::linear::{Normal, round};
use crate::train::data::{Coverage, Dataset, Period, Scaler, WindowPosition};
use crate::train::graph::{With, Writer, rounded};

/// Harmonics of the day: the fourth still follows a lunch hour.
const DAILY: usize = 4;

/// Harmonics of the week: the third tells work days from the weekend.
const WEEKLY: usize = 3;

/// Harmonics of the day that each of the week's has a product with: a weekend's night is not a work
/// day's, and its noon even less so. A sum of a day's course and a week's has the same day every day.
const CROSSED: usize = 2;

/// What the season counts for at most in an ensemble, in usual values: a host that has changed for good
/// stays outside its season, and the other branches must still be able to decide.
pub const CAP: f32 = 4.0;

/// The penalty in rows: a few rows of nothing before the first real one.
const PENALTY: f64 = 10.0;

/// Which harmonics a baseline has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Harmonics {
    /// Of the day.
    pub daily: usize,
    /// Of the week.
    pub weekly: usize,
}

impl Harmonics {
    /// What windows of these hours can teach. The week's need the day's: without them a week would
    /// be fitted to what is a day's course.
    pub fn known_from(coverage: &Coverage) -> Self {
        let day = coverage.recurs(Period::DAY);
        let week = day && coverage.recurs(Period::WEEK);
        Self { daily: if day { DAILY } else { 0 }, weekly: if week { WEEKLY } else { 0 } }
    }

    /// Numbers that a moment becomes, without the constant 1.
    pub fn count(self) -> usize {
        2 * (self.daily + self.weekly) + self.crossed().len()
    }

    /// Which two sines or cosines, by place, are multiplied with each other: of the day and of the week.
    pub fn crossed(self) -> Vec<[usize; 2]> {
        let most = CROSSED.min(self.daily);
        let of_day = (0..most).chain(self.daily..self.daily + most);
        let of_week = 2 * self.daily..2 * (self.daily + self.weekly);
        of_day.flat_map(|day| of_week.clone().map(move |week| [day, week])).collect()
    }

    /// Sines and cosines of each moment, `[rows, count]`: those of the day, then of the week, each
    /// sines first; then the products.
    pub fn of(self, day: ArrayView1<'_, f64>, week: ArrayView1<'_, f64>) -> Array2<f64> {
        let mut columns = Vec::with_capacity(self.count());
        for (share, harmonics) in [(day, self.daily), (week, self.weekly)] {
            for function in [f64::sin, f64::cos] {
                for k in 1..=harmonics {
                    columns.push(share.mapv(|it| function(TAU * k as f64 * it)));
                }
            }
        }
        for [day, week] in self.crossed() {
            columns.push(&columns[day] * &columns[week]);
        }
        let views: Vec<_> = columns.iter().map(|column| column.view()).collect();
        match views.is_empty() {
            true => Array2::zeros((day.len(), 0)),
            false => ndarray::stack(Axis(1), &views).expect("columns of one length"),
        }
    }
}

/// What each feature should be at a time of day and of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Season {
    /// Which harmonics.
    pub harmonics: Harmonics,
    /// Harmonics by features.
    pub weights: Array2<f64>,
    /// One for each feature.
    pub bias: Vec<f64>,
    /// The usual residual, in deviations: never below the scaler's least.
    pub scale: Vec<f32>,
    /// The mean square of the waves.
    pub wave_square: Vec<f32>,
}

/// What a baseline is solved from.
struct Sums {
    harmonics: Harmonics,
    /// One for each feature, since each lacks other values.
    normals: Vec<Normal>,
}

impl Sums {
    /// For so many features.
    fn new(harmonics: Harmonics, features: usize) -> Self {
        let normals = (0..features).map(|_| Normal::new(harmonics.count() + 1, 1)).collect();
        Self { harmonics, normals }
    }

    /// Learns from scaled rows at their moments; NaN is missing.
    fn add(
        &mut self,
        rows: ArrayView2<'_, f64>,
        day: ArrayView1<'_, f64>,
        week: ArrayView1<'_, f64>,
    ) {
        let waves = self.harmonics.of(day, week);
        let inputs = ndarray::concatenate![Axis(1), waves, Array2::ones((rows.nrows(), 1))];
        for (normal, column) in self.normals.iter_mut().zip(rows.axis_iter(Axis(1))) {
            let there: Vec<usize> = (0..column.len()).filter(|i| column[*i].is_finite()).collect();
            let inputs = inputs.select(Axis(0), &there);
            let outputs = column.select(Axis(0), &there).insert_axis(Axis(1));
            normal.add(inputs.view(), outputs.view());
        }
    }

    /// The baseline, rounded to float32 as a graph holds it; nothing is known yet of how far values
    /// stray from it.
    fn solve(self) -> Season {
        let (harmonics, features) = (self.harmonics, self.normals.len());
        let mut weights = Array2::zeros((harmonics.count(), features));
        let mut bias = Vec::with_capacity(features);
        for (feature, normal) in self.normals.iter().enumerate() {
            let solution = normal.solve(PENALTY);
            for (to, from) in weights.column_mut(feature).iter_mut().zip(&solution) {
                *to = *from;
            }
            bias.push(solution[[harmonics.count(), 0]]);
        }
        round(&mut weights, &mut bias);
        Season { harmonics, weights, bias, scale: Vec::new(), wave_square: Vec::new() }
    }
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

impl Season {
    /// Learns from the newest steps of windows, which are in the order of entities.
    pub fn learn(
        dataset: &Dataset,
        places: &[WindowPosition],
        scaler: &Scaler,
        clocks: [usize; 2],
    ) -> Self {
        let features = scaler.kinds.len();
        let moments = |rows: &Array2<f32>| clocks.map(|at| rows.column(at).mapv(f64::from));
        let mut sums = Sums::new(Harmonics::known_from(&Coverage::of(dataset, places)), features);
        for places in places.chunks(CHUNK) {
            let rows = dataset.newest(places);
            let [day, week] = moments(&rows);
            let scaled = scaler.scale(rows.view()).mapv(f64::from);
            sums.add(scaled.view(), day.view(), week.view());
        }
        let mut season = sums.solve();
        let mut spread = Spread::new(features);
        for of_entity in places.chunk_by(|a, b| a.entity == b.entity) {
            let mut own = Spread::new(features);
            for places in of_entity.chunks(CHUNK) {
                let rows = dataset.newest(places);
                let [day, week] = moments(&rows);
                let course = season.harmonics.of(day.view(), week.view()).dot(&season.weights);
                own.add(&(scaler.scale(rows.view()).mapv(f64::from) - &course), &course);
            }
            spread.merge(&own);
        }
        let mean = |sums: &Array1<f64>, i: usize| sums[i] / spread.counts[i].max(1.0);
        season.scale = (scaler.least.iter().enumerate())
            .map(|(i, least)| (mean(&spread.squares, i).sqrt() as f32).max(*least))
            .collect();
        season.wave_square = (0..features).map(|i| mean(&spread.waves, i) as f32).collect();
        season
    }
}

impl Writer<'_> {
    /// How far the newest step is from its time's usual value, in deviations.
    pub(in crate::train) fn season(&mut self) {
        self.parameter("season_bias", With::Rows, &|it| rounded(&it.base.season.bias));
        self.graph.node("Add", &["course", "season_bias"], "season_expected").node(
            "Sub",
            &["newest", "season_expected"],
            "season_distance",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::hours;

    const STEPS: usize = 28 * 96;

    fn moments() -> (Array1<f64>, Array1<f64>) {
        let day = Array1::from_shape_fn(STEPS, |i| (i % 96) as f64 / 96.0);
        let week = Array1::from_shape_fn(STEPS, |i| (i % 672) as f64 / 672.0);
        (day, week)
    }

    fn expect(season: &Season, day: &Array1<f64>, week: &Array1<f64>) -> Array2<f64> {
        let bias = ArrayView1::from(season.bias.as_slice());
        season.harmonics.of(day.view(), week.view()).dot(&season.weights) + bias
    }

    #[test]
    fn a_daily_and_a_weekly_course_are_found_despite_gaps() {
        let (day, week) = moments();
        let course = |i: usize| {
            1.0 + (TAU * day[i]).sin() - 0.5 * (2.0 * TAU * day[i]).cos() + (TAU * week[i]).cos()
        };
        let mut rows = Array2::from_shape_fn((STEPS, 2), |(i, feature)| match feature {
            0 => course(i),
            _ => 3.0,
        });
        for i in (0..STEPS).step_by(7) {
            rows[[i, 0]] = f64::NAN;
        }
        let harmonics = Harmonics::known_from(&hours(0..24, 28));
        assert_eq!((harmonics.daily, harmonics.weekly), (DAILY, WEEKLY));
        let mut sums = Sums::new(harmonics, 2);
        sums.add(rows.view(), day.view(), week.view());
        let found = expect(&sums.solve(), &day, &week);
        for i in 0..STEPS {
            // The penalty takes ten rows of two thousand.
            assert!((found[[i, 0]] - course(i)).abs() < 0.03, "{i}: {}", found[[i, 0]]);
            assert!((found[[i, 1]] - 3.0).abs() < 0.03);
        }
    }

    /// Half as much happens at the weekend, by night and by day: the two are no sum.
    #[test]
    fn a_weekend_has_a_course_of_its_own() {
        let (day, week) = moments();
        let is_weekend = |i: usize| week[i] >= 5.0 / 7.0;
        let course = |i: usize| {
            let all = 0.5 - 0.5 * (TAU * day[i]).cos();
            if is_weekend(i) { 0.5 * all } else { all }
        };
        let rows = Array2::from_shape_fn((STEPS, 1), |(i, _)| course(i));
        let harmonics = Harmonics { daily: DAILY, weekly: WEEKLY };
        let mut sums = Sums::new(harmonics, 1);
        sums.add(rows.view(), day.view(), week.view());
        let found = expect(&sums.solve(), &day, &week);
        // From midnight to noon, in the third week.
        let swing = |day: usize| found[[96 * day + 48, 0]] - found[[96 * day, 0]];
        for (name, day, true_swing) in
            [("Wednesday", 16, 1.0), ("Saturday", 19, 0.5), ("Sunday", 20, 0.5)]
        {
            let swing = swing(day);
            assert!((swing - true_swing).abs() < 0.1, "{name}: {swing} for {true_swing}");
        }
    }

    #[test]
    fn short_history_has_no_season() {
        let harmonics = Harmonics::known_from(&hours(0..24, 1));
        assert_eq!(harmonics.count(), 0);
        let (day, week) = moments();
        let mut sums = Sums::new(harmonics, 1);
        let rows = Array2::from_shape_fn((STEPS, 1), |(i, _)| (i % 2) as f64);
        sums.add(rows.view(), day.view(), week.view());
        let season = sums.solve();
        assert!((expect(&season, &day, &week)[[5, 0]] - 0.5).abs() < 0.01);
        let daily = Harmonics { daily: 4, weekly: 0 };
        assert_eq!(Harmonics::known_from(&hours(0..24, 3)), daily);
        // However long it is.
        assert_eq!(Harmonics::known_from(&hours(9..12, 80)).count(), 0);
    }
}
