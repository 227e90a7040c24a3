//! A backtest: a model over recorded history, at any speed, through the code that serves.
//!
//! In: a model and a recording. Out: for each entity and step the score and the score above which
//! it would have been anomalous, as they would have been exported. The model starts as it does when
//! serving starts: with empty windows, and what its file remembers of entities, or the level of all of
//! them for one that it does not.

use ndarray::Array1;

use crate::detect::{AnomalyState, DetectConfig, Detector, Played, Replay};
use crate::episodes::{Run, Timeline};
use crate::features::{EntityRecording, FeatureSpec, Recording, TIME_OF_DAY, TIME_OF_WEEK};
use crate::history::Progress;
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
    /// What the entity is at each step; normal where there is no score.
    pub states: Vec<AnomalyState>,
    /// For each step whether it was asked to be left out, of scores and of every figure; empty when none was.
    pub excluded: Vec<bool>,
    /// Of each episode, in order, what the features had of the errors above the threshold, in the order of
    /// the model's features; zeros where the model does not tell.
    pub blame: Vec<Vec<f32>>,
}

impl Scored {
    /// Whether a step is above the threshold in force.
    #[must_use]
    pub fn is_above(&self, step: usize) -> bool {
        self.scores[step].is_finite() && self.scores[step] > self.thresholds[step]
    }

    /// Whether a step was asked to be left out.
    #[must_use]
    pub fn is_excluded(&self, step: usize) -> bool {
        self.excluded.get(step).copied().unwrap_or(false)
    }
}

impl Backtest {
    /// When an entity was above its threshold, as an operator counts it.
    #[must_use]
    pub fn episodes(&self, entity: &Scored) -> Vec<Run> {
        Timeline::new(&self.times_ms, self.step_ms).episodes(|step| entity.is_above(step))
    }

    /// What there is to say of an entity without labels.
    #[must_use]
    pub fn tally(&self, entity: &Scored) -> Tally {
        let known = |step: &usize| entity.scores[*step].is_finite();
        let steps = 0..entity.scores.len();
        Tally {
            scored: steps.clone().filter(known).count(),
            above: steps.clone().filter(|step| entity.is_above(*step)).count(),
            episodes: self.episodes(entity).len(),
            largest: steps.filter(known).map(|step| entity.scores[step]).fold(0.0, f64::max),
            excluded: entity.excluded.iter().filter(|it| **it).count(),
        }
    }
}

/// An entity's scores in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// Steps with a score.
    pub scored: usize,
    /// Steps above the threshold.
    pub above: usize,
    /// Episodes of these, as training counts them for its budget.
    pub episodes: usize,
    /// The largest score; 0 without any.
    pub largest: f64,
    /// Steps that were to be left out, and have no score.
    pub excluded: usize,
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
        let is_clock = [TIME_OF_DAY, TIME_OF_WEEK].iter().any(|clock| clock.is(feature));
        if place.is_none() && !is_clock {
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
    let steps = recording.times_ms.len();
    let unscored = recording.entities.iter().map(|entity| unscored(entity, steps));
    let mut entities: Vec<Scored> = unscored.collect();
    let mut by_feature = Array1::<f64>::zeros(places.len());
    let mut blamed = vec![None; entities.len()];
    let line = Timeline::new(&recording.times_ms, recording.step_ms);
    let played = Played {
        features: &metadata.features,
        entity: &metadata.entity,
        can_mask: detector.takes_mask(),
        weightless: &metadata.weightless,
    };
    let replay = Replay::new(recording, played, places, config);
    let progress = Progress::start("scoring", steps);
    replay.judge(&mut detector, |step, judgement| {
        progress.done_of(step + 1, steps);
        let time = || crate::timestamp::format_ms(recording.times_ms[step]);
        let judgement = judgement.map_err(|source| BacktestError::Run { time: time(), source })?;
        // What is left out is seen by the model, as it is served, and said nothing of.
        for (entity, score) in judgement.scores {
            if entities[entity].is_excluded(step) {
                continue;
            }
            let scored = &mut entities[entity];
            scored.scores[step] = score.score;
            scored.thresholds[step] = score.threshold;
            scored.states[step] = score.state;
            for it in score.contributions() {
                by_feature[it.feature as usize] += f64::from(it.contribution) * score.score;
            }
            if scored.is_above(step) {
                let last = blamed[entity].replace(step);
                if !last.is_some_and(|last| line.reaches(last, step)) {
                    scored.blame.push(vec![0.0; by_feature.len()]);
                }
                let episode = scored.blame.last_mut().expect("an episode has begun");
                for it in score.contributions() {
                    episode[it.feature as usize] += it.contribution * score.score as f32;
                }
            }
        }
        Ok(())
    })?;
    let total = by_feature.sum().max(f64::MIN_POSITIVE);
    Ok(Backtest {
        times_ms: recording.times_ms.clone(),
        step_ms: recording.step_ms,
        entities,
        by_feature: (by_feature / total).to_vec(),
        feature_names: metadata.features.iter().map(|it| it.name.clone()).collect(),
    })
}

/// An entity before any step is scored.
fn unscored(entity: &EntityRecording, steps: usize) -> Scored {
    Scored {
        labels: entity.labels.clone(),
        excluded: entity.excluded.clone(),
        scores: vec![f64::NAN; steps],
        thresholds: vec![1.0; steps],
        states: vec![AnomalyState::Normal; steps],
        blame: Vec::new(),
    }
}
