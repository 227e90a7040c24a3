//! The rules for the labels of a series: from the texts of a request to a label set, or a sentence that says
//! which rule they break.
//!
//! Sources: remote-write specifications 1.0 and 2.0 "Labels"; like Prometheus's receiver, names may be any UTF-8
//! and a label with an empty value is none.

use super::RemoteWriteConfig;
use super::clip::clip;
use super::message::{RawSeries, each_label};
use super::pair::Pair;
use super::wire::WireError;
use crate::labels::Labels;
use crate::series::Demand;

/// What is wrong with a label set, as a sentence.
pub(super) enum Fault {
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
pub(super) fn labels(series: &RawSeries<'_>, config: &RemoteWriteConfig) -> Result<Labels, Fault> {
    let (count, limit) = (series.counts.labels, config.max_labels_per_series);
    if count > limit {
        return Err(Fault::Limit(format!("a series has {count} labels, more than {limit}")));
    }
    if let Some(fault) = &series.fault {
        let named = named(&series.labels);
        return Err(format!("a series {fault}: {{{}}}", clip(&named)).into());
    }
    let mut texts = Vec::with_capacity(count);
    for (name, value) in &series.labels {
        texts.push((text(name, "a label name")?, text(value, "a label value")?));
    }
    let metric = texts.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, value)| value);
    if metric.is_empty() {
        let named = named(&series.labels);
        return Err(format!("a series has no metric name: {{{}}}", clip(&named)).into());
    }
    // Nothing is written for a series that keeps the rules.
    let metric = || clip(metric);
    for (name, value) in &texts {
        if name.is_empty() {
            return Err(format!("a series of {:?} has a label without a name", metric()).into());
        }
        if name.len() as u64 > config.max_label_name_bytes.as_bytes() {
            return Err(Fault::Limit(format!(
                "a series of {:?} has a label name of {} bytes, more than {}: {:?}",
                metric(),
                name.len(),
                config.max_label_name_bytes,
                clip(name),
            )));
        }
        if value.len() as u64 > config.max_label_value_bytes.as_bytes() {
            return Err(Fault::Limit(format!(
                "a series of {:?} has a value of {} bytes, more than {}, in label {:?}",
                metric(),
                value.len(),
                config.max_label_value_bytes,
                clip(name),
            )));
        }
    }
    Labels::from_pairs(texts)
        .map_err(|error| format!("a series of {:?}: {}", metric(), clip(&error.to_string())).into())
}

/// The first labels of a series, for people.
fn named(pairs: &[Pair<'_>]) -> String {
    let of = |(name, value): &Pair<'_>| {
        format!("{}={:?}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    pairs.iter().take(4).map(of).collect::<Vec<_>>().join(", ")
}

fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|_| {
        let start = &bytes[..bytes.len().min(64)];
        format!("{what} is not UTF-8: \"{}\"", start.escape_ascii())
    })
}

/// Those labels of a series by which it is wanted or not, or a sentence that says which rule they break.
/// There are few of them, however many labels the series has; the rest is not built.
pub(super) fn decisive_labels(
    (series, symbols): (&[u8], Option<&[&[u8]]>),
    config: &RemoteWriteConfig,
    demand: &Demand,
) -> Result<Result<Labels, String>, WireError> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut malformed = None;
    each_label(series, symbols, &mut |pair| {
        if malformed.is_none() {
            malformed = decisive(pair, &mut pairs, config, demand).err();
        }
    })?;
    if let Some(reason) = malformed {
        return Ok(Err(reason));
    }
    let labels = Labels::from_pairs(pairs).map_err(|error| clip(&error.to_string()));
    Ok(labels.and_then(|labels| match labels.metric_name() {
        "" => Err("a series has no metric name".to_owned()),
        _ => Ok(labels),
    }))
}

/// Puts a label to those that decide, if it is one.
fn decisive<'a>(
    (name, value): Pair<'a>,
    pairs: &mut Vec<(&'a str, &'a str)>,
    config: &RemoteWriteConfig,
    demand: &Demand,
) -> Result<(), String> {
    let (name, value) = (text(name, "a label name")?, text(value, "a label value")?);
    if name.is_empty() {
        return Err("a series has a label without a name".to_owned());
    }
    if !demand.looks_at(name) || config.replica_labels.iter().any(|label| label == name) {
        return Ok(());
    }
    if pairs.iter().any(|(other, _)| *other == name) {
        return Err(format!("a series: label name {:?} occurs more than once", clip(name)));
    }
    pairs.push((name, value));
    Ok(())
}
