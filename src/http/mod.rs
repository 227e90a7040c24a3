//! HTTP: connections and their limits, up to a request in the hands of a handler.
//!
//! In: a listener that is bound already, a handler, which requests are about the program itself, and the
//! moment to stop. Out: connections that are served and, at the end, drained. Invariants: never more
//! connections than allowed; a peer has a share of them; what is asked about the program itself is answered
//! when all else is told to come again; a sender that is slow with its head, stalls in its body, does not
//! read its answer or is idle for too long is disconnected; a peer that closes only its side is answered;
//! whoever is refused is told why; a stop takes no longer than its time. It does not know paths or bodies:
//! what a handler does within a request, and for how long, is the handler's business.

mod activity;
mod answer;
mod cors;
mod door;
mod pace;
mod peers;
mod request;
mod server;
mod stream;

use serde::{Deserialize, Serialize};

use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::setting::{SettingError, above_zero};

pub use answer::Parts;
pub use cors::CorsOrigin;
pub use request::{Peer, RequestBody};
pub use server::{Vital, describe_metrics, serve};

/// Buffer of a connection, which a head must fit in: several times what proxies let through.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Headers of a request: Go, and so Prometheus, counts only their bytes; proxies in front stop at a
/// hundred or two.
const MAX_HEADERS: usize = 512;

/// The `web` section of the configuration: limits on connections, and who may read answers. They are read at the start; a
/// reload does not change them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Connections at one time.
    pub max_connections: usize,
    /// Connections of one peer (IP address, of IPv6 the network of 64 bits). Without it half of the above.
    pub max_connections_per_peer: Option<usize>,
    /// Connections beyond `max_connections` or a peer's share of them, on which only what is asked about the
    /// program itself (its metrics, its health, a reload) is answered, and all else with 503.
    pub reserved_connections: usize,
    /// How long such a connection may take in all, its one request and the answer to that included.
    pub reserved_timeout: Duration,
    /// How long the head of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// The slowest pace at which a body may arrive, over five seconds. 0: none.
    pub min_body_bytes_per_second: ByteSize,
    /// How long a peer may take nothing of its answer.
    pub answer_timeout: Duration,
    /// How long a connection may be open without a request.
    pub idle_timeout: Duration,
    /// How long requests may go on after the program was told to stop.
    pub shutdown_timeout: Duration,
    /// The origins whose pages may read answers of the query API: a regular expression that the whole origin
    /// must match. Without it no page of another origin. The flag `--web.cors.origin` of `serve` wins.
    pub cors_origin: Option<CorsOrigin>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            // Prometheus's own `--web.max-connections`.
            max_connections: 512,
            // Half: whoever fills its share leaves as much to all others. A Prometheus pushes over 50.
            max_connections_per_peer: None,
            // A scrape and a probe or two of each of a pair of Prometheus and of what keeps the program
            // alive, with as much again for those who are told to come again.
            reserved_connections: 16,
            // A page takes milliseconds, and whoever waits behind sixteen of these waits for no more.
            reserved_timeout: Duration::from_seconds(2),
            // A head fits in a packet or two; slower senders hold a place that others need.
            header_timeout: Duration::from_seconds(10),
            // After 30 s a Prometheus gives the attempt up.
            body_timeout: Duration::from_seconds(30),
            // A thousandth of what a push of 2,000 samples needs to arrive in a second; the slowest
            // telephone modems brought as much.
            min_body_bytes_per_second: ByteSize::from_bytes(256),
            // A packet that is lost seven times in a row is sent again within 26 s.
            answer_timeout: Duration::from_seconds(30),
            // Longer than the interval of any usual scrape, so that its connection is kept.
            idle_timeout: Duration::from_seconds(120),
            // Containers are killed 10 s after they were asked; half of that is for the rest.
            shutdown_timeout: Duration::from_seconds(5),
            // Any page that somebody on the same network looks at could read all there is.
            cors_origin: None,
        }
    }
}

impl WebConfig {
    /// Refuses limits with which nobody can be served; names the first such key.
    pub fn validate(&self) -> Result<(), SettingError> {
        above_zero(
            "web",
            &[
                ("max_connections", Some(self.max_connections as u64)),
                ("max_connections_per_peer", self.max_connections_per_peer.map(|it| it as u64)),
                ("reserved_timeout", Some(self.reserved_timeout.as_ms() as u64)),
                ("answer_timeout", Some(self.answer_timeout.as_ms() as u64)),
                ("header_timeout", Some(self.header_timeout.as_ms() as u64)),
                ("body_timeout", Some(self.body_timeout.as_ms() as u64)),
                ("idle_timeout", Some(self.idle_timeout.as_ms() as u64)),
            ],
        )
    }

    /// Connections of one peer.
    fn connections_per_peer(&self) -> usize {
        self.max_connections_per_peer.unwrap_or(self.max_connections.div_ceil(2))
    }

    /// How long a peer may be slow, on the reserve or not.
    fn limits(&self, is_reserved: bool) -> activity::Limits {
        let header = self.header_timeout.to_std();
        // Most of the time there is for the answer.
        let header =
            if is_reserved { header.min(self.reserved_timeout.to_std() / 2) } else { header };
        activity::Limits {
            header,
            idle: if is_reserved { header } else { self.idle_timeout.to_std() },
            answer: self.answer_timeout.to_std(),
        }
    }
}
