use super::*;
use crate::duration::Duration;
use crate::features::{FeatureSpec, Features, Observed, Playback};
use crate::labels::Labels;
use crate::model::graph::{Attribute, Graph};
use crate::model::{
    AdaptiveThreshold, Artifact, Dim, HourlyMaxima, LevelSpec, LevelStart, ModelConfig, Remembered,
    Runtime,
};
use crate::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use crate::series::{StorageConfig, Store};

const STEP: i64 = 300_000;
const HOUR: i64 = 3_600_000;
const NAN: f32 = f32::NAN;

fn shape(rest: &[usize]) -> Vec<Dim> {
    let rest = rest.iter().map(|len| Dim::Fixed(*len));
    std::iter::once(Dim::Dynamic("N".to_owned())).chain(rest).collect()
}

const DROP: [Attribute; 1] = [Attribute::Int("keepdims", 0)];
const KEEP: [Attribute; 1] = [Attribute::Int("keepdims", 1)];

/// The error is the sum of both features, of which each has its share.
fn sum() -> Graph {
    let mut graph = Graph::new("sum");
    graph.input("x", &shape(&[2])).integers("axis", &[1]);
    graph.node_with("ReduceSum", &["x", "axis"], "score", &DROP);
    graph.node_with("ReduceSum", &["x", "axis"], "total", &KEEP);
    graph.node("Div", &["x", "total"], "contribution");
    graph.output("score", &shape(&[])).output("contribution", &shape(&[2]));
    graph
}

/// The error is the sum of all values of three steps.
fn sum_of_three_steps() -> Graph {
    let mut graph = Graph::new("sum of three steps");
    graph.input("x", &shape(&[3, 2])).integers("axes", &[1, 2]);
    graph.node_with("ReduceSum", &["x", "axes"], "score", &DROP).output("score", &shape(&[]));
    graph
}

/// The error is the distance from the level in its scales.
fn from_level() -> Graph {
    let mut graph = Graph::new("from level");
    graph.input("x", &shape(&[2])).integers("axis", &[1]);
    graph.input("level_mean", &shape(&[2])).input("level_scale", &shape(&[2]));
    graph.node("Sub", &["x", "level_mean"], "from").node("Abs", &["from"], "distance");
    graph.node("Div", &["distance", "level_scale"], "ratio");
    graph.node_with("ReduceSum", &["ratio", "axis"], "score", &DROP).output("score", &shape(&[]));
    graph
}

/// The error is the first feature and a number for each place: 0.5, 0.25, 0.125. For a place beyond
/// them the graph fails.
fn by_place() -> Graph {
    let mut graph = Graph::new("by place");
    graph.input("x", &shape(&[2])).input("entity", &shape(&[])).integers("axis", &[1]);
    graph.constant("numbers", &[3], &[0.5, 0.25, 0.125]);
    // 7 is int64 in TensorProto.DataType.
    graph.node_with("Cast", &["entity"], "place", &[Attribute::Int("to", 7)]);
    graph.node("Gather", &["numbers", "place"], "number");
    graph.node_with("ReduceSum", &["x", "axis"], "sum", &DROP);
    graph.node("Add", &["sum", "number"], "score").output("score", &shape(&[]));
    graph
}

fn level() -> LevelSpec {
    LevelSpec {
        half_life: 20.0,
        prior: 4.0,
        clip: 5.0,
        mean: vec![1.0, 2.0],
        scale: vec![1.0, 1.0],
        floor: vec![0.1, 0.1],
        entities: Vec::new(),
    }
}

fn specs() -> [FeatureSpec; 2] {
    ["a", "b"].map(|name| FeatureSpec::new(name, name))
}

/// A detector with a threshold of 2, and whatever else its file says.
#[track_caller]
fn detector(graph: Graph, adaptive: bool, change: impl FnOnce(&mut Metadata)) -> Detector {
    let entity = vec!["instance".to_owned()];
    let mut metadata = Metadata::new(specs().to_vec(), entity, Duration::from_ms(STEP));
    metadata.threshold = 2.0;
    change(&mut metadata);
    let artifact = Artifact::read(graph.encode(Vec::new())).expect("a file");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("accepted");
    let config = DetectConfig { adaptive_threshold: adaptive, ..DetectConfig::default() };
    Detector::new(&metadata, scorer, STEP, &config)
}

