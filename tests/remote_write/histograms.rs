//! Native histograms: what the sender of good and of bad ones is told. Both versions have the same message for
//! them; which ones are good, the tests beside its decoder say.

use portent::proto::prometheus_v2::histogram::Count;
use portent::proto::prometheus_v2::{BucketSpan, Histogram};
use portent::sample::STALE_NAN_BITS;
use prost::Message;

use super::message::{BOTH, Expected, Sent, Version, check, check_message, field};
use super::{NOW_MS, Server, V1};

/// An observation.
fn integers() -> Histogram {
    Histogram {
        count: Some(Count::CountInt(1)),
        sum: 0.75,
        positive_spans: vec![BucketSpan { offset: 0, length: 1 }],
        positive_deltas: vec![1],
        timestamp: NOW_MS,
        ..Histogram::default()
    }
}

/// With counts that need not be whole.
fn floats() -> Histogram {
    Histogram {
        count: Some(Count::CountFloat(1.5)),
        positive_deltas: vec![],
        positive_counts: vec![1.5],
        ..integers()
    }
}

fn sent(histograms: &[Histogram]) -> Sent<'static> {
    let histograms = histograms.iter().map(Message::encode_to_vec).collect();
    Sent { samples: vec![], histograms, ..Sent::up() }
}

/// What an answer says, and how many histograms it counts; what is in the rings is not asked here.
async fn answer(histogram: &Histogram, status: u16, sentence: &str) {
    for version in BOTH {
        let server = Server::usual().await;
        let body = version.body(&[sent(std::slice::from_ref(histogram))]);
        let reply = server.post(version.headers(), &body).await;
        super::judge(&reply, status, sentence);
        let written = (version == Version::Second).then_some([0, u64::from(status == 204), 0]);
        assert_eq!(super::second::written(&reply), written, "{reply:?}");
    }
}

#[tokio::test]
async fn good_ones_are_counted_as_written() {
    let nothing = Histogram { timestamp: NOW_MS, ..Histogram::default() };
    let stale = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..nothing.clone() };
    let custom = Histogram { schema: -53, custom_values: vec![1.0], ..integers() };
    let finest = Histogram { schema: 52, ..integers() };
    for histogram in [integers(), floats(), custom, finest, nothing, stale] {
        answer(&histogram, 204, "").await;
    }
}

#[tokio::test]
async fn of_a_bad_one_the_rule_that_it_breaks_is_said() {
    let count = Some(Count::CountInt(2));
    let unequal = Histogram { count, ..integers() };
    let negative = Histogram { positive_counts: vec![-0.5], ..floats() };
    for (histogram, rule) in [
        (unequal, "1 observations are in a histogram's buckets, and its count is 2"),
        (negative, "positive bucket 1 of a histogram has -0.5 observations"),
    ] {
        let sentence = format!("1 histograms are invalid; for example: a histogram of up: {rule}");
        answer(&histogram, 400, &sentence).await;
    }
}

/// Of a series with bad histograms the good ones are taken in, and other series are none the worse.
#[tokio::test]
async fn a_bad_histogram_costs_only_itself() {
    let broken = Histogram { schema: 60, ..integers() };
    let histograms = [broken.clone(), integers(), broken];
    let other = Sent::new(&[("__name__", "kept")], &[(NOW_MS, 1.0)]);
    for version in BOTH {
        let server = Server::usual().await;
        let body = version.body(&[sent(&histograms), other.clone()]);
        let reply = server.post(version.headers(), &body).await;
        let sentence = "2 histograms are invalid; for example: a histogram of up: histogram schema 60 is \
                        neither exponential (-4 to 52) nor custom buckets (-53)";
        super::judge(&reply, 400, sentence);
        let written = (version == Version::Second).then_some([1, 1, 0]);
        assert_eq!(super::second::written(&reply), written);
        assert!(server.stored().await.iter().any(|it| it.0 == "kept" && it.1.len() == 1));
    }
}

#[tokio::test]
async fn histograms_of_an_invalid_series_are_not_written() {
    let nameless = Sent { labels: vec![(b"job", b"a")], ..sent(&[integers(), floats()]) };
    let sentence = "1 series are invalid; 2 histograms are invalid; for example: a series has no metric \
                    name: {job=\"a\"}";
    check(&[nameless], &Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] }).await;
}

/// The specification of 2.0 forbids it; that of 1.0 says nothing of it, and what both are good for is taken in.
#[tokio::test]
async fn a_series_has_samples_or_histograms() {
    let later = Histogram { timestamp: NOW_MS + 1_000, ..integers() };
    let both = Sent { samples: vec![(NOW_MS, 1.0)], ..sent(&[later]) };
    let reply =
        Server::usual().await.post(V1, &Version::First.body(std::slice::from_ref(&both))).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let sentence = "1 of 1 samples were not taken in: 1 of invalid series; 1 series are invalid; 1 \
                    histograms are invalid; for example: a series has both samples and histograms: \
                    {__name__=\"up\"}";
    let expected = Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] };
    let message = Version::Second.message(&[both]);
    check_message(&Server::usual().await, Version::Second, &message, &expected).await;
}

/// A histogram that is no message makes the request none.
#[tokio::test]
async fn nothing_is_taken_in_with_a_broken_histogram() {
    for version in BOTH {
        let server = Server::usual().await;
        let broken = field(version.series(), &field(version.histogram(), b"\x08"));
        let message = [version.message(&[Sent::up()]), broken].concat();
        let reply = server.post(version.headers(), &super::message::snappy(&message)).await;
        let sentence = "the body is not a protobuf message: it ends inside a field";
        super::judge(&reply, 400, sentence);
        assert!(server.stored().await.is_empty(), "nothing of it is taken in");
    }
}
