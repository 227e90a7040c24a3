//! Shared pages: the scores of a tick are written once, and compressed once, for all who ask for them.
//!
//! In: a snapshot, and what the configuration says of models. Out: the text, which all readers share; with
//! ten thousand hosts it is 14 MB. It changes after each tick, at each reload and when a model is no longer
//! evaluated.
//!
//! Invariant: texts of former ticks that are still being read take no more than
//! `exporter.max_in_flight_bytes` plus one text; beyond that a new scrape is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Crc;
use metrics::counter;
use tokio::sync::{Semaphore, watch};

use super::deflated::Deflated;
use super::{ExporterConfig, ModelInfo, scores};
use crate::detect::Snapshot;

/// The text of the last tick, and how much memory all texts take that are read.
#[derive(Debug, Clone)]
pub struct SharedScores {
    last: watch::Sender<Option<Arc<Written>>>,
    /// One is written at a time; requests that arrive meanwhile wait for it.
    writer: Arc<Semaphore>,
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
    scores: Scores,
    /// Where somebody has wanted it.
    deflated: OnceLock<(Bytes, Arc<Crc>)>,
}

/// The scores as text.
#[derive(Debug, Clone)]
pub struct Scores {
    /// The same text, or its part of a gzip member.
    pub(super) body: Body,
    /// What is about Portent itself and of the same tick.
    pub(super) own: Arc<str>,
}

/// Text, and whether it is compressed.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Plain(Bytes),
    Deflated(Bytes, Arc<Crc>),
}

/// A text, counted for as long as somebody has it.
struct Counted {
    text: Vec<u8>,
    bytes: Arc<AtomicUsize>,
}

impl Counted {
    fn new(text: Vec<u8>, bytes: &Arc<AtomicUsize>) -> Self {
        bytes.fetch_add(text.capacity(), Ordering::Relaxed);
        Self { text, bytes: Arc::clone(bytes) }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.text
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
        Self { last, writer: Arc::new(Semaphore::new(1)), bytes: Arc::default() }
    }
}

/// What scores are written of, and which models were current then.
type Of = (Arc<Snapshot>, Vec<ModelInfo>, ExporterConfig, Vec<bool>);

/// How they are written.
type Render = fn(&Snapshot, &[ModelInfo], &ExporterConfig, i64) -> (String, String);

impl SharedScores {
    /// The scores as text, compressed where that is wanted.
    ///
    /// # Errors
    /// When readers of former ones hold too much.
    pub async fn text(
        &self,
        snapshot: &Arc<Snapshot>,
        models: &[ModelInfo],
        config: &ExporterConfig,
        (now_ms, deflated): (i64, bool),
    ) -> Result<Scores, PagesHeld> {
        // Nobody closes it.
        let _permit = self.writer.acquire().await;
        let current: Vec<bool> = snapshot.models.iter().map(|it| it.is_current(now_ms)).collect();
        let is_same = |it: &&Arc<Written>| {
            Arc::ptr_eq(&it.snapshot, snapshot)
                && (&it.current, it.models.as_slice(), &it.config) == (&current, models, config)
        };
        let last = self.last.borrow().as_ref().filter(is_same).map(Arc::clone);
        let written = match last {
            Some(written) => written,
            None => {
                // From now on it is there for its readers alone.
                self.last.send_replace(None);
                if self.bytes.load(Ordering::Relaxed) > config.max_in_flight_bytes.as_len() {
                    counter!("portent_exporter_scrapes_refused_total").increment(1);
                    return Err(PagesHeld);
                }
                let (models, config) = (models.to_vec(), config.clone());
                let of = (Arc::clone(snapshot), models, config, current);
                self.write(of, now_ms, scores::render).await
            }
        };
        Ok(if deflated { self.deflated(&written).await } else { written.scores.clone() })
    }

