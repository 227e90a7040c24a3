//! Training as a whole: from history to a model file that serving loads and believes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3};
use portent::detect::{DetectConfig, Detection, Detector, LoadedModel, Pipeline};
use portent::duration::Duration;
use portent::evaluate::{Backtest, backtest};
use portent::features::{FeatureSpec, Observed, Playback, TIME_OF_DAY, TIME_OF_WEEK};
use portent::history::{Exclusions, HistoryConfig, HistoryQuery, Range, RangeQuery, Source};
use portent::labels::Labels;
use portent::model::{
    AdaptiveThreshold, Artifact, Context, Metadata, ModelConfig, Runtime, Scorer,
};
use portent::sample::{Batch, BatchSeries, Sample};
use portent::series::StorageConfig;
use portent::train::threshold::ThresholdMethod;
use portent::train::tune::TrialBudget;
use portent::train::{FitKind, ModelKind, Options, Summary, TrainConfig, TrainError, page, run};

const START_MS: i64 = 1_795_428_900_000;
const STEP_MS: i64 = 15_000;
const COLUMNS: [&str; 4] = ["cpu", "traffic", "temperature", "errors"];

fn load(path: &Path) -> (Scorer, Metadata) {
    let bytes = std::fs::read(path).expect("the model");
    let artifact = Artifact::read(bytes.into()).expect("an artifact");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("complete metadata");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a scorer");
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

fn time_ms(step: usize) -> i64 {
    START_MS + STEP_MS * step as i64
}

/// Some steps, the first of which has the number `from`.
fn csv(from: usize, rows: &[[f32; 4]]) -> String {
    let mut text = format!("time,{}\n", COLUMNS.join(","));
    for (i, row) in rows.iter().enumerate() {
        let cells = row.map(|value| value.to_string()).join(",");
        text.push_str(&format!("{},{cells}\n", time_ms(from + i) / 1_000));
    }
    text
}

fn normal(steps: usize) -> String {
    csv(0, &(0..steps).map(row).collect::<Vec<_>>())
}

fn query(source: Source) -> HistoryQuery {
    HistoryQuery {
        source,
        features: vec![FeatureSpec::new("cpu", "rate(cpu_seconds_total[1m])")],
        entity: vec!["instance".to_owned()],
        exclude: Exclusions::default(),
        config: HistoryConfig::default(),
        zone: None,
    }
}

fn options(dir: &Path, text: &str) -> Options {
    let input = dir.join("input.csv");
    std::fs::write(&input, text).expect("written");
    Options {
        config: TrainConfig { epochs: 10, ..TrainConfig::default() },
        global: DetectConfig::default(),
        model: ModelConfig::default(),
        history: query(Source::Csv(input)),
        keep: Vec::new(),
        tune: None,
        output: dir.join("model.onnx"),
        onnxruntime: None,
    }
}

fn trained(steps: usize) -> (tempfile::TempDir, Options, Summary) {
    let dir = tempfile::tempdir().expect("a directory");
    let options = options(dir.path(), &normal(steps));
    let summary = run(&options).expect("a model");
    (dir, options, summary)
}

/// What a model says of a history.
fn evaluated(model: &Path, query: &HistoryQuery) -> Backtest {
    let history = portent::history::read(query).expect("history");
    let (scorer, metadata) = load(model);
    let detect = DetectConfig::default();
    backtest(&metadata, scorer, &history.recording, &history.features, &detect).expect("scores")
}

/// The score at each step of a file, as it would have been exported.
fn scores(model: &Path, text: &str) -> Vec<f64> {
    let dir = tempfile::tempdir().expect("a directory");
    let input = dir.path().join("later.csv");
    std::fs::write(&input, text).expect("written");
    let mut found = evaluated(model, &query(Source::Csv(input)));
    assert_eq!(found.entities.len(), 1);
    let shares: f64 = found.by_feature.iter().sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    found.entities.remove(0).scores
}

#[test]
fn normal_stays_below_one_and_what_falls_apart_rises_above() {
    let (_dir, options, summary) = trained(2_400);
    assert_eq!(summary.constant, ["errors"]);
    let later: Vec<_> = (2_400..2_700).map(row).collect();
    let calm = scores(&options.output, &csv(2_400, &later));
    // The window has to fill, and smoothing to see ten errors.
    let silent = calm.iter().take_while(|score| score.is_nan()).count();
    assert_eq!(silent, 9 + 9);
    assert!(calm[silent..].iter().all(|score| *score < 1.0), "{calm:?}");
    // Every value stays within its own range; only the relation of one to the others breaks.
    for feature in 0..4 {
        let mut odd = later.clone();
        for (i, row) in odd.iter_mut().enumerate().skip(240) {
            row[feature] = if feature == 3 { 3.0 } else { later[300 - i][feature] };
        }
        let found = scores(&options.output, &csv(2_400, &odd));
        assert_eq!(found[silent..240], calm[silent..240]);
        let worst = found[240..].iter().copied().fold(0.0, f64::max);
        assert!(worst > 2.0, "{}: {worst}", COLUMNS[feature]);
    }
}

/// Nobody has excluded the incident: it is listed, not learnt from, and called when it comes again.
#[test]
fn what_stands_out_is_not_learnt_from_unless_it_is_kept() {
    let mut rows: Vec<_> = (0..9_600).map(row).collect();
    let breaks = |rows: &mut [[f32; 4]]| {
        for row in rows {
            (row[0], row[2]) = (row[0] + 1.5, row[2] - 60.0);
        }
    };
    breaks(&mut rows[2_000..2_040]);
    let train = |keep: &[(usize, usize)]| {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options = options(dir.path(), &csv(0, &rows));
        let range =
            |(from, to): &(usize, usize)| Range { start_ms: time_ms(*from), end_ms: time_ms(*to) };
        options.keep = keep.iter().map(range).collect();
        let summary = run(&options).expect("a model");
        (dir, options, summary)
    };
    let (_dir, options, summary) = train(&[]);
    let [found] = &summary.left_out[..] else { panic!("{:?}", summary.left_out) };
    let within = |step: usize| (found.from_ms..=found.to_ms).contains(&time_ms(step));
    assert!(
        within(2_000 - 50) && within(2_040 + 110) && !within(1_850) && !within(2_400),
        "{found:?}"
    );
    let names: Vec<&str> =
        found.features.iter().map(|it| summary.metadata.features[*it].name.as_str()).collect();
    assert!(names.contains(&"temperature") && !names.contains(&"traffic"), "{names:?}");
    let text = summary.to_string();
    let first =
        "left out       1 moment stands out and was not learnt from; if it was normal: --keep";
    assert!(text.starts_with(first), "{text}");
    let largest = |options: &Options| {
        let mut later: Vec<_> = (9_600..10_000).map(row).collect();
        breaks(&mut later[300..340]);
        scores(&options.output, &csv(9_600, &later)).into_iter().fold(0.0, f64::max)
    };
    let strict = largest(&options);
    let (_dir, options, summary) = train(&[(2_010, 2_011)]);
    assert_eq!(summary.left_out, []);
    assert!(!summary.to_string().contains("--keep"));
    let kept = largest(&options);
    assert!(strict > 1.5 && kept < 0.8 * strict, "{strict} {kept}");
}

/// A scale that one impossible reading has made would hide whatever comes later.
#[test]
fn an_impossible_reading_does_not_blind_a_feature() {
    let later = || {
        let mut later: Vec<_> = (9_600..10_000).map(row).collect();
        later[280..].iter_mut().for_each(|row| row[1] = 3.0 * row[1] + 2e6);
        csv(9_600, &later)
    };
    let above = |spike: Option<f32>| {
        let mut rows: Vec<_> = (0..9_600).map(row).collect();
        spike.into_iter().for_each(|spike| rows[4_000][1] = spike);
        let dir = tempfile::tempdir().expect("a directory");
        let options = options(dir.path(), &csv(0, &rows));
        let summary = run(&options).expect("a model");
        assert_eq!(summary.cleaning.far_out[1], usize::from(spike.is_some()));
        scores(&options.output, &later()).iter().filter(|score| **score > 1.0).count()
    };
    let undisturbed = above(None);
    assert!(undisturbed > 100, "{undisturbed}");
    for spike in [1e12, 3e17] {
        let found = above(Some(spike));
        assert!(found + 2 >= undisturbed, "{found} after {spike:e}, {undisturbed} without");
    }
}

#[test]
fn the_file_tells_everything_about_itself() {
    let (_dir, options, summary) = trained(300);
    let (mut scorer, metadata) = load(&options.output);
    assert_eq!(metadata, summary.metadata);
    let exprs: Vec<_> = metadata.features.iter().map(|it| it.expr.as_str()).collect();
    let [day, week] = [TIME_OF_DAY, TIME_OF_WEEK].map(|clock| clock.spec().expr);
    let expected = ["rate(cpu_seconds_total[1m])", "traffic", "temperature", "errors", &day, &week];
    assert_eq!(exprs, expected);
    assert_eq!(summary.neutral, ["time_of_day", "time_of_week"]);
    assert_eq!(metadata.entity, ["instance"]);
    assert_eq!(metadata.step.to_string(), "15s");
    assert_eq!((metadata.window, metadata.smoothing.as_slice()), (10, [20.0, 240.0].as_slice()));
    assert_eq!(metadata.adaptive_threshold, Some(AdaptiveThreshold::default()));
    assert_eq!(metadata.threshold_method, "budget 1 per week, as base 1.5 does not fit");
    assert_eq!(metadata.trained_from_ms, Some(time_ms(0)));
    assert_eq!(metadata.trained_to_ms, Some(time_ms(299)));
    // Smoothing sees nine of sixty errors first.
    let scores = metadata.training_scores.expect("it was measured");
    assert_eq!(scores.rows, 282);
    let summary = summary.to_string();
    assert!(summary.contains("warning        the threshold was found in 1h10m30s of"), "{summary}");
    assert_eq!(scores.above_threshold, 0.0);
    assert!(scores.max_error <= metadata.threshold);
    // Whom it was trained on it remembers: of a table that is who has no labels.
    let [remembered] = metadata.remembered.as_slice() else { panic!("{:?}", metadata.remembered) };
    assert_eq!(remembered.entity, [""]);
    let start = remembered.level.as_ref().expect("the default model has one");
    assert!((start.mean[1] - 5e5).abs() < 2e5, "{start:?}");
    // What was expected is in the features' own units.
    assert!(scorer.takes_mask() && scorer.takes_level());
    let level = metadata.level.expect("the default model has one");
    let rows = |values: &[f32]| Array2::from_shape_vec((1, 6), values.to_vec()).expect("a row");
    let (mean, scale) = (rows(&level.mean), rows(&level.scale));
    let context = Context { level: Some((mean.view(), scale.view())), entity: None };
    let window: Vec<f32> = (91..=100).flat_map(with_clocks).collect();
    let batch = Array3::from_shape_vec((1, 10, 6), window).expect("a window");
    let found = scorer.score_in(batch.view(), &context).expect("scores").reconstruction;
    let found = found.expect("our models have it");
    for (i, tolerance) in [0.2, 2e5, 6.0, 1e-3].into_iter().enumerate() {
        let difference = (found[[0, i]] - row(100)[i]).abs();
        assert!(difference <= tolerance, "{i}: {found} {:?}", row(100));
    }
}

/// The one entity of a table is the one that a model of such a table remembers.
#[test]
fn evaluation_of_a_table_begins_with_what_is_remembered() {
    let (_dir, options, _) = trained(300);
    let history = portent::history::read(&options.history).expect("history");
    let first = |change: &dyn Fn(&mut Metadata)| {
        let (scorer, mut metadata) = load(&options.output);
        change(&mut metadata);
        let detect = DetectConfig::default();
        let found = backtest(&metadata, scorer, &history.recording, &history.features, &detect);
        let scores = found.expect("scores").entities.remove(0).scores;
        scores.into_iter().find(|it| it.is_finite()).expect("a score")
    };
    let own = first(&|_| {});
    // A level that it never had: only who is remembered can begin there.
    let moved = first(&|it| {
        let start = it.remembered[0].level.as_mut().expect("a level");
        start.mean[1] += 1e9;
    });
    assert!(moved > 2.0 * own, "{moved} {own}");
}

/// A dead exporter behind a living collector: the same numbers, with fresh timestamps.
#[test]
fn a_host_that_stands_still_is_found_within_an_hour_and_forgotten_with_the_first_move() {
    const HOUR: usize = 240;
    // A day says what is usual.
    const SEEN: usize = 24 * HOUR;
    let (_dir, options, summary) = trained(SEEN);
    let spec = summary.metadata.still.expect("three features move");
    assert_eq!((spec.features.as_slice(), spec.usual), (&COLUMNS.map(str::to_owned)[..3], 0));
    let calm: Vec<_> = (SEEN..SEEN + 6 * HOUR).map(row).collect();
    let (from, to) = (HOUR, 4 * HOUR);
    let mut frozen = calm.clone();
    (from..to).for_each(|step| frozen[step] = calm[from]);
    let judged = |rows: &[[f32; 4]]| {
        let dir = tempfile::tempdir().expect("a directory");
        let input = dir.path().join("later.csv");
        std::fs::write(&input, csv(SEEN, rows)).expect("written");
        let mut found = evaluated(&options.output, &query(Source::Csv(input)));
        let found = found.entities.remove(0);
        let above: Vec<usize> =
            (0..rows.len()).filter(|it| found.scores[*it] > found.thresholds[*it]).collect();
        (found, above)
    };
    let (quiet, above) = judged(&calm);
    assert_eq!(above, [0; 0]);
    let (found, above) = judged(&frozen);
    let first = *above.iter().find(|step| **step >= from).expect("found");
    assert!(first <= from + HOUR / 2, "{first}");
    let during: Vec<usize> = above.iter().copied().filter(|it| (first..to).contains(it)).collect();
    assert_eq!(during, (first..to).collect::<Vec<_>>(), "as long as it lasts");
    assert!(found.scores[to - 1] > 10.0, "the longer the more: {}", found.scores[to - 1]);
    assert_eq!(found.scores[18..from], quiet.scores[18..from], "nothing else changes");
    // What moves again has the score of its errors, and what it stood still does not excuse what follows.
    assert!(found.scores[to..].iter().all(|it| *it < 3.0), "{:?}", &found.scores[to..]);
    assert!(found.thresholds[to..].iter().all(|it| *it < 3.0), "{:?}", &found.thresholds[to..]);
}

/// A row as a model of ours reads it.
fn with_clocks(step: usize) -> [f32; 6] {
    let [cpu, traffic, temperature, errors] = row(step);
    let [day, week] = [TIME_OF_DAY, TIME_OF_WEEK].map(|clock| clock.value(time_ms(step)));
    [cpu, traffic, temperature, errors, day, week]
}

#[test]
fn serving_tells_when_values_leave_the_range_of_training() {
    const LATER: usize = 30;
    let (_dir, options, _) = trained(1_200);
    let (scorer, metadata) = load(&options.output);
    let ranges = metadata.ranges.clone();
    assert_eq!((ranges.len(), &ranges[4..]), (6, [None, None].as_slice()), "clocks have none");
    let errors = ranges[3].expect("it was measured");
    assert_eq!((errors.lower, errors.upper), (0.0, 0.0));
    let config = DetectConfig { evaluation_delay: Duration::from_ms(0), ..DetectConfig::default() };
    let file = std::fs::read(&options.output).expect("the model that was trained");
    let digest = Artifact::read(file.into()).expect("a model file").digest();
    let models = vec![LoadedModel { name: "m".to_owned(), metadata, scorer, digest }];
    let mut pipeline = Pipeline::new(config, StorageConfig::default(), models).expect("good");
    // The first steps of the training part again, and then ten times the traffic; nothing of CPU.
    for step in 0..2 * LATER {
        let now_ms = time_ms(step);
        let mut row = row(step);
        row[1] *= if step < LATER { 1.0 } else { 10.0 };
        let of_column = |(name, value): (&&str, f32)| {
            BatchSeries::new(
                Labels::from_pairs([("__name__", *name), ("instance", "1")]).expect("two names"),
                vec![Sample::new(now_ms, f64::from(value))],
            )
        };
        let series = COLUMNS[1..].iter().zip(row[1..].iter().copied()).map(of_column).collect();
        pipeline.append(now_ms, &Batch::of(series));
        let snapshot = pipeline.tick(now_ms, &|| std::time::Duration::ZERO);
        let counts = snapshot.models[0].evaluation.ranges.iter();
        let counts: Vec<(u32, u32)> = counts.map(|it| (it.own, it.outside)).collect();
        let traffic = u32::from(step >= LATER);
        // Before it has warmed up nothing counts, and the first windows are not full in training.
        if step >= 10 {
            assert_eq!(counts, [(0, 0), (1, traffic), (1, 0), (1, 0), (0, 0), (0, 0)], "{step}");
        }
    }
}

#[test]
fn what_is_excluded_is_not_learnt() {
    let dir = tempfile::tempdir().expect("a directory");
    // A step that nothing else comes near, and a line that repeats its time.
    let line = normal(300).lines().nth(11).expect("a line").to_owned();
    let time = line.split(',').next().expect("a time");
    let text = normal(300).replace(&line, &format!("{time},9,9e6,900,9\n{time},1,1,1,inf"));
    let mut options = options(dir.path(), &text);
    let moment = 1_000 * time.parse::<i64>().expect("seconds");
    options.history.exclude.ranges = vec![Range { start_ms: moment, end_ms: moment }];
    let summary = run(&options).expect("a model");
    // With what there is of the quarter of an hour before it, and half an hour after it.
    assert_eq!(summary.cleaning.excluded, 10 + 1 + 120);
    assert_eq!(summary.cleaning.rows, 169);
    assert_eq!(summary.cleaning.duplicated, 1);
    assert_eq!(summary.cleaning.infinite, [0; 6]);
    assert_eq!(summary.constant, ["errors"]);
    // The nine before a window is full are missing.
    let windows: usize = summary.windows.iter().sum();
    assert_eq!(windows, 169 - 9);
}

#[test]
fn a_column_of_nothing_is_left_out_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let text: String = (normal(300).lines().enumerate())
        .map(|(i, line)| format!("{line},{}\n", if i == 0 { "absent" } else { "NaN" }))
        .collect();
    let summary = run(&options(dir.path(), &text)).expect("a model");
    assert_eq!(summary.neutral, ["absent", "time_of_day", "time_of_week"]);
    assert_eq!(summary.cleaning.absent, [0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(summary.cleaning.masked, [0, 0, 0, 0, 300, 0, 0]);
}

#[test]
fn what_a_server_lacks_or_refuses_is_left_out_and_named() {
    let expected = |query: &str, step: usize| match query {
        "load" => Some(row(step)[0]),
        // Of one entity alone, and the other one has it twice at some steps.
        "traffic" => Some(row(step)[1]),
        _ => None,
    };
    let url = serving(move |query, steps| {
        if query.contains("timestamp") {
            // It does not tell when samples were taken.
            return Some(String::new());
        }
        let (first, last) = (*steps.start(), *steps.end());
        let clocks = [("604800", TIME_OF_WEEK), ("86400", TIME_OF_DAY)];
        if let Some((_, clock)) = clocks.into_iter().find(|(it, _)| query.contains(it)) {
            let value = |it| format!("[{},\"{}\"]", time_ms(it) / 1_000, clock.value(time_ms(it)));
            let values = (first..=last).map(value).collect::<Vec<_>>().join(",");
            return Some(format!(r#"{{"metric":{{}},"values":[{values}]}}"#));
        }
        if query == "load" && steps.contains(&77) {
            return None;
        }
        let series = |entity: &str, device: &str, from: usize, to: usize| {
            let values = (first.max(from)..=last.min(to)).filter_map(|step| {
                let value = expected(query, step)?;
                Some(format!("[{},\"{value}\"]", time_ms(step) / 1_000))
            });
            let values = values.collect::<Vec<_>>().join(",");
            format!(
                r#"{{"metric":{{"instance":"{entity}","device":"{device}"}},"values":[{values}]}}"#
            )
        };
        let mut all = vec![series("a", "0", 0, usize::MAX), series("b", "0", 0, usize::MAX)];
        match query {
            "traffic" => all.push(series("b", "1", 100, 104)),
            "absent" => all.clear(),
            _ => {}
        }
        Some(all.join(","))
    });
    for fit in [FitKind::Pooled, FitKind::PerEntity] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options = options(dir.path(), "");
        options.config.fit = fit;
        options.history.features =
            ["load", "traffic", "absent"].map(|it| FeatureSpec::new(it, it)).to_vec();
        options.history.source = Source::Server(RangeQuery {
            url: url.clone(),
            ranges: vec![Range { start_ms: START_MS, end_ms: time_ms(399) }],
            step: portent::duration::Duration::from_ms(STEP_MS),
            delay: portent::duration::Duration::from_ms(0),
            resume: None,
        });
        let summary = run(&options).expect("a model");
        let cleaning = &summary.cleaning;
        assert_eq!((cleaning.entities, cleaning.dropped), (2, 0));
        assert_eq!(cleaning.failed, [1, 0, 0, 0, 0]);
        assert_eq!(cleaning.ambiguous, [0, 5, 0, 0, 0]);
        assert_eq!(cleaning.absent, [0, 0, 2, 0, 0]);
        assert_eq!(summary.neutral, ["absent", "time_of_day", "time_of_week"]);
        let text = summary.to_string();
        for line in ["refused        load (1)", "ambiguous      traffic (5)"] {
            assert!(text.contains(line), "{text}");
        }
        // What serving scores, evaluation does: with the same features, one of them never there.
        let (_, metadata) = load(&options.output);
        let query = HistoryQuery { features: metadata.features, ..options.history.clone() };
        for entity in evaluated(&options.output, &query).entities {
            let scored = entity.scores.iter().filter(|it| it.is_finite()).count();
            assert!(scored > 350, "{scored} of {}", entity.labels);
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_file() {
    for model in [ModelKind::Ensemble, ModelKind::Autoencoder] {
        let bytes = |seed| {
            let dir = tempfile::tempdir().expect("a directory");
            let mut options = options(dir.path(), &normal(200));
            options.config = TrainConfig { model, epochs: 3, seed, ..options.config };
            run(&options).expect("a model");
            std::fs::read(&options.output).expect("the model")
        };
        assert_eq!(bytes(3), bytes(3), "{model:?}");
        assert_ne!(bytes(3), bytes(4), "{model:?}");
    }
}

/// A detector and a playback of entities, of which each is somewhere else in its course.
struct Fleet {
    detector: Detector,
    playback: Playback,
    entities: Vec<usize>,
}

impl Fleet {
    fn new(model: &Path, entities: Vec<usize>) -> Self {
        let (scorer, metadata) = load(model);
        let labels: Vec<Labels> = entities
            .iter()
            .map(|i| Labels::from_pairs([("instance", i.to_string())]).expect("one name"))
            .collect();
        let clocks: Vec<bool> = metadata.features.iter().map(|it| it.expr != it.name).collect();
        let (specs, mask) = (&metadata.features, scorer.takes_mask());
        let playback = Playback::of_columns(specs, &labels, mask, &clocks, &metadata.weightless);
        let config = DetectConfig::default();
        Self { detector: Detector::new(&metadata, scorer, STEP_MS, &config), playback, entities }
    }

    /// What is said of the last of so many steps; `change` alters rows by entity.
    fn judge(&mut self, steps: usize, change: &dyn Fn(usize, &mut [f32; 6])) -> Detection {
        let mut detection = Detection::default();
        for step in 0..steps {
            let row = |entity: &usize| {
                let mut row = with_clocks(step);
                row[..4].copy_from_slice(&self::row(7 * entity + step));
                change(*entity, &mut row);
                row
            };
            let rows: Vec<[f32; 6]> = self.entities.iter().map(row).collect();
            let there = |at: usize| (self.entities[at] != 8).then(|| Observed::row(&rows[at], 0));
            let matrix = self.playback.step(time_ms(step), 0, there);
            detection = self.detector.judge(matrix, time_ms(step));
            assert!(detection.error.is_none(), "{detection:?}");
        }
        detection
    }
}

#[test]
fn ten_thousand_entities_are_judged_at_once_and_each_by_itself() {
    const GONE: usize = 8;
    let (_dir, options, _) = trained(200);
    let change = |entity: usize, row: &mut [f32; 6]| match entity {
        5 => row[1] = f32::NAN,
        6 => row[1] = f32::INFINITY,
        7 => row[..4].fill(f32::NAN),
        _ => {}
    };
    let mut fleet = Fleet::new(&options.output, (0..10_000).collect());
    let detection = fleet.judge(20, &change);
    assert_eq!((detection.warming, detection.not_finite), (0, 0));
    // One is not there, one lacks too much.
    let missing: Vec<usize> =
        (0..10_000).filter(|i| detection.scores.iter().all(|(slot, _)| slot != i)).collect();
    assert_eq!(missing, [7, GONE]);
    for entity in [0, 5, 6, 77, 9_999] {
        let alone = Fleet::new(&options.output, vec![entity]).judge(20, &change);
        let found = detection.scores.iter().find(|(slot, _)| *slot == entity);
        let (found, alone) = (found.expect("a score").1.score, alone.scores[0].1.score);
        assert!((alone - found).abs() <= 1e-5 * alone.max(0.1), "{entity}: {found} {alone}");
    }
}

/// All that is in a directory.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let paths = entries.map(|it| it.expect("an entry").path());
    let mut files: Vec<_> =
        paths.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect();
    files.sort();
    files
}

/// Training on `text` fails with `expected`, and nothing has changed where the model would be.
#[track_caller]
fn check_failure(text: &str, change: impl FnOnce(&mut Options), expected: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path(), text);
    std::fs::write(dir.path().join("model.onnx"), "before").expect("written");
    let before = files(dir.path());
    change(&mut options);
    let error: TrainError = run(&options).expect_err("a failure");
    let error = error.to_string();
    assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    assert!(files(dir.path()) == before, "{error}");
}

#[test]
fn a_failure_leaves_no_file_and_says_what_to_do() {
    let few = ["31 windows of 10 steps to train on", "use a longer range"];
    check_failure(&normal(40), |_| {}, &few);
    let handful = ["26 scores are too few: 30 are needed", "takes 1.2 times the history"];
    check_failure(&normal(44), |_| {}, &handful);
    check_failure(
        "time,a\n",
        |_| {},
        &["input.csv, line 2: the file ends before there were two lines"],
    );
    let column = |cell: &str, name: &str| -> String {
        let lines = (0..200).map(|i| format!("{},{cell}\n", 15 * i));
        format!("time,{name}\n{}", lines.collect::<String>())
    };
    // Before the fit, which would find that there is nothing to learn.
    let constant = column("5", "a");
    let hundred: String = constant.split_inclusive('\n').take(101).collect();
    let percentile = |it: &mut Options| {
        it.config.threshold.method = ThresholdMethod::Percentile;
    };
    let hundreds = ["91 scores are too few: 200 are needed", "takes 2.2 times the history"];
    check_failure(&hundred, percentile, &hundreds);
    let still = ["no feature moves in the 191 training windows", "use a longer range"];
    check_failure(&constant, |_| {}, &still);
    check_failure(&column(",5", "a,b"), |_| {}, &still);
    let nothing = ["no feature has a value at any of 200 steps", "look at"];
    check_failure(&column("NaN", "a"), |_| {}, &nothing);
    // Less than half of what a model would look at is there.
    let little =
        ["200 were dropped, for lack of a (200), b (200), c (200)", "correct the expression"];
    check_failure(&column("NaN,,,,5", "a,b,c,d,e"), |_| {}, &little);
    check_failure(&normal(200), |it| it.config.layers.clear(), &["train.layers is []"]);
    // Before anything is read, let alone fitted.
    for (model, name) in [
        (ModelKind::Level, "level"),
        (ModelKind::Season, "season"),
        (ModelKind::Forecast, "forecast"),
    ] {
        let tuned = |it: &mut Options| {
            it.config.model = model;
            it.tune = Some(TrialBudget { trials: 2, executions: 1 });
            it.history.source = Source::Csv("gone.csv".into());
        };
        let no_network = format!("`train.model: {name}` has none; leave out --tune, or use");
        check_failure("", tuned, &["there is nothing to tune", &no_network]);
    }
    check_failure(&normal(200), |it| it.history.entity.clear(), &["no entity labels"]);
    check_failure(&normal(200), |it| it.config.learning_rate = 1.1, &["train.learning_rate"]);
    let all = |it: &mut Options| {
        it.history.exclude.ranges = vec![Range { start_ms: 0, end_ms: i64::MAX }];
    };
    check_failure(&normal(200), all, &["every step is excluded", "use fewer"]);
    let query = |it: &mut Options| it.history.exclude.queries = vec!["ALERTS".to_owned()];
    check_failure(&normal(200), query, &["not of a CSV file; exclude ranges instead"]);
    let gone = |it: &mut Options| it.history.source = Source::Csv("gone.csv".into());
    check_failure("", gone, &["cannot read gone.csv"]);
    let nowhere = |it: &mut Options| it.output = it.output.join("absent/model.onnx");
    check_failure(&normal(200), nowhere, &["cannot write "]);
}

/// Of a few trials the best makes the model, and the summary and the page say by what.
#[test]
fn tuning_takes_the_trial_that_tells_faults_best() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path(), &normal(600));
    options.tune = Some(TrialBudget { trials: 4, executions: 2 });
    let summary = run(&options).expect("a model");
    let tuning = summary.tuning.as_ref().expect("trials");
    assert_eq!(tuning.trials.len(), 4);
    let figures: Vec<f64> =
        tuning.trials.iter().map(|it| it.figure().expect("it is complete")).collect();
    assert!(figures.iter().all(|it| (0.5..1.0).contains(it)), "{figures:?}");
    let best = tuning.best.expect("one");
    assert_eq!(figures.iter().copied().fold(0.0, f64::max), figures[best]);
    assert_eq!(summary.config.layers, tuning.trials[best].trial.layers);
    assert_eq!(summary.config.window, tuning.trials[best].trial.window);
    // Every kind of fault was laid, with the same ones for both executions.
    for outcome in &tuning.trials {
        assert_eq!(outcome.executions.len(), 2);
        assert!(outcome.executions.iter().all(|it| it.figure.kinds.len() == 6));
    }
    let text = summary.to_string();
    let line = format!("4, best {}, which tells faults by {:.3}", best + 1, figures[best]);
    assert!(text.contains(&line) && text.contains("(ROC AUC)"), "{text}");
    let page = page(&summary, "portent train");
    assert!(page.contains("faults told") && page.contains("area under the ROC curve"));
    assert!(page.contains(&format!("{:.3}", figures[0])));
    let (_, metadata) = load(&options.output);
    assert_eq!(metadata, summary.metadata);
}

/// A server that answers everything alike, as long as the test runs. Gives its address.
fn server(status: &'static str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            // A request fits into one read: its body is a short form.
            let mut request = [0; 16_384];
            if stream.read(&mut request).is_ok_and(|length| length > 0) {
                // The client may be gone.
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    format!("http://{address}")
}

/// A server that answers each expression for steps by a function, or refuses them because of their
/// label sets. Gives its address.
fn serving(
    answer: impl Fn(&str, std::ops::RangeInclusive<usize>) -> Option<String> + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 16_384];
            let Ok(length) = stream.read(&mut request) else { continue };
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let Some((_, form)) = text.split_once("\r\n\r\n") else { continue };
            let value = |key: &str| {
                let pair = form.split('&').find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
                pair.unwrap_or_default().to_owned()
            };
            let step = |key: &str| {
                let ms = 1_000.0 * value(key).parse::<f64>().expect("seconds");
                ((ms as i64 - START_MS) / STEP_MS) as usize
            };
            let (status, body) = match answer(&value("query"), step("start")..=step("end")) {
                Some(results) => ("200 OK", matrix(&results)),
                None => (
                    "422 Unprocessable Entity",
                    r#"{"status":"error","errorType":"execution","error":"multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"}"#.to_owned(),
                ),
            };
            // The client may be gone.
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}")
}

/// As [`check_failure`], with an hour of this server's history.
#[track_caller]
fn check_server(url: &str, expected: &[&str]) {
    let change = |options: &mut Options| {
        options.history.features[0] = FeatureSpec::new("load", "node_load1");
        options.history.source = Source::Server(RangeQuery {
            url: url.to_owned(),
            ranges: vec![Range { start_ms: START_MS, end_ms: START_MS + 3_600_000 }],
            step: portent::duration::Duration::from_ms(STEP_MS),
            delay: portent::duration::Duration::from_ms(0),
            resume: None,
        });
    };
    check_failure("", change, expected);
}

fn matrix(results: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{results}]}}}}"#)
}

#[test]
fn a_server_that_does_not_help_leaves_no_file_either() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let url = format!("http://{address}");
    check_server(&url, &["cannot reach ", &url, "is the server running"]);
    let credentials = ["(status 401)", "put them into history.http_config"];
    check_server(&server("401 Unauthorized", ""), &credentials);
    let none = ["no value for load at any of 241 steps of 15s", "look at the expressions"];
    check_server(&server("200 OK", &matrix("")), &none);
    let twice = ["eth0", "eth1"].map(|device| {
        format!(
            r#"{{"metric":{{"instance":"x","device":"{device}"}},"values":[[{0},"{0}"]]}}"#,
            START_MS / 1_000
        )
    });
    let advice = [r#"two series for the entity {instance="x"}: aggregate them"#, "node_load1"];
    check_server(&server("200 OK", &matrix(&twice.join(","))), &advice);
    // An entity that is as it should be, for one step.
    let one = &twice[..1].join(",");
    check_server(&server("200 OK", &matrix(one)), &["windows of 10 steps", "longer range"]);
}
