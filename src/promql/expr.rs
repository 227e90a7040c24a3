//! An expression: checked, of known type, made only of what can be evaluated here.
//!
//! Equal sub-expressions are equal trees; that is how a plan finds out what to share.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::labels::Labels;
use crate::matcher::Selector;

use super::aggregate::AggregateOp;
use super::annotation::{Notes, Site};
use super::binary::BinaryOp;
use super::error::ParseError;
use super::histogram::HistogramFunction;
use super::map::MapFunction;
use super::matching::Matching;
use super::order::Order;
use super::parser;
use super::range::RangeFunction;
use super::relabel::Relabel;
use super::setop::SetOp;
use super::when::When;

/// How far an instant selector looks back for the newest sample: Prometheus's default.
pub const LOOKBACK_MS: i64 = 300_000;

/// A parsed and checked PromQL expression that has a value at an instant.
#[derive(Debug, Clone)]
pub struct Expr {
    text: Arc<str>,
    root: Node,
    /// None of a feature.
    sites: Arc<[Site]>,
}

/// What kind of value an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// A number for each of several label sets.
    Vector,
}

impl Expr {
    /// Reads an expression that is evaluated again and again, a feature. What is asked once, and may
    /// therefore fix times by `@`, is a [`super::Query`].
    ///
    /// # Errors
    /// When it is not PromQL, has no value at an instant (a range vector, a string), uses
    /// something that is not supported, or is too large.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let root = parser::feature(text).map_err(|fault| ParseError::new(text, fault))?;
        Ok(Self::new(text, root, vec![]))
    }

    pub(super) fn new(text: &str, root: Node, sites: Vec<Site>) -> Self {
        Self { text: text.into(), root, sites: sites.into() }
    }

    /// What collects the annotations of an evaluation, if there can be any.
    pub(super) fn notes(&self) -> Option<Notes> {
        let any = !self.sites.is_empty();
        any.then(|| Notes::new(Arc::clone(&self.text), Arc::clone(&self.sites)))
    }

    pub(super) fn sites(&self) -> &[Site] {
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

    /// How an instant answer is sorted, where the expression as a whole says so: `sort`,
    /// `sort_desc`, `topk`, `bottomk`.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        match &self.root {
            Node::Top { largest, grouping, .. } => {
                Some(Order { descending: *largest, grouping: Some(grouping.clone()) })
            }
            Node::Sort { descending, .. } => {
                Some(Order { descending: *descending, grouping: None })
            }
            _ => None,
        }
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

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

/// A number that is compared by its bits, so that trees can be keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Which labels an aggregation keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Grouping {
    pub(super) without: bool,
    /// Sorted, each once.
    pub(super) labels: Vec<String>,
}

impl Grouping {
    pub(super) fn group_of(&self, labels: &Labels) -> Labels {
        let listed = |name: &str| self.labels.iter().any(|l| l == name);
        if self.without {
            labels.filtered(|name| name != crate::labels::METRIC_NAME && !listed(name))
        } else {
            labels.filtered(listed)
        }
    }
}

/// What a function over a range reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// The samples of series.
    Series { selector: Selector, range_ms: i64, when: When },
    /// The values of a vector at each step.
    Subquery { inner: Box<Node>, range_ms: i64, step_ms: i64, when: When },
}

/// Arithmetic or comparison; matching says how the elements of two vectors find each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Binary {
    pub(super) op: BinaryOp,
    pub(super) return_bool: bool,
    pub(super) matching: Matching,
    pub(super) left: Box<Node>,
    pub(super) right: Box<Node>,
}

