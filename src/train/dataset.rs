//! A dataset: complete rows, each one entity at one step, ready to be learnt from.
//!
//! In: a recording with gaps. Out: rows without a missing value, in the order of entity and time,
//! a moment that parts training from validation, and the count of everything that was left out or
//! filled in.
//!
//! A step that is excluded is as if the entity had not been there. A step with a missing feature follows the feature's own policy, as serving does; a step that
//! the policy cannot complete is dropped for that entity. Rows are float32, which is what a graph
//! is fed with: training on more digits than serving has would only look better.

use ndarray::{Array2, ArrayView2};

use crate::features::{FeatureSpec, Missing};
use crate::history::{EntityRecording, Recording};

/// How long a value may be held in training, at least: the default of the limit in serving.
const HOLD_MS: i64 = 120_000;

/// Rows of the training part, at least: one batch. Fewer say nothing about what is normal.
pub(super) const MIN_TRAINING_ROWS: usize = 32;

/// Rows of the validation part, at least: fewer make no percentile.
pub(super) const MIN_VALIDATION_ROWS: usize = 8;

/// Complete rows, by entity and time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dataset {
    /// Rows by features; every value is finite.
    pub values: Array2<f32>,
    /// The step of each row.
    pub times_ms: Vec<i64>,
    /// What became of the recording.
    pub cleaning: Cleaning,
}

/// What became of a recording, in counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cleaning {
    /// Entities with at least one complete row.
    pub entities: usize,
    /// Entities without any.
    pub empty_entities: usize,
    /// Complete rows.
    pub rows: usize,
    /// Steps at which an entity was there and that were excluded.
    pub excluded: usize,
    /// Steps at which an entity was there and had to be dropped.
    pub dropped: usize,
    /// For each feature, the dropped steps that lacked it.
    pub dropped_for: Vec<usize>,
    /// For each feature, values that its policy held or filled in.
    pub filled: Vec<usize>,
}

/// Why there is nothing to learn from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// No row survives cleaning.
    #[error(
        "no step has all features: {dropped} were dropped, for lack of {features}; correct the \
         expression, or give the feature `missing: fill VALUE`"
    )]
    Empty {
        /// Dropped steps.
        dropped: usize,
        /// The features they lacked most often, with counts.
        features: String,
    },
    /// Too few rows.
    #[error(
        "{training} rows to train on and {validation} to validate with; at least \
         {MIN_TRAINING_ROWS} and {MIN_VALIDATION_ROWS} are needed: use a longer range, a shorter \
         step or more entities"
    )]
    TooFew {
        /// Rows before the parting moment.
        training: usize,
        /// Rows after it.
        validation: usize,
    },
}

/// A dataset in two parts, by index into its rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Split {
    /// Rows to fit on.
    pub training: Vec<usize>,
    /// Rows that the fit does not see, all of them later.
    pub validation: Vec<usize>,
}

impl Dataset {
    /// Cleans a recording.
    ///
    /// # Errors
    /// When not a single row is complete.
    pub fn clean(recording: &Recording, features: &[FeatureSpec]) -> Result<Self, DatasetError> {
        let mut cleaning = Cleaning {
            dropped_for: vec![0; features.len()],
            filled: vec![0; features.len()],
            ..Cleaning::default()
        };
        let mut values = Vec::new();
        let mut times_ms = Vec::new();
        for entity in &recording.entities {
            let before = times_ms.len();
            let mut rows = Rows {
                features,
                hold_ms: HOLD_MS.max(2 * recording.step_ms),
                held: vec![None; features.len()],
                cleaning: &mut cleaning,
                values: &mut values,
                times_ms: &mut times_ms,
            };
            rows.append(recording, entity);
            if times_ms.len() > before {
                cleaning.entities += 1;
            } else {
                cleaning.empty_entities += 1;
            }
        }
        cleaning.rows = times_ms.len();
        if times_ms.is_empty() {
            return Err(nothing(&cleaning, features));
        }
        let shape = (times_ms.len(), features.len());
        Ok(Self {
            values: Array2::from_shape_vec(shape, values).expect("a value for each feature"),
            times_ms,
            cleaning,
        })
    }

