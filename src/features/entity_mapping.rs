//! A mapping: for each element of the layout of an expression's result or of a selector, the entity that it
//! belongs to.
//!
//! In: a layout and what it was before. Out: an assignment for each element, which holds a reference to its entity
//! for as long as the element is there.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::entity::{Assignment, EntityTable};
use crate::labels::Labels;
use crate::promql::Layout;

/// For each element of a layout the entity it belongs to.
#[derive(Debug, Default)]
pub(super) struct EntityMapping {
    layout: Arc<Layout>,
    pub(super) places: Vec<Assignment>,
}

impl EntityMapping {
    /// Follows a layout. New label sets are placed before old places are let go, so that an entity
    /// that stays keeps its slot and its state.
    pub(super) fn follow(&mut self, layout: &Arc<Layout>, entities: &mut EntityTable) {
        if self.layout.version == layout.version {
            return;
        }
        if let Some(more) = layout.grown_from(&self.layout) {
            self.places.extend(more.map(|labels| entities.acquire(labels)));
        } else {
            let mut gone = std::mem::take(&mut self.places);
            let elements = layout.labels.iter().zip(layout.places_in(&self.layout));
            self.places.reserve(layout.len());
            self.places.extend(elements.map(|(labels, before)| match before {
                Some(place) => std::mem::replace(&mut gone[place], Assignment::Nobody),
                None => entities.acquire(labels),
            }));
            gone.into_iter().for_each(|place| entities.release(place));
        }
        self.layout = Arc::clone(layout);
    }

    /// Elements that there was no room for.
    pub(super) fn refused(&self) -> usize {
        self.places.iter().filter(|it| **it == Assignment::Refused).count()
    }

    /// Entities, told apart by these labels, that there was no room for.
    pub(super) fn refused_entities(&self, names: &[String]) -> usize {
        let elements = self.places.iter().zip(self.layout.labels.iter());
        let hash = |labels: &Labels| {
            let mut hasher = DefaultHasher::new();
            names.iter().for_each(|name| labels.get(name).hash(&mut hasher));
            hasher.finish()
        };
        let refused = elements.filter(|(place, _)| **place == Assignment::Refused);
        refused.map(|(_, labels)| hash(labels)).collect::<HashSet<u64>>().len()
    }

    /// Places those once more that there was no room for.
    pub(super) fn retry(&mut self, entities: &mut EntityTable) {
        for (place, labels) in self.places.iter_mut().zip(self.layout.labels.iter()) {
            if *place == Assignment::Refused {
                *place = entities.acquire(labels);
            }
        }
    }
}
