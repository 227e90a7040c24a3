//! Against scipy (`tests/reference/threshold.py`), and on scores whose distribution is known.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::evaluate::{Settings, judge};

const REFERENCE: &str = include_str!("../../../tests/reference/threshold.json");

/// The script's samples.
fn sample(recipe: &str, count: usize) -> Vec<f64> {
    let steps = [
        0.618_033_988_749_894_9,
        0.414_213_562_373_095_15,
        0.732_050_807_568_877_2,
        0.645_751_311_064_590_6,
    ];
    let value = |i: usize| {
        let u = steps.map(|step| (i as f64 * step).fract());
        match recipe {
            "uniform" => u[0],
            "exponential" => -(1.0 - u[0]).ln(),
            "heavy" => (1.0 - u[0]).powf(-0.3),
            "bell" => u.iter().sum(),
            "normal" => (-2.0 * (1.0 - u[0]).ln()).sqrt() * (std::f64::consts::TAU * u[1]).cos(),
            other => panic!("no recipe {other}"),
        }
    };
    (1..=count).map(value).collect()
}

fn sorted(recipe: &str, count: usize) -> Vec<f64> {
    let mut values = sample(recipe, count);
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn reference(what: &str) -> Vec<serde_json::Value> {
    let all: serde_json::Value = serde_json::from_str(REFERENCE).expect("JSON");
    all[what].as_array().expect("cases").clone()
}

fn case(it: &serde_json::Value) -> (&str, usize, impl Fn(&str) -> f64) {
    let count = it["n"].as_u64().expect("a size") as usize;
    let figure = |key: &str| it[key].as_f64().expect("a figure");
    (it["recipe"].as_str().expect("a recipe"), count, figure)
}

#[track_caller]
fn near(what: &str, found: f64, expected: f64, relative: f64) {
    assert!((found - expected).abs() <= relative * expected.abs(), "{what}: {found}, {expected}");
}

pub(super) fn scores(entities: Vec<Vec<f64>>, step_ms: i64) -> TrainingScores {
    let longest = entities.iter().map(Vec::len).max().unwrap_or(0);
    let times_ms = (0..longest as i64).map(|step| step * step_ms).collect();
    TrainingScores { step_ms, times_ms, entities }
}

fn config(method: ThresholdMethod) -> ThresholdConfig {
    ThresholdConfig { method, ..ThresholdConfig::default() }
}

#[test]
fn the_normality_tests_are_scipys() {
    for it in reference("normality") {
        let (recipe, count, figure) = case(&it);
        let name = format!("{recipe} {count}");
        let values = sorted(recipe, count);
        let (w, w_p) = normality::shapiro_wilk(&values).expect("they differ");
        near(&name, w, figure("w"), 1e-6);
        near(&name, w_p, figure("w_p"), 1e-3);
        let (d, d_p) = normality::lilliefors(&values).expect("they differ");
        near(&name, d, figure("d"), 1e-9);
        // The reference drew 4000 samples; Dallal and Wilkinson claim two digits.
        assert!((d_p - figure("d_p").min(0.1)).abs() < 0.012, "{name}: {d_p}");
    }
}

#[test]
fn mean_and_three_sigmas_are_for_normal_scores_alone() {
    let (found, note) = normality::mean_std(&sorted("normal", 1_000));
    let values = sorted("normal", 1_000);
    let mean = values.iter().sum::<f64>() / 1_000.0;
    let sigma = (values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / 999.0).sqrt();
    near(&note, found.expect("normal"), mean + 3.0 * sigma, 1e-12);
    assert!(note.starts_with("neither test rejects"), "{note}");
    let (found, note) = normality::mean_std(&sorted("exponential", 20_000));
    assert_eq!(found, Err(ThresholdError::NotNormal));
    assert!(note.starts_with("both tests reject"), "{note}");
    assert!(note.contains("p below 1e-6; Kolmogorov"), "{note}");
    assert!(note.ends_with("5000 of 20000 scores"), "{note}");
    let (found, note) = normality::mean_std(&[0.5; 100]);
    assert_eq!((found, note.as_str()), (Err(ThresholdError::NotNormal), "all scores are the same"));
    assert!(matches!(normality::mean_std(&[0.5; 19]).0, Err(ThresholdError::TooFew { .. })));
}

#[test]
fn candidates_stand_side_by_side() {
    let scores = scores(vec![sample("exponential", 20_000)], 60_000);
    let found = find(&scores, &config(ThresholdMethod::Budget)).expect("a threshold");
    let methods: Vec<_> = found.candidates.iter().map(|it| it.method.as_str()).collect();
    let expected = [
        "base 1.5",
        "percentile 95",
        "percentile 99",
        "percentile 99.5",
        "percentile 99.9",
        "mean_std 3",
        "budget 1 per week",
    ];
    assert_eq!(methods, expected);
    assert_eq!((found.chosen, found.method.as_str()), (6, "budget 1 per week"));
    let percentile = &found.candidates[2];
    near("percentile 99", percentile.above, 0.01, 0.01);
    near("percentile 99", percentile.threshold.clone().expect("one"), 100_f64.ln(), 0.01);
    assert!(found.candidates[5].threshold.is_err() && found.candidates[5].above.is_nan());
    // Another percentile joins them.
    let other = ThresholdConfig { percentile: 97.0, ..config(ThresholdMethod::Percentile) };
    let found = find(&scores, &other).expect("a threshold");
    assert_eq!((found.chosen, found.method.as_str()), (5, "percentile 97"));
}

#[test]
fn what_does_not_fit_gives_way() {
    #[track_caller]
    fn check(recipe: &str, count: usize, method: ThresholdMethod, expected: &str) {
        let scores = scores(vec![sample(recipe, count)], 60_000);
        let found = find(&scores, &config(method)).expect("a threshold");
        assert_eq!(found.method, expected);
        assert_eq!(found.candidates[found.chosen].threshold, Ok(found.threshold));
    }
    use ThresholdMethod::{Base, MeanStd};
    check("normal", 1_000, MeanStd, "mean_std 3");
    check("exponential", 20_000, MeanStd, "base 1.5, as mean_std 3 does not fit");
    check("exponential", 180, MeanStd, "budget 1 per week, as mean_std 3 does not fit");
    check("exponential", 181, Base, "base 1.5");
    check("exponential", 180, Base, "budget 1 per week, as base 1.5 does not fit");
}

/// Half of all blocks are calm: whatever the others hold, the threshold is theirs.
#[test]
fn a_base_is_half_as_much_again_as_the_usual_peak() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let quiet = exponential(&mut rng, 14_400);
    let base = |entity: &[f64]| {
        find(&scores(vec![entity.to_vec()], 60_000), &ThresholdConfig::default()).expect("one")
    };
    let found = base(&quiet);
    // The largest of 360 exponential scores is mostly ln 360 - ln ln 2.
    near(&found.method, found.threshold, 1.5 * (360_f64.ln() - 2_f64.ln().ln()), 0.05);
    let note = &found.candidates[found.chosen].note;
    assert!(note.ends_with("the median of 40"), "{note}");
    let mut incidents = quiet.clone();
    for incident in 0..10 {
        incidents[1_440 * incident..][..90].fill(60.0);
    }
    let ratio = base(&incidents).threshold / found.threshold;
    assert!((1.0..1.2).contains(&ratio), "{ratio}");
}

