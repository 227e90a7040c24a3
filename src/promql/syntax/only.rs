//! An expression for some entities alone: the same values, of those series only.
//!
//! In: a checked tree, a label, some of its values. Out: the text of an expression that gives of the
//! whole one's elements exactly those that have one of the values, and reads as few series as that
//! allows. A matcher is added wherever the label of an element is the label of the series that it is
//! made of. What is made of other series as well is left whole: in `a / on () group_left sum(a)` the
//! sum stays that of the whole fleet. Where the elements' label is none of the series (`label_replace`
//! makes it, `sum` drops it), there is no such text.
//!
//! Invariant: nothing is narrowed that an element with another value could have a say in.

use crate::matcher::{MatchOp, Matcher, Selector};

use super::clause::{Cardinality, Grouping, Matching};
use super::expr::Expr;
use super::operator::SetOp;
use super::parser;
use super::tree::{Binary, Node, Source, ValueType};

impl Expr {
    /// The text that gives the elements of which a label has one of these values, none of them empty.
    /// `None` where that cannot be said, cannot be written back, or would be too long.
    #[must_use]
    pub fn only(&self, label: &str, values: &[&str]) -> Option<String> {
        let escaped: Vec<String> = values.iter().map(|it| regex::escape(it)).collect();
        let matcher = Matcher::new(label, MatchOp::Regex, escaped.join("|")).ok()?;
        let narrowed = Narrow { label, matcher }.node(self.root())?;
        let text = Self::new("", narrowed.clone(), vec![]).text_of_tree()?;
        // What cannot be written as it is, such as a control character, is not read back as it was.
        (parser::feature(&text).ok()? == narrowed).then_some(text)
    }
}

/// A condition that is added to selectors.
struct Narrow<'a> {
    label: &'a str,
    matcher: Matcher,
}

