//! Tests of alerting: failed evaluations, reloads and restarts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::AlertingConfig;
use super::{AlertSnapshot, AlertState, Alerting, Resolution, Transition};
use crate::detect::{AnomalyState, EntityScore, Evaluation, FeatureScore, ModelKey, ModelSnapshot};
use crate::duration::Duration;
use crate::features::Provenance;
use crate::labels::Labels;

const STEP: i64 = 15_000;
const KEY: ModelKey = ModelKey([7; 32]);

fn rule(name: &str) -> super::AlertRule {
    serde_json::from_value(serde_json::json!({ "alert": name })).expect("a name is enough")
}

fn config(rules: &[&str]) -> AlertingConfig {
    AlertingConfig { rules: rules.iter().map(|it| rule(it)).collect(), ..AlertingConfig::default() }
}

fn alerting(rules: &[&str]) -> Alerting {
    let mut alerting = Alerting::default();
    alerting.set_config(config(rules));
    alerting.set_limit(1_000);
    alerting
}

fn host(name: &str) -> Labels {
    Labels::from_pairs([("instance", name)]).expect("one name")
}

fn evaluation(now_ms: i64, scores: &[(&str, f64)]) -> ModelSnapshot {
    let feature = |feature, contribution| FeatureScore {
        feature,
        contribution,
        actual: 4.0,
        expected: 2.0,
        provenance: Provenance::Own,
    };
    let entity = |(name, score): &(&str, f64)| EntityScore {
        entity: host(name),
        score: *score,
        threshold: 1.0,
        state: if *score > 1.0 { AnomalyState::New } else { AnomalyState::Normal },
        error: *score,
        features: vec![feature(1, 0.75), feature(0, 0.25), feature(2, 0.0)],
        newest_ms: now_ms,
    };
    ModelSnapshot {
        model: "m".to_owned(),
        time_ms: now_ms,
        interval_ms: STEP,
        threshold: 1.0,
        feature_names: ["a", "b", "c"].map(str::to_owned).to_vec().into(),
        feature_selectors: Default::default(),
        explain_above: 0.8,
        entities: scores.iter().map(entity).collect(),
        evaluation: Evaluation::default(),
    }
}

fn tick(alerting: &mut Alerting, now_ms: i64, scores: &[(&str, f64)]) -> AlertSnapshot {
    alerting.tick(now_ms, &["m"], &[Arc::new(evaluation(now_ms, scores))])
}

fn fails(alerting: &mut Alerting, now_ms: i64) -> AlertSnapshot {
    let mut snapshot = evaluation(now_ms, &[]);
    snapshot.evaluation.model_error = Some("out of memory".to_owned());
    alerting.tick(now_ms, &["m"], &[Arc::new(snapshot)])
}

fn seconds(ms: i64) -> i64 {
    ms / 1_000
}

fn told(transitions: &[Transition]) -> Vec<String> {
    let one = |it: &Transition| {
        let what = it.resolution.map_or("fired", Resolution::name);
        let who = it.entity.as_ref().map_or("fleet", |it| it.get("instance"));
        format!("{} {} {who} {what}", seconds(it.at_ms), it.rule)
    };
    transitions.iter().map(one).collect()
}

/// From one time to before another: what is told.
fn play(
    alerting: &mut Alerting,
    times: std::ops::Range<i64>,
    scores: &[(&str, f64)],
) -> Vec<String> {
    let times = times.step_by(15).map(|it| it * 1_000);
    times.flat_map(|now_ms| told(&tick(alerting, now_ms, scores).transitions)).collect()
}

/// A pipeline after a restart.
fn restarted(alerting: &Alerting, rules: &[&str]) -> Alerting {
    let mut next = self::alerting(rules);
    alerting.memory("m", KEY).iter().for_each(|it| next.restore(it));
    next
}

#[test]
fn a_snapshot_shows_what_is_active_with_its_features() {
    let mut alerting = alerting(&["A"]);
    assert!(play(&mut alerting, 0..300, &[("x", 2.5), ("y", 0.5)]).is_empty());
    let snapshot = tick(&mut alerting, 300_000, &[("x", 3.5), ("y", 0.5)]);
    assert_eq!(told(&snapshot.transitions), ["300 A x fired"]);
    let active: Vec<_> = snapshot.active().collect();
    let [it] = active[..] else { panic!("one alert: {active:?}") };
    assert_eq!((&*it.rule, &*it.model, it.entity.as_ref()), ("A", "m", Some(&host("x"))));
    assert_eq!((it.alert.state(), it.alert.active_since_ms), (AlertState::Firing, 0));
    assert_eq!((it.alert.value, it.is_scored), (3.5, true));
    let names: Vec<&str> =
        it.features.iter().map(|of| &*it.feature_names[of.feature as usize]).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!((it.features[0].actual, it.features[0].expected), (4.0, 2.0));
    // Without a score the last one is shown, and said to be that.
    let snapshot = tick(&mut alerting, 315_000, &[("y", 0.5)]);
    let it = snapshot.active().next().expect("it goes on");
    assert_eq!((it.alert.value, it.is_scored, it.features.len()), (3.5, false, 0));
    assert!(snapshot.transitions.is_empty());
    assert!(alerting.bytes() > 0);
}

