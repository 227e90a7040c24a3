//! The core from samples to scores, with virtual time and a model whose answer is known: it expects
//! every feature to be zero, so an entity's error is the mean square of its features.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use portent::detect::{
    DetectConfig, EntityScore, LoadedModel, ModelSnapshot, Pipeline, RangeCount, Snapshot,
};
use portent::duration::Duration;
use portent::features::{ABSENCE_MEMORY_MS, Absence, FeatureSpec, Missing};
use portent::labels::Labels;
use portent::model::graph::Graph;
use portent::model::{
    AdaptiveThreshold, Artifact, Dim, FeatureRange, ModelConfig, Runtime, Scorer,
};
use portent::promql::parse_selector;
use portent::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use portent::series::{
    Excerpt, ExcerptError, ExcerptLimits, ExcerptRequest, Listing, StorageConfig, Store,
};

const NOW: i64 = 1_700_000_010_000;
const STEP: i64 = 15_000;
const ENDED: f64 = f64::from_bits(STALE_NAN_BITS);

/// A graph that answers every input with zeros of its shape.
fn zeros(shape: &[Dim]) -> bytes::Bytes {
    let mut graph = Graph::new("zeros");
    graph.input("features", shape);
    graph.constant("zero", &[], &[0.0]);
    graph.node("Mul", &["features", "zero"], "reconstruction");
    graph.output("reconstruction", shape);
    graph.encode(Vec::new())
}

