//! A label set: the identity of a series, sorted by label name.
//!
//! In: name and value pairs in any order. Out: one immutable, cheaply cloned [`Labels`].
//! Invariants: names are unique and sorted by their bytes, no name and no value is empty (an
//! empty value means that the label is absent, as in Prometheus). It does not know which names
//! are legal on the wire; the door that receives them decides that.
//! Source: Prometheus data model, "Metric names and labels".

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::capacity;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// What Prometheus puts before the name of a label that is in the way of one of its own.
const EXPORTED: &str = "exported_";

/// An immutable label set in one allocation.
///
/// The text is a sequence of `length name length value`; a length is written in digits of six
/// bits, least significant first, each an ASCII byte whose bit 6 says that another digit follows.
/// The whole is therefore valid UTF-8, two equal sets have equal bytes, and slicing is safe.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// Why a list of pairs is not a label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// The same name occurs twice.
    #[error("label name {0:?} occurs more than once")]
    DuplicateName(String),
}

impl Labels {
    /// The empty label set.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// Sorts the pairs by name, leaves out those with an empty value, and packs them.
    ///
    /// # Errors
    /// When a name occurs twice, even if one of the values is empty.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, LabelsError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        if let Some(twice) = pairs.windows(2).find(|w| w[0].0.as_ref() == w[1].0.as_ref()) {
            return Err(LabelsError::DuplicateName(twice[0].0.as_ref().to_owned()));
        }
        // Nearly all lengths are written in one digit.
        let bytes = |(name, value): &(N, V)| name.as_ref().len() + value.as_ref().len() + 2;
        let mut builder = LabelsBuilder(String::with_capacity(pairs.iter().map(bytes).sum()));
        for (name, value) in &pairs {
            builder.push(name.as_ref(), value.as_ref());
        }
        Ok(builder.finish())
    }

    /// The pairs in order of name.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The value of a label; `""` when the set does not have it, as PromQL treats it.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    /// The metric name, `""` when there is none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// How reports name the entity with these labels; without any, there is only a table.
    #[must_use]
    pub fn entity_name(&self) -> String {
        if self.is_empty() { "the table".to_owned() } else { self.to_string() }
    }

    /// Whether the set has no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// What the set takes beside its handle, which all of its clones share.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        // The text, and two counters of who shares it.
        capacity::allocated(self.0.len() + 2 * size_of::<usize>())
    }

    /// Whether this is a clone of the other, or the other way round; equal sets that were packed
    /// apart are not.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The set with only the labels whose name the predicate keeps: a clone when that is all.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        let mut builder = LabelsBuilder::default();
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            builder.push(name, value);
        }
        builder.finish()
    }

    /// The pairs as they stand beside labels of our own: in order, but where a name is one of ours
    /// the label is kept under that name with `exported_` before it, as often as it takes to be
    /// free. No name is given twice and none is one of ours, so sets that differ still do.
    ///
    /// # Source
    /// Prometheus, `scrape_config` "honor_labels: false"; `resolveConflictingExposedLabels` in its
    /// `scrape/scrape.go`.
    pub fn beside<'a>(
        &'a self,
        own: &'a [(&str, &str)],
    ) -> impl Iterator<Item = (Cow<'a, str>, &'a str)> {
        let is_own = |name: &str| own.iter().any(|(mine, _)| *mine == name);
        let mut given: Vec<String> = Vec::new();
        self.iter().map(move |(name, value)| {
            if !is_own(name) {
                return (Cow::Borrowed(name), value);
            }
            let mut free = format!("{EXPORTED}{name}");
            while is_own(&free) || !self.get(&free).is_empty() || given.contains(&free) {
                free.insert_str(0, EXPORTED);
            }
            given.push(free.clone());
            (Cow::Owned(free), value)
        })
    }

    /// The set without its metric name.
    #[must_use]
    pub fn without_metric_name(&self) -> Self {
        self.filtered(|name| name != METRIC_NAME)
    }

    /// The set with one label set to a value; `""` removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut builder = LabelsBuilder::default();
        let mut placed = false;
        for (n, v) in self.iter() {
            if !placed && name <= n {
                builder.push(name, value);
                placed = true;
            }
            if n != name {
                builder.push(n, v);
            }
        }
        if !placed {
            builder.push(name, value);
        }
        builder.finish()
    }
}

/// Packs pairs that arrive sorted.
#[derive(Default)]
struct LabelsBuilder(String);

