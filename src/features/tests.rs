use super::*;
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use crate::series::{StorageConfig, Store};

const NOW: i64 = 1_700_000_000_000;
const STALE_AFTER: i64 = 120_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

struct Fixture {
    specs: Vec<FeatureSpec>,
    store: Store,
    set: FeatureSet,
}

fn entity() -> Vec<String> {
    PROFILE_ENTITY.iter().map(|name| (*name).to_owned()).collect()
}

impl Fixture {
    fn new(specs: &[FeatureSpec]) -> Self {
        let mut store = Store::new(StorageConfig::default());
        let features = Features::parse(specs, &entity()).expect("good features");
        let set = features.bind(&mut store);
        Self { specs: specs.to_vec(), store, set }
    }

    fn push(&mut self, name: &str, host: &str, extra: &[(&str, &str)], t: i64, value: f64) {
        let mut pairs = vec![("__name__", name), ("job", "node"), ("instance", host)];
        pairs.extend(extra);
        pairs.retain(|(_, value)| !value.is_empty());
        let labels = Labels::from_pairs(pairs).expect("distinct names");
        let samples = vec![Sample::new(t, value)];
        let batch = Batch::of(vec![BatchSeries::new(labels, samples)]);
        assert_eq!(self.store.append(t, &batch).rejected(), 0);
    }

    /// State and row of every known host at a time, by instance.
    fn eval(&mut self, now: i64) -> Vec<(String, EntityState, Vec<f64>)> {
        let matrix = self.set.eval(&self.store, now, STALE_AFTER);
        let mut rows: Vec<_> = (0..matrix.slots())
            .filter(|slot| matrix.state(*slot) != EntityState::Unknown)
            .map(|slot| {
                let instance = matrix.labels(slot).get("instance").to_owned();
                (instance, matrix.state(slot), matrix.row(slot).to_vec())
            })
            .collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows
    }

    #[track_caller]
    fn check(&mut self, now: i64, expected: &[(&str, EntityState, &[f64])]) {
        let got = self.eval(now);
        let hosts: Vec<_> = got.iter().map(|(host, state, _)| (host.as_str(), *state)).collect();
        let expected_hosts: Vec<_> = expected.iter().map(|(h, state, _)| (*h, *state)).collect();
        assert_eq!(hosts, expected_hosts);
        for ((_, _, row), (host, _, wanted)) in got.iter().zip(expected) {
            let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
            assert!(row.iter().zip(*wanted).all(same), "{host}: {row:?} instead of {wanted:?}");
        }
    }
}

use EntityState::{Complete, Incomplete, Stale, Warming};

const NAN: f64 = f64::NAN;
const ENDED: f64 = f64::from_bits(STALE_NAN_BITS);

#[test]
fn one_row_for_each_host_one_column_for_each_feature() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("a", "m"),
        FeatureSpec::new("b", "sum by (job, instance) (n)"),
    ]);
    for (host, value) in [("x", 1.0), ("y", 2.0)] {
        f.push("m", host, &[("zone", "ignored")], NOW, value);
        f.push("n", host, &[("cpu", "0")], NOW, value * 10.0);
        f.push("n", host, &[("cpu", "1")], NOW, value * 20.0);
    }
    f.check(NOW, &[("x", Complete, &[1.0, 30.0]), ("y", Complete, &[2.0, 60.0])]);
}

#[test]
fn what_has_no_labels_goes_to_everyone() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("own", "m"),
        FeatureSpec::new("fleet", "sum(m)"),
        FeatureSpec::new("scalar", "2 * 3"),
    ]);
    f.push("m", "x", &[], NOW, 1.0);
    f.push("m", "y", &[], NOW, 2.0);
    f.check(NOW, &[("x", Complete, &[1.0, 3.0, 6.0]), ("y", Complete, &[2.0, 3.0, 6.0])]);
}

