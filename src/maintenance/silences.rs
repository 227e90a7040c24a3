//! The silences that there are, and what may be done with them.
//!
//! What is over is remembered for some days, so that people find it and can set it again, and makes way when
//! there are too many.

use std::sync::Arc;

use super::silence::{Silence, SilenceState};
use crate::duration::HOUR_MS;
use crate::labels::Labels;

/// How long one that is over is remembered: as long as Alertmanager's `--data.retention`.
const KEPT_AFTER_END_MS: i64 = 120 * HOUR_MS;

/// Why a silence is not set or not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// There is none of this id.
    #[error("there is no silence {0:?}")]
    Unknown(String),
    /// It would hold everything back, or nothing.
    #[error("{0}")]
    Wrong(&'static str),
    /// There are too many that are active or pending.
    #[error("there are {0} silences already, as many as alerting.max_silences allows; expire some")]
    TooMany(usize),
}

/// How many silences there are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// They hold alerts back.
    pub active: usize,
    /// They have not begun.
    pub pending: usize,
    /// They are over and still remembered.
    pub expired: usize,
}

/// The silences, in the order in which they were set. Cheaply cloned.
#[derive(Debug, Clone, Default)]
pub struct Silences(Vec<Arc<Silence>>);

/// An id in the form of a UUID of version 4 from as many random bytes.
#[must_use]
pub fn random_id(mut random: [u8; 16]) -> String {
    random[6] = (random[6] & 0x0f) | 0x40;
    random[8] = (random[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in random.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

impl Silences {
    /// Those that were kept elsewhere, such as on a disk, however many they are.
    #[must_use]
    pub fn of(silences: Vec<Silence>) -> Self {
        Self(silences.into_iter().map(Arc::new).collect())
    }

    /// The first that holds back alerts with these labels now.
    #[must_use]
    pub fn muting(&self, labels: &Labels, now_ms: i64) -> Option<&Silence> {
        self.iter().find(|it| it.mutes(labels, now_ms))
    }

    /// All of them, those that are over included.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.0.iter().map(|it| &**it)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.iter().find(|it| it.id == id)
    }

    /// How many are how far.
    #[must_use]
    pub fn counts(&self, now_ms: i64) -> StateCounts {
        let mut counts = StateCounts::default();
        for it in self.iter() {
            *match it.state(now_ms) {
                SilenceState::Active => &mut counts.active,
                SilenceState::Pending => &mut counts.pending,
                SilenceState::Expired => &mut counts.expired,
            } += 1;
        }
        counts
    }

    /// Sets a silence, of which there may be `most` that are not over. With an empty id it is a new one, which
    /// gets `new_id`. With the id of another it takes that one's place: under the same id where only what is
    /// to come and the words change, else as a new one, and the other ends now. One that would have begun
    /// before begins now. Returns the id that it has.
    ///
    /// # Errors
    /// [`SilenceError`]; nothing has changed then.
    pub fn set(
        &mut self,
        mut silence: Silence,
        new_id: String,
        now_ms: i64,
        most: usize,
    ) -> Result<String, SilenceError> {
        self.forget_ended(now_ms);
        silence.updated_at_ms = now_ms;
        // What would hold back alerts without any of these labels holds back everything.
        if silence.selector.matchers().iter().all(|it| it.matches("")) {
            let reason =
                "at least one matcher must not match the empty string, or all alerts are silenced";
            return Err(SilenceError::Wrong(reason));
        }
        if silence.starts_at_ms >= silence.ends_at_ms {
            return Err(SilenceError::Wrong("startsAt must be before endsAt"));
        }
        if silence.ends_at_ms <= now_ms {
            return Err(SilenceError::Wrong("endsAt must not be in the past"));
        }
        let before = match silence.id.is_empty() {
            true => None,
            false => Some(self.position(&silence.id)?),
        };
        if let Some(i) = before
            && is_change_of(&self.0[i], &silence, now_ms)
        {
            let id = silence.id.clone();
            self.0[i] = Arc::new(silence);
            return Ok(id);
        }
        let is_live = |it: &Silence| it.state(now_ms) != SilenceState::Expired;
        let ending = before.is_some_and(|i| is_live(&self.0[i]));
        let live = self.iter().filter(|it| is_live(it)).count() - usize::from(ending);
        if live >= most {
            return Err(SilenceError::TooMany(live));
        }
        if let Some(i) = before {
            self.end(i, now_ms);
        }
        silence.id = new_id.clone();
        silence.starts_at_ms = silence.starts_at_ms.max(now_ms);
        self.0.push(Arc::new(silence));
        self.make_way(now_ms, most);
        Ok(new_id)
    }

    /// Ends a silence now. One that is over already stays as it is.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn expire(&mut self, id: &str, now_ms: i64) -> Result<(), SilenceError> {
        let i = self.position(id)?;
        self.end(i, now_ms);
        Ok(())
    }

    /// Forgets those that are over for long. Says whether there were any.
    pub fn forget_ended(&mut self, now_ms: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|it| now_ms < it.ends_at_ms.saturating_add(KEPT_AFTER_END_MS));
        self.0.len() < before
    }

    fn position(&self, id: &str) -> Result<usize, SilenceError> {
        let found = self.0.iter().position(|it| it.id == id);
        found.ok_or_else(|| SilenceError::Unknown(id.to_owned()))
    }

    fn end(&mut self, i: usize, now_ms: i64) {
        if self.0[i].state(now_ms) != SilenceState::Expired {
            let ended = Silence {
                starts_at_ms: self.0[i].starts_at_ms.min(now_ms),
                ends_at_ms: now_ms,
                updated_at_ms: now_ms,
                ..Silence::clone(&self.0[i])
            };
            self.0[i] = Arc::new(ended);
        }
    }

    /// Forgets those that ended first, as long as there are more than `most` in all.
    fn make_way(&mut self, now_ms: i64, most: usize) {
        while self.0.len() > most {
            let over = self.0.iter().enumerate().filter(|(_, it)| now_ms >= it.ends_at_ms);
            let Some((i, _)) = over.min_by_key(|(_, it)| it.ends_at_ms) else { break };
            self.0.remove(i);
        }
    }
}

/// Whether a silence may take another's place under its id: it holds back the same alerts, and what it did
/// until now is not told otherwise.
fn is_change_of(before: &Silence, after: &Silence, now_ms: i64) -> bool {
    let same_second = |a: i64, b: i64| a.div_euclid(1_000) == b.div_euclid(1_000);
    before.selector == after.selector
        && match before.state(now_ms) {
            SilenceState::Active => same_second(before.starts_at_ms, after.starts_at_ms),
            SilenceState::Pending => after.starts_at_ms >= now_ms,
            SilenceState::Expired => false,
        }
}
