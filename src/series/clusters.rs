//! Clusters: senders that are run twice, and of each the one replica that is heard for all its series.
//!
//! In: a series with the labels that name a cluster, the replica that sends it, and the time. Out: whether its
//! samples are taken. Only where the configuration says which labels name a cluster; else, and for series that
//! lack one of them, each series elects its own replica (see `replicas`). Three rules:
//! * The first replica of which a sample is taken is elected. Samples of others are let go, before a series
//!   begins for them.
//! * When no sample of the elected one was taken for the timeout, the next replica that brings a good one is
//!   elected. As for a series alone it is two scrape intervals where that is longer, or a cluster whose only
//!   series come every minute would go to and fro.
//! * What it brings must be newer than what the elected one has brought: one that lags behind is elected when
//!   it has caught up, and not while the other may come back.
//!
//! Its series follow at once, each with its first sample newer than all it has; older ones are let go.
//!
//! Invariants: samples of series that nobody wants elect nobody; there are no more clusters than
//! `remote_write.max_clusters`, and their bytes count in `storage.max_bytes`; one that was silent for long is
//! forgotten. After a restart the replica of the newest sample is elected, and waited for anew.
//! Source: Mimir, "Configure high-availability deduplication"; Cortex `pkg/ha/ha_tracker.go`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use super::outcome::ReplicaChange;
use super::{Outcome, Store};
use crate::capacity;
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries};

/// After so long a silence a cluster is forgotten, as in Mimir: whoever comes then is the first.
const FORGOTTEN_AFTER_MS: u64 = 30 * 60_000;

/// What a cluster costs beside the texts, estimated.
const CLUSTER_OVERHEAD_BYTES: usize = size_of::<(Box<str>, Cluster)>() + 64;

/// Who decides on the samples of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// The series, by the replica that it hears.
    EachSeries,
    /// The cluster: the replica is elected, or is from its first sample that is taken.
    Elected,
    /// The cluster: another replica is elected.
    LetGo,
}

/// What is known of a cluster.
#[derive(Debug)]
struct Cluster {
    elected: Arc<str>,
    /// When a sample of it was last taken, by this machine's clock.
    heard_ms: i64,
    /// The time of its newest sample, and not ahead of that clock.
    newest_ms: i64,
}

/// The clusters with their elected replicas.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// The labels that name a cluster; none: there are no clusters.
    labels: Vec<String>,
    max: usize,
    /// By the values of these labels, see [`Clusters::key`].
    known: HashMap<Box<str>, Cluster>,
    /// Of the texts of all.
    bytes: usize,
    /// Where a key is made.
    key: String,
}

impl Clusters {
    /// Other labels and another limit from now on. With other labels all elections begin anew.
    pub(super) fn set(&mut self, labels: &[String], max: usize) {
        if self.labels != labels {
            *self = Self { labels: labels.to_vec(), ..Self::default() };
        }
        self.max = max;
    }

    /// Memory, estimated.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.known.capacity() * CLUSTER_OVERHEAD_BYTES
    }

    /// Goes on with what another store knew, from its series and the replica that each of them heard.
    pub(super) fn restore(&mut self, now_ms: i64, batch: &Batch) {
        for series in &batch.series {
            let Some(newest_ms) = series.times().max() else {
                continue;
            };
            let Some(replica) = series.replica.as_ref().filter(|_| self.key(&series.labels)) else {
                continue;
            };
            let is_newer = match self.known.get(&*self.key) {
                Some(known) => known.newest_ms < newest_ms.min(now_ms),
                None => self.known.len() < self.max,
            };
            if is_newer {
                self.elect(&series.labels, replica, now_ms, newest_ms);
            }
        }
    }

    /// Forgets those that were silent for long, or longer than the timeout where that is more.
    pub(super) fn forget(&mut self, now_ms: i64, timeout_ms: u64) {
        let longest_ms = FORGOTTEN_AFTER_MS.max(timeout_ms);
        let bytes = &mut self.bytes;
        self.known.retain(|key, cluster| {
            let stays = now_ms.abs_diff(cluster.heard_ms) < longest_ms;
            *bytes -= if stays { 0 } else { key.len() + cluster.elected.len() };
            stays
        });
        self.known.shrink_to(capacity::kept(self.known.len(), self.known.capacity()));
    }

    /// A sample of this time was taken: the replica is elected, or was. Gives the one before, if another was.
    fn elect(
        &mut self,
        labels: &Labels,
        replica: &Arc<str>,
        now_ms: i64,
        newest_ms: i64,
    ) -> Option<Arc<str>> {
        if !self.key(labels) {
            return None;
        }
        let newest_ms = newest_ms.min(now_ms);
        let Some(known) = self.known.get_mut(&*self.key) else {
            self.bytes += self.key.len() + replica.len();
            let cluster = Cluster { elected: Arc::clone(replica), heard_ms: now_ms, newest_ms };
            self.known.insert(self.key.as_str().into(), cluster);
            return None;
        };
        known.heard_ms = now_ms;
        // After the clock was set back, what was ahead of it is not.
        known.newest_ms = known.newest_ms.max(newest_ms).min(now_ms);
        if known.elected == *replica {
            return None;
        }
        self.bytes = self.bytes + replica.len() - known.elected.len();
        Some(std::mem::replace(&mut known.elected, Arc::clone(replica)))
    }

    /// Makes the key of the cluster that the labels name; says whether they name one. Of several values each
    /// has its length before it: they may hold anything.
    fn key(&mut self, labels: &Labels) -> bool {
        self.key.clear();
        for name in &self.labels {
            let value = labels.get(name);
            if value.is_empty() {
                return false;
            }
            // Nothing is wrong with a text.
            let _ = write!(self.key, "{}:{value}", value.len());
        }
        !self.labels.is_empty()
    }

    /// The cluster as logs name it.
    fn name(&self, labels: &Labels) -> String {
        let values: Vec<&str> = self.labels.iter().map(|name| labels.get(name)).collect();
        values.join(",")
    }
}

