//! The native histograms of a series, beside its floats.
//!
//! A series has samples of both kinds only where its target was changed from one to the other. A stale
//! marker is kept among the floats, whatever was sent.

use super::ring::Ring;
use super::{SeriesId, Store};
use crate::sample::HistogramSample;

impl Store {
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
