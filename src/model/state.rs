//! What a model needs to remember of each entity between two ticks, as its file describes it.
//!
//! A graph sees one window and nothing else. Whatever lasts longer is state of the pipeline; its
//! parameters are here, beside the graph in the same file. None of it is configuration. What the file
//! remembers of single entities is in `remembered`.

use serde::{Deserialize, Serialize};

use super::error::ArtifactError;
use crate::duration::HOUR_MS;

/// An entity's own long-running level: exponentially weighted mean and deviation of each feature.
///
/// # Units
/// Those of the features. Lists have an element for each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelSpec {
    /// How long it takes until half of a level is forgotten, in steps.
    pub half_life: f64,
    /// How many steps the level of training counts for when an entity is seen that the file does not
    /// remember.
    pub prior: f64,
    /// A step moves a level by at most so many of its scales.
    pub clip: f64,
    /// The mean that training leaves behind.
    pub mean: Vec<f32>,
    /// The deviation that training leaves behind.
    pub scale: Vec<f32>,
    /// The least deviation that counts.
    pub floor: Vec<f32>,
    /// Where the entities that the graph tells apart begin, in their order. Of older files: what they
    /// remember of entities is now in [`super::Remembered`].
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

/// How the score above which an entity is anomalous follows its own recent hours.
///
/// Files of before these keys have others, which no longer count: they get the defaults. So this is the one
/// part of a file whose unknown keys are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdaptiveThreshold {
    /// How many hours of a week may be in alarm: what more of them reach is how the entity is. Less than
    /// 168.
    pub hours_per_week: u32,
    /// Whether what happens on most days at the same hour is no news. Not for faults that come back
    /// every day.
    pub same_hour: bool,
}

impl Default for AdaptiveThreshold {
    fn default() -> Self {
        // A long night, or a short incident a day.
        Self { hours_per_week: 11, same_hour: true }
    }
}

impl LevelSpec {
    /// Where the level of an entity begins that the file does not remember.
    #[must_use]
    pub fn start(&self) -> LevelStart {
        let (mean, scale, floor) = (self.mean.clone(), self.scale.clone(), self.floor.clone());
        LevelStart { prior: self.prior, mean, scale, floor }
    }

    /// Refuses what no level can be kept with, for a model of so many features that tells so many
    /// entities apart.
    pub(super) fn check(&self, features: usize, entities: usize) -> Result<(), ArtifactError> {
        let starts = || [self.start()].into_iter().chain(self.entities.iter().cloned());
        if ![0, entities].contains(&self.entities.len()) {
            let found = self.entities.len();
            return invalid("level", format!("it begins for {found} entities of {entities}"));
        }
        if let Some(fault) = starts().find_map(|start| start.fault(features)) {
            return invalid("level", fault);
        }
        let numbers = self.half_life >= 1.0 && self.half_life.is_finite() && self.clip > 0.0;
        if !numbers {
            let reason = "half_life must be a number of at least 1 and clip above 0";
            return invalid("level", reason.to_owned());
        }
        Ok(())
    }
}

impl LevelStart {
    /// Why no level of so many features can begin here.
    pub(super) fn fault(&self, features: usize) -> Option<String> {
        let lists = [&self.mean, &self.scale, &self.floor];
        if lists.iter().any(|list| list.len() != features) {
            return Some(format!("its lists need {features} numbers, one a feature"));
        }
        let finite =
            self.prior.is_finite() && lists.iter().all(|it| it.iter().all(|x| x.is_finite()));
        let good = finite && self.prior >= 1.0 && self.floor.iter().all(|it| *it > 0.0);
        (!good).then(|| "prior must be at least 1, floors above 0, and all finite".to_owned())
    }

    /// Bytes held beside the struct itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lists = [&self.mean, &self.scale, &self.floor];
        lists.iter().map(|list| list.capacity() * size_of::<f32>()).sum()
    }
}

impl AdaptiveThreshold {
    /// For how long an entity's hours count, in milliseconds.
    pub const REACH_MS: i64 = 170 * HOUR_MS;

    /// Whether not every hour of a week may be in alarm.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.hours_per_week < 168
    }

    /// Refuses what adapts to anything.
    pub(super) fn check(&self) -> Result<(), ArtifactError> {
        match self.is_good() {
            true => Ok(()),
            false => invalid(
                "adaptive_threshold",
                format!("hours_per_week is {}: a week has 168", self.hours_per_week),
            ),
        }
    }
}

fn invalid(what: &'static str, reason: String) -> Result<(), ArtifactError> {
    Err(ArtifactError::Invalid { what, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_hours(hours_per_week: u32, good: bool) {
        let spec = AdaptiveThreshold { hours_per_week, same_hour: true };
        assert_eq!(spec.check().is_ok(), good, "{spec:?}");
    }

    #[test]
    fn what_would_excuse_everything_is_refused() {
        check_hours(0, true);
        check_hours(11, true);
        check_hours(168, false);
        check_hours(u32::MAX, false);
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
    fn older_files_get_the_defaults() {
        let old = r#"{"quantile": 0.8, "window": "1d", "delay": "1h", "bound": 10}"#;
        assert_eq!(
            serde_json::from_str::<AdaptiveThreshold>(old).ok(),
            Some(AdaptiveThreshold::default())
        );
        let own: AdaptiveThreshold =
            serde_json::from_str(r#"{"same_hour": false}"#).expect("a spec");
        assert_eq!(own, AdaptiveThreshold { same_hour: false, ..AdaptiveThreshold::default() });
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
