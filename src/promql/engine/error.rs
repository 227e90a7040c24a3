//! Why an expression has no value at an instant.

use crate::labels::Labels;

/// Why an expression, or an element of it that was left out, has no value at an instant: mostly
/// because label sets do not allow it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// Two elements of one vector have the same labels.
    #[error("vector cannot contain metrics with the same labelset: {0}")]
    SameLabelset(Labels),
    /// Two elements on the side of a match that must have one.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the \
         operation: [{first}, {second}]; many-to-many matching not allowed: matching labels must \
         be unique on one side"
    )]
    DuplicateMatch {
        /// `left` or `right`.
        side: &'static str,
        /// The labels they agree in.
        group: Labels,
        /// One of them.
        first: Labels,
        /// Another one.
        second: Labels,
    },
    /// Two elements on the left match one on the right, and no `group_left` allows it.
    #[error(
        "multiple matches for labels: many-to-one matching must be explicit \
         (group_left/group_right)"
    )]
    ManyToOne,
    /// Results of `group_left` or `group_right` have the same labels.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    GroupingNotUnique,
    /// The evaluation was given up.
    #[error("{Interrupted}")]
    Interrupted,
    /// The `k` of `topk` or `bottomk` is not a number of elements.
    #[error("scalar value {0} is not a number of elements")]
    NotACount(f64),
    /// The text of a native histogram, which `count_values` makes a label of.
    #[error(
        "count_values: a native histogram of {buckets} buckets is too long for a label, as a text of {bytes} \
         bytes, more than {limit}"
    )]
    TextTooLong {
        /// Those that it has.
        buckets: usize,
        /// Of the text.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// A text among the arguments of a function that it cannot be evaluated with, whatever the series.
    #[error("{0}")]
    Argument(Box<str>),
}

/// An evaluation was given up, because the one who asked for it said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the evaluation was interrupted")]
pub struct Interrupted;

impl From<Interrupted> for EvalError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}
