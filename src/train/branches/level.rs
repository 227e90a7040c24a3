//! The level: where each entity has been lately, as serving keeps it.
//!
//! In: a dataset and windows of it. Out: what the model's file says of levels, that of each entity and
//! that of all together, for those that training has not seen; and windows in batches with the entity's
//! level before each, by the same arithmetic that serving uses. Levels before windows run through all
//! usable steps from the first on, as in serving; the levels in the file have seen only the steps that were
//! learnt from. The residual is the departure from the level, moved by the season, in units of the usual
//! departure in training or of the level's own scale, whichever is larger.

use ndarray::Array2;

use super::{Base, CHUNK};
use crate::detect::level::Levels;
use crate::duration::DAY_MS;
use crate::model::{LEVEL, LevelSpec, LevelStart};
use crate::train::data::{Dataset, WindowPosition};
use crate::train::graph::{With, Writer};

/// How long until half of a level is forgotten. Long against a day's course, so that a busy morning
/// does not become the standard by noon; short enough that a machine which has changed for good is
/// normal again after a day or two.
const HALF_LIFE_MS: f64 = DAY_MS as f64;

/// A step moves a level by at most so many of its scales.
const CLIP: f64 = 5.0;

/// A level's scale is at least this part of the training deviation.
const FLOOR: f32 = 0.1;

/// For how long the level of all entities together counts with one that training has not seen: a day's
/// course. What a host does in its first hour is not how far it strays by evening.
const UNKNOWN_PRIOR_MS: f64 = DAY_MS as f64;

/// For how many half-lives an entity's own level counts: all that it can remember. It goes on where it
/// was.
const KNOWN_PRIOR: f64 = 2.0;

/// Windows with the entity's level before each.
pub struct Levelled<'a> {
    /// The windows.
    pub places: &'a [WindowPosition],
    /// `[windows, features]`.
    pub mean: Array2<f32>,
    /// `[windows, features]`.
    pub scale: Array2<f32>,
}

/// The level that training begins with.
pub fn start(dataset: &Dataset, base: &Base) -> LevelSpec {
    let features = base.scaler.kinds.len();
    let size = |i: usize| base.scaler.size(i).max(f32::MIN_POSITIVE);
    LevelSpec {
        half_life: (HALF_LIFE_MS / dataset.step_ms as f64).max(1.0),
        // The first steps of the training range speak for themselves.
        prior: 1.0,
        clip: CLIP,
        mean: base.scaler.offset.clone(),
        scale: (0..features).map(size).collect(),
        floor: (0..features).map(|i| (FLOOR * size(i)).max(f32::MIN_POSITIVE)).collect(),
        entities: Vec::new(),
    }
}

/// The same level as when training begins: its start has the weight of one step only.
pub fn fresh(spec: &LevelSpec) -> LevelSpec {
    LevelSpec { prior: 1.0, ..spec.clone() }
}

/// The levels that training leaves behind: for entities that it has not seen where those of the dataset
/// are on average, and where each of these is.
pub fn learn(dataset: &Dataset, base: &Base) -> (LevelSpec, Vec<LevelStart>) {
    let mut spec = start(dataset, base);
    let ends: Vec<LevelStart> =
        (0..dataset.entities.len()).map(|entity| end(dataset, &spec, entity)).collect();
    let count = ends.len() as f32;
    for i in 0..spec.mean.len() {
        let mean = ends.iter().map(|it| it.mean[i] / count).sum::<f32>();
        // Within and between entities.
        let square = |it: &LevelStart| (it.scale[i].powi(2) + (it.mean[i] - mean).powi(2)) / count;
        let scale = ends.iter().map(square).sum::<f32>().sqrt();
        if mean.is_finite() && scale.is_finite() {
            (spec.mean[i], spec.scale[i]) = (mean, scale.max(spec.floor[i]));
        }
    }
    spec.prior = (UNKNOWN_PRIOR_MS / dataset.step_ms as f64).max(1.0);
    (spec, ends)
}

/// Where an entity is at the end of the dataset, what was left out of it aside.
fn end(dataset: &Dataset, spec: &LevelSpec, entity: usize) -> LevelStart {
    let mut levels = levels(spec);
    let rows = &dataset.entities[entity];
    let learnt = (0..dataset.times_ms.len()).filter(|step| rows.is_learnt(*step));
    for row in learnt.filter_map(|step| dataset.row(entity, step)) {
        levels.update(0, row);
    }
    LevelStart {
        prior: KNOWN_PRIOR * spec.half_life,
        mean: levels.means(0).to_vec(),
        scale: levels.scales(0).to_vec(),
        floor: spec.floor.clone(),
    }
}

/// Levels of one entity, as training starts them.
fn levels(spec: &LevelSpec) -> Levels {
    let mut levels = Levels::new(spec, Vec::new());
    levels.resize(1);
    levels
}

/// Hands over windows, which are in the order of entity and time, with the level before each.
pub fn walk(
    dataset: &Dataset,
    spec: &LevelSpec,
    places: &[WindowPosition],
    each: &mut dyn FnMut(&Levelled<'_>),
) {
    let features = spec.mean.len();
    // Where a level begins does not matter long; every walk begins as `spec` did.
    let start = fresh(spec);
    for of_entity in places.chunk_by(|a, b| a.entity == b.entity) {
        let entity = of_entity[0].entity as usize;
        let mut levels = levels(&start);
        let mut step = 0;
        for places in of_entity.chunks(CHUNK) {
            let (mut mean, mut scale) = (Vec::new(), Vec::new());
            for place in places {
                while step < place.step as usize {
                    if let Some(row) = dataset.row(entity, step) {
                        levels.update(0, row);
                    }
                    step += 1;
                }
                mean.extend_from_slice(levels.means(0));
                scale.extend_from_slice(levels.scales(0));
            }
            let shape = (places.len(), features);
            let array = |values| Array2::from_shape_vec(shape, values).expect("a row each");
            each(&Levelled { places, mean: array(mean), scale: array(scale) });
        }
    }
}

impl Writer<'_> {
    /// How far the newest step is from the level, in the level's unit.
    pub(in crate::train) fn level(&mut self) {
        let [mean, scale] = LEVEL;
        self.parameter("wave_square", With::Rows, &|it| it.base.season.wave_square.clone());
        self.parameter("season_scale", With::Rows, &|it| it.base.season.scale.clone());
        self.parameter("deviations_per_unit", With::Rows, &|it| it.base.scaler.inverse.clone());
        self.graph
            .node("Sub", &["raw", mean], "from_level")
            .node("Mul", &["from_level", "deviations_per_unit"], "level_departure")
            .node("Sub", &["level_departure", "course"], "level_unscaled")
            .node("Mul", &[scale, "deviations_per_unit"], "level_deviation")
            .node("Mul", &["level_deviation", "level_deviation"], "level_variance")
            .node("Sub", &["level_variance", "wave_square"], "level_rest")
            .node("Clip", &["level_rest", "zero"], "level_positive")
            .node("Sqrt", &["level_positive"], "level_own")
            .node("Max", &["level_own", "season_scale"], "level_unit")
            .node("Div", &["level_unscaled", "level_unit"], "level_distance");
    }
}
