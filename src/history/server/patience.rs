//! Patience: how often, and after which waits, a server is asked again.
//!
//! In: a question, and what the server says. Out: its answer, or a reason that waiting does not mend. A
//! wait is the longer one of ours, which doubles, and the server's (`Retry-After`), as a server may say 0
//! and stay busy. A random part is added, so that questions that were refused together do not come back
//! together.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use super::client::{Ask, Server};
use super::reason::{Reason, Remedy};

/// How long a server is waited for: 1 + 2 + 4 + 8 + 16 + 32 s, as long as a restart takes.
pub(crate) const PATIENCE: Patience = Patience { first: Duration::from_secs(1), waits: 6 };

/// A wait is longer by at most this part of it.
const JITTER: f64 = 0.25;

/// The first wait for a server, twice as long each time, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub first: Duration,
    pub waits: u32,
}

impl Patience {
    /// All waits after the next one, where the server asks for no longer ones.
    fn after(&self, before: u32) -> Duration {
        let later = (before + 1..self.waits).map(|it| 2_u32.saturating_pow(it));
        later.map(|it| self.first.saturating_mul(it)).sum()
    }

    /// The wait after so many, when the server asks for one of its own, or none.
    fn wait(&self, before: u32, asked: Option<Duration>) -> Duration {
        let own = self.first.saturating_mul(2_u32.saturating_pow(before));
        let least = asked.map_or(own, |asked| asked.max(own));
        let mut random = [0; 4];
        // Without chance a wait is as long as it is.
        let _ = SystemRandom::new().fill(&mut random);
        let part = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        least.saturating_add(least.mul_f64(JITTER * part))
    }
}

/// Asks until there is an answer, or a reason that waiting does not mend.
pub(crate) async fn ask_patiently(
    server: &Server,
    ask: Ask<'_>,
    patience: Patience,
) -> Result<Vec<u8>, Reason> {
    let mut waits = 0;
    loop {
        let reason = match server.ask(ask).await {
            Ok(body) => {
                server.waits_told.store(0, Ordering::Relaxed);
                return Ok(body);
            }
            Err(reason) => reason,
        };
        let asked = match reason.remedy(server.is_known()) {
            Remedy::Wait(asked) if waits < patience.waits => asked,
            _ => return Err(reason),
        };
        let wait = patience.wait(waits, asked);
        let after = patience.after(waits);
        waits += 1;
        // One line for a wait, however many questions are under way.
        if server.waits_told.fetch_max(waits, Ordering::Relaxed) < waits {
            let [wait, goes_on_for] =
                [wait, wait + after].map(|it| format!("{:.0}s", it.as_secs_f64()));
            let attempt = format!("{waits} of {}", patience.waits);
            tracing::warn!(%reason, wait, attempt, goes_on_for, "the server does not answer: asking again");
        }
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_the_longer_one_and_some_more() {
        let seconds = Duration::from_secs;
        let check = |before: u32, asked: Option<u64>, least: u64| {
            let waits = [(); 20].map(|()| PATIENCE.wait(before, asked.map(seconds)));
            let most = seconds(least).mul_f64(1.0 + JITTER);
            assert!(waits.iter().all(|it| (seconds(least)..=most).contains(it)), "{waits:?}");
            assert!(waits.iter().any(|it| *it != waits[0]), "never by chance: {waits:?}");
        };
        check(0, None, 1);
        check(5, None, 32);
        check(0, Some(0), 1);
        check(5, Some(0), 32);
        check(5, Some(31), 32);
        check(0, Some(60), 60);
    }

    #[test]
    fn how_long_it_goes_on_is_known_at_each_wait() {
        let after = [0, 1, 4, 5].map(|before| PATIENCE.after(before).as_secs());
        assert_eq!(after, [62, 60, 32, 0]);
    }

    #[test]
    fn a_server_that_says_at_once_is_waited_for_as_long_as_any() {
        let waits = (0..PATIENCE.waits).map(|it| PATIENCE.wait(it, Some(Duration::ZERO)));
        assert!(waits.sum::<Duration>() >= Duration::from_secs(63));
    }
}
