//! A guard in virtual time: each of its rails, and simulations in which nothing may be done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::labels::Labels;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Some time in 2026.
const BEGIN: i64 = 1_790_000_000_000;

fn action(name: &str) -> serde_json::Value {
    serde_json::json!({
        "name": name, "alerts": ["A"], "command": ["/bin/true"], "dry_run": false, "cool_down": "0s",
    })
}

fn config(actions: &[serde_json::Value]) -> ActionsConfig {
    let list = actions.iter().map(|it| serde_json::from_value(it.clone()).expect("an action"));
    ActionsConfig { enabled: true, max_concurrent: 100, max_per_hour: 100, list: list.collect() }
}

fn with(name: &str, keys: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let mut action = action(name);
    for (key, value) in keys {
        action[key] = value.clone();
    }
    action
}

fn host(i: usize) -> Labels {
    Labels::from_pairs([("instance", format!("h{i:05}"))]).expect("one name")
}

/// What is seen, to be changed by a test.
#[derive(Clone)]
struct World {
    guard: Guard,
    now_ms: i64,
    is_enabled: bool,
    is_fleet_alert_open: bool,
    firing: BTreeMap<usize, FiringAlert>,
    /// Hosts whose score is above the threshold or who have none.
    is_unwell: BTreeSet<usize>,
    models: Vec<Arc<str>>,
}

impl World {
    fn new(config: ActionsConfig) -> Self {
        Self {
            guard: Guard::new(config),
            now_ms: BEGIN,
            is_enabled: true,
            is_fleet_alert_open: false,
            firing: BTreeMap::new(),
            is_unwell: BTreeSet::new(),
            models: vec![Arc::from("m")],
        }
    }

    fn fire(&mut self, i: usize) -> &mut Self {
        let alert = FiringAlert {
            rule: Arc::from("A"),
            model: Arc::from("m"),
            entity: host(i),
            fired_ms: self.now_ms,
            is_active: true,
            is_muted: false,
        };
        self.is_unwell.insert(i);
        self.firing.entry(i).or_insert(alert);
        self
    }

    fn resolve(&mut self, i: usize) -> &mut Self {
        self.is_unwell.remove(&i);
        self.firing.remove(&i);
        self
    }

    fn pass(&mut self, ms: i64) -> &mut Self {
        self.now_ms += ms;
        self
    }

    fn decide(&mut self) -> Vec<GuardDecision> {
        let firing: Vec<FiringAlert> = self.firing.values().cloned().collect();
        let is_unwell = self.is_unwell.clone();
        let is_calm = |model: &str, entity: &Labels| {
            let i: usize = entity.get("instance")[1..].parse().expect("a host");
            model == "m" && !is_unwell.contains(&i)
        };
        self.guard.look(&GuardInput {
            now_ms: self.now_ms,
            is_enabled: self.is_enabled,
            is_fleet_alert_open: self.is_fleet_alert_open,
            models: &self.models,
            firing: &firing,
            is_calm: &is_calm,
        })
    }

