//! Metadata: what senders say of metrics, and what Portent says of its own.
//!
//! In: the parameters of `/api/v1/metadata`, and what the store has. Out: Prometheus's answer, in order of the
//! names. There is never more than one entry of a metric: the last that was said.
//! Source: Prometheus documentation "Querying metric metadata"; `metricMetadata` in its `web/api/v1/api.go`.

use super::error::{ApiError, Limit};
use super::form::Form;
use super::json::{Json, TooLong, quoted};
use crate::bytesize::ByteSize;
use crate::detect::FEATURE_METRIC;
use crate::sample::{MetricMetadata, MetricType};
use crate::series::MetadataListing;

/// What Portent itself makes for queries. Nobody else speaks for it.
const OWN: (&str, Entry<'_>) = (
    FEATURE_METRIC,
    Entry {
        metric_type: MetricType::Gauge,
        help: "The value of a feature as the model saw it.",
        unit: "",
    },
);

/// What is known of a metric.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    metric_type: MetricType,
    help: &'a str,
    unit: &'a str,
}

/// A question for metadata.
#[derive(Debug)]
pub(super) struct MetadataQuery {
    /// Of one metric, else of all.
    metric: Option<String>,
    /// Metrics at most.
    limit: usize,
}

impl MetadataQuery {
    /// Reads the parameters. A negative limit is none.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn parse(form: &Form) -> Result<Self, ApiError> {
        let number = |name| match form.get(name) {
            "" => Ok(-1),
            text => text
                .parse::<i64>()
                .map_err(|_| ApiError::BadData(format!("{name} must be a number"))),
        };
        let limit = usize::try_from(number("limit")?).unwrap_or(usize::MAX);
        // There is never more than one of a metric, and a limit of none is no limit.
        number("limit_per_metric")?;
        let metric = Some(form.get("metric")).filter(|it| !it.is_empty());
        Ok(Self { metric: metric.map(str::to_owned), limit })
    }

    /// What is to be read of the store.
    pub(super) fn listing(&self) -> MetadataListing {
        MetadataListing::new(self.metric.clone(), self.limit)
    }

    /// The answer, from what senders say, in order.
    pub(super) fn answer(
        &self,
        pushed: &[MetricMetadata],
        max_bytes: ByteSize,
    ) -> Result<String, ApiError> {
        self.write(pushed, max_bytes.as_len()).map_err(Limit::response(max_bytes))
    }

    fn write(&self, pushed: &[MetricMetadata], max_bytes: usize) -> Result<String, TooLong> {
        let others = pushed.iter().filter(|it| *it.family != *OWN.0);
        let mut found: Vec<(&str, Entry<'_>)> = others.map(entry).collect();
        if self.metric.as_deref().is_none_or(|metric| metric == OWN.0) {
            let place = found.partition_point(|(name, _)| *name < OWN.0);
            found.insert(place, OWN);
        }
        let mut json = Json::success(max_bytes);
        json.raw("{");
        for (i, (name, entry)) in found.into_iter().take(self.limit).enumerate() {
            if i > 0 {
                json.raw(",");
            }
            json.string(name);
            json.raw(":");
            json.list([entry], |json, Entry { metric_type, help, unit }| {
                json.raw(&format!(
                    r#"{{"type":"{}","help":{},"unit":{}}}"#,
                    metric_type.name(),
                    quoted(help),
                    quoted(unit)
                ));
            })?;
        }
        json.raw("}");
        Ok(json.finish(false))
    }
}

fn entry(it: &MetricMetadata) -> (&str, Entry<'_>) {
    (&it.family, Entry { metric_type: it.metric_type, help: &it.help, unit: &it.unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN_TEXT: &str = r#""portent:feature":[{"type":"gauge","help":"The value of a feature as the model saw it.","unit":""}]"#;

    fn asked(query: &str) -> Result<MetadataQuery, String> {
        let form = Form::parse(b"", query).expect("a form");
        MetadataQuery::parse(&form).map_err(|error| error.to_string())
    }

    fn said(family: &str, metric_type: MetricType, help: &str, unit: &str) -> MetricMetadata {
        MetricMetadata { family: family.into(), metric_type, help: help.into(), unit: unit.into() }
    }

    #[track_caller]
    fn check(query: &str, pushed: &[MetricMetadata], expected: &str) {
        let asked = asked(query).expect("good parameters");
        let got = asked.answer(pushed, ByteSize::from_mib(1)).expect("short");
        assert_eq!(got, format!(r#"{{"status":"success","data":{{{expected}}}}}"#), "{query}");
    }

    #[test]
    fn what_portent_makes_is_always_there() {
        for query in ["", "metric=portent:feature", "limit=1", "limit_per_metric=0", "limit=-5"] {
            check(query, &[], OWN_TEXT);
        }
        check("metric=up", &[], "");
        check("limit=0", &[], "");
        // Whatever a sender says of it.
        check("", &[said("portent:feature", MetricType::Counter, "x", "")], OWN_TEXT);
    }

    #[test]
    fn what_senders_say_stands_beside_it() {
        let up = said("up", MetricType::Gauge, "Whether it \"is\".\n", "");
        let wait = said("a_seconds", MetricType::Histogram, "ä", "seconds");
        let up_text = r#""up":[{"type":"gauge","help":"Whether it \"is\".\n","unit":""}]"#;
        let wait_text = r#""a_seconds":[{"type":"histogram","help":"ä","unit":"seconds"}]"#;
        let all = format!("{wait_text},{OWN_TEXT},{up_text}");
        let both = [wait, up.clone()];
        check("", &both, &all);
        check("limit=3&limit_per_metric=1", &both, &all);
        check("limit=2", &both, &format!("{wait_text},{OWN_TEXT}"));
        check("metric=up", &[up], up_text);
    }

    #[test]
    fn refusals() {
        for (query, expected) in [
            ("limit=x", "limit must be a number"),
            ("limit=1.5", "limit must be a number"),
            ("limit_per_metric=x", "limit_per_metric must be a number"),
        ] {
            assert_eq!(asked(query).expect_err("bad parameters"), expected);
        }
    }

    #[test]
    fn an_answer_is_bounded() {
        let long = said("up", MetricType::Gauge, &"x".repeat(1_000), "");
        let asked = asked("").expect("good parameters");
        assert!(asked.answer(&vec![long; 10], ByteSize::from_bytes(5_000)).is_err());
    }
}
