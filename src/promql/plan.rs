//! A plan: many expressions bound to one store, with what they have in common there once.
//!
//! The nodes stand in the order of evaluation, each after those it reads. Equal sub-expressions
//! are one node, equal selectors one registration with the longest lookback that is needed.
//! Buffers are kept from one instant to the next.

use std::sync::Arc;

use crate::series::{SelectorId, Store};

use super::annotation::{self, Annotations, Notes};
use super::bind::{Builder, Wanted};
use super::conflict::{Conflicts, OnConflict};
use super::context::{Cell, Context, Inputs, Membership, NodeId, Output};
use super::count_values::CountValues;
use super::error::{EvalError, Interrupted};
use super::expr::{Expr, ValueType};
use super::layout::{Layout, Versions};
use super::narrowed::Narrowed;
use super::range::{AbsentOverTime, Range};
use super::reduce::{Absent, ScalarOf};
use super::relabel::Relabelled;
use super::select::Select;
use super::setop::Set;
use super::subquery::Subquery;
use super::topk::Top;
use super::{aggregate, binary, histogram, map, matching};

/// Expressions bound to a store.
#[derive(Debug)]
pub struct Plan {
    frame: Frame,
    roots: Vec<Root>,
    memberships: Vec<Membership>,
    births: u64,
    versions: Versions,
    on_conflict: OnConflict,
    notes: Option<Notes>,
    /// See [`Context`].
    run_epoch: u64,
}

/// The node of a whole expression.
#[derive(Debug)]
struct Root {
    node: NodeId,
    value_type: ValueType,
    /// The nodes that its value depends on, itself among them, in the order of evaluation.
    below: Vec<NodeId>,
}

/// The value of an expression at an instant.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// One number.
    Scalar(f64),
    /// Some numbers.
    Vector(Vector<'a>),
}

/// An instant vector.
///
/// # Shapes
/// `values` and `present` have one item for each label set of the layout.
///
/// # NaN
/// NaN is a value. What is absent is not present; its value means nothing.
#[derive(Debug, Clone, Copy)]
pub struct Vector<'a> {
    /// The label sets.
    pub layout: &'a Arc<Layout>,
    /// The values.
    pub values: &'a [f64],
    /// Which elements are there.
    pub present: &'a [bool],
}

impl Plan {
    /// Registers the selectors of the expressions and lays out their nodes. The plan belongs to
    /// this store from now on and ends with [`Plan::release`].
    ///
    /// An expression whose label sets do not allow an operation is an error, as in Prometheus.
    #[must_use]
    pub fn bind(exprs: &[Expr], store: &mut Store) -> Self {
        Self::bound(exprs, store, OnConflict::Fail)
    }

    /// As [`Plan::bind`], but where label sets do not allow an operation, the elements concerned
    /// are left out, the others are there, and [`Plan::faults`] names the former.
    #[must_use]
    pub fn bind_lenient(exprs: &[Expr], store: &mut Store) -> Self {
        Self::bound(exprs, store, OnConflict::LeaveOut)
    }

    fn bound(exprs: &[Expr], store: &mut Store, on_conflict: OnConflict) -> Self {
        let wanted = Wanted::new(exprs);
        let memberships = wanted.register(store);
        let mut versions = Versions::default();
        // The annotations of an expression are asked for by itself.
        let (sites, notes) = match exprs {
            [expr] => (expr.sites(), expr.notes()),
            _ => (&[][..], None),
        };
        let trees = exprs.iter().map(Expr::root);
        let mut builder = Builder::new(&wanted, sites, &mut versions, trees);
        let nodes: Vec<NodeId> = exprs.iter().map(|expr| builder.node(expr.root())).collect();
        let frame = builder.finish();
        let root = |(node, expr): (NodeId, &Expr)| Root {
            node,
            value_type: expr.value_type(),
            below: frame.below(node),
        };
        let roots = nodes.into_iter().zip(exprs).map(root).collect();
        Self { frame, roots, memberships, births: 0, versions, on_conflict, notes, run_epoch: 0 }
    }

