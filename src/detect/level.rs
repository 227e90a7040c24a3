//! A level: where each feature of an entity has been lately, and how far from there it strays.
//!
//! In: a row of raw features a tick and slot. Out: for each feature the exponentially weighted mean
//! and standard deviation of what came before, which a graph may take as inputs `level_mean` and
//! `level_scale`. To be asked for before the tick's own row is taken.
//!
//! An entity begins with what training left behind, which counts as so many steps; until as much
//! has been seen as the half-life remembers, every step counts the same.
//!
//! Invariants: a feature that is missing keeps its level; the scale is never below the feature's
//! floor; a row in which a feature is far out moves its level no farther than the clip lets it.
//!
//! Memory: 32 bytes a feature and slot, 13 MB for ten thousand entities of forty features: means and
//! variances are float64, as a level of 16 GB moves by less than float32 resolves.
//!
//! Source: West 1979 and Finch 2009, "Incremental calculation of weighted mean and variance",
//! section 9: `mean += g d`, `variance = (1 - g) (variance + g d²)` with `d = x - mean` and the gain
//! `g = 1 / W`, `W` being the sum of the weights if the newest one is 1.

/// How levels move.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelParameters {
    /// Steps after which a value counts half.
    pub half_life: f64,
    /// Steps that the initial level counts as; as many as the half-life can remember at most.
    pub prior: f64,
    /// A value counts as no farther from the mean than so many scales. Infinite for no limit.
    pub clip: f64,
}

/// The level of every entity that has not been seen.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialLevel {
    /// For each feature.
    pub mean: Vec<f32>,
    /// For each feature.
    pub scale: Vec<f32>,
    /// The smallest scale of each feature, above 0.
    pub floor: Vec<f32>,
}

/// Why there is no level.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LevelError {
    /// A parameter that no level can move by.
    #[error("the level's {0} is {1}: it must be {2}")]
    Parameter(&'static str, f64, &'static str),
    /// Not one of each a feature.
    #[error(
        "the initial level has {mean} means, {scale} scales and {floor} floors for as many features"
    )]
    Widths {
        /// Means.
        mean: usize,
        /// Scales.
        scale: usize,
        /// Floors.
        floor: usize,
    },
    /// A number to begin with that is none.
    #[error("the initial level of feature {0} is not finite, or its scale or floor is not above 0")]
    Initial(usize),
}

/// The levels of all entities, by slot.
#[derive(Debug, Clone)]
pub struct Levels {
    /// What a weight keeps a step.
    keep: f64,
    prior: f64,
    clip: f64,
    initial: InitialLevel,
    cells: Vec<Cell>,
    /// Means and scales by slot and feature, as graphs take them.
    means: Vec<f32>,
    scales: Vec<f32>,
}

/// One feature of one entity.
#[derive(Debug, Clone, Copy)]
struct Cell {
    mean: f64,
    variance: f64,
    /// The sum of the weights if the newest one is 1.
    weight: f64,
}

impl Levels {
    /// Levels without slots.
    ///
    /// # Errors
    /// With parameters that no level can move by, or an initial level that is none.
    pub fn new(parameters: &LevelParameters, initial: InitialLevel) -> Result<Self, LevelError> {
        let LevelParameters { half_life, prior, clip } = *parameters;
        if !(half_life > 0.0 && half_life.is_finite()) {
            return Err(LevelError::Parameter("half-life", half_life, "a number of steps above 0"));
        }
        if prior.is_nan() || prior < 0.0 {
            return Err(LevelError::Parameter("prior", prior, "a number of steps, 0 or more"));
        }
        if clip.is_nan() || clip <= 0.0 {
            return Err(LevelError::Parameter("clip", clip, "above 0"));
        }
        let (mean, scale, floor) = (initial.mean.len(), initial.scale.len(), initial.floor.len());
        if mean != scale || mean != floor {
            return Err(LevelError::Widths { mean, scale, floor });
        }
        let good = |value: f32| value.is_finite() && value > 0.0;
        let bad = (0..mean).find(|&i| {
            !(initial.mean[i].is_finite() && good(initial.scale[i]) && good(initial.floor[i]))
        });
        if let Some(feature) = bad {
            return Err(LevelError::Initial(feature));
        }
        let keep = (-1.0 / half_life).exp2();
        // What the weights sum to after ever.
        let most = 1.0 / (1.0 - keep);
        Ok(Self {
            keep,
            prior: prior.min(most),
            clip,
            initial,
            cells: Vec::new(),
            means: Vec::new(),
            scales: Vec::new(),
        })
    }

