//! Demand: which series are wanted, apart from the store.
//!
//! In: the selectors that the store has. Out: a value that does not change, for a door that has to know
//! whether a series is wanted before it builds it. It looks at few labels, so that a label set of any size
//! can be judged by what it has of these.

use std::collections::{HashMap, HashSet};

use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::Selector;

/// The selectors of a store at one time.
#[derive(Debug, Default)]
pub struct Demand {
    by_name: HashMap<String, Vec<Selector>>,
    /// Those that do not fix the metric name.
    nameless: Vec<Selector>,
    /// The labels that any of them looks at, the metric name among them.
    labels: HashSet<String>,
}

impl Demand {
    pub(super) fn new<'a>(selectors: impl Iterator<Item = &'a Selector>) -> Self {
        let mut demand = Self { labels: [METRIC_NAME.to_owned()].into(), ..Self::default() };
        for selector in selectors {
            demand.labels.extend(selector.matchers().iter().map(|it| it.name().to_owned()));
            match selector.metric_name() {
                Some(name) => demand.by_name.entry(name.to_owned()).or_default(),
                None => &mut demand.nameless,
            }
            .push(selector.clone());
        }
        demand
    }

    /// What is wanted, to be read: the metric names, sorted, then the selectors that fix none.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.by_name.keys().cloned().collect();
        names.sort_unstable();
        names.extend(self.nameless.iter().map(ToString::to_string));
        names.dedup();
        names
    }

    /// Whether the value of a label may decide.
    #[must_use]
    pub fn looks_at(&self, label: &str) -> bool {
        self.labels.contains(label)
    }

    /// Whether a series is wanted, by those of its labels that may decide; others do no harm.
    #[must_use]
    pub fn wants(&self, labels: &Labels) -> bool {
        let named = self.by_name.get(labels.metric_name()).map_or(&[][..], Vec::as_slice);
        named.iter().chain(&self.nameless).any(|selector| selector.matches(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::{MatchOp, Matcher};
    use crate::series::{StorageConfig, Store};

    #[test]
    fn it_is_that_of_the_store() {
        let matcher = |name, op, value| Matcher::new(name, op, value).expect("a matcher");
        let mut store = Store::new(StorageConfig::default());
        let up = matcher(METRIC_NAME, MatchOp::Equal, "up");
        let of_node = matcher("job", MatchOp::Equal, "node");
        store.register(&Selector::new(vec![up, of_node]), 60_000);
        let any_m = matcher(METRIC_NAME, MatchOp::Regex, "m_.*");
        let gone = store.register(&Selector::new(vec![any_m]), 60_000);
        let demand = store.demand();
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.to_vec()).expect("distinct");
        assert!(demand.wants(&labels(&[(METRIC_NAME, "up"), ("job", "node"), ("x", "y")])));
        assert!(!demand.wants(&labels(&[(METRIC_NAME, "up"), ("job", "other")])));
        assert!(!demand.wants(&labels(&[(METRIC_NAME, "up")])));
        assert!(demand.wants(&labels(&[(METRIC_NAME, "m_a")])));
        assert_eq!(["job", METRIC_NAME, "x"].map(|it| demand.looks_at(it)), [true, true, false]);
        assert_eq!(store.demand().names(), ["up", r#"{__name__=~"m_.*"}"#]);
        store.release(gone);
        assert!(!store.demand().wants(&labels(&[(METRIC_NAME, "m_a")])));
        assert!(Demand::default().labels.is_empty(), "nothing is wanted without a store");
    }
}
