use super::*;
use crate::detect::{DetectConfig, Detector};
use crate::features::{FeatureSpec, Playback, TIME_OF_DAY, TIME_OF_WEEK};
use crate::labels::Labels;
use crate::model::{Artifact, Context, HourlyMaxima, ModelConfig, Runtime, Scorer};
use crate::train::data::tests::dataset;
use crate::train::data::{Split, roles};
use crate::train::ensemble::window;
use ndarray::Array1;

const NAN: f32 = f32::NAN;
const STEPS: usize = 400;

/// Three machines: two whose features hang together each in its own way and size, and one that came
/// late. The last two features tell the time.
fn machines() -> Dataset {
    let machine = |which: usize| -> Vec<Vec<f32>> {
        let row = |step: usize| {
            let t = step as f64;
            let load = (t / 17.0).sin() + 0.5 * (t / 5.0).sin();
            let noise = |i: f64| ((t * 78.233 + i * 12.9898).sin() * 43_758.545).fract();
            let [a, b] = match which {
                0 => [1.0 + 0.1 * load, 5.0 - 0.2 * load + 0.01 * noise(1.0)],
                _ => [1e4 * (2.0 + load) + 9.0 * noise(2.0), 70.0 + 3.0 * load + 0.1 * noise(3.0)],
            };
            let clock = |clock: crate::features::Clock| clock.value(step as i64 * 60_000);
            let [day, week] = [TIME_OF_DAY, TIME_OF_WEEK].map(clock);
            let is_there = which < 2 || step >= STEPS - 30;
            vec![a as f32, b as f32, day, week]
                .into_iter()
                .map(move |it| if is_there { it } else { NAN })
        };
        (0..STEPS).map(|step| row(step).collect()).collect()
    };
    let rows = [machine(0), machine(1), machine(2)];
    let mut dataset = dataset(&[&rows[0], &rows[1], &rows[2]]);
    dataset.entities[2].usable[..STEPS - 30].fill(false);
    dataset
}

fn features() -> Vec<FeatureSpec> {
    let own = ["a", "b"].map(|name| FeatureSpec::new(name, name));
    own.into_iter().chain([TIME_OF_DAY, TIME_OF_WEEK].map(|clock| clock.spec())).collect()
}

/// Models of the three machines, and what their file says.
fn fitted(dataset: &Dataset) -> (Runtime, Split, Fits, Metadata) {
    let config =
        TrainConfig { epochs: 3, window: 6, smoothing: Vec::new(), ..TrainConfig::default() };
    let split = dataset.split(window(&config)).expect("parts");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let roles = roles(&features(), dataset, &split.fit);
    let training =
        Training { runtime: &runtime, dataset, split: &split, roles: &roles, clocks: [2, 3] };
    let shared = Fit::learn(&training, &config, &mut |_, _| ControlFlow::Continue(()));
    let shared = shared.expect("a fit");
    let step = crate::duration::Duration::from_ms(dataset.step_ms);
    let draft = Metadata {
        window: shared.base.window,
        level: Some(shared.level.clone()),
        ..Metadata::new(features(), vec!["instance".to_owned()], step)
    };
    let fits = Fits::learn(&training, &config, shared, &draft).expect("fits");
    let metadata = fits.describe(dataset, draft);
    (runtime, split, fits, metadata)
}

