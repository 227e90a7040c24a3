//! Portent's PromQL against a real Prometheus: the same samples into both, then every expression
//! at many instants. Label sets must be equal, values within a relative 1e-12 or both NaN, and one
//! side has an error exactly when the other has.

mod expressions;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeMap;

use portent::features::profile;
use portent::labels::Labels;
use portent::promql::{Expr, Plan, Value};
use portent::sample::{Batch, BatchSeries, Sample};
use portent::series::{StorageConfig, Store};
use support::{Answer, Prometheus, RemoteWriter, Series};

/// Gives the recording; a failure prints it. Set `PORTENT_SEED` for another one.
const SEED: u64 = 20_260_729;

/// When the recording starts: fixed, so that a seed gives the same case for ever, and such that
/// midnight and the end of a month (2025-06-30) fall in its middle.
const START_MS: i64 = 1_751_325_000_000;

/// How far two values may be apart, relative to the larger one: for functions such as `exp`, of
/// which Go and Rust have different implementations. Sums and rates agree to the bit.
const TOLERANCE: f64 = 1e-12;

/// Samples are sent in slices of so many milliseconds, in order of time as a sender does it.
const SLICE_MS: i64 = 300_000;

/// Evaluations, evenly spread over the recording; each is moved off the even by another amount.
const INSTANTS: i64 = 24;

/// Odd amounts to be off: aligned to steps and scrapes, a millisecond beside, anything.
const SHIFTS_MS: [i64; 6] = [0, 1, -1, 7_123, 29_500, 15_000];

/// What a side says: its elements by label set (none: a scalar), or its error.
type Result = std::result::Result<BTreeMap<Option<Labels>, f64>, String>;

#[tokio::test]
async fn the_same_samples_give_the_same_answers() {
    let seed = std::env::var("PORTENT_SEED").map_or(SEED, |text| text.parse().expect("a number"));
    let recording = world::record(seed, START_MS);

    let prometheus = Prometheus::start("global: {}\n", &[]).await;
    send(&prometheus, &recording).await;

    let mut texts: Vec<String> = profile().into_iter().map(|spec| spec.expr).collect();
    texts.extend(expressions::COMPARED.iter().map(|text| (*text).to_owned()));
    let mut portent = Portent::new(&texts, recording);

    let mut instants: Vec<i64> = (1..=INSTANTS)
        .map(|i| START_MS + world::LENGTH_MS * i / INSTANTS / 60_000 * 60_000)
        .zip(SHIFTS_MS.iter().cycle())
        .map(|(time_ms, shift_ms)| time_ms + shift_ms)
        .collect();
    instants.sort_unstable();

    let (mut compared, mut errors, mut elements) = (0, 0, 0);
    let mut mismatches = Vec::new();
    for time_ms in instants {
        portent.advance(time_ms);
        for (i, text) in texts.iter().enumerate() {
            let ours = portent.answer(i);
            let theirs = answer(prometheus.query(text, Some(time_ms)).await);
            compared += 1;
            match &theirs {
                Ok(values) => elements += values.len(),
                Err(_) => errors += 1,
            }
            if let Some(difference) = difference(&ours, &theirs) {
                mismatches.push(format!(
                    "{text}\n  at {time_ms} ({} ms after the start): {difference}",
                    time_ms - START_MS
                ));
            }
        }
    }
    println!(
        "{} expressions, {compared} comparisons, {elements} elements, {errors} errors on both sides",
        texts.len()
    );
    assert!(
        mismatches.is_empty(),
        "{} of {compared} differ (PORTENT_SEED={seed}):\n{}",
        mismatches.len(),
        mismatches[..mismatches.len().min(60)].join("\n")
    );
    assert!(elements > 10 * texts.len(), "there was little to compare");
}

#[tokio::test]
async fn what_prometheus_refuses_is_refused() {
    let prometheus = Prometheus::start("global: {}\n", &[]).await;
    let mut accepted = Vec::new();
    for text in expressions::REFUSED {
        let theirs = prometheus.query(text, None).await;
        if theirs.is_ok() || Expr::parse(text).is_ok() {
            let ours = Expr::parse(text).err().map(|error| error.to_string());
            accepted.push(format!("{text}\n  portent: {ours:?}\n  prometheus: {theirs:?}"));
        }
    }
    assert!(accepted.is_empty(), "accepted:\n{}", accepted.join("\n"));
}