    /// The decisions of a look in a few words each.
    fn look(&mut self) -> String {
        let words = self.decide().into_iter().map(|it| match it {
            GuardDecision::Start { key, is_dry_run, .. } => {
                let what = if is_dry_run { "tell" } else { "start" };
                format!("{what} {} {}", key.action, key.entity.get("instance"))
            }
            GuardDecision::Hold { key, reason, .. } => {
                format!("{} {} {}", reason.name(), key.action, key.entity.get("instance"))
            }
            GuardDecision::Verdict { key, has_helped } => {
                let what = if has_helped { "helped" } else { "unverified" };
                format!("{what} {} {}", key.action, key.entity.get("instance"))
            }
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn finish(&mut self, action: &str, i: usize, is_success: bool) -> &mut Self {
        let [action, rule, model] = [action, "A", "m"].map(Arc::from);
        let key = AttemptKey { action, rule, model, entity: host(i) };
        self.guard.finished(self.now_ms, &key, is_success);
        self
    }

    /// A process that ends and another that goes on with what was written.
    fn restart(&mut self) -> &mut Self {
        let text = serde_json::to_string(&self.guard.memory()).expect("plain data");
        let config = self.guard.config().clone();
        self.guard = Guard::new(config);
        self.guard.restore(self.now_ms, serde_json::from_str(&text).expect("what was written"));
        self
    }
}

#[test]
fn a_firing_is_acted_on_once_and_what_helped_is_done_again_at_the_next() {
    let mut world = World::new(config(&[action("a")]));
    assert_eq!(world.look(), "");
    assert_eq!(world.fire(1).look(), "start a h00001");
    assert_eq!(world.pass(MINUTE).look(), "");
    assert_eq!(world.finish("a", 1, true).pass(MINUTE).look(), "");
    world.resolve(1);
    assert_eq!(world.pass(9 * MINUTE).look(), "helped a h00001");
    // Another firing, within the hour and after it.
    assert_eq!(world.fire(1).look(), "per_entity_interval a h00001");
    assert_eq!(world.pass(48 * MINUTE).look(), "");
    assert_eq!(world.pass(MINUTE).look(), "start a h00001");
}

#[test]
fn what_did_not_help_or_failed_stops_at_the_entity_for_all_actions() {
    let mut world = World::new(config(&[action("a"), action("b")]));
    assert_eq!(world.fire(1).look(), "start a h00001, busy b h00001");
    world.finish("a", 1, true);
    // Nothing else is tried while it is not known whether it helped.
    assert_eq!(world.pass(9 * MINUTE).look(), "");
    assert_eq!(world.pass(MINUTE).look(), "unverified a h00001, stopped b h00001");
    world.resolve(1).pass(2 * HOUR).look();
    assert_eq!(world.fire(1).look(), "stopped a h00001, stopped b h00001");
    // An operator, or a day.
    let mut allowed = world.clone();
    assert_eq!(allowed.guard.allow_again(), 1);
    assert_eq!(allowed.look(), "start a h00001, busy b h00001");
    assert_eq!(world.pass(21 * HOUR).look(), "");
    assert_eq!(world.pass(HOUR).look(), "start a h00001, busy b h00001");
    world.finish("a", 1, false);
    assert_eq!(world.look(), "stopped b h00001");
    assert_eq!(world.guard.running(), 0);
    // Others are none of its business.
    assert!(world.fire(2).look().starts_with("start a h00002"));
}

/// The alert ended, but because its host is gone or because it lasts: that is no recovery.
#[test]
fn an_alert_that_ended_is_no_proof() {
    let mut world = World::new(config(&[action("a")]));
    world.fire(1).look();
    world.finish("a", 1, true).firing.clear();
    assert_eq!(world.pass(10 * MINUTE).look(), "unverified a h00001");
}

#[test]
fn each_rail_holds_and_what_is_held_is_begun_later() {
    let mut world = World::new(config(&[action("a")]));
    world.is_enabled = false;
    assert_eq!(world.fire(1).look(), "disabled a h00001");
    assert_eq!(world.pass(MINUTE).look(), "");
    world.is_enabled = true;
    world.is_fleet_alert_open = true;
    assert_eq!(world.look(), "fleet_alert a h00001");
    world.is_fleet_alert_open = false;
    world.firing.get_mut(&1).expect("it fires").is_muted = true;
    assert_eq!(world.look(), "muted a h00001");
    world.firing.get_mut(&1).expect("it fires").is_muted = false;
    world.firing.get_mut(&1).expect("it fires").is_active = false;
    assert_eq!(world.look(), "inactive a h00001");
    world.firing.get_mut(&1).expect("it fires").is_active = true;
    assert_eq!(world.look(), "start a h00001");

    let mut world = World::new(config(&[with("a", &[("cool_down", "5m".into())])]));
    assert_eq!(world.fire(1).fire(2).look(), "start a h00001, cool_down a h00002");
    assert_eq!(world.pass(5 * MINUTE).look(), "start a h00002");

    let mut world = World::new(config(&[with("a", &[("allow_during_fleet_alert", true.into())])]));
    world.is_fleet_alert_open = true;
    assert_eq!(world.fire(1).look(), "start a h00001");

    let few = ActionsConfig { max_concurrent: 1, max_per_hour: 2, ..config(&[action("a")]) };
    let mut world = World::new(few);
    let told = world.fire(1).fire(2).fire(3).look();
    assert_eq!(told, "start a h00001, max_concurrent a h00002, max_concurrent a h00003");
    world.finish("a", 1, true);
    assert_eq!(world.pass(MINUTE).look(), "start a h00002, max_per_hour a h00003");
    world.finish("a", 2, true);
    world.resolve(1).resolve(2);
    assert_eq!(world.pass(58 * MINUTE).look(), "helped a h00001, helped a h00002");
    assert_eq!(world.pass(MINUTE).look(), "start a h00003");
}

#[test]
fn a_dry_run_is_told_once_and_takes_nothing_from_what_is_done() {
    let dry = with("dry", &[("dry_run", true.into())]);
    let few = ActionsConfig { max_concurrent: 1, max_per_hour: 1, ..config(&[dry, action("a")]) };
    let mut world = World::new(few);
    assert_eq!(world.fire(1).look(), "tell dry h00001, start a h00001");
    assert_eq!(world.pass(MINUTE).look(), "");
    assert_eq!(world.fire(2).look(), "max_per_hour dry h00002, max_per_hour a h00002");
    // Turned off while the alert fires: it is done with.
    world.guard.set_config(config(&[action("dry")]));
    assert_eq!(world.resolve(2).pass(2 * HOUR).look(), "");
}

#[test]
fn nothing_is_done_twice_over_a_restart() {
    let mut world = World::new(config(&[action("a"), with("b", &[("alerts", ["B"].into())])]));
    world.fire(1).fire(2).fire(3).look();
    world.finish("a", 1, true).finish("a", 2, false);
    world.pass(MINUTE).restart();
    // Before the first evaluation nothing is known to fire, and nothing has ended.
    let (firing, models) = (world.firing.clone(), world.models.clone());
    world.firing.clear();
    world.models.clear();
    assert_eq!(world.look(), "");
    assert_eq!(world.pass(48 * HOUR).look().matches("unverified").count(), 2);
    (world.firing, world.models) = (firing, models);
    assert_eq!(world.look(), "");
    assert_eq!(world.guard.remembered(), 3);
    // What ended is forgotten after a day on which it was not seen.
    world.firing.clear();
    world.look();
    world.pass(24 * HOUR).look();
    assert_eq!(world.guard.remembered(), 0);
}

#[test]
fn a_clock_that_is_set_makes_no_interval_longer() {
    let mut world = World::new(config(&[action("a")]));
    world.fire(1).look();
    world.finish("a", 1, true).pass(10 * MINUTE).resolve(1).look();
    // Ten years back, in a process and over a restart.
    world.pass(-87_600 * HOUR).look();
    world.pass(-HOUR).restart();
    assert_eq!(world.fire(1).look(), "per_entity_interval a h00001");
    assert_eq!(world.pass(50 * MINUTE).look(), "start a h00001");
}

#[test]
fn ten_thousand_at_once_are_few_calls_and_no_queue() {
    let rails = ActionsConfig { max_concurrent: 2, max_per_hour: 6, ..config(&[action("a")]) };
    let mut world = World::new(rails);
    (0..10_000).for_each(|i| {
        world.fire(i);
    });
    let mut begun = Vec::new();
    let mut told = 0;
    for look in 0..12 * 12 {
        for decision in world.decide() {
            match decision {
                GuardDecision::Start { key, .. } => {
                    begun.push((look, key.entity.get("instance").to_owned()));
                }
                GuardDecision::Hold { .. } => told += 1,
                GuardDecision::Verdict { .. } => {}
            }
        }
        assert!(world.guard.running() <= 2);
        // Every command takes five minutes.
        world.pass(5 * MINUTE);
        for (_, name) in begun.iter().filter(|it| it.0 == look) {
            world.finish("a", name[1..].parse().expect("a host"), true);
        }
    }
    assert_eq!(begun.len(), 12 * 6);
    assert_eq!(begun.iter().map(|it| &it.1).collect::<BTreeSet<_>>().len(), begun.len());
    assert_eq!(world.guard.remembered(), begun.len());
    // Each is told once that it waits, and again when it waits for something else: for a place at first, and
    // for the hour then, whenever one has passed.
    assert!(told <= 10_000 * 2 * 12, "{told}");
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Fire(usize),
    Resolve(usize),
    /// The score swings.
    Flap(usize),
    Finish(bool),
    Pass(i64),
    SetBack(i64),
    Restart,
    Switch,
    Fleet,
    Allow,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..6_usize).prop_map(Event::Fire),
        4 => (0..6_usize).prop_map(Event::Resolve),
        2 => (0..6_usize).prop_map(Event::Flap),
        4 => any::<bool>().prop_map(Event::Finish),
        8 => (1..40 * MINUTE).prop_map(Event::Pass),
        1 => (1..100 * HOUR).prop_map(Event::SetBack),
        1 => Just(Event::Restart),
        1 => Just(Event::Switch),
        1 => Just(Event::Fleet),
        1 => Just(Event::Allow),
    ];
    proptest::collection::vec(event, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    /// Whatever comes: each firing once, few at once, few in an hour, and an entity's interval between two.
    #[test]
    fn the_rails_hold(events in events(), concurrent in 1..4_usize, hourly in 1..8_usize) {
        let actions = [action("a"), with("b", &[("per_entity_interval", "20m".into())])];
        let rails =
            ActionsConfig { max_concurrent: concurrent, max_per_hour: hourly, ..config(&actions) };
        let mut world = World::new(rails);
        // Time that passed, whatever the clock says.
        let mut passed = 0;
        let mut starts: Vec<(i64, AttemptKey, i64)> = Vec::new();
        let mut running: Vec<AttemptKey> = Vec::new();
        for event in events {
            match event {
                Event::Fire(i) => { world.fire(i); }
                Event::Resolve(i) => { world.resolve(i); }
                Event::Flap(i) => {
                    if let Some(it) = world.firing.get_mut(&i) {
                        it.is_active = !it.is_active;
                    }
                    if !world.is_unwell.remove(&i) {
                        world.is_unwell.insert(i);
                    }
                }
                Event::Finish(is_success) => if !running.is_empty() {
                    let key = running.remove(0);
                    world.guard.finished(world.now_ms, &key, is_success);
                },
                Event::Pass(ms) => { world.pass(ms); passed += ms; }
                Event::SetBack(ms) => { world.pass(-ms); }
                Event::Restart => { world.restart(); running.clear(); }
                Event::Switch => world.is_enabled = !world.is_enabled,
                Event::Fleet => world.is_fleet_alert_open = !world.is_fleet_alert_open,
                Event::Allow => { world.guard.allow_again(); }
            }
            for decision in world.decide() {
                let GuardDecision::Start { key, fired_ms, .. } = decision else { continue };
                prop_assert!(world.is_enabled && !world.is_fleet_alert_open);
                let twice = starts.iter().any(|it| (&it.1, it.2) == (&key, fired_ms));
                prop_assert!(!twice, "{key:?} twice");
                prop_assert!(!running.iter().any(|it| it.entity == key.entity), "two at once");
                let interval = if &*key.action == "a" { HOUR } else { 20 * MINUTE };
                for (at, other, _) in &starts {
                    let is_same = (&other.action, &other.entity) == (&key.action, &key.entity);
                    prop_assert!(!is_same || passed - at >= interval, "too early");
                }
                starts.push((passed, key.clone(), fired_ms));
                running.push(key);
            }
            prop_assert!(running.len() <= concurrent);
            prop_assert_eq!(world.guard.running(), running.len());
            let recent = starts.iter().filter(|it| passed - it.0 < HOUR).count();
            prop_assert!(recent <= hourly, "{recent} in an hour");
            prop_assert!(world.guard.remembered() <= 12);
        }
    }
}
