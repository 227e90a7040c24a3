//! Maintenance windows, ready to be asked which of them holds an alert back.

use std::sync::Arc;

use super::config::MaintenanceWindow;
use super::text::parse_matcher;
use super::weekly::WeeklySchedule;
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::timestamp::parse_ms;

/// What cannot work in a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct MaintenanceError {
    /// The key's path below `alerting`.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The windows of the configuration, in its order. Cheaply cloned.
#[derive(Debug, Clone, Default)]
pub struct MaintenanceWindows(Arc<[ReadyWindow]>);

#[derive(Debug)]
struct ReadyWindow {
    name: String,
    selector: Selector,
    times: OpenTimes,
}

#[derive(Debug)]
enum OpenTimes {
    Once { starts_at_ms: i64, ends_at_ms: i64 },
    Weekly(WeeklySchedule),
}

impl MaintenanceWindows {
    /// Reads them as they are written under `alerting.maintenance_windows`.
    ///
    /// # Errors
    /// The first thing in them that cannot work.
    pub fn read(windows: &[MaintenanceWindow]) -> Result<Self, MaintenanceError> {
        let mut ready = Vec::with_capacity(windows.len());
        for (i, window) in windows.iter().enumerate() {
            let wrong = |(key, reason): (String, String)| {
                let dot = if key.is_empty() { "" } else { "." };
                MaintenanceError { key: format!("maintenance_windows[{i}]{dot}{key}"), reason }
            };
            if windows[..i].iter().any(|other| other.name == window.name) {
                let reason = format!("{:?} is there twice", window.name);
                return Err(wrong(("name".to_owned(), reason)));
            }
            ready.push(ReadyWindow::read(window).map_err(wrong)?);
        }
        Ok(Self(ready.into()))
    }

    /// The name of the first window that holds back alerts with these labels now.
    #[must_use]
    pub fn muting(&self, labels: &Labels, now_ms: i64) -> Option<&str> {
        // Which hours it is costs more than to compare a label.
        let found =
            self.0.iter().find(|it| it.selector.matches(labels) && it.times.is_open(now_ms))?;
        Some(&found.name)
    }

    /// The names of those whose time it is.
    pub fn open(&self, now_ms: i64) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |it| it.times.is_open(now_ms)).map(|it| &*it.name)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ReadyWindow {
    /// # Errors
    /// The key in the window, and what is wrong with it.
    fn read(window: &MaintenanceWindow) -> Result<Self, (String, String)> {
        if window.name.is_empty() {
            return Err(("name".to_owned(), "must not be empty".to_owned()));
        }
        let mut matchers = Vec::with_capacity(window.matchers.len());
        for (i, text) in window.matchers.iter().enumerate() {
            let matcher = parse_matcher(text);
            matchers.push(matcher.map_err(|error| (format!("matchers[{i}]"), error.to_string()))?);
        }
        let times = OpenTimes::read(window)?;
        Ok(Self { name: window.name.clone(), selector: Selector::new(matchers), times })
    }
}

impl OpenTimes {
    fn read(window: &MaintenanceWindow) -> Result<Self, (String, String)> {
        let wrong = |key: &str, reason: &str| Err((key.to_owned(), reason.to_owned()));
        let moment = |key: &str, text: &str| {
            parse_ms(text).map_err(|error| (key.to_owned(), error.to_string()))
        };
        match (&window.starts_at, &window.ends_at, &window.weekly) {
            (Some(starts_at), Some(ends_at), None) => {
                let starts_at_ms = moment("starts_at", starts_at)?;
                let ends_at_ms = moment("ends_at", ends_at)?;
                match starts_at_ms < ends_at_ms {
                    true => Ok(Self::Once { starts_at_ms, ends_at_ms }),
                    false => wrong("ends_at", "must be after starts_at"),
                }
            }
            (None, None, Some(weekly)) => {
                let below = |(key, reason): (String, String)| match key.is_empty() {
                    true => ("weekly".to_owned(), reason),
                    false => (format!("weekly.{key}"), reason),
                };
                WeeklySchedule::read(weekly).map(Self::Weekly).map_err(below)
            }
            (Some(_), None, None) => wrong("ends_at", "is missing: starts_at is there"),
            (None, Some(_), None) => wrong("starts_at", "is missing: ends_at is there"),
            (None, None, None) => wrong("", "needs starts_at and ends_at, or weekly"),
            (_, _, Some(_)) => wrong("", "has weekly together with starts_at or ends_at"),
        }
    }

    fn is_open(&self, now_ms: i64) -> bool {
        match self {
            Self::Once { starts_at_ms, ends_at_ms } => {
                (*starts_at_ms..*ends_at_ms).contains(&now_ms)
            }
            Self::Weekly(schedule) => schedule.is_open(now_ms),
        }
    }
}
