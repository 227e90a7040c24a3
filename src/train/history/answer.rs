//! The JSON that a server answers a range query with.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::Reason;
use crate::labels::Labels;

/// A server's own words are cut at this length: some put a whole page of HTML there.
const MAX_WORDS: usize = 300;

#[derive(Deserialize)]
struct Answer<'a> {
    status: &'a str,
    #[serde(borrow)]
    data: Option<Data<'a>>,
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

/// Reads a successful answer.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Element<'_>>, Reason> {
    let answer: Answer<'_> = serde_json::from_slice(body)
        .map_err(|error| Reason::NotPrometheus(format!("{error}: {}", words(body))))?;
    let data = match answer {
        Answer { status: "success", data: Some(data) } => data,
        _ => return Err(refusal(200, body)),
    };
    if data.kind != "matrix" {
        let reason = format!("the result is a {} and no matrix", data.kind);
        return Err(Reason::NotPrometheus(reason));
    }
    let elements = data.result.into_iter().map(|series| Element {
        labels: Labels::from_pairs(series.metric).expect("a map has each name once"),
        values: series.values,
    });
    Ok(elements.collect())
}

/// Reads why the server does not answer.
pub(super) fn refusal(status: u16, body: &[u8]) -> Reason {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { kind, error }) => Reason::Refused {
            status,
            words: format!("{kind}: {error}").chars().take(MAX_WORDS).collect(),
        },
        Err(_) => Reason::NotPrometheus(format!("status {status}: {}", words(body))),
    }
}

fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_WORDS)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
