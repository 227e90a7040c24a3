//! A page of memory: what a pipeline remembers, handed out and taken back in small pieces.
//!
//! In: a pipeline, or what another one remembered. Out: pieces, between which ticks and appends may come; or a
//! pipeline that goes on with them.

use super::Pipeline;
use super::alert::AlertsMemory;
use super::bound::Model;
use super::memory::{EntityMemory, ModelKey, PastEntity, Warmed};
use crate::labels::Labels;
use crate::sample::Batch;

/// What is remembered is handed out for so many entities at a time: well below a millisecond.
const PAGE_ENTITIES: usize = 64;

/// And of series for so many samples.
const PAGE_SAMPLES: usize = 8_192;

/// A piece of what a pipeline remembers.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryPage {
    /// Of some entities of a model.
    Entities {
        /// The model.
        model: ModelKey,
        /// What it remembers of them.
        entities: Vec<EntityMemory>,
    },
    /// Samples of some series.
    Series(Batch),
    /// All alerts of a model, which are of one moment.
    Alerts(AlertsMemory),
}

/// Where a piece begins; the first by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryCursor {
    /// The place of a model, or of the store after the last, or after that of a model's alerts.
    pub(super) place: usize,
    /// A slot of it.
    pub(super) offset: usize,
}

/// What was taken from a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Entities that go on.
    pub entities: u64,
    /// Those of models that are not here, or that are there already.
    pub foreign: u64,
    /// Samples.
    pub samples: u64,
    /// Alerts that go on, those included that end at the first tick as nobody wants them any more.
    pub alerts: u64,
}

impl std::ops::AddAssign for Restored {
    fn add_assign(&mut self, other: Self) {
        self.entities += other.entities;
        self.foreign += other.foreign;
        self.samples += other.samples;
        self.alerts += other.alerts;
    }
}

impl Pipeline {
    /// A number that is another one whenever models or entities have other places than before: pieces with
    /// different numbers are not of one whole.
    #[must_use]
    pub fn layout(&self) -> u64 {
        self.layout
    }

    /// A piece of all that is remembered of entities and series, for another pipeline that goes on with it,
    /// and where the next piece begins; nothing at the end. Pieces are small, so that ticks and appends may
    /// come between them, as long as the [`Pipeline::layout`] is the same: each entity and each series is of
    /// one moment.
    #[must_use]
    pub fn memory_page(&self, from: MemoryCursor) -> (MemoryPage, Option<MemoryCursor>) {
        let MemoryCursor { place, offset } = from;
        let store = self.models.len();
        let (page, next) = if let Some(model) = self.models.get(place) {
            let (entities, next) = model.memory(offset, PAGE_ENTITIES);
            (MemoryPage::Entities { model: model.key, entities }, next)
        } else if place == store {
            let (batch, next) = self.store.page(offset, PAGE_SAMPLES);
            (MemoryPage::Series(batch), next)
        } else {
            // The last of them may have ended since the page before.
            let nothing = || MemoryPage::Series(Batch::default());
            (self.alerts(place - store - 1).map_or_else(nothing, MemoryPage::Alerts), None)
        };
        let has_page = |place: &usize| *place <= store || self.alerts(*place - store - 1).is_some();
        let next_place = || {
            let place = (place + 1..=store + self.models.len()).find(has_page)?;
            Some(MemoryCursor { place, offset: 0 })
        };
        (page, next.map(|offset| MemoryCursor { place, offset }).or_else(next_place))
    }

    /// The alerts of the model in a place, if there are any.
    fn alerts(&self, place: usize) -> Option<AlertsMemory> {
        let model = self.models.get(place)?;
        self.alerting.memory(&model.name, model.key)
    }

    /// Goes on with a piece of what another pipeline remembered. To be called before the first tick: an
    /// entity that is there already stays as it is, and of a model that is not here nothing is taken. What
    /// is said to be absent is only what has not been seen here for as long as an entity may be silent.
    pub fn restore(&mut self, now_ms: i64, page: &MemoryPage) -> Restored {
        match page {
            MemoryPage::Series(batch) => {
                let stored = self.store.restore(now_ms, batch).stored;
                Restored { samples: stored, ..Restored::default() }
            }
            MemoryPage::Alerts(memory) => {
                self.alerting.restore(memory);
                Restored { alerts: memory.alerts.len() as u64, ..Restored::default() }
            }
            MemoryPage::Entities { model, entities } => {
                let silent_until_ms = now_ms.saturating_add(self.config.stale_after.as_ms());
                let of = self.models.iter_mut().find(|it| it.key == *model);
                let mut restored = Restored::default();
                let taken = of.map_or(0, |model| {
                    entities.iter().filter(|it| model.restore(it, silent_until_ms)).count()
                });
                restored.entities = taken as u64;
                restored.foreign = (entities.len() - taken) as u64;
                restored
            }
        }
    }

    /// The entities that came to a model, of which nothing was remembered, once the longest range of its
    /// features is covered for them. Each is given once for as long as it is known.
    pub fn take_newcomers(&mut self, key: ModelKey) -> Vec<Labels> {
        let model = self.models.iter_mut().find(|it| it.key == key);
        model.map_or_else(Vec::new, Model::take_newcomers)
    }

    /// Puts a past before what a model remembers of entities, where they are here now and have not been for
    /// longer (see `warm`).
    pub fn warm(&mut self, key: ModelKey, past: &[PastEntity]) -> Warmed {
        let mut warmed = Warmed::default();
        let mut model = self.models.iter_mut().find(|it| it.key == key);
        for it in past {
            warmed += model.as_mut().map_or(Warmed::ELSEWHERE, |model| model.warm(it));
        }
        warmed
    }
}
