use ndarray::Axis;

use super::*;
use crate::train::config::ModelKind;
use crate::train::data::Training;
use crate::train::data::tests::dataset;
use crate::train::tune;

const NAN: f32 = f32::NAN;

/// Two features that always go together, two others that do, one that never moves, two clocks.
const ROLES: [Role; 7] = [
    Role::Observed,
    Role::Observed,
    Role::Observed,
    Role::Observed,
    Role::Observed,
    Role::LeftOut,
    Role::LeftOut,
];
const CLOCKS: [usize; 2] = [5, 6];

/// Deterministic noise between -1 and 1.
fn noise(t: f64, i: f64) -> f64 {
    ((t * 78.233 + i * 12.9898).sin() * 43_758.545).fract()
}

fn row(entity: usize, step: usize) -> Vec<f32> {
    let t = step as f64 + 1_000.0 * entity as f64;
    let load = (t / 13.0).sin() + 0.8 * (t / 5.0).cos() + 0.6 * noise(t, 9.0);
    let traffic = (t / 7.0).cos() + 0.8 * (t / 19.0).sin() + 0.6 * noise(t, 8.0);
    let row = [
        load + 0.3 * noise(t, 1.0),
        100.0 + 20.0 * (load + 0.3 * noise(t, 2.0)),
        1e6 * (5.0 + traffic + 0.3 * noise(t, 3.0)),
        1.0 - traffic + 0.3 * noise(t, 4.0),
        7.0,
        0.0,
        0.0,
    ];
    row.map(|it| it as f32).to_vec()
}

fn two_hosts(steps: usize) -> Dataset {
    let rows = [0, 1].map(|entity| (0..steps).map(|step| row(entity, step)).collect::<Vec<_>>());
    dataset(&[&rows[0], &rows[1]])
}

fn config() -> TrainConfig {
    TrainConfig { model: ModelKind::Autoencoder, epochs: 40, window: 1, ..TrainConfig::default() }
}

/// Faults for trials with windows of these lengths.
fn laid(dataset: &Dataset, config: &TrainConfig, windows: &[usize]) -> Faults {
    let split = dataset.split(1).expect("two parts");
    let features = learnt(dataset, &split, &ROLES);
    let space = Space { windows: windows.to_vec(), ..Space::around(config, features.len()) };
    Faults::lay(dataset, &features, config, &space)
}

#[test]
fn faults_are_the_same_for_every_window() {
    let dataset = two_hosts(400);
    let faults = laid(&dataset, &config(), &[1, 5, 10]);
    let long = windows(&dataset, &faults.laid, 10);
    for window in [1, 5] {
        assert_eq!(windows(&dataset, &faults.laid, window), long.slice(s![.., 10 - window.., ..]));
    }
    // Neither the order of windows nor what else a trial has changes them; a seed does.
    let mut other = TrainConfig { layers: vec![3], scaling: Scaling::MinMax, ..config() };
    assert_eq!(laid(&dataset, &other, &[10, 1]), faults);
    other.seed += 1;
    assert_ne!(laid(&dataset, &other, &[10, 1]).laid, faults.laid);
    // All are in the stopping part, and so are those that they are told from.
    let split = dataset.split(10).expect("two parts");
    assert_eq!(faults.calm, split.stopping);
    assert!(faults.laid.iter().all(|it| split.stopping.contains(&it.place)));
}

#[test]
fn a_kind_does_what_it_says() {
    let dataset = two_hosts(400);
    let faults = laid(&dataset, &config(), &[1, 10]);
    let places: Vec<WindowPosition> = faults.laid.iter().map(|it| it.place).collect();
    let (before, after) = (dataset.gather(&places, 10), windows(&dataset, &faults.laid, 10));
    for kind in FaultKind::ALL {
        assert_eq!(faults.laid.iter().filter(|it| it.kind == kind).count(), OF_A_KIND, "{kind:?}");
    }
    let sizes = [1.0, 20.0, 1e6, 1.0].map(|it| it * 1.1);
    for (at, fault) in faults.laid.iter().enumerate() {
        let (before, after) = (before.index_axis(Axis(0), at), after.index_axis(Axis(0), at));
        let changed: Vec<usize> =
            (0..7).filter(|i| before.column(*i) != after.column(*i)).collect();
        let few = if fault.kind == FaultKind::Together { 3 } else { 1 };
        assert_eq!(changed.len(), few, "{fault:?}");
        for feature in changed {
            // Never the one that stands still, nor a clock.
            let off = f64::from((after[[9, feature]] - before[[9, feature]]).abs());
            let off = off / sizes[feature];
            assert!((0.4..6.0).contains(&off), "{off} {fault:?}");
            let (before, after) = (before.column(feature), after.column(feature));
            let first = (0..10).find(|step| before[*step] != after[*step]).expect("a change");
            let stands = after.slice(s![first..]).iter().all(|it| *it == after[9]);
            match fault.kind {
                FaultKind::Shifted => assert!(off > 0.8 && off < 3.6, "{off} {fault:?}"),
                FaultKind::Together => assert!(off < 2.4, "{off} {fault:?}"),
                FaultKind::Spike => assert_eq!(first, 9),
                FaultKind::Frozen => {
                    assert!(after.iter().all(|it| *it == after[9]));
                    let rows = &dataset.entities[fault.place.entity as usize].values;
                    let had = rows.column(feature).iter().position(|it| *it == after[9]);
                    assert!(had.expect("a value it had") < fault.place.step as usize - 9);
                }
                FaultKind::Apart => {
                    let rows = &dataset.entities[fault.place.entity as usize].values;
                    let course = rows.column(feature).to_vec();
                    assert!(course.windows(10).any(|it| after.iter().eq(it)), "{fault:?}");
                }
                FaultKind::Dropped => {
                    let rows = &dataset.entities[fault.place.entity as usize].values;
                    let training = rows.column(feature);
                    let least = training.iter().copied().fold(f32::INFINITY, f32::min);
                    assert!(stands && after[9] == least, "{fault:?}");
                }
            }
        }
    }
}

