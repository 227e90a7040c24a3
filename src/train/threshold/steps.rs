//! An episode: scores above a threshold that an operator takes for one alert.
//!
//! Two steps above the threshold belong to the same episode when their distance, in scored steps of
//! their entity, is at most the merge gap. Steps without a score are left out before: they neither
//! alarm nor end anything.

use std::collections::BTreeSet;

use super::{ThresholdError, ValidationScores};
use crate::duration::Duration;
use crate::statistics;

/// Steps that are merged at least: one step below the threshold between two above is a waver, no
/// recovery.
const MIN_GAP_STEPS: usize = 2;

const WEEK_MS: f64 = 7.0 * 86_400_000.0;

/// Scored steps of all entities.
pub(super) struct Steps {
    entities: Vec<Vec<f64>>,
    sorted: Vec<f64>,
    step_ms: i64,
    gap: usize,
}

impl Steps {
    /// Leaves out the steps without a score.
    ///
    /// # Errors
    /// With an infinite score, or without any.
    pub fn new(scores: &ValidationScores, merge_gap: Duration) -> Result<Self, ThresholdError> {
        let step_ms = scores.step_ms.max(1);
        let gap = usize::try_from(merge_gap.as_ms() / step_ms).unwrap_or(usize::MAX);
        let mut entities = Vec::with_capacity(scores.entities.len());
        for entity in &scores.entities {
            let scored: Vec<f64> = entity.iter().copied().filter(|it| !it.is_nan()).collect();
            if !scored.is_empty() {
                entities.push(scored);
            }
        }
        let mut sorted: Vec<f64> = entities.iter().flatten().copied().collect();
        if let Some(bad) = sorted.iter().find(|score| !score.is_finite()) {
            return Err(ThresholdError::NotFinite(*bad));
        }
        if sorted.is_empty() {
            return Err(ThresholdError::Empty);
        }
        sorted.sort_unstable_by(f64::total_cmp);
        // A gap beyond all steps is as good as that of all steps, and cannot overflow below.
        let gap = gap.clamp(MIN_GAP_STEPS, sorted.len().max(MIN_GAP_STEPS));
        Ok(Self { entities, sorted, step_ms, gap })
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
        self.entities.len()
    }

    /// Scored time of all entities, in weeks.
    pub fn entity_weeks(&self) -> f64 {
        self.sorted.len() as f64 * self.step_ms as f64 / WEEK_MS
    }

    /// The share of the scores above a threshold.
    pub fn share_above(&self, threshold: f64) -> f64 {
        let at_most = self.sorted.partition_point(|score| *score <= threshold);
        (self.sorted.len() - at_most) as f64 / self.sorted.len() as f64
    }

    /// Episodes of all entities, and of the one that has most.
    pub fn episodes(&self, threshold: f64) -> (usize, usize) {
        let counts = self.entities.iter().map(|scores| self.runs(scores, threshold).len());
        counts.fold((0, 0), |(total, most), count| (total + count, most.max(count)))
    }

    /// The largest score of each episode.
    pub fn peaks(&self, threshold: f64) -> Vec<f64> {
        self.entities.iter().flat_map(|scores| self.runs(scores, threshold)).collect()
    }

    /// The peaks of one entity's episodes.
    fn runs(&self, scores: &[f64], threshold: f64) -> Vec<f64> {
        let mut peaks: Vec<f64> = Vec::new();
        let mut last = None;
        for (at, &score) in scores.iter().enumerate().filter(|(_, score)| **score > threshold) {
            match (last, peaks.last_mut()) {
                (Some(last), Some(peak)) if at - last <= self.gap => *peak = peak.max(score),
                _ => peaks.push(score),
            }
            last = Some(at);
        }
        peaks
    }

