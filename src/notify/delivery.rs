//! A delivery: tells one target of alerts, for as long as the configuration stays.
//!
//! In: snapshots. Out: requests, one at a time. One that fails is tried again after a second, then after
//! twice as long each time up to `notify.max_backoff`; meanwhile others fire and are resolved, and what is
//! told then is what is so then. When a target refuses what it is sent, it is sent alerts one by one, so that
//! one that it cannot take does not keep the others from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::config::NotifyConfig;
use super::error::Failure;
use super::ledger::{Due, Firing, Ledger, Look, Told};
use super::notice::Notice;
use super::target::Target;
use crate::detect::Snapshot;
use crate::detect::alert::{ActiveAlert, AlertRule, AlertState};
use crate::labels::Labels;
use crate::maintenance::Maintenance;

/// How long a target is left alone after the first failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// A firing alert ends for an Alertmanager that hears no more of it after so many intervals: as in Prometheus.
const INTERVALS_TO_END: i64 = 4;

/// What a request may come to.
const OUTCOMES: [&str; 3] = ["ok", "failed", "refused"];

/// What all deliveries know.
#[derive(Clone)]
pub(super) struct Context {
    pub now_ms: fn() -> i64,
    pub maintenance: watch::Receiver<Arc<Maintenance>>,
    pub config: NotifyConfig,
    /// The rules and models that are configured.
    pub rules: Arc<[AlertRule]>,
    pub models: Arc<[String]>,
    /// Who writes down what has been told.
    pub changed: Arc<Notify>,
}

/// Tells one target.
pub(super) struct Delivery {
    target: Target,
    context: Context,
    ledger: Ledger,
    /// Where what has been told can be seen.
    told: watch::Sender<Vec<Told>>,
    failures: u32,
    next_try: Instant,
    /// Alerts of the next request, at most.
    limit: usize,
}

impl Delivery {
    /// One that goes on with what was told. What it tells is seen at the other side of `told`.
    pub fn new(target: Target, context: Context, told: watch::Sender<Vec<Told>>) -> Self {
        let style = target.style(context.config.resend_delay.as_ms());
        let ledger = Ledger::new(style, context.config.max_resolved, &told.borrow());
        let limit = context.config.max_alerts_per_request;
        Self { target, context, ledger, told, failures: 0, next_try: Instant::now(), limit }
    }

    /// Tells of what it sees until there are no more snapshots or it is to stop. A request that is under way
    /// then is finished: what became of it has to be known.
    pub async fn run(
        mut self,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        stop: watch::Receiver<bool>,
    ) {
        // There from the start, or the first failure would not show as an increase.
        OUTCOMES.iter().for_each(|outcome| self.count(outcome, 0));
        self.count_given_up(0);
        self.tell_all(snapshots, stop).await;
        // Nothing waits for a receiver that is no longer told.
        gauge!("portent_notify_waiting_alerts", &self.names()).set(0.0);
    }

    async fn tell_all(
        &mut self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            self.look(&snapshot);
            self.tell(&snapshot, &stop).await;
            let is_waiting = self.observe();
            tokio::select! {
                changed = snapshots.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(self.next_try), if is_waiting => {}
                _ = stop.wait_for(|it| *it) => return,
            }
        }
    }

    fn look(&mut self, snapshot: &Snapshot) {
        let now_ms = (self.context.now_ms)();
        let Context { rules, models, maintenance, .. } = &self.context;
        let maintenance = Arc::clone(&maintenance.borrow());
        let mut firing: BTreeMap<&Labels, Firing> = BTreeMap::new();
        for alert in firing_alerts(snapshot) {
            let Some(fired_ms) = alert.alert.fired_ms else { continue };
            let of = Firing {
                rule: Arc::clone(&alert.rule),
                model: Arc::clone(&alert.model),
                entity: alert.entity.clone(),
                fired_ms,
                is_held_back: !self.target.wants(&alert.labels)
                    || maintenance.muted_by(&alert.labels, now_ms).is_some(),
            };
            // Labels of a rule may make one of two: the first is told of.
            let known = firing.entry(&alert.labels).or_insert_with(|| of.clone());
            if of.fired_ms < known.fired_ms {
                *known = of;
            }
        }
        let is_configured = |rule: &str, model: &str| {
            models.iter().any(|it| it == model)
                && rules.iter().any(|it| it.alert == rule && it.covers(model))
        };
        let evaluated: BTreeSet<&str> =
            snapshot.alerts.models.iter().map(|it| &*it.model).collect();
        let look = Look { firing, evaluated, is_configured: &is_configured };
        let given_up = self.ledger.look(now_ms, &look);
        if given_up > 0 {
            let name = self.target.key();
            tracing::warn!(
                target = name,
                given_up,
                "more resolved alerts are waiting than notify.max_resolved: some are given up"
            );
            self.count_given_up(given_up as u64);
        }
    }

    async fn tell(&mut self, snapshot: &Snapshot, stop: &watch::Receiver<bool>) {
        while Instant::now() >= self.next_try && !*stop.borrow() {
            let now_ms = (self.context.now_ms)();
            let mut due = self.ledger.due(now_ms, self.limit);
            if due.is_empty() {
                return;
            }
            let notices = notices(&due, snapshot);
            for (due, notice) in due.iter_mut().zip(&notices) {
                due.said = Arc::clone(&notice.annotations);
            }
            self.ledger.tried(now_ms, &due);
            let ends_ms = self.ends_ms(now_ms, snapshot);
            let result = self.target.tell(now_ms, ends_ms, &notices).await;
            match result {
                Ok(()) => self.succeeded(now_ms, &due),
                Err(failure) => self.failed(&failure, due.len()),
            }
        }
    }

    /// When what fires now ends for those who hear no more of it.
    fn ends_ms(&self, now_ms: i64, snapshot: &Snapshot) -> i64 {
        let resend_ms = self.context.config.resend_delay.as_ms();
        let interval_ms = snapshot.models.iter().map(|it| it.interval_ms).max().unwrap_or(0);
        now_ms.saturating_add(INTERVALS_TO_END.saturating_mul(resend_ms.max(interval_ms)))
    }

    fn succeeded(&mut self, now_ms: i64, due: &[Due]) {
        self.count("ok", 1);
        if self.failures > 0 {
            tracing::info!(
                target = self.target.key(),
                after_failures = self.failures,
                "alerts arrive again"
            );
        }
        self.failures = 0;
        self.limit = (self.limit * 2).min(self.context.config.max_alerts_per_request);
        self.ledger.told_of(now_ms, due);
        self.told.send_replace(self.ledger.told());
        self.context.changed.notify_one();
    }

    fn failed(&mut self, failure: &Failure, alerts: usize) {
        self.count(if failure.is_refusal { "refused" } else { "failed" }, 1);
        if failure.is_refusal {
            self.limit = 1;
        }
        let longest = self.context.config.max_backoff.to_std();
        let wait = backoff(self.failures, longest, failure.wait);
        self.failures = self.failures.saturating_add(1);
        self.next_try = Instant::now() + wait;
        tracing::warn!(
            target = self.target.key(),
            error = failure.reason,
            alerts,
            next_try_seconds = wait.as_secs(),
            "alerts do not arrive"
        );
    }

    /// Shows how many alerts wait; says whether any do.
    fn observe(&self) -> bool {
        let waiting = self.ledger.waiting((self.context.now_ms)());
        gauge!("portent_notify_waiting_alerts", &self.names()).set(waiting as f64);
        waiting > 0
    }

    fn count(&self, outcome: &'static str, requests: u64) {
        let [receiver, integration] = self.names();
        let labels = [receiver, integration, ("outcome", outcome.to_owned())];
        counter!("portent_notify_requests_total", &labels).increment(requests);
    }

    fn count_given_up(&self, alerts: u64) {
        counter!("portent_notify_given_up_total", &self.names()).increment(alerts);
    }

    fn names(&self) -> [(&'static str, String); 2] {
        [
            ("receiver", self.target.receiver.clone()),
            ("integration", self.target.integration.to_owned()),
        ]
    }
}

