//! An operand: a piece of the text that is an expression by itself, with where it stands.

use crate::labels::Labels;

use super::error::Fault;
use super::tree::{Node, Source, ValueType};

/// A piece of the text that is an expression by itself.
#[derive(Debug)]
pub(crate) struct Operand {
    /// Where it begins.
    pub(crate) at: usize,
    /// Where it begins without the parentheses that it stands in.
    pub(crate) bare_at: usize,
    pub(crate) value: Value,
    /// It stands in parentheses, which are not part of what may be modified.
    pub(crate) enclosed: bool,
    /// For selectors: the labels that `absent` of it has.
    pub(crate) absent: Labels,
    /// At how many instants the subqueries inside evaluate something, at most.
    pub(crate) steps: u64,
}

/// What an expression is.
#[derive(Debug)]
pub(crate) enum Value {
    Instant(Node),
    Range(Source),
    Text(String),
}

impl Operand {
    pub(crate) fn new(at: usize, node: Node, steps: u64) -> Self {
        Self::of(at, Value::Instant(node), steps)
    }

    pub(crate) fn of(at: usize, value: Value, steps: u64) -> Self {
        Self { at, bare_at: at, value, enclosed: false, absent: Labels::empty(), steps }
    }

    /// The type in the words of Prometheus's documentation.
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.value {
            Value::Range(_) => "range vector",
            Value::Text(_) => "string",
            Value::Instant(node) => match node.value_type() {
                ValueType::Scalar => "scalar",
                ValueType::Vector => "instant vector",
            },
        }
    }

    /// Its node, when it is an instant vector.
    pub(crate) fn vector(self, place: &str) -> Result<Node, Fault> {
        self.instant(ValueType::Vector, "instant vector", place)
    }

    /// Its node, when it is a scalar.
    pub(crate) fn scalar(self, place: &str) -> Result<Node, Fault> {
        self.instant(ValueType::Scalar, "scalar", place)
    }

    fn instant(self, wanted: ValueType, name: &str, place: &str) -> Result<Node, Fault> {
        let wrong = self.wrong_type(name, place);
        match self.value {
            Value::Instant(node) if node.value_type() == wanted => Ok(node),
            _ => Err(wrong),
        }
    }

    /// Its text, when it is a string.
    pub(crate) fn text(self, place: &str) -> Result<String, Fault> {
        let wrong = self.wrong_type("string", place);
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(wrong),
        }
    }

    pub(crate) fn wrong_type(&self, wanted: &str, place: &str) -> Fault {
        let message = format!("expected type {wanted} in {place}, got {}", self.type_name());
        Fault::syntax(self.at, message)
    }
}
