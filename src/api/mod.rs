//! The query API: PromQL asked over HTTP, answered as Prometheus answers.
//!
//! In: requests to `/api/v1/query` and its neighbours, and a way to have a look at the pipeline.
//! Out: Prometheus's JSON, its error types and status codes, so that Grafana and `promtool` work.
//!
//! A query is parsed in its request's task. What it reads is copied by the owner of the pipeline,
//! which then goes on; the evaluation has a thread of its own and ends when its time is up or its
//! client has gone. Invariants: never more evaluations than configured, never more series and
//! samples in one than configured, no answer longer than configured. It does not know who owns the
//! pipeline, nor the time of day: `now` is an argument.
//! Sources: Prometheus documentation "HTTP API"; its `web/api/v1/api.go`; `tests/api.rs` compares
//! with the real one.

mod absences;
mod anomalies;
mod body;
mod catalogue;
mod config;
mod counters;
mod endpoint;
mod error;
mod escape;
mod evaluate;
mod form;
mod json;
mod parameters;
mod query;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::detect::{Pipeline, Snapshot};
use crate::series::ExcerptLimits;
use anomalies::AnomalyQuery;
use catalogue::{Lookup, Subject};
use counters::{Working, record};
use error::{ApiError, Stage};
use evaluate::{Evaluation, wanted};
use form::Form;
use query::Asked;

pub use config::QueryConfig;
pub use counters::describe_metrics;
pub use endpoint::Endpoint;
pub use status::Build;

/// The content type of all answers but one.
const JSON: &str = "application/json";

type Answer = Response<Full<Bytes>>;

/// A look at the pipeline, for its owner to take.
pub type Look = Box<dyn FnOnce(&Pipeline) + Send>;

/// The pipeline has no owner any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// The answer when the pipeline has no owner, whatever is asked.
#[must_use]
pub fn unavailable() -> Answer {
    ApiError::Unavailable.response()
}

/// The answer to a client that has closed its side and not waited for it, as far as can be seen.
#[must_use]
pub fn canceled() -> Answer {
    ApiError::Canceled.response()
}

/// A path as Go's `net/http`, and so Prometheus, looks at it: with `%41` replaced by `A`. `None` for one that
/// is nobody's: it gives no text, or a step of it has a slash in it, which does not part steps.
///
/// # Errors
/// When it has a `%` that is no escape.
pub fn decode_path(path: &str) -> Result<Option<String>, String> {
    match form::decode(path, false) {
        Err(error @ form::FormError::Escape(_)) => Err(error.to_string()),
        Ok(decoded) if !path.to_ascii_lowercase().contains("%2f") => Ok(Some(decoded)),
        _ => Ok(None),
    }
}

/// Answers queries within the limits of one configuration.
#[derive(Debug)]
pub struct Api {
    config: QueryConfig,
    body_timeout: Duration,
    build: Build,
    /// A permit is a query that is worked on.
    places: Arc<Semaphore>,
}

