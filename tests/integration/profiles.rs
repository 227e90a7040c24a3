//! The profiles in `examples/profiles` over series with the names and labels of the real exporters:
//! every feature has the value that it should have, or is absent where its file says so.
//!
//! The series are made here: each grows by so much a second from its first scrape on. The same series
//! go to promtool, whose PromQL has to give the same values, from the epoch on as its tests begin there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, iter};

use crate::support::{Peers, Prometheus, RemoteWriter, Series, repository};
use portent::config::Config;
use portent::features::{EntityState, FeatureSet, Features, Provenance};
use portent::labels::Labels;
use portent::model::ModelConfig;
use portent::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
use portent::series::{StorageConfig, Store};

/// A series: the scrapes at which it is there, and what it is.
#[derive(Debug, Clone)]
struct Line {
    text: String,
    labels: Labels,
    from: i64,
    /// The first scrape without it.
    to: i64,
    /// Whether Prometheus marks its end: not where the exporter says itself when it measured.
    is_marked: bool,
    value: f64,
    growth: f64,
}

impl Line {
    fn at(&self, n: i64, interval_s: i64) -> f64 {
        self.value + self.growth * ((n - self.from) * interval_s) as f64
    }
}

/// What is scraped.
#[derive(Debug, Default)]
struct Scene {
    lines: Vec<Line>,
    interval_s: i64,
    /// More labels for each series, the scrapes at which it is there, and whether its end is marked.
    labels: String,
    span: (i64, i64),
    is_marked: bool,
}

impl Scene {
    fn every(interval_s: i64) -> Self {
        Self { interval_s, span: (0, i64::MAX), is_marked: true, ..Self::default() }
    }

    /// Adds `name` or `name{label="value",..}`, what it is and by how much it grows a second.
    fn add(&mut self, series: &str, value: f64, growth: f64) {
        let (name, own) = series.split_once('{').unwrap_or((series, "}"));
        let own = own.strip_suffix('}').expect("a closing brace");
        let parts = [self.labels.as_str(), own].into_iter().filter(|it| !it.is_empty());
        let pairs = parts.collect::<Vec<_>>().join(",");
        let split = |it: &str| it.split_once("=\"").map(|(a, b)| (a.to_owned(), b.to_owned()));
        let list = pairs.strip_suffix('"').unwrap_or(&pairs).split("\",").filter_map(split);
        let list: Vec<_> =
            iter::once(("__name__".to_owned(), name.to_owned())).chain(list).collect();
        let labels = list.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        self.lines.push(Line {
            text: format!("{name}{{{pairs}}}"),
            labels: Labels::from_pairs(labels).expect("distinct names"),
            from: self.span.0,
            to: self.span.1,
            is_marked: self.is_marked,
            value,
            growth,
        });
    }

    fn scrape(&self, n: i64) -> Batch {
        let series = self.lines.iter().filter_map(|line| {
            let value = match () {
                () if (line.from..line.to).contains(&n) => line.at(n, self.interval_s),
                () if n == line.to && line.is_marked => f64::from_bits(STALE_NAN_BITS),
                () => return None,
            };
            let samples = vec![Sample::new(n * self.interval_s * 1_000, value)];
            Some(BatchSeries::new(line.labels.clone(), samples))
        });
        Batch::of(series.collect())
    }

    /// The series as a test of promtool writes them.
    fn input_series(&self, scrapes: i64) -> serde_yaml::Value {
        let value = |line: &Line, n| match () {
            () if (line.from..line.to).contains(&n) => line.at(n, self.interval_s).to_string(),
            () if n == line.to && line.is_marked => "stale".to_owned(),
            () => "_".to_owned(),
        };
        let series = self.lines.iter().map(|line| {
            let values: Vec<String> = (0..scrapes).map(|n| value(line, n)).collect();
            mapping([("series", line.text.clone().into()), ("values", values.join(" ").into())])
        });
        serde_yaml::Value::Sequence(series.collect())
    }
}

