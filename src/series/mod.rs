//! A series: a label set with the recent samples under it, and the store that holds them all.
//!
//! In: batches of samples. Out: for each registered selector the series that satisfy it, and for
//! each series its newest sample or the slice of a time range. A series is kept only while some
//! selector wants it, for as long as that selector looks back, and hears one replica of its sender: its own
//! choice, or its cluster's.
//! It does not know HTTP, PromQL or the time of day: `now` is an argument.
//!
//! Invariants: a repeated sample changes nothing; no limit is exceeded at the end of a call; a series
//! that is known goes on when a limit is reached, only new ones are refused, unless those that are known
//! outgrow the memory (see `budget`); nothing that a window at `now` needs is dropped for a sample ahead
//! of `now`; nothing is dropped without being counted in the [`Outcome`].

mod append;
mod budget;
mod changes;
mod clusters;
mod demand;
mod excerpt;
mod exemplars;
mod interest;
mod metadata;
mod names;
mod outcome;
mod pace;
mod page;
mod replicas;
mod ring;
mod slots;
mod windows;

use std::collections::HashMap;

use crate::capacity;
use crate::duration::Duration;
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::sample::{Exemplar, HistogramSample};
use budget::Budget;
use changes::Changes;
use clusters::Clusters;
use exemplars::Exemplars;
use interest::Interest;
use metadata::Families;
use names::Names;
use pace::Pace;
use replicas::Replicas;
use ring::Ring;
use slots::Slots;

pub use changes::Mark;
pub use demand::Demand;
pub use excerpt::{Excerpt, ExcerptError, ExcerptLimits, ExcerptRequest, Listing};
pub use exemplars::{ExemplarListing, SeriesExemplars};
pub use metadata::MetadataListing;
pub use outcome::{Outcome, Rejected, Rejection, ReplicaChange, Stats, StorageConfig};
pub use replicas::REPLICA_TIMEOUT;

/// How much longer than a selector's lookback its samples are kept: a tick that is late, or a query
/// for a moment ago, looks back from a `now` before that of the last append.
const RETENTION_SLACK_MS: i64 = 60_000;

/// The time of the newest sample of a series that ends in a stale marker, wherever that lies.
const ENDED: i64 = i64::MIN;

/// What a series costs beside its samples, its label sets and its room in the tables: its places in
/// member lists, under its name, and in the vectors and groups of the expressions that read it. Estimated: a
/// heap profile of the built-in features over 80,400 series had 18 MiB of it.
const PLACES_BYTES: usize = 240;

/// How often its label set is held: as it came, and without its name by the expressions that read it.
const LABEL_SETS: usize = 2;

/// An entry of the index with its byte of control.
const INDEX_ENTRY_BYTES: usize = size_of::<(Labels, SeriesId)>() + 1;

/// A kept series: a dense number that is used again after the series is evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(u32);

impl SeriesId {
    /// The number, for tables beside the store.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A registered selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SelectorId(u32);

/// One kept series.
#[derive(Debug)]
struct Series {
    labels: Labels,
    ring: Ring,
    /// Most series have none.
    histograms: Option<Box<Ring<HistogramSample>>>,
    /// Most series have none.
    exemplars: Option<Box<Exemplars>>,
    retention_ms: i64,
    /// How many series began before it.
    birth: u64,
}

impl Series {
    fn bytes(&self) -> usize {
        PLACES_BYTES + LABEL_SETS * self.labels.heap_bytes() + self.samples_bytes()
    }

    /// Memory of its samples of both kinds, and of its exemplars.
    fn samples_bytes(&self) -> usize {
        let of = |it: &Ring<HistogramSample>| {
            capacity::allocated(size_of::<Ring<HistogramSample>>()) + it.bytes()
        };
        self.ring.bytes() + self.histograms.as_deref().map_or(0, of) + self.exemplar_bytes()
    }

    fn exemplar_bytes(&self) -> usize {
        self.exemplars.as_deref().map_or(0, Exemplars::bytes)
    }

    /// Its exemplars, oldest first.
    fn exemplars(&self) -> &[Exemplar] {
        self.exemplars.as_deref().map_or(&[], Exemplars::all)
    }

