//! An argument of a command: literal text with places for the labels of an entity.
//!
//! In: `deployment/{deployment}`. Out, for an entity: `deployment/shop`, or a sentence why not. `{{` and `}}`
//! are braces. What a place is filled with never makes another argument of one, and no shell reads it, but the
//! command itself may: values come with the samples that others push. Therefore a value is taken only if it
//! cannot mean anything else to whoever reads it, an `ssh` or a script with careless quotes included:
//!
//! - it is not empty, so that `/srv/{name}` is never `/srv/`;
//! - it does not begin with `-`, so that it is never an option;
//! - it has no other characters than ASCII letters, digits and `. _ - : / @ % + , = [ ]`;
//! - `..` is no part of it between slashes, so that it leads to no other folder;
//! - it is at most [`MAX_VALUE_BYTES`] long.
//!
//! Any other value is refused, and the command is not run.

use std::fmt::Write;

/// Longer than a name in the DNS (253) with a port.
pub const MAX_VALUE_BYTES: usize = 256;

/// What a value may have beside letters and digits: what names of hosts, ports, IPv6 addresses, containers and
/// paths have.
const PUNCTUATION: &str = "._-:/@%+,=[]";

/// A text with places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// Of a label's value.
    Place(String),
}

/// Why an argument has no text for an entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// The entity does not have it.
    #[error("there is no label {0:?}")]
    NoLabel(String),
    /// Its value could mean something else than itself.
    #[error("label {label:?} has the value {value:?}, which {reason}")]
    Unsafe {
        /// The label.
        label: String,
        /// Its value, cut where it is long.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Argument {
    /// Reads an argument.
    ///
    /// # Errors
    /// Says what is wrong: a brace without its other half, or what is no label's name between two.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut literal) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let tail = &rest[at..];
            let brace = &tail[..1];
            if tail[1..].starts_with(brace) {
                literal.push_str(brace);
                rest = &tail[2..];
                continue;
            }
            let end = tail.find('}').filter(|_| brace == "{");
            let Some(end) = end else {
                return Err(format!(
                    "{text:?} has a {brace} by itself: write {brace}{brace} for one"
                ));
            };
            let name = &tail[1..end];
            if !is_label_name(name) {
                return Err(format!(
                    "{text:?}: {name:?} cannot be a label's name; {{{{ is a brace"
                ));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Place(name.to_owned()));
            rest = &tail[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        if text.contains('\0') {
            return Err(format!("{text:?} has a zero byte"));
        }
        Ok(Self(pieces))
    }

    /// Whether it is the same for all.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.0.iter().all(|it| matches!(it, Piece::Literal(_)))
    }

    /// Its text with values in their places; `""` is a label that is not there.
    ///
    /// # Errors
    /// When a value is missing or is not to be trusted.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> &'a str) -> Result<String, ArgumentError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Place(label) => {
                    let value = value(label);
                    if value.is_empty() {
                        return Err(ArgumentError::NoLabel(label.clone()));
                    }
                    if let Some(reason) = fault(value) {
                        let value = value.chars().take(MAX_VALUE_BYTES).collect();
                        return Err(ArgumentError::Unsafe { label: label.clone(), value, reason });
                    }
                    let _ = text.write_str(value);
                }
            }
        }
        Ok(text)
    }
}

/// Why a value is not to be trusted.
fn fault(value: &str) -> Option<&'static str> {
    if value.len() > MAX_VALUE_BYTES {
        return Some("is too long");
    }
    if value.starts_with('-') {
        return Some("begins with '-' as an option does");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    if !value.chars().all(is_plain) {
        return Some("has other characters than letters, digits and ._-:/@%+,=[]");
    }
    value.split('/').any(|it| it == "..").then_some("leads to another folder")
}

fn is_label_name(text: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| is_good(c) && !c.is_ascii_digit()) && text.chars().all(is_good)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(argument: &str, value: &str, expected: &str) {
        let found = Argument::parse(argument).and_then(|it| {
            it.fill(|label| if label == "instance" { value } else { "" })
                .map_err(|it| it.to_string())
        });
        match found {
            Ok(text) => assert_eq!(text, expected),
            Err(reason) => assert!(reason.contains(expected), "{reason}"),
        }
    }

    #[test]
    fn places_are_filled_and_braces_are_doubled() {
        check("restart", "h", "restart");
        check("", "h", "");
        check("{instance}", "h:9100", "h:9100");
        check("a/{instance}/{instance}b", "h", "a/h/hb");
        check("{{.Id}} {instance}", "[::1]:9100", "{.Id} [::1]:9100");
        check("{{{instance}}}", "h", "{h}");
        check("{job}", "h", "there is no label \"job\"");
        for (bad, why) in [
            ("{", "has a { by itself"),
            ("a}", "has a } by itself"),
            ("{instance", "has a { by itself"),
            ("{}", "cannot be a label's name"),
            ("{1a}", "cannot be a label's name"),
            ("{print $1}", "cannot be a label's name"),
            ("a\0", "has a zero byte"),
        ] {
            check(bad, "h", why);
        }
    }

    #[test]
    fn a_value_that_could_mean_something_else_is_refused() {
        for value in ["-rf", "--", "-oProxyCommand=x"] {
            check("{instance}", value, "begins with '-'");
            check("--host={instance}", value, "begins with '-'");
        }
        for value in
            ["a b", "a;b", "$(a)", "`a`", "a\nb", "a'b", "a\"b", "a|b", "~a", "ä", "a*", "\0"]
        {
            check("{instance}", value, "other characters");
        }
        check("/srv/{instance}", "../etc", "leads to another folder");
        check("/srv/{instance}", "a/../../etc", "leads to another folder");
        check("/srv/{instance}", "a..b", "/srv/a..b");
        check("{instance}", &"a".repeat(257), "is too long");
        check("{instance}", "", "there is no label");
    }

    proptest! {
        #[test]
        fn what_is_taken_is_harmless_whatever_is_given(text in "\\PC{0,12}", value in "\\PC{0,12}") {
            if let Ok(argument) = Argument::parse(&text)
                && !argument.is_literal()
                && argument.fill(|_| &value).is_ok()
            {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
                prop_assert!(value.chars().all(is_plain) && !value.starts_with('-'));
            }
        }
    }
}
