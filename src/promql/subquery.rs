//! A subquery: a vector evaluated at many instants, its values kept as the samples of rows.
//!
//! The instants are the multiples of the step in `(end - range, end]`, whatever the instant of
//! evaluation, so that two evaluations look at the same ones. Rows are label sets: elements that
//! have the same labels at different steps are one row.
//! Source: Prometheus `promql/engine.go`, evaluation of `SubqueryExpr`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;
use crate::sample::Sample;

use super::context::{Context, NodeId, Output};
use super::error::EvalError;
use super::layout::Layout;
use super::plan::Frame;
use super::range::Window;

/// The node of a subquery: a frame of its own, and what it gave.
#[derive(Debug)]
pub(super) struct Subquery {
    frame: Frame,
    root: NodeId,
    range_ms: i64,
    step_ms: i64,
    offset_ms: i64,
    rows: Vec<Vec<Sample>>,
    row_of: HashMap<Labels, u32>,
    /// The row of each element of the layout with this version.
    row_of_element: Vec<u32>,
    mapped: u64,
    /// Rows were added since the layout was made.
    grown: bool,
}

impl Subquery {
    pub(super) fn new(
        frame: Frame,
        root: NodeId,
        range_ms: i64,
        step_ms: i64,
        offset_ms: i64,
    ) -> Self {
        Self {
            frame,
            root,
            range_ms,
            step_ms,
            offset_ms,
            rows: Vec::new(),
            row_of: HashMap::new(),
            row_of_element: Vec::new(),
            mapped: 0,
            grown: false,
        }
    }

    /// The samples of each row, in the order of the node's layout.
    pub(super) fn rows(&self) -> &[Vec<Sample>] {
        &self.rows
    }

    pub(super) fn eval(&mut self, cx: &mut Context, out: &mut Output) -> Result<(), EvalError> {
        self.forget_dead_rows();
        self.rows.iter_mut().for_each(Vec::clear);
        let window = Window::new(cx.time_ms, self.range_ms, self.offset_ms);
        let run_epoch = cx.versions.next();
        let mut time_ms = first_step(window.start_ms, self.step_ms);
        while time_ms <= window.end_ms {
            let step_epoch = cx.versions.next();
            self.frame.eval(&mut Context {
                store: cx.store,
                memberships: cx.memberships,
                versions: cx.versions,
                time_ms,
                step_epoch,
                run_epoch,
            });
            self.take(time_ms)?;
            let Some(next) = time_ms.checked_add(self.step_ms) else {
                break;
            };
            time_ms = next;
        }
        if self.grown {
            self.grown = false;
            let mut labels = vec![Labels::empty(); self.rows.len()];
            for (set, row) in &self.row_of {
                labels[*row as usize] = set.clone();
            }
            out.follow(&Arc::new(Layout::distinct(cx.versions.next(), labels)));
        }
        Ok(())
    }

    /// Appends the values of the frame's root to the rows.
    fn take(&mut self, time_ms: i64) -> Result<(), EvalError> {
        let vector = self.frame.inputs().vector(self.root)?;
        if self.mapped != vector.layout.version {
            self.mapped = vector.layout.version;
            self.row_of_element.clear();
            for labels in &vector.layout.labels {
                let next = self.rows.len() as u32;
                let row = *self.row_of.entry(labels.clone()).or_insert(next);
                if row == next {
                    self.rows.push(Vec::new());
                    self.grown = true;
                }
                self.row_of_element.push(row);
            }
        }
        for (i, value) in vector.elements() {
            self.rows[self.row_of_element[i] as usize].push(Sample::new(time_ms, value));
        }
        Ok(())
    }

    /// Starts over when most rows are of label sets that no longer exist.
    fn forget_dead_rows(&mut self) {
        if self.rows.len() > 2 * self.row_of_element.len() {
            self.rows.clear();
            self.row_of.clear();
            self.mapped = 0;
            self.grown = true;
        }
    }
}

/// The first multiple of the step after a time.
pub(super) fn first_step(start_ms: i64, step_ms: i64) -> i64 {
    let below = start_ms / step_ms * step_ms;
    if below <= start_ms { below.saturating_add(step_ms) } else { below }
}

#[cfg(test)]
mod tests {
    use super::first_step;

    #[test]
    fn steps_are_multiples_after_the_start() {
        assert_eq!(first_step(0, 10), 10);
        assert_eq!(first_step(9, 10), 10);
        assert_eq!(first_step(10, 10), 20);
        assert_eq!(first_step(-10, 10), 0);
        assert_eq!(first_step(-15, 10), -10);
        assert_eq!(first_step(-5, 10), 0);
    }
}
