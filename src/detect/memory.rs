//! An entity's memory: all that a model remembers of one entity, as plain data.
//!
//! It is kept by slot in the rooms that use it, and is here in one piece so that it can outlive the
//! process. Put into a pipeline that has seen nothing, it lets that continue as if the entity had been
//! away in between. It only fits the model that it was taken from: see [`ModelKey`].

use crate::features::{CellMemory, WindowMemory};
use crate::labels::Labels;

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

/// What was remembered of an entity at the end of its past.
#[derive(Debug, Clone, PartialEq)]
pub struct PastEntity {
    /// When it was there first, in milliseconds since the epoch.
    pub since_ms: i64,
    /// What is remembered of it.
    pub memory: EntityMemory,
}

/// What became of entities with a past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Warmed {
    /// They go on with it.
    pub entities: u64,
    /// They have been here for longer than that, or what is remembered of them is older than this process.
    pub older: u64,
    /// They are not here, or their model is not.
    pub elsewhere: u64,
}

impl Warmed {
    /// One that is not here.
    pub(super) const ELSEWHERE: Self = Self { entities: 0, older: 0, elsewhere: 1 };
    /// One that has been here for longer.
    pub(super) const OLDER: Self = Self { entities: 0, older: 1, elsewhere: 0 };
    /// One that goes on with its past.
    pub(super) const DONE: Self = Self { entities: 1, older: 0, elsewhere: 0 };
}

impl std::ops::AddAssign for Warmed {
    fn add_assign(&mut self, other: Self) {
        self.entities += other.entities;
        self.older += other.older;
        self.elsewhere += other.elsewhere;
    }
}
