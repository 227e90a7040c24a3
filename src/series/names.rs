//! Names: which series have which metric name, so that a query does not try every series.

use std::collections::HashMap;

use super::SeriesId;
use crate::capacity;
use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::Selector;

/// Series by metric name, each once.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Box<str>, Vec<SeriesId>>);

impl Names {
    /// Takes in a series that is new.
    pub(super) fn add(&mut self, labels: &Labels, id: SeriesId) {
        match self.0.get_mut(labels.metric_name()) {
            Some(ids) => ids.push(id),
            None => {
                self.0.insert(labels.metric_name().into(), vec![id]);
            }
        }
    }

    /// Whether there is a series with this metric name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Forgets the series for which `gone` holds; says whether names went with them.
    pub(super) fn leave(&mut self, gone: impl Fn(SeriesId) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|_, ids| {
            ids.retain(|id| !gone(*id));
            ids.shrink_to(capacity::kept(ids.len(), ids.capacity()));
            !ids.is_empty()
        });
        self.0.shrink_to(capacity::kept(self.0.len(), self.0.capacity()));
        self.0.len() < before
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity().max(self.0.values().map(Vec::capacity).max().unwrap_or(0))
    }

    /// The series whose name satisfies a selector; their other labels may not.
    pub(super) fn candidates(&self, selector: &Selector) -> impl Iterator<Item = SeriesId> {
        let exact = selector.metric_name().map(|name| self.0.get(name));
        let some = match &exact {
            Some(_) => None,
            None => Some(self.0.iter().filter(|(name, _)| {
                let mut on_name = selector.matchers().iter().filter(|m| m.name() == METRIC_NAME);
                on_name.all(|matcher| matcher.matches(name))
            })),
        };
        let others = some.into_iter().flatten().map(|(_, ids)| ids);
        exact.flatten().into_iter().chain(others).flatten().copied()
    }
}
