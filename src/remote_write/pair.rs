//! A label as the bytes of a request tell it: a name and a value.

use super::wire::{Fields, WireError};

/// A label: its name and its value, which should be UTF-8.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// A `prometheus.Label`.
pub(super) fn label(message: &[u8]) -> Result<Pair<'_>, WireError> {
    let mut pair: Pair<'_> = (b"", b"");
    for field in Fields::new(message) {
        match field? {
            (1, value) => pair.0 = value.bytes()?,
            (2, value) => pair.1 = value.bytes()?,
            _ => {}
        }
    }
    Ok(pair)
}
