//! A watch: the series that a model's features read, by entity, and whether they go on.
//!
//! In: a store, the plan's series and their places. Out: for each entity the times of its samples,
//! judged by [`super::freshness`]; for each feature whether the series that its ranges read have
//! ended or begun.

use super::entity::{Assignment, EntityTable};
use super::entity_mapping::EntityMapping;
use super::freshness::{Freshness, Liveness};
use super::matrix::{FeatureMatrix, Provenance};
use super::rules::Rules;
use crate::promql::{Expr, LOOKBACK_MS, Plan};
use crate::series::{SeriesId, Store};

/// An entity has no series of a selector.
const NONE: i64 = i64::MIN;

/// An entity has series of a selector that some range still reads, and all of them have ended or are
/// older than the lookback.
const ENDED: i64 = i64::MIN + 1;

/// So many entities' samples are fetched into the processor's cache at a time: a few minutes of
/// samples of as many fit into the nearest ones.
const TOUCHED: usize = 32;

/// The series of one selector.
#[derive(Debug, Default)]
struct Watched {
    mapping: EntityMapping,
    /// How far back its samples are kept.
    lookback_ms: i64,
    /// How far back the longest of the ranges over it reads.
    range_ms: i64,
    /// By slot, when the newest sample was taken, and of which series.
    newest: Vec<(i64, Option<SeriesId>)>,
}

/// The series whose samples stand for an entity's scrapes.
#[derive(Debug, Clone, Copy)]
struct Witness {
    lookback_ms: i64,
    newest_ms: i64,
    series: Option<SeriesId>,
}

const NOBODY: Witness = Witness { lookback_ms: -1, newest_ms: NONE, series: None };

/// What the newest samples of an entity's series say at an instant.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Of the series that are kept for the longest.
    longest: Witness,
    /// Of all.
    newest: Witness,
    /// Whether all its series of some selector have ended.
    has_ended: bool,
}

/// The series that the features of one model read.
#[derive(Debug)]
pub(super) struct Watch {
    /// In the order of the plan.
    selectors: Vec<Watched>,
    /// For each feature the selectors that its ranges read, by their places.
    windows: Vec<Vec<usize>>,
    freshness: Freshness,
    /// By slot.
    seen: Vec<Seen>,
    /// Room for some series and for the times of one.
    touched: Vec<SeriesId>,
    times_ms: Vec<i64>,
}

impl Watch {
    /// A watch over what a plan of these expressions reads.
    pub fn new(
        exprs: &[Expr],
        plan: &Plan,
        store: &Store,
        rules: &Rules,
        resolution_ms: i64,
    ) -> Self {
        let known: Vec<_> = plan.series().map(|(id, _)| store.selector(id).clone()).collect();
        let mut selectors: Vec<Watched> = known.iter().map(|_| Watched::default()).collect();
        for (selector, lookback_ms) in exprs.iter().flat_map(Expr::selectors) {
            let places = known.iter().zip(&mut selectors).filter(|(it, _)| **it == selector);
            places.for_each(|(_, it)| it.lookback_ms = it.lookback_ms.max(lookback_ms));
        }
        for (selector, back_ms) in exprs.iter().flat_map(Expr::windows) {
            let places = known.iter().zip(&mut selectors).filter(|(it, _)| **it == selector);
            places.for_each(|(_, it)| it.range_ms = it.range_ms.max(back_ms));
        }
        let place = |selector| known.iter().position(|it| *it == selector);
        let windows = exprs
            .iter()
            .map(|expr| expr.windows().into_iter().filter_map(|(it, _)| place(it)).collect())
            .collect();
        let freshness = rules.freshness.clone().with(0, resolution_ms);
        Self {
            selectors,
            windows,
            freshness,
            seen: Vec::new(),
            touched: Vec::new(),
            times_ms: Vec::new(),
        }
    }

    /// Brings the places of series up to date.
    pub fn follow(&mut self, plan: &Plan, entities: &mut EntityTable) {
        for (watched, (_, layout)) in self.selectors.iter_mut().zip(plan.series()) {
            watched.mapping.follow(layout, entities);
        }
    }

