//! The `alerting` section of the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Durations;
use super::template::{DEFAULT_ANNOTATIONS, RuleTemplates};
use crate::duration::Duration;
use crate::labels::METRIC_NAME;
use crate::maintenance::{MaintenanceWindow, MaintenanceWindows};
use crate::setting::SettingError;

/// The `alerting` section of the configuration: which alerts there are. Without rules there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertingConfig {
    /// How long an alert outlives the scores of its entity.
    pub gone_after: Duration,
    /// The share of a model's scored entities that are active at once from which on they are one alert
    /// instead of one each; at least five entities. The one alert ends when half as many are active.
    pub fleet_ratio: f64,
    /// The rules.
    pub rules: Vec<AlertRule>,
    /// When notifications and actions are held back, which is known beforehand.
    pub maintenance_windows: Vec<MaintenanceWindow>,
    /// Silences that are active or pending, at most. Those that are over are remembered as long as there is
    /// room beside them.
    pub max_silences: usize,
}

impl Default for AlertingConfig {
    fn default() -> Self {
        Self {
            // A new model warms up for less: the alerts of the one before it go on.
            gone_after: Duration::from_seconds(20 * 60),
            // What half of the hosts have in common is not the trouble of any of them.
            fleet_ratio: 0.5,
            rules: Vec::new(),
            maintenance_windows: Vec::new(),
            // More than people keep in mind; a script that sets one at each run comes to it in time.
            max_silences: 1_000,
        }
    }
}

/// When there is an alert for an entity, and what it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// The name of the alert.
    pub alert: String,
    /// The models that it looks at; all of them without this.
    #[serde(default)]
    pub models: Vec<String>,
    /// How long an entity has to be active before the alert fires.
    #[serde(default = "five_minutes")]
    pub r#for: Duration,
    /// How long the alert goes on firing after the entity was active last.
    #[serde(default = "five_minutes")]
    pub keep_firing_for: Duration,
    /// The share of the threshold in force above which an entity stays active that is active already.
    #[serde(default = "all")]
    pub resolve_below: f64,
    /// Labels of the alert; templates.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the alert says beside them; templates. `summary` and `description` are there unless they are empty.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// As the rules in `examples/rules` have it: a host that is fine for a moment is one alert, not two.
fn five_minutes() -> Duration {
    Duration::from_seconds(300)
}

/// No hysteresis.
fn all() -> f64 {
    1.0
}

impl AlertingConfig {
    /// Checks the section for these models.
    ///
    /// # Errors
    /// The first thing in it that cannot work.
    pub fn validate(&self, models: &[&str]) -> Result<(), SettingError> {
        let wrong =
            |key: &str, reason: String| Err(SettingError::new(format!("alerting.{key}"), reason));
        if self.gone_after.as_ms() == 0 {
            return wrong("gone_after", "must be above 0".to_owned());
        }
        if !is_share(self.fleet_ratio) {
            return wrong("fleet_ratio", "must be above 0 and at most 1".to_owned());
        }
        if self.max_silences == 0 {
            return wrong("max_silences", "must be above 0".to_owned());
        }
        if let Err(error) = MaintenanceWindows::read(&self.maintenance_windows) {
            return wrong(&error.key, error.reason);
        }
        for (i, rule) in self.rules.iter().enumerate() {
            let key = format!("rules[{i}]");
            if rule.alert.is_empty() {
                return wrong(&key, "alert must not be empty".to_owned());
            }
            if self.rules[..i].iter().any(|other| other.alert == rule.alert) {
                return wrong(&key, format!("alert {:?} is there twice", rule.alert));
            }
            if let Some(unknown) = rule.models.iter().find(|it| !models.contains(&it.as_str())) {
                return wrong(&format!("{key}.models"), format!("there is no model {unknown:?}"));
            }
            if !is_share(rule.resolve_below) {
                let reason = "must be above 0 and at most 1".to_owned();
                return wrong(&format!("{key}.resolve_below"), reason);
            }
            for (what, texts) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
                if let Some(name) = texts.keys().find(|name| !is_name(name)) {
                    let reason = format!("{name:?} cannot be a name");
                    return wrong(&format!("{key}.{what}"), reason);
                }
            }
            if let Some((what, reason)) = rule.templates().errors().next() {
                return wrong(&format!("{key}.{what}"), reason.to_owned());
            }
            for own in ["alertname", "alertstate", "model"] {
                if rule.labels.contains_key(own) {
                    return wrong(&format!("{key}.labels"), format!("{own} has a meaning already"));
                }
            }
        }
        Ok(())
    }
}

impl AlertRule {
    /// Whether it looks at a model.
    #[must_use]
    pub fn covers(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|it| it == model)
    }

    /// The templates of its annotations, by name: its own, and those that are there where it says nothing.
    #[must_use]
    pub fn annotation_texts(&self) -> BTreeMap<&str, &str> {
        let mut all = BTreeMap::from(DEFAULT_ANNOTATIONS);
        all.extend(self.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        all.retain(|_, text| !text.is_empty());
        all
    }

    /// Its texts, ready for use.
    #[must_use]
    pub fn templates(&self) -> RuleTemplates {
        RuleTemplates::new(&self.labels, &self.annotations)
    }

    pub(super) fn durations(&self, gone_after: Duration) -> Durations {
        Durations {
            hold_ms: self.r#for.as_ms(),
            keep_firing_ms: self.keep_firing_for.as_ms(),
            gone_after_ms: gone_after.as_ms(),
        }
    }
}

fn is_share(value: f64) -> bool {
    value > 0.0 && value <= 1.0
}

/// As Prometheus's rules take it for labels and annotations.
fn is_name(text: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && text.chars().all(is_good) && text != METRIC_NAME
}
