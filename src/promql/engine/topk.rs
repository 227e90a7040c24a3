//! The top of each group: its largest or smallest elements, labels and values as they are.
//!
//! An answer lists groups in the order of their first elements, of those that are let go too; so
//! elements are laid out group by group.
//! Source: Prometheus `promql/engine.go`, `aggregationK`.

use std::sync::Arc;

use crate::promql::operators::heap::Heap;
use crate::promql::syntax::clause::Grouping;

use super::aggregate::Groups;
use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::layout::Layout;

/// The node of `topk` and `bottomk`.
#[derive(Debug)]
pub(super) struct Top {
    grouping: Grouping,
    count: NodeId,
    vector: NodeId,
    groups: Groups,
    arrangement: Arrangement,
    heap: Heap,
}

impl Top {
    pub(super) fn new(largest: bool, grouping: Grouping, count: NodeId, vector: NodeId) -> Self {
        Self {
            grouping,
            count,
            vector,
            groups: Groups::default(),
            arrangement: Arrangement::default(),
            heap: Heap { largest, elements: Vec::new() },
        }
    }

    /// Whether elements are passed over because they are native histograms.
    pub(super) fn passes_over(&self, inputs: Inputs) -> bool {
        let (count, input) = (inputs.scalar(self.count), inputs.vector(self.vector));
        count.is_ok_and(|count| count >= 1.0)
            && input.is_ok_and(|input| input.histograms().next().is_some())
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        let count = inputs.scalar(self.count)?;
        self.groups.refresh(&input.layout, &self.grouping);
        if self.arrangement.follow(&self.groups, input) {
            out.follow(&self.arrangement.layout(&input.layout, cx));
        }
        out.present.fill(false);
        if count < 1.0 || input.is_empty() {
            return Ok(());
        }
        // What Go refuses to convert to an int64: NaN, and 2^63 and above.
        if count.is_nan() || count > i64::MAX as f64 {
            return Err(EvalError::NotACount(count));
        }
        let count = (count as usize).min(input.layout.len());
        for group in 0..self.groups.len() {
            self.heap.elements.clear();
            for i in self.groups.members(group) {
                if input.present[*i as usize] {
                    self.heap.offer(input.values[*i as usize], *i, count);
                }
            }
            for (value, i) in &self.heap.elements {
                out.put(self.arrangement.places[*i as usize] as usize, Some(*value));
            }
        }
        Ok(())
    }
}

/// In which order the elements are laid out.
#[derive(Debug, Default)]
struct Arrangement {
    made_from: u64,
    /// The groups in the order of their first present elements; those without one anywhere.
    sequence: Vec<u32>,
    /// The place of each element.
    places: Vec<u32>,
}

impl Arrangement {
    /// Takes over another layout or another order of the groups; says whether there was one.
    fn follow(&mut self, groups: &Groups, input: &Output) -> bool {
        let first = |group: u32| {
            let present = |i: &&u32| input.present[**i as usize];
            groups.members(group as usize).iter().find(present).copied()
        };
        let same_layout = self.made_from == input.layout.version;
        if same_layout && self.sequence.iter().filter_map(|group| first(*group)).is_sorted() {
            return false;
        }
        self.made_from = input.layout.version;
        self.sequence = (0..groups.len() as u32).collect();
        self.sequence.sort_by_key(|group| first(*group).unwrap_or(u32::MAX));
        self.places = vec![0; input.layout.len()];
        let members = self.sequence.iter().flat_map(|group| groups.members(*group as usize));
        for (place, element) in members.enumerate() {
            self.places[*element as usize] = place as u32;
        }
        true
    }

    fn layout(&self, input: &Arc<Layout>, cx: &mut Context) -> Arc<Layout> {
        if self.places.is_sorted() {
            return Arc::clone(input);
        }
        let mut elements: Vec<usize> = (0..input.len()).collect();
        elements.sort_by_key(|i| self.places[*i]);
        let labels: Vec<_> = elements.into_iter().map(|i| input.labels[i].clone()).collect();
        Arc::new(Layout::new(cx.versions.next(), labels))
    }
}
