//! One host of three has a series twice: what is left out, what is said of it, and that the others
//! keep their values.

use super::*;
use crate::labels::Labels;
use crate::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use crate::series::{StorageConfig, Store};

/// A multiple of every step used here.
const NOW: i64 = 1_699_999_200_000;

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
}

/// Appends samples, by seconds after [`NOW`], a number for each host and what else there is.
pub(super) fn append(store: &mut Store, pairs: &[(&str, &str)], samples: &[(i64, f64)]) {
    let sample = |(seconds, value): &(i64, f64)| Sample::new(NOW + seconds * 1_000, *value);
    let samples: Vec<Sample> = samples.iter().map(sample).collect();
    let series = vec![BatchSeries::new(labels(pairs), samples)];
    assert_eq!(store.append(NOW, &Batch::of(series)).rejected(), 0);
}

/// Three hosts; a load and a counter that `b` has twice, if so wished.
fn fill(store: &mut Store, doubled: bool) {
    for (host, n) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
        let name = |name| [("__name__", name), ("host", host)];
        append(store, &name("load"), &[(-60, n + 0.5), (0, n)]);
        append(store, &name("cores"), &[(-60, n), (0, n * n)]);
        append(store, &name("seconds"), &[(-30, n), (-15, 2.0 * n), (0, 3.0 * n)]);
        for cpu in ["0", "1"] {
            let pairs = [("__name__", "cpu"), ("host", host), ("cpu", cpu)];
            append(store, &pairs, &[(0, n / 7.0)]);
        }
    }
    if doubled {
        let old = [("__name__", "load"), ("host", "b"), ("pod", "old")];
        append(store, &old, &[(-60, 8.0), (0, 9.0)]);
        let old = [("__name__", "seconds_old"), ("host", "b")];
        append(store, &old, &[(-30, 1.0), (-15, 2.0), (0, 3.0)]);
    }
}

pub(super) type Answer = Vec<(Labels, u64)>;

pub(super) fn answer(plan: &Plan, i: usize) -> Result<Answer, EvalError> {
    match plan.output(i).map_err(Clone::clone)? {
        Value::Scalar(value) => Ok(vec![(Labels::empty(), value.to_bits())]),
        Value::Vector(vector) => {
            let elements = vector.layout.labels.iter().zip(vector.values).zip(vector.present);
            let there = elements.filter(|(_, present)| **present);
            let mut all: Answer = there.map(|((l, v), _)| (l.clone(), v.to_bits())).collect();
            all.sort();
            Ok(all)
        }
    }
}

pub(super) fn evaluated(
    bind: fn(&[Expr], &mut Store) -> Plan,
    texts: &[&str],
    doubled: bool,
) -> (Store, Plan) {
    let exprs: Vec<Expr> =
        texts.iter().map(|text| Expr::parse(text).unwrap_or_else(|e| panic!("{e}"))).collect();
    let mut store = Store::new(StorageConfig::default());
    let mut plan = bind(&exprs, &mut store);
    fill(&mut store, doubled);
    plan.eval(&store, NOW);
    (store, plan)
}

/// The host that is doubled is left out and named, and no other host notices; a strict plan fails
/// with the same words.
#[track_caller]
fn check(text: &str, error: &str) {
    let clean = answer(&evaluated(Plan::bind, &[text], false).1, 0).expect("all is well");
    let (_, plan) = evaluated(Plan::bind_lenient, &[text], false);
    assert_eq!(answer(&plan, 0), Ok(clean.clone()), "{text}: nothing is doubled");
    assert!(plan.faults(0).is_empty(), "{text}");

    let strict = answer(&evaluated(Plan::bind, &[text], true).1, 0).expect_err(text);
    assert!(strict.to_string().contains(error), "{text}: {strict}");
    let (_, plan) = evaluated(Plan::bind_lenient, &[text], true);
    let others: Answer = clean.into_iter().filter(|(l, _)| l.get("host") != "b").collect();
    assert!(others.len() >= 2, "{text}: {others:?}");
    assert_eq!(answer(&plan, 0), Ok(others), "{text}");
    let faults = plan.faults(0);
    assert_eq!(faults.groups(), 1, "{text}");
    let fault = &faults.list()[0];
    assert_eq!(fault.labels.without_metric_name(), labels(&[("host", "b")]), "{text}");
    assert_eq!(fault.error, strict, "{text}");
    assert_eq!(faults.to_string(), format!("left out for 1 group of labels: {fault}"));
}

