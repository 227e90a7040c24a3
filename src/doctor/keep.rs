//! The rule by which a server sends what features need and nothing else.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::labels::METRIC_NAME;
use crate::matcher::{MatchOp, Selector};

/// `write_relabel_configs` as YAML, for what is read by these selectors: their metrics, or the patterns of
/// them. Where series are selected by no name at all, nothing can be left out: there is no rule then, and a
/// comment says why.
#[must_use]
pub fn keep_rule<'a>(selectors: impl IntoIterator<Item = &'a Selector>) -> String {
    let mut metrics: BTreeSet<String> = BTreeSet::new();
    let mut patterns: BTreeSet<String> = BTreeSet::new();
    let mut nameless: BTreeSet<String> = BTreeSet::new();
    for selector in selectors {
        let pattern = selector.matchers().iter().find(|it| {
            // One that an empty text satisfies leaves the name open.
            it.name() == METRIC_NAME && it.op() == MatchOp::Regex && !it.matches("")
        });
        match (selector.metric_name(), pattern) {
            (Some(name), _) => drop(metrics.insert(regex::escape(name))),
            (None, Some(pattern)) => drop(patterns.insert(format!("(?:{})", pattern.value()))),
            (None, None) => drop(nameless.insert(selector.to_string())),
        }
    }
    let mut text = String::new();
    for selector in &nameless {
        let selector = selector.replace('\n', " ");
        let _ =
            writeln!(text, "# {selector} has no metric name, so that no metric can be left out.");
    }
    if !nameless.is_empty() || metrics.is_empty() && patterns.is_empty() {
        return text + "write_relabel_configs: []\n";
    }
    for pattern in &patterns {
        let pattern = pattern.replace('\n', " ");
        let _ = writeln!(
            text,
            "# {pattern} is a pattern of names: all metrics that it matches are sent."
        );
    }
    text +=
        "write_relabel_configs:\n  - source_labels: [__name__]\n    action: keep\n    regex: \"";
    let all: Vec<String> = metrics.iter().chain(&patterns).map(|it| quoted(it)).collect();
    // A line for each, as a text in double quotes may be broken by a backslash.
    text += &all.iter().map(|it| format!("\\\n      {it}")).collect::<Vec<_>>().join("|");
    text + "\"\n"
}

/// A text inside of double quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse_selector;

    #[track_caller]
    fn check(selectors: &[&str], expected: &str) {
        let selectors: Vec<Selector> =
            selectors.iter().map(|it| parse_selector(it).expect("a selector")).collect();
        assert_eq!(keep_rule(&selectors), expected);
    }

    #[test]
    fn names_are_kept() {
        let begin = "write_relabel_configs:\n  - source_labels: [__name__]\n    action: keep\n";
        check(
            &["b{x=\"1\"}", "a", "b"],
            &format!("{begin}    regex: \"\\\n      a|\\\n      b\"\n"),
        );
        let dotted = format!("{begin}    regex: \"\\\n      a\\\\.b\"\n");
        check(&["{\"a.b\"}"], &dotted);
        let yaml: serde_yaml::Value = serde_yaml::from_str(&dotted).expect("YAML");
        assert_eq!(yaml["write_relabel_configs"][0]["regex"], "a\\.b");
    }

    #[test]
    fn what_cannot_be_restricted_is_said() {
        let pattern = "# (?:a_.+) is a pattern of names: all metrics that it matches are sent.\n\
            write_relabel_configs:\n  - source_labels: [__name__]\n    action: keep\n    regex: \"\\\n      \
            b|\\\n      (?:a_.+)\"\n";
        check(&["{__name__=~\"a_.+\", c=\"d\"}", "b"], pattern);
        let all = "# {job=\"x\"} has no metric name, so that no metric can be left out.\n\
            write_relabel_configs: []\n";
        check(&["{job=\"x\"}", "b"], all);
        check(&[], "write_relabel_configs: []\n");
    }
}
