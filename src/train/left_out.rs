//! Left out: the moments of a history that stand out, from which a model must not learn what is normal.
//!
//! In: the scores of a draft over its own training range, and the ranges that the user wants kept. Out: spans
//! of entities, with the features that make them stand out.
//!
//! Learning from an incident widens everything: scales, forecasts, the largest usual score. So a
//! draft, with all branches except the network and smoothed over the short span only, first finds what does
//! not fit. Its largest scores of six hours say what is usual: with `r` the score in units of their median
//! and `B` all of these largest scores in the same units,
//!
//! ```text
//! m = median ln B      d = m - 16th percentile of ln B      limit = exp(m + max(ln 3, 5 d))
//! ```
//!
//! Scores above the limit stand out: three times the usual, or more if calm blocks differ more. The
//! lower half of the blocks says how much they differ, since the upper half may be full of incidents.
//! Neighbours within an hour are one moment. It begins and ends where scores are usual again, and has the
//! margins of everything that is left out. At most a twentieth of an entity's time is left out, the largest
//! peaks first: more than that is usual for the entity.

use super::data::margins::{AFTER_MS, BEFORE_MS, widened};
use super::data::{Dataset, Rows};
use super::hindsight::Hindsight;
use super::threshold::base;
use crate::duration::HOUR_MS;
use crate::history::Range;
use crate::labels::Labels;
use crate::statistics;

/// What stands out is so many times the usual at least.
const LEAST_RATIO: f64 = 3.0;

/// And so many times as far from it as calm blocks are on the other side.
const SPREADS: f64 = 5.0;

/// The share of the blocks below a deviation under the middle, if their logarithms are normal.
const BELOW: f64 = 0.16;

/// What stands out again within this time is the same moment.
const MERGE_MS: i64 = HOUR_MS;

/// The share of an entity's time that is left out at most.
const MOST: f64 = 0.05;

/// Features that are named.
const NAMED: usize = 3;

/// A moment that stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// The entity's place in the dataset.
    pub entity: usize,
    /// Its labels.
    pub labels: Labels,
    /// When it begins, in milliseconds, margins included.
    pub from_ms: i64,
    /// Its last step, margins included.
    pub to_ms: i64,
    /// The largest score in units of the usual one.
    pub peak: f64,
    /// The features that it comes from, by their places, the one with the largest part first.
    pub features: Vec<usize>,
    /// The steps, by their places.
    steps: Vec<usize>,
}

impl LeftOut {
    /// Marks the steps.
    pub(super) fn mark(&self, marks: &mut [bool]) {
        self.steps.iter().for_each(|step| marks[*step] = true);
    }
}

/// A moment without its margins: its first and last step and its largest score.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment {
    first: usize,
    last: usize,
    peak: f64,
}

/// Whether there may be six hours to say what is usual: else no draft is worth its time.
pub(super) fn can_tell(dataset: &Dataset) -> bool {
    let steps = |rows: &Rows| rows.usable.iter().filter(|it| **it).count() as i64;
    let most = dataset.entities.iter().map(steps).max().unwrap_or(0);
    2 * most.saturating_mul(dataset.step_ms) > base::BLOCK_MS
}

