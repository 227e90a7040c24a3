//! Buckets of one side of a histogram: counts, and spans that say which buckets they are of.
//!
//! In: spans and counts as they were sent. Out: pairs of a bucket's index and its count, in ascending order
//! of index, and such pairs back to spans. An index is an i64, so that no sum of offsets overflows.
//!
//! Source: Prometheus 3.5 `model/histogram/generic.go` (`compactBuckets`, `reduceResolution`) and
//! `float_histogram.go` (`addBuckets`), of which the results are these.

use super::{bounds, same_bits};
use crate::capacity;

/// Consecutive buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// Of the first span: the index of its first bucket. Of others: the buckets between the span before it
    /// and this one, not negative.
    pub offset: i32,
    /// How many buckets it has; may be 0.
    pub length: u32,
}

/// Counts of buckets, from zero outward.
///
/// # Shapes
/// `counts` has an entry for each bucket of `spans`. Of two that disagree, as a sender may write them, the
/// shorter one ends what is iterated over.
#[derive(Debug, Clone, Default)]
pub struct BucketCounts {
    /// Which buckets they are.
    pub spans: Vec<BucketSpan>,
    /// Observations in each: counts, not deltas.
    pub counts: Vec<f64>,
}

impl PartialEq for BucketCounts {
    /// Equal spans, and counts with equal bits.
    fn eq(&self, other: &Self) -> bool {
        self.spans == other.spans && same_bits(&self.counts, &other.counts)
    }
}

impl BucketCounts {
    /// Whether there is no bucket, not even an empty one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Each bucket's index and count, in ascending order of index.
    pub fn indexed(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        let starts = self.spans.iter().scan(0_i64, |next, span| {
            let start = *next + i64::from(span.offset);
            *next = start + i64::from(span.length);
            Some(start..*next)
        });
        starts.flatten().zip(self.counts.iter().copied())
    }

    /// Each bucket's index and count, in descending order of index.
    pub fn indexed_back(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        let width = |span: &BucketSpan| i64::from(span.offset) + i64::from(span.length);
        let end: i64 = self.spans.iter().map(width).sum();
        let starts = self.spans.iter().rev().scan(end, |end, span| {
            let indices = *end - i64::from(span.length)..*end;
            *end = indices.start - i64::from(span.offset);
            Some(indices.rev())
        });
        starts.flatten().zip(self.counts.iter().rev().copied())
    }

    /// Buckets from pairs in ascending order of index: no span is empty, and none touches the next.
    #[must_use]
    pub fn from_indexed(pairs: impl IntoIterator<Item = (i64, f64)>) -> Self {
        let mut made = Self::default();
        let mut next = 0_i64;
        for (index, count) in pairs {
            let mut gap = index - next;
            match made.spans.last_mut() {
                Some(span) if gap == 0 && span.length < u32::MAX => span.length += 1,
                _ => {
                    // Offsets are 32 bits wide; a longer way is made of steps without buckets.
                    while gap > i64::from(i32::MAX) {
                        made.spans.push(BucketSpan { offset: i32::MAX, length: 0 });
                        gap -= i64::from(i32::MAX);
                    }
                    let offset = i32::try_from(gap).unwrap_or(i32::MIN);
                    made.spans.push(BucketSpan { offset, length: 1 });
                }
            }
            made.counts.push(count);
            next = index + 1;
        }
        made
    }

    /// Without buckets of zero observations. A count that is NaN stays.
    pub(super) fn compact(&mut self) {
        let is_compact = self.counts.iter().all(|count| *count != 0.0)
            && self.spans.iter().all(|span| span.length > 0)
            && self.spans.iter().skip(1).all(|span| span.offset > 0);
        if !is_compact {
            *self = Self::from_indexed(self.indexed().filter(|(_, count)| *count != 0.0));
        }
    }

    /// The buckets of a coarser schema, each with the counts of those that are within it.
    #[must_use]
    pub(super) fn reduced(&self, schema: i32, target: i32) -> Self {
        Self::from_indexed(self.merged(schema, target))
    }

    /// As [`indexed`](Self::indexed), in the buckets of a coarser schema (or the same).
    pub(super) fn merged(&self, schema: i32, target: i32) -> impl Iterator<Item = (i64, f64)> + '_ {
        let mut finer = self
            .indexed()
            .map(move |(index, count)| (bounds::target_index(index, schema, target), count))
            .peekable();
        std::iter::from_fn(move || {
            let (index, mut count) = finer.next()?;
            while let Some((_, more)) = finer.next_if(|(next, _)| *next == index) {
                count += more;
            }
            Some((index, count))
        })
    }

    /// Adds pairs in ascending order of index to the buckets, of which there may be more then.
    pub(super) fn add(&mut self, more: impl Iterator<Item = (i64, f64)>) {
        let mut more = more.peekable();
        let mut sum = Vec::with_capacity(self.counts.len());
        for (index, count) in self.indexed() {
            while let Some(before) = more.next_if(|(other, _)| *other < index) {
                sum.push(before);
            }
            let same = more.next_if(|(other, _)| *other == index);
            sum.push((index, same.map_or(count, |(_, other)| count + other)));
        }
        sum.extend(more);
        *self = Self::from_indexed(sum);
    }

    /// Whether the same buckets have counts with the same bits, however they are cut into spans.
    pub(super) fn has_same_buckets(&self, other: &Self) -> bool {
        let bits = |(index, count): (i64, f64)| (index, count.to_bits());
        self.indexed().map(bits).eq(other.indexed().map(bits))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        capacity::allocated(self.spans.capacity() * size_of::<BucketSpan>())
            + capacity::allocated(self.counts.capacity() * size_of::<f64>())
    }
}
