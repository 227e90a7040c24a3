//! An excerpt: copies of some series, in a store of their own.
//!
//! In: selectors, each with a range of time. Out: a store with the series that satisfy them and
//! their samples in those ranges. A query is evaluated on it elsewhere while the store it was cut
//! from goes on taking samples.

use std::collections::BTreeMap;

use super::ring::Ring;
use super::{ENDED, Series, SeriesId, StorageConfig, Store};
use crate::duration::Duration;
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::sample::Sample;

/// What a query wants to read of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
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
    store: Store,
    limits: ExcerptLimits,
    samples: usize,
}

impl Excerpt {
    /// An empty one.
    #[must_use]
    pub fn new(limits: ExcerptLimits) -> Self {
        Self { store: Store::new(StorageConfig::default()), limits, samples: 0 }
    }

    /// Adds a series, unless it has no sample or is there already. Samples are in order of time,
    /// without two of the same time.
    ///
    /// # Errors
    /// When a limit is exceeded.
    pub fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), ExcerptError> {
        if samples.is_empty() || self.store.index.contains_key(labels) {
            return Ok(());
        }
        if self.store.index.len() == self.limits.max_series {
            return Err(ExcerptError::TooManySeries { limit: self.limits.max_series });
        }
        self.samples += samples.len();
        if self.samples > self.limits.max_samples {
            return Err(ExcerptError::TooManySamples { limit: self.limits.max_samples });
        }
        let newest = samples.last().filter(|sample| !sample.is_stale());
        let newest_ms = newest.map_or(ENDED, |sample| sample.timestamp_ms);
        let ring = Ring::of(samples.to_vec());
        // Nothing is appended to it, so nothing is forgotten.
        let series = Series { labels: labels.clone(), ring, retention_ms: i64::MAX, birth: 0 };
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

impl Store {
    /// Copies the series that satisfy any of the selectors, each with its samples in the range that
    /// spans those it is wanted for.
    ///
    /// # Errors
    /// When a limit is exceeded or a range is longer than what is kept.
    pub fn copy_into(&self, excerpt: &mut Excerpt, wanted: &[Wanted]) -> Result<(), ExcerptError> {
        let mut ranges: BTreeMap<SeriesId, (i64, i64)> = BTreeMap::new();
        for wanted in wanted {
            for id in self.select(&wanted.selector) {
                let series = self.get(id);
                if series.lookback_ms() < wanted.lookback_ms {
                    return Err(ExcerptError::Retention {
                        series: series.labels.clone(),
                        wanted: Duration::from_ms(wanted.lookback_ms),
                        kept: Duration::from_ms(series.lookback_ms()),
                    });
                }
                let (from_ms, to_ms) = ranges.entry(id).or_insert((wanted.from_ms, wanted.to_ms));
                *from_ms = wanted.from_ms.min(*from_ms);
                *to_ms = wanted.to_ms.max(*to_ms);
            }
        }
        for (id, (from_ms, to_ms)) in ranges {
            excerpt.add(self.labels(id), self.window(id, from_ms, to_ms))?;
        }
        Ok(())
    }

    /// The label sets of the series that satisfy any of the selectors, or of all when there is
    /// none, and have a sample in `[from_ms, to_ms]`; a stale marker is none. Each once, in
    /// no order: sorting is left to those who have time.
    #[must_use]
    pub fn series_in(&self, selectors: &[Selector], from_ms: i64, to_ms: i64) -> Vec<Labels> {
        let mut ids: Vec<SeriesId> = if selectors.is_empty() {
            self.ids().collect()
        } else {
            selectors.iter().flat_map(|selector| self.select(selector)).collect()
        };
        ids.sort_unstable();
        ids.dedup();
        let seen = |id: &SeriesId| {
            // Of most series the newest sample says enough.
            if (from_ms..=to_ms).contains(&self.slots.newest_ms(*id)) {
                return true;
            }
            let window = self.window(*id, from_ms.saturating_sub(1), to_ms);
            window.iter().any(|sample| !sample.is_stale())
        };
        ids.into_iter().filter(seen).map(|id| self.labels(id).clone()).collect()
    }

    /// The series that satisfy a selector.
    fn select<'a>(&'a self, selector: &'a Selector) -> Box<dyn Iterator<Item = SeriesId> + 'a> {
        if let Some(id) = self.interest.find(selector) {
            return Box::new(self.interest.members(id).iter().copied());
        }
        let candidates = self.names.candidates(selector);
        Box::new(candidates.filter(|id| selector.matches(&self.get(*id).labels)))
    }

    fn ids(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.slots.iter().map(|(id, _)| id)
    }
}
