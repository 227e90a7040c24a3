//! A conflict: elements that an operation does not allow side by side, and what they have in
//! common.
//!
//! Prometheus gives up the whole expression for one of them, and so does a query here. A feature is
//! one expression for all hosts, of which a single one may have a series twice (an old and a new
//! pod, a pair of collectors), so a plan bound leniently leaves out all elements of the group, as
//! there is no telling which of them is right, goes on with the others and remembers the group.
//!
//! What is left out is absent, and all that reads it takes it for absent: `absent` says so, `or`
//! takes what is on its right, `unless` keeps what it would have dropped, `scalar` may find the
//! only element that is left, and `count`, `sum` and their like are of fewer elements. Whoever
//! uses a value has to look at [`crate::promql::Plan::faults`] to know whether it is whole.

use std::collections::HashSet;
use std::fmt;

use crate::labels::Labels;

use super::error::EvalError;

/// How many groups are kept with their labels. That is enough to name whoever is concerned; where
/// more are, the expression is wrong rather than a host.
const KEPT: usize = 1_000;

/// What becomes of an operation that label sets do not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// It is an error, as in Prometheus.
    Fail,
    /// All elements concerned are absent.
    LeaveOut,
}

impl OnConflict {
    /// Fails with a conflict, or remembers it.
    pub(super) fn meet(
        self,
        conflicts: &mut Conflicts,
        conflict: impl FnOnce() -> Conflict,
    ) -> Result<(), EvalError> {
        match self {
            Self::Fail => Err(conflict().error),
            Self::LeaveOut => {
                conflicts.add(conflict);
                Ok(())
            }
        }
    }
}

/// Elements that were left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// What they have in common: the labels they are matched by, or the label set that they would
    /// all have. It is that of the operation that met the conflict; operations above may have
    /// changed or dropped labels since.
    pub labels: Labels,
    /// What Prometheus fails with.
    pub error: EvalError,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.error, EvalError::ManyToOne | EvalError::GroupingNotUnique) {
            write!(f, "{}: ", self.labels)?;
        }
        self.error.fmt(f)
    }
}

/// All that was left out at an instant, each group of labels once.
#[derive(Debug, Clone, Default)]
pub struct Conflicts {
    list: Vec<Conflict>,
    known: HashSet<Labels>,
    groups: usize,
}

impl Conflicts {
    /// Whether nothing was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups == 0
    }

    /// How many groups of labels were left out. Above a thousand that is the least it can be where
    /// several operations met conflicts.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The groups in the order in which they were met, a thousand at most.
    #[must_use]
    pub fn list(&self) -> &[Conflict] {
        &self.list
    }

    /// Adds one that was not met before.
    pub(super) fn add(&mut self, conflict: impl FnOnce() -> Conflict) {
        if self.list.len() == KEPT {
            self.groups += 1;
            return;
        }
        let conflict = conflict();
        if self.known.insert(conflict.labels.clone()) {
            self.groups += 1;
            self.list.push(conflict);
        }
    }

    /// Adds those of another operation or instant.
    pub(super) fn merge(&mut self, other: &Self) {
        for conflict in &other.list {
            if self.list.len() == KEPT {
                break;
            }
            self.add(|| conflict.clone());
        }
        self.groups = self.groups.max(other.groups);
    }

    pub(super) fn clear(&mut self) {
        if !self.is_empty() {
            self.list.clear();
            self.known.clear();
            self.groups = 0;
        }
    }
}

/// One line: for how many groups, and the first of them.
impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = if self.groups == 1 { "group" } else { "groups" };
        write!(f, "left out for {} {groups} of labels", self.groups)?;
        match self.list.first() {
            Some(first) => write!(f, ": {first}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(x: usize) -> Conflict {
        let labels = Labels::from_pairs([("x", &*x.to_string())]).expect("one name");
        Conflict { labels, error: EvalError::ManyToOne }
    }

    #[test]
    fn a_thousand_are_kept_and_all_are_counted() {
        let mut many = Conflicts::default();
        (0..1_500).for_each(|x| many.add(|| conflict(x)));
        assert_eq!((many.list().len(), many.groups()), (1_000, 1_500));
        let mut all = Conflicts::default();
        all.add(|| conflict(7));
        all.merge(&many);
        assert_eq!((all.list().len(), all.groups()), (1_000, 1_500));
        all.clear();
        assert!(all.is_empty() && all.list().is_empty());
    }

    #[test]
    fn a_group_counts_once_and_is_named() {
        let mut conflicts = Conflicts::default();
        [1, 2, 1].into_iter().for_each(|x| conflicts.add(|| conflict(x)));
        let text = conflicts.to_string();
        let start = r#"left out for 2 groups of labels: {x="1"}: multiple matches for labels: "#;
        assert!(text.starts_with(start), "{text}");
    }
}