#[test]
fn what_gives_no_threshold_says_why() {
    #[track_caller]
    fn check(entities: Vec<Vec<f64>>, method: ThresholdMethod, expected: &str) {
        let count = entities.iter().flatten().filter(|it| !it.is_nan()).count();
        let error = find(&scores(entities, 15_000), &config(method)).expect_err("none");
        assert!(error.to_string().contains(expected), "{error}");
        // Their number alone tells it as well, or that it may be enough.
        let by_number = is_enough(count, &config(method)).map_err(|error| error.to_string());
        let is_of_number = expected.starts_with("no scores") || expected.contains("too few");
        assert_eq!(by_number, if is_of_number { Err(error.to_string()) } else { Ok(()) });
    }
    let budget = ThresholdMethod::Budget;
    check(vec![], budget, "no scores");
    check(vec![vec![f64::NAN; 9], vec![]], budget, "no scores");
    let mut infinite = vec![1.0; 30];
    infinite[7] = f64::INFINITY;
    check(vec![infinite], budget, "which cannot be compared");
    check(vec![vec![0.0; 30]], budget, "the threshold would be 0");
    // Seven scores make no threshold, whatever the method; one in 200 cannot be told of 90.
    let thirty = "7 scores are too few: 30 are needed, which takes 4.3 times the history";
    let hundreds = "7 scores are too few: 200 are needed, which takes 28.6 times the \
                    history with this method";
    let cases = [
        (budget, thirty),
        (ThresholdMethod::Percentile, hundreds),
        (ThresholdMethod::MeanStd, thirty),
    ];
    for (method, text) in cases {
        check(vec![sample("uniform", 7)], method, text);
        check(vec![sample("uniform", 3), sample("bell", 4)], method, text);
    }
    let text = "90 scores are too few: 200 are needed, which takes 2.3 times the history \
                with this method";
    check(vec![sample("uniform", 90)], ThresholdMethod::Percentile, text);
}

