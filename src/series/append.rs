//! Appending: from a batch of samples to the rings of the series that are wanted.
//!
//! In: a batch and the time. Out: an [`Outcome`] in which every sample is counted.

use std::borrow::Cow;

use super::clusters::Ruling;
use super::replicas::Claim;
use super::ring::{Appended, Ring};
use super::{ENDED, Outcome, Rejection, SelectorId, Series, SeriesId, Store, retention};
use crate::duration::Duration;
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries, Sample};

/// What a label set that is not kept is to the store.
enum Admission {
    Unneeded,
    OverLimit,
    /// With its retention.
    ExcerptRequest(i64),
}

impl Store {
    /// Puts the samples into the rings of the series that are wanted. Those of new ones beyond
    /// [`StorageConfig::max_new_series_per_second`](super::StorageConfig::max_new_series_per_second) are for later.
    pub fn append(&mut self, now_ms: i64, batch: &Batch) -> Outcome {
        self.append_within(now_ms, batch, self.config.max_new_series_per_second)
    }

    /// Puts back the samples of series that another store had: these may begin all at once.
    pub fn restore(&mut self, now_ms: i64, batch: &Batch) -> Outcome {
        // Here nobody is let go: each series comes with the replica that it heard.
        let mut clusters = std::mem::take(&mut self.clusters);
        let outcome = self.append_within(now_ms, batch, usize::MAX);
        clusters.restore(now_ms, batch);
        self.clusters = clusters;
        outcome
    }

    fn append_within(&mut self, now_ms: i64, batch: &Batch, max_new_series: usize) -> Outcome {
        let mut outcome = Outcome::default();
        let mut oldest_ms = i64::MAX;
        for incoming in &batch.series {
            let ruling = self.ruling(now_ms, incoming, &mut outcome);
            if ruling == Ruling::LetGo {
                continue;
            }
            let found = self.find_or_create(now_ms, incoming, max_new_series, &mut outcome);
            let Some(id) = found else { continue };
            oldest_ms = oldest_ms.min(self.append_to(id, now_ms, (incoming, ruling), &mut outcome));
        }
        if outcome.stored > 0 {
            self.changes.add(oldest_ms);
        }
        outcome.series_dropped = self.fit(now_ms) as u64;
        outcome
    }

    /// The series of a label set. `None` when it is not kept; then its samples are counted.
    fn find_or_create(
        &mut self,
        now_ms: i64,
        incoming: &BatchSeries,
        max_new_series: usize,
        outcome: &mut Outcome,
    ) -> Option<SeriesId> {
        let labels = &incoming.labels;
        if let Some(id) = self.index.get(labels) {
            return Some(*id);
        }
        let limit = self.config.max_future;
        let too_new = |sample: &Sample| too_new(sample, now_ms, limit);
        let is_old = |sample: &Sample, retention_ms| {
            sample.timestamp_ms < now_ms.saturating_sub(retention_ms)
        };
        match self.admit(labels, now_ms) {
            Admission::Unneeded => outcome.unneeded += incoming.samples.len() as u64,
            Admission::OverLimit => {
                outcome.reject_all(incoming, |_| Some(Rejection::OverLimit));
            }
            // A sample from too far ahead does not start a series, nor does one so old that it would be
            // evicted again.
            Admission::ExcerptRequest(retention_ms)
                if (incoming.samples.iter())
                    .all(|it| too_new(it).is_some() || is_old(it, retention_ms)) =>
            {
                outcome.reject_all(incoming, |it| Some(too_new(it).unwrap_or(Rejection::TooOld)));
            }
            Admission::ExcerptRequest(_) if !self.pace.takes(now_ms, max_new_series) => {
                outcome.reject_all(incoming, |_| Some(Rejection::Deferred));
            }
            Admission::ExcerptRequest(retention_ms) => {
                outcome.series_created += 1;
                return Some(self.create(labels, retention_ms));
            }
        }
        None
    }

