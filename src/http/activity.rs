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
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        })
    }

    fn enter(&self, phase: Phase) {
        let since = self.opened.elapsed().as_millis() as u64;
        self.state.store(since << 2 | phase as u64, Ordering::Relaxed);
    }

    /// A handler begins, with a request whose body has this length if it tells.
    pub(super) fn begin(&self, length: Option<u64>) {
        self.begun.store(length.unwrap_or(LENGTH_UNKNOWN), Ordering::Relaxed);
        self.body_done.store(length == Some(0), Ordering::Relaxed);
        self.handed_over.store(false, Ordering::Relaxed);
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

    /// Returns when the peer has been slow or idle for too long.
    pub(super) async fn overdue(&self, header_timeout: Duration, idle_timeout: Duration) {
        // Looking twice in the shorter time notices a phase that began since the last look.
        let pace = header_timeout.min(idle_timeout) / 2;
        loop {
            tokio::time::sleep(pace.max(Duration::from_millis(1))).await;
            let state = self.state.load(Ordering::Relaxed);
            let since = self.opened + Duration::from_millis(state >> 2);
            let limit = match state & 3 {
                phase if phase == Phase::Idle as u64 => idle_timeout,
                phase if phase == Phase::Head as u64 => header_timeout,
                _ => continue,
            };
            if since.elapsed() >= limit {
                return;
            }
        }
    }
}
