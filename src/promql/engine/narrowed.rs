//! A narrowed range: the same function of the same range as another node computes of more series.
//!
//! `rate(cpu{mode="user"}[2m])` beside `rate(cpu[2m])` is a part of what that gives, and copying a
//! value costs less than making it of samples again. Invariant: the values are those of the range
//! itself; where the wider node has an error or left anything out, the range is computed.

use std::sync::Arc;

use crate::matcher::Selector;
use crate::promql::syntax::tree::{Node, Source};
use crate::series::SeriesId;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::range::Range;

/// The node of a range function whose values another node has.
#[derive(Debug)]
pub(super) struct Narrowed {
    /// The range itself.
    range: Range,
    membership: usize,
    wide: NodeId,
    wide_membership: usize,
    /// Versions of both memberships' layouts when the places were found.
    versions: Option<(u64, u64)>,
    /// For each series of the range its place among those of the wider node.
    places: Vec<u32>,
}

impl Narrowed {
    /// A range over a membership, and the node that computes the same over a wider one.
    pub(super) fn new(
        range: Range,
        membership: usize,
        (wide, wide_membership): (NodeId, usize),
    ) -> Self {
        Self { range, membership, wide, wide_membership, versions: None, places: Vec::new() }
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let wide = inputs.vector(self.wide).ok().filter(|it| it.conflicts.is_empty());
        let Some(wide) = wide.filter(|_| self.find_places(cx)) else {
            return self.range.eval(cx, inputs, out);
        };
        self.range.follow(&cx.memberships[self.membership], out);
        for (i, place) in self.places.iter().enumerate() {
            let place = *place as usize;
            out.put(i, wide.present[place].then(|| wide.values[place]));
            if let Some(histogram) = wide.histogram(place) {
                out.put_histogram(i, Arc::clone(histogram));
            }
        }
        out.check_run(cx, None)
    }

    /// Finds the series among those of the wider node; says whether all are there.
    fn find_places(&mut self, cx: &Context) -> bool {
        let memberships = [self.membership, self.wide_membership].map(|it| &cx.memberships[it]);
        let [narrow, wide] = memberships;
        let versions = Some((narrow.layout.version, wide.layout.version));
        let members = cx.store.members(narrow.id);
        if self.versions != versions {
            self.versions = versions;
            self.places.clear();
            self.places.extend(places(members, cx.store.members(wide.id)));
        }
        self.places.len() == members.len()
    }
}

/// The places of some series among more, both in order of birth; they end at the first that is not
/// there.
fn places<'a>(some: &'a [SeriesId], more: &'a [SeriesId]) -> impl Iterator<Item = u32> + 'a {
    let mut next = 0;
    some.iter().map_while(move |id| {
        let ahead = more[next..].iter().position(|it| it == id)?;
        next += ahead + 1;
        Some(next as u32 - 1)
    })
}

/// The ranges over one metric in trees, without those of subqueries in them: what others may be part
/// of.
pub(super) fn ranges<'a>(trees: impl IntoIterator<Item = &'a Node>) -> Vec<Node> {
    let mut found = Vec::new();
    let mut open: Vec<&Node> = trees.into_iter().collect();
    while let Some(node) = open.pop() {
        open.extend(node.children());
        let is_one_metric = |it: &Selector| it.metric_name().is_some();
        match node {
            Node::Range { source: Source::Series { selector, .. }, parameter: None, .. }
                if is_one_metric(selector) && !found.contains(node) =>
            {
                found.push(node.clone());
            }
            _ => {}
        }
    }
    found
}

/// Of these ranges the widest of which a tree is a part: the same function of the same range over
/// series that have to satisfy some of its conditions only.
pub(super) fn widest<'a>(ranges: &'a [Node], tree: &Node) -> Option<&'a Node> {
    let Node::Range { function, source: Source::Series { selector, range_ms, when }, .. } = tree
    else {
        return None;
    };
    let conditions = |node: &Node| match node {
        Node::Range { source: Source::Series { selector, .. }, .. } => selector.matchers().len(),
        _ => usize::MAX,
    };
    let is_wider = |node: &&Node| match node {
        Node::Range {
            function: f,
            source: Source::Series { selector: wide, range_ms: r, when: w },
            ..
        } => {
            let its = wide.matchers();
            (f, r, w) == (function, range_ms, when)
                && its.len() < selector.matchers().len()
                && its.iter().all(|it| selector.matchers().contains(it))
        }
        _ => false,
    };
    ranges.iter().filter(is_wider).min_by_key(|node| conditions(node))
}
