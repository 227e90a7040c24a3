//! The profile over the pages of exporters of many kinds: what every feature is, or that it is not.
//!
//! `tests/exporters/*.prom` are pages as an exporter serves them, with two additions: where a time
//! stamp could stand, `+N` says by how much a counter grows each second; and comments at the top say
//! what becomes of the host (`# state complete`) and what its features are (`# = name value`, with
//! `filled` before values that stand for what the host does not have). A feature that is not named
//! has no value.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use portent::features::{
    EntityState, FeatureSet, Features, PROFILE_ENTITY, ProfileFeature, Provenance, profile_guide,
};
use portent::labels::Labels;
use portent::sample::{Batch, BatchSeries, Sample};
use portent::series::{StorageConfig, Store};

const START_MS: i64 = 1_700_000_000_000;
const INTERVAL_MS: i64 = 15_000;

/// Fifteen minutes: every range is covered for the last of them.
const SCRAPES: i64 = 60;

/// The scrape of which everything is compared.
const LAST: i64 = SCRAPES - 1;

/// Scrapes after which all ranges are covered.
const WHOLE: i64 = 52;

/// One series of a page: what it is at the first scrape, and how much more each second.
#[derive(Debug, Clone)]
struct Line {
    labels: Labels,
    value: f64,
    growth: f64,
}

#[derive(Debug, Clone)]
struct Page {
    name: String,
    lines: Vec<Line>,
    state: String,
    /// Of the features that have one.
    expected: BTreeMap<String, (Provenance, f64)>,
}

impl Page {
    #[track_caller]
    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exporters");
        let text = fs::read_to_string(folder.join(format!("{name}.prom"))).expect("a page");
        let mut page = Self {
            name: name.to_owned(),
            lines: Vec::new(),
            state: String::new(),
            expected: BTreeMap::new(),
        };
        for line in text.lines() {
            if let Some(state) = line.strip_prefix("# state ") {
                state.clone_into(&mut page.state);
            } else if let Some(text) = line.strip_prefix("# = ") {
                let words: Vec<&str> = text.split(' ').collect();
                let (from, value) = match words[1..] {
                    ["filled", value] => (Provenance::Filled, value),
                    [value] => (Provenance::Own, value),
                    _ => panic!("{name}: {line}"),
                };
                page.expected.insert(words[0].to_owned(), (from, value.parse().expect(line)));
            } else if !line.starts_with('#') {
                page.lines.push(series(line));
            }
        }
        page
    }

    /// Lets a counter fall by so much once, a minute before the last scrape.
    fn scrape(&self, n: i64, back: &[(&str, f64)]) -> Batch {
        let seconds = (n * INTERVAL_MS / 1000) as f64;
        let series = self.lines.iter().map(|line| {
            let mut value = line.value + line.growth * seconds;
            for (part, less) in back.iter().filter(|_| n >= LAST - 4) {
                if line.labels.to_string().contains(part) {
                    value -= less;
                }
            }
            BatchSeries::new(
                line.labels.clone(),
                vec![Sample::new(START_MS + n * INTERVAL_MS, value)],
            )
        });
        Batch::of(series.collect())
    }
}

/// `name{label="value",..} VALUE [+GROWTH]`; no value has a brace, a quote or a comma in it.
fn series(line: &str) -> Line {
    let (id, rest) = match line.split_once('}') {
        Some((id, rest)) => (id, rest.trim_start()),
        None => line.split_once(' ').expect("a value"),
    };
    let (name, labels) = id.split_once('{').unwrap_or((id, ""));
    let mut pairs = vec![("__name__", name), ("job", "node"), ("instance", "host:9100")];
    let labels = labels.strip_suffix('"').unwrap_or(labels);
    let own = labels.split("\",").filter(|it| !it.is_empty());
    pairs.extend(own.map(|it| it.split_once("=\"").expect(line)));
    pairs.retain(|(_, value)| !value.is_empty());
    let mut numbers = rest.split(" +").map(|it| it.parse().expect(line));
    Line {
        labels: Labels::from_pairs(pairs).expect("distinct names"),
        value: numbers.next().expect("a value"),
        growth: numbers.next().unwrap_or(0.0),
    }
}

/// Features over a store that gets a page's scrapes.
struct Host {
    store: Store,
    set: FeatureSet,
    guide: Vec<ProfileFeature>,
}

impl Host {
    fn new() -> Self {
        let guide = profile_guide();
        let mut store = Store::new(StorageConfig::default());
        let specs: Vec<_> = guide.iter().map(|it| it.spec.clone()).collect();
        let features = Features::parse(&specs, &PROFILE_ENTITY.map(str::to_owned));
        let set = features.expect("the profile").maskable(true).bind(&mut store);
        Self { store, set, guide }
    }

    /// Takes a scrape, and looks whether every value lies in its domain.
    fn scrape(&mut self, page: &Page, n: i64, back: &[(&str, f64)]) {
        let now_ms = START_MS + n * INTERVAL_MS;
        let outcome = self.store.append(now_ms, &page.scrape(n, back));
        assert_eq!(outcome.rejected(), 0, "{}: {outcome:?}", page.name);
        let matrix = self.set.eval(&self.store, now_ms, 120_000);
        assert!(matrix.errors().is_empty(), "{}: {:?}", page.name, matrix.errors());
        if matrix.slots() == 0 {
            return;
        }
        for (feature, value) in self.guide.iter().zip(matrix.row(0)) {
            let [least, most] = feature.domain;
            let inside = value.is_nan() || (least..=most).contains(value);
            assert!(inside, "{}, scrape {n}: {} is {value}", page.name, feature.spec.name);
        }
    }

