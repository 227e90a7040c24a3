//! A backtest: a model over recorded history, at any speed, through the code that serves.
//!
//! In: a model and a recording. Out: for each entity and step the score and the score above which
//! it would have been anomalous, as they would have been exported. The model starts as it does when
//! serving starts: with empty windows, and the level that training left behind.

use ndarray::Array1;

use crate::detect::{DetectConfig, Detector};
use crate::features::{FeatureSpec, Observed, Playback, TIME_OF_DAY, TIME_OF_WEEK};
use crate::history::Recording;
use crate::labels::Labels;
use crate::model::{Metadata, Scorer, ScorerError};

/// What a model says of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Backtest {
    /// The steps.
    pub times_ms: Vec<i64>,
    /// The distance between two of them.
    pub step_ms: i64,
    /// The entities.
    pub entities: Vec<Scored>,
    /// Each feature's share of all errors, in the order of the model's features.
    pub by_feature: Vec<f64>,
    /// The features of the model.
    pub feature_names: Vec<String>,
}

/// What a model says of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The entity labels.
    pub labels: Labels,
    /// The score at each step.
    ///
    /// # NaN
    /// Where there is none.
    pub scores: Vec<f64>,
    /// The score above which the entity is anomalous at each step; 1 where there is no score.
    pub thresholds: Vec<f64>,
}

/// Why there are no scores.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The recording lacks what the model needs.
    #[error(
        "the model needs {missing}, which the file does not have; its columns are {found}: rename \
         them, or train a model on this kind of file"
    )]
    Columns {
        /// Features of the model that are no columns.
        missing: String,
        /// The columns.
        found: String,
    },
    /// The recording has other steps.
    #[error(
        "the model looks back at steps of {model}, and the history has steps of {found}: ask for \
         --step {model}"
    )]
    Step {
        /// The model's.
        model: crate::duration::Duration,
        /// The recording's.
        found: crate::duration::Duration,
    },
    /// The graph fails.
    #[error("at {time}")]
    Run {
        /// The step.
        time: String,
        /// Why.
        #[source]
        source: ScorerError,
    },
}

/// The place of each feature of the model among the columns; nothing for a clock, which is computed.
fn columns(
    metadata: &Metadata,
    found: &[FeatureSpec],
) -> Result<Vec<Option<usize>>, BacktestError> {
    let mut places = Vec::with_capacity(metadata.features.len());
    let mut missing: Vec<&str> = Vec::new();
    for feature in &metadata.features {
        let place = found.iter().position(|it| it.name == feature.name);
        if place.is_none() && clock_value(feature, 0).is_none() {
            missing.push(&feature.name);
        }
        places.push(place);
    }
    if missing.is_empty() {
        return Ok(places);
    }
    let names: Vec<&str> = found.iter().map(|it| it.name.as_str()).collect();
    Err(BacktestError::Columns { missing: missing.join(", "), found: names.join(", ") })
}

fn clock_value(feature: &FeatureSpec, time_ms: i64) -> Option<f32> {
    let clock = [TIME_OF_DAY, TIME_OF_WEEK].into_iter().find(|clock| clock.is(feature));
    clock.map(|clock| clock.value(time_ms))
}

/// Runs a model over a recording with these columns.
///
/// # Errors
/// When the recording lacks features or has other steps than the model, and when the graph fails.
pub fn run(
    metadata: &Metadata,
    scorer: Scorer,
    recording: &Recording,
    found: &[FeatureSpec],
    config: &DetectConfig,
) -> Result<Backtest, BacktestError> {
    let places = columns(metadata, found)?;
    if metadata.is_stepwise() && metadata.step.as_ms() != recording.step_ms {
        let found = crate::duration::Duration::from_ms(recording.step_ms);
        return Err(BacktestError::Step { model: metadata.step, found });
    }
    let mut detector = Detector::new(metadata, scorer, recording.step_ms, config);
    let labels: Vec<Labels> = recording.entities.iter().map(|it| it.labels.clone()).collect();
    let is_common: Vec<bool> =
        places.iter().map(|place| place.is_none_or(|it| !recording.own[it])).collect();
    let mut playback = Playback::of_columns(
        &metadata.features,
        &labels,
        detector.takes_mask(),
        &is_common,
        &metadata.weightless,
    );
    let steps = recording.times_ms.len();
    let nothing =
        |labels| Scored { labels, scores: vec![f64::NAN; steps], thresholds: vec![1.0; steps] };
    let mut entities: Vec<Scored> = labels.into_iter().map(nothing).collect();
    let mut by_feature = Array1::<f64>::zeros(places.len());
    let hold_ms = config.stale_after.as_ms().max(2 * recording.step_ms);
    let mut rows: Vec<Vec<f32>> = vec![vec![f32::NAN; places.len()]; entities.len()];
    for (step, &now_ms) in recording.times_ms.iter().enumerate() {
        let there: Vec<bool> = (recording.entities.iter().zip(&mut rows))
            .map(|(entity, row)| {
                let cells = row.iter_mut().zip(&places).zip(&metadata.features);
                cells.fold(false, |any, ((cell, place), feature)| {
                    *cell = match place {
                        Some(column) => entity.values[[step, *column]],
                        None => clock_value(feature, now_ms).unwrap_or(f32::NAN),
                    };
                    any || place.is_some_and(|it| recording.own[it]) && cell.is_finite()
                })
            })
            .collect();
        let row = |entity: usize| there[entity].then(|| Observed::row(&rows[entity], now_ms));
        let matrix = playback.step(now_ms, hold_ms, row);
        let judgement = detector.judge(matrix, now_ms);
        if let Some(source) = judgement.error {
            let time = crate::timestamp::format_ms(now_ms);
            return Err(BacktestError::Run { time, source });
        }
        for (entity, score) in judgement.scores {
            entities[entity].scores[step] = score.score;
            entities[entity].thresholds[step] = score.threshold;
            for (feature, share) in &score.contributions {
                by_feature[*feature as usize] += f64::from(*share) * score.score;
            }
        }
    }
    let total = by_feature.sum().max(f64::MIN_POSITIVE);
    Ok(Backtest {
        times_ms: recording.times_ms.clone(),
        step_ms: recording.step_ms,
        entities,
        by_feature: (by_feature / total).to_vec(),
        feature_names: metadata.features.iter().map(|it| it.name.clone()).collect(),
    })
}
