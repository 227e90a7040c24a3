//! Notify: tells others of alerts, once.
//!
//! In: snapshots, with what fires. Out: requests to Alertmanagers, webhooks and chats, and e-mails; and a file
//! with what they have been told, so that a restart neither doubles nor loses an alert.
//!
//! ```text
//! snapshot ─▶ ledger ─▶ notice ─▶ target ─▶ POST, SMTP
//!             who is due  what it says  how it is told
//!               └──▶ book: what was told, on disk
//! ```
//!
//! Invariants: one request at a time to each target, so that a slow one delays nobody else; never more to
//! tell than there are alerts; nothing is given up because a receiver is away; who has matchers is told of what
//! they match. What cannot be known, whether a request arrived whose answer did not, is told again: rather twice
//! than never.

mod book;
mod config;
mod delivery;
mod email;
mod error;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod notice;
mod target;
#[cfg(test)]
mod tests;
mod trial;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metrics::{describe_counter, describe_gauge};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::detect::alert::{AlertRule, AlertsMemory};
use crate::detect::{ModelKey, Snapshot};
use crate::maintenance::Maintenance;
use book::Book;
use delivery::{Context, Delivery};
use ledger::Told;

pub use config::{
    AlertmanagerConfig, NotifyConfig, ReceiverConfig, SlackConfig, TelegramConfig, WebhookConfig,
};
pub use email::EmailConfig;
pub use error::{Failure, NotifyError};
pub use notice::Notice;
pub use target::Target;
pub use trial::{TargetAnswer, send_test};

/// Who is told of what, from now on.
#[derive(Debug)]
pub struct Audience {
    /// The section.
    pub config: NotifyConfig,
    /// All that it names.
    pub targets: Vec<Target>,
    /// The rules that are configured.
    pub rules: Arc<[AlertRule]>,
    /// The models that are configured.
    pub models: Arc<[String]>,
}

/// What does not change while the program runs.
#[derive(Debug)]
pub struct Notifier {
    /// The time, milliseconds since the epoch.
    pub now_ms: fn() -> i64,
    /// What is held back.
    pub maintenance: watch::Receiver<Arc<Maintenance>>,
    /// What fires.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Notifier {
    /// Tells those who are named last, until there are no more snapshots. What has been told is kept in the
    /// folder, if there is one.
    pub async fn run(self, folder: Option<PathBuf>, mut audiences: mpsc::Receiver<Audience>) {
        let book = Book::new(folder);
        let mut pages = book.read();
        let mut next = audiences.recv().await;
        while let Some(audience) = next {
            let changed = Arc::new(Notify::new());
            let (stop, stopped) = watch::channel(false);
            let (mut tasks, seen) = self.start(audience, &mut pages, &changed, &stopped);
            let collect = || {
                let mut pages = pages.clone();
                pages.extend(seen.iter().map(|(key, told)| (key.clone(), told.borrow().clone())));
                pages
            };
            next = loop {
                tokio::select! {
                    audience = audiences.recv() => break audience,
                    () = changed.notified() => write(&book, collect()).await,
                    joined = tasks.join_next(), if !tasks.is_empty() => {
                        if joined.is_some_and(|it| it.is_err()) {
                            tracing::error!("a task that delivers alerts has died");
                        }
                    }
                }
            };
            stop.send_replace(true);
            while tasks.join_next().await.is_some() {}
            pages = collect();
            write(&book, pages.clone()).await;
        }
    }

    fn start(
        &self,
        audience: Audience,
        pages: &mut BTreeMap<String, Vec<Told>>,
        changed: &Arc<Notify>,
        stopped: &watch::Receiver<bool>,
    ) -> (JoinSet<()>, BTreeMap<String, watch::Receiver<Vec<Told>>>) {
        let Audience { config, targets, rules, models } = audience;
        let context = Context {
            now_ms: self.now_ms,
            maintenance: self.maintenance.clone(),
            config,
            rules,
            models,
            changed: Arc::clone(changed),
        };
        let (mut tasks, mut seen) = (JoinSet::new(), BTreeMap::new());
        for target in targets {
            let key = target.key();
            let (told, seen_told) = watch::channel(pages.remove(&key).unwrap_or_default());
            let delivery = Delivery::new(target, context.clone(), told);
            tasks.spawn(delivery.run(self.snapshots.clone(), stopped.clone()));
            seen.insert(key, seen_told);
        }
        // Of the others nothing is known any more.
        pages.clear();
        (tasks, seen)
    }
}

/// What receivers believe to fire by what is in a folder, of each model. A process that ended without having
/// written down its alerts may know less than it has told.
#[must_use]
pub fn believed(folder: &Path) -> Vec<AlertsMemory> {
    let pages = Book::new(Some(folder.to_owned())).read();
    let mut models: BTreeMap<&str, AlertsMemory> = BTreeMap::new();
    for told in pages.values().flatten() {
        let Some((model, alert)) = told.firing() else { continue };
        let memory = models.entry(model).or_insert_with(|| AlertsMemory {
            model: model.to_owned(),
            // Alerts are found again by the names of model and rule.
            key: ModelKey([0; 32]),
            evaluated_ms: alert.alert.scored_ms,
            alerts: Vec::new(),
        });
        memory.evaluated_ms = memory.evaluated_ms.max(alert.alert.scored_ms);
        memory.alerts.push(alert);
    }
    models.into_values().collect()
}

async fn write(book: &Book, pages: BTreeMap<String, Vec<Told>>) {
    let book = book.clone();
    // It says itself what it cannot do.
    let _ = tokio::task::spawn_blocking(move || book.write(pages)).await;
}

/// Says what this room's metrics mean.
pub fn describe_metrics() {
    describe_counter!(
        "portent_notify_requests_total",
        "Requests and e-mails that tell receivers of alerts, by outcome: ok, failed (tried again), refused (tried \
         again, one alert at a time)."
    );
    describe_gauge!(
        "portent_notify_waiting_alerts",
        "Alerts that a receiver has not been told of yet, or is due to be told of again."
    );
    describe_counter!(
        "portent_notify_given_up_total",
        "Resolved alerts that a receiver is never told of, because notify.max_resolved were \
         waiting."
    );
}
