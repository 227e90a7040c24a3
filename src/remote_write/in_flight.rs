//! In flight: the memory that requests under way hold, all of them together.
//!
//! In: bytes that are about to be held, and the limits: one on all requests, one on those of the same peer.
//! Out: a permit for them, which goes wherever they go: into the thread that decodes them and into the queue,
//! and ends with them there. A request whose sender has left is so counted for as long as anything of it is
//! left. A body that has been decoded is gone, and its permit is for the batch from then on.
//!
//! Invariant: what is counted is what permits are out for. It outlives a reload, whatever the limits are
//! after that. It is within them but for what batches are larger than the bodies they came from, and for the
//! work on a request that is alone; as few are decoded at a time as there are cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of all requests under way, or of those of one peer.
#[derive(Debug, Clone, Default)]
pub struct InFlight {
    bytes: Arc<AtomicUsize>,
}

/// Some of these bytes; they are given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    bytes: usize,
    of_all: InFlight,
    of_peer: Option<InFlight>,
}

/// How many bytes there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlightLimits {
    /// Of all requests.
    pub all: usize,
    /// Of the requests of one peer.
    pub peer: usize,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// That on all requests.
    All,
    /// That on the requests of one peer.
    Peer,
}

impl InFlight {
    /// What is counted here: whoever knows the peer keeps its counter for as long as anybody holds it.
    #[must_use]
    pub fn counted_in(bytes: Arc<AtomicUsize>) -> Self {
        Self { bytes }
    }

    /// Bytes that permits are out for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A permit for nothing yet, which will grow within these bytes and, where it is known, those of the peer.
    #[must_use]
    pub fn begin(&self, peer: Option<Self>) -> Permit {
        Permit { bytes: 0, of_all: self.clone(), of_peer: peer }
    }

    /// A permit for so many more bytes, if all together are within the limit then.
    #[must_use]
    pub fn reserve(&self, bytes: usize, limit: usize) -> Option<Permit> {
        let mut permit = self.begin(None);
        permit.grow(bytes, InFlightLimits { all: limit, peer: limit }).ok().map(|()| permit)
    }