#[test]
fn without_rules_there_is_nothing() {
    let mut alerting = alerting(&[]);
    let snapshot = tick(&mut alerting, 0, &[("x", 9.0)]);
    assert!(snapshot.models.is_empty() && alerting.memory("m", KEY).is_none());
    assert_eq!(alerting.bytes(), 0);
}

#[test]
fn evaluations_that_fail_change_nothing_for_however_long() {
    let mut alerting = alerting(&["A"]);
    assert_eq!(play(&mut alerting, 0..400, &[("x", 2.0)]).len(), 1);
    assert!(play(&mut alerting, 400..490, &[("x", 2.0), ("y", 2.0)]).is_empty());
    // Three hours.
    for at in (490..10_800).step_by(15) {
        let snapshot = fails(&mut alerting, at * 1_000);
        assert!(snapshot.transitions.is_empty());
        let active: Vec<bool> = snapshot.active().map(|it| it.is_scored).collect();
        assert_eq!(active, [false, false]);
    }
    // x is gone for twenty minutes from here on; of y's five minutes one and a half have passed.
    let told = play(&mut alerting, 10_800..12_100, &[("y", 2.0)]);
    assert_eq!(told, ["11010 A y fired", "12000 A x gone"]);
}

#[test]
fn features_that_fail_for_all_are_no_silence() {
    let mut alerting = alerting(&["A"]);
    play(&mut alerting, 0..400, &[("x", 2.0)]);
    for at in (400..4_000).step_by(15) {
        let mut snapshot = evaluation(at * 1_000, &[]);
        snapshot.evaluation.feature_errors = vec![(0, "many-to-many".to_owned())];
        let snapshot = alerting.tick(at * 1_000, &["m"], &[Arc::new(snapshot)]);
        assert!(snapshot.transitions.is_empty());
    }
    // But silence is.
    let told = play(&mut alerting, 4_000..6_000, &[]);
    assert_eq!(told, ["5200 A x gone"]);
}

#[test]
fn a_clock_that_is_set_does_not_fire() {
    for hours in [-30, -1, 1, 30] {
        let mut alerting = alerting(&["A"]);
        assert!(play(&mut alerting, 36_000..36_150, &[("x", 2.0)]).is_empty());
        let again = 36_150 + hours * 3_600;
        let told = play(&mut alerting, again..again + 300, &[("x", 2.0)]);
        assert_eq!(told, [format!("{} A x fired", again + 150)]);
        let told = play(&mut alerting, again + 300..again + 900, &[("x", 0.5)]);
        assert_eq!(told, [format!("{} A x calm", again + 600)]);
    }
}

#[test]
fn a_reload_goes_on_and_ends_what_is_no_more() {
    let mut alerting = alerting(&["A", "B"]);
    play(&mut alerting, 0..150, &[("x", 2.0)]);
    // Another `for` goes on, too: half of it has passed.
    let mut changed = config(&["A", "B"]);
    changed.rules[0].r#for = Duration::from_seconds(200);
    alerting.set_config(changed);
    let told_then = play(&mut alerting, 150..600, &[("x", 2.0)]);
    assert_eq!(told_then, ["210 A x fired", "300 B x fired"]);
    // One that fires stays, whatever its `for` is now.
    let mut changed = config(&["A"]);
    changed.rules[0].r#for = Duration::from_seconds(100_000);
    alerting.set_config(changed);
    let snapshot = alerting.tick(600_500, &["m"], &[]);
    assert_eq!(told(&snapshot.transitions), ["600 B x removed"]);
    assert_eq!(snapshot.active().map(|it| &*it.rule).collect::<Vec<_>>(), ["A"]);
    assert!(play(&mut alerting, 615..700, &[("x", 2.0)]).is_empty());
    // A model that is no longer there, and one that no rule looks at any more.
    let mut elsewhere = config(&["A"]);
    elsewhere.rules[0].models = vec!["n".to_owned()];
    let mut other = restarted(&alerting, &["A"]);
    other.set_config(elsewhere);
    for (it, models) in [(&mut alerting, &["n"][..]), (&mut other, &["m", "n"][..])] {
        let snapshot = it.tick(720_000, models, &[]);
        assert_eq!(told(&snapshot.transitions), ["720 A x removed"]);
        assert!(snapshot.models.is_empty() && it.bytes() == 0);
    }
}

