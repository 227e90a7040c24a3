//! Cross-origin requests: which pages of others may read answers.
//!
//! In: a pattern of origins, as Prometheus's `--web.cors.origin`, and the headers of a request. Out: the
//! headers of the answer. A browser keeps what it has no such headers of from the page that asked.
//! Source: the Fetch standard, "CORS protocol"; Prometheus `util/httputil/cors.go`.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::matcher::pattern;

/// The origins whose pages may read answers: a regular expression that the whole origin must match.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorsOrigin {
    text: String,
    regex: Regex,
}

impl CorsOrigin {
    /// The headers of the answer to a request; whose page may not read it gets those that say so to caches.
    #[must_use]
    pub fn answer(&self, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        let origin = request.get(ORIGIN);
        let Some(origin) = origin.filter(|it| it.to_str().is_ok_and(|it| self.regex.is_match(it)))
        else {
            return headers;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }
}

impl TryFrom<String> for CorsOrigin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let regex = pattern::compile(&text)
            .map_err(|reason| format!("invalid regular expression {text:?}: {reason}"))?;
        Ok(Self { text, regex })
    }
}

impl From<CorsOrigin> for String {
    fn from(origin: CorsOrigin) -> Self {
        origin.text
    }
}

impl PartialEq for CorsOrigin {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CorsOrigin {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, origin: Option<&'static str>, is_allowed: bool) {
        let cors = CorsOrigin::try_from(pattern.to_owned()).expect("a good pattern");
        let mut request = HeaderMap::new();
        request.extend(origin.map(|it| (ORIGIN, HeaderValue::from_static(it))));
        let answer = cors.answer(&request);
        assert_eq!(answer[VARY], "Origin");
        let allowed = answer.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed, request.get(ORIGIN).filter(|_| is_allowed));
        assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_METHODS), is_allowed);
    }

    #[test]
    fn the_whole_origin_must_match() {
        let pattern = r"https?://(a|b)\.example";
        check(pattern, Some("https://a.example"), true);
        check(pattern, Some("http://b.example"), true);
        check(pattern, Some("https://c.example"), false);
        check(pattern, Some("https://a.example.org"), false);
        check(pattern, Some("xhttps://a.example"), false);
        check(pattern, None, false);
        check(".*", Some("null"), true);
        assert!(CorsOrigin::try_from("(".to_owned()).is_err());
    }
}
