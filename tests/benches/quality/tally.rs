//! A tally: what an operator would have made of a host's alarms, where it is known what befell it.
//!
//! In: the times of steps, which of them have a score and which are above the threshold in force; when
//! incidents and nightly jobs were. Out: counts that can be summed over hosts.
//!
//! - An incident is **found** by a step above the threshold from its beginning to ten minutes after its
//!   end.
//! - An episode of such steps that touches an incident, or the hour after it, tells of that. One that
//!   touches none and a nightly job, or the ten minutes after it, is a **nightly call**. Any other is
//!   **false**.
//! - **Normal time** is all that has a score but incidents and the hour after each.

use std::cmp::Reverse;

use portent::episodes::{Run, Timeline};

/// How late an incident is still found, and a job still called for.
const LATE_MS: i64 = 10 * 60_000;

/// How long an incident explains what follows it.
const AFTER_MS: i64 = 60 * 60_000;

const WEEK_MS: f64 = 7.0 * 86_400_000.0;

/// The first and the last time of something.
pub type Period = [i64; 2];

/// What was, and what was said of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// Incidents.
    pub incidents: usize,
    /// Those of them that were found.
    pub found: usize,
    /// Episodes without a cause.
    pub false_episodes: usize,
    /// Episodes of nightly jobs.
    pub nightly: usize,
    /// Steps of normal time above the threshold.
    pub above: usize,
    /// Steps of normal time.
    pub normal: usize,
    /// Hosts times weeks.
    pub host_weeks: f64,
}

impl Tally {
    /// Of one host.
    pub fn of(
        (times_ms, step_ms): (&[i64], i64),
        is_scored: impl Fn(usize) -> bool,
        is_above: impl Fn(usize) -> bool,
        [incidents, jobs]: [&[Period]; 2],
    ) -> Self {
        let is_in = |time: Period, periods: &[Period], after_ms: i64| {
            periods.iter().any(|it| time[0] <= it[1] + after_ms && it[0] <= time[1])
        };
        let is_found = |incident: &&Period| {
            let touches = |at: usize| is_in([times_ms[at]; 2], &[**incident], LATE_MS);
            (0..times_ms.len()).any(|at| is_above(at) && touches(at))
        };
        let mut tally = Self {
            incidents: incidents.len(),
            found: incidents.iter().filter(is_found).count(),
            host_weeks: times_ms.len() as f64 * step_ms as f64 / WEEK_MS,
            ..Self::default()
        };
        for Run { first, last } in Timeline::new(times_ms, step_ms).episodes(&is_above) {
            let episode = [times_ms[first], times_ms[last]];
            match () {
                () if is_in(episode, incidents, AFTER_MS) => {}
                () if is_in(episode, jobs, LATE_MS) => tally.nightly += 1,
                () => tally.false_episodes += 1,
            }
        }
        for at in (0..times_ms.len()).filter(|at| is_scored(*at)) {
            let is_normal = !is_in([times_ms[at]; 2], incidents, AFTER_MS);
            tally.normal += usize::from(is_normal);
            tally.above += usize::from(is_normal && is_above(at));
        }
        tally
    }

    /// Of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            incidents: self.incidents + other.incidents,
            found: self.found + other.found,
            false_episodes: self.false_episodes + other.false_episodes,
            nightly: self.nightly + other.nightly,
            above: self.above + other.above,
            normal: self.normal + other.normal,
            host_weeks: self.host_weeks + other.host_weeks,
        }
    }

    /// The one of these that has found most, without more calls that were for nothing than this one; of
    /// equals, the one with fewest.
    pub fn best_within(&self, others: impl Iterator<Item = Self>) -> Option<Self> {
        let calls = |it: &Self| it.false_episodes + it.nightly;
        others.filter(|it| calls(it) <= calls(self)).max_by_key(|it| (it.found, Reverse(calls(it))))
    }

    /// False episodes a host and week.
    pub fn false_a_week(&self) -> f64 {
        self.false_episodes as f64 / self.host_weeks.max(f64::MIN_POSITIVE)
    }

    /// The share of normal time above the threshold.
    pub fn normal_in_alarm(&self) -> f64 {
        self.above as f64 / self.normal.max(1) as f64
    }
}
