//! Samples: which times and values are taken in, in both versions, and what an answer counts.

use portent::sample::STALE_NAN_BITS;

use super::message::{BOTH, Expected, Sent, Version, check, check_message};
use super::{NOW_MS, Server};

const MINUTE_MS: i64 = 60_000;

fn up(samples: &[(i64, f64)]) -> Sent<'static> {
    Sent::new(&[("__name__", "up")], samples)
}

/// Samples after `NOW_MS`, how many are refused and why, and what is stored.
async fn row(after: &[(i64, f64)], refused: u64, reason: &str, stored: &[(i64, f64)]) {
    let samples: Vec<_> = after.iter().map(|(ms, value)| (NOW_MS + ms, *value)).collect();
    let count = samples.len() as u64;
    let sentence = format!("{refused} of {count} samples were not taken in: {refused} {reason}");
    let all: &[(&str, &[(i64, f64)])] = &[("up", stored)];
    let expected = Expected {
        status: if refused > 0 { 400 } else { 204 },
        counts: [count - refused, 0, 0],
        sentence: if refused > 0 { &sentence } else { "" },
        stored: if stored.is_empty() { &[] } else { all },
    };
    check(&[up(&samples)], &expected).await;
}

#[tokio::test]
async fn times_are_near_now() {
    row(&[(0, 1.0)], 0, "", &[(0, 1.0)]).await;
    row(&[(-MINUTE_MS, 1.0), (-1, 2.0)], 0, "", &[(-MINUTE_MS, 1.0), (-1, 2.0)]).await;
    // Ten minutes ahead, as Prometheus allows.
    row(&[(10 * MINUTE_MS, 1.0)], 0, "", &[(10 * MINUTE_MS, 1.0)]).await;
    let ahead = "too far in the future; for example: the sample of up at 1700000600001 ms is 10m1ms \
                 ahead of this machine's clock, more than storage.max_future (10m) allows";
    row(&[(0, 1.0), (10 * MINUTE_MS + 1, 2.0)], 1, ahead, &[(0, 1.0)]).await;
}

#[tokio::test]
async fn what_is_older_than_what_is_kept_is_refused() {
    let old = |time_ms: i64| {
        format!("too old; for example: the sample of up at {time_ms} ms is older than what is kept")
    };
    // A series that begins, and one that has begun.
    row(&[(-60 * MINUTE_MS, 1.0)], 1, &old(NOW_MS - 60 * MINUTE_MS), &[]).await;
    let both = [(-60 * MINUTE_MS, 1.0), (0, 2.0)];
    row(&both, 1, &old(NOW_MS - 60 * MINUTE_MS), &[(0, 2.0)]).await;
    // Before 1970, and where milliseconds begin.
    row(&[(-NOW_MS - 1, 1.0)], 1, &old(-1), &[]).await;
    // An empty message is the value 0 at the time 0.
    row(&[(-NOW_MS, 0.0)], 1, &old(0), &[]).await;
}

#[tokio::test]
async fn the_first_and_the_last_time_there_are_break_nothing() {
    for (time_ms, begin) in [(i64::MIN, "1 too old"), (i64::MAX, "1 too far in the future")] {
        for version in BOTH {
            let server = Server::usual().await;
            let body = version.body(&[up(&[(NOW_MS, 1.0), (time_ms, 2.0)])]);
            let reply = server.post(version.headers(), &body).await;
            assert_eq!(reply.status, 400, "{reply:?}");
            let begin = format!("1 of 2 samples were not taken in: {begin}; for example: ");
            assert!(reply.body.starts_with(&begin), "{reply:?}");
            assert_eq!(server.stored().await[0].1.len(), 1);
        }
    }
}

#[tokio::test]
async fn samples_out_of_order_find_their_place() {
    row(&[(2, 2.0), (0, 0.5), (1, 1.0)], 0, "", &[(0, 0.5), (1, 1.0), (2, 2.0)]).await;
}

