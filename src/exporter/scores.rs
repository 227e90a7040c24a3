//! The scores of the last tick as text.

use super::metrics_page::{Page, model_gauge};
use super::{ExporterConfig, ModelInfo, absence, alerts, fleet};
use crate::detect::{EntityScore, FeatureScore, ModelSnapshot, Snapshot};
use crate::features::Provenance;
use crate::labels::Labels;

/// Writes what models said recently: the scores and all that is said of entities, and apart from that what is
/// about Portent itself. Both are whole families in the order of their names, and no help has a quotation mark:
/// the scores are the same text in both formats.
#[must_use]
pub fn render(
    snapshot: &Snapshot,
    infos: &[ModelInfo],
    config: &ExporterConfig,
    now_ms: i64,
) -> (String, String) {
    let models: Vec<&ModelSnapshot> = snapshot
        .models
        .iter()
        .map(AsRef::as_ref)
        .filter(|model| model.is_current(now_ms))
        .collect();
    let mut page = Page::default();
    entities(
        &mut page,
        &models,
        "anomaly_score",
        "The model's error divided by its threshold: up to 1 is normal, above is anomalous.",
        |entity| entity.score,
    );
    entities(
        &mut page,
        &models,
        "anomaly_score_threshold",
        "The score above which the entity is anomalous: 1, or more if its scores were high in \
         recent hours.",
        |entity| entity.threshold,
    );
    states(&mut page, &models);
    entities(
        &mut page,
        &models,
        "anomaly_reconstruction_error",
        "The model's error, smoothed where the model asks for it.",
        |entity| entity.error,
    );
    explanations(&mut page, &models, config);
    model_gauge(
        &mut page,
        &models,
        "anomaly_threshold",
        "The model's threshold: the error at which the score is 1.",
        |model| Some(model.threshold),
    );
    model_gauge(
        &mut page,
        &models,
        "anomaly_last_tick_timestamp_seconds",
        "The time for which the scores were computed.",
        |model| Some(model.time_ms as f64 / 1000.0),
    );
    fleet::render(&mut page, &models);
    absence::render(&mut page, &models);
    alerts::render(&mut page, &models, &snapshot.alerts);
    model_gauge(
        &mut page,
        &models,
        "portent_detect_away_entities",
        "Entities whose series are gone and that continue where they were when they return.",
        |model| Some(model.evaluation.away as f64),
    );
    provenance(&mut page, &models);
    unplaced(&mut page, &models);
    loaded(&mut page, infos);
    page.finish()
}

fn entities(
    page: &mut Page,
    models: &[&ModelSnapshot],
    name: &'static str,
    help: &str,
    value: impl Fn(&EntityScore) -> f64,
) {
    let mut family = page.gauge(name, help);
    for model in models {
        for entity in &model.entities {
            family.sample(&entity.entity, &[("model", &model.model)], value(entity));
        }
    }
}

/// What each entity is, once: the series of what it was ends.
fn states(page: &mut Page, models: &[&ModelSnapshot]) {
    let mut family = page.gauge(
        "anomaly_state",
        "Always 1; the label says what the entity is: new (anomalous), lasting (as it has been for two hours, which alone keeps it from being new) or normal.",
    );
    for model in models {
        for entity in &model.entities {
            let own = [("model", model.model.as_str()), ("state", entity.state.name())];
            family.sample(&entity.entity, &own, 1.0);
        }
    }
}

/// What the page shows of the features of an entity: a family's name, what it is, and its value.
type OfFeature = (&'static str, &'static str, fn(&FeatureScore) -> f32);

const OF_FEATURES: [OfFeature; 3] = [
    (
        "anomaly_feature_contribution",
        "A feature's share of the entity's error, for the features with the largest.",
        |it| it.contribution,
    ),
    (
        "anomaly_feature_actual",
        "What was measured of a feature that has a large share of the entity's error, in its own unit.",
        |it| it.actual,
    ),
    (
        "anomaly_feature_expected",
        "What the model expected of a feature that has a large share of the entity's error.",
        |it| it.expected,
    ),
];

/// Why the entities that are explained have their scores: at most so many features of each.
fn explanations(page: &mut Page, models: &[&ModelSnapshot], config: &ExporterConfig) {
    for (name, help, value) in OF_FEATURES {
        let mut family = page.gauge(name, help);
        for model in models {
            let explanations = model.explanations(config.max_contributions_per_entity);
            for (of, feature, it) in explanations.filter(|(_, _, it)| !value(it).is_nan()) {
                let own = [("model", model.model.as_str()), ("feature", feature)];
                family.sample(&of.entity, &own, f64::from(value(it)));
            }
        }
    }
}

