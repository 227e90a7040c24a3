//! A query's parameters: what is asked, when, and for how long it may take.

use std::time::Duration;

use super::capacity::Effort;
use super::error::ApiError;
use super::form::Form;
use super::parameters::{self, duration_ns, time_ms};
use super::query_evaluation::Instants;
use crate::promql::{ParseError, Query};

/// The most steps after the first of a range query: what Prometheus allows.
const MAX_STEPS: i128 = 11_000;

/// How far an instant selector looks back, which is Prometheus's default and fixed here.
const LOOKBACK_NS: i64 = 300 * 1_000_000_000;

/// A query that is ready to be worked on.
#[derive(Debug)]
pub(super) struct QueryRequest {
    pub(super) query: Query,
    pub(super) instants: Instants,
    pub(super) limit: Option<usize>,
    /// What the client allows, if it says so.
    pub(super) timeout: Option<Duration>,
}

impl QueryRequest {
    /// At one instant little is read of each series, or else it may take long.
    pub(super) fn effort(&self) -> Effort {
        let is_quick = matches!(self.instants, Instants::At(_)) && self.query.is_light();
        if is_quick { Effort::Quick } else { Effort::Long }
    }

    /// Reads the parameters of an instant query, in Prometheus's order.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn at(form: &Form, now_ms: i64) -> Result<Self, ApiError> {
        let limit = parameters::limit(form.get("limit")).map_err(ApiError::parameter("limit"))?;
        let time_ms = parameters::optional_time_ms("time", form.get("time"), now_ms)
            .map_err(ApiError::parameter("time"))?;
        let instants = Instants::At(time_ms);
        let timeout = timeout(form)?;
        lookback(form)?;
        let query = query(form, instants)?;
        Ok(Self { query, instants, limit, timeout })
    }

    /// Reads the parameters of a range query.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn over(form: &Form) -> Result<Self, ApiError> {
        let limit = parameters::limit(form.get("limit")).map_err(ApiError::parameter("limit"))?;
        let start_ms = time_ms(form.get("start")).map_err(ApiError::parameter("start"))?;
        let end_ms = time_ms(form.get("end")).map_err(ApiError::parameter("end"))?;
        if end_ms < start_ms {
            let reason = "end timestamp must not be before start time".to_owned();
            return Err(ApiError::parameter("end")(reason));
        }
        let step_ns = duration_ns(form.get("step")).map_err(ApiError::parameter("step"))?;
        // Less than a millisecond is zero in the evaluation.
        let step_ms = step_ns / 1_000_000;
        if step_ms <= 0 {
            let reason = "zero or negative query resolution step widths are not accepted. Try a \
                          positive integer";
            return Err(ApiError::parameter("step")(reason.to_owned()));
        }
        if i128::from(end_ms - start_ms) * 1_000_000 / i128::from(step_ns) > MAX_STEPS {
            let reason = "exceeded maximum resolution of 11,000 points per timeseries. Try \
                          decreasing the query resolution (?step=XX)";
            return Err(ApiError::BadData(reason.to_owned()));
        }
        let instants = Instants::Steps { start_ms, end_ms, step_ms };
        let timeout = timeout(form)?;
        lookback(form)?;
        let query = query(form, instants)?;
        let kind = match &query {
            Query::Instant(_) | Query::Failed { is_range: false, .. } => {
                return Ok(Self { query, instants, limit, timeout });
            }
            Query::Range(_) | Query::Failed { is_range: true, .. } => "range vector",
            Query::Text(_) => "string",
        };
        Err(ApiError::parameter("query")(format!(
            "invalid expression type {kind:?} for range query, must be Scalar or instant Vector"
        )))
    }
}

fn query(form: &Form, instants: Instants) -> Result<Query, ApiError> {
    let (start_ms, end_ms) = instants.ends();
    Query::parse(form.get("query"), start_ms, end_ms)
        .map_err(|error| ApiError::parameter("query")(parse_error(&error)))
}

/// What is wrong with an expression, and where; the client knows the expression.
pub(super) fn parse_error(error: &ParseError) -> String {
    let ParseError { expression, line, column, reason } = error;
    if expression.is_empty() {
        // As Prometheus says of nothing.
        return format!("unknown position: {reason}");
    }
    format!("{line}:{column}: {reason}")
}