#[test]
fn a_missing_feature_follows_its_policy() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("base", "m"),
        FeatureSpec::new("filled", "swap").or(Missing::Fill(-1.0)),
        FeatureSpec::new("held", "h").or(Missing::Hold),
        FeatureSpec::new("same", "m"),
    ]);
    f.push("m", "x", &[], NOW, 1.0);
    f.check(NOW, &[("x", Incomplete, &[1.0, -1.0, f64::NAN, 1.0])]);
    assert_eq!(f.set.matrix().counts()[0], [1, 0, 0, 0, 0, 0]);
    assert_eq!(f.set.matrix().counts()[1], [0, 0, 0, 1, 0, 0]);
    assert_eq!(f.set.matrix().counts()[2], [0, 0, 0, 0, 0, 1]);
    f.push("h", "x", &[], NOW, 5.0);
    f.check(NOW, &[("x", Complete, &[1.0, -1.0, 5.0, 1.0])]);
    // The series ends, the host lives on: held for as long as a sample would count as fresh.
    f.push("h", "x", &[], NOW + 1, f64::from_bits(STALE_NAN_BITS));
    let held_until = NOW + STALE_AFTER;
    f.push("m", "x", &[], held_until - 1, 2.0);
    f.check(held_until - 1, &[("x", Complete, &[2.0, -1.0, 5.0, 2.0])]);
    assert_eq!(f.set.matrix().counts()[2], [0, 0, 1, 0, 0, 0]);
    f.check(held_until, &[("x", Incomplete, &[2.0, -1.0, f64::NAN, 2.0])]);
}

#[test]
fn nan_and_infinity_count_as_missing() {
    let mut f = Fixture::new(&[FeatureSpec::new("ratio", "m / n")]);
    f.push("m", "x", &[], NOW, 1.0);
    f.push("n", "x", &[], NOW, 0.0);
    f.check(NOW, &[("x", Incomplete, &[f64::NAN])]);
}

#[test]
fn two_values_for_one_host_are_none() {
    let mut f = Fixture::new(&[FeatureSpec::new("a", "m")]);
    f.push("m", "x", &[("cpu", "0")], NOW, 1.0);
    f.check(NOW, &[("x", Complete, &[1.0])]);
    f.push("m", "x", &[("cpu", "1")], NOW, 2.0);
    f.check(NOW, &[("x", Incomplete, &[f64::NAN])]);
}

#[test]
fn a_host_without_one_of_the_entity_labels_is_nobody() {
    let mut f = Fixture::new(&[FeatureSpec::new("a", "m")]);
    f.push("m", "", &[("pod", "p")], NOW, 1.0);
    f.check(NOW, &[]);
}

#[test]
fn a_host_that_ends_is_stale_at_once_whatever_its_rates_still_say() {
    let mut f = Fixture::new(&[FeatureSpec::new("rate", "rate(c_total[2m])")]);
    for i in 0..8 {
        f.push("c_total", "x", &[], NOW + i * 15_000, i as f64);
    }
    let end = NOW + 7 * 15_000;
    assert_eq!(f.eval(end)[0].1, Complete);
    f.push("c_total", "x", &[], end + 1, f64::from_bits(STALE_NAN_BITS));
    let after = f.eval(end + 1);
    assert_eq!(after[0].1, Stale);
    assert!(after[0].2[0].is_finite(), "the rate itself is still there, as in Prometheus");
}

#[test]
fn a_host_that_falls_silent_is_stale_after_the_limit() {
    let mut f = Fixture::new(&[FeatureSpec::new("a", "m")]);
    f.push("m", "x", &[], NOW, 1.0);
    f.check(NOW + STALE_AFTER - 1, &[("x", Complete, &[1.0])]);
    f.check(NOW + STALE_AFTER, &[("x", Stale, &[1.0])]);
}

