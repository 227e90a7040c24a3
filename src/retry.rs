//! Retry: when a sender that met a passing fault is to come again.
//!
//! In: what its request says about attempts before, and a random number. Out: seconds. Without spread the
//! senders that met one fault together would come again together.
//! Sources: RFC 9110 section 10.2.3 (Retry-After), remote-write specification 2.0 "Retries & Backoff"; the
//! header `Retry-Attempt` is that of Prometheus and client_golang, the formula that of Mimir.

use hyper::HeaderMap;
use rand::TryRng;
use rand::rngs::SysRng;

/// The header that counts the attempts before this one. The first attempt has none.
const RETRY_ATTEMPT: &str = "retry-attempt";

/// The wait after the first attempt. Most faults are a full queue, which is empty again within a second.
const BASE_SECONDS: f64 = 1.0;

/// The longest wait, before it is spread. Prometheus waits five seconds at most on its own (`max_backoff`)
/// and stops one of its shards for as long: more would keep its samples back after the fault has passed.
const CAP_SECONDS: f64 = 5.0;

/// A wait is spread over its half to its one and a half, as in Mimir.
const SPREAD: f64 = 0.5;

/// How often a request was tried before: 0 for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt(u64);

impl Attempt {
    /// The first one.
    pub const FIRST: Self = Self(0);

    /// One of many, which waits longest.
    pub const LATE: Self = Self(u64::MAX);

    /// What the headers of a request say; where they make no sense it is the first one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(RETRY_ATTEMPT).and_then(|value| value.to_str().ok());
        text.and_then(|text| text.trim().parse().ok()).map_or(Self::FIRST, Self)
    }

    /// Whole seconds after which to try again: the value of a `Retry-After`.
    #[must_use]
    pub fn retry_after(self) -> u32 {
        self.after_seconds(random())
    }

    /// At least one second; `random` is from 0 to 1. It doubles with each attempt until the cap; the first one
    /// and its first repetition wait equally long, as they do in Mimir.
    fn after_seconds(self, random: f64) -> u32 {
        // Far beyond the cap, and far from where a power of two ends.
        let doublings = self.0.saturating_sub(1).min(30) as i32;
        let wait = (BASE_SECONDS * 2_f64.powi(doublings)).min(CAP_SECONDS);
        (wait * (1.0 - SPREAD + 2.0 * SPREAD * random)).ceil().max(1.0) as u32
    }
}

/// A random number from 0 to 1, of the system; the middle where that has none to give.
fn random() -> f64 {
    SysRng.try_next_u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_makes_no_sense_is_a_first_attempt() {
        for (value, expected) in [
            (None, 0),
            (Some(""), 0),
            (Some("one"), 0),
            (Some("2.0"), 0),
            (Some("2, 3"), 0),
            (Some("-2"), 0),
            (Some("0"), 0),
            (Some("1"), 1),
            (Some(" 2 "), 2),
            (Some("3"), 3),
            (Some("1000"), 1000),
            (Some("9223372036854775807"), i64::MAX as u64),
            (Some("18446744073709551615"), u64::MAX),
            (Some("18446744073709551616"), 0),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(RETRY_ATTEMPT, value.parse().expect("a header value"));
            }
            assert_eq!(Attempt::of(&headers), Attempt(expected), "{value:?}");
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_are_spread() {
        for (attempt, least, middle, most) in [
            (0, 1, 1, 2),
            (1, 1, 1, 2),
            (2, 1, 2, 3),
            (3, 2, 4, 6),
            (4, 3, 5, 8),
            (5, 3, 5, 8),
            (1000, 3, 5, 8),
            (u64::MAX, 3, 5, 8),
        ] {
            let found = [0.0, 0.5, 1.0].map(|random| Attempt(attempt).after_seconds(random));
            assert_eq!(found, [least, middle, most], "attempt {attempt}");
        }
    }

    #[test]
    fn random_numbers_are_spread_evenly() {
        let numbers: Vec<f64> = (0..1_000).map(|_| random()).collect();
        assert!(numbers.iter().all(|it| (0.0..=1.0).contains(it)));
        for quarter in 0..4 {
            let is_in = |it: &&f64| (**it * 4.0).floor() as i32 == quarter;
            let count = numbers.iter().filter(is_in).count();
            assert!((150..350).contains(&count), "{count} in quarter {quarter}");
        }
    }
}
