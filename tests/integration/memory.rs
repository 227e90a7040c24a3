//! What a pipeline remembers, handed to another one: as at the end of a process and the start of the next.

use std::path::PathBuf;
use std::time::Duration as StdDuration;

use ndarray::Array2;
use portent::bytesize::ByteSize;
use portent::detect::{
    AlertingConfig, DetectConfig, LoadedModel, MemoryCursor, MemoryPage, ModelKey, PastEntity,
    Pipeline, Restored, Snapshot, WarmNeeds, Warmed, rehearse,
};
use portent::duration::Duration;
use portent::features::{EntityRecording, FeatureSpec, Recording, Sightings};
use portent::labels::Labels;
use portent::model::graph::{Attribute, Graph};
use portent::model::{
    AdaptiveThreshold, Artifact, Dim, LevelSpec, ModelConfig, Runtime, Scorer, StillSpec,
};
use portent::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use portent::series::StorageConfig;

const STEP: i64 = 60_000;
const START: i64 = 1_700_000_040_000;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The error is the distance of the window's mean from the level, in its scales; each feature has its share.
fn graph() -> Graph {
    let shape = |rest: &[usize]| -> Vec<Dim> {
        let rest = rest.iter().map(|len| Dim::Fixed(*len));
        std::iter::once(Dim::Dynamic("N".to_owned())).chain(rest).collect()
    };
    let (keep, drop) = ([Attribute::Int("keepdims", 1)], [Attribute::Int("keepdims", 0)]);
    let mut graph = Graph::new("from level");
    graph.input("features", &shape(&[3, 4])).integers("steps", &[1]).integers("axis", &[1]);
    graph.input("level_mean", &shape(&[4])).input("level_scale", &shape(&[4]));
    graph.constant("third", &[], &[1.0 / 3.0]).constant("tiny", &[], &[1e-9]);
    graph.node_with("ReduceSum", &["features", "steps"], "three", &drop);
    graph.node("Mul", &["three", "third"], "mean").node("Sub", &["mean", "level_mean"], "from");
    graph.node("Abs", &["from"], "distance").node("Div", &["distance", "level_scale"], "ratio");
    graph.node_with("ReduceSum", &["ratio", "axis"], "score", &drop).output("score", &shape(&[]));
    graph.node_with("ReduceSum", &["ratio", "axis"], "total", &keep);
    graph.node("Add", &["total", "tiny"], "divisor").node(
        "Div",
        &["ratio", "divisor"],
        "contribution",
    );
    graph.output("contribution", &shape(&[4]));
    graph
}

/// A model with everything that is remembered of an entity.
fn model(name: &str, threshold: f64) -> LoadedModel {
    model_of(name, threshold, |it| format!("m_{it}"))
}