fn model(name: &str, specs: &[FeatureSpec], window: usize) -> LoadedModel {
    let n = Dim::Dynamic("n".to_owned());
    let shape = match window {
        1 => vec![n, Dim::Fixed(specs.len())],
        _ => vec![n, Dim::Fixed(window), Dim::Fixed(specs.len())],
    };
    let artifact = Artifact::read(zeros(&shape)).expect("our own graph");
    let config = ModelConfig {
        name: name.to_owned(),
        file: Some(PathBuf::from("zeros.onnx")),
        entity: Some(vec!["job".to_owned(), "instance".to_owned()]),
        features: Some(specs.to_vec()),
        step: Some(Duration::from_ms(STEP)),
        window: Some(window),
        threshold: Some(4.0),
        outputs: None,
    };
    let metadata = artifact.resolve(&config).expect("the configuration says everything");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` gets it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a model of the contract");
    LoadedModel { name: name.to_owned(), metadata, scorer, digest: artifact.digest() }
}

/// A tick looks at its own time, so that tests have one time alone.
fn at_once() -> DetectConfig {
    DetectConfig { evaluation_delay: Duration::from_ms(0), ..DetectConfig::default() }
}

fn pipeline(models: Vec<LoadedModel>) -> Pipeline {
    Pipeline::new(at_once(), StorageConfig::default(), models).expect("good features")
}

fn one(specs: &[FeatureSpec]) -> Pipeline {
    pipeline(vec![model("zeros", specs, 1)])
}

fn ab() -> [FeatureSpec; 2] {
    [FeatureSpec::new("a", "m_a"), FeatureSpec::new("b", "m_b")]
}

fn push(pipeline: &mut Pipeline, name: &str, host: &str, t: i64, value: f64) {
    let labels = Labels::from_pairs([("__name__", name), ("job", "node"), ("instance", host)]);
    let samples = vec![Sample::new(t, value)];
    let series = vec![BatchSeries::new(labels.expect("distinct names"), samples)];
    assert_eq!(pipeline.append(t, &Batch::of(series)).rejected(), 0);
}

fn tick(pipeline: &mut Pipeline, now: i64) -> Arc<Snapshot> {
    pipeline.tick(now, &|| StdDuration::ZERO)
}

fn only(snapshot: &Snapshot) -> &ModelSnapshot {
    assert_eq!(snapshot.models.len(), 1);
    &snapshot.models[0]
}

fn scores(snapshot: &Snapshot) -> Vec<(String, f64)> {
    let text = |e: &EntityScore| (e.entity.get("instance").to_owned(), e.score);
    only(snapshot).entities.iter().map(text).collect()
}

#[test]
fn the_score_is_the_error_divided_by_the_threshold() {
    let mut pipeline = one(&ab());
    for (host, a, b) in [("y", 0.0, 2.0), ("x", 4.0, 2.0)] {
        push(&mut pipeline, "m_a", host, NOW, a);
        push(&mut pipeline, "m_b", host, NOW, b);
    }
    let snapshot = tick(&mut pipeline, NOW);
    assert_eq!(scores(&snapshot), [("x".to_owned(), 2.5), ("y".to_owned(), 0.5)]);
    let x = &only(&snapshot).entities[0];
    assert_eq!((x.error, x.newest_ms), (10.0, NOW));
    let shares = |entity: &EntityScore| -> Vec<(u32, f32)> {
        entity.contributions().map(|it| (it.feature, it.contribution)).collect()
    };
    assert_eq!(shares(x), [(0, 0.8), (1, 0.2)], "the largest first, shares of one");
    assert_eq!(shares(&only(&snapshot).entities[1]), [(1, 1.0)], "no share, no entry");
    assert_eq!((only(&snapshot).threshold, only(&snapshot).evaluation.scored), (4.0, 2));
}

#[test]
fn who_was_explained_is_remembered_for_nine_evaluations() {
    let mut pipeline = one(&ab());
    // Scores of 0.125 and 1.125.
    let mut tick_at = |t: i64| {
        for (host, value) in [("calm", 1.0), ("loud", 3.0)] {
            push(&mut pipeline, "m_a", host, t, value);
            push(&mut pipeline, "m_b", host, t, 0.0);
        }
        tick(&mut pipeline, t)
    };
    assert!(tick_at(NOW).earlier.is_empty());
    for i in 1..=12 {
        let snapshot = tick_at(NOW + i * 15_000);
        assert_eq!(only(&snapshot).entities.len(), 2);
        let earlier = &snapshot.earlier;
        assert_eq!(earlier.len(), 9.min(i as usize));
        for (before, model) in (1..).zip(earlier) {
            assert_eq!(model.time_ms, NOW + (i - before) * 15_000);
            let [loud] = &model.entities[..] else { panic!("{model:?}") };
            assert_eq!((loud.entity.get("instance"), loud.score), ("loud", 1.125));
            assert_eq!(loud.features[0].actual, 3.0);
        }
    }
}

#[test]
fn a_host_that_stops_has_no_score_at_the_next_tick() {
    let mut pipeline = one(&ab());
    push(&mut pipeline, "m_a", "x", NOW, 1.0);
    push(&mut pipeline, "m_b", "x", NOW, 1.0);
    assert_eq!(scores(&tick(&mut pipeline, NOW)).len(), 1);
    let stale = f64::from_bits(STALE_NAN_BITS);
    push(&mut pipeline, "m_a", "x", NOW + 1, stale);
    push(&mut pipeline, "m_b", "x", NOW + 1, stale);
    let snapshot = tick(&mut pipeline, NOW + STEP);
    assert_eq!(scores(&snapshot), []);
    assert_eq!(only(&snapshot).evaluation.stale, 1);
}

#[test]
fn a_silent_host_keeps_its_score_for_the_limit_and_no_longer() {
    let mut pipeline = one(&ab());
    push(&mut pipeline, "m_a", "x", NOW, 1.0);
    push(&mut pipeline, "m_b", "x", NOW, 1.0);
    assert_eq!(scores(&tick(&mut pipeline, NOW + 105_000)).len(), 1);
    assert_eq!(scores(&tick(&mut pipeline, NOW + 120_000)).len(), 0);
}

#[test]
fn a_missing_feature_means_no_score_and_is_counted() {
    let [a, b] = ab();
    let mut pipeline = one(&[a, b, FeatureSpec::new("c", "m_c").or(Missing::Fill(0.0))]);
    push(&mut pipeline, "m_a", "x", NOW, 1.0);
    let snapshot = tick(&mut pipeline, NOW);
    assert_eq!(scores(&snapshot), []);
    let evaluation = &only(&snapshot).evaluation;
    assert_eq!((evaluation.incomplete, evaluation.scored), (1, 0));
    // Own, common, held, filled, ambiguous, absent.
    let counts = [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0]];
    assert_eq!(evaluation.provenance, counts);
    push(&mut pipeline, "m_b", "x", NOW + 1, 1.0);
    assert_eq!(scores(&tick(&mut pipeline, NOW + STEP)).len(), 1, "c is filled");
}

#[test]
fn a_model_is_evaluated_once_an_interval() {
    let mut pipeline = one(&ab());
    assert_eq!(pipeline.next_tick_ms(NOW), Some(NOW + STEP), "at multiples of 15 s");
    assert_eq!(pipeline.next_tick_ms(NOW + 1), Some(NOW + STEP));
    push(&mut pipeline, "m_a", "x", NOW, 1.0);
    push(&mut pipeline, "m_b", "x", NOW, 1.0);
    let first = tick(&mut pipeline, NOW);
    let second = tick(&mut pipeline, NOW + 1);
    assert_eq!((only(&second).time_ms, second.time_ms), (NOW, NOW + 1), "not due");
    assert_eq!(scores(&first), scores(&second));
    // A clock that is set back does not silence it.
    assert_eq!(only(&tick(&mut pipeline, NOW - 60_000)).time_ms, NOW - 60_000);
}

#[test]
fn a_tick_looks_at_what_was_measured_up_to_the_delay_before() {
    let config = DetectConfig::default();
    let delay_ms = config.evaluation_delay.as_ms();
    assert_eq!(delay_ms, 7_000);
    let models = vec![model("zeros", &ab(), 1)];
    let mut pipeline = Pipeline::new(config, StorageConfig::default(), models).expect("good");
    for (age_ms, value) in [(15_000 + delay_ms, 2.0), (delay_ms, 4.0), (delay_ms - 1, 6.0)] {
        push(&mut pipeline, "m_a", "x", NOW - age_ms, value);
        push(&mut pipeline, "m_b", "x", NOW - age_ms, value);
    }
    let snapshot = tick(&mut pipeline, NOW);
    assert_eq!((only(&snapshot).time_ms, scores(&snapshot)), (NOW, vec![("x".to_owned(), 4.0)]));
    assert_eq!(only(&snapshot).entities[0].newest_ms, NOW - delay_ms);
    let seen = query(&pipeline, r#"portent:feature{feature="a"}"#, i64::MAX);
    assert_eq!(seen[0].1, [(NOW - delay_ms, 4.0)]);
}

#[test]
fn each_model_is_evaluated_at_multiples_of_its_own_step() {
    let models = || {
        let mut minutely = model("minutely", &ab(), 1);
        minutely.metadata.step = Duration::from_seconds(60);
        vec![model("quarterly", &ab(), 1), minutely]
    };
    let mut pipeline = pipeline(models());
    let minute = NOW - NOW.rem_euclid(60_000);
    let times = |pipeline: &mut Pipeline, now: i64| -> Vec<i64> {
        tick(pipeline, now).models.iter().map(|model| (model.time_ms - minute) / 1_000).collect()
    };
    assert_eq!(times(&mut pipeline, minute - 15_000), [-15]);
    assert_eq!(times(&mut pipeline, minute), [0, 0]);
    assert_eq!(times(&mut pipeline, minute + 45_000), [45, 0]);
    // The tick at the minute is missed: the next quarter is none of the other's steps.
    assert_eq!(times(&mut pipeline, minute + 75_000), [75, 0]);
    pipeline.reconfigure(at_once(), StorageConfig::default(), models()).expect("good");
    // A reload of what is there changes nothing.
    assert_eq!(times(&mut pipeline, minute + 90_000), [90, 0]);
    assert_eq!(times(&mut pipeline, minute + 120_000), [120, 120]);
}

#[test]
fn a_lag_is_that_of_the_models_own_last_evaluation() {
    let mut minutely = model("minutely", &ab(), 1);
    minutely.metadata.step = Duration::from_seconds(60);
    let mut pipeline = pipeline(vec![minutely, model("quarterly", &ab(), 1)]);
    let minute = NOW - NOW.rem_euclid(60_000);
    // Each look at the watch is 100 ms after the one before.
    let mut lags = |now: i64, late_ms: u64| -> Vec<u128> {
        let looks = std::cell::Cell::new(0);
        let stopwatch = || {
            looks.set(looks.get() + 1);
            StdDuration::from_millis(late_ms + 100 * looks.get())
        };
        let snapshot = pipeline.tick(now, &stopwatch);
        snapshot.models.iter().map(|model| model.evaluation.lag.as_millis()).collect()
    };
    // Three looks for each model, and the last when both are there.
    assert_eq!(lags(minute, 2_000), [2_700, 2_700]);
    assert_eq!(lags(minute + 15_000, 0), [2_700, 400]);
}

#[test]
fn measured_values_outside_of_the_range_of_training_are_counted() {
    let range = |lower, upper| Some(FeatureRange { lower, upper });
    let [a, b] = ab();
    let specs = [a, b.or(Missing::Fill(9.0))];
    let ranges = |ranges: Vec<Option<FeatureRange>>| {
        let mut model = model("zeros", &specs, 1);
        model.metadata.ranges = ranges;
        let mut pipeline = pipeline(vec![model]);
        for (host, value) in [("v", 0.0), ("w", 2.0), ("x", 2.5), ("y", -0.5)] {
            push(&mut pipeline, "m_a", host, NOW, value);
        }
        // Of the others b is filled in, and z, without a, is not complete.
        push(&mut pipeline, "m_b", "v", NOW, 1.5);
        push(&mut pipeline, "m_b", "z", NOW, 1.5);
        let snapshot = tick(&mut pipeline, NOW);
        assert_eq!(only(&snapshot).entities.len(), 4);
        only(&snapshot).evaluation.ranges.clone()
    };
    let count = |own, outside| RangeCount { own, outside };
    assert_eq!(ranges(vec![range(0.0, 2.0), range(-1.0, 1.0)]), [count(4, 2), count(1, 1)]);
    assert_eq!(ranges(vec![None, range(1.5, 1.5)]), [count(0, 0), count(1, 0)]);
    assert_eq!(ranges(Vec::new()), []);
}

#[test]
fn a_window_must_fill_first() {
    let mut pipeline = pipeline(vec![model("zeros", &ab(), 3)]);
    let aligned = NOW - NOW.rem_euclid(STEP);
    for i in 0..3 {
        let t = aligned + i * STEP;
        push(&mut pipeline, "m_a", "x", t, 2.0);
        push(&mut pipeline, "m_b", "x", t, 2.0);
        let snapshot = tick(&mut pipeline, t);
        let evaluation = &only(&snapshot).evaluation;
        let full = usize::from(i == 2);
        assert_eq!((evaluation.scored, evaluation.warming), (full, 1 - full), "step {i}");
    }
}

/// Its window is full from the first tick on, and what was said before is there until then.
#[test]
fn a_model_that_is_what_it_was_goes_on_over_a_reload() {
    let aligned = NOW - NOW.rem_euclid(STEP);
    let step = |pipeline: &mut Pipeline, i: i64| {
        let t = aligned + i * STEP;
        push(pipeline, "m_a", "x", t, 2.0);
        push(pipeline, "m_b", "x", t, 2.0);
        let snapshot = tick(pipeline, t);
        let of = |name: &str| {
            let model = snapshot.models.iter().find(|it| it.model == name).expect("evaluated");
            (model.evaluation.scored, model.evaluation.warming)
        };
        (of("a"), of("b"))
    };
    let b = |threshold| {
        let mut b = model("b", &ab()[..1], 3);
        b.metadata.threshold = threshold;
        b
    };
    let mut pipeline = pipeline(vec![model("a", &ab(), 3), b(4.0)]);
    let full = ((1, 0), (1, 0));
    assert_eq!(
        [0, 1, 2].map(|i| step(&mut pipeline, i)),
        [((0, 1), (0, 1)), ((0, 1), (0, 1)), full]
    );
    // In another order, with other settings of everything that is no model's.
    let storage = StorageConfig {
        retention: Some(Duration::from_seconds(3_600)),
        ..StorageConfig::default()
    };
    let config = DetectConfig { explain_above: 0.1, adaptive_threshold: false, ..at_once() };
    pipeline
        .reconfigure(config.clone(), storage.clone(), vec![b(4.0), model("a", &ab(), 3)])
        .expect("good");
    assert_eq!(step(&mut pipeline, 3), full);
    // One that is another model is new; the other one goes on.
    pipeline.reconfigure(config, storage, vec![model("a", &ab(), 3), b(5.0)]).expect("good");
    assert_eq!(step(&mut pipeline, 4), ((1, 0), (0, 1)));
}

#[test]
fn a_windowed_model_is_refused_at_another_interval() {
    let config = DetectConfig {
        evaluation_interval: Some(Duration::from_seconds(30)),
        ..DetectConfig::default()
    };
    let models = vec![model("zeros", &ab(), 3)];
    let error = Pipeline::new(config, StorageConfig::default(), models).expect_err("refused");
    let said = error.to_string();
    assert!(said.contains("steps of 15s") && said.contains("every 30s"), "{said}");
}

#[test]
fn other_models_take_over_between_two_ticks_and_series_stay() {
    let mut pipeline = one(&ab());
    push(&mut pipeline, "m_a", "x", NOW, 4.0);
    push(&mut pipeline, "m_b", "x", NOW, 0.0);
    assert_eq!(scores(&tick(&mut pipeline, NOW)), [("x".to_owned(), 2.0)]);
    let models = vec![model("new", &ab()[..1], 1)];
    let config = at_once();
    pipeline.reconfigure(config.clone(), StorageConfig::default(), models).expect("good");
    assert_eq!(pipeline.store().stats().series, 1, "nobody wants m_b any more");
    let snapshot = tick(&mut pipeline, NOW + STEP);
    assert_eq!(only(&snapshot).model, "new");
    assert_eq!(scores(&snapshot), [("x".to_owned(), 4.0)]);
    // A model that cannot be computed changes nothing.
    let mut bad = model("bad", &ab(), 1);
    bad.metadata.features[0].expr = "nonsense(".to_owned();
    pipeline.reconfigure(config, StorageConfig::default(), vec![bad]).expect_err("refused");
    assert_eq!(only(&tick(&mut pipeline, NOW + 2 * STEP)).model, "new");
}

#[test]
fn an_error_that_is_not_a_number_is_no_score() {
    let mut pipeline = one(&ab());
    // Finite, but its square overflows f32.
    push(&mut pipeline, "m_a", "x", NOW, 1e30);
    push(&mut pipeline, "m_b", "x", NOW, 1.0);
    let snapshot = tick(&mut pipeline, NOW);
    assert_eq!(scores(&snapshot), []);
    assert_eq!(only(&snapshot).evaluation.not_finite, 1);
}

#[test]
fn two_models_score_side_by_side() {
    let models = vec![model("one", &ab(), 1), model("two", &ab()[..1], 1)];
    let mut pipeline = pipeline(models);
    push(&mut pipeline, "m_a", "x", NOW, 2.0);
    let snapshot = tick(&mut pipeline, NOW);
    assert_eq!(snapshot.models[0].entities.len(), 0);
    assert_eq!(snapshot.models[1].entities[0].score, 1.0);
}

/// Copies of the series that are wanted, feature values among them.
fn excerpt(
    pipeline: &Pipeline,
    wanted: ExcerptRequest,
    limits: ExcerptLimits,
) -> Result<Store, ExcerptError> {
    let mut excerpt = Excerpt::new(vec![wanted], limits);
    while !excerpt.copy_some(pipeline.store())? {}
    pipeline.feature_values().try_for_each(|it| it.copy_into(&mut excerpt))?;
    Ok(excerpt.into_store())
}

/// What a query for a selector sees: label sets and samples, up to a time.
fn query(pipeline: &Pipeline, selector: &str, to_ms: i64) -> Vec<(String, Vec<(i64, f64)>)> {
    let selector = parse_selector(selector).expect("a selector");
    let wanted =
        ExcerptRequest { selector: selector.clone(), from_ms: 0, to_ms, lookback_ms: 300_000 };
    let limits = ExcerptLimits { max_series: 100, max_samples: 100 };
    let mut copy = excerpt(pipeline, wanted, limits).expect("within the limits");
    let id = copy.register(&selector, 0);
    let mut found: Vec<(String, Vec<(i64, f64)>)> = Vec::new();
    for member in copy.members(id) {
        let samples = copy.window(*member, 0, i64::MAX).iter();
        let samples = samples.map(|s| (s.timestamp_ms, if s.is_stale() { -1.0 } else { s.value }));
        found.push((copy.labels(*member).to_string(), samples.collect()));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let mut listing = Listing::new(vec![selector.clone()], 0, to_ms);
    while !listing.list_some(pipeline.store()) {}
    let values = pipeline.feature_values();
    let values = values.flat_map(|it| it.series_in(std::slice::from_ref(&selector), 0, to_ms));
    let listed = listing.into_labels().into_iter().chain(values).count();
    assert_eq!(listed, found.len(), "the same series are listed");
    found
}

#[test]
fn what_a_model_saw_can_be_queried() {
    let [a, b] = ab();
    let mut pipeline = one(&[a, b.or(Missing::Fill(7.0))]);
    push(&mut pipeline, "m_a", "x", NOW, 1.5);
    push(&mut pipeline, "m_b", "x", NOW, 2.5);
    tick(&mut pipeline, NOW);
    push(&mut pipeline, "m_a", "y", NOW + 1, 3.5);
    tick(&mut pipeline, NOW + STEP);
    for (name, host) in [("m_a", "x"), ("m_b", "x")] {
        push(&mut pipeline, name, host, NOW + STEP + 1, f64::from_bits(STALE_NAN_BITS));
    }
    for i in 2..4 {
        tick(&mut pipeline, NOW + i * STEP);
    }
    let name = |feature: &str, instance: &str| {
        format!(
            r#"portent:feature{{feature="{feature}", instance="{instance}", job="node", model="zeros"}}"#
        )
    };
    let at = |i: i64, value: f64| (NOW + i * STEP, value);
    assert_eq!(
        query(&pipeline, r#"{__name__=~"portent:.*",feature!="none"}"#, i64::MAX),
        [
            (name("a", "x"), vec![at(0, 1.5), at(1, 1.5), at(2, -1.0)]),
            (name("a", "y"), vec![at(1, 3.5), at(2, 3.5), at(3, 3.5)]),
            (name("b", "x"), vec![at(0, 2.5), at(1, 2.5), at(2, -1.0)]),
            (name("b", "y"), vec![at(1, 7.0), at(2, 7.0), at(3, 7.0)]),
        ],
        "a stale marker (here -1) ends a series; what is filled in is what the model sees"
    );
    let b = query(&pipeline, r#"portent:feature{feature="b",instance="y"}"#, NOW + STEP);
    assert_eq!(b, [(name("b", "y"), vec![at(1, 7.0)])]);
    assert_eq!(query(&pipeline, r#"portent:feature{model="other"}"#, i64::MAX), []);
    // Five minutes of them are kept.
    tick(&mut pipeline, NOW + 300_000);
    let kept = query(&pipeline, r#"portent:feature{feature="a",instance="x"}"#, i64::MAX);
    assert_eq!(kept[0].1[0], at(1, 1.5));
}

#[test]
fn more_is_kept_when_asked_for() {
    let storage = |keep: &[&str]| StorageConfig {
        keep: keep.iter().map(|text| (*text).to_owned()).collect(),
        retention: Some(Duration::from_seconds(3_600)),
        ..StorageConfig::default()
    };
    let new = |storage| Pipeline::new(DetectConfig::default(), storage, vec![model("m", &ab(), 1)]);
    let mut pipeline = new(storage(&[r#"{job="node"}"#])).expect("good");
    for i in 0..=240 {
        push(&mut pipeline, "other", "x", NOW + i * STEP, i as f64);
    }
    let now = NOW + 240 * STEP;
    let wanted = |lookback_ms| ExcerptRequest {
        selector: parse_selector("other").expect("a selector"),
        from_ms: NOW - 1,
        to_ms: now,
        lookback_ms,
    };
    let limits = ExcerptLimits { max_series: 1, max_samples: 241 };
    assert!(excerpt(&pipeline, wanted(3_600_000), limits).is_ok());
    let error = excerpt(&pipeline, wanted(3_600_001), limits).expect_err("too far back");
    assert!(error.to_string().contains("storage.retention"), "{error}");
    let config = DetectConfig::default();
    pipeline.reconfigure(config, storage(&[]), vec![model("m", &ab(), 1)]).expect("good");
    assert_eq!(pipeline.store().stats().series, 0, "nobody wants it any more");
    let error = new(storage(&["up", "rate(up[5m])"])).expect_err("no selector");
    assert!(error.to_string().starts_with("storage.keep: "), "{error}");
}

#[test]
fn a_host_that_was_away_goes_on_with_its_threshold() {
    const MINUTE: i64 = 60_000;
    let mut model = model("zeros", &ab(), 1);
    model.metadata.step = Duration::from_ms(MINUTE);
    model.metadata.adaptive_threshold = Some(AdaptiveThreshold::default());
    let mut pipeline = pipeline(vec![model]);
    let start = NOW - NOW.rem_euclid(MINUTE);
    let mut minute = 0;
    // So many minutes with these hosts, and what is said of x at the last.
    let mut run = |minutes: i64, hosts: &[&str]| {
        let mut last = None;
        for _ in 0..minutes {
            minute += 1;
            let now = start + minute * MINUTE;
            for host in hosts {
                push(&mut pipeline, "m_a", host, now, 4.0);
                push(&mut pipeline, "m_b", host, now, 4.0);
            }
            let snapshot = tick(&mut pipeline, now);
            let x = only(&snapshot).entities.iter().find(|it| it.entity.get("instance") == "x");
            last = Some((x.map(|it| (it.score, it.threshold)), snapshot));
        }
        last.expect("some minutes")
    };
    let (before, snapshot) = run(300, &["x", "y"]);
    let (score, threshold) = before.expect("a score");
    assert_eq!((score, threshold), (4.0, 4.0));
    let bytes = snapshot.state_bytes;
    // A machine is upgraded. It is not among those that are counted, nor are its values kept.
    let (_, snapshot) = run(20, &["y"]);
    let evaluation = &only(&snapshot).evaluation;
    assert_eq!(snapshot.store.series, 2, "its series are evicted");
    assert_eq!((evaluation.scored, evaluation.stale, evaluation.away), (1, 0, 1));
    assert_eq!((evaluation.forgotten, snapshot.state_bytes), (0, bytes));
    let (after, snapshot) = run(1, &["x", "y"]);
    assert_eq!(after, before);
    assert_eq!((only(&snapshot).evaluation.away, snapshot.state_bytes), (0, bytes));
    // Another host has nothing of it, neither while it is away nor in its place.
    // A week and two hours, and some more.
    const FORGOTTEN: i64 = 170 * 60 + 100;
    for minutes in [20, FORGOTTEN] {
        let (_, snapshot) = run(minutes, &["y"]);
        assert_eq!(only(&snapshot).evaluation.away, usize::from(minutes == 20));
        let (_, snapshot) = run(1, &["y", "z"]);
        let thresholds: Vec<f64> = only(&snapshot).entities.iter().map(|it| it.threshold).collect();
        // After a week y has had its score at this hour of seven days, too.
        let of_y = if minutes == 20 { threshold } else { 1.25 * threshold };
        assert_eq!(thresholds, [of_y, 1.0]);
    }
    // It has been away for longer than the threshold looks back.
    assert_eq!(run(1, &["x", "y"]).0, Some((4.0, 1.0)));
    let x = query(&pipeline, r#"portent:feature{feature="a",instance="x"}"#, i64::MAX);
    assert_eq!(x[0].1, [(start + minute * MINUTE, 4.0)]);
}

/// Who misses which features, and who is absent, by instance.
fn absences(snapshot: &Snapshot) -> (Vec<(String, Vec<u32>)>, Vec<String>) {
    let found = &only(snapshot).evaluation.absences;
    let name = |entity: &Labels| entity.get("instance").to_owned();
    let lacking = found.lacking.iter().map(|it| (name(&it.entity), it.features.clone()));
    (lacking.collect(), found.entities.iter().map(|it| name(&it.entity)).collect())
}

#[test]
fn a_feature_that_is_gone_is_a_finding_and_takes_the_score_where_it_is_told_to() {
    let filled = |absence| FeatureSpec::new("b", "m_b").or(Missing::Hold).when_gone(absence);
    for absence in [Absence::Ignore, Absence::NoScore, Absence::Anomalous] {
        let mut pipeline = one(&[FeatureSpec::new("a", "m_a"), filled(absence)]);
        let mut at = |step: i64, has_b: bool| {
            let now = NOW + step * STEP;
            push(&mut pipeline, "m_a", "x", now, 2.0);
            push(&mut pipeline, "m_a", "y", now, 2.0);
            push(&mut pipeline, "m_b", "y", now, 2.0);
            push(&mut pipeline, "m_b", "x", now, if has_b { 2.0 } else { ENDED });
            tick(&mut pipeline, now)
        };
        for step in 0..20 {
            let snapshot = at(step, true);
            assert_eq!(absences(&snapshot), (vec![], vec![]));
        }
        assert_eq!(absences(&at(26, false)).0, []);
        (27..30).for_each(|step| drop(at(step, false)));
        let snapshot = at(30, false);
        let is_finding = absence != Absence::Ignore;
        let expected = is_finding.then(|| ("x".to_owned(), vec![1]));
        assert_eq!(absences(&snapshot).0, Vec::from_iter(expected), "{absence}");
        let of_x: &[u32] = if is_finding { &[1] } else { &[] };
        let absences_now = &only(&snapshot).evaluation.absences;
        assert_eq!(absences_now.by_feature(2), [0, u32::from(is_finding)]);
        let x = Labels::from_pairs([("job", "node"), ("instance", "x")]).expect("two names");
        assert_eq!(absences_now.of(&x), of_x);
        assert_eq!(absences(&at(31, true)).0, []);
    }
}

#[test]
fn a_host_that_had_a_score_is_absent_until_it_returns_or_for_a_day() {
    let mut host = model("zeros", &ab(), 1);
    // So that entities are remembered for a week.
    host.metadata.adaptive_threshold = Some(AdaptiveThreshold::default());
    let mut pipeline = pipeline(vec![host]);
    let both = |pipeline: &mut Pipeline, host: &str, now: i64, value: f64| {
        push(pipeline, "m_a", host, now, value);
        push(pipeline, "m_b", host, now, value);
    };
    both(&mut pipeline, "gone", NOW, 1.0);
    both(&mut pipeline, "stays", NOW, 1.0);
    // It never has a score.
    push(&mut pipeline, "m_a", "half", NOW, 1.0);
    let found = tick(&mut pipeline, NOW);
    assert_eq!((scores(&found).len(), absences(&found).1), (2, vec![]));
    let absent = |pipeline: &mut Pipeline, now: i64| {
        both(pipeline, "stays", now, 1.0);
        absences(&tick(pipeline, now)).1
    };
    both(&mut pipeline, "gone", NOW + STEP, ENDED);
    push(&mut pipeline, "m_a", "half", NOW + STEP, ENDED);
    assert_eq!(absent(&mut pipeline, NOW + STEP), ["gone"]);
    // It has a score again, and goes for good.
    both(&mut pipeline, "gone", NOW + 2 * STEP, 1.0);
    assert!(absent(&mut pipeline, NOW + 2 * STEP).is_empty());
    both(&mut pipeline, "gone", NOW + 3 * STEP, ENDED);
    let found = tick(&mut pipeline, NOW + 3 * STEP);
    let last = &only(&found).evaluation.absences.entities[0];
    assert_eq!(last.scored_ms, NOW + 2 * STEP);
    // First stale, then away.
    let end = NOW + 2 * STEP + ABSENCE_MEMORY_MS;
    let mut away = 0;
    for now in (NOW + 20 * STEP..end).step_by(40 * STEP as usize) {
        assert_eq!(absent(&mut pipeline, now), ["gone"], "{now}");
        let snapshot = pipeline.tick(now, &|| StdDuration::ZERO);
        away = away.max(only(&snapshot).evaluation.away);
    }
    assert_eq!(away, 2);
    assert!(absent(&mut pipeline, end).is_empty());
}