    /// Gives the registrations back.
    pub fn release(self, store: &mut Store) {
        for membership in self.memberships {
            store.release(membership.id);
        }
    }

    /// Evaluates all expressions at one instant. `store` is the one the plan was bound to.
    pub fn eval(&mut self, store: &Store, time_ms: i64) {
        let done = self.eval_step(store, time_ms, true, &|| true);
        debug_assert_eq!(done, Ok(()));
    }

    /// Evaluates all expressions at one of the instants of a range query, of which `first` is the
    /// first one; the others follow in the order of time. What Prometheus refuses in any of them,
    /// or in two of them together (label sets that become equal), is an error from then on.
    ///
    /// `go_on` is asked between nodes and between the steps of subqueries; once it has said no it
    /// must not say yes again.
    ///
    /// # Errors
    /// When `go_on` says no. There are no outputs then until a run is begun anew.
    pub fn eval_step(
        &mut self,
        store: &Store,
        time_ms: i64,
        first: bool,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), Interrupted> {
        for membership in &mut self.memberships {
            self.births += u64::from(membership.refresh(store, &mut self.versions));
        }
        let step_epoch = self.versions.next();
        if first {
            self.run_epoch = step_epoch;
        }
        self.frame.eval(&mut Context {
            store,
            memberships: &self.memberships,
            births: self.births,
            versions: &mut self.versions,
            go_on,
            notes: self.notes.as_mut(),
            on_conflict: self.on_conflict,
            time_ms,
            step_epoch,
            run_epoch: self.run_epoch,
        })
    }

    /// The value of an expression, by its place in what was bound, at the instant of the last
    /// [`Plan::eval`].
    ///
    /// # Errors
    /// When the label sets that are present do not allow the operation and the plan is not
    /// lenient, or when the `k` of `topk` is not a number of elements.
    ///
    /// # Panics
    /// When there is no such expression.
    pub fn output(&self, i: usize) -> Result<Value<'_>, &EvalError> {
        let root = &self.roots[i];
        let cell = &self.frame.cells[root.node.0];
        if let Some(error) = &cell.error {
            return Err(error);
        }
        Ok(match root.value_type {
            ValueType::Scalar => Value::Scalar(cell.out.scalar),
            ValueType::Vector => Value::Vector(Vector {
                layout: &cell.out.layout,
                values: &cell.out.values,
                present: &cell.out.present,
            }),
        })
    }

    /// What a lenient plan left out at the instant of the last [`Plan::eval`], anywhere in an
    /// expression: an operation that several expressions have in common is in the faults of each.
    ///
    /// An element of these labels may be in the output all the same, made of what was not left out.
    /// Inside a subquery only the steps that were evaluated last are looked at; the ones before
    /// had their turn.
    ///
    /// # Panics
    /// When there is no such expression.
    #[must_use]
    pub fn faults(&self, i: usize) -> Conflicts {
        let mut faults = Conflicts::default();
        for node in &self.roots[i].below {
            faults.merge(self.frame.cells[node.0].conflicts());
        }
        faults
    }

    /// What the evaluations since it was bound have to say, of a plan of one query.
    #[must_use]
    pub fn annotations(&mut self) -> Annotations {
        self.notes.as_mut().map_or_else(Annotations::default, Notes::annotations)
    }

    /// The series that the plan reads, by selector, as of the last [`Plan::eval`]: the selector as
    /// registered, and the labels of its members in the store's order.
    pub fn series(&self) -> impl Iterator<Item = (SelectorId, &Arc<Layout>)> {
        self.memberships.iter().map(|membership| (membership.id, &membership.layout))
    }

    pub(super) fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    /// What the nodes outside of subqueries do.
    #[cfg(test)]
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.frame.cells.iter().map(|cell| &cell.step)
    }

    /// The number of nodes outside of subqueries, for those who want to see what is shared.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.frame.cells.len()
    }
}

