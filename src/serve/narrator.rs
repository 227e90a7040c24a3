//! The narrator: the task that logs what happens while it is served.
//!
//! In: the snapshots, and which sender pushed what. Out: lines of the log, few of each kind ([`super::senders`],
//! [`super::usable`], [`super::story`]). Neither ticks nor requests wait for it.

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::USER_AGENT;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::clock::now_ms;
use super::live::Live;
use super::senders::{Sender, Senders};
use super::story::Story;
use super::usable::{Usable, Word};
use crate::detect::Snapshot;
use crate::http::Peer;
use crate::remote_write::{clip, negotiate};
use crate::sample::Batch;
use crate::series::Outcome;

/// How often it is looked for what did not come.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Requests that it may not have heard of yet. Of further ones it does not hear: a sender comes again.
const MOST_WAITING: usize = 256;

/// The way to the narrator for those who take requests.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    senders: mpsc::Sender<Sender>,
    usable: Arc<Usable>,
}

/// The narrator, who has not begun.
#[derive(Debug)]
pub(super) struct Narrator {
    senders: mpsc::Receiver<Sender>,
    usable: Arc<Usable>,
}

/// A narrator, and the way to it.
pub(super) fn narrator() -> (Narrator, Witness) {
    let (sender, senders) = mpsc::channel(MOST_WAITING);
    let usable = Arc::new(Usable::new(now_ms()));
    (Narrator { senders, usable: Arc::clone(&usable) }, Witness { senders: sender, usable })
}

impl Witness {
    /// Who sends a request, by what comes with it; nobody whose headers are refused.
    pub(super) fn sender(headers: &HeaderMap, peer: Option<&Peer>) -> Option<Sender> {
        let protocol = negotiate(headers).ok()?;
        let user_agent = headers.get(USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
        let user_agent = clip(&String::from_utf8_lossy(user_agent));
        Some(Sender { address: peer.and_then(Peer::address), user_agent, protocol })
    }

    /// A request of a sender was taken, all of it or a part.
    pub(super) fn taken(&self, sender: Sender) {
        let _ = self.senders.try_send(sender);
    }

    /// A batch has come.
    pub(super) fn came(&self, batch: &Batch) {
        self.usable.came(batch, now_ms());
    }

    /// And this became of it.
    pub(super) fn became(&self, outcome: &Outcome) {
        self.usable.became(outcome, now_ms());
    }
}

impl Narrator {
    /// Logs what happens, until there are no more snapshots.
    pub(super) async fn run(
        mut self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        live: watch::Receiver<Arc<Live>>,
    ) {
        let (mut story, mut senders) = (Story::default(), Senders::default());
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let snapshot = Arc::clone(&snapshots.borrow_and_update());
                    for line in story.follow(&snapshot) {
                        tracing::info!(model = line.model, entities = line.count, "{}", line.text());
                    }
                }
                Some(sender) = self.senders.recv() => senders.heard(sender, now_ms()),
                _ = look.tick() => {
                    let wanted = live.borrow().receiver.wanted();
                    tell_use(&self.usable, &wanted);
                }
            }
            name_senders(&mut senders);
        }
    }
}

/// Says that nothing that is wanted comes, or comes again.
fn tell_use(usable: &Usable, wanted: &[String]) {
    if wanted.is_empty() {
        // Nothing is waited for, or not yet.
        return usable.begin(now_ms());
    }
    match usable.look(now_ms()) {
        None => {}
        Some(Word::Again) => tracing::info!("{}", Word::Again.text(wanted)),
        Some(nothing) => tracing::warn!("{}", nothing.text(wanted)),
    }
}

fn name_senders(senders: &mut Senders) {
    let (named, more) = senders.take(now_ms());
    for Sender { address, user_agent, protocol } in named {
        let address = address.map_or("unknown".to_owned(), |it| it.to_string());
        tracing::info!(address, user_agent, protocol = protocol.name(), "first push from a sender");
    }
    if more > 0 {
        tracing::info!(senders = more, "first pushes from more senders");
    }
}
