//! Groups: which elements of two vectors agree in the labels of a match.
//!
//! One side decides which groups there are, the other asks for its own. Groups are worked out once a layout, of
//! the elements that are new in it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;
use crate::promql::syntax::clause::Matching;

use super::layout::Layout;

/// No group: nothing on the side that decides agrees.
pub(super) const NONE: u32 = u32::MAX;

/// The groups of two layouts.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// By the labels that must agree; a group of which no element is left does no harm.
    by_signature: HashMap<Labels, u32>,
    /// What they were made from last: the layout of the side that decides, and of the one that asks.
    made_from: (Arc<Layout>, Arc<Layout>),
    /// The group of each element that decides.
    pub(super) deciding: Vec<u32>,
    /// The group of each element that asks, or [`NONE`].
    pub(super) asking: Vec<u32>,
}

impl Groups {
    /// How many there are: all numbers of groups are below.
    pub(super) fn len(&self) -> usize {
        self.by_signature.len()
    }

    /// Whether nothing is to be done for these layouts.
    pub(super) fn are_of(&self, decides: &Layout, asks: &Layout) -> bool {
        let made_from = (self.made_from.0.version, self.made_from.1.version);
        made_from == (decides.version, asks.version)
    }

    /// The layouts as they were before [`Groups::settle`].
    pub(super) fn made_from(&self) -> (&Layout, &Layout) {
        (&self.made_from.0, &self.made_from.1)
    }

    /// Finds the groups of other layouts. True when the numbers of groups mean something else now: most were of
    /// elements that are gone.
    pub(super) fn follow(&mut self, matching: &Matching, decides: &Layout, asks: &Layout) -> bool {
        let restarts = self.len() > 2 * decides.len();
        if restarts {
            *self = Self::default();
        }
        let Self { by_signature, made_from, deciding, asking } = self;
        let known = by_signature.len();
        let elements = decides.labels.iter().zip(decides.places_in(&made_from.0));
        *deciding = elements
            .map(|(labels, before)| match before {
                Some(place) => deciding[place],
                None => {
                    let next = by_signature.len() as u32;
                    *by_signature.entry(matching.signature(labels)).or_insert(next)
                }
            })
            .collect();
        let none_is_new = by_signature.len() == known;
        let find = |labels| match by_signature.is_empty() {
            true => NONE,
            false => by_signature.get(&matching.signature(labels)).copied().unwrap_or(NONE),
        };
        let elements = asks.labels.iter().zip(asks.places_in(&made_from.1));
        *asking = elements
            .map(|(labels, before)| match before.map(|place| asking[place]) {
                Some(group) if group != NONE || none_is_new => group,
                _ => find(labels),
            })
            .collect();
        restarts
    }

    /// Says that what follows from these layouts is worked out.
    pub(super) fn settle(&mut self, decides: &Arc<Layout>, asks: &Arc<Layout>) {
        self.made_from = (Arc::clone(decides), Arc::clone(asks));
    }
}
