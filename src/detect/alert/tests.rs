use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::rule::{AlertChange, LEAST_FLEET, NAMED_ENTITIES, Reading, RuleAlerts, Terms};
use super::*;
use crate::labels::Labels;

const MINUTE: i64 = 60_000;

const FOR_5_KEEP_3_GONE_10: Durations =
    Durations { hold_ms: 5 * MINUTE, keep_firing_ms: 3 * MINUTE, gone_after_ms: 10 * MINUTE };

/// One letter a minute: `A`ctive, `c`alm, `l`asting, `.` without a score. What was told, with its minute.
fn told(durations: Durations, evaluations: &str) -> String {
    let (mut alert, mut told) = (None, Vec::new());
    for (minute, letter) in (0..).zip(evaluations.chars()) {
        let condition = match letter {
            'A' => Condition::Active,
            'c' => Condition::Calm(Resolution::Calm),
            'l' => Condition::Calm(Resolution::Lasting),
            _ => Condition::Unscored,
        };
        if condition == Condition::Active {
            alert.get_or_insert_with(|| Alert::begin(minute * MINUTE));
        }
        let Some(it) = &mut alert else { continue };
        match it.step(minute * MINUTE, durations, condition, false) {
            Effect::GoesOn => {}
            Effect::Fired => told.push(format!("{minute} fired")),
            Effect::Ended(resolution) => {
                if it.state() == AlertState::Firing {
                    told.push(format!("{minute} {}", resolution.name()));
                }
                alert = None;
            }
        }
    }
    told.join(", ")
}

#[track_caller]
fn check(evaluations: &str, expected: &str) {
    assert_eq!(told(FOR_5_KEEP_3_GONE_10, evaluations), expected, "{evaluations}");
}

#[test]
fn it_fires_after_its_for_and_is_resolved_after_its_keep_firing_for() {
    check("cccc", "");
    check("AAAAA", "");
    check("AAAAAA", "5 fired");
    check("ccAAAAAA", "7 fired");
    // Pending that ends has told nobody, and begins again.
    check("AAAAAcAAAAAA", "11 fired");
    check("AAAAAAAccc", "5 fired");
    check("AAAAAAAcccc", "5 fired, 10 calm");
    // Fine for a moment is nothing.
    check("AAAAAAAcccAccc", "5 fired");
    check("AAAAAAAcccAcccc", "5 fired, 14 calm");
    check("AAAAAAccccAAAAAA", "5 fired, 9 calm, 15 fired");
}

#[test]
fn durations_of_zero_are_at_once() {
    let at_once = Durations { hold_ms: 0, keep_firing_ms: 0, gone_after_ms: MINUTE };
    assert_eq!(told(at_once, "cAcA"), "1 fired, 2 calm, 3 fired");
    assert_eq!(told(at_once, "A..A"), "0 fired, 2 gone, 3 fired");
}

#[test]
fn what_lasts_is_resolved_and_says_why() {
    check("AAAAAAAllll", "5 fired, 10 lasting");
    check("AAAl", "");
    // What is said is how it is at the end.
    check("AAAAAAAlllc", "5 fired, 10 calm");
}

#[test]
fn time_without_a_score_counts_for_nothing_and_ends_the_alert_once_it_is_long() {
    // Pending: from the first evaluation without a score to the next with one nothing counts.
    check("AAA...AA", "");
    check("AAA...AAA", "8 fired");
    // Firing goes on.
    check("AAAAAA.........A", "5 fired");
    check("AAAAAA...........", "5 fired, 16 gone");
    check("AAAAAA...........AAAAAA", "5 fired, 16 gone, 22 fired");
    // Nor does it count for keep_firing_for.
    check("AAAAAAcc....c", "5 fired");
    check("AAAAAAcc....cc", "5 fired, 13 calm");
    // A pending one that is gone has told nobody.
    check("AAA...........AAAAA", "");
}

