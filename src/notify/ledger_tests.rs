//! Tests of ledgers, in virtual time.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ledger::*;
use crate::labels::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ONCE: Style = Style::Once { send_resolved: true };
const AGAIN: Style = Style::Again { every_ms: 60_000 };

fn host(name: &str) -> Labels {
    Labels::from_pairs([("instance", name)]).expect("one name")
}

fn firing(fired_ms: i64) -> Firing {
    Firing {
        rule: Arc::from("r"),
        model: Arc::from("m"),
        entity: Some(host("a")),
        fired_ms,
        is_held_back: false,
    }
}

/// A look at these: name and when it fired.
fn look(ledger: &mut Ledger, now_ms: i64, list: &[(&str, i64)]) {
    let labels: Vec<Labels> = list.iter().map(|(name, _)| host(name)).collect();
    let firing = labels.iter().zip(list).map(|(labels, (_, fired_ms))| (labels, firing(*fired_ms)));
    let firing = firing.collect();
    let look = Look { firing, evaluated: BTreeSet::from(["m"]), is_configured: &|_, _| true };
    assert_eq!(ledger.look(now_ms, &look), 0);
}

fn look_held_back(ledger: &mut Ledger, now_ms: i64, name: &str, fired_ms: i64) {
    let labels = host(name);
    let held_back = Firing { is_held_back: true, ..firing(fired_ms) };
    let firing = BTreeMap::from([(&labels, held_back)]);
    let look = Look { firing, evaluated: BTreeSet::from(["m"]), is_configured: &|_, _| true };
    assert_eq!(ledger.look(now_ms, &look), 0);
}

/// Who is due, with a sign of how: `+` fires, `-` is resolved. They are told of.
fn tell(ledger: &mut Ledger, now_ms: i64) -> Vec<String> {
    let due = ledger.due(now_ms, 100);
    ledger.tried(now_ms, &due);
    ledger.told_of(now_ms, &due);
    let shown = |it: &Due| {
        let sign = if it.resolved_ms.is_some() { '-' } else { '+' };
        format!("{sign}{}", it.labels.get("instance"))
    };
    due.iter().map(shown).collect()
}

fn ledger(style: Style) -> Ledger {
    Ledger::new(style, 1_000, &[])
}

#[test]
fn what_fires_is_told_once_and_its_end_once() {
    let mut it = ledger(ONCE);
    look(&mut it, 0, &[("a", 0), ("b", 0)]);
    assert_eq!(it.waiting(0), 2);
    assert_eq!(tell(&mut it, 0), ["+a", "+b"]);
    for now_ms in [1_000, 3_600_000, -3_600_000] {
        look(&mut it, now_ms, &[("a", 0), ("b", 0)]);
        assert!(tell(&mut it, now_ms).is_empty());
    }
    look(&mut it, 4_000_000, &[("b", 0)]);
    assert_eq!(tell(&mut it, 4_000_000), ["-a"]);
    assert!(tell(&mut it, 4_000_000).is_empty());
    // It fires anew, and is told anew.
    look(&mut it, 5_000_000, &[("a", 5_000_000), ("b", 0)]);
    assert_eq!(tell(&mut it, 5_000_000), ["+a"]);
}

#[test]
fn who_forgets_is_told_again() {
    let mut it = ledger(AGAIN);
    look(&mut it, 0, &[("a", 0)]);
    assert_eq!(tell(&mut it, 0), ["+a"]);
    assert!(tell(&mut it, 59_999).is_empty());
    assert_eq!(tell(&mut it, 60_000), ["+a"]);
    // The clock is set back.
    assert_eq!(tell(&mut it, 30_000), ["+a"]);
    look(&mut it, 61_000, &[]);
    assert_eq!(tell(&mut it, 61_000), ["-a"], "news does not wait");
    assert!(tell(&mut it, 62_000).is_empty());
    look(&mut it, 121_000, &[]);
    assert_eq!(tell(&mut it, 121_000), ["-a"]);
    look(&mut it, 61_000 + 15 * 60_000, &[]);
    assert!(tell(&mut it, 61_000 + 15 * 60_000).is_empty());
}