impl Store {
    /// The labels that name a cluster of replicas, and how many there may be, from now on. Without labels each
    /// series elects its replica.
    pub fn set_clusters(&mut self, labels: &[String], max: usize) {
        self.clusters.set(labels, max);
    }

    /// Who decides on the samples of a series, before it is looked for. Those that are let go and those of
    /// clusters beyond the limit are counted.
    pub(super) fn ruling(
        &mut self,
        now_ms: i64,
        incoming: &BatchSeries,
        outcome: &mut Outcome,
    ) -> Ruling {
        let labels = &incoming.labels;
        let Some(replica) = incoming.replica.as_ref().filter(|_| self.clusters.key(labels)) else {
            return Ruling::EachSeries;
        };
        let count = incoming.times().count() as u64;
        let Some(known) = self.clusters.known.get(&*self.clusters.key) else {
            let is_kept = self.index.contains_key(labels);
            if !is_kept && self.interest.retention_ms(labels).is_none() {
                return Ruling::EachSeries;
            }
            if self.clusters.known.len() < self.clusters.max && self.admits(now_ms) {
                return Ruling::Elected;
            }
            outcome.over_clusters += count;
            return Ruling::EachSeries;
        };
        if known.elected == *replica {
            return Ruling::Elected;
        }
        let silent_ms = now_ms.abs_diff(known.heard_ms);
        let timeout_ms = self.replicas.timeout_ms();
        let has_waited = || {
            let patience_ms = self.index.get(labels).map(|id| self.get(*id)).map(|series| {
                match series.histograms.as_deref() {
                    Some(ring) if series.ring.last().is_none() => self.replicas.patience_ms(ring),
                    _ => self.replicas.patience_ms(&series.ring),
                }
            });
            silent_ms >= patience_ms.unwrap_or(timeout_ms)
        };
        let max_ms = now_ms.saturating_add(self.config.max_future.as_ms());
        // What was ahead of the clock before that was set back is not waited for.
        let after_ms = if known.newest_ms > now_ms { i64::MIN } else { known.newest_ms };
        let is_good = |time_ms: i64| time_ms > after_ms && time_ms <= max_ms;
        if silent_ms >= timeout_ms && has_waited() && incoming.times().any(is_good) {
            return Ruling::Elected;
        }
        outcome.deduplicated += count;
        Ruling::LetGo
    }

    /// Samples of a series were taken by this ruling, the newest of this time.
    pub(super) fn elect(
        &mut self,
        now_ms: i64,
        incoming: &BatchSeries,
        newest_ms: i64,
        outcome: &mut Outcome,
    ) {
        let (labels, Some(to)) = (&incoming.labels, &incoming.replica) else { return };
        if let Some(from) = self.clusters.elect(labels, to, now_ms, newest_ms) {
            outcome.cluster_changes += 1;
            let cluster = Some(self.clusters.name(labels));
            outcome.replica_change.get_or_insert(ReplicaChange {
                from,
                to: Arc::clone(to),
                cluster,
            });
        }
    }
}
