//! Remote-write 1.0 however it is written: what is decoded is what prost decodes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;
use prost::encoding::encode_varint;

use super::second::{field, fields, shuffled};
use super::{demand, request};
use crate::proto::prometheus::{Label, Sample as WireSample, TimeSeries, WriteRequest};
use crate::proto::prometheus_v2::{BucketSpan, Histogram, histogram};
use crate::remote_write::decode::{Decoded, decode_message};
use crate::remote_write::{Protocol, Refusal, RemoteWriteConfig};

fn decode(message: &[u8]) -> Result<Decoded, Refusal> {
    decode_message(message, Protocol::V1, &RemoteWriteConfig::default(), Some(&demand()))
}

/// The numbers of a seed, over and over.
fn numbers(seed: &[u16]) -> impl FnMut() -> usize {
    let mut seed = seed.iter().cycle();
    move || usize::from(*seed.next().expect("an endless one"))
}

/// Fields of every type that no message has.
fn unknown(next: &mut dyn FnMut() -> usize) -> Option<Vec<u8>> {
    match next() % 8 {
        0 => Some(vec![29 << 3 & 0x7f | 0x80, 1, 7]),
        1 => Some(field(30, b"nobody knows this")),
        2 => Some([&[31 << 3 & 0x7f | 0x81, 1][..], &[1; 8]].concat()),
        3 => Some([&[28 << 3 & 0x7f | 0x85, 1][..], &[1; 4]].concat()),
        _ => None,
    }
}

/// A message whose scalars are there twice, of which the last one holds, in another order.
fn rewritten_scalars(message: &[u8], next: &mut dyn FnMut() -> usize) -> Vec<u8> {
    let mut parts = Vec::new();
    for part in fields(message) {
        let key = part[0];
        if next().is_multiple_of(3) {
            parts.push(match key & 7 {
                0 => vec![key, 7],
                1 => [&[key][..], &[0x40; 8]].concat(),
                _ => field(u64::from(key >> 3), b"before"),
            });
        }
        parts.push(part);
        parts.extend(unknown(next));
    }
    shuffled(parts, next)
}

/// Numbers that are packed, or not, or in parts; and the rest of the histogram in another order.
fn rewritten_histogram(of: &Histogram, next: &mut dyn FnMut() -> usize) -> Vec<u8> {
    let deltas = |all: &[i64]| -> Vec<Vec<u8>> {
        let zigzag = |it: &i64| ((it << 1) ^ (it >> 63)).cast_unsigned();
        all.iter().map(|it| varint(zigzag(it))).collect()
    };
    let doubles = |all: &[f64]| all.iter().map(|it| it.to_le_bytes().to_vec()).collect();
    let repeated: [(u64, u64, Vec<Vec<u8>>); 5] = [
        (9, 0, deltas(&of.negative_deltas)),
        (10, 1, doubles(&of.negative_counts)),
        (12, 0, deltas(&of.positive_deltas)),
        (13, 1, doubles(&of.positive_counts)),
        (16, 1, doubles(&of.custom_values)),
    ];
    let rest = Histogram {
        negative_deltas: Vec::new(),
        negative_counts: Vec::new(),
        positive_deltas: Vec::new(),
        positive_counts: Vec::new(),
        custom_values: Vec::new(),
        ..of.clone()
    };
    let mut parts = fields(&rest.encode_to_vec());
    for (number, kind, all) in &repeated {
        for some in all.chunks(1 + next() % 3) {
            parts.push(match (some, next() % 2) {
                ([one], 0) => [varint(number << 3 | kind), one.clone()].concat(),
                _ => field(*number, &some.concat()),
            });
        }
    }
    parts.extend(unknown(next));
    shuffled(parts, next)
}

fn varint(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(value, &mut bytes);
    bytes
}

/// A request, and histograms for its first series.
fn rewritten(request: &WriteRequest, histograms: &[Histogram], seed: &[u16]) -> Vec<u8> {
    let mut next = numbers(seed);
    let mut parts = Vec::new();
    for (i, series) in request.timeseries.iter().enumerate() {
        let mut inner = Vec::new();
        for label in &series.labels {
            inner.push(field(1, &rewritten_scalars(&label.encode_to_vec(), &mut next)));
        }
        for sample in &series.samples {
            inner.push(field(2, &rewritten_scalars(&sample.encode_to_vec(), &mut next)));
        }
        for histogram in histograms.iter().filter(|_| i == 0) {
            inner.push(field(4, &rewritten_histogram(histogram, &mut next)));
        }
        inner.extend(unknown(&mut next));
        parts.push(field(1, &shuffled(inner, &mut next)));
        parts.extend(unknown(&mut next));
    }
    shuffled(parts, &mut next)
}

fn requests() -> impl Strategy<Value = WriteRequest> {
    let texts: [&[u8]; 8] =
        [b"__name__", b"up", b"a", b"b", b"", "h\u{e4}user".as_bytes(), b"\xff", b"x.y z"];
    // Mostly good names.
    let names: [&[u8]; 10] =
        [b"__name__", b"__name__", b"__name__", b"a", b"b", b"job", b"x.y", b"n", b"", b"\xff"];
    let label = (select(names.to_vec()), select(texts.to_vec()))
        .prop_map(|(name, value)| Label { name: name.to_vec(), value: value.to_vec() });
    let sample = (any::<i64>(), any::<u64>())
        .prop_map(|(timestamp, bits)| WireSample { value: f64::from_bits(bits), timestamp });
    let series = (vec(label, 0..5), vec(sample, 0..4))
        .prop_map(|(labels, samples)| TimeSeries { labels, samples });
    vec(series, 0..5).prop_map(request)
}

