//! Changes: from which time on the store differs from what somebody saw of it before.
//!
//! Whoever keeps results of past instants asks with the mark of its last look; results of instants
//! before the answer still hold. Only samples that were put in count: what falls out of a ring is
//! too old for every instant that anybody still looks at.

/// The most steps of the staircase. Marks older than what is kept exactly get an earlier time than
/// they need, which costs work and never a wrong result.
const MAX_STEPS: usize = 256;

/// A moment in the life of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark(u64);

/// For each mark the oldest sample that came after it: a staircase of suffix minima.
#[derive(Debug, Default)]
pub(super) struct Changes {
    now: u64,
    /// Both rise: the newest moment at which so old a sample came.
    steps: Vec<(u64, i64)>,
}

impl Changes {
    /// The present moment.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.now)
    }

    /// Samples came, the oldest of this time.
    pub(super) fn add(&mut self, oldest_ms: i64) {
        self.now += 1;
        while self.steps.last().is_some_and(|(_, ms)| *ms >= oldest_ms) {
            self.steps.pop();
        }
        if self.steps.len() == MAX_STEPS {
            // Both halves as one step each: later than each of them, older than each of them.
            let pairs = self.steps.chunks(2).map(|pair| (pair[pair.len() - 1].0, pair[0].1));
            self.steps = pairs.collect();
        }
        self.steps.push((self.now, oldest_ms));
    }

    /// The time of the oldest sample that came after the mark; `i64::MAX` when none did.
    pub(super) fn oldest_since(&self, mark: Mark) -> i64 {
        let after = self.steps.partition_point(|(moment, _)| *moment <= mark.0);
        self.steps.get(after).map_or(i64::MAX, |(_, ms)| *ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tells_the_oldest_since_a_mark() {
        let mut changes = Changes::default();
        let start = changes.mark();
        assert_eq!(changes.oldest_since(start), i64::MAX);
        changes.add(10);
        let first = changes.mark();
        changes.add(30);
        assert_eq!((changes.oldest_since(start), changes.oldest_since(first)), (10, 30));
        changes.add(20);
        assert_eq!((changes.oldest_since(start), changes.oldest_since(first)), (10, 20));
        assert_eq!(changes.oldest_since(changes.mark()), i64::MAX);
    }

    proptest! {
        /// Never later than the truth, and exact for as many steps as are kept.
        #[test]
        fn never_promises_too_much(times in proptest::collection::vec(-9i64..9_999, 1..900)) {
            let mut changes = Changes::default();
            let mut marks = Vec::new();
            for time in &times {
                marks.push(changes.mark());
                changes.add(*time);
                prop_assert!(changes.steps.len() <= MAX_STEPS);
            }
            for (i, mark) in marks.iter().enumerate() {
                let truth = times[i..].iter().min().copied().unwrap_or(i64::MAX);
                let told = changes.oldest_since(*mark);
                prop_assert!(told <= truth);
                if times.len() - i < MAX_STEPS / 2 {
                    prop_assert_eq!(told, truth);
                }
            }
        }
    }
}
