//! Portent's side: a store and a plan that live through the recording, and one store that has all
//! of it, for queries.

use std::collections::BTreeMap;

use portent::labels::{Labels, METRIC_NAME};
use portent::matcher::{MatchOp, Matcher, Selector};
use portent::promql::{Expr, Plan, Query, Value};
use portent::sample::{Batch, BatchSeries, Sample};
use portent::series::{StorageConfig, Store};

use super::world;
use crate::support::Series;

/// Elements of an instant answer; no label set: a scalar.
pub type Elements = Vec<(Option<Labels>, f64)>;

/// Series of the answer to a range query.
pub type Matrix = BTreeMap<Labels, Vec<(i64, f64)>>;

/// The samples in `[from_ms, to_ms)`.
pub fn between(samples: &[(i64, f64)], from_ms: i64, to_ms: i64) -> Vec<(i64, f64)> {
    let inside = samples.iter().filter(|(t, _)| (from_ms..to_ms).contains(t));
    inside.copied().collect()
}

pub fn batch(recording: &[Series], from_ms: i64, to_ms: i64) -> Batch {
    let series = recording.iter().filter_map(|series| {
        let samples = between(&series.samples, from_ms, to_ms);
        let labels = Labels::from_pairs(series.labels.clone()).expect("distinct names");
        let samples: Vec<Sample> = samples.iter().map(|(t, v)| Sample::new(*t, *v)).collect();
        (!samples.is_empty()).then_some(BatchSeries::new(labels, samples))
    });
    Batch::of(series.collect())
}

pub fn elements(value: Value) -> Elements {
    match value {
        Value::Scalar(value) => vec![(None, value)],
        Value::Vector(vector) => (0..vector.layout.len())
            .filter(|i| vector.present[*i])
            .map(|i| (Some(vector.layout.labels[i].clone()), vector.values[i]))
            .collect(),
    }
}

/// As a running Portent: samples come as time goes on, series are evicted, only what the
/// expressions look back to is kept.
pub struct Live {
    store: Store,
    plan: Plan,
    recording: Vec<Series>,
    sent_to_ms: i64,
}

impl Live {
    pub fn new(exprs: &[Expr], recording: Vec<Series>) -> Self {
        let mut store = Store::new(StorageConfig::default());
        let plan = Plan::bind(exprs, &mut store);
        Self { store, plan, recording, sent_to_ms: i64::MIN }
    }

    /// Takes in what was scraped until then and evaluates.
    pub fn advance(&mut self, time_ms: i64) {
        let batch = batch(&self.recording, self.sent_to_ms, time_ms + 1);
        self.sent_to_ms = time_ms + 1;
        let outcome = self.store.append(time_ms, &batch);
        // Minutes have passed: what a series that began meanwhile had first may be too old already.
        assert_eq!(outcome.rejected(), outcome.too_old, "{outcome:?}");
        self.store.evict(time_ms);
        self.plan.eval(&self.store, time_ms);
    }

    pub fn answer(&self, i: usize) -> Result<Elements, String> {
        self.plan.output(i).map(elements).map_err(ToString::to_string)
    }
}

/// The whole recording, to be asked once and again.
pub struct Archive {
    store: Store,
}

impl Archive {
    pub fn new(recording: &[Series]) -> Self {
        let mut store = Store::new(StorageConfig::default());
        let all = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+").expect("a good pattern");
        store.register(&Selector::new(vec![all]), 2 * world::LENGTH_MS);
        // A slice at a time, in the order in which series are born.
        let times = recording.iter().flat_map(|series| series.samples.iter().map(|(t, _)| *t));
        let (first_ms, last_ms) =
            times.fold((i64::MAX, i64::MIN), |(a, b), t| (a.min(t), b.max(t)));
        let mut from_ms = first_ms;
        while from_ms <= last_ms {
            let to_ms = from_ms + world::SLICE_MS;
            let outcome = store.append(to_ms, &batch(recording, from_ms, to_ms));
            assert_eq!(outcome.rejected(), 0, "{outcome:?}");
            from_ms = to_ms;
        }
        Self { store }
    }

    /// An instant query; in the order that the expression asks for, if it does.
    pub fn instant(&mut self, text: &str, time_ms: i64) -> Result<Elements, String> {
        let expr = instant_query(text, time_ms, time_ms)?;
        let mut answer = Err(String::new());
        self.steps(&expr, time_ms, time_ms, 1, |_, elements| answer = Ok(elements))?;
        let mut elements = answer?;
        if let Some(order) = expr.order() {
            order.sort(&mut elements, |(labels, value)| {
                (labels.as_ref().expect("only vectors are sorted"), *value)
            });
        }
        Ok(elements)
    }

    /// A range query.
    pub fn range(&mut self, text: &str, over: Steps) -> Result<Matrix, String> {
        let Steps { start_ms, end_ms, step_ms } = over;
        let expr = instant_query(text, start_ms, end_ms)?;
        let mut matrix = Matrix::new();
        self.steps(&expr, start_ms, end_ms, step_ms, |time_ms, elements| {
            for (labels, value) in elements {
                matrix
                    .entry(labels.unwrap_or_else(Labels::empty))
                    .or_default()
                    .push((time_ms, value));
            }
        })?;
        Ok(matrix)
    }

    fn steps(
        &mut self,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        mut take: impl FnMut(i64, Elements),
    ) -> Result<(), String> {
        let mut plan = Plan::bind(std::slice::from_ref(expr), &mut self.store);
        let mut result = Ok(());
        for time_ms in (start_ms..=end_ms).step_by(step_ms as usize) {
            let done = plan.eval_step(&self.store, time_ms, time_ms == start_ms, &|| true);
            done.expect("nobody interrupts");
            match plan.output(0) {
                Ok(value) => take(time_ms, elements(value)),
                Err(error) => {
                    result = Err(error.to_string());
                    break;
                }
            }
        }
        plan.release(&mut self.store);
        result
    }
}

/// The instants of a range query.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

fn instant_query(text: &str, start_ms: i64, end_ms: i64) -> Result<Expr, String> {
    match Query::parse(text, start_ms, end_ms) {
        Ok(Query::Instant(expr)) => Ok(expr),
        // Prometheus takes them as instant queries, this test's client does not.
        Ok(Query::Range(_) | Query::Text(_)) => Err("neither a scalar nor a vector".to_owned()),
        Ok(Query::Failed { error, .. }) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
