//! A remote-write request: samples that a Prometheus pushes.
//!
//! In: an HTTP request. Out: a batch of samples for whoever keeps them, and an answer that tells
//! the sender whether to go on, to try again or to give up. Remote-write 1.0 and 2.0 are spoken here.
//!
//! Invariants: a request is judged by its headers before its body is read; memory for bodies and
//! what they decompress to is reserved before it is used, over all connections together; an
//! answer of 2xx means that every sample was taken in, or let go because it was there, another
//! replica is heard or nobody wants it; a passing fault is never a 4xx, because a
//! sender drops its data on that. It does not know what keeps the samples.
//! Sources: remote-write specifications 1.0 and 2.0.

mod clip;
mod decode;
mod exemplar;
mod headers;
mod in_flight;
mod label_rules;
mod message;
mod metadata;
mod native;
mod pair;
mod receiver;
mod refusal;
mod vmagent;
mod wire;
mod written;
mod zstd;

use serde::{Deserialize, Serialize};

use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::labels::METRIC_NAME;
use crate::series::REPLICA_TIMEOUT;
use crate::setting::{SettingError, above_zero};

pub use clip::clip;
pub use decode::{Decoded, Invalid, Unused, declared_bytes, decode};
pub use headers::{Protocol, negotiate};
pub use in_flight::{Exhausted, InFlight, InFlightLimits, Permit};
pub use receiver::{Receiver, ReceiverBudget, count_abandoned, describe_metrics};
pub use refusal::{Partial, Refusal, Unavailable};
pub use vmagent::handshake;
pub use wire::WireError;

/// The `remote_write` section of the configuration: limits on what may be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteWriteConfig {
    /// A request body as it arrives.
    pub max_body_bytes: ByteSize,
    /// A request body when decompressed.
    pub max_decoded_bytes: ByteSize,
    /// Bodies and what they decompress to, over all requests at one time. Beyond it requests are
    /// answered with 503 and come again.
    pub max_in_flight_bytes: ByteSize,
    /// The same over the requests of one peer (IP address, of IPv6 the network of 64 bits). Without it half of
    /// the above, or the largest request where that is more.
    pub max_in_flight_bytes_per_peer: Option<ByteSize>,
    /// Series in a request.
    pub max_series_per_request: usize,
    /// Samples in a request.
    pub max_samples_per_request: usize,
    /// Symbols in a request of remote-write 2.0.
    pub max_symbols_per_request: usize,
    /// Labels of all series in a request: what takes most of the work that a byte can make.
    pub max_labels_per_request: usize,
    /// The labels of all series in a request, names and values: of 2.0, where a few bytes stand for texts.
    pub max_label_bytes_per_request: ByteSize,
    /// Buckets of a native histogram.
    pub max_buckets_per_histogram: usize,
    /// Memory that the native histograms of a request take.
    pub max_histogram_bytes_per_request: ByteSize,
    /// Labels of a series, its name included.
    pub max_labels_per_series: usize,
    /// The name of a label.
    pub max_label_name_bytes: ByteSize,
    /// The value of a label.
    pub max_label_value_bytes: ByteSize,
    /// Requests that wait for the rings. Further ones wait for a place in the queue.
    pub max_queued_requests: usize,
    /// How long a request may wait for the rings before it is answered with 503.
    pub queue_timeout: Duration,
    /// Labels that tell apart several Prometheus which send the same: they are taken off, and of
    /// each series the samples of one replica are kept. Empty: no label is.
    pub replica_labels: Vec<String>,
    /// How long that replica must have been silent about a series before another one is heard.
    pub replica_timeout: Duration,
    /// Labels that name a cluster of such Prometheus, and stay: of all series with the same values of them the
    /// samples of one replica are kept. Empty, or for series that lack one: each series has its own.
    pub cluster_labels: Vec<String>,
    /// Clusters at most; the series of further ones have each their own replica.
    pub max_clusters: usize,
}

impl Default for RemoteWriteConfig {
    fn default() -> Self {
        Self {
            // What Prometheus and VictoriaMetrics allow, compressed and not.
            max_body_bytes: ByteSize::from_mib(32),
            max_decoded_bytes: ByteSize::from_mib(32),
            // Four of the largest requests, or 500 of the usual 2,000 samples.
            max_in_flight_bytes: ByteSize::from_mib(256),
            // Half: whoever fills its share leaves as much to all others.
            max_in_flight_bytes_per_peer: None,
            // OpenTelemetry's collector sends up to 30,000 in its batches of 3 MB.
            max_series_per_request: 100_000,
            // A sender that catches up repeats a series many times; 16 MB when decoded.
            max_samples_per_request: 1_000_000,
            // Prometheus's 2,000 samples have some 500; a series brings few that no other has.
            max_symbols_per_request: 500_000,
            // 16 bytes each in the largest request; usual ones take 25, and short ones more work than bytes.
            max_labels_per_request: 2_000_000,
            // Twice what a request of 1.0 can hold.
            max_label_bytes_per_request: ByteSize::from_mib(64),
            // Instrumented programs stop at 160; the finest schema has 256 to each doubling.
            max_buckets_per_histogram: 10_000,
            // 40,000 of 160 buckets; Prometheus sends 2,000 in a request.
            max_histogram_bytes_per_request: ByteSize::from_mib(64),
            // Kubernetes metrics have about 30; VictoriaMetrics stops at 40.
            max_labels_per_series: 64,
            // Mimir's and VictoriaMetrics's largest.
            max_label_name_bytes: ByteSize::from_bytes(1024),
            max_label_value_bytes: ByteSize::from_bytes(4096),
            // A few for each core that decodes: enough to keep the rings busy.
            max_queued_requests: 64,
            // Well within the 30 s after which Prometheus gives an attempt up.
            queue_timeout: Duration::from_seconds(10),
            // What prometheus-operator sets; what Mimir and Cortex want.
            replica_labels: ["prometheus_replica", "__replica__"].map(str::to_owned).to_vec(),
            replica_timeout: REPLICA_TIMEOUT,
            cluster_labels: Vec::new(),
            // Ten times what Mimir allows a tenant; some 200 KB.
            max_clusters: 1_000,
        }
    }
}

