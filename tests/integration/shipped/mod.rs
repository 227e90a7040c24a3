//! What a newcomer sees: the shipped model on hosts that it has never seen, in calm and in trouble,
//! through the pipeline that serves, with virtual time.

mod host;

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use host::{Host, KINDS, Trouble};
use portent::detect::{DetectConfig, DetectError, LoadedModel, Pipeline};
use portent::duration::Duration;
use portent::model::{self, Artifact, ModelConfig, Runtime, Scorer};
use portent::series::StorageConfig;

const START: i64 = 1_700_000_010_000;
const MINUTE: i64 = 60_000;

/// The model's step: what was scraped at its beginning has come by its end.
const TICK: i64 = 15_000;

/// Each kind of trouble, and on how many of the seven hosts the model finds it at least.
const TROUBLES: [(Trouble, usize); 9] = [
    (Trouble::CpuHog, 6),
    (Trouble::MemoryLeak, 6),
    (Trouble::SwapStorm, 7),
    (Trouble::DiskSaturation, 7),
    (Trouble::DiskFull, 6),
    (Trouble::NetworkFlood, 7),
    (Trouble::NetworkErrors, 7),
    (Trouble::SwitchStorm, 7),
    (Trouble::Retransmits, 7),
];

fn pipeline() -> Pipeline {
    pipeline_of(DetectConfig::default()).expect("valid")
}

fn pipeline_of(config: DetectConfig) -> Result<Pipeline, DetectError> {
    let artifact = Artifact::read(model::shipped()).expect("a model file");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("a model of ours");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` gets it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a model of the contract");
    let model =
        LoadedModel { name: "node".to_owned(), metadata, scorer, digest: artifact.digest() };
    Pipeline::new(config, StorageConfig::default(), vec![model])
}

/// Whoever scrapes every minute, or wants to know every second, has no step of the model to keep to.
#[test]
fn it_serves_at_any_interval() {
    for interval_ms in [1_000, 15_000, 60_000] {
        let evaluation_interval = Some(Duration::from_ms(interval_ms));
        let config = DetectConfig { evaluation_interval, ..DetectConfig::default() };
        let refused = pipeline_of(config).err().map(|it| it.to_string());
        assert_eq!(refused, None, "every {interval_ms} ms");
    }
}

/// The scores of a tick, by host, each with the feature that has the largest share.
fn scores(pipeline: &mut Pipeline, now_ms: i64) -> Vec<(String, f64, String)> {
    let snapshot = pipeline.tick(now_ms, &|| StdDuration::ZERO);
    let model = &snapshot.models[0];
    let scored = model.entities.iter().map(|it| {
        let feature =
            it.contributions().next().map(|it| model.feature_names[it.feature as usize].clone());
        (it.entity.get("instance").to_owned(), it.score, feature.unwrap_or_default())
    });
    scored.collect()
}

/// Every kind of host for two hours and a half; of each kind one undisturbed and one to which something
/// happens that is no trouble.
#[test]
fn calm_hosts_stay_below_one_from_their_first_score_on() {
    let mut pipeline = pipeline();
    let mut hosts: Vec<Host> = Vec::new();
    for (i, kind) in KINDS.iter().enumerate() {
        for what in ["steady", ["hole", "restarted", "new"][i % 3]] {
            hosts.push(Host::new(format!("{what}-{}", kind.name), *kind, i as u64));
        }
    }
    let mut seen = BTreeMap::new();
    for step in 0..600 {
        let now_ms = START + step * 15_000;
        let minute = step / 4;
        for host in &mut hosts {
            let is_away = match host.name.split('-').next() {
                Some("hole") => (60..65).contains(&minute),
                Some("restarted") => minute == 70,
                Some("new") => minute < 40,
                _ => false,
            };
            if host.name.starts_with("restarted") && is_away {
                host.restart();
            }
            if !is_away {
                pipeline.append(now_ms, &host.scrape(now_ms, None));
            }
        }
        for (name, score, feature) in scores(&mut pipeline, now_ms + TICK) {
            assert!(score <= 1.0, "{name} has {score} in minute {minute}, of {feature}");
            let largest = seen.entry(name).or_insert((0, 0.0_f64));
            *largest = (largest.0 + 1, largest.1.max(score));
        }
    }
    println!("steps and largest score: {seen:#?}");
    assert!(seen.len() == hosts.len() && seen.values().all(|(steps, _)| *steps > 350), "{seen:?}");
}

/// Twenty minutes of calm, then a quarter of an hour of one kind of trouble on a host of every kind.
#[test]
fn trouble_is_found_on_hosts_that_it_has_never_seen() {
    let mut pipeline = pipeline();
    let mut hosts = Vec::new();
    for (i, (trouble, _)) in TROUBLES.iter().enumerate() {
        for (j, kind) in KINDS.iter().enumerate() {
            let name = format!("{trouble:?}-{}", kind.name);
            hosts.push((*trouble, Host::new(name, *kind, 100 + (i * KINDS.len() + j) as u64)));
        }
    }
    let begins_ms = START + 20 * MINUTE;
    let mut found: BTreeMap<String, (f64, i64)> = BTreeMap::new();
    for step in 0..70 {
        let now_ms = START + step * 30_000;
        for (trouble, host) in &mut hosts {
            let lasts = (now_ms - begins_ms) as f64 / 1e3;
            let trouble = (lasts >= 0.0).then_some((*trouble, lasts));
            pipeline.append(now_ms, &host.scrape(now_ms, trouble));
        }
        if now_ms < begins_ms - MINUTE {
            continue;
        }
        for (name, score, feature) in scores(&mut pipeline, now_ms + TICK) {
            assert!(now_ms >= begins_ms || score <= 1.0, "calm {name} has {score} of {feature}");
            let entry = found.entry(name).or_insert((score, i64::MAX));
            if score > 1.0 {
                entry.1 = entry.1.min((now_ms - begins_ms) / 1_000);
            }
            entry.0 = entry.0.max(score);
        }
    }
    let mut missed = Vec::new();
    for (trouble, least) in TROUBLES {
        let name = format!("{trouble:?}-");
        let of_kind: Vec<_> = found.iter().filter(|(host, _)| host.starts_with(&name)).collect();
        let count = of_kind.iter().filter(|(_, (score, _))| *score > 1.0).count();
        println!("{trouble:?}: {count} of {}: {of_kind:.1?}", KINDS.len());
        if count < least {
            missed.push(format!("{trouble:?} on {count} of {}, not {least}", KINDS.len()));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