fn histograms() -> impl Strategy<Value = Vec<Histogram>> {
    // Good ones among them: of one bucket, empty ones, and those of floats.
    let count = prop_oneof![
        Just(None),
        (0_u64..3).prop_map(|it| Some(histogram::Count::CountInt(it))),
        Just(Some(histogram::Count::CountFloat(2.0))),
    ];
    let spans = vec((-2_i32..3, 0_u32..3), 0..3).prop_map(|all| {
        all.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect::<Vec<_>>()
    });
    let lists = (vec(-2_i64..3, 0..5), vec(-1.0..3.0, 0..5), vec(-1.0..3.0, 0..3));
    let one = (count, select(vec![-53, -4, 0, 8, 9, 60]), spans, lists).prop_map(
        |(count, schema, positive_spans, (deltas, counts, custom_values))| Histogram {
            count,
            schema,
            sum: 1.5,
            positive_spans,
            positive_deltas: deltas.clone(),
            negative_deltas: deltas,
            positive_counts: counts.clone(),
            negative_counts: counts,
            custom_values,
            timestamp: 1,
            ..Histogram::default()
        },
    );
    vec(one, 0..4)
}

type Taken = Vec<(Vec<(String, String)>, Vec<(i64, u64)>)>;

/// What a series is by the rules, told once more: its labels in order, if it is one.
fn labels(series: &TimeSeries) -> Option<Vec<(String, String)>> {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).ok();
    let pairs = series.labels.iter().map(|it| Some((text(&it.name)?, text(&it.value)?)));
    let mut pairs = pairs.collect::<Option<Vec<_>>>()?;
    pairs.sort();
    let is_twice = pairs.windows(2).any(|pair| pair[0].0 == pair[1].0);
    let is_unnamed = pairs.iter().any(|(name, _)| name.is_empty());
    pairs.retain(|(_, value)| !value.is_empty());
    let has_metric = pairs.iter().any(|(name, _)| name == "__name__");
    (has_metric && !is_twice && !is_unnamed).then_some(pairs)
}

fn taken(decoded: &Decoded) -> Taken {
    let series = decoded.batch.series.iter().filter(|it| !it.samples.is_empty());
    let of = series.map(|it| {
        let labels = it.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let samples = it.samples.iter().map(|it| (it.timestamp_ms, it.value.to_bits()));
        (labels.collect(), samples.collect())
    });
    of.collect()
}

proptest! {
    #[test]
    fn what_is_taken_in_is_what_prost_reads(
        request in requests(), seed in vec(any::<u16>(), 1..40)
    ) {
        let written = rewritten(&request, &[], &seed);
        let read = WriteRequest::decode(&written[..]).expect("a message");
        prop_assert_eq!(read.encode_to_vec(), request.encode_to_vec());
        let decoded = decode(&written).expect("a request");
        let (mut expected, mut invalid) = (Taken::new(), (0, 0));
        for series in &read.timeseries {
            let samples = series.samples.iter().map(|it| (it.timestamp, it.value.to_bits()));
            match labels(series) {
                Some(labels) if !series.samples.is_empty() => {
                    expected.push((labels, samples.collect()));
                }
                Some(_) => {}
                None => invalid = (invalid.0 + 1, invalid.1 + samples.count() as u64),
            }
        }
        prop_assert_eq!(taken(&decoded), expected);
        prop_assert_eq!((decoded.invalid.series, decoded.invalid.samples), invalid);
    }

    #[test]
    fn histograms_are_the_same_however_they_are_written(
        histograms in histograms(), seed in vec(any::<u16>(), 1..40)
    ) {
        for histogram in &histograms {
            let written = rewritten_histogram(histogram, &mut numbers(&seed));
            let read = Histogram::decode(&written[..]).expect("a message");
            prop_assert_eq!(&read, histogram);
        }
        let up = Label { name: b"__name__".to_vec(), value: b"up".to_vec() };
        let series = TimeSeries { labels: vec![up], samples: Vec::new() };
        let mut plain = series.encode_to_vec();
        histograms.iter().for_each(|it| plain.extend(field(4, &it.encode_to_vec())));
        let written = rewritten(&request(vec![series]), &histograms, &seed);
        prop_assert_eq!(
            decode(&written).expect("a request"),
            decode(&field(1, &plain)).expect("a request")
        );
    }

    /// What prost refuses is never taken in, but for metadata, which is passed over unread.
    #[test]
    fn what_prost_refuses_is_refused(
        request in requests(), seed in vec(any::<u16>(), 1..40),
        (at, byte, cut) in (any::<usize>(), any::<u8>(), 0_usize..20)
    ) {
        let mut written = rewritten(&request, &[], &seed);
        prop_assume!(!written.is_empty());
        let at = at % written.len();
        written[at] = byte;
        written.truncate(written.len() - cut % written.len());
        if let (Ok(_), Err(error)) = (decode(&written), WriteRequest::decode(&written[..])) {
            prop_assert!(error.to_string().contains("metadata"), "{}", error);
        }
    }
}
