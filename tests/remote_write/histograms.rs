//! Native histograms: which are good, and what the sender of another one is told. Both versions have the same
//! message for them.

use portent::proto::prometheus_v2::histogram::{Count, ZeroCount};
use portent::proto::prometheus_v2::{BucketSpan, Histogram};
use portent::sample::STALE_NAN_BITS;
use prost::Message;

use super::message::{BOTH, Expected, Sent, Version, check, check_message, double, field};
use super::{NOW_MS, Server, V1};

fn span(offset: i32, length: u32) -> BucketSpan {
    BucketSpan { offset, length }
}

/// Two observations in the zero bucket, and buckets of 1, 3 and 2.
fn integers() -> Histogram {
    Histogram {
        count: Some(Count::CountInt(8)),
        sum: 18.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::ZeroCountInt(2)),
        positive_spans: vec![span(-1, 1), span(2, 1)],
        positive_deltas: vec![1, 2],
        negative_spans: vec![span(0, 1)],
        negative_deltas: vec![2],
        timestamp: NOW_MS,
        ..Histogram::default()
    }
}

/// The same with counts that need not be whole.
fn floats() -> Histogram {
    Histogram {
        count: Some(Count::CountFloat(8.0)),
        zero_count: Some(ZeroCount::ZeroCountFloat(2.0)),
        positive_deltas: vec![],
        positive_counts: vec![1.0, 3.0],
        negative_deltas: vec![],
        negative_counts: vec![2.0],
        ..integers()
    }
}

/// Buckets up to 0.5, 1 and +Inf.
fn custom() -> Histogram {
    Histogram {
        count: Some(Count::CountInt(6)),
        sum: 4.0,
        schema: -53,
        positive_spans: vec![span(0, 3)],
        positive_deltas: vec![1, 1, 1],
        custom_values: vec![0.5, 1.0],
        timestamp: NOW_MS,
        ..Histogram::default()
    }
}

fn sent(histograms: &[Histogram]) -> Sent<'static> {
    let histograms = histograms.iter().map(Message::encode_to_vec).collect();
    Sent { samples: vec![], histograms, ..Sent::up() }
}

/// What an answer says; what is in the rings is not asked here.
async fn answer(version: Version, histogram: &Histogram, status: u16, sentence: &str) {
    let server = Server::usual().await;
    let reply = server
        .post(version.headers(), &version.body(&[sent(std::slice::from_ref(histogram))]))
        .await;
    super::judge(&reply, status, sentence);
    let written = (version == Version::Second).then_some([0, u64::from(status == 204), 0]);
    assert_eq!(super::second::written(&reply), written, "{reply:?}");
}

async fn good(histogram: Histogram) {
    for version in BOTH {
        answer(version, &histogram, 204, "").await;
    }
}

async fn bad(histogram: Histogram, reason: &str) {
    let sentence = format!("1 histograms are invalid; for example: a histogram of up: {reason}");
    for version in BOTH {
        answer(version, &histogram, 400, &sentence).await;
    }
}

#[tokio::test]
async fn good_ones_are_counted_as_written() {
    good(integers()).await;
    good(floats()).await;
    good(custom()).await;
    let nothing = Histogram { timestamp: NOW_MS, ..Histogram::default() };
    good(nothing).await;
    let float_counts = Histogram {
        count: Some(Count::CountFloat(6.0)),
        positive_deltas: vec![],
        positive_counts: vec![1.0, 2.0, 3.0],
        ..custom()
    };
    good(float_counts).await;
    // Resolutions: those that there are, and finer ones, which become the finest of these.
    for schema in [-4, 0, 8, 9, 52] {
        good(Histogram { schema, ..integers() }).await;
        good(Histogram { schema, ..floats() }).await;
    }
    for reset_hint in [0, 1, 2, 3, 99] {
        good(Histogram { reset_hint, ..integers() }).await;
    }
}

#[tokio::test]
async fn observations_that_are_no_numbers_are_in_no_bucket() {
    let of = |sum, count| Histogram { sum, count: Some(Count::CountInt(count)), ..integers() };
    good(of(f64::NAN, 9)).await;
    good(of(f64::INFINITY, 8)).await;
    let more = "8 observations are in a histogram's buckets, more than its count of 7";
    bad(of(f64::NAN, 7), more).await;
    // The stale marker of a histogram.
    let stale = f64::from_bits(STALE_NAN_BITS);
    good(Histogram { sum: stale, timestamp: NOW_MS, ..Histogram::default() }).await;
}

#[tokio::test]
async fn the_schema_exists() {
    for schema in [-5, -52, -54, 53, 60, i32::MIN, i32::MAX] {
        let reason = format!(
            "histogram schema {schema} is neither exponential (-4 to 52) nor custom buckets (-53)"
        );
        bad(Histogram { schema, ..integers() }, &reason).await;
        bad(Histogram { schema, ..floats() }, &reason).await;
    }
}

#[tokio::test]
async fn buckets_add_up_to_the_count() {
    let of = |count| Histogram { count, ..integers() };
    let differ =
        |count| format!("8 observations are in a histogram's buckets, and its count is {count}");
    bad(of(Some(Count::CountInt(7))), &differ(7)).await;
    bad(of(Some(Count::CountInt(9))), &differ(9)).await;
    bad(of(None), &differ(0)).await;
    // Sums of floats differ in their last digits: they are not compared.
    good(Histogram { count: Some(Count::CountFloat(8.000001)), ..floats() }).await;
    // Counts of the other kind are none.
    let mixed = Some(ZeroCount::ZeroCountFloat(2.0));
    let six = "6 observations are in a histogram's buckets, and its count is 8";
    bad(Histogram { zero_count: mixed, ..integers() }, six).await;
}