    async fn write(
        &self,
        (snapshot, models, config, current): Of,
        now_ms: i64,
        render: Render,
    ) -> Arc<Written> {
        // With many entities this takes milliseconds, which others should not wait for.
        let text = tokio::task::spawn_blocking({
            let (snapshot, models, config) =
                (Arc::clone(&snapshot), models.clone(), config.clone());
            move || render(&snapshot, &models, &config, now_ms)
        });
        // It does not panic; but a page without scores is better than none, and the next scrape tries again.
        let written = text.await;
        let is_whole = written.is_ok();
        let (text, own) = written.unwrap_or_default();
        let text = Bytes::from_owner(Counted::new(text.into_bytes(), &self.bytes));
        let scores = Scores { body: Body::Plain(text), own: own.into() };
        let deflated = OnceLock::new();
        let written = Written { snapshot, models, config, current, scores, deflated };
        let written = Arc::new(written);
        self.last.send_replace(is_whole.then(|| Arc::clone(&written)));
        written
    }

    /// The same, compressed; as it is where that cannot be.
    async fn deflated(&self, written: &Arc<Written>) -> Scores {
        let Body::Plain(text) = &written.scores.body else { return written.scores.clone() };
        if written.deflated.get().is_none() {
            let text = text.clone();
            let deflated = tokio::task::spawn_blocking(move || Deflated::part(&text));
            if let Ok(Ok(Deflated { bytes, crc })) = deflated.await {
                let bytes = Bytes::from_owner(Counted::new(bytes, &self.bytes));
                // Only who has the permit is here.
                let _ = written.deflated.set((bytes, Arc::new(crc)));
            }
        }
        let body = written.deflated.get().cloned().map(|(bytes, crc)| Body::Deflated(bytes, crc));
        Scores {
            body: body.unwrap_or(Body::Plain(text.clone())),
            own: Arc::clone(&written.scores.own),
        }
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
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities: Vec::new(),
            evaluation: Evaluation::default(),
        };
        Arc::new(Snapshot { time_ms: NOW, models: vec![Arc::new(model)], ..Snapshot::default() })
    }

    #[track_caller]
    fn plain(scores: Scores) -> Bytes {
        match scores.body {
            Body::Plain(text) => text,
            Body::Deflated(..) => panic!("nobody wanted that"),
        }
    }

    #[tokio::test]
    async fn a_text_is_compressed_once_for_all_who_want_that() {
        let (shared, config) = (SharedScores::default(), ExporterConfig::default());
        let snapshot = snapshot();
        let text = async |deflated| {
            shared.text(&snapshot, &[], &config, (NOW, deflated)).await.expect("there is room").body
        };
        let Body::Deflated(one, crc) = text(true).await else { panic!("it is wanted") };
        let Body::Deflated(other, _) = text(true).await else { panic!("it is wanted") };
        assert_eq!(one.as_ptr(), other.as_ptr());
        let Body::Plain(plain) = text(false).await else { panic!("it is not wanted") };
        assert_eq!(crc.amount() as usize, plain.len());
        assert!(one.len() < plain.len());
        let held = shared.bytes.load(Ordering::Relaxed);
        assert!(held >= one.len() + plain.len(), "{held}");
    }

    /// A page without scores is not what the next scrape gets.
    #[tokio::test]
    async fn what_could_not_be_written_is_tried_again() {
        let (shared, config, snapshot) =
            (SharedScores::default(), ExporterConfig::default(), snapshot());
        let of = (Arc::clone(&snapshot), Vec::new(), config.clone(), vec![true]);
        let failed = shared.write(of, NOW, |_, _, _, _| panic!("on purpose")).await;
        assert_eq!(plain(failed.scores.clone()), "");
        drop(failed);
        let text = shared.text(&snapshot, &[], &config, (NOW, false)).await.expect("there is room");
        assert!(String::from_utf8_lossy(&plain(text)).contains("anomaly_threshold{model=\"m\"} 2"));
    }

    #[tokio::test]
    async fn a_text_is_written_once_for_all_who_ask() {
        let (shared, config) = (SharedScores::default(), ExporterConfig::default());
        let (first, second) = (snapshot(), snapshot());
        let text = async |snapshot, config: &ExporterConfig, now_ms| {
            let text = shared.text(snapshot, &[], config, (now_ms, false)).await;
            plain(text.expect("there is room"))
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
        let text =
            async |it: &Arc<Snapshot>| shared.text(it, &[], &config, (NOW, false)).await.map(plain);
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
