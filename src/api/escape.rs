//! An escaped label name: `U__` and a UTF-8 name in letters that fit into a path.
//!
//! Source: `UnescapeName` with `ValueEncodingEscaping` in Prometheus's `common/model/metric.go`.

/// The name that an escaped one means: `__` is an underscore, `_3b1_` the character of that number.
/// A name that is not escaped, or not well, means itself.
#[must_use]
pub fn unescape(name: &str) -> String {
    name.strip_prefix("U__").and_then(decode).unwrap_or_else(|| name.to_owned())
}

fn decode(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        let (code, after) = rest[at + 1..].split_once('_')?;
        name.push(if code.is_empty() { '_' } else { character(code)? });
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

fn character(code: &str) -> Option<char> {
    // No character has more digits.
    const MAX_DIGITS: usize = 6;
    let digits = code.len() <= MAX_DIGITS && code.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(code, 16).ok().and_then(char::from_u32)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(unescape(name), expected);
    }

    #[test]
    fn escaped_names() {
        check("U__http_2e_status", "http.status");
        check("U__http_2e_status__code", "http.status_code");
        check("U___1F600_", "😀");
        check("U__", "");
        check("U__plain", "plain");
    }

    #[test]
    fn anything_else_means_itself() {
        for name in
            ["job", "__name__", "U__a_", "U__a_2e", "U__a_xx_", "U__a_d800_", "U__a_1234567_"]
        {
            check(name, name);
        }
    }
}
