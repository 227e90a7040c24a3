//! Alerting: all rules at all models.
//!
//! In: the evaluations of a tick. Out: what is pending and firing, and what fired or was resolved at this
//! tick. Alerts are kept by the names of rule and model and by the entity's labels, so that they outlive
//! slots, reloads, new files of a model and restarts: a rule continues even if its `for` changes.
//! Alerts of rules and models that are no longer configured end at the next tick, and their end is reported.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::active::{ActiveAlert, labels};
use super::config::{AlertRule, AlertingConfig};
use super::rule::{AlertChange, Reading, RuleAlerts, Terms};
use super::template::RuleTemplates;
use super::{Alert, Resolution};
use crate::detect::{AnomalyState, EntityScore, FeatureScore, ModelKey, ModelSnapshot};
use crate::labels::Labels;

/// How many features an alert names: those with the largest shares.
const NAMED_FEATURES: usize = 3;

/// What an alert takes of memory, estimated: itself twice (here and in a snapshot), its labels and features, its place
/// in a tree and labels that nobody else holds any more.
const ALERT_BYTES: usize = 2 * size_of::<(Labels, Alert)>()
    + size_of::<ActiveAlert>()
    + 3 * size_of::<FeatureScore>()
    + 384;

/// What is known of alerts after a tick.
#[derive(Debug, Clone, Default)]
pub struct AlertSnapshot {
    /// The rules, in the configuration's order.
    pub rules: Arc<[AlertRule]>,
    /// By model, those that rules look at and that have been evaluated.
    pub models: Vec<Arc<ModelAlertSnapshot>>,
    /// What fired or was resolved at this tick.
    pub transitions: Vec<Transition>,
}

/// The alerts of one model after its last evaluation.
#[derive(Debug, Clone)]
pub struct ModelAlertSnapshot {
    /// The model.
    pub model: Arc<str>,
    /// The tick of the evaluation.
    pub time_ms: i64,
    /// What is pending or firing, by rule, that of the fleet before those of its entities.
    pub active: Vec<ActiveAlert>,
    /// Entities that have no alert because there are too many.
    pub refused: usize,
}

/// An alert that fired or was resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The name of its rule.
    pub rule: Arc<str>,
    /// The model.
    pub model: Arc<str>,
    /// The entity labels; `None` for the alert of a fleet.
    pub entity: Option<Labels>,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// The alert as it is then, or as it was last.
    pub alert: Alert,
    /// Why it is resolved. `None` where it fired.
    pub resolution: Option<Resolution>,
}

/// One alert, for those who keep it over the end of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertMemory {
    /// The name of its rule.
    pub rule: String,
    /// The entity labels; `None` for the alert of a fleet.
    pub entity: Option<Labels>,
    /// State, times and value.
    pub alert: Alert,
}

/// The alerts of one model, for those who keep them over the end of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertsMemory {
    /// The model's name, by which they are found again: a new file of it does not end its alerts.
    pub model: String,
    /// The model that they were of.
    pub key: ModelKey,
    /// Its last evaluation: milliseconds since the epoch.
    pub evaluated_ms: i64,
    /// Its alerts.
    pub alerts: Vec<AlertMemory>,
}

/// The alerts of all rules.
#[derive(Debug, Default)]
pub(in crate::detect) struct Alerting {
    config: AlertingConfig,
    rules: Arc<[AlertRule]>,
    /// The texts of the rules, by their names.
    templates: BTreeMap<String, Arc<RuleTemplates>>,
    /// Alerts of a rule and a model, at most.
    limit: usize,
    models: BTreeMap<Arc<str>, ModelAlerts>,
}

/// The alerts of one model.
#[derive(Debug, Default)]
struct ModelAlerts {
    /// The last evaluation that did not fail.
    evaluated_ms: Option<i64>,
    rules: BTreeMap<Arc<str>, RuleAlerts>,
    snapshot: Option<Arc<ModelAlertSnapshot>>,
}

impl AlertSnapshot {
    /// What is pending or firing.
    pub fn active(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.models.iter().flat_map(|it| &it.active)
    }
}

