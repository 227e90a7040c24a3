//! The scored steps of all entities: how much time they are, how many of them are above a threshold,
//! and which episodes these make.
//!
//! What an episode is, `crate::episodes` says. A step without a score neither alarms nor counts as
//! scored time.

use std::collections::BTreeSet;

use super::{ThresholdError, TrainingScores};
use crate::duration::DAY_MS;
use crate::episodes::{self, Run, Timeline};
use crate::statistics;

const WEEK_MS: f64 = 7.0 * DAY_MS as f64;

/// Scored steps of all entities.
pub(super) struct Steps<'a> {
    scores: &'a TrainingScores,
    sorted: Vec<f64>,
}

impl<'a> Steps<'a> {
    /// Of scores, one of which is one at least.
    ///
    /// # Errors
    /// With an infinite score, or without any.
    pub fn new(scores: &'a TrainingScores) -> Result<Self, ThresholdError> {
        let all = scores.entities.iter().flatten().copied();
        let mut sorted: Vec<f64> = all.filter(|it| !it.is_nan()).collect();
        if let Some(bad) = sorted.iter().find(|score| !score.is_finite()) {
            return Err(ThresholdError::NotFinite(*bad));
        }
        if sorted.is_empty() {
            return Err(ThresholdError::Empty);
        }
        sorted.sort_unstable_by(f64::total_cmp);
        Ok(Self { scores, sorted })
    }

    /// All scores, ascending; at least one.
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The largest score.
    pub fn max(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    /// The score at this percentage, between two of them where it falls there.
    pub fn percentile(&self, percent: f64) -> f64 {
        statistics::interpolated(&self.sorted, percent / 100.0).expect("at least one score")
    }

    /// Entities with a score.
    pub fn entities(&self) -> usize {
        let is_scored = |scores: &&Vec<f64>| scores.iter().any(|it| !it.is_nan());
        self.scores.entities.iter().filter(is_scored).count()
    }

    /// Scored time of all entities, in weeks.
    pub fn entity_weeks(&self) -> f64 {
        self.sorted.len() as f64 * self.scores.step_ms as f64 / WEEK_MS
    }

    /// The share of the scores above a threshold.
    pub fn share_above(&self, threshold: f64) -> f64 {
        let at_most = self.sorted.partition_point(|score| *score <= threshold);
        (self.sorted.len() - at_most) as f64 / self.sorted.len() as f64
    }

    /// Episodes of all entities, and of the one that has most.
    pub fn episodes(&self, threshold: f64) -> (usize, usize) {
        let entities = self.scores.entities.iter();
        let counts = entities.map(|scores| self.episodes_of(scores, threshold).len());
        counts.fold((0, 0), |(total, most), count| (total + count, most.max(count)))
    }

    /// The largest score of each episode.
    pub fn peaks(&self, threshold: f64) -> Vec<f64> {
        let peaks = |scores: &'a Vec<f64>| {
            let peak =
                |it: Run| scores[it.first..=it.last].iter().copied().fold(threshold, f64::max);
            self.episodes_of(scores, threshold).into_iter().map(peak)
        };
        self.scores.entities.iter().flat_map(peaks).collect()
    }

    /// The episodes of one entity.
    fn episodes_of(&self, scores: &[f64], threshold: f64) -> Vec<Run> {
        let times_ms = &self.scores.times_ms[..scores.len()];
        Timeline::new(times_ms, self.scores.step_ms).episodes(|at| scores[at] > threshold)
    }

