//! Limits: each of `remote_write` that a request can reach, at the limit and one above.

use std::time::Duration;

use portent::bytesize::ByteSize;
use portent::histogram::NativeHistogram;
use portent::proto::prometheus_v2::{BucketSpan, Histogram};
use portent::remote_write::RemoteWriteConfig;
use portent::sample::HistogramSample;
use portent::series::StorageConfig;
use prost::Message;

use super::message::{BOTH, Sent, Version, field, snappy};
use super::second::written;
use super::{NOW_MS, Server, judge};

fn bytes(count: usize) -> ByteSize {
    ByteSize::from_bytes(count as u64)
}

/// A request at the limit is a success, one above it has this answer, and the one after it is a success again.
/// The limit is set by what `body` says of itself.
async fn row(
    versions: &[Version],
    set: impl Fn(&mut RemoteWriteConfig, Version),
    body: impl Fn(Version, usize) -> Vec<u8>,
    (status, sentence): (u16, &str),
) {
    for &version in versions {
        let mut config = RemoteWriteConfig::default();
        set(&mut config, version);
        let server = Server::configured(config).await;
        let at = server.post(version.headers(), &body(version, 0)).await;
        judge(&at, 204, "");
        let above = server.post(version.headers(), &body(version, 1)).await;
        assert_eq!(above.status, status, "{version:?}: {above:?}, and not {sentence}");
        judge(&above, status, sentence);
        let counts = (version == Version::Second).then_some([0, 0, 0]);
        assert_eq!(written(&above), counts, "{above:?}");
        judge(&server.post(version.headers(), &body(version, 0)).await, 204, "");
    }
}

/// A request with a field that nobody knows, of so many bytes.
fn padded(version: Version, more: usize) -> Vec<u8> {
    [version.message(&[Sent::up()]), field(100, &vec![0; 300 + more])].concat()
}

/// What snappy is given in pieces that it cannot shorten: a literal each.
fn literal(version: Version, more: usize) -> Vec<u8> {
    let message = padded(version, more);
    let mut body = super::message::number(message.len() as u64);
    for piece in message.chunks(60) {
        body.push((piece.len() as u8 - 1) << 2);
        body.extend(piece);
    }
    body
}

#[tokio::test]
async fn bytes_of_a_body() {
    for version in BOTH {
        let length = literal(version, 0).len();
        let sentence = format!("the body is larger than {length}B (remote_write.max_body_bytes)");
        let set = |config: &mut RemoteWriteConfig, _| config.max_body_bytes = bytes(length);
        row(&[version], set, literal, (413, &sentence)).await;
    }
}

#[tokio::test]
async fn bytes_of_what_a_body_decompresses_to() {
    for version in BOTH {
        let length = padded(version, 0).len();
        let sentence = format!(
            "the body decompresses to {} bytes, more than {length}B (remote_write.max_decoded_bytes)",
            length + 1
        );
        let set = |config: &mut RemoteWriteConfig, _| config.max_decoded_bytes = bytes(length);
        let body = |version, more| snappy(&padded(version, more));
        row(&[version], set, body, (413, &sentence)).await;
    }
}

#[tokio::test]
async fn series_of_a_request() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_series_per_request = 3;
    let body = |version: Version, more| version.body(&vec![Sent::up(); 3 + more]);
    let sentence = "the request has more than 3 series (remote_write.max_series_per_request)";
    row(&BOTH, set, body, (413, sentence)).await;
}

#[tokio::test]
async fn samples_of_a_request() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_samples_per_request = 3;
    let sentence = "the request has more than 3 samples (remote_write.max_samples_per_request)";
    // In one series, and in two of them.
    let one = |version: Version, more| {
        version.body(&[Sent { samples: vec![(NOW_MS, 1.0); 3 + more], ..Sent::up() }])
    };
    row(&BOTH, set, one, (413, sentence)).await;
    let two = |version: Version, more| {
        version.body(&[Sent::up(), Sent { samples: vec![(NOW_MS, 1.0); 2 + more], ..Sent::up() }])
    };
    row(&BOTH, set, two, (413, sentence)).await;
}

#[tokio::test]
async fn symbols_of_a_request() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_symbols_per_request = 4;
    let body = |version: Version, more: usize| {
        let unused = field(4, b"x").repeat(1 + more);
        snappy(&[version.message(&[Sent::up()]), unused].concat())
    };
    let sentence = "the request has more than 4 symbols (remote_write.max_symbols_per_request)";
    row(&[Version::Second], set, body, (413, sentence)).await;
}

#[tokio::test]
async fn labels_of_a_request() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_labels_per_request = 3;
    let job = || Sent::new(&[("__name__", "up"), ("job", "a")], &[(NOW_MS, 1.0)]);
    let body =
        |version: Version, more: usize| version.body(&[[Sent::up(), job()][more].clone(), job()]);
    let sentence = "the request has more than 3 labels (remote_write.max_labels_per_request)";
    row(&BOTH, set, body, (413, sentence)).await;
}