impl ModelAlertSnapshot {
    fn without(&self, rule: &str) -> Arc<Self> {
        let mut it = self.clone();
        it.active.retain(|it| *it.rule != *rule);
        Arc::new(it)
    }
}

impl Alerting {
    /// Other rules from now on.
    pub fn set_config(&mut self, config: AlertingConfig) {
        self.rules = Arc::from(&*config.rules);
        let templates = |it: &AlertRule| (it.alert.clone(), Arc::new(it.templates()));
        self.templates = self.rules.iter().map(templates).collect();
        self.config = config;
    }

    /// No more alerts of a rule and a model than these from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the evaluations of a tick, of some of the models that there are.
    pub fn tick(
        &mut self,
        now_ms: i64,
        models: &[&str],
        evaluated: &[Arc<ModelSnapshot>],
    ) -> AlertSnapshot {
        let mut transitions = self.remove_former(now_ms, models);
        for snapshot in evaluated {
            if self.rules.iter().any(|it| it.covers(&snapshot.model)) {
                self.evaluate(now_ms, snapshot, &mut transitions);
            }
        }
        let models = self.models.values().filter_map(|it| it.snapshot.clone()).collect();
        AlertSnapshot { rules: Arc::clone(&self.rules), models, transitions }
    }

    fn evaluate(
        &mut self,
        now_ms: i64,
        snapshot: &ModelSnapshot,
        transitions: &mut Vec<Transition>,
    ) {
        let name: Arc<str> = Arc::from(&*snapshot.model);
        let model = self.models.entry(Arc::clone(&name)).or_default();
        if snapshot.failure().is_none() {
            model.pause(now_ms, snapshot);
            let readings: Vec<Reading> = snapshot.entities.iter().map(reading).collect();
            for rule in self.rules.iter().filter(|it| it.covers(&name)) {
                let terms = Terms {
                    durations: rule.durations(self.config.gone_after),
                    resolve_below: rule.resolve_below,
                    fleet_ratio: self.config.fleet_ratio,
                    limit: self.limit,
                };
                let rule: Arc<str> = Arc::from(&*rule.alert);
                let alerts = model.rules.entry(Arc::clone(&rule)).or_default();
                let changes = alerts.evaluate(now_ms, &terms, &readings);
                transitions.extend(changes.into_iter().map(transition(now_ms, &rule, &name)));
            }
        }
        model.snapshot = Some(Arc::new(model.snapshot(now_ms, &name, snapshot, &self.templates)));
    }

    /// Ends the alerts of rules and models that are no more.
    fn remove_former(&mut self, now_ms: i64, models: &[&str]) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for (name, model) in &mut self.models {
            let is_here = models.contains(&&**name);
            let is_kept = |rule: &Arc<str>| {
                is_here && self.rules.iter().any(|it| it.alert == **rule && it.covers(name))
            };
            for (rule, alerts) in model.rules.extract_if(.., |rule, _| !is_kept(rule)) {
                transitions.extend(alerts.remove().map(transition(now_ms, &rule, name)));
                model.snapshot = model.snapshot.as_deref().map(|it| it.without(&rule));
            }
        }
        self.models.retain(|name, _| {
            models.contains(&&**name) && self.rules.iter().any(|it| it.covers(name))
        });
        transitions
    }

    /// The alerts of a model, for another pipeline that goes on with them.
    pub fn memory(&self, model: &str, key: ModelKey) -> Option<AlertsMemory> {
        let of = self.models.get(model)?;
        let memory = |rule: &Arc<str>, entity: Option<&Labels>, alert: &Alert| AlertMemory {
            rule: rule.to_string(),
            entity: entity.cloned(),
            alert: *alert,
        };
        let mut alerts = Vec::new();
        for (rule, it) in &of.rules {
            alerts.extend(it.fleet.iter().map(|alert| memory(rule, None, alert)));
            alerts.extend(it.entities.iter().map(|(key, alert)| memory(rule, Some(key), alert)));
        }
        (!alerts.is_empty()).then_some(AlertsMemory {
            model: model.to_owned(),
            key,
            evaluated_ms: of.evaluated_ms?,
            alerts,
        })
    }

    /// Goes on with alerts that another pipeline had. Those that are here already stay as they are.
    pub fn restore(&mut self, memory: &AlertsMemory) {
        let model = self.models.entry(Arc::from(&*memory.model)).or_default();
        model.evaluated_ms.get_or_insert(memory.evaluated_ms);
        for AlertMemory { rule, entity, alert } in &memory.alerts {
            let alerts = model.rules.entry(Arc::from(&**rule)).or_default();
            match entity {
                Some(entity) => {
                    alerts.entities.entry(entity.clone()).or_insert(*alert);
                }
                None => {
                    alerts.fleet.get_or_insert(*alert);
                }
            }
        }
    }

    /// Memory, estimated.
    pub fn bytes(&self) -> usize {
        let rules = self.models.values().flat_map(|it| it.rules.values());
        rules.map(|it| (it.entities.len() + it.named.len()) * ALERT_BYTES).sum()
    }
}