/// The nodes that are evaluated at the same instants: the plan's own, or those of a subquery.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) cells: Vec<Cell>,
    /// The run that the latest instant was one of.
    run_epoch: u64,
}

impl Frame {
    pub(super) fn eval(&mut self, cx: &mut Context) -> Result<(), Interrupted> {
        let first = self.run_epoch != cx.run_epoch;
        self.run_epoch = 0;
        for i in 0..self.cells.len() {
            let (before, rest) = self.cells.split_at_mut(i);
            let cell = &mut rest[0];
            if cell.fixed && !first {
                continue;
            }
            if !(cx.go_on)() {
                return Err(Interrupted);
            }
            cell.out.conflicts.clear();
            cell.error = cell.step.eval(cx, Inputs(before), &mut cell.out).err();
            if cell.error == Some(EvalError::Interrupted) {
                return Err(Interrupted);
            }
            if let (Some(watch), None) = (&mut cell.watch, &cell.error) {
                annotation::look(watch, &cell.step, &cell.out, cx, Inputs(before));
            }
        }
        self.run_epoch = cx.run_epoch;
        Ok(())
    }

    /// A node and those it depends on, in the order of evaluation.
    fn below(&self, root: NodeId) -> Vec<NodeId> {
        let mut needed = vec![false; root.0 + 1];
        needed[root.0] = true;
        for i in (0..=root.0).rev() {
            if needed[i] {
                self.cells[i].reads.iter().for_each(|read| needed[read.0] = true);
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

/// What a node does.
#[derive(Debug)]
pub(super) enum Step {
    /// A scalar, or a vector of one element, that never changes: set when bound.
    Constant,
    Time,
    Select(Select),
    Range(Range),
    Narrowed(Narrowed),
    Subquery(Box<Subquery>),
    AbsentOverTime(AbsentOverTime),
    Map(map::Map),
    Relabelled(Relabelled),
    VectorOf(NodeId),
    ScalarOf(ScalarOf),
    Absent(Absent),
    Histogram(histogram::Histogram),
    CountValues(CountValues),
    Aggregate(aggregate::Aggregate),
    Top(Top),
    ScalarBinary(binary::ScalarBinary),
    VectorScalar(binary::VectorScalar),
    VectorBinary(matching::VectorBinary),
    Set(Set),
}

impl Step {
    fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        match self {
            Self::Constant => Ok(()),
            Self::Time => {
                out.scalar = cx.time_ms as f64 / 1000.0;
                Ok(())
            }
            Self::Select(select) => select.eval(cx, out),
            Self::VectorOf(scalar) => {
                out.put(0, Some(inputs.scalar(*scalar)?));
                Ok(())
            }
            Self::Range(node) => node.eval(cx, inputs, out),
            Self::Narrowed(node) => node.eval(cx, inputs, out),
            Self::Subquery(node) => node.eval(cx, out),
            Self::AbsentOverTime(node) => node.eval(cx, inputs, out),
            Self::Map(node) => node.eval(cx, inputs, out),
            Self::Relabelled(node) => node.eval(cx, inputs, out),
            Self::ScalarOf(node) => node.eval(inputs, out),
            Self::Absent(node) => node.eval(inputs, out),
            Self::Histogram(node) => node.eval(cx, inputs, out),
            Self::CountValues(node) => node.eval(cx, inputs, out),
            Self::Aggregate(node) => node.eval(cx, inputs, out),
            Self::Top(node) => node.eval(cx, inputs, out),
            Self::ScalarBinary(node) => node.eval(inputs, out),
            Self::VectorScalar(node) => node.eval(cx, inputs, out),
            Self::VectorBinary(node) => node.eval(cx, inputs, out),
            Self::Set(node) => node.eval(cx, inputs, out),
        }
    }
}
