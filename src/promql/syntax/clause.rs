//! What a clause with labels says: which labels an aggregation keeps, and how the elements of two
//! vectors find each other.

use crate::labels::{Labels, METRIC_NAME};

/// Which labels an aggregation keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Grouping {
    pub(crate) without: bool,
    /// Sorted, each once.
    pub(crate) labels: Vec<String>,
}

impl Grouping {
    pub(crate) fn group_of(&self, labels: &Labels) -> Labels {
        let listed = |name: &str| self.labels.iter().any(|l| l == name);
        if self.without {
            labels.filtered(|name| name != METRIC_NAME && !listed(name))
        } else {
            labels.filtered(listed)
        }
    }
}

/// How many elements may stand on either side of a match group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`, with labels taken over from the right.
    ManyToOne(Vec<String>),
    /// `group_right`, with labels taken over from the left.
    OneToMany(Vec<String>),
}

/// How the elements of two vectors find each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Matching {
    /// `on` these labels; else all but these.
    pub(crate) on: bool,
    /// Sorted, each once.
    pub(crate) labels: Vec<String>,
    pub(crate) cardinality: Cardinality,
}

impl Matching {
    pub(crate) fn lists(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label == name)
    }

    /// The labels by which an element is matched.
    pub(crate) fn signature(&self, labels: &Labels) -> Labels {
        if self.on {
            labels.filtered(|name| self.lists(name))
        } else {
            labels.filtered(|name| name != METRIC_NAME && !self.lists(name))
        }
    }

    /// A label of `on` that `group_left` or `group_right` names again.
    pub(crate) fn in_both_clauses(&self) -> Option<&String> {
        self.included().iter().find(|label| self.on && self.lists(label))
    }

    /// The labels taken over from the side that has one element a group.
    pub(crate) fn included(&self) -> &[String] {
        match &self.cardinality {
            Cardinality::OneToOne => &[],
            Cardinality::ManyToOne(labels) | Cardinality::OneToMany(labels) => labels,
        }
    }

    /// Swaps the sides so that the right one has one element a group.
    pub(crate) fn swaps(&self) -> bool {
        matches!(self.cardinality, Cardinality::OneToMany(_))
    }

    /// The labels of the result of an operator, as far as they are known.
    pub(crate) fn output_labels(
        &self,
        left: Option<Vec<String>>,
        right: Option<Vec<String>>,
    ) -> Option<Vec<String>> {
        let many = if self.swaps() { right } else { left };
        if self.cardinality != Cardinality::OneToOne {
            let mut labels = many?;
            labels.extend_from_slice(self.included());
            return Some(sorted(labels));
        }
        match many {
            Some(mut labels) => {
                labels.retain(|label| self.lists(label) == self.on);
                Some(labels)
            }
            None => self.on.then(|| self.labels.clone()),
        }
    }
}

/// Sorted, each once.
pub(crate) fn sorted(mut labels: Vec<String>) -> Vec<String> {
    labels.sort();
    labels.dedup();
    labels
}
