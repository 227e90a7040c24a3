//! Decoding: from a body to a batch of validated label sets and samples.
//!
//! In: the bytes of a remote-write request, 1.0 or 2.0. Out: the good series as a [`Batch`], the bad ones
//! counted with a few examples. Invariants: nothing is allocated by a length that the sender only
//! claims; sorting is done here, no sender is trusted with it; the bits of values are kept; what
//! tells replicas of a sender apart stands beside the labels, not among them; a series that breaks a
//! limit and that nobody wants is passed over, because nothing is lost. For that it is told what is
//! wanted; it does not know which replica is heard.
//! Sources: remote-write specifications 1.0 and 2.0, snappy format description (the largest expansion).

use std::sync::Arc;

use super::clip::clip;
use super::headers::Protocol;
use super::label_rules::{Fault, decisive_labels, labels};
use super::message::{Counts, RawSeries, Room};
use super::metadata::FamilyMetadata;
use super::pair::Pair;
use super::wire::Fields;
use super::{Refusal, RemoteWriteConfig, Unavailable};
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries};
use crate::series::Demand;

/// A copy of three bytes yields at most 64, so no block grows by more than 64/3.
const SNAPPY_LARGEST_COPY: (u64, u64) = (64, 3);

/// Blocks of a few bytes: a literal's tag, the length itself.
const SNAPPY_SLACK: u64 = 64;

/// Examples that are kept of series that break a rule. A sender logs about 1,000 bytes.
const MAX_EXAMPLES: usize = 3;

/// Memory that the exemplars of any request may take; a larger one's may take as much as its message does. More of
/// them are not kept: a number of one byte may stand for many characters.
const EXEMPLAR_BYTES: usize = 64 << 10;

/// What a body holds.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    /// The series that keep the rules and have samples or exemplars, and what is said of metric families.
    pub batch: Batch,
    /// The series that break a rule.
    pub invalid: Invalid,
    /// Samples of series that break a limit and that nobody wants.
    pub unneeded: u64,
    /// Native histograms of such series.
    pub unneeded_histograms: u64,
    /// What is taken in and has no use yet, of series that keep the rules.
    pub unused: Unused,
}

/// Series that break a rule of the specification or a limit on labels, and parts of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalid {
    /// Series.
    pub series: u64,
    /// Samples in them.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// The first few, as text.
    pub examples: Vec<String>,
}

/// Parts of a request that are of no use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unused {
    /// Metadata that has no name, is no text or goes beyond a limit.
    pub metadata: u64,
    /// Exemplars that are not kept: too long, beside many newer ones, or of series that break a limit.
    pub exemplars: u64,
    /// Those of them that are too long or no texts: no error, and not written, as in Prometheus.
    pub unfit_exemplars: u64,
}

/// The size that a snappy block says it has when decompressed.
///
/// # Errors
/// When it says nothing readable, more than is allowed, or more than the block can hold.
pub fn declared_bytes(body: &[u8], config: &RemoteWriteConfig) -> Result<usize, Refusal> {
    if body.is_empty() {
        return Err(Refusal::EmptyBody);
    }
    let declared = snap::raw::decompress_len(body).map_err(Refusal::Snappy)?;
    let limit = config.max_decoded_bytes;
    if declared as u64 > limit.as_bytes() {
        return Err(Refusal::DecodedTooLarge { declared, limit });
    }
    let (out, copy) = SNAPPY_LARGEST_COPY;
    if declared as u64 > body.len() as u64 * out / copy + SNAPPY_SLACK {
        return Err(Refusal::ImpossibleExpansion { declared, compressed: body.len() });
    }
    Ok(declared)
}

/// Decompresses and decodes a body. Without knowing what is wanted, a series that breaks a limit cannot
/// be judged.
///
/// # Errors
/// When the whole of it is unusable, beyond a limit or not to be judged yet; then nothing of it is.
pub fn decode(
    body: &[u8],
    protocol: Protocol,
    config: &RemoteWriteConfig,
    demand: Option<&Demand>,
) -> Result<Decoded, Refusal> {
    let declared = declared_bytes(body, config)?;
    let mut message = vec![0; declared];
    let length =
        snap::raw::Decoder::new().decompress(body, &mut message).map_err(Refusal::Snappy)?;
    decode_message(&message[..length], protocol, config, demand)
}

