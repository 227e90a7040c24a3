//! What a graph gave: held against the contract and taken for what it is.
//!
//! In: tensors by name. Out: errors, contributions and reconstructions, row by row.

use ndarray::{Array2, ArrayD, ArrayView3, Axis, Ix2};
use ort::session::SessionOutputs;

use super::reconstruction::from_reconstruction;
use super::{Scorer, ScorerError};
use crate::model::contract::OutputPlan;

/// What a model says about a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The raw error of each row, to be compared with the threshold.
    ///
    /// # NaN
    /// Where the graph gave no finite number, where the row has an infinite value or one that is
    /// missing while the graph has no `mask`, and where nothing of the newest step is there.
    pub error: Vec<f32>,
    /// Each feature's share of the error, `[N, F]`; a row sums to 1, or to 0 where the error is 0.
    pub contribution: Option<Array2<f32>>,
    /// What the model expected in the newest step, `[N, F]`, in the features' own units.
    pub reconstruction: Option<Array2<f32>>,
}

impl Scores {
    /// Makes room for so many rows, so that appending them copies each once.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.error.reserve(rows);
        for all in [&mut self.contribution, &mut self.reconstruction].into_iter().flatten() {
            all.reserve_rows(rows).expect("as many rows as fit into a batch");
        }
    }

    /// Adds the rows of another batch of the same model.
    pub(super) fn append(&mut self, other: Self) {
        self.error.extend(other.error);
        let pairs = [
            (&mut self.contribution, other.contribution),
            (&mut self.reconstruction, other.reconstruction),
        ];
        for (all, more) in pairs {
            if let (Some(all), Some(more)) = (all, more) {
                all.append(Axis(0), more.view()).expect("a model's rows are of one width");
            }
        }
    }
}

/// What the graph gave, by name.
pub(super) type Outputs = Vec<(String, Option<ArrayD<f32>>)>;

impl Scorer {
    pub(super) fn interpret(
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
    pub(super) fn nothing(&self) -> Scores {
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

pub(super) fn copied(outputs: &SessionOutputs<'_>) -> Outputs {
    let values = |value: &ort::value::ValueRef<'_>| {
        let array = value.try_extract_array::<f32>().ok()?;
        Some(array.to_owned())
    };
    outputs.iter().map(|(name, value)| (name.to_owned(), values(&value))).collect()
}

/// The output of this name as one row for each window.
pub(super) fn rows_of(
    outputs: &mut Outputs,
    name: &str,
    rows: usize,
) -> Result<Array2<f32>, ScorerError> {
    let (_, values) = take(outputs, Some(name));
    match *values.shape() {
        [found, width] if found == rows => shaped(name, values, &[rows, width]),
        ref found => Err(unexpected(name, found, &[rows, 0])),
    }
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
