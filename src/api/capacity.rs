//! Capacity: how many queries are worked on, and what answers take until they are read.
//!
//! Questions that are quick to answer have places of their own: queries that take long never make them wait.
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

/// How much work a question is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// It evaluates many instants, or reads much of each series.
    Long,
    /// It does not: what the last tick found, which series there are, a value now.
    Quick,
}

/// What queries may take, all together.
#[derive(Debug, Clone, Default)]
pub struct Capacity {
    long: Places,
    quick: Places,
    /// Of answers that are not read.
    bytes: Arc<AtomicUsize>,
}

/// Places among the questions of an effort that are worked on.
#[derive(Debug, Clone)]
struct Places {
    /// A permit is a question that is worked on.
    free: Arc<Semaphore>,
    count: Arc<AtomicUsize>,
}

impl Default for Places {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(0)), count: Arc::default() }
    }
}

impl Places {
    /// See [`Capacity::set_places`].
    fn set(&self, count: usize) {
        let count = count.min(Semaphore::MAX_PERMITS);
        let before = self.count.swap(count, Ordering::Relaxed);
        if count > before {
            self.free.add_permits(count - before);
        } else if count < before {
            let free = Arc::clone(&self.free);
            let fewer = u32::try_from(before - count).unwrap_or(u32::MAX);
            tokio::spawn(async move {
                // Nobody closes it.
                if let Ok(gone) = free.acquire_many_owned(fewer).await {
                    gone.forget();
                }
            });
        }
    }
}

impl Capacity {
    /// So many questions of each effort are worked on from now on. Where they were more, those that are over make
    /// room for nobody until it is right. It wants a tokio runtime.
    pub(super) fn set_places(&self, count: usize) {
        self.long.set(count);
        self.quick.set(count);
    }

    /// A place among the questions of an effort that are worked on; waits for it.
    pub(super) async fn place(&self, effort: Effort) -> Result<OwnedSemaphorePermit, ApiError> {
        let places = match effort {
            Effort::Long => &self.long,
            Effort::Quick => &self.quick,
        };
        let place = Arc::clone(&places.free).acquire_owned().await;
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
        let (first, second) =
            (capacity.place(Effort::Long).await, capacity.place(Effort::Long).await);
        assert!(first.is_ok() && second.is_ok());
        capacity.set_places(1);
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert_eq!(capacity.long.free.available_permits(), 0, "there is one, and it is taken");
        drop(second);
        assert!(capacity.place(Effort::Long).await.is_ok());
        capacity.set_places(3);
        assert_eq!(capacity.long.free.available_permits(), 3);
    }
}
