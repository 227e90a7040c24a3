//! A recording: every feature of every entity at every step, missing values and all.
//!
//! Every source of history makes one; [`crate::detect::Replay`] plays it as it would have been
//! served, for training and for evaluation.

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
    /// How long before its time the values of a step were measured: steps are ticks.
    pub delay_ms: i64,
    /// When samples were taken; `None` where the source does not tell, as a table does not.
    pub sightings: Option<Sightings>,
    /// For each feature and then each step, whether the server refused it: an entity may have had a
    /// value, and it is not known which. Short or empty where nothing further was.
    pub refused: Vec<Vec<bool>>,
    /// What the source held that is not in the values.
    pub counts: Counts,
    /// For each line of a CSV file after its header, the index of its step; empty for a server.
    /// Lines with the time of the line before share its step.
    pub rows: Vec<usize>,
}

/// The instants at which it was looked for when the newest sample of each entity was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Sightings {
    /// Ascending, beginning as long before the first step as the features look back.
    pub instants_ms: Vec<i64>,
    /// The distance between two of them.
    pub resolution_ms: i64,
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
    /// At each instant of [`Recording::sightings`], when the newest sample was taken; `i64::MIN` where
    /// there was none, or a stale marker.
    pub newest_ms: Vec<i64>,
    /// For each feature and then each step, whether two series claimed the cell. Such a cell is NaN;
    /// it is not one that the entity never had, which a policy may fill. Short or empty where nothing
    /// further is ambiguous; [`Self::is_ambiguous`] knows.
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
    /// Entities that the source has and that are not among the recorded ones, where these are a sample.
    pub others: usize,
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
            others: 0,
        }
    }

    /// Makes room for one more feature, of which nothing was left out.
    pub fn add_feature(&mut self) {
        let Self { duplicated: _, others: _, infinite, failed, ambiguous, unplaced } = self;
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
        Self {
            times_ms,
            step_ms,
            entities,
            own,
            delay_ms: 0,
            sightings: None,
            refused: Vec::new(),
            counts,
            rows: Vec::new(),
        }
    }

    /// Whether the server refused a feature at a step.
    #[must_use]
    pub fn is_refused(&self, step: usize, feature: usize) -> bool {
        is_marked(&self.refused, step, feature)
    }

    /// Takes note that the server refused a feature at a step.
    pub fn refuse(&mut self, step: usize, feature: usize) {
        mark(&mut self.refused, (self.times_ms.len(), self.own.len()), step, feature);
    }

    /// Whether every step of every entity is excluded.
    #[must_use]
    pub fn is_all_excluded(&self) -> bool {
        let all = |it: &EntityRecording| !it.excluded.is_empty() && !it.excluded.contains(&false);
        !self.entities.is_empty() && self.entities.iter().all(all)
    }
}

impl EntityRecording {
    /// An entity of which no step is excluded.
    #[must_use]
    pub fn new(labels: Labels, values: Array2<f32>) -> Self {
        Self { labels, values, excluded: Vec::new(), newest_ms: Vec::new(), ambiguous: Vec::new() }
    }

    /// Whether two series claimed a cell.
    #[must_use]
    pub fn is_ambiguous(&self, step: usize, feature: usize) -> bool {
        is_marked(&self.ambiguous, step, feature)
    }

    /// Puts a finite value where none may be yet: a second one spoils the cell for good. Gives
    /// whether it did so now.
    pub fn put(&mut self, step: usize, feature: usize, value: f32) -> bool {
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
    pub fn spoil(&mut self, step: usize, feature: usize) {
        self.values[[step, feature]] = f32::NAN;
        mark(&mut self.ambiguous, self.values.dim(), step, feature);
    }

    /// Whether a step is excluded.
    #[must_use]
    pub fn is_excluded(&self, step: usize) -> bool {
        self.excluded.get(step).copied().unwrap_or(false)
    }
}

/// Whether a cell is marked, in lists by feature that are made where they are needed.
fn is_marked(marks: &[Vec<bool>], step: usize, feature: usize) -> bool {
    marks.get(feature).and_then(|steps| steps.get(step)).copied().unwrap_or(false)
}

fn mark(
    marks: &mut Vec<Vec<bool>>,
    (steps, features): (usize, usize),
    step: usize,
    feature: usize,
) {
    marks.resize(features, Vec::new());
    marks[feature].resize(steps, false);
    marks[feature][step] = true;
}