/// At every evaluation of an hour with all states in it a process ends and the next goes on, an hour later or
/// at once: both say what one says that went on.
#[test]
fn a_restart_at_any_time_neither_fires_nor_forgets() {
    let scores = |at: i64| -> Vec<(&str, f64)> {
        let is_active = |name: &str| match name {
            "x" => (60..1_200).contains(&at) || (1_290..1_600).contains(&at),
            "y" => (at / 120) % 2 == 0,
            _ => (400..2_600).contains(&at),
        };
        let all = ["a", "b", "c", "d", "e", "f", "x", "y", "z"];
        let here = all.into_iter().filter(|it| *it != "z" || !(900..2_400).contains(&at));
        here.map(|name| {
            let calm = name < "x" && !(2_000..2_700).contains(&at);
            (name, if !calm && is_active(name) { 2.0 } else { 0.5 })
        })
        .collect()
    };
    let run = |end: i64, down: i64| {
        let (mut alerting, mut found) = (alerting(&["A"]), Vec::new());
        for at in (0..3_600).step_by(15) {
            let offset = if at >= end { down } else { 0 };
            if at == end {
                alerting = restarted(&alerting, &["A"]);
            }
            let snapshot = tick(&mut alerting, (at + offset) * 1_000, &scores(at));
            found.extend(snapshot.transitions.into_iter().map(|mut it| {
                it.at_ms -= offset * 1_000;
                it
            }));
        }
        told(&found)
    };
    let expected = run(i64::MAX, 0);
    let kinds: BTreeSet<&str> =
        expected.iter().filter_map(|it| it.split_once(" A ")).map(|it| it.1).collect();
    let all = ["fleet calm", "fleet fired", "x calm", "x fired", "z fired", "z gone"];
    assert!(all.iter().all(|it| kinds.contains(it)), "{expected:?}");
    for end in (15..3_600).step_by(15) {
        for down in [0, 3_600] {
            assert_eq!(run(end, down), expected, "at {end}, for {down} s");
        }
    }
}

#[test]
fn what_is_restored_ends_if_nobody_wants_it_and_stays_if_it_is_here() {
    let mut before = alerting(&["A"]);
    play(&mut before, 0..400, &[("x", 2.0)]);
    let mut after = restarted(&before, &["B"]);
    let snapshot = after.tick(400_000, &["m"], &[]);
    assert_eq!(told(&snapshot.transitions), ["400 A x removed"]);
    let mut after = alerting(&["A"]);
    play(&mut after, 0..100, &[("x", 2.0)]);
    after.restore(&before.memory("m", KEY).expect("an alert"));
    assert_eq!(play(&mut after, 105..400, &[("x", 2.0)]), ["300 A x fired"]);
}

#[test]
fn wrong_rules_are_named() {
    let mut wrong = config(&["A"]);
    wrong.rules[0].resolve_below = f64::NAN;
    let crate::setting::SettingError { key, .. } = wrong.validate(&["m"]).expect_err("no number");
    assert_eq!(key, "alerting.rules[0].resolve_below");
    assert_eq!(config(&["A", "B"]).validate(&[]), Ok(()));
}

#[test]
fn an_alert_says_who_it_is_and_what_is_unusual() {
    let mut alerting = Alerting::default();
    let rule = serde_json::json!({
        "alert": "Unusual", "for": "0s",
        "labels": {"team": "{{ labels.instance }} of {{ model }}", "instance": "over", "none": ""},
        "annotations": {"description": "{{ features[0].name }} {{ score }} {{ threshold }}"},
    });
    let rules = vec![serde_json::from_value(rule).expect("a rule")];
    alerting.set_config(AlertingConfig { rules, ..AlertingConfig::default() });
    alerting.set_limit(1_000);
    let snapshot = tick(&mut alerting, 0, &[("a", 2.0)]);
    let active: Vec<_> = snapshot.active().collect();
    let [alert] = &active[..] else { panic!("{active:?}") };
    let expected =
        [("alertname", "Unusual"), ("instance", "over"), ("model", "m"), ("team", "a of m")];
    assert_eq!(alert.labels, Labels::from_pairs(expected).expect("names"));
    let expected = [
        ("description", "b 2.0 1.0".to_owned()),
        ("summary", "a is anomalous: score 2".to_owned()),
    ];
    assert_eq!(alert.annotations(), expected);
}
