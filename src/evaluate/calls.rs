//! Calls: what an operator would have been called for, and which calls were right.
//!
//! In: a backtest, and with labels its [`Marked`] steps. Out: a [`Call`] for each episode
//! (`crate::episodes`) of each entity, and a [`Finding`] for each incident. An incident is found when one
//! of its entities is above its threshold at one of its steps; a call is false when no step from its first to
//! its last is anomalous. The figures of a [`super::Judgement`] count in the same way.

use super::backtest::Backtest;
use super::marked::{Marked, MarkedIncident};
use crate::duration::DAY_MS;
use crate::episodes::Run;

/// Features that are named of a call: those with the largest shares. More are for the page of one host.
const TOP_FEATURES: usize = 3;

/// A week, by which people know how often they are called.
const WEEK_MS: f64 = 7.0 * DAY_MS as f64;

/// One episode of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Whose.
    pub entity: usize,
    /// Its steps.
    pub steps: Run,
    /// When it began, in milliseconds since 1970.
    pub start_ms: i64,
    /// How long it was, its last step included.
    pub length_ms: i64,
    /// Its largest score.
    pub largest: f64,
    /// Features and their shares of its errors, the largest first; empty where the model does not tell.
    pub features: Vec<(usize, f64)>,
    /// What the labels say of it; nothing without labels.
    pub verdict: Option<CallVerdict>,
}

/// What labels say of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallVerdict {
    /// It touches an incident.
    Right,
    /// It touches none.
    False,
    /// None of its steps has a label.
    Unlabelled,
}

/// What came of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The incident.
    pub marked: MarkedIncident,
    /// Which of its entities called first, and how long after its start that was; negative where the call
    /// had begun before. Nothing where none did.
    pub found: Option<(usize, i64)>,
    /// Whether any of its entities had a score at any of its steps.
    pub is_scored: bool,
}

/// What an operator would have seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// In order of time.
    pub calls: Vec<Call>,
    /// In order of time; nothing without labels.
    pub findings: Option<Vec<Finding>>,
    /// Entities.
    pub entities: usize,
    /// The time of all scores of all entities, in weeks.
    pub weeks: f64,
    /// Sentences about the labels.
    pub notes: Vec<String>,
}

impl Account {
    /// What a backtest comes to, held against labels where there are any.
    #[must_use]
    pub fn new(backtest: &Backtest, marked: Option<&Marked>) -> Self {
        let mut calls = Vec::new();
        let mut episodes = Vec::with_capacity(backtest.entities.len());
        for entity in 0..backtest.entities.len() {
            let own = backtest.episodes(&backtest.entities[entity]);
            let labels = marked.map(|it| it.by_entity[entity].as_slice());
            let own_calls = own.iter().enumerate();
            calls.extend(own_calls.map(|(at, steps)| call(backtest, entity, (at, *steps), labels)));
            episodes.push(own);
        }
        calls.sort_by_key(|it| (it.start_ms, it.entity));
        let finding = |it: &MarkedIncident| finding(backtest, &episodes, it);
        let scored: usize = backtest.entities.iter().map(|it| backtest.tally(it).scored).sum();
        Self {
            calls,
            findings: marked.map(|it| it.incidents.iter().map(finding).collect()),
            entities: backtest.entities.len(),
            weeks: scored as f64 * backtest.step_ms as f64 / WEEK_MS,
            notes: marked.map_or_else(Vec::new, |it| it.notes.clone()),
        }
    }

    /// Calls that touch no incident.
    #[must_use]
    pub fn false_calls(&self) -> usize {
        self.calls.iter().filter(|it| it.verdict == Some(CallVerdict::False)).count()
    }

    /// So many by the weeks of all entities, where there are any.
    #[must_use]
    pub fn per_week(&self, count: usize) -> Option<f64> {
        (self.weeks > 0.0).then(|| count as f64 / self.weeks)
    }
}