#[test]
fn a_doubled_element_costs_its_own_group_alone() {
    let right = r#"found duplicate series for the match group {host="b"} on the right hand-side"#;
    check("cores / on (host) load", right);
    check("cores > on (host) load - 100", right);
    check("cpu * on (host) group_left load", right);
    check(r#"cpu * on (host) group_left (pod) load"#, right);
    check(
        "load * on (host) group_right cpu",
        r#"found duplicate series for the match group {host="b"} on the left hand-side"#,
    );
    check("load / on (host) cores", "many-to-one matching must be explicit");
    check("load >= bool ignoring (pod) cores", "many-to-one matching must be explicit");
    check("load * on (host) group_left (pod) cores", "grouping labels must ensure unique matches");
}

#[test]
fn label_sets_that_become_equal_are_all_left_out() {
    let same = r#"cannot contain metrics with the same labelset: {host="b"}"#;
    let both = r#"{__name__=~"seconds|seconds_old"}"#;
    check(&format!("rate({both}[1m])"), same);
    check(&format!("abs({both})"), same);
    check(&format!("-{both}"), same);
    check(&format!("{both} + 1"), same);
    check(&format!("timestamp({both})"), same);
    check(&format!("max_over_time(rate({both}[1m])[15s:15s])"), same);
    let named = r#"cannot contain metrics with the same labelset: load{host="b"}"#;
    check(r#"label_replace(load, "pod", "", "", "")"#, named);
}

#[test]
fn what_reads_the_elements_that_were_left_out_finds_them_absent() {
    let quotient = "load / on (host) cores";
    let texts = [
        format!("cores and on (host) ({quotient})"),
        format!("cores unless on (host) ({quotient})"),
        format!("({quotient}) or on (host) cores * 0"),
        format!("count({quotient})"),
        format!("absent({quotient})"),
        format!("scalar(cores unless on (host) ({quotient}))"),
        "cores".to_owned(),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_, plan) = evaluated(Plan::bind_lenient, &texts, true);
    let hosts = |i| -> Vec<(String, f64)> {
        let there = answer(&plan, i).expect("a value").into_iter();
        there.map(|(l, bits)| (l.get("host").to_owned(), f64::from_bits(bits))).collect()
    };
    let host = |host: &str, value| (host.to_owned(), value);
    assert_eq!(hosts(0), [host("a", 1.0), host("c", 9.0)]);
    assert_eq!(hosts(1), [host("b", 4.0)]);
    assert_eq!(hosts(2), [host("a", 1.0), host("b", 0.0), host("c", 3.0 / 9.0)]);
    assert_eq!(hosts(3), [host("", 2.0)]);
    assert_eq!(hosts(4), []);
    assert_eq!(hosts(5), [host("", 4.0)]);
    // Each of those that have the quotient in common says so.
    let groups: Vec<usize> = (0..7).map(|i| plan.faults(i).groups()).collect();
    assert_eq!(groups, [1, 1, 1, 1, 1, 1, 0]);
}

/// Nothing of a group of three is kept, and a group that is met twice counts once.
#[test]
fn all_of_a_group_is_left_out() {
    let text = "load / on (host) cores + on (host) load * on (host) cores";
    let (mut store, mut plan) = evaluated(Plan::bind_lenient, &[text], true);
    let third = [("__name__", "load"), ("host", "b"), ("pod", "third")];
    append(&mut store, &third, &[(0, 1.0)]);
    let cores = [("__name__", "load"), ("host", "c"), ("pod", "old")];
    append(&mut store, &cores, &[(0, 1.0)]);
    plan.eval(&store, NOW);
    let answer = answer(&plan, 0).expect("a value");
    assert_eq!(answer, [(labels(&[("host", "a")]), 2.0f64.to_bits())]);
    let faults = plan.faults(0);
    let found: Vec<&str> = faults.list().iter().map(|fault| fault.labels.get("host")).collect();
    assert_eq!((found, faults.groups()), (vec!["b", "c"], 2));
    assert_eq!(
        faults.to_string(),
        r#"left out for 2 groups of labels: {host="b"}: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"#
    );
}

#[test]
fn a_step_of_a_subquery_lacks_what_was_doubled_at_it() {
    let text = "sum_over_time((load / on (host) cores)[2m:1m])";
    let (mut store, mut plan) = evaluated(Plan::bind_lenient, &[text], false);
    let of = |plan: &Plan, host: &str| {
        let answer = answer(plan, 0).expect("a value");
        let found = answer.iter().find(|(l, _)| l.get("host") == host);
        found.map(|(_, bits)| f64::from_bits(*bits))
    };
    let (a, b) = (1.5 + 1.0, 2.5 / 2.0 + 2.0 / 4.0);
    assert_eq!((of(&plan, "a"), of(&plan, "b")), (Some(a), Some(b)));
    // From here on it is doubled; the step before stands as it was evaluated.
    append(&mut store, &[("__name__", "load"), ("host", "b"), ("pod", "old")], &[(30, 9.0)]);
    plan.eval(&store, NOW + 60_000);
    assert_eq!((of(&plan, "a"), of(&plan, "b")), (Some(1.0 + 1.0), Some(0.5)));
    assert_eq!(plan.faults(0).list()[0].labels, labels(&[("host", "b")]));
    // No step is due: as before.
    plan.eval(&store, NOW + 90_000);
    assert_eq!((of(&plan, "b"), plan.faults(0).groups()), (Some(0.5), 1));
    plan.eval(&store, NOW + 120_000);
    assert_eq!((of(&plan, "a"), of(&plan, "b")), (Some(2.0), None));
    assert_eq!(plan.faults(0).groups(), 1);
    // It ends; a plan that has kept nothing sees all steps anew and says the same.
    let end = (130, f64::from_bits(STALE_NAN_BITS));
    append(&mut store, &[("__name__", "load"), ("host", "b"), ("pod", "old")], &[end]);
    plan.eval(&store, NOW + 180_000);
    assert_eq!((of(&plan, "b"), plan.faults(0).groups()), (Some(0.5), 0));
    let mut fresh = Plan::bind_lenient(&[Expr::parse(text).expect("good")], &mut store);
    fresh.eval(&store, NOW + 180_000);
    assert_eq!((answer(&fresh, 0), fresh.faults(0).groups()), (answer(&plan, 0), 1));
}

/// Label sets that meet over the steps of a subquery, but never at one instant, are no conflict
/// where groups are left out: what is kept of a host must not depend on which steps are evaluated
/// together.
#[test]
fn a_series_that_takes_over_from_another_is_no_conflict() {
    let text = r#"count_over_time((-{__name__=~"x|y"})[2m:1m])"#;
    let bound = |bind: fn(&[Expr], &mut Store) -> Plan| {
        let (mut store, mut plan) = evaluated(bind, &[text], false);
        let stale = f64::from_bits(STALE_NAN_BITS);
        append(&mut store, &[("__name__", "x"), ("host", "b")], &[(-60, 1.0), (-30, stale)]);
        append(&mut store, &[("__name__", "y"), ("host", "b")], &[(-20, 1.0)]);
        plan.eval(&store, NOW);
        plan
    };
    let strict = answer(&bound(Plan::bind), 0).expect_err("as Prometheus");
    assert_eq!(strict, EvalError::SameLabelset(labels(&[("host", "b")])));
    let lenient = bound(Plan::bind_lenient);
    assert_eq!(answer(&lenient, 0), Ok(vec![(labels(&[("host", "b")]), 2.0f64.to_bits())]));
    assert!(lenient.faults(0).is_empty());
}

#[test]
fn what_is_no_conflict_fails_as_a_whole() {
    let texts = ["topk(scalar(vector(NaN)), cores)", "topk(NaN, load / on (host) cores)"];
    let (_, plan) = evaluated(Plan::bind_lenient, &texts, true);
    for i in [0, 1] {
        let error = answer(&plan, i).expect_err("not a number of elements");
        assert!(matches!(error, EvalError::NotACount(_)), "{error}");
    }
}
