//! Absences in the answer about anomalies: entities that miss features, and entities that are absent.
//!
//! In: the last evaluation of each model. Out: two lists, sorted by labels.

use super::json::{Json, TooLong};
use super::scores::score_labels;
use crate::detect::ModelSnapshot;
use crate::labels::{Labels, METRIC_NAME};
use crate::timestamp;

/// Which entities are wanted, and which part of them.
pub(super) struct Page<'a> {
    pub wants: &'a dyn Fn(&Labels) -> bool,
    pub offset: usize,
    pub limit: usize,
}

/// Writes the entities that miss features under `missing` and those that are absent under `absent`.
///
/// # Errors
/// When the answer becomes too long.
pub(super) fn write(
    json: &mut Json,
    models: &[&ModelSnapshot],
    page: &Page<'_>,
) -> Result<(), TooLong> {
    let found = models.iter().flat_map(|model| {
        let lacking = &model.evaluation.absences.lacking;
        lacking.iter().map(|it| (score_labels(model, &it.entity), *model, it))
    });
    json.raw(r#","missing":"#);
    list(json, page, found, |json, model, it| {
        json.raw(r#","features":"#);
        json.raw(&serde_json::to_string(&names(model, &it.features)).unwrap_or_default());
    })?;
    let found = models.iter().flat_map(|model| {
        let absent = &model.evaluation.absences.entities;
        absent.iter().map(|it| (score_labels(model, &it.entity), *model, it))
    });
    json.raw(r#","absent":"#);
    list(json, page, found, |json, _, it| {
        json.raw(r#","lastScored":"#);
        json.string(&timestamp::format_ms(it.scored_ms));
    })
}

/// The names of features by their places.
pub(super) fn names<'a>(model: &'a ModelSnapshot, features: &[u32]) -> Vec<&'a str> {
    let name = |place: &u32| model.feature_names.get(*place as usize).map(String::as_str);
    features.iter().filter_map(name).collect()
}

/// How many entities there are and a page of them, each with its labels, the time of the evaluation
/// and what `rest` writes.
fn list<'a, T>(
    json: &mut Json,
    page: &Page<'_>,
    found: impl Iterator<Item = (Labels, &'a ModelSnapshot, T)>,
    rest: impl Fn(&mut Json, &ModelSnapshot, &T),
) -> Result<(), TooLong> {
    let mut found: Vec<_> = found.filter(|(labels, ..)| (page.wants)(labels)).collect();
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    json.raw(&format!(r#"{{"total":{},"entities":"#, found.len()));
    let entities = found.iter().skip(page.offset).take(page.limit);
    json.list(entities, |json, (labels, model, it)| {
        json.raw(r#"{"labels":"#);
        json.labels(&labels.filtered(|name| name != METRIC_NAME));
        json.raw(r#","time":"#);
        json.string(&timestamp::format_ms(model.time_ms));
        rest(json, model, it);
        json.raw("}");
    })?;
    json.raw("}");
    Ok(())
}
