//! How many scores are enough for a threshold, and when training warns that there are few.

use super::TrainingScores;
use crate::duration::{DAY_MS, Duration};

/// Scores for any threshold at all. Of so many, none above it, a tenth of all others may still be
/// above (at 95 %: 3 / n); with fewer that a threshold was not exceeded says nothing.
///
/// # Source
/// Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all right?" (the rule of
/// three).
pub(super) const LEAST: usize = 30;

/// Less than this of an entity is little: a day tells what a week holds to a third (measured by the
/// tests of this room), an hour does not, whatever the arithmetic.
const LITTLE_MS: i64 = DAY_MS;

/// Scores that a method needs: any number as [`LEAST`], a percentile so many that one of them is above
/// it. The 100th is the largest of any number.
pub(super) fn needed(percent: Option<f64>) -> usize {
    let above = percent.map_or(0.0, |percent| 1.0 - percent / 100.0);
    // 1 / (1 - 0.995) is 199.99999999999983.
    let one_above = if above > 0.0 { (1.0 / above - 1e-6).ceil() as usize } else { 0 };
    one_above.max(LEAST)
}

/// How much history it takes for so many scores, of which smoothing swallows the first: rather more
/// than necessary.
pub(super) fn history(found: &usize, needed: &usize) -> String {
    let tenths = (10 * needed).div_ceil((*found).max(1));
    let method = if *needed > LEAST { " with this method" } else { "" };
    format!("{}.{} times the history{method}", tenths / 10, tenths % 10)
}

/// What is to be said of a threshold that stands on little; else nothing.
pub(super) fn is_little(scores: &TrainingScores) -> String {
    let finite = |entity: &Vec<f64>| entity.iter().filter(|it| it.is_finite()).count();
    let most = scores.entities.iter().map(finite).max().unwrap_or(0);
    let most_ms = i64::try_from(most).unwrap_or(i64::MAX).saturating_mul(scores.step_ms);
    if most_ms >= LITTLE_MS {
        return String::new();
    }
    format!(
        "the threshold was found in {} of scores alone, which do not hold what a day does: expect false \
         alarms, and train again once there is a day to learn from",
        Duration::from_ms(most_ms)
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::scores;
    use super::*;

    #[test]
    fn a_percentile_needs_a_score_above_it() {
        let percents = [50.0, 95.0, 99.0, 99.5, 99.9, 99.99, 100.0];
        let found = percents.map(|percent| needed(Some(percent)));
        assert_eq!(found, [LEAST, LEAST, 100, 200, 1_000, 10_000, LEAST]);
        assert_eq!(needed(None), LEAST);
    }

    #[test]
    fn less_than_a_day_is_little() {
        let of = |entities: &[usize]| {
            let entities = entities.iter().map(|count| vec![1.0; *count]).collect();
            is_little(&scores(entities, 60_000))
        };
        assert_eq!(of(&[1_440]), "");
        assert_eq!(of(&[20, 1_440]), "");
        // Many hosts of an hour are no day.
        let found = of(&[60; 100]);
        assert!(found.contains("found in 1h of scores alone"), "{found}");
        let mut gaps = vec![1.0; 1_440];
        gaps[7] = f64::NAN;
        let found = is_little(&scores(vec![gaps], 60_000));
        assert!(found.contains("found in 23h59m of scores alone"), "{found}");
    }
}
