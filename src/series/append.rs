//! Appending: from a batch of samples to the rings of the series that are wanted.
//!
//! In: a batch and the time. Out: an [`Outcome`] in which every sample is counted.

use std::borrow::Cow;
use std::sync::Arc;

use super::clusters::Ruling;
use super::outcome::Kind;
use super::replicas::{Claim, Replicas};
use super::ring::{Appended, Ring, Timed};
use super::{Outcome, Rejection, SelectorId, Series, SeriesId, StorageConfig, Store, retention};
use crate::duration::Duration;
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries, HistogramSample, Sample};

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
            let kept = match ruling {
                Ruling::LetGo => None,
                _ => self.find_or_create(now_ms, incoming, max_new_series, &mut outcome),
            };
            let Some(id) = kept else {
                outcome.exemplars_ignored += incoming.exemplars.len() as u64;
                continue;
            };
            oldest_ms = oldest_ms.min(self.append_to(id, now_ms, (incoming, ruling), &mut outcome));
            self.put_exemplars(id, now_ms, incoming, &mut outcome);
        }
        if outcome.stored > 0 {
            self.changes.add(oldest_ms);
        }
        outcome.metadata_ignored = self.keep_metadata(&batch.metadata);
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
        let too_new = |time_ms: i64| too_new(time_ms, now_ms, limit);
        let is_old = |time_ms: i64, retention_ms| time_ms < now_ms.saturating_sub(retention_ms);
        match self.admit(labels, now_ms) {
            Admission::Unneeded => {
                outcome.unneeded += (incoming.samples.len() + incoming.histograms.len()) as u64;
            }
            Admission::OverLimit => {
                outcome.reject_all(incoming, |_| Rejection::OverLimit);
            }
            // A sample from too far ahead does not start a series, nor does one so old that it would be
            // evicted again.
            Admission::ExcerptRequest(retention_ms)
                if incoming.times().all(|it| too_new(it).is_some() || is_old(it, retention_ms)) =>
            {
                outcome.reject_all(incoming, |it| too_new(it).unwrap_or(Rejection::TooOld));
            }
            Admission::ExcerptRequest(_) if !self.pace.takes(now_ms, max_new_series) => {
                outcome.reject_all(incoming, |_| Rejection::Deferred);
            }
            Admission::ExcerptRequest(retention_ms) => {
                outcome.series_created += 1;
                return Some(self.create(labels, retention_ms));
            }
        }
        None
    }

    /// Puts samples into the rings of a kept series, if it hears the replica they are of. Gives the
    /// time of the oldest sample that was put in or made way.
    fn append_to(
        &mut self,
        id: SeriesId,
        now_ms: i64,
        (incoming, ruling): (&BatchSeries, Ruling),
        outcome: &mut Outcome,
    ) -> i64 {
        let is_elected = ruling == Ruling::Elected;
        let series = self.slots.get_mut(id).expect("the index holds live series");
        let before = series.samples_bytes();
        // A series that falls behind goes on; one that begins does so with what would not be evicted.
        let begins = series.newest().is_none();
        let retention_ms = series.retention_ms;
        let mut appending = Appending {
            id,
            now_ms,
            labels: &incoming.labels,
            replica: incoming.replica.as_ref(),
            oldest_allowed_ms: if begins { now_ms.saturating_sub(retention_ms) } else { i64::MIN },
            retention_ms,
            config: &self.config,
            replicas: &mut self.replicas,
            is_elected,
            outcome,
            oldest_ms: i64::MAX,
            heard_ms: None,
            is_taken_over: false,
        };
        if incoming.histograms.is_empty() && series.histograms.is_none() {
            appending.put(
                Kind::Float,
                &incoming.samples,
                &mut series.ring,
                &Ring::<HistogramSample>::EMPTY,
            );
        } else {
            let histograms = series.histograms.get_or_insert_default();
            let (stale, good) = apart(&incoming.histograms);
            appending.put(Kind::Float, &incoming.samples, &mut series.ring, &**histograms);
            appending.put(Kind::Histogram, &stale, &mut series.ring, &**histograms);
            appending.put(Kind::Histogram, &good, histograms, &series.ring);
            if histograms.samples().is_empty() {
                series.histograms = None;
            }
        }
        let (oldest_ms, heard_ms) = (appending.oldest_ms, appending.heard_ms);
        if appending.is_taken_over {
            series.exemplars = None;
        }
        self.bytes = self.bytes + series.samples_bytes() - before;
        let newest_ms = series.newest_ms();
        self.slots.set_newest_ms(id, newest_ms);
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
        let (histograms, exemplars) = (None, None);
        let series =
            Series { labels: labels.clone(), ring, histograms, exemplars, retention_ms, birth };
        let id = self.insert(series);
        let wanted_by: Vec<SelectorId> = self.interest.matching(&labels).collect();
        for selector in wanted_by {
            self.interest.join(selector, id);
        }
        id
    }
}

