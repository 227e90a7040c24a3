//! JSON as Prometheus writes it: numbers as strings, times as seconds.
//!
//! An answer never grows beyond its limit by more than one of its elements.
//! Source: Prometheus's `web/api/v1/json_codec.go`, `util/jsonutil/marshal.go`.

use std::fmt::Write;

use hyper::StatusCode;

use super::{ApiResponse, JSON};
use crate::labels::Labels;
use crate::promql::Annotations;
use crate::response::response;
use crate::timestamp;

/// Annotations of each kind in an answer; of the others it has the number. As many as Prometheus gives.
const MAX_ANNOTATIONS: usize = 10;

/// An answer while it is written.
#[derive(Debug)]
pub(super) struct Json {
    text: String,
    limit: usize,
}

/// The answer is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

impl Json {
    /// An answer that tells success; what follows is its data.
    pub(super) fn success(limit: usize) -> Self {
        Self { text: r#"{"status":"success","data":"#.to_owned(), limit }
    }

    /// Ends the answer.
    pub(super) fn finish(self, truncated: bool) -> String {
        self.finish_with(Annotations::default(), truncated)
    }

    /// Ends the answer to a query of which an evaluation had something to say.
    pub(super) fn finish_with(mut self, annotations: Annotations, truncated: bool) -> String {
        let Annotations { mut warnings, infos } = annotations;
        if truncated {
            warnings.texts.insert(0, "results truncated due to limit".to_owned());
        }
        for (key, kind, mut said) in [("warnings", "warning", warnings), ("infos", "info", infos)] {
            said.more += said.texts.len().saturating_sub(MAX_ANNOTATIONS);
            said.texts.truncate(MAX_ANNOTATIONS);
            if said.more > 0 {
                said.texts.push(format!("{} more {kind} annotations omitted", said.more));
            }
            if !said.texts.is_empty() {
                let texts: Vec<String> = said.texts.iter().map(|text| quoted(text)).collect();
                self.raw(&format!(",\"{key}\":[{}]", texts.join(",")));
            }
        }
        self.raw("}");
        self.text
    }

    /// JSON as it is.
    pub(super) fn raw(&mut self, json: &str) {
        self.text.push_str(json);
    }

    /// A string.
    pub(super) fn string(&mut self, text: &str) {
        self.text.push_str(&quoted(text));
    }

    /// A list, each of its elements as `each` writes it.
    ///
    /// # Errors
    /// When the answer becomes too long.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) -> Result<(), TooLong> {
        self.try_list(items, |json, item| {
            each(json, item);
            Ok(())
        })
    }

    /// A list whose elements may fail as well.
    ///
    /// # Errors
    /// When the answer becomes too long, or an element fails.
    pub(super) fn try_list<T, E: From<TooLong>>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.raw("[");
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            each(self, item)?;
            if self.text.len() > self.limit {
                return Err(TooLong.into());
            }
        }
        self.raw("]");
        Ok(())
    }

    /// A label set as an object.
    pub(super) fn labels(&mut self, labels: &Labels) {
        self.texts(labels.iter());
    }

    /// An object of strings.
    pub(super) fn texts<'a>(&mut self, texts: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.raw("{");
        for (i, (name, value)) in texts.into_iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            self.string(name);
            self.raw(":");
            self.string(value);
        }
        self.raw("}");
    }

    /// A time and a value of a series: `[1435781451.781,"1"]`.
    pub(super) fn point(&mut self, time_ms: i64, value: f64) {
        self.at(time_ms, |json| json.value(value));
    }

    /// A value of a series: `"1"`.
    pub(super) fn value(&mut self, value: f64) {
        self.raw("\"");
        series_value(&mut self.text, value);
        self.raw("\"");
    }

    /// A time and what `write` writes: `[1435781451.781,…]`.
    pub(super) fn at(&mut self, time_ms: i64, write: impl FnOnce(&mut Self)) {
        self.raw("[");
        time(&mut self.text, time_ms);
        self.raw(",");
        write(self);
        self.raw("]");
    }

    /// A time: `1435781451.781`.
    pub(super) fn seconds(&mut self, time_ms: i64) {
        time(&mut self.text, time_ms);
    }

    /// A time and a scalar, which Prometheus writes without exponent however long it gets.
    pub(super) fn scalar(&mut self, time_ms: i64, value: f64) {
        self.at(time_ms, |json| {
            json.raw("\"");
            plain_value(&mut json.text, value);
            json.raw("\"");
        });
    }

    /// A time and a string.
    pub(super) fn text_at(&mut self, time_ms: i64, string: &str) {
        self.at(time_ms, |json| json.string(string));
    }

    /// A number. It must be finite.
    pub(super) fn number(&mut self, value: f64) {
        plain_value(&mut self.text, value);
    }

    /// A number as a string, always with an exponent: `"1e+00"`.
    pub(super) fn exponential(&mut self, value: f64) {
        self.raw("\"");
        match value.is_finite() {
            true => exponential_value(&mut self.text, value),
            false => plain_value(&mut self.text, value),
        }
        self.raw("\"");
    }

    /// A moment as Go writes it: RFC 3339 with as many digits of the second as there are.
    pub(super) fn moment(&mut self, time_ms: i64) {
        let text = timestamp::format_ms(time_ms);
        let short = match text.strip_suffix('Z') {
            Some(text) if text.contains('.') => text.trim_end_matches('0'),
            Some(text) => text,
            None => &text,
        };
        self.raw(&format!("\"{short}Z\""));
    }
}