impl Api {
    /// With its limits and the time that a body may take to arrive.
    #[must_use]
    pub fn new(config: QueryConfig, body_timeout: Duration, build: Build) -> Self {
        let places = config.max_concurrency.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), config, body_timeout, build }
    }

    /// Answers a request whose method the endpoint allows, from what was found at the last tick, or
    /// where that is not enough from a `look` that the pipeline's owner takes.
    pub async fn answer<B, L, F>(
        &self,
        endpoint: Endpoint,
        request: Request<B>,
        (now_ms, snapshot): (i64, Arc<Snapshot>),
        look: L,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        L: Fn(Look) -> F,
        F: Future<Output = Result<(), Unavailable>>,
    {
        let counted = counters::Request::begin(endpoint.name());
        let answer = match body::form(request, self.body_timeout).await {
            Ok(form) => self.answer_form(endpoint, &form, (now_ms, snapshot), look).await,
            Err(error) => Err(error),
        };
        counted.end(answer.as_ref().err());
        match answer {
            Ok(json) => response(StatusCode::OK, JSON, json),
            Err(error) => error.response(),
        }
    }

    async fn answer_form<L, F>(
        &self,
        endpoint: Endpoint,
        form: &Form,
        (now_ms, snapshot): (i64, Arc<Snapshot>),
        look: L,
    ) -> Result<String, ApiError>
    where
        L: Fn(Look) -> F,
        F: Future<Output = Result<(), Unavailable>>,
    {
        let lookup = |subject| Lookup::parse(subject, form);
        match endpoint {
            Endpoint::Query => self.query(Asked::at(form, now_ms)?, look).await,
            Endpoint::QueryRange => self.query(Asked::over(form)?, look).await,
            Endpoint::Series => self.look_up(lookup(Subject::Series)?, look).await,
            Endpoint::Labels => self.look_up(lookup(Subject::Names)?, look).await,
            Endpoint::LabelValues(name) => self.look_up(lookup(Subject::Values(name))?, look).await,
            Endpoint::Metadata => self.metadata(form),
            Endpoint::BuildInfo => Ok(status::buildinfo(self.build)),
            Endpoint::Rules => Ok(status::no_rules()),
            Endpoint::Anomalies => {
                self.anomalies(AnomalyQuery::parse(form)?, snapshot, now_ms).await
            }
            Endpoint::Exemplars => query::exemplars(form),
        }
    }

    async fn query<L, F>(&self, asked: Asked, look: L) -> Result<String, ApiError>
    where
        L: Fn(Look) -> F,
        F: Future<Output = Result<(), Unavailable>>,
    {
        let Asked { query, instants, limit, timeout } = asked;
        let turn = self.turn(timeout).await?;
        let reads = wanted(&query, instants);
        let limits = ExcerptLimits {
            max_series: self.config.max_series,
            max_samples: self.config.max_samples,
        };
        let begun = Instant::now();
        let mut store = turn.ask(look, move |pipeline| pipeline.excerpt(&reads, limits)).await??;
        record("copy", begun.elapsed());
        let evaluation = Evaluation {
            query,
            instants,
            limit,
            max_samples: self.config.max_samples,
            max_bytes: self.config.max_response_bytes,
        };
        turn.work(move |go_on| evaluation.run(&mut store, go_on)).await
    }

    async fn look_up<L, F>(&self, lookup: Lookup, look: L) -> Result<String, ApiError>
    where
        L: Fn(Look) -> F,
        F: Future<Output = Result<(), Unavailable>>,
    {
        let turn = self.turn(None).await?;
        let selectors = lookup.selectors.clone();
        let (from_ms, to_ms) = (lookup.from_ms, lookup.to_ms);
        let begun = Instant::now();
        let read = move |pipeline: &Pipeline| pipeline.series_in(&selectors, from_ms, to_ms);
        let series = turn.ask(look, read).await?;
        record("copy", begun.elapsed());
        let max_bytes = self.config.max_response_bytes;
        turn.work(move |_| lookup.answer(series, max_bytes)).await
    }

    /// Who stands out, from the last tick.
    async fn anomalies(
        &self,
        asked: AnomalyQuery,
        snapshot: Arc<Snapshot>,
        now_ms: i64,
    ) -> Result<String, ApiError> {
        let max_bytes = self.config.max_response_bytes;
        let turn = self.turn(None).await?;
        turn.work(move |_| asked.answer(&snapshot, now_ms, max_bytes)).await
    }

    fn metadata(&self, form: &Form) -> Result<String, ApiError> {
        let number = |name| match form.get(name) {
            "" => Ok(-1),
            text => text
                .parse::<i64>()
                .map_err(|_| ApiError::BadData(format!("{name} must be a number"))),
        };
        let limit = number("limit")?;
        // There is never more than one of a metric, and a limit of none is no limit.
        number("limit_per_metric")?;
        let max_bytes = self.config.max_response_bytes;
        status::metadata(form.get("metric"), limit, max_bytes.as_len())
            .map_err(error::Limit::response(max_bytes))
    }

    /// Waits for a place among the queries that are worked on.
    async fn turn(&self, timeout: Option<Duration>) -> Result<Turn, ApiError> {
        let begun = Instant::now();
        let longest = self.config.timeout.to_std();
        let deadline = begun + timeout.map_or(longest, |timeout| timeout.min(longest));
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| ApiError::Timeout(Stage::Queue))?
            .map_err(|_| ApiError::Unavailable)?;
        let working = Working::begin(begun.elapsed());
        Ok(Turn { deadline, place, working })
    }
}

/// A place among the queries that are worked on, and until when.
struct Turn {
    deadline: Instant,
    place: OwnedSemaphorePermit,
    working: Working,
}

impl Turn {
    /// Has the pipeline's owner read something. Nobody reads for a client that has gone.
    async fn ask<T, L, F>(
        &self,
        look: L,
        read: impl FnOnce(&Pipeline) -> T + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        L: Fn(Look) -> F,
        F: Future<Output = Result<(), Unavailable>>,
    {
        let (reply, answer) = oneshot::channel();
        let asked = look(Box::new(move |pipeline| {
            if !reply.is_closed() {
                let _ = reply.send(read(pipeline));
            }
        }));
        let asked = async {
            asked.await.ok()?;
            answer.await.ok()
        };
        let answer = timeout_at(self.deadline, asked).await;
        answer.map_err(|_| ApiError::Timeout(Stage::Evaluation))?.ok_or(ApiError::Unavailable)
    }

    /// Works on a thread for long work. It is told to end when time is up or nobody waits any more,
    /// and keeps its place until it does.
    async fn work(
        self,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<String, ApiError> + Send + 'static,
    ) -> Result<String, ApiError> {
        let Self { deadline, place, working } = self;
        let begun = Instant::now();
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let still_wanted = Arc::clone(&wanted.0);
        let task = tokio::task::spawn_blocking(move || {
            let _held = (place, working);
            work(&|| still_wanted.load(Ordering::Relaxed) && Instant::now() < deadline)
        });
        let answer = task.await.unwrap_or(Err(ApiError::Internal));
        record("evaluation", begun.elapsed());
        answer
    }
}

/// Somebody waits for the answer; dropped with the task of the request.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
