//! A clause with labels: `by` and `without` of an aggregation, `on`, `ignoring`, `group_left` and
//! `group_right` of a binary operator, and the aggregation itself.
//!
//! Source: Prometheus `promql/cursor/generated_parser.y`.

use super::clause::{Cardinality, Grouping, Matching, sorted};
use super::cursor::Cursor;
use super::error::Fault;
use super::lexer::{Token, TokenKind};
use super::operand::Operand;
use super::operator::{AggregateOp, Fold};
use super::tree::Node;

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

/// The aggregation with this token as its name, of what was read after it.
#[inline(never)]
pub(super) fn aggregation(
    cursor: &mut Cursor,
    token: &Token,
    grouping: Option<Grouping>,
    mut arguments: Vec<Operand>,
) -> Result<Operand, Fault> {
    let (name, kin) = kin(token.text).expect("the caller looked");
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
    let places = match (kin, &arguments[..]) {
        (Kin::Quantile, [quantile, vector]) => [quantile.bare_at, vector.at],
        (Kin::Top { .. }, _) => [token.at; 2],
        (_, [.., vector]) => [vector.at; 2],
        (_, []) => [token.at; 2],
    };
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
                if cursor.times().is_none() {
                    return Err(Fault::syntax(at, message));
                }
                cursor.fail(message);
            }
            Node::CountValues { label, grouping, vector }
        }
        Kin::Experimental => unreachable!("refused above"),
    };
    cursor.annotate(&node, name, places);
    Ok(Operand::new(token.at, node, steps))
}

/// `by (…)` or `without (…)`, if there is one.
#[inline(never)]
pub(super) fn clause(cursor: &mut Cursor) -> Result<Option<Grouping>, Fault> {
    let without = cursor.take_word("without");
    if !without && !cursor.take_word("by") {
        return Ok(None);
    }
    Ok(Some(Grouping { without, labels: labels(cursor)? }))
}

/// `bool`, `on`, `ignoring`, `group_left`, `group_right`.
#[inline(never)]
pub(super) fn binary_modifiers(cursor: &mut Cursor) -> Result<Modifiers, Fault> {
    let return_bool = cursor.take_word("bool");
    let mut matching = Matching { on: cursor.take_word("on"), ..Matching::default() };
    if !matching.on && !cursor.take_word("ignoring") {
        return Ok(Modifiers { return_bool, matching });
    }
    matching.labels = labels(cursor)?;
    let left = cursor.take_word("group_left");
    if left || cursor.take_word("group_right") {
        let included = if cursor.peek().is("(") { labels(cursor)? } else { vec![] };
        matching.cardinality =
            if left { Cardinality::ManyToOne(included) } else { Cardinality::OneToMany(included) };
    }
    Ok(Modifiers { return_bool, matching })
}

/// Label names in parentheses, sorted, each once.
fn labels(cursor: &mut Cursor) -> Result<Vec<String>, Fault> {
    const PLACE: &str = "grouping opts";
    cursor.expect("(", PLACE, "\"(\"")?;
    let mut labels = Vec::new();
    loop {
        if (labels.is_empty() || cursor.peek().is(")")) && cursor.take(")") {
            return Ok(sorted(labels));
        }
        let token = cursor.peek().clone();
        let name = match token.kind {
            TokenKind::Word => token.text.to_owned(),
            TokenKind::Text(name) if name.is_empty() => {
                return Err(Fault::syntax(token.at, "invalid label name for grouping: \"\""));
            }
            TokenKind::Text(name) => name,
            _ => return Err(cursor.unexpected(PLACE, "label")),
        };
        cursor.bump();
        labels.push(name);
        if !cursor.take(",") && !cursor.peek().is(")") {
            return Err(cursor.unexpected(PLACE, "\",\" or \")\""));
        }
    }
}