#[test]
fn what_nobody_was_told_of_just_goes() {
    for style in [ONCE, AGAIN] {
        let mut it = ledger(style);
        look(&mut it, 0, &[("a", 0)]);
        look(&mut it, 1, &[]);
        assert!(tell(&mut it, 1).is_empty());
        assert!(it.told().is_empty());
    }
    let mut it = ledger(Style::Once { send_resolved: false });
    look(&mut it, 0, &[("a", 0)]);
    assert_eq!(tell(&mut it, 0), ["+a"]);
    look(&mut it, 1, &[]);
    assert!(tell(&mut it, 1).is_empty());
}

#[test]
fn what_was_told_is_known_after_a_restart() {
    let mut it = ledger(ONCE);
    look(&mut it, 0, &[("a", 0), ("b", 0), ("c", 0)]);
    tell(&mut it, 0);
    let json = serde_json::to_string(&it.told()).expect("plain data");
    let told: Vec<Told> = serde_json::from_str(&json).expect("its own words");
    let (model, alert) = told[1].firing().expect("it fires");
    assert_eq!((model, &*alert.rule, alert.entity), ("m", "r", Some(host("a"))));
    assert_eq!(alert.alert.fired_ms, Some(0));
    let mut it = Ledger::new(ONCE, 1_000, &told);
    // No model has been evaluated yet.
    let unseen =
        Look { firing: BTreeMap::new(), evaluated: BTreeSet::new(), is_configured: &|_, _| true };
    it.look(10, &unseen);
    assert!(tell(&mut it, 10).is_empty());
    look(&mut it, 20, &[("a", 0), ("d", 15)]);
    assert_eq!(tell(&mut it, 20), ["-b", "-c", "+d"]);
    // A rule that is gone ends its alerts even if its model is not evaluated.
    let former = Look { is_configured: &|_, _| false, ..unseen };
    it.look(30, &former);
    assert_eq!(tell(&mut it, 30), ["-a", "-d"]);
}

#[test]
fn what_is_held_back_is_told_of_afterwards_if_it_goes_on() {
    let mut it = ledger(ONCE);
    look_held_back(&mut it, 0, "a", 0);
    assert_eq!(it.waiting(0), 0);
    look(&mut it, 10, &[("a", 0)]);
    look_held_back(&mut it, 20, "a", 0);
    assert_eq!(it.waiting(20), 0, "it was not told before the window began");
    look(&mut it, 30, &[("a", 0)]);
    assert_eq!(tell(&mut it, 30), ["+a"]);
    // What is known is told to its end, though it is muted.
    look_held_back(&mut it, 40, "a", 0);
    assert!(tell(&mut it, 40).is_empty());
    look(&mut it, 50, &[]);
    assert_eq!(tell(&mut it, 50), ["-a"]);
}

/// A reload brings matchers: an alert that does not match them is held back as one that is muted is.
#[test]
fn what_is_no_longer_wanted_is_told_of_to_its_end() {
    for (style, again) in [(ONCE, &[][..]), (AGAIN, &["+a"][..])] {
        let mut it = ledger(style);
        look(&mut it, 0, &[("a", 0)]);
        assert_eq!(tell(&mut it, 0), ["+a"]);
        let mut it = Ledger::new(style, 1_000, &it.told());
        look_held_back(&mut it, 60_000, "a", 0);
        assert_eq!(tell(&mut it, 60_000), again, "to fire, it goes on to fire");
        look(&mut it, 70_000, &[]);
        assert_eq!(tell(&mut it, 70_000), ["-a"], "its end is no lie");
        // What fires after that is not told any more.
        look_held_back(&mut it, 80_000, "a", 80_000);
        assert!(tell(&mut it, 80_000).is_empty());
        // It is again once matchers want it.
        look(&mut it, 90_000, &[("a", 80_000)]);
        assert_eq!(tell(&mut it, 90_000), ["+a"]);
    }
}

#[test]
fn those_tried_last_wait_behind_the_others() {
    let mut it = ledger(ONCE);
    look(&mut it, 0, &[("a", 0), ("b", 0), ("c", 0)]);
    let first = it.due(0, 1);
    it.tried(1, &first);
    let names = |due: Vec<Due>| -> Vec<String> {
        due.iter().map(|it| it.labels.get("instance").to_owned()).collect()
    };
    assert_eq!(names(it.due(2, 2)), ["b", "c"]);
    assert_eq!(names(it.due(2, 3)), ["b", "c", "a"]);
}

