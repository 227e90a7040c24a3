//! A selection: the newest sample of each series of a selector.
//!
//! A series whose newest sample is older than the lookback, or is a stale marker, has no value.

use super::context::{Context, Output};
use super::expr::LOOKBACK_MS;

/// The node of an instant selector, and of `timestamp` over one.
#[derive(Debug)]
pub(super) struct Select {
    /// Which of the plan's memberships.
    pub(super) membership: usize,
    pub(super) offset_ms: i64,
    /// The sample's time in seconds instead of its value.
    pub(super) time: bool,
}

impl Select {
    pub(super) fn eval(&self, cx: &mut Context, out: &mut Output) {
        let membership = &cx.memberships[self.membership];
        out.follow(if self.time { &membership.nameless } else { &membership.layout });
        let at_ms = cx.time_ms.saturating_sub(self.offset_ms);
        for (i, id) in cx.store.members(membership.id).iter().enumerate() {
            let newest = cx.store.latest(*id, at_ms, LOOKBACK_MS);
            out.put(
                i,
                newest.map(|sample| {
                    if self.time { sample.timestamp_ms as f64 / 1000.0 } else { sample.value }
                }),
            );
        }
    }
}
