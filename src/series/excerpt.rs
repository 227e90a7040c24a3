//! An excerpt: copies of some series, in a store of their own.
//!
//! In: selectors, each with a range of time. Out: a store with the series that satisfy them and
//! their samples in those ranges. A query is evaluated on it elsewhere while the store it was cut
//! from goes on taking samples. It is cut in slices of bounded cost, between which samples may come: a large
//! excerpt is not of one moment, as what several senders push is not.

use std::sync::Arc;

use super::ring::Ring;
use super::{Series, SeriesId, StorageConfig, Store};
use crate::duration::Duration;
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::sample::{HistogramSample, Sample};

/// Samples that are copied at a time: 4 MiB, some milliseconds.
const SLICE_SAMPLES: usize = 256 << 10;

/// How often a label set is held against a selector at a time: some milliseconds.
pub(super) const SLICE_CHECKS: usize = 16 << 10;

/// What a query wants to read of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExcerptRequest {
    /// Which series.
    pub selector: Selector,
    /// Samples after this time.
    pub from_ms: i64,
    /// Samples up to this time.
    pub to_ms: i64,
    /// How far one evaluation looks back. A series that is kept for less is an error, because the
    /// answer would be of a shorter range than asked for; zero never is.
    pub lookback_ms: i64,
}

/// How much may be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExcerptLimits {
    /// Series at most.
    pub max_series: usize,
    /// Samples of all series together at most.
    pub max_samples: usize,
}

/// Why there is no excerpt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExcerptError {
    /// More series satisfy the selectors.
    #[error("the query selects more than {limit} series")]
    TooManySeries {
        /// The most that may be copied.
        limit: usize,
    },
    /// They have more samples in the ranges.
    #[error("the query selects more than {limit} samples")]
    TooManySamples {
        /// The most that may be copied.
        limit: usize,
    },
    /// A range is longer than what is kept.
    #[error(
        "the query looks back {wanted}, but {series} is kept for {kept}; storage.retention says \
         how long series are kept at least"
    )]
    Retention {
        /// A series that it selects.
        series: Labels,
        /// What it looks back.
        wanted: Duration,
        /// What is kept.
        kept: Duration,
    },
}

/// Copies of series, while they are collected.
#[derive(Debug)]
pub struct Excerpt {
    wanted: Arc<[ExcerptRequest]>,
    /// Those that are not looked at yet, once the copying has begun.
    candidates: Option<Candidates>,
    store: Store,
    limits: ExcerptLimits,
    samples: usize,
}

impl Excerpt {
    /// An empty one.
    #[must_use]
    pub fn new(wanted: Vec<ExcerptRequest>, limits: ExcerptLimits) -> Self {
        let store = Store::new(StorageConfig::default());
        Self { wanted: wanted.into(), candidates: None, store, limits, samples: 0 }
    }

    /// What is wanted.
    #[must_use]
    pub fn wanted(&self) -> Arc<[ExcerptRequest]> {
        Arc::clone(&self.wanted)
    }

    /// Copies some of the series that satisfy any of the selectors, each with its samples in the range that
    /// spans those it is wanted for; says whether these were the last. What it costs is bounded, whatever
    /// there is: a store that is asked for one excerpt a few times goes on with its own work in between.
    ///
    /// # Errors
    /// When a limit is exceeded or a range is longer than what is kept.
    pub fn copy_some(&mut self, from: &Store) -> Result<bool, ExcerptError> {
        let wanted = Arc::clone(&self.wanted);
        let selectors = wanted.iter().map(|wanted| &wanted.selector);
        let mut candidates = match self.candidates.take() {
            Some(candidates) => candidates,
            None => from.candidates(selectors),
        };
        let enough = self.samples + SLICE_SAMPLES;
        for _ in 0..SLICE_CHECKS / wanted.len().max(1) + 1 {
            let Some(id) = candidates.next() else { return Ok(true) };
            let Some(series) = from.find(id) else { continue };
            let mut range: Option<(i64, i64)> = None;
            for wanted in wanted.iter().filter(|it| it.selector.matches(&series.labels)) {
                if series.lookback_ms() < wanted.lookback_ms {
                    return Err(ExcerptError::Retention {
                        series: series.labels.clone(),
                        wanted: Duration::from_ms(wanted.lookback_ms),
                        kept: Duration::from_ms(series.lookback_ms()),
                    });
                }
                let (from_ms, to_ms) = range.unwrap_or((wanted.from_ms, wanted.to_ms));
                range = Some((from_ms.min(wanted.from_ms), to_ms.max(wanted.to_ms)));
            }
            if let Some((from_ms, to_ms)) = range {
                let samples = series.ring.window(from_ms, to_ms);
                self.add_both(&series.labels, samples, from.histogram_window(id, from_ms, to_ms))?;
            }
            if self.samples >= enough {
                break;
            }
        }
        self.candidates = Some(candidates);
        Ok(false)
    }

