//! A driver: does what a [`Guard`] decides, keeps what it remembers, and says what became of it.
//!
//! In: snapshots, what is muted, the configuration, and orders to switch actions off and on. Out: commands that
//! run, records of attempts, and files (see `archive`).
//!
//! **Once, over restarts.** What is remembered is on the disk before a command begins. Where that fails nothing
//! begins, and the guard has not decided: it is looked at again with the next snapshot. A process that dies
//! between may have remembered a command that did not begin: rather not at all than twice.
//!
//! **Switched off** nothing begins; what runs goes on to its end. That outlives a restart. Memory that cannot be
//! read switches actions off, too: nobody knows what was done.
//!
//! **The end.** Nothing begins any more, and what runs is asked to end, then killed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::action_counters::{self, count_held_back};
use super::archive::Archive;
use super::argument::Argument;
use super::attempt::{AttemptKey, AttemptProgress};
use super::config::{ActionConfig, ActionsConfig};
use super::decision::{GuardDecision, GuardInput};
use super::desk::{ActionsStatus, DeskBack, SwitchOrder, SwitchReply};
use super::guard::Guard;
use super::memory::{GuardMemory, KeptAttempt};
use super::record::{ActionOutcome, ActionRecord};
use super::run::{CommandLine, CommandResult, GRACE, run};
use super::sight::{Sight, is_calm};
use crate::detect::Snapshot;
use crate::labels::Labels;
use crate::maintenance::Maintenance;
use crate::timestamp::format_ms;

/// Held-back attempts that are shown: the counters have them all.
const MOST_HELD_SHOWN: usize = 200;

/// How long commands may take to end with the program: they have [`GRACE`], and what they wrote is read.
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
    /// Does what is configured last, until nobody can send configurations any more.
    pub async fn run(self, back: DeskBack, mut configs: mpsc::Receiver<ActionsConfig>) {
        let DeskBack { mut orders, shown } = back;
        let Some(config) = configs.recv().await else { return };
        let mut snapshots = self.snapshots.clone();
        let mut work = Work::begin(self, config, shown).await;
        loop {
            work.show();
            tokio::select! {
                config = configs.recv() => match config {
                    Some(config) => work.configure(config),
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

/// A command under way.
struct Begun {
    key: AttemptKey,
    fired_ms: i64,
    command: Vec<String>,
}

struct Work {
    driver: ActionDriver,
    guard: Guard,
    archive: Archive,
    is_switched_off: bool,
    runs: JoinSet<CommandResult>,
    begun: HashMap<Id, Begun>,
    stop: watch::Sender<bool>,
    shown: watch::Sender<Option<Arc<ActionsStatus>>>,
    config: Arc<ActionsConfig>,
    is_volatility_told: bool,
}

impl Work {
    async fn begin(
        driver: ActionDriver,
        config: ActionsConfig,
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
            config: Arc::default(),
            is_volatility_told: false,
        };
        work.configure(config);
        match memory {
            Ok(memory) => work.restore(memory).await,
            Err(error) => work.mistrust(&error).await,
        }
        if work.is_switched_off && work.config.enabled {
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

    fn configure(&mut self, config: ActionsConfig) {
        action_counters::begin(&config);
        let does_anything = config.enabled && !config.list.is_empty();
        if does_anything && !self.archive.is_kept() && !self.is_volatility_told {
            self.is_volatility_told = true;
            tracing::warn!(
                "actions are enabled without --storage.path: a restart forgets which were run, and that \
                 they are switched off"
            );
        }
        self.config = Arc::new(config.clone());
        self.guard.set_config(config);
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
        if self.config.list.is_empty() && self.guard.remembered() == 0 {
            return;
        }
        let now_ms = (self.driver.now_ms)();
        let maintenance = Arc::clone(&self.driver.maintenance.borrow());
        let sight = Sight::of(snapshot, &maintenance, now_ms);
        // What it was before, should the disk fail: some megabytes at most.
        let before = self.guard.clone();
        let decisions = self.guard.look(&GuardInput {
            now_ms,
            is_enabled: self.config.enabled && !self.is_switched_off,
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
                    let record = self.start(now_ms, key, fired_ms, is_dry_run);
                    is_refused |= record.as_ref().is_some_and(|it| it.command.is_empty());
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
        fired_ms: i64,
        is_dry_run: bool,
    ) -> Option<ActionRecord> {
        let config = Arc::clone(&self.config);
        let action = config.list.iter().find(|it| *it.name == *key.action)?;
        let mut record = ActionRecord::new(now_ms, &key, ActionOutcome::DryRun);
        record.fired_at = Some(format_ms(fired_ms));
        let command = match filled(action, &key.entity) {
            Ok(command) => command,
            Err(reason) => {
                if !is_dry_run {
                    self.guard.finished(now_ms, &key, false);
                }
                (record.outcome, record.error) = (ActionOutcome::Refused, Some(reason));
                return Some(record);
            }
        };
        if is_dry_run {
            record.command = command;
            return Some(record);
        }
        let line = CommandLine {
            program: PathBuf::from(&command[0]),
            arguments: command[1..].to_vec(),
            working_directory: action.working_directory.clone(),
            environment: action.environment.clone(),
            timeout: action.timeout.to_std(),
            max_output_bytes: action.max_output_bytes.as_len(),
        };
        let mut stop = self.stop.subscribe();
        let run = async move { run(&line, async { drop(stop.wait_for(|it| *it).await) }).await };
        let id = self.runs.spawn(run).id();
        self.begun.insert(id, Begun { key, fired_ms, command });
        None
    }

    async fn ended(&mut self, ended: Result<(Id, CommandResult), JoinError>) {
        let now_ms = (self.driver.now_ms)();
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(Begun { key, fired_ms, command }) = self.begun.remove(&id) else { return };
        let mut record = match result {
            Ok(result) => ActionRecord::ended(now_ms, &key, result),
            Err(error) => {
                let mut record = ActionRecord::new(now_ms, &key, ActionOutcome::Failed);
                record.error = Some(error.to_string());
                record
            }
        };
        (record.command, record.fired_at) = (command, Some(format_ms(fired_ms)));
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
            tracing::warn!(
                running = self.guard.running(),
                "commands of actions did not end in time"
            );
        }
        self.show();
    }

    /// Has the disk what is remembered; says whether it has.
    async fn keep(&mut self) -> bool {
        self.archive.keep(self.guard.memory()).await
    }

    fn show(&self) {
        let does_anything = self.config.enabled && !self.config.list.is_empty();
        action_counters::show(self.guard.running(), does_anything && !self.is_switched_off);
        let held = self.guard.held().take(MOST_HELD_SHOWN);
        self.shown.send_replace(Some(Arc::new(ActionsStatus {
            config: Arc::clone(&self.config),
            is_switched_off: self.is_switched_off,
            is_kept: self.archive.is_kept(),
            running: self.begun.values().map(|it| it.key.clone()).collect(),
            held_back: held.map(|(key, reason)| (key.clone(), reason)).collect(),
            recent: self.archive.recent(),
        })));
    }
}

/// A command for an entity.
fn filled(action: &ActionConfig, entity: &Labels) -> Result<Vec<String>, String> {
    let fill = |text: &String| {
        let argument = Argument::parse(text)?;
        argument.fill(|label| entity.get(label)).map_err(|error| error.to_string())
    };
    action.command.iter().map(fill).collect()
}