    /// Parts the rows at one moment for all entities, such that about `share` of them are later.
    ///
    /// # Errors
    /// When either part has too few rows.
    pub fn split(&self, share: f64) -> Result<Split, DatasetError> {
        let mut sorted = self.times_ms.clone();
        sorted.sort_unstable();
        let at = ((1.0 - share) * sorted.len() as f64).floor() as usize;
        let from_ms = sorted[at.min(sorted.len() - 1)];
        let (training, validation): (Vec<usize>, Vec<usize>) =
            (0..sorted.len()).partition(|&row| self.times_ms[row] < from_ms);
        if training.len() < MIN_TRAINING_ROWS || validation.len() < MIN_VALIDATION_ROWS {
            return Err(DatasetError::TooFew {
                training: training.len(),
                validation: validation.len(),
            });
        }
        Ok(Split { training, validation })
    }

    /// All rows.
    pub fn view(&self) -> ArrayView2<'_, f32> {
        self.values.view()
    }
}

/// The rows of one entity in the making.
struct Rows<'a> {
    features: &'a [FeatureSpec],
    hold_ms: i64,
    /// The newest real value of each feature and its time.
    held: Vec<Option<(i64, f32)>>,
    cleaning: &'a mut Cleaning,
    values: &'a mut Vec<f32>,
    times_ms: &'a mut Vec<i64>,
}

impl Rows<'_> {
    fn append(&mut self, recording: &Recording, entity: &EntityRecording) {
        let any_own = recording.own.contains(&true);
        let rows = recording.times_ms.iter().zip(entity.values.outer_iter());
        for (step, (&time_ms, row)) in rows.enumerate() {
            let there = (row.iter().zip(&recording.own))
                .any(|(value, own)| value.is_finite() && (*own || !any_own));
            // An entity that is not there is not missing anything.
            if !there {
                continue;
            }
            if entity.is_excluded(step) {
                self.cleaning.excluded += 1;
                continue;
            }
            let start = self.values.len();
            let filled: Vec<Option<f32>> = (row.iter().enumerate())
                .map(|(feature, &value)| self.complete(feature, time_ms, value))
                .collect();
            self.values.extend(filled.iter().flatten());
            if filled.iter().all(Option::is_some) {
                self.times_ms.push(time_ms);
                for (feature, value) in row.iter().enumerate() {
                    self.cleaning.filled[feature] += usize::from(!value.is_finite());
                }
            } else {
                self.values.truncate(start);
                self.cleaning.dropped += 1;
                for (feature, value) in filled.iter().enumerate() {
                    self.cleaning.dropped_for[feature] += usize::from(value.is_none());
                }
            }
        }
    }

    /// The value, or what the policy puts in its place.
    fn complete(&mut self, feature: usize, time_ms: i64, value: f32) -> Option<f32> {
        if value.is_finite() {
            self.held[feature] = Some((time_ms, value));
            return Some(value);
        }
        match self.features[feature].missing {
            Missing::Skip => None,
            Missing::Fill(value) => Some(value as f32),
            Missing::Hold => self.held[feature]
                .filter(|(since_ms, _)| time_ms - since_ms <= self.hold_ms)
                .map(|(_, value)| value),
        }
    }
}

