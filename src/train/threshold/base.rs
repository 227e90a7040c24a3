//! A base: 1.5 times what the largest score of six hours usually is.
//!
//! ```text
//! threshold = base · median of the largest scores of all blocks of six hours of all entities
//! ```
//!
//! The largest score of a quarter of a day is what an operator would have been called for. The median of
//! the blocks says what is usual, whatever the worst blocks hold: half of them may be incidents
//! before it moves far. Nothing is extrapolated, and nothing is counted. An entity with restless hours of its
//! own is handled by the threshold in force (`crate::detect`), not by the trained one.
//!
//! Blocks are those of the clock, in UTC. One counts when more than half of its steps have a score.

use super::TrainingScores;
use crate::duration::HOUR_MS;
use crate::statistics;

/// The length of a block.
pub const BLOCK_MS: i64 = 6 * HOUR_MS;

/// The largest score of each block of each entity, by entity and time.
pub fn maxima(scores: &TrainingScores) -> Vec<f64> {
    let whole = BLOCK_MS as f64 / scores.step_ms as f64;
    let of_entity = |scores_of: &Vec<f64>| -> Vec<f64> {
        let scored = scores.times_ms.iter().zip(scores_of).filter(|(_, score)| !score.is_nan());
        let scored: Vec<(i64, f64)> =
            scored.map(|(time_ms, score)| (time_ms.div_euclid(BLOCK_MS), *score)).collect();
        let blocks = scored.chunk_by(|a, b| a.0 == b.0);
        let counted = blocks.filter(|block| 2.0 * block.len() as f64 > whole);
        counted.map(|block| block.iter().fold(0.0, |most: f64, it| most.max(it.1))).collect()
    };
    scores.entities.iter().flat_map(of_entity).collect()
}

/// The usual largest score of a block, and of how many it is; nothing without a block.
pub(super) fn usual(scores: &TrainingScores) -> Option<(f64, usize)> {
    let maxima = maxima(scores);
    let count = maxima.len();
    statistics::median(maxima).map(|usual| (usual, count))
}

#[cfg(test)]
mod tests {
    use super::super::tests::scores;
    use super::*;

    const NAN: f64 = f64::NAN;
    #[track_caller]
    fn check(entities: &[&[f64]], expected: &[f64]) {
        let scores = scores(entities.iter().map(|it| it.to_vec()).collect(), HOUR_MS);
        assert_eq!(maxima(&scores), expected);
    }

    #[test]
    fn a_block_is_six_hours_of_the_clock_more_than_half_of_which_are_scored() {
        check(&[&[1.0, 2.0, 3.0, 1.0, 0.5, 0.5, 0.1, 0.2, 0.1, 0.3]], &[3.0, 0.3]);
        check(&[&[1.0, 2.0, 3.0]], &[]);
        check(&[&[NAN, 2.0, NAN, 3.0, 1.0, 0.5]], &[3.0]);
        check(&[&[NAN, 2.0, NAN, 3.0, 1.0, NAN]], &[]);
        check(&[&[1.0; 6], &[NAN; 6], &[2.0; 6]], &[1.0, 2.0]);
        check(&[], &[]);
    }

    #[test]
    fn days_between_are_no_bridge_and_a_step_may_be_longer_than_a_block() {
        let times_ms = vec![0, HOUR_MS, 2 * HOUR_MS, 24 * HOUR_MS, 25 * HOUR_MS, 26 * HOUR_MS];
        let entities = vec![vec![1.0; 6]];
        let mut scores = TrainingScores { step_ms: HOUR_MS, times_ms, entities };
        assert!(maxima(&scores).is_empty());
        scores.step_ms = 24 * HOUR_MS;
        scores.times_ms = (0..6).map(|day| 24 * HOUR_MS * day).collect();
        assert_eq!(maxima(&scores), [1.0; 6]);
    }

    #[test]
    fn what_is_usual_is_the_block_in_the_middle() {
        let block = |peak: f64| [0.1, peak, 0.2, 0.3, 0.1, 0.1];
        let calm: Vec<f64> = [0.5, 0.6, 0.7, 40.0, 90.0].into_iter().flat_map(block).collect();
        assert_eq!(usual(&scores(vec![calm], HOUR_MS)), Some((0.7, 5)));
        assert_eq!(usual(&scores(vec![vec![1.0; 3]], HOUR_MS)), None);
    }
}
