//! A guard before the parser: texts that would nest too deep or take too long are not parsed.
//!
//! The parser and everything after it walk the tree by recursion. A level of the tree costs an
//! operator, a bracket or a parenthesis in the text, so counting these bounds its depth.

use super::error::Reason;

/// The longest text; several times what a person would write.
pub(super) const MAX_TEXT_BYTES: usize = 64 << 10;

/// The most operators and brackets outside of `{}` and of strings. The trees of a thousand levels
/// that they can make fit many times into the smallest stack of a thread, 2 MiB.
pub(super) const MAX_OPERATORS: u64 = 500;

/// Refuses a text by its size and its operators.
pub(super) fn check(text: &str) -> Result<(), Reason> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Reason::Limit {
            what: "a length in bytes",
            is: text.len() as u64,
            limit: MAX_TEXT_BYTES as u64,
        });
    }
    let operators = operators(text);
    if operators > MAX_OPERATORS {
        return Err(Reason::Limit {
            what: "a number of operators and brackets",
            is: operators,
            limit: MAX_OPERATORS,
        });
    }
    Ok(())
}

fn operators(text: &str) -> u64 {
    let mut count = 0;
    let mut in_braces = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' | '\'' | '`' => {
                while let Some((_, inner)) = chars.next() {
                    if inner == '\\' && c != '`' {
                        chars.next();
                    } else if inner == c {
                        break;
                    }
                }
            }
            '#' => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '{' => in_braces = true,
            '}' => in_braces = false,
            _ if in_braces => {}
            '+' | '-' | '*' | '/' | '%' | '^' | '=' | '!' | '<' | '>' | '(' | '[' | '@' => {
                count += 1;
            }
            _ if c.is_ascii_alphabetic() => {
                let mut end = at + 1;
                while let Some((i, _)) =
                    chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
                {
                    end = i + 1;
                }
                let word = text[at..end].to_ascii_lowercase();
                count +=
                    u64::from(matches!(&word[..], "and" | "or" | "unless" | "atan2" | "offset"));
            }
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_count(text: &str, expected: u64) {
        assert_eq!(operators(text), expected, "{text}");
    }

    #[test]
    fn counts_what_makes_levels() {
        check_count("a", 0);
        check_count("a + b", 1);
        check_count("- - -a", 3);
        check_count("((a))", 2);
        check_count(r#"a{x="1",y!="(("} or b UNLESS c"#, 2);
        check_count(r#""((\"((" + '))' # ((("#, 1);
        check_count("rate(a[5m])\n# -\n/ order", 3);
    }

    #[test]
    fn says_what_is_too_much() {
        let long = "a".repeat(MAX_TEXT_BYTES + 1);
        assert_eq!(
            check(&long).expect_err("too long").to_string(),
            "a length in bytes of 65537 is more than the limit of 65536"
        );
        let deep = "(".repeat(501);
        assert_eq!(
            check(&deep).expect_err("too deep").to_string(),
            "a number of operators and brackets of 501 is more than the limit of 500"
        );
    }
}
