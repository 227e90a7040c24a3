//! A matcher as people write it for Alertmanager: `severity="ticket"`, `instance=~"web-.*"`, `team!=infra`.
//!
//! Unlike in PromQL, quotes around the value may be left out, and in them a backslash before anything but
//! `"`, `\` and `n` means itself: `"\d+"` is a pattern.
//!
//! Source: Alertmanager `pkg/labels/parse.go` (`ParseMatcher`).

use crate::matcher::{MatchOp, Matcher, MatcherError};

/// Operators, the longer ones first.
const OPERATORS: [(&str, MatchOp); 4] = [
    ("=~", MatchOp::Regex),
    ("!~", MatchOp::NotRegex),
    ("!=", MatchOp::NotEqual),
    ("=", MatchOp::Equal),
];

/// Why a text is not a matcher.
#[derive(Debug, thiserror::Error)]
pub enum MatcherTextError {
    /// No name, or nothing that compares.
    #[error(
        "{0:?} is not a matcher; write it as in severity=\"ticket\", with one of = != =~ !~ after \
         the label"
    )]
    Syntax(String),
    /// Quotes that do not go together.
    #[error(
        "the quotes in {0} are wrong: they must enclose the whole value, with \\\" for one within it"
    )]
    Quotes(String),
    /// The pattern is none.
    #[error(transparent)]
    Pattern(#[from] MatcherError),
}

/// Reads one matcher.
///
/// # Errors
/// What is wrong with it.
pub fn parse_matcher(text: &str) -> Result<Matcher, MatcherTextError> {
    let syntax = || MatcherTextError::Syntax(text.to_owned());
    let quotes = || MatcherTextError::Quotes(text.to_owned());
    let trimmed = text.trim();
    let (name, rest) = match trimmed.strip_prefix('"') {
        // A name that is no plain one, as OpenTelemetry has them.
        Some(quoted) => {
            let end = closing_quote(quoted).ok_or_else(quotes)?;
            (unescaped(&quoted[..end]), &quoted[end + 1..])
        }
        None => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let end = trimmed.find(|c| !plain(c)).ok_or_else(syntax)?;
            (trimmed[..end].to_owned(), &trimmed[end..])
        }
    };
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(syntax());
    }
    let rest = rest.trim_start();
    let found = OPERATORS.iter().find_map(|(sign, op)| Some((rest.strip_prefix(sign)?, *op)));
    let (value, op) = found.ok_or_else(syntax)?;
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => match closing_quote(quoted) {
            Some(end) if end + 1 == quoted.len() => unescaped(&quoted[..end]),
            _ => return Err(quotes()),
        },
        None if closing_quote(value).is_some() => return Err(quotes()),
        None => unescaped(value),
    };
    Ok(Matcher::new(name, op, value)?)
}

/// Where the first quote is that no backslash is before.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(i, c)| {
        let found = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        found.then_some(i)
    })
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(c @ ('"' | '\\')) => out.push(c),
            other => {
                out.push('\\');
                out.extend(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: (&str, MatchOp, &str)) {
        let matcher = parse_matcher(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((matcher.name(), matcher.op(), matcher.value()), expected, "{text}");
    }

    /// The cases of Alertmanager's own test that are one matcher.
    #[test]
    fn as_alertmanager_reads_them() {
        check("foo=bar", ("foo", MatchOp::Equal, "bar"));
        check("foo!=bar", ("foo", MatchOp::NotEqual, "bar"));
        check(r#"foo=~"bar.*""#, ("foo", MatchOp::Regex, "bar.*"));
        check("foo!~bar.*", ("foo", MatchOp::NotRegex, "bar.*"));
        check(r#" foo = "bar" "#, ("foo", MatchOp::Equal, "bar"));
        check(r#"foo="""#, ("foo", MatchOp::Equal, ""));
        check("foo=", ("foo", MatchOp::Equal, ""));
        check(r#"foo="a \"b\" c""#, ("foo", MatchOp::Equal, "a \"b\" c"));
        check(r#"foo=~"\d+""#, ("foo", MatchOp::Regex, r"\d+"));
        check(r#"foo="a\\b\nc""#, ("foo", MatchOp::Equal, "a\\b\nc"));
        check("foo=bar=baz, x", ("foo", MatchOp::Equal, "bar=baz, x"));
        check(r#""host.name"="a""#, ("host.name", MatchOp::Equal, "a"));
        check("foo==bar", ("foo", MatchOp::Equal, "=bar"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, reason) in [
            ("", r#""" is not a matcher; write it as in severity="ticket""#),
            ("foo", r#""foo" is not a matcher"#),
            ("=bar", r#""=bar" is not a matcher"#),
            ("1a=b", r#""1a=b" is not a matcher"#),
            ("a-b=c", r#""a-b=c" is not a matcher"#),
            ("foo~bar", r#""foo~bar" is not a matcher"#),
            (r#"foo="bar"#, r#"the quotes in foo="bar are wrong"#),
            (r#"foo=bar""#, r#"the quotes in foo=bar" are wrong"#),
            (r#"foo="a"b""#, r#"the quotes in foo="a"b" are wrong"#),
            (r#"foo="bar\""#, r#"the quotes in foo="bar\" are wrong"#),
            (r#"foo=""#, r#"the quotes in foo=" are wrong"#),
            ("foo=~(", "error parsing regexp: missing closing ): `(`"),
        ] {
            let error = parse_matcher(text).expect_err(text).to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