/// Numbers of two bytes may stand for texts of any length.
#[tokio::test]
async fn bytes_of_the_labels_of_a_request() {
    // `__name__` and `up`, and one more by another value.
    let set = |config: &mut RemoteWriteConfig, _| config.max_label_bytes_per_request = bytes(20);
    let body = |version: Version, more| {
        let name = ["up", "upx"][more];
        version.body(&[Sent::up(), Sent::new(&[("__name__", name)], &[(NOW_MS, 1.0)])])
    };
    let sentence =
        "the request has more than 20 label bytes (remote_write.max_label_bytes_per_request)";
    row(&BOTH, set, body, (413, sentence)).await;
}

#[tokio::test]
async fn memory_of_the_histograms_of_a_request() {
    let histogram = Histogram { timestamp: NOW_MS, ..Histogram::default() };
    let histogram = move || histogram.encode_to_vec();
    let kept = HistogramSample::new(NOW_MS, NativeHistogram::default());
    let each = kept.heap_bytes() + size_of::<HistogramSample>();
    let set = |config: &mut RemoteWriteConfig, _| {
        config.max_histogram_bytes_per_request = bytes(3 * each);
    };
    let sentence = format!(
        "the request has more than {} histogram bytes (remote_write.max_histogram_bytes_per_request)",
        3 * each
    );
    // In one series, and in two of them.
    let of =
        |count: usize| Sent { histograms: vec![histogram(); count], samples: vec![], ..Sent::up() };
    row(&BOTH, set, |version: Version, more| version.body(&[of(3 + more)]), (413, &sentence)).await;
    let two = |version: Version, more| version.body(&[of(1), of(2 + more)]);
    row(&BOTH, set, two, (413, &sentence)).await;
    // They count as samples, too.
    let set = |config: &mut RemoteWriteConfig, _| config.max_samples_per_request = 3;
    let sentence = "the request has more than 3 samples (remote_write.max_samples_per_request)";
    row(&BOTH, set, |version: Version, more| version.body(&[of(3 + more)]), (413, sentence)).await;
}

#[tokio::test]
async fn buckets_of_a_histogram() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_buckets_per_histogram = 4;
    let sentence = "1 histograms are invalid; for example: a histogram of up: it has more than 4 buckets \
                    (remote_write.max_buckets_per_histogram)";
    let body = |version: Version, histogram: &Histogram| {
        let histograms = vec![histogram.encode_to_vec()];
        version.body(&[Sent { histograms, samples: vec![], ..Sent::up() }])
    };
    let buckets = |version, more| {
        let length = 4 + more as u32;
        let histogram = Histogram {
            timestamp: NOW_MS,
            positive_spans: vec![BucketSpan { offset: 0, length }],
            positive_deltas: vec![0; length as usize],
            ..Histogram::default()
        };
        body(version, &histogram)
    };
    row(&BOTH, set, buckets, (400, sentence)).await;
    // Spans without a bucket, and bounds without one.
    let spans = |version, more| {
        let positive_spans = vec![BucketSpan::default(); 4 + more];
        body(version, &Histogram { timestamp: NOW_MS, positive_spans, ..Histogram::default() })
    };
    row(&BOTH, set, spans, (400, sentence)).await;
    let bounds = |version, more| {
        let custom_values = (0..4 + more).map(|it| it as f64).collect();
        let histogram =
            Histogram { schema: -53, timestamp: NOW_MS, custom_values, ..Histogram::default() };
        body(version, &histogram)
    };
    row(&BOTH, set, bounds, (400, sentence)).await;
}

/// What the answer says of one sample of an invalid series.
fn invalid(reason: &str) -> String {
    format!(
        "1 of 1 samples were not taken in: 1 of invalid series; 1 series are invalid; for example: {reason}"
    )
}

#[tokio::test]
async fn labels_of_a_series() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_labels_per_series = 3;
    let body = |version: Version, more| {
        let all = [("__name__", "up"), ("a", "1"), ("b", "2"), ("c", "3")];
        version.body(&[Sent::new(&all[..3 + more], &[(NOW_MS, 1.0)])])
    };
    let sentence = invalid("a series has 4 labels, more than 3");
    row(&BOTH, set, body, (400, &sentence)).await;
    // Those with an empty value are none, but they are sent.
    let body = |version: Version, more| {
        let all = [("__name__", "up"), ("a", ""), ("b", ""), ("c", "")];
        version.body(&[Sent::new(&all[..3 + more], &[(NOW_MS, 1.0)])])
    };
    row(&BOTH, set, body, (400, &sentence)).await;
}

#[tokio::test]
async fn bytes_of_the_name_of_a_label() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_label_name_bytes = bytes(8);
    let body = |version: Version, more| {
        let name = ["abcdefgh", "abcdefghi"][more];
        version.body(&[Sent::new(&[("__name__", "up"), (name, "1")], &[(NOW_MS, 1.0)])])
    };
    let sentence =
        invalid(r#"a series of "up" has a label name of 9 bytes, more than 8B: "abcdefghi""#);
    row(&BOTH, set, body, (400, &sentence)).await;
}

