//! The volume that the bench `quality` prints, against Python (`tests/reference/judge.py`).

#[path = "../benches/quality/volume.rs"]
mod bench;

use bench::{vus_pr, widest};
use portent::episodes::Timeline;
use serde_json::Value;

const REFERENCE: &str = include_str!("../reference/judge.json");

/// What two implementations may differ by: sums in another order.
const TOLERANCE: f64 = 1e-9;

fn numbers(it: &Value) -> Vec<f64> {
    let words = it.as_str().expect("numbers").split(' ');
    words.map(|word| word.parse().expect("a number")).collect()
}

#[test]
fn the_volume_is_that_of_the_reference() {
    let all: Value = serde_json::from_str(REFERENCE).expect("JSON");
    let (mut compared, mut undefined) = (0, 0);
    for case in all.as_array().expect("cases") {
        let setting = |key: &str| case["settings"][key].as_i64().expect("a setting");
        let (scores, step_ms) = (numbers(&case["scores"]), setting("step_ms"));
        let labels: Vec<bool> =
            case["labels"].as_str().expect("labels").bytes().map(|it| it == b'1').collect();
        let times_ms: Vec<i64> = (0..scores.len() as i64).map(|step| step * step_ms).collect();
        let line = Timeline::new(&times_ms, step_ms);
        let found = vus_pr(line, &scores, &labels, setting("vus_window") as usize);
        match (found, case["expected"]["vus_pr"].as_f64()) {
            (Some(found), Some(expected)) => {
                let distance = (found - expected).abs();
                assert!(distance <= TOLERANCE, "{}: {found}, {expected}", case["name"]);
                compared += 1;
            }
            (found, expected) => {
                assert_eq!(found, expected, "{}", case["name"]);
                undefined += 1;
            }
        }
    }
    assert_eq!((compared, undefined), (13, 2));
}

#[test]
fn a_window_may_be_wider_than_the_data() {
    let times_ms: Vec<i64> = (0..40).map(|step| step * 60_000).collect();
    let labels: Vec<bool> = (0..40).map(|step| (10..15).contains(&step)).collect();
    let scores: Vec<f64> = labels.iter().map(|it| f64::from(u8::from(*it))).collect();
    let found = vus_pr(Timeline::new(&times_ms, 60_000), &scores, &labels, 400);
    assert!(found.is_some_and(|it| (0.0..=1.0).contains(&it)), "{found:?}");
}

/// A day at ten samples a second, with noise and an event each hour: seconds, and nearly the figure of every
/// tenth sample.
#[test]
fn a_day_of_many_samples_takes_seconds() {
    let volume = |step_ms: i64| {
        let times_ms: Vec<i64> = (0..86_400_000 / step_ms).map(|step| step * step_ms).collect();
        let labels: Vec<bool> = times_ms.iter().map(|it| it % 3_600_000 < 300_000).collect();
        let noise = |time_ms: i64| (time_ms as f64 * 0.618_034e-3).sin().abs();
        let rise = |time_ms: i64| f64::from(u8::from((time_ms + 120_000) % 3_600_000 < 300_000));
        let scores: Vec<f64> = times_ms.iter().map(|it| noise(*it) + 0.5 * rise(*it)).collect();
        let line = Timeline::new(&times_ms, step_ms);
        vus_pr(line, &scores, &labels, widest(step_ms)).expect("labels of both kinds")
    };
    let before = std::time::Instant::now();
    let found = volume(100);
    // It was minutes with every window.
    assert!(before.elapsed().as_secs() < 60, "{:?}", before.elapsed());
    let expected = volume(15_000);
    assert!((found - expected).abs() < 0.02, "{found} instead of {expected}");
}

#[test]
fn windows_are_the_same_minutes_for_every_step() {
    let found = [15_000, 60_000, 300_000, 3_600_000, i64::MAX].map(widest);
    assert_eq!(found, [400, 100, 20, 1, 1]);
}
