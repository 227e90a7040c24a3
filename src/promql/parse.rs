//! Parsing: from text through promql-parser's syntax tree to our own, checked on the way.
//!
//! promql-parser checks the grammar and most types. What it lets through and Portent does not
//! evaluate is refused here by name: modifiers `@` and `fill`, experimental functions, native
//! histograms, values that are no instant vector.

use std::panic;

use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinModifier, BinaryExpr, Expr as Ast, LabelModifier, Offset,
    SubqueryExpr, VectorMatchCardinality,
};

use crate::labels::Labels;

use super::aggregate::{AggregateOp, Fold};
use super::binary::BinaryOp;
use super::call;
use super::error::Reason;
use super::expr::{Binary, Grouping, Node, Number, Source, ValueType, sorted};
use super::guard;
use super::map::MapFunction;
use super::matching::{Cardinality, Matching};
use super::selector::{equal_labels, positive_ms, selector, when};
use super::setop::SetOp;
use super::when::When;

/// The step of a subquery without one: Prometheus's default evaluation interval.
const DEFAULT_STEP_MS: i64 = 60_000;

/// The most instants at which a subquery, with those around it, evaluates its vector: what
/// Prometheus allows for the points of one series.
const MAX_SUBQUERY_STEPS: u64 = 11_000;

/// What a text can be as a whole.
pub(super) enum Parsed {
    Instant(Node),
    Range(Source),
    Text(String),
}

/// Reads a text as an expression with a value at an instant that is evaluated again and again.
pub(super) fn feature(text: &str) -> Result<Node, Reason> {
    match read(text, None)? {
        Parsed::Instant(node) => Ok(node),
        Parsed::Text(_) => Err(unsupported("a string as the whole expression")),
        Parsed::Range(_) => Err(Reason::Argument(
            "a range has no value at an instant; put a function such as rate() around it"
                .to_owned(),
        )),
    }
}

/// Reads a text that is evaluated once; `times` are what `start()` and `end()` mean.
pub(super) fn query(text: &str, times: (i64, i64)) -> Result<Parsed, Reason> {
    read(text, Some(times))
}

fn read(text: &str, times: Option<(i64, i64)>) -> Result<Parsed, Reason> {
    guard::check(text)?;
    // The parser panics at a few texts, such as a range of 1e30 seconds.
    let ast = panic::catch_unwind(|| promql_parser::parser::parse(text))
        .map_err(|_| Reason::Syntax("a number or duration is out of range".to_owned()))?
        .map_err(Reason::Syntax)?;
    let reader = Reader { steps: 1, times };
    match strip(&ast) {
        Ast::StringLiteral(text) => Ok(Parsed::Text(text.val.clone())),
        ast @ (Ast::MatrixSelector(_) | Ast::Subquery(_)) => {
            reader.source(ast).map(|(source, _)| Parsed::Range(source))
        }
        ast => reader.node(ast).map(Parsed::Instant),
    }
}

pub(super) fn unsupported(what: impl Into<String>) -> Reason {
    Reason::Unsupported(what.into())
}

/// The tree without the parentheses around it.
pub(super) fn strip(mut ast: &Ast) -> &Ast {
    while let Ast::Paren(paren) = ast {
        ast = &paren.expr;
    }
    ast
}

/// Reads syntax trees; knows how many steps the subqueries around the present place take.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    steps: u64,
    times: Option<(i64, i64)>,
}

impl Reader {
    pub(super) fn node(self, ast: &Ast) -> Result<Node, Reason> {
        match strip(ast) {
            Ast::NumberLiteral(number) => Ok(Node::Number(Number(number.val))),
            Ast::VectorSelector(vector) => Ok(Node::Select {
                selector: selector(&vector.name, &vector.matchers)?,
                when: self.when(vector.offset.as_ref(), vector.at.as_ref())?,
            }),
            Ast::Unary(unary) => self.negated(&unary.expr),
            Ast::Binary(binary) => self.binary(binary),
            Ast::Aggregate(aggregate) => self.aggregate(aggregate),
            Ast::Call(call) => call::node(self, call),
            Ast::StringLiteral(_) => Err(Reason::Argument("a string is out of place".to_owned())),
            Ast::MatrixSelector(_) | Ast::Subquery(_) => {
                Err(Reason::Argument("a range vector is out of place".to_owned()))
            }
            Ast::Paren(_) | Ast::Extension(_) => Err(unsupported("an extension")),
        }
    }

