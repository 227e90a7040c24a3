//! Troubles: what is wrong with the features of models, named once and not at every tick.
//!
//! In: the snapshot of each tick. Out: a log line when a trouble begins, and one when it is over.
//! The metrics count at every tick how many entities or steps it affects.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::{LackingEntity, ModelSnapshot, Snapshot};

/// A trouble that is gone for so long is over; until then it may come and go, as a scrape does that
/// fails now and then.
const OVER_MS: i64 = 300_000;

/// What may be wrong with a feature of a model, or with the entities of a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Trouble {
    model: String,
    /// Empty where it concerns entities.
    feature: String,
    kind: TroubleKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TroubleKind {
    /// Its expression failed, for everyone or for some.
    Failed,
    /// Some of its elements belong to nobody.
    Unplaced,
    /// Two sources claim one entity.
    Doubled,
    /// Entities that used to have it have it not.
    Missing,
    /// There is no room for entities.
    Refused,
}

/// The troubles that were named.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// With the tick at which they were seen last.
    seen_ms: BTreeMap<Trouble, i64>,
}

impl Troubles {
    /// Logs what has begun and what is over.
    pub(super) fn log(&mut self, snapshot: &Snapshot) {
        let evaluated: Vec<&ModelSnapshot> = (snapshot.models.iter())
            .map(AsRef::as_ref)
            .filter(|model| model.time_ms == snapshot.time_ms)
            .collect();
        for (trouble, text) in evaluated.iter().flat_map(|model| found(model)) {
            if self.begins(trouble.clone(), snapshot.time_ms) {
                let Trouble { model, feature, .. } = trouble;
                match feature.is_empty() {
                    true => tracing::warn!(model, "{text}"),
                    false => tracing::warn!(model, feature, "{text}"),
                }
            }
        }
        for Trouble { model, feature, kind } in self.end(snapshot.time_ms) {
            match kind {
                TroubleKind::Failed => {
                    tracing::info!(model, feature, "the feature has values again")
                }
                TroubleKind::Unplaced => {
                    tracing::info!(model, feature, "every element has the entity labels again");
                }
                TroubleKind::Doubled => {
                    tracing::info!(model, "no entity is claimed twice any more")
                }
                TroubleKind::Refused => {
                    tracing::info!(model, "there is room for all entities again")
                }
                TroubleKind::Missing => {
                    tracing::info!(model, feature, "no entity lacks the feature any more");
                }
            }
        }
    }

    /// Whether a trouble that is there at a tick was not before.
    fn begins(&mut self, trouble: Trouble, now_ms: i64) -> bool {
        self.seen_ms.insert(trouble, now_ms).is_none()
    }

    /// Forgets those that are over, and names them.
    fn end(&mut self, now_ms: i64) -> BTreeSet<Trouble> {
        let is_over = |seen_ms: i64| !(0..OVER_MS).contains(&now_ms.saturating_sub(seen_ms));
        let over = self.seen_ms.iter().filter(|(_, seen_ms)| is_over(**seen_ms));
        let over: BTreeSet<Trouble> = over.map(|(trouble, _)| trouble.clone()).collect();
        self.seen_ms.retain(|trouble, _| !over.contains(trouble));
        over
    }
}