fn mapping<const N: usize>(pairs: [(&str, serde_yaml::Value); N]) -> serde_yaml::Value {
    serde_yaml::Value::Mapping(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn profile(name: &str) -> (PathBuf, ModelConfig) {
    let file = repository().join("examples/profiles").join(format!("{name}.yml"));
    let config = Config::load(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    let [model] = config.models.as_slice() else { panic!("{:?}", config.models) };
    (file, model.clone())
}

/// What the file says of a feature's values: the range in the brackets above its name.
fn domains(file: &Path) -> BTreeMap<String, [f64; 2]> {
    let text = fs::read_to_string(file).expect("a profile");
    let mut domain = None;
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some((_, range)) = line.strip_suffix(']').and_then(|it| it.rsplit_once('[')) {
            let range = range.rsplit_once(", ").map_or(range, |(_, range)| range);
            let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            domain = line.starts_with('#').then(|| match range.split_once(" to ") {
                Some((least, most)) => [number(least), number(most)],
                None => [number(range.strip_suffix(" and more").expect(line)), f64::INFINITY],
            });
        } else if let Some(name) = line.strip_prefix("- name: ") {
            domain.map(|domain| found.insert(name.to_owned(), domain));
        }
    }
    found
}

/// The features of a profile over the scrapes of a scene.
struct Watch {
    model: ModelConfig,
    domains: BTreeMap<String, [f64; 2]>,
    scene: Scene,
    store: Store,
    set: FeatureSet,
}

impl Watch {
    fn new(name: &str, scene: Scene) -> Self {
        let (file, model) = profile(name);
        let mut store = Store::new(StorageConfig::default());
        let (specs, entity) = (model.features.clone(), model.entity.clone());
        let (specs, entity) = (specs.expect("features"), entity.expect("entity labels"));
        let features = Features::parse(&specs, &entity).expect("good features");
        let set = features.maskable(true).bind(&mut store);
        Self { model, domains: domains(&file), scene, store, set }
    }

    fn names(&self) -> Vec<String> {
        self.model.features.iter().flatten().map(|it| it.name.clone()).collect()
    }

    /// Takes a scrape. Nothing clashes, and what has a value has it within its domain.
    fn scrape(&mut self, n: i64) {
        let now_ms = n * self.scene.interval_s * 1_000;
        let outcome = self.store.append(now_ms, &self.scene.scrape(n));
        assert_eq!(outcome.rejected(), 0, "{outcome:?}");
        let matrix = self.set.eval(&self.store, now_ms, 120_000);
        assert!(matrix.errors().is_empty(), "scrape {n}: {:?}", matrix.errors());
        let names = self.names();
        let matrix = self.set.matrix();
        for slot in 0..matrix.slots() {
            for (name, value) in names.iter().zip(matrix.row(slot)) {
                let [least, most] = self.domains.get(name).copied().unwrap_or([-1.0, 1.0]);
                let inside = value.is_nan() || (least..=most).contains(value);
                assert!(inside, "scrape {n}: {name} is {value} of {}", self.entity(slot));
            }
        }
    }

    fn entity(&self, slot: usize) -> String {
        let label = |name: &String| self.set.matrix().labels(slot).get(name).to_owned();
        self.model.entity.iter().flatten().map(label).collect::<Vec<_>>().join("/")
    }

    /// By entity, whether it can be scored and its own features that have a value.
    fn seen(&self) -> BTreeMap<String, (EntityState, BTreeMap<String, f64>)> {
        let matrix = self.set.matrix();
        let names = self.names();
        let of = |slot| {
            let cells = matrix.row(slot).iter().zip(matrix.provenance(slot));
            let own = names.iter().zip(cells).filter(|(_, (_, from))| **from == Provenance::Own);
            own.map(|(name, (value, _))| (name.clone(), *value)).collect()
        };
        let slots = (0..matrix.slots()).filter(|slot| matrix.state(*slot) != EntityState::Unknown);
        slots.map(|slot| (self.entity(slot), (matrix.state(slot), of(slot)))).collect()
    }
}

/// An entity can be scored, and has these features and no others.
#[track_caller]
fn check(watch: &Watch, n: i64, entity: &str, expected: &[(&str, f64)]) {
    let seen = watch.seen();
    let (state, own) = seen.get(entity).unwrap_or_else(|| panic!("{entity}: {seen:?}"));
    assert_eq!(*state, EntityState::Complete, "scrape {n}: {entity} has {own:?}");
    let mut left = own.clone();
    for (name, expected) in expected {
        let value = left.remove(*name).unwrap_or(f64::NAN);
        let is_near = (value - expected).abs() <= 1e-6 * expected.abs().max(1e-3);
        assert!(is_near, "scrape {n}: {name} of {entity} is {value}, not {expected}");
    }
    assert!(left.is_empty(), "scrape {n}: {entity} has {left:?} as well");
}

/// What promtool makes of the same series is the same, with the labels of the entity alone.
#[track_caller]
fn check_with_promtool(watch: &Watch, n: i64) {
    let specs = watch.model.features.clone().expect("features");
    let entity = watch.model.entity.clone().expect("labels");
    let time: serde_yaml::Value = format!("{}s", n * watch.scene.interval_s).into();
    let seen = watch.seen();
    let mut tests = Vec::new();
    let mut rules = Vec::new();
    for spec in &specs {
        rules.push(mapping([
            ("record", format!("feature:{}", spec.name).into()),
            ("expr", spec.expr.clone().into()),
        ]));
        let values = seen.iter().filter_map(|(id, (_, own))| Some((id, own.get(&spec.name)?)));
        let samples: Vec<serde_yaml::Value> = values
            .map(|(id, value)| {
                let labels = entity.iter().zip(id.split('/'));
                let labels: Vec<_> = labels.map(|(a, b)| format!("{a}=\"{b}\"")).collect();
                let labels = format!("{{{}}}", labels.join(","));
                mapping([("labels", labels.into()), ("value", (*value).into())])
            })
            .collect();
        if watch.domains[&spec.name] != [-1.0, 1.0] {
            tests.push(mapping([
                ("expr", spec.expr.clone().into()),
                ("eval_time", time.clone()),
                ("exp_samples", samples.into()),
            ]));
        }
    }
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, value: serde_yaml::Value| {
        fs::write(dir.path().join(name), serde_yaml::to_string(&value).expect("YAML")).expect(name);
    };
    let group = mapping([("name", "features".into()), ("rules", rules.into())]);
    write("rules.yml", mapping([("groups", vec![group].into())]));
    let test = mapping([
        ("interval", format!("{}s", watch.scene.interval_s).into()),
        ("input_series", watch.scene.input_series(n + 1)),
        ("promql_expr_test", tests.into()),
    ]);
    write("test.yml", mapping([("fuzzy_compare", true.into()), ("tests", vec![test].into())]));
    for arguments in [["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]] {
        let promtool = Command::new(Peers::find().promtool);
        accepted(promtool, dir.path(), &arguments);
    }
}

/// Runs a program and gives what it printed.
#[track_caller]
fn accepted(mut program: Command, folder: &Path, arguments: &[&str]) -> String {
    let output: Output = program.args(arguments).current_dir(folder).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}{complaint}");
    said
}

/// So many scrapes are sent in one request.
const SENT: i64 = 40;

/// A server's history of three hours in which everything waves.
async fn history(scene: &Scene) -> Prometheus {
    let prometheus = Prometheus::start("global: {}", &[]).await;
    let writer = RemoteWriter::new(prometheus.url("/api/v1/write"));
    let wave = |n: i64| (n as f64 / 20.0).sin() + 0.3 * (n as f64 * 1.7).sin();
    let scrapes = 3 * 3_600 / scene.interval_s;
    for from in (0..scrapes).step_by(SENT as usize) {
        let times = from..scrapes.min(from + SENT);
        let of = |line: &Line| {
            // A counter still rises at each scrape, and what is a whole number mostly is one.
            let size = 0.2 * line.value.min(line.growth * scene.interval_s as f64).max(0.0);
            let gauge = if line.growth == 0.0 && line.value > 1e6 { 0.1 * line.value } else { 0.0 };
            let samples = times.clone().filter_map(|n| match () {
                () if (line.from..line.to).contains(&n) => {
                    let value = line.at(n, scene.interval_s) + (size + gauge) * wave(n);
                    Some((n * scene.interval_s * 1_000, value))
                }
                () if n == line.to && line.is_marked => {
                    Some((n * scene.interval_s * 1_000, f64::from_bits(STALE_NAN_BITS)))
                }
                () => None,
            });
            let labels = line.labels.iter().map(|(a, b)| (a.to_owned(), b.to_owned()));
            Series { labels: labels.collect(), samples: samples.collect() }
        };
        let series: Vec<Series> = scene.lines.iter().map(of).collect();
        let series: Vec<Series> = series.into_iter().filter(|it| !it.samples.is_empty()).collect();
        let reply = writer.send(&series).await;
        assert!(reply.status < 300, "{reply:?}");
    }
    prometheus
}

/// Trains from a server by the command of the file's head and loads the model by the same file. Training
/// sees the same entities as serving, and of each the same features.
async fn check_training(name: &str, scene: &Scene, entities: usize, absent: &[(&str, usize)]) {
    let prometheus = history(scene).await;
    let dir = tempfile::tempdir().expect("a folder");
    let (file, _) = profile(name);
    let text = fs::read_to_string(file).expect("a profile");
    let quick = "\ntrain:\n  epochs: 2\n";
    fs::write(dir.path().join("profile.yml"), text + quick).expect("written");
    let (output, url) = (format!("{name}.onnx"), prometheus.url(""));
    let train = ["train", "--config.file", "profile.yml", "--prometheus.url", url.as_str()];
    let rest = ["--start", "1800", "--end", "10800", "--output", output.as_str()];
    let portent = || Command::new(env!("CARGO_BIN_EXE_portent"));
    let said = accepted(portent(), dir.path(), &[&train[..], &rest].concat());
    let line = |key: &str| {
        let found = said.lines().find_map(|it| it.strip_prefix(key));
        found.unwrap_or_else(|| panic!("no {key}: {said}")).trim().to_owned()
    };
    assert_eq!(line("entities"), format!("{entities} with data, 0 without"));
    let absent: Vec<String> = absent.iter().map(|(name, of)| format!("{name} ({of})")).collect();
    assert_eq!(line("absent"), absent.join(", "));
    let said = accepted(portent(), dir.path(), &["check", "config", "profile.yml"]);
    assert!(said.starts_with("profile.yml is valid: 1 model\n"), "{said}");
    assert!(said.contains("output score is the error\n"), "{said}");
}

// Kubernetes.

/// Half an hour at the interval of kube-prometheus; a pod of each kind is replaced in the middle.
const K8S_LAST: i64 = 60;
const ROLLED: i64 = 30;

/// So many scrapes cover five minutes.
const FIVE_MINUTES: i64 = 10;

/// A pod of a workload, and what becomes of it.
struct Pod<'a> {
    name: &'a str,
    workload: (&'a str, &'a str),
    span: (i64, i64),
    /// Whether its container has requests, limits and a network of its own.
    is_limited: bool,
}

impl Scene {
    /// A pod as kube-state-metrics and the rule of kubernetes-mixin tell of it.
    fn add_pod(&mut self, pod: &Pod) {
        let (kind, workload) = pod.workload;
        let id = format!("namespace=\"shop\",pod=\"{}\"", pod.name);
        (self.span, self.is_marked) = (pod.span, true);
        self.labels = String::new();
        let owner = "namespace_workload_pod:kube_pod_owner:relabel";
        let of = format!("workload=\"{workload}\",workload_type=\"{kind}\"");
        self.add(&format!("{owner}{{{id},{of}}}"), 1.0, 0.0);
        let target = r#"job="kube-state-metrics",instance="10.0.0.9:8080""#;
        self.labels = format!("{target},{id},uid=\"{}\"", pod.name);
        for (phase, is) in [("Pending", 0.0), ("Running", 1.0), ("Failed", 0.0)] {
            self.add(&format!("kube_pod_status_phase{{phase=\"{phase}\"}}"), is, 0.0);
        }
        self.add(r#"kube_pod_status_ready{condition="true"}"#, 1.0, 0.0);
        self.add(r#"kube_pod_status_ready{condition="false"}"#, 0.0, 0.0);
        let app = r#"container="app""#;
        self.add(&format!("kube_pod_container_status_waiting{{{app}}}"), 0.0, 0.0);
        self.add(&format!("kube_pod_container_status_restarts_total{{{app}}}"), 3.0, 0.0);
        if pod.is_limited {
            for (what, resource, unit, value) in [
                ("requests", "cpu", "core", 0.5),
                ("requests", "memory", "byte", 1e8),
                ("limits", "cpu", "core", 1.0),
                ("limits", "memory", "byte", 4e8),
            ] {
                let resource = format!("{app},resource=\"{resource}\",unit=\"{unit}\",node=\"n1\"");
                let metric = format!("kube_pod_container_resource_{what}{{{resource}}}");
                self.add(&metric, value, 0.0);
            }
        }
        self.add_containers(pod, &id);
    }

    /// The same pod as the kubelet's cAdvisor tells of it, with times of its own and so without the
    /// markers of an end: the pod's own cgroup, its sandbox and a container.
    fn add_containers(&mut self, pod: &Pod, id: &str) {
        self.is_marked = false;
        let target = r#"job="kubelet",instance="10.0.0.1:10250",metrics_path="/metrics/cadvisor""#;
        self.labels = format!("{target},{id}");
        let slice = |rest: &str| format!("id=\"/kubepods.slice/{}{rest}\"", pod.name);
        let app = format!("container=\"app\",image=\"app:1\",name=\"c1\",{}", slice("/c1"));
        for (container, share) in [(slice(""), 1.0), (app.clone(), 1.0)] {
            let cpu = format!("container_cpu_usage_seconds_total{{{container},cpu=\"total\"}}");
            self.add(&cpu, 1_000.0, 0.25 * share);
            self.add(&format!("container_memory_working_set_bytes{{{container}}}"), 1e8, 0.0);
        }
        if pod.is_limited {
            self.add(&format!("container_cpu_cfs_periods_total{{{app}}}"), 500.0, 10.0);
            self.add(&format!("container_cpu_cfs_throttled_periods_total{{{app}}}"), 50.0, 1.0);
            let disk = format!("{app},device=\"/dev/sda\"");
            self.add(&format!("container_fs_reads_bytes_total{{{disk}}}"), 1e9, 2e4);
            self.add(&format!("container_fs_writes_bytes_total{{{disk}}}"), 1e9, 1e4);
            let sandbox = format!("{},image=\"pause:3\",interface=\"eth0\"", slice("/s1"));
            for (metric, growth) in [
                ("receive_bytes", 3e3),
                ("transmit_bytes", 2e3),
                ("receive_packets_dropped", 0.2),
                ("receive_errors", 0.0),
                ("transmit_packets_dropped", 0.1),
                ("transmit_errors", 0.0),
            ] {
                let metric = format!("container_network_{metric}_total{{{sandbox}}}");
                self.add(&metric, 1e6, growth);
            }
        }
    }

    /// How many replicas of a workload are wanted and ready.
    fn add_replicas(&mut self, names: [&str; 2], workload: &str, [wanted, ready]: [f64; 2]) {
        (self.span, self.is_marked) = ((0, i64::MAX), true);
        let kind = names[0].split('_').nth(1).expect("a kind");
        self.labels = r#"job="kube-state-metrics",instance="10.0.0.9:8080""#.to_owned();
        for (name, value) in names.into_iter().zip([wanted, ready]) {
            self.add(&format!("{name}{{namespace=\"shop\",{kind}=\"{workload}\"}}"), value, 0.0);
        }
    }
}

const DEPLOYMENT: [&str; 2] =
    ["kube_deployment_spec_replicas", "kube_deployment_status_replicas_ready"];
const STATEFUL_SET: [&str; 2] =
    ["kube_statefulset_replicas", "kube_statefulset_status_replicas_ready"];
const DAEMON_SET: [&str; 2] =
    ["kube_daemonset_status_desired_number_scheduled", "kube_daemonset_status_number_ready"];

const WEB: &str = "shop/deployment/web";
const ALONE: &str = "shop/deployment/alone";
const DB: &str = "shop/statefulset/db";
const AGENT: &str = "shop/daemonset/agent";

/// Workloads of each kind, of which pods are replaced by others, and what is none.
fn cluster(rolled: i64) -> Scene {
    let mut scene = Scene::every(30);
    let always = (0, i64::MAX);
    let (before, after) = ((0, rolled), (rolled, i64::MAX));
    let web = ("deployment", "web");
    for (name, workload, span, is_limited) in [
        ("web-7f9c-a", web, before, true),
        ("web-7f9c-b", web, always, true),
        ("web-7f9c-c", web, always, true),
        ("web-7f9c-d", web, after, true),
        ("alone-5d-a", ("deployment", "alone"), before, true),
        ("alone-5d-b", ("deployment", "alone"), after, true),
        ("db-0", ("statefulset", "db"), always, true),
        ("db-1", ("statefulset", "db"), always, true),
        ("agent-x", ("daemonset", "agent"), before, false),
        ("agent-y", ("daemonset", "agent"), always, false),
        ("agent-z", ("daemonset", "agent"), after, false),
        ("report-1", ("job", "report"), always, true),
        ("debug", ("barepod", "debug"), always, false),
    ] {
        scene.add_pod(&Pod { name, workload, span, is_limited });
    }
    scene.add_replicas(DEPLOYMENT, "web", [4.0, 3.0]);
    scene.add_replicas(DEPLOYMENT, "alone", [1.0, 1.0]);
    scene.add_replicas(STATEFUL_SET, "db", [2.0, 2.0]);
    scene.add_replicas(DAEMON_SET, "agent", [2.0, 2.0]);
    scene
}

/// What a workload of such pods is, whichever they are.
fn limited(pods: f64, missing: f64) -> Vec<(&'static str, f64)> {
    let mut expected = unlimited(pods, missing);
    expected.extend([
        ("cpu_of_request", 0.5),
        ("cpu_throttled", 0.1),
        ("memory_of_limit", 0.25),
        ("network_receive_bytes_per_pod", 3e3),
        ("network_transmit_bytes_per_pod", 2e3),
        ("disk_read_bytes_per_pod", 2e4),
        ("disk_written_bytes_per_pod", 1e4),
    ]);
    expected
}

/// Without requests, limits, disks and a network of its own: the file says what is absent.
fn unlimited(pods: f64, missing: f64) -> Vec<(&'static str, f64)> {
    vec![
        ("cpu_per_pod", 0.25),
        ("cpu_busiest_pod", 1.0),
        ("memory_per_pod", 1e8),
        ("memory_largest_pod", 1.0),
        ("restarts", 0.0),
        ("replicas_missing", missing),
        ("pods_running", pods),
        ("pods_not_ready", 0.0),
        ("containers_waiting", 0.0),
    ]
}

/// Drops are a sum over pods.
fn with_drops(mut expected: Vec<(&'static str, f64)>, drops: f64) -> Vec<(&'static str, f64)> {
    expected.push(("network_drops", drops));
    expected
}

#[test]
fn workloads_have_every_feature_or_the_absence_that_the_file_states() {
    let mut watch = Watch::new("kubernetes", cluster(ROLLED));
    (0..=K8S_LAST).for_each(|n| watch.scrape(n));
    let seen = watch.seen();
    assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), [AGENT, ALONE, WEB, DB]);
    check(&watch, K8S_LAST, WEB, &with_drops(limited(3.0, 0.25), 0.9));
    check(&watch, K8S_LAST, ALONE, &with_drops(limited(1.0, 0.0), 0.3));
    check(&watch, K8S_LAST, DB, &with_drops(limited(2.0, 0.0), 0.6));
    check(&watch, K8S_LAST, AGENT, &unlimited(2.0, 0.0));
    check_with_promtool(&watch, K8S_LAST);
}

/// The old pod's series end, those of its containers without a marker; the new one's begin. A workload
/// with other pods is what these are, and has its score throughout.
#[test]
fn a_rolled_pod_does_not_spoil_its_workload() {
    let mut watch = Watch::new("kubernetes", cluster(ROLLED));
    for n in 0..=K8S_LAST {
        watch.scrape(n);
        if n <= FIVE_MINUTES {
            continue;
        }
        let seen = watch.seen();
        let is_new = (ROLLED..ROLLED + FIVE_MINUTES).contains(&n);
        let drops = if is_new { 0.6 } else { 0.9 };
        check(&watch, n, WEB, &with_drops(limited(3.0, 0.25), drops));
        check(&watch, n, DB, &with_drops(limited(2.0, 0.0), 0.6));
        check(&watch, n, AGENT, &unlimited(2.0, 0.0));
        // The one whose only pod is new has no score until that has been there for as long as rates
        // look back.
        let (state, own) = &seen[ALONE];
        assert_eq!(*state == EntityState::Complete, !is_new, "scrape {n}: {state:?}");
        assert_eq!(own.contains_key("cpu_per_pod"), !is_new, "scrape {n}: {own:?}");
    }
}

/// A pod of kube-state-metrics is replaced and for a while both tell of everything; a kubelet is scraped by
/// two jobs; a container was started again, so that the old one's series are there beside its own.
#[test]
fn whoever_tells_a_thing_twice_changes_nothing() {
    let mut scene = cluster(ROLLED);
    let again: Vec<Line> = scene.lines.clone();
    for line in again.into_iter().filter(|line| !line.text.starts_with("namespace_workload")) {
        let other = |value: &str| match value {
            "10.0.0.9:8080" => "10.0.0.8:8080".to_owned(),
            "kubelet" => "cadvisor".to_owned(),
            "c1" => "c0".to_owned(),
            same => same.to_owned(),
        };
        let pairs: Vec<_> = line.labels.iter().map(|(a, b)| (a.to_owned(), other(b))).collect();
        let pairs = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        let labels = Labels::from_pairs(pairs).expect("distinct names");
        scene.lines.push(Line { labels, ..line });
    }
    let mut watch = Watch::new("kubernetes", scene);
    (0..=K8S_LAST).for_each(|n| watch.scrape(n));
    check(&watch, K8S_LAST, WEB, &with_drops(limited(3.0, 0.25), 0.9));
    check(&watch, K8S_LAST, AGENT, &unlimited(2.0, 0.0));
}

/// kubernetes-mixin can write the kinds as Kubernetes does.
#[test]
fn kinds_may_be_written_with_capitals() {
    let mut scene = Scene::every(30);
    let span = (0, i64::MAX);
    for (name, workload) in [("web-1", ("Deployment", "web")), ("db-0", ("StatefulSet", "db"))] {
        scene.add_pod(&Pod { name, workload, span, is_limited: true });
    }
    scene.add_replicas(DEPLOYMENT, "web", [2.0, 1.0]);
    scene.add_replicas(STATEFUL_SET, "db", [1.0, 1.0]);
    let mut watch = Watch::new("kubernetes", scene);
    (0..=K8S_LAST).for_each(|n| watch.scrape(n));
    check(&watch, K8S_LAST, "shop/Deployment/web", &with_drops(limited(1.0, 0.5), 0.3));
    check(&watch, K8S_LAST, "shop/StatefulSet/db", &with_drops(limited(1.0, 0.0), 0.3));
}

/// One pod of three is in trouble: each feature shows it.
#[test]
fn a_pod_in_trouble_shows() {
    let mut scene = cluster(ROLLED);
    for line in &mut scene.lines {
        if line.labels.get("pod") != "web-7f9c-b" {
            continue;
        }
        match line.labels.get("__name__") {
            "container_cpu_usage_seconds_total" => line.growth = 1.0,
            "container_cpu_cfs_throttled_periods_total" => line.growth = 10.0,
            "container_memory_working_set_bytes" => line.value = 4e8,
            "kube_pod_container_status_restarts_total" => line.growth = 1.0 / 60.0,
            "kube_pod_container_status_waiting" => line.value = 1.0,
            "kube_pod_status_ready" => line.value = 1.0 - line.value,
            _ => {}
        }
    }
    let mut watch = Watch::new("kubernetes", scene);
    (0..=K8S_LAST).for_each(|n| watch.scrape(n));
    let mut expected = with_drops(limited(3.0, 0.25), 0.9);
    for (name, value) in [
        ("cpu_per_pod", 0.5),
        ("cpu_of_request", 1.0),
        ("cpu_throttled", 0.4),
        ("cpu_busiest_pod", 2.0),
        ("memory_per_pod", 2e8),
        ("memory_of_limit", 1.0),
        ("memory_largest_pod", 2.0),
        ("restarts", 5.0),
        ("pods_not_ready", 1.0 / 3.0),
        ("containers_waiting", 1.0 / 3.0),
    ] {
        expected.iter_mut().find(|it| it.0 == name).expect("a feature").1 = value;
    }
    check(&watch, K8S_LAST, WEB, &expected);
    check_with_promtool(&watch, K8S_LAST);
}

#[tokio::test]
async fn the_kubernetes_profile_trains_and_its_model_is_accepted() {
    // The agents have none of these.
    let absent = [
        "cpu_of_request",
        "cpu_throttled",
        "memory_of_limit",
        "network_receive_bytes_per_pod",
        "network_transmit_bytes_per_pod",
        "network_drops",
        "disk_read_bytes_per_pod",
        "disk_written_bytes_per_pod",
    ];
    check_training("kubernetes", &cluster(200), 4, &absent.map(|name| (name, 1))).await;
}

// Windows.

/// Twenty-two minutes: the longest ranges are covered for the last ten of them.
const WINDOWS_LAST: i64 = 88;

/// By version: the names of its day, and the collectors of the file's head or those of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Version {
    Current,
    /// Both old and new names, as 0.29 and 0.30.
    Both,
    Old,
}

impl Scene {
    fn add_host(&mut self, instance: &str, version: Version, has_more: bool) {
        self.labels = format!("job=\"windows\",instance=\"{instance}\"");
        for core in ["0,0", "0,1"] {
            // Privileged time has that of interrupts and deferred calls in it.
            for (mode, share) in [
                ("idle", 0.7),
                ("user", 0.2),
                ("privileged", 0.1),
                ("interrupt", 0.01),
                ("dpc", 0.02),
            ] {
                let metric = format!("windows_cpu_time_total{{core=\"{core}\",mode=\"{mode}\"}}");
                self.add(&metric, 1e5, share);
            }
        }
        self.add("windows_system_processor_queue_length", 3.0, 0.0);
        self.add("windows_system_context_switches_total", 1e8, 4e3);
        self.add("windows_system_system_calls_total", 1e9, 3e4);
        self.add("windows_system_threads", 1_500.0, 0.0);
        let total = 8e9;
        if version != Version::Old {
            self.add("windows_system_processes", 150.0, 0.0);
            self.add("windows_memory_available_bytes", 6e9, 0.0);
            self.add("windows_memory_physical_free_bytes", 6e9, 0.0);
            self.add("windows_memory_physical_total_bytes", total, 0.0);
            self.add("windows_memory_committed_bytes", 4e9, 0.0);
            self.add("windows_memory_commit_limit", 1.6e10, 0.0);
            self.add("windows_memory_swap_page_operations_total", 1e5, 5.0);
            self.add("windows_memory_pool_nonpaged_bytes", 4e8, 0.0);
        }
        if version != Version::Current {
            self.add("windows_os_processes", 150.0, 0.0);
            self.add("windows_os_physical_memory_free_bytes", 6e9, 0.0);
            self.add("windows_os_visible_memory_bytes", total, 0.0);
            self.add("windows_cs_physical_memory_bytes", total, 0.0);
            self.add("windows_os_virtual_memory_free_bytes", 1.2e10, 0.0);
            self.add("windows_os_virtual_memory_bytes", 1.6e10, 0.0);
            self.add("windows_os_paging_free_bytes", 6e9, 0.0);
            self.add("windows_os_paging_limit_bytes", 8e9, 0.0);
        }
        if has_more {
            self.add(r#"windows_pagefile_free_bytes{file="C:\\pagefile.sys"}"#, 6e9, 0.0);
            self.add(r#"windows_pagefile_limit_bytes{file="C:\\pagefile.sys"}"#, 8e9, 0.0);
            for (af, part) in [("ipv4", 3.0), ("ipv6", 1.0)] {
                let add = |scene: &mut Self, name: &str, value, growth| {
                    scene.add(&format!("windows_tcp_{name}{{af=\"{af}\"}}"), value, growth);
                };
                add(self, "connections_established", 10.0 * part, 0.0);
                add(self, "segments_retransmitted_total", 1e4, 0.1 * part);
                add(self, "connection_failures_total", 1e3, 0.01 * part);
            }
        }
        self.add_devices();
    }

    fn add_devices(&mut self) {
        for (volume, part) in [("C:", 1.0), ("D:", 2.0), ("HarddiskVolume1", 100.0)] {
            let mut add = |name: &str, value, growth| {
                self.add(
                    &format!("windows_logical_disk_{name}{{volume=\"{volume}\"}}"),
                    value,
                    growth,
                );
            };
            add("read_bytes_total", 1e9, 1e4 * part);
            add("write_bytes_total", 1e9, 2e4 * part);
            add("idle_seconds_total", 1e5, (1.0 - 0.1 * part).max(0.0));
            add("requests_queued", 0.5 * part, 0.0);
            add("size_bytes", 1e11, 0.0);
            add("free_bytes", (1e11 - 3e10 * part).max(0.0), 0.0);
        }
        let tunnel = "Teredo_Tunneling_Pseudo_Interface";
        for (nic, part) in [("Intel_R__82574L_Gigabit_Network_Connection", 1.0), (tunnel, 50.0)] {
            for (name, growth) in [
                ("bytes_received", 3e4),
                ("bytes_sent", 2e4),
                ("packets_received_errors", 0.1),
                ("packets_outbound_errors", 0.2),
                ("packets_received_discarded", 0.3),
                ("packets_outbound_discarded", 0.0),
            ] {
                self.add(&format!("windows_net_{name}_total{{nic=\"{nic}\"}}"), 1e6, growth * part);
            }
        }
    }
}

/// What such a host is, but for the collectors that some do not have.
const HOST: [(&str, f64); 24] = [
    ("cpu_user", 0.2),
    ("cpu_privileged", 0.1),
    ("cpu_interrupt", 0.03),
    ("processor_queue_per_core", 1.5),
    ("context_switches_per_core", 2e3),
    ("system_calls_per_core", 1.5e4),
    ("threads", 1_500.0),
    ("processes", 150.0),
    ("memory_used", 0.25),
    ("commit_used", 0.25),
    ("disk_read_bytes", 3e4),
    ("disk_written_bytes", 6e4),
    ("disk_busy", 0.2),
    ("disk_queue", 1.5),
    ("filesystem_used", 0.6),
    ("network_receive_bytes", 3e4),
    ("network_transmit_bytes", 2e4),
    ("network_errors", 0.3),
    ("network_drops", 0.3),
    ("cpu_busy_mean", 0.3),
    ("cpu_busy_stddev", 0.0),
    ("cpu_busy_change", 0.0),
    ("memory_used_mean", 0.25),
    ("memory_used_change", 0.0),
];
const ALSO: (&str, f64) = ("filesystem_used_change", 0.0);
const PAGE_FILE: (&str, f64) = ("pagefile_used", 0.25);
const MEMORY: [(&str, f64); 2] = [("paging", 5.0), ("memory_nonpaged", 0.05)];
const TCP: [(&str, f64); 3] =
    [("tcp_connections", 40.0), ("tcp_retransmits", 0.4), ("tcp_failures", 0.04)];

fn hosts() -> Scene {
    let mut scene = Scene::every(15);
    scene.add_host("all", Version::Current, true);
    scene.add_host("usual", Version::Current, false);
    scene.add_host("both", Version::Both, true);
    scene.add_host("old", Version::Old, false);
    scene
}

#[test]
fn windows_hosts_of_all_versions_have_every_feature_or_a_stated_absence() {
    let mut watch = Watch::new("windows", hosts());
    (0..=WINDOWS_LAST).for_each(|n| watch.scrape(n));
    let all = [&HOST[..], &[ALSO, PAGE_FILE], &MEMORY, &TCP].concat();
    let calendar = 4;
    assert_eq!(all.len() + calendar, watch.names().len(), "every feature is somewhere");
    check(&watch, WINDOWS_LAST, "windows/all", &all);
    check(&watch, WINDOWS_LAST, "windows/both", &all);
    let usual = [&HOST[..], &[ALSO], &MEMORY].concat();
    check(&watch, WINDOWS_LAST, "windows/usual", &usual);
    check(&watch, WINDOWS_LAST, "windows/old", &[&HOST[..], &[ALSO, PAGE_FILE]].concat());
    check_with_promtool(&watch, WINDOWS_LAST);
}

/// Windows takes back what it counted: of idle seconds a few, of a disk's as well.
#[test]
fn what_windows_takes_back_is_no_load() {
    let mut scene = Scene::every(15);
    scene.add_host("host", Version::Current, true);
    let back: Vec<Line> = scene.lines.clone();
    for line in &mut scene.lines {
        let is_idle = line.labels.get("mode") == "idle" && line.labels.get("core") == "0,0";
        if is_idle || line.labels.get("__name__") == "windows_logical_disk_idle_seconds_total" {
            line.to = WINDOWS_LAST - 4;
            line.is_marked = false;
        }
    }
    let resumed = back.into_iter().zip(&scene.lines).filter(|(_, line)| line.to < i64::MAX);
    let resumed: Vec<Line> = resumed
        .map(|(line, ended)| Line { from: ended.to, value: line.at(ended.to, 15) - 20.0, ..line })
        .collect();
    assert_eq!(resumed.len(), 4);
    scene.lines.extend(resumed);
    let mut watch = Watch::new("windows", scene);
    for n in 0..=WINDOWS_LAST {
        watch.scrape(n);
        let seen = watch.seen();
        let own = &seen["windows/host"].1;
        for (name, expected) in [("cpu_user", 0.2), ("cpu_busy_mean", 0.3), ("disk_busy", 0.2)] {
            let value = own.get(name).copied();
            assert!(
                value.is_none_or(|it| (it - expected).abs() < 1e-6),
                "scrape {n}: {name} {value:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_windows_profile_trains_and_its_model_is_accepted() {
    let absent = [
        ("pagefile_used", 1),
        ("paging", 1),
        ("memory_nonpaged", 1),
        ("tcp_connections", 2),
        ("tcp_retransmits", 2),
        ("tcp_failures", 2),
    ];
    check_training("windows", &hosts(), 4, &absent).await;
}
