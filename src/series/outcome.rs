//! What the store may hold, what became of a batch, and what is held.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ring::Appended;
use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::labels::Labels;
use crate::sample::BatchSeries;
use crate::setting::{SettingError, above_zero};

/// More exemplars of a series are refused: each that comes is put in its place among the others.
const MOST_EXEMPLARS: usize = 1_000;

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
    /// Series that may begin in a second; the samples of further ones are told to come again, and counted.
    pub max_new_series_per_second: usize,
    /// Memory at most, estimated, for series, feature values and what models remember of entities
    /// together; further new series and entities are refused and counted. Where those that are known
    /// outgrow it, the youngest series are dropped and counted.
    pub max_bytes: ByteSize,
    /// Entities of a model at most, those that are away included: these make way first, then further new
    /// ones are refused and counted.
    pub max_entities: usize,
    /// For how long an entity is remembered after its series are gone. Without it, for as long as its
    /// model can make use of that: a week with an adaptive threshold, an hour without.
    pub entity_retention: Option<Duration>,
    /// Samples of one series at most. Beyond that the oldest make way and are counted; where some
    /// are ahead of the clock those do first, so that they do not push out what is needed now.
    pub max_samples_per_series: usize,
    /// Exemplars that are kept of one series, the newest; 0: none.
    pub max_exemplars_per_series: usize,
    /// How far ahead of this machine's clock a sample may be. It is kept until its time has come,
    /// and for as long after that as any other.
    pub max_future: Duration,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            retention: None,
            keep: Vec::new(),
            // Ten thousand hosts with a hundred wanted series each.
            max_series: 1_000_000,
            // The million is there within one scrape interval of 15 s, which is 67,000 a second, with room to
            // spare; and the largest request is whole in one second.
            max_new_series_per_second: 100_000,
            // A million series with an hour at 15 s scrapes, 16 bytes a sample, with room to spare.
            max_bytes: ByteSize::from_bytes(4 << 30),
            // Ten times a large fleet: what is remembered of so many takes about a gigabyte.
            max_entities: 100_000,
            entity_retention: None,
            // Three hours at 1 s scrapes: far more than any sensible lookback of a feature.
            max_samples_per_series: 10_800,
            // Those of some minutes: a series brings one with a scrape at most, a histogram's bucket seldom.
            max_exemplars_per_series: 10,
            // What Prometheus's own receiver allows.
            max_future: Duration::from_seconds(600),
        }
    }
}

impl StorageConfig {
    /// Refuses limits with which nothing can be kept, and what is no selector; names the first such key.
    pub fn validate<S, E: fmt::Display>(
        &self,
        selector: impl Fn(&str) -> Result<S, E>,
    ) -> Result<(), SettingError> {
        above_zero(
            "storage",
            &[
                ("retention", self.retention.map(|it| it.as_ms() as u64)),
                ("max_series", Some(self.max_series as u64)),
                ("max_new_series_per_second", Some(self.max_new_series_per_second as u64)),
                ("max_bytes", Some(self.max_bytes.as_bytes())),
                ("max_entities", Some(self.max_entities as u64)),
                ("max_samples_per_series", Some(self.max_samples_per_series as u64)),
            ],
        )?;
        if self.max_exemplars_per_series > MOST_EXEMPLARS {
            let reason = format!("must be {MOST_EXEMPLARS} at most");
            return Err(SettingError::new("storage.max_exemplars_per_series", reason));
        }
        for (i, text) in self.keep.iter().enumerate() {
            let wrong = |it: E| SettingError::new(format!("storage.keep[{i}]"), it.to_string());
            selector(text).map_err(wrong)?;
        }
        Ok(())
    }
}

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Histogram,
}

/// What became of a batch, counted in samples unless it says otherwise: floats and native histograms alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Put into a ring.
    pub stored: u64,
    /// There already, bit for bit: a success.
    pub duplicate: u64,
    /// Of series that no selector wants: taken in and let go on purpose.
    pub unneeded: u64,
    /// Of a replica that is not heard, another one being: taken in and let go on purpose. Also the
    /// single sample of a series that a senior replica takes.
    pub deduplicated: u64,
    /// Older than what the series keeps.
    pub too_old: u64,
    /// Too far ahead of the clock.
    pub too_new: u64,
    /// At the time of another value of the same series.
    pub conflicting: u64,
    /// Of new series beyond the limit of series or memory, and those for which a full series has no
    /// room.
    pub over_limit: u64,
    /// Of new series beyond what may begin in a second: the only ones for which it is worth to come again.
    pub deferred: u64,
    /// How many of those that were not taken in are native histograms.
    pub histograms_rejected: u64,
    /// Samples that made way because a series was full.
    pub truncated: u64,
    /// Exemplars (not samples) that are not kept: of series that are not, of a replica that is not heard, too
    /// far ahead of the clock, or older than those that are kept.
    pub exemplars_ignored: u64,
    /// Those of them that are too far ahead: no error, and not written, as in Prometheus.
    pub exemplars_too_new: u64,
    /// Those of them that are older than the newest of their series by more than the series keeps.
    pub exemplars_out_of_order: u64,
    /// One of these, for the sender: the labels of its series, and its time.
    pub late_exemplar: Option<(Labels, i64)>,
    /// Series (not samples) that began.
    pub series_created: u64,
    /// Series (not samples) that were dropped because memory was full, the youngest of all.
    pub series_dropped: u64,
    /// Series (not samples) that hear another replica, because the one they heard was silent.
    pub replica_changes: u64,
    /// Clusters (not samples) that elected another replica, because the elected one was silent.
    pub cluster_changes: u64,
    /// Of clusters beyond the limit: each series decides which replica it hears.
    pub over_clusters: u64,
    /// Metadata (not samples) of metric families of which nothing is kept, and for which there is no memory.
    pub metadata_ignored: u64,
    /// One of these changes, unless it was said of the silent replica before.
    pub replica_change: Option<ReplicaChange>,
    /// One rejected sample and the reason, for the sender.
    pub example: Option<Rejected>,
}

