//! The query API: PromQL asked over HTTP, answered as Prometheus answers.
//!
//! In: requests to `/api/v1/query` and its neighbours, and a way to have a look at the pipeline.
//! Out: Prometheus's JSON, its error types and status codes, so that Grafana and `promtool` work.
//!
//! A query is parsed in its request's task. The series that it reads are copied by the owner of the pipeline, in
//! slices between its other work; feature values and scores are in the last tick's snapshot. The evaluation has
//! a thread of its own and ends when its time is up or its client has gone. Quick requests do not wait for long
//! ones. Invariants: never more evaluations of either kind than configured, never more series and samples in one
//! than configured, no answer longer than configured. It does not know who owns the pipeline, nor the time of
//! day: `now` is an argument.
//! Sources: Prometheus documentation "HTTP API"; its `web/api/v1/api.go`; `tests/integration/api.rs` compares
//! with the real one.

mod absences;
mod actions;
mod alerts;
mod anomalies;
mod body;
mod capacity;
mod catalogue;
mod config;
mod counters;
mod encoding;
mod endpoint;
mod error;
mod escape;
mod exemplars;
mod form;
mod histogram;
mod json;
mod look;
mod metadata;
mod parameters;
mod permit;
mod query;
mod query_evaluation;
mod rules;
#[cfg(test)]
mod rules_tests;
mod scores;
mod silences;
mod status;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::{Request, Response, StatusCode};
use tokio::time::Instant;

use crate::detect::Snapshot;
use crate::response::response;
use crate::series::{Excerpt, ExcerptLimits, ExemplarListing, Listing};
use alerts::Report;
use anomalies::AnomalyQuery;
use capacity::Effort;
use catalogue::{Lookup, Subject};
use counters::record;
use error::ApiError;
use exemplars::ExemplarQuery;
use form::Form;
use metadata::MetadataQuery;
use permit::QueryPermit;
use query::QueryRequest;
use query_evaluation::{QueryEvaluation, wanted};
use rules::RuleQuery;
use scores::Shown;

pub use actions::{
    actions_answer, actions_forbidden, actions_not_for_pages, actions_not_switched,
    actions_unavailable, is_from_page,
};
pub use capacity::Capacity;
pub use config::QueryConfig;
pub use counters::describe_metrics;
pub use endpoint::Endpoint;
pub use escape::unescape;
pub use look::Look;
pub use silences::{
    SilenceCall, admin_api_disabled, silence_answer, silence_expired, silence_list,
    silence_refused, silence_set, silences_unavailable,
};
pub use status::Build;

/// The content type of all answers but one.
const JSON: &str = "application/json";

type ApiResponse = Response<Full<Bytes>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The pipeline has no owner any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// The answer when the pipeline has no owner, whatever is asked.
#[must_use]
pub fn unavailable() -> ApiResponse {
    ApiError::Unavailable.response()
}

/// The answer to a client that has closed its side and not waited for it, as far as can be seen.
#[must_use]
pub fn canceled() -> ApiResponse {
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
    capacity: Capacity,
    /// Features of an entity that are answered, as on the metrics page.
    max_contributions: usize,
}

impl Api {
    /// With its limits, the time that a body may take to arrive, what queries take, those that another
    /// one has taken up included, and how many features of an entity the metrics page shows.
    #[must_use]
    pub fn new(
        config: QueryConfig,
        body_timeout: Duration,
        build: Build,
        capacity: Capacity,
        max_contributions: usize,
    ) -> Self {
        Self { config, body_timeout, build, capacity, max_contributions }
    }

    /// As many questions of each effort are worked on as configured, from now on. It wants a tokio runtime.
    pub fn take_effect(&self) {
        self.capacity.set_places(self.config.max_concurrency);
    }

