//! What a model needs to remember of each entity between two ticks, as its file describes it.
//!
//! A graph sees one window and nothing else. Whatever lasts longer is state of the pipeline; its
//! parameters are here, beside the graph in the same file. None of it is configuration.

use serde::{Deserialize, Serialize};

use super::artifact::ArtifactError;
use crate::duration::Duration;

/// An entity's own long-running level: exponentially weighted mean and deviation of each feature.
///
/// # Units
/// Those of the features. Lists have an element for each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelSpec {
    /// How long it takes until half of a level is forgotten, in steps.
    pub half_life: f64,
    /// How many steps the level of training counts for when an entity is seen for the first time.
    pub prior: f64,
    /// A step moves a level by at most so many of its scales.
    pub clip: f64,
    /// The mean that training leaves behind.
    pub mean: Vec<f32>,
    /// The deviation that training leaves behind.
    pub scale: Vec<f32>,
    /// The least deviation that counts.
    pub floor: Vec<f32>,
    /// Where the entities that the graph tells apart begin, in their order; empty where it does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<LevelStart>,
}

/// Where a level begins. Lists have an element for each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelStart {
    /// How many steps it counts for.
    pub prior: f64,
    /// The mean that training leaves behind.
    pub mean: Vec<f32>,
    /// The deviation that training leaves behind.
    pub scale: Vec<f32>,
    /// The least deviation that counts.
    pub floor: Vec<f32>,
}

/// The guard against drift: an entity's threshold rises to a quantile of its own recent errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardSpec {
    /// The quantile, above 0 and below 1.
    pub quantile: f64,
    /// Of the errors of so long a time.
    pub window: Duration,
    /// Which ended so long ago: what begins now must not hide itself.
    pub delay: Duration,
    /// The threshold never rises above so many times the trained one.
    pub bound: f64,
}

/// Windows and delays beyond this would cost a hundred megabytes for ten thousand entities.
const MAX_SPAN_MS: i64 = 7 * 86_400_000;

/// Beyond this bound a guard guards nothing, and its bins would cost memory.
const MAX_BOUND: f64 = 1_000.0;

impl Default for GuardSpec {
    fn default() -> Self {
        Self {
            // Above the threshold for a fifth of a day: no incident, but how it is now.
            quantile: 0.8,
            // Every hour of the day is in it once.
            window: Duration::from_seconds(86_400),
            // An incident is seen before it counts for normal.
            delay: Duration::from_seconds(3_600),
            // What is ten times the threshold is news every day.
            bound: 10.0,
        }
    }
}

impl LevelSpec {
    /// Where the level of an entity begins that the graph does not know.
    #[must_use]
    pub fn start(&self) -> LevelStart {
        let (mean, scale, floor) = (self.mean.clone(), self.scale.clone(), self.floor.clone());
        LevelStart { prior: self.prior, mean, scale, floor }
    }

    /// Refuses what no level can be kept with, for a model of so many features that tells so many
    /// entities apart.
    pub(super) fn check(&self, features: usize, entities: usize) -> Result<(), ArtifactError> {
        let starts = || [self.start()].into_iter().chain(self.entities.iter().cloned());
        let lists = |start: &LevelStart| {
            [&start.mean, &start.scale, &start.floor].map(|list| list.len() == features)
        };
        if starts().any(|start| lists(&start).contains(&false)) {
            return invalid("level", format!("its lists need {features} numbers, one a feature"));
        }
        if ![0, entities].contains(&self.entities.len()) {
            let found = self.entities.len();
            return invalid("level", format!("it begins for {found} entities of {entities}"));
        }
        let good = |start: LevelStart| {
            let mut all = start.mean.iter().chain(&start.scale).chain(&start.floor);
            let positive = start.floor.iter().all(|it| *it > 0.0);
            start.prior >= 1.0 && positive && all.all(|it| it.is_finite())
        };
        let numbers = self.half_life >= 1.0 && self.half_life.is_finite() && self.clip > 0.0;
        if !(numbers && starts().all(good)) {
            return invalid(
                "level",
                "half_life and prior must be at least 1, clip and floors above 0, and all finite"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl GuardSpec {
    /// How long ago an error may be that still counts, in milliseconds.
    #[must_use]
    pub fn reach_ms(&self) -> i64 {
        self.window.as_ms().saturating_add(self.delay.as_ms())
    }

    /// Refuses what cannot guard anything.
    pub(super) fn check(&self) -> Result<(), ArtifactError> {
        let spans =
            (1..=MAX_SPAN_MS).contains(&self.window.as_ms()) && self.delay.as_ms() <= MAX_SPAN_MS;
        if (0.5..1.0).contains(&self.quantile) && spans && (1.0..=MAX_BOUND).contains(&self.bound) {
            return Ok(());
        }
        invalid(
            "adaptive_threshold",
            "the quantile must be at least 0.5 and below 1, the window above 0 and at most 7d, the \
             delay at most 7d, the bound at least 1 and at most 1000"
                .to_owned(),
        )
    }
}

fn invalid(what: &'static str, reason: String) -> Result<(), ArtifactError> {
    Err(ArtifactError::Invalid { what, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_guard(change: impl FnOnce(&mut GuardSpec), good: bool) {
        let mut spec = GuardSpec::default();
        change(&mut spec);
        assert_eq!(spec.check().is_ok(), good, "{spec:?}");
    }

    #[test]
    fn what_cannot_guard_is_refused() {
        check_guard(|_| {}, true);
        check_guard(|it| it.quantile = 0.4, false);
        check_guard(|it| it.quantile = 1.0, false);
        check_guard(|it| it.quantile = f64::NAN, false);
        check_guard(|it| it.window = Duration::from_seconds(0), false);
        check_guard(|it| it.window = Duration::from_seconds(8 * 86_400), false);
        check_guard(|it| it.delay = Duration::from_seconds(8 * 86_400), false);
        check_guard(|it| it.delay = Duration::from_seconds(0), true);
        check_guard(|it| it.bound = 0.9, false);
        check_guard(|it| it.bound = f64::INFINITY, false);
        check_guard(|it| it.bound = 1.0, true);
    }

    #[track_caller]
    fn check_level(change: impl FnOnce(&mut LevelSpec), good: bool) {
        let mut spec = LevelSpec {
            half_life: 10.0,
            prior: 1.0,
            clip: 5.0,
            mean: vec![0.0, 1.0],
            scale: vec![1.0, 2.0],
            floor: vec![0.1, 0.1],
            entities: Vec::new(),
        };
        change(&mut spec);
        assert_eq!(spec.check(2, 1).is_ok(), good, "{spec:?}");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        check_level(|_| {}, true);
        check_level(|it| it.half_life = 0.5, false);
        check_level(|it| it.half_life = f64::INFINITY, false);
        check_level(|it| it.prior = 0.0, false);
        check_level(|it| it.clip = 0.0, false);
        check_level(|it| it.mean = vec![0.0], false);
        check_level(|it| it.scale[1] = f32::NAN, false);
        check_level(|it| it.floor[0] = 0.0, false);
        check_level(|it| it.entities = vec![it.start()], true);
        check_level(|it| it.entities = vec![it.start(), it.start()], false);
        let bad = |change: fn(&mut LevelStart)| {
            check_level(
                |it| {
                    it.entities = vec![it.start()];
                    change(&mut it.entities[0]);
                },
                false,
            );
        };
        bad(|start| start.prior = 0.0);
        bad(|start| start.mean[1] = f32::NAN);
        bad(|start| start.scale.truncate(1));
        bad(|start| start.floor[0] = 0.0);
    }
}
