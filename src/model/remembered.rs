//! What a model's file remembers of the entities that it was trained on.
//!
//! In: the list of a file's `portent.remembered`. Out: for each of these entities, by the values of its
//! labels, where its level was when training ended, what its scores reached in training's last hours and
//! how long it usually stood still. Serving begins with all of it, so that who was there in training is nobody new after a start.
//!
//! Which entities a graph tells apart is another list: an entity may be in both, in one, in none.
//!
//! Invariants: an entity is there once at most; all numbers are finite. The hour of the last score may be
//! any: what reads it looks at the hour of the day alone.
//!
//! Size: some ten bytes a number as JSON, three numbers a feature and one an hour; 3 kB for an entity of
//! forty features.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::error::ArtifactError;
use super::state::LevelStart;
use crate::duration::HOUR_MS;

/// The hours that are remembered at most: a week.
pub const REMEMBERED_HOURS: usize = 168;

/// What a file remembers of an entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The values of the entity labels, in their order.
    pub entity: Vec<String>,
    /// Where its level begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LevelStart>,
    /// The largest scores of its last hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<HourlyMaxima>,
    /// The longest that nearly all of its features usually stand still at once, in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still: Option<u32>,
}

/// The largest score of each of some hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourlyMaxima {
    /// The last of the hours, counted from the beginning of 1970.
    pub last_hour: i64,
    /// By hour, the oldest first, at most [`REMEMBERED_HOURS`]; `None` where there was no score.
    ///
    /// # Units
    /// Of the threshold: 1 is where it lies.
    pub scores: Vec<Option<f32>>,
}

impl Remembered {
    /// Of an entity with these values of the entity labels; nothing yet.
    #[must_use]
    pub fn new(entity: Vec<String>) -> Self {
        Self { entity, level: None, hours: None, still: None }
    }

    /// The same with a level.
    #[must_use]
    pub fn with_level(self, level: LevelStart) -> Self {
        Self { level: Some(level), ..self }
    }

    /// The same with its last hours, where there were any.
    #[must_use]
    pub fn with_hours(self, hours: Option<HourlyMaxima>) -> Self {
        Self { hours, ..self }
    }

    /// The same with how long it usually stands still, where that is known.
    #[must_use]
    pub fn with_still(self, still: Option<u32>) -> Self {
        Self { still, ..self }
    }

    /// Refuses what is no memory of entities with so many labels, for a model of so many features that
    /// keeps levels or does not.
    pub(super) fn check(
        list: &[Self],
        labels: usize,
        features: usize,
        keeps_levels: bool,
    ) -> Result<(), ArtifactError> {
        let mut seen = HashSet::new();
        for it in list {
            let fault = if it.entity.len() != labels {
                Some(format!("it needs {labels} values, one an entity label"))
            } else if !seen.insert(&it.entity) {
                Some("it is there twice".to_owned())
            } else if it.level.is_some() && !keeps_levels {
                Some("it has a level, and the model keeps none".to_owned())
            } else {
                let level = it.level.as_ref().and_then(|level| level.fault(features));
                level.or_else(|| it.hours.as_ref().and_then(HourlyMaxima::fault))
            };
            if let Some(fault) = fault {
                let reason = format!("entity {:?}: {fault}", it.entity);
                return Err(ArtifactError::Invalid { what: "remembered", reason });
            }
        }
        Ok(())
    }

    /// Bytes held beside the struct itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let level = self.level.as_ref().map_or(0, LevelStart::bytes);
        let hours = self.hours.as_ref().map_or(0, |it| it.scores.capacity());
        let entity = self.entity.iter().map(|it| size_of::<String>() + it.capacity());
        entity.sum::<usize>() + level + hours * size_of::<Option<f32>>()
    }
}

