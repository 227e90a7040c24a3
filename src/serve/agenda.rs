//! The agenda: what the owner of the pipeline does next, a tick or a command.
//!
//! In: the time, whether commands wait, and how long things took. Out: a tick, a command, or a wait.
//!
//! A tick that is due goes before commands: an endless stream of commands delays it by one command. After a
//! tick, commands get as much time as it took before the next one: ticks that take longer than their
//! interval get at most half of the owner's time if pushes, queries and reloads need the rest.
//! Ticks whose time passes meanwhile are left out and counted.

use std::time::Duration;

use super::schedule::{Due, Schedule};

/// What is next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Tick(Due),
    /// One command of those that wait.
    Serve,
    /// For a command, and no longer than this, where a tick is ahead.
    Wait(Option<Duration>),
}

/// Where the next tick is due when one ends, commands are awaited for this part of what it took: those that
/// waited for it may have been told to come again.
const AWAITED_PART: u32 = 10;

/// What the owner has to do.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    schedule: Schedule,
    /// What commands have still to get of what the last tick took.
    owed: Duration,
    /// How much of that is waited for when there is none.
    awaited: Duration,
}

impl Agenda {
    /// What is next. `next_after` says when the next tick after a time is.
    pub(super) fn next(
        &mut self,
        now_ms: i64,
        has_commands: bool,
        next_after: impl Fn(i64) -> Option<i64>,
    ) -> Step {
        let wait = self.schedule.wait(now_ms);
        match has_commands {
            true if !self.owed.is_zero() => return Step::Serve,
            true => {}
            false if !self.awaited.is_zero() && wait.is_some_and(|it| it.is_zero()) => {
                return Step::Wait(Some(self.awaited));
            }
            // It is not saved for later.
            false => (self.owed, self.awaited) = (Duration::ZERO, Duration::ZERO),
        }
        match self.schedule.poll(now_ms, next_after) {
            Some(due) => Step::Tick(due),
            None if has_commands => Step::Serve,
            None => Step::Wait(self.schedule.wait(now_ms)),
        }
    }

    /// A tick took so long.
    pub(super) fn ticked(&mut self, took: Duration) {
        self.owed = took;
        self.awaited = took / AWAITED_PART;
    }

    /// A command took so long.
    pub(super) fn served(&mut self, took: Duration) {
        self.owed = self.owed.saturating_sub(took);
    }

