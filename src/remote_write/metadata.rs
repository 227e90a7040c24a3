//! Metadata: what a request says of metric families, each once.
//!
//! In: the metadata of a request, which 1.0 has beside the series and 2.0 in each of them. Out: type, help and
//! unit by family, as the last of it says. What has no name, is no text or goes beyond a limit fails no request: it
//! is counted and passed over. What a family says borrows from the request until the end, so
//! that a hundred thousand series of one family cost one entry; texts take no more than the request did, in
//! which a few bytes may stand for long ones.
//! Sources: remote-write specifications 1.0 (`prometheus.MetricMetadata`) and 2.0
//! (`io.prometheus.write.v2.Metadata`); OpenMetrics 1.0, "Suffixes".

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::RemoteWriteConfig;
use super::wire::{Fields, Value, WireError};
use crate::labels::METRIC_NAME;
use crate::sample::{MetricMetadata, MetricType};

/// What is kept of a help text: a sentence or two. Those of node_exporter have up to 300 bytes.
const MAX_HELP_BYTES: usize = 1_024;

/// What the series of histograms and summaries have behind the name of their family.
const SUFFIXES: [&str; 6] = ["_bucket", "_sum", "_count", "_created", "_gsum", "_gcount"];

/// The labels of a series: names and values.
type Pairs<'p, 'a> = &'p [(&'a [u8], &'a [u8])];

/// The metadata of a series of 2.0, as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeriesMetadata {
    metric_type: i32,
    help: u32,
    unit: u32,
}

impl SeriesMetadata {
    /// Reads a `Metadata`; of several the fields are merged, as in every message.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn add(&mut self, message: Value<'_>) -> Result<(), WireError> {
        for field in Fields::new(message.bytes()?) {
            match field? {
                (1, value) => self.metric_type = value.int64()? as i32,
                (3, value) => self.help = value.int64()? as u32,
                (4, value) => self.unit = value.int64()? as u32,
                _ => {}
            }
        }
        Ok(())
    }

    /// The first of its references that is to none of so many symbols.
    pub(super) fn wrong_ref(self, symbols: usize) -> Option<u32> {
        [self.help, self.unit].into_iter().find(|it| *it as usize >= symbols)
    }

    /// Whether it says nothing: senders that know nothing write that.
    pub(super) const fn is_empty(self) -> bool {
        matches!(self, Self { metric_type: 0, help: 0, unit: 0 })
    }
}

/// What is said of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said<'a> {
    metric_type: MetricType,
    help: &'a str,
    unit: &'a str,
}

impl Said<'_> {
    fn bytes(&self) -> usize {
        self.help.len() + self.unit.len()
    }
}

/// What a request says of families, while it is decoded.
#[derive(Debug)]
pub(super) struct FamilyMetadata<'a> {
    said: Vec<(&'a str, Said<'a>)>,
    places: HashMap<&'a str, usize>,
    /// Of all texts together, and how many there may be.
    bytes: usize,
    max_bytes: usize,
    max_families: usize,
    max_name_bytes: usize,
    /// What was passed over.
    ignored: u64,
}

impl<'a> FamilyMetadata<'a> {
    /// Nothing yet, of a message of so many bytes.
    pub(super) fn new(message_bytes: usize, config: &RemoteWriteConfig) -> Self {
        Self {
            said: Vec::new(),
            places: HashMap::new(),
            bytes: 0,
            max_bytes: message_bytes,
            max_families: config.max_series_per_request,
            max_name_bytes: config.max_label_value_bytes.as_len(),
            ignored: 0,
        }
    }

