//! Exemplars as the bytes of a request tell them: the newest few of a series that can be kept.
//!
//! The two versions differ in how labels are written, as with series. Nothing is built before the end of the series: until
//! then there is the place of each in the message.
//! Sources: remote-write specifications 1.0 (`prometheus.Exemplar`) and 2.0 (`io.prometheus.write.v2.Exemplar`);
//! OpenMetrics 1.0 "Exemplars"; Prometheus's `tsdb/exemplar.go`, for which an empty value is no label.

use super::pair::{Pair, label};
use super::wire::{Fields, WireError};
use crate::labels::Labels;
use crate::sample::Exemplar;

/// Characters that the names and values of an exemplar's labels have together, at most: what OpenMetrics allows.
const MAX_CHARACTERS: usize = 128;

/// More bytes are more characters. A number of one byte may stand for a text of any length, which is
/// not read then.
const MAX_BYTES: usize = 4 * MAX_CHARACTERS;

/// Exemplars of a series in a request, at most: a scrape brings one, or a few with a native histogram.
const MOST: usize = 16;

/// The newest exemplars of a series, whose memory is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Newest<'a> {
    /// Their times and where they are in the message, oldest first; those of one time as they came.
    found: Vec<(i64, &'a [u8])>,
    pairs: Vec<Pair<'a>>,
}

/// What an exemplar is beside its labels.
#[derive(Debug)]
struct Parts {
    value: f64,
    timestamp_ms: i64,
    /// Its labels are pairs of symbols that are there.
    has_labels: bool,
    /// Its labels are texts that are not too long.
    is_fit: bool,
    bytes: usize,
    characters: usize,
}

/// What an exemplar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It may be kept.
    Good,
    /// Its labels are too long or no texts: let go, and no error.
    Unfit,
    /// Its labels are no pairs of symbols that are there.
    Bad,
}

impl<'a> Newest<'a> {
    pub(super) fn clear(&mut self) {
        self.found.clear();
    }

    /// Looks at an exemplar, of 2.0 with the symbols.
    ///
    /// # Errors
    /// When it is no exemplar.
    pub(super) fn add(
        &mut self,
        message: &'a [u8],
        symbols: Option<&[&'a [u8]]>,
    ) -> Result<Judged, WireError> {
        let parts = read(message, symbols, &mut self.pairs)?;
        if !parts.has_labels {
            return Ok(Judged::Bad);
        }
        if !parts.is_fit {
            return Ok(Judged::Unfit);
        }
        let mut at = self.found.partition_point(|it| it.0 <= parts.timestamp_ms);
        if self.found.len() == MOST {
            if at == 0 {
                return Ok(Judged::Good);
            }
            self.found.remove(0);
            at -= 1;
        }
        self.found.insert(at, (parts.timestamp_ms, message));
        Ok(Judged::Good)
    }

    /// Those that were found, oldest first, as far as there is room for their memory, which becomes less.
    pub(super) fn take(&mut self, symbols: Option<&[&'a [u8]]>, room: &mut usize) -> Vec<Exemplar> {
        let Self { found, pairs } = self;
        let mut exemplars = Vec::new();
        for (_, message) in found.drain(..) {
            let Ok(Parts { value, timestamp_ms, .. }) = read(message, symbols, pairs) else {
                continue;
            };
            let texts = pairs.iter().map(|(name, value)| {
                Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
            });
            let Some(texts) = texts.collect::<Option<Vec<_>>>() else { continue };
            // A name that occurs twice makes no label set.
            let Ok(labels) = Labels::from_pairs(texts) else { continue };
            let Some(rest) = room.checked_sub(size_of::<Exemplar>() + labels.heap_bytes()) else {
                break;
            };
            *room = rest;
            exemplars.push(Exemplar { labels, value, timestamp_ms });
        }
        exemplars.shrink_to_fit();
        exemplars
    }
}

/// Reads an exemplar, its labels as far as they may be kept.
fn read<'a>(
    message: &'a [u8],
    symbols: Option<&[&'a [u8]]>,
    pairs: &mut Vec<Pair<'a>>,
) -> Result<Parts, WireError> {
    pairs.clear();
    let mut parts = Parts {
        value: 0.0,
        timestamp_ms: 0,
        has_labels: true,
        is_fit: true,
        bytes: 0,
        characters: 0,
    };
    let mut name = None;
    for field in Fields::new(message) {
        match (field?, symbols) {
            ((1, value), None) => parts.add(label(value.bytes()?)?, pairs),
            // Numbers as every decoder of a `uint32` has them.
            ((1, value), Some(symbols)) => {
                value.each_varint(|it| match (symbols.get(it as u32 as usize), name.take()) {
                    (None, _) => parts.has_labels = false,
                    (Some(text), None) => name = Some(*text),
                    (Some(text), Some(name)) => parts.add((name, text), pairs),
                })?
            }
            ((2, value), _) => parts.value = value.double()?,
            ((3, value), _) => parts.timestamp_ms = value.int64()?,
            _ => {}
        }
    }
    parts.has_labels &= name.is_none();
    Ok(parts)
}

impl Parts {
    /// Adds a label, unless there are too many already.
    fn add<'a>(&mut self, pair: Pair<'a>, pairs: &mut Vec<Pair<'a>>) {
        let (name, value) = pair;
        if value.is_empty() || !self.is_fit {
            return;
        }
        self.bytes += name.len() + value.len();
        self.is_fit = !name.is_empty() && self.bytes <= MAX_BYTES;
        if !self.is_fit {
            return;
        }
        match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(name), Ok(value)) => {
                self.characters += name.chars().count() + value.chars().count()
            }
            _ => self.is_fit = false,
        }
        self.is_fit &= self.characters <= MAX_CHARACTERS;
        pairs.push(pair);
    }
}
