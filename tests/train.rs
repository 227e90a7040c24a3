//! Training as a whole: from a CSV file to a model file that serving loads and believes.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use portent::features::FeatureSpec;
use portent::history::{Exclusions, HistoryConfig, Query, Range, Source};
use portent::model::{Artifact, Metadata, ModelConfig, Runtime, Scorer};
use portent::train::{Options, Summary, TrainConfig, TrainError, run};

fn runtime() -> Runtime {
    Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it")
}

fn load(path: &Path) -> (Scorer, Metadata) {
    let bytes = std::fs::read(path).expect("the model");
    let artifact = Artifact::read(bytes.into()).expect("an artifact");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("complete metadata");
    let scorer = Scorer::new(&runtime(), &artifact, &metadata).expect("a scorer");
    (scorer, metadata)
}

/// A host of which CPU, traffic and temperature follow one load. Deterministic noise.
fn row(step: usize) -> [f32; 4] {
    let t = step as f64;
    let load = 0.5 + 0.3 * (t / 23.0).sin() + 0.15 * (t / 5.0).cos();
    let noise = |i: f64| 0.02 * ((t * 78.233 + i * 12.9898).sin() * 43_758.545).fract();
    [
        (load + noise(1.0)) as f32,
        (1e6 * (load + noise(2.0))) as f32,
        (40.0 + 30.0 * (load + noise(3.0))) as f32,
        0.0,
    ]
}

fn csv(steps: usize) -> String {
    let mut text = String::from("time,cpu,traffic,temperature,errors\n");
    for step in 0..steps {
        let [cpu, traffic, temperature, errors] = row(step);
        let time = 1_795_428_900 + 15 * step;
        text.push_str(&format!("{time},{cpu},{traffic},{temperature},{errors}\n"));
    }
    text
}

fn options(dir: &Path, text: &str) -> Options {
    let input = dir.join("input.csv");
    std::fs::write(&input, text).expect("written");
    Options {
        config: TrainConfig { learning_rate: 0.005, epochs: 100, ..TrainConfig::default() },
        model: ModelConfig::default(),
        history: Query {
            source: Source::Csv(input),
            features: vec![FeatureSpec::new("cpu", "rate(cpu_seconds_total[1m])")],
            entity: vec!["instance".to_owned()],
            exclude: Exclusions::default(),
            config: HistoryConfig::default(),
        },
        tune: None,
        output: dir.join("model.onnx"),
        onnxruntime: None,
    }
}

fn trained(steps: usize) -> (tempfile::TempDir, Options, Summary) {
    let dir = tempfile::tempdir().expect("a directory");
    let options = options(dir.path(), &csv(steps));
    let summary = run(&options).expect("a model");
    (dir, options, summary)
}

