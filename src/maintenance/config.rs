//! A maintenance window as it is written in the configuration, `alerting.maintenance_windows`.

use serde::{Deserialize, Serialize};

/// A time that is known beforehand, in which alerts are held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceWindow {
    /// What it is called in the log and on the API.
    pub name: String,
    /// Which alerts it holds back, in Alertmanager's syntax of matchers; all of them without this.
    #[serde(default)]
    pub matchers: Vec<String>,
    /// From when, in RFC 3339; together with `ends_at`, instead of `weekly`.
    #[serde(default)]
    pub starts_at: Option<String>,
    /// Until when, in RFC 3339.
    #[serde(default)]
    pub ends_at: Option<String>,
    /// Every week.
    #[serde(default)]
    pub weekly: Option<WeeklyHours>,
}

/// Hours of the week by the clocks of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeeklyHours {
    /// Days and ranges of days, such as `monday:friday`; every day without this. A range may go over the end
    /// of the week: `saturday:monday`.
    #[serde(default)]
    pub weekdays: Vec<String>,
    /// From when to when on these days; all day without this.
    #[serde(default)]
    pub times: Vec<ClockTimes>,
    /// The time zone's name in the IANA database.
    #[serde(default = "utc")]
    pub location: String,
}

/// From one time of day to another.
///
/// One that ends before it starts goes over midnight; the day on which it starts is the one that `weekdays`
/// means. Alertmanager refuses such a range and wants two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockTimes {
    /// `HH:MM`.
    pub start_time: String,
    /// `HH:MM`, up to `24:00`; not part of it.
    pub end_time: String,
}

/// As Alertmanager has it.
fn utc() -> String {
    "UTC".to_owned()
}
