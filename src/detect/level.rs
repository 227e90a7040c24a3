//! A level: the recent mean of each feature of an entity, and how far the feature usually is from it.
//!
//! In: a row of raw features a tick and slot. Out: for each feature the exponentially weighted mean
//! and standard deviation of what came before, which a graph may take as inputs `level_mean` and
//! `level_scale`. They must be read before the tick's own row is taken.
//!
//! An entity begins with the level at the end of training, its own if the file remembers it and that of
//! all together if it does not, which has the weight of a given number of steps. Until as much has been seen
//! as the half-life remembers, every step has the same weight.
//!
//! Invariants: a feature that is missing keeps its level; the scale is never below the feature's
//! floor; a row in which a feature is far out moves its level no farther than the clip allows.
//!
//! Memory: 32 bytes a feature and slot and 8 a slot, 13 MB for ten thousand entities of forty features:
//! means and variances are float64, as a level of 16 GB moves by less than float32 resolves. In addition
//! 12 bytes a feature of each entity that the file remembers.
//!
//! Source: West 1979 and Finch 2009, "Incremental calculation of weighted mean and variance",
//! section 9: `mean += g d`, `variance = (1 - g) (variance + g d²)` with `d = x - mean` and the gain
//! `g = 1 / W`, `W` being the sum of the weights if the newest one is 1.

use super::memory::LevelMemory;
use crate::model::{LevelSpec, LevelStart};

/// The levels of all entities, by slot.
#[derive(Debug, Clone)]
pub struct Levels {
    /// What a weight keeps a step.
    keep: f64,
    /// What the weights sum to after ever.
    most: f64,
    clip: f64,
    /// Where levels begin, by the entity's place; the first is for those that are not remembered.
    starts: Vec<LevelStart>,
    /// The place of each slot's entity.
    places: Vec<usize>,
    cells: Vec<FeatureLevel>,
    /// Means and scales by slot and feature, as graphs take them.
    means: Vec<f32>,
    scales: Vec<f32>,
}

/// One feature of one entity.
#[derive(Debug, Clone, Copy)]
struct FeatureLevel {
    mean: f64,
    variance: f64,
    /// The sum of the weights if the newest one is 1.
    weight: f64,
}

impl Levels {
    /// Levels without slots, as a model's file describes them, and where those of entities begin that it
    /// remembers; `None` for one without a level of its own.
    #[must_use]
    pub fn new(spec: &LevelSpec, remembered: Vec<Option<LevelStart>>) -> Self {
        let own = remembered.into_iter().map(|own| own.unwrap_or_else(|| spec.start()));
        let keep = (-1.0 / spec.half_life).exp2();
        Self {
            keep,
            most: 1.0 / (1.0 - keep),
            clip: spec.clip,
            starts: [spec.start()].into_iter().chain(own).collect(),
            places: Vec::new(),
            cells: Vec::new(),
            means: Vec::new(),
            scales: Vec::new(),
        }
    }

    /// Forgets all slots.
    pub(super) fn clear(&mut self) {
        (self.places, self.cells) = (Vec::new(), Vec::new());
        (self.means, self.scales) = (Vec::new(), Vec::new());
    }

    /// Makes room for so many slots. New ones have the level of an entity that is not remembered.
    pub fn resize(&mut self, slots: usize) {
        let (before, after) = (self.places.len(), slots * self.width());
        self.places.resize(slots, 0);
        self.cells.resize(after, FeatureLevel { mean: 0.0, variance: 0.0, weight: 0.0 });
        self.means.resize(after, 0.0);
        self.scales.resize(after, 0.0);
        for slot in before..slots {
            self.reset(slot, 0);
        }
    }

