//! A pattern: a regular expression as Prometheus reads it, compiled here.
//!
//! Its syntax is Go's (RE2). The `regex` crate's is close, so the text is translated where they
//! differ: `\d`, `\s`, `\w` and `\b` are of ASCII in Go, brackets and `&&` inside of `[]` and a `{`
//! that begins no repetition mean themselves, `\Q…\E` quotes. The whole text must match, and a dot
//! matches a newline.
//! Source: Go `regexp/syntax`, "Syntax" and `parse.go`; Prometheus `model/labels/regexp.go`.

use regex::Regex;

/// The most that Go takes as a count of repetitions.
const MAX_REPEAT: u32 = 1_000;

/// Compiles a pattern.
///
/// # Errors
/// Says what is wrong with it, in Go's words where they are known.
pub(crate) fn compile(text: &str) -> Result<Regex, String> {
    let translator = Translator { text, rest: text, out: String::new(), depth: 0 };
    let translated = translator.translate()?;
    Regex::new(&format!("^(?s:{translated})$")).map_err(|error| {
        let message = error.to_string();
        let last = message.lines().last().unwrap_or_default();
        format!("{}: `{text}`", last.trim_start_matches("error: "))
    })
}

const TRAILING: &str = "trailing backslash at end of expression: ``";

/// What may stand between `[:` and `:]`.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

struct Translator<'a> {
    text: &'a str,
    rest: &'a str,
    out: String,
    /// Parentheses that are open.
    depth: u32,
}