    /// A node that must be a scalar.
    pub(super) fn scalar(self, ast: &Ast) -> Result<Node, Reason> {
        self.typed(ast, ValueType::Scalar, "a scalar")
    }

    /// A node that must be an instant vector.
    pub(super) fn vector(self, ast: &Ast) -> Result<Node, Reason> {
        self.typed(ast, ValueType::Vector, "an instant vector")
    }

    fn typed(self, ast: &Ast, expected: ValueType, name: &str) -> Result<Node, Reason> {
        let node = self.node(ast)?;
        if node.value_type() == expected {
            Ok(node)
        } else {
            Err(Reason::Argument(format!("{ast} must be {name}")))
        }
    }

    fn negated(self, ast: &Ast) -> Result<Node, Reason> {
        let node = self.node(ast)?;
        Ok(match node {
            Node::Number(number) => Node::Number(Number(-number.0)),
            node if node.value_type() == ValueType::Vector => Node::Map {
                function: MapFunction::Negate,
                vector: Box::new(node),
                parameters: vec![],
            },
            // Times minus one is the negation, of zero and NaN too.
            node => Node::Binary(Binary {
                op: BinaryOp::Mul,
                return_bool: false,
                matching: matching(&BinModifier::default()),
                left: Box::new(Node::Number(Number(-1.0))),
                right: Box::new(node),
            }),
        })
    }

    fn binary(self, binary: &BinaryExpr) -> Result<Node, Reason> {
        let (left, right) = (self.node(&binary.lhs)?, self.node(&binary.rhs)?);
        let modifier = binary.modifier.clone().unwrap_or_default();
        if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
            return Err(unsupported("the modifier `fill`"));
        }
        let vectors =
            left.value_type() == ValueType::Vector && right.value_type() == ValueType::Vector;
        let matching = matching(&modifier);
        let grouped = matching.cardinality != Cardinality::OneToOne;
        if !vectors && (modifier.matching.is_some() || grouped) {
            return Err(Reason::Argument(
                "vector matching only allowed between vectors".to_owned(),
            ));
        }
        let (left, right) = (Box::new(left), Box::new(right));
        if let Some(op) = set_op(binary.op) {
            if !vectors || grouped {
                return Err(Reason::Argument(format!(
                    "set operator {:?} is for two vectors, without grouping",
                    binary.op.to_string()
                )));
            }
            return Ok(Node::Set { op, matching, left, right });
        }
        let op = binary_op(binary.op)
            .ok_or_else(|| unsupported(format!("the operator `{}`", binary.op)))?;
        if modifier.return_bool && !op.is_comparison() {
            return Err(Reason::Argument(
                "bool modifier can only be used on comparison operators".to_owned(),
            ));
        }
        Ok(Node::Binary(Binary { op, return_bool: modifier.return_bool, matching, left, right }))
    }

    fn aggregate(self, aggregate: &AggregateExpr) -> Result<Node, Reason> {
        let grouping = match &aggregate.modifier {
            None => Grouping { without: false, labels: vec![] },
            Some(modifier) => Grouping {
                without: !modifier.is_include(),
                labels: sorted(modifier.labels().labels.clone()),
            },
        };
        let vector = Box::new(self.vector(&aggregate.expr)?);
        let parameter = || match &aggregate.param {
            Some(ast) => self.scalar(ast).map(Box::new),
            None => Err(Reason::Argument(format!("{} needs a parameter", aggregate.op))),
        };
        let op = match aggregate.op.id() {
            token::T_TOPK | token::T_BOTTOMK => {
                return Ok(Node::Top {
                    largest: aggregate.op.id() == token::T_TOPK,
                    grouping,
                    count: parameter()?,
                    vector,
                });
            }
            token::T_SUM => AggregateOp::Fold(Fold::Sum),
            token::T_AVG => AggregateOp::Fold(Fold::Avg),
            token::T_MIN => AggregateOp::Fold(Fold::Min),
            token::T_MAX => AggregateOp::Fold(Fold::Max),
            token::T_COUNT => AggregateOp::Fold(Fold::Count),
            token::T_GROUP => AggregateOp::Fold(Fold::Group),
            token::T_STDDEV => AggregateOp::Fold(Fold::Stddev),
            token::T_STDVAR => AggregateOp::Fold(Fold::Stdvar),
            token::T_QUANTILE => AggregateOp::Quantile,
            _ => return Err(unsupported(format!("the aggregation `{}`", aggregate.op))),
        };
        let parameter = match op {
            AggregateOp::Quantile => Some(parameter()?),
            AggregateOp::Fold(_) => None,
        };
        Ok(Node::Aggregate { op, grouping, parameter, vector })
    }

    /// The argument of a range function, and the labels that `absent_over_time` gives it.
    pub(super) fn source(self, ast: &Ast) -> Result<(Source, Labels), Reason> {
        match strip(ast) {
            Ast::MatrixSelector(matrix) => {
                let series = &matrix.vs;
                let source = Source::Series {
                    selector: selector(&series.name, &series.matchers)?,
                    range_ms: positive_ms("range", matrix.range)?,
                    when: self.when(series.offset.as_ref(), series.at.as_ref())?,
                };
                Ok((source, equal_labels(series)))
            }
            Ast::Subquery(subquery) => Ok((self.subquery(subquery)?, Labels::empty())),
            other => Err(Reason::Argument(format!("{other} must be a range vector"))),
        }
    }

    pub(super) fn when(
        self,
        offset: Option<&Offset>,
        at: Option<&AtModifier>,
    ) -> Result<When, Reason> {
        when(offset, at, self.times)
    }

    fn subquery(self, subquery: &SubqueryExpr) -> Result<Source, Reason> {
        let range_ms = positive_ms("range", subquery.range)?;
        let step_ms = match subquery.step {
            Some(step) => positive_ms("step", step)?,
            None => DEFAULT_STEP_MS,
        };
        let steps = self.steps.saturating_mul((range_ms as u64).div_ceil(step_ms as u64));
        if steps > MAX_SUBQUERY_STEPS {
            return Err(Reason::Limit {
                what: "a subquery with a number of steps",
                is: steps,
                limit: MAX_SUBQUERY_STEPS,
            });
        }
        Ok(Source::Subquery {
            inner: Box::new(Self { steps, ..self }.vector(&subquery.expr)?),
            range_ms,
            step_ms,
            when: self.when(subquery.offset.as_ref(), subquery.at.as_ref())?,
        })
    }
}

