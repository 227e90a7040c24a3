//! Binding: from trees of expressions to the nodes of a frame, each distinct tree once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;
use crate::matcher::Selector;
use crate::promql::syntax::expr::Expr;
use crate::promql::syntax::reach::Instants;
use crate::promql::syntax::site::Site;
use crate::promql::syntax::tree::{Binary, LOOKBACK_MS, Node, Source, ValueType};
use crate::promql::syntax::when::When;
use crate::series::Store;

use super::aggregate::Aggregate;
use super::binary::{ScalarBinary, VectorScalar};
use super::context::{Membership, NodeId, Output};
use super::count_values::CountValues;
use super::frame::{Frame, Job};
use super::histogram::Histogram;
use super::layout::{Layout, Versions};
use super::map::Map;
use super::matching::VectorBinary;
use super::narrowed::{Narrowed, ranges, widest};
use super::range::{AbsentOverTime, Origin, Range, Samples};
use super::reduce::{Absent, ScalarOf};
use super::relabel::Relabelled;
use super::select::{Newest, Select};
use super::setop::Set;
use super::step::Step;
use super::subquery::Subquery;
use super::topk::Top;
use super::watch::Watch;

/// The selectors of a plan, each once, with the longest lookback that is needed of it. The place
/// in the list is the place of the membership in the plan.
#[derive(Default)]
pub(super) struct Wanted {
    list: Vec<(Selector, i64)>,
    place: HashMap<Selector, usize>,
}

impl Wanted {
    pub(super) fn new(exprs: &[Expr]) -> Self {
        Self::of(exprs.iter().flat_map(Expr::selectors))
    }

    /// Those of a range. Nothing is known of the store but that it holds what the range reaches,
    /// so that it is not asked to keep anything.
    pub(super) fn of_range(source: &Source) -> Self {
        let mut found = Vec::new();
        source.visit_reaches(Instants::ONE, LOOKBACK_MS, &mut |selector, _| {
            found.push((selector.clone(), 1))
        });
        Self::of(found)
    }

    fn of(selectors: impl IntoIterator<Item = (Selector, i64)>) -> Self {
        let mut wanted = Self::default();
        for (selector, lookback_ms) in selectors {
            let next = wanted.list.len();
            match *wanted.place.entry(selector.clone()).or_insert(next) {
                at if at == next => wanted.list.push((selector, lookback_ms)),
                at => wanted.list[at].1 = wanted.list[at].1.max(lookback_ms),
            }
        }
        wanted
    }

    /// Registers them with a store.
    pub(super) fn register(&self, store: &mut Store) -> Vec<Membership> {
        let register =
            |(selector, ms): &(Selector, i64)| Membership::new(store.register(selector, *ms));
        self.list.iter().map(register).collect()
    }

    fn place(&self, selector: &Selector) -> usize {
        self.place[selector]
    }
}

/// Lays out the nodes of one frame.
pub(super) struct Builder<'a> {
    wanted: &'a Wanted,
    /// What may have annotations.
    sites: &'a [Site],
    versions: &'a mut Versions,
    frame: Frame,
    nodes: HashMap<Node, NodeId>,
    subqueries: HashMap<Source, NodeId>,
    /// Ranges of the frame that others may be part of.
    ranges: Vec<Node>,
    /// What the node that is being laid out reads, as far as it is known.
    reads: Vec<NodeId>,
}

