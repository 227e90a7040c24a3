//! A desk: how others see what actions do, and switch them off and on.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::attempt::AttemptKey;
use super::config::{ActionConfig, ActionsConfig};
use super::decision::HeldBack;
use super::record::ActionRecord;

/// Orders that may wait for the one under way.
const MAX_WAITING: usize = 16;

/// What stands for the values of an environment, which may be secrets.
const SECRET: &str = "<secret>";

/// What there is to be seen.
#[derive(Debug, Clone)]
pub struct ActionsStatus {
    pub(super) config: Arc<ActionsConfig>,
    pub(super) is_switched_off: bool,
    pub(super) is_kept: bool,
    pub(super) running: Vec<AttemptKey>,
    pub(super) held_back: Vec<(AttemptKey, HeldBack)>,
    /// The newest last.
    pub(super) recent: VecDeque<Arc<ActionRecord>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen<'a> {
    /// As configured.
    enabled: bool,
    switched_off: bool,
    /// Whether a restart knows what was done.
    kept: bool,
    running: Vec<SeenAttempt<'a>>,
    /// At the last look.
    held_back: Vec<SeenAttempt<'a>>,
    /// The newest first.
    recent: Vec<&'a ActionRecord>,
    actions: Vec<ActionConfig>,
}

#[derive(Serialize)]
struct SeenAttempt<'a> {
    action: &'a str,
    alert: &'a str,
    model: &'a str,
    entity: std::collections::BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'a> SeenAttempt<'a> {
    fn of(key: &'a AttemptKey, reason: Option<HeldBack>) -> Self {
        Self {
            action: &key.action,
            alert: &key.rule,
            model: &key.model,
            entity: key.entity.iter().collect(),
            reason: reason.map(HeldBack::name),
        }
    }
}

impl ActionsStatus {
    /// As JSON. Of environments it has the names alone.
    ///
    /// # Panics
    /// Never: it is plain data.
    #[must_use]
    pub fn to_json(&self) -> String {
        let without_secrets = |it: &ActionConfig| {
            let mut it = it.clone();
            it.environment.values_mut().for_each(|value| SECRET.clone_into(value));
            it
        };
        let seen = Seen {
            enabled: self.config.enabled,
            switched_off: self.is_switched_off,
            kept: self.is_kept,
            running: self.running.iter().map(|it| SeenAttempt::of(it, None)).collect(),
            held_back: self
                .held_back
                .iter()
                .map(|(key, reason)| SeenAttempt::of(key, Some(*reason)))
                .collect(),
            recent: self.recent.iter().rev().map(|it| &**it).collect(),
            actions: self.config.list.iter().map(without_secrets).collect(),
        };
        serde_json::to_string(&seen).expect("plain data")
    }
}

/// Nobody drives actions, at the start and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driverless;

/// What became of an order: done, possibly with something that has to be said; or why it was not.
pub type SwitchReply = Result<Option<String>, String>;

/// To switch actions off, or on.
#[derive(Debug)]
pub(super) struct SwitchOrder {
    pub is_off: bool,
    pub reply: oneshot::Sender<SwitchReply>,
}

/// A way to the driver, and to what it shows.
#[derive(Debug, Clone)]
pub struct ActionDesk {
    orders: mpsc::Sender<SwitchOrder>,
    shown: watch::Receiver<Option<Arc<ActionsStatus>>>,
}

/// The driver's side of a desk.
#[derive(Debug)]
pub struct DeskBack {
    pub(super) orders: mpsc::Receiver<SwitchOrder>,
    pub(super) shown: watch::Sender<Option<Arc<ActionsStatus>>>,
}

/// A desk, and its back for a driver who has not begun.
#[must_use]
pub fn desk() -> (DeskBack, ActionDesk) {
    let (sender, orders) = mpsc::channel(MAX_WAITING);
    let (shown, seen) = watch::channel(None);
    (DeskBack { orders, shown }, ActionDesk { orders: sender, shown: seen })
}

impl ActionDesk {
    /// What there is to be seen now.
    ///
    /// # Errors
    /// When nobody has begun to drive.
    pub fn status(&self) -> Result<Arc<ActionsStatus>, Driverless> {
        self.shown.borrow().clone().ok_or(Driverless)
    }

    /// Waits until there is something to be seen, or nobody left who would show it.
    pub async fn begun(&self) {
        let _ = self.shown.clone().wait_for(Option::is_some).await;
    }

    /// Switches actions off, or on; returns when that is so and can be seen.
    ///
    /// # Errors
    /// When nobody drives.
    pub async fn switch(&self, is_off: bool) -> Result<SwitchReply, Driverless> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(SwitchOrder { is_off, reply }).await.map_err(|_| Driverless)?;
        answer.await.map_err(|_| Driverless)
    }
}
