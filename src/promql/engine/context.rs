//! The context of an evaluation: the store, the instant, and the nodes that come before.

use std::sync::Arc;

use crate::capacity;
use crate::histogram::NativeHistogram;
use crate::labels::Labels;
use crate::promql::operators::histogram_binary::Operand;
use crate::sample::{HistogramSample, Sample};
use crate::series::{SelectorId, Store};

use super::annotation::Notes;
use super::conflict::{Conflict, Conflicts, OnConflict};
use super::error::EvalError;
use super::layout::{Collisions, Layout, Versions, has_type_or_unit, without_metadata};

/// A node's place in its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(pub(super) usize);

/// What every node of a frame can see.
pub(super) struct Context<'a> {
    pub(super) store: &'a Store,
    pub(super) memberships: &'a [Membership],
    /// Another number whenever series of the plan were born or died.
    pub(super) births: u64,
    pub(super) versions: &'a mut Versions,
    /// Asked between nodes; the evaluation is given up when it says no.
    pub(super) go_on: &'a dyn Fn() -> bool,
    /// What has annotations says them here, if they are wanted.
    pub(super) notes: Option<&'a mut Notes>,
    pub(super) on_conflict: OnConflict,
    /// The instant.
    pub(super) time_ms: i64,
    /// Another number for each instant: what a label set may be present only once in.
    pub(super) step_epoch: u64,
    /// Another number for each run over the steps of a subquery. Prometheus looks for repeated
    /// label sets of some functions over all steps together.
    pub(super) run_epoch: u64,
}

/// The series of one registered selector, as layouts that all nodes over it share.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) id: SelectorId,
    version: Option<u64>,
    /// How many series had left the selector when its members were taken over.
    departures: u64,
    pub(super) layout: Arc<Layout>,
    /// The same without metric names.
    pub(super) nameless: Arc<Layout>,
    /// Some series had a type or unit among its labels.
    typed: bool,
}

impl Membership {
    pub(super) fn new(id: SelectorId) -> Self {
        Self {
            id,
            version: None,
            departures: 0,
            layout: Arc::default(),
            nameless: Arc::default(),
            typed: false,
        }
    }

    /// Takes over series that were born or died since the last time; says whether any were.
    pub(super) fn refresh(&mut self, store: &Store, versions: &mut Versions) -> bool {
        let version = store.version(self.id);
        if self.version == Some(version) {
            return false;
        }
        self.version = Some(version);
        let members = store.members(self.id);
        let (before, departures) = (&self.layout.labels, store.departures(self.id));
        let labels = if self.departures == departures {
            // All that were there still are, and those that were born came behind them.
            before.grown(members[before.len()..].iter().map(|id| store.labels(*id).clone()))
        } else {
            before.followed(members.len(), |i| store.labels(members[i]))
        };
        self.departures = departures;
        let born = if labels.begins_with(before) { before.len() } else { 0 };
        self.typed = self.typed || labels.since(born).any(has_type_or_unit);
        // Series differ in more than the name that all of them have.
        let are_apart = store.selector(self.id).metric_name().is_some() && !self.typed;
        let make = if are_apart { Layout::apart } else { Layout::distinct };
        let layout = Arc::new(make(versions.next(), labels));
        let before = (&*self.layout, &*self.nameless);
        self.nameless = layout.mapped(versions, before, true, without_metadata);
        self.layout = layout;
        true
    }
}

/// The latest value of a node, or why it has none.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) out: Output,
    pub(super) error: Option<EvalError>,
}

/// A node's value: for a scalar the number, for a vector values and presence along a layout.
///
/// An element that is a native histogram is not `present`, so that whoever computes with numbers passes it
/// over, as Prometheus does nearly everywhere.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) scalar: f64,
    pub(super) layout: Arc<Layout>,
    pub(super) values: Vec<f64>,
    pub(super) present: Vec<bool>,
    /// Empty, or along the layout: the elements that are native histograms.
    pub(super) histograms: Vec<Option<Arc<NativeHistogram>>>,
    /// Of a subquery: the samples of each row, in the order of the layout.
    pub(super) rows: Rows,
    /// The input's layout that this one was made from.
    derived_from: Arc<Layout>,
    collisions: Collisions,
    /// What was left out at this instant.
    pub(super) conflicts: Conflicts,
}

/// What the steps of a subquery gave for each label set.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) samples: Vec<Vec<Sample>>,
    /// Empty, or along the others.
    pub(super) histograms: Vec<Vec<HistogramSample>>,
}

impl Rows {
    /// The native histograms of a row.
    pub(super) fn histograms(&self, row: usize) -> &[HistogramSample] {
        self.histograms.get(row).map_or(&[], |it| it)
    }
}

impl Output {
    /// Forgets what was said at another instant.
    pub(super) fn clear(&mut self) {
        self.conflicts.clear();
        self.histograms.clear();
    }

    /// Uses a layout as it is.
    pub(super) fn follow(&mut self, layout: &Arc<Layout>) {
        if self.layout.version != layout.version {
            self.histograms.clear();
            self.layout = Arc::clone(layout);
            self.values.clear();
            self.values.shrink_to(capacity::kept(layout.len(), self.values.capacity()));
            self.values.resize(layout.len(), 0.0);
            self.present.clear();
            self.present.shrink_to(capacity::kept(layout.len(), self.present.capacity()));
            self.present.resize(layout.len(), false);
        }
    }

    /// Uses an input's layout with each label set changed by a function, which is always the same
    /// and of which `keeps` says whether it drops metadata only.
    pub(super) fn derive(
        &mut self,
        input: &Arc<Layout>,
        versions: &mut Versions,
        keeps: bool,
        change: impl Fn(&Labels) -> Labels,
    ) {
        if self.derived_from.version != input.version {
            let layout = input.mapped(versions, (&self.derived_from, &self.layout), keeps, change);
            self.follow(&layout);
            self.derived_from = Arc::clone(input);
        }
    }

