//! A driver: does what a [`Guard`] decides, keeps what it remembers, and says what became of it.
//!
//! In: snapshots, what is muted, the plan, and orders to switch actions off and on. Out: commands that run and
//! webhooks that are called, records of attempts, and files (see `archive`).
//!
//! **Once, over restarts.** What is remembered is on the disk before a command begins. Where that fails nothing
//! begins, and the guard has not decided: it is looked at again with the next snapshot. A process that dies
//! between may have remembered a command that did not begin: rather not at all than twice.
//!
//! **Switched off** nothing begins; what runs goes on to its end. That outlives a restart. Memory that cannot be
//! read switches actions off, too: nobody knows what was done.
//!
//! **The end.** Nothing begins any more, and what runs is asked to end, then killed; an answer is not waited for
//! any longer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::action_counters::{self, count_held_back};
use super::archive::Archive;
use super::attempt::{AttemptKey, AttemptProgress};
use super::config::ActionsConfig;
use super::decision::{GuardDecision, GuardInput};
use super::desk::{ActionsStatus, DeskBack, SwitchOrder, SwitchReply};
use super::guard::Guard;
use super::job::Job;
use super::memory::{GuardMemory, KeptAttempt};
use super::plan::ActionPlan;
use super::record::{ActionOutcome, ActionRecord, JobResult};
use super::run::GRACE;
use super::sight::{Sight, is_calm};
use crate::detect::Snapshot;
use crate::labels::Labels;
use crate::maintenance::Maintenance;
use crate::timestamp::format_ms;

/// Held-back attempts that are shown: the counters have them all.
const MOST_HELD_SHOWN: usize = 200;

/// How long what was begun may take to end with the program: it has [`GRACE`], and what it wrote is read.
const LAST_GRACE: Duration = Duration::from_secs(GRACE.as_secs() + 2);

/// What does not change while the program runs.
#[derive(Debug)]
pub struct ActionDriver {
    /// The time, milliseconds since the epoch.
    pub now_ms: fn() -> i64,
    /// What is held back.
    pub maintenance: watch::Receiver<Arc<Maintenance>>,
    /// What fires.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Where what is remembered outlives the process, if anywhere.
    pub folder: Option<PathBuf>,
}

impl ActionDriver {
    /// Does what is planned last, until nobody can send plans any more.
    pub async fn run(self, back: DeskBack, mut plans: mpsc::Receiver<ActionPlan>) {
        let DeskBack { mut orders, shown } = back;
        let Some(plan) = plans.recv().await else { return };
        let mut snapshots = self.snapshots.clone();
        let mut work = Work::begin(self, plan, shown).await;
        loop {
            work.show();
            tokio::select! {
                plan = plans.recv() => match plan {
                    Some(plan) => work.follow(plan),
                    None => break,
                },
                Some(order) = orders.recv() => work.obey(order).await,
                changed = snapshots.changed() => match changed {
                    Ok(()) => {
                        let snapshot = Arc::clone(&snapshots.borrow_and_update());
                        work.look(&snapshot).await;
                    }
                    Err(_) => break,
                },
                Some(ended) = work.runs.join_next_with_id() => work.ended(ended).await,
            }
        }
        work.end().await;
    }
}

/// A job under way.
struct Begun {
    key: AttemptKey,
    /// What is known of it so far.
    record: ActionRecord,
}

struct Work {
    driver: ActionDriver,
    guard: Guard,
    archive: Archive,
    is_switched_off: bool,
    runs: JoinSet<JobResult>,
    begun: HashMap<Id, Begun>,
    stop: watch::Sender<bool>,
    shown: watch::Sender<Option<Arc<ActionsStatus>>>,
    plan: ActionPlan,
    is_volatility_told: bool,
}

impl Work {
    async fn begin(
        driver: ActionDriver,
        plan: ActionPlan,
        shown: watch::Sender<Option<Arc<ActionsStatus>>>,
    ) -> Self {
        let (archive, memory, is_switched_off) = Archive::open(driver.folder.clone()).await;
        let mut work = Self {
            driver,
            guard: Guard::default(),
            archive,
            is_switched_off,
            runs: JoinSet::new(),
            begun: HashMap::new(),
            stop: watch::Sender::new(false),
            shown,
            plan: ActionPlan::default(),
            is_volatility_told: false,
        };
        work.follow(plan);
        match memory {
            Ok(memory) => work.restore(memory).await,
            Err(error) => work.mistrust(&error).await,
        }
        if work.is_switched_off && work.plan.config.enabled {
            tracing::warn!(
                "actions are switched off: POST /api/v1/actions/enable switches them on"
            );
        }
        work
    }

