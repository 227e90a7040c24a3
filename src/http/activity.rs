//! Activity: what a connection is doing and since when, so that a slow or idle peer is noticed.
//!
//! hyper has one time-out for both a slow head and an idle connection; a scrape every 15 s wants
//! the former short and the latter long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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

/// The phase of one connection and the time it began.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Milliseconds since `opened` times four, plus the phase.
    state: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { opened: Instant::now(), state: AtomicU64::new(Phase::Idle as u64) })
    }

    fn enter(&self, phase: Phase) {
        let since = self.opened.elapsed().as_millis() as u64;
        self.state.store(since << 2 | phase as u64, Ordering::Relaxed);
    }

    /// A handler begins.
    pub(super) fn begin(&self) {
        self.enter(Phase::Request);
    }

    /// A handler has answered.
    pub(super) fn end(&self) {
        self.enter(Phase::Idle);
    }

    /// Bytes have come in.
    fn received(&self) {
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

/// A stream that tells its [`Activity`] when bytes come in.
#[derive(Debug)]
pub(super) struct Observed<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Observed<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