#[test]
fn hosts_that_are_evicted_make_room_and_leave_no_memory() {
    let mut f = Fixture::new(&[FeatureSpec::new("held", "h").or(Missing::Hold)]);
    f.push("h", "x", &[], NOW, 1.0);
    f.check(NOW, &[("x", Complete, &[1.0])]);
    let gone = NOW + HOUR;
    f.store.evict(gone);
    f.check(gone, &[]);
    assert_eq!((f.set.matrix().slots(), f.set.matrix().away()), (1, 1));
    // y does not get x's slot until x is forgotten.
    let later = gone + HOUR;
    f.push("h", "y", &[], later, f64::NAN);
    f.check(later, &[("y", Incomplete, &[NAN])]);
    assert_eq!((f.set.matrix().slots(), f.set.matrix().away()), (1, 0));
    assert_eq!(f.set.matrix().born(), [0]);
    // It must not have x's held value even if the clock jumps back.
    f.check(NOW + 1_000, &[("y", Stale, &[NAN])]);
    assert_eq!(f.set.matrix().slots(), 1);
}

#[test]
fn who_returns_has_its_slot_and_nobody_else_is_in_it() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("held", "h").or(Missing::Hold),
        FeatureSpec::new("fleet", "vector(3)"),
    ]);
    f.push("h", "x", &[], NOW, 1.0);
    f.check(NOW, &[("x", Complete, &[1.0, 3.0])]);
    let gone = NOW + 20 * MINUTE;
    assert_eq!(f.store.evict(gone), 1);
    f.push("h", "y", &[], gone, 2.0);
    f.check(gone, &[("y", Complete, &[2.0, 3.0])]);
    assert_eq!((f.set.matrix().state(0), f.set.matrix().born()), (EntityState::Unknown, &[1][..]));
    assert_eq!(f.set.matrix().provenance(0), [Provenance::Absent; 2], "not even what all have");
    assert_eq!(f.set.matrix().counts()[1], [0, 1, 0, 0, 0, 0]);
    f.push("h", "x", &[], gone + 1, 5.0);
    f.check(gone + 1, &[("x", Complete, &[5.0, 3.0]), ("y", Complete, &[2.0, 3.0])]);
    assert_eq!((f.set.matrix().slots(), f.set.matrix().away()), (2, 0));
    assert!(f.set.matrix().born().is_empty());
}

/// A rate has no value after one sample.
#[test]
fn who_is_refused_is_counted_before_a_feature_has_a_value() {
    let mut f = Fixture::new(&[FeatureSpec::new("rate", "rate(m[5m])")]);
    f.set.set_max_entities(1);
    for host in ["x", "y", "z"] {
        f.push("m", host, &[("cpu", "0")], NOW, 1.0);
        f.push("m", host, &[("cpu", "1")], NOW, 1.0);
    }
    for now in [NOW, NOW + 1_000] {
        f.eval(now);
        assert_eq!((f.set.matrix().refused(), f.set.known_entities()), (2, 1));
    }
    f.set.set_max_entities(3);
    f.eval(NOW + 2_000);
    assert_eq!((f.set.matrix().refused(), f.set.known_entities()), (0, 3));
}

#[test]
fn what_vanished_while_a_host_was_away_is_not_filled() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("load", "m"),
        FeatureSpec::new("used", "u").or(Missing::Fill(0.0)),
    ]);
    use Provenance::{Absent, Filled, Own};
    f.set.set_retention(3 * HOUR);
    f.push("m", "x", &[], NOW, 1.0);
    f.push("u", "x", &[], NOW, 1.0);
    f.eval(NOW);
    for (away, provenance) in [(2 * HOUR, [Own, Absent]), (8 * HOUR, [Own, Filled])] {
        let gone = NOW + away;
        assert!(f.store.evict(gone) > 0);
        assert!(f.eval(gone).is_empty());
        let back = gone + away / 2;
        f.push("m", "x", &[], back, 1.0);
        f.eval(back);
        assert_eq!(f.set.matrix().provenance(0), provenance, "away for {away} ms");
    }
}