#[tokio::test]
async fn what_is_there_already_is_a_success() {
    row(&[(0, 1.0), (0, 1.0), (1, 1.0), (0, 1.0)], 0, "", &[(0, 1.0), (1, 1.0)]).await;
}

#[tokio::test]
async fn another_value_for_a_time_is_refused() {
    let conflict = "with another value than before; for example: the sample of up at 1700000000000 ms \
                    has another value than the sample already there";
    row(&[(0, 1.0), (0, 2.0), (1, 3.0)], 1, conflict, &[(0, 1.0), (1, 3.0)]).await;
    // The bits are compared, as Prometheus does.
    row(&[(0, 0.0), (0, -0.0)], 1, conflict, &[(0, 0.0)]).await;
    let stale = f64::from_bits(STALE_NAN_BITS);
    row(&[(0, stale), (0, f64::from_bits(0x7ff8_0000_0000_0001))], 1, conflict, &[(0, stale)])
        .await;
}

/// A stale marker is one particular NaN, and a signalling one.
#[tokio::test]
async fn values_keep_their_bits() {
    for bits in [
        STALE_NAN_BITS,
        0x7ff8_0000_0000_0001,
        0xfff8_0000_0000_0000,
        0x7ff0_0000_0000_0001,
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        f64::MAX.to_bits(),
        1,
        (-0.0_f64).to_bits(),
        0,
    ] {
        let value = f64::from_bits(bits);
        // Twice: a NaN is equal to itself here.
        row(&[(0, value), (0, value)], 0, "", &[(0, value)]).await;
    }
}

#[tokio::test]
async fn what_is_good_of_a_request_is_stored_and_counted() {
    let good = Sent::new(&[("__name__", "kept")], &[(NOW_MS, 1.0), (NOW_MS + 1, 2.0)]);
    let unwanted = Sent::new(&[("__name__", "other")], &[(NOW_MS, 1.0); 2]);
    let old = Sent::new(&[("__name__", "up")], &[(0, 1.0), (1, 1.0)]);
    let nameless = Sent::new(&[("a", "1")], &[(NOW_MS, 1.0); 3]);
    let sentence = "5 of 9 samples were not taken in: 2 too old, 3 of invalid series; 1 series are \
                    invalid; for example: a series has no metric name: {a=\"1\"}; the sample of up at 0 \
                    ms is older than what is kept";
    let stored: &[(&str, &[(i64, f64)])] = &[("kept", &[(0, 1.0), (1, 2.0)])];
    let expected = Expected { status: 400, counts: [4, 0, 0], sentence, stored };
    check(&[nameless, old, unwanted, good], &expected).await;
}

/// The answer may have been lost: whatever is sent a second time is answered as the first time.
#[tokio::test]
async fn a_request_that_comes_again_is_answered_alike() {
    for version in BOTH {
        let server = Server::usual().await;
        let message = version.message(&[up(&[(NOW_MS, 1.0), (NOW_MS + 1, 2.0), (0, 3.0)])]);
        let sentence = "1 of 3 samples were not taken in: 1 too old; for example: the sample of up at 0 \
                        ms is older than what is kept";
        let stored: &[(&str, &[(i64, f64)])] = &[("up", &[(0, 1.0), (1, 2.0)])];
        let expected = Expected { status: 400, counts: [2, 0, 0], sentence, stored };
        for _ in 0..3 {
            check_message(&server, version, &message, &expected).await;
        }
    }
}

/// Nothing is a request, and a series without samples is one in 1.0 only.
#[tokio::test]
async fn nothing_is_a_success() {
    let nothing = |status, sentence| Expected { status, counts: [0, 0, 0], sentence, stored: &[] };
    check(&[], &nothing(204, "")).await;
    let server = Server::usual().await;
    let empty = |version: Version| version.message(&[up(&[])]);
    check_message(&server, Version::First, &empty(Version::First), &nothing(204, "")).await;
    let sentence = "1 series are invalid; for example: a series has neither samples nor histograms: \
                    {__name__=\"up\"}";
    check_message(&server, Version::Second, &empty(Version::Second), &nothing(400, sentence)).await;
}