impl<'a> Builder<'a> {
    /// A builder of a plan that wants these selectors, for a frame of these trees.
    pub(super) fn new<'t>(
        wanted: &'a Wanted,
        sites: &'a [Site],
        versions: &'a mut Versions,
        trees: impl IntoIterator<Item = &'t Node>,
    ) -> Self {
        Self {
            ranges: ranges(trees),
            wanted,
            sites,
            versions,
            frame: Frame::default(),
            nodes: HashMap::new(),
            subqueries: HashMap::new(),
            reads: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Frame {
        self.frame
    }

    /// The node of a tree; the one that is there already when an equal tree came before.
    pub(super) fn node(&mut self, tree: &Node) -> NodeId {
        // What is sorted is the answer, not the vector.
        if let Node::Sort { vector, .. } = tree {
            return self.node(vector);
        }
        let id = match self.nodes.get(tree) {
            Some(id) => *id,
            None => {
                let mut out = Output::default();
                let outer = std::mem::take(&mut self.reads);
                let step = self.step(tree, &mut out);
                let reads = std::mem::replace(&mut self.reads, outer);
                let fixed = tree.is_fixed();
                let watch = Watch::of(self.sites, tree).map(Box::new);
                let id = self.frame.push(Job { step, fixed, reads, watch }, out);
                self.nodes.insert(tree.clone(), id);
                id
            }
        };
        self.reads.push(id);
        id
    }

    /// Children first, so that they stand before their parent.
    fn step(&mut self, tree: &Node, out: &mut Output) -> Step {
        match tree {
            Node::Number(number) => {
                out.scalar = number.0;
                Step::Constant
            }
            Node::Time => Step::Time,
            Node::Select { selector, when } => {
                self.select(selector, *when, Newest { time: false, lookback_ms: LOOKBACK_MS })
            }
            Node::SampleTime { selector, when, lookback_ms } => {
                self.select(selector, *when, Newest { time: true, lookback_ms: *lookback_ms })
            }
            Node::Range { function, source, parameter } => {
                let parameter = self.optional(parameter);
                let range = Range::new(*function, self.samples(source), parameter);
                self.narrowed(tree, range)
            }
            Node::AbsentOverTime { source, labels } => {
                self.one_element(labels, out);
                let samples = self.samples(source);
                Step::AbsentOverTime(AbsentOverTime { samples })
            }
            Node::Map { function, vector, parameters } => Step::Map(Map {
                function: *function,
                vector: self.node(vector),
                parameters: parameters.iter().map(|tree| self.node(tree)).collect(),
            }),
            Node::Relabel { relabel, vector } => {
                Step::Relabelled(Relabelled { relabel: relabel.clone(), vector: self.node(vector) })
            }
            Node::Vector(scalar) => {
                self.one_element(&Labels::empty(), out);
                Step::VectorOf(self.node(scalar))
            }
            Node::Scalar(vector) => Step::ScalarOf(ScalarOf { vector: self.node(vector) }),
            Node::Absent { vector, labels } => {
                self.one_element(labels, out);
                let vector = self.node(vector);
                Step::Absent(Absent { vector })
            }
            grouped_or_two_sided => self.combination(grouped_or_two_sided),
        }
    }

    /// A range, or should the plan have it for more series a part of that.
    fn narrowed(&mut self, tree: &Node, range: Range) -> Step {
        // Who looks for annotations looks at a range as it is.
        let wide = widest(&self.ranges, tree).filter(|_| self.sites.is_empty()).cloned();
        let membership = |node: Option<&Node>| match node {
            Some(Node::Range { source: Source::Series { selector, .. }, .. }) => {
                Some(self.wanted.place(selector))
            }
            _ => None,
        };
        match (membership(Some(tree)), membership(wide.as_ref()), wide) {
            (Some(own), Some(of_wide), Some(wide)) => {
                Step::Narrowed(Narrowed::new(range, own, (self.node(&wide), of_wide)))
            }
            _ => Step::Range(range),
        }
    }

    /// Nodes that bring elements together.
    fn combination(&mut self, tree: &Node) -> Step {
        match tree {
            Node::Histogram { function, parameters, vector } => {
                let parameters = parameters.iter().map(|tree| self.node(tree)).collect();
                Step::Histogram(Histogram::new(*function, parameters, self.node(vector)))
            }
            Node::CountValues { label, grouping, vector } => {
                let vector = self.node(vector);
                Step::CountValues(CountValues::new(label.clone(), grouping.clone(), vector))
            }
            Node::Aggregate { op, grouping, parameter, vector } => {
                let (parameter, vector) = (self.optional(parameter), self.node(vector));
                Step::Aggregate(Aggregate::new(*op, grouping.clone(), parameter, vector))
            }
            Node::Top { largest, grouping, count, vector } => {
                let (count, vector) = (self.node(count), self.node(vector));
                Step::Top(Top::new(*largest, grouping.clone(), count, vector))
            }
            Node::Binary(binary) => self.binary(binary),
            Node::Set { op, matching, left, right } => {
                let (left, right) = (self.node(left), self.node(right));
                Step::Set(Set::new(*op, matching.clone(), left, right))
            }
            _ => unreachable!("every other node has been laid out before"),
        }
    }

    fn binary(&mut self, binary: &Binary) -> Step {
        let (op, return_bool) = (binary.op, binary.return_bool);
        let types = (binary.left.value_type(), binary.right.value_type());
        let (left, right) = (self.node(&binary.left), self.node(&binary.right));
        match types {
            (ValueType::Scalar, ValueType::Scalar) => {
                Step::ScalarBinary(ScalarBinary { op, left, right })
            }
            (ValueType::Vector, ValueType::Vector) => {
                let matching = binary.matching.clone();
                Step::VectorBinary(VectorBinary::new(op, return_bool, matching, left, right))
            }
            (vector_type, _) => {
                let swapped = vector_type == ValueType::Scalar;
                let (vector, scalar) = if swapped { (right, left) } else { (left, right) };
                let left_out = None;
                Step::VectorScalar(VectorScalar {
                    op,
                    return_bool,
                    vector,
                    scalar,
                    swapped,
                    left_out,
                })
            }
        }
    }

    fn optional(&mut self, tree: &Option<Box<Node>>) -> Option<NodeId> {
        tree.as_ref().map(|tree| self.node(tree))
    }

    fn select(&self, selector: &Selector, when: When, newest: Newest) -> Step {
        Step::Select(Select { membership: self.wanted.place(selector), when, newest })
    }

    /// The samples of a range; should it be a subquery, with the node for it.
    pub(super) fn samples(&mut self, source: &Source) -> Samples {
        match source {
            Source::Series { selector, range_ms, when } => {
                let origin = Origin::Series(self.wanted.place(selector));
                Samples::new(origin, *range_ms, *when)
            }
            Source::Subquery { inner, range_ms, step_ms, when } => {
                let id = match self.subqueries.get(source) {
                    Some(id) => *id,
                    None => {
                        let mut builder =
                            Builder::new(self.wanted, self.sites, self.versions, [&**inner]);
                        let root = builder.node(inner);
                        let frame = builder.finish();
                        let lasting = !inner.looks_ahead();
                        let subquery =
                            Subquery::new(frame, root, *range_ms, *step_ms, *when, lasting);
                        let job = Job {
                            step: Step::Subquery(Box::new(subquery)),
                            fixed: when.at_ms.is_some(),
                            reads: Vec::new(),
                            watch: None,
                        };
                        let id = self.frame.push(job, Output::default());
                        self.subqueries.insert(source.clone(), id);
                        id
                    }
                };
                self.reads.push(id);
                Samples::new(Origin::Subquery(id), *range_ms, *when)
            }
        }
    }

    fn one_element(&mut self, labels: &Labels, out: &mut Output) {
        let layout = Layout::distinct(self.versions.next(), vec![labels.clone()]);
        out.follow(&Arc::new(layout));
    }
}
