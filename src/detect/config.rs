//! The `global` section of the configuration.

use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::setting::{SettingError, above_zero};

/// The `global` section of the configuration: when models are evaluated, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// How often every model is evaluated. Without it, each at the step it was trained with.
    pub evaluation_interval: Option<Duration>,
    /// How long before its own time a tick looks: a tick at T evaluates what was measured up to T
    /// minus this, as `query_offset` of Prometheus's rules.
    pub evaluation_delay: Duration,
    /// How old the newest sample of an entity may be at most for the entity to be scored, and how
    /// long a window may go without. About two of the entity's own scrape intervals are the limit
    /// where that is less.
    pub stale_after: Duration,
    /// Whether the score above which an entity is anomalous follows its own recent hours, for models
    /// that provide for that.
    pub adaptive_threshold: bool,
    /// Entities with this score or more are explained on the metrics page, and remembered for a few
    /// evaluations.
    pub explain_above: f64,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            // Most models look back at earlier steps and know one distance between them.
            evaluation_interval: None,
            // Prometheus sends a sample after at most 5 s (`queue_config.batch_send_deadline`); two
            // more for the scrape itself and the way.
            evaluation_delay: Duration::from_seconds(7),
            // Two scrapes at the slowest common interval of a minute: one may fail.
            stale_after: Duration::from_seconds(120),
            adaptive_threshold: true,
            // Shortly before it is an alert, so that its history begins before that.
            explain_above: 0.8,
        }
    }
}

impl DetectConfig {
    /// Refuses what nothing can be evaluated with; names the first such key.
    pub fn validate(&self) -> Result<(), SettingError> {
        above_zero(
            "global",
            &[
                ("evaluation_interval", self.evaluation_interval.map(|it| it.as_ms() as u64)),
                ("stale_after", Some(self.stale_after.as_ms() as u64)),
            ],
        )?;
        if self.explain_above.is_nan() || self.explain_above < 0.0 {
            let reason = "must be a number, 0 or above";
            return Err(SettingError::new("global.explain_above", reason));
        }
        Ok(())
    }
}
