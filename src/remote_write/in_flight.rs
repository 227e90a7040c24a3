//! In flight: the memory that requests under way hold, all of them together.
//!
//! In: bytes that are about to be held, and a limit. Out: a permit for them, which goes wherever they go:
//! into the thread that decodes them and into the queue, and ends with them there. A request whose sender
//! has left is so counted for as long as anything of it is left.
//!
//! Invariant: what is counted is what permits are out for. It outlives a reload, whatever the limit is
//! after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of all requests under way.
#[derive(Debug, Clone, Default)]
pub struct InFlight {
    bytes: Arc<AtomicUsize>,
}

/// Some of these bytes; they are given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl InFlight {
    /// Bytes that permits are out for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A permit for so many more bytes, if all together are within the limit then.
    #[must_use]
    pub fn reserve(&self, bytes: usize, limit: usize) -> Option<Permit> {
        let more = |held: usize| held.checked_add(bytes).filter(|all| *all <= limit || bytes == 0);
        let reserved = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        reserved.ok().map(|_| Permit { bytes, of: Arc::clone(&self.bytes) })
    }
}

impl Permit {
    /// Takes over what another one is for.
    ///
    /// # Panics
    /// When that is of other requests.
    pub fn merge(&mut self, mut other: Self) {
        assert!(Arc::ptr_eq(&self.of, &other.of), "permits of one kind");
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
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
        let second = all.reserve(40, 100).expect("there is room");
        first.merge(second);
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
}