fn call(
    backtest: &Backtest,
    entity: usize,
    (at, steps): (usize, Run),
    labels: Option<&[Option<bool>]>,
) -> Call {
    let scored = &backtest.entities[entity];
    let all = steps.first..=steps.last;
    let (start_ms, end_ms) = (backtest.times_ms[steps.first], backtest.times_ms[steps.last]);
    let largest = all.clone().filter(|step| scored.is_above(*step));
    let largest = largest.map(|step| scored.scores[step]).fold(0.0, f64::max);
    let verdict = labels.map(|labels| {
        let labels = &labels[all];
        if labels.contains(&Some(true)) {
            CallVerdict::Right
        } else if labels.contains(&Some(false)) {
            CallVerdict::False
        } else {
            CallVerdict::Unlabelled
        }
    });
    Call {
        entity,
        steps,
        start_ms,
        length_ms: end_ms - start_ms + backtest.step_ms,
        largest,
        features: scored.blame.get(at).map_or_else(Vec::new, |it| top(it)),
        verdict,
    }
}

/// The features with the largest shares.
fn top(blame: &[f32]) -> Vec<(usize, f64)> {
    let all: f64 = blame.iter().map(|it| f64::from(*it)).sum();
    let mut shares: Vec<(usize, f64)> =
        blame.iter().enumerate().map(|(at, it)| (at, f64::from(*it) / all)).collect();
    // Not where the sum is 0 or not finite.
    shares.retain(|(_, share)| *share > 0.0);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares.truncate(TOP_FEATURES);
    shares
}

