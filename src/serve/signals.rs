//! Signals: what the system asks of a running program.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that a server obeys.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    put_off: bool,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalAction {
    End,
    Reload,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            put_off: false,
        })
    }

    pub(super) async fn next(&mut self) -> SignalAction {
        if std::mem::take(&mut self.put_off) {
            return SignalAction::Reload;
        }
        self.receive().await
    }

    async fn receive(&mut self) -> SignalAction {
        tokio::select! {
            _ = self.terminate.recv() => SignalAction::End,
            _ = self.interrupt.recv() => SignalAction::End,
            _ = self.hangup.recv() => SignalAction::Reload,
        }
    }

    /// Waits for a signal to end; one to reload is put off until the next call of `next`.
    pub(super) async fn end(&mut self) {
        while self.receive().await != SignalAction::End {
            self.put_off = true;
        }
    }
}
