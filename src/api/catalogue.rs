//! The catalogue: which series, label names and label values there are.

use std::collections::HashSet;

use super::error::{ApiError, Limit};
use super::form::Form;
use super::json::{Json, TooLong};
use super::parameters::{self, FAR_MS};
use super::query::parse_error;
use crate::bytesize::ByteSize;
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::promql::{SelectorError, parse_selector};

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// Whole label sets.
    Series,
    /// The names in them.
    Names,
    /// The values of one name.
    Values(String),
}

/// A question to the catalogue.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) subject: Subject,
    pub(super) selectors: Vec<Selector>,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    limit: Option<usize>,
}

impl Lookup {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn parse(subject: Subject, form: &Form) -> Result<Self, ApiError> {
        let mut texts = form.all("match[]").peekable();
        match &subject {
            Subject::Series if texts.peek().is_none() => {
                return Err(ApiError::BadData("no match[] parameter provided".to_owned()));
            }
            Subject::Values(name) if name.is_empty() => {
                return Err(ApiError::BadData(format!("invalid label name: {name:?}")));
            }
            _ => {}
        }
        let limit = parameters::limit(form.get("limit")).map_err(ApiError::parameter("limit"))?;
        let time = |name, default_ms| {
            parameters::optional_time_ms(name, form.get(name), default_ms)
                .map_err(ApiError::parameter(name))
        };
        let (from_ms, to_ms) = (time("start", -FAR_MS)?, time("end", FAR_MS)?);
        let selectors =
            texts.map(selector).collect::<Result<_, _>>().map_err(|reason| match subject {
                Subject::Series => ApiError::parameter("match[]")(reason),
                _ => ApiError::BadData(reason),
            })?;
        Ok(Self { subject, selectors, from_ms, to_ms, limit })
    }

    /// The answer, from the label sets that satisfy the selectors, in any order.
    pub(super) fn answer(
        &self,
        mut series: Vec<Labels>,
        max_bytes: ByteSize,
    ) -> Result<String, ApiError> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut json = Json::success(max_bytes.as_len());
        let written = match &self.subject {
            Subject::Series => {
                series.sort_unstable();
                series.dedup();
                json.list(series.iter().take(limit), |json, labels| json.labels(labels))
                    .map(|()| series.len() > limit)
            }
            Subject::Names => strings(
                &mut json,
                series.iter().flat_map(Labels::iter).map(|(name, _)| name).collect(),
                limit,
            ),
            Subject::Values(name) => {
                let values = series.iter().map(|labels| labels.get(name));
                strings(&mut json, values.filter(|value| !value.is_empty()).collect(), limit)
            }
        };
        Ok(json.finish(written.map_err(Limit::response(max_bytes))?))
    }
}

fn strings(json: &mut Json, found: HashSet<&str>, limit: usize) -> Result<bool, TooLong> {
    let truncated = found.len() > limit;
    let mut found: Vec<&str> = found.into_iter().collect();
    found.sort_unstable();
    json.list(found.into_iter().take(limit), |json, text| json.string(text))?;
    Ok(truncated)
}

/// A selector as a parameter, `match[]`.
pub(super) fn selector(text: &str) -> Result<Selector, String> {
    parse_selector(text).map_err(|error| match error {
        SelectorError::Parse(error) => parse_error(&error),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(subject: Subject, query: &str) -> Result<Lookup, String> {
        let form = Form::parse(b"", query).expect("a form");
        Lookup::parse(subject, &form).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(subject: Subject, query: &str, expected: &str) {
        let set = |host: &str, job: &str| {
            let pairs = [("__name__", "up"), ("host", host), ("job", job)];
            Labels::from_pairs(pairs).expect("distinct")
        };
        let series = vec![set("c", "x"), set("a", "x"), set("b", "")];
        let lookup = parse(subject, query).expect("good parameters");
        let got = lookup.answer(series, ByteSize::from_mib(1)).expect("short");
        assert_eq!(got, format!(r#"{{"status":"success","data":{expected}}}"#));
    }

    #[test]
    fn answers() {
        check(
            Subject::Series,
            "match[]=up&limit=2",
            r#"[{"__name__":"up","host":"a","job":"x"},{"__name__":"up","host":"b"}],"warnings":["results truncated due to limit"]"#,
        );
        check(
            Subject::Series,
            "match[]=up&limit=3",
            r#"[{"__name__":"up","host":"a","job":"x"},{"__name__":"up","host":"b"},{"__name__":"up","host":"c","job":"x"}]"#,
        );
        check(Subject::Names, "", r#"["__name__","host","job"]"#);
        check(
            Subject::Names,
            "limit=1",
            r#"["__name__"],"warnings":["results truncated due to limit"]"#,
        );
        check(Subject::Values("job".to_owned()), "match[]=up", r#"["x"]"#);
        check(Subject::Values("host".to_owned()), "limit=3", r#"["a","b","c"]"#);
        check(Subject::Values("nosuch".to_owned()), "", "[]");
    }

    #[test]
    fn times_and_selectors_are_read() {
        let lookup = parse(Subject::Names, "start=1&match[]=up&match[]=down").expect("good");
        assert_eq!((lookup.from_ms, lookup.to_ms, lookup.selectors.len()), (1_000, FAR_MS, 2));
    }

    #[track_caller]
    fn check_refused(subject: Subject, query: &str, expected: &str) {
        let error = parse(subject, query).expect_err("bad parameters");
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn refusals() {
        check_refused(Subject::Series, "", "no match[] parameter provided");
        check_refused(Subject::Series, "match[]=up{", "invalid parameter \"match[]\": ");
        check_refused(Subject::Names, "match[]=sum(up)", "sum(up)");
        check_refused(Subject::Names, "limit=-1", "invalid parameter \"limit\": ");
        check_refused(
            Subject::Names,
            "end=x",
            "invalid parameter \"end\": invalid time value for 'end': cannot parse \"x\" to a \
             valid timestamp",
        );
        check_refused(Subject::Values(String::new()), "", "invalid label name: \"\"");
    }
}