    /// Goes on with what another process remembered, and says what ran when that ended.
    async fn restore(&mut self, memory: GuardMemory) {
        let now_ms = (self.driver.now_ms)();
        let did_run = |it: &&KeptAttempt| it.progress == AttemptProgress::Running;
        let lost = memory.attempts.iter().filter(did_run).filter_map(|it| {
            let key = AttemptKey {
                action: Arc::from(&*it.action),
                rule: Arc::from(&*it.alert),
                model: Arc::from(&*it.model),
                entity: Labels::from_pairs(&it.entity).ok()?,
            };
            let mut record = ActionRecord::new(now_ms, &key, ActionOutcome::Interrupted);
            record.fired_at = Some(format_ms(it.fired_ms));
            record.error =
                Some("Portent ended while it ran, and does not know how it ended".into());
            Some(record)
        });
        let lost: Vec<ActionRecord> = lost.collect();
        let is_empty = memory.attempts.is_empty();
        self.guard.restore(now_ms, memory);
        if !is_empty {
            // What ran is verified from now on, not again after the next restart.
            self.keep().await;
        }
        self.archive.note(lost).await;
    }

    /// Does nothing until somebody says so.
    async fn mistrust(&mut self, error: &anyhow::Error) {
        tracing::error!(
            error = format!("{error:#}"),
            "it is not known which actions were run: they are switched off until POST /api/v1/actions/enable"
        );
        self.is_switched_off = true;
        let _ = self.archive.keep_switch((self.driver.now_ms)(), true).await;
    }

    fn follow(&mut self, plan: ActionPlan) {
        let config = &plan.config;
        action_counters::begin(config);
        let does_anything = config.enabled && !config.list.is_empty();
        if does_anything && !self.archive.is_kept() && !self.is_volatility_told {
            self.is_volatility_told = true;
            tracing::warn!(
                "actions are enabled without --storage.path: a restart forgets which were run, and that \
                 they are switched off"
            );
        }
        self.guard.set_config(ActionsConfig::clone(config));
        self.plan = plan;
    }

    async fn obey(&mut self, order: SwitchOrder) {
        let SwitchOrder { is_off, reply } = order;
        let kept = self.archive.keep_switch((self.driver.now_ms)(), is_off).await;
        let result: SwitchReply = match (kept, is_off) {
            (Ok(()), _) => Ok(None),
            // In force now, whatever the disk says.
            (Err(error), true) => {
                Ok(Some(format!("a restart switches actions on again: {error:#}")))
            }
            (Err(_), false) if !self.archive.is_kept() => Ok(None),
            (Err(error), false) => Err(format!("actions stay switched off: {error:#}")),
        };
        if result.is_ok() && is_off {
            self.is_switched_off = true;
            tracing::warn!(running = self.guard.running(), "actions are switched off");
        } else if result.is_ok() {
            self.is_switched_off = false;
            let allowed_again = self.guard.allow_again();
            if allowed_again > 0 {
                self.keep().await;
            }
            tracing::warn!(allowed_again, "actions are switched on");
        }
        self.show();
        // Who has left is not told.
        let _ = reply.send(result);
    }

