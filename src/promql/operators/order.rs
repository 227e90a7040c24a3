//! An order: how the elements of an instant answer are sorted when the expression says so.
//!
//! A vector itself has no order; `sort` inside of an expression changes nothing.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::labels::Labels;
use crate::promql::syntax::clause::Grouping;
use crate::promql::syntax::expr::Expr;
use crate::promql::syntax::tree::Node;

/// The order of an instant answer, which `sort`, `sort_desc`, `topk` and `bottomk` give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub(in crate::promql) descending: bool,
    /// `topk by (a)` sorts the elements of each group by themselves.
    pub(in crate::promql) grouping: Option<Grouping>,
}

impl Expr {
    /// How an instant answer is sorted, where the expression as a whole says so: `sort`,
    /// `sort_desc`, `topk`, `bottomk`.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        match self.root() {
            Node::Top { largest, grouping, .. } => {
                Some(Order { descending: *largest, grouping: Some(grouping.clone()) })
            }
            Node::Sort { descending, .. } => {
                Some(Order { descending: *descending, grouping: None })
            }
            _ => None,
        }
    }
}

impl Order {
    /// Sorts the elements of a plan's output, given in the order of its layout, of which `element` tells the label set and the value. Equal elements stay as
    /// they are to one another; groups come in the order of their first elements.
    ///
    /// # NaN
    /// NaN stands last.
    pub fn sort<T>(&self, elements: &mut [T], element: impl Fn(&T) -> (&Labels, f64)) {
        let Some(grouping) = &self.grouping else {
            elements.sort_by(|a, b| self.compare(element(a).1, element(b).1));
            return;
        };
        let mut groups: HashMap<Labels, usize> = HashMap::new();
        for item in elements.iter() {
            let next = groups.len();
            groups.entry(grouping.group_of(element(item).0)).or_insert(next);
        }
        elements.sort_by_cached_key(|item| {
            let (labels, value) = element(item);
            Key { group: groups[&grouping.group_of(labels)], value, order: self }
        });
    }

    fn compare(&self, a: f64, b: f64) -> Ordering {
        match (a.is_nan(), b.is_nan()) {
            (false, false) if self.descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
            (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (a, b) => a.cmp(&b),
        }
    }
}

/// What an element in a group is sorted by.
struct Key<'a> {
    group: usize,
    value: f64,
    order: &'a Order,
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.group.cmp(&other.group).then_with(|| self.order.compare(self.value, other.value))
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(descending: bool, by: Option<&str>, expected: &[usize]) {
        let grouping = by.map(|label| Grouping { without: false, labels: vec![label.to_owned()] });
        let labels = |a| Labels::from_pairs([("a", a)]).expect("distinct names");
        let values = [2.0, f64::NAN, f64::INFINITY, -1.0, 2.0];
        let mut elements: Vec<(usize, Labels, f64)> = (0..5)
            .map(|i| (i, labels(if i % 2 == 0 { "even" } else { "odd" }), values[i]))
            .collect();
        Order { descending, grouping }.sort(&mut elements, |(_, labels, value)| (labels, *value));
        let got: Vec<usize> = elements.iter().map(|(i, ..)| *i).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn by_value_with_nan_last() {
        check(false, None, &[3, 0, 4, 2, 1]);
        check(true, None, &[2, 0, 4, 3, 1]);
        check(true, Some("nosuch"), &[2, 0, 4, 3, 1]);
    }

    #[test]
    fn each_group_by_itself() {
        check(true, Some("a"), &[2, 0, 4, 3, 1]);
        check(false, Some("a"), &[0, 4, 2, 3, 1]);
    }
}
