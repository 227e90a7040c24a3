//! What is read of a member: its newest sample, its samples in a range of time.
//!
//! A series has samples of both kinds, floats and native histograms, only where its target was changed from
//! one to the other. A stale marker is kept among the floats, whatever was sent.

use super::ring::Ring;
use super::{ENDED, SeriesId, Store};
use crate::sample::{HistogramSample, Sample};

impl Store {
    /// The samples of a member in `(start_ms, end_ms]`, oldest first, stale markers included and native
    /// histograms not: see [`Store::histogram_window`].
    #[must_use]
    pub fn window(&self, id: SeriesId, start_ms: i64, end_ms: i64) -> &[Sample] {
        self.get(id).ring.window(start_ms, end_ms)
    }

    /// The newest sample of a member in `(at_ms - lookback_ms, at_ms]`, unless that is a stale
    /// marker: the value of an instant selector, where it has no later native histogram.
    #[must_use]
    pub fn latest(&self, id: SeriesId, at_ms: i64, lookback_ms: i64) -> Option<Sample> {
        let ring = &self.get(id).ring;
        let newest = match ring.last() {
            Some(last) if last.timestamp_ms <= at_ms => *last,
            _ => *ring.window(i64::MIN, at_ms).last()?,
        };
        let seen = newest.timestamp_ms > at_ms.saturating_sub(lookback_ms) && !newest.is_stale();
        seen.then_some(newest)
    }

    /// When the sample that [`Store::latest`] would give was taken.
    #[must_use]
    pub fn latest_ms(&self, id: SeriesId, at_ms: i64, lookback_ms: i64) -> Option<i64> {
        match self.slots.newest_ms(id) {
            // What is ahead, a stale marker also, is not yet: the ring knows what was before it.
            newest if newest == ENDED || newest > at_ms => {
                let float = self.latest(id, at_ms, lookback_ms).map(|it| it.timestamp_ms);
                let histogram = self.latest_histogram(id, at_ms, lookback_ms);
                float.max(histogram.map(|it| it.timestamp_ms))
            }
            newest => (newest > at_ms.saturating_sub(lookback_ms)).then_some(newest),
        }
    }

    /// Reads the newest samples of some members, so that they are in the processor's cache when
    /// their windows are asked for one by one. Nothing here waits for what was read before, so the
    /// processor fetches many of them at a time.
    pub fn touch(&self, ids: &[SeriesId]) {
        self.touch_each(ids, Ring::touch);
    }

    /// Reads all samples of some members after a time, for the same reason.
    pub fn touch_after(&self, ids: &[SeriesId], start_ms: i64) {
        self.touch_each(ids, |ring| ring.touch_after(start_ms));
    }

    fn touch_each(&self, ids: &[SeriesId], read: impl Fn(&Ring) -> i64) {
        let mut seen = 0;
        for id in ids {
            if let Some(series) = self.slots.get(*id) {
                seen ^= read(&series.ring);
            }
        }
        std::hint::black_box(seen);
    }

    /// Whether a member has native histograms at all.
    #[must_use]
    pub fn has_histograms(&self, id: SeriesId) -> bool {
        self.get(id).histograms.is_some()
    }

    /// The native histograms of a member in `(start_ms, end_ms]`, oldest first.
    #[must_use]
    pub fn histogram_window(&self, id: SeriesId, start_ms: i64, end_ms: i64) -> &[HistogramSample] {
        let ring: Option<&Ring<HistogramSample>> = self.get(id).histograms.as_deref();
        ring.map_or(&[], |it| it.window(start_ms, end_ms))
    }

    /// Adds the times in `(start_ms, end_ms]` at which a member has a sample of either kind that is no stale
    /// marker, in order.
    pub fn add_times(&self, id: SeriesId, start_ms: i64, end_ms: i64, times_ms: &mut Vec<i64>) {
        let first = times_ms.len();
        let floats = self.window(id, start_ms, end_ms).iter();
        times_ms.extend(floats.filter(|it| !it.is_stale()).map(|it| it.timestamp_ms));
        let histograms = self.histogram_window(id, start_ms, end_ms);
        if !histograms.is_empty() {
            times_ms.extend(histograms.iter().map(|it| it.timestamp_ms));
            times_ms[first..].sort_unstable();
        }
    }

    /// Whether a member has a sample of either kind in `(start_ms, end_ms]` that is no stale marker.
    #[must_use]
    pub fn has_sample(&self, id: SeriesId, start_ms: i64, end_ms: i64) -> bool {
        self.window(id, start_ms, end_ms).iter().any(|it| !it.is_stale())
            || !self.histogram_window(id, start_ms, end_ms).is_empty()
    }

    /// The newest native histogram of a member in `(at_ms - lookback_ms, at_ms]`, unless a float or a stale
    /// marker is later: then [`Store::latest`] says what the value of an instant selector is.
    #[must_use]
    pub fn latest_histogram(
        &self,
        id: SeriesId,
        at_ms: i64,
        lookback_ms: i64,
    ) -> Option<&HistogramSample> {
        let series = self.get(id);
        let newest = series.histograms.as_deref()?.window(i64::MIN, at_ms).last()?;
        let is_last = series.ring.window(newest.timestamp_ms, at_ms).is_empty();
        (is_last && newest.timestamp_ms > at_ms.saturating_sub(lookback_ms)).then_some(newest)
    }
}