/// The moments that stand out, by entity and time.
pub(super) fn find(hindsight: &Hindsight, keep: &[Range]) -> Vec<LeftOut> {
    let maxima = base::maxima(&hindsight.scores);
    let Some(usual) = statistics::median(maxima.clone()).filter(|usual| *usual > 0.0) else {
        return Vec::new();
    };
    let Some((limit, middle)) = limit(&maxima, usual) else {
        return Vec::new();
    };
    let times_ms = &hindsight.scores.times_ms;
    let mut found = Vec::new();
    for (entity, scores) in hindsight.scores.entities.iter().enumerate() {
        let ratios: Vec<f64> = scores.iter().map(|score| score / usual).collect();
        let mut moments = moments(&ratios, times_ms, limit, middle);
        moments.sort_by(|a, b| b.peak.total_cmp(&a.peak));
        let time = scores.iter().filter(|score| !score.is_nan()).count();
        let mut left = (MOST * time as f64) as usize;
        let mut of_entity = Vec::new();
        for moment in moments {
            let mut marked = vec![false; times_ms.len()];
            marked[moment.first..=moment.last].fill(true);
            let marked = widened(&marked, times_ms, BEFORE_MS, AFTER_MS);
            let steps: Vec<usize> = (0..marked.len()).filter(|step| marked[*step]).collect();
            let cost = steps.iter().filter(|step| !scores[**step].is_nan()).count();
            let (Some(first), Some(last)) = (steps.first(), steps.last()) else { continue };
            let (from_ms, to_ms) = (times_ms[*first], times_ms[*last]);
            let is_kept = keep.iter().any(|it| it.start_ms <= to_ms && from_ms <= it.end_ms);
            if cost > left || is_kept {
                continue;
            }
            left -= cost;
            of_entity.push(LeftOut {
                entity,
                labels: hindsight.entities[entity].clone(),
                from_ms,
                to_ms,
                peak: moment.peak,
                features: hindsight.leaders(entity, moment.first..=moment.last, NAMED),
                steps,
            });
        }
        of_entity.sort_by_key(|it| it.from_ms);
        found.extend(of_entity);
    }
    found
}

/// The ratio above which something stands out, and the one in the middle.
fn limit(maxima: &[f64], usual: f64) -> Option<(f64, f64)> {
    let mut logarithms: Vec<f64> = maxima.iter().map(|it| (it / usual).ln()).collect();
    logarithms.retain(|it| it.is_finite());
    logarithms.sort_unstable_by(f64::total_cmp);
    let [low, middle] = [BELOW, 0.5].map(|share| statistics::interpolated(&logarithms, share));
    let (low, middle) = (low?, middle?);
    let far = LEAST_RATIO.ln().max(SPREADS * (middle - low));
    Some(((middle + far).exp(), middle.exp()))
}

