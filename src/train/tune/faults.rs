//! Faults: known trouble added to moments without known trouble, and how well a network's error distinguishes
//! them.
//!
//! In: a dataset, its stopping part, a seed; then one network after another, fitted and measured. Out:
//! for each kind of fault how often a window with it has a larger error than one without, as a share of
//! all such pairs: the area under the ROC curve. 0.5 is chance, 1 is always.
//!
//! Faults are added to raw values of the longest window that any trial looks at, at moments that are
//! newest steps of such windows: a trial with a shorter window sees the end of the same course. So no
//! window, scaling or size of network makes them easier by itself, and they are the same for all. A fault
//! that changes the values hardly at all is drawn again. Deviations are those of a feature around its own
//! entity's mean: differences between hosts are not movement.
//!
//! Fitting used the stopping part, without faults, to choose the pass that gave the weights; neither the fit
//! nor the threshold's part contains faults.
//!
//! Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating
//! characteristic (ROC) curve" (the share of pairs).

use std::ops::RangeInclusive;

use ndarray::{Array3, s};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Figure, Space};
use crate::model::Runtime;
use crate::train::config::TrainConfig;
use crate::train::data::{Dataset, Role, Scaler, Scaling, Split, WindowPosition, scaler};
use crate::train::ensemble::{Meter, window};
use crate::train::error::TrainError;
use crate::train::fit::Fit;
use crate::train::graph;

/// Faults of a kind: their shares of pairs are then known to a hundredth or two, and six kinds are two
/// thousand windows, which ONNX Runtime takes less than a second for.
const OF_A_KIND: usize = 333;

/// Windows without a fault, at most: as many again tell nothing new.
const MOST_CALM: usize = 4_000;

/// Deviations that one feature is off by. A network that sees all of them teaches nothing, nor does
/// one that sees none.
const SHIFT: RangeInclusive<f64> = 1.0..=3.0;

/// Deviations that each of a few features is off by.
const SHIFT_TOGETHER: RangeInclusive<f64> = 0.5..=2.0;

/// The few features.
const FEW: usize = 3;

/// A frozen feature has the value of a moment at most so many windows ago.
const LONGEST_AGO: usize = 10;

/// Deviations that a feature has to be off by at the newest step, at least.
const LEAST_CHANGE: f64 = 0.5;

/// Draws for one fault. What stands still nearly always cannot freeze.
const MAX_DRAWS: usize = 50;

/// Windows that are judged at once.
const CHUNK: usize = 256;

/// Numbers of the seed that nothing else draws from.
const STREAM: u64 = 1;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// One feature is off by some of its deviations, since some steps.
    Shifted,
    /// So are a few, each to a side of its own and by less.
    Together,
    /// One feature is off at the newest step alone.
    Spike,
    /// One feature stands at a value from before the longest window.
    Frozen,
    /// One feature takes the course of another moment of its entity: it goes with nothing else.
    Apart,
    /// One feature is at the least that its entity had in the training range, since some steps.
    Dropped,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Shifted, Self::Together, Self::Spike, Self::Frozen, Self::Apart, Self::Dropped];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shifted => "shifted",
            Self::Together => "together",
            Self::Spike => "spike",
            Self::Frozen => "frozen",
            Self::Apart => "apart",
            Self::Dropped => "dropped",
        }
    }

    /// What happens.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Shifted => "one feature is 1 to 3 deviations off, since some steps",
            Self::Together => "three features are 0.5 to 2 deviations off, since some steps",
            Self::Spike => "one feature is 1 to 3 deviations off at the newest step",
            Self::Frozen => "one feature stands at a value that it had a while ago",
            Self::Apart => "one feature takes the course of another moment",
            Self::Dropped => "one feature is at the least that it ever was, since some steps",
        }
    }
}

/// Faults, and the moments without any that they are told from.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::train) struct Faults {
    /// In the order of entity and time.
    calm: Vec<WindowPosition>,
    /// By kinds, in the order of [`FaultKind::ALL`].
    laid: Vec<Fault>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
struct Fault {
    kind: FaultKind,
    place: WindowPosition,
    /// Features with the values that they then have at the last steps of the longest window, oldest
    /// first.
    courses: Vec<(usize, Vec<f32>)>,
}

/// What is known of a dataset before anything is laid over it.
struct Ground<'a> {
    dataset: &'a Dataset,
    /// Newest steps of the longest windows of the stopping part; never empty.
    moments: &'a [WindowPosition],
    /// Steps of those.
    steps: usize,
    /// The features that a network learns.
    features: &'a [usize],
    /// How far each of these strays from its entity's mean.
    deviations: Vec<f64>,
    /// By entity, the least that each of these had in the training range; NaN where it had nothing.
    least: Vec<Vec<f32>>,
}

