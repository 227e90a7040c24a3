//! A clause with labels: `by` and `without` of an aggregation, `on`, `ignoring`, `group_left` and
//! `group_right` of a binary operator, and the aggregation itself.
//!
//! Source: Prometheus `promql/parser/generated_parser.y`.

use super::aggregate::{AggregateOp, Fold};
use super::error::{EvalError, Fault};
use super::expr::{Grouping, Node, ValueType, sorted};
use super::lexer::Kind;
use super::matching::{Cardinality, Matching};
use super::parser::{Operand, Parser, Value};

/// What stands between a binary operator and its right operand.
#[derive(Debug)]
pub(super) struct Modifiers {
    pub(super) return_bool: bool,
    pub(super) matching: Matching,
}

/// What an aggregation is called.
const AGGREGATIONS: [(&str, Kin); 14] = [
    ("sum", Kin::Fold(Fold::Sum)),
    ("avg", Kin::Fold(Fold::Avg)),
    ("min", Kin::Fold(Fold::Min)),
    ("max", Kin::Fold(Fold::Max)),
    ("count", Kin::Fold(Fold::Count)),
    ("group", Kin::Fold(Fold::Group)),
    ("stddev", Kin::Fold(Fold::Stddev)),
    ("stdvar", Kin::Fold(Fold::Stdvar)),
    ("quantile", Kin::Quantile),
    ("topk", Kin::Top { largest: true }),
    ("bottomk", Kin::Top { largest: false }),
    ("count_values", Kin::CountValues),
    ("limitk", Kin::Experimental),
    ("limit_ratio", Kin::Experimental),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kin {
    Fold(Fold),
    Quantile,
    Top { largest: bool },
    CountValues,
    Experimental,
}

fn kin(word: &str) -> Option<(&'static str, Kin)> {
    AGGREGATIONS.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name))
}

/// Whether a word is the name of an aggregation.
pub(super) fn is_aggregation(word: &str) -> bool {
    kin(word).is_some()
}

/// What the aggregation is called that a node is, if it is one.
pub(super) fn aggregation_name(node: &Node) -> Option<&'static str> {
    let kin = match node {
        Node::Aggregate { op: AggregateOp::Fold(fold), .. } => Kin::Fold(*fold),
        Node::Aggregate { op: AggregateOp::Quantile, .. } => Kin::Quantile,
        Node::Top { largest, .. } => Kin::Top { largest: *largest },
        Node::CountValues { .. } => Kin::CountValues,
        _ => return None,
    };
    AGGREGATIONS.into_iter().find(|(_, other)| *other == kin).map(|(name, _)| name)
}

/// Reads an aggregation, whose name is the next token.
pub(super) fn aggregation(parser: &mut Parser) -> Result<Operand, Fault> {
    let token = parser.bump();
    let (name, kin) = kin(token.text).expect("the caller looked");
    let mut grouping = clause(parser)?;
    if !parser.peek().is("(") {
        return Err(parser.unexpected("aggregation", ""));
    }
    let mut arguments = parser.arguments()?;
    if grouping.is_none() {
        grouping = clause(parser)?;
    }
    if arguments.is_empty() {
        let message = "no arguments for aggregate expression provided";
        return Err(Fault::syntax(token.at, message));
    }
    if kin == Kin::Experimental {
        let what = format!("the aggregation {name}(), experimental in Prometheus,");
        return Err(Fault::unsupported(token.at, what));
    }
    let expected = if matches!(kin, Kin::Fold(_)) { 1 } else { 2 };
    if arguments.len() != expected {
        return Err(Fault::syntax(
            token.at,
            format!(
                "wrong number of arguments for aggregate expression provided, expected \
                 {expected}, got {}",
                arguments.len()
            ),
        ));
    }
    let steps = arguments.iter().map(|argument| argument.steps).max().unwrap_or(1);
    let place = arguments[0].bare_at;
    let vector = arguments.pop().expect("there are as many as expected");
    let vector = Box::new(vector.vector("aggregation expression")?);
    let mut parameter = || arguments.pop().expect("there are as many as expected");
    let mut scalar = || parameter().scalar("aggregation parameter").map(Box::new);
    let grouping = grouping.unwrap_or(Grouping { without: false, labels: vec![] });
    let node = match kin {
        Kin::Fold(fold) => {
            Node::Aggregate { op: AggregateOp::Fold(fold), grouping, parameter: None, vector }
        }
        Kin::Quantile => {
            let parameter = Some(scalar()?);
            Node::Aggregate { op: AggregateOp::Quantile, grouping, parameter, vector }
        }
        Kin::Top { largest } => Node::Top { largest, grouping, count: scalar()?, vector },
        Kin::CountValues => {
            let parameter = parameter();
            let at = parameter.at;
            let label = parameter.text("aggregation parameter")?;
            if label.is_empty() {
                let message = "invalid label name \"\"";
                if parser.times().is_none() {
                    return Err(Fault::syntax(at, message));
                }
                parser.fail(EvalError::Argument(message.into()));
            }
            Node::CountValues { label, grouping, vector }
        }
        Kin::Experimental => unreachable!("refused above"),
    };
    parser.annotate(&node, [place; 2]);
    Ok(Operand::new(token.at, node, steps))
}