fn matching(modifier: &BinModifier) -> Matching {
    let (on, labels) = match &modifier.matching {
        None => (false, vec![]),
        Some(LabelModifier::Include(labels)) => (true, labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => (false, labels.labels.clone()),
    };
    let cardinality = match &modifier.card {
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {
            Cardinality::OneToOne
        }
        VectorMatchCardinality::ManyToOne(labels) => {
            Cardinality::ManyToOne(sorted(labels.labels.clone()))
        }
        VectorMatchCardinality::OneToMany(labels) => {
            Cardinality::OneToMany(sorted(labels.labels.clone()))
        }
    };
    Matching { on, labels: sorted(labels), cardinality }
}

fn set_op(op: TokenType) -> Option<SetOp> {
    match op.id() {
        token::T_LAND => Some(SetOp::And),
        token::T_LOR => Some(SetOp::Or),
        token::T_LUNLESS => Some(SetOp::Unless),
        _ => None,
    }
}

fn binary_op(op: TokenType) -> Option<BinaryOp> {
    Some(match op.id() {
        token::T_ADD => BinaryOp::Add,
        token::T_SUB => BinaryOp::Sub,
        token::T_MUL => BinaryOp::Mul,
        token::T_DIV => BinaryOp::Div,
        token::T_MOD => BinaryOp::Mod,
        token::T_POW => BinaryOp::Pow,
        token::T_ATAN2 => BinaryOp::Atan2,
        token::T_EQLC => BinaryOp::Equal,
        token::T_NEQ => BinaryOp::NotEqual,
        token::T_GTR => BinaryOp::Greater,
        token::T_LSS => BinaryOp::Less,
        token::T_GTE => BinaryOp::GreaterEqual,
        token::T_LTE => BinaryOp::LessEqual,
        _ => return None,
    })
}