    /// Gives a slot the level that an entity begins with: another has it now. Its place counts from
    /// 1 among those that are remembered; 0 and places beyond those there are stand for another one.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn reset(&mut self, slot: usize, place: usize) {
        let place = if place < self.starts.len() { place } else { 0 };
        self.places[slot] = place;
        let (width, start) = (self.width(), &self.starts[place]);
        for feature in 0..width {
            let scale = start.scale[feature].max(start.floor[feature]);
            let mean = start.mean[feature];
            let at = slot * width + feature;
            self.cells[at] = FeatureLevel {
                mean: f64::from(mean),
                variance: f64::from(scale) * f64::from(scale),
                weight: start.prior.min(self.most),
            };
            (self.means[at], self.scales[at]) = (mean, scale);
        }
    }

    /// The level of a slot, by feature, for another that goes on with it.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub(super) fn memory(&self, slot: usize) -> Vec<LevelMemory> {
        let cells = &self.cells[slot * self.width()..][..self.width()];
        let memory = |it: &FeatureLevel| LevelMemory {
            mean: it.mean,
            variance: it.variance,
            weight: it.weight,
        };
        cells.iter().map(memory).collect()
    }

    /// Gives a slot the level that another had; one that is none of these features leaves it as it is.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub(super) fn restore(&mut self, slot: usize, memory: &[LevelMemory]) {
        let is_sound = |it: &LevelMemory| {
            it.mean.is_finite() && it.variance >= 0.0 && it.variance.is_finite() && it.weight >= 0.0
        };
        if memory.len() != self.width() || !memory.iter().all(is_sound) {
            return;
        }
        let first = slot * self.width();
        let floor = &self.starts[self.places[slot]].floor;
        for (feature, it) in memory.iter().enumerate() {
            let at = first + feature;
            self.cells[at] = FeatureLevel {
                mean: it.mean,
                variance: it.variance,
                weight: it.weight.min(self.most),
            };
            self.means[at] = it.mean as f32;
            self.scales[at] = (it.variance.sqrt() as f32).max(floor[feature]);
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
        let floor = &self.starts[self.places[slot]].floor;
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
            self.scales[at] = scale.max(floor[feature]);
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<FeatureLevel>()
            + self.places.capacity() * size_of::<usize>()
            + (self.means.capacity() + self.scales.capacity()) * size_of::<f32>()
            + self.starts.capacity() * size_of::<LevelStart>()
            + self.starts.iter().map(LevelStart::bytes).sum::<usize>()
    }

    fn width(&self) -> usize {
        self.starts[0].mean.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(half_life: f64, prior: f64, clip: f64, initial: [f32; 3]) -> LevelSpec {
        let [mean, scale, floor] = initial.map(|it| vec![it]);
        LevelSpec { half_life, prior, clip, mean, scale, floor, entities: Vec::new() }
    }

    fn levels(spec: &LevelSpec) -> Levels {
        let mut levels = Levels::new(spec, Vec::new());
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
        let initial = [(offset + 5.0) as f32, 2.0, 1e-3];
        let mut levels = levels(&spec(half_life, prior, f64::INFINITY, initial));
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
        let mut levels = levels(&LevelSpec {
            half_life: 10.0,
            prior: 5.0,
            clip: f64::INFINITY,
            mean: vec![1.0; 3],
            scale: vec![1.0; 3],
            floor: vec![0.1; 3],
            entities: Vec::new(),
        });
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
        let mut clipped = levels(&spec(100.0, 50.0, 3.0, [10.0, 2.0, 0.1]));
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
        let mut levels = levels(&spec(5.0, 0.0, f64::INFINITY, [0.0, 1.0, 0.25]));
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
        let mut levels = levels(&spec(5.0, 5.0, 3.0, [7.0, 2.0, 0.25]));
        levels.update(0, &[9.0]);
        levels.resize(3);
        assert_eq!((levels.means(2), levels.scales(2)), ([7.0].as_slice(), [2.0].as_slice()));
        assert_ne!(levels.means(0), [7.0]);
        levels.reset(0, 0);
        assert_eq!(levels.means(0), [7.0]);
        let none = Levels::new(&spec(5.0, 5.0, 3.0, [7.0, 2.0, 0.25]), Vec::new()).bytes();
        levels.resize(10_000);
        assert!(levels.bytes() - none <= 10_000 * (32 + 8), "{}", levels.bytes());
    }

    #[test]
    fn remembered_entities_begin_where_training_left_them() {
        let spec = spec(5.0, 1.0, 3.0, [7.0, 2.0, 0.25]);
        let own = LevelStart { prior: 5.0, mean: vec![90.0], scale: vec![0.1], floor: vec![0.5] };
        let none = Levels::new(&spec, Vec::new()).bytes();
        let mut levels = Levels::new(&spec, vec![Some(own), None]);
        assert_eq!(levels.bytes() - none, 2 * (size_of::<LevelStart>() + 3 * size_of::<f32>()));
        levels.resize(1);
        levels.reset(0, 1);
        assert_eq!((levels.means(0), levels.scales(0)), ([90.0].as_slice(), [0.5].as_slice()));
        levels.update(0, &[91.0]);
        assert!((90.1..90.3).contains(&levels.means(0)[0]), "{:?}", levels.means(0));
        assert!(levels.scales(0)[0] >= 0.5);
        // One whose level the file does not tell, and a place that no file could name.
        for place in [2, 9] {
            levels.reset(0, place);
            assert_eq!((levels.means(0), levels.scales(0)), ([7.0].as_slice(), [2.0].as_slice()));
        }
    }
}
