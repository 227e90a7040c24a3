//! The engine: trees bound to a store as nodes, and their values at an instant.
//!
//! In: trees, a store, an instant. Out: values along layouts, conflicts, annotations. `bind` lays out a
//! `frame` of `step`s for a `plan`; each kind of step is a file, and sees the store and the nodes before it
//! through a `context`. Numbers are made in [`super::operators`]; here label sets decide what they are
//! made of.
//!
//! A frame holds steps, and one kind of step is a subquery, which has a frame of its own: `frame`, `step`,
//! `subquery` and `watch` therefore know one another. No other files do.

mod aggregate;
pub(super) mod annotation;
mod binary;
mod bind;
pub(super) mod conflict;
mod context;
mod count_values;
pub(super) mod error;
mod frame;
mod groups;
mod histogram;
pub(super) mod labelsets;
pub(super) mod layout;
mod map;
mod matching;
mod narrowed;
pub(super) mod plan;
pub(super) mod presence;
pub(super) mod query;
mod range;
mod reduce;
mod relabel;
mod select;
mod setop;
mod spans;
mod step;
mod subquery;
mod topk;
mod watch;
