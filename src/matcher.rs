//! A matcher: one condition on one label, and a selector: several of them.
//!
//! Regular expressions are anchored at both ends and a dot matches a newline; a label that a set
//! does not have counts as the empty string.
//! Source: Prometheus documentation "Time series selectors", `model/labels/matcher.go`.

use std::fmt;

use crate::labels::{Labels, METRIC_NAME};

pub(crate) mod pattern;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// One condition on one label.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<regex::Regex>,
}

/// Why a matcher cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// The pattern is not a regular expression, or one too large to compile.
    #[error("error parsing regexp: {reason}")]
    Regex {
        /// The label.
        name: String,
        /// The pattern as it was written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Matcher {
    /// A matcher; compiles the pattern of the two regular-expression operators.
    ///
    /// # Errors
    /// When the pattern does not compile.
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let compiled = pattern::compile(&value);
                Some(compiled.map_err(|reason| MatcherError::Regex {
                    name: name.clone(),
                    pattern: value.clone(),
                    reason,
                })?)
            }
        };
        Ok(Self { name, op, value, regex })
    }

    /// The label that is looked at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is compared.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The text it is compared with.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label value satisfies the condition; pass `""` for a label that is not there.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            MatchOp::NotRegex => self.regex.as_ref().is_some_and(|regex| !regex.is_match(value)),
        }
    }
}

/// Two matchers are equal when they were written alike; the compiled pattern follows from that.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.name, self.op, &self.value).hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The conditions that a series must all satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    matchers: Vec<Matcher>,
}

impl Selector {
    /// A selector from its matchers, in any order.
    #[must_use]
    pub fn new(mut matchers: Vec<Matcher>) -> Self {
        matchers.sort_by(|a, b| (&a.name, a.op, &a.value).cmp(&(&b.name, b.op, &b.value)));
        matchers.dedup();
        Self { matchers }
    }

    /// The matchers, sorted, each once.
    #[must_use]
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// The metric name that a series must have, when an `=` matcher says so.
    #[must_use]
    pub fn metric_name(&self) -> Option<&str> {
        self.matchers
            .iter()
            .find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty())
            .map(|m| m.value.as_str())
    }

    /// Whether a label set satisfies every matcher.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|m| m.matches(labels.get(&m.name)))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.matchers.iter().enumerate() {
            write!(f, "{}{matcher}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(op: MatchOp, pattern: &str, value: &str, expected: bool) {
        let matcher = Matcher::new("l", op, pattern).expect("a good pattern");
        assert_eq!(matcher.matches(value), expected, "{matcher} on {value:?}");
    }

    #[test]
    fn the_four_kinds() {
        check(MatchOp::Equal, "a", "a", true);
        check(MatchOp::Equal, "a", "ab", false);
        check(MatchOp::Equal, "", "", true);
        check(MatchOp::NotEqual, "a", "", true);
        check(MatchOp::NotEqual, "a", "a", false);
        check(MatchOp::Regex, "a|b", "b", true);
        check(MatchOp::NotRegex, "a|b", "b", false);
    }

    #[test]
    fn patterns_are_anchored_and_a_dot_matches_a_newline() {
        check(MatchOp::Regex, "a", "ba", false);
        check(MatchOp::Regex, "a|b", "ab", false);
        check(MatchOp::Regex, "a.c", "a\nc", true);
        check(MatchOp::Regex, ".*", "", true);
        check(MatchOp::Regex, ".+", "", false);
        check(MatchOp::NotRegex, "", "x", true);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Matcher::new("job", MatchOp::Regex, "a(").expect_err("unclosed group");
        assert_eq!(error.to_string(), "error parsing regexp: missing closing ): `a(`");
    }

    #[test]
    fn selectors_ignore_the_order_of_their_matchers() {
        let matcher = |n, v| Matcher::new(n, MatchOp::Equal, v).expect("no pattern");
        let a = Selector::new(vec![matcher("__name__", "up"), matcher("job", "node")]);
        let b = Selector::new(vec![matcher("job", "node"), matcher("__name__", "up")]);
        assert_eq!(a, b);
        assert_eq!(a.metric_name(), Some("up"));
        let up = Labels::from_pairs([("__name__", "up"), ("job", "node")]).expect("distinct");
        assert!(a.matches(&up) && !a.matches(&up.with("job", "x")));
    }
}
