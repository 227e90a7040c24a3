use super::super::data::tests::recording;
use super::*;
use crate::detect::DetectConfig;

const DAY: usize = 1_440;

/// Features that move at every step but where `stands` says so, one of which moves at every third; one that
/// hardly ever moves, and one that never does.
fn rows(steps: usize, stands: impl Fn(usize) -> bool) -> Vec<Vec<f32>> {
    let mut at = 0;
    let row = |step| {
        at += usize::from(!stands(step));
        let x = at as f32;
        vec![x, -x, (at / 3) as f32, 0.5 * x, 2.0 * x, (step / 100) as f32, 1.0]
    };
    (0..steps).map(row).collect()
}

fn names(width: usize) -> Vec<FeatureSpec> {
    (0..width).map(|i| FeatureSpec::new(format!("f{i}"), "x")).collect()
}

fn dataset(entities: &[&[Vec<f32>]]) -> Dataset {
    let features = names(entities[0][0].len());
    Dataset::clean(recording(entities), &features, &[], &DetectConfig::default()).expect("rows")
}

fn learnt(dataset: &Dataset) -> Still {
    let features = names(dataset.entities[0].values.ncols());
    learn(dataset, &features, &["f6".to_owned()])
}

#[test]
fn what_moves_at_most_steps_takes_part_and_the_longest_of_anyone_is_usual() {
    let restless = rows(2 * DAY, |_| false);
    let nightly = rows(2 * DAY, |step| step % DAY < 90);
    let found = learnt(&dataset(&[&restless, &nightly]));
    let spec = found.spec.expect("four features move");
    // The third stands still at two steps of three.
    assert_eq!(spec.features, ["f0", "f1", "f3", "f4"]);
    // At the first step nobody knows whether it has moved.
    assert_eq!((spec.usual, found.own), (90, vec![Some(0), Some(90)]));
}

#[test]
fn an_entity_says_what_is_usual_after_a_day() {
    let stands = |step: usize| (100..140).contains(&step);
    let long = rows(DAY, stands);
    let mut short = rows(DAY, stands);
    short[DAY / 2..].iter_mut().for_each(|row| row.fill(f32::NAN));
    let found = learnt(&dataset(&[&long, &short]));
    assert_eq!(found.own, [Some(40), None]);
    assert_eq!(found.spec.expect("features that move").usual, 40);
    // And a model of nobody else can do without a step of its own.
    assert_eq!(learnt(&dataset(&[&short])), Still::default());
}

#[test]
fn what_was_left_out_is_not_usual_and_a_twentieth_of_all_blocks_neither() {
    let stands = |step: usize| (100..400).contains(&step) || step % DAY >= DAY - 20;
    let rows = rows(10 * DAY, stands);
    let mut dataset = dataset(&[&rows]);
    // Forty blocks: two may stand still for longer, and these are the two that the long one touches.
    assert_eq!(learnt(&dataset).own, [Some(20)]);
    let whole = |step: usize| (100..1_600).contains(&step) || step % DAY >= DAY - 20;
    let long = self::rows(10 * DAY, whole);
    let mut long = self::dataset(&[&long]);
    // Five blocks are three too many: the third of them ends with step 1,079.
    assert_eq!(learnt(&long).own, [Some(980)]);
    long.entities[0].left_out = (0..10 * DAY).map(|step| (100..1_600).contains(&step)).collect();
    assert_eq!(learnt(&long).own, [Some(20)]);
    // Steps that are no use are not there at all: a step after them is the next one.
    (90..410).for_each(|step| dataset.entities[0].usable[step] = false);
    assert_eq!(learnt(&dataset).own, [Some(20)]);
}

#[test]
fn with_too_few_features_that_move_nothing_is_told() {
    let two: Vec<Vec<f32>> =
        rows(DAY, |_| false).into_iter().map(|row| vec![row[0], row[1], row[5], row[6]]).collect();
    assert_eq!(learnt(&dataset(&[&two])), Still::default());
}

#[test]
fn a_twentieth_of_the_blocks_may_be_longer() {
    assert_eq!(usual(vec![]), None);
    assert_eq!(usual((0..19).collect()), Some(18));
    assert_eq!(usual((0..20).collect()), Some(18));
    assert_eq!(usual((0..40).collect()), Some(37));
}