/// A node of an expression's tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// A scalar.
    Number(Number),
    /// The scalar `time()`.
    Time,
    /// The newest sample of each series.
    Select { selector: Selector, when: When },
    /// When the newest sample of each series was taken.
    SampleTime { selector: Selector, when: When, lookback_ms: i64 },
    /// A function of the samples in a range; its parameter is a scalar.
    Range { function: RangeFunction, source: Source, parameter: Option<Box<Node>> },
    /// One element with these labels where the range is empty.
    AbsentOverTime { source: Source, labels: Labels },
    /// A function of each element; the parameters are scalars.
    Map { function: MapFunction, vector: Box<Node>, parameters: Vec<Node> },
    /// Other labels, same values.
    Relabel { relabel: Relabel, vector: Box<Node> },
    /// A scalar as a vector.
    Vector(Box<Node>),
    /// The value of a vector's only element.
    Scalar(Box<Node>),
    /// One element with these labels where the vector is empty.
    Absent { vector: Box<Node>, labels: Labels },
    /// A number for each histogram made of `le` buckets; the parameters are scalars.
    Histogram { function: HistogramFunction, parameters: Vec<Node>, vector: Box<Node> },
    /// One element a group.
    Aggregate {
        op: AggregateOp,
        grouping: Grouping,
        parameter: Option<Box<Node>>,
        vector: Box<Node>,
    },
    /// The same vector, sorted should it be the answer.
    Sort { descending: bool, vector: Box<Node> },
    /// For each value in a group how often it is there; the value is a label.
    CountValues { label: String, grouping: Grouping, vector: Box<Node> },
    /// The `count` largest or smallest elements of each group.
    Top { largest: bool, grouping: Grouping, count: Box<Node>, vector: Box<Node> },
    /// Arithmetic or comparison.
    Binary(Binary),
    /// `and`, `or`, `unless`.
    Set { op: SetOp, matching: Matching, left: Box<Node>, right: Box<Node> },
}

impl Source {
    fn looks_ahead(&self) -> bool {
        match self {
            Self::Series { when, .. } => when.looks_ahead(),
            Self::Subquery { inner, when, .. } => when.looks_ahead() || inner.looks_ahead(),
        }
    }

    fn is_fixed(&self) -> bool {
        match self {
            Self::Series { when, .. } | Self::Subquery { when, .. } => when.at_ms.is_some(),
        }
    }

    fn output_labels(&self) -> Option<Vec<String>> {
        match self {
            Self::Series { .. } => None,
            Self::Subquery { inner, .. } => inner.output_labels(),
        }
    }
}

impl Node {
    /// Whether the value at an instant may depend on samples after it.
    pub(super) fn looks_ahead(&self) -> bool {
        let ahead = match self {
            Self::Select { when, .. } | Self::SampleTime { when, .. } => when.looks_ahead(),
            Self::Range { source, .. } | Self::AbsentOverTime { source, .. } => {
                source.looks_ahead()
            }
            _ => false,
        };
        ahead || self.children().into_iter().any(Self::looks_ahead)
    }

    /// Whether Prometheus evaluates this once for all instants of a run, the first one's value
    /// standing for all: what `@` fixes, numbers, and what is made of these alone. That an
    /// aggregation's parameter may depend on the time all the same is passed over there too.
    /// Source: Prometheus `promql/engine.go`, `preprocessExprHelper`.
    pub(super) fn is_fixed(&self) -> bool {
        match self {
            Self::Time | Self::SampleTime { .. } => false,
            Self::Select { when, .. } => when.at_ms.is_some(),
            Self::Range { function: RangeFunction::PredictLinear, .. } => false,
            Self::Range { source, parameter, .. } => {
                source.is_fixed() && parameter.as_ref().is_none_or(|node| node.is_fixed())
            }
            Self::AbsentOverTime { source, .. } => source.is_fixed(),
            Self::Map { function: MapFunction::EvalTime | MapFunction::Calendar(_), .. } => false,
            Self::Aggregate { vector, .. } | Self::Top { vector, .. } => vector.is_fixed(),
            _ => self.children().into_iter().all(Self::is_fixed),
        }
    }

    /// Whether there is a value, or another one, where a part of the expression has none.
    pub(super) fn takes_what_there_is(&self) -> bool {
        let inner = match self {
            Self::Range { source: Source::Subquery { inner, .. }, .. } => {
                inner.takes_what_there_is()
            }
            Self::Set { .. } | Self::Absent { .. } | Self::AbsentOverTime { .. } => true,
            _ => false,
        };
        inner || self.children().into_iter().any(Self::takes_what_there_is)
    }

