//! A server's own words: why it does not answer, at a length that can be read.

use serde::Deserialize;

/// A server's own words are cut at this length: some put a whole page of HTML there.
const MAX_WORDS: usize = 300;

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "errorType", default)]
    kind: String,
    error: String,
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
