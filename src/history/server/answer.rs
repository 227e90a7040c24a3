//! The JSON that a server answers with.
//!
//! In: the body of an answer. Out: its elements, or the reason why it is refused. An answer that lacks the
//! series of some stores is refused, as a model would learn from it that their hosts were not there. A
//! server says so by a flag or by a warning. Warnings about the expression itself are harmless.
//!
//! Sources: Prometheus `util/annotations/annotations.go` (how warnings of the expression begin) and
//! `storage/fanout.go` (a remote read that failed is a warning), Thanos `pkg/store/proxy.go`
//! (warnings of stores), VictoriaMetrics documentation "Cluster version" (isPartial).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::reason::Reason;
use super::server_words::{readable, words};
use crate::labels::Labels;

/// What begins a warning about the expression and the values that it met, not about what was read.
const OF_EXPRESSION: [&str; 2] = ["PromQL warning", "PromQL info"];

/// What Thanos says where no store that it knows has anything of that time. Nothing failed: before the
/// oldest sample that is the truth. But a store that is away for a while may not be known.
const NO_STORE: &str = "No StoreAPIs matched";

#[derive(Deserialize)]
struct Body<'a> {
    status: &'a str,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics's word for what Thanos says in a warning.
    #[serde(rename = "isPartial", default)]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    kind: &'a str,
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    metric: BTreeMap<String, String>,
    /// Absent where a series only has histograms.
    #[serde(borrow, default)]
    values: Vec<(f64, &'a str)>,
}

/// One element of the result: a label set and its values over time.
pub(crate) struct Element<'a> {
    /// All its labels.
    pub labels: Labels,
    values: Vec<(f64, &'a str)>,
}

impl Element<'_> {
    /// Times in milliseconds and values, among them whatever Prometheus writes for NaN and
    /// infinity. A text that is no number counts as NaN.
    pub fn values(&self) -> impl Iterator<Item = (i64, f64)> {
        let value = |text: &str| text.parse().unwrap_or(f64::NAN);
        let pairs = self.values.iter();
        pairs.map(move |(seconds, text)| ((seconds * 1_000.0).round() as i64, value(text)))
    }
}

/// A successful answer.
pub(crate) struct RangeAnswer<'a> {
    /// The result.
    pub elements: Vec<Element<'a>>,
    /// What the server warns of, cut to a readable length.
    pub warnings: Vec<String>,
    /// Whether the same question may have more of an answer later.
    pub may_grow: bool,
}

/// Reads a successful answer, which is whole.
pub(crate) fn parse(body: &[u8]) -> Result<RangeAnswer<'_>, Reason> {
    let body: Body<'_> = json(body)?;
    let data = match body {
        Body { status: "success", data: Some(data), .. } => data,
        Body { error, .. } => {
            let error = error.unwrap_or_else(|| "there is no data in the answer".to_owned());
            return Err(Reason::Refused { status: 200, words: readable(&error, 0) });
        }
    };
    if data.kind != "matrix" {
        let reason = format!("the result is a {}, not a matrix", data.kind);
        return Err(Reason::NotPrometheus(reason));
    }
    let elements = data.result.into_iter().map(|series| Element {
        labels: Labels::from_pairs(series.metric).expect("a map has each name once"),
        values: series.values,
    });
    let mut warnings = body.warnings.unwrap_or_default();
    warnings.iter_mut().for_each(|it| *it = readable(it, 0));
    must_be_whole(&warnings, body.is_partial)?;
    let may_grow = warnings.iter().any(|it| it.contains(NO_STORE));
    Ok(RangeAnswer { elements: elements.collect(), warnings, may_grow })
}

/// Refuses an answer that lacks what some stores have.
fn must_be_whole(warnings: &[String], is_partial: bool) -> Result<(), Reason> {
    let is_harmless = |it: &str| OF_EXPRESSION.iter().any(|begin| it.starts_with(begin));
    let lacking = warnings.iter().find(|it| !is_harmless(it) && !it.contains(NO_STORE));
    match lacking {
        Some(words) => Err(Reason::Partial(readable(words, 0))),
        None if is_partial => Err(Reason::Partial("isPartial: true".to_owned())),
        None => Ok(()),
    }
}

#[derive(Deserialize)]
struct InstantBody {
    data: InstantData,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(rename = "isPartial", default)]
    is_partial: bool,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum InstantData {
    Scalar((f64, String)),
    Vector(Vec<InstantElement>),
}

