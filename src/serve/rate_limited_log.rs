//! A rate-limited log: one that a sender cannot fill.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// At most one line of a kind in this time; often enough to see that it goes on.
const INTERVAL_MS: i64 = 10_000;

/// Lets one event of each kind through per interval and counts the others.
#[derive(Debug)]
pub(super) struct RateLimitedLog {
    kinds: Vec<EventRate>,
}

#[derive(Debug)]
struct EventRate {
    name: &'static str,
    next_ms: AtomicI64,
    suppressed: AtomicU64,
}

impl RateLimitedLog {
    /// For events of these kinds; others are never let through.
    pub(super) fn new(names: &[&'static str]) -> Self {
        let kind = |name: &&'static str| EventRate {
            name,
            next_ms: AtomicI64::new(i64::MIN),
            suppressed: AtomicU64::new(0),
        };
        Self { kinds: names.iter().map(kind).collect() }
    }

    /// Whether an event may be logged now, and how many of its kind were not since the last.
    pub(super) fn pass(&self, name: &str, now_ms: i64) -> Option<u64> {
        let kind = self.kinds.iter().find(|kind| kind.name == name)?;
        let next_ms = kind.next_ms.load(Ordering::Relaxed);
        // A clock that was set back must not silence for longer than the interval.
        let waiting = now_ms < next_ms && next_ms - now_ms <= INTERVAL_MS;
        let later = now_ms.saturating_add(INTERVAL_MS);
        let won = !waiting
            && kind
                .next_ms
                .compare_exchange(next_ms, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if won {
            Some(kind.suppressed.swap(0, Ordering::Relaxed))
        } else {
            kind.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_passes_and_the_rest_is_counted() {
        let log = RateLimitedLog::new(&["a", "b"]);
        assert_eq!(log.pass("a", 0), Some(0));
        assert_eq!(log.pass("a", 1), None);
        assert_eq!(log.pass("b", 1), Some(0));
        assert_eq!(log.pass("a", 9_999), None);
        assert_eq!(log.pass("a", 10_000), Some(2));
        assert_eq!(log.pass("c", 10_000), None);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence() {
        let log = RateLimitedLog::new(&["a"]);
        assert_eq!(log.pass("a", 1_000_000), Some(0));
        assert_eq!(log.pass("a", 0), Some(0));
    }
}
