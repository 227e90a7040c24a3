//! Counters: what the API was asked, what became of it, and how long it took.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::error::{ApiError, Limit, Stage};

/// A request under way. One that is dropped before its end was given up by its client.
#[derive(Debug)]
pub(super) struct Request {
    endpoint: &'static str,
    outcome: &'static str,
}

impl Request {
    pub(super) fn begin(endpoint: &'static str) -> Self {
        Self { endpoint, outcome: "canceled" }
    }

    pub(super) fn end(mut self, error: Option<&ApiError>) {
        self.outcome = error.map_or("ok", |error| error.status().1);
        let reason = match error {
            Some(ApiError::Limit(limit)) => limit.reason(),
            Some(ApiError::Timeout(Stage::Queue)) => "max_concurrency",
            Some(ApiError::Timeout(Stage::Evaluation)) => "timeout",
            Some(ApiError::AnswersHeld(_)) => "max_in_flight_bytes",
            _ => return,
        };
        counter!("portent_api_queries_refused_total", "reason" => reason).increment(1);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let labels = [("endpoint", self.endpoint), ("outcome", self.outcome)];
        counter!("portent_api_requests_total", &labels).increment(1);
    }
}

/// A query that is being worked on.
#[derive(Debug)]
pub(super) struct Working;

impl Working {
    pub(super) fn begin(waited: Duration) -> Self {
        record("queue", waited);
        gauge!("portent_api_queries_running").increment(1.0);
        Self
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        gauge!("portent_api_queries_running").decrement(1.0);
    }
}

/// Notes how long a part of a query took.
pub(super) fn record(part: &'static str, duration: Duration) {
    histogram!("portent_api_query_duration_seconds", "part" => part).record(duration);
}

/// Says what this room's metrics mean, and shows those of refusals before there is any.
pub fn describe_metrics() {
    describe_counter!(
        "portent_api_requests_total",
        "Requests to the query API by endpoint and outcome: ok, canceled (the client has gone), or \
         the errorType of the answer."
    );
    describe_counter!(
        "portent_api_queries_refused_total",
        "Queries that met a limit, by its key in the configuration; retention: they look back \
         further than series are kept."
    );
    for reason in Limit::REASONS {
        counter!("portent_api_queries_refused_total", "reason" => reason).absolute(0);
    }
    describe_gauge!("portent_api_queries_running", "Queries being worked on.");
    describe_gauge!(
        "portent_api_in_flight_bytes",
        "Memory of answers of more than 64 KiB that are not read yet."
    );
    describe_histogram!(
        "portent_api_query_duration_seconds",
        "Time that a query waited for its turn (queue), for copies of what it reads (copy), and \
         was worked on (evaluation)."
    );
}
