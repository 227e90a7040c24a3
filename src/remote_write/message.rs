//! A series as the bytes of a request tell it: names and values that borrow from them, and samples.
//!
//! The two versions of the message differ in how labels are written: 1.0 has them in the series, 2.0 numbers
//! that stand for the symbols of the request. What comes out is the same. Nothing is judged here but those
//! numbers. Beyond the limits parts are counted and not kept: two bytes on the wire can become thirty in memory.
//! Sources: remote-write specifications 1.0 (`prometheus.TimeSeries`) and 2.0
//! (`io.prometheus.write.v2.TimeSeries`).

use super::exemplar::{Judged, Newest};
use super::metadata::SeriesMetadata;
use super::native;
use super::pair::{Pair, label};
use super::wire::{Fields, Value, WireError};
use crate::sample::{HistogramSample, Sample};

/// How much of a series is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) labels: usize,
    pub(super) samples: usize,
    /// Of each histogram.
    pub(super) buckets: usize,
    /// Memory of the histograms.
    pub(super) histogram_bytes: usize,
}

/// A series, whose memory is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct RawSeries<'a> {
    /// In the order they came.
    pub(super) labels: Vec<Pair<'a>>,
    pub(super) samples: Vec<Sample>,
    pub(super) histograms: Vec<HistogramSample>,
    /// Those that can be kept.
    pub(super) exemplars: Newest<'a>,
    /// How many there are of each, whether there was room or not.
    pub(super) counts: Counts,
    /// Which rule of the message it breaks: "has 3 label references, which are pairs".
    pub(super) fault: Option<String>,
    /// The exemplars whose labels are none.
    pub(super) bad_exemplars: usize,
    /// Those that are let go, and no error.
    pub(super) unfit_exemplars: usize,
    /// The histograms that are none, and why the first one is none.
    pub(super) bad_histograms: usize,
    pub(super) histogram_fault: Option<String>,
    /// Of 2.0: what it says of its metric family.
    pub(super) metadata: SeriesMetadata,
    refs: Vec<u32>,
}

/// How many parts of each kind a series has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) labels: usize,
    pub(super) samples: usize,
    pub(super) exemplars: usize,
    pub(super) histograms: usize,
    /// Memory of those that are good.
    pub(super) histogram_bytes: usize,
}