async fn send(prometheus: &Prometheus, recording: &[Series]) {
    let writer = RemoteWriter::new(prometheus.url("/api/v1/write"));
    let mut from_ms = START_MS;
    while from_ms < START_MS + world::LENGTH_MS + SLICE_MS {
        let to_ms = from_ms + SLICE_MS;
        let slice: Vec<Series> = recording
            .iter()
            .map(|series| Series {
                labels: series.labels.clone(),
                samples: between(&series.samples, from_ms, to_ms),
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        if !slice.is_empty() {
            let reply = writer.send(&slice).await;
            assert_eq!(reply.status, 204, "{}", reply.body);
        }
        from_ms = to_ms;
    }
}

/// The samples in `[from_ms, to_ms)`.
fn between(samples: &[(i64, f64)], from_ms: i64, to_ms: i64) -> Vec<(i64, f64)> {
    let inside = samples.iter().filter(|(t, _)| (from_ms..to_ms).contains(t));
    inside.copied().collect()
}

/// A store and a plan that live through the recording as a running Portent does: samples come as
/// time goes on, series are evicted, only what the expressions look back to is kept.
struct Portent {
    store: Store,
    plan: Plan,
    recording: Vec<Series>,
    sent_to_ms: i64,
}

impl Portent {
    fn new(texts: &[String], recording: Vec<Series>) -> Self {
        let exprs: Vec<Expr> = texts
            .iter()
            .map(|text| Expr::parse(text).unwrap_or_else(|error| panic!("{error}")))
            .collect();
        let mut store = Store::new(StorageConfig::default());
        let plan = Plan::bind(&exprs, &mut store);
        Self { store, plan, recording, sent_to_ms: i64::MIN }
    }

    /// Takes in what was scraped until then and evaluates.
    fn advance(&mut self, time_ms: i64) {
        let mut batch = Batch::default();
        for series in &self.recording {
            let samples = between(&series.samples, self.sent_to_ms, time_ms + 1);
            if !samples.is_empty() {
                batch.series.push(BatchSeries {
                    labels: Labels::from_pairs(series.labels.clone()).expect("distinct names"),
                    samples: samples.iter().map(|(t, v)| Sample::new(*t, *v)).collect(),
                });
            }
        }
        self.sent_to_ms = time_ms + 1;
        let outcome = self.store.append(time_ms, &batch);
        assert_eq!(outcome.rejected(), 0, "{outcome:?}");
        self.store.evict(time_ms);
        self.plan.eval(&self.store, time_ms);
    }

    fn answer(&self, i: usize) -> Result {
        match self.plan.output(i) {
            Err(error) => Err(error.to_string()),
            Ok(Value::Scalar(value)) => Ok(BTreeMap::from([(None, value)])),
            Ok(Value::Vector(vector)) => {
                let mut elements = BTreeMap::new();
                for (i, labels) in vector.layout.labels.iter().enumerate() {
                    if vector.present[i] {
                        let before = elements.insert(Some(labels.clone()), vector.values[i]);
                        assert!(before.is_none(), "{labels} is there twice");
                    }
                }
                Ok(elements)
            }
        }
    }
}

fn answer(theirs: std::result::Result<Answer, String>) -> Result {
    theirs.map(|answer| match answer {
        Answer::Scalar(value) => BTreeMap::from([(None, value)]),
        Answer::Vector(elements) => elements
            .into_iter()
            .map(|element| {
                let labels = Labels::from_pairs(element.labels).expect("distinct names");
                (Some(labels), element.value)
            })
            .collect(),
    })
}

/// Says in what two answers differ.
fn difference(ours: &Result, theirs: &Result) -> Option<String> {
    let (ours, theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return None,
        (Err(error), Ok(_)) => return Some(format!("only portent fails: {error}")),
        (Ok(_), Err(error)) => return Some(format!("only prometheus fails: {error}")),
        (Ok(ours), Ok(theirs)) => (ours, theirs),
    };
    let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differences: Vec<String> = keys
        .into_iter()
        .filter_map(|key| {
            let (a, b) = (ours.get(key), theirs.get(key));
            let same = matches!((a, b), (Some(a), Some(b)) if close(*a, *b));
            (!same).then(|| format!("{key:?}: portent {a:?}, prometheus {b:?}"))
        })
        .collect();
    (!differences.is_empty()).then(|| differences.join("; "))
}

fn close(a: f64, b: f64) -> bool {
    a == b
        || a.is_nan() && b.is_nan()
        || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()) && a.is_finite() && b.is_finite()
}
