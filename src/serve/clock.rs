//! The clock: the one place where the running program asks for the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch; negative before it.
pub(super) fn now_ms() -> i64 {
    let millis =
        |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}