    /// The smallest score above `floor` such that a threshold there, or anywhere above, gives at most
    /// `allowed` episodes; `floor` if even that does. "Or anywhere above" since a low threshold, which
    /// all scores exceed in one endless episode, would do otherwise.
    ///
    /// Takes the scores from the largest down and follows how the episodes appear, grow and merge.
    pub fn lowest_within(&self, allowed: usize, floor: f64) -> f64 {
        let reach_ms = episodes::reach_ms(self.scores.step_ms);
        let mut places = Vec::new();
        for (entity, scores) in self.scores.entities.iter().enumerate() {
            let timed = scores.iter().zip(&self.scores.times_ms);
            let above = timed.filter(|(score, _)| **score > floor);
            places.extend(above.map(|(score, time_ms)| (*score, (entity, *time_ms))));
        }
        places.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut above = BTreeSet::new();
        let mut count = 0;
        for equal in places.chunk_by(|a, b| a.0 == b.0) {
            for &(_, place) in equal {
                let (entity, at) = place;
                let earliest = (entity, at.saturating_sub(reach_ms));
                let latest = (entity, at.saturating_add(reach_ms));
                let before: Option<&(usize, i64)> = above.range(earliest..place).next_back();
                let after = above.range(place..=latest).next();
                match (before, after) {
                    (None, None) => count += 1,
                    // They were two until now.
                    (Some((_, before)), Some((_, after)))
                        if after.saturating_sub(*before) > reach_ms =>
                    {
                        count -= 1;
                    }
                    _ => {}
                }
                above.insert(place);
            }
            if count > allowed {
                return equal[0].0;
            }
        }
        floor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::scores;
    use super::*;

    const NAN: f64 = f64::NAN;

    #[track_caller]
    fn check(course: &[f64], threshold: f64, peaks: &[f64]) {
        // Two steps, the least, are farther than ten minutes.
        let scores = scores(vec![course.to_vec()], 3_600_000);
        let steps = Steps::new(&scores).expect("scores");
        assert_eq!(steps.peaks(threshold), peaks);
        assert_eq!(steps.episodes(threshold), (peaks.len(), peaks.len()));
    }

    #[test]
    fn a_peak_is_the_largest_score_of_an_episode() {
        check(&[0.0, 2.0, 3.0, 0.0], 1.0, &[3.0]);
        check(&[2.0, 0.0, 3.0], 1.0, &[3.0]);
        check(&[2.0, 0.0, 0.0, 3.0], 1.0, &[2.0, 3.0]);
        check(&[2.0, 0.0, 2.0, NAN, 2.5, 0.0, 0.0, 1.5], 1.0, &[2.5, 1.5]);
        // Above, not at.
        check(&[1.0, 1.0], 1.0, &[]);
        // A step without a score ends nothing by itself, but time goes on.
        check(&[2.0, NAN, 3.0], 1.0, &[3.0]);
        check(&[2.0, NAN, NAN, 3.0], 1.0, &[2.0, 3.0]);
    }

    #[test]
    fn entities_do_not_merge_and_time_is_scored_time() {
        let scores = scores(vec![vec![0.0, 2.0], vec![2.0, NAN, 0.0, NAN]], 60_000);
        let steps = Steps::new(&scores).expect("scores");
        assert_eq!(steps.episodes(1.0), (2, 1));
        assert_eq!(steps.entities(), 2);
        assert!((steps.entity_weeks() - 4.0 / 10_080.0).abs() < 1e-15);
        assert!((steps.share_above(1.0) - 0.5).abs() < 1e-15);
        assert_eq!(steps.lowest_within(1, 0.0), 2.0);
        assert_eq!(steps.lowest_within(2, 0.0), 0.0);
    }

    #[test]
    fn days_without_data_are_no_bridge() {
        let times_ms = [0, 60_000, 3 * 86_400_000, 3 * 86_400_000 + 60_000].to_vec();
        let entities = vec![vec![2.0; 4]];
        let scores = TrainingScores { step_ms: 60_000, times_ms, entities };
        let steps = Steps::new(&scores).expect("scores");
        assert_eq!(steps.episodes(1.0), (2, 2));
        assert_eq!((steps.lowest_within(1, 1.0), steps.lowest_within(2, 1.0)), (2.0, 1.0));
    }

    proptest! {
        #[test]
        fn the_lowest_within_is_what_trying_every_score_finds(
            first in prop::collection::vec(0_u8..12, 1..60),
            second in prop::collection::vec(0_u8..12, 1..30),
            pauses in prop::collection::vec(1_i64..5, 60),
            allowed in 0_usize..6,
            floor in 0_u8..8,
        ) {
            let as_scores = |values: &[u8]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let mut now = 0;
            let times_ms = pauses.iter().map(|it| { now += it * 240_000; now }).collect();
            let entities = vec![as_scores(&first), as_scores(&second)];
            let scores = TrainingScores { step_ms: 240_000, times_ms, entities };
            let steps = Steps::new(&scores).expect("scores");
            let floor = f64::from(floor);
            let descending = steps.sorted().iter().rev().copied().filter(|score| *score > floor);
            // Just below such a score it would be too much.
            let too_much = |score: &f64| steps.episodes(score - 0.5).0 > allowed;
            let expected = descending.into_iter().find(too_much).unwrap_or(floor);
            let found = steps.lowest_within(allowed, floor);
            prop_assert_eq!(found, expected);
            prop_assert!(steps.episodes(found).0 <= allowed);
        }
    }
}
