//! A trial: one marked alert to every target, and what each answered.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::error::Failure;
use super::notice::Notice;
use super::target::Target;
use crate::labels::Labels;

/// How long the alert goes on for an Alertmanager, which ends it by itself then.
const LASTS_MS: i64 = 60_000;

/// What a target answered.
pub type TargetAnswer = (String, Result<(), Failure>);

/// Tells all targets of an alert that says it is none; gives their answers in the order of the targets.
pub async fn send_test(now_ms: i64, targets: Vec<Target>) -> Vec<TargetAnswer> {
    let labels = [("alertname", "PortentTest"), ("model", "none"), ("severity", "none")];
    let said = [
        ("description", "If this came to the right place, alerts will. There is nothing to do."),
        ("summary", "this is a test of notify: no host is anomalous"),
    ];
    let notice = Arc::new(Notice {
        labels: Labels::from_pairs(labels).unwrap_or_else(|_| Labels::empty()),
        entity: None,
        annotations: said.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        fired_ms: now_ms,
        resolved_ms: None,
        details: None,
    });
    let mut tasks = JoinSet::new();
    for (i, target) in targets.into_iter().enumerate() {
        let notice = Arc::clone(&notice);
        tasks.spawn(async move {
            let answer =
                target.tell(now_ms, now_ms + LASTS_MS, std::slice::from_ref(&*notice)).await;
            (i, (target.key(), answer))
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|it| it.0);
    answers.into_iter().map(|it| it.1).collect()
}