/// The features that a network learns from the training part.
pub(in crate::train) fn learnt(dataset: &Dataset, split: &Split, roles: &[Role]) -> Vec<usize> {
    let scaler = Scaler::of(dataset, &split.training(), roles, Scaling::Standard);
    let kinds = scaler.kinds.iter().enumerate();
    kinds.filter(|(_, kind)| **kind == scaler::FeatureUse::Learnt).map(|(i, _)| i).collect()
}

impl Faults {
    /// Lays faults over features for all trials of a space. A window that is too long for the data
    /// counts for nothing: no trial with it can be fitted. Without any window there are no faults.
    pub fn lay(dataset: &Dataset, features: &[usize], config: &TrainConfig, space: &Space) -> Self {
        let windows = space.windows.iter().chain([&space.default.window]);
        let mut windows: Vec<usize> =
            windows.map(|it| window(&TrainConfig { window: *it, ..config.clone() })).collect();
        windows.sort_unstable();
        let split = |window: usize| {
            let split = dataset.split(window).ok()?;
            Some((window, split))
        };
        let Some((steps, split)) = windows.into_iter().rev().find_map(split) else {
            return Self { calm: Vec::new(), laid: Vec::new() };
        };
        let ground = Ground::new(dataset, &split, steps, features);
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(STREAM);
        let mut laid = Vec::new();
        for kind in FaultKind::ALL {
            for _ in 0..OF_A_KIND {
                laid.extend((0..MAX_DRAWS).find_map(|_| ground.draw(kind, &mut rng)));
            }
        }
        let every = split.stopping.len().div_ceil(MOST_CALM).max(1);
        Self { calm: split.stopping.iter().step_by(every).copied().collect(), laid }
    }

    /// How well a network that was fitted and measured ranks windows with a fault above those without.
    ///
    /// # Errors
    /// When ONNX Runtime refuses the graph: a mistake in this program.
    pub fn judge(
        &self,
        runtime: &Runtime,
        dataset: &Dataset,
        fit: &Fit,
    ) -> Result<Figure, TrainError> {
        let mut meter = Meter::new(runtime, fit, graph::value)?;
        let window = fit.base.window;
        let mut calm = Vec::with_capacity(self.calm.len());
        for places in self.calm.chunks(CHUNK) {
            let measured = meter.ask(dataset.gather(places, window).view())?;
            calm.extend(measured.iter().flatten().copied());
        }
        calm.sort_unstable_by(f32::total_cmp);
        let mut kinds = Vec::new();
        for of_a_kind in self.laid.chunk_by(|a, b| a.kind == b.kind) {
            let mut faulty = Vec::with_capacity(of_a_kind.len());
            for faults in of_a_kind.chunks(CHUNK) {
                let measured = meter.ask(windows(dataset, faults, window).view())?;
                faulty.extend(measured.iter().flatten().copied());
            }
            kinds.push((of_a_kind[0].kind, ranked_above(&faulty, &calm)));
        }
        Ok(Figure { kinds })
    }
}

/// Windows with faults in them, `[faults, window, features]`.
fn windows(dataset: &Dataset, faults: &[Fault], window: usize) -> Array3<f32> {
    let places: Vec<WindowPosition> = faults.iter().map(|fault| fault.place).collect();
    let mut windows = dataset.gather(&places, window);
    for (mut window, fault) in windows.outer_iter_mut().zip(faults) {
        for (feature, course) in &fault.courses {
            let newest_first = window.column_mut(*feature).into_iter().rev();
            newest_first.zip(course.iter().rev()).for_each(|(to, value)| *to = *value);
        }
    }
    windows
}

/// The share of pairs in which the one is above the other; of those that are equal half. The others
/// ascend.
fn ranked_above(these: &[f32], others: &[f32]) -> f64 {
    let pairs = (these.len() * others.len()) as f64;
    let above = |it: &f32| {
        let below = others.partition_point(|other| other < it);
        let equal = others[below..].partition_point(|other| other <= it);
        below as f64 + equal as f64 / 2.0
    };
    these.iter().map(above).sum::<f64>() / pairs
}

