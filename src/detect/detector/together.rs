//! Together: several steps of a recording scored in one run of the graph.
//!
//! In: one step after the other. Out: the same detections as one by one, in the same order, some steps
//! later: a run costs some 60 µs in addition to what it computes, and a history has thousands of steps.
//! The outputs of a graph for one step do not enter the inputs of the next (see [`super::inputs`]).

use super::inputs::Ready;
use super::{Detection, Detector};
use crate::features::FeatureMatrix;
use crate::model::ScorerError;

/// Rows of a run: so many that its own cost is a few per cent, and so few that they stay in a cache.
const ROWS: usize = 256;

/// A detector that judges several steps at once.
#[derive(Debug)]
pub struct Together<'a> {
    detector: &'a mut Detector,
    waiting: Vec<Waiting>,
}

/// A step that has been taken in.
#[derive(Debug)]
struct Waiting {
    step: usize,
    now_ms: i64,
    ready: Ready,
    matrix: FeatureMatrix,
}

impl<'a> Together<'a> {
    /// None is waiting.
    pub fn new(detector: &'a mut Detector) -> Self {
        Self { detector, waiting: Vec::new() }
    }

    /// Takes in a step, which has a number, and hands over the detections there are.
    ///
    /// # Errors
    /// When the graph cannot be run, with the number of the first step that it was run for, and when
    /// `visit` fails.
    pub fn judge<E>(
        &mut self,
        (step, now_ms): (usize, i64),
        matrix: &FeatureMatrix,
        visit: &mut impl FnMut(usize, Result<Detection, ScorerError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let ready = self.detector.take_in(matrix, now_ms);
        self.waiting.push(Waiting { step, now_ms, ready, matrix: matrix.clone() });
        if self.detector.inputs.rows() < ROWS && self.waiting.len() < ROWS {
            return Ok(());
        }
        self.finish(visit)
    }

    /// Hands over the detections of all steps that are waiting.
    ///
    /// # Errors
    /// As [`Together::judge`].
    pub fn finish<E>(
        &mut self,
        visit: &mut impl FnMut(usize, Result<Detection, ScorerError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let scores = match self.detector.run() {
            Ok(scores) => scores,
            Err(error) => return visit(first.step, Err(error)),
        };
        let mut row = 0;
        for Waiting { step, now_ms, ready, matrix } in self.waiting.drain(..) {
            let rows = row..row + ready.slots.len();
            row = rows.end;
            self.detector.follow(&matrix);
            visit(step, Ok(self.detector.read((&matrix, now_ms), &ready, (&scores, rows))))?;
        }
        Ok(())
    }
}
