//! A form: the parameters of a request, from its URL and its body.
//!
//! As in Go's `net/http`: those of the body come first, so that they win where one is wanted.

use std::str;

/// Parameters in their order; a name may occur more than once.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

/// Why a text is not a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("invalid URL escape {0:?}")]
    Escape(String),
    /// `;` was a separator once and is refused, because proxies differ about it.
    #[error("invalid semicolon separator in query")]
    Semicolon,
    /// What the escapes give is not text.
    #[error("{0:?} is not UTF-8")]
    NotText(String),
}

impl Form {
    /// Reads the body of a POST, if there is one, and the query of the URL.
    ///
    /// # Errors
    /// When an escape is broken.
    pub(super) fn parse(body: &[u8], query: &str) -> Result<Self, FormError> {
        let not_text = |_| FormError::NotText(String::from_utf8_lossy(body).into_owned());
        let body = str::from_utf8(body).map_err(not_text)?;
        let mut pairs = Vec::new();
        for pair in body.split('&').chain(query.split('&')).filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                return Err(FormError::Semicolon);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name, true)?, decode(value, true)?));
        }
        Ok(Self(pairs))
    }

    /// The first parameter of a name, `""` without one.
    pub(super) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// All parameters of a name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Replaces `%41` by `A`, and in a form `+` by a space.
pub(super) fn decode(text: &str, plus_is_space: bool) -> Result<String, FormError> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digit = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    let end = bytes.len().min(at + 3);
                    let broken = String::from_utf8_lossy(&bytes[at..end]).into_owned();
                    return Err(FormError::Escape(broken));
                };
                decoded.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            b'+' if plus_is_space => decoded.push(b' '),
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).map_err(|_| FormError::NotText(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, query: &str, expected: Result<&[(&str, &str)], &str>) {
        let got = Form::parse(body.as_bytes(), query).map(|form| form.0).map_err(|e| e.to_string());
        let own = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
        let expected = expected.map(|pairs| pairs.iter().map(own).collect::<Vec<_>>());
        assert_eq!(got, expected.map_err(str::to_owned), "{body:?} {query:?}");
    }

    #[test]
    fn reads_body_before_url() {
        check("", "", Ok(&[]));
        check("", "query=up&time=1", Ok(&[("query", "up"), ("time", "1")]));
        check("query=b", "query=a&&x", Ok(&[("query", "b"), ("query", "a"), ("x", "")]));
        check("", "match[]=a%7Bb%3D%22%C3%A4%22%7D+1", Ok(&[("match[]", "a{b=\"ä\"} 1")]));
        check("", "a=b=c", Ok(&[("a", "b=c")]));
    }

    #[test]
    fn refuses_broken_escapes() {
        check("", "a=%zz", Err("invalid URL escape \"%zz\""));
        check("", "a=%4", Err("invalid URL escape \"%4\""));
        check("", "a=%é", Err("invalid URL escape \"%é\""));
        check("", "a=1;b=2", Err("invalid semicolon separator in query"));
        check("", "a=%ff", Err("\"%ff\" is not UTF-8"));
    }

    #[test]
    fn the_first_of_a_name_is_taken() {
        let form = Form::parse(b"a=1", "a=2&b=3").expect("a form");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), ("1", "3", ""));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
    }
}
