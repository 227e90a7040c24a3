//! A plan: many expressions bound to one store, with what they have in common there once.
//!
//! The nodes stand in the order of evaluation, each after those it reads. Equal sub-expressions
//! are one node, equal selectors one registration with the longest lookback that is needed.
//! Buffers are kept from one instant to the next.

use std::sync::Arc;

use crate::histogram::NativeHistogram;
use crate::promql::syntax::expr::Expr;
use crate::promql::syntax::tree::ValueType;
use crate::series::{SelectorId, Store};

use super::annotation::{Annotations, Notes};
use super::bind::{Builder, Wanted};
use super::conflict::{Conflicts, OnConflict};
use super::context::{Context, Membership, NodeId};
use super::error::{EvalError, Interrupted};
use super::frame::Frame;
use super::layout::{Layout, Versions};

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
/// `values` and `present` have one item for each label set of the layout; `histograms` has, too, or none.
///
/// # NaN
/// NaN is a value. What is absent is not present; its value means nothing. An element that is a native
/// histogram is not present either: it is no number.
#[derive(Debug, Clone, Copy)]
pub struct Vector<'a> {
    /// The label sets.
    pub layout: &'a Arc<Layout>,
    /// The values.
    pub values: &'a [f64],
    /// Which elements are numbers that are there.
    pub present: &'a [bool],
    /// Which elements are native histograms.
    pub histograms: &'a [Option<Arc<NativeHistogram>>],
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
            [expr] => (&expr.sites()[..], Notes::of(expr)),
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
        let cell = self.frame.cell(root.node);
        if let Some(error) = &cell.error {
            return Err(error);
        }
        Ok(match root.value_type {
            ValueType::Scalar => Value::Scalar(cell.out.scalar),
            ValueType::Vector => Value::Vector(Vector {
                layout: &cell.out.layout,
                values: &cell.out.values,
                present: &cell.out.present,
                histograms: &cell.out.histograms,
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
        let below = self.roots[i].below.iter().copied();
        self.frame.conflicts(below).for_each(|it| faults.merge(it));
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

    /// How many nodes outside of subqueries take their values of wider ones.
    #[cfg(test)]
    pub(in crate::promql) fn narrowed(&self) -> usize {
        self.frame.narrowed()
    }

    /// The number of nodes outside of subqueries, for those who want to see what is shared.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.frame.len()
    }
}