fn labels(instance: &str) -> Labels {
    Labels::from_pairs([("instance", instance)]).expect("one name")
}

/// A detector that is fed by hand, one step after the other.
struct Fed {
    detector: Detector,
    playback: Playback,
    now_ms: i64,
}

impl Fed {
    fn new(detector: Detector, entities: &[&str]) -> Self {
        let labels: Vec<Labels> = entities.iter().map(|name| labels(name)).collect();
        let mask = detector.takes_mask();
        let playback = Playback::of_columns(&specs(), &labels, mask, &[false; 2], &[]);
        Self { detector, playback, now_ms: 0 }
    }

    /// The step that follows, with the rows of all entities.
    fn judge(&mut self, rows: &[Option<[f32; 2]>]) -> Detection {
        self.now_ms += STEP;
        let now_ms = self.now_ms;
        let row = |entity: usize| rows[entity].as_ref().map(|it| Observed::row(it, now_ms));
        self.detector.judge(self.playback.step(self.now_ms, 0, row), self.now_ms)
    }

    /// The same for one entity and its score, if it has one.
    fn score(&mut self, row: [f32; 2]) -> Option<EntityScore> {
        let detection = self.judge(&[Some(row)]);
        assert!(detection.error.is_none() && detection.not_finite == 0, "{detection:?}");
        assert_eq!(detection.scores.len() + detection.warming, 1);
        detection.scores.into_iter().next().map(|(_, score)| score)
    }
}

/// The features that have a share of the error, with it.
fn shares(score: &EntityScore) -> Vec<(u32, f32)> {
    score.contributions().map(|it| (it.feature, it.contribution)).collect()
}

/// A row with this error.
fn error(error: f32) -> [f32; 2] {
    [0.75 * error, 0.25 * error]
}

#[test]
fn a_score_is_the_error_by_the_threshold_and_shares_are_sorted() {
    let mut fed = Fed::new(detector(sum(), true, |_| {}), &["x", "y"]);
    let detection = fed.judge(&[Some([1.0, 3.0]), Some([2.0, 0.0])]);
    assert_eq!(detection.warming, 0);
    let [(0, x), (1, y)] = detection.scores.as_slice() else { panic!("{detection:?}") };
    assert_eq!((x.error, x.score, x.threshold), (4.0, 2.0, 1.0));
    assert_eq!(shares(x), [(1, 0.75), (0, 0.25)]);
    assert_eq!(x.features.iter().map(|it| it.actual).collect::<Vec<_>>(), [3.0, 1.0]);
    assert!(x.features.iter().all(|it| it.expected.is_nan()), "the graph does not tell");
    assert_eq!((x.entity.get("instance"), x.newest_ms), ("x", STEP));
    assert_eq!((y.score, shares(y), y.features.len()), (1.0, vec![(0, 1.0)], 2));
}

/// What was expected comes from the graph, and a value that is filled in says so.
#[test]
fn features_tell_what_was_measured_and_what_was_expected() {
    let mut graph = Graph::new("half");
    graph.input("x", &shape(&[2])).constant("half", &[], &[0.5]);
    graph.node("Mul", &["x", "half"], "y").output("y", &shape(&[2]));
    let mut fed = Fed::new(detector(graph, true, |_| {}), &["x"]);
    let score = fed.score([4.0, 6.0]).expect("a score");
    let own = |feature, contribution, actual, expected| {
        let provenance = Provenance::Own;
        FeatureScore { feature, contribution, actual, expected, provenance }
    };
    let share = |value: f32| (value / 2.0).powi(2) / (4.0 + 9.0);
    let expected = [own(1, share(6.0), 6.0, 3.0), own(0, share(4.0), 4.0, 2.0)];
    for (found, expected) in score.features.iter().zip(expected) {
        near(f64::from(found.contribution), f64::from(expected.contribution));
        assert_eq!(*found, FeatureScore { contribution: found.contribution, ..expected });
    }
    assert_eq!(score.features.len(), 2);
}

