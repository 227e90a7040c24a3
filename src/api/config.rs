//! The `query` section of the configuration: how much a query may take.

use serde::{Deserialize, Serialize};

use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::setting::{SettingError, above_zero};

/// Limits on queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryConfig {
    /// Series that one query may read.
    pub max_series: usize,
    /// Samples that one query may read, and points that its answer may have.
    pub max_samples: usize,
    /// The answer.
    pub max_response_bytes: ByteSize,
    /// Answers of more than 64 KiB that are not read yet, all together. Beyond it queries are answered with
    /// 503.
    pub max_in_flight_bytes: ByteSize,
    /// How long a query may take, its wait for a place included.
    pub timeout: Duration,
    /// Queries that are worked on at one time; further ones wait. What is quick to answer has as many places
    /// again, for itself alone: instant queries that read no more than five minutes of a series and have no
    /// subquery, series, labels and their values, rules, alerts and anomalies.
    pub max_concurrency: usize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            // Ten series of each of ten thousand hosts; they are copied between two ticks.
            max_series: 100_000,
            // 80 MB of copies: an hour at 15 s of 20,000 series. Prometheus's 50,000,000 would be
            // 800 MB, and make samples and ticks wait while they are copied.
            max_samples: 5_000_000,
            // A full screen is a thousandth of it. It bounds what max_samples does not: labels.
            max_response_bytes: ByteSize::from_mib(64),
            // Four of the largest.
            max_in_flight_bytes: ByteSize::from_mib(256),
            // Prometheus's own.
            timeout: Duration::from_seconds(120),
            // Prometheus's 20 could take all cores from the ticks, and 1.6 GB at max_samples. Quick ones are
            // over in milliseconds.
            max_concurrency: 4,
        }
    }
}

impl QueryConfig {
    /// Refuses limits with which nothing can be answered; names the first such key.
    pub fn validate(&self) -> Result<(), SettingError> {
        above_zero(
            "query",
            &[
                ("max_series", Some(self.max_series as u64)),
                ("max_samples", Some(self.max_samples as u64)),
                ("max_response_bytes", Some(self.max_response_bytes.as_bytes())),
                ("timeout", Some(self.timeout.as_ms() as u64)),
                ("max_concurrency", Some(self.max_concurrency as u64)),
            ],
        )
    }
}
