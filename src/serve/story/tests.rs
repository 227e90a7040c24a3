use std::sync::Arc;

use super::*;
use crate::detect::{
    AbsentEntity, AnomalyState, EntityScore, Evaluation, FeatureScore, UnscoredEntity,
};
use crate::features::Provenance;

const STEP: i64 = 15_000;

/// What an entity is at a step.
#[derive(Clone, Copy)]
enum Is {
    Score(f64),
    Warming,
    Stale,
    Incomplete,
    /// Not in the snapshot.
    Gone,
    /// Not in the snapshot but among those that had a score.
    Absent,
}

fn labels(instance: &str) -> Labels {
    Labels::from_pairs([("instance", instance)]).expect("one name")
}

fn score(instance: &str, score: f64) -> EntityScore {
    let part = |feature, contribution| FeatureScore {
        feature,
        contribution,
        actual: 1.0,
        expected: 0.5,
        provenance: Provenance::Own,
    };
    EntityScore {
        entity: labels(instance),
        score,
        threshold: 1.0,
        state: AnomalyState::Normal,
        error: score,
        features: vec![part(1, 0.61), part(0, 0.3), part(2, 0.05), part(3, 0.04)],
        newest_ms: 0,
    }
}

fn snapshot(now_ms: i64, entities: &[(String, Is)]) -> Snapshot {
    let mut evaluation = Evaluation { warm_up_ms: 765_000, ..Evaluation::default() };
    let mut scores = Vec::new();
    for (name, is) in entities {
        let reason = match is {
            Is::Score(value) => {
                scores.push(score(name, *value));
                continue;
            }
            Is::Warming => Unscored::Warming,
            Is::Stale => Unscored::Stale,
            Is::Incomplete => Unscored::Incomplete { features: vec![0, 2] },
            Is::Absent => {
                let absent = AbsentEntity { entity: labels(name), scored_ms: 0 };
                evaluation.absences.entities.push(absent);
                continue;
            }
            Is::Gone => continue,
        };
        evaluation.unscored.push(UnscoredEntity { entity: labels(name), reason });
    }
    evaluation.absences.entities.sort_by(|a, b| a.entity.cmp(&b.entity));
    scores.sort_by(|a, b| a.entity.cmp(&b.entity));
    let model = ModelSnapshot {
        model: "m".to_owned(),
        time_ms: now_ms,
        interval_ms: STEP,
        threshold: 1.0,
        feature_names: ["load1", "cpu_busy", "disk", "net"].map(str::to_owned).into(),
        feature_selectors: Default::default(),
        explain_above: 0.8,
        entities: scores,
        evaluation,
    };
    Snapshot { time_ms: now_ms, models: vec![Arc::new(model)], ..Snapshot::default() }
}

/// The lines of a fleet that all is the same, at steps that are so many seconds after the beginning.
fn play(fleet: usize, life: &[(Is, usize)]) -> Vec<(i64, String)> {
    let mut story = Story::default();
    let steps = life.iter().flat_map(|(is, steps)| std::iter::repeat_n(*is, *steps));
    let mut lines = Vec::new();
    for (i, is) in steps.enumerate() {
        let entities: Vec<_> = (0..fleet).map(|i| (format!("web-{i}"), is)).collect();
        let now_ms = (i as i64 + 1) * STEP;
        let of_step = story.follow(&snapshot(now_ms, &entities));
        lines.extend(of_step.iter().map(|line| ((now_ms - STEP) / 1_000, line.text())));
    }
    lines
}

#[track_caller]
fn check(fleet: usize, life: &[(Is, usize)], expected: &[(i64, &str)]) {
    let lines = play(fleet, life);
    let lines: Vec<(i64, &str)> = lines.iter().map(|(at, text)| (*at, text.as_str())).collect();
    assert_eq!(lines, expected);
}

#[test]
fn the_life_of_a_host() {
    check(
        1,
        &[
            (Is::Warming, 50),
            (Is::Score(0.4), 20),
            (Is::Score(3.2), 10),
            (Is::Score(0.5), 20),
            (Is::Stale, 10),
            (Is::Score(0.4), 10),
            (Is::Incomplete, 10),
            (Is::Score(0.4), 10),
        ],
        &[
            (15, "an entity appears and warms up, its first score within 13m: web-0"),
            (765, "an entity has warmed up and has a score: web-0"),
            (
                1_050,
                "a score is above its threshold: web-0 (3.20 of 1.00, cpu_busy 61%, load1 30%, disk 5%)",
            ),
            (1_335, "a score is no longer above its threshold: web-0 (0.50 of 1.00)"),
            (
                1_575,
                "an entity is stale and has no score, its samples have ended or are late: web-0",
            ),
            (1_665, "an entity has fresh samples again: web-0"),
            (1_875, "an entity is incomplete and has no score: web-0 (without load1, disk)"),
            (1_965, "an entity is complete again: web-0"),
        ],
    );
}

/// Its first sample may be old when it comes.
#[test]
fn what_begins_late_begins_all_the_same() {
    check(
        1,
        &[(Is::Stale, 2), (Is::Warming, 4), (Is::Score(0.4), 3)],
        &[
            (45, "an entity appears and warms up, its first score within 13m: web-0"),
            (105, "an entity has warmed up and has a score: web-0"),
        ],
    );
    check(
        1,
        &[(Is::Stale, 6), (Is::Warming, 4), (Is::Score(0.4), 3)],
        &[
            (75, "an entity is stale and has no score, its samples have ended or are late: web-0"),
            (105, "an entity has fresh samples again: web-0"),
            (165, "an entity has warmed up and has a score: web-0"),
        ],
    );
}