#[test]
fn there_is_no_score_until_the_window_is_full() {
    let mut fed = Fed::new(detector(sum_of_three_steps(), true, |it| it.window = 3), &["x"]);
    assert!(fed.score([1.0, 0.0]).is_none());
    assert!(fed.score([2.0, 0.0]).is_none());
    assert_eq!(fed.score([4.0, 0.0]).map(|it| it.error), Some(7.0));
    assert_eq!(fed.score([8.0, 0.0]).map(|it| it.error), Some(14.0));
    // A step at which it lacks a feature, and one at which it is not there, are bridged, as
    // long as that is one step only: two minutes are less than a step.
    for gap in [Some([1.0, NAN]), None] {
        // Half of what was before and half of what is now.
        for (missing, row, expected) in [
            (1, 1.0, Some(13.5)),
            (0, 4.0, Some(9.5)),
            (0, 8.0, Some(13.0)),
            (2, 2.0, None),
            (0, 4.0, None),
            (0, 8.0, Some(14.0)),
        ] {
            for _ in 0..missing {
                let detection = fed.judge(&[gap]);
                assert_eq!((detection.scores.len(), detection.warming), (0, 0));
            }
            let found = fed.score([row, 0.0]).map(|it| it.error);
            assert_eq!(found, expected, "{row} after {missing} missing steps");
        }
    }
    // So does a step that does not follow.
    fed.now_ms += 1;
    assert!(fed.score([1.0, 0.0]).is_none());
}

/// `sum w_i x_i / sum w_i` with `w_i = (1 - alpha)^(age)`.
fn weighted(values: &[f64], span: f64) -> f64 {
    let keep = 1.0 - 2.0 / (span + 1.0);
    let weights: Vec<f64> = (0..values.len()).rev().map(|age| keep.powi(age as i32)).collect();
    let sum: f64 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
    sum / weights.iter().sum::<f64>()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5 * expected.max(1.0), "{found} instead of {expected}");
}

#[track_caller]
fn check_smoothing(spans: &[f64], power: f64, needed: usize) {
    let smoothed = detector(sum(), true, |it| {
        it.smoothing = spans.to_vec();
        it.smoothing_power = power;
    });
    let mut fed = Fed::new(smoothed, &["x"]);
    let rows: Vec<[f32; 2]> =
        (0..60).map(|i| [1.0 + (i * 7 % 5) as f32, 2.0 * (i * 11 % 13) as f32]).collect();
    for i in 0..rows.len() {
        let score = fed.score(rows[i]);
        assert_eq!(score.is_some(), i + 1 >= needed, "step {i}");
        let Some(score) = score else { continue };
        // A part counts as it does in the power of the whole.
        let mean = |value: &dyn Fn(&[f32; 2]) -> f32| {
            let lift = |row: &[f32; 2]| f64::from(row[0] + row[1]).powf(power - 1.0);
            let lifted = rows[..=i].iter().map(|row| f64::from(value(row)) * lift(row));
            let values: Vec<f64> = lifted.collect();
            spans.iter().map(|span| weighted(&values, *span)).sum::<f64>() / spans.len() as f64
        };
        let whole = mean(&|row| row[0] + row[1]);
        let error = whole.powf(1.0 / power);
        near(score.error, error);
        near(score.score, error / 2.0);
        // Parts are smoothed as the whole is, so that they remain its parts.
        let shares = shares(&score);
        let sum: f32 = shares.iter().map(|(_, share)| share).sum();
        near(f64::from(sum), 1.0);
        for (feature, share) in shares {
            near(f64::from(share), mean(&|row| row[feature as usize]) / whole);
        }
    }
}

#[test]
fn an_error_is_smoothed_by_the_mean_of_weighted_means() {
    check_smoothing(&[3.0, 15.0], 1.0, 3);
    check_smoothing(&[15.0, 3.0], 2.0, 3);
    check_smoothing(&[7.5], 1.5, 8);
    check_smoothing(&[2.0, 4.0, 8.0, 16.0], 1.0, 2);
    check_smoothing(&[1.0], 1.0, 1);
    // Nobody waits an hour for a first score.
    check_smoothing(&[20.0, 240.0], 1.5, 10);
}

/// The errors of four steps after so many without one: each is 1, before that they were 8.
fn errors_after(spans: &[f64], absent: usize) -> Vec<Option<f64>> {
    let smoothed = detector(sum(), true, |it| it.smoothing = spans.to_vec());
    let mut fed = Fed::new(smoothed, &["x"]);
    for _ in 0..10 {
        fed.score(error(8.0));
    }
    for _ in 0..absent {
        assert_eq!(fed.judge(&[None]).warming, 0);
    }
    (0..4).map(|_| fed.score(error(1.0)).map(|it| it.error)).collect()
}

