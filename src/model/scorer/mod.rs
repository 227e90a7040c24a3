//! A scorer: a loaded graph that turns a batch of feature vectors into errors.
//!
//! In: feature vectors of all entities of a model, in one batch, and what else the graph asks for.
//! Out: for each its error, and where the graph or the contract gives them, every feature's share of
//! it and the expected values. This is the only place that knows ONNX Runtime.
//!
//! A value that is missing is NaN. A graph with an input `mask` is told so and gets 0 in its place;
//! any other graph gives such a row no error.
//!
//! Invariants: what does not fit the contract (see [`super::contract`]) is refused here, by trial runs
//! (see [`trial`]); the graph runs on the calling thread only, since a thousand entities take
//! milliseconds.

mod environment;
mod outputs;
mod reconstruction;
mod refusal;
mod trial;
mod watch;

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView3, Axis, s};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::artifact::Artifact;
use super::contract::{self, ContractError, InputPlan, OutputPlan};
use super::metadata::Metadata;

pub use environment::Runtime;
use outputs::Outputs;
pub use outputs::Scores;
pub use trial::TrialError;
use trial::Usual;
pub use watch::{Run, Watch};

/// Why a batch has no scores, or a model no scorer.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The graph does not keep the contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The graph gives numbers that cannot be errors of rows.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// ONNX Runtime does not accept the file.
    #[error("ONNX Runtime refuses the model: {0}")]
    Load(String),
    /// The file is newer than ONNX Runtime.
    #[error(
        "the model has IR version {ir_version} and opset {opset}, and this ONNX Runtime reads {what} \
         {newest} at most: export it with {key} {newest}, or install a newer ONNX Runtime"
    )]
    TooNew {
        /// The file's layout.
        ir_version: i64,
        /// The file's operators.
        opset: i64,
        /// Which of both is too new.
        what: &'static str,
        /// The newest that is read.
        newest: i64,
        /// What exporters call it.
        key: &'static str,
    },
    /// The graph failed on a batch.
    #[error("the model fails on an input of shape {shape:?}: {reason}")]
    Run {
        /// The shape of the batch.
        shape: Vec<usize>,
        /// ONNX Runtime's own words.
        reason: String,
    },
    /// The graph asks for the entities' levels and got none: a mistake of the caller.
    #[error(
        "the model needs the level of {rows} entities, [{rows}, {features}], and was given none"
    )]
    NoLevel {
        /// Rows of the batch.
        rows: usize,
        /// The model's features.
        features: usize,
    },
    /// A batch of other dimensions than the model's: a mistake of the caller.
    #[error(
        "a batch of windows [{window}, {features}] for a model of [{model_window}, {model_features}]"
    )]
    Batch {
        /// The batch's steps.
        window: usize,
        /// The batch's features.
        features: usize,
        /// The model's steps.
        model_window: usize,
        /// The model's features.
        model_features: usize,
    },
    /// An output changed its shape between batches.
    #[error("output {name} has the shape {found:?}, expected {expected:?}")]
    Output {
        /// The output.
        name: String,
        /// Its shape now.
        found: Vec<usize>,
        /// Its shape as of the trial.
        expected: Vec<usize>,
    },
}

/// What a graph may ask for besides the features.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Mean and scale of each entity's own long-running level, both `[N, F]`, in the features' own
    /// units.
    pub level: Option<(ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
    /// Each entity's place among those that the model knows, from 1 on, `[N]`; 0 for the others.
    /// Without it, all are others.
    pub entity: Option<ArrayView1<'a, f32>>,
}

impl<'a> Context<'a> {
    /// The context of some rows.
    fn part(&self, rows: Range<usize>) -> Self {
        let of = |it: ArrayView2<'a, f32>| it.slice_move(s![rows.clone(), ..]);
        Self {
            level: self.level.map(|(mean, scale)| (of(mean), of(scale))),
            entity: self.entity.map(|entity| entity.slice_move(s![rows.clone()])),
        }
    }
}

/// Rows that the graph is run on at once: what it computes for them stays in a core's cache.
const BATCH_ROWS: usize = 1_024;