impl<'a> Ground<'a> {
    fn new(dataset: &'a Dataset, split: &'a Split, steps: usize, features: &'a [usize]) -> Self {
        let places = split.training();
        let mut squares = vec![(0.0, 0.0); features.len()];
        let mut least = vec![vec![f32::NAN; features.len()]; dataset.entities.len()];
        for places in places.chunk_by(|a, b| a.entity == b.entity) {
            let entity = places[0].entity as usize;
            for (i, feature) in features.iter().enumerate() {
                let rows = &dataset.entities[entity].values;
                let value = |place: &WindowPosition| rows[[place.step as usize, *feature]];
                let values = || places.iter().map(value).filter(|it| it.is_finite());
                let count = values().count() as f64;
                let mean = values().map(f64::from).sum::<f64>() / count.max(1.0);
                squares[i].0 += values().map(|it| (f64::from(it) - mean).powi(2)).sum::<f64>();
                squares[i].1 += count;
                least[entity][i] = values().fold(f32::NAN, f32::min);
            }
        }
        let deviation = |(sum, count): (f64, f64)| (sum / count.max(1.0)).sqrt();
        let deviations = squares.into_iter().map(deviation).collect();
        Self { dataset, moments: &split.stopping, steps, features, deviations, least }
    }

    /// A fault, unless what was drawn makes none.
    fn draw(&self, kind: FaultKind, rng: &mut ChaCha8Rng) -> Option<Fault> {
        let count = if kind == FaultKind::Together { FEW.min(self.features.len()) } else { 1 };
        if self.features.is_empty() || (kind == FaultKind::Together && count < 2) {
            return None;
        }
        let place = self.moments[rng.random_range(0..self.moments.len())];
        let mut all: Vec<usize> = (0..self.features.len()).collect();
        let (chosen, _) = all.partial_shuffle(rng, count);
        let course = |i: &usize| Some((self.features[*i], self.course(kind, place, *i, rng)?));
        let courses = chosen.iter().map(course).collect::<Option<_>>()?;
        Some(Fault { kind, place, courses })
    }

    /// What becomes of one feature.
    fn course(
        &self,
        kind: FaultKind,
        place: WindowPosition,
        i: usize,
        rng: &mut ChaCha8Rng,
    ) -> Option<Vec<f32>> {
        let was = self.values(place, self.features[i]);
        let since = self.steps - rng.random_range(1..=self.steps);
        let off = |sizes: RangeInclusive<f64>, rng: &mut ChaCha8Rng| {
            let side = if rng.random::<bool>() { 1.0 } else { -1.0 };
            side * rng.random_range(sizes) * self.deviations[i]
        };
        let mut course = was.clone();
        match kind {
            FaultKind::Shifted => shift(&mut course[since..], off(SHIFT, rng)),
            FaultKind::Together => shift(&mut course[since..], off(SHIFT_TOGETHER, rng)),
            FaultKind::Spike => shift(&mut course[self.steps - 1..], off(SHIFT, rng)),
            FaultKind::Frozen => course.fill(self.earlier(place, self.features[i], rng)?),
            FaultKind::Apart => {
                let own = |it: &WindowPosition| it.entity < place.entity;
                let from = self.moments.partition_point(own);
                let to = self.moments.partition_point(|it| it.entity <= place.entity);
                let other = self.moments[rng.random_range(from..to)];
                course = self.values(other, self.features[i]);
            }
            FaultKind::Dropped => course[since..].fill(self.least[place.entity as usize][i]),
        }
        let change = f64::from(*course.last()?) - f64::from(*was.last()?);
        // NaN, of what was missing or is missing now, is no change either.
        let least = (LEAST_CHANGE * self.deviations[i]).max(f64::MIN_POSITIVE);
        (change.abs() >= least).then_some(course)
    }

    /// A feature's values in the longest window, oldest first.
    fn values(&self, place: WindowPosition, feature: usize) -> Vec<f32> {
        let rows = &self.dataset.entities[place.entity as usize].values;
        let end = place.step as usize + 1;
        rows.slice(s![end - self.steps..end, feature]).to_vec()
    }

    /// What a feature was before the longest window.
    fn earlier(&self, place: WindowPosition, feature: usize, rng: &mut ChaCha8Rng) -> Option<f32> {
        let ago = rng.random_range(self.steps..=LONGEST_AGO * self.steps);
        let step = (place.step as usize).checked_sub(ago)?;
        Some(self.dataset.row(place.entity as usize, step)?[feature])
    }
}

/// Moves values. What is missing stays so.
fn shift(values: &mut [f32], by: f64) {
    values.iter_mut().for_each(|it| *it = (f64::from(*it) + by) as f32);
}

#[cfg(test)]
mod tests;
