//! Followers: the tasks that follow what the pipeline finds: the owner of the silences, which hold the others
//! back, the one that sends notifications, and the one that runs actions.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::ServeError;
use super::clock::now_ms;
use super::folder::Folder;
use super::silences::{self, IdleOwner, SilenceDesk};
use crate::actions::{self, ActionDesk, ActionDriver, ActionPlan, DeskBack};
use crate::config::Config;
use crate::detect::Snapshot;
use crate::maintenance::MaintenanceWindows;
use crate::notify::{Audience, Notifier, Target};

/// Reloads that may wait for what is under way.
const MAX_WAITING: usize = 4;

/// How others reach those who can be told something.
#[derive(Debug, Clone)]
pub(super) struct Desks {
    pub(super) silences: SilenceDesk,
    pub(super) actions: ActionDesk,
}

/// Those who have not begun.
#[derive(Debug)]
pub(super) struct IdleFollowers {
    silences: IdleOwner,
    actions: DeskBack,
}

/// What a configuration wants of the followers, checked.
#[derive(Debug)]
pub(super) struct Plan {
    windows: MaintenanceWindows,
    max_silences: usize,
    audience: Audience,
    actions: ActionPlan,
}

/// Those who are at work. They end when this is dropped, the owner of the silences when all desks are.
#[derive(Debug)]
pub(super) struct Followers {
    silences: SilenceDesk,
    audiences: mpsc::Sender<Audience>,
    actions: mpsc::Sender<ActionPlan>,
}

/// Those who have not begun, and the ways to them.
pub(super) fn idle() -> (IdleFollowers, Desks) {
    let (silence_owner, silences) = silences::owner();
    let (back, actions) = actions::desk();
    (IdleFollowers { silences: silence_owner, actions: back }, Desks { silences, actions })
}

impl Plan {
    /// By this configuration.
    ///
    /// # Errors
    /// When a file that it names cannot be used, or a window cannot work.
    pub(super) fn read(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            windows: MaintenanceWindows::read(&config.alerting.maintenance_windows)?,
            max_silences: config.alerting.max_silences,
            audience: Audience {
                config: config.notify.clone(),
                targets: Target::all(&config.notify)?,
                rules: Arc::from(&*config.alerting.rules),
                models: config.models.iter().map(|it| it.name.clone()).collect(),
            },
            actions: ActionPlan::read(&config.actions)?,
        })
    }
}

impl IdleFollowers {
    /// Begins with what is in a folder, if there is one. What is muted is known before anybody looks, and what
    /// was done when this returns.
    ///
    /// # Errors
    /// When what is in it could not be read to its end.
    pub(super) async fn start(
        self,
        plan: Plan,
        desks: Desks,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        folder: Option<&Folder>,
    ) -> Result<(Followers, impl Future<Output = ()> + use<>), ServeError> {
        let Plan { windows, max_silences, audience, actions } = plan;
        let Desks { silences, actions: desk } = desks;
        let owner = self.silences.start(windows, max_silences, folder).await?;
        let folder = folder.map(|it| it.path().to_owned());
        let maintenance = silences.published.clone();
        // There is room for one.
        let (audiences, queue) = mpsc::channel(MAX_WAITING);
        let _ = audiences.try_send(audience);
        let (maintained, seen) = (maintenance.clone(), snapshots.clone());
        let notifier = Notifier { now_ms, maintenance: maintained, snapshots: seen };
        let notifier = tokio::spawn(notifier.run(folder.clone(), queue));
        let driver = ActionDriver { now_ms, maintenance, snapshots, folder };
        let (plans, queue) = mpsc::channel(MAX_WAITING);
        let _ = plans.try_send(actions);
        let doer: JoinHandle<()> = tokio::spawn(driver.run(self.actions, queue));
        desk.begun().await;
        let ends = async move {
            // One that has died has been said.
            let _ = tokio::join!(owner, notifier, doer);
        };
        Ok((Followers { silences, audiences, actions: plans }, ends))
    }
}

impl Followers {
    /// Has them follow another plan.
    ///
    /// # Errors
    /// When one of them has ended.
    pub(super) async fn follow(&self, plan: Plan) -> anyhow::Result<()> {
        let Plan { windows, max_silences, audience, actions } = plan;
        self.silences.reconfigure(windows, max_silences).await;
        self.audiences.send(audience).await.ok().context("nobody tells of alerts any more")?;
        self.actions.send(actions).await.ok().context("nobody acts on alerts any more")
    }
}