    /// The smallest score above `floor` such that a threshold there, or anywhere above, gives at most
    /// `allowed` episodes; `floor` if even that does. "Or anywhere above" since a low threshold, which
    /// all scores exceed in one endless episode, would do otherwise.
    ///
    /// Takes the scores from the largest down and follows how the episodes appear, grow and merge.
    pub fn lowest_within(&self, allowed: usize, floor: f64) -> f64 {
        // Entities one after another, too far apart to merge.
        let mut places = Vec::new();
        let mut offset = 0;
        for scores in &self.entities {
            let above = scores.iter().enumerate().filter(|(_, score)| **score > floor);
            places.extend(above.map(|(i, score)| (*score, offset + i)));
            offset += scores.len() + self.gap;
        }
        places.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut above = BTreeSet::new();
        let mut episodes = 0;
        for equal in places.chunk_by(|a, b| a.0 == b.0) {
            for &(_, at) in equal {
                let before = above.range(at.saturating_sub(self.gap)..at).next_back().copied();
                let after = above.range(at + 1..=at + self.gap).next().copied();
                match (before, after) {
                    (None, None) => episodes += 1,
                    // They were two until now.
                    (Some(before), Some(after)) if after - before > self.gap => episodes -= 1,
                    _ => {}
                }
                above.insert(at);
            }
            if episodes > allowed {
                return equal[0].0;
            }
        }
        floor
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Steps a minute apart.
    pub fn minutes(entities: &[&[f64]], gap_minutes: i64) -> Steps {
        let entities = entities.iter().map(|it| it.to_vec()).collect();
        let scores = ValidationScores { step_ms: 60_000, entities };
        Steps::new(&scores, Duration::from_seconds(60 * gap_minutes)).expect("scores")
    }

    #[track_caller]
    fn check(scores: &[f64], threshold: f64, peaks: &[f64]) {
        let steps = minutes(&[scores], 3);
        assert_eq!(steps.peaks(threshold), peaks);
        assert_eq!(steps.episodes(threshold), (peaks.len(), peaks.len()));
    }

    #[test]
    fn runs_closer_than_the_gap_are_one_episode() {
        check(&[0.0, 2.0, 3.0, 0.0], 1.0, &[3.0]);
        // Three steps from one to the next are still one episode, four are not.
        check(&[2.0, 0.0, 0.0, 3.0], 1.0, &[3.0]);
        check(&[2.0, 0.0, 0.0, 0.0, 3.0], 1.0, &[2.0, 3.0]);
        check(&[2.0, 0.0, 0.0, 2.0, 0.0, 0.0, 2.5], 1.0, &[2.5]);
        // Above, not at.
        check(&[1.0, 1.0], 1.0, &[]);
        // A missing step neither alarms nor ends anything, nor does it count as time.
        check(&[2.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN, 3.0], 1.0, &[3.0]);
    }

    #[test]
    fn entities_do_not_merge_and_time_is_scored_time() {
        let steps = minutes(&[&[0.0, 2.0], &[2.0, f64::NAN, 0.0, f64::NAN]], 10);
        assert_eq!(steps.episodes(1.0), (2, 1));
        assert!((steps.entity_weeks() - 4.0 / 10_080.0).abs() < 1e-15);
        assert!((steps.share_above(1.0) - 0.5).abs() < 1e-15);
        assert_eq!(steps.lowest_within(1, 0.0), 2.0);
        assert_eq!(steps.lowest_within(2, 0.0), 0.0);
    }

    #[test]
    fn a_long_step_still_merges_neighbours() {
        let scores = ValidationScores {
            step_ms: 3_600_000,
            entities: vec![vec![2.0, 0.0, 2.0, 0.0, 0.0, 2.0]],
        };
        let steps = Steps::new(&scores, Duration::from_seconds(600)).expect("scores");
        assert_eq!(steps.episodes(1.0), (2, 2));
    }

    proptest! {
        #[test]
        fn the_lowest_within_is_what_trying_every_score_finds(
            first in prop::collection::vec(0_u8..12, 1..60),
            second in prop::collection::vec(0_u8..12, 1..30),
            allowed in 0_usize..6,
            gap in 0_i64..5,
            floor in 0_u8..8,
        ) {
            let as_scores = |values: &[u8]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let (first, second) = (as_scores(&first), as_scores(&second));
            let steps = minutes(&[&first, &second], gap);
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