/// The same of other expressions.
fn model_of(name: &str, threshold: f64, expr: impl Fn(&str) -> String) -> LoadedModel {
    let artifact = Artifact::read(graph().encode(Vec::new())).expect("our own graph");
    let config = ModelConfig {
        name: name.to_owned(),
        file: Some(PathBuf::from("from-level.onnx")),
        entity: Some(vec!["instance".to_owned()]),
        features: Some(NAMES.map(|it| FeatureSpec::new(it, expr(it))).to_vec()),
        step: Some(Duration::from_ms(STEP)),
        window: Some(3),
        threshold: Some(threshold),
        outputs: None,
    };
    let mut metadata = artifact.resolve(&config).expect("the configuration says everything");
    metadata.smoothing = vec![5.0, 30.0];
    metadata.smoothing_power = 2.0;
    metadata.adaptive_threshold = Some(AdaptiveThreshold::default());
    metadata.still = Some(StillSpec { features: NAMES.map(str::to_owned).to_vec(), usual: 10 });
    metadata.level = Some(LevelSpec {
        half_life: 300.0,
        prior: 4.0,
        clip: 5.0,
        mean: vec![0.0; 4],
        scale: vec![1.0; 4],
        floor: vec![0.1; 4],
        entities: Vec::new(),
    });
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` gets it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a model of the contract");
    LoadedModel { name: name.to_owned(), metadata, scorer, digest: artifact.digest() }
}

fn pipeline(models: Vec<LoadedModel>) -> Pipeline {
    let config = DetectConfig { evaluation_delay: Duration::from_ms(0), ..DetectConfig::default() };
    Pipeline::new(config, StorageConfig::default(), models).expect("good features")
}

fn new() -> Pipeline {
    pipeline(vec![model("m", 1.0)])
}

/// Who is there at a minute, each with the minute that its values are of: x is restless, y stands still from
/// the 2,000th minute on, z is away from the 2,300th to the 2,450th, and w begins at the 2,395th.
fn hosts(minute: i64) -> Vec<(&'static str, i64)> {
    let mut hosts = vec![("x", minute), ("y", minute.min(2_000))];
    if !(2_300..2_450).contains(&minute) {
        hosts.push(("z", minute));
    }
    if minute >= 2_395 {
        hosts.push(("w", minute));
    }
    hosts
}

fn wave(feature: i64, at: i64) -> f64 {
    ((at * (7 + feature)) % 13) as f64 + feature as f64
}

/// A minute of the fleet.
fn push(pipeline: &mut Pipeline, minute: i64) {
    let now_ms = START + minute * STEP;
    let mut series = Vec::new();
    for (host, at) in hosts(minute) {
        for (feature, name) in (0..).zip(NAMES) {
            let name = format!("m_{name}");
            let labels = Labels::from_pairs([("__name__", name.as_str()), ("instance", host)]);
            let ended = host == "z" && minute == 2_299;
            let value = if ended { f64::from_bits(STALE_NAN_BITS) } else { wave(feature, at) };
            let replica = (host == "x").then(|| "first".into());
            let samples = vec![Sample::new(now_ms, value)];
            series.push(BatchSeries {
                replica,
                ..BatchSeries::new(labels.expect("two names"), samples)
            });
        }
    }
    pipeline.append(now_ms, &Batch::of(series));
}

fn step(pipeline: &mut Pipeline, minute: i64) -> std::sync::Arc<Snapshot> {
    push(pipeline, minute);
    pipeline.tick(START + minute * STEP, &|| StdDuration::ZERO)
}

fn pages(pipeline: &Pipeline) -> Vec<MemoryPage> {
    let mut pages = Vec::new();
    let mut next = Some(MemoryCursor::default());
    while let Some(at) = next {
        let (page, after) = pipeline.memory_page(at);
        pages.push(page);
        next = after;
    }
    pages
}

fn restore(pipeline: &mut Pipeline, minute: i64, pages: &[MemoryPage]) -> Restored {
    let mut restored = Restored::default();
    pages.iter().for_each(|page| restored += pipeline.restore(START + minute * STEP, page));
    restored
}

/// What is said of all entities.
fn said(snapshot: &Snapshot) -> String {
    format!("{:?}", snapshot.models[0].entities)
}

const END: i64 = 2_400;

fn lived() -> Pipeline {
    let mut pipeline = new();
    (0..=END).for_each(|minute| drop(step(&mut pipeline, minute)));
    pipeline
}

#[test]
fn who_goes_on_with_it_says_what_an_undisturbed_one_says() {
    let mut undisturbed = lived();
    let pages = pages(&undisturbed);
    let mut other = new();
    let restored = restore(&mut other, END, &pages);
    // x, y, w, and z that is away.
    assert_eq!((restored.entities, restored.foreign), (4, 0));
    assert!(restored.samples >= 12, "{restored:?}");
    let stale_minutes = DetectConfig::default().stale_after.as_ms() / STEP;
    for minute in END + 1..END + 300 {
        let [expected, found] = [&mut undisturbed, &mut other].map(|it| step(it, minute));
        assert_eq!(said(&found), said(&expected), "minute {minute}");
        let [expected, found] = [&expected, &found].map(|it| &it.models[0].evaluation);
        let counts = |it: &portent::detect::Evaluation| {
            (it.scored, it.warming, it.stale, it.incomplete, it.away)
        };
        assert_eq!(counts(found), counts(expected), "minute {minute}");
        if minute > END + stale_minutes {
            assert_eq!(found.absences, expected.absences, "minute {minute}");
        }
    }
    // It was worth comparing: thresholds have risen, y is found to stand still, w has begun.
    let last = step(&mut undisturbed, END + 300);
    let of = |host: &str| {
        let entities = &last.models[0].entities;
        entities.iter().find(|it| it.entity.get("instance") == host).expect("a score")
    };
    assert!(of("x").threshold > 1.0 && of("y").score > 3.0, "{:?} {:?}", of("x"), of("y"));
    assert_eq!(last.models[0].entities.len(), 4);
}

/// A process that was down for five minutes, which its senders then tell it of at once.
#[test]
fn after_a_gap_there_are_scores_within_two_ticks() {
    let mut undisturbed = lived();
    let pages = pages(&undisturbed);
    let mut other = new();
    restore(&mut other, END + 5, &pages);
    (END + 1..=END + 5).for_each(|minute| push(&mut other, minute));
    (END + 1..=END + 5).for_each(|minute| drop(step(&mut undisturbed, minute)));
    let mut differences: Vec<f64> = Vec::new();
    for minute in END + 6..END + 60 {
        let [expected, found] = [&mut undisturbed, &mut other].map(|it| step(it, minute));
        // The window of three steps has to fill anew after more than two minutes.
        if minute >= END + 8 {
            let scores = [expected, found].map(|it| {
                let entities = it.models[0].entities.iter();
                entities.map(|it| (it.entity.clone(), it.score)).collect::<Vec<_>>()
            });
            let pairs = scores[0].iter().zip(&scores[1]);
            assert_eq!(scores[0].len(), scores[1].len(), "minute {minute}");
            // How long y has stood still is counted in steps that were seen, and w is five minutes old.
            let known = pairs.filter(|((entity, _), _)| entity.get("instance") == "x");
            differences.extend(known.map(|((_, a), (_, b))| (a - b).abs()));
        }
    }
    let most = differences.iter().copied().fold(0.0, f64::max);
    assert!(most < 0.3, "{most}");
    assert!(differences.iter().any(|it| *it > 0.0), "five minutes were missed");
}

/// Who was there before is not said to be absent before it had time to be heard of.
#[test]
fn nobody_is_absent_at_once() {
    let pages = pages(&lived());
    let mut other = new();
    restore(&mut other, END, &pages);
    // Without the samples of a moment ago.
    let mut alone = new();
    let entities: Vec<MemoryPage> =
        pages.into_iter().filter(|it| matches!(it, MemoryPage::Entities { .. })).collect();
    restore(&mut alone, END, &entities);
    let absent = |minute: i64, pipeline: &mut Pipeline| {
        let snapshot = pipeline.tick(START + minute * STEP, &|| StdDuration::ZERO);
        snapshot.models[0].evaluation.absences.entities.len()
    };
    assert_eq!((absent(END + 1, &mut other), absent(END + 1, &mut alone)), (0, 0));
    // Nobody sends any more: three had a score within the last day, z among them, which went two hours
    // ago; w has its first one where its samples are known.
    assert_eq!((absent(END + 2, &mut other), absent(END + 2, &mut alone)), (4, 3));
}

#[test]
fn what_is_of_another_model_is_left() {
    let pages = pages(&lived());
    for (name, threshold) in [("other", 1.0), ("m", 3.0)] {
        let mut other = pipeline(vec![model(name, threshold)]);
        let restored = restore(&mut other, END, &pages);
        assert_eq!((restored.entities, restored.foreign), (0, 4), "{name} {threshold}");
        let evaluation = step(&mut other, END + 1).models[0].evaluation.clone();
        assert_eq!((evaluation.scored, evaluation.warming), (0, 3), "{name} {threshold}");
    }
    // What is there already goes on as it is.
    let mut undisturbed = lived();
    assert_eq!(restore(&mut undisturbed, END, &pages).foreign, 4);
}

/// Only so many hosts as there is room for; one that waits comes in when another one is gone.
#[test]
fn there_is_room_for_so_many_entities() {
    let storage = StorageConfig { max_entities: 2, ..StorageConfig::default() };
    let config = DetectConfig { evaluation_delay: Duration::from_ms(0), ..DetectConfig::default() };
    let models = vec![model("m", 1.0)];
    let mut small = Pipeline::new(config, storage, models).expect("good features");
    let hosts = |snapshot: &Snapshot| {
        let entities = &snapshot.models[0].entities;
        let names: Vec<String> =
            entities.iter().map(|it| it.entity.get("instance").to_owned()).collect();
        (names.join(" "), snapshot.models[0].evaluation.refused)
    };
    let mut last = (0..20).map(|minute| hosts(&step(&mut small, minute))).last().expect("steps");
    // x, y and z; of whom the last has no room.
    assert_eq!(last, ("x y".to_owned(), 1));
    assert_eq!(pages(&small).iter().map(entities_of).sum::<usize>(), 2);
    // y is heard no more, and forgotten for z.
    for minute in 20..60 {
        let now_ms = START + minute * STEP;
        let mut all = new();
        push(&mut all, minute);
        let page = all.memory_page(MemoryCursor::default()).1.map(|at| all.memory_page(at).0);
        let Some(MemoryPage::Series(mut batch)) = page else { panic!("the series of a minute") };
        batch.series.retain(|it| it.labels.get("instance") != "y");
        small.append(now_ms, &batch);
        last = hosts(&small.tick(now_ms, &|| StdDuration::ZERO));
    }
    assert_eq!(last, ("x z".to_owned(), 0));
}

/// Series, values and what is remembered have one budget: twenty thousand hosts that send next to nothing
/// take no more of it than one that sends a lot.
#[test]
fn all_memory_together_stays_within_its_budget() {
    let max_bytes = ByteSize::from_mib(20);
    let storage = StorageConfig { max_bytes, ..StorageConfig::default() };
    let config = DetectConfig { evaluation_delay: Duration::from_ms(0), ..DetectConfig::default() };
    let models = vec![model("m", 1.0), model("n", 2.0)];
    let mut small = Pipeline::new(config, storage, models).expect("good features");
    let mut last = None;
    for minute in 0..20 {
        let now_ms = START + minute * STEP;
        let series = |host: usize, name: &str| {
            let host = format!("host-{host}");
            let labels = Labels::from_pairs([("__name__", name), ("instance", host.as_str())]);
            let samples = vec![Sample::new(now_ms, (minute % 7) as f64)];
            BatchSeries::new(labels.expect("two names"), samples)
        };
        let fleet = (0..20_000).flat_map(|host| [series(host, "m_a"), series(host, "m_b")]);
        small.append(now_ms, &Batch::of(fleet.collect()));
        let snapshot = small.tick(now_ms, &|| StdDuration::ZERO);
        let used = snapshot.store.bytes + snapshot.feature_bytes + snapshot.state_bytes;
        assert!(used as u64 <= max_bytes.as_bytes(), "{used} bytes at minute {minute}");
        last = Some(snapshot);
    }
    let last = last.expect("steps");
    assert_eq!(last.max_bytes, max_bytes.as_bytes());
    for model in &last.models {
        let evaluation = &model.evaluation;
        assert!(evaluation.refused > 1_000 && evaluation.lacks_memory, "{}", evaluation.refused);
        assert!(evaluation.incomplete > 800, "{}", evaluation.incomplete);
    }
}

/// At any minute of an hour a process ends and the next goes on: both say of alerts what one says that went on.
#[test]
fn alerts_go_on_over_a_restart() {
    let rules = serde_json::json!({ "rules": [{ "alert": "A" }] });
    let rules: AlertingConfig = serde_json::from_value(rules).expect("a name is enough");
    let begin = || {
        // Everything that has a score is above it.
        let mut pipeline = pipeline(vec![model("m", 1e-6)]);
        pipeline.set_alerting(rules.clone());
        pipeline
    };
    let said = |snapshot: &Snapshot| -> Vec<String> {
        let active = snapshot.alerts.active();
        let active = active.map(|it| format!("{:?} {:?} {:?}", it.rule, it.entity, it.alert));
        active.chain(snapshot.alerts.transitions.iter().map(|it| format!("{it:?}"))).collect()
    };
    let run = |end: i64| -> Vec<Vec<String>> {
        let mut pipeline = begin();
        let minute = |minute: i64| {
            if minute == end {
                let mut next = begin();
                restore(&mut next, minute, &pages(&pipeline));
                pipeline = next;
            }
            let snapshot = step(&mut pipeline, minute);
            assert!(snapshot.alerts.active().count() == 0 || snapshot.state_bytes > 0);
            said(&snapshot)
        };
        (0..60).map(minute).collect()
    };
    let expected = run(i64::MAX);
    let fired = expected.iter().flatten().filter(|it| it.starts_with("Transition")).count();
    assert_eq!(fired, 3, "{expected:?}");
    let first = expected.iter().position(|it| !it.is_empty()).expect("they begin") as i64;
    for end in first + 1..first + 9 {
        assert_eq!(run(end), expected, "at {end}");
    }
}

fn entities_of(page: &MemoryPage) -> usize {
    match page {
        MemoryPage::Entities { entities, .. } => entities.len(),
        MemoryPage::Series(_) | MemoryPage::Alerts(_) => 0,
    }
}

/// Three thousand hosts that came and went leave nothing but what is said of the one that stayed.
#[test]
fn memory_is_given_back_and_nobody_notices() {
    // A week, and the hours around it.
    const REMEMBERED: i64 = AdaptiveThreshold::REACH_MS / STEP;
    let crowd = |pipeline: &mut Pipeline| {
        let host = |i: usize| {
            let (value, host) = (vec![Sample::new(START, 1.0)], format!("crowd-{i}"));
            let labels = Labels::from_pairs([("__name__", "m_a"), ("instance", host.as_str())]);
            BatchSeries::new(labels.expect("two names"), value)
        };
        let outcome = pipeline.append(START, &Batch::of((0..3_000).map(host).collect()));
        assert_eq!(outcome.stored, 3_000);
    };
    let [mut crowded, mut alone] = [new(), new()];
    crowd(&mut crowded);
    let mut bytes = Vec::new();
    for minute in (0..10).chain(REMEMBERED - 100..REMEMBERED + 100) {
        let [expected, found] = [&mut alone, &mut crowded].map(|it| step(it, minute));
        assert_eq!(said(&found), said(&expected), "minute {minute}");
        bytes.push(found.state_bytes as f64 / expected.state_bytes as f64);
        if minute == 9 {
            // Six minutes after their last values.
            let [expected, found] = [expected, found].map(|it| it.feature_bytes);
            assert!(found < 3 * expected, "{found} {expected}");
        }
    }
    assert!(bytes[109] > 100.0 && bytes[0] > 100.0, "{} {}", bytes[0], bytes[109]);
    assert!(bytes[209] < 3.0, "{}", bytes[209]);
    // Who moved to another slot is who it was.
    for pipeline in [&mut crowded, &mut alone] {
        assert_eq!(taken(pipeline), ["w", "x", "y", "z"]);
        assert!(taken(pipeline).is_empty());
    }
}

/// A replica that was heard is heard on.
#[test]
fn series_hear_the_replica_that_they_heard() {
    let pages = pages(&lived());
    let mut other = new();
    restore(&mut other, END, &pages);
    let send = |pipeline: &mut Pipeline, replica: &str| {
        let labels = Labels::from_pairs([("__name__", "m_a"), ("instance", "x")]);
        let samples = vec![Sample::new(START + END * STEP + 1_000, 1.0)];
        let labels = labels.expect("two names");
        let series = vec![BatchSeries {
            replica: Some(replica.into()),
            ..BatchSeries::new(labels, samples)
        }];
        pipeline.append(START + END * STEP + 1_000, &Batch::of(series)).stored
    };
    assert_eq!((send(&mut other, "second"), send(&mut other, "first")), (0, 1));
}

/// What a server would tell of the fleet from the first minute to this one.
fn recording(last: i64) -> Recording {
    let minutes = 0..=last;
    let entity = |host: &str| {
        let at = |minute: i64| hosts(minute).into_iter().find(|it| it.0 == host).map(|it| it.1);
        let mut values = Array2::from_elem((last as usize + 1, 4), f32::NAN);
        for minute in minutes.clone() {
            let ended = host == "z" && minute == 2_299;
            if let Some(at) = at(minute).filter(|_| !ended) {
                (0..4).for_each(|i| values[[minute as usize, i]] = wave(i as i64, at) as f32);
            }
        }
        let labels = Labels::from_pairs([("instance", host)]).expect("one name");
        let is_there = |row: usize| values[[row, 0]].is_finite();
        let newest = |i: i64| match is_there((i / 4) as usize) {
            true => START + i / 4 * STEP,
            false => i64::MIN,
        };
        let newest_ms = (0..=4 * last).map(newest).collect();
        EntityRecording { newest_ms, ..EntityRecording::new(labels, values) }
    };
    let entities = ["w", "x", "y", "z"].map(entity).to_vec();
    let times_ms = minutes.clone().map(|minute| START + minute * STEP).collect();
    let instants_ms = (0..=4 * last).map(|i| START + i * STEP / 4).collect();
    let sightings = Some(Sightings { instants_ms, resolution_ms: STEP / 4 });
    Recording { sightings, ..Recording::new(times_ms, STEP, vec![true; 4], entities) }
}

fn past(last: i64) -> Vec<PastEntity> {
    let config = DetectConfig { evaluation_delay: Duration::from_ms(0), ..DetectConfig::default() };
    rehearse(model("m", 1.0), &recording(last), &config).expect("a graph that runs")
}

fn needs() -> WarmNeeds {
    WarmNeeds::of(&model("m", 1.0), &DetectConfig::default()).expect("good features")
}

/// The newcomers to the model, by name, who are none any more.
fn taken(pipeline: &mut Pipeline) -> Vec<String> {
    let newcomers = pipeline.take_newcomers(needs().key);
    let mut names: Vec<String> = newcomers.iter().map(|it| it.get("instance").to_owned()).collect();
    names.sort();
    names
}

fn newcomers(snapshot: &Snapshot) -> (usize, usize) {
    let it = snapshot.models[0].evaluation.newcomers;
    (it.covered, it.waiting)
}

#[test]
fn who_comes_and_is_not_remembered_is_a_newcomer_once() {
    let mut pipeline = new();
    assert!(taken(&mut pipeline).is_empty());
    assert_eq!(newcomers(&step(&mut pipeline, 2_290)), (3, 0));
    assert!(pipeline.take_newcomers(ModelKey([0; 32])).is_empty());
    assert_eq!(taken(&mut pipeline), ["x", "y", "z"]);
    for minute in 2_291..2_400 {
        let snapshot = step(&mut pipeline, minute);
        let expected = if minute < 2_395 { 0 } else { 1 };
        assert_eq!(newcomers(&snapshot), (expected, 0), "minute {minute}");
    }
    assert_eq!(taken(&mut pipeline), ["w"]);
    // z returns.
    for minute in 2_400..2_460 {
        let snapshot = step(&mut pipeline, minute);
        assert_eq!(newcomers(&snapshot), (0, 0), "minute {minute}");
    }
    // In another process nobody is new, z that is away included.
    let mut other = new();
    restore(&mut other, END, &pages(&lived()));
    for minute in END + 1..2_460 {
        let snapshot = step(&mut other, minute);
        assert_eq!(newcomers(&snapshot), (0, 0), "minute {minute}");
    }
    assert!(taken(&mut pipeline).is_empty() && taken(&mut other).is_empty());
}

/// Nor longer than the range, whether the features are there or not.
#[test]
fn a_newcomer_waits_until_the_longest_range_is_covered() {
    let expr = |it: &str| format!("avg_over_time(m_{it}[{}m])", if it == "a" { 10 } else { 1 });
    let mut pipeline = pipeline(vec![model_of("m", 1.0, expr)]);
    let mut covered = 0;
    for minute in 2_385..2_406 {
        let snapshot = step(&mut pipeline, minute);
        let (now_covered, waiting) = newcomers(&snapshot);
        let here = hosts(minute).len();
        assert_eq!(now_covered + waiting, here, "minute {minute}");
        let evaluation = &snapshot.models[0].evaluation;
        let warm = evaluation.scored + evaluation.warming + evaluation.incomplete - waiting;
        assert_eq!(now_covered, warm, "minute {minute}");
        let at_least = if minute >= 2_395 { 2 } else { 0 };
        assert!((at_least..=here).contains(&now_covered), "minute {minute}: {now_covered}");
        covered = now_covered;
    }
    assert_eq!(covered, 3, "w as well");
}

/// What is said of a host, but for the threshold that its hours make.
fn scored(snapshot: &Snapshot, host: &str) -> Option<String> {
    let mut entities = snapshot.models[0].entities.iter();
    let it = entities.find(|it| it.entity.get("instance") == host)?;
    Some(format!("{} {} {:?}", it.score, it.error, it.features))
}

/// A process that has begun two minutes ago and is told of the whole past.
#[test]
fn after_a_warm_start_it_says_what_one_says_that_was_always_there() {
    let needs = needs();
    assert_eq!((needs.interval_ms, needs.range_ms, needs.steps), (STEP, 0, 170 * 60));
    let mut undisturbed = lived();
    let mut other = new();
    let cold = [END - 1, END].map(|minute| step(&mut other, minute).models[0].entities.len());
    assert_eq!(cold, [0, 0]);
    assert_eq!(taken(&mut other), ["w", "x", "y"]);
    // z is not there.
    let expected = Warmed { entities: 3, older: 0, elsewhere: 1 };
    assert_eq!(other.warm(needs.key, &past(END)), expected);
    for minute in END + 1..END + 300 {
        let [expected, found] = [&mut undisturbed, &mut other].map(|it| step(it, minute));
        for host in ["x", "y", "w"] {
            assert_eq!(scored(&found, host), scored(&expected, host), "{host} at {minute}");
        }
        // Of the hours before nobody was told.
        if (END + 180..END + 330).contains(&minute) {
            let thresholds = |it: &Snapshot| -> Vec<f64> {
                let entities = it.models[0].entities.iter();
                entities
                    .filter(|it| it.entity.get("instance") != "z")
                    .map(|it| it.threshold)
                    .collect()
            };
            assert_eq!(thresholds(&found), thresholds(&expected), "minute {minute}");
        }
    }
    assert!(scored(&step(&mut other, END + 300), "x").is_some(), "it was worth comparing");
}

/// The past ends some steps before the first one here, or before the newest.
#[test]
fn what_came_between_the_past_and_now_is_bridged() {
    for (last, first) in [(END - 2, END - 1), (END - 3, END - 1), (END - 4, END - 4)] {
        let mut undisturbed = lived();
        let mut other = new();
        (first..=END).for_each(|minute| drop(step(&mut other, minute)));
        assert_eq!(other.warm(needs().key, &past(last)).entities, 3);
        let mut most = 0.0_f64;
        for minute in END + 1..END + 60 {
            let [expected, found] = [&mut undisturbed, &mut other].map(|it| {
                let snapshot = step(it, minute);
                let mut entities = snapshot.models[0].entities.iter();
                entities.find(|it| it.entity.get("instance") == "x").expect("a score").score
            });
            most = most.max((expected - found).abs());
        }
        // Smoothing lacks the errors of a few steps.
        assert!(most < 0.3 && most > 0.0, "{last} {first}: {most}");
    }
}

/// A past that is too old for the window takes nothing away.
#[test]
fn nothing_is_lost_by_a_past_that_ended_long_ago() {
    let mut alone = new();
    let mut other = new();
    for minute in END - 9..=END {
        [&mut alone, &mut other].into_iter().for_each(|it| drop(step(it, minute)));
    }
    assert_eq!(other.warm(needs().key, &past(END - 200)).entities, 2, "x and y");
    for minute in END + 1..END + 9 {
        let [alone, other] = [&mut alone, &mut other].map(|it| step(it, minute));
        let count = |it: &Snapshot| it.models[0].entities.len();
        assert_eq!((count(&alone), count(&other)), (3, 3), "minute {minute}");
    }
}

/// Who has been here for longer, whose model is another one, and who is not here.
#[test]
fn who_knows_more_keeps_it() {
    let mut undisturbed = lived();
    let before = pages(&undisturbed);
    let past = past(END);
    assert_eq!(past.len(), 4);
    let expected = Warmed { entities: 0, older: 3, elsewhere: 1 };
    assert_eq!(undisturbed.warm(needs().key, &past), expected);
    // As text: no hour without a score is another.
    assert_eq!(format!("{:?}", pages(&undisturbed)), format!("{before:?}"));
    let mut other = pipeline(vec![model("other", 1.0)]);
    step(&mut other, END);
    assert_eq!(other.warm(needs().key, &past).elsewhere, 4);
    // Who was restored and came back knows its own past.
    let mut restored = new();
    restore(&mut restored, END, &before);
    step(&mut restored, END + 1);
    assert!(taken(&mut restored).is_empty());
    assert_eq!(restored.warm(needs().key, &past), expected);
}
