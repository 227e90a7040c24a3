//! Metadata of metric families, in both versions.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::{Decoded, Invalid, Unused, demand, limits};
use crate::proto::prometheus::{MetricMetadata as First, WriteRequest};
use crate::proto::prometheus_v2::{Histogram, Metadata, Request, Sample, TimeSeries};
use crate::remote_write::decode::decode_message;
use crate::remote_write::{Protocol, Refusal, RemoteWriteConfig, WireError};
use crate::sample::{MetricMetadata, MetricType};

/// Types by their numbers.
const TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

fn decoded(message: &[u8], protocol: Protocol) -> Decoded {
    let config = RemoteWriteConfig { max_series_per_request: 100, ..limits() };
    let config = RemoteWriteConfig { max_samples_per_request: 100, ..config };
    decode_message(message, protocol, &config, Some(&demand())).expect("a request")
}

fn first(family: &str, number: i32, help: &str, unit: &str) -> First {
    First {
        r#type: number,
        metric_family_name: family.to_owned(),
        help: help.to_owned(),
        unit: unit.to_owned(),
    }
}

fn known(family: &str, metric_type: MetricType, help: &str, unit: &str) -> MetricMetadata {
    MetricMetadata { family: family.into(), metric_type, help: help.into(), unit: unit.into() }
}

/// What is made of metadata of 1.0, and how much was passed over.
#[track_caller]
fn check_first(metadata: Vec<First>, expected: &[MetricMetadata], ignored: u64) {
    let message = WriteRequest { timeseries: Vec::new(), metadata }.encode_to_vec();
    let decoded = decoded(&message, Protocol::V1);
    assert_eq!((&decoded.batch.metadata[..], decoded.unused.metadata), (expected, ignored));
    let rest = (decoded.batch.series, decoded.invalid, decoded.unused.exemplars);
    assert_eq!(rest, (Vec::new(), Invalid::default(), 0));
}

#[test]
fn types_have_the_numbers_of_the_specification() {
    for (number, metric_type) in TYPES.into_iter().enumerate() {
        let said = first("up", i32::try_from(number).expect("small"), "Help.", "s");
        check_first(vec![said], &[known("up", metric_type, "Help.", "s")], 0);
    }
    for number in [-1, 8, i32::MAX] {
        let expected = known("up", MetricType::Unknown, "", "");
        check_first(vec![first("up", number, "", "")], &[expected], 0);
    }
}

#[test]
fn the_last_of_a_family_is_kept() {
    let said = ["a", "b", "a"].map(|help| first("up", 1, help, ""));
    let between = first("down", 2, "", "");
    let [one, two, three] = said;
    let expected =
        [known("up", MetricType::Counter, "a", ""), known("down", MetricType::Gauge, "", "")];
    check_first(vec![one, two, between, three], &expected, 0);
}

