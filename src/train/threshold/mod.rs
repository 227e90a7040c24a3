//! A threshold: the score above which an entity is anomalous, taken from scores of normal times.
//!
//! In: scores by entity, as the model gives them for its own training range, without the moments that
//! stood out. Out: the candidates of every method, side by side with what each would have meant there,
//! and the chosen one.
//!
//! ```text
//! base         1.5 times what the largest score of six hours usually is: the default
//! percentile   a share of the steps lies above: simple, but it does not say how often that alarms
//! mean_std     mean + 3 sigma: only for scores that two tests take for normally distributed
//! budget       the level that a given number of episodes per entity and week exceed: what an operator notices
//! ```
//!
//! Scores of neighbouring steps are much alike, so that a short range holds few independent ones.
//! `base`, which looks at blocks, and `budget`, which counts episodes, take that into account; the others
//! do not. A history without six hours of scores has no `base`: there `budget` takes its place.
//!
//! All entities are pooled: a budget of 1 a week is that of the average entity. A restless one among
//! many neither sets the threshold alone nor is it left out; the note tells when one of several
//! entities causes most of the episodes.
//!
//! Few scores say nothing: a method that has fewer than it needs gives no threshold, and says how much more
//! history it takes, before the fit if they are certain to be too few. Two hours at 15 s are enough for a
//! budget; training warns about less than a day.
//!
//! Invariants: the time that a budget is for is scored time; an episode is what an evaluation counts,
//! too (`crate::episodes`); the same scores give the same threshold.

pub(super) mod base;
mod budget;
mod config;
mod enough;
mod normality;
mod steps;

pub use base::BLOCK_MS;
pub use config::{ThresholdConfig, ThresholdMethod};

use config::percentile;
use enough::{is_little, needed};
use steps::Steps;

/// The percentiles that are always shown side by side: from what a first look at data takes to what
/// leaves one step in a thousand.
const PERCENTILES: [f64; 4] = [95.0, 99.0, 99.5, 99.9];

/// Scores of the training range, as they will be served.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingScores {
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
    /// `base 1.5`, `percentile 99.5`, `mean_std 3`, `budget 1 per week`.
    pub method: String,
    /// The threshold, or why this method has none.
    pub threshold: Result<f64, ThresholdError>,
    /// The share of the scores above it. NaN without one.
    pub above: f64,
    /// Episodes of all entities, counted; nothing without a threshold.
    pub episodes: Option<usize>,
    /// How it came about, for the report; empty where the method says it all.
    pub note: String,
}

impl Candidate {
    /// What the method does, for readers who do not know its name.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self.method.split(' ').next().unwrap_or_default() {
            "base" => {
                "base: this many times the largest score that six hours of a host usually have \
                 (train.threshold.base)"
            }
            "budget" => {
                "budget: the score that the average host exceeds this many times a week \
                 (train.threshold.budget)"
            }
            "percentile" => {
                "percentile: the score that this percentage of the scores stays below \
                 (train.threshold.percentile)"
            }
            "mean_std" => {
                "mean_std: the mean of the scores and three standard deviations, as they are normally distributed"
            }
            _ => "",
        }
    }
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
    #[error("no scores to take a threshold from: train on a longer range")]
    Empty,
    /// A score that is not a number to compare with: scoring went wrong before.
    #[error("the scores hold {0}, which cannot be compared")]
    NotFinite(f64),
    /// Too little for any threshold, or for what this method asks of it.
    #[error(
        "{found} scores are too few: {needed} are needed, which takes {}",
        enough::history(.found, .needed)
    )]
    TooFewScores {
        /// How many there are, at least one.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A threshold of zero would make every score anomalous.
    #[error("the threshold would be {0}: the rows never differ from what was learnt")]
    NotPositive(f64),
    /// Too little for this method.
    #[error(
        "{found} scores {what}, {needed} are needed: train on a longer range or let \
         train.threshold.method be base"
    )]
    TooFew {
        /// Which scores.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// Too short a history for this method.
    #[error("no six hours of an entity, by the clock, more than half of which have a score")]
    NoBlock,
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
/// `mean_std` and the scores are not normally distributed, it is `base` instead, and where there are no six
/// hours of scores, `budget`.
///
/// # Errors
/// Without scores, with one that is infinite, and when the chosen method has no threshold, or too few
/// scores for one.
pub fn find(
    scores: &TrainingScores,
    config: &ThresholdConfig,
) -> Result<Thresholds, ThresholdError> {
    let steps = Steps::new(scores)?;
    let of_base = base::usual(scores);
    let note = of_base.map_or_else(String::new, |(usual, blocks)| {
        format!("the largest score of six hours is usually {usual:.4}: the median of {blocks}")
    });
    let found = of_base.map(|(usual, _)| config.base * usual).ok_or(ThresholdError::NoBlock);
    let mut candidates = vec![candidate(&steps, config.name(ThresholdMethod::Base), found, note)];
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
        candidates.push(candidate(&steps, percentile(percent), found, String::new()));
    }
    let (found, note) = normality::mean_std(steps.sorted());
    candidates.push(candidate(&steps, config.name(ThresholdMethod::MeanStd), found, note));
    let (found, note) = budget::threshold(&steps, config.budget);
    candidates.push(candidate(&steps, config.name(ThresholdMethod::Budget), found, note));

    let (chosen, method) = choose(&candidates, config);
    let threshold = candidates[chosen].threshold.clone()?;
    let (entity_weeks, warning) = (steps.entity_weeks(), is_little(scores));
    Ok(Thresholds { candidates, chosen, threshold, method, entity_weeks, warning })
}

/// The place of the candidate that counts, and how it was found.
fn choose(candidates: &[Candidate], config: &ThresholdConfig) -> (usize, String) {
    let place = |method| {
        let name = config.name(method);
        let place = candidates.iter().position(|it| it.method == name);
        place.expect("every method has a candidate")
    };
    let wanted = place(config.method);
    let instead = match config.method {
        ThresholdMethod::MeanStd => &[ThresholdMethod::Base, ThresholdMethod::Budget][..],
        ThresholdMethod::Base => &[ThresholdMethod::Budget],
        ThresholdMethod::Budget | ThresholdMethod::Percentile => &[],
    };
    let fits = |at: &usize| {
        use ThresholdError::{NoBlock, NotNormal, TooFew};
        !matches!(candidates[*at].threshold, Err(NoBlock | NotNormal | TooFew { .. }))
    };
    let mut places = [wanted].into_iter().chain(instead.iter().map(|method| place(*method)));
    let chosen = places.find(fits).unwrap_or(wanted);
    let method = &candidates[chosen].method;
    let text = match chosen == wanted {
        true => method.clone(),
        false => format!("{method}, as {} does not fit", candidates[wanted].method),
    };
    (chosen, text)
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