fn timeout(form: &Form) -> Result<Option<Duration>, ApiError> {
    let text = form.get("timeout");
    if text.is_empty() {
        return Ok(None);
    }
    let ns = duration_ns(text).map_err(ApiError::parameter("timeout"))?;
    Ok(Some(Duration::from_nanos(u64::try_from(ns).unwrap_or(0))))
}

/// Plans are made for one lookback; another one would be answered wrongly, so it is refused.
fn lookback(form: &Form) -> Result<(), ApiError> {
    let text = form.get("lookback_delta");
    if text.is_empty() {
        return Ok(());
    }
    match duration_ns(text) {
        // 0 is the default in Prometheus.
        Ok(0 | LOOKBACK_NS) => Ok(()),
        Ok(_) => Err(ApiError::BadData(format!(
            "a lookback delta of {text} is not supported: it is always 5m"
        ))),
        Err(reason) => {
            Err(ApiError::BadData(format!("error parsing lookback delta duration: {reason}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_000_000;

    fn form(query: &str) -> Form {
        Form::parse(b"", query).expect("a form")
    }

    #[test]
    fn an_instant_query() {
        let asked = QueryRequest::at(&form("query=up"), NOW_MS).expect("good");
        assert_eq!(
            (asked.instants, asked.limit, asked.timeout),
            (Instants::At(NOW_MS), None, None)
        );
        let query = "query=up&time=5.5&limit=3&timeout=10s&lookback_delta=300&stats=all";
        let asked = QueryRequest::at(&form(query), NOW_MS).expect("good");
        let timeout = Some(Duration::from_secs(10));
        assert_eq!(asked.instants, Instants::At(5_500));
        assert_eq!((asked.limit, asked.timeout), (Some(3), timeout));
        let negative = QueryRequest::at(&form("query=up&timeout=-1"), NOW_MS).expect("good");
        assert_eq!(negative.timeout, Some(Duration::ZERO));
    }

    #[test]
    fn a_range_query() {
        let asked = QueryRequest::over(&form("query=up&start=0&end=11000&step=1")).expect("good");
        let expected = Instants::Steps { start_ms: 0, end_ms: 11_000_000, step_ms: 1_000 };
        assert_eq!(asked.instants, expected);
    }

    #[track_caller]
    fn check(asked: Result<QueryRequest, ApiError>, expected: &str) {
        let error = asked.expect_err("bad parameters").to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn refusals_of_an_instant() {
        let at = |query| QueryRequest::at(&form(query), NOW_MS);
        check(at(""), "invalid parameter \"query\": ");
        check(at("query=up{"), "invalid parameter \"query\": ");
        check(at("query=up&time=x"), "invalid parameter \"time\": invalid time value for 'time': ");
        check(at("query=up&timeout=x"), "invalid parameter \"timeout\": cannot parse \"x\"");
        check(at("query=up&limit=x"), "invalid parameter \"limit\": ");
        check(at("query=up&lookback_delta=1m"), "a lookback delta of 1m is not supported");
        check(at("query=up&lookback_delta=x"), "error parsing lookback delta duration: cannot");
    }

    #[test]
    fn refusals_of_a_range() {
        let over = |query: &str| QueryRequest::over(&form(query));
        check(over("query=up"), "invalid parameter \"start\": cannot parse \"\" to a valid timest");
        check(over("query=up&start=1"), "invalid parameter \"end\": cannot parse \"\"");
        check(over("query=up&start=1&end=2"), "invalid parameter \"step\": cannot parse \"\"");
        check(over("query=up&start=2&end=1&step=1"), "invalid parameter \"end\": end timestamp");
        for step in ["0", "-1", "0.0001", "0s"] {
            let query = format!("query=up&start=1&end=2&step={step}");
            check(over(&query), "invalid parameter \"step\": zero or negative");
        }
        check(over("query=up&start=0&end=11001&step=1"), "exceeded maximum resolution of 11,000");
        check(
            over("query=up[1m]&start=0&end=1&step=1"),
            "invalid parameter \"query\": invalid expression type \"range vector\" for range query",
        );
        check(
            over("query='x'&start=0&end=1&step=1"),
            "invalid parameter \"query\": invalid expression type \"string\" for range query",
        );
    }
}
