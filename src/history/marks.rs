//! Marks: what people, or alerts, say was anomalous, and on which hosts.
//!
//! The owner of a mark is a label set: the mark is of all hosts that have these labels, and of every host
//! where it has none.

use crate::labels::Labels;

/// What was marked.
#[derive(Debug, Clone, PartialEq)]
pub enum Marks {
    /// Steps, each of which was anomalous or was not.
    Steps(Vec<LabelledSteps>),
    /// Times from a start to an end, in any order; all other time was normal.
    Incidents(Vec<Incident>),
}

/// Which steps were anomalous, of one owner.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSteps {
    /// Whose they are.
    pub owner: Labels,
    /// Times in milliseconds since 1970, strictly ascending, and whether the step was anomalous.
    pub steps: Vec<(i64, bool)>,
}

/// Something that happened to hosts.
///
/// # Units
/// Milliseconds since 1970; the end belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Whose it is.
    pub owner: Labels,
    /// When it began.
    pub start_ms: i64,
    /// When it ended, not before its start.
    pub end_ms: i64,
}
