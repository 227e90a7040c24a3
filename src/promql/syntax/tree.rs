//! The tree of an expression: checked, of known type, made only of what can be evaluated here.
//!
//! Equal sub-expressions are equal trees; that is how a plan finds out what to share.

use std::hash::{Hash, Hasher};

use crate::labels::Labels;
use crate::matcher::Selector;

use super::clause::{Grouping, Matching, sorted};
use super::function::{HistogramFunction, MapFunction, RangeFunction};
use super::operator::{AggregateOp, BinaryOp, SetOp};
use super::relabel::Relabel;
use super::when::When;

/// How far an instant selector looks back for the newest sample: Prometheus's default.
pub const LOOKBACK_MS: i64 = 300_000;

/// What kind of value an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// A number for each of several label sets.
    Vector,
}

/// A number that is compared by its bits, so that trees can be keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) f64);

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

/// What a function over a range reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// The samples of series.
    Series { selector: Selector, range_ms: i64, when: When },
    /// The values of a vector at each step.
    Subquery { inner: Box<Node>, range_ms: i64, step_ms: i64, when: When },
}

/// Arithmetic or comparison; matching says how the elements of two vectors find each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
    pub(crate) left: Box<Node>,
    pub(crate) right: Box<Node>,
}

/// A node of an expression's tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
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
    pub(crate) fn looks_ahead(&self) -> bool {
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
    pub(crate) fn is_fixed(&self) -> bool {
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
    pub(crate) fn takes_what_there_is(&self) -> bool {
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
    pub(crate) fn children(&self) -> Vec<&Self> {
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

    pub(crate) fn value_type(&self) -> ValueType {
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
    pub(crate) fn output_labels(&self) -> Option<Vec<String>> {
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