    /// Makes room for so many slots. New ones have the initial level.
    pub fn resize(&mut self, slots: usize) {
        let width = self.width();
        let (before, after) = (self.means.len(), slots * width);
        self.cells.resize(after, Cell { mean: 0.0, variance: 0.0, weight: 0.0 });
        self.means.resize(after, 0.0);
        self.scales.resize(after, 0.0);
        for slot in before.checked_div(width).unwrap_or(slots)..slots {
            self.reset(slot);
        }
    }

    /// Gives a slot the initial level: another entity has it now.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn reset(&mut self, slot: usize) {
        let width = self.width();
        for feature in 0..width {
            let scale = self.initial.scale[feature].max(self.initial.floor[feature]);
            let mean = self.initial.mean[feature];
            let at = slot * width + feature;
            self.cells[at] = Cell {
                mean: f64::from(mean),
                variance: f64::from(scale) * f64::from(scale),
                weight: self.prior,
            };
            (self.means[at], self.scales[at]) = (mean, scale);
        }
    }

    /// The means of a slot, by feature.
    ///
    /// # Panics
    /// Beyond the slots there are.
    #[must_use]
    pub fn means(&self, slot: usize) -> &[f32] {
        &self.means[slot * self.width()..][..self.width()]
    }

    /// The standard deviations of a slot, by feature: finite and above 0.
    ///
    /// # Panics
    /// Beyond the slots there are.
    #[must_use]
    pub fn scales(&self, slot: usize) -> &[f32] {
        &self.scales[slot * self.width()..][..self.width()]
    }

    /// Takes the features of a step.
    ///
    /// # NaN
    /// A value that is not finite is missing.
    ///
    /// # Panics
    /// With a row of another width, or beyond the slots there are.
    pub fn update(&mut self, slot: usize, row: &[f32]) {
        let width = self.width();
        assert_eq!(row.len(), width, "a row has a value for each feature");
        for (feature, value) in row.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let at = slot * width + feature;
            let cell = &mut self.cells[at];
            let limit = self.clip * f64::from(self.scales[at]);
            let step = (f64::from(*value) - cell.mean).clamp(-limit, limit);
            cell.weight = cell.weight * self.keep + 1.0;
            let gain = 1.0 / cell.weight;
            cell.mean += gain * step;
            cell.variance = (1.0 - gain) * (cell.variance + gain * step * step);
            self.means[at] = cell.mean as f32;
            // Features as far apart as float32 allows have a scale that it does not.
            let scale = (cell.variance.sqrt() as f32).min(f32::MAX);
            self.scales[at] = scale.max(self.initial.floor[feature]);
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
            + (self.means.capacity() + self.scales.capacity()) * size_of::<f32>()
    }

    fn width(&self) -> usize {
        self.initial.mean.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(half_life: f64, prior: f64, clip: f64) -> LevelParameters {
        LevelParameters { half_life, prior, clip }
    }

    fn initial(mean: f32, scale: f32, floor: f32) -> InitialLevel {
        InitialLevel { mean: vec![mean], scale: vec![scale], floor: vec![floor] }
    }

    fn levels(parameters: &LevelParameters, initial: InitialLevel) -> Levels {
        let mut levels = Levels::new(parameters, initial).expect("levels");
        levels.resize(1);
        levels
    }

    /// Weighted mean and standard deviation by their definitions, the initial level being `prior`
    /// steps of which half lay a scale below and half a scale above the mean.
    fn defined(values: &[f64], half_life: f64, prior: (f64, f64, f64)) -> (f64, f64) {
        let (steps, mean, scale) = prior;
        let keep = (-1.0 / half_life).exp2();
        let age = |i: usize| (values.len() - 1 - i) as f64;
        let mut points: Vec<(f64, f64)> =
            values.iter().enumerate().map(|(i, x)| (keep.powf(age(i)), *x)).collect();
        let rest = steps * keep.powf(values.len() as f64);
        points.extend([(rest / 2.0, mean - scale), (rest / 2.0, mean + scale)]);
        let sum: f64 = points.iter().map(|(w, _)| w).sum();
        let mean = points.iter().map(|(w, x)| w * x).sum::<f64>() / sum;
        let variance = points.iter().map(|(w, x)| w * (x - mean).powi(2)).sum::<f64>() / sum;
        (mean, variance.sqrt())
    }

    #[track_caller]
    fn check(half_life: f64, prior: f64, offset: f64) {
        let mut levels = levels(
            &parameters(half_life, prior, f64::INFINITY),
            initial((offset + 5.0) as f32, 2.0, 1e-3),
        );
        let most = 1.0 / (1.0 - (-1.0 / half_life).exp2());
        let values: Vec<f64> = (0..400).map(|i| offset + f64::from(i * 7919 % 101) / 8.0).collect();
        for i in 0..values.len() {
            levels.update(0, &[values[i] as f32]);
            let known = (prior.min(most), offset + 5.0, 2.0);
            let (mean, scale) = defined(&values[..=i], half_life, known);
            let near = |found: f32, exact: f64| {
                (f64::from(found) - exact).abs() <= 1e-6 * exact.abs() + 2e-4
            };
            assert!(near(levels.means(0)[0], mean), "{i}: {:?} {mean}", levels.means(0));
            assert!(
                near(levels.scales(0)[0], scale.max(1e-3)),
                "{i}: {:?} {scale}",
                levels.scales(0)
            );
        }
    }

    #[test]
    fn mean_and_scale_are_those_of_weighted_values() {
        check(20.0, 10.0, 0.0);
        check(1_000.0, 50.0, 0.0);
        check(1_000.0, 1e9, 0.0);
        // Without an initial level the first value is all that is known.
        check(20.0, 0.0, 0.0);
        // Far from zero, where float32 alone would see no deviation.
        check(200.0, 10.0, 65_536.0);
    }

    #[test]
    fn what_is_missing_keeps_its_level() {
        let wide = InitialLevel { mean: vec![1.0; 3], scale: vec![1.0; 3], floor: vec![0.1; 3] };
        let mut levels = levels(&parameters(10.0, 5.0, f64::INFINITY), wide);
        levels.update(0, &[f32::NAN, f32::INFINITY, 4.0]);
        assert_eq!(levels.means(0)[..2], [1.0, 1.0]);
        assert_eq!(levels.scales(0)[..2], [1.0, 1.0]);
        assert!(levels.means(0)[2] > 1.0);
        // When it comes it counts as much as it would have at once.
        let late = levels.means(0)[2];
        levels.update(0, &[4.0, f32::NAN, f32::NAN]);
        assert_eq!(levels.means(0), [late, 1.0, late]);
    }

    #[test]
    fn what_is_far_out_moves_the_level_no_farther_than_the_clip() {
        let mut clipped = levels(&parameters(100.0, 50.0, 3.0), initial(10.0, 2.0, 0.1));
        let mut edge = clipped.clone();
        clipped.update(0, &[1e30]);
        edge.update(0, &[16.0]);
        assert_eq!((clipped.means(0), clipped.scales(0)), (edge.means(0), edge.scales(0)));
        // Even so a change for good is followed in the end.
        for _ in 0..2_000 {
            clipped.update(0, &[1e3]);
        }
        assert!((clipped.means(0)[0] - 1e3).abs() < 1.0, "{:?}", clipped.means(0));
    }

    #[test]
    fn scales_stay_between_their_floor_and_what_float32_holds() {
        let mut levels = levels(&parameters(5.0, 0.0, f64::INFINITY), initial(0.0, 1.0, 0.25));
        levels.update(0, &[3.0]);
        assert_eq!((levels.means(0), levels.scales(0)), ([3.0].as_slice(), [0.25].as_slice()));
        for _ in 0..20 {
            levels.update(0, &[f32::MAX]);
            levels.update(0, &[f32::MIN]);
        }
        assert!(levels.means(0)[0].is_finite() && levels.scales(0)[0].is_finite());
    }

    #[test]
    fn slots_begin_with_the_initial_level() {
        let mut levels = levels(&parameters(5.0, 5.0, 3.0), initial(7.0, 2.0, 0.25));
        levels.update(0, &[9.0]);
        levels.resize(3);
        assert_eq!((levels.means(2), levels.scales(2)), ([7.0].as_slice(), [2.0].as_slice()));
        assert_ne!(levels.means(0), [7.0]);
        levels.reset(0);
        assert_eq!(levels.means(0), [7.0]);
        levels.resize(10_000);
        assert!(levels.bytes() <= 10_000 * 32, "{}", levels.bytes());
    }

    #[test]
    fn what_is_no_level_is_refused() {
        let check = |parameters: LevelParameters, initial, expected: &str| {
            let error = Levels::new(&parameters, initial).expect_err("none").to_string();
            assert!(error.contains(expected), "{error}");
        };
        let good = || initial(0.0, 1.0, 1.0);
        check(parameters(0.0, 1.0, 1.0), good(), "half-life is 0");
        check(parameters(f64::NAN, 1.0, 1.0), good(), "half-life is NaN");
        check(parameters(1.0, -1.0, 1.0), good(), "prior is -1");
        check(parameters(1.0, 1.0, 0.0), good(), "clip is 0");
        let uneven = InitialLevel { floor: Vec::new(), ..good() };
        check(parameters(1.0, 1.0, 1.0), uneven, "1 means, 1 scales and 0 floors");
        check(parameters(1.0, 1.0, 1.0), initial(0.0, 1.0, 0.0), "feature 0");
        check(parameters(1.0, 1.0, 1.0), initial(f32::NAN, 1.0, 1.0), "feature 0");
    }
}