fn finding(backtest: &Backtest, episodes: &[Vec<Run>], marked: &MarkedIncident) -> Finding {
    let steps = marked.steps.first..=marked.steps.last;
    let start_ms = marked.incident.start_ms;
    let first = |entity: &usize| {
        let scored = &backtest.entities[*entity];
        let at = steps.clone().find(|step| scored.is_above(*step))?;
        let own = &episodes[*entity];
        let episode = own[own.partition_point(|run| run.last < at)];
        let is_before = backtest.times_ms[episode.first] < start_ms;
        let called = if is_before { episode.first } else { at };
        Some((*entity, backtest.times_ms[called] - start_ms))
    };
    let found = marked.entities.iter().filter_map(first).min_by_key(|(_, after_ms)| *after_ms);
    let is_scored = |entity: &usize| {
        steps.clone().any(|step| backtest.entities[*entity].scores[step].is_finite())
    };
    Finding { marked: marked.clone(), found, is_scored: marked.entities.iter().any(is_scored) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Scored, judge_fleet, mark};
    use crate::history::{Incident, Marks};
    use crate::labels::Labels;

    const MINUTE_MS: i64 = 60_000;

    /// A letter a minute: `#` is above the threshold, `.` below, a space has no score.
    fn backtest(hosts: &[(&str, &str)]) -> Backtest {
        let times_ms: Vec<i64> = (0..hosts[0].1.len() as i64).map(|it| it * MINUTE_MS).collect();
        let scored = |(instance, course): &(&str, &str)| Scored {
            labels: Labels::from_pairs([("instance", instance)]).expect("one name"),
            scores: course
                .bytes()
                .enumerate()
                .map(|(at, it)| match it {
                    b'#' => 2.0 + at as f64,
                    b'.' => 0.5,
                    _ => f64::NAN,
                })
                .collect(),
            thresholds: vec![1.0; times_ms.len()],
            states: Vec::new(),
            excluded: Vec::new(),
            blame: vec![vec![1.0, 0.0, 3.0], vec![0.0; 3]],
        };
        Backtest {
            step_ms: MINUTE_MS,
            entities: hosts.iter().map(scored).collect(),
            by_feature: vec![0.0; 3],
            feature_names: ["cpu", "disk", "load"].map(str::to_owned).to_vec(),
            times_ms,
        }
    }

    fn incident(instance: &str, start: i64, end: i64) -> Incident {
        let owner = Labels::from_pairs([("instance", instance)]).expect("one name");
        Incident { owner, start_ms: start * MINUTE_MS, end_ms: end * MINUTE_MS }
    }

    /// Two hosts: b calls twice.
    fn two() -> Backtest {
        backtest(&[
            ("a", "..........##........................."),
            ("b", "....##..#..............#............ "),
        ])
    }

    #[test]
    fn calls_are_episodes_in_order_of_time() {
        let account = Account::new(&two(), None);
        let found: Vec<_> = account
            .calls
            .iter()
            .map(|it| (it.entity, it.start_ms / MINUTE_MS, it.length_ms / MINUTE_MS, it.largest))
            .collect();
        assert_eq!(found, [(1, 4, 5, 10.0), (0, 10, 2, 13.0), (1, 23, 1, 25.0)]);
        assert_eq!(account.calls[0].features, [(2, 0.75), (0, 0.25)]);
        assert_eq!(account.calls[2].features, []);
        assert!((account.weeks - 73.0 / 10_080.0).abs() < 1e-12);
        assert_eq!((account.findings, account.calls[0].verdict), (None, None));
    }

    #[test]
    fn incidents_are_found_early_or_late_or_not() {
        let backtest = two();
        let incidents = vec![
            incident("b", 6, 8),
            incident("a", 9, 20),
            incident("a", 30, 31),
            incident("b", 36, 36),
            incident("", 22, 26),
        ];
        let marked = mark(&backtest, &Marks::Incidents(incidents), &[]).expect("marked");
        let account = Account::new(&backtest, Some(&marked));
        let findings = account.findings.as_deref().expect("labels");
        let found: Vec<_> = findings
            .iter()
            .map(|it| (it.found.map(|(of, ms)| (of, ms / MINUTE_MS)), it.is_scored))
            .collect();
        let early = (Some((1, -2)), true);
        let late = (Some((0, 1)), true);
        assert_eq!(found, [early, late, (Some((1, 1)), true), (None, true), (None, false)]);
        assert_eq!(account.false_calls(), 0);
    }

    #[test]
    fn calls_are_counted_as_in_a_judgement() {
        let backtest = two();
        let marks = Marks::Incidents(vec![incident("b", 5, 6), incident("a", 30, 31)]);
        let marked = mark(&backtest, &marks, &[]).expect("marked");
        let account = Account::new(&backtest, Some(&marked));
        let seen = judge_fleet(&backtest, &marked).expect("judged").at_threshold;
        assert_eq!((seen.alarm_episodes, account.calls.len()), (3, 3));
        assert_eq!((seen.false_alarms, account.false_calls()), (2, 2));
        assert_eq!((seen.events, seen.events_detected), (2, 1));
        let expected = "\
would have called 3 times, for 2 of 2 hosts: 414.25 episodes per host and week
  1970-01-01T00:04:00Z  {instance=\"b\"}  5m  10.00  load 75 %, cpu 25 %  incident
  1970-01-01T00:10:00Z  {instance=\"a\"}  2m  13.00  load 75 %, cpu 25 %  false
  1970-01-01T00:23:00Z  {instance=\"b\"}  1m  25.00                       false
found 1 of 2 incidents, half of them 1m before their start or earlier
  missed  1970-01-01T00:30:00Z  {instance=\"a\"}  1m
  found   1970-01-01T00:05:00Z  {instance=\"b\"}  1m  1m before its start
2 of 3 calls were false: 276.16 false episodes per host and week
";
        assert_eq!(account.text(&backtest), expected);
    }

    #[test]
    fn long_lists_are_cut_on_a_terminal_alone() {
        // One call every twelve minutes.
        let course = "#...........".repeat(25);
        let backtest = backtest(&[("a", &course)]);
        let account = Account::new(&backtest, None);
        let text = account.text(&backtest);
        assert!(text.starts_with("would have called 25 times: "), "{text}");
        assert!(
            text.ends_with("  and 5 more calls with lower scores; --report FILE has all\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 22);
        // Scores rise here, so that the first five are left out.
        assert!(text.lines().nth(1).is_some_and(|it| it.contains("T01:00:00Z")), "{text}");
        assert_eq!(account.call_table(&backtest).rows.len(), 25);
    }

    #[test]
    fn nothing_scored_is_no_rate() {
        let none = Account::new(&backtest(&[("a", "   ")]), None);
        assert_eq!(none.headline(), "would have called 0 times: no step has a score");
    }
}
