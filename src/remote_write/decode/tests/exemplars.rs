//! Exemplars of both versions.

use proptest::prelude::*;
use prost::Message;

use super::second::field;
use super::{demand, limits, series as series_v1};
use crate::labels::Labels;
use crate::proto::prometheus::Label;
use crate::proto::prometheus_v2 as v2;
use crate::remote_write::decode::{Decoded, Invalid, decode_message};
use crate::remote_write::{Protocol, Refusal, RemoteWriteConfig, WireError};
use crate::sample::Exemplar;

/// `prometheus.Exemplar`, which the messages that Portent reads leave out.
#[derive(Clone, PartialEq, Message)]
struct ExemplarV1 {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

/// Labels, a value and a time.
type Told<'a> = (Vec<(&'a str, &'a str)>, f64, i64);

/// `up` with a sample and these exemplars, in both versions.
fn messages(exemplars: &[Told<'_>]) -> [(Protocol, Vec<u8>); 2] {
    let mut first = series_v1(&[(b"__name__", b"up")], &[(1, 1.0)]).encode_to_vec();
    let mut symbols: Vec<String> = ["", "__name__", "up"].map(str::to_owned).to_vec();
    let mut second = v2::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![v2::Sample { value: 1.0, timestamp: 1, start_timestamp: 0 }],
        ..v2::TimeSeries::default()
    };
    for (pairs, value, timestamp) in exemplars {
        let (value, timestamp) = (*value, *timestamp);
        let bytes = |text: &str| text.as_bytes().to_vec();
        let label = |it: &(&str, &str)| Label { name: bytes(it.0), value: bytes(it.1) };
        let labels = pairs.iter().map(label).collect();
        let message = ExemplarV1 { labels, value, timestamp }.encode_to_vec();
        first.extend(field(3, &message));
        let labels_refs = pairs.iter().flat_map(|it| [it.0, it.1]).map(|text| {
            let found = symbols.iter().position(|it| it == text);
            found.unwrap_or_else(|| {
                symbols.push(text.to_owned());
                symbols.len() - 1
            }) as u32
        });
        let labels_refs = labels_refs.collect();
        second.exemplars.push(v2::Exemplar { labels_refs, value, timestamp });
    }
    let second = v2::Request { symbols, timeseries: vec![second] }.encode_to_vec();
    [(Protocol::V1, field(1, &first)), (Protocol::V2, second)]
}

fn decoded(protocol: Protocol, message: &[u8]) -> Decoded {
    decode_message(message, protocol, &RemoteWriteConfig::default(), Some(&demand()))
        .expect("a request")
}

/// The exemplars of this request that are kept, by their places; the others are taken in as well.
#[track_caller]
fn check(exemplars: &[Told<'_>], kept: &[usize]) {
    for (protocol, message) in messages(exemplars) {
        let decoded = decoded(protocol, &message);
        let expected = kept.iter().map(|at| {
            let (pairs, value, timestamp_ms) = exemplars[*at].clone();
            let labels = Labels::from_pairs(pairs).expect("distinct names");
            Exemplar { labels, value, timestamp_ms }
        });
        let [series] = &decoded.batch.series[..] else { panic!("one series") };
        assert_eq!(series.exemplars, expected.collect::<Vec<_>>(), "{protocol:?}");
        assert_eq!(series.samples.len(), 1, "{protocol:?}");
        assert_eq!(decoded.unused.exemplars, (exemplars.len() - kept.len()) as u64);
        assert_eq!(decoded.invalid, Invalid::default());
    }
}

#[test]
fn they_are_kept_as_they_are() {
    check(&[(vec![("trace_id", "abc"), ("span_id", "d")], 0.5, 1_700_000_000_000)], &[0]);
    check(&[(vec![], 0.0, 0)], &[0]);
    check(
        &[(vec![("a", "1")], f64::NAN, -1), (vec![("a", "1")], f64::INFINITY, i64::MAX)],
        &[0, 1],
    );
    // An empty value is no label.
    check(&[(vec![("a", ""), ("b", "1"), ("", "")], 1.0, 1)], &[0]);
}

#[test]
fn those_that_are_too_long_are_not_kept() {
    let long = |character: &str, count: usize| character.repeat(count);
    let good = (vec![("trace_id", "abc")], 1.0, 5);
    for character in ["x", "\u{e4}", "\u{1f600}"] {
        let (fits, longer) = (long(character, 120), long(character, 121));
        check(&[(vec![("trace_id", &fits)], 1.0, 1)], &[0]);
        check(&[good.clone(), (vec![("trace_id", &longer)], 1.0, 6), good.clone()], &[0, 2]);
        // All names and values together.
        check(&[(vec![("trace_id", &fits), ("a", "b")], 1.0, 1), good.clone()], &[1]);
    }
    let endless = long("x", 100_000);
    check(&[(vec![("trace_id", &endless)], 1.0, 1), good.clone()], &[1]);
    check(&[(vec![(&endless, "x")], 1.0, 1), good.clone()], &[1]);
    check(&[(vec![("a", "b"); 10_000], 1.0, 1), good], &[1]);
}

#[test]
fn those_whose_labels_are_none_are_not_kept() {
    let good = (vec![("a", "1")], 1.0, 5);
    check(&[(vec![("a", "1"), ("a", "2")], 1.0, 1), good.clone()], &[1]);
    check(&[(vec![("", "1")], 1.0, 1), good], &[1]);
    // Texts that are none, and what is without anything.
    let label = field(1, &[&field(1, b"a")[..], &field(2, b"\xff")].concat());
    let mut series = series_v1(&[(b"__name__", b"up")], &[(1, 1.0)]).encode_to_vec();
    for exemplar in [&label[..], b""] {
        series.extend(field(3, exemplar));
    }
    let found = decoded(Protocol::V1, &field(1, &series));
    assert_eq!((found.batch.exemplars(), found.unused.exemplars), (1, 1));
    assert_eq!(found.invalid, Invalid::default());
    // What is no message.
    for (exemplar, expected) in
        [(&b"\xff\xff"[..], WireError::Truncated), (b"\x12\x00", WireError::OtherType)]
    {
        let message = field(1, &[&series[..], &field(3, exemplar)].concat());
        let refused = decode_message(&message, Protocol::V1, &limits(), None);
        assert!(matches!(refused, Err(Refusal::Wire(found)) if found == expected), "{refused:?}");
    }
}

/// Of many the newest, in order of time.
#[test]
fn there_are_few_of_a_series() {
    let times: Vec<i64> = (0..40).map(|i| i * 7 % 40).collect();
    let all: Vec<Told<'_>> = times.iter().map(|time| (vec![], *time as f64, *time)).collect();
    let place = |time: i64| times.iter().position(|it| *it == time).expect("one of them");
    check(&all, &(24..40).map(place).collect::<Vec<_>>());
    // Those that cannot be kept push out none.
    let name = "x".repeat(200);
    let long = vec![(vec![(name.as_str(), "x")], 1.0, 100); 40];
    check(&[&long[..], &all[..10], &long[..]].concat(), &{
        let mut places: Vec<usize> = (40..50).collect();
        places.sort_by_key(|at| times[at - 40]);
        places
    });
}

/// A few bytes that stand for many: what is kept is no larger than the message.
#[test]
fn what_they_take_is_bounded() {
    let symbols = ["", "__name__", "up", &"n".repeat(60), &"v".repeat(60)].map(str::to_owned);
    let exemplar = |timestamp| v2::Exemplar { labels_refs: vec![3, 4], value: 0.0, timestamp };
    let series = v2::TimeSeries {
        labels_refs: vec![1, 2],
        exemplars: (1..=20).map(exemplar).collect(),
        ..v2::TimeSeries::default()
    };
    for count in [1, 100, 5_000] {
        let timeseries = vec![series.clone(); count];
        let request = v2::Request { symbols: symbols.to_vec(), timeseries };
        let message = request.encode_to_vec();
        let decoded = decoded(Protocol::V2, &message);
        let kept = decoded.batch.exemplars();
        assert_eq!(kept as u64 + decoded.unused.exemplars, 20 * count as u64);
        let of = |it: &Exemplar| size_of::<Exemplar>() + it.labels.heap_bytes();
        let all = decoded.batch.series.iter().flat_map(|it| &it.exemplars);
        let bytes: usize = all.map(of).sum();
        assert!(bytes <= message.len().max(64 << 10), "{bytes} of {}", message.len());
        assert!(kept >= 16 * count.min(20), "{kept}");
    }
}

#[test]
fn a_series_of_nothing_else_goes_with_the_others() {
    let series = v2::TimeSeries {
        labels_refs: vec![1, 2],
        exemplars: vec![v2::Exemplar { labels_refs: vec![], value: 1.0, timestamp: 2 }],
        ..v2::TimeSeries::default()
    };
    let symbols = ["", "__name__", "up"].map(str::to_owned).to_vec();
    let message = v2::Request { symbols, timeseries: vec![series] }.encode_to_vec();
    let batch = decoded(Protocol::V2, &message).batch;
    assert_eq!((batch.series.len(), batch.samples(), batch.exemplars()), (1, 0, 1));
}

proptest! {
    /// Both versions of the same exemplars are the same, and what whoever encoded them knows.
    #[test]
    fn both_versions_are_what_prost_wrote(
        told in proptest::collection::vec(
            (proptest::collection::vec((0_usize..4, 0_usize..4), 0..3), any::<f64>(), -3_i64..4), 0..40
        )
    ) {
        const NAMES: [&str; 4] = ["", "a", "b", "\u{e4}"];
        let long = "\u{e4}".repeat(127);
        let values = ["", "1", "\u{1f600}", &long];
        let told: Vec<Told<'_>> = told.into_iter().map(|(pairs, value, time)| {
            let pairs = pairs.into_iter().map(|(name, value)| (NAMES[name], values[value])).collect();
            // A zero is not written, whatever its sign.
            (pairs, if value == 0.0 { 0.0 } else { value }, time)
        }).collect();
        let mut expected: Vec<Option<Exemplar>> = Vec::new();
        let mut by_time: Vec<&Told<'_>> = told.iter().collect();
        by_time.sort_by_key(|it| it.2);
        for (pairs, value, timestamp_ms) in by_time {
            let pairs: Vec<_> = pairs.iter().filter(|it| !it.1.is_empty()).copied().collect();
            let length: usize = pairs.iter().map(|it| it.0.chars().count() + it.1.chars().count()).sum();
            if length > 128 || pairs.iter().any(|it| it.0.is_empty()) {
                continue;
            }
            let labels = Labels::from_pairs(pairs).ok();
            expected.push(labels.map(|labels| Exemplar { labels, value: *value, timestamp_ms: *timestamp_ms }));
        }
        let first = expected.len().saturating_sub(16);
        let expected: Vec<Exemplar> = expected.split_off(first).into_iter().flatten().collect();
        for (protocol, message) in messages(&told) {
            let decoded = decoded(protocol, &message);
            prop_assert_eq!(&decoded.batch.series[0].exemplars, &expected);
        }
    }
}
