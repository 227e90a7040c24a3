//! What features remember of one entity, as plain data: taken out of a feature set and put into another,
//! as if the entity had been away in between.

use crate::labels::Labels;

/// What features remember of an entity, without its window.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMemory {
    /// The entity labels.
    pub entity: Labels,
    /// When it was there last: milliseconds since the epoch.
    pub left_ms: i64,
    /// Whether it is away.
    pub is_away: bool,
    /// By feature.
    pub cells: Vec<CellMemory>,
}

/// What is remembered of one feature of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CellMemory {
    /// The latest value of the entity's own, with its time in milliseconds since the epoch; `None` where
    /// there was none.
    pub held: Option<(i64, f64)>,
    /// Evaluations with an own value, as long as they are few.
    pub had: u8,
    /// Evaluations without one since, as long as they are few.
    pub lacked: u8,
}

/// The window of one entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowMemory {
    /// When its newest row was taken in; of no meaning without rows.
    pub last_ms: i64,
    /// The rows that are filled, oldest first, one after the other.
    pub rows: Vec<f32>,
}
