//! What can be wrong with an expression: with its text, and with the label sets it meets.

use crate::labels::Labels;

/// Why a text is not an expression that can be evaluated here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("cannot evaluate {expression:?}: {line}:{column}: {reason}")]
pub struct ParseError {
    /// The text, shortened when it is long.
    pub expression: Box<str>,
    /// The line of the place where it is wrong, from 1.
    pub line: usize,
    /// The place in the line, in bytes from 1 as Prometheus counts.
    pub column: usize,
    /// What is wrong there; boxed, because this error is a part of many others.
    pub reason: Box<Reason>,
}

impl ParseError {
    pub(super) fn new(text: &str, fault: Fault) -> Self {
        /// Enough to recognise the expression in a log line.
        const SHOWN_CHARS: usize = 200;
        let mut expression: String = text.chars().take(SHOWN_CHARS).collect();
        if expression.len() < text.len() {
            expression.push('…');
        }
        let (line, column) = place(text, fault.at);
        Self { expression: expression.into(), line, column, reason: fault.reason.into() }
    }
}

/// The line of a place in a text, and the place in the line in bytes, both from 1.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    (line, 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count())
}

/// What is wrong with a text and where, in bytes from its start.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) reason: Reason,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Reason {
    /// Not PromQL, or of the wrong types.
    #[error("parse error: {0}")]
    Syntax(String),
    /// PromQL that is not evaluated here.
    #[error("{0}")]
    Unsupported(String),
    /// Larger than what is accepted.
    #[error("{what} of {is} is more than the limit of {limit}")]
    Limit {
        /// What was measured.
        what: &'static str,
        /// Its measure.
        is: u64,
        /// The most that is accepted.
        limit: u64,
    },
}

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
