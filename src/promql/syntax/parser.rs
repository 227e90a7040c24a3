//! The parser: from tokens to a tree, with types and limits checked where something is built.
//!
//! Binary operators are read by their precedence (Pratt), everything else by recursive descent.
//! The depth of the recursion, here and in whatever walks the tree later, is bounded by counting
//! operators and brackets.
//! Source: Prometheus `promql/parser/generated_parser.y`, `checkAST` in `promql/parser/parse.go`.

use super::cursor::Cursor;
use super::error::Fault;
use super::function::MapFunction;
use super::grouping;
use super::infix::{self, Infix};
use super::lexer::TokenKind;
use super::operand::{Operand, Value};
use super::site::Site;
use super::tree::{Node, Number, ValueType};
use super::{call, selector};

/// The longest text; several times what a person would write.
pub(crate) const MAX_TEXT_BYTES: usize = 64 << 10;

/// Reads a text that has a value at an instant and is evaluated again and again, a feature.
pub(crate) fn feature(text: &str) -> Result<Node, Fault> {
    let whole = read(text, None)?.whole;
    match whole.value {
        Value::Instant(node) => Ok(node),
        Value::Text(_) => Err(Fault::syntax(whole.at, "a string has no value at an instant")),
        Value::Range(_) => Err(Fault::syntax(
            whole.at,
            "a range vector has no value at an instant; put a function such as rate() around it",
        )),
    }
}

/// Reads a text that is evaluated once; `times` are what `start()` and `end()` mean.
pub(crate) fn query(text: &str, times: (i64, i64)) -> Result<Parsed, Fault> {
    read(text, Some(times))
}

/// A text that was read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) whole: Operand,
    /// Why a query has no value, whatever the series.
    pub(crate) failed: Option<Box<str>>,
    /// What may have annotations in a query, in the order in which it is evaluated.
    pub(crate) sites: Vec<Site>,
}

fn read(text: &str, times: Option<(i64, i64)>) -> Result<Parsed, Fault> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Fault::limit(0, "a length in bytes", text.len() as u64, MAX_TEXT_BYTES as u64));
    }
    let mut cursor = Cursor::new(text, times);
    if cursor.peek().kind == TokenKind::End {
        return Err(Fault::syntax(0, "no expression found in input"));
    }
    let whole = cursor.expression(0)?;
    match cursor.peek().kind {
        TokenKind::End => Ok(Parsed { whole, failed: cursor.failed, sites: cursor.sites }),
        _ => Err(cursor.unexpected("", "")),
    }
}

