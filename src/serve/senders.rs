//! Senders: who pushes samples, each named once.
//!
//! In: the sender of a request, and the time. Out: the senders to name now. Invariants: at most [`MOST`] senders
//! are remembered, and no further one is named until one of them has been silent for a day; in [`PAUSE_MS`] at
//! most a few are named, and the others are counted. A sender is an address and a user agent: one that changes
//! these at every request is named no more often than that.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::duration::DAY_MS;
use crate::remote_write::Protocol;

/// Senders that are remembered: ten times what a large site has. With the longest names they take half a
/// megabyte.
const MOST: usize = 1_000;

/// Who has been silent for so long makes room: a day, in which every job has run.
const SILENT_MS: i64 = DAY_MS;

/// Senders are named once in this time.
const PAUSE_MS: i64 = 10_000;

/// And then so many at most.
const MOST_NAMED: usize = 3;

/// Who pushes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sender {
    /// Without it the connection had gone before it was asked for.
    pub(super) address: Option<IpAddr>,
    /// As in its header, clipped.
    pub(super) user_agent: String,
    /// What it speaks: one that changes is another sender.
    pub(super) protocol: Protocol,
}

/// The senders that are known.
#[derive(Debug, Default)]
pub(super) struct Senders {
    /// With the time of the last request.
    heard_ms: HashMap<Sender, i64>,
    /// To be named.
    new: Vec<Sender>,
    /// To be counted.
    more: usize,
    told_ms: Option<i64>,
}

impl Senders {
    /// A request was taken.
    pub(super) fn heard(&mut self, sender: Sender, now_ms: i64) {
        if let Some(heard_ms) = self.heard_ms.get_mut(&sender) {
            *heard_ms = now_ms;
            return;
        }
        if self.heard_ms.len() >= MOST {
            let is_silent = |heard_ms: i64| !(0..SILENT_MS).contains(&(now_ms - heard_ms));
            self.heard_ms.retain(|_, heard_ms| !is_silent(*heard_ms));
        }
        if self.heard_ms.len() >= MOST {
            return;
        }
        match self.new.len() {
            MOST_NAMED.. => self.more += 1,
            _ => self.new.push(sender.clone()),
        }
        self.heard_ms.insert(sender, now_ms);
    }

    /// Those to name now, and how many more there are.
    pub(super) fn take(&mut self, now_ms: i64) -> (Vec<Sender>, usize) {
        let waits = |told_ms: i64| (0..PAUSE_MS).contains(&(now_ms - told_ms));
        if self.new.is_empty() || self.told_ms.is_some_and(waits) {
            return (Vec::new(), 0);
        }
        self.told_ms = Some(now_ms);
        (std::mem::take(&mut self.new), std::mem::take(&mut self.more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(i: u32) -> Sender {
        let address = Some(IpAddr::from(i.to_be_bytes()));
        Sender { address, user_agent: "Prometheus/3.5.0".to_owned(), protocol: Protocol::V1 }
    }

    #[test]
    fn each_is_named_once() {
        let mut senders = Senders::default();
        for now_ms in [0, 1, 20_000, 40_000] {
            senders.heard(sender(1), now_ms);
            let (named, more) = senders.take(now_ms);
            assert_eq!((named.len(), more), (usize::from(now_ms == 0), 0), "{now_ms}");
        }
        let other = Sender { user_agent: "vmagent".to_owned(), ..sender(1) };
        senders.heard(other.clone(), 50_000);
        assert_eq!(senders.take(50_000), (vec![other], 0));
    }

    #[test]
    fn many_at_once_are_a_few_names_and_a_count() {
        let mut senders = Senders::default();
        senders.heard(sender(0), 0);
        assert_eq!(senders.take(0), (vec![sender(0)], 0));
        (1..=500).for_each(|i| senders.heard(sender(i), 1));
        assert_eq!(senders.take(PAUSE_MS - 1), (Vec::new(), 0));
        assert_eq!(senders.take(PAUSE_MS), ((1..=3).map(sender).collect(), 497));
        assert_eq!(senders.take(2 * PAUSE_MS), (Vec::new(), 0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut senders = Senders::default();
        (0..5_000).for_each(|i| senders.heard(sender(i), 0));
        let (named, more) = senders.take(0);
        assert_eq!((named.len() + more, senders.heard_ms.len()), (MOST, MOST));
        senders.heard(sender(6_000), SILENT_MS - 1);
        assert!(senders.take(SILENT_MS - 1).0.is_empty(), "there is no room for it");
        senders.heard(sender(6_000), SILENT_MS);
        assert_eq!(senders.take(SILENT_MS), (vec![sender(6_000)], 0));
        assert_eq!(senders.heard_ms.len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence() {
        let mut senders = Senders::default();
        senders.heard(sender(1), 1_000_000);
        assert_eq!(senders.take(1_000_000).0.len(), 1);
        senders.heard(sender(2), 0);
        assert_eq!(senders.take(0).0.len(), 1);
    }
}
