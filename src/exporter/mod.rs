//! The metrics page: scores and Portent's own metrics as text that Prometheus scrapes.
//!
//! In: the last [`Snapshot`](crate::detect::Snapshot) and what the rooms count by the `metrics` crate. Out:
//! one page in text format 0.0.4 or as OpenMetrics, compressed if the client asks for it; all readers share the
//! text of the scores. Invariants: scores are written from the snapshot alone, so an entity that is gone
//! is gone at the next scrape; a model whose snapshot is too old is left out, so nothing
//! frozen is shown; label values are escaped; the number of series follows from the number of
//! entities and a configured number of contributions. It does not know where requests come from,
//! nor the time: `now` is an argument.
//! Source: Prometheus "Exposition formats", "Metric and label naming".

mod absence;
mod alerts;
mod deflated;
mod families;
mod fleet;
mod former;
mod metrics_page;
mod own;
mod page_format;
mod scores;
mod shared;
mod silences;

use std::time::Duration;

use bytes::Bytes;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use serde::{Deserialize, Serialize};

use crate::bytesize::ByteSize;

pub use families::Format;
pub use own::{
    Reload, Save, WarmStart, count_alert, count_append, count_dropped, count_missed_ticks,
    count_reload, count_restored, count_save, count_tick, count_warm_start, describe_metrics,
};
pub use page_format::PageFormat;
pub use scores::render as render_scores;
pub use shared::{PagesHeld, Scores, SharedScores};
pub use silences::{count_maintenance, count_silences_not_kept};

use deflated::Deflated;
use shared::Body;

/// Upper bounds of all duration histograms, in seconds: from a few entities to a tick that takes as
/// long as usual intervals are.
const DURATION_BUCKETS: [f64; 13] =
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// The `exporter` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExporterConfig {
    /// How many features of each entity that is explained (`global.explain_above`) are shown, those with
    /// the largest contribution.
    pub max_contributions_per_entity: usize,
    /// Pages of former ticks that are still being read, all together. Beyond it a scrape is answered with
    /// 503.
    pub max_in_flight_bytes: ByteSize,
}

impl Default for ExporterConfig {
    fn default() -> Self {
        Self {
            // As many as fit in a notification; more are noise.
            max_contributions_per_entity: 5,
            // Nine pages of ten thousand hosts; of a thousand, ninety.
            max_in_flight_bytes: ByteSize::from_mib(128),
        }
    }
}

/// What the page says about a model that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its name in the configuration.
    pub model: String,
    /// How many features it looks at.
    pub features: usize,
    /// Steps of its window.
    pub window: usize,
    /// How its threshold was found.
    pub threshold_method: String,
    /// The end of the data it was trained on, milliseconds since the epoch, where that is known.
    pub trained_to_ms: Option<i64>,
}

/// Why there can be no metrics.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The buckets are not accepted.
    #[error("the metrics recorder could not be built")]
    Build(#[from] BuildError),
    /// Something else records metrics in this process.
    #[error("metrics are already recorded in this process")]
    Installed,
}

/// Renders the page.
#[derive(Debug, Clone)]
pub struct Exporter {
    own: PrometheusHandle,
    process: Collector,
}

/// A page as it is sent.
#[derive(Debug)]
pub struct Page {
    /// One after the other.
    pub parts: Vec<Bytes>,
    /// Whether all of it is a gzip member.
    pub is_gzip: bool,
}

impl Exporter {
    /// Records the metrics of the whole process from now on.
    ///
    /// # Errors
    /// When the process does that already.
    pub fn install() -> Result<Self, ExporterError> {
        let recorder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS)?.build_recorder();
        let own = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| ExporterError::Installed)?;
        let process = Collector::default();
        process.describe();
        Ok(Self { own, process })
    }

    /// Work that has to be done between scrapes, however rare those are: histograms keep every
    /// value until then.
    pub fn upkeep(&self) {
        self.own.run_upkeep();
    }

    /// How often [`Exporter::upkeep`] is to be called.
    pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

    /// The page: the scores, then Portent's own metrics and those of its process as they are at this moment.
    #[must_use]
    pub fn page(&self, scores: &Scores, models: &[ModelInfo], format: Format) -> Page {
        let own = self.own(&scores.own, models, format);
        let plain = |text: &Bytes, own: String| Page {
            parts: vec![text.clone(), own.into()],
            is_gzip: false,
        };
        match &scores.body {
            Body::Plain(text) => plain(text, own),
            Body::Deflated(text, crc) => match Deflated::last(own.as_bytes()) {
                Ok(own) => {
                    let (begin, end) = deflated::frame([&**crc, &own.crc]);
                    let [begin, end] = [&begin[..], &end].map(Bytes::copy_from_slice);
                    Page { parts: vec![begin, text.clone(), own.bytes.into(), end], is_gzip: true }
                }
                // Memory takes whatever is written to it.
                Err(_) => plain(&Bytes::new(), own),
            },
        }
    }

    /// The page without its scores; `more` are families that belong there.
    #[must_use]
    pub fn own(&self, more: &str, models: &[ModelInfo], format: Format) -> String {
        metrics::counter!("portent_exporter_scrapes_total").increment(1);
        self.process.collect();
        let own = former::without(&self.own.render(), models);
        // The recorder's counters are whole numbers; this one is a gauge there, for its fractions.
        let cpu = "# TYPE process_cpu_seconds_total ";
        let own = own.replace(&format!("{cpu}gauge"), &format!("{cpu}counter"));
        families::sorted(&[more, &own], format)
    }
}
