//! PromQL: an expression over series, and its value at an instant.
//!
//! Text becomes a checked [`Expr`]; many of them are bound to one store as a [`Plan`], an arena of
//! nodes in which what two expressions have in common is there once; the plan is evaluated at an
//! instant and each expression's value read from it.
//!
//! In: texts, and the rings of [`crate::series`]. Out: per expression a scalar, or an instant
//! vector as a layout (label sets) with values and a presence mask aligned to it, and native histograms
//! if there are any; NaN is a value, absence is not. Invariants: at a tick no label is looked at unless series were born or died;
//! an expression that fails does not disturb the others; evaluation at one instant depends on
//! nothing but the store and that instant. It does not know features, models or the time of day.
//!
//! Where label sets do not allow an operation, a plan fails as Prometheus does, or, when it was
//! bound leniently, leaves out the elements concerned and says which ([`Conflicts`]).
//!
//! Three rooms, and the arrows between them, which `tests/tidy.rs` keeps: `syntax` (text to tree; uses
//! neither of the others), `operators` (pure functions over windows, values and label sets; uses
//! `syntax`), `engine` (binds trees to a store and walks them at an instant; uses both).
//!
//! The parser is our own because it must know the place of every fault, in the words of Prometheus, and
//! must not panic, whatever the text: texts come from users and from model files.
//!
//! To add a function:
//! 1. its name and variant in `syntax/function.rs`;
//! 2. its arguments in `syntax/call.rs`, where they are others than one vector or one range;
//! 3. its arithmetic in `operators`: a branch of `range.rs` or `map.rs`, which do not compile without it;
//! 4. only if it brings elements together in a new way, a node in `engine` (`step.rs` lists them);
//! 5. its text in `text_tests.rs`, its values in `tests.rs` and in `tests/integration/promql_parity`.
//!
//! Elements may be native histograms, which stand beside the numbers of a vector: who computes with numbers
//! does not see them. Their arithmetic is [`crate::histogram`]'s; which functions and operators take them, and
//! what becomes of a mix with numbers, stands in the files of `operators` that begin with `histogram_`.
//!
//! The answers are those of Prometheus 3.5 with its default settings: lookback of five minutes,
//! one minute as the step of a subquery without one. What is not understood is refused when it is
//! parsed.
//! Source: Prometheus documentation "Querying", `promql/engine.go`, `promql/functions.go`;
//! `tests/integration/promql_parity` compares with the real one.

mod engine;
mod operators;
mod syntax;

#[cfg(test)]
mod conflict_tests;
#[cfg(test)]
mod histogram_tests;
#[cfg(test)]
mod presence_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;

pub use engine::annotation::{Annotations, Said};
pub use engine::conflict::{Conflict, Conflicts};
pub use engine::error::{EvalError, Interrupted};
pub use engine::labelsets::LabelSets;
pub use engine::layout::Layout;
pub use engine::plan::{Plan, Value, Vector};
pub use engine::presence::Steps;
pub use engine::query::{
    Query, RangeRow, RangeSelection, SelectorError, parse_selector, select_range,
};
pub use operators::order::Order;
pub use syntax::error::{ParseError, Reason};
pub use syntax::expr::Expr;
pub use syntax::reach::Reach;
pub use syntax::tree::{LOOKBACK_MS, ValueType};
