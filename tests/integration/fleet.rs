//! Training on a fleet that does not fit into memory: a sample of its hosts, and no more is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::range_server::{Asked, RangeServer, Series};
use portent::bytesize::ByteSize;
use portent::detect::DetectConfig;
use portent::duration::Duration;
use portent::features::FeatureSpec;
use portent::history::{Exclusions, HistoryConfig, HistoryQuery, Range, RangeQuery, Source};
use portent::labels::Labels;
use portent::model::ModelConfig;
use portent::train::{Options, Summary, TrainConfig, TrainError, run};

const START_MS: i64 = 1_795_428_900_000;
const STEPS: usize = 400;
const HOSTS: usize = 200;

/// What one feature each asks for: in groups, in groups as to its left side, and whole.
const LOAD: &str = "node_load1";
const SHARE: &str = "node_load1 / on () group_left () sum(node_load1)";
const MADE: &str = r#"label_replace(node_load5, "instance", "$1", "node", "(.*)")"#;

/// A MiB beside what does not grow with entities: room for some thirty hosts.
const LITTLE: ByteSize = ByteSize::from_mib(129);

/// A server of many hosts that honours matchers, and what it was asked.
struct Fleet {
    server: RangeServer,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fleet {
    fn start(is_reversed: bool) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = Arc::clone(&asked);
        let server = RangeServer::start(move |it| {
            all.lock().expect("no panic").push(it.query.clone());
            Ok(answer(it, is_reversed))
        });
        Self { server: server.expect("a port"), asked }
    }

    /// The queries that are about none, and about some hosts by name.
    fn asked(&self) -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
        let (mut whole, mut some) = (BTreeSet::new(), BTreeMap::new());
        for query in std::mem::take(&mut *self.asked.lock().expect("no panic")) {
            match named(&query) {
                Some(hosts) => drop(some.insert(query, hosts)),
                None => drop(whole.insert(query)),
            }
        }
        (whole, some)
    }
}

/// The hosts that a query names.
fn named(query: &str) -> Option<BTreeSet<String>> {
    let (_, rest) = query.split_once("instance=~\"")?;
    let (values, _) = rest.split_once('"').expect("it ends");
    Some(values.split('|').map(|it| it.replace('\\', "")).collect())
}

fn host(number: usize) -> String {
    format!("host-{number:03}.example:9100")
}

fn answer(Asked { query, times_ms }: &Asked, is_reversed: bool) -> Vec<Series> {
    let wanted = named(query);
    let is_wanted = |i: &usize| wanted.as_ref().is_none_or(|it| it.contains(&host(*i)));
    let mut hosts: Vec<usize> = (0..HOSTS).filter(is_wanted).collect();
    if is_reversed {
        hosts.reverse();
    }
    let value = |host: usize, time: f64| match query {
        it if it.contains("timestamp(") => time,
        it if it.contains("sum") => 0.005 + 0.001 * (time / 90.0 + host as f64).sin(),
        it if it.contains("label_replace") => 2.0 + (time / 200.0 + host as f64).cos(),
        _ => 1.0 + 0.4 * (time / 300.0 + host as f64).sin() + 0.1 * (time * host as f64).sin(),
    };
    let series = |i: usize| Series {
        labels: format!(r#""instance":"{}""#, host(i)),
        points: times_ms.iter().map(|at| (*at, value(i, *at as f64 / 1_000.0))).collect(),
    };
    hosts.into_iter().map(series).collect()
}

fn options(dir: &Path, source: Source, max_memory: ByteSize) -> Options {
    let features = [("load", LOAD), ("share", SHARE), ("made", MADE)];
    Options {
        config: TrainConfig { epochs: 2, max_memory, ..TrainConfig::default() },
        global: DetectConfig::default(),
        model: ModelConfig::default(),
        history: HistoryQuery {
            source,
            features: features.map(|(name, expr)| FeatureSpec::new(name, expr)).to_vec(),
            entity: vec!["instance".to_owned()],
            exclude: Exclusions::default(),
            config: HistoryConfig::default(),
            zone: None,
        },
        keep: Vec::new(),
        tune: None,
        output: dir.join("model.onnx"),
        onnxruntime: None,
    }
}

fn trained(fleet: &Fleet, concurrency: usize) -> (Summary, Vec<u8>) {
    let dir = tempfile::tempdir().expect("a directory");
    let source = Source::Server(RangeQuery {
        url: fleet.server.url().to_owned(),
        ranges: vec![Range { start_ms: START_MS, end_ms: START_MS + 15_000 * (STEPS as i64 - 1) }],
        step: Duration::from_seconds(15),
        delay: Duration::from_ms(0),
        resume: None,
    });
    let mut options = options(dir.path(), source, LITTLE);
    options.history.config.max_concurrency = concurrency;
    let summary = run(&options).expect("a model");
    (summary, std::fs::read(&options.output).expect("the model"))
}

#[test]
fn a_fleet_that_does_not_fit_is_sampled_and_only_the_sample_is_asked_for() {
    let fleet = Fleet::start(false);
    let (summary, model) = trained(&fleet, 4);
    let taken = summary.cleaning.entities;
    assert!((20..40).contains(&taken), "{taken}");
    assert_eq!((summary.cleaning.others, summary.cleaning.empty_entities), (HOSTS - taken, 0));
    let said = format!("{taken} of 200 entities, as train.max_memory is 129MiB");
    assert!(summary.to_string().contains(&said), "{summary}");
    let page = portent::train::page(&summary, "portent train");
    assert!(page.contains(&format!("A sample: {said}")));
    let instance = |labels: &Labels| labels.get("instance").to_owned();
    let sampled: BTreeSet<String> = summary.hindsight.entities.iter().map(instance).collect();
    assert_eq!(sampled.len(), taken);

    let (whole, some) = fleet.asked();
    // Who is there, and the one of which the label is made.
    let is_known = |it: &String| it.starts_with("max by (instance) (timestamp(") || *it == MADE;
    assert!(whole.len() == 2 && whole.iter().all(is_known), "{whole:?}");
    let mut all = BTreeSet::new();
    for hosts in some.values() {
        assert!(hosts.is_subset(&sampled));
        all.extend(hosts.iter().cloned());
    }
    assert_eq!(all, sampled);
    let sum = |it: &&String| it.contains(r#"sum by () ({__name__="node_load1"})"#);
    assert!(some.keys().any(|it| sum(&it)), "the sum stays that of all: {some:?}");

    // Another order of hosts in the answers, and of the answers.
    let (other, same) = trained(&Fleet::start(true), 1);
    assert_eq!(other.hindsight.entities, summary.hindsight.entities);
    assert_eq!(other.cleaning, summary.cleaning);
    assert!(same == model, "the order of answers does not matter");
}

#[test]
fn a_file_that_does_not_fit_is_refused_by_the_name_of_the_limit() {
    let dir = tempfile::tempdir().expect("a directory");
    let input = dir.path().join("input.csv");
    let mut text = "time,load\n".to_owned();
    for step in 0..20_000 {
        text.push_str(&format!("{},{}\n", START_MS / 1_000 + 15 * step, step % 7));
    }
    std::fs::write(&input, text).expect("written");
    let options = options(dir.path(), Source::Csv(input), LITTLE);
    let error = run(&options).expect_err("too much");
    assert!(matches!(error, TrainError::Memory(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("1 entities, 20000 steps and 1 features"), "{text}");
    assert!(text.contains("train.max_memory, which is 129MiB"), "{text}");
    assert!(!options.output.exists());
}
