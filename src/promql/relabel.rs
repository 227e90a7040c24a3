//! A relabelling: the same values under other labels.
//!
//! Source: Prometheus `promql/functions.go`, `evalLabelReplace`, `evalLabelJoin`.

use std::hash::{Hash, Hasher};

use regex::Regex;

use crate::labels::Labels;
use crate::matcher::pattern;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;

/// How labels change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Relabel {
    /// `label_replace`: where the whole source label matches, the target becomes the replacement.
    Replace { target: String, replacement: String, source: String, pattern: Pattern },
    /// `label_join`: the target becomes the sources with a separator between them.
    Join { target: String, separator: String, sources: Vec<String> },
}

/// A compiled pattern; equal when written alike.
/// In a box, as the parser's recursion holds many nodes on its stack.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Box<Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// The whole label must match. The error says what is wrong with the pattern.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        Ok(Self(Box::new(Compiled { text: text.to_owned(), regex: pattern::compile(text)? })))
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.0.text
    }
}

impl Default for Pattern {
    /// What matches nothing but an empty label.
    fn default() -> Self {
        Self::new("").expect("an empty pattern is a good one")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl Relabel {
    /// The label that is set.
    pub(super) fn target(&self) -> &str {
        match self {
            Self::Replace { target, .. } | Self::Join { target, .. } => target,
        }
    }

    fn apply(&self, labels: &Labels) -> Labels {
        match self {
            Self::Replace { target, replacement, source, pattern } => {
                match pattern.0.regex.captures(labels.get(source)) {
                    Some(captures) => {
                        let mut value = String::new();
                        captures.expand(replacement, &mut value);
                        labels.with(target, &value)
                    }
                    None => labels.clone(),
                }
            }
            Self::Join { target, separator, sources } => {
                let values: Vec<&str> = sources.iter().map(|name| labels.get(name)).collect();
                labels.with(target, &values.join(separator))
            }
        }
    }
}

/// The node of a relabelling.
#[derive(Debug)]
pub(super) struct Relabelled {
    pub(super) relabel: Relabel,
    pub(super) vector: NodeId,
}

impl Relabelled {
    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        out.derive(&input.layout, cx.versions, false, |labels| self.relabel.apply(labels));
        out.copy(input);
        out.check_run(cx, Some(&input.layout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
    }

    #[track_caller]
    fn check_replace(pattern: &str, replacement: &str, expected: &[(&str, &str)]) {
        let relabel = Relabel::Replace {
            target: "host".to_owned(),
            replacement: replacement.to_owned(),
            source: "instance".to_owned(),
            pattern: Pattern::new(pattern).expect("a good pattern"),
        };
        let set = labels(&[("instance", "a:9100"), ("host", "old")]);
        assert_eq!(relabel.apply(&set), labels(expected));
    }

    #[test]
    fn replaces_what_matches_wholly() {
        let a = ("instance", "a:9100");
        check_replace("(.*):.*", "$1", &[a, ("host", "a")]);
        check_replace("(?P<n>.*):.*", "${n}x", &[a, ("host", "ax")]);
        check_replace("(.*):", "$1", &[a, ("host", "old")]);
        check_replace(".*", "", &[a]);
        check_replace(".*", "$$1", &[a, ("host", "$1")]);
    }

    #[test]
    fn joins() {
        let relabel = Relabel::Join {
            target: "c".to_owned(),
            separator: "-".to_owned(),
            sources: vec!["a".to_owned(), "none".to_owned(), "b".to_owned()],
        };
        let set = labels(&[("a", "1"), ("b", "2")]);
        assert_eq!(relabel.apply(&set), labels(&[("a", "1"), ("b", "2"), ("c", "1--2")]));
    }
}