impl LabelsBuilder {
    fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        for text in [name, value] {
            let mut rest = text.len();
            while rest >= 64 {
                self.0.push(char::from((rest & 63) as u8 | 64));
                rest >>= 6;
            }
            self.0.push(char::from(rest as u8));
            self.0.push_str(text);
        }
    }

    fn finish(self) -> Labels {
        Labels(Arc::from(self.0))
    }
}

/// Iterator over the pairs of a [`Labels`].
#[derive(Clone)]
pub struct Iter<'a>(&'a str);

impl<'a> Iter<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let mut length = 0;
        for (place, byte) in self.0.bytes().enumerate() {
            length |= usize::from(byte & 63) << (6 * place);
            if byte & 64 == 0 {
                let (text, rest) = self.0[place + 1..].split_at(length);
                self.0 = rest;
                return Some(text);
            }
        }
        None
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.text()?, self.text()?))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// By the pairs in turn, as Prometheus sorts series.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Display for Labels {
    /// As PromQL writes a series: `name{a="b"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name)?;
        let mut rest = self.iter().filter(|(n, _)| *n != METRIC_NAME).peekable();
        if rest.peek().is_none() && !name.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (n, v)) in rest.enumerate() {
            write!(f, "{}{n}={v:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
    }

    #[track_caller]
    fn check_beside(entity: &[(&str, &str)], own: &[&str], expected: &[(&str, &str)]) {
        let entity = labels(entity);
        let own: Vec<(&str, &str)> = own.iter().map(|name| (*name, "ours")).collect();
        let got: Vec<(String, &str)> =
            entity.beside(&own).map(|(name, value)| (name.into_owned(), value)).collect();
        let got: Vec<(&str, &str)> = got.iter().map(|(name, value)| (&**name, *value)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn labels_in_the_way_of_ours_are_kept_under_another_name() {
        check_beside(&[], &["model"], &[]);
        check_beside(&[("job", "n")], &["model"], &[("job", "n")]);
        check_beside(
            &[("job", "n"), ("model", "a")],
            &["feature", "model"],
            &[("job", "n"), ("exported_model", "a")],
        );
        check_beside(
            &[("exported_model", "a"), ("model", "b")],
            &["model"],
            &[("exported_model", "a"), ("exported_exported_model", "b")],
        );
        check_beside(
            &[("exported_model", "a"), ("model", "b")],
            &["exported_model", "model"],
            &[("exported_exported_model", "a"), ("exported_exported_exported_model", "b")],
        );
    }

    #[test]
    fn sorts_and_drops_empty_values() {
        let set = labels(&[("job", "node"), ("__name__", "up"), ("zone", ""), ("a", "1")]);
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [("__name__", "up"), ("a", "1"), ("job", "node")]
        );
        assert_eq!(set.to_string(), r#"up{a="1", job="node"}"#);
        assert_eq!(set.get("zone"), "");
    }

    #[test]
    fn refuses_a_name_that_occurs_twice() {
        let twice = Labels::from_pairs([("a", "1"), ("b", "2"), ("a", "")]);
        assert_eq!(twice, Err(LabelsError::DuplicateName("a".to_owned())));
    }

    #[test]
    fn with_places_replaces_and_removes() {
        let set = labels(&[("b", "1"), ("d", "2")]);
        assert_eq!(set.with("a", "x"), labels(&[("a", "x"), ("b", "1"), ("d", "2")]));
        assert_eq!(set.with("c", "x"), labels(&[("b", "1"), ("c", "x"), ("d", "2")]));
        assert_eq!(set.with("e", "x"), labels(&[("b", "1"), ("d", "2"), ("e", "x")]));
        assert_eq!(set.with("b", "x"), labels(&[("b", "x"), ("d", "2")]));
        assert_eq!(set.with("b", ""), labels(&[("d", "2")]));
    }

    #[test]
    fn an_empty_set_prints_as_braces() {
        assert_eq!(Labels::empty().to_string(), "{}");
        assert!(labels(&[("a", "")]).is_empty());
    }

    proptest! {
        #[test]
        fn packs_and_unpacks_any_text(
            pairs in proptest::collection::btree_map("\\PC{1,90}", "\\PC{1,5000}", 0..6)
        ) {
            let set = Labels::from_pairs(pairs.iter().rev()).expect("distinct names");
            let back: BTreeMap<String, String> =
                set.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, pairs);
        }
    }
}