impl Narrow<'_> {
    /// The node whose elements are those of this one that satisfy the condition.
    fn node(&self, node: &Node) -> Option<Node> {
        let boxed = |node: &Node| self.node(node).map(Box::new);
        let mut same = node.clone();
        match &mut same {
            Node::Select { selector, .. } | Node::SampleTime { selector, .. } => {
                *selector = self.selector(selector);
            }
            // A parameter is a scalar: the same for all elements, whatever it is made of.
            Node::Range { source: Source::Series { selector, .. }, .. } => {
                *selector = self.selector(selector);
            }
            Node::Range { source: Source::Subquery { inner, .. }, .. } => *inner = boxed(inner)?,
            Node::Map { vector, .. } | Node::Sort { vector, .. } => *vector = boxed(vector)?,
            Node::Relabel { relabel, vector } if relabel.target() != self.label => {
                *vector = boxed(vector)?;
            }
            Node::Histogram { vector, .. } if self.label != "le" => *vector = boxed(vector)?,
            Node::Aggregate { grouping, vector, .. } | Node::Top { grouping, vector, .. }
                if self.is_kept(grouping) =>
            {
                *vector = boxed(vector)?;
            }
            Node::CountValues { label, grouping, vector }
                if self.is_kept(grouping) && label != self.label =>
            {
                *vector = boxed(vector)?;
            }
            Node::Binary(binary) => self.binary(binary)?,
            Node::Set { op, matching, left, right } => self.set(*op, matching, left, right)?,
            Node::Number(_)
            | Node::Time
            | Node::Vector(_)
            | Node::Scalar(_)
            | Node::Absent { .. }
            | Node::AbsentOverTime { .. }
            | Node::Relabel { .. }
            | Node::Histogram { .. }
            | Node::Aggregate { .. }
            | Node::Top { .. }
            | Node::CountValues { .. } => return None,
        }
        Some(same)
    }

    fn selector(&self, selector: &Selector) -> Selector {
        let added = std::iter::once(self.matcher.clone());
        Selector::new(selector.matchers().iter().cloned().chain(added).collect())
    }

    /// Whether the members of a group have the same value, and the group has it.
    fn is_kept(&self, grouping: &Grouping) -> bool {
        grouping.without != grouping.labels.iter().any(|it| it == self.label)
    }

    /// Whether elements that are matched have the same value.
    fn is_matched(&self, matching: &Matching) -> bool {
        matching.on == matching.labels.iter().any(|it| it == self.label)
    }

    fn binary(&self, binary: &mut Binary) -> Option<()> {
        let is_scalar = |node: &Node| node.value_type() == ValueType::Scalar;
        let Binary { matching, left, right, .. } = binary;
        match (is_scalar(left), is_scalar(right)) {
            (true, true) => return None,
            (true, false) => **right = self.node(right)?,
            (false, true) => **left = self.node(left)?,
            (false, false) if self.is_matched(matching) => {
                // Either side alone decides which pairs there are.
                let both = [&mut *left, &mut *right].map(|side| self.narrow(side));
                both.contains(&true).then_some(())?;
            }
            (false, false) => {
                // The elements are those of the side with many, each with what the other one has
                // for it, whoever that is of.
                let (many, taken) = match &matching.cardinality {
                    Cardinality::OneToOne => return None,
                    Cardinality::ManyToOne(taken) => (left, taken),
                    Cardinality::OneToMany(taken) => (right, taken),
                };
                if taken.iter().any(|it| it == self.label) {
                    return None;
                }
                **many = self.node(many)?;
            }
        }
        Some(())
    }

    fn set(&self, op: SetOp, matching: &Matching, left: &mut Node, right: &mut Node) -> Option<()> {
        let is_matched = self.is_matched(matching);
        match op {
            // An element on the left with another value may keep one on the right away.
            SetOp::Or if !is_matched => return None,
            SetOp::Or => {
                *left = self.node(left)?;
                *right = self.node(right)?;
            }
            SetOp::And if is_matched => {
                let both = [left, right].map(|side| self.narrow(side));
                both.contains(&true).then_some(())?;
            }
            SetOp::And | SetOp::Unless => {
                *left = self.node(left)?;
                if is_matched {
                    self.narrow(right);
                }
            }
        }
        Some(())
    }

    /// Narrows a node where that is possible; says whether it was.
    fn narrow(&self, node: &mut Node) -> bool {
        let narrowed = self.node(node);
        let is_narrowed = narrowed.is_some();
        narrowed.into_iter().for_each(|it| *node = it);
        is_narrowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let expr = Expr::parse(text).expect("a good expression");
        let found = expr.only("i", &["a.b", "c"]);
        // As short as it may be read.
        let short = found.map(|it| {
            let it = it.replace("i=~\"a\\\\.b|c\"", "only").replace(" ()", "()");
            ["a", "b"].iter().fold(it, |it, name| {
                it.replace(&format!("{{__name__=\"{name}\",only}}"), &name.to_uppercase())
                    .replace(&format!("{{__name__=\"{name}\"}}"), name)
            })
        });
        assert_eq!(short.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_has_the_label_of_its_series_is_narrowed() {
        check("a", Some("A"));
        check("rate(a[1m] offset 2m)", Some("rate(A[60000ms] offset 120000ms)"));
        check("timestamp(a) * 2", Some("(timestamp(A)) * (2.0)"));
        check("2 - -a", Some("(2.0) - (-(A))"));
        check(
            "max_over_time(rate(a[1m])[1h:1m])",
            Some("max_over_time((rate(A[60000ms]))[3600000ms:60000ms])"),
        );
        check("sum by (i, j) (a)", Some("sum by (i, j) (A)"));
        check("avg without (cpu) (a)", Some("avg without (cpu) (A)"));
        check("topk by (i) (2, a)", Some("topk by (i) (2.0, A)"));
        check("count_values by (i) (\"v\", a)", Some("count_values by (i) (\"v\", A)"));
        check("histogram_quantile(0.9, a)", Some("histogram_quantile(0.9, A)"));
        check("a / b", Some("(A) / (B)"));
        check("a > on (i) b", Some("(A) > on (i) (B)"));
        check("a * ignoring (j) group_left (k) b", Some("(A) * ignoring (j) group_left (k) (B)"));
        check("a or b", Some("(A) or (B)"));
        check("a and on (i) b", Some("(A) and on (i) (B)"));
        check("a unless b", Some("(A) unless (B)"));
    }

    #[test]
    fn what_is_of_the_whole_fleet_stays_so() {
        for text in [
            "sum(a)",
            "sum by (j) (a)",
            "max without (i) (a)",
            "topk(3, a)",
            "count_values by (j) (\"i\", a)",
            "count_values by (i) (\"i\", a)",
            "absent(a)",
            "vector(scalar(a))",
            "time()",
            "hour()",
            "1 + 2",
            // The label is dropped, or comes from elsewhere.
            "a / on (j) b",
            "a / ignoring (i) b",
            "a / on (j) group_left (i) b",
            // Another entity's element may keep one away.
            "a or on (j) b",
            "sum(a) or b",
        ] {
            check(text, None);
        }
        // The share of the fleet: of the sampled ones, in the whole.
        check("a / on() group_left sum(a)", Some("(A) / on() group_left() (sum by() (a))"));
        check("sum(a) / on() group_right b", Some("(sum by() (a)) / on() group_right() (B)"));
        check("a / scalar(sum(a))", Some("(A) / (scalar(sum by() (a)))"));
        check("a and on (j) b", Some("(A) and on (j) (b)"));
        check("a unless on (j) b", Some("(A) unless on (j) (b)"));
        check("a and on() (sum(b) > 1)", Some("(A) and on() ((sum by() (b)) > (1.0))"));
        check("quantile by (i) (scalar(b), a)", Some("quantile by (i) (scalar(b), A)"));
    }

    #[test]
    fn a_label_that_is_made_is_not_the_series_own() {
        check("label_replace(a, \"i\", \"$1\", \"node\", \"(.*)\")", None);
        check("label_join(a, \"i\", \":\", \"host\", \"port\")", None);
        check(
            "label_replace(a, \"j\", \"$1\", \"i\", \"(.*)\")",
            Some("label_replace(A, \"j\", \"$1\", \"i\", \"(.*)\")"),
        );
        // What it is matched with has the label of its own.
        let made = "label_replace(a, \"i\", \"$1\", \"node\", \"(.*)\")";
        check(&format!("{made} / b"), Some(&format!("({made}) / (B)")));
        check(&format!("{made} and on (i) b"), Some(&format!("({made}) and on (i) (B)")));
        check(&format!("{made} unless on (i) b"), None);
        check(&format!("b unless on (i) {made}"), Some(&format!("(B) unless on (i) ({made})")));
        check(&format!("{made} or b"), None);
    }

    #[test]
    fn what_cannot_be_written_back_is_left_whole() {
        let expr = Expr::parse("a").expect("a good expression");
        assert_eq!(expr.only("i", &["a\u{301}\u{7f}"]), None);
        let many: Vec<String> = (0..20_000).map(|i| format!("host-{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(expr.only("i", &many), None, "too long");
        let quoted = expr.only("i", &["a\"\\"]).expect("a text");
        assert_eq!(quoted, r#"{__name__="a",i=~"a\"\\\\"}"#);
    }
}
