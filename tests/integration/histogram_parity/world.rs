//! Streams of native histograms for both servers: integers and floats, exponential and custom buckets, resets,
//! schemas that change, ends, floats among histograms; and the classic histogram of one.

use portent::proto::prometheus_v2::histogram::{Count, ZeroCount};
use portent::proto::prometheus_v2::{BucketSpan, Histogram, Request, Sample, TimeSeries};
use portent::sample::STALE_NAN_BITS;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Between two samples of a series.
pub const INTERVAL_MS: i64 = 15_000;

/// Samples of each series.
pub const LENGTH: usize = 160;

const CUSTOM: i32 = -53;

/// What a reset hint is on the wire.
const GAUGE: i32 = 3;

/// What a series has at a time.
#[derive(Clone)]
pub enum Value {
    Float(f64),
    Histogram(Box<Histogram>),
}

/// A series with what it has at each step; a gap is nothing.
pub struct Stream {
    pub labels: Vec<(&'static str, String)>,
    pub values: Vec<Option<Value>>,
}

/// Observations by bucket, growing.
struct Growing {
    random: ChaCha8Rng,
    schema: i32,
    zero_threshold: f64,
    zero: i64,
    positive: Vec<i64>,
    negative: Vec<i64>,
    /// The index of the first bucket of either side.
    first: i32,
    sum: f64,
    bounds: Vec<f64>,
}

impl Growing {
    fn new(seed: u64, schema: i32, buckets: (usize, usize)) -> Self {
        let (positive, negative) = (vec![0; buckets.0], vec![0; buckets.1]);
        let bounds = if schema == CUSTOM {
            (1..buckets.0).map(|i| 0.25 * (i * i) as f64).collect()
        } else {
            Vec::new()
        };
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            schema,
            zero_threshold: if schema == CUSTOM { 0.0 } else { 0.001 },
            zero: 0,
            positive,
            negative,
            first: if schema == CUSTOM { 0 } else { -4 },
            sum: 0.0,
            bounds,
        }
    }

    fn observe(&mut self) {
        for i in 0..self.positive.len() {
            let more = self.random.random_range(0..4);
            self.positive[i] += more;
            self.sum += more as f64 * (0.3 + i as f64);
        }
        for i in 0..self.negative.len() {
            let more = self.random.random_range(0..3);
            self.negative[i] += more;
            self.sum -= more as f64 * (0.2 + i as f64);
        }
        if self.schema != CUSTOM {
            self.zero += self.random.random_range(0..2);
        }
    }

    fn reset(&mut self) {
        self.zero = 0;
        self.sum = 0.0;
        self.positive.fill(0);
        self.negative.fill(0);
    }

    fn count(&self) -> i64 {
        self.zero + self.positive.iter().chain(&self.negative).sum::<i64>()
    }

    /// In spans of three buckets with a gap of two between them.
    fn spans(&self, buckets: usize) -> Vec<BucketSpan> {
        if self.schema == CUSTOM && buckets > 0 {
            return vec![BucketSpan { offset: 0, length: buckets as u32 }];
        }
        (0..buckets.div_ceil(3))
            .map(|i| BucketSpan {
                offset: if i == 0 { self.first } else { 2 },
                length: (buckets - 3 * i).min(3) as u32,
            })
            .collect()
    }

    fn common(&self) -> Histogram {
        Histogram {
            sum: self.sum,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive_spans: self.spans(self.positive.len()),
            negative_spans: self.spans(self.negative.len()),
            custom_values: self.bounds.clone(),
            ..Histogram::default()
        }
    }

    fn integers(&self) -> Value {
        let deltas = |counts: &[i64]| {
            let mut last = 0;
            counts.iter().map(|it| it - std::mem::replace(&mut last, *it)).collect()
        };
        Value::Histogram(Box::new(Histogram {
            count: Some(Count::CountInt(self.count() as u64)),
            zero_count: Some(ZeroCount::ZeroCountInt(self.zero as u64)),
            positive_deltas: deltas(&self.positive),
            negative_deltas: deltas(&self.negative),
            ..self.common()
        }))
    }

    fn floats(&self, factor: f64, reset_hint: i32) -> Value {
        let counts = |counts: &[i64]| counts.iter().map(|it| *it as f64 * factor).collect();
        Value::Histogram(Box::new(Histogram {
            count: Some(Count::CountFloat(self.count() as f64 * factor)),
            zero_count: Some(ZeroCount::ZeroCountFloat(self.zero as f64 * factor)),
            positive_counts: counts(&self.positive),
            negative_counts: counts(&self.negative),
            reset_hint,
            ..self.common()
        }))
    }
}

/// What ends a series of histograms.
fn stale() -> Value {
    Value::Histogram(Box::new(Histogram {
        count: Some(Count::CountInt(0)),
        sum: f64::from_bits(STALE_NAN_BITS),
        ..Histogram::default()
    }))
}

fn stream(
    name: &'static str,
    instance: &str,
    growing: Growing,
    mut at: impl FnMut(usize, &mut Growing) -> Option<Value>,
) -> Stream {
    let mut growing = growing;
    let values = (0..LENGTH)
        .map(|i| {
            growing.observe();
            at(i, &mut growing)
        })
        .collect();
    let labels = vec![("__name__", name.to_owned()), ("instance", instance.to_owned())];
    Stream { labels, values }
}

