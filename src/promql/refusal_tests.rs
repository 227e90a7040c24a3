//! What is said about a text that is refused, word for word; and that nothing said does harm.
//! `tests/integration/promql_parity` holds the words against those of Prometheus.

use proptest::prelude::*;

use super::{Expr, Query};

/// An expression, and what is said after the expression itself.
const REFUSALS: [(&str, &str); 48] = [
    ("", "1:1: parse error: no expression found in input"),
    ("sum(", "1:5: parse error: unclosed left parenthesis"),
    ("a)", "1:2: parse error: unexpected right parenthesis ')'"),
    ("a +\n  (b", "2:5: parse error: unclosed left parenthesis"),
    ("a[5m", "1:5: parse error: unclosed left bracket"),
    ("a{", "1:3: parse error: unexpected end of input inside braces"),
    ("a{b='c}", "1:5: parse error: unterminated quoted string"),
    ("a{b=c}", r#"1:5: parse error: unexpected identifier "c" in label matching, expected string"#),
    ("a{b=~'('}", "1:3: parse error: error parsing regexp: missing closing ): `(`"),
    ("a{b=~'x)|(y'}", "1:3: parse error: error parsing regexp: unexpected ): `x)|(y`"),
    (
        "a{b!~'*'}",
        "1:3: parse error: error parsing regexp: missing argument to repetition operator: `*`",
    ),
    ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ("a{__name__='b'}", r#"1:1: parse error: metric name must not be set twice: "a" or "b""#),
    ("a b", r#"1:3: parse error: unexpected identifier "b""#),
    ("()", r#"1:2: parse error: unexpected ")""#),
    ("1 +", "1:4: parse error: unexpected end of input"),
    ("a ? b", "1:3: parse error: unexpected character: '?'"),
    ("5m5m", r#"1:1: parse error: not a valid duration string: "5m5m""#),
    ("a[0s]", "1:3: parse error: duration must be greater than 0"),
    (
        "a offset",
        "1:9: parse error: unexpected end of input in offset, expected number or duration",
    ),
    ("a[5m:1m:1m]", "1:8: parse error: unexpected colon ':'"),
    ("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors"),
    (
        "a[5m][5m:1m]",
        "1:1: parse error: subquery is only allowed on instant vector, got matrix instead",
    ),
    (
        "sum(a) offset 1m",
        "1:1: parse error: offset modifier must be preceded by an instant vector selector or range \
         vector selector or a subquery",
    ),
    ("nosuch(a)", r#"1:1: parse error: unknown function with name "nosuch""#),
    ("1 + abs()", r#"1:5: parse error: expected 1 argument(s) in call to "abs", got 0"#),
    (
        "round(a, 1, 2)",
        r#"1:1: parse error: expected at most 2 argument(s) in call to "round", got 3"#,
    ),
    (
        "rate(a)",
        r#"1:6: parse error: expected type range vector in call to function "rate", got instant vector"#,
    ),
    (
        "topk(a)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    ),
    (
        "sum(a[5m])",
        "1:5: parse error: expected type instant vector in aggregation expression, got range vector",
    ),
    ("sum by (a) by (b) (c)", "1:12: parse error: unexpected <by> in aggregation"),
    ("1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
    ("a and 1", r#"1:1: parse error: set operator "and" not allowed in binary scalar expression"#),
    ("a or on (b) group_left c", r#"1:1: parse error: no grouping allowed for "or" operation"#),
    ("1 + on (a) b", "1:1: parse error: vector matching only allowed between instant vectors"),
    (
        "a + on (b) group_left (b) c",
        r#"1:3: parse error: label "b" must not occur in ON and GROUP clause at once"#,
    ),
    (
        "a[5m] + 1",
        "1:1: parse error: binary expression must contain only scalar and instant vector types",
    ),
    (
        r#"label_replace(a, "b", "$1", "c", "[")"#,
        "1:34: parse error: invalid regular expression in label_replace(): [: missing closing ]: `[`",
    ),
    (
        r#"label_replace(a, "", "", "c", "x")"#,
        "1:18: parse error: invalid label name \"\" in label_replace()",
    ),
    (r#"label_join(a, "b", "", "")"#, "1:24: parse error: invalid label name \"\" in label_join()"),
    (r#"count_values("", a)"#, "1:14: parse error: invalid label name \"\""),
    (
        "a[5m]",
        "1:1: parse error: a range vector has no value at an instant; put a function such as rate() \
         around it",
    ),
    ("'a'", "1:1: parse error: a string has no value at an instant"),
    (
        "1 + a @ 100",
        "1:7: `@` fixes a time, which a feature, evaluated at every tick, would soon have forgotten",
    ),
    ("sort_by_label(a, 'b')", "1:1: sort_by_label(), experimental in Prometheus, is not supported"),
    (
        "limit_ratio(0.5, a)",
        "1:1: the aggregation limit_ratio(), experimental in Prometheus, is not supported",
    ),
    (
        "sum_over_time(a[1d:1s])",
        "1:16: a subquery with a number of steps of 86400 is more than the limit of 11000",
    ),
];

#[test]
fn refusals_say_what_and_where() {
    for (text, expected) in REFUSALS {
        let got = Expr::parse(text).map_err(|error| error.to_string()).err();
        assert_eq!(got, Some(format!("cannot evaluate {text:?}: {expected}")), "{text}");
    }
}

#[test]
fn every_experimental_function_is_refused_as_such() {
    for name in [
        "double_exponential_smoothing",
        "info",
        "mad_over_time",
        "sort_by_label",
        "sort_by_label_desc",
        "ts_of_last_over_time",
        "ts_of_max_over_time",
        "ts_of_min_over_time",
        "limitk",
        "limit_ratio",
    ] {
        let error = Query::parse(&format!("{name}(1, a)"), 0, 0).expect_err(name).to_string();
        assert!(
            error.contains(&format!("{name}(), experimental in Prometheus, is not")),
            "{error}"
        );
    }
}

/// A megabyte of anything.
#[test]
fn long_texts_are_refused_at_once() {
    for piece in ["a", "(", "é", "-", "a+", "abs(", "\u{0}", "\"", "{a=~\"", "[", "a{b=\"c\"} or "]
    {
        let error =
            Expr::parse(&piece.repeat((1 << 20) / piece.len())).expect_err(piece).to_string();
        assert!(error.contains("a length in bytes of"), "{error}");
        assert!(error.len() < 2_000, "{} bytes of error", error.len());
    }
}

/// Pieces of the language, to be put together without sense.
const PIECES: [&str; 40] = [
    "a",
    "b:c",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "5m",
    "1",
    "0x",
    "1e",
    "-",
    "+",
    "^",
    "==",
    "bool",
    "on",
    "group_left",
    "by",
    "without",
    "sum",
    "rate",
    "topk",
    "offset",
    "@",
    "start()",
    "\"s",
    "'t'",
    "`",
    "=~",
    "!~",
    ",",
    ":",
    " ",
    "#",
    "\n",
    "ünï",
    "inf",
    "and",
];

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Expr::parse(&text);
        let _ = Query::parse(&text, 0, 1);
    }

    #[test]
    fn no_nonsense_panics(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40)) {
        let _ = Query::parse(&pieces.concat(), i64::MIN, i64::MAX);
        let _ = Query::parse(&pieces.join(" "), i64::MIN, i64::MAX);
    }

    /// A refused expression with a piece of it replaced by something else.
    #[test]
    fn no_mutation_panics(which in 0..REFUSALS.len(), from in 0usize..60, to in 0usize..60, by in ".{0,3}") {
        let text = REFUSALS[which].0;
        let chars: Vec<char> = text.chars().collect();
        let (from, to) = (from.min(chars.len()), to.min(chars.len()));
        let kept = |range: &[char]| range.iter().collect::<String>();
        let mutated = kept(&chars[..from]) + &by + &kept(&chars[to..]);
        if let Err(error) = Query::parse(&mutated, 0, 0) {
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }
}
