//! A recording: every feature of every entity at every step, missing values and all.
//!
//! Every source makes one; training cleans it into rows, evaluation scores it as it is.

use ndarray::Array2;

use crate::labels::Labels;

/// Every feature of every entity at every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The steps, strictly ascending. Between two ranges there is a gap.
    ///
    /// # Units
    /// Milliseconds since 1970.
    pub times_ms: Vec<i64>,
    /// The distance between steps; where they are uneven, the most common one.
    pub step_ms: i64,
    /// The entities, each with its values, in the order of their labels.
    pub entities: Vec<EntityRecording>,
    /// For each feature, whether its values are the entities' own, which its expression decides and
    /// not what came of it. Otherwise every entity has the same ones (the time, a sum over all),
    /// which say nothing about whether an entity was there.
    pub own: Vec<bool>,
    /// What the source held that is not in the values.
    pub counts: Counts,
    /// For each line of a CSV file after its header, the index of its step; empty for a server.
    /// Lines with the time of the line before share its step.
    pub rows: Vec<usize>,
}

/// Every feature of one entity at every step.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityRecording {
    /// The entity labels and nothing else.
    pub labels: Labels,
    /// Steps by features.
    ///
    /// # NaN
    /// Where a value is missing. No other value is not finite.
    pub values: Array2<f32>,
    /// For each step whether it was asked to be left out; empty when none was. The values of such
    /// a step are there all the same.
    pub excluded: Vec<bool>,
    /// For each feature and then each step, whether the entity may have had a value and it is not
    /// known which: two series claimed the cell, or the server refused the step. Such a cell is
    /// NaN; it is not one that the entity never had, which a policy may fill. Short or empty where
    /// nothing further is ambiguous; [`Self::is_ambiguous`] knows.
    pub ambiguous: Vec<Vec<bool>>,
}

/// What a source held that is not in the values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Lines with the time of the line before, which were left out.
    pub duplicated: usize,
    /// For each feature, values that are infinite or too large for a float32: missing now.
    pub infinite: Vec<usize>,
    /// For each feature, steps at which the server refused its expression, since label sets clash:
    /// missing now for every entity.
    pub failed: Vec<usize>,
    /// For each feature, steps of entities that two series claimed: missing now.
    pub ambiguous: Vec<usize>,
    /// For each feature, values of series that lack an entity label and so belong to nobody.
    pub unplaced: Vec<usize>,
}

impl Counts {
    /// Nothing, of so many features.
    #[must_use]
    pub fn none(features: usize) -> Self {
        let none = || vec![0; features];
        Self {
            duplicated: 0,
            infinite: none(),
            failed: none(),
            ambiguous: none(),
            unplaced: none(),
        }
    }

    /// Makes room for one more feature, of which nothing was left out.
    pub fn add_feature(&mut self) {
        let Self { duplicated: _, infinite, failed, ambiguous, unplaced } = self;
        [infinite, failed, ambiguous, unplaced].into_iter().for_each(|counts| counts.push(0));
    }
}

impl Recording {
    /// A recording of which nothing was left out.
    ///
    /// # Shapes
    /// As many rows of values as times, as many columns as `own`.
    #[must_use]
    pub fn new(
        times_ms: Vec<i64>,
        step_ms: i64,
        own: Vec<bool>,
        entities: Vec<EntityRecording>,
    ) -> Self {
        let counts = Counts::none(own.len());
        Self { times_ms, step_ms, entities, own, counts, rows: Vec::new() }
    }

    /// Whether every step of every entity is excluded.
    pub(super) fn is_all_excluded(&self) -> bool {
        let all = |it: &EntityRecording| !it.excluded.is_empty() && !it.excluded.contains(&false);
        !self.entities.is_empty() && self.entities.iter().all(all)
    }
}

impl EntityRecording {
    /// An entity of which no step is excluded.
    #[must_use]
    pub fn new(labels: Labels, values: Array2<f32>) -> Self {
        Self { labels, values, excluded: Vec::new(), ambiguous: Vec::new() }
    }

    /// Whether the entity may have had a value that is not known.
    #[must_use]
    pub fn is_ambiguous(&self, step: usize, feature: usize) -> bool {
        let steps = self.ambiguous.get(feature);
        steps.and_then(|it| it.get(step)).copied().unwrap_or(false)
    }

    /// Puts a finite value where none may be yet: a second one spoils the cell for good. Gives
    /// whether it did so now.
    pub(super) fn put(&mut self, step: usize, feature: usize, value: f32) -> bool {
        let cell = &mut self.values[[step, feature]];
        let is_second = cell.is_finite();
        if is_second {
            self.spoil(step, feature);
        } else if !self.is_ambiguous(step, feature) {
            self.values[[step, feature]] = value;
        }
        is_second
    }

    /// Takes the value of a cell away, for good.
    pub(super) fn spoil(&mut self, step: usize, feature: usize) {
        let (steps, features) = self.values.dim();
        self.values[[step, feature]] = f32::NAN;
        self.ambiguous.resize(features, Vec::new());
        self.ambiguous[feature].resize(steps, false);
        self.ambiguous[feature][step] = true;
    }

    /// Whether a step is excluded.
    #[must_use]
    pub fn is_excluded(&self, step: usize) -> bool {
        self.excluded.get(step).copied().unwrap_or(false)
    }
}
