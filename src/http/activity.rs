//! Activity: what a connection is doing and since when, so that a slow or idle peer is noticed.
//!
//! hyper has one time-out for both a slow head and an idle connection; a scrape every 15 s wants
//! the former short and the latter long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request, or for the peer to read an answer.
    Idle = 0,
    /// The first bytes of a request are here.
    Head = 1,
    /// A handler is at work.
    Request = 2,
}

/// No request has begun that the stream has not been told of.
const NONE_BEGUN: u64 = u64::MAX;

/// A request has begun whose body does not tell its length.
const LENGTH_UNKNOWN: u64 = u64::MAX - 1;

/// No write waits.
const NOT_BLOCKED: u64 = u64::MAX;

/// How long a peer may be slow in each respect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// With the head of a request.
    pub(super) header: Duration,
    /// Between an answer and the next request.
    pub(super) idle: Duration,
    /// Without taking anything of what is written.
    pub(super) answer: Duration,
}

/// The phase of one connection and the time it began, and what its stream and its handlers tell each other.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Milliseconds since `opened` times four, plus the phase.
    state: AtomicU64,
    /// The length of the body of the request that has begun, or one of the constants above.
    begun: AtomicU64,
    /// A request has begun and its answer is not out yet.
    owed: AtomicBool,
    /// Nobody reads more of the body of the last request.
    body_done: AtomicBool,
    /// All of the last answer is in hyper's hands.
    handed_over: AtomicBool,
    /// The body of the last request came too slowly.
    body_slow: AtomicBool,
    /// Milliseconds after `opened` since when the peer takes nothing of what is written.
    blocked: AtomicU64,
    /// The peer has closed its side.
    closed: AtomicBool,
    closing: Notify,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            state: AtomicU64::new(Phase::Idle as u64),
            begun: AtomicU64::new(NONE_BEGUN),
            owed: AtomicBool::new(false),
            body_done: AtomicBool::new(false),
            handed_over: AtomicBool::new(false),
            body_slow: AtomicBool::new(false),
            blocked: AtomicU64::new(NOT_BLOCKED),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        })
    }

    fn now(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }

    fn enter(&self, phase: Phase) {
        self.state.store(self.now() << 2 | phase as u64, Ordering::Relaxed);
    }

    /// A handler begins, with a request whose body has this length if it tells.
    pub(super) fn begin(&self, length: Option<u64>) {
        self.begun.store(length.unwrap_or(LENGTH_UNKNOWN), Ordering::Relaxed);
        self.body_done.store(length == Some(0), Ordering::Relaxed);
        self.handed_over.store(false, Ordering::Relaxed);
        self.body_slow.store(false, Ordering::Relaxed);
        self.owed.store(true, Ordering::Relaxed);
        self.enter(Phase::Request);
    }

    /// The length of the body of the request that has begun since this was last asked, where it tells.
    pub(super) fn take_begun(&self) -> Option<Option<u64>> {
        match self.begun.swap(NONE_BEGUN, Ordering::Relaxed) {
            NONE_BEGUN => None,
            LENGTH_UNKNOWN => Some(None),
            length => Some(Some(length)),
        }
    }

    /// Nobody reads more of the body.
    pub(super) fn body_done(&self) {
        self.body_done.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_body_done(&self) -> bool {
        self.body_done.load(Ordering::Relaxed)
    }

    /// The body comes too slowly; nothing more is wanted of it.
    pub(super) fn body_slow(&self) {
        self.body_slow.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_body_slow(&self) -> bool {
        self.body_slow.load(Ordering::Relaxed)
    }

    /// The peer has taken something of what is written, or has not.
    pub(super) fn wrote(&self, anything: bool) {
        let was_blocked = self.blocked.load(Ordering::Relaxed) != NOT_BLOCKED;
        if anything && was_blocked {
            self.blocked.store(NOT_BLOCKED, Ordering::Relaxed);
            // Not idle since the handler's end, but since the peer has read.
            if self.state.load(Ordering::Relaxed) & 3 == Phase::Idle as u64 {
                self.enter(Phase::Idle);
            }
        } else if !anything && !was_blocked {
            self.blocked.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Whether a request has begun whose answer is not out yet.
    pub(super) fn is_owed(&self) -> bool {
        self.owed.load(Ordering::Relaxed)
    }

    /// All of an answer is in hyper's hands.
    pub(super) fn handed_over(&self) {
        self.handed_over.store(true, Ordering::Relaxed);
    }

    /// All that was written is out; says whether that was an answer.
    pub(super) fn settle(&self) -> bool {
        let is_answered = self.handed_over.load(Ordering::Relaxed);
        if is_answered {
            self.owed.store(false, Ordering::Relaxed);
        }
        is_answered
    }

    /// The peer has closed its side.
    pub(super) fn closed(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.closing.notify_waiters();
    }

    /// Returns when the peer has closed its side.
    pub(super) async fn until_closed(&self) {
        let closing = self.closing.notified();
        if !self.closed.load(Ordering::Relaxed) {
            closing.await;
        }
    }

    /// A handler has answered.
    pub(super) fn end(&self) {
        self.enter(Phase::Idle);
    }

    /// Bytes have come in.
    pub(super) fn received(&self) {
        if self.state.load(Ordering::Relaxed) & 3 == Phase::Idle as u64 {
            self.enter(Phase::Head);
        }
    }

    /// Returns when the peer has been slow or idle for too long, and with what.
    pub(super) async fn overdue(&self, limits: Limits) -> &'static str {
        // Looking twice in the shortest time notices a phase that began since the last look.
        let pace = limits.header.min(limits.idle).min(limits.answer) / 2;
        loop {
            tokio::time::sleep(pace.max(Duration::from_millis(1))).await;
            let state = self.state.load(Ordering::Relaxed);
            let blocked = self.blocked.load(Ordering::Relaxed);
            let (since, limit, what) = match state & 3 {
                _ if blocked != NOT_BLOCKED => (blocked, limits.answer, "answer"),
                phase if phase == Phase::Idle as u64 => (state >> 2, limits.idle, "idle"),
                phase if phase == Phase::Head as u64 => (state >> 2, limits.header, "head"),
                _ => continue,
            };
            if (self.opened + Duration::from_millis(since)).elapsed() >= limit {
                return what;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(120),
        answer: Duration::from_secs(30),
    };

    /// What a peer is cut off for when this happens in these seconds, and after how many.
    async fn cut_off(happens: impl Fn(u64, &Activity)) -> Option<(&'static str, u64)> {
        let activity = Activity::new();
        let peer = async {
            for second in 0..1_000 {
                happens(second, &activity);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let start = Instant::now();
        tokio::select! {
            what = activity.overdue(LIMITS) => Some((what, start.elapsed().as_secs())),
            () = peer => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_some_goes_on_and_one_that_takes_nothing_is_cut_off() {
        let answered = |second, activity: &Activity| {
            if second == 0 {
                activity.begin(Some(0));
                activity.end();
            }
        };
        let steady = cut_off(|second, activity| {
            answered(second, activity);
            activity.wrote(second % 20 == 0);
        });
        assert_eq!(steady.await, None);
        let stalled = cut_off(|second, activity| {
            answered(second, activity);
            activity.wrote(second < 100);
        });
        assert_eq!(stalled.await, Some(("answer", 130)));
        // It is idle from when it has read the last of it.
        let idle = cut_off(|second, activity| {
            answered(second, activity);
            if second <= 40 {
                activity.wrote(second % 20 == 0);
            }
        });
        assert_eq!(idle.await, Some(("idle", 160)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_may_take_its_time_and_its_reader_may_not() {
        assert_eq!(cut_off(|_, activity| activity.begin(Some(0))).await, None);
        let streamed = cut_off(|second, activity| {
            activity.begin(Some(0));
            activity.wrote(second < 50);
        });
        assert_eq!(streamed.await, Some(("answer", 80)));
        assert_eq!(cut_off(|_, _| ()).await, Some(("idle", 120)));
        assert_eq!(cut_off(|_, activity| activity.received()).await, Some(("head", 10)));
    }
}
