//! A ledger: what one receiver has been told of which alerts.
//!
//! In: at each look the alerts that fire, and what became of attempts to tell. Out: who is due to be told of,
//! and the memory of it for the next process. There is no queue: what is due is the difference between what
//! is and what has been told, so that a receiver that comes back after an hour hears what is so then, once,
//! and there is never more to tell than there are alerts.
//!
//! **Firing** is due until it has been told. **Resolved** is due once it has been told to fire; an alert that
//! nobody was told of just goes. A receiver that keeps what it hears for a while only ([`Style::Again`], an
//! Alertmanager) is told again and again, as Prometheus does it: firing alerts every `resend_delay`, resolved
//! ones for another 15 minutes.
//!
//! **An alert is resolved** when its model has been evaluated without it, or its rule or model is no longer
//! configured. A model that has not been evaluated yet in this process says nothing: what was told before a
//! restart stays as it is.
//!
//! **Held back** is an alert that is muted, or that the receiver's matchers do not match, before anybody was
//! told of it. One that has been told of goes on to be told of, though it is muted now or a reload brought
//! matchers that do not match it: its end is news to those who know of it, and to tell them before that it had
//! ended would be wrong.
//!
//! Times are milliseconds since the epoch and arguments; a clock that is set back makes nothing wait longer.
//! Source: Prometheus, `rules/alerting.go` (`needsSending`, `resolvedRetention`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::detect::alert::{Alert, AlertMemory};
use crate::labels::Labels;

/// How long a resolved alert is told of again to who forgets: as Prometheus.
const RESOLVED_MS: i64 = 15 * 60 * 1000;

/// How a receiver wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Once when it fires, and once more when it is resolved if it wants to know that.
    Once { send_resolved: bool },
    /// Again every so many milliseconds.
    Again { every_ms: i64 },
}

/// An alert that fires, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Firing {
    pub rule: Arc<str>,
    pub model: Arc<str>,
    /// The entity labels; `None` of a fleet.
    pub entity: Option<Labels>,
    pub fired_ms: i64,
    /// It is muted, or the receiver does not want it.
    pub is_held_back: bool,
}

/// What is seen at one look.
pub(super) struct Look<'a> {
    /// What fires, by labels.
    pub firing: BTreeMap<&'a Labels, Firing>,
    /// The models that have been evaluated.
    pub evaluated: BTreeSet<&'a str>,
    /// Whether a rule looks at a model.
    pub is_configured: &'a dyn Fn(&str, &str) -> bool,
}

/// What is due to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub labels: Labels,
    /// The entity labels; `None` of a fleet.
    pub entity: Option<Labels>,
    pub fired_ms: i64,
    /// When it was resolved; `None` while it fires.
    pub resolved_ms: Option<i64>,
    /// What it said when it was told of last.
    pub said: Arc<[(String, String)]>,
}

/// What is known of one alert.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    rule: Arc<str>,
    model: Arc<str>,
    entity: Option<Labels>,
    fired_ms: i64,
    resolved_ms: Option<i64>,
    /// What the receiver believes: when what fires for it had fired, and when it was told so last.
    believed: Option<Belief>,
    /// When it was tried last to tell of it.
    tried_ms: Option<i64>,
    said: Arc<[(String, String)]>,
}

/// What a receiver was told of an alert last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Belief {
    fired_ms: i64,
    told_ms: i64,
}

/// What is kept of one alert over the end of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    labels: BTreeMap<String, String>,
    rule: String,
    model: String,
    entity: Option<BTreeMap<String, String>>,
    fired_ms: i64,
    resolved_ms: Option<i64>,
    told_ms: i64,
}

impl Told {
    /// What fires as far as the receiver knows: the model, and the alert of its rule.
    pub(super) fn firing(&self) -> Option<(&str, AlertMemory)> {
        let alert = Alert {
            active_since_ms: self.fired_ms,
            fired_ms: Some(self.fired_ms),
            keep_firing_since_ms: None,
            unscored_since_ms: None,
            scored_ms: self.told_ms,
            value: f64::NAN,
        };
        let memory = AlertMemory { rule: self.rule.clone(), entity: self.entity(), alert };
        self.resolved_ms.is_none().then_some((&*self.model, memory))
    }

    fn entity(&self) -> Option<Labels> {
        self.entity.as_ref().and_then(|it| Labels::from_pairs(it).ok())
    }
}

/// What one receiver has been told.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    style: Style,
    entries: BTreeMap<Labels, Entry>,
    /// Resolved alerts that wait to be told of, at most.
    max_resolved: usize,
}

impl Ledger {
    /// One that goes on with what is remembered.
    pub fn new(style: Style, max_resolved: usize, told: &[Told]) -> Self {
        let entry = |it: &Told| {
            let labels = Labels::from_pairs(&it.labels).ok()?;
            let entry = Entry {
                rule: Arc::from(&*it.rule),
                model: Arc::from(&*it.model),
                entity: it.entity(),
                fired_ms: it.fired_ms,
                resolved_ms: it.resolved_ms,
                believed: Some(Belief { fired_ms: it.fired_ms, told_ms: it.told_ms }),
                tried_ms: None,
                said: Arc::default(),
            };
            Some((labels, entry))
        };
        Self { style, entries: told.iter().filter_map(entry).collect(), max_resolved }
    }

    /// What is to be remembered: all that has been told.
    pub fn told(&self) -> Vec<Told> {
        let told = |(labels, entry): (&Labels, &Entry)| {
            let Belief { fired_ms, told_ms } = entry.believed?;
            let owned = |of: &Labels| {
                of.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            };
            Some(Told {
                labels: owned(labels),
                entity: entry.entity.as_ref().map(owned),
                rule: entry.rule.to_string(),
                model: entry.model.to_string(),
                fired_ms,
                resolved_ms: entry.resolved_ms,
                told_ms,
            })
        };
        self.entries.iter().filter_map(told).collect()
    }

