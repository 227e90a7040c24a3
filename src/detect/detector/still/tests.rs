use proptest::prelude::*;

use super::*;
use crate::duration::Duration;
use crate::features::{FeatureSpec, Missing, Observed, Playback};
use crate::labels::Labels;

const STEP: i64 = 300_000;
const NAN: f32 = f32::NAN;
/// Five features that take part, and one that does not.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "other"];

fn specs() -> Vec<FeatureSpec> {
    let hold = |name: &&str| FeatureSpec::new(*name, *name).or(Missing::Hold);
    NAMES.iter().map(hold).collect()
}

fn metadata(usual: u32) -> Metadata {
    let features = NAMES[..5].iter().map(|it| (*it).to_owned()).collect();
    let entity = vec!["instance".to_owned()];
    Metadata {
        still: Some(StillSpec { features, usual }),
        ..Metadata::new(specs(), entity, Duration::from_ms(STEP))
    }
}

/// One entity, step after step.
struct Host {
    still: Stillness,
    playback: Playback,
    now_ms: i64,
}

impl Host {
    fn new(usual: u32, remembered: &[Option<u32>], place: usize) -> Self {
        let mut still = Stillness::new(&metadata(usual), STEP, remembered).expect("the file tells");
        still.resize(1);
        still.reset(0, place);
        let playback = Playback::of_columns(&specs(), &[Labels::empty()], true, &[false; 6], &[]);
        Self { still, playback, now_ms: 0 }
    }

    fn step(&mut self, row: &[f32; 6]) {
        self.now_ms += STEP;
        let now_ms = self.now_ms;
        let matrix = self.playback.step(now_ms, 10 * STEP, |_| Some(Observed::row(row, now_ms)));
        self.still.follow(matrix);
    }

    /// What becomes of a score.
    fn told(&self, score: f64, threshold: f64) -> EntityScore {
        let feature = |(feature, contribution)| crate::detect::FeatureScore {
            feature,
            contribution,
            actual: 1.0,
            expected: 1.0,
            provenance: Provenance::Own,
        };
        let mut score = EntityScore {
            entity: Labels::empty(),
            score,
            threshold,
            state: AnomalyState::Normal,
            error: 7.0,
            features: [(5, 0.5), (1, 0.3), (0, 0.2), (2, 0.0), (3, 0.0), (4, 0.0)]
                .map(feature)
                .into(),
            newest_ms: 0,
        };
        self.still.tell(0, &mut score);
        score
    }

    /// The score of an entity without error.
    fn score(&self) -> f64 {
        self.told(0.0, 1.0).score
    }
}

/// Rows that move at every step.
fn moving(step: u8) -> [f32; 6] {
    let step = f32::from(step);
    [step, -step, 2.0 * step, 1.0 / (1.0 + step), step * step, 0.0]
}

fn shares(score: &EntityScore) -> Vec<(u32, f32)> {
    score.contributions().map(|it| (it.feature, it.contribution)).collect()
}

/// A run by its definition, of all that was seen of a feature.
fn naive_run(seen: &[Option<f32>]) -> Option<u32> {
    seen.last()?.as_ref()?;
    let measured: Vec<f32> = seen.iter().flatten().copied().collect();
    let last = measured[measured.len() - 1];
    Some(measured.iter().rev().take_while(|it| **it == last).count() as u32 - 1)
}

/// The steps that all but a fifth of those reach which are there.
fn naive_common(runs: &[Option<u32>]) -> Option<u32> {
    let here: Vec<u32> = runs.iter().flatten().copied().collect();
    let reach = |least: u32| here.iter().filter(|run| **run >= least).count();
    let is_enough = here.len() >= 3 && 2 * here.len() >= runs.len();
    let needed = here.len() - here.len() / 5;
    is_enough
        .then(|| (0..=u32::from(u16::MAX)).take_while(|it| reach(*it) >= needed).count())
        .map(|count| count as u32 - 1)
}

proptest! {
    #[test]
    fn runs_are_those_of_their_definition(
        rows in proptest::collection::vec(proptest::collection::vec(
            proptest::option::weighted(0.9, proptest::sample::select(vec![0.0_f32, 0.0, 0.0, -0.0, 1.0])),
            7,
        ), 1..40),
        features in 0_usize..=7,
    ) {
        let mut runs = Runs::new(features);
        for step in 0..rows.len() {
            runs.push(|feature| rows[step][feature]);
            let seen = |feature: usize| -> Vec<Option<f32>> {
                rows[..=step].iter().map(|row| row[feature]).collect()
            };
            let expected: Vec<Option<u32>> = (0..features).map(|it| naive_run(&seen(it))).collect();
            let found: Vec<Option<u32>> = (0..features).map(|it| runs.run(it)).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(runs.common(), naive_common(&expected));
        }
    }
}

