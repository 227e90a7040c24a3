//! A sample: a value at a time, and a batch of them on its way to the rings.
//!
//! Timestamps are milliseconds since the epoch and may be negative; values are f64 and keep their
//! bits, because the stale marker is one particular NaN.
//! Source: Prometheus `model/value`, remote-write specification "Stale markers".

use std::sync::Arc;

use crate::capacity;
use crate::histogram::NativeHistogram;
use crate::labels::Labels;

/// The bits of the NaN by which Prometheus says that a series has ended.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// What an [`Arc`] has beside its value.
const COUNTERS_BYTES: usize = 2 * size_of::<usize>();

/// One value of a series.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Any f64. Never put a value that may be a stale marker through arithmetic.
    pub value: f64,
}

impl Sample {
    /// A sample.
    #[must_use]
    pub const fn new(timestamp_ms: i64, value: f64) -> Self {
        Self { timestamp_ms, value }
    }

    /// Whether this is a stale marker. An ordinary NaN is not.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        is_stale(self.value)
    }
}

impl PartialEq for Sample {
    /// Equal times and equal bits, so that a NaN equals itself.
    fn eq(&self, other: &Self) -> bool {
        self.timestamp_ms == other.timestamp_ms && self.value.to_bits() == other.value.to_bits()
    }
}

impl NativeHistogram {
    /// Whether this says that the series has ended. A sum that is an ordinary NaN does not.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }
}

/// Whether a value is the stale marker.
#[must_use]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One native histogram of a series.
#[derive(Debug, Clone)]
pub struct HistogramSample {
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The histogram. One that is a stale marker says that the series has ended, and is kept as the
    /// [`Sample`] that says so.
    pub histogram: Arc<NativeHistogram>,
}

impl HistogramSample {
    /// A native histogram at a time.
    #[must_use]
    pub fn new(timestamp_ms: i64, histogram: impl Into<Arc<NativeHistogram>>) -> Self {
        Self { timestamp_ms, histogram: histogram.into() }
    }

    /// Heap bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        capacity::allocated(COUNTERS_BYTES + size_of::<NativeHistogram>())
            + self.histogram.heap_bytes()
    }

    /// What it counts for where samples are limited: as many as take its memory, as in Prometheus.
    #[must_use]
    pub fn in_samples(&self) -> usize {
        1 + self.heap_bytes() / size_of::<Sample>()
    }
}

impl PartialEq for HistogramSample {
    /// Equal times, and histograms that say the same of the same buckets.
    fn eq(&self, other: &Self) -> bool {
        self.timestamp_ms == other.timestamp_ms && self.histogram.equals(&other.histogram)
    }
}

/// An example of what a series counts, mostly the trace of a request.
#[derive(Debug, Clone)]
pub struct Exemplar {
    /// What it is about, such as `trace_id`; possibly nothing.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
}

impl PartialEq for Exemplar {
    /// Equal times, labels and bits.
    fn eq(&self, other: &Self) -> bool {
        self.timestamp_ms == other.timestamp_ms
            && self.value.to_bits() == other.value.to_bits()
            && self.labels == other.labels
    }
}

/// What one request brings: validated label sets with their samples in the sender's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// A label set may occur more than once.
    pub series: Vec<BatchSeries>,
    /// What is said of metric families, each once.
    pub metadata: Vec<MetricMetadata>,
}

/// What a sender says of a metric family. A clone shares the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricMetadata {
    /// Its name: that of its series, where it has several without their suffix.
    pub family: Arc<str>,
    /// What it measures with.
    pub metric_type: MetricType,
    /// For people.
    pub help: Arc<str>,
    /// `seconds`; mostly empty.
    pub unit: Arc<str>,
}

impl MetricMetadata {
    /// Heap bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let texts = [&self.family, &self.help, &self.unit];
        texts.map(|it| capacity::allocated(COUNTERS_BYTES + it.len())).iter().sum()
    }
}

/// The type of a metric family, as in OpenMetrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetricType {
    /// Nobody says which.
    #[default]
    Unknown,
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of observations in buckets.
    Histogram,
    /// Such counts that go up and down.
    GaugeHistogram,
    /// Quantiles of observations.
    Summary,
    /// Labels that say something, with the value 1.
    Info,
    /// Several truths, each 0 or 1.
    StateSet,
}

impl MetricType {
    /// Prometheus's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// One series of a [`Batch`].
#[derive(Debug, Clone, PartialEq)]
pub struct BatchSeries {
    /// Includes the metric name; without what tells replicas of the sender apart.
    pub labels: Labels,
    /// Which of several replicas sends it, if the sender says so.
    pub replica: Option<Arc<str>>,
    /// In the order they were sent.
    pub samples: Vec<Sample>,
    /// In the order they were sent.
    pub histograms: Vec<HistogramSample>,
    /// In the order they were sent. A series may have nothing else.
    pub exemplars: Vec<Exemplar>,
}

impl BatchSeries {
    /// Samples of one sender.
    #[must_use]
    pub const fn new(labels: Labels, samples: Vec<Sample>) -> Self {
        Self { labels, replica: None, samples, histograms: Vec::new(), exemplars: Vec::new() }
    }
}

impl BatchSeries {
    /// When its samples of both kinds were taken.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        let histograms = self.histograms.iter().map(|it| it.timestamp_ms);
        self.samples.iter().map(|it| it.timestamp_ms).chain(histograms)
    }
}