/// Random scores with an exponential tail, mostly independent from step to step.
fn exponential(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| -(1.0 - rng.random::<f64>()).ln()).collect()
}

#[test]
fn a_budget_is_kept_where_it_can_be_counted() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    // Ten weeks and 5 minutes a step: 2016 steps a week.
    let entities = vec![exponential(&mut rng, 10_080), exponential(&mut rng, 10_080)];
    let found = find(&scores(entities, 300_000), &config(ThresholdMethod::Budget)).expect("one");
    let chosen = &found.candidates[found.chosen];
    assert!(chosen.episodes.is_some_and(|count| count <= 10), "{chosen:?}");
    near("weeks", found.entity_weeks, 10.0, 1e-12);
    // The 10th largest of 20160.
    near(&chosen.note, found.threshold, (20_160.0_f64 / 10.0).ln(), 0.1);
    assert!(
        chosen.note.starts_with("counted: 10.000 entity-weeks allow 10 episodes"),
        "{chosen:?}"
    );
}

/// The same smoothed, as scores are served: weighted means over 5 and 60 steps.
fn smoothed(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    let mut means = [1.0, 1.0];
    let mean = |value: f64| {
        for (mean, span) in means.iter_mut().zip([5.0, 60.0]) {
            *mean += 2.0 / (span + 1.0) * (value - *mean);
        }
        means.iter().sum::<f64>() / 2.0
    };
    exponential(rng, count).into_iter().map(mean).collect()
}

#[test]
fn a_budget_is_followed_from_the_tail_where_it_cannot() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    // What half of all weeks exceed, a minute a step.
    let largest = |week: Vec<f64>| week.into_iter().fold(0.0, f64::max);
    let mut weeks: Vec<f64> = (0..51).map(|_| largest(smoothed(&mut rng, 10_080))).collect();
    weeks.sort_unstable_by(f64::total_cmp);
    let mut ratios: Vec<f64> = (0..41)
        .map(|_| {
            let day = scores(vec![smoothed(&mut rng, 1_440)], 60_000);
            let found = find(&day, &config(ThresholdMethod::Budget)).expect("one");
            found.threshold / weeks[25]
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    // A day tells what a week holds to a third, and is rather too careful than too loud.
    assert!((1.0..=1.33).contains(&ratios[20]), "{ratios:?}");
    assert!(ratios[4] > 0.8 && ratios[36] < 1.6, "{ratios:?}");
}

/// Nobody has left the incident out, and the next one like it is to alarm.
#[test]
fn an_incident_does_not_raise_the_budgets_threshold() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let quiet = exponential(&mut rng, 5_760);
    let mut incident = quiet.clone();
    incident[3_000..3_030].fill(60.0);
    let threshold = |entity: Vec<f64>| {
        let config = config(ThresholdMethod::Budget);
        find(&scores(vec![entity], 60_000), &config).expect("one").threshold
    };
    let (before, after) = (threshold(quiet), threshold(incident));
    assert!((after / before - 1.0).abs() < 0.1, "{before} {after}");
}

