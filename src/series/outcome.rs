//! What the store may hold, what became of a batch, and what is held.

use serde::{Deserialize, Serialize};

use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::labels::Labels;
use crate::sample::Sample;

/// The `storage` section of the configuration: limits of the rings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// How long every kept series is kept at least. Without it, for as long as the selectors that
    /// want it look back.
    pub retention: Option<Duration>,
    /// PromQL selectors of series that are kept though no feature wants them.
    pub keep: Vec<String>,
    /// Series at most; further new ones are refused and counted.
    pub max_series: usize,
    /// Memory for series at most, estimated; further new ones are refused and counted.
    pub max_bytes: ByteSize,
    /// Samples of one series at most; the oldest make way and are counted.
    pub max_samples_per_series: usize,
    /// How far ahead of this machine's clock a sample may be.
    pub max_future: Duration,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            retention: None,
            keep: Vec::new(),
            // Ten thousand hosts with a hundred wanted series each.
            max_series: 1_000_000,
            // A million series with an hour at 15 s scrapes, 16 bytes a sample, with room to spare.
            max_bytes: ByteSize::from_bytes(4 << 30),
            // Three hours at 1 s scrapes: far more than any sensible lookback of a feature.
            max_samples_per_series: 10_800,
            // What Prometheus's own receiver allows.
            max_future: Duration::from_seconds(600),
        }
    }
}

/// What became of a batch, counted in samples unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Put into a ring.
    pub stored: u64,
    /// There already, bit for bit: a success.
    pub duplicate: u64,
    /// Of series that no selector wants: taken in and let go on purpose.
    pub unneeded: u64,
    /// Older than what the series keeps.
    pub too_old: u64,
    /// Too far ahead of the clock.
    pub too_new: u64,
    /// At the time of another value of the same series.
    pub conflicting: u64,
    /// Of new series beyond the limit of series or memory.
    pub over_limit: u64,
    /// Older samples that made way because a series was full.
    pub truncated: u64,
    /// Series (not samples) that began.
    pub series_created: u64,
    /// One rejected sample and the reason, for the sender.
    pub example: Option<String>,
}

impl Outcome {
    /// Samples that were not taken in though the sender meant them to be.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.too_old + self.too_new + self.conflicting + self.over_limit
    }

    pub(super) fn reject(&mut self, labels: &Labels, sample: Sample, reason: Rejection) {
        *match reason {
            Rejection::TooOld => &mut self.too_old,
            Rejection::TooNew => &mut self.too_new,
            Rejection::Conflict => &mut self.conflicting,
            Rejection::OverLimit => &mut self.over_limit,
        } += 1;
        self.example.get_or_insert_with(|| {
            let reason = match reason {
                Rejection::TooOld => "is older than what is kept",
                Rejection::TooNew => "is too far in the future",
                Rejection::Conflict => "has another value than the sample already there",
                Rejection::OverLimit => "would start a series beyond the limit",
            };
            format!("the sample of {labels} at {} ms {reason}", sample.timestamp_ms)
        });
    }
}

/// Why a sample is not taken in.
#[derive(Clone, Copy)]
pub(super) enum Rejection {
    TooOld,
    TooNew,
    Conflict,
    OverLimit,
}

/// What the store holds at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series.
    pub series: usize,
    /// Estimated memory of series, samples and labels.
    pub bytes: usize,
}
