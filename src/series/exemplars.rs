//! The exemplars of a series: the newest few, in order of time.
//!
//! In: exemplars beside the samples of a batch. Out: those of a range of time, listed in slices of bounded cost.
//! They are an addition: a series neither begins nor lives longer for one, and where memory is short they go
//! before any series does. Of several replicas those of the one that the series hears are kept.

use super::excerpt::{Candidates, ExcerptError, ExcerptLimits, SLICE_CHECKS};
use super::{Outcome, SeriesId, Store};
use crate::capacity;
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::sample::{BatchSeries, Exemplar, Sample, exemplar_bytes};

/// What became of an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    /// It is there.
    There,
    /// All that are kept are newer: it makes way at once.
    NoRoom,
    /// It is older than the newest one by more than the series keeps.
    OutOfOrder,
}

/// Those of one series.
#[derive(Debug, Default)]
pub(super) struct Exemplars {
    /// Oldest first; those of one time as they came.
    kept: Vec<Exemplar>,
}

impl Exemplars {
    pub(super) fn all(&self) -> &[Exemplar] {
        &self.kept
    }

    /// Heap bytes, its own included.
    pub(super) fn bytes(&self) -> usize {
        capacity::allocated(size_of::<Self>()) + exemplar_bytes(&self.kept)
    }

    /// Puts one in, of which there are so many at most then: the oldest makes way.
    fn put(&mut self, exemplar: &Exemplar, most: usize, retention_ms: i64) -> Put {
        let time_ms = exemplar.timestamp_ms;
        let mut at = self.kept.partition_point(|it| it.timestamp_ms <= time_ms);
        let mut beside = self.kept[..at].iter().rev().take_while(|it| it.timestamp_ms == time_ms);
        if beside.any(|it| it == exemplar) {
            return Put::There;
        }
        let oldest_ms = self.kept.last().map(|it| it.timestamp_ms.saturating_sub(retention_ms));
        if oldest_ms.is_some_and(|oldest_ms| time_ms < oldest_ms) {
            return Put::OutOfOrder;
        }
        if self.kept.len() >= most {
            if at == 0 {
                return Put::NoRoom;
            }
            self.kept.drain(..=self.kept.len() - most);
            at = self.kept.partition_point(|it| it.timestamp_ms <= time_ms);
        }
        if self.kept.len() == self.kept.capacity() {
            // It doubles, but not beyond what there may be.
            self.kept.reserve_exact(self.kept.len().clamp(1, most - self.kept.len()));
        }
        self.kept.insert(at, exemplar.clone());
        Put::There
    }

    /// Those in `[from_ms, to_ms]`.
    fn within(&self, from_ms: i64, to_ms: i64) -> &[Exemplar] {
        let first = self.kept.partition_point(|it| it.timestamp_ms < from_ms);
        let end = self.kept.partition_point(|it| it.timestamp_ms <= to_ms);
        self.kept.get(first..end).unwrap_or_default()
    }
}

impl Store {
    /// Keeps exemplars of a series that has a sample and hears the replica they are of, and counts those that
    /// are not kept. A late one is put in its place, as a late sample is; Prometheus does so where it has an
    /// out-of-order window, which is the retention here.
    pub(super) fn put_exemplars(
        &mut self,
        id: SeriesId,
        now_ms: i64,
        incoming: &BatchSeries,
        outcome: &mut Outcome,
    ) {
        // Until they are known to be there.
        outcome.exemplars_ignored += incoming.exemplars.len() as u64;
        let is_heard = incoming
            .replica
            .as_ref()
            .is_none_or(|replica| self.replicas.heard_by(id).is_some_and(|it| it == *replica));
        let has_room = self.has_spare_room();
        let Some(series) = self.slots.get_mut(id) else { return };
        if incoming.exemplars.is_empty() || !is_heard || series.newest().is_none() {
            return;
        }
        let before = series.exemplar_bytes();
        let mut most = self.config.max_exemplars_per_series;
        if !has_room {
            most = most.min(series.exemplars().len());
        }
        // What is ahead of the clock would be the newest until its time has come.
        let latest_ms = now_ms.saturating_add(self.config.max_future.as_ms());
        let retention_ms = series.retention_ms;
        for exemplar in &incoming.exemplars {
            if exemplar.timestamp_ms > latest_ms {
                outcome.exemplars_too_new += 1;
            } else if most > 0 {
                let kept = series.exemplars.get_or_insert_default();
                match kept.put(exemplar, most, retention_ms) {
                    Put::There => outcome.exemplars_ignored -= 1,
                    Put::NoRoom => {}
                    Put::OutOfOrder => {
                        outcome.exemplars_out_of_order += 1;
                        let late = || (incoming.labels.clone(), exemplar.timestamp_ms);
                        outcome.late_exemplar.get_or_insert_with(late);
                    }
                }
            }
        }
        let after = series.exemplar_bytes();
        self.bytes = self.bytes + after - before;
    }