#[test]
fn a_failing_expression_is_reported_and_spoils_only_itself() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("good", "m"),
        FeatureSpec::new("bad", "m + on (job, instance) n"),
    ]);
    for host in ["x", "y"] {
        f.push("m", host, &[], NOW, 1.0);
        f.push("n", host, &[("cpu", "0")], NOW, 1.0);
        f.push("n", host, &[("cpu", "1")], NOW, 1.0);
    }
    f.check(NOW, &[("x", Incomplete, &[1.0, f64::NAN]), ("y", Incomplete, &[1.0, f64::NAN])]);
    let errors = f.set.matrix().errors();
    assert_eq!((errors.len(), errors[0].0), (1, 1), "{errors:?}");
}

#[test]
fn a_doubled_series_of_one_host_is_reported_and_spoils_that_host_alone() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("good", "m"),
        FeatureSpec::new("bad", "m + on (job, instance) n"),
        FeatureSpec::new("worse", "2 * (m + on (job, instance) n)"),
    ]);
    for host in ["x", "y"] {
        f.push("m", host, &[], NOW, 1.0);
        f.push("n", host, &[("pod", "new")], NOW, 2.0);
    }
    f.check(NOW, &[("x", Complete, &[1.0, 3.0, 6.0]), ("y", Complete, &[1.0, 3.0, 6.0])]);
    assert_eq!(f.set.matrix().errors(), []);
    f.push("n", "x", &[("pod", "old")], NOW, 2.0);
    let spoiled: [f64; 3] = [1.0, f64::NAN, f64::NAN];
    f.check(NOW, &[("x", Incomplete, &spoiled), ("y", Complete, &[1.0, 3.0, 6.0])]);
    let errors = f.set.matrix().errors();
    let features: Vec<usize> = errors.iter().map(|(feature, _)| *feature).collect();
    assert_eq!(features, [1, 2], "once for each feature: {errors:?}");
    for (_, error) in errors {
        let start = r#"left out for 1 group of labels: found duplicate series for the match group {instance="x", job="node"} on the right"#;
        assert!(error.starts_with(start), "{error}");
    }
}

#[track_caller]
fn check_refused(specs: &[FeatureSpec], part: &str) {
    let error = Features::parse(specs, &entity()).expect_err("refused").to_string();
    assert!(error.contains(part), "{error:?} lacks {part:?}");
}