#[test]
fn a_gap_as_long_as_the_longest_mean_begins_smoothing_anew() {
    // Thirty steps, if means are shorter than that.
    for (spans, steps) in [(&[3.0][..], 30), (&[3.0, 45.0], 45), (&[60.0, 3.0], 60)] {
        let remembered: Vec<f64> = errors_after(spans, steps - 1).into_iter().flatten().collect();
        assert_eq!(remembered.len(), 4);
        assert!(remembered[0] > 4.4, "{spans:?}: {remembered:?}");
        // What lies before the gap is not part of it; one error alone is no score yet.
        assert_eq!(errors_after(spans, steps), [None, None, Some(1.0), Some(1.0)], "{spans:?}");
    }
    // 8 halves with every step of a span of 3.
    let first = errors_after(&[3.0], 29)[0].expect("a score");
    assert!((4.4..4.6).contains(&first), "{first}");
}

#[test]
fn entities_are_warm_each_by_itself() {
    let smoothed = detector(sum(), true, |it| it.smoothing = vec![2.0]);
    let mut fed = Fed::new(smoothed, &["x", "y"]);
    let [x, y] = [Some(error(1.0)), Some(error(2.0))];
    let count = |it: &Detection| (it.scores.len(), it.warming);
    assert_eq!(count(&fed.judge(&[x, None])), (0, 1));
    assert_eq!(count(&fed.judge(&[x, y])), (1, 1));
    let detection = fed.judge(&[None, y]);
    assert_eq!(count(&detection), (1, 0));
    assert_eq!(detection.scores[0].0, 1, "scores tell their slot");
}

#[test]
fn a_share_that_is_no_number_is_none() {
    // 0 of 0 has no shares.
    let mut fed = Fed::new(detector(sum(), true, |_| {}), &["x"]);
    let score = fed.score([0.0, 0.0]).expect("a score");
    assert_eq!((score.score, shares(&score).len()), (0.0, 0));
    // Nor does it hide an error, or what smoothing remembers of it.
    let mut graph = Graph::new("a share of nothing");
    graph.input("x", &shape(&[2])).integers("axis", &[1]);
    graph.node_with("ReduceSum", &["x", "axis"], "score", &DROP);
    graph.node("Div", &["x", "x"], "contribution");
    graph.output("score", &shape(&[])).output("contribution", &shape(&[2]));
    for graph in [sum(), graph] {
        let smoothed = detector(graph, true, |it| it.smoothing = vec![3.0]);
        let mut fed = Fed::new(smoothed, &["x"]);
        for _ in 0..20 {
            fed.score([8.0, 0.0]);
        }
        let score = fed.score([8.0, 0.0]).expect("a score");
        assert_eq!((score.error, shares(&score)), (8.0, vec![(0, 1.0)]));
        let score = fed.score([0.0, 0.0]).expect("a score");
        near(score.error, 4.0);
        assert_eq!(shares(&score), [(0, 1.0)]);
    }
}

#[test]
fn an_error_that_is_no_number_is_counted_and_not_remembered() {
    let mut graph = Graph::new("logarithm");
    graph.input("x", &shape(&[2])).node("Log", &["x"], "log").integers("axis", &[1]);
    graph.node("Abs", &["log"], "y");
    graph.node_with("ReduceSum", &["y", "axis"], "score", &DROP).output("score", &shape(&[]));
    let smoothed = detector(graph, true, |it| it.smoothing = vec![3.0]);
    let mut fed = Fed::new(smoothed, &["x", "y"]);
    let fine = Some([1.0_f32.exp(), 1.0]);
    for _ in 0..10 {
        fed.judge(&[fine, fine]);
    }
    let detection = fed.judge(&[Some([0.0, 1.0]), fine]);
    assert_eq!((detection.not_finite, detection.warming, detection.scores.len()), (1, 0, 1));
    assert_eq!(detection.scores[0].0, 1);
    let detection = fed.judge(&[fine, fine]);
    assert_eq!((detection.not_finite, detection.scores.len()), (0, 2));
    near(detection.scores[0].1.error, 1.0);
}

fn adapting(adaptive: bool, spec: Option<AdaptiveThreshold>) -> Fed {
    Fed::new(detector(sum(), adaptive, |it| it.adaptive_threshold = spec), &["x"])
}

