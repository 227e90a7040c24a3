//! The story: what happens to entities, logged once and in few lines.
//!
//! In: the snapshots, one after the other. Out: the lines of a log. It knows neither the clock nor the log: times
//! are those of the evaluations.
//!
//! ```text
//! appears ─▶ warms up ─▶ has scores ─▶ above ─▶ below …      stale ─▶ back      incomplete ─▶ complete
//! ```
//!
//! A state must last for a while before it is logged, except for a score above its threshold; so a state that
//! comes and goes at every step is logged once. What happens to many entities is one line with a count and a few
//! names, and there is at most one line of each kind and model in [`PAUSE_MS`], however many entities there are.
//! Only a few bytes are remembered for each entity in the snapshot.

mod line;

use std::collections::HashMap;

use self::line::Gathered;
pub(super) use self::line::Line;
use crate::detect::{ModelSnapshot, Snapshot, Unscored};
use crate::labels::Labels;

/// For so long an entity is stale or incomplete before it is told: a scrape or two that fail are no news.
const HOLD_MS: i64 = 60_000;

/// For so long a score is below its threshold before it is told, so that one that swings around it is told
/// once: as long as most alerts wait.
const CALM_MS: i64 = 120_000;

/// Of a kind there is one line in this time, which has all of it: what an operator can read.
const PAUSE_MS: i64 = 60_000;

/// What happens to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum EntityEvent {
    /// It is new, and its first score takes some time.
    Appears,
    /// It is new to this process, and has a score at once.
    Present,
    /// It has its first score.
    Scored,
    /// Its score is above the threshold.
    Above,
    /// And is so no more.
    Below,
    /// Its samples have ended or are late.
    Stale,
    /// And come again.
    Back,
    /// It lacks what the model needs.
    Incomplete,
    /// And lacks it no more.
    Complete,
}

/// What an entity is at one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing has been told of it.
    Untold,
    Warming,
    Normal,
    Above,
    Stale,
    Incomplete,
}

/// What is remembered of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    told: Standing,
    /// What it is now, and since when.
    is: Standing,
    since_ms: i64,
}

/// What has been told of the entities of all models.
#[derive(Debug, Default)]
pub(super) struct Story {
    models: HashMap<String, Chapter>,
}

/// Of one model.
#[derive(Debug, Default)]
struct Chapter {
    /// The evaluation that was looked at last.
    time_ms: i64,
    entities: HashMap<Labels, Told>,
    gathered: HashMap<EntityEvent, Gathered>,
}

impl Story {
    /// Goes on to a snapshot: the lines that it is time for.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) -> Vec<Line> {
        self.models.retain(|name, _| snapshot.models.iter().any(|it| it.model == *name));
        let mut lines = Vec::new();
        for model in &snapshot.models {
            let chapter = self.models.entry(model.model.clone()).or_default();
            // Where everything failed nothing is known of anybody.
            if chapter.time_ms != model.time_ms && model.failure().is_none() {
                chapter.time_ms = model.time_ms;
                chapter.follow(model);
                lines.extend(chapter.lines(model));
            }
        }
        lines
    }
}

impl Chapter {
    fn follow(&mut self, model: &ModelSnapshot) {
        let now_ms = model.time_ms;
        let mut before = std::mem::take(&mut self.entities);
        for score in &model.entities {
            let is = if score.is_anomalous() { Standing::Above } else { Standing::Normal };
            let known = take(&mut before, &score.entity);
            self.go_on(known, (is, now_ms), || line::score(score, &model.feature_names));
        }
        for it in &model.evaluation.unscored {
            let (is, lacks): (_, &[u32]) = match &it.reason {
                Unscored::Stale => (Standing::Stale, &[]),
                Unscored::Warming => (Standing::Warming, &[]),
                Unscored::Incomplete { features } => (Standing::Incomplete, features),
                Unscored::NotFinite => (Standing::Incomplete, &[]),
            };
            let known = take(&mut before, &it.entity);
            self.go_on(known, (is, now_ms), || line::lacking(model, lacks));
        }
        // Who is away is stale, and forgotten once that is told and nobody is asked for it any more.
        for (entity, told) in before {
            let absent = &model.evaluation.absences.entities;
            let is_absent = absent.binary_search_by(|it| it.entity.cmp(&entity)).is_ok();
            if is_absent || !matches!(told.told, Standing::Untold | Standing::Stale) {
                self.go_on((entity, Some(told)), (Standing::Stale, now_ms), String::new);
            }
        }
    }