#[test]
fn features_that_cannot_be_computed_are_refused_by_name() {
    let good = FeatureSpec::new("a", "m");
    check_refused(&[], "no features");
    check_refused(&[good.clone(), good.clone()], r#""a" is defined twice"#);
    check_refused(&[FeatureSpec::new("", "m")], "has no name");
    check_refused(&[FeatureSpec::new("b", "rate(m[")], r#"feature "b""#);
    check_refused(&[FeatureSpec::new("b", "sum by (instance) (m)")], r#"["job", "instance"]"#);
    assert!(matches!(Features::parse(&[good], &[]), Err(FeatureError::NoEntity)));
}

#[test]
fn the_profile_can_be_computed() {
    Features::parse(&profile(), &entity()).expect("every expression of the profile");
}

fn pushed(windows: &mut Windows, f: &mut Fixture, now: i64) -> usize {
    f.push("m", "x", &[], now, now as f64);
    windows.push(f.set.eval(&f.store, now, STALE_AFTER), now);
    windows.ready().len()
}

#[test]
fn a_window_is_full_after_as_many_steps_without_a_gap() {
    let mut f =
        Fixture::new(&[FeatureSpec::new("a", "m % 1000000"), FeatureSpec::new("b", "m * 0")]);
    let mut windows = Windows::new(3, 2, 1_000, 3_000);
    assert_eq!(pushed(&mut windows, &mut f, NOW), 0);
    assert_eq!(pushed(&mut windows, &mut f, NOW + 1_000), 0);
    assert_eq!(pushed(&mut windows, &mut f, NOW + 2_000), 1);
    let mut rows = Vec::new();
    windows.gather_into(&mut rows);
    assert_eq!(rows, [0.0, 0.0, 1_000.0, 0.0, 2_000.0, 0.0], "oldest first");
    // A missing step is bridged, and so is a tick at which the entity is not there, up to three
    // seconds.
    assert_eq!(pushed(&mut windows, &mut f, NOW + 4_000), 1);
    let column = |windows: &Windows| -> Vec<f32> {
        let mut rows = Vec::new();
        windows.gather_into(&mut rows);
        rows.chunks(2).map(|row| row[0]).collect()
    };
    assert_eq!(column(&windows), [2_000.0, 3_000.0, 4_000.0]);
    f.push("m", "x", &[], NOW + 4_500, f64::from_bits(STALE_NAN_BITS));
    windows.push(f.set.eval(&f.store, NOW + 5_000, STALE_AFTER), NOW + 5_000);
    assert!(windows.ready().is_empty());
    assert_eq!(pushed(&mut windows, &mut f, NOW + 7_000), 1);
    assert_eq!(column(&windows), [5_000.0, 6_000.0, 7_000.0]);
    // A longer gap begins anew, and so does what is not a whole number of steps later.
    assert_eq!(pushed(&mut windows, &mut f, NOW + 11_000), 0);
    assert_eq!(pushed(&mut windows, &mut f, NOW + 12_000), 0);
    assert_eq!(pushed(&mut windows, &mut f, NOW + 13_000), 1);
    assert_eq!(pushed(&mut windows, &mut f, NOW + 14_001), 0);
}

/// Samples of a counter that grows by 60 every 15 s, 4 a second, from one age to another in seconds.
fn count(f: &mut Fixture, name: &str, host: &str, extra: &[(&str, &str)], (from, to): (i64, i64)) {
    for age in (to / 15..=from / 15).rev().map(|i| 15 * i) {
        let value = 1e6 - 4.0 * age as f64;
        f.push(name, host, extra, NOW - 1_000 * age, value);
    }
}

#[test]
fn who_lacks_an_entity_label_is_nobody_and_takes_nothing_from_others() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("a", "m"),
        FeatureSpec::new("sum", "sum by (job, instance) (n)"),
        FeatureSpec::new("all", "sum(n)"),
    ]);
    for name in ["m", "n"] {
        f.push(name, "x", &[], NOW, 2.0);
        // Neither job nor instance, and one of the two.
        f.push(name, "", &[("job", ""), ("device", "sda")], NOW, 7.0);
        f.push(name, "", &[], NOW, 9.0);
    }
    f.check(NOW, &[("x", Complete, &[2.0, 2.0, 18.0])]);
    assert_eq!(f.set.matrix().unplaced(), [2, 1, 0]);
    let provenance = f.set.matrix().provenance(0);
    assert_eq!(provenance, [Provenance::Own, Provenance::Own, Provenance::Common]);
}

#[test]
fn what_no_float32_holds_is_no_value() {
    let mut f = Fixture::new(&[FeatureSpec::new("a", "m"), FeatureSpec::new("b", "n")]);
    f.set = Features::parse(&f.specs, &entity()).expect("good").maskable(true).bind(&mut f.store);
    f.push("m", "x", &[], NOW, 1.0);
    f.push("n", "x", &[], NOW, 1e39);
    f.check(NOW, &[("x", Complete, &[1.0, NAN])]);
}

/// The rate of a counter that has samples of these ages, and what becomes of its host.
#[track_caller]
fn check_rate(ages: &[(i64, i64)], state: EntityState, rate: f64) {
    let mut f = Fixture::new(&[FeatureSpec::new("rate", "rate(c_total[2m])")]);
    ages.iter().for_each(|range| count(&mut f, "c_total", "x", &[], *range));
    let found = f.eval(NOW);
    assert_eq!(found[0].1, state, "{ages:?}");
    let same = (found[0].2[0] - rate).abs() < 1e-9 || (rate.is_nan() && found[0].2[0].is_nan());
    assert!(same || state == Stale, "{ages:?}: {} instead of {rate}", found[0].2[0]);
}

