//! A literal: a number, duration or string as it is written, and what it means.
//!
//! Source: Prometheus documentation "Literals"; Go's `strconv.ParseInt` with base 0,
//! `strconv.ParseFloat`, and `util/strutil/quote.go`.

use crate::duration::Duration;

/// The longest duration that Go has, in milliseconds.
const MAX_GO_MS: i64 = i64::MAX / 1_000_000;

/// A number. A whole one that begins with 0 is octal where it can be, `0x` makes it hexadecimal,
/// underscores may stand between digits.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let bad = || format!("bad number or duration syntax: {text:?}");
    if !underscores_separate(text) {
        return Err(bad());
    }
    let digits = text.replace('_', "");
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        if hexadecimal.is_empty() || !hexadecimal.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let number = i64::from_str_radix(hexadecimal, 16);
        return number.map(|n| n as f64).map_err(|_| format!("{text} is out of range"));
    }
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole
        && digits.len() > 1
        && digits.starts_with('0')
        && let Ok(octal) = i64::from_str_radix(&digits, 8)
    {
        return Ok(octal as f64);
    }
    // Rust reads names of infinity and NaN too.
    if !digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) {
        return Err(bad());
    }
    match digits.parse::<f64>() {
        Ok(number) if number.is_infinite() => Err(format!("{text} is out of range")),
        Ok(number) => Ok(number),
        Err(_) => Err(bad()),
    }
}

/// Each underscore stands between two digits or after `0x`.
fn underscores_separate(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).filter(|i| bytes[*i] == b'_').all(|i| {
        let prefixed = i == 2 && (text.starts_with("0x") || text.starts_with("0X"));
        let before = i > 0 && bytes[i - 1].is_ascii_hexdigit() || prefixed;
        before && bytes.get(i + 1).is_some_and(u8::is_ascii_hexdigit)
    })
}

/// A duration in seconds.
pub(super) fn duration(text: &str) -> Result<f64, String> {
    match text.parse::<Duration>() {
        Ok(duration) if duration.as_ms() <= MAX_GO_MS => Ok(duration.as_seconds()),
        Ok(_) => Err("duration out of range".to_owned()),
        Err(_) => Err(format!("not a valid duration string: {text:?}")),
    }
}

/// A string from between its quotes. What is between backquotes stands for itself.
pub(super) fn unquoted(text: &str, quote: char) -> Result<String, String> {
    if quote == '`' {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = escape(&rest[at + 1..], quote, &mut bytes)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| "a string with escapes is not UTF-8".to_owned())
}

/// Reads what stands after a backslash; returns what stands after that.
fn escape<'a>(text: &'a str, quote: char, into: &mut Vec<u8>) -> Result<&'a str, String> {
    let Some(c) = text.chars().next() else {
        return Err("escape sequence not terminated".to_owned());
    };
    let (digits, radix, skipped) = match c {
        'x' => (2, 16, 1),
        'u' => (4, 16, 1),
        'U' => (8, 16, 1),
        '0'..='7' => (3, 8, 0),
        _ => {
            let plain = match c {
                'a' => 7,
                'b' => 8,
                'f' => 12,
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'v' => 11,
                '\\' => b'\\',
                c if c == quote => quote as u8,
                c => return Err(format!("unknown escape sequence \\{c}")),
            };
            into.push(plain);
            return Ok(&text[c.len_utf8()..]);
        }
    };
    let code = text.get(skipped..skipped + digits).filter(|d| !d.starts_with('+'));
    let code = code.and_then(|digits| u32::from_str_radix(digits, radix).ok());
    let code = code.ok_or_else(|| format!("illegal character in escape sequence \\{c}"))?;
    // `\x` and octal escapes are bytes, the others characters.
    if matches!(c, 'u' | 'U') {
        let invalid = || "escape sequence is an invalid Unicode code point".to_owned();
        let c = char::from_u32(code).ok_or_else(invalid)?;
        into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        into.push(u8::try_from(code).map_err(|_| format!("\\{code:o} is more than a byte"))?);
    }
    Ok(&text[skipped + digits..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        #[track_caller]
        fn check(text: &str, expected: Option<f64>) {
            assert_eq!(number(text).ok(), expected, "{text}");
        }
        check("1", Some(1.0));
        check("1.", Some(1.0));
        check(".5", Some(0.5));
        check("1.e3", Some(1_000.0));
        check("0x1F", Some(31.0));
        check("0X_1f", Some(31.0));
        check("010", Some(8.0));
        check("08", Some(8.0));
        check("1_000.5", Some(1_000.5));
        check("9223372036854775808", Some(9_223_372_036_854_775_808.0));
        for text in ["1__0", "1_", "1_.5", "0x", "0x1.5", "1e", "1..2", "1e999", "1ee3", "3q"] {
            check(text, None);
        }
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(duration("1h30m"), Ok(5_400.0));
        assert_eq!(duration("1500ms"), Ok(1.5));
        for text in ["5m5m", "1.5h", "5hs", "300y", "99999999999999y"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings() {
        #[track_caller]
        fn check(text: &str, quote: char, expected: Option<&str>) {
            assert_eq!(unquoted(text, quote).ok().as_deref(), expected, "{text}");
        }
        check(r#"a\"b"#, '"', Some("a\"b"));
        check(r"a\'b", '\'', Some("a'b"));
        check(r"a\'b", '"', None);
        check(r"\n\t\\\a", '"', Some("\n\t\\\u{7}"));
        check(r"\x41\101\u00fc\U0001F600", '"', Some("AAü😀"));
        check(r"\xc3\xbc", '"', Some("ü"));
        check(r"a\nb", '`', Some(r"a\nb"));
        for text in [r"\xff", r"\q", r"\u12", r"\400", r"\ud800", r"\u+123", r"\xé"] {
            check(text, '"', None);
        }
    }
}