    /// There was no command for so long.
    pub(super) fn waited(&mut self, time: Duration) {
        self.owed = self.owed.saturating_sub(time);
        self.awaited = self.awaited.saturating_sub(time).min(self.owed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const INTERVAL_MS: i64 = 1_000;
    const DEADLINE_US: i64 = 10_000_000;
    const PLACES: usize = 64;

    /// A load: what a tick takes, and commands, of which one comes every `gap_us`.
    #[derive(Debug, Clone, Copy)]
    struct Load {
        tick_us: i64,
        command_us: i64,
        gap_us: i64,
    }

    #[derive(Debug, Default)]
    struct Done {
        ticks: Vec<Due>,
        /// How late each was.
        latest_us: i64,
        answered: u64,
        /// No place in the queue, or the deadline passed in it.
        refused: u64,
        /// From its arrival to its end.
        slowest_us: i64,
    }

    /// Two minutes of it, in virtual time.
    fn run(load: Load) -> Done {
        let (mut agenda, mut done) = (Agenda::default(), Done::default());
        let mut queue: VecDeque<i64> = VecDeque::new();
        let (mut now_us, mut arrival_us) = (0, 500);
        let next_after = |time: i64| Some((time.div_euclid(INTERVAL_MS) + 1) * INTERVAL_MS);
        let span = |us: i64| Duration::from_micros(us.unsigned_abs());
        while now_us < 120_000_000 {
            while arrival_us <= now_us {
                if queue.len() < PLACES {
                    queue.push_back(arrival_us);
                } else {
                    done.refused += 1;
                }
                arrival_us += load.gap_us;
            }
            match agenda.next(now_us.div_euclid(1_000), !queue.is_empty(), next_after) {
                Step::Tick(due) => {
                    done.latest_us = done.latest_us.max(now_us - due.tick_ms * 1_000);
                    done.ticks.push(due);
                    now_us += load.tick_us;
                    agenda.ticked(span(load.tick_us));
                }
                Step::Serve => {
                    let arrived_us = queue.pop_front().expect("somebody waits");
                    // What is too late is dropped unread.
                    if now_us - arrived_us > DEADLINE_US {
                        done.refused += 1;
                        agenda.served(Duration::ZERO);
                        continue;
                    }
                    now_us += load.command_us;
                    agenda.served(span(load.command_us));
                    done.answered += 1;
                    done.slowest_us = done.slowest_us.max(now_us - arrived_us);
                }
                Step::Wait(wait) => {
                    let wait_us = wait.map_or(i64::MAX, |it| it.as_micros() as i64).max(1_000);
                    let until_us = arrival_us.min(now_us + wait_us);
                    agenda.waited(span(until_us - now_us));
                    now_us = until_us;
                }
            }
        }
        done
    }

    /// What holds whatever the load is.
    #[track_caller]
    fn check(load: Load) -> Done {
        let done = run(load);
        let mut passed_ms = 0;
        for due in &done.ticks {
            assert_eq!(due.tick_ms % INTERVAL_MS, 0, "{load:?}: ticks are on the grid");
            let steps = due.missed as i64 + 1;
            assert_eq!(due.tick_ms, passed_ms + steps * INTERVAL_MS, "{load:?}: none is lost");
            passed_ms = due.tick_ms;
        }
        assert!(!done.ticks.is_empty() && done.answered > 0, "{load:?}: nothing starves: {done:?}");
        // What is answered is in time, and who waits at the front waits for a tick at most.
        assert!(done.slowest_us <= DEADLINE_US + load.command_us, "{load:?}: {done:?}");
        // It begins before the interval is over, unless the tick before and as much for commands take longer.
        let late_us = (INTERVAL_MS * 1_000).max(2 * load.tick_us) + load.command_us + 1_000;
        assert!(done.latest_us <= late_us, "{load:?}: {done:?}");
        done
    }

    #[test]
    fn ticks_and_commands_share_the_owner_whatever_they_take() {
        for tenths in [1, 2, 5, 9, 10, 11, 15, 20, 50, 100] {
            let tick_us = tenths * INTERVAL_MS * 100;
            // From next to nothing to ten times what an owner without ticks could do.
            for percent in [1, 10, 30, 50, 100, 200, 1_000] {
                for command_us in [200, 2_000, 50_000] {
                    let load = Load { tick_us, command_us, gap_us: command_us * 100 / percent };
                    let done = check(load);
                    let missed: u64 = done.ticks.iter().map(|due| due.missed).sum();
                    if tenths <= 5 {
                        // Whatever is pushed, ticks that leave room come one by one.
                        assert_eq!(missed, 0, "{load:?}");
                        assert!(done.latest_us <= command_us + 1_000, "{load:?}: {done:?}");
                    }
                    let work_us = done.answered as i64 * command_us;
                    if percent >= 100 && tenths > 10 {
                        assert!(work_us >= 50_000_000, "{load:?}: half is for commands: {done:?}");
                    }
                    // As long as the queue has room for what comes during a tick.
                    if percent <= 30 && tick_us / load.gap_us < PLACES as i64 {
                        assert_eq!(done.refused, 0, "{load:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn commands_get_no_more_than_the_tick_took_when_the_next_is_due() {
        let next_after = |time: i64| Some((time.div_euclid(10) + 1) * 10);
        let mut agenda = Agenda::default();
        assert_eq!(agenda.next(5, false, next_after), Step::Wait(Some(Duration::from_millis(5))));
        assert_eq!(agenda.next(5, true, next_after), Step::Serve);
        let due = |tick_ms, missed| Step::Tick(Due { tick_ms, missed });
        assert_eq!(agenda.next(10, true, next_after), due(10, 0));
        agenda.ticked(Duration::from_millis(25));
        assert_eq!(agenda.next(35, true, next_after), Step::Serve);
        agenda.served(Duration::from_millis(24));
        assert_eq!(agenda.next(59, true, next_after), Step::Serve);
        agenda.served(Duration::from_millis(1));
        assert_eq!(agenda.next(60, true, next_after), due(60, 4));
        agenda.ticked(Duration::from_millis(25));
        // There is none: they are awaited for a while, and the rest is not saved for later.
        let wait = Step::Wait(Some(Duration::from_micros(2_500)));
        assert_eq!(agenda.next(85, false, next_after), wait);
        agenda.waited(Duration::from_millis(3));
        assert_eq!(agenda.next(88, false, next_after), due(80, 1));
        // Nor is any awaited where the next tick is ahead.
        agenda.ticked(Duration::from_millis(1));
        assert_eq!(agenda.next(89, false, next_after), Step::Wait(Some(Duration::from_millis(1))));
        assert_eq!(agenda.next(90, true, next_after), due(90, 0));
    }
}
