//! Metadata of metric families, kept for as long as there is a series of the family.
//!
//! In: what senders say of metric families, again and again. Out: the last that was said, by the family's name
//! and in its order. A family is known by the metric names of its series: its own name, or that with a suffix;
//! so there are never more than two families to a metric name. What is said of a family without series is
//! counted and let go: its sender says it again in a minute.
//! Source: OpenMetrics 1.0, "Suffixes".

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Store;
use super::names::Names;
use crate::sample::MetricMetadata;

/// What a metric name may have behind the name of its family.
const SUFFIXES: [&str; 8] =
    ["_total", "_bucket", "_sum", "_count", "_created", "_info", "_gsum", "_gcount"];

/// An entry of the table: it has between six and eleven to a node, and so room for half as many again.
const ENTRY_BYTES: usize = size_of::<(Arc<str>, MetricMetadata)>() * 3 / 2;

/// How many families are looked at for a listing at a time: below a millisecond.
const SLICE_FAMILIES: usize = 4 << 10;

/// What is said of metric families.
#[derive(Debug, Default)]
pub(super) struct Families {
    known: BTreeMap<Arc<str>, MetricMetadata>,
    /// Of the texts of all.
    text_bytes: usize,
}

impl Families {
    /// Memory, estimated.
    pub(super) fn bytes(&self) -> usize {
        self.text_bytes + self.known.len() * ENTRY_BYTES
    }

    /// Forgets the families of which no series is left.
    pub(super) fn leave(&mut self, names: &Names) {
        let (mut name, text_bytes) = (String::new(), &mut self.text_bytes);
        self.known.retain(|family, metadata| {
            let stays = has_series(names, family, &mut name);
            *text_bytes -= if stays { 0 } else { metadata.heap_bytes() };
            stays
        });
    }

    fn insert(&mut self, metadata: MetricMetadata) {
        self.text_bytes += metadata.heap_bytes();
        if let Some(former) = self.known.insert(Arc::clone(&metadata.family), metadata) {
            self.text_bytes -= former.heap_bytes();
        }
    }
}

/// Whether a series is of a family. `name` is where names are made.
fn has_series(names: &Names, family: &str, name: &mut String) -> bool {
    let mut has_with = |suffix: &str| {
        name.clear();
        name.push_str(family);
        name.push_str(suffix);
        names.has(name)
    };
    names.has(family) || SUFFIXES.iter().any(|suffix| has_with(suffix))
}

impl Store {
    /// Keeps what is said of the families of kept series; says of how many nothing was kept. What series need
    /// is not taken from them: then nothing new is kept.
    pub(super) fn keep_metadata(&mut self, metadata: &[MetricMetadata]) -> u64 {
        let (mut name, mut ignored) = (String::new(), 0);
        for said in metadata {
            let (is_known, grows_by) = match self.families.known.get(&said.family) {
                Some(former) if former == said => continue,
                Some(former) => (true, said.heap_bytes().saturating_sub(former.heap_bytes())),
                None => (false, said.heap_bytes() + ENTRY_BYTES),
            };
            if (is_known || has_series(&self.names, &said.family, &mut name))
                && (grows_by == 0 || self.has_room_beside_series(grows_by))
            {
                self.families.insert(said.clone());
            } else {
                ignored += 1;
            }
        }
        ignored
    }
}

/// Metadata of metric families, while it is collected.
#[derive(Debug)]
pub struct MetadataListing {
    family: Option<String>,
    limit: usize,
    found: Vec<MetricMetadata>,
}

impl MetadataListing {
    /// An empty one, of one family or of all, and of so many at most.
    #[must_use]
    pub const fn new(family: Option<String>, limit: usize) -> Self {
        Self { family, limit, found: Vec::new() }
    }

    /// Adds some; says whether these were the last. What it costs is bounded.
    pub fn list_some(&mut self, from: &Store) -> bool {
        let known = &from.families.known;
        if let Some(family) = &self.family {
            self.found.extend(known.get(family.as_str()).filter(|_| self.limit > 0).cloned());
            return true;
        }
        let after = self.found.last().map(|it| Arc::clone(&it.family));
        let after = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = SLICE_FAMILIES.min(self.limit - self.found.len());
        let mut rest = known.range::<str, _>((after, Bound::Unbounded));
        self.found.extend(rest.by_ref().take(wanted).map(|(_, it)| it.clone()));
        self.found.len() == self.limit || rest.next().is_none()
    }

    /// In order of the families' names, each once.
    #[must_use]
    pub fn into_metadata(self) -> Vec<MetricMetadata> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytesize::ByteSize;
    use crate::labels::Labels;
    use crate::matcher::Selector;
    use crate::sample::{Batch, BatchSeries, MetricType, Sample};
    use crate::series::StorageConfig;

    const NOW: i64 = 1_700_000_000_000;

    /// A store that wants everything for a minute.
    fn store(max_bytes: ByteSize) -> Store {
        let mut store = Store::new(StorageConfig { max_bytes, ..StorageConfig::default() });
        store.register(&Selector::new(Vec::new()), 60_000);
        store
    }

    fn said(family: &str, help: &str) -> MetricMetadata {
        let (family, help) = (family.into(), help.into());
        MetricMetadata { family, metric_type: MetricType::Gauge, help, unit: "".into() }
    }

