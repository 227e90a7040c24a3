//! A state file: what the models of a process remember and its newest samples, for the next process.
//!
//! In: a path and pages of memory ([`MemoryPage`](crate::detect::MemoryPage)), one after the other. Out: a file that appears under its
//! name whole or not at all ([`Writer`]), and those pages again ([`Reader`]). Which pages there are, how
//! often they are written and whether a model wants them back, this room does not know; nor whether
//! what a page says of an entity fits its model, which only the model can tell.
//!
//! ```text
//! "PORTENT" 0x01        eight bytes, the last of which is the layout's version
//! snappy frames of      each with the CRC-32C of what is in it
//!   length, Record      the header: schema, when it was written, by which version of the program
//!   length, Record      a page: entities of a model, or series
//!   …
//!   length, Record      the end: entities, series, samples and bytes before it
//! ```
//!
//! A length is a varint, a `Record` a message of `proto/portent/state.proto`.
//!
//! Invariants:
//! - Every float and every time comes back with its bits, the stale marker among them.
//! - Nothing is handed out of a file before all of it has been read once: a file that is cut short, whose
//!   bytes are others than were written, or that misses a piece gives an error and no page.
//! - Nothing is allocated by a length that a file only claims; a record is limited ([`RECORD_BYTES`]), the
//!   file by its reader.
//! - At most one record is in memory on either side, so a page is cut where it is large: the pages
//!   that are read say the same as those that were written, in the same order, but may be more.
//! - The file is its owner's alone (mode 0600), and what was there before stays until the new one
//!   is whole and on the disk.
//!
//! Sources: snappy framing format description (`framing_format.txt`); Protocol Buffers, "Encoding" and
//! "Streaming multiple messages".

mod histograms;
mod reader;
#[cfg(test)]
mod tests;
mod unfit;
mod wire;
mod writer;

use std::io;
use std::path::PathBuf;

use crate::files::ReadError;

pub use reader::{Reader, read_all};
pub use writer::Writer;

/// What every state file begins with.
const MAGIC: [u8; 7] = *b"PORTENT";

/// The byte after it: how records are laid out.
const LAYOUT: u8 = 1;

/// What the messages mean.
const SCHEMA: u32 = 1;

/// A page is cut where its record would become larger, unless one entity or series is.
const PAGE_BYTES: usize = 1 << 20;

/// No record is larger.
pub const RECORD_BYTES: usize = 16 << 20;

/// What a state file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// When it was written: milliseconds since the epoch.
    pub written_ms: i64,
    /// The version of the program that wrote it.
    pub program: String,
}

/// What is in a state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Entities, of all models.
    pub entities: u64,
    /// Series.
    pub series: u64,
    /// Samples in them.
    pub samples: u64,
}

/// Why a state file is not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system does not take it.
    #[error("cannot write the state file {path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Reading would refuse it.
    #[error(
        "cannot write the state file {path}: {what} takes {bytes} bytes, more than the {RECORD_BYTES} of a record"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// An entity or a series.
        what: String,
        /// What it takes.
        bytes: usize,
    },
    /// Something had failed before, and what is not whole is not published.
    #[error("cannot write the state file {path}: a part of it could not be written")]
    Unfinished {
        /// The file.
        path: PathBuf,
    },
    /// The system does not give it, or it is nothing that is read.
    #[error("cannot read the state file {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: ReadError,
    },
    /// It begins with other bytes.
    #[error("{path} is not a state file of this program: it begins with other bytes")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another version of the program wrote it.
    #[error("the state file {path} has version {found}, and this program reads {LAYOUT}.{SCHEMA}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version; `?` where the layout says that the rest is not to be understood.
        found: String,
    },
    /// Something stopped whoever wrote or copied it.
    #[error("the state file {path} is cut short")]
    Short {
        /// The file.
        path: PathBuf,
    },
    /// Its bytes are not what was written.
    #[error("the state file {path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that is seen.
        reason: String,
    },
}