/// The thresholds of so many hours with a score, the last of each hour.
fn thresholds(fed: &mut Fed, hours: i64, score: f32) -> Vec<f64> {
    let mut found = Vec::new();
    for step in 1..=hours * HOUR / STEP {
        let judged = fed.score(error(2.0 * score)).expect("a score");
        near(judged.score, f64::from(score));
        assert!(judged.threshold >= 1.0);
        if step % (HOUR / STEP) == 0 {
            found.push(judged.threshold);
        }
    }
    found
}

#[test]
fn the_threshold_follows_what_lasts() {
    let mut fed = adapting(true, Some(AdaptiveThreshold::default()));
    // Begins with an hour, so that hours of the clock are hours here.
    fed.now_ms = -STEP;
    assert!(thresholds(&mut fed, 24, 0.5).iter().all(|it| *it == 1.0));
    // News for two turns of the hour, and lasting from then on.
    let risen = thresholds(&mut fed, 24, 3.0);
    assert_eq!(risen[..3], [1.0, 1.0, 3.0], "{risen:?}");
    assert!(risen[3..].iter().all(|it| *it == 3.0), "{risen:?}");
    let judged = fed.score(error(6.0)).expect("a score");
    assert_eq!((judged.threshold, judged.state), (3.0, AnomalyState::Normal));
    let judged = fed.score(error(6.1)).expect("a score");
    assert_eq!((judged.is_anomalous(), judged.state), (true, AnomalyState::New));
    // A week later nothing of it is left.
    assert_eq!(thresholds(&mut fed, 170, 0.5).last(), Some(&1.0));
}

#[test]
fn the_threshold_stays_where_it_was_trained() {
    let adaptive = Some(AdaptiveThreshold::default());
    for mut fed in [adapting(false, adaptive), adapting(true, None)] {
        assert!(thresholds(&mut fed, 48, 3.0).iter().all(|it| *it == 1.0));
        assert_eq!(fed.score(error(6.0)).map(|it| it.state), Some(AnomalyState::New));
        assert_eq!(fed.score(error(2.0)).map(|it| it.state), Some(AnomalyState::Normal));
    }
}

#[test]
fn hours_are_kept_while_they_do_not_count() {
    let mut fed = adapting(false, Some(AdaptiveThreshold::default()));
    fed.now_ms = -STEP;
    assert!(thresholds(&mut fed, 48, 3.0).iter().all(|it| *it == 1.0));
    fed.detector.set_config(&DetectConfig::default());
    assert_eq!(thresholds(&mut fed, 1, 3.0), [3.0]);
}

#[test]
fn a_level_is_that_of_the_steps_before() {
    let new = || Fed::new(detector(from_level(), true, |it| it.level = Some(level())), &["x"]);
    let mut fed = new();
    // Training's level, until anything else is known.
    assert_eq!(fed.score([3.0, 2.0]).map(|it| it.error), Some(2.0));
    let second = fed.score([3.0, 2.0]).expect("a score").error;
    assert!(second < 2.0 && second > 0.5, "{second}");
    // A level that lasts becomes normal.
    let last = (0..500).filter_map(|_| fed.score([3.0, 2.0])).last().expect("scores");
    assert!(last.error < 0.01, "{last:?}");
}

#[test]
fn steps_that_are_judged_together_are_judged_as_one_by_one() {
    let new = || {
        let change = |it: &mut Metadata| {
            (it.level, it.smoothing) = (Some(level()), vec![3.0, 9.0]);
            it.adaptive_threshold = Some(AdaptiveThreshold::default());
        };
        Fed::new(detector(from_level(), true, change), &["x", "y", "z"])
    };
    let value = |entity: usize, i: usize| {
        let x = [1.0 + ((i + entity) * 7 % 11) as f32, 5.0 - (i * 3 % 4) as f32];
        // Each is away for a while, one for so long that it begins anew.
        (i % 97 != entity && !(entity == 1 && (200..290).contains(&i))).then_some(x)
    };
    let rows: Vec<[Option<[f32; 2]>; 3]> =
        (0..600).map(|i| [value(0, i), value(1, i), value(2, i)]).collect();
    let mut fed = new();
    let alone: Vec<Detection> = rows.iter().map(|rows| fed.judge(rows)).collect();

    let Fed { mut detector, mut playback, .. } = new();
    let mut found = Vec::new();
    let mut visit = |step, detection: Result<Detection, ScorerError>| {
        assert_eq!(step, found.len());
        found.push(detection?);
        Ok::<_, ScorerError>(())
    };
    let mut together = Together::new(&mut detector);
    for (step, rows) in rows.iter().enumerate() {
        let now_ms = STEP * (step as i64 + 1);
        let row = |entity: usize| rows[entity].as_ref().map(|it| Observed::row(it, now_ms));
        together.judge((step, now_ms), playback.step(now_ms, 0, row), &mut visit).expect("scores");
    }
    together.finish(&mut visit).expect("scores");
    assert_eq!(found.len(), alone.len());
    let mut scored = 0;
    for (found, alone) in found.iter().zip(&alone) {
        let [found_all, alone_all] = [found, alone].map(|it| format!("{it:?}"));
        assert_eq!(found_all, alone_all);
        scored += found.scores.len();
    }
    assert!(scored > 1_500, "{scored}");
}