#[test]
fn each_entity_has_its_own_model_and_the_others_share_one() {
    let dataset = machines();
    let (runtime, split, fits, metadata) = fitted(&dataset);
    let own: Vec<usize> = fits.own.iter().map(|(entity, _)| *entity).collect();
    assert_eq!(own, [0, 1]);
    assert_eq!(fits.sharing.len(), 1);
    assert_eq!(fits.sharing[0].labels.get("instance"), "2");
    assert!(fits.sharing[0].reason.contains("too few windows"), "{:?}", fits.sharing);
    assert_eq!(metadata.entities, [["0"], ["1"]]);
    // All three are remembered, each by the fit that serves it.
    assert!(metadata.level.as_ref().is_some_and(|level| level.entities.is_empty()));
    let expected =
        [("0", &fits.own[0].1.ends[0]), ("1", &fits.own[1].1.ends[0]), ("2", &fits.shared.ends[2])];
    for (found, (name, end)) in metadata.remembered.iter().zip(expected) {
        assert_eq!(
            (found.entity.as_slice(), found.level.as_ref()),
            ([name.to_owned()].as_slice(), Some(end))
        );
    }
    assert_eq!(metadata.remembered.len(), 3);
    // What counts as deviation at least is a tenth of the own one.
    let floor = |at: usize| metadata.remembered[at].level.as_ref().expect("a level").floor[0];
    assert!(floor(1) > 1e3 * floor(0), "{} {}", floor(0), floor(1));
    let places: Vec<usize> = (0..3).map(|entity| fits.of(entity).0).collect();
    assert_eq!(places, [1, 2, 0]);
    // Each is scaled to its own size; errors are in units of its own threshold.
    let size = |at: usize| fits.of(at).1.base.scaler.size(0);
    assert!(size(1) > 1e3 * size(0), "{} {}", size(0), size(1));
    let (runtime, dataset, split) = (&runtime, &dataset, &split);
    let training = Training { runtime, dataset, split, roles: &[], clocks: [2, 3] };
    let hindsight = hindsight::play(&training, &metadata, &fits).expect("scores");
    for errors in &hindsight.scores.entities[..2] {
        let largest = errors.iter().copied().filter(|it| it.is_finite()).fold(0.0, f64::max);
        assert!((0.4..=1.0).contains(&largest), "{largest}");
    }
}

#[test]
fn the_graph_gives_each_row_the_fit_of_its_entity() {
    let dataset = machines();
    let (runtime, split, fits, metadata) = fitted(&dataset);
    let artifact = Artifact::read(export(&fits, &metadata)).expect("our own file");
    let metadata = Metadata { threshold: 1.0, ..metadata };
    let mut scorer = Scorer::new(&runtime, &artifact, &metadata).expect("our own graph");
    assert!(scorer.takes_entity());
    let window = fits.shared.base.window;
    let places: Vec<_> = split.stopping.iter().step_by(3).copied().collect();
    let mut raw = dataset.gather(&places, window);
    raw[[0, window - 1, 0]] = NAN;
    let mut evaluate = |place: usize, fit: &Fit| {
        let level = fit.level.start();
        let row = |values: &[f32]| {
            let rows = Array1::from(values.to_vec());
            rows.broadcast((places.len(), values.len())).expect("a row each").to_owned()
        };
        let (mean, scale) = (row(&level.mean), row(&level.scale));
        let entity = Array1::from_elem(places.len(), place as f32);
        let level = (mean.view(), scale.view());
        let context = Context { level: Some(level), entity: Some(entity.view()) };
        let found = scorer.score_in(raw.view(), &context).expect("scores");
        let expected = fit.evaluate(raw.view(), level);
        for (found, expected) in found.error.iter().zip(&expected.error) {
            let tolerance = 1e-5 * expected.abs().max(1.0);
            assert!((f64::from(*found) - expected).abs() <= tolerance, "{found} {expected}");
        }
        let reconstruction = found.reconstruction.expect("our graphs have it");
        for (found, expected) in reconstruction.iter().zip(&expected.reconstruction) {
            let near = (f64::from(*found) - expected).abs() <= 1e-4 * expected.abs().max(1.0);
            assert!(near || (found.is_nan() && expected.is_nan()), "{found} {expected}");
        }
        found.error.to_vec()
    };
    let all: Vec<Vec<f32>> =
        fits.all().into_iter().enumerate().map(|(place, it)| evaluate(place, it)).collect();
    assert!(all[0] != all[1] && all[1] != all[2]);
}

