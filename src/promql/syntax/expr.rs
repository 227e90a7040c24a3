//! An expression: a text with its tree, and what can be said of both without a store.

use std::sync::Arc;

use super::error::ParseError;
use super::parser;
use super::site::Site;
use super::tree::{Node, ValueType};

/// A parsed and checked PromQL expression that has a value at an instant.
#[derive(Debug, Clone)]
pub struct Expr {
    text: Arc<str>,
    root: Node,
    /// None of a feature.
    sites: Arc<[Site]>,
}

impl Expr {
    /// Reads an expression that is evaluated again and again, a feature. What is asked once, and may
    /// therefore fix times by `@`, is a [`crate::promql::Query`].
    ///
    /// # Errors
    /// When it is not PromQL, has no value at an instant (a range vector, a string), uses
    /// something that is not supported, or is too large.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let root = parser::feature(text).map_err(|fault| ParseError::new(text, fault))?;
        Ok(Self::new(text, root, vec![]))
    }

    pub(in crate::promql) fn new(text: &str, root: Node, sites: Vec<Site>) -> Self {
        Self { text: text.into(), root, sites: sites.into() }
    }

    pub(in crate::promql) fn sites(&self) -> &Arc<[Site]> {
        &self.sites
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the value can never carry labels: every entity has the same.
    #[must_use]
    pub fn is_common(&self) -> bool {
        self.output_labels().is_some_and(|labels| labels.is_empty())
    }

    /// Whether the value depends on the time alone, because no series is read.
    #[must_use]
    pub fn is_calendar(&self) -> bool {
        self.selectors().is_empty()
    }

    /// The only labels that an element of the value can have, sorted, where the expression itself
    /// says so (a scalar: none; `sum by (a, b)`: these two); `None` when the series decide.
    #[must_use]
    pub fn output_labels(&self) -> Option<Vec<String>> {
        self.root.output_labels()
    }

    /// Scalar or vector.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.root.value_type()
    }

    pub(in crate::promql) fn root(&self) -> &Node {
        &self.root
    }
}
