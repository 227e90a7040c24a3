//! A threshold: the score above which an entity is anomalous, taken from scores of normal times.
//!
//! In: validation scores by entity, as they will be served. Out: the candidates of every method,
//! side by side with what each would have meant on the validation part, and the chosen one.
//!
//! ```text
//! percentile   a share of the steps lies above: simple, and silent about how often that alarms
//! mean_std     mean + 3 sigma: only for scores that two tests take for normally distributed
//! budget       the level that so many episodes an entity and week exceed: what an operator feels
//! ```
//!
//! Scores of neighbouring steps are much alike, so that a short validation part holds few
//! independent ones. `budget` takes that into account, as it counts episodes; the others do not.
//!
//! All entities are pooled: a budget of 1 a week is that of the average entity. A restless one among
//! many neither sets the threshold alone nor is it left out; the note tells when one of several
//! entities causes most of the episodes.
//!
//! Few scores say nothing: a method that stands on fewer than it needs gives no threshold, and says
//! how much more history it takes: before the fit, where it is sure to be too few. Two hours at 15 s are enough for a budget; what is less than a day
//! is said to be little.
//!
//! Invariants: the time that a budget is for is scored time; an episode is what an evaluation counts,
//! too (`crate::episodes`); the same scores give the same threshold.

mod budget;
mod config;
mod enough;
mod normality;
mod steps;

pub use config::{ThresholdConfig, ThresholdMethod};

use config::MEAN_STD_SIGMAS;
use enough::{is_little, needed};
use steps::Steps;

/// The percentiles that are always shown side by side: from what a first look at data takes to what
/// leaves one step in a thousand.
const PERCENTILES: [f64; 4] = [95.0, 99.0, 99.5, 99.9];

/// Validation scores, as they will be served.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationScores {
    /// The distance between steps where none is missing.
    pub step_ms: i64,
    /// The steps, ascending.
    pub times_ms: Vec<i64>,
    /// For each entity its score at each step, in order.
    ///
    /// # NaN
    /// Where there is none.
    pub entities: Vec<Vec<f64>>,
}

/// What one method gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// `percentile 99.5`, `mean_std 3`, `budget 1 per week`.
    pub method: String,
    /// The threshold, or why this method has none.
    pub threshold: Result<f64, ThresholdError>,
    /// The share of the validation scores above it. NaN without one.
    pub above: f64,
    /// Episodes of all entities on validation, counted; nothing without a threshold.
    pub episodes: Option<usize>,
    /// How it came about, for the report; empty where the method says it all.
    pub note: String,
}

/// The candidates and the chosen one.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Of every method, in a fixed order.
    pub candidates: Vec<Candidate>,
    /// The place of the chosen one.
    pub chosen: usize,
    /// Its threshold: above zero and finite.
    pub threshold: f64,
    /// How it was found, with what was asked for where that is something else.
    pub method: String,
    /// The scored time of all entities, in which episodes were counted, in weeks.
    pub entity_weeks: f64,
    /// What is to be known of it, where it stands on little; else empty.
    pub warning: String,
}

/// Why there is no threshold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ThresholdError {
    /// Nothing to take it from.
    #[error("no validation scores to take a threshold from: validate on a longer range")]
    Empty,
    /// A score that is not a number to compare with: scoring went wrong before.
    #[error("validation scores hold {0}, which is no number to compare with")]
    NotFinite(f64),
    /// Too little for any threshold, or for what this method asks of it.
    #[error(
        "{found} validation scores are too few: {needed} are needed, which takes {}",
        enough::history(.found, .needed)
    )]
    TooFewScores {
        /// How many there are, at least one.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A threshold of zero would make every score anomalous.
    #[error("the threshold would be {0}: the validation rows never differ from what was learnt")]
    NotPositive(f64),
    /// Too little for this method.
    #[error(
        "{found} scores {what}, {needed} are needed: validate on a longer range or let \
         train.threshold.method be budget"
    )]
    TooFew {
        /// Which scores.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// Scores of another distribution than the method takes for granted.
    #[error("the scores are not normally distributed")]
    NotNormal,
}

