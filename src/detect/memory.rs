//! An entity's memory: all that a model remembers of one entity, as plain data.
//!
//! It is kept by slot in the rooms that use it, and is here in one piece for those who keep it over the end
//! of a process. What is put into a pipeline that has seen nothing makes it go on as if the entity had been
//! away in between, and belongs to the very model that it was taken from: see [`ModelKey`].

use crate::features::{CellMemory, WindowMemory};
use crate::labels::Labels;
use crate::sample::Batch;

/// What tells a model from every other: its name, its file, what the configuration says of it, and how
/// often it is evaluated, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModelKey(pub [u8; 32]);

/// All that a model remembers of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityMemory {
    /// The entity labels.
    pub entity: Labels,
    /// When it was there last: milliseconds since the epoch.
    pub left_ms: i64,
    /// Whether it was away by then.
    pub is_away: bool,
    /// By feature.
    pub cells: Vec<CellMemory>,
    /// The steps that the graph looks at.
    pub window: WindowMemory,
    /// By feature; empty for a model without a level.
    pub level: Vec<LevelMemory>,
    /// By span.
    pub smoothing: Vec<MeanMemory>,
    /// Errors that smoothing has seen, as long as they are few.
    pub errors: u32,
    /// `None` for a model whose threshold stays, and before the first score.
    pub hours: Option<HoursMemory>,
    /// By feature that takes part; empty for a model that is told nothing of standing still.
    pub still: Vec<RunMemory>,
    /// What its last score is about: milliseconds since the epoch.
    pub scored_ms: Option<i64>,
}

/// The level of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LevelMemory {
    /// The weighted mean, in the feature's unit.
    pub mean: f64,
    /// The weighted variance.
    pub variance: f64,
    /// The sum of the weights if the newest one is 1.
    pub weight: f64,
}

/// The mean of recent rows of errors and parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeanMemory {
    /// When the newest row was taken in; of no meaning without weight.
    pub last_ms: i64,
    /// The sum of the weights: 0 before the first row, 1 after many.
    pub weight: f32,
    /// By column.
    pub means: Vec<f32>,
}

/// The largest scores of recent hours.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HoursMemory {
    /// The current hour since 1970.
    pub hour: i64,
    /// The hour of the first score.
    pub since: i64,
    /// The largest score of each hour, the current one last; NaN where there was none.
    pub largest: Vec<f32>,
}

/// How long one feature has stood still.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunMemory {
    /// The latest value that was measured; NaN before the first.
    pub last: f32,
    /// Steps at which it was what it had been.
    pub run: u32,
}

/// A piece of what a pipeline remembers.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryPage {
    /// Of some entities of a model.
    Entities {
        /// The model.
        model: ModelKey,
        /// What it remembers of them.
        entities: Vec<EntityMemory>,
    },
    /// Samples of some series.
    Series(Batch),
}

/// Where a piece begins; the first by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryCursor {
    /// The place of a model, or of the store after the last.
    pub(super) place: usize,
    /// A slot of it.
    pub(super) offset: usize,
}

/// What was taken from a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Entities that go on.
    pub entities: u64,
    /// Those of models that are not here, or that are there already.
    pub foreign: u64,
    /// Samples.
    pub samples: u64,
}

impl std::ops::AddAssign for Restored {
    fn add_assign(&mut self, other: Self) {
        self.entities += other.entities;
        self.foreign += other.foreign;
        self.samples += other.samples;
    }
}
