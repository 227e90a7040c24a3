//! Words: what the YAML reader says of a value, as a person would say it.
//!
//! In: its error. Out: the same with the line, and what was expected in place of the names of Rust's types.

/// What the reader calls a kind of value, and what it is to who writes the file.
const KINDS: [(&str, &str); 14] = [
    ("usize", WHOLE),
    ("u64", WHOLE),
    ("u32", WHOLE),
    ("u16", WHOLE),
    ("u8", WHOLE),
    ("a nonzero u64", "a whole number of 1 or more"),
    ("i64", "a whole number"),
    ("i32", "a whole number"),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a boolean", "true or false"),
    ("a string", "a text"),
    ("a sequence", "a list"),
    ("a map", KEYS),
];

const WHOLE: &str = "a whole number of 0 or more";
const KEYS: &str = "keys with values";

/// What the reader calls a value that it found: before and after what is written in the file.
const FOUND: [(&str, &str); 3] =
    [("integer `", "`"), ("floating point `", "`"), ("boolean `", "`")];

/// Of a whole number that no type holds.
const TOO_LARGE: &str = "` as u128";

/// The error in plain words, with its line where it has one.
pub(super) fn plain(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    match error.location() {
        // The reader leaves out where it is the first.
        Some(at) if !text.contains(" at line ") => {
            format!("{} at line {} column {}", reworded(&text), at.line(), at.column())
        }
        _ => reworded(&text),
    }
}

/// `a.b: invalid type: integer `-5`, expected usize` becomes `a.b: -5: expected a whole number of 0 or more`.
fn reworded(text: &str) -> String {
    let parts = ["invalid type: ", "invalid value: "].iter().find_map(|it| text.split_once(it));
    let split = parts.and_then(|(path, rest)| Some((path, rest.rsplit_once(", expected ")?)));
    let Some((path, (found, rest))) = split else { return text.to_owned() };
    let (expected, place) = rest.find(" at line ").map_or((rest, ""), |at| rest.split_at(at));
    let expected = match KINDS.iter().find(|(name, _)| expected == *name) {
        _ if found.ends_with(TOO_LARGE) => "a smaller number",
        Some((_, plain)) => plain,
        None if expected.starts_with("struct ") => KEYS,
        None => expected,
    };
    format!("{path}{}: expected {expected}{place}", shown(found))
}

/// A value as it is written in the file.
fn shown(found: &str) -> &str {
    let inner = FOUND.iter().find_map(|(before, after)| {
        let rest = found.strip_prefix(before)?;
        rest.strip_suffix(TOO_LARGE).or_else(|| rest.strip_suffix(after))
    });
    match found {
        "sequence" => "a list",
        "map" => "keys with values",
        "unit value" => "nothing",
        _ => inner.or_else(|| found.strip_prefix("string ")).unwrap_or(found),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = Config::parse("a.yml", text).expect_err("a refusal");
        assert_eq!(error.to_string(), format!("a.yml: {expected}"));
        assert!(std::error::Error::source(&error).is_none(), "it is said once");
    }

    #[test]
    fn what_was_expected_is_said_plainly_with_its_line() {
        check(
            "storage:\n  max_series: -5\n",
            "storage.max_series: -5: expected a whole number of 0 or more at line 2 column 15",
        );
        check(
            "storage:\n  max_series: abc\n",
            "storage.max_series: \"abc\": expected a whole number of 0 or more at line 2 column 15",
        );
        check(
            "train:\n  seed: 99999999999999999999999\n",
            "train.seed: 99999999999999999999999: expected a smaller number at line 2 column 9",
        );
        check(
            "train:\n  learning_rate: x\n",
            "train.learning_rate: \"x\": expected a number at line 2 column 18",
        );
        check("storage: 5\n", "storage: 5: expected keys with values at line 1 column 10");
        check("storage: ~\n", "storage: nothing: expected keys with values at line 1 column 10");
        check(
            "models:\n  - name: [1]\n",
            "models[0].name: a list: expected a text at line 2 column 11",
        );
        check("hello\n", "\"hello\": expected keys with values at line 1 column 1");
        check("- a\n", "a list: expected keys with values at line 1 column 1");
        let error = Config::parse("a.yml", "a: 1\n").expect_err("a refusal").to_string();
        assert!(error.starts_with("a.yml: unknown field `a`"), "{error}");
        assert!(error.ends_with(" at line 1 column 1"), "{error}");
    }
}