#[test]
fn a_graph_is_told_who_it_knows() {
    let knowing = |names: &[&str]| {
        let entities = names.iter().map(|name| vec![(*name).to_owned()]).collect();
        detector(by_place(), true, |it| it.entities = entities)
    };
    let judge = |detector| {
        let mut fed = Fed::new(detector, &["x", "y", "z"]);
        fed.judge(&[Some([1.0, 0.0]); 3])
    };
    let errors = |detection: Detection| -> Vec<f64> {
        detection.scores.iter().map(|(_, score)| score.error).collect()
    };
    assert_eq!(errors(judge(knowing(&["z", "x"]))), [1.125, 1.5, 1.25]);
    assert_eq!(errors(judge(knowing(&[]))), [1.5; 3]);
    // The third is one too many for this graph: no score, and the reason.
    let detection = judge(knowing(&["z", "x", "y"]));
    assert!(detection.scores.is_empty() && detection.warming == 0);
    let error = detection.error.expect("a reason").to_string();
    assert!(error.starts_with("the model fails on an input of shape [3, 2]"), "{error}");
}

/// A level far from what the others have together.
fn own_level() -> LevelStart {
    LevelStart { prior: 40.0, mean: vec![500.0, 2.0], scale: vec![8.0, 1.0], floor: vec![0.5, 0.1] }
}

fn memory(name: &str) -> Remembered {
    Remembered::new(vec![name.to_owned()])
}

#[test]
fn who_is_remembered_begins_at_its_own_level() {
    let detector = detector(from_level(), true, |it| {
        it.level = Some(level());
        it.remembered = vec![memory("z"), memory("x").with_level(own_level())];
    });
    let mut fed = Fed::new(detector, &["x", "y"]);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for step in 0..200 {
        let row = Some([500.0 + [-6.0, 0.0, 6.0][step % 3], 2.0]);
        let detection = fed.judge(&[row, row]);
        let [(0, x), (1, y)] = detection.scores.as_slice() else { panic!("{detection:?}") };
        known.push(x.score);
        unknown.push(y.score);
    }
    assert!(known.iter().all(|it| *it <= 1.0), "{known:?}");
    assert!(unknown[0] > 100.0, "{}", unknown[0]);
    // It needs its time, and no more.
    let calm = unknown.iter().rposition(|it| *it > 1.0).expect("the first") + 1;
    assert!((5..100).contains(&calm), "{calm}");
}

#[test]
fn what_is_remembered_counts_as_memory() {
    let bytes = |remembered: Vec<Remembered>| {
        let detector = detector(from_level(), true, |it| {
            it.level = Some(level());
            it.adaptive_threshold = Some(AdaptiveThreshold::default());
            it.remembered = remembered;
        });
        detector.bytes()
    };
    let full = |i: usize| {
        let hours = HourlyMaxima { last_hour: 0, scores: vec![Some(0.5); 168] };
        memory(&format!("host-{i}")).with_level(own_level()).with_hours(Some(hours))
    };
    let (none, many) = (bytes(Vec::new()), bytes((0..100).map(full).collect()));
    // Labels and two lists, six numbers of a level, a week of hours that may be unknown.
    let least = 100 * ("host-0".len() + 6 * 4 + 168 * 8);
    assert!((least..2 * least).contains(&(many - none)), "{} for {least}", many - none);
}