/// A missing value is not moved, and none takes its place: it would be no fault.
#[test]
fn what_is_missing_is_left_alone() {
    let mut dataset = two_hosts(400);
    for mut row in dataset.entities[0].values.outer_iter_mut() {
        (row[0], row[2]) = (NAN, NAN);
    }
    for mut row in dataset.entities[1].values.outer_iter_mut().skip(1).step_by(2) {
        row[1] = NAN;
    }
    let faults = laid(&dataset, &config(), &[1, 10]);
    assert_eq!(faults.laid.len(), 6 * OF_A_KIND);
    for fault in &faults.laid {
        for (feature, course) in &fault.courses {
            assert!(course[9].is_finite(), "{fault:?}");
            let before = dataset.entities[fault.place.entity as usize].values
                [[fault.place.step as usize, *feature]];
            assert!(before.is_finite() && before != course[9], "{fault:?}");
        }
    }
}

/// Where no window of ten steps is whole, those of five are the longest.
#[test]
fn gaps_leave_shorter_windows() {
    let mut dataset = two_hosts(700);
    for rows in &mut dataset.entities {
        rows.usable.iter_mut().step_by(7).for_each(|usable| *usable = false);
    }
    let faults = laid(&dataset, &config(), &[1, 5, 10]);
    assert!(!faults.laid.is_empty());
    assert!(faults.laid.iter().flat_map(|it| &it.courses).all(|(_, course)| course.len() == 5));
    // Without a single feature there is nothing to lay.
    let space = Space::around(&config(), 0);
    assert!(Faults::lay(&dataset, &[], &config(), &space).laid.is_empty());
}

#[test]
fn pairs_are_counted() {
    assert_eq!(ranked_above(&[3.0, 1.0], &[1.0, 2.0]), 2.5 / 4.0);
    assert_eq!(ranked_above(&[2.0; 3], &[2.0; 4]), 0.5);
    assert_eq!(ranked_above(&[0.5], &[1.0, 2.0]), 0.0);
    assert_eq!(ranked_above(&[f32::INFINITY], &[1.0, 2.0]), 1.0);
    assert!(ranked_above(&[], &[1.0]).is_nan());
}

/// What a network with this bottleneck makes of the faults, and the loss that it reached.
fn judged(dataset: &Dataset, faults: &Faults, config: &TrainConfig) -> (tune::Figure, f64) {
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let split = dataset.split(config.window).expect("two parts");
    let (runtime, split, roles) = (&runtime, &split, ROLES.as_slice());
    let training = Training { runtime, dataset, split, roles, clocks: CLOCKS };
    let watch = &mut |_: usize, _: f64| std::ops::ControlFlow::Continue(());
    let network = Fit::learn(&training, config, watch).expect("a network");
    let loss = network.course.stopping[network.course.best_epoch - 1];
    (faults.judge(runtime, dataset, &network).expect("a figure"), loss)
}

/// The loss says the contrary, which is why it does not judge.
#[test]
fn a_network_that_copies_tells_fewer_faults() {
    let dataset = two_hosts(1_500);
    let faults = laid(&dataset, &config(), &[1, 10]);
    let with = |layers: &[usize]| TrainConfig { layers: layers.to_vec(), ..config() };
    let (narrow, loss) = judged(&dataset, &faults, &with(&[2]));
    let (copies, less) = judged(&dataset, &faults, &with(&[4]));
    assert!(less < loss, "{less} {loss}");
    assert!(narrow.mean() > copies.mean() + 0.05, "{narrow:?} {copies:?}");
    assert!(copies.mean() > 0.5, "{copies:?}");
    assert_eq!(narrow.kinds.len(), 6);
}

#[test]
fn no_bottleneck_is_wide_enough_to_copy() {
    for features in [1, 2, 3, 4, 10, 38, 900] {
        let space = Space::around(&config(), features);
        let trials = space.draw(200, 3);
        assert_eq!(trials[0], space.default);
        for trial in &trials[1..] {
            let bottleneck = trial.layers[trial.layers.len() / 2];
            assert!(bottleneck == 1 || bottleneck <= features / 2, "{features}: {trial:?}");
            assert!(trial.layers.iter().all(|it| *it >= bottleneck && *it <= 128), "{trial:?}");
        }
    }
    let widest = Space::around(&config(), 38).bottleneck;
    assert_eq!((*widest.start(), *widest.end()), (3, 19));
}