#[derive(Deserialize)]
struct InstantElement {
    metric: BTreeMap<String, String>,
    /// Absent where the element is a histogram.
    value: Option<(f64, String)>,
}

/// Reads a successful answer to an instant query, which is whole: label sets and values. A scalar has no
/// labels, a histogram is left out, and a text that is no number is NaN.
pub(super) fn parse_instant(body: &[u8]) -> Result<Vec<(Labels, f64)>, Reason> {
    let InstantBody { data, warnings, is_partial } = json(body)?;
    must_be_whole(&warnings, is_partial)?;
    let number = |text: &str| text.parse().unwrap_or(f64::NAN);
    let elements = match data {
        InstantData::Scalar((_, text)) => return Ok(vec![(Labels::empty(), number(&text))]),
        InstantData::Vector(elements) => elements,
    };
    let valued = elements.into_iter().filter_map(|InstantElement { metric, value }| {
        let labels = Labels::from_pairs(metric).expect("a map has each name once");
        Some((labels, number(&value?.1)))
    });
    Ok(valued.collect())
}

/// The data of any other successful answer.
pub(super) fn data(body: &[u8]) -> Result<serde_json::Value, Reason> {
    #[derive(Deserialize)]
    struct Told {
        data: serde_json::Value,
    }
    json(body).map(|told: Told| told.data)
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Reason> {
    let wrong = |error| Reason::NotPrometheus(format!("{error}: {}", words(body)));
    serde_json::from_slice(body).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_answer_is_a_vector_or_a_number() {
        let read = |data: &str, beside: &str| {
            let body = format!(r#"{{"status":"success","data":{data}{beside}}}"#);
            parse_instant(body.as_bytes()).map_err(|it| it.to_string())
        };
        let a = Labels::from_pairs([("a", "1")]).expect("distinct");
        let vector = r#"{"resultType":"vector","result":[
            {"metric":{"a":"1"},"value":[1.5,"-Inf"]},{"metric":{},"histogram":[1,{}]}]}"#;
        assert_eq!(read(vector, ""), Ok(vec![(a, f64::NEG_INFINITY)]));
        let scalar = r#"{"resultType":"scalar","result":[1,"2"]}"#;
        assert_eq!(read(scalar, ""), Ok(vec![(Labels::empty(), 2.0)]));
        assert_eq!(read(scalar, r#","isPartial":true"#), Err("isPartial: true".to_owned()));
        assert!(read(r#"{"resultType":"matrix","result":[]}"#, "").is_err());
        assert_eq!(data(br#"{"data":[1]}"#).expect("data"), serde_json::json!([1]));
    }

    /// An answer of nothing, with these members beside it.
    fn parsed(beside: &str) -> Result<(Vec<String>, bool), String> {
        let data = r#""data":{"resultType":"matrix","result":[]}"#;
        let body = format!(r#"{{"status":"success",{data}{beside}}}"#);
        let found = parse(body.as_bytes()).map(|it| (it.warnings, it.may_grow));
        found.map_err(|reason| match reason {
            Reason::Partial(words) => words,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_is_partial_is_told_from_what_a_server_merely_notes() {
        let whole = [
            "",
            r#","isPartial":false"#,
            r#","warnings":null,"infos":["PromQL info: metric might not be a counter: \"x\""]"#,
            r#","warnings":["PromQL warning: quantile value should be between 0 and 1, got 2 (1:24)"]"#,
            // Prometheus 2.48 knew no infos.
            r#","warnings":["PromQL info: metric might not be a counter"]"#,
        ];
        for beside in whole {
            assert_eq!(parsed(beside).map(|it| it.1), Ok(false), "{beside}");
        }
        let words = "PromQL warning: quantile value should be between 0 and 1, got 2 (1:24)";
        assert_eq!(parsed(whole[3]), Ok((vec![words.to_owned()], false)));
        let none = "No StoreAPIs matched for this query";
        let beside = format!(r#","warnings":["{none}"]"#);
        assert_eq!(parsed(&beside), Ok((vec![none.to_owned()], true)));
        assert_eq!(parsed(r#","isPartial":true"#), Err("isPartial: true".to_owned()));
        for words in [
            "receive series from Addr: 10.0.0.2:10901: rpc error: code = Unavailable",
            "remote_read: remote server returned HTTP status 503 Service Unavailable",
            "query result may contain partial data",
            "anything else",
        ] {
            let beside = format!(r#","warnings":["PromQL info: a","{words}","{none}"]"#);
            assert_eq!(parsed(&beside), Err(words.to_owned()));
        }
    }
}