impl ModelAlerts {
    /// Time without evaluations counts for nothing.
    fn pause(&mut self, now_ms: i64, snapshot: &ModelSnapshot) {
        let Some(last_ms) = self.evaluated_ms.replace(now_ms) else { return };
        if now_ms <= last_ms || !snapshot.is_current(last_ms) {
            let lost_ms = now_ms.saturating_sub(last_ms).saturating_sub(snapshot.interval_ms);
            self.rules.values_mut().for_each(|it| it.pause(lost_ms));
        }
    }

    fn snapshot(
        &self,
        now_ms: i64,
        name: &Arc<str>,
        of: &ModelSnapshot,
        templates: &BTreeMap<String, Arc<RuleTemplates>>,
    ) -> ModelAlertSnapshot {
        let mut active = Vec::new();
        for (rule, alerts) in &self.rules {
            let templates = templates.get(&**rule).map(Arc::clone).unwrap_or_default();
            let shown = |entity: Option<&Labels>, alert: &Alert, features| ActiveAlert {
                rule: Arc::clone(rule),
                model: Arc::clone(name),
                entity: entity.cloned(),
                labels: labels(rule, name, entity, &templates),
                alert: *alert,
                threshold: 1.0,
                is_scored: alert.scored_ms == now_ms && of.failure().is_none(),
                features,
                feature_names: Arc::clone(&of.feature_names),
                named: Vec::new(),
                active_entities: 0,
                templates: Arc::clone(&templates),
            };
            active.extend(alerts.fleet.iter().map(|alert| ActiveAlert {
                named: alerts.named.clone(),
                active_entities: alerts.active,
                ..shown(None, alert, Vec::new())
            }));
            active.extend(alerts.entities.iter().map(|(entity, alert)| {
                let score = of.entities.binary_search_by(|it| it.entity.cmp(entity));
                let score = score.ok().map(|place| &of.entities[place]);
                let features = score.into_iter().flat_map(EntityScore::contributions);
                let features = features.take(NAMED_FEATURES).copied().collect();
                let threshold = score.map_or(1.0, |it| it.threshold);
                ActiveAlert { threshold, ..shown(Some(entity), alert, features) }
            }));
        }
        let refused = self.rules.values().map(|it| it.refused).sum();
        ModelAlertSnapshot { model: Arc::clone(name), time_ms: now_ms, active, refused }
    }
}

fn reading(of: &EntityScore) -> Reading {
    Reading {
        entity: of.entity.clone(),
        score: of.score,
        threshold: of.threshold,
        is_lasting: of.state == AnomalyState::Lasting,
    }
}

/// What is told of changes of a rule at a model.
fn transition(
    now_ms: i64,
    rule: &Arc<str>,
    model: &Arc<str>,
) -> impl Fn(AlertChange) -> Transition {
    let (rule, model) = (Arc::clone(rule), Arc::clone(model));
    move |AlertChange { entity, alert, resolution }| Transition {
        rule: Arc::clone(&rule),
        model: Arc::clone(&model),
        entity,
        at_ms: now_ms,
        alert,
        resolution,
    }
}
