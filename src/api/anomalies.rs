//! Anomalies: which entities stand out, and why.
//!
//! `/api/v1/anomalies` is Portent's own endpoint in the manner of Prometheus's. Parameters:
//!
//! | name | what it is | without it |
//! |---|---|---|
//! | `match[]` | a selector for the labels of `anomaly_score`, `{model="node",instance="db-1:9100"}`; of several, one has to match | all |
//! | `min_score` | entities with this score or more | `global.explain_above`; `0` gives all of the last evaluation |
//! | `evaluations` | how many of the last evaluations of each model, up to ten; of those before the last only entities are known that had a score of `global.explain_above` | 1 |
//! | `limit`, `offset` | a page of the list; a limit of 0 is none | 100, 0 |
//!
//! In: a snapshot and the parameters. Out: under `data` the number of all entities that are wanted
//! (`total`) and a page of them (`entities`), the last evaluation first and in it the highest score.
//! Times are RFC 3339, values JSON numbers; what is missing or not told is `null`. `state` is `new`,
//! `lasting` or `normal`, as in `anomaly_state`. A feature has its
//! share of the error (`contribution`, all sum to 1), what was measured (`actual`) and what the model
//! expected, both in its own unit, and where the value comes from (`provenance`). `missingFeatures` are
//! those that the entity used to have and has not; of evaluations before the last they are not told.
//!
//! Beside them stand two lists of the last evaluation alone, each with its `total` and a page by the
//! same `match[]`, `limit` and `offset`, sorted by labels: under `missing` the entities that miss
//! `features`, with a score or without; under `absent` those that had a score at `lastScored`, within a
//! day, and are not there.
//!
//! Invariant: a model that is not evaluated any more has no last evaluation here.

use serde::Serialize;

use super::absences;
use super::catalogue::selector;
use super::error::{ApiError, Limit};
use super::form::Form;
use super::json::Json;
use super::parameters;
use super::scores::score_labels;
use crate::bytesize::ByteSize;
use crate::detect::{EntityScore, ModelSnapshot, Snapshot};
use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::Selector;
use crate::timestamp;

/// Entities of a page, unless the request says otherwise: as many as a person reads.
const PAGE: usize = 100;

/// Which entities are wanted.
#[derive(Debug)]
pub(super) struct AnomalyQuery {
    selectors: Vec<Selector>,
    min_score: Option<f64>,
    evaluations: usize,
    limit: usize,
    offset: usize,
}

/// An entity at one evaluation, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    labels: std::collections::BTreeMap<&'a str, &'a str>,
    time: String,
    newest_sample: String,
    score: f64,
    threshold: f64,
    state: &'static str,
    error: f64,
    features: Vec<FeatureEntry<'a>>,
    missing_features: Option<Vec<&'a str>>,
}

/// A feature of it.
#[derive(Serialize)]
struct FeatureEntry<'a> {
    feature: &'a str,
    contribution: f32,
    actual: f32,
    expected: f32,
    provenance: &'static str,
}

