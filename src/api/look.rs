//! A look: what the owner of the pipeline is asked to read for a query, a slice of it.
//!
//! In: what was read before. Out: that with a slice more, and whether it was the last, to who waits for it.
//! What a look costs the owner is bounded by [`Excerpt`] and the listings. When nobody waits any more, or its
//! time is up, it is dropped.

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::series::{Excerpt, ExcerptError, ExemplarListing, Listing, MetadataListing, Store};

/// One look at the store.
#[derive(Debug)]
pub struct Look {
    deadline: Instant,
    read: Read,
}

/// What is read, and where it goes.
#[derive(Debug)]
enum Read {
    Copy(Box<Excerpt>, oneshot::Sender<Result<(Excerpt, bool), ExcerptError>>),
    List(Listing, oneshot::Sender<(Listing, bool)>),
    Metadata(MetadataListing, oneshot::Sender<(MetadataListing, bool)>),
    Exemplars(ExemplarListing, oneshot::Sender<Result<(ExemplarListing, bool), ExcerptError>>),
}

impl Look {
    /// Copies more samples.
    pub(super) fn copy(
        excerpt: Excerpt,
        deadline: Instant,
        reply: oneshot::Sender<Result<(Excerpt, bool), ExcerptError>>,
    ) -> Self {
        Self { deadline, read: Read::Copy(Box::new(excerpt), reply) }
    }

    /// Lists more series.
    pub(super) fn list(
        listing: Listing,
        deadline: Instant,
        reply: oneshot::Sender<(Listing, bool)>,
    ) -> Self {
        Self { deadline, read: Read::List(listing, reply) }
    }

    /// Lists more metadata.
    pub(super) fn metadata(
        listing: MetadataListing,
        deadline: Instant,
        reply: oneshot::Sender<(MetadataListing, bool)>,
    ) -> Self {
        Self { deadline, read: Read::Metadata(listing, reply) }
    }

    /// Lists more exemplars.
    pub(super) fn exemplars(
        listing: ExemplarListing,
        deadline: Instant,
        reply: oneshot::Sender<Result<(ExemplarListing, bool), ExcerptError>>,
    ) -> Self {
        Self { deadline, read: Read::Exemplars(listing, reply) }
    }

    /// Reads a slice, if somebody waits for it.
    pub fn take(self, store: &Store) {
        let is_late = Instant::now() >= self.deadline;
        // Who has gone meanwhile does not hear it.
        match self.read {
            Read::Copy(mut excerpt, reply) if !(is_late || reply.is_closed()) => {
                let is_whole = excerpt.copy_some(store);
                let _ = reply.send(is_whole.map(|is_whole| (*excerpt, is_whole)));
            }
            Read::List(mut listing, reply) if !(is_late || reply.is_closed()) => {
                let is_whole = listing.list_some(store);
                let _ = reply.send((listing, is_whole));
            }
            Read::Metadata(mut listing, reply) if !(is_late || reply.is_closed()) => {
                let is_whole = listing.list_some(store);
                let _ = reply.send((listing, is_whole));
            }
            Read::Exemplars(mut listing, reply) if !(is_late || reply.is_closed()) => {
                let is_whole = listing.list_some(store);
                let _ = reply.send(is_whole.map(|is_whole| (listing, is_whole)));
            }
            Read::Copy(..) | Read::List(..) | Read::Metadata(..) | Read::Exemplars(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::series::StorageConfig;

    /// Whether somebody who waits hears of a look that is taken so long after it was asked for.
    #[track_caller]
    fn check(waited: Duration, expected: bool) {
        let (reply, mut answer) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_secs(60);
        let deadline = deadline.checked_sub(waited).expect("a time");
        Look::list(Listing::new(Vec::new(), 0, 1), deadline, reply)
            .take(&Store::new(StorageConfig::default()));
        assert_eq!(answer.try_recv().is_ok_and(|(_, is_whole)| is_whole), expected);
    }

    #[test]
    fn what_is_late_is_dropped_unread() {
        check(Duration::ZERO, true);
        check(Duration::from_secs(60), false);
    }
}
