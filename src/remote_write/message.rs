//! A series as the bytes of a request tell it: names and values that borrow from them, and samples.
//!
//! Nothing is judged here. Beyond the limits parts are counted and not kept: two bytes on the wire can become
//! thirty in memory.
//! Source: remote-write specification 1.0, `prometheus.WriteRequest`.

use super::wire::{Fields, WireError};
use crate::sample::Sample;

/// A label: its name and its value, which should be UTF-8.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// How much of a series is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) labels: usize,
    pub(super) samples: usize,
}

/// A series, whose memory is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct RawSeries<'a> {
    /// In the order they came.
    pub(super) labels: Vec<Pair<'a>>,
    pub(super) samples: Vec<Sample>,
    /// How many there are of each, whether there was room or not.
    pub(super) counts: Counts,
}

/// How many parts of each kind a series has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) labels: usize,
    pub(super) samples: usize,
    pub(super) exemplars: usize,
    pub(super) histograms: usize,
}

impl<'a> RawSeries<'a> {
    /// Reads a `prometheus.TimeSeries`.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(&mut self, series: &'a [u8], room: Room) -> Result<(), WireError> {
        self.labels.clear();
        self.samples.clear();
        self.counts = Counts::default();
        for field in Fields::new(series) {
            match field? {
                (1, value) => {
                    let pair = label(value.bytes()?)?;
                    self.counts.labels += 1;
                    if self.labels.len() < room.labels {
                        self.labels.push(pair);
                    }
                }
                (2, value) => {
                    let sample = sample(value.bytes()?)?;
                    self.counts.samples += 1;
                    if self.samples.len() < room.samples {
                        self.samples.push(sample);
                    }
                }
                (3, value) => {
                    value.bytes()?;
                    self.counts.exemplars += 1;
                }
                (4, value) => {
                    value.bytes()?;
                    self.counts.histograms += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The labels of a `prometheus.TimeSeries` one by one, however many they are.
pub(super) fn labels(series: &[u8]) -> impl Iterator<Item = Result<Pair<'_>, WireError>> {
    Fields::new(series).filter_map(|field| match field {
        Ok((1, value)) => Some(value.bytes().and_then(label)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

/// A `prometheus.Label`.
fn label(message: &[u8]) -> Result<Pair<'_>, WireError> {
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

/// A `prometheus.Sample`.
fn sample(message: &[u8]) -> Result<Sample, WireError> {
    let mut sample = Sample::new(0, 0.0);
    for field in Fields::new(message) {
        match field? {
            (1, value) => sample.value = value.double()?,
            (2, value) => sample.timestamp_ms = value.int64()?,
            _ => {}
        }
    }
    Ok(sample)
}
