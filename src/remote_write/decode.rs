//! Decoding: from a body to a batch of validated label sets and samples.
//!
//! In: the bytes of a remote-write 1.0 request. Out: the good series as a [`Batch`], the bad ones
//! counted with a few examples. Invariants: nothing is allocated by a length that the sender only
//! claims; sorting is done here, no sender is trusted with it; the bits of values are kept; what
//! tells replicas of a sender apart stands beside the labels, not among them; a series that breaks a
//! limit and that nobody wants is passed over, because nothing is lost. For that it is told what is
//! wanted; it does not know which replica is heard.
//! Sources: remote-write specification 1.0, snappy format description (the largest expansion).

use std::sync::Arc;

use super::clip::clip;
use super::message::{self, Pair, RawSeries, Room};
use super::wire::{Fields, WireError};
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

/// What a body holds.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    /// The series that keep the rules and have samples.
    pub batch: Batch,
    /// The series that break a rule.
    pub invalid: Invalid,
    /// Samples of series that break a limit and that nobody wants.
    pub unneeded: u64,
    /// What is understood to be there and passed over.
    pub ignored: Ignored,
}

/// Series that break a rule of the specification or a limit on labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalid {
    /// Series.
    pub series: u64,
    /// Samples in them.
    pub samples: u64,
    /// The first few, as text.
    pub examples: Vec<String>,
}

/// Parts of a request that this version has no use for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Metadata of metric names.
    pub metadata: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// Native histograms.
    pub histograms: u64,
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
    config: &RemoteWriteConfig,
    demand: Option<&Demand>,
) -> Result<Decoded, Refusal> {
    let declared = declared_bytes(body, config)?;
    let mut message = vec![0; declared];
    let length =
        snap::raw::Decoder::new().decompress(body, &mut message).map_err(Refusal::Snappy)?;
    decode_message(&message[..length], config, demand)
}

/// Decodes a `WriteRequest`.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_message(
    message: &[u8],
    config: &RemoteWriteConfig,
    demand: Option<&Demand>,
) -> Result<Decoded, Refusal> {
    let mut decoded = Decoded::default();
    let mut replicas = Replicas { names: &config.replica_labels, last: None };
    let (mut series, mut samples) = (0, 0);
    let mut raw = RawSeries::default();
    for field in Fields::new(message) {
        let (number, value) = field.map_err(Refusal::Wire)?;
        match number {
            field::TIMESERIES => {}
            field::METADATA => {
                decoded.ignored.metadata += 1;
                continue;
            }
            _ => continue,
        }
        let content = value.bytes().map_err(Refusal::Wire)?;
        let room = Room {
            labels: config.max_labels_per_series,
            samples: config.max_samples_per_request - samples,
        };
        raw.read(content, room).map_err(Refusal::Wire)?;
        series += 1;
        samples += raw.counts.samples;
        for (what, count, limit) in [
            ("series", series, config.max_series_per_request),
            ("samples", samples, config.max_samples_per_request),
        ] {
            if count > limit {
                return Err(Refusal::TooMany { what, limit });
            }
        }
        decoded.ignored.exemplars += raw.counts.exemplars as u64;
        decoded.ignored.histograms += raw.counts.histograms as u64;
        let kept = &raw.samples[..];
        match labels(&raw, config) {
            Ok(_) if kept.is_empty() => {}
            Ok(labels) => {
                let (labels, replica) = replicas.take_off(&raw.labels, labels);
                let samples = kept.to_vec();
                decoded.batch.series.push(BatchSeries { labels, replica, samples });
            }
            Err(Fault::Rule(reason)) => decoded.invalid.add(kept.len(), reason),
            Err(Fault::Limit(reason)) => {
                decoded.refuse(content, (kept.len(), reason), config, demand)?;
            }
        }
    }
    Ok(decoded)
}