/// Refuses so few scores, whatever they will be, that the method that counts has no threshold of them.
///
/// # Errors
/// As [`find`] will say.
pub fn is_enough(scores: usize, config: &ThresholdConfig) -> Result<(), ThresholdError> {
    let percent = (config.method == ThresholdMethod::Percentile).then_some(config.percentile);
    match needed(percent) {
        _ if scores == 0 => Err(ThresholdError::Empty),
        needed if scores < needed => Err(ThresholdError::TooFewScores { found: scores, needed }),
        _ => Ok(()),
    }
}

/// The candidates for these scores, and the one that the configuration asks for. Where that is
/// `mean_std` and the scores are not normally distributed, it is `budget` instead.
///
/// # Errors
/// Without scores, with one that is infinite, and when the chosen method has no threshold, or too few
/// scores for one.
pub fn find(
    scores: &ValidationScores,
    config: &ThresholdConfig,
) -> Result<Thresholds, ThresholdError> {
    let steps = Steps::new(scores)?;
    let mut candidates = Vec::new();
    let mut percentiles = PERCENTILES.to_vec();
    if config.method == ThresholdMethod::Percentile && !percentiles.contains(&config.percentile) {
        percentiles.push(config.percentile);
    }
    let enough = |needed: usize| match steps.sorted().len() {
        found if found < needed => Err(ThresholdError::TooFewScores { found, needed }),
        _ => Ok(()),
    };
    is_enough(steps.sorted().len(), config)?;
    for percent in percentiles {
        let found = enough(needed(Some(percent))).map(|()| steps.percentile(percent));
        candidates.push(candidate(&steps, format!("percentile {percent}"), found, String::new()));
    }
    let (found, note) = normality::mean_std(steps.sorted());
    candidates.push(candidate(&steps, format!("mean_std {MEAN_STD_SIGMAS}"), found, note));
    let (found, note) = budget::threshold(&steps, config.budget);
    let budget = format!("budget {} per week", config.budget);
    candidates.push(candidate(&steps, budget.clone(), found, note));

    let wanted = match config.method {
        ThresholdMethod::Budget => budget,
        ThresholdMethod::Percentile => format!("percentile {}", config.percentile),
        ThresholdMethod::MeanStd => format!("mean_std {MEAN_STD_SIGMAS}"),
    };
    let place = candidates.iter().position(|it| it.method == wanted);
    let mut chosen = place.expect("every method has a candidate");
    let mut method = wanted;
    let unfit = matches!(
        candidates[chosen].threshold,
        Err(ThresholdError::NotNormal | ThresholdError::TooFew { .. })
    );
    if config.method == ThresholdMethod::MeanStd && unfit {
        chosen = candidates.len() - 1;
        method = format!("{}, as {method} does not fit", candidates[chosen].method);
    }
    let threshold = candidates[chosen].threshold.clone()?;
    let (entity_weeks, warning) = (steps.entity_weeks(), is_little(scores));
    Ok(Thresholds { candidates, chosen, threshold, method, entity_weeks, warning })
}

fn candidate(
    steps: &Steps<'_>,
    method: String,
    found: Result<f64, ThresholdError>,
    mut note: String,
) -> Candidate {
    // An overflow on the way here is no threshold either.
    let threshold = found.and_then(|threshold| match threshold {
        threshold if !threshold.is_finite() => Err(ThresholdError::NotFinite(threshold)),
        threshold if threshold <= 0.0 => Err(ThresholdError::NotPositive(threshold)),
        threshold => Ok(threshold),
    });
    let (mut above, mut episodes) = (f64::NAN, None);
    if let Ok(threshold) = threshold {
        above = steps.share_above(threshold);
        let (total, most) = steps.episodes(threshold);
        episodes = Some(total);
        if steps.entities() > 1 && total > 1 && 2 * most > total {
            let text = format!("{most} of {total} episodes are one entity's");
            note = if note.is_empty() { text } else { format!("{note}; {text}") };
        }
    }
    Candidate { method, threshold, above, episodes, note }
}

#[cfg(test)]
mod tests;
