//! Against the figures of `tests/reference/judge.py`, and on inputs that cannot be judged.

use serde_json::Value;

use super::*;

const REFERENCE: &str = include_str!("../../tests/reference/judge.json");

/// What two implementations may differ by: sums in another order.
const TOLERANCE: f64 = 1e-9;

struct Case {
    times_ms: Vec<i64>,
    scores: Vec<f64>,
    labels: Vec<bool>,
    thresholds: Vec<f64>,
    settings: Settings,
    expected: Value,
}

impl Case {
    fn judged(&self) -> Judgement {
        judge(&self.times_ms, &self.scores, &self.labels, &self.thresholds, &self.settings)
            .expect("judged")
    }
}

fn numbers(it: &Value) -> Vec<f64> {
    let words = it.as_str().expect("numbers").split(' ');
    words.map(|word| word.parse().expect("a number")).collect()
}

fn reference(name: &str) -> Case {
    let all: Value = serde_json::from_str(REFERENCE).expect("JSON");
    let cases = all.as_array().expect("cases");
    let it = cases.iter().find(|it| it["name"] == name).expect("a case of this name");
    let setting = |key: &str| it["settings"][key].as_u64().expect("a setting") as usize;
    let step_ms = setting("step_ms") as i64;
    let scores = numbers(&it["scores"]);
    Case {
        times_ms: (0..scores.len() as i64).map(|step| step * step_ms).collect(),
        scores,
        labels: it["labels"].as_str().expect("labels").bytes().map(|it| it == b'1').collect(),
        thresholds: numbers(&it["thresholds"]),
        settings: Settings {
            step_ms,
            for_steps: setting("for_steps"),
            // The reference counts in steps.
            reach_ms: setting("merge_gap") as i64 * step_ms,
            tolerance: setting("tolerance"),
        },
        expected: it["expected"].clone(),
    }
}

/// Compares one figure; null, or none at all, is an absent one.
#[track_caller]
fn same(name: &str, found: &Value, expected: &Value) {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => {
            let distance = (found - expected).abs();
            assert!(distance <= TOLERANCE, "{name}: {found} instead of {expected}");
        }
        (found, expected) => assert_eq!(found, expected, "{name}"),
    }
}

/// Compares every figure of a case, as they are serialized, so that names are compared too.
#[track_caller]
fn check(name: &str) {
    let case = reference(name);
    let found = serde_json::to_value(case.judged()).expect("JSON");
    let expected = &case.expected;
    for (ours, theirs) in [
        ("samples", "samples"),
        ("missing_scores", "nan_scores"),
        ("days", "days"),
        ("anomalous_share", "anomaly_ratio"),
    ] {
        same(ours, &found[ours], &expected[theirs]);
    }
    for key in ["auc_pr", "auc_roc", "best_f1"] {
        same(key, &found["ranking"][key], &expected[key]);
    }
    let budgets = &expected["event_recall_at_fa_per_day"];
    for (i, budget) in ["0.143", "0.5", "1", "2", "5"].into_iter().enumerate() {
        let found = &found["ranking"]["event_recall_at_fa_per_day"][i]["event_recall"];
        same(budget, found, &budgets[budget]);
    }
    let at_threshold = expected["at_threshold"].as_object().expect("figures");
    let known = found["at_threshold"].as_object().expect("figures");
    let mut compared = 0;
    for (ours, figure) in known.iter().filter(|(ours, _)| *ours != "threshold_range") {
        let theirs = match ours.as_str() {
            "delay_mean_seconds" => "delay_s_mean",
            "delay_median_seconds" => "delay_s_median",
            "delay_max_seconds" => "delay_s_max",
            other => other,
        };
        same(ours, figure, at_threshold.get(theirs).unwrap_or(&Value::String(theirs.to_owned())));
        assert!(at_threshold.contains_key(theirs), "{theirs} is not in the reference");
        compared += 1;
    }
    assert_eq!(compared, 15, "figures at the threshold");
}

#[test]
fn figures_are_those_of_the_reference() {
    check("plain");
    check("ties");
    check("borders");
    check("one event");
    check("many events");
    check("two samples");
}

#[test]
fn figures_with_missing_scores_are_those_of_the_reference() {
    check("missing");
    check("no score");
    assert_eq!(reference("missing").judged().missing_scores, 11);
}

#[test]
fn figures_of_other_rules_are_those_of_the_reference() {
    check("moving threshold");
    check("slow rule");
    check("tolerance");
    check("late alarms");
}

#[test]
fn what_is_not_defined_is_absent() {
    check("never above");
    check("no event");
    check("all anomalous");
    assert_eq!(reference("no event").judged().ranking, None);
    assert_eq!(reference("all anomalous").judged().ranking, None);
    assert_eq!(reference("never above").judged().at_threshold.alarm_precision, None);
}

#[test]
fn one_threshold_is_that_of_every_sample() {
    let mut case = reference("plain");
    let one = case.judged();
    assert_eq!(one.at_threshold.threshold_range, Some([1.0, 1.0]));
    case.thresholds = vec![1.0; case.scores.len()];
    assert_eq!(case.judged(), one);
    case.thresholds = vec![f64::NAN];
    let none = case.judged().at_threshold;
    assert_eq!((none.alarm_episodes, none.threshold_range), (0, None));
}