impl<'a> Translator<'a> {
    fn translate(mut self) -> Result<String, String> {
        let (mut repeated, mut operand) = (false, false);
        while let Some(c) = self.rest.chars().next() {
            let repetition = match c {
                '*' | '+' | '?' => Some(1),
                '{' => self.counted()?,
                _ => None,
            };
            if let Some(length) = repetition {
                if !operand {
                    let operator = &self.rest[..length];
                    return Err(format!("missing argument to repetition operator: `{operator}`"));
                }
                if std::mem::replace(&mut repeated, true) {
                    return Err(self.whole("invalid nested repetition operator"));
                }
                self.copy(length);
                if self.rest.starts_with('?') {
                    self.copy(1);
                }
                continue;
            }
            (repeated, operand) = (false, !matches!(c, '(' | '|'));
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '{' => self.replace(1, r"\{"),
                '(' => self.open()?,
                ')' => {
                    let depth = self.depth.checked_sub(1);
                    self.depth = depth.ok_or_else(|| self.whole("unexpected )"))?;
                    self.copy(1);
                }
                c => self.copy(c.len_utf8()),
            }
        }
        if self.depth > 0 { Err(self.whole("missing closing )")) } else { Ok(self.out) }
    }

    /// What is wrong with the text as a whole.
    fn whole(&self, what: &str) -> String {
        format!("{what}: `{}`", self.text)
    }

    fn copy(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.out.push_str(taken);
        self.rest = rest;
    }

    fn replace(&mut self, bytes: usize, by: &str) {
        self.out.push_str(by);
        self.rest = &self.rest[bytes..];
    }

    /// The length of `{2}`, `{2,}` or `{2,3}` should that be next.
    fn counted(&self) -> Result<Option<usize>, String> {
        let Some(end) = self.rest.find('}') else {
            return Ok(None);
        };
        let (low, high) = self.rest[1..end].split_once(',').unwrap_or((&self.rest[1..end], ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if low.is_empty() || !digits(low) || !digits(high) {
            return Ok(None);
        }
        let bad =
            |text: &str| !text.is_empty() && text.parse().map_or(true, |n: u32| n > MAX_REPEAT);
        if bad(low) || bad(high) {
            return Err(format!("invalid repeat count: `{}`", &self.rest[..=end]));
        }
        Ok(Some(end + 1))
    }

    /// A group, or flags.
    fn open(&mut self) -> Result<(), String> {
        self.depth += 1;
        self.copy(1);
        if let Some(flags) = self.rest.strip_prefix('?')
            && !flags.starts_with("P<")
            && !flags.starts_with('<')
        {
            let end =
                flags.find([':', ')']).ok_or("missing argument to repetition operator: `?`")?;
            if !flags[..end].bytes().all(|b| b"imsU-".contains(&b)) {
                return Err(format!("invalid or unsupported Perl syntax: `(?{}`", &flags[..end]));
            }
            self.copy(1 + end);
        } else if self.rest.starts_with('?') {
            self.copy(1);
        }
        Ok(())
    }

    /// A backslash and what it makes of the character after it.
    fn escape(&mut self) -> Result<(), String> {
        let c = self.rest[1..].chars().next().ok_or(TRAILING)?;
        match c {
            'b' | 'B' => {
                let boundary = if c == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" };
                self.replace(2, boundary);
            }
            'A' | 'z' => self.copy(2),
            'Q' => {
                let quoted = &self.rest[2..];
                let (text, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                self.out.push_str(&regex::escape(text));
                self.rest = rest;
            }
            _ => {
                let item = self.item()?;
                self.out.push_str(&item);
            }
        }
        Ok(())
    }

    /// Takes a character, escaped or not, or a class with a name; returns it as it is written both
    /// inside and outside of brackets.
    fn item(&mut self) -> Result<String, String> {
        let mut chars = self.rest.chars();
        let first = chars.next().ok_or_else(|| self.whole("missing closing ]"))?;
        if first != '\\' {
            self.rest = chars.as_str();
            return Ok(literal(first));
        }
        let c = chars.next().ok_or(TRAILING)?;
        let after = chars.as_str();
        let class = match c {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            's' => r"[\t\n\x0C\r ]",
            'S' => r"[^\t\n\x0C\r ]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            _ => "",
        };
        let octal = after.bytes().take_while(|b| (b'0'..=b'7').contains(b)).take(2).count();
        let (length, item) = match c {
            _ if !class.is_empty() => (0, class.to_owned()),
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => (0, format!(r"\{c}")),
            'p' | 'P' | 'x' => {
                let braces =
                    if after.starts_with('{') { after.find('}').map(|end| end + 1) } else { None };
                let plain = if c == 'x' { 2 } else { 1 };
                let length = braces.unwrap_or(plain);
                let code = after.get(..length).ok_or_else(|| invalid_escape(c))?;
                (length, format!(r"\{c}{code}"))
            }
            '0'..='7' if c == '0' || octal > 0 => {
                let code = u32::from_str_radix(&self.rest[1..2 + octal], 8).unwrap_or_default();
                (octal, format!(r"\x{{{code:X}}}"))
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => (0, literal(c)),
            c => return Err(invalid_escape(c)),
        };
        self.rest = &after[length..];
        Ok(item)
    }

    /// `[…]`
    fn class(&mut self) -> Result<(), String> {
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(end) = self.rest.strip_prefix("[:").and_then(|rest| rest.find(":]")) {
                let name = self.rest[2..end + 2].trim_start_matches('^');
                if !CLASSES.contains(&name) {
                    let class = &self.rest[..end + 4];
                    return Err(format!("invalid character class range: `{class}`"));
                }
                self.copy(end + 4);
                continue;
            }
            let low = self.item()?;
            self.out.push_str(&low);
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.copy(1);
                let high = self.item()?;
                self.out.push_str(&high);
            }
        }
        self.copy(1);
        Ok(())
    }
}

fn invalid_escape(c: char) -> String {
    format!(r"invalid escape sequence: `\{c}`")
}

/// A character that stands for itself, in brackets too.
fn literal(c: char) -> String {
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
        format!(r"\{c}")
    } else {
        c.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::compile;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for text in matching {
            assert!(regex.is_match(text), "{pattern} on {text:?}");
        }
        for text in others {
            assert!(!regex.is_match(text), "{pattern} on {text:?}");
        }
    }

    #[test]
    fn classes_are_of_ascii() {
        check(r"\d+", &["12"], &["1٣", "a"]);
        check(r"\w\W", &["a-", "aü"], &["ü-"]);
        check(r"a\sb", &["a b", "a\nb"], &["a\u{a0}b", "a\u{b}b"]);
        check(r"[^\d\s]\S", &["ab", "ü\u{a0}"], &["1b", "a "]);
        check(r"a\b.*", &["aü", "a-"], &["ab"]);
        check(r"a\B.*", &["ab"], &["aü"]);
    }

    #[test]
    fn brackets_hold_what_they_hold_in_go() {
        check(r"[a[b]", &["a", "[", "b"], &["]"]);
        check(r"[]a]", &["]", "a"], &["b"]);
        check(r"[^]a]", &["b"], &["]", "a"]);
        check(r"[a&&b]", &["a", "b", "&"], &[""]);
        check(r"[+--]", &["+", ",", "-"], &["."]);
        check(r"[a~~\-b]", &["~", "-", "b"], &["\\"]);
        check(r"[[:alpha:]_]", &["x", "_"], &["ü", ":"]);
        check(r"[\x41-\x{43}\pN]", &["B", "7"], &["D"]);
    }

    #[test]
    fn marks_that_mean_themselves() {
        check(r"a{b}", &["a{b}"], &["ab"]);
        check(r"a{,2}|x{2,3}", &["a{,2}", "xx", "xxx"], &["aa", "x"]);
        check(r"\Qa.b|\E.", &["a.b|c"], &["axb|c", "a.b"]);
        check(r"\<a\>\_\-", &["<a>_-"], &["a"]);
        check(r"\101\0", &["A\0"], &["101"]);
        check("(?i)ÜNÏ", &["ünï"], &["uni"]);
        check("(?P<x>a)|(?:b)|(?<y>c)", &["a", "b", "c"], &["ab"]);
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "(",
            ")",
            "a)|(b",
            "[",
            "[]",
            "[a",
            "*",
            "a**",
            "a{2}{3}",
            "a{1001}",
            r"\",
            r"\u0041",
            r"\1",
            r"\é",
            "(?x)a",
            "(?R)a",
            "[b-a]",
            "[[:nosuch:]]",
            r"[\b]",
            "(?=a)",
            "(?",
            r"\p",
            r"\x4",
            r"\x{110000}",
        ] {
            assert!(compile(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// Where both syntaxes mean the same: one that is written without anchors, matched whole.
        #[test]
        fn the_whole_text_must_match(
            pattern in r"([abc.\n]|[abc][*+?]|\((a|b|\.\*)\|c?\)|\[\^?[abc]{1,2}\]){0,6}(\|[abc.]{0,3})?",
            text in "[abcü\n]{0,6}",
        ) {
            let whole = regex::RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
                .dot_matches_new_line(true)
                .build()
                .expect("a good pattern");
            let ours = compile(&pattern).expect("a good pattern");
            prop_assert_eq!(ours.is_match(&text), whole.is_match(&text), "{:?} on {:?}", pattern, text);
        }

        /// Text that is quoted matches itself alone, and nothing makes it panic.
        #[test]
        fn any_text(text in any::<String>(), other in any::<String>()) {
            let _ = compile(&text);
            let quoted = compile(&regex::escape(&text)).expect("quoted");
            prop_assert!(quoted.is_match(&text));
            prop_assert_eq!(quoted.is_match(&other), text == other);
        }

        #[test]
        fn nothing_panics(text in r"[a-c\\\[\]\(\)\{\}\-^:?*+,0-9pxQEüdbw|.]{0,20}") {
            let _ = compile(&text);
        }
    }
}
