//! Exemplars and metadata: a write never fails for them where it need not.

use super::message::{
    BOTH, Expected, Sent, Version, check, check_message, double, field, number, sample, varint,
};
use super::{NOW_MS, Server};

const NOW: &[(&str, &[(i64, f64)])] = &[("up", &[(0, 1.0)])];

/// A series with a sample and these exemplars: a success that counts so many of them.
async fn row(exemplars: &[&[(&str, &str)]], written: u64) {
    let exemplars: Vec<_> = exemplars.iter().map(|it| it.to_vec()).collect();
    let counts = [1, 0, written];
    let sent = Sent { exemplars, ..Sent::up() };
    check(&[sent], &Expected { status: 204, counts, sentence: "", stored: NOW }).await;
}

#[tokio::test]
async fn exemplars_are_taken_in() {
    row(&[&[("trace_id", "abc")]], 1).await;
    // Labels may be missing, and an exemplar may be there twice.
    row(&[&[]], 1).await;
    row(&[&[("trace_id", "abc")], &[("trace_id", "abc")], &[("trace_id", "d")]], 3).await;
    // OpenMetrics ends at 128 characters. What is longer is not written, and no error, as in Prometheus.
    row(&[&[("trace_id", &"x".repeat(120))]], 1).await;
    row(&[&[("trace_id", &"x".repeat(121))]], 0).await;
    row(&[&[("trace_id", &"\u{e4}".repeat(10_000))], &[("trace_id", "abc")]], 1).await;
}

/// Prometheus sends these, though the specification of 2.0 does not know them.
#[tokio::test]
async fn a_series_may_have_nothing_but_exemplars() {
    let sent = Sent { samples: vec![], exemplars: vec![vec![("trace_id", "abc")]], ..Sent::up() };
    check(&[sent], &Expected { status: 204, counts: [0, 0, 1], sentence: "", stored: &[] }).await;
}

#[tokio::test]
async fn exemplars_of_an_invalid_series_are_not_written() {
    let sent = Sent {
        labels: vec![(b"job", b"a")],
        exemplars: vec![vec![("trace_id", "abc")]; 2],
        ..Sent::up()
    };
    let sentence = "1 of 1 samples were not taken in: 1 of invalid series; 1 series are invalid; 2 \
                    exemplars are invalid; for example: a series has no metric name: {job=\"a\"}";
    check(&[sent], &Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] }).await;
}

/// A message of 2.0: `up` with a sample, and these fields after it.
fn second(rest: &[u8]) -> Vec<u8> {
    let symbols = [&b""[..], b"__name__", b"up"].map(|it| field(4, it)).concat();
    let series = [&field(1, &[1, 2])[..], &field(2, &sample(NOW_MS, 1.0)), rest].concat();
    [symbols, field(5, &series)].concat()
}

fn exemplar(refs: &[u64], time_ms: i64) -> Vec<u8> {
    let refs: Vec<u8> = refs.iter().flat_map(|it| number(*it)).collect();
    [field(1, &refs), double(2, 1.0), varint(3, time_ms.cast_unsigned())].concat()
}

#[tokio::test]
async fn an_exemplar_whose_references_are_bad_costs_only_itself() {
    let sentence = "1 exemplars are invalid; for example: an exemplar of up has no good labels";
    for refs in [&[1][..], &[1, 2, 1], &[1, 3], &[999, 2]] {
        let bad =
            [field(4, &exemplar(refs, NOW_MS)), field(4, &exemplar(&[1, 2], NOW_MS))].concat();
        let expected = Expected { status: 400, counts: [1, 0, 1], sentence, stored: NOW };
        check_message(&Server::usual().await, Version::Second, &second(&bad), &expected).await;
    }
}

/// Exemplars of 2.0 with these times after now, in the order of the message.
fn at(after_ms: &[i64]) -> Vec<u8> {
    after_ms
        .iter()
        .flat_map(|it| field(4, &exemplar(&[1, 2], NOW_MS.saturating_add(*it))))
        .collect()
}

/// The first exemplars of a series may be of any time but too far ahead, like samples: these are let go and are no
/// error, as in Prometheus.
#[tokio::test]
async fn exemplars_from_the_future_are_not_written() {
    for (after_ms, written) in
        [(&[600_000][..], 1), (&[600_001], 0), (&[i64::MAX], 0), (&[i64::MAX, 0, -NOW_MS, -1], 3)]
    {
        let expected = Expected { status: 204, counts: [1, 0, written], sentence: "", stored: NOW };
        check_message(&Server::usual().await, Version::Second, &second(&at(after_ms)), &expected)
            .await;
    }
}

/// A late exemplar is put in its place, as a late sample is, unless it is older than the newest of its series by more
/// than the series keeps: two minutes here, of which one is slack.
/// In 2.0 that is a partial failure; no exemplar makes a request of 1.0 fail.
#[tokio::test]
async fn exemplars_out_of_order_are_refused_beyond_the_retention() {
    const KEPT_MS: i64 = 120_000;
    let server = Server::usual().await;
    let ok = |written| Expected { status: 204, counts: [1, 0, written], sentence: "", stored: NOW };
    let send = async |after_ms: &[i64], expected: &Expected| {
        check_message(&server, Version::Second, &second(&at(after_ms)), expected).await;
    };
    // Within a request they are put into order.
    send(&[0, -1, -2 * KEPT_MS], &ok(3)).await;
    send(&[-1, -2, -KEPT_MS], &ok(3)).await;
    let sentence = "2 exemplars are out of order; for example: the exemplar of up at 1699999640000 ms is older than \
                    the newest one by more than is kept";
    let refused = Expected { status: 400, counts: [1, 0, 1], sentence, stored: NOW };
    send(&[-KEPT_MS - 1, -2, -3 * KEPT_MS], &refused).await;
    let late = field(3, &varint(3, (NOW_MS - 2 * KEPT_MS).cast_unsigned()));
    let first = field(1, &[&Version::First.message(&[Sent::up()])[2..], &late].concat());
    check_message(&server, Version::First, &first, &ok(0)).await;
}

