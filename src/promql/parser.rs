//! The parser: from tokens to a tree, with types and limits checked where something is built.
//!
//! Binary operators are read by their precedence (Pratt), everything else by recursive descent.
//! The depth of the recursion, here and in whatever walks the tree later, is bounded by counting
//! operators and brackets.
//! Source: Prometheus `promql/parser/generated_parser.y`, `checkAST` in `promql/parser/parse.go`.

use std::fmt::Display;

use crate::labels::Labels;

use super::annotation::Site;
use super::error::{EvalError, Fault, Reason};
use super::expr::{Node, Number, Source, ValueType};
use super::grouping;
use super::infix::{self, Infix};
use super::lexer::{Kind, Token, tokens};
use super::map::MapFunction;
use super::{call, selector};

/// The longest text; several times what a person would write.
pub(super) const MAX_TEXT_BYTES: usize = 64 << 10;

/// The most operators and brackets outside of `{}`. The trees of this many levels that they can
/// make fit several times into the smallest stack of a thread, 2 MiB.
const MAX_OPERATORS: u64 = 500;

/// Reads a text that has a value at an instant and is evaluated again and again, a feature.
pub(super) fn feature(text: &str) -> Result<Node, Fault> {
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
pub(super) fn query(text: &str, times: (i64, i64)) -> Result<Parsed, Fault> {
    read(text, Some(times))
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) whole: Operand,
    /// Why a query has no value, whatever the series.
    pub(super) failed: Option<EvalError>,
    /// The calls of a query that may have annotations, in the order in which they are evaluated.
    pub(super) sites: Vec<Site>,
}

fn read(text: &str, times: Option<(i64, i64)>) -> Result<Parsed, Fault> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Fault::limit(0, "a length in bytes", text.len() as u64, MAX_TEXT_BYTES as u64));
    }
    let mut parser =
        Parser { tokens: tokens(text), next: 0, times, operators: 0, failed: None, sites: vec![] };
    if parser.peek().kind == Kind::End {
        return Err(Fault::syntax(0, "no expression found in input"));
    }
    let whole = parser.expression(0)?;
    match parser.peek().kind {
        Kind::End => Ok(Parsed { whole, failed: parser.failed, sites: parser.sites }),
        _ => Err(parser.unexpected("", "")),
    }
}

/// A piece of the text that is an expression by itself.
#[derive(Debug)]
pub(super) struct Operand {
    /// Where it begins.
    pub(super) at: usize,
    /// Where it begins without the parentheses that it stands in.
    pub(super) bare_at: usize,
    pub(super) value: Value,
    /// It stands in parentheses, which are not part of what may be modified.
    pub(super) enclosed: bool,
    /// For selectors: the labels that `absent` of it has.
    pub(super) absent: Labels,
    /// At how many instants the subqueries inside evaluate something, at most.
    pub(super) steps: u64,
}

/// What an expression is.
#[derive(Debug)]
pub(super) enum Value {
    Instant(Node),
    Range(Source),
    Text(String),
}

impl Operand {
    pub(super) fn new(at: usize, node: Node, steps: u64) -> Self {
        Self::of(at, Value::Instant(node), steps)
    }

    pub(super) fn of(at: usize, value: Value, steps: u64) -> Self {
        Self { at, bare_at: at, value, enclosed: false, absent: Labels::empty(), steps }
    }

    /// The type in the words of Prometheus's documentation.
    pub(super) fn type_name(&self) -> &'static str {
        match &self.value {
            Value::Range(_) => "range vector",
            Value::Text(_) => "string",
            Value::Instant(node) => match node.value_type() {
                ValueType::Scalar => "scalar",
                ValueType::Vector => "instant vector",
            },
        }
    }
}