    /// The nodes that are evaluated at the same instant as this one.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number(_)
            | Self::Time
            | Self::Select { .. }
            | Self::SampleTime { .. }
            | Self::AbsentOverTime { .. } => vec![],
            Self::Range { parameter, .. } => parameter.as_deref().into_iter().collect(),
            Self::Map { vector, parameters, .. } | Self::Histogram { parameters, vector, .. } => {
                std::iter::once(&**vector).chain(parameters).collect()
            }
            Self::Vector(child) | Self::Scalar(child) => vec![child],
            Self::Relabel { vector, .. }
            | Self::Absent { vector, .. }
            | Self::CountValues { vector, .. }
            | Self::Sort { vector, .. } => vec![vector],
            Self::Aggregate { parameter, vector, .. } => {
                parameter.as_deref().into_iter().chain([&**vector]).collect()
            }
            Self::Top { count, vector, .. } => vec![count, vector],
            Self::Binary(Binary { left, right, .. }) | Self::Set { left, right, .. } => {
                vec![left, right]
            }
        }
    }

    pub(super) fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) | Self::Time | Self::Scalar(_) => ValueType::Scalar,
            Self::Binary(Binary { left, right, .. }) => {
                match (left.value_type(), right.value_type()) {
                    (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                    _ => ValueType::Vector,
                }
            }
            _ => ValueType::Vector,
        }
    }

    /// As of an expression.
    pub(super) fn output_labels(&self) -> Option<Vec<String>> {
        let of = |labels: &Labels| Some(labels.iter().map(|(name, _)| name.to_owned()).collect());
        match self {
            Self::Number(_) | Self::Time | Self::Vector(_) | Self::Scalar(_) => Some(vec![]),
            Self::Select { .. } | Self::SampleTime { .. } => None,
            Self::Range { source, .. } => source.output_labels(),
            Self::Map { vector, .. } | Self::Top { vector, .. } | Self::Sort { vector, .. } => {
                vector.output_labels()
            }
            Self::AbsentOverTime { labels, .. } | Self::Absent { labels, .. } => of(labels),
            Self::Relabel { relabel, vector } => {
                let mut labels = vector.output_labels()?;
                labels.push(relabel.target().to_owned());
                Some(sorted(labels))
            }
            Self::Histogram { vector, .. } => {
                let mut labels = vector.output_labels()?;
                labels.retain(|label| label != "le");
                Some(labels)
            }
            Self::Aggregate { grouping, vector, .. } if grouping.without => {
                let mut labels = vector.output_labels()?;
                labels.retain(|label| !grouping.labels.contains(label));
                Some(labels)
            }
            Self::Aggregate { grouping, .. } => Some(grouping.labels.clone()),
            Self::CountValues { label, grouping, vector } => {
                let mut labels = vector.output_labels();
                match &mut labels {
                    Some(labels) if grouping.without => {
                        labels.push(label.clone());
                        labels.retain(|label| !grouping.labels.contains(label));
                    }
                    _ if grouping.without => return None,
                    _ => {
                        labels = Some([&grouping.labels[..], std::slice::from_ref(label)].concat())
                    }
                }
                labels.map(sorted)
            }
            Self::Binary(Binary { matching, left, right, .. }) => {
                match (left.value_type(), right.value_type()) {
                    (_, ValueType::Scalar) => left.output_labels(),
                    (ValueType::Scalar, _) => right.output_labels(),
                    _ => matching.output_labels(left.output_labels(), right.output_labels()),
                }
            }
            Self::Set { op, left, right, .. } => {
                let mut labels = left.output_labels()?;
                if *op == SetOp::Or {
                    labels.extend(right.output_labels()?);
                }
                Some(sorted(labels))
            }
        }
    }
}

/// Sorted, each once.
pub(super) fn sorted(mut labels: Vec<String>) -> Vec<String> {
    labels.sort();
    labels.dedup();
    labels
}
