//! A relabelling as it is written: which label becomes what.

use std::hash::{Hash, Hasher};

use regex::Regex;

use crate::matcher::pattern;

/// How labels change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Relabel {
    /// `label_replace`: where the whole source label matches, the target becomes the replacement.
    Replace { target: String, replacement: String, source: String, pattern: Pattern },
    /// `label_join`: the target becomes the sources with a separator between them.
    Join { target: String, separator: String, sources: Vec<String> },
}

/// A compiled pattern; equal when written alike.
/// In a box, as the parser's recursion holds many nodes on its stack.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Box<Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// The whole label must match. The error says what is wrong with the pattern.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        Ok(Self(Box::new(Compiled { text: text.to_owned(), regex: pattern::compile(text)? })))
    }

    /// Compiled.
    pub(crate) fn regex(&self) -> &Regex {
        &self.0.regex
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
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
    pub(crate) fn target(&self) -> &str {
        match self {
            Self::Replace { target, .. } | Self::Join { target, .. } => target,
        }
    }
}