#[test]
fn standing_still_for_thrice_as_long_as_usual_is_a_finding_until_something_moves() {
    let mut host = Host::new(4, &[], 0);
    (1..20).for_each(|step| host.step(&moving(step)));
    let mut frozen = moving(20);
    host.step(&frozen);
    let mut scores = Vec::new();
    for _ in 0..14 {
        // What takes no part does not count either way.
        frozen[5] += 1.0;
        host.step(&frozen);
        scores.push(host.score());
    }
    assert_eq!(scores[..11], [0.0; 11]);
    assert_eq!(scores[11..], [3.0, 3.25, 3.5]);
    let told = host.told(0.5, 1.0);
    assert_eq!((told.score, told.state, told.error), (3.5, AnomalyState::New, 7.0));
    assert_eq!(shares(&told), [(0, 0.2), (1, 0.2), (2, 0.2), (3, 0.2), (4, 0.2)]);
    // One of five may move and has no part in it.
    frozen[1] += 1.0;
    host.step(&frozen);
    assert_eq!(shares(&host.told(0.5, 1.0)), [(0, 0.25), (2, 0.25), (3, 0.25), (4, 0.25)]);
    frozen[2] += 1.0;
    host.step(&frozen);
    let told = host.told(0.5, 1.0);
    assert_eq!((told.score, told.state), (0.5, AnomalyState::Normal));
    assert_eq!(shares(&told), [(5, 0.5), (1, 0.3), (0, 0.2)], "as it was");
}

#[test]
fn the_threshold_in_force_scales_it_and_larger_errors_say_more() {
    let mut host = Host::new(0, &[], 0);
    (0..13).for_each(|_| host.step(&moving(1)));
    // Usual is ten minutes at least, and three steps.
    assert_eq!(host.score(), 4.0);
    assert_eq!(host.told(0.5, 2.5).score, 10.0);
    let told = host.told(10.0, 2.5);
    assert_eq!((told.score, shares(&told).len()), (10.0, 3));
}

#[test]
fn what_is_usual_of_an_entity_is_its_own_where_it_is_remembered() {
    for (place, first) in [(0, 30), (1, 15), (2, 30), (3, 9), (9, 30)] {
        let mut host = Host::new(10, &[Some(5), None, Some(1)], place);
        (0..=first - 1).for_each(|_| host.step(&moving(1)));
        assert_eq!(host.score(), 0.0, "{place}");
        host.step(&moving(1));
        assert_eq!(host.score(), 3.0, "{place}");
    }
}

#[test]
fn what_was_not_measured_neither_stands_nor_moves() {
    let mut host = Host::new(0, &[], 0);
    (0..=8).for_each(|_| host.step(&moving(1)));
    // A failed scrape: values are held, or missing once that is too long ago.
    for _ in 0..20 {
        host.step(&[NAN; 6]);
        assert_eq!(host.score(), 0.0, "nobody knows");
    }
    host.step(&moving(1));
    assert_eq!(host.score(), 3.0, "the ninth step of standing still");
    // Two that are gone do not hide the others; with three gone it is less than half.
    let mut row = moving(1);
    (row[0], row[1]) = (NAN, NAN);
    host.step(&row);
    assert_eq!(shares(&host.told(0.0, 1.0)).len(), 3);
    row[2] = NAN;
    host.step(&row);
    assert_eq!(host.score(), 0.0);
    // What comes back as something else has moved.
    host.step(&moving(2));
    host.step(&moving(2));
    assert_eq!(host.score(), 0.0);
}

#[test]
fn values_are_compared_as_graphs_see_them() {
    let mut runs = Runs::new(3);
    runs.push(|_| Some(1.0));
    runs.push(|_| Some((1.0_f64 + 1e-12) as f32));
    assert_eq!(runs.common(), Some(1));
    runs.push(|_| Some(1.0 + f32::EPSILON));
    assert_eq!(runs.common(), Some(0));
}

#[test]
fn who_begins_anew_has_not_stood_still_and_files_that_do_not_tell_have_no_findings() {
    let mut host = Host::new(0, &[], 0);
    (0..=9).for_each(|_| host.step(&moving(1)));
    assert_eq!(host.score(), 3.0);
    host.still.reset(0, 0);
    host.step(&moving(1));
    assert_eq!(host.score(), 0.0);
    let older = Metadata { still: None, ..metadata(0) };
    assert!(Stillness::new(&older, STEP, &[]).is_none());
}

#[test]
fn memory_is_that_of_what_takes_part() {
    let mut still = Stillness::new(&metadata(0), STEP, &[]).expect("the file tells");
    let none = still.bytes();
    still.resize(1_000);
    // Twelve bytes a feature, and a slot's own.
    assert!(still.bytes() - none <= 1_000 * (5 * 12 + 24 + 8) + 1_024, "{}", still.bytes());
}
