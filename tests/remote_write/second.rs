//! Remote-write 2.0: a request a row, with its status, its counts and its sentence. What is stored is what the
//! counts say: a row that is sent again has the same ones.

use std::collections::BTreeMap;

use portent::proto::prometheus_v2::{Exemplar, Histogram, Metadata, Request, Sample, TimeSeries};
use portent::remote_write::RemoteWriteConfig;
use prost::Message;

use super::{NOW_MS, Reply, Server, V1, good_body, head, judge};

pub(super) const V2: &str = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n\
                  Content-Encoding: snappy\r\n";

/// The symbols of a table: numbers by texts.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Symbols {
    fn new() -> Self {
        let mut symbols = Self::default();
        symbols.of("");
        symbols
    }

    fn of(&mut self, text: &str) -> u32 {
        let next = self.texts.len() as u32;
        *self.numbers.entry(text.to_owned()).or_insert_with(|| {
            self.texts.push(text.to_owned());
            next
        })
    }
}

/// A series as a row writes it.
#[derive(Default, Clone)]
struct One {
    labels: &'static [(&'static str, &'static str)],
    /// Seconds after `NOW_MS`, and values.
    samples: &'static [(i64, f64)],
    histograms: usize,
    exemplars: usize,
}

const UP: &[(&str, &str)] = &[("__name__", "up"), ("job", "a")];

