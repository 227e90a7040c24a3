//! What can be wrong with a text, and where.

use std::fmt::Display;

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
    pub(crate) fn new(text: &str, fault: Fault) -> Self {
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
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    (line, 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count())
}

/// What is wrong with a text and where, in bytes from its start.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: Reason,
}

impl Fault {
    pub(super) fn syntax(at: usize, message: impl Into<String>) -> Self {
        Self { at, reason: Reason::Syntax(message.into()) }
    }

    /// `what` is a subject: "… is not supported".
    pub(super) fn unsupported(at: usize, what: impl Display) -> Self {
        Self { at, reason: Reason::Unsupported(format!("{what} is not supported")) }
    }

    pub(super) fn limit(at: usize, what: &'static str, is: u64, limit: u64) -> Self {
        Self { at, reason: Reason::Limit { what, is, limit } }
    }
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