/// Which replica is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaChange {
    /// The one that was, by the values of its labels.
    pub from: Arc<str>,
    /// The one that is.
    pub to: Arc<str>,
    /// The cluster that elected it; else single series hear it.
    pub cluster: Option<String>,
}

/// A sample that was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The labels of its series.
    pub labels: Labels,
    /// Its time.
    pub timestamp_ms: i64,
    /// Why.
    pub reason: Rejection,
}

/// Why a sample is not taken in. Written out, it says what the sample is: "is older than ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Its series does not keep samples of that age.
    TooOld,
    /// It is further ahead of the clock than `storage.max_future`.
    TooNew {
        /// How far ahead it is.
        ahead: Duration,
        /// How far it may be.
        limit: Duration,
    },
    /// Another value has its time.
    Conflict,
    /// Its series would be one more than `storage.max_series` or `storage.max_bytes` allow.
    OverLimit,
    /// Its series would be one more than may begin in this second.
    Deferred,
    /// Its series has `storage.max_samples_per_series` that are needed more.
    Full,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld => f.write_str("is older than what is kept"),
            Self::TooNew { ahead, limit } => write!(
                f,
                "is {ahead} ahead of this machine's clock, more than storage.max_future ({limit}) \
                 allows"
            ),
            Self::Conflict => f.write_str("has another value than the sample already there"),
            Self::OverLimit => f.write_str("would start a series beyond the limit"),
            Self::Deferred => {
                f.write_str("would start a series beyond storage.max_new_series_per_second")
            }
            Self::Full => f.write_str(
                "finds no room in its series, which has as many newer samples as \
                 storage.max_samples_per_series allows",
            ),
        }
    }
}

impl Outcome {
    /// Samples that were not taken in though the sender meant them to be.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.too_old + self.too_new + self.conflicting + self.over_limit + self.deferred
    }

    /// Counts what became of a sample that was given to its ring.
    pub(super) fn count(&mut self, labels: &Labels, sample: (i64, Kind), appended: Appended) {
        match appended {
            Appended::Stored { truncated } => {
                self.stored += 1;
                self.truncated += truncated;
            }
            Appended::Duplicate => self.duplicate += 1,
            Appended::Conflict => self.reject(labels, sample, Rejection::Conflict),
            Appended::TooOld => self.reject(labels, sample, Rejection::TooOld),
            Appended::NoRoom => self.reject(labels, sample, Rejection::Full),
        }
    }

    /// Counts a series that began to hear a replica, if it heard another one before.
    pub(super) fn count_change(&mut self, change: Option<Option<ReplicaChange>>) {
        if let Some(change) = change {
            self.replica_changes += 1;
            self.replica_change = self.replica_change.take().or(change);
        }
    }

    /// Counts the samples of a series as not taken in.
    pub(super) fn reject_all(&mut self, incoming: &BatchSeries, reason: impl Fn(i64) -> Rejection) {
        let floats = incoming.samples.iter().map(|it| (it.timestamp_ms, Kind::Float));
        let histograms = incoming.histograms.iter().map(|it| (it.timestamp_ms, Kind::Histogram));
        for sample in floats.chain(histograms) {
            self.reject(&incoming.labels, sample, reason(sample.0));
        }
    }

    /// Counts a sample of a time that is not taken in.
    pub(super) fn reject(
        &mut self,
        labels: &Labels,
        (timestamp_ms, kind): (i64, Kind),
        reason: Rejection,
    ) {
        self.histograms_rejected += u64::from(kind == Kind::Histogram);
        *match reason {
            Rejection::TooOld => &mut self.too_old,
            Rejection::TooNew { .. } => &mut self.too_new,
            Rejection::Conflict => &mut self.conflicting,
            Rejection::OverLimit | Rejection::Full => &mut self.over_limit,
            Rejection::Deferred => &mut self.deferred,
        } += 1;
        self.example.get_or_insert_with(|| Rejected {
            labels: labels.clone(),
            timestamp_ms,
            reason,
        });
    }
}

/// What the store holds at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series.
    pub series: usize,
    /// Estimated memory of series, samples and labels.
    pub bytes: usize,
}