/// All series.
pub fn streams() -> Vec<Stream> {
    let mut all = vec![
        // Resets twice; a coarser schema from the middle on, and a finer one at the end.
        stream("request_seconds", "a", Growing::new(1, 3, (7, 0)), |i, it| {
            if i == 50 || i == 120 {
                it.reset();
            }
            it.schema = [3, 1, 4][i / 64];
            Some(it.integers())
        }),
        // Both sides, floats, a gap longer than a lookback, another zero bucket.
        stream("request_seconds", "b", Growing::new(2, 1, (5, 4)), |i, it| {
            it.zero_threshold = if i < 90 { 0.001 } else { 0.7 };
            (!(60..85).contains(&i)).then(|| it.floats(0.5, 0))
        }),
        // The same buckets all the time.
        stream("request_seconds", "c", Growing::new(3, 0, (4, 2)), |_, it| Some(it.integers())),
        // Ends, and comes back.
        stream("request_seconds", "d", Growing::new(4, 2, (6, 0)), |i, it| match i {
            70 => Some(stale()),
            71..80 => None,
            _ => Some(it.integers()),
        }),
        // A gauge.
        stream("queue_items", "a", Growing::new(5, 2, (5, 0)), |i, it| {
            if i % 7 == 0 {
                it.reset();
            }
            Some(it.floats(1.0, GAUGE))
        }),
        stream("queue_items", "b", Growing::new(6, 0, (3, 3)), |_, it| Some(it.floats(2.0, GAUGE))),
        // Custom buckets; of the second one the bounds change.
        stream("size_bytes", "a", Growing::new(7, CUSTOM, (5, 0)), |i, it| {
            if i == 100 {
                it.reset();
            }
            Some(it.integers())
        }),
        stream("size_bytes", "b", Growing::new(8, CUSTOM, (5, 0)), |i, it| {
            if i == 80 {
                it.bounds = vec![1.0, 2.0, 3.0, 5.0];
            }
            Some(it.integers())
        }),
        // Exponential, then custom.
        stream("size_bytes", "c", Growing::new(9, 1, (4, 0)), |i, it| {
            if i == 75 {
                *it = Growing::new(10, CUSTOM, (4, 0));
                it.observe();
            }
            Some(it.integers())
        }),
        // Floats, then histograms, then floats.
        stream("changed", "a", Growing::new(11, 1, (4, 0)), |i, it| match i {
            0..60 | 120.. => Some(Value::Float(it.sum)),
            _ => Some(it.integers()),
        }),
        stream("changed", "b", Growing::new(12, 1, (4, 0)), |_, it| Some(it.integers())),
        // Observations that are NaN are in no bucket.
        stream("odd", "a", Growing::new(13, 1, (4, 0)), |i, it| {
            let Value::Histogram(mut histogram) = it.integers() else { unreachable!() };
            histogram.sum = f64::NAN;
            histogram.count = Some(Count::CountInt(it.count() as u64 + i as u64 / 3));
            Some(Value::Histogram(histogram))
        }),
        // No observation at all.
        stream("odd", "b", Growing::new(14, 1, (0, 0)), |_, it| {
            (it.zero, it.sum) = (0, 0.0);
            Some(it.integers())
        }),
        // Floats beside them.
        stream("weight", "a", Growing::new(15, 0, (1, 0)), |i, _| {
            Some(Value::Float((i % 11) as f64))
        }),
        stream("weight", "b", Growing::new(15, 0, (1, 0)), |i, _| {
            Some(Value::Float(-1.5 * i as f64))
        }),
    ];
    // A classic histogram, and a native one of the same name at some times.
    all.push(stream("both", "a", Growing::new(16, 0, (4, 0)), |i, it| {
        (i % 40 < 20).then(|| it.integers())
    }));
    for (n, le) in ["0.5", "1", "2", "+Inf"].into_iter().enumerate() {
        let mut one = stream("both", "a", Growing::new(17, 0, (4, 0)), |i, it| {
            let counts = it.positive[..=n].iter().sum::<i64>() as f64;
            (i % 50 < 40).then_some(Value::Float(counts))
        });
        one.labels.push(("le", le.to_owned()));
        all.push(one);
    }
    all
}

/// A request of 2.0 with what there is at some steps, the first of all being at a time.
pub fn request(streams: &[Stream], first_ms: i64, steps: std::ops::Range<usize>) -> Request {
    let mut symbols = vec![String::new()];
    let mut timeseries = Vec::new();
    for stream in streams {
        let mut labels_refs = Vec::new();
        for (name, value) in &stream.labels {
            for text in [*name, value] {
                labels_refs.push(symbols.len() as u32);
                symbols.push(text.to_owned());
            }
        }
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        for step in steps.clone() {
            let timestamp = first_ms + step as i64 * INTERVAL_MS;
            match &stream.values[step] {
                Some(Value::Float(value)) => {
                    samples.push(Sample { value: *value, timestamp, start_timestamp: 0 });
                }
                Some(Value::Histogram(it)) => {
                    histograms.push(Histogram { timestamp, ..Histogram::clone(it) });
                }
                None => {}
            }
        }
        let of = |samples, histograms| TimeSeries {
            labels_refs: labels_refs.clone(),
            samples,
            histograms,
            ..TimeSeries::default()
        };
        // One of them may not have both.
        if !samples.is_empty() {
            timeseries.push(of(samples, Vec::new()));
        }
        if !histograms.is_empty() {
            timeseries.push(of(Vec::new(), histograms));
        }
    }
    Request { symbols, timeseries }
}
