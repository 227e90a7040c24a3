//! Pace: how many series may begin in a second.
//!
//! In: the time, for each series that would begin. Out: whether it may. A series that begins costs many times what
//! a sample costs, and all of it on the one thread that evaluates features as well: without a limit a sender that
//! gives every series a new label keeps that thread from its ticks.

/// Series that began in one second of the clock.
#[derive(Debug, Default)]
pub(super) struct Pace {
    second: i64,
    began: usize,
}

impl Pace {
    /// Counts a series that would begin, if it may.
    pub(super) fn takes(&mut self, now_ms: i64, limit: usize) -> bool {
        let second = now_ms.div_euclid(1_000);
        // Another second, be it one before, as the clock was set back.
        if second != self.second {
            *self = Self { second, began: 0 };
        }
        let takes = self.began < limit;
        self.began += usize::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own() {
        let mut pace = Pace::default();
        for (now_ms, expected) in [
            (5_000, true),
            (5_400, true),
            (5_999, false),
            (6_000, true),
            (6_001, true),
            (6_002, false),
            // The clock was set back, to before 1970 even.
            (5_000, true),
            (-1, true),
            (-1_000, true),
            (-1_000, false),
        ] {
            assert_eq!(pace.takes(now_ms, 2), expected, "at {now_ms} ms");
        }
    }
}
