//! Exemplars: which there are of the series that a query selects.
//!
//! Source: `queryExemplars` in Prometheus's `web/api/v1/api.go`, `Select` in its `tsdb/exemplar.go`.

use super::error::{ApiError, Limit};
use super::form::Form;
use super::json::Json;
use super::parameters::{self, FAR_MS};
use super::query::parse_error;
use crate::bytesize::ByteSize;
use crate::matcher::Selector;
use crate::promql::Query;
use crate::sample::Exemplar;
use crate::series::SeriesExemplars;

/// A question for exemplars.
#[derive(Debug)]
pub(super) struct ExemplarQuery {
    /// Those of the query, whatever it does with them.
    pub(super) selectors: Vec<Selector>,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl ExemplarQuery {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn parse(form: &Form) -> Result<Self, ApiError> {
        let time = |name, default_ms| {
            parameters::optional_time_ms(name, form.get(name), default_ms)
                .map_err(ApiError::parameter(name))
        };
        let (from_ms, to_ms) = (time("start", -FAR_MS)?, time("end", FAR_MS)?);
        if to_ms < from_ms {
            let reason = "end timestamp must not be before start timestamp".to_owned();
            return Err(ApiError::BadData(reason));
        }
        let query = Query::parse(form.get("query"), from_ms, to_ms)
            .map_err(|error| ApiError::BadData(parse_error(&error)))?;
        let mut selectors: Vec<Selector> = Vec::new();
        for (selector, _) in query.reaches() {
            if !selectors.contains(&selector) {
                selectors.push(selector);
            }
        }
        Ok(Self { selectors, from_ms, to_ms })
    }

    /// The answer, from what was found in any order; none to a query that selects nothing, such as a number.
    pub(super) fn answer(
        &self,
        mut found: Vec<SeriesExemplars>,
        max_bytes: ByteSize,
    ) -> Result<String, ApiError> {
        if self.selectors.is_empty() {
            return Ok(String::new());
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.dedup_by(|a, b| a.0 == b.0);
        let mut json = Json::success(max_bytes.as_len());
        json.try_list(&found, |json, (labels, exemplars)| {
            json.raw(r#"{"seriesLabels":"#);
            json.labels(labels);
            json.raw(r#","exemplars":"#);
            json.list(exemplars, Json::exemplar)?;
            json.raw("}");
            Ok(())
        })
        .map_err(Limit::response(max_bytes))?;
        Ok(json.finish(false))
    }
}

impl Json {
    /// `{"labels":{"trace_id":"a"},"value":"6","timestamp":1600096945.479}`.
    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.raw(r#"{"labels":"#);
        self.labels(&exemplar.labels);
        self.raw(r#","value":"#);
        self.value(exemplar.value);
        self.raw(r#","timestamp":"#);
        self.seconds(exemplar.timestamp_ms);
        self.raw("}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    fn parse(query: &str) -> Result<ExemplarQuery, String> {
        let form = Form::parse(b"", query).expect("a form");
        ExemplarQuery::parse(&form).map_err(|error| error.to_string())
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("distinct")
    }

    /// Labels, the value and the time.
    type One<'a> = (&'a [(&'a str, &'a str)], f64, i64);

    fn found(name: &str, exemplars: &[One]) -> SeriesExemplars {
        let exemplar =
            |it: &One| Exemplar { labels: labels(it.0), value: it.1, timestamp_ms: it.2 };
        (labels(&[("__name__", name)]), exemplars.iter().map(exemplar).collect())
    }

    #[track_caller]
    fn check(query: &str, found: Vec<SeriesExemplars>, expected: &str) {
        let asked = parse(query).expect("good parameters");
        let got = asked.answer(found, ByteSize::from_mib(1)).expect("short");
        assert_eq!(got, format!(r#"{{"status":"success"{expected}}}"#));
    }

    #[test]
    fn answers() {
        let trace: &[(&str, &str)] = &[("trace_id", "EpTxMJ40fUus7aGY")];
        check(
            "query=a%2Bb",
            vec![
                found("b", &[(&[], f64::INFINITY, -1), (&[], 1e-7, 2_000)]),
                found("a", &[(trace, 6.0, 1_600_096_945_479)]),
            ],
            r#","data":[{"seriesLabels":{"__name__":"a"},"exemplars":[{"labels":{"trace_id":"EpTxMJ40fUus7aGY"},"value":"6","timestamp":1600096945.479}]},{"seriesLabels":{"__name__":"b"},"exemplars":[{"labels":{},"value":"+Inf","timestamp":-0.001},{"labels":{},"value":"1e-07","timestamp":2}]}]"#,
        );
        check("query=up", Vec::new(), r#","data":[]"#);
        for query in ["query=1", "query='x'"] {
            let asked = parse(query).expect("good parameters");
            assert_eq!(asked.answer(Vec::new(), ByteSize::from_mib(1)).expect("short"), "");
        }
    }

    #[test]
    fn answers_have_a_limit() {
        let asked = parse("query=up").expect("good parameters");
        let many = found("up", &vec![(&[][..], 1.0, 1); 100]);
        let error = asked.answer(vec![many], ByteSize::from_bytes(1_000)).expect_err("long");
        assert!(error.to_string().contains("query.max_response_bytes"), "{error}");
    }

    #[test]
    fn the_selectors_of_a_query_are_found_wherever_they_are() {
        let asked = |query: &str| parse(&format!("query={query}")).expect("good").selectors.len();
        assert_eq!(asked("up"), 1);
        assert_eq!(asked("up%2Bup"), 1);
        assert_eq!(asked("up%2Bup%20offset%205m"), 1);
        assert_eq!(asked("histogram_quantile(0.9,sum(rate(a[5m]))by(le))/on()b"), 2);
        assert_eq!(asked("max_over_time(rate(a[5m])[1h:1m])"), 1);
        assert_eq!(asked("a%20@%20start()%20-%20b%20@%201"), 2);
        assert_eq!(asked("a[5m]"), 1);
    }

    #[track_caller]
    fn check_refused(query: &str, expected: &str) {
        assert_eq!(parse(query).expect_err("bad parameters"), expected);
    }

    #[test]
    fn refusals() {
        check_refused(
            "query=up&start=x",
            "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to \
             a valid timestamp",
        );
        check_refused("query=up&start=2&end=1", "end timestamp must not be before start timestamp");
        assert!(parse("").expect_err("no query").starts_with("unknown position: "));
        assert!(parse("query=up{").expect_err("no query").starts_with("1:"));
    }
}