#[test]
fn few_scores_do_not_run_away() {
    // Two minutes at a second's step, all within one merge gap.
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let short = exponential(&mut rng, 120);
    let max = short.iter().copied().fold(0.0, f64::max);
    let found = find(&scores(vec![short], 1_000), &config(ThresholdMethod::Budget)).expect("one");
    assert!((max..=2.0 * max).contains(&found.threshold), "{found:?}");
    let mut spike = vec![0.1; 120];
    spike[60] = 1.0;
    let found = find(&scores(vec![spike], 1_000), &config(ThresholdMethod::Budget)).expect("one");
    assert_eq!(found.threshold, 2.0);
    let note = &found.candidates[found.chosen].note;
    assert!(note.starts_with("twice the largest score"), "{note}");
    // All the same: there is no tail.
    let found = find(&scores(vec![vec![0.5; 40]], 1_000), &config(ThresholdMethod::Budget));
    assert_eq!(found.expect("one").threshold, 0.5);
}

/// Twenty minutes at 15 s.
#[test]
fn a_first_try_has_a_threshold_and_a_warning() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let short = scores(vec![smoothed(&mut rng, 87)], 15_000);
    let found = find(&short, &config(ThresholdMethod::Budget)).expect("one");
    let max = short.entities[0].iter().copied().fold(0.0, f64::max);
    assert!((max..=2.0 * max).contains(&found.threshold), "{found:?}");
    assert!(found.warning.contains("found in 21m45s of scores"), "{}", found.warning);
    // What 87 scores cannot tell is no candidate.
    let is_there = |method: &str| {
        let found = found.candidates.iter().find(|it| it.method == method);
        found.expect("a candidate").threshold.is_ok()
    };
    assert!(is_there("percentile 95") && !is_there("percentile 99"));
    let long = scores(vec![sample("exponential", 5_760)], 15_000);
    assert_eq!(find(&long, &config(ThresholdMethod::Budget)).expect("one").warning, "");
}

#[test]
fn a_generous_budget_does_not_alarm_all_the_time() {
    let generous = ThresholdConfig { budget: 1e9, ..config(ThresholdMethod::Budget) };
    let found = find(&scores(vec![sample("exponential", 5_000)], 60_000), &generous).expect("one");
    let chosen = &found.candidates[found.chosen];
    near(&chosen.note, chosen.above, 0.02, 0.01);
}

#[test]
fn a_restless_entity_among_many_is_told() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut entities: Vec<_> = (0..20).map(|_| exponential(&mut rng, 2_016)).collect();
    // Thirty spikes, two hours apart.
    for i in 0..30 {
        entities[7][100 + 24 * i] += 20.0;
    }
    let found = find(&scores(entities, 300_000), &config(ThresholdMethod::Budget)).expect("one");
    let chosen = &found.candidates[found.chosen];
    assert!(chosen.note.ends_with("20 of 20 episodes are one entity's"), "{chosen:?}");
}

/// Whoever reads what training's budget came to finds the same number in an evaluation.
#[test]
fn training_and_evaluation_count_the_same_episodes() {
    // Waves of several lengths, a spike here and there, and hours without a score.
    let score = |i: i64| match i {
        100..=230 => f64::NAN,
        i if i % 97 == 0 => 9.0,
        i => 2.0 + (i as f64 / 7.0).sin() + (i as f64 / 3.1).cos(),
    };
    let scores: Vec<f64> = (0..360).map(score).collect();
    let mut counts = std::collections::BTreeSet::new();
    for (pause_days, step_ms) in [(0, 60_000), (2, 60_000), (0, 300_000), (0, 900_000)] {
        let times_ms: Vec<i64> = (0..360)
            .map(|i| i * step_ms + if i < 180 { 0 } else { pause_days * 86_400_000 })
            .collect();
        let training =
            TrainingScores { step_ms, times_ms: times_ms.clone(), entities: vec![scores.clone()] };
        let steps = Steps::new(&training).expect("scores");
        for threshold in (1..9).map(|it| f64::from(it) / 2.0) {
            let settings = Settings::for_step(step_ms);
            let labels = vec![false; scores.len()];
            let judged =
                judge(&times_ms, &scores, &labels, &[threshold], &settings).expect("judged");
            let (count, _) = steps.episodes(threshold);
            assert_eq!(judged.at_threshold.alarm_episodes, count, "{step_ms} {threshold}");
            counts.insert(count);
        }
    }
    assert!(counts.len() > 5, "{counts:?}");
}