#[tokio::test]
async fn no_bucket_has_less_than_nothing() {
    let negative = Histogram { positive_deltas: vec![1, -2], ..integers() };
    bad(negative, "positive bucket 2 of a histogram has -1 observations").await;
    let negative = Histogram { negative_deltas: vec![-1], ..integers() };
    bad(negative, "negative bucket 1 of a histogram has -1 observations").await;
    let negative = Histogram { positive_counts: vec![1.0, -0.5], ..floats() };
    bad(negative, "positive bucket 2 of a histogram has -0.5 observations").await;
    let beyond = Histogram { positive_deltas: vec![i64::MAX, 1], ..integers() };
    bad(beyond, "positive bucket 2 of a histogram has a count beyond 64 bits").await;
}

#[tokio::test]
async fn spans_ascend_and_are_as_long_as_there_are_buckets() {
    let of = |positive_spans| Histogram { positive_spans, ..integers() };
    let back = "positive span 2 of a histogram has the negative offset -1";
    bad(of(vec![span(-1, 1), span(-1, 1)]), back).await;
    let fewer = "positive spans of a histogram are of 1 buckets, and 2 were sent";
    bad(of(vec![span(0, 1)]), fewer).await;
    let more = "positive spans of a histogram are of 3 buckets, and 2 were sent";
    bad(of(vec![span(0, 3)]), more).await;
    // What is only claimed costs nothing.
    let claims = "positive spans of a histogram are of 12884901885 buckets, and 2 were sent";
    bad(of(vec![span(0, u32::MAX); 3]), claims).await;
    let none = "negative spans of a histogram are of 0 buckets, and 1 were sent";
    bad(Histogram { negative_spans: vec![], ..integers() }, none).await;
    good(of(vec![span(i32::MIN, 1), span(0, 0), span(7, 1)])).await;
}

#[tokio::test]
async fn custom_buckets_have_one_side_and_bounds_that_ascend() {
    let of = |custom_values| Histogram { custom_values, ..custom() };
    bad(of(vec![1.0, 0.5]), "custom bound 2 of a histogram is 0.5, after 1").await;
    bad(of(vec![1.0, 1.0]), "custom bound 2 of a histogram is 1, after 1").await;
    bad(of(vec![f64::NAN, 1.0]), "custom bound 1 of a histogram is NaN, after -inf").await;
    bad(of(vec![f64::NEG_INFINITY, 1.0]), "custom bound 1 of a histogram is -inf, after -inf")
        .await;
    let infinite = "the last custom bound of a histogram is +Inf, which must not be sent";
    bad(of(vec![1.0, f64::INFINITY]), infinite).await;
    let few = "1 custom bounds of a histogram do not reach as far as its spans, 3";
    bad(of(vec![1.0]), few).await;
    let zero = Histogram { zero_count: Some(ZeroCount::ZeroCountInt(1)), ..custom() };
    bad(zero, "a histogram with custom buckets has a zero count").await;
    let threshold = Histogram { zero_threshold: 0.1, ..custom() };
    bad(threshold, "a histogram with custom buckets has a zero threshold").await;
    let sided =
        Histogram { negative_spans: vec![span(0, 1)], negative_deltas: vec![1], ..custom() };
    bad(sided, "a histogram with custom buckets has negative spans or buckets").await;
    let below = Histogram { positive_spans: vec![span(-1, 3)], ..custom() };
    bad(below, "positive span 1 of a histogram has the negative offset -1").await;
    let exponential = Histogram { custom_values: vec![1.0], ..integers() };
    bad(exponential, "a histogram with exponential buckets has custom bounds").await;
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

/// Of the two kinds of counts the last one holds, as in every decoder of a `oneof`; deltas may be packed or not.
#[tokio::test]
async fn histograms_are_read_however_they_are_written() {
    let plain = Histogram { positive_deltas: vec![], ..integers() }.encode_to_vec();
    // 1 and 2 as differences, in three ways.
    for deltas in [&b"\x62\x02\x02\x04"[..], b"\x60\x02\x60\x04", b"\x62\x01\x02\x62\x00\x60\x04"] {
        let wrong_first = [double(2, 3.0), double(7, 1.0)].concat();
        let histogram = [&wrong_first[..], deltas, &plain].concat();
        for version in BOTH {
            let server = Server::usual().await;
            let one = Sent { histograms: vec![histogram.clone()], samples: vec![], ..Sent::up() };
            let reply = server.post(version.headers(), &version.body(&[one])).await;
            assert_eq!(reply.status, 204, "{reply:?}");
        }
    }
    // A message that is none makes the request none.
    for broken in
        [&b"\x08"[..], b"\x0a\x00", b"\x62\x01\xff", b"\x6a\x07\0\0\0\0\0\0\0", b"\x5a\x02\x08"]
    {
        for version in BOTH {
            let server = Server::usual().await;
            let message = [
                version.message(&[Sent::up()]),
                field(version.series(), &field(version.histogram(), broken)),
            ];
            let reply =
                server.post(version.headers(), &super::message::snappy(&message.concat())).await;
            assert_eq!(reply.status, 400, "{reply:?}");
            assert!(reply.body.starts_with("the body is not a protobuf message: "), "{reply:?}");
            assert!(server.stored().await.is_empty(), "nothing of it is taken in");
        }
    }
}