#[test]
fn a_window_is_full_or_absent() {
    check_rate(&[(900, 0)], Complete, 4.0);
    // Born 30 s ago, then 105 s ago.
    check_rate(&[(30, 0)], Warming, NAN);
    check_rate(&[(105, 0)], Complete, 4.0);
    // Samples that come 45 s late.
    check_rate(&[(900, 45)], Stale, NAN);
    // A pause that ended a minute ago; the window has forgotten it in another.
    check_rate(&[(900, 165), (60, 0)], Incomplete, NAN);
    check_rate(&[(900, 285), (105, 0)], Complete, 4.0);
}

#[test]
fn nothing_is_filled_in_for_a_host_that_has_just_begun() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("load", "m"),
        FeatureSpec::new("disk", "rate(disk_total[2m])").or(Missing::Fill(0.0)),
        FeatureSpec::new("swap", "s").or(Missing::Fill(0.0)),
        FeatureSpec::new("long", "avg_over_time(m[10m])"),
    ]);
    f.push("m", "x", &[], NOW, 1.0);
    f.push("disk_total", "x", &[], NOW, 1.0);
    assert_eq!(f.eval(NOW)[0].1, Warming);
    use Provenance::{Absent, Filled, Own};
    assert_eq!(f.set.matrix().provenance(0), [Own, Absent, Absent, Absent]);
    // Ten minutes later its disk has been there for a scrape, and it has never had swap.
    let mut f = Fixture::new(&f.specs);
    count(&mut f, "m", "x", &[], (900, 0));
    count(&mut f, "disk_total", "x", &[], (0, 0));
    f.eval(NOW);
    assert_eq!(f.set.matrix().provenance(0), [Own, Absent, Filled, Own]);
}

#[test]
fn what_ends_while_the_host_goes_on_has_no_value_and_is_not_filled() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("load", "m"),
        FeatureSpec::new("used", "u").or(Missing::Fill(0.0)),
        FeatureSpec::new("rate", "rate(c_total[2m])").or(Missing::Fill(0.0)),
    ]);
    for name in ["m", "u", "c_total"] {
        count(&mut f, name, "x", &[], (900, 0));
    }
    use Provenance::{Absent, Own};
    f.eval(NOW);
    assert_eq!(f.set.matrix().provenance(0), [Own, Own, Own]);
    f.push("u", "x", &[], NOW + 1, ENDED);
    f.push("c_total", "x", &[], NOW + 1, ENDED);
    f.eval(NOW + 1);
    assert_eq!(f.set.matrix().provenance(0), [Own, Absent, Absent]);
}

#[test]
fn what_two_sources_have_a_part_in_is_ambiguous() {
    let mut f = Fixture::new(&[
        FeatureSpec::new("load", "m").or(Missing::Fill(0.0)),
        FeatureSpec::new("sum", "sum by (job, instance) (n)"),
    ]);
    for (host, pods) in [("x", &["1"][..]), ("y", &["1", "2"])] {
        for pod in pods {
            f.push("m", host, &[("pod", pod)], NOW, 1.0);
            f.push("n", host, &[("pod", pod)], NOW, 1.0);
        }
    }
    f.check(NOW, &[("x", Complete, &[1.0, 1.0]), ("y", Incomplete, &[NAN, NAN])]);
    assert_eq!(f.set.matrix().counts()[0], [1, 0, 0, 0, 1, 0]);
    let doubled = f.set.matrix().doubled();
    assert_eq!(doubled.len(), 1);
    assert_eq!(f.set.matrix().labels(doubled[0]).get("instance"), "y");
}

/// A host whose feature `b`, under a policy, is looked at every 15 s.
struct Watched {
    fixture: Fixture,
    now: i64,
}

impl Watched {
    fn new(absence: Absence) -> Self {
        let b = FeatureSpec::new("b", "b").when_gone(absence);
        let specs =
            [FeatureSpec::new("a", "m"), b, FeatureSpec::new("c", "m"), FeatureSpec::new("d", "m")];
        let mut fixture = Fixture::new(&specs);
        // A model that can do without.
        let features = Features::parse(&specs, &entity()).expect("good features").maskable(true);
        fixture.set = features.bind(&mut fixture.store);
        Self { fixture, now: NOW }
    }