impl HourlyMaxima {
    /// Of scores with their times in milliseconds, in any order: the last of them ends the hours. `None`
    /// without a score.
    ///
    /// # Units
    /// Scores in those of the threshold, at least 0.
    ///
    /// # NaN
    /// A score that is not finite is none.
    pub fn of(scores: impl IntoIterator<Item = (i64, f64)>) -> Option<Self> {
        let mut hours: Vec<(i64, f32)> = Vec::new();
        for (time_ms, score) in scores.into_iter().filter(|(_, score)| score.is_finite()) {
            let hour = time_ms.div_euclid(HOUR_MS);
            let score = score.clamp(0.0, f64::from(f32::MAX)) as f32;
            match hours.last_mut() {
                Some((last, most)) if *last == hour => *most = most.max(score),
                _ => hours.push((hour, score)),
            }
        }
        let last_hour = hours.iter().map(|(hour, _)| *hour).max()?;
        let first = last_hour.saturating_sub(REMEMBERED_HOURS as i64 - 1);
        let mut scores: Vec<Option<f32>> = vec![None; REMEMBERED_HOURS];
        for (hour, score) in hours.into_iter().filter(|(hour, _)| *hour >= first) {
            let most = &mut scores[(hour - first) as usize];
            *most = Some(most.map_or(score, |most| most.max(score)));
        }
        // What came before the first score is not worth writing.
        let unknown = scores.iter().take_while(|it| it.is_none()).count();
        Some(Self { last_hour, scores: scores.split_off(unknown) })
    }

