//! A recording: every feature of every entity at every step, missing values and all.
//!
//! Both sources make one; cleaning turns it into rows.

use ndarray::Array2;

use crate::labels::Labels;

/// Every feature of every entity at every step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recording {
    /// The steps, strictly ascending.
    pub times_ms: Vec<i64>,
    /// The distance between steps; where they are uneven, the most common one.
    pub step_ms: i64,
    /// The entities, each with its values.
    pub entities: Vec<EntityRecording>,
    /// For each feature, whether its values are the entities' own. Otherwise every entity has the
    /// same ones (a scalar, a series without labels), which say nothing about whether an entity
    /// was there.
    pub own: Vec<bool>,
}

/// Every feature of one entity at every step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EntityRecording {
    /// The entity labels and nothing else.
    pub labels: Labels,
    /// Steps by features.
    ///
    /// # NaN
    /// Where a value is missing. No other value is not finite.
    pub values: Array2<f32>,
}
