//! A scorer: a loaded graph that turns a batch of feature vectors into errors.
//!
//! In: feature vectors of all entities of a model, in one batch. Out: for each its error, and where
//! the graph or the contract gives them, every feature's share of it and the expected values. This
//! is the only place that knows ONNX Runtime.
//!
//! Invariants: what does not fit the contract (see [`super::contract`]) is refused here, by two
//! trial runs, with two rows and with one; the graph runs on the calling thread only, since all
//! entities go in one batch and a batch of thousands takes about a millisecond.

mod environment;

use std::borrow::Cow;

use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView3, Axis, Ix2};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::TensorRef;

use super::artifact::{Artifact, Element};
use super::contract::{self, ContractError, InputPlan, OutputPlan};
use super::metadata::Metadata;

pub use environment::Runtime;

/// Why a batch has no scores, or a model no scorer.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The graph does not keep the contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// ONNX Runtime does not accept the file.
    #[error("ONNX Runtime refuses the model: {0}")]
    Load(String),
    /// The graph failed on a batch.
    #[error("the model fails on an input of shape {shape:?}: {reason}")]
    Run {
        /// The shape of the batch.
        shape: Vec<usize>,
        /// ONNX Runtime's own words.
        reason: String,
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

/// What a model says about a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The raw error of each row, to be compared with the threshold.
    ///
    /// # NaN
    /// Where the row has a value that is not finite, and where the graph gave no finite number.
    pub error: Vec<f32>,
    /// Each feature's share of the error, `[N, F]`; a row sums to 1, or to 0 where the error is 0.
    pub contribution: Option<Array2<f32>>,
    /// What the model expected in the newest step, `[N, F]`, in the features' own units.
    pub reconstruction: Option<Array2<f32>>,
}

/// A loaded graph.
#[derive(Debug)]
pub struct Scorer {
    session: Session,
    inputs: InputPlan,
    outputs: OutputPlan,
    features: usize,
    window: usize,
}

/// What the graph gave, by name.
type Outputs = Vec<(String, Option<ArrayD<f32>>)>;

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
        let (features, window) = (metadata.features.len(), metadata.window);
        let inputs = contract::judge_inputs(artifact.inputs(), features, window)?;
        let session = builder(runtime)
            .and_then(|mut builder| builder.commit_from_memory(artifact.bytes()))
            .map_err(|error| ScorerError::Load(error.to_string()))?;
        let mut scorer = Self { session, inputs, outputs: OutputPlan::Score, features, window };
        let rows = contract::trial_rows(features, window);
        scorer.outputs = scorer.trial(rows, artifact)?;
        // Some graphs drop a dimension of length one.
        if scorer.trial(1, artifact)? == scorer.outputs {
            Ok(scorer)
        } else {
            let shape = scorer.input_shape(1);
            let reason = "its outputs mean something else for one row".to_owned();
            Err(ScorerError::Run { shape, reason })
        }
    }

    /// Runs the graph on zeros to see what it gives.
    fn trial(&mut self, rows: usize, artifact: &Artifact) -> Result<OutputPlan, ScorerError> {
        let zeros = Array3::zeros((rows, self.window, self.features));
        let shape = self.input_shape(rows);
        let outputs = self.run(zeros.view())?;
        // In the order of the file, for the sake of messages.
        let shapes: Vec<_> = (artifact.outputs().iter())
            .map(|port| {
                let found = outputs.iter().find(|(name, _)| *name == port.name);
                let values = found.and_then(|(_, values)| values.as_ref());
                let values = values.filter(|_| port.element == Element::Float32);
                (port.name.as_str(), values.map(|it| it.shape().to_vec()))
            })
            .collect();
        Ok(contract::judge_outputs(&shapes, &shape)?)
    }

    /// Scores a batch.
    ///
    /// # Shapes
    /// `[N, W, F]`, oldest step first; W is 1 for a model without a window.
    ///
    /// # Errors
    /// For a batch of other dimensions than the model's, and when the graph fails.
    pub fn score(&mut self, features: ArrayView3<'_, f32>) -> Result<Scores, ScorerError> {
        let (rows, window, columns) = features.dim();
        if (window, columns) != (self.window, self.features) {
            return Err(ScorerError::Batch {
                window,
                features: columns,
                model_window: self.window,
                model_features: self.features,
            });
        }
        let mut scores = if rows == 0 {
            self.nothing()
        } else {
            let outputs = self.run(features)?;
            self.interpret(outputs, features)?
        };
        // A graph may hide such a value, as Clip does: the row would look normal.
        for (row, error) in features.outer_iter().zip(&mut scores.error) {
            if !error.is_finite() || row.iter().any(|value| !value.is_finite()) {
                *error = f32::NAN;
            }
        }
        Ok(scores)
    }

    fn input_shape(&self, rows: usize) -> Vec<usize> {
        if self.inputs.windowed {
            vec![rows, self.window, self.features]
        } else {
            vec![rows, self.features]
        }
    }

    fn run(&mut self, features: ArrayView3<'_, f32>) -> Result<Outputs, ScorerError> {
        let shape = self.input_shape(features.dim().0);
        let failed = |error: ort::Error| ScorerError::Run {
            shape: shape.clone(),
            reason: error.to_string(),
        };
        let features = features.as_standard_layout();
        let mask: Vec<f32>;
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(2);
        let values = features.as_slice().expect("the standard layout is a slice");
        let tensor = TensorRef::from_array_view((shape.clone(), values)).map_err(failed)?;
        inputs.push((self.inputs.features.as_str().into(), tensor.into()));
        if self.inputs.mask {
            // Entities with missing features are not scored: everything that comes here is there.
            mask = vec![1.0; values.len()];
            let tensor =
                TensorRef::from_array_view((shape.clone(), mask.as_slice())).map_err(failed)?;
            inputs.push((contract::MASK.into(), tensor.into()));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        Ok(copied(&outputs))
    }

    fn interpret(
        &self,
        mut outputs: Outputs,
        features: ArrayView3<'_, f32>,
    ) -> Result<Scores, ScorerError> {
        let matrix = [features.dim().0, self.features];
        match self.outputs {
            OutputPlan::Named { contribution, reconstruction } => {
                let mut optional = |present: bool, name| {
                    let it = present.then(|| take(&mut outputs, Some(name)));
                    it.map(|(_, values)| shaped::<Ix2>(name, values, &matrix)).transpose()
                };
                Ok(Scores {
                    contribution: optional(contribution, "contribution")?,
                    reconstruction: optional(reconstruction, "reconstruction")?,
                    error: column(take(&mut outputs, Some("score")), matrix[0])?,
                })
            }
            OutputPlan::Score => Ok(Scores {
                error: column(take(&mut outputs, None), matrix[0])?,
                contribution: None,
                reconstruction: None,
            }),
            OutputPlan::Reconstruction => {
                let (name, values) = take(&mut outputs, None);
                let expected = self.input_shape(matrix[0]);
                if values.shape() != expected {
                    return Err(unexpected(&name, values.shape(), &expected));
                }
                let cube = [matrix[0], self.window, self.features];
                let values =
                    values.into_shape_with_order(cube).expect("as many values as features");
                Ok(from_reconstruction(&values, features))
            }
        }
    }

    /// The scores of no rows.
    fn nothing(&self) -> Scores {
        let empty = || Array2::zeros((0, self.features));
        let (contribution, reconstruction) = match self.outputs {
            OutputPlan::Score => (false, false),
            OutputPlan::Reconstruction => (true, true),
            OutputPlan::Named { contribution, reconstruction } => (contribution, reconstruction),
        };
        Scores {
            error: Vec::new(),
            contribution: contribution.then(empty),
            reconstruction: reconstruction.then(empty),
        }
    }
}