    /// Takes a `prometheus.MetricMetadata` in.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn take(&mut self, message: Value<'a>) -> Result<(), WireError> {
        let said = self.read(message)?;
        let taken = said.is_some_and(|(family, said)| self.put(family, said));
        self.ignored += u64::from(!taken);
        Ok(())
    }

    /// Takes in what a good series of 2.0 says of its family. One with native histograms has the family's name.
    pub(super) fn take_of(
        &mut self,
        (metadata, symbols): (SeriesMetadata, &[&'a [u8]]),
        labels: Pairs<'_, 'a>,
        is_native: bool,
    ) {
        if metadata.is_empty() {
            return;
        }
        let said = self.resolve((metadata, symbols), labels, is_native);
        let taken = said.is_some_and(|(family, said)| self.put(family, said));
        self.ignored += u64::from(!taken);
    }

    fn read(&self, message: Value<'a>) -> Result<Option<(&'a str, Said<'a>)>, WireError> {
        let (mut metric_type, mut name, mut help, mut unit) = (0, &b""[..], &b""[..], &b""[..]);
        for field in Fields::new(message.bytes()?) {
            match field? {
                (1, value) => metric_type = value.int64()? as i32,
                (2, value) => name = value.bytes()?,
                (4, value) => help = value.bytes()?,
                (5, value) => unit = value.bytes()?,
                _ => {}
            }
        }
        let said = self.said(metric_type_of(metric_type), help, unit);
        Ok(str::from_utf8(name).ok().zip(said))
    }

    fn resolve(
        &self,
        (metadata, symbols): (SeriesMetadata, &[&'a [u8]]),
        labels: Pairs<'_, 'a>,
        is_native: bool,
    ) -> Option<(&'a str, Said<'a>)> {
        let SeriesMetadata { metric_type, help, unit } = metadata;
        let metric_type = metric_type_of(metric_type);
        let symbol = |at: u32| symbols.get(at as usize).copied();
        let said = self.said(metric_type, symbol(help)?, symbol(unit)?)?;
        let is_name = |(name, _): &&(&[u8], &[u8])| *name == METRIC_NAME.as_bytes();
        let (_, name) = labels.iter().find(is_name)?;
        let name = str::from_utf8(name).ok()?;
        let has_suffix = !is_native
            && matches!(
                metric_type,
                MetricType::Histogram | MetricType::GaugeHistogram | MetricType::Summary
            );
        let without = SUFFIXES.iter().find_map(|it| name.strip_suffix(it));
        Some((without.filter(|_| has_suffix).unwrap_or(name), said))
    }

    fn said(&self, metric_type: MetricType, help: &'a [u8], unit: &'a [u8]) -> Option<Said<'a>> {
        let clipped = |text: &'a [u8], most: usize| {
            let text = str::from_utf8(text).ok()?;
            Some(&text[..text.floor_char_boundary(most)])
        };
        let (help, unit) = (clipped(help, MAX_HELP_BYTES)?, clipped(unit, self.max_name_bytes)?);
        Some(Said { metric_type, help, unit })
    }

    /// Puts what is said of a family in the place of what was; says whether there is room for it.
    fn put(&mut self, family: &'a str, said: Said<'a>) -> bool {
        // The series of a family stand together.
        if self.said.last().is_some_and(|last| *last == (family, said)) {
            return true;
        }
        if family.is_empty() || family.len() > self.max_name_bytes {
            return false;
        }
        let count = self.said.len();
        match self.places.entry(family) {
            Entry::Occupied(place) => {
                let former = &mut self.said[*place.get()].1;
                let bytes = self.bytes - former.bytes() + said.bytes();
                if bytes > self.max_bytes {
                    return false;
                }
                (self.bytes, *former) = (bytes, said);
            }
            Entry::Vacant(place) => {
                let bytes = self.bytes + family.len() + said.bytes();
                if count == self.max_families || bytes > self.max_bytes {
                    return false;
                }
                place.insert(count);
                self.said.push((family, said));
                self.bytes = bytes;
            }
        }
        true
    }

    /// What is said of each family, and how much was passed over.
    pub(super) fn finish(self) -> (Vec<MetricMetadata>, u64) {
        let of = |(family, said): (&str, Said<'_>)| MetricMetadata {
            family: Arc::from(family),
            metric_type: said.metric_type,
            help: Arc::from(said.help),
            unit: Arc::from(said.unit),
        };
        (self.said.into_iter().map(of).collect(), self.ignored)
    }
}

/// The type that a number stands for, the same in both versions; of a later version it may be one more.
const fn metric_type_of(number: i32) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}