/// What is appended to one series.
struct Appending<'a> {
    id: SeriesId,
    now_ms: i64,
    labels: &'a Labels,
    replica: Option<&'a Arc<str>>,
    /// Older samples do not begin a series.
    oldest_allowed_ms: i64,
    retention_ms: i64,
    config: &'a StorageConfig,
    replicas: &'a mut Replicas,
    /// The replica is elected for its cluster.
    is_elected: bool,
    outcome: &'a mut Outcome,
    /// Of what was put in or made way.
    oldest_ms: i64,
    /// Of the newest one that was taken of the replica.
    heard_ms: Option<i64>,
    /// What a junior replica had sent is gone.
    is_taken_over: bool,
}

impl Appending<'_> {
    /// Puts samples of one kind into their ring; `other` has those of the other kind.
    fn put<T: Timed>(
        &mut self,
        kind: Kind,
        samples: &[T],
        ring: &mut Ring<T>,
        other: &Ring<impl Timed>,
    ) {
        for sample in in_order(samples).iter() {
            let time_ms = sample.time_ms();
            let too_new = too_new(time_ms, self.now_ms, self.config.max_future);
            if !self.hears(ring, time_ms, too_new.is_some()) {
                continue;
            }
            let too_old = (time_ms < self.oldest_allowed_ms).then_some(Rejection::TooOld);
            let conflict = || other.has(time_ms).then_some(Rejection::Conflict);
            if let Some(reason) = too_new.or(too_old).or_else(conflict) {
                self.outcome.reject(self.labels, (time_ms, kind), reason);
                continue;
            }
            let max_samples = self.config.max_samples_per_series;
            let appended = ring.append(sample.clone(), self.now_ms, self.retention_ms, max_samples);
            if matches!(appended, Appended::Stored { .. }) {
                self.oldest_ms = self.oldest_ms.min(time_ms);
            }
            if self.replica.is_some()
                && matches!(appended, Appended::Stored { .. } | Appended::Duplicate)
            {
                self.replicas.renew(self.id, self.now_ms);
                self.heard_ms = self.heard_ms.max(Some(time_ms));
            }
            self.outcome.count(self.labels, (time_ms, kind), appended);
        }
    }

    /// Whether the series hears the replica that sends a sample; if not, that is counted.
    fn hears<T: Timed>(&mut self, ring: &mut Ring<T>, time_ms: i64, is_too_new: bool) -> bool {
        let (id, now_ms) = (self.id, self.now_ms);
        let Some(replica) = self.replica else { return true };
        match self.replicas.claim(id, replica, ring, (time_ms, now_ms), self.is_elected) {
            Claim::Heard => {}
            // A sample that is no good does not speak for its replica.
            claim if claim == Claim::Unheard || is_too_new => {
                self.outcome.deduplicated += 1;
                return false;
            }
            Claim::Senior => {
                let dropped = std::mem::take(ring);
                self.is_taken_over = true;
                let oldest = dropped.samples().first().map_or(i64::MAX, T::time_ms);
                self.oldest_ms = self.oldest_ms.min(oldest);
                self.outcome.deduplicated += dropped.samples().len() as u64;
                self.replicas.hear(id, replica, now_ms, i64::MIN);
            }
            _ => {
                let last_ms = ring.last().map_or(i64::MIN, T::time_ms);
                let change = self.replicas.hear(id, replica, now_ms, last_ms);
                // It is said of the cluster.
                self.outcome.count_change(change.map(|it| it.filter(|_| !self.is_elected)));
            }
        }
        true
    }
}

/// Those that are stale markers as floats, and the others.
fn apart(histograms: &[HistogramSample]) -> (Vec<Sample>, Cow<'_, [HistogramSample]>) {
    if !histograms.iter().any(|it| it.histogram.is_stale()) {
        return (Vec::new(), Cow::Borrowed(histograms));
    }
    let (stale, good): (Vec<_>, Vec<_>) =
        histograms.iter().cloned().partition(|it| it.histogram.is_stale());
    let marker = |it: HistogramSample| Sample::new(it.timestamp_ms, it.histogram.sum);
    (stale.into_iter().map(marker).collect(), Cow::Owned(good))
}

/// Whether a sample is too far ahead of the clock.
fn too_new(time_ms: i64, now_ms: i64, limit: Duration) -> Option<Rejection> {
    let ahead = Duration::from_ms(time_ms.saturating_sub(now_ms));
    (ahead > limit).then_some(Rejection::TooNew { ahead, limit })
}

/// Samples in order of time, those of one time as they came: each finds its place at the end.
fn in_order<T: Timed>(samples: &[T]) -> Cow<'_, [T]> {
    if samples.is_sorted_by_key(T::time_ms) {
        return Cow::Borrowed(samples);
    }
    let mut samples = samples.to_vec();
    samples.sort_by_key(T::time_ms);
    Cow::Owned(samples)
}
