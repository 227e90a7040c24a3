//! A frame: nodes in the order of evaluation, each after those it reads, with their latest values.

use super::conflict::Conflicts;
use super::context::{Cell, Context, Inputs, NodeId, Output};
use super::error::{EvalError, Interrupted};
use super::step::Step;
use super::watch::{self, Watch};

/// The nodes that are evaluated at the same instants: the plan's own, or those of a subquery.
#[derive(Debug, Default)]
pub(super) struct Frame {
    jobs: Vec<Job>,
    /// The value of each job.
    cells: Vec<Cell>,
    /// The run that the latest instant was one of.
    run_epoch: u64,
}

/// What is done for a node.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) step: Step,
    /// Evaluated once in a run, at its first instant (see [`Node::is_fixed`]).
    ///
    /// [`Node::is_fixed`]: crate::promql::syntax::tree::Node::is_fixed
    pub(super) fixed: bool,
    /// The nodes that it reads itself.
    pub(super) reads: Vec<NodeId>,
    /// It may have annotations; never in a feature.
    pub(super) watch: Option<Box<Watch>>,
}

impl Frame {
    /// Adds a node, which reads only those that are there.
    pub(super) fn push(&mut self, job: Job, out: Output) -> NodeId {
        self.jobs.push(job);
        self.cells.push(Cell { out, error: None });
        NodeId(self.cells.len() - 1)
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    #[cfg(test)]
    pub(super) fn narrowed(&self) -> usize {
        self.jobs.iter().filter(|job| matches!(job.step, Step::Narrowed(_))).count()
    }

    /// The latest value of a node.
    pub(super) fn cell(&self, node: NodeId) -> &Cell {
        &self.cells[node.0]
    }

    /// What was left out at each of these nodes, not below.
    pub(super) fn conflicts(
        &self,
        nodes: impl IntoIterator<Item = NodeId>,
    ) -> impl Iterator<Item = &Conflicts> {
        nodes.into_iter().map(|NodeId(i)| match &self.jobs[i].step {
            Step::Subquery(subquery) => subquery.conflicts(),
            _ => &self.cells[i].out.conflicts,
        })
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.cells.len()).map(NodeId)
    }

    pub(super) fn eval(&mut self, cx: &mut Context) -> Result<(), Interrupted> {
        let first = self.run_epoch != cx.run_epoch;
        self.run_epoch = 0;
        for i in 0..self.cells.len() {
            let (before, rest) = self.cells.split_at_mut(i);
            let (job, cell) = (&mut self.jobs[i], &mut rest[0]);
            if job.fixed && !first {
                continue;
            }
            if !(cx.go_on)() {
                return Err(Interrupted);
            }
            cell.out.clear();
            cell.error = job.step.eval(cx, Inputs(before), &mut cell.out).err();
            if cell.error == Some(EvalError::Interrupted) {
                return Err(Interrupted);
            }
            if let (Some(watch), None) = (&mut job.watch, &cell.error) {
                watch::look(watch, &job.step, &cell.out, cx, Inputs(before));
            }
        }
        self.run_epoch = cx.run_epoch;
        Ok(())
    }

    /// A node and those it depends on, in the order of evaluation.
    pub(super) fn below(&self, root: NodeId) -> Vec<NodeId> {
        let mut needed = vec![false; root.0 + 1];
        needed[root.0] = true;
        for i in (0..=root.0).rev() {
            if needed[i] {
                self.jobs[i].reads.iter().for_each(|read| needed[read.0] = true);
            }
        }
        (0..=root.0).filter(|i| needed[*i]).map(NodeId).collect()
    }

    pub(super) fn has_repeated_labels(&self) -> bool {
        self.cells.iter().any(|cell| cell.out.layout.has_repeats())
    }

    pub(super) fn inputs(&self) -> Inputs<'_> {
        Inputs(&self.cells)
    }
}