impl Batch {
    /// What some series bring.
    #[must_use]
    pub const fn of(series: Vec<BatchSeries>) -> Self {
        Self { series, metadata: Vec::new() }
    }

    /// The number of samples in all series, without native histograms.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.series.iter().map(|series| series.samples.len()).sum()
    }

    /// The number of native histograms in all series.
    #[must_use]
    pub fn histograms(&self) -> usize {
        self.series.iter().map(|series| series.histograms.len()).sum()
    }

    /// The number of exemplars in all series.
    #[must_use]
    pub fn exemplars(&self) -> usize {
        self.series.iter().map(|series| series.exemplars.len()).sum()
    }

    /// Heap bytes, those of its label sets and texts included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |it: &BatchSeries| {
            let samples = it.samples.capacity() * size_of::<Sample>();
            let histograms = it.histograms.capacity() * size_of::<HistogramSample>();
            let inside = it.histograms.iter().map(HistogramSample::heap_bytes).sum::<usize>();
            let rows = capacity::allocated(samples) + capacity::allocated(histograms);
            it.labels.heap_bytes() + rows + inside + exemplar_bytes(&it.exemplars)
        };
        let own = capacity::allocated(self.series.capacity() * size_of::<BatchSeries>());
        let metadata = self.metadata.capacity() * size_of::<MetricMetadata>();
        let texts = self.metadata.iter().map(MetricMetadata::heap_bytes).sum::<usize>();
        own + self.series.iter().map(of).sum::<usize>() + capacity::allocated(metadata) + texts
    }
}

/// Memory of a list of exemplars, those of their label sets included.
#[must_use]
pub fn exemplar_bytes(exemplars: &Vec<Exemplar>) -> usize {
    let labels: usize = exemplars.iter().map(|it| it.labels.heap_bytes()).sum();
    capacity::allocated(exemplars.capacity() * size_of::<Exemplar>()) + labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_nan_is_stale() {
        assert!(Sample::new(0, f64::from_bits(STALE_NAN_BITS)).is_stale());
        assert!(!Sample::new(0, f64::NAN).is_stale());
        assert!(!Sample::new(0, f64::from_bits(0x7ff0_0000_0000_0003)).is_stale());
        assert!(!Sample::new(0, f64::INFINITY).is_stale());
    }

    #[test]
    fn a_batch_knows_what_it_takes() {
        let labels = Labels::from_pairs([("__name__", "m")]).expect("one name");
        let one = BatchSeries::new(labels, vec![Sample::new(1, 1.0); 3]);
        assert_eq!(Batch::default().bytes(), 0);
        let batch = Batch::of(vec![one; 2]);
        // Two sets of 11 bytes and two counters, and two times three samples.
        let parts = 2 * 32 + 2 * 48;
        let series = parts + capacity::allocated(2 * size_of::<BatchSeries>());
        assert_eq!(batch.bytes(), series);
        let text = |text: &str| Arc::from(text);
        let one = MetricMetadata {
            family: text("m"),
            metric_type: MetricType::Gauge,
            help: text("Help."),
            unit: text(""),
        };
        let texts = 32 + 32 + 16;
        assert_eq!(one.heap_bytes(), texts);
        let bytes = series + capacity::allocated(size_of::<MetricMetadata>()) + texts;
        assert_eq!(Batch { metadata: vec![one], ..batch }.bytes(), bytes);
    }

    #[test]
    fn a_batch_knows_what_its_exemplars_take() {
        let labels = Labels::from_pairs([("trace_id", "0123456789abcdef")]).expect("one name");
        let exemplar = Exemplar { labels: labels.clone(), value: 1.0, timestamp_ms: 1 };
        let without = BatchSeries::new(labels.clone(), Vec::new());
        let with = BatchSeries { exemplars: vec![exemplar; 3], ..without.clone() };
        let [without, with] = [without, with].map(|it| Batch::of(vec![it]));
        assert_eq!((without.exemplars(), with.exemplars()), (0, 3));
        let room = capacity::allocated(3 * size_of::<Exemplar>()) + 3 * labels.heap_bytes();
        assert_eq!(with.bytes(), without.bytes() + room);
    }

    #[test]
    fn exemplars_compare_by_bits() {
        let of = |value| Exemplar { labels: Labels::empty(), value, timestamp_ms: 1 };
        assert_eq!(of(f64::NAN), of(f64::NAN));
        assert_ne!(of(0.0), of(-0.0));
    }

    #[test]
    fn samples_compare_by_bits() {
        assert_eq!(Sample::new(1, f64::NAN), Sample::new(1, f64::NAN));
        assert_ne!(Sample::new(1, 0.0), Sample::new(1, -0.0));
    }
}