    async fn look(&mut self, snapshot: &Arc<Snapshot>) {
        if self.plan.config.list.is_empty() && self.guard.remembered() == 0 {
            return;
        }
        let now_ms = (self.driver.now_ms)();
        let maintenance = Arc::clone(&self.driver.maintenance.borrow());
        let sight = Sight::of(snapshot, &maintenance, now_ms);
        // What it was before, should the disk fail: some megabytes at most.
        let before = self.guard.clone();
        let decisions = self.guard.look(&GuardInput {
            now_ms,
            is_enabled: self.plan.config.enabled && !self.is_switched_off,
            is_fleet_alert_open: sight.is_fleet_alert_open,
            models: &sight.models,
            firing: &sight.firing,
            is_calm: &|model, entity| is_calm(snapshot, now_ms, model, entity),
        });
        let is_kept = |it: &GuardDecision| !matches!(it, GuardDecision::Hold { .. });
        if decisions.iter().any(is_kept) && !self.keep().await {
            self.guard = before;
            for decision in &decisions {
                if let GuardDecision::Start { key, .. } = decision {
                    count_held_back(&key.action, "storage");
                }
            }
            return;
        }
        let (mut records, mut is_refused) = (Vec::new(), false);
        for decision in decisions {
            match decision {
                GuardDecision::Hold { key, reason, .. } => {
                    count_held_back(&key.action, reason.name());
                }
                GuardDecision::Verdict { key, has_helped } => {
                    let outcome = match has_helped {
                        true => ActionOutcome::Helped,
                        false => ActionOutcome::DidNotHelp,
                    };
                    records.push(ActionRecord::new(now_ms, &key, outcome));
                }
                GuardDecision::Start { key, fired_ms, is_dry_run } => {
                    let record = self.start(now_ms, key, (fired_ms, is_dry_run), snapshot);
                    let outcome = record.as_ref().map(|it| it.outcome);
                    is_refused |= outcome == Some(ActionOutcome::Refused);
                    records.extend(record);
                }
            }
        }
        if is_refused {
            self.keep().await;
        }
        self.archive.note(records).await;
    }

    /// Begins an attempt; what became of it, if that is known already.
    fn start(
        &mut self,
        now_ms: i64,
        key: AttemptKey,
        (fired_ms, is_dry_run): (i64, bool),
        snapshot: &Snapshot,
    ) -> Option<ActionRecord> {
        let action = self.plan.config.list.iter().find(|it| *it.name == *key.action)?;
        let mut record = ActionRecord::new(now_ms, &key, ActionOutcome::DryRun);
        record.fired_at = Some(format_ms(fired_ms));
        let job = match Job::new(&self.plan, action, &key, fired_ms, snapshot) {
            Ok(job) => job,
            Err(reason) => {
                if !is_dry_run {
                    self.guard.finished(now_ms, &key, false);
                }
                (record.outcome, record.error) = (ActionOutcome::Refused, Some(reason));
                return Some(record);
            }
        };
        job.describe(&mut record);
        if is_dry_run {
            return Some(record);
        }
        let mut stop = self.stop.subscribe();
        let run =
            async move { job.run(now_ms, async { drop(stop.wait_for(|it| *it).await) }).await };
        let id = self.runs.spawn(run).id();
        self.begun.insert(id, Begun { key, record });
        None
    }

    async fn ended(&mut self, ended: Result<(Id, JobResult), JoinError>) {
        let now_ms = (self.driver.now_ms)();
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(Begun { key, mut record }) = self.begun.remove(&id) else { return };
        match result {
            Ok(result) => record.end(now_ms, result),
            Err(error) => record.fail(now_ms, error.to_string()),
        }
        // Of one that was interrupted it is not known whether it did its work: that is verified.
        let is_success =
            matches!(record.outcome, ActionOutcome::Succeeded | ActionOutcome::Interrupted);
        self.guard.finished(now_ms, &key, is_success);
        self.keep().await;
        self.archive.note(vec![record]).await;
    }

    /// Ends what runs.
    async fn end(mut self) {
        self.stop.send_replace(true);
        let ends = async {
            while let Some(ended) = self.runs.join_next_with_id().await {
                self.ended(ended).await;
            }
        };
        if tokio::time::timeout(LAST_GRACE, ends).await.is_err() {
            tracing::warn!(running = self.guard.running(), "running actions did not end in time");
        }
        self.show();
    }

    /// Has the disk what is remembered; says whether it has.
    async fn keep(&mut self) -> bool {
        self.archive.keep(self.guard.memory()).await
    }

    fn show(&self) {
        let config = &self.plan.config;
        let does_anything = config.enabled && !config.list.is_empty();
        action_counters::show(self.guard.running(), does_anything && !self.is_switched_off);
        let held = self.guard.held().take(MOST_HELD_SHOWN);
        self.shown.send_replace(Some(Arc::new(ActionsStatus {
            config: Arc::clone(config),
            is_switched_off: self.is_switched_off,
            is_kept: self.archive.is_kept(),
            running: self.begun.values().map(|it| it.key.clone()).collect(),
            held_back: held.map(|(key, reason)| (key.clone(), reason)).collect(),
            recent: self.archive.recent(),
        })));
    }
}
