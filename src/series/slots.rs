//! Slots: the table of series by their number.
//!
//! In: series that begin and end. Out: each under a number that is its own until it ends. Numbers are in
//! member lists and in tables beside the store, so that no series ever moves: what ends leaves a hole, and
//! the lowest hole is filled first. So after many have come and gone the holes are at the end, and go.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{ENDED, Series, SeriesId};
use crate::capacity;

/// Room for the first series.
const LEAST_ROOM: usize = 4;

/// Series by [`SeriesId`].
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// A `None` is free.
    series: Vec<Option<Series>>,
    /// When the newest sample was taken, [`ENDED`] if that is a stale marker. Apart from the rings, so
    /// that looking at all of them reads little memory.
    newest_ms: Vec<i64>,
    free: BinaryHeap<Reverse<u32>>,
}

impl Slots {
    /// How many slots there are, free ones included: above every number that is in use.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// How many series there are.
    pub(super) fn taken(&self) -> usize {
        self.series.len() - self.free.len()
    }

    /// Memory of the table itself.
    pub(super) fn bytes(&self) -> usize {
        self.series.capacity() * size_of::<Option<Series>>()
            + self.newest_ms.capacity() * size_of::<i64>()
            + self.free.capacity() * size_of::<u32>()
    }

    pub(super) fn get(&self, id: SeriesId) -> Option<&Series> {
        self.series[id.index()].as_ref()
    }

    pub(super) fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        self.series[id.index()].as_mut()
    }

    /// When the newest sample was taken, or [`ENDED`].
    pub(super) fn newest_ms(&self, id: SeriesId) -> i64 {
        self.newest_ms[id.index()]
    }

    pub(super) fn set_newest_ms(&mut self, id: SeriesId, newest_ms: i64) {
        self.newest_ms[id.index()] = newest_ms;
    }

    /// All series, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SeriesId, &Series)> {
        self.from(0)
    }

    /// The series whose numbers are not below.
    pub(super) fn from(&self, slot: usize) -> impl Iterator<Item = (SeriesId, &Series)> {
        let slots = self.series.iter().enumerate().skip(slot);
        slots.filter_map(|(slot, it)| Some((SeriesId(slot as u32), it.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SeriesId, &mut Series)> {
        let slots = self.series.iter_mut().enumerate();
        slots.filter_map(|(slot, it)| Some((SeriesId(slot as u32), it.as_mut()?)))
    }

    /// Puts a series into the lowest free slot.
    pub(super) fn insert(&mut self, series: Series) -> SeriesId {
        let slot = match self.free.pop() {
            Some(Reverse(slot)) => slot as usize,
            None => {
                let more = self.growth();
                self.series.reserve_exact(more);
                self.newest_ms.reserve_exact(more);
                self.series.push(None);
                self.newest_ms.push(ENDED);
                self.series.len() - 1
            }
        };
        (self.series[slot], self.newest_ms[slot]) = (Some(series), ENDED);
        SeriesId(slot as u32)
    }

    /// For how many more slots room is made for one series more: by half, so that little is unused.
    fn growth(&self) -> usize {
        let is_full = self.free.is_empty() && self.series.len() == self.series.capacity();
        if is_full { LEAST_ROOM.max(self.series.len() / 2) } else { 0 }
    }

    /// By how much the table grows for one series more.
    pub(super) fn next_bytes(&self) -> usize {
        self.growth() * (size_of::<Option<Series>>() + size_of::<i64>())
    }

    /// Takes a series out; after some, [`Self::give_back`].
    pub(super) fn take(&mut self, id: SeriesId) -> Option<Series> {
        let series = self.series[id.index()].take();
        if series.is_some() {
            self.free.push(Reverse(id.0));
        }
        series
    }

    /// Gives back the free slots at the end, and room where most of it is unused.
    pub(super) fn give_back(&mut self) {
        let len = self.series.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        if len < self.series.len() {
            self.series.truncate(len);
            self.newest_ms.truncate(len);
            self.free.retain(|Reverse(slot)| (*slot as usize) < len);
        }
        self.series.shrink_to(capacity::kept(len, self.series.capacity()));
        self.newest_ms.shrink_to(capacity::kept(len, self.newest_ms.capacity()));
        self.free.shrink_to(capacity::kept(self.free.len(), self.free.capacity()));
    }

    /// Keeps room for nothing more, after [`Self::give_back`].
    pub(super) fn give_all_back(&mut self) {
        self.series.shrink_to_fit();
        self.newest_ms.shrink_to_fit();
        self.free.shrink_to_fit();
    }
}
