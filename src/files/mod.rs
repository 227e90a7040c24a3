//! Files: one that appears under its name whole or not at all ([`Draft`]), a table that may be
//! compressed ([`open_table`]), and one that is read if it is a file and not too large, whole
//! ([`read_whole`]) or piece by piece ([`open_regular`]).
//!
//! In: a path. Out: something to write to, or to read from. What is in a file this room does not
//! know; how a failure is told is its caller's.

mod draft;
mod table;
mod whole;

pub use draft::Draft;
pub use table::open_table;
pub use whole::{ReadError, open_regular, read_whole};