#[test]
fn a_model_for_all_remembers_each_at_its_own_level() {
    let dataset = machines();
    let (_, _, fits, metadata) = fitted(&dataset);
    let pooled = Fits::one(fits.shared);
    let metadata = pooled.describe(&dataset, metadata);
    assert!(metadata.entities.is_empty());
    let of = |at: usize| metadata.remembered[at].level.clone().expect("a level");
    let [calm, busy, late] = [0, 1, 2].map(of);
    // In units of what counts as deviation at least, a tenth of how far all of them stray.
    let unit = calm.floor[0];
    assert!(((calm.mean[0] - 1.0) / unit).abs() < 0.1 && calm.scale[0] == unit, "{calm:?}");
    assert!(((busy.mean[0] - 2e4) / unit).abs() < 1.0 && busy.scale[0] > 4.0 * unit, "{busy:?}");
    // Two days, in steps of a minute.
    assert_eq!([calm.prior, busy.prior, late.prior], [2_880.0; 3]);
    // Whom nobody knows: between them, and as far from it as they are.
    let all = metadata.level.as_ref().expect("levels are kept");
    assert_eq!(all.prior, 1_440.0);
    let ends = [&calm, &busy, &late];
    let mean = ends.iter().map(|it| it.mean[0] / 3.0).sum::<f32>();
    let square = |it: &&LevelStart| (it.scale[0].powi(2) + (it.mean[0] - mean).powi(2)) / 3.0;
    let scale = ends.iter().map(square).sum::<f32>().sqrt();
    assert!((all.mean[0] / mean - 1.0).abs() < 1e-5 && (all.scale[0] / scale - 1.0).abs() < 1e-5);
    // What is played begins as training did: nobody is remembered.
    let begun = pooled.begun(&dataset, &metadata);
    assert!(begun.remembered.is_empty());
    assert_eq!(begun.level.map(|it| it.prior), Some(1.0));
    let keeps_none = Metadata { level: None, ..metadata };
    assert!(pooled.describe(&dataset, keeps_none).remembered.is_empty());
}

#[test]
fn what_was_left_out_is_not_remembered() {
    let mut dataset = machines();
    dataset.entities[1].left_out = (0..STEPS).map(|step| step >= STEPS - 20).collect();
    let mut incident = dataset.clone();
    let mut last = incident.entities[1].values.slice_mut(ndarray::s![STEPS - 20.., ..2]);
    last.mapv_inplace(|it| 3.0 * it);
    let [calm, incident] = [dataset, incident].map(|it| fitted(&it).3.remembered);
    assert_eq!(calm, incident);
}

#[test]
fn one_entity_has_the_shared_model_to_itself() {
    let dataset = machines().only(1);
    let (_, _, fits, metadata) = fitted(&dataset);
    assert!(fits.own.is_empty() && fits.sharing.is_empty());
    assert!(metadata.entities.is_empty());
    assert_eq!(metadata.remembered.len(), 1);
    assert_eq!(metadata.remembered[0].entity, ["1"]);
    assert_eq!(metadata.remembered[0].level.as_ref(), Some(&fits.shared.ends[0]));
    assert_eq!(fits.shared.gain.to_bits(), 1.0_f32.to_bits());
}

#[test]
fn too_many_fits_are_refused_before_they_are_fitted() {
    assert_eq!(too_many(1 << 20, 0, 255), Ok(()));
    assert!(too_many(1 << 20, 1, 255).is_err(), "what is remembered counts");
    let error = too_many(1 << 20, 0, 256).expect_err("a refusal").to_string();
    assert!(error.contains("256 entities makes a file of 257MiB, more than 256MiB"), "{error}");
    assert!(error.contains("train.fit: pooled"), "{error}");
    assert!(too_many(usize::MAX, usize::MAX, 3).is_err());
}

