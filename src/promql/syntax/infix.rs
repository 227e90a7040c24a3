//! An infix operator: how tightly it binds, and what it makes of two operands.
//!
//! Source: Prometheus `promql/parser/generated_parser.y` (precedence), `checkAST` (types).

use super::clause::{Cardinality, Matching};
use super::cursor::Cursor;
use super::error::Fault;
use super::grouping::Modifiers;
use super::lexer::{Token, TokenKind};
use super::operand::{Operand, Value};
use super::operator::{BinaryOp, SetOp};
use super::tree::{Binary, Node, ValueType};

/// What a sign before an operand binds tighter than: everything but `^`.
pub(super) const POWER_OF_SIGN: u8 = 6;

/// An infix operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Infix {
    op: Op,
    name: &'static str,
    /// Operators of a higher power are applied first.
    pub(super) power: u8,
}

/// Which operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Set(SetOp),
    Binary(BinaryOp),
}

/// All operators with their powers.
const OPERATORS: [(&str, Op, u8); 16] = [
    ("or", Op::Set(SetOp::Or), 1),
    ("and", Op::Set(SetOp::And), 2),
    ("unless", Op::Set(SetOp::Unless), 2),
    ("==", Op::Binary(BinaryOp::Equal), 3),
    ("!=", Op::Binary(BinaryOp::NotEqual), 3),
    (">", Op::Binary(BinaryOp::Greater), 3),
    ("<", Op::Binary(BinaryOp::Less), 3),
    (">=", Op::Binary(BinaryOp::GreaterEqual), 3),
    ("<=", Op::Binary(BinaryOp::LessEqual), 3),
    ("+", Op::Binary(BinaryOp::Add), 4),
    ("-", Op::Binary(BinaryOp::Sub), 4),
    ("*", Op::Binary(BinaryOp::Mul), 5),
    ("/", Op::Binary(BinaryOp::Div), 5),
    ("%", Op::Binary(BinaryOp::Mod), 5),
    ("atan2", Op::Binary(BinaryOp::Atan2), 5),
    ("^", Op::Binary(BinaryOp::Pow), 6),
];

impl Infix {
    /// The operator that a token is.
    pub(super) fn of(token: &Token) -> Option<Self> {
        if !matches!(token.kind, TokenKind::Mark | TokenKind::Word) {
            return None;
        }
        let found = OPERATORS.iter().find(|(name, ..)| token.text.eq_ignore_ascii_case(name));
        found.map(|(name, op, power)| Self { op: *op, name, power: *power })
    }

    /// How an operator is written.
    pub(super) fn name_of(op: Op) -> &'static str {
        let found = OPERATORS.iter().find(|(_, other, _)| *other == op);
        found.map(|(name, ..)| *name).expect("all are in the table")
    }

    /// The least power of operators in its right operand; `^` groups to the right.
    pub(super) fn power_of_right(self) -> u8 {
        if self.name == "^" { self.power } else { self.power + 1 }
    }
}

/// The node of an operator that stands at `at`.
#[inline(never)]
pub(super) fn combine(
    cursor: &mut Cursor,
    (infix, at): (Infix, usize),
    modifiers: Modifiers,
    left: Operand,
    right: Operand,
) -> Result<Operand, Fault> {
    let (start, steps) = (left.at, left.steps.max(right.steps));
    let (left, right) = (instant(left)?, instant(right)?);
    let scalars = |node: &Node| node.value_type() == ValueType::Scalar;
    let vectors = !scalars(&left) && !scalars(&right);
    let Modifiers { return_bool, matching } = modifiers;
    let comparison = matches!(infix.op, Op::Binary(op) if op.is_comparison());
    if return_bool && !comparison {
        let message = "bool modifier can only be used on comparison operators";
        return Err(Fault::syntax(at, message));
    }
    if comparison && !return_bool && scalars(&left) && scalars(&right) {
        return Err(Fault::syntax(at, "comparisons between scalars must use BOOL modifier"));
    }
    if let Some(label) = matching.in_both_clauses() {
        let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
        return Err(Fault::syntax(at, message));
    }
    if !vectors && !matching.labels.is_empty() {
        let message = "vector matching only allowed between instant vectors";
        return Err(Fault::syntax(start, message));
    }
    let (left, right) = (Box::new(left), Box::new(right));
    let node = match infix.op {
        Op::Set(_) if !vectors => {
            return Err(Fault::syntax(
                start,
                format!("set operator {:?} not allowed in binary scalar expression", infix.name),
            ));
        }
        Op::Set(_) if matching.cardinality != Cardinality::OneToOne => {
            let message = format!("no grouping allowed for {:?} operation", infix.name);
            return Err(Fault::syntax(start, message));
        }
        Op::Set(op) => Node::Set { op, matching, left, right },
        Op::Binary(op) => {
            let matching = if vectors { matching } else { Matching::default() };
            Node::Binary(Binary { op, return_bool, matching, left, right })
        }
    };
    cursor.annotate(&node, infix.name, [start; 2]);
    Ok(Operand::new(start, node, steps))
}

fn instant(operand: Operand) -> Result<Node, Fault> {
    match operand.value {
        Value::Instant(node) => Ok(node),
        _ => Err(Fault::syntax(
            operand.at,
            "binary expression must contain only scalar and instant vector types",
        )),
    }
}

/// The product of two nodes.
pub(super) fn product(left: Node, right: Node) -> Node {
    Node::Binary(Binary {
        op: BinaryOp::Mul,
        return_bool: false,
        matching: Matching::default(),
        left: Box::new(left),
        right: Box::new(right),
    })
}