/// All evaluations looked through from the start: pieces between long silences, in each of which only the time
/// with scores counts.
fn naive(durations: Durations, evaluations: &str) -> String {
    let letters: Vec<char> = evaluations.chars().collect();
    let minutes = |ms: i64| ms / MINUTE;
    let mut told = Vec::new();
    // Evaluations with a score, each with its minute and the minutes that count until then.
    let mut scored: Vec<(i64, i64, char)> = Vec::new();
    let mut piece = |scored: &mut Vec<(i64, i64, char)>, gone: Option<i64>| {
        let mut from = 0;
        while let Some(first) = scored[from..].iter().position(|it| it.2 == 'A') {
            let run = &scored[from + first..];
            let active = run.iter().take_while(|it| it.2 == 'A').count();
            let due = run[0].1 + minutes(durations.hold_ms);
            let Some(fired) = run[..active].iter().position(|it| it.1 >= due) else {
                from += first + active;
                continue;
            };
            told.push(format!("{} fired", run[fired].0));
            let is_over = |end: usize| {
                let calm = run[..=end].iter().rev().take_while(|it| it.2 != 'A').count();
                calm > 0 && {
                    let since = run[end + 1 - calm].1;
                    run[end].1 - since >= minutes(durations.keep_firing_ms)
                }
            };
            let Some(end) = (fired..run.len()).find(|end| is_over(*end)) else {
                told.extend(gone.map(|minute| format!("{minute} gone")));
                break;
            };
            let why = if run[end].2 == 'l' { "lasting" } else { "calm" };
            told.push(format!("{} {why}", run[end].0));
            from += first + end + 1;
        }
        scored.clear();
    };
    let (mut counted, mut minute) = (0, 0);
    while minute < letters.len() {
        let silent = letters[minute..].iter().take_while(|it| **it == '.').count();
        let gone_after = minutes(durations.gone_after_ms) as usize;
        if silent > gone_after {
            piece(&mut scored, Some((minute + gone_after) as i64));
        }
        if silent > 0 {
            // The way to the first of them counts.
            counted += 1;
            minute += silent;
            // And the way from it to the next score does not.
            if let Some(letter) = letters.get(minute) {
                scored.push((minute as i64, counted, *letter));
                minute += 1;
            }
        } else {
            counted += 1;
            scored.push((minute as i64, counted, letters[minute]));
            minute += 1;
        }
    }
    piece(&mut scored, None);
    told.join(", ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn it_says_what_one_says_who_looks_from_the_start(
        runs in vec((0..8_usize, 1..7_usize), 1..25),
        hold in 0..6_i64,
        keep in 0..5_i64,
        gone in 1..9_i64,
    ) {
        let letter = |kind: usize| ["A", "A", "A", "A", "c", "c", "l", "."][kind];
        let evaluations: String = runs.iter().map(|(kind, n)| letter(*kind).repeat(*n)).collect();
        let [hold_ms, keep_firing_ms, gone_after_ms] = [hold, keep, gone].map(|it| it * MINUTE);
        let durations = Durations { hold_ms, keep_firing_ms, gone_after_ms };
        let found = told(durations, &evaluations);
        prop_assert_eq!(found, naive(durations, &evaluations), "{}", evaluations);
    }
}

fn host(i: usize) -> Labels {
    Labels::from_pairs([("instance", format!("host-{i:05}"))]).expect("one name")
}

fn reading(i: usize, score: f64) -> Reading {
    Reading { entity: host(i), score, threshold: 1.0, is_lasting: false }
}

fn terms() -> Terms {
    Terms { durations: FOR_5_KEEP_3_GONE_10, resolve_below: 1.0, fleet_ratio: 0.5, limit: 100_000 }
}

/// A rule with virtual time, a minute an evaluation.
struct Played {
    alerts: RuleAlerts,
    terms: Terms,
    minute: i64,
    /// Who fired, who was resolved, by entity, with the minute. Of the fleet under no name.
    told: Vec<(i64, AlertChange)>,
}