    fn take(&self, bytes: usize, limit: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|all| *all <= limit || bytes == 0);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Permit {
    /// Takes in so many more bytes.
    ///
    /// # Errors
    /// Which limit they are beyond; the permit stays as it was.
    pub fn grow(&mut self, bytes: usize, limits: InFlightLimits) -> Result<(), Exhausted> {
        if self.of_peer.as_ref().is_some_and(|peer| !peer.take(bytes, limits.peer)) {
            return Err(Exhausted::Peer);
        }
        if !self.of_all.take(bytes, limits.all) {
            self.of_peer.iter().for_each(|peer| peer.give_back(bytes));
            return Err(Exhausted::All);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Takes in so many more bytes, for work on what it is for. A limit that it is alone under it may exceed, so
    /// that no request within the limits on its size is refused for ever.
    ///
    /// # Errors
    /// Which limit they are beyond; the permit stays as it was.
    pub fn grow_for_work(&mut self, bytes: usize, limits: InFlightLimits) -> Result<(), Exhausted> {
        let unless_alone = |held: &InFlight, limit| {
            if held.bytes() == self.bytes { usize::MAX } else { limit }
        };
        let peer = self.of_peer.as_ref().map_or(limits.peer, |it| unless_alone(it, limits.peer));
        self.grow(bytes, InFlightLimits { all: unless_alone(&self.of_all, limits.all), peer })
    }

    /// Whether so many more bytes would be within the limits now. Nothing is taken in.
    ///
    /// # Errors
    /// Which limit they are beyond.
    pub fn has_room(&self, bytes: usize, limits: InFlightLimits) -> Result<(), Exhausted> {
        let fits = |held: &InFlight, limit: usize| {
            held.bytes().checked_add(bytes).is_some_and(|all| all <= limit)
        };
        match &self.of_peer {
            Some(peer) if !fits(peer, limits.peer) => Err(Exhausted::Peer),
            _ if !fits(&self.of_all, limits.all) => Err(Exhausted::All),
            _ => Ok(()),
        }
    }

    /// What it was for has become something of so many bytes, whatever the limits are: who is that far ends
    /// soon, and nothing new is taken in before.
    pub fn become_bytes(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes);
        self.of_all.add(more);
        self.of_peer.iter().for_each(|peer| peer.add(more));
        self.give_back(self.bytes.saturating_sub(bytes));
        self.bytes = bytes;
    }

    fn give_back(&self, bytes: usize) {
        self.of_all.give_back(bytes);
        self.of_peer.iter().for_each(|peer| peer.give_back(bytes));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_within_the_limit_and_end_with_what_they_are_for() {
        let all = InFlight::default();
        let mut first = all.reserve(60, 100).expect("there is room");
        assert!(all.reserve(41, 100).is_none());
        let limits = InFlightLimits { all: 100, peer: 0 };
        assert_eq!(first.grow(41, limits), Err(Exhausted::All));
        assert_eq!(first.grow(40, limits), Ok(()));
        assert_eq!(all.bytes(), 100);
        // A request begins with nothing, and a limit may fall below what is held.
        let nothing = all.reserve(0, 50).expect("nothing is within every limit");
        assert!(all.reserve(1, 50).is_none());
        assert!(all.reserve(usize::MAX, usize::MAX).is_none());
        drop(first);
        assert_eq!(all.bytes(), 0);
        drop(nothing);
        assert_eq!(all.bytes(), 0);
    }

    #[test]
    fn work_may_exceed_a_limit_that_it_is_alone_under() {
        let (all, one, other) = (InFlight::default(), InFlight::default(), InFlight::default());
        let limits = InFlightLimits { all: 100, peer: 60 };
        let mut first = all.begin(Some(one.clone()));
        assert_eq!(first.grow(50, limits), Ok(()));
        assert_eq!(first.grow_for_work(100, limits), Ok(()));
        assert_eq!((all.bytes(), one.bytes()), (150, 150));
        first.become_bytes(50);
        let mut second = all.begin(Some(other.clone()));
        assert_eq!(second.grow(10, limits), Ok(()));
        assert_eq!(first.grow_for_work(41, limits), Err(Exhausted::All));
        assert_eq!(first.grow_for_work(40, limits), Ok(()), "alone of its peer");
        let mut third = all.begin(Some(one.clone()));
        assert_eq!(third.grow_for_work(1, limits), Err(Exhausted::Peer));
        drop((first, second, third));
        assert_eq!((all.bytes(), one.bytes(), other.bytes()), (0, 0, 0));
    }

    #[test]
    fn a_peer_has_a_share_and_gets_it_back() {
        let (all, one, other) = (InFlight::default(), InFlight::default(), InFlight::default());
        let limits = InFlightLimits { all: 100, peer: 60 };
        let mut first = all.begin(Some(one.clone()));
        assert_eq!(first.grow(61, limits), Err(Exhausted::Peer));
        assert_eq!(first.grow(60, limits), Ok(()));
        let mut second = all.begin(Some(one.clone()));
        assert_eq!(second.grow(1, limits), Err(Exhausted::Peer));
        let mut third = all.begin(Some(other.clone()));
        assert_eq!(third.grow(41, limits), Err(Exhausted::All));
        assert_eq!((all.bytes(), one.bytes(), other.bytes()), (60, 60, 0));
        assert_eq!(third.grow(40, limits), Ok(()));
        assert_eq!(second.has_room(1, limits), Err(Exhausted::Peer));
        assert_eq!(third.has_room(1, limits), Err(Exhausted::All));
        first.become_bytes(50);
        assert_eq!((second.has_room(10, limits), third.has_room(10, limits)), (Ok(()), Ok(())));
        assert_eq!(third.has_room(usize::MAX, limits), Err(Exhausted::Peer));
        assert_eq!((all.bytes(), one.bytes()), (90, 50));
        first.become_bytes(500);
        assert_eq!((all.bytes(), one.bytes()), (540, 500), "beyond the limits");
        assert_eq!(third.grow(1, limits), Err(Exhausted::All));
        drop(first);
        assert_eq!((all.bytes(), one.bytes(), other.bytes()), (40, 0, 40));
        assert_eq!(second.grow(60, limits), Ok(()));
        drop((second, third));
        assert_eq!((all.bytes(), one.bytes(), other.bytes()), (0, 0, 0));
    }
}