impl<'a> RawSeries<'a> {
    /// Reads a `prometheus.TimeSeries`.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(&mut self, series: &'a [u8], room: Room) -> Result<(), WireError> {
        self.clear();
        for field in Fields::new(series) {
            match field? {
                (1, value) => {
                    let pair = label(value.bytes()?)?;
                    self.counts.labels += 1;
                    if self.labels.len() < room.labels {
                        self.labels.push(pair);
                    }
                }
                (2, value) => self.add_sample(value, room)?,
                (3, value) => {
                    self.counts.exemplars += 1;
                    let judged = self.exemplars.add(value.bytes()?, None)?;
                    // No exemplar makes a request of 1.0 fail, if it is one.
                    self.unfit_exemplars += usize::from(judged != Judged::Good);
                }
                (4, value) => self.add_histogram(value, room)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads an `io.prometheus.write.v2.TimeSeries` whose labels are made of these symbols.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read_v2(
        &mut self,
        series: &'a [u8],
        symbols: &[&'a [u8]],
        room: Room,
    ) -> Result<(), WireError> {
        self.clear();
        let mut refs = std::mem::take(&mut self.refs);
        let most = room.labels.saturating_mul(2);
        let mut count = 0;
        for field in Fields::new(series) {
            match field? {
                (1, value) => value.each_varint(|it| {
                    count += 1;
                    if refs.len() < most {
                        // As every decoder of a `uint32` has it.
                        refs.push(it as u32);
                    }
                })?,
                (2, value) => self.add_sample(value, room)?,
                (5, value) => self.metadata.add(value)?,
                (3, value) => self.add_histogram(value, room)?,
                (4, value) => {
                    self.counts.exemplars += 1;
                    match self.exemplars.add(value.bytes()?, Some(symbols))? {
                        Judged::Good => {}
                        Judged::Unfit => self.unfit_exemplars += 1,
                        Judged::Bad => self.bad_exemplars += 1,
                    }
                }
                _ => {}
            }
        }
        self.counts.labels = count / 2;
        self.resolve(&refs, count, symbols);
        self.refs = refs;
        let wrong = self.metadata.wrong_ref(symbols.len());
        self.fault = self.fault.take().or(wrong.map(|it| no_symbol(it, symbols.len())));
        let Counts { samples, exemplars, histograms, .. } = self.counts;
        self.fault = self.fault.take().or(match (samples, histograms, exemplars) {
            // What says something of its metric family does no harm.
            (0, 0, 0) if self.metadata.is_empty() => {
                Some("has neither samples nor histograms".to_owned())
            }
            (1.., 1.., _) => Some("has both samples and histograms".to_owned()),
            _ => None,
        });
        Ok(())
    }

    /// The labels that pairs of numbers stand for.
    fn resolve(&mut self, refs: &[u32], count: usize, symbols: &[&'a [u8]]) {
        if !count.is_multiple_of(2) {
            self.fault = Some(format!("has {count} label references, which must be pairs"));
            return;
        }
        let symbol = |at: u32| symbols.get(at as usize).copied();
        for pair in refs.chunks_exact(2) {
            match (symbol(pair[0]), symbol(pair[1])) {
                (Some(name), Some(value)) => self.labels.push((name, value)),
                (name, _) => {
                    let wrong = if name.is_none() { pair[0] } else { pair[1] };
                    self.fault = Some(no_symbol(wrong, symbols.len()));
                    return;
                }
            }
        }
    }

    fn clear(&mut self) {
        self.labels.clear();
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.refs.clear();
        self.metadata = SeriesMetadata::default();
        (self.counts, self.fault, self.histogram_fault) = (Counts::default(), None, None);
        (self.bad_exemplars, self.unfit_exemplars, self.bad_histograms) = (0, 0, 0);
    }

    fn add_histogram(&mut self, value: Value<'a>, room: Room) -> Result<(), WireError> {
        self.counts.histograms += 1;
        match native::histogram(value.bytes()?, room.buckets)? {
            Ok(histogram) => {
                let kept = histogram.heap_bytes() + size_of::<HistogramSample>();
                self.counts.histogram_bytes += kept;
                if self.counts.histogram_bytes <= room.histogram_bytes {
                    self.histograms.push(histogram);
                }
            }
            Err(fault) => {
                self.bad_histograms += 1;
                self.histogram_fault.get_or_insert(fault);
            }
        }
        Ok(())
    }

    /// A `Sample` of either version. Its time of start (2.0, field 3) has no use here.
    fn add_sample(&mut self, value: Value<'a>, room: Room) -> Result<(), WireError> {
        let mut sample = Sample::new(0, 0.0);
        for field in Fields::new(value.bytes()?) {
            match field? {
                (1, value) => sample.value = value.double()?,
                (2, value) => sample.timestamp_ms = value.int64()?,
                _ => {}
            }
        }
        self.counts.samples += 1;
        if self.samples.len() < room.samples {
            self.samples.push(sample);
        }
        Ok(())
    }
}

fn no_symbol(at: u32, symbols: usize) -> String {
    format!("refers to symbol {at} of {symbols}, which is not there")
}

/// The labels of a series one by one, however many they are; with symbols those of 2.0, as far as they are
/// there.
pub(super) fn each_label<'a>(
    series: &'a [u8],
    symbols: Option<&[&'a [u8]]>,
    each: &mut dyn FnMut(Pair<'a>),
) -> Result<(), WireError> {
    let mut name = None;
    for field in Fields::new(series) {
        match (field?, symbols) {
            ((1, value), None) => each(label(value.bytes()?)?),
            ((1, value), Some(symbols)) => value.each_varint(|it| {
                let symbol = symbols.get(it as u32 as usize).copied().unwrap_or_default();
                match name.take() {
                    None => name = Some(symbol),
                    Some(name) => each((name, symbol)),
                }
            })?,
            _ => {}
        }
    }
    Ok(())
}