impl Played {
    fn new(terms: Terms) -> Self {
        Self { alerts: RuleAlerts::default(), terms, minute: 0, told: Vec::new() }
    }

    fn play(&mut self, minutes: i64, readings: &[Reading]) -> &mut Self {
        for _ in 0..minutes {
            let changes = self.alerts.evaluate(self.minute * MINUTE, &self.terms, readings);
            self.told.extend(changes.into_iter().map(|it| (self.minute, it)));
            self.minute += 1;
        }
        self
    }

    /// Of the fleet and of all entities: how often fired and resolved. Nothing fires that is firing, and
    /// nothing is resolved that is not.
    #[track_caller]
    fn counts(&self) -> [(usize, usize); 2] {
        let mut firing: BTreeMap<Option<Labels>, bool> = BTreeMap::new();
        let mut counts = [(0, 0); 2];
        for (minute, AlertChange { entity, resolution, .. }) in &self.told {
            let is_firing = firing.entry(entity.clone()).or_default();
            let count = &mut counts[usize::from(entity.is_some())];
            match resolution {
                None => count.0 += 1,
                Some(_) => count.1 += 1,
            }
            assert_eq!(*is_firing, resolution.is_some(), "minute {minute}: {entity:?}");
            *is_firing = resolution.is_none();
        }
        counts
    }
}

fn fleet(hosts: usize, active: std::ops::Range<usize>) -> Vec<Reading> {
    let score = |i: usize| if active.contains(&i) { 2.0 + i as f64 / 1e6 } else { 0.5 };
    (0..hosts).map(|i| reading(i, score(i))).collect()
}

#[test]
fn hysteresis_keeps_what_has_begun() {
    let flapping = |resolve_below: f64, keep: i64| {
        let durations = Durations { keep_firing_ms: keep * MINUTE, ..FOR_5_KEEP_3_GONE_10 };
        let mut played = Played::new(Terms { resolve_below, durations, ..terms() });
        for minute in 0..600 {
            // Twelve minutes above the threshold, eight just below.
            let score = if minute % 20 < 12 { 1.1 } else { 0.9 };
            played.play(1, &[reading(0, score)]);
        }
        played.counts()[1]
    };
    assert_eq!(flapping(1.0, 0), (30, 30));
    // Long enough to bridge it, or low enough.
    assert_eq!(flapping(1.0, 9), (1, 0));
    assert_eq!(flapping(0.8, 0), (1, 0));
    // Below the threshold nothing begins.
    let mut played = Played::new(Terms { resolve_below: 0.8, ..terms() });
    played.play(60, &[reading(0, 0.9)]);
    assert_eq!((played.counts()[1], played.alerts.entities.len()), ((0, 0), 0));
    // What lasts ends however high its score.
    let mut played = Played::new(Terms { resolve_below: 0.1, ..terms() });
    played.play(10, &[reading(0, 3.0)]);
    played.play(4, &[Reading { threshold: 3.1, is_lasting: true, ..reading(0, 3.0) }]);
    assert_eq!(played.told.last().expect("it fired").1.resolution, Some(Resolution::Lasting));
}