    /// Series of these names, and what is said; says how much of that was ignored.
    fn push(store: &mut Store, names: &[&str], metadata: Vec<MetricMetadata>, now_ms: i64) -> u64 {
        let one = |name: &&str| {
            let labels = Labels::from_pairs([("__name__", *name)]).expect("one name");
            BatchSeries::new(labels, vec![Sample::new(now_ms, 1.0)])
        };
        let batch = Batch { series: names.iter().map(one).collect(), metadata };
        store.append(now_ms, &batch).metadata_ignored
    }

    fn whole(store: &Store, family: Option<&str>, limit: usize) -> Vec<MetricMetadata> {
        let mut listing = MetadataListing::new(family.map(str::to_owned), limit);
        while !listing.list_some(store) {}
        listing.into_metadata()
    }

    #[test]
    fn it_is_kept_for_families_that_have_series() {
        let names =
            ["a", "b_bucket", "c_sum", "d_count", "e_total", "f_created", "g_info", "h_gsum"];
        let mut store = store(ByteSize::from_mib(1));
        let families = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let all: Vec<_> = families.iter().map(|it| said(it, "x")).collect();
        assert_eq!(push(&mut store, &[], all.clone(), NOW), 8, "there are none");
        // Those that come in the same batch count.
        assert_eq!(push(&mut store, &names, all.clone(), NOW), 0);
        assert_eq!(whole(&store, None, usize::MAX), all);
        for family in ["b_", "e_tot", "_total", "", "a_total", "nosuch"] {
            assert_eq!(push(&mut store, &[], vec![said(family, "x")], NOW), 1, "{family}");
        }
        // The series's own name is a family's as well.
        assert_eq!(push(&mut store, &[], vec![said("e_total", "y")], NOW), 0);
        assert_eq!(whole(&store, Some("e_total"), 1), [said("e_total", "y")]);
    }

    #[test]
    fn the_last_is_kept_and_counted() {
        let mut store = store(ByteSize::from_mib(1));
        push(&mut store, &["a"], vec![], NOW);
        let without = store.stats().bytes;
        for help in ["a long text that says much", "short", "", "another one, and it is long"] {
            for _ in 0..2 {
                let said = said("a", help);
                assert_eq!(push(&mut store, &[], vec![said.clone()], NOW), 0);
                assert_eq!(store.stats().bytes, without + ENTRY_BYTES + said.heap_bytes());
                assert_eq!(whole(&store, Some("a"), 1), [said]);
            }
        }
    }

    #[test]
    fn it_is_forgotten_with_the_last_series() {
        let mut store = store(ByteSize::from_mib(1));
        let names = ["a_sum", "a_count", "b"];
        push(&mut store, &names, vec![said("a", "x"), said("b", "y")], NOW);
        let later = NOW + 100_000;
        push(&mut store, &["a_sum"], vec![], later);
        assert_eq!(store.evict(NOW + 125_000), 2);
        assert_eq!(whole(&store, None, usize::MAX), [said("a", "x")]);
        assert_eq!(store.evict(later + 125_000), 1);
        assert_eq!((whole(&store, None, usize::MAX), store.families.bytes()), (vec![], 0));
        assert_eq!(push(&mut store, &[], vec![said("a", "x")], later), 1);
    }

    #[test]
    fn it_is_forgotten_when_nobody_wants_the_series() {
        let mut store = Store::new(StorageConfig::default());
        let selector = store.register(&Selector::new(Vec::new()), 60_000);
        push(&mut store, &["a"], vec![said("a", "x")], NOW);
        store.release(selector);
        assert_eq!((whole(&store, None, usize::MAX), store.families.bytes()), (vec![], 0));
    }

    #[test]
    fn it_takes_no_memory_from_series() {
        let mut store = store(ByteSize::from_bytes(64 << 10));
        let names: Vec<String> = (0..20).map(|i| format!("m_{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let long = "x".repeat(10 << 10);
        let metadata: Vec<_> = names.iter().map(|it| said(it, &long)).collect();
        let ignored = push(&mut store, &names, metadata, NOW);
        assert!((10..20).contains(&ignored), "{ignored}");
        assert_eq!(store.stats().series, 20);
        let kept = whole(&store, None, usize::MAX).len() as u64;
        assert_eq!(kept + ignored, 20);
        // What becomes shorter finds room all the same.
        store.set_reserved_bytes(64 << 10);
        assert_eq!(store.keep_metadata(&[said("m_0", "short"), said("m_0", &long)]), 1);
        assert_eq!(whole(&store, Some("m_0"), 1), [said("m_0", "short")]);
    }

    #[test]
    fn it_is_listed_in_slices() {
        let mut store = store(ByteSize::from_mib(100));
        let names: Vec<String> = (0..2 * SLICE_FAMILIES + 1).map(|i| format!("m_{i:06}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let metadata: Vec<_> = names.iter().map(|it| said(it, "x")).collect();
        assert_eq!(push(&mut store, &names, metadata.clone(), NOW), 0);
        let mut listing = MetadataListing::new(None, usize::MAX);
        let slices = [listing.list_some(&store), listing.list_some(&store)];
        assert_eq!((slices, listing.found.len()), ([false, false], 2 * SLICE_FAMILIES));
        assert!(listing.list_some(&store));
        assert_eq!(listing.into_metadata(), metadata);
        for limit in [0, 1, SLICE_FAMILIES, SLICE_FAMILIES + 1] {
            assert_eq!(whole(&store, None, limit), metadata[..limit]);
        }
        assert_eq!(whole(&store, Some("m_000007"), 0), []);
        assert_eq!(whole(&store, Some("m_"), 1), []);
    }
}
