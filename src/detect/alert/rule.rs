//! A rule at one model: its alerts for entities, and the one for all of them at once.
//!
//! In: the scores of an evaluation. Out: the alerts that begin to fire and those that are resolved.
//!
//! **A fleet** is one alert. When a share of the scored entities ([`fleet_ratio`](super::AlertingConfig)),
//! and at least [`LEAST_FLEET`], are active at once, the fleet is: its alert has the rule's `for` and
//! `keep_firing_for`, and from its first moment on no entity begins to fire, so that there is one alert and
//! not a thousand. Entities that already fire continue. It stays active until fewer than half as many are
//! active. Once it is resolved, the `for` of pending entities starts over: the rest of a fleet's
//! trouble is reported one by one. If it ends before it has fired, nobody was told of them, and they
//! fire when their own `for` is over.
//!
//! Invariant: there are no more alerts than the given limit; entities beyond it are counted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Alert, Condition, Durations, Effect, Resolution};
use crate::labels::Labels;

/// Of fewer entities each is worth an alert.
pub(super) const LEAST_FLEET: usize = 5;

/// How many entities the alert of a fleet names, those with the largest scores: as many as a message
/// about it can show.
pub(super) const NAMED_ENTITIES: usize = 50;

/// What one evaluation says of an entity.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub entity: Labels,
    pub score: f64,
    /// The threshold in force.
    pub threshold: f64,
    pub is_lasting: bool,
}

/// What a rule demands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub durations: Durations,
    pub resolve_below: f64,
    pub fleet_ratio: f64,
    /// Alerts for entities, at most.
    pub limit: usize,
}

/// An alert that fired or was resolved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AlertChange {
    /// `None` for the fleet.
    pub entity: Option<Labels>,
    pub alert: Alert,
    /// `None` where it fired.
    pub resolution: Option<Resolution>,
}

/// The alerts of one rule at one model.
#[derive(Debug, Default)]
pub(super) struct RuleAlerts {
    pub fleet: Option<Alert>,
    pub entities: BTreeMap<Labels, Alert>,
    /// Who is active while the fleet is, the largest scores first.
    pub named: Vec<Labels>,
    /// How many are active.
    pub active: usize,
    /// Entities that were active at the last evaluation and have no alert for want of room.
    pub refused: usize,
}

impl RuleAlerts {
    /// Takes an evaluation. Readings are of different entities.
    pub fn evaluate(
        &mut self,
        now_ms: i64,
        terms: &Terms,
        readings: &[Reading],
    ) -> Vec<AlertChange> {
        let mut changes = Vec::new();
        let conditions: Vec<Condition> =
            readings.iter().map(|it| self.condition(it, terms.resolve_below)).collect();
        self.active = conditions.iter().filter(|it| **it == Condition::Active).count();
        self.fleet(now_ms, terms, readings.len(), &mut changes);
        let is_held = self.fleet.is_some();
        self.named = if is_held { named(readings, &conditions) } else { Vec::new() };
        self.refused = 0;
        for (reading, condition) in readings.iter().zip(conditions) {
            self.entity(now_ms, terms, (reading, condition, is_held), &mut changes);
        }
        let durations = terms.durations;
        self.entities.retain(|entity, alert| {
            if alert.scored_ms == now_ms {
                return true;
            }
            let outcome = alert.step(now_ms, durations, Condition::Unscored, is_held);
            changes.extend(change(Some(entity), alert, outcome));
            !matches!(outcome, Effect::Ended(_))
        });
        changes
    }

    /// So much time has passed that counts for nothing.
    pub fn pause(&mut self, ms: i64) {
        self.fleet.iter_mut().chain(self.entities.values_mut()).for_each(|it| it.pause(ms));
    }

    /// Ends all alerts.
    pub fn remove(self) -> impl Iterator<Item = AlertChange> {
        let entities = self.entities.into_iter().map(|(entity, alert)| (Some(entity), alert));
        let all = self.fleet.map(|alert| (None, alert)).into_iter().chain(entities);
        let removed = Effect::Ended(Resolution::Removed);
        all.filter_map(move |(entity, alert)| change(entity.as_ref(), &alert, removed))
    }

