//! The trial: a graph is run before it is trusted.
//!
//! In: a loaded graph, what the user says of its outputs, and where its features lay in training. Out:
//! what its outputs are, or a refusal.
//!
//! Rows within the ranges of training, or of several magnitudes where none are known, are run
//! together and each alone: a row's error must not depend on its company. Then rows far away are run:
//! an error that falls on the way there, or that is below 0, is the opposite of one, unless the user
//! says that it is an error.
//!
//! Invariant: the rows are the same each time.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayView3, Axis};

use super::{Context, Scorer, ScorerError};
use crate::model::artifact::Artifact;
use crate::model::contract;
use crate::model::port::Element;
use crate::model::range::FeatureRange;
use crate::model::role::OutputRole;

/// Why the numbers that a graph gives are not errors.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrialError {
    /// A row's error depends on the other rows.
    #[error(
        "the rows of a batch influence each other: in a trial, the error of the same row is \
         {together} among others and {alone} alone; export the model in evaluation mode \
         (`model.eval()` in PyTorch, `training=False` in Keras), so that no layer takes means of a \
         batch or draws at random"
    )]
    Company {
        /// The row's error in a batch.
        together: f32,
        /// Its error alone.
        alone: f32,
    },
    /// An error is never below 0.
    #[error(
        "output {name} is {value} in a trial, and an error is 0 or more, and larger for \
         anomalies; say in the model's item of `models` whether it falls for anomalies, as \
         decision functions do, `outputs: {{{name}: normality}}`, or not, `outputs: {{{name}: \
         error}}`"
    )]
    BelowZero {
        /// The output.
        name: String,
        /// A value of it.
        value: f32,
    },
    /// An error is larger for what is stranger.
    #[error(
        "output {name} falls: in a trial, it is {near} or more for small values and {far} or less for \
         values of a million; an error is larger for anomalies: turn it around in the graph \
         (such as 1 - {name}), or say `outputs: {{{name}: error}}` in the model's item of `models`"
    )]
    Falls {
        /// The output.
        name: String,
        /// The least that usual rows have.
        near: f32,
        /// The most that rows far away have.
        far: f32,
    },
    /// Said to be below 0 for what is strange, and is not.
    #[error(
        "output {name} is said to be `{role}`, and in a trial it is below 0 for no row, however far \
         away: nothing would ever be found; let the graph subtract the value that is just normal"
    )]
    NeverStrange {
        /// The output.
        name: String,
        /// What is said.
        role: OutputRole,
    },
}

/// What is known of a graph before it runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usual<'a> {
    /// What its outputs are said to be.
    pub said: &'a BTreeMap<String, OutputRole>,
    /// Where its features lay in training.
    pub ranges: &'a [Option<FeatureRange>],
}

/// Between a row's errors among others and alone there may be as much as this, of the error itself and of
/// the largest: sums in another order, in float32.
const NOISE: [f32; 2] = [1e-3, 1e-5];

/// An error that is bounded is about as large near as far; one that is only this part of it has fallen.
const FALLEN: f32 = 0.5;

/// Rows far away: so many times the width of a range.
const FAR: [f32; 6] = [1e3, -1e3, 1e6, -1e6, 1e9, -1e9];

impl Scorer {
    /// Finds out what the outputs are, and that they can be used.
    pub(super) fn trial(
        &mut self,
        artifact: &Artifact,
        usual: Usual<'_>,
    ) -> Result<(), ScorerError> {
        let rows = contract::trial_rows(self.features, self.window);
        let batch = self.rows(rows, |row, feature, part| match range(usual.ranges, feature) {
            Some(FeatureRange { lower, upper }) => lower + part * (upper - lower),
            None => part * 10_f32.powi(row as i32 / 2),
        });
        self.judge(artifact, batch.view(), usual.said)?;
        let together = self.given(batch.view())?;
        let mut largest =
            together.iter().filter(|it| it.is_finite()).fold(0.0, |a, b| b.abs().max(a));
        for (row, window) in batch.axis_iter(Axis(0)).enumerate() {
            let alone = self.given(window.insert_axis(Axis(0)))?[0];
            largest = if alone.is_finite() { alone.abs().max(largest) } else { largest };
            let among = together[row];
            let noise = NOISE[0] * among.abs().max(alone.abs()) + NOISE[1] * largest;
            let differs = match among.is_finite() && alone.is_finite() {
                true => (among - alone).abs() > noise,
                false => among.is_finite() != alone.is_finite(),
            };
            if differs {
                return Err(TrialError::Company { together: among, alone }.into());
            }
        }
        let far = self.rows(FAR.len(), |row, feature, part| match range(usual.ranges, feature) {
            Some(FeatureRange { lower, upper }) => {
                lower + (upper - lower).max(f32::MIN_POSITIVE) * (0.5 + part) * FAR[row]
            }
            None => (0.5 + part) * FAR[row],
        });
        let far = self.given(far.view())?;
        // Without ranges only the first rows are small.
        let near = if usual.ranges.is_empty() { &together[..2] } else { &together };
        self.is_error(&together, near, &far)
    }

