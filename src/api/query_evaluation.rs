//! An evaluation: from a query and copies of what it reads to the JSON of its answer.
//!
//! Pure: the samples come with it, and time is asked for by a question whether to go on.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::{ApiError, Limit, Stage};
use super::json::Json;
use crate::bytesize::ByteSize;
use crate::histogram::NativeHistogram;
use crate::labels::Labels;
use crate::promql::{
    Annotations, EvalError, Expr, Plan, Query, RangeRow, RangeSelection, Reach, Steps, Value,
    Vector, select_range,
};
use crate::sample::{HistogramSample, Sample};
use crate::series::{ExcerptRequest, Store};

/// When a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instants {
    /// Once.
    At(i64),
    /// At the start and every step after it, up to the end.
    Steps {
        /// The first.
        start_ms: i64,
        /// None after it.
        end_ms: i64,
        /// At least 1.
        step_ms: i64,
    },
}

/// A query and the bounds of its answer.
#[derive(Debug)]
pub(super) struct QueryEvaluation {
    pub(super) query: Query,
    pub(super) instants: Instants,
    /// Elements at most; the rest is left out and that is said.
    pub(super) limit: Option<usize>,
    /// Points of the answer.
    pub(super) max_samples: usize,
    /// JSON of the answer.
    pub(super) max_bytes: ByteSize,
}

impl Instants {
    pub(super) const fn ends(self) -> (i64, i64) {
        match self {
            Self::At(time_ms) => (time_ms, time_ms),
            Self::Steps { start_ms, end_ms, .. } => (start_ms, end_ms),
        }
    }
}

/// What a query reads when it is evaluated at these instants.
pub(super) fn wanted(query: &Query, instants: Instants) -> Vec<ExcerptRequest> {
    let (first_ms, last_ms) = instants.ends();
    let lookbacks = query.lookbacks();
    let wanted = query.reaches().into_iter().map(|(selector, reach)| {
        let (from_ms, to_ms) = match reach {
            Reach::Around { back_ms, ahead_ms } => {
                (first_ms.saturating_sub(back_ms), last_ms.saturating_add(ahead_ms))
            }
            Reach::Between { from_ms, to_ms } => (from_ms, to_ms),
        };
        let longest = lookbacks.iter().find(|(other, _)| *other == selector);
        let lookback_ms = longest.map_or(0, |(_, ms)| *ms);
        ExcerptRequest { selector, from_ms, to_ms, lookback_ms }
    });
    wanted.collect()
}

impl QueryEvaluation {
    /// The answer. `go_on` is asked again and again; once it has said no it must not say yes again.
    ///
    /// # Errors
    /// When the label sets do not allow what the query does, when a limit is met, or `go_on` says no.
    pub(super) fn run(
        &self,
        store: &mut Store,
        go_on: &dyn Fn() -> bool,
    ) -> Result<String, ApiError> {
        let json = Json::success(self.max_bytes.as_len());
        match (&self.query, self.instants) {
            (Query::Failed { error, .. }, _) => Err(error.clone().into()),
            (Query::Text(string), instants) => Ok(text(json, instants.ends().0, string)),
            (Query::Range(range), instants) => {
                let (rows, said) = self.range(range, store, instants.ends().0, go_on)?;
                self.matrix(json, rows, said, go_on)
            }
            (Query::Instant(expr), Instants::At(time_ms)) => {
                self.instant(json, expr, store, time_ms, go_on)
            }
            (Query::Instant(expr), Instants::Steps { start_ms, end_ms, step_ms }) => {
                let count = end_ms.abs_diff(start_ms) / step_ms.unsigned_abs() + 1;
                let steps = Steps { first_ms: start_ms, step_ms, count };
                let (rows, said) = self.steps(expr, store, steps, go_on)?;
                self.matrix(json, rows, said, go_on)
            }
        }
    }

