//! HTTP: connections and their limits, up to a request in the hands of a handler.
//!
//! In: a listener that is bound already, a handler, and the moment to stop. Out: connections that
//! are served and, at the end, drained. Invariants: never more connections than allowed (further
//! ones wait in the listener's queue); a sender that is slow with its head or idle for too long is
//! disconnected; a peer that closes only its side is answered; whoever is refused is told why; a stop takes
//! no longer than its time. It does not know paths or bodies: what a
//! handler does within a request, and for how long, is the handler's business.

mod activity;
mod answer;
mod request;
mod server;
mod stream;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

pub use answer::Parts;
pub use request::{Peer, RequestBody};
pub use server::{describe_metrics, serve};

/// Buffer of a connection, which a head must fit in: several times what proxies let through.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Headers of a request: Go, and so Prometheus, counts only their bytes; proxies in front stop at a
/// hundred or two.
const MAX_HEADERS: usize = 512;

/// The `web` section of the configuration: limits on connections. They are read at the start; a
/// reload does not change them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Connections at one time.
    pub max_connections: usize,
    /// How long the head of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long a connection may be open without a request, or without reading its answer.
    pub idle_timeout: Duration,
    /// How long requests may go on after the program was told to stop.
    pub shutdown_timeout: Duration,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            // Prometheus's own `--web.max-connections`.
            max_connections: 512,
            // A head fits in a packet or two; slower senders hold a place that others need.
            header_timeout: Duration::from_seconds(10),
            // After 30 s a Prometheus gives the attempt up.
            body_timeout: Duration::from_seconds(30),
            // Longer than the interval of any usual scrape, so that its connection is kept.
            idle_timeout: Duration::from_seconds(120),
            // Containers are killed 10 s after they were asked; half of that is for the rest.
            shutdown_timeout: Duration::from_seconds(5),
        }
    }
}

/// An answer with a short text.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    let mut text = text.into();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
