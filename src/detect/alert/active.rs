//! An active alert: one that is pending or firing, in the form that the API and notifications show.
//!
//! In: an alert, the score behind it, the texts of its rule. Out: who it is and what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Alert;
use super::template::{AnnotationContext, FeatureContext, LabelContext, RuleTemplates};
use crate::detect::FeatureScore;
use crate::labels::Labels;

/// An alert that is pending or firing.
#[derive(Debug, Clone)]
pub struct ActiveAlert {
    /// The name of its rule.
    pub rule: Arc<str>,
    /// The model.
    pub model: Arc<str>,
    /// The entity labels; `None` for the alert of a fleet.
    pub entity: Option<Labels>,
    /// The alert's labels, which say who it is for as long as it lives: those of the entity, over them those
    /// of the rule, and `alertname` and `model`.
    pub labels: Labels,
    /// State, times and value.
    pub alert: Alert,
    /// What the score has to be above.
    pub threshold: f64,
    /// Whether the value is of the last evaluation: an alert goes on for a while without a score.
    pub is_scored: bool,
    /// The features with the largest shares of the error, numbered by `feature_names`; none without a score.
    pub features: Vec<FeatureScore>,
    /// The features' names.
    pub feature_names: Arc<[String]>,
    /// Of a fleet, who is active: those with the largest scores, and no more than can be read.
    pub named: Vec<Labels>,
    /// Of a fleet, how many are active.
    pub active_entities: usize,
    /// The texts of its rule.
    pub templates: Arc<RuleTemplates>,
}

impl ActiveAlert {
    /// What it says, by name.
    #[must_use]
    pub fn annotations(&self) -> Vec<(&str, String)> {
        let feature = |it: &FeatureScore| FeatureContext {
            name: self.feature_names.get(it.feature as usize).map_or("", String::as_str),
            actual: it.actual.into(),
            expected: it.expected.into(),
            share: it.contribution.into(),
        };
        let context = AnnotationContext {
            alertname: &self.rule,
            model: &self.model,
            labels: self.labels.iter().collect(),
            is_fleet: self.entity.is_none(),
            entity_name: self.entity.as_ref().map_or_else(String::new, entity_name),
            score: self.alert.value,
            threshold: self.threshold,
            features: self.features.iter().map(feature).collect(),
            active_entities: self.active_entities,
            entities: self.named.iter().map(entity_name).collect(),
        };
        self.templates.annotations(&context)
    }
}

/// An entity in one word, where it has one.
fn entity_name(of: &Labels) -> String {
    match of.get("instance") {
        "" => of.to_string(),
        instance => instance.to_owned(),
    }
}

/// The labels of an alert.
pub(super) fn labels(
    rule: &str,
    model: &str,
    entity: Option<&Labels>,
    templates: &RuleTemplates,
) -> Labels {
    let mut all: BTreeMap<&str, &str> = entity.into_iter().flat_map(Labels::iter).collect();
    let is_fleet = entity.is_none();
    let of_rule = templates.labels(LabelContext { alertname: rule, model, labels: &all, is_fleet });
    all.extend(of_rule.iter().map(|(name, value)| (*name, value.as_str())));
    all.extend([("alertname", rule), ("model", model)]);
    Labels::from_pairs(all).unwrap_or_else(|_| Labels::empty())
}
