//! A permit: one of the places for queries that run at the same time, and the work that is done with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Unavailable;
use super::capacity::{Capacity, Effort};
use super::counters::{Working, record};
use super::error::{ApiError, Stage};
use super::look::Look;

/// One of the places for queries that run at the same time, and until when.
pub(super) struct QueryPermit {
    deadline: Instant,
    place: OwnedSemaphorePermit,
    working: Working,
}

impl QueryPermit {
    /// Waits for a place among those of its effort, so long at most, the time of the work included.
    ///
    /// # Errors
    /// When there is none in time.
    pub(super) async fn wait(
        capacity: &Capacity,
        effort: Effort,
        longest: Duration,
    ) -> Result<Self, ApiError> {
        let begun = Instant::now();
        let deadline = begun + longest;
        let place = timeout_at(deadline, capacity.place(effort))
            .await
            .map_err(|_| ApiError::Timeout(Stage::Queue))??;
        let working = Working::begin(begun.elapsed());
        Ok(Self { deadline, place, working })
    }

    /// Has the pipeline's owner read something, within the time of the query.
    pub(super) async fn ask<T, F: Future<Output = Result<(), Unavailable>>>(
        &self,
        look: &impl Fn(Look) -> F,
        read: impl FnOnce(Instant, oneshot::Sender<T>) -> Look,
    ) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let asked = look(read(self.deadline, reply));
        let asked = async {
            asked.await.map_err(|Unavailable| ApiError::Unavailable)?;
            answer.await.map_err(|_| ApiError::Unavailable)
        };
        let late = |_| ApiError::Timeout(Stage::Evaluation);
        timeout_at(self.deadline, asked).await.map_err(late)?
    }

    /// Works on a thread for long work. It is told to end when time is up or nobody waits any more,
    /// and keeps its place until it does.
    pub(super) async fn work(
        self,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<String, ApiError> + Send + 'static,
    ) -> Result<String, ApiError> {
        let Self { deadline, place, working } = self;
        let begun = Instant::now();
        let cancel = CancelOnDrop(Arc::new(AtomicBool::new(true)));
        let is_wanted = Arc::clone(&cancel.0);
        let task = tokio::task::spawn_blocking(move || {
            let _held = (place, working);
            work(&|| is_wanted.load(Ordering::Relaxed) && Instant::now() < deadline)
        });
        let answer = task.await.unwrap_or(Err(ApiError::Internal));
        record("evaluation", begun.elapsed());
        answer
    }
}

/// Tells the work to end when it is dropped with the task of the request, as nobody waits for the answer then.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