/// Is handed what the graph gave for some rows, the rows, and which of them are sound.
type OnPart<'a> =
    dyn FnMut(&Scorer, Outputs, ArrayView3<'_, f32>, &[bool]) -> Result<(), ScorerError> + 'a;

/// A loaded graph.
#[derive(Debug)]
pub struct Scorer {
    session: Session,
    watch: Option<Box<dyn Watch>>,
    inputs: InputPlan,
    outputs: OutputPlan,
    features: usize,
    window: usize,
    /// The batch that the graph reads, kept so that no call asks for the memory again.
    values: Vec<f32>,
    /// Which of them were there.
    mask: Vec<f32>,
}

impl Scorer {
    /// Loads the graph and holds it against the contract.
    ///
    /// # Errors
    /// When ONNX Runtime refuses the file, and when the graph does not keep the contract.
    pub fn new(
        runtime: &Runtime,
        artifact: &Artifact,
        metadata: &Metadata,
    ) -> Result<Self, ScorerError> {
        let usual = Usual { said: &metadata.outputs, ranges: &metadata.ranges };
        Self::tried(runtime, artifact, metadata.features.len(), metadata.window, usual)
    }

    /// Loads a graph of which no more is known than what it is fed with: so many features, in windows
    /// of so many steps.
    ///
    /// # Errors
    /// As [`Scorer::new`].
    pub fn of(
        runtime: &Runtime,
        artifact: &Artifact,
        features: usize,
        window: usize,
    ) -> Result<Self, ScorerError> {
        let usual = Usual { said: &BTreeMap::new(), ranges: &[] };
        Self::tried(runtime, artifact, features, window, usual)
    }

    fn tried(
        runtime: &Runtime,
        artifact: &Artifact,
        features: usize,
        window: usize,
        usual: Usual<'_>,
    ) -> Result<Self, ScorerError> {
        let inputs = contract::judge_inputs(artifact.inputs(), features, window)?;
        let session = builder(runtime)
            .and_then(|mut builder| builder.commit_from_memory(artifact.bytes()))
            .map_err(|error| refusal::refusal(artifact, error.to_string()))?;
        let (outputs, values, mask) = (OutputPlan::default(), Vec::new(), Vec::new());
        let mut scorer =
            Self { session, watch: None, inputs, outputs, features, window, values, mask };
        scorer.trial(artifact, usual)?;
        Ok(scorer)
    }

    /// Whether missing values may be part of a batch.
    #[must_use]
    pub fn takes_mask(&self) -> bool {
        self.inputs.mask
    }

    /// Whether the graph asks for the entities' own level.
    #[must_use]
    pub fn takes_level(&self) -> bool {
        self.inputs.level
    }

    /// Whether the graph asks who the entities are.
    #[must_use]
    pub fn takes_entity(&self) -> bool {
        self.inputs.entity
    }

    /// Scores a batch for a graph that asks for nothing but features.
    ///
    /// # Errors
    /// As [`Scorer::score_in`].
    pub fn score(&mut self, features: ArrayView3<'_, f32>) -> Result<Scores, ScorerError> {
        self.score_in(features, &Context::default())
    }

    /// Scores a batch.
    ///
    /// # Shapes
    /// `[N, W, F]`, oldest step first; W is 1 for a model without a window.
    ///
    /// # NaN
    /// A missing value.
    ///
    /// # Errors
    /// For a batch of other dimensions than the model's, without the level that the graph asks for,
    /// and when the graph fails.
    pub fn score_in(
        &mut self,
        features: ArrayView3<'_, f32>,
        context: &Context<'_>,
    ) -> Result<Scores, ScorerError> {
        let mut scores = self.nothing();
        scores.reserve(features.dim().0);
        self.in_parts(features, context, &mut |scorer, outputs, batch, sound| {
            let mut found = scorer.interpret(outputs, batch)?;
            // A graph may hide such a value, as Clip does: the row would look normal.
            for (error, sound) in found.error.iter_mut().zip(sound) {
                if !(*sound && error.is_finite()) {
                    *error = f32::NAN;
                }
            }
            scores.append(found);
            Ok(())
        })?;
        Ok(scores)
    }

    /// What the graph gives for a batch under names that the contract does not know: rows of any width,
    /// one for each window, in the order of `names`. See [`Scorer::score_in`] for the batch.
    ///
    /// # Errors
    /// As [`Scorer::score_in`], and when there is no such output or its rows are not the batch's.
    pub fn measure(
        &mut self,
        features: ArrayView3<'_, f32>,
        context: &Context<'_>,
        names: &[String],
    ) -> Result<Vec<Array2<f32>>, ScorerError> {
        let mut all: Vec<Option<Array2<f32>>> = vec![None; names.len()];
        self.in_parts(features, context, &mut |_, mut outputs, batch, _| {
            for (all, name) in all.iter_mut().zip(names) {
                let more = outputs::rows_of(&mut outputs, name, batch.dim().0)?;
                match all {
                    None => *all = Some(more),
                    Some(all) => {
                        let width = all.ncols();
                        let shape = || vec![more.nrows(), more.ncols()];
                        all.append(Axis(0), more.view()).map_err(|_| ScorerError::Output {
                            name: name.clone(),
                            found: shape(),
                            expected: vec![more.nrows(), width],
                        })?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(all.into_iter().map(|it| it.unwrap_or_else(|| Array2::zeros((0, 0)))).collect())
    }

    /// Runs the graph on some rows after the others, and hands over what it gave for each part: the
    /// outputs, the part, and which of its windows are sound (see [`Scorer::fill`]).
    fn in_parts(
        &mut self,
        features: ArrayView3<'_, f32>,
        context: &Context<'_>,
        each: &mut OnPart<'_>,
    ) -> Result<(), ScorerError> {
        let (rows, window, columns) = features.dim();
        if (window, columns) != (self.window, self.features) {
            return Err(ScorerError::Batch {
                window,
                features: columns,
                model_window: self.window,
                model_features: self.features,
            });
        }
        for from in (0..rows).step_by(BATCH_ROWS) {
            let part = from..rows.min(from + BATCH_ROWS);
            let batch = features.slice(s![part.clone(), .., ..]);
            let sound = self.fill(batch);
            let outputs = self.run(part.len(), &context.part(part))?;
            each(self, outputs, batch, &sound)?;
        }
        Ok(())
    }

    /// Puts a batch where the graph reads it; tells of each window whether it has nothing that would
    /// make its error mean something else.
    fn fill(&mut self, batch: ArrayView3<'_, f32>) -> Vec<bool> {
        let batch = batch.as_standard_layout();
        let values = batch.as_slice().expect("the standard layout is a slice");
        let takes_mask = self.inputs.mask;
        self.values.clear();
        self.values.extend_from_slice(values);
        self.mask.resize(if takes_mask { values.len() } else { 0 }, 0.0);
        if takes_mask {
            for (value, there) in self.values.iter_mut().zip(&mut self.mask) {
                let missing = value.is_nan();
                *there = if missing { 0.0 } else { 1.0 };
                *value = if missing { 0.0 } else { *value };
            }
        }
        let newest = (self.window - 1) * self.features;
        let is_sound = |window: &[f32]| {
            if !takes_mask {
                return window.iter().all(|value| value.is_finite());
            }
            let infinite = window.iter().fold(false, |any, value| any | value.is_infinite());
            !infinite && window[newest..].iter().any(|value| value.is_finite())
        };
        values.chunks_exact(self.window * self.features).map(is_sound).collect()
    }

    fn input_shape(&self, rows: usize) -> Vec<usize> {
        if self.inputs.windowed {
            vec![rows, self.window, self.features]
        } else {
            vec![rows, self.features]
        }
    }

    /// Runs the graph on what was filled in.
    fn run(&mut self, rows: usize, context: &Context<'_>) -> Result<Outputs, ScorerError> {
        let shape = self.input_shape(rows);
        let failed = |error: ort::Error| ScorerError::Run {
            shape: shape.clone(),
            reason: error.to_string(),
        };
        let mut others: Vec<(&str, Vec<usize>, Vec<f32>)> = Vec::with_capacity(3);
        if self.inputs.level {
            let no_level = ScorerError::NoLevel { rows, features: self.features };
            let (mean, scale) = context.level.ok_or(no_level)?;
            for (name, part) in contract::LEVEL.into_iter().zip([mean, scale]) {
                others.push((name, vec![rows, self.features], part.iter().copied().collect()));
            }
        }
        if self.inputs.entity {
            let nobody = || vec![0.0; rows];
            let entity = context.entity.map_or_else(nobody, |it| it.to_vec());
            others.push((contract::ENTITY, vec![rows], entity));
        }
        let mut inputs: Vec<(&str, &[usize], &[f32])> =
            vec![(&self.inputs.features, &shape, &self.values)];
        if self.inputs.mask {
            inputs.push((contract::MASK, &shape, &self.mask));
        }
        inputs.extend(others.iter().map(|(name, shape, values)| (*name, &shape[..], &values[..])));
        let mut tensors: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for (name, shape, values) in inputs {
            let tensor = TensorRef::from_array_view((shape.to_vec(), values));
            tensors.push((name, tensor.map_err(failed)?.into()));
        }
        watch::run(&mut self.session, &mut self.watch, tensors, failed)
    }
}

fn builder(runtime: &Runtime) -> Result<SessionBuilder, ort::Error> {
    Ok(Session::builder(&runtime.environment)?
        // `All` and not a number: the numbers' meaning has changed between versions.
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?)
}

#[cfg(test)]
mod tests;
