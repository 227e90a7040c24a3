//! The wire: messages as no encoder of Prometheus writes them. What every decoder of protobuf reads is read; what
//! none reads makes the request none, and nothing of it is taken in.

use super::message::{
    BOTH, Expected, Sent, Text, Version, check_message, double, field, label, number, sample,
    snappy, varint,
};
use super::{NOW_MS, Server, judge};

const NOW: &[(&str, &[(i64, f64)])] = &[("up", &[(0, 1.0)])];

/// A field in four bytes.
fn fixed32(at: u64) -> Vec<u8> {
    [&number(at << 3 | 5)[..], &[1, 2, 3, 4]].concat()
}

/// Fields that nobody knows, of every type.
fn unknown() -> Vec<u8> {
    [varint(100, u64::MAX), double(101, 1.0), field(102, b"\xff\x00"), fixed32(103)].concat()
}

/// The labels of `up`: of 1.0, or of 2.0 as two numbers.
fn up(version: Version) -> Vec<u8> {
    match version {
        Version::First => field(1, &label(b"__name__", b"up")),
        Version::Second => field(1, &[1, 2]),
    }
}

/// A message with this series, and the symbols of `up` where there are symbols.
fn message(version: Version, series: &[u8]) -> Vec<u8> {
    [symbols(version), field(version.series(), series)].concat()
}