    /// Drops the oldest exemplars of series that have more than so many.
    pub(super) fn trim_exemplars(&mut self, most: usize) {
        for (_, series) in self.slots.iter_mut() {
            let Some(exemplars) = &mut series.exemplars else { continue };
            let excess = exemplars.kept.len().saturating_sub(most);
            if excess == 0 {
                continue;
            }
            self.bytes -= exemplars.bytes();
            exemplars.kept.drain(..excess);
            exemplars.kept.shrink_to_fit();
            if exemplars.kept.is_empty() {
                series.exemplars = None;
            }
            self.bytes += series.exemplar_bytes();
        }
    }

    /// The exemplars of a member, oldest first.
    #[must_use]
    pub fn exemplars(&self, id: SeriesId) -> &[Exemplar] {
        self.get(id).exemplars()
    }
}

/// A series with some of its exemplars, oldest first.
pub type SeriesExemplars = (Labels, Vec<Exemplar>);

/// Exemplars of series, while they are collected.
#[derive(Debug)]
pub struct ExemplarListing {
    selectors: Vec<Selector>,
    from_ms: i64,
    to_ms: i64,
    limits: ExcerptLimits,
    candidates: Option<Candidates>,
    found: Vec<SeriesExemplars>,
    samples: usize,
}

impl ExemplarListing {
    /// An empty one, of series that satisfy any of the selectors and have exemplars in `[from_ms, to_ms]`.
    /// Each exemplar counts for as many samples as take its memory.
    #[must_use]
    pub fn new(
        selectors: Vec<Selector>,
        (from_ms, to_ms): (i64, i64),
        limits: ExcerptLimits,
    ) -> Self {
        let (candidates, found, samples) = (None, Vec::new(), 0);
        Self { selectors, from_ms, to_ms, limits, candidates, found, samples }
    }

    /// Adds some of them; says whether these were the last. As with
    /// [`Excerpt::copy_some`](super::Excerpt::copy_some), what it costs is bounded.
    ///
    /// # Errors
    /// When a limit is exceeded.
    pub fn list_some(&mut self, from: &Store) -> Result<bool, ExcerptError> {
        let mut candidates = match self.candidates.take() {
            Some(candidates) => candidates,
            None => from.candidates(self.selectors.iter()),
        };
        for _ in 0..SLICE_CHECKS / self.selectors.len().max(1) + 1 {
            let Some(id) = candidates.next() else { return Ok(true) };
            let Some(series) = from.find(id) else { continue };
            let Some(exemplars) = &series.exemplars else { continue };
            let exemplars = exemplars.within(self.from_ms, self.to_ms);
            if exemplars.is_empty() || !self.selectors.iter().any(|it| it.matches(&series.labels)) {
                continue;
            }
            if self.found.len() == self.limits.max_series {
                return Err(ExcerptError::TooManySeries { limit: self.limits.max_series });
            }
            let bytes = |it: &Exemplar| size_of::<Exemplar>() + it.labels.heap_bytes();
            self.samples += exemplars.iter().map(bytes).sum::<usize>() / size_of::<Sample>();
            if self.samples > self.limits.max_samples {
                return Err(ExcerptError::TooManySamples { limit: self.limits.max_samples });
            }
            self.found.push((series.labels.clone(), exemplars.to_vec()));
        }
        self.candidates = Some(candidates);
        Ok(false)
    }

    /// The series, each once unless it came and went meanwhile, in no order.
    #[must_use]
    pub fn into_found(self) -> Vec<SeriesExemplars> {
        self.found
    }
}
