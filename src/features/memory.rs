//! What features remember of one entity, as plain data: taken out of a feature set and put into another,
//! as if the entity had been away in between.

use crate::labels::Labels;

/// What features remember of an entity, without its window.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMemory {
    /// The entity labels.
    pub entity: Labels,
    /// When it was there last: milliseconds since the epoch.
    pub left_ms: i64,
    /// Whether it is away.
    pub is_away: bool,
    /// By feature.
    pub cells: Vec<CellMemory>,
}

/// What is remembered of one feature of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CellMemory {
    /// The latest value of the entity's own, with its time in milliseconds since the epoch; `None` where
    /// there was none.
    pub held: Option<(i64, f64)>,
    /// Evaluations with an own value, as long as they are few.
    pub had: u8,
    /// Evaluations without one since, as long as they are few.
    pub lacked: u8,
}

impl CellMemory {
    /// What is remembered of a cell that was remembered before as well: what came later counts, and a habit
    /// is one.
    #[must_use]
    pub fn after(self, past: Self) -> Self {
        match (self.held, past.held) {
            (Some(held), Some(before)) if held.0 > before.0 => {
                Self { had: self.had.max(past.had), ..self }
            }
            (Some(_), None) => self,
            _ => past,
        }
    }
}

/// The window of one entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowMemory {
    /// When its newest row was taken in; of no meaning without rows.
    pub last_ms: i64,
    /// The rows that are filled, oldest first, one after the other.
    pub rows: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        now: (Option<i64>, u8, u8),
        past: (Option<i64>, u8, u8),
        expected: (Option<i64>, u8, u8),
    ) {
        let cell = |(held_ms, had, lacked): (Option<i64>, u8, u8)| CellMemory {
            held: held_ms.map(|it| (it, 1.0)),
            had,
            lacked,
        };
        assert_eq!(cell(now).after(cell(past)), cell(expected), "{now:?} after {past:?}");
    }

    #[test]
    fn what_came_later_counts_and_a_habit_is_one() {
        check((Some(9), 2, 1), (Some(5), 10, 0), (Some(9), 10, 1));
        check((Some(4), 2, 2), (Some(5), 10, 0), (Some(5), 10, 0));
        check((Some(5), 2, 0), (Some(5), 10, 0), (Some(5), 10, 0));
        check((Some(9), 2, 0), (None, 0, 0), (Some(9), 2, 0));
        check((None, 0, 0), (Some(5), 10, 3), (Some(5), 10, 3));
    }
}
