//! The core fed with the samples that Prometheus has stored, all of them in time: what live would
//! have said if nothing had come late.

use std::path::Path;
use std::process::Command;
use std::time::Duration as StdDuration;

use portent::detect::{DetectConfig, LoadedModel, Pipeline};
use portent::duration::Duration;
use portent::labels::Labels;
use portent::model::{Artifact, ModelConfig, Runtime, Scorer};
use portent::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use portent::series::StorageConfig;

use crate::live::{Scores, Ticks};
use crate::support::Peers;
use crate::world::{DELAY_MS, MODELS, STALE_AFTER_MS, World};

/// The scores of each model at these ticks.
pub fn replay(world: &World, from_ms: i64, to_ms: i64) -> Ticks {
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` gets it");
    let models = MODELS.map(|name| load(&runtime, name, &world.model_file(name)));
    let config = DetectConfig {
        evaluation_delay: Duration::from_ms(DELAY_MS),
        stale_after: Duration::from_ms(STALE_AFTER_MS),
        ..DetectConfig::default()
    };
    let mut pipeline = Pipeline::new(config, StorageConfig::default(), models.into())
        .expect("what serving has accepted");
    let mut samples = stored(&world.prometheus.server().dir().join("data")).into_iter().peekable();
    let mut ticks = Ticks::new();
    for tick_ms in (from_ms..=to_ms).filter(|it| it % 1000 == 0) {
        let mut series = Vec::new();
        while let Some((time_ms, labels, value)) = samples.next_if(|it| it.0 <= tick_ms - DELAY_MS)
        {
            let samples = vec![Sample::new(time_ms, value)];
            series.push(BatchSeries::new(labels, samples));
        }
        assert_eq!(pipeline.append(tick_ms, &Batch::of(series)).rejected(), 0);
        for model in &pipeline.tick(tick_ms, &|| StdDuration::ZERO).models {
            let scores: Scores = (model.entities.iter())
                .map(|it| (it.entity.get("instance").to_owned(), it.score))
                .collect();
            ticks.entry(model.model.clone()).or_default().insert(tick_ms, scores);
        }
    }
    ticks
}

fn load(runtime: &Runtime, name: &str, path: &Path) -> LoadedModel {
    let artifact = Artifact::read(std::fs::read(path).expect("our own file").into()).expect("ours");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("it says everything");
    let scorer = Scorer::new(runtime, &artifact, &metadata).expect("a model of the contract");
    LoadedModel { name: name.to_owned(), metadata, scorer, digest: artifact.digest() }
}

/// All samples in a database, the oldest first. None of them is NaN but the stale markers.
fn stored(data: &Path) -> Vec<(i64, Labels, f64)> {
    let output = Command::new(Peers::find().promtool)
        .args(["tsdb", "dump"])
        .arg(format!("--sandbox-dir-root={}", data.parent().expect("its folder").display()))
        .arg(data)
        .output()
        .expect("promtool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut samples: Vec<(i64, Labels, f64)> = text.lines().filter_map(sample).collect();
    samples.sort_by_key(|it| it.0);
    samples
}

/// `{a="b", c="d"} value time`.
fn sample(line: &str) -> Option<(i64, Labels, f64)> {
    let (labels, rest) = line.strip_prefix('{')?.rsplit_once("} ")?;
    let pairs = labels.split("\", ").map(|pair| pair.split_once("=\"").expect("a label"));
    let labels = Labels::from_pairs(pairs.map(|(name, value)| (name, value.trim_end_matches('"'))));
    let (value, time) = rest.split_once(' ').expect("a value and a time");
    let value = match value {
        "NaN" => f64::from_bits(STALE_NAN_BITS),
        value => value.parse().expect("a number"),
    };
    Some((time.trim().parse().expect("milliseconds"), labels.expect("distinct"), value))
}
