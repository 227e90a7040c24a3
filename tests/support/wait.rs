//! Waiting for something that other processes bring about.

use std::time::{Duration, Instant};

/// The distance between two looks: short against every interval that is waited for.
const POLL: Duration = Duration::from_millis(100);

/// Looks again and again until `look` gives a value; its error says what it saw instead.
///
/// # Panics
/// When `limit` has passed, with `what` was awaited and what the last look saw.
#[track_caller]
pub fn wait_until<T, L>(limit: Duration, what: &str, mut look: L) -> impl Future<Output = T>
where
    L: AsyncFnMut() -> Result<T, String>,
{
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        loop {
            match look().await {
                Ok(value) => return value,
                Err(state) if start.elapsed() > limit => {
                    panic!("{caller}: waited {limit:?} for {what}; last seen: {state}")
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
}
