//! The schedule: when the next tick is due, by a clock that may jump.
//!
//! Ticks are at multiples of the interval, however long they take, so they do not drift and
//! a restart ticks at the same times. A tick whose time has passed is left out and counted, and not made
//! up for.

/// How many passed ticks are looked at one by one. More have passed only when the machine slept or
/// its clock was set, and then the next one ahead is waited for.
const MAX_COUNTED: u64 = 1000;

/// The next tick.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due_ms: Option<i64>,
}

/// A tick to be made now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The time it is for.
    pub tick_ms: i64,
    /// Ticks before it whose time passed.
    pub missed: u64,
}

impl Schedule {
    /// The tick that is due, if one is. `next_after` says when the next one after a time is.
    pub(super) fn poll(
        &mut self,
        now_ms: i64,
        next_after: impl Fn(i64) -> Option<i64>,
    ) -> Option<Due> {
        let ahead = next_after(now_ms);
        // The first look, other models, or a clock that was set back: there is an earlier one.
        let due_ms = match (self.due_ms, ahead) {
            (Some(due), Some(ahead)) if due <= ahead => due,
            _ => {
                self.due_ms = ahead;
                return None;
            }
        };
        if now_ms < due_ms {
            return None;
        }
        self.due_ms = ahead;
        let mut due = Due { tick_ms: due_ms, missed: 0 };
        while let Some(next) = next_after(due.tick_ms).filter(|next| *next <= now_ms) {
            due.tick_ms = next;
            due.missed += 1;
            if due.missed == MAX_COUNTED {
                return None;
            }
        }
        Some(due)
    }

    /// How long there is to wait.
    pub(super) fn wait(&self, now_ms: i64) -> Option<std::time::Duration> {
        let wait = self.due_ms?.saturating_sub(now_ms).max(0);
        Some(std::time::Duration::from_millis(wait.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is due at each of these times with a tick every 15 (units do not matter).
    #[track_caller]
    fn check(times: &[i64], expected: &[Option<(i64, u64)>]) {
        let mut schedule = Schedule::default();
        let due: Vec<Option<(i64, u64)>> = times
            .iter()
            .map(|now| {
                let next_after = |time: i64| Some((time.div_euclid(15) + 1) * 15);
                schedule.poll(*now, next_after).map(|due| (due.tick_ms, due.missed))
            })
            .collect();
        assert_eq!(due, expected, "{times:?}");
    }

    #[test]
    fn ticks_are_at_multiples_however_late_the_look() {
        check(
            &[7, 14, 15, 16, 29, 33, 45],
            &[None, None, Some((15, 0)), None, None, Some((30, 0)), Some((45, 0))],
        );
    }

    #[test]
    fn a_start_on_a_multiple_waits_for_the_next() {
        check(&[15, 29, 30], &[None, None, Some((30, 0))]);
    }

    #[test]
    fn passed_ticks_are_left_out_and_counted() {
        check(&[7, 61, 74, 75], &[None, Some((60, 3)), None, Some((75, 0))]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence() {
        check(&[1000, 7, 14, 15], &[None, None, None, Some((15, 0))]);
    }

    #[test]
    fn a_clock_that_leaps_ahead_is_followed() {
        check(&[7, 1_000_000_000, 1_000_000_005], &[None, None, Some((1_000_000_005, 0))]);
    }

    #[test]
    fn without_models_nothing_is_due() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.poll(7, |_| None), None);
        assert_eq!(schedule.wait(7), None);
    }
}
