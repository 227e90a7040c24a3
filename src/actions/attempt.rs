//! An attempt: an action at an entity, for one firing of an alert, and how far it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::ActionsConfig;
use crate::labels::Labels;

/// What an attempt is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptKey {
    /// The action's name.
    pub action: Arc<str>,
    /// The name of the alert's rule.
    pub rule: Arc<str>,
    /// The model.
    pub model: Arc<str>,
    /// The entity labels.
    pub entity: Labels,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptProgress {
    /// It was only told.
    DryRun,
    /// Its command runs.
    Running,
    /// Its command has ended; then it is judged.
    Verifying {
        /// Milliseconds.
        due_ms: i64,
    },
    /// The score fell.
    Helped,
    /// It failed or did not help.
    Stopped {
        /// Until then nothing is done at the entity. Milliseconds.
        until_ms: i64,
    },
}

/// What is remembered of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AttemptRecord {
    pub(super) fired_ms: i64,
    pub(super) started_ms: i64,
    pub(super) verify_ms: i64,
    pub(super) retry_ms: i64,
    pub(super) progress: AttemptProgress,
    /// Since when its alert is known not to fire, in this process.
    pub(super) absent_since_ms: Option<i64>,
}

impl AttemptRecord {
    /// Whether it holds nothing back any more.
    pub(super) fn is_over(&self, now_ms: i64, config: &ActionsConfig, name: &str) -> bool {
        let is_closed = match self.progress {
            AttemptProgress::Running | AttemptProgress::Verifying { .. } => true,
            AttemptProgress::Stopped { until_ms } => now_ms < until_ms,
            AttemptProgress::DryRun | AttemptProgress::Helped => false,
        };
        let action = config.list.iter().find(|it| it.name == name);
        let interval_ms = action.map_or(0, |it| it.per_entity_interval.max(it.cool_down).as_ms());
        !is_closed && now_ms.saturating_sub(self.started_ms) >= interval_ms
    }
}
