//! Maintenance: when alerts are known to be no news, so that nobody is called and nothing is done about them.
//!
//! In: the windows of the configuration, silences that people set while the program runs, the labels of an
//! alert, and `now`. Out: which window or silence holds the alert back, if any. What is held back are
//! notifications and actions; scores, alert states and the metrics page go on as ever.
//!
//! A **window** is known beforehand: from one moment to another, or at hours of the week by the clocks of a
//! place. A **silence** is set for a while by somebody who says why. Both hold back the alerts all of whose
//! matchers match; an end does not belong to what it ends. Several may hold back the same alert: the first
//! window in the configuration's order is named, then the silence that was set first.
//!
//! It knows no clock, no file and no HTTP. Patterns are compiled once, when a window is read or a silence is
//! set; an alert costs a comparison for each window and silence.
//!
//! Sources: Alertmanager, "Configuration" (`time_intervals`, matchers), `silence/silence.go`,
//! `timeinterval/timeinterval.go`, `api/v2/openapi.yaml`.

mod config;
mod record;
mod silence;
mod silences;
mod text;
mod weekly;
mod window;

use std::fmt;

use crate::labels::Labels;

pub use config::{ClockTimes, MaintenanceWindow, WeeklyHours};
pub use record::{MatcherRecord, RecordError, SilenceRecord, StatusRecord};
pub use silence::{Silence, SilenceState};
pub use silences::{SilenceError, Silences, StateCounts, random_id};
pub use text::{MatcherTextError, parse_matcher};
pub use window::{MaintenanceError, MaintenanceWindows};

/// The windows and silences in force, as one value that is exchanged whole.
#[derive(Debug, Clone, Default)]
pub struct Maintenance {
    /// Those of the configuration.
    pub windows: MaintenanceWindows,
    /// Those that people have set.
    pub silences: Silences,
}

/// What holds an alert back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutedBy<'a> {
    /// The window of this name.
    Window(&'a str),
    /// The silence of this id.
    Silence(&'a str),
}

impl Maintenance {
    /// What holds back an alert with these labels, `alertname` and `model` included, if anything does.
    #[must_use]
    pub fn muted_by(&self, labels: &Labels, now_ms: i64) -> Option<MutedBy<'_>> {
        let window = self.windows.muting(labels, now_ms).map(MutedBy::Window);
        window.or_else(|| self.silences.muting(labels, now_ms).map(|it| MutedBy::Silence(&it.id)))
    }
}

impl MutedBy<'_> {
    /// Whether it is a window or a silence, as a label value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Window(_) => "window",
            Self::Silence(_) => "silence",
        }
    }
}

impl fmt::Display for MutedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window(name) => write!(f, "maintenance window {name:?}"),
            Self::Silence(id) => write!(f, "silence {id}"),
        }
    }
}

#[cfg(test)]
mod tests;