    /// Goes on for so many evaluations with these metrics, and gives for each whether `b` is missing
    /// and the state of the host.
    fn go(&mut self, times: usize, metrics: &[(&str, f64)]) -> Vec<(bool, EntityState)> {
        (0..times)
            .map(|_| {
                self.now += 15_000;
                for (name, value) in metrics {
                    self.fixture.push(name, "x", &[], self.now, *value);
                }
                let matrix = self.fixture.set.eval(&self.fixture.store, self.now, STALE_AFTER);
                assert!(matrix.missing().iter().all(|it| *it == (0, 1)), "{:?}", matrix.missing());
                (!matrix.missing().is_empty(), matrix.state(0))
            })
            .collect()
    }
}

const BOTH: [(&str, f64); 2] = [("m", 1.0), ("b", 2.0)];
const B_ENDS: [(&str, f64); 2] = [("m", 1.0), ("b", ENDED)];

#[test]
fn a_feature_that_ends_is_missing_after_the_grace_and_until_it_returns() {
    let mut host = Watched::new(Absence::Anomalous);
    assert!(host.go(20, &BOTH).iter().all(|it| *it == (false, Complete)));
    // The first is 15 s after the last value, the eighth two minutes.
    assert_eq!(host.go(7, &B_ENDS), [(false, Complete); 7]);
    assert_eq!(host.go(20, &B_ENDS), [(true, Complete); 20]);
    assert_eq!(host.go(1, &BOTH), [(false, Complete)]);
    assert_eq!(host.go(7, &B_ENDS), [(false, Complete); 7]);
    assert_eq!(host.go(1, &B_ENDS), [(true, Complete)]);
    assert!(host.fixture.set.state_bytes() >= 4 * (16 + 2));
}

#[test]
fn policies_say_what_an_absence_is() {
    let mut host = Watched::new(Absence::NoScore);
    host.go(20, &BOTH);
    assert_eq!(host.go(7, &B_ENDS), [(false, Complete); 7]);
    assert_eq!(host.go(5, &B_ENDS), [(true, Incomplete); 5]);
    assert_eq!(host.go(1, &BOTH), [(false, Complete)]);
    let mut host = Watched::new(Absence::Ignore);
    host.go(20, &BOTH);
    assert_eq!(host.go(30, &B_ENDS), [(false, Complete); 30]);
}

#[test]
fn a_host_that_is_silent_or_new_misses_nothing() {
    let mut host = Watched::new(Absence::NoScore);
    host.go(20, &BOTH);
    let all_end = [("m", ENDED), ("b", ENDED)];
    assert_eq!(host.go(20, &all_end), [(false, Stale); 20]);
    // It returns without the feature: the grace is three evaluations, as the limit has passed.
    let found = host.go(3, &[("m", 1.0)]);
    assert_eq!(found, [(false, Complete), (false, Complete), (true, Incomplete)]);
    // Forgotten, and there again without what another entity in its slot used to have.
    host.now += 20 * MINUTE;
    host.fixture.store.evict(host.now);
    host.go(1, &[]);
    host.now += 2 * HOUR;
    host.fixture.set.eval(&host.fixture.store, host.now, STALE_AFTER);
    assert_eq!(host.fixture.set.matrix().freed(), [0]);
    assert_eq!(host.go(20, &[("m", 1.0)]), [(false, Complete); 20]);
    assert!(host.fixture.set.matrix().freed().is_empty());
}

#[test]
fn what_two_sources_claim_is_missing() {
    let mut host = Watched::new(Absence::Anomalous);
    host.go(20, &BOTH);
    let twice = |host: &mut Watched| {
        host.fixture.push("b", "x", &[("source", "other")], host.now + 15_000, 3.0);
        host.go(1, &BOTH)[0]
    };
    let found: Vec<bool> = (0..9).map(|_| twice(&mut host).0).collect();
    assert_eq!(found, [false, false, false, false, false, false, false, true, true]);
}