/// What exceeds the limit, its neighbours with it, as far as it is above the middle.
fn moments(ratios: &[f64], times_ms: &[i64], limit: f64, middle: f64) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    let mut wide = 0;
    for step in (0..ratios.len()).filter(|step| ratios[*step] > limit) {
        let peak = ratios[step];
        match moments.last_mut() {
            // Within the hour, or where the one before has not ended yet.
            Some(it) if step <= wide || times_ms[step] - times_ms[it.last] <= MERGE_MS => {
                (it.last, it.peak) = (step, it.peak.max(peak));
            }
            _ => moments.push(Moment { first: step, last: step, peak }),
        }
        if step >= wide {
            wide = step + ratios[step + 1..].iter().take_while(|it| **it > middle).count();
        }
    }
    for moment in &mut moments {
        let before = ratios[..moment.first].iter().rev().take_while(|it| **it > middle);
        moment.first -= before.count();
        moment.last += ratios[moment.last + 1..].iter().take_while(|it| **it > middle).count();
    }
    moments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// Two days of two entities at a minute a step, calm but for what is put in.
    fn hindsight(incidents: &[(usize, std::ops::Range<usize>, f64)]) -> Hindsight {
        let calm = |entity: usize, step: usize| {
            0.4 + 0.1 * ((step + 77 * entity) as f64 * 0.7).sin() + 0.02 * ((step / 360) as f64)
        };
        let mut entities: Vec<Vec<f64>> =
            (0..2).map(|entity| (0..2_880).map(|step| calm(entity, step)).collect()).collect();
        for (entity, steps, score) in incidents {
            entities[*entity][steps.clone()].fill(*score);
        }
        Hindsight::of_scores(entities, MINUTE_MS)
    }

    fn found(hindsight: &Hindsight, keep: &[Range]) -> Vec<(usize, i64, i64)> {
        let found = find(hindsight, keep);
        found.iter().map(|it| (it.entity, it.from_ms / MINUTE_MS, it.to_ms / MINUTE_MS)).collect()
    }

    #[test]
    fn calm_has_nothing_that_stands_out() {
        assert_eq!(found(&hindsight(&[]), &[]), []);
        // Twice the usual is not enough.
        assert_eq!(found(&hindsight(&[(0, 500..520, 1.1)]), &[]), []);
    }

    #[test]
    fn an_incident_is_left_out_with_its_margins() {
        let hindsight = hindsight(&[(1, 500..520, 4.0)]);
        assert_eq!(found(&hindsight, &[]), [(1, 485, 549)]);
        let moment = &find(&hindsight, &[])[0];
        assert!(moment.peak > 6.0 && moment.peak < 9.0, "{}", moment.peak);
        let mut marks = vec![false; 2_880];
        moment.mark(&mut marks);
        assert_eq!(marks.iter().filter(|it| **it).count(), 65);
        assert!(marks[485] && marks[549] && !marks[484] && !marks[550]);
        let keep =
            |from: i64, to: i64| Range { start_ms: from * MINUTE_MS, end_ms: to * MINUTE_MS };
        assert_eq!(found(&hindsight, &[keep(0, 10), keep(549, 560)]), []);
        assert_eq!(found(&hindsight, &[keep(550, 560)]).len(), 1);
    }

    #[test]
    fn what_comes_again_within_the_hour_is_one_moment_as_wide_as_it_is_unusual() {
        let twice = hindsight(&[(0, 500..505, 4.0), (0, 560..565, 5.0)]);
        assert_eq!(found(&twice, &[]), [(0, 485, 594)]);
        let apart = hindsight(&[(0, 500..505, 4.0), (0, 565..570, 5.0)]);
        assert_eq!(found(&apart, &[]), [(0, 485, 534), (0, 550, 599)]);
        // It rises slowly and goes slowly.
        let slow = hindsight(&[(0, 480..540, 1.2), (0, 500..505, 4.0)]);
        assert_eq!(found(&slow, &[]), [(0, 465, 569)]);
    }

    #[test]
    fn a_twentieth_of_the_time_is_left_out_at_most_and_the_largest_peaks_first() {
        // 144 minutes of two days: with margins 64 and 54 fit, 104 does not.
        let many = hindsight(&[
            (0, 300..360, 3.0),
            (0, 700..720, 9.0),
            (0, 1_200..1_210, 2.5),
            (1, 50..60, 3.0),
        ]);
        assert_eq!(found(&many, &[]), [(0, 685, 749), (0, 1_185, 1_239), (1, 35, 89)]);
        // What lasts for days is how it is.
        assert_eq!(found(&hindsight(&[(0, 1_000..2_800, 9.0)]), &[]), []);
    }

    #[test]
    fn a_history_without_six_hours_has_nothing_that_stands_out() {
        let mut short = vec![0.4; 170];
        short[100..110].fill(9.0);
        assert_eq!(found(&Hindsight::of_scores(vec![short], MINUTE_MS), &[]), []);
        assert_eq!(found(&Hindsight::of_scores(vec![vec![0.0; 2_880]], MINUTE_MS), &[]), []);
        assert_eq!(found(&Hindsight::of_scores(Vec::new(), MINUTE_MS), &[]), []);
    }

    proptest! {
        #[test]
        fn moments_ascend_and_do_not_overlap(
            ratios in prop::collection::vec(prop_oneof![
                3 => 0.0_f64..2.0, 1 => 2.0_f64..9.0, 1 => Just(f64::NAN),
            ], 0..200),
            step_minutes in 1_i64..40,
        ) {
            let times_ms: Vec<i64> = (0..ratios.len() as i64).map(|it| it * step_minutes * MINUTE_MS).collect();
            let found = moments(&ratios, &times_ms, 3.0, 1.0);
            for pair in found.windows(2) {
                prop_assert!(pair[0].last < pair[1].first);
            }
            for (step, ratio) in ratios.iter().enumerate().filter(|it| *it.1 > 3.0) {
                let within = found.iter().any(|it| (it.first..=it.last).contains(&step));
                prop_assert!(within, "{step}: {ratio}");
            }
        }
    }
}