    /// What queries take, for the next one.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.capacity.clone()
    }

    /// Answers a request whose method the endpoint allows, from what was found at the last tick, or
    /// where that is not enough from a `look` that the pipeline's owner takes.
    pub async fn answer<F: Future<Output = Result<(), Unavailable>>>(
        &self,
        endpoint: Endpoint,
        request: Request<impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin>,
        (now_ms, snapshot): (i64, Arc<Snapshot>),
        look: impl Fn(Look) -> F,
    ) -> ApiResponse {
        let counted = counters::Request::begin(endpoint.name());
        let takes_gzip = encoding::takes_gzip(request.headers());
        let answer = match body::form(request, self.body_timeout).await {
            Ok(form) => self.answer_form(endpoint, &form, (now_ms, snapshot), look).await,
            Err(error) => Err(error),
        };
        let limit = self.config.max_in_flight_bytes;
        if answer.as_ref().is_ok_and(String::is_empty) {
            counted.end(None);
            let mut none = Response::new(Full::default());
            *none.status_mut() = StatusCode::NO_CONTENT;
            return none;
        }
        let answer = answer.and_then(|json| self.capacity.hold(json.into_bytes(), limit));
        counted.end(answer.as_ref().err());
        let answer = match answer {
            Ok(json) => response(StatusCode::OK, JSON, json),
            Err(error) => error.response(),
        };
        encoding::encoded(answer, takes_gzip, |bytes| self.capacity.hold(bytes, limit).ok()).await
    }

    async fn answer_form<F: Future<Output = Result<(), Unavailable>>>(
        &self,
        endpoint: Endpoint,
        form: &Form,
        (now_ms, snapshot): (i64, Arc<Snapshot>),
        look: impl Fn(Look) -> F,
    ) -> Result<String, ApiError> {
        let lookup = |subject| Lookup::parse(subject, form);
        match endpoint {
            Endpoint::Query => {
                self.query(QueryRequest::at(form, now_ms)?, (now_ms, snapshot), look).await
            }
            Endpoint::QueryRange => {
                self.query(QueryRequest::over(form)?, (now_ms, snapshot), look).await
            }
            Endpoint::Series => {
                self.look_up(lookup(Subject::Series)?, (now_ms, snapshot), look).await
            }
            Endpoint::Labels => {
                self.look_up(lookup(Subject::Names)?, (now_ms, snapshot), look).await
            }
            Endpoint::LabelValues(name) => {
                self.look_up(lookup(Subject::Values(name))?, (now_ms, snapshot), look).await
            }
            Endpoint::Metadata => self.metadata(MetadataQuery::parse(form)?, look).await,
            Endpoint::BuildInfo => Ok(status::buildinfo(self.build)),
            Endpoint::Rules => {
                let asked = RuleQuery::parse(form)?;
                self.report(move |of| asked.answer(of), snapshot, now_ms).await
            }
            Endpoint::Alerts => self.report(alerts::answer, snapshot, now_ms).await,
            Endpoint::Anomalies => {
                self.anomalies(AnomalyQuery::parse(form)?, snapshot, now_ms).await
            }
            Endpoint::Exemplars => {
                self.exemplars(ExemplarQuery::parse(form)?, (now_ms, snapshot), look).await
            }
        }
    }

    async fn query<F: Future<Output = Result<(), Unavailable>>>(
        &self,
        asked: QueryRequest,
        (now_ms, snapshot): (i64, Arc<Snapshot>),
        look: impl Fn(Look) -> F,
    ) -> Result<String, ApiError> {
        let effort = asked.effort();
        let QueryRequest { query, instants, limit, timeout } = asked;
        let permit = self.permit(effort, timeout).await?;
        let begun = Instant::now();
        let mut excerpt = Excerpt::new(wanted(&query, instants), self.excerpt_limits());
        // What reads nothing is answered however busy the owner is.
        let mut is_whole = excerpt.wanted().is_empty();
        while !is_whole {
            (excerpt, is_whole) =
                permit.ask(&look, |at, reply| Look::copy(excerpt, at, reply)).await??;
        }
        record("copy", begun.elapsed());
        let evaluation = QueryEvaluation {
            query,
            instants,
            limit,
            max_samples: self.config.max_samples,
            max_bytes: self.config.max_response_bytes,
        };
        let max_contributions = self.max_contributions;
        let work = move |go_on: &dyn Fn() -> bool| {
            for values in &snapshot.feature_values {
                values.copy_into(&mut excerpt)?;
            }
            let shown = Shown { snapshot: &snapshot, now_ms, max_contributions };
            scores::copy_into(shown, &mut excerpt)?;
            evaluation.run(&mut excerpt.into_store(), go_on)
        };
        permit.work(work).await
    }

    async fn look_up<F: Future<Output = Result<(), Unavailable>>>(
        &self,
        lookup: Lookup,
        (now_ms, snapshot): (i64, Arc<Snapshot>),
        look: impl Fn(Look) -> F,
    ) -> Result<String, ApiError> {
        let permit = self.permit(Effort::Quick, None).await?;
        let begun = Instant::now();
        let (from_ms, to_ms) = (lookup.from_ms, lookup.to_ms);
        let (mut listing, mut is_whole) =
            (Listing::new(lookup.selectors.clone(), from_ms, to_ms), false);
        while !is_whole {
            (listing, is_whole) =
                permit.ask(&look, |at, reply| Look::list(listing, at, reply)).await?;
        }
        record("copy", begun.elapsed());
        let max_bytes = self.config.max_response_bytes;
        let max_contributions = self.max_contributions;
        let work = move |_: &dyn Fn() -> bool| {
            let mut series = listing.into_labels();
            for values in &snapshot.feature_values {
                series.extend(values.series_in(&lookup.selectors, from_ms, to_ms));
            }
            let range = (from_ms, to_ms);
            let shown = Shown { snapshot: &snapshot, now_ms, max_contributions };
            series.extend(scores::series_in(shown, &lookup.selectors, range));
            lookup.answer(series, max_bytes)
        };
        permit.work(work).await
    }

    async fn exemplars<F: Future<Output = Result<(), Unavailable>>>(
        &self,
        asked: ExemplarQuery,
        (now_ms, snapshot): (i64, Arc<Snapshot>),
        look: impl Fn(Look) -> F,
    ) -> Result<String, ApiError> {
        let permit = self.permit(Effort::Quick, None).await?;
        let begun = Instant::now();
        let max_contributions = self.max_contributions;
        let shown = Shown { snapshot: &snapshot, now_ms, max_contributions };
        let mut selectors = scores::read_by_features(shown, &asked.selectors);
        selectors.extend_from_slice(&asked.selectors);
        let range = (asked.from_ms, asked.to_ms);
        let mut is_whole = selectors.is_empty();
        let mut listing = ExemplarListing::new(selectors, range, self.excerpt_limits());
        while !is_whole {
            (listing, is_whole) =
                permit.ask(&look, |at, reply| Look::exemplars(listing, at, reply)).await??;
        }
        record("copy", begun.elapsed());
        let max_bytes = self.config.max_response_bytes;
        permit.work(move |_| asked.answer(listing.into_found(), max_bytes)).await
    }

    fn excerpt_limits(&self) -> ExcerptLimits {
        ExcerptLimits { max_series: self.config.max_series, max_samples: self.config.max_samples }
    }

    /// Who stands out, from the last tick.
    async fn anomalies(
        &self,
        asked: AnomalyQuery,
        snapshot: Arc<Snapshot>,
        now_ms: i64,
    ) -> Result<String, ApiError> {
        let max_bytes = self.config.max_response_bytes;
        let permit = self.permit(Effort::Quick, None).await?;
        permit.work(move |_| asked.answer(&snapshot, now_ms, max_bytes)).await
    }

    /// What rules make of the last tick.
    async fn report(
        &self,
        write: impl FnOnce(&Report<'_>) -> Result<String, ApiError> + Send + 'static,
        snapshot: Arc<Snapshot>,
        now_ms: i64,
    ) -> Result<String, ApiError> {
        let max_bytes = self.config.max_response_bytes;
        let permit = self.permit(Effort::Quick, None).await?;
        permit.work(move |go_on| write(&Report::new(&snapshot, now_ms, max_bytes, go_on))).await
    }

    /// What is said of metrics.
    async fn metadata<F: Future<Output = Result<(), Unavailable>>>(
        &self,
        asked: MetadataQuery,
        look: impl Fn(Look) -> F,
    ) -> Result<String, ApiError> {
        let permit = self.permit(Effort::Quick, None).await?;
        let begun = Instant::now();
        let (mut listing, mut is_whole) = (asked.listing(), false);
        while !is_whole {
            (listing, is_whole) =
                permit.ask(&look, |at, reply| Look::metadata(listing, at, reply)).await?;
        }
        record("copy", begun.elapsed());
        let max_bytes = self.config.max_response_bytes;
        permit.work(move |_| asked.answer(&listing.into_metadata(), max_bytes)).await
    }

    /// Waits for a place among the queries that are worked on.
    async fn permit(
        &self,
        effort: Effort,
        timeout: Option<Duration>,
    ) -> Result<QueryPermit, ApiError> {
        let longest = self.config.timeout.to_std();
        let longest = timeout.map_or(longest, |timeout| timeout.min(longest));
        QueryPermit::wait(&self.capacity, effort, longest).await
    }
}