/// What is wrong at one evaluation, each with a sentence.
fn found(model: &ModelSnapshot) -> Vec<(Trouble, String)> {
    let evaluation = &model.evaluation;
    let of = |feature: usize, kind| Trouble {
        model: model.model.clone(),
        feature: model.feature_names.get(feature).cloned().unwrap_or_default(),
        kind,
    };
    let mut found: Vec<(Trouble, String)> = Vec::new();
    for (feature, error) in &evaluation.feature_errors {
        found.push((of(*feature, TroubleKind::Failed), format!("a feature failed: {error}")));
    }
    for (feature, count) in evaluation.unplaced.iter().enumerate().filter(|(_, count)| **count > 0)
    {
        let text = format!(
            "{count} elements of the feature's result lack an entity label and belong to no entity"
        );
        found.push((of(feature, TroubleKind::Unplaced), text));
    }
    if let Some(example) = &evaluation.doubled_example {
        let text = format!(
            "{} entities are claimed by two sources, such as {example}: values that cannot be \
             told apart are left out",
            evaluation.doubled
        );
        let trouble = Trouble {
            model: model.model.clone(),
            feature: String::new(),
            kind: TroubleKind::Doubled,
        };
        found.push((trouble, text));
    }
    if evaluation.refused > 0 {
        let limit = match evaluation.lacks_memory {
            true => "storage.max_bytes",
            false => "storage.max_entities",
        };
        let text = format!(
            "there is no room for {} entities: raise {limit}, or send fewer",
            evaluation.refused
        );
        let trouble = Trouble {
            model: model.model.clone(),
            feature: String::new(),
            kind: TroubleKind::Refused,
        };
        found.push((trouble, text));
    }
    let absences = &evaluation.absences;
    let counts = absences.by_feature(model.feature_names.len());
    for (feature, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let misses = |it: &&LackingEntity| it.features.contains(&(feature as u32));
        let example = absences.lacking.iter().find(misses).map(|it| it.entity.to_string());
        let text = format!(
            "{count} entities used to have the feature and now lack it, such as {}",
            example.unwrap_or_default()
        );
        found.push((of(feature, TroubleKind::Missing), text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Absences, Evaluation};
    use crate::labels::Labels;

    fn snapshot(evaluation: Evaluation) -> ModelSnapshot {
        ModelSnapshot {
            model: "m".to_owned(),
            time_ms: 0,
            interval_ms: 1,
            threshold: 1.0,
            feature_names: ["a".to_owned(), "b".to_owned()].into(),
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities: Vec::new(),
            evaluation,
        }
    }

    fn lacking(instance: &str) -> LackingEntity {
        let entity = Labels::from_pairs([("instance", instance)]).expect("one name");
        LackingEntity { entity, features: vec![1] }
    }

    #[test]
    fn each_trouble_has_a_sentence() {
        assert!(found(&snapshot(Evaluation::default())).is_empty());
        let found = found(&snapshot(Evaluation {
            feature_errors: vec![(1, "many-to-many".to_owned())],
            unplaced: vec![3, 0],
            doubled: 2,
            doubled_example: Labels::from_pairs([("instance", "x")]).ok(),
            absences: Absences { lacking: ["y", "z"].map(lacking).into(), entities: Vec::new() },
            ..Evaluation::default()
        }));
        let texts: Vec<(&str, &str)> =
            found.iter().map(|(it, text)| (it.feature.as_str(), text.as_str())).collect();
        assert_eq!(texts[0], ("b", "a feature failed: many-to-many"));
        assert!(texts[1].0 == "a" && texts[1].1.starts_with("3 elements"), "{texts:?}");
        assert!(texts[2].0.is_empty() && texts[2].1.contains(r#"such as {instance="x"}"#));
        assert_eq!(
            texts[3..],
            [(
                "b",
                r#"2 entities used to have the feature and now lack it, such as {instance="y"}"#
            )]
        );
    }

    #[test]
    fn what_goes_on_is_named_once_and_once_more_when_it_comes_back_later() {
        let trouble = || Trouble {
            model: "m".to_owned(),
            feature: "a".to_owned(),
            kind: TroubleKind::Failed,
        };
        let mut troubles = Troubles::default();
        assert!(troubles.begins(trouble(), 0));
        assert!(troubles.end(0).is_empty());
        assert!(!troubles.begins(trouble(), 15_000));
        assert!(troubles.end(15_000 + OVER_MS - 1).is_empty());
        assert!(!troubles.begins(trouble(), 15_000 + OVER_MS - 1));
        let over = troubles.end(15_000 + 2 * OVER_MS);
        assert_eq!(over.into_iter().collect::<Vec<_>>(), [trouble()]);
        assert!(troubles.begins(trouble(), 15_000 + 2 * OVER_MS));
    }
}