/// What a file takes for what it remembers is not more than was reckoned with.
#[test]
fn more_entities_than_a_file_can_remember_are_refused() {
    let dataset = machines();
    let (_, _, fits, metadata) = fitted(&dataset);
    let hours = || {
        let scores = (0..REMEMBERED_HOURS).map(|i| Some(0.1 + i as f32 / 700.0)).collect();
        Some(HourlyMaxima { last_hour: 480_000, scores })
    };
    let full = |it: Remembered| it.with_hours(hours());
    let remembered = metadata.remembered.iter().cloned().map(full).collect();
    let size = |metadata: &Metadata| export(&Fits::one(fits.shared.clone()), metadata).len();
    let [full, empty] = [remembered, Vec::new()]
        .map(|remembered| size(&Metadata { remembered, ..metadata.clone() }));
    let (written, reckoned) = (full - empty, remembered_bytes(&dataset, ModelKind::Ensemble));
    assert!((reckoned / 2..=reckoned).contains(&written), "{written} of {reckoned}");
    let hours = remembered_bytes(&dataset, ModelKind::Forecast);
    assert!(hours > 0 && hours < reckoned, "{hours} of {reckoned}");
    // So many that their names alone would fill it.
    let many = MAX_FILE_BYTES / (reckoned / 3) + 1;
    let labels = || Labels::empty();
    let entity = |_| crate::train::data::Rows {
        labels: labels(),
        values: ndarray::Array2::zeros((0, 4)),
        usable: Vec::new(),
        left_out: Vec::new(),
        own: crate::train::data::range::OwnCells::default(),
    };
    let fleet =
        |count: usize| Dataset { entities: (0..count).map(entity).collect(), ..dataset.clone() };
    assert_eq!(can_be_remembered(&fleet(many - 1), ModelKind::Ensemble), Ok(()));
    let error = can_be_remembered(&fleet(many), ModelKind::Ensemble).expect_err("a refusal");
    let error = error.to_string();
    assert!(
        error.contains(&format!("of {many} entities takes 257MiB, more than 256MiB")),
        "{error}"
    );
    assert_eq!(can_be_remembered(&fleet(many), ModelKind::Autoencoder), Ok(()));
}

/// A day and a half of hosts that are calm and alike, and differ by their noise alone.
fn calm_hosts(count: usize, steps: usize, from: usize) -> Dataset {
    let host = |which: usize| -> Vec<Vec<f32>> {
        let row = |step: usize| {
            let t = (from + step) as f64;
            let noise = |i: f64| {
                let unit = |j: f64| {
                    ((t * 78.233 + (i + j + 31.0 * which as f64) * 12.9898).sin() * 43_758.545)
                        .fract()
                };
                // Near enough to a bell.
                unit(0.1) + unit(0.2) + unit(0.3) + unit(0.4)
            };
            let clock = |clock: crate::features::Clock| clock.value((from + step) as i64 * 60_000);
            let [day, week] = [TIME_OF_DAY, TIME_OF_WEEK].map(clock);
            let course = (std::f64::consts::TAU * f64::from(day)).sin();
            let load = course + 0.3 * noise(1.0);
            vec![(10.0 + load) as f32, (70.0 + 3.0 * load + noise(2.0)) as f32, day, week]
        };
        (0..steps).map(row).collect()
    };
    let rows: Vec<Vec<Vec<f32>>> = (0..count).map(host).collect();
    let rows: Vec<&[Vec<f32>]> = rows.iter().map(Vec::as_slice).collect();
    let mut dataset = dataset(&rows);
    dataset.times_ms.iter_mut().for_each(|it| *it += from as i64 * 60_000);
    dataset
}

