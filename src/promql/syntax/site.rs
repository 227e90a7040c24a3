//! A site: a call in a query that may have annotations, and where its arguments stand in the text.

use super::function::RangeFunction;
use super::operator::AggregateOp;
use super::tree::{Node, Source};

/// A call that may have annotations.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) node: Node,
    /// Where its first and last argument begin.
    pub(crate) arguments: [usize; 2],
}

impl Site {
    /// If a node may have some.
    pub(crate) fn of(node: &Node, mut arguments: [usize; 2]) -> Option<Self> {
        match node {
            Node::Range { function, source, .. } if counts(*function) => {
                // Prometheus has forgotten the place of a subquery when it gets there.
                if matches!(source, Source::Subquery { .. }) {
                    arguments = [0, 0];
                }
            }
            Node::Range { function, .. } if may_be_mixed(*function) => {}
            Node::Aggregate { op: AggregateOp::Quantile, .. } | Node::Histogram { .. } => {}
            _ => return None,
        }
        Some(Self { node: node.clone(), arguments })
    }
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