#[test]
fn too_many_that_are_resolved_are_given_up() {
    let mut it = Ledger::new(ONCE, 2, &[]);
    look(&mut it, 0, &[("a", 0), ("b", 0), ("c", 0)]);
    tell(&mut it, 0);
    let labels = [host("b"), host("c")];
    let firing = labels.iter().map(|it| (it, firing(0))).collect();
    let seen = BTreeSet::from(["m"]);
    let some = Look { firing, evaluated: seen.clone(), is_configured: &|_, _| true };
    assert_eq!(it.look(1, &some), 0);
    let none = Look { firing: BTreeMap::new(), evaluated: seen, is_configured: &|_, _| true };
    assert_eq!(it.look(2, &none), 1, "the one that was resolved first");
    assert_eq!(tell(&mut it, 2), ["-b", "-c"]);
}

/// Flapping alerts of many hosts, deliveries that fail, and restarts: nobody hears the same twice, and in
/// the end everybody knows how it is.
#[test]
fn nothing_is_told_twice_whatever_fails() {
    const HOSTS: usize = 60;
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let names: Vec<Labels> = (0..HOSTS).map(|i| host(&i.to_string())).collect();
        let mut fired: Vec<Option<i64>> = vec![None; HOSTS];
        let mut it = Ledger::new(ONCE, HOSTS, &[]);
        // Of each host what the receiver has heard: when what fires had fired, and whether it has ended.
        let mut heard: BTreeMap<Labels, (i64, bool)> = BTreeMap::new();
        for step in 0..300 {
            let now_ms = step * 15_000;
            let settles = step > 260;
            for state in &mut fired {
                if !settles && random.random_bool(0.05) {
                    *state = match state {
                        Some(_) => None,
                        None => Some(now_ms),
                    };
                }
            }
            if random.random_bool(0.02) {
                it = Ledger::new(ONCE, HOSTS, &it.told());
            }
            let now =
                names.iter().zip(&fired).filter_map(|(name, at)| Some((name, firing((*at)?))));
            let seen = Look {
                firing: now.collect(),
                evaluated: BTreeSet::from(["m"]),
                is_configured: &|_, _| true,
            };
            it.look(now_ms, &seen);
            for _ in 0..random.random_range(0..3) {
                let due = it.due(now_ms, 50);
                it.tried(now_ms, &due);
                if !settles && random.next_u32() % 2 == 0 {
                    continue;
                }
                for one in &due {
                    let ended = one.resolved_ms.is_some();
                    let before = heard.insert(one.labels.clone(), (one.fired_ms, ended));
                    let is_new = match before {
                        None => !ended,
                        Some((fired_ms, was)) if ended => fired_ms == one.fired_ms && !was,
                        Some((fired_ms, _)) => fired_ms < one.fired_ms,
                    };
                    assert!(is_new, "seed {seed}, step {step}: {one:?} after {before:?}");
                }
                it.told_of(now_ms, &due);
            }
            assert!(it.waiting(now_ms) <= HOSTS);
        }
        for (name, state) in names.iter().zip(&fired) {
            let known = heard.get(name).filter(|it| !it.1).map(|it| it.0);
            assert_eq!(known, *state, "seed {seed}");
        }
    }
}

/// What a receiver of the large simulation has heard, and what that took.
#[derive(Default)]
struct Heard {
    /// Of each host when what fires had fired, and whether it has ended.
    hosts: BTreeMap<Labels, (i64, bool)>,
    told: usize,
    calls: usize,
    failures: usize,
    given_up: usize,
}

impl Heard {
    /// Takes what is told, none of it twice.
    fn take(&mut self, step: i64, due: &[Due]) {
        for one in due {
            let ended = one.resolved_ms.is_some();
            let before = self.hosts.insert(one.labels.clone(), (one.fired_ms, ended));
            let is_new = match before {
                None => !ended,
                Some((fired_ms, was)) if ended => fired_ms == one.fired_ms && !was,
                Some((fired_ms, _)) => fired_ms < one.fired_ms,
            };
            assert!(is_new, "step {step}: {one:?} after {before:?}");
        }
        self.told += due.len();
    }
}