/// `by (…)` or `without (…)`, if there is one.
fn clause(parser: &mut Parser) -> Result<Option<Grouping>, Fault> {
    let without = parser.take_word("without");
    if !without && !parser.take_word("by") {
        return Ok(None);
    }
    Ok(Some(Grouping { without, labels: labels(parser)? }))
}

/// `bool`, `on`, `ignoring`, `group_left`, `group_right`.
pub(super) fn binary_modifiers(parser: &mut Parser) -> Result<Modifiers, Fault> {
    let return_bool = parser.take_word("bool");
    let mut matching = Matching { on: parser.take_word("on"), ..Matching::default() };
    if !matching.on && !parser.take_word("ignoring") {
        return Ok(Modifiers { return_bool, matching });
    }
    matching.labels = labels(parser)?;
    let left = parser.take_word("group_left");
    if left || parser.take_word("group_right") {
        let included = if parser.peek().is("(") { labels(parser)? } else { vec![] };
        matching.cardinality =
            if left { Cardinality::ManyToOne(included) } else { Cardinality::OneToMany(included) };
    }
    Ok(Modifiers { return_bool, matching })
}

/// Label names in parentheses, sorted, each once.
fn labels(parser: &mut Parser) -> Result<Vec<String>, Fault> {
    const PLACE: &str = "grouping opts";
    parser.expect("(", PLACE, "\"(\"")?;
    let mut labels = Vec::new();
    loop {
        if (labels.is_empty() || parser.peek().is(")")) && parser.take(")") {
            return Ok(sorted(labels));
        }
        let token = parser.peek().clone();
        let name = match token.kind {
            Kind::Word => token.text.to_owned(),
            Kind::Text(name) if name.is_empty() => {
                return Err(Fault::syntax(token.at, "invalid label name for grouping: \"\""));
            }
            Kind::Text(name) => name,
            _ => return Err(parser.unexpected(PLACE, "label")),
        };
        parser.bump();
        labels.push(name);
        if !parser.take(",") && !parser.peek().is(")") {
            return Err(parser.unexpected(PLACE, "\",\" or \")\""));
        }
    }
}

impl Operand {
    /// Its node, when it is an instant vector.
    pub(super) fn vector(self, place: &str) -> Result<Node, Fault> {
        self.instant(ValueType::Vector, "instant vector", place)
    }

    /// Its node, when it is a scalar.
    pub(super) fn scalar(self, place: &str) -> Result<Node, Fault> {
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
    pub(super) fn text(self, place: &str) -> Result<String, Fault> {
        let wrong = self.wrong_type("string", place);
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(wrong),
        }
    }

    pub(super) fn wrong_type(&self, wanted: &str, place: &str) -> Fault {
        let message = format!("expected type {wanted} in {place}, got {}", self.type_name());
        Fault::syntax(self.at, message)
    }
}
