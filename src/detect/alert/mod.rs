//! An alert: what a rule makes of the scores of one entity, or of all entities of a model at once.
//!
//! In: at each evaluation of a model whether the entity is active, calm or without a score, and `now`. Out:
//! when the alert fires and when it is resolved. States are those of Prometheus's rules: *inactive* (there
//! is no alert) → *pending* (active for less than `for`) → *firing* → inactive again once it has been calm
//! for `keep_firing_for`, which is when a firing alert is *resolved*. Nobody was told of a pending alert, so
//! it just disappears when it ends.
//!
//! **Active** is an entity whose score is above the threshold in force. One that already has an alert stays
//! active above `resolve_below` times the threshold in force. One that is [lasting](super::AnomalyState) is
//! calm whatever its score: what has lasted for two hours is not new. The alert then ends with
//! [`Resolution::Lasting`], so that nobody takes it for recovery.
//!
//! **Without a score** (stale, incomplete, gone) Prometheus would resolve: the series is absent. But a host
//! in trouble that stops sending has not recovered. Here nothing fires and nothing is
//! resolved while there is no score, and that time counts for neither `for` nor `keep_firing_for`: the
//! `activeAt` of a pending alert moves by it, as Prometheus moves it over a restart. After
//! `alerting.gone_after` the alert ends, with [`Resolution::Gone`].
//!
//! **An evaluation that failed** for all changes nothing, and neither does time without evaluations (this
//! process was down, ticks were missed, the clock was set): such time does not even count for `gone_after`.
//!
//! **Of a fleet** there is one alert while many of its hosts are active: see `alert/rule.rs`.
//!
//! Source: Prometheus, `rules/alerting.go` (`Eval`) and `rules/group.go` (`RestoreForState`).

mod active;
mod alerting;
#[cfg(test)]
mod alerting_tests;
mod config;
mod details;
mod format;
mod rule;
mod template;
#[cfg(test)]
mod tests;

pub use active::ActiveAlert;
pub(super) use alerting::Alerting;
pub use alerting::{AlertMemory, AlertSnapshot, AlertsMemory, ModelAlertSnapshot, Transition};
pub use config::{AlertRule, AlertingConfig};
pub use details::{Details, Feature};
pub use template::RuleTemplates;

/// How far an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// Active for less than `for`.
    Pending,
    /// Nobody has been told of its end.
    Firing,
}

impl AlertState {
    /// Its name in Prometheus's API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// Why an alert that fired is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The score is no longer above what it has to be.
    Calm,
    /// What goes on is no news any more.
    Lasting,
    /// There has been no score for too long.
    Gone,
    /// Its rule or its model is no longer configured.
    Removed,
}

impl Resolution {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Lasting => "lasting",
            Self::Gone => "gone",
            Self::Removed => "removed",
        }
    }
}

/// What is seen of an entity at one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Active,
    /// It is not, which would resolve the alert for this reason.
    Calm(Resolution),
    Unscored,
}

/// What an evaluation does to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    GoesOn,
    Fired,
    /// It is to be dropped; where it was firing it is resolved.
    Ended(Resolution),
}

/// The durations of a rule, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Durations {
    hold_ms: i64,
    keep_firing_ms: i64,
    gone_after_ms: i64,
}

/// An alert that is pending or firing, as plain data. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alert {
    /// Since when it is active (`activeAt`); while pending, without the time that had no score.
    pub active_since_ms: i64,
    /// When it fired. `None` while it is pending.
    pub fired_ms: Option<i64>,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since_ms: Option<i64>,
    /// Since when there is no score.
    pub unscored_since_ms: Option<i64>,
    /// What its last score is about.
    pub scored_ms: i64,
    /// The last score; of a fleet, the share of its entities that are active.
    pub value: f64,
}

impl Alert {
    /// One that begins to be pending.
    fn begin(now_ms: i64) -> Self {
        Self {
            active_since_ms: now_ms,
            fired_ms: None,
            keep_firing_since_ms: None,
            unscored_since_ms: None,
            scored_ms: now_ms,
            value: f64::NAN,
        }
    }

    /// Whether it is pending or firing.
    #[must_use]
    pub fn state(&self) -> AlertState {
        self.fired_ms.map_or(AlertState::Pending, |_| AlertState::Firing)
    }

    /// Takes what is seen at an evaluation. One that is held does not begin to fire.
    fn step(
        &mut self,
        now_ms: i64,
        durations: Durations,
        condition: Condition,
        is_held: bool,
    ) -> Effect {
        if condition == Condition::Unscored {
            let since_ms = *self.unscored_since_ms.get_or_insert(now_ms);
            return match now_ms.saturating_sub(since_ms) >= durations.gone_after_ms {
                true => Effect::Ended(Resolution::Gone),
                false => Effect::GoesOn,
            };
        }
        if let Some(since_ms) = self.unscored_since_ms.take() {
            self.pause(now_ms.saturating_sub(since_ms));
        }
        self.scored_ms = now_ms;
        if let Condition::Calm(resolution) = condition {
            if self.fired_ms.is_none() {
                return Effect::Ended(resolution);
            }
            let since_ms = *self.keep_firing_since_ms.get_or_insert(now_ms);
            return match now_ms.saturating_sub(since_ms) >= durations.keep_firing_ms {
                true => Effect::Ended(resolution),
                false => Effect::GoesOn,
            };
        }
        self.keep_firing_since_ms = None;
        let is_due = now_ms.saturating_sub(self.active_since_ms) >= durations.hold_ms;
        if self.fired_ms.is_some() || is_held || !is_due {
            return Effect::GoesOn;
        }
        self.fired_ms = Some(now_ms);
        Effect::Fired
    }

    /// So much time has passed that counts for nothing; less than none where the clock was set back.
    fn pause(&mut self, ms: i64) {
        if self.fired_ms.is_none() {
            self.active_since_ms = self.active_since_ms.saturating_add(ms);
        }
        for since_ms in [&mut self.keep_firing_since_ms, &mut self.unscored_since_ms] {
            *since_ms = since_ms.map(|it| it.saturating_add(ms));
        }
    }
}