    /// Windows of values that are the same each time. `of` makes a value of the row, the feature and a part
    /// of 1.
    fn rows(&self, rows: usize, of: impl Fn(usize, usize, f32) -> f32) -> Array3<f32> {
        let mut part = 0.0;
        Array3::from_shape_fn((rows, self.window, self.features), |(row, _, feature)| {
            // The golden ratio's multiples are spread evenly and never repeat.
            part = (part + 0.618_034_f32).fract();
            of(row, feature, part)
        })
    }

    /// Finds out what the outputs are.
    fn judge(
        &mut self,
        artifact: &Artifact,
        batch: ArrayView3<'_, f32>,
        said: &BTreeMap<String, OutputRole>,
    ) -> Result<(), ScorerError> {
        let outputs = self.run_trial(batch)?;
        // In the order of the file, for the sake of messages.
        let shapes: Vec<_> = (artifact.outputs().iter())
            .map(|port| {
                let found = outputs.iter().find(|(name, _)| *name == port.name);
                let values = found.and_then(|(_, values)| values.as_ref());
                let values = values.filter(|_| port.element == Element::Float32);
                (port.name.as_str(), values.map(|it| it.shape().to_vec()))
            })
            .collect();
        let shape = self.input_shape(batch.dim().0);
        self.outputs = contract::judge_outputs(&shapes, &shape, said)?;
        Ok(())
    }

    fn run_trial(&mut self, batch: ArrayView3<'_, f32>) -> Result<super::Outputs, ScorerError> {
        let rows = batch.dim().0;
        let (mean, scale) =
            (Array2::zeros((rows, self.features)), Array2::ones((rows, self.features)));
        let context = Context { level: Some((mean.view(), scale.view())), entity: None };
        self.fill(batch);
        self.run(rows, &context)
    }

    /// What the graph gives for each row: errors, or how normal they are.
    fn given(&mut self, batch: ArrayView3<'_, f32>) -> Result<Vec<f32>, ScorerError> {
        let outputs = self.run_trial(batch)?;
        let falls = std::mem::take(&mut self.outputs.falls);
        let scores = self.interpret(outputs, batch);
        self.outputs.falls = falls;
        Ok(scores?.error)
    }

    /// Refuses what is no error, or falls and is not said to.
    fn is_error(&self, all: &[f32], near: &[f32], far: &[f32]) -> Result<(), ScorerError> {
        let Some(name) = self.outputs.error.clone() else {
            // A mean of squares.
            return Ok(());
        };
        let least = |rows: &[f32]| rows.iter().copied().fold(f32::INFINITY, f32::min);
        if self.outputs.falls && least(all).min(least(far)) >= 0.0 {
            return Err(TrialError::NeverStrange { name, role: OutputRole::Normality }.into());
        }
        if self.outputs.said {
            return Ok(());
        }
        // Features are seldom below 0, and a model may rely on it.
        let above = far.iter().zip(FAR).filter(|(_, times)| *times > 0.0).map(|(value, _)| *value);
        let value = above.fold(least(all), f32::min);
        // One minus a cosine may be rounded below 0.
        if value < -NOISE[1] {
            return Err(TrialError::BelowZero { name, value }.into());
        }
        // NaN is neither the least nor the most.
        let near = least(near);
        let far = far.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if far.is_finite() && near.is_finite() && far < FALLEN * near {
            return Err(TrialError::Falls { name, near, far }.into());
        }
        Ok(())
    }
}

fn range(ranges: &[Option<FeatureRange>], feature: usize) -> Option<FeatureRange> {
    ranges.get(feature).copied().flatten()
}