impl AnomalyQuery {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn parse(form: &Form) -> Result<Self, ApiError> {
        let selectors = form.all("match[]").map(selector).collect::<Result<_, _>>();
        let limit = match form.get("limit") {
            "" => Ok(PAGE),
            text => parameters::limit(text).map(|limit| limit.unwrap_or(usize::MAX)),
        };
        let offset = parameters::limit(form.get("offset")).map(Option::unwrap_or_default);
        let evaluations = match parameters::limit(form.get("evaluations")) {
            Ok(number) => Ok(number.unwrap_or(1)),
            Err(reason) => Err(reason),
        };
        let min_score = match form.get("min_score") {
            "" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(score) if !score.is_nan() => Ok(Some(score)),
                _ => Err(format!("{text:?} is not a number")),
            },
        };
        Ok(Self {
            selectors: selectors.map_err(ApiError::parameter("match[]"))?,
            min_score: min_score.map_err(ApiError::parameter("min_score"))?,
            evaluations: evaluations.map_err(ApiError::parameter("evaluations"))?,
            limit: limit.map_err(ApiError::parameter("limit"))?,
            offset: offset.map_err(ApiError::parameter("offset"))?,
        })
    }

    /// The answer from what is known at `now_ms`.
    ///
    /// # Errors
    /// When the answer is too long.
    pub(super) fn answer(
        &self,
        snapshot: &Snapshot,
        now_ms: i64,
        max_bytes: ByteSize,
    ) -> Result<String, ApiError> {
        let last = snapshot.models.iter().map(AsRef::as_ref);
        let last: Vec<&ModelSnapshot> = last.filter(|model| model.is_current(now_ms)).collect();
        let mut found: Vec<(usize, Labels, &ModelSnapshot, &EntityScore)> = Vec::new();
        for &model in &last {
            let earlier = snapshot.earlier.iter().map(AsRef::as_ref);
            let earlier = earlier.filter(|it| it.model == model.model);
            let evaluations = std::iter::once(model).chain(earlier).take(self.evaluations);
            for (age, evaluation) in evaluations.enumerate() {
                let least = self.min_score.unwrap_or(evaluation.explain_above);
                let entities = evaluation.entities.iter().filter(|it| it.score >= least);
                let named =
                    entities.map(|it| (age, score_labels(evaluation, &it.entity), evaluation, it));
                found.extend(named.filter(|(_, labels, ..)| self.wants(labels)));
            }
        }
        found.sort_by(|(age, labels, _, it), (other_age, other_labels, _, other)| {
            let by_score = other.score.total_cmp(&it.score);
            age.cmp(other_age).then(by_score).then_with(|| labels.cmp(other_labels))
        });
        let mut json = Json::success(max_bytes.as_len());
        json.raw(&format!(r#"{{"total":{},"entities":"#, found.len()));
        let page = found.iter().skip(self.offset).take(self.limit);
        let written = json.list(page, |json, (age, labels, model, it)| {
            let missing = || absences::names(model, model.evaluation.absences.of(&it.entity));
            let entry = entry(labels, model, it, (*age == 0).then(missing));
            // Numbers that are not finite become null.
            json.raw(&serde_json::to_string(&entry).unwrap_or_default());
        });
        let wants = |labels: &Labels| self.wants(labels);
        let page = absences::Page { wants: &wants, offset: self.offset, limit: self.limit };
        written
            .and_then(|()| absences::write(&mut json, &last, &page))
            .map_err(Limit::response(max_bytes))?;
        json.raw("}");
        Ok(json.finish(false))
    }

    fn wants(&self, labels: &Labels) -> bool {
        self.selectors.is_empty() || self.selectors.iter().any(|it| it.matches(labels))
    }
}

fn entry<'a>(
    labels: &'a Labels,
    model: &'a ModelSnapshot,
    entity: &'a EntityScore,
    missing_features: Option<Vec<&'a str>>,
) -> Entry<'a> {
    let of_feature = |it: &crate::detect::FeatureScore| {
        let feature = model.feature_names.get(it.feature as usize)?;
        Some(FeatureEntry {
            feature,
            contribution: it.contribution,
            actual: it.actual,
            expected: it.expected,
            provenance: it.provenance.name(),
        })
    };
    Entry {
        labels: labels.iter().filter(|(name, _)| *name != METRIC_NAME).collect(),
        time: timestamp::format_ms(model.time_ms),
        newest_sample: timestamp::format_ms(entity.newest_ms),
        score: entity.score,
        threshold: entity.threshold,
        state: entity.state.name(),
        error: entity.error,
        features: entity.features.iter().filter_map(of_feature).collect(),
        missing_features,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::{
        Absences, AbsentEntity, AnomalyState, Evaluation, FeatureScore, LackingEntity,
    };
    use crate::features::Provenance;

    const NOW: i64 = 1_700_000_000_000;

    fn entity(instance: &str, score: f64) -> EntityScore {
        let part = |feature, contribution, expected| {
            let provenance = Provenance::Own;
            FeatureScore { feature, contribution, actual: 2.0, expected, provenance }
        };
        EntityScore {
            entity: Labels::from_pairs([("instance", instance)]).expect("one name"),
            score,
            threshold: 1.0,
            state: AnomalyState::New,
            error: 2.0 * score,
            features: vec![part(1, 0.75, 0.5), part(0, 0.25, f32::NAN)],
            newest_ms: NOW - 1_000,
        }
    }

    fn evaluation(model: &str, age: i64, entities: Vec<EntityScore>) -> Arc<ModelSnapshot> {
        Arc::new(ModelSnapshot {
            model: model.to_owned(),
            time_ms: NOW - age * 15_000,
            interval_ms: 15_000,
            threshold: 2.0,
            feature_names: ["cpu", "disk"].map(str::to_owned).into(),
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities,
            evaluation: Evaluation::default(),
        })
    }

    fn snapshot() -> Snapshot {
        let of = |scores: &[(&str, f64)]| scores.iter().map(|(name, s)| entity(name, *s)).collect();
        Snapshot {
            time_ms: NOW,
            models: vec![
                evaluation("m", 0, of(&[("a", 0.5), ("b", 1.5), ("c", 0.9)])),
                evaluation("n", 0, of(&[("b", 4.0)])),
                evaluation("old", 100, of(&[("b", 9.0)])),
            ],
            earlier: vec![
                evaluation("m", 1, of(&[("c", 3.0)])),
                evaluation("m", 2, of(&[("c", 5.0)])),
            ],
            ..Snapshot::default()
        }
    }

    fn ask(query: &str) -> Result<serde_json::Value, String> {
        let form = Form::parse(b"", query).expect("a form");
        let asked = AnomalyQuery::parse(&form).map_err(|error| error.to_string())?;
        let answer = asked.answer(&snapshot(), NOW, ByteSize::from_mib(1)).expect("short");
        let mut answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["status"], "success");
        Ok(answer["data"].take())
    }

    /// Instance, model and score of the page, and how many there are in all.
    #[track_caller]
    fn check(query: &str, expected: &[(&str, &str, f64)], total: u64) {
        let data = ask(query).expect("good parameters");
        let text = |it: &serde_json::Value| it.as_str().expect("a text").to_owned();
        let found: Vec<(String, String, f64)> = (data["entities"].as_array().expect("a list"))
            .iter()
            .map(|it| {
                let score = it["score"].as_f64().expect("a number");
                (text(&it["labels"]["instance"]), text(&it["labels"]["model"]), score)
            })
            .collect();
        let found: Vec<(&str, &str, f64)> =
            found.iter().map(|(name, model, score)| (&**name, &**model, *score)).collect();
        assert_eq!((found.as_slice(), data["total"].as_u64()), (expected, Some(total)), "{query}");
    }

    #[test]
    fn who_stands_out_comes_first() {
        let (a, b, c) = (("a", "m", 0.5), ("b", "m", 1.5), ("c", "m", 0.9));
        let other = ("b", "n", 4.0);
        check("", &[other, b, c], 3);
        check("min_score=0", &[other, b, c, a], 4);
        check("min_score=1", &[other, b], 2);
        check("limit=1&offset=1", &[b], 3);
        check("limit=0", &[other, b, c], 3);
        check("match[]={model=\"m\",instance=~\"a|b\"}&min_score=0", &[b, a], 2);
        check("match[]=anomaly_score{instance=\"c\"}&match[]={model=\"n\"}", &[other, c], 2);
        check("match[]=up", &[], 0);
        let earlier = ("c", "m", 3.0);
        check("evaluations=2", &[other, b, c, earlier], 4);
        check("evaluations=9&match[]={instance=\"c\"}", &[c, earlier, ("c", "m", 5.0)], 3);
    }

    #[test]
    fn an_entity_in_full() {
        let data = ask("match[]={model=\"n\"}").expect("good parameters");
        let expected = serde_json::json!({
            "labels": {"instance": "b", "model": "n"},
            "time": "2023-11-14T22:13:20Z",
            "newestSample": "2023-11-14T22:13:19Z",
            "score": 4.0,
            "threshold": 1.0,
            "state": "new",
            "error": 8.0,
            "features": [
                {"feature": "disk", "contribution": 0.75, "actual": 2.0, "expected": 0.5, "provenance": "own"},
                {"feature": "cpu", "contribution": 0.25, "actual": 2.0, "expected": null, "provenance": "own"},
            ],
            "missingFeatures": [],
        });
        assert_eq!(data["entities"][0], expected);
    }

    /// What was there and is not, beside the scores of [`snapshot`].
    fn absences(query: &str) -> serde_json::Value {
        let named = |name| Labels::from_pairs([("instance", name)]).expect("one name");
        let lacking = |name, features: &[u32]| LackingEntity {
            entity: named(name),
            features: features.to_vec(),
        };
        let mut snapshot = snapshot();
        let mut with = |place: usize, absences| {
            Arc::get_mut(&mut snapshot.models[place]).expect("ours alone").evaluation.absences =
                absences;
        };
        with(
            0,
            Absences {
                lacking: vec![lacking("b", &[0, 1]), lacking("unscored", &[1])],
                entities: vec![AbsentEntity { entity: named("gone"), scored_ms: NOW - 60_000 }],
            },
        );
        // A model that is not evaluated any more says nothing.
        with(2, Absences { lacking: vec![lacking("b", &[0])], entities: Vec::new() });
        let form = Form::parse(b"", query).expect("a form");
        let asked = AnomalyQuery::parse(&form).expect("good parameters");
        let answer = asked.answer(&snapshot, NOW, ByteSize::from_mib(1)).expect("short");
        let mut answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        answer["data"].take()
    }

    #[test]
    fn what_used_to_be_there_and_is_not() {
        let data = absences("match[]={model=\"m\"}&evaluations=2");
        let time = "2023-11-14T22:13:20Z";
        let labels = |name: &str| serde_json::json!({"instance": name, "model": "m"});
        let expected = serde_json::json!({"total": 2, "entities": [
            {"labels": labels("b"), "time": time, "features": ["cpu", "disk"]},
            {"labels": labels("unscored"), "time": time, "features": ["disk"]},
        ]});
        assert_eq!(data["missing"], expected);
        let expected = serde_json::json!({"total": 1, "entities": [
            {"labels": labels("gone"), "time": time, "lastScored": "2023-11-14T22:12:20Z"},
        ]});
        assert_eq!(data["absent"], expected);
        let of_entities: Vec<&serde_json::Value> = (data["entities"].as_array().expect("a list"))
            .iter()
            .map(|it| &it["missingFeatures"])
            .collect();
        let (none, untold) = (serde_json::json!([]), serde_json::Value::Null);
        assert_eq!(of_entities, [&serde_json::json!(["cpu", "disk"]), &none, &untold]);
        let data = absences("match[]={instance=~\"un.*\"}");
        assert_eq!((&data["missing"]["total"], &data["absent"]["total"]), (&1.into(), &0.into()));
        let data = absences("limit=1&offset=1");
        assert_eq!(data["missing"]["entities"][0]["labels"], labels("unscored"));
        assert_eq!((&data["absent"]["total"], &data["absent"]["entities"]), (&1.into(), &none));
    }

    #[test]
    fn refusals() {
        for (query, expected) in [
            ("match[]={", "invalid parameter \"match[]\": "),
            ("min_score=x", "invalid parameter \"min_score\": \"x\" is not a number"),
            ("min_score=NaN", "is not a number"),
            ("limit=-1", "invalid parameter \"limit\": limit must be non-negative"),
            ("offset=a", "invalid parameter \"offset\": "),
            ("evaluations=1.5", "invalid parameter \"evaluations\": "),
        ] {
            let error = ask(query).expect_err("bad parameters");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_answer_is_bounded() {
        let form = Form::parse(b"", "").expect("a form");
        let asked = AnomalyQuery::parse(&form).expect("no parameters");
        let error = asked.answer(&snapshot(), NOW, ByteSize::from_bytes(100)).expect_err("long");
        assert!(error.to_string().contains("query.max_response_bytes"), "{error}");
    }
}
