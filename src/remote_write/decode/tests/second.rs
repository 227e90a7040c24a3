//! Remote-write 2.0, and what both versions have in common.

use std::collections::HashMap;

use proptest::prelude::*;
use prost::Message;

use super::{body as body_v1, demand, limits, request as request_v1, series as series_v1};
use crate::bytesize::ByteSize;
use crate::proto::prometheus_v2::{Exemplar, Histogram, Request, Sample as WireSample, TimeSeries};
use crate::remote_write::decode::{Decoded, Invalid, Unused, decode, decode_message};
use crate::remote_write::{Protocol, Refusal, RemoteWriteConfig};

fn decoded(request: &Request) -> Result<Decoded, Refusal> {
    decode_message(&request.encode_to_vec(), Protocol::V2, &limits(), Some(&demand()))
}

fn request(symbols: &[&str], timeseries: Vec<TimeSeries>) -> Request {
    Request { symbols: symbols.iter().map(|it| (*it).to_owned()).collect(), timeseries }
}

/// A series of these labels with two samples.
fn series(labels_refs: &[u32]) -> TimeSeries {
    let sample = |timestamp| WireSample { value: 1.0, timestamp, start_timestamp: 0 };
    let samples = vec![sample(1), sample(2)];
    TimeSeries { labels_refs: labels_refs.to_vec(), samples, ..TimeSeries::default() }
}

/// `["", "__name__", "up", "a", "1", "other", "0123456789x", "a"]`: the last is a name twice.
const SYMBOLS: [&str; 8] = ["", "__name__", "up", "a", "1", "other", "0123456789x", "a"];

/// What becomes of one series beside a good one, which is always kept.
#[track_caller]
fn check(tested: TimeSeries, expected: Result<&str, &str>) {
    let counts = [tested.samples.len(), tested.histograms.len(), tested.exemplars.len()];
    let [samples, histograms, exemplars] = counts.map(|it| it as u64);
    let decoded = decoded(&request(&SYMBOLS, vec![tested, series(&[1, 2])])).expect("a request");
    let (good, rest) = decoded.batch.series.split_last().expect("the good series");
    assert_eq!((good.labels.to_string().as_str(), good.samples.len()), ("up", 2));
    match expected {
        Ok(text) => {
            let kept: Vec<String> = rest.iter().map(|it| it.labels.to_string()).collect();
            assert_eq!(kept.join(" "), text);
            let kept = rest.iter().map(|it| it.histograms.len() as u64).sum::<u64>();
            assert_eq!(kept, if rest.is_empty() { 0 } else { histograms });
            let kept = rest.iter().map(|it| it.exemplars.len() as u64).sum::<u64>();
            assert_eq!(kept, exemplars);
            assert_eq!((decoded.invalid, decoded.unused), (Invalid::default(), Unused::default()));
        }
        Err(text) => {
            assert!(rest.is_empty(), "{rest:?}");
            let examples = vec![text.to_owned()];
            let invalid = Invalid { series: 1, samples, histograms, exemplars, examples };
            assert_eq!((decoded.invalid, decoded.unused), (invalid, Unused::default()));
        }
    }
}

