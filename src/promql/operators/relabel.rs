//! A relabelling of one label set.
//!
//! Source: Prometheus `promql/functions.go`, `evalLabelReplace`, `evalLabelJoin`.

use crate::labels::Labels;
use crate::promql::syntax::relabel::Relabel;

impl Relabel {
    /// The labels as they become.
    pub(crate) fn apply(&self, labels: &Labels) -> Labels {
        match self {
            Self::Replace { target, replacement, source, pattern } => {
                match pattern.regex().captures(labels.get(source)) {
                    Some(captures) => {
                        let mut value = String::new();
                        captures.expand(replacement, &mut value);
                        labels.with(target, &value)
                    }
                    None => labels.clone(),
                }
            }
            Self::Join { target, separator, sources } => {
                let values: Vec<&str> = sources.iter().map(|name| labels.get(name)).collect();
                labels.with(target, &values.join(separator))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::syntax::relabel::Pattern;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
    }

    #[track_caller]
    fn check_replace(pattern: &str, replacement: &str, expected: &[(&str, &str)]) {
        let relabel = Relabel::Replace {
            target: "host".to_owned(),
            replacement: replacement.to_owned(),
            source: "instance".to_owned(),
            pattern: Pattern::new(pattern).expect("a good pattern"),
        };
        let set = labels(&[("instance", "a:9100"), ("host", "old")]);
        assert_eq!(relabel.apply(&set), labels(expected));
    }

    #[test]
    fn replaces_what_matches_wholly() {
        let a = ("instance", "a:9100");
        check_replace("(.*):.*", "$1", &[a, ("host", "a")]);
        check_replace("(?P<n>.*):.*", "${n}x", &[a, ("host", "ax")]);
        check_replace("(.*):", "$1", &[a, ("host", "old")]);
        check_replace(".*", "", &[a]);
        check_replace(".*", "$$1", &[a, ("host", "$1")]);
    }

    #[test]
    fn joins() {
        let relabel = Relabel::Join {
            target: "c".to_owned(),
            separator: "-".to_owned(),
            sources: vec!["a".to_owned(), "none".to_owned(), "b".to_owned()],
        };
        let set = labels(&[("a", "1"), ("b", "2")]);
        assert_eq!(relabel.apply(&set), labels(&[("a", "1"), ("b", "2"), ("c", "1--2")]));
    }
}
