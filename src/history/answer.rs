//! The JSON that a server answers a range query with.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::reason::Reason;
use crate::labels::Labels;

/// A server's own words are cut at this length: some put a whole page of HTML there.
const MAX_WORDS: usize = 300;

#[derive(Deserialize)]
struct Body<'a> {
    status: &'a str,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics's word for what Thanos says in a warning.
    #[serde(rename = "isPartial", default)]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    kind: &'a str,
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    metric: BTreeMap<String, String>,
    /// Absent where a series only has histograms.
    #[serde(borrow, default)]
    values: Vec<(f64, &'a str)>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "errorType", default)]
    kind: String,
    error: String,
}

/// One element of the result: a label set and its values over time.
pub(super) struct Element<'a> {
    /// All its labels.
    pub labels: Labels,
    values: Vec<(f64, &'a str)>,
}

impl Element<'_> {
    /// Times in milliseconds and values, among them whatever Prometheus writes for NaN and
    /// infinity. A text that is no number counts as NaN.
    pub fn values(&self) -> impl Iterator<Item = (i64, f64)> {
        let value = |text: &str| text.parse().unwrap_or(f64::NAN);
        let pairs = self.values.iter();
        pairs.map(move |(seconds, text)| ((seconds * 1_000.0).round() as i64, value(text)))
    }
}

/// A successful answer.
pub(super) struct Answer<'a> {
    /// The result.
    pub elements: Vec<Element<'a>>,
    /// What the server warns of, cut to a readable length, such as a part of its stores that did not answer.
    pub warnings: Vec<String>,
}

/// Reads a successful answer.
pub(super) fn parse(body: &[u8]) -> Result<Answer<'_>, Reason> {
    let body: Body<'_> = serde_json::from_slice(body)
        .map_err(|error| Reason::NotPrometheus(format!("{error}: {}", words(body))))?;
    let data = match body {
        Body { status: "success", data: Some(data), .. } => data,
        Body { error, .. } => {
            let error = error.unwrap_or_else(|| "there is no data in the answer".to_owned());
            let words = error.chars().take(MAX_WORDS).collect();
            return Err(Reason::Refused { status: 200, words });
        }
    };
    if data.kind != "matrix" {
        let reason = format!("the result is a {} and no matrix", data.kind);
        return Err(Reason::NotPrometheus(reason));
    }
    let elements = data.result.into_iter().map(|series| Element {
        labels: Labels::from_pairs(series.metric).expect("a map has each name once"),
        values: series.values,
    });
    let mut warnings = body.warnings.unwrap_or_default();
    warnings.iter_mut().for_each(|it| *it = it.chars().take(MAX_WORDS).collect());
    if body.is_partial {
        warnings.push("the answer is partial".to_owned());
    }
    Ok(Answer { elements: elements.collect(), warnings })
}

/// Why the server does not answer, if it says so as Prometheus does, at any length.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    let Refusal { kind, error } = serde_json::from_slice(body).ok()?;
    Some(format!("{kind}: {error}"))
}

/// A server's own words at a readable length. What they are about, from this byte on, is in them.
pub(super) fn readable(words: &str, about: usize) -> String {
    let from = if about < MAX_WORDS { 0 } else { about };
    words[from..].chars().take(MAX_WORDS).collect()
}

/// The beginning of whatever was answered.
pub(super) fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_WORDS)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
