//! A server: how it is asked one question, and what its answer or refusal means.
//!
//! In: an address, the `history` section, an expression and the steps it is asked at. Out: elements of
//! the answer, or a reason and what helps. Credentials appear in no message, log line or file.

pub(super) mod answer;
pub(super) mod client;
pub(super) mod config;
pub(super) mod identity;
pub(super) mod inquiry;
pub(super) mod patience;
pub(super) mod reason;
mod server_words;

#[cfg(test)]
mod tests;