    fn range(
        &self,
        range: &RangeSelection,
        store: &mut Store,
        time_ms: i64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(Vec<Row>, Annotations), ApiError> {
        let (selected, said) = select_range(range, store, time_ms, go_on)?;
        let of = |it: &HistogramSample| it.in_samples();
        let size =
            |row: &RangeRow| row.samples.len() + row.histograms.iter().map(of).sum::<usize>();
        self.check_samples(selected.iter().map(size).sum())?;
        let row = |row: RangeRow| Row {
            labels: row.labels,
            points: row.samples.iter().map(|it| (it.timestamp_ms, it.value)).collect(),
            histograms: row.histograms,
        };
        Ok((selected.into_iter().map(row).collect(), said))
    }

    fn instant(
        &self,
        mut json: Json,
        expr: &Expr,
        store: &mut Store,
        time_ms: i64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<String, ApiError> {
        let mut plan = Plan::bind(std::slice::from_ref(expr), store);
        plan.eval_step(store, time_ms, true, go_on).map_err(EvalError::from)?;
        let said = plan.annotations();
        let vector = match plan.output(0).map_err(Clone::clone)? {
            Value::Scalar(value) => {
                json.raw(r#"{"resultType":"scalar","result":"#);
                json.scalar(time_ms, value);
                json.raw("}");
                return Ok(json.finish_with(said, false));
            }
            Value::Vector(vector) => vector,
        };
        let mut elements = elements(vector);
        self.check_samples(elements.iter().map(|(_, it)| it.in_samples()).sum())?;
        if let Some(order) = expr.order() {
            // Only numbers have one.
            let number = |(labels, point)| match point {
                Point::Float(value) => Some((labels, value)),
                Point::Histogram(_) => None,
            };
            let mut numbers: Vec<(&Labels, f64)> =
                elements.into_iter().filter_map(number).collect();
            order.sort(&mut numbers, |element| *element);
            let point = |(labels, value)| (labels, Point::Float(value));
            elements = numbers.into_iter().map(point).collect();
        }
        let truncated = self.truncate(&mut elements);
        json.raw(r#"{"resultType":"vector","result":"#);
        json.list(elements, |json, (labels, point)| {
            json.raw(r#"{"metric":"#);
            json.labels(labels);
            match point {
                Point::Float(value) => {
                    json.raw(r#","value":"#);
                    json.point(time_ms, value);
                }
                Point::Histogram(histogram) => {
                    json.raw(r#","histogram":"#);
                    json.histogram_at(time_ms, histogram);
                }
            }
            json.raw("}");
        })
        .map_err(Limit::response(self.max_bytes))?;
        json.raw("}");
        Ok(json.finish_with(said, truncated))
    }

    fn steps(
        &self,
        expr: &Expr,
        store: &mut Store,
        steps: Steps,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(Vec<Row>, Annotations), ApiError> {
        let mut plan = Plan::bind(std::slice::from_ref(expr), store);
        // What will be refused after all its steps is not worth the time that these take.
        if plan.gives_more_than(self.max_samples as u64, (expr, steps), store, go_on) {
            return Err(Limit::Samples(self.max_samples).into());
        }
        let mut rows = Rows::default();
        let mut time_ms = steps.first_ms;
        for i in 0..steps.count {
            // Where all nodes are fixed by `@`, no evaluation asks.
            if !go_on() {
                return Err(ApiError::Timeout(Stage::Evaluation));
            }
            plan.eval_step(store, time_ms, i == 0, go_on).map_err(EvalError::from)?;
            match plan.output(0).map_err(Clone::clone)? {
                Value::Scalar(value) => {
                    rows.add(None, [&Labels::empty()], &[value], &[true], time_ms)
                }
                Value::Vector(v) => {
                    let version = Some(v.layout.version);
                    rows.add(version, v.layout.labels.iter(), v.values, v.present, time_ms);
                    rows.add_histograms(v.histograms, time_ms);
                }
            }
            self.check_samples(rows.points)?;
            time_ms = time_ms.saturating_add(steps.step_ms);
        }
        Ok((rows.rows, plan.annotations()))
    }

    fn check_samples(&self, samples: usize) -> Result<(), ApiError> {
        if samples > self.max_samples {
            return Err(Limit::Samples(self.max_samples).into());
        }
        Ok(())
    }

    fn matrix(
        &self,
        mut json: Json,
        mut rows: Vec<Row>,
        said: Annotations,
        go_on: &dyn Fn() -> bool,
    ) -> Result<String, ApiError> {
        rows.retain(|row| !row.points.is_empty() || !row.histograms.is_empty());
        rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        if !go_on() {
            return Err(ApiError::Timeout(Stage::Evaluation));
        }
        let truncated = self.truncate(&mut rows);
        json.raw(r#"{"resultType":"matrix","result":"#);
        let too_long = Limit::response(self.max_bytes);
        json.list(rows, |json, row| {
            json.raw(r#"{"metric":"#);
            json.labels(&row.labels);
            // A row is no longer than a range has steps, so the list around it is the bound.
            if !row.points.is_empty() {
                json.raw(r#","values":"#);
                let points = row.points.into_iter();
                let _ = json.list(points, |json, (time_ms, value)| json.point(time_ms, value));
            }
            if !row.histograms.is_empty() {
                json.raw(r#","histograms":"#);
                let _ = json.list(row.histograms, |json, it| {
                    json.histogram_at(it.timestamp_ms, &it.histogram);
                });
            }
            json.raw("}");
        })
        .map_err(too_long)?;
        json.raw("}");
        Ok(json.finish_with(said, truncated))
    }

    /// Leaves out what is beyond the limit; says whether there was any.
    fn truncate<T>(&self, elements: &mut Vec<T>) -> bool {
        let before = elements.len();
        elements.truncate(self.limit.unwrap_or(usize::MAX));
        elements.len() < before
    }
}

fn text(mut json: Json, time_ms: i64, string: &str) -> String {
    json.raw(r#"{"resultType":"string","result":"#);
    json.text_at(time_ms, string);
    json.raw("}");
    json.finish(false)
}

/// An element of a vector.
#[derive(Debug, Clone, Copy)]
enum Point<'a> {
    Float(f64),
    Histogram(&'a NativeHistogram),
}

impl Point<'_> {
    /// For how many samples it counts.
    fn in_samples(&self) -> usize {
        match self {
            Self::Float(_) => 1,
            Self::Histogram(it) => 1 + it.heap_bytes() / size_of::<Sample>(),
        }
    }
}

/// The elements that are there.
fn elements(vector: Vector<'_>) -> Vec<(&Labels, Point<'_>)> {
    let histogram = |i: usize| vector.histograms.get(i)?.as_deref();
    let element = |(i, labels): (usize, _)| {
        let float = vector.present[i].then(|| Point::Float(vector.values[i]));
        Some((labels, float.or_else(|| histogram(i).map(Point::Histogram))?))
    };
    vector.layout.labels.iter().enumerate().filter_map(element).collect()
}

/// A series of the answer.
#[derive(Debug)]
struct Row {
    labels: Labels,
    points: Vec<(i64, f64)>,
    histograms: Vec<HistogramSample>,
}

/// The series of an answer while its steps are evaluated.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    by_labels: HashMap<Labels, usize>,
    /// The layout that `places` is of.
    version: Option<u64>,
    /// The row of each element of the layout.
    places: Vec<usize>,
    points: usize,
}

impl Rows {
    /// Adds the elements that are present at an instant. `version` tells layouts apart.
    fn add<'a>(
        &mut self,
        version: Option<u64>,
        labels: impl IntoIterator<Item = &'a Labels>,
        values: &[f64],
        present: &[bool],
        time_ms: i64,
    ) {
        // A version says nothing about an empty layout, and a scalar has none.
        if self.version != version || self.places.len() != values.len() {
            self.version = version;
            self.places.clear();
            for labels in labels {
                let place = *self.by_labels.entry(labels.clone()).or_insert_with(|| {
                    let (labels, points) = (labels.clone(), Vec::new());
                    self.rows.push(Row { labels, points, histograms: Vec::new() });
                    self.rows.len() - 1
                });
                self.places.push(place);
            }
        }
        for ((place, value), present) in self.places.iter().zip(values).zip(present) {
            if *present {
                self.rows[*place].points.push((time_ms, *value));
                self.points += 1;
            }
        }
    }

    /// Adds the native histograms of the vector whose numbers were added.
    fn add_histograms(&mut self, histograms: &[Option<Arc<NativeHistogram>>], time_ms: i64) {
        for (place, histogram) in self.places.iter().zip(histograms) {
            let Some(histogram) = histogram else { continue };
            let sample = HistogramSample::new(time_ms, Arc::clone(histogram));
            self.points += sample.in_samples();
            self.rows[*place].histograms.push(sample);
        }
    }
}

#[cfg(test)]
mod tests;