/// The answer to what is refused, in Prometheus's envelope.
pub(super) fn refused(status: StatusCode, error_type: &str, reason: &str) -> ApiResponse {
    let error = quoted(reason);
    let body = format!(r#"{{"status":"error","errorType":"{error_type}","error":{error}}}"#);
    response(status, JSON, body)
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Seconds with three digits after the point, or none.
fn time(text: &mut String, ms: i64) {
    let sign = if ms < 0 { "-" } else { "" };
    let (seconds, rest) = (ms.unsigned_abs() / 1_000, ms.unsigned_abs() % 1_000);
    let _ = write!(text, "{sign}{seconds}");
    if rest != 0 {
        let _ = write!(text, ".{rest:03}");
    }
}

/// The shortest digits that read back the same, as Go writes them with format `f`.
fn plain_value(text: &mut String, value: f64) {
    let _ = match value {
        value if value.is_nan() => write!(text, "NaN"),
        f64::INFINITY => write!(text, "+Inf"),
        f64::NEG_INFINITY => write!(text, "-Inf"),
        value => write!(text, "{value}"),
    };
}

/// Very large and very small numbers get an exponent: a sign and at least two digits.
fn series_value(text: &mut String, value: f64) {
    let plain = value == 0.0 || !value.is_finite() || (1e-6..1e21).contains(&value.abs());
    if plain {
        return plain_value(text, value);
    }
    exponential_value(text, value);
}

/// As Go writes it with format `e`: the exponent has a sign and at least two digits.
fn exponential_value(text: &mut String, value: f64) {
    let number = format!("{value:e}");
    let (digits, exponent) = number.split_once('e').unwrap_or((&number, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    let _ = write!(text, "{digits}e{sign}{exponent:0>2}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, in_series: &str, as_scalar: &str) {
        let (mut series, mut scalar) = (String::new(), String::new());
        series_value(&mut series, value);
        plain_value(&mut scalar, value);
        assert_eq!((series.as_str(), scalar.as_str()), (in_series, as_scalar), "{value:?}");
    }

    // What Prometheus 3.5 answers for these as `vector(x)` and as `x`.
    #[test]
    fn values() {
        check(1.0, "1", "1");
        check(-0.0, "-0", "-0");
        check(0.1 + 0.2, "0.30000000000000004", "0.30000000000000004");
        check(f64::NAN, "NaN", "NaN");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NEG_INFINITY, "-Inf", "-Inf");
        check(1e20, "100000000000000000000", "100000000000000000000");
        check(1e21, "1e+21", "1000000000000000000000");
        check(-1.5e300, "-1.5e+300", &format!("-15{}", "0".repeat(299)));
        check(1e-6, "0.000001", "0.000001");
        check(1.5e-7, "1.5e-07", "0.00000015");
    }

    /// What Prometheus 3.5 has as the value of an alert of `vector(x)`.
    #[test]
    fn values_of_alerts() {
        for (value, expected) in [
            (1.0, "1e+00"),
            (1e-9, "1e-09"),
            (1_234_567.5, "1.2345675e+06"),
            (0.0, "0e+00"),
            (-1e300, "-1e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            let mut json = Json { text: String::new(), limit: 100 };
            json.exponential(value);
            assert_eq!(json.text, format!("\"{expected}\""));
        }
    }

    #[test]
    fn moments_have_the_digits_that_they_need() {
        for (ms, expected) in [
            (1_435_781_451_000, "2015-07-01T20:10:51Z"),
            (1_435_781_450_000, "2015-07-01T20:10:50Z"),
            (1_435_781_451_780, "2015-07-01T20:10:51.78Z"),
            (1_435_781_451_001, "2015-07-01T20:10:51.001Z"),
        ] {
            let mut json = Json { text: String::new(), limit: 100 };
            json.moment(ms);
            assert_eq!(json.text, format!("\"{expected}\""));
        }
    }

    #[test]
    fn times_have_three_digits_or_none() {
        for (ms, expected) in [
            (0, "0"),
            (1_435_781_451_781, "1435781451.781"),
            (1_005, "1.005"),
            (1_050, "1.050"),
            (-1_500, "-1.500"),
            (-1, "-0.001"),
        ] {
            let mut text = String::new();
            time(&mut text, ms);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_whole_answer() {
        let labels = Labels::from_pairs([("a", "\"\n"), ("__name__", "ä")]).expect("distinct");
        let mut json = Json::success(1_000);
        json.list([1.0, 2.0], |json, value| {
            json.labels(&labels);
            json.point(1_000, value);
        })
        .expect("short");
        assert_eq!(
            json.finish(true),
            r#"{"status":"success","data":[{"__name__":"ä","a":"\"\n"}[1,"1"],{"__name__":"ä","a":"\"\n"}[1,"2"]],"warnings":["results truncated due to limit"]}"#
        );
    }

    #[test]
    fn an_answer_is_bounded() {
        let mut json = Json::success(100);
        let written = json.list(0.., |json, i: u32| json.string(&i.to_string()));
        assert_eq!(written, Err(TooLong));
        assert!(json.text.len() < 120);
    }
}