impl RemoteWriteConfig {
    /// Refuses limits with which nothing would be taken, or not the largest requests, and what is no label;
    /// names the first such key.
    pub fn validate(&self) -> Result<(), SettingError> {
        above_zero(
            "remote_write",
            &[
                ("max_body_bytes", Some(self.max_body_bytes.as_bytes())),
                ("max_decoded_bytes", Some(self.max_decoded_bytes.as_bytes())),
                ("max_in_flight_bytes", Some(self.max_in_flight_bytes.as_bytes())),
                ("max_series_per_request", Some(self.max_series_per_request as u64)),
                ("max_samples_per_request", Some(self.max_samples_per_request as u64)),
                ("max_symbols_per_request", Some(self.max_symbols_per_request as u64)),
                ("max_labels_per_request", Some(self.max_labels_per_request as u64)),
                ("max_label_bytes_per_request", Some(self.max_label_bytes_per_request.as_bytes())),
                ("max_buckets_per_histogram", Some(self.max_buckets_per_histogram as u64)),
                (
                    "max_histogram_bytes_per_request",
                    Some(self.max_histogram_bytes_per_request.as_bytes()),
                ),
                ("max_labels_per_series", Some(self.max_labels_per_series as u64)),
                ("max_label_name_bytes", Some(self.max_label_name_bytes.as_bytes())),
                ("max_label_value_bytes", Some(self.max_label_value_bytes.as_bytes())),
                ("max_queued_requests", Some(self.max_queued_requests as u64)),
                ("queue_timeout", Some(self.queue_timeout.as_ms() as u64)),
                ("replica_timeout", Some(self.replica_timeout.as_ms() as u64)),
                ("max_clusters", Some(self.max_clusters as u64)),
            ],
        )?;
        let largest = self.largest_request_bytes();
        for (key, limit) in [
            ("max_in_flight_bytes", Some(self.max_in_flight_bytes)),
            ("max_in_flight_bytes_per_peer", self.max_in_flight_bytes_per_peer),
        ] {
            if limit.is_some_and(|limit| limit.as_bytes() < largest) {
                return wrong(
                    key,
                    "must be at least max_body_bytes + max_decoded_bytes, or the largest requests would never be taken",
                );
            }
        }
        if largest > u64::from(u32::MAX) {
            return wrong("max_body_bytes", "must be below 4GiB together with max_decoded_bytes");
        }
        self.validate_labels()
    }

    /// Refuses labels of replicas and clusters that are none, or that no series would have.
    fn validate_labels(&self) -> Result<(), SettingError> {
        let no_name = |label: &String| label.is_empty() || label == METRIC_NAME;
        for (key, labels) in
            [("replica_labels", &self.replica_labels), ("cluster_labels", &self.cluster_labels)]
        {
            if let Some(i) = labels.iter().position(no_name) {
                let reason = "must be the name of a label, and not __name__";
                return wrong(&format!("{key}[{i}]"), reason);
            }
        }
        if !self.cluster_labels.is_empty() && self.replica_labels.is_empty() {
            return wrong("cluster_labels", "needs replica_labels, which is empty");
        }
        match self.cluster_labels.iter().position(|label| self.replica_labels.contains(label)) {
            Some(i) => {
                let reason = "must not be one of replica_labels, which are removed";
                wrong(&format!("cluster_labels[{i}]"), reason)
            }
            None => Ok(()),
        }
    }

    /// The memory that one request can need.
    #[must_use]
    pub fn largest_request_bytes(&self) -> u64 {
        self.max_body_bytes.as_bytes().saturating_add(self.max_decoded_bytes.as_bytes())
    }

    /// The limits on what requests under way hold.
    #[must_use]
    pub fn in_flight_limits(&self) -> InFlightLimits {
        let all = self.max_in_flight_bytes;
        let half = (all.as_bytes() / 2).max(self.largest_request_bytes());
        let peer = self.max_in_flight_bytes_per_peer.unwrap_or(ByteSize::from_bytes(half));
        InFlightLimits { all: all.as_len(), peer: peer.min(all).as_len() }
    }
}

fn wrong(key: &str, reason: &str) -> Result<(), SettingError> {
    Err(SettingError::new(format!("remote_write.{key}"), reason))
}