fn builder(runtime: &Runtime) -> Result<SessionBuilder, ort::Error> {
    Ok(Session::builder(&runtime.environment)?
        // `All` and not a number: the numbers' meaning has changed between versions.
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?)
}

fn copied(outputs: &SessionOutputs<'_>) -> Outputs {
    let values = |value: &ort::value::ValueRef<'_>| {
        let array = value.try_extract_array::<f32>().ok()?;
        Some(array.to_owned())
    };
    outputs.iter().map(|(name, value)| (name.to_owned(), values(&value))).collect()
}

/// The output of this name, or the only one; an empty array where the graph no longer gives it.
fn take(outputs: &mut Outputs, name: Option<&str>) -> (String, ArrayD<f32>) {
    let position = outputs.iter().position(|(it, _)| name.is_none_or(|name| it == name));
    let found = position.map(|at| outputs.swap_remove(at));
    let (found, values) = found.unwrap_or_else(|| (name.unwrap_or_default().to_owned(), None));
    (found, values.unwrap_or_else(|| ArrayD::zeros(vec![0])))
}

fn column((name, values): (String, ArrayD<f32>), rows: usize) -> Result<Vec<f32>, ScorerError> {
    match values.shape() {
        [n] | [n, 1] if *n == rows => Ok(values.into_iter().collect()),
        found => Err(unexpected(&name, found, &[rows])),
    }
}

fn shaped<D: ndarray::Dimension>(
    name: &str,
    values: ArrayD<f32>,
    expected: &[usize],
) -> Result<ndarray::Array<f32, D>, ScorerError> {
    if values.shape() != expected {
        return Err(unexpected(name, values.shape(), expected));
    }
    let error = |_| unexpected(name, expected, expected);
    values.into_dimensionality().map_err(error)
}

fn unexpected(name: &str, found: &[usize], expected: &[usize]) -> ScorerError {
    ScorerError::Output {
        name: name.to_owned(),
        found: found.to_vec(),
        expected: expected.to_vec(),
    }
}

/// The error of a graph that only reconstructs: the mean squared difference over all steps and
/// features of the window; a feature's contribution is its part of the sum.
fn from_reconstruction(reconstruction: &Array3<f32>, features: ArrayView3<'_, f32>) -> Scores {
    let squared = (&features - reconstruction).mapv(|residual| f64::from(residual).powi(2));
    let by_feature: Array2<f64> = squared.sum_axis(Axis(1));
    let total: Array1<f64> = by_feature.sum_axis(Axis(1));
    let cells = (features.dim().1 * features.dim().2) as f64;
    let share = |row: usize, value: f64| match total[row] {
        0.0 => 0.0,
        total => (value / total) as f32,
    };
    Scores {
        error: total.iter().map(|total| (total / cells) as f32).collect(),
        contribution: Some(Array2::from_shape_fn(by_feature.dim(), |(row, feature)| {
            share(row, by_feature[[row, feature]])
        })),
        reconstruction: Some(reconstruction.index_axis(Axis(1), features.dim().1 - 1).to_owned()),
    }
}

#[cfg(test)]
mod tests;
