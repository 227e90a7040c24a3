//! What is usual: for each branch its usual residual of every feature, and its usual value. Both are
//! what ONNX Runtime gives for the graph that will serve: nothing here computes a residual.
//!
//! What is usual for a branch is what is usual for the entity in the middle: of several, a restless one
//! must not decide what the others count for.
//!
//! Invariant: every divisor has a floor. What a branch foretells almost exactly is divided by the
//! floor, and the rounding of float32 stays as small as it is.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, s};

use crate::model::{Artifact, Context, Runtime, Scorer, ScorerError};
use crate::statistics;
use crate::train::branches::BranchKind;
use crate::train::branches::level::{self, Levelled};
use crate::train::data::{Dataset, Training, WindowPosition};
use crate::train::error::TrainError;
use crate::train::fit::Fit;
use crate::train::graph::{self, measuring};

/// An entity's usual value is the one that this share of its windows does not exceed.
const USUAL_SHARE: f64 = 0.99;

/// A branch's usual value is at least this. Residuals are in units of their own usual size, so that the
/// largest of a hundred windows is between one and three of those where nothing happens; data that are
/// calmer than half of one are foretold exactly.
const LEAST_USUAL: f32 = 0.5;

/// Finds what is usual for the branches of a fit, in residuals first and then, with these, in values.
///
/// # Errors
/// When ONNX Runtime refuses the graph: a mistake in this program.
pub(super) fn measure(training: &Training<'_>, fit: &mut Fit) -> Result<(), TrainError> {
    let Training { runtime, dataset, split, .. } = *training;
    let places = split.training();
    if fit.branches.iter().any(|branch| branch.model.least_residual().is_some()) {
        let squares = mean_squares(runtime, fit, dataset, &places)?;
        for (branch, squares) in fit.branches.iter_mut().zip(squares) {
            if let Some(least) = branch.model.least_residual() {
                let inverse = |square: f64| (1.0 / square.sqrt().max(least)) as f32;
                branch.inverse = squares.into_iter().map(inverse).collect();
            }
        }
    }
    let mut usual: Vec<Vec<f32>> = vec![Vec::new(); fit.branches.len()];
    let mut meter = Meter::new(runtime, fit, graph::value)?;
    for of_entity in places.chunk_by(|a, b| a.entity == b.entity) {
        let mut values: Vec<Vec<f32>> = vec![Vec::new(); fit.branches.len()];
        meter.walk(dataset, fit, of_entity, &mut |measured, _| {
            for (values, measured) in values.iter_mut().zip(measured) {
                values.extend(measured);
            }
        })?;
        for (usual, values) in usual.iter_mut().zip(values) {
            usual.extend(statistics::by_rank(values, USUAL_SHARE));
        }
    }
    for (branch, usual) in fit.branches.iter_mut().zip(usual) {
        let usual = statistics::median(usual).map(|usual| usual as f32);
        branch.quantile = usual.map_or(LEAST_USUAL, |usual| usual.max(LEAST_USUAL));
    }
    Ok(())
}

/// For each branch the mean square of each feature's residuals that are there.
fn mean_squares(
    runtime: &Runtime,
    fit: &Fit,
    dataset: &Dataset,
    places: &[WindowPosition],
) -> Result<Vec<Vec<f64>>, TrainError> {
    let features = fit.base.scaler.kinds.len();
    let mut squares = vec![vec![0.0; features]; fit.branches.len()];
    let mut counts = vec![0.0_f64; features];
    let mut meter = Meter::new(runtime, fit, graph::residual)?;
    meter.walk(dataset, fit, places, &mut |measured, newest| {
        for (count, column) in counts.iter_mut().zip(newest.axis_iter(Axis(1))) {
            *count += column.iter().filter(|it| it.is_finite()).count() as f64;
        }
        for (squares, measured) in squares.iter_mut().zip(measured) {
            for (square, column) in squares.iter_mut().zip(measured.axis_iter(Axis(1))) {
                *square += column.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>();
            }
        }
    })?;
    for squares in &mut squares {
        squares.iter_mut().zip(&counts).for_each(|(square, count)| *square /= count.max(1.0));
    }
    Ok(squares)
}

/// Is handed what the graph says of some windows, by branches, and the newest step of each window.
type OnMeasured<'a> = dyn FnMut(&[Array2<f32>], ArrayView2<'_, f32>) + 'a;

/// A graph that tells something of each of its branches.
pub(in crate::train) struct Meter {
    scorer: Scorer,
    names: Vec<String>,
}

impl Meter {
    /// Of a fit; `output` names what is asked of each branch.
    pub fn new(
        runtime: &Runtime,
        fit: &Fit,
        output: fn(BranchKind) -> String,
    ) -> Result<Self, TrainError> {
        let artifact = Artifact::read(measuring(fit))?;
        let features = fit.base.scaler.kinds.len();
        let scorer = Scorer::of(runtime, &artifact, features, fit.base.window)?;
        let names = fit.branches.iter().map(|branch| output(branch.model.kind())).collect();
        Ok(Self { scorer, names })
    }

    /// Asks a graph without a level about any windows, `[rows, window, features]`.
    pub fn ask(&mut self, raw: ArrayView3<'_, f32>) -> Result<Vec<Array2<f32>>, ScorerError> {
        self.scorer.measure(raw, &Context::default(), &self.names)
    }

    /// Asks about windows, which are in the order of entity and time.
    fn walk(
        &mut self,
        dataset: &Dataset,
        fit: &Fit,
        places: &[WindowPosition],
        each: &mut OnMeasured<'_>,
    ) -> Result<(), ScorerError> {
        let window = fit.base.window;
        let mut outcome = Ok(());
        level::walk(dataset, &fit.level, places, &mut |batch: &Levelled<'_>| {
            if outcome.is_err() {
                return;
            }
            let raw = dataset.gather(batch.places, window);
            let level = Some((batch.mean.view(), batch.scale.view()));
            let context = Context { level, entity: None };
            match self.scorer.measure(raw.view(), &context, &self.names) {
                Ok(measured) => each(&measured, raw.slice(s![.., window - 1, ..])),
                Err(error) => outcome = Err(error),
            }
        });
        outcome
    }
}
