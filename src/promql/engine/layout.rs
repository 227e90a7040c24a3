//! A layout: the label sets that the elements of a vector have, in order.
//!
//! Values change at every tick, label sets only when series are born or die. So a node keeps its
//! layout and gives it a new version only when it changes; whatever follows from label sets
//! (groups, matches, names dropped) is worked out once a version.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::{Labels, METRIC_NAME};

use super::labelsets::LabelSets;

/// The label sets of a vector's elements.
///
/// A label set may occur more than once; then at most one of its elements is present at a time.
#[derive(Debug, Default)]
pub struct Layout {
    /// Another number whenever the labels are others; unique within a plan, 0 only when empty.
    pub version: u64,
    /// One label set an element.
    pub labels: LabelSets,
    /// For layouts with repeated label sets: the number of each element's label set.
    repeats: Option<Repeats>,
    /// The label sets are known to differ in more than what [`without_metadata`] drops.
    apart: bool,
}

#[derive(Debug)]
struct Repeats {
    class: Vec<u32>,
    classes: usize,
}

impl Layout {
    /// A layout of label sets that may repeat.
    #[must_use]
    pub fn new(version: u64, labels: impl Into<LabelSets>) -> Self {
        let labels = labels.into();
        let mut numbers: HashMap<&Labels, u32> = HashMap::with_capacity(labels.len());
        let class: Vec<u32> = labels
            .iter()
            .map(|set| {
                let next = numbers.len() as u32;
                *numbers.entry(set).or_insert(next)
            })
            .collect();
        let classes = numbers.len();
        let repeats = (classes < labels.len()).then_some(Repeats { class, classes });
        Self { version, labels, repeats, apart: false }
    }

    /// A layout of label sets that are known to differ.
    pub(super) fn distinct(version: u64, labels: impl Into<LabelSets>) -> Self {
        Self { version, labels: labels.into(), repeats: None, apart: false }
    }

    /// A layout of label sets that are known to differ in more than what says what a metric is.
    pub(super) fn apart(version: u64, labels: impl Into<LabelSets>) -> Self {
        Self { apart: true, ..Self::distinct(version, labels) }
    }

    /// The number of elements, present or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// A number for each different label set.
    fn class(&self, i: usize) -> u32 {
        self.repeats.as_ref().map_or(i as u32, |repeats| repeats.class[i])
    }

    /// Whether some label set occurs more than once.
    pub(super) fn has_repeats(&self) -> bool {
        self.repeats.is_some()
    }

    /// For each element the place that it had in an older layout, where it is found again.
    /// Elements that were there may seem new, never the other way round; where new ones come last
    /// (series in the order of birth) none does.
    pub fn places_in<'a>(&'a self, older: &'a Self) -> impl Iterator<Item = Option<usize>> + 'a {
        self.labels.places_in(&older.labels)
    }

    /// The elements that are new since an older layout, where all of that are still there and these
    /// stand behind them.
    pub(crate) fn grown_from(&self, older: &Self) -> Option<impl Iterator<Item = &Labels>> {
        self.labels.begins_with(&older.labels).then(|| self.labels.since(older.len()))
    }

    /// Each label set changed by a function; the same layout when nothing changes. `before` is an
    /// older layout and what the same function made of it, which is used again. `keeps` says that the
    /// function drops no more than [`without_metadata`] does.
    pub(super) fn mapped(
        self: &Arc<Self>,
        versions: &mut Versions,
        before: (&Self, &Self),
        keeps: bool,
        change: impl Fn(&Labels) -> Labels,
    ) -> Arc<Self> {
        match self.changed(before, change) {
            None => Arc::clone(self),
            // No need to look for repeats.
            Some(labels) if keeps && self.apart => Arc::new(Self::apart(versions.next(), labels)),
            Some(labels) => Arc::new(Self::new(versions.next(), labels)),
        }
    }

    /// The label sets as a function changes them; `None` when it changes nothing.
    pub(super) fn changed(
        &self,
        (older, made): (&Self, &Self),
        change: impl Fn(&Labels) -> Labels,
    ) -> Option<LabelSets> {
        self.labels.changed((&older.labels, &made.labels), change)
    }
}

/// Gives out the versions of one plan's layouts.
#[derive(Debug, Default)]
pub(super) struct Versions(u64);

impl Versions {
    pub(super) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Labels that say what a metric is rather than where it is from: operations that change the
/// meaning of a value drop them.
const METADATA_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// The set without metric name, and without type and unit should they be there.
pub(super) fn without_metadata(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| METADATA_LABELS.contains(&name)) {
        labels.filtered(|name| !METADATA_LABELS.contains(&name))
    } else {
        labels.clone()
    }
}

/// Whether a label says what a metric is.
pub(super) fn is_metadata(name: &str) -> bool {
    METADATA_LABELS.contains(&name)
}

/// Whether a set has labels that go with the metric name, beside it.
pub(super) fn has_type_or_unit(labels: &Labels) -> bool {
    labels.iter().any(|(name, _)| METADATA_LABELS[1..].contains(&name))
}

/// Finds two present elements with the same label set.
#[derive(Debug, Default)]
pub(super) struct Collisions {
    epoch: u64,
    version: u64,
    /// The element that was seen with each label set, plus one.
    seen: Vec<u32>,
}

