//! A line: what happened to some entities, in one sentence.

use std::fmt::Write;

use super::{EntityEvent, PAUSE_MS};
use crate::detect::{AnomalyState, EntityScore, ModelSnapshot};
use crate::duration::Duration;
use crate::labels::Labels;
use crate::remote_write::clip;

/// Entities of a line that are named; the others are counted.
const MOST_NAMED: usize = 3;

/// Features of an entity that are named: as many as tell the cause.
const MOST_FEATURES: usize = 3;

/// What shares sum to at most: 1, and what float32 adds to it.
const MOST_SHARES: f32 = 1.01;

/// What happened to some entities of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Line {
    pub(in super::super) model: String,
    pub(in super::super) kind: EntityEvent,
    /// How many entities it is about.
    pub(in super::super) count: usize,
    /// A few of them, with what there is to say of each.
    pub(in super::super) items: Vec<String>,
    pub(in super::super) warm_up_ms: i64,
}

/// What is to be told, and is not yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    count: usize,
    items: Vec<String>,
    /// When the first and the last of it happened.
    first_ms: i64,
    last_ms: i64,
    /// When there was a line last.
    told_ms: Option<i64>,
}

impl Gathered {
    pub fn add(&mut self, now_ms: i64, item: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first_ms = now_ms;
        }
        self.last_ms = now_ms;
        self.count += 1;
        if self.items.len() < MOST_NAMED {
            self.items.push(item());
        }
    }

    /// Whether there is anything, and the last line of its kind is long enough ago.
    pub fn can_be_told(&self, now_ms: i64) -> bool {
        self.count > 0 && self.told_ms.is_none_or(|told_ms| has_passed(told_ms, now_ms))
    }

    /// What it is time for: at once where it is urgent, else when an evaluation has brought no more, or after a
    /// while. All of it takes place after a pause.
    pub fn take(
        &mut self,
        is_urgent: bool,
        (now_ms, interval_ms): (i64, i64),
    ) -> Option<(usize, Vec<String>)> {
        let is_whole =
            self.last_ms != now_ms || has_passed(self.first_ms, now_ms) || interval_ms >= PAUSE_MS;
        if !self.can_be_told(now_ms) || !is_urgent && !is_whole {
            return None;
        }
        self.told_ms = Some(now_ms);
        Some((std::mem::take(&mut self.count), std::mem::take(&mut self.items)))
    }
}

/// Whether a pause has passed, or the clock was set back.
fn has_passed(since_ms: i64, now_ms: i64) -> bool {
    !(0..PAUSE_MS).contains(&now_ms.saturating_sub(since_ms))
}

impl Line {
    /// As an operator reads it.
    pub(in super::super) fn text(&self) -> String {
        let warm_up = about(self.warm_up_ms);
        let (one, many) = match self.kind {
            EntityEvent::Appears => (
                format!("an entity appears and warms up, its first score within {warm_up}"),
                format!("entities appear and warm up, first scores within {warm_up}"),
            ),
            EntityEvent::Present => {
                both("an entity appears and has a score", "entities appear and have scores")
            }
            EntityEvent::Scored => both(
                "an entity has warmed up and has a score",
                "entities have warmed up and have scores",
            ),
            EntityEvent::Above => {
                both("a score is above its threshold", "scores are above their thresholds")
            }
            EntityEvent::Below => both(
                "a score is no longer above its threshold",
                "scores are no longer above their thresholds",
            ),
            EntityEvent::Stale => both(
                "an entity is stale and has no score, its samples have ended or are late",
                "entities are stale and have no scores, their samples have ended or are late",
            ),
            EntityEvent::Back => {
                both("an entity has fresh samples again", "entities have fresh samples again")
            }
            EntityEvent::Incomplete => both(
                "an entity is incomplete and has no score",
                "entities are incomplete and have no scores",
            ),
            EntityEvent::Complete => {
                both("an entity is complete again", "entities are complete again")
            }
        };
        let mut text = match self.count {
            1 => one,
            count => format!("{count} {many}"),
        };
        let _ = write!(text, ": {}", self.items.join(", "));
        match self.count - self.items.len() {
            0 => {}
            more => {
                let _ = write!(text, " and {more} more");
            }
        }
        text
    }
}

fn both(one: &str, many: &str) -> (String, String) {
    (one.to_owned(), many.to_owned())
}

/// A time as one says it: `13m`, not `12m45s`.
fn about(ms: i64) -> String {
    let rounded = match ms {
        ..90_000 => (ms + 999) / 1_000 * 1_000,
        90_000..7_200_000 => (ms + 59_999) / 60_000 * 60_000,
        _ => (ms + 1_799_999) / 1_800_000 * 1_800_000,
    };
    Duration::from_ms(rounded).to_string()
}

/// An entity, and what there is to say of it.
pub(super) fn item(kind: EntityEvent, entity: &Labels, say: &impl Fn() -> String) -> String {
    let name = name(entity);
    match kind {
        EntityEvent::Above | EntityEvent::Below | EntityEvent::Incomplete => match say() {
            detail if detail.is_empty() => name,
            detail => format!("{name} ({detail})"),
        },
        _ => name,
    }
}

/// An entity by the values of its labels: `web-1:9100`, `web-1:9100/node`.
fn name(entity: &Labels) -> String {
    let values: Vec<&str> = entity.iter().map(|(_, value)| value).collect();
    clip(&values.join("/"))
}

/// A score and what it is made of: `3.2 of 1, cpu_busy 61%`.
pub(super) fn score(score: &EntityScore, names: &[String]) -> String {
    let mut text = format!("{} of {}", short(score.score), short(score.threshold));
    if score.state == AnomalyState::Lasting {
        text.push_str(", as it has been for hours");
    }
    if score.is_anomalous() {
        // What a model of another make says may be no shares.
        let sum: f32 = score.contributions().map(|it| it.contribution).sum();
        for it in score.contributions().take(MOST_FEATURES) {
            if let Some(name) = names.get(it.feature as usize) {
                let _ = write!(text, ", {}", clip(name));
                if sum <= MOST_SHARES {
                    let _ = write!(text, " {:.0}%", it.contribution * 100.0);
                }
            }
        }
    }
    text
}

/// Three digits.
fn short(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        100.0..1e6 => format!("{value:.0}"),
        _ => format!("{value:.2e}"),
    }
}

/// Features that have no value: `without cpu_busy, load1`.
pub(super) fn lacking(model: &ModelSnapshot, features: &[u32]) -> String {
    let named = features.iter().filter_map(|it| model.feature_names.get(*it as usize));
    let named: Vec<String> = named.take(MOST_FEATURES).map(|it| clip(it)).collect();
    match features.len().saturating_sub(named.len()) {
        _ if named.is_empty() => "the model's error is not a number".to_owned(),
        0 => format!("without {}", named.join(", ")),
        more => format!("without {} and {more} more", named.join(", ")),
    }
}