    /// The hours as if they had ended less than a day before the hour `now`: each with its score, the
    /// newest first. All are moved by as many days, so that each stays the hour of the day that it was.
    pub fn before(&self, now: i64) -> impl Iterator<Item = (i64, f32)> + '_ {
        // Hours of the day alone: whatever the file says, nothing overflows.
        let day = |hour: i64| hour.rem_euclid(24);
        let last = now - 1 - day(day(now - 1) - day(self.last_hour));
        let hours = self.scores.iter().rev().zip(0..);
        hours.filter_map(move |(score, ago)| score.map(|score| (last - ago, score)))
    }

    /// Why these are none.
    fn fault(&self) -> Option<String> {
        let count = self.scores.len();
        if count > REMEMBERED_HOURS {
            return Some(format!("it has {count} hours, more than {REMEMBERED_HOURS}"));
        }
        let bad = self.scores.iter().flatten().find(|it| !(it.is_finite() && **it >= 0.0))?;
        Some(format!("{bad} is not a score: scores are finite and at least 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level() -> LevelStart {
        LevelStart {
            prior: 2_880.0,
            mean: vec![0.5, -3.0],
            scale: vec![0.1, 2.0],
            floor: vec![0.1, 0.1],
        }
    }

    fn remembered(name: &str) -> Remembered {
        let hours = HourlyMaxima { last_hour: 480_000, scores: vec![Some(0.25), None, Some(1.5)] };
        Remembered::new(vec!["node".to_owned(), name.to_owned()])
            .with_level(level())
            .with_hours(Some(hours))
    }

    #[test]
    fn numbers_are_written_as_short_as_they_are() {
        let it = remembered("a \"b").with_hours(Some(HourlyMaxima {
            last_hour: 480_000,
            scores: vec![Some(0.1), None, Some(f32::MAX)],
        }));
        let text = serde_json::to_string(&it).expect("plain data");
        let expected = r#"{"entity":["node","a \"b"],"level":{"prior":2880.0,"mean":[0.5,-3.0],"scale":[0.1,2.0],"floor":[0.1,0.1]},"hours":{"last_hour":480000,"scores":[0.1,null,3.4028235e+38]}}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Remembered>(&text).expect("our own"), it);
        let nothing = r#"{"entity":["node","a"]}"#;
        let found: Remembered = serde_json::from_str(nothing).expect("less is fine");
        assert_eq!(found, Remembered::new(vec!["node".to_owned(), "a".to_owned()]));
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Vec<Remembered>), expected: &str) {
        let mut list = vec![remembered("a"), remembered("b")];
        assert!(Remembered::check(&list, 2, 2, true).is_ok());
        change(&mut list);
        let error = Remembered::check(&list, 2, 2, true).expect_err("a refusal").to_string();
        assert_eq!(error, format!("remembered: entity {expected}"));
    }

    #[track_caller]
    fn check_hours(change: impl FnOnce(&mut HourlyMaxima), expected: &str) {
        let changed = |list: &mut Vec<Remembered>| change(list[1].hours.as_mut().expect("hours"));
        check(changed, &format!(r#"["node", "b"]: {expected}"#));
    }

    #[track_caller]
    fn check_level(change: impl FnOnce(&mut LevelStart), expected: &str) {
        let changed = |list: &mut Vec<Remembered>| change(list[1].level.as_mut().expect("one"));
        check(changed, &format!(r#"["node", "b"]: {expected}"#));
    }

    #[test]
    fn what_is_no_memory_is_refused() {
        check(|it| it[1].entity.truncate(1), r#"["node"]: it needs 2 values, one an entity label"#);
        check(
            |it| it[1] = Remembered::new(it[0].entity.clone()),
            r#"["node", "a"]: it is there twice"#,
        );
        check_level(|it| it.mean.truncate(1), "its lists need 2 numbers, one a feature");
        let numbers = "prior must be at least 1, floors above 0, and all finite";
        check_level(|it| it.prior = 0.5, numbers);
        check_level(|it| it.prior = f64::INFINITY, numbers);
        check_level(|it| it.scale[0] = f32::INFINITY, numbers);
        check_level(|it| it.floor[1] = 0.0, numbers);
        check_hours(|it| it.scores = vec![None; 169], "it has 169 hours, more than 168");
        let scores = "is not a score: scores are finite and at least 0";
        check_hours(|it| it.scores[0] = Some(-0.5), &format!("-0.5 {scores}"));
        check_hours(|it| it.scores[2] = Some(f32::INFINITY), &format!("inf {scores}"));
        let error = Remembered::check(&[remembered("a")], 2, 2, false).expect_err("a refusal");
        assert!(error.to_string().ends_with("it has a level, and the model keeps none"), "{error}");
        let all = HourlyMaxima { last_hour: i64::MAX, scores: vec![Some(0.0); 168] };
        let hours = Remembered::new(vec![String::new()]).with_hours(Some(all));
        assert!(Remembered::check(&[hours], 1, 9, false).is_ok());
    }

    #[test]
    fn the_largest_scores_of_a_week_are_kept() {
        let of = |scores: &[(i64, f64)]| HourlyMaxima::of(scores.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(0, f64::NAN)]), None);
        let at = |hour: i64, minute: i64| hour * HOUR_MS + minute * 60_000;
        let found = of(&[
            (at(99, 0), 9.0),
            (at(103, 59), 0.5),
            (at(103, 1), 0.75),
            (at(104, 0), f64::NAN),
            (at(105, 30), 0.25),
            (at(103, 2), 0.125),
        ]);
        let scores = [9.0, f32::NAN, f32::NAN, f32::NAN, 0.75, f32::NAN, 0.25];
        let scores = scores.iter().map(|it| it.is_finite().then_some(*it)).collect();
        assert_eq!(found, Some(HourlyMaxima { last_hour: 105, scores }));
        let weeks = (0..400).map(|hour| (at(hour, 7), hour as f64));
        let found = HourlyMaxima::of(weeks).expect("scores");
        assert_eq!((found.last_hour, found.scores.len()), (399, 168));
        assert_eq!((found.scores[0], found.scores[167]), (Some(232.0), Some(399.0)));
        let found = of(&[(i64::MIN, 1.0), (i64::MAX, 2.0)]).expect("scores");
        assert_eq!(found.scores, [Some(2.0)]);
        assert_eq!(of(&[(0, 1e99)]).map(|it| it.scores), Some(vec![Some(f32::MAX)]));
    }

    #[track_caller]
    fn check_before(last_hour: i64, now: i64, expected: &[(i64, f32)]) {
        let hours = HourlyMaxima { last_hour, scores: vec![Some(1.0), None, Some(3.0)] };
        assert_eq!(hours.before(now).collect::<Vec<_>>(), expected, "{last_hour} before {now}");
    }

    #[test]
    fn hours_are_moved_by_whole_days() {
        // At once, a day later at most, weeks later, and earlier than they were.
        check_before(480_000, 480_001, &[(480_000, 3.0), (479_998, 1.0)]);
        check_before(480_000, 480_024, &[(480_000, 3.0), (479_998, 1.0)]);
        check_before(480_000, 480_025, &[(480_024, 3.0), (480_022, 1.0)]);
        check_before(480_000, 480_000, &[(479_976, 3.0), (479_974, 1.0)]);
        check_before(480_000, 480_000 + 24 * 35 + 7, &[(480_840, 3.0), (480_838, 1.0)]);
        check_before(480_000, 24 * 7 + 1, &[(168, 3.0), (166, 1.0)]);
        // Whatever a file says.
        for last_hour in [i64::MIN, i64::MAX, -1] {
            let hours = HourlyMaxima { last_hour, scores: vec![Some(1.0); 168] };
            let found: Vec<i64> = hours.before(480_000).map(|(hour, _)| hour).collect();
            assert!((479_976..480_000).contains(&found[0]), "{}", found[0]);
            assert_eq!(found[0].rem_euclid(24), last_hour.rem_euclid(24));
            assert_eq!((found.len(), found[0] - found[167]), (168, 167));
        }
    }
}
