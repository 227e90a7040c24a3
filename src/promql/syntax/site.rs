//! A site: a call or operator in a query that may have annotations, and where these are put in the text.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::function::RangeFunction;
use super::operator::{AggregateOp, Fold};
use super::tree::{Binary, Node, Source, ValueType};

/// A call or operator that may have annotations.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Of the node: a long expression has many operators, each with all that stands before it.
    key: u64,
    /// What an aggregation or operator is called; empty for a function.
    pub(crate) name: &'static str,
    /// Where the first and last argument of a call begin; of an operator, twice where it begins itself.
    pub(crate) places: [usize; 2],
}

impl Site {
    /// If a node of this name may have some.
    pub(crate) fn of(node: &Node, name: &'static str, mut places: [usize; 2]) -> Option<Self> {
        match node {
            Node::Range { function, source, .. } if may_be_mixed(*function) => {
                // Prometheus has forgotten the place of a subquery when it gets there.
                let is_first = *function != RangeFunction::QuantileOverTime;
                if is_first && matches!(source, Source::Subquery { .. }) {
                    places = [0, 0];
                }
            }
            Node::Aggregate { op: AggregateOp::Fold(Fold::Count | Fold::Group), .. } => {
                return None;
            }
            Node::Histogram { .. } | Node::Aggregate { .. } | Node::Top { .. } => {}
            Node::Binary(Binary { left, right, .. })
                if [left, right].iter().any(|it| it.value_type() == ValueType::Vector) => {}
            _ => return None,
        }
        Some(Self { key: key(node), name, places })
    }

    /// The one that is evaluated last of those with this node, by its place in the list.
    pub(crate) fn last(sites: &[Self], node: &Node) -> Option<usize> {
        if sites.is_empty() {
            return None;
        }
        let key = key(node);
        sites.iter().rposition(|site| site.key == key)
    }
}

fn key(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    hasher.finish()
}

/// Whether it has something to say of native histograms among floats.
fn may_be_mixed(function: RangeFunction) -> bool {
    !matches!(
        function,
        RangeFunction::Changes
            | RangeFunction::Resets
            | RangeFunction::CountOverTime
            | RangeFunction::PresentOverTime
            | RangeFunction::LastOverTime
    )
}

/// Whether it is meant for counters.
pub(crate) fn counts(function: RangeFunction) -> bool {
    matches!(function, RangeFunction::Rate | RangeFunction::Increase)
}