    /// Takes note of what an entity is now.
    fn go_on(
        &mut self,
        (entity, before): (Labels, Option<Told>),
        (is, now_ms): (Standing, i64),
        say: impl Fn() -> String,
    ) {
        let before = before.unwrap_or(Told { told: Standing::Untold, is, since_ms: now_ms });
        let (after, kinds) = before.then(is, now_ms);
        for kind in kinds.into_iter().flatten() {
            self.gathered.entry(kind).or_default().add(now_ms, || line::item(kind, &entity, &say));
        }
        self.entities.insert(entity, after);
    }

    fn lines(&mut self, model: &ModelSnapshot) -> Vec<Line> {
        let times = (model.time_ms, model.interval_ms);
        let mut lines: Vec<Line> = Vec::new();
        let above = self.gathered.get(&EntityEvent::Above);
        let is_above = above.is_some_and(|it| it.can_be_told(model.time_ms));
        for (kind, gathered) in &mut self.gathered {
            // Whoever is above has appeared, and that is told first.
            let is_urgent = is_above && *kind <= EntityEvent::Above;
            lines.extend(gathered.take(is_urgent, times).map(|(count, items)| Line {
                model: model.model.clone(),
                kind: *kind,
                count,
                items,
                warm_up_ms: model.evaluation.warm_up_ms,
            }));
        }
        lines.sort_by_key(|line| line.kind);
        lines
    }
}

impl Told {
    /// What is remembered, and what there is to tell, when it is this now.
    fn then(self, is: Standing, now_ms: i64) -> (Self, [Option<EntityEvent>; 2]) {
        // A clock that was set back makes nothing last.
        let since_ms = if self.is == is { self.since_ms.min(now_ms) } else { now_ms };
        let (before, lasts_ms) = (self.told, now_ms.saturating_sub(since_ms));
        let told = |told| Self { told, is, since_ms };
        // What has been told of is over: a line says so, unless nothing had been.
        let over = match before {
            Standing::Untold => Some(EntityEvent::Present),
            Standing::Warming => Some(EntityEvent::Scored),
            Standing::Stale => Some(EntityEvent::Back),
            Standing::Incomplete => Some(EntityEvent::Complete),
            Standing::Normal | Standing::Above => None,
        };
        match (before, is) {
            (Standing::Above, Standing::Normal) if lasts_ms >= CALM_MS => {
                (told(is), [Some(EntityEvent::Below), None])
            }
            (Standing::Above, Standing::Normal | Standing::Above | Standing::Warming) => {
                (told(before), [None, None])
            }
            (_, Standing::Above) => (told(is), [over, Some(EntityEvent::Above)]),
            (_, Standing::Normal) => (told(is), [over, None]),
            (Standing::Untold, Standing::Warming) => (told(is), [Some(EntityEvent::Appears), None]),
            // Its windows are to be filled again.
            (Standing::Stale | Standing::Incomplete, Standing::Warming) => (told(is), [over, None]),
            (_, Standing::Stale) if before != is && lasts_ms >= HOLD_MS => {
                (told(is), [Some(EntityEvent::Stale), None])
            }
            (_, Standing::Incomplete) if before != is && lasts_ms >= HOLD_MS => {
                (told(is), [Some(EntityEvent::Incomplete), None])
            }
            _ => (told(before), [None, None]),
        }
    }
}

/// Takes what is remembered of an entity out, with the key that it had, which costs nothing.
fn take(known: &mut HashMap<Labels, Told>, entity: &Labels) -> (Labels, Option<Told>) {
    match known.remove_entry(entity) {
        Some((entity, told)) => (entity, Some(told)),
        None => (entity.clone(), None),
    }
}

#[cfg(test)]
mod tests;