    /// Its native histograms, oldest first.
    fn histograms(&self) -> &[HistogramSample] {
        self.histograms.as_deref().map_or(&[], Ring::samples)
    }

    /// The time of its newest sample of either kind, and whether that is a stale marker.
    fn newest(&self) -> Option<(i64, bool)> {
        let float = self.ring.last().map(|it| (it.timestamp_ms, it.is_stale()));
        let histogram = self.histograms().last().map(|it| (it.timestamp_ms, false));
        match (float, histogram) {
            (Some(float), Some(histogram)) => {
                Some(if histogram.0 > float.0 { histogram } else { float })
            }
            (float, histogram) => float.or(histogram),
        }
    }

    /// What [`Slots::newest_ms`] says of it.
    fn newest_ms(&self) -> i64 {
        self.newest().filter(|(_, is_stale)| !is_stale).map_or(ENDED, |(time_ms, _)| time_ms)
    }

    /// How far back it can be asked.
    fn lookback_ms(&self) -> i64 {
        self.retention_ms.saturating_sub(RETENTION_SLACK_MS)
    }
}

/// All kept series and the selectors that want them.
#[derive(Debug)]
pub struct Store {
    config: StorageConfig,
    slots: Slots,
    index: HashMap<Labels, SeriesId>,
    names: Names,
    families: Families,
    interest: Interest,
    changes: Changes,
    replicas: Replicas,
    clusters: Clusters,
    /// Of the series; tables are counted by their capacity, see [`Store::stats`].
    bytes: usize,
    budget: Budget,
    pace: Pace,
    /// Series that ever began.
    births: u64,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(config: StorageConfig) -> Self {
        Self {
            config,
            slots: Slots::default(),
            index: HashMap::new(),
            names: Names::default(),
            families: Families::default(),
            interest: Interest::default(),
            changes: Changes::default(),
            replicas: Replicas::default(),
            clusters: Clusters::default(),
            bytes: 0,
            budget: Budget::default(),
            pace: Pace::default(),
            births: 0,
        }
    }

    /// Other limits from now on; what is kept stays, and is kept for as long as the new ones say.
    pub fn set_config(&mut self, config: StorageConfig) {
        self.config = config;
        for (_, series) in self.slots.iter_mut() {
            if let Some(lookback_ms) = self.interest.retention_ms(&series.labels) {
                series.retention_ms = retention(&self.config, lookback_ms);
            }
        }
        self.trim_exemplars(self.config.max_exemplars_per_series);
    }

    /// How long a replica must have been silent before another one is heard, from now on.
    pub fn set_replica_timeout(&mut self, timeout: Duration) {
        self.replicas.set_timeout(timeout);
    }

    /// Keeps series that satisfy the selector, each with at least `lookback_ms` of history. The
    /// same selector with the same lookback is kept once; every call wants its own `release`.
    pub fn register(&mut self, selector: &Selector, lookback_ms: i64) -> SelectorId {
        let (id, new) = self.interest.register(selector, lookback_ms);
        if new {
            for (series_id, series) in self.slots.iter_mut() {
                if selector.matches(&series.labels) {
                    series.retention_ms =
                        series.retention_ms.max(retention(&self.config, lookback_ms));
                    self.interest.join(id, series_id);
                }
            }
        }
        id
    }

    /// Ends one registration. Series that nobody else wants are dropped.
    ///
    /// # Panics
    /// When the id was released as often as it was registered.
    pub fn release(&mut self, id: SelectorId) {
        let was: Vec<SeriesId> = self.interest.members(id).to_vec();
        if !self.interest.release(id) {
            return;
        }
        let mut unwanted = vec![false; self.slots.len()];
        for series in was {
            let Some(kept) = self.slots.get_mut(series) else {
                continue;
            };
            match self.interest.retention_ms(&kept.labels) {
                Some(lookback_ms) => kept.retention_ms = retention(&self.config, lookback_ms),
                None => unwanted[series.index()] = true,
            }
        }
        self.drop_series(&unwanted);
    }

