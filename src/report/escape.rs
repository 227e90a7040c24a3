//! Escaped text: what a reader sees is what was given, and none of it is markup.
//!
//! In: any text. Out: text for HTML. Characters that XML 1.0 forbids become U+FFFD, so that a
//! broken label cannot break a page.
//!
//! Source: XML 1.0 section 2.2 (`Char`).

/// The text for HTML, between tags or inside a quoted attribute.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            other => escaped.push(if other.is_control() { '\u{FFFD}' } else { other }),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(html(text), expected, "{text:?}");
    }

    #[test]
    fn no_markup_survives() {
        check("a < b & c > \"d\" 'e'", "a &lt; b &amp; c &gt; &quot;d&quot; &#39;e&#39;");
        check("<script>", "&lt;script&gt;");
        check("µs, 10⁻³", "µs, 10⁻³");
    }

    #[test]
    fn forbidden_characters_are_replaced() {
        check("a\0b\u{1b}c\u{FFFF}", "a\u{FFFD}b\u{FFFD}c\u{FFFD}");
        check("two\nlines\tand a tab", "two\nlines\tand a tab");
    }
}