#[test]
fn a_fleet_that_begins_is_one_line() {
    check(
        500,
        &[(Is::Warming, 4)],
        &[(
            15,
            "500 entities appear and warm up, first scores within 13m: web-0, web-1, web-2 and 497 more",
        )],
    );
}

/// The scrapes of a fleet are spread over a minute, and so are its first samples.
#[test]
fn a_fleet_that_comes_bit_by_bit_is_a_few_lines() {
    let mut story = Story::default();
    let mut counts = Vec::new();
    for step in 1..=20_i64 {
        let here = (125 * step as usize).min(500);
        let entities: Vec<_> = (0..here).map(|i| (format!("web-{i}"), Is::Warming)).collect();
        let lines = story.follow(&snapshot(step * STEP, &entities));
        counts.extend(lines.iter().map(|line| line.count));
    }
    assert_eq!(counts, [500]);
}

#[test]
fn what_has_a_score_at_once_is_here() {
    check(2, &[(Is::Score(0.1), 3)], &[(15, "2 entities appear and have scores: web-0, web-1")]);
    check(
        1,
        &[(Is::Score(12.34), 3)],
        &[
            (0, "an entity appears and has a score: web-0"),
            (
                0,
                "a score is above its threshold: web-0 (12.3 of 1.00, cpu_busy 61%, load1 30%, disk 5%)",
            ),
        ],
    );
}

/// However often it swings, and however many do.
#[test]
fn what_swings_is_told_once() {
    for (a, b) in [
        (Is::Score(0.9), Is::Score(1.1)),
        (Is::Score(0.4), Is::Stale),
        (Is::Score(0.4), Is::Incomplete),
        (Is::Warming, Is::Stale),
        (Is::Score(0.4), Is::Gone),
    ] {
        let life: Vec<(Is, usize)> = [(a, 1), (b, 1)].repeat(500);
        let lines = play(1_000, &life);
        assert!(lines.len() <= 2, "{lines:?}");
    }
}

/// The worst that entities can do: each thing as soon as it may be told again, each at another time.
#[test]
fn lines_are_few_whatever_happens() {
    let mut story = Story::default();
    let (steps, mut lines) = (400_i64, 0);
    for step in 1..=steps {
        let of = |i: i64| match (step + i) / 9 % 4 {
            0 => Is::Score(2.0),
            1 => Is::Stale,
            2 => Is::Score(0.5),
            _ => Is::Incomplete,
        };
        let entities: Vec<_> = (0..200).map(|i| (format!("web-{i}"), of(i))).collect();
        lines += story.follow(&snapshot(step * STEP, &entities)).len() as i64;
    }
    let minutes = steps * STEP / 60_000;
    assert!(lines <= 9 * minutes, "{lines} in {minutes} min");
}

#[test]
fn who_is_gone_is_stale_and_forgotten() {
    let mut story = Story::default();
    let mut texts = Vec::new();
    let life = [(Is::Score(0.4), 3), (Is::Absent, 10), (Is::Gone, 2), (Is::Score(0.4), 2)];
    let steps = life.iter().flat_map(|(is, steps)| std::iter::repeat_n(*is, *steps));
    for (i, is) in steps.enumerate() {
        let snapshot = snapshot((i as i64 + 1) * STEP, &[("a".to_owned(), is)]);
        texts.extend(story.follow(&snapshot).iter().map(|line| line.kind));
        let known = story.models["m"].entities.len();
        assert_eq!(known, usize::from(!matches!(is, Is::Gone)), "step {i}");
    }
    assert_eq!(texts, [EntityEvent::Present, EntityEvent::Stale, EntityEvent::Present]);
}

#[test]
fn nothing_is_told_of_an_evaluation_that_failed() {
    let mut story = Story::default();
    let good = |now_ms| snapshot(now_ms, &[("a".to_owned(), Is::Score(0.4))]);
    assert!(story.follow(&good(STEP)).is_empty());
    assert_eq!(story.follow(&good(2 * STEP)).len(), 1);
    for step in 3..20 {
        let mut failed = snapshot(step * STEP, &[("a".to_owned(), Is::Warming)]);
        let model = Arc::make_mut(&mut failed.models[0]);
        model.evaluation.model_error = Some("no memory".to_owned());
        assert!(story.follow(&failed).is_empty());
    }
    assert!(story.follow(&good(20 * STEP)).is_empty());
    // A model that was not due says nothing new, and one that is gone is forgotten.
    assert!(story.follow(&good(20 * STEP)).is_empty());
    assert!(story.follow(&Snapshot::default()).is_empty() && story.models.is_empty());
}

#[test]
fn a_score_that_lasts_says_so() {
    let names = ["load1".to_owned(), "cpu_busy".to_owned()];
    let lasting = EntityScore { threshold: 4.0, state: AnomalyState::Lasting, ..score("a", 3.0) };
    assert_eq!(line::score(&lasting, &names), "3.00 of 4.00, as it has been for hours");
    let mut foreign = score("a", 3.0);
    foreign.features.iter_mut().for_each(|it| it.contribution *= 9.0);
    assert_eq!(line::score(&foreign, &names), "3.00 of 1.00, cpu_busy, load1");
}

#[test]
fn entities_are_named_by_their_values() {
    let entity = Labels::from_pairs([("job", "node"), ("instance", "a:9100")]).expect("distinct");
    assert_eq!(line::item(EntityEvent::Stale, &entity, &String::new), "a:9100/node");
    let long = labels(&"x".repeat(10_000));
    assert!(line::item(EntityEvent::Stale, &long, &String::new).len() < 300);
}
