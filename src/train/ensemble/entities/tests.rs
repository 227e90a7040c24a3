use super::*;
use crate::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK};
use crate::model::{Artifact, Context, Runtime, Scorer};
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
    assert_eq!(metadata.level.as_ref().map(|level| level.entities.len()), Some(2));
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
fn one_entity_has_the_shared_model_to_itself() {
    let dataset = machines().only(1);
    let (_, _, fits, metadata) = fitted(&dataset);
    assert!(fits.own.is_empty() && fits.sharing.is_empty());
    assert!(metadata.entities.is_empty());
    assert_eq!(fits.shared.gain.to_bits(), 1.0_f32.to_bits());
}

#[test]
fn too_many_fits_are_refused_before_they_are_fitted() {
    assert_eq!(too_many(1 << 20, 255), Ok(()));
    let error = too_many(1 << 20, 256).expect_err("a refusal").to_string();
    assert!(error.contains("256 entities makes a file of 257MiB, more than 256MiB"), "{error}");
    assert!(error.contains("train.fit: pooled"), "{error}");
    assert!(too_many(usize::MAX, 3).is_err());
}
