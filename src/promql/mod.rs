//! PromQL: an expression over series, and its value at an instant.
//!
//! Text becomes a checked [`Expr`]; many of them are bound to one store as a [`Plan`], an arena of
//! nodes in which what two expressions have in common is there once; the plan is evaluated at an
//! instant and each expression's value read from it.
//!
//! In: texts, and the rings of [`crate::series`]. Out: per expression a scalar, or an instant
//! vector as a layout (label sets) with values and a presence mask aligned to it; NaN is a value,
//! absence is not. Invariants: at a tick no label is looked at unless series were born or died;
//! an expression that fails does not disturb the others; evaluation at one instant depends on
//! nothing but the store and that instant. It does not know features, models or the time of day.
//!
//! Where label sets do not allow an operation, a plan fails as Prometheus does, or, when it was
//! bound leniently, leaves out the elements concerned and says which ([`Conflicts`]).
//!
//! The answers are those of Prometheus 3.5 with its default settings: lookback of five minutes,
//! one minute as the step of a subquery without one. What is not understood is refused when it is
//! parsed.
//! Source: Prometheus documentation "Querying", `promql/engine.go`, `promql/functions.go`;
//! `tests/promql_parity` compares with the real one.

mod aggregate;
mod annotation;
mod binary;
mod bind;
mod calendar;
mod call;
mod conflict;
mod context;
mod count_values;
mod error;
mod expr;
mod grouping;
mod histogram;
mod infix;
mod labelsets;
mod layout;
mod lexer;
mod literal;
mod map;
mod matching;
mod narrowed;
mod needs;
mod only;
mod order;
mod over_time;
mod parser;
mod plan;
mod presence;
mod query;
mod range;
mod rate;
mod reach;
mod reduce;
mod relabel;
mod select;
mod selector;
mod setop;
mod subquery;
mod summation;
mod text;
mod topk;
mod when;

#[cfg(test)]
mod conflict_tests;
#[cfg(test)]
mod presence_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;

pub use annotation::{Annotations, Said};
pub use conflict::{Conflict, Conflicts};
pub use error::{EvalError, Interrupted, ParseError, Reason};
pub use expr::{Expr, LOOKBACK_MS, ValueType};
pub use labelsets::LabelSets;
pub use layout::Layout;
pub use order::Order;
pub use plan::{Plan, Value, Vector};
pub use presence::Steps;
pub use query::{Query, RangeRow, RangeSelection, SelectorError, parse_selector, select_range};
pub use reach::Reach;
