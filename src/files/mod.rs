//! Files: one that appears under its name whole or not at all ([`Draft`]), and a table that may be
//! compressed ([`open_table`]).
//!
//! In: a path. Out: something to write to, or to read from. What is in a file this room does not
//! know; how a failure is told is its caller's.

mod draft;
mod table;

pub use draft::Draft;
pub use table::open_table;
