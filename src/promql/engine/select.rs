//! A selection: the newest sample of each series of a selector.
//!
//! A series whose newest sample is older than the lookback, or is a stale marker, has no value.

use std::sync::Arc;

use crate::promql::syntax::when::When;

use super::context::{Context, Output};
use super::error::EvalError;
use super::range::TOUCHED;

/// The node of an instant selector, and of `timestamp` over one.
#[derive(Debug)]
pub(super) struct Select {
    /// Which of the plan's memberships.
    pub(super) membership: usize,
    pub(super) when: When,
    pub(super) newest: Newest,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    /// The sample's time in seconds instead of its value.
    pub(super) time: bool,
    pub(super) lookback_ms: i64,
}

impl Select {
    pub(super) fn eval(&self, cx: &mut Context, out: &mut Output) -> Result<(), EvalError> {
        let Newest { time, lookback_ms } = self.newest;
        let membership = &cx.memberships[self.membership];
        out.follow(if time { &membership.nameless } else { &membership.layout });
        let at_ms = self.when.instant(cx.time_ms);
        let members = cx.store.members(membership.id);
        for (i, id) in members.iter().enumerate() {
            if i % TOUCHED == 0 {
                cx.store.touch(&members[i..members.len().min(i + TOUCHED)]);
            }
            if let Some(newest) = cx.store.latest_histogram(*id, at_ms, lookback_ms) {
                if time {
                    out.put(i, Some(newest.timestamp_ms as f64 / 1000.0));
                } else {
                    out.put_histogram(i, Arc::clone(&newest.histogram));
                }
                continue;
            }
            let newest = cx.store.latest(*id, at_ms, lookback_ms);
            out.put(
                i,
                newest.map(
                    |sample| {
                        if time { sample.timestamp_ms as f64 / 1000.0 } else { sample.value }
                    },
                ),
            );
        }
        if time { out.check_labels(cx) } else { Ok(()) }
    }
}
