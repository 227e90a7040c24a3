//! Touching: samples are read before they are needed, so that they are in the processor's cache then.

use super::ring::Ring;
use super::{SeriesId, Store};

impl Store {
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
}
