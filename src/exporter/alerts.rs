//! Alerts as series: what Portent's own rules say, in the form of Prometheus's `ALERTS`.
//!
//! They have another name, because Prometheus itself writes `ALERTS` for its own rules. Alerts of a model that
//! has not been evaluated recently are left out, as its scores are.

use super::metrics_page::Page;
use crate::detect::alert::ActiveAlert;
use crate::detect::{AlertSnapshot, ModelSnapshot};
use crate::labels::Labels;

/// Writes what is pending and firing.
pub(super) fn render(page: &mut Page, models: &[&ModelSnapshot], alerts: &AlertSnapshot) {
    if alerts.rules.is_empty() {
        return;
    }
    let current: Vec<_> = (alerts.models.iter())
        .filter(|it| models.iter().any(|model| model.model == *it.model))
        .collect();
    let active = || current.iter().flat_map(|it| &it.active);
    let mut family = page.gauge(
        "anomaly_alerts",
        "Always 1; an alert of Portent's own rules that is pending or firing. Without the labels of an entity it is of the model's fleet.",
    );
    for alert in active() {
        family.sample(&alert.labels, &state(alert), 1.0);
    }
    let mut family = page
        .gauge("anomaly_alerts_active_since_timestamp_seconds", "Since when the alert is active.");
    for alert in active() {
        let since = alert.alert.active_since_ms as f64 / 1000.0;
        family.sample(&alert.labels, &state(alert), since);
    }
    let mut family = page.gauge(
        "portent_alerts_refused",
        "Entities that are anomalous and have no alert, as there are storage.max_entities already.",
    );
    for it in current {
        family.sample(&Labels::empty(), &[("model", &it.model)], it.refused as f64);
    }
}

/// What the alert's own labels do not say.
fn state(alert: &ActiveAlert) -> [(&str, &str); 1] {
    [("alertstate", alert.alert.state().name())]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::Evaluation;
    use crate::detect::alert::{Alert, AlertRule, ModelAlertSnapshot};

    #[test]
    fn what_is_pending_and_firing_has_a_series() {
        let rule: AlertRule =
            serde_json::from_str(r#"{"alert": "HostAnomalous"}"#).expect("a rule");
        let alert = |fired_ms| Alert {
            active_since_ms: 60_000,
            fired_ms,
            keep_firing_since_ms: None,
            unscored_since_ms: None,
            scored_ms: 120_000,
            value: 2.0,
        };
        let host = Labels::from_pairs([("instance", "a"), ("job", "node")]).expect("two names");
        let labels = |entity: Option<&Labels>| {
            let own = [("alertname", "HostAnomalous"), ("severity", "ticket")];
            Labels::from_pairs(entity.into_iter().flat_map(Labels::iter).chain(own))
                .expect("four names")
        };
        let active = |entity: Option<Labels>, fired_ms| ActiveAlert {
            rule: Arc::from("HostAnomalous"),
            model: Arc::from("m"),
            labels: labels(entity.as_ref()),
            threshold: 1.0,
            templates: Arc::default(),
            entity,
            alert: alert(fired_ms),
            is_scored: true,
            features: Vec::new(),
            feature_names: Arc::default(),
            named: Vec::new(),
            active_entities: 0,
        };
        let model = |name: &str| ModelSnapshot {
            model: name.to_owned(),
            time_ms: 120_000,
            interval_ms: 15_000,
            threshold: 1.0,
            feature_names: Arc::default(),
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities: Vec::new(),
            evaluation: Evaluation::default(),
        };
        let alerts = AlertSnapshot {
            rules: Arc::new([rule]),
            models: vec![Arc::new(ModelAlertSnapshot {
                model: Arc::from("m"),
                time_ms: 120_000,
                active: vec![active(None, None), active(Some(host), Some(120_000))],
                refused: 3,
            })],
            transitions: Vec::new(),
        };
        let text = |model: &ModelSnapshot| {
            let mut page = Page::default();
            render(&mut page, &[model], &alerts);
            page.whole()
        };
        let own = text(&model("m"));
        let samples: Vec<&str> = own.lines().filter(|it| !it.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"anomaly_alerts{alertname="HostAnomalous",severity="ticket",alertstate="pending"} 1"#,
                r#"anomaly_alerts{alertname="HostAnomalous",instance="a",job="node",severity="ticket",alertstate="firing"} 1"#,
                r#"anomaly_alerts_active_since_timestamp_seconds{alertname="HostAnomalous",severity="ticket",alertstate="pending"} 60"#,
                r#"anomaly_alerts_active_since_timestamp_seconds{alertname="HostAnomalous",instance="a",job="node",severity="ticket",alertstate="firing"} 60"#,
                r#"portent_alerts_refused{model="m"} 3"#,
            ]
        );
        assert!(text(&model("other")).lines().all(|it| it.starts_with('#')));
    }
}