#[test]
fn what_cannot_be_used_is_counted() {
    check_first(vec![first("", 1, "Help.", ""), first("0123456789x", 1, "", "")], &[], 2);
    // Not UTF-8 in each text.
    for inner in [&b"\x12\x01\xff"[..], b"\x12\x01a\x22\x01\xff", b"\x12\x01a\x2a\x01\xff"] {
        let message = [&[0x1a, inner.len() as u8][..], inner].concat();
        let unused = Unused { metadata: 1, ..Unused::default() };
        assert_eq!(decoded(&message, Protocol::V1), Decoded { unused, ..Decoded::default() });
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let cases: [(&[u8], WireError); 5] = [
        (b"\x1a\x01\xff", WireError::Truncated),
        (b"\x1a\x02\x0a\x00", WireError::OtherType),
        (b"\x1a\x02\x10\x01", WireError::OtherType),
        (b"\x1a\x02\x2a\x05", WireError::Truncated),
        (b"\x18\x01", WireError::OtherType),
    ];
    for (message, expected) in cases {
        let refused = decode_message(message, Protocol::V1, &limits(), None);
        assert!(
            matches!(refused, Err(Refusal::Wire(found)) if found == expected),
            "{message:?}: {refused:?}"
        );
        WriteRequest::decode(message).expect_err("prost refuses it as well");
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let help = format!("x{}", "\u{e4}".repeat(600));
    let expected = known("up", MetricType::Unknown, &help[..1_023], "012345678");
    check_first(vec![first("up", 0, &help, "012345678\u{e4}")], &[expected], 0);
}

#[test]
fn families_beyond_the_limit_are_passed_over() {
    let metadata = ["a", "b", "c", "d", "a"].map(|it| first(it, 1, "", "")).to_vec();
    let message = WriteRequest { timeseries: Vec::new(), metadata }.encode_to_vec();
    let decoded = decode_message(&message, Protocol::V1, &limits(), None).expect("a request");
    assert_eq!((decoded.batch.metadata.len(), decoded.unused.metadata), (3, 1));
}

/// A series of 2.0 with the name of a number.
fn series(name: u32, metadata: Option<(i32, u32, u32)>) -> TimeSeries {
    let of = |(number, help_ref, unit_ref)| Metadata { r#type: number, help_ref, unit_ref };
    TimeSeries {
        labels_refs: vec![1, name],
        samples: vec![Sample { value: 1.0, timestamp: 1, start_timestamp: 0 }],
        metadata: metadata.map(of),
        ..TimeSeries::default()
    }
}

const SYMBOLS: [&str; 9] =
    ["", "__name__", "up", "a_bucket", "a_sum", "a_count", "a", "Help.", "0123456789x"];

fn second(timeseries: Vec<TimeSeries>) -> Vec<u8> {
    Request { symbols: SYMBOLS.map(str::to_owned).to_vec(), timeseries }.encode_to_vec()
}

#[track_caller]
fn check_second(timeseries: Vec<TimeSeries>, expected: &[MetricMetadata], ignored: u64) {
    let samples = timeseries.iter().map(|it| it.samples.len()).sum::<usize>();
    let decoded = decoded(&second(timeseries), Protocol::V2);
    assert_eq!((&decoded.batch.metadata[..], decoded.unused.metadata), (expected, ignored));
    assert_eq!((decoded.batch.samples(), decoded.invalid), (samples, Invalid::default()));
}

#[test]
fn a_series_of_the_second_version_speaks_for_its_family() {
    let one = |metric_type| known("a", metric_type, "Help.", "up");
    for (number, metric_type) in
        [(3, MetricType::Histogram), (4, MetricType::GaugeHistogram), (5, MetricType::Summary)]
    {
        let all = (3..7).map(|name| series(name, Some((number, 7, 2)))).collect();
        check_second(all, &[one(metric_type)], 0);
    }
    // A counter may be called so.
    let counter = known("a_count", MetricType::Counter, "Help.", "");
    check_second(vec![series(5, Some((1, 7, 0)))], &[counter], 0);
    let native = TimeSeries {
        samples: Vec::new(),
        histograms: vec![Histogram::default()],
        ..series(5, Some((3, 7, 0)))
    };
    check_second(vec![native], &[known("a_count", MetricType::Histogram, "Help.", "")], 0);
    // Nothing is said.
    check_second(vec![series(2, None), series(2, Some((0, 0, 0)))], &[], 0);
}

#[test]
fn a_series_with_bad_references_is_invalid() {
    let of = |metadata| series(2, Some(metadata));
    let message = second(vec![of((1, 9, 0)), of((1, 0, 10)), of((0, 7, 0))]);
    let found = decoded(&message, Protocol::V2);
    let good = known("up", MetricType::Unknown, "Help.", "");
    assert_eq!((found.batch.metadata, found.batch.series.len()), (vec![good], 1));
    let Invalid { series: invalid, samples, examples, .. } = found.invalid;
    assert_eq!((invalid, samples), (2, 2));
    assert!(examples[0].contains("refers to symbol 9 of 9, which is not there"), "{examples:?}");
    let mut message = second(vec![]);
    // A message that ends inside a field.
    let broken = [&series(2, None).encode_to_vec()[..], b"\x2a\x01\xff"].concat();
    message.extend([&[0x2a, broken.len() as u8][..], &broken].concat());
    let refused = decode_message(&message, Protocol::V2, &limits(), None);
    assert!(matches!(refused, Err(Refusal::Wire(WireError::Truncated))), "{refused:?}");
}

#[test]
fn parts_of_one_message_are_merged() {
    let mut written = series(2, Some((1, 7, 0))).encode_to_vec();
    written.extend(b"\x2a\x02\x08\x02\x2a\x02\x20\x02");
    let read = TimeSeries::decode(&written[..]).expect("a series");
    assert_eq!(read, series(2, Some((2, 7, 2))));
    let mut message = second(vec![]);
    message.extend([&[0x2a, written.len() as u8][..], &written].concat());
    let expected = known("up", MetricType::Gauge, "Help.", "up");
    assert_eq!(decoded(&message, Protocol::V2).batch.metadata, [expected]);
}

/// Two bytes may stand for a long text, which is not copied for each family.
#[test]
fn texts_take_no_more_than_the_message() {
    let help = "x".repeat(1_000);
    let mut symbols = vec![String::new(), "__name__".to_owned(), help];
    symbols.extend((0..50).map(|i| format!("m{i}")));
    let timeseries = (3..53).map(|name| series(name, Some((1, 2, 0)))).collect();
    let message = Request { symbols, timeseries }.encode_to_vec();
    let decoded = decoded(&message, Protocol::V2);
    let texts = |it: &MetricMetadata| it.family.len() + it.help.len() + it.unit.len();
    let bytes: usize = decoded.batch.metadata.iter().map(texts).sum();
    assert!(bytes <= message.len() && bytes > message.len() - 1_100, "{bytes}");
    let kept = decoded.batch.metadata.len() as u64;
    assert_eq!((kept + decoded.unused.metadata, decoded.batch.samples()), (50, 50));
}

/// The rules told once more: the last of each family, in the order in which the families came.
#[derive(Default)]
struct Expected(Vec<MetricMetadata>, u64);

impl Expected {
    fn put(&mut self, family: &str, number: i32, help: &str, unit: &str) {
        if family.is_empty() || family.len() > 10 {
            self.1 += 1;
            return;
        }
        let cut = |text: &str, most: usize| {
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            text[..ends.take_while(|end| *end <= most).last().unwrap_or(0)].to_owned()
        };
        let number = usize::try_from(number).unwrap_or(0);
        let metric_type = TYPES.get(number).copied().unwrap_or_default();
        let said = known(family, metric_type, &cut(help, 1_024), &cut(unit, 10));
        match self.0.iter_mut().find(|it| it.family == said.family) {
            Some(former) => *former = said,
            None => self.0.push(said),
        }
    }
}

proptest! {
    #[test]
    fn metadata_is_what_prost_reads(
        said in vec(("|a|up|[a-c]{2}|\u{e4}{4,7}", -1..10, ".{0,20}|\u{e4}{500,600}", ".{0,8}"), 0..8)
    ) {
        let metadata =
            said.iter().map(|(name, number, help, unit)| first(name, *number, help, unit));
        let message =
            WriteRequest { timeseries: Vec::new(), metadata: metadata.collect() }.encode_to_vec();
        let read = WriteRequest::decode(&message[..]).expect("a message");
        let mut expected = Expected::default();
        for First { r#type, metric_family_name, help, unit } in &read.metadata {
            expected.put(metric_family_name, *r#type, help, unit);
        }
        let decoded = decoded(&message, Protocol::V1);
        prop_assert_eq!(decoded.batch.metadata, expected.0);
        prop_assert_eq!(decoded.unused.metadata, expected.1);
    }

    #[test]
    fn metadata_of_series_is_what_prost_reads(
        said in vec((2_u32..7, proptest::option::of((-1..10, 0_u32..10, 0_u32..10))), 0..8)
    ) {
        let message = second(said.iter().map(|(name, metadata)| series(*name, *metadata)).collect());
        let read = Request::decode(&message[..]).expect("a message");
        let mut expected = Expected::default();
        for series in &read.timeseries {
            let Some(Metadata { r#type, help_ref, unit_ref }) = series.metadata else { continue };
            if (r#type, help_ref, unit_ref) == (0, 0, 0) {
                continue;
            }
            let symbol = |at: u32| SYMBOLS.get(at as usize);
            // The series is invalid.
            let (Some(help), Some(unit)) = (symbol(help_ref), symbol(unit_ref)) else { continue };
            let name = SYMBOLS[series.labels_refs[1] as usize];
            let family = if name.starts_with('a') && (3..6).contains(&r#type) { "a" } else { name };
            expected.put(family, r#type, help, unit);
        }
        let decoded = decoded(&message, Protocol::V2);
        prop_assert_eq!(decoded.batch.metadata, expected.0);
        prop_assert_eq!(decoded.unused.metadata, expected.1);
    }
}