/// Decodes the message of a request.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_message(
    message: &[u8],
    protocol: Protocol,
    config: &RemoteWriteConfig,
    demand: Option<&Demand>,
) -> Result<Decoded, Refusal> {
    let symbols = match protocol {
        Protocol::V1 => None,
        Protocol::V2 => Some(symbols(message, config)?),
    };
    let replicas = Replicas { names: &config.replica_labels, last: None };
    let mut decoder = Decoder {
        symbols,
        config,
        demand,
        replicas,
        families: FamilyMetadata::new(message.len(), config),
        used: Used::default(),
        exemplar_room: message.len().max(EXEMPLAR_BYTES),
        into: Decoded::default(),
    };
    let mut raw = RawSeries::default();
    let series = if protocol == Protocol::V1 { 1 } else { 5 };
    for field in Fields::new(message) {
        match field.map_err(Refusal::Wire)? {
            (number, value) if number == series => {
                decoder.take(value.bytes().map_err(Refusal::Wire)?, &mut raw)?;
            }
            (3, value) if protocol == Protocol::V1 => {
                decoder.families.take(value).map_err(Refusal::Wire)?;
            }
            _ => {}
        }
    }
    let Decoder { families, into: mut decoded, .. } = decoder;
    (decoded.batch.metadata, decoded.unused.metadata) = families.finish();
    Ok(decoded)
}

/// The symbols of an `io.prometheus.write.v2.Request`, which may stand behind the series.
fn symbols<'a>(message: &'a [u8], config: &RemoteWriteConfig) -> Result<Vec<&'a [u8]>, Refusal> {
    let (mut symbols, mut is_needed) = (Vec::new(), false);
    for field in Fields::new(message) {
        match field.map_err(Refusal::Wire)? {
            (4, value) => {
                let limit = config.max_symbols_per_request;
                if symbols.len() == limit {
                    return Err(Refusal::TooMany { what: "symbols", limit });
                }
                symbols.push(value.bytes().map_err(Refusal::Wire)?);
            }
            (5, _) => is_needed = true,
            _ => {}
        }
    }
    match symbols.first() {
        Some([]) => Ok(symbols),
        None if !is_needed => Ok(symbols),
        _ => Err(Refusal::Symbols),
    }
}

/// What the series of a request have had of its limits.
#[derive(Default)]
struct Used {
    series: usize,
    samples: usize,
    labels: usize,
    label_bytes: usize,
    histogram_bytes: usize,
}

/// A request while it is decoded.
struct Decoder<'a> {
    /// Those of 2.0.
    symbols: Option<Vec<&'a [u8]>>,
    config: &'a RemoteWriteConfig,
    demand: Option<&'a Demand>,
    replicas: Replicas<'a>,
    families: FamilyMetadata<'a>,
    used: Used,
    /// What further exemplars may take.
    exemplar_room: usize,
    into: Decoded,
}

impl<'a> Decoder<'a> {
    /// Takes a series in. `raw` is where it is read.
    fn take(&mut self, series: &'a [u8], raw: &mut RawSeries<'a>) -> Result<(), Refusal> {
        let config = self.config;
        let room = Room {
            labels: config.max_labels_per_series,
            samples: config.max_samples_per_request - self.used.samples,
            buckets: config.max_buckets_per_histogram,
            histogram_bytes: config
                .max_histogram_bytes_per_request
                .as_len()
                .saturating_sub(self.used.histogram_bytes),
        };
        match &self.symbols {
            None => raw.read(series, room),
            Some(symbols) => raw.read_v2(series, symbols, room),
        }
        .map_err(Refusal::Wire)?;
        self.used.series += 1;
        self.used.samples += raw.counts.samples + raw.counts.histograms;
        self.used.histogram_bytes += raw.counts.histogram_bytes;
        self.used.labels += raw.counts.labels;
        // Numbers of two bytes may stand for texts of any length.
        self.used.label_bytes += raw.labels.iter().map(|it| it.0.len() + it.1.len()).sum::<usize>();
        for (what, count, limit) in [
            ("series", self.used.series, config.max_series_per_request),
            ("samples", self.used.samples, config.max_samples_per_request),
            ("labels", self.used.labels, config.max_labels_per_request),
            ("label_bytes", self.used.label_bytes, config.max_label_bytes_per_request.as_len()),
            (
                "histogram_bytes",
                self.used.histogram_bytes,
                config.max_histogram_bytes_per_request.as_len(),
            ),
        ] {
            if count > limit {
                return Err(Refusal::TooMany { what, limit });
            }
        }
        match labels(raw, config) {
            Ok(labels) => {
                if let Some(symbols) = &self.symbols {
                    let is_native = raw.counts.histograms > 0;
                    self.families.take_of((raw.metadata, symbols), &raw.labels, is_native);
                }
                self.keep(raw, labels);
            }
            Err(Fault::Rule(reason)) => self.into.invalid.add(raw.counts, reason),
            Err(Fault::Limit(reason)) => self.refuse(series, (raw.counts, reason))?,
        }
        Ok(())
    }