    /// Drops series whose newest sample no selector can see any more; says how many.
    pub fn evict(&mut self, now_ms: i64) -> usize {
        self.clusters.forget(now_ms, self.replicas.timeout_ms());
        let mut dead = vec![false; self.slots.len()];
        let mut evicted = 0;
        for (id, series) in self.slots.iter() {
            let newest = series.newest().map_or(i64::MIN, |(time_ms, _)| time_ms);
            dead[id.index()] = newest < now_ms.saturating_sub(series.retention_ms);
            evicted += usize::from(dead[id.index()]);
        }
        if evicted > 0 {
            self.interest.leave(|id| dead[id.index()]);
            self.drop_series(&dead);
        }
        evicted
    }

    /// Which series are wanted now.
    #[must_use]
    pub fn demand(&self) -> Demand {
        Demand::new(self.interest.selectors())
    }

    /// The series that satisfy a selector, in order of birth.
    #[must_use]
    pub fn members(&self, id: SelectorId) -> &[SeriesId] {
        self.interest.members(id)
    }

    /// A number that changes whenever the members of the selector do.
    #[must_use]
    pub fn version(&self, id: SelectorId) -> u64 {
        self.interest.version(id)
    }

    /// How many series have left the selector: as long as it is the same, those that come stand
    /// behind all that were there.
    #[must_use]
    pub fn departures(&self, id: SelectorId) -> u64 {
        self.interest.departures(id)
    }

    /// The selector that was registered.
    #[must_use]
    pub fn selector(&self, id: SelectorId) -> &Selector {
        self.interest.selector(id)
    }

    /// The label set of a member.
    #[must_use]
    pub fn labels(&self, id: SeriesId) -> &Labels {
        &self.get(id).labels
    }

    /// This moment, to ask later what has changed since.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.changes.mark()
    }

    /// A time before which nothing was put in since the mark: evaluations at earlier instants still
    /// hold. `i64::MAX` when nothing at all was.
    #[must_use]
    pub fn changed_from(&self, mark: Mark) -> i64 {
        self.changes.oldest_since(mark)
    }

    /// Counts of what is held.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let tables = self.slots.bytes() + index_bytes(self.index.capacity());
        let senders = self.replicas.bytes() + self.clusters.bytes();
        let others = senders + self.families.bytes();
        Stats { series: self.index.len(), bytes: self.bytes + tables + others }
    }

    fn get(&self, id: SeriesId) -> &Series {
        self.slots.get(id).expect("a series id is used only while a member")
    }

    fn insert(&mut self, series: Series) -> SeriesId {
        self.bytes += series.bytes();
        let labels = series.labels.clone();
        let id = self.slots.insert(series);
        self.names.add(&labels, id);
        self.index.insert(labels, id);
        id
    }

    /// Frees the slots of series that no member list names any more, and gives back what tables do not use.
    fn drop_series(&mut self, gone: &[bool]) {
        if self.names.leave(|id| gone[id.index()]) {
            self.families.leave(&self.names);
        }
        for slot in (0..gone.len()).filter(|slot| gone[*slot]) {
            let id = SeriesId(slot as u32);
            if let Some(series) = self.slots.take(id) {
                self.bytes -= series.bytes();
                self.index.remove(&series.labels);
                self.replicas.leave(id);
            }
        }
        self.slots.give_back();
        self.index.shrink_to(capacity::kept(self.index.len(), self.index.capacity()));
        self.replicas.give_back();
    }
}

/// Memory of an index with room for so many: of eight buckets seven may be used.
fn index_bytes(capacity: usize) -> usize {
    capacity.div_ceil(7) * 8 * INDEX_ENTRY_BYTES
}

/// How long samples of a series are kept of which selectors look back so far.
fn retention(config: &StorageConfig, lookback_ms: i64) -> i64 {
    let at_least_ms = config.retention.map_or(0, Duration::as_ms);
    lookback_ms.max(at_least_ms).saturating_add(RETENTION_SLACK_MS)
}

#[cfg(test)]
mod churn_tests;
#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod exemplar_tests;
#[cfg(test)]
mod histogram_tests;
#[cfg(test)]
mod tests;
