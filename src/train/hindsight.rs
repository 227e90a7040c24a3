//! Hindsight: the scores that a model would have served over its own training range.
//!
//! In: a dataset, the graph of a fit. Out: for each entity its smoothed error at each step, computed by the
//! code that serves, and what the report shows of it.

use std::ops::RangeInclusive;

use ndarray::{Array1, s};

use super::branches::level::{self, Levelled};
use super::data::margins::widened;
use super::data::{Dataset, Rows, Training};
use super::error::TrainError;
use super::fit::Fits;
use super::graph::export;
use super::threshold::TrainingScores;
use crate::detect::{
    AnomalyState, DetectConfig, Detection, Detector, Together, errors_needed, states,
};
use crate::duration::HOUR_MS;
use crate::episodes::Timeline;
use crate::features::Playback;
use crate::history::Progress;
use crate::labels::Labels;
use crate::model::{AdaptiveThreshold, Artifact, Context, Metadata, Scorer, ScorerError};

const HOURS_PER_WEEK: f64 = 168.0;

/// No feature.
const NOBODY: u32 = u32::MAX;

/// What a moment that was left out leaves behind, in milliseconds: the long mean forgets it within this.
const AFTERMATH_MS: i64 = 90 * 60_000;

/// Moments that the report shows.
const WORST: usize = 6;

/// Worst moments of an entity are at least so many steps apart: one incident, one moment.
const APART: usize = 60;

/// Features that are shown at a moment.
const SHOWN: usize = 3;

/// Steps that are shown before a moment, and after it: how it came, and whether it went.
const BEFORE: usize = 60;
const AFTER: usize = 30;

/// What a model would have said of its own training range.
#[derive(Debug, Clone, PartialEq)]
pub struct Hindsight {
    /// The entities' labels.
    pub entities: Vec<Labels>,
    /// The steps, and for each entity its smoothed error at each of them.
    pub scores: TrainingScores,
    /// For each entity the feature with the largest part of the error at each step, by its place;
    /// [`NOBODY`] where there is no score or no part.
    leading: Vec<Vec<u32>>,
    /// Each feature's share of all errors.
    pub by_feature: Vec<f64>,
    /// The moments of the largest errors, the worst first.
    pub worst: Vec<Moment>,
}

/// What would have been called over the training range.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Called {
    /// Alert episodes of all entities.
    pub episodes: usize,
    /// Of these, so many touch a moment that was left out.
    pub left_out: usize,
    /// Hours that an entity is above the threshold in force in a week.
    pub hours_per_week: f64,
    /// The scored time of all entities, in weeks.
    pub entity_weeks: f64,
}

/// A moment of a large error.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The entity, by its place.
    pub entity: usize,
    /// The step, by its place in the training range.
    pub step: usize,
    /// The error.
    pub error: f64,
    /// The features with the largest shares, as `(index, share)`.
    pub contributions: Vec<(u32, f32)>,
    /// What was and what should have been around the moment, for the first of these features.
    pub course: Option<Around>,
}

/// What was and what should have been around a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// The steps.
    pub times_ms: Vec<i64>,
    /// For each feature its place, what was, and what should have been.
    pub features: Vec<(usize, Vec<f64>, Vec<f64>)>,
}

impl Hindsight {
    /// Scores alone.
    #[cfg(test)]
    pub(super) fn of_scores(entities: Vec<Vec<f64>>, step_ms: i64) -> Self {
        let steps = entities.iter().map(Vec::len).max().unwrap_or(0);
        let times_ms = (0..steps as i64).map(|step| step * step_ms).collect();
        Self {
            entities: vec![Labels::empty(); entities.len()],
            leading: vec![vec![NOBODY; steps]; entities.len()],
            scores: TrainingScores { step_ms, times_ms, entities },
            by_feature: Vec::new(),
            worst: Vec::new(),
        }
    }

    /// The scores that say what is usual: without the moments that were left out, and what they leave
    /// behind.
    pub(super) fn usual(&self, dataset: &Dataset) -> TrainingScores {
        let mut usual = self.scores.clone();
        for (scores, rows) in usual.entities.iter_mut().zip(&dataset.entities) {
            let marked = widened(&rows.left_out, &dataset.times_ms, 0, AFTERMATH_MS);
            scores.iter_mut().zip(marked).filter(|it| it.1).for_each(|it| *it.0 = f64::NAN);
        }
        usual
    }

