//! Reading: the samples of a member, as selectors read them.
//!
//! In: a member and times. Out: the slice of a range, or the newest sample before an instant. Native histograms
//! are read beside these, see `histograms`.

use super::{ENDED, SeriesId, Store};
use crate::sample::Sample;

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
}