    /// Adds a series, unless it has no sample or is there already. Samples are in order of time,
    /// without two of the same time.
    ///
    /// # Errors
    /// When a limit is exceeded.
    pub fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), ExcerptError> {
        self.add_both(labels, samples, &[])
    }

    /// As [`Excerpt::add`], with native histograms, of which each counts for as many samples as take its
    /// memory.
    fn add_both(
        &mut self,
        labels: &Labels,
        samples: &[Sample],
        histograms: &[HistogramSample],
    ) -> Result<(), ExcerptError> {
        let is_empty = samples.is_empty() && histograms.is_empty();
        if is_empty || self.store.index.contains_key(labels) {
            return Ok(());
        }
        if self.store.index.len() == self.limits.max_series {
            return Err(ExcerptError::TooManySeries { limit: self.limits.max_series });
        }
        self.samples += samples.len();
        self.samples += histograms.iter().map(HistogramSample::in_samples).sum::<usize>();
        if self.samples > self.limits.max_samples {
            return Err(ExcerptError::TooManySamples { limit: self.limits.max_samples });
        }
        let ring = Ring::of(samples.to_vec());
        let histograms = (!histograms.is_empty()).then(|| Box::new(Ring::of(histograms.to_vec())));
        // Nothing is appended to it, so nothing is forgotten.
        let (labels, retention_ms) = (labels.clone(), i64::MAX);
        let exemplars = None;
        let series = Series { labels, ring, histograms, exemplars, retention_ms, birth: 0 };
        let newest_ms = series.newest_ms();
        let id = self.store.insert(series);
        self.store.slots.set_newest_ms(id, newest_ms);
        Ok(())
    }

    /// The series as a store. It is for one plan: they go when that releases them.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
    }
}

/// Label sets of series, while they are collected.
#[derive(Debug)]
pub struct Listing {
    selectors: Vec<Selector>,
    from_ms: i64,
    to_ms: i64,
    candidates: Option<Candidates>,
    found: Vec<Labels>,
}

impl Listing {
    /// An empty one, of series that satisfy any of the selectors, or of all when there is none, and have a
    /// sample in `[from_ms, to_ms]`; a stale marker is none.
    #[must_use]
    pub fn new(selectors: Vec<Selector>, from_ms: i64, to_ms: i64) -> Self {
        Self { selectors, from_ms, to_ms, candidates: None, found: Vec::new() }
    }

    /// Adds some of them; says whether these were the last. As with [`Excerpt::copy_some`], what it costs is
    /// bounded.
    pub fn list_some(&mut self, from: &Store) -> bool {
        let mut candidates = match self.candidates.take() {
            Some(candidates) => candidates,
            None if self.selectors.is_empty() => Candidates::all(from),
            None => from.candidates(self.selectors.iter()),
        };
        for _ in 0..SLICE_CHECKS / self.selectors.len().max(1) + 1 {
            let Some(id) = candidates.next() else { return true };
            let Some(series) = from.find(id) else { continue };
            let is_wanted = self.selectors.is_empty()
                || self.selectors.iter().any(|it| it.matches(&series.labels));
            if is_wanted && from.has_sample_within(id, self.from_ms, self.to_ms) {
                self.found.push(series.labels.clone());
            }
        }
        self.candidates = Some(candidates);
        false
    }

    /// All of them at once.
    #[cfg(test)]
    pub(super) fn whole(mut self, from: &Store) -> Vec<Labels> {
        while !self.list_some(from) {}
        self.found
    }

    /// The label sets, each once unless series came and went meanwhile, in no order: sorting is left to
    /// those who have time.
    #[must_use]
    pub fn into_labels(self) -> Vec<Labels> {
        self.found
    }
}

/// The numbers of series that may satisfy some selectors, each once: a set of bits. What has a number may
/// be another series, or none, when its turn comes.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    words: Vec<u64>,
    /// Where the next is looked for.
    at: usize,
}

impl Candidates {
    fn all(store: &Store) -> Self {
        Self { words: vec![u64::MAX; store.slots.len().div_ceil(64)], at: 0 }
    }

    fn insert(&mut self, id: SeriesId) {
        if self.words.len() <= id.index() / 64 {
            self.words.resize(id.index() / 64 + 1, 0);
        }
        self.words[id.index() / 64] |= 1 << (id.index() % 64);
    }

    pub(super) fn next(&mut self) -> Option<SeriesId> {
        let mut word = self.words.get(self.at / 64)? >> (self.at % 64) << (self.at % 64);
        while word == 0 {
            self.at = (self.at / 64 + 1) * 64;
            word = *self.words.get(self.at / 64)?;
        }
        let index = self.at / 64 * 64 + word.trailing_zeros() as usize;
        self.at = index + 1;
        Some(SeriesId(index as u32))
    }
}

impl Store {
    /// The series that may satisfy any of the selectors.
    pub(super) fn candidates<'a>(
        &self,
        selectors: impl Iterator<Item = &'a Selector>,
    ) -> Candidates {
        let mut candidates = Candidates::default();
        for selector in selectors {
            match self.interest.find(selector) {
                Some(id) => self.interest.members(id).iter().for_each(|id| candidates.insert(*id)),
                None => self.names.candidates(selector).for_each(|id| candidates.insert(id)),
            }
        }
        candidates
    }

    pub(super) fn find(&self, id: SeriesId) -> Option<&Series> {
        if id.index() < self.slots.len() { self.slots.get(id) } else { None }
    }

    /// Whether a member has a sample in `[from_ms, to_ms]` that is no stale marker.
    fn has_sample_within(&self, id: SeriesId, from_ms: i64, to_ms: i64) -> bool {
        // Of most series the newest sample says enough.
        (from_ms..=to_ms).contains(&self.slots.newest_ms(id))
            || self.has_sample(id, from_ms.saturating_sub(1), to_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_come_each_once_and_in_order() {
        let mut candidates = Candidates::default();
        for index in [700, 64, 0, 63, 64, 65, 127, 128, 0] {
            candidates.insert(SeriesId(index));
        }
        let found: Vec<usize> =
            std::iter::from_fn(|| candidates.next()).map(SeriesId::index).collect();
        assert_eq!(found, [0, 63, 64, 65, 127, 128, 700]);
        assert_eq!(candidates.next(), None);
        assert_eq!(Candidates::default().next(), None);
    }
}