    /// How often the model would have called by the threshold in force.
    pub(super) fn called(
        &self,
        dataset: &Dataset,
        (threshold, spec): (f64, AdaptiveThreshold),
    ) -> Called {
        let TrainingScores { step_ms, times_ms, entities } = &self.scores;
        let mut called = Called::default();
        let (mut above, mut scored) = (0, 0);
        for (scores, rows) in entities.iter().zip(&dataset.entities) {
            let scores = times_ms.iter().copied().zip(scores.iter().map(|it| it / threshold));
            let states: Vec<Option<AnomalyState>> = states(spec, scores).collect();
            let is_new = |at: usize| states[at] == Some(AnomalyState::New);
            let left_out = widened(&rows.left_out, times_ms, 0, AFTERMATH_MS);
            for run in Timeline::new(times_ms, *step_ms).episodes(is_new) {
                called.episodes += 1;
                called.left_out += usize::from(left_out[run.first..=run.last].contains(&true));
            }
            above += (0..states.len()).filter(|at| is_new(*at)).count();
            scored += states.iter().flatten().count();
        }
        let hours = |steps: usize| steps as f64 * *step_ms as f64 / HOUR_MS as f64;
        called.entity_weeks = hours(scored) / HOURS_PER_WEEK;
        called.hours_per_week = HOURS_PER_WEEK * hours(above) / hours(scored.max(1));
        called
    }

    /// The features that lead an entity's error over some steps, at most so many: by their places, the
    /// one that leads most of it first.
    pub(super) fn leaders(
        &self,
        entity: usize,
        steps: RangeInclusive<usize>,
        most: usize,
    ) -> Vec<usize> {
        let mut parts = vec![0.0; self.by_feature.len()];
        let scores = &self.scores.entities[entity];
        for step in steps.filter(|step| !scores[*step].is_nan()) {
            if let Some(part) = parts.get_mut(self.leading[entity][step] as usize) {
                *part += scores[step];
            }
        }
        let mut order: Vec<usize> = (0..parts.len()).filter(|i| parts[*i] > 0.0).collect();
        order.sort_by(|a, b| parts[*b].total_cmp(&parts[*a]));
        order.truncate(most);
        order
    }
}

/// The most scores that [`play`] can give for errors that are smoothed over these spans, whatever is
/// fitted: those of all usable steps but for the first ones of each entity. Gaps may make them fewer.
pub(super) fn most_scores(dataset: &Dataset, smoothing: &[f64]) -> usize {
    let swallowed = errors_needed(smoothing).saturating_sub(1);
    let of_entity = |rows: &Rows| {
        let usable = rows.usable.iter().filter(|it| **it).count();
        usable.saturating_sub(swallowed)
    };
    dataset.entities.iter().map(of_entity).sum()
}

/// Plays the dataset through a detector.
pub(super) fn play(
    training: &Training<'_>,
    metadata: &Metadata,
    fits: &Fits,
) -> Result<Hindsight, TrainError> {
    let Training { runtime, dataset, .. } = *training;
    // Levels begin as they did when training began, and run through all of it.
    let metadata = Metadata { threshold: 1.0, ..fits.begun(dataset, metadata) };
    let artifact = Artifact::read(export(fits, &metadata))?;
    let scorer = Scorer::new(runtime, &artifact, &metadata)?;
    let mut course_scorer = Scorer::new(runtime, &artifact, &metadata)?;
    let config = DetectConfig {
        stale_after: dataset.stale_after,
        adaptive_threshold: false,
        ..DetectConfig::default()
    };
    let mut detector = Detector::new(&metadata, scorer, dataset.step_ms, &config);
    let labels: Vec<Labels> = dataset.entities.iter().map(|rows| rows.labels.clone()).collect();
    // What may be used was decided when the recording was cleaned.
    let is_common = vec![false; metadata.features.len()];
    let mut playback = Playback::of_columns(&metadata.features, &labels, true, &is_common, &[]);
    let steps = dataset.times_ms.len();
    let mut scores = vec![vec![f64::NAN; steps]; labels.len()];
    let mut leading = vec![vec![NOBODY; steps]; labels.len()];
    let mut by_feature = Array1::<f64>::zeros(metadata.features.len());
    let mut moments = Moments::default();
    let mut visit = |step: usize, detection: Result<Detection, ScorerError>| {
        for (entity, score) in detection?.scores {
            scores[entity][step] = score.error;
            let contributions: Vec<(u32, f32)> =
                score.contributions().map(|it| (it.feature, it.contribution)).collect();
            let largest = contributions.iter().max_by(|a, b| a.1.total_cmp(&b.1));
            leading[entity][step] = largest.map_or(NOBODY, |it| it.0);
            for (feature, share) in &contributions {
                by_feature[*feature as usize] += f64::from(*share) * score.error;
            }
            let error = score.error;
            moments.offer(Moment { entity, step, error, contributions, course: None });
        }
        Ok::<_, TrainError>(())
    };
    let mut together = Together::new(&mut detector);
    let progress = Progress::start("scoring what was learnt from", steps);
    for (step, &now_ms) in dataset.times_ms.iter().enumerate() {
        // What is held was held when the recording was cleaned.
        let matrix = playback.settled(now_ms, |entity| dataset.row(entity, step));
        together.judge((step, now_ms), matrix, &mut visit)?;
        progress.done_of(step + 1, steps);
    }
    together.finish(&mut visit)?;
    let total = by_feature.sum().max(f64::MIN_POSITIVE);
    for moment in &mut moments.worst {
        moment.course = around(&mut course_scorer, training, fits, moment)?;
    }
    Ok(Hindsight {
        entities: labels,
        scores: TrainingScores {
            step_ms: dataset.step_ms,
            times_ms: dataset.times_ms.clone(),
            entities: scores,
        },
        leading,
        by_feature: (by_feature / total).to_vec(),
        worst: moments.worst,
    })
}

