//! Shared pages: the scores of a tick are written once for all who ask for them.
//!
//! In: a snapshot, and what the configuration says of models. Out: the text, which everybody who reads it
//! has in common; with ten thousand hosts it is 14 MB. It is another one after each tick, at each reload and
//! when a model falls silent.
//!
//! Invariant: texts of former ticks that somebody still reads take no more than
//! `exporter.max_in_flight_bytes` and one text; beyond that nobody gets a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use metrics::counter;
use tokio::sync::{Semaphore, watch};

use super::{ExporterConfig, ModelInfo, scores};
use crate::detect::Snapshot;

/// The text of the last tick, and how much memory all texts take that are read.
#[derive(Debug, Clone)]
pub struct SharedScores {
    last: watch::Sender<Option<Arc<Written>>>,
    /// One is written at a time; who comes meanwhile waits for it.
    turn: Arc<Semaphore>,
    bytes: Arc<AtomicUsize>,
}

/// Too much memory is held by readers of former pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagesHeld;

/// What a text is of.
#[derive(Debug)]
struct Written {
    snapshot: Arc<Snapshot>,
    models: Vec<ModelInfo>,
    config: ExporterConfig,
    current: Vec<bool>,
    text: Bytes,
}

/// A text, counted for as long as somebody has it.
struct Counted {
    text: String,
    bytes: Arc<AtomicUsize>,
}

impl Counted {
    fn new(text: String, bytes: &Arc<AtomicUsize>) -> Self {
        bytes.fetch_add(text.capacity(), Ordering::Relaxed);
        Self { text, bytes: Arc::clone(bytes) }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.text.capacity(), Ordering::Relaxed);
    }
}

impl Default for SharedScores {
    fn default() -> Self {
        let (last, _) = watch::channel(None);
        Self { last, turn: Arc::new(Semaphore::new(1)), bytes: Arc::default() }
    }
}

impl SharedScores {
    /// The scores as text.
    ///
    /// # Errors
    /// When readers of former ones hold too much.
    pub async fn text(
        &self,
        snapshot: &Arc<Snapshot>,
        models: &[ModelInfo],
        config: &ExporterConfig,
        now_ms: i64,
    ) -> Result<Bytes, PagesHeld> {
        // Nobody closes it.
        let _turn = self.turn.acquire().await;
        let current: Vec<bool> = snapshot.models.iter().map(|it| it.is_current(now_ms)).collect();
        let is_same = |it: &&Arc<Written>| {
            Arc::ptr_eq(&it.snapshot, snapshot)
                && (&it.current, it.models.as_slice(), &it.config) == (&current, models, config)
        };
        if let Some(written) = self.last.borrow().as_ref().filter(is_same) {
            return Ok(written.text.clone());
        }
        // From now on it is there for its readers alone.
        self.last.send_replace(None);
        if self.bytes.load(Ordering::Relaxed) > config.max_in_flight_bytes.as_len() {
            counter!("portent_exporter_scrapes_refused_total").increment(1);
            return Err(PagesHeld);
        }
        let (snapshot, models, config) = (Arc::clone(snapshot), models.to_vec(), config.clone());
        let bytes = Arc::clone(&self.bytes);
        // With many entities this takes milliseconds, which others should not wait for.
        let written = tokio::task::spawn_blocking(move || {
            let text = scores::render(&snapshot, &models, &config, now_ms);
            let text = Bytes::from_owner(Counted::new(text, &bytes));
            Arc::new(Written { snapshot, models, config, current, text })
        });
        // It does not panic; and a page without scores is better than none.
        let Ok(written) = written.await else { return Ok(Bytes::new()) };
        let text = written.text.clone();
        self.last.send_replace(Some(written));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytesize::ByteSize;
    use crate::detect::{Evaluation, ModelSnapshot};

    const NOW: i64 = 1_700_000_000_000;

    fn snapshot() -> Arc<Snapshot> {
        let model = ModelSnapshot {
            model: "m".to_owned(),
            time_ms: NOW,
            interval_ms: 15_000,
            threshold: 2.0,
            feature_names: Arc::default(),
            explain_above: 0.8,
            entities: Vec::new(),
            evaluation: Evaluation::default(),
        };
        Arc::new(Snapshot { time_ms: NOW, models: vec![Arc::new(model)], ..Snapshot::default() })
    }

    #[tokio::test]
    async fn a_text_is_written_once_for_all_who_ask() {
        let (shared, config) = (SharedScores::default(), ExporterConfig::default());
        let (first, second) = (snapshot(), snapshot());
        let text = async |snapshot, config: &ExporterConfig, now_ms| {
            shared.text(snapshot, &[], config, now_ms).await.expect("there is room")
        };
        let one = text(&first, &config, NOW).await;
        assert!(String::from_utf8_lossy(&one).contains("anomaly_threshold{model=\"m\"} 2"));
        let is_same = |a: &Bytes, b: &Bytes| a.as_ptr() == b.as_ptr();
        assert!(is_same(&one, &text(&first, &config, NOW + 15_000).await));
        let other = ExporterConfig { max_contributions_per_entity: 1, ..config.clone() };
        assert!(!is_same(&one, &text(&first, &other, NOW).await));
        assert!(!is_same(&one, &text(&second, &config, NOW).await));
        let silent = text(&second, &config, NOW + 60_000).await;
        assert!(!String::from_utf8_lossy(&silent).contains("anomaly_threshold{"));
    }

    #[tokio::test]
    async fn readers_of_former_texts_are_within_a_limit() {
        let shared = SharedScores::default();
        let first = snapshot();
        let none = ByteSize::from_bytes(1);
        let config = ExporterConfig { max_in_flight_bytes: none, ..ExporterConfig::default() };
        let text = async |it: &Arc<Snapshot>| shared.text(it, &[], &config, NOW).await;
        let second = snapshot();
        let read = text(&first).await.expect("nobody holds any");
        assert!(text(&first).await.is_ok(), "the same");
        assert_eq!(text(&second).await, Err(PagesHeld));
        drop(read);
        assert!(text(&second).await.is_ok());
        shared.last.send_replace(None);
        assert_eq!(shared.bytes.load(Ordering::Relaxed), 0);
    }
}