#[test]
fn the_largest_settings_are_no_danger() {
    let mut case = reference("plain");
    let rule = Settings { reach_ms: i64::MAX, tolerance: usize::MAX, ..case.settings };
    case.settings = rule;
    let seen = case.judged().at_threshold;
    assert_eq!((seen.alarm_episodes, seen.false_alarms), (1, 0));
    case.settings = Settings { for_steps: usize::MAX, ..rule };
    assert_eq!(case.judged().at_threshold.alarm_episodes, 0);
    case.settings = Settings { for_steps: 0, ..rule };
    assert_eq!(case.judged().at_threshold, seen);
    case.scores[60] = f64::MAX;
    case.scores[61] = f64::MIN;
    assert!(case.judged().ranking.is_some());
}

#[track_caller]
fn check_settings(step_ms: i64, reach_ms: i64) {
    let expected = Settings { step_ms, for_steps: 1, reach_ms, tolerance: 0 };
    assert_eq!(Settings::for_step(step_ms), expected);
}

#[test]
fn settings_are_the_same_minutes_for_every_step() {
    check_settings(15_000, 600_000);
    check_settings(60_000, 600_000);
    check_settings(300_000, 600_000);
    check_settings(3_600_000, 7_200_000);
    check_settings(i64::MAX, i64::MAX);
    check_settings(0, 600_000);
}

#[track_caller]
fn check_error(lengths: [usize; 3], step_ms: i64, expected: &str) {
    let [scores, labels, thresholds] = lengths;
    let times_ms: Vec<i64> = (0..scores as i64).collect();
    let settings = Settings { step_ms, ..Settings::for_step(60_000) };
    let found = judge(
        &times_ms,
        &vec![0.5; scores],
        &vec![true; labels],
        &vec![0.5; thresholds],
        &settings,
    );
    assert_eq!(found.expect_err("a refusal").to_string(), expected);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    check_error([3, 2, 3], 1, "3 scores but 2 labels; give one label for each score");
    check_error(
        [3, 3, 2],
        1,
        "3 scores but 2 thresholds; give one for all scores, or one for each",
    );
    check_error(
        [3, 3, 0],
        1,
        "3 scores but 0 thresholds; give one for all scores, or one for each",
    );
    check_error(
        [0, 0, 0],
        1,
        "there are no samples to judge; give a range of time with scores and labels",
    );
    check_error(
        [3, 3, 3],
        0,
        "a step of 0 ms is not possible; give the distance between two scores in milliseconds",
    );
}

#[test]
fn times_that_are_none_are_refused() {
    let settings = Settings::for_step(60_000);
    let judged = |times_ms: &[i64]| {
        judge(times_ms, &[0.5; 2], &[true; 2], &[1.0], &settings).expect_err("a refusal")
    };
    assert_eq!(judged(&[0]), JudgeError::Times { scores: 2, times: 1 });
    assert_eq!(judged(&[0, 0]), JudgeError::Order);
    assert_eq!(judged(&[1, 0]), JudgeError::Order);
}

const DAY_MS: i64 = 86_400_000;

/// Minutes of three hours, and then of three more, `pause_days` later.
fn two_parts(pause_days: i64) -> Vec<i64> {
    let minute = |i: i64| i * 60_000 + if i < 180 { 0 } else { pause_days * DAY_MS };
    (0..360).map(minute).collect()
}

#[test]
fn days_without_data_are_no_bridge() {
    let found = |pause_days: i64| {
        let labels: Vec<bool> = (0..360).map(|i| (170..190).contains(&i)).collect();
        let scores: Vec<f64> = labels.iter().map(|it| f64::from(u8::from(*it))).collect();
        let settings = Settings::for_step(60_000);
        let times_ms = two_parts(pause_days);
        let found = judge(&times_ms, &scores, &labels, &[0.5], &settings).expect("judged");
        (found.at_threshold.events, found.at_threshold.alarm_episodes)
    };
    assert_eq!(found(0), (1, 1));
    assert_eq!(found(3), (2, 2));
}

#[test]
fn the_table_says_it_in_words() {
    let table = reference("plain").judged().to_string();
    let expected = "\
time           0.3 days, 400 samples, 0 without a score
events         3, in 13.50 % of the samples
threshold      1.000000
detection rate 100.00 %, 3 of 3 events
time to detect mean 20s, median 0s, longest 1m
alarms         10, 30.00 % of them touch an event
false alarms   7, 25.20 a day
normal time    10.69 % in alarm, 4.05 % above the threshold (false positive rate)
by sample      precision 0.736, recall 0.722, F1 0.729
any threshold  average precision 0.815, ROC AUC 0.945, best F1 0.743
best threshold share of events by false alarms a day: 0.14: 66.67 %, 0.50: 66.67 %, 1.00: 66.67 %, 2.00: 66.67 %, 5.00: 66.67 %
best constant  100.00 % of the events with no more false alarms than above
";
    assert_eq!(table, expected);
    let bare = reference("no event").judged().to_string();
    assert!(bare.contains("time to detect mean none, median none, longest none\n"), "{bare}");
    assert!(!bare.contains("any threshold"), "{bare}");
}