fn symbols(version: Version) -> Vec<u8> {
    match version {
        Version::First => vec![],
        Version::Second => {
            let all: [Text<'_>; 3] = [b"", b"__name__", b"up"];
            all.map(|it| field(4, it)).concat()
        }
    }
}

/// It is `up` with the value 1 of now.
async fn is_up(version: Version, message: &[u8]) {
    let expected = Expected { status: 204, counts: [1, 0, 0], sentence: "", stored: NOW };
    check_message(&Server::usual().await, version, message, &expected).await;
}

/// It is none, for this reason; the request after it is one.
async fn is_none(version: Version, message: &[u8], reason: &str) {
    let server = Server::usual().await;
    let sentence = format!("the body is not a protobuf message: {reason}");
    let refused = Expected { status: 400, counts: [0, 0, 0], sentence: &sentence, stored: &[] };
    check_message(&server, version, message, &refused).await;
    let good = version.message(&[Sent::up()]);
    let expected = Expected { status: 204, counts: [1, 0, 0], sentence: "", stored: NOW };
    check_message(&server, version, &good, &expected).await;
}

#[tokio::test]
async fn unknown_fields_are_passed_over() {
    let now = [unknown(), double(1, 1.0), unknown(), varint(2, NOW_MS as u64), unknown()].concat();
    for version in BOTH {
        let series = [unknown(), up(version), unknown(), field(2, &now), unknown()].concat();
        let all = [unknown(), message(version, &series), unknown()].concat();
        is_up(version, &all).await;
        is_up(version, &[varint((1 << 29) - 1, 1), message(version, &series)].concat()).await;
    }
    let label = [unknown(), field(1, b"__name__"), unknown(), field(2, b"up"), unknown()].concat();
    let series = [field(1, &label), field(2, &now)].concat();
    is_up(Version::First, &message(Version::First, &series)).await;
    // The time of start of a sample, and the time of creation that a series had until 2.0-rc.3.
    let started = [&sample(NOW_MS, 1.0)[..], &varint(3, NOW_MS as u64)].concat();
    let series = [up(Version::Second), field(2, &started), varint(6, NOW_MS as u64)].concat();
    is_up(Version::Second, &message(Version::Second, &series)).await;
}

#[tokio::test]
async fn fields_come_in_any_order() {
    let reversed = [varint(2, NOW_MS as u64), double(1, 1.0)].concat();
    for version in BOTH {
        let series = [field(2, &reversed), up(version)].concat();
        is_up(version, &message(version, &series)).await;
    }
    let label = [field(2, b"up"), field(1, b"__name__")].concat();
    let series = [field(2, &reversed), field(1, &label)].concat();
    is_up(Version::First, &message(Version::First, &series)).await;
    // Symbols behind the series, before and behind it.
    let series = field(5, &[field(2, &reversed), up(Version::Second)].concat());
    let (first, rest) = (field(4, b""), [field(4, b"__name__"), field(4, b"up")].concat());
    is_up(Version::Second, &[&series[..], &first, &rest].concat()).await;
    is_up(Version::Second, &[&first[..], &series, &rest].concat()).await;
}

#[tokio::test]
async fn of_a_field_that_is_there_twice_the_last_one_holds() {
    let twice = [sample(1, 7.0), sample(NOW_MS, 1.0)].concat();
    for version in BOTH {
        let series = [up(version), field(2, &twice)].concat();
        is_up(version, &message(version, &series)).await;
    }
    let label = [label(b"job", b"x"), label(b"__name__", b"up")].concat();
    let series = [field(1, &label), field(2, &sample(NOW_MS, 1.0))].concat();
    is_up(Version::First, &message(Version::First, &series)).await;
}

#[tokio::test]
async fn references_are_packed_or_not_or_both() {
    let sample = field(2, &sample(NOW_MS, 1.0));
    for refs in [
        [varint(1, 1), varint(1, 2)].concat(),
        [field(1, &[1]), field(1, &[2])].concat(),
        [varint(1, 1), field(1, &[2])].concat(),
        [field(1, &[]), field(1, &[1]), varint(1, 2), field(1, &[])].concat(),
        // More bytes than the numbers need, and bits beyond the 32 of a `uint32`.
        field(1, b"\x81\x00\x82\x80\x80\x00"),
        field(1, &[number(1 << 32 | 1), number(2)].concat()),
    ] {
        for series in [[&refs[..], &sample].concat(), [&sample[..], &refs].concat()] {
            is_up(Version::Second, &message(Version::Second, &series)).await;
        }
    }
    // Samples between them.
    let series = [varint(1, 1), sample, varint(1, 2)].concat();
    is_up(Version::Second, &message(Version::Second, &series)).await;
}

/// A number may have more bytes than it needs, as many as ten.
#[tokio::test]
async fn numbers_may_be_longer_than_needed() {
    for version in BOTH {
        let good = message(version, &[up(version), field(2, &sample(NOW_MS, 1.0))].concat());
        let padded = [&b"\xc0\x86\x80\x80\x00"[..], b"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"];
        is_up(version, &[&padded.concat()[..], &good].concat()).await;
    }
    let tag = |version: Version| vec![(version.series() << 3 | 2) as u8 | 0x80, 0x00];
    for version in BOTH {
        let series = [up(version), field(2, &sample(NOW_MS, 1.0))].concat();
        let length = [series.len() as u8 | 0x80, 0x80, 0x00];
        let all = [&symbols(version)[..], &tag(version), &length, &series].concat();
        is_up(version, &all).await;
    }
}

const ENDS: &str = "it ends inside a field";
const OTHER: &str = "a field has another type than the message says";

#[tokio::test]
async fn what_protobuf_does_not_have_is_refused_wherever_it_is() {
    let rows: [(&[u8], &str); 14] = [
        // Groups, and types that do not exist.
        (b"\x0b", "a field has wire type 3, which is not used"),
        (b"\x0c", "a field has wire type 4, which is not used"),
        (b"\x93\x06\x94\x06", "a field has wire type 3, which is not used"),
        (b"\x96\x06", "a field has wire type 6, which is not used"),
        (b"\x97\x06", "a field has wire type 7, which is not used"),
        // The number 0, and one of more than 29 bits.
        (b"\x02\x00", "a field has an impossible number"),
        (b"\x80\x80\x80\x80\x10\x00", "a field has an impossible number"),
        (b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", "a field has an impossible number"),
        // More than 64 bits, in the tenth byte or in an eleventh.
        (b"\xa0\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "a varint has more than 64 bits"),
        (b"\xa0\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", "a varint has more than 64 bits"),
        // Ends within a key, a number, eight bytes or four.
        (b"\xa0", ENDS),
        (b"\xa0\x06\x80", ENDS),
        (b"\xa1\x06\0\0\0\0\0\0\0", ENDS),
        (b"\xa5\x06\0\0\0", ENDS),
    ];
    for (wrong, reason) in rows {
        for version in BOTH {
            let good = [up(version), field(2, &sample(NOW_MS, 1.0))].concat();
            // In the request, the series and the sample.
            is_none(version, &[&message(version, &good)[..], wrong].concat(), reason).await;
            let series = [&good[..], wrong].concat();
            is_none(version, &message(version, &series), reason).await;
            let broken = [&sample(NOW_MS, 1.0)[..], wrong].concat();
            let series = [up(version), field(2, &broken)].concat();
            is_none(version, &message(version, &series), reason).await;
        }
        let broken = [&label(b"__name__", b"up")[..], wrong].concat();
        is_none(Version::First, &message(Version::First, &field(1, &broken)), reason).await;
    }
}

#[tokio::test]
async fn lengths_that_lie_are_refused() {
    for length in [b"\x7f".to_vec(), number(u64::from(u32::MAX)), number(u64::MAX), number(1 << 63)]
    {
        for version in BOTH {
            let key = (version.series() << 3 | 2) as u8;
            let good = version.message(&[Sent::up()]);
            is_none(version, &[&good[..], &[key], &length, b"x"].concat(), ENDS).await;
            // A sample that would reach beyond its series.
            let series = [&up(version)[..], b"\x12", &length, b"x"].concat();
            is_none(version, &message(version, &series), ENDS).await;
            is_none(version, &[&good[..], b"\xa2\x06", &length].concat(), ENDS).await;
        }
    }
    // A packed number that ends inside, and one too long.
    let series = field(1, b"\x01\x82");
    is_none(Version::Second, &message(Version::Second, &series), ENDS).await;
    let series = field(1, &[&[0xff; 9][..], &[0x02]].concat());
    let long = "a varint has more than 64 bits";
    is_none(Version::Second, &message(Version::Second, &series), long).await;
}

#[tokio::test]
async fn a_known_field_has_its_type() {
    let now = field(2, &sample(NOW_MS, 1.0));
    for version in BOTH {
        let at = version.series();
        for wrong in [varint(at, 1), double(at, 1.0), fixed32(at)] {
            let good = version.message(&[Sent::up()]);
            is_none(version, &[&good[..], &wrong].concat(), OTHER).await;
        }
        for wrong in [
            // A sample, a histogram, an exemplar that are numbers.
            varint(2, 1),
            double(2, 1.0),
            varint(version.histogram(), 1),
            fixed32(version.exemplar()),
            // A value that is a number, a time that is eight bytes.
            field(2, &varint(1, 1)),
            field(2, &fixed32(1)),
            field(2, &double(2, 1.0)),
            field(2, &field(2, b"1")),
        ] {
            let series = [&up(version)[..], &now, &wrong].concat();
            is_none(version, &message(version, &series), OTHER).await;
        }
    }
    for wrong in [varint(1, 1), field(1, &varint(1, 1)), field(1, &double(2, 1.0))] {
        let series = [&wrong[..], &now].concat();
        is_none(Version::First, &message(Version::First, &series), OTHER).await;
    }
    for wrong in [double(1, 1.0), fixed32(1)] {
        let series = [&wrong[..], &now].concat();
        is_none(Version::Second, &message(Version::Second, &series), OTHER).await;
    }
    is_none(Version::Second, &[field(4, b""), varint(4, 1)].concat(), OTHER).await;
}

/// Wherever its last series is cut, nothing of the first one is taken in.
#[tokio::test]
async fn a_message_that_breaks_off_is_none() {
    for version in BOTH {
        let server = Server::usual().await;
        let one = Sent::new(&[("__name__", "up"), ("job", "a")], &[(NOW_MS, 1.0)]);
        let whole = version.message(&[one.clone(), one]);
        for length in whole.len() - 20..whole.len() {
            let reply = server.post(version.headers(), &snappy(&whole[..length])).await;
            let sentence = format!("the body is not a protobuf message: {ENDS}");
            judge(&reply, 400, &sentence);
        }
        assert!(server.stored().await.is_empty());
    }
}

/// A message of the other version holds nothing that is known: to a sender of 2.0 the counts say so.
#[tokio::test]
async fn versions_do_not_read_each_other() {
    let nothing = Expected { status: 204, counts: [0, 0, 0], sentence: "", stored: &[] };
    for (version, other) in [(Version::First, Version::Second), (Version::Second, Version::First)] {
        let message = other.message(&[Sent::up()]);
        check_message(&Server::usual().await, version, &message, &nothing).await;
    }
}

/// An empty series is one without a name.
#[tokio::test]
async fn empty_messages_are_messages() {
    let sentence = "1 series are invalid; for example: a series has no metric name: {}";
    let first = Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] };
    check_message(&Server::usual().await, Version::First, b"\x0a\x00", &first).await;
    let sentence =
        "1 series are invalid; for example: a series has neither samples nor histograms: {}";
    let second = Expected { sentence, ..first };
    check_message(&Server::usual().await, Version::Second, b"\x22\x00\x2a\x00", &second).await;
}