fn body(all: &[One]) -> Vec<u8> {
    let mut symbols = Symbols::new();
    let series = all.iter().map(|one| {
        let refs =
            one.labels.iter().flat_map(|(name, value)| [symbols.of(name), symbols.of(value)]);
        let labels_refs = refs.collect();
        let time = |seconds: i64| NOW_MS + seconds * 1_000;
        let sample = |(at, value): &(i64, f64)| Sample {
            value: *value,
            timestamp: time(*at),
            start_timestamp: time(-60),
        };
        TimeSeries {
            labels_refs,
            samples: one.samples.iter().map(sample).collect(),
            // A series has a float or a histogram at a time.
            histograms: vec![
                Histogram { timestamp: NOW_MS - 500, ..Histogram::default() };
                one.histograms
            ],
            exemplars: vec![
                Exemplar { labels_refs: vec![0, 0], value: 1.0, timestamp: NOW_MS };
                one.exemplars
            ],
            metadata: Some(Metadata { r#type: 1, help_ref: 0, unit_ref: 0 }),
        }
    });
    let timeseries = series.collect();
    encode(Request { symbols: symbols.texts, timeseries })
}

fn encode(request: Request) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("it is short")
}

/// The counts that an answer gives, all or none: samples, histograms, exemplars.
pub(super) fn written(reply: &Reply) -> Option<[u64; 3]> {
    let counts = ["samples", "histograms", "exemplars"].map(|what| {
        let value = reply.header(&format!("x-prometheus-remote-write-{what}-written"));
        value.map(|it| it.parse::<u64>().expect("a number"))
    });
    match counts {
        [Some(samples), Some(histograms), Some(exemplars)] => {
            Some([samples, histograms, exemplars])
        }
        [None, None, None] => None,
        _ => panic!("all or none: {reply:?}"),
    }
}

/// A row: what is sent, the status, the counts, and the sentence.
type Row = (&'static [One], u16, [u64; 3], &'static str);

const ROWS: &[Row] = &[
    // What is good is 204, and all of it counts.
    (&[], 204, [0, 0, 0], ""),
    (&[One { labels: UP, samples: &[(0, 1.0)], ..NONE }], 204, [1, 0, 0], ""),
    (
        &[One { labels: UP, samples: &[(1, 1.0), (2, 2.0)], exemplars: 1, ..NONE }],
        204,
        [2, 0, 1],
        "",
    ),
    (&[One { labels: UP, histograms: 2, ..NONE }], 204, [0, 2, 0], ""),
    (&[One { labels: UP, exemplars: 3, ..NONE }], 204, [0, 0, 3], ""),
    // A series may come twice.
    (
        &[
            One { labels: UP, samples: &[(3, 1.0)], ..NONE },
            One { labels: UP, samples: &[(4, 1.0)], ..NONE },
        ],
        204,
        [2, 0, 0],
        "",
    ),
    // Out of order, and what is there already.
    (&[One { labels: UP, samples: &[(9, 1.0), (8, 1.0), (9, 1.0)], ..NONE }], 204, [3, 0, 0], ""),
    // Nobody wants it.
    (
        &[One { labels: &[("__name__", "other")], samples: &[(0, 1.0)], exemplars: 1, ..NONE }],
        204,
        [1, 0, 1],
        "",
    ),
    // Names of any text, and labels in any order.
    (
        &[One {
            labels: &[("job", "b"), ("h\u{e4}user.zahl-1", "x"), ("__name__", "up")],
            samples: &[(0, 1.0)],
            ..NONE
        }],
        204,
        [1, 0, 0],
        "",
    ),
    // Of what is bad in part the good part is taken in.
    (
        &[
            One { labels: UP, samples: &[(10, 1.0)], ..NONE },
            One { labels: &[("job", "a")], samples: &[(0, 1.0)], exemplars: 1, ..NONE },
        ],
        400,
        [1, 0, 0],
        "1 of 2 samples were not taken in: 1 of invalid series; 1 series are invalid; 1 exemplars are \
         invalid; for example: a series has no metric name: {job=\"a\"}",
    ),
    (
        &[One { labels: UP, samples: &[(11, 1.0), (1_000, 1.0)], ..NONE }],
        400,
        [1, 0, 0],
        "1 of 2 samples were not taken in: 1 too far in the future; for example: the sample of \
         up{job=\"a\"} at 1700001000000 ms is 16m40s ahead of this machine's clock, more than \
         storage.max_future (10m) allows",
    ),
    (
        &[One { labels: UP, samples: &[(10, 2.0)], ..NONE }],
        400,
        [0, 0, 0],
        "1 of 1 samples were not taken in: 1 with another value than before; for example: the sample of \
         up{job=\"a\"} at 1700000010000 ms has another value than the sample already there",
    ),
    // It has metadata, as all of them.
    (&[One { labels: UP, ..NONE }], 204, [0, 0, 0], ""),
    (
        &[One { labels: UP, samples: &[(0, 1.0)], histograms: 1, ..NONE }],
        400,
        [0, 0, 0],
        "1 of 1 samples were not taken in: 1 of invalid series; 1 series are invalid; 1 histograms are \
         invalid; for example: a series has both samples and histograms: {__name__=\"up\", job=\"a\"}",
    ),
    (
        &[One {
            labels: &[("__name__", "up"), ("a", "1"), ("a", "2")],
            samples: &[(0, 1.0)],
            ..NONE
        }],
        400,
        [0, 0, 0],
        "1 of 1 samples were not taken in: 1 of invalid series; 1 series are invalid; for example: a series \
         of \"up\": label name \"a\" occurs more than once",
    ),
];

const NONE: One = One { labels: &[], samples: &[], histograms: 0, exemplars: 0 };

#[tokio::test]
async fn every_answer_says_what_was_written() {
    let server = Server::usual().await;
    for (all, status, counts, sentence) in ROWS {
        // What is there already was written.
        for _ in 0..2 {
            let reply = server.post(V2, &body(all)).await;
            judge(&reply, *status, sentence);
            assert_eq!(written(&reply), Some(*counts), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn refusals_say_that_nothing_was_written() {
    let limits = RemoteWriteConfig { max_series_per_request: 1, ..RemoteWriteConfig::default() };
    let server = Server::configured(limits).await;
    let up = One { labels: UP, samples: &[(0, 1.0)], ..NONE };
    let two = body(&[up.clone(), up]);
    let series = TimeSeries { labels_refs: vec![0, 1], ..TimeSeries::default() };
    let no_empty_symbol = Request { symbols: vec!["a".to_owned()], timeseries: vec![series] };
    let cut = &two[..two.len() - 3];
    for (body, status, begin) in [
        (&two[..], 413, "the request has more than 1 series"),
        (cut, 400, "the body is not snappy (block format)"),
        (b"", 400, "the body is empty"),
        (&encode(no_empty_symbol), 400, "the request has no symbols, or the first one is not the"),
    ] {
        let reply = server.post(V2, body).await;
        assert_eq!((reply.status, written(&reply)), (status, Some([0, 0, 0])), "{reply:?}");
        assert!(reply.body.starts_with(begin), "{reply:?}");
    }
}

/// A sender of 1.0 believes an answer with counts to be of a server that speaks 2.0.
#[tokio::test]
async fn senders_of_the_first_version_are_told_no_counts() {
    let server = Server::usual().await;
    for (headers, body, status) in [
        (V1, good_body(), 204),
        ("", good_body(), 204),
        (V1, b"\xff".to_vec(), 400),
        ("Content-Type: text/plain\r\n", good_body(), 415),
        ("Content-Type: application/x-protobuf;proto=yolo\r\n", good_body(), 415),
    ] {
        let reply = server.post(headers, &body).await;
        assert_eq!((reply.status, written(&reply)), (status, None), "{reply:?}");
    }
    // Another method is none of a sender.
    let reply = server.exchange(&[head("PUT", V2, 0).as_bytes()]).await;
    assert_eq!((reply.status, written(&reply)), (405, None));
}