/// `error / threshold` of rows, as it is exported.
fn scores(path: &Path, rows: &[[f32; 4]]) -> Vec<f64> {
    let (mut scorer, metadata) = load(path);
    let values = rows.iter().flatten().copied().collect();
    let batch = Array3::from_shape_vec((rows.len(), 1, 4), values).expect("rows");
    let scores = scorer.score(batch.view()).expect("scores");
    let contribution = scores.contribution.expect("our models have it");
    for sum in contribution.sum_axis(Axis(1)) {
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
    let normalised = |error: &f32| f64::from(*error) / metadata.threshold;
    scores.error.iter().map(normalised).collect()
}

#[test]
fn normal_stays_below_one_and_what_falls_apart_rises_above() {
    let (_dir, options, summary) = trained(1_200);
    let validation: Vec<_> = (960..1_200).map(row).collect();
    let normal = scores(&options.output, &validation);
    let above = normal.iter().filter(|score| **score > 1.0).count();
    // A budget of one episode a week leaves none for an hour.
    assert_eq!(above, 0, "of {} above 1", normal.len());
    assert_eq!(summary.constant, ["errors"]);
    // Every value stays within its own range; only their relation breaks.
    let high = *validation.iter().max_by(|a, b| a[0].total_cmp(&b[0])).expect("rows");
    let low = *validation.iter().min_by(|a, b| a[0].total_cmp(&b[0])).expect("rows");
    let apart = [
        [high[0], low[1], high[2], 0.0],
        [low[0], high[1], low[2], 0.0],
        [low[0], low[1], high[2], 0.0],
        // And what never was is there.
        [low[0], low[1], low[2], 3.0],
    ];
    for score in scores(&options.output, &apart) {
        assert!(score > 2.0, "{score}");
    }
}

#[test]
fn the_file_tells_everything_about_itself() {
    let (_dir, options, summary) = trained(300);
    let (mut scorer, metadata) = load(&options.output);
    assert_eq!(metadata, summary.metadata);
    let exprs: Vec<_> = metadata.features.iter().map(|it| it.expr.as_str()).collect();
    let expected = ["rate(cpu_seconds_total[1m])", "traffic", "temperature", "errors"];
    assert_eq!(exprs, expected);
    assert_eq!(metadata.entity, ["instance"]);
    assert_eq!(metadata.step.to_string(), "15s");
    assert_eq!(metadata.threshold_method, "budget 1 per week");
    assert_eq!(metadata.trained_from_ms, Some(1_795_428_900_000));
    assert_eq!(metadata.trained_to_ms, Some(1_795_428_900_000 + 299 * 15_000));
    assert_eq!(metadata.validation.expect("it was measured").rows, 60);
    // What was expected is in the features' own units.
    let expected = row(100);
    let batch = Array3::from_shape_vec((1, 1, 4), expected.to_vec()).expect("a row");
    let scores = scorer.score(batch.view()).expect("scores");
    let found = scores.reconstruction.expect("our models have it");
    for (i, tolerance) in [0.2, 2e5, 6.0, 1e-6].into_iter().enumerate() {
        let difference = (found[[0, i]] - expected[i]).abs();
        assert!(difference <= tolerance, "{i}: {found} {expected:?}");
    }
}

#[test]
fn what_is_excluded_is_not_learnt() {
    let dir = tempfile::tempdir().expect("a directory");
    // A step that nothing else comes near, and a line that repeats its time.
    let mut text = csv(300);
    let line = text.lines().nth(11).expect("a line").to_owned();
    let time = line.split(',').next().expect("a time");
    text = text.replace(&line, &format!("{time},9,9e6,900,9\n{time},1,1,1,inf"));
    let mut options = options(dir.path(), &text);
    let moment = 1_000 * time.parse::<i64>().expect("seconds");
    options.history.exclude.ranges = vec![Range { start_ms: moment, end_ms: moment }];
    let summary = run(&options).expect("a model");
    assert_eq!(summary.cleaning.excluded, 1);
    assert_eq!(summary.cleaning.rows, 299);
    assert_eq!(summary.cleaning.duplicated, 1);
    assert_eq!(summary.cleaning.infinite, [0, 0, 0, 0]);
    assert_eq!(summary.constant, ["errors"]);
}

#[test]
fn the_same_seed_makes_the_same_file() {
    let bytes = |seed| {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options = options(dir.path(), &csv(200));
        options.config.epochs = 5;
        options.config.seed = seed;
        run(&options).expect("a model");
        std::fs::read(&options.output).expect("the model")
    };
    assert_eq!(bytes(3), bytes(3));
    assert_ne!(bytes(3), bytes(4));
}

#[test]
fn ten_thousand_rows_go_in_one_batch_and_nan_stays_nan() {
    let (_dir, options, _) = trained(200);
    let (mut scorer, _) = load(&options.output);
    let mut batch = Array3::from_shape_fn((10_000, 1, 4), |(i, _, feature)| row(i)[feature]);
    let alone = batch.slice(ndarray::s![77..78, .., ..]).to_owned();
    batch[[5, 0, 1]] = f32::NAN;
    batch[[6, 0, 1]] = f32::INFINITY;
    let scores = scorer.score(batch.view()).expect("scores");
    assert_eq!(scores.error.len(), 10_000);
    let missing: Vec<_> = (0..10_000).filter(|&i| scores.error[i].is_nan()).collect();
    assert_eq!(missing, [5, 6]);
    let alone = scorer.score(alone.view()).expect("scores").error[0];
    assert!((alone - scores.error[77]).abs() <= 1e-6 * alone.max(0.1));
    let none = scorer.score(Array3::zeros((0, 1, 4)).view());
    assert!(none.expect("nothing of nothing").error.is_empty());
    let narrow = scorer.score(Array3::zeros((2, 1, 3)).view());
    assert!(narrow.expect_err("a refusal").to_string().contains("[1, 3]"));
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
    names.sort();
    names
}

/// Training on `text` fails with `expected`, and the file that was there before is untouched.
#[track_caller]
fn check_failure(text: &str, change: impl FnOnce(&mut Options), expected: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path(), text);
    std::fs::write(dir.path().join("model.onnx"), "before").expect("written");
    let before = files(dir.path());
    change(&mut options);
    let error: TrainError = run(&options).expect_err("a failure");
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(files(dir.path()), before);
    let kept = std::fs::read(dir.path().join("model.onnx")).expect("it is still there");
    assert_eq!(kept, b"before");
}

#[test]
fn a_failure_leaves_no_file_and_says_what_to_do() {
    let short: String = csv(39).to_owned();
    check_failure(&short, |_| {}, "31 rows to train on and 8 to validate with");
    let still = "time,a\n".to_owned() + &(0..99).map(|i| format!("{i},5\n")).collect::<String>();
    check_failure(&still, |_| {}, "no feature moves in the 79 training rows");
    let gaps = "time,a,b\n".to_owned() + &(0..99).map(|i| format!("{i},,5\n")).collect::<String>();
    check_failure(&gaps, |_| {}, "for lack of a (99)");
    check_failure(&csv(100), |it| it.config.layers.clear(), "train.layers is []");
    check_failure(&csv(100), |it| it.history.entity.clear(), "no entity labels");
    let all = |it: &mut Options| {
        it.history.exclude.ranges = vec![Range { start_ms: 0, end_ms: i64::MAX }];
    };
    check_failure(&csv(100), all, "every step is excluded");
    let query = |it: &mut Options| it.history.exclude.queries = vec!["ALERTS".to_owned()];
    check_failure(&csv(100), query, "not of a CSV file; exclude ranges instead");
    check_failure(&csv(100), |it| it.output = it.output.join("absent/model.onnx"), "cannot write ");
}
