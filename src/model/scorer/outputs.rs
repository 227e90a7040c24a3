//! What a graph gave: held against the contract and taken for what it is.
//!
//! In: tensors by name. Out: errors, contributions and reconstructions, row by row.

use ndarray::{Array2, Array3, ArrayD, ArrayView3, Axis, Ix2};
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
        let plan = &self.outputs;
        let matrix = [features.dim().0, self.features];
        let mut read = |name: &Option<String>| name.as_ref().map(|it| take(&mut outputs, it));
        let reconstruction = read(&plan.reconstruction);
        let Some(error) = read(&plan.error) else {
            let (name, values) = reconstruction.expect("a plan has one of both");
            return Ok(from_reconstruction(&self.cube(&name, values, matrix[0])?, features));
        };
        let contribution = read(&plan.contribution);
        let contribution =
            contribution.map(|(name, values)| shaped::<Ix2>(&name, values, &matrix)).transpose()?;
        let reconstruction = reconstruction.map(|(name, values)| match values.ndim() {
            3 => {
                let newest = self.window - 1;
                Ok(self.cube(&name, values, matrix[0])?.index_axis_move(Axis(1), newest))
            }
            _ => shaped::<Ix2>(&name, values, &matrix),
        });
        let mut error = column(error, matrix[0])?;
        if plan.falls {
            // What is not a number stays none.
            error.iter_mut().for_each(|it| *it = if *it > 0.0 { 0.0 } else { -*it });
        }
        Ok(Scores { error, contribution, reconstruction: reconstruction.transpose()? })
    }

    /// An output shaped like the input as `[N, W, F]`.
    fn cube(
        &self,
        name: &str,
        values: ArrayD<f32>,
        rows: usize,
    ) -> Result<Array3<f32>, ScorerError> {
        let expected = self.input_shape(rows);
        if values.shape() != expected {
            return Err(unexpected(name, values.shape(), &expected));
        }
        let cube = [rows, self.window, self.features];
        Ok(values.into_shape_with_order(cube).expect("as many values as features"))
    }

    /// The scores of no rows.
    pub(super) fn nothing(&self) -> Scores {
        let OutputPlan { error, contribution, reconstruction, .. } = &self.outputs;
        let empty = || Array2::zeros((0, self.features));
        Scores {
            error: Vec::new(),
            contribution: (error.is_none() || contribution.is_some()).then(empty),
            reconstruction: reconstruction.is_some().then(empty),
        }
    }

    /// What an output of this name is taken for, in words; `None` for one that is not read.
    #[must_use]
    pub fn taken_for(&self, name: &str) -> Option<&'static str> {
        let OutputPlan { error, falls, contribution, reconstruction, .. } = &self.outputs;
        let is = |it: &Option<String>| it.as_deref() == Some(name);
        if is(error) {
            let words = ["the error", "normality: the error is how far it is below 0"];
            Some(words[usize::from(*falls)])
        } else if is(contribution) {
            Some("each feature's share of the error")
        } else if is(reconstruction) && error.is_some() {
            Some("the reconstruction")
        } else if is(reconstruction) {
            Some("the reconstruction: the error is the mean squared difference")
        } else {
            None
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
    let (_, values) = take(outputs, name);
    match *values.shape() {
        [found, width] if found == rows => shaped(name, values, &[rows, width]),
        ref found => Err(unexpected(name, found, &[rows, 0])),
    }
}

/// The output of this name; an empty array where the graph no longer gives it.
fn take(outputs: &mut Outputs, name: &str) -> (String, ArrayD<f32>) {
    let position = outputs.iter().position(|(it, _)| it == name);
    let found = position.and_then(|at| outputs.swap_remove(at).1);
    (name.to_owned(), found.unwrap_or_else(|| ArrayD::zeros(vec![0])))
}

fn column((name, values): (String, ArrayD<f32>), rows: usize) -> Result<Vec<f32>, ScorerError> {
    match values.shape() {
        [n] | [n, 1] if *n == rows => Ok(values.into_iter().collect()),
        // Some graphs drop every dimension of length one.
        [] if rows == 1 => Ok(values.into_iter().collect()),
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
