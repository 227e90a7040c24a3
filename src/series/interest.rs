//! Interest: the selectors that somebody evaluates, and for each the series that satisfy it.
//!
//! A series is matched once, when it is born; from then on a tick reads ready-made member lists.

use std::collections::HashMap;

use super::{SelectorId, SeriesId};
use crate::capacity;
use crate::labels::Labels;
use crate::matcher::Selector;

/// A selector in use.
#[derive(Debug)]
struct Watched {
    selector: Selector,
    lookback_ms: i64,
    references: usize,
    members: Vec<SeriesId>,
    version: u64,
    /// How many series have left.
    departures: u64,
}

/// The selectors in use, found by the metric name they ask for.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Slots are reused; a `None` is free.
    watched: Vec<Option<Watched>>,
    by_key: HashMap<(Selector, i64), SelectorId>,
    by_name: HashMap<String, Vec<SelectorId>>,
    /// Selectors that do not fix the metric name: every series must be tried against them.
    nameless: Vec<SelectorId>,
    versions: u64,
}

impl Interest {
    /// The selector's id and whether it is new here, in which case its members must be added.
    pub(super) fn register(&mut self, selector: &Selector, lookback_ms: i64) -> (SelectorId, bool) {
        if let Some(&id) = self.by_key.get(&(selector.clone(), lookback_ms)) {
            self.get_mut(id).references += 1;
            return (id, false);
        }
        let version = self.next_version();
        let watched = Watched {
            selector: selector.clone(),
            lookback_ms,
            references: 1,
            members: Vec::new(),
            version,
            departures: 0,
        };
        let slot = self.watched.iter().position(Option::is_none).unwrap_or_else(|| {
            self.watched.push(None);
            self.watched.len() - 1
        });
        self.watched[slot] = Some(watched);
        let id = SelectorId(slot as u32);
        self.by_key.insert((selector.clone(), lookback_ms), id);
        match selector.metric_name() {
            Some(name) => self.by_name.entry(name.to_owned()).or_default().push(id),
            None => self.nameless.push(id),
        }
        (id, true)
    }

    /// Gives one reference back; true when it was the last and the selector is gone.
    pub(super) fn release(&mut self, id: SelectorId) -> bool {
        let watched = self.get_mut(id);
        watched.references -= 1;
        if watched.references > 0 {
            return false;
        }
        if let Some(watched) = self.watched[id.0 as usize].take() {
            if let Some(name) = watched.selector.metric_name() {
                if let Some(ids) = self.by_name.get_mut(name) {
                    ids.retain(|other| *other != id);
                    if ids.is_empty() {
                        self.by_name.remove(name);
                    }
                }
            } else {
                self.nameless.retain(|other| *other != id);
            }
            self.by_key.remove(&(watched.selector, watched.lookback_ms));
        }
        true
    }

    /// The selectors that a label set satisfies.
    pub(super) fn matching<'a>(
        &'a self,
        labels: &'a Labels,
    ) -> impl Iterator<Item = SelectorId> + 'a {
        let named = self.by_name.get(labels.metric_name()).map_or(&[][..], Vec::as_slice);
        named
            .iter()
            .chain(&self.nameless)
            .copied()
            .filter(|id| self.get(*id).selector.matches(labels))
    }

    /// The longest lookback of the selectors that a label set satisfies; `None` if none does.
    pub(super) fn retention_ms(&self, labels: &Labels) -> Option<i64> {
        self.matching(labels).map(|id| self.get(id).lookback_ms).max()
    }

    /// Adds a series to one selector.
    pub(super) fn join(&mut self, id: SelectorId, series: SeriesId) {
        let version = self.next_version();
        let watched = self.get_mut(id);
        watched.members.push(series);
        watched.version = version;
    }

    /// Removes the series for which `gone` holds from every selector that has one of them.
    pub(super) fn leave(&mut self, gone: impl Fn(SeriesId) -> bool) {
        for slot in 0..self.watched.len() {
            let version = self.versions + 1;
            if let Some(watched) = &mut self.watched[slot] {
                let before = watched.members.len();
                watched.members.retain(|series| !gone(*series));
                if watched.members.len() != before {
                    let room = capacity::kept(watched.members.len(), watched.members.capacity());
                    watched.members.shrink_to(room);
                    watched.version = version;
                    watched.departures += (before - watched.members.len()) as u64;
                    self.versions = version;
                }
            }
        }
    }

    /// The selectors in use.
    pub(super) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.watched.iter().flatten().map(|watched| &watched.selector)
    }

    /// A registration of the selector, whatever its lookback.
    pub(super) fn find(&self, selector: &Selector) -> Option<SelectorId> {
        let same = |watched: &Option<Watched>| {
            watched.as_ref().is_some_and(|watched| watched.selector == *selector)
        };
        self.watched.iter().position(same).map(|slot| SelectorId(slot as u32))
    }

    /// The selector's series in order of birth.
    pub(super) fn members(&self, id: SelectorId) -> &[SeriesId] {
        &self.get(id).members
    }

    /// A number that changes whenever the members do.
    pub(super) fn version(&self, id: SelectorId) -> u64 {
        self.get(id).version
    }

    /// How many series have left the selector.
    pub(super) fn departures(&self, id: SelectorId) -> u64 {
        self.get(id).departures
    }

    /// The selector itself.
    pub(super) fn selector(&self, id: SelectorId) -> &Selector {
        &self.get(id).selector
    }

    fn next_version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    fn get(&self, id: SelectorId) -> &Watched {
        self.watched[id.0 as usize].as_ref().expect("a selector id is used only while registered")
    }

    fn get_mut(&mut self, id: SelectorId) -> &mut Watched {
        self.watched[id.0 as usize].as_mut().expect("a selector id is used only while registered")
    }
}