impl Collisions {
    /// Fails with a label set that is present twice in the same epoch (see
    /// [`super::context::Context`]).
    /// Elements that had equal labels in the input, and so were there at different instants, are
    /// one and the same.
    pub(super) fn check(
        &mut self,
        epoch: u64,
        (input, layout): (&Layout, &Layout),
        present: &[bool],
    ) -> Result<(), Labels> {
        let Some(repeats) = &layout.repeats else {
            return Ok(());
        };
        if (self.epoch, self.version) != (epoch, layout.version) {
            (self.epoch, self.version) = (epoch, layout.version);
            self.seen.clear();
            self.seen.resize(repeats.classes, 0);
        }
        for (i, class) in repeats.class.iter().enumerate() {
            if !present[i] {
                continue;
            }
            let seen = &mut self.seen[*class as usize];
            let this = input.class(i) + 1;
            if *seen != 0 && *seen != this {
                return Err(layout.labels[i].clone());
            }
            *seen = this;
        }
        Ok(())
    }

    /// Makes all elements absent whose label set is present more than once; calls back with each
    /// such label set.
    pub(super) fn leave_out(
        &mut self,
        layout: &Layout,
        present: &mut [bool],
        mut found: impl FnMut(&Labels),
    ) {
        const TOLD: u32 = u32::MAX;
        let Some(repeats) = &layout.repeats else {
            return;
        };
        // What was seen is overwritten by counts, so it belongs to no epoch.
        self.epoch = 0;
        self.seen.clear();
        self.seen.resize(repeats.classes, 0);
        for (class, _) in repeats.class.iter().zip(&*present).filter(|(_, present)| **present) {
            self.seen[*class as usize] += 1;
        }
        for (i, class) in repeats.class.iter().enumerate() {
            let times = &mut self.seen[*class as usize];
            if !present[i] || *times == 1 {
                continue;
            }
            present[i] = false;
            if std::mem::replace(times, TOLD) != TOLD {
                found(&layout.labels[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
    }

    #[test]
    fn a_label_set_may_repeat_but_not_be_present_twice() {
        let (a, b) = (labels(&[("x", "a")]), labels(&[("x", "b")]));
        let layout = Layout::new(1, vec![a.clone(), b, a.clone()]);
        let input = Layout::distinct(2, ["1", "2", "3"].map(|x| labels(&[("x", x)])).to_vec());
        let mut collisions = Collisions::default();
        assert_eq!(collisions.check(1, (&input, &layout), &[true, true, false]), Ok(()));
        assert_eq!(collisions.check(2, (&input, &layout), &[false, true, true]), Ok(()));
        let error = Err(a);
        assert_eq!(collisions.check(3, (&input, &layout), &[true, false, true]), error);
        // In one epoch, what was seen before counts, unless it was the same before.
        assert_eq!(collisions.check(5, (&layout, &layout), &[true, false, false]), Ok(()));
        assert_eq!(collisions.check(5, (&layout, &layout), &[false, false, true]), Ok(()));
        assert_eq!(collisions.check(4, (&input, &layout), &[true, false, false]), Ok(()));
        assert_eq!(collisions.check(4, (&input, &layout), &[false, false, true]), error);
    }

    #[test]
    fn all_elements_of_a_label_set_that_is_present_twice_are_left_out() {
        let (a, b, c) = (labels(&[("x", "a")]), labels(&[("x", "b")]), labels(&[("x", "c")]));
        let sets = [&a, &b, &a, &c, &c, &a].map(Labels::clone).to_vec();
        let layout = Layout::new(1, sets);
        let mut present = [true, true, true, false, true, true];
        let (mut collisions, mut told) = (Collisions::default(), Vec::new());
        collisions.leave_out(&layout, &mut present, |labels| told.push(labels.clone()));
        assert_eq!((present, told), ([false, true, false, false, true, false], vec![a]));
    }

    #[test]
    fn a_mapped_layout_that_stays_the_same_keeps_its_version() {
        let mut versions = Versions::default();
        let (layout, none) = (
            Arc::new(Layout::new(versions.next(), vec![labels(&[("x", "a")])])),
            Layout::default(),
        );
        assert_eq!(layout.mapped(&mut versions, (&none, &none), true, Labels::clone).version, 1);
        let named =
            layout.mapped(&mut versions, (&none, &none), false, |l| l.with(METRIC_NAME, "up"));
        assert_eq!(named.version, 2);
        let nameless = named.mapped(&mut versions, (&none, &none), true, without_metadata);
        assert_eq!((nameless.version, &nameless.labels), (3, &layout.labels));
    }

    #[test]
    fn what_was_made_before_is_used_again() {
        let set = |x: &str| labels(&[("x", x)]);
        let (a, b, c, d) = (set("a"), set("b"), set("c"), set("d"));
        let older = Layout::distinct(1, vec![a.clone(), b, c.clone()]);
        let made = Layout::distinct(2, ["1", "2", "3"].map(set).to_vec());
        let newer = Layout::distinct(3, vec![a, c, d]);
        let places: Vec<_> = newer.places_in(&older).collect();
        assert_eq!(places, [Some(0), Some(2), None]);
        let changed = newer.changed((&older, &made), |labels| labels.with("y", "new"));
        let expected = vec![set("1"), set("3"), labels(&[("x", "d"), ("y", "new")])];
        assert_eq!(changed, Some(expected.into()));
    }
}