    /// Puts samples into the ring of a kept series, if it hears the replica they are of. Gives the
    /// time of the oldest sample that was put in or made way.
    fn append_to(
        &mut self,
        id: SeriesId,
        now_ms: i64,
        (incoming, ruling): (&BatchSeries, Ruling),
        outcome: &mut Outcome,
    ) -> i64 {
        let is_elected = ruling == Ruling::Elected;
        let mut heard_ms = None;
        let (labels, replica) = (&incoming.labels, incoming.replica.as_ref());
        let limit = self.config.max_future;
        let max_samples = self.config.max_samples_per_series;
        let mut oldest_ms = i64::MAX;
        let series = self.slots.get_mut(id).expect("the index holds live series");
        let before = series.ring.bytes();
        let samples = in_order(&incoming.samples);
        // A series that falls behind goes on; one that begins does so with what would not be evicted.
        let begins = series.ring.last().is_none();
        let oldest_ms_allowed =
            if begins { now_ms.saturating_sub(series.retention_ms) } else { i64::MIN };
        for sample in samples.iter() {
            let too_new = too_new(sample, now_ms, limit);
            if let Some(replica) = replica {
                let times = (sample.timestamp_ms, now_ms);
                match self.replicas.claim(id, replica, &series.ring, times, is_elected) {
                    Claim::Heard => {}
                    // A sample that is no good does not speak for its replica.
                    claim if claim == Claim::Unheard || too_new.is_some() => {
                        outcome.deduplicated += 1;
                        continue;
                    }
                    Claim::Senior => {
                        let dropped = std::mem::take(&mut series.ring);
                        oldest_ms = oldest_ms.min(oldest(&dropped));
                        outcome.deduplicated += dropped.samples().len() as u64;
                        self.replicas.hear(id, replica, now_ms, i64::MIN);
                    }
                    _ => {
                        let last_ms = series.ring.last().map_or(i64::MIN, |it| it.timestamp_ms);
                        let change = self.replicas.hear(id, replica, now_ms, last_ms);
                        // It is said of the cluster.
                        outcome.count_change(change.map(|it| it.filter(|_| !is_elected)));
                    }
                }
            }
            let too_old = (sample.timestamp_ms < oldest_ms_allowed).then_some(Rejection::TooOld);
            if let Some(reason) = too_new.or(too_old) {
                outcome.reject(labels, *sample, reason);
                continue;
            }
            let appended = series.ring.append(*sample, now_ms, series.retention_ms, max_samples);
            if matches!(appended, Appended::Stored { .. }) {
                oldest_ms = oldest_ms.min(sample.timestamp_ms);
            }
            if replica.is_some()
                && matches!(appended, Appended::Stored { .. } | Appended::Duplicate)
            {
                self.replicas.renew(id, now_ms);
                heard_ms = Some(sample.timestamp_ms);
            }
            outcome.count(labels, *sample, appended);
        }
        self.bytes = self.bytes + series.ring.bytes() - before;
        let newest = series.ring.last().filter(|sample| !sample.is_stale());
        self.slots.set_newest_ms(id, newest.map_or(ENDED, |sample| sample.timestamp_ms));
        if let Some(time_ms) = heard_ms.filter(|_| is_elected) {
            self.elect(now_ms, incoming, time_ms, outcome);
        }
        oldest_ms
    }

    fn admit(&mut self, labels: &Labels, now_ms: i64) -> Admission {
        let Some(lookback_ms) = self.interest.retention_ms(labels) else {
            return Admission::Unneeded;
        };
        let full = self.index.len() >= self.config.max_series
            || !self.admits(now_ms)
            || self.slots.taken() >= u32::MAX as usize;
        if full {
            Admission::OverLimit
        } else {
            Admission::ExcerptRequest(retention(&self.config, lookback_ms))
        }
    }

    fn create(&mut self, labels: &Labels, retention_ms: i64) -> SeriesId {
        let birth = self.births;
        self.births += 1;
        let (labels, ring) = (labels.clone(), Ring::default());
        let id = self.insert(Series { labels: labels.clone(), ring, retention_ms, birth });
        let wanted_by: Vec<SelectorId> = self.interest.matching(&labels).collect();
        for selector in wanted_by {
            self.interest.join(selector, id);
        }
        id
    }
}

/// Whether a sample is too far ahead of the clock.
fn too_new(sample: &Sample, now_ms: i64, limit: Duration) -> Option<Rejection> {
    let ahead = Duration::from_ms(sample.timestamp_ms.saturating_sub(now_ms));
    (ahead > limit).then_some(Rejection::TooNew { ahead, limit })
}

/// Samples in order of time, those of one time as they came: each finds its place at the end.
fn in_order(samples: &[Sample]) -> Cow<'_, [Sample]> {
    if samples.is_sorted_by_key(|it| it.timestamp_ms) {
        return Cow::Borrowed(samples);
    }
    let mut samples = samples.to_vec();
    samples.sort_by_key(|it| it.timestamp_ms);
    Cow::Owned(samples)
}

/// The time of the oldest sample in a ring.
fn oldest(ring: &Ring) -> i64 {
    ring.samples().first().map_or(i64::MAX, |sample| sample.timestamp_ms)
}