/// How long a target is left alone that has failed so many times before: at most `longest`, or as long as it asks.
fn backoff(failures: u32, longest: Duration, asked: Option<Duration>) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1 << failures.min(20)).min(longest);
    asked.map_or(doubled, |it| it.max(doubled))
}

fn firing_alerts(snapshot: &Snapshot) -> impl Iterator<Item = &ActiveAlert> {
    snapshot.alerts.active().filter(|it| it.alert.state() == AlertState::Firing)
}

/// What is due as it is now.
fn notices(due: &[Due], snapshot: &Snapshot) -> Vec<Notice> {
    let wanted: BTreeSet<(&Labels, i64)> = due
        .iter()
        .filter(|it| it.resolved_ms.is_none())
        .map(|it| (&it.labels, it.fired_ms))
        .collect();
    let firing = firing_alerts(snapshot).filter_map(|it| {
        let who = (&it.labels, it.alert.fired_ms?);
        wanted.contains(&who).then_some((who, it))
    });
    let firing: BTreeMap<_, _> = firing.collect();
    due.iter().map(|it| Notice::new(it, firing.get(&(&it.labels, it.fired_ms)).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_the_longest_or_is_as_long_as_is_asked() {
        let longest = Duration::from_secs(300);
        let waits = (0..12).map(|it| backoff(it, longest, None).as_secs());
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300];
        assert_eq!(waits.collect::<Vec<_>>(), expected);
        assert_eq!(backoff(u32::MAX, longest, None), longest);
        assert_eq!(backoff(0, Duration::from_millis(1), None), Duration::from_millis(1));
        let asked = |seconds| backoff(3, longest, Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!((asked(0), asked(8), asked(600)), (8, 8, 600));
    }

    /// In time that the test turns: a target that is away for a day is asked again every `max_backoff`, so that
    /// a receiver that comes back is told within that.
    #[tokio::test(start_paused = true)]
    async fn who_is_away_for_long_is_asked_every_max_backoff() {
        let config: NotifyConfig = serde_yaml::from_str(
            "{max_backoff: 5m, receivers: [{name: a, webhook_configs: [{url: 'http://h'}]}]}",
        )
        .expect("a section");
        let target = Target::all(&config).expect("it can be told").remove(0);
        let context = Context {
            now_ms: || 0,
            maintenance: watch::channel(Arc::default()).1,
            config,
            rules: Arc::new([]),
            models: Arc::new([]),
            changed: Arc::default(),
        };
        let mut delivery = Delivery::new(target, context, watch::channel(Vec::new()).0);
        let failure = Failure { reason: "away".to_owned(), is_refusal: false, wait: None };
        let (begun, mut tries) = (Instant::now(), 0_u32);
        while delivery.next_try - begun < Duration::from_secs(86_400) {
            tokio::time::sleep_until(delivery.next_try).await;
            delivery.failed(&failure, 1);
            let wait = delivery.next_try - Instant::now();
            assert!(wait <= Duration::from_secs(300), "{wait:?} after {tries}");
            tries += 1;
        }
        // Nine until the wait is the longest, which is after eight and a half minutes.
        assert_eq!(tries, 9 + (86_400 - 511_u32).div_ceil(300));
        delivery.succeeded(0, &[]);
        delivery.failed(&failure, 1);
        assert_eq!(delivery.next_try - Instant::now(), FIRST_BACKOFF);
    }
}
