//! Bunches: when a server is asked for the past of the entities that have come to a model.
//!
//! In: the time, and how many newcomers there are at each evaluation. Out: whether to ask now, for all of them
//! at once. A deployment brings its hosts within minutes: a bunch is closed when the longest range is covered
//! for all of its hosts, and stays open no longer than that range.
//!
//! Invariant: in the long run a model asks at most once in [`PAUSE`], and takes a tenth of a server's time.

use std::time::Duration;

use crate::detect::Newcomers;

/// From one bunch to the next in the long run: an autoscaler that makes hosts all day asks six times an hour,
/// which costs a server as much as a dashboard that is opened as often.
const PAUSE: Duration = Duration::from_secs(600);

/// So many bunches may come without a pause after a long one: a deployment comes in a few, and a host that
/// comes alone does not wait.
const AT_ONCE: u32 = 3;

/// A bunch whose answer took long is followed by a pause of so many times that.
const REST: u32 = 9;

/// The bunches of one model. Times are since any moment that stays the same.
#[derive(Debug)]
pub(super) struct Bunches {
    /// How far back the longest range of the model's features looks.
    range: Duration,
    /// Since when somebody could have been asked for.
    open_since: Option<Duration>,
    /// When all that was asked is paid for, at the pace of the long run.
    paid: Duration,
}

impl Bunches {
    /// Of a model that has asked for nobody.
    pub(super) fn new(range: Duration) -> Self {
        Self { range, open_since: None, paid: Duration::ZERO }
    }

    /// Of a model that has asked before, nobody knows how often: a pause comes first.
    pub(super) fn again(range: Duration, now: Duration) -> Self {
        Self { paid: now + PAUSE * AT_ONCE, ..Self::new(range) }
    }

    /// Whether to ask for those who are covered now.
    pub(super) fn is_due(&mut self, now: Duration, newcomers: Newcomers) -> bool {
        if newcomers.covered == 0 {
            self.open_since = None;
            return false;
        }
        let open_since = *self.open_since.get_or_insert(now);
        let is_closed = newcomers.waiting == 0 || now.saturating_sub(open_since) >= self.range;
        is_closed && self.paid <= now + PAUSE * (AT_ONCE - 1)
    }

    /// A bunch has been asked for, whatever came of it, which took so long.
    pub(super) fn asked(&mut self, now: Duration, took: Duration) {
        self.open_since = None;
        self.paid = self.paid.max(now) + PAUSE.max(took * REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: u64 = 120;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn bunches() -> Bunches {
        Bunches::new(seconds(RANGE))
    }

    /// Hosts that come at these seconds, looked at every 15 s: when those are asked for that are covered, and
    /// how many they are.
    fn run(mut bunches: Bunches, arrivals: &[u64], until: u64) -> Vec<(u64, usize)> {
        let (mut asked, mut known) = (Vec::new(), 0);
        for now in (0..until).step_by(15) {
            let covered = arrivals.iter().filter(|it| **it + RANGE <= now).count();
            let here = arrivals.iter().filter(|it| **it <= now).count();
            let newcomers = Newcomers { covered: covered - known, waiting: here - covered };
            if bunches.is_due(seconds(now), newcomers) {
                asked.push((now, newcomers.covered));
                known = covered;
                bunches.asked(seconds(now), seconds(2));
            }
        }
        asked
    }

    #[test]
    fn nobody_is_asked_for_where_nobody_is_covered() {
        assert_eq!(run(bunches(), &[], 1_000), []);
        assert_eq!(run(bunches(), &[900], 1_000), []);
    }

    #[test]
    fn one_is_asked_for_as_soon_as_it_is_covered_and_never_again() {
        assert_eq!(run(bunches(), &[0], 50_000), [(120, 1)]);
        assert_eq!(run(bunches(), &[3_000], 50_000), [(3_120, 1)]);
    }

    #[test]
    fn those_that_come_together_are_asked_for_together() {
        // Within a scrape interval, and within a range.
        assert_eq!(run(bunches(), &[0, 5, 10, 14], 9_000), [(135, 4)]);
        assert_eq!(run(bunches(), &[0, 60, 110], 9_000), [(240, 3)]);
        // Two hundred within ten minutes.
        let deployment: Vec<u64> = (0..200).map(|i| 3 * i).collect();
        let asked = run(bunches(), &deployment, 9_000);
        assert_eq!(asked, [(240, 41), (375, 45), (510, 45), (840, 69)]);
    }

    #[test]
    fn who_never_ends_to_come_costs_no_more_than_this() {
        let day: Vec<u64> = (0..8_640).map(|i| 10 * i).collect();
        let asked = run(bunches(), &day, 86_400);
        let most = AT_ONCE as usize + (86_400 / PAUSE.as_secs()) as usize;
        assert!(asked.len() <= most && asked.len() > most - 10, "{}", asked.len());
        for hour in (0..86_400).step_by(600) {
            let within = asked.iter().filter(|it| (hour..hour + 3_600).contains(&it.0)).count();
            assert!(within <= AT_ONCE as usize + 6, "{within} in the hour from {hour}");
        }
        // Nobody is left out.
        let total: usize = asked.iter().map(|it| it.1).sum();
        assert!(8_640 - total <= 600 / 10 + RANGE as usize / 10 + 2, "{total}");
        // After an hour without any they may come at once again.
        let mut rested = bunches();
        (0..9).for_each(|_| rested.asked(seconds(0), seconds(2)));
        let one = Newcomers { covered: 1, waiting: 0 };
        assert!(!rested.is_due(seconds(3_000), one));
        assert!(rested.is_due(seconds(9 * 600), one));
    }

    #[test]
    fn a_server_that_takes_long_is_left_alone_for_longer() {
        let one = Newcomers { covered: 1, waiting: 0 };
        let mut bunches = bunches();
        bunches.asked(seconds(300), seconds(300));
        // A second one is still within what may come at once, as it is paid for at 3,000 s.
        assert!(!bunches.is_due(seconds(1_799), one));
        assert!(bunches.is_due(seconds(1_800), one));
    }

    #[test]
    fn a_model_that_asked_before_waits_first() {
        let one = Newcomers { covered: 1, waiting: 0 };
        let mut bunches = Bunches::again(seconds(RANGE), seconds(1_000));
        assert!(!bunches.is_due(seconds(1_599), one));
        assert!(bunches.is_due(seconds(1_600), one));
    }

    #[test]
    fn a_clock_that_stands_still_or_nobody_in_between_does_no_harm() {
        let mut bunches = bunches();
        let some = Newcomers { covered: 1, waiting: 1 };
        assert!(!bunches.is_due(seconds(50), some));
        assert!(!bunches.is_due(seconds(40), some));
        // They went; others come later.
        assert!(!bunches.is_due(seconds(100), Newcomers { covered: 0, waiting: 1 }));
        assert!(!bunches.is_due(seconds(200), some));
        assert!(bunches.is_due(seconds(320), some));
    }
}