    /// Puts a series that keeps the rules to the others.
    fn keep(&mut self, raw: &mut RawSeries<'a>, labels: Labels) {
        let Decoded { batch, invalid, unused, .. } = &mut self.into;
        if let Some(fault) = &raw.histogram_fault {
            invalid.histograms += raw.bad_histograms as u64;
            invalid.example(format!("a histogram of {}: {fault}", clip(&labels.to_string())));
        }
        let exemplars = raw.exemplars.take(self.symbols.as_deref(), &mut self.exemplar_room);
        unused.exemplars += (raw.counts.exemplars - raw.bad_exemplars - exemplars.len()) as u64;
        unused.unfit_exemplars += raw.unfit_exemplars as u64;
        if raw.bad_exemplars > 0 {
            invalid.exemplars += raw.bad_exemplars as u64;
            invalid.example(format!(
                "an exemplar of {} has no good labels",
                clip(&labels.to_string())
            ));
        }
        if !(raw.samples.is_empty() && raw.histograms.is_empty() && exemplars.is_empty()) {
            let (labels, replica) = self.replicas.take_off(&raw.labels, labels);
            let samples = raw.samples.clone();
            let histograms = std::mem::take(&mut raw.histograms);
            batch.series.push(BatchSeries { labels, replica, samples, histograms, exemplars });
        }
    }

    /// Takes note of a series that breaks a limit: it is invalid if somebody wants it.
    fn refuse(
        &mut self,
        series: &'a [u8],
        (counts, reason): (Counts, String),
    ) -> Result<(), Refusal> {
        let demand = self.demand.ok_or(Refusal::Unavailable(Unavailable::Starting))?;
        let labels = decisive_labels((series, self.symbols.as_deref()), self.config, demand);
        match labels.map_err(Refusal::Wire)? {
            Ok(labels) if !demand.wants(&labels) => {
                self.into.unneeded += counts.samples as u64;
                self.into.unneeded_histograms += counts.histograms as u64;
                self.into.unused.exemplars += counts.exemplars as u64;
            }
            Ok(_) => self.into.invalid.add(counts, reason),
            Err(malformed) => self.into.invalid.add(counts, malformed),
        }
        Ok(())
    }
}

impl Invalid {
    fn add(&mut self, counts: Counts, reason: String) {
        self.series += 1;
        self.samples += counts.samples as u64;
        self.histograms += counts.histograms as u64;
        self.exemplars += counts.exemplars as u64;
        self.example(reason);
    }

    fn example(&mut self, reason: String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(reason);
        }
    }
}

/// Takes off the labels that tell the replicas of a sender apart.
struct Replicas<'a> {
    /// The names of these labels.
    names: &'a [String],
    /// The replica of the series before: nearly always that of the next as well.
    last: Option<Arc<str>>,
}

impl Replicas<'_> {
    /// The labels without them, and their values if there are any; several with commas.
    fn take_off(&mut self, pairs: &[Pair<'_>], labels: Labels) -> (Labels, Option<Arc<str>>) {
        let is_one = |name: &[u8]| self.names.iter().any(|one| one.as_bytes() == name);
        // As they came, because that costs less to look at than the packed ones.
        if !pairs.iter().any(|(name, _)| is_one(name)) {
            return (labels, None);
        }
        let values: Vec<&str> =
            self.names.iter().map(|name| labels.get(name)).filter(|it| !it.is_empty()).collect();
        let name = values.join(",");
        if name.is_empty() {
            return (labels, None);
        }
        let replica = match &self.last {
            Some(last) if **last == *name => Arc::clone(last),
            _ => Arc::from(name),
        };
        self.last = Some(Arc::clone(&replica));
        (labels.filtered(|name| !is_one(name.as_bytes())), Some(replica))
    }
}

#[cfg(test)]
mod tests;