/// No exemplar makes a request of 1.0 fail; but what is none makes it a message that is none.
#[tokio::test]
async fn exemplars_of_the_first_version_cost_only_themselves() {
    let series = Version::First.message(&[Sent::up()]);
    let inner = &series[2..];
    let with = |exemplar: &[u8]| field(1, &[inner, &field(3, exemplar)].concat());
    let expected = Expected { status: 204, counts: [1, 0, 1], sentence: "", stored: NOW };
    // Without anything, and of times that are impossible.
    for exemplar in
        [&b""[..], &double(2, f64::NAN), &varint(3, i64::MAX as u64), &varint(3, u64::MAX)]
    {
        check_message(&Server::usual().await, Version::First, &with(exemplar), &expected).await;
    }
    let sentence = "the body is not a protobuf message: it ends inside a field";
    let refused = Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] };
    check_message(&Server::usual().await, Version::First, &with(b"\xff\xff"), &refused).await;
}

/// Senders of 1.0 send metadata by itself, without a series.
#[tokio::test]
async fn metadata_alone_is_a_success() {
    let one = [varint(1, 1), field(2, b"up"), field(4, b"Help."), field(5, b"seconds")].concat();
    let metadata = [field(3, &one), field(3, b""), field(3, &varint(1, 99))].concat();
    let nothing = Expected { status: 204, counts: [0, 0, 0], sentence: "", stored: &[] };
    check_message(&Server::usual().await, Version::First, &metadata, &nothing).await;
    let with_series = [&metadata[..], &Version::First.message(&[Sent::up()]), &metadata].concat();
    let expected = Expected { status: 204, counts: [1, 0, 0], sentence: "", stored: NOW };
    check_message(&Server::usual().await, Version::First, &with_series, &expected).await;
}

/// Type, unit and help: known, unknown, in parts.
#[tokio::test]
async fn metadata_of_the_second_version_may_say_anything() {
    let of = |kind: u64, help: u64, unit: u64| {
        field(5, &[varint(1, kind), varint(3, help), varint(4, unit)].concat())
    };
    for rest in [
        vec![],
        of(0, 0, 0),
        of(1, 2, 2),
        of(99, 0, 0),
        [of(1, 0, 0), of(2, 1, 0)].concat(),
        // The time of creation, which was there until 2.0-rc.3.
        varint(6, NOW_MS.cast_unsigned()),
    ] {
        let expected = Expected { status: 204, counts: [1, 0, 0], sentence: "", stored: NOW };
        check_message(&Server::usual().await, Version::Second, &second(&rest), &expected).await;
    }
}

/// The specification does not know these; the official test suite sends one and expects a success.
#[tokio::test]
async fn a_series_may_have_nothing_but_metadata() {
    let series = |rest: &[u8]| {
        let symbols = [&b""[..], b"__name__", b"up"].map(|it| field(4, it)).concat();
        [symbols, field(5, &[&field(1, &[1, 2])[..], rest].concat())].concat()
    };
    let said = field(5, &[varint(1, 1), varint(3, 2)].concat());
    let server = Server::usual().await;
    let nothing = Expected { status: 204, counts: [0, 0, 0], sentence: "", stored: &[] };
    check_message(&server, Version::Second, &series(&said), &nothing).await;
    // One that says nothing at all.
    let sentence = "1 series are invalid; for example: a series has neither samples nor histograms: \
                    {__name__=\"up\"}";
    let refused = Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] };
    for rest in [&b""[..], &field(5, b"")] {
        check_message(&server, Version::Second, &series(rest), &refused).await;
    }
}

/// References to symbols that are not there: who knows what the labels would have been.
#[tokio::test]
async fn metadata_of_symbols_that_are_not_there_costs_its_series() {
    for (at, wrong) in [(3, 3), (3, 999), (4, 3), (4, 999)] {
        let metadata = field(5, &[varint(1, 1), varint(at, wrong)].concat());
        let exemplars = field(4, &exemplar(&[1, 2], NOW_MS));
        let good = field(5, &[field(1, &[1, 2]), field(2, &sample(NOW_MS, 2.0))].concat());
        let message = [second(&[metadata, exemplars].concat()), good].concat();
        let sentence = format!(
            "1 of 2 samples were not taken in: 1 of invalid series; 1 series are invalid; 1 exemplars are \
             invalid; for example: a series refers to symbol {wrong} of 3, which is not there: {{__name__=\"up\"}}"
        );
        let stored: &[(&str, &[(i64, f64)])] = &[("up", &[(0, 2.0)])];
        let expected = Expected { status: 400, counts: [1, 0, 0], sentence: &sentence, stored };
        check_message(&Server::usual().await, Version::Second, &message, &expected).await;
    }
}

/// Exemplars beside samples that are refused are taken in all the same.
#[tokio::test]
async fn exemplars_are_counted_beside_samples_that_are_refused() {
    for version in BOTH {
        let exemplars = vec![vec![("trace_id", "abc")]];
        let sent = Sent { samples: vec![(0, 1.0)], exemplars, ..Sent::up() };
        let sentence = "1 of 1 samples were not taken in: 1 too old; for example: the sample of up at 0 \
                        ms is older than what is kept";
        let expected = Expected { status: 400, counts: [0, 0, 1], sentence, stored: &[] };
        let message = version.message(&[sent]);
        check_message(&Server::usual().await, version, &message, &expected).await;
    }
}
