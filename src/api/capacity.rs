//! Capacity: how many queries are worked on, and what answers take until they are read.
//!
//! It is one for all configurations of a process: what began before a reload counts after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use crate::bytesize::ByteSize;

/// Answers up to this length are not counted: a graph's. There are no more of them than connections.
pub(super) const SHORT_BYTES: usize = 64 << 10;

/// What queries may take, all together.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// A permit is a query that is worked on.
    places: Arc<Semaphore>,
    count: Arc<AtomicUsize>,
    /// Of answers that are not read.
    bytes: Arc<AtomicUsize>,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(0)), count: Arc::default(), bytes: Arc::default() }
    }
}

impl Capacity {
    /// So many queries are worked on from now on. Where they were more, those that are over make room for
    /// nobody until it is right. It wants a tokio runtime.
    pub(super) fn set_places(&self, count: usize) {
        let count = count.min(Semaphore::MAX_PERMITS);
        let before = self.count.swap(count, Ordering::Relaxed);
        if count > before {
            self.places.add_permits(count - before);
        } else if count < before {
            let places = Arc::clone(&self.places);
            let fewer = u32::try_from(before - count).unwrap_or(u32::MAX);
            tokio::spawn(async move {
                // Nobody closes it.
                if let Ok(gone) = places.acquire_many_owned(fewer).await {
                    gone.forget();
                }
            });
        }
    }

    /// A place among the queries that are worked on; waits for it.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|_| ApiError::Unavailable)
    }

    /// An answer, which counts until it is read.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn hold(&self, answer: Vec<u8>, limit: ByteSize) -> Result<Bytes, ApiError> {
        let length = answer.capacity();
        if length <= SHORT_BYTES {
            return Ok(answer.into());
        }
        let more = |held: usize| held.checked_add(length).filter(|all| *all <= limit.as_len());
        let held = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        held.map_err(|_| ApiError::AnswersHeld(limit))?;
        gauge!("portent_api_in_flight_bytes").increment(length as f64);
        Ok(Bytes::from_owner(Held { answer, of: Arc::clone(&self.bytes) }))
    }
}

/// An answer that is not read yet.
struct Held {
    answer: Vec<u8>,
    of: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.answer.capacity(), Ordering::Relaxed);
        gauge!("portent_api_in_flight_bytes").decrement(self.answer.capacity() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_count_until_they_are_read() {
        let capacity = Capacity::default();
        let limit = ByteSize::from_bytes(200_000);
        let answer = |length| capacity.hold(vec![b'x'; length], limit);
        let long = answer(150_000).expect("there is room");
        let sent = long.slice(149_999..);
        drop(long);
        let error = answer(70_000).expect_err("too many").to_string();
        assert!(error.contains("query.max_in_flight_bytes"), "{error}");
        assert_eq!(answer(60_000).expect("it is short").len(), 60_000);
        assert_eq!(sent, "x");
        drop(sent);
        assert!(answer(70_000).is_ok());
        assert_eq!(capacity.bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn queries_that_began_before_a_reload_count_after_it() {
        let capacity = Capacity::default();
        capacity.set_places(2);
        let (first, second) = (capacity.place().await, capacity.place().await);
        assert!(first.is_ok() && second.is_ok());
        capacity.set_places(1);
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert_eq!(capacity.places.available_permits(), 0, "there is one, and it is taken");
        drop(second);
        assert!(capacity.place().await.is_ok());
        capacity.set_places(3);
        assert_eq!(capacity.places.available_permits(), 3);
    }
}