    /// The value of a feature; NaN where there is none.
    fn value(&self, name: &str) -> f64 {
        let place = self.guide.iter().position(|it| it.spec.name == name);
        self.set.matrix().row(0)[place.expect("a feature of the profile")]
    }
}

#[track_caller]
fn check(page: &Page) {
    let mut host = Host::new();
    (0..SCRAPES).for_each(|n| host.scrape(page, n, &[]));
    let matrix = host.set.matrix();
    if page.state == "none" {
        assert_eq!(matrix.slots(), 0, "{}", page.name);
        return;
    }
    let mut wrong = Vec::new();
    let mut known = page.expected.clone();
    let found = matrix.row(0).iter().zip(matrix.provenance(0));
    for (feature, (value, from)) in host.guide.iter().zip(found) {
        if *from == Provenance::Common {
            continue;
        }
        let name = &feature.spec.name;
        let is_right = match known.remove(name) {
            Some((by, expected)) => {
                *from == by && (value - expected).abs() <= 1e-5 * expected.abs().max(1.0)
            }
            None => !from.has_value(),
        };
        if !is_right {
            wrong.push(format!("{name} is {value} ({})", from.name()));
        }
    }
    assert!(known.is_empty(), "{}: {known:?} are no features of a host", page.name);
    assert!(wrong.is_empty(), "{}: {}", page.name, wrong.join(", "));
    let state = match matrix.state(0) {
        EntityState::Complete => "complete",
        EntityState::Incomplete => "incomplete",
        other => panic!("{}: {other:?}", page.name),
    };
    assert_eq!(state, page.state, "{}", page.name);
}

#[test]
fn every_page_has_the_features_that_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exporters");
    let names: BTreeSet<String> = fs::read_dir(folder)
        .expect("pages")
        .map(|entry| entry.expect("a file").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    names.iter().for_each(|name| check(&Page::read(name)));
}

/// Virtual machines come and go on a host, and their taps carry what its cards carry.
#[test]
fn six_hundred_taps_are_no_traffic_of_their_own() {
    let mut page = Page::read("hypervisor");
    for vm in 0..600 {
        for direction in ["receive", "transmit"] {
            for what in ["bytes", "errs", "drop"] {
                page.lines.push(series(&format!(
                    "node_network_{direction}_{what}_total{{device=\"tap{vm}i0\"}} 1000 +{vm}"
                )));
            }
        }
    }
    check(&page);
    let mut host = Host::new();
    host.scrape(&page, 0, &[]);
    let taps = page.lines.iter().filter(|it| it.labels.get("device").starts_with("tap")).count();
    assert_eq!(taps, 3_600);
    assert!(host.store.stats().series < 100, "taps are kept");
}

/// What CPU features say while counters have gone back within their windows.
#[track_caller]
fn check_back(page: &str, back: &[(&str, f64)], expected: &[(&str, f64)]) {
    let page = Page::read(page);
    let mut host = Host::new();
    for n in 0..SCRAPES {
        host.scrape(&page, n, back);
        if n < WHOLE {
            continue;
        }
        for (name, value) in expected {
            let found = host.value(name);
            let is_right = (found - value).abs() < 1e-6 || (found.is_nan() && n >= LAST - 4);
            assert!(is_right, "{}, scrape {n}: {name} is {found}", page.name);
        }
    }
}

#[test]
fn a_counter_that_goes_back_is_no_load() {
    let cpu = [
        ("cpu_user", 0.2),
        ("cpu_system", 0.1),
        ("cpu_iowait", 0.05),
        ("cpu_busy_mean", 0.4),
        ("cpu_busy_stddev", 0.0),
        ("load_per_core", 0.5),
        ("cpu_per_memory", 1.6),
    ];
    check_back("linux-6.8-server", &[(r#"cpu="1", mode="iowait""#, 0.01)], &cpu);
    check_back("linux-6.8-server", &[(r#"cpu="0", mode="idle""#, 40.0)], &cpu);
    let all = [(r#"mode="idle""#, 40.0)];
    check_back("linux-6.8-server", &all, &cpu);
    check_back("smt-off", &[(r#"cpu="0", mode="iowait""#, 0.01)], &cpu);
    let disk = [("disk_busy", 0.1), ("disk_per_cpu", 0.25)];
    check_back("linux-6.8-server", &[("io_time", 2.0)], &disk);
}

/// A scrape that failed is less to look at, not less idle.
#[test]
fn missing_scrapes_are_no_load() {
    let page = Page::read("linux-6.8-server");
    let mut host = Host::new();
    for n in (0..SCRAPES + 10).filter(|n| !(50..55).contains(n)) {
        host.scrape(&page, n, &[]);
        for (name, expected) in
            [("cpu_user", 0.2), ("cpu_busy_mean", 0.4), ("cpu_busy_stddev", 0.0)]
        {
            let found = host.value(name);
            assert!(
                found.is_nan() || (found - expected).abs() < 1e-6,
                "scrape {n}: {name} {found}"
            );
        }
    }
    assert!(host.value("cpu_user") > 0.0);
}