/// By recursive descent. What a nested text takes of the stack is what these functions hold while they wait for
/// one another, so that what they call once the inner one is done, or before it, is not put into them.
impl Cursor<'_> {
    /// An expression whose operators bind at least so tightly.
    fn expression(&mut self, power: u8) -> Result<Operand, Fault> {
        let mut left = self.prefix()?;
        while let Some(infix) = Infix::of(self.peek()).filter(|infix| infix.power >= power) {
            let at = self.bump().at;
            self.count(at)?;
            let modifiers = grouping::binary_modifiers(self)?;
            let right = self.expression(infix.power_of_right())?;
            left = infix::combine(self, (infix, at), modifiers, left, right)?;
        }
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Operand, Fault> {
        if self.peek().is("-") || self.peek().is("+") {
            return self.signed();
        }
        let operand = self.primary()?;
        self.modified(operand)
    }

    /// A sign and its operand.
    #[inline(never)]
    fn signed(&mut self) -> Result<Operand, Fault> {
        let minus = self.peek().is("-");
        let at = self.bump().at;
        self.count(at)?;
        let operand = self.expression(infix::POWER_OF_SIGN)?;
        let Value::Instant(node) = operand.value else {
            return Err(Fault::syntax(
                at,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant \
                     vector, got {:?}",
                    operand.type_name()
                ),
            ));
        };
        let node = if minus { negated(node) } else { node };
        Ok(Operand::new(at, node, operand.steps))
    }

    /// Ranges, `offset` and `@` after an operand.
    #[inline(never)]
    fn modified(&mut self, mut operand: Operand) -> Result<Operand, Fault> {
        loop {
            if self.peek().is("[") {
                let at = self.bump().at;
                self.count(at)?;
                operand = selector::range(self, operand, at)?;
            } else if self.peek().is_word("offset") {
                self.bump();
                selector::offset(self, &mut operand)?;
            } else if self.peek().is("@") {
                let at = self.bump().at;
                selector::at(self, &mut operand, at)?;
            } else {
                return Ok(operand);
            }
        }
    }

    fn primary(&mut self) -> Result<Operand, Fault> {
        let token = self.peek().clone();
        let at = token.at;
        let bracket_follows = self.peek_second().is("(");
        match token.kind {
            TokenKind::Number(number) | TokenKind::Duration(number) => {
                self.bump();
                Ok(Operand::new(at, Node::Number(Number(number)), 1))
            }
            TokenKind::Text(text) => {
                self.bump();
                Ok(Operand::of(at, Value::Text(text), 1))
            }
            TokenKind::Mark if token.text == "(" => {
                self.bump();
                self.count(at)?;
                let mut operand = self.expression(0)?;
                self.expect(")", "", "")?;
                operand.enclosed = true;
                operand.at = at;
                Ok(operand)
            }
            TokenKind::Mark if token.text == "{" => selector::instant(self),
            TokenKind::Word => {
                let second = self.peek_second();
                if grouping::is_aggregation(token.text)
                    && (bracket_follows || second.is_word("by") || second.is_word("without"))
                {
                    return self.aggregation();
                }
                if bracket_follows && !token.text.contains(':') && !is_keyword(token.text) {
                    return self.call();
                }
                if ["bool", "on", "ignoring", "group_left", "group_right", "atan2"]
                    .iter()
                    .any(|keyword| token.is_word(keyword))
                {
                    return Err(self.unexpected("", ""));
                }
                selector::instant(self)
            }
            TokenKind::Mark | TokenKind::End | TokenKind::Wrong(_) => Err(self.unexpected("", "")),
        }
    }

    /// An aggregation, whose name is the next token.
    #[inline(never)]
    fn aggregation(&mut self) -> Result<Operand, Fault> {
        let token = self.bump();
        let before = grouping::clause(self)?;
        if !self.peek().is("(") {
            return Err(self.unexpected("aggregation", ""));
        }
        let arguments = self.arguments()?;
        let grouping = if before.is_none() { grouping::clause(self)? } else { before };
        grouping::aggregation(self, &token, grouping, arguments)
    }

    /// A call, of which the next token is the name.
    fn call(&mut self) -> Result<Operand, Fault> {
        let token = self.bump();
        let signature = call::signature(&token)?;
        let arguments = self.arguments()?;
        call::call(self, &token, &signature, arguments)
    }

    /// The operands between parentheses.
    fn arguments(&mut self) -> Result<Vec<Operand>, Fault> {
        let at = self.peek().at;
        self.expect("(", "", "")?;
        self.count(at)?;
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            let comma = self.peek().at;
            if self.take(")") {
                return Ok(arguments);
            }
            self.expect(",", "", "")?;
            if self.peek().is(")") {
                let message = "trailing commas not allowed in function call args";
                return Err(Fault::syntax(comma, message));
            }
        }
    }
}

/// Words that may be the name of a metric but not of a function.
fn is_keyword(word: &str) -> bool {
    ["by", "without", "offset", "and", "or", "unless", "start", "end"]
        .iter()
        .chain(&["bool", "on", "ignoring", "group_left", "group_right", "atan2"])
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn negated(node: Node) -> Node {
    match node {
        Node::Number(number) => Node::Number(Number(-number.0)),
        node if node.value_type() == ValueType::Vector => {
            Node::Map { function: MapFunction::Negate, vector: Box::new(node), parameters: vec![] }
        }
        // Times minus one is the negation, of zero and NaN too.
        node => infix::product(Node::Number(Number(-1.0)), node),
    }
}
