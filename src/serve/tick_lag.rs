//! Tick lag: whether ticks keep up with their interval, logged once and not at every tick.
//!
//! In: each tick, how many before it were left out, and how long it took. Out: a log line when ticks begin to
//! be left out, with advice, and one when none is left out any more. The metrics count them.

use std::time::Duration;

/// Ticks that are all made for so long keep up again.
const OVER_MS: i64 = 300_000;

/// How ticks keep up.
#[derive(Debug, Default)]
pub(super) struct TickLag {
    /// The tick before, and what it took.
    last: Option<(i64, Duration)>,
    behind: Option<Behind>,
}

/// Ticks that are left out.
#[derive(Debug, Clone, Copy)]
struct Behind {
    /// The last tick before which one was.
    seen_ms: i64,
    /// How many were since it began.
    missed: u64,
    /// It was said that ticks themselves take too long.
    is_slow: bool,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// The tick before took so long, and its interval is shorter than that.
    Slow(Duration, Duration),
    /// Something else kept the owner, or the machine stood still.
    Held,
    /// None is left out any more, of which there were so many.
    Over(u64),
}

impl TickLag {
    /// Notes a tick, and logs what has changed.
    pub(super) fn log(&mut self, tick_ms: i64, missed: u64, took: Duration) {
        match self.note(tick_ms, missed, took) {
            None => {}
            Some(Change::Slow(took, interval)) => tracing::warn!(
                missed,
                "ticks are left out: one took {took:?}, and there is one every {interval:?}; raise \
                 global.evaluation_interval, or have fewer hosts, features or models"
            ),
            Some(Change::Held) => tracing::warn!(
                missed,
                "ticks were left out: pushes and queries took too long, or the machine stood still"
            ),
            Some(Change::Over(missed)) => tracing::info!(missed, "no tick is left out any more"),
        }
    }

    fn note(&mut self, tick_ms: i64, missed: u64, took: Duration) -> Option<Change> {
        let last = self.last.replace((tick_ms, took));
        if missed == 0 {
            let behind = self.behind?;
            // A clock that was set back ends it too.
            let is_over = !(0..OVER_MS).contains(&tick_ms.saturating_sub(behind.seen_ms));
            return is_over.then(|| {
                self.behind = None;
                Change::Over(behind.missed)
            });
        }
        let (last_ms, took) = last.unwrap_or((tick_ms, Duration::ZERO));
        let interval = Duration::from_millis(tick_ms.abs_diff(last_ms) / (missed + 1));
        let is_slow = took > interval;
        let before = self.behind;
        self.behind = Some(Behind {
            seen_ms: tick_ms,
            missed: before.map_or(0, |it| it.missed) + missed,
            is_slow: is_slow || before.is_some_and(|it| it.is_slow),
        });
        match before {
            Some(before) if before.is_slow || !is_slow => None,
            _ if is_slow => Some(Change::Slow(took, interval)),
            _ => Some(Change::Held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_begins_and_when_it_is_over() {
        let mut lag = TickLag::default();
        let (fast, slow) = (Duration::from_millis(10), Duration::from_millis(2_500));
        assert_eq!(lag.note(1_000, 0, slow), None);
        let second = Duration::from_secs(1);
        assert_eq!(lag.note(3_000, 1, slow), Some(Change::Slow(slow, second)));
        assert_eq!(lag.note(5_000, 1, fast), None);
        assert_eq!(lag.note(6_000, 0, fast), None);
        assert_eq!(lag.note(5_000 + OVER_MS - 1_000, 0, fast), None);
        assert_eq!(lag.note(5_000 + OVER_MS, 0, fast), Some(Change::Over(2)));
        assert_eq!(lag.note(6_000 + OVER_MS, 0, fast), None);
        assert_eq!(lag.note(9_000 + OVER_MS, 2, fast), Some(Change::Held));
        assert_eq!(lag.note(12_000 + OVER_MS, 2, slow), None);
        assert_eq!(lag.note(15_000 + OVER_MS, 2, slow), Some(Change::Slow(slow, second)));
        assert_eq!(lag.note(18_000 + OVER_MS, 2, fast), None);
        // The clock is set back.
        assert_eq!(lag.note(2_000, 0, fast), Some(Change::Over(8)));
    }
}