fn nothing(cleaning: &Cleaning, features: &[FeatureSpec]) -> DatasetError {
    let mut lacking: Vec<(usize, &str)> = (cleaning.dropped_for.iter().zip(features))
        .filter(|(count, _)| **count > 0)
        .map(|(count, feature)| (*count, feature.name.as_str()))
        .collect();
    lacking.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let texts = lacking.iter().take(5).map(|(count, name)| format!("{name} ({count})"));
    DatasetError::Empty {
        dropped: cleaning.dropped,
        features: texts.collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    const NAN: f32 = f32::NAN;

    fn recording(step_ms: i64, entities: &[&[[f32; 3]]]) -> Recording {
        let times_ms = (0..entities[0].len() as i64).map(|i| i * step_ms).collect();
        let entities =
            entities.iter().map(|rows| EntityRecording::new(Labels::empty(), ndarray::arr2(rows)));
        Recording::new(times_ms, step_ms, vec![true, true, false], entities.collect())
    }

    fn features(policies: [Missing; 3]) -> Vec<FeatureSpec> {
        let name = ["a", "b", "c"];
        (name.into_iter().zip(policies))
            .map(|(name, missing)| FeatureSpec::new(name, name).or(missing))
            .collect()
    }

    #[test]
    fn a_missing_value_follows_its_policy() {
        let rows = [
            [NAN, 9.0, 7.0], // nothing to hold yet: dropped
            [1.0, 2.0, 7.0], // complete
            [NAN, 3.0, 7.0], // a is held
            [NAN, NAN, 7.0], // the entity is not there
            [NAN, 5.0, 7.0], // a is too old: dropped
            [6.0, NAN, 7.0], // b is filled
            [6.0, 5.0, NAN], // c is needed: dropped
        ];
        let recording = recording(60_000, &[&rows]);
        let features = features([Missing::Hold, Missing::Fill(-1.0), Missing::Skip]);
        let dataset = Dataset::clean(&recording, &features).expect("some rows");
        let expected = ndarray::arr2(&[[1.0, 2.0, 7.0], [1.0, 3.0, 7.0], [6.0, -1.0, 7.0]]);
        assert_eq!(dataset.values, expected);
        assert_eq!(dataset.times_ms, [60_000, 120_000, 300_000]);
        let cleaning = &dataset.cleaning;
        assert_eq!((cleaning.rows, cleaning.dropped), (3, 3));
        assert_eq!(cleaning.dropped_for, [2, 0, 1]);
        assert_eq!(cleaning.filled, [1, 1, 0]);
    }

    #[test]
    fn an_excluded_step_is_no_row() {
        let rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [NAN, NAN, 6.0], [7.0, 8.0, 9.0]];
        let mut recording = recording(1_000, &[&rows]);
        recording.entities[0].excluded = vec![false, true, true, false];
        let dataset =
            Dataset::clean(&recording, &features([Missing::Skip; 3])).expect("complete rows");
        assert_eq!(dataset.values, ndarray::arr2(&[[1.0, 2.0, 3.0], [7.0, 8.0, 9.0]]));
        assert_eq!((dataset.cleaning.excluded, dataset.cleaning.dropped), (1, 0));
    }

    #[test]
    fn one_moment_parts_all_entities() {
        let rows = vec![[1.0, 2.0, 3.0]; 50];
        let mut late = vec![[NAN, NAN, 3.0]; 50];
        late[30..].fill([1.0, 2.0, 3.0]);
        let gone = vec![[NAN, NAN, 3.0]; 50];
        let recording = recording(1_000, &[&rows, &late, &gone]);
        let dataset =
            Dataset::clean(&recording, &features([Missing::Skip; 3])).expect("complete rows");
        assert_eq!(dataset.cleaning.entities, 2);
        assert_eq!(dataset.cleaning.empty_entities, 1);
        let split = dataset.split(0.2).expect("two parts");
        let time = |row: &usize| dataset.times_ms[*row];
        let last = split.training.iter().map(time).max();
        let first = split.validation.iter().map(time).min();
        assert!(last < first, "{last:?} {first:?}");
        assert_eq!(split.training.len() + split.validation.len(), 70);
        assert_eq!(split.validation.len(), 14);
    }

    #[test]
    fn too_little_says_what_to_do() {
        let rows = [[NAN, 2.0, 3.0]; 40];
        let error = Dataset::clean(&recording(1_000, &[&rows]), &features([Missing::Skip; 3]));
        let text = error.expect_err("nothing").to_string();
        assert!(text.contains("for lack of a (40)"), "{text}");
        let rows = [[1.0, 2.0, 3.0]; 39];
        let dataset = Dataset::clean(&recording(1_000, &[&rows]), &features([Missing::Skip; 3]))
            .expect("complete rows");
        let error = dataset.split(0.2).expect_err("too few");
        assert_eq!(error, DatasetError::TooFew { training: 31, validation: 8 });
    }
}
