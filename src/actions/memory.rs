//! What a guard remembers, as plain data: for those who keep it over the end of a process.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attempt::{AttemptKey, AttemptProgress, AttemptRecord};
use super::guard::{Guard, MOST_REMEMBERED};
use crate::labels::Labels;

/// What a guard remembers. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardMemory {
    /// When.
    pub at_ms: i64,
    /// When the commands of the last hour began.
    pub begun: Vec<i64>,
    /// When the dry runs of the last hour were told.
    pub begun_dry: Vec<i64>,
    /// The attempts.
    pub attempts: Vec<KeptAttempt>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAttempt {
    /// The action's name.
    pub action: String,
    /// The name of the alert's rule.
    pub alert: String,
    /// The model.
    pub model: String,
    /// The entity labels.
    pub entity: BTreeMap<String, String>,
    /// When the alert fired.
    pub fired_ms: i64,
    /// When it began.
    pub started_ms: i64,
    /// How long after its end it is judged.
    pub verify_ms: i64,
    /// How long the entity is left alone if it does not help.
    pub retry_ms: i64,
    /// How far it is.
    pub progress: AttemptProgress,
}

impl Guard {
    /// What is to outlive the process.
    #[must_use]
    pub fn memory(&self) -> GuardMemory {
        let attempt = |(key, it): (&AttemptKey, &AttemptRecord)| KeptAttempt {
            action: key.action.to_string(),
            alert: key.rule.to_string(),
            model: key.model.to_string(),
            entity: key.entity.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            fired_ms: it.fired_ms,
            started_ms: it.started_ms,
            verify_ms: it.verify_ms,
            retry_ms: it.retry_ms,
            progress: it.progress,
        };
        GuardMemory {
            at_ms: self.last_ms.unwrap_or_default(),
            begun: self.begun[0].iter().copied().collect(),
            begun_dry: self.begun[1].iter().copied().collect(),
            attempts: self.attempts.iter().map(attempt).collect(),
        }
    }

    /// Goes on with what another process remembered. A command that ran then is judged as if it had ended now:
    /// nobody knows how it ended.
    pub fn restore(&mut self, now_ms: i64, memory: GuardMemory) {
        self.begun = [memory.begun.into(), memory.begun_dry.into()];
        for kept in memory.attempts.into_iter().take(MOST_REMEMBERED) {
            // What has a label twice was not written here.
            let Ok(entity) = Labels::from_pairs(&kept.entity) else { continue };
            let key = AttemptKey {
                action: Arc::from(kept.action),
                rule: Arc::from(kept.alert),
                model: Arc::from(kept.model),
                entity,
            };
            let attempt = AttemptRecord {
                fired_ms: kept.fired_ms,
                started_ms: kept.started_ms,
                verify_ms: kept.verify_ms,
                retry_ms: kept.retry_ms,
                progress: kept.progress,
                absent_since_ms: None,
            };
            self.attempts.insert(key, attempt);
        }
        self.last_ms = Some(memory.at_ms);
        self.pass(now_ms);
        for attempt in self.attempts.values_mut() {
            if attempt.progress == AttemptProgress::Running {
                let due_ms = now_ms.saturating_add(attempt.verify_ms);
                attempt.progress = AttemptProgress::Verifying { due_ms };
            }
        }
    }
}
