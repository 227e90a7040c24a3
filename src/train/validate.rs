//! Validation: the scores that a model would have served over the validation part.
//!
//! In: a dataset, the graph of a fit. Out: for each entity its smoothed error at each step of the
//! validation part, from the very code that serves, and what was seen on the way for the report.

use ndarray::Array1;

use super::dataset::{Dataset, Split};
use super::export::export;
use super::fit::Fitted;
use super::run::TrainError;
use super::threshold::ValidationScores;
use crate::detect::Detector;
use crate::features::Playback;
use crate::labels::Labels;
use crate::model::{Artifact, LevelSpec, Metadata, Runtime, Scorer};

/// Moments that the report shows.
const WORST: usize = 6;

/// Worst moments of an entity are at least so many steps apart: one incident, one moment.
const APART: usize = 60;

/// What a model would have said of the validation part.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The steps.
    pub times_ms: Vec<i64>,
    /// The entities' labels.
    pub entities: Vec<Labels>,
    /// For each entity its smoothed error at each step.
    pub scores: ValidationScores,
    /// Each feature's share of all errors.
    pub by_feature: Vec<f64>,
    /// The moments of the largest errors, the worst first.
    pub worst: Vec<Moment>,
}

/// A moment of a large error.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The entity, by its place.
    pub entity: usize,
    /// The step, by its place in the validation part.
    pub step: usize,
    /// The error.
    pub error: f64,
    /// The features with the largest shares, as `(index, share)`.
    pub contributions: Vec<(u32, f32)>,
}

/// Plays the dataset through a detector.
pub(super) fn play(
    runtime: &Runtime,
    dataset: &Dataset,
    split: &Split,
    metadata: &Metadata,
    fitted: &Fitted,
) -> Result<Validated, TrainError> {
    // Levels begin as they did when training began, and run through all of it.
    let level = metadata.level.clone().map(|level| LevelSpec { prior: 1.0, ..level });
    let metadata = Metadata { level, threshold: 1.0, ..metadata.clone() };
    let artifact = Artifact::read(export(fitted, &metadata))?;
    let scorer = Scorer::new(runtime, &artifact, &metadata)?;
    let mut detector = Detector::new(&metadata, scorer, dataset.step_ms, false);
    let labels: Vec<Labels> = dataset.entities.iter().map(|rows| rows.labels.clone()).collect();
    let mut playback = Playback::new(&metadata.features, &labels, true);
    let steps = dataset.times_ms.len() - split.validation_from;
    let mut scores = vec![vec![f64::NAN; steps]; labels.len()];
    let mut by_feature = Array1::<f64>::zeros(metadata.features.len());
    let mut moments = Moments::default();
    for (step, &now_ms) in dataset.times_ms.iter().enumerate() {
        // What is held was held when the recording was cleaned.
        let matrix = playback.step(now_ms, 0, |entity| dataset.row(entity, step));
        let Some(at) = step.checked_sub(split.validation_from) else {
            detector.observe(matrix, now_ms);
            continue;
        };
        let judgement = detector.judge(matrix, now_ms);
        if let Some(error) = judgement.error {
            return Err(error.into());
        }
        for (entity, score) in judgement.scores {
            scores[entity][at] = score.error;
            for (feature, share) in &score.contributions {
                by_feature[*feature as usize] += f64::from(*share) * score.error;
            }
            let contributions = score.contributions;
            moments.offer(Moment { entity, step: at, error: score.error, contributions });
        }
    }
    let total = by_feature.sum().max(f64::MIN_POSITIVE);
    Ok(Validated {
        times_ms: dataset.times_ms[split.validation_from..].to_vec(),
        entities: labels,
        scores: ValidationScores { step_ms: dataset.step_ms, entities: scores },
        by_feature: (by_feature / total).to_vec(),
        worst: moments.worst,
    })
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
            moments.offer(Moment { entity: 0, step, error, contributions: Vec::new() });
        }
        let steps: Vec<usize> = moments.worst.iter().map(|it| it.step).collect();
        assert_eq!(steps, [909, 809, 709, 609, 509, 409]);
    }
}
