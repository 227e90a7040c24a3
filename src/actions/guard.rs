//! A guard: which action may be run now, and why not.
//!
//! In, at each look: the alerts that fire, and what speaks against doing anything; between looks the ends of
//! what was begun. Out: what to begin, what is held back and why, and whether what was done has helped. Time
//! is an argument; nothing is run here.
//!
//! **Once.** An action is begun at most once for each firing: a rule at a model and an entity, with the time at
//! which it fired. That goes for a dry run, too: who turns it off waits for the next firing. What is held back
//! is not lost: it is looked at again as long as the alert fires and its score is above the threshold. The
//! alerts themselves are the queue, so there is none that grows.
//!
//! **One at a time** at an entity, of whatever action: while a command runs there, and until it is known
//! whether it helped, nothing else begins.
//!
//! **Verification.** `verify_within` after the end of a command the entity has to have a score, and that not
//! above its threshold. Whether its alert still fires says nothing: it may have ended because the host is gone,
//! or because what lasts is no news. An action that failed or did not help stops: nothing is done at that
//! entity for `retry_after`, unless an operator says so ([`Guard::allow_again`]).
//!
//! **Time.** What counts is the time between looks. A clock that is set back takes everything that is remembered
//! with it, so that no interval grows.
//!
//! Invariants, whatever comes: no more commands at once than `max_concurrent`, no more begun within an hour
//! than `max_per_hour` (dry runs have an hour of their own), no more remembered than [`MOST_REMEMBERED`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::attempt::{AttemptKey, AttemptProgress, AttemptRecord};
use super::config::{ActionConfig, ActionsConfig};
use super::decision::{FiringAlert, GuardDecision, GuardInput, HeldBack};
use crate::duration::{DAY_MS, HOUR_MS};
use crate::labels::Labels;

/// An attempt is remembered for so long after its alert was seen last: an evaluation that fails, or a model
/// that is away for a while, does not bring the same firing back as a new one.
const FORGET_AFTER_MS: i64 = DAY_MS;

/// Attempts that are remembered, at most: some megabytes. Where it is full nothing begins.
pub const MOST_REMEMBERED: usize = 10_000;

/// The guard of all actions.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    config: ActionsConfig,
    names: Vec<Arc<str>>,
    pub(super) last_ms: Option<i64>,
    pub(super) attempts: BTreeMap<AttemptKey, AttemptRecord>,
    /// When commands and dry runs began within the last hour.
    pub(super) begun: [VecDeque<i64>; 2],
    running: usize,
    /// What was held back at the last look.
    held: BTreeMap<AttemptKey, (i64, HeldBack)>,
}

/// What speaks against a further attempt, from what is remembered.
#[derive(Default)]
struct Past {
    /// By action, its last beginning.
    actions: BTreeMap<Arc<str>, i64>,
    /// By action and entity, its last beginning there.
    entities: BTreeMap<(Arc<str>, Labels), i64>,
    /// Entities at which nothing may be begun.
    closed: BTreeMap<Labels, HeldBack>,
}

impl Guard {
    /// One that remembers nothing.
    #[must_use]
    pub fn new(config: ActionsConfig) -> Self {
        let mut guard = Self::default();
        guard.set_config(config);
        guard
    }

    /// Other actions from now on. What is remembered stays, by their names.
    pub fn set_config(&mut self, config: ActionsConfig) {
        self.names = config.list.iter().map(|it| Arc::from(&*it.name)).collect();
        self.config = config;
    }

    /// The actions.
    #[must_use]
    pub fn config(&self) -> &ActionsConfig {
        &self.config
    }