/// Ten thousand hosts that flap for six hours, all of them at once now and then, with a receiver that fails
/// one call of three and is away for an hour, and restarts. What is kept and what is asked stay bounded, nothing
/// is told twice, and in the end the receiver knows how it is, but for those ends that were given up.
#[test]
fn ten_thousand_hosts_are_told_of_within_bounds() {
    const HOSTS: usize = 10_000;
    const MAX_RESOLVED: usize = 2_000;
    // As `notify.max_alerts_per_request`.
    const LIMIT: usize = 256;
    const STEPS: i64 = 180;
    // Written down, an alert takes some 160 bytes.
    const BYTES_EACH: usize = 200;
    let mut random = ChaCha8Rng::seed_from_u64(36);
    let names: Vec<Labels> = (0..HOSTS).map(|i| host(&format!("host-{i}.example.org"))).collect();
    let mut fired: Vec<Option<i64>> = vec![None; HOSTS];
    let mut it = Ledger::new(ONCE, MAX_RESOLVED, &[]);
    let (mut heard, mut firings) = (Heard::default(), 0);
    for step in 0..STEPS {
        let now_ms = step * 120_000;
        let settles = step > 150;
        // An hour in which nobody takes anything, and storms in which half of all hosts turn over.
        let is_away = (60..90).contains(&step);
        let share = if step % 40 == 20 { 0.5 } else { 0.01 };
        for state in fired.iter_mut().filter(|_| !settles) {
            if random.random_bool(share) {
                *state = if state.is_some() { None } else { Some(now_ms) };
                firings += usize::from(state.is_some());
            }
        }
        if random.random_bool(0.05) {
            it = restarted(&it, MAX_RESOLVED);
        }
        let now = names.iter().zip(&fired).filter_map(|(name, at)| Some((name, firing((*at)?))));
        let seen = Look {
            firing: now.collect(),
            evaluated: BTreeSet::from(["m"]),
            is_configured: &|_, _| true,
        };
        heard.given_up += it.look(now_ms, &seen);
        // Until nothing is due or a call fails, after which it is left alone for a while.
        loop {
            let due = it.due(now_ms, LIMIT);
            if due.is_empty() {
                break;
            }
            assert!(due.len() == LIMIT || due.len() == it.waiting(now_ms), "requests are full");
            it.tried(now_ms, &due);
            heard.calls += 1;
            if is_away || (!settles && random.random_bool(0.33)) {
                heard.failures += 1;
                break;
            }
            heard.take(step, &due);
            it.told_of(now_ms, &due);
        }
        let bound = seen.firing.len() + MAX_RESOLVED;
        assert!(it.waiting(now_ms) <= bound && it.told().len() <= bound, "step {step}");
    }
    let book = serde_json::to_vec(&it.told()).expect("plain data");
    assert!(book.len() <= it.told().len() * BYTES_EACH, "{} bytes", book.len());
    assert!(heard.failures <= STEPS as usize, "one failed call a step");
    assert!(heard.told <= 2 * firings, "each firing and each end once at most");
    let bound = heard.failures + heard.told / LIMIT + STEPS as usize;
    assert!(heard.calls <= bound, "{} calls, {bound} at most", heard.calls);
    let differs = |(name, state): &(&Labels, &Option<i64>)| {
        heard.hosts.get(*name).filter(|it| !it.1).map(|it| it.0) != **state
    };
    let wrong: Vec<_> = names.iter().zip(&fired).filter(differs).collect();
    assert!(heard.given_up > 0 && wrong.len() <= heard.given_up, "{}", wrong.len());
    assert!(wrong.iter().all(|it| it.1.is_none()), "what fires is known");
}

/// The ledger of the next process, by what this one has written down.
fn restarted(it: &Ledger, max_resolved: usize) -> Ledger {
    let json = serde_json::to_string(&it.told()).expect("plain data");
    Ledger::new(ONCE, max_resolved, &serde_json::from_str::<Vec<Told>>(&json).expect("its words"))
}
