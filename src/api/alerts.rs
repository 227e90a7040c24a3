//! Alerts: what Portent's own rules say at the last tick, as Prometheus tells of its alerts.
//!
//! `/api/v1/alerts` takes no parameters. In: a snapshot. Out: under `data.alerts` what is pending and firing,
//! the alerts of rules that fire first, in the order of the rules' names. Labels, `state` and `activeAt` are
//! those of `anomaly_alerts` on the metrics page; `value` is the last score or, of a fleet, the share of its
//! hosts that are active; annotations are those that notifications have.
//!
//! Invariant: alerts of a model that has not been evaluated recently are left out, as on the metrics page:
//! nothing frozen is shown. They are not resolved by that, and are there again with the next evaluation.
//!
//! Source: Prometheus documentation "HTTP API", "Alerts"; `alerts`, `rulesAlertsToAPIAlerts` in its
//! `web/api/v1/api.go`.

use super::error::{ApiError, Limit, Stage};
use super::json::{Json, TooLong};
use crate::bytesize::ByteSize;
use crate::detect::alert::{ActiveAlert, AlertRule, AlertState, ModelAlertSnapshot};
use crate::detect::{ModelSnapshot, Snapshot};

/// What is known of rules at a moment, and how long an answer about it may be and take.
pub(super) struct Report<'a> {
    pub(super) rules: &'a [AlertRule],
    /// The last evaluation of each model that has been evaluated.
    models: Vec<&'a ModelSnapshot>,
    /// The alerts of those that have been evaluated recently.
    alerts: Vec<&'a ModelAlertSnapshot>,
    now_ms: i64,
    max_bytes: ByteSize,
    go_on: &'a dyn Fn() -> bool,
}

/// Why an answer is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    TooLong,
    Interrupted,
}

impl From<TooLong> for Stop {
    fn from(TooLong: TooLong) -> Self {
        Self::TooLong
    }
}

impl<'a> Report<'a> {
    /// From what is known at `now_ms`. Writing ends when it is not to go on.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        now_ms: i64,
        max_bytes: ByteSize,
        go_on: &'a dyn Fn() -> bool,
    ) -> Self {
        let models: Vec<&ModelSnapshot> = snapshot.models.iter().map(AsRef::as_ref).collect();
        let is_current =
            |name: &str| models.iter().any(|model| model.model == name && model.is_current(now_ms));
        let alerts = snapshot.alerts.models.iter().map(AsRef::as_ref);
        let alerts = alerts.filter(|it| is_current(&it.model)).collect();
        Self { rules: &snapshot.alerts.rules, models, alerts, now_ms, max_bytes, go_on }
    }

    /// The models that a rule looks at and that have been evaluated, and whether that was recently.
    pub(super) fn models(&self, of: &AlertRule) -> Vec<(&'a ModelSnapshot, bool)> {
        let models = self.models.iter().filter(|model| of.covers(&model.model));
        models.map(|model| (*model, model.is_current(self.now_ms))).collect()
    }

    /// What is pending and firing of a rule.
    pub(super) fn alerts(&self, of: &AlertRule) -> impl Iterator<Item = &'a ActiveAlert> {
        self.alerts.iter().flat_map(|it| &it.active).filter(|it| *it.rule == *of.alert)
    }

    /// How far the alert of a rule is that is furthest.
    pub(super) fn state(&self, of: &AlertRule) -> Option<AlertState> {
        let states = || self.alerts(of).map(|it| it.alert.state());
        let is_firing = states().any(|it| it == AlertState::Firing);
        if is_firing { Some(AlertState::Firing) } else { states().next() }
    }

    /// An answer as `write` has it under `data`.
    ///
    /// # Errors
    /// When it takes too long or becomes too long.
    pub(super) fn answer(
        &self,
        write: impl FnOnce(&mut Json) -> Result<(), Stop>,
    ) -> Result<String, ApiError> {
        let mut json = Json::success(self.max_bytes.as_len());
        match write(&mut json) {
            Ok(()) => Ok(json.finish(false)),
            Err(Stop::TooLong) => Err(Limit::response(self.max_bytes)(TooLong)),
            Err(Stop::Interrupted) => Err(ApiError::Timeout(Stage::Evaluation)),
        }
    }

    /// Writes a list of alerts.
    pub(super) fn write(
        &self,
        json: &mut Json,
        alerts: impl Iterator<Item = &'a ActiveAlert>,
    ) -> Result<(), Stop> {
        json.try_list(alerts, |json, alert| {
            // Annotations are made for every answer, which takes longer than all the rest.
            if !(self.go_on)() {
                return Err(Stop::Interrupted);
            }
            write(json, alert);
            Ok(())
        })
    }
}

/// The answer to `/api/v1/alerts`.
///
/// # Errors
/// When it takes too long or becomes too long.
pub(super) fn answer(of: &Report<'_>) -> Result<String, ApiError> {
    let is_firing = |rule: &AlertRule| of.state(rule) == Some(AlertState::Firing);
    let mut rules: Vec<&AlertRule> = of.rules.iter().collect();
    rules.sort_by_cached_key(|rule| (!is_firing(rule), rule.alert.clone()));
    of.answer(|json| {
        json.raw(r#"{"alerts":"#);
        of.write(json, rules.into_iter().flat_map(|rule| of.alerts(rule)))?;
        json.raw("}");
        Ok(())
    })
}

fn write(json: &mut Json, of: &ActiveAlert) {
    json.raw(r#"{"labels":"#);
    json.labels(&of.labels);
    json.raw(r#","annotations":"#);
    let annotations = of.annotations();
    json.texts(annotations.iter().map(|(name, text)| (*name, text.as_str())));
    json.raw(&format!(r#","state":"{}","activeAt":"#, of.alert.state().name()));
    json.moment(of.alert.active_since_ms);
    if let Some(since_ms) = of.alert.keep_firing_since_ms {
        json.raw(r#","keepFiringSince":"#);
        json.moment(since_ms);
    }
    json.raw(r#","value":"#);
    json.exponential(of.alert.value);
    json.raw("}");
}