    /// How many commands run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many attempts are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.attempts.len()
    }

    /// What was held back at the last look, and why.
    pub fn held(&self) -> impl Iterator<Item = (&AttemptKey, HeldBack)> {
        self.held.iter().map(|(key, (_, reason))| (key, *reason))
    }

    /// Looks at what fires.
    pub fn look(&mut self, input: &GuardInput<'_>) -> Vec<GuardDecision> {
        self.pass(input.now_ms);
        let mut decisions = self.judge(input);
        self.forget(input);
        let mut past = self.past(input.now_ms);
        let mut order: Vec<&FiringAlert> = input.firing.iter().collect();
        order.sort_by(|a, b| {
            let times = a.fired_ms.cmp(&b.fired_ms);
            times.then_with(|| (&a.rule, &a.model, &a.entity).cmp(&(&b.rule, &b.model, &b.entity)))
        });
        let mut held = BTreeMap::new();
        for alert in order {
            for i in 0..self.config.list.len() {
                if !self.config.list[i].alerts.iter().any(|it| **it == *alert.rule) {
                    continue;
                }
                let key = AttemptKey {
                    action: Arc::clone(&self.names[i]),
                    rule: Arc::clone(&alert.rule),
                    model: Arc::clone(&alert.model),
                    entity: alert.entity.clone(),
                };
                if self.attempts.get(&key).is_some_and(|it| it.fired_ms == alert.fired_ms) {
                    continue;
                }
                let fired_ms = alert.fired_ms;
                match self.reason(input, alert, (i, &key), &past) {
                    Some(reason) => {
                        if self.held.get(&key) != Some(&(fired_ms, reason)) {
                            let key = key.clone();
                            decisions.push(GuardDecision::Hold { key, fired_ms, reason });
                        }
                        held.insert(key, (fired_ms, reason));
                    }
                    None => {
                        let is_dry_run = self.begin(input.now_ms, i, &key, fired_ms, &mut past);
                        decisions.push(GuardDecision::Start { key, fired_ms, is_dry_run });
                    }
                }
            }
        }
        self.held = held;
        decisions
    }

    /// A command has ended, well or not. What is not known to run is passed over.
    pub fn finished(&mut self, now_ms: i64, key: &AttemptKey, is_success: bool) {
        self.pass(now_ms);
        let Some(attempt) = self.attempts.get_mut(key) else { return };
        if attempt.progress != AttemptProgress::Running {
            return;
        }
        self.running = self.running.saturating_sub(1);
        attempt.progress = match is_success {
            true => AttemptProgress::Verifying { due_ms: now_ms.saturating_add(attempt.verify_ms) },
            false => AttemptProgress::Stopped { until_ms: now_ms.saturating_add(attempt.retry_ms) },
        };
    }

    /// An operator says that what was stopped may be tried again, at the next firing. Says how many were.
    pub fn allow_again(&mut self) -> usize {
        let mut count = 0;
        for attempt in self.attempts.values_mut() {
            if let AttemptProgress::Stopped { until_ms } = &mut attempt.progress
                && self.last_ms.is_none_or(|now_ms| now_ms < *until_ms)
            {
                *until_ms = i64::MIN;
                count += 1;
            }
        }
        count
    }

    /// Time goes on. Where it goes back, everything does.
    pub(super) fn pass(&mut self, now_ms: i64) {
        let Some(last_ms) = self.last_ms.replace(now_ms) else { return };
        let back_ms = last_ms.saturating_sub(now_ms);
        if back_ms <= 0 {
            return;
        }
        let shift = |ms: &mut i64| *ms = ms.saturating_sub(back_ms);
        self.begun.iter_mut().flatten().for_each(shift);
        for attempt in self.attempts.values_mut() {
            shift(&mut attempt.started_ms);
            attempt.absent_since_ms.iter_mut().for_each(shift);
            match &mut attempt.progress {
                AttemptProgress::Verifying { due_ms: ms }
                | AttemptProgress::Stopped { until_ms: ms } => shift(ms),
                _ => {}
            }
        }
    }

    /// Whether what was done has helped, of those whose time has come.
    fn judge(&mut self, input: &GuardInput<'_>) -> Vec<GuardDecision> {
        let mut verdicts = Vec::new();
        for (key, attempt) in &mut self.attempts {
            let AttemptProgress::Verifying { due_ms } = attempt.progress else { continue };
            if input.now_ms < due_ms {
                continue;
            }
            let has_helped = (input.is_calm)(&key.model, &key.entity);
            attempt.progress = match has_helped {
                true => AttemptProgress::Helped,
                false => AttemptProgress::Stopped {
                    until_ms: input.now_ms.saturating_add(attempt.retry_ms),
                },
            };
            verdicts.push(GuardDecision::Verdict { key: key.clone(), has_helped });
        }
        verdicts
    }

    /// Drops what can make no difference any more.
    fn forget(&mut self, input: &GuardInput<'_>) {
        let now_ms = input.now_ms;
        for begun in &mut self.begun {
            while begun.front().is_some_and(|it| now_ms.saturating_sub(*it) >= HOUR_MS) {
                begun.pop_front();
            }
        }
        let mut firing: Vec<(&str, &str, &Labels)> =
            input.firing.iter().map(|it| (&*it.rule, &*it.model, &it.entity)).collect();
        firing.sort_unstable();
        let config = &self.config;
        self.attempts.retain(|key, attempt| {
            let fires = firing.binary_search(&(&*key.rule, &*key.model, &key.entity)).is_ok();
            if fires || !input.models.contains(&key.model) {
                attempt.absent_since_ms = None;
                // The models that are not there for good are those of former configurations: their alerts
                // have ended, and what is remembered of them goes when room is needed.
                return true;
            }
            let absent_ms = now_ms.saturating_sub(*attempt.absent_since_ms.get_or_insert(now_ms));
            absent_ms < FORGET_AFTER_MS || !attempt.is_over(now_ms, config, &key.action)
        });
        if self.attempts.len() >= MOST_REMEMBERED {
            self.attempts.retain(|key, attempt| {
                input.models.contains(&key.model) || !attempt.is_over(now_ms, config, &key.action)
            });
        }
    }

    fn past(&self, now_ms: i64) -> Past {
        let mut past = Past::default();
        for (key, it) in &self.attempts {
            let latest = |place: &mut i64| *place = (*place).max(it.started_ms);
            let action = Arc::clone(&key.action);
            latest(past.actions.entry(Arc::clone(&action)).or_insert(i64::MIN));
            latest(past.entities.entry((action, key.entity.clone())).or_insert(i64::MIN));
            let closed = match it.progress {
                AttemptProgress::Running | AttemptProgress::Verifying { .. } => HeldBack::Busy,
                AttemptProgress::Stopped { until_ms } if now_ms < until_ms => HeldBack::Stopped,
                _ => continue,
            };
            past.closed.insert(key.entity.clone(), closed);
        }
        past
    }

    /// Why an action may not be begun.
    fn reason(
        &self,
        input: &GuardInput<'_>,
        alert: &FiringAlert,
        (i, key): (usize, &AttemptKey),
        past: &Past,
    ) -> Option<HeldBack> {
        let action: &ActionConfig = &self.config.list[i];
        let is_within = |since_ms: Option<&i64>, ms: i64| {
            since_ms.is_some_and(|it| input.now_ms.saturating_sub(*it) < ms)
        };
        if !input.is_enabled {
            return Some(HeldBack::Disabled);
        }
        if alert.is_muted {
            return Some(HeldBack::Muted);
        }
        if input.is_fleet_alert_open && !action.allow_during_fleet_alert {
            return Some(HeldBack::FleetAlert);
        }
        if !alert.is_active {
            return Some(HeldBack::Inactive);
        }
        if let Some(reason) = past.closed.get(&key.entity) {
            return Some(*reason);
        }
        let place = (Arc::clone(&key.action), key.entity.clone());
        if is_within(past.entities.get(&place), action.per_entity_interval.as_ms()) {
            return Some(HeldBack::EntityInterval);
        }
        if is_within(past.actions.get(&key.action), action.cool_down.as_ms()) {
            return Some(HeldBack::CoolDown);
        }
        if self.begun[usize::from(action.dry_run)].len() >= self.config.max_per_hour {
            return Some(HeldBack::RateLimit);
        }
        if !action.dry_run && self.running >= self.config.max_concurrent {
            return Some(HeldBack::Concurrency);
        }
        let is_new = !self.attempts.contains_key(key);
        (is_new && self.attempts.len() >= MOST_REMEMBERED).then_some(HeldBack::Memory)
    }

    /// Notes that an action begins; says whether it is a dry run.
    fn begin(
        &mut self,
        now_ms: i64,
        i: usize,
        key: &AttemptKey,
        fired_ms: i64,
        past: &mut Past,
    ) -> bool {
        let action = &self.config.list[i];
        let is_dry_run = action.dry_run;
        let attempt = AttemptRecord {
            fired_ms,
            started_ms: now_ms,
            verify_ms: action.verify_within.as_ms(),
            retry_ms: action.retry_after.as_ms(),
            progress: match is_dry_run {
                true => AttemptProgress::DryRun,
                false => AttemptProgress::Running,
            },
            absent_since_ms: None,
        };
        self.attempts.insert(key.clone(), attempt);
        self.begun[usize::from(is_dry_run)].push_back(now_ms);
        past.actions.insert(Arc::clone(&key.action), now_ms);
        past.entities.insert((Arc::clone(&key.action), key.entity.clone()), now_ms);
        if !is_dry_run {
            self.running += 1;
            past.closed.insert(key.entity.clone(), HeldBack::Busy);
        }
        is_dry_run
    }
}