fn provenance(page: &mut Page, models: &[&ModelSnapshot]) {
    let mut family = page.gauge(
        "portent_detect_feature_entities",
        "Fresh entities by where their value of the feature comes from; ambiguous and absent ones have none.",
    );
    for model in models {
        for (feature, counts) in model.feature_names.iter().zip(&model.evaluation.provenance) {
            for (provenance, count) in Provenance::ALL.into_iter().zip(counts) {
                let own = [
                    ("model", model.model.as_str()),
                    ("feature", feature),
                    ("provenance", provenance.name()),
                ];
                family.sample(&Labels::empty(), &own, f64::from(*count));
            }
        }
    }
}

fn unplaced(page: &mut Page, models: &[&ModelSnapshot]) {
    let mut family = page.gauge(
        "portent_detect_feature_unplaced_elements",
        "Elements of the feature's result that belong to no entity, as they lack one of its labels.",
    );
    for model in models {
        for (feature, count) in model.feature_names.iter().zip(&model.evaluation.unplaced) {
            let own = [("model", model.model.as_str()), ("feature", feature)];
            family.sample(&Labels::empty(), &own, f64::from(*count));
        }
    }
}

fn loaded(page: &mut Page, infos: &[ModelInfo]) {
    let mut family =
        page.gauge("portent_model_info", "Always 1; the labels say what the model is.");
    for info in infos {
        let own = [
            ("model", info.model.as_str()),
            ("features", &info.features.to_string()),
            ("window", &info.window.to_string()),
            ("threshold_method", &info.threshold_method),
        ];
        family.sample(&Labels::empty(), &own, 1.0);
    }
    let mut family = page.gauge(
        "portent_model_trained_to_timestamp_seconds",
        "The end of the data that the model was trained on, where its file tells.",
    );
    for info in infos {
        if let Some(trained_to_ms) = info.trained_to_ms {
            let own = [("model", info.model.as_str())];
            family.sample(&Labels::empty(), &own, trained_to_ms as f64 / 1000.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::{AnomalyState, Evaluation};

    const NOW: i64 = 1_700_000_000_000;

    /// Of what was measured for one feature nothing was expected.
    fn part(feature: u32, contribution: f32) -> FeatureScore {
        let expected = if feature == 0 { f32::NAN } else { 0.5 };
        let provenance = Provenance::Own;
        FeatureScore { feature, contribution, actual: 4.0, expected, provenance }
    }

    fn entity(instance: &str, error: f64) -> EntityScore {
        let labels = [("job", "node"), ("instance", instance)];
        EntityScore {
            entity: Labels::from_pairs(labels).expect("distinct names"),
            score: error / 2.0,
            threshold: 1.0 + error,
            state: AnomalyState::Normal,
            error,
            features: vec![part(1, 0.5), part(0, 0.25), part(2, 0.125)],
            newest_ms: NOW,
        }
    }

    fn model(name: &str, interval_ms: i64, entities: Vec<EntityScore>) -> ModelSnapshot {
        let evaluation = Evaluation {
            scored: entities.len(),
            stale: 1,
            away: 4,
            provenance: vec![[1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 2], [0, 1, 0, 0, 0, 0]],
            unplaced: vec![0, 0, 3],
            ..Evaluation::default()
        };
        ModelSnapshot {
            model: name.to_owned(),
            time_ms: NOW,
            interval_ms,
            threshold: 2.0,
            feature_names: ["cpu", "disk", "net"].map(str::to_owned).into(),
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities,
            evaluation,
        }
    }

    fn page(models: Vec<ModelSnapshot>, k: usize, now_ms: i64) -> String {
        let models = models.into_iter().map(Arc::new).collect();
        let snapshot = Snapshot { time_ms: NOW, models, ..Snapshot::default() };
        let infos = [ModelInfo {
            model: "m".to_owned(),
            features: 3,
            window: 1,
            threshold_method: "percentile 99.5".to_owned(),
            trained_to_ms: Some(NOW),
        }];
        let config =
            ExporterConfig { max_contributions_per_entity: k, ..ExporterConfig::default() };
        let (scores, own) = render(&snapshot, &infos, &config, now_ms);
        let helps = scores.lines().filter(|line| line.starts_with("# HELP"));
        assert!(helps.clone().count() > 10 && helps.clone().all(|line| !line.contains('"')));
        assert!(helps.is_sorted());
        scores + &own
    }

    #[test]
    fn the_page_of_two_entities() {
        let text = page(vec![model("m", 1000, vec![entity("a", 1.0), entity("b", 3.0)])], 2, NOW);
        let all = text.lines().filter(|line| !line.starts_with('#'));
        // What no entity is in has a sample all the same.
        let is_shown =
            |it: &&str| !it.starts_with("portent_detect_feature_") || !it.ends_with(" 0");
        assert_eq!(
            all.filter(is_shown).collect::<Vec<_>>(),
            [
                r#"anomaly_entities{model="m",state="anomalous"} 0"#,
                r#"anomaly_entities{model="m",state="lasting"} 0"#,
                r#"anomaly_entities{model="m",state="normal"} 2"#,
                r#"anomaly_entities{model="m",state="stale"} 1"#,
                r#"anomaly_entities{model="m",state="incomplete"} 0"#,
                r#"anomaly_entities{model="m",state="warming"} 0"#,
                r#"anomaly_entities{model="m",state="not_finite"} 0"#,
                r#"anomaly_entities{model="m",state="refused"} 0"#,
                r#"anomaly_entities_absent{model="m"} 0"#,
                r#"anomaly_entities_anomalous_ratio{model="m"} 0"#,
                r#"anomaly_evaluation_lag_seconds{model="m"} 0"#,
                r#"anomaly_feature_actual{instance="b",job="node",model="m",feature="disk"} 4"#,
                r#"anomaly_feature_actual{instance="b",job="node",model="m",feature="cpu"} 4"#,
                r#"anomaly_feature_contribution{instance="b",job="node",model="m",feature="disk"} 0.5"#,
                r#"anomaly_feature_contribution{instance="b",job="node",model="m",feature="cpu"} 0.25"#,
                r#"anomaly_feature_expected{instance="b",job="node",model="m",feature="disk"} 0.5"#,
                r#"anomaly_feature_missing_entities{model="m",feature="cpu"} 0"#,
                r#"anomaly_feature_missing_entities{model="m",feature="disk"} 0"#,
                r#"anomaly_feature_missing_entities{model="m",feature="net"} 0"#,
                r#"anomaly_last_tick_timestamp_seconds{model="m"} 1700000000"#,
                r#"anomaly_newest_sample_timestamp_seconds{instance="a",job="node",model="m"} 1700000000"#,
                r#"anomaly_newest_sample_timestamp_seconds{instance="b",job="node",model="m"} 1700000000"#,
                r#"anomaly_reconstruction_error{instance="a",job="node",model="m"} 1"#,
                r#"anomaly_reconstruction_error{instance="b",job="node",model="m"} 3"#,
                r#"anomaly_score{instance="a",job="node",model="m"} 0.5"#,
                r#"anomaly_score{instance="b",job="node",model="m"} 1.5"#,
                r#"anomaly_score_median{model="m"} 1"#,
                r#"anomaly_score_threshold{instance="a",job="node",model="m"} 2"#,
                r#"anomaly_score_threshold{instance="b",job="node",model="m"} 4"#,
                r#"anomaly_state{instance="a",job="node",model="m",state="normal"} 1"#,
                r#"anomaly_state{instance="b",job="node",model="m",state="normal"} 1"#,
                r#"anomaly_threshold{model="m"} 2"#,
                r#"portent_detect_away_entities{model="m"} 4"#,
                r#"portent_detect_feature_entities{model="m",feature="cpu",provenance="own"} 1"#,
                r#"portent_detect_feature_entities{model="m",feature="disk",provenance="held"} 1"#,
                r#"portent_detect_feature_entities{model="m",feature="disk",provenance="absent"} 2"#,
                r#"portent_detect_feature_entities{model="m",feature="net",provenance="common"} 1"#,
                r#"portent_detect_feature_unplaced_elements{model="m",feature="net"} 3"#,
                r#"portent_model_info{model="m",features="3",window="1",threshold_method="percentile 99.5"} 1"#,
                r#"portent_model_trained_to_timestamp_seconds{model="m"} 1700000000"#,
            ]
        );
        let ambiguous = r#"entities{model="m",feature="net",provenance="ambiguous"} 0"#;
        assert!(text.contains(ambiguous), "{text}");
    }

    /// Whether a model with this interval is still shown after so long.
    #[track_caller]
    fn check_age(interval_ms: i64, age_ms: i64, shown: bool) {
        let text = page(vec![model("m", interval_ms, vec![entity("a", 1.0)])], 5, NOW + age_ms);
        let found = text.contains("\nanomaly_score{");
        assert_eq!(found, text.contains("\nanomaly_threshold{"));
        assert_eq!(found, shown, "interval {interval_ms} ms, age {age_ms} ms");
    }

    #[test]
    fn nothing_frozen_is_shown() {
        check_age(15_000, 45_000, true);
        check_age(15_000, 45_001, false);
        check_age(1_000, 10_000, true);
        check_age(1_000, 10_001, false);
        check_age(15_000, -45_001, false);
        check_age(i64::MAX, 1_000_000, true);
    }

    #[test]
    fn an_old_model_goes_alone() {
        let mut old = model("old", 1_000, vec![entity("a", 1.0)]);
        old.time_ms = NOW - 60_000;
        let text = page(vec![old, model("new", 1_000, vec![entity("a", 1.0)])], 5, NOW);
        assert!(!text.contains(r#"model="old""#), "{text}");
        assert!(text.contains(r#"model="new""#), "{text}");
    }
}