impl Decoded {
    /// Takes note of a series that breaks a limit: it is invalid if somebody wants it.
    fn refuse(
        &mut self,
        series: &[u8],
        (samples, reason): (usize, String),
        config: &RemoteWriteConfig,
        demand: Option<&Demand>,
    ) -> Result<(), Refusal> {
        let demand = demand.ok_or(Refusal::Unavailable(Unavailable::Starting))?;
        match decisive_labels(series, config, demand).map_err(Refusal::Wire)? {
            Ok(labels) if !demand.wants(&labels) => self.unneeded += samples as u64,
            Ok(_) => self.invalid.add(samples, reason),
            Err(malformed) => self.invalid.add(samples, malformed),
        }
        Ok(())
    }
}

/// Those labels of a series by which it is wanted or not, or a sentence that says which rule they break.
/// There are few of them, however many labels the series has; the rest is not built.
fn decisive_labels(
    series: &[u8],
    config: &RemoteWriteConfig,
    demand: &Demand,
) -> Result<Result<Labels, String>, WireError> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for pair in message::labels(series) {
        let (name, value) = pair?;
        let pair =
            text(name, "a label name").and_then(|name| Ok((name, text(value, "a label value")?)));
        let (name, value) = match pair {
            Ok(pair) => pair,
            Err(reason) => return Ok(Err(reason)),
        };
        if name.is_empty() {
            return Ok(Err("a series has a label without a name".to_owned()));
        }
        if !demand.looks_at(name) || config.replica_labels.iter().any(|label| label == name) {
            continue;
        }
        if pairs.iter().any(|(other, _)| *other == name) {
            let name = clip(name);
            return Ok(Err(format!("a series: label name {name:?} occurs more than once")));
        }
        pairs.push((name, value));
    }
    let labels = Labels::from_pairs(pairs).map_err(|error| clip(&error.to_string()));
    Ok(labels.and_then(|labels| match labels.metric_name() {
        "" => Err("a series has no metric name".to_owned()),
        _ => Ok(labels),
    }))
}

impl Invalid {
    fn add(&mut self, samples: usize, reason: String) {
        self.series += 1;
        self.samples += samples as u64;
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

/// Field numbers of `prometheus.WriteRequest`.
mod field {
    pub const TIMESERIES: u32 = 1;
    pub const METADATA: u32 = 3;
}

/// What is wrong with a label set, as a sentence.
enum Fault {
    /// It breaks a rule of the specification.
    Rule(String),
    /// It breaks a limit of this receiver.
    Limit(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Rule(reason)
    }
}

/// The label set of a series.
fn labels(series: &RawSeries<'_>, config: &RemoteWriteConfig) -> Result<Labels, Fault> {
    let (count, limit) = (series.counts.labels, config.max_labels_per_series);
    if count > limit {
        return Err(Fault::Limit(format!("a series has {count} labels, more than {limit}")));
    }
    let mut texts = Vec::with_capacity(count);
    for (name, value) in &series.labels {
        texts.push((text(name, "a label name")?, text(value, "a label value")?));
    }
    let metric = texts.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, value)| value);
    if metric.is_empty() {
        let named: Vec<String> =
            texts.iter().take(4).map(|(name, value)| format!("{name}={value:?}")).collect();
        return Err(format!("a series has no metric name: {{{}}}", clip(&named.join(", "))).into());
    }
    let metric = clip(metric);
    for (name, value) in &texts {
        let clipped = clip(name);
        if name.is_empty() {
            return Err(format!("a series of {metric:?} has a label without a name").into());
        }
        if name.len() as u64 > config.max_label_name_bytes.as_bytes() {
            return Err(Fault::Limit(format!(
                "a series of {metric:?} has a label name of {} bytes, more than {}: {clipped:?}",
                name.len(),
                config.max_label_name_bytes,
            )));
        }
        if value.len() as u64 > config.max_label_value_bytes.as_bytes() {
            return Err(Fault::Limit(format!(
                "a series of {metric:?} has a value of {} bytes, more than {}, in label {clipped:?}",
                value.len(),
                config.max_label_value_bytes,
            )));
        }
    }
    Labels::from_pairs(texts)
        .map_err(|error| format!("a series of {metric:?}: {}", clip(&error.to_string())).into())
}

fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|_| {
        let start = &bytes[..bytes.len().min(64)];
        format!("{what} is not UTF-8: \"{}\"", start.escape_ascii())
    })
}

#[cfg(test)]
mod tests;
