//! A reach: which samples of a selector an expression reads, relative to the instant of its
//! evaluation or, under `@`, whatever that is.

use crate::matcher::Selector;

use super::expr::Expr;
use super::tree::{LOOKBACK_MS, Node, Source};
use super::when::When;

/// Which samples of a selector an expression reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// For evaluation at `t` the samples in `(t - back_ms, t + ahead_ms]`. Either may be negative:
    /// `x offset 1h` ends before `t`, `x offset -1h` begins after it.
    Around {
        /// Into the past.
        back_ms: i64,
        /// Into the future.
        ahead_ms: i64,
    },
    /// Fixed by `@`.
    Between {
        /// Exclusive.
        from_ms: i64,
        /// Inclusive.
        to_ms: i64,
    },
}

/// Adds a reach of a selector; of those around the instant of evaluation it keeps one, which
/// covers them all.
pub(crate) fn add(found: &mut Vec<(Selector, Reach)>, selector: &Selector, reach: Reach) {
    for (other, known) in found.iter_mut().filter(|(other, _)| other == selector) {
        debug_assert_eq!(other, selector);
        match (known, reach) {
            (
                Reach::Around { back_ms, ahead_ms },
                Reach::Around { back_ms: back, ahead_ms: ahead },
            ) => {
                *back_ms = back.max(*back_ms);
                *ahead_ms = ahead.max(*ahead_ms);
                return;
            }
            (known, reach) if *known == reach => return,
            _ => {}
        }
    }
    found.push((selector.clone(), reach));
}

/// The instants `(base - back, base + ahead]` at which something is evaluated; the base is the
/// instant of the whole evaluation, or fixed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instants {
    fixed_ms: Option<i64>,
    back_ms: i64,
    ahead_ms: i64,
}

impl Instants {
    /// The instant of the whole evaluation alone.
    pub(crate) const ONE: Self = Self { fixed_ms: None, back_ms: 1, ahead_ms: 0 };

    /// What is `length_ms` before each of the instants as seen through the modifiers.
    fn seen(self, when: When, length_ms: i64) -> Self {
        let around = match when.at_ms {
            None => self,
            Some(at_ms) => Self { fixed_ms: Some(at_ms), ..Self::ONE },
        };
        Self {
            fixed_ms: around.fixed_ms,
            back_ms: around.back_ms - 1 + when.offset_ms + length_ms,
            ahead_ms: around.ahead_ms - when.offset_ms,
        }
    }

    fn reach(self) -> Reach {
        let Self { fixed_ms, back_ms, ahead_ms } = self;
        match fixed_ms {
            None => Reach::Around { back_ms, ahead_ms },
            Some(base_ms) => Reach::Between {
                from_ms: base_ms.saturating_sub(back_ms),
                to_ms: base_ms.saturating_add(ahead_ms),
            },
        }
    }
}

impl Expr {
    /// The selectors, each once, with how far into the past (in milliseconds, from the instant of
    /// evaluation) their samples are needed; at least a millisecond, should they look ahead only.
    #[must_use]
    pub fn selectors(&self) -> Vec<(Selector, i64)> {
        let mut found: Vec<(Selector, i64)> = Vec::new();
        self.root().visit_reaches(Instants::ONE, LOOKBACK_MS, &mut |selector, reach| {
            let lookback_ms = match reach {
                Reach::Around { back_ms, .. } => back_ms.max(1),
                Reach::Between { .. } => 1,
            };
            match found.iter_mut().find(|(other, _)| other == selector) {
                Some((_, longest)) => *longest = lookback_ms.max(*longest),
                None => found.push((selector.clone(), lookback_ms)),
            }
        });
        found
    }

    /// The selectors whose samples are not the newest alone, each with how far back they are read (in
    /// milliseconds): ranges, subqueries, offsets. None of an expression that takes what it can get
    /// (`and`, `or`, `unless`, `absent`), as that means something without them.
    #[must_use]
    pub fn windows(&self) -> Vec<(Selector, i64)> {
        let mut found: Vec<(Selector, i64)> = Vec::new();
        if self.root().takes_what_there_is() {
            return found;
        }
        self.each_window(&mut |selector, back_ms| match found
            .iter_mut()
            .find(|(other, _)| other == selector)
        {
            Some((_, longest)) => *longest = back_ms.max(*longest),
            None => found.push((selector.clone(), back_ms)),
        });
        found
    }

    /// How far back the value looks (in milliseconds), instant selectors' lookback aside.
    #[must_use]
    pub fn range_ms(&self) -> i64 {
        let mut longest_ms = 0;
        self.each_window(&mut |_, back_ms| longest_ms = back_ms.max(longest_ms));
        longest_ms
    }

    fn each_window(&self, visit: &mut impl FnMut(&Selector, i64)) {
        self.root().visit_reaches(Instants::ONE, 0, &mut |selector, reach| {
            if let Reach::Around { back_ms: back_ms @ 1.., .. } = reach {
                visit(selector, back_ms);
            }
        });
    }
}

impl Node {
    /// Whether a part of it is evaluated at other instants than the whole.
    pub(crate) fn has_subquery(&self) -> bool {
        let own = match self {
            Self::Range { source, .. } | Self::AbsentOverTime { source, .. } => {
                source.is_subquery()
            }
            _ => false,
        };
        own || self.children().into_iter().any(Self::has_subquery)
    }

    /// Calls back with every selector below, and what is read of it in evaluations at `instants`
    /// when an instant selector looks back `instant_ms`.
    pub(crate) fn visit_reaches(
        &self,
        instants: Instants,
        instant_ms: i64,
        visit: &mut impl FnMut(&Selector, Reach),
    ) {
        match self {
            Self::Select { selector, when } => {
                visit(selector, instants.seen(*when, instant_ms).reach());
            }
            Self::SampleTime { selector, when, lookback_ms } => {
                visit(selector, instants.seen(*when, instant_ms.min(*lookback_ms)).reach());
            }
            Self::Range { source, .. } | Self::AbsentOverTime { source, .. } => {
                source.visit_reaches(instants, instant_ms, visit);
            }
            _ => {}
        }
        for child in self.children() {
            child.visit_reaches(instants, instant_ms, visit);
        }
    }
}

impl Source {
    pub(crate) fn is_subquery(&self) -> bool {
        matches!(self, Self::Subquery { .. })
    }

    /// As of a node.
    pub(crate) fn visit_reaches(
        &self,
        instants: Instants,
        instant_ms: i64,
        visit: &mut impl FnMut(&Selector, Reach),
    ) {
        match self {
            Self::Series { selector, range_ms, when } => {
                visit(selector, instants.seen(*when, *range_ms).reach());
            }
            Self::Subquery { inner, range_ms, when, .. } => {
                inner.visit_reaches(instants.seen(*when, *range_ms), instant_ms, visit);
            }
        }
    }
}
