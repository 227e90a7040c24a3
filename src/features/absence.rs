//! Absence: a feature that an entity used to have and has not.
//!
//! In: at each evaluation whether a cell has a value of the entity's own, how long ago it last had,
//! and whether one could have been expected. Out: whether the feature is missing, which is a finding
//! of its own and no score. What the model is fed in its place is for [`super::policy`] to say.
//!
//! ```text
//! own      ● ● ● ● ● ● ● ● ● ● ● ●                                   ● ●
//! absent                           ○ ○ ○ ○ ○ ○ ○ ○ ○ ○ … ○ ○ ○ ○ ○ ○
//! missing                                  └───────── up to a day ──┘ returns
//!          └ ten are a habit ──────┘└ grace ┘
//! ```
//!
//! Invariants: what an entity never had is not missing; neither is what nobody could have measured: a
//! range that its samples do not cover, an expression that failed as a whole. Then nothing is counted, and what
//! was missing before still is. An entity that is silent as a whole lacks no feature: it is absent.

use crate::duration::DAY_MS;

/// So many own values make a feature one that the entity has. One odd value, or the few that a job
/// leaves behind which runs once, are none.
const HABIT: u8 = 10;

/// A feature is missing after so many evaluations on end without it, and not before its last value is
/// older than the staleness limit, up to which an entity's samples count as well: a scrape or a
/// collector that fails once is no finding at any interval.
const GRACE: u8 = 3;

/// For so long a feature is missing, and an entity absent, after it was there last: a day, in which
/// somebody has looked and every daily job has run. What has been gone for longer is how things are
/// now; it has to come back, and often enough, before it can be missing again.
pub const ABSENCE_MEMORY_MS: i64 = DAY_MS;

/// What is remembered of one cell, beside the time of its last own value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Presence {
    /// Evaluations with an own value, up to [`HABIT`].
    had: u8,
    /// Evaluations without one since, up to [`GRACE`].
    lacked: u8,
}

impl Presence {
    /// What was taken from one, by [`Self::counts`].
    pub fn of(had: u8, lacked: u8) -> Self {
        Self { had: had.min(HABIT), lacked: lacked.min(GRACE) }
    }

    /// Evaluations with an own value, and without one since; both as long as they are few.
    pub fn counts(self) -> (u8, u8) {
        (self.had, self.lacked)
    }

    /// The cell has a value of the entity's own.
    pub fn has(&mut self) {
        self.had = HABIT.min(self.had + 1);
        self.lacked = 0;
    }

    /// The cell has none, and its last is so old. Says whether the feature is missing.
    /// `is_expected` says whether the entity's samples would have allowed for a value.
    pub fn lacks(&mut self, age_ms: i64, grace_ms: i64, is_expected: bool) -> bool {
        // A clock that was set back says of no age what it is.
        if !(0..ABSENCE_MEMORY_MS).contains(&age_ms) {
            *self = Self::default();
            return false;
        }
        self.lacked = GRACE.min(self.lacked + u8::from(is_expected));
        self.had == HABIT && self.lacked == GRACE && age_ms >= grace_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 15_000;
    const LIMIT: i64 = 120_000;

    /// Of a feature that was there so often, the first and the last step of a day and an hour without
    /// it at which it is missing, counted from its last value.
    fn missing(had: usize, step_ms: i64) -> Option<(i64, i64)> {
        let mut presence = Presence::default();
        (0..had).for_each(|_| presence.has());
        let steps = 1..=(ABSENCE_MEMORY_MS + 3_600_000) / step_ms;
        let found: Vec<i64> =
            steps.filter(|step| presence.lacks(step * step_ms, LIMIT, true)).collect();
        let (first, last) = (*found.first()?, *found.last()?);
        assert_eq!(found.len() as i64, last - first + 1, "in one piece");
        Some((first, last))
    }

    #[test]
    fn a_feature_is_missing_from_the_grace_to_the_end_of_the_day() {
        let day = ABSENCE_MEMORY_MS / STEP;
        assert_eq!(missing(10, STEP), Some((8, day - 1)));
        assert_eq!(missing(1_000, STEP), Some((8, day - 1)));
        // Three evaluations, however far apart; the limit, however close together.
        assert_eq!(missing(10, 300_000), Some((3, 287)));
        assert_eq!(missing(10, 1_000).map(|it| it.0), Some(120));
    }

    #[test]
    fn what_was_hardly_ever_there_is_not_missing() {
        for had in [0, 1, 9] {
            assert_eq!(missing(had, STEP), None, "{had}");
        }
    }

    #[test]
    fn what_returns_is_not_missing_and_has_its_grace_again() {
        let mut presence = Presence::default();
        (0..10).for_each(|_| presence.has());
        let lacks = |presence: &mut Presence, steps: i64| {
            (1..=steps).map(|step| presence.lacks(step * 60_000, LIMIT, true)).collect::<Vec<_>>()
        };
        assert_eq!(lacks(&mut presence, 4), [false, false, true, true]);
        presence.has();
        assert_eq!(lacks(&mut presence, 4), [false, false, true, true]);
    }

    #[test]
    fn what_is_forgotten_begins_anew() {
        let mut presence = Presence::default();
        (0..10).for_each(|_| presence.has());
        assert!(!presence.lacks(ABSENCE_MEMORY_MS, LIMIT, true));
        assert_eq!(presence, Presence::default());
        (0..9).for_each(|_| presence.has());
        assert!((3..9).all(|step| !presence.lacks(step * 60_000, LIMIT, true)));
        presence.has();
        assert!((3..6).any(|step| presence.lacks(step * 60_000, LIMIT, true)));
    }

    #[test]
    fn nothing_is_counted_while_nothing_can_be_expected() {
        let mut presence = Presence::default();
        (0..10).for_each(|_| presence.has());
        assert!((1..100).all(|step| !presence.lacks(step * STEP, LIMIT, false)));
        let found: Vec<bool> =
            (100..103).map(|step| presence.lacks(step * STEP, LIMIT, true)).collect();
        assert_eq!(found, [false, false, true]);
        assert!(presence.lacks(103 * STEP, LIMIT, false), "it is still not there");
    }

    #[test]
    fn a_clock_that_was_set_back_finds_nothing() {
        let mut presence = Presence::default();
        (0..10).for_each(|_| presence.has());
        assert!((1..10).all(|_| !presence.lacks(-1, LIMIT, true)));
        assert!((1..10).all(|step| !presence.lacks(step * 60_000, LIMIT, true)));
    }
}
