//! A silence: alerts that are held back for a while because somebody said so.

use crate::labels::Labels;
use crate::matcher::Selector;

/// How far a silence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// It holds alerts back.
    Active,
    /// It has not begun.
    Pending,
    /// It is over.
    Expired,
}

impl SilenceState {
    /// Its name in Alertmanager's API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

/// A silence.
///
/// # Units
/// Milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// What it is called on the API: a UUID.
    pub id: String,
    /// Which alerts it holds back.
    pub selector: Selector,
    /// From when.
    pub starts_at_ms: i64,
    /// Until when; not part of it.
    pub ends_at_ms: i64,
    /// When it was set or changed last.
    pub updated_at_ms: i64,
    /// Who set it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// How far it is.
    #[must_use]
    pub fn state(&self, now_ms: i64) -> SilenceState {
        match now_ms {
            _ if now_ms >= self.ends_at_ms => SilenceState::Expired,
            _ if now_ms < self.starts_at_ms => SilenceState::Pending,
            _ => SilenceState::Active,
        }
    }

    /// Whether it holds back alerts with these labels now.
    #[must_use]
    pub fn mutes(&self, labels: &Labels, now_ms: i64) -> bool {
        self.state(now_ms) == SilenceState::Active && self.selector.matches(labels)
    }
}