/// As files of before `portent.remembered` have it, and as they were served.
#[test]
fn the_levels_of_older_files_are_those_of_the_entities_that_the_graph_tells_apart() {
    let mut graph = from_level();
    graph.input("entity", &shape(&[]));
    let entity = vec!["instance".to_owned()];
    let mut metadata = Metadata::new(specs().to_vec(), entity, Duration::from_ms(STEP));
    metadata.entities = vec![vec!["y".to_owned()], vec!["x".to_owned()]];
    let starts = vec![level().start(), own_level()];
    metadata.level = Some(LevelSpec { entities: starts, ..level() });
    let properties = metadata.properties();
    assert!(properties.iter().any(|(_, it)| it.contains(r#""entities":[{"prior":4.0"#)));
    let artifact = Artifact::read(graph.encode(properties)).expect("a file");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("all that is needed");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` installs it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("accepted");
    let detector = Detector::new(&metadata, scorer, STEP, &DetectConfig::default());
    let mut fed = Fed::new(detector, &["x", "y", "z"]);
    let rows = [Some([508.0, 2.0]), Some([3.0, 2.0]), Some([4.0, 2.0])];
    let detection = fed.judge(&rows);
    let errors: Vec<f64> = detection.scores.iter().map(|(_, score)| score.error).collect();
    assert_eq!(errors, [1.0, 2.0, 3.0]);
}

/// What the threshold can use: a week and an hour or two.
const REMEMBERED: i64 = 170 * HOUR;

/// A detector that is fed by a store, as in serving: entities come and go.
struct Served {
    store: Store,
    set: crate::features::FeatureSet,
    detector: Detector,
}

impl Served {
    fn new(detector: Detector) -> Self {
        let mut store = Store::new(StorageConfig::default());
        let features = Features::parse(&specs(), &["instance".to_owned()]).expect("good features");
        let mut set = features.bind(&mut store);
        set.set_retention(REMEMBERED);
        Self { set, store, detector }
    }

    fn push(&mut self, instance: &str, now_ms: i64, values: [f64; 2]) {
        for (name, value) in ["a", "b"].into_iter().zip(values) {
            let labels = Labels::from_pairs([("__name__", name), ("instance", instance)]);
            let samples = vec![Sample::new(now_ms, value)];
            let series = vec![BatchSeries::new(labels.expect("distinct names"), samples)];
            assert_eq!(self.store.append(now_ms, &Batch::of(series)).rejected(), 0);
        }
    }

    fn judge(&mut self, now_ms: i64) -> Detection {
        self.detector.judge(self.set.eval(&self.store, now_ms, 120_000), now_ms)
    }

    /// Scores and thresholds of steps with one entity and these values.
    fn run(&mut self, instance: &str, from_ms: i64, values: &[f64]) -> Vec<Option<(f64, f64)>> {
        let mut found = Vec::new();
        for (now_ms, value) in (from_ms..).step_by(STEP as usize).zip(values) {
            self.push(instance, now_ms, [*value, 2.0]);
            let detection = self.judge(now_ms);
            assert!(detection.scores.iter().all(|(_, it)| it.entity == labels(instance)));
            found.push(detection.scores.first().map(|(_, it)| (it.score, it.threshold)));
        }
        found
    }

    /// An entity ends, and its series are evicted or not when it has been gone for two steps.
    fn end(&mut self, instance: &str, gone_ms: i64, evicts: bool) {
        self.push(instance, gone_ms, [f64::from_bits(STALE_NAN_BITS); 2]);
        for now_ms in [gone_ms, gone_ms + 2 * STEP] {
            assert!(self.judge(now_ms).scores.is_empty());
            if evicts {
                self.store.evict(now_ms + STEP);
            }
        }
        assert_eq!(self.store.stats().series, if evicts { 0 } else { 2 });
        assert!(self.judge(gone_ms + 3 * STEP).scores.is_empty());
        assert_eq!(self.set.matrix().away(), usize::from(evicts));
    }
}

const START: i64 = 1_700_000_100_000;

fn remembering() -> Served {
    Served::new(detector(from_level(), true, |it| {
        it.level = Some(level());
        it.smoothing = vec![3.0];
        it.adaptive_threshold = Some(AdaptiveThreshold::default());
        it.threshold = 0.1;
    }))
}

/// What is said of an entity that comes when x, which has been restless for half a day, has been gone
/// for so long.
fn after(name: &str, away_ms: i64, evicts: bool) -> Vec<Option<(f64, f64)>> {
    let restless: Vec<f64> = (0..150).map(|i| if i % 2 == 0 { 500.0 } else { -500.0 }).collect();
    let later: Vec<f64> = (0..20).map(|i| f64::from(i % 3) * 4.0).collect();
    let gone_ms = START + 150 * STEP;
    let mut served = remembering();
    let before = served.run("x", START, &restless);
    assert!(before.iter().flatten().any(|(_, threshold)| *threshold > 1.0), "{before:?}");
    served.end("x", gone_ms, evicts);
    let after = served.run(name, gone_ms + away_ms, &later);
    // Smoothing goes on over a gap of thirty steps, as it does for who was silent.
    let smooths_on = name == "x" && away_ms <= 30 * STEP;
    assert_eq!(after[..3].iter().flatten().count(), if smooths_on { 3 } else { 1 });
    // Who is new to a detector has the same scores whenever it comes.
    let fresh = remembering().run(name, gone_ms + away_ms, &later);
    assert_eq!(after == fresh, name != "x" || away_ms > REMEMBERED, "{name} after {away_ms} ms");
    after
}

#[test]
fn who_goes_and_returns_goes_on_as_if_it_had_been_silent() {
    for away_ms in [4 * STEP, 50 * STEP, 24 * HOUR] {
        assert_eq!(after("x", away_ms, true), after("x", away_ms, false), "after {away_ms} ms");
    }
}

#[test]
fn who_is_away_for_longer_than_the_limit_starts_afresh() {
    after("x", REMEMBERED + HOUR, true);
}

#[test]
fn another_entity_never_inherits() {
    for away_ms in [4 * STEP, 50 * STEP, 24 * HOUR, REMEMBERED + HOUR, 500 * HOUR] {
        after("y", away_ms, true);
    }
}

#[test]
fn who_is_away_for_twenty_minutes_keeps_its_threshold() {
    let mut served = Served::new(detector(sum(), true, |it| {
        it.adaptive_threshold = Some(AdaptiveThreshold::default());
    }));
    let before = served.run("x", START, &[4.0; 150]);
    let Some(Some((score, threshold))) = before.last() else { panic!("{before:?}") };
    assert_eq!((*score, *threshold), (2.0 + 1.0, 3.0));
    let gone_ms = START + 150 * STEP;
    served.end("x", gone_ms, true);
    let after = served.run("x", gone_ms + 4 * STEP, &[4.0; 20]);
    assert!(after.iter().all(|it| *it == Some((*score, *threshold))), "{after:?}");
}

/// A host whose scores are 3 in every hour of its last week of training.
fn restless(name: &str) -> Remembered {
    let hours = HourlyMaxima { last_hour: 400_000, scores: vec![Some(3.0); 168] };
    memory(name).with_level(own_level()).with_hours(Some(hours))
}

#[test]
fn who_is_remembered_has_its_threshold_at_once_and_whenever_it_begins() {
    let served = || {
        Served::new(detector(from_level(), true, |it| {
            it.level = Some(level());
            it.adaptive_threshold = Some(AdaptiveThreshold::default());
            it.remembered = vec![restless("x")];
        }))
    };
    let values = [516.0, 484.0, 516.0];
    let mut first = served();
    let begun = first.run("x", START, &values);
    // Two of its scales, in thresholds of 2; a quarter more than what each day had at this hour.
    assert_eq!(begun[0], Some((1.0, 1.25 * 3.0)));
    let gone_ms = START + 3 * STEP;
    first.end("x", gone_ms, true);
    // So long that it was forgotten: once more as the file has it.
    let returns_ms = gone_ms + REMEMBERED + 2 * HOUR;
    assert_eq!(first.run("x", returns_ms, &values), begun);
    assert_eq!(served().run("y", START, &values)[0].map(|it| it.1), Some(1.0));
    // While it is remembered it goes on where it was.
    let mut other = served();
    other.run("x", START, &[700.0; 40]);
    other.end("x", START + 40 * STEP, true);
    let later = other.run("x", START + 45 * STEP, &values);
    let score = |it: &[Option<(f64, f64)>]| it[0].map(|(score, _)| score);
    assert!(score(&later).is_some() && score(&later) != score(&begun), "{later:?}");
}
