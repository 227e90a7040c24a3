//! A window: the bounds of a range, as an evaluation at an instant sees it.

use crate::promql::syntax::when::When;

/// The bounds of a range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Exclusive.
    pub(crate) start_ms: i64,
    /// Inclusive; differs from the instant of evaluation by `@` and `offset`.
    pub(crate) end_ms: i64,
    pub(crate) range_ms: i64,
    /// The instant of evaluation.
    pub(crate) at_ms: i64,
}

impl Window {
    pub(crate) fn new(at_ms: i64, range_ms: i64, when: When) -> Self {
        let end_ms = when.instant(at_ms);
        Self { start_ms: end_ms.saturating_sub(range_ms), end_ms, range_ms, at_ms }
    }
}