    /// Takes what fires now. Gives how many resolved alerts are given up, as there are too many.
    pub fn look(&mut self, now_ms: i64, look: &Look) -> usize {
        for (labels, firing) in &look.firing {
            match self.entries.get_mut(*labels) {
                Some(entry) if entry.is(firing) => {
                    if !entry.is_known() && firing.is_held_back {
                        entry.resolve(now_ms);
                    }
                }
                // Another time: whoever believes in the last one hears of its end, or of this one.
                Some(entry) if firing.is_held_back => entry.resolve(now_ms),
                Some(entry) => entry.fire_again(firing),
                None if firing.is_held_back => {}
                None => {
                    self.entries.insert((*labels).clone(), Entry::new(firing));
                }
            }
        }
        let style = self.style;
        self.entries.retain(|labels, entry| {
            let is_known = look.evaluated.contains(&*entry.model)
                || !(look.is_configured)(&entry.rule, &entry.model);
            if !look.firing.contains_key(labels) && is_known {
                entry.resolve(now_ms);
            }
            entry.resolved_ms.is_none_or(|at_ms| match style {
                _ if entry.believed.is_none() => false,
                Style::Once { send_resolved } => send_resolved,
                Style::Again { .. } => (0..RESOLVED_MS).contains(&now_ms.saturating_sub(at_ms)),
            })
        });
        self.give_up()
    }

    /// Forgets those that were resolved first where there are too many.
    fn give_up(&mut self) -> usize {
        let resolved =
            self.entries.iter().filter_map(|(labels, it)| Some((it.resolved_ms?, labels)));
        let mut resolved: Vec<_> = resolved.collect();
        let excess = resolved.len().saturating_sub(self.max_resolved);
        if excess > 0 {
            resolved.sort_unstable();
            let former: Vec<Labels> = resolved[..excess].iter().map(|it| it.1.clone()).collect();
            former.iter().for_each(|it| drop(self.entries.remove(it)));
        }
        excess
    }

    /// What is due, those first that were not tried or longest ago; no more than so many of them.
    pub fn due(&self, now_ms: i64, limit: usize) -> Vec<Due> {
        let due = self.entries.iter().filter(|(_, it)| it.is_due(now_ms, self.style));
        let mut due: Vec<_> = due.map(|(labels, it)| (it.tried_ms, labels, it)).collect();
        due.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        due.truncate(limit);
        let shown = |(_, labels, it): (_, &Labels, &Entry)| Due {
            labels: labels.clone(),
            entity: it.entity.clone(),
            fired_ms: it.fired_ms,
            resolved_ms: it.resolved_ms,
            said: Arc::clone(&it.said),
        };
        due.into_iter().map(shown).collect()
    }

    /// How many are due.
    pub fn waiting(&self, now_ms: i64) -> usize {
        self.entries.values().filter(|it| it.is_due(now_ms, self.style)).count()
    }

    /// It was tried to tell of these.
    pub fn tried(&mut self, now_ms: i64, of: &[Due]) {
        for due in of {
            if let Some(entry) = self.entries.get_mut(&due.labels) {
                entry.tried_ms = Some(now_ms);
            }
        }
    }

    /// These have been told of.
    pub fn told_of(&mut self, now_ms: i64, of: &[Due]) {
        for due in of {
            let Some(entry) = self.entries.get_mut(&due.labels) else { continue };
            if entry.fired_ms != due.fired_ms {
                continue;
            }
            entry.believed = Some(Belief { fired_ms: due.fired_ms, told_ms: now_ms });
            entry.said = Arc::clone(&due.said);
            if due.resolved_ms.is_some() && matches!(self.style, Style::Once { .. }) {
                self.entries.remove(&due.labels);
            }
        }
    }
}

impl Entry {
    fn new(of: &Firing) -> Self {
        Self {
            rule: Arc::clone(&of.rule),
            model: Arc::clone(&of.model),
            entity: of.entity.clone(),
            fired_ms: of.fired_ms,
            resolved_ms: None,
            believed: None,
            tried_ms: None,
            said: Arc::default(),
        }
    }

    /// Whether it is of the same time that the alert fires.
    fn is(&self, firing: &Firing) -> bool {
        self.fired_ms == firing.fired_ms && self.resolved_ms.is_none()
    }

    /// Whether the receiver believes that it fires, of this time.
    fn is_known(&self) -> bool {
        self.believed.is_some_and(|it| it.fired_ms == self.fired_ms)
    }

    /// It fires again, and the receiver must be told whatever it was told before.
    fn fire_again(&mut self, firing: &Firing) {
        *self = Self { believed: self.believed, ..Self::new(firing) };
    }

    /// It does not fire any more: what ends for the receiver is what that believes in.
    fn resolve(&mut self, now_ms: i64) {
        self.fired_ms = self.believed.map_or(self.fired_ms, |it| it.fired_ms);
        self.resolved_ms.get_or_insert(now_ms.max(self.fired_ms));
    }

    fn is_due(&self, now_ms: i64, style: Style) -> bool {
        let Some(Belief { told_ms, .. }) = self.believed.filter(|_| self.is_known()) else {
            return true;
        };
        match style {
            Style::Once { .. } => self.resolved_ms.is_some(),
            Style::Again { every_ms } => {
                let is_news = self.resolved_ms.is_some_and(|it| told_ms < it);
                is_news || !(0..every_ms).contains(&now_ms.saturating_sub(told_ms))
            }
        }
    }
}