    fn condition(&self, reading: &Reading, resolve_below: f64) -> Condition {
        let Reading { entity, score, threshold, is_lasting } = reading;
        if *is_lasting {
            return Condition::Calm(Resolution::Lasting);
        }
        let is_above = |share: f64| *score > threshold * share;
        match is_above(1.0) || is_above(resolve_below) && self.entities.contains_key(entity) {
            true => Condition::Active,
            false => Condition::Calm(Resolution::Calm),
        }
    }

    fn fleet(&mut self, now_ms: i64, terms: &Terms, scored: usize, changes: &mut Vec<AlertChange>) {
        let needed = (terms.fleet_ratio * scored as f64).max(LEAST_FLEET as f64);
        let active = self.active as f64;
        let needed = if self.fleet.is_some() { needed / 2.0 } else { needed };
        let condition = match (scored, active >= needed) {
            (0, _) => Condition::Unscored,
            (_, true) => Condition::Active,
            (_, false) => Condition::Calm(Resolution::Calm),
        };
        if condition == Condition::Active && self.fleet.is_none() {
            self.fleet = Some(Alert::begin(now_ms));
        }
        let Some(alert) = &mut self.fleet else { return };
        if scored > 0 {
            alert.value = active / scored as f64;
        }
        let outcome = alert.step(now_ms, terms.durations, condition, false);
        changes.extend(change(None, alert, outcome));
        if matches!(outcome, Effect::Ended(_)) {
            let was_firing = alert.fired_ms.is_some();
            self.fleet = None;
            let pending = self.entities.values_mut().filter(|it| it.fired_ms.is_none());
            pending.filter(|_| was_firing).for_each(|it| {
                // Without what it may be moved by once there is a score again.
                it.active_since_ms = it.unscored_since_ms.unwrap_or(now_ms);
            });
        }
    }

    fn entity(
        &mut self,
        now_ms: i64,
        terms: &Terms,
        (reading, condition, is_held): (&Reading, Condition, bool),
        changes: &mut Vec<AlertChange>,
    ) {
        let count = self.entities.len();
        let mut place = match self.entities.entry(reading.entity.clone()) {
            Entry::Occupied(place) => place,
            Entry::Vacant(_) if condition != Condition::Active => return,
            Entry::Vacant(_) if count >= terms.limit => {
                self.refused += 1;
                return;
            }
            Entry::Vacant(place) => place.insert_entry(Alert::begin(now_ms)),
        };
        let alert = place.get_mut();
        alert.value = reading.score;
        let outcome = alert.step(now_ms, terms.durations, condition, is_held);
        changes.extend(change(Some(&reading.entity), alert, outcome));
        if matches!(outcome, Effect::Ended(_)) {
            place.remove();
        }
    }
}

/// Those who are active with the largest scores.
fn named(readings: &[Reading], conditions: &[Condition]) -> Vec<Labels> {
    let pairs = readings.iter().zip(conditions);
    let mut active: Vec<&Reading> =
        pairs.filter(|(_, it)| **it == Condition::Active).map(|(reading, _)| reading).collect();
    let order = |a: &&Reading, b: &&Reading| {
        b.score.total_cmp(&a.score).then_with(|| a.entity.cmp(&b.entity))
    };
    active.sort_by(order);
    active.into_iter().take(NAMED_ENTITIES).map(|it| it.entity.clone()).collect()
}

/// What others are told of a step.
fn change(entity: Option<&Labels>, alert: &Alert, outcome: Effect) -> Option<AlertChange> {
    let resolution = match outcome {
        Effect::Fired => None,
        Effect::Ended(resolution) if alert.fired_ms.is_some() => Some(resolution),
        Effect::Ended(_) | Effect::GoesOn => return None,
    };
    Some(AlertChange { entity: entity.cloned(), alert: *alert, resolution })
}
