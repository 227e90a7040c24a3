//! Alerts in the log: each one when it begins to fire and when it is resolved.

use crate::detect::AlertSnapshot;
use crate::exporter;

/// Lines of one tick, at most: what is more is on the metrics page.
const MOST_LINES: usize = 20;

/// Logs and counts what fired or was resolved at a tick.
pub(super) fn log(alerts: &AlertSnapshot) {
    for it in &alerts.transitions {
        exporter::count_alert(&it.rule, it.resolution.map(|it| it.name()));
    }
    for it in alerts.transitions.iter().take(MOST_LINES) {
        let (alert, model, value) = (&*it.rule, &*it.model, it.alert.value);
        let entity = it.entity.as_ref().map_or("all of them".to_owned(), ToString::to_string);
        match it.resolution {
            None => tracing::warn!(alert, model, entity, value, "an alert fires"),
            Some(reason) => {
                tracing::info!(
                    alert,
                    model,
                    entity,
                    reason = reason.name(),
                    "an alert is resolved"
                );
            }
        }
    }
    let more = alerts.transitions.len().saturating_sub(MOST_LINES);
    if more > 0 {
        tracing::warn!(more, "more alerts fire or are resolved: see anomaly_alerts on /metrics");
    }
}