    /// Forgets to whom series belong.
    pub fn clear(&mut self) {
        for watched in &mut self.selectors {
            (watched.mapping, watched.newest) = (EntityMapping::default(), Vec::new());
        }
        (self.seen, self.touched, self.times_ms) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// Entities that there is no room for, as those tell of which the fewest series were refused: an entity
    /// may have many of others, and looking at each of these takes time.
    pub fn refused(&self, names: &[String]) -> usize {
        let mapping = self.selectors.iter().map(|it| &it.mapping);
        let refused = mapping.map(|it| (it.refused(), it)).filter(|(count, _)| *count > 0);
        let fewest = refused.min_by_key(|(count, _)| *count);
        fewest.map_or(0, |(_, it)| it.refused_entities(names))
    }

    /// Places those once more that there was no room for.
    pub fn retry(&mut self, entities: &mut EntityTable) {
        self.selectors.iter_mut().for_each(|it| it.mapping.retry(entities));
    }

    /// Looks at the newest sample of every series at an instant.
    pub fn look(
        &mut self,
        store: &Store,
        plan: &Plan,
        slots: usize,
        now_ms: i64,
        stale_after_ms: i64,
    ) {
        self.freshness.stale_after_ms = stale_after_ms;
        for (watched, (selector, _)) in self.selectors.iter_mut().zip(plan.series()) {
            watched.newest.clear();
            watched.newest.resize(slots, (NONE, None));
            // Many series and few entities: what is kept for each entity is combined afterwards.
            let members = store.members(selector).iter();
            for (id, place) in members.zip(&watched.mapping.places) {
                let Assignment::Entity(slot) = *place else {
                    continue;
                };
                // A store keeps series for longer than they are read: those are gone.
                let from_ms = now_ms.saturating_sub(watched.range_ms);
                let is_read = || store.has_sample(*id, from_ms, now_ms);
                let ended = || if is_read() { ENDED } else { NONE };
                let taken_ms = store.latest_ms(*id, now_ms, LOOKBACK_MS).unwrap_or_else(ended);
                let newest = &mut watched.newest[slot as usize];
                if taken_ms > newest.0 {
                    *newest = (taken_ms, Some(*id));
                }
            }
        }
        self.seen.clear();
        self.seen.extend((0..slots).map(|slot| seen(&self.selectors, slot)));
    }

    /// What is known of an entity: by the series that is kept for the longest, or should that be late
    /// by the one with the newest sample. Entities in the order of their slots cost the least.
    pub fn liveness(&mut self, store: &Store, slot: usize, now_ms: i64) -> Option<Liveness> {
        if slot.is_multiple_of(TOUCHED) {
            let next = self.seen[slot..].iter().take(TOUCHED);
            self.touched.clear();
            self.touched.extend(next.filter_map(|seen| seen.longest.series));
            store.touch_after(&self.touched, now_ms.saturating_sub(self.freshness.reach_ms()));
        }
        let Seen { longest, newest, .. } = self.seen[slot];
        let liveness = self.judge(store, longest, now_ms);
        let liveness = match liveness {
            None if newest.newest_ms > longest.newest_ms => self.judge(store, newest, now_ms),
            judged => judged,
        };
        liveness.map(|it| Liveness { newest_ms: newest.newest_ms, ..it })
    }

    fn judge(&mut self, store: &Store, witness: Witness, now_ms: i64) -> Option<Liveness> {
        let series = witness.series?;
        let from_ms = now_ms.saturating_sub(self.freshness.reach_ms());
        self.times_ms.clear();
        store.add_times(series, from_ms, now_ms, &mut self.times_ms);
        self.freshness.judge(&self.times_ms, now_ms, witness.lookback_ms)
    }

    /// Takes away what a range function still returns of series that have ended.
    pub fn leave_out_ended(&self, matrix: &mut FeatureMatrix, slot: usize) {
        if !self.seen[slot].has_ended {
            return;
        }
        let has_ended = |selector: &usize| self.selectors[*selector].newest[slot].0 == ENDED;
        for (feature, selectors) in self.windows.iter().enumerate() {
            let cell = slot * matrix.features + feature;
            if matrix.cells[cell] == Provenance::Own && selectors.iter().any(has_ended) {
                (matrix.cells[cell], matrix.values[cell]) = (Provenance::Absent, f64::NAN);
            }
        }
    }

    /// Whether an entity has series that a feature's ranges read, and they go on.
    pub fn has_begun(&self, feature: usize, slot: usize) -> bool {
        let mut selectors = self.windows[feature].iter();
        selectors.any(|selector| self.selectors[*selector].newest[slot].0 > ENDED)
    }
}

/// Who speaks for the entity in a slot.
fn seen(selectors: &[Watched], slot: usize) -> Seen {
    let mut seen = Seen { longest: NOBODY, newest: NOBODY, has_ended: false };
    for watched in selectors {
        let (newest_ms, series) = watched.newest[slot];
        seen.has_ended |= newest_ms == ENDED;
        if newest_ms <= ENDED {
            continue;
        }
        let witness = Witness { lookback_ms: watched.lookback_ms, newest_ms, series };
        let longest = (seen.longest.lookback_ms, seen.longest.newest_ms);
        if (witness.lookback_ms, newest_ms) > longest {
            seen.longest = witness;
        }
        if newest_ms > seen.newest.newest_ms {
            seen.newest = witness;
        }
    }
    seen
}
