//! Negotiation: which message and which compression a request says it carries.
//!
//! In: headers. Out: a [`Protocol`] or a refusal, before a byte of the body is read.
//! Sources: remote-write specifications 1.0 and 2.0 "Protocol", RFC 9110 section 5.6.6 (parameters)
//! and 8.3 (media types: case does not matter, blanks around `;` are allowed, values may be quoted).

use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};

use super::Refusal;

/// The media type of both versions.
const MEDIA_TYPE: &str = "application/x-protobuf";

/// A message and its compression that this receiver takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `prometheus.WriteRequest` in a snappy block.
    V1,
}

/// Reads what a request says about its body. Headers that are absent mean version 1.0 and snappy,
/// because senders exist that leave them out.
///
/// # Errors
/// When type, message or encoding is none that is taken.
pub fn negotiate(headers: &HeaderMap) -> Result<Protocol, Refusal> {
    let protocol = match text(headers, CONTENT_TYPE) {
        None => Protocol::V1,
        Some(value) => content_type(&value)?,
    };
    match text(headers, CONTENT_ENCODING) {
        None => {}
        Some(value) if value.trim().eq_ignore_ascii_case("snappy") => {}
        Some(value) => return Err(Refusal::ContentEncoding(value)),
    }
    Ok(protocol)
}

/// The values of a header as one text; bytes that are not ASCII become question marks, which no
/// known value contains.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let texts: Vec<&str> = values.map(|value| value.to_str().unwrap_or("?")).collect();
    Some(texts.join(", "))
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
            "io.prometheus.write.v2.Request" => return Err(Refusal::Version2),
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
    fn takes_what_real_senders_say() {
        let v1 = "application/x-protobuf";
        check(Some(v1), Some("snappy"), 204);
        check(Some("application/x-protobuf;proto=prometheus.WriteRequest"), Some("snappy"), 204);
        check(None, None, 204);
        check(None, Some("snappy"), 204);
        check(Some(v1), None, 204);
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
        check(Some("application/x-protobuf;proto=io.prometheus.write.v2.Request"), None, 415);
        for encoding in ["zstd", "gzip", "identity", "snappy, gzip", ""] {
            check(None, Some(encoding), 415);
        }
    }

    #[test]
    fn two_headers_of_a_kind_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_ENCODING, "snappy".parse().expect("a header value"));
        headers.append(CONTENT_ENCODING, "gzip".parse().expect("a header value"));
        assert!(negotiate(&headers).is_err());
    }
}
