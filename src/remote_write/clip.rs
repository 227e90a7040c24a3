//! Foreign texts in an answer: no more of them than can be read.

/// Bytes of foreign text in an answer or a log line, at most.
const MAX_QUOTED_BYTES: usize = 160;

/// The beginning of a foreign text, cut between two characters.
#[must_use]
pub fn clip(text: &str) -> String {
    if text.len() <= MAX_QUOTED_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_QUOTED_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &text[..end])
}
