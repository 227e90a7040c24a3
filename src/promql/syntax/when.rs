//! When a selector or subquery looks: at the instant of evaluation or one fixed by `@`, moved by
//! `offset`.

/// The modifiers `@` and `offset`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct When {
    /// Instead of the instant of evaluation.
    pub(crate) at_ms: Option<i64>,
    /// Positive into the past.
    pub(crate) offset_ms: i64,
}

impl When {
    /// The instant that is looked at in an evaluation at `time_ms`.
    pub(crate) fn instant(self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }

    /// Whether that may be after it.
    pub(crate) fn looks_ahead(self) -> bool {
        self.at_ms.is_some() || self.offset_ms < 0
    }
}

#[cfg(test)]
mod tests {
    use super::When;

    #[test]
    fn at_replaces_the_instant_and_offset_moves_it() {
        assert_eq!(When::default().instant(100), 100);
        assert_eq!(When { at_ms: None, offset_ms: 30 }.instant(100), 70);
        assert_eq!(When { at_ms: Some(50), offset_ms: -7 }.instant(100), 57);
        assert_eq!(When { at_ms: Some(i64::MIN), offset_ms: 1 }.instant(0), i64::MIN);
    }
}
