//! Details: what is behind an alert that fires, as data for webhooks and actions.

use serde::Serialize;

use super::active::ActiveAlert;
use crate::detect::FeatureScore;

/// What is behind an alert that fires.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Details {
    /// The score; of a fleet, the share of its entities that are active.
    pub score: f64,
    /// What the score has to be above.
    pub threshold: f64,
    /// The features with the largest shares of the error.
    pub features: Vec<Feature>,
    /// Of a fleet, how many are active.
    #[serde(rename = "activeEntities", skip_serializing_if = "Option::is_none")]
    pub active_entities: Option<usize>,
}

/// What a feature has to do with an alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Its value.
    pub actual: f64,
    /// What was expected.
    pub expected: f64,
    /// Its share of the error, 0 to 1.
    pub share: f64,
}

impl Details {
    /// Of an alert.
    #[must_use]
    pub fn new(of: &ActiveAlert) -> Self {
        let feature = |it: &FeatureScore| Feature {
            name: of.feature_names.get(it.feature as usize).cloned().unwrap_or_default(),
            actual: it.actual.into(),
            expected: it.expected.into(),
            share: it.contribution.into(),
        };
        Self {
            score: of.alert.value,
            threshold: of.threshold,
            features: of.features.iter().map(feature).collect(),
            active_entities: of.entity.is_none().then_some(of.active_entities),
        }
    }
}
