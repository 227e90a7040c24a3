//! Relabelling: what becomes of a series of which some labels are known.
//!
//! In: rules in their order, labels. Out: whether the series is there behind them, and which rule it is that
//! takes it away or gives it another name. A rule that looks at labels that are not known may do either;
//! only what is certain is said.
//! Source: Prometheus `model/relabel/relabel.go`; VictoriaMetrics documentation "Relabeling".

use std::collections::BTreeMap;

use super::server_config::RelabelRule;
use crate::labels::METRIC_NAME;
use crate::matcher::pattern;

/// What becomes of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is there.
    Kept,
    /// The rule at this index takes it away.
    Dropped(usize),
    /// The rule at this index gives it this name.
    Renamed(usize, String),
    /// That depends on labels that are not known.
    Unknown,
}

/// The labels of a series that are known. Others may have any value.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// These labels.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// What a rule looks at; nothing where it is not known.
    fn seen(&self, rule: &RelabelRule) -> Option<String> {
        let values = rule.source_labels.iter().map(|it| self.0.get(it).map(String::as_str));
        let values: Option<Vec<&str>> = values.collect();
        values.map(|it| it.join(&rule.separator))
    }

    fn name(&self) -> Option<&str> {
        self.0.get(METRIC_NAME).map(String::as_str)
    }
}

/// Follows a series through the rules.
#[must_use]
pub fn fate(rules: &[RelabelRule], mut known: Known) -> Fate {
    let before = known.name().map(str::to_owned);
    let (mut is_certain, mut renamed) = (true, None);
    for (i, rule) in rules.iter().enumerate() {
        let Ok(regex) = pattern::compile(&rule.regex) else {
            is_certain = false;
            continue;
        };
        let is_used = rule.condition.is_none();
        let action = rule.action.to_ascii_lowercase();
        let seen = match action.as_str() {
            "keep_metrics" | "drop_metrics" => known.name().map(str::to_owned),
            _ => known.seen(rule),
        };
        let keeps = match action.as_str() {
            "keep" | "keep_metrics" => seen.map(|it| regex.is_match(&it)),
            "drop" | "drop_metrics" => seen.map(|it| !regex.is_match(&it)),
            // One without a name is none.
            "labeldrop" => Some(!regex.is_match(METRIC_NAME)),
            "labelkeep" => Some(regex.is_match(METRIC_NAME)),
            "keepequal" | "dropequal" | "keep_if_equal" | "drop_if_equal" => None,
            _ => {
                set(&mut known, rule, (&action, is_used), seen, &regex);
                match known.name() {
                    None => return Fate::Unknown,
                    Some("") => Some(false),
                    name => {
                        if name != before.as_deref() && renamed.is_none() {
                            renamed = Some(i);
                        }
                        Some(true)
                    }
                }
            }
        };
        match keeps {
            Some(false) if is_used => return Fate::Dropped(i),
            Some(true) => {}
            _ => is_certain = false,
        }
    }
    match (renamed, known.name()) {
        (Some(i), Some(name)) if Some(name) != before.as_deref() => {
            Fate::Renamed(i, name.to_owned())
        }
        _ if is_certain => Fate::Kept,
        _ => Fate::Unknown,
    }
}

/// What a rule that sets a label makes of the known ones.
fn set(
    known: &mut Known,
    rule: &RelabelRule,
    (action, is_used): (&str, bool),
    seen: Option<String>,
    regex: &regex::Regex,
) {
    let target = rule.target_label.as_str();
    let value = match (action, seen) {
        (_, None) => None,
        ("replace", Some(seen)) => match regex.captures(&seen) {
            None => return,
            Some(groups) => {
                let mut value = String::new();
                groups.expand(&rule.replacement, &mut value);
                Some(value)
            }
        },
        ("lowercase", Some(seen)) => Some(seen.to_lowercase()),
        ("uppercase", Some(seen)) => Some(seen.to_uppercase()),
        _ => None,
    };
    match value.filter(|_| is_used) {
        // A label's name may be made of what was seen.
        _ if target.is_empty() || target.contains('$') => {}
        Some(value) => drop(known.0.insert(target.to_owned(), value)),
        None => drop(known.0.remove(target)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: &str, expected: Fate) {
        let rules: Vec<RelabelRule> = serde_yaml::from_str(rules).expect("rules");
        let known = Known::new([("__name__", "node_load1"), ("job", "node")]);
        assert_eq!(fate(&rules, known), expected, "{rules:?}");
    }

    #[test]
    fn what_is_dropped_is_dropped_by_a_rule() {
        check("[]", Fate::Kept);
        check("[{source_labels: [__name__], regex: node_load.*, action: drop}]", Fate::Dropped(0));
        check("[{source_labels: [__name__], regex: load, action: drop}]", Fate::Kept);
        let keep = "[{source_labels: [__name__, job], regex: 'node_cpu.*;node', action: keep}]";
        check(keep, Fate::Dropped(0));
        check("[{action: labeldrop, regex: 'exported_.*'}, {action: keep}]", Fate::Kept);
        check("[{action: labeldrop, regex: '__.*'}]", Fate::Dropped(0));
        check("[{action: keep_metrics, regex: [a, b]}]", Fate::Dropped(0));
        let twice = "[{target_label: job, replacement: other},
            {source_labels: [job], regex: node, action: keep}]";
        check(twice, Fate::Dropped(1));
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        check("[{source_labels: [device], regex: lo, action: drop}]", Fate::Unknown);
        let before = "[{source_labels: [device], regex: lo, action: drop},
            {source_labels: [__name__], regex: node_.*, action: drop}]";
        check(before, Fate::Dropped(1));
        let condition = "[{source_labels: [__name__], action: drop, regex: .*, if: '{a=\"b\"}'}]";
        check(condition, Fate::Unknown);
        check("[{source_labels: [device], target_label: __name__}]", Fate::Unknown);
    }

    #[test]
    fn another_name_is_told() {
        let rules = "[{source_labels: [__name__], regex: 'node_(.*)', target_label: __name__,
            replacement: 'host_$1'}]";
        check(rules, Fate::Renamed(0, "host_load1".to_owned()));
        check("[{target_label: __name__, replacement: ''}]", Fate::Dropped(0));
    }
}