/// The scores of each entity of a later dataset that is served from a fresh start.
fn served(
    runtime: &Runtime,
    (fits, metadata): (&Fits, &Metadata),
    later: &Dataset,
) -> Vec<Vec<f64>> {
    let artifact = Artifact::read(export(fits, metadata)).expect("our own file");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("our own metadata");
    let scorer = Scorer::new(runtime, &artifact, &metadata).expect("our own graph");
    let config = DetectConfig::default();
    let mut detector = Detector::new(&metadata, scorer, later.step_ms, &config);
    let labels: Vec<Labels> = later.entities.iter().map(|it| it.labels.clone()).collect();
    let mut playback = Playback::of_columns(&metadata.features, &labels, true, &[false; 4], &[]);
    let mut scores = vec![Vec::new(); labels.len()];
    for (step, &now_ms) in later.times_ms.iter().enumerate() {
        let matrix = playback.settled(now_ms, |entity| later.row(entity, step));
        let judgement = detector.judge(matrix, now_ms);
        assert!(judgement.error.is_none(), "{judgement:?}");
        for (entity, score) in judgement.scores {
            scores[entity].push(score.score);
        }
    }
    scores
}

/// A model of three hosts, served from a fresh start: neither they nor a fourth one that is like them
/// are above their threshold when they begin.
#[test]
fn calm_hosts_that_begin_cold_are_not_above_their_threshold() {
    const DAY: usize = 1_440;
    let dataset = calm_hosts(3, 3 * DAY, 0);
    let config = TrainConfig { epochs: 3, ..TrainConfig::default() };
    let split = dataset.split(window(&config)).expect("parts");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let roles = roles(&features(), &dataset, &split.fit);
    let training = Training {
        runtime: &runtime,
        dataset: &dataset,
        split: &split,
        roles: &roles,
        clocks: [2, 3],
    };
    let fit = Fit::learn(&training, &config, &mut |_, _| ControlFlow::Continue(()));
    let fits = Fits::one(fit.expect("a fit"));
    let step = crate::duration::Duration::from_ms(dataset.step_ms);
    let draft = Metadata {
        window: fits.shared.base.window,
        smoothing: config.spans(dataset.step_ms),
        smoothing_power: 2.0,
        level: Some(fits.shared.level.clone()),
        ..Metadata::new(features(), vec!["instance".to_owned()], step)
    };
    let draft = fits.describe(&dataset, draft);
    let threshold = own_threshold(&training, &config, &fits, &draft).expect("a threshold");
    let metadata = Metadata { threshold, ..draft };
    let change = |prior: Option<f64>, scales: f32| {
        let mut changed = metadata.clone();
        if let Some(prior) = prior {
            changed.remembered.clear();
            changed.level.as_mut().expect("levels are kept").prior = prior;
        }
        for level in changed.remembered.iter_mut().filter_map(|it| it.level.as_mut()) {
            level.mean[0] += scales * level.scale[0];
        }
        changed
    };
    // The level of all for an hour alone, and a level that is not the host's.
    let (hour, elsewhere) = (change(Some(60.0), 0.0), change(None, 5.0));
    let mut otherwise = 0;
    // The hours that follow, at whatever hour of the day.
    for from in [3 * DAY, 3 * DAY + 400, 3 * DAY + 900] {
        let later = calm_hosts(4, 476, from);
        let [found, hour, elsewhere] = [&metadata, &hour, &elsewhere].map(|metadata| {
            let scores = served(&runtime, (&fits, metadata), &later);
            assert!(scores.iter().all(|it| it.len() > 450));
            scores
        });
        let above = |scores: &[Vec<f64>]| scores.iter().flatten().filter(|it| **it > 1.0).count();
        assert_eq!(above(&found), 0, "{found:?} from {from}");
        let largest = |scores: &Vec<f64>| scores.iter().copied().fold(0.0, f64::max);
        for (found, hour) in found.iter().zip(&hour) {
            assert!(largest(found) < largest(hour), "{} {}", largest(found), largest(hour));
        }
        otherwise += above(&elsewhere);
    }
    assert!(otherwise > 0, "where a level begins makes no difference");
}
