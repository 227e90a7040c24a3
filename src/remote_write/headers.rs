//! Headers: which message and which compression a request says it carries.
//!
//! In: headers. Out: a [`Protocol`] or a refusal, before a byte of the body is read.
//! Sources: remote-write specifications 1.0 and 2.0 "Protocol", RFC 9110 section 5.6.6 (parameters)
//! and 8.3 (media types: case does not matter, blanks around `;` are allowed, values may be quoted).

use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};

use super::Refusal;

/// The media type of both versions.
const MEDIA_TYPE: &str = "application/x-protobuf";

/// The encodings of both versions and of vmagent.
const ENCODINGS: [&str; 2] = ["snappy", "zstd"];

/// The message that a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Protocol {
    /// As its specification is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "remote write 1.0",
            Self::V2 => "remote write 2.0",
        }
    }
}

/// Reads what a request says about its body. Headers that are absent mean version 1.0 and snappy,
/// because senders exist that leave them out. Which of snappy and zstd a body is, it says itself. A header
/// that is there twice, because a proxy adds its own, is one if both say the same.
///
/// # Errors
/// When type, message or encoding is none that is taken.
pub fn negotiate(headers: &HeaderMap) -> Result<Protocol, Refusal> {
    let protocol =
        text(headers, CONTENT_TYPE).map_or(Ok(Protocol::V1), |value| content_type(&value))?;
    match text(headers, CONTENT_ENCODING) {
        Some(value) if !ENCODINGS.iter().any(|it| value.trim().eq_ignore_ascii_case(it)) => {
            Err(Refusal::ContentEncoding(value))
        }
        _ => Ok(protocol),
    }
}

/// The values of a header as one text, equal ones once; those that are not ASCII become question
/// marks, which no known value contains.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let mut texts: Vec<&str> = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().unwrap_or("?");
        if !texts.iter().any(|other| is_same(other, text)) {
            texts.push(text);
        }
    }
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Whether two values differ in nothing but case and blanks. Case matters to the name of a message,
/// and the value that is kept is still judged by itself.
fn is_same(a: &str, b: &str) -> bool {
    let letters = |text: &str| {
        let kept = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
        kept.map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>()
    };
    letters(a) == letters(b)
}

fn content_type(value: &str) -> Result<Protocol, Refusal> {
    let refuse = || Refusal::ContentType(value.to_owned());
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !media_type.eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(refuse());
    }
    let mut protocol = Protocol::V1;
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or_else(refuse)?;
        if !name.trim().eq_ignore_ascii_case("proto") {
            continue;
        }
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        protocol = match unquoted.unwrap_or(value) {
            "prometheus.WriteRequest" => Protocol::V1,
            "io.prometheus.write.v2.Request" => Protocol::V2,
            _ => return Err(refuse()),
        };
    }
    Ok(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: Option<&str>, encoding: Option<&str>, expected: u16) {
        let mut headers = HeaderMap::new();
        for (name, value) in [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, encoding)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().expect("a header value"));
            }
        }
        let status = negotiate(&headers).map_or_else(|refusal| refusal.status().as_u16(), |_| 204);
        assert_eq!(status, expected, "{content_type:?} {encoding:?}");
    }

    #[test]
    fn the_parameter_decides_which_message_it_is() {
        let named = |text: &str| {
            let value = text.parse().expect("a header value");
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
            negotiate(&headers).expect("a known message")
        };
        assert_eq!(named("application/x-protobuf"), Protocol::V1);
        assert_eq!(named("application/x-protobuf;proto=prometheus.WriteRequest"), Protocol::V1);
        let second = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
        let quoted = r#"application/x-protobuf; proto="io.prometheus.write.v2.Request""#;
        for text in [second, &second.replace(';', " ; "), quoted] {
            assert_eq!(named(text), Protocol::V2, "{text}");
        }
    }

    #[test]
    fn takes_what_real_senders_say() {
        let v1 = "application/x-protobuf";
        check(Some(v1), Some("snappy"), 204);
        check(Some("application/x-protobuf;proto=prometheus.WriteRequest"), Some("snappy"), 204);
        check(None, None, 204);
        check(None, Some("snappy"), 204);
        check(Some(v1), None, 204);
        check(Some(v1), Some("zstd"), 204);
    }

    #[test]
    fn tolerates_case_blanks_quotes_and_other_parameters() {
        check(Some("Application/X-Protobuf"), Some("Snappy"), 204);
        check(Some("application/x-protobuf ; Proto = prometheus.WriteRequest"), None, 204);
        check(Some(r#"application/x-protobuf; proto="prometheus.WriteRequest""#), None, 204);
        check(Some("application/x-protobuf; charset=utf-8;"), None, 204);
    }

    #[test]
    fn refuses_everything_else() {
        check(Some("yolo"), None, 415);
        check(Some("application/json"), None, 415);
        check(Some(""), None, 415);
        check(Some("application/x-protobuf;proto=yolo"), None, 415);
        check(Some("application/x-protobuf;proto"), None, 415);
        check(Some("application/x-protobuf;proto=PROMETHEUS.WRITEREQUEST"), None, 415);
        for encoding in ["zstd, snappy", "gzip", "identity", "snappy, gzip", ""] {
            check(None, Some(encoding), 415);
        }
    }

    #[track_caller]
    fn check_twice(name: HeaderName, values: [&str; 2], expected: u16) {
        for values in [values, [values[1], values[0]]] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&name, value.parse().expect("a header value"));
            }
            let answer = negotiate(&headers);
            let status = answer.map_or_else(|refusal| refusal.status().as_u16(), |_| 204);
            assert_eq!(status, expected, "{name}: {values:?}");
        }
    }

    #[test]
    fn a_header_that_is_there_twice_is_one_if_both_say_the_same() {
        let v1 = "application/x-protobuf";
        check_twice(CONTENT_ENCODING, ["snappy", "snappy"], 204);
        check_twice(CONTENT_ENCODING, ["snappy", " Snappy "], 204);
        check_twice(CONTENT_ENCODING, ["snappy", "gzip"], 415);
        check_twice(CONTENT_ENCODING, ["snappy", ""], 415);
        check_twice(CONTENT_ENCODING, ["gzip", "gzip"], 415);
        check_twice(CONTENT_TYPE, [v1, "Application/X-Protobuf"], 204);
        let named = "application/x-protobuf;proto=prometheus.WriteRequest";
        check_twice(CONTENT_TYPE, [named, &named.replace(';', " ; ")], 204);
        check_twice(CONTENT_TYPE, [v1, named], 415);
        check_twice(CONTENT_TYPE, [v1, "application/json"], 415);
    }
}