/// What was and what should have been around a moment, where windows were full.
fn around(
    scorer: &mut Scorer,
    training: &Training<'_>,
    fits: &Fits,
    moment: &Moment,
) -> Result<Option<Around>, ScorerError> {
    let dataset = training.dataset;
    let at = moment.step;
    let shown: Vec<usize> =
        moment.contributions.iter().take(SHOWN).map(|(feature, _)| *feature as usize).collect();
    let (number, fit) = fits.of(moment.entity);
    let window = fit.base.window;
    let to = (at + AFTER + 1).min(dataset.times_ms.len());
    let mut places = dataset.windows(at.saturating_sub(BEFORE), to, window);
    places.retain(|place| place.entity as usize == moment.entity);
    let mut around = Around {
        times_ms: places.iter().map(|place| dataset.times_ms[place.step as usize]).collect(),
        features: shown.iter().map(|feature| (*feature, Vec::new(), Vec::new())).collect(),
    };
    let mut outcome = Ok(());
    level::walk(dataset, &fit.level, &places, &mut |batch: &Levelled<'_>| {
        let raw = dataset.gather(batch.places, window);
        let entity = Array1::from_elem(batch.places.len(), number as f32);
        let level = Some((batch.mean.view(), batch.scale.view()));
        let context = Context { level, entity: Some(entity.view()) };
        let expected = match scorer.score_in(raw.view(), &context) {
            Ok(scores) => scores.reconstruction.expect("our graphs have it"),
            Err(error) => return outcome = Err(error),
        };
        for (feature, was, should) in &mut around.features {
            was.extend(raw.slice(s![.., window - 1, *feature]).iter().map(|it| f64::from(*it)));
            should.extend(expected.column(*feature).iter().map(|it| f64::from(*it)));
        }
    });
    outcome.map(|()| (!around.times_ms.is_empty()).then_some(around))
}

/// The worst moments so far, the worst first.
#[derive(Debug, Default)]
struct Moments {
    worst: Vec<Moment>,
}

impl Moments {
    fn offer(&mut self, moment: Moment) {
        let near = |it: &&Moment| it.entity == moment.entity && moment.step - it.step < APART;
        if let Some(known) = self.worst.iter().find(near) {
            if known.error >= moment.error {
                return;
            }
            let (entity, step) = (known.entity, known.step);
            self.worst.retain(|it| (it.entity, it.step) != (entity, step));
        }
        let at = self.worst.partition_point(|it| it.error >= moment.error);
        self.worst.insert(at, moment);
        self.worst.truncate(WORST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_moments_are_of_different_incidents() {
        let mut moments = Moments::default();
        for step in 0..1_000 {
            let error = if step % 100 < 10 { (step % 100) as f64 + step as f64 / 1e3 } else { 0.1 };
            moments.offer(Moment {
                entity: 0,
                step,
                error,
                contributions: Vec::new(),
                course: None,
            });
        }
        let steps: Vec<usize> = moments.worst.iter().map(|it| it.step).collect();
        assert_eq!(steps, [909, 809, 709, 609, 509, 409]);
    }
}