    /// Uses an input's layout without metric names.
    pub(super) fn derive_nameless(&mut self, input: &Arc<Layout>, versions: &mut Versions) {
        self.derive(input, versions, true, without_metadata);
    }

    pub(super) fn put(&mut self, i: usize, value: Option<f64>) {
        self.present[i] = value.is_some();
        self.values[i] = value.unwrap_or(0.0);
    }

    /// Makes an element a native histogram.
    pub(super) fn put_histogram(&mut self, i: usize, histogram: Arc<NativeHistogram>) {
        self.present[i] = false;
        if self.histograms.is_empty() {
            self.histograms.resize(self.layout.len(), None);
        }
        self.histograms[i] = Some(histogram);
    }

    /// The element, if it is a native histogram.
    pub(super) fn histogram(&self, i: usize) -> Option<&Arc<NativeHistogram>> {
        self.histograms.get(i)?.as_ref()
    }

    /// The elements that are native histograms, with their places.
    pub(super) fn histograms(&self) -> impl Iterator<Item = (usize, &Arc<NativeHistogram>)> {
        let places = self.histograms.iter().enumerate();
        places.filter_map(|(i, histogram)| Some((i, histogram.as_ref()?)))
    }

    /// An element that is there.
    pub(super) fn operand(&self, i: usize) -> Operand<'_> {
        self.histogram(i).map_or(Operand::Float(self.values[i]), Operand::Histogram)
    }

    /// Whether an element is there, of whichever kind.
    pub(super) fn has(&self, i: usize) -> bool {
        self.present[i] || self.histogram(i).is_some()
    }

    /// The places of the elements that are there, of whichever kind.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        (0..self.present.len()).filter(|i| self.has(*i))
    }

    /// Copies another vector of the same length.
    pub(super) fn copy(&mut self, from: &Self) {
        self.values.copy_from_slice(&from.values);
        self.present.copy_from_slice(&from.present);
        self.histograms.clone_from(&from.histograms);
    }

    /// The elements that are numbers: place and value.
    pub(super) fn elements(&self) -> impl Iterator<Item = (usize, f64)> {
        self.values
            .iter()
            .zip(&self.present)
            .enumerate()
            .filter(|(_, (_, present))| **present)
            .map(|(i, (value, _))| (i, *value))
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.present.contains(&true) && self.histograms().next().is_none()
    }

    /// Two present elements must not have the same labels.
    pub(super) fn check_labels(&mut self, cx: &Context) -> Result<(), EvalError> {
        self.check(cx, cx.step_epoch, &Layout::default(), EvalError::SameLabelset)
    }

    /// As above, but where they have it is said in other words.
    pub(super) fn check_matches(
        &mut self,
        cx: &Context,
        error: fn(Labels) -> EvalError,
    ) -> Result<(), EvalError> {
        self.check(cx, cx.step_epoch, &Layout::default(), error)
    }

    /// As above, over all instants of a run. Of elements made one by one from those of an input,
    /// those that had the same labels there are one and the same.
    pub(super) fn check_run(
        &mut self,
        cx: &Context,
        input: Option<&Layout>,
    ) -> Result<(), EvalError> {
        // Leaving out is for what is there twice at one instant: the value at an instant must not
        // depend on which other instants were evaluated.
        let epoch = match cx.on_conflict {
            OnConflict::Fail => cx.run_epoch,
            OnConflict::LeaveOut => cx.step_epoch,
        };
        self.check(cx, epoch, input.unwrap_or(&Layout::default()), EvalError::SameLabelset)
    }

    fn check(
        &mut self,
        cx: &Context,
        epoch: u64,
        input: &Layout,
        error: fn(Labels) -> EvalError,
    ) -> Result<(), EvalError> {
        let mut both = Vec::new();
        if !self.histograms.is_empty() && self.layout.has_repeats() {
            both.extend((0..self.present.len()).map(|i| self.has(i)));
        }
        let there = if both.is_empty() { &self.present } else { &both };
        let Err(labels) = self.collisions.check(epoch, (input, &self.layout), there) else {
            return Ok(());
        };
        if cx.on_conflict == OnConflict::Fail {
            return Err(error(labels));
        }
        let Self { layout, present, histograms, collisions, conflicts, .. } = self;
        let there = if both.is_empty() { &mut *present } else { &mut both };
        collisions.leave_out(layout, there, |labels| {
            conflicts.add(|| Conflict { labels: labels.clone(), error: error(labels.clone()) });
        });
        for (i, _) in both.iter().enumerate().filter(|(_, there)| !**there) {
            (present[i], histograms[i]) = (false, None);
        }
        Ok(())
    }
}

/// The nodes before the one that is evaluated: the only ones it can read.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a>(pub(super) &'a [Cell]);

impl<'a> Inputs<'a> {
    /// A node's vector, or the error it has instead.
    pub(super) fn vector(self, id: NodeId) -> Result<&'a Output, EvalError> {
        let cell = &self.0[id.0];
        match &cell.error {
            Some(error) => Err(error.clone()),
            None => Ok(&cell.out),
        }
    }

    /// A node's scalar, or the error it has instead.
    pub(super) fn scalar(self, id: NodeId) -> Result<f64, EvalError> {
        self.vector(id).map(|out| out.scalar)
    }

    /// A subquery's rows, or the error it has instead.
    pub(super) fn rows(self, id: NodeId) -> Result<&'a Rows, EvalError> {
        self.vector(id).map(|out| &out.rows)
    }
}