/// The state of reading one text.
pub(super) struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    times: Option<(i64, i64)>,
    operators: u64,
    failed: Option<EvalError>,
    sites: Vec<Site>,
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> &Token<'a> {
        &self.tokens[self.next]
    }

    fn peek_second(&self) -> &Token<'a> {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)]
    }

    /// Takes a token; the last one again and again.
    pub(super) fn bump(&mut self) -> Token<'a> {
        let token = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes the next token if it is this mark.
    pub(super) fn take(&mut self, mark: &str) -> bool {
        let found = self.peek().is(mark);
        if found {
            self.bump();
        }
        found
    }

    /// Takes the next token if it is this keyword.
    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_word(keyword);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn expect(&mut self, mark: &str, place: &str, expected: &str) -> Result<(), Fault> {
        if self.take(mark) { Ok(()) } else { Err(self.unexpected(place, expected)) }
    }

    /// The next token cannot stand here.
    pub(super) fn unexpected(&self, place: &str, expected: &str) -> Fault {
        let token = self.peek();
        let mut message = token.describe();
        if !matches!(token.kind, Kind::Wrong(_)) {
            message.insert_str(0, "unexpected ");
            if !place.is_empty() {
                message += " in ";
                message += place;
            }
            if !expected.is_empty() {
                message += ", expected ";
                message += expected;
            }
        }
        Fault::syntax(token.at, message)
    }

    /// Counts the operator or bracket that was just taken.
    pub(super) fn count(&mut self, at: usize) -> Result<(), Fault> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            let what = "a number of operators and brackets";
            return Err(Fault::limit(at, what, self.operators, MAX_OPERATORS));
        }
        Ok(())
    }

    /// What `start()` and `end()` mean; `None` in a feature, where `@` is not allowed.
    pub(super) fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    /// The query can be read, but has no value. The first reason counts.
    pub(super) fn fail(&mut self, error: EvalError) {
        self.failed.get_or_insert(error);
    }

    /// Remembers a call of a query that may have annotations, by where its first and last argument begin.
    pub(super) fn annotate(&mut self, node: &Node, arguments: [usize; 2]) {
        if self.times.is_some() {
            self.sites.extend(Site::of(node, arguments));
        }
    }

    /// An expression whose operators bind at least so tightly.
    pub(super) fn expression(&mut self, power: u8) -> Result<Operand, Fault> {
        let mut left = self.prefix()?;
        while let Some(infix) = Infix::of(self.peek()).filter(|infix| infix.power >= power) {
            let at = self.bump().at;
            self.count(at)?;
            let modifiers = grouping::binary_modifiers(self)?;
            let right = self.expression(infix.power_of_right())?;
            left = infix::combine(infix, at, modifiers, left, right)?;
        }
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Operand, Fault> {
        let minus = self.peek().is("-");
        if !minus && !self.peek().is("+") {
            let operand = self.primary()?;
            return self.modified(operand);
        }
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
            Kind::Number(number) | Kind::Duration(number) => {
                self.bump();
                Ok(Operand::new(at, Node::Number(Number(number)), 1))
            }
            Kind::Text(text) => {
                self.bump();
                Ok(Operand::of(at, Value::Text(text), 1))
            }
            Kind::Mark if token.text == "(" => {
                self.bump();
                self.count(at)?;
                let mut operand = self.expression(0)?;
                self.expect(")", "", "")?;
                operand.enclosed = true;
                operand.at = at;
                Ok(operand)
            }
            Kind::Mark if token.text == "{" => selector::instant(self),
            Kind::Word => {
                let second = self.peek_second();
                if grouping::is_aggregation(token.text)
                    && (bracket_follows || second.is_word("by") || second.is_word("without"))
                {
                    return grouping::aggregation(self);
                }
                if bracket_follows && !token.text.contains(':') && !is_keyword(token.text) {
                    return call::call(self);
                }
                if ["bool", "on", "ignoring", "group_left", "group_right", "atan2"]
                    .iter()
                    .any(|keyword| token.is_word(keyword))
                {
                    return Err(self.unexpected("", ""));
                }
                selector::instant(self)
            }
            Kind::Mark | Kind::End | Kind::Wrong(_) => Err(self.unexpected("", "")),
        }
    }

    /// The operands between parentheses.
    pub(super) fn arguments(&mut self) -> Result<Vec<Operand>, Fault> {
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

impl Fault {
    pub(super) fn syntax(at: usize, message: impl Into<String>) -> Self {
        Self { at, reason: Reason::Syntax(message.into()) }
    }

    /// `what` is a subject: "… is not supported".
    pub(super) fn unsupported(at: usize, what: impl Display) -> Self {
        Self { at, reason: Reason::Unsupported(format!("{what} is not supported")) }
    }

    pub(super) fn limit(at: usize, what: &'static str, is: u64, limit: u64) -> Self {
        Self { at, reason: Reason::Limit { what, is, limit } }
    }
}