#[tokio::test]
async fn bytes_of_the_value_of_a_label() {
    let set = |config: &mut RemoteWriteConfig, _| config.max_label_value_bytes = bytes(8);
    let body = |version: Version, more| {
        // Bytes are counted, not characters.
        let value = ["\u{e4}\u{e4}\u{e4}\u{e4}", "\u{e4}\u{e4}\u{e4}\u{e4}a"][more];
        version.body(&[Sent::new(&[("__name__", "up"), ("a", value)], &[(NOW_MS, 1.0)])])
    };
    let sentence =
        invalid(r#"a series of "up" has a value of 9 bytes, more than 8B, in label "a""#);
    row(&BOTH, set, body, (400, &sentence)).await;
    // The name of a metric is a value too.
    let body = |version: Version, more| {
        let name = ["kept_678", "kept_6789"][more];
        version.body(&[Sent::new(&[("__name__", name)], &[(NOW_MS, 1.0)])])
    };
    let sentence = invalid(
        r#"a series of "kept_6789" has a value of 9 bytes, more than 8B, in label "__name__""#,
    );
    row(&BOTH, set, body, (400, &sentence)).await;
}

/// What is for later: 503 with what was written already, so that a sender of 2.0 knows, and nothing for good.
#[tokio::test]
async fn new_series_beyond_those_of_a_second() {
    let storage = StorageConfig { max_new_series_per_second: 2, ..StorageConfig::default() };
    let names = ["a", "b", "c", "d", "e"];
    let all: Vec<Sent<'_>> = (names.iter())
        .map(|name| Sent::new(&[("__name__", "up"), ("n", name)], &[(NOW_MS, 1.0)]))
        .collect();
    for version in BOTH {
        let (config, timeout) = (RemoteWriteConfig::default(), Duration::from_secs(10));
        let server = Server::with_rings(config, timeout, storage.clone(), 1_000).await;
        for (is_there, status) in [(2, 503), (4, 503), (5, 204)] {
            let reply = server.post(version.headers(), &version.body(&all)).await;
            let sentence = format!(
                "{} of 5 samples were not taken in: {0} of new series beyond those of a second, to come \
                 again; for example: the sample of up{{n=\"{}\"}} at {NOW_MS} ms would start a series \
                 beyond storage.max_new_series_per_second",
                5 - is_there,
                names[is_there.min(4)],
            );
            judge(&reply, status, &sentence);
            let counts = (version == Version::Second).then_some([is_there as u64, 0, 0]);
            assert_eq!(written(&reply), counts, "{reply:?}");
            assert_eq!(server.stored().await.len(), is_there);
        }
    }
}

/// What may pass is 503, and a sender of 2.0 is told that nothing was written.
#[tokio::test]
async fn what_may_pass_is_to_come_again() {
    let config = RemoteWriteConfig { max_in_flight_bytes: bytes(1_000), ..Default::default() };
    let server = Server::start(config, Duration::from_millis(200)).await;
    let full = "too much is being received at once (remote_write.max_in_flight_bytes); try again";
    for version in BOTH {
        for (length, sentence) in [(1_001, full), (1_000, "the body did not arrive in time")] {
            let head = super::head("POST", version.headers(), length);
            let reply = server.exchange(&[head.as_bytes()]).await;
            judge(&reply, 503, sentence);
            let counts = (version == Version::Second).then_some([0, 0, 0]);
            assert_eq!(written(&reply), counts, "{reply:?}");
        }
    }
}

/// A few bytes that claim gigabytes, or just what is allowed, are refused before memory is spent on them, in 2.0
/// with counts.
#[tokio::test]
async fn what_a_body_claims_is_not_believed() {
    let rows: [(&[u8], u16, &str); 5] = [
        (
            b"\x97\xea\xb4\x89\x0a\x17\x0a\x08",
            413,
            "the body decompresses to 2704094487 bytes, more than 32MiB (remote_write.max_decoded_bytes)",
        ),
        (
            b"\x80\x80\x80\x10\x00\x00",
            400,
            "the body is not snappy (block format): 6 bytes cannot decompress to 33554432",
        ),
        // No length: a number of more than 32 bits, and one that does not end.
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            400,
            "the body is not snappy (block format): ",
        ),
        (b"\x80", 400, "the body is not snappy (block format): "),
        (b"", 400, "the body is empty"),
    ];
    let server = Server::usual().await;
    for (body, status, sentence) in rows {
        for version in BOTH {
            let reply = server.post(version.headers(), body).await;
            assert_eq!(reply.status, status, "{reply:?}");
            assert!(reply.body.starts_with(sentence), "{reply:?}, and not {sentence}");
            let counts = (version == Version::Second).then_some([0, 0, 0]);
            assert_eq!(written(&reply), counts, "{reply:?}");
        }
    }
}
