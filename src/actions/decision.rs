//! What a guard sees at a look, and what it comes to.

use std::sync::Arc;

use super::attempt::AttemptKey;
use crate::labels::Labels;

/// An alert of one entity that fires.
#[derive(Debug, Clone)]
pub struct FiringAlert {
    /// The name of its rule.
    pub rule: Arc<str>,
    /// The model.
    pub model: Arc<str>,
    /// The entity labels.
    pub entity: Labels,
    /// When it fired, milliseconds since the epoch. Only whether it is the same time matters.
    pub fired_ms: i64,
    /// Whether its last evaluation had a score, and that too high: an alert goes on firing for a while without.
    pub is_active: bool,
    /// Whether someone has said that nothing is to be done about it now.
    pub is_muted: bool,
}

/// What is seen at one look.
pub struct GuardInput<'a> {
    /// Milliseconds, of a clock that had better not jump.
    pub now_ms: i64,
    /// Whether anything may be begun.
    pub is_enabled: bool,
    /// Whether an alert of a fleet is pending or firing at any model.
    pub is_fleet_alert_open: bool,
    /// The models of which it is known what fires. Of another one no alert has ended.
    pub models: &'a [Arc<str>],
    /// What fires, of different rules, models or entities.
    pub firing: &'a [FiringAlert],
    /// Whether an entity of a model has a score now that is not above its threshold.
    pub is_calm: &'a dyn Fn(&str, &Labels) -> bool,
}

/// Why an action is not begun now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldBack {
    /// Actions are switched off.
    Disabled,
    /// The alert is muted.
    Muted,
    /// An alert of a fleet is open.
    FleetAlert,
    /// The score is not above the threshold at present, or there is none.
    Inactive,
    /// Another attempt at the entity runs, or it is not known yet whether it helped.
    Busy,
    /// An attempt at the entity failed or did not help.
    Stopped,
    /// The action was run at the entity within `per_entity_interval`.
    EntityInterval,
    /// The action was run within `cool_down`.
    CoolDown,
    /// `max_per_hour` were begun within an hour.
    RateLimit,
    /// `max_concurrent` run.
    Concurrency,
    /// [`MOST_REMEMBERED`](super::MOST_REMEMBERED) attempts are remembered.
    Memory,
}

impl HeldBack {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Muted => "muted",
            Self::FleetAlert => "fleet_alert",
            Self::Inactive => "inactive",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
            Self::EntityInterval => "per_entity_interval",
            Self::CoolDown => "cool_down",
            Self::RateLimit => "max_per_hour",
            Self::Concurrency => "max_concurrent",
            Self::Memory => "memory",
        }
    }
}

/// What a look comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardDecision {
    /// Begin. [`Guard::finished`](super::Guard::finished) is to be told of the end, unless it is a dry run.
    Start {
        /// What.
        key: AttemptKey,
        /// When its alert fired.
        fired_ms: i64,
        /// Whether it is only told.
        is_dry_run: bool,
    },
    /// It is held back, for another reason than at the look before.
    Hold {
        /// What.
        key: AttemptKey,
        /// When its alert fired.
        fired_ms: i64,
        /// Why.
        reason: HeldBack,
    },
    /// It is known whether what was done has helped.
    Verdict {
        /// What.
        key: AttemptKey,
        /// Whether it did; if not, the action is stopped at the entity.
        has_helped: bool,
    },
}