#[test]
fn ten_thousand_at_once_are_one_alert() {
    let mut played = Played::new(terms());
    // Two fire before.
    played.play(10, &fleet(10_000, 0..2));
    played.play(60, &fleet(10_000, 0..9_000));
    assert_eq!(played.counts(), [(1, 0), (2, 0)]);
    let alerts = &played.alerts;
    assert_eq!((alerts.named.len(), alerts.active), (NAMED_ENTITIES, 9_000));
    assert_eq!(alerts.named[0], host(8_999));
    assert_eq!(alerts.fleet.expect("it fires").value, 0.9);
    // A third is less than a half and more than a quarter: it goes on.
    played.play(60, &fleet(10_000, 0..3_300));
    assert_eq!(played.counts(), [(1, 0), (2, 0)]);
    // What is left of it comes to be known after a `for` of its own.
    played.play(4, &fleet(10_000, 0..10));
    assert_eq!(played.counts(), [(1, 1), (2, 0)]);
    played.play(4, &fleet(10_000, 0..10));
    assert_eq!(played.counts(), [(1, 1), (2, 0)]);
    played.play(2, &fleet(10_000, 0..10));
    assert_eq!(played.counts(), [(1, 1), (10, 0)]);
    played.play(10, &fleet(10_000, 0..0));
    assert_eq!(played.counts(), [(1, 1), (10, 10)]);
    assert!(played.alerts.entities.is_empty() && played.alerts.named.is_empty());
}

#[test]
fn a_fleet_at_the_edge_does_not_flap() {
    let mut played = Played::new(terms());
    for _ in 0..100 {
        played.play(3, &fleet(100, 0..51)).play(3, &fleet(100, 0..49));
    }
    assert_eq!(played.counts(), [(1, 0), (0, 0)]);
}

/// A fleet that is pending again and again must not keep quiet about its hosts for ever.
#[test]
fn who_waits_for_a_fleet_that_never_fires_fires() {
    let mut played = Played::new(terms());
    for _ in 0..10 {
        played.play(3, &fleet(100, 0..60)).play(3, &fleet(100, 0..20));
    }
    let counts = played.counts();
    assert_eq!(counts[0], (0, 0));
    assert_eq!(counts[1].0, 20);
}

#[test]
fn few_hosts_are_no_fleet() {
    let few = LEAST_FLEET - 1;
    let mut played = Played::new(terms());
    played.play(10, &fleet(few, 0..few));
    assert_eq!(played.counts(), [(0, 0), (few, 0)]);
    let mut played = Played::new(terms());
    played.play(10, &fleet(LEAST_FLEET, 0..LEAST_FLEET));
    assert_eq!(played.counts(), [(1, 0), (0, 0)]);
}

#[test]
fn a_host_that_goes_away_is_resolved_once() {
    let mut played = Played::new(terms());
    played.play(10, &[reading(0, 2.0), reading(1, 0.5)]);
    played.play(5, &[reading(1, 0.5)]);
    // Back within its time: the same alert.
    played.play(2, &[reading(0, 2.0), reading(1, 0.5)]);
    assert_eq!(played.counts()[1], (1, 0));
    played.play(60, &[reading(1, 0.5)]);
    assert_eq!(played.counts()[1], (1, 1));
    let (minute, last) = played.told.last().expect("it is gone");
    assert_eq!((*minute, last.resolution), (27, Some(Resolution::Gone)));
    // A whole fleet that falls silent, too, and is resolved by then.
    let mut played = Played::new(terms());
    played.play(10, &fleet(100, 0..100)).play(60, &[]);
    assert_eq!(played.counts(), [(1, 1), (0, 0)]);
    assert!(played.alerts.fleet.is_none() && played.alerts.entities.is_empty());
}

#[test]
fn there_is_room_for_so_many() {
    let mut played = Played::new(Terms { limit: 3, ..terms() });
    played.play(10, &fleet(100, 0..10));
    assert_eq!((played.counts()[1], played.alerts.refused), ((3, 0), 7));
    played.play(20, &fleet(100, 5..10));
    assert_eq!((played.counts()[1], played.alerts.refused), ((6, 3), 2));
}

#[test]
fn scores_that_are_no_numbers_are_calm() {
    let mut played = Played::new(terms());
    played.play(10, &[reading(0, f64::NAN), reading(1, f64::NEG_INFINITY)]);
    assert!(played.alerts.entities.is_empty());
    played.play(6, &[reading(0, f64::INFINITY)]);
    assert_eq!(played.counts()[1], (1, 0));
}