#[test]
fn labels_are_symbols() {
    check(series(&[1, 2, 3, 4]), Ok(r#"up{a="1"}"#));
    check(series(&[3, 4, 1, 2]), Ok(r#"up{a="1"}"#));
    check(series(&[1, 2, 3, 0]), Ok("up"));
    check(series(&[1, 5, 3, 4]), Ok(r#"other{a="1"}"#));
}

#[test]
fn a_bad_series_costs_only_itself() {
    let not_there = r#"a series refers to symbol 8 of 8, which is not there: {__name__="up"}"#;
    check(series(&[1, 2, 3, 8]), Err(not_there));
    check(series(&[1, 2, 8, 4]), Err(not_there));
    let odd = "a series has 3 label references, which must be pairs: {}";
    check(series(&[1, 2, 3]), Err(odd));
    check(series(&[]), Err("a series has no metric name: {}"));
    check(series(&[3, 4]), Err(r#"a series has no metric name: {a="1"}"#));
    check(series(&[1, 0]), Err(r#"a series has no metric name: {__name__=""}"#));
    check(series(&[1, 2, 0, 4]), Err(r#"a series of "up" has a label without a name"#));
    // The same name by different numbers.
    let twice = r#"a series of "up": label name "a" occurs more than once"#;
    check(series(&[1, 2, 3, 4, 7, 4]), Err(twice));
    let long = r#"a series of "up" has a value of 11 bytes, more than 10B, in label "a""#;
    check(series(&[1, 2, 3, 6]), Err(long));
}

#[test]
fn a_series_has_samples_or_histograms_or_exemplars() {
    let nothing = || TimeSeries { labels_refs: vec![1, 2], ..TimeSeries::default() };
    check(nothing(), Err(r#"a series has neither samples nor histograms: {__name__="up"}"#));
    let histograms = vec![Histogram::default(); 2];
    check(TimeSeries { histograms, ..nothing() }, Ok("up"));
    let both = TimeSeries { histograms: vec![Histogram::default()], ..series(&[1, 2]) };
    check(both, Err(r#"a series has both samples and histograms: {__name__="up"}"#));
    // Prometheus itself sends these.
    let exemplar =
        |labels_refs: &[u32]| Exemplar { labels_refs: labels_refs.to_vec(), ..Exemplar::default() };
    check(TimeSeries { exemplars: vec![exemplar(&[3, 4])], ..nothing() }, Ok("up"));
    check(
        TimeSeries { exemplars: vec![exemplar(&[])], ..series(&[1, 2, 3, 4]) },
        Ok(r#"up{a="1"}"#),
    );
}

#[test]
fn a_bad_exemplar_costs_only_itself() {
    for labels_refs in [vec![3], vec![3, 8], vec![8, 4]] {
        let bad = Exemplar { labels_refs, ..Exemplar::default() };
        let exemplars = vec![bad, Exemplar::default()];
        let tested = TimeSeries { exemplars, ..series(&[1, 2]) };
        let decoded = decoded(&request(&SYMBOLS, vec![tested])).expect("a request");
        assert_eq!((decoded.batch.samples(), decoded.batch.exemplars()), (2, 1));
        let examples = vec!["an exemplar of up has no good labels".to_owned()];
        assert_eq!(decoded.invalid, Invalid { exemplars: 1, examples, ..Invalid::default() });
    }
}

#[test]
fn a_bad_histogram_costs_only_itself() {
    let bad = Histogram { schema: 60, ..Histogram::default() };
    let histograms = vec![bad.clone(), Histogram::default(), bad.clone()];
    let tested = TimeSeries { labels_refs: vec![1, 2], histograms, ..TimeSeries::default() };
    let second = decoded(&request(&SYMBOLS, vec![tested, series(&[1, 2])])).expect("a request");
    // The field has another number in the first version.
    let mut message = series_v1(&[(b"__name__", b"up")], &[(1, 1.0), (2, 2.0)]).encode_to_vec();
    for histogram in [&bad, &Histogram::default(), &bad] {
        message.extend(field(4, &histogram.encode_to_vec()));
    }
    let first = decode_message(&field(1, &message), Protocol::V1, &limits(), Some(&demand()));
    for decoded in [first.expect("a request"), second] {
        assert_eq!((decoded.batch.samples(), decoded.batch.histograms()), (2, 1));
        let reason =
            "histogram schema 60 is neither exponential (-4 to 52) nor custom buckets (-53)";
        let examples = vec![format!("a histogram of up: {reason}")];
        let invalid = Invalid { histograms: 2, examples, ..Invalid::default() };
        assert_eq!(decoded.invalid, invalid);
    }
}

#[test]
fn what_nobody_wants_may_break_limits() {
    let exemplars = vec![Exemplar::default()];
    let tested = TimeSeries { exemplars, ..series(&[3, 6, 1, 5]) };
    let decoded = decoded(&request(&SYMBOLS, vec![tested])).expect("a request");
    assert_eq!((decoded.unneeded, decoded.invalid), (2, Invalid::default()));
    assert_eq!(decoded.unused.exemplars, 1);
    // More labels than are allowed, with numbers that are no symbols among them.
    let many = series(&[3, 6, 1, 5, 3, 4, 3, 4, 99, 99]);
    let decoded = self::decoded(&request(&SYMBOLS, vec![many])).expect("a request");
    assert_eq!(decoded.invalid.examples, ["a series has a label without a name"]);
}

#[test]
fn the_first_symbol_is_empty() {
    let refused = |symbols: &[&str], timeseries| {
        let refusal = decoded(&request(symbols, timeseries)).expect_err("a refusal");
        (refusal.status().as_u16(), refusal.to_string())
    };
    let text = "the request has no symbols, or the first one is not the empty text".to_owned();
    assert_eq!(refused(&[], vec![series(&[0, 0])]), (400, text.clone()));
    assert_eq!(refused(&["__name__", "up"], vec![series(&[0, 1])]), (400, text.clone()));
    assert_eq!(refused(&["up"], vec![]), (400, text));
    assert_eq!(decoded(&request(&[], vec![])).expect("nothing is a request"), Decoded::default());
    assert_eq!(decoded(&request(&[""], vec![])).expect("a request"), Decoded::default());
}

#[test]
fn limits_of_a_request() {
    let refused = |config: &RemoteWriteConfig, request: &Request| {
        let message = request.encode_to_vec();
        let decoded = decode_message(&message, Protocol::V2, config, Some(&demand()));
        let refusal = decoded.expect_err("a refusal");
        (refusal.status().as_u16(), refusal.to_string())
    };
    let three = request(&SYMBOLS, vec![series(&[1, 2, 3, 4]); 3]);
    let config = RemoteWriteConfig { max_samples_per_request: 6, ..limits() };
    let at = |symbols, bytes| RemoteWriteConfig {
        max_symbols_per_request: symbols,
        max_label_bytes_per_request: ByteSize::from_bytes(bytes),
        ..config.clone()
    };
    // `__name__`, `up`, `a` and `1` are 12 bytes.
    let message = three.encode_to_vec();
    assert!(decode_message(&message, Protocol::V2, &at(8, 36), Some(&demand())).is_ok());
    let text = "the request has more than 7 symbols (remote_write.max_symbols_per_request)";
    assert_eq!(refused(&at(7, 36), &three), (413, text.to_owned()));
    let text =
        "the request has more than 35 label bytes (remote_write.max_label_bytes_per_request)";
    assert_eq!(refused(&at(8, 35), &three), (413, text.to_owned()));
    let text = "the request has more than 5 samples (remote_write.max_samples_per_request)";
    assert_eq!(refused(&limits(), &three), (413, text.to_owned()));
}

/// A message of the other version is an empty one, as the numbers of its fields are others.
#[test]
fn versions_do_not_read_each_other() {
    let second = request(&SYMBOLS, vec![series(&[1, 2])]).encode_to_vec();
    let as_first = decode_message(&second, Protocol::V1, &limits(), Some(&demand()));
    assert_eq!(as_first.expect("a request"), Decoded::default());
    let first = body_v1(&request_v1(vec![series_v1(&[(b"__name__", b"up")], &[(1, 1.0)])]));
    let as_second = decode(&first, Protocol::V2, &limits(), Some(&demand()));
    assert_eq!(as_second.expect("a request"), Decoded::default());
}

/// The fields of a message, each by itself.
pub(super) fn fields(message: &[u8]) -> Vec<Vec<u8>> {
    let varint = |rest: &mut &[u8]| {
        let length = rest.iter().position(|byte| byte & 0x80 == 0).expect("an end") + 1;
        let value =
            rest[..length].iter().rev().fold(0_u64, |sum, it| sum << 7 | u64::from(it & 0x7f));
        *rest = &rest[length..];
        value
    };
    let (mut rest, mut all) = (message, Vec::new());
    while !rest.is_empty() {
        let begin = rest;
        match varint(&mut rest) & 7 {
            0 => drop(varint(&mut rest)),
            1 => rest = &rest[8..],
            2 => {
                let length = varint(&mut rest) as usize;
                rest = &rest[length..];
            }
            _ => rest = &rest[4..],
        }
        all.push(begin[..begin.len() - rest.len()].to_vec());
    }
    all
}

pub(super) fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::encode_varint(number << 3 | 2, &mut field);
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend(content);
    field
}

/// Fields in another order, below the number 32. Those of one number keep theirs: it is that of samples.
pub(super) fn shuffled(parts: Vec<Vec<u8>>, next: &mut dyn FnMut() -> usize) -> Vec<u8> {
    let mut order: Vec<usize> = (0..parts.len()).map(|_| next()).collect();
    let mut by_field: HashMap<u8, Vec<usize>> = HashMap::new();
    for (part, at) in parts.iter().zip(&order) {
        by_field.entry(part[0] >> 3).or_default().push(*at);
    }
    by_field.values_mut().for_each(|it| it.sort_unstable_by(|a, b| b.cmp(a)));
    for (part, at) in parts.iter().zip(&mut order) {
        *at = by_field.get_mut(&(part[0] >> 3)).and_then(Vec::pop).expect("one each");
    }
    let mut both: Vec<(usize, Vec<u8>)> = order.into_iter().zip(parts).collect();
    both.sort_by_key(|it| it.0);
    both.into_iter().flat_map(|it| it.1).collect()
}

/// The same message as other senders may write it: series and their fields in another order, numbers that are
/// packed or not, fields that nobody knows.
fn rewritten(request: &Request, seed: &[u16]) -> Vec<u8> {
    let mut seed = seed.iter().cycle();
    let mut next = move || usize::from(*seed.next().expect("an endless one"));
    let mut parts: Vec<Vec<u8>> =
        request.symbols.iter().map(|it| field(4, it.as_bytes())).collect();
    for series in &request.timeseries {
        let rest = TimeSeries { labels_refs: Vec::new(), ..series.clone() };
        let mut inner = fields(&rest.encode_to_vec());
        for refs in series.labels_refs.chunks(1 + next() % 3) {
            let mut numbers = Vec::new();
            refs.iter().for_each(|it| prost::encoding::encode_varint(u64::from(*it), &mut numbers));
            match (refs.len(), next() % 2) {
                (1, 0) => inner.push([&[1 << 3][..], &numbers].concat()),
                _ => inner.push(field(1, &numbers)),
            }
        }
        if next() % 2 == 0 {
            inner.push(field(14, b"nobody knows this"));
            inner.push(vec![15 << 3, 7]);
        }
        parts.push(field(5, &shuffled(inner, &mut next)));
    }
    shuffled(parts, &mut next)
}

fn requests() -> impl Strategy<Value = Request> {
    let sample = (any::<i64>(), any::<u64>()).prop_map(|(timestamp, bits)| WireSample {
        value: f64::from_bits(bits),
        timestamp,
        start_timestamp: timestamp,
    });
    let exemplar = proptest::collection::vec(0_u32..9, 0..4).prop_map(|labels_refs| Exemplar {
        labels_refs,
        value: 1.0,
        timestamp: 1,
    });
    let one = (
        proptest::collection::vec(0_u32..9, 0..8),
        proptest::collection::vec(sample, 0..3),
        proptest::collection::vec(exemplar, 0..3),
        0_usize..3,
    );
    let series = one.prop_map(|(labels_refs, samples, exemplars, histograms)| TimeSeries {
        labels_refs,
        samples,
        exemplars,
        histograms: vec![Histogram { sum: 1.0, ..Histogram::default() }; histograms / 2],
        metadata: None,
    });
    proptest::collection::vec(series, 0..4).prop_map(|timeseries| request(&SYMBOLS, timeseries))
}

/// Large enough for what is made here.
fn wide() -> RemoteWriteConfig {
    RemoteWriteConfig { max_samples_per_request: 100, max_series_per_request: 100, ..limits() }
}

proptest! {
    #[test]
    fn it_is_the_same_however_it_is_written(
        request in requests(), seed in proptest::collection::vec(any::<u16>(), 1..40)
    ) {
        let written = rewritten(&request, &seed);
        // prost reads the same of both, and so does Portent.
        prop_assert_eq!(
            Request::decode(&written[..]).expect("a message").encode_to_vec(),
            request.encode_to_vec()
        );
        let decode = |message: &[u8]| decode_message(message, Protocol::V2, &wide(), Some(&demand()));
        prop_assert_eq!(decode(&written).expect("a request"), decode(&request.encode_to_vec()).expect("a request"));
    }

    /// The series that keep the rules are those that they are to whoever decodes with prost.
    #[test]
    fn what_is_taken_in_is_what_prost_reads(request in requests()) {
        let decoded = decode_message(&request.encode_to_vec(), Protocol::V2, &wide(), Some(&demand()));
        let decoded = decoded.expect("a request");
        let samples: usize = request.timeseries.iter().map(|it| it.samples.len()).sum();
        let taken = decoded.batch.samples() as u64 + decoded.invalid.samples + decoded.unneeded;
        prop_assert_eq!(taken, samples as u64);
        for kept in &decoded.batch.series {
            let is_source = |it: &&TimeSeries| {
                let pairs = it.labels_refs.chunks_exact(2).map(|pair| {
                    (SYMBOLS.get(pair[0] as usize).copied(), SYMBOLS.get(pair[1] as usize).copied())
                });
                let named = pairs.filter(|(_, value)| *value != Some(""));
                let mut wanted: Vec<_> = kept.labels.iter().map(|(n, v)| (Some(n), Some(v))).collect();
                let mut found: Vec<_> = named.collect();
                wanted.sort_unstable();
                found.sort_unstable();
                let bits = |value: f64| value.to_bits();
                let mut pairs = it.samples.iter().zip(&kept.samples);
                wanted == found
                    && it.samples.len() == kept.samples.len()
                    && pairs.all(|(a, b)| (a.timestamp, bits(a.value)) == (b.timestamp_ms, bits(b.value)))
            };
            prop_assert!(request.timeseries.iter().any(|it| is_source(&it)), "{:?}", kept);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, Protocol::V2, &limits(), Some(&demand()));
        let decoded = decode_message(&bytes, Protocol::V2, &limits(), Some(&demand()));
        // What prost refuses is never taken in, but for texts that nobody refers to and parts that are
        // passed over unread.
        if let (Ok(_), Err(error)) = (decoded, Request::decode(&bytes[..])) {
            let unread = ["UTF-8", "histograms", "metadata"];
            prop_assert!(unread.iter().any(|it| error.to_string().contains(it)), "{}", error);
        }
    }
}
